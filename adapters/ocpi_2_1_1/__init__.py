"""OCPI 2.1.1: owners in URLs alone, one party on each side of a link, no routing, PATCH for tariffs too.

What isn't on the wire comes from the link: who calls, and for whom. Hubs on 2.1.1 took the routing headers of 2.2.1
over, and so may a backend, whose hub we are: theirs are obeyed. A bilateral partner's are a hint at best: they choose
among the parties of the link, and whatever else they say is passed over (``routing.headers_on_211``).

Spec: 2.1.1 ``transport_and_format``, ``credentials``, ``status_codes``, and the modules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from attrs import evolve, frozen

from adapters import envelope
from adapters.changes import Patching, PatchRules
from adapters.headers import FROM, TO, Pair, read_trace, sent_back, write_trace
from adapters.lengths import too_long
from adapters.ocpi_2_1_1 import credentials, maps
from adapters.ocpi_2_1_1.statuses import lowered
from adapters.ocpi_2_1_1.urls import INTERFACES, KNOWN, PATHS, side_of
from adapters.parties import (
    addressee,
    caller,
    check_named,
    check_owner,
    first,
    named_receiver,
    playing,
    with_owner,
)
from adapters.paths import CALLBACK, Path, check_id
from adapters.queries import read_query
from adapters.transport import (
    callback_url,
    is_callback,
    named_module,
    open_callback,
    path_of,
    spelling,
    write_callback,
    write_request,
)
from gateway.model.dialect import Dialect, Seat
from gateway.model.document import Document
from gateway.model.errors import InvalidObject, NotFound
from gateway.model.facts import Crossing, Needs, Translated
from gateway.model.message import Answer, HttpAnswer, HttpRequest, Message, Query, Ref
from gateway.model.modules import Kind, Module, Side, Verb
from gateway.model.party import Party
from gateway.model.peer import PeerCredentials
from gateway.model.policy import Policy
from gateway.model.tables import MapTable
from gateway.model.values import has_fraction, moment, pointer, whole_seconds

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
    modules: frozenset[Module] = KNOWN
    sends_routing_headers: bool = False

    # Bodies

    def up(self, kind: Kind, data: Any, crossing: Crossing) -> Translated | Needs:
        return maps.up(kind, data, crossing)

    def down(self, kind: Kind, data: Any, crossing: Crossing) -> Translated | Needs:
        return maps.down(kind, data, crossing)

    def too_long(self, kind: Kind, data: Any) -> tuple[str, ...]:
        return tuple(pointer(place) for place, _ in too_long(maps.MAPS[kind].older, data))

    def explain(self, kind: Kind | None = None) -> tuple[MapTable, ...]:
        return tuple(maps.tables(kind))

    def touched(self, kind: Kind, names: frozenset[str], *, up: bool) -> frozenset[str]:
        return maps.touched(kind, names, up=up)

    # Transport

    def open_request(self, http: HttpRequest, dialect: Dialect) -> Message:
        if is_callback(http.segments):
            return _callback(http, dialect)
        module, side, below = _interface(http.segments, dialect)
        path, verb, ref = PATHS.open(module, side, below, http.method)
        if ref.owner is not None:
            check_owner(ref.owner, dialect, module)
        body = path.body(verb, http)
        if body is not None:
            check_id(path.kind, body.data, ref)
        claimed, addressed = _claims(http, dialect)
        check_named(dialect, claimed, addressed, version_has_them=False)
        sender = _sender(dialect, path, verb, claimed, ref.owner)
        receiver = _receiver(dialect, path, addressed)
        return Message(
            module=module,
            verb=verb,
            side=side,
            sender=sender,
            receiver=receiver,
            ref=_completed(with_owner(ref, path, sender, receiver), path, http, body, sender),
            query=read_query(path, http.query),
            trace=read_trace(http.headers),
            action=path.action,
            body=body,
            wire_version=_VERSION,
        )

    def write_request(self, message: Message, dialect: Dialect) -> HttpRequest:
        asked = message.ref.type if message.action is not None else None
        return write_request(
            message.evolve(query=_in_whole_seconds(message.query)),
            dialect,
            path_of(PATHS, message, dialect),
            country=spelling(dialect),
            query={"type": _RFID if asked == _RFID else _OTHER} if asked else {},
            routing=_routing(dialect, to=named_receiver(message, dialect), from_=_from(message)),
        )

    def open_answer(self, http: HttpAnswer, message: Message, dialect: Dialect, called: str | None = None) -> Answer:
        answer = envelope.open_answer(http, message, PATHS.of(message), dialect, called)
        if dialect.hub is not None and dialect.policy.routing_headers_on_211 != "ignore":
            with suppress(InvalidObject):  # who answers is news for open routing only, and no reason to drop an answer
                answer = answer.evolve(sender=FROM.read(http.headers))
        return answer

    def write_answer(
        self, answer: Answer, message: Message | None, dialect: Dialect | None, unopened: HttpRequest | None = None
    ) -> HttpAnswer:
        headers = write_trace(message.trace) if message is not None else {}
        if unopened is not None and dialect is not None and _routes(dialect):
            headers |= sent_back(unopened.headers)
        if message is not None and dialect is not None:
            who = answer.sender or message.receiver or dialect.ours[0].party
            headers |= _routing(dialect, to=message.sender, from_=who)
        if dialect is not None and isinstance(answer.data, Document):
            answer = answer.evolve(data=_worded(answer.data, dialect))
        return envelope.write_answer(envelope.from_an_operator(lowered(answer, message), dialect), headers)

    def callback_url(self, id: str, dialect: Dialect) -> str:
        return callback_url(id, dialect, self.version)

    def write_callback(self, message: Message, url: str, dialect: Dialect) -> HttpRequest:
        if message.body is not None:
            message = message.evolve(body=_worded(message.body, dialect))
        routing = _routing(dialect, to=named_receiver(message, dialect), from_=message.sender)
        return write_callback(message, url, dialect, routing=routing)

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


def _claims(http: HttpRequest, dialect: Dialect) -> tuple[Party | None, Party | None]:
    """Who sends a request and whom it is for, as far as its headers say so and count (``routing.headers_on_211``)."""
    if dialect.policy.routing_headers_on_211 == "ignore":
        return None, None
    if dialect.backend or dialect.hub is not None:
        return FROM.read(http.headers), TO.read(http.headers)
    return _among(dialect.theirs, FROM, http), _among(dialect.ours, TO, http)


def _among(seats: Sequence[Seat], pair: Pair, http: HttpRequest) -> Party | None:
    try:
        party = pair.read(http.headers)
    except InvalidObject:
        return None  # this version has no such headers: whatever they are here, they are no mistake
    return party if any(seat.party == party for seat in seats) else None


def _sender(dialect: Dialect, path: Path, verb: Verb, claimed: Party | None, owner: Party | None) -> Party:
    """The party that calls. Of several that could have asked something it is the first; a CDR's owner isn't guessed."""
    if claimed is None and owner is None and (path.kind, verb) != (Kind.CDR, Verb.POST):
        return first(dialect.theirs, path.module, path.side.other)
    return caller(dialect, path.module, path.side, claimed, owner)


def _receiver(dialect: Dialect, path: Path, claimed: Party | None) -> Party | None:
    """The party that a request is for: of several of ours the first, which credentials name: they have room for one."""
    if claimed is None and not dialect.backend:
        return first(dialect.ours, path.module, path.side)
    return addressee(dialect, path.module, path.side, claimed)


def _callback(http: HttpRequest, dialect: Dialect) -> Message:
    """A result of something asked of one of theirs; its URL says whose answer it is."""
    ref, body = open_callback(http)
    claimed, addressed = _claims(http, dialect)
    return Message(
        module=CALLBACK.module,
        verb=Verb.POST,
        side=CALLBACK.side,
        sender=_sender(dialect, CALLBACK, Verb.POST, claimed, None),
        receiver=addressed,
        ref=ref,
        trace=read_trace(http.headers),
        action=CALLBACK.action,
        body=body,
        wire_version=_VERSION,
    )


def _completed(ref: Ref, path: Path, http: HttpRequest, body: Document | None, sender: Party) -> Ref:
    """The reference with what isn't in the path: owner and id of a CDR, the type of a token."""
    if path.kind is Kind.LOCATION_REFERENCES:
        # mod_tokens 2.2.2: the endpoint's example says type, the table of parameters token_type.
        return evolve(ref, type=http.query.get("type") or http.query.get("token_type") or _RFID)
    if path.kind is Kind.CDR and body is not None:
        if not isinstance(body.data.get("id"), str):
            raise InvalidObject("$.id", "required" if body.data.get("id") is None else "expected a string")
        return evolve(ref, owner=ref.owner or sender, id=body.data["id"])
    if path.kind is Kind.TOKEN and body is not None and isinstance(body.data.get("type"), str):
        return evolve(ref, type=body.data["type"])
    return ref


def _in_whole_seconds(query: Query) -> Query:
    """A query with moments as this version writes them, its window never smaller than asked for."""
    return evolve(
        query,
        date_from=whole_seconds(query.date_from) if query.date_from is not None else None,
        date_to=_rounded_up(query.date_to) if query.date_to is not None else None,
    )


def _rounded_up(text: str) -> str:
    floor = whole_seconds(text)
    try:
        return whole_seconds((moment(floor) + timedelta(seconds=1)).isoformat()) if has_fraction(text) else floor
    except OverflowError:
        return floor  # the last second that a calendar has


def _worded(body: Document, dialect: Dialect) -> Document:
    """The answer to a command, or its result, as a bare word where the peer has it so (``commands.body``)."""
    wanted = dialect.policy.commands_body == "bare_string" and body.kind in (Kind.COMMAND_RESPONSE, Kind.COMMAND_RESULT)
    return Document(body.kind, body.data["result"]) if wanted and isinstance(body.data, dict) else body


def _from(message: Message) -> Party | None:
    """Whom a request names as its sender. A CDR's owner stands nowhere else, so it comes before a hub that sends it."""
    return message.ref.owner if (message.module, message.verb) == (Module.CDRS, Verb.POST) else message.sender


def _routes(dialect: Dialect) -> bool:
    """Whether routing headers are written on this link: towards a backend, and where its file says so."""
    wanted = dialect.policy.routing_headers_on_211
    return wanted == "accept+send" or (dialect.backend and wanted != "ignore")


def _routing(dialect: Dialect, *, to: Party | None, from_: Party | None) -> dict[str, str]:
    if not _routes(dialect):
        return {}
    return TO.write(to, spelling(dialect)) | FROM.write(from_, spelling(dialect))


ADAPTER: Final = Ocpi211()
