"""What the gateway acknowledged to a core and what becomes of it: delivered at once, later, or visibly not."""

from __future__ import annotations

import pytest
from attrs import evolve
from scenes import ACME, EITHER_CORE, NEW, OLD, VOLT, Begin, Json, at_volt, operator, settled, thing
from structlog.testing import capture_logs

from gateway import telemetry
from gateway.app import Gateway
from gateway.demo.world import World
from gateway.model.names import CdrEntry, CdrState
from gateway.settings import Address
from gateway.telemetry import Crossed

BOTH_EMSPS = pytest.mark.parametrize("name", ["acme", "volt"], ids=["to-2.1.1", "to-2.2.1"])
PARTIES = {"acme": ("DE", "ACM"), "volt": ("DE", "VLT")}
VERSIONS = {"acme": OLD, "volt": NEW}


def day(number: int) -> str:
    """A DateTime in a month after everything else."""
    return f"2026-04-{number:02}T10:00:00Z"


def a_cdr(name: str) -> Json:
    """A CDR of a driver of that eMSP."""
    cdr = thing("cdr", NEW)
    return cdr if name == "acme" else at_volt(cdr)


async def cdr_in(stage: World, name: str, state: CdrState) -> CdrEntry:
    """The only CDR that this eMSP was ever owed, which is in this state after the attempt that is under way."""
    await settled(stage)
    (entry,) = [entry async for entry in stage.gateway.store.cdr_entries(name, done=state.done)]
    assert entry.state is state
    return entry


@BOTH_EMSPS
async def test_an_emsp_that_was_down_gets_what_is_and_only_that_trap_59(world: Begin, name: str) -> None:
    """Whatever changed while it was away, it gets the newest state, in one request, when it is back."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    await stage[name].down()
    assert (await stage.backend.push_location(thing("location", NEW))).http == 201
    for number in (1, 2, 3):
        change = {"name": f"Name {number}", "last_updated": day(number)}
        assert (await stage.backend.patch_location("LOC-7", changes=change)).status_code == 1000
    await settled(stage)
    await stage[name].up()
    change = {"name": "Name 4", "last_updated": day(4)}
    assert (await stage.backend.patch_location("LOC-7", changes=change)).status_code == 1000
    got = await stage[name].wait_for("PUT", "locations")
    assert got.body == thing("location", NEW, VERSIONS[name]) | change
    await settled(stage)
    assert [seen.method for seen in stage[name].received if seen.module == "locations"] == ["PUT"]


@BOTH_EMSPS
async def test_an_emsp_that_comes_back_is_tried_again(world: Begin, impatient: None, name: str) -> None:
    """Nobody has to say anything new: what is owed is tried again by itself."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    await stage[name].down()
    await stage.backend.push_location(thing("location", NEW))
    await settled(stage)
    await stage[name].up()
    assert (await stage[name].wait_for("PUT", "locations")).body == thing("location", NEW, VERSIONS[name])


@EITHER_CORE
async def test_a_storm_of_changes_ends_in_what_is(world: Begin, core: str) -> None:
    """However many changes come at once, and however few requests say them, both eMSPs have the last of them."""
    stage = await world(ACME, VOLT, backend=operator(core))
    await stage.backend.push_location(thing("location", core))
    for number in range(1, 21):
        status = "CHARGING" if number % 2 else "AVAILABLE"
        change = {"status": status, "physical_reference": str(number), "last_updated": day(number)}
        assert (await stage.backend.patch_location("LOC-7", "LOC-7-A", changes=change)).status_code == 1000
    await settled(stage)
    for name in PARTIES:
        evse = stage[name].stored.with_id("locations", "LOC-7")["evses"][0]
        assert (evse["physical_reference"], evse["last_updated"]) == ("20", day(20))


@EITHER_CORE
async def test_what_is_older_than_what_is_known_changes_nothing_check_48(world: Begin, core: str) -> None:
    """A push that comes late, after a newer one, is accepted and forgotten."""
    stage = await world(ACME, VOLT, backend=operator(core))
    await stage.backend.push_location(thing("location", core) | {"last_updated": day(2)})
    await settled(stage)
    late = thing("location", core) | {"name": "Long ago", "last_updated": day(1)}
    assert (await stage.backend.push_location(late)).status_code == 1000
    await settled(stage)
    for name in PARTIES:
        assert [got.body["name"] for got in stage[name].received if got.module == "locations"] == ["Stationsplein"]


async def test_a_dead_emsp_holds_nobody_up(world: Begin) -> None:
    """What one eMSP can't be given, the other has at once."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    await stage["acme"].down()
    await stage.backend.push_location(thing("location", NEW))
    assert (await stage["volt"].wait_for("PUT", "locations")).body == thing("location", NEW)


@BOTH_EMSPS
async def test_what_an_emsp_refuses_is_held_with_its_reason_trap_23(world: Begin, name: str) -> None:
    """A refusal isn't repeated: the object is held, with what the eMSP said, until there is something new to say."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    stage[name].fail("locations", "PUT", status=2001)
    assert (await stage.backend.push_location(thing("location", NEW))).status_code == 1000
    await settled(stage)
    (held,) = await stage.gateway.store.held(name)
    assert (held.name.text, held.reason, held.detail) == ("locations:NL-EXA:LOC-7", "refused", "2001: as asked for")

    newer = thing("location", NEW) | {"last_updated": day(1)}
    await stage.backend.push_location(newer)
    got = await stage[name].wait_for("PUT", "locations", count=2)
    assert got.status_code == 1000
    await settled(stage)
    assert await stage.gateway.store.held(name) == []


@BOTH_EMSPS
async def test_a_patch_of_what_an_emsp_lost_becomes_a_put(world: Begin, name: str) -> None:
    """404 on a PATCH says that the eMSP hasn't got the object: it gets the whole of it."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    await stage.backend.push_location(thing("location", NEW))
    await settled(stage)
    stage[name].objects["locations"].clear()
    change = {"status": "CHARGING", "last_updated": day(1)}
    await stage.backend.patch_location("LOC-7", "LOC-7-A", changes=change)
    assert (await stage[name].wait_for("PATCH", "locations")).http == 404
    got = await stage[name].wait_for("PUT", "locations", count=2)
    assert len(got.segments) == 3
    assert got.body["evses"][0]["status"] == "CHARGING"


@BOTH_EMSPS
async def test_after_an_attempt_in_doubt_everything_is_said_again(world: Begin, impatient: None, name: str) -> None:
    """No answer to a PATCH of charging periods: they may be there or not, so the next request is the whole session."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    await stage.backend.push_location(thing("location", NEW))
    session = thing("session", NEW) if name == "acme" else at_volt(thing("session", NEW))
    await stage.backend.push_session(session, to=PARTIES[name])
    await settled(stage)
    stage[name].fail("sessions", "PATCH", drop=True, applied=True)
    period = {"start_date_time": "2026-03-03T09:00:00Z", "dimensions": [{"type": "ENERGY", "volume": 1.5}]}
    change = {"charging_periods": [period], "kwh": 19.75, "last_updated": day(1)}
    assert (await stage.backend.patch_session("S-1001", change, to=PARTIES[name])).status_code == 1000
    await stage[name].wait_for("PUT", "sessions", count=2)
    assert len(stage[name].stored.with_id("sessions", "S-1001")["charging_periods"]) == 2


@EITHER_CORE
async def test_what_was_acknowledged_survives_a_restart(world: Begin, impatient: None, core: str) -> None:
    """Acknowledged, not delivered, the gateway restarted: it delivers afterwards, a PATCH on top of it too."""
    stage = await world(ACME, VOLT, backend=operator(core))
    for name in PARTIES:
        await stage[name].down()
    assert (await stage.backend.push_location(thing("location", core))).status_code == 1000
    assert (await stage.backend.push_cdr(thing("cdr", core), to=("DE", "ACM"))).status_code == 1000
    await settled(stage)
    await stage.restart()
    for name in PARTIES:
        await stage[name].up()
    for name, version in VERSIONS.items():
        assert (await stage[name].wait_for("PUT", "locations")).body == thing("location", core, version)
    assert (await stage["acme"].wait_for("POST", "cdrs")).body == thing("cdr", core, OLD)
    await settled(stage)
    change = {"status": "CHARGING", "last_updated": day(1)}
    assert (await stage.backend.patch_location("LOC-7", "LOC-7-A", changes=change)).status_code == 1000
    for name in PARTIES:
        assert (await stage[name].wait_for("PATCH", "locations")).body == change


@BOTH_EMSPS
async def test_what_a_framework_rejects_is_held(world: Begin, impatient: None, name: str) -> None:
    """A bare 422 is about the object: set aside with its reason, not sent for ever, it goes out when it changes."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    stage[name].fail("locations", "PUT", http=422, body=b'{"detail": "connectors"}')
    await stage.backend.push_location(thing("location", NEW))
    await settled(stage)
    (held,) = await stage.gateway.store.held(name)
    assert (held.reason, held.detail) == ("refused", "HTTP 422 without an OCPI envelope")
    await stage.backend.push_location(thing("location", NEW) | {"last_updated": day(1)})
    await settled(stage)
    assert await stage.gateway.store.held(name) == []
    assert len([got for got in stage[name].received if got.module == "locations"]) == 2


# CDRs -----------------------------------------------------------------------------------------------------------------


@BOTH_EMSPS
async def test_a_cdr_for_an_emsp_that_is_down_arrives_when_it_is_back(world: Begin, impatient: None, name: str) -> None:
    """Not one byte was sent, so it is safe to send again."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    await stage[name].down()
    assert (await stage.backend.push_cdr(a_cdr(name), to=PARTIES[name])).http == 201
    entry = await cdr_in(stage, name, CdrState.PENDING)
    assert "can't be reached" in entry.reason
    await stage[name].up()
    await stage[name].wait_for("POST", "cdrs")
    await cdr_in(stage, name, CdrState.DELIVERED)


@BOTH_EMSPS
@pytest.mark.parametrize(
    "answer",
    [{"http": 503, "body": b"<html>"}, {"status": 3000}],
    ids=["front-proxy", "server-error"],
)
async def test_a_cdr_that_was_certainly_not_stored_is_posted_again(
    world: Begin, impatient: None, name: str, answer: Json
) -> None:
    """A front proxy's 503, or the eMSP's own 3000: it is tried again until it is stored, once."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    stage[name].fail("cdrs", "POST", **answer)
    assert (await stage.backend.push_cdr(a_cdr(name), to=PARTIES[name])).http == 201
    await stage[name].wait_for("POST", "cdrs", count=2)
    entry = await cdr_in(stage, name, CdrState.DELIVERED)
    assert entry.attempts == 2
    assert entry.location.startswith("http://127.0.0.1:")


@BOTH_EMSPS
async def test_a_cdr_that_is_refused_is_parked_with_the_reason_trap_23(
    world: Begin, impatient: None, name: str
) -> None:
    """The eMSP said no: the CDR isn't posted again by itself, and people can read why."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    stage[name].fail("cdrs", "POST", status=2000)
    assert (await stage.backend.push_cdr(a_cdr(name), to=PARTIES[name])).http == 201
    assert (await cdr_in(stage, name, CdrState.REFUSED)).reason == "2000: as asked for"


@BOTH_EMSPS
async def test_a_cdr_in_doubt_is_never_posted_twice(world: Begin, impatient: None, name: str) -> None:
    """The connection broke after the CDR was sent: it may have been stored, so it waits for a person."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    stage[name].fail("cdrs", "POST", drop=True, applied=True)
    assert (await stage.backend.push_cdr(a_cdr(name), to=PARTIES[name])).http == 201
    await cdr_in(stage, name, CdrState.IN_DOUBT)
    await stage.restart()
    another = a_cdr(name) | {"id": "C-502"}
    assert (await stage.backend.push_cdr(another, to=PARTIES[name])).http == 201
    await stage[name].wait_for("POST", "cdrs", count=2)
    await settled(stage)
    assert [got.body["id"] for got in stage[name].received if got.module == "cdrs"] == ["C-501", "C-502"]


# What is told ---------------------------------------------------------------------------------------------------------


async def test_each_crossing_is_told_with_what_it_lost(world: Begin) -> None:
    """One line per crossing: from, to, both versions, and each value that the translation lost."""
    told: list[Crossed] = []
    stage = await world(ACME, VOLT, backend=operator(NEW))
    with telemetry.watching(told.append):
        await stage.backend.push_location(thing("location", NEW))
        await settled(stage)
    lines = {line.target: line for line in told if line.module == "locations"}
    assert {name: (line.source, line.source_version, line.target_version) for name, line in lines.items()} == {
        "acme": ("backend", NEW, OLD),
        "volt": ("backend", NEW, NEW),
    }
    assert {loss.pointer for loss in lines["acme"].losses} == {
        "/publish_allowed_to",
        "/state",
        "/evses/0/connectors/0/max_electric_power",
    }
    assert lines["volt"].losses == ()


async def test_a_replica_that_starts_leaves_alone_what_another_is_posting(world: Begin) -> None:
    """A CDR under way at a replica that lives isn't in doubt: nobody parks it, and its answer decides."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    stage["volt"].delay = 2.5  # longer than the lane of a dead process lasts
    assert (await stage.backend.push_cdr(a_cdr("volt"), to=PARTIES["volt"])).http == 201
    await stage["volt"].wait_for("POST", "cdrs")  # its answer is still to come
    anywhere = Address("127.0.0.1", 0)
    settings = evolve(stage.settings, listen=anywhere, admin=evolve(stage.settings.admin, listen=anywhere))
    with capture_logs() as lines:
        async with Gateway.running(settings, stage.folder / "data") as another:
            await another.up()
            assert (await cdr_in(stage, "volt", CdrState.DELIVERED)).attempts == 1
    assert [line for line in lines if line["event"] == "cdr.in_doubt"] == []
    assert len([got for got in stage["volt"].received if got.module == "cdrs"]) == 1
