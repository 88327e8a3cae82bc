"""Hubs among the simulated peers: whom they speak for, and what their headers say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from people import NEW, OLD, a_cdr, a_location, a_session, a_tariff, a_token

from gateway.demo.peers import Exchange, Peer, Received, Role

FROM, TO = ("ocpi-from-country-code", "ocpi-from-party-id"), ("ocpi-to-country-code", "ocpi-to-party-id")
HUB, EXA = ("FR", "HUB"), ("NL", "EXA")
BEHIND = (
    Role("CPO", "BE", "BEC", "Belgian Chargers"),
    Role("CPO", "FR", "FRC", "French Chargers"),
    Role("EMSP", "DE", "ACM", "Acme Mobility"),
)


@asynccontextmanager
async def at_a_hub(role: str = "CPO") -> AsyncIterator[tuple[Peer, Peer]]:
    """A hub with three parties behind it, and a platform NL-EXA that registered with it."""
    hub = Peer("hub", NEW, "HUB", *HUB, "The Hub", behind=BEHIND, token_a="by-mail")
    async with hub, Peer("exa", NEW, role, *EXA, "Example") as exa:
        await exa.register(hub.versions_url, "by-mail")
        yield hub, exa


def route(message: Received | Exchange) -> tuple[Any, Any]:
    """The parties in the routing headers: from, to."""
    return tuple(map(message.headers.get, FROM)), tuple(map(message.headers.get, TO))


def of(obj: dict[str, Any], country: str, party: str) -> dict[str, Any]:
    """The object, owned by somebody else."""
    return obj | {"country_code": country, "party_id": party}


async def test_a_hub_says_of_itself_that_it_is_one() -> None:
    """Its credentials have the role HUB alone; it serves both sides of each module, and its list of clients."""
    async with at_a_hub() as (hub, exa):
        assert [(role.role, role.party) for role in exa.counterpart.roles] == [("HUB", HUB)]
        assert exa.counterpart.endpoints.keys() >= {("tokens", "SENDER"), ("tokens", "RECEIVER")}
        assert ("hubclientinfo", "SENDER") in exa.counterpart.endpoints
        assert ("hubclientinfo", "RECEIVER") in hub.counterpart.endpoints
        assert hub.complaints == exa.complaints == []


async def test_a_hub_hands_on_what_is_for_everybody() -> None:
    """FROM is the hub, TO the receiver; URL and body have the owner. What is one driver's comes from its owner."""
    async with at_a_hub("EMSP") as (hub, exa):
        location = of(a_location(NEW, exa), "BE", "BEC")
        answer = await hub.push_location(location)
        assert (route(answer), route(exa.received[-1])) == ((EXA, HUB), (HUB, EXA))
        assert exa.received[-1].segments == ("BE", "BEC", "LOC1")
        assert (await hub.patch_location("LOC1", changes={"name": "Ring", "last_updated": "2026-03-01T11:00:00Z"})).ok
        await hub.push_session(of(a_session(NEW, exa), "FR", "FRC"))
        assert route(exa.received[-1]) == (("FR", "FRC"), EXA)
        await hub.push_cdr(of(a_cdr(NEW, exa), "BE", "BEC"))
        assert route(exa.received[-1]) == (("BE", "BEC"), EXA)
        await hub.push_tariff(of(a_tariff(NEW, exa), "FR", "FRC"), sender=("FR", "FRC"))
        assert route(exa.received[-1]) == (("FR", "FRC"), EXA)
        assert (await hub.delete_tariff("T1")).ok
        assert hub.complaints == exa.complaints == []


async def test_lists_of_a_hub_have_many_owners() -> None:
    """TO the hub lists everybody's objects, TO one party those of that one."""
    async with at_a_hub("EMSP") as (hub, exa):
        for country, party in (("BE", "BEC"), ("FR", "FRC")):
            hub.keep("locations", of(a_location(NEW, exa), country, party))
        assert [location["party_id"] for location in await exa.pull("locations")] == ["BEC", "FRC"]
        assert route(hub.received[-1]) == (EXA, HUB)
        assert [location["party_id"] for location in await exa.pull("locations", to=("FR", "FRC"))] == ["FRC"]
        one = await exa.get("locations", "LOC1", to=("FR", "FRC"))
        assert (one.data["party_id"], route(one)[0]) == ("FRC", ("FR", "FRC"))
        assert hub.complaints == exa.complaints == []
        await exa.get("locations", to=None)
        assert hub.complaints.pop().endswith("a list of a hub's is asked for with the hub in OCPI-to")
        await exa.get("locations", "LOC1", to=HUB)
        assert hub.complaints.pop().endswith("only lists are asked for with the hub in OCPI-to")


async def test_a_hub_finds_the_owner_of_a_token() -> None:
    """An open authorization names no receiver; the answer says whose token it is."""
    async with at_a_hub() as (hub, exa):
        hub.keep("tokens", of(a_token(NEW, exa), "DE", "ACM"))
        answer = await exa.authorize("04AABB")
        assert (answer.data["allowed"], route(answer)) == ("ALLOWED", (("DE", "ACM"), EXA))
        assert route(hub.received[-1]) == (EXA, (None, None))
        assert (await exa.authorize("04AABB", to=("DE", "ACM"))).ok
        assert (await exa.authorize("FFFF")).status_code == 2004
        assert hub.complaints == exa.complaints == []


async def test_a_hub_is_pushed_to() -> None:
    """Addressed to the hub what is for everybody; addressed to a party, or openly, what is one driver's."""
    async with at_a_hub() as (hub, exa):
        assert route(await exa.push_location(a_location(NEW, exa), to=HUB)) == (HUB, EXA)
        assert route(await exa.push_session(a_session(NEW, exa), to=("DE", "ACM"))) == (("DE", "ACM"), EXA)
        assert route(await exa.push_cdr(a_cdr(NEW, exa), to=None)) == (("DE", "ACM"), EXA)
        assert hub.complaints == exa.complaints == []
        await exa.push_session(a_session(NEW, exa), to=HUB)
        assert hub.complaints.pop().endswith("OCPI-to is the hub, but sessions aren't for everybody")
        unknown = await exa.push_session(a_session(NEW, exa), to=("DE", "XXX"))
        assert (unknown.http, unknown.status_code) == (200, 4001)
        cpo = await exa.push_session(a_session(NEW, exa), to=("BE", "BEC"))
        assert cpo.status_code == 4001
        hub.keep_client(("DE", "ACM"), "EMSP", "OFFLINE")
        assert (await exa.push_session(a_session(NEW, exa), to=("DE", "ACM"))).status_code == 4003
        assert hub.complaints == exa.complaints == []


async def test_commands_through_a_hub() -> None:
    """The result comes from the party that was commanded, to the one that commanded; either way round."""
    async with at_a_hub() as (hub, exa):
        exa.keep("sessions", a_session(NEW, exa))
        asked = await hub.command("STOP_SESSION", session_id="S1")
        assert route(exa.received[-1]) == (("DE", "ACM"), EXA)
        assert route(await hub.result_of(asked)) == (EXA, ("DE", "ACM"))
        assert hub.complaints == exa.complaints == []
    async with at_a_hub("EMSP") as (hub, exa):
        hub.keep("locations", of(a_location(NEW, exa), "BE", "BEC"))
        start = await exa.command("START_SESSION", location_id="LOC1", token=a_token(NEW, exa))
        assert (start.data["result"], route(start)) == ("ACCEPTED", (("BE", "BEC"), EXA))
        assert (await exa.result_of(start)).body == {"result": "ACCEPTED"}
        hub.keep("sessions", of(a_session(NEW, exa), "FR", "FRC"))
        stop = await exa.command("STOP_SESSION", session_id="S1")
        assert route(await exa.result_of(stop)) == (("FR", "FRC"), EXA)
        elsewhere = await exa.command("START_SESSION", to=("FR", "FRC"), location_id="LOC1", token=a_token(NEW, exa))
        assert elsewhere.status_code == 2003
        assert hub.complaints == exa.complaints == []


async def test_client_info() -> None:
    """A hub lists whom it reaches, in pages and by time, and tells of changes; nobody names parties in headers."""
    async with at_a_hub() as (hub, exa):
        hub.page_limit = 2
        listed = await exa.pull("hubclientinfo")
        assert [(client["party_id"], client["role"], client["status"]) for client in listed] == [
            ("BEC", "CPO", "CONNECTED"),
            ("FRC", "CPO", "CONNECTED"),
            ("ACM", "EMSP", "CONNECTED"),
        ]
        assert await exa.pull("hubclientinfo", date_from="2100-01-01T00:00:00Z") == []
        assert (await hub.push_client(("BE", "BEC"), "CPO", "OFFLINE")).http == 201
        assert exa.objects["hubclientinfo"]["BE/BEC/CPO"]["status"] == "OFFLINE"
        assert (await hub.push_client(("BE", "BEC"), "EMSP", "PLANNED")).http == 201
        assert (await hub.push_client(("BE", "BEC"), "CPO")).http == 200
        assert (await hub.get("hubclientinfo", "BE", "BEC", side="RECEIVER")).data["status"] == "CONNECTED"
        assert hub.complaints == exa.complaints == []
        wrong = await hub.put("hubclientinfo", "BE", "XXX", body=hub.keep_client(("BE", "BEC"), "CPO"))
        assert wrong.status_code == 2001


async def test_only_hubs_tell_of_clients() -> None:
    """A ClientInfo from a bilateral partner is noticed."""
    cpo = Peer("cpo", NEW, "CPO", *EXA, "Example")
    async with cpo, Peer("emsp", NEW, "EMSP", "DE", "ACM", "Acme", token_a="by-mail") as emsp:
        await cpo.register(emsp.versions_url, "by-mail")
        await cpo.push_client(("BE", "BEC"), "CPO")
        assert emsp.complaints == ["emsp: PUT hubclientinfo/BE/BEC: a ClientInfo, and they are no hub"]


@asynccontextmanager
async def at_an_old_hub(*, headers: bool) -> AsyncIterator[tuple[Peer, Peer]]:
    """A hub on 2.1.1 that registers as a CPO, with two CPOs behind it, and an eMSP that it registered with."""
    hub = Peer("hub", OLD, "CPO", "FR", "HUB", "The Hub", behind=BEHIND[:2], routing_headers=headers)
    exa = Peer("exa", OLD, "EMSP", *EXA, "Example", behind_hub=headers, token_a="by-mail")
    async with hub, exa:
        await hub.register(exa.versions_url, "by-mail")
        yield hub, exa


async def test_a_hub_on_2_1_1() -> None:
    """It registers as a CPO or an eMSP; what its parties own stands under their names in URLs and routing headers."""
    async with at_an_old_hub(headers=True) as (hub, exa):
        location = a_location(OLD, exa)
        assert (await hub.push_location(location, owner=("FR", "FRC"))).http == 201
        assert route(exa.received[-1]) == (("FR", "FRC"), EXA)
        assert exa.objects["locations"] == {"FR/FRC/LOC1": location}
        hub.keep("locations", location, ("BE", "BEC"))
        assert len(await exa.pull("locations")) == 2
        assert len(await exa.pull("locations", to=("BE", "BEC"))) == 1
        assert (await exa.get("locations", to=("BE", "XXX"))).status_code == 2000
        assert hub.complaints == exa.complaints == []


async def test_a_hub_on_2_1_1_without_routing_headers() -> None:
    """Then it is a CPO as any other, and lists what all of its parties own."""
    async with at_an_old_hub(headers=False) as (hub, exa):
        for owner in (("BE", "BEC"), ("FR", "FRC")):
            hub.keep("locations", a_location(OLD, exa), owner)
        assert len(await exa.pull("locations")) == 2
        assert route(hub.received[-1]) == ((None, None), (None, None))
        assert hub.complaints == exa.complaints == []
        await exa.get("locations", to=("BE", "BEC"))
        assert "2.1.1 has no OCPI-from-country-code" in hub.complaints.pop()


def test_what_can_be_no_hub() -> None:
    """HUB is a role of 2.2.1, and of a platform that has no other."""
    with pytest.raises(ValueError, match="has no HUB"):
        Peer("hub", OLD, "HUB", *HUB, "The Hub")
    with pytest.raises(ValueError, match="or is a HUB"):
        Peer("hub", NEW, "HUB", *HUB, "The Hub", also=(Role("CPO", *EXA, "Example"),))
