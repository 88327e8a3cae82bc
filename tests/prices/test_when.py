"""When something of ours was updated, which a feed has changed: for partners that read only what is new."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from market import ACME, KIOSK, VOLT, WHEN, Begin, Json, imported, market, settled, square, tariffs_at

from gateway.demo.peers import Peer
from gateway.demo.world import Cast, World


def stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def stamps(location: Json) -> dict[str, str]:
    """When the location, its EVSEs and their connectors were updated, by their ids."""
    found = {location["id"]: location["last_updated"]}
    for evse in location["evses"]:
        found[evse["uid"]] = evse["last_updated"]
        found |= {f"{evse['uid']}/{plug['id']}": plug["last_updated"] for plug in evse["connectors"]}
    return found


async def news(peer: Peer, module: str, since: str) -> dict[str, Json]:
    """What a partner reads of what has changed since, by id."""
    return {item["id"]: item for item in await peer.pull(module, date_from=since)}


@pytest.mark.parametrize("cast", [KIOSK, VOLT], ids=["2.1.1", "2.2.1"])
async def test_who_reads_what_is_new_finds_what_a_feed_has_changed(world: Begin, cast: Cast) -> None:
    """The location and the tariff are in the list of what changed since, although their owners updated them before."""
    stage = await market(world, cast)
    began = stamp(datetime.now(UTC))
    assert await news(stage[cast.name], "locations", began) == {}
    await imported(stage)
    peer = stage[cast.name]
    (location,) = (await news(peer, "locations", began)).values()
    named = {id for ids in tariffs_at(peer).values() for id in ids} - {"STANDARD"}
    assert named <= (await news(peer, "tariffs", began)).keys()
    times = stamps(location)
    for new in ("SQUARE", "U1", "U1/1", "U1/2", "U2", "U2/1"):
        assert times[new] >= began, new
    assert times["U3"] == times["U3/1"] == WHEN
    assert stamps(peer.stored.with_id("locations", "SQUARE")) == times
    assert len(await news(peer, "locations", stamp(datetime.now(UTC) + timedelta(minutes=1)))) == 0


async def patched(stage: World, **change: str) -> None:
    assert (await stage.backend.patch("locations", "NL", "EXA", "SQUARE", "U1", body=change)).ok
    await settled(stage)


async def test_what_its_owner_says_counts_whenever_a_feed_changed_it(world: Begin) -> None:
    """A status that its owner dates before the reading, and sends after it, is no old news: it is passed on."""
    stage = await market(world, ACME, VOLT)
    before = stamp(datetime.now(UTC) - timedelta(seconds=30))
    await imported(stage)
    volt = stage["volt"]
    read = stamps(volt.stored.with_id("locations", "SQUARE"))
    await patched(stage, status="CHARGING", last_updated=before)
    has = volt.stored.with_id("locations", "SQUARE")
    assert has["evses"][0]["status"] == "CHARGING"
    assert stamps(has)["U1/1"] == read["U1/1"]
    later = stamp(datetime.now(UTC) + timedelta(hours=1))
    await patched(stage, status="AVAILABLE", last_updated=later)
    assert stamps(volt.stored.with_id("locations", "SQUARE"))["U1"] == later


async def test_what_a_feed_takes_away_is_news_too(world: Begin) -> None:
    """A connector that has lost its price is new once more, and a PUT of its owner's keeps that."""
    stage = await market(world, VOLT)
    await imported(stage)
    volt = stage["volt"]
    first = stamps(volt.stored.with_id("locations", "SQUARE"))
    feed = stage.feeds["eco"]
    feed.unlist(feed.price_id("NL*EXA*E1"))
    await imported(stage)
    second = stamps(volt.stored.with_id("locations", "SQUARE"))
    assert tariffs_at(volt)["U1/1"] == ["STANDARD"]
    assert first["U1/1"] > WHEN
    assert second["U1/1"] >= first["U1/1"]
    assert second["U3/1"] == WHEN
    assert (await stage.backend.push_location({**square(when="2026-03-03T09:00:00Z"), "name": "Renamed"})).ok
    await settled(stage)
    has = volt.stored.with_id("locations", "SQUARE")
    third = stamps(has)
    assert has["name"] == "Renamed"
    assert [third[name] for name in ("SQUARE", "U1", "U1/1", "U2/1")] == [
        second[name] for name in ("SQUARE", "U1", "U1/1", "U2/1")
    ]
