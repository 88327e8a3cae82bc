"""New tokens for both sides: whoever sends the PUT, and whatever becomes of its answer, nobody is locked out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from attrs import evolve
from newcomers import (
    ACME,
    BOTH,
    QUIET,
    VOLT,
    offer,
    opens,
    registration,
    talks_both_ways,
    tariff_of,
    token_of,
    token_to_them,
    token_to_us,
    trouble,
    until,
)

from gateway.demo.peers import Peer
from gateway.demo.world import Cast, World
from gateway.handshake import Disagreed, Lost, NotNow
from gateway.model.errors import GatewayError, NotConnected, UnusableApi

Begin = Callable[..., Awaitable[World]]


# We send it -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["us", "them"])
@BOTH
async def test_a_put_of_ours_makes_both_tokens_new(world: Begin, cast: Cast, start: str) -> None:
    """Whoever began; our old token counts until they use the new one, and everything goes on with the new ones."""
    w = await world(evolve(cast, start=start), backend=QUIET)
    peer = w[cast.name]
    ours, theirs, since = token_to_us(peer), token_to_them(w, cast.name), registration(w, cast.name).since
    await w.gateway.handshakes.rotate(cast.name)
    assert token_to_us(peer) != ours
    assert token_to_them(w, cast.name) != theirs
    assert await opens(peer, w, ours) == (200, 1000)
    assert await opens(peer, w, token_to_us(peer)) == (200, 1000)
    assert await opens(peer, w, ours) == (401, 2001)
    assert registration(w, cast.name).since == since  # it is the same registration
    await talks_both_ways(w, peer)


REFUSALS: dict[str, tuple[dict[str, Any], type[GatewayError]]] = {
    "an error of theirs": ({"status": 3001}, UnusableApi),
    "not registered": ({"http": 405, "status": 2000}, Disagreed),
    "not our token": ({"http": 401, "status": 2001, "times": 2}, UnusableApi),
    "no such page": ({"http": 404, "body": b"<html>"}, UnusableApi),
}


@pytest.mark.parametrize("what", REFUSALS)
@BOTH
async def test_a_put_that_is_refused_is_rolled_back(world: Begin, cast: Cast, what: str) -> None:
    """Both tokens are as before, and the one that was in the PUT opens nothing."""
    how, error = REFUSALS[what]
    w = await world(cast, backend=QUIET)
    peer, before = w[cast.name], registration(w, cast.name)
    peer.fail("credentials", "PUT", **how)
    with pytest.raises(error):
        await w.gateway.handshakes.rotate(cast.name)
    sent = await peer.wait_for("PUT", "credentials")
    assert await opens(peer, w, sent.body["token"]) == (401, 2001)
    assert registration(w, cast.name) == before
    peer.complaints.clear()  # of the 401
    await talks_both_ways(w, peer)


async def test_a_put_that_never_left_is_rolled_back(world: Begin) -> None:
    """Nobody listens over there: both tokens are as before."""
    w = await world(VOLT, backend=QUIET)
    volt, before = w["volt"], registration(w, "volt")
    await volt.down()
    with pytest.raises(NotConnected):
        await w.gateway.handshakes.rotate("volt")
    assert registration(w, "volt") == before
    await volt.up()
    await talks_both_ways(w, volt)


LOSSES: dict[str, dict[str, Any]] = {
    "they took it, and the connection broke": {"applied": True, "drop": True},
    "they took it, and a proxy answered": {"applied": True, "http": 502, "body": b"<html>Bad Gateway</html>"},
    "they took it, and told no credentials": {"applied": True, "body": b'{"status_code": 1000}'},
    "they took it, and told half of them": {"applied": True, "body": b'{"status_code": 1000, "data": {"token": "x"}}'},
    "it never got there": {"drop": True},
}


@pytest.mark.parametrize("what", LOSSES)
@BOTH
async def test_a_lost_answer_to_our_put_locks_nobody_out(world: Begin, impatient: None, cast: Cast, what: str) -> None:
    """Old and new token open our door, and it is asked again with the same new one until the matter is settled."""
    w = await world(cast, backend=QUIET)
    peer, old = w[cast.name], token_to_us(w[cast.name])
    peer.fail("credentials", "PUT", **LOSSES[what])
    with pytest.raises(Lost):
        await w.gateway.handshakes.rotate(cast.name)
    first = await peer.wait_for("PUT", "credentials")
    assert {await opens(peer, w, token) for token in (old, first.body["token"])} == {(200, 1000)}
    second = await peer.wait_for("PUT", "credentials", count=2)
    assert second.body["token"] == first.body["token"]
    await until(w, cast.name, lambda now: not now.pending)
    assert token_to_us(peer) == first.body["token"]
    await talks_both_ways(w, peer)
    assert await opens(peer, w, old) == (401, 2001)


async def test_what_stays_in_doubt_is_shown_with_what_to_do(world: Begin, impatient: None) -> None:
    """They took the PUT, its answer was lost, and they ended the old token at once: they can still call us."""
    w = await world(VOLT, backend=QUIET)
    volt, used = w["volt"], token_to_them(w, "volt")
    volt.fail("credentials", "PUT", applied=True, drop=True)
    with pytest.raises(Lost):
        await w.gateway.handshakes.rotate("volt")
    volt.handshake.keys.revoke(used)
    refused = await volt.wait_for("GET", "versions", lambda call: call.http == 401, after=len(volt.received))
    assert refused.headers["authorization"]
    told = await trouble(w, "volt", lambda told: told is not None and "401" in told.reason)
    assert told is not None
    assert "ask them whether they ended the registration" in told.todo
    assert registration(w, "volt").pending
    assert (await volt.push_token(token_of(volt))).ok
    volt.complaints.clear()  # of the 401s


async def test_a_trouble_is_over_when_it_is_over(world: Begin, impatient: None) -> None:
    """After an attempt that went well nothing is shown any more."""
    w = await world(VOLT, backend=QUIET)
    volt = w["volt"]
    volt.fail("credentials", "PUT", drop=True, times=2)
    with pytest.raises(Lost):
        await w.gateway.handshakes.rotate("volt")
    told = await trouble(w, "volt", lambda told: told is not None)
    assert told is not None
    assert told.todo.startswith("nothing yet: the old and the new token both open our door")
    await until(w, "volt", lambda now: not now.pending)
    await trouble(w, "volt", lambda told: told is None)


async def test_there_is_nothing_to_rotate_without_a_registration(world: Begin) -> None:
    """Static tokens, a link that isn't registered, and one where a handshake is under way: refused, nothing sent."""
    w = await world(VOLT, ACME, evolve(VOLT, name="fix", party="FIX", start="none"), backend=QUIET)
    handshakes, acme = w.gateway.handshakes, w["acme"]
    await acme.unregister()
    heard = {name: len(w[name].received) for name in ("fix", "acme")}
    for name, why in (("fix", "static tokens"), ("acme", "not registered")):
        for wish in (handshakes.rotate, handshakes.refresh, handshakes.unregister):
            with pytest.raises(NotNow, match=why):
                await wish(name)
        assert len(w[name].received) == heard[name]
    heard_by_volt, w["volt"].handshake.pause = len(w["volt"].received), 1.5
    first = asyncio.create_task(handshakes.rotate("volt"))
    await w["volt"].wait_for("GET", "details", after=heard_by_volt)
    with pytest.raises(NotNow, match="under way"):
        await handshakes.rotate("volt")
    await first


@BOTH
async def test_the_end_from_our_side_check_23(world: Begin, cast: Cast) -> None:
    """They get a DELETE; afterwards no token of either side counts, and nothing is sent."""
    w = await world(cast, backend=QUIET)
    peer, token, theirs = w[cast.name], token_to_us(w[cast.name]), token_to_them(w, cast.name)
    assert await w.gateway.handshakes.unregister(cast.name) is None
    assert (await peer.wait_for("DELETE", "credentials")).http == 200
    assert peer.handshake.keys.scope(theirs) is None
    assert await opens(peer, w, token) == (401, 2001)
    heard = len(peer.received)
    assert (await w.backend.push_tariff(tariff_of())).ok
    assert token_to_them(w, cast.name) == ""
    assert peer.received[heard:] == []


@pytest.mark.parametrize("how", ["away", "refuses"])
async def test_the_end_comes_though_they_cant_be_told(world: Begin, how: str) -> None:
    """Here it has ended, and whoever asked for it hears that they may not know."""
    w = await world(VOLT, backend=QUIET)
    volt, token = w["volt"], token_to_us(w["volt"])
    if how == "away":
        await volt.down()
    else:
        volt.fail("credentials", "DELETE", http=500, status=3000)
    warning = await w.gateway.handshakes.unregister("volt")
    assert warning is not None
    assert warning.startswith("they couldn't be told" if how == "away" else "they answered HTTP 500")
    assert await opens(volt, w, token) == (401, 2001)


@BOTH
async def test_an_invitation_makes_token_a_good_again(world: Begin, cast: Cast) -> None:
    """After a DELETE it is spent, until ``register`` says otherwise; then the partner may POST with it once more."""
    w = await world(cast, backend=QUIET)
    peer = w[cast.name]
    await peer.unregister()
    assert await opens(peer, w, f"{cast.name}-token-a") == (401, 2001)
    await w.gateway.handshakes.register(cast.name)
    assert await opens(peer, w, f"{cast.name}-token-a") == (200, 1000)
    await peer.register(w.versions_url, f"{cast.name}-token-a")
    with pytest.raises(NotNow, match="registered already"):
        await w.gateway.handshakes.register(cast.name)
    assert await opens(peer, w, f"{cast.name}-token-a") == (401, 2001)


# They send it ---------------------------------------------------------------------------------------------------------


@BOTH
async def test_their_put_makes_us_read_their_endpoints_again_trap_11(world: Begin, cast: Cast) -> None:
    """Though the version is the same, versions and details are fetched with the token that the PUT brings."""
    w = await world(cast, backend=QUIET)
    peer = w[cast.name]
    heard = len(peer.received)
    before = registration(w, cast.name)
    await peer.rotate()
    assert [call.module for call in peer.received[heard:]] == ["versions", "details"]
    assert registration(w, cast.name).renewed >= before.renewed
    await talks_both_ways(w, peer)


async def lost_put(w: World, peer: Peer, b: str = "token-b-of-a-lost-put") -> str:
    """A PUT of the peer's that we took, but whose answer it never saw; the token C of that answer."""
    peer.handshake.keys.accept(b)
    answer = await offer(peer, w, "PUT", peer.who.version, token_to_us(peer), peer.handshake.credentials(b))
    assert answer.ok
    peer.handshake.keys.revoke(b)
    return str(answer.data["token"])


@BOTH
async def test_a_lost_answer_to_their_put_locks_nobody_out(world: Begin, impatient: None, cast: Cast) -> None:
    """They go on with the old tokens and refuse the new one, so we go back; the token they never saw counts no more."""
    w = await world(cast, backend=QUIET)
    peer, before = w[cast.name], token_to_them(w, cast.name)
    unseen = await lost_put(w, peer)
    assert token_to_them(w, cast.name) == "token-b-of-a-lost-put"
    assert (await peer.push_token(token_of(peer))).ok  # with the token of before
    assert (await w.backend.push_tariff(tariff_of())).ok  # 401 at first
    await until(w, cast.name, lambda now: now.token_out == before)
    await peer.wait_for("PUT", "tariffs", lambda call: call.http < 300)
    assert await opens(peer, w, unseen) == (401, 2001)
    assert await opens(peer, w, token_to_us(peer)) == (200, 1000)
    peer.complaints.clear()  # of the 401s
    await peer.rotate()
    await talks_both_ways(w, peer)


@BOTH
async def test_whoever_never_saw_the_answer_may_put_again(world: Begin, cast: Cast) -> None:
    """With the old token, as often as it takes; of all the tokens only the newest counts in the end."""
    w = await world(cast, backend=QUIET)
    peer, old = w[cast.name], token_to_us(w[cast.name])
    unseen = [await lost_put(w, peer, f"token-b-{number}") for number in range(2)]
    await peer.rotate()
    await talks_both_ways(w, peer)
    for token in (old, *unseen):
        assert await opens(peer, w, token) == (401, 2001)


async def test_the_way_back_is_closed_by_the_new_token(world: Begin, impatient: None) -> None:
    """Who has used the token of the answer has seen it: a 401 afterwards is a trouble, and changes no token."""
    w = await world(VOLT, backend=QUIET)
    volt = w["volt"]
    await volt.rotate()
    assert (await volt.push_token(token_of(volt))).ok
    now = registration(w, "volt")
    assert now.former is None
    volt.fail("tariffs", http=401, status=2001)
    await w.backend.push_tariff(tariff_of())
    await volt.wait_for("PUT", "tariffs", lambda call: call.http < 300)
    assert registration(w, "volt") == now


@pytest.mark.parametrize("by", ["us", "them"])
async def test_grace_ends_though_the_new_token_was_never_used(world: Begin, by: str) -> None:
    """After ``auth.token_grace_s`` the old one is a stranger's, and no later rotation brings it back."""
    w = await world(evolve(VOLT, more="quirks: {auth.token_grace_s: 0}"), backend=QUIET)
    volt = w["volt"]
    old = token_to_us(volt)
    if by == "us":
        await w.gateway.handshakes.rotate("volt")
    else:
        await volt.rotate()
    assert await opens(volt, w, old) == (401, 2001)
    await w.gateway.handshakes.rotate("volt")
    assert await opens(volt, w, old) == (401, 2001)
    assert await opens(volt, w, token_to_us(volt)) == (200, 1000)
    assert len(registration(w, "volt").tokens_in) == 1


@pytest.mark.parametrize("start", ["us", "them"])
async def test_slow_call_backs_hold_nobody_up_trap_09(world: Begin, start: str) -> None:
    """While the answer to a POST or PUT is waited for, this partner and others are served."""
    w = await world(evolve(VOLT, start=start), ACME, backend=QUIET)
    volt, acme = w["volt"], w["acme"]
    heard, volt.handshake.pause = len(volt.received), 0.3
    rotation = asyncio.create_task(w.gateway.handshakes.rotate("volt"))
    await volt.wait_for("GET", "details", after=heard)
    assert (await acme.push_token(token_of(acme))).ok
    assert (await volt.push_token(token_of(volt))).ok
    assert not rotation.done()
    await rotation
    volt.handshake.pause = 0
    await talks_both_ways(w, volt)
