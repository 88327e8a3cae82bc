"""Who is on which side: several backends, several parties on one link, and the seats of operator and eMSP exchanged."""

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
    Json,
    at_volt,
    heard,
    owned,
    provider,
    settled,
    thing,
)
from witness import outcome

from gateway.demo.peers import Peer, Role
from gateway.demo.world import Cast, World

LATER = "2026-03-05T09:00:00Z"
GRID = Cast(name="grid", version=OLD, role="CPO", country="BEL", party="GRD", business="Grid")
FLUX = Cast(name="flux", version=NEW, role="CPO", country="BE", party="FLX", business="Flux", start="us")


def core(name: str, version: str, role: str, party: str) -> Cast:
    """A backend of ours."""
    return Cast(name=name, version=version, role=role, country="NL", party=party, business=f"Our {party}", start="none")


def got(peer: Peer, *modules: str) -> list[tuple[str, str]]:
    """Method and module of what a peer was sent in these modules (all, if none is named), in order."""
    wanted = modules or ("locations", "tariffs", "sessions", "cdrs", "tokens", "commands")
    return [(each.method, each.module) for each in heard(peer) if each.module in wanted]


def of(party: str, obj: Json, country: str = "NL") -> Json:
    """An object of that party, where its version says whose it is."""
    return obj | {"country_code": country, "party_id": party} if "party_id" in obj else obj


def of_token(obj: Json, token: Json) -> Json:
    """A session or CDR of another driver."""
    told = {name: token[name] for name in ("country_code", "party_id", "uid", "type", "contract_id")}
    return obj | {"cdr_token": told}


# An operator's core and an eMSP's -------------------------------------------------------------------------------------


async def two_cores(world: Begin, *partners: Cast, emsp: str = NEW) -> World:
    return await world(
        *partners,
        backends=(core("power", NEW, "CPO", "EXA"), core("drive", emsp, "EMSP", "OUR")),
    )


@pytest.mark.parametrize("emsp", [OLD, NEW], ids=["emsp-core-on-2.1.1", "emsp-core-on-2.2.1"])
async def test_each_message_reaches_the_core_that_holds_party_and_role(world: Begin, emsp: str) -> None:
    """Tokens of eMSPs go to the operator's core, locations and tariffs of operators to the eMSP's."""
    stage = await two_cores(world, ACME, VOLT, GRID, FLUX, emsp=emsp)
    power, drive = stage.backends["power"], stage.backends["drive"]
    assert (await stage["acme"].push_token(thing("token", OLD))).ok
    assert (await stage["volt"].push_token(at_volt(thing("token", NEW)))).ok
    assert (got(power), got(drive)) == ([("PUT", "tokens")] * 2, [])
    assert (await stage["grid"].push_location(thing("location", OLD))).ok
    assert (await stage["flux"].push_location(of("FLX", thing("location", NEW), "BE"))).ok
    assert (await stage["flux"].push_tariff(of("FLX", thing("tariff", NEW), "BE"))).ok
    assert (len(got(power)), got(drive)) == (2, [("PUT", "locations")] * 2 + [("PUT", "tariffs")])


async def test_a_platform_with_both_roles_meets_both_cores(world: Begin) -> None:
    """A partner that is CPO and eMSP: each of its messages goes to the core that sits opposite."""
    both = evolve(VOLT, also=(Role("CPO", "DE", "VLC", "Volt Charging"),))
    both = evolve(both, more="our_parties: [{role: CPO, country_code: NL, party_id: EXA},"
                             " {role: EMSP, country_code: NL, party_id: OUR}]")  # fmt: skip
    stage = await two_cores(world, both)
    power, drive = stage.backends["power"], stage.backends["drive"]
    volt = stage["volt"]
    assert (await volt.push_token(at_volt(thing("token", NEW)), sender=("DE", "VLT"), to=("NL", "EXA"))).ok
    location = of("VLC", thing("location", NEW), "DE")
    assert (await volt.push_location(location, sender=("DE", "VLC"), to=("NL", "OUR"))).ok
    assert (got(power), got(drive)) == ([("PUT", "tokens")], [("PUT", "locations")])
    assert (await power.push_location(thing("location", NEW))).ok
    assert (await drive.push_token(of("OUR", thing("token", NEW)))).ok
    await settled(stage)
    assert sorted(got(volt, "locations", "tokens")) == [("PUT", "locations"), ("PUT", "tokens")]


async def test_what_one_core_says_never_reaches_the_other(world: Begin) -> None:
    """Both broadcast, both address: partners get it, the other core doesn't, nor may it be asked."""
    stage = await two_cores(world, ACME, FLUX)
    power, drive = stage.backends["power"], stage.backends["drive"]
    assert (await power.push_location(thing("location", NEW))).ok
    assert (await power.push_tariff(thing("tariff", NEW))).ok
    assert (await drive.push_token(of("OUR", thing("token", NEW)))).ok
    await settled(stage)
    assert sorted(got(stage["acme"], "locations", "tariffs")) == [("PUT", "locations"), ("PUT", "tariffs")]
    assert got(stage["flux"], "tokens") == [("PUT", "tokens")]
    assert (await power.push_location(thing("location", NEW), to=("NL", "OUR"))).status_code == 4001
    assert (await drive.push_token(of("OUR", thing("token", NEW)), to=("NL", "EXA"))).status_code == 4001
    assert (await drive.get("locations", side="SENDER", to=("NL", "EXA"))).status_code == 4001
    assert (got(power), got(drive)) == ([], [])
    assert await drive.pull("locations", to=("NL", "GWY")) == []


async def test_two_operators_cores_share_their_partners(world: Begin) -> None:
    """Two CPO cores: what a partner addresses goes to the one meant, sessions come from both, commands find them."""
    ours = "our_parties: [{role: CPO, country_code: NL, party_id: EXA}, {role: CPO, country_code: NL, party_id: SUN}]"
    stage = await world(
        evolve(VOLT, more=ours), backends=(core("one", NEW, "CPO", "EXA"), core("sun", NEW, "CPO", "SUN"))
    )
    one, sun, volt = stage.backends["one"], stage.backends["sun"], stage["volt"]
    token = at_volt(thing("token", NEW))
    for party in ("EXA", "SUN"):
        assert (await volt.push_token(token, to=("NL", party))).ok
    assert (got(one), got(sun)) == ([("PUT", "tokens")], [("PUT", "tokens")])
    await one.push_location(thing("location", NEW))
    await sun.push_location(of("SUN", {**thing("location", NEW), "id": "SUN-1"}))
    for peer, party, prefix in ((one, "EXA", "E"), (sun, "SUN", "S")):
        session = {**of_token(of(party, thing("session", NEW)), token), "id": f"{prefix}-1"}
        session["location_id"] = "LOC-7" if party == "EXA" else "SUN-1"
        assert (await peer.push_session(session, to=None)).ok
    await settled(stage)
    assert sorted(volt.objects["locations"]) == ["NL/EXA/LOC-7", "NL/SUN/SUN-1"]
    assert sorted(volt.objects["sessions"]) == ["NL/EXA/E-1", "NL/SUN/S-1"]
    for party, id in (("EXA", "LOC-7"), ("SUN", "SUN-1")):
        asked = await volt.command("START_SESSION", token=token, location_id=id, to=("NL", party))
        assert (asked.status_code, asked.data["result"]) == (1000, "ACCEPTED")
    wrong = await volt.command("START_SESSION", token=token, location_id="LOC-7", to=("NL", "SUN"))
    assert wrong.status_code == 2003
    assert [each.body["location_id"] for each in heard(one) if each.module == "commands"] == ["LOC-7"]
    assert [each.body["location_id"] for each in heard(sun) if each.module == "commands"] == ["SUN-1"]


async def test_each_core_is_told_who_is_there(world: Begin) -> None:
    """HubClientInfo goes to every core, and either may list it."""
    stage = await two_cores(world, ACME, FLUX)
    for peer in stage.backends.values():
        await peer.wait_for("PUT", "hubclientinfo", lambda info: info.body["party_id"] == "FLX")
        listed = await peer.pull("hubclientinfo")
        assert {client["party_id"] for client in listed} >= {"ACM", "FLX"}


# Several of ours on one link ------------------------------------------------------------------------------------------


def agreed(peer: Peer, role: Role) -> None:
    """Credentials of 2.1.1 name one party: that there is another on the link its operator was told otherwise."""
    peer.counterpart.roles = (*peer.counterpart.roles, role)


async def test_several_of_our_operators_on_a_link_without_headers(world: Begin) -> None:
    """2.1.1 says whose it is by the URL alone: pushes name each owner, a list holds what all of them have."""
    backend = Cast(
        name="backend", version=NEW, role="CPO", country="NL", party="EXA", business="Example Charging", start="none",
        also=(Role("CPO", "NL", "SUN", "Sunny Charging"),),
    )  # fmt: skip
    ours = "our_parties: [{role: CPO, country_code: NL, party_id: EXA}, {role: CPO, country_code: NL, party_id: SUN}]"
    stage = await world(evolve(ACME, more=ours), backend=backend)
    acme = stage["acme"]
    agreed(acme, Role("CPO", "NLD", "SUN", "Sunny Charging"))
    for party, id in (("EXA", "LOC-7"), ("SUN", "SUN-1")):
        location = of(party, {**thing("location", NEW), "id": id})
        assert (await stage.backend.push_location(location, owner=("NL", party), sender=("NL", party))).ok
        tariff = of(party, {**thing("tariff", NEW), "id": f"T-{party}"})
        assert (await stage.backend.push_tariff(tariff, owner=("NL", party), sender=("NL", party))).ok
    await settled(stage)
    assert sorted(acme.objects["locations"]) == ["NLD/EXA/LOC-7", "NLD/SUN/SUN-1"]
    assert sorted(acme.objects["tariffs"]) == ["NLD/EXA/T-EXA", "NLD/SUN/T-SUN"]
    assert sorted(location["id"] for location in await acme.pull("locations")) == ["LOC-7", "SUN-1"]
    for id in ("LOC-7", "SUN-1"):
        assert outcome(await acme.get("locations", id, side="SENDER")) == (200, 1000)
    token = thing("token", OLD)
    for id, party in (("LOC-7", "EXA"), ("SUN-1", "SUN")):
        asked = await acme.command("START_SESSION", token=token, location_id=id)
        assert (asked.status_code, asked.data["result"]) == (1000, "ACCEPTED")
        assert heard(stage.backend)[-1].headers["ocpi-to-party-id"] == party


async def test_a_location_that_several_of_us_have_cant_be_commanded_without_headers(world: Begin) -> None:
    """2.1.1 can't say whose location it means: 2003, unless only one of us shows it one of that id."""
    backend = Cast(
        name="backend", version=NEW, role="CPO", country="NL", party="EXA", business="Example Charging", start="none",
        also=(Role("CPO", "NL", "SUN", "Sunny Charging"),),
    )  # fmt: skip
    ours = "our_parties: [{role: CPO, country_code: NL, party_id: EXA}, {role: CPO, country_code: NL, party_id: SUN}]"
    stage = await world(evolve(ACME, more=ours), backend=backend)
    acme = stage["acme"]
    agreed(acme, Role("CPO", "NLD", "SUN", "Sunny Charging"))
    call = {"owner": ("NL", "SUN"), "sender": ("NL", "SUN")}
    both, own = of("SUN", thing("location", NEW)), of("SUN", {**thing("location", NEW), "id": "SUN-1"})
    assert (await stage.backend.push_location(thing("location", NEW))).ok
    assert (await stage.backend.push_location(both, **call)).ok
    assert (await stage.backend.push_location(own, **call, to=("DE", "ACM"))).ok
    await settled(stage)
    unclear = await acme.command("START_SESSION", token=thing("token", OLD), location_id="LOC-7")
    assert outcome(unclear) == (200, 2003)
    assert got(stage.backend, "commands") == []
    clear = await acme.command("START_SESSION", token=thing("token", OLD), location_id="SUN-1")
    assert (clear.status_code, clear.data["result"]) == (1000, "ACCEPTED")
    assert heard(stage.backend)[-1].headers["ocpi-to-party-id"] == "SUN"


async def test_what_changes_is_told_to_each_of_us_that_is_addressed(world: Begin) -> None:
    """An operator tells two eMSPs of ours one after the other: that the first knows by now is no news to the second."""
    ours = "our_parties: [{role: EMSP, country_code: NL, party_id: ONE}, {role: EMSP, country_code: NL, party_id: SUN}]"
    stage = await world(
        evolve(FLUX, more=ours), backends=(core("one", NEW, "EMSP", "ONE"), core("sun", NEW, "EMSP", "SUN"))
    )
    flux = stage["flux"]
    location, tariff = (of("FLX", thing(kind, NEW), "BE") for kind in ("location", "tariff"))
    change = {"status": "OUTOFORDER", "last_updated": LATER}
    for party in ("ONE", "SUN"):
        assert (await flux.push_location(location, to=("NL", party))).ok
        assert (await flux.push_tariff(tariff, to=("NL", party))).ok
    for party in ("ONE", "SUN"):
        flux.keep("tariffs", tariff)
        assert (await flux.patch_location("LOC-7", "LOC-7-A", changes=change, to=("NL", party))).ok
        assert (await flux.delete_tariff("T-DAY", to=("NL", party))).ok
    for peer in stage.backends.values():
        (kept,) = peer.objects["locations"].values()
        assert kept["evses"][0]["status"] == "OUTOFORDER"
        assert peer.objects["tariffs"] == {}


async def test_several_of_our_emsps_on_a_link_without_headers(world: Begin) -> None:
    """Sessions and CDRs of a 2.1.1 operator go to the one of us whose token it is; the operator has all tokens."""
    backend = Cast(
        name="backend", version=NEW, role="EMSP", country="DE", party="ACM", business="Acme Mobility", start="none",
        also=(Role("EMSP", "DE", "VLT", "Volt Drive"),),
    )  # fmt: skip
    ours = "our_parties: [{role: EMSP, country_code: DE, party_id: ACM}, {role: EMSP, country_code: DE, party_id: VLT}]"
    stage = await world(evolve(EXA, more=ours), backend=backend)
    agreed(stage["exa"], Role("EMSP", "DEU", "VLT", "Volt Drive"))
    for party, token in (("ACM", thing("token", NEW)), ("VLT", at_volt(thing("token", NEW)))):
        assert (await stage.backend.push_token(token, owner=("DE", party), sender=("DE", party))).ok
    await settled(stage)
    assert {key.rpartition("/")[0] for key in stage["exa"].objects["tokens"]} == {"DEU/ACM", "DEU/VLT"}
    assert len(await stage["exa"].pull("tokens")) == 2
    assert (await stage["exa"].push_location(thing("location", OLD))).ok
    for party, session, cdr in (
        ("ACM", thing("session", OLD), thing("cdr", OLD)),
        ("VLT", at_volt(thing("session", OLD)), at_volt(thing("cdr", OLD))),
    ):
        assert (await stage["exa"].push_session({**session, "id": f"S-{party}"})).ok
        assert heard(stage.backend)[-1].headers["ocpi-to-party-id"] == party
        assert (await stage["exa"].push_cdr({**cdr, "id": f"C-{party}"})).ok
        assert heard(stage.backend)[-1].headers["ocpi-to-party-id"] == party


# The mirror image -----------------------------------------------------------------------------------------------------


@EITHER_CORE
async def test_an_emsps_gateway(world: Begin, core: str) -> None:
    """Tokens to every operator, their locations and tariffs up, commands to the owner, sessions and CDRs home."""
    stage = await world(EXA, TWO, backend=provider(core))
    token = thing("token", core)
    assert (await stage.backend.push_token(token)).ok
    await settled(stage)
    for name, version in (("exa", OLD), ("two", NEW)):
        peer = stage[name]
        party = peer.party[1]
        assert [each["uid"] for each in peer.objects["tokens"].values()] == [token["uid"]]
        assert [each["uid"] for each in await peer.pull("tokens")] == [token["uid"]]
        place, session = f"LOC-{name}", f"S-{name}"
        assert (await peer.push_location(owned({**thing("location", version), "id": place}, party))).ok
        assert (await peer.push_tariff(owned(thing("tariff", version), party))).ok
        asked = await stage.backend.command("START_SESSION", token=token, location_id=place, to=None)
        assert (asked.status_code, asked.data["result"]) == (1000, "ACCEPTED")
        assert (await stage.backend.result_of(asked)).body["result"] == "ACCEPTED"
        assert [each.body["location_id"] for each in heard(peer) if each.module == "commands"] == [place]
        body = owned({**thing("session", version), "id": session}, party)
        if version == NEW:
            body["location_id"] = place
        else:
            body["location"] = {**body["location"], "id": place}
        assert (await peer.push_session(body)).ok
        stopped = await stage.backend.command("STOP_SESSION", session_id=session, to=None)
        assert (stopped.status_code, stopped.data["result"]) == (1000, "ACCEPTED")
        assert (await peer.push_cdr(owned({**thing("cdr", version), "id": f"C-{name}"}, party))).ok
    assert {key.split("/")[1] for key in stage.backend.objects["locations"]} == {"EXA", "TWO"}
    assert {key.split("/")[1] for key in stage.backend.objects["tariffs"]} == {"EXA", "TWO"}
    assert [each.body["id"] for each in heard(stage.backend) if each.module == "cdrs"] == ["C-exa", "C-two"]


@EITHER_CORE
async def test_a_location_that_two_operators_have_must_be_addressed(world: Begin, core: str) -> None:
    """Ids are unique for their owner only: unaddressed it could be either, which is 2003."""
    stage = await world(EXA, TWO, backend=provider(core))
    token = thing("token", core)
    await stage["exa"].push_location(thing("location", OLD))
    await stage["two"].push_location(owned(thing("location", NEW), "TWO"))
    unclear = await stage.backend.command("START_SESSION", token=token, location_id="LOC-7", to=None)
    assert (outcome(unclear), "address" in unclear.message) == ((200, 2003), True)
    for name in ("exa", "two"):
        clear = await stage.backend.command(
            "START_SESSION", token=token, location_id="LOC-7", to=("NL", stage[name].party[1])
        )
        assert (clear.status_code, clear.data["result"]) == (1000, "ACCEPTED")
        assert got(stage[name], "commands") == [("POST", "commands")]
