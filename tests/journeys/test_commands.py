"""Commands: eMSPs command an operator's core, and an eMSP's core commands operators. Their results come back once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from prometheus_client import REGISTRY
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
    operator,
    owned,
    provider,
    settled,
    thing,
    without,
)

from gateway.demo.peers import Exchange, Peer, Received, Role
from gateway.demo.world import Cast, World

PLACE = {"location_id": "LOC-7", "evse_uid": "LOC-7-A"}
CORE_PARTY = {OLD: ("NLD", "EXA"), NEW: ("NL", "EXA")}


@pytest.fixture(autouse=True)
def attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines are looked at every 20 ms rather than every half second, and a retry comes after 50 ms."""
    monkeypatch.setattr("gateway.callbacks._LOOK_S", 0.02)
    monkeypatch.setattr("gateway.callbacks._AGAIN_MS", 50)


def command_body(name: str, version: str) -> Json:
    """What an eMSP says in a command; acme's driver on 2.1.1, volt's on 2.2.1."""
    token = thing("token", OLD) if version == OLD else at_volt(thing("token", NEW))
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    bodies: dict[str, Json] = {
        "START_SESSION": {"token": token} | PLACE,
        "RESERVE_NOW": {"token": token, "expiry_date": later, "reservation_id": 7 if version == OLD else "R-7"} | PLACE,
        "STOP_SESSION": {"session_id": "S-1001"},
        "UNLOCK_CONNECTOR": PLACE | {"connector_id": "1"},
        "CANCEL_RESERVATION": {"reservation_id": "R-7"},
    }
    return bodies[name]


async def operators_core(world: Begin, core: str, *, acme: Cast = ACME, volt: Cast = VOLT, more: str = "") -> World:
    """An operator's core that has told of its location, and two eMSPs."""
    stage = await world(acme, volt, backend=evolve(operator(core), more=more))
    await stage.backend.push_location(thing("location", core))
    await settled(stage)
    return stage


async def providers_core(world: Begin, core: str, *, exa: Cast = EXA, two: Cast = TWO) -> World:
    """An eMSP's core, and two operators that have told of their locations."""
    stage = await world(exa, two, backend=provider(core))
    await stage["exa"].push_location(thing("location", OLD))
    await stage["two"].push_location(owned(thing("location", NEW), "TWO") | {"id": "LOC-8"})
    return stage


def commanded(peer: Peer, name: str | None = None) -> list[Received]:
    """The commands that a peer has got."""
    return [
        received
        for received in peer.received
        if (received.module, received.side) == ("commands", "RECEIVER") and name in (None, received.segments[0])
    ]


def results(peer: Peer) -> list[Any]:
    """The results that a peer has got."""
    return [received.body for received in peer.received if received.number]


async def said_at_once(asker: Peer, name: str, **call: Any) -> Exchange:
    """A command, and its first answer."""
    version = asker.who.version
    return await asker.command(name, **{**command_body(name, version), **call})


# An operator's core is commanded --------------------------------------------------------------------------------------


@EITHER_CORE
@pytest.mark.parametrize("name", ["START_SESSION", "RESERVE_NOW", "UNLOCK_CONNECTOR"])
@pytest.mark.parametrize("emsp", ["acme", "volt"])
async def test_a_command_and_its_result_cross(world: Begin, core: str, name: str, emsp: str) -> None:
    """The core has the command in its version, whoever gives it in theirs; both of its answers come back in theirs."""
    stage = await operators_core(world, core)
    stage.backend.answer_command(name, timeout=17, then="ACCEPTED")
    answer = await said_at_once(stage[emsp], name)
    assert answer.ok, str(answer)
    assert answer.data == (
        {"result": "ACCEPTED"} if emsp == "acme" else {"result": "ACCEPTED", "timeout": 17 if core == NEW else 30}
    )
    result = await stage[emsp].result_of(answer)
    assert result.body == {"result": "ACCEPTED"}
    (got,) = commanded(stage.backend, name)
    assert got.body["response_url"].startswith(f"{stage.settings.public_url}/ocpi/{core}/callback/")
    assert len(got.body["response_url"]) <= 255


@EITHER_CORE
async def test_the_token_of_a_command_names_its_emsp_and_the_result_its_own_words_check_63_trap_48(
    world: Begin, core: str
) -> None:
    """A 2.2.1 core reads whose token it is; EVSE_OCCUPIED is REJECTED in 2.1.1, posted once to acme's own URL."""
    stage = await operators_core(world, core)
    word = "EVSE_OCCUPIED" if core == NEW else "REJECTED"
    stage.backend.answer_command("START_SESSION", then=word, message="Taken" if core == NEW else None)
    answer = await said_at_once(stage["acme"], "START_SESSION")
    assert answer.data == {"result": "ACCEPTED"}
    result = await stage["acme"].result_of(answer)
    assert (result.body, result.http) == ({"result": "REJECTED"}, 200)
    (got,) = commanded(stage.backend)
    assert got.body["token"] == thing("token", OLD, core)
    assert without(got.body, "token", "response_url") == PLACE
    assert stage["acme"].who.base_url not in got.body["response_url"]


async def test_a_result_for_2_2_1_keeps_its_words(world: Begin) -> None:
    """Between two platforms on 2.2.1 nothing is lost: result, message, timeout, and the correlation id."""
    stage = await operators_core(world, NEW)
    stage.backend.answer_command("START_SESSION", timeout=9, then="EVSE_INOPERATIVE", message="Broken")
    answer = await said_at_once(stage["volt"], "START_SESSION", headers={"X-Correlation-ID": "one-and-the-same"})
    text = [{"language": "en", "text": "Broken"}]
    assert answer.data == {"result": "ACCEPTED", "timeout": 9, "message": text}
    result = await stage["volt"].result_of(answer)
    assert result.body == {"result": "EVSE_INOPERATIVE", "message": text}
    assert result.headers["x-correlation-id"] == "one-and-the-same"
    assert (result.headers["ocpi-from-party-id"], result.headers["ocpi-to-party-id"]) == ("EXA", "VLT")


@EITHER_CORE
@pytest.mark.parametrize("emsp", ["acme", "volt"])
async def test_a_session_is_stopped(world: Begin, core: str, emsp: str) -> None:
    """STOP_SESSION of a session that the core told its eMSP of."""
    stage = await operators_core(world, core)
    await announce(stage)
    session = thing("session", core)
    await stage.backend.push_session(session if emsp == "acme" else at_volt(session))
    answer = await said_at_once(stage[emsp], "STOP_SESSION")
    assert answer.data["result"] == "ACCEPTED"
    await stage[emsp].result_of(answer)
    assert commanded(stage.backend, "STOP_SESSION")[0].body["session_id"] == "S-1001"


async def announce(stage: World) -> None:
    """Both eMSPs tell of their drivers."""
    await stage["acme"].push_token(thing("token", OLD))
    await stage["volt"].push_token(at_volt(thing("token", NEW)))


@EITHER_CORE
async def test_nobody_stops_another_emsps_session(world: Begin, core: str) -> None:
    """A session that was charged with acme's card is none of volt's: UNKNOWN_SESSION, and the core isn't asked."""
    stage = await operators_core(world, core)
    await announce(stage)
    await stage.backend.push_session(thing("session", core))
    answer = await said_at_once(stage["volt"], "STOP_SESSION")
    assert (answer.data["result"], answer.data["timeout"]) == ("UNKNOWN_SESSION", 0)
    assert commanded(stage.backend) == []


@EITHER_CORE
async def test_an_unknown_location_is_2003(world: Begin, core: str) -> None:
    """A location, EVSE or connector that the core never told of: 2003, and the core isn't asked."""
    stage = await operators_core(world, core)
    for place in ({"location_id": "LOC-0"}, {"evse_uid": "LOC-7-Z"}):
        answer = await said_at_once(stage["acme"], "START_SESSION", **place)
        assert (answer.http, answer.status_code, answer.data) == (200, 2003, None)
    answer = await said_at_once(stage["volt"], "UNLOCK_CONNECTOR", connector_id="9")
    assert answer.status_code == 2003
    assert commanded(stage.backend) == []


async def test_a_location_that_isnt_shared_is_unknown(world: Begin) -> None:
    """What `share` keeps from an eMSP can't be commanded by it either."""
    volt = evolve(VOLT, more="share: {locations: {except: [LOC-7]}}")
    stage = await operators_core(world, NEW, volt=volt)
    assert (await said_at_once(stage["volt"], "START_SESSION")).status_code == 2003
    assert (await said_at_once(stage["acme"], "START_SESSION")).ok
    assert len(commanded(stage.backend)) == 1


@EITHER_CORE
async def test_an_emsp_uses_its_own_tokens_only(world: Begin, core: str) -> None:
    """Another eMSP's token in a command is 2001, naming the field; nothing is relayed."""
    stage = await operators_core(world, core)
    answer = await said_at_once(stage["volt"], "START_SESSION", token=thing("token", NEW))
    assert (answer.status_code, "$.token.party_id" in answer.message) == (2001, True)
    assert commanded(stage.backend) == []


@pytest.mark.parametrize(
    "url",
    ["http://elsewhere.example/results/1", "http://127.0.0.1@elsewhere.example/1", "ftp://127.0.0.1/1", "nonsense"],
)
async def test_a_response_url_on_a_strange_host_is_refused_check_69_trap_48(world: Begin, url: str) -> None:
    """A result carries the asker's credentials token, so it goes to the asker's hosts: else 2001, nothing relayed."""
    stage = await operators_core(world, NEW)
    answer = await said_at_once(stage["acme"], "START_SESSION", response_url=url)
    assert (answer.http, answer.status_code) == (200, 2001)
    assert "$.response_url" in answer.message
    assert commanded(stage.backend) == []


async def test_the_hosts_of_response_urls_can_be_configured_check_69(world: Begin) -> None:
    """`commands.response_url_hosts` names where a link's results may go."""
    acme = evolve(ACME, more="quirks: {commands.response_url_hosts: [results.acme.example]}")
    stage = await operators_core(world, NEW, acme=acme)
    stage.backend.answer_command("START_SESSION", then=None)
    assert (await said_at_once(stage["acme"], "START_SESSION")).status_code == 2001
    answer = await said_at_once(stage["acme"], "START_SESSION", response_url="https://results.acme.example/1")
    assert answer.ok, str(answer)


@pytest.mark.parametrize("connectors", [1, 2])
async def test_an_evse_that_must_be_told_the_connector_check_70(world: Begin, connectors: int) -> None:
    """2.1.1 can't name a connector: the EVSE's only one is filled in, of several none, and the command is rejected."""
    stage = await operators_core(world, NEW)
    location = thing("location", NEW)
    evse = location["evses"][0]
    evse["capabilities"].append("START_SESSION_CONNECTOR_REQUIRED")
    evse["connectors"] = [evse["connectors"][0] | {"id": str(number + 1)} for number in range(connectors)]
    await stage.backend.push_location(location | {"last_updated": "2026-03-02T10:00:00Z"})
    await settled(stage)
    answer = await said_at_once(stage["acme"], "START_SESSION")
    if connectors == 1:
        assert answer.data == {"result": "ACCEPTED"}
        assert commanded(stage.backend)[0].body["connector_id"] == "1"
    else:
        assert (answer.status_code, answer.data) == (1000, {"result": "REJECTED"})
        assert commanded(stage.backend) == []


async def test_what_isnt_supported_is_said_so_without_asking(world: Begin) -> None:
    """`capabilities.unsupported` names commands that are answered NOT_SUPPORTED here."""
    stage = await operators_core(world, NEW, more="quirks: {capabilities.unsupported: [UNLOCK_CONNECTOR]}")
    answer = await said_at_once(stage["volt"], "UNLOCK_CONNECTOR")
    assert (answer.data["result"], answer.data["timeout"]) == ("NOT_SUPPORTED", 0)
    assert commanded(stage.backend) == []


@EITHER_CORE
async def test_a_core_that_is_down_is_3000_to_an_emsp(world: Begin, core: str) -> None:
    """Partners know no hub between: the core that can't be reached is a server error, and nothing is expected."""
    stage = await operators_core(world, core)
    await stage.backend.down()
    for emsp in ("acme", "volt"):
        answer = await said_at_once(stage[emsp], "START_SESSION")
        assert (answer.http, answer.status_code) == (200, 3000)


# Results --------------------------------------------------------------------------------------------------------------


@EITHER_CORE
@pytest.mark.parametrize("form", ["bare_string", "enveloped"])
async def test_results_come_in_every_form_that_peers_use_check_67_trap_49(world: Begin, core: str, form: str) -> None:
    """A bare word, sync or async, and a result wrapped as an answer are understood; out goes a bare object."""
    stage = await operators_core(world, core)
    stage.backend.answer_command("START_SESSION", then=None, bare_string=form == "bare_string" and core == OLD)
    answer = await said_at_once(stage["volt"], "START_SESSION")
    assert answer.data == {"result": "ACCEPTED", "timeout": 30}
    (got,) = commanded(stage.backend)
    bare = form == "bare_string" and core == OLD
    await stage.backend.send_result(got, "NOT_SUPPORTED", bare_string=bare, enveloped=form == "enveloped")
    assert (await stage["volt"].result_of(answer)).body == {"result": "NOT_SUPPORTED"}


async def test_a_link_may_want_the_bare_word_check_67(world: Begin) -> None:
    """`commands.body: bare_string` for a peer from before the correction of 2.1.1: both answers are the word alone."""
    acme = evolve(ACME, more="quirks: {commands.body: bare_string}")
    stage = await operators_core(world, NEW, acme=acme)
    answer = await said_at_once(stage["acme"], "START_SESSION")
    result = await stage["acme"].result_of(answer)
    assert (answer.data, result.body) == ("ACCEPTED", "ACCEPTED")
    stage["acme"].complaints.clear()  # it is on 2.1.1-d2 itself


@pytest.mark.parametrize("who", ["acme", "volt"])
async def test_a_result_from_somebody_else_goes_nowhere_check_68_trap_48(world: Begin, who: str) -> None:
    """Only the link that the command went to may post its result; to others, and for unknown ids, there is nothing."""
    stage = await operators_core(world, NEW)
    stage.backend.answer_command("START_SESSION", then=None)
    answer = await said_at_once(stage["volt"], "START_SESSION")
    (got,) = commanded(stage.backend)
    version = stage[who].who.version
    url = got.body["response_url"].replace(f"/ocpi/{NEW}/", f"/ocpi/{version}/")
    for where in (url, f"{url}x"):
        refused = await stage[who].call_url("POST", where, "commands", side="SENDER", body={"result": "ACCEPTED"})
        assert (refused.http, refused.status_code) == (404, 2001)
    assert results(stage["volt"]) == []
    assert (await stage.backend.send_result(got, "ACCEPTED")).ok
    assert (await stage["volt"].result_of(answer)).body == {"result": "ACCEPTED"}


async def test_a_command_has_one_result_check_63(world: Begin) -> None:
    """A second result at the same URL is 404, and the asker never sees it."""
    stage = await operators_core(world, NEW)
    stage.backend.answer_command("START_SESSION", then=None)
    answer = await said_at_once(stage["acme"], "START_SESSION")
    (got,) = commanded(stage.backend)
    both = await asyncio.gather(*(stage.backend.send_result(got, word) for word in ("FAILED", "ACCEPTED")))
    assert sorted(each.http for each in both) == [200, 404]
    await stage["acme"].result_of(answer)
    assert len(results(stage["acme"])) == 1


async def test_what_is_no_result_doesnt_count(world: Begin) -> None:
    """A body that isn't a CommandResult is 2001; the result may still come."""
    stage = await operators_core(world, NEW)
    stage.backend.answer_command("START_SESSION", then=None)
    answer = await said_at_once(stage["acme"], "START_SESSION")
    (got,) = commanded(stage.backend)
    url = got.body["response_url"]
    refused = await stage.backend.call_url("POST", url, "commands", side="SENDER", body={"outcome": "ACCEPTED"})
    assert (refused.http, refused.status_code) == (200, 2001)
    assert (await stage.backend.send_result(got, "ACCEPTED")).ok
    assert (await stage["acme"].result_of(answer)).body == {"result": "ACCEPTED"}


@EITHER_CORE
@pytest.mark.parametrize("emsp", ["acme", "volt"])
async def test_whoever_waits_is_told_when_the_time_is_up_check_64(world: Begin, core: str, emsp: str) -> None:
    """No result in time: TIMEOUT, once. What comes afterwards is acknowledged, and not passed on."""
    stage = await operators_core(world, core, more="commands: {timeout: 1s}")
    stage.backend.answer_command("START_SESSION", timeout=1, then=None)
    late = counted("START_SESSION", "late")
    answer = await said_at_once(stage[emsp], "START_SESSION")
    assert (await stage[emsp].result_of(answer)).body == {"result": "TIMEOUT"}
    (got,) = commanded(stage.backend)
    assert (await stage.backend.send_result(got, "ACCEPTED")).status_code == 1000
    assert results(stage[emsp]) == [{"result": "TIMEOUT"}]
    assert counted("START_SESSION", "late") == late + 1


def counted(command: str, result: str) -> float:
    """How many commands to the backend ended so."""
    labels = {"link": "backend", "command": command, "result": result}
    return REGISTRY.get_sample_value("ocpi_gateway_commands_total", labels) or 0.0


@EITHER_CORE
async def test_a_result_finds_its_way_after_a_restart_check_80(world: Begin, core: str) -> None:
    """The gateway is another process when the charge point has spoken: the URL still leads to whoever asked."""
    stage = await operators_core(world, core)
    stage.backend.answer_command("START_SESSION", then=None)
    answer = await said_at_once(stage["acme"], "START_SESSION")
    await stage.restart()
    (got,) = commanded(stage.backend)
    assert (await stage.backend.send_result(got, "ACCEPTED")).ok
    assert (await stage["acme"].result_of(answer)).body == {"result": "ACCEPTED"}


async def test_the_time_is_up_after_a_restart_too_check_80(world: Begin) -> None:
    """A deadline that was set by a process that is gone is kept by the next one."""
    stage = await operators_core(world, NEW)
    stage.backend.answer_command("START_SESSION", timeout=1, then=None)
    answer = await said_at_once(stage["acme"], "START_SESSION")
    await stage.restart()
    assert (await stage["acme"].result_of(answer)).body == {"result": "TIMEOUT"}


async def test_a_result_is_kept_for_an_asker_that_is_away(world: Begin) -> None:
    """The core's result is acknowledged, and brought as soon as whoever asked can be reached again."""
    stage = await operators_core(world, NEW)
    stage.backend.answer_command("START_SESSION", then=None)
    answer = await said_at_once(stage["volt"], "START_SESSION")
    (got,) = commanded(stage.backend)
    await stage["volt"].down()
    assert (await stage.backend.send_result(got, "ACCEPTED")).status_code == 1000
    await stage["volt"].up()
    assert (await stage["volt"].result_of(answer)).body == {"result": "ACCEPTED"}
    assert len(results(stage["volt"])) == 1


async def test_a_result_that_the_asker_cant_take_now_is_brought_again(world: Begin) -> None:
    """A server error of the asker's is no reason to lose the result."""
    stage = await operators_core(world, NEW)
    stage.backend.answer_command("START_SESSION", then=None)
    answer = await said_at_once(stage["volt"], "START_SESSION")
    (got,) = commanded(stage.backend)
    stage["volt"].fail("commands", "POST", status=3000)
    assert (await stage.backend.send_result(got, "ACCEPTED")).status_code == 1000
    result = await stage["volt"].result_of(answer, count=2)
    assert (result.body, result.status_code) == ({"result": "ACCEPTED"}, 1000)


async def test_an_askers_refusal_is_its_word(world: Begin) -> None:
    """An asker that doesn't want the result says so, and the core reads it."""
    stage = await operators_core(world, NEW)
    stage.backend.answer_command("START_SESSION", then=None)
    await said_at_once(stage["volt"], "START_SESSION")
    (got,) = commanded(stage.backend)
    stage["volt"].fail("commands", "POST", status=2001)
    assert (await stage.backend.send_result(got, "ACCEPTED")).status_code == 2001
    assert (await stage.backend.send_result(got, "ACCEPTED")).http == 404


# Reservations ---------------------------------------------------------------------------------------------------------


async def test_an_operator_cancels_a_reservation(world: Begin) -> None:
    """CANCELED_RESERVATION comes later to the URL of the RESERVE_NOW: passed on to 2.2.1, once."""
    stage = await operators_core(world, NEW)
    answer = await said_at_once(stage["volt"], "RESERVE_NOW")
    assert (await stage["volt"].result_of(answer)).body == {"result": "ACCEPTED"}
    (got,) = commanded(stage.backend)
    assert (await stage.backend.send_result(got, "CANCELED_RESERVATION")).ok
    assert (await stage["volt"].result_of(answer, count=2)).body == {"result": "CANCELED_RESERVATION"}
    assert (await stage.backend.send_result(got, "CANCELED_RESERVATION")).http == 404


@pytest.mark.parametrize("policy", ["suppress", "reject"])
async def test_2_1_1_cant_say_that_a_reservation_is_cancelled(world: Begin, policy: str) -> None:
    """It is suppressed, with an alarm; where the link wants it, it is a refusal."""
    acme = evolve(ACME, more=f"quirks: {{commands.cancelled_reservation_211: {policy}}}")
    stage = await operators_core(world, NEW, acme=acme)
    answer = await said_at_once(stage["acme"], "RESERVE_NOW")
    assert (await stage["acme"].result_of(answer)).body == {"result": "ACCEPTED"}
    (got,) = commanded(stage.backend)
    assert got.body["reservation_id"] == "7"
    assert (await stage.backend.send_result(got, "CANCELED_RESERVATION")).status_code == 1000
    later = [] if policy == "suppress" else [{"result": "REJECTED"}]
    assert results(stage["acme"]) == [{"result": "ACCEPTED"}, *later]
    stage["acme"].complaints.clear()  # it has never heard of second results


async def test_a_reservation_that_is_cancelled_at_once_was_rejected(world: Begin) -> None:
    """CANCELED_RESERVATION as the only result means in 2.1.1 that there is no reservation."""
    stage = await operators_core(world, NEW)
    stage.backend.answer_command("RESERVE_NOW", then="CANCELED_RESERVATION")
    answer = await said_at_once(stage["acme"], "RESERVE_NOW")
    assert (await stage["acme"].result_of(answer)).body == {"result": "REJECTED"}


async def test_reservations_have_numbers_of_their_own_check_65_trap_51(world: Begin) -> None:
    """A core on 2.1.1 reads a positive int: the same for the same id, another one for another eMSP's same id."""
    other = evolve(VOLT, name="amps", party="AMP", business="Amps")
    stage = await world(ACME, VOLT, other, backend=operator(OLD))
    await stage.backend.push_location(thing("location", OLD))
    await settled(stage)
    theirs = command_body("RESERVE_NOW", NEW)
    await stage["volt"].command("RESERVE_NOW", **theirs)
    await stage["volt"].command("RESERVE_NOW", **theirs | {"reservation_id": "r-7"})
    token = theirs["token"] | {"party_id": "AMP"}
    await stage["amps"].command("RESERVE_NOW", **theirs | {"token": token})
    await stage["volt"].command("RESERVE_NOW", **theirs | {"reservation_id": "9f3c8e1a-uuid"})
    await stage["acme"].command("RESERVE_NOW", **command_body("RESERVE_NOW", OLD))
    first, again, others, uuid, acmes = (got.body["reservation_id"] for got in commanded(stage.backend))
    assert first == again
    assert len({first, others, uuid, acmes}) == 4
    assert all(isinstance(number, int) and number > 0 for number in (first, others, uuid, acmes))


@EITHER_CORE
async def test_a_reservation_is_given_up_check_66(world: Begin, core: str) -> None:
    """CANCEL_RESERVATION reaches a core on 2.2.1; 2.1.1 has no such command: NOT_SUPPORTED, and no request."""
    stage = await operators_core(world, core)
    await said_at_once(stage["volt"], "RESERVE_NOW")
    answer = await said_at_once(stage["volt"], "CANCEL_RESERVATION")
    if core == NEW:
        assert answer.data["result"] == "ACCEPTED"
        assert commanded(stage.backend)[1].body["reservation_id"] == "R-7"
    else:
        assert (answer.status_code, answer.data["result"], answer.data["timeout"]) == (1000, "NOT_SUPPORTED", 0)
        assert len(commanded(stage.backend)) == 1


async def test_nobody_gives_up_another_emsps_reservation(world: Begin) -> None:
    """A reservation that volt holds is none of another eMSP's."""
    other = evolve(VOLT, name="amps", party="AMP", business="Amps")
    stage = await world(VOLT, other, backend=operator(NEW))
    await stage.backend.push_location(thing("location", NEW))
    await settled(stage)
    await said_at_once(stage["volt"], "RESERVE_NOW")
    assert (await said_at_once(stage["amps"], "CANCEL_RESERVATION")).data["result"] == "REJECTED"
    assert len(commanded(stage.backend)) == 1


# An eMSP's core commands operators ------------------------------------------------------------------------------------


def of_core(name: str, core: str, location_id: str = "LOC-7") -> Json:
    """What an eMSP's core says in a command, about its own driver."""
    body = command_body(name, OLD) if core == OLD else command_body(name, NEW)
    token = {"token": thing("token", core)} if "token" in body else {}
    place = {"location_id": location_id} if "location_id" in body else {}
    return body | token | place


@EITHER_CORE
@pytest.mark.parametrize("addressed", [True, False], ids=["addressed", "by-content"])
@pytest.mark.parametrize(("cpo", "location"), [("exa", "LOC-7"), ("two", "LOC-8")])
@pytest.mark.parametrize("name", ["START_SESSION", "RESERVE_NOW", "UNLOCK_CONNECTOR"])
async def test_a_core_commands_an_operator(
    world: Begin, core: str, name: str, cpo: str, location: str, addressed: bool
) -> None:
    """By OCPI-to, or by the owner of the location; the operator on 2.1.1 says no timeout, and the link's stands in."""
    stage = await providers_core(world, core)
    stage[cpo].answer_command(name, timeout=12)
    party = ("NL", "EXA") if cpo == "exa" else ("NL", "TWO")
    answer = await stage.backend.command(name, **of_core(name, core, location), to=party if addressed else None)
    assert answer.ok, str(answer)
    timeout = 12 if cpo == "two" else 30
    assert answer.data == ({"result": "ACCEPTED"} if core == OLD else {"result": "ACCEPTED", "timeout": timeout})
    assert (await stage.backend.result_of(answer)).body == {"result": "ACCEPTED"}
    (got,) = commanded(stage[cpo], name)
    assert got.body["location_id"] == location


@EITHER_CORE
async def test_a_location_that_could_be_several_operators_must_be_addressed(world: Begin, core: str) -> None:
    """Two operators with a location of the same id: without OCPI-to 2003, and neither is asked."""
    stage = await providers_core(world, core)
    await stage["two"].push_location(owned(thing("location", NEW), "TWO"))
    answer = await stage.backend.command("START_SESSION", **of_core("START_SESSION", core), to=None)
    assert (answer.http, answer.status_code) == (200, 2003)
    assert commanded(stage["exa"]) == commanded(stage["two"]) == []
    answer = await stage.backend.command("START_SESSION", **of_core("START_SESSION", core), to=("NL", "TWO"))
    assert answer.ok, str(answer)


@EITHER_CORE
async def test_a_location_that_nobody_has_is_2003(world: Begin, core: str) -> None:
    """Neither by content nor of the operator that is addressed."""
    stage = await providers_core(world, core)
    for to in (None, ("NL", "TWO"), ("NL", "EXA")):
        answer = await stage.backend.command("START_SESSION", **of_core("START_SESSION", core, "LOC-0"), to=to)
        assert (answer.http, answer.status_code) == (200, 2003)


@EITHER_CORE
@pytest.mark.parametrize("operator", ["exa", "two"])
async def test_an_operator_judges_a_location_that_it_never_pushed(world: Begin, core: str, operator: str) -> None:
    """It may have told of it in a list, which is passed through: whoever addresses it reads its own answer."""
    stage = await providers_core(world, core)
    peer, known = stage[operator], {"location_id": "LOC-99"}
    call = {"token": thing("token", core), "to": ("NL", peer.party[1])} | known
    refused = await stage.backend.command("START_SESSION", **call)
    assert refused.status_code == 2003
    peer.answer_command("START_SESSION")
    accepted = await stage.backend.command("START_SESSION", **call)
    assert (accepted.status_code, accepted.data["result"]) == (1000, "ACCEPTED")
    assert [got.body["location_id"] for got in commanded(peer)] == ["LOC-99", "LOC-99"]


@EITHER_CORE
async def test_a_session_is_stopped_at_its_operator(world: Begin, core: str) -> None:
    """Without OCPI-to the command goes to whoever told of the session."""
    stage = await providers_core(world, core)
    await stage.backend.push_token(thing("token", core))
    await settled(stage)
    await stage["exa"].push_session(thing("session", OLD))
    answer = await stage.backend.command("STOP_SESSION", session_id="S-1001", to=None)
    assert answer.data["result"] == "ACCEPTED"
    assert commanded(stage["exa"], "STOP_SESSION")[0].body["session_id"] == "S-1001"


async def test_a_reservation_is_given_up_at_its_operator_check_66(world: Begin) -> None:
    """Without OCPI-to a cancellation follows the reservation; an operator on 2.1.1 gets no request."""
    stage = await providers_core(world, NEW)
    for cpo, location in (("two", "LOC-8"), ("exa", "LOC-7")):
        await stage.backend.command("RESERVE_NOW", **of_core("RESERVE_NOW", NEW, location), to=None)
        answer = await stage.backend.command("CANCEL_RESERVATION", reservation_id="R-7", to=None)
        assert answer.data["result"] == ("ACCEPTED" if cpo == "two" else "NOT_SUPPORTED")
        assert len(commanded(stage[cpo], "CANCEL_RESERVATION")) == (1 if cpo == "two" else 0)


async def test_an_operators_sync_timeout_is_a_rejection_trap_50(world: Begin) -> None:
    """2.1.1's TIMEOUT as first answer isn't a word of 2.2.1: REJECTED with a message."""
    stage = await providers_core(world, NEW)
    stage["exa"].answer_command("START_SESSION", "TIMEOUT")
    answer = await stage.backend.command("START_SESSION", **of_core("START_SESSION", NEW), to=None)
    assert (answer.data["result"], answer.data["timeout"]) == ("REJECTED", 30)
    assert answer.data["message"][0]["text"]


@pytest.mark.parametrize(
    ("word", "result"), [("UNKNOWN_SESSION", "REJECTED"), ("TIMEOUT", "TIMEOUT"), ("NOT_SUPPORTED", "NOT_SUPPORTED")]
)
async def test_results_of_2_1_1_in_2_2_1(world: Begin, word: str, result: str) -> None:
    """What 2.1.1 says as a result has its word in 2.2.1, or is a rejection that says why."""
    stage = await providers_core(world, NEW)
    stage["exa"].answer_command("START_SESSION", then=word, bare_string=True)
    answer = await stage.backend.command("START_SESSION", **of_core("START_SESSION", NEW), to=None)
    assert answer.data == {"result": "ACCEPTED", "timeout": 30}
    got = (await stage.backend.result_of(answer)).body
    assert got["result"] == result
    assert ("message" in got) == (word == "UNKNOWN_SESSION")


@EITHER_CORE
async def test_an_operator_that_cant_be_had_is_a_hubs_error(world: Begin, core: str) -> None:
    """To a core we are a hub: 4003 for an operator that is down; on 2.1.1, which has no such code, 3000."""
    stage = await providers_core(world, core)
    await stage["two"].down()
    answer = await stage.backend.command("START_SESSION", **of_core("START_SESSION", core, "LOC-8"), to=None)
    assert (answer.http, answer.status_code) == (200, 3000 if core == OLD else 4003)


async def test_an_unknown_operator_is_4001(world: Begin) -> None:
    """A command to a party that nobody here knows."""
    stage = await providers_core(world, NEW)
    answer = await stage.backend.command("START_SESSION", **of_core("START_SESSION", NEW), to=("NL", "ZZZ"))
    assert answer.status_code == 4001


HUB = Cast(
    name="hub", kind="hub", country="DE", party="HUB", business="The Hub",
    behind=(Role("CPO", "BE", "BEC", "Charge Belgium"), Role("EMSP", "BE", "BEM", "Drive Belgium")),
)  # fmt: skip


@EITHER_CORE
async def test_a_command_through_a_hub(world: Begin, core: str) -> None:
    """An operator behind a hub is commanded through it, and its result is the hub's to post."""
    stage = await world(HUB, backend=provider(core))
    location = thing("location", NEW) | {"country_code": "BE", "party_id": "BEC"}
    assert (await stage["hub"].push_location(location)).ok
    answer = await stage.backend.command("START_SESSION", **of_core("START_SESSION", core), to=("BE", "BEC"))
    assert answer.data["result"] == "ACCEPTED"
    (got,) = commanded(stage["hub"])
    assert (got.headers["ocpi-to-country-code"], got.headers["ocpi-to-party-id"]) == ("BE", "BEC")
    assert (await stage.backend.result_of(answer)).body == {"result": "ACCEPTED"}


@EITHER_CORE
async def test_a_command_of_an_emsp_behind_a_hub(world: Begin, core: str) -> None:
    """The core reads whose token it is; the result goes back through the hub, to the eMSP behind it."""
    stage = await world(HUB, backend=operator(core))
    await stage.backend.push_location(thing("location", core))
    await settled(stage)
    token = thing("token", NEW) | {"country_code": "BE", "party_id": "BEM"}
    answer = await stage["hub"].command("START_SESSION", token=token, **PLACE)
    assert answer.ok, str(answer)
    result = await stage["hub"].result_of(answer)
    assert (result.headers["ocpi-to-country-code"], result.headers["ocpi-to-party-id"]) == ("BE", "BEM")
    strange = await stage["hub"].command("START_SESSION", token=token | {"party_id": "XXX"}, **PLACE)
    assert strange.status_code == 2001


async def test_two_operators_numbers_are_their_own_check_65(world: Begin) -> None:
    """An operator on 2.1.1 reads the same number for the same reservation of the core's."""
    stage = await providers_core(world, NEW)
    for _ in range(2):
        await stage.backend.command("RESERVE_NOW", **of_core("RESERVE_NOW", NEW), to=None)
    numbers = {got.body["reservation_id"] for got in commanded(stage["exa"])}
    assert len(numbers) == 1
    assert all(isinstance(number, int) for number in numbers)


# What an eMSP said comes back on the session --------------------------------------------------------------------------


def just_now(**fields: Any) -> Json:
    """A session of 2.1.1 that has just begun."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    session = without(thing("session", OLD), "end_datetime") | {"status": "ACTIVE"}
    return session | {"start_datetime": now, "last_updated": now} | fields


def billed(session: Json) -> Json:
    """The CDR of 2.1.1 for such a session."""
    return thing("cdr", OLD) | {
        "start_date_time": session["start_datetime"],
        "stop_date_time": (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "auth_id": session["auth_id"],
    }


@pytest.mark.parametrize("by", ["authorization", "START_SESSION", "RESERVE_NOW"])
async def test_a_reference_comes_back_on_session_and_cdr_check_62(world: Begin, by: str) -> None:
    """A core on 2.1.1 can't say the eMSP's authorization_reference: it is put back for token and place."""
    stage = await operators_core(world, OLD)
    await announce(stage)
    contract = at_volt(thing("token", NEW))["contract_id"]
    if by == "authorization":
        asked = await stage.backend.authorize("04F017BEEF", location=PLACE_OF_QUESTION)
        assert asked.data["allowed"] == "ALLOWED"
        reference = "VLT-1"
    else:
        reference = "REF-OF-COMMAND"
        await said_at_once(stage["volt"], by, authorization_reference=reference)
        assert "authorization_reference" not in commanded(stage.backend)[0].body
    session = just_now(auth_id=contract)
    await stage.backend.push_session(session)
    got = await stage["volt"].wait_for("PUT", "sessions")
    assert got.body["authorization_reference"] == reference
    await stage.backend.patch_session("S-1001", {"status": "COMPLETED", "last_updated": later(session)})
    await stage["volt"].wait_for("PATCH", "sessions")
    await stage.backend.push_cdr(billed(session))
    assert (await stage["volt"].wait_for("POST", "cdrs")).body["authorization_reference"] == reference


PLACE_OF_QUESTION = {"location_id": "LOC-7", "evse_uids": ["LOC-7-A"]}


def later(session: Json) -> str:
    """A moment after the session's last change."""
    return (datetime.fromisoformat(session["last_updated"]) + timedelta(seconds=9)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    "other", [{"start_datetime": "2026-03-03T08:00:00Z"}, {"auth_id": "DE-VLT-C00000001-1"}], ids=["long ago", "driver"]
)
async def test_a_reference_is_for_its_own_session_only(world: Begin, other: Json) -> None:
    """A session that began long before, or of another driver, doesn't get it."""
    stage = await operators_core(world, OLD)
    await announce(stage)
    token = at_volt(thing("token", NEW))
    strangers = token | {"uid": "04AAAAAA", "contract_id": "DE-VLT-C00000001-1"}
    await stage["volt"].push_token(strangers)
    await said_at_once(stage["volt"], "START_SESSION", authorization_reference="REF-1")
    await stage.backend.push_session(just_now(auth_id=token["contract_id"]) | other)
    assert "authorization_reference" not in (await stage["volt"].wait_for("PUT", "sessions")).body


async def test_the_last_reference_counts(world: Begin) -> None:
    """Of two that were given for one session, the last one is on it."""
    stage = await operators_core(world, OLD)
    await announce(stage)
    for reference in ("REF-1", "REF-2"):
        await said_at_once(stage["volt"], "START_SESSION", authorization_reference=reference)
    await stage.backend.push_session(just_now(auth_id=at_volt(thing("token", NEW))["contract_id"]))
    assert (await stage["volt"].wait_for("PUT", "sessions")).body["authorization_reference"] == "REF-2"


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "only-in-the-command"])
async def test_a_session_has_the_token_that_was_commanded(world: Begin, announced: bool) -> None:
    """Of several tokens of a contract it is the one of the START_SESSION at that EVSE; its CDR has the same."""
    stage = await operators_core(world, OLD)
    await announce(stage)
    app = at_volt(thing("token", NEW)) | {"uid": "APP-42", "type": "APP_USER", "whitelist": "NEVER"}
    if announced:
        await stage["volt"].push_token(app)
    await said_at_once(stage["volt"], "START_SESSION", token=app)
    session = just_now(auth_id=app["contract_id"])
    await stage.backend.push_session(session)
    token = (await stage["volt"].wait_for("PUT", "sessions")).body["cdr_token"]
    assert (token["uid"], token["type"]) == ("APP-42", "APP_USER")
    await stage.backend.push_cdr(billed(session))
    assert (await stage["volt"].wait_for("POST", "cdrs")).body["cdr_token"] == token


async def test_a_card_comes_first_where_nothing_was_commanded(world: Begin) -> None:
    """Without a command, of several tokens of a contract the card is the likeliest."""
    stage = await operators_core(world, OLD)
    await announce(stage)
    app = at_volt(thing("token", NEW)) | {"uid": "APP-42", "type": "APP_USER", "last_updated": "2026-06-01T00:00:00Z"}
    await stage["volt"].push_token(app)
    await stage.backend.push_session(just_now(auth_id=app["contract_id"]))
    assert (await stage["volt"].wait_for("PUT", "sessions")).body["cdr_token"]["uid"] == "04F017BEEF"


async def test_an_authorized_token_counts_at_its_location(world: Begin) -> None:
    """A token that its eMSP let charge there in the last day comes before other tokens of its contract."""
    stage = await operators_core(world, OLD)
    await announce(stage)
    second = at_volt(thing("token", NEW)) | {"uid": "04SECOND", "last_updated": "2026-01-01T00:00:00Z"}
    await stage["volt"].push_token(second)
    await stage.backend.authorize("04SECOND", location=PLACE_OF_QUESTION)
    await stage.backend.push_session(just_now(auth_id=second["contract_id"]))
    assert (await stage["volt"].wait_for("PUT", "sessions")).body["cdr_token"]["uid"] == "04SECOND"
