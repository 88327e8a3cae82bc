"""Who is registered: several of our parties on one link, one platform in two roles, hubs, drafts, links gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from attrs import evolve
from newcomers import (
    ACME,
    BOTH,
    NEW,
    OLD,
    QUIET,
    VOLT,
    offer,
    opens,
    refiled,
    talks_both_ways,
    tariff_of,
    token_of,
    token_to_us,
)
from witness import UNTOLD

from gateway.demo.peers import Role
from gateway.demo.world import Cast, World

Begin = Callable[..., Awaitable[World]]

TWO = evolve(QUIET, also=(Role("CPO", "NL", "TWO", "Two Power"),))
BOTH_SIDES = evolve(QUIET, also=(Role("EMSP", "NL", "EXM", "Example Mobility"),), more=UNTOLD)


@pytest.mark.parametrize("start", ["us", "them"])
@pytest.mark.parametrize("version", [OLD, NEW])
async def test_several_of_our_parties_on_one_link(world: Begin, version: str, start: str) -> None:
    """2.2.1 names them all; 2.1.1 has room for the first, and the URL says whose an object is."""
    ours = "[{role: CPO, country_code: NL, party_id: EXA}, {role: CPO, country_code: NL, party_id: TWO}]"
    cast = ACME if version == OLD else VOLT
    w = await world(evolve(cast, start=start, more=f"our_parties: {ours}"), backend=TWO)
    peer = w[cast.name]
    told = (await peer.get("credentials")).data
    if version == OLD:
        assert told["party_id"] == "EXA"
        peer.counterpart.roles += (Role("CPO", "NL", "TWO", "Two Power"),)  # it was told of the other outside OCPI
    else:
        assert [role["party_id"] for role in told["roles"]] == ["EXA", "TWO"]
    for owner in ("EXA", "TWO"):
        assert (await w.backend.push_tariff(tariff_of(owner), sender=("NL", owner))).ok
        got = await peer.wait_for("PUT", "tariffs", lambda call, owner=owner: call.segments[1] == owner)  # type: ignore[misc]
        assert got.http < 300


@pytest.mark.parametrize("start", ["us", "them"])
async def test_one_registration_for_each_of_our_parties(world: Begin, start: str) -> None:
    """The same partner twice, each time with another of us: each link has its own tokens, and its own objects."""
    casts = [
        evolve(
            ACME, name=f"acme-{owner.lower()}", start=start,
            more=f"our_party: {{role: CPO, country_code: NL, party_id: {owner}}}",
        )
        for owner in ("EXA", "TWO")
    ]  # fmt: skip
    w = await world(*casts, backend=TWO)
    for owner in ("EXA", "TWO"):
        peer = w[f"acme-{owner.lower()}"]
        assert (await peer.get("credentials")).data["party_id"] == owner
        assert (await w.backend.push_tariff(tariff_of(owner), sender=("NL", owner))).ok
        await peer.wait_for("PUT", "tariffs")
    for owner, other in (("EXA", "TWO"), ("TWO", "EXA")):
        heard = [call.segments[1] for call in w[f"acme-{owner.lower()}"].received if call.module == "tariffs"]
        assert heard == [owner], other


async def test_a_platform_in_two_roles_registers_twice_on_2_1_1(world: Begin) -> None:
    """One link as eMSP, one as CPO: the token tells which of them calls, and each has the endpoints of its role."""
    emsp = evolve(ACME, name="acme-emsp", more="our_party: {role: CPO, country_code: NL, party_id: EXA}")
    cpo = evolve(ACME, name="acme-cpo", role="CPO", more="our_party: {role: EMSP, country_code: NL, party_id: EXM}")
    w = await world(emsp, cpo, backend=BOTH_SIDES)
    for name, segment in (("acme-emsp", "cpo"), ("acme-cpo", "emsp")):
        peer = w[name]
        urls = [url for (module, _), url in peer.counterpart.endpoints.items() if module != "credentials"]
        assert urls
        assert all(f"/ocpi/2.1.1/{segment}/" in url for url in urls)
    await talks_both_ways(w, w["acme-emsp"])
    assert (await w["acme-cpo"].push_tariff({**tariff_without_owner(), "id": "THEIRS"})).ok
    assert (await w.backend.wait_for("PUT", "tariffs")).segments == ("DE", "ACM", "THEIRS")


def tariff_without_owner() -> dict[str, object]:
    """As 2.1.1 has it: the URL says whose it is."""
    return {name: value for name, value in tariff_of().items() if name not in ("country_code", "party_id")}


async def test_a_partner_may_claim_fewer_roles(world: Begin) -> None:
    """The file gives it two parties, its credentials have one: registered, and the file goes on to count."""
    w = await world(evolve(VOLT, also=(Role("EMSP", "DE", "SUB", "Sub Brand"),)), register=False, backend=QUIET)
    volt = w["volt"]
    volt.who.roles = volt.who.roles[:1]
    await volt.register(w.versions_url, "volt-token-a")
    await w.registered("volt")
    seats = [str(seat.party) for seat in w.gateway.links.directory["volt"].dialect.theirs]
    assert seats == ["DE-VLT", "DE-SUB"]


@pytest.mark.parametrize("lists", ["itself", "whom it reaches", "a stranger", "one of us"])
async def test_what_a_hub_may_say_of_itself(world: Begin, lists: str) -> None:
    """Its own role, and whom it reaches by its file; nobody else."""
    hub = Cast(
        name="hub", role="HUB", party="HUB", kind="hub", reaches=("DE-ACM",),
        behind=(Role("EMSP", "DE", "ACM", "Acme Mobility"),),
    )  # fmt: skip
    w = await world(hub, register=False, backend=QUIET)
    peer = w["hub"]
    extra = {
        "itself": [],
        "whom it reaches": [("EMSP", "DE", "ACM")],
        "a stranger": [("EMSP", "DE", "EVL")],
        "one of us": [("CPO", "NL", "EXA")],
    }[lists]
    peer.handshake.keys.accept("token-b")
    body = peer.handshake.credentials("token-b")
    body["roles"] += [
        {"role": role, "country_code": country, "party_id": party, "business_details": {"name": party}}
        for role, country, party in extra
    ]
    answer = await offer(peer, w, "POST", NEW, "hub-token-a", body)
    welcome = lists in ("itself", "whom it reaches")
    assert answer.status_code == (1000 if welcome else 2001)
    assert w.gateway.links.directory["hub"].registered == welcome


@pytest.mark.parametrize("start", ["them", "us", "none", "adopted"])
@BOTH
async def test_a_draft_opens_no_door_and_calls_nobody(world: Begin, cast: Cast, start: str) -> None:
    """Its tokens are a stranger's, those of the file and those that were exchanged while it was in use."""
    w = await world(evolve(cast, start=start, more="stage: live"), backend=QUIET)
    peer, token = w[cast.name], token_to_us(w[cast.name])
    assert await opens(peer, w, token) == (200, 1000)
    heard = len(peer.received)
    await refiled(w, cast.name, ("stage: live", "stage: draft"))
    for known in (token, f"{cast.name}-token-a", f"{cast.name}-token-to-us"):
        assert await opens(peer, w, known) == (401, 2001)
    assert (await w.backend.push_tariff(tariff_of())).ok
    assert peer.received[heard:] == []


async def test_a_link_whose_file_is_gone_is_a_stranger(world: Begin) -> None:
    """Its token still lies in Redis, and opens nothing."""
    w = await world(VOLT, ACME, backend=QUIET)
    volt, token = w["volt"], token_to_us(w["volt"])
    (w.folder / "config" / "partners" / "volt.yaml").unlink()
    await refiled(w, "acme")
    assert await opens(volt, w, token) == (401, 2001)
    acme = w["acme"]
    assert (await acme.push_token(token_of(acme))).ok
