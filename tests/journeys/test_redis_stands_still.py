"""A Redis that accepts connections and answers nothing: what needs it waits, what doesn't goes on in its time."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from scenes import ACME, EITHER_CORE, NEW, OLD, VOLT, Begin, at_volt, operator, settled, thing

from gateway.demo.world import World

BUDGET_S = 2.0
ROOM_S = 1.5  # the contract's 250 ms, on a machine that is busy; who waits for Redis besides takes three seconds longer


@contextmanager
def standing_still(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def redis_of(stage: World) -> int:
    return int((await stage.gateway.store.client.info("server"))["process_id"])


@EITHER_CORE
async def test_an_authorization_keeps_its_time(world: Begin, core: str) -> None:
    """The eMSP is asked and its answer read within the budget, whoever asks by whatever token."""
    stage = await world(ACME, VOLT, backend=operator(core))
    assert (await stage["acme"].push_token(thing("token", OLD))).ok
    assert (await stage["volt"].push_token(at_volt(thing("token", NEW)))).ok
    await settled(stage)
    uids = [token(thing("token", NEW))["uid"] for token in (lambda it: it, at_volt)]
    for uid in uids:
        assert (await stage.backend.authorize(uid)).data["allowed"] == "ALLOWED"
    with standing_still(await redis_of(stage)):
        for uid in uids * 2:
            started = time.monotonic()
            assert (await stage.backend.authorize(uid)).data["allowed"] == "ALLOWED"
            assert time.monotonic() - started < BUDGET_S + ROOM_S


async def test_a_handshake_takes_its_time(world: Begin) -> None:
    """Redis answers again after more than the second that one waits for another handshake: there was no other."""
    stage = await world(VOLT, backend=operator(NEW))
    with standing_still(await redis_of(stage)):
        rotation = asyncio.create_task(stage.gateway.handshakes.rotate("volt"))
        done, _ = await asyncio.wait([rotation], timeout=1.2)
        assert not done
    await rotation
    assert (await stage["volt"].get("locations", side="SENDER")).status_code == 1000
