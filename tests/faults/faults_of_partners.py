"""Partners that refuse, lie, store and say nothing, or don't answer at all; and a backend that is away."""

from __future__ import annotations

import asyncio
import base64
import statistics
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import aiohttp

from tests.faults.backend import cdr
from tests.faults.oracle import Verdict, percentile
from tests.faults.partners import Fault, Partner
from tests.faults.playing import loaded, rested
from tests.faults.proxy import Proxy
from tests.faults.records import now, until
from tests.faults.rig import Rig
from tests.faults.running import Processor


async def refusing(seed: int, repeats: int, launch: tuple[str, ...] = ()) -> Verdict:
    """F13: partners that answer 429, 500, 502 and 503, now and then and for a while always."""
    async with Rig.of(seed=seed, launch=launch) as rig:
        for partner, name in zip(rig.partners, ("503", "429", "502", "503_later", "500"), strict=True):
            partner.play(Fault(name, until=0.5 * repeats), Fault(name, p=0.05))
        await loaded(rig)
        await asyncio.sleep(1.0 * repeats)
        verdict = await rested(rig, "F13 refusing partners", ())
        return _count_faults(rig, verdict)


LYING: Final = (
    "html", "truncated", "bad_utf8", "empty", "nan", "duplicate_keys", "204", "no_status", "status_text",
    "2000_in_500", "bomb", "many_headers", "302", "307", "308", "400", "404",
)  # fmt: skip


async def lying(seed: int, repeats: int, launch: tuple[str, ...] = ()) -> Verdict:
    """F14: partners that answer with garbage and don't store; no CDR counts as delivered because of it."""
    async with Rig.of(seed=seed, launch=launch) as rig:
        for number, partner in enumerate(rig.partners):
            partner.play(*(Fault(name, p=0.08) for name in LYING[number % 5 :: 5]))
        for partner in rig.partners:
            await rig.backend.post(partner, cdr(partner, rig.backend.next()))
        await loaded(rig)
        await asyncio.sleep(1.0 * repeats)
        verdict = _count_faults(rig, await rested(rig, "F14 lying partners", ()))
        met = [receipt.fault for receipt in rig.books.receipts if receipt.key[0] == "cdrs" and receipt.fault]
        verdict.figures["lies"] = dict(Counter(met))
        return verdict


def _count_faults(rig: Rig, verdict: Verdict) -> Verdict:
    found = sum(bool(receipt.fault) for receipt in rig.books.receipts)
    verdict.hits.append(found >= 5)
    verdict.figures["faults"] = found
    return verdict


async def stored_and_silent(seed: int, repeats: int, launch: tuple[str, ...] = ()) -> Verdict:
    """F15: partners that store a CDR and then drop, reset or cut the connection: each is in doubt, and no other."""
    names = ("stored_drop", "stored_reset", "stored_half", "stored_truncated", "stored_drop")
    async with Rig.of(seed=seed, launch=launch) as rig:
        rig.backend.sessions_share = 0.0
        rig.backend.credits = False
        for partner, name in zip(rig.partners, names, strict=True):
            partner.play(Fault(name, p=0.3, until=1.0 * repeats))
        await loaded(rig)
        await asyncio.sleep(1.0 * repeats)
        verdict = _count_faults(rig, await rested(rig, "F15 stored, and the connection lost", ()))
        doubted = {(link, key) for link, of in rig.states().items() for key, state in of.items() if state == "in_doubt"}
        met = {(receipt.link, receipt.key) for receipt in rig.books.receipts if receipt.fault}
        for link, key in doubted ^ met:
            verdict.broken("F15", f"{key} for {link}: {'in doubt' if (link, key) in doubted else 'not in doubt'}")
        return verdict


# Isolation ------------------------------------------------------------------------------------------------------------

ADDED_S: Final = 0.020
ADDED_PART: Final = 0.10
CALM: Final = 0.80
"""Above this load of the machine a difference of milliseconds says nothing about the gateway; one of a second does.

Nor does a difference that is smaller than that between the phases without bad partners: others work on the machine.
"""
GROSS_S: Final = 1.0
BURST: Final = 8
"""CDRs that each bad partner is owed from the beginning: more than it has places."""


async def isolated(
    seed: int,
    repeats: int,
    launch: tuple[str, ...] = (),
    *,
    partners: int = 50,
    rate: float = 40.0,
    phase_s: float = 8.0,
) -> Verdict:
    """F11, F12: one partner is silent, one takes 30 s for its first byte, one answers 500: the others don't notice.

    Phases with and without them take turns. What counts is the time from the backend's request to the partner's
    receipt, at healthy partners, and the median over the pairs of what the bad ones add to its 99th percentile.
    """
    async with AsyncExitStack() as stack:
        proxy = await Proxy(0).up()
        stack.push_async_callback(proxy.down)
        rig = await stack.enter_async_context(
            Rig.of(seed=seed, launch=launch, partners=partners, ports={"p00": proxy.port})
        )
        proxy.target = rig.partners[0].server.port
        rig.backend.sessions_share, rig.backend.credits = 0.1, False
        quiet, disturbed, added, busy = [], [], [], []
        await loaded(rig, rate)
        for _ in range(repeats):
            before, calm = await _phase(rig, phase_s)
            rig.partners[1].play(Fault("slow"))
            rig.partners[2].play(Fault("500"))
            proxy.blackhole()
            bad = [partner for _ in range(BURST) for partner in rig.partners[:3]]
            await asyncio.gather(*(rig.backend.post(each, cdr(each, rig.backend.next())) for each in bad))
            await asyncio.sleep(1)  # it is what comes of it that counts, not that it came at once
            while_bad, loud = await _phase(rig, phase_s)
            proxy.blackhole(False)
            proxy.reset()
            for partner in rig.partners[:3]:
                partner.play()
            await rig.call_in()
            quiet.append(percentile(before, 0.99))
            disturbed.append(percentile(while_bad, 0.99))
            added.append(disturbed[-1] - quiet[-1])
            busy += [calm, loud]
        rig.outages.append((0.0, now()))  # of the three bad ones anything may be in doubt
        await rig.backend.enough()
        await rig.quiet(20)
        met = sum(bool(receipt.fault) for receipt in rig.books.receipts)
        verdict = await rig.judge(
            "F11 three bad partners", [met >= repeats] * repeats, p99_quiet_ms=_ms(quiet), p99_bad_ms=_ms(disturbed),
            added_ms=_ms(added), busy=[round(each, 2) for each in busy],
        )  # fmt: skip
        middle, base = statistics.median(added), statistics.median(quiet)
        noise = max(quiet) - min(quiet)
        verdict.figures |= {"added_median_ms": round(middle * 1000, 1), "noise_ms": round(noise * 1000, 1)}
        withheld = verdict.figures["withheld"] = max(busy) >= CALM or noise > ADDED_S
        bound = GROSS_S if withheld else min(ADDED_S, max(ADDED_PART * base, noise))
        if middle > bound:
            verdict.broken(
                "I6", f"healthy partners wait {middle * 1000:.0f} ms longer at p99 than {base * 1000:.0f} ms"
            )
        return verdict


async def _phase(rig: Rig, seconds: float) -> tuple[list[float], float]:
    """Seconds from request to receipt of the CDRs of healthy partners said in this phase; how busy the machine was."""
    processor, first = Processor(), len(rig.books.acks)
    bad = {partner.id for partner in rig.partners[:3]}
    await asyncio.sleep(seconds)
    acks = [ack for ack in rig.books.acks[first:] if ack.link not in bad and ack.key[0] == "cdrs"]
    busy = processor.busy()
    came: dict[Any, float] = {}

    def all_came() -> bool:
        came.update({receipt.key: receipt.at for receipt in rig.books.receipts if receipt.key not in came})
        return all(ack.key in came for ack in acks)

    await until(all_came, 5)
    late = now()
    return [came.get(ack.key, late) - ack.began for ack in acks], busy


def _ms(seconds: Sequence[float]) -> list[float]:
    return [round(each * 1000, 1) for each in seconds]


# The other direction --------------------------------------------------------------------------------------------------


async def backend_away(seed: int, repeats: int, launch: tuple[str, ...] = ()) -> Verdict:
    """F26: partners push tokens while the backend is away; what they read 1000 for, the backend has in the end."""
    async with Rig.of(seed=seed, launch=launch) as rig:
        kept: dict[str, str] = {}
        hits, late = [], 0.0
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            for number in range(repeats):
                await rig.backend.server.down()
                for partner in rig.partners:
                    stamp, uid = f"2026-03-01T{number % 24:02}:00:00Z", f"{partner.party}-UID"
                    began = now()
                    status = await _push_token(http, rig, partner, uid, stamp)
                    late = max(late, now() - began)
                    hits.append(status is not None)
                    if status == 1000:
                        kept[uid] = stamp
                await rig.backend.server.up()
                await asyncio.sleep(0.3)
        had = await until(lambda: all(_has(rig, uid, stamp) for uid, stamp in kept.items()), 40)
        verdict = await rig.judge("F26 backend away", hits, kept=len(kept), longest_answer_s=round(late, 2))
        if not had:
            missing = [uid for uid, stamp in kept.items() if not _has(rig, uid, stamp)]
            verdict.broken("F26", f"the backend never got {missing}")
        if not kept:
            verdict.broken("F26", "nothing was kept for the backend")
        return verdict


async def _push_token(http: aiohttp.ClientSession, rig: Rig, partner: Partner, uid: str, stamp: str) -> int | None:
    """A token of a partner, as its version has it; the status of the answer."""
    token: dict[str, Any] = {
        "uid": uid, "type": "RFID", "issuer": "Test", "valid": True, "whitelist": "ALLOWED", "last_updated": stamp
    }  # fmt: skip
    contract = f"{partner.country}-{partner.party}-C00000001"
    path, raw = f"{partner.country}/{partner.party}/{uid}", partner.token_out
    headers = {"X-Request-ID": uid, "X-Correlation-ID": uid}
    if partner.version == "2.1.1":
        url = f"{rig.gateway.base}/ocpi/2.1.1/cpo/tokens/{path}"
        token["auth_id"] = contract
    else:
        url = f"{rig.gateway.base}/ocpi/2.2.1/receiver/tokens/{path}"
        raw = base64.b64encode(raw.encode()).decode()
        token |= {"country_code": partner.country, "party_id": partner.party, "contract_id": contract}
        headers |= {"OCPI-from-country-code": partner.country, "OCPI-from-party-id": partner.party,
                    "OCPI-to-country-code": "NL", "OCPI-to-party-id": "EXA"}  # fmt: skip
    async with http.put(url, json=token, headers=headers | {"Authorization": f"Token {raw}"}) as answer:
        status: int | None = (await answer.json()).get("status_code")
        return status


def _has(rig: Rig, uid: str, stamp: str) -> bool:
    """Whether the backend was brought this state of the token, and nothing older after it."""
    return rig.backend.tokens.get(uid) == stamp
