"""What a feed has to tell right now: its plan, and whatever has happened to it since.

Only what has happened is kept: how often a price was changed, which EVSE has another status, what is wrong with which
row. Everything else is worked out when a row is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Literal

from attrs import define, field, frozen

from gateway.demo.feed import rows
from gateway.demo.feed.layout import Layout, digest
from gateway.demo.feed.rates import FLAWS, PRODUCTS, Price, as_uuid, price_id, quote
from gateway.demo.feed.rows import Habits, Row

ListName = Literal["locations", "prices", "connector_prices"]
Edit = Callable[[Row], object]

LISTS: Final[tuple[ListName, ...]] = ("locations", "prices", "connector_prices")
BEGAN: Final = datetime(2026, 1, 5, 8, tzinfo=UTC)
"""When everything was last updated that nothing has happened to."""


@frozen
class Listing:
    """One list, whose rows are made when they are asked for.

    Attributes:
        numbers: which rows it has, in order.
        make: a row by its number.
        cursor: what the place of a row is called.
        after: the number that follows the row that a cursor names. Raises ValueError for a cursor that names none.
    """

    numbers: Sequence[int]
    make: Callable[[int], object]
    cursor: Callable[[int], str]
    after: Callable[[str], int]


@define(eq=False)
class Stock:
    """Everything there is.

    Attributes:
        habits: how it is written.
        shown: how much of each list is shown, from its beginning; counted in locations, so that lists of which the same
            is shown fit together.
        dangling: the share of connectors whose prices are nowhere to be found.
    """

    layout: Layout
    habits: Habits = field(factory=Habits)
    shown: dict[ListName, float] = field(factory=dict)
    dangling: float = 0.0
    _everywhere: int = 0
    _revisions: dict[int, int] = field(factory=dict)
    _dearer: dict[int, Decimal] = field(factory=dict)
    _dearer_everywhere: Decimal = Decimal(0)
    _priced: dict[int, datetime] = field(factory=dict)
    _priced_everywhere: datetime = BEGAN
    _flaws: dict[int, str] = field(factory=dict)
    _unlisted: set[int] = field(factory=set)
    _moves: dict[int, int] = field(factory=dict)
    _statuses: dict[tuple[int, str], tuple[str, datetime]] = field(factory=dict)
    _touched: dict[int, datetime] = field(factory=dict)
    _edits: dict[ListName, dict[int, Edit]] = field(factory=dict)

    # What is known by which id

    def location_id(self, location: int) -> str:
        return as_uuid(f"{location:08x}{digest('location', location, self._moves.get(location, 0))[8:]}")

    def price_id(self, slot: int) -> str:
        """Id of the price in a place of the new list; of one that is written without, what it would have been."""
        flawed = self.price(slot).id if slot in self._flaws else None
        return flawed or price_id(slot, self._revision(slot))

    def old_price_id(self, location: int) -> str:
        """Id of what the old list has of a location: a new one whenever one of its prices has one."""
        ids = [self.price_id(slot) for slot in self._slots(location)]
        return f"{location:08x}{digest('old', *ids)[8:]}"

    def slot(self, id: str) -> int:
        """The place of a price that has, or has had, this id. Raises ValueError for no id of ours."""
        slot = int(id[:8], 16)
        if slot >= self.layout.locations * len(PRODUCTS):
            raise ValueError(f"no price has the id {id}")
        return slot

    def price(self, slot: int) -> Price:
        """The price in a place of the new list."""
        location = slot // len(PRODUCTS)
        dearer = self._dearer_everywhere + self._dearer.get(slot, Decimal(0))
        updated = max(self._priced_everywhere, self._priced.get(slot, BEGAN))
        right = quote(slot, self._revision(slot), self.layout.operator(location), dearer, updated)
        return FLAWS[self._flaws[slot]](right) if slot in self._flaws else right

    def _revision(self, slot: int) -> int:
        return self._everywhere + self._revisions.get(slot, 0)

    def _slots(self, location: int) -> range:
        return range(location * len(PRODUCTS), (location + 1) * len(PRODUCTS))

    # What happens

    def reprice(self, slots: Sequence[int] | None, dearer: Decimal, at: datetime) -> None:
        """These prices, or all, are that much dearer, and have new ids."""
        if slots is None:
            self._everywhere += 1
            self._dearer_everywhere += dearer
            self._priced_everywhere = at
            return
        for slot in slots:
            self._revisions[slot] = self._revisions.get(slot, 0) + 1
            self._dearer[slot] = self._dearer.get(slot, Decimal(0)) + dearer
            self._priced[slot] = at

    def spoil(self, slot: int, flaw: str, at: datetime) -> None:
        """Something is wrong with a price, which has a new id for it. Raises KeyError for a flaw that nobody knows."""
        if flaw not in FLAWS:
            raise KeyError(flaw)
        self._flaws[slot] = flaw
        self.reprice([slot], Decimal(0), at)

    def unlist(self, slot: int) -> None:
        """No connector has this price any more."""
        self._unlisted.add(slot)

    def move(self, location: int, at: datetime) -> None:
        """A location has another id, as after a merger."""
        self._moves[location] = self._moves.get(location, 0) + 1
        self._touched[location] = at

    def set_status(self, location: int, evse_uid: str, status: str, at: datetime) -> None:
        self._statuses[location, evse_uid] = (status, at)
        self._touched[location] = at

    def edit(self, name: ListName, number: int, change: Edit) -> None:
        self._edits.setdefault(name, {})[number] = change

    def mend(self, at: datetime) -> None:
        """Nothing is wrong any more. What was repriced, moved and reported stays; a mended price has a new id."""
        self.reprice(list(self._flaws), Decimal(0), at)
        self.dangling, self.habits = 0.0, Habits()
        for kept in (self.shown, self._flaws, self._unlisted, self._edits):
            kept.clear()

    # What is listed

    def listing(self, name: ListName, version: str, query: Mapping[str, str]) -> Listing:
        """A list: of locations in a version; of prices new (version "") or old. Raises ValueError for a bad date."""
        shown = self._shown(name)

        def listed(numbers: Sequence[int], make: Callable[[int], Row], cursor: Callable[[int], str]) -> Listing:
            after = self._after_connector if name == "connector_prices" else _after
            return Listing(numbers, lambda number: self._edited(name, number, make(number)), cursor, after)

        if name == "connector_prices":
            return listed(range(self.layout.first(shown)), self._connector_price, self._connector_cursor)
        if name == "prices" and not version:
            return listed(range(shown * len(PRODUCTS)), self._new_price, self.price_id)
        if name == "prices":
            return listed(range(shown), self._old_price, self.old_price_id)
        changed = self._changed(range(shown), query)
        return listed(changed, lambda number: self._location(number, version), self.location_id)

    def one(self, name: ListName, version: str, id: str) -> object | None:
        """The location or price with this id today, None if there is none."""
        try:
            number = int(id[:8], 16)
        except ValueError:
            return None
        listing = self.listing(name, version, {})
        if number not in listing.numbers:
            return None
        row = listing.make(number)
        return row if isinstance(row, dict) and row.get("id") == id else None

    def _shown(self, name: ListName) -> int:
        return round(self.layout.locations * self.shown.get(name, 1.0))

    def _changed(self, locations: range, query: Mapping[str, str]) -> Sequence[int]:
        """Which of the locations were updated from ``date_from`` on, and before ``date_to``."""
        since = _date(query, "date_from") or BEGAN
        until = _date(query, "date_to")
        if since <= BEGAN and until is None:
            return locations
        candidates = locations if since <= BEGAN else sorted(self._touched)
        return [
            number
            for number in candidates
            if number in locations
            and (when := self._touched.get(number, BEGAN)) >= since
            and (until is None or when < until)
        ]

    def _edited(self, name: ListName, number: int, row: Row) -> object:
        change = self._edits.get(name, {}).get(number)
        edited = change(row) if change else row
        return rows.estranged(edited) if self.habits.strange else edited

    def _location(self, number: int, version: str) -> Row:
        evses = self.layout.evses(number)
        operator = self.layout.operator(number)
        first = self.layout.first(number)
        pricing_id = self.old_price_id(number)
        mine = range(first, self.layout.first(number + 1))
        site = rows.Site(
            number=number,
            id=self.location_id(number),
            operator=None if number % 7 == 6 and not self.layout.is_own(number) else operator,
            alpha_3=operator.alpha_3,
            evses=evses,
            statuses=[self._statuses.get((number, evse.uid), ("AVAILABLE", BEGAN)) for evse in evses],
            pricing_ids=[digest("nowhere", row) if self._dangles(row) else pricing_id for row in mine],
            last_updated=self._touched.get(number, BEGAN),
        )
        return rows.location(site, version)

    def _connector_price(self, row: int) -> Row:
        spot = self.layout.spot(row)
        ids = [self.price_id(slot) for slot in self._slots(spot.location) if slot not in self._unlisted]
        if self._dangles(row):
            ids = [digest("nowhere", row, id) for id in ids]
        return rows.connector_price(self.location_id(spot.location), spot, ids)

    def _dangles(self, row: int) -> bool:
        """Evenly spread, whatever the share."""
        return int((row + 1) * self.dangling) > int(row * self.dangling)

    def _new_price(self, slot: int) -> Row:
        return rows.new_price(self.price(slot), self.habits)

    def _old_price(self, location: int) -> Row:
        listed = [slot for slot in self._slots(location) if slot not in self._unlisted]
        return rows.old_price(self.old_price_id(location), [self.price(slot) for slot in listed], self.habits)

    def _connector_cursor(self, row: int) -> str:
        spot = self.layout.spot(row)
        return f"{self.location_id(spot.location)}/{spot.evse.uid}/{spot.connector}"

    def _after_connector(self, cursor: str) -> int:
        """A connector has no id of its own; all three of its ids together are its cursor."""
        location_id, _, rest = cursor.partition("/")
        location = _after(location_id) - 1
        spots = [f"{spot.evse.uid}/{spot.connector}" for spot in self.layout.spots(location)]
        return self.layout.first(location) + spots.index(rest) + 1


def _after(cursor: str) -> int:
    """The number after that of the row with this id."""
    return int(cursor[:8], 16) + 1


def _date(query: Mapping[str, str], name: str) -> datetime | None:
    if name not in query:
        return None
    when = datetime.fromisoformat(query[name])
    return when if when.tzinfo else when.replace(tzinfo=UTC)
