"""What all tests share: one real redis-server per xdist worker, a store on it that starts empty, and worlds to play in.

A world is a gateway with its backend and partners, over real sockets and with files as in life."""

from __future__ import annotations

import logging
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import pytest_asyncio
import structlog
from redis.asyncio import Redis

from gateway.demo.world import CORE, Cast, World
from gateway.store.embedded import Embedded, attach_or_start
from gateway.store.redis import Store

# The same examples in every run, and no deadline for them: a busy machine is no failure.
_PATIENT = [hypothesis.HealthCheck.too_slow]
hypothesis.settings.register_profile("suite", deadline=None, derandomize=True, suppress_health_check=_PATIENT)
hypothesis.settings.load_profile("suite")


@pytest.fixture(autouse=True)
def what_is_told() -> Iterator[None]:
    """A verb that was called in this process says how loud its logs are; the next test begins with ours again."""
    told, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**told)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def redis_server() -> AsyncIterator[Embedded]:
    """A redis-server of this worker's own, started as the gateway starts it."""
    with tempfile.TemporaryDirectory(prefix="og-") as folder:
        server = await attach_or_start(Path(folder))
        yield server
        await server.stop()


@pytest_asyncio.fixture
async def store(redis_server: Embedded) -> AsyncIterator[Store]:
    """A store that is connected and empty."""
    async with Redis.from_url(redis_server.url) as client:
        await client.flushall()
    store = Store.connect(redis_server.url)
    yield store
    await store.aclose()


@pytest_asyncio.fixture
async def world(redis_server: Embedded, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[World]]]:
    """``await world(*partners, backend=...)`` begins a world, everybody registered; it ends with the test.

    In the end nobody may have anything to complain about. A story with a mistake in it looks at the complaints that it
    caused and clears them.
    """
    worlds: list[World] = []
    async with AsyncExitStack() as stack:

        async def begin(*partners: Cast, backend: Cast = CORE, gateway_yaml: str = "", **options: Any) -> World:
            folder = tmp_path / str(len(worlds))
            redis = f'redis: {{url: "{redis_server.url}", prefix: {uuid.uuid4().hex[:12]}}}\n{gateway_yaml}'
            worlds.append(
                await stack.enter_async_context(
                    World.of(folder, *partners, backend=backend, gateway_yaml=redis, **options)
                )
            )
            return worlds[-1]

        yield begin
        assert [complaint for world in worlds for complaint in world.complaints] == []
