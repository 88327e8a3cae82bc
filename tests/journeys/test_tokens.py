"""Tokens, from eMSPs to an operator's core and from an eMSP's core to operators."""

from __future__ import annotations

from scenes import (
    ACME,
    EITHER_CORE,
    EXA,
    NEW,
    OLD,
    TWO,
    VOLT,
    Begin,
    at_volt,
    heard,
    operator,
    provider,
    settled,
    thing,
)

LATER = "2026-01-20T09:30:00Z"


@EITHER_CORE
async def test_tokens_of_emsps_reach_our_core_before_they_are_acknowledged_check_55(world: Begin, core: str) -> None:
    """An eMSP's token is at the core, in the core's version and under its owner, when the eMSP reads 1000."""
    stage = await world(ACME, VOLT, backend=operator(core))
    assert (await stage["acme"].push_token(thing("token", OLD))).http == 201
    got = heard(stage.backend)[-1]
    assert (got.method, got.segments) == ("PUT", ("DE", "ACM", "04A1B2C3D4E5F6"))
    assert got.query == ({"type": "RFID"} if core == NEW else {})
    assert got.body == thing("token", OLD, core)
    assert (await stage["volt"].push_token(at_volt(thing("token", NEW)))).http == 201
    got = heard(stage.backend)[-1]
    assert (got.method, got.segments) == ("PUT", ("DE", "VLT", "04F017BEEF"))
    assert got.body == at_volt(thing("token", NEW, core))


@EITHER_CORE
async def test_a_token_is_blocked_by_a_patch(world: Begin, core: str) -> None:
    """A PATCH that takes a token's validity away reaches the core as one; 2.1.1 names no type in it."""
    stage = await world(ACME, VOLT, backend=operator(core))
    blocked = {"valid": False, "last_updated": LATER}
    await stage["acme"].push_token(thing("token", OLD))
    await stage["volt"].push_token(at_volt(thing("token", NEW)))
    for name, uid in (("acme", "04A1B2C3D4E5F6"), ("volt", "04F017BEEF")):
        assert (await stage[name].patch_token(uid, blocked)).status_code == 1000
        got = heard(stage.backend)[-1]
        assert (got.method, got.segments[2], got.body) == ("PATCH", uid, blocked)
        assert stage.backend.stored.with_id("tokens", uid)["valid"] is False


async def test_a_2_1_1_patch_without_last_updated_gets_one(world: Begin) -> None:
    """2.1.1 asks for no last_updated in a PATCH of a token, 2.2.1 does."""
    stage = await world(ACME, backend=operator(NEW))
    await stage["acme"].push_token(thing("token", OLD))
    body = {"valid": False}
    assert (await stage["acme"].patch("tokens", "DEU", "ACM", "04A1B2C3D4E5F6", body=body)).status_code == 1000
    got = heard(stage.backend)[-1].body
    assert (set(got), got["valid"]) == ({"valid", "last_updated"}, False)
    assert got["last_updated"] > thing("token", OLD)["last_updated"]


@EITHER_CORE
async def test_the_patch_of_a_token_nobody_knows_is_404(world: Begin, core: str) -> None:
    """Nothing to merge it into: the eMSP is told, and sends the whole token."""
    stage = await world(ACME, VOLT, backend=operator(core))
    before = len(heard(stage.backend))
    for peer in (stage["acme"], stage["volt"]):
        body = {"valid": False, "last_updated": LATER}
        assert (await peer.patch("tokens", *peer.party, "04NOBODY", body=body)).http == 404
    assert len(heard(stage.backend)) == before


# From an eMSP's core --------------------------------------------------------------------------------------------------


@EITHER_CORE
async def test_our_token_reaches_operators_of_both_versions(world: Begin, core: str) -> None:
    """A token of ours goes to every operator, in its version, and so does each change of it."""
    stage = await world(EXA, TWO, backend=provider(core))
    assert (await stage.backend.push_token(thing("token", core))).http == 201
    old = await stage["exa"].wait_for("PUT", "tokens")
    assert (old.segments, old.body) == (("DEU", "ACM", "04A1B2C3D4E5F6"), thing("token", core, OLD))
    new = await stage["two"].wait_for("PUT", "tokens")
    assert (new.segments, new.body) == (("DE", "ACM", "04A1B2C3D4E5F6"), thing("token", core, NEW))
    await settled(stage)

    blocked = {"valid": False, "last_updated": LATER}
    assert (await stage.backend.patch_token("04A1B2C3D4E5F6", blocked)).status_code == 1000
    for name in ("exa", "two"):
        assert (await stage[name].wait_for("PATCH", "tokens")).body == blocked


async def test_a_token_for_one_operator_reaches_that_one_alone(world: Begin) -> None:
    """Addressed to one party, a token goes there and to nobody else."""
    stage = await world(EXA, TWO, backend=provider(NEW))
    assert (await stage.backend.push_token(thing("token", NEW), to=("NL", "TWO"))).ok
    await stage["two"].wait_for("PUT", "tokens")
    await settled(stage)
    assert stage["exa"].objects["tokens"] == {}


async def test_an_app_user_is_other_to_2_1_1_and_stays_one_when_it_comes_back_check_56(world: Begin) -> None:
    """2.1.1 knows RFID and OTHER only; sessions and questions about that token still name it as the core does."""
    stage = await world(EXA, TWO, backend=provider(NEW))
    token = thing("token", NEW) | {"type": "APP_USER"}
    assert (await stage.backend.push_token(token)).ok
    assert (await stage["exa"].wait_for("PUT", "tokens")).body["type"] == "OTHER"
    new = await stage["two"].wait_for("PUT", "tokens")
    assert (new.body["type"], new.query["type"]) == ("APP_USER", "APP_USER")
    await stage["exa"].push_location(thing("location", OLD))
    assert (await stage["exa"].push_session(thing("session", OLD))).ok
    assert stage.backend.stored.with_id("sessions", "S-1001")["cdr_token"]["type"] == "APP_USER"
    assert (await stage["exa"].authorize(token["uid"], "OTHER")).data["allowed"] == "ALLOWED"
    assert heard(stage.backend)[-1].query == {"type": "APP_USER"}
