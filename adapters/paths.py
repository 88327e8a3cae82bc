"""Paths as a table: one row per resource, as the specification's chapters have them.

Each version writes its resources down in a ``Paths`` table. The same rows open what comes in and spell what goes out,
so a path can't be understood in one way and written in another. Ids of a path are judged like the ids of a body
(``model/types.py``), and owners are parties: alpha-2 or alpha-3, any case, never cut.

Spec: 2.2.1 ``transport_and_format`` (Client Owned Object Push) and the "Interfaces and endpoints" of each
module; 2.1.1 the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen

from gateway.model.document import Document, shape
from gateway.model.errors import InvalidObject, NotAllowed, NotFound
from gateway.model.facts import ABSENT
from gateway.model.message import HttpRequest, Message, Ref
from gateway.model.modules import Kind, Module, Side, Verb
from gateway.model.names import fold
from gateway.model.party import Party
from gateway.model.types import Id

_ID: Final = shape(Id)
_OWNER: Final = ("{country_code}", "{party_id}")
# The specification's names of path parameters, and where a Ref keeps them.
_REF_FIELDS: Final = {
    "{location_id}": "id",
    "{session_id}": "id",
    "{tariff_id}": "id",
    "{cdr}": "id",
    "{token_uid}": "id",
    "{evse_uid}": "evse_uid",
    "{connector_id}": "connector_id",
}
_WITH_BODY: Final = frozenset({Verb.PUT, Verb.PATCH, Verb.POST})


def id_field(kind: Kind) -> str:
    """The field that identifies an object of this kind: EVSEs and tokens have a ``uid``."""
    return "uid" if kind in (Kind.EVSE, Kind.TOKEN) else "id"


@frozen
class Path:
    """One resource.

    Attributes:
        module, side: the interface it belongs to; the side is the one that is called.
        below: its path below the module's endpoint, parameters in braces under the specification's names.
        verbs: the methods it has.
        kind: what the bodies of its requests are.
        answer: what the data of a good answer is, None where the specification leaves it open.
        action: ``authorize``, for a resource that is no object.
        body_optional: whether a request may come without a body.
    """

    module: Module
    side: Side
    below: str
    verbs: tuple[Verb, ...]
    kind: Kind
    answer: Kind | None = field(default=None, kw_only=True)
    action: str | None = field(default=None, kw_only=True)
    body_optional: bool = field(default=False, kw_only=True)
    segments: tuple[str, ...] = field(init=False)

    @segments.default
    def _split(self) -> tuple[str, ...]:
        return tuple(self.below.split("/")) if self.below else ()

    def fits(self, segments: Sequence[str]) -> bool:
        """Whether these segments can be this resource: as many, and the literal ones equal."""
        return len(segments) == len(self.segments) and all(
            ours.startswith("{") or ours == theirs for ours, theirs in zip(self.segments, segments, strict=True)
        )

    def ref(self, segments: Sequence[str]) -> Ref:
        """The reference that these segments spell.

        Raises:
            InvalidObject: an id that is none.
            NotFound: an owner in a country that doesn't exist, or an id of ``.`` or ``..``.
        """
        values = {name: segment for name, segment in zip(self.segments, segments, strict=True) if name[0] == "{"}
        for name, value in values.items():
            if value in (".", ".."):
                raise NotFound("no such resource")
            _ID.settle(value, name)
        owner = _owner(*(values[name] for name in _OWNER)) if _OWNER[0] in values else None
        return Ref(owner=owner, **{_REF_FIELDS[name]: value for name, value in values.items() if name not in _OWNER})

    def spell(self, ref: Ref, country: Callable[[str], str]) -> tuple[str, ...]:
        """The segments below the endpoint for a reference; ``country`` spells the owner's country code."""
        values = {name: getattr(ref, attribute) for name, attribute in _REF_FIELDS.items()}
        if ref.owner is not None:
            values |= zip(_OWNER, (country(ref.owner.country_code), ref.owner.party_id), strict=True)
        return tuple(values.get(segment, segment) for segment in self.segments)

    def body(self, verb: Verb, http: HttpRequest) -> Document | None:
        """The body of a request, still in wire form: a JSON object, or None where there is none to be read.

        Raises:
            InvalidObject: it is missing, or no object.
        """
        if verb not in _WITH_BODY:
            return None
        if http.body is ABSENT or http.body is None:
            if self.body_optional:
                return None
            raise InvalidObject("$", "required")
        if not isinstance(http.body, dict):
            raise InvalidObject("$", "expected an object")
        return Document(self.kind, http.body)


def _owner(country_code: str, party_id: str) -> Party:
    if not (country_code.isascii() and party_id.isascii()):
        raise InvalidObject("{country_code}/{party_id}", "expected letters and digits of ASCII")
    try:
        return Party.of(country_code, party_id)
    except ValueError as error:
        raise NotFound(str(error)) from None


@frozen
class Paths:
    """All resources of one version."""

    rows: tuple[Path, ...]

    def open(self, module: Module, side: Side, segments: Sequence[str], method: str) -> tuple[Path, Verb, Ref]:
        """The resource that a request addresses. One empty last segment, a trailing slash, is as good as none.

        Raises:
            NotFound: there is no such path.
            NotAllowed: the path is known, the method isn't one of its.
            InvalidObject: an id that is none.
        """
        if segments and segments[-1] == "":
            segments = segments[:-1]
        rows = [row for row in self.rows if (row.module, row.side) == (module, side) and row.fits(segments)]
        if not rows:
            raise NotFound("no such resource")
        for row in rows:
            if method in row.verbs:
                return row, Verb(method), row.ref(segments)
        allow = tuple(verb for row in rows for verb in row.verbs)
        raise NotAllowed(f"{method} is not a method of this resource", allow)

    def of(self, message: Message) -> Path:
        """The resource that a message is about.

        Raises:
            NotAllowed: this version has none, or not with this method.
        """
        depth = (message.ref.evse_uid is not None, message.ref.connector_id is not None)
        for row in self.rows:
            if (row.module, row.side, row.action) == (message.module, message.side, message.action) and (
                message.verb in row.verbs and depth == tuple(name in row.segments for name in _PIECES)
            ):
                return row
        raise NotAllowed(f"this version has no {message.verb} of {message.action or message.module}")


_PIECES: Final = ("{evse_uid}", "{connector_id}")


def addressed_id(ref: Ref) -> str:
    """The id of the piece that a reference addresses: connector, EVSE, or the object."""
    return ref.connector_id or ref.evse_uid or ref.id


def check_id(kind: Kind, data: Mapping[str, Any], ref: Ref) -> None:
    """That a body and its URL name the same object. An id that is missing, or no text, is left to validation.

    Spec: 2.2.1 ``transport_and_format`` (Errors), 2.1.1 the same: 2001.

    Raises:
        InvalidObject: they don't.
    """
    name = id_field(kind)
    if isinstance(inner := data.get(name), str) and fold(inner) != fold(addressed_id(ref)):
        raise InvalidObject(f"$.{name}", "is not the id in the URL")
