"""Random histories: a feed, a backend, partners and a gateway between them, of which everything may go wrong.

``Storm`` plays one, step by step as a seed has it, in a world as in life, and afterwards lays what everybody has beside
what they should have. What that is says ``Truth``, a model of a few lines that is told each step as it was taken and
never asks the gateway: what the backend said last, what the feeds told when they were read last, who asks for what.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from attrs import define, evolve, field, frozen
from market import AUDIENCES, CONNECTOR_PRICES, PRICES, Begin, square

from gateway.app import ADAPTERS, price_feeds
from gateway.demo.consumer import Consumer
from gateway.demo.feed import Feed, Own
from gateway.demo.journal import Exchange, Received
from gateway.demo.peers import Peer
from gateway.demo.world import Cast, Source, World, shut
from gateway.model.errors import GatewayError, NotDurable
from gateway.prices import BeingRead
from gateway.settings import load

Json = dict[str, Any]
Link = str | None
"""A partner; None: everybody."""

OWN: Final = (Own("NL*EXA*E1", ("1", "2")), Own("NL*EXA*E2"), Own("NL*EXA*E3"), Own("NL*EXA*E4"))
EVSES: Final = ("NL*EXA*E1", "nlexae1", "NLEXAE2", "NL*EXA*E3", "nl-exa-e4", "NL*EXA*E5", "NL*EXA*E99")
TYPES: Final = {
    "adhoc": "adhoc", "msp": "msp_retail", "cpo_subscription": "cpo_subscription", "other": "unknown",
}  # fmt: skip
WHOLESALE, ADHOC = "wholesale", "adhoc"
CASTS: Final = tuple(
    Cast(name=name, version=version, country=country, party=name[:3].upper(), business=name, others_tariffs=True)
    for name, version, country in (
        ("acme", "2.1.1", "DEU"), ("kiosk", "2.1.1", "FRA"), ("volt", "2.2.1", "DE"), ("broker", "2.2.1", "BE"),
    )
)  # fmt: skip
NAMES: Final = ("STANDARD", "NIGHT", "GHOST")
EVER: Final = 2**53
AWAY: Final = timedelta(hours=49)
PATIENCE_S: Final = 20.0


def bare(evse_id: str) -> str:
    return "".join(filter(str.isalnum, evse_id)).upper()


def plugs_of(location: Mapping[str, Any]) -> Iterator[tuple[str, str | None, Json]]:
    """The connectors of a location: where, the spot that feeds know, the connector."""
    for evse in location.get("evses") or ():
        for plug in evse["connectors"]:
            spot = f"{bare(evse['evse_id'])}:{plug['id']}" if evse.get("evse_id") else None
            yield f"{evse['uid']}/{plug['id']}", spot, plug


def named_at(location: Mapping[str, Any]) -> dict[str, list[str]]:
    """The tariffs that a copy of a location names, in either version."""
    return {
        where: [*(plug.get("tariff_ids") or ()), *([plug["tariff_id"]] if "tariff_id" in plug else [])]
        for where, _, plug in plugs_of(location)
    }


# What should be -------------------------------------------------------------------------------------------------------


@frozen
class Told:
    """What a feed told when it was read: which prices hold where, and whom each is for; by what it has in its rows.

    Attributes:
        at: price ids by spot.
        prices: audience by price id; what can't be read isn't there.
    """

    at: Mapping[str, Sequence[str]] = {}
    prices: Mapping[str, str] = {}

    @classmethod
    def by(cls, feed: Feed, shape: str) -> Told:
        rows = [row for n in range(feed.counts["locations"]) if isinstance(row := feed.row("locations", n), dict)]
        spots: dict[tuple[str, str, str], str] = {}
        pricing: dict[tuple[str, str, str], list[str]] = {}
        for row in rows:
            for evse in row["evses"]:
                for plug in evse["connectors"]:
                    key = (row["id"], evse["uid"], plug["id"])
                    spots[key] = f"{bare(evse['evse_id'])}:{plug['id']}"
                    pricing[key] = [plug["pricing_id"]]
        prices: dict[str, str] = {}
        if shape == "old":
            for number in range(feed.counts["locations"]):
                row = feed.row("prices", number, "2.1.1")
                if isinstance(row, dict) and row["price_list"]:
                    prices[row["id"]] = ADHOC
        else:
            pricing = {}
            for number in range(feed.counts["connector_prices"]):
                row = feed.row("connector_prices", number)
                if isinstance(row, dict) and isinstance(row["pricing_ids"], list):
                    pricing[row["location_id"], row["evse_uid"], row["connector_id"]] = row["pricing_ids"]
            for number in range(feed.counts["prices"]):
                row = feed.row("prices", number)
                if isinstance(row, dict) and row.get("elements"):
                    prices[row["id"]] = TYPES[row["product"]["type"]]
        at: dict[str, Sequence[str]] = {}
        for key, spot in spots.items():
            at.setdefault(spot, [id for id in pricing.get(key, ()) if id in prices])
        return cls(at, prices)


@define
class Truth:
    """What everybody said last.

    Attributes:
        places: locations as the backend said them, to everybody or to one link, by link and id.
        tariffs: types of the backend's tariffs likewise.
        told: by feed.
        asks: audiences by link; None: those of its version.
        ever: ids of all prices that any feed ever told.
        by_backend: ids that the backend ever used itself, for tariffs or on connectors.
    """

    places: dict[tuple[Link, str], Json] = field(factory=dict)
    tariffs: dict[tuple[Link, str], str] = field(factory=dict)
    told: dict[str, Told] = field(factory=dict)
    asks: dict[str, tuple[str, ...]] = field(factory=dict)
    ever: set[str] = field(factory=set)
    by_backend: set[str] = field(factory=set)

    def here(self) -> set[str]:
        """All spots of ours."""
        return {spot for place in self.places.values() for _, spot, _ in plugs_of(place) if spot}

    def prices_at(self, spot: str | None) -> dict[str, str]:
        """What feeds have for a connector, by id the audience: not what the backend has a tariff for."""
        taken = {id for link, id in self.tariffs if link is None}
        return {
            id: told.prices[id]
            for told in self.told.values()
            for id in told.at.get(spot or "", ())
            if (id not in taken or told.prices[id] == "msp_retail") and told.prices[id] in AUDIENCES
        }

    def is_for(self, id: str, audiences: Sequence[str]) -> bool:
        """Whether the backend has a tariff for everybody for one of these."""
        type = self.tariffs.get((None, id))
        return type is not None and (ADHOC if type == "AD_HOC_PAYMENT" else WHOLESALE) in audiences

    def told_at(self, spot: str | None) -> set[str]:
        """The prices that feeds tell of a connector, whoever else has their ids."""
        there = ((told, id) for told in self.told.values() for id in told.at.get(spot or "", ()))
        return {id for told, id in there if told.prices[id] in AUDIENCES}

    def tariffs_of(self, link: str) -> dict[tuple[str, str], str]:
        """The tariffs that a link should have, by whose they are and id, and for which audience each is."""
        there = {
            ("theirs" if audience == "msp_retail" else "ours", id): audience
            for spot in self.here()
            for id, audience in self.prices_at(spot).items()
        }
        there |= {("ours", id): audience for id, audience in self.of_backend(link).items()}
        return {name: audience for name, audience in there.items() if audience in self.asks[link]}

    def of_backend(self, link: str) -> dict[str, str]:
        """The audiences of the backend's tariffs, as a link sees them."""
        return {
            id: ADHOC if type == "AD_HOC_PAYMENT" else WHOLESALE
            for whose in (None, link)
            for (of, id), type in self.tariffs.items()
            if of == whose
        }

    def place_of(self, link: str, id: str) -> Json | None:
        return self.places.get((link, id)) or self.places.get((None, id))

    def place_ids(self, link: str) -> set[str]:
        return {id for whose, id in self.places if whose in (None, link)}

    def named(self, link: str, id: str, *, exact: bool) -> dict[str, dict[str, str]]:
        """Which tariffs each connector of a link's copy of a location may name, and for whom each is."""
        backend, asks = self.of_backend(link), self.asks[link]
        anywhere = {id: audience for spot in self.here() for id, audience in self.prices_at(spot).items()}
        found = {}
        for where, spot, plug in plugs_of(self.place_of(link, id) or {}):
            there = self.prices_at(spot)
            listed = {*plug.get("tariff_ids", ()), *(price for price, audience in there.items() if audience == ADHOC)}
            judged = {each: backend.get(each) or _not_theirs(anywhere.get(each)) or "?" for each in listed}
            if not exact and any(judged[each] == "?" and each in self.ever for each in listed):
                continue  # it isn't deleted yet, and counts as what it was
            judged |= {price: audience for price, audience in there.items() if audience != ADHOC} | judged
            found[where] = {each: audience for each, audience in judged.items() if audience in (*asks, "?")}
        return found

    @staticmethod
    def fits(version: str, should: Mapping[str, str], has: Sequence[str]) -> bool:
        """Whether a connector names what it should: on 2.1.1 the best one."""
        if version != "2.1.1":
            return sorted(has) == sorted(should)
        ranks = {id: {WHOLESALE: 0, ADHOC: 1, "?": 3}.get(audience, 2) for id, audience in should.items()}
        best = {id for id, rank in ranks.items() if rank == min(ranks.values())}
        return len(has) == bool(best) and best >= set(has)


def _not_theirs(audience: str | None) -> str | None:
    return None if audience == "msp_retail" else audience


# What goes wrong ------------------------------------------------------------------------------------------------------


@define(eq=False)
class Breaking:
    """A store that fails once, at its nth call: before it did anything, or so that only its answer is lost."""

    store: Any
    calls: int
    done: bool
    struck: str = ""

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        if not callable(found) or name in ("lease", "release", "leases"):
            return found
        if inspect.isasyncgenfunction(found):
            return lambda *args, **options: self._page(name) or found(*args, **options)

        async def call(*args: Any, **options: Any) -> Any:
            self.calls -= 1
            if self.calls == 0 and not self.done:
                self._strike(name)
            told = await found(*args, **options)
            if self.calls == 0:
                self._strike(name)
            return told

        return call

    def _page(self, name: str) -> None:
        self.calls -= 1
        if self.calls == 0:
            self._strike(name)

    def _strike(self, name: str) -> None:
        self.struck = name
        raise NotDurable("as asked for")


@define(eq=False)
class Watching:
    """What a partner does with each push, looked at in the moment in which it does it."""

    inner: Any
    storm: Storm
    peer: Peer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def answer(self, received: Received) -> Any:
        answer = self.inner.answer(received)
        self.storm.look_at(self.peer, received)
        return answer


Step = Callable[["Storm"], Awaitable[None]]


@define(eq=False)
class Storm:
    """One history.

    Attributes:
        log: what happened, in words.
        wrong: what was wrong, in words.
        rough: partners that had a bad time since everything was delivered last: no order is kept for them.
        changed: ids of prices that were for others under the same id: the tariff changes before connectors say so.
    """

    seed: int
    world: World
    casts: dict[str, Cast]
    sources: dict[str, Source]
    truth: Truth = field(factory=Truth)
    log: list[str] = field(factory=list)
    wrong: list[str] = field(factory=list)
    rough: set[str] = field(factory=set)
    changed: set[str] = field(factory=set)
    forward: timedelta = timedelta()
    random: random.Random = field(init=False)
    _said: int = 0
    _stamp: datetime = datetime(2026, 3, 2, 9, tzinfo=UTC)

    def __attrs_post_init__(self) -> None:
        self.random = random.Random(self.seed)

    @classmethod
    async def begin(cls, begin: Begin, seed: int) -> Storm:
        dice = random.Random(seed)
        shapes = dice.choice([("new",), ("new",), ("old",), ("new", "old")])
        keys = f"{shut()}, every: 2000h, refuse: {{shrink: 60%, dangling: 60%}}"
        sources = {
            f"feed-{shape}": Source(
                feed=Feed("eco-key", connectors=30, own=OWN), shape=shape,
                keys=f"{keys}, token_in: {{value: in-{shape}}}", version=dice.choice(["2.1.1", "2.2"]),
            )
            for shape in shapes
        }  # fmt: skip
        asks = {cast.name: _some_audiences(dice) for cast in CASTS}
        casts = {cast.name: evolve(cast, more=_quirks(asks[cast.name])) for cast in CASTS}
        readers = {"all": Consumer("all-token", AUDIENCES, redistribute=True), "app": Consumer("app-token")}
        world = await begin(*casts.values(), feeds=sources, consumers=readers)
        storm = cls(seed, world, casts, sources)
        storm.truth.asks = {name: storm._asked(name, each) for name, each in asks.items()}
        storm._dress()
        for name in sources:
            storm._only_ad_hoc(name)
        for peer in world.partners.values():
            peer._desk.modules = Watching(peer._desk.modules, storm, peer)  # type: ignore[assignment]
        await storm.say_tariff("STANDARD", "REGULAR")
        await storm.say_place(square())
        await storm.settled()
        return storm

    def _dress(self) -> None:
        """The gateway has a clock of ours."""
        prices = self.world.gateway.prices
        prices._clock, prices._files_since = self.now, self.now()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.forward

    def _asked(self, name: str, asks: tuple[str, ...]) -> tuple[str, ...]:
        return asks or ((WHOLESALE,) if self.casts[name].version == "2.1.1" else (WHOLESALE, ADHOC))

    def _only_ad_hoc(self, name: str) -> None:
        """The older shape has ids for other products that follow from nothing: it tells none."""
        if self.sources[name].shape == "old":
            feed = self.feed(name)
            for location in range(2):
                for product in ("msp", "msp_subscription", "cpo_subscription"):
                    feed.unlist(feed.price_id(location, product))

    # Play -------------------------------------------------------------------------------------------------------------

    async def play(self, steps: int) -> None:
        names = [name for name, weight in STEPS.items() for _ in range(weight)]
        for _ in range(steps):
            name = self.random.choice(names)
            self.note(f"-- {name}")
            await getattr(self, name)()
            if self.wrong:
                return
        await self.end()

    def note(self, text: str) -> None:
        self.log.append(text)

    def fault(self, text: str) -> None:
        self.note(f"WRONG {text}")
        self.wrong.append(text)

    def look_at(self, peer: Peer, received: Received) -> None:
        """The law of order, at a partner in the moment of a push."""
        if received.method not in ("PUT", "PATCH", "DELETE"):
            return
        self.note(f"   {peer.name} {received.method} {received.module} {'/'.join(received.segments)}")
        if peer.name in self.rough:
            return
        watched = self.truth.ever - self.truth.by_backend
        has = {key.rpartition("/")[2] for key in peer.objects["tariffs"]}
        named = {id for place in peer.objects["locations"].values() for ids in named_at(place).values() for id in ids}
        if received.module == "locations" and (lost := (named & watched) - has):
            self.fault(f"{peer.name} has a location that names {lost}, which it hasn't")
        lost = (named & watched) - has - self.changed
        if received.module == "tariffs" and received.method == "DELETE" and received.segments[2] in lost:
            self.fault(f"{peer.name} is to delete {received.segments[2]}, which a connector of its names")

    # Looking ----------------------------------------------------------------------------------------------------------

    @property
    def peers(self) -> Iterable[Peer]:
        return self.world.partners.values()

    async def settled(self) -> None:
        """Nothing is under way at the gateway any more, and nothing is owed to anybody: everybody has a good time now.

        Raises:
            TimeoutError: that doesn't come about.
        """
        gateway = self.world.gateway
        for peer in self.peers:
            peer._desk.faults.clear()
            await peer.up()
        async with asyncio.timeout(PATIENCE_S):
            quiet = 0
            while quiet < 2:
                await gateway.joined()
                busy = await self._prices_are_busy() or bool(await gateway.store.orphans())
                for link in self.casts:
                    busy = await self._owes(link) or busy
                await gateway.courier.settle_down(5)
                quiet = 0 if busy else quiet + 1
                await asyncio.sleep(0.005)
        self.rough.clear()

    async def _owes(self, link: str) -> bool:
        """Whether a link is owed anything; then it is tried now, whatever the clock and former failures say."""
        store, courier = self.world.gateway.store, self.world.gateway.courier
        backlog = await store.backlog(link)
        if backlog.held:
            self.fault(f"{link} has {backlog.held} objects that are held")
        now = int(time.time() * 1000)
        for each in await store.due(link, EVER, 100):
            if each.at > now + 60_000:  # the clock of prices is far ahead of the ledger's
                await store.owe(link, each.name, now)
        if backlog.due:
            await courier._try_at_once(link)
            courier.wake(link)
        return bool(backlog.due)

    async def _prices_are_busy(self) -> bool:
        feeds = self.world.gateway.prices
        ids = {*self.filed, *await self.world.gateway.store.feeds()}
        return bool(feeds._working or any(feeds._is_news(id) for id in ids))

    def forgive(self) -> None:
        """Where a connection is cut, a client may ask again by itself, which is no fault."""
        for peer in self.peers:
            peer.complaints[:] = [each for each in peer.complaints if not each.endswith("was used before")]

    async def end(self) -> None:
        """A last import, the time for what has left to go, and then everything is looked at."""
        self.note("== the end")
        for name in self.sources:
            self._mended(name)
            if name in self.filed:
                await self.read(name)
        await self.settled()
        self.look_at_everybody("after the last import", exact=False)
        self.forward += AWAY
        for name in self.filed:
            await self.read(name)
        self.world.gateway.prices._quiet.clear()
        await self.settled()
        await asyncio.sleep(0)
        self.look_at_everybody("in the end", exact=True)
        await self.look_at_lists()
        await self.look_at_backend()
        await self.look_at_consumers()

    def look_at_everybody(self, when: str, *, exact: bool) -> None:
        """What each partner has beside what it should have. ``exact``: nothing else, either."""
        for peer in self.peers:
            has = list(peer.objects["tariffs"].items())
            self._compare_tariffs(f"{when} {peer.name} has", peer.name, has, exact=exact)
            places = {place["id"]: place for place in peer.objects["locations"].values()}
            self._compare_places(f"{when} {peer.name} has", peer.name, places, exact=exact)

    def _compare_tariffs(self, what: str, link: str, has: Sequence[tuple[str, Json]], *, exact: bool) -> None:
        should = self.truth.tariffs_of(link)
        there = {_name(key): tariff for key, tariff in has}
        if lost := should.keys() - there.keys():
            self.fault(f"{what} not the tariffs {sorted(lost)}")
        if exact and (more := there.keys() - should.keys()):
            self.fault(f"{what} tariffs too many: {sorted(more)}")
        if len(has) != len(there):
            self.fault(f"{what} tariffs twice: {sorted(key for key, _ in has)}")
        for name, tariff in there.items():
            if name in should and "type" in tariff and (should[name] == ADHOC) != (tariff["type"] == "AD_HOC_PAYMENT"):
                self.fault(f"{what} {name} as {tariff['type']}, and it is for {should[name]}")

    def _compare_places(self, what: str, link: str, places: Mapping[str, Json], *, exact: bool) -> None:
        version, ids = self.casts[link].version, self.truth.place_ids(link)
        if places.keys() != ids:
            self.fault(f"{what} the locations {sorted(places)} and not {sorted(ids)}")
            return
        for id, place in places.items():
            named, should = named_at(place), self.truth.named(link, id, exact=exact)
            if named.keys() != should.keys() and exact:
                self.fault(f"{what} in {id} the connectors {sorted(named)} and not {sorted(should)}")
            for where in named.keys() & should.keys():
                if not self.truth.fits(version, should[where], named[where]):
                    self.fault(f"{what} in {id} at {where} {named[where]} and not {should[where]}")

    async def look_at_lists(self) -> None:
        """What each partner reads in our lists is what it has."""
        for peer in self.peers:
            link = peer.name
            rows = {m: [row for page in await peer.pages(m) for row in page.data] for m in ("tariffs", "locations")}
            keyed = [(self._key(peer, "tariffs", row), row) for row in rows["tariffs"]]
            self._compare_tariffs(f"{link} reads", link, keyed, exact=True)
            self._compare_places(f"{link} reads", link, {row["id"]: row for row in rows["locations"]}, exact=True)
            for module, listed in rows.items():
                stored = {key.rpartition("/")[2]: obj for key, obj in peer.objects[module].items()}
                doubled = len({row["id"] for row in listed}) != len(listed)
                for row in listed if not doubled else ():
                    if _undated(row) != _undated(stored.get(row["id"])) and not self.wrong:
                        self.fault(f"{link} reads another of {module} than it has: {_diff(row, stored.get(row['id']))}")

    @staticmethod
    def _key(peer: Peer, module: str, row: Json) -> str:
        """Where a partner has what it reads in a list; 2.1.1 doesn't say whose it is."""
        if "party_id" in row:
            return f"{row['country_code']}/{row['party_id']}/{row['id']}"
        found = [key for key, obj in peer.objects[module].items() if obj == row]
        return found[0] if found else f"NL/EXA/{row['id']}"

    async def look_at_backend(self) -> None:
        """The backend reads what it said, and nothing else."""
        for (link, id), place in self.truth.places.items():
            if link is None:
                read = await self.world.backend.get("locations", "NL", "EXA", id, side="RECEIVER")
                if not read.ok or named_at(read.data) != named_at(place):
                    self.fault(f"the backend reads {read} {named_at(read.data or {})} and said {named_at(place)}")

    async def look_at_consumers(self) -> None:
        """Readers of prices see those that hold at our connectors: of feeds only who may."""
        all, app = self.world.consumers["all"], self.world.consumers["app"]
        for reader, consumer in (("all", all), ("app", app)):
            listed = {row["id"] for row in await consumer.rows(PRICES)}
            rows = await consumer.rows(CONNECTOR_PRICES)
            at = {(row["location_id"], f"{row['evse_uid']}/{row['connector_id']}"): row["pricing_ids"] for row in rows}
            if lost := {id for ids in at.values() for id in ids} - listed:
                self.fault(f"{reader} reads connectors that name {lost}, which aren't listed")
            for (link, id), place in self.truth.places.items():
                for where, spot, plug in plugs_of(place) if link is None else ():
                    own = {each for each in plug.get("tariff_ids", ()) if self.truth.is_for(each, consumer.audience)}
                    told = self.truth.told_at(spot) if consumer.redistribute else set()
                    count = len(at.get((id, where), ()))
                    # Two prices of a feed may be the same but for their ids, and are served as one.
                    if not len(own) + bool(told) <= count <= len(own) + len(told):
                        self.fault(f"{reader} reads {count} prices at {where} of {id}, and not {own} and {told}")

    # The backend ------------------------------------------------------------------------------------------------------

    def stamp(self) -> str:
        self._stamp += self.random.choice([timedelta(minutes=1), timedelta(minutes=1), timedelta(days=20)])
        return f"{self._stamp:%Y-%m-%dT%H:%M:%SZ}"

    def _to(self, link: Link) -> Json:
        return {} if link is None else {"to": self.world[link].who.roles[0].party}

    def _accepted(self, what: str, answer: Exchange, *, http: int = 0) -> None:
        self.note(f"   {what} -> {answer.http} {answer.status_code} {answer.message}")
        if (answer.http != http) if http else (not answer.ok or answer.message.startswith("Older")):
            self.fault(f"{what}: {answer}")

    async def say_tariff(self, id: str, type: str, link: Link = None) -> None:
        self._said += 1
        tariff = {
            "country_code": "NL", "party_id": "EXA", "id": id, "currency": "EUR", "type": type,
            "elements": [{"price_components": [{"type": "ENERGY", "price": self._said / 100, "step_size": 1}]}],
            "last_updated": self.stamp(),
        }  # fmt: skip
        self.truth.tariffs[link, id] = type
        self.truth.by_backend.add(id)
        self._accepted(
            f"tariff {id} {type} to {link}",
            await self.world.backend.put("tariffs", "NL", "EXA", id, body=tariff, **self._to(link)),
        )

    async def say_place(self, place: Json, link: Link = None) -> None:
        place = {**place, "last_updated": self.stamp()}
        self._keep_place(place, link)
        answer = await self.world.backend.put("locations", "NL", "EXA", place["id"], body=place, **self._to(link))
        self._accepted(f"{place['id']} to {link} {_told(place)}", answer)

    def _keep_place(self, place: Json, link: Link) -> None:
        self.truth.places[link, place["id"]] = place
        self.truth.by_backend |= {id for _, _, plug in plugs_of(place) for id in plug.get("tariff_ids", ())}

    def _known_ids(self) -> list[str]:
        """Ids that a backend may use for tariffs of its own: its own, and those of prices."""
        prices = [id for id in self._free_prices() if self.random.random() < 0.5]
        return [*NAMES[:2], *self.random.sample(prices, min(len(prices), 2))]

    def _link(self) -> Link:
        return self.random.choice([None, None, *self.casts])

    async def tariff(self) -> None:
        type = self.random.choice(["REGULAR", "REGULAR", "AD_HOC_PAYMENT"])
        await self.say_tariff(self.random.choice(self._known_ids()), type, self._link())

    def _free_prices(self) -> list[str]:
        """Ids of ad hoc prices that a backend may use: those that always were, and stay so.

        An id of a price that isn't ours, or that only some may know of, is known to no backend.
        """
        here, told = self.truth.here(), self.truth.told.values()
        ids = {id for each in told for spot in here for id in each.at.get(spot, ()) if each.prices[id] == ADHOC}
        return sorted(ids - self.changed)

    async def tariff_of_a_price(self) -> None:
        if prices := self._free_prices():
            type = self.random.choice(["REGULAR", "AD_HOC_PAYMENT"])
            await self.say_tariff(self.random.choice(prices), type, self._link())

    async def no_tariff(self) -> None:
        if not self.truth.tariffs:
            return
        link, id = self.random.choice(sorted(self.truth.tariffs, key=str))
        del self.truth.tariffs[link, id]
        answer = await self.world.backend.delete("tariffs", "NL", "EXA", id, **self._to(link))
        self._accepted(f"no tariff {id} to {link}", answer)

    def _a_place(self) -> tuple[Link, Json]:
        """A location that is there, and whom it is said to."""
        (link, _), place = self.random.choice(sorted(self.truth.places.items(), key=str))
        return link, deepcopy(place)

    def _some_ids(self) -> list[str]:
        ids = [*NAMES, *self._known_ids()[2:]] if self.random.random() < 0.2 else [*NAMES[:2]]
        return self.random.sample(ids, self.random.choice([0, 1, 1, 2]))

    def _changed(self, place: Json) -> Json:
        dice, evses = self.random, place["evses"]
        for _ in range(dice.choice([1, 2])):
            match dice.choice(["drop", "add", "rename", "tariffs", "plug", "no id"]):
                case "drop" if len(evses) > 1:
                    evses.remove(dice.choice(evses))
                case "add" if len(evses) < 5:
                    free = sorted({f"U{n}" for n in range(1, 8)} - {evse["uid"] for evse in evses})
                    new = deepcopy(square()["evses"][0])
                    evses.append({**new, "uid": dice.choice(free), "evse_id": dice.choice(EVSES)})
                case "rename" if evses:
                    dice.choice(evses)["evse_id"] = dice.choice(EVSES)
                case "plug" if evses:
                    evse = dice.choice(evses)
                    if len(evse["connectors"]) > 1:
                        evse["connectors"].pop()
                    else:
                        (one,) = evse["connectors"]
                        evse["connectors"].append({**one, "id": "2" if one["id"] == "1" else "1"})
                case "no id" if evses:
                    dice.choice(evses).pop("evse_id", None)
                case _:
                    for evse in evses:
                        for plug in evse["connectors"]:
                            plug["tariff_ids"] = self._some_ids()
        return place

    async def place(self) -> None:
        _, place = self._a_place()
        await self.say_place(self._changed(place), self._link())

    async def annex(self) -> None:
        _, place = self._a_place()
        await self.say_place(self._changed({**place, "id": "ANNEX"}), self._link())

    async def piece(self) -> None:
        """A PUT or PATCH of an EVSE or connector, to whom the location was said."""
        link, place = self._a_place()
        dice, backend, when, id = self.random, self.world.backend, self.stamp(), place["id"]
        evse = dice.choice(place["evses"])
        plug = dice.choice(evse["connectors"])
        for thing in (place, evse):
            thing["last_updated"] = when
        to = self._to(link)
        ids = self._some_ids()
        self.truth.by_backend |= {*ids}
        match dice.choice(["rename", "status", "tariffs", "put plug", "put evse", "name"]):
            case "rename":
                evse["evse_id"] = dice.choice(EVSES)
                change = {"evse_id": evse["evse_id"], "last_updated": when}
                answer = await backend.patch("locations", "NL", "EXA", id, evse["uid"], body=change, **to)
            case "status":
                change = {"status": dice.choice(["AVAILABLE", "CHARGING"]), "last_updated": when}
                evse |= change
                answer = await backend.patch("locations", "NL", "EXA", id, evse["uid"], body=change, **to)
            case "tariffs":
                change = {"tariff_ids": ids, "last_updated": when}
                plug |= change
                answer = await backend.patch("locations", "NL", "EXA", id, evse["uid"], plug["id"], body=change, **to)
            case "put plug":
                plug |= {"tariff_ids": ids, "last_updated": when}
                answer = await backend.put("locations", "NL", "EXA", id, evse["uid"], plug["id"], body=plug, **to)
            case "put evse":
                evse["evse_id"] = dice.choice(EVSES)
                answer = await backend.put("locations", "NL", "EXA", id, evse["uid"], body=evse, **to)
            case _:
                place["name"] = f"Neude {when}"
                change = {"name": place["name"], "last_updated": when}
                answer = await backend.patch("locations", "NL", "EXA", id, body=change, **to)
        self._keep_place(place, link)
        self._accepted(f"a piece of {id} to {link} {_told(place)}", answer)

    # Feeds ------------------------------------------------------------------------------------------------------------

    def feed(self, name: str) -> Feed:
        return self.world.feeds[name]

    @property
    def filed(self) -> list[str]:
        """Feeds that have a file."""
        return [feed.id for feed in self.world.settings.feeds]

    def _a_feed(self) -> str:
        return self.random.choice([*self.sources])

    def _price(self, name: str) -> str:
        products = ["adhoc", "msp", "cpo_subscription"] if self.sources[name].shape == "new" else ["adhoc"]
        return self.feed(name).price_id(self.random.choice(OWN).evse_id, self.random.choice(products))

    def _mended(self, name: str) -> None:
        self.feed(name).mend()
        self._only_ad_hoc(name)

    async def dearer(self) -> None:
        name = self._a_feed()
        some = () if self.random.random() < 0.3 else (self._price(name),)
        self.feed(name).update(*some)
        self.note(f"   {name} {some}")

    async def unlisted(self) -> None:
        name = self._a_feed()
        self.feed(name).unlist(self._price(name))

    async def mended(self) -> None:
        self._mended(self._a_feed())

    async def merged(self) -> None:
        self.feed(self._a_feed()).move(self.random.choice(OWN).evse_id)

    async def for_others(self) -> None:
        """A price is for others under the same id."""
        name, type = self._a_feed(), self.random.choice([*TYPES])
        price = self._price(name)
        if self.sources[name].shape == "new" and price not in self.truth.by_backend:
            self.changed.add(price)
            row = self.feed(name).row_of(price)
            self.note(f"   row {row} {type}")
            self.feed(name).edit("prices", row, lambda row: {**row, "product": {**row["product"], "type": type}})

    async def moved(self) -> None:
        """A connector has the prices of another one."""
        name = self._a_feed()
        feed, ours = self.feed(name), self.random.sample(range(5), 2)
        other = feed.row("connector_prices", ours[1])
        if self.sources[name].shape == "new" and isinstance(other, dict) and isinstance(other["pricing_ids"], list):
            ids = self.random.sample(other["pricing_ids"], self.random.randint(0, len(other["pricing_ids"])))
            self.note(f"   row {ours[0]} {ids}")
            feed.edit("connector_prices", ours[0], lambda row: {**row, "pricing_ids": ids})

    async def odd_row(self) -> None:
        name = self._a_feed()
        feed = self.feed(name)
        if self.sources[name].shape == "old":
            feed.edit("prices", self.random.randrange(2), lambda _: "gone")
            return
        match self.random.choice(["price", "no elements", "connector", "no prices"]):
            case "price":
                feed.edit("prices", self.random.randrange(8), lambda _: "gone")
            case "no elements":
                feed.edit("prices", self.random.randrange(8), lambda row: {**row, "elements": []})
            case "connector":
                feed.edit("connector_prices", self.random.randrange(5), lambda _: None)
            case _:
                feed.edit("connector_prices", self.random.randrange(5), lambda row: {**row, "pricing_ids": []})

    async def status(self) -> None:
        name = self._a_feed()
        feed, evse = self.feed(name), self.random.choice(OWN).evse_id
        token = f"in-{self.sources[name].shape}"
        if name in self.filed:
            with suppress(GatewayError):
                await feed.push_status(
                    self.world.settings.public_url, token, feed.location_id(evse), feed.evse_uid(evse), "CHARGING"
                )

    async def bad_day(self) -> None:
        """Whatever is read is refused, and then it is as it was but for rows that are good again."""
        name = self._a_feed()
        if name not in self.filed:
            return
        feed = self.feed(name)
        if self.truth.told.get(name, Told()) != Told():
            day = self.random.choice(["error", "cut", "html", "empty", "shrunken"])
        else:
            day = self.random.choice(["error", "cut", "html", "empty"])
        match day:
            case "empty":
                feed.shrink(0)
            case "shrunken":
                feed.shrink(0.2)
            case "error" | "cut" | "html":
                feed.fail(self.random.choice(["prices", "locations"]), day)  # type: ignore[arg-type]
        feed.update()
        report = await self.world.gateway.prices.read(name)
        self.note(f"   {name} {day}: {report.refused}")
        if report.refused is None:
            self.fault(f"a feed on a bad day ({day}) was believed")
        self._mended(name)

    async def imported(self) -> None:
        if self.filed:
            await self.read(self.random.choice(self.filed))

    async def read(self, name: str) -> None:
        told = Told.by(self.feed(name), str(self.sources[name].shape))
        self.truth.ever |= set(told.prices)
        for _ in range(100):
            try:
                report = await self.world.gateway.prices.read(name)
                break
            except BeingRead:
                await asyncio.sleep(0.05)
        self.note(f"   {name}: refused {report.refused}, ours {report.own_connectors}")
        if report.refused is not None:
            self.fault(f"{name} was refused: {report.refused}")
        self.truth.told[name] = told

    async def twice(self) -> None:
        """Two processes at once."""
        if not self.filed:
            return
        name = self.random.choice(self.filed)
        self.truth.ever |= set(Told.by(self.feed(name), str(self.sources[name].shape)).prices)
        async with price_feeds(self.world.settings, self.world.gateway.store) as other:
            other._clock = self.now

            async def elsewhere() -> None:
                with suppress(BeingRead):
                    await other.read(name)

            await asyncio.gather(self.read(name), elsewhere())

    async def while_pushing(self) -> None:
        """Read while the backend is pushing."""
        if self.filed:
            pushing = asyncio.create_task(self._several())
            await self.read(self.random.choice(self.filed))
            await pushing

    async def _several(self) -> None:
        for _ in range(3):
            await self.random.choice([self.place, self.piece, self.tariff, self.tariff_of_a_price, self.no_tariff])()
            await asyncio.sleep(self.random.random() / 100)

    async def broken(self) -> None:
        """The store fails once, somewhere in a reading; and it is read again, now or later.

        What was said just then is owed a moment later, so that what names it may overtake it.
        """
        if not self.filed:
            return
        self.rough.update(self.casts)
        name, feeds = self.random.choice(self.filed), self.world.gateway.prices
        self.truth.ever |= set(Told.by(self.feed(name), str(self.sources[name].shape)).prices)
        breaking = Breaking(feeds._store, self.random.randint(1, 70), self.random.random() < 0.5)
        whole = feeds._store
        feeds._store = breaking  # type: ignore[assignment]
        try:
            await feeds.read(name)
            told = True
        except (NotDurable, BeingRead):
            told = False
        finally:
            feeds._store = whole
        self.note(f"   {name} {breaking.struck} {'after' if breaking.done else 'before'}; read: {told}")

    # Time, files, processes -------------------------------------------------------------------------------------------

    async def later(self) -> None:
        self.forward += self.random.choice([timedelta(minutes=11), timedelta(hours=20), AWAY])
        self.world.gateway.prices._quiet.clear()
        self.note(f"   {self.forward}")

    async def settle(self) -> None:
        await self.settled()

    async def restarted(self) -> None:
        await self.world.restart()
        self._dress()

    async def asks(self) -> None:
        name = self.random.choice([*self.casts])
        asks = _some_audiences(self.random)
        self.truth.asks[name] = self._asked(name, asks)
        self.note(f"   {name} {asks}")
        path = self.world.folder / "config" / "partners" / f"{name}.yaml"
        kept = [line for line in path.read_text().splitlines() if not line.startswith("quirks:")]
        path.write_text("\n".join([*kept, _quirks(asks)]))
        await self._reloaded()

    async def file(self) -> None:
        """A feed's file is taken away, or is back."""
        name = self._a_feed()
        path = self.world.folder / "config" / "partners" / f"{name}.yaml"
        self.note(f"   {name} {'gone' if path.exists() else 'back'}")
        if path.exists():
            path.unlink()
            self.truth.told.pop(name, None)
        else:
            path.write_text(self.sources[name].partner_file)
        await self._reloaded()

    async def _reloaded(self) -> None:
        versions = {version: adapter.sends_routing_headers for version, adapter in ADAPTERS.items()}
        self.world.settings = load(self.world.folder / "config", versions, os.environ)
        await self.world.gateway.reload(self.world.settings)

    # Partners ---------------------------------------------------------------------------------------------------------

    async def down(self) -> None:
        peer = self.random.choice([*self.peers])
        self.rough.add(peer.name)
        self.note(f"   {peer.name}")
        await peer.down()

    async def up(self) -> None:
        for peer in self.peers:
            await peer.up()

    async def fails(self) -> None:
        peer, module = self.random.choice([*self.peers]), self.random.choice(["locations", "tariffs"])
        self.rough.add(peer.name)
        how = self.random.choice(["500", "3000", "drop"])
        applied, times = self.random.random() < 0.5, self.random.choice([1, 2, 6])
        self.note(f"   {peer.name} {module} {how} {times} {applied}")
        peer.fail(module, http=500 if how == "500" else 200, times=times, applied=applied, drop=how == "drop")

    async def slow(self) -> None:
        peer = self.random.choice([*self.peers])
        peer.slow(self.random.choice(["locations", "tariffs"]), seconds=0.05, times=2)


def _some_audiences(dice: random.Random) -> tuple[str, ...]:
    """Whom a link asks for; nobody in particular often."""
    return tuple(sorted(dice.sample(AUDIENCES, dice.choice([0, 0, 1, 2, 4])), key=AUDIENCES.index))


def _quirks(asks: Sequence[str]) -> str:
    return f"quirks: {{tariffs.audience: [{', '.join(asks)}]}}\n" if asks else ""


def _name(key: str) -> tuple[str, str]:
    """Whose a tariff is, and its id, by the key under which a partner has it."""
    owner, _, id = key.rpartition("/")
    return ("ours" if owner.endswith("/EXA") else "theirs", id)


def _told(place: Json) -> str:
    return " ".join(f"{where}@{spot}{plug.get('tariff_ids', [])}" for where, spot, plug in plugs_of(place))


def _undated(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _undated(inner) for name, inner in value.items() if name != "last_updated"}
    return [_undated(inner) for inner in value] if isinstance(value, list) else value


def _diff(one: Any, other: Any) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        names = [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]
        return "; ".join(f"{name}: {_diff(one.get(name), other.get(name))}" for name in names)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return "; ".join(f"{n}: {_diff(a, b)}" for n, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
    return f"{one!r} / {other!r}"


STEPS: Final = {
    "imported": 7, "dearer": 4, "unlisted": 2, "mended": 2, "merged": 1, "for_others": 2, "moved": 3, "odd_row": 1,
    "status": 1, "bad_day": 1, "twice": 1, "while_pushing": 2, "broken": 3, "tariff": 3, "tariff_of_a_price": 4,
    "no_tariff": 4, "place": 4, "annex": 1, "piece": 5, "later": 2, "settle": 3, "restarted": 1, "asks": 2, "file": 1,
    "down": 1, "up": 1, "fails": 2, "slow": 1,
}  # fmt: skip
"""What may happen, and how often."""
