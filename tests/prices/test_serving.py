"""Prices as they are served: who is let in, what stands in the four lists for whom, and how they are read."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from copy import deepcopy
from typing import Any

import pytest
from attrs import evolve, frozen
from market import (
    ACME,
    AUDIENCES,
    CONNECTOR_PRICES,
    CONNECTORS,
    FEED,
    LOCATIONS,
    OLD_PRICES,
    PATHS,
    PRICES,
    VOLT,
    Begin,
    Json,
    imported,
    market,
    source,
    square,
    standard,
)
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from witness import Reply

from gateway.demo.consumer import Consumer
from gateway.demo.feed import PRODUCTS
from gateway.demo.world import CORE, Cast, World, free_ports
from gateway.store.redis import Store
from gateway.web.json import dumps, loads

MOST = {OLD_PRICES: 1000, LOCATIONS: 1000, PRICES: 10_000, CONNECTOR_PRICES: 10_000}
NEW = (PRICES, CONNECTOR_PRICES)
every_list = pytest.mark.parametrize("path", PATHS)


async def shop(begin: Begin, *audience: str, redistribute: bool = False) -> tuple[World, Consumer]:
    """Our square and our tariffs, for eMSPs and for drivers, and somebody who reads what is for ``audience``."""
    reader = Consumer("reader-token", audience or ("adhoc",), redistribute)
    world = await begin(consumers={"reader": reader})
    assert (await world.backend.push_tariff(standard())).ok
    assert (await world.backend.push_tariff(adhoc())).ok
    assert (await world.backend.push_location(square(tariffs=("STANDARD", "SPONTAN")))).ok
    return world, reader


def adhoc(price: object = 0.59, **more: Any) -> Json:
    """What the backend asks of drivers without a contract."""
    component = {"type": "ENERGY", "price": price, "step_size": 1}
    return (
        standard() | {"id": "SPONTAN", "type": "AD_HOC_PAYMENT", "elements": [{"price_components": [component]}]} | more
    )


async def get(world: World, path: str, headers: Mapping[str, str], method: str = "GET") -> Reply:
    """A request with just these headers."""
    lines = [f"{method} {path} HTTP/1.0", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return await answer_to(world, "\r\n".join(lines).encode())


async def answer_to(world: World, request: bytes) -> Reply:
    """The answer to these bytes, which ends the connection."""
    reader, writer = await asyncio.open_connection(*world.gateway.ocpi)
    writer.write(request)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    status, *lines = head.decode("latin-1").splitlines()
    told = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Reply(int(status.split()[1]), told, loads(body) if body else None)


def link(headers: Mapping[str, str]) -> str:
    text = headers["link"]
    assert text.endswith('; rel="next"')
    return text[1 : text.index(">")]


def ids(rows: list[Json]) -> list[str]:
    return [row["id"] for row in rows]


def named(location: Json, name: str = "pricing_id") -> list[Any]:
    """What the connectors of a location say under a name."""
    return [plug.get(name) for evse in location["evses"] for plug in evse["connectors"]]


# What is in the lists -------------------------------------------------------------------------------------------------


async def test_our_own_ad_hoc_price_in_both_shapes(world: Begin) -> None:
    """A row for the price, a row for each connector that has it, and in the older shape an id on these connectors."""
    _, reader = await shop(world)
    (price,) = await reader.rows(PRICES)
    id = price.pop("id")
    assert len(id) == 32
    assert price.pop("product").pop("id")
    assert price == {
        "partner": "Example Charging",
        "partner_id": price["partner_id"],
        "last_updated": "2026-03-02T09:00:00Z",
        "elements": [{"price_components": [{"type": "ENERGY", "price_excl_vat": 0.59, "step_size": 1}]}],
    }
    places = [("U1", "1"), ("U1", "2"), ("U2", "1"), ("U3", "1")]
    assert await reader.rows(CONNECTOR_PRICES) == [
        {"location_id": "SQUARE", "evse_uid": evse, "connector_id": plug, "pricing_ids": [id]} for evse, plug in places
    ]
    (old,) = await reader.rows(OLD_PRICES)
    (entry,) = old["price_list"]
    assert entry["product"]["name"] == "Ad hoc"
    assert entry["elements"] == [{"type": "ENERGY", "price_excl_vat": 0.59}]
    (location,) = await reader.rows(LOCATIONS)
    assert named(location) == [old["id"]] * 4
    assert named(location, "tariff_id") == [None] * 4
    assert named(location, "voltage") == [230] * 4
    assert {"publish", "country_code", "party_id"}.isdisjoint(location)


@pytest.mark.parametrize(
    ("audience", "products"),
    [
        (("adhoc",), {"Ad hoc"}),
        (("wholesale",), {"STANDARD"}),
        (("adhoc", "wholesale"), {"Ad hoc", "STANDARD"}),
        (("msp_retail", "cpo_subscription"), set()),
    ],
)
async def test_a_reader_sees_the_prices_of_its_audiences(
    world: Begin, audience: tuple[str, ...], products: set[str]
) -> None:
    """In every list; the locations are the same for all, and a connector that has no price for it isn't in the list."""
    _, reader = await shop(world, *audience)
    assert {row["product"]["name"] for row in await reader.rows(PRICES)} == products
    old = await reader.rows(OLD_PRICES)
    assert {entry["product"]["name"] for row in old for entry in row["price_list"]} == products
    assert len(await reader.rows(CONNECTOR_PRICES)) == (4 if products else 0)
    (location,) = await reader.rows(LOCATIONS)
    assert named(location) == [row["id"] for row in old for _ in range(4)] or [None] * 4


async def test_what_isnt_offered_isnt_served(world: Begin) -> None:
    """Tariffs that don't hold now or were deleted, connectors that can't be said, locations that mustn't be shown."""
    scene, reader = await shop(world, "adhoc", "wholesale")
    backend = scene.backend
    assert (await backend.push_tariff(adhoc(id="LATER", start_date_time="2126-01-01T00:00:00Z"))).ok
    assert (await backend.push_tariff(adhoc(id="BEFORE", end_date_time="2026-01-01T00:00:00Z"))).ok
    assert (await backend.push_tariff(adhoc(0.61, id="NOWHERE"))).ok
    place = square(tariffs=("LATER", "BEFORE", "STANDARD"))
    place["evses"][0]["connectors"][1]["standard"] = "NEMA_5_20"
    assert (await backend.push_location(place)).ok
    assert (await backend.push_location(place | {"id": "HIDDEN", "publish": False})).ok
    assert (await backend.delete_tariff("SPONTAN")).ok
    prices = {row["product"]["name"]: row["id"] for row in await reader.rows(PRICES)}
    assert set(prices) == {"STANDARD", "Ad hoc"}  # NOWHERE holds at no connector, and is a price
    rows = await reader.rows(CONNECTOR_PRICES)
    assert [(row["location_id"], row["evse_uid"], row["connector_id"]) for row in rows] == [
        ("SQUARE", "U1", "1"), ("SQUARE", "U2", "1"), ("SQUARE", "U3", "1")
    ]  # fmt: skip
    assert {id for row in rows for id in row["pricing_ids"]} == {prices["STANDARD"]}
    assert ids(await reader.rows(LOCATIONS)) == ["SQUARE"]


async def test_money_keeps_its_digits_q08(world: Begin) -> None:
    """No noise, no exponent; VAT that nobody knows is absent, and a VAT of 0 is 0."""
    scene, reader = await shop(world)
    components = (
        b'{"type":"ENERGY","price":0.10,"vat":0,"step_size":1},{"type":"TIME","price":1E+1,"step_size":60},'
        b'{"type":"FLAT","price":0.30000000000000004,"vat":19.5,"step_size":1}'
    )
    body = b'{"price_components":[' + components + b"]}"
    tariff = adhoc(elements="HERE")
    raw = dumps(tariff).replace(b'"HERE"', b"[" + body + b"]")
    answer = await scene.backend.put("tariffs", "NL", "EXA", "SPONTAN", body=raw)
    assert answer.ok, answer
    for path, exactly in (
        (PRICES, b'{"type":"TIME","step_size":60,"price_excl_vat":10}'),
        (OLD_PRICES, b'{"type":"TIME","price_excl_vat":10}'),
    ):
        page = (await reader.read(path)).raw
        assert exactly in page
        assert [
            digits for digits in (b'"vat":0,', b"0.10", b"0.30000000000000004", b"19.5") if digits not in page
        ] == []


# Ids ------------------------------------------------------------------------------------------------------------------


async def test_a_number_that_cant_be_said_costs_its_price_only(world: Begin) -> None:
    """A price beyond all prices isn't served, and everything else is."""
    scene, reader = await shop(world)
    before = {path: await reader.rows(path) for path in PATHS}
    row = dumps(adhoc(1, id="HUGE")).replace(b'"price":1,', b'"price":1E30,')
    assert (await scene.backend.put("tariffs", "NL", "EXA", "HUGE", body=row)).ok
    assert {path: await reader.rows(path) for path in PATHS} == before


async def test_an_id_stands_for_content(world: Begin) -> None:
    """The same after a restart and for a tariff that was sent again; another price has another, and the old one is
    gone: HTTP 404 with 2001, in both shapes."""
    scene, reader = await shop(world)
    first = {path: ids(await reader.rows(path)) for path in (PRICES, OLD_PRICES)}
    await scene.restart()
    assert (await scene.backend.push_tariff(adhoc(last_updated="2026-03-03T09:00:00Z"))).ok
    assert {path: ids(await reader.rows(path)) for path in (PRICES, OLD_PRICES)} == first
    for path, (id,) in first.items():
        (row,) = await reader.rows(path)
        one = await reader.read(f"{path}/{id}")
        assert one.ok
        assert one.data == row
        assert (await reader.read(f"{path}/{id}/")).data == row
    assert (await scene.backend.push_tariff(adhoc(0.62, last_updated="2026-03-04T09:00:00Z"))).ok
    for path, (id,) in first.items():
        assert ids(await reader.rows(path)) != [id]
        gone = await reader.read(f"{path}/{id}")
        assert (gone.http, gone.status_code) == (404, 2001)
        assert (await reader.read(f"{path}/nobody")).http == 404
    assert (await scene.backend.push_tariff(adhoc(last_updated="2026-03-05T09:00:00Z"))).ok
    assert {path: ids(await reader.rows(path)) for path in (PRICES, OLD_PRICES)} == first


# Pages ----------------------------------------------------------------------------------------------------------------


@every_list
async def test_a_list_is_read_by_its_links(world: Begin, path: str) -> None:
    """Each row once and in order, with the totals of the shape; the Link names the gateway, whatever the Host says."""
    scene = await market(world, ACME)
    await imported(scene)
    reader = scene.consumers["all"]
    whole = await reader.read(path)
    assert whole.headers["x-limit"] == str(MOST[path])
    assert whole.headers["x-total-count"] == str(len(whole.data))
    assert "link" not in whole.headers
    assert len(whole.data) > 5
    pages = [page async for page in reader.pages(path, limit=3)]
    assert [row for page in pages for row in page.data] == whole.data
    assert {len(page.data) for page in pages[:-1]} == {3}
    for page in (whole, *pages):
        body = loads(page.raw)
        assert body["status_code"] == 1000
        assert ("status" in body, "total" in body, "limit" in body) == (path in NEW,) * 3
        if path in NEW:
            assert (body["status"], body["total"]) == (1000, len(whole.data))
            assert body["limit"] == int(page.headers["x-limit"])
    forged = await get(scene, f"{path}?limit=1", {"Authorization": "Bearer all-token", "Host": "evil.example"})
    assert link(forged.headers).startswith(f"{scene.settings.public_url}{path}?limit=1&offset=1&cursor=")
    assert (await reader.read(f"{path}/")).data == whole.data
    assert (await reader.read(path, limit=10**9)).headers["x-limit"] == str(MOST[path])
    assert (await reader.read(path, offset=4, limit=2)).data == whole.data[4:6]
    beyond = await reader.read(path, offset=10**17)
    assert (beyond.data, beyond.headers["x-total-count"]) == ([], str(len(whole.data)))
    assert "link" not in beyond.headers


async def test_a_list_goes_on_after_its_last_record_q16(world: Begin) -> None:
    """After the row of that id, or where it was; rows of connectors have none, and say what to do instead."""
    scene = await market(world, ACME)
    await imported(scene)
    reader = scene.consumers["all"]
    for path in (PRICES, OLD_PRICES, LOCATIONS):
        whole = await reader.rows(path)
        read: list[Json] = []
        while rows := (await reader.read(path, limit=3, **({"last_record": read[-1]["id"]} if read else {}))).data:
            read += rows
        assert read == whole
        between = whole[1]["id"] + "0"
        assert (await reader.read(path, last_record=between)).data == whole[2:]
        assert (await reader.read(path, last_record=whole[0]["id"], offset=1, limit=1)).data == whole[2:3]
        after = await reader.read(path, last_record=whole[0]["id"], limit=1)
        assert (await reader.read(link(after.headers))).data[:1] == whole[2:3]
    refused = await reader.read(CONNECTOR_PRICES, last_record="SQUARE")
    assert (refused.http, refused.status_code) == (200, 2001)
    assert refused.message == "last_record: these rows have no id: follow the Link, or use offset"


@every_list
async def test_a_link_leads_on_in_the_list_of_its_first_page(world: Begin, path: str) -> None:
    """Everything changes between two pages: the second one is the old list's, and a new first page is the new one's."""
    scene = await market(world, ACME)
    await imported(scene)
    reader = scene.consumers["all"]
    before = await reader.rows(path)
    first = await reader.read(path, limit=2)
    assert (await scene.backend.push_location(square() | {"id": "ANNEX"})).ok
    assert (await scene.backend.push_tariff(standard() | {"currency": "SEK"})).ok
    scene.feeds[FEED].update()
    await imported(scene)
    after = await reader.rows(path)
    assert after != before
    rest = [row async for page in reader.pages(link(first.headers)) for row in page.data]
    assert [*first.data, *rest] == before


async def test_a_list_that_isnt_kept_any_more_says_so(world: Begin) -> None:
    """After an hour, or with a cursor that never was one, or is another list's or reader's: 2001, and what to do."""
    scene, reader = await shop(world, "adhoc", "wholesale")
    other = evolve(reader, token="nobody")
    further = link((await reader.read(CONNECTOR_PRICES, limit=1)).headers)
    assert (await reader.read(further)).ok
    cursor = further.rpartition("=")[2]
    store = scene.gateway.store
    for path, word in ((PRICES, cursor), (CONNECTOR_PRICES, "0" * 32), (CONNECTOR_PRICES, f"../{cursor}%00*")):
        refused = await reader.read(path, cursor=word)
        assert (refused.http, refused.status_code) == (200, 2001)
        assert refused.message == "cursor: this list isn't kept any more: begin again with its first page"
    assert (await other.read(further)).http == 401
    async for key in store.client.scan_iter(match=f"{store.keys.prefix}:shelf:*"):
        await store.client.unlink(key)
    assert (await reader.read(further)).status_code == 2001
    assert len(await reader.rows(CONNECTOR_PRICES, limit=1)) == 4


BAD = {
    "limit": ("0", "-1", "ten", "1e3", "1.5", "٣", "9" * 30),
    "offset": ("-1", "ten", "0x10", "9" * 30),
}


@every_list
async def test_a_parameter_that_is_no_good_is_named(world: Begin, path: str) -> None:
    """2001 with its name; one that stands twice is 400; one that nobody knows, or is empty, is passed over."""
    scene, reader = await shop(world)
    for name, values in BAD.items():
        for value in values:
            refused = await reader.read(path, **{name: value})
            assert (refused.http, refused.status_code) == (200, 2001)
            assert refused.message.startswith(f"{name}: ")
    doubled = await get(scene, f"{path}?limit=1&limit=2", {"Authorization": "Token reader-token"})
    assert doubled.outcome == (400, 2001)
    assert (await reader.read(path, limit="", offset="", cursor="", last_record="", date_from="x", colour="red")).ok


# Feeds ----------------------------------------------------------------------------------------------------------------


async def test_in_and_out_again(world: Begin) -> None:
    """What a feed tells in the newer shape is served as it was told, but for the ids, and fits together."""
    scene = await market(world, ACME)
    await imported(scene)
    feed, reader = scene.feeds[FEED], scene.consumers["all"]
    told: dict[str, Json] = {}
    for number in range(feed.counts["prices"]):
        row = feed.row("prices", number)
        told[row.pop("id")] = row
    served = {
        row["id"]: {name: said for name, said in row.items() if name != "id"} for row in await reader.rows(PRICES)
    }
    assert len(served) == len(told) + 1  # and what our backend asks of eMSPs
    became = {old: next(id for id, row in served.items() if row == content) for old, content in told.items()}
    rows = {
        (row["location_id"], row["evse_uid"], row["connector_id"]): row for row in await reader.rows(CONNECTOR_PRICES)
    }
    assert len(rows) == CONNECTORS + 4
    for number in range(feed.counts["connector_prices"]):
        row = feed.row("connector_prices", number)
        where = (row["location_id"], row["evse_uid"], row["connector_id"])
        assert rows[where]["pricing_ids"] == sorted(became[id] for id in row["pricing_ids"])


async def test_a_feeds_price_at_our_connector(world: Begin) -> None:
    """Beside our own, by the id that stands on the EVSE; where the feed knows nothing, our own alone."""
    scene = await market(world, ACME)
    await imported(scene)
    reader = scene.consumers["all"]
    rows = {
        (row["location_id"], row["evse_uid"], row["connector_id"]): row for row in await reader.rows(CONNECTOR_PRICES)
    }
    own = rows["SQUARE", "U3", "1"]["pricing_ids"]
    assert len(own) == 1
    feed = scene.feeds[FEED]
    theirs = rows[feed.location_id("NL*EXA*E1"), feed.evse_uid("NL*EXA*E1"), "1"]["pricing_ids"]
    assert rows["SQUARE", "U1", "1"]["pricing_ids"] == sorted([*own, *theirs])
    square_now = next(row for row in await reader.rows(LOCATIONS) if row["id"] == "SQUARE")
    old = {row["id"]: row for row in await reader.rows(OLD_PRICES)}
    assert [len(old[id]["price_list"]) for id in named(square_now)] == [5, 5, 5, 1]


@pytest.mark.parametrize("shape", ["new", "old"])
async def test_nothing_of_a_feed_without_a_licence_q26(world: Begin, shape: str) -> None:
    """Not its prices, not its places, not a word or an id of it, although its prices hold at our connectors."""
    scene = await market(world, ACME, read=source(shape))
    app = evolve(scene.consumers["app"], base_url=scene.settings.public_url)
    before = {path: await app.rows(path) for path in PATHS}
    await imported(scene)
    assert {path: await app.rows(path) for path in PATHS} == before
    feed = scene.feeds[FEED]
    words = {feed.location_id(number) for number in range(feed.counts["locations"])}
    words |= {feed.price_id(number, product) for number in range(feed.counts["locations"]) for product in PRODUCTS}
    text = b"".join([(await app.read(path)).raw for path in PATHS]).decode()
    assert not [word for word in words | {"Roam One", "Voltpass", "Hauptstra"} if word in text]
    for row in await scene.consumers["all"].rows(PRICES):
        if row["product"]["name"] != "STANDARD":
            assert (await app.read(f"{PRICES}/{row['id']}")).http == 404
    for row in await scene.consumers["all"].rows(OLD_PRICES):
        assert (await app.read(f"{OLD_PRICES}/{row['id']}")).http == 404


async def test_an_id_of_a_feed_that_our_own_tariff_has_now(world: Begin) -> None:
    """What the backend says under it is our own price, for whoever sees these, as long as the backend says so."""
    scene = await market(world, ACME)
    await imported(scene)
    feed, app = scene.feeds[FEED], scene.consumers["app"]
    theirs = feed.price_id("NL*EXA*E1")
    assert await app.rows(PRICES) == []
    assert (await scene.backend.push_tariff(adhoc(0.77, id=theirs))).ok
    for _ in range(2):
        (price,) = await app.rows(PRICES)
        assert price["elements"][0]["price_components"][0]["price_excl_vat"] == 0.77
        feed.update()
        await imported(scene)


async def test_audiences_of_a_feed(world: Begin) -> None:
    """Each reader sees the products that are for its audiences, also in a row of the older shape; products that are
    for nobody known are nobody's."""
    readers = {each: Consumer(f"{each}-token", (each,), redistribute=True) for each in AUDIENCES}
    scene = await world(feeds={FEED: source()}, consumers=readers)
    feed = scene.feeds[FEED]
    feed.edit(
        "prices",
        feed.row_of(feed.price_id(0, "adhoc")),
        lambda row: row | {"product": row["product"] | {"type": "other"}},
    )  # type: ignore[operator]
    await imported(scene)
    words = {"wholesale": set(), "adhoc": {"adhoc"}, "msp_retail": {"msp"}, "cpo_subscription": {"cpo_subscription"}}
    for audience, reader in readers.items():
        rows = await reader.rows(PRICES)
        assert {row["product"]["type"] for row in rows} == words[audience]
        shown = set(ids(rows))
        for row in await reader.rows(CONNECTOR_PRICES):
            assert row["pricing_ids"]
            assert shown.issuperset(row["pricing_ids"])
        old = set(ids(await reader.rows(OLD_PRICES)))
        places = await reader.rows(LOCATIONS)
        assert {id for place in places for id in named(place)} - {None} == old
        assert len(places) == feed.counts["locations"]


async def test_locations_of_the_newer_version_are_served_in_the_older_one(world: Begin) -> None:
    """The same as if the feed had been read in the older one, with the fields that nobody knows."""
    scene = await market(world, ACME, read=source(version="2.2"))
    await imported(scene)
    feed = scene.feeds[FEED]
    served = {row["id"]: row for row in await scene.consumers["all"].rows(LOCATIONS)}
    for number in range(feed.counts["locations"]):
        told = feed.row("locations", number, "2.1.1")
        row = deepcopy(served[told["id"]])
        for place in (told, row):
            for evse in place["evses"]:
                for plug in evse["connectors"]:
                    plug.pop("pricing_id", None)
        assert row == told


async def test_a_location_that_a_feed_doesnt_publish_isnt_shown(world: Begin) -> None:
    """Nor is a connector of it."""
    scene = await market(world, ACME, read=source(version="2.2"))
    feed, reader = scene.feeds[FEED], scene.consumers["all"]
    feed.edit("locations", 2, lambda row: row | {"publish": False})  # type: ignore[operator]
    feed.edit("locations", 3, lambda row: row | {"publish": "false"})  # type: ignore[operator]
    await imported(scene)
    hidden = {feed.location_id(2), feed.location_id(3)}
    assert hidden.isdisjoint(ids(await reader.rows(LOCATIONS)))
    assert hidden.isdisjoint(row["location_id"] for row in await reader.rows(CONNECTOR_PRICES))


async def test_a_location_that_was_merged_is_removed_q22(world: Begin) -> None:
    """Under its old id it says so on each EVSE, without prices; under the new one it is as it was."""
    scene = await market(world, ACME)
    await imported(scene)
    feed, reader = scene.feeds[FEED], scene.consumers["all"]
    before = feed.location_id(2)
    after = feed.move(2)
    await imported(scene)
    places = {row["id"]: row for row in await reader.rows(LOCATIONS)}
    assert {evse["status"] for evse in places[before]["evses"]} == {"REMOVED"}
    assert set(named(places[before])) == {None}
    assert "REMOVED" not in {evse["status"] for evse in places[after]["evses"]}
    assert None not in named(places[after])
    assert before not in {row["location_id"] for row in await reader.rows(CONNECTOR_PRICES)}


async def test_of_two_locations_with_one_id_ours_is_served(world: Begin) -> None:
    """A reader couldn't tell their connectors apart: the feed's isn't there, nor are its connectors."""
    scene = await market(world, ACME)
    feed, reader = scene.feeds[FEED], scene.consumers["all"]
    theirs = feed.location_id(2)
    assert (await scene.backend.push_location(square() | {"id": theirs.upper(), "evses": square()["evses"][:1]})).ok
    await imported(scene)
    places = {row["id"].lower(): row for row in await reader.rows(LOCATIONS)}
    assert places[theirs]["name"] == "Neude"
    rows = [row for row in await reader.rows(CONNECTOR_PRICES) if row["location_id"].lower() == theirs]
    assert [(row["evse_uid"], row["connector_id"]) for row in rows] == [("U1", "1"), ("U1", "2")]


async def test_of_two_operators_of_ours_with_one_location_id_one_is_served(world: Begin) -> None:
    """A reader couldn't tell their connectors apart: those of the other aren't there either."""
    reader = Consumer("reader-token")
    other = Cast(name="other", role="CPO", country="NL", party="TWO", business="Two", start="none")
    scene = await world(backends=(CORE, other), consumers={"reader": reader})
    theirs = square(tariffs=("SPONTAN",)) | {"party_id": "TWO"}
    for evse in theirs["evses"]:
        evse |= {"uid": f"X{evse['uid']}", "evse_id": evse["evse_id"].replace("EXA", "TWO")}
    for backend, tariff, place in (
        (scene.backends["backend"], adhoc(), square(tariffs=("SPONTAN",))),
        (scene.backends["other"], adhoc(0.7, party_id="TWO"), theirs),
    ):
        assert (await backend.push_tariff(tariff)).ok
        assert (await backend.push_location(place)).ok
    (place,) = await reader.rows(LOCATIONS)
    uids = {evse["uid"] for evse in place["evses"]}
    assert {row["evse_uid"] for row in await reader.rows(CONNECTOR_PRICES)} == uids


async def test_odd_rows_of_a_feed_are_served_as_they_are(world: Begin) -> None:
    """EVSEs that are none, numbers for ids, fields that nobody knows: nothing breaks, and nothing is made up."""
    scene = await market(world, ACME)
    feed, reader = scene.feeds[FEED], scene.consumers["all"]
    oddities = {
        "evses": [7, {"uid": 12, "connectors": [None, {"id": 3}, "x"]}, {"status": "AVAILABLE"}],
        "x": {"y": [1]},
    }
    feed.edit("locations", 2, lambda row: row | oddities)  # type: ignore[operator]
    feed.edit("locations", 3, lambda row: {"id": row["id"]})  # type: ignore[index]
    assert (await scene.gateway.prices.read(FEED)).refused is None
    places = {row["id"]: row for row in await reader.rows(LOCATIONS)}
    assert places[feed.location_id(2)].items() >= oddities.items()
    assert places[feed.location_id(3)] == {"id": feed.location_id(3)}


# When lists are cut ---------------------------------------------------------------------------------------------------


async def test_lists_count_for_a_while(world: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment: what changes meanwhile is served afterwards; a new run of a feed that is shown counts at once."""
    scene = await market(world, ACME)
    await imported(scene)
    reader, app = scene.consumers["all"], scene.consumers["app"]
    monkeypatch.setattr("gateway.catalogue.shelves.COUNTS_S", 3600.0)
    first, of_app = await reader.rows(PRICES), await app.rows(PRICES)
    assert (await scene.backend.push_tariff(adhoc())).ok
    assert await reader.rows(PRICES) == first
    scene.feeds[FEED].update()
    await imported(scene)
    assert len(await reader.rows(PRICES)) == len(first) + 1
    assert await app.rows(PRICES) == of_app
    monkeypatch.setattr("gateway.catalogue.shelves.COUNTS_S", 0.0)
    assert await app.rows(PRICES) != of_app


async def test_who_asks_at_once_is_served_from_one_cutting(world: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks while lists are being cut waits for them."""
    _, reader = await shop(world)
    monkeypatch.setattr("gateway.catalogue.shelves.COUNTS_S", 3600.0)
    before = REGISTRY.get_sample_value("ocpi_gateway_price_cutting_seconds_count") or 0
    pages = await asyncio.gather(*(reader.read(path) for path in PATHS for _ in range(5)))
    assert all(page.ok for page in pages)
    assert REGISTRY.get_sample_value("ocpi_gateway_price_cutting_seconds_count") == before + 1


async def test_nobody_waits_for_the_lists_of_another_view(world: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long list of a feed takes its time; what an app without a licence sees is there at once."""
    scene = await market(world, ACME)
    await imported(scene)
    begun, go_on = asyncio.Event(), asyncio.Event()
    whole = Store.all_prices

    async def slowly(store: Store, feed: str, run: str) -> AsyncIterator[Any]:
        begun.set()
        await go_on.wait()
        async for page in whole(store, feed, run):
            yield page

    monkeypatch.setattr(Store, "all_prices", slowly)
    long = asyncio.create_task(scene.consumers["all"].rows(PRICES))
    async with asyncio.timeout(5):
        await begun.wait()
        assert await scene.consumers["app"].rows(LOCATIONS)
    assert not long.done()
    go_on.set()
    assert len(await long) > 1


async def test_lists_that_stay_the_same_arent_written_again(world: Begin) -> None:
    """Cut anew and equal, they lie where they lay; of those that have changed, only these are written."""
    scene, reader = await shop(world)
    store = scene.gateway.store

    async def shelves() -> set[bytes]:
        await asyncio.gather(*(reader.read(path) for path in PATHS))
        return {key async for key in store.client.scan_iter(match=f"{store.keys.prefix}:shelf:*")}

    first = await shelves()
    assert len(first) == 4
    assert await shelves() == first
    assert (await scene.backend.push_location(square(tariffs=("STANDARD", "SPONTAN")) | {"name": "Neude 2"})).ok
    assert len(await shelves() - first) == 1


# Who is let in --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Token", "Bearer", "token", "BEARER"])
async def test_both_schemes_are_understood_q18(world: Begin, scheme: str) -> None:
    """In any case; the token as it is, and in no other form."""
    scene, _ = await shop(world)
    assert (await get(scene, PRICES, {"Authorization": f"{scheme} reader-token"})).http == 200
    encoded = base64.b64encode(b"reader-token").decode()
    for token in (encoded, " reader-token", "READER-TOKEN", ""):
        assert (await get(scene, PRICES, {"Authorization": f"{scheme} {token}"})).outcome == (401, 2001)


@frozen
class Door:
    """A path, and whether it is of the newer shape."""

    path: str
    new: bool


DOORS = (
    Door(PRICES, True), Door(f"{PRICES}/x", True), Door(CONNECTOR_PRICES, True), Door("/eco-movement", True),
    Door("/eco-movement/nothing", True), Door("/eco-movement/2.2.1/prices", True), Door(OLD_PRICES, False),
    Door(f"{OLD_PRICES}/x", False), Door(LOCATIONS, False), Door("/eco-movement/2.1.1", False),
)  # fmt: skip


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.path)
async def test_a_stranger_hears_nothing_but_401(world: Begin, door: Door) -> None:
    """On every path, in the envelope of its shape; and so does everybody whose token opens another door."""
    readers = {"reader": Consumer("reader-token")}
    scene = await world(ACME, VOLT, consumers=readers)
    tokens = [peer.counterpart.token for peer in scene.peers] + ["acme-token-a", "nobody", "feed-in", "eco-key"]
    for value in (None, "", "Token", "Basic cmVhZGVyOg==", *(f"Token {token}" for token in tokens)):
        answer = await get(scene, door.path, {} if value is None else {"Authorization": value})
        assert answer.outcome == (401, 2001)
        assert answer.headers["www-authenticate"] == "Token"
        assert answer.headers["server"] == "ocpi-gateway"
        said = {"status_code": 2001, "status_message": "no valid credentials token"} | (
            {"status": 2001} if door.new else {}
        )
        assert {name: word for name, word in answer.envelope.items() if name != "timestamp"} == said


async def test_a_doubled_header_is_refused(world: Begin) -> None:
    """400: which of two tokens counts would be anybody's guess."""
    scene, _ = await shop(world)
    head = b"GET /eco-movement/prices HTTP/1.0\r\n" + b"Authorization: Token reader-token\r\n" * 2 + b"\r\n"
    answer = await answer_to(scene, head)
    assert answer.outcome == (400, 2001)
    assert answer.envelope["status"] == 2001


async def test_a_readers_token_opens_no_other_door(world: Begin) -> None:
    """Under /ocpi it is nobody's, whatever it asks for and however it is spelled."""
    scene, _ = await shop(world)
    encoded = base64.b64encode(b"reader-token").decode()
    for path in ("/ocpi/versions", "/ocpi/2.1.1", "/ocpi/2.2.1/credentials", "/ocpi/2.2.1/sender/tariffs"):
        for value in ("Token reader-token", f"Token {encoded}", "Bearer reader-token"):
            assert (await get(scene, path, {"Authorization": value})).outcome == (401, 2001)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"])
async def test_prices_can_be_read_and_nothing_else(world: Begin, method: str) -> None:
    """405, and what is allowed."""
    scene, _ = await shop(world)
    for path in (*PATHS, f"{PRICES}/x"):
        answer = await get(scene, path, {"Authorization": "Token reader-token", "Content-Length": "0"}, method)
        assert (answer.http, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(
    "path", ["", "/", "/prices/connector_prices/x", "/prices/a/b", "/2.2.1/prices", "/2.1.1", "/2.1.1/tariffs",
             "/2.1.1/locations/SQUARE", "/prices/..", "/prices//x", "/prices/%2e%2e", "/prices/%00",
             "/2.1.1/prices/%ff"],
)  # fmt: skip
async def test_nothing_else_is_served(world: Begin, path: str) -> None:
    """404 with an envelope, be the path hostile or just wrong."""
    scene, _ = await shop(world)
    answer = await get(scene, f"/eco-movement{path}", {"Authorization": "Token reader-token"})
    assert answer.outcome == (404, 2001)


# Redis, and what is told ----------------------------------------------------------------------------------------------


async def test_without_redis_it_is_3000(world: Begin) -> None:
    """HTTP 200 with 3000 in the envelope of the shape; strangers still hear 401; and it comes back by itself."""
    scene, reader = await shop(world)
    rows = await reader.rows(PRICES)
    store = scene.gateway.store
    nowhere = Store.connect(f"redis://127.0.0.1:{free_ports(1)[0]}")
    there, store.client = store.client, nowhere.client
    for path in (*PATHS, f"{PRICES}/x"):
        page = await reader.read(path)
        assert (page.http, page.status_code) == (200, 3000)
    assert (await evolve(reader, token="nobody").read(PRICES)).http == 401
    store.client = there
    assert await reader.rows(PRICES) == rows
    await nowhere.aclose()


async def test_what_operators_are_told(world: Begin) -> None:
    """One line for each request, with who and what and the correlation id, and a metric; no line has a token."""
    scene, reader = await shop(world)

    def counted(endpoint: str, status: str) -> float:
        labels = {"partner": "reader", "endpoint": endpoint, "status": status}
        return REGISTRY.get_sample_value("ocpi_gateway_price_requests_total", labels) or 0.0

    before = counted("prices", "1000"), counted("prices/{id}", "2001"), counted("none", "2001")
    with capture_logs() as logs:
        assert (await reader.read(PRICES)).ok
        await reader.read(f"{PRICES}/nobody")
        await reader.read("/eco-movement/elsewhere")
        answer = await get(scene, PRICES, {"Authorization": "Token reader-token", "X-Correlation-ID": "mine"})
    assert answer.headers["x-correlation-id"] == "mine"
    told = [(line["event"], line["endpoint"], line["status"]) for line in logs if line.get("partner") == "reader"]
    assert told == [
        ("prices.served", "prices", 1000), ("request.refused", "prices/{id}", 2001), ("request.refused", "none", 2001),
        ("prices.served", "prices", 1000),
    ]  # fmt: skip
    after = counted("prices", "1000"), counted("prices/{id}", "2001"), counted("none", "2001")
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 1, 1]
    assert "reader-token" not in str(logs)
