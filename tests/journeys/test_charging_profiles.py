"""Charging profiles between platforms on 2.2.1, NOT_SUPPORTED towards 2.1.1; and charging preferences."""

from __future__ import annotations

from typing import Any

import pytest
import samples
from attrs import evolve, frozen
from scenes import EXA, NEW, OLD, TWO, VOLT, Begin, Json, at_volt, operator, owned, plain, provider, settled, thing

from gateway.demo.peers import Peer, Received
from gateway.demo.world import Cast, World

PROFILE: Json = plain(samples.charging_profile())
ACTIVE: Json = plain(samples.active_charging_profile())
WISHES: Json = plain(samples.charging_preferences())


@frozen(kw_only=True)
class SmartCharging(Cast):
    """An SCSP by its file. The platform that plays it is on the eMSP's side of every interface, as an SCSP is."""

    def peer(self, *, behind_hub: bool = False) -> Peer:
        return Cast.peer(evolve(self, role="EMSP"), behind_hub=behind_hub)


SMART = SmartCharging(name="smart", role="SCSP", party="SCP", business="Smart Charging", start="none")


async def operators_core(world: Begin, core: str = NEW, *partners: Cast) -> World:
    """An operator's core with a session of volt's driver."""
    stage = await world(VOLT, *partners, backend=operator(core))
    await stage.backend.push_location(thing("location", core))
    await stage["volt"].push_token(at_volt(thing("token", NEW)))
    await stage.backend.push_session(at_volt(thing("session", core)))
    await settled(stage)
    return stage


def asked(peer: Peer) -> list[Received]:
    """The requests about charging profiles that a peer has got as an operator."""
    return [each for each in peer.received if (each.module, each.side) == ("chargingprofiles", "RECEIVER")]


async def each_request(peer: Peer, session: str = "S-1001", **call: Any) -> list[Any]:
    """A profile set, read and taken away."""
    return [
        await peer.set_profile(session, PROFILE, **call),
        await peer.get_profile(session, 600, **call),
        await peer.clear_profile(session, **call),
    ]


async def test_a_profile_is_set_read_and_taken_away_check_71(world: Begin) -> None:
    """Each request reaches the operator with a URL of ours, and each result the URL of whoever asked."""
    stage = await operators_core(world)
    answers = await each_request(stage["volt"])
    for answer in answers:
        assert answer.data == {"result": "ACCEPTED", "timeout": 30}
        assert (await stage["volt"].result_of(answer)).body["result"] == "ACCEPTED"
    put, get, delete = asked(stage.backend)
    ours = f"{stage.settings.public_url}/ocpi/{NEW}/callback/"
    assert (put.segments, put.body["charging_profile"]) == (("S-1001",), PROFILE)
    assert get.query["duration"] == "600"
    assert all(
        url.startswith(ours) for url in (put.body["response_url"], *(q.query["response_url"] for q in (get, delete)))
    )
    profile = (await stage["volt"].result_of(answers[1])).body["profile"]
    assert profile["charging_profile"] == PROFILE


@pytest.mark.parametrize("word", ["REJECTED", "TOO_OFTEN", "UNKNOWN_SESSION", "NOT_SUPPORTED"])
async def test_an_operators_no_comes_back(world: Begin, word: str) -> None:
    """The first answer is the operator's own; then there is no result, and no profile to be told of."""
    stage = await operators_core(world)
    stage.backend.answer_profile("PUT", word, timeout=5)
    answer = await stage["volt"].set_profile("S-1001", PROFILE)
    assert answer.data == {"result": word, "timeout": 5}
    assert (await stage.backend.update_profile("S-1001", ACTIVE)).status_code == 1000
    assert [each for each in stage["volt"].received if each.module == "chargingprofiles"] == []


@pytest.mark.parametrize("result", ["ACCEPTED", "REJECTED", "UNKNOWN"])
async def test_results_keep_their_words(world: Begin, result: str) -> None:
    """What the charge point says of a profile is passed on as it is."""
    stage = await operators_core(world)
    stage.backend.answer_profile("PUT", then=result)
    answer = await stage["volt"].set_profile("S-1001", PROFILE)
    assert (await stage["volt"].result_of(answer)).body == {"result": result}


async def test_a_profile_at_a_core_on_2_1_1_is_not_supported_check_71(world: Begin) -> None:
    """2.1.1 has no charging profiles: NOT_SUPPORTED with timeout 0, and the core isn't asked."""
    stage = await operators_core(world, OLD)
    before = len(stage.backend.received)
    for answer in await each_request(stage["volt"]):
        assert (answer.status_code, answer.data) == (1000, {"result": "NOT_SUPPORTED", "timeout": 0})
    assert len(stage.backend.received) == before


async def test_the_profile_in_force_is_told_to_who_has_set_one_check_71(world: Begin) -> None:
    """Who plans the charging sets a profile, its eMSP doesn't: the operator's update reaches the first alone."""
    stage = await operators_core(world, NEW, SMART)
    assert (await stage["smart"].set_profile("S-1001", PROFILE)).ok
    assert (await stage.backend.update_profile("S-1001", ACTIVE, to=None)).status_code == 1000
    told = await stage["smart"].wait_for("PUT", "chargingprofiles")
    assert (told.segments, told.body) == (("S-1001",), ACTIVE)
    assert [each for each in stage["volt"].received if each.module == "chargingprofiles"] == []


async def test_an_update_that_nobody_asked_for_goes_nowhere(world: Begin) -> None:
    """Nobody has set a profile on the session: 1000, and nobody hears of it."""
    stage = await operators_core(world)
    for to in (None, ("DE", "VLT")):
        assert (await stage.backend.update_profile("S-1001", ACTIVE, to=to)).status_code == 1000
    assert [each for each in stage["volt"].received if each.module == "chargingprofiles"] == []


async def test_nobody_sets_a_profile_on_another_emsps_session(world: Begin) -> None:
    """A session of volt's driver is unknown to another eMSP."""
    other = evolve(VOLT, name="amps", party="AMP", business="Amps")
    stage = await operators_core(world, NEW, other)
    answer = await stage["amps"].set_profile("S-1001", PROFILE)
    assert answer.data == {"result": "UNKNOWN_SESSION", "timeout": 0}
    assert asked(stage.backend) == []


@pytest.mark.parametrize("where", ["body", "query"])
async def test_a_response_url_on_a_strange_host_is_refused_check_69(world: Begin, where: str) -> None:
    """In the body of a PUT as in the query of a GET: 2001, and nothing is relayed."""
    stage = await operators_core(world)
    url = "http://elsewhere.example/results/1?a=b&c=d"
    if where == "body":
        body = {"charging_profile": PROFILE, "response_url": url}
        answer = await stage["volt"].put("chargingprofiles", "S-1001", body=body)
    else:
        answer = await stage["volt"].get(
            "chargingprofiles", "S-1001", side="RECEIVER", query={"duration": "600", "response_url": url}
        )
    assert (answer.status_code, "response_url" in answer.message) == (2001, True)
    assert asked(stage.backend) == []


async def test_a_result_after_a_restart_check_80(world: Begin) -> None:
    """What a URL of ours stands for survives the process."""
    stage = await operators_core(world)
    stage.backend.answer_profile("PUT", then=None)
    answer = await stage["volt"].set_profile("S-1001", PROFILE)
    await stage.restart()
    (got,) = asked(stage.backend)
    assert (await stage.backend.send_result(got, "ACCEPTED")).ok
    assert (await stage["volt"].result_of(answer)).body == {"result": "ACCEPTED"}


# An eMSP's core -------------------------------------------------------------------------------------------------------


async def providers_core(world: Begin, cpo: str) -> World:
    """An eMSP's core, and an operator with a session of its driver."""
    stage = await world(EXA, TWO, backend=provider(NEW))
    await stage.backend.push_token(thing("token", NEW))
    await settled(stage)
    version, party = (OLD, "EXA") if cpo == "exa" else (NEW, "TWO")
    await stage[cpo].push_location(owned(thing("location", version), party))
    await stage[cpo].push_session(owned(thing("session", version), party))
    return stage


@pytest.mark.parametrize("to", [None, ("NL", "TWO")], ids=["by-content", "addressed"])
async def test_a_core_sets_profiles_at_an_operator_check_71(world: Begin, to: Any) -> None:
    """By OCPI-to, or to the operator of the session; the operator's updates come back."""
    stage = await providers_core(world, "two")
    for answer in await each_request(stage.backend, to=to):
        assert answer.data == {"result": "ACCEPTED", "timeout": 30}
        assert (await stage.backend.result_of(answer)).body["result"] == "ACCEPTED"
    assert len(asked(stage["two"])) == 3
    assert (await stage["two"].update_profile("S-1001", ACTIVE)).ok
    assert (await stage.backend.wait_for("PUT", "chargingprofiles")).body == ACTIVE


@pytest.mark.parametrize("to", [None, ("NL", "EXA")], ids=["by-content", "addressed"])
async def test_a_profile_at_an_operator_on_2_1_1_is_not_supported_check_71(world: Begin, to: Any) -> None:
    """NOT_SUPPORTED with timeout 0, and the operator isn't asked."""
    stage = await providers_core(world, "exa")
    before = len(stage["exa"].received)
    for answer in await each_request(stage.backend, to=to):
        assert (answer.status_code, answer.data) == (1000, {"result": "NOT_SUPPORTED", "timeout": 0})
    assert len(stage["exa"].received) == before


async def test_a_session_that_nobody_knows(world: Begin) -> None:
    """Without OCPI-to there is nobody to ask: UNKNOWN_SESSION."""
    stage = await providers_core(world, "two")
    answer = await stage.backend.set_profile("S-0", PROFILE, to=None)
    assert answer.data == {"result": "UNKNOWN_SESSION", "timeout": 0}


# Preferences ----------------------------------------------------------------------------------------------------------


async def test_charging_preferences_are_a_word(world: Begin) -> None:
    """An eMSP tells what its driver wants, and reads the operator's bare word."""
    stage = await operators_core(world)
    stage.backend.answer_preferences("PROFILE_TYPE_NOT_SUPPORTED")
    answer = await stage["volt"].set_preferences("S-1001", WISHES)
    assert (answer.status_code, answer.data) == (1000, "PROFILE_TYPE_NOT_SUPPORTED")
    got = await stage.backend.wait_for("PUT", "sessions")
    assert (got.segments, got.body) == (("S-1001", "charging_preferences"), WISHES)


async def test_charging_preferences_at_a_core_on_2_1_1(world: Begin) -> None:
    """2.1.1 has none: 404 with 2001, as for an EVSE that doesn't take any."""
    stage = await operators_core(world, OLD)
    before = len(stage.backend.received)
    answer = await stage["volt"].set_preferences("S-1001", WISHES)
    assert (answer.http, answer.status_code) == (404, 2001)
    assert len(stage.backend.received) == before


@pytest.mark.parametrize(("cpo", "http"), [("two", 200), ("exa", 404)])
async def test_a_core_tells_an_operator_what_its_driver_wants(world: Begin, cpo: str, http: int) -> None:
    """Without OCPI-to they go to the operator of the session."""
    stage = await providers_core(world, cpo)
    answer = await stage.backend.set_preferences("S-1001", WISHES, to=None)
    assert answer.http == http
    assert answer.data == ("ACCEPTED" if cpo == "two" else None)
