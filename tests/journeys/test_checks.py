"""What a partner that tests us would look at, module by module: stories that belong to no other file, numbered.

Where a check is a part of a larger story it stands there, under its number too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

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
from witness import ask, outcome

from gateway.demo.peers import Role
from gateway.demo.world import World
from gateway.model.facts import Loss
from gateway.telemetry import Crossed, watching

LATER = "2026-03-05T09:00:00Z"
BOTH = (("acme", OLD), ("volt", NEW))


def losses(seen: list[Crossed], target: str, module: str) -> list[Loss]:
    """What was told as lost on the way to a link, in one module."""
    return [loss for line in seen if (line.target, line.module) == (target, module) for loss in line.losses]


def asked_for_locations(peer: Any) -> list[tuple[str, ...]]:
    """Which of its locations a peer was asked for."""
    return [got.segments for got in peer.received if (got.method, got.module) == ("GET", "locations")]


# Transport ------------------------------------------------------------------------------------------------------------


async def test_a_slash_at_the_end_changes_nothing_check_09(world: Begin) -> None:
    """Every route answers with and without it, and none by a redirect, which would lose the method."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    token = thing("token", OLD)
    stage["acme"].keep("tokens", token)
    core: dict[str, Any] = {"sender": ("NL", "EXA"), "to": None}
    requests: list[tuple[str, str, str, Any, dict[str, Any]]] = [
        ("acme", "GET", "/ocpi/versions", None, {}),
        ("acme", "GET", "/ocpi/2.1.1", None, {}),
        ("acme", "GET", "/ocpi/2.1.1/credentials", None, {}),
        ("acme", "PUT", f"/ocpi/2.1.1/cpo/tokens/DEU/ACM/{token['uid']}", token, {}),
        ("acme", "PATCH", f"/ocpi/2.1.1/cpo/tokens/DEU/ACM/{token['uid']}", {"valid": True}, {}),
        ("volt", "GET", "/ocpi/2.2.1", None, {}),
        ("backend", "PUT", "/ocpi/2.2.1/receiver/locations/NL/EXA/LOC-7", thing("location", NEW), core),
        ("backend", "POST", f"/ocpi/2.2.1/sender/tokens/{token['uid']}/authorize", None, core),
    ]
    for name, method, path, body, more in requests:
        peer = stage.backend if name == "backend" else stage[name]
        plain, slashed = [await ask(peer, method, path + end, body, **more) for end in ("", "/")]
        assert outcome(plain) in ((200, 1000), (201, 1000)), path
        assert (slashed.status_code, slashed.http // 100) == (1000, 2), path


@pytest.mark.parametrize("spelled", ["2026-03-02T20:39:09", "2026-03-02T20:39:09Z", "2026-03-02T20:39:09.123Z"])
async def test_a_moment_may_be_spelled_in_several_ways_check_14_trap_30(world: Begin, spelled: str) -> None:
    """With Z, without it, with a fraction: accepted; 2.1.1 reads whole seconds, with Z."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    assert (await stage.backend.push_location(thing("location", NEW) | {"last_updated": spelled})).http == 201
    got = await stage["acme"].wait_for("PUT", "locations")
    assert got.body["last_updated"] == "2026-03-02T20:39:09Z"
    assert (await stage["acme"].push_token(thing("token", OLD) | {"last_updated": spelled})).http == 201
    assert (await stage["volt"].push_token(at_volt(thing("token", NEW)) | {"last_updated": spelled})).http == 201


@EITHER_CORE
async def test_an_unknown_field_harms_nobody_check_15(world: Begin, core: str) -> None:
    """Some add `pricing_id` to connectors: the location is what it would be without, and the field goes along."""
    stage = await world(ACME, VOLT, backend=operator(core))

    def priced(location: Json) -> Json:
        location["evses"][0]["connectors"][0]["pricing_id"] = "P-17"
        return location | {"pricing_id": "P-18"}

    assert (await stage.backend.push_location(priced(thing("location", core)))).http == 201
    for name, version in BOTH:
        got = await stage[name].wait_for("PUT", "locations")
        assert got.body == priced(thing("location", core, version))


# Locations and tariffs ------------------------------------------------------------------------------------------------


async def test_a_location_of_2_2_1_is_one_of_2_1_1_check_27(world: Begin) -> None:
    """What 2.1.1 has no word for is OTHER, one tariff of two is named, and country stays as it is: three letters."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    tariff = without(thing("tariff", NEW), "start_date_time", "end_date_time")
    for id, start in (("T1", "2026-01-01T00:00:00Z"), ("T2", "2026-02-01T00:00:00Z")):
        assert (await stage.backend.push_tariff(tariff | {"id": id, "start_date_time": start})).ok
    location = thing("location", NEW) | {"parking_type": "ALONG_MOTORWAY"}
    location["evses"][0]["connectors"][0]["tariff_ids"] = ["T1", "T2"]
    assert (await stage.backend.push_location(location)).ok
    assert (await stage["volt"].wait_for("PUT", "locations")).body == location
    got = (await stage["acme"].wait_for("PUT", "locations")).body
    expected = thing("location", OLD) | {"type": "OTHER"}
    expected["evses"][0]["connectors"][0]["tariff_id"] = "T2"
    assert got == expected
    assert got["country"] == "NLD"
    assert not got.keys() & {"country_code", "party_id", "publish", "parking_type"}


async def test_an_evse_of_which_2_1_1_knows_no_plug_check_29(world: Begin) -> None:
    """2.1.1 gets the location without it, 2.2.1 with it."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    location = thing("location", NEW)
    location["evses"][1]["connectors"][0]["standard"] = "GBT_DC"
    assert (await stage.backend.push_location(location)).ok
    assert (await stage["volt"].wait_for("PUT", "locations")).body == location
    got = (await stage["acme"].wait_for("PUT", "locations")).body
    assert [evse["uid"] for evse in got["evses"]] == ["LOC-7-A"]


async def test_a_patch_that_takes_something_away_is_a_put_check_32_trap_34(world: Begin) -> None:
    """OTHER is no parking type of 2.2.1, and a PATCH can't remove one: the core gets the location without it."""
    stage = await world(EXA, backend=provider(NEW))
    await stage["exa"].push_location(thing("location", OLD))
    assert stage.backend.stored.with_id("locations", "LOC-7")["parking_type"] == "PARKING_GARAGE"
    assert (await stage["exa"].patch_location("LOC-7", changes={"type": "OTHER"})).status_code == 1000
    got = heard(stage.backend)[-1]
    assert (got.method, got.segments) == ("PUT", ("NL", "EXA", "LOC-7"))
    expected = without(thing("location", OLD, NEW), "parking_type")
    assert got.body == expected | {"last_updated": got.body["last_updated"]}


async def test_a_patch_of_what_2_1_1_lacks_is_silent_there_check_33_trap_34(world: Begin) -> None:
    """The core reads 1000, who knows the field gets the PATCH, who doesn't gets nothing."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    await stage.backend.push_location(thing("location", NEW))
    await settled(stage)
    change = {"max_electric_power": 11000, "last_updated": LATER}
    answer = await stage.backend.patch_location("LOC-7", "LOC-7-A", "1", changes=change)
    assert (answer.http, answer.status_code) == (200, 1000)
    assert (await stage["volt"].wait_for("PATCH", "locations")).body == change
    await settled(stage)
    assert [got.method for got in stage["acme"].received if got.module == "locations"] == ["PUT"]


@pytest.mark.parametrize(("latitude", "seen"), [("52.09073", "52.090730"), ("52.0907374", "52.090737")])
async def test_coordinates_have_six_decimals_in_2_1_1_check_34(world: Begin, latitude: str, seen: str) -> None:
    """2.2.1 allows five to seven."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    location = thing("location", NEW) | {"coordinates": {"latitude": latitude, "longitude": "5.12142"}}
    assert (await stage.backend.push_location(location)).ok
    got = await stage["acme"].wait_for("PUT", "locations")
    assert got.body["coordinates"] == {"latitude": seen, "longitude": "5.121420"}
    assert (await stage["volt"].wait_for("PUT", "locations")).body == location


async def test_a_location_without_a_time_zone_gets_its_countrys_check_35(world: Begin) -> None:
    """2.2.1 requires one, 2.1.1 doesn't: made up, and told."""
    stage = await world(EXA, backend=provider(NEW))
    seen: list[Crossed] = []
    with watching(seen.append):
        assert (await stage["exa"].push_location(without(thing("location", OLD), "time_zone"))).ok
    assert stage.backend.stored.with_id("locations", "LOC-7")["time_zone"] == "Europe/Amsterdam"
    (loss,) = losses(seen, "backend", "locations")
    assert loss.pointer == "/time_zone"
    assert "Europe/Amsterdam" in loss.reason


async def test_a_tariff_that_2_1_1_cannot_say_is_neither_sent_nor_named_check_37_trap_38(world: Begin) -> None:
    """An element for reservations goes whole; a restriction by current takes the tariff, and connectors' word of it."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    tariff = without(thing("tariff", NEW), "start_date_time", "end_date_time")
    _, restricted, plain = tariff["elements"]
    reservation = plain | {"restrictions": {"reservation": "RESERVATION"}}
    by_current = restricted | {"restrictions": {"min_current": 16}}
    assert (await stage.backend.push_tariff(tariff | {"id": "T-RES", "elements": [reservation, plain]})).ok
    assert (await stage.backend.push_tariff(tariff | {"id": "T-AMP", "elements": [by_current, plain]})).ok
    location = thing("location", NEW)
    for evse, tariff_id in zip(location["evses"], ("T-RES", "T-AMP"), strict=True):
        evse["connectors"][0]["tariff_ids"] = [tariff_id]
    assert (await stage.backend.push_location(location)).ok
    await stage["acme"].wait_for("PUT", "locations")
    await settled(stage)

    named = [
        [connector.get("tariff_id") for evse in got["evses"] for connector in evse["connectors"]]
        for got in stage["acme"].objects["locations"].values()
    ]
    assert named == [["T-RES", None]]
    (got,) = stage["acme"].objects["tariffs"].values()
    assert (got["id"], len(got["elements"]), "restrictions" in got["elements"][0]) == ("T-RES", 1, False)
    assert stage["volt"].stored.with_id("locations", "LOC-7") == location
    assert len(stage["volt"].objects["tariffs"]) == 2


async def test_when_a_tariff_ends_the_next_one_is_named_check_38_trap_64(world: Begin) -> None:
    """Nobody pushes anything: at the moment of the change 2.1.1 gets a PATCH of the connector."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    tariff = without(thing("tariff", NEW), "end_date_time")
    first = tariff | {"id": "T-FIRST", "start_date_time": "2026-02-01T00:00:00Z"}
    assert (await stage.backend.push_tariff(first)).ok
    assert (await stage.backend.push_tariff(tariff | {"id": "T-NEXT"})).ok
    location = thing("location", NEW)
    location["evses"][0]["connectors"][0]["tariff_ids"] = ["T-FIRST", "T-NEXT"]
    assert (await stage.backend.push_location(location)).ok
    got = await stage["acme"].wait_for("PUT", "locations")
    assert got.body["evses"][0]["connectors"][0]["tariff_id"] == "T-FIRST"
    await settled(stage)

    end = datetime.now(UTC) + timedelta(seconds=1)
    ending = first | {"end_date_time": f"{end:%Y-%m-%dT%H:%M:%S.%f}"[:23] + "Z", "last_updated": LATER}
    assert (await stage.backend.push_tariff(ending)).ok
    got = await stage["acme"].wait_for("PATCH", "locations", timeout=10)
    assert (got.segments[2:], got.body["tariff_id"]) == (("LOC-7", "LOC-7-A", "1"), "T-NEXT")
    assert got.at >= end - timedelta(milliseconds=1)
    await settled(stage)
    assert [got.method for got in stage["volt"].received if got.module == "locations"] == ["PUT"]


# Sessions -------------------------------------------------------------------------------------------------------------


async def test_a_location_that_nobody_pushed_is_asked_from_its_owner_check_42_trap_33(world: Begin) -> None:
    """A 2.1.1 core must be told the location with a session: without it, and not had, the operator reads 2003."""
    stage = await world(TWO, backend=provider(OLD))
    two, session = stage["two"], owned(thing("session", NEW), "TWO")
    for _ in range(2):  # the second time soon after the first: it isn't asked again
        answer = await two.push_session(session)
        assert (answer.http, answer.status_code) == (200, 2003)
        assert asked_for_locations(two) == [("LOC-7",)]
    assert stage.backend.objects["sessions"] == {}

    two.keep("locations", owned(thing("location", NEW), "TWO") | {"id": "LOC-9"})
    assert (await two.push_session(session | {"location_id": "LOC-9"})).http == 201
    assert asked_for_locations(two) == [("LOC-7",), ("LOC-9",)]
    got = stage.backend.stored.with_id("sessions", "S-1001")["location"]
    assert (got["id"], [evse["uid"] for evse in got["evses"]]) == ("LOC-9", ["LOC-7-A"])
    assert stage.backend.objects["locations"] == {}  # a fact for that session: nobody pushed it


async def test_a_session_that_is_owed_waits_for_its_location_check_42(world: Begin) -> None:
    """What the core pushes is acknowledged; it is asked for the location, and until that is had the session waits."""
    stage = await world(ACME, backend=operator(NEW))
    core, session = stage.backend, thing("session", NEW)
    assert (await core.push_session(session, to=("DE", "ACM"))).http == 201
    await core.wait_for("GET", "locations")
    await settled(stage)
    assert asked_for_locations(core) == [("LOC-7",)]
    assert stage["acme"].objects["sessions"] == {}
    assert await stage.gateway.store.held("acme") == []

    core.keep("locations", thing("location", NEW) | {"id": "LOC-9"})
    other = session | {"id": "S-1002", "location_id": "LOC-9"}
    assert (await core.push_session(other, to=("DE", "ACM"))).http == 201
    got = await stage["acme"].wait_for("PUT", "sessions")
    assert (got.body["id"], got.body["location"]["id"]) == ("S-1002", "LOC-9")


async def test_rewritten_charging_periods_are_a_put_check_45_trap_34(world: Begin) -> None:
    """2.1.1 replaces them by a PATCH, 2.2.1 only adds by one: the core gets the whole session."""
    stage = await world(EXA, backend=provider(NEW))
    exa = stage["exa"]
    await stage.backend.push_token(thing("token", NEW))
    await exa.push_location(thing("location", OLD))
    assert (await exa.push_session(thing("session", OLD))).ok
    (stored,) = thing("session", OLD)["charging_periods"]
    measured = stored | {"dimensions": [{"type": "ENERGY", "volume": 3.5}]}
    patch = {"charging_periods": [measured], "kwh": 3.5, "last_updated": LATER}
    assert (await exa.patch_session("S-1001", patch)).status_code == 1000
    got = heard(stage.backend)[-1]
    assert (got.method, got.segments) == ("PUT", ("NL", "EXA", "S-1001"))
    assert got.body == thing("session", OLD, NEW) | patch


async def driving(world: Begin) -> World:
    """An operator's core on 2.2.1, whose location both eMSPs know."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    await stage.backend.push_location(thing("location", NEW))
    return stage


@pytest.mark.parametrize("said", ["RESERVATION", "RESERVED"])
async def test_a_reservation_is_pending_in_2_1_1_check_46_trap_52(world: Begin, said: str) -> None:
    """The enumeration of 2.2.1 says RESERVATION, its flow RESERVED: either is understood, the first is written."""
    stage = await driving(world)
    session = thing("session", NEW) | {"status": said}
    assert (await stage.backend.push_session(session, to=("DE", "ACM"))).ok
    assert (await stage.backend.push_session(at_volt(session) | {"id": "S-1002"}, to=("DE", "VLT"))).ok
    assert (await stage["acme"].wait_for("PUT", "sessions")).body["status"] == "PENDING"
    assert (await stage["volt"].wait_for("PUT", "sessions")).body["status"] == "RESERVATION"


async def test_a_session_that_a_command_began_check_47(world: Begin) -> None:
    """COMMAND is AUTH_REQUEST in 2.1.1, which has no other word."""
    stage = await driving(world)
    session = thing("session", NEW) | {"auth_method": "COMMAND"}
    assert (await stage.backend.push_session(session, to=("DE", "ACM"))).ok
    assert (await stage.backend.push_session(at_volt(session) | {"id": "S-1002"}, to=("DE", "VLT"))).ok
    assert (await stage["acme"].wait_for("PUT", "sessions")).body["auth_method"] == "AUTH_REQUEST"
    assert (await stage["volt"].wait_for("PUT", "sessions")).body["auth_method"] == "COMMAND"


# CDRs -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False], ids=["location-known", "location-unknown"])
async def test_a_cdr_of_2_1_1_is_one_of_2_2_1_check_50_trap_44_trap_45(world: Begin, known: bool) -> None:
    """No FLAT volume, its one tariff in each period, the EVSE's id as far as it is known, and a price without VAT."""
    stage = await world(EXA, backend=provider(NEW))
    if known:
        await stage["exa"].push_location(thing("location", OLD))
    cdr = thing("cdr", OLD)
    (evse,) = cdr["location"]["evses"]
    cdr["location"]["evses"] = [without(evse, "evse_id")]
    for period in cdr["charging_periods"]:
        period["dimensions"].append({"type": "FLAT", "volume": 1})
    assert len(cdr["tariffs"]) == 1
    assert (await stage["exa"].push_cdr(cdr)).http == 201
    got = stage.backend.stored.with_id("cdrs", "C-501")
    assert got["cdr_location"]["evse_id"] == ("NL*EXA*E007*1" if known else "#NA")
    for period in got["charging_periods"]:
        assert "FLAT" not in {dimension["type"] for dimension in period["dimensions"]}
        assert period["tariff_id"] == "T-DAY"
    assert got["total_cost"] == {"excl_vat": cdr["total_cost"]}


async def test_energy_in_wh_is_recognised_check_51_trap_43(world: Begin) -> None:
    """Volumes that add up to a thousand times the total were Wh: they arrive in kWh, and that is told."""
    stage = await world(EXA, backend=provider(NEW))
    cdr = thing("cdr", OLD) | {"total_energy": 41.12}
    cdr["charging_periods"] = [
        {"start_date_time": start, "dimensions": [{"type": "ENERGY", "volume": volume}]}
        for start, volume in (("2026-03-03T08:00:00Z", 120), ("2026-03-03T08:30:00Z", 41000))
    ]
    seen: list[Crossed] = []
    with watching(seen.append):
        assert (await stage["exa"].push_cdr(cdr)).http == 201
    got = stage.backend.stored.with_id("cdrs", "C-501")
    assert [period["dimensions"][0]["volume"] for period in got["charging_periods"]] == [0.12, 41.0]
    told = [loss.pointer for loss in losses(seen, "backend", "cdrs") if loss.reason.startswith("Wh")]
    assert told == [f"/charging_periods/{at}/dimensions/0/volume" for at in (0, 1)]


async def test_signed_meter_values_stay_off_2_1_1_check_54(world: Begin) -> None:
    """The CDR is delivered without them, and one line says so."""
    stage = await driving(world)
    cdr = thing("cdr", NEW)
    assert cdr["signed_data"]
    seen: list[Crossed] = []
    with watching(seen.append):
        assert (await stage.backend.push_cdr(cdr, to=("DE", "ACM"))).http == 201
        got = await stage["acme"].wait_for("POST", "cdrs")
        await settled(stage)
    assert "signed_data" not in got.body
    assert [loss.pointer for loss in losses(seen, "acme", "cdrs")].count("/signed_data") == 1
    assert not any(loss.pointer.startswith("/signed_data/") for loss in losses(seen, "acme", "cdrs"))


# Who is meant ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("country", "ours"), [("DEU", "NLD"), ("DE", "NL")])
async def test_parties_are_written_to_2_1_1_as_it_writes_them_trap_01(world: Begin, country: str, ours: str) -> None:
    """2.1.1 has room for two letters and its peers write three: who writes three reads three, inside it is two."""
    stage = await world(evolve(ACME, country=country), backend=operator(NEW))
    assert (await stage["acme"].push_token(thing("token", OLD))).http == 201
    assert heard(stage.backend)[-1].segments[:2] == ("DE", "ACM")
    assert (await stage.backend.push_location(thing("location", NEW))).ok
    got = await stage["acme"].wait_for("PUT", "locations")
    assert (got.segments[0], got.body["country"]) == (ours, "NLD")


async def test_a_contract_names_nobody_trap_42(world: Begin) -> None:
    """A contract or an EVSE id that begins like somebody else's decides nothing: who announced the token does."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    assert (await stage["acme"].push_token(thing("token", OLD) | {"auth_id": "DE-VLT-C00000042-7"})).ok
    location = thing("location", NEW)
    location["evses"][0]["evse_id"] = "BE*OTH*E007*1"
    assert (await stage.backend.push_location(location)).ok
    session = thing("session", NEW)
    session["cdr_token"]["contract_id"] = "DE-VLT-C00000042-7"
    assert (await stage.backend.push_session(session)).http == 201
    got = await stage["acme"].wait_for("PUT", "sessions")
    assert got.body["auth_id"] == "DE-VLT-C00000042-7"
    assert got.body["location"]["evses"][0]["evse_id"] == "BE*OTH*E007*1"
    await settled(stage)
    assert stage["volt"].objects["sessions"] == {}


async def test_two_types_of_one_card_number_are_two_tokens_trap_56(world: Begin) -> None:
    """A card and an app with the same uid: each is asked about, and decided, as what it is."""
    stage = await world(VOLT, backend=operator(NEW))
    card = at_volt(thing("token", NEW))
    app = card | {"type": "APP_USER", "contract_id": "DE-VLT-C00000010-X"}
    for token in (card, app):
        assert (await stage["volt"].push_token(token)).http == 201
    stage["volt"].decide(card["uid"], "BLOCKED", type="APP_USER")
    for token, allowed in ((card, "ALLOWED"), (app, "BLOCKED")):
        answer = await stage.backend.authorize(card["uid"], token["type"])
        assert (answer.data["allowed"], answer.data["token"]["contract_id"]) == (allowed, token["contract_id"])
        assert stage["volt"].received[-1].query == {"type": token["type"]}


async def test_a_party_that_is_two_things_is_told_of_twice_trap_63(world: Begin) -> None:
    """HubClientInfo is about a party in a role: of an eMSP that is a CPO as well there are two."""
    ours = "our_parties: [{role: CPO, country_code: NL, party_id: EXA}, {role: EMSP, country_code: NL, party_id: EXM}]"
    both = evolve(VOLT, also=(Role("CPO", "DE", "VLT", "Volt Drive"),), more=ours)
    core = evolve(operator(NEW), also=(Role("EMSP", "NL", "EXM", "Example Mobility"),))
    stage = await world(both, backend=core)
    await stage.backend.wait_for("PUT", "hubclientinfo", count=2)
    told = stage.backend.objects["hubclientinfo"]
    assert {key: client["role"] for key, client in told.items()} == {"DE/VLT/EMSP": "EMSP", "DE/VLT/CPO": "CPO"}
