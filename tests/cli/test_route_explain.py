"""``ocpi-gateway route explain``: the decision of the router, for people and for scripts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import samples
from click.testing import CliRunner, Result
from processes import Installation

from gateway.__main__ import cli
from gateway.demo.peers import Role
from gateway.demo.world import Cast, World
from gateway.web.json import loads

GATEWAY = """\
public_url: https://roaming.example.com
redis: {{url: "unix://{folder}/nothing.sock"}}
hub: {{country_code: NL, party_id: GWY}}
parties:
  - {{country_code: NL, party_id: EXA, role: CPO, name: Example Charging}}
  - {{country_code: NL, party_id: EXA, role: EMSP, name: Example Mobility}}
authorize: {{unknown_tokens: [hub, acme]}}
backend:
  version: "2.2.1"
  roles: [{{role: CPO, country_code: NL, party_id: EXA}}, {{role: EMSP, country_code: NL, party_id: EXA}}]
  registration:
    {{start: none, versions_url: "https://core.example/v", token_out: {{value: to-core}}, token_in: {{value: of-core}}}}
"""
PARTNERS = {
    "acme": """\
version: "2.1.1"
roles: [{role: EMSP, country_code: DE, party_id: ACM}]
our_party: {role: CPO, country_code: NL, party_id: EXA}
registration: {start: them, token_in: {value: acme-token-a}}
stage: pilot
pilot: {locations: [LOC1]}
""",
    "hub": """\
kind: hub
version: "2.2.1"
roles: [{role: HUB, country_code: FR, party_id: HUB}]
our_parties: [{role: CPO, country_code: NL, party_id: EXA}, {role: EMSP, country_code: NL, party_id: EXA}]
registration: {start: them, token_in: {value: hub-token-a}}
reaches: ["*"]
""",
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A core that is CPO and eMSP, a 2.1.1 eMSP on trial, a hub that reaches everybody, and no Redis."""
    (tmp_path / "partners").mkdir()
    (tmp_path / "gateway.yaml").write_text(GATEWAY.format(folder=tmp_path))
    for name, text in PARTNERS.items():
        (tmp_path / f"partners/{name}.yaml").write_text(text)
    return tmp_path


def explain(config: Path, line: str) -> Result:
    return CliRunner().invoke(cli, ["route", "explain", *line.split(), "--config", str(config)])


def told(config: Path, line: str) -> dict[str, Any]:
    done = explain(config, f"{line} --json")
    assert done.exit_code in (0, 1), done.output
    found: dict[str, Any] = loads(done.stdout.encode())
    assert done.exit_code == (found["plan"] == "refuse")
    return found


@pytest.mark.parametrize(
    ("line", "method", "plan", "to"),
    [
        ("--from NL-EXA --module locations", "PUT", "broadcast", [("hub", "FR-HUB")]),
        ("--from NL-EXA --module locations --object loc1", "PUT", "broadcast", [("acme", "DE-ACM"), ("hub", "FR-HUB")]),
        ("--from NL-EXA --to DE-ACM --module cdrs", "POST", "forward", [("acme", "DE-ACM")]),
        ("--from NL-EXA --to IT-FAR --module cdrs", "POST", "forward", [("hub", "IT-FAR")]),
        ("--from NL-EXA --to NL-GWY --module locations --method GET", "GET", "here", []),
        ("--from NL-EXA --to BE-BEC --module locations --method GET", "GET", "forward", [("hub", "BE-BEC")]),
        ("--from NL-EXA --to BE-BEC --module commands", "POST", "forward", [("hub", "BE-BEC")]),
        ("--from NL-EXA --to BE-BEC --module chargingprofiles", "PUT", "forward", [("hub", "BE-BEC")]),
        ("--from NL-EXA --module tokens --method POST --token 04AA", "POST", "ask", [("hub", None)]),
        ("--from NL-EXA --module sessions", "PUT", "refuse", []),
        ("--from NL-EXA --to NL-GWY --module cdrs", "POST", "refuse", []),
        ("--from DE-ACM --module tokens", "PUT", "forward", [("backend", "NL-EXA")]),
        ("--from DE-ACM --module locations", "GET", "here", []),
        ("--from DE-ACM --to NL-ZZZ --module tokens", "PUT", "refuse", []),
        ("--from BE-BEC --to NL-EXA --module sessions", "PUT", "forward", [("backend", "NL-EXA")]),
        ("--from BE-BEC --module sessions", "PUT", "refuse", []),
    ],
)
def test_each_message_has_its_plan(
    config: Path, line: str, method: str, plan: str, to: list[tuple[str, str | None]]
) -> None:
    """What is left out is what such a party usually sends: a push of its own, else a read."""
    found = told(config, line)
    assert (found["method"], found["plan"]) == (method, plan)
    assert [(target["link"], target["party"]) for target in found["targets"]] == to


def test_a_decision_has_all_that_a_script_needs(config: Path) -> None:
    """Who sends, what, where to, why; and what the sender would read instead."""
    assert told(config, "--from NL-EXA --to DE-ACM --module sessions --method PATCH") == {
        "from": {"party": "NL-EXA", "link": "backend"},
        "to": "DE-ACM",
        "module": "sessions",
        "method": "PATCH",
        "side": "RECEIVER",
        "plan": "forward",
        "reason": "addressed: acme is DE-ACM",
        "targets": [
            {"link": "acme", "party": "DE-ACM", "version": "2.1.1", "registered": False, "stage": "pilot"},
        ],
        "status": None,
        "message": None,
        "redis": "away",
    }  # fmt: skip
    refused = told(config, "--from DE-ACM --to NL-ZZZ --module tokens")
    assert (refused["status"], refused["message"]) == (4001, "NL-ZZZ is not known here")


def test_people_read_it_in_a_few_lines(config: Path) -> None:
    """The message, the decision, each target; a refusal with its status."""
    done = explain(config, "--from NL-EXA --module locations --object LOC1")
    assert done.stdout.splitlines() == [
        "PUT locations from NL-EXA (backend)",
        "broadcast: everyone opposite with locations",
        "  -> acme, DE-ACM (2.1.1, not registered, pilot)",
        "  -> hub, FR-HUB (2.2.1, not registered)",
        "Redis is away: nothing is known of registrations and tokens",
    ]
    done = explain(config, "--from NL-EXA --module tokens --method POST --token 04AA")
    assert "  -> hub, whomever it finds (2.2.1, not registered)" in done.stdout.splitlines()
    done = explain(config, "--from NL-EXA --module sessions")
    assert done.exit_code == 1
    assert done.stdout.splitlines()[1:3] == [
        "refuse: the content names nobody",
        "  answered 4001: no OCPI-to party, and the token names nobody who is known here",
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("--from NL-GWY --module tokens", "NL-GWY is nobody's party here"),
        ("--from DE-ACM --module credentials", "'credentials' is not one of"),
        ("--from somebody --module tokens", "'somebody' is not of the form CC-PID"),
        ("--module tokens", "Missing option '--from'"),
    ],
)
def test_a_question_that_makes_no_sense_is_a_mistake_of_usage(config: Path, line: str, complaint: str) -> None:
    """Exit code 2."""
    done = explain(config, line)
    assert done.exit_code == 2
    assert complaint in " ".join(done.output.split())


def test_a_cpo_sends_no_commands(config: Path) -> None:
    """Only the other side of the table does."""
    gateway = config / "gateway.yaml"
    without_emsp = [line for line in gateway.read_text().splitlines() if "Example Mobility" not in line]
    gateway.write_text("\n".join(without_emsp).replace(", {role: EMSP, country_code: NL, party_id: EXA}", ""))
    hub = config / "partners/hub.yaml"
    hub.write_text(hub.read_text().replace(", {role: EMSP, country_code: NL, party_id: EXA}", ""))
    done = explain(config, "--from NL-EXA --module commands")
    assert done.exit_code == 2
    assert "NL-EXA is no EMSP, and sends no commands" in " ".join(done.output.split())


def test_mistakes_of_configuration_are_78(config: Path) -> None:
    """As with every verb."""
    (config / "partners/acme.yaml").write_text("bogus: 1\n")
    done = explain(config, "--from NL-EXA --module tokens")
    assert done.exit_code == 78
    assert "unknown key `bogus`" in done.output


VOLT = Cast(name="volt", party="VLT")


async def test_what_redis_knows_is_taken_into_account(world: Callable[..., Awaitable[World]]) -> None:
    """Who is registered, and who announced a token, while the gateway runs."""
    stage = await world(VOLT)
    token = {**samples.token_221_minimal(), "country_code": "DE", "party_id": "VLT"}
    assert (await stage["volt"].push_token(token)).ok
    installation = Installation(stage.folder)
    options = ("--config", str(stage.folder / "config"), "--data", str(stage.folder / "data"), "--json")
    asked = ("route", "explain", "--from", "NL-EXA", "--module", "sessions", "--token", token["uid"])
    code, out, err = await installation.done(*asked, *options)
    assert (code, err) == (0, "")
    found = loads(out.encode())
    assert (found["plan"], found["reason"], found["redis"]) == ("forward", "volt announced the token", "read")
    assert found["targets"] == [
        {"link": "volt", "party": "DE-VLT", "version": "2.2.1", "registered": True, "stage": "live"}
    ]


async def test_what_hubs_say_is_taken_into_account(world: Callable[..., Awaitable[World]]) -> None:
    """A party that its hub says is offline isn't sent a command: the reason names the hub."""
    behind = (Role("EMSP", "FR", "FRO", "Frolec"), Role("CPO", "FR", "FRO", "Frolec"))
    hub = Cast(name="hub", kind="hub", role="HUB", country="FR", party="HUB", business="Hub", behind=behind)
    core = Cast(name="backend", role="EMSP", country="NL", party="EXA", business="Example Mobility", start="none")
    stage = await world(hub, backend=core)
    assert (await stage["hub"].push_client(("FR", "FRO"), "CPO", "OFFLINE")).ok
    installation = Installation(stage.folder)
    options = ("--config", str(stage.folder / "config"), "--data", str(stage.folder / "data"), "--json")
    code, out, _ = await installation.done(
        "route", "explain", "--from", "NL-EXA", "--to", "FR-FRO", "--module", "commands", *options
    )
    assert (code, loads(out.encode())["reason"]) == (1, "hub says that FR-FRO is OFFLINE")
