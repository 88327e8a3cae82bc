"""OCPI 2.2.1: owners in URL and body, routing headers, one link for many parties. The canonical form is its form.

Spec: 2.2.1 ``transport_and_format``, ``credentials``, ``status_codes``, and the modules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import evolve, frozen

from adapters import envelope
from adapters.changes import Patching, PatchRules
from adapters.headers import FROM, TO, read_trace, sent_back, write_trace
from adapters.ocpi_2_2_1 import bodies, credentials
from adapters.ocpi_2_2_1.urls import PATHS
from adapters.parties import addressee, caller, check_owner, party_of, playing
from adapters.paths import check_id
from adapters.transport import as_alpha_2, named_module, write_request
from gateway.model.dialect import Dialect, Seat
from gateway.model.document import Document
from gateway.model.errors import InvalidObject, NotFound
from gateway.model.facts import Crossing, Needs, Translated
from gateway.model.message import Answer, HttpAnswer, HttpRequest, Message, Ref
from gateway.model.modules import MODULES, Kind, Module, Side
from gateway.model.names import fold
from gateway.model.party import Party
from gateway.model.peer import PeerCredentials
from gateway.model.tables import MapTable

_VERSION: Final = "2.2.1"
_RFID: Final = "RFID"  # the default of every ?type= in mod_tokens
_SIDES: Final = {side.lower(): side for side in Side}
_OWNED: Final = frozenset({Kind.LOCATION, Kind.SESSION, Kind.TARIFF, Kind.TOKEN})

_PATCH_RULES: Final = PatchRules(
    patchable=frozenset({Kind.LOCATION, Kind.SESSION, Kind.TOKEN}),
    stamped=frozenset({Kind.LOCATION, Kind.SESSION, Kind.TOKEN}),
    periods=lambda stored, new, policy: [*stored, *new],  # mod_sessions PATCH: a request to add all of them
)


@frozen(kw_only=True)
class Ocpi221(Patching):
    """The adapter of OCPI 2.2.1; see ``gateway/ports.py``."""

    version: str = _VERSION
    rules: PatchRules = _PATCH_RULES
    token_encoding: str = "base64"  # noqa: S105 - a name, no secret
    sends_routing_headers: bool = True

    # Bodies

    def up(self, kind: Kind, data: Any, crossing: Crossing) -> Translated | Needs:
        return bodies.up(kind, data, crossing)

    def down(self, kind: Kind, data: Any, crossing: Crossing) -> Translated | Needs:
        return bodies.down(kind, data, crossing)

    def explain(self, kind: Kind | None = None) -> tuple[MapTable, ...]:
        return ()

    def touched(self, kind: Kind, names: frozenset[str], *, up: bool) -> frozenset[str]:
        return names  # the canonical form is this version's

    # Transport

    def open_request(self, http: HttpRequest, dialect: Dialect) -> Message:
        module, side, below = _interface(http.segments)
        path, verb, ref = PATHS.open(module, side, below, http.method)
        if ref.owner is not None:
            check_owner(ref.owner, dialect, module)
        body = path.body(verb, http)
        if body is not None:
            ref = _agreed(ref, path.kind, body.data, dialect)
        sender = caller(dialect, module, side, FROM.read(http.headers), ref.owner)
        receiver = addressee(dialect, module, side, TO.read(http.headers))
        if path.action is not None:  # an authorization is about a token of the party that is asked
            ref = evolve(ref, owner=receiver)
        if module is Module.TOKENS:
            ref = evolve(ref, type=_token_type(http.query, body if path.kind is Kind.TOKEN else None))
        return Message(
            module=module,
            verb=verb,
            side=side,
            sender=sender,
            receiver=receiver,
            ref=ref,
            trace=read_trace(http.headers),
            action=path.action,
            body=body,
            wire_version=self.version,
        )

    def write_request(self, message: Message, dialect: Dialect) -> HttpRequest:
        return write_request(
            message,
            dialect,
            PATHS.of(message),
            country=as_alpha_2,
            query={"type": message.ref.type or _RFID} if message.module is Module.TOKENS else {},
            routing=_routing(message, to=message.receiver, from_=message.sender),
        )

    def open_answer(self, http: HttpAnswer, message: Message, dialect: Dialect) -> Answer:
        return envelope.open_answer(http, message, PATHS.of(message), dialect)

    def write_answer(
        self, answer: Answer, message: Message | None, dialect: Dialect | None, unopened: HttpRequest | None = None
    ) -> HttpAnswer:
        if message is None:
            return envelope.write_answer(answer, sent_back(unopened.headers) if unopened else {})
        ourselves = dialect.ours[0].party if dialect else None
        routing = _routing(message, to=message.sender, from_=message.receiver or ourselves)
        return envelope.write_answer(answer, write_trace(message.trace) | routing)

    # Registration

    def write_details(self, dialect: Dialect) -> Any:
        return credentials.write_details(dialect, self.version)

    def read_details(self, data: Any, theirs: Sequence[Seat]) -> Mapping[tuple[Module, Side], str]:
        return credentials.read_details(data)

    def write_credentials(self, token: str, dialect: Dialect) -> Any:
        return credentials.write_credentials(token, dialect)

    def read_credentials(self, data: Any, theirs: Sequence[Seat]) -> PeerCredentials:
        return credentials.read_credentials(data)


def _interface(segments: Sequence[str]) -> tuple[Module, Side, Sequence[str]]:
    if len(segments) < 2 or segments[0] not in _SIDES:
        raise NotFound("no such resource")
    return named_module(segments[1]), _SIDES[segments[0]], segments[2:]


def _routing(message: Message, *, to: Party | None, from_: Party | None) -> dict[str, str]:
    """Routing headers, on functional modules only. Spec: ``transport_and_format``, Message Routing Headers."""
    if not MODULES[message.module].functional:
        return {}
    return TO.write(to, as_alpha_2) | FROM.write(from_, as_alpha_2)


def _agreed(ref: Ref, kind: Kind, data: Any, dialect: Dialect) -> Ref:
    """The reference of a request with a body, after body and URL were found to agree.

    Raises:
        InvalidObject: id or owner in the body contradict the URL, or a CDR is somebody else's.
    """
    if kind is Kind.CDR:
        return _cdr(data, dialect)
    if kind is not Kind.LOCATION_REFERENCES:
        check_id(kind, data, ref)
    if kind in _OWNED and ref.owner is not None:
        _check_body_owner(data, ref.owner)
    return ref


def _cdr(data: Any, dialect: Dialect) -> Ref:
    """The reference of a CDR, whose URL names nothing: owner and id are in the body. Spec: ``mod_cdrs``, POST."""
    for name in ("country_code", "party_id", "id"):
        if not isinstance(data.get(name), str):
            raise InvalidObject(f"$.{name}", "required" if data.get(name) is None else "expected a string")
    owner = party_of(data["country_code"], data["party_id"], "$")
    if owner not in playing(dialect.theirs, Module.CDRS, Side.SENDER):
        raise InvalidObject("$.party_id", f"{owner} is none of your parties that own {Module.CDRS}")
    return Ref(owner=owner, id=data["id"])


def _check_body_owner(data: Any, owner: Party) -> None:
    """That the owner in the body is the one in the URL. What is missing or no text is left to validation.

    Spec: ``mod_locations`` PUT, Request Parameters ("SHALL be the same value"), and the same of the other modules.
    """
    country, party_id = data.get("country_code"), data.get("party_id")
    if isinstance(country, str) and party_of(country, owner.party_id, "$") != owner:
        raise InvalidObject("$.country_code", "is not the country in the URL")
    if isinstance(party_id, str) and fold(party_id) != owner.party_id:
        raise InvalidObject("$.party_id", "is not the party in the URL")


def _token_type(query: Mapping[str, str], body: Document | None) -> str:
    """A token's type: from the query; where that doesn't say, from the body of a PUT; else the default.

    A PUT of an APP_USER token without the parameter would, to the letter, be one of type RFID. Peers leave it out.
    """
    asked, said = query.get("type"), body.data.get("type") if body else None
    if not isinstance(said, str):
        return asked or _RFID
    if asked and fold(asked) != fold(said):
        raise InvalidObject("$.type", "is not the type in the URL")
    return said


ADAPTER: Final = Ocpi221()
