"""A price feed of 25,000 connectors through the gateway: how long an import takes, and how much memory.

    python tests/bench/bench_prices.py [CONNECTORS]
    pytest tests/bench/bench_prices.py -m bench -n 0 -s

The gateway is a process of its own, so that its memory is its own; feed, reader and Redis are others. *Imported*: one
run from the first page to the prices being laid on our own connectors, five hundred of which the feed knows. "Extra"
is how far the process's resident memory rose above what it was before; beside it stands what a process takes that
reads the same lists into memory in the same run, as the obvious script would. *Again* is the next run of the same
feed with every id new. *Served*: the first page of prices, for which the whole list is cut, then a page of one that
stands. "Others" is the longest that somebody else's request to the same process took meanwhile. Nothing is asserted
but that all of it arrives.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Literal
from urllib.request import Request, urlopen

import aiohttp
import pytest
from attrs import frozen
from bench_lists import REPOSITORY, from_here, rss
from redis.asyncio import Redis

from adapters import VERSIONS
from gateway import telemetry
from gateway.app import Gateway
from gateway.demo.consumer import Consumer
from gateway.demo.feed import Feed, Own
from gateway.demo.world import free_ports, shut
from gateway.model.modules import Module
from gateway.model.names import Name
from gateway.model.party import Party
from gateway.settings import load
from gateway.store.embedded import attach_or_start
from gateway.store.redis import Store
from gateway.web.json import dumps

CONNECTORS: Final = 25_000
OWN: Final = 500
PAGE: Final = 10_000
KEY: Final = "eco-key"
OURS: Final = Party("NL", "EXA")
MIB: Final = 1024 * 1024

GATEWAY: Final = """\
public_url: http://127.0.0.1:{listen}
listen: 127.0.0.1:{listen}
admin: {{listen: "127.0.0.1:{admin}"}}
redis: {{url: "{redis}"}}
hub: {{country_code: NL, party_id: GWY}}
parties:
  - {{country_code: NL, party_id: EXA, role: CPO, name: Example Charging}}
backend:
  version: "2.2.1"
  roles: [{{role: CPO, country_code: NL, party_id: EXA}}]
  registration: {{start: none, versions_url: "http://127.0.0.1:9/ocpi/versions",
                 token_out: {{value: to-backend}}, token_in: {{value: of-backend}}}}
  allow_private: true
"""


@frozen
class Line:
    """One measurement: what it is about, and figures in words."""

    name: str
    seconds: float
    figures: str = ""

    def __str__(self) -> str:
        return f"{self.name:44}{self.seconds:7.1f} s  {self.figures}"


def spelled(number: int) -> str:
    """An EVSE of ours, two of which are at one location."""
    return f"NL*EXA*E{number // 2:05}*{number % 2 + 1}"


async def fill(store: Store) -> None:
    """Our own locations, as pushes would have left them."""
    when = "2026-03-02T09:00:00Z"

    def evse(number: int) -> Any:
        plug = {
            "id": "1", "standard": "IEC_62196_T2", "format": "SOCKET", "power_type": "AC_3_PHASE", "max_voltage": 230,
            "max_amperage": 32, "tariff_ids": ["STANDARD"], "last_updated": when,
        }  # fmt: skip
        return {
            "uid": f"E{number}", "evse_id": spelled(number), "status": "AVAILABLE", "connectors": [plug],
            "last_updated": when,
        }  # fmt: skip

    for number in range(0, OWN, 2):
        location = {
            "country_code": "NL", "party_id": "EXA", "id": f"LOC{number // 2}", "publish": True, "name": "Square",
            "address": "Neude 11", "city": "Utrecht", "country": "NLD", "time_zone": "Europe/Amsterdam",
            "coordinates": {"latitude": "52.093050", "longitude": "5.118600"},
            "evses": [evse(number), evse(number + 1)], "last_updated": when,
        }  # fmt: skip
        body = dumps(location)
        await store.say(Name(Module.LOCATIONS, OURS, location["id"]), body, body, "2.2.1", "backend", 0, [])


async def used(url: str) -> int:
    async with Redis.from_url(url) as client:
        return int((await client.info("memory"))["used_memory"])


async def lines(connectors: int) -> list[Line]:
    """All measurements."""
    return [line for shape in ("new", "old") for line in await of_shape(shape, connectors)]


async def of_shape(shape: Literal["new", "old"], connectors: int) -> list[Line]:
    feed = Feed(KEY, connectors=connectors, own=[Own(spelled(number)) for number in range(OWN)])
    with tempfile.TemporaryDirectory(prefix="og-") as folder:
        async with feed:
            server = await attach_or_start(Path(folder) / "redis")
            store = Store.connect(server.url)
            try:
                await fill(store)
                consumer = configure(Path(folder), server.url, feed, shape)
                return await measured(Path(folder), server.url, feed, shape, consumer)
            finally:
                await store.aclose()
                await server.stop()


async def measured(
    folder: Path, redis: str, feed: Feed, shape: Literal["new", "old"], consumer: Consumer
) -> list[Line]:
    megabytes, naive = await naively(feed, shape)
    found = []
    async with child("--gateway", str(folder)) as (pid, ask):
        for what in ("imported", "again"):
            idle, before = from_here(pid), await used(redis)
            report, seconds, others = await timed(ask("eco"), consumer.base_url)
            extra, kept = rss(pid, "VmHWM") - idle, (await used(redis) - before) / MIB
            assert report["refused"] is None, report
            assert report["connectors"] == feed.counts["connector_prices"], report
            figures = (
                f"{sum(report['rows'].values()):,} rows, {megabytes:.0f} MB; {extra:.1f} MB extra"
                f" ({extra / megabytes:.2f} of the feed; all in memory {naive:.0f} MB); Redis {kept:+.1f} MiB;"
                f" others {others:.0f} ms"
            )
            found.append(
                Line(f"{what}, {shape} shape, {feed.counts['connector_prices']:,} connectors", seconds, figures)
            )
            feed.update()
        path, most = ("/eco-movement/prices", PAGE) if shape == "new" else ("/eco-movement/2.1.1/prices", 1000)
        for what in ("with the cut", "of a shelf that stands"):
            idle = from_here(pid)
            page, seconds, others = await timed(consumer.read(path, limit=most), consumer.base_url)
            assert page.ok, page
            assert page.data
            figures = (
                f"{len(page.data):,} rows, {len(page.raw) / 1e6:.1f} MB; {rss(pid, 'VmHWM') - idle:.1f} MB extra;"
                f" others {others:.0f} ms"
            )
            found.append(Line(f"served, {shape} shape, a page {what}", seconds, figures))
    return found


async def timed(work: Awaitable[Any], base: str) -> tuple[Any, float, float]:
    """What came of it, in how many seconds; and the longest that a small request took meanwhile, in milliseconds."""
    longest = 0.0

    async def ask_meanwhile() -> None:
        nonlocal longest
        async with aiohttp.ClientSession() as session:
            while True:
                began = perf_counter()
                async with session.get(f"{base}/ocpi/versions") as answer:
                    await answer.read()
                longest = max(longest, perf_counter() - began)
                await asyncio.sleep(0.01)

    somebody = asyncio.create_task(ask_meanwhile())
    started = perf_counter()
    done = await work
    seconds = perf_counter() - started
    somebody.cancel()
    return done, seconds, longest * 1000


def configure(folder: Path, redis: str, feed: Feed, shape: Literal["new", "old"]) -> Consumer:
    listen, admin = free_ports(2)
    (folder / "config/partners").mkdir(parents=True)
    (folder / "config/gateway.yaml").write_text(GATEWAY.format(listen=listen, admin=admin, redis=redis))
    (folder / "config/partners/eco.yaml").write_text(feed.partner_file(shape, feed=shut()))
    everything = ("wholesale", "adhoc", "msp_retail", "cpo_subscription")
    consumer = Consumer("map-token", audience=everything, redistribute=True, base_url=f"http://127.0.0.1:{listen}")
    (folder / "config/partners/map.yaml").write_text(consumer.partner_file)
    return consumer


# Processes of their own -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def child(*words: str) -> AsyncIterator[Any]:
    """Its process id, and how to ask it: a line in, a line of JSON out."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, *words, env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        limit=64 * MIB,
    )  # fmt: skip
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None

    async def ask(line: str) -> Any:
        stdin.write(f"{line}\n".encode())
        return json.loads(await stdout.readline())

    try:
        assert json.loads(await stdout.readline()) == "up"
        yield process.pid, ask
        stdin.close()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def naively(feed: Feed, shape: Literal["new", "old"]) -> tuple[float, float]:
    """Megabytes of the whole feed, and the memory of a process that reads it as one."""
    new = [feed.connector_prices_url, feed.prices_url]
    urls = [feed.locations_url(), *(new if shape == "new" else [feed.old_prices_url])]
    async with child("--naive") as (pid, ask):
        idle = from_here(pid)
        size = sum([await ask(url) for url in urls])
        return size / 1e6, rss(pid, "VmHWM") - idle


def hold_everything() -> None:
    """Reads each list that it is told of to its end, keeps all rows, and tells how many bytes they were."""
    rows: list[Any] = []
    say("up")
    for line in sys.stdin:
        url: str | None = line.strip()
        size = 0
        while url:
            request = Request(url, headers={"Authorization": f"Token {KEY}"})  # noqa: S310 - our own feed
            with urlopen(request) as answer:  # noqa: S310
                body, link = answer.read(), answer.headers.get("Link")
            size += len(body)
            rows += json.loads(body)["data"]
            url = link[1 : link.index(">")] if link else None
        say(size)


async def serve(folder: Path) -> None:
    """A gateway that begins nothing by itself; it reads each feed that it is told to, and tells what came of it."""
    telemetry.configure(stream=sys.stderr)
    settings = load(folder / "config", {adapter.version: adapter.sends_routing_headers for adapter in VERSIONS})
    async with Gateway.running(settings, folder / "data", by_itself=False) as gateway:
        await gateway.up()
        say("up")
        while line := await asyncio.to_thread(sys.stdin.readline):
            say((await gateway.prices.read(line.strip())).json())


def say(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


@pytest.mark.bench
@pytest.mark.timeout(1800)
async def test_prices() -> None:
    """Both shapes."""
    sys.stdout.write("\n" + "\n".join(map(str, await lines(CONNECTORS))) + "\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--gateway", folder]:
            asyncio.run(serve(Path(folder)))
        case ["--naive"]:
            hold_everything()
        case words:
            sys.stdout.write("\n".join(map(str, asyncio.run(lines(int(words[0]) if words else CONNECTORS)))) + "\n")
