"""Runs of price feeds: what is staged comes back as it was, counts as a whole or not at all, and goes in the end."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, TypeVar

import pytest
from attrs import evolve

from adapters.eco_movement import read_new, read_old, read_places
from gateway import ports
from gateway.demo.feed import Feed
from gateway.demo.feed.stock import ListName
from gateway.model.attached import spot
from gateway.model.names import Ousted
from gateway.model.prices import Flag, Gone, Linked, Place
from gateway.store.priced import PARTS, RunList
from gateway.store.redis import Store
from gateway.web.json import dumps, loads

T = TypeVar("T")

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ROW = b"""{
    "id": "p1", "partner": "Testlader", "partner_id": "x", "strange": [1.50, {"deep": 1E-7}],
    "product": {"name": "Spontan", "type": "adhoc", "currency": "EUR", "subscription_fee_excl_vat": 4.90},
    "elements": [{"price_components": [{"type": "ENERGY", "price_excl_vat": 0.4900, "vat": 19.0, "step_size": 1}]}]
}"""
LOCATION = '{"id":"L","name":"Café","lat":52.10,"strange":[1.50,null]}'.encode()


async def every(pages: AsyncGenerator[list[T], None]) -> list[T]:
    return [item async for page in pages for item in page]


def rows_of(feed: Feed, name: ListName, count: int, version: str = "") -> list[Any]:
    """The first rows of a list of a feed, as they are read."""
    return [loads(json.dumps(feed.row(name, number, version), default=float).encode()) for number in range(count)]


def place(number: int, evse_id: str | None = None, **more: Any) -> Place:
    return Place(location=f"L{number}", evse_uid=f"NL*EXA/{number}", connector_id="1", evse_id=evse_id, **more)


async def stage_all(store: Store, run: str) -> None:
    """One row in each list of a run."""
    await store.stage_locations("eco", run, [("L1", LOCATION)])
    await store.stage_places("eco", run, [place(1, "NL*EXA*E1")])
    await store.stage_linked("eco", run, [Linked(location="L1", evse_uid="1", connector_id="1")])
    await store.stage_prices("eco", run, [read_new(loads(ROW), now=NOW).prices])
    await store.stage_gone("eco", run, [Gone(id="L0", row=LOCATION, since=1)])


async def lists(store: Store, run: str) -> list[int]:
    """How many rows each list of a run has."""
    return [
        len(await every(store.all_locations("eco", run))),
        len(await every(store.all_places("eco", run))),
        len([found for found in await store.places_at("eco", run, [spot("NL*EXA*E1", "1")]) if found]),
        len(await every(store.all_linked("eco", run))),
        len(await every(store.all_prices("eco", run))),
        len(await store.gone("eco", run)),
    ]


async def test_the_store_is_what_prices_need(store: Store) -> None:
    """Methods and signatures are those that others rely on (checked where types are)."""
    runs: ports.Prices = store
    assert await runs.feeds() == []
    assert await runs.feed_state("eco") is None


async def test_a_state_is_kept_under_the_fence_of_whoever_reads_the_feed(store: Store) -> None:
    """A process that stood still for longer than its lease can't bring an old run back, nor make its own one stay."""
    first = await store.lease("prices:eco", "one", 60_000)
    await store.feed_keep("eco", b"a", fence=first)
    await store.release("prices:eco", "one")
    second = await store.lease("prices:eco", "two", 60_000)
    await store.feed_keep("eco", b"b", fence=second)
    await stage_all(store, "1")
    with pytest.raises(Ousted):
        await store.feed_keep("eco", b"a", run="1", fence=first)
    assert (await store.feeds(), await store.feed_state("eco")) == (["eco"], b"b")
    assert await lasting(store, "1") == set()


async def lasting(store: Store, run: str) -> set[int]:
    """The times to live of a run's keys, in seconds: -1 is for good; those within a day as none."""
    found = set()
    for key in keys_of(store, "eco", run):
        left = await store.command("PTTL", key)  # -2: there is no such key
        found |= set() if left == -2 or 23 * 3600_000 < left <= 24 * 3600_000 else {left // 1000}
    return found


def keys_of(store: Store, feed: str, run: str) -> list[str]:
    """All that a run may have."""
    return [store.keys.feed_run(feed, run, list_, part) for list_ in RunList for part in range(PARTS)]


async def test_what_is_staged_expires_until_it_is_kept(store: Store) -> None:
    """A run of which nobody says that it counts is gone after a day, be its reader killed at any moment."""
    await stage_all(store, "1")
    assert await lasting(store, "1") == set()
    await store.feed_keep("eco", b"names another run")
    assert await lasting(store, "1") == set()
    await store.feed_keep("eco", b"names 1", run="1")
    await store.feed_keep("eco", b"names 1, and a report")
    assert await lasting(store, "1") == {-1}
    assert await lists(store, "1") == [1] * 6


async def test_a_run_that_counted_goes_an_hour_after_the_next_one_counts(store: Store) -> None:
    """Whoever reads in it comes to an end; saying twice which run counts changes nothing."""
    for run in ("1", "2"):
        await stage_all(store, run)
        await store.feed_keep("eco", run.encode(), run=run)
        await store.feed_keep("eco", run.encode(), run=run)
    assert max(await lasting(store, "1")) in (3599, 3600)
    assert await lists(store, "1") == await lists(store, "2") == [1] * 6
    assert await lasting(store, "2") == {-1}
    assert await store.command("SMEMBERS", store.keys.feed_runs("eco")) == {b"2"}


async def test_a_run_that_was_to_be_forgotten_when_its_reader_died_is_forgotten_by_the_next(store: Store) -> None:
    """Between the step that makes a run count and the end of the former one nothing is lost from sight."""
    await stage_all(store, "1")
    await store.feed_keep("eco", b"1", run="1")
    # As the second run's reader would have left it if it had been killed right after the script.
    await stage_all(store, "2")
    await store.command("SADD", store.keys.feed_runs("eco"), "2")
    await store.feed_keep("eco", b"3", run="3")
    assert max(await lasting(store, "1")) <= 3600
    assert max(await lasting(store, "2")) <= 3600
    assert await store.command("SMEMBERS", store.keys.feed_runs("eco")) == {b"3"}


async def test_a_refused_run_is_gone_at_once(store: Store) -> None:
    """And the one that counts isn't touched by it."""
    await stage_all(store, "1")
    await store.feed_keep("eco", b"1", run="1")
    await stage_all(store, "2")
    await store.run_forget("eco", "2")
    await store.run_forget("eco", "2")
    assert await lists(store, "2") == [0] * 6
    assert await lists(store, "1") == [1] * 6


async def test_a_forgotten_feed_leaves_nothing(store: Store) -> None:
    """Its state, its runs and what it told of statuses are gone; other feeds keep theirs."""
    for feed in ("eco", "other"):
        await store.stage_locations(feed, "1", [("L1", LOCATION)])
        await store.feed_keep(feed, b"1", run="1")
        await store.status_keep(feed, "L1", "E1", b"{}", former=None)
    await store.feed_forget("eco")
    await store.feed_forget("eco")
    assert await store.feeds() == ["other"]
    keys = [store.keys.feed("eco"), store.keys.feed_runs("eco"), store.keys.feed_told("eco")]
    assert await store.command("EXISTS", *keys, *keys_of(store, "eco", "1")) == 0
    assert await store.locations("other", "1", ["L1"]) == [LOCATION]
    assert await store.statuses("other", [("L1", "E1")]) == [b"{}"]


async def test_rows_come_back_byte_for_byte_in_the_order_in_which_they_are_asked_for(store: Store) -> None:
    """Locations are bytes of JSON with whatever is in them; None for one that isn't there; each run has its own."""
    await store.stage_locations("eco", "1", [("L1", LOCATION), ("l1", b"{}")])
    await store.stage_locations("eco", "2", [("L1", b"[]")])
    assert await store.locations("eco", "1", ["l1", "none", "L1", "L1"]) == [b"{}", None, LOCATION, LOCATION]
    assert await store.locations("eco", "2", ["L1"]) == [b"[]"]
    assert await store.locations("eco", "1", []) == []
    await store.stage_locations("eco", "1", [("L1", b"[1]")])  # a page that was told again
    assert sorted(await every(store.all_locations("eco", "1"))) == [("L1", b"[1]"), ("l1", b"{}")]


async def test_connectors_are_found_by_their_ids_and_by_their_spot(store: Store) -> None:
    """An EVSE id is compared without separators and case, the feed's own ids as they are, colons and all."""
    one = place(1, "NL*EXA*E0001", price_id="p:1", operator="Exa", ema_ids=("NL*EXA", "NLEXA"))
    odd = Place(location="a:b", evse_uid="c", connector_id="2:é")
    near = Place(location="a", evse_uid="b:c", connector_id="2:é")
    await store.stage_places("eco", "1", [one, odd, near])
    assert await store.places("eco", "1", [near.connector, one.connector, ("no", "", "")]) == [near, one, None]
    assert await store.places_at("eco", "1", ["NLEXAE0001:1", spot("nl-exa-e0001", "1"), "NLEXAE0001:2"]) == [
        one, one, None,
    ]  # fmt: skip
    assert {each.connector for each in await every(store.all_places("eco", "1"))} == {
        one.connector, odd.connector, near.connector,
    }  # fmt: skip


async def test_of_two_connectors_at_one_spot_the_first_has_it(store: Store) -> None:
    """On one page or on two; so it can be told which one lost."""
    await store.stage_places("eco", "1", [place(1, "NL*EXA*E1"), place(2, "NLEXAE1")])
    await store.stage_places("eco", "1", [place(3, "nlexae1"), place(4, "NL*EXA*E4")])
    assert await store.places_at("eco", "1", ["NLEXAE1:1", "NLEXAE4:1"]) == [
        place(1, "NL*EXA*E1"), place(4, "NL*EXA*E4"),
    ]  # fmt: skip
    assert len(await every(store.all_places("eco", "1"))) == 4


async def test_what_a_connector_is_linked_to_comes_back_with_all_that_was_said_there(store: Store) -> None:
    """Ids in their order, and fields that nobody knows with their digits."""
    linked = Linked(
        location="L1", evse_uid="E", connector_id="1", price_ids=("b", "a"), more={"n": Decimal("0.10"), "x": [None]}
    )
    bare = Linked(location="L1", evse_uid="E", connector_id="2")
    await store.stage_linked("eco", "1", [linked, bare])
    assert await store.linked("eco", "1", [bare.connector, ("L1", "E", "3"), linked.connector]) == [bare, None, linked]
    (found,) = await store.linked("eco", "1", [linked.connector])
    assert found
    assert dumps(found.more) == b'{"n":0.10,"x":[null]}'
    assert sorted(each.connector_id for each in await every(store.all_linked("eco", "1"))) == ["1", "2"]


async def test_prices_keep_every_digit(store: Store) -> None:
    """Of a tariff, of a fee and of the row as it was read, fields that nobody knows included."""
    (priced,) = read_new(loads(ROW), now=NOW).prices
    await store.stage_prices("eco", "1", [[priced]])
    ((found,),) = await store.prices("eco", "1", ["p1"])
    assert found == priced
    assert str(found.subscription.fee) == str(priced.subscription.fee)
    for ours, theirs in ((found.tariff, priced.tariff), (found.raw, priced.raw)):
        assert dumps(ours) == dumps(theirs)
    assert b"0.4900" in dumps(found.raw)
    assert b"0.0000001" in dumps(found.raw)


async def test_prices_of_one_id_stay_together(store: Store) -> None:
    """The older shape tells several products under one id; flags are kept with them."""
    row = rows_of(Feed("key"), "prices", 1, "2.1.1")[0]
    together = read_old(row, now=NOW).prices
    assert len(together) > 1
    (single,) = read_new(loads(ROW), now=NOW).prices
    flagged = (evolve(single, flags=(Flag("p1", "/elements/0", "looks odd"),)),)
    await store.stage_prices("eco", "1", [together, flagged, []])
    assert await store.prices("eco", "1", ["p1", row["id"], "none"]) == [flagged, together, ()]
    assert sorted(map(len, await every(store.all_prices("eco", "1")))) == [1, len(together)]


async def test_locations_that_were_there_before(store: Store) -> None:
    """By id, with what they were merged into, as read last."""
    gone = [Gone(id="L2", row=LOCATION, since=1_770_000_000_000, now="L9"), Gone(id="L1", row=b"{}", since=2)]
    await store.stage_gone("eco", "1", gone)
    assert await store.gone("eco", "1") == [gone[1], gone[0]]
    assert await store.gone("eco", "2") == []


async def test_statuses_are_kept_by_location_and_evse(store: Store) -> None:
    """Two locations may have EVSEs of one uid; the last one told counts; they outlive a run."""
    assert await store.statuses("eco", []) == []
    assert await store.status_keep("eco", "L1", "1", b"old", former=None)
    assert await store.status_keep("eco", "L1", "1", b"new", former=b"old")
    assert await store.status_keep("eco", "L2", "1", b"other", former=None)
    assert await store.statuses("eco", [("L2", "1"), ("L1", "1"), ("L1", "2")]) == [b"other", b"new", None]
    await store.statuses_forget("eco", {})
    await store.statuses_forget("eco", {("L1", "1"): b"new", ("L3", "1"): b"new"})
    assert await store.statuses("eco", [("L2", "1"), ("L1", "1")]) == [b"other", None]


async def test_a_status_that_changed_since_it_was_looked_at_stays(store: Store) -> None:
    """Neither replaced nor forgotten by whoever knows an older one; what is there already may be said again."""
    assert await store.status_keep("eco", "L1", "1", b"new", former=None)
    assert await store.status_keep("eco", "L1", "1", b"new", former=None)
    for former in (None, b"old"):
        assert not await store.status_keep("eco", "L1", "1", b"other", former=former)
    await store.statuses_forget("eco", {("L1", "1"): b"old"})
    assert await store.statuses("eco", [("L1", "1")]) == [b"new"]


async def test_a_large_feed_is_staged_and_read_some_at_a_time_each_row_once(store: Store) -> None:
    """2,500 connectors with all their rows come back equal; no page is larger than a round trip takes."""
    feed = Feed("key", connectors=2500)
    rows = rows_of(feed, "locations", feed.counts["locations"])
    prices = [read_new(row, now=NOW).prices for row in rows_of(feed, "prices", 1000)]
    places = [each for row in rows for each in read_places(row).places]
    await store.stage_locations("eco", "1", [(row["id"], dumps(row)) for row in rows])
    await store.stage_places("eco", "1", places)
    await store.stage_linked("eco", "1", [each.linked for each in places])
    await store.stage_prices("eco", "1", prices)
    pages = [page async for page in store.all_places("eco", "1")]
    assert max(map(len, pages)) <= 200
    assert sorted((each for page in pages for each in page), key=attrgetter("connector")) == sorted(
        places, key=attrgetter("connector")
    )
    assert sorted(await every(store.all_locations("eco", "1"))) == sorted((row["id"], dumps(row)) for row in rows)
    assert len(await every(store.all_linked("eco", "1"))) == len(places) == 2500
    found = {together[0].price_id: together for together in await every(store.all_prices("eco", "1"))}
    assert found == {together[0].price_id: together for together in prices}
    assert await store.places("eco", "1", [each.connector for each in places]) == places


async def test_rows_that_are_taken_away_meanwhile_are_missing_and_nothing_else(store: Store) -> None:
    """A reader whose run is forgotten under its eyes comes to an end without a mistake."""
    await store.stage_locations("eco", "1", [(f"L{number}", b"{}") for number in range(1000)])
    pages = store.all_locations("eco", "1")
    first = await anext(pages)
    await store.run_forget("eco", "1")
    assert len(first) + sum([len(page) async for page in pages]) < 1000


async def test_all_keys_of_a_feed_share_a_slot(store: Store) -> None:
    """In a cluster one script touches the fence, the state and the whole run."""
    keys = store.keys
    of_feed = [
        keys.fence("prices:eco"), keys.lease("prices:eco"), keys.feed("eco"), keys.feed_runs("eco"),
        keys.feed_told("eco"), keys.feed_run("eco", "r{u}n", "prices", PARTS - 1), keys.imported("eco"),
    ]  # fmt: skip
    assert {key[key.index("{") : key.index("}") + 1] for key in of_feed} == {"{prices%3Aeco}"}
