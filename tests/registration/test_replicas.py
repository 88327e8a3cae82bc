"""Two gateways on one Redis: what a handshake with one of them yields counts at the other at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from attrs import evolve
from msgspec.structs import replace
from newcomers import ACME, BOTH, NEW, OLD, QUIET, VOLT, opens, tariff_of, token_of, token_to_them, token_to_us

from gateway.demo.world import Cast, World
from gateway.handshake import NotNow
from gateway.registered import Change

Begin = Callable[..., Awaitable[World]]


async def told(w: World, name: str, token: str) -> None:
    """Wait until each gateway sends this token."""
    changed = asyncio.Event()
    for gateway in w.gateways:
        gateway.links.watch(lambda _: changed.set())
    async with asyncio.timeout(5):
        while {gateway.links.token_out(name)[0] for gateway in w.gateways} != {token}:
            changed.clear()
            await changed.wait()


@BOTH
async def test_a_token_counts_on_every_replica_at_once_check_21(world: Begin, cast: Cast) -> None:
    """A PUT at one; the next request, at the other, is with the new token, and ends the old one everywhere."""
    w = await world(cast, gateways=2, backend=QUIET)
    peer, old = w[cast.name], token_to_us(w[cast.name])
    for _ in range(3):
        await peer.rotate()
        new = token_to_us(peer)
        assert await opens(peer, w, old, gateway=0) == (200, 1000)
        assert await opens(peer, w, new, gateway=1) == (200, 1000)
        assert await opens(peer, w, old, gateway=1) == (401, 2001)
        old = new


@BOTH
async def test_an_ended_registration_has_ended_on_every_replica_check_23(world: Begin, cast: Cast) -> None:
    """After a DELETE at one, no token opens the other, and the other sends none."""
    w = await world(cast, gateways=2, backend=QUIET)
    peer, token = w[cast.name], token_to_us(w[cast.name])
    assert await opens(peer, w, token, gateway=1) == (200, 1000)
    await peer.unregister()
    await told(w, cast.name, "")
    assert await opens(peer, w, token, gateway=1) == (401, 2001)
    assert await opens(peer, w, f"{cast.name}-token-a", gateway=1) == (401, 2001)


async def test_a_new_version_is_spoken_by_every_replica_at_once_check_22(world: Begin) -> None:
    """A PUT on the other version's endpoint at one; the next push, at the other, is in that version."""
    w = await world(evolve(ACME, also_version=NEW), gateways=2, backend=QUIET)
    acme = w["acme"]
    for version in (NEW, OLD, NEW):
        for gateway in w.gateways:
            await gateway.courier.settle_down(5)  # else something may be on its way in the version of before
        await acme.rotate(version)
        w.through(acme, 1)
        assert (await acme.push_token(token_of(acme))).ok
        w.through(acme, 0)
        assert (await acme.push_token(token_of(acme))).ok
        await told(w, "acme", token_to_them(w, "acme"))
        tariff = tariff_of(id=f"IN-{len(acme.received)}")
        w.through(w.backend, 1)
        assert (await w.backend.push_tariff(tariff)).ok
        got = await acme.wait_for("PUT", "tariffs", lambda call, id=tariff["id"]: call.segments[-1] == id)  # type: ignore[misc]
        assert got.version == version


@pytest.mark.parametrize("by", ["POST", "PUT"])
async def test_a_new_token_brings_its_version_though_no_news_came(
    world: Begin, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Announcements get lost; whoever meets a token that it doesn't know reads what came with it first."""

    async def lost(*_: object) -> None:
        """Nobody hears of it."""

    w = await world(evolve(ACME, also_version=NEW), gateways=2, register=by == "PUT", backend=QUIET)
    acme = w["acme"]
    monkeypatch.setattr("gateway.store.news.News.announce", lost)
    if by == "POST":
        await acme.register(w.versions_url, "acme-token-a")  # with the one that isn't the best
    else:
        await acme.rotate(NEW)
    w.through(acme, 1)
    assert (await acme.push_token(token_of(acme))).ok
    assert w.gateways[1].links.directory["acme"].dialect.version == (OLD if by == "POST" else NEW)


@BOTH
async def test_what_one_rotates_all_send(world: Begin, cast: Cast) -> None:
    """A PUT of ours by one; the other sends the new token, and takes theirs."""
    w = await world(cast, gateways=2, backend=QUIET)
    peer = w[cast.name]
    await w.gateways[1].handshakes.rotate(cast.name)
    await told(w, cast.name, token_to_them(w, cast.name, gateway=1))
    for number in (0, 1):
        assert await opens(peer, w, token_to_us(peer), gateway=number) == (200, 1000)


async def test_one_handshake_at_a_time_over_all_replicas(world: Begin) -> None:
    """While one is at it, the other does nothing and says so."""
    w = await world(VOLT, gateways=2, backend=QUIET)
    volt, heard = w["volt"], len(w["volt"].received)
    volt.handshake.pause = 0.7
    first = asyncio.create_task(w.gateways[0].handshakes.rotate("volt"))
    await volt.wait_for("GET", "details", after=heard)
    with pytest.raises(NotNow, match="under way"):
        await w.gateways[1].handshakes.rotate("volt")
    await first


async def test_a_reading_that_is_overtaken_by_a_handshake_changes_nothing(
    world: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks at the store while a registration is written there doesn't go back to the one before."""
    w = await world(ACME, backend=QUIET)
    links, store = w.gateway.links, type(w.gateway.store)
    look = store.facts
    written = replace(links.registration("acme"), token_out="new-token")

    async def overtaken(self: object, link: str) -> dict[str, bytes]:
        monkeypatch.setattr(store, "facts", look)
        await links.save(link, Change(written))
        return await look(w.gateway.store, link)

    monkeypatch.setattr(store, "facts", overtaken)
    assert await links.reload("acme") == written
    assert links.token_out("acme")[0] == "new-token"
