"""Single objects that are read: ours by partners, their own by whoever pushed them, a partner's by backends."""

from __future__ import annotations

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
    operator,
    owned,
    provider,
    settled,
    thing,
)
from witness import outcome

from gateway.demo.peers import Peer

LATER = "2026-03-05T09:00:00Z"


def pushed(peer: Peer, module: str) -> Json:
    """What a peer was sent last in a module."""
    body: Json = [got.body for got in peer.received if got.module == module and got.body][-1]
    return body


# Ours, read by partners -----------------------------------------------------------------------------------------------


@EITHER_CORE
async def test_a_partner_reads_a_location_of_ours_and_its_pieces(world: Begin, core: str) -> None:
    """Location, EVSE and connector on our Sender interface, as they were pushed to that partner."""
    stage = await world(ACME, VOLT, backend=operator(core))
    assert (await stage.backend.push_location(thing("location", core))).ok
    await settled(stage)
    for name in ("acme", "volt"):
        location = pushed(stage[name], "locations")
        evse = location["evses"][0]
        connector = evse["connectors"][0]
        read = [
            await stage[name].get("locations", *segments, side="SENDER")
            for segments in (("LOC-7",), ("loc-7", evse["uid"]), ("LOC-7", evse["uid"], connector["id"]))
        ]
        assert [outcome(answer) for answer in read] == [(200, 1000)] * 3
        assert [answer.data for answer in read] == [location, evse, connector]


@EITHER_CORE
async def test_an_id_in_another_case_is_the_same_location_check_40(world: Begin, core: str) -> None:
    """LOC-7 and loc-7 are one object, spelled as its owner spells it."""
    stage = await world(ACME, VOLT, backend=operator(core))
    await stage.backend.push_location(thing("location", core))
    await settled(stage)
    for name in ("acme", "volt"):
        upper, lower = [await stage[name].get("locations", id, side="SENDER") for id in ("LOC-7", "loc-7")]
        assert upper.data == lower.data
        assert lower.data["id"] == "LOC-7"


@pytest.mark.parametrize("segments", [("NOWHERE",), ("LOC-7", "NO-EVSE"), ("LOC-7", "{evse}", "99")])
async def test_what_there_is_not_is_404_with_2003(world: Begin, segments: tuple[str, ...]) -> None:
    """An unknown location, EVSE or connector, in both versions."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    location = thing("location", NEW)
    await stage.backend.push_location(location)
    path = [segment.replace("{evse}", location["evses"][0]["uid"]) for segment in segments]
    for name in ("acme", "volt"):
        assert outcome(await stage[name].get("locations", *path, side="SENDER")) == (404, 2003)


async def test_what_a_partner_may_not_see_isnt_there(world: Begin) -> None:
    """Not shared, not published (2.1.1), or told to another party alone: 404 with 2003, as if there were none."""
    hidden = evolve(ACME, more="share: {locations: {except: [LOC-7]}}")
    stage = await world(hidden, VOLT, backend=operator(NEW))
    location = thing("location", NEW)
    await stage.backend.push_location(location)
    await stage.backend.push_location({**location, "id": "LOC-8", "publish": False})
    await stage.backend.push_location({**location, "id": "LOC-9"}, to=("DE", "VLT"))
    await settled(stage)
    for id in ("LOC-7", "LOC-8", "LOC-9"):
        assert outcome(await stage["acme"].get("locations", id, side="SENDER")) == (404, 2003), id
        assert outcome(await stage["volt"].get("locations", id, side="SENDER")) == (200, 1000), id


async def test_a_partner_reads_its_own_variant(world: Begin) -> None:
    """What was told to it alone stands for the object that everybody else reads."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    await stage.backend.push_location({**thing("location", NEW), "name": "for everybody"})
    await stage.backend.push_location({**thing("location", NEW), "name": "for volt"}, to=("DE", "VLT"))
    await settled(stage)
    names = [(await stage[name].get("locations", "LOC-7", side="SENDER")).data["name"] for name in ("acme", "volt")]
    assert names == ["for everybody", "for volt"]


# What was pushed here, read back --------------------------------------------------------------------------------------


@EITHER_CORE
async def test_an_emsp_reads_its_token_back_as_it_sent_it(world: Begin, core: str) -> None:
    """On our Receiver interface, in its own form, after a PATCH too; 2.1.1 names no type."""
    stage = await world(ACME, VOLT, backend=operator(core))
    await stage["acme"].push_token(thing("token", OLD))
    await stage["volt"].push_token(at_volt(thing("token", NEW)))
    changes = {"valid": False, "last_updated": LATER}
    for name, uid in (("acme", "04A1B2C3D4E5F6"), ("volt", "04F017BEEF")):
        assert (await stage[name].patch_token(uid, changes)).ok
        peer = stage[name]
        read = await peer.get("tokens", *peer.party, uid, side="RECEIVER")
        assert (outcome(read), read.data) == ((200, 1000), peer.own.with_id("tokens", uid))
        assert outcome(await peer.get("tokens", *peer.party, "04NOBODY", side="RECEIVER")) == (404, 2001)
    volt = stage["volt"]
    other = await volt.get("tokens", *volt.party, "04F017BEEF", side="RECEIVER", query={"type": "APP_USER"})
    assert outcome(other) == (404, 2001)


@EITHER_CORE
async def test_an_operator_reads_back_what_it_pushed(world: Begin, core: str) -> None:
    """Locations to the connector, tariffs and sessions; a deleted tariff is gone."""
    stage = await world(EXA, TWO, backend=provider(core))
    await stage.backend.push_token(thing("token", core))
    for name, version in (("exa", OLD), ("two", NEW)):
        peer = stage[name]
        things = {kind: owned(thing(kind, version), peer.party[1]) for kind in ("location", "tariff", "session")}
        assert (await peer.push_location(things["location"])).ok
        assert (await peer.push_tariff(things["tariff"])).ok
        assert (await peer.push_session(things["session"])).ok
        for kind, thing_ in things.items():
            read = await peer.get(f"{kind}s", *peer.party, thing_["id"], side="RECEIVER")
            assert (outcome(read), read.data) == ((200, 1000), thing_), kind
        evse = things["location"]["evses"][0]
        path = (*peer.party, things["location"]["id"], evse["uid"], evse["connectors"][0]["id"])
        assert (await peer.get("locations", *path, side="RECEIVER")).data == evse["connectors"][0]
        assert (await peer.delete_tariff(things["tariff"]["id"])).ok
        gone = await peer.get("tariffs", *peer.party, things["tariff"]["id"], side="RECEIVER")
        assert outcome(gone) == (404, 2001)


async def test_nobody_reads_back_what_another_sent(world: Begin) -> None:
    """Another party's URL is 404, whether or not there is something."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    await stage["acme"].push_token(thing("token", OLD))
    read = await stage["volt"].get("tokens", "DE", "ACM", "04A1B2C3D4E5F6", side="RECEIVER")
    assert outcome(read) == (404, 2001)


# A partner's, read by backends ----------------------------------------------------------------------------------------


@EITHER_CORE
async def test_a_backend_reads_a_partners_location_live(world: Begin, core: str) -> None:
    """OCPI-to its party: from the partner itself, location, EVSE and connector, in the backend's version."""
    stage = await world(EXA, TWO, backend=provider(core))
    for name, version in (("exa", OLD), ("two", NEW)):
        peer = stage[name]
        location = owned(thing("location", version), peer.party[1])
        peer.keep("locations", location)
        party = ("NL", peer.party[1])
        evse = location["evses"][0]
        call: dict[str, Any] = {"side": "SENDER", "to": party}
        whole = await stage.backend.get("locations", "LOC-7", **call)
        assert (outcome(whole), whole.data) == ((200, 1000), owned(thing("location", version, core), party[1]))
        piece = await stage.backend.get("locations", "LOC-7", evse["uid"], **call)
        assert (outcome(piece), piece.data["uid"]) == ((200, 1000), evse["uid"])
        connector = evse["connectors"][0]["id"]
        piece = await stage.backend.get("locations", "LOC-7", evse["uid"], connector, **call)
        assert (outcome(piece), piece.data["id"]) == ((200, 1000), connector)
        assert (await stage.backend.get("locations", "NOWHERE", **call)).http == 404


@EITHER_CORE
async def test_a_backend_that_addresses_nobody_reads_from_the_owner(world: Begin, core: str) -> None:
    """Whose location it is, is known from what was pushed; of two it must be said; of none it is 404."""
    stage = await world(EXA, TWO, backend=provider(core))
    assert (await stage["exa"].push_location(thing("location", OLD))).ok
    fresh = {**thing("location", OLD), "name": "as it is now"}
    stage["exa"].keep("locations", fresh)
    read = await stage.backend.get("locations", "LOC-7", side="SENDER", to=None)
    assert (outcome(read), read.data["name"]) == ((200, 1000), "as it is now")
    assert (await stage["two"].push_location(owned(thing("location", NEW), "TWO"))).ok
    both = await stage.backend.get("locations", "LOC-7", side="SENDER", to=None)
    assert (outcome(both), "address" in both.message) == ((200, 2003), True)
    assert outcome(await stage.backend.get("locations", "NOWHERE", side="SENDER", to=None)) == (404, 2003)


@EITHER_CORE
async def test_a_backend_reads_what_a_partner_has_of_its_own_object(world: Begin, core: str) -> None:
    """On the Receiver interface: with OCPI-to what that partner has, without it what is stored here."""
    stage = await world(ACME, VOLT, backend=operator(core))
    await stage.backend.push_tariff(thing("tariff", core))
    await stage.backend.push_location(thing("location", core))
    await settled(stage)
    stage["volt"].stored.patch("locations", "NL/EXA/LOC-7", {"name": "as volt has it"})
    path = ("NL", "EXA", "LOC-7")
    here = await stage.backend.get("locations", *path, side="RECEIVER", to=None)
    assert (outcome(here), here.data) == ((200, 1000), thing("location", core))
    there = await stage.backend.get("locations", *path, side="RECEIVER", to=("DE", "VLT"))
    assert (outcome(there), there.data["name"]) == ((200, 1000), "as volt has it")
    there = await stage.backend.get("tariffs", "NL", "EXA", "T-DAY", side="RECEIVER", to=("DE", "ACM"))
    assert (outcome(there), there.data["id"]) == ((200, 1000), "T-DAY")
    nothing = await stage.backend.get("locations", "NL", "EXA", "NOWHERE", side="RECEIVER", to=("DE", "ACM"))
    assert nothing.http == 404


async def test_a_tariff_is_read_back_under_its_own_id(world: Begin) -> None:
    """A partner that knows a tariff by another id is asked for that, and the backend reads its own."""
    stage = await world(evolve(ACME, more="share: {tariffs: {map: {T-DAY: ACM-DAY}}}"), backend=operator(NEW))
    await stage.backend.push_tariff(thing("tariff", NEW))
    await settled(stage)
    there = await stage.backend.get("tariffs", "NL", "EXA", "T-DAY", side="RECEIVER", to=("DE", "ACM"))
    assert (outcome(there), there.data["id"]) == ((200, 1000), "T-DAY")
    assert stage["acme"].received[-1].segments[-1] == "ACM-DAY"
