"""An eMSP that commands has authorized its driver: nobody asks it again, for a while, at that place."""

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
)

from gateway.demo.peers import Exchange, Peer
from gateway.demo.world import World
from gateway.model.party import Party
from gateway.references import References
from gateway.store.redis import Store
from gateway.web.json import CODEC

PLACE = {"location_id": "LOC-7", "evse_uid": "LOC-7-A"}
THERE = {"location_id": "LOC-7", "evse_uids": ["LOC-7-A"]}


def card(name: str, **changes: Any) -> Json:
    """The token of this eMSP's driver, whom nobody may whitelist."""
    token = thing("token", OLD) if name == "acme" else at_volt(thing("token", NEW))
    return token | {"whitelist": "NEVER"} | changes


async def command(asker: Peer, word: str, token: Json, **place: str) -> Exchange:
    """A START_SESSION or RESERVE_NOW for a token."""
    body: Json = {"token": token} | (place or PLACE)
    if word == "RESERVE_NOW":
        later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        body |= {"expiry_date": later, "reservation_id": 7 if asker.who.version == OLD else "R-7"}
    return await asker.command(word, **body)


async def operators_core(world: Begin, core: str) -> World:
    """An operator's core that has told of its locations, and two eMSPs."""
    stage = await world(ACME, VOLT, backend=operator(core))
    await stage.backend.push_location(thing("location", core))
    await stage.backend.push_location(thing("location", core) | {"id": "LOC-9"})
    await settled(stage)
    return stage


def times_asked(peer: Peer) -> int:
    """How often a peer was asked about a token."""
    return sum(received.segments[-1] == "authorize" for received in peer.received if received.module == "tokens")


@EITHER_CORE
@pytest.mark.parametrize("word", ["START_SESSION", "RESERVE_NOW"])
@pytest.mark.parametrize("name", ["acme", "volt"])
@pytest.mark.parametrize("announced", [True, False], ids=["announced", "only-in-the-command"])
async def test_a_commanded_card_charges_without_being_asked_about(
    world: Begin, core: str, word: str, name: str, announced: bool
) -> None:
    """The operator's core accepted the command: the card that it named is allowed there, and its eMSP isn't asked."""
    stage = await operators_core(world, core)
    token = card(name)
    stage[name].keep("tokens", token)
    if announced:
        await stage[name].push_token(token)
    assert (await command(stage[name], word, token)).data["result"] == "ACCEPTED"
    stage[name].decide(token["uid"], "NO_CREDIT")
    answer = await stage.backend.authorize(token["uid"], location=THERE)
    assert (answer.http, answer.status_code, answer.data["allowed"]) == (200, 1000, "ALLOWED")
    assert answer.data["location"] == THERE
    if core == NEW:
        assert answer.data["token"]["uid"] == token["uid"]
        assert answer.data["token"]["contract_id"] == token["auth_id" if name == "acme" else "contract_id"]
    assert times_asked(stage[name]) == 0


async def test_elsewhere_it_is_asked_about(world: Begin) -> None:
    """At another location, another EVSE, or by another operator's question, the eMSP decides as always."""
    stage = await operators_core(world, NEW)
    token = card("volt")
    await stage["volt"].push_token(token)
    await command(stage["volt"], "START_SESSION", token)
    stage["volt"].decide(token["uid"], "NO_CREDIT")
    for place in ({"location_id": "LOC-9"}, {"location_id": "LOC-7", "evse_uids": ["LOC-7-B"]}):
        assert (await stage.backend.authorize(token["uid"], location=place)).data["allowed"] == "NO_CREDIT"
    assert times_asked(stage["volt"]) == 2
    both = {"location_id": "LOC-7", "evse_uids": ["LOC-7-B", "LOC-7-A"]}
    answer = await stage.backend.authorize(token["uid"], location=both)
    assert (answer.data["allowed"], answer.data["location"]) == ("ALLOWED", THERE)
    assert (await stage.backend.authorize(token["uid"])).data["allowed"] == "ALLOWED"
    assert times_asked(stage["volt"]) == 2


async def test_a_command_that_was_refused_authorizes_nobody(world: Begin) -> None:
    """REJECTED by the operator: its card is asked about."""
    stage = await operators_core(world, NEW)
    token = card("volt")
    await stage["volt"].push_token(token)
    stage.backend.answer_command("START_SESSION", "REJECTED")
    await command(stage["volt"], "START_SESSION", token)
    stage["volt"].decide(token["uid"], "NO_CREDIT")
    assert (await stage.backend.authorize(token["uid"], location=THERE)).data["allowed"] == "NO_CREDIT"


@pytest.mark.parametrize("reachable", [True, False], ids=["asked", "out-of-reach"])
async def test_a_card_that_was_blocked_since_is_blocked(world: Begin, reachable: bool) -> None:
    """What its eMSP says after the command counts, whether it can be asked or not."""
    stage = await operators_core(world, NEW)
    token = card("volt", whitelist="ALLOWED")
    await stage["volt"].push_token(token)
    await command(stage["volt"], "START_SESSION", token)
    assert (await stage.backend.authorize(token["uid"], location=THERE)).data["allowed"] == "ALLOWED"
    changes = {"valid": False, "last_updated": "2026-05-01T00:00:00Z"}
    assert (await stage["volt"].patch_token(token["uid"], changes)).ok
    if not reachable:
        await stage["volt"].down()
    assert (await stage.backend.authorize(token["uid"], location=THERE)).data["allowed"] == "BLOCKED"


@EITHER_CORE
@pytest.mark.parametrize("name", ["exa", "two"])
async def test_the_mirror_image_for_an_emsps_core(world: Begin, core: str, name: str) -> None:
    """Our eMSP's core commands an operator, which asks about the token all the same: the core isn't asked."""
    stage = await world(EXA, TWO, backend=provider(core))
    await stage["exa"].push_location(thing("location", OLD))
    await stage["two"].push_location(owned(thing("location", NEW), "TWO") | {"id": "LOC-8"})
    place = PLACE if name == "exa" else PLACE | {"location_id": "LOC-8"}
    token = thing("token", core) | {"whitelist": "NEVER"}
    stage.backend.keep("tokens", token)
    body = {"token": token} | place
    to = ("NL", "EXA" if name == "exa" else "TWO")
    assert (await stage.backend.command("START_SESSION", **body, to=to)).data["result"] == "ACCEPTED"
    stage.backend.decide(token["uid"], "NO_CREDIT")
    where = {"location_id": place["location_id"], "evse_uids": ["LOC-7-A"]}
    answer = await stage[name].authorize(token["uid"], location=where)
    assert (answer.http, answer.data["allowed"], times_asked(stage.backend)) == (200, "ALLOWED", 0)
    other = "two" if name == "exa" else "exa"
    assert (await stage[other].authorize(token["uid"])).data["allowed"] == "NO_CREDIT"
    assert heard(stage.backend)[-1].segments == (token["uid"], "authorize")


@pytest.mark.parametrize(
    ("type", "ends", "counts", "over"),
    [
        ("RFID", None, timedelta(minutes=14), timedelta(minutes=16)),
        ("RFID", timedelta(hours=2), timedelta(minutes=14), timedelta(minutes=16)),
        ("APP_USER", None, timedelta(hours=23), timedelta(hours=25)),
        ("AD_HOC_USER", None, timedelta(hours=23), timedelta(hours=25)),
        ("APP_USER", timedelta(hours=2), timedelta(minutes=130), timedelta(minutes=140)),
    ],
)
async def test_for_how_long_a_command_counts(
    store: Store, type: str, ends: timedelta | None, counts: timedelta, over: timedelta
) -> None:
    """A card for 15 minutes; what only an app has for a session's beginning, or as long as its reservation."""
    lately, cpo, now = References(objects=store, codec=CODEC), Party("NL", "EXA"), datetime.now(UTC)
    token = card("volt", type=type)
    await lately.commanded(
        cpo, token, link="volt", location_id="LOC-7", evse_uid=None, now=now, ends=now + ends if ends else None
    )
    for place in ("LOC-7", "loc-7", None):
        found = await lately.last_command(cpo, token["uid"].lower(), place, now + counts)
        assert found is not None
        assert (found.token, found.link) == (token, "volt")
        assert await lately.last_command(cpo, token["uid"], place, now + over) is None
    assert await lately.last_command(Party("NL", "TWO"), token["uid"], "LOC-7", now) is None
    assert await lately.last_command(cpo, token["uid"], "LOC-8", now) is None


async def test_a_token_that_is_not_valid_is_not_commanded(store: Store) -> None:
    """A command doesn't make valid what says itself that it isn't."""
    lately, cpo, now = References(objects=store, codec=CODEC), Party("NL", "EXA"), datetime.now(UTC)
    token = card("volt", valid=False)
    await lately.commanded(cpo, token, link="volt", location_id="L", evse_uid=None, now=now, ends=None)
    assert await lately.last_command(cpo, token["uid"], "L", now) is None


async def test_a_command_outlives_a_restart(world: Begin) -> None:
    """It lies in Redis: a gateway that starts anew still asks nobody."""
    stage = await operators_core(world, NEW)
    token = card("volt")
    await command(stage["volt"], "START_SESSION", token)
    await stage.restart()
    assert (await stage.backend.authorize(token["uid"], location=THERE)).data["allowed"] == "ALLOWED"
    assert times_asked(stage["volt"]) == 0


async def test_an_app_of_2_1_1_is_other(world: Begin) -> None:
    """An operator on 2.1.1 can't say APP_USER: what it asks of type OTHER is the token that was commanded."""
    stage = await world(evolve(VOLT), backend=operator(OLD))
    await stage.backend.push_location(thing("location", OLD))
    await settled(stage)
    token = card("volt", uid="APP-42", type="APP_USER")
    await command(stage["volt"], "START_SESSION", token)
    answer = await stage.backend.authorize("APP-42", type="OTHER", location=THERE)
    assert (answer.data["allowed"], times_asked(stage["volt"])) == ("ALLOWED", 0)
