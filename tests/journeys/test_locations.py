"""Locations, from an operator's core to its eMSPs and from operators to an eMSP's core."""

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
    heard,
    operator,
    owned,
    provider,
    settled,
    thing,
    without,
)
from structlog.testing import capture_logs

LATER = "2026-03-02T09:00:00Z"


@EITHER_CORE
async def test_our_location_reaches_emsps_of_both_versions_check_79_trap_60(world: Begin, core: str) -> None:
    """A location with everything in it arrives at every eMSP in its own version, under our party as it spells it."""
    stage = await world(ACME, VOLT, backend=operator(core))
    assert (await stage.backend.push_location(thing("location", core))).http == 201
    old = await stage["acme"].wait_for("PUT", "locations")
    assert (old.segments, old.body) == (("NLD", "EXA", "LOC-7"), thing("location", core, OLD))
    new = await stage["volt"].wait_for("PUT", "locations")
    assert (new.segments, new.body) == (("NL", "EXA", "LOC-7"), thing("location", core, NEW))


CHANGES = {
    "location": ((), {OLD: {"name": "Stationsplein Noord"}, NEW: {"name": "Stationsplein Noord"}}),
    "evse": (("LOC-7-A",), {OLD: {"status": "CHARGING"}, NEW: {"status": "CHARGING"}}),
    "connector": (("LOC-7-A", "1"), {OLD: {"amperage": 16}, NEW: {"max_amperage": 16}}),
}


@EITHER_CORE
@pytest.mark.parametrize("level", CHANGES)
async def test_a_change_of_our_location_arrives_as_a_patch_at_its_level(world: Begin, core: str, level: str) -> None:
    """A PATCH of location, EVSE or connector crosses as a PATCH of just that, in the receiver's words."""
    deeper, changes = CHANGES[level]
    stage = await world(ACME, VOLT, backend=operator(core))
    await stage.backend.push_location(thing("location", core))
    await settled(stage)
    said = changes[core] | {"last_updated": LATER}
    assert (await stage.backend.patch_location("LOC-7", *deeper, changes=said)).http == 200
    for name, version in (("acme", OLD), ("volt", NEW)):
        got = await stage[name].wait_for("PATCH", "locations")
        assert (got.segments[2:], got.body) == (("LOC-7", *deeper), changes[version] | {"last_updated": LATER})


@EITHER_CORE
async def test_a_new_evse_arrives_alone(world: Begin, core: str) -> None:
    """The PUT of an EVSE into a location that is known crosses as the PUT of that EVSE."""
    stage = await world(ACME, VOLT, backend=operator(core))
    await stage.backend.push_location(thing("location", core))
    await settled(stage)
    added = {version: thing("evse", version) | {"uid": "LOC-7-C", "last_updated": LATER} for version in (OLD, NEW)}
    put = await stage.backend.put("locations", "NL", "EXA", "LOC-7", "LOC-7-C", body=added[core])
    assert put.status_code == 1000
    got = await stage["acme"].wait_for("PUT", "locations", count=2)
    assert (got.segments[2:], got.body) == (("LOC-7", "LOC-7-C"), added[OLD])
    got = await stage["volt"].wait_for("PUT", "locations", count=2)
    (connector,) = added[NEW]["connectors"]
    seen = connector if core == NEW else without(connector, "max_electric_power")
    assert (got.segments[2:], got.body) == (("LOC-7", "LOC-7-C"), added[NEW] | {"connectors": [seen]})


async def test_an_unpublished_location_is_for_those_who_can_hide_it_check_28_trap_39(world: Begin) -> None:
    """2.1.1 can't say "don't show it", so an unpublished location stays away from that version; 2.2.1 gets it."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    assert (await stage.backend.push_location(thing("location", NEW) | {"publish": False})).ok
    assert (await stage["volt"].wait_for("PUT", "locations")).body["publish"] is False
    await settled(stage)
    assert stage["acme"].objects["locations"] == {}


@pytest.mark.parametrize("year", ["2026", "2099"], ids=["in-time", "clock-ahead"])
async def test_a_location_that_is_unpublished_later_is_removed_evse_by_evse_check_28(world: Begin, year: str) -> None:
    """OCPI deletes no location: one that 2.1.1 may no longer show stays there with all its EVSEs REMOVED."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    await stage.backend.push_location(thing("location", NEW) | {"last_updated": f"{year}-03-02T09:00:00Z"})
    await stage["acme"].wait_for("PUT", "locations")
    await settled(stage)
    hidden = {"publish": False, "last_updated": f"{year}-03-02T09:00:00Z"}
    assert (await stage.backend.patch_location("LOC-7", changes=hidden)).ok
    got = await stage["acme"].wait_for("PUT", "locations", count=2)
    assert [evse["status"] for evse in got.body["evses"]] == ["REMOVED", "REMOVED"]
    assert got.body["last_updated"] >= hidden["last_updated"]
    assert (await stage["volt"].wait_for("PATCH", "locations")).body == hidden
    await settled(stage)

    # It may be shown again: then it is there as it was.
    assert (await stage.backend.push_location(thing("location", NEW) | {"last_updated": f"{year}-03-03T09:00:00Z"})).ok
    got = await stage["acme"].wait_for("PUT", "locations", count=3)
    assert [evse["status"] for evse in got.body["evses"]] == ["AVAILABLE", "CHARGING"]


async def test_a_connector_names_the_tariff_that_2_1_1_may_see(world: Begin) -> None:
    """Of several tariffs 2.1.1 has room for one: that for roaming, not the one for passers-by; 2.2.1 gets them all."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    tariff = without(thing("tariff", NEW), "start_date_time", "end_date_time")
    await stage.backend.push_tariff(tariff | {"id": "T-PASSER", "type": "AD_HOC_PAYMENT"})
    await stage.backend.push_tariff(tariff)
    location = thing("location", NEW)
    location["evses"][0]["connectors"][0]["tariff_ids"] = ["T-PASSER", "T-DAY"]
    await stage.backend.push_location(location)
    got = (await stage["acme"].wait_for("PUT", "locations")).body
    assert got["evses"][0]["connectors"][0]["tariff_id"] == "T-DAY"
    assert (await stage["volt"].wait_for("PUT", "locations")).body == location


@EITHER_CORE
async def test_a_location_for_one_emsp_is_its_variant(world: Begin, core: str) -> None:
    """Addressed to one party, a location is that party's own; the general one doesn't reach it any more."""
    stage = await world(ACME, VOLT, backend=operator(core))
    general = thing("location", core)
    await stage.backend.push_location(general)
    await settled(stage)
    special = general | {"name": "Stationsplein, your bays", "last_updated": LATER}
    assert (await stage.backend.push_location(special, to=("DE", "ACM"))).ok
    await settled(stage)
    assert stage["acme"].stored.with_id("locations", "LOC-7")["name"] == "Stationsplein, your bays"
    assert stage["volt"].stored.with_id("locations", "LOC-7")["name"] == "Stationsplein"
    assert (await stage.backend.push_location(general | {"name": "New", "last_updated": "2026-03-04T09:00:00Z"})).ok
    await settled(stage)
    assert stage["acme"].stored.with_id("locations", "LOC-7")["name"] == "Stationsplein, your bays"
    assert stage["volt"].stored.with_id("locations", "LOC-7")["name"] == "New"


# Towards an eMSP's core -----------------------------------------------------------------------------------------------


@EITHER_CORE
async def test_locations_of_operators_reach_our_core_before_they_are_acknowledged(world: Begin, core: str) -> None:
    """An operator's location is at the core, in the core's version, by the time the operator reads 1000."""
    stage = await world(EXA, TWO, backend=provider(core))
    assert (await stage["exa"].push_location(thing("location", OLD))).http == 201
    assert stage.backend.objects["locations"]["NL/EXA/LOC-7"] == thing("location", OLD, core)
    assert (await stage["two"].push_location(owned(thing("location", NEW), "TWO"))).http == 201
    assert stage.backend.objects["locations"]["NL/TWO/LOC-7"] == owned(thing("location", NEW, core), "TWO")


@EITHER_CORE
@pytest.mark.parametrize("level", CHANGES)
async def test_an_operators_change_reaches_our_core_as_a_patch(world: Begin, core: str, level: str) -> None:
    """What an operator of either version patches, at any level, the core gets as a PATCH at that level."""
    deeper, changes = CHANGES[level]
    stage = await world(EXA, TWO, backend=provider(core))
    for name, version in (("exa", OLD), ("two", NEW)):
        party = stage[name].party[1]
        await stage[name].push_location(owned(thing("location", version), party))
        said = changes[version] | {"last_updated": LATER}
        assert (await stage[name].patch_location("LOC-7", *deeper, changes=said)).http == 200
        got = heard(stage.backend)[-1]
        assert (got.method, got.segments) == ("PATCH", ("NL", party, "LOC-7", *deeper))
        assert got.body == changes[core] | {"last_updated": LATER}


async def test_a_status_without_last_updated_gets_one_on_its_way_up_check_31_trap_34(world: Begin) -> None:
    """2.1.1's own examples patch a status and nothing else; 2.2.1 requires last_updated, so the gateway adds it.

    The EVSE's is its location's too, for whoever reads it again.
    """
    stage = await world(EXA, backend=provider(NEW))
    await stage["exa"].push_location(thing("location", OLD))
    patch = await stage["exa"].patch_location("LOC-7", "LOC-7-A", changes={"status": "CHARGING"})
    assert patch.status_code == 1000
    got = heard(stage.backend)[-1]
    assert (got.segments, got.body["status"]) == (("NL", "EXA", "LOC-7", "LOC-7-A"), "CHARGING")
    assert set(got.body) == {"status", "last_updated"}
    assert got.body["last_updated"] > thing("location", OLD)["last_updated"]
    read = (await stage["exa"].get("locations", "NLD", "EXA", "LOC-7", side="RECEIVER")).data
    assert (read["evses"][0]["status"], read["last_updated"]) == ("CHARGING", got.body["last_updated"])


async def test_what_a_core_refuses_its_sender_reads(world: Begin) -> None:
    """The core's own refusal comes back to the operator, and what was refused isn't taken for known."""
    stage = await world(EXA, TWO, backend=provider(NEW))
    for name, version in (("exa", OLD), ("two", NEW)):
        stage.backend.fail("locations", "PUT", status=2003)
        location = owned(thing("location", version), stage[name].party[1])
        assert (await stage[name].push_location(location)).status_code == 2003
        again = await stage[name].patch_location(
            "LOC-7", "LOC-7-A", changes={"status": "BLOCKED", "last_updated": LATER}
        )
        assert again.http == 404
    assert stage.backend.objects["locations"] == {}


@EITHER_CORE
async def test_a_core_that_lost_a_location_gets_the_whole_of_it(world: Begin, core: str) -> None:
    """The core answers 404 to a PATCH: it gets a PUT, before the operator reads 1000."""
    stage = await world(EXA, TWO, backend=provider(core))
    for name, version in (("exa", OLD), ("two", NEW)):
        await stage[name].push_location(owned(thing("location", version), stage[name].party[1]))
        stage.backend.objects["locations"].clear()
        change = {"status": "CHARGING", "last_updated": LATER}
        assert (await stage[name].patch_location("LOC-7", "LOC-7-A", changes=change)).status_code == 1000
        assert [got.method for got in heard(stage.backend)[-2:]] == ["PATCH", "PUT"]
        assert stage.backend.stored.with_id("locations", "LOC-7")["evses"][0]["status"] == "CHARGING"


async def test_a_core_that_is_down_is_a_server_that_failed(world: Begin) -> None:
    """A live push while the core can't be reached: 3000 for the operator, and nothing is kept."""
    stage = await world(EXA, TWO, backend=provider(NEW))
    await stage.backend.down()
    for name, version in (("exa", OLD), ("two", NEW)):
        answer = await stage[name].push_location(owned(thing("location", version), stage[name].party[1]))
        assert (answer.http, answer.status_code) == (200, 3000)
    await stage.backend.up()
    for name, version in (("exa", OLD), ("two", NEW)):
        answer = await stage[name].push_location(owned(thing("location", version), stage[name].party[1]))
        assert answer.http == 201


@pytest.mark.parametrize(
    "broken",
    [{"coordinates": {"latitude": 52}}, {"evses": [{"uid": "E"}]}, {"last_updated": "yesterday"}],
    ids=["mistyped", "incomplete", "no-date"],
)
async def test_a_location_that_cannot_be_read_goes_nowhere(world: Begin, broken: Json) -> None:
    """What breaks the specification is refused with the place of the mistake; the core sees nothing of it."""
    stage = await world(EXA, TWO, backend=provider(NEW))
    for name, version in (("exa", OLD), ("two", NEW)):
        before = len(heard(stage.backend))
        answer = await stage[name].push_location(owned(thing("location", version), stage[name].party[1]) | broken)
        assert (answer.http, answer.status_code) == (200, 2001)
        assert answer.message.startswith("$.")
        assert len(heard(stage.backend)) == before


@EITHER_CORE
async def test_a_text_beyond_the_specification_passes_and_is_noted(world: Begin, core: str) -> None:
    """Nobody's location is worse for a long name of a city; the line says which field another receiver may refuse."""
    stage = await world(ACME, VOLT, backend=operator(core))
    with capture_logs() as lines:
        assert (await stage.backend.push_location(thing("location", core) | {"city": "U" * 50})).ok
    (noted,) = [line for line in lines if line["event"] == "message.too_long"]
    assert (noted["partner"], noted["fields"]) == ("backend", ("/city",))
    await settled(stage)
    for name in ("acme", "volt"):
        assert stage[name].stored.objects["locations"].popitem()[1]["city"] == "U" * 50
    for peer in stage.peers:
        peer.complaints.clear()
