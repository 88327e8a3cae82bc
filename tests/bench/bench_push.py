"""What a backend waits for: microseconds until a Location is acknowledged, with 1, 50 and 500 partners to be owed it.

    python tests/bench/bench_push.py
    pytest tests/bench/bench_push.py -m bench -n 0 -s

A location is put by a 2.2.1 backend, again and again with a new ``last_updated``, and carried from the request to its
answer: without HTTP, with a redis-server as the gateway starts it. Every second partner speaks 2.1.1, the others 2.2.1.
They haven't registered: all is owed to them and nothing brought, so that only the acknowledgement is measured. Beside
the whole stands what routing takes of it, and how many times the push to one partner the whole is. The rounds of the
sizes are interleaved, and the median of each counts. Nothing is asserted about time; that each push is acknowledged,
and owed to everybody, is.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Final

import pytest
import structlog
from attrs import field, frozen

sys.path.insert(0, str(Path(__file__).parent.parent / "wire"))

import samples

from gateway.app import ADAPTERS, Gateway
from gateway.demo.world import free_ports
from gateway.model.message import HttpRequest
from gateway.model.modules import Module
from gateway.routing import About, Broadcast, route
from gateway.settings import load
from gateway.store.embedded import attach_or_start

SIZES: Final = (1, 50, 500)
ROUNDS: Final = 15
WARM_UP: Final = 3
SINCE: Final = datetime(2026, 3, 1, tzinfo=UTC)

GATEWAY: Final = """\
public_url: http://127.0.0.1:{listen}
listen: 127.0.0.1:{listen}
admin: {{listen: "127.0.0.1:{admin}"}}
redis: {{url: "{redis}", prefix: push{size}}}
hub: {{country_code: NL, party_id: GWY}}
parties:
  - {{country_code: NL, party_id: EXA, role: CPO, name: Example Charging}}
backend:
  version: "2.2.1"
  roles: [{{role: CPO, country_code: NL, party_id: EXA}}]
  registration: {{start: them, token_in: {{value: backend-token-a}}}}
"""
PARTNER: Final = """\
version: "{version}"
roles: [{{role: EMSP, country_code: DE, party_id: "{number:03}"}}]
registration: {{start: them, token_in: {{value: token-a-of-{number}}}}}
"""


@frozen
class Scene:
    """A gateway with so many partners, and what pushing to them took, in microseconds."""

    size: int
    gateway: Gateway
    pushes: list[float] = field(factory=list)
    routes: list[float] = field(factory=list)

    async def push(self, number: int) -> None:
        """One push, and then whatever it leaves to be done, which nobody waits for."""
        http = put(number)
        directory = self.gateway.links.directory
        backend = directory["backend"]
        carry = self.gateway._server._pipeline.carry  # what HTTP costs is the same however many partners there are
        started = perf_counter()
        answer = await carry(http, backend, directory)
        self.pushes.append((perf_counter() - started) * 1e6)
        assert answer.body["status_code"] == 1000, answer
        await asyncio.sleep(0.05)  # until those who were woken have found that they can't be brought anything
        await self.gateway.courier.settle_down(10)

        message = ADAPTERS["2.2.1"].open_request(http, backend.dialect)
        started = perf_counter()
        plan = route(message, backend, directory, None, About(at=datetime.now(UTC)))
        self.routes.append((perf_counter() - started) * 1e6)
        assert isinstance(plan, Broadcast)
        assert len(plan.targets) == self.size

    async def check(self) -> None:
        """Everybody is owed the location, and may list it."""
        for link in self.gateway.links.directory.partners:
            _, total, _ = await self.gateway.store.seen_page(link.id, Module.LOCATIONS, limit=1)
            assert (total, (await self.gateway.store.backlog(link.id)).due) == (1, 1)


def put(number: int) -> HttpRequest:
    """The location as it is at that time."""
    at = f"{SINCE + timedelta(seconds=number):%Y-%m-%dT%H:%M:%SZ}"
    location = {**samples.location_221(), "last_updated": at}
    segments = ("receiver", "locations", "NL", "EXA", location["id"])
    headers = {"OCPI-from-country-code": "NL", "OCPI-from-party-id": "EXA"}
    url = f"http://gateway/ocpi/2.2.1/{'/'.join(segments)}"
    return HttpRequest(method="PUT", url=url, segments=segments, headers=headers, body=location)


async def scene(stack: AsyncExitStack, folder: Path, redis: str, size: int) -> Scene:
    listen, admin = free_ports(2)
    config = folder / str(size)
    (config / "partners").mkdir(parents=True)
    (config / "gateway.yaml").write_text(GATEWAY.format(listen=listen, admin=admin, redis=redis, size=size))
    for number in range(size):
        file = PARTNER.format(version=("2.1.1", "2.2.1")[number % 2], number=number)
        (config / f"partners/partner{number}.yaml").write_text(file)
    versions = {version: adapter.sends_routing_headers for version, adapter in ADAPTERS.items()}
    settings = load(config, versions, os.environ)
    gateway = await stack.enter_async_context(Gateway.running(settings, folder))
    await gateway.up()
    return Scene(size, gateway)


async def scenes() -> list[Scene]:
    """All measurements."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="og-")))
        server = await attach_or_start(folder / "redis")
        stack.push_async_callback(server.stop)
        found = [await scene(stack, folder, server.url, size) for size in SIZES]
        for number in range(WARM_UP + ROUNDS):
            for each in found:
                await each.push(number)
        for each in found:
            await each.check()
    return found


def report(found: list[Scene]) -> str:
    one = statistics.median(found[0].pushes[WARM_UP:])
    rows = [f"{'partners':>8}{'push us':>12}{'of it routing':>15}{'ratio':>9}"]
    for each in found:
        push, routing = (statistics.median(times[WARM_UP:]) for times in (each.pushes, each.routes))
        rows.append(f"{each.size:8}{push:12,.0f}{routing:15,.0f}{push / one:9.1f}")
    return "\n".join(rows)


@pytest.mark.bench
@pytest.mark.timeout(600)
async def test_push() -> None:
    """All sizes."""
    sys.stdout.write("\n" + report(await scenes()) + "\n")


if __name__ == "__main__":
    sys.stdout.write(report(asyncio.run(scenes())) + "\n")
