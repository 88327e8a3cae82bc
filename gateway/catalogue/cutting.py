"""What is in the lists of a view: cut from our own tariffs and locations, and from what feeds have told.

*Our own* are the locations that our backends' CPO parties publish, in 2.1.1, and the tariffs of these parties that are
in force, whether a connector names them or not. A tariff that was said because of a feed is the feed's. *What feeds
told*, for those who may see it, is each feed's live run as it was read: locations with the statuses that were pushed
since, prices, and which price holds where; at a connector of ours, too, beside our own prices.

Each list can be read without doubt. Of two locations with one id, of two parties of ours, say, or of a feed and of
another, a consumer couldn't tell the connectors apart: so the first one counts, our own before a feed's, feeds by their
ids, and the other isn't there, nor are its connectors. Neither is one that its feed doesn't publish. A connector names
only prices that are in the list of prices; one that can't be said in 2.1.1 isn't there at all.

A hundred thousand rows take a while. So everything is done a few rows at a time, and everybody else has a turn between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

from attrs import frozen

from gateway.catalogue.rows import Rows
from gateway.catalogue.views import Listing, View
from gateway.directory import Directory
from gateway.lookup import Lookup
from gateway.model.attached import audience_of, of_a_feed, spot, spots, without_ours
from gateway.model.errors import GatewayError
from gateway.model.facts import Crossing, Facts, Translated, Withheld
from gateway.model.modules import Kind, Module
from gateway.model.names import Name, Said, fold
from gateway.model.party import Party, Role
from gateway.model.policy import Policy
from gateway.model.prices import Gone, Linked, Priced
from gateway.model.values import moment
from gateway.ports import Adapter, Codec, Objects, Prices, PriceShapes
from gateway.prices import states
from gateway.settings.prices import FeedSettings

SLICE: Final = 25
"""Rows that are made before anybody else has a turn."""

_NOBODY: Final = ""  # in the place of a feed's id
_POLICY: Final = Policy()
_MARK: Final = "catalogue:connector"
"""A field that no version knows passes through a translation: by it a connector is known again behind it, be its ids
written as they may."""

_Item = TypeVar("_Item")


class Known(Objects, Prices, Protocol):
    """The store, as it is seen from here."""


@frozen(kw_only=True)
class Sources:
    """What lists are cut from, and by whom they are written.

    Attributes:
        adapter: of the version of the locations that are served.
    """

    store: Known
    lookup: Lookup
    adapter: Adapter
    shapes: PriceShapes
    codec: Codec


@frozen(eq=False)
class Run:
    """A feed, and its run that counts."""

    feed: FeedSettings
    id: str


async def live(store: Prices, feeds: Sequence[FeedSettings]) -> list[Run]:
    """The runs that count, of those feeds that have one, by the ids of the feeds. Raises NotDurable."""
    ordered = sorted(feeds, key=lambda feed: feed.id)
    found = [(feed, states.decode(await store.feed_state(feed.id)).run) for feed in ordered]
    return [Run(feed, run) for feed, run in found if run]


@frozen
class _Offer:
    """A price that may be shown.

    Attributes:
        served: the id under which it is.
        new: whether the newer shape can say it.
    """

    served: str
    new: bool


@frozen
class _Own:
    """A price of our own."""

    priced: Priced
    offer: _Offer


@frozen
class _Holding:
    """Which prices hold at a connector.

    Attributes:
        connector: which one it is.
        own: our own.
        told: price ids, with the run that has them.
        offers: those of them that the view shows, in their order.
    """

    connector: Linked
    own: tuple[_Own, ...]
    told: tuple[tuple[Run, str], ...]
    offers: tuple[_Offer, ...]

    @property
    def together(self) -> frozenset[str]:
        """What the older shape has in one row."""
        return frozenset(offer.served for offer in self.offers)


class Cutting:
    """One cutting of a view's lists: ``cut``, once.

    Attributes:
        doubles: locations that are left out because another has their id.
        skipped: locations that are left out because something is wrong with them.
    """

    def __init__(self, sources: Sources, view: View, directory: Directory, runs: Sequence[Run], now: datetime) -> None:
        """``runs``: what the view shows of feeds."""
        self._sources = sources
        self._store, self._shapes, self._codec = sources.store, sources.shapes, sources.codec
        self._view = view
        self._directory = directory
        self._runs = runs
        self._now = now
        self._lists = {listing: Rows() for listing in Listing}
        self._own: dict[tuple[Party, str], _Own] = {}
        self._told: dict[tuple[str, str], tuple[_Offer, ...]] = {}  # by feed and price id
        self._old: dict[frozenset[str], str | None] = {}  # id of the older shape's row for these prices
        self._held: dict[str, str | Party] = {}  # who has a location of this id: a party of ours, or a feed
        self.doubles = 0
        self.skipped = 0

    async def cut(self) -> Mapping[Listing, Rows]:
        """The lists.

        Raises:
            NotDurable: the store is away.
        """
        parties = self._parties()
        for party, business in parties.items():
            await self._cut_tariffs(party, business)
        for run in self._runs:
            await self._cut_prices(run)
        for party in parties:
            await self._cut_own(party)
        for run in self._runs:
            await self._cut_locations(run)
            await self._cut_gone(run)
            await self._cut_connectors(run)
        return self._lists

    def _parties(self) -> dict[Party, str | None]:
        """The parties of ours that have locations, with their business names."""
        seats = (seat for link in self._directory.backends for seat in link.dialect.theirs if seat.role is Role.CPO)
        return {seat.party: (seat.business or {}).get("name") for seat in seats}

    # Our own ----------------------------------------------------------------------------------------------------------

    async def _cut_tariffs(self, party: Party, business: str | None) -> None:
        async for name, said in self._said(party, Module.TARIFFS):
            tariff = self._codec.loads(said.canonical)
            if of_a_feed(Kind.TARIFF, tariff):
                continue
            if audience_of(tariff) in self._view.audiences and in_force(tariff, self._now):
                priced = Priced.of(tariff, business)
                self._own[party, fold(name.id)] = _Own(priced, self._offered(priced))

    async def _said(self, owner: Party, module: Module) -> AsyncGenerator[tuple[Name, Said], None]:
        """What an owner has said, and not deleted."""
        after = 0
        while ranked := await self._store.names(owner, module, after):
            after = ranked[-1][0]
            for some in _sliced([name for _, name in ranked]):
                for name, said in zip(some, await self._store.read_many(some), strict=True):
                    if said is not None and not said.deleted:
                        yield name, said
                await asyncio.sleep(0)

    async def _cut_own(self, party: Party) -> None:
        async with aclosing(self._said(party, Module.LOCATIONS)) as said:
            some: list[Any] = []
            async for _, location in said:
                canonical = self._codec.loads(location.canonical)
                if canonical["publish"]:
                    some.append(canonical)
                if len(some) == SLICE:
                    await self._cut_slice(party, some)
                    some = []
            await self._cut_slice(party, some)

    async def _cut_slice(self, party: Party, some: Sequence[Mapping[str, Any]]) -> None:
        """Some locations of ours, in the version in which they are served."""
        told = await self._told_at(some)
        holding: list[tuple[tuple[_Own, ...], tuple[tuple[Run, str], ...]]] = []

        def mark(evse: Mapping[str, Any], connector: Mapping[str, Any]) -> int:
            own = (self._own.get((party, fold(id))) for id in connector.get("tariff_ids") or ())
            there = told.get(spot(evse["evse_id"], connector["id"]), ()) if evse.get("evse_id") else ()
            holding.append((tuple(filter(None, own)), there))
            return len(holding) - 1

        lowered = await self._lowered(party, [_marked(canonical, mark) for canonical in some])
        shown = [location for location in lowered if self._takes(location["id"], party)]
        held = {
            location["id"]: [
                self._holding(_linked(location, uid, connector), *holding[connector.pop(_MARK)])
                for uid, connector in _connectors(location)
            ]
            for location in shown
        }
        await self._cut_old([holds for each in held.values() for holds in each])
        for location in shown:
            for holds in held[location["id"]]:
                self._cut_connector(holds)
            self._cut_location(location["id"], location, held[location["id"]])
        await asyncio.sleep(0)

    async def _lowered(self, party: Party, locations: Sequence[Mapping[str, Any]]) -> Iterable[Any]:
        """Those that can be said; the reasons of the others are the same as towards any partner of that version."""

        def crossing(facts: Facts) -> Crossing:
            return Crossing(facts=facts, policy=_POLICY, owner=party)

        outcomes, _ = await self._sources.lookup.through_all(
            lambda location, c: self._sources.adapter.down(Kind.LOCATION, location, c),
            [(location, crossing) for location in locations],
            self._directory,
        )
        for outcome in outcomes:
            if isinstance(outcome, GatewayError):
                self.skipped += 1
            elif isinstance(outcome, Exception) and not isinstance(outcome, Withheld):
                raise outcome
        return [outcome.data for outcome in outcomes if isinstance(outcome, Translated)]

    async def _told_at(self, locations: Sequence[Mapping[str, Any]]) -> dict[str, tuple[tuple[Run, str], ...]]:
        """Which prices feeds tell of these connectors of ours, by spot."""
        if not self._runs:
            return {}
        wanted = list(dict.fromkeys(at for location in locations for at in spots(location)))
        told: dict[str, tuple[tuple[Run, str], ...]] = {}
        for run in self._runs:
            places = await self._store.places_at(run.feed.id, run.id, wanted)
            found = [(at, place.connector) for at, place in zip(wanted, places, strict=True) if place is not None]
            linked = await self._store.linked(run.feed.id, run.id, [connector for _, connector in found])
            for (at, _), link in zip(found, linked, strict=True):
                if link is not None:
                    told[at] = (*told.get(at, ()), *((run, id) for id in link.price_ids))
        return told

    # What feeds told --------------------------------------------------------------------------------------------------

    async def _cut_prices(self, run: Run) -> None:
        async for some in _slices(self._store.all_prices(run.feed.id, run.id)):
            for together in some:
                shown = tuple(self._offered(priced) for priced in together if priced.audience in self._view.audiences)
                if shown:
                    self._told[run.feed.id, str(together[0].price_id)] = shown

    async def _cut_locations(self, run: Run) -> None:
        async for some in _slices(self._store.all_locations(run.feed.id, run.id)):
            rows = [(id, row) for id, stored in some if (row := self._readable(run, id, stored)) is not None]
            places = {id: self._shapes.read_places(row).places for id, row in rows}
            connectors = list(dict.fromkeys(place.connector for each in places.values() for place in each))
            linked = dict(zip(connectors, await self._store.linked(run.feed.id, run.id, connectors), strict=True))
            evses = [(id, uid) for id, row in rows for uid in self._shapes.evse_uids(row)]
            statuses = await self._statuses(run, evses)
            held = {
                id: [
                    self._holding(link, (), tuple((run, price) for price in link.price_ids))
                    for place in each
                    if (link := linked[place.connector]) is not None
                ]
                for id, each in places.items()
            }
            await self._cut_old([holds for each in held.values() for holds in each])
            for id, row in rows:
                self._cut_location(id, self._shapes.with_statuses(row, statuses.get(id, {})), held[id])

    def _readable(self, run: Run, id: str, stored: bytes) -> Any:
        """A location of a feed in the version in which it is served; None if it isn't."""
        if not self._takes(id, run.feed.id):
            return None
        row = self._codec.loads(stored)
        if run.feed.version != self._shapes.VERSION:
            row = self._shapes.lower_location(row)
        if row is None:
            self._held[fold(id)] = _NOBODY  # nor are its connectors shown
        return row

    async def _statuses(self, run: Run, evses: Sequence[tuple[str, str]]) -> dict[str, dict[str, Any]]:
        """What was pushed of these EVSEs, by location and folded uid."""
        told: dict[str, dict[str, Any]] = {}
        for (location, uid), push in zip(evses, await self._store.statuses(run.feed.id, evses), strict=True):
            if push is not None:
                told.setdefault(location, {})[fold(uid)] = self._codec.loads(push)
        return told

    async def _cut_gone(self, run: Run) -> None:
        for some in _sliced(await self._store.gone(run.feed.id, run.id)):
            for gone in some:
                if fold(gone.id) not in self._held and (row := self._readable(run, gone.id, gone.row)) is not None:
                    self._cut_location(gone.id, self._shapes.withdraw_location(row, _since(gone)), ())
            await asyncio.sleep(0)

    async def _cut_connectors(self, run: Run) -> None:
        async for some in _slices(self._store.all_linked(run.feed.id, run.id)):
            for linked in some:
                if self._held.get(fold(linked.location), run.feed.id) == run.feed.id:
                    self._cut_connector(self._holding(linked, (), tuple((run, id) for id in linked.price_ids)))

    # Rows -------------------------------------------------------------------------------------------------------------

    def _takes(self, location: str, source: str | Party) -> bool:
        """Whether a location of this id is this source's to show; from now on it is nobody else's."""
        if self._held.setdefault(fold(location), source) == source:
            return True
        self.doubles += 1
        return False

    def _offered(self, priced: Priced) -> _Offer:
        """A price, which is in the list of prices from now on if the newer shape can say it."""
        served = self._shapes.served_id(priced)
        if served not in self._lists[Listing.PRICES]:
            try:
                self._add(Listing.PRICES, served, self._shapes.write_new(priced, served).data)
            except Withheld:
                return _Offer(served, new=False)
        return _Offer(served, new=True)

    def _holding(self, connector: Linked, own: tuple[_Own, ...], told: tuple[tuple[Run, str], ...]) -> _Holding:
        offers = [each.offer for each in own]
        offers += [offer for run, id in told for offer in self._told.get((run.feed.id, id), ())]
        return _Holding(connector, own, told, tuple(offers))

    def _cut_connector(self, holds: _Holding) -> None:
        served = [offer.served for offer in holds.offers if offer.new]
        if served:
            id = "\n".join(holds.connector.connector)
            row = self._shapes.write_connector_prices(holds.connector, served)
            self._add(Listing.CONNECTOR_PRICES, id, row)

    def _cut_location(self, id: str, location: Mapping[str, Any], held: Sequence[_Holding]) -> None:
        """A location whose connectors name their prices; ``_cut_old`` has had these holdings."""
        named = {
            (holds.connector.evse_uid, holds.connector.connector_id): old
            for holds in held
            if (old := self._old.get(holds.together)) is not None
        }
        self._add(Listing.LOCATIONS, id, self._shapes.with_pricing_ids(location, named))

    async def _cut_old(self, held: Iterable[_Holding]) -> None:
        """The older shape's rows for the prices that hold together at these connectors."""
        fresh = {holds.together: holds for holds in held if holds.offers and holds.together not in self._old}
        told = await self._read_prices({each for holds in fresh.values() for each in holds.told})
        for together, holds in fresh.items():
            prices = [own.priced for own in holds.own]
            prices += [priced for each in holds.told for priced in told[each]]
            whole = len(prices) == len(holds.offers)  # a feed whose file is gone may be forgotten meanwhile
            row = self._shapes.write_old(prices, [offer.served for offer in holds.offers] if whole else ())
            self._old[together] = row["id"] if row else None
            if row:
                self._add(Listing.OLD_PRICES, row["id"], row)

    async def _read_prices(self, told: Iterable[tuple[Run, str]]) -> dict[tuple[Run, str], list[Priced]]:
        by_run: dict[Run, list[str]] = {}
        for run, id in told:
            by_run.setdefault(run, []).append(id)
        found: dict[tuple[Run, str], list[Priced]] = {}
        for run, ids in by_run.items():
            for id, together in zip(ids, await self._store.prices(run.feed.id, run.id, ids), strict=True):
                found[run, id] = [priced for priced in together if priced.audience in self._view.audiences]
        return found

    def _add(self, listing: Listing, id: str, row: Any) -> None:
        self._lists[listing].add(id, self._codec.dumps(row))


def in_force(tariff: Mapping[str, Any], now: datetime) -> bool:
    """Whether a canonical tariff holds at this moment. Spec: 2.2.1 ``mod_tariffs``, start_date_time, end_date_time."""
    begins, ends = tariff.get("start_date_time"), tariff.get("end_date_time")
    return (begins is None or moment(begins) <= now) and (ends is None or now < moment(ends))


def _marked(location: Mapping[str, Any], mark: Any) -> dict[str, Any]:
    """A canonical location without tariffs, which are named otherwise here, and with a mark on each connector.

    And as its owner updated it: that a feed changed something isn't everybody's to know.
    """

    def plug(evse: Mapping[str, Any], connector: Mapping[str, Any]) -> dict[str, Any]:
        rest = {name: said for name, said in connector.items() if name != "tariff_ids"}
        return {**rest, _MARK: mark(evse, connector)}

    evses = [
        {**evse, "connectors": [plug(evse, connector) for connector in evse["connectors"]]}
        for evse in location.get("evses") or ()
    ]
    marked = {**location, "evses": evses} if evses else dict(location)
    return dict(without_ours(Kind.LOCATION, marked))


def _connectors(location: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The connectors of a location, each with the uid of its EVSE."""
    for evse in location.get("evses") or ():
        yield from ((evse["uid"], connector) for connector in evse["connectors"])


def _linked(location: Mapping[str, Any], uid: str, connector: Mapping[str, Any]) -> Linked:
    return Linked(location=location["id"], evse_uid=uid, connector_id=connector["id"])


def _since(gone: Gone) -> str:
    return f"{datetime.fromtimestamp(gone.since / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _sliced(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    return (items[start : start + SLICE] for start in range(0, len(items), SLICE))


async def _slices(pages: AsyncGenerator[list[_Item], None]) -> AsyncGenerator[Sequence[_Item], None]:
    """What comes by the page, a few at a time; everybody else has a turn between."""
    async with aclosing(pages):
        async for page in pages:
            for some in _sliced(page):
                yield some
                await asyncio.sleep(0)
