"""``ocpi-gateway tokens``: what is cached of a token, and what would be decided about it, while a gateway runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import samples
from attrs import evolve
from click.testing import CliRunner, Result

from gateway.__main__ import cli
from gateway.demo.world import CORE, Cast, World
from gateway.telemetry import MASK
from gateway.web.json import loads

Begin = Callable[..., Awaitable[World]]

ACME = Cast(name="acme", version="2.1.1", country="DEU", party="ACM")
VOLT = Cast(name="volt", party="VLT", business="Volt Drive")


def card(uid: str, **changes: Any) -> dict[str, Any]:
    token = {**samples.token_221_minimal(), "country_code": "DE", "party_id": "VLT", "type": "RFID", "valid": True}
    return token | {"uid": uid} | changes


async def told(stage: World, *words: str) -> Result:
    """The verb, in a thread of its own since it has a loop of its own."""
    options = ["--config", str(stage.folder / "config"), "--data", str(stage.folder / "data")]
    return await asyncio.to_thread(CliRunner().invoke, cli, ["tokens", *words, *options])


async def told_as_json(stage: World, *words: str) -> Any:
    done = await told(stage, *words, "--json")
    assert done.exit_code in (0, 1), done.output
    return loads(done.stdout.splitlines()[-1].encode())  # the world's gateway, in this process, may log before it


async def stage_of(world: Begin, **changes: Any) -> World:
    """An operator's core and two eMSPs, of which volt has announced some cards."""
    stage = await world(ACME, VOLT, **changes)
    for uid, whitelist in (("04AAAA", "ALWAYS"), ("04BBBB", "ALLOWED_OFFLINE"), ("04CCCC", "NEVER")):
        assert (await stage["volt"].push_token(card(uid, whitelist=whitelist))).ok
    assert (await stage["volt"].push_token(card("04DDDD", whitelist="ALWAYS", valid=False))).ok
    return stage


# lookup ---------------------------------------------------------------------------------------------------------------


async def test_a_token_is_looked_up(world: Begin) -> None:
    """Whose it is, what its eMSP says of it, by which link, when; the contract as the log has it, unless shown."""
    stage = await stage_of(world)
    (found,) = await told_as_json(stage, "lookup", "04aaaa")
    contract = card("")["contract_id"]
    assert found.pop("said").endswith("Z")
    assert 0 <= found.pop("heard_s") < 60
    assert found == {
        "uid": "04AAAA",
        "log": MASK.hash("04AAAA"),
        "owner": "DE-VLT",
        "type": "RFID",
        "whitelist": "ALWAYS",
        "valid": True,
        "contract_id": MASK.hash(contract),
        "issuer": card("")["issuer"],
        "last_updated": card("")["last_updated"],
        "link": "volt",
    }
    (shown,) = await told_as_json(stage, "lookup", "04AAAA", "--show")
    assert shown["contract_id"] == contract


async def test_cards_of_several_emsps_with_one_uid(world: Begin) -> None:
    """A uid is unique for its eMSP only: each token has its lines."""
    stage = await stage_of(world)
    acmes = {"uid": "04AAAA", "type": "RFID", "whitelist": "NEVER", "valid": False}
    assert (await stage["acme"].push_token({**samples.token_211_minimal(), **acmes})).ok
    done = await told(stage, "lookup", "04AAAA")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [
        "04AAAA of DE-ACM: RFID, whitelist NEVER, not valid",
        "04AAAA of DE-VLT: RFID, whitelist ALWAYS, valid",
    ]
    assert "said by" not in done.stdout
    assert card("")["contract_id"] not in done.stdout


async def test_a_token_that_nobody_announced(world: Begin) -> None:
    """Exit code 1, and in JSON an empty list."""
    stage = await stage_of(world)
    done = await told(stage, "lookup", "04ZZZZ")
    assert (done.exit_code, done.stdout) == (1, "nobody announced a token with this uid\n")
    assert await told_as_json(stage, "lookup", "04ZZZZ") == []


# authorize ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uid", "allowed", "ground", "asks"),
    [
        ("04AAAA", "ALLOWED", "always", []),
        ("04BBBB", "ALLOWED", "no_answer", ["volt"]),
        ("04CCCC", "NOT_ALLOWED", "no_answer", ["volt"]),
        ("04DDDD", "BLOCKED", "always", []),
        ("04ZZZZ", None, "unknown", []),
    ],
)
async def test_what_would_be_decided(world: Begin, uid: str, allowed: str | None, ground: str, asks: list[str]) -> None:
    """At once, or by whom it is asked and what follows if it doesn't answer; and nobody is asked."""
    stage = await stage_of(world)
    before = len(stage["volt"].received)
    done = await told(stage, "authorize", uid, "--json")
    found = loads(done.stdout.encode())
    assert done.exit_code == (allowed != "ALLOWED")
    assert (found["allowed"], found["ground"], found["asks"]) == (allowed, ground, asks)
    assert found["from"] == {"party": "NL-EXA", "link": "backend"}
    assert (found["status"], found["token"] is None) == ((2004, True) if allowed is None else (None, False))
    assert len(stage["volt"].received) == before


async def test_people_read_why(world: Begin) -> None:
    """The question, the decision with its reason, the token."""
    stage = await stage_of(world)
    done = await told(stage, "authorize", "04BBBB", "--to", "DE-VLT")
    assert done.stdout.splitlines()[:4] == [
        "RFID 04BBBB, asked by NL-EXA (backend) to DE-VLT",
        "  asks volt",
        "  without an answer: ALLOWED (no answer, whitelist ALLOWED_OFFLINE)",
        "04BBBB of DE-VLT: RFID, whitelist ALLOWED_OFFLINE, valid",
    ]
    done = await told(stage, "authorize", "04AAAA")
    assert done.stdout.splitlines()[1] == "  ALLOWED: whitelist ALWAYS"
    done = await told(stage, "authorize", "04ZZZZ")
    assert done.stdout.splitlines()[1:] == ["  answered 2004: nobody announced this token"]


async def test_what_was_commanded_counts(world: Begin) -> None:
    """A command of its eMSP lately, at the place that is asked about."""
    stage = await stage_of(world)
    assert (await stage.backend.push_location({**samples.location_221_minimal(), "id": "LOC1"})).ok
    body = {"token": card("04CCCC", whitelist="NEVER"), "location_id": "LOC1"}
    assert (await stage["volt"].command("START_SESSION", **body)).data["result"] == "ACCEPTED"
    found = await told_as_json(stage, "authorize", "04CCCC", "--location", "LOC1", "--evse", "E1")
    assert (found["allowed"], found["ground"]) == ("ALLOWED", "commanded")
    found = await told_as_json(stage, "authorize", "04CCCC", "--location", "LOC2")
    assert (found["allowed"], found["asks"]) == ("NOT_ALLOWED", ["volt"])


async def test_an_operator_asks_our_emsp(world: Begin) -> None:
    """The other seat: a partner that is a CPO asks about a token of our core's."""
    core = evolve(CORE, role="EMSP", country="DE", party="VLT", business="Volt Drive")
    stage = await world(Cast(name="two", role="CPO", country="NL", party="TWO"), backend=core)
    assert (await stage.backend.push_token(card("04AAAA", whitelist="NEVER"))).ok
    found = await told_as_json(stage, "authorize", "04AAAA", "--from", "NL-TWO")
    assert (found["from"]["link"], found["asks"], found["allowed"]) == ("two", ["backend"], "NOT_ALLOWED")
    done = await told(stage, "authorize", "04AAAA")
    assert done.exit_code == 2
    assert "--from" in done.output


async def test_what_nobody_can_mean_is_usage(world: Begin) -> None:
    """An operator that isn't here, an EVSE without its location."""
    stage = await stage_of(world)
    done = await told(stage, "authorize", "04AAAA", "--from", "NL-ZZZ")
    assert (done.exit_code, "NL-ZZZ is no operator here" in done.output) == (2, True)
    assert (await told(stage, "authorize", "04AAAA", "--evse", "E1")).exit_code == 2


@pytest.mark.parametrize("verb", ["lookup", "authorize"])
def test_without_redis_nothing_is_known(tmp_path: Path, verb: str) -> None:
    """Exit code 1, and the reason."""
    (tmp_path / "gateway.yaml").write_text(
        f'public_url: https://roaming.example.com\nredis: {{url: "unix://{tmp_path}/nothing.sock"}}\n'
        "hub: {country_code: NL, party_id: GWY}\n"
        "parties: [{country_code: NL, party_id: EXA, role: CPO, name: Example Charging}]\n"
        'backend: {version: "2.2.1", roles: [{role: CPO, country_code: NL, party_id: EXA}], registration: {start: none,'
        ' versions_url: "https://core.example/v", token_out: {value: to-core}, token_in: {value: of-core}}}\n'
    )
    done = CliRunner().invoke(cli, ["tokens", verb, "04AAAA", "--config", str(tmp_path)])
    assert (done.exit_code, done.stderr) == (1, "Redis is away: nothing is known of tokens\n")
    done = CliRunner().invoke(cli, ["tokens", verb, "04AAAA", "--json", "--config", str(tmp_path)])
    assert (done.exit_code, loads(done.stdout.encode())) == (1, {"error": "Redis is away: nothing is known of tokens"})
