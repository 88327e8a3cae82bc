"""Sessions, from an operator's core to the eMSP whose driver charges and from operators to an eMSP's core."""

from __future__ import annotations

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

from gateway.demo.world import World
from gateway.telemetry import Crossed, watching

AFTERWARDS = "2026-03-03T10:00:00Z"


def period(start: str, kwh: float, version: str) -> Json:
    """One charging period; in 2.2.1 it may name its tariff."""
    tariff = {"tariff_id": "T-DAY"} if version == NEW else {}
    return {"start_date_time": start, "dimensions": [{"type": "ENERGY", "volume": kwh}], **tariff}


async def charging(world: Begin, core: str) -> World:
    """An operator's core whose location its eMSPs know, and which knows the tokens of both."""
    stage = await world(ACME, VOLT, backend=operator(core))
    assert (await stage.backend.push_location(thing("location", core))).ok
    assert (await stage["acme"].push_token(thing("token", OLD))).ok
    assert (await stage["volt"].push_token(at_volt(thing("token", NEW)))).ok
    await settled(stage)
    return stage


@EITHER_CORE
@pytest.mark.parametrize("addressed", [False, True], ids=["by-content", "addressed"])
async def test_our_session_reaches_the_emsp_of_its_driver_check_41(world: Begin, core: str, addressed: bool) -> None:
    """A session goes to the eMSP that announced its token, or to the one that is addressed, and to nobody else."""
    stage = await charging(world, core)
    for name, version, session in (
        ("acme", OLD, thing("session", core)),
        ("volt", NEW, at_volt(thing("session", core)) | {"id": "S-1002"}),
    ):
        to = {"to": (("DE", "ACM") if name == "acme" else ("DE", "VLT"))} if addressed else {}
        assert (await stage.backend.push_session(session, **to)).http == 201
        got = await stage[name].wait_for("PUT", "sessions")
        expected = thing("session", core, version) | {"id": session["id"]}
        assert got.body == (at_volt(expected) if name == "volt" else expected)
    await settled(stage)
    assert [len(stage[name].objects["sessions"]) for name in ("acme", "volt")] == [1, 1]


@EITHER_CORE
async def test_charging_periods_are_all_of_them_or_the_new_ones_check_44_trap_34(world: Begin, core: str) -> None:
    """A 2.1.1 PATCH carries all five charging periods, a 2.2.1 PATCH the two that are new, whoever sent what."""
    stage = await charging(world, core)

    def periods(version: str) -> list[Json]:
        return [period(f"2026-03-03T08:{minute:02}:00Z", 1.5, version) for minute in (0, 10, 20, 30, 40)]

    running = {"kwh": 4.5, "status": "ACTIVE", "charging_periods": periods(core)[:3]}
    update = {"kwh": 7.5, "charging_periods": periods(core)[0 if core == OLD else 3 :], "last_updated": AFTERWARDS}
    for name, session in (("acme", thing("session", core)), ("volt", at_volt(thing("session", core)))):
        session = without(session, "end_date_time", "end_datetime", "total_cost") | running | {"id": f"S-{name}"}
        assert (await stage.backend.push_session(session)).ok
        await stage[name].wait_for("PUT", "sessions")
        await settled(stage)
        assert (await stage.backend.patch_session(f"S-{name}", update)).status_code == 1000
    got = await stage["acme"].wait_for("PATCH", "sessions")
    assert got.body == update | {"charging_periods": periods(OLD)}
    got = await stage["volt"].wait_for("PATCH", "sessions")
    assert got.body == update | {"charging_periods": periods(core)[3:]}


async def test_a_session_waits_for_its_location_trap_33(world: Begin) -> None:
    """A 2.1.1 session embeds its location: until that is known the session waits, and then it arrives at once."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    assert (await stage.backend.push_session(thing("session", NEW), to=("DE", "ACM"))).http == 201
    await settled(stage)
    assert stage["acme"].objects["sessions"] == {}
    await stage.backend.push_location(thing("location", NEW))
    # Sooner than the first retry of an attempt that failed, which is 4 s away at the least.
    assert (await stage["acme"].wait_for("PUT", "sessions", timeout=2)).body == thing("session", NEW, OLD)


@EITHER_CORE
async def test_a_session_shows_the_location_as_its_emsp_knows_it(world: Begin, core: str) -> None:
    """A location that was pushed to one eMSP alone is the one that this eMSP's sessions are at."""
    stage = await world(ACME, VOLT, backend=operator(core))
    await stage["acme"].push_token(thing("token", OLD))
    await stage.backend.push_location(thing("location", core) | {"name": "Your bays"}, to=("DE", "ACM"))
    assert (await stage.backend.push_session(thing("session", core))).ok
    got = (await stage["acme"].wait_for("PUT", "sessions")).body
    expected = thing("session", core, OLD)
    assert got == expected | {"location": expected["location"] | {"name": "Your bays"}}


async def test_a_session_of_nobodys_token_is_refused(world: Begin) -> None:
    """Without OCPI-to a session goes by its token; if that names nobody who is known, its sender reads 4001."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    stranger = thing("session", NEW)
    stranger["cdr_token"] |= {"country_code": "FR", "party_id": "XYZ", "uid": "04FFFFFF"}
    answer = await stage.backend.push_session(stranger)
    assert (answer.http, answer.status_code) == (200, 4001)
    await settled(stage)
    assert stage["acme"].objects["sessions"] == stage["volt"].objects["sessions"] == {}


# Towards an eMSP's core -----------------------------------------------------------------------------------------------


@EITHER_CORE
async def test_sessions_of_operators_reach_our_core_check_43_trap_32(world: Begin, core: str) -> None:
    """An operator's session is at the core, with the token that it is about, by the time the operator reads 1000.

    The location inside it shows one EVSE of two, and isn't taken for the location: the other can be patched still.
    """
    stage = await world(EXA, TWO, backend=provider(core))
    await stage.backend.push_token(thing("token", core))
    for name, version in (("exa", OLD), ("two", NEW)):
        party = stage[name].party[1]
        await stage[name].push_location(owned(thing("location", version), party))
        assert (await stage[name].push_session(owned(thing("session", version), party))).http == 201
        stored = stage.backend.objects["sessions"][f"NL/{party}/S-1001"]
        assert stored == owned(thing("session", version, core), party)
        change = {"status": "BLOCKED", "last_updated": AFTERWARDS}
        assert (await stage[name].patch_location("LOC-7", "LOC-7-B", changes=change)).status_code == 1000
        place = stage.backend.objects["locations"][f"NL/{party}/LOC-7"]
        assert [(evse["uid"], evse["status"]) for evse in place["evses"]] == [
            ("LOC-7-A", "AVAILABLE"),
            ("LOC-7-B", "BLOCKED"),
        ]


@EITHER_CORE
async def test_an_operators_charging_periods_reach_our_core_as_its_version_has_them(world: Begin, core: str) -> None:
    """However the operator said it, the core has all periods in the end, each once."""
    stage = await world(EXA, TWO, backend=provider(core))
    await stage.backend.push_token(thing("token", core))
    first, second = "2026-03-03T08:00:00Z", "2026-03-03T08:30:00Z"
    for name, version in (("exa", OLD), ("two", NEW)):
        party = stage[name].party[1]
        await stage[name].push_location(owned(thing("location", version), party))
        session = owned(thing("session", version), party) | {"charging_periods": [period(first, 2.5, version)]}
        await stage[name].push_session(session)
        new = [*([period(first, 2.5, OLD)] if version == OLD else []), period(second, 4.5, version)]
        update = {"kwh": 7.0, "charging_periods": new, "last_updated": AFTERWARDS}
        assert (await stage[name].patch_session("S-1001", update)).status_code == 1000
        got = heard(stage.backend)[-1]
        assert (got.method, got.module) == ("PATCH", "sessions")
        stored = stage.backend.objects["sessions"][f"NL/{party}/S-1001"]
        assert [p["start_date_time"] for p in stored["charging_periods"]] == [first, second]
        assert stored["kwh"] == 7.0


@EITHER_CORE
async def test_the_patch_of_a_session_nobody_knows_is_404(world: Begin, core: str) -> None:
    """Nothing to merge it into: the operator is told, and sends the whole session."""
    stage = await world(EXA, TWO, backend=provider(core))
    before = len(heard(stage.backend))
    for peer in (stage["exa"], stage["two"]):
        body = {"kwh": 1.0, "last_updated": AFTERWARDS}
        assert (await peer.patch("sessions", *peer.party, "S-9", body=body)).http == 404
    assert len(heard(stage.backend)) == before


async def test_a_patch_tells_what_is_lost_of_the_patch(world: Begin) -> None:
    """What was lost of the rest of a session was told with the PUT; a PATCH tells of what it says itself."""
    seen: list[Crossed] = []
    with watching(seen.append):
        stage = await world(ACME, backend=operator(NEW))
        await stage.backend.push_location(thing("location", NEW))
        session = thing("session", NEW)
        await stage.backend.push_session(session)
        await stage["acme"].wait_for("PUT", "sessions")
        change = {"total_cost": {"excl_vat": 9, "incl_vat": 11}, "last_updated": "2031-01-01T00:00:00Z"}
        await stage.backend.patch_session(session["id"], change)
        await stage["acme"].wait_for("PATCH", "sessions")
        await settled(stage)
    pointers = {c.verb: {loss.pointer for loss in c.losses} for c in seen if c.module == "sessions"}
    assert "/cdr_token/uid" in pointers["PUT"]
    assert "/total_cost/incl_vat" in pointers["PATCH"]
    assert "/cdr_token/uid" not in pointers["PATCH"]
