"""What cached tokens and a backlog of CDRs take of Redis's memory, and how fast they are written and looked up.

    python tests/bench/bench_memory.py [--tokens 2000000] [--cdrs 1000000]
    pytest tests/bench/bench_memory.py -m bench -n 0 -s

A redis-server as the gateway starts it, but without a file, is filled through the store: with tokens that an eMSP
announced (object, list, uid, contract), and with CDRs of 1.2 to 1.8 kB that a backend pushed while their receiver was
away (object, list, ledger, what the receiver may list, and the URL that the backend was given). Ids, times, places and
volumes are random, so that they shrink no better than those of life. Memory is ``used_memory`` beyond that of the empty
server; the promise is 2,000,000 tokens in 1.2 GiB and 1,000,000 CDRs in 2.4 GiB. A lookup is by uid, then the token:
two round trips. Beside the rate of writing stands how many times longer it takes than a plain SET of the same objects,
as many to a round trip. Nothing is asserted but that what was written is read again.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import pytest
from attrs import frozen
from redis.asyncio import Redis

from gateway.model.modules import Module
from gateway.model.names import Name, Saying, Sight
from gateway.model.party import Party
from gateway.store.embedded import attach_or_start
from gateway.store.redis import Store
from gateway.web.json import dumps

EXA, ACM = Party("NL", "EXA"), Party("DE", "ACM")
A_TRIP: Final = 200
LOOKUPS: Final = 3000
MIB: Final = 1024 * 1024
STREETS: Final = ("Stationsplein", "Kade", "Lange Haven", "Marktstraat", "Industrieweg", "Parklaan", "Zuidsingel")
CITIES: Final = ("Utrecht", "Zwolle", "Dordrecht", "Breda", "Almere", "Groningen", "Haarlem", "Enschede")


@frozen
class Line:
    """One measurement. ``limit`` is the promise in MiB for ``promised`` objects."""

    what: str
    objects: int
    json_bytes: float
    stored_bytes: float
    promised: int
    limit: int
    rate: float
    against_set: float
    lookups: Sequence[float] = ()

    def __str__(self) -> str:
        whole = self.stored_bytes * self.promised / MIB
        text = (
            f"{self.objects:,} {self.what} of {self.json_bytes:.0f} B: {self.stored_bytes:.0f} B each;"
            f" {self.promised:,} take {whole:,.0f} of {self.limit:,} MiB;"
            f" written at {self.rate:,.0f}/s, {self.against_set:.1f} times as long as SET"
        )
        if self.lookups:
            p50, p99 = statistics.median(self.lookups), statistics.quantiles(self.lookups, n=100)[98]
            text += f"; looked up in {p50 * 1000:.2f} ms, p99 {p99 * 1000:.2f} ms"
        return text


def uid(number: int) -> str:
    """As of a card: 14 digits that look random, and the same ones whenever they are asked for."""
    return f"04{number * 0x9E3779B1 % 2**48:012X}"


def tokens(count: int) -> Iterator[dict[str, Any]]:
    dice = random.Random(1)
    for number in range(count):
        contract = f"DE-ACM-C{dice.randrange(10**8):08}-{number % 10}"
        yield {
            "country_code": "DE",
            "party_id": "ACM",
            "uid": uid(number),
            "type": "RFID",
            "contract_id": contract,
            "visual_number": f"ACM-{dice.randrange(10**8):08}",
            "issuer": "Acme Mobility",
            **({"group_id": f"FLEET-{dice.randrange(5000)}"} if number % 3 == 0 else {}),
            "valid": number % 20 != 0,
            "whitelist": dice.choice(("ALLOWED", "ALLOWED", "ALWAYS", "ALLOWED_OFFLINE")),
            "language": dice.choice(("de", "de", "en")),
            "last_updated": moment(dice),
        }


def moment(dice: random.Random, minute: int | None = None) -> str:
    day, hour, some = dice.randrange(1, 29), dice.randrange(24), dice.randrange(60)
    return f"2026-{dice.randrange(1, 11):02}-{day:02}T{hour:02}:{some if minute is None else minute:02}:{some:02}Z"


def cdrs(count: int) -> Iterator[dict[str, Any]]:
    dice = random.Random(2)
    for _ in range(count):
        place, energy = dice.randrange(4000), Decimal(dice.randrange(2000, 80000)).scaleb(-3)
        began = moment(dice)
        yield {
            "country_code": "NL",
            "party_id": "EXA",
            "id": str(uuid.UUID(int=dice.getrandbits(128))),
            "start_date_time": began,
            "end_date_time": moment(dice),
            "session_id": f"S-{dice.getrandbits(48):012x}",
            "cdr_token": {
                "country_code": "DE",
                "party_id": "ACM",
                "uid": uid(dice.randrange(10**6)),
                "type": "RFID",
                "contract_id": f"DE-ACM-C{dice.randrange(10**8):08}-{dice.randrange(10)}",
            },
            "auth_method": dice.choice(("AUTH_REQUEST", "WHITELIST")),
            "cdr_location": {
                "id": f"LOC-{place}",
                "address": f"{dice.choice(STREETS)} {dice.randrange(300)}",
                "city": dice.choice(CITIES),
                "postal_code": f"{dice.randrange(1000, 9999)}AB",
                "country": "NLD",
                "coordinates": {
                    "latitude": f"{dice.randrange(51_000000, 53_000000) / 1e6:.6f}",
                    "longitude": f"{dice.randrange(4_000000, 7_000000) / 1e6:.6f}",
                },
                "evse_uid": f"LOC-{place}-{dice.randrange(9)}",
                "evse_id": f"NL*EXA*E{place}*{dice.randrange(9)}",
                "connector_id": "1",
                "connector_standard": "IEC_62196_T2",
                "connector_format": "SOCKET",
                "connector_power_type": "AC_3_PHASE",
            },
            "currency": "EUR",
            "charging_periods": [
                {
                    "start_date_time": moment(dice),
                    "dimensions": [
                        {"type": "ENERGY", "volume": Decimal(dice.randrange(100000)).scaleb(-4)},
                        {"type": "TIME", "volume": Decimal(dice.randrange(2500)).scaleb(-4)},
                    ],
                    "tariff_id": f"T-{place % 40}",
                }
                for _ in range(dice.randrange(2, 6))
            ],
            "total_cost": {"excl_vat": energy * 39 / 100, "incl_vat": energy * 47 / 100},
            "total_energy": energy,
            "total_energy_cost": {"excl_vat": energy * 39 / 100, "incl_vat": energy * 47 / 100},
            "total_time": Decimal(dice.randrange(50000)).scaleb(-4),
            "last_updated": moment(dice),
        }


async def used(store: Store) -> int:
    async with Redis.from_url(store.where) as client:
        return int((await client.info("memory"))["used_memory"])


async def token_line(store: Store, count: int) -> Line:
    made, size, writing, setting = tokens(count), 0, 0.0, 0.0
    before = await used(store)
    while some := list(islice(made, A_TRIP)):
        page = []
        for token in some:
            name, body = Name(Module.TOKENS, ACM, token["uid"], token["type"]), dumps(token)
            page.append(
                Saying(name=name, canonical=body, wire=body, version="2.2.1", source="acme", expect=0, correlation="")
            )
        started = perf_counter()
        assert -1 not in await store.say_all(page)
        await store.index_tokens([(of.name, token["contract_id"], None) for of, token in zip(page, some, strict=True)])
        writing += perf_counter() - started
        size += sum(len(saying.canonical) for saying in page)
        setting += await set_plainly(store, page)
    each = (await used(store) - before) / count
    lookups = [await look_up(store, uid(number)) for number in random.Random(3).choices(range(count), k=LOOKUPS)]
    return Line("tokens", count, size / count, each, 2_000_000, 1229, count / writing, writing / setting, lookups)


async def look_up(store: Store, uid: str) -> float:
    started = perf_counter()
    (said,) = await store.read_many(await store.tokens_by_uid(uid))
    took = perf_counter() - started
    assert said is not None
    assert said.id == uid
    return took


async def cdr_line(store: Store, count: int) -> Line:
    made, size, writing, setting = cdrs(count), 0, 0.0, 0.0
    before = await used(store)
    while some := list(islice(made, A_TRIP)):
        page = []
        for cdr in some:
            name, body = Name(Module.CDRS, EXA, cdr["id"]), dumps(cdr)
            page.append(
                Saying(
                    name=name, canonical=body, wire=body, version="2.2.1", source="backend", expect=0, owed=["acme"],
                    correlation=str(uuid.uuid4()), receiver=ACM,
                )
            )  # fmt: skip
        started = perf_counter()
        assert -1 not in await store.say_all(page)
        await store.see_all([Sight("acme", saying.name, 1_780_000_000_000) for saying in page])
        await asyncio.gather(*(store.spread(saying.name) for saying in page))
        await asyncio.gather(
            *(store.remember(f"cdr{random.getrandbits(120):030x}", saying.name.text.encode(), None) for saying in page)
        )
        writing += perf_counter() - started
        size += sum(len(saying.canonical) for saying in page)
        setting += await set_plainly(store, page)
    each = (await used(store) - before) / count
    assert (await store.backlog("acme")).cdrs == count
    return Line("CDRs", count, size / count, each, 1_000_000, 2458, count / writing, writing / setting)


async def set_plainly(store: Store, page: Sequence[Saying]) -> float:
    """Seconds that it takes to write just the objects' bytes; what is written is taken away again."""
    keys = [f"plain:{number}" for number in range(len(page))]
    started = perf_counter()
    async with store.client.pipeline(transaction=False) as pipe:
        for key, saying in zip(keys, page, strict=True):
            pipe.set(key, saying.canonical)
        await pipe.execute()
    took = perf_counter() - started
    await store.command("DEL", *keys)
    return took


async def lines(token_count: int, cdr_count: int) -> list[Line]:
    """All measurements."""
    with tempfile.TemporaryDirectory(prefix="og-") as folder:
        server = await attach_or_start(Path(folder))
        store = Store.connect(server.url)
        try:
            await store.command("CONFIG", "SET", "appendonly", "no")
            return [await token_line(store, token_count), await cdr_line(store, cdr_count)]
        finally:
            await store.aclose()
            await server.stop()


@pytest.mark.bench
@pytest.mark.timeout(1800)
async def test_memory() -> None:
    """Enough of both to tell what the promised numbers take."""
    for line in await lines(100_000, 100_000):
        sys.stdout.write(f"\n{line}\n")


if __name__ == "__main__":
    words = argparse.ArgumentParser()
    words.add_argument("--tokens", type=int, default=100_000)
    words.add_argument("--cdrs", type=int, default=100_000)
    wanted = words.parse_args()
    for line in asyncio.run(lines(wanted.tokens, wanted.cdrs)):
        sys.stdout.write(f"{line}\n")
