"""A bad day of a feed, as everybody else sees it: not at all.

Whatever a feed tells, and however it breaks, what partners have and what readers are served stays what the last good
run made it, until there is a better one. That is looked at from outside, on every path; and that operators are told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from market import PATHS, Begin, imported, market, reading, seen, source
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from gateway.demo.feed import Feed, Habits

BAD_DAYS: dict[str, Callable[[Feed], None]] = {
    "a page fails": lambda feed: feed.fail("prices", "error"),
    "the second page fails": lambda feed: feed.fail("prices", "error", page=2),
    "a page of locations fails": lambda feed: feed.fail("locations", "error"),
    "a page breaks off": lambda feed: feed.fail("prices", "cut"),
    "garbage": lambda feed: feed.fail("prices", "garbage"),
    "half a page": lambda feed: feed.fail("locations", "half"),
    "a page for people": lambda feed: feed.fail("prices", "html"),
    "an envelope that says no": lambda feed: feed.fail("prices", "refused"),
    "an envelope without data": lambda feed: feed.fail("prices", "no_data"),
    "everything is gone": lambda feed: feed.shrink(0),
    "the prices are gone": lambda feed: feed.shrink(0, "prices"),
    "the locations are gone": lambda feed: feed.shrink(0, "locations"),
    "half of it is gone": lambda feed: feed.shrink(0.5),
    "half of the prices are gone": lambda feed: feed.shrink(0.5, "prices"),
    "connectors name prices that are nowhere": lambda feed: feed.dangle(0.2),
    "more was promised": lambda feed: setattr(feed.paging, "total", 500),
    "every row is something else": lambda feed: spoilt(feed),
}


def spoilt(feed: Feed) -> None:
    for number in range(feed.counts["prices"]):
        feed.edit("prices", number, lambda _: "gone")


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that fails is asked for again at once."""
    monkeypatch.setattr("gateway.prices.pages.PAUSES", (0.0, 0.0))


def runs() -> float:
    """How many readings have come to nothing, as operators count them."""
    counted = (
        REGISTRY.get_sample_value("ocpi_gateway_price_runs_total", {"partner": "eco", "result": result})
        for result in ("refused", "failed")
    )
    return sum(filter(None, counted))


@pytest.mark.parametrize("shape", ["new", "old"])
async def test_on_a_bad_day_everything_stays(world: Begin, shape: str) -> None:
    """Torn, cut, shrunken, empty, dangling, garbage: refused each time, and nobody sees a difference."""
    scene = await market(world, read=source(shape, keys="page_limit: 3"))
    feed = scene.feeds["eco"]
    await imported(scene)
    good = await seen(scene)
    heard = {peer.name: len(peer.received) for peer in scene.partners.values()}
    for day, spoils in BAD_DAYS.items():
        feed.update()  # whatever is believed of it would be seen
        spoils(feed)
        counted = runs()
        with capture_logs() as logs:
            report = await reading(scene)
        assert report.refused, day
        assert [line["log_level"] for line in logs if line["event"] == "prices.refused"] == ["error"], day
        assert runs() == counted + 1, day
        feed.mend()
    assert {peer.name: len(peer.received) for peer in scene.partners.values()} == heard
    assert await seen(scene) == good
    await imported(scene)
    better = await seen(scene)
    assert better["kiosk has"] != good["kiosk has"]
    assert better["all reads /eco-movement/prices"] != good["all reads /eco-movement/prices"]


@pytest.mark.parametrize("spoils", [lambda feed: feed.shrink(0), lambda feed: feed.fail("prices", "garbage")])
async def test_a_first_run_that_is_refused_leaves_nothing(world: Begin, spoils: Callable[[Feed], None]) -> None:
    """A feed that has never told anything good has told nothing: readers are served our own, partners get nothing."""
    scene = await market(world)
    before = await seen(scene)
    spoils(scene.feeds["eco"])
    assert (await reading(scene)).refused
    assert await seen(scene) == before
    scene.feeds["eco"].mend()
    await imported(scene)
    assert await seen(scene) != before


async def test_ids_that_change_while_it_is_read_are_refused(world: Begin) -> None:
    """Between the pages of one run the feed becomes another edition: prices that connectors name are nowhere."""
    scene = await market(world)
    feed = scene.feeds["eco"]
    await imported(scene)
    good = await seen(scene)
    feed.meanwhile("prices", feed.update)
    assert (await reading(scene)).refused
    assert await seen(scene) == good


# Unknown fields -------------------------------------------------------------------------------------------------------


def without(value: Any, *names: str) -> Any:
    """The same JSON without fields of these names, at any depth."""
    if isinstance(value, dict):
        return {name: without(inner, *names) for name, inner in value.items() if name not in names}
    return [without(inner, *names) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("shape", ["new", "old"])
@pytest.mark.parametrize("version", ["2.1.1", "2.2"])
async def test_unknown_fields_anywhere_change_nothing(world: Begin, shape: str, version: str) -> None:
    """A field that nobody knows in every object of every list: partners see nothing of it, prices and ids are the same.

    Readers who may see the feed's own rows get what it says there.
    """
    scene = await market(world, read=source(shape, version))
    feed = scene.feeds["eco"]
    feed.habits = Habits(strange=True)
    report = await imported(scene)
    assert report.flagged == ()
    strange = await seen(scene)
    feed.habits = Habits()
    assert (await imported(scene)).tariffs.new == 0
    plain = await seen(scene)
    # The older shape doesn't tell when a price was updated, so that each run is the moment.
    ignored = ("attribute_of_next_year", *(("last_updated",) if shape == "old" else ()))
    assert without(strange, *ignored) == without(plain, *ignored)
    assert {what for what in strange if strange[what] != plain[what]} <= {f"all reads {path}" for path in PATHS}
