"""A feed is read: what comes of it on a good day, and that nothing comes of a bad one but a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from attrs import asdict
from prometheus_client import REGISTRY
from reader import BOTH, Clock, Reader, settings, staged
from structlog.testing import capture_logs

from gateway.app import PRICE_SHAPES
from gateway.demo.feed import PRODUCTS, Feed, Habits, Own
from gateway.model.attached import spot
from gateway.model.errors import NotDurable, NotFound
from gateway.model.message import Headers, HttpAnswer, HttpRequest
from gateway.prices import BeingRead
from gateway.prices.pages import Pages, Torn
from gateway.prices.states import MOST_FLAGS, Result, Tariffs
from gateway.store.redis import Store
from gateway.tasks import cancelled
from gateway.web.json import CODEC

EITHER_SHAPE = pytest.mark.parametrize("shape", BOTH)
Act = Callable[[Feed], object]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that fails is asked for again at once."""
    monkeypatch.setattr("gateway.prices.pages.PAUSES", (0.0, 0.0))


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"ocpi_gateway_price_{name}", {"partner": "eco", **labels}) or 0.0


def total(shape: str, feed: Feed) -> Mapping[Any, int]:
    """How many rows the lists of a shape have."""
    if shape == "new":
        return feed.counts
    return {"locations": feed.counts["locations"], "connector_prices": 0, "prices": feed.counts["locations"]}


# A good day -----------------------------------------------------------------------------------------------------------


@EITHER_SHAPE
async def test_all_lists_are_read_page_by_page(store: Store, shape: str) -> None:
    """Every row of every list is staged once, asked for in pages, and then the run is live."""
    async with Feed("eco-key", connectors=60) as feed:
        reader = Reader.of(store, feed, shape, page_limit=7)
        said: list[str] = []
        report = await reader.read(progress=said.append)
        assert report.refused is None
        rows = {"locations": report.rows.locations, "connector_prices": report.rows.connector_prices}
        assert rows | {"prices": report.rows.prices} == total(shape, feed)
        assert report.connectors == 60
        assert report.flagged == ()
        assert report.tariffs.new == feed.counts["prices"]
        assert (await reader.state()).run == report.run
        assert len(await reader.price_ids()) == report.rows.prices
        assert "locations: 7 of 12" in said
        assert {got.query["limit"] for got in feed.received} == {"7"}
        order = [got.module for got in feed.received]
        assert order == sorted(order, key=["locations", "connector_prices", "prices"].index)


@EITHER_SHAPE
@pytest.mark.parametrize("scheme", ["Token", "Bearer"])
async def test_the_key_goes_out_as_the_file_says_q18(store: Store, shape: str, scheme: str) -> None:
    """The scheme is the file's, the key goes as it is, and nothing of it stands in a log line."""
    async with Feed("eco-key", scheme=scheme) as feed:  # type: ignore[arg-type]
        reader = Reader.of(store, feed, shape, scheme=scheme)
        with capture_logs() as logs:
            await reader.good()
        assert {got.headers["authorization"] for got in feed.received} == {f"{scheme} eco-key"}
        assert "eco-key" not in str(logs)


async def test_limits_keep_to_what_each_list_allows(store: Store) -> None:
    """Locations and the older shape are never asked for more than a thousand rows, new prices for ten thousand."""
    async with Feed("eco-key") as feed:
        reader = Reader.of(store, feed, page_limit=10_000)
        await reader.good()
        asked = {got.module: got.query["limit"] for got in feed.received}
        assert asked == {"locations": "1000", "connector_prices": "10000", "prices": "10000"}
        reader.files[:] = [settings(feed, "old", page_limit=10_000)]
        await reader.good()
        assert {got.query["limit"] for got in feed.received if got.version == "2.1.1"} == {"1000"}


@pytest.mark.parametrize("style", ["plain", "none", "last_record", "relative", "typographic", "unquoted"])
async def test_pages_are_found_whichever_way_they_are_told(store: Store, style: str) -> None:
    """By Link in all its spellings, by the last record, by offset: the same rows."""
    async with Feed("eco-key") as feed:
        feed.paging.link_style = style  # type: ignore[assignment]
        report = await Reader.of(store, feed, page_limit=5).good()
        assert report.rows.prices == feed.counts["prices"]
        assert report.rows.connector_prices == feed.counts["connector_prices"]


@EITHER_SHAPE
async def test_unknown_fields_change_nothing_and_stay_in_the_rows(store: Store, shape: str) -> None:
    """With fields at every depth that nobody knows, the same prices are read; what is kept of the rows has them."""
    async with Feed("eco-key") as feed:
        reader = Reader.of(store, feed, shape)
        plain = await reader.good()
        before = {id: await tariffs(reader, id) for id in await reader.price_ids()}
        feed.habits = Habits(strange=True)
        strange = await reader.good()
        assert (strange.rows, strange.connectors, strange.flagged) == (plain.rows, plain.connectors, plain.flagged)
        assert strange.tariffs.kept == plain.tariffs.new
        assert {id: await tariffs(reader, id) for id in await reader.price_ids()} == before
        live = (await reader.state()).run
        (row,) = await store.locations("eco", live, [feed.location_id(0)])
        assert row is not None
        assert CODEC.loads(row) == feed.row("locations", 0)


async def tariffs(reader: Reader, price_id: str) -> list[Any]:
    """The tariffs of a price of the live run, whenever they were updated."""
    (prices,) = await reader.store.prices("eco", (await reader.state()).run, [price_id])
    return [{**priced.tariff, "last_updated": None} for priced in prices]


@EITHER_SHAPE
async def test_ids_that_change_are_new_tariffs_and_retired_ones_q14(store: Store, shape: str) -> None:
    """All prices have new ids: as many new tariffs as retired ones, none kept; the same feed again keeps all."""
    async with Feed("eco-key") as feed:
        reader = Reader.of(store, feed, shape)
        first = await reader.good()
        again = await reader.good()
        assert (again.tariffs.new, again.tariffs.kept, again.tariffs.retired) == (0, first.tariffs.new, 0)
        ids = await reader.price_ids()
        feed.update()
        report = await reader.good()
        assert (report.tariffs.new, report.tariffs.kept, report.tariffs.retired) == (
            first.tariffs.new,
            0,
            again.tariffs.all,
        )
        assert ids.isdisjoint(await reader.price_ids())


async def test_one_price_that_changes_is_one_tariff_more_and_one_less(store: Store) -> None:
    """The others are kept."""
    async with Feed("eco-key") as feed:
        reader = Reader.of(store, feed)
        count = (await reader.good()).tariffs.new
        feed.update(feed.price_id(0))
        report = await reader.good()
        assert (report.tariffs.new, report.tariffs.kept, report.tariffs.retired) == (1, count - 1, 1)


async def test_former_runs_go_and_the_live_one_stays(store: Store) -> None:
    """After two imports and a refused one, the second lies in the store for good, and it alone."""
    async with Feed("eco-key") as feed:
        reader = Reader.of(store, feed)
        await reader.good()
        second = await reader.good()
        feed.shrink(0.5)
        assert (await reader.read()).refused
        assert await reader.runs() == {second.run}


# A dry run ------------------------------------------------------------------------------------------------------------


@EITHER_SHAPE
async def test_a_dry_run_tells_and_changes_nothing(store: Store, shape: str) -> None:
    """It reads and checks like any other, and leaves neither a state nor a row."""
    async with Feed("eco-key") as feed:
        reader = Reader.of(store, feed, shape)
        report = await reader.read(dry_run=True)
        assert (report.result, report.refused, report.connectors) == (Result.DRY_RUN, None, 60)
        assert await store.feed_state("eco") is None
        assert await reader.runs() == set()
        live = await reader.good()
        feed.shrink(0)
        dry = await reader.read(dry_run=True)
        assert dry.result is Result.REFUSED
        state = await reader.state()
        assert (state.run, state.last, state.failures) == (live.run, live, 0)


# A bad day ------------------------------------------------------------------------------------------------------------

TORN: dict[str, tuple[Act, str]] = {
    "error": (lambda feed: feed.fail("prices", "error", page=2), "prices, after 5 rows: HTTP 500"),
    "cut": (lambda feed: feed.fail("locations", "cut", page=1), "locations, after 0 rows: the connection broke"),
    "garbage": (lambda feed: feed.fail("prices", "garbage"), "prices, after 0 rows: an answer that can't be read"),
    "half": (lambda feed: feed.fail("prices", "half"), "prices, after 0 rows: an answer that can't be read"),
    "html": (lambda feed: feed.fail("locations", "html"), "locations, after 0 rows: an answer that can't be read"),
    "says no": (lambda feed: feed.fail("prices", "refused"), "prices, after 0 rows: an answer without a status"),
    "no data": (lambda feed: feed.fail("prices", "no_data"), "prices, after 0 rows: a list was asked for"),
    "lying total": (lambda feed: setattr(feed.paging, "total", 500), "rows came of the 500 that were promised"),
    "elsewhere": (lambda feed: setattr(feed.paging, "link_style", "elsewhere"), "is on another host"),
    "circle": (lambda feed: setattr(feed.paging, "link_style", "loop"), "lead in a circle"),
}
DOUBTFUL: dict[str, tuple[Act, str]] = {
    "nothing": (lambda feed: feed.shrink(0), "its list of locations is empty"),
    "no prices": (lambda feed: feed.shrink(0, "prices"), "its list of prices is empty"),
    "half": (lambda feed: feed.shrink(0.5), "it has 6 locations, and had 12: more than 20% of them are gone"),
    "dangling": (lambda feed: feed.dangle(0.1), "prices that its connectors name aren't there: more than 2%"),
    "no price": (lambda feed: spoil(feed, "prices", "gone"), "none of its"),
    "no place": (lambda feed: spoil(feed, "locations", 7), "none of its 12 locations can be read"),
    "no ids": (lambda feed: spoil(feed, "locations", {"evses": []}), "none of its 12 locations can be read"),
}


def spoil(feed: Feed, name: Any, row: object) -> None:
    """Every row of a list is something else."""
    for number in range(feed.counts["prices"]):
        feed.edit(name, number, lambda _: row)


@EITHER_SHAPE
@pytest.mark.parametrize(
    ("act", "reason", "result"),
    [(*day, Result.FAILED) for day in TORN.values()] + [(*day, Result.REFUSED) for day in DOUBTFUL.values()],
    ids=[*TORN, *DOUBTFUL],
)
async def test_a_torn_feed_is_refused_and_the_old_data_stay_live(
    store: Store, shape: str, act: Act, reason: str, result: Result
) -> None:
    """Whatever is wrong with a feed, the run counts for nothing and says why; the one before is what counts."""
    async with Feed("eco-key") as feed:
        reader = Reader.of(store, feed, shape, page_limit=5)
        good = await reader.good()
        ids = await reader.price_ids()
        feed.update()
        act(feed)
        before = metric("runs_total", result=result)
        with capture_logs() as logs:
            report = await reader.read()
        assert report.refused is not None
        assert report.tariffs == Tariffs()
        assert reason in report.refused
        assert report.result is result
        state = await reader.state()
        assert (state.run, state.good, state.last, state.failures) == (good.run, good, report, 1)
        assert await reader.price_ids() == ids
        assert await reader.runs() == {good.run}
        (alarm,) = [line for line in logs if line["event"] == "prices.refused"]
        assert alarm["log_level"] == "error"
        assert alarm["todo"]
        assert "eco-key" not in str(logs)
        assert metric("runs_total", result=result) == before + 1
        feed.mend()
        assert (await reader.read()).refused is None
        assert (await reader.state()).failures == 0


@EITHER_SHAPE
async def test_a_first_import_of_nothing_is_refused_too(store: Store, shape: str) -> None:
    """An empty feed is no feed, also when there is nothing to compare it with."""
    async with Feed("eco-key") as feed:
        feed.shrink(0)
        reader = Reader.of(store, feed, shape)
        report = await reader.read()
        assert report.refused == "its list of locations is empty"
        state = await reader.state()
        assert (state.run, state.good) == ("", None)


async def test_a_list_without_connector_prices_is_refused(store: Store) -> None:
    """Prices that hold nowhere are no prices."""
    async with Feed("eco-key") as feed:
        feed.shrink(0, "connector_prices")
        assert (await Reader.of(store, feed).read()).refused == "its list of connector prices is empty"


async def test_a_page_that_fails_twice_is_read_the_third_time(store: Store) -> None:
    """A hiccup costs two requests and nothing else."""
    async with Feed("eco-key") as feed:
        feed.fail("prices", "error", page=2, times=2)
        feed.fail("locations", "busy", page=1, times=1)
        report = await Reader.of(store, feed, page_limit=5).good()
        assert report.rows.prices == feed.counts["prices"]


async def test_a_wrong_key_is_not_tried_again(store: Store) -> None:
    """A server that knows who we are and says no means it: one request, and a reason that says what to do."""
    async with Feed("another-key") as feed:
        report = await Reader.of(store, feed).read()
        assert report.refused == "locations, after 0 rows: HTTP 401: our token doesn't open it"
        assert len(feed.received) == 1


async def test_a_feed_that_is_away_is_refused(store: Store) -> None:
    """Nobody listens: the run has failed, and says so."""
    async with Feed("eco-key") as feed:
        reader = Reader.of(store, feed)
        await feed.down()
        report = await reader.read()
        assert report.result is Result.FAILED
        assert "can't be reached" in str(report.refused)


@pytest.mark.parametrize(("asked", "waited"), [("7", 7.0), ("86400", 30.0), ("Mon, 05 Jan 2099 09:00:00 GMT", 30.0)])
async def test_a_busy_server_says_how_long_to_wait(
    monkeypatch: pytest.MonkeyPatch, store: Store, asked: str, waited: float
) -> None:
    """Retry-After is kept to, in seconds or as a date, but never for more than half a minute."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def busy(_: HttpRequest) -> HttpAnswer:
        return HttpAnswer(status=429, headers=Headers({"Retry-After": asked}))

    async with Feed("eco-key") as feed:
        file = settings(feed)
    monkeypatch.setattr("gateway.prices.pages.asyncio.sleep", sleep)
    pages = Pages(feed=file, fetch=busy, progress=lambda _: None)
    with pytest.raises(Torn, match="HTTP 429"):
        _ = [page async for page in pages.of("prices", PRICE_SHAPES.crawl_rows(file.prices_url, 10, cursor=True))]
    assert slept == [waited, waited]


async def test_a_smaller_feed_is_believed_when_the_file_says_so(store: Store) -> None:
    """Who widens ``refuse`` has looked; a fifth less passes anyway."""
    async with Feed("eco-key", connectors=50) as feed:
        reader = Reader.of(store, feed)
        await reader.good()
        feed.shrink(0.8)
        await reader.good()
        feed.shrink(0.4)
        assert (await reader.read()).refused
        reader.change(shrink=0.6)
        await reader.good()


async def test_another_shape_is_not_compared_with_the_one_before(store: Store) -> None:
    """The older shape has a quarter of the rows of the newer one: who changes over loses nothing."""
    async with Feed("eco-key") as feed:
        reader = Reader.of(store, feed)
        await reader.good()
        reader.files[:] = [settings(feed, "old")]
        assert (await reader.good()).rows.prices == feed.counts["locations"]


# What is flagged ------------------------------------------------------------------------------------------------------


async def test_a_row_that_cannot_be_read_costs_itself(store: Store) -> None:
    """One price without a number, one location that is none: flagged, and everything else is imported."""
    async with Feed("eco-key", connectors=300) as feed:
        bad = feed.spoil(feed.price_id(3), "no_number")
        feed.edit("locations", 5, lambda _: None)
        with capture_logs() as logs:
            report = await Reader.of(store, feed).good()
        assert (report.rows.prices, report.tariffs.new) == (240, 239)
        assert bad in {flag.id for flag in report.flagged}
        assert any(flag.reason == "a location without an id" for flag in report.flagged)
        assert any(flag.reason.endswith("isn't in the locations") for flag in report.flagged)
        assert report.flags == len(report.flagged)
        (line,) = [line for line in logs if line["event"] == "prices.flagged"]
        assert line["flags"] == report.flags


async def test_a_price_that_nobody_names_is_flagged(store: Store) -> None:
    """It is imported all the same."""
    async with Feed("eco-key") as feed:
        id = feed.price_id(2)
        feed.unlist(id)
        report = await Reader.of(store, feed).good()
        assert [(flag.id, flag.pointer, flag.reason) for flag in report.flagged] == [(id, "", "no connector names it")]
        assert report.tariffs.new == feed.counts["prices"]


@EITHER_SHAPE
async def test_a_price_that_is_named_and_missing_is_flagged_once(store: Store, shape: str) -> None:
    """Below the limit a run passes with it; the connector counts as linked only if another price of its is there."""
    async with Feed("eco-key", connectors=200) as feed:
        feed.dangle(0.01)
        report = await Reader.of(store, feed, shape).good()
        missing = [flag for flag in report.flagged if flag.reason == "connectors name it, and it isn't there"]
        assert len(missing) == len({flag.id for flag in missing}) == (8 if shape == "new" else 2)
        assert report.connectors == 198


@pytest.mark.parametrize("name", ["locations", "connector_prices", "prices"])
async def test_a_row_that_stands_twice_on_a_page_is_flagged(store: Store, name: Any) -> None:
    """A feed that says one row twice isn't torn: the first counts, and as much was read as was promised."""
    async with Feed("eco-key", connectors=200) as feed:
        row: Any = feed.row(name, 1, "2.1.1" if name == "locations" else "")
        feed.edit(name, 2, lambda _: {**row, "partner": "another one"})
        reader = Reader.of(store, feed, dangling=1.0)
        report = await reader.good()
        assert asdict(report.rows) == feed.counts
        id = row["location_id" if name == "connector_prices" else "id"]
        (flag,) = [flag for flag in report.flagged if "twice" in flag.reason]
        assert (flag.id, "the first one counts" in flag.reason) == (id, True)
        assert (await reader.good()).rows == report.rows


async def test_a_list_that_moves_under_the_reader_is_flagged(store: Store) -> None:
    """It became shorter between two pages: some rows may have slipped through, and somebody should know."""
    async with Feed("eco-key", connectors=200) as feed:
        feed.meanwhile("locations", lambda: feed.shrink(0.95, "locations"), page=2)
        report = await Reader.of(store, feed, page_limit=5, dangling=1.0).good()
        (flag,) = [flag for flag in report.flagged if "shorter" in flag.reason]
        assert (flag.id, "locations" in flag.reason) == ("", True)


async def test_one_evse_in_two_places_is_flagged(store: Store) -> None:
    """Two locations have the same EVSE id: both are staged, the first one's prices count, the second is flagged."""

    def copied(row: Any) -> Any:
        evses = [{**evse, "evse_id": twin["evse_id"]} for evse, twin in zip(row["evses"], first["evses"], strict=False)]
        return {**row, "evses": evses}

    async with Feed("eco-key") as feed:
        first: Any = feed.row("locations", 0)
        feed.edit("locations", 4, copied)
        reader = Reader.of(store, feed)
        report = await reader.good()
        claims = [flag for flag in report.flagged if "has the EVSE id" in flag.reason]
        assert {flag.id for flag in claims} == {feed.location_id(4)}
        evse = first["evses"][0]
        (place,) = await store.places_at("eco", report.run, [spot(evse["evse_id"], evse["connectors"][0]["id"])])
        assert place is not None
        assert place.location == feed.location_id(0)


async def test_flags_are_counted_and_not_all_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed that is wrong everywhere doesn't fill the store: the first flags are kept, all are counted."""
    monkeypatch.setattr("gateway.prices.reading.MOST_FLAGS", 10)
    async with Feed("eco-key") as feed:
        for number in range(40):
            feed.spoil(feed.price_id(number // 4, PRODUCTS[number % 4]), "vat_fraction")
        report = await Reader.of(store, feed).good()
        assert len(report.flagged) == 10
        assert report.flags == 40
        assert MOST_FLAGS > 1000


async def test_an_id_without_end_is_flagged_by_its_beginning(store: Store) -> None:
    """A feed may call a price whatever it likes; what people read of it, and what is kept for them, stays short."""
    async with Feed("eco-key") as feed:
        feed.edit("prices", 0, lambda row: {**row, "id": "x" * 90_000})
        report = await Reader.of(store, feed, dangling=1.0).good()
        (flag,) = (each for each in report.flagged if each.id.startswith("x"))
        assert (flag.id, flag.reason) == (f"{'x' * 255}...", "no connector names it")


async def test_the_older_shape_knows_operators_by_their_locations_q6(store: Store) -> None:
    """A product with a fee of the operator whose connectors have it is the operator's subscription."""
    async with Feed("eco-key") as feed:
        reader = Reader.of(store, feed, "old")
        report = await reader.good()
        (prices,) = await store.prices("eco", report.run, [feed.old_price_id(0)])
        assert sorted(priced.audience for priced in prices) == ["adhoc", "cpo_subscription", "msp_retail", "msp_retail"]


@pytest.mark.parametrize("version", ["2.1.1", "2.2"])
async def test_locations_of_either_version_are_read(store: Store, version: Any) -> None:
    """What prices need of a location is the same in both."""
    async with Feed("eco-key") as feed:
        url = feed.locations_url(version)
        report = await Reader.of(store, feed, "old", locations_url=url, version=version).good()
        assert report.connectors == 60


@pytest.mark.parametrize("id", [7, "x" * 300, "ä/ö:%", "\N{GRINNING FACE}"])
async def test_odd_ids_are_no_trouble(store: Store, id: object) -> None:
    """A location's id may be a number, very long, or full of characters that keys are made of."""

    def renamed(row: Any) -> Any:
        return {**row, "id": id}

    async with Feed("eco-key") as feed:
        feed.edit("locations", 0, renamed)
        report = await Reader.of(store, feed, "old").good()
        (row,) = await store.locations("eco", report.run, [str(id)])
        assert row is not None
        assert report.connectors == 60


# Locations that go ----------------------------------------------------------------------------------------------------


async def test_a_merged_location_is_known_by_its_evses_q22(store: Store) -> None:
    """A location has another id: the old one is kept as gone, with the new one, until retire_after is over."""
    async with Feed("eco-key") as feed:
        reader = Reader.of(store, feed)
        clock = reader.clock
        assert isinstance(clock, Clock)
        await reader.good()
        old = feed.location_id(3)
        new = feed.move(3)
        first = await reader.good()
        (gone,) = await store.gone("eco", first.run)
        assert (gone.id, gone.now) == (old, new)
        clock.forward(hours=47)
        second = await reader.good()
        assert [each.since for each in await store.gone("eco", second.run)] == [gone.since]
        clock.forward(hours=2)
        third = await reader.good()
        assert await store.gone("eco", third.run) == []


async def test_a_location_that_is_just_gone_has_no_successor(store: Store) -> None:
    """Its EVSEs are nowhere else; when it comes back it isn't gone."""
    async with Feed("eco-key", connectors=100) as feed:
        reader = Reader.of(store, feed)
        await reader.good()
        feed.shrink(0.9)
        report = await reader.good()
        assert [gone.now for gone in await store.gone("eco", report.run)] == [None, None]
        feed.mend()
        back = await reader.good()
        assert await store.gone("eco", back.run) == []


async def test_statuses_that_were_pushed_count_until_they_are_read(store: Store) -> None:
    """A pushed status that the new run has read, or read a newer one than, is forgotten; a newer one stays."""
    async with Feed("eco-key", own=[Own("NL*EXA*E1"), Own("NL*EXA*E2")]) as feed:
        reader = Reader.of(store, feed)
        await reader.good()
        location = feed.location_id("NL*EXA*E1")
        evses = [(location, feed.evse_uid(id)) for id in ("NL*EXA*E1", "NL*EXA*E2")]
        times = ("2001-01-01T00:00:00Z", "2098-01-01T00:00:00Z")
        for (place, uid), at in zip(evses, times, strict=True):
            told = CODEC.dumps({"status": "CHARGING", "last_updated": at})
            await store.status_keep("eco", place, uid, told, former=None)
        feed.fail("prices", "error")
        await reader.read()
        assert None not in await store.statuses("eco", evses)
        feed.mend()
        await reader.good()
        old, new = await store.statuses("eco", evses)
        assert old is None
        assert new is not None


# Who reads ------------------------------------------------------------------------------------------------------------


async def test_an_unknown_feed_is_not_found(store: Store) -> None:
    """Who asks for a feed without a file reads that there is none."""
    async with Feed("eco-key") as feed:
        with pytest.raises(NotFound, match="no price feed nobody"):
            await Reader.of(store, feed).feeds.read("nobody")


async def test_one_process_at_a_time_reads_a_feed(store: Store) -> None:
    """While one reads it, another process is told so; in the same process the second reading waits for the first."""
    async with Feed("eco-key") as feed:
        ours, theirs = Reader.of(store, feed), Reader.of(store, feed)
        feed.delay = 0.05
        reading = asyncio.create_task(ours.good())
        await feed.wait_for("locations")
        with pytest.raises(BeingRead):
            await theirs.read()
        (status,) = await theirs.feeds.status()
        assert status.reading
        await asyncio.gather(reading, ours.good())
        await theirs.good()


async def test_a_reading_that_is_stopped_leaves_nothing(store: Store) -> None:
    """Cancelled in the middle, it takes its staged rows with it, and the next one may begin at once."""
    async with Feed("eco-key") as feed:
        reader = Reader.of(store, feed)
        feed.fail("prices", "silence")
        reading = asyncio.create_task(reader.read())
        await feed.wait_for("prices")
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await staged(reader) == []
        feed.mend()
        await reader.good()


@pytest.mark.parametrize("ends", [NotDurable, asyncio.CancelledError], ids=["away", "stopped"])
@pytest.mark.parametrize("step", ["feed_keep", "statuses_forget", "run_forget"])
async def test_what_breaks_off_once_a_run_counts_doesnt_take_its_rows(
    store: Store, monkeypatch: pytest.MonkeyPatch, step: str, ends: type[BaseException]
) -> None:
    """The store goes away, or the process ends, just when the run has been swapped in: it counts, and it is whole."""
    async with Feed("eco-key") as feed:
        reader = Reader.of(store, feed)
        await reader.good()
        before = await reader.state()
        feed.update()
        done = getattr(Store, step)

        async def broken(self: Store, *args: Any, **more: Any) -> None:
            await done(self, *args, **more)
            monkeypatch.undo()
            if ends is NotDurable:
                raise NotDurable("gone")
            reading.cancel()
            await asyncio.sleep(60)

        monkeypatch.setattr(Store, step, broken)
        reading = asyncio.create_task(reader.read())
        with pytest.raises(ends):
            await reading
        assert (await reader.state()).run != before.run
        assert len(await reader.price_ids()) == feed.counts["prices"]
        assert (await reader.good()).tariffs.new == 0


async def test_a_feed_that_is_taken_over_is_left_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who loses the lease while reading writes nothing any more: the run of the one who has it counts."""
    monkeypatch.setattr("gateway.alone._RENEW_S", 0.02)
    async with Feed("eco-key") as feed:
        slow, quick = Reader.of(store, feed), Reader.of(store, feed)
        feed.fail("prices", "silence", times=1)
        reading = asyncio.create_task(slow.read())
        await feed.wait_for("prices")
        await store.command("DEL", store.keys.lease("prices:eco"))
        good = await quick.good()
        with pytest.raises(BeingRead):
            await reading
        assert (await quick.state()).run == good.run


async def test_status_tells_how_a_feed_stands(store: Store) -> None:
    """Never read, read, refused: the last run's report, whether something is live, and when it is read next."""
    async with Feed("eco-key") as feed:
        reader = Reader.of(store, feed)
        (before,) = await reader.feeds.status()
        assert (before.last, before.good, before.next, before.reading) == (None, None, 0, False)
        good = await reader.good()
        feed.shrink(0)
        await reader.read()
        (after,) = await reader.feeds.status()
        assert after.last is not None
        assert after.good == good
        assert after.json()["refused"] == after.last.refused == "its list of locations is empty"
        assert after.json()["next"] == "2026-01-05T09:05:00Z"
        assert after.json()["live_since"] == "2026-01-05T09:00:00Z"


async def test_a_report_as_json_has_what_is_promised(store: Store) -> None:
    """The keys of the verb's output, with the feed's own price ids."""
    async with Feed("eco-key") as feed:
        id = feed.spoil(feed.price_id(1), "vat_fraction")
        told = (await Reader.of(store, feed).good()).json()
        assert told["partner"] == "eco"
        assert told["rows"] == feed.counts
        assert told["tariffs"] == {"new": feed.counts["prices"], "kept": 0, "retired": 0}
        assert told["connectors"] == 60
        assert told["refused"] is None
        (flag,) = told["flagged"]
        assert flag == {
            "id": id,
            "pointer": "/elements/0/price_components/0/vat",
            "reason": "a VAT below one percent: perhaps it is a fraction",
        }


async def test_what_a_feed_is_told_in_metrics(store: Store) -> None:
    """Rows, flags and age of what is live, and whether the last run came to nothing."""
    async with Feed("eco-key", connectors=85) as feed:
        reader = Reader.of(store, feed)
        clock = reader.clock
        assert isinstance(clock, Clock)
        running = asyncio.create_task(reader.feeds.run())
        try:
            await until(lambda: metric("rows", list="locations") == 17)
            assert metric("rows", list="prices") == feed.counts["prices"]
            assert metric("refused") == 0
            feed.fail("locations", "error")
            clock.forward(hours=25)
            reader.change(name="Another name")
            await until(lambda: metric("refused") == 1)
            assert metric("age_seconds") == 25 * 3600
        finally:
            await cancelled(running)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 (metrics tell nobody that they change)
            await asyncio.sleep(0.01)
