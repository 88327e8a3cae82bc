"""We register with partners, who call us back inside our POST; and what is left when that fails."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from witness import outcome, stored

from gateway.demo.peers import Peer, Role
from gateway.demo.story import tariff
from gateway.demo.world import Cast, World
from gateway.model.errors import GatewayError, InvalidObject, ReceiverError

ACME = Cast(name="acme", version="2.1.1", country="DEU", party="ACM", start="us")
VOLT = Cast(name="volt", version="2.2.1", party="VLT", business="Volt Drive", start="us")
BOTH = pytest.mark.parametrize("cast", [ACME, VOLT], ids=lambda cast: cast.version)


async def opens(peer: Peer, world: World, token: str) -> Any:
    """What this token gets for the versions list."""
    return outcome(await peer.line.ask("GET", world.versions_url, token=token))


async def starting_over(world: World, name: str) -> Peer:
    """The peer after it has left and given us a token A again."""
    peer = world[name]
    assert (await peer.unregister()).ok
    peer.hand_out(f"{name}-token-a")
    return peer


@BOTH
async def test_our_token_b_is_good_before_the_post_is_answered_check_17_trap_08(tmp_path: Path, cast: Cast) -> None:
    """The peer calls back with it inside the POST, and afterwards each side has the other's token."""
    async with World.of(tmp_path, cast) as world:
        peer = world[cast.name]
        assert [(call.method, call.module) for call in peer.received] == [
            ("GET", "versions"), ("GET", "details"), ("POST", "credentials")
        ]  # fmt: skip
        token_b = peer.received[-1].body["token"]
        assert peer.counterpart.token == token_b  # kept by the peer only after it has read our endpoints with it
        assert await opens(peer, world, token_b) == (200, 1000)
        await world.backend.push_tariff(tariff(datetime.now(UTC)))
        await peer.wait_for("PUT", "tariffs")  # with the token C of the answer
        assert world.complaints == []


@BOTH
async def test_a_partner_may_rotate_what_we_began(tmp_path: Path, cast: Cast) -> None:
    """Whoever began, both may PUT; the token before it ends with the first use of the new one."""
    async with World.of(tmp_path, cast) as world:
        peer = world[cast.name]
        old = peer.counterpart.token or ""
        await peer.rotate()
        assert await opens(peer, world, peer.counterpart.token or "") == (200, 1000)
        assert await opens(peer, world, old) == (401, 2001)
        assert world.complaints == []


@BOTH
async def test_two_letters_are_written_while_there_is_nothing_to_mirror(tmp_path: Path, cast: Cast) -> None:
    """The first credentials have alpha-2; after the answer they are written as the partner writes its own."""
    async with World.of(tmp_path, cast) as world:
        peer = world[cast.name]
        said = peer.received[-1].body
        told = (await peer.get("credentials")).data
        if cast.version == "2.1.1":
            assert (said["country_code"], told["country_code"]) == ("NL", "NLD")
        else:
            assert said["roles"] == told["roles"]


FAILURES: dict[str, tuple[str, str | None, dict[str, Any]]] = {
    "the POST is refused": ("credentials", "POST", {"status": 3001}),
    "the POST breaks off": ("credentials", "POST", {"drop": True}),
    "the POST is a redirect": ("credentials", "POST", {"http": 302}),
    "they have us registered": ("credentials", "POST", {"http": 405, "status": 2000}),
    "the answer is no credentials": ("credentials", "POST", {"body": b'{"status_code":1000,"data":{"token":"x"}}'}),
    "versions can't be read": ("versions", None, {"http": 500}),
    "details can't be read": ("details", None, {"http": 500}),
    "not our version": (
        "versions",
        None,
        {"body": b'{"status_code":1000,"data":[{"version":"2.0","url":"http://x/"}]}'},
    ),
    "no endpoints": ("details", None, {"body": b'{"status_code":1000,"data":{"endpoints":[]}}'}),
}


@pytest.mark.parametrize("what", FAILURES)
@BOTH
async def test_what_fails_leaves_no_door_open(tmp_path: Path, cast: Cast, what: str) -> None:
    """The registration is as before, and the token B that was already out opens nothing; the next attempt succeeds."""
    module, method, how = FAILURES[what]
    async with World.of(tmp_path, cast) as world:
        peer = await starting_over(world, cast.name)
        before = world.gateway.links.registration(cast.name)
        tokens = {key for key in await stored(world) if b":cred:" in key}
        heard = len(peer.received)
        peer.fail(module, method, **how)
        with pytest.raises(GatewayError):
            await world.gateway.handshakes.register(cast.name)
        assert world.gateway.links.registration(cast.name) == before
        assert {key for key in await stored(world) if b":cred:" in key} == tokens
        for call in peer.received[heard:]:
            if call.method == "POST":
                assert await opens(peer, world, call.body["token"]) == (401, 2001)
        await world.gateway.handshakes.register(cast.name)
        assert world.gateway.links.directory[cast.name].registered
        assert await opens(peer, world, peer.received[-1].body["token"]) == (200, 1000)


async def test_a_405_says_what_to_do(tmp_path: Path) -> None:
    """Who has us registered already must unregister us, or send a new token."""
    async with World.of(tmp_path, VOLT) as world:
        volt = await starting_over(world, "volt")
        volt.fail("credentials", "POST", http=405, status=2000)
        with pytest.raises(ReceiverError, match="ask them to unregister us"):
            await world.gateway.handshakes.register("volt")


@BOTH
async def test_an_answer_that_claims_more_is_refused(tmp_path: Path, cast: Cast) -> None:
    """Credentials of somebody else than the file says, in the answer to our POST: no registration, no open door."""
    async with World.of(tmp_path, cast) as world:
        peer = await starting_over(world, cast.name)
        honest = peer.who.roles
        peer.who.roles = (Role("EMSP", "DE", "EVL", "Evil"),)
        with pytest.raises(InvalidObject, match=r"\$\.roles\[0\]: DE-EVL"):
            await world.gateway.handshakes.register(cast.name)
        assert not world.gateway.links.directory[cast.name].registered
        assert await opens(peer, world, peer.received[-1].body["token"]) == (401, 2001)
        peer.who.roles = honest


@BOTH
async def test_the_form_of_a_token_is_found_out(tmp_path: Path, cast: Cast) -> None:
    """Where the likely form gets 401 the other is tried, and then kept for everything."""
    async with World.of(tmp_path, Cast(name="fix", version=cast.version, start="none")) as world:
        peer, gateway = world["fix"], world.gateway
        peer.fail("versions", http=401, status=2001)
        heard = len(peer.received)
        # The other form is 401 to this peer too, as it reads its version's alone: both are tried, and no third.
        with pytest.raises(GatewayError, match="Base64 and raw"):
            await gateway.handshakes.register("fix")
        first, second = (call.headers["authorization"] for call in peer.received[heard:])
        forms = ["Token fix-token-to-them", "Token Zml4LXRva2VuLXRvLXRoZW0="]
        assert [first, second] == (forms if cast.version == "2.1.1" else forms[::-1])
        assert gateway.links.directory["fix"].registered  # as it was before
