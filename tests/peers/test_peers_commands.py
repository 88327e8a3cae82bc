"""Commands and charging profiles between simulated peers: asked now, done later."""

from __future__ import annotations

from typing import Any

import pytest
from people import NEW, OLD, VERSIONS, WHEN, a_location, a_session, a_token, owned, registered

from gateway.demo.peers import Peer

PROFILE = {"charging_rate_unit": "W", "charging_profile_period": [{"start_period": 0, "limit": 11000.0}]}
ACTIVE = {"start_date_time": WHEN, "charging_profile": PROFILE}


def a_command(command: str, version: str, cpo: Peer, emsp: Peer) -> dict[str, Any]:
    """The fields of a command about what the CPO owns."""
    place = {"location_id": "LOC1", "evse_uid": "E/1"}
    reservation: Any = 7 if version == OLD else "R-7"
    return {
        "RESERVE_NOW": place
        | {"token": a_token(version, emsp), "reservation_id": reservation, "expiry_date": "2026-03-01T11:00:00Z"},
        "START_SESSION": place | {"token": a_token(version, emsp)},
        "STOP_SESSION": {"session_id": "S1"},
        "UNLOCK_CONNECTOR": place | {"connector_id": "1"},
        "CANCEL_RESERVATION": {"reservation_id": "R-7"},
    }[command]


def stocked(version: str, cpo: Peer) -> None:
    """The CPO has a location and a session."""
    cpo.keep("locations", a_location(version, cpo))
    cpo.keep("sessions", a_session(version, cpo))


@VERSIONS
@pytest.mark.parametrize("command", ["RESERVE_NOW", "START_SESSION", "STOP_SESSION", "UNLOCK_CONNECTOR"])
async def test_a_command_is_accepted_and_done(version: str, command: str) -> None:
    """The answer comes at once, the result at the response_url, in the version's own shapes."""
    async with registered(version) as (cpo, emsp):
        stocked(version, cpo)
        asked = await emsp.command(command, **a_command(command, version, cpo, emsp))
        assert asked.data == ({"result": "ACCEPTED"} if version == OLD else {"result": "ACCEPTED", "timeout": 30})
        result = await emsp.result_of(asked)
        assert (result.module, result.side, result.body) == ("commands", "SENDER", {"result": "ACCEPTED"})
        given = await cpo.wait_for("POST", "commands")
        assert given.body["response_url"] == f"{emsp.who.base_url}/results/1"
        if version == NEW:
            assert result.headers["ocpi-from-party-id"] == "EXA"
            assert result.headers["x-correlation-id"] == given.headers["x-correlation-id"]
        assert cpo.complaints == emsp.complaints == []


async def test_only_the_newer_version_cancels_reservations() -> None:
    """CANCEL_RESERVATION is a command of 2.2.1; to 2.1.1 there is no such place."""
    async with registered(NEW) as (cpo, emsp):
        asked = await emsp.command("CANCEL_RESERVATION", reservation_id="R-7")
        assert (await emsp.result_of(asked)).body == {"result": "ACCEPTED"}
    async with registered(OLD) as (cpo, emsp):
        assert (await emsp.command("CANCEL_RESERVATION", reservation_id="R-7")).http == 404
        assert len(cpo.complaints) == 1


@VERSIONS
async def test_a_decent_peer_knows_what_it_has(version: str) -> None:
    """An unknown location is 2003, an unknown session UNKNOWN_SESSION, and nothing follows."""
    async with registered(version) as (cpo, emsp):
        start = await emsp.command("START_SESSION", location_id="LOC1", token=a_token(version, emsp))
        assert (start.http, start.status_code) == (200, 2003)
        stop = await emsp.command("STOP_SESSION", session_id="S1")
        assert stop.data["result"] == "UNKNOWN_SESSION"
        assert cpo.complaints == emsp.complaints == []


async def test_a_command_is_answered_as_said() -> None:
    """Result, timeout, message and what follows are the test's to say."""
    async with registered(NEW) as (cpo, emsp):
        cpo.answer_command("STOP_SESSION", timeout=5, then="EVSE_OCCUPIED", message="there is a car")
        asked = await emsp.command("STOP_SESSION", session_id="S1")
        text = [{"language": "en", "text": "there is a car"}]
        assert asked.data == {"result": "ACCEPTED", "timeout": 5, "message": text}
        assert (await emsp.result_of(asked)).body == {"result": "EVSE_OCCUPIED", "message": text}

        cpo.answer_command("STOP_SESSION", "REJECTED")
        assert (await emsp.command("STOP_SESSION", session_id="S1")).data["result"] == "REJECTED"
        cpo.answer_command("STOP_SESSION", then=None)
        silent = await emsp.command("STOP_SESSION", session_id="S1")
        with pytest.raises(AssertionError, match="no result of request 3"):
            await emsp.result_of(silent, timeout=0.02)
        assert emsp.complaints == []


async def test_results_by_hand() -> None:
    """A result can be sent late, twice, as a bare word or in an envelope, with any token; the receiver notices."""
    async with registered(NEW) as (cpo, emsp):
        cpo.answer_command("STOP_SESSION", then=None)
        asked = await emsp.command("STOP_SESSION", session_id="S1")
        command = await cpo.wait_for("POST", "commands")
        assert (await cpo.send_result(command, "TIMEOUT", message="too late")).ok
        assert (await emsp.result_of(asked)).body["result"] == "TIMEOUT"
        assert emsp.complaints == []
        assert (await cpo.send_result(command, "ACCEPTED")).ok
        assert emsp.complaints.pop().endswith("the result of STOP_SESSION was told before")
        assert (await cpo.send_result(command, "ACCEPTED", bare_string=True)).status_code == 2001
        assert (await emsp.result_of(asked, count=3)).body == "ACCEPTED"
        assert (await cpo.send_result(command, "ACCEPTED", enveloped=True)).status_code == 2001
        assert (await cpo.send_result(command, "ACCEPTED", token="stolen")).http == 401
        assert (await cpo.call_url("POST", f"{emsp.who.base_url}/results/9", "commands", side="SENDER")).http == 404


async def test_a_canceled_reservation_is_told_afterwards() -> None:
    """The CPO may call the same URL once more when it has to cancel; that is no complaint."""
    async with registered(NEW) as (cpo, emsp):
        stocked(NEW, cpo)
        asked = await emsp.command("RESERVE_NOW", **a_command("RESERVE_NOW", NEW, cpo, emsp))
        await emsp.result_of(asked)
        assert (await cpo.send_result(await cpo.wait_for("POST", "commands"), "CANCELED_RESERVATION")).ok
        assert (await emsp.result_of(asked, count=2)).body == {"result": "CANCELED_RESERVATION"}
        assert emsp.complaints == []


async def test_bare_words_of_an_early_peer() -> None:
    """Before 2.1.1-d2 answers and results were bare words: seen, unless the other side is one that wants them."""
    async with registered(OLD) as (cpo, emsp):
        cpo.answer_command("STOP_SESSION", bare_string=True)
        asked = await emsp.command("STOP_SESSION", session_id="S1")
        assert asked.data == "ACCEPTED"
        assert (await emsp.result_of(asked)).body == "ACCEPTED"
        assert len(emsp.complaints) == 2
        emsp.who.bare_strings = True
        asked = await emsp.command("STOP_SESSION", session_id="S1")
        assert (await emsp.result_of(asked)).status_code == 1000
        assert len(emsp.complaints) == 2


async def test_bad_commands() -> None:
    """Bodies are looked at as strictly as any other object, and so is the name of the command."""
    async with registered(NEW) as (cpo, emsp):
        assert (await emsp.command("STOP_SESSION")).status_code == 2001
        assert cpo.complaints.pop().endswith("$.session_id: required")
        cpo.answer_command("START_SESSION", then=None)
        wrong = {"location_id": "LOC1", "connector_id": "1", "token": a_token(NEW, emsp) | {"type": "CARD"}}
        assert (await emsp.command("START_SESSION", **wrong)).ok
        assert sorted(complaint.split("$.")[1] for complaint in cpo.complaints) == [
            "evse_uid: required when there is a connector_id",
            "token.type: 'CARD' is no TokenType of 2.2.1",
        ]
        cpo.complaints.clear()
        assert (await emsp.command("SELF_DESTRUCT")).http == 404
        assert (await emsp.get("commands", "STOP_SESSION", side="RECEIVER")).http == 405


async def test_charging_profiles() -> None:
    """A profile is set, read back as the active one, updated by the CPO, and cleared; each with its own result."""
    async with registered(NEW) as (cpo, emsp):
        stocked(NEW, cpo)
        asked = await emsp.set_profile("S1", PROFILE)
        assert asked.data == {"result": "ACCEPTED", "timeout": 30}
        assert (await emsp.result_of(asked)).body == {"result": "ACCEPTED"}
        asked = await emsp.get_profile("S1", 600)
        result = await emsp.result_of(asked)
        assert (result.module, result.body["profile"]["charging_profile"]) == ("chargingprofiles", PROFILE)
        assert (await cpo.wait_for("GET", "chargingprofiles")).query["duration"] == "600"
        assert (await cpo.update_profile("S1", ACTIVE)).ok
        assert emsp.objects["chargingprofiles"] == {"S1": ACTIVE}
        assert (await emsp.result_of(await emsp.clear_profile("S1"))).body == {"result": "ACCEPTED"}
        assert cpo.objects["chargingprofiles"] == {}
        assert cpo.complaints == emsp.complaints == []


async def test_charging_profiles_that_go_wrong() -> None:
    """Unknown sessions, refusals, profiles that nobody asked for, and parameters that are missing."""
    async with registered(NEW) as (cpo, emsp):
        assert (await emsp.set_profile("S9", PROFILE)).data["result"] == "UNKNOWN_SESSION"
        cpo.answer_profile("PUT", "TOO_OFTEN", timeout=0)
        assert (await emsp.set_profile("S1", PROFILE)).data == {"result": "TOO_OFTEN", "timeout": 0}
        cpo.answer_profile("GET", profile=ACTIVE)
        assert (await emsp.result_of(await emsp.get_profile("S1"))).body == {"result": "ACCEPTED", "profile": ACTIVE}
        cpo.answer_profile("DELETE", then="UNKNOWN")
        assert (await emsp.result_of(await emsp.clear_profile("S1"))).body == {"result": "UNKNOWN"}
        assert cpo.complaints == emsp.complaints == []
        await cpo.update_profile("S2", ACTIVE)
        assert emsp.complaints.pop().endswith("nobody here has set a profile for session S2")
        assert (await emsp.get("chargingprofiles", "S1", side="RECEIVER")).status_code == 2001
        assert cpo.complaints.pop().endswith("duration, response_url: required")


async def test_charging_preferences() -> None:
    """The driver's wishes for a session are answered with one word; an unknown session is 404."""
    async with registered(NEW) as (cpo, emsp):
        stocked(NEW, cpo)
        wishes = {"profile_type": "GREEN", "departure_time": WHEN}
        assert (await emsp.set_preferences("S1", wishes)).data == "ACCEPTED"
        cpo.answer_preferences("ENERGY_NEED_REQUIRED")
        assert (await emsp.set_preferences("S1", wishes)).data == "ENERGY_NEED_REQUIRED"
        assert (await emsp.set_preferences("S2", wishes)).http == 404
        assert cpo.complaints == emsp.complaints == []
        assert (await emsp.set_preferences("S1", {})).status_code == 2001


@VERSIONS
async def test_owners_read_back_what_others_keep(version: str) -> None:
    """A GET on the Receiver interface gives the owner its object as it was sent, down to the connector."""
    async with registered(version) as (cpo, emsp):
        location, session, token = a_location(version, cpo), a_session(version, cpo), a_token(version, emsp)
        await cpo.push_location(location)
        await cpo.push_session(session)
        await emsp.push_token(token)
        evse = location["evses"][0]
        for path, expected in [((), location), (("E/1",), evse), (("E/1", "1"), evse["connectors"][0])]:
            assert (await cpo.get("locations", *cpo.party, "LOC1", *path)).data == expected
        assert (await cpo.get("sessions", *cpo.party, "S1")).data == session
        assert (await emsp.get("tokens", *emsp.party, "04AABB")).data == token
        assert (await cpo.get("locations", *cpo.party, "LOC9")).http == 404
        assert owned(version, cpo, {}).keys() <= location.keys()
        assert cpo.complaints == emsp.complaints == []
