"""OCPI 2.2.1: owners in URL and body, routing headers, one link for many parties. The canonical form is its form.

Spec: 2.2.1 ``transport_and_format``, ``credentials``, ``status_codes``, and the modules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from attrs import evolve, frozen

from adapters import envelope
from adapters.changes import Patching, PatchRules
from adapters.headers import FROM, TO, read_trace, sent_back, write_trace
from adapters.lengths import too_long
from adapters.ocpi_2_2_1 import bodies, credentials
from adapters.ocpi_2_2_1.urls import PATHS
from adapters.parties import (
    addressee,
    caller,
    check_named,
    check_owner,
    first,
    named_receiver,
    owns,
    party_of,
    with_owner,
)
from adapters.paths import CALLBACK, Path, check_id
from adapters.queries import read_query
from adapters.transport import (
    as_alpha_2,
    callback_url,
    is_callback,
    named_module,
    open_callback,
    path_of,
    write_callback,
    write_request,
)
from gateway.model.dialect import Dialect, Seat
from gateway.model.document import CLASSES, Document
from gateway.model.errors import InvalidObject, NotFound
from gateway.model.facts import Crossing, Needs, Translated
from gateway.model.message import Answer, HttpAnswer, HttpRequest, Message, Ref
from gateway.model.modules import MODULES, Kind, Module, Side, Verb
from gateway.model.names import fold
from gateway.model.party import Party
from gateway.model.peer import PeerCredentials
from gateway.model.tables import MapTable
from gateway.model.values import pointer

_VERSION: Final = "2.2.1"
_RFID: Final = "RFID"  # the default of every ?type= in mod_tokens
_SIDES: Final = {side.lower(): side for side in Side}
_OWNED: Final = frozenset({Kind.LOCATION, Kind.SESSION, Kind.CDR, Kind.TARIFF, Kind.TOKEN, Kind.CLIENT_INFO})

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
    modules: frozenset[Module] = frozenset(Module)
    sends_routing_headers: bool = True

    # Bodies

    def up(self, kind: Kind, data: Any, crossing: Crossing) -> Translated | Needs:
        return bodies.up(kind, data, crossing)

    def down(self, kind: Kind, data: Any, crossing: Crossing) -> Translated | Needs:
        return bodies.down(kind, data, crossing)

    def too_long(self, kind: Kind, data: Any) -> tuple[str, ...]:
        return tuple(pointer(place) for place, _ in too_long(CLASSES[kind], data))

    def explain(self, kind: Kind | None = None) -> tuple[MapTable, ...]:
        return ()

    def touched(self, kind: Kind, names: frozenset[str], *, up: bool) -> frozenset[str]:
        return names  # the canonical form is this version's

    # Transport

    def open_request(self, http: HttpRequest, dialect: Dialect) -> Message:
        if is_callback(http.segments):
            return _callback(http, dialect)
        module, side, below = _interface(http.segments)
        path, verb, ref = PATHS.open(module, side, below, http.method)
        if ref.owner is not None and MODULES[module].functional:
            check_owner(ref.owner, dialect, module)
        body = path.body(verb, http)
        if body is not None:
            ref = _agreed(ref, path.kind, body.data, dialect)
        sender, receiver = _between(http, dialect, path, ref.owner)
        if module is Module.TOKENS and not path.lists:
            ref = evolve(ref, type=_token_type(http.query, body if path.kind is Kind.TOKEN else None))
        return Message(
            module=module,
            verb=verb,
            side=side,
            sender=sender,
            receiver=receiver,
            ref=with_owner(ref, path, sender, receiver),
            query=read_query(path, http.query),
            trace=read_trace(http.headers),
            action=path.action,
            body=body,
            wire_version=_VERSION,
        )

    def write_request(self, message: Message, dialect: Dialect) -> HttpRequest:
        path = path_of(PATHS, message, dialect)
        return write_request(
            message,
            dialect,
            path,
            country=as_alpha_2,
            query={"type": message.ref.type or _RFID} if path.module is Module.TOKENS and not path.lists else {},
            routing=_routing(message, to=named_receiver(message, dialect), from_=message.sender),
        )

    def open_answer(self, http: HttpAnswer, message: Message, dialect: Dialect, called: str | None = None) -> Answer:
        answer = envelope.open_answer(http, message, PATHS.of(message), dialect, called)
        with suppress(InvalidObject):  # who answers is news for open routing only, and no reason to drop an answer
            answer = answer.evolve(sender=FROM.read(http.headers))
        return answer

    def write_answer(
        self, answer: Answer, message: Message | None, dialect: Dialect | None, unopened: HttpRequest | None = None
    ) -> HttpAnswer:
        answer = envelope.from_an_operator(answer, dialect)
        if message is None:
            return envelope.write_answer(answer, sent_back(unopened.headers) if unopened else {})
        ourselves = dialect.ours[0].party if dialect else None
        routing = _routing(message, to=message.sender, from_=answer.sender or message.receiver or ourselves)
        return envelope.write_answer(answer, write_trace(message.trace) | routing)

    def callback_url(self, id: str, dialect: Dialect) -> str:
        return callback_url(id, dialect, self.version)

    def write_callback(self, message: Message, url: str, dialect: Dialect) -> HttpRequest:
        routing = _routing(message, to=named_receiver(message, dialect), from_=message.sender)
        return write_callback(message, url, dialect, routing=routing)

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


def _between(http: HttpRequest, dialect: Dialect, path: Path, owner: Party | None) -> tuple[Party, Party | None]:
    """Who sends a request, and whom it is for: by its routing headers, which configuration modules don't have."""
    module, side = path.module, path.side
    if not MODULES[module].functional:
        return first(dialect.theirs, module, side.other), first(dialect.ours, module, side)
    sender, receiver = FROM.read(http.headers), TO.read(http.headers)
    check_named(dialect, sender, receiver, version_has_them=True)
    return caller(dialect, module, side, sender, owner), addressee(dialect, module, side, receiver)


def _callback(http: HttpRequest, dialect: Dialect) -> Message:
    """A result of something asked of one of theirs. Its URL says whose answer it is, so TO may be missing."""
    ref, body = open_callback(http)
    claimed = FROM.read(http.headers) or first(dialect.theirs, CALLBACK.module, CALLBACK.side.other)
    return Message(
        module=CALLBACK.module,
        verb=Verb.POST,
        side=CALLBACK.side,
        sender=caller(dialect, CALLBACK.module, CALLBACK.side, claimed, None),
        receiver=TO.read(http.headers),
        ref=ref,
        trace=read_trace(http.headers),
        action=CALLBACK.action,
        body=body,
        wire_version=_VERSION,
    )


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
    check_id(kind, data, ref)
    if kind in _OWNED and ref.owner is not None:
        _check_body_owner(data, ref.owner)
    return _cdr(data, dialect) if kind is Kind.CDR else ref


def _cdr(data: Any, dialect: Dialect) -> Ref:
    """The reference of a CDR, whose URL need name nothing: owner and id are in the body. Spec: ``mod_cdrs``, POST."""
    for name in ("country_code", "party_id", "id"):
        if not isinstance(data.get(name), str):
            raise InvalidObject(f"$.{name}", "required" if data.get(name) is None else "expected a string")
    owner = party_of(data["country_code"], data["party_id"], "$")
    if not owns(owner, dialect, Module.CDRS):
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
