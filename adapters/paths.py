"""Paths as a table: one row per resource, as the specification's chapters have them.

Each version writes its resources down in a ``Paths`` table. The same rows open what comes in and spell what goes out,
so a path can't be understood in one way and written in another. Ids of a path are judged like the ids of a body
(``model/types.py``), and owners are parties: alpha-2 or alpha-3, any case, never cut. A row also says what a good
answer carries, and which parameters a request can't do without.

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
# The specification's names of path parameters (a callback's path is ours to define), and where a Ref keeps them.
_REF_FIELDS: Final = {
    "{location_id}": "id",
    "{session_id}": "id",
    "{tariff_id}": "id",
    "{cdr}": "id",
    "{token_uid}": "id",
    "{callback_id}": "id",
    "{evse_uid}": "evse_uid",
    "{connector_id}": "connector_id",
}
_PIECES: Final = ("{evse_uid}", "{connector_id}")
_WITH_BODY: Final = frozenset({Verb.PUT, Verb.PATCH, Verb.POST})
_WITH_ID: Final = frozenset({Kind.LOCATION, Kind.CONNECTOR, Kind.SESSION, Kind.CDR, Kind.TARIFF})
_WITH_UID: Final = frozenset({Kind.EVSE, Kind.TOKEN})


def id_field(kind: Kind) -> str:
    """The field that identifies an object of this kind: EVSEs and tokens have a ``uid``."""
    return "uid" if kind in _WITH_UID else "id"


def has_id(kind: Kind) -> bool:
    """Whether objects of this kind have an id of their own; commands and profiles, for example, have none."""
    return kind in _WITH_ID or kind in _WITH_UID


@frozen
class Path:
    """One resource.

    Attributes:
        module, side: the interface it belongs to; the side is the one that is called.
        below: its path below the module's endpoint, parameters in braces under the specification's names.
        verbs: the methods it has.
        kind: the object it is: what the bodies of its requests are, and the data of the answer to a GET.
        answer: what the data of a good answer is, where it is something else.
        word: whether that data may be a bare word: in place of the object, or because no object is defined.
        action: for a resource that is no object: ``authorize``, ``charging_preferences``, ``callback``, or a command.
        required: parameters that a request must have.
        body_optional: whether a request may come without a body.
    """

    module: Module
    side: Side
    below: str
    verbs: tuple[Verb, ...]
    kind: Kind
    answer: Kind | None = field(default=None, kw_only=True)
    word: bool = field(default=False, kw_only=True)
    action: str | None = field(default=None, kw_only=True)
    required: tuple[str, ...] = field(default=(), kw_only=True)
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

    @property
    def lists(self) -> bool:
        """Whether this is the list of a module's objects, a page at a time."""
        return self.side is Side.SENDER and not self.segments

    def answers(self, verb: Verb) -> Kind | None:
        """What the data of a good answer is (of a list: each item); None where the specification leaves it open."""
        return self.answer or (self.kind if verb is Verb.GET else None)

    def concerns(self, message: Message) -> bool:
        """Whether a message is a request to this resource."""
        if (self.module, self.side, self.action) != (message.module, message.side, message.action):
            return False
        pieces = (message.ref.evse_uid is not None, message.ref.connector_id is not None)
        if message.verb not in self.verbs or pieces != tuple(name in self.segments for name in _PIECES):
            return False
        # Of a list and an object, the id tells. It tells nothing of a POST: a CDR has an id that its URL doesn't name.
        return message.verb is not Verb.GET or bool(message.ref.id) == self._names_id

    @property
    def _names_id(self) -> bool:
        return any(_REF_FIELDS.get(segment) == "id" for segment in self.segments)

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

    def of(self, message: Message, *, with_owner: bool = False) -> Path:
        """The resource that a message is about.

        Args:
            with_owner: of several that would do, the one whose path names the owner.

        Raises:
            NotAllowed: this version has none, or not with this method.
        """
        rows = [row for row in (*self.rows, CALLBACK) if row.concerns(message)]
        if not rows:
            raise NotAllowed(f"this version has no {message.verb} of {message.action or message.module}")
        if with_owner and message.ref.owner is not None:
            return next((row for row in rows if _OWNER[0] in row.segments), rows[0])
        return rows[0]


CALLBACK: Final = Path(
    Module.COMMANDS, Side.SENDER, "{callback_id}", (Verb.POST,), Kind.COMMAND_RESULT, action="callback"
)
"""Where results are posted, of commands and of charging profiles: a URL of ours (of the asker's, on the way out).

Spec: 2.2.1 ``mod_commands`` and ``mod_charging_profiles``, Sender Interface: "No structure defined". 2.1.1 the same.
"""


def addressed_id(ref: Ref) -> str:
    """The id of the piece that a reference addresses: connector, EVSE, or the object."""
    return ref.connector_id or ref.evse_uid or ref.id


def check_id(kind: Kind, data: Mapping[str, Any], ref: Ref) -> None:
    """That a body and its URL name the same object. An id that is missing, or no text, is left to validation.

    Spec: 2.2.1 ``transport_and_format`` (Errors), 2.1.1 the same: 2001.

    Raises:
        InvalidObject: they don't.
    """
    if not (has_id(kind) and ref.id):
        return
    name = id_field(kind)
    if isinstance(inner := data.get(name), str) and fold(inner) != fold(addressed_id(ref)):
        raise InvalidObject(f"$.{name}", "is not the id in the URL")
