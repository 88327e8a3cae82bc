"""Partners that come, go, are tried out, pause, and move from one link to another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import samples
from attrs import evolve
from files import again, refiled
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
    plain,
    provider,
    settled,
    thing,
)
from witness import outcome

from gateway.demo.peers import Peer, Received
from gateway.demo.world import Cast, World
from gateway.registered import Direction, Pause

LATER = "2026-03-05T09:00:00Z"
EITHER_EMSP = pytest.mark.parametrize(
    "cast", [ACME, evolve(VOLT, start="them")], ids=["emsp-on-2.1.1", "emsp-on-2.2.1"]
)


def pushes(peer: Peer, *modules: str) -> list[Received]:
    """The objects that a peer was brought: all, or those of these modules."""
    return [
        got for got in heard(peer)
        if got.module in (modules or ("locations", "tariffs", "sessions", "cdrs", "tokens"))
        and got.method in ("PUT", "PATCH", "POST", "DELETE")
    ]  # fmt: skip


def what(peer: Peer, *modules: str) -> list[tuple[str, str, str]]:
    """Method, module and id of the objects that a peer was brought, sorted."""
    return sorted((got.method, got.module, got.segments[2] if got.segments else "") for got in pushes(peer, *modules))


def told(stage: World, name: str) -> int:
    """How many objects a partner was brought so far."""
    return len(pushes(stage[name]))


async def register(stage: World, cast: Cast) -> None:
    await stage[cast.name].register(stage.versions_url, f"{cast.name}-token-a")
    await stage.registered(cast.name)
    await settled(stage)


def pause_of(length: timedelta) -> Pause:
    now = datetime.now(UTC)
    return Pause(at=int(now.timestamp() * 1000), until=int((now + length).timestamp() * 1000), reason="maintenance")


async def pause(stage: World, name: str, direction: Direction = Direction.OUT) -> None:
    await stage.gateway.links.set_pause(name, direction, pause_of(timedelta(hours=1)))


async def resume(stage: World, name: str, direction: Direction = Direction.OUT) -> None:
    await stage.gateway.links.set_pause(name, direction, None)
    await settled(stage)


def of_driver(cast: Cast, obj: Json) -> Json:
    """An object of the driver of that eMSP."""
    return at_volt(obj) if cast.name == "volt" else obj


# Catching up ----------------------------------------------------------------------------------------------------------


@EITHER_EMSP
@EITHER_CORE
async def test_a_partner_that_comes_later_gets_what_was_said_before(world: Begin, core: str, cast: Cast) -> None:
    """Locations, tariffs and the sessions of its drivers, each once; CDRs only what was pushed for it."""
    stage = await world(cast, backend=operator(core), register=False)
    party = ("DE", cast.party)
    for number in (7, 8):
        assert (await stage.backend.push_location({**thing("location", core), "id": f"LOC-{number}"})).ok
    assert (await stage.backend.push_tariff(thing("tariff", core))).ok
    assert (await stage.backend.push_session(of_driver(cast, thing("session", core)), to=party)).ok
    assert told(stage, cast.name) == 0
    await register(stage, cast)
    everything = [
        ("PUT", "locations", "LOC-7"), ("PUT", "locations", "LOC-8"),
        ("PUT", "sessions", "S-1001"), ("PUT", "tariffs", "T-DAY"),
    ]  # fmt: skip
    assert what(stage[cast.name]) == everything
    await again(stage)
    await settled(stage)
    assert what(stage[cast.name]) == everything


@EITHER_CORE
async def test_an_operator_that_comes_later_gets_every_token(world: Begin, core: str) -> None:
    """The mirror image: tokens that an eMSP's core said before go to both operators, once they are there."""
    two = evolve(TWO, start="them")
    stage = await world(EXA, two, backend=provider(core), register=False)
    token = thing("token", core)
    assert (await stage.backend.push_token(token)).ok
    for cast in (EXA, two):
        await register(stage, cast)
        assert what(stage[cast.name]) == [("PUT", "tokens", token["uid"])]


@EITHER_EMSP
async def test_a_partner_catches_up_at_its_own_rate(world: Begin, cast: Cast) -> None:
    """Never more requests at once than its file allows."""
    slow = evolve(cast, more="limits: {in_flight: 2}")
    stage = await world(slow, register=False)
    for number in range(6):
        assert (await stage.backend.push_location({**thing("location", NEW), "id": f"LOC-{number}"})).ok
    stage[cast.name].delay = 0.05
    await register(stage, slow)
    at = sorted(got.at for got in pushes(stage[cast.name], "locations"))
    assert len(at) == 6
    for first, third in zip(at, at[2:], strict=False):
        assert third - first >= timedelta(seconds=0.05)


@EITHER_EMSP
async def test_a_partner_that_leaves_and_comes_back_starts_with_nothing(world: Begin, cast: Cast) -> None:
    """After a DELETE and a new handshake it gets everything again, as PUT; its CDRs stay what they were."""
    stage = await world(cast, register=False)
    await stage.backend.push_location(thing("location", NEW))
    await register(stage, cast)
    cdr = of_driver(cast, thing("cdr", NEW))
    assert (await stage.backend.push_cdr(cdr, to=("DE", cast.party))).ok
    await settled(stage)
    assert (await stage[cast.name].unregister()).ok
    change = {"name": "Elsewhere", "last_updated": LATER}
    assert (await stage.backend.patch_location("LOC-7", changes=change)).ok
    await refiled(stage, cast.name, f"{cast.name}-token-a", f"{cast.name}-token-b")
    before = len(stage[cast.name].received)
    await stage[cast.name].register(stage.versions_url, f"{cast.name}-token-b")
    await stage.registered(cast.name)
    await settled(stage)
    (got,) = [got for got in stage[cast.name].received[before:] if got.module in ("locations", "cdrs")]
    assert (got.method, got.module, got.body["name"]) == ("PUT", "locations", "Elsewhere")


async def test_a_partner_that_changes_its_version_gets_everything_in_the_new_one(world: Begin) -> None:
    """By a PUT on the other version's credentials endpoint: whole objects, in the form that it speaks by now."""
    both = evolve(ACME, country="DE", version=OLD, also_version=NEW, more="country_code: alpha-2")
    stage = await world(both)
    await stage.backend.push_location(thing("location", NEW))
    await stage.backend.push_tariff(thing("tariff", NEW))
    await settled(stage)
    assert {got.version for got in pushes(stage["acme"])} == {OLD}
    before = len(stage["acme"].received)
    await stage["acme"].rotate(NEW)
    got = [await stage["acme"].wait_for("PUT", module, after=before) for module in ("locations", "tariffs")]
    await settled(stage)
    assert [each.version for each in got] == [NEW, NEW]
    assert got[0].body == thing("location", NEW)
    assert len([each for each in stage["acme"].received[before:] if each.module in ("locations", "tariffs")]) == 2


# A crawl of its own ---------------------------------------------------------------------------------------------------


@EITHER_EMSP
async def test_a_partners_own_crawl_settles_what_it_was_owed(world: Begin, cast: Cast) -> None:
    """It read every page of our list: what it was owed of that module is not brought again, later changes are."""
    stage = await world(cast, VOLT if cast.name == "acme" else ACME)
    peer = stage[cast.name]
    await pause(stage, cast.name)
    for number in range(5):
        await stage.backend.push_location({**thing("location", NEW), "id": f"LOC-{number}"})
    await stage.backend.push_tariff(thing("tariff", NEW))
    await settled(stage)
    assert [location["id"] for location in await peer.pull("locations", limit="2")] == [f"LOC-{n}" for n in range(5)]
    await resume(stage, cast.name)
    assert what(peer) == [("PUT", "tariffs", "T-DAY")]
    change = {"name": "Elsewhere", "last_updated": LATER}
    await stage.backend.patch_location("LOC-3", changes=change)
    got = await peer.wait_for("PATCH", "locations")
    assert (got.segments[2], got.body["name"]) == ("LOC-3", "Elsewhere")


@EITHER_EMSP
async def test_what_changes_during_a_crawl_goes_out(world: Begin, cast: Cast) -> None:
    """Between the first page and the last an object changed, and another came: both are brought, the others not."""
    stage = await world(cast)
    peer = stage[cast.name]
    await pause(stage, cast.name)
    for number in range(4):
        await stage.backend.push_location({**thing("location", NEW), "id": f"LOC-{number}"})
    first = await peer.get("locations", side="SENDER", query={"limit": "2"})
    change = {"name": "Elsewhere", "last_updated": LATER}
    await stage.backend.patch_location("LOC-0", changes=change)
    await stage.backend.push_location({**thing("location", NEW), "id": "LOC-9"})
    following = first.headers["link"].partition("<")[2].partition(">")[0]
    while following:
        page = await peer.call_url("GET", following, "locations", side="SENDER")
        following = page.headers.get("link", "").partition("<")[2].partition(">")[0]
    await resume(stage, cast.name)
    assert what(peer, "locations") == [("PUT", "locations", "LOC-0"), ("PUT", "locations", "LOC-9")]


@pytest.mark.parametrize("query", [{"limit": "2"}, {"offset": "1"}, {"date_from": "2020-01-01T00:00:00Z"}], ids=str)
async def test_a_part_of_a_list_settles_nothing(world: Begin, query: dict[str, str]) -> None:
    """A first page of several, a list from the middle on, or one by dates: everything is brought all the same."""
    stage = await world(ACME)
    await pause(stage, "acme")
    for number in range(4):
        await stage.backend.push_location({**thing("location", NEW), "id": f"LOC-{number}"})
    await stage["acme"].get("locations", side="SENDER", query=query)
    await resume(stage, "acme")
    assert what(stage["acme"], "locations") == [("PUT", "locations", f"LOC-{number}") for number in range(4)]


# Stages ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_a_draft_is_a_file_and_nothing_else(world: Begin, version: str) -> None:
    """No handshake is begun, its tokens open nothing, nothing is routed to it, and the core isn't told of it."""
    us = evolve(ACME, name="us", version=version, country="DE", party="USS", start="us", more="stage: draft")
    us = evolve(us, listed=("3.0",))  # so that nobody waits for it here
    them = evolve(ACME, name="them", version=version, country="DE", party="THM", more="stage: draft")
    stage = await world(VOLT, us, them, register=False)
    await stage.registered("volt")
    await stage.backend.push_location(thing("location", NEW))
    await settled(stage)
    refused = await stage["them"].line.ask("GET", stage.versions_url, token="them-token-a")
    assert refused.http == 401
    assert (await stage.backend.push_location(thing("location", NEW), to=("DE", "THM"))).status_code == 4001
    assert (stage["us"].received, stage["them"].received) == ([], [])
    clients = await stage.backend.pull("hubclientinfo")
    assert {client["party_id"] for client in clients} & {"USS", "THM"} == set()


@EITHER_EMSP
@pytest.mark.parametrize("phase", ["test", "pilot"])
async def test_who_is_tried_out_gets_what_its_pilot_names_and_what_is_addressed(
    world: Begin, cast: Cast, phase: str
) -> None:
    """Of what goes to everybody only that; a session of a token that isn't named isn't routed to it."""
    tried = evolve(cast, more=f"stage: {phase}\npilot: {{locations: [LOC-8], tokens: [04A1B2C3D4E5F6]}}")
    stage = await world(tried)
    for number in (7, 8, 9):
        await stage.backend.push_location({**thing("location", NEW), "id": f"LOC-{number}"})
    await stage.backend.push_tariff(thing("tariff", NEW))
    await stage.backend.push_location({**thing("location", NEW), "id": "LOC-9"}, to=("DE", cast.party))
    await settled(stage)
    assert what(stage[cast.name]) == [("PUT", "locations", "LOC-8"), ("PUT", "locations", "LOC-9")]
    listed = await stage[cast.name].pull("locations")
    assert sorted(location["id"] for location in listed) == ["LOC-8", "LOC-9"]
    for uid, status in (("04A1B2C3D4E5F6", 1000), ("04OTHER", 4001)):
        session = thing("session", NEW)
        session["cdr_token"] |= {"uid": uid, "party_id": cast.party}
        answer = await stage.backend.push_session({**session, "id": f"S-{uid}"}, to=None)
        assert answer.status_code == status, answer.message


async def test_who_goes_live_gets_the_rest(world: Begin) -> None:
    """From pilot to live, in its file: what it has is the same, and what it lacked comes."""
    stage = await world(evolve(ACME, more="stage: pilot\npilot: {locations: [LOC-8]}"))
    for number in (7, 8):
        await stage.backend.push_location({**thing("location", NEW), "id": f"LOC-{number}"})
    await settled(stage)
    assert what(stage["acme"]) == [("PUT", "locations", "LOC-8")]
    await refiled(stage, "acme", "stage: pilot", "stage: live")
    await settled(stage)
    assert what(stage["acme"]) == [("PUT", "locations", "LOC-7"), ("PUT", "locations", "LOC-8")]


@EITHER_EMSP
async def test_who_is_suspended_is_owed_and_may_ask(world: Begin, cast: Cast) -> None:
    """Nothing is sent to it, live exchanges are 4003; its own requests are answered; live again, it gets everything."""
    stage = await world(cast)
    await refiled(stage, cast.name, "allow_private: true", "allow_private: true\nstage: suspended")
    await stage.backend.push_location(thing("location", NEW))
    await settled(stage)
    assert what(stage[cast.name]) == []
    answer = await stage.backend.get("tokens", side="SENDER", to=("DE", cast.party))
    assert (answer.http, answer.status_code) == (200, 4003)
    assert [each["id"] for each in await stage[cast.name].pull("locations")] == ["LOC-7"]
    assert (await stage[cast.name].push_token(of_driver(cast, thing("token", cast.version)))).ok
    await stage.backend.patch_location("LOC-7", changes={"name": "Elsewhere", "last_updated": LATER})
    await refiled(stage, cast.name, "stage: suspended", "stage: live")
    got = await stage[cast.name].wait_for("PUT", "locations")
    assert got.body["name"] == "Elsewhere"


# One link takes over from another -------------------------------------------------------------------------------------


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@EITHER_CORE
async def test_a_cut_over_with_a_session_in_flight(world: Begin, core: str) -> None:
    """What began before the cut-over ends on the old link, CDR included; all else goes to the new one."""
    now = datetime.now(UTC)
    cut = _stamp(now - timedelta(hours=1))
    anew = Cast(
        name="anew", version=NEW, role="EMSP", country="DE", party="ACM", business="Acme Mobility",
        more=f"replaces: acme\nfrom: {cut}",
    )  # fmt: skip
    stage = await world(ACME, anew, backend=operator(core))
    assert (await stage["acme"].push_token(thing("token", OLD))).ok
    assert (await stage.backend.push_location(thing("location", core))).ok
    await settled(stage)
    assert (what(stage["acme"]), what(stage["anew"])) == ([], [("PUT", "locations", "LOC-7")])
    began = "start_date_time" if core == NEW else "start_datetime"
    for name, hours in (("acme", 2), ("anew", 0.5)):
        start, end = now - timedelta(hours=hours), now - timedelta(minutes=1)
        session = {**thing("session", core), "id": f"S-{name}", began: _stamp(start), "last_updated": _stamp(start)}
        session |= {"charging_periods": []}
        assert (await stage.backend.push_session(session, to=None)).ok
        change = {"kwh": 12.5, "last_updated": _stamp(end)}
        assert (await stage.backend.patch_session(f"S-{name}", change, to=None)).ok
        cdr = {**thing("cdr", core), "id": f"C-{name}", "start_date_time": _stamp(start), "last_updated": _stamp(end)}
        ended = "end_date_time" if core == NEW else "stop_date_time"
        assert (await stage.backend.push_cdr({**cdr, ended: _stamp(end)}, to=None)).ok
    await settled(stage)
    for name in ("acme", "anew"):
        assert {got.segments[2] for got in pushes(stage[name], "sessions")} == {f"S-{name}"}
        assert [got.body["id"] for got in pushes(stage[name], "cdrs")] == [f"C-{name}"]
    assert (await stage["anew"].push_token(thing("token", NEW))).ok, "the new link speaks for the same party"


def successor(cast: Cast, cut: datetime) -> Cast:
    """The link that takes over from this one."""
    return evolve(cast, name="anew", more=f"replaces: {cast.name}\nfrom: {_stamp(cut)}")


@EITHER_CORE
@pytest.mark.parametrize("to", [("NL", "TWO"), None], ids=["addressed", "by-content"])
async def test_before_a_cut_over_questions_go_to_the_old_link(
    world: Begin, core: str, to: tuple[str, str] | None
) -> None:
    """Commands and reads too: an operator's new platform, registered already, isn't asked before its time."""
    stage = await world(TWO, successor(TWO, datetime.now(UTC) + timedelta(hours=1)), backend=provider(core))
    location = owned(thing("location", NEW), "TWO")
    assert (await stage["two"].push_location(location)).ok
    started = await stage.backend.command("START_SESSION", token=thing("token", core), location_id="LOC-7", to=to)
    assert (started.status_code, started.data["result"]) == (1000, "ACCEPTED")
    assert outcome(await stage.backend.get("locations", "LOC-7", side="SENDER", to=to)) == (200, 1000)
    assert {got.module for got in heard(stage["anew"])}.isdisjoint({"commands", "locations"})


@EITHER_CORE
@pytest.mark.parametrize("to", [("NL", "TWO"), None], ids=["addressed", "by-content"])
async def test_a_session_is_stopped_on_the_link_that_it_began_on(
    world: Begin, core: str, to: tuple[str, str] | None
) -> None:
    """After the cut-over too: the driver of a session in flight is heard by the platform that charges the car."""
    now = datetime.now(UTC)
    stage = await world(TWO, successor(TWO, now - timedelta(hours=1)), backend=provider(core))
    assert (await stage.backend.push_token(thing("token", core))).ok
    assert (await stage["two"].push_location(owned(thing("location", NEW), "TWO"))).ok
    for name, hours in (("two", 2), ("anew", 0.5)):
        began = {"start_date_time": _stamp(now - timedelta(hours=hours)), "charging_periods": []}
        assert (await stage[name].push_session(owned(thing("session", NEW), "TWO") | began | {"id": f"S-{name}"})).ok
        stopped = await stage.backend.command("STOP_SESSION", session_id=f"S-{name}", to=to)
        assert (stopped.status_code, stopped.data["result"]) == (1000, "ACCEPTED")
    for name in ("two", "anew"):
        asked = [got.body["session_id"] for got in stage[name].received if got.segments == ("STOP_SESSION",)]
        assert asked == [f"S-{name}"]


async def test_a_profile_is_set_on_the_link_that_a_session_began_on(world: Begin) -> None:
    """Whether the operator is addressed or found by the session, a profile goes where the car is being charged."""
    now = datetime.now(UTC)
    stage = await world(TWO, successor(TWO, now - timedelta(hours=1)), backend=provider(NEW))
    began = {"start_date_time": _stamp(now - timedelta(hours=2)), "charging_periods": []}
    assert (await stage["two"].push_session(owned(thing("session", NEW), "TWO") | began)).ok
    for to in (("NL", "TWO"), None):
        asked = await stage.backend.set_profile("S-1001", plain(samples.charging_profile()), to=to)
        assert (asked.status_code, asked.data["result"]) == (1000, "ACCEPTED")
    assert len([got for got in stage["two"].received if got.module == "chargingprofiles" and got.body]) == 2
    assert [got for got in stage["anew"].received if got.module == "chargingprofiles"] == []


async def test_when_the_time_of_a_link_comes_it_gets_what_there_is(
    world: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Registered before the cut-over, it has nothing until then; then it gets, and lists, what was said before."""
    monkeypatch.setattr("gateway.app._REVIEW_S", 0.05)
    now, old = datetime.now(UTC), evolve(VOLT, start="them")
    stage = await world(old, successor(old, now + timedelta(hours=1)), backend=operator(NEW))
    assert (await stage.backend.push_location(thing("location", NEW))).ok
    await settled(stage)
    assert (what(stage["volt"]), what(stage["anew"])) == ([("PUT", "locations", "LOC-7")], [])
    assert await stage["anew"].pull("locations") == []
    cut = datetime.now(UTC) + timedelta(seconds=2)
    await refiled(stage, "anew", f"from: {_stamp(now + timedelta(hours=1))}", f"from: {_stamp(cut)}")
    await stage["anew"].wait_for("PUT", "locations")
    assert datetime.now(UTC) >= cut.replace(microsecond=0)
    assert [each["id"] for each in await stage["anew"].pull("locations")] == ["LOC-7"]
    await stage.gateway.joined()
    await settled(stage)
    assert (what(stage["volt"]), what(stage["anew"])) == ([("PUT", "locations", "LOC-7")],) * 2


# A pause --------------------------------------------------------------------------------------------------------------


@EITHER_EMSP
async def test_a_pause_outwards_keeps_what_is_owed(world: Begin, cast: Cast) -> None:
    """Nothing is pushed meanwhile; lists and authorizations go on; resumed, it gets the newest state."""
    stage = await world(cast)
    await stage[cast.name].push_token(of_driver(cast, thing("token", cast.version)))
    await pause(stage, cast.name)
    await stage.backend.push_location(thing("location", NEW))
    await stage.backend.patch_location("LOC-7", changes={"name": "Elsewhere", "last_updated": LATER})
    await settled(stage)
    assert what(stage[cast.name]) == []
    uid = of_driver(cast, thing("token", NEW))["uid"]
    allowed = await stage.backend.authorize(uid, to=("DE", cast.party))
    assert (outcome(allowed), allowed.data["allowed"]) == ((200, 1000), "ALLOWED")
    assert stage[cast.name].received[-1].method == "POST"
    await resume(stage, cast.name)
    got = await stage[cast.name].wait_for("PUT", "locations")
    assert got.body["name"] == "Elsewhere"
    listed = await stage[cast.name].pull("locations")
    assert [location["id"] for location in listed] == ["LOC-7"]


@EITHER_EMSP
async def test_a_pause_ends_by_itself(world: Begin, cast: Cast) -> None:
    """At the time that was said, with nobody doing anything; also after a restart in between."""
    stage = await world(cast)
    await stage.gateway.links.set_pause(cast.name, Direction.OUT, pause_of(timedelta(seconds=1)))
    await stage.backend.push_location(thing("location", NEW))
    await settled(stage)
    early = what(stage[cast.name])
    got = await stage[cast.name].wait_for("PUT", "locations")
    assert (early, got.body["id"]) == ([], "LOC-7")


@EITHER_EMSP
async def test_a_pause_inwards_takes_no_pushes(world: Begin, cast: Cast) -> None:
    """Its pushes are answered 3000 with a text, and nothing is stored; it may read; the core may ask it."""
    stage = await world(cast)
    await stage.backend.push_location(thing("location", NEW))
    token = of_driver(cast, thing("token", cast.version))
    stage[cast.name].keep("tokens", token)
    await pause(stage, cast.name, Direction.IN)
    before = len(heard(stage.backend))
    answer = await stage[cast.name].push_token(token)
    assert (outcome(answer), "until" in answer.message) == ((200, 3000), True)
    assert len(heard(stage.backend)) == before
    assert (await stage[cast.name].get("tokens", *stage[cast.name].party, token["uid"], side="RECEIVER")).http == 404
    assert [location["id"] for location in await stage[cast.name].pull("locations")] == ["LOC-7"]
    assert (await stage.backend.authorize(token["uid"], to=("DE", cast.party))).data["allowed"] == "ALLOWED"
    await resume(stage, cast.name, Direction.IN)
    assert (await stage[cast.name].push_token(token)).ok
