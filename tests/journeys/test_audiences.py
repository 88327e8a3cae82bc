"""Tariffs for audiences on the links: who gets which, and that what feeds lay on our connectors stays on them.

Prices are laid on by hand: the tariffs are said and attached as a feed's are, by a feed that isn't read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from attrs import evolve
from scenes import ACME, EITHER_CORE, NEW, OLD, VOLT, Begin, Json, operator, settled, thing

from gateway.demo.feed import Feed
from gateway.demo.peers import Peer
from gateway.demo.world import Cast, Source, World, shut
from gateway.model.attached import for_store, spots
from gateway.model.modules import Module
from gateway.model.names import Name
from gateway.model.party import Party
from gateway.model.prices import Audience, Priced
from gateway.web.json import CODEC
from gateway.web.wishes import Deed, Wanted

EXA, ECO = Party("NL", "EXA"), Party("NL", "ECO")
LATER, LATEST = "2026-05-03T12:00:00Z", "2026-05-04T12:00:00Z"
EVERYTHING: Final = "quirks: {tariffs.audience: [wholesale, adhoc, msp_retail, cpo_subscription]}\n"

KIOSK: Final = Cast(
    name="kiosk", version=OLD, country="FRA", party="KIO", business="Kiosk",
    more="quirks: {tariffs.audience: [adhoc]}\n",
)  # fmt: skip
BROKER: Final = Cast(
    name="broker", version=NEW, country="BE", party="BRO", business="Broker", others_tariffs=True, more=EVERYTHING
)
SHOP: Final = Cast(
    name="shop", version=OLD, country="AUT", party="SHP", business="Shop", others_tariffs=True,
    more="quirks: {tariffs.audience: [msp_retail]}\n",
)  # fmt: skip
PRICES: Final = {
    Audience.ADHOC: Name(Module.TARIFFS, EXA, "STREET"),
    Audience.MSP_RETAIL: Name(Module.TARIFFS, ECO, "RETAIL"),
    Audience.CPO_SUBSCRIPTION: Name(Module.TARIFFS, EXA, "CLUB"),
}


async def stage_of(world: Begin, *partners: Cast, core: str = NEW, more: str = "", **options: Any) -> World:
    """A world with a feed that nobody reads, and prices of its at every connector that our location will have."""
    feeds = {"eco": Source(feed=Feed("eco-key"), keys=shut())}
    stage = await world(*partners, backend=evolve(operator(core), more=more), feeds=feeds, **options)
    held = {audience: [name.id] for audience, name in PRICES.items()}
    await stage.gateway.store.attach("eco", EXA, dict.fromkeys(spots(thing("location", NEW)), held))
    return stage


async def price(stage: World, audience: Audience, *, deleted: bool = False) -> None:
    """The feed's tariff for an audience is said, and owed to every partner that asks for it."""
    name, gateway = PRICES[audience], stage.gateway
    said = thing("tariff", NEW) | {
        "id": name.id,
        "party_id": name.owner.party_id,
        "elements": thing("tariff", NEW)["elements"][1:],
    }
    said |= {"type": "AD_HOC_PAYMENT" if audience is Audience.ADHOC else "REGULAR"}
    data = CODEC.dumps(for_store(Priced(tariff=said, audience=audience, price_id=name.id)))
    owed = [link.id for link in gateway.links.directory.partners if link.asks_for(audience)]
    await gateway.store.say(name, data, data, NEW, "eco", None, owed, deleted=deleted)
    await gateway.courier.owed(name)


async def everything_said(stage: World, core: str) -> None:
    """The prices, the backend's tariff and the location."""
    for audience in PRICES:
        await price(stage, audience)
    assert (await stage.backend.push_tariff(thing("tariff", core))).ok
    assert (await stage.backend.push_location(thing("location", core))).ok
    await settled(stage)


def named(peer: Peer) -> list[str]:
    """The tariffs that the first connector of our location names, as a partner has it."""
    location = peer.stored.with_id("locations", "LOC-7")
    plug: Json = location["evses"][0]["connectors"][0]
    return plug.get("tariff_ids") or [plug[name] for name in ("tariff_id",) if name in plug]


def texts(value: Any) -> Iterator[str]:
    """Names and texts, at every depth."""
    match value:
        case dict():
            for name, inner in value.items():
                yield name
                yield from texts(inner)
        case list():
            for inner in value:
                yield from texts(inner)
        case str():
            yield value


async def all_that(peer: Peer) -> set[str]:
    """Every name and text that this partner ever got of tariffs and locations, or can list."""
    got = [
        text
        for each in peer.received
        if each.module in ("tariffs", "locations")
        for text in texts([each.body, [*each.segments]])
    ]
    listed = [
        text for module in ("tariffs", "locations") for page in await peer.pages(module) for text in texts(page.data)
    ]
    return {*got, *listed}


def tariff_ids(peer: Peer) -> set[str]:
    return {key.rpartition("/")[2] for key in peer.objects["tariffs"]}


@EITHER_CORE
async def test_each_partner_sees_the_tariffs_of_its_audiences_on_our_connectors(world: Begin, core: str) -> None:
    """Ad hoc ones go to 2.2.1 by default and to 2.1.1 on demand, all others on demand only."""
    stage = await stage_of(world, ACME, VOLT, KIOSK, BROKER, core=core)
    await everything_said(stage, core)
    own = list(thing("location", core, NEW)["evses"][0]["connectors"][0]["tariff_ids"])
    assert named(stage["acme"]) == ["T-DAY"]
    assert named(stage["kiosk"]) == ["STREET"]
    assert named(stage["volt"]) == [*own, "STREET"]
    assert named(stage["broker"]) == [*own, "STREET", "CLUB", "RETAIL"]
    assert tariff_ids(stage["acme"]) == {"T-DAY"}
    assert tariff_ids(stage["kiosk"]) == {"STREET"}
    assert tariff_ids(stage["volt"]) == {"T-DAY", "STREET"}
    assert tariff_ids(stage["broker"]) == {"T-DAY", "STREET", "CLUB", "RETAIL"}


@EITHER_CORE
async def test_what_a_link_doesnt_ask_for_never_reaches_it(world: Begin, core: str) -> None:
    """Not in a push, not in a list, not as an id; and nobody at all sees how the gateway keeps it."""
    stage = await stage_of(world, ACME, VOLT, KIOSK, BROKER, core=core)
    await everything_said(stage, core)
    for peer, hidden in (
        ("acme", {"STREET", "CLUB", "RETAIL"}),
        ("volt", {"CLUB", "RETAIL"}),
        ("kiosk", {"CLUB", "RETAIL", "T-DAY"}),
    ):
        assert not hidden & await all_that(stage[peer]), peer
    for peer in stage.partners.values():
        assert not [text for text in await all_that(peer) if text.startswith("gateway:")]


@EITHER_CORE
async def test_prices_stay_on_connectors_that_their_owner_says_anew(world: Begin, core: str) -> None:
    """A PUT, a PATCH of the location, one of a connector's tariffs, and a PUT of an EVSE leave them where they are."""
    stage = await stage_of(world, VOLT, KIOSK, core=core)
    backend, volt, kiosk = stage.backend, stage["volt"], stage["kiosk"]
    await everything_said(stage, core)
    own = thing("location", core, NEW)["evses"][0]["connectors"][0]["tariff_ids"]
    before = len(volt.received)
    assert (await backend.push_location(thing("location", core) | {"name": "Neude", "last_updated": LATER})).ok
    await settled(stage)
    assert volt.stored.with_id("locations", "LOC-7")["name"] == "Neude"
    assert [*own, "STREET"] == named(volt)
    assert all("STREET" in set(texts(got.body)) or "evses" not in got.body for got in volt.received[before:])

    change = {"name": "Oudegracht", "last_updated": LATEST}
    assert (await backend.patch("locations", "NL", "EXA", "LOC-7", body=change)).status_code == 1000
    await settled(stage)
    assert volt.stored.with_id("locations", "LOC-7")["name"] == "Oudegracht"
    assert named(volt) == [*own, "STREET"]

    evse = thing("location", core)["evses"][0]
    plug = evse["connectors"][0]
    path = ("locations", "NL", "EXA", "LOC-7", evse["uid"], plug["id"])
    change = ({"tariff_id": "T-NIGHT"} if core == OLD else {"tariff_ids": ["T-NIGHT"]}) | {"last_updated": LATEST}
    assert (await backend.patch(*path, body=change)).status_code == 1000
    await settled(stage)
    assert named(volt) == ["T-NIGHT", "STREET"]
    assert named(kiosk) == ["STREET"]

    assert (await backend.put(*path[:-1], body=evse | {"last_updated": LATEST})).status_code == 1000
    await settled(stage)
    assert named(volt) == [*own, "STREET"]
    assert named(kiosk) == ["STREET"]


@EITHER_CORE
async def test_a_backend_reads_back_what_it_sent_and_nothing_of_a_feed(world: Begin, core: str) -> None:
    """What lies on its connectors beside that isn't its own; nor is it after it has changed its version."""
    stage = await stage_of(world, VOLT, core=core)
    await everything_said(stage, core)
    answer = await stage.backend.get("locations", "NL", "EXA", "LOC-7", side="RECEIVER")
    assert answer.data == thing("location", core)


async def test_prices_are_on_what_a_backend_waits_for_and_on_what_is_for_one_alone(world: Begin) -> None:
    """``delivery: live``, and a location addressed to one partner: both are joined like any other."""
    live = "modules: {locations: {delivery: live}}\n"
    stage = await stage_of(world, evolve(VOLT, more=live), BROKER)
    for audience in PRICES:
        await price(stage, audience)
    location = thing("location", NEW)
    own = location["evses"][0]["connectors"][0]["tariff_ids"]
    assert (await stage.backend.push_location(location, to=("DE", "VLT"))).ok
    assert named(stage["volt"]) == [*own, "STREET"]
    path = ("locations", "NL", "EXA", "LOC-7")
    change = {"name": "Oudegracht", "last_updated": LATER}
    assert (await stage.backend.patch(*path, body=change, to=("DE", "VLT"))).status_code == 1000
    assert (await stage["volt"].wait_for("PATCH", "locations")).body == change
    assert named(stage["volt"]) == [*own, "STREET"]


@EITHER_CORE
async def test_a_location_that_is_pulled_is_joined_too(world: Begin, core: str) -> None:
    """The backend lists it without the prices each time, and that is no change."""
    stage = await stage_of(world, VOLT, core=core, more="modules: {locations: {pull_every: 1h}}\n")
    await price(stage, Audience.ADHOC)
    stage.backend.keep("locations", thing("location", core))
    wanted = Wanted(Module.LOCATIONS, True, False)
    for _ in range(2):
        await stage.gateway.wishes.perform("backend", Deed.PULL, wanted)
        await settled(stage)
    own = thing("location", core, NEW)["evses"][0]["connectors"][0]["tariff_ids"]
    assert named(stage["volt"]) == [*own, "STREET"]
    assert len([got for got in stage["volt"].received if got.module == "locations"]) == 1


# Whose a tariff is ----------------------------------------------------------------------------------------------------


async def test_an_emsps_price_at_our_connectors_goes_out_under_its_owner_and_from_us(world: Begin) -> None:
    """URL and body say whose it is; whoever sends it is one of us on that link; so it is when it is taken back."""
    stage = await stage_of(world, BROKER, SHOP, VOLT)
    await price(stage, Audience.MSP_RETAIL)
    new = await stage["broker"].wait_for("PUT", "tariffs")
    assert new.segments == ("NL", "ECO", "RETAIL")
    assert (new.body["country_code"], new.body["party_id"], new.body["type"]) == ("NL", "ECO", "REGULAR")
    assert (new.headers["ocpi-from-country-code"], new.headers["ocpi-from-party-id"]) == ("NL", "EXA")
    assert (new.headers["ocpi-to-country-code"], new.headers["ocpi-to-party-id"]) == ("BE", "BRO")
    old = await stage["shop"].wait_for("PUT", "tariffs")
    assert old.segments == ("NLD", "ECO", "RETAIL")
    assert not {"country_code", "party_id", "type"} & old.body.keys()
    await settled(stage)
    for name, count in (("broker", 1), ("shop", 1), ("volt", 0)):
        assert len(await stage[name].pull("tariffs")) == count
    (listed,) = await stage["broker"].pull("tariffs")
    assert (listed["party_id"], listed["id"]) == ("ECO", "RETAIL")

    await price(stage, Audience.MSP_RETAIL, deleted=True)
    gone = await stage["broker"].wait_for("DELETE", "tariffs")
    assert gone.segments == ("NL", "ECO", "RETAIL")
    assert (gone.headers["ocpi-from-country-code"], gone.headers["ocpi-from-party-id"]) == ("NL", "EXA")
    assert (await stage["shop"].wait_for("DELETE", "tariffs")).segments == ("NLD", "ECO", "RETAIL")
    await settled(stage)
    for name in ("broker", "shop"):
        assert await stage[name].pull("tariffs") == []
    assert not [got for got in stage["volt"].received if got.module == "tariffs"]


async def test_a_partner_that_joins_later_gets_what_it_asks_for(world: Begin) -> None:
    """Tariffs before the locations that name them, an eMSP's among them; who asks for nothing gets nothing of it."""
    stage = await stage_of(world, BROKER, SHOP, register=False)
    await everything_said(stage, NEW)
    for name in ("broker", "shop"):
        await stage[name].register(stage.versions_url, f"{name}-token-a")
    await stage.registered("broker", "shop")
    await settled(stage)
    broker, shop = stage["broker"], stage["shop"]
    kinds = [got.module for got in broker.received if got.method == "PUT"]
    assert kinds == ["tariffs"] * 4 + ["locations"]
    kinds = [got.module for got in shop.received if got.method == "PUT"]
    assert kinds == ["tariffs", "locations"]
    assert named(broker)[-3:] == ["STREET", "CLUB", "RETAIL"]
    assert named(shop) == ["RETAIL"]


# What comes from outside ----------------------------------------------------------------------------------------------


async def test_nobody_outside_can_say_for_whom_a_tariff_is_but_by_its_type(world: Begin) -> None:
    """Members of the gateway's own in a push are dropped: the tariff and the connector are what they are without."""
    stage = await stage_of(world, ACME, VOLT, BROKER)
    tariff = thing("tariff", NEW) | {"gateway:audience": "msp_retail"}
    location = thing("location", NEW)
    location["evses"][1]["connectors"][0]["gateway:tariff_ids"] = {"wholesale": ["FORGED"]}
    assert (await stage.backend.push_tariff(tariff)).ok
    assert (await stage.backend.push_location(location)).ok
    await settled(stage)
    for peer in stage.partners.values():
        assert tariff_ids(peer) == {"T-DAY"}
        assert "FORGED" not in await all_that(peer)
        assert not [text for text in await all_that(peer) if text.startswith("gateway:")]


async def test_what_a_partner_was_never_told_isnt_deleted_there(world: Begin) -> None:
    """The backend's ad hoc tariff goes: who had it hears of it, and who may not know it hears nothing."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    tariff = thing("tariff", NEW) | {"type": "AD_HOC_PAYMENT"}
    assert (await stage.backend.push_tariff(tariff)).ok
    await settled(stage)
    assert (await stage.backend.delete_tariff(tariff["id"])).ok
    await settled(stage)
    told = {
        name: [each.method for each in peer.received if each.module == "tariffs"]
        for name, peer in stage.partners.items()
    }
    assert told == {"acme": [], "volt": ["PUT", "DELETE"]}
