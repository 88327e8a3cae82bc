"""A feed that can be held in one hand: where it is read, what happens to it, and what it has seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType
from typing import Final, Literal, Self

from gateway.demo.door import Door
from gateway.demo.feed.counter import CONNECTOR_PRICES, PRICES, TREE, Counter, Fault, Mishap, Scheme
from gateway.demo.feed.layout import Layout, Own, Spot
from gateway.demo.feed.pages import Paging
from gateway.demo.feed.rates import PRODUCTS
from gateway.demo.feed.rows import Habits, iso
from gateway.demo.feed.stock import LISTS, Edit, ListName, Stock
from gateway.demo.identity import Counterpart, Identity, Role
from gateway.demo.journal import Exchange, Journal, Received
from gateway.demo.line import Line, join
from gateway.demo.platform import Platform

_DEARER: Final = Decimal("0.01")
_ALWAYS: Final = 2**31


class Feed(Platform):
    """One simulated feed. A location is meant by its number, or by an EVSE id of ours that is there.

    Attributes:
        paging: how it cuts lists: limits, Links, a ``total`` that lies.
        received: the ``module`` of a request is the list that it means.
        complaints: about answers to status pushes.
    """

    def __init__(
        self,
        key: str,
        *,
        connectors: int = 60,
        own: Sequence[Own] = (),
        scheme: Scheme | None = None,
        port: int = 0,
    ) -> None:
        """``connectors``: how many in all, those of ``own`` included. ``scheme``: how ``key`` must be presented; None
        for either way. Port 0: any free one."""
        self._layout = Layout(connectors, tuple(own))
        self._stock = Stock(self._layout)
        self._journal = Journal("feed")
        self.paging = Paging()
        self._counter = Counter(key, scheme, self._stock, self.paging, self._journal)
        who = Identity("feed", "2.1.1", (Role("CPO", "NL", "ECO", "Eco-Movement"),))
        self._line = Line(who, Counterpart(), self._journal)
        self._door = Door(self._counter.serve, port)

    # Life

    async def __aenter__(self) -> Self:
        self._counter.base_url = self._door.hold()
        await self.up()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._counter.close()
        await self.down()
        self._door.give_up()
        await self._line.close()

    # Where it is read

    def locations_url(self, version: Literal["2.1.1", "2.2"] = "2.1.1") -> str:
        return f"{self._counter.base_url}{TREE}/{version}/locations"

    @property
    def old_prices_url(self) -> str:
        return f"{self._counter.base_url}{TREE}/2.1.1/prices"

    @property
    def prices_url(self) -> str:
        return f"{self._counter.base_url}{PRICES}"

    @property
    def connector_prices_url(self) -> str:
        return f"{self._counter.base_url}{CONNECTOR_PRICES}"

    def partner_file(
        self,
        shape: Literal["new", "old"] = "new",
        version: Literal["2.1.1", "2.2"] = "2.1.1",
        *,
        feed: str = "window: always",
        more: str = "",
    ) -> str:
        """The text of a partner file that reads this feed. ``feed``: further keys of its table; ``more``: further lines
        of the file."""
        new = shape == "new"
        urls = [f'locations_url: "{self.locations_url(version)}"']
        urls.append(f'prices_url: "{self.prices_url if new else self.old_prices_url}"')
        urls += [f'connector_prices_url: "{self.connector_prices_url}"'] if new else []
        scheme = self._counter.scheme or "Token"
        return (
            "name: Eco-Movement\nkind: prices\nallow_private: true\n"
            f'feed: {{shape: {shape}, version: "{version}", {", ".join(urls)}, '
            f'token: {{value: "{self._counter.key}"}}, scheme: {scheme}{f", {feed}" if feed else ""}}}\n{more}'
        )

    # What there is

    @property
    def counts(self) -> dict[ListName, int]:
        """How many rows each list has, while nothing is hidden; ``prices`` in the new shape (the old one has as many as
        there are locations)."""
        locations = self._layout.locations
        return {
            "locations": locations,
            "prices": locations * len(PRODUCTS),
            "connector_prices": self._layout.first(locations),
        }

    def location(self, evse_id: str) -> int:
        """Number of the location of an EVSE of ours. Raises KeyError."""
        return self._layout.find(evse_id)[0]

    def location_id(self, location: int | str) -> str:
        return self._stock.location_id(self._number(location))

    def evse_uid(self, evse_id: str) -> str:
        """What the feed calls an EVSE of ours. Raises KeyError."""
        return self._layout.find(evse_id)[1].uid

    def spots(self, location: int | str) -> list[Spot]:
        """The connectors of a location."""
        return self._layout.spots(self._number(location))

    def price_id(self, location: int | str, product: str = "adhoc") -> str:
        """Id of one of the ``PRODUCTS`` there, in the new shape."""
        return self._stock.price_id(self._number(location) * len(PRODUCTS) + PRODUCTS.index(product))

    def old_price_id(self, location: int | str) -> str:
        """Id of all products there, in the old shape."""
        return self._stock.old_price_id(self._number(location))

    def row(self, name: ListName, number: int, version: str = "") -> object:
        """A row as it would be told now: of prices in the old shape with ``version``, of locations in that one."""
        return self._stock.listing(name, version or ("2.1.1" if name == "locations" else ""), {}).make(number)

    def row_of(self, price_id: str) -> int:
        """Where a price stands in the new list, by an id that it has or has had. Raises ValueError."""
        return self._stock.slot(price_id)

    def _number(self, location: int | str) -> int:
        return self.location(location) if isinstance(location, str) else location

    # What happens to it

    def update(self, *price_ids: str, dearer: Decimal = _DEARER, at: datetime | None = None) -> None:
        """These prices, or all of them, change, and have new ids. ``dearer`` per kWh; with 0 only the ids are new."""
        slots = [self._stock.slot(id) for id in price_ids] or None
        self._stock.reprice(slots, dearer, at or datetime.now(UTC))

    def move(self, location: int | str, at: datetime | None = None) -> str:
        """A location is merged with another one; its new id."""
        number = self._number(location)
        self._stock.move(number, at or datetime.now(UTC))
        return self._stock.location_id(number)

    def set_status(self, evse_id: str, status: str, at: datetime | None = None) -> None:
        """An EVSE of ours has another status, in the lists."""
        number, evse = self._layout.find(evse_id)
        self._stock.set_status(number, evse.uid, status, at or datetime.now(UTC))

    async def push_status(
        self,
        public_url: str,
        token: str,
        location_id: str,
        evse_uid: str,
        status: str,
        *,
        dated: bool = True,
        at: datetime | None = None,
    ) -> Exchange:
        """PATCH a status to the gateway at ``public_url``, as party NL/ECO; not ``dated``: without ``last_updated``.

        Raises:
            aiohttp.ClientError, TimeoutError: no answer.
        """
        url = join(f"{public_url}/ocpi/2.1.1/emsp/locations", ("NL", "ECO", location_id, evse_uid), {})
        body = {"status": status} | ({"last_updated": iso(at or datetime.now(UTC))} if dated else {})
        return await self._line.ask("PATCH", url, token=token, body=body)

    # A bad day

    @property
    def habits(self) -> Habits:
        """How it writes; ``feed.habits = Habits(strange=True)`` puts unknown fields everywhere."""
        return self._stock.habits

    @habits.setter
    def habits(self, habits: Habits) -> None:
        self._stock.habits = habits

    @property
    def delay(self) -> float:
        """Seconds that each answer takes longer."""
        return self._counter.delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self._counter.delay = seconds

    def fail(self, name: ListName, how: Mishap, *, page: int | None = None, times: int = _ALWAYS) -> None:
        """Let a page of a list go wrong, or each of them, the next ``times`` that it is asked for.

        ``error``: 500; ``busy``: 429; ``refused``: 200 with status 3000; ``no_data``: an envelope without; ``garbage``:
        no JSON; ``half``: JSON that ends early; ``cut``: the connection breaks within; ``html``: a page for people;
        ``silence``: no answer ever.
        """
        self._counter.faults.append(Fault(name, page, how, times))

    def meanwhile(self, name: ListName, act: Callable[[], None], *, page: int = 1) -> None:
        """Do this as soon as a page of a list is asked for, once, before it is made."""
        self._counter.faults.append(Fault(name, page, None, 1, act))

    def shrink(self, share: float, *names: ListName) -> None:
        """Show only this share of these lists, or of all of them: 0 for empty ones. What is left fits together."""
        self._stock.shown |= dict.fromkeys(names or LISTS, share)

    def dangle(self, share: float) -> None:
        """This share of the connectors names prices that nobody has, in both shapes."""
        self._stock.dangling = share

    def spoil(self, price_id: str, flaw: str) -> str:
        """Something is wrong with a price, one of ``FLAWS``; its new id. Raises ValueError, KeyError."""
        slot = self._stock.slot(price_id)
        self._stock.spoil(slot, flaw, datetime.now(UTC))
        return self._stock.price_id(slot)

    def unlist(self, price_id: str) -> None:
        """No connector has this price any more. Raises ValueError."""
        self._stock.unlist(self._stock.slot(price_id))

    def edit(self, name: ListName, number: int, change: Edit) -> None:
        """Tell what ``change`` makes of a row instead of the row, be it JSON of any kind."""
        self._stock.edit(name, number, change)

    def mend(self) -> None:
        """A good day again: complete, plausible, whole. What was updated, moved and pushed stays."""
        self._stock.mend(datetime.now(UTC))
        self._counter.faults.clear()
        self._counter.delay = 0.0
        self.paging.link_style, self.paging.total, self.paging.cursors = "plain", None, True

    # What it has seen

    async def wait_for(
        self,
        name: ListName,
        where: Callable[[Received], bool] | None = None,
        *,
        count: int = 1,
        after: int = 0,
        timeout: float = 5.0,  # noqa: ASYNC109 - the failure lists what did arrive
    ) -> Received:
        """The ``count``-th request for a list that fits, be it here already or still to come.

        Raises:
            AssertionError: none came within ``timeout`` seconds; the text lists what did.
        """

        def wanted(received: Received) -> bool:
            return received.module == name and (where is None or where(received))

        return await self._journal.wait_for(wanted, f"GET {name}", count=count, after=after, timeout=timeout)
