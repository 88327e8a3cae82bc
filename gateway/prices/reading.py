"""One reading of a feed: locations, then which price holds where, then prices, each page staged as it comes.

Locations come first and prices last, since that is how a feed that changes meanwhile contradicts itself least: a price
that nobody names any more hurts nobody. Whatever is read is staged under the run and counts for nothing yet.

A row that can't be read costs itself, and is flagged; so is what doesn't fit together: a price that no connector names,
a connector that isn't in the locations, an EVSE that stands in two places. Memory holds one page, and a number for each
price and location; everything else lies in the store.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final

from attrs import define, field, frozen

from gateway.model.attached import spot
from gateway.model.prices import Connector, Flag, Linked, Place, Read
from gateway.ports import Codec, Crawling, Prices, PriceShapes
from gateway.prices.pages import Pages
from gateway.prices.states import MOST_FLAGS, FeedState, Rows, Tariffs, ms_of, written
from gateway.settings.files import Shape
from gateway.settings.prices import FeedSettings

_TOGETHER: Final = 200
"""Rows that are understood and staged before anybody else has a turn."""

_LONGEST: Final = 255
"""Characters that are kept of an id that is flagged, and of a reason: a feed may say anything."""


@define
class Flags:
    """What was flagged: all of it is counted, the first of it is kept."""

    kept: list[Flag] = field(factory=list)
    count: int = 0

    def add(self, *flags: Flag) -> None:
        """Flag these too."""
        self.count += len(flags)
        for flag in flags[: max(0, MOST_FLAGS - len(self.kept))]:
            self.kept.append(Flag(_shortened(flag.id), flag.pointer, _shortened(flag.reason)))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


@frozen(kw_only=True)
class Found:
    """What a reading has found.

    Attributes:
        readable: rows that could be understood.
        tariffs: that their prices are, beside those of the live run.
        connectors: that name at least one price that could be read.
        named: how often a price was named by a connector.
        dangling: how often it was one that isn't in the list of prices.
        outdated: what was told of the statuses of EVSEs that were read anew since, by location id and EVSE uid.
    """

    rows: Rows
    readable: Rows
    tariffs: Tariffs
    connectors: int
    named: int
    dangling: int
    flags: Flags
    outdated: Mapping[tuple[str, str], bytes]


@define(eq=False)
class Reading:
    """Reads one feed once.

    Attributes:
        run: under which it is staged.
        live: where the feed stands.
        now: when the reading began.
    """

    feed: FeedSettings
    run: str
    live: FeedState
    now: datetime
    store: Prices
    shapes: PriceShapes
    codec: Codec
    pages: Pages
    flags: Flags = field(factory=Flags)
    _readable: dict[str, int] = field(factory=lambda: {"locations": 0, "connector_prices": 0, "prices": 0})
    _new: int = 0
    _kept: int = 0
    _outdated: dict[tuple[str, str], bytes] = field(factory=dict)
    # Numbers that stand for price ids: named by a connector, in the list of prices, and readable there.
    _named: set[int] = field(factory=set)
    _listed: set[int] = field(factory=set)
    _known: set[int] = field(factory=set)
    _operators: dict[int, tuple[str, ...]] = field(factory=dict)

    async def read(self) -> Found:
        """All lists of the feed, staged.

        Raises:
            Torn: not all of it could be had.
            NotDurable: the store is away.
        """
        locations = await self._read_locations()
        connector_prices = await self._read_connector_prices() if self._new_shape else 0
        prices = await self._read_prices()
        connectors, named, dangling = await self._look_at_links()
        before = self.live.good.tariffs.all if self.live.run and self.live.good else 0
        return Found(
            rows=Rows(locations=locations, connector_prices=connector_prices, prices=prices),
            readable=Rows(**self._readable),
            tariffs=Tariffs(new=self._new, kept=self._kept, retired=max(0, before - self._kept)),
            connectors=connectors, named=named, dangling=dangling, flags=self.flags, outdated=self._outdated,
        )  # fmt: skip

    @property
    def _new_shape(self) -> bool:
        return self.feed.shape is Shape.NEW

    async def _rows(self, name: str, crawl: Crawling) -> AsyncGenerator[Sequence[Any], None]:
        """The rows of a list, some at a time; of those that stand there twice the first, and a flag.

        Another flag where it moved while it was read, so that rows may have slipped through between two pages.
        """
        async with aclosing(self.pages.of(name, crawl)) as pages:
            async for page in pages:
                for id, *inside in crawl.doubles:
                    where = f" ({', '.join(inside)})" if inside else ""
                    self.flags.add(Flag(id, "", f"it stands twice in the list of {name}{where}: the first one counts"))
                for start in range(0, len(page), _TOGETHER):
                    yield page[start : start + _TOGETHER]
        if crawl.slipped:
            self.flags.add(Flag("", "", f"the list of {name} became shorter while it was read: some may be missing"))

    # Locations --------------------------------------------------------------------------------------------------------

    async def _read_locations(self) -> int:
        limit = min(self.feed.page_limit, self.shapes.MOST_OLD)
        crawl = self.shapes.crawl_rows(self.feed.locations_url, limit, cursor=False)
        async with aclosing(self._rows("locations", crawl)) as rows:
            async for some in rows:
                await self._stage_locations(some)
        return crawl.rows

    async def _stage_locations(self, rows: Sequence[Any]) -> None:
        staged: list[tuple[str, bytes]] = []
        places: dict[Connector, Place] = {}
        evses: dict[tuple[str, str], Any] = {}
        for row in rows:
            read = self.shapes.read_places(row)
            self.flags.add(*read.flags)
            if not (id := _id_of(row)):
                continue
            staged.append((id, self.codec.dumps(row)))
            evses |= {(id, uid): row for uid in self.shapes.evse_uids(row)}
            for place in read.places:
                if place.connector in places:
                    self.flags.add(_about(place, "is there twice in its location"))
                places.setdefault(place.connector, place)
        self._readable["locations"] += len(staged)
        await self.store.stage_locations(self.feed.id, self.run, staged)
        await self.store.stage_places(self.feed.id, self.run, [*places.values()])
        await self._flag_collisions([*places.values()])
        if not self._new_shape:
            await self._stage_linked([place.linked for place in places.values() if place.price_id is not None])
            self._note_operators(places.values())
        await self._note_outdated(evses)

    async def _note_outdated(self, evses: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
        """EVSEs, with the rows of their locations, whose status was told before what these rows say of it."""
        began = {"last_updated": written(ms_of(self.now))}
        told = await self.store.statuses(self.feed.id, [*evses])
        for (evse, row), push in zip(evses.items(), told, strict=True):
            if push is not None:
                known = self.shapes.evse_of(row, evse[1]) or {}
                if not self.shapes.is_newer(self.codec.loads(push), known, row, began):
                    self._outdated[evse] = push

    async def _flag_collisions(self, places: Sequence[Place]) -> None:
        """An EVSE id stands on one EVSE; where several have it, nobody knows whose prices hold there."""
        claims = [(place, spot(place.evse_id, place.connector_id)) for place in places if place.evse_id]
        there = await self.store.places_at(self.feed.id, self.run, [at for _, at in claims])
        for (place, _), first in zip(claims, there, strict=True):
            if first is not None and first.connector != place.connector:
                where = f"EVSE {first.evse_uid} of location {first.location}"
                self.flags.add(_about(place, f"has the EVSE id {place.evse_id} of {where}, whose prices count there"))

    def _note_operators(self, places: Collection[Place]) -> None:
        """Who operates the connectors at which a price of the older shape holds, by its id."""
        for place in places:
            if place.price_id is not None and place.operator is not None:
                known = self._operators.get(hash(place.price_id), ())
                if place.operator not in known:
                    self._operators[hash(place.price_id)] = (*known, place.operator)

    # Which price holds where ------------------------------------------------------------------------------------------

    async def _read_connector_prices(self) -> int:
        assert self.feed.connector_prices_url is not None
        limit = min(self.feed.page_limit, self.shapes.MOST_NEW)
        crawl = self.shapes.crawl_connectors(self.feed.connector_prices_url, limit)
        async with aclosing(self._rows("connector prices", crawl)) as rows:
            async for some in rows:
                await self._stage_connector_prices(some)
        return crawl.rows

    async def _stage_connector_prices(self, rows: Sequence[Any]) -> None:
        linked: list[Linked] = []
        for row in rows:
            read = self.shapes.read_connector_prices(row)
            if isinstance(read, Flag):
                self.flags.add(read)
            else:
                linked.append(read)
        self._readable["connector_prices"] += len(linked)
        there = await self.store.places(self.feed.id, self.run, [each.connector for each in linked])
        for each, place in zip(linked, there, strict=True):
            if place is None:
                self.flags.add(_about(each, "has prices and isn't in the locations"))
        await self._stage_linked(linked)

    async def _stage_linked(self, linked: Sequence[Linked]) -> None:
        for each in linked:
            self._named.update(map(hash, each.price_ids))
        await self.store.stage_linked(self.feed.id, self.run, linked)

    async def _look_at_links(self) -> tuple[int, int, int]:
        """How many connectors name a price that could be read, how often one is named, and how often in vain."""
        connectors = named = dangling = 0
        missing: set[int] = set()
        async with aclosing(self.store.all_linked(self.feed.id, self.run)) as pages:
            async for page in pages:
                for linked in page:
                    ids = {hash(id): id for id in linked.price_ids}
                    lost = ids.keys() - self._listed
                    connectors += not ids.keys().isdisjoint(self._known)
                    named += len(ids)
                    dangling += len(lost)
                    self.flags.add(
                        *(Flag(ids[each], "", "connectors name it, and it isn't there") for each in lost - missing)
                    )
                    missing |= lost
        return connectors, named, dangling

    # Prices -----------------------------------------------------------------------------------------------------------

    async def _read_prices(self) -> int:
        limit = min(self.feed.page_limit, self.shapes.MOST_NEW if self._new_shape else self.shapes.MOST_OLD)
        crawl = self.shapes.crawl_rows(self.feed.prices_url, limit, cursor=self._new_shape)
        async with aclosing(self._rows("prices", crawl)) as rows:
            async for some in rows:
                await self._stage_prices(some)
        return crawl.rows

    async def _stage_prices(self, rows: Sequence[Any]) -> None:
        together = []
        for row in rows:
            read = self._read_price(row)
            self.flags.add(*read.flags)
            id = read.prices[0].price_id if read.prices else _id_of(row)
            if id:
                self._listed.add(hash(id))
            if read.prices and id:
                self._readable["prices"] += 1
                self._known.add(hash(id))
                together.append(read.prices)
                if hash(id) not in self._named:
                    self.flags.add(Flag(id, "", "no connector names it"))
        await self._compare([(str(prices[0].price_id), {each.id for each in prices}) for prices in together])
        await self.store.stage_prices(self.feed.id, self.run, together)

    def _read_price(self, row: Any) -> Read:
        if self._new_shape:
            return self.shapes.read_new(row, now=self.now)
        return self.shapes.read_old(row, now=self.now, operators=self._operators.get(hash(_id_of(row)), ()))

    async def _compare(self, tariffs: Sequence[tuple[str, set[str]]]) -> None:
        """Which of these tariffs, by the ids of their prices, the live run has too."""
        ids = [id for id, _ in tariffs]
        there = await self.store.prices(self.feed.id, self.live.run, ids) if self.live.run else [()] * len(ids)
        for (_, now), before in zip(tariffs, there, strict=True):
            kept = now & {priced.id for priced in before}
            self._kept += len(kept)
            self._new += len(now) - len(kept)


def _id_of(row: Any) -> str:
    """A row's own id as the shapes understand it; empty where it has none."""
    given = row.get("id") if isinstance(row, dict) else None
    return str(given) if isinstance(given, str | int) and not isinstance(given, bool) else ""


def _about(connector: Place | Linked, what: str) -> Flag:
    location, evse_uid, id = connector.connector
    return Flag(location, "", f"connector {id} of its EVSE {evse_uid} {what}")
