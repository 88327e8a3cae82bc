"""What partners push while the backend is away: kept and handed over where money or drivers hang on it."""

from __future__ import annotations

import time

import pytest
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
)  # fmt: skip

LATER = "2026-03-03T11:00:00Z"

pytestmark = pytest.mark.usefixtures("impatient")


def billed(cdr: Json, party: str) -> Json:
    """A CDR of another operator, and its tariffs."""
    return owned(cdr, party) | {"tariffs": [owned(tariff, party) for tariff in cdr["tariffs"]]}


@EITHER_CORE
async def test_sessions_and_cdrs_of_operators_wait_for_the_core(world: Begin, core: str) -> None:
    """Their partners read 1000 and need not come again; the core has all of it soon after it is back, each CDR once."""
    stage = await world(EXA, TWO, backend=provider(core))
    await stage.backend.push_token(thing("token", core))
    for name, version in (("exa", OLD), ("two", NEW)):
        await stage[name].push_location(owned(thing("location", version), stage[name].party[1]))
    await stage.backend.down()
    for name, version in (("exa", OLD), ("two", NEW)):
        peer, party = stage[name], stage[name].party[1]
        assert (await peer.push_session(owned(thing("session", version), party))).http == 201
        posted = await peer.push_cdr(billed(thing("cdr", version), party))
        assert (posted.status_code, posted.http) == (1000, 201)
        again = await peer.push_cdr(billed(thing("cdr", version), party))
        assert (again.status_code, again.headers["location"]) == (1000, posted.headers["location"])
        assert (await peer.call_url("GET", posted.headers["location"], "cdrs")).data == billed(
            thing("cdr", version), party
        )
    await stage.backend.up()
    for name, version in (("exa", OLD), ("two", NEW)):
        party = stage[name].party[1]
        of = f"NL/{party}/"
        await stage.backend.wait_for("POST", "cdrs", lambda got, of=of: f"{of}C-501" in stage.backend.objects["cdrs"])
        assert stage.backend.objects["cdrs"][f"{of}C-501"] == billed(thing("cdr", version, core), party)
        session = thing("session", version, core)
        await stage.backend.wait_for("PUT", "sessions", lambda got, of=of: of.strip("/") in "/".join(got.segments))
        assert stage.backend.objects["sessions"][of + session["id"]] == owned(session, party)
    await settled(stage)
    assert len(stage.backend.objects["cdrs"]) == 2


@EITHER_CORE
async def test_tokens_of_emsps_wait_for_the_core(world: Begin, core: str) -> None:
    """A token that is blocked while the core is away is known as blocked at once, and told to the core later."""
    stage = await world(ACME, VOLT, backend=operator(core))
    for name, token in (("acme", thing("token", OLD)), ("volt", at_volt(thing("token", NEW)))):
        assert (await stage[name].push_token(token)).ok
    await stage.backend.down()
    for name, token in (("acme", thing("token", OLD)), ("volt", at_volt(thing("token", NEW)))):
        blocked = token | {"valid": False, "last_updated": LATER}
        assert (await stage[name].push_token(blocked)).status_code == 1000
    asked = len(stage.backend.received)
    await stage.backend.up()
    for uid in (thing("token", core)["uid"], at_volt(thing("token", core))["uid"]):
        got = await stage.backend.wait_for("PUT", "tokens", lambda got, uid=uid: uid in got.segments, after=asked)
        assert got.body["valid"] is False


@EITHER_CORE
async def test_a_change_of_what_was_kept_goes_as_a_whole(world: Begin, core: str) -> None:
    """A PATCH that comes when the core is back, before it has the session: it gets the session, not a piece of it."""
    stage = await world(TWO, backend=provider(core))
    await stage.backend.push_token(thing("token", core))
    await stage["two"].push_location(owned(thing("location", NEW), "TWO"))
    running = without(owned(thing("session", NEW), "TWO"), "end_date_time", "total_cost") | {"status": "ACTIVE"}
    await stage.backend.down()
    assert (await stage["two"].push_session(running)).http == 201
    await stage.backend.up()
    assert (await stage["two"].patch_session(running["id"], {"kwh": 99.5, "last_updated": LATER})).status_code == 1000
    await settled(stage)
    session = stage.backend.objects["sessions"][f"NL/TWO/{running['id']}"]
    assert (session["kwh"], session["status"]) == (99.5, "ACTIVE")
    assert len(session["charging_periods"]) == len(running["charging_periods"])


async def test_an_answer_in_doubt_is_no_second_bill(world: Begin) -> None:
    """The core took the CDR and its answer was lost: it gets the same bytes again, and has it once."""
    stage = await world(TWO, backend=provider(NEW))
    stage.backend.fail("cdrs", "POST", applied=True, drop=True)
    assert (await stage["two"].push_cdr(billed(thing("cdr", NEW), "TWO"))).status_code == 1000
    await stage.backend.wait_for("POST", "cdrs", count=2)
    first, second = (got for got in heard(stage.backend) if got.module == "cdrs")
    assert first.raw == second.raw
    assert len(stage.backend.objects["cdrs"]) == 1


async def test_what_the_core_refuses_is_not_kept(world: Begin) -> None:
    """Its 2001 is an answer: the partner reads it."""
    stage = await world(TWO, backend=provider(NEW))
    stage.backend.fail("cdrs", "POST", status=2001)
    assert (await stage["two"].push_cdr(billed(thing("cdr", NEW), "TWO"))).status_code == 2001


async def test_a_core_that_hangs_costs_a_partner_no_more_than_its_deadline(
    world: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept when its time is up, and acknowledged."""
    monkeypatch.setattr("gateway.pipeline.KEPT_S", 0.5)
    stage = await world(TWO, backend=provider(NEW))
    stage.backend.slow("cdrs", "POST", seconds=3)
    started = time.monotonic()
    assert (await stage["two"].push_cdr(billed(thing("cdr", NEW), "TWO"))).status_code == 1000
    assert time.monotonic() - started < 2.5
    await stage.backend.wait_for("POST", "cdrs", count=2)


async def test_what_a_pull_brings_back_is_not_kept(world: Begin) -> None:
    """Locations and tariffs are the partner's to send again: it reads 3000."""
    stage = await world(TWO, backend=provider(NEW))
    await stage.backend.down()
    assert (await stage["two"].push_location(owned(thing("location", NEW), "TWO"))).status_code == 3000
