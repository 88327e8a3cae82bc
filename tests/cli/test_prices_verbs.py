"""``ocpi-gateway prices``: feeds are read by hand or followed, and how they stand; beside a running gateway or not."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from click.testing import CliRunner, Result
from processes import Installation

from gateway import telemetry
from gateway.__main__ import cli
from gateway.demo.consumer import Consumer
from gateway.demo.feed import Feed
from gateway.demo.world import Cast, Source, World, shut
from gateway.web.json import loads

ACME = Cast(name="acme", version="2.1.1", country="DEU", party="ACM")
RUNNING = pytest.mark.parametrize("running", [True, False], ids=["running", "not-running"])
KEY = "the-key-of-the-feed"


@pytest_asyncio.fixture
async def town(world: Callable[..., Awaitable[World]]) -> AsyncIterator[World]:
    """A backend, an eMSP, a feed whose window is shut for days, and a consumer."""
    telemetry.configure(level="critical")  # what the gateway tells would stand among what the verb prints
    yield await world(
        ACME,
        feeds={"eco": Source(feed=Feed(KEY, connectors=20), keys=shut())},
        consumers={"map-app": Consumer("map-token")},
    )


def folders(town: World) -> list[str]:
    return ["--config", str(town.settings.folder), "--data", str(town.folder / "data")]


async def prices(town: World, *words: str) -> Result:
    """The verb, beside the gateway that runs: in a thread, with a loop of its own."""
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["prices", *words, *folders(town)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    assert KEY not in done.output
    return done


async def told(town: World, *words: str) -> Any:
    """What it prints with ``--json``."""
    return loads((await prices(town, *words, "--json")).stdout.encode())


@RUNNING
async def test_a_feed_is_read_when_a_person_asks(town: World, running: bool) -> None:
    """Whatever its window says; what came of it is told, and what of it looks wrong by the feed's own price id."""
    feed = town.feeds["eco"]
    spoiled = feed.spoil(feed.price_id(0), "negative")
    if not running:
        await town.stop()
    done = await told(town, "import", "eco", "--once")
    assert {"partner", "rows", "tariffs", "connectors", "flagged", "refused"} <= done.keys()
    assert (done["partner"], done["result"], done["refused"]) == ("eco", "imported", None)
    assert done["rows"] == feed.counts
    assert (done["tariffs"]["kept"], done["tariffs"]["retired"], done["connectors"]) == (0, 0, 20)
    assert done["tariffs"]["new"] > 0
    assert [flag["id"] for flag in done["flagged"]] == [spoiled]
    assert done["flagged"][0].keys() == {"id", "pointer", "reason"}
    again = await told(town, "import", "eco", "--once")
    assert (again["tariffs"]["new"], again["tariffs"]["kept"]) == (0, done["tariffs"]["new"])


async def test_what_came_of_it_is_told_in_words(town: World) -> None:
    """The report on standard output, how far the reading has come on standard error."""
    done = await prices(town, "import", "eco", "--once")
    assert done.exit_code == 0
    assert done.stdout.startswith("eco: imported (")
    assert "  connectors  20 with a price, 0 of our own" in done.stdout.splitlines()
    assert "locations: 4 of 4" in done.stderr
    silent = await prices(town, "import", "eco", "--once", "--json")
    assert silent.stderr == ""


async def test_a_refused_run_is_exit_code_1(town: World) -> None:
    """With why; the status tells it until the next good run, and that what was read before is live."""
    feed = town.feeds["eco"]
    feed.shrink(0)
    first = await prices(town, "import", "eco", "--once")
    assert (first.exit_code, "refused" in first.stdout) == (1, True)
    (unread,) = await told(town, "status")
    assert (unread["live"], unread["live_since"], unread["result"]) == (False, None, "refused")
    feed.mend()
    assert (await prices(town, "import", "eco", "--once")).exit_code == 0
    feed.shrink(0.5)
    refused = await told(town, "import", "eco", "--once")
    assert refused["refused"]
    shown = await prices(town, "status", "eco")
    assert (shown.exit_code, f"eco: {refused['refused']}" in shown.stdout) == (1, True)
    (each,) = await told(town, "status", "eco")
    assert (each["refused"], each["live"], each["state"]) == (refused["refused"], True, "refused")
    assert each["live_since"]


async def test_a_dry_run_changes_nothing(town: World) -> None:
    """It is read and checked, and nothing is live afterwards; the exit code says whether it would have been."""
    done = await prices(town, "import", "eco", "--dry-run")
    assert (done.exit_code, done.stdout.startswith("eco: dry run (")) == (0, True)
    (each,) = await told(town, "status", "eco")
    assert (each["live"], each["result"], each["state"]) == (False, None, "unread")
    town.feeds["eco"].fail("prices", "error")
    failed = await prices(town, "import", "eco", "--dry-run", "--once")
    assert failed.exit_code == 1


async def test_the_status_of_feeds(town: World) -> None:
    """Before the first run and after it, for people and for scripts."""
    (each,) = await told(town, "status")
    assert (each["partner"], each["began"], each["rows"]["prices"], each["reading"]) == ("eco", None, 0, False)
    await prices(town, "import", "eco", "--once")
    (each,) = await told(town, "status")
    assert (each["state"], each["live"], each["rows"]) == ("imported", True, town.feeds["eco"].counts)
    assert each["live_since"] == each["began"] <= each["ended"] < each["next"]
    shown = await prices(town, "status")
    assert shown.exit_code == 0
    head, row = shown.stdout.splitlines()
    assert head.split()[:2] == ["partner", "state"]
    assert row.split()[:5] == ["eco", "imported", each["live_since"], "4", str(each["rows"]["prices"])]


async def test_the_status_of_a_feed_tells_what_looks_wrong(town: World) -> None:
    """The table says how much of it there is; whoever asks for the feed reads what."""
    feed = town.feeds["eco"]
    spoiled = feed.spoil(feed.price_id(0), "negative")
    await prices(town, "import", "eco", "--once")
    head, row = (await prices(town, "status")).stdout.splitlines()
    assert (head.split()[7], row.split()[5]) == ("flagged", "1")
    *_, count, flag = (await prices(town, "status", "eco")).stdout.splitlines()
    assert count.split() == ["flagged", "1"]
    assert flag.startswith(f"    {spoiled} /elements/")
    assert flag.endswith(": a negative price")


async def test_what_a_feed_calls_a_price_moves_no_cursor(town: World) -> None:
    """An id may be anything: on a terminal it is one line of plain text, whatever is in it."""
    town.feeds["eco"].edit("prices", 0, lambda row: row | {"id": "odd\x1b[2J\n\u202eid", "product": None})
    done = await prices(town, "import", "eco", "--once")
    assert (
        "    odd\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}id /product:"
        in done.stdout
    )


async def test_a_feed_is_followed_until_it_is_enough(town: World) -> None:
    """A line for each run; SIGTERM ends it with exit code 0, and what was read stays."""
    await town.stop()
    feed = town.feeds["eco"]
    (town.settings.folder / "partners/eco.yaml").write_text(feed.partner_file())
    process = await Installation(town.folder).start("prices", "import", "eco", "--json", *folders(town))
    assert process.stdout
    assert process.stderr
    async with asyncio.timeout(20):
        run = loads(await process.stdout.readline())
        assert (run["partner"], run["refused"], run["rows"]) == ("eco", None, feed.counts)
        process.send_signal(signal.SIGTERM)
        assert (await process.wait(), await process.stderr.read()) == (0, b"")
    assert (await told(town, "status"))[0]["live"] is True


async def test_two_processes_dont_read_at_a_time(town: World) -> None:
    """The second waits for the first, and reads then."""
    feed = town.feeds["eco"]
    feed.delay = 0.2
    first = await Installation(town.folder).start("prices", "import", "eco", "--once", *folders(town))
    async with asyncio.timeout(20):
        while not (await told(town, "status"))[0]["reading"]:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.02)
        second = await prices(town, "import", "eco", "--once")
        await first.communicate()
    assert (first.returncode, second.exit_code) == (0, 0)
    assert "another process" in second.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("import", "ecco"), "did you mean `eco`?"),
        (("status", "nobody"), "the feeds are eco"),
        (("import", "map-app"), "a consumer of prices"),
        (("import", "acme"), "ocpi-gateway sync run acme"),
    ],
)
async def test_who_is_no_feed_is_a_mistake_of_usage(town: World, words: tuple[str, ...], said: str) -> None:
    """With what it is instead, or who was perhaps meant."""
    done = await prices(town, *words)
    assert (done.exit_code, said in done.stderr) == (2, True)


async def test_without_feeds_there_is_nothing_to_tell(world: Callable[..., Awaitable[World]]) -> None:
    """The status says how to get one."""
    telemetry.configure(level="critical")
    town = await world()
    done = await prices(town, "status")
    assert (done.exit_code, "kind: prices" in done.stdout) == (0, True)
    assert await told(town, "status") == []
    assert "write a partner file" in (await prices(town, "import", "eco")).stderr


async def test_without_redis_nothing_is_read(town: World) -> None:
    """Exit code 1, with what is wrong."""
    await town.stop()
    file = town.settings.folder / "gateway.yaml"
    file.write_text(file.read_text().replace("redis: {url:", 'redis: {url: "redis://127.0.0.1:1", prefix: x}\n#'))
    for words in (("status",), ("import", "eco", "--once")):
        done = await prices(town, *words)
        assert (done.exit_code, "ocpi-gateway doctor" in done.stderr) == (1, True)
