"""Where the charge points of a feed are: a plan that is worked out, not kept.

Every location, EVSE and connector follows from its number, so that a feed of 25,000 connectors costs no more memory
than one of twenty, and its hundredth page no more time than its first. Our own come first, two EVSEs to a location; the
rest belongs to others, five connectors to a location, ten locations to an operator.

What is odd about the real thing is here too: an EVSE's uid is the operator's and isn't unique, a connector's id is
unique within its EVSE only, and EVSE ids come with separators and without.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import Final

from attrs import frozen

_SPREAD: Final = (("1", "2"), ("1", "2"), ("1",))
"""The connectors of the EVSEs of somebody else's location."""
_PER_LOCATION: Final = sum(map(len, _SPREAD))
_OWN_PER_LOCATION: Final = 2
_LOCATIONS_PER_OPERATOR: Final = 10
_COUNTRIES: Final = ("DE", "FR", "BE", "NL", "AT")
_ALPHA_3: Final = {"AT": "AUT", "BE": "BEL", "DE": "DEU", "DK": "DNK", "FR": "FRA", "NL": "NLD"}
_PARTY: Final = re.compile(r"([A-Z]{2})[*-]?([A-Z0-9]{3})")


@frozen
class Own:
    """An EVSE of the operator who reads the feed, as its own backend spells it: ``NL*EXA*E0001*1``."""

    evse_id: str
    connectors: tuple[str, ...] = ("1",)


@frozen
class Evse:
    """An EVSE as the feed has it."""

    uid: str
    evse_id: str
    connectors: tuple[str, ...]


@frozen
class Operator:
    """Who runs a location. ``ema_id`` is written ``NL*EXA``."""

    name: str
    country: str
    party: str

    @property
    def ema_id(self) -> str:
        return f"{self.country}*{self.party}"

    @property
    def alpha_3(self) -> str:
        return _ALPHA_3.get(self.country, self.country)


@frozen
class Spot:
    """One connector: number of its location, its EVSE, its own id."""

    location: int
    evse: Evse
    connector: str


def digest(*what: object) -> str:
    """32 hex digits that follow from ``what``, and from nothing else."""
    return hashlib.blake2b("/".join(map(str, what)).encode(), digest_size=16).hexdigest()


def plain(evse_id: str) -> str:
    """An EVSE id without separators."""
    return re.sub(r"[*-]", "", evse_id)


@frozen(slots=False)
class Layout:
    """The plan of a feed.

    Attributes:
        connectors: how many there are in all, those of ``own`` included; never fewer than these.
        own: the EVSEs of the operator who reads the feed.
    """

    connectors: int
    own: Sequence[Own]

    @cached_property
    def locations(self) -> int:
        """How many locations there are."""
        others = max(self.connectors - self._firsts[-1], 0)
        return len(self._ours) - -others // _PER_LOCATION

    @cached_property
    def _ours(self) -> tuple[tuple[Own, ...], ...]:
        step = _OWN_PER_LOCATION
        return tuple(tuple(self.own[start : start + step]) for start in range(0, len(self.own), step))

    @cached_property
    def _firsts(self) -> tuple[int, ...]:
        """Row of the first connector of each location of ours, and of the first location of others."""
        return (0, *accumulate(sum(len(evse.connectors) for evse in group) for group in self._ours))

    def is_own(self, location: int) -> bool:
        """Whether a location is of the operator who reads the feed."""
        return location < len(self._ours)

    def evses(self, location: int) -> tuple[Evse, ...]:
        """The EVSEs of a location. Of ours, every second one is spelled without separators."""
        if self.is_own(location):
            return tuple(
                Evse(str(900 + number), own.evse_id if number % 2 == 0 else plain(own.evse_id), own.connectors)
                for number, own in enumerate(self._ours[location])
            )
        left = self.connectors - self.first(location)
        found: list[Evse] = []
        for number, connectors in enumerate(_SPREAD):
            if left > 0:
                spelled = f"{self.operator(location).ema_id}*E{location:05}*{number + 1}"
                evse_id = plain(spelled) if location % 2 else spelled
                found.append(Evse(str(900 + number), evse_id, connectors[:left]))
            left -= len(connectors)
        return tuple(found)

    def first(self, location: int) -> int:
        """Row of the first connector of a location; of the number after the last one, how many connectors there are."""
        if self.is_own(location):
            return self._firsts[location]
        beyond = self._firsts[-1] + (location - len(self._ours)) * _PER_LOCATION
        return min(beyond, max(self.connectors, self._firsts[-1]))

    def spot(self, row: int) -> Spot:
        """The connector in a row of the list of all of them."""
        location = bisect_right(self._firsts, row) - 1
        if not self.is_own(location):
            location = len(self._ours) + (row - self._firsts[-1]) // _PER_LOCATION
        return self.spots(location)[row - self.first(location)]

    def spots(self, location: int) -> list[Spot]:
        """The connectors of a location."""
        return [Spot(location, evse, connector) for evse in self.evses(location) for connector in evse.connectors]

    def find(self, evse_id: str) -> tuple[int, Evse]:
        """Location and EVSE of one of our own EVSE ids, however it is spelled. Raises KeyError for any other."""
        for location in range(len(self._ours)):
            for evse in self.evses(location):
                if plain(evse.evse_id) == plain(evse_id):
                    return location, evse
        raise KeyError(evse_id)

    def operator(self, location: int) -> Operator:
        """Who runs a location: of ours, who the EVSE id says."""
        if self.is_own(location):
            known = _PARTY.match(self._ours[location][0].evse_id)
            country, party = known.groups() if known else ("NL", "OWN")
        else:
            number = (location - len(self._ours)) // _LOCATIONS_PER_OPERATOR
            country = _COUNTRIES[number % len(_COUNTRIES)]
            party = f"Q{chr(65 + number // 26 % 26)}{chr(65 + number % 26)}"
        return Operator(f"Charging {country}{party}", country, party)
