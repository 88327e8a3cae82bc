"""Other people's libraries as an operator that our eMSP's core roams with: how far each comes.

They serve, and have one way to send: a push of an object that they own. They ask for no authorization.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from strangers import CPO, EXTRAWEST_ONLY, NEW, OLD, Json, Stranger, sample, understood

Meet = Callable[..., Awaitable[Stranger]]

CARD = "04A1B2C3D4E5F6"


def own(kind: str, version: str) -> Json:
    """The sample of a version, without what the libraries can't read of it and with what they miss in it."""
    readable: Json = _readable(sample(kind, version))
    return readable


def _readable(value: Any) -> Any:
    """In 2.1.1 they call a CDR's `stop_date_time` differently and need tariff and time zone everywhere."""
    match value:
        case dict():
            kept = {name: _readable(inner) for name, inner in value.items()}
            for unreadable in ("energy_mix", "status_schedule"):
                kept.pop(unreadable, None)
            if "voltage" in kept:
                kept.setdefault("tariff_id", "T-DAY")
            if "evses" in kept:
                kept.setdefault("time_zone", "Europe/Amsterdam")
            if "stop_date_time" in kept:
                kept["end_date_time"] = kept["stop_date_time"]
            return kept
        case list():
            return [_readable(inner) for inner in value]
        case _:
            return value


def pushed(stranger: Stranger) -> list[str]:
    """The modules in which our core got anything."""
    ours = ("GET", "hubclientinfo")
    return [got.module for got in stranger.world.backend.received if got.method not in ours and got.module not in ours]


async def test_we_register_and_it_calls_back(meet: Meet) -> None:
    """We begin, and the library finds our endpoints for all that an operator sends."""
    stranger = await meet(CPO)
    met = await stranger.met()
    found = {endpoint["identifier"] for endpoint in met["endpoints"]["endpoints"]}
    assert found >= {"credentials", "locations", "tariffs", "sessions", "cdrs", "tokens"}
    assert stranger.world.gateway.links.directory["stranger"].registered


async def test_our_token_arrives_and_changes(meet: Meet) -> None:
    """PUT and PATCH of a token: the library has all that we wrote."""
    stranger = await meet(CPO)
    assert (await stranger.world.backend.push_token(sample("token", NEW))).ok
    (put,) = await stranger.heard("tokens")
    assert put["path"].endswith(f"/tokens/DE/ACM/{CARD}")
    assert put["answer"]["body"]["status_code"] == 1000
    assert [understood(put["body"])] == understood(put["answer"]["body"]["data"])
    blocked = {"valid": False, "last_updated": "2026-03-03T10:31:00Z"}
    assert (await stranger.world.backend.patch_token(CARD, blocked)).ok
    (patch,) = await stranger.heard("tokens", "PATCH")
    assert patch["body"] == blocked
    assert patch["answer"]["body"]["data"][0]["valid"] is False


@EXTRAWEST_ONLY
@pytest.mark.parametrize("kind", ["location", "tariff", "session"])
async def test_it_pushes_beside_the_endpoint(meet: Meet, version: str, kind: str) -> None:
    """It writes the owner right behind the endpoint's URL, without a slash: nothing is there."""
    stranger = await meet(CPO)
    thing = own(kind, version)
    push = await stranger.push(f"{kind}s", thing)
    assert push["url"].endswith(f"/{kind}sNL/EXA/{thing['id']}")
    assert (push["answer"]["http"], push["answer"]["body"]["status_code"]) == (404, 2001)
    assert pushed(stranger) == []


MISSING = {OLD: "$.stop_date_time: required", NEW: "$.cdr_location.evse_uid: required"}


@EXTRAWEST_ONLY
async def test_its_cdrs_lack_a_required_field(meet: Meet, version: str) -> None:
    """It knows no `stop_date_time` in 2.1.1 and no `evse_uid` in 2.2.1, and drops them: we refuse its every CDR."""
    stranger = await meet(CPO)
    push = await stranger.push("cdrs", own("cdr", version))
    assert (push["method"], push["url"].rpartition("/")[2]) == ("POST", "cdrs")
    assert push["answer"]["http"] == 200
    assert push["answer"]["body"]["status_code"] == 2001
    assert push["answer"]["body"]["status_message"] == MISSING[version]
    assert pushed(stranger) == []
