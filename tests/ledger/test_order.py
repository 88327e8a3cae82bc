"""What goes before what: no partner ever has a connector that names a tariff which it hasn't got.

Tariffs and locations are laid into the store and made due by hand, in the order in which they must not go out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any, Final

import pytest
import samples
from attrs import evolve, field, frozen

from gateway.app import ADAPTERS
from gateway.breaker import OPEN
from gateway.demo.peers import Peer, Received
from gateway.demo.world import Cast, World
from gateway.model.modules import Module
from gateway.model.names import Name
from gateway.model.party import Party
from gateway.settings import load
from gateway.web.json import CODEC

Json = dict[str, Any]
Begin = Callable[..., Awaitable[World]]

EXA: Final = Party("NL", "EXA")
NEW: Final = Cast(name="partner", version="2.2.1", country="DE", party="VLT", business="Volt Drive", start="us")
OLD: Final = Cast(name="partner", version="2.1.1", country="DEU", party="ACM", business="Acme Mobility")
EITHER: Final = pytest.mark.parametrize("cast", [OLD, NEW], ids=["to-2.1.1", "to-2.2.1"])

EARLIER_MS: Final = 60_000
LATER: Final = "2026-05-01T00:00:00Z"


def tariff(id: str) -> Name:
    return Name(Module.TARIFFS, EXA, id)


def location(id: str) -> Name:
    return Name(Module.LOCATIONS, EXA, id)


def a_tariff(name: Name) -> Json:
    minimal: Json = samples.tariff_221_minimal()
    return minimal | {"id": name.id, "type": "REGULAR"}


def a_location(name: Name, *named: Name, when: str = "2026-03-02T08:00:00Z") -> Json:
    """A location whose only connector names these tariffs."""
    plug = samples.connector_221_minimal() | {"tariff_ids": [each.id for each in named], "last_updated": when}
    evse = samples.evse_221_minimal() | {"connectors": [plug], "last_updated": when}
    minimal: Json = samples.location_221_minimal()
    return minimal | {"id": name.id, "evses": [evse], "last_updated": when}


@frozen
class Scene:
    """A world with one partner, and a hand in its store."""

    world: World
    said: dict[Name, int] = field(factory=dict)

    @property
    def partner(self) -> Peer:
        return self.world["partner"]

    async def say(self, name: Name, canonical: Json, *, deleted: bool = False) -> None:
        """It is said, and owed to nobody yet."""
        store, data = self.world.gateway.store, CODEC.dumps(canonical)
        self.said[name] = await store.say(name, data, data, "2.2.1", "backend", None, [], deleted=deleted)
        named = [id for evse in canonical.get("evses", ()) for plug in evse["connectors"] for id in plug["tariff_ids"]]
        await store.index_location(name, named)

    async def owe(self, *orders: Iterable[Name]) -> None:
        """All of it is due; what stands in the first of these became so first."""
        store, now = self.world.gateway.store, time.time_ns() // 1_000_000
        # Those that were due last are written first: whenever somebody looks, nothing is due without what it needs.
        for number, names in reversed(list(enumerate(orders))):
            for name in names:
                await store.owe("partner", name, now - EARLIER_MS * (len(orders) - number))
        self.world.gateway.courier.wake("partner")

    async def done(self, within: float = 20) -> None:
        """Nothing is due any more, now or later."""
        async with asyncio.timeout(within):
            while (await self.world.gateway.store.backlog("partner")).due:
                await self.world.gateway.courier.settle_down(1)
                await asyncio.sleep(0.01)

    def puts(self, module: str, *methods: str) -> list[Received]:
        wanted = methods or ("PUT", "PATCH")
        return [
            got for got in self.partner.received if got.module == module and got.method in wanted and got.http < 300
        ]


async def scene(world: Begin, cast: Cast) -> Scene:
    return Scene(await world(cast))


def ids_in(body: Any) -> list[str]:
    """The tariffs that a location or a piece of it names."""
    match body:
        case dict():
            own = [*(body.get("tariff_ids") or ()), *([body["tariff_id"]] if "tariff_id" in body else [])]
            return [*own, *(id for inner in body.values() for id in ids_in(inner))]
        case list():
            return [id for inner in body for id in ids_in(inner)]
        case _:
            return []


def assert_tariffs_came_first(scene: Scene, *, answered_in: float = 0.0) -> None:
    """Each tariff that a location names was there when the location arrived, and was answered by then."""
    there = {got.segments[2]: got.at + timedelta(seconds=answered_in) for got in reversed(scene.puts("tariffs"))}
    for got in scene.puts("locations"):
        for id in ids_in(got.body):
            assert id in there, f"{got} names {id}, which never came"
            assert there[id] <= got.at, f"{got} names {id}, which came later"


def assert_deletes_came_last(scene: Scene, has: dict[str, Any]) -> None:
    """No tariff went while the partner had a location that named it.

    Args:
        has: what the partner had of locations when the first of them arrived, by id.
    """
    named = {id: set(ids_in(body)) for id, body in has.items()}
    for got in scene.partner.received:
        if got.module == "locations" and got.method in ("PUT", "PATCH") and got.http < 300:
            named[got.segments[2]] = set(ids_in(got.body))
        if got.module == "tariffs" and got.method == "DELETE":
            assert not [id for id, ids in named.items() if got.segments[2] in ids], f"{got} was named still"


@EITHER
async def test_locations_let_the_tariffs_go_first_that_they_name(world: Begin, cast: Cast) -> None:
    """A hundred locations that were due long before their tariffs go after them, four at a time, to a slow partner."""
    stage = await scene(world, cast)
    stage.partner.delay = 0.02
    tariffs, locations = [tariff(f"T{n}") for n in range(100)], [location(f"L{n}") for n in range(100)]
    for one in tariffs:
        await stage.say(one, a_tariff(one))
    for number, one in enumerate(locations):
        await stage.say(one, a_location(one, tariffs[number], tariffs[(number * 7) % 100]))
    await stage.owe(locations, tariffs)
    await stage.done()
    assert len(stage.puts("locations")) == 100
    # One tariff is brought once, also where several wait for it.
    assert sorted(got.segments[2] for got in stage.puts("tariffs")) == sorted(one.id for one in tariffs)
    assert_tariffs_came_first(stage, answered_in=0.02)


@EITHER
async def test_all_that_was_owed_in_one_moment_is_in_order(world: Begin, cast: Cast) -> None:
    """As after an outage, when everything is due at once and locations stand before tariffs."""
    stage = await scene(world, cast)
    stage.partner.delay = 0.01
    tariffs, locations = [tariff(f"T{n}") for n in range(60)], [location(f"L{n}") for n in range(60)]
    for one in tariffs:
        await stage.say(one, a_tariff(one))
    for number, one in enumerate(locations):
        await stage.say(one, a_location(one, *tariffs[number : number + 3]))
    await stage.owe([*locations, *tariffs])
    await stage.done()
    assert len(stage.puts("tariffs")) == len(stage.puts("locations")) == 60
    assert_tariffs_came_first(stage, answered_in=0.01)


@EITHER
async def test_the_delete_of_a_tariff_goes_after_locations_that_named_it(world: Begin, cast: Cast) -> None:
    """Sixty tariffs that were deleted long before their locations were told go after these."""
    stage = await scene(world, cast)
    old, new = [tariff(f"T{n}") for n in range(60)], tariff("NEXT")
    locations = [location(f"L{n}") for n in range(60)]
    for one in old:
        await stage.say(one, a_tariff(one))
    for number, one in enumerate(locations):
        await stage.say(one, a_location(one, old[number]))
    await stage.owe(old, locations)
    await stage.done()
    had = {got.segments[2]: got.body for got in stage.puts("locations")}

    stage.partner.received.clear()
    stage.partner.delay = 0.02
    await stage.say(new, a_tariff(new))
    for one in locations:
        await stage.say(one, a_location(one, new, when=LATER))
    for one in old:
        await stage.say(one, a_tariff(one), deleted=True)
    await stage.owe(old, [new], locations)
    await stage.done()
    assert len(stage.puts("tariffs", "DELETE")) == 60
    assert_deletes_came_last(stage, had)
    assert {id for got in stage.puts("locations") for id in ids_in(got.body)} == {"NEXT"}


@EITHER
async def test_the_order_holds_after_an_outage(world: Begin, cast: Cast) -> None:
    """Whatever was tried in vain meanwhile: when the partner is back, tariffs come before what names them."""
    stage = await scene(world, cast)
    tariffs, locations = [tariff(f"T{n}") for n in range(60)], [location(f"L{n}") for n in range(60)]
    for one in tariffs:
        await stage.say(one, a_tariff(one))
    for number, one in enumerate(locations):
        await stage.say(one, a_location(one, tariffs[number]))
    await stage.partner.down()
    await stage.owe([*tariffs, *locations])
    open_ = [OPEN.labels("partner", module) for module in (Module.TARIFFS, Module.LOCATIONS)]
    async with asyncio.timeout(10):
        while not all(each._value.get() for each in open_):
            await stage.world.gateway.courier.settle_down(0.05)
            await asyncio.sleep(0.01)
    await stage.world.gateway.courier.settle_down(5)
    await stage.partner.up()
    stage.partner.delay = 0.01
    stage.world.gateway.courier.urge("partner")
    await stage.done()
    assert len(stage.partner.objects["tariffs"]) == len(stage.partner.objects["locations"]) == 60
    assert_tariffs_came_first(stage, answered_in=0.01)


@EITHER
async def test_tariffs_that_leave_after_an_outage_hold_nothing_up(world: Begin, cast: Cast) -> None:
    """They were deleted meanwhile, and a location named them all: it goes, then they go, and the circuit closes."""
    stage = await scene(world, cast)
    leaving, place = [tariff("ONE"), tariff("OTHER")], location("L")
    for one in leaving:
        await stage.say(one, a_tariff(one))
    await stage.say(place, a_location(place, *leaving))
    await stage.owe([*leaving, place])
    await stage.done()
    for one in leaving:
        await stage.say(one, a_tariff(one), deleted=True)
    await stage.say(place, a_location(place, *leaving, when=LATER))
    stage.world.gateway.courier._objects.breakers._breaker("partner", Module.TARIFFS, 60).stay_open(0)
    await stage.owe([*leaving, place])
    await stage.done(5)
    assert [(got.method, got.module) for got in stage.partner.received[-3:]] == [
        ("PUT", "locations"), ("DELETE", "tariffs"), ("DELETE", "tariffs"),
    ]  # fmt: skip


async def test_a_tariff_that_cant_be_brought_holds_up_its_location_for_one_attempt(world: Begin) -> None:
    """The location goes without it: somebody may want to charge there."""
    stage = await scene(world, NEW)
    bad, place = tariff("BAD"), location("L1")
    stage.partner.fail("tariffs", http=500, times=100)
    await stage.say(bad, a_tariff(bad))
    await stage.say(place, a_location(place, bad))
    await stage.owe([place], [bad])
    await stage.partner.wait_for("PUT", "locations")
    assert [got.module for got in stage.partner.received if got.method == "PUT"] == ["tariffs", "locations"]


async def test_nobody_waits_for_a_tariff_that_isnt_due(world: Begin) -> None:
    """One that is refused, one that waits for its next attempt, and one that nobody knows hold up nothing."""
    stage = await scene(world, NEW)
    held, later, place = tariff("HELD"), tariff("LATER"), location("L1")
    for one in (held, later):
        await stage.say(one, a_tariff(one))
    stage.partner.fail("tariffs", status=2001, times=1)
    await stage.owe([held])
    await stage.done()
    await stage.world.gateway.store.owe("partner", later, time.time_ns() // 1_000_000 + 3_600_000)
    await stage.say(place, a_location(place, held, later, tariff("NOBODY")))
    await stage.owe([place])
    await stage.partner.wait_for("PUT", "locations")
    assert [got.module for got in stage.partner.received if got.method == "PUT"] == ["tariffs", "locations"]


async def test_a_location_waits_for_its_own_tariffs_only(world: Begin) -> None:
    """While one tariff is under way for long, what doesn't name it goes on; and who names it goes when it is there."""
    stage = await scene(world, NEW)
    slow, its, another = tariff("SLOW"), location("ITS"), location("ANOTHER")
    stage.partner.slow("tariffs", seconds=0.5)
    await stage.say(slow, a_tariff(slow))
    await stage.say(its, a_location(its, slow))
    await stage.say(another, a_location(another))
    await stage.owe([slow], [its, another])
    await stage.done()
    came = {got.segments[2]: got.at for got in stage.partner.received if got.method == "PUT"}
    assert came["SLOW"] + timedelta(seconds=0.5) <= came["ITS"]
    assert came["ANOTHER"] < came["ITS"]


async def test_a_tariff_that_leaves_and_a_location_that_names_it_dont_wait_for_each_other(world: Begin) -> None:
    """The backend has deleted a tariff that its location still names: the location goes first, then the DELETE."""
    stage = await scene(world, NEW)
    gone, place = tariff("GONE"), location("L1")
    await stage.say(gone, a_tariff(gone))
    await stage.say(place, a_location(place, gone))
    await stage.owe([gone], [place])
    await stage.done()
    stage.partner.received.clear()
    await stage.say(gone, a_tariff(gone), deleted=True)
    await stage.say(place, a_location(place, gone, when=LATER) | {"name": "Kade"})
    await stage.owe([gone], [place])
    await stage.done(within=5)
    told = [(got.method, got.module) for got in stage.partner.received]
    assert told == [("PATCH", "locations"), ("DELETE", "tariffs")]


async def test_a_tariff_that_a_link_may_no_longer_see_leaves_after_its_connectors(world: Begin) -> None:
    """It turns ad hoc, which this partner doesn't ask for: first its connector says so, though nobody told it anew."""
    stage = await scene(world, evolve(NEW, more="quirks: {tariffs.audience: [wholesale]}\n"))
    shy, place = tariff("SHY"), location("L1")
    await stage.say(shy, a_tariff(shy))
    await stage.say(place, a_location(place, shy))
    await stage.owe([shy], [place])
    await stage.done()
    stage.partner.received.clear()
    await stage.say(shy, a_tariff(shy) | {"type": "AD_HOC_PAYMENT", "last_updated": LATER})
    await stage.owe([shy])
    await stage.done(within=5)
    assert [(got.method, got.module) for got in stage.partner.received] == [
        ("PUT", "locations"),
        ("DELETE", "tariffs"),
    ]
    assert ids_in(stage.partner.received[0].body) == []


# While files change ---------------------------------------------------------------------------------------------------


async def test_what_a_file_says_no_more_is_not_brought_by_who_began_before(world: Begin) -> None:
    """While a location waits for its tariffs the link ceases to ask for some of them: it doesn't get these any more."""
    limits = "limits: {in_flight: 1}\n"
    stage = await scene(world, evolve(NEW, more=limits))
    slow, other, place = tariff("SLOW"), tariff("OTHER"), location("L")
    await stage.say(slow, a_tariff(slow))
    await stage.say(other, a_tariff(other) | {"type": "AD_HOC_PAYMENT"})
    await stage.say(place, a_location(place, slow, other))
    stage.partner.slow("tariffs", seconds=0.3)
    await stage.owe([place], [slow, other])
    await stage.partner.wait_for("PUT", "tariffs")
    path = stage.world.folder / "config" / "partners" / "partner.yaml"
    path.write_text(f"{path.read_text()}quirks: {{tariffs.audience: [wholesale]}}\n")
    versions = {version: adapter.sends_routing_headers for version, adapter in ADAPTERS.items()}
    await stage.world.gateway.reload(load(stage.world.folder / "config", versions, {}))
    await stage.world.gateway.joined()
    await stage.done()
    assert {got.segments[2] for got in stage.puts("tariffs")} == {"SLOW"}
    assert ids_in(stage.partner.stored.with_id("locations", "L")) == ["SLOW"]
