"""The law of authorizations: what a driver's whitelist type, its eMSP's answer and the link's file make of a question.

The table is written out here by hand, cell by cell, and asked over real sockets: a core of either version asks eMSPs of
either version. What no socket can tell apart, such as the age of what is cached, is asked of the pure table.
"""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any, Final

import pytest
from attrs import evolve

from gateway.authorize import Cached, Commanded, Decision, Ground, Stance, at_once, commanded, unanswered
from gateway.demo.peers import Peer
from gateway.demo.world import CORE, Cast, World

OLD, NEW = "2.1.1", "2.2.1"
YES, NO, SILENCE = "answers ALLOWED", "answers NO_CREDIT", "doesn't answer"

# whitelist, valid, asked first?, what is said if its eMSP answers ALLOWED, NO_CREDIT, or nothing at all
REALTIME: Final = [
    ("ALWAYS", True, False, "ALLOWED", "ALLOWED", "ALLOWED"),
    ("ALWAYS", False, False, "BLOCKED", "BLOCKED", "BLOCKED"),
    ("ALLOWED", True, True, "ALLOWED", "NO_CREDIT", "ALLOWED"),
    ("ALLOWED", False, True, "ALLOWED", "NO_CREDIT", "BLOCKED"),
    ("ALLOWED_OFFLINE", True, True, "ALLOWED", "NO_CREDIT", "ALLOWED"),
    ("ALLOWED_OFFLINE", False, True, "ALLOWED", "NO_CREDIT", "NOT_ALLOWED"),
    ("NEVER", True, True, "ALLOWED", "NO_CREDIT", "NOT_ALLOWED"),
    ("NEVER", False, True, "ALLOWED", "NO_CREDIT", "NOT_ALLOWED"),
    (None, True, True, "ALLOWED", "NO_CREDIT", None),
]
CACHE_FIRST: Final = [
    *REALTIME[:2],
    ("ALLOWED", True, False, "ALLOWED", "ALLOWED", "ALLOWED"),
    ("ALLOWED", False, False, "BLOCKED", "BLOCKED", "BLOCKED"),
    *REALTIME[4:],
]
TABLES: Final = {"realtime": REALTIME, "cache_first": CACHE_FIRST}

ACME: Final = Cast(name="acme", version=OLD, role="EMSP", country="DEU", party="ACM", business="Acme Mobility")
VOLT: Final = Cast(name="volt", version=NEW, role="EMSP", country="DE", party="VLT", business="Volt Drive", start="us")
PARTIES: Final = {"acme": ("DE", "ACM"), "volt": ("DE", "VLT")}


def cells(mode: str) -> list[tuple[str, dict[str, Any], bool, str | None, str]]:
    """Each of the 27 cells: a uid of its own, the token, whether its eMSP is asked, the answer, the eMSP's mood."""
    found = []
    for whitelist, valid, asked, *said in TABLES[mode]:
        for mood, allowed in zip((YES, NO, SILENCE), said, strict=True):
            uid = f"04{len(found):06X}"
            found.append((uid, {"whitelist": whitelist, "valid": valid}, asked, allowed, mood))
    assert len(found) == 27
    return found


def token(version: str, uid: str, whitelist: str | None, valid: bool) -> dict[str, Any]:
    """A card of acme's, or of volt's."""
    common = {"uid": uid, "type": "RFID", "issuer": "Table", "valid": valid, "last_updated": "2026-01-01T00:00:00Z"}
    common["whitelist"] = whitelist or "ALLOWED"
    if version == OLD:
        return common | {"auth_id": f"DE-ACM-{uid}"}
    return common | {"country_code": "DE", "party_id": "VLT", "contract_id": f"DE-VLT-{uid}"}


async def dealt(stage: World, mode: str) -> None:
    """Both eMSPs have announced all cards but those that nobody announces, and made up their minds."""
    for name, version in (("acme", OLD), ("volt", NEW)):
        for uid, card, _, _, mood in cells(mode):
            obj = token(version, name[0].upper() + uid, **card)
            if card["whitelist"] is None:
                stage[name].keep("tokens", obj)
            else:
                await stage[name].push_token(obj)
            stage[name].decide(obj["uid"], "NO_CREDIT" if mood == NO else "ALLOWED")


def questions(peer: Peer, uid: str) -> int:
    """How often it was asked about this card."""
    return sum(received.segments == (uid, "authorize") for received in peer.received)


@pytest.mark.parametrize(
    ("mode", "core"), [*itertools.product(TABLES, [OLD, NEW])], ids=lambda word: f"core-{word}" if "." in word else word
)
async def test_the_27_cells_of_the_table_check_60_check_61_trap_57(world: Any, mode: str, core: str) -> None:
    """Whoever asks whom in which version: each cell is decided as written, and asked only where it may be."""
    more = f"authorize: {{mode: {mode}, timeout: 2s}}"
    stage = await world(evolve(ACME, more=more), evolve(VOLT, more=more), backend=evolve(CORE, version=core))
    await dealt(stage, mode)
    wrong = []
    for silent in (False, True):
        for name in ("acme", "volt"):
            if silent:
                await stage[name].down()
            for uid, card, asked, allowed, mood in cells(mode):
                if (mood == SILENCE) != silent:
                    continue
                uid = name[0].upper() + uid
                to = PARTIES[name] if card["whitelist"] is None else None
                answer = await stage.backend.authorize(uid, to=to) if to else await stage.backend.authorize(uid)
                said = answer.data["allowed"] if answer.data else answer.status_code
                expected: Any = allowed or ("NOT_ALLOWED" if core == OLD else 4003)
                times = int(asked and not silent)
                if (answer.http, said, questions(stage[name], uid)) != (200, expected, times):
                    wrong.append((name, card, mood, said, expected, questions(stage[name], uid)))
    assert wrong == []


# No answer, in its kinds ----------------------------------------------------------------------------------------------

SILENCES: Final[dict[str, dict[str, Any]]] = {
    "http-500": {"http": 500},
    "http-503": {"http": 503, "body": b""},
    "http-401": {"http": 401},
    "cut": {"drop": True},
    "html": {"body": b"<html>proxy</html>"},
    "half": {"body": b'{"status_code": 1000, "data": {"allo'},
    "no-envelope": {"body": b'{"allowed": "ALLOWED"}'},
    "no-data": {"body": b'{"status_code": 1000, "timestamp": "2026-01-01T00:00:00Z"}'},
    "no-sense": {"body": b'{"status_code": 1000, "timestamp": "2026-01-01T00:00:00Z", "data": {"allowed": 7}}'},
    "3000": {"status": 3000},
    "3001": {"status": 3001},
    "4002": {"status": 4002},
    "4003": {"status": 4003},
}


@pytest.mark.parametrize("core", [OLD, NEW], ids="core-{}".format)
async def test_no_answer_has_many_kinds_check_60(world: Any, core: str) -> None:
    """Whatever isn't an answer is none: a card that may charge offline charges, one that never may doesn't."""
    more = "authorize: {timeout: 1s}"
    stage = await world(evolve(ACME, more=more), evolve(VOLT, more=more), backend=evolve(CORE, version=core))
    wrong = []
    for name, version in (("acme", OLD), ("volt", NEW)):
        for uid, whitelist in (("04FF", "ALLOWED_OFFLINE"), ("04EE", "NEVER")):
            await stage[name].push_token(token(version, name[0].upper() + uid, whitelist, True))
        for kind, fault in SILENCES.items():
            for uid, expected in (("04FF", "ALLOWED"), ("04EE", "NOT_ALLOWED")):
                stage[name].fail("tokens", "POST", **fault)
                answer = await stage.backend.authorize(name[0].upper() + uid)
                if (answer.http, answer.status_code, (answer.data or {}).get("allowed")) != (200, 1000, expected):
                    wrong.append((name, kind, expected, answer))
    assert wrong == []


# What no socket tells apart -------------------------------------------------------------------------------------------

FRESH, STALE = timedelta(hours=1), timedelta(hours=25)


@pytest.mark.parametrize(("mode", "on_timeout"), [*itertools.product(TABLES, ["cached", "deny", "allow"])])
@pytest.mark.parametrize("age", [FRESH, STALE], ids=["fresh", "stale"])
def test_every_policy_over_the_table(mode: str, on_timeout: str, age: timedelta) -> None:
    """on_timeout and the age of the cache move valid ALLOWED and ALLOWED_OFFLINE cards, and unknown ones; no others."""
    stance = Stance(cache_first=mode == "cache_first", on_timeout=on_timeout)
    for whitelist, valid, asked, yes, _, silent in TABLES[mode]:
        cached = None if whitelist is None else Cached(whitelist=whitelist, valid=valid, age=age)
        said = at_once(cached, stance)
        first = not asked and (whitelist == "ALWAYS" or age is FRESH)
        assert (said.allowed if said else None) == (yes if first else None)
        if not first:
            last = unanswered(cached, stance)
            assert last.allowed == _by_policy(whitelist, valid, silent, on_timeout, age)
            assert last.offline


def _by_policy(whitelist: str | None, valid: bool, silent: str | None, on_timeout: str, age: timedelta) -> str | None:
    if whitelist is None:
        return "ALLOWED" if on_timeout == "allow" else None
    if whitelist == "NEVER" or not valid:
        return silent
    if on_timeout == "cached":
        return "ALLOWED" if age is FRESH else "NOT_ALLOWED"
    return "ALLOWED" if on_timeout == "allow" else "NOT_ALLOWED"


@pytest.mark.parametrize(
    ("evse", "asked", "allowed"),
    [
        ("E1", None, True),
        ("E1", {"location_id": "L"}, True),
        ("E1", {"location_id": "L", "evse_uids": ["e1"]}, True),
        ("E1", {"location_id": "L", "evse_uids": ["E2", "E1"]}, True),
        ("E1", {"location_id": "L", "evse_uids": ["E2"]}, False),
        (None, {"location_id": "L", "evse_uids": ["E2"]}, True),
    ],
)
def test_a_command_counts_at_its_evse(evse: str | None, asked: dict[str, Any] | None, allowed: bool) -> None:
    """A commanded card is allowed where the command was for, and the reason says how long ago that was."""
    said = commanded(Commanded(age=timedelta(seconds=42.5), evse_uid=evse), asked)
    assert said == (Decision(said.allowed, Ground.COMMANDED, "commanded 42 s ago") if allowed and said else None)
    assert (said is not None and said.allowed == "ALLOWED") == allowed
