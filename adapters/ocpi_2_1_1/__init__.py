"""OCPI 2.1.1: owners in URLs alone, one party on each side of a link, no routing, PATCH for tariffs too.

What isn't on the wire comes from the link: who calls, and for whom. Only a backend on 2.1.1, whose hub we are, may name
both in the routing headers of 2.2.1, as hubs on 2.1.1 have it; a partner's are ignored.

Spec: 2.1.1 ``transport_and_format``, ``credentials``, ``status_codes``, and the modules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import evolve, frozen

from adapters import envelope
from adapters.changes import Patching, PatchRules
from adapters.headers import FROM, TO, read_trace, sent_back, write_trace
from adapters.ocpi_2_1_1 import credentials, maps
from adapters.ocpi_2_1_1.statuses import lowered
from adapters.ocpi_2_1_1.urls import INTERFACES, PATHS, side_of
from adapters.parties import caller, check_owner, playing
from adapters.paths import Path, check_id
from adapters.transport import named_module, spelling, write_request
from gateway.model.dialect import Dialect, Seat
from gateway.model.document import Document
from gateway.model.errors import InvalidObject, NotFound
from gateway.model.facts import Crossing, Needs, Translated
from gateway.model.message import Answer, HttpAnswer, HttpRequest, Message, Ref
from gateway.model.modules import Kind, Module, Side, Verb
from gateway.model.party import Party
from gateway.model.peer import PeerCredentials
from gateway.model.policy import Policy
from gateway.model.tables import MapTable
from gateway.model.values import moment

_VERSION: Final = "2.1.1"
_RFID: Final = "RFID"  # the default of ?type= in mod_tokens 2.2.2
_OTHER: Final = "OTHER"  # every type of token that isn't RFID; mod_tokens 4.3


def _periods(stored: list[Any], new: list[Any], policy: Policy) -> list[Any]:
    """The charging periods after a PATCH: by the specification those in it, with many peers those in it as well.

    ``auto`` takes them for new ones when the first begins after the last that is stored.
    """
    mode = policy.sessions_periods_mode
    return [*stored, *new] if mode == "append" or (mode == "auto" and _begins_after(new, stored)) else new


def _begins_after(new: list[Any], stored: list[Any]) -> bool:
    if not new or not stored:
        return False
    try:
        return moment(new[0]["start_date_time"]) > moment(stored[-1]["start_date_time"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return False  # validation of the whole says what is wrong with it


_PATCH_RULES: Final = PatchRules(
    patchable=frozenset({Kind.LOCATION, Kind.SESSION, Kind.TARIFF, Kind.TOKEN}),
    stamped=frozenset(),  # the specification's own examples have no last_updated
    periods=_periods,
)


@frozen(kw_only=True)
class Ocpi211(Patching):
    """The adapter of OCPI 2.1.1; see ``gateway/ports.py``."""

    version: str = _VERSION
    rules: PatchRules = _PATCH_RULES
    token_encoding: str = "raw"  # noqa: S105 - a name, no secret
    sends_routing_headers: bool = False

    # Bodies

    def up(self, kind: Kind, data: Any, crossing: Crossing) -> Translated | Needs:
        return maps.up(kind, data, crossing)

    def down(self, kind: Kind, data: Any, crossing: Crossing) -> Translated | Needs:
        return maps.down(kind, data, crossing)

    def explain(self, kind: Kind | None = None) -> tuple[MapTable, ...]:
        return tuple(maps.tables(kind))

    def touched(self, kind: Kind, names: frozenset[str], *, up: bool) -> frozenset[str]:
        return maps.touched(kind, names, up=up)

    # Transport

    def open_request(self, http: HttpRequest, dialect: Dialect) -> Message:
        module, side, below = _interface(http.segments, dialect)
        path, verb, ref = PATHS.open(module, side, below, http.method)
        if ref.owner is not None:
            check_owner(ref.owner, dialect, module)
        body = path.body(verb, http)
        if body is not None and ref.owner is not None:
            check_id(path.kind, body.data, ref)
        sender = _sender(http, dialect, path, ref.owner, guess=verb is not Verb.POST or path.action is not None)
        receiver = TO.read(http.headers) if dialect.backend else _first(dialect.ours, module, side)
        return Message(
            module=module,
            verb=verb,
            side=side,
            sender=sender,
            receiver=receiver,
            ref=_completed(ref, path, http, body, sender, receiver),
            trace=read_trace(http.headers),
            action=path.action,
            body=body,
            wire_version=self.version,
        )

    def write_request(self, message: Message, dialect: Dialect) -> HttpRequest:
        asked = message.ref.type if message.action is not None else None
        return write_request(
            message,
            dialect,
            PATHS.of(message),
            country=spelling(dialect),
            query={"type": _RFID if asked == _RFID else _OTHER} if asked else {},
            routing=_routing(dialect, to=message.receiver, from_=message.sender),
        )

    def open_answer(self, http: HttpAnswer, message: Message, dialect: Dialect) -> Answer:
        return envelope.open_answer(http, message, PATHS.of(message), dialect)

    def write_answer(
        self, answer: Answer, message: Message | None, dialect: Dialect | None, unopened: HttpRequest | None = None
    ) -> HttpAnswer:
        headers = write_trace(message.trace) if message is not None else {}
        if unopened is not None and dialect is not None and dialect.backend:
            headers |= sent_back(unopened.headers)
        if message is not None and dialect is not None:
            headers |= _routing(dialect, to=message.sender, from_=message.receiver or dialect.ours[0].party)
        return envelope.write_answer(lowered(answer, message), headers)

    # Registration

    def write_details(self, dialect: Dialect) -> Any:
        return credentials.write_details(dialect, self.version)

    def read_details(self, data: Any, theirs: Sequence[Seat]) -> Mapping[tuple[Module, Side], str]:
        return credentials.read_details(data, theirs)

    def write_credentials(self, token: str, dialect: Dialect) -> Any:
        return credentials.write_credentials(token, dialect)

    def read_credentials(self, data: Any, theirs: Sequence[Seat]) -> PeerCredentials:
        return credentials.read_credentials(data, theirs)


def _interface(segments: Sequence[str], dialect: Dialect) -> tuple[Module, Side, Sequence[str]]:
    """The interface that the first two segments name, if we play it to this link.

    Towards a backend we are everybody it isn't: what its own roles call is what we play.
    """
    if len(segments) < 2 or segments[0] not in INTERFACES:
        raise NotFound("no such resource")
    module = named_module(segments[1])
    side = side_of(module, INTERFACES[segments[0]])
    if not (playing(dialect.ours, module, side) and playing(dialect.theirs, module, side.other)):
        raise NotFound(f"{segments[0]} is not what we are to you")
    return module, side, segments[2:]


def _sender(http: HttpRequest, dialect: Dialect, path: Path, owner: Party | None, *, guess: bool) -> Party:
    """The party that calls. Of several that could have asked something it is the first; a CDR's owner isn't guessed."""
    claimed = FROM.read(http.headers) if dialect.backend else None
    if claimed is None and owner is None and guess:
        return _first(dialect.theirs, path.module, path.side.other)
    return caller(dialect, path.module, path.side, claimed, owner)


def _first(seats: Sequence[Seat], module: Module, side: Side) -> Party:
    """The first of these parties that plays this interface: the one that credentials name, which have room for one."""
    return playing(seats, module, side)[0]


def _completed(
    ref: Ref, path: Path, http: HttpRequest, body: Document | None, sender: Party, receiver: Party | None
) -> Ref:
    """The reference with what isn't in the path: owner and id of a CDR, owner and type of a token."""
    if path.action is not None:
        # mod_tokens 2.2.2: the endpoint's example says type, the table of parameters token_type.
        asked = http.query.get("type") or http.query.get("token_type") or _RFID
        return evolve(ref, owner=receiver, type=asked)
    if path.kind is Kind.CDR and body is not None:
        if not isinstance(body.data.get("id"), str):
            raise InvalidObject("$.id", "required" if body.data.get("id") is None else "expected a string")
        return evolve(ref, owner=sender, id=body.data["id"])
    if path.kind is Kind.TOKEN and body is not None and isinstance(body.data.get("type"), str):
        return evolve(ref, type=body.data["type"])
    return ref


def _routing(dialect: Dialect, *, to: Party | None, from_: Party | None) -> dict[str, str]:
    """Routing headers, towards a backend only: this version has none."""
    if not dialect.backend:
        return {}
    return TO.write(to, spelling(dialect)) | FROM.write(from_, spelling(dialect))


ADAPTER: Final = Ocpi211()
