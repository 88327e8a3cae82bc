"""A Redis that is killed, comes back empty, stands still, and whose connections break."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from tests.faults.backend import cdr
from tests.faults.oracle import Verdict
from tests.faults.playing import RATE, REPOSTING, loaded, moment_with, rested, worst
from tests.faults.proxy import Proxy
from tests.faults.records import now, until
from tests.faults.rig import Rig


async def redis_killed(seed: int, repeats: int, launch: tuple[str, ...] = ()) -> Verdict:
    """F04: kill -9 of Redis under load, and a new one on its files after a while."""
    rng, hits = random.Random(f"F04/{seed}"), []
    async with Rig.of(seed=seed, launch=launch, reposting=REPOSTING) as rig:
        await loaded(rig)
        for _ in range(repeats):
            await asyncio.sleep(rng.uniform(0.2, 1.5))
            await moment_with(rig)
            async with rig.outage():
                hits.append(rig.busy > 0)
                rig.redis.kill()
                await asyncio.sleep(rng.choice((0.1, 0.3, 1.0, 3.0)))
                await rig.redis.start()
                await asyncio.sleep(0.5)
        return await rested(rig, "F04 Redis killed", hits, kills=repeats)


async def redis_emptied(seed: int, repeats: int, launch: tuple[str, ...] = ()) -> Verdict:
    """F05: Redis comes back with nothing in it: that is noticed and said, and nothing is acknowledged on top of it."""
    verdicts = []
    for number in range(repeats):
        async with Rig.of(seed=seed + number, partners=2, launch=launch) as rig:
            await loaded(rig)
            hit = await moment_with(rig)
            await rig.backend.halt()
            rig.redis.kill()
            rig.redis.empty()
            began = now()
            await rig.redis.start()
            told = await until(lambda rig=rig: rig.gateway.said(LOST), 10)  # type: ignore[misc]
            verdict = Verdict("F05 Redis emptied", seed, hits=[hit], figures={"noticed_s": round(now() - began, 2)})
            if not told:
                verdict.broken("F05", "nobody noticed that Redis had come back empty")
            if (status := await rig.backend.ask("POST", "cdrs", cdr(rig.partners[0], 1), rig.partners[0])) == 1000:
                verdict.broken("F05", f"a CDR was answered {status} by a Redis that has lost what was owed")
            verdicts.append(verdict)
    return worst(verdicts)


LOST: Final = "redis.lost"


async def redis_stood_still(seed: int, repeats: int, launch: tuple[str, ...] = ()) -> Verdict:
    """F06: Redis stops for 5 s (SIGSTOP), or holds its clients (CLIENT PAUSE); everybody is answered in time."""
    hits = []
    async with Rig.of(seed=seed, launch=launch) as rig:
        await loaded(rig)
        for number in range(repeats):
            await asyncio.sleep(0.7)
            await moment_with(rig)
            async with rig.outage():
                hits.append(rig.busy > 0)
                if number % 2:
                    with rig.redis.client() as client:
                        client.client_pause(4000)
                    await asyncio.sleep(4)
                else:
                    rig.redis.pause()
                    await asyncio.sleep(5)
                    rig.redis.resume()
                await asyncio.sleep(0.5)
        return await rested(rig, "F06 Redis stood still", hits, pauses=repeats)


async def redis_cut(seed: int, repeats: int, launch: tuple[str, ...] = ()) -> Verdict:
    """F07, F08: Redis is slow for a moment, and its connections are reset in the middle of an answer."""
    rng, hits = random.Random(f"F08/{seed}"), []
    async with AsyncExitStack() as stack:
        proxy = Proxy(0)
        await proxy.up()
        stack.push_async_callback(proxy.down)
        rig = await stack.enter_async_context(
            Rig.of(seed=seed, launch=launch, redis_port=proxy.port, before=partial(setattr, proxy, "target"))
        )
        await loaded(rig, RATE / 2)
        for number in range(repeats):
            await asyncio.sleep(rng.uniform(0.2, 0.6))
            async with rig.outage():
                before = proxy.cuts
                if number % 4 == 3:
                    proxy.latency = 0.05
                    await asyncio.sleep(0.3)
                    proxy.latency = 0.0
                proxy.cut_after, proxy.politely = rng.randrange(1, 2000), number % 3 == 0
                await asyncio.sleep(0.15)
                proxy.cut_after = None
                hits.append(proxy.cuts > before)
        return await rested(rig, "F08 Redis cut", hits, cuts=proxy.cuts)
