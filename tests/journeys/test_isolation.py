"""A link that is slow, dead or busy: spared, tried again at the right moment, and nobody else's trouble."""

from __future__ import annotations

import asyncio
import time

import pytest
from attrs import evolve
from scenes import ACME, NEW, TWO, VOLT, Begin, Json, at_volt, operator, provider, settled, thing
from structlog.testing import capture_logs

from gateway.demo.peers import Peer
from gateway.demo.world import World
from gateway.model.modules import Module
from gateway.model.names import CdrState, Name
from gateway.model.party import Party
from gateway.web.json import dumps


def location(number: int) -> Json:
    return thing("location", NEW) | {"id": f"LOC-{number}"}


async def push(stage: World, *numbers: int) -> None:
    """The core says these locations."""
    for number in numbers:
        assert (await stage.backend.push_location(location(number))).http == 201


def locations(peer: Peer) -> list[str]:
    """The locations that a peer was sent, by their ids."""
    return [got.body["id"] for got in peer.received if (got.method, got.module) == ("PUT", "locations")]


async def test_what_doesnt_answer_is_spared_and_tried_when_it_calls(world: Begin) -> None:
    """Five calls in vain open its breaker, and the sixth object costs none; all of them come when it calls in."""
    stage = await world(VOLT, backend=operator(NEW))
    volt = stage["volt"]
    volt.fail("locations", http=500, times=5)
    await push(stage, *range(5))
    await settled(stage)
    assert len(locations(volt)) == 5
    await push(stage, *range(5, 10))
    await settled(stage)
    assert len(locations(volt)) == 5
    assert (await volt.get("locations", side="SENDER", query={"limit": "1"})).status_code == 1000
    await volt.wait_for("PUT", "locations", count=15)
    await settled(stage)
    assert sorted(set(locations(volt))) == [f"LOC-{number}" for number in range(10)]


async def test_who_calls_in_is_tried_however_much_was_tried_in_vain(
    world: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The budget of repetitions is for a partner of whom nothing is heard: a call of theirs begins it anew."""
    monkeypatch.setattr("gateway.ledger.pace.FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr("gateway.ledger.courier.AROUND_S", 0.05)
    stage = await world(VOLT, backend=operator(NEW))
    volt = stage["volt"]
    volt.fail("locations", "PUT", http=500, times=5)
    await push(stage, 1, 2)
    await volt.wait_for("PUT", "locations", count=5)  # two, and the three repetitions that a link has in any case
    await settled(stage)
    assert (await volt.get("locations", side="SENDER", query={"limit": "1"})).status_code == 1000
    await volt.wait_for("PUT", "locations", count=7)


async def test_what_a_crash_left_between_said_and_owed_is_there_within_seconds(world: Begin) -> None:
    """It was acknowledged, and the process died before anybody was owed it: whoever else is there finds its note."""
    stage = await world(VOLT, backend=operator(NEW))
    said, name = dumps(location(1)), Name(Module.LOCATIONS, Party("NL", "EXA"), "LOC-1")
    await stage.gateway.store.say(name, said, said, NEW, "core", None, ["volt"])
    await stage["volt"].wait_for("PUT", "locations")


async def test_who_answers_again_gets_what_was_tried_in_vain(world: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """A breaker that closes begins the budget of repetitions anew: what is owed doesn't wait for the next minute."""
    monkeypatch.setattr("gateway.ledger.pace.FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr("gateway.ledger.courier.AROUND_S", 0.05)
    monkeypatch.setattr("gateway.breaker.FIRST_S", 0.2)
    stage = await world(VOLT, backend=operator(NEW))
    volt = stage["volt"]
    await volt.down()
    await push(stage, 1, 2)
    for _ in range(200):  # two, and the three repetitions: five calls in vain open the breaker
        if stage.gateway.courier._breakers.is_open("volt", Module.LOCATIONS):
            break
        await asyncio.sleep(0.02)
    await volt.up()
    await push(stage, 3)
    await volt.wait_for("PUT", "locations", lambda got: got.body["id"] == "LOC-1", timeout=10)
    await volt.wait_for("PUT", "locations", lambda got: got.body["id"] == "LOC-2", timeout=10)


async def test_one_object_that_a_server_stumbles_over_holds_up_no_other(world: Begin) -> None:
    """It waits by itself; the next objects arrive at once."""
    stage = await world(VOLT, backend=operator(NEW))
    stage["volt"].fail("locations", http=500)
    await push(stage, 1)
    await settled(stage)
    await push(stage, 2, 3)
    await settled(stage)
    assert locations(stage["volt"]) == ["LOC-1", "LOC-2", "LOC-3"]
    assert await stage.gateway.store.owed_entry("volt", Name(Module.LOCATIONS, Party("NL", "EXA"), "LOC-1"))


async def test_a_partner_that_calls_all_the_time_isnt_tried_all_the_time(world: Begin) -> None:
    """A hundred calls of a partner whose own receiver is dead are a few tries."""
    stage = await world(VOLT, backend=operator(NEW))
    volt = stage["volt"]
    volt.fail("locations", "PUT", http=500, times=1000)
    await push(stage, *range(5))
    await settled(stage)
    for _ in range(100):
        await volt.get("locations", side="SENDER", query={"limit": "1"})
    await settled(stage)
    assert len(locations(volt)) <= 7


@pytest.mark.parametrize("http", [429, 503])
async def test_a_pause_that_they_ask_for_is_kept(world: Begin, http: int) -> None:
    """``Retry-After``: that module rests for so long, the others don't, and then it is tried."""
    stage = await world(VOLT, backend=operator(NEW))
    volt = stage["volt"]
    volt.fail("locations", http=http, headers={"Retry-After": "1"})
    began = time.monotonic()
    await push(stage, 1)
    await settled(stage)
    await push(stage, 2)
    await settled(stage)
    assert locations(volt) == ["LOC-1"]
    await stage.backend.push_tariff(thing("tariff", NEW))
    tariff = await volt.wait_for("PUT", "tariffs")
    second = await volt.wait_for("PUT", "locations", lambda got: got.body["id"] == "LOC-2")
    assert time.monotonic() - began >= 1
    assert tariff.at < second.at


async def test_a_live_call_fails_at_once_while_the_breaker_is_open(world: Begin) -> None:
    """A core asks a partner for locations, in vain: the sixth time it has its answer without a call, and no wait."""
    stage = await world(TWO, backend=provider(NEW))
    two = stage["two"]
    two.fail("locations", "GET", http=500, times=5)
    for _ in range(5):
        assert (await stage.backend.get("locations", side="SENDER", to=two.party)).status_code >= 3000
    two.delay = 3
    before, began = len(two.received), time.monotonic()
    assert (await stage.backend.get("locations", "LOC-7", side="SENDER", to=two.party)).status_code == 4003
    assert time.monotonic() - began < 2.5
    assert len(two.received) == before


async def test_who_rejects_our_token_is_left_alone_until_there_is_an_occasion(world: Begin) -> None:
    """401 is about us, and about everything: no object is sent for nothing, and no breaker opens."""
    stage = await world(VOLT, backend=operator(NEW))
    volt = stage["volt"]
    volt.fail("locations", http=401, status=2000, times=1)
    await push(stage, 1)
    await settled(stage)
    await push(stage, 2, 3, 4)
    await settled(stage)
    assert locations(volt) == ["LOC-1"]
    await volt.get("locations", side="SENDER", query={"limit": "1"})
    await volt.wait_for("PUT", "locations", count=5)
    assert sorted(locations(volt)) == ["LOC-1", "LOC-1", "LOC-2", "LOC-3", "LOC-4"]


async def test_who_wants_changes_soon_has_an_alarm_when_they_are_late(world: Begin, impatient: None) -> None:
    """``push.max_delay_s``: one line for each object, however often it fails."""
    stage = await world(
        evolve(VOLT, more="quirks: {push.max_delay_s: 1, push.retry: {interval: 1s}}\n"), backend=operator(NEW)
    )
    volt = stage["volt"]
    volt.fail("locations", "PUT", http=500, times=1000)
    with capture_logs() as lines:
        await push(stage, 1)
        async with asyncio.timeout(5):
            while not (late := [line for line in lines if line["event"] == "delivery.late"]):
                await volt.wait_for("PUT", "locations", count=len(locations(volt)) + 1)
        await volt.wait_for("PUT", "locations", count=len(locations(volt)) + 1)
        await settled(stage)
    assert [(line["partner"], line["module"], line["log_level"]) for line in late] == [("volt", "locations", "error")]
    assert [line["event"] for line in lines].count("delivery.late") == 1


async def test_cdrs_that_hang_hold_up_no_location(world: Begin) -> None:
    """Every place for CDRs is taken by one that isn't answered; a location passes by."""
    stage = await world(VOLT, backend=operator(NEW))
    volt = stage["volt"]
    volt.slow("cdrs", seconds=4, times=8)
    for number in range(8):
        cdr = at_volt(thing("cdr", NEW)) | {"id": f"C-{number}"}
        assert (await stage.backend.push_cdr(cdr, to=("DE", "VLT"))).http == 201
    await volt.wait_for("POST", "cdrs", count=4)
    began = time.monotonic()
    await push(stage, 1)
    await volt.wait_for("PUT", "locations")
    assert time.monotonic() - began < 3


async def test_a_slow_link_slows_no_other(world: Begin) -> None:
    """One takes its time for everything; the other has everything at once."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    stage["acme"].delay = 4
    began = time.monotonic()
    await push(stage, *range(20))
    await stage["volt"].wait_for("PUT", "locations", count=20)
    assert time.monotonic() - began < 3


async def test_of_two_replicas_one_delivers_each_thing_once(world: Begin) -> None:
    """Both are woken by everything; what one has the lease of, the other leaves alone."""
    stage = await world(VOLT, backend=operator(NEW), gateways=2)
    volt = stage["volt"]
    volt.delay = 0.05
    cdrs = [at_volt(thing("cdr", NEW)) | {"id": f"C-{number}"} for number in range(20)]
    pushes = [stage.backend.push_cdr(cdr, to=("DE", "VLT")) for cdr in cdrs]
    assert {answer.http for answer in await asyncio.gather(*pushes)} == {201}
    await volt.wait_for("POST", "cdrs", count=20)
    for gateway in stage.gateways:
        await gateway.courier.settle_down(5)
    counts = await stage.gateway.store.counts("volt")
    assert counts[CdrState.DELIVERED] == 20
    assert len([got for got in volt.received if got.module == "cdrs"]) == 20


async def test_a_replica_that_stops_hands_over_at_once(world: Begin) -> None:
    """What it was bringing it finishes; the rest is the other's, within a moment."""
    stage = await world(VOLT, backend=operator(NEW), gateways=2)
    volt = stage["volt"]
    volt.delay = 0.1
    for number in range(12):
        cdr = at_volt(thing("cdr", NEW)) | {"id": f"C-{number}"}
        assert (await stage.backend.push_cdr(cdr, to=("DE", "VLT"))).http == 201
    for gateway in stage.gateways:
        if await gateway.store.leases(["volt"]):
            holder = next(iter((await gateway.store.leases(["volt"])).values()))
            if holder == gateway.courier.who:
                await gateway.courier.finish(5)
    await volt.wait_for("POST", "cdrs", count=12)
    await asyncio.sleep(0.2)
    assert (await stage.gateway.store.counts("volt"))[CdrState.IN_DOUBT] == 0
    assert len([got for got in volt.received if got.module == "cdrs"]) == 12
