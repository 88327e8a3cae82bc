"""The choices of ``test_rulings.py`` where they are about behaviour: seen from outside, on the running gateway.

The number in a test's name is the choice's own. A feed is read, partners get what they ask for, readers what they may
see; what a single row means is tested there.
"""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from market import (
    ACME,
    CONNECTOR_PRICES,
    FEED,
    KIOSK,
    LOCATIONS,
    OLD_PRICES,
    PRICES,
    VOLT,
    Begin,
    imported,
    market,
    source,
    square,
    standard,
    tariffs_at,
    tariffs_of,
)

from gateway.demo.feed import Feed
from gateway.demo.world import Cast, Source
from gateway.model.window import Window

E1, E2 = "NL*EXA*E1", "NL*EXA*E2"


async def test_retail_prices_go_to_who_asks_for_them_q12(world: Begin) -> None:
    """An eMSP's price for its customers isn't sent, named or listed unless a link asks for it; nor a subscription."""
    scene = await market(world)
    feed = scene.feeds[FEED]
    await imported(scene)
    adhoc, *retail = (
        feed.price_id(E1, product) for product in ("adhoc", "msp", "msp_subscription", "cpo_subscription")
    )
    assert tariffs_of(scene["acme"]) == {"STANDARD"}
    assert tariffs_of(scene["kiosk"]) == {adhoc}
    assert tariffs_of(scene["volt"]) == {"STANDARD", adhoc}
    assert tariffs_of(scene["broker"]) == {"STANDARD", adhoc, *retail}
    assert tariffs_at(scene["acme"]) == {plug: ["STANDARD"] for plug in ("U1/1", "U1/2", "U2/1", "U3/1")}
    assert tariffs_at(scene["volt"])["U1/1"] == ["STANDARD", adhoc]
    assert set(tariffs_at(scene["broker"])["U1/1"]) == {"STANDARD", adhoc, *retail}
    assert tariffs_at(scene["broker"])["U3/1"] == ["STANDARD"]
    for name, ids in (("volt", {"STANDARD", adhoc}), ("broker", {"STANDARD", adhoc, *retail})):
        listed = {row["id"] for page in await scene[name].pages("tariffs") for row in page.data}
        assert listed == ids, name


@pytest.mark.parametrize("cast", [KIOSK, evolve(VOLT, name="kiosk")], ids=["2.1.1", "2.2.1"])
async def test_new_ids_move_the_connectors_before_the_old_tariffs_go_q14(world: Begin, cast: Cast) -> None:
    """An update has new ids: new tariffs first, then the connectors name them, and later the old ones are deleted."""
    scene = await market(world, cast, read=source(keys="retire_after: 1s"))
    feed, kiosk = scene.feeds[FEED], scene["kiosk"]
    await imported(scene)
    before, begun = feed.price_id(E1), len(kiosk.received)
    feed.update()
    after = feed.price_id(E1)
    await imported(scene)
    assert {before, after} <= tariffs_of(kiosk)
    assert after in tariffs_at(kiosk)["U1/1"]
    assert before not in tariffs_at(kiosk)["U1/1"]
    while before in tariffs_of(kiosk):  # the second that it stays is over
        await imported(scene)
    told = [(got.method, got.module) for got in kiosk.received[begun:]]
    assert told == [("PUT", "tariffs"), ("PUT", "locations"), ("DELETE", "tariffs")]
    assert after in tariffs_of(kiosk)


@pytest.mark.parametrize("path", [OLD_PRICES, PRICES])
async def test_a_price_that_is_nobodys_is_404_with_2001_q15(world: Begin, path: str) -> None:
    """An id that nobody knows, and one that was until the price changed."""
    scene = await market(world)
    reader = scene.consumers["all"]
    await imported(scene)
    known = (await reader.rows(path))[0]["id"]
    assert (await reader.read(f"{path}/{known}")).data["id"] == known
    answer = await reader.read(f"{path}/nobodys")
    assert (answer.http, answer.status_code, answer.data) == (404, 2001, None)


async def test_lists_go_on_after_the_last_record_q16(world: Begin) -> None:
    """Without a Link a feed is read on after the last id; who reads ours may do either, and gets the same."""
    feed = source(keys="page_limit: 9")
    feed.feed.paging.link_style = "none"
    scene = await market(world, read=feed)
    report = await imported(scene)
    assert report.rows.prices == feed.feed.counts["prices"]
    cursors = [got.query["last_record"] for got in feed.feed.received if "last_record" in got.query]
    assert feed.feed.price_id(2, "adhoc") in cursors  # the ninth row
    reader = scene.consumers["all"]
    whole = await reader.rows(PRICES)
    assert await reader.rows(PRICES, limit=4) == whole
    found = (await reader.read(PRICES, limit=4)).data
    while more := (await reader.read(PRICES, limit=4, last_record=found[-1]["id"])).data:
        found += more
    assert found == whole


@pytest.mark.parametrize("scheme", ["Token", "Bearer"])
async def test_either_scheme_out_and_in_q18(world: Begin, scheme: Any) -> None:
    """The feed's token goes out in the configured scheme, raw; readers may come with either."""
    scene = await market(world, ACME, read=source(scheme=scheme))
    await imported(scene)
    assert {got.headers["authorization"] for got in scene.feeds[FEED].received} == {f"{scheme} eco-key"}
    reader = scene.consumers["all"]
    reader.scheme = scheme
    assert (await reader.read(PRICES)).ok


async def test_elements_reach_partners_as_they_are_q20(world: Begin) -> None:
    """Overlapping elements keep their order, in 2.1.1 too: none is added, copied or merged for a reader of its own."""
    scene = await market(world, KIOSK, VOLT)
    await imported(scene)
    id = scene.feeds[FEED].price_id(E1)
    expected = [
        (["ENERGY"], {"start_time": "22:00", "end_time": "06:00"}),
        (["ENERGY"], None),
        (["PARKING_TIME"], {"min_duration": 14400}),
    ]
    for name in ("kiosk", "volt"):
        tariff = scene[name].stored.with_id("tariffs", id)
        elements = [
            ([component["type"] for component in element["price_components"]], element.get("restrictions"))
            for element in tariff["elements"]
        ]
        assert elements == expected, name


@pytest.mark.parametrize(
    ("choice", "chosen"), [("regular_first", "STANDARD"), ("adhoc_first", "adhoc"), ("none_if_many", None)]
)
async def test_one_of_several_tariffs_goes_to_2_1_1_q21(world: Begin, choice: str, chosen: str | None) -> None:
    """A partner on 2.1.1 that asks for wholesale and ad hoc prices has one tariff on a connector, by its own choice."""
    quirks = f"quirks: {{tariffs.audience: [wholesale, adhoc], tariffs.multi_to_single: {choice}}}\n"
    scene = await market(world, evolve(KIOSK, more=quirks))
    await imported(scene)
    adhoc = scene.feeds[FEED].price_id(E1)
    expected = [adhoc if chosen == "adhoc" else chosen] if chosen else []
    assert tariffs_at(scene["kiosk"])["U1/1"] == expected
    assert tariffs_at(scene["kiosk"])["U3/1"] == ["STANDARD"]


async def test_a_merged_location_is_removed_and_its_prices_stay_q22(world: Begin) -> None:
    """Under its new id it has the same EVSEs: the old one is shown with EVSEs REMOVED, and ours keep their prices."""
    scene = await market(world, VOLT)
    feed, reader = scene.feeds[FEED], scene.consumers["all"]
    await imported(scene)
    before, had = feed.location_id(E1), tariffs_at(scene["volt"])
    after = feed.move(E1)
    heard = len(scene["volt"].received)
    await imported(scene)
    served = {row["id"]: {evse["status"] for evse in row["evses"]} for row in await reader.rows(LOCATIONS)}
    assert served[before] == {"REMOVED"}
    assert served[after] == {"AVAILABLE"}
    assert after in {row["location_id"] for row in await reader.rows(CONNECTOR_PRICES)}
    assert before not in {row["location_id"] for row in await reader.rows(CONNECTOR_PRICES)}
    assert tariffs_at(scene["volt"]) == had
    assert len(scene["volt"].received) == heard


async def test_outside_its_window_a_feed_is_left_alone_q24(world: Begin) -> None:
    """The gateway reads it in working hours of Amsterdam unless told otherwise; a person may read it at any time."""
    feeds = {"shut": source(), "always": Source(feed=Feed("key"))}
    scene = await world(ACME, feeds=feeds)
    windows = {feed.id: feed.window for feed in scene.settings.feeds}
    assert windows["always"] is None
    shut = windows["shut"]
    assert shut is not None
    assert (str(shut.start), str(shut.end), shut.time_zone) == ("09:00:00", "17:00:00", "Europe/Amsterdam")
    assert Window().days == frozenset(range(5))
    await scene.feeds["always"].wait_for("prices")
    assert scene.feeds["shut"].received == []
    assert (await scene.gateway.prices.read("shut")).refused is None


@pytest.mark.parametrize("version", ["2.1.1", "2.2"])
async def test_a_feed_is_read_where_the_file_says_q25(world: Begin, version: str) -> None:
    """The configured URLs are called and nothing else: no versions are asked for; locations of either will do."""
    scene = await market(world, VOLT, read=source(version=version))
    await imported(scene)
    feed = scene.feeds[FEED]
    assert {got.path for got in feed.received} == {
        f"/api/ocpi/cpo/{version}/locations", "/prices", "/prices/connector_prices",
    }  # fmt: skip
    assert tariffs_at(scene["volt"])["U2/1"] == ["STANDARD", feed.price_id(E2)]


async def test_what_a_feed_told_is_shown_to_who_may_redistribute_q26(world: Begin) -> None:
    """Without ``redistribute`` nothing of a feed is served on any path; our own ad hoc tariff is."""
    scene = await market(world, ACME)
    own = {"id": "OWN", "type": "AD_HOC_PAYMENT"}
    assert (await scene.backend.push_tariff({**standard(), **own})).ok
    assert (await scene.backend.push_location(square(tariffs=("STANDARD", "OWN")))).ok
    await imported(scene)
    app, everything = scene.consumers["app"], scene.consumers["all"]
    (price,) = await app.rows(PRICES)
    assert (price["product"]["name"], price["product"]["type"], price["partner"]) == (
        "Ad hoc", "adhoc", "Example Charging",
    )  # fmt: skip
    connectors = await app.rows(CONNECTOR_PRICES)
    assert {row["location_id"] for row in connectors} == {"SQUARE"}
    assert [row["pricing_ids"] for row in connectors] == [[price["id"]]] * 4
    assert [row["id"] for row in await app.rows(LOCATIONS)] == ["SQUARE"]
    assert len(await app.rows(OLD_PRICES)) == 1
    kinds = {row["product"]["type"] for row in await everything.rows(PRICES)}
    assert kinds == {"adhoc", "msp", "cpo_subscription", "other"}
    assert len(await everything.rows(LOCATIONS)) == scene.feeds[FEED].counts["locations"] + 1
