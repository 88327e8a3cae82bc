"""When a feed is read: soon, as often as its file says, later after a failure; and only while its window is open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from prometheus_client import REGISTRY
from reader import Clock, Reader, settings

from gateway.demo.feed import Feed
from gateway.model.window import Window
from gateway.prices.schedule import due, is_due, written_down
from gateway.prices.states import FeedState, Report, Result, ms_of
from gateway.settings.prices import FeedSettings
from gateway.store.redis import Store
from gateway.tasks import cancelled

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)  # ten o'clock in Amsterdam
FILE = evolve(settings(Feed("eco-key")), window=Window())
ALWAYS = evolve(FILE, window=None)


def run(began: datetime, *, good: bool = True) -> Report:
    result = Result.IMPORTED if good else Result.FAILED
    refused = None if good else "a bad day"
    return Report(partner="eco", run="prices-1", began=ms_of(began), ended=ms_of(began), result=result, refused=refused)


def after(began: datetime, failures: int = 0, file: FeedSettings = ALWAYS) -> FeedState:
    """Where a feed stands after a good run and so many failed ones, all of which began at the same time."""
    last = run(began, good=not failures)
    return FeedState(run="prices-1", good=run(began), last=last, failures=failures, tried=written_down(file))


def test_a_feed_that_was_never_read_is_due_as_soon_as_its_window_is_open() -> None:
    """At once without a window; else at nine in the morning of the next working day."""
    assert is_due(ALWAYS, FeedState(), MONDAY)
    assert is_due(FILE, FeedState(), MONDAY)
    sunday = datetime(2026, 1, 4, 12, tzinfo=UTC)
    assert not is_due(FILE, FeedState(), sunday)
    assert due(FILE, FeedState(), sunday) == datetime(2026, 1, 5, 8, tzinfo=UTC)


def test_after_a_good_run_it_is_read_as_often_as_its_file_says() -> None:
    """Counted from when the run began, so that the hour of the day stays."""
    assert due(ALWAYS, after(MONDAY), MONDAY) == MONDAY + timedelta(hours=24)
    friday = MONDAY + timedelta(days=4)
    assert due(FILE, after(friday), friday) == datetime(2026, 1, 12, 8, tzinfo=UTC)
    assert due(evolve(ALWAYS, every=timedelta(hours=1)), after(MONDAY), MONDAY) == MONDAY + timedelta(hours=1)


@pytest.mark.parametrize(
    ("failures", "minutes"), [(1, 5), (2, 10), (3, 20), (6, 160), (7, 320), (8, 360), (50, 360), (10_000, 360)]
)
def test_after_a_bad_run_the_pause_doubles(failures: int, minutes: int) -> None:
    """Five minutes, then twice as long each time, up to six hours."""
    assert due(ALWAYS, after(MONDAY, failures), MONDAY) == MONDAY + timedelta(minutes=minutes)


def test_a_pause_is_never_longer_than_every() -> None:
    """Who wants a feed each ten minutes has it tried each ten minutes."""
    often = evolve(ALWAYS, every=timedelta(minutes=10))
    assert due(often, after(MONDAY, 9, often), MONDAY) == MONDAY + timedelta(minutes=10)


def test_a_bad_run_at_the_end_of_the_day_is_tried_again_in_the_morning() -> None:
    """The window counts for second tries too."""
    friday = datetime(2026, 1, 9, 15, 58, tzinfo=UTC)
    assert due(FILE, after(friday, 1, FILE), friday) == datetime(2026, 1, 12, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "change", [{"token": "corrected"}, {"shrink": 1.0}, {"prices_url": "https://elsewhere.example"}]
)
def test_who_corrects_the_file_does_not_wait(change: dict[str, object]) -> None:
    """After a failure another file is another try, also after a restart."""
    state = after(MONDAY, 8)
    corrected = evolve(ALWAYS, **change)  # type: ignore[arg-type]
    assert not is_due(ALWAYS, state, MONDAY)
    assert is_due(corrected, state, MONDAY)
    assert not is_due(corrected, after(MONDAY), MONDAY)
    later = MONDAY + timedelta(hours=1)
    assert is_due(corrected, after(MONDAY), later, later)
    assert not is_due(corrected, after(later), later, later)
    assert not is_due(ALWAYS, after(MONDAY), later, later)


def test_the_digest_of_a_file_does_not_tell_its_token() -> None:
    """It lies in the store beside what everybody may see there."""
    assert "eco-key" not in written_down(ALWAYS)
    assert written_down(ALWAYS) != written_down(evolve(ALWAYS, token="another"))


async def eventually(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_it_is_followed_in_its_window(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of it nothing is asked; inside it is read once, and again when its time has come."""
    monkeypatch.setattr("gateway.prices.feeds._TICK_S", 0.01)
    monkeypatch.setattr("gateway.prices.feeds._LOOK_S", 0.02)
    clock = Clock(MONDAY - timedelta(hours=2))
    async with Feed("eco-key") as feed:
        reader = Reader(store, [settings(feed, window=Window())], clock)
        told: list[Report] = []
        following = asyncio.create_task(reader.feeds.follow("eco", told.append))
        running = asyncio.create_task(reader.feeds.run())
        try:
            await asyncio.sleep(0.1)
            assert feed.received == []
            clock.now = MONDAY
            await feed.wait_for("prices")
            await eventually(lambda: _true(len(told) == 1))
            clock.forward(hours=23)
            await asyncio.sleep(0.1)
            assert len(told) == 1
            clock.forward(hours=1)
            await eventually(lambda: _true(len(told) == 2))
            assert [got.module for got in feed.received] == ["locations", "connector_prices", "prices"] * 2
            assert [report.result for report in told] == [Result.IMPORTED, Result.IMPORTED]
        finally:
            await cancelled(following, running)


async def _true(value: bool) -> bool:
    return value


async def test_files_that_come_and_go_are_noticed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed with a new file is read; one whose file is gone counts for nothing, and nothing of it is kept or told."""
    monkeypatch.setattr("gateway.prices.feeds._TICK_S", 0.01)
    async with Feed("eco-key") as feed:
        reader = Reader(store, [])
        running = asyncio.create_task(reader.feeds.run())
        try:
            reader.files.append(settings(feed))

            async def live() -> bool:
                return bool((await reader.state()).run)

            async def forgotten() -> bool:
                return await store.feeds() == [] and await reader.runs() == set()

            async def told() -> bool:
                return REGISTRY.get_sample_value("ocpi_gateway_price_age_seconds", {"partner": "eco"}) is not None

            await eventually(live)
            await eventually(told)
            reader.files.clear()
            await eventually(forgotten)
            assert not await told()
            reader.files.append(settings(feed))
            await eventually(live)
        finally:
            await cancelled(running)


async def test_a_file_that_goes_while_its_feed_is_read_is_gone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read by it counts for nothing as soon as that is over, and not only when nobody else can have it."""
    monkeypatch.setattr("gateway.prices.feeds._TICK_S", 0.01)
    clock = Clock()
    async with Feed("eco-key") as feed:
        reader = Reader(store, [settings(feed)], clock)

        def removed() -> None:
            reader.files.clear()

        def runs() -> float:
            labels = {"partner": "eco", "result": "imported"}
            return REGISTRY.get_sample_value("ocpi_gateway_price_runs_total", labels) or 0

        async def forgotten() -> bool:
            clock.forward(seconds=1)
            return runs() > before and await store.feeds() == [] and await reader.runs() == set()

        before = runs()
        feed.meanwhile("prices", removed)
        feed.delay = 0.1  # so that it is noticed while the feed is still read
        running = asyncio.create_task(reader.feeds.run())
        try:
            await eventually(forgotten)
        finally:
            await cancelled(running)


async def test_a_file_that_others_have_already_is_not_missed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody reads a feed by a file that this process hasn't loaded yet: it is let be, while somebody cares."""
    monkeypatch.setattr("gateway.prices.feeds._TICK_S", 0.01)
    clock = Clock()
    async with Feed("eco-key") as feed:
        elsewhere = Reader(store, [settings(feed)], clock)
        here = Reader(store, [], clock)
        running = asyncio.create_task(here.feeds.run())
        try:
            await asyncio.sleep(0.05)
            clock.forward(seconds=1)
            await elsewhere.good()
            await asyncio.sleep(0.1)
            assert (await elsewhere.state()).run

            async def forgotten() -> bool:
                return await store.feeds() == []

            clock.forward(minutes=21)
            here.feeds._quiet.clear()  # a minute has passed as well
            await eventually(forgotten)
        finally:
            await cancelled(running)
