"""Files of prices at a terminal: shown among the partners, and no links to any verb that is about links."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from click.testing import CliRunner, Result

from gateway import telemetry
from gateway.__main__ import cli
from gateway.demo.consumer import Consumer
from gateway.demo.feed import Feed
from gateway.demo.world import Cast, Source, World
from gateway.web.json import loads

ACME = Cast(name="acme", version="2.1.1", role="EMSP", country="DEU", party="ACM", business="Acme Mobility")
KEYS = 'window: {from: "08:00"}, every: 12h, refuse: {shrink: 5%}, token_in: {value: push-token}'


@pytest_asyncio.fixture
async def town(world: Callable[..., Awaitable[World]]) -> AsyncIterator[World]:
    """A partner, a feed and a consumer."""
    telemetry.configure(level="critical")  # what the gateway tells would stand among what the verb prints
    feed = Source(feed=Feed("eco-key"), keys=KEYS, more="owners: {f1e2-77: DE-ACM}\n")
    yield await world(ACME, feeds={"eco": feed}, consumers={"map-app": Consumer("map-token")})


async def verb(town: World, *words: str) -> Result:
    """Beside the gateway that runs: in a thread, with a loop of its own."""
    line = [*words, "--config", str(town.settings.folder), "--data", str(town.folder / "data")]
    return await asyncio.to_thread(CliRunner().invoke, cli, line)


async def told(town: World, *words: str) -> Any:
    """What it prints with ``--json``."""
    done = await verb(town, *words, "--json")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    return loads(done.stdout.encode())


async def test_the_list_of_partners_has_feeds_and_consumers_last(town: World) -> None:
    """With what they are; what only links have stays empty."""
    lines = (await verb(town, "partner", "list")).output.splitlines()
    assert [line.split()[0] for line in lines] == ["id", "backend", "acme", "eco", "map-app"]
    assert lines[3].split() == ["eco", "prices", "2.1.1", "-", "feed", "-", "-", "-", "-"]
    assert lines[4].split() == ["map-app", "prices", "-", "-", "consumer", "-", "-", "-", "-"]
    *_, eco, app = await told(town, "partner", "list")
    assert (eco["id"], eco["kind"], eco["feed"]["shape"]) == ("eco", "prices", "new")
    assert (app["id"], app["kind"], app["consumer"]["audience"]) == ("map-app", "prices", ["adhoc"])


async def test_a_feed_in_full(town: World) -> None:
    """All that its file says, in words, but for its tokens."""
    shown = await verb(town, "partner", "show", "eco")
    base = town.feeds["eco"].prices_url.removesuffix("/prices")
    locations = town.feeds["eco"].locations_url("2.1.1")
    assert (shown.exit_code, shown.output.splitlines()) == (
        0,
        [
            "eco: Eco-Movement (prices, a feed)",
            "  new shape, 2.1.1 locations; pushes statuses with a token of ours",
            "  asked with Authorization: Token ***",
            f"  locations_url  {locations}",
            f"  prices_url  {base}/prices",
            f"  connector_prices_url  {base}/prices/connector_prices",
            "  every 12h, mon-fri 08:00-17:00 Europe/Amsterdam; 1000 rows to a page",
            "  refused when 5% of a list are gone, or 2% of prices missing",
            "  tariffs that left it stay for 48h",
            "  owners: f1e2-77 is DE-ACM",
        ],
    )
    assert await told(town, "partner", "show", "eco") == {
        "id": "eco",
        "name": "Eco-Movement",
        "kind": "prices",
        "feed": {
            "shape": "new",
            "version": "2.1.1",
            "locations_url": locations,
            "prices_url": f"{base}/prices",
            "connector_prices_url": f"{base}/prices/connector_prices",
            "scheme": "Token",
            "pushes": True,
            "every": "12h",
            "window": "mon-fri 08:00-17:00 Europe/Amsterdam",
            "page_limit": 1000,
            "refuse": {"shrink": "5%", "dangling": "2%"},
            "retire_after": "48h",
        },
        "owners": {"f1e2-77": "DE-ACM"},
    }


async def test_a_consumer_in_full(town: World) -> None:
    """What it sees; never what it sends."""
    shown = await verb(town, "partner", "show", "map-app")
    assert (shown.exit_code, shown.output.splitlines()) == (
        0,
        [
            "map-app: Map App (prices, a consumer)",
            "  sees prices of adhoc; nothing that came from feeds",
            "  asks with ***",
        ],
    )
    assert await told(town, "partner", "show", "map-app") == {
        "id": "map-app",
        "name": "Map App",
        "kind": "prices",
        "consumer": {"audience": ["adhoc"], "redistribute": False},
    }


@pytest.mark.parametrize(
    "words",
    [
        *(["partner", verb] for verb in ("register", "refresh", "rotate", "unregister", "pause", "resume")),
        ["sync", "status"],
        ["sync", "run"],
        ["ledger", "list", "--partner"],
    ],
    ids=" ".join,
)
async def test_a_verb_about_links_says_what_is_none(town: World, words: list[str]) -> None:
    """Exit code 2, what it is, and which verb tells more; another id is answered as ever."""
    feed, consumer, nobody = [await verb(town, *words, id) for id in ("eco", "map-app", "acne")]
    assert {feed.exit_code, consumer.exit_code, nobody.exit_code} == {2}
    assert "`eco` is a price feed, and no link" in feed.output
    assert "ocpi-gateway prices status" in feed.output
    assert "`map-app` is a consumer of prices, and no link" in consumer.output
    assert "ocpi-gateway partner show map-app" in consumer.output
    assert "there is no link `acne`; did you mean `acme`?" in nobody.output


async def test_no_verb_prints_a_token_of_a_feed_or_a_consumer(town: World) -> None:
    """In neither form."""
    printed = [
        (await verb(town, "partner", *words, *form)).output
        for words in (("list",), ("show", "eco"), ("show", "map-app"), ("register", "eco"))
        for form in ((), ("--json",))
    ]
    assert not [token for token in ("eco-key", "push-token", "map-token") if any(token in text for text in printed)]
