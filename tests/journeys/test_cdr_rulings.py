"""CDRs that don't just arrive: in doubt, refused for now, after their original, or with nobody to take them."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve
from scenes import ACME, NEW, VOLT, Begin, Json, at_volt, operator, settled, thing
from structlog.testing import capture_logs

from gateway.demo.peers import Peer, Received, Role
from gateway.demo.world import Cast, World
from gateway.model.modules import Module
from gateway.model.names import CdrEntry, CdrState, Name
from gateway.model.party import Party
from gateway.web.json import CODEC

HUB = Cast(
    name="big", kind="hub", country="FR", party="HUB", business="The Big Hub", behind=(Role("EMSP", "FR", "FRM", "M"),)
)
FRM = ("FR", "FRM")

pytestmark = pytest.mark.usefixtures("impatient")


def volt(quirks: str = "") -> Cast:
    """The 2.2.1 eMSP, with these switches."""
    return evolve(VOLT, more=f"quirks: {{{quirks}}}\n")


def a_cdr(id: str = "1", **fields: object) -> Json:
    """A CDR of a driver of volt's. The first CDR that a peer gets, it keeps under the id 1."""
    return at_volt(thing("cdr", NEW)) | {"id": id} | fields


def name_of(id: str) -> Name:
    return Name(Module.CDRS, Party("NL", "EXA"), id)


def posted(peer: Peer) -> list[Received]:
    """The CDRs that it was sent, once for each time."""
    return [got for got in peer.received if (got.method, got.module) == ("POST", "cdrs")]


async def becomes(stage: World, state: CdrState, *, link: str = "volt", id: str = "1") -> CdrEntry:
    """The entry of the CDR, as soon as it is in that state."""
    for _ in range(250):
        entry = await stage.gateway.store.cdr_entry(link, name_of(id))
        if entry is not None and entry.state is state:
            return entry
        await asyncio.sleep(0.02)
    raise AssertionError(f"it is {entry.state if entry else 'unknown'}: {entry.reason if entry else ''}")


# In doubt -------------------------------------------------------------------------------------------------------------


async def test_a_cdr_in_doubt_is_posted_again_where_the_receiver_dedupes(world: Begin) -> None:
    """``repost``: the same bytes once more, and the answer to them decides."""
    stage = await world(volt("cdrs.in_doubt: repost"), backend=operator(NEW))
    stage["volt"].fail("cdrs", "POST", drop=True, applied=True)
    await stage.backend.push_cdr(a_cdr(), to=("DE", "VLT"))
    entry = await becomes(stage, CdrState.DELIVERED)
    first, second = posted(stage["volt"])
    assert first.raw == second.raw
    assert entry.attempts == 2


async def test_other_bytes_under_the_same_id_are_never_posted(world: Begin) -> None:
    """What was in doubt is posted again only as it was; a CDR that has come out differently since is parked."""
    stage = await world(volt("cdrs.in_doubt: repost"), backend=operator(NEW))
    stage["volt"].fail("cdrs", "POST", drop=True)
    await stage["volt"].down()
    await stage.backend.push_cdr(a_cdr(), to=("DE", "VLT"))
    await settled(stage)
    store, every = stage.gateway.store, {CdrState.PENDING}
    assert await store.cdr_move("volt", name_of("1"), every, CdrState.PENDING, reason="in doubt", digest="0" * 64)
    await stage["volt"].up()
    entry = await becomes(stage, CdrState.IN_DOUBT)
    assert "isn't what was posted then" in entry.reason
    assert posted(stage["volt"]) == []


async def test_what_is_posted_again_and_refused_stays_in_doubt(world: Begin) -> None:
    """A refusal may say that they have it already: only a person can tell."""
    stage = await world(volt("cdrs.in_doubt: repost"), backend=operator(NEW))
    stage["volt"].fail("cdrs", "POST", drop=True, applied=True)
    stage["volt"].fail("cdrs", "POST", status=2000)
    await stage.backend.push_cdr(a_cdr(), to=("DE", "VLT"))
    assert "posted again after doubt, and refused" in (await becomes(stage, CdrState.IN_DOUBT)).reason


async def test_a_cdr_in_doubt_that_they_have_is_delivered(world: Begin) -> None:
    """``verify``: it is asked for under its id, found, and not posted a second time."""
    stage = await world(volt("cdrs.in_doubt: verify"), backend=operator(NEW))
    stage["volt"].fail("cdrs", "POST", drop=True, applied=True)
    await stage.backend.push_cdr(a_cdr(), to=("DE", "VLT"))
    assert "found there" in (await becomes(stage, CdrState.DELIVERED)).reason
    assert len(posted(stage["volt"])) == 1


async def test_a_cdr_in_doubt_that_they_havent_got_is_posted_again(world: Begin) -> None:
    """``verify``, where CDRs are kept under their ids: a 404 says that it isn't there."""
    stage = await world(volt("cdrs.in_doubt: verify, cdrs.location_from: by_id"), backend=operator(NEW))
    stage["volt"].fail("cdrs", "POST", drop=True)
    await stage.backend.push_cdr(a_cdr(), to=("DE", "VLT"))
    await becomes(stage, CdrState.DELIVERED)
    assert len(posted(stage["volt"])) == 2


async def test_a_cdr_in_doubt_of_which_nobody_can_tell_is_parked(world: Begin) -> None:
    """``verify``, where the receiver alone knows the URLs of CDRs: a 404 says nothing."""
    stage = await world(volt("cdrs.in_doubt: verify"), backend=operator(NEW))
    stage["volt"].fail("cdrs", "POST", drop=True)
    await stage.backend.push_cdr(a_cdr(), to=("DE", "VLT"))
    assert "can't be told" in (await becomes(stage, CdrState.IN_DOUBT)).reason
    assert len(posted(stage["volt"])) == 1


async def test_a_cdr_in_doubt_is_left_to_their_pull(world: Begin) -> None:
    """``pull``: no alarm; it has arrived when they have read our list past it."""
    stage = await world(volt("cdrs.in_doubt: pull"), backend=operator(NEW))
    stage["volt"].fail("cdrs", "POST", drop=True)
    with capture_logs() as lines:
        await stage.backend.push_cdr(a_cdr(), to=("DE", "VLT"))
        assert (await becomes(stage, CdrState.IN_DOUBT)).who == "their pull"
    assert [line["event"] for line in lines if line["log_level"] == "error"] == []
    assert [cdr["id"] for cdr in await stage["volt"].pull("cdrs")] == ["1"]
    assert "read it in our list" in (await becomes(stage, CdrState.DELIVERED)).reason
    assert len(posted(stage["volt"])) == 1


async def test_an_attempt_that_a_process_didnt_survive_is_in_doubt(world: Begin) -> None:
    """Whoever takes the link over finds it, and parks it."""
    stage = await world(volt(), backend=operator(NEW))
    await stage["volt"].down()
    await stage.backend.push_cdr(a_cdr(), to=("DE", "VLT"))
    await settled(stage)
    await stage.gateway.store.cdr_move("volt", name_of("1"), {CdrState.PENDING}, CdrState.IN_FLIGHT)
    assert (await becomes(stage, CdrState.IN_DOUBT)).reason == "the gateway stopped during the attempt"


# Refused, or not taken ------------------------------------------------------------------------------------------------


async def test_a_refusal_that_is_only_timing_is_tried_again(world: Begin) -> None:
    """2003, unknown location: they may know it a moment later. Nobody is alarmed meanwhile."""
    stage = await world(volt(), backend=operator(NEW))
    stage["volt"].fail("cdrs", "POST", status=2003, times=2)
    with capture_logs() as lines:
        await stage.backend.push_cdr(a_cdr(), to=("DE", "VLT"))
        assert (await becomes(stage, CdrState.DELIVERED)).attempts == 3
    assert [line["event"] for line in lines if line["log_level"] == "error"] == []


async def test_a_refusal_that_lasts_is_refused_with_an_alarm(world: Begin) -> None:
    """After the time that the link allows, counted from the first refusal, a person is told."""
    stage = await world(volt("cdrs.retry_refused: {codes: [2003], for: 1s}"), backend=operator(NEW))
    stage["volt"].fail("cdrs", "POST", status=2003, times=1000)
    with capture_logs() as lines:
        await stage.backend.push_cdr(a_cdr(), to=("DE", "VLT"))
        entry = await becomes(stage, CdrState.REFUSED)
    assert entry.attempts > 1
    assert "cdr.refused" in [line["event"] for line in lines]


async def test_what_a_front_proxy_says_for_a_dead_service_is_the_links_to_say(world: Begin) -> None:
    """A bare 504 counts as certainly not stored where the file says so, and is tried again."""
    stage = await world(volt("cdrs.not_stored_http: [504]"), backend=operator(NEW))
    stage["volt"].fail("cdrs", "POST", http=504, body=b"<html>")
    await stage.backend.push_cdr(a_cdr(), to=("DE", "VLT"))
    assert (await becomes(stage, CdrState.DELIVERED)).attempts == 2


async def test_what_is_tried_for_too_long_is_dead(world: Begin) -> None:
    """``push.retry.max_age``: a person decides, and is told."""
    stage = await world(volt("push.retry: {interval: 1s, max_age: 1s}"), backend=operator(NEW))
    stage["volt"].fail("cdrs", "POST", status=3000, times=100)
    with capture_logs() as lines:
        await stage.backend.push_cdr(a_cdr(), to=("DE", "VLT"))
        assert "couldn't be delivered within" in (await becomes(stage, CdrState.DEAD)).reason
    assert "cdr.dead" in [line["event"] for line in lines]


async def test_a_credit_cdr_goes_after_its_original(world: Begin) -> None:
    """However long the original takes: what takes it back waits until it has arrived."""
    stage = await world(volt(), backend=operator(NEW))
    stage["volt"].fail("cdrs", "POST", status=3000, times=3)
    await stage.backend.push_cdr(a_cdr(), to=("DE", "VLT"))
    credit = a_cdr("2", credit=True, credit_reference_id="1")
    assert (await stage.backend.push_cdr(credit, to=("DE", "VLT"))).http == 201
    await becomes(stage, CdrState.DELIVERED, id="2")
    assert [got.body["id"] for got in posted(stage["volt"])] == ["1", "1", "1", "1", "2"]


async def test_a_credit_cdr_goes_after_an_original_that_was_said_and_not_spread(world: Begin) -> None:
    """Redis went away, or the process died, in between: it is no less said before."""
    stage = await world(volt(), backend=operator(NEW))
    raw = CODEC.dumps(a_cdr())
    await stage.gateway.store.say(name_of("1"), raw, raw, NEW, "backend", 0, ["volt"])
    credit = a_cdr("2", credit=True, credit_reference_id="1")
    assert (await stage.backend.push_cdr(credit, to=("DE", "VLT"))).http == 201
    await becomes(stage, CdrState.DELIVERED, id="2")
    assert [got.body["id"] for got in posted(stage["volt"])] == ["1", "2"]


async def test_a_credit_cdr_waits_visibly_for_an_original_that_doesnt_arrive(world: Begin) -> None:
    """The original is in doubt, so its credit stays pending, and says why."""
    stage = await world(volt(), backend=operator(NEW))
    stage["volt"].fail("cdrs", "POST", drop=True)
    await stage.backend.push_cdr(a_cdr(), to=("DE", "VLT"))
    await becomes(stage, CdrState.IN_DOUBT)
    await stage.backend.push_cdr(a_cdr("2", credit=True, credit_reference_id="1"), to=("DE", "VLT"))
    await settled(stage)
    assert (await becomes(stage, CdrState.PENDING, id="2")).reason == "its original, 1, is in_doubt"
    assert len(posted(stage["volt"])) == 1


# Behind a hub ---------------------------------------------------------------------------------------------------------


def of_frm(cdr: Json) -> Json:
    """The CDR of a driver of the party behind the hub."""
    token = cdr["cdr_token"] | {"country_code": "FR", "party_id": "FRM", "uid": "04FFEE"}
    return cdr | {"cdr_token": token}


async def test_a_cdr_of_an_offline_party_waits_until_it_is_connected(world: Begin) -> None:
    """Nothing is sent to the hub before it says that the party is back."""
    stage = await world(HUB, backend=operator(NEW))
    await stage["big"].push_client(FRM, "EMSP", "OFFLINE")
    await stage.backend.push_cdr(of_frm(a_cdr()), to=FRM)
    await settled(stage)
    assert (await becomes(stage, CdrState.PENDING, link="big")).reason == "FR-FRM is OFFLINE, its hub says"
    assert posted(stage["big"]) == []
    await stage["big"].push_client(FRM, "EMSP", "CONNECTED")
    assert (await becomes(stage, CdrState.DELIVERED, link="big")).attempts == 1


async def test_a_cdr_of_a_suspended_party_is_dead(world: Begin) -> None:
    """It will never connect again: a person is told, and decides."""
    stage = await world(HUB, backend=operator(NEW))
    await stage["big"].push_client(FRM, "EMSP", "SUSPENDED")
    with capture_logs() as lines:
        await stage.backend.push_cdr(of_frm(a_cdr()), to=FRM)
        assert (await becomes(stage, CdrState.DEAD, link="big")).reason == "FR-FRM is SUSPENDED, its hub says"
    assert "cdr.dead" in [line["event"] for line in lines]
    assert posted(stage["big"]) == []


async def test_a_cdr_goes_to_whoever_is_there_meanwhile(world: Begin) -> None:
    """One that nobody takes holds up no other."""
    stage = await world(ACME, volt(), backend=operator(NEW))
    await stage["volt"].down()
    await stage.backend.push_cdr(a_cdr(), to=("DE", "VLT"))
    await stage.backend.push_cdr(thing("cdr", NEW), to=("DE", "ACM"))
    await becomes(stage, CdrState.DELIVERED, link="acme", id="C-501")
    await stage["volt"].up()
    await becomes(stage, CdrState.DELIVERED)
