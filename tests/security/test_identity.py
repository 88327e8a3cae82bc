"""Who is let in, and that everybody who isn't hears the same: list A of the security tests, over real sockets."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from witness import Reply, ask, say, stored, town, untouched

from gateway.demo.peers import Peer
from gateway.demo.world import World
from gateway.web.identity import new_token

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATHS = ("/ocpi/versions", "/ocpi/2.1.1", "/ocpi/2.2.1/credentials", "/ocpi/2.2.1/receiver/tokens/DE/VLT/1")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Everybody is registered; no test here changes anything."""
    async with town(tmp_path_factory.mktemp("town")) as world:
        yield world


async def get(world: World, *authorization: bytes, path: str = "/ocpi/versions") -> Reply:
    """A GET with these Authorization headers, as the bytes that they are."""
    lines = b"".join(b"Authorization: " + value + b"\r\n" for value in authorization)
    head = b"GET %s HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n" % path.encode()
    return await say(world.gateway.ocpi, head + lines + b"\r\n")


def token_of(peer: Peer) -> bytes:
    assert peer.counterpart.token is not None
    return peer.counterpart.token.encode()


STRANGERS = {
    "nothing": (),
    "an empty header": (b"",),
    "a scheme alone": (b"Token",),
    "a scheme and a space": (b"Token ",),
    "two spaces": (b"Token  abc",),
    "two words": (b"Token abc def",),
    "another scheme": (b"Bearer abcdefgh",),
    "Basic": (b"Basic dXNlcjpwYXNz",),
    "nobody's token": (b"Token nobody-has-this-one",),
    "nobody's token in Base64": (b"Token " + base64.b64encode(b"nobody-has-this-one"),),
    "a spent token A": (b"Token volt-token-a",),
    "broken Base64": (b"Token YWJj=ZGVm",),
    "Base64 of no UTF-8": (b"Token " + base64.b64encode(b"\xff\xfe\xfd"),),
    "Base64 of nothing": (b"Token " + base64.b64encode(b"\n"),),
    "no ASCII": ("Token tökén".encode(),),
    "a long one": (b"Token " + b"x" * 4000,),
}


@pytest.mark.parametrize("who", STRANGERS)
async def test_a_stranger_hears_nothing_but_401(world: World, who: str) -> None:
    """On every path, existing or not, the same answer but for its time and the version's own headers."""
    async with untouched(world):
        answers = [await get(world, *STRANGERS[who], path=path) for path in PATHS]
    for answer in answers:
        assert answer.outcome == (401, 2001)
        assert answer.headers["www-authenticate"] == "Token"
        assert {**answer.envelope, "timestamp": None} == {
            "status_code": 2001, "status_message": "no valid credentials token", "timestamp": None
        }  # fmt: skip


async def test_a_doubled_header_is_refused_though_both_are_good(world: World) -> None:
    """400: which of two tokens counts would be anybody's guess."""
    mine = b"Token " + token_of(world["acme"])
    async with untouched(world):
        assert (await get(world, mine, mine)).outcome == (400, 2001)
        assert (await get(world, mine, b"Token nobody-has-this-one")).outcome == (400, 2001)


@pytest.mark.parametrize("name", ["acme", "volt"])
@pytest.mark.parametrize("form", ["raw", "base64", "base64 with a newline", "lower-case scheme"])
async def test_every_form_of_a_token_means_the_same_link(world: World, name: str, form: str) -> None:
    """Raw, in Base64, and in Base64 with the newline that the specification's own example has."""
    token = token_of(world[name])
    written = {
        "raw": b"Token " + token,
        "base64": b"Token " + base64.b64encode(token),
        "base64 with a newline": b"Token " + base64.b64encode(token + b"\n"),
        "lower-case scheme": b"token " + token,
    }[form]
    version = world[name].who.version
    answer = await get(world, written)
    assert answer.outcome == (200, 1000)
    assert [offer["version"] for offer in answer.envelope["data"]] == [version]
    told = await get(world, written, path=f"/ocpi/{version}/credentials")
    assert told.envelope["data"]["token"].encode() == token  # decoded, without the newline


async def test_a_partners_token_opens_its_own_link_only(world: World) -> None:
    """On the other version's endpoints it is 404, whatever stands there."""
    async with untouched(world):
        for name, other in (("acme", "2.2.1/receiver"), ("volt", "2.1.1/cpo")):
            for path in (f"/ocpi/{other}/tokens/DE/{world[name].who.roles[0].party_id}/1", f"/ocpi/{other[:5]}"):
                answer = await ask(world[name], "PUT" if "tokens" in path else "GET", path, {})
                assert answer.http == 404
                assert answer.status_code is not None


async def test_tokens_that_we_issue_are_long_and_all_different(world: World) -> None:
    """At least 256 bits, at most 64 characters of printable ASCII, none twice. Spec: 2.2.1 credentials, token."""
    tokens = {new_token() for _ in range(1000)} | {token_of(peer).decode() for peer in world.partners.values()}
    assert len(tokens) == 1000 + len(world.partners)
    assert all(43 <= len(token) <= 64 and token.isascii() and token.isprintable() for token in tokens)


async def test_no_token_lies_in_redis_in_clear(world: World) -> None:
    """What opens our door is stored as a keyed digest: reading Redis lets nobody in."""
    contents = repr(await stored(world))
    for peer in world.partners.values():
        assert token_of(peer).decode() not in contents
        assert base64.b64encode(token_of(peer)).decode() not in contents
