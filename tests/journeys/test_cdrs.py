"""CDRs, from an operator's core to the eMSP that is billed and from operators to an eMSP's core."""

from __future__ import annotations

import asyncio
import json
import re

from attrs import evolve
from scenes import (
    ACME,
    EITHER_CORE,
    EXA,
    NEW,
    OLD,
    TWO,
    VOLT,
    Begin,
    Json,
    at_volt,
    heard,
    operator,
    owned,
    provider,
    settled,
    thing,
    without,
)

from gateway.demo.world import World
from gateway.model.names import CdrState


async def charged(world: Begin, core: str) -> World:
    """An operator's core at which drivers of both eMSPs have charged."""
    stage = await world(ACME, VOLT, backend=operator(core))
    await stage.backend.push_location(thing("location", core))
    await stage["acme"].push_token(thing("token", OLD))
    await stage["volt"].push_token(at_volt(thing("token", NEW)))
    for session in (thing("session", core), at_volt(thing("session", core)) | {"id": "S-1002"}):
        assert (await stage.backend.push_session(session)).ok
    await settled(stage)
    return stage


@EITHER_CORE
async def test_our_cdr_reaches_the_emsp_that_is_billed_check_49(world: Begin, core: str) -> None:
    """A CDR with everything in it goes to the eMSP of its driver, in that eMSP's version, and to nobody else."""
    stage = await charged(world, core)
    assert (await stage.backend.push_cdr(thing("cdr", core))).http == 201
    assert (await stage["acme"].wait_for("POST", "cdrs")).body == thing("cdr", core, OLD)
    other = at_volt(thing("cdr", core)) | {"id": "C-502"} | ({"session_id": "S-1002"} if core == NEW else {})
    assert (await stage.backend.push_cdr(other)).http == 201
    expected = at_volt(thing("cdr", core, NEW)) | {"id": "C-502", "session_id": "S-1002"}
    assert (await stage["volt"].wait_for("POST", "cdrs")).body == expected
    await settled(stage)
    assert [len(stage[name].objects["cdrs"]) for name in ("acme", "volt")] == [1, 1]


@EITHER_CORE
async def test_a_cdr_can_be_read_again_where_its_post_says_check_49_trap_47(world: Begin, core: str) -> None:
    """The Location that a POST is answered with is the gateway's own; a GET there gives the CDR as it was sent.

    Whatever the eMSP answered, here none at all, and after a restart too.
    """
    stage = await charged(world, core)
    bare = b'{"status_code": 1000, "timestamp": "2026-03-03T11:00:00Z"}'
    stage["acme"].fail("cdrs", "POST", body=bare, applied=True)
    posted = await stage.backend.push_cdr(thing("cdr", core), to=("DE", "ACM"))
    url = posted.headers["location"]
    assert url.startswith(stage.settings.public_url)
    await stage["acme"].wait_for("POST", "cdrs")
    assert (await stage.backend.call_url("GET", url, "cdrs")).data == thing("cdr", core)
    await stage.restart()
    assert (await stage.backend.call_url("GET", url, "cdrs")).data == thing("cdr", core)


@EITHER_CORE
async def test_a_repeated_cdr_is_delivered_once_and_a_changed_one_is_refused_check_53(world: Begin, core: str) -> None:
    """The same CDR again gets the same answer and goes nowhere; one with other content is a mistake."""
    stage = await charged(world, core)
    first = await stage.backend.push_cdr(thing("cdr", core))
    again = await stage.backend.push_cdr(thing("cdr", core) | {"last_updated": "2026-03-03T11:00:00Z"})
    assert (again.status_code, again.headers["location"]) == (1000, first.headers["location"])
    changed = await stage.backend.push_cdr(thing("cdr", core) | {"total_energy": 19})
    assert (changed.http, changed.status_code) == (200, 2001)
    await settled(stage)
    assert [got.body["total_energy"] for got in stage["acme"].received if got.module == "cdrs"] == [18.25]


@EITHER_CORE
async def test_the_same_cdr_twice_at_once_is_one_cdr(world: Begin, core: str) -> None:
    """A sender that lost patience posts again while the first POST is under way: one CDR, the same answer twice."""
    stage = await charged(world, core)
    cdr = thing("cdr", core)
    answers = await asyncio.gather(*(stage.backend.push_cdr(cdr) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {1000}
    assert len({answer.headers["location"] for answer in answers}) == 1
    await settled(stage)
    assert len([got for got in stage["acme"].received if got.module == "cdrs"]) == 1


async def test_numbers_of_a_cdr_arrive_digit_by_digit(world: Begin) -> None:
    """0.10 stays 0.10: no number of a bill is rounded or spelled anew."""
    stage = await charged(world, NEW)
    cdr = thing("cdr", NEW) | {"total_cost": {"excl_vat": "8.10!"}, "total_energy": "18.2500!", "total_time": "1.0!"}
    raw = re.sub(r'"([0-9.]+)!"', r"\1", json.dumps(cdr))
    assert (await stage.backend.post("cdrs", body=raw.encode(), to=("DE", "ACM"))).ok
    assert (await stage.backend.post("cdrs", body=raw.replace("C-501", "C-502").encode(), to=("DE", "VLT"))).ok
    old = (await stage["acme"].wait_for("POST", "cdrs")).raw
    new = (await stage["volt"].wait_for("POST", "cdrs")).raw
    assert b'"total_cost":8.10,' in old
    assert b'"total_cost":{"excl_vat":8.10}' in new
    for got in (old, new):
        assert b'"total_energy":18.2500,' in got
        assert b'"total_time":1.0,' in got


async def test_a_credit_cdr_is_held_for_2_1_1_and_passed_to_2_2_1_check_52_trap_46(world: Begin) -> None:
    """2.1.1 would read a credit as a second bill: it is accepted, held with its reason, and told; 2.2.1 gets it."""
    stage = await charged(world, NEW)
    credit = thing("cdr", NEW) | {"credit": True}
    assert (await stage.backend.push_cdr(credit)).http == 201
    other = at_volt(credit) | {"id": "C-502", "session_id": "S-1002"}
    assert (await stage.backend.push_cdr(other)).http == 201
    assert (await stage["volt"].wait_for("POST", "cdrs")).body == other
    await settled(stage)
    assert stage["acme"].objects["cdrs"] == {}
    (held,) = [entry async for entry in stage.gateway.store.cdr_entries("acme", done=False)]
    assert held.state is CdrState.HELD
    assert "credit" in held.reason


async def test_a_credit_cdr_becomes_a_negative_one_where_the_link_says_so(world: Begin) -> None:
    """`cdrs.credit: negative`: the eMSP gets minus the amount, with what it credits in the remark."""
    acme = evolve(ACME, more="quirks: {cdrs.credit: negative}")
    stage = await world(acme, backend=operator(NEW))
    await stage.backend.push_location(thing("location", NEW))
    credit = without(thing("cdr", NEW), "remark") | {"credit": True}
    assert (await stage.backend.push_cdr(credit, to=("DE", "ACM"))).ok
    got = (await stage["acme"].wait_for("POST", "cdrs")).body
    assert (got["total_cost"], got["remark"]) == (-8.51, "CREDIT for C-500")


# Towards an eMSP's core -----------------------------------------------------------------------------------------------


@EITHER_CORE
async def test_cdrs_of_operators_reach_our_core_with_token_and_session(world: Begin, core: str) -> None:
    """2.1.1 names neither token nor session: the core gets both, from what it announced and what was pushed before."""
    stage = await world(EXA, TWO, backend=provider(core))
    await stage.backend.push_token(thing("token", core))
    for name, version in (("exa", OLD), ("two", NEW)):
        peer, party = stage[name], stage[name].party[1]
        await peer.push_location(owned(thing("location", version), party))
        await peer.push_session(owned(thing("session", version), party))
        posted = await peer.push_cdr(billed(thing("cdr", version), party))
        assert posted.http == 201
        assert stage.backend.objects["cdrs"][f"NL/{party}/C-501"] == billed(thing("cdr", version, core), party)
        assert (await peer.call_url("GET", posted.headers["location"], "cdrs")).data == billed(
            thing("cdr", version), party
        )


def billed(cdr: Json, party: str) -> Json:
    """A CDR of another operator, and its tariffs."""
    return owned(cdr, party) | {"tariffs": [owned(tariff, party) for tariff in cdr["tariffs"]]}


async def test_a_cdr_of_a_token_and_session_nobody_knows_is_no_less_a_bill(world: Begin) -> None:
    """An unknown contract is uid #NA of type OTHER; the session isn't made up."""
    stage = await world(EXA, backend=provider(NEW))
    assert (await stage["exa"].push_cdr(thing("cdr", OLD))).http == 201
    got = stage.backend.stored.with_id("cdrs", "C-501")
    contract = {"uid": "#NA", "type": "OTHER", "contract_id": "DE-ACM-C00000042-7"}
    assert got["cdr_token"] == {"country_code": "DE", "party_id": "ACM", **contract}
    assert "session_id" not in got


async def test_a_cdr_without_an_evse_id_gets_that_of_its_location(world: Begin) -> None:
    """2.2.1 requires the EVSE's id, 2.1.1 doesn't: it is taken from the location that the operator pushed."""
    stage = await world(EXA, backend=provider(NEW))
    await stage["exa"].push_location(thing("location", OLD))
    cdr = thing("cdr", OLD)
    (evse,) = cdr["location"]["evses"]
    cdr["location"]["evses"] = [without(evse, "evse_id")]
    assert (await stage["exa"].push_cdr(cdr)).ok
    assert stage.backend.stored.with_id("cdrs", "C-501")["cdr_location"]["evse_id"] == "NL*EXA*E007*1"


@EITHER_CORE
async def test_an_operators_repeated_cdr_reaches_our_core_once_check_53(world: Begin, core: str) -> None:
    """The same CDR again gets the same answer and isn't passed on; a changed one is refused."""
    stage = await world(EXA, TWO, backend=provider(core))
    for name, version in (("exa", OLD), ("two", NEW)):
        party = stage[name].party[1]
        cdr = billed(thing("cdr", version), party)
        first = await stage[name].push_cdr(cdr)
        again = await stage[name].push_cdr(cdr)
        assert (again.status_code, again.headers["location"]) == (1000, first.headers["location"])
        assert (await stage[name].push_cdr(cdr | {"total_energy": 19})).status_code == 2001
    assert len([got for got in heard(stage.backend) if got.module == "cdrs"]) == 2
