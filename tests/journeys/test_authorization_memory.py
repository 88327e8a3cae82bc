"""Tokens in the gateways' memory: as quick as they are true, and all that is left while Redis is away."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from attrs import evolve
from scenes import ACME, NEW, OLD, VOLT, Begin, Json, at_volt, operator, thing

from gateway.announced import Announced
from gateway.demo.world import World
from gateway.lookup import Lookup
from gateway.model.errors import NotDurable
from gateway.model.modules import Module
from gateway.model.names import Name, Said
from gateway.model.party import Party
from gateway.store.embedded import Embedded, attach_or_start
from gateway.store.redis import Store
from gateway.web.json import CODEC

BUDGET = "authorize: {timeout: 400ms}"
UID = "04F017BEEF"
EMSP = Party("DE", "VLT")


def card(**changes: Any) -> Json:
    return at_volt(thing("token", NEW)) | {"whitelist": "ALWAYS"} | changes


# Several gateways -----------------------------------------------------------------------------------------------------


async def test_what_is_blocked_on_one_replica_is_blocked_on_the_other(world: Begin) -> None:
    """One gateway has the card in memory; its eMSP blocks it through the other; within a moment both say so."""
    stage = await world(VOLT, backend=operator(NEW), gateways=2)
    for number, (valid, allowed) in enumerate([(True, "ALLOWED"), (False, "BLOCKED"), (True, "ALLOWED")]):
        stage.through(stage["volt"], number % 2)
        stage.through(stage.backend, 1 - number % 2)
        assert (await stage["volt"].push_token(card(valid=valid, last_updated=f"2026-02-0{number + 1}T00:00:00Z"))).ok
        async with asyncio.timeout(5):
            while (await stage.backend.authorize(UID)).data["allowed"] != allowed:
                pass
        for gateway in (0, 1):
            stage.through(stage.backend, gateway)
            assert (await stage.backend.authorize(UID)).data["allowed"] == allowed


async def test_a_card_is_known_at_once_where_it_wasnt(world: Begin) -> None:
    """That nobody announced it isn't remembered for longer than it is true."""
    stage = await world(VOLT, backend=operator(NEW), gateways=2)
    stage.through(stage["volt"], 1)
    assert (await stage.backend.authorize(UID)).status_code == 2004
    await stage["volt"].push_token(card())
    async with asyncio.timeout(3):
        while (await stage.backend.authorize(UID)).status_code != 1000:
            pass


# Without Redis --------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[Embedded]:
    """A redis-server that a story may stop."""
    server = await attach_or_start(tmp_path / "redis")
    yield server
    await server.stop()


async def test_without_redis_memory_decides(own_server: Embedded, tmp_path: Path) -> None:
    """Redis is gone: cards in memory are asked about, or decided by their whitelist; of others nothing can be said."""
    acme, volt = evolve(ACME, more=BUDGET), evolve(VOLT, more=BUDGET)
    redis = f'redis: {{url: "{own_server.url}"}}'
    async with World.of(tmp_path / "world", acme, volt, backend=operator(NEW), gateway_yaml=redis) as stage:
        await stage["volt"].push_token(card())
        await stage["acme"].push_token(thing("token", OLD) | {"whitelist": "ALLOWED_OFFLINE"})
        await stage["acme"].push_token(thing("token", OLD) | {"uid": "04UNASKED"})
        for uid in (UID, "04A1B2C3D4E5F6"):
            assert (await stage.backend.authorize(uid)).data["allowed"] == "ALLOWED"
        assert own_server.pid is not None
        os.kill(own_server.pid, signal.SIGKILL)
        for _ in range(3):
            assert (await stage.backend.authorize(UID)).data["allowed"] == "ALLOWED"
        stage["acme"].decide("04A1B2C3D4E5F6", "NO_CREDIT")
        assert (await stage.backend.authorize("04A1B2C3D4E5F6")).data["allowed"] == "NO_CREDIT"
        await stage["acme"].down()
        assert (await stage.backend.authorize("04A1B2C3D4E5F6")).data["allowed"] == "ALLOWED"
        assert (await stage.backend.authorize("04UNASKED")).status_code == 3000
        assert (await stage.backend.authorize("04NOBODY")).status_code == 3000


# The memory itself ----------------------------------------------------------------------------------------------------


class Gate:
    """The store, with a door in front of its objects that can be shut while somebody has gone in.

    It knows as well what the memory has heard from it.
    """

    def __init__(self, store: Store) -> None:
        self.store, self.reads = store, 0
        self.open, self.inside, self._changed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.open.set()
        self._told: list[str | None] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def read_many(self, names: Sequence[Name], link: str | None = None) -> list[Said | None]:
        self.reads += 1
        found = await self.store.read_many(names, link)
        self.inside.set()
        await self.open.wait()
        return found

    async def retold(self, every: float) -> AsyncGenerator[str | None, None]:
        async with aclosing(self.store.retold(every)) as told:
            async for uid in told:
                yield uid
                self._told.append(uid)
                self._changed.set()

    async def heard(self, uid: str | None, times: int = 1) -> None:
        """Wait until the memory has heard this so often."""
        async with asyncio.timeout(5):
            while self._told.count(uid) < times:
                self._changed.clear()
                await self._changed.wait()


@pytest_asyncio.fixture
async def gate(store: Store) -> Gate:
    return Gate(store)


@pytest_asyncio.fixture
async def listening(gate: Gate, store: Store) -> AsyncIterator[Announced]:
    """A small memory that hears what is said, and so is sure of what it reads."""
    announced = Announced(gate, Lookup(store, CODEC), most=2)  # type: ignore[arg-type]
    task = asyncio.create_task(announced.run())
    await gate.heard(None, 2)  # the confirmation of the subscription counts as a gap
    yield announced
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
def deaf(gate: Gate, store: Store) -> Announced:
    """A memory without a line to the store."""
    return Announced(gate, Lookup(store, CODEC))  # type: ignore[arg-type]


async def announce(store: Store, uid: str = UID, **changes: Any) -> None:
    value = CODEC.dumps(card(uid=uid, **changes))
    name = Name(Module.TOKENS, EMSP, uid, "RFID")
    await store.say(name, value, value, NEW, "volt", None, ())
    await store.index_token(name, "DE-VLT-C")


def valid(found: tuple[tuple[Name, Said], ...]) -> bool:
    ((_, said),) = found
    return bool(CODEC.loads(said.canonical)["valid"])


async def test_a_card_is_read_once(store: Store, gate: Gate, listening: Announced) -> None:
    """What was asked about just now isn't read again, in whatever case its uid is written; of three, two are kept."""
    for uid in ("04A", "04B", "04C"):
        await announce(store, uid)
        await gate.heard(uid)
    for uid in ("04A", "04B", "04b", "04B", "04C", "04B"):
        await listening.tokens(uid)
    assert gate.reads == 3
    await listening.tokens("04A")
    assert gate.reads == 4


async def test_a_look_that_a_change_overtakes_is_not_kept(store: Store, gate: Gate, listening: Announced) -> None:
    """While the old word is on its way from Redis the eMSP blocks the card: the next one reads the new word."""
    await announce(store)
    await gate.heard(UID)
    gate.open.clear()
    looking = asyncio.create_task(listening.tokens(UID))
    await gate.inside.wait()
    await announce(store, valid=False)
    await gate.heard(UID, 2)
    gate.open.set()
    assert valid(await looking)
    assert not valid(await listening.tokens(UID))


async def test_without_a_line_to_the_store_nothing_is_sure(store: Store, gate: Gate, deaf: Announced) -> None:
    """Who hears nothing of changes reads each time; what memory has counts only when that fails."""
    await announce(store)
    for _ in range(2):
        assert valid(await deaf.tokens(UID))
    assert gate.reads == 2
    await announce(store, valid=False)
    assert not valid(await deaf.tokens(UID))


async def test_a_slow_store_holds_up_one_driver_and_not_the_next(store: Store, gate: Gate, deaf: Announced) -> None:
    """Half a second for the first who asks, then a twentieth; and of a stranger's card nothing is known."""
    await announce(store)
    await deaf.tokens(UID)
    gate.open.clear()
    took = []
    for _ in range(3):
        started = time.monotonic()
        assert valid(await deaf.tokens(UID))
        took.append(time.monotonic() - started)
    assert took[0] >= 0.45
    assert took[1] + took[2] < 0.45
    await announce(store, "04STRANGER")
    with pytest.raises(NotDurable):
        await deaf.tokens("04STRANGER")
    gate.open.set()
    assert valid(await deaf.tokens("04STRANGER"))
    assert not deaf.away


async def test_how_long_ago_a_link_told_of_its_tokens(store: Store) -> None:
    """Very long, if it never did; and when the store is away, by the last that is known."""
    lookup, now = Lookup(store, CODEC), datetime.now(UTC)
    announced = Announced(store, lookup, now=lambda: now + timedelta(hours=3))
    assert await announced.age("volt") == timedelta.max
    await lookup.heard_of_tokens("volt", now)
    assert await announced.age("volt") == timedelta(hours=3)
    await store.aclose()
    await store.client.connection_pool.disconnect()
    announced.clock = lambda: time.monotonic() + 60
    assert await announced.age("volt") == timedelta(hours=3)
