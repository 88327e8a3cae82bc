"""How fast a backlog of CDRs leaves: per second towards one partner, and what it takes of memory.

    python tests/bench/bench_drain.py [--backlog 100000]
    pytest tests/bench/bench_drain.py -m bench -n 0 -s

The CDRs (1.6 kB) lie in a redis-server with every write on disk, as they lie there after an outage of the partner; then
a gateway is started as a process, and the partner, in this process, notes when each arrives. The rate is that of the
middle nine tenths. ``law`` is min(in flight / RTT, 500) per second, RTT being the partner's time for an answer as
measured; memory is the gateway's largest resident size beyond that with a tenth delivered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from pathlib import Path
from typing import Final

import pytest
from attrs import frozen

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gateway.model.modules import Module
from gateway.model.names import Name
from gateway.model.party import Party
from gateway.store.redis import Store
from tests.faults.backend import cdr
from tests.faults.partners import Partner
from tests.faults.records import now, until
from tests.faults.rig import Rig

OWNER: Final = Party("NL", "EXA")
AT_ONCE: Final = 32
# In flight, seconds that an answer takes, CDRs.
CASES: Final = ((1, 0.0, 2000), (4, 0.0, 3000), (1, 0.02, 500), (4, 0.02, 1500), (4, 0.1, 500))


@frozen
class Drained:
    """One case."""

    in_flight: int
    rtt: float
    count: int
    filled_s: float
    drained_s: float
    rate: float
    grown: int
    redis_bytes: int

    def __str__(self) -> str:
        law = f"{min(self.in_flight / self.rtt, 500):.0f}"
        return (
            f"{self.in_flight:>9}{self.rtt * 1000:>8.1f}{self.count:>9}{self.rate:>9.0f}{law:>6}{self.drained_s:>9.1f}"
            f"{self.grown / 2**20:>9.1f}{self.redis_bytes / self.count:>11.0f}{self.filled_s:>9.1f}"
        )


HEAD: Final = (
    f"{'in flight':>9}{'RTT ms':>8}{'CDRs':>9}{'CDR/s':>9}{'law':>6}{'all s':>9}{'RSS MiB':>9}{'Redis B/CDR':>12}"
    f"{'fill s':>8}"
)


async def fill(store: Store, partner: Partner, count: int) -> None:
    """So many CDRs are said and owed, and nobody brings them."""
    numbers = iter(range(1, count + 1))

    async def say() -> None:
        for number in numbers:
            body = cdr(partner, number)
            name, raw = Name(Module.CDRS, OWNER, body["id"]), json.dumps(body).encode()
            await store.say(name, raw, raw, "2.2.1", "backend", 0, [partner.id])
            await store.spread(name)

    await asyncio.gather(*(say() for _ in range(AT_ONCE)))


async def drained(in_flight: int, rtt: float, count: int) -> Drained:
    """One backlog, from the start of the gateway to the last receipt."""
    limits = {"p00": f"limits: {{in_flight: {in_flight}}}\n"}
    async with Rig.of(seed=1, partners=1, pace=0.0, files=limits, start=False) as rig:
        partner = rig.partners[0]
        partner.delay = rtt
        store, began = Store.connect(rig.redis.url), now()
        with rig.redis.client() as client:
            before = int(client.info("memory")["used_memory"])
            await fill(store, partner, count)
            held = int(client.info("memory")["used_memory"]) - before
        await store.aclose()
        filled = now() - began
        await rig.gateway.start()
        receipts, sizes = rig.books.receipts, [0]

        def all_came() -> bool:
            if len(receipts) > count // 10:
                sizes.append(rig.gateway.rss())
            return len(receipts) >= count

        assert await until(all_came, 3600, every=0.1), f"{len(receipts)} of {count} came"
        assert len(partner.posted) == count
        first, last = receipts[count // 20], receipts[-count // 20]
        rate = (count - 2 * (count // 20)) / (last.at - first.at)
        grown = max(sizes) - next((size for size in sizes if size), 0)
        measured = statistics.mean(each.answered - each.at for each in receipts if each.answered is not None)
        return Drained(in_flight, measured, count, filled, receipts[-1].at - receipts[0].at, rate, grown, held)


async def everything(backlog: int) -> None:
    print(HEAD)
    for case in CASES:
        print(await drained(*case), flush=True)
    if backlog:
        print(await drained(4, 0.0, backlog), flush=True)


@pytest.mark.bench
@pytest.mark.timeout(1800)
async def test_drain() -> None:
    """All cases."""
    await everything(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backlog", type=int, default=0, help="CDRs of one large backlog besides")
    asyncio.run(everything(parser.parse_args().backlog))
