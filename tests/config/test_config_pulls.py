"""``pull_every``, ``cdrs.deliver_since`` and the switches of pulls: what they become, and what makes no sense."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from config_folder import BACKEND, GATEWAY, Folder

from gateway.model.modules import Module

TWO_CPOS = """\
version: "2.1.1"
roles: [{role: CPO, country_code: DE, party_id: ACM}, {role: CPO, country_code: DE, party_id: ACN}]
registration: {start: them, token_in: {env: IN2}}
"""
MOBILITY = GATEWAY.replace("role: CPO", "role: EMSP")
ITS_CORE = BACKEND.replace("role: CPO", "role: EMSP")


def test_a_list_is_read_as_often_as_the_file_says(folder: Folder) -> None:
    """Of partners and of backends; what else the table may say keeps its default by role."""
    folder.partner("modules: {tokens: {pull_every: 90m}}\ncdrs: {deliver_since: 2030-01-01T00:00:00Z}\n")
    (partner,) = folder.load().partners
    tokens = partner.modules[Module.TOKENS]
    assert (tokens.pull_every, tokens.accept, tokens.push) == (timedelta(minutes=90), True, False)
    assert partner.modules[Module.LOCATIONS].pull_every is None
    assert partner.modules[Module.CDRS].deliver_since == datetime(2030, 1, 1, tzinfo=UTC)
    assert partner.modules[Module.SESSIONS].deliver_since is None


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("modules: {locations: {pull_every: 1h}}\n", "we take no locations from there"),
        ("modules: {tokens: {accept: false, pull_every: 1h}}\n", "we take no tokens from there"),
        ("modules: {commands: {pull_every: 1h}}\n", "commands have no list"),
        ("modules: {tokens: {pull_every: 0s}}\n", "write more than 0"),
    ],
)
def test_a_list_that_there_is_not_is_a_mistake(folder: Folder, more: str, expected: str) -> None:
    """What isn't theirs, isn't taken, or has no list."""
    mistake = folder.partner(more).mistake()
    assert mistake.startswith("partners/acme.yaml:4:")
    assert expected in mistake


def test_a_list_must_tell_whose_its_objects_are(folder: Folder) -> None:
    """2.1.1 objects don't say it: with two parties over there nobody could tell."""
    folder.environ["IN2"] = "token"
    folder.gateway(text=MOBILITY, backend=ITS_CORE)
    folder.partner("modules: {locations: {pull_every: 1h}}\n", text=TWO_CPOS)
    assert "doesn't tell which of 2 parties owns what is in it" in folder.mistake()


def test_the_time_zone_of_schedules(folder: Folder) -> None:
    """UTC, unless ``gateway.yaml`` says otherwise."""
    assert folder.load().time_zone == "UTC"
    assert folder.gateway("time_zone: Europe/Amsterdam\n").load().time_zone == "Europe/Amsterdam"


@pytest.mark.parametrize(
    ("switch", "value"),
    [
        ("pull.window", "mon-fri 09:00-17:00"),
        ("pull.window", "22:00-06:00"),
        ("pull.next", "link"),
        ("pull.next", "cursor:last_record"),
        ("sync.delta_by", "hub_time"),
        ("sync.tombstones", "full_pull_diff"),
    ],
)
def test_the_switches_of_pulls(folder: Folder, switch: str, value: str) -> None:
    """Each is read as it stands."""
    (partner,) = folder.partner(f"quirks: {{{switch}: '{value}'}}\n").load().partners
    assert getattr(partner.policy, switch.replace(".", "_")) == value


@pytest.mark.parametrize(
    ("switch", "value"),
    [
        ("pull.window", "weekdays"),
        ("pull.window", "mon-fri 9-17"),
        ("pull.window", "25:00-26:00"),
        ("pull.next", "cursor:"),
        ("pull.next", "page"),
    ],
)
def test_a_switch_that_cant_be_understood_is_a_mistake(folder: Folder, switch: str, value: str) -> None:
    """Days, hours and parameters have a form."""
    assert folder.partner(f"quirks: {{{switch}: '{value}'}}\n").mistake().startswith("partners/acme.yaml:4:")
