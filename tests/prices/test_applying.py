"""What a feed says of our own connectors, as partners get it: laid on, moved, taken back, and nothing else of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve
from market import (
    ACME,
    BROKER,
    FEED,
    KIOSK,
    VOLT,
    Begin,
    asks_for,
    imported,
    market,
    reading,
    settled,
    source,
    square,
    standard,
    tariffs_at,
    tariffs_of,
)
from reader import Clock, fetching

from gateway.app import ADAPTERS, PRICE_SHAPES
from gateway.demo.feed import Feed, Own
from gateway.demo.feed.rows import partner_id
from gateway.demo.peers import Peer
from gateway.demo.world import CORE, Cast, World
from gateway.lookup import Lookup
from gateway.model.modules import Module
from gateway.model.names import Name
from gateway.model.party import Party
from gateway.prices import PriceFeeds
from gateway.prices.applying import Applying
from gateway.prices.states import FeedState, decode
from gateway.settings import load
from gateway.settings.prices import FeedSettings
from gateway.tasks import cancelled
from gateway.web.json import CODEC

EXA = Party("NL", "EXA")
E1, E2 = "NL*EXA*E1", "NL*EXA*E2"
OURS_ONLY = {plug: ["STANDARD"] for plug in ("U1/1", "U1/2", "U2/1", "U3/1")}


def at_our_own_time(scene: World, files: list[FeedSettings] | None = None) -> tuple[PriceFeeds, Clock]:
    """Another one that reads the world's feeds, with a clock of the test's, in the place of the world's own."""
    clock = Clock()
    gateway = scene.gateway
    (its,) = (task for task in gateway._tasks if task.get_name() == "prices")
    its.cancel()
    feeds = PriceFeeds(
        store=gateway.store, shapes=PRICE_SHAPES, adapters=ADAPTERS, codec=CODEC, lookup=Lookup(gateway.store, CODEC),
        ledger=gateway.courier, directory=lambda: gateway.links.directory,
        feeds=lambda: scene.settings.feeds if files is None else files, fetch=fetching, clock=clock,
    )  # fmt: skip
    return feeds, clock


async def state(scene: World, feed: str = FEED) -> FeedState:
    return decode(await scene.gateway.store.feed_state(feed))


def pushes(peer: Peer, since: int = 0) -> list[tuple[str, str, str]]:
    """What a peer was told of tariffs and locations: method, module, id."""
    told = [got for got in peer.received[since:] if got.module in ("tariffs", "locations") and got.method != "GET"]
    return [(got.method, got.module, got.segments[2]) for got in told]


# Laid on --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["new", "old"])
async def test_prices_are_laid_on_our_connectors_and_nothing_else_is(world: Begin, shape: Any) -> None:
    """An ad hoc price is a tariff of ours at the connectors that the feed means; the rest stays the backend's."""
    scene = await market(world, VOLT, read=source(shape))
    before = scene["volt"].stored.with_id("locations", "SQUARE")
    feed = scene.feeds[FEED]
    report = await imported(scene)
    price = feed.price_id(E1) if shape == "new" else feed.old_price_id(E1)
    assert report.own_connectors == 3
    assert tariffs_at(scene["volt"]) == {
        "U1/1": ["STANDARD", price], "U1/2": ["STANDARD", price], "U2/1": ["STANDARD", price], "U3/1": ["STANDARD"],
    }  # fmt: skip
    tariff = scene["volt"].stored.with_id("tariffs", price)
    assert (tariff["country_code"], tariff["party_id"], tariff["type"]) == ("NL", "EXA", "AD_HOC_PAYMENT")
    after = scene["volt"].stored.with_id("locations", "SQUARE")
    assert without_tariffs(after) == without_tariffs(before)
    assert set(scene["volt"].objects["locations"]) == {"NL/EXA/SQUARE"}


def without_tariffs(location: Any) -> Any:
    if isinstance(location, dict):
        return {
            name: without_tariffs(said)
            for name, said in location.items()
            if name not in ("tariff_ids", "tariff_id", "last_updated")
        }
    return [without_tariffs(item) for item in location] if isinstance(location, list) else location


async def test_what_is_laid_on_already_is_not_told_again(world: Begin) -> None:
    """The same feed once more: nobody hears anything, and nothing is written."""
    scene = await market(world)
    await imported(scene)
    said = await scene.gateway.store.read(Name(Module.LOCATIONS, EXA, "SQUARE"))
    heard = {name: pushes(peer) for name, peer in scene.partners.items()}
    report = await imported(scene)
    assert report.own_connectors == 3
    assert {name: pushes(peer) for name, peer in scene.partners.items()} == heard
    again = await scene.gateway.store.read(Name(Module.LOCATIONS, EXA, "SQUARE"))
    assert said is not None
    assert again is not None
    assert again.sequence == said.sequence


async def test_other_ids_are_new_tariffs_and_the_old_ones_go_later_q14(world: Begin) -> None:
    """New tariff, then the connectors, and two days later the old tariff is deleted."""
    scene = await market(world, VOLT, KIOSK)
    feeds, clock = at_our_own_time(scene)
    feed = scene.feeds[FEED]
    await feeds.read(FEED)
    await settled(scene)
    old = feed.price_id(E1)
    for peer in scene.partners.values():
        tariff, place = pushes(peer)[-2:]
        assert (tariff, place[1:]) == (("PUT", "tariffs", old), ("locations", "SQUARE"))
    feed.update()
    new = feed.price_id(E1)
    marks = {peer.name: len(peer.received) for peer in scene.partners.values()}
    await feeds.read(FEED)
    await settled(scene)
    for name, peer in scene.partners.items():
        first, *moved = pushes(peer, marks[name])
        assert first == ("PUT", "tariffs", new)
        assert {told[1] for told in moved} == {"locations"}
        assert {old, new} <= tariffs_of(peer)
        assert old not in str(tariffs_at(peer))
    clock.forward(hours=47)
    await feeds.read(FEED)
    await settled(scene)
    assert all(old in tariffs_of(peer) for peer in scene.partners.values())
    clock.forward(hours=2)
    await feeds.read(FEED)
    await settled(scene)
    for peer in scene.partners.values():
        assert pushes(peer)[-1] == ("DELETE", "tariffs", old)
        assert new in tariffs_of(peer)
    assert await scene.gateway.store.imported(FEED) == {Name(Module.TARIFFS, EXA, new): None}


async def test_a_price_that_comes_back_is_not_deleted(world: Begin) -> None:
    """It left the feed and returned within two days: it stays, and is named again."""
    scene = await market(world, VOLT)
    feeds, clock = at_our_own_time(scene)
    feed = scene.feeds[FEED]
    price = feed.price_id(E1)
    await feeds.read(FEED)
    feed.unlist(price)
    await feeds.read(FEED)
    await settled(scene)
    assert tariffs_at(scene["volt"]) == OURS_ONLY
    assert price in tariffs_of(scene["volt"])
    feed.mend()
    await feeds.read(FEED)
    clock.forward(days=5)
    await feeds.read(FEED)
    await settled(scene)
    assert tariffs_at(scene["volt"])["U1/1"] == ["STANDARD", price]
    assert ("DELETE", "tariffs", price) not in pushes(scene["volt"])


async def test_connectors_that_are_told_later_get_their_prices_at_the_next_look(world: Begin) -> None:
    """A location that the backend says after the import isn't without prices until the next one."""
    scene = await market(world, VOLT)
    feeds, clock = at_our_own_time(scene)
    feed = scene.feeds[FEED]
    await feeds.read(FEED)
    place = square()
    elsewhere = {**place, "id": "ANNEX", "evses": [{**place["evses"][1], "uid": "A1"}]}
    assert (await scene.backend.push_location(elsewhere)).ok
    await settled(scene)
    following = asyncio.create_task(feeds.follow(FEED, lambda _: None))
    clock.forward(minutes=11)
    try:
        async with asyncio.timeout(5):
            while tariffs_at(scene["volt"], "ANNEX") != {"A1/1": ["STANDARD", feed.price_id(E2)]}:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    finally:
        await cancelled(following)


async def test_a_connector_that_is_no_more_leaves_nothing_behind(world: Begin) -> None:
    """The backend takes an EVSE away and brings it back much later: it doesn't come with the prices of then."""
    scene = await market(world, VOLT)
    feed = scene.feeds[FEED]
    await imported(scene)
    place = square(when="2026-03-02T10:00:00Z")
    assert (await scene.backend.push_location({**place, "evses": place["evses"][1:]})).ok
    await imported(scene)
    attached = [page async for page in scene.gateway.store.attached_by(FEED, EXA)]
    assert [sorted(page) for page in attached] == [["NLEXAE2:1"]]
    assert (await scene.backend.push_location(square(when="2026-03-02T11:00:00Z"))).ok
    await settled(scene)
    assert tariffs_at(scene["volt"])["U1/1"] == ["STANDARD"]
    await imported(scene)
    assert tariffs_at(scene["volt"])["U1/1"] == ["STANDARD", feed.price_id(E1)]


async def test_a_push_to_one_partner_has_the_prices_too(world: Begin) -> None:
    """A location that the backend says to one partner alone is that partner's variant: it is joined too."""
    scene = await market(world, VOLT, KIOSK)
    mine = {**square(when="2026-03-02T10:00:00Z"), "name": "For Volt"}
    assert (await scene.backend.push_location(mine, to=("DE", "VLT"))).ok
    await settled(scene)
    await imported(scene)
    place = scene["volt"].stored.with_id("locations", "SQUARE")
    price = scene.feeds[FEED].price_id(E1)
    assert place["name"] == "For Volt"
    assert tariffs_at(scene["volt"])["U1/1"] == ["STANDARD", price]
    assert tariffs_at(scene["kiosk"])["U1/1"] == [price]


# Whom it is for -------------------------------------------------------------------------------------------------------


async def test_owners_decide_whose_an_emsps_prices_are(world: Begin) -> None:
    """An eMSP's price is the party's that the file names, else the feed's own; never ours."""
    read = evolve(source(), more=f'owners: {{"{partner_id("Roam One")}": DE-ROA}}\n')
    scene = await market(world, BROKER, read=read)
    feed = scene.feeds[FEED]
    await imported(scene)
    owners = {key.rpartition("/")[2]: key.rpartition("/")[0] for key in scene["broker"].objects["tariffs"]}
    assert owners[feed.price_id(E1, "msp")] == "DE/ROA"
    assert owners[feed.price_id(E1, "msp_subscription")] == "NL/ECO"
    assert owners[feed.price_id(E1, "cpo_subscription")] == "NL/EXA"


async def test_who_begins_and_ceases_to_ask_is_told(world: Begin) -> None:
    """A link that asks for retail prices from now on gets them; one that doesn't any more has them withdrawn."""
    scene = await market(world, ACME, BROKER)
    feed = scene.feeds[FEED]
    await imported(scene)
    retail = {feed.price_id(E1, product) for product in ("msp", "msp_subscription")}
    assert retail <= tariffs_of(scene["broker"])
    assert not retail & tariffs_of(scene["acme"])
    await reloaded(scene, asks_for(BROKER, "wholesale"), asks_for(ACME, "wholesale", "msp_retail"))
    await imported(scene)
    assert not retail & tariffs_of(scene["broker"])
    assert retail <= tariffs_of(scene["acme"])
    assert retail.isdisjoint(str(tariffs_at(scene["broker"])))


async def test_who_ceases_to_ask_is_told_whatever_is_interrupted(world: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway goes when it was about to owe it; the next one does, of whatever the link isn't shown any more."""
    scene = await market(world, BROKER)
    await imported(scene)
    assert scene.feeds[FEED].price_id(E1, "msp") in tariffs_of(scene["broker"])
    with monkeypatch.context() as crashing:
        crashing.setattr(type(scene.gateway.store), "owe_all", crash)
        await reloaded(scene, asks_for(BROKER, "wholesale"))
    scene.settings = scene.gateway.settings
    await scene.restart()
    await scene.gateway.joined()
    await settled(scene)
    assert tariffs_of(scene["broker"]) == {"STANDARD"}


async def test_who_is_the_first_to_ask_need_not_wait_for_the_next_import(world: Begin) -> None:
    """Nobody asked for retail prices, so none was said: they are as soon as a file asks for them."""
    scene = await market(world, ACME)
    feed = scene.feeds[FEED]
    await imported(scene)
    assert tariffs_of(scene["acme"]) == {"STANDARD"}
    await reloaded(scene, asks_for(ACME, "wholesale", "msp_retail"))
    async with asyncio.timeout(10):
        while feed.price_id(E1, "msp") not in tariffs_of(scene["acme"]):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_tariff_that_goes_is_deleted_at_nobody_who_never_asked_for_it(world: Begin) -> None:
    """A retail price leaves the feed: who asked for it hears of its end, and nobody else hears its id even then."""
    scene = await market(world, VOLT, BROKER)
    feeds, clock = at_our_own_time(scene)
    feed = scene.feeds[FEED]
    retail = feed.price_id(E1, "msp")
    await feeds.read(FEED)
    await settled(scene)
    assert retail in tariffs_of(scene["broker"])
    feed.update()
    await feeds.read(FEED)
    clock.forward(days=3)
    await feeds.read(FEED)
    await settled(scene)
    assert ("DELETE", "tariffs", retail) in pushes(scene["broker"])
    assert retail not in str(pushes(scene["volt"]))


async def test_a_price_for_others_than_before_goes_from_those_who_had_it(world: Begin) -> None:
    """Under the same id an ad hoc price becomes the operator's for its subscribers: who had it has it no longer."""
    scene = await market(world, VOLT, BROKER)
    feed = scene.feeds[FEED]
    price = feed.price_id(E1)
    await imported(scene)
    assert all(price in tariffs_of(peer) for peer in scene.partners.values())

    def for_subscribers(row: Any) -> Any:
        return {**row, "product": {**row["product"], "type": "cpo_subscription"}}

    feed.edit("prices", feed.row_of(price), for_subscribers)
    await imported(scene)
    assert tariffs_at(scene["volt"])["U1/1"] == ["STANDARD"]
    assert tariffs_of(scene["volt"]) == {"STANDARD"}
    assert scene["broker"].stored.with_id("tariffs", price)["type"] == "REGULAR"


async def reloaded(scene: World, *casts: Cast) -> None:
    """The partners' files say something else, and the gateway has read them."""
    config = scene.folder / "config"
    for cast in casts:
        path = config / "partners" / f"{cast.name}.yaml"
        kept = [line for line in path.read_text().splitlines() if not line.startswith("quirks:")]
        path.write_text("\n".join([*kept, cast.more]))
    versions = {version: adapter.sends_routing_headers for version, adapter in ADAPTERS.items()}
    await scene.gateway.reload(load(config, versions, {}))
    await scene.gateway.joined()
    await settled(scene)


# Others' tariffs ------------------------------------------------------------------------------------------------------


async def test_a_tariff_of_the_backend_is_never_overwritten(world: Begin) -> None:
    """A feed's price has the id of a tariff that the backend said: it is flagged, and isn't laid on."""
    scene = await market(world, VOLT)
    feed = scene.feeds[FEED]
    price = feed.price_id(E1)
    assert (await scene.backend.push_tariff({**standard(), "id": price})).ok
    report = await imported(scene)
    assert [(flag.id, flag.reason) for flag in report.flagged] == [
        (price, "backend has a tariff of this id: the price isn't laid on our connectors")
    ]
    assert tariffs_at(scene["volt"])["U1/1"] == ["STANDARD"]
    assert scene["volt"].stored.with_id("tariffs", price)["type"] == "REGULAR"


async def test_prices_whose_ids_differ_in_case_only_are_never_mixed_up(world: Begin) -> None:
    """OCPI takes their ids for one: the first is laid on, the other is flagged and nobody gets the one for it."""
    scene = await market(world, VOLT)
    feed = scene.feeds[FEED]
    price, other = feed.price_id(E1), feed.price_id(E1, "msp")
    alike = price.upper()

    def renamed(row: Any) -> Any:
        return {**row, "id": alike, "product": {**row["product"], "type": "adhoc"}}

    def moved(row: Any) -> Any:
        named = [alike if id == other else id for id in row["pricing_ids"]]
        return {**row, "pricing_ids": [alike] if row["evse_uid"] == feed.evse_uid(E2) else named}

    feed.edit("prices", feed.row_of(other), renamed)
    for row in range(feed.counts["connector_prices"]):
        feed.edit("connector_prices", row, moved)
    report = await reading(scene)
    assert report.refused is None
    assert ("", alike) in [(flag.pointer, flag.id) for flag in report.flagged if "in case only" in flag.reason]
    at = tariffs_at(scene["volt"])
    assert (at["U1/1"], at["U2/1"]) == (["STANDARD", price], ["STANDARD"])


async def test_a_tariff_that_the_backend_takes_over_is_the_backends(world: Begin) -> None:
    """The backend says a tariff under an id that a feed's price has: from then on it is its own, and stays so."""
    scene = await market(world, VOLT)
    feeds, clock = at_our_own_time(scene)
    price = scene.feeds[FEED].price_id(E1)
    await feeds.read(FEED)
    assert (await scene.backend.push_tariff({**standard(), "id": price})).ok
    report = await feeds.read(FEED)
    assert len(report.flagged) == 1
    clock.forward(days=5)
    await feeds.read(FEED)
    await settled(scene)
    assert scene["volt"].stored.with_id("tariffs", price)["type"] == "REGULAR"


async def test_whatever_the_backend_says_under_the_id_of_a_price_counts(world: Begin) -> None:
    """The moment of a feed's price isn't the backend's: a tariff that was updated long before is none the less said."""
    scene = await market(world, VOLT)
    await imported(scene)
    price = scene.feeds[FEED].price_id(E1)
    said = await scene.backend.push_tariff({**standard(), "id": price, "last_updated": "2020-01-01T00:00:00Z"})
    assert (said.ok, said.message) == (True, "Accepted")
    await settled(scene)
    assert scene["volt"].stored.with_id("tariffs", price)["type"] == "REGULAR"
    again = await scene.backend.push_tariff({**standard(), "id": price, "last_updated": "2019-01-01T00:00:00Z"})
    assert again.message == "Older than what is known: nothing was changed"


@pytest.mark.parametrize("version", ["2.1.1", "2.2.1"])
async def test_a_backend_takes_back_no_price_of_a_feed(world: Begin, version: str) -> None:
    """It never said that tariff, so it has none to change or delete; partners keep it, and so does the connector."""
    scene = await world(VOLT, backend=evolve(CORE, version=version), feeds={FEED: source()})
    assert (await scene.backend.push_location(square(tariffs=()) if version == "2.2.1" else square_211())).ok
    await imported(scene)
    price = scene.feeds[FEED].price_id(E1)
    heard = len(scene["volt"].received)
    answers = [await scene.backend.delete("tariffs", "NL", "EXA", price)]
    if version == "2.1.1":  # the only one with a PATCH of tariffs
        answers.append(await scene.backend.patch("tariffs", "NL", "EXA", price, body={"currency": "SEK"}))
    assert {(answer.http, answer.status_code) for answer in answers} == {(404, 2001)}
    await settled(scene)
    assert pushes(scene["volt"], heard) == []
    assert (tariffs_of(scene["volt"]), tariffs_at(scene["volt"])["U1/1"]) == ({price}, [price])


def square_211() -> dict[str, Any]:
    """Our square without tariffs, as a backend on 2.1.1 says it."""
    given = square(tariffs=())
    rest = {name: said for name, said in given.items() if name not in ("country_code", "party_id", "publish")}

    def connector(plug: dict[str, Any]) -> dict[str, Any]:
        named = {{"max_voltage": "voltage", "max_amperage": "amperage"}.get(name, name): plug[name] for name in plug}
        return {name: said for name, said in named.items() if name != "tariff_ids"}

    evses = [{**evse, "connectors": [*map(connector, evse["connectors"])]} for evse in given["evses"]]
    return {**rest, "type": "ON_STREET", "evses": evses}


async def test_a_feed_with_another_name_takes_over_from_the_former(world: Begin) -> None:
    """Its file is renamed: the tariffs and connectors go over without a break, and nothing is deleted later."""
    scene = await market(world, VOLT)
    (file,) = scene.settings.feeds
    files = [file]
    feeds, clock = at_our_own_time(scene, files)
    price = scene.feeds[FEED].price_id(E1)
    await feeds.read(FEED)
    files[:] = [evolve(file, id="prices-of-eco")]
    await scene.gateway.reload(evolve(scene.settings, feeds=tuple(files)))
    await feeds.read("prices-of-eco")
    await until_forgotten(scene, feeds, clock)
    await settled(scene)
    assert tariffs_at(scene["volt"])["U1/1"] == ["STANDARD", price]
    assert ("DELETE", "tariffs", price) not in pushes(scene["volt"])


async def until_forgotten(scene: World, feeds: PriceFeeds, clock: Clock) -> None:
    """The feed's file is gone for two days and more."""
    running = asyncio.create_task(feeds.run())
    try:
        async with asyncio.timeout(10):
            while (await state(scene)).run or feeds._working:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            clock.forward(hours=49)
            feeds._quiet.clear()  # a minute has passed as well
            while FEED in await scene.gateway.store.feeds():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    finally:
        await cancelled(running)


async def test_a_feed_without_a_file_is_taken_off_at_once(world: Begin) -> None:
    """Connectors name its tariffs no more, the tariffs go two days later, and then nothing of it is known."""
    scene = await market(world, VOLT)
    (file,) = scene.settings.feeds
    files = [file]
    feeds, clock = at_our_own_time(scene, files)
    price = scene.feeds[FEED].price_id(E1)
    await feeds.read(FEED)
    files.clear()
    await scene.gateway.reload(evolve(scene.settings, feeds=()))
    await until_forgotten(scene, feeds, clock)
    await settled(scene)
    assert tariffs_at(scene["volt"]) == OURS_ONLY
    assert pushes(scene["volt"])[-1] == ("DELETE", "tariffs", price)
    assert await scene.gateway.store.imported(FEED) == {}


async def test_a_feed_whose_file_goes_while_it_is_laid_on_for_the_first_time_leaves_nothing(
    world: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tariffs were said, and nothing came to its end: they go all the same, and connectors don't name them."""
    scene = await market(world, VOLT)
    files = [*scene.settings.feeds]
    feeds, clock = at_our_own_time(scene, files)
    price = scene.feeds[FEED].price_id(E1)
    with monkeypatch.context() as crashing:
        crashing.setattr(Applying, "_say_location", crash)
        with pytest.raises(Crash):
            await feeds.read(FEED)
    await settled(scene)
    assert price in tariffs_of(scene["volt"])
    files.clear()
    await scene.gateway.reload(evolve(scene.settings, feeds=()))
    await until_forgotten(scene, feeds, clock)
    await settled(scene)
    assert (tariffs_at(scene["volt"]), tariffs_of(scene["volt"])) == (OURS_ONLY, {"STANDARD"})


async def test_a_file_that_goes_when_its_feed_is_about_to_be_looked_at_is_gone(world: Begin) -> None:
    """Between the decision to look at a feed and the look itself: it doesn't take another look, a minute later."""
    scene = await market(world, VOLT)
    feeds, clock = at_our_own_time(scene)
    await feeds._attend(FEED)
    clock.forward(minutes=1)
    await feeds.read(FEED)
    clock.forward(minutes=1)
    scene.settings = evolve(scene.settings, feeds=())
    await feeds._attend(FEED)
    assert (await state(scene)).run == ""


# Interrupted ----------------------------------------------------------------------------------------------------------

STEPS = ("_say_tariffs", "_say_location", "_detach_the_rest", "_begin_to_retire")


@pytest.mark.parametrize("step", STEPS)
async def test_whatever_is_interrupted_is_done_the_next_time(
    world: Begin, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A crash between the swap and any step of the laying on: the next look does what is missing, once."""
    scene = await market(world, VOLT)
    feeds, _ = at_our_own_time(scene)
    feed = scene.feeds[FEED]
    await feeds.read(FEED)
    feed.update()
    with monkeypatch.context() as crashing:
        crashing.setattr(Applying, step, crash)
        with pytest.raises(Crash):
            await feeds.read(FEED)
    assert (await state(scene)).applying
    following = asyncio.create_task(feeds.follow(FEED, lambda _: None))
    try:
        async with asyncio.timeout(5):
            while (await state(scene)).applying:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        await cancelled(following)
    await settled(scene)
    price = feed.price_id(E1)
    assert tariffs_at(scene["volt"])["U1/2"] == ["STANDARD", price]
    told = pushes(scene["volt"])
    assert told.count(("PUT", "tariffs", price)) == 1
    (at,) = {at for name, at in (await scene.gateway.store.imported(FEED)).items() if name.id != price}
    assert at is not None


class Crash(Exception):
    pass


async def crash(*_: object) -> None:
    raise Crash


async def test_taking_off_that_is_interrupted_is_done_the_next_time(
    world: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Detached, and the location not yet said again: it isn't forgotten because nothing is attached any more."""
    scene = await market(world, VOLT)
    feeds, _ = at_our_own_time(scene)
    feed = scene.feeds[FEED]
    await feeds.read(FEED)
    feed.unlist(feed.price_id(E1))
    with monkeypatch.context() as crashing:
        crashing.setattr(Applying, "_say_location", crash)
        with pytest.raises(Crash):
            await feeds.read(FEED)
    await feeds.read(FEED)
    await settled(scene)
    assert tariffs_at(scene["volt"]) == OURS_ONLY


async def test_a_location_that_was_said_with_what_is_detached_since_is_said_again(world: Begin) -> None:
    """It was joined just before another location with that connector was looked at: the next run sets it right."""
    scene = await market(world, VOLT)
    feed, place = scene.feeds[FEED], square()
    price = feed.price_id(E2)
    assert (await scene.backend.push_location({**place, "id": "ANNEX", "evses": place["evses"][1:2]})).ok
    await imported(scene)
    assert tariffs_at(scene["volt"], "ANNEX") == {"U2/1": ["STANDARD", price]}
    await scene.gateway.store.attach(FEED, EXA, {"NLEXAE2:1": None})
    feed.unlist(price)
    await imported(scene)
    assert tariffs_at(scene["volt"], "ANNEX") == {"U2/1": ["STANDARD"]}


async def test_a_location_whose_prices_were_attached_and_never_said_is_said_again(
    world: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came after the prices, and whoever laid them on it was interrupted between the two: the next run does it."""
    scene = await world(VOLT, feeds={FEED: source()})
    await imported(scene)
    with monkeypatch.context() as crashing:
        crashing.setattr(Applying, "_say_location", crash)
        assert (await scene.backend.push_tariff(standard())).ok
        assert (await scene.backend.push_location(square())).ok
        async with asyncio.timeout(5):
            while not await scene.gateway.store.attached(EXA, ["NLEXAE1:1"]):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    await imported(scene)
    assert tariffs_at(scene["volt"])["U1/1"] == ["STANDARD", scene.feeds[FEED].price_id(E1)]


async def test_pushes_and_prices_that_cross_end_in_both(world: Begin) -> None:
    """While the backend changes the location all the time, feeds are laid on: in the end both are there."""
    scene = await market(world, VOLT)
    feed = scene.feeds[FEED]

    async def changing() -> None:
        for second in range(30):
            place = {**square(when=f"2026-03-02T12:00:{second:02}Z"), "name": f"Neude {second}"}
            assert (await scene.backend.push_location(place)).ok

    async def pricing() -> None:
        for _ in range(5):
            feed.update()
            await scene.gateway.prices.read(FEED)

    await asyncio.gather(changing(), pricing())
    await settled(scene)
    place = scene["volt"].stored.with_id("locations", "SQUARE")
    assert place["name"] == "Neude 29"
    assert tariffs_at(scene["volt"])["U1/1"] == ["STANDARD", feed.price_id(E1)]


async def test_a_hundred_connectors_are_laid_on_together(world: Begin) -> None:
    """Several pages of our own locations: each connector has the price that the feed has for it."""
    own = [Own(f"NL*EXA*E{number}") for number in range(1, 121)]
    read = evolve(source(), feed=Feed("eco-key", connectors=150, own=own))
    scene = await market(world, VOLT, read=read)
    place = square()
    ids: Sequence[str] = [f"SQUARE{number}" for number in range(4, 121)]
    for number, id in zip(range(4, 121), ids, strict=True):
        evse = {**place["evses"][1], "uid": f"U{number}", "evse_id": f"nlexae{number}"}
        assert (await scene.backend.push_location({**place, "id": id, "evses": [evse]})).ok
    report = await imported(scene)
    assert report.own_connectors == 120
    feed = scene.feeds[FEED]
    for number, id in zip(range(4, 121), ids, strict=True):
        expected = {f"U{number}/1": ["STANDARD", feed.price_id(f"NL*EXA*E{number}")]}
        assert tariffs_at(scene["volt"], id) == expected


# What our backends say afterwards -------------------------------------------------------------------------------------


async def test_a_location_that_comes_after_the_prices_gets_them_at_once(world: Begin) -> None:
    """What the live run says of its connectors is laid on as soon as they are there, of those added later too."""
    stage = await world(VOLT, feeds={FEED: source()})
    assert (await stage.backend.push_tariff(standard())).ok
    assert (await stage.gateway.prices.read(FEED)).own_connectors == 0
    whole = square()
    assert (await stage.backend.push_location({**whole, "evses": whole["evses"][:1]})).ok
    volt = stage["volt"]

    async def priced(connector: str) -> None:
        await volt.wait_for(module="locations", where=lambda _: len(tariffs_at(volt).get(connector, ())) == 2)

    await priced("U1/1")
    assert (await stage.backend.push_location({**whole, "last_updated": "2026-03-03T09:00:00Z"})).ok
    await priced("U2/1")


async def test_a_backend_without_tariffs_has_those_of_feeds(world: Begin) -> None:
    """That it says none of its own keeps nobody from telling partners what a feed says of its connectors."""
    stage = await world(VOLT, backend=evolve(CORE, more="modules: {tariffs: off}\n"), feeds={FEED: source()})
    assert (await stage.backend.push_location(square(tariffs=()))).ok
    await imported(stage)
    price = stage.feeds[FEED].price_id(E1)
    assert (tariffs_of(stage["volt"]), tariffs_at(stage["volt"])["U1/1"]) == ({price}, [price])
