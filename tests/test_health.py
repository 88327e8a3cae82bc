"""Health, and a Redis that is away: what is refused, what goes on, and that it comes back by itself."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from attrs import define
from witness import Reply, ask, outcome, say

from gateway.app import Gateway
from gateway.demo.peers import Exchange
from gateway.demo.story import location, stamp, tariff
from gateway.demo.world import Cast, World
from gateway.store.embedded import Embedded, attach_or_start
from gateway.web.json import dumps

ACME = Cast(name="acme", version="2.1.1", country="DEU", party="ACM")
VOLT = Cast(name="volt", version="2.2.1", party="VLT", business="Volt Drive")
UID = "04AC3E0001"


@define
class Machine:
    """The redis-server of another machine, which comes and goes at one address."""

    folder: Path
    server: Embedded | None = None

    async def up(self) -> None:
        self.server = await attach_or_start(self.folder)

    async def down(self) -> None:
        if self.server is not None:
            await self.server.stop()
            self.server = None

    @property
    def yaml(self) -> str:
        """The line of ``gateway.yaml`` that names it."""
        return f'redis: {{url: "unix://{self.folder}/redis.sock"}}'


@pytest_asyncio.fixture
async def machine() -> AsyncIterator[Machine]:
    with tempfile.TemporaryDirectory(prefix="og-") as folder:
        machine = Machine(Path(folder))
        await machine.up()
        yield machine
        await machine.down()


async def get(gateway: Gateway, path: str) -> Reply:
    """From the admin listener."""
    return await say(gateway.admin, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())


async def metric(gateway: Gateway, name: str) -> float:
    """The value of a metric without labels."""
    reader, writer = await asyncio.open_connection(*gateway.admin)
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    text = (await reader.read()).decode()
    writer.close()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


async def until(outcome_is: Callable[[], Awaitable[bool]]) -> None:
    """What comes back by itself tells nobody, so this looks."""
    async with asyncio.timeout(5):
        while not await outcome_is():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def token() -> dict[str, Any]:
    return {
        "uid": UID, "type": "RFID", "auth_id": "DE-ACM-C00000001-A", "issuer": "Acme Mobility", "valid": True,
        "whitelist": "ALLOWED", "last_updated": stamp(datetime.now(UTC)),
    }  # fmt: skip


async def test_a_gateway_with_redis_is_live_and_ready(tmp_path: Path) -> None:
    """Both 200, though no partner has registered: readiness never waits for them."""
    async with World.of(tmp_path, ACME, VOLT, register=False) as world:
        live, ready = await get(world.gateway, "/live"), await get(world.gateway, "/ready")
        assert (live.http, live.envelope) == (200, {"status": "live"})
        assert (ready.http, ready.envelope) == (200, {"status": "ready", "redis": "up"})


async def test_ready_is_503_until_redis_was_seen_once(tmp_path: Path, machine: Machine) -> None:
    """It listens, and answers 3000 to whatever needs Redis; when Redis comes it goes to work by itself."""
    async with World.of(tmp_path, ACME, gateway_yaml=machine.yaml) as world:
        settings, data, core = world.settings, world.folder / "data", world.backend
        await world.stop()
        await machine.down()
        async with Gateway.running(settings, data) as gateway:
            assert (await get(gateway, "/live")).http == 200
            ready = await get(gateway, "/ready")
            assert (ready.http, ready.envelope) == (503, {"status": "starting", "redis": "away"})
            assert await metric(gateway, "ocpi_gateway_store_up") == 0
            # A static token is known without Redis; one that a handshake made can't be told from a stranger's.
            assert outcome(await ask(core, "GET", "/ocpi/versions")) == (200, 1000)
            assert outcome(await ask(world["acme"], "GET", "/ocpi/versions")) == (200, 3000)
            assert outcome(await core.push_tariff(tariff(datetime.now(UTC)))) == (200, 3000)
            await machine.up()
            async with asyncio.timeout(5):
                await gateway.up()
            ready = await get(gateway, "/ready")
            assert (ready.http, ready.envelope) == (200, {"status": "ready", "redis": "up"})
            assert outcome(await ask(world["acme"], "GET", "/ocpi/versions")) == (200, 1000)
            assert outcome(await core.push_tariff(tariff(datetime.now(UTC)))) == (201, 1000)
            await world["acme"].wait_for("PUT", "tariffs")


async def test_while_redis_is_away_what_it_must_keep_is_3000(tmp_path: Path, machine: Machine) -> None:
    """Pushes in both directions and credentials; nobody is told 401 who is known; ``/ready`` stays 200."""
    async with World.of(tmp_path, ACME, VOLT, gateway_yaml=machine.yaml) as world:
        core, acme, volt, now = world.backend, world["acme"], world["volt"], datetime.now(UTC)
        for last in (False, True):  # news of a registration that comes late makes its tokens be looked up again
            assert (await acme.push_token(token())).ok
            assert (await volt.get("credentials")).ok
            if not last:
                await news_heard(world.gateway, "acme", "volt")
        await machine.down()
        heard = {peer.name: len(peer.received) for peer in world.peers}

        ready = await get(world.gateway, "/ready")
        assert (ready.http, ready.envelope) == (200, {"status": "ready", "redis": "away"})
        assert await metric(world.gateway, "ocpi_gateway_store_up") == 0
        assert outcome(await core.push_location(location(now))) == (200, 3000)
        assert outcome(await acme.push_token({**token(), "valid": False})) == (200, 3000)
        assert outcome(await credentials(volt)) == (200, 3000)
        assert {peer.name: len(peer.received) for peer in world.peers} == heard

        for peer in (core, acme, volt):
            assert outcome(await ask(peer, "GET", "/ocpi/versions")) == (200, 1000), peer.name
        stranger = await volt.line.ask("GET", world.versions_url, token="nobody-knows-this-one")
        assert outcome(stranger) == (200, 3000)  # it may be one that another replica made a moment ago


async def news_heard(gateway: Gateway, *links: str) -> None:
    """Whatever was announced of registrations so far has come: these links, which are remembered, are so no more."""
    for link in links:
        await gateway.store.announce("registration", link)
    async with asyncio.timeout(5):
        while any(seen[1].link in links for seen in gateway.doorkeeper._seen.values()):  # noqa: ASYNC110 - a cache wakes nobody
            await asyncio.sleep(0.01)


async def credentials(peer: Any) -> Exchange:
    """Its credentials once more."""
    body = dumps(peer.handshake.credentials("a-new-token-b"))
    return await ask(peer, "PUT", f"/ocpi/{peer.who.version}/credentials", body)


@pytest.mark.parametrize("name", ["acme", "volt"])
async def test_authorizations_go_on_without_redis(tmp_path: Path, machine: Machine, name: str) -> None:
    """A question that says whom it asks needs nothing that Redis has."""
    async with World.of(tmp_path, ACME, VOLT, gateway_yaml=machine.yaml) as world:
        peer, party = world[name], world[name].who.roles[0].party_id
        known = token() if name == "acme" else {
            **token(), "country_code": "DE", "party_id": party, "contract_id": "DE-VLT-C00000001-A"
        }  # fmt: skip
        assert (await peer.push_token(known)).ok
        await machine.down()
        answer = await world.backend.authorize(UID, to=("DE", party))
        assert (outcome(answer), answer.data["allowed"]) == ((200, 1000), "ALLOWED")


async def test_it_recovers_by_itself(tmp_path: Path, machine: Machine) -> None:
    """Nobody restarts anything: what is pushed after Redis is back is stored and delivered, what was before is kept."""
    async with World.of(tmp_path, ACME, gateway_yaml=machine.yaml) as world:
        core, acme = world.backend, world["acme"]
        assert (await core.push_tariff(tariff(datetime.now(UTC)))).ok
        await acme.wait_for("PUT", "tariffs")
        await machine.down()
        assert outcome(await core.push_location(location(datetime.now(UTC)))) == (200, 3000)
        await machine.up()

        async def accepted() -> bool:
            return (await core.push_location(location(datetime.now(UTC)))).ok

        await until(accepted)
        await acme.wait_for("PUT", "locations")
        assert await metric(world.gateway, "ocpi_gateway_store_up") in (0, 1)  # as of the last look
        assert (await get(world.gateway, "/ready")).envelope == {"status": "ready", "redis": "up"}
        assert await metric(world.gateway, "ocpi_gateway_store_up") == 1
        assert (await acme.push_token(token())).ok
        assert outcome(await acme.rotate()) == (200, 1000)
