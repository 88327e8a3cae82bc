"""The simulated feed, read over real sockets: the evidence that what an import is tried against is what was meant."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from attrs import frozen
from yarl import URL

from gateway.demo.feed import FLAWS, PRODUCTS, Feed, Habits, Own
from gateway.demo.peers import Peer

KEY = "c29tZSBrZXk="
OURS = (Own("NL*EXA*E0001*1", ("1", "2")), Own("NL*EXA*E0001*2"), Own("NL*EXA*E0002*1"))


@frozen
class Read:
    """An answer that was read to its end."""

    http: int
    headers: dict[str, str]
    body: Any

    @property
    def data(self) -> Any:
        return self.body["data"]

    @property
    def ids(self) -> list[str]:
        return [row["id"] for row in self.data]

    @property
    def next(self) -> str:
        """Where its Link leads, however it is written."""
        found = re.fullmatch('<([^>]+)>; rel=["”]?next["”]?', self.headers.get("Link", ""))
        assert found
        return found[1]


@asynccontextmanager
async def reader(feed: Feed) -> AsyncIterator[aiohttp.ClientSession]:
    """A running feed, and a session with its key."""
    async with feed, aiohttp.ClientSession(headers={"Authorization": f"Token {KEY}"}) as session:
        yield session


async def read(session: aiohttp.ClientSession, url: str, **query: object) -> Read:
    asked = URL(url).update_query({name: str(value) for name, value in query.items()})
    async with session.get(asked) as answer:
        raw = await answer.read()
        body = json.loads(raw) if answer.content_type == "application/json" else raw
        return Read(answer.status, dict(answer.headers), body)


async def read_all(session: aiohttp.ClientSession, url: str, **query: object) -> list[Any]:
    """Every page, by its Links."""
    page = await read(session, url, **query)
    rows = list(page.data)
    while "Link" in page.headers:
        page = await read(session, page.next)
        rows += page.data
    return rows


def components(row: Any) -> list[Any]:
    """All components of a price in the new shape."""
    return [component for element in row["elements"] for component in element["price_components"]]


# What there is


@pytest.mark.parametrize("version", ["2.1.1", "2.2"])
async def test_locations_of_both_versions(version: Any) -> None:
    """Both have the feed's own fields; power is in kilowatts in one and in watts in the other."""
    async with reader(feed := Feed(KEY, own=OURS)) as session:
        answer = await read(session, feed.locations_url(version))
        first = answer.data[0]
        connector = first["evses"][0]["connectors"][0]
        assert (answer.body["status_code"], answer.body["status_message"]) == (1000, "Success")
        assert not answer.body["timestamp"].endswith("Z")
        assert (first["id"], first["country"]) == (feed.location_id(0), "NLD")
        assert (first["operator"]["ema_id"], len(first["id"])) == (["NL*EXA"], 36)
        assert ("type" in first, "parking_type" in first) == ((True, False) if version == "2.1.1" else (False, True))
        watts = connector["max_power"] * 1000 if version == "2.1.1" else connector["max_electric_power"]
        assert (connector["id"], watts) == ("1", 150_000)
        assert connector["pricing_id"] == feed.old_price_id(0)


async def test_our_own_among_the_others() -> None:
    """Our EVSEs are there with and without separators; uids repeat over locations, ids of connectors over EVSEs."""
    async with reader(feed := Feed(KEY, connectors=40, own=OURS)) as session:
        rows = await read_all(session, feed.locations_url())
        evses = [evse for row in rows for evse in row["evses"]]
        spelled = ["NL*EXA*E0001*1", "NLEXAE00012", "NL*EXA*E0002*1"]
        assert [evse["evse_id"] for evse in evses[:3]] == spelled
        assert [feed.location(evse_id) for evse_id in ("NLEXAE00011", "NL*EXA*E0001*2", "NL*EXA*E0002*1")] == [0, 0, 1]
        assert len(evses) > len({evse["uid"] for evse in evses})
        assert len({row["id"] for row in rows}) == len(rows) == feed.counts["locations"]
        assert sum(len(evse["connectors"]) for evse in evses) == feed.counts["connector_prices"] == 40
        with pytest.raises(KeyError):
            feed.location("NL*EXA*E9999*1")


async def test_new_prices_join() -> None:
    """Connectors of the locations, connector prices and prices name each other, and nothing is left over."""
    async with reader(feed := Feed(KEY, own=OURS)) as session:
        locations = await read_all(session, feed.locations_url())
        links = await read_all(session, feed.connector_prices_url)
        prices = await read_all(session, feed.prices_url)
        places = {
            (row["id"], evse["uid"], connector["id"])
            for row in locations
            for evse in row["evses"]
            for connector in evse["connectors"]
        }
        assert {(link["location_id"], link["evse_uid"], link["connector_id"]) for link in links} == places
        assert {id for link in links for id in link["pricing_ids"]} == {price["id"] for price in prices}
        assert [price["id"] for price in prices[: len(PRODUCTS)]] == [
            feed.price_id("NL*EXA*E0001*1", product) for product in PRODUCTS
        ]
        assert {price["product"]["type"] for price in prices} == {"adhoc", "msp", "cpo_subscription"}
        assert prices[2]["product"]["subscription_fee_excl_vat"] == "4.9900"
        one = await read(session, f"{feed.prices_url}/{prices[3]['id']}")
        assert one.data == prices[3]


async def test_old_prices_join() -> None:
    """In the old shape a connector has one price, which holds all products; there are no kinds, and no restrictions."""
    async with reader(feed := Feed(KEY, own=OURS)) as session:
        locations = await read_all(session, feed.locations_url())
        prices = await read_all(session, feed.old_prices_url)
        named = {
            connector["pricing_id"] for row in locations for evse in row["evses"] for connector in evse["connectors"]
        }
        assert named == {price["id"] for price in prices}
        products = prices[0]["price_list"]
        assert [entry["product"]["name"] for entry in products] == ["Ad hoc", "Basic", "Plus", "Regular"]
        assert products[2]["product"]["subscription_fee_excl_vat"] == 4.99
        assert products[0]["elements"] == [
            {"type": "ENERGY", "price_excl_vat": 0.49, "vat": 21},
            {"type": "PARKING_TIME", "price_excl_vat": 6, "vat": 21},
        ]
        assert (await read(session, f"{feed.old_prices_url}/{prices[1]['id']}")).data == prices[1]


async def test_nothing_is_implausible_unless_asked_for() -> None:
    """Each price of a good day is within the bounds that a careful reader has."""
    async with reader(feed := Feed(KEY, connectors=500)) as session:
        prices = await read_all(session, feed.prices_url)
        kinds = {component["type"]: component for price in prices for component in components(price)}
        assert kinds.keys() == {"ENERGY", "FLAT", "PARKING_TIME", "TIME"}
        for price in prices:
            told = {component["type"]: component["price_excl_vat"] for component in components(price)}
            assert 0.01 <= told["ENERGY"] <= 3
            assert {"TIME", "PARKING_TIME"} - told.keys()
            assert all(component.get("vat", 0) in (0, 21) for component in components(price))


async def test_25_000_connectors() -> None:
    """As many as asked for, the last page as quick as the first, and the same in every feed of that size."""
    async with reader(feed := Feed(KEY, connectors=25_000, own=OURS)) as session:
        assert feed.counts == {"locations": 5002, "prices": 20_008, "connector_prices": 25_000}
        first = await read(session, feed.connector_prices_url)
        assert (first.body["total"], first.body["limit"], len(first.data)) == (25_000, 10_000, 10_000)
        last = await read(session, feed.connector_prices_url, offset=24_999)
        assert len(last.data) == 1
        assert last.data == [Feed(KEY, connectors=25_000, own=OURS).row("connector_prices", 24_999)]
        assert len((await read(session, feed.prices_url, offset=20_000)).data) == 8
        assert len((await read(session, feed.locations_url(), offset=5000)).data) == 2


# Who may read, and what is noted


@pytest.mark.parametrize(
    ("scheme", "header", "http"),
    [
        (None, f"Token {KEY}", 200),
        (None, f"Bearer {KEY}", 200),
        ("Bearer", f"Token {KEY}", 401),
        ("Token", f"Token {KEY}", 200),
        (None, "Token other", 401),
        (None, KEY, 401),
    ],
)
async def test_keys(scheme: Any, header: str, http: int) -> None:
    """The key opens it in the scheme that it wants, or in either; each request is noted with what it presented."""
    async with Feed(KEY, scheme=scheme) as feed, aiohttp.ClientSession(headers={"Authorization": header}) as session:
        assert (await read(session, feed.prices_url, limit=1)).http == http
        noted = await feed.wait_for("prices")
        assert (noted.path, dict(noted.query)) == ("/prices", {"limit": "1"})
        assert (noted.headers["authorization"], noted.http) == (header, http)


async def test_unknown_ids_and_paths() -> None:
    """An id of nobody's is 404 with 2001, and so is one that was; a path of nobody's is 404; only GET is answered."""
    async with reader(feed := Feed(KEY)) as session:
        gone = feed.price_id(0)
        feed.update()
        for id in (gone, "nonsense", "ffffffff00"):
            answer = await read(session, f"{feed.prices_url}/{id}")
            assert (answer.http, answer.body["status"]) == (404, 2001)
        assert (await read(session, f"{feed.old_prices_url}/{gone}")).body["status_code"] == 2001
        assert (await read(session, f"{feed.prices_url}/1/2")).http == 404
        assert (await read(session, f"{feed.locations_url()}/{feed.location_id(3)}")).data["id"] == feed.location_id(3)
        async with session.post(feed.prices_url) as answer:
            assert answer.status == 405


# Pages


@pytest.mark.parametrize("style", ["plain", "typographic", "unquoted", "last_record"])
async def test_links_lead_through_all(style: Any) -> None:
    """By Links, however they are written, every row comes once."""
    async with reader(feed := Feed(KEY, own=OURS)) as session:
        feed.paging.link_style = style
        for url in (feed.prices_url, feed.connector_prices_url, feed.old_prices_url, feed.locations_url("2.2")):
            whole = (await read(session, url)).data
            assert len(whole) > 7
            assert await read_all(session, url, limit=7) == whole


async def test_cursors_and_offsets() -> None:
    """Without Links the id of the last row, or counting, leads on; a cursor goes on although its id is gone."""
    async with reader(feed := Feed(KEY)) as session:
        feed.paging.link_style = "none"
        whole = (await read(session, feed.prices_url)).ids
        first = await read(session, feed.prices_url, limit=5)
        assert (first.ids, "Link" in first.headers) == (whole[:5], False)
        assert (await read(session, feed.prices_url, limit=5, offset=5)).ids == whole[5:10]
        assert (await read(session, feed.prices_url, limit=5, last_record=first.ids[-1])).ids == whole[5:10]
        feed.update(first.ids[-1])
        assert (await read(session, feed.prices_url, limit=5, last_record=first.ids[-1])).ids == whole[5:10]
        assert (await read(session, feed.prices_url, last_record=whole[-1])).data == []


async def test_cursors_are_understood_on_new_endpoints_only() -> None:
    """Elsewhere, or when they are switched off, they are ignored as any unknown parameter is."""
    async with reader(feed := Feed(KEY)) as session:
        old = (await read(session, feed.old_prices_url, limit=2)).ids
        assert (await read(session, feed.old_prices_url, limit=2, last_record=old[-1])).ids == old
        feed.paging.cursors = False
        new = (await read(session, feed.prices_url, limit=2)).ids
        assert (await read(session, feed.prices_url, limit=2, last_record=new[-1])).ids == new


async def test_limits() -> None:
    """1000 on the OCPI tree and 10,000 on the new endpoints, told as such; what means nothing is 400."""
    async with reader(feed := Feed(KEY, connectors=12_000)) as session:
        old = await read(session, feed.old_prices_url, limit=5000)
        assert (len(old.data), old.headers["X-Limit"], old.headers["X-Total-Count"]) == (1000, "1000", "2400")
        new = await read(session, feed.connector_prices_url, limit=20_000)
        assert (len(new.data), new.body["limit"], new.body["total"]) == (10_000, 10_000, 12_000)
        assert parse_qs(urlsplit(new.next).query) == {"limit": ["10000"], "offset": ["10000"]}
        feed.paging.page_limit = 3
        assert len((await read(session, feed.prices_url)).data) == 3
        for query in ({"limit": 0}, {"limit": "many"}, {"offset": -1}, {"last_record": "nonsense"}):
            assert (await read(session, feed.prices_url, **query)).http == 400
        assert (await read(session, feed.locations_url(), date_from="yesterday")).http == 400


async def test_links_that_lead_astray() -> None:
    """Back to the same page, to another host, or without one; and totals that are none."""
    async with reader(feed := Feed(KEY)) as session:
        feed.paging.link_style = "loop"
        asked = URL(feed.prices_url).update_query(limit="4", offset="4")
        assert parse_qs(urlsplit((await read(session, str(asked))).next).query)["offset"] == ["4"]
        feed.paging.link_style = "elsewhere"
        assert (await read(session, feed.prices_url, limit=4)).next.startswith("https://elsewhere.example/prices?")
        feed.paging.link_style = "relative"
        assert (await read(session, feed.prices_url, limit=4)).next == "/prices?limit=4&offset=4"
        feed.paging.total = 3
        assert (await read(session, feed.prices_url)).body["total"] == 3
        assert (await read(session, feed.locations_url())).headers["X-Total-Count"] == "3"


async def test_delta_of_locations() -> None:
    """From a date on only what changed since; a date without a zone is UTC."""
    async with reader(feed := Feed(KEY, own=OURS)) as session:
        feed.set_status("NL*EXA*E0002*1", "CHARGING", datetime(2026, 3, 1, tzinfo=UTC))
        changed = await read(session, feed.locations_url(), date_from="2026-02-01T00:00:00")
        assert changed.ids == [feed.location_id("NL*EXA*E0002*1")]
        assert changed.data[0]["evses"][0]["status"] == "CHARGING"
        assert (await read(session, feed.locations_url(), date_from="2026-03-02T00:00:00Z")).data == []
        before = await read(session, feed.locations_url(), date_to="2026-02-01T00:00:00Z")
        assert len(before.data) == feed.counts["locations"] - 1


# What happens to it


async def test_ids_change_with_every_update() -> None:
    """A price that changes gets a new id, in both shapes and on its connectors; the others keep theirs."""
    async with reader(feed := Feed(KEY)) as session:
        before, old = (await read(session, feed.prices_url)).data, feed.old_price_id(0)
        feed.update(feed.price_id(0, "msp"))
        after = (await read(session, feed.prices_url)).data
        assert [number for number, (a, b) in enumerate(zip(before, after, strict=True)) if a != b] == [1]
        assert after[1]["id"] == feed.price_id(0, "msp") != before[1]["id"]
        assert components(after[1])[0]["price_excl_vat"] == 0.58
        assert feed.old_price_id(0) != old
        assert after[1]["id"] in (await read(session, feed.connector_prices_url)).data[0]["pricing_ids"]
        feed.update(dearer=Decimal(0))
        renewed = (await read(session, feed.prices_url)).data
        assert not {row["id"] for row in renewed} & {row["id"] for row in after}
        assert [row["elements"] for row in renewed] == [row["elements"] for row in after]


async def test_a_merged_location() -> None:
    """It has another id from then on, in the locations and the connector prices."""
    async with reader(feed := Feed(KEY, own=OURS)) as session:
        before = feed.location_id(0)
        after = feed.move("NL*EXA*E0001*1")
        assert after != before
        assert (await read(session, feed.locations_url())).ids[0] == after
        assert (await read(session, feed.connector_prices_url)).data[0]["location_id"] == after


# Bad days


@pytest.mark.parametrize(
    ("how", "http", "status"),
    [("error", 500, 3000), ("busy", 429, 2000), ("refused", 200, 3000), ("no_data", 200, 1000)],
)
async def test_a_page_that_is_refused(how: Any, http: int, status: int) -> None:
    """Only the page that was meant goes wrong, as often as was said, and without any data."""
    async with reader(feed := Feed(KEY)) as session:
        feed.fail("prices", how, page=2, times=1)
        first = await read(session, feed.prices_url, limit=5)
        second = await read(session, first.next)
        assert (second.http, second.body["status"], "data" in second.body) == (http, status, False)
        assert len((await read(session, first.next)).data) == 5


async def test_a_page_that_is_none() -> None:
    """No JSON, half of it, or HTML, with HTTP 200 each."""
    async with reader(feed := Feed(KEY)) as session:
        for how in ("garbage", "half"):
            feed.fail("locations", how, times=1)
            async with session.get(feed.locations_url()) as answer:
                assert answer.status == 200
                with pytest.raises(ValueError, match=r"."):
                    json.loads(await answer.read())
        feed.fail("connector_prices", "html", times=1)
        page = await read(session, feed.connector_prices_url)
        assert (page.http, page.headers["Content-Type"], b"<html>" in page.body) == (200, "text/html", True)


async def test_a_page_that_breaks_off() -> None:
    """The connection is cut within the page, or there is never an answer; a feed may be gone, and come back."""
    async with reader(feed := Feed(KEY)) as session:
        feed.fail("prices", "cut")
        with pytest.raises(aiohttp.ClientError):
            await read(session, feed.prices_url)
        feed.mend()
        feed.fail("prices", "silence")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await read(session, feed.prices_url)
        feed.mend()
        await feed.down()
        with pytest.raises(aiohttp.ClientError):
            await read(session, feed.prices_url)
        await feed.up()
        assert (await read(session, feed.prices_url)).http == 200


async def test_ids_that_change_while_it_is_read() -> None:
    """Something may happen between two pages: the second is another edition than the first."""
    async with reader(feed := Feed(KEY)) as session:
        feed.meanwhile("prices", feed.update, page=2)
        first = await read(session, feed.prices_url, limit=4)
        named = (await read(session, feed.connector_prices_url)).data[0]["pricing_ids"]
        assert named == first.ids
        second = await read(session, first.next)
        assert second.data[0]["last_updated"] > first.data[0]["last_updated"]
        assert (await read(session, feed.connector_prices_url)).data[0]["pricing_ids"] != named


async def test_empty_and_shrunken() -> None:
    """All lists shrink alike and still fit together, or one of them is empty alone."""
    async with reader(feed := Feed(KEY, connectors=50)) as session:
        feed.shrink(0.5)
        names = {id for row in (await read(session, feed.connector_prices_url)).data for id in row["pricing_ids"]}
        assert names == {*(await read(session, feed.prices_url)).ids}
        assert len((await read(session, feed.locations_url())).data) == 5
        feed.mend()
        feed.shrink(0, "prices")
        assert ((await read(session, feed.prices_url)).data, (await read(session, feed.prices_url)).body["total"]) == (
            [],
            0,
        )
        assert len((await read(session, feed.connector_prices_url)).data) == 50


async def test_dangling_ids() -> None:
    """The share of connectors that was said names prices that nobody has, in both shapes."""
    async with reader(feed := Feed(KEY, connectors=100)) as session:
        feed.dangle(0.03)
        known = {*(await read(session, feed.prices_url)).ids}
        links = (await read(session, feed.connector_prices_url)).data
        assert sum(not known & {*link["pricing_ids"]} for link in links) == 3
        old = {*(await read(session, feed.old_prices_url)).ids}
        rows = (await read(session, feed.locations_url())).data
        named = [connector["pricing_id"] for row in rows for evse in row["evses"] for connector in evse["connectors"]]
        assert sum(id not in old for id in named) == 3


async def test_a_price_that_no_connector_has() -> None:
    """It is listed, and nobody names it."""
    async with reader(feed := Feed(KEY)) as session:
        alone = feed.price_id(2, "msp")
        feed.unlist(alone)
        assert alone in (await read(session, feed.prices_url)).ids
        links = (await read(session, feed.connector_prices_url)).data
        assert not [link for link in links if alone in link["pricing_ids"]]


WRONG = {
    "energy_dear": lambda row: components(row)[0]["price_excl_vat"] > 3,
    "energy_cheap": lambda row: 0 < components(row)[0]["price_excl_vat"] < 0.01,
    "free": lambda row: components(row)[0]["price_excl_vat"] == 0,
    "negative": lambda row: components(row)[0]["price_excl_vat"] < 0,
    "time_per_minute": lambda row: (
        components(row)[-1]["type"] == "TIME" and components(row)[-1]["price_excl_vat"] < 0.95
    ),
    "time_dear": lambda row: components(row)[-1]["type"] == "TIME" and components(row)[-1]["price_excl_vat"] > 60,
    "parking_per_minute": lambda row: [c["price_excl_vat"] for c in components(row) if "PARK" in c["type"]] == [0.1],
    "parking_dear": lambda row: components(row)[-1]["price_excl_vat"] > 60,
    "parking_only": lambda row: [component["type"] for component in components(row)] == ["PARKING_TIME"],
    "time_and_parking": lambda row: [c["type"] for c in components(row)] == ["ENERGY", "TIME", "PARKING_TIME"],
    "flat_dear": lambda row: components(row)[-1]["price_excl_vat"] > 50,
    "vat_fraction": lambda row: 0 < components(row)[0]["vat"] < 1,
    "step_zero": lambda row: components(row)[0]["step_size"] == 0,
    "twice": lambda row: [component["type"] for component in components(row)] == ["ENERGY", "ENERGY"],
    "no_number": lambda row: components(row)[0]["price_excl_vat"] == "on request",
    "no_elements": lambda row: row["elements"] == [],
    "no_id": lambda row: "id" not in row,
    "long_id": lambda row: len(row["id"]) > 36,
    "currency": lambda row: row["product"]["currency"] == "EURO",
    "other_kind": lambda row: row["product"]["type"] == "other",
    "no_kind": lambda row: "type" not in row["product"],
    "odd_period": lambda row: row["product"]["subscription_type"] == "FIXED",
}


@pytest.mark.parametrize("flaw", FLAWS)
async def test_what_may_be_wrong_with_a_price(flaw: str) -> None:
    """It is wrong in the way that was asked for, has a new id, and is alone in it, until it is mended."""
    async with reader(feed := Feed(KEY)) as session:
        right = (await read(session, feed.prices_url)).data
        spoiled = feed.spoil(feed.price_id(1, "adhoc"), flaw)
        wrong = (await read(session, feed.prices_url)).data
        number = feed.row_of(spoiled)
        assert WRONG[flaw](wrong[number])
        assert not WRONG[flaw](right[number])
        assert wrong[number].get("id", spoiled) == spoiled != right[number]["id"]
        assert [row for row in wrong if row not in right] == [wrong[number]]
        feed.mend()
        assert (await read(session, feed.prices_url)).data[number]["elements"] == right[number]["elements"]


async def test_habits_of_writing() -> None:
    """Numbers as text, lists as objects, lists within lists, restrictions in three ways."""
    async with reader(feed := Feed(KEY)) as session:
        feed.habits = Habits(numbers="text", list_name="pricelist", as_list=False, nested=True, restrictions="list")
        entry = (await read(session, feed.old_prices_url)).data[0]["pricelist"]
        assert entry["elements"][0][0] == {"type": "ENERGY", "price_excl_vat": "0.49", "vat": "21"}
        elements = (await read(session, feed.prices_url)).data[0]["elements"]
        assert [element.get("restrictions") for element in elements] == [
            [{"start_time": "22:00", "end_time": "06:00"}],
            None,
            [{"min_duration": 14400}],
        ]
        feed.habits = Habits(restrictions="nulls")
        element = (await read(session, feed.prices_url)).data[0]["elements"][1]
        assert element["restrictions"]["max_duration"] == 86400
        assert element["restrictions"]["day_of_week"] is None


async def test_unknown_fields_everywhere() -> None:
    """Every object of every answer has one; without them the answer is what it was."""

    def known(value: Any) -> Any:
        if isinstance(value, dict):
            assert value.pop("attribute_of_next_year")
            return {name: known(inner) for name, inner in value.items()}
        return [known(inner) for inner in value] if isinstance(value, list) else value

    async with reader(feed := Feed(KEY, own=OURS)) as session:
        urls = (feed.locations_url(), feed.locations_url("2.2"), feed.old_prices_url, feed.prices_url)
        for url in (*urls, feed.connector_prices_url):
            feed.habits = Habits()
            right = await read(session, url)
            feed.habits = Habits(strange=True)
            strange = await read(session, url)
            assert known(strange.body)["data"] == right.data


async def test_rows_of_any_kind() -> None:
    """A row may be told as whatever somebody makes of it."""
    async with reader(feed := Feed(KEY)) as session:
        feed.edit("prices", 3, lambda row: "gone")
        feed.edit("connector_prices", 0, lambda row: row | {"pricing_ids": None})
        assert (await read(session, feed.prices_url)).data[3] == "gone"
        assert (await read(session, feed.connector_prices_url)).data[0]["pricing_ids"] is None


# Statuses


async def test_statuses_are_pushed() -> None:
    """As party NL/ECO of a 2.1.1 CPO, to location and EVSE, with the time of the change or without."""
    async with (
        Peer("app", "2.1.1", "EMSP", "NL", "EXA", "Example", token_in="ours") as app,
        Feed(KEY, own=OURS) as feed,
    ):
        place = feed.location_id("NL*EXA*E0001*2"), feed.evse_uid("NL*EXA*E0001*2")
        at = datetime(2026, 3, 1, 12, tzinfo=UTC)
        await feed.push_status(app.who.base_url, "ours", *place, "CHARGING", at=at)
        await feed.push_status(app.who.base_url, "ours", *place, "AVAILABLE", dated=False)
        first, second = app.received
        assert first.path == second.path == f"/ocpi/2.1.1/emsp/locations/NL/ECO/{place[0]}/{place[1]}"
        assert first.headers["authorization"] == "Token ours"
        assert first.body == {"status": "CHARGING", "last_updated": "2026-03-01T12:00:00Z"}
        assert second.body == {"status": "AVAILABLE"}
        assert second.method == "PATCH"


def test_the_partner_file() -> None:
    """A file for reading it names its URLs, its key and the scheme, and nothing of the shape that isn't read."""
    feed = Feed(KEY, scheme="Bearer")
    new, old = feed.partner_file(), feed.partner_file("old", "2.1.1", feed="page_limit: 5", more="quirks: {}\n")
    assert "shape: new" in new
    assert feed.connector_prices_url in new
    assert f'token: {{value: "{KEY}"}}, scheme: Bearer, window: always}}' in new
    assert (feed.old_prices_url in old, "connector_prices" in old) == (True, False)
    assert old.endswith("page_limit: 5}\nquirks: {}\n")
