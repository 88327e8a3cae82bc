"""What each partner may see of ours: its share, the names of tariffs, what is meant for it alone, and live delivery."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from files import refiled
from scenes import ACME, EITHER_CORE, NEW, OLD, VOLT, Begin, Json, at_volt, heard, operator, settled, thing
from witness import outcome

from gateway.demo.peers import Peer
from gateway.demo.world import Cast, World

LATER, LATEST = "2026-03-05T09:00:00Z", "2026-03-06T09:00:00Z"
BOTH = {"acme": OLD, "volt": NEW}
EITHER_EMSP = pytest.mark.parametrize(
    "cast", [ACME, evolve(VOLT, start="them")], ids=["emsp-on-2.1.1", "emsp-on-2.2.1"]
)


def sharing(cast: Cast, share: str, *more: str) -> Cast:
    return evolve(cast, more="\n".join((f"share: {share}", *more)))


def brought(peer: Peer, module: str) -> list[tuple[str, str]]:
    """Method and id of the objects that a peer was brought in a module, in order."""
    return [
        (got.method, got.segments[2]) for got in heard(peer)
        if got.module == module and got.method in ("PUT", "PATCH", "DELETE")
    ]  # fmt: skip


def tariff_of(connector: Json) -> Any:
    """What a connector says of its tariffs, in either version."""
    return connector.get("tariff_id", connector.get("tariff_ids"))


def connectors(location: Json) -> list[Json]:
    return [connector for evse in location["evses"] for connector in evse["connectors"]]


async def three_locations(stage: World, core: str = NEW) -> None:
    """Ours, one of another operator, and one whose EVSEs are in another place."""
    location = thing("location", core)
    other = [{**evse, "evse_id": f"NL*EXA*X{number}"} for number, evse in enumerate(location["evses"])]
    await stage.backend.push_location(location)
    await stage.backend.push_location({**location, "id": "LOC-8", "operator": {"name": "Somebody Else"}})
    await stage.backend.push_location({**location, "id": "LOC-9", "evses": other})
    await settled(stage)


# Which locations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "seen"),
    [
        ("only: [loc-7]", ["LOC-7"]),
        ('only: ["Somebody Else"]', ["LOC-8"]),
        ('only: ["NL*EXA*X"]', ["LOC-9"]),
        ('only: [LOC-7, "Somebody Else"]', ["LOC-7", "LOC-8"]),
        ("except: [LOC-7]", ["LOC-8", "LOC-9"]),
        ('except: ["Somebody Else", nl-exa-x]', ["LOC-7"]),
    ],
)
async def test_a_selection_of_locations_holds_on_every_way(world: Begin, selection: str, seen: list[str]) -> None:
    """In pushes, lists, single reads and commands, in both versions; nobody else's view is changed by it."""
    share = f"{{locations: {{{selection}}}}}"
    stage = await world(sharing(ACME, share), evolve(sharing(VOLT, share)), backend=operator(NEW))
    await three_locations(stage)
    for name, version in BOTH.items():
        peer = stage[name]
        assert sorted(brought(peer, "locations")) == [("PUT", id) for id in seen]
        assert sorted(location["id"] for location in await peer.pull("locations")) == seen
        since = await peer.pull("locations", date_from="2020-01-01T00:00:00Z")
        assert sorted(location["id"] for location in since) == seen
        token = thing("token", version) if name == "acme" else at_volt(thing("token", version))
        for id in ("LOC-7", "LOC-8", "LOC-9"):
            read = await peer.get("locations", id, side="SENDER")
            assert outcome(read) == ((200, 1000) if id in seen else (404, 2003))
            asked = await peer.command("START_SESSION", token=token, location_id=id)
            assert asked.status_code == (1000 if id in seen else 2003), (name, id)
    commanded = {got.body["location_id"] for got in stage.backend.received if got.module == "commands"}
    assert sorted(commanded) == seen


@EITHER_EMSP
async def test_a_location_that_leaves_the_selection_is_withdrawn_and_may_come_back(world: Begin, cast: Cast) -> None:
    """By a change of its own all its EVSEs become REMOVED, once; by the next it is there again."""
    stage = await world(sharing(cast, '{locations: {except: ["Somebody Else"]}}'))
    peer = stage[cast.name]
    await stage.backend.push_location(thing("location", NEW))
    await settled(stage)
    change = {"operator": {"name": "Somebody Else"}, "last_updated": LATER}
    await stage.backend.patch_location("LOC-7", changes=change)
    await settled(stage)
    assert {evse["status"] for evse in peer.objects["locations"][_key(peer)]["evses"]} == {"REMOVED"}
    assert await peer.pull("locations") == []
    count = len(heard(peer))
    await stage.backend.patch_location("LOC-7", changes={"name": "Still not theirs", "last_updated": LATER})
    await settled(stage)
    assert [got for got in heard(peer)[count:] if got.method != "GET"] == []
    await stage.backend.patch_location("LOC-7", changes={"operator": {"name": "Ours"}, "last_updated": LATEST})
    await settled(stage)
    back = peer.objects["locations"][_key(peer)]
    assert (back["operator"]["name"], back["name"]) == ("Ours", "Still not theirs")
    assert "REMOVED" not in {evse["status"] for evse in back["evses"]}


def _key(peer: Peer) -> str:
    return next(iter(peer.objects["locations"]))


@EITHER_EMSP
async def test_a_changed_selection_sends_differences_only(world: Begin, cast: Cast) -> None:
    """After a restart: what leaves is withdrawn, what comes is brought, what stays isn't mentioned."""
    stage = await world(sharing(cast, "{locations: {only: [LOC-7, LOC-8]}}"))
    await three_locations(stage)
    peer = stage[cast.name]
    before = len(peer.received)
    await refiled(stage, cast.name, "only: [LOC-7, LOC-8]", "only: [LOC-8, LOC-9]")
    await settled(stage)
    later = [got for got in peer.received[before:] if got.module == "locations"]
    assert sorted((got.method, got.segments[2]) for got in later) == [("PUT", "LOC-7"), ("PUT", "LOC-9")]
    (withdrawn,) = [got.body for got in later if got.segments[2] == "LOC-7"]
    assert {evse["status"] for evse in withdrawn["evses"]} == {"REMOVED"}
    assert sorted(location["id"] for location in await peer.pull("locations")) == ["LOC-8", "LOC-9"]


@EITHER_EMSP
async def test_what_is_withdrawn_while_a_partner_is_down_is_withdrawn_when_it_is_back(
    world: Begin, impatient: None, cast: Cast
) -> None:
    """Attempts that fail don't make us forget that it has something."""
    stage = await world(sharing(cast, "{locations: {only: [LOC-7]}, tariffs: {only: [T-DAY]}}"))
    await stage.backend.push_location(thing("location", NEW))
    await stage.backend.push_tariff(thing("tariff", NEW))
    await settled(stage)
    peer = stage[cast.name]
    peer.fail("locations", "PUT", http=503, body=b"<html>")
    peer.fail("tariffs", "DELETE", http=503, body=b"<html>")
    await refiled(stage, cast.name, "only: [LOC-7]}, tariffs: {only: [T-DAY]", "only: [NONE]}, tariffs: {only: [NONE]")
    await peer.wait_for("PUT", "locations", count=3)
    await peer.wait_for("DELETE", "tariffs", count=2)
    await settled(stage)
    assert {evse["status"] for evse in peer.objects["locations"][_key(peer)]["evses"]} == {"REMOVED"}
    assert peer.objects["tariffs"] == {}


@EITHER_EMSP
async def test_what_may_have_arrived_is_withdrawn(world: Begin, cast: Cast) -> None:
    """The answer to a first PUT got lost, and then the selection changed: it may have the tariff, so it goes."""
    stage = await world(sharing(cast, "{tariffs: {only: [T-DAY]}}"))
    peer = stage[cast.name]
    peer.fail("tariffs", "PUT", http=504, body=b"<html>", applied=True)
    await stage.backend.push_tariff(thing("tariff", NEW))
    await settled(stage)
    assert len(peer.objects["tariffs"]) == 1
    await refiled(stage, cast.name, "only: [T-DAY]", "only: [NONE]")
    await settled(stage)
    assert peer.objects["tariffs"] == {}


# Which tariffs, and by which names ------------------------------------------------------------------------------------


@EITHER_CORE
async def test_a_tariff_has_the_partners_name_everywhere(world: Begin, core: str) -> None:
    """In its URL and body, in connectors, in sessions and CDRs, in pushes and lists; the other partner's is ours."""
    stage = await world(sharing(ACME, "{tariffs: {map: {T-DAY: ACM-DAY}}}"), VOLT, backend=operator(core))
    await _say_all(stage, core, "acme", "volt")
    for name, id in (("acme", "ACM-DAY"), ("volt", "T-DAY")):
        peer = stage[name]
        assert brought(peer, "tariffs") == [("PUT", id)]
        assert [tariff["id"] for tariff in peer.objects["tariffs"].values()] == [id]
        assert [tariff["id"] for tariff in await peer.pull("tariffs")] == [id]
        named = [id] if name == "volt" else id
        for location in (*peer.objects["locations"].values(), *await peer.pull("locations")):
            assert tariff_of(connectors(location)[0]) == named
        (cdr,) = [got.body for got in peer.received if got.module == "cdrs"]
        assert [tariff["id"] for tariff in cdr["tariffs"]] == [id]
        assert [tariff["id"] for each in await peer.pull("cdrs") for tariff in each["tariffs"]] == [id]


async def test_a_tariff_has_the_partners_name_in_charging_periods(world: Begin) -> None:
    """2.2.1 names the tariff of each period of a session and CDR."""
    stage = await world(sharing(VOLT, "{tariffs: {map: {T-DAY: VLT-DAY}}}"))
    await _say_all(stage, NEW, "volt")
    (cdr,) = [got.body for got in stage["volt"].received if got.module == "cdrs"]
    (session,) = stage["volt"].objects["sessions"].values()
    for obj in (cdr, session):
        assert {period["tariff_id"] for period in obj["charging_periods"]} == {"VLT-DAY"}


async def _say_all(stage: World, core: str, *names: str) -> None:
    assert (await stage.backend.push_tariff(thing("tariff", core))).ok
    assert (await stage.backend.push_location(thing("location", core))).ok
    for name in names:
        to = ("DE", "ACM" if name == "acme" else "VLT")
        of = at_volt if name == "volt" else (lambda obj: obj)
        for kind, push in (("session", stage.backend.push_session), ("cdr", stage.backend.push_cdr)):
            obj = of(thing(kind, core))
            assert (await push({**obj, "id": f"{obj['id']}-{name}"}, to=to)).ok
    await settled(stage)


@EITHER_EMSP
async def test_a_tariff_that_is_not_shared_isnt_named_and_goes_by_the_name_that_was_known(
    world: Begin, cast: Cast
) -> None:
    """Out of the selection: DELETE under the partner's own id, connectors without it, the list without it."""
    stage = await world(sharing(cast, "{tariffs: {only: [T-DAY], map: {T-DAY: THEIR-DAY}}}"))
    peer = stage[cast.name]
    await _say_all(stage, NEW, cast.name)
    assert brought(peer, "tariffs") == [("PUT", "THEIR-DAY")]
    await refiled(stage, cast.name, "only: [T-DAY]", "only: [T-NIGHT]")
    await settled(stage)
    assert brought(peer, "tariffs") == [("PUT", "THEIR-DAY"), ("DELETE", "THEIR-DAY")]
    assert await peer.pull("tariffs") == []
    for location in (peer.objects["locations"][_key(peer)], *await peer.pull("locations")):
        assert not any(map(tariff_of, connectors(location)))


@EITHER_EMSP
async def test_a_tariff_that_gets_another_name_is_moved(world: Begin, cast: Cast) -> None:
    """It is deleted under the one id and put under the other; connectors name it anew."""
    stage = await world(sharing(cast, "{tariffs: {map: {T-DAY: FIRST}}}"))
    peer = stage[cast.name]
    await stage.backend.push_tariff(thing("tariff", NEW))
    await stage.backend.push_location(thing("location", NEW))
    await settled(stage)
    await refiled(stage, cast.name, "FIRST", "SECOND")
    await settled(stage)
    assert brought(peer, "tariffs") == [("PUT", "FIRST"), ("DELETE", "FIRST"), ("PUT", "SECOND")]
    named = tariff_of(connectors(peer.objects["locations"][_key(peer)])[0])
    assert named in ("SECOND", ["SECOND"])


@EITHER_EMSP
async def test_a_deleted_tariff_goes_by_the_partners_name(world: Begin, cast: Cast) -> None:
    """The owner deletes it under its own id, the partner's goes."""
    stage = await world(sharing(cast, "{tariffs: {map: {T-DAY: THEIR-DAY}}}"))
    await stage.backend.push_tariff(thing("tariff", NEW))
    await settled(stage)
    assert (await stage.backend.delete_tariff("T-DAY")).ok
    await settled(stage)
    assert brought(stage[cast.name], "tariffs") == [("PUT", "THEIR-DAY"), ("DELETE", "THEIR-DAY")]


# What is meant for one of them ----------------------------------------------------------------------------------------


@EITHER_CORE
async def test_a_tariff_for_one_partner_stands_before_the_general_one(world: Begin, core: str) -> None:
    """In pushes and lists of that partner alone, whatever happens to the general one, until it is deleted there."""
    stage = await world(ACME, VOLT, backend=operator(core))
    tariff = thing("tariff", core)
    general, special = "https://general.example", "https://special.example"
    await stage.backend.push_tariff({**tariff, "tariff_alt_url": general})
    await stage.backend.push_tariff({**tariff, "tariff_alt_url": special}, to=("DE", "VLT"))
    await settled(stage)
    assert await _urls(stage) == {"acme": [general] * 2, "volt": [special] * 2}
    await stage.backend.push_tariff({**tariff, "tariff_alt_url": f"{general}/2", "last_updated": LATER})
    await settled(stage)
    assert await _urls(stage) == {"acme": [f"{general}/2"] * 2, "volt": [special] * 2}
    assert (await stage.backend.delete("tariffs", "NL", "EXA", "T-DAY", to=("DE", "VLT"))).ok
    await settled(stage)
    assert await _urls(stage) == {"acme": [f"{general}/2"] * 2, "volt": [f"{general}/2"] * 2}


async def test_a_location_for_one_partner_stands_before_the_general_one(world: Begin) -> None:
    """In pushes, lists and single reads of that partner alone, whatever happens to the general one."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    for to, name in ((None, "for everybody"), (("DE", "ACM"), "for acme"), (None, "for everybody else")):
        assert (await stage.backend.push_location({**thing("location", NEW), "name": name}, to=to)).ok
        await settled(stage)
    for partner, name in (("acme", "for acme"), ("volt", "for everybody else")):
        peer = stage[partner]
        read = (await peer.get("locations", "LOC-7", side="SENDER")).data
        for location in (*peer.objects["locations"].values(), *await peer.pull("locations"), read):
            assert location["name"] == name


async def _urls(stage: World) -> dict[str, list[str]]:
    """What each partner knows a tariff by: as it was brought, and as it is listed."""
    return {
        name: [
            tariff["tariff_alt_url"]
            for tariff in (*stage[name].objects["tariffs"].values(), *await stage[name].pull("tariffs"))
        ]
        for name in BOTH
    }


@EITHER_EMSP
async def test_what_is_meant_for_one_partner_alone_is_nobody_elses(world: Begin, cast: Cast) -> None:
    """A tariff that there is for one partner only: the other never hears of it; deleted there, it is gone."""
    other = VOLT if cast.name == "acme" else ACME
    stage = await world(cast, other)
    await stage.backend.push_tariff(thing("tariff", NEW), to=("DE", cast.party))
    await settled(stage)
    assert (brought(stage[cast.name], "tariffs"), brought(stage[other.name], "tariffs")) == ([("PUT", "T-DAY")], [])
    assert await stage[other.name].pull("tariffs") == []
    await stage.backend.delete_tariff("T-DAY", to=("DE", cast.party))
    await settled(stage)
    assert brought(stage[cast.name], "tariffs") == [("PUT", "T-DAY"), ("DELETE", "T-DAY")]
    assert (await stage[cast.name].pull("tariffs"), brought(stage[other.name], "tariffs")) == ([], [])


# Live -----------------------------------------------------------------------------------------------------------------


@EITHER_EMSP
async def test_a_live_delivery_waits_for_the_partners_answer(world: Begin, cast: Cast) -> None:
    """A refusal comes back and nothing is owed; good, and the partner has it before the core reads 1000."""
    stage = await world(evolve(cast, more="modules: {tariffs: {delivery: live}}"))
    peer, to = stage[cast.name], ("DE", cast.party)
    tariff = thing("tariff", NEW)
    peer.fail("tariffs", "PUT", status=2001)
    answer = await stage.backend.push_tariff(tariff, to=to)
    assert (outcome(answer), answer.message) == ((200, 2001), "as asked for")
    await settled(stage)
    assert (brought(peer, "tariffs"), peer.objects["tariffs"]) == ([("PUT", "T-DAY")], {})
    assert await peer.pull("tariffs") == []
    assert (await stage.backend.push_tariff(tariff, to=to)).http == 201
    assert [each["id"] for each in peer.objects["tariffs"].values()] == ["T-DAY"]
    assert [each["id"] for each in await peer.pull("tariffs")] == ["T-DAY"]
    await settled(stage)
    assert brought(peer, "tariffs") == [("PUT", "T-DAY")] * 2
    await peer.down()
    assert (await stage.backend.push_tariff({**tariff, "last_updated": LATER}, to=to)).status_code == 4003


@EITHER_EMSP
async def test_a_live_delivery_is_for_that_partner_by_its_names(world: Begin, cast: Cast) -> None:
    """Its share holds here, too: its id of a tariff, and what it may not see is refused; the others' stays theirs."""
    share = "{tariffs: {only: [T-DAY], map: {T-DAY: THEIR-DAY}}}"
    other = VOLT if cast.name == "acme" else ACME
    stage = await world(sharing(cast, share, "modules: {tariffs: {delivery: live}}"), other)
    peer, to = stage[cast.name], ("DE", cast.party)
    tariff = thing("tariff", NEW)
    assert (await stage.backend.push_tariff({**tariff, "id": "T-NIGHT"}, to=to)).status_code == 2000
    await stage.backend.push_tariff(tariff)
    await settled(stage)
    assert (await stage.backend.push_tariff({**tariff, "last_updated": LATER, "currency": "SEK"}, to=to)).ok
    (has,) = peer.objects["tariffs"].values()
    assert (has["id"], has["currency"]) == ("THEIR-DAY", "SEK")
    (theirs,) = stage[other.name].objects["tariffs"].values()
    assert theirs["currency"] == "EUR"
    assert (await stage.backend.delete("tariffs", "NL", "EXA", "T-DAY", to=to)).ok
    got = await peer.wait_for("PUT", "tariffs", count=3)
    assert got.body["currency"] == "EUR", "without what was meant for it alone, it has what everybody has"
    assert brought(peer, "tariffs") == [
        ("PUT", "THEIR-DAY"), ("PUT", "THEIR-DAY"), ("DELETE", "THEIR-DAY"), ("PUT", "THEIR-DAY")
    ]  # fmt: skip


@EITHER_EMSP
async def test_live_sessions_and_what_is_owed_dont_contradict_each_other(world: Begin, cast: Cast) -> None:
    """A PATCH of a session reaches the partner once, and at once; a restart brings nothing again."""
    of = at_volt if cast.name == "volt" else (lambda obj: obj)
    stage = await world(evolve(cast, more="modules: {sessions: {delivery: live}}"))
    await stage.backend.push_location(thing("location", NEW))
    to = ("DE", cast.party)
    assert (await stage.backend.push_session(of(thing("session", NEW)), to=to)).ok
    assert (await stage.backend.patch_session("S-1001", {"kwh": 25.0, "last_updated": LATER}, to=to)).ok
    assert [session["kwh"] for session in stage[cast.name].objects["sessions"].values()] == [25.0]
    await refiled(stage, cast.name, "delivery: live", "delivery: ledger")
    await settled(stage)
    assert brought(stage[cast.name], "sessions") == [("PUT", "S-1001"), ("PATCH", "S-1001")]
