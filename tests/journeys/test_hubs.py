"""Hubs among the partners: whom they speak for, what goes to them, and by which way a party is reached.

A hub on 2.2.1 says so in its credentials and names parties in headers; one on 2.1.1 registers as a plain CPO or eMSP,
and only its file tells. Some of those name parties in headers all the same, the others in URLs alone.
"""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from prometheus_client import REGISTRY
from scenes import (
    EITHER_CORE,
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
)

from gateway import exchange
from gateway.demo.peers import Exchange, Peer, Received, Role
from gateway.demo.world import Cast

Party = tuple[str, str]

GATEWAY, HUB, CORE_CPO, CORE_EMSP = ("NL", "GWY"), ("FR", "HUB"), ("NL", "EXA"), ("DE", "ACM")
BEC, FRC, BEM, FRM = ("BE", "BEC"), ("FR", "FRC"), ("BE", "BEM"), ("FR", "FRM")
NOBODY = (None, None)

CPOS = (Role("CPO", *BEC, "Be Charging"), Role("CPO", *FRC, "Fr Charging"))
EMSPS = (Role("EMSP", *BEM, "Be Mobility"), Role("EMSP", *FRM, "Fr Mobility"))
BIG = Cast(name="big", kind="hub", country="FR", party="HUB", business="The Big Hub", behind=(*CPOS, *EMSPS))
SECOND = evolve(BIG, name="second", country="AT", party="SEC", business="The Second Hub")

ON_211: dict[str, Any] = {"version": OLD, "kind": "hub", "country": "FR", "party": "HUB", "business": "The Old Hub"}
OLD_CPOS = Cast(name="big", role="CPO", behind=CPOS, **ON_211)
OLD_EMSPS = Cast(name="big", role="EMSP", behind=EMSPS, **ON_211)
ROUTES: dict[str, Any] = {"routing_headers": True, "more": "quirks: {routing.headers_on_211: accept+send}"}

ASK_BIG = "authorize: {unknown_tokens: [big]}"
FAST = "authorize: {timeout: 200ms}"


def route(message: Received | Exchange) -> tuple[tuple[str | None, ...], tuple[str | None, ...]]:
    """The parties that the routing headers name: from, to."""
    return tuple(
        tuple(message.headers.get(f"ocpi-{end}-{what}") for what in ("country-code", "party-id"))
        for end in ("from", "to")
    )  # type: ignore[return-value]


def of(party: Party, obj: Json) -> Json:
    """The object, owned by somebody else; one of 2.1.1 doesn't say whose it is."""
    return obj | {"country_code": party[0], "party_id": party[1]} if "party_id" in obj else obj


def driven_by(party: Party, obj: Json) -> Json:
    """A session or CDR about a driver of this eMSP's."""
    return obj | {"cdr_token": obj["cdr_token"] | {"country_code": party[0], "party_id": party[1]}}


def got(peer: Peer, module: str) -> list[Received]:
    """What a peer received in a module."""
    return [received for received in peer.received if received.module == module]


# What a hub brings ----------------------------------------------------------------------------------------------------


@EITHER_CORE
async def test_what_a_hub_hands_on_is_its_owners_check_72_trap_18(world: Begin, core: str) -> None:
    """FROM is the hub, and the owner stands in URL and body: accepted, and told to the core as the owner's."""
    stage = await world(BIG, backend=provider(core))
    location = of(BEC, thing("location", NEW))
    answer = await stage["big"].push_location(location, to=CORE_EMSP)
    assert (answer.http, answer.status_code, route(answer)) == (201, 1000, (CORE_EMSP, HUB))
    seen = heard(stage.backend)[-1]
    assert (seen.method, seen.segments) == ("PUT", (*BEC, "LOC-7"))
    assert seen.body == (location if core == NEW else thing("location", NEW, OLD))
    change = {"name": "Elsewhere", "last_updated": "2026-04-01T00:00:00Z"}
    assert route(await stage["big"].patch_location("LOC-7", changes=change, to=CORE_EMSP)) == (CORE_EMSP, HUB)
    assert heard(stage.backend)[-1].segments == (*BEC, "LOC-7")


@EITHER_CORE
@pytest.mark.parametrize("more", [ROUTES, {}], ids=["headers", "no-headers"])
async def test_what_a_hub_on_2_1_1_hands_on_is_its_owners_check_72(
    world: Begin, core: str, more: dict[str, Any]
) -> None:
    """The owner stands in the URL; of a CDR nowhere but in a header, and without one the CDR is the hub's own."""
    stage = await world(evolve(OLD_CPOS, **more), backend=provider(core))
    hub = stage["big"]
    answer = await hub.push_location(thing("location", OLD), owner=FRC)
    assert (answer.http, route(answer)) == (201, (CORE_EMSP, FRC) if more else (NOBODY, NOBODY))
    seen = heard(stage.backend)[-1]
    assert seen.segments == (*FRC, "LOC-7")
    assert seen.body == of(FRC, thing("location", OLD, core))
    assert (await hub.push_cdr(thing("cdr", OLD), owner=BEC)).http == 201
    assert list(stage.backend.objects["cdrs"]) == ["BE/BEC/C-501" if more else "FR/HUB/C-501"]


@EITHER_CORE
async def test_a_cdr_is_its_owners_whoever_sends_it_trap_18(world: Begin, core: str) -> None:
    """A hub that hands everything on in its own name: the core on 2.1.1, too, learns who wrote the CDR."""
    stage = await world(BIG, backend=provider(core))
    assert (await stage["big"].push_cdr(of(BEC, thing("cdr", NEW)), sender=HUB)).http == 201
    assert list(stage.backend.objects["cdrs"]) == ["BE/BEC/C-501"]


async def test_a_hub_speaks_for_whom_its_file_says_check_08(world: Begin) -> None:
    """A party that isn't in ``reaches`` isn't spoken for, nor is one of ours by any hub."""
    stage = await world(evolve(BIG, reaches=("BE-BEC",)), evolve(SECOND, name="wide"), backend=provider(NEW))
    hub, wide = stage["big"], stage["wide"]
    assert (await hub.push_location(of(BEC, thing("location", NEW)))).http == 201
    assert (await hub.push_location(of(FRC, thing("location", NEW)))).http == 404
    assert (await hub.push_session(of(BEC, thing("session", NEW)), sender=FRC)).status_code == 2001
    assert (await wide.push_location(of(FRC, thing("location", NEW)))).http == 201
    assert (await wide.push_location(of(CORE_EMSP, thing("location", NEW)))).http == 404


# What goes to hubs ----------------------------------------------------------------------------------------------------


@EITHER_CORE
async def test_what_is_for_everybody_reaches_each_hub_once_check_73(world: Begin, core: str) -> None:
    """One request to the hub's own party, whomever it reaches, and one to the bilateral partner; FROM is the CPO."""
    stage = await world(BIG, SECOND, VOLT, backend=operator(core))
    assert (await stage.backend.push_location(thing("location", core), to=GATEWAY)).ok
    assert (await stage.backend.push_tariff(thing("tariff", core), to=None)).ok
    await settled(stage)
    for name, party in (("big", HUB), ("second", ("AT", "SEC")), ("volt", ("DE", "VLT"))):
        for module in ("locations", "tariffs"):
            (put,) = got(stage[name], module)
            assert route(put) == (CORE_CPO, party)
            assert put.body == thing(module[:-1], core, NEW)


@EITHER_CORE
async def test_what_is_one_drivers_is_addressed_to_a_party_behind_the_hub_check_73(world: Begin, core: str) -> None:
    """Sessions and CDRs go to the eMSP of their token through the hub that announced it, never to the hub itself."""
    stage = await world(BIG, SECOND, VOLT, backend=operator(core))
    token = of(FRM, thing("token", NEW))
    assert route(await stage["big"].push_token(token)) == (CORE_CPO, HUB)
    await stage.backend.push_location(thing("location", core))
    assert (
        await stage.backend.push_session(
            driven_by(FRM, thing("session", NEW)) if core == NEW else thing("session", OLD), to=None
        )
    ).ok
    assert (
        await stage.backend.push_cdr(driven_by(FRM, thing("cdr", NEW)) if core == NEW else thing("cdr", OLD), to=None)
    ).ok
    await settled(stage)
    for module in ("sessions", "cdrs"):
        (put,) = got(stage["big"], module)
        assert route(put) == (CORE_CPO, FRM)
        assert put.body["cdr_token"]["party_id"] == "FRM"
        assert got(stage["second"], module) == got(stage["volt"], module) == []
    refused = await stage.backend.push_session(thing("session", core), to=GATEWAY)
    assert (refused.http, refused.status_code) == (200, 2000)


@pytest.mark.parametrize("more", [ROUTES, {}], ids=["headers", "no-headers"])
async def test_a_hub_on_2_1_1_is_told_whom_a_session_is_for(world: Begin, more: dict[str, Any]) -> None:
    """In headers, where its file says that it understands them; else it gets what any eMSP on 2.1.1 gets."""
    stage = await world(evolve(OLD_EMSPS, **more), backend=operator(NEW))
    hub = stage["big"]
    assert (await hub.push_token(thing("token", OLD), owner=BEM)).http == 201
    await stage.backend.push_location(thing("location", NEW))
    assert (await stage.backend.push_session(driven_by(BEM, thing("session", NEW)), to=BEM)).ok
    assert (await stage.backend.push_cdr(driven_by(BEM, thing("cdr", NEW)), to=None)).ok
    await settled(stage)
    for module, party in (("locations", HUB), ("sessions", BEM), ("cdrs", BEM)):
        (put,) = got(hub, module)
        assert route(put) == ((CORE_CPO, party) if more else (NOBODY, NOBODY))


@EITHER_CORE
async def test_a_list_of_one_party_behind_a_hub_check_75(world: Begin, core: str) -> None:
    """TO is that party, and the hub lists what it owns; everybody's objects come from the store, each its owner's."""
    stage = await world(BIG, backend=provider(core))
    for party in (BEC, FRC):
        assert (await stage["big"].push_location(of(party, thing("location", NEW)))).ok
    asked = len(heard(stage["big"]))
    listed = await stage.backend.pull("locations", to=FRC)
    assert route(heard(stage["big"])[-1]) == (CORE_EMSP, FRC)
    assert listed == [of(FRC, thing("location", NEW, core))]
    assert len(heard(stage["big"])) == asked + 1
    everybodys = await stage.backend.pull("locations", to=GATEWAY)
    assert everybodys == [of(party, thing("location", NEW, core)) for party in (BEC, FRC)]
    assert len(heard(stage["big"])) == asked + 1
    one = await stage.backend.get("locations", "LOC-7", side="SENDER", to=FRC)
    assert one.data == of(FRC, thing("location", NEW, core))
    assert route(heard(stage["big"])[-1]) == (CORE_EMSP, FRC)


async def test_a_list_of_the_hub_itself_trap_19(world: Begin) -> None:
    """The core may ask the hub for everybody's: a list, with the hub in TO; a single object has an owner."""
    stage = await world(BIG, backend=provider(NEW))
    for party in (BEC, FRC):
        stage["big"].keep("locations", of(party, thing("location", NEW)))
    listed = await stage.backend.pull("locations", to=HUB)
    assert route(heard(stage["big"])[-1]) == (CORE_EMSP, HUB)
    assert [location["party_id"] for location in listed] == ["BEC", "FRC"]
    answer = await stage.backend.get("locations", "LOC-7", side="SENDER", to=GATEWAY)
    assert (answer.http, answer.status_code) == (200, 2001)


# Tokens that nobody announced -----------------------------------------------------------------------------------------


@EITHER_CORE
async def test_a_hub_is_asked_whose_token_it_is_check_74_trap_20(world: Begin, core: str) -> None:
    """FROM and no TO; whoever answers is the eMSP: its sessions and CDRs go there from then on, by the same hub."""
    stage = await world(BIG, SECOND, backend=operator(core), gateway_yaml=ASK_BIG)
    hub = stage["big"]
    hub.keep("tokens", of(FRM, thing("token", NEW)))
    answer = await stage.backend.authorize("04A1B2C3D4E5F6")
    assert (answer.http, answer.status_code, answer.data["allowed"]) == (200, 1000, "ALLOWED")
    assert route(heard(hub)[-1]) == (CORE_CPO, NOBODY)
    assert route(answer) == (FRM, CORE_CPO)
    await stage.backend.push_location(thing("location", core))
    session = driven_by(FRM, thing("session", NEW)) if core == NEW else thing("session", OLD)
    assert (await stage.backend.push_session(session, to=None)).ok
    await settled(stage)
    (put,) = got(hub, "sessions")
    assert route(put) == (CORE_CPO, FRM)
    assert put.body["cdr_token"]["party_id"] == "FRM"
    assert got(stage["second"], "sessions") == []
    again = await stage.backend.authorize("04A1B2C3D4E5F6")
    assert (again.data["allowed"], route(again), route(heard(hub)[-1])) == (
        "ALLOWED",
        (FRM, CORE_CPO),
        (CORE_CPO, FRM),
    )


@EITHER_CORE
async def test_hubs_are_asked_one_after_the_other_check_74(world: Begin, core: str) -> None:
    """In the configured order, until one knows the token; when none does it is unknown."""
    asked = "authorize: {unknown_tokens: [second, big]}"
    stage = await world(BIG, SECOND, backend=operator(core), gateway_yaml=asked)
    stage["big"].keep("tokens", of(BEM, thing("token", NEW)))
    assert (await stage.backend.authorize("04A1B2C3D4E5F6")).data["allowed"] == "ALLOWED"
    assert len(got(stage["second"], "tokens")) == len(got(stage["big"], "tokens")) == 1
    unknown = await stage.backend.authorize("04DEADBEEF")
    assert (unknown.http, unknown.status_code) == (404, 2001 if core == OLD else 2004)
    assert len(got(stage["second"], "tokens")) == len(got(stage["big"], "tokens")) == 2


@EITHER_CORE
@pytest.mark.parametrize("more", [ROUTES, {}], ids=["headers", "no-headers"])
async def test_a_hub_on_2_1_1_is_asked_whose_token_it_is_check_74(
    world: Begin, core: str, more: dict[str, Any]
) -> None:
    """Only a header says whose token it is, else it is the hub's. Sessions go there, and the token may come later."""
    stage = await world(evolve(OLD_EMSPS, **more), backend=operator(core), gateway_yaml=ASK_BIG)
    stage["big"].keep("tokens", thing("token", OLD), BEM)
    answer = await stage.backend.authorize("04A1B2C3D4E5F6")
    assert (answer.http, answer.status_code, answer.data["allowed"]) == (200, 1000, "ALLOWED")
    hub, owner = stage["big"], BEM if more else HUB
    assert route(heard(hub)[-1]) == ((CORE_CPO, NOBODY) if more else (NOBODY, NOBODY))
    assert route(answer) == (owner, CORE_CPO)
    await stage.backend.push_location(thing("location", core))
    # Of this token the core knows the uid at most: it stands in the place of the contract.
    session = thing("session", core) | ({"auth_id": "04A1B2C3D4E5F6"} if core == OLD else {})
    if core == NEW:
        names = ("country_code", "party_id", "uid", "type", "contract_id")
        session["cdr_token"] = {name: answer.data["token"][name] for name in names}
    assert (await stage.backend.push_session(session, to=None)).ok
    await settled(stage)
    (put,) = got(hub, "sessions")
    assert put.body["auth_id"] == "04A1B2C3D4E5F6"
    assert route(put) == ((CORE_CPO, owner) if more else (NOBODY, NOBODY))
    await hub.push_token(thing("token", OLD), owner=owner)
    assert stage.backend.stored.with_id("tokens", "04A1B2C3D4E5F6") == of(owner, thing("token", OLD, core))


# Who can't be had -----------------------------------------------------------------------------------------------------


def start(core: str) -> Json:
    """The fields of a StartSession in the core's version."""
    return {"token": thing("token", core), "location_id": "LOC-7", "evse_uid": "LOC-7-A"}


@EITHER_CORE
async def test_a_party_that_its_hub_calls_offline_isnt_called_check_76_trap_63(world: Begin, core: str) -> None:
    """A command and a read are 4003, 3000 on 2.1.1, and nothing goes out. It is about the party in this role alone."""
    stage = await world(BIG, backend=provider(core))
    hub = stage["big"]
    await hub.push_location(of(BEC, thing("location", NEW)))
    await hub.push_client(BEC, "EMSP", "OFFLINE")
    assert (await stage.backend.command("START_SESSION", **start(core), to=BEC)).data["result"] == "ACCEPTED"
    await hub.push_client(BEC, "CPO", "OFFLINE")
    before = len(heard(hub))
    refused = 3000 if core == OLD else 4003
    for answer in (
        await stage.backend.command("START_SESSION", **start(core), to=BEC),
        await stage.backend.command("START_SESSION", **start(core), to=None),
        await stage.backend.get("locations", "LOC-7", side="SENDER", to=BEC),
        await stage.backend.get("locations", side="SENDER", to=BEC),
    ):
        assert (answer.http, answer.status_code, answer.data) == (200, refused, None)
    assert len(heard(hub)) == before
    assert len(await stage.backend.pull("locations", to=GATEWAY)) == 1
    await hub.push_client(BEC, "CPO", "CONNECTED")
    assert (await stage.backend.get("locations", "LOC-7", side="SENDER", to=BEC)).ok


@EITHER_CORE
@pytest.mark.parametrize("status", ["OFFLINE", "PLANNED", "SUSPENDED"])
async def test_an_emsp_that_its_hub_calls_offline_isnt_asked_check_76(world: Begin, core: str, status: str) -> None:
    """Nothing is known of the token: 4003, on 2.1.1 NOT_ALLOWED. A token that it announced is decided by itself."""
    stage = await world(BIG, backend=operator(core))
    await stage["big"].push_token(of(FRM, thing("token", NEW)) | {"whitelist": "ALLOWED_OFFLINE"})
    await stage["big"].push_client(FRM, "EMSP", status)
    before = len(heard(stage["big"]))
    unknown = await stage.backend.authorize("04DEADBEEF", to=FRM)
    if core == OLD:
        assert (unknown.http, unknown.status_code, unknown.data) == (200, 1000, {"allowed": "NOT_ALLOWED"})
    else:
        assert (unknown.http, unknown.status_code, unknown.data) == (200, 4003, None)
    cached = await stage.backend.authorize("04A1B2C3D4E5F6")
    assert (cached.http, cached.status_code, cached.data["allowed"]) == (200, 1000, "ALLOWED")
    assert len(heard(stage["big"])) == before


@EITHER_CORE
async def test_what_an_offline_party_is_owed_is_brought_when_it_is_back_check_76(
    world: Begin, core: str, impatient: None
) -> None:
    """A session isn't refused because its eMSP is away: nothing is sent before the hub says that it is back."""
    stage = await world(BIG, backend=operator(core))
    hub = stage["big"]
    await hub.push_token(of(FRM, thing("token", NEW)))
    await hub.push_client(FRM, "EMSP", "OFFLINE")
    await stage.backend.push_location(thing("location", core))
    session = driven_by(FRM, thing("session", NEW)) if core == NEW else thing("session", OLD)
    assert (await stage.backend.push_session(session, to=None)).status_code == 1000
    await settled(stage)
    assert [got for got in hub.received if got.module == "sessions"] == []
    await hub.push_client(FRM, "EMSP", "CONNECTED")
    assert (await hub.wait_for("PUT", "sessions")).status_code == 1000


@EITHER_CORE
async def test_a_party_that_no_hub_reaches_is_unknown_check_76(world: Begin, core: str) -> None:
    """4001 without a call where the files say whom hubs reach; else the hub's own 4001. On 2.1.1 2000 and 2003."""
    stage = await world(evolve(BIG, reaches=("BE-BEC",)), backend=provider(core))
    before = len(heard(stage["big"]))
    command = await stage.backend.command("START_SESSION", **start(core), to=FRC)
    assert (command.http, command.status_code) == (200, 2003 if core == OLD else 4001)
    single = await stage.backend.get("locations", "LOC-7", side="SENDER", to=FRC)
    assert (single.http, single.status_code) == (200, 2000 if core == OLD else 4001)
    assert len(heard(stage["big"])) == before


@EITHER_CORE
async def test_a_hub_says_itself_whom_it_doesnt_know_check_76(world: Begin, core: str) -> None:
    """Its 4001 comes back as it is; on 2.1.1 as what that version has."""
    stage = await world(BIG, backend=provider(core))
    answer = await stage.backend.command("START_SESSION", **start(core), to=("IT", "FAR"))
    assert (answer.http, answer.status_code) == (200, 2003 if core == OLD else 4001)
    assert route(heard(stage["big"])[-1]) == (CORE_EMSP, ("IT", "FAR"))


@EITHER_CORE
async def test_a_hub_that_doesnt_answer_in_time_check_76(world: Begin, core: str) -> None:
    """An authorization is 4002, or NOT_ALLOWED on 2.1.1."""
    stage = await world(evolve(BIG, more=FAST), backend=operator(core))
    stage["big"].slow("tokens", "POST", seconds=2)
    answer = await stage.backend.authorize("04DEADBEEF", to=FRM)
    if core == OLD:
        assert (answer.http, answer.status_code, answer.data) == (200, 1000, {"allowed": "NOT_ALLOWED"})
    else:
        assert (answer.http, answer.status_code, answer.data) == (200, 4002, None)


@EITHER_CORE
async def test_a_command_that_a_hub_doesnt_answer_in_time_check_76(
    world: Begin, core: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4002, or 3000 on 2.1.1."""
    monkeypatch.setattr(
        exchange.Exchange.ask, "__kwdefaults__", {**(exchange.Exchange.ask.__kwdefaults__ or {}), "within": 0.2}
    )
    stage = await world(BIG, backend=provider(core))
    stage["big"].slow("commands", "POST", seconds=2)
    answer = await stage.backend.command("START_SESSION", **start(core), to=BEC)
    assert (answer.http, answer.status_code, answer.data) == (200, 3000 if core == OLD else 4002, None)


# Several ways to one party --------------------------------------------------------------------------------------------


def copies(name: str, module: str) -> float:
    """How many objects that came from a partner were copies."""
    return REGISTRY.get_sample_value("ocpi_gateway_copies_total", {"partner": name, "module": module}) or 0.0


@EITHER_CORE
@pytest.mark.parametrize("prefer", ["", "prefer: [NL-TWO]", "prefer: all"])
async def test_objects_that_come_two_ways_are_taken_from_one_check_78(world: Begin, core: str, prefer: str) -> None:
    """The owner's own link, unless the hub's file prefers the hub; what comes the other way is counted, not stored."""
    stage = await world(evolve(BIG, more=prefer), TWO, backend=provider(core))
    first, second = ("big", "two") if prefer else ("two", "big")
    location = owned(thing("location", NEW), "TWO")
    before, heard_of = copies(second, "locations"), len(heard(stage.backend))
    assert (await stage[first].push_location(location)).http == 201
    copy = await stage[second].push_location(location | {"name": "Copy", "last_updated": "2026-04-01T00:00:00Z"})
    assert (copy.http, copy.status_code) == (200, 1000)
    assert len(heard(stage.backend)) == heard_of + 1
    assert [known["name"] for known in await stage.backend.pull("locations", to=GATEWAY)] == [location["name"]]
    assert copies(second, "locations") == before + 1


@EITHER_CORE
@pytest.mark.parametrize("prefer", ["", "prefer: [DE-VLT]", "prefer: all"])
async def test_a_party_that_is_reached_both_ways_gets_everything_once_check_78(
    world: Begin, core: str, prefer: str
) -> None:
    """By its own link or, where its file says so, by the hub: what is for everybody, and what is addressed to it."""
    stage = await world(evolve(BIG, more=prefer), VOLT, backend=operator(core))
    assert (await stage.backend.push_location(thing("location", core), to=GATEWAY)).ok
    assert (await stage.backend.push_tariff(thing("tariff", core), to=("DE", "VLT"))).ok
    await settled(stage)
    assert len(got(stage["big"], "locations")) == 1
    assert len(got(stage["volt"], "locations")) == (0 if prefer else 1)
    assert len(got(stage["big"], "tariffs")) == (1 if prefer else 0)
    assert len(got(stage["volt"], "tariffs")) == (0 if prefer else 1)


async def test_a_party_behind_two_hubs_is_reached_by_the_one_that_has_it(world: Begin) -> None:
    """The hub whose file lists it comes first; of two that reach whomever they say, the one that says so."""
    listed = evolve(SECOND, reaches=("FR-FRM",))
    stage = await world(BIG, listed, backend=operator(NEW))
    await stage.backend.push_location(thing("location", NEW))
    assert (await stage.backend.push_session(driven_by(FRM, thing("session", NEW)), to=FRM)).ok
    assert (await stage.backend.push_session(driven_by(BEM, thing("session", NEW) | {"id": "S-2"}), to=BEM)).ok
    await settled(stage)
    (put,) = got(stage["second"], "sessions")
    assert put.segments[-1] == "S-1001"
    (put,) = got(stage["big"], "sessions")
    assert put.segments[-1] == "S-2"


async def test_a_party_that_one_of_two_hubs_has_lost_goes_by_the_other(world: Begin) -> None:
    """Both reach whomever they say: OFFLINE at one, CONNECTED at the other."""
    stage = await world(BIG, SECOND, backend=operator(NEW))
    await stage["big"].push_client(FRM, "EMSP", "OFFLINE")
    await stage["second"].push_client(FRM, "EMSP", "CONNECTED")
    for name in ("big", "second"):
        stage[name].keep("tokens", of(FRM, thing("token", NEW)))
    assert (await stage.backend.authorize("04A1B2C3D4E5F6", to=FRM)).data["allowed"] == "ALLOWED"
    assert (len(got(stage["big"], "tokens")), len(got(stage["second"], "tokens"))) == (0, 1)


@EITHER_CORE
@pytest.mark.parametrize("prefer", ["", "prefer: all"])
async def test_the_contract_is_followed(world: Begin, core: str, prefer: str) -> None:
    """A session goes to the link from which its token was taken, and the copy of the token changes nothing in that."""
    stage = await world(evolve(BIG, more=prefer), VOLT, backend=operator(core))
    token, copied = of(("DE", "VLT"), thing("token", NEW)), copies("volt" if prefer else "big", "tokens")
    for name in ("big", "volt"):
        assert (await stage[name].push_token(token)).ok
    assert copies("volt" if prefer else "big", "tokens") == copied + 1
    await stage.backend.push_location(thing("location", core))
    session = driven_by(("DE", "VLT"), thing("session", NEW)) if core == NEW else thing("session", OLD)
    assert (await stage.backend.push_session(session, to=None)).ok
    await settled(stage)
    brought = [len(got(stage[name], "sessions")) for name in ("big", "volt")]
    assert brought == ([1, 0] if prefer else [0, 1])


# What names no party --------------------------------------------------------------------------------------------------


@EITHER_CORE
async def test_configuration_modules_name_no_party_check_77_trap_16(world: Begin, core: str) -> None:
    """Versions, credentials and HubClientInfo: asked for and answered without routing headers, and none are needed."""
    stage = await world(evolve(BIG, start="us"), SECOND, backend=operator(core))
    hub = stage["second"]
    answers = [
        await hub.rotate(),
        await hub.get("credentials"),
        await hub.push_client(BEC, "CPO"),
        await hub.get("hubclientinfo", *BEC, side="RECEIVER"),
    ]
    if core == NEW:
        answers.append(await stage.backend.get("hubclientinfo", side="SENDER"))
    assert [(answer.status_code, route(answer)) for answer in answers] == [(1000, (NOBODY, NOBODY))] * len(answers)
    plain = ("versions", "details", "credentials", "hubclientinfo")
    seen = [received for peer in stage.peers for received in peer.received if received.module in plain]
    assert {received.module for received in seen} == {*plain}
    assert {route(received) for received in seen} == {(NOBODY, NOBODY)}
