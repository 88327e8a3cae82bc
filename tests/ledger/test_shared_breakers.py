"""What one replica finds out about a link, the others know: they share what opens, closes and is to be tried."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.breaker import Breakers, CircuitOpen
from gateway.model.modules import Module
from gateway.store.redis import Store


@asynccontextmanager
async def working(store: Store) -> AsyncIterator[tuple[Breakers, Breakers]]:
    """The breakers of two replicas, each listening to the other."""
    pair = Breakers(store), Breakers(store)
    tasks = [asyncio.create_task(work) for breakers in pair for work in breakers.work()]
    await said_until(lambda: store.announce("breaker", "nobody rest hubclientinfo 99999999999 other"), heard(pair))
    yield pair
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def heard(pair: tuple[Breakers, Breakers]) -> Callable[[], bool]:
    return lambda: all(breakers.waits("other", Module.HUB_CLIENT_INFO) > 0 for breakers in pair)


async def said_until(say: Callable[[], Awaitable[None]], so: Callable[[], bool]) -> None:
    """Say it again until it was heard: a subscription takes a moment."""
    async with asyncio.timeout(5):
        while not so():
            await say()
            await asyncio.sleep(0.01)


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not so():  # noqa: ASYNC110 (what is heard sets no event)
            await asyncio.sleep(0.01)


def fail(breakers: Breakers, times: int) -> None:
    for _ in range(times):
        with breakers.calling("volt", Module.CDRS) as call:
            call.failed("no connection")


async def test_what_opens_and_closes_in_one_replica_does_so_in_the_other(store: Store) -> None:
    """The other calls nothing in vain, and is told when it may go on."""
    async with working(store) as (one, two):
        back: list[str] = []
        two.closed = back.append
        fail(one, 5)
        await until(lambda: two.waits("volt", Module.CDRS) > 0)
        with pytest.raises(CircuitOpen), two.calling("volt", Module.CDRS):
            pass
        assert two.waits("volt", Module.TOKENS) == 0
        one.urge("volt")
        await until(lambda: two.waits("volt", Module.CDRS) == 0)
        with one.calling("volt", Module.CDRS) as trial:
            trial.answered()
        await until(lambda: not two.is_open("volt", Module.CDRS))
        assert back == ["volt"]


async def test_a_pause_that_one_was_asked_for_is_kept_by_the_other(store: Store) -> None:
    """``Retry-After`` is about the platform, not about who read it."""
    async with working(store) as (one, two):
        with one.calling("volt", Module.LOCATIONS) as call:
            call.asked_to_wait(30, 5, 300)
        await until(lambda: two.waits("volt", Module.LOCATIONS) > 20)
        assert not two.is_open("volt", Module.LOCATIONS)
