"""What eMSPs say of their tokens, by whatever way, and what is told of each decision."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve
from prometheus_client import REGISTRY
from scenes import ACME, EITHER_CORE, EXA, NEW, OLD, TWO, VOLT, Begin, Json, at_volt, heard, operator, provider, thing
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from gateway.demo.world import CORE
from gateway.references import is_minted

UID = "04F017BEEF"


def card(**changes: Any) -> Json:
    return at_volt(thing("token", NEW)) | changes


# What is cached -------------------------------------------------------------------------------------------------------


@EITHER_CORE
async def test_a_revoked_card_is_not_revived_by_an_older_push(world: Begin, core: str) -> None:
    """A PUT or PATCH that is older than the revocation is acknowledged, and changes nothing."""
    stage = await world(VOLT, backend=operator(core))
    await stage["volt"].push_token(card(whitelist="ALWAYS", last_updated="2026-02-01T00:00:00Z"))
    revoked = {"valid": False, "last_updated": "2026-02-03T00:00:00Z"}
    assert (await stage["volt"].patch_token(UID, revoked)).ok
    assert (await stage["volt"].push_token(card(whitelist="ALWAYS", last_updated="2026-02-02T00:00:00Z"))).ok
    assert (await stage["volt"].patch_token(UID, {"valid": True, "last_updated": "2026-02-02T12:00:00Z"})).ok
    assert (await stage.backend.authorize(UID)).data["allowed"] == "BLOCKED"
    assert stage.backend.stored.with_id("tokens", UID)["valid"] is False


async def test_a_newer_card_in_an_answer_counts(world: Begin) -> None:
    """The eMSP blocked a card and told nobody; its next answer embeds the card as it is now."""
    stage = await world(VOLT, backend=operator(NEW))
    await stage["volt"].push_token(card(whitelist="ALLOWED", last_updated="2026-02-01T00:00:00Z"))
    stage["volt"].keep("tokens", card(whitelist="ALLOWED", valid=False, last_updated="2026-02-02T00:00:00Z"))
    assert (await stage.backend.authorize(UID)).data["allowed"] == "BLOCKED"
    await stage["volt"].down()
    assert (await stage.backend.authorize(UID)).data["allowed"] == "BLOCKED"


async def test_an_older_card_in_an_answer_does_not(world: Begin) -> None:
    """What the eMSP pushed last is newer than what it embeds: the answer counts, and the cache stays."""
    stage = await world(VOLT, backend=operator(NEW))
    await stage["volt"].push_token(card(whitelist="ALLOWED", valid=False, last_updated="2026-02-02T00:00:00Z"))
    stage["volt"].keep("tokens", card(whitelist="ALLOWED", last_updated="2026-02-01T00:00:00Z"))
    assert (await stage.backend.authorize(UID)).data["allowed"] == "ALLOWED"
    await stage["volt"].down()
    assert (await stage.backend.authorize(UID)).data["allowed"] == "BLOCKED"


async def test_a_card_is_learned_from_the_first_answer(world: Begin) -> None:
    """Nobody announced it; asked by its eMSP's name it is known from then on, to the question without a name, too."""
    stage = await world(VOLT, backend=operator(NEW))
    stage["volt"].keep("tokens", card(whitelist="ALLOWED_OFFLINE"))
    assert (await stage.backend.authorize(UID)).status_code == 2004
    assert (await stage.backend.authorize(UID, to=("DE", "VLT"))).data["allowed"] == "ALLOWED"
    await stage["volt"].down()
    assert (await stage.backend.authorize(UID)).data["allowed"] == "ALLOWED"


@EITHER_CORE
async def test_a_core_that_wants_no_tokens_gets_none(world: Begin, core: str) -> None:
    """``tokens: off`` on the backend: they are cached all the same, and none is pushed there."""
    stage = await world(ACME, VOLT, backend=evolve(CORE, version=core, more="modules: {tokens: off}"))
    assert (await stage["volt"].push_token(card())).ok
    assert (await stage["acme"].push_token(thing("token", OLD))).ok
    assert [got for got in heard(stage.backend) if got.module == "tokens"] == []
    for uid, owner in ((UID, "DE-VLT"), ("04A1B2C3D4E5F6", "DE-ACM")):
        (name,) = await stage.gateway.store.tokens_by_uid(uid)
        assert str(name.owner) == owner


# What is told ---------------------------------------------------------------------------------------------------------


def counted(**labels: str) -> float:
    return REGISTRY.get_sample_value("ocpi_gateway_authorizations_total", {"partner": "backend", **labels}) or 0.0


async def test_the_reason_is_on_the_line_and_counted(world: Begin) -> None:
    """One line for each question: what was said, why, and whether the eMSP was out of reach; never whose card it is."""
    stage = await world(VOLT, backend=operator(NEW))
    for uid, whitelist in (("04AAAA", "ALWAYS"), ("04BBBB", "ALLOWED_OFFLINE"), ("04CCCC", "NEVER")):
        await stage["volt"].push_token(card(uid=uid, whitelist=whitelist))
    expected = [
        ("04AAAA", True, "ALLOWED", "cache", "always", "whitelist ALWAYS", False),
        ("04BBBB", True, "ALLOWED", "emsp", "asked", "its eMSP says so", False),
        ("04BBBB", False, "ALLOWED", "cache", "no_answer", "no answer, whitelist ALLOWED_OFFLINE", True),
        ("04CCCC", False, "NOT_ALLOWED", "cache", "no_answer", "no answer, whitelist NEVER", True),
        ("04DDDD", False, "unknown", "nobody", "unknown", "unknown token", False),
    ]
    for uid, reachable, allowed, by, ground, reason, offline in expected:
        await (stage["volt"].up() if reachable else stage["volt"].down())
        before = counted(allowed=allowed, by=by, reason=ground)
        with capture_logs(processors=[merge_contextvars]) as lines:
            await stage.backend.authorize(uid)
        (line,) = (line for line in lines if line["event"] in ("message.handled", "message.refused"))
        assert (line["allowed"], line["decision"], line["offline"]) == (allowed, reason, offline)
        assert counted(allowed=allowed, by=by, reason=ground) == before + 1
        assert uid not in str({name: value for name, value in line.items() if name != "reason"})


# References -----------------------------------------------------------------------------------------------------------

MINT = "quirks: {authorization_reference.mint: true}"


def just_now(version: str, **fields: Any) -> Json:
    """A session that has just begun."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    session = thing("session", version) | {"status": "ACTIVE", "last_updated": now} | fields
    for name in ("end_datetime", "end_date_time", "authorization_reference"):
        session.pop(name, None)
    return session | {"start_datetime" if version == OLD else "start_date_time": now}


@pytest.mark.parametrize("on", ["backend", "acme"])
async def test_a_reference_is_made_up_where_the_emsp_gives_none(world: Begin, on: str) -> None:
    """A core on 2.2.1 reads a reference that acme on 2.1.1 can't give; acme never sees it on a session."""
    acme = evolve(ACME, more=MINT if on == "acme" else "")
    stage = await world(acme, backend=evolve(operator(NEW), more=MINT if on == "backend" else ""))
    await stage["acme"].push_token(thing("token", OLD))
    await stage.backend.push_location(thing("location", NEW))
    answers = [await stage.backend.authorize("04A1B2C3D4E5F6") for _ in range(2)]
    await stage["acme"].down()
    answers.append(await stage.backend.authorize("04A1B2C3D4E5F6"))
    references = {answer.data["authorization_reference"] for answer in answers}
    assert len(references) == 3
    assert all(map(is_minted, references))
    await stage["acme"].up()
    session = just_now(NEW) | {"authorization_reference": references.pop()}
    assert (await stage.backend.push_session(session)).ok
    got = await stage["acme"].wait_for("PUT", "sessions")
    assert "gw-" not in str(got.body)


async def test_what_was_made_up_is_taken_off_again(world: Begin) -> None:
    """An eMSP on 2.2.1 that gave no reference gets none back: not on the session, its change, nor the CDR."""
    stage = await world(evolve(VOLT, more=MINT), backend=operator(NEW))
    await stage["volt"].push_token(card(whitelist="ALWAYS"))
    await stage.backend.push_location(thing("location", NEW))
    made_up = (await stage.backend.authorize(UID)).data["authorization_reference"]
    assert is_minted(made_up)
    session = at_volt(just_now(NEW)) | {"authorization_reference": made_up}
    await stage.backend.push_session(session)
    assert "authorization_reference" not in (await stage["volt"].wait_for("PUT", "sessions")).body
    changes = {"kwh": 1.5, "authorization_reference": made_up, "last_updated": "2030-01-01T00:00:00Z"}
    await stage.backend.patch_session(session["id"], changes)
    got = await stage["volt"].wait_for("PATCH", "sessions")
    assert (got.body["kwh"], got.body.get("authorization_reference")) == (1.5, None)
    cdr = at_volt(thing("cdr", NEW)) | {"authorization_reference": made_up, "session_id": session["id"]}
    await stage.backend.push_cdr(cdr)
    assert "authorization_reference" not in (await stage["volt"].wait_for("POST", "cdrs")).body


async def test_a_command_gets_a_made_up_reference(world: Begin) -> None:
    """A START_SESSION of acme's on 2.1.1 reaches a core that wants a reference with one."""
    stage = await world(ACME, backend=evolve(operator(NEW), more=MINT))
    await stage.backend.push_location(thing("location", NEW))
    await stage["acme"].command("START_SESSION", token=thing("token", OLD), location_id="LOC-7")
    got = await stage.backend.wait_for("POST", "commands")
    assert is_minted(got.body["authorization_reference"])


async def test_a_reference_comes_back_to_the_core_over_a_restart_check_62(world: Begin) -> None:
    """The mirror image: an eMSP's core gave it, an operator on 2.1.1 can't say it, and the gateway was restarted."""
    stage = await world(EXA, TWO, backend=provider(NEW))
    await stage["exa"].push_location(thing("location", OLD))
    await stage.backend.push_token(thing("token", NEW))
    place = {"location_id": "LOC-7", "evse_uids": ["LOC-7-A"], "connector_ids": ["1"]}
    assert (await stage["exa"].authorize("04A1B2C3D4E5F6", location=place)).data["allowed"] == "ALLOWED"
    await stage.restart()
    session = just_now(OLD)
    assert (await stage["exa"].push_session(session)).ok
    got = await stage.backend.wait_for("PUT", "sessions")
    assert got.body["authorization_reference"] == "ACM-1"
    cdr = thing("cdr", OLD) | {"start_date_time": session["start_datetime"], "auth_id": session["auth_id"]}
    await stage["exa"].push_cdr(cdr | {"stop_date_time": "2031-01-01T00:00:00Z"})
    assert (await stage.backend.wait_for("POST", "cdrs")).body["authorization_reference"] == "ACM-1"
