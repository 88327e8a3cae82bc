"""For whom lists are cut, and which lists there are."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from gateway.model.prices import Audience


class Listing(StrEnum):
    """A list that is served."""

    PRICES = "prices"  # of the newer shape
    CONNECTOR_PRICES = "connector_prices"  # of the newer shape: which price holds where
    OLD_PRICES = "old_prices"  # all prices of a connector, in one row for all connectors that have the same
    LOCATIONS = "locations"  # with the ids of the older shape's prices


@frozen
class View:
    """What some consumers see.

    Attributes:
        audiences: whose prices.
        redistribute: whether what came from feeds is among it.
    """

    audiences: frozenset[Audience]
    redistribute: bool = False

    @property
    def id(self) -> str:
        """``adhoc+wholesale``; what feeds told is one more word."""
        return "+".join([*sorted(self.audiences), *(["feeds"] if self.redistribute else [])])
