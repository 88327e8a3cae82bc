"""What a server must do before its word counts, and what happens when it doesn't."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from attrs import evolve
from redis_processes import DURABLE, Process

from gateway.model.errors import NotDurable
from gateway.model.modules import Module
from gateway.model.names import Name
from gateway.model.party import Party
from gateway.settings.files import Durability, OnWeaker
from gateway.store.durability import ServerInfo, weaknesses
from gateway.store.embedded import NoServer
from gateway.store.redis import Store
from gateway.telemetry import STORE_DURABLE

LOCATION = Name(Module.LOCATIONS, Party("NL", "EXA"), "LOC1")

SOUND = ServerInfo(
    where="redis:6379", product="redis", version="6.2.0", aof=True, fsync="always", eviction="noeviction", replicas=1,
    at=0,
)  # fmt: skip


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Process]:
    server = Process(tmp_path / "server", *DURABLE)
    await server.say("PING")
    yield server
    server.kill()


def connected(server: Process, data: Path, durability: Durability = Durability.FSYNC, **more: OnWeaker) -> Store:
    return Store.connect(server.url, durability=durability, data=data, **more)


@pytest.mark.parametrize(
    ("change", "durability", "cure"),
    [
        ({"aof": False}, Durability.FSYNC, "set appendonly yes"),
        ({"fsync": "everysec"}, Durability.FSYNC, "set appendfsync always"),
        ({"fsync": None}, Durability.FSYNC, "allow CONFIG GET"),
        ({"eviction": "allkeys-lru"}, Durability.FSYNC, "set noeviction"),
        ({"version": ""}, Durability.FSYNC, "allow INFO"),
        ({"version": "6.0.16"}, Durability.FSYNC, "6.2 or later is needed"),
        ({"replicas": 0}, Durability.REPLICA, "no replica is connected"),
        ({"eviction": "volatile-ttl"}, Durability.REPLICA, "set noeviction"),
    ],
)
def test_each_weakness_is_named_with_its_cure(change: dict[str, object], durability: Durability, cure: str) -> None:
    """One thing that is wrong is one line, and says what to set."""
    (weakness,) = weaknesses(evolve(SOUND, **change), durability)
    assert cure in weakness


def test_a_sound_server_has_none() -> None:
    """Nor does one that keeps nothing on disk, where a replica has it."""
    assert list(weaknesses(SOUND, Durability.FSYNC)) == []
    assert list(weaknesses(evolve(SOUND, aof=False, fsync=None, product="valkey"), Durability.REPLICA)) == []


async def test_a_weak_server_is_refused_at_the_start(server: Process, tmp_path: Path) -> None:
    """It is there, so this is a mistake of its configuration: what to set is said, and how to go on with less."""
    await server.say("CONFIG SET", "appendfsync", "everysec")
    store = connected(server, tmp_path)
    with pytest.raises(NoServer, match=r"appendfsync is everysec.*set appendfsync always") as refusal:
        await store.demand()
    assert "on_weaker: warn" in str(refusal.value)
    await store.aclose()


async def test_a_server_that_is_away_is_no_mistake(server: Process, tmp_path: Path) -> None:
    """It is waited for, and looked at when it comes."""
    server.kill()
    store = connected(server, tmp_path)
    await store.demand()
    with pytest.raises(NotDurable):
        await store.recognise()
    server.start()
    await server.say("PING")
    await store.recognise()
    await store.aclose()


async def test_a_server_that_grows_weak_gets_no_more_writes(server: Process, tmp_path: Path) -> None:
    """What is read goes on; nothing is acknowledged that wouldn't last, until it would again."""
    store = connected(server, tmp_path)
    await store.recognise()
    assert await store.say(LOCATION, b"1", b"1", "2.2.1", "core", 0, ()) == 1
    await server.say("CONFIG SET", "maxmemory-policy", "allkeys-lru")
    await store.look()
    assert STORE_DURABLE._value.get() == 0
    with pytest.raises(NotDurable, match="set noeviction"):
        await store.say(LOCATION, b"2", b"2", "2.2.1", "core", 1, ())
    with pytest.raises(NotDurable, match="set noeviction"):
        await store.owe("acme", LOCATION, 1)
    assert await store.read(LOCATION) is not None
    async with store.lane("acme", LOCATION, 1000):
        pass
    await server.say("CONFIG SET", "maxmemory-policy", "noeviction")
    await store.look()
    assert STORE_DURABLE._value.get() == 1
    assert await store.say(LOCATION, b"2", b"2", "2.2.1", "core", 1, ()) == 2
    await store.aclose()


async def test_a_server_that_comes_back_weaker_is_looked_at_before_its_word_counts(
    server: Process, tmp_path: Path
) -> None:
    """A restart without its settings is found on the first new connection, by nobody's clock."""
    store = connected(server, tmp_path)
    await store.recognise()
    await server.say("CONFIG SET", "appendfsync", "no")  # no open connection hears of it
    await store.client.follow()
    with pytest.raises(NotDurable, match="appendfsync is no"):
        await store.say(LOCATION, b"1", b"1", "2.2.1", "core", None, ())
    await store.aclose()


async def test_with_warn_everything_passes_and_is_told(server: Process, tmp_path: Path) -> None:
    """Whoever says so goes on with less: the metric tells, and ``doctor``."""
    await server.say("CONFIG SET", "appendonly", "no")
    store = connected(server, tmp_path, on_weaker=OnWeaker.WARN)
    await store.demand()
    await store.recognise()
    assert await store.say(LOCATION, b"1", b"1", "2.2.1", "core", 0, ()) == 1
    assert "set appendonly yes" in store.trust.weak
    assert STORE_DURABLE._value.get() == 0
    await store.aclose()


async def test_a_server_that_keeps_its_settings_to_itself_cant_be_relied_on(server: Process, tmp_path: Path) -> None:
    """Managed ones forbid CONFIG: with ``fsync`` that is a weakness, and the way out is named."""
    await server.say("ACL SETUSER", "og", "on", ">secret", "~*", "&*", "+@all", "-config")
    store = Store.connect(f"redis://og:secret@127.0.0.1:{server.port}/0", durability=Durability.FSYNC, data=tmp_path)
    with pytest.raises(NoServer, match="doesn't tell its appendfsync"):
        await store.demand()
    await store.aclose()


async def test_a_user_who_may_not_even_ask_can_still_work(server: Process, tmp_path: Path) -> None:
    """What can't be known doesn't count, and with ``warn`` it stops nothing, nor does it hide a loss."""
    await server.say("ACL SETUSER", "og", "on", ">secret", "~og:*", "&*", "+@all", "-@dangerous")
    url = f"redis://og:secret@127.0.0.1:{server.port}/0"
    store = Store.connect(url, durability=Durability.FSYNC, on_weaker=OnWeaker.WARN, data=tmp_path)
    await store.recognise()
    assert "allow INFO" in store.trust.weak
    assert await store.say(LOCATION, b"1", b"1", "2.2.1", "core", 0, ()) == 1
    await server.say("FLUSHALL")
    await store.look()
    with pytest.raises(NotDurable, match="it is empty"):
        await store.read(LOCATION)
    assert await store.accept_empty("a test") == store.trust.known.epoch
    await store.aclose()


async def test_without_a_replica_nothing_is_replicated(server: Process, tmp_path: Path) -> None:
    """``durability: replica`` on a single server is refused."""
    store = connected(server, tmp_path, Durability.REPLICA)
    with pytest.raises(NoServer, match="no replica is connected"):
        await store.demand()
    await store.aclose()
