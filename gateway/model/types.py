"""The words in which the objects are written down: one annotation per data type of the specification.

A class of this package reads like its table in the specification: same order, same names, and the type says the rest.

    ===========================  =============================================================
    cardinality 1                ``name: X``
    cardinality ?                ``name: X | None = None``
    cardinality *                ``name: Many[X] = None`` (absent, null and ``[]`` mean the same)
    cardinality +                ``name: OneOrMore[X]``
    ===========================  =============================================================

What a partner sends is judged by these annotations, so they are exactly as strict as the gateway has to be, and no
more:

- **Ids are strict** (:data:`Id`): they become parts of URLs and keys of stores.
- **Times are strict in meaning, lenient in spelling** (:data:`DateTime`).
- **Lengths are known, not enforced** (:class:`Max`): a street name of 46 characters is no reason to refuse a location.
  They are there to be read: by the maps, which shorten for receivers that insist, and by the documentation.
- **Enumerations are open** (:class:`Open`): peers send values of other versions, and those are passed on. The enum
  lists the values that the specification knows.

:mod:`gateway.model.document` reads all of this. Spec: 2.2.1 ``types``; 2.1.1 ``types``.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, TypeAlias, TypeVar

from attrs import frozen
from msgspec import Meta

T = TypeVar("T")


@frozen
class Max:
    """The most characters (of an integer: digits) that the specification allows. Not enforced."""

    length: int


@frozen
class Open:
    """The values of an enumeration that the specification knows. Others are kept as they are."""

    known: type[StrEnum]


@frozen
class FromNumber:
    """A text that peers, and the specification's own examples, also write as a number; it is settled to text."""


Many: TypeAlias = list[T] | None
"""Cardinality ``*``: absent, null and an empty list all mean "none"."""

OneOrMore: TypeAlias = Annotated[list[T], Meta(min_length=1)]
"""Cardinality ``+``: required, and not empty."""

Number: TypeAlias = Decimal | int
"""A JSON number, exactly as it was written: never a float, so ``0.10`` leaves as ``0.10``. 2.2.1 ``types``, number."""

# No control, no invisible formatting character; and no "." or "..", which a URL can't carry as a segment.
_ID = (
    r"\A(?!\.{1,2}\Z)"
    r"[^\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]+\Z"
)

Id: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=_ID,
        description="an id of 1 to 255 printable characters",
    ),
]
"""An id, or a reference to one: of a party, location, EVSE, connector, session, CDR, tariff, token or contract.

Wider than the specification (printable ASCII, 2 to 39 characters), because an object shouldn't be refused for an id
that can be carried: lengths are the maps' business, and country codes may arrive as alpha-3.
"""

# RFC 3339 as OCPI narrows it, plus what peers and the specification's notes write: offsets, and months and days of one
# digit. The calendar is in the pattern, so that what passes can be parsed; the usual days come first, for speed.
_DATE_TIME = (
    r"\A(?!0000)(?:"
    r"[0-9]{4}-(?:0?[1-9]|1[0-2])-(?:0?[1-9]|1[0-9]|2[0-8])"
    r"|[0-9]{4}-(?:0?[13-9]|1[0-2])-(?:29|30)"
    r"|[0-9]{4}-(?:0?[13578]|1[02])-31"
    r"|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-0?2-29"
    r")[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?\Z"
)

DateTime: TypeAlias = Annotated[
    str,
    Meta(pattern=_DATE_TIME, description="a date and time such as 2015-06-29T20:39:09Z"),
    Max(25),
]
"""A moment in UTC, kept as the text that was sent. 2.2.1 ``types``, DateTime; 2.1.1 ``types`` 1.2.

``2015-06-29T20:39:09Z``, also without ``Z`` (still UTC), with a fraction of a second, with a numeric offset, or with
a month or day of one digit (``1970-1-1T00:00:00Z``, 2.2.1 ``mod_cdrs``, note on unknown times). A 24th hour, a leap
second and a 30th of February are refused.
"""

Url: TypeAlias = Annotated[str, Max(255)]
"""A URL. Looked at only when it is called. 2.2.1 ``types``, URL; 2.1.1 ``types`` 1.6."""

CountryCode: TypeAlias = Annotated[Id, Max(2)]
"""ISO 3166-1 alpha-2 code of a party's country; alpha-3, as some 2.1.1 peers write it, is admitted here."""

PartyId: TypeAlias = Annotated[Id, Max(3)]
"""Id of a party within its country (ISO 15118)."""

Country3: TypeAlias = Annotated[str, Max(3)]
"""ISO 3166-1 alpha-3 code of a country on the map; alpha-2, as in the specification's examples, is admitted."""

Currency: TypeAlias = Annotated[str, Max(3)]
"""ISO 4217 code of a currency."""

Language: TypeAlias = Annotated[str, Max(2)]
"""ISO 639-1 code of a language."""

CredentialsToken: TypeAlias = Annotated[
    str,
    Meta(pattern=r"\A[\x21-\x7e]+\Z", description="a token of visible ASCII characters without spaces"),
    Max(64),
]
"""What goes into the Authorization header. 2.2.1 ``credentials``, Credentials object: U+0021 to U+007E."""


@frozen(kw_only=True)
class DisplayText:
    """A text in one language, for a person to read. Spec: 2.2.1 ``types``, DisplayText class."""

    language: Language  # ISO 639-1
    text: Annotated[str, Max(512)]  # no markup
