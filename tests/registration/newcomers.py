"""Who registers in these tests, and what they try: requests with any token, odd credentials, changed files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Final

import pytest
from attrs import evolve
from witness import UNTOLD, outcome

from gateway.app import ADAPTERS
from gateway.demo.peers import Peer, Received
from gateway.demo.world import CORE, Cast, World
from gateway.registered import Registration, Trouble
from gateway.settings import load

OLD, NEW = "2.1.1", "2.2.1"
ACME: Final = Cast(name="acme", version=OLD, country="DEU", party="ACM")
VOLT: Final = Cast(name="volt", version=NEW, party="VLT", business="Volt Drive")
BOTH: Final = pytest.mark.parametrize("cast", [ACME, VOLT], ids=lambda cast: cast.version)
QUIET: Final = evolve(CORE, more=UNTOLD)

Outcome = tuple[int, int | None]


async def opens(peer: Peer, world: World, token: str, path: str = "/ocpi/versions", *, gateway: int = 0) -> Outcome:
    """What this token gets for a GET, at the gateway with this number."""
    host, port = world.gateways[gateway].ocpi
    return outcome(await peer.line.ask("GET", f"http://{host}:{port}{path}", token=token))


async def offer(peer: Peer, world: World, method: str, version: str, token: str, body: Any = None) -> Any:
    """Credentials as the peer would not send them by itself."""
    url = f"{world.settings.public_url}/ocpi/{version}/credentials"
    return await peer.line.ask(method, url, token=token, body=body)


def token_to_us(peer: Peer) -> str:
    """The token that the peer sends."""
    assert peer.counterpart.token is not None
    return peer.counterpart.token


def token_to_them(world: World, name: str, *, gateway: int = 0) -> str:
    """The token that we send."""
    return world.gateways[gateway].links.token_out(name)[0]


def registration(world: World, name: str) -> Registration:
    """Where the link's registration stands."""
    return world.gateway.links.registration(name)


async def until(world: World, name: str, wanted: Callable[[Registration], bool]) -> None:
    """Wait until the link's registration is as wanted."""
    changed = asyncio.Event()
    world.gateway.links.watch(lambda _: changed.set())
    async with asyncio.timeout(5):
        while not wanted(registration(world, name)):
            changed.clear()
            await changed.wait()


async def trouble(world: World, name: str, wanted: Callable[[Trouble | None], bool]) -> Trouble | None:
    """What people are shown of a failed handshake, once it is as wanted."""
    links = world.gateway.links
    async with asyncio.timeout(5):
        while not wanted(links.trouble(name)):
            await asyncio.sleep(0.005)
            await links.reload(name)
    return links.trouble(name)


async def refiled(world: World, name: str, *changes: tuple[str, str]) -> None:
    """Stop, change a partner's file, and start again with it."""
    path = world.folder / "config" / "partners" / f"{name}.yaml"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    versions = {version: adapter.sends_routing_headers for version, adapter in ADAPTERS.items()}
    world.settings = load(world.folder / "config", versions, os.environ)
    await world.restart()


def token_of(peer: Peer) -> dict[str, Any]:
    """A token of the peer's, in its version."""
    token = {
        "uid": "04AC3E0001", "type": "RFID", "issuer": "Acme Mobility", "valid": True, "whitelist": "ALLOWED",
        "last_updated": "2026-03-01T12:00:00Z",
    }  # fmt: skip
    if peer.who.version == OLD:
        return token | {"auth_id": "DE-ACM-C00000001-A"}
    country, party_id = peer.party
    return token | {"contract_id": "DE-ACM-C00000001-A", "country_code": country, "party_id": party_id}


async def talks_both_ways(world: World, peer: Peer) -> Received:
    """What either side says now arrives; the tariff that the peer got."""
    tariff = tariff_of(id=f"T{len(peer.received)}")
    assert (await peer.push_token(token_of(peer))).ok
    assert (await world.backend.push_tariff(tariff)).ok
    return await peer.wait_for("PUT", "tariffs", lambda call: call.http < 300 and call.segments[-1] == tariff["id"])


def tariff_of(owner: str = "EXA", *, id: str = "STANDARD") -> dict[str, Any]:
    """A tariff of one of our parties, as the backend pushes it."""
    return {
        "country_code": "NL", "party_id": owner, "id": id, "currency": "EUR",
        "elements": [{"price_components": [{"type": "ENERGY", "price": 0.4, "step_size": 1}]}],
        "last_updated": "2026-03-01T12:00:00Z",
    }  # fmt: skip
