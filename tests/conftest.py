"""What all tests share: one real redis-server per xdist worker, and a store on it that starts empty."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import hypothesis
import pytest_asyncio
from redis.asyncio import Redis

from gateway.store.embedded import Embedded, attach_or_start
from gateway.store.redis import Store

# The same examples in every run, and no deadline for them: a busy machine is no failure.
_PATIENT = [hypothesis.HealthCheck.too_slow]
hypothesis.settings.register_profile("suite", deadline=None, derandomize=True, suppress_health_check=_PATIENT)
hypothesis.settings.load_profile("suite")


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
