"""Who sends to whom: headers, message ids, owners in URLs and bodies, and what a mistake in them gets."""

from __future__ import annotations

import pytest
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
    at_volt,
    heard,
    operator,
    owned,
    plain,
    provider,
    settled,
    thing,
)

from gateway.demo.peers import Exchange, Received, Role

FROM, TO = ("ocpi-from-country-code", "ocpi-from-party-id"), ("ocpi-to-country-code", "ocpi-to-party-id")


def route(message: Received | Exchange) -> tuple[tuple[str | None, ...], tuple[str | None, ...]]:
    """The parties that the routing headers name: from, to."""
    return tuple(map(message.headers.get, FROM)), tuple(map(message.headers.get, TO))


NOBODY = (None, None)


@EITHER_CORE
async def test_routing_headers_of_what_is_owed(world: Begin, core: str) -> None:
    """An eMSP on 2.2.1 sees the owner as sender and itself as receiver; one on 2.1.1 sees no routing headers at all."""
    stage = await world(ACME, VOLT, backend=operator(core))
    answer = await stage.backend.push_location(thing("location", core))
    assert route(answer) == (("NL", "GWY"), ("NL", "EXA"))
    assert route(await stage["volt"].wait_for("PUT", "locations")) == (("NL", "EXA"), ("DE", "VLT"))
    assert route(await stage["acme"].wait_for("PUT", "locations")) == (NOBODY, NOBODY)


@EITHER_CORE
async def test_routing_headers_are_swapped_on_the_answer_trap_17(world: Begin, core: str) -> None:
    """Whom the core addressed answers the core; whom an eMSP addressed answers the eMSP."""
    stage = await world(ACME, VOLT, backend=operator(core))
    answer = await stage.backend.push_location(thing("location", core), to=("DE", "VLT"))
    assert route(answer) == (("DE", "VLT"), ("NL", "EXA"))
    answer = await stage["volt"].push_token(at_volt(thing("token", NEW)))
    assert route(answer) == (("NL", "EXA"), ("DE", "VLT"))
    assert route(heard(stage.backend)[-1]) == (("DE", "VLT"), ("NL", "EXA"))
    assert route(await stage["acme"].push_token(thing("token", OLD))) == (NOBODY, NOBODY)
    assert route(heard(stage.backend)[-1]) == (("DE", "ACM"), ("NL", "EXA"))


@EITHER_CORE
async def test_a_new_request_id_on_each_hop_and_the_correlation_id_kept_check_04_trap_21(
    world: Begin, core: str
) -> None:
    """The answer has the ids of its request; what is sent on keeps the correlation id and has its own request id."""
    ids: dict[str, str | None] = {"X-Request-ID": "hop-1", "X-Correlation-ID": "story-1"}
    stage = await world(ACME, VOLT, backend=operator(core))
    answer = await stage.backend.push_location(thing("location", core), headers=ids)
    assert (answer.headers["x-request-id"], answer.headers["x-correlation-id"]) == ("hop-1", "story-1")
    got = [await stage[name].wait_for("PUT", "locations") for name in ("acme", "volt")]
    assert [seen.headers["x-correlation-id"] for seen in got] == ["story-1", "story-1"]
    assert len({"hop-1", *(seen.headers["x-request-id"] for seen in got)}) == 3

    for name, token in (("acme", thing("token", OLD)), ("volt", at_volt(thing("token", NEW)))):
        answer = await stage[name].push_token(token, headers=ids)
        assert (answer.headers["x-request-id"], answer.headers["x-correlation-id"]) == ("hop-1", "story-1")
        seen = heard(stage.backend)[-1].headers
        assert seen["x-correlation-id"] == "story-1"
        assert seen["x-request-id"] != "hop-1"


async def test_a_message_without_ids_gets_some_check_05(world: Begin) -> None:
    """2.1.1 has no message ids: what it sends gets both, and they come back on the answer."""
    stage = await world(ACME, backend=operator(NEW))
    answer = await stage["acme"].push_token(thing("token", OLD))
    seen = heard(stage.backend)[-1].headers
    assert answer.headers["x-correlation-id"] == seen["x-correlation-id"]
    assert answer.headers["x-request-id"] != seen["x-request-id"]


async def test_estonia_is_not_spain_trap_03(world: Begin) -> None:
    """A 2.1.1 peer that writes EST is the party of EE, on its way up and on the way back."""
    acme = evolve(ACME, country="EST")
    stage = await world(acme, VOLT, backend=operator(NEW))
    await stage["acme"].push_token(thing("token", OLD))
    got = heard(stage.backend)[-1]
    assert (got.segments[0], got.body["country_code"], route(got)[0]) == ("EE", "EE", ("EE", "ACM"))
    assert (await stage.backend.push_location(thing("location", NEW), to=("ES", "ACM"))).status_code == 4001
    assert (await stage.backend.push_location(thing("location", NEW), to=("EE", "ACM"))).status_code == 1000
    await stage["acme"].wait_for("PUT", "locations")


async def test_a_platform_of_several_parties_is_addressed_by_the_one_that_is_meant(world: Begin) -> None:
    """Two eMSPs on one platform: a broadcast comes once, a session goes to the party of its token."""
    both = evolve(VOLT, also=(Role("EMSP", "NL", "VLN", "Volt Nederland"),))
    stage = await world(both, backend=operator(NEW))
    await stage.backend.push_location(thing("location", NEW))
    await settled(stage)
    assert len([got for got in stage["volt"].received if got.module == "locations"]) == 1
    session = thing("session", NEW)
    session["cdr_token"] |= {"country_code": "NL", "party_id": "VLN"}
    assert (await stage.backend.push_session(session)).status_code == 1000
    assert route(await stage["volt"].wait_for("PUT", "sessions")) == (("NL", "EXA"), ("NL", "VLN"))


async def test_of_several_parties_on_a_platform_the_addressed_one_is_meant(world: Begin) -> None:
    """OCPI-to arrives as the core wrote it, whichever party the platform names first or the token belongs to."""
    both = evolve(VOLT, also=(Role("EMSP", "NL", "VLN", "Volt Nederland"),))
    stage = await world(both, backend=operator(NEW))
    assert (await stage.backend.push_tariff(thing("tariff", NEW), to=("NL", "VLN"))).ok
    assert (await stage.backend.push_session(at_volt(thing("session", NEW)), to=("NL", "VLN"))).ok
    assert (await stage.backend.push_cdr(at_volt(thing("cdr", NEW)), to=("NL", "VLN"))).ok
    for verb, module in (("PUT", "tariffs"), ("PUT", "sessions"), ("POST", "cdrs")):
        assert route(await stage["volt"].wait_for(verb, module)) == (("NL", "EXA"), ("NL", "VLN"))
    await settled(stage)
    general = thing("location", NEW)
    assert (await stage.backend.push_location(general, to=("NL", "GWY"))).ok
    assert route(await stage["volt"].wait_for("PUT", "locations")) == (("NL", "EXA"), ("DE", "VLT"))


# Mistakes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", [("DE", "XXX"), ("FR", "ACM"), ("NL", "EXA")], ids=str)
async def test_an_unknown_receiver_is_4001(world: Begin, to: tuple[str, str]) -> None:
    """A party nobody knows, or the core itself, can't be sent to; nothing is kept of it."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    answer = await stage.backend.push_location(thing("location", NEW), to=to)
    assert (answer.http, answer.status_code) == (200, 4001)
    assert (await stage.backend.patch_location("LOC-7", changes={"last_updated": "2026-04-01T00:00:00Z"})).http == 404


async def test_an_unknown_receiver_on_2_1_1_has_no_code_of_its_own_trap_24(world: Begin) -> None:
    """2.1.1 has no 4001: its core reads 2000, and the number in the message."""
    stage = await world(ACME, VOLT, backend=operator(OLD))
    answer = await stage.backend.push_tariff(thing("tariff", OLD), to=("DE", "XXX"))
    assert (answer.http, answer.status_code) == (200, 2000)
    assert "4001" in answer.message


async def test_partners_reach_our_parties_and_nobody_else(world: Begin) -> None:
    """The gateway is no hub between partners: an eMSP that addresses an operator that isn't ours reads 4001."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    before = len(heard(stage.backend))
    answer = await stage["volt"].push_token(at_volt(thing("token", NEW)), to=("DE", "ACM"))
    assert (answer.http, answer.status_code) == (200, 4001)
    assert len(heard(stage.backend)) == before


@pytest.mark.parametrize("verb", ["sessions", "cdrs"])
async def test_what_is_one_drivers_is_not_broadcast(world: Begin, verb: str) -> None:
    """Sessions and CDRs are nobody's business but the driver's eMSP: addressed to the hub they are refused."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    push = stage.backend.push_session if verb == "sessions" else stage.backend.push_cdr
    answer = await push(thing(verb[:-1], NEW), to=("NL", "GWY"))
    assert (answer.http, answer.status_code) == (200, 2000)


@pytest.mark.parametrize(("field", "other"), [("id", "LOC-8"), ("country_code", "BE"), ("party_id", "OTH")])
async def test_a_body_that_contradicts_its_url_is_refused_check_07(world: Begin, field: str, other: str) -> None:
    """URL and body must name the same object of the same owner."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    body = thing("location", NEW) | {field: other}
    answer = await stage.backend.put("locations", "NL", "EXA", "LOC-7", body=body)
    assert (answer.http, answer.status_code) == (200, 2001)
    assert answer.message.startswith(f"$.{field}")
    await settled(stage)
    for name in ("acme", "volt"):
        assert stage[name].objects["locations"] == {}
    change = {"last_updated": "2026-04-01T00:00:00Z"}
    assert (await stage.backend.patch("locations", "NL", "EXA", "LOC-7", body=change)).http == 404


async def test_somebody_elses_object_is_404_check_08(world: Begin) -> None:
    """Nobody may write under another party's name: to them there is no such place."""
    stage = await world(EXA, TWO, backend=provider(NEW))
    before = len(heard(stage.backend))
    assert (await stage["exa"].put("locations", "NLD", "TWO", "LOC-7", body=thing("location", OLD))).http == 404
    assert (await stage["two"].put("locations", "NL", "EXA", "LOC-7", body=thing("location", NEW))).http == 404
    stolen = thing("cdr", NEW)
    assert (await stage["two"].push_cdr(stolen)).status_code == 2001
    assert len(heard(stage.backend)) == before


async def test_a_sender_that_is_not_the_caller_is_refused(world: Begin) -> None:
    """OCPI-from must be a party of the caller's, and the owner of the object."""
    stage = await world(EXA, TWO, backend=provider(NEW))
    location = owned(thing("location", NEW), "TWO")
    forged = await stage["two"].push_location(location, sender=("NL", "EXA"))
    assert (forged.http, forged.status_code) == (200, 2001)
    half = await stage["two"].push_location(location, headers={"OCPI-from-party-id": None})
    assert (half.http, half.status_code) == (200, 2001)
    assert stage.backend.objects["locations"] == {}


async def test_ids_compare_without_case_and_keep_their_spelling_trap_55(world: Begin) -> None:
    """An id in other letters is the same object; partners see it as its owner spelled it first."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    await stage.backend.push_location(thing("location", NEW))
    await settled(stage)
    change = {"name": "Elsewhere", "last_updated": "2026-04-01T00:00:00Z"}
    assert (await stage.backend.patch("locations", "nl", "exa", "loc-7", body=change)).status_code == 1000
    got = await stage["volt"].wait_for("PATCH", "locations")
    assert got.segments == ("NL", "EXA", "LOC-7")


@EITHER_CORE
async def test_nothing_goes_on_untranslated(world: Begin, core: str) -> None:
    """What can't be said to a receiver is refused in a live exchange, and nothing of it leaves the gateway."""
    stage = await world(TWO, backend=provider(core))
    tariff = owned(plain(thing("tariff", NEW)), "TWO")
    tariff["elements"] = [{**tariff["elements"][1], "restrictions": {"min_current": 6}}]
    before = len(heard(stage.backend))
    answer = await stage["two"].push_tariff(tariff)
    if core == NEW:
        assert answer.http == 201
        return
    assert answer.http == 200
    assert 2000 <= (answer.status_code or 0) < 3000
    assert "current" in answer.message
    assert len(heard(stage.backend)) == before


async def test_a_card_number_of_two_emsps_reaches_the_one_that_the_session_names_trap_56(world: Begin) -> None:
    """Two eMSPs have announced the same uid; a session and a CDR go to the one whose token they carry alone."""
    stage = await world(ACME, VOLT)
    await stage["acme"].push_token(thing("token", OLD))
    theirs = {**at_volt(thing("token", NEW)), "uid": thing("token", OLD)["uid"]}
    assert (await stage["volt"].push_token(theirs)).ok
    token = {name: theirs[name] for name in ("country_code", "party_id", "uid", "type", "contract_id")}
    await stage.backend.push_location(thing("location", NEW))
    assert (await stage.backend.push_session({**thing("session", NEW), "cdr_token": token}, to=None)).ok
    assert (await stage.backend.push_cdr({**thing("cdr", NEW), "cdr_token": token}, to=None)).ok
    await settled(stage)
    assert {received.module for received in stage["volt"].received} >= {"sessions", "cdrs"}
    assert not {received.module for received in stage["acme"].received} & {"sessions", "cdrs"}
