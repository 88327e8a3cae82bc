"""Ids: whose an object is, and ids that are too long for the newer version.

2.1.1 objects don't say whose they are; the URL or the registration does (``crossing.owner``). And 2.1.1 allows 39
characters in the ids of locations and EVSEs where 2.2.1 has 36 (``mod_locations`` 3.1 and 3.2 against the Location and
EVSE objects): a longer one gets an alias made of its hash, so that every replica and every restart makes the same one.
"""

from __future__ import annotations

import re
from base64 import b32encode
from hashlib import sha256
from typing import Any, Final

from adapters.fieldmap import lossy
from gateway.model.country import alpha_3
from gateway.model.facts import UNKNOWN, Crossing, FactKind, Key, Lossy, Withheld
from gateway.model.party import Party

NOT_AVAILABLE: Final = "#NA"
"""What a required text says when there is no such data. Spec: 2.2.1 ``transport_and_format``, No data available."""

_ROOM: Final = 36
_ALIAS: Final = re.compile(r"h-[a-z2-7]{34}", re.IGNORECASE)


def owner(crossing: Crossing) -> Party:
    """The party that owns the object.

    Raises:
        Withheld: nobody said who that is, and this version can't.
    """
    if crossing.owner is None:
        raise Withheld("whose object this is, neither its version nor anybody else says", status=2001)
    return crossing.owner


def owner_country(crossing: Crossing) -> str:
    """the owner's country code"""
    return owner(crossing).country_code


def owner_id(crossing: Crossing) -> str:
    """the owner's party id"""
    return owner(crossing).party_id


def short_id(value: str, crossing: Crossing) -> Any:
    """over 36 characters an alias"""
    if len(value) <= _ROOM:
        return value
    # Ids compare without case, so their aliases must, too. 34 characters hold 170 bits.
    alias = "h-" + b32encode(sha256(value.upper().encode()).digest())[:34].decode().lower()
    crossing.learned[Key(FactKind.LONG_ID, None, alias)] = value
    return Lossy(alias, "longer than 36 characters: an alias stands for it")


def full_id(value: str, crossing: Crossing) -> Any:
    """an alias becomes the id that it stands for"""
    if not _ALIAS.fullmatch(value):
        return value
    known = crossing.facts.ask(Key(FactKind.LONG_ID, None, value))
    return value if known is UNKNOWN else known


def short_ids(value: list[str], crossing: Crossing) -> Any:
    """each over 36 characters an alias"""
    outcomes = [short_id(spelled, crossing) for spelled in value]
    reasons = {(at,): outcome.reason for at, outcome in enumerate(outcomes) if isinstance(outcome, Lossy)}
    return lossy([outcome.value if isinstance(outcome, Lossy) else outcome for outcome in outcomes], reasons)


def full_ids(value: list[str], crossing: Crossing) -> Any:
    """each alias becomes the id that it stands for"""
    return [full_id(spelled, crossing) for spelled in value]


def country_of_place(value: str) -> str:
    """alpha-3"""
    # Both versions say so, and the examples of both use alpha-2 here and there. It is the same country.
    return alpha_3(value) or value


def same_id(one: str, other: str) -> bool:
    """Whether two ids are equal: they compare without case (2.2.1 ``types``, CiString)."""
    return one.upper() == other.upper()
