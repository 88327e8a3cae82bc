"""What a feed says of our connectors, and whatever else goes on with them: variants, crawls, changes of version."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import pytest
from attrs import evolve
from market import (
    ACME,
    BROKER,
    FEED,
    KIOSK,
    VOLT,
    Begin,
    imported,
    market,
    settled,
    source,
    square,
    standard,
    tariffs_at,
    tariffs_of,
)

from gateway.demo.peers import Peer, Role
from gateway.demo.world import CORE, Cast, World
from gateway.web.wishes import Deed, Wanted

Json = dict[str, Any]

E1: Final = "NL*EXA*E1"
LATER: Final = "2026-03-02T10:00:00Z"


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what is done soon, by nobody who can be asked."""
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def crawled(scene: World) -> None:
    """The backend's lists are read in full, however much isn't in them any more."""
    assert (await scene.gateway.wishes.perform("backend", Deed.PULL, Wanted(None, True, True))).good
    await settled(scene)


# What the backend says ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cast", [KIOSK, VOLT], ids=["2.1.1", "2.2.1"])
async def test_whatever_piece_the_backend_changes_prices_stay_where_they_belong(world: Begin, cast: Cast) -> None:
    """PATCH and PUT of an EVSE or connector keep them; an EVSE that gets another id has the prices of that one."""
    scene = await market(world, cast)
    await imported(scene)
    backend, peer, price = scene.backend, scene[cast.name], scene.feeds[FEED].price_id(E1)
    own = [] if cast is KIOSK else ["STANDARD"]

    def at(second: int) -> str:
        return f"2030-01-01T00:00:{second:02}Z"

    async def shows(plug: str, *tariffs: str) -> None:
        await settled(scene)
        assert tariffs_at(peer)[plug] == [*tariffs]

    assert (await backend.patch_location("SQUARE", "U1", changes={"status": "CHARGING", "last_updated": at(1)})).ok
    await shows("U1/1", *own, price)
    assert (await backend.patch_location("SQUARE", "U1", "1", changes={"tariff_ids": [], "last_updated": at(2)})).ok
    await shows("U1/1", price)
    evse = square(when=at(3))["evses"][0]
    assert (await backend.put("locations", "NL", "EXA", "SQUARE", "U1", body=evse)).ok
    await shows("U1/2", *own, price)
    plug = square(when=at(4))["evses"][0]["connectors"][0]
    assert (await backend.put("locations", "NL", "EXA", "SQUARE", "U1", "1", body=plug)).ok
    await shows("U1/1", *own, price)
    assert (await backend.patch_location("SQUARE", "U1", changes={"evse_id": "NL*EXA*E99", "last_updated": at(5)})).ok
    await shows("U1/1", *own)
    assert (await backend.patch_location("SQUARE", "U3", changes={"evse_id": "nl-exa-e1", "last_updated": at(6)})).ok
    await until(lambda: tariffs_at(peer)["U3/1"] == [*own, price])
    read = await backend.get("locations", "NL", "EXA", "SQUARE", side="RECEIVER")
    assert read.ok
    assert price not in str(read.data)


async def test_connectors_that_one_partner_alone_is_told_of_have_prices_too(world: Begin) -> None:
    """A variant has an EVSE that the general location lacks: what holds there is laid on it."""
    scene = await world(VOLT, KIOSK, feeds={FEED: source()})
    assert (await scene.backend.push_tariff(standard())).ok
    whole = square()
    assert (await scene.backend.push_location({**whole, "evses": whole["evses"][1:]})).ok
    assert (await scene.backend.push_location(square(when=LATER), to=("DE", "VLT"))).ok
    await imported(scene)
    price = scene.feeds[FEED].price_id(E1)
    assert tariffs_at(scene["volt"]) == {
        "U1/1": ["STANDARD", price], "U1/2": ["STANDARD", price], "U2/1": ["STANDARD", price], "U3/1": ["STANDARD"],
    }  # fmt: skip
    assert tariffs_at(scene["kiosk"]) == {"U2/1": [price], "U3/1": []}


async def test_a_backend_that_changes_its_version_reads_what_it_said(world: Begin) -> None:
    """In its new version, without prices and without the moment at which a feed changed something; and PATCHes that."""
    scene = await market(world, VOLT, backend=evolve(CORE, start="them", also_version="2.1.1"))
    await imported(scene)
    backend, feed = scene.backend, scene.feeds[FEED]
    price = feed.price_id(E1)
    await backend.rotate("2.1.1")
    await scene.registered("backend")
    read = await backend.get("locations", "NL", "EXA", "SQUARE")
    plugs = [plug for evse in read.data["evses"] for plug in evse["connectors"]]
    assert [plug["tariff_id"] for plug in plugs] == ["STANDARD"] * 4
    told = [read.data, *read.data["evses"], *plugs]
    assert {thing["last_updated"] for thing in told} == {square()["last_updated"]}
    assert (await backend.patch_location("SQUARE", changes={"name": "Neude"})).ok
    await settled(scene)
    assert tariffs_at(scene["volt"])["U1/1"] == ["STANDARD", price]
    feed.unlist(price)
    await imported(scene)
    assert tariffs_at(scene["volt"])["U1/1"] == ["STANDARD"]


async def test_connectors_name_a_tariff_that_the_backend_takes_over_only_if_it_says_so(world: Begin) -> None:
    """It says a tariff of its own under the id of a price: the connectors that a feed meant don't name it any more."""
    scene = await market(world, VOLT)
    await imported(scene)
    price = scene.feeds[FEED].price_id(E1)
    assert (await scene.backend.push_tariff({**standard(), "id": price})).ok
    await until(lambda: tariffs_at(scene["volt"])["U1/1"] == ["STANDARD"])
    assert scene["volt"].stored.with_id("tariffs", price)["type"] == "REGULAR"


@pytest.mark.parametrize("more", ["", "modules: {tariffs: {delivery: live}}\n"], ids=["owed", "live"])
async def test_a_tariff_for_one_partner_shadows_a_price_until_it_is_deleted(world: Begin, more: str) -> None:
    """The backend says a tariff to one partner under a price's id: that one has it, and then the price again."""
    scene = await market(world, evolve(VOLT, more=more), BROKER)
    await imported(scene)
    volt, price = scene["volt"], scene.feeds[FEED].price_id(E1)

    def type_at(peer: Peer) -> str:
        return str(peer.stored.with_id("tariffs", price)["type"]) if price in tariffs_of(peer) else ""

    mine = {**standard(), "id": price, "last_updated": "2020-01-01T00:00:00Z"}
    assert (await scene.backend.push_tariff(mine, to=("DE", "VLT"))).message == "Accepted"
    await imported(scene)
    assert (type_at(volt), type_at(scene["broker"])) == ("REGULAR", "AD_HOC_PAYMENT")
    assert (await scene.backend.delete("tariffs", "NL", "EXA", price, to=("DE", "VLT"))).ok
    await until(lambda: type_at(volt) == "AD_HOC_PAYMENT")
    again = await scene.backend.delete("tariffs", "NL", "EXA", price, to=("DE", "VLT"))
    assert (again.http, again.status_code) == (404, 2001)


# What is read in lists ------------------------------------------------------------------------------------------------


async def test_a_crawl_of_the_backend_sees_what_it_says_under_the_id_of_a_price(world: Begin) -> None:
    """The moment of a feed's price isn't the backend's: a tariff in its list counts, however old it is."""
    scene = await market(world, VOLT, backend=evolve(CORE, more="modules: {tariffs: {pull_every: 1h}}\n"))
    await imported(scene)
    price = scene.feeds[FEED].price_id(E1)
    scene.backend.keep("tariffs", {**standard(), "id": price, "last_updated": "2020-01-01T00:00:00Z"})
    await crawled(scene)
    assert scene["volt"].stored.with_id("tariffs", price)["type"] == "REGULAR"
    await until(lambda: tariffs_at(scene["volt"])["U1/1"] == ["STANDARD"])


async def test_crawls_and_prices_leave_each_other_alone(world: Begin) -> None:
    """A location is in the backend's list as it said it: that is no change; and what isn't listed takes no price."""
    modules = "modules: {locations: {pull_every: 1h}, tariffs: {pull_every: 1h}}\n"
    core = evolve(CORE, more=f"{modules}quirks: {{sync.tombstones: full_pull_diff}}\n")
    scene = await market(world, VOLT, backend=core)
    await imported(scene)
    price, heard = scene.feeds[FEED].price_id(E1), len(scene["volt"].received)
    await crawled(scene)
    assert [got.method for got in scene["volt"].received[heard:]] == []
    assert price in tariffs_of(scene["volt"])
    assert tariffs_at(scene["volt"])["U1/1"] == ["STANDARD", price]


async def test_a_partner_of_several_of_us_finds_prices_of_emsps_in_the_list(world: Begin) -> None:
    """They are no party's of ours; who of us brings them lists them, and the others don't."""
    first, second = "{role: CPO, country_code: NL, party_id: EXA}", "{role: CPO, country_code: NL, party_id: EXB}"
    broker = evolve(BROKER, more=f"{BROKER.more}our_parties: [{first}, {second}]\n")
    scene = await market(world, broker, backend=evolve(CORE, also=(Role("CPO", "NL", "EXB", "Second"),)))
    await imported(scene)
    peer, feed = scene["broker"], scene.feeds[FEED]
    assert feed.price_id(E1, "msp") in tariffs_of(peer)

    async def listed(party: str) -> set[str]:
        return {row["id"] for page in await peer.pages("tariffs", to=("NL", party)) for row in page.data}

    assert await listed("EXA") == tariffs_of(peer)
    assert await listed("EXB") == set()
    feed.update()
    await imported(scene)
    assert feed.price_id(E1, "msp") in await listed("EXA")


# Sessions -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "named"),
    [("", ["P"]), ("share: {tariffs: {map: {P: ADHOC}}}\n", ["ADHOC"]), ("share: {tariffs: {only: [STANDARD]}}\n", [])],
    ids=["all", "renamed", "hidden"],
)
async def test_the_location_in_a_session_names_tariffs_as_the_location_does(
    world: Begin, share: str, named: list[str]
) -> None:
    """On 2.1.1 a session has its location inside: with the tariffs that the link may see, by the names it knows."""
    read = source()
    price = read.feed.price_id(E1)
    scene = await market(world, evolve(KIOSK, more=KIOSK.more + share.replace("P:", f'"{price}":')), read=read)
    await imported(scene)
    assert (await scene.backend.push_session(session(), to=("FR", "KIO"))).ok
    await settled(scene)
    (told,) = scene["kiosk"].objects["sessions"].values()
    (plug,) = told["location"]["evses"][0]["connectors"]
    expected = [price if each == "P" else each for each in named]
    assert [plug["tariff_id"] for _ in expected] == expected == tariffs_at(scene["kiosk"])["U1/1"]
    assert ("tariff_id" in plug) == bool(expected)


async def test_a_renamed_tariff_of_the_backend_has_its_name_in_a_session_too(world: Begin) -> None:
    """So it is where there is no feed at all."""
    scene = await market(world, evolve(ACME, more="share: {tariffs: {map: {STANDARD: ACM-STD}}}\n"))
    assert (await scene.backend.push_session(session("DE", "ACM"), to=("DE", "ACM"))).ok
    await settled(scene)
    (told,) = scene["acme"].objects["sessions"].values()
    assert told["location"]["evses"][0]["connectors"][0]["tariff_id"] == "ACM-STD"


def session(country: str = "FR", party: str = "KIO") -> Json:
    """A driver of this eMSP charges at the first connector of our square."""
    token = {
        "country_code": country, "party_id": party, "uid": "T1", "type": "RFID", "contract_id": f"{country}-{party}-C1",
    }  # fmt: skip
    return {
        "country_code": "NL", "party_id": "EXA", "id": "S1", "start_date_time": "2026-03-02T09:00:00Z", "kwh": 1.5,
        "cdr_token": token, "auth_method": "WHITELIST", "location_id": "SQUARE", "evse_uid": "U1", "connector_id": "1",
        "currency": "EUR", "status": "ACTIVE", "last_updated": LATER,
    }  # fmt: skip
