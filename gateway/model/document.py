"""Documents: objects of the specification as plain JSON values, and the judge of what a partner sent.

What travels through the gateway is the value that was sent (dict, list, str, bool, None, int, and Decimal where the
text had a point or an exponent), never an attrs object written out again: absence, null and a default are three
different things, unknown fields have no attribute to live in, and ``0.10`` must leave as ``0.10``. The attrs classes
are the *schema*, and the typed view for code that reads.

**Fast when right, slow when wrong.** :func:`msgspec.convert` judges a value against a class in a few microseconds,
and nearly everything that arrives is right. Only what it refuses is walked in Python, along a tree of *shapes*
compiled once per class from the same annotations. The walk does what a partner deserves and msgspec doesn't offer:

- it **settles** the spellings that peers (and the specification's own examples) use for a value that is beyond doubt:
  ``16.0`` for the integer 16, ``"2.00"`` for a number, ``-1`` for a text that names a floor;
- or it names the **first** wrong field, in the order of the specification's table, with a path that the partner can
  find in its own body, in plain words, and without repeating the value, which may be a secret.

Nothing else is coerced: ``5`` is no id, ``"false"`` is no boolean, 16.9 is no integer. Null stands for "absent"
wherever a field may be absent (2.2.1 ``terminology``, Cardinality). Nothing is dropped, and nothing that is right is
copied.
"""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum
from functools import cache
from types import NoneType
from typing import Annotated, Any, Final, Protocol, TypeVar, get_args, get_origin, get_type_hints

import attrs
import msgspec
from attrs import frozen
from cattrs import Converter
from msgspec import Meta

from gateway.model.cdrs import CDR
from gateway.model.charging_profiles import (
    ActiveChargingProfile,
    ActiveChargingProfileResult,
    ChargingProfileResponse,
    ChargingProfileResult,
    ClearProfileResult,
    SetChargingProfile,
)
from gateway.model.commands import (
    CancelReservation,
    CommandResponse,
    CommandResult,
    ReserveNow,
    StartSession,
    StopSession,
    UnlockConnector,
)
from gateway.model.credentials import Credentials
from gateway.model.errors import InvalidObject
from gateway.model.hub_client_info import ClientInfo
from gateway.model.locations import EVSE, Connector, Location
from gateway.model.modules import Kind
from gateway.model.sessions import ChargingPreferences, Session
from gateway.model.tariffs import Tariff
from gateway.model.tokens import AuthorizationInfo, LocationReferences, Token
from gateway.model.types import FromNumber, Max, Number, Open

T = TypeVar("T")

CLASSES: Final[dict[Kind, type]] = {
    Kind.LOCATION: Location,
    Kind.EVSE: EVSE,
    Kind.CONNECTOR: Connector,
    Kind.SESSION: Session,
    Kind.CDR: CDR,
    Kind.TARIFF: Tariff,
    Kind.TOKEN: Token,
    Kind.AUTHORIZATION_INFO: AuthorizationInfo,
    Kind.LOCATION_REFERENCES: LocationReferences,
    Kind.CREDENTIALS: Credentials,
    Kind.START_SESSION: StartSession,
    Kind.STOP_SESSION: StopSession,
    Kind.RESERVE_NOW: ReserveNow,
    Kind.UNLOCK_CONNECTOR: UnlockConnector,
    Kind.CANCEL_RESERVATION: CancelReservation,
    Kind.COMMAND_RESPONSE: CommandResponse,
    Kind.COMMAND_RESULT: CommandResult,
    Kind.CHARGING_PREFERENCES: ChargingPreferences,
    Kind.SET_CHARGING_PROFILE: SetChargingProfile,
    Kind.ACTIVE_CHARGING_PROFILE: ActiveChargingProfile,
    Kind.CHARGING_PROFILE_RESPONSE: ChargingProfileResponse,
    Kind.CHARGING_PROFILE_RESULT: ChargingProfileResult,
    Kind.ACTIVE_CHARGING_PROFILE_RESULT: ActiveChargingProfileResult,
    Kind.CLEAR_PROFILE_RESULT: ClearProfileResult,
    Kind.CLIENT_INFO: ClientInfo,
}
"""The canonical class of each kind of document."""


@frozen
class Document:
    """A canonical object in flight: what it is, and its JSON value in the shape of ``CLASSES[kind]``."""

    kind: Kind
    data: Any

    def view(self) -> Any:
        """The data as an object of its canonical class, for code that reads.

        Raises:
            InvalidObject: the data isn't of that shape.
        """
        return structure(CLASSES[self.kind], self.data)


def structure(cls: type[T], data: Any) -> T:
    """The JSON value as an object of the class (or, for ``list[cls]``, as a list of them); unknown fields don't show.

    Raises:
        InvalidObject: with the JSON path of the first field that is missing or mistyped.
    """
    return _CONVERTER.structure(data, cls)


def validate(cls: type[Any], data: Any) -> Any:
    """The JSON value, settled: the same object if nothing had to be, else a copy of the parts that changed.

    Args:
        cls: a class of the canonical model or of a version's wire objects, or ``list[cls]``.
        data: JSON as the codec decodes it, numbers with decimals as Decimal.

    Raises:
        InvalidObject: with the JSON path of the first field that is missing or mistyped.
    """
    try:
        _convert(data, cls)
    except msgspec.ValidationError:
        return _settled(data, cls)
    return data


def _convert(data: Any, cls: Any) -> Any:
    # Decimal counts as a JSON type of its own: otherwise msgspec reads texts and binary floats as decimals, too.
    return msgspec.convert(data, cls, builtin_types=(Decimal,))


def _settled(data: Any, cls: Any) -> Any:
    return shape(cls).settle(data, "$")


def _structure(data: Any, cls: Any) -> Any:
    try:
        return _convert(data, cls)
    except msgspec.ValidationError:
        return _convert(_settled(data, cls), cls)


def _has_shape(cls: Any) -> bool:
    return attrs.has(cls) or get_origin(cls) is list


_CONVERTER: Final = Converter()
_CONVERTER.register_structure_hook_func(_has_shape, _structure)


# --- shapes ---------------------------------------------------------------------------------------------------------


class Shape(Protocol):
    """How one JSON value must look."""

    def settle(self, value: Any, path: str) -> Any:
        """The value, or the value that it is beyond doubt meant to be.

        Raises:
            InvalidObject: it is neither; names the first wrong part, ``path`` being the path of the value.
        """


@frozen
class Boolean:
    """``true`` or ``false``, nothing that resembles them."""

    def settle(self, value: Any, path: str) -> Any:
        if isinstance(value, bool):
            return value
        raise _mistyped(path, "a boolean", value)


@frozen
class Integer:
    """An integer; ``16.0`` and ``1.6E1`` are spellings of one.

    Attributes:
        limit: the most digits by specification, not enforced; None: no limit.
    """

    limit: int | None = None

    def settle(self, value: Any, path: str) -> Any:
        if type(value) is int:
            return value
        if not isinstance(value, Decimal):
            raise _mistyped(path, "an integer", value)
        # Up to 18 digits: nobody means more, and 1E+999999 mustn't be written out.
        if value.is_finite() and value.adjusted() < 18 and value == value.to_integral_value():
            return int(value)
        raise InvalidObject(path, "expected an integer, got another number")


@frozen
class Numeric:
    """A number; a text that holds nothing else is a spelling of one."""

    def settle(self, value: Any, path: str) -> Any:
        if type(value) in (int, Decimal):
            return value
        if isinstance(value, str) and _NUMERIC(value):
            return Decimal(value)
        raise _mistyped(path, "a number", value)


@frozen
class Text:
    """A text, perhaps of a form that is enforced.

    Attributes:
        form: the enforced form; None: any text.
        limit: the most characters by specification, not enforced; None: no limit.
        known: for an open enumeration, the enum with the values that the specification knows.
        from_number: a number is a spelling of it.
    """

    form: Meta | None = None
    limit: int | None = None
    known: type[StrEnum] | None = None
    from_number: bool = False

    def settle(self, value: Any, path: str) -> Any:
        if isinstance(value, str):
            if self.form is None or _matches(self.form, value):
                return value
            raise InvalidObject(path, f"expected {self.form.description}" + ("" if value else ", got an empty string"))
        if self.from_number and type(value) in (int, Decimal):
            return str(value)
        raise _mistyped(path, "a string", value)


@frozen
class Sequence:
    """A list of items of one shape.

    Attributes:
        item: how each of them must look.
        filled: there must be one (cardinality ``+``).
    """

    item: Shape
    filled: bool

    def settle(self, value: Any, path: str) -> Any:
        if not isinstance(value, list):
            raise _mistyped(path, "a list", value)
        if self.filled and not value:
            raise InvalidObject(path, "must not be empty")
        settled = [self.item.settle(item, f"{path}[{index}]") for index, item in enumerate(value)]
        return value if all(new is old for new, old in zip(settled, value, strict=True)) else settled


@frozen
class Field:
    """A field of an object: whether it must be there, and how it looks if it is."""

    required: bool
    shape: Shape


@frozen
class Structured:
    """An object with the fields of a class, in the order of the specification's table, and any others."""

    cls: type
    fields: dict[str, Field]

    def settle(self, value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise _mistyped(path, "an object", value)
        changes = {}
        for name, wanted in self.fields.items():
            old = value.get(name)
            if old is not None:
                new = wanted.shape.settle(old, f"{path}.{name}")
                if new is not old:
                    changes[name] = new
            elif wanted.required:
                raise InvalidObject(f"{path}.{name}", "required")
        return value | changes if changes else value


@cache
def shape(hint: Any) -> Shape:
    """The shape that a class, or the annotation of a field, describes. Compiled once.

    Raises:
        TypeError: the annotation isn't made of the words in :mod:`gateway.model.types`; a mistake of ours.
    """
    if hint in (Number, Number | None):
        return Numeric()
    bare, notes = _unwrap(hint)
    if bare is str:
        return _text(notes)
    if bare is int:
        return Integer(_limit(notes))
    if bare is bool:
        return Boolean()
    if get_origin(bare) is list:
        return Sequence(shape(*get_args(bare)), filled=any(isinstance(note, Meta) for note in notes))
    if attrs.has(bare):
        return Structured(bare, _fields(bare))
    raise TypeError(f"no shape for {hint!r}")


def _unwrap(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without ``| None`` and ``Annotated``, and the notes it is annotated with, the outermost first."""
    members = [member for member in get_args(hint) if member is not NoneType]
    bare = members[0] if NoneType in get_args(hint) and len(members) == 1 else hint
    if get_origin(bare) is not Annotated:
        return bare, ()
    bare, *notes = get_args(bare)
    return bare, tuple(reversed(notes))


def _fields(cls: type) -> dict[str, Field]:
    hints = get_type_hints(cls, include_extras=True)
    attributes: tuple[attrs.Attribute[Any], ...] = attrs.fields(cls)
    return {each.name: Field(each.default is attrs.NOTHING, shape(hints[each.name])) for each in attributes}


def _text(notes: tuple[Any, ...]) -> Text:
    return Text(
        form=next((note for note in notes if isinstance(note, Meta)), None),
        limit=_limit(notes),
        known=next((note.known for note in notes if isinstance(note, Open)), None),
        from_number=any(isinstance(note, FromNumber) for note in notes),
    )


def _limit(notes: tuple[Any, ...]) -> int | None:
    return next((note.length for note in notes if isinstance(note, Max)), None)


_NUMERIC: Final = re.compile(r"\A-?[0-9]{1,20}(?:\.[0-9]{1,20})?\Z").search


def _matches(form: Meta, text: str) -> bool:
    """What msgspec does with a form."""
    long_enough = form.min_length is None or len(text) >= form.min_length
    short_enough = form.max_length is None or len(text) <= form.max_length
    return long_enough and short_enough and (form.pattern is None or re.search(form.pattern, text) is not None)


def _mistyped(path: str, wanted: str, value: Any) -> InvalidObject:
    nouns = {
        NoneType: "null",
        bool: "a boolean",
        int: "a number",
        Decimal: "a number",
        str: "a string",
        list: "a list",
        dict: "an object",
    }
    return InvalidObject(path, f"expected {wanted}, got {nouns.get(type(value), type(value).__name__)}")
