"""A primary behind sentinels: when it dies, writes go on at its replica, and nothing that was acknowledged is gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio
from redis_processes import Watched, watched

from gateway.model.errors import NotDurable
from gateway.model.modules import Module
from gateway.model.names import Name
from gateway.model.party import Party
from gateway.settings.files import Durability
from gateway.store.redis import Store

EXA = Party("NL", "EXA")
LOCATION = Name(Module.LOCATIONS, EXA, "LOC1")


@pytest_asyncio.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Watched]:
    async with watched(tmp_path / "servers") as servers:
        yield servers


async def test_a_failover_loses_nothing_that_was_acknowledged(servers: Watched, tmp_path: Path) -> None:
    """With ``durability: replica`` each write is at the replica before it counts; writing goes on within 10 s."""
    store = Store.connect(servers.url, durability=Durability.REPLICA, data=tmp_path)
    await store.recognise()
    acknowledged: list[Name] = []
    many, refused = asyncio.Event(), asyncio.Event()

    async def writer(who: int) -> None:
        for number in count():
            name = Name(Module.SESSIONS, EXA, f"{who}-{number}")
            try:
                await store.say(name, b"x" * 200, b"y" * 200, "2.2.1", "core", None, ["acme"])
            except NotDurable:
                refused.set()
                await asyncio.sleep(0.05)
            else:
                acknowledged.append(name)
                if len(acknowledged) == 40:
                    many.set()

    async with aclosing(store.woken(every=0.2)) as woken:
        await anext(woken)
        async with asyncio.timeout(10), asyncio.TaskGroup() as writing:
            writers = [writing.create_task(writer(who)) for who in range(8)]
            await many.wait()
            servers.primary.kill()
            await refused.wait()
            for task in writers:
                task.cancel()

        began = time.monotonic()
        # Alone, the new primary has nobody to confirm anything: it takes reads, and no write counts.
        alone = Store.connect(servers.url)
        while True:
            try:
                await alone.say(LOCATION, b"1", b"1", "2.2.1", "core", None, ["acme"])
                break
            except NotDurable:
                await asyncio.sleep(0.1)
        assert time.monotonic() - began < 10
        assert None not in await store.read_many(acknowledged)
        with pytest.raises(NotDurable, match="replica"):
            await store.say(LOCATION, b"2", b"2", "2.2.1", "core", None, ["acme"])

        # The old one comes back as a replica of the new one, and all is well again.
        servers.primary.start()
        await servers.primary.say("REPLICAOF", "127.0.0.1", servers.replica.port)  # the sentinels would in 8 s
        async with asyncio.timeout(20):
            while True:
                try:
                    await store.look()
                    await store.say(LOCATION, b"3", b"3", "2.2.1", "core", None, ["acme"])
                    break
                except NotDurable:
                    await asyncio.sleep(0.1)
        assert None not in await store.read_many(acknowledged)

        # Who waited for calls on the old primary hears them from the new one.
        async with asyncio.timeout(5):
            heard = None
            while heard != "acme":
                await store.notify("acme")
                heard = await anext(woken)
    await alone.aclose()
    await store.aclose()


async def test_sentinels_that_are_gone_are_stepped_over(servers: Watched) -> None:
    """Any sentinel that lives will do; without any, Redis is away, and says why."""
    for process in servers.sentinels[:2]:
        process.kill()
        process.wait()
    store = Store.connect(servers.url)
    assert await store.say(LOCATION, b"1", b"1", "2.2.1", "core", 0, ()) == 1
    await store.aclose()
    servers.sentinels[2].kill()
    servers.sentinels[2].wait()
    store = Store.connect(servers.url)
    with pytest.raises(NotDurable, match="the sentinels name no primary"):
        await store.read(LOCATION)
    await store.aclose()


async def test_a_replica_that_stands_still_confirms_nothing(servers: Watched, tmp_path: Path) -> None:
    """A write that only the primary has isn't acknowledged; reads, lanes and what ends by itself go on."""
    store = Store.connect(servers.url, durability=Durability.REPLICA, data=tmp_path)
    await store.recognise()
    servers.replica.stop()
    try:
        began = time.monotonic()
        with pytest.raises(NotDurable, match="no replica has confirmed"):
            await store.say(LOCATION, b"1", b"1", "2.2.1", "core", 0, ())
        with pytest.raises(NotDurable, match="no replica has confirmed"):
            await store.take("acme", LOCATION)  # a transaction
        with pytest.raises(NotDurable, match="no replica has confirmed"):
            await store.command("SET", store.keys.credential_key(), b"1")
        assert time.monotonic() - began < 9
        async with store.lane("acme", LOCATION, 1000):
            assert await store.owing() == []
    finally:
        servers.replica.go_on()
    await store.say(LOCATION, b"2", b"2", "2.2.1", "core", None, ())
    await store.aclose()
