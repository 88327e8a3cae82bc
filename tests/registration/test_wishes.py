"""What a person asks of the gateways that run: done once, by one of them, and answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from gateway.demo.world import Cast, World
from gateway.model.modules import Module
from gateway.store.redis import Store
from gateway.web.wishes import AT_IT_S, WISH, Deed, Wanted, wish

Begin = Callable[..., Awaitable[World]]

VOLT = Cast(name="volt", party="VLT", business="Volt Drive")


def puts(world: World) -> int:
    """How many rotations the partner was asked for."""
    return sum((call.method, call.module) == ("PUT", "credentials") for call in world["volt"].received)


async def test_of_two_gateways_one_does_it(world: Begin) -> None:
    """Both hear of it; the partner is asked once, and both have what came of it."""
    stage = await world(VOLT, gateways=2)
    before = stage.gateway.links.token_out("volt")
    outcome = await wish(stage.gateway.store, "volt", Deed.ROTATE)
    assert outcome is not None
    assert (outcome.good, outcome.todo) == (True, "")
    assert puts(stage) == 1
    for gateway in stage.gateways:
        await gateway.links.reload("volt")
        assert gateway.links.token_out("volt") != before


async def test_two_who_wish_the_same_get_an_answer_each(world: Begin) -> None:
    """One after the other: each rotation is one that was asked for."""
    stage = await world(VOLT)
    store = stage.gateway.store
    outcomes = await asyncio.gather(*(wish(store, "volt", Deed.ROTATE) for _ in range(2)))
    assert [outcome.good for outcome in outcomes if outcome] == [True, True]
    assert puts(stage) == 2


async def test_what_nobody_took_is_taken_back(world: Begin) -> None:
    """No gateway runs: None. One that comes up, and hears of it only then, lets it be."""
    stage = await world(VOLT)
    await stage.stop()
    redis = stage.settings.redis
    assert redis.url is not None
    store = Store.connect(redis.url.value, redis.prefix)
    async with aclosing(store), aclosing(store.announcements()) as announced:
        assert await anext(announced) is None  # from now on everything is heard
        assert await wish(store, "volt", Deed.ROTATE) is None
        async with asyncio.timeout(5):
            id = await anext(news[1] async for news in announced if news is not None and news[0] == WISH)
    await stage.restart()
    await stage.gateway.wishes.grant(id)
    assert puts(stage) == 0


async def test_who_wished_isnt_kept_waiting_by_a_gateway_that_ended(world: Begin) -> None:
    """It was at it and was stopped: that is said within seconds, however long the deed might have taken."""
    stage = await world(VOLT)
    stage["volt"].slow("tokens", "GET", seconds=30)
    redis = stage.settings.redis
    assert redis.url is not None
    store = Store.connect(redis.url.value, redis.prefix)
    async with aclosing(store):
        asked = asyncio.create_task(wish(store, "volt", Deed.PULL, Wanted(Module.TOKENS)))
        await stage["volt"].wait_for("GET", "tokens")
        await stage.stop()
        async with asyncio.timeout(2 * AT_IT_S):
            outcome = await asked
    assert outcome is not None
    assert not outcome.good
    assert "sync status" in outcome.todo
