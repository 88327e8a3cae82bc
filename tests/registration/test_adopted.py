"""Partners who had registered elsewhere before: their tokens and URLs go on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from attrs import evolve
from newcomers import (
    ACME,
    BOTH,
    QUIET,
    VOLT,
    offer,
    opens,
    refiled,
    registration,
    talks_both_ways,
    tariff_of,
    token_of,
    token_to_them,
    token_to_us,
    until,
)

from gateway.demo.peers import Peer
from gateway.demo.world import Cast, World
from gateway.handshake import Standing
from gateway.web.server import in_our_words

Begin = Callable[..., Awaitable[World]]


async def moved_in(world: Begin, cast: Cast) -> tuple[World, Peer]:
    """A world where this partner's registration is adopted."""
    w = await world(evolve(cast, start="adopted"), backend=QUIET)
    return w, w[cast.name]


@BOTH
async def test_nothing_is_exchanged(world: Begin, cast: Cast) -> None:
    """Both tokens count as they are; only endpoints, and who they say they are, are looked up."""
    w, peer = await moved_in(world, cast)
    assert [(call.method, call.module) for call in peer.received] == [
        ("GET", "versions"), ("GET", "details"), ("GET", "credentials")
    ]  # fmt: skip
    assert token_to_us(peer) == f"{cast.name}-token-to-us"
    assert token_to_them(w, cast.name) == f"{cast.name}-token-to-them"
    got = await talks_both_ways(w, peer)
    assert got.segments[0] == ("NLD" if cast.country == "DEU" else "NL")  # as they write countries


@BOTH
async def test_given_endpoints_are_not_discovered(world: Begin, cast: Cast) -> None:
    """With ``endpoints`` in the file nobody is asked anything; a PUT by us finds its way from there."""
    w, peer = await moved_in(world, cast)
    modules = ("credentials", "tariffs", "locations")
    urls = ", ".join(f'{module}: "{url_of(peer, module)}"' for module in modules)
    name = cast.name
    await w.gateway.store.client.delete(w.gateway.store.keys.registration(name), w.gateway.store.keys.facts(name))
    heard = len(peer.received)
    await refiled(w, name, ("start: adopted,", f"start: adopted, endpoints: {{{urls}}},"))
    await w.registered(name)
    assert peer.received[heard:] == []
    await talks_both_ways(w, peer)
    await w.gateway.handshakes.rotate(name)
    assert token_to_us(peer) != f"{name}-token-to-us"
    await talks_both_ways(w, peer)


def url_of(peer: Peer, module: str) -> str:
    side = "" if module == "credentials" else "RECEIVER"
    return peer.who.base_url + peer.who.paths()[module, side]


@pytest.mark.parametrize("by", ["them", "us"])
@BOTH
async def test_the_first_rotation_ends_the_tokens_of_the_file(world: Begin, cast: Cast, by: str) -> None:
    """Whoever sends the PUT; from then on what lies in Redis counts, also after a restart."""
    w, peer = await moved_in(world, cast)
    name = cast.name
    if by == "them":
        await peer.rotate()
    else:
        await w.gateway.handshakes.rotate(name)
    assert await opens(peer, w, f"{name}-token-to-us") == (200, 1000)  # until the new one is used
    await talks_both_ways(w, peer)
    for _ in range(2):
        assert await opens(peer, w, f"{name}-token-to-us") == (401, 2001)
        assert token_to_them(w, name) not in ("", f"{name}-token-to-them")
        await talks_both_ways(w, peer)
        await w.restart()


@BOTH
async def test_a_lost_answer_to_their_first_put_leads_back_to_the_file(
    world: Begin, impatient: None, cast: Cast
) -> None:
    """They never saw our answer and go on with the tokens of before: so do we."""
    w, peer = await moved_in(world, cast)
    peer.handshake.keys.accept("token-b")
    answer = await offer(peer, w, "PUT", cast.version, token_to_us(peer), peer.handshake.credentials("token-b"))
    assert answer.ok
    peer.handshake.keys.revoke("token-b")
    await w.backend.push_tariff(tariff_of(id="FIRST"))
    await until(w, cast.name, lambda now: not now.tokens_in)
    await talks_both_ways(w, peer)
    assert token_to_them(w, cast.name) == f"{cast.name}-token-to-them"
    assert await opens(peer, w, str(answer.data["token"])) == (401, 2001)
    peer.complaints.clear()  # of the 401s


@pytest.mark.parametrize("by", ["them", "us"])
@BOTH
async def test_a_delete_ends_an_adopted_registration(world: Begin, cast: Cast, by: str) -> None:
    """Also the tokens of the file count no more, and no restart brings them back."""
    w, peer = await moved_in(world, cast)
    token = token_to_us(peer)
    if by == "them":
        assert (await peer.unregister()).ok
    else:
        assert await w.gateway.handshakes.unregister(cast.name) is None
    for _ in range(2):
        assert await opens(peer, w, token) == (401, 2001)
        assert token_to_them(w, cast.name) == ""
        assert w.gateway.links.standing(cast.name) is Standing.NEW
        await w.restart()


async def test_a_post_is_405_while_it_counts_as_registered(world: Begin) -> None:
    """An adopted link is registered: PUT and DELETE are open to it, POST isn't."""
    w, volt = await moved_in(world, VOLT)
    refused = await offer(volt, w, "POST", "2.2.1", token_to_us(volt), volt.handshake.credentials("token-b"))
    assert (refused.http, refused.headers["allow"]) == (405, "GET, PUT, DELETE")


# Old URLs -------------------------------------------------------------------------------------------------------------

ALIASES = """
aliases:
  /roaming/versions: /ocpi/versions
  /roaming/cpo/2.1.1: /ocpi/2.1.1/cpo
  /roaming/cpo/2.1.1/credentials: /ocpi/2.1.1/credentials
  /roaming: /ocpi
"""


@pytest.fixture
async def moved(world: Begin) -> tuple[World, Peer]:
    """A 2.1.1 partner that calls the URLs of its former counterpart."""
    w, acme = await moved_in(world, ACME)
    config = w.folder / "config" / "gateway.yaml"
    config.write_text(config.read_text() + ALIASES)
    heard = len(acme.received)
    await refiled(w, "acme")
    await acme.wait_for("GET", "credentials", after=heard)  # they are looked up at each start
    theirs = acme.counterpart
    theirs.versions_url = f"{w.settings.public_url}/roaming/versions"
    for (module, side), url in list(theirs.endpoints.items()):
        old = url.replace("/ocpi/2.1.1/cpo", "/roaming/cpo/2.1.1")
        theirs.endpoints[module, side] = old.replace("/ocpi/2.1.1/credentials", "/roaming/cpo/2.1.1/credentials")
    return w, acme


async def test_old_urls_of_all_kinds_work(moved: tuple[World, Peer]) -> None:
    """Versions, credentials and modules of before lead where they meant; what we tell them are the new ones."""
    w, acme = moved
    assert all("/roaming/" in url for url in acme.counterpart.endpoints.values())
    base = w.settings.public_url
    told = await acme.line.ask("GET", f"{base}/roaming/versions")
    assert told.data == [{"version": "2.1.1", "url": f"{base}/ocpi/2.1.1"}]
    assert (await acme.get("credentials")).data["token"] == "acme-token-to-us"
    assert (await acme.push_token(token_of(acme))).ok
    assert (await w.backend.wait_for("PUT", "tokens")).segments[-1] == "04AC3E0001"
    for path in ("/roaming/2.1.1", "/roaming/2.1.1/", "/roaming/versions/"):
        assert await opens(acme, w, token_to_us(acme), path) == (200, 1000)


async def test_whoever_comes_by_old_urls_may_rotate_and_leave(moved: tuple[World, Peer]) -> None:
    """A PUT from the old versions URL discovers the new ones; tokens change, and everything goes on."""
    w, acme = moved
    await acme.rotate()
    assert acme.counterpart.endpoints["credentials", ""] == f"{w.settings.public_url}/ocpi/2.1.1/credentials"
    await talks_both_ways(w, acme)
    assert (await acme.unregister()).ok
    assert registration(w, "acme").standing is Standing.NEW


async def test_an_old_url_opens_nothing_to_strangers(moved: tuple[World, Peer]) -> None:
    """Without a token it is 401 as anywhere, and what no alias begins with is nothing."""
    w, acme = moved
    for path, expected in (("/roaming/versions", 401), ("/roamingversions", 404), ("/roaming2/versions", 404)):
        assert (await opens(acme, w, "nobody-has-this-one", path))[0] == expected


PATHS = {
    "/old/cpo/2.1.1/tokens/NL/EXA/1": "/ocpi/2.1.1/cpo/tokens/NL/EXA/1",
    "/old/cpo/2.1.1": "/ocpi/2.1.1/cpo",
    "/old/cpo/2.1.1/": "/ocpi/2.1.1/cpo/",
    "/old/cpo/2.1.1/credentials": "/ocpi/2.1.1/credentials",
    "/old/cpo/2.1.1/credentials2": "/ocpi/2.1.1/cpo/credentials2",
    "/old/cpo/2.1.10/tokens": "/old/cpo/2.1.10/tokens",
    "/old/cpo": "/old/cpo",
    "/ocpi/old/cpo/2.1.1": "/ocpi/old/cpo/2.1.1",
    "/old/cpo/2.1.1/tokens/a%2Fb/%2e%2e": "/ocpi/2.1.1/cpo/tokens/a%2Fb/%2e%2e",
}


@pytest.mark.parametrize("path", PATHS)
def test_an_alias_stands_for_whole_segments_and_the_longest_wins(path: str) -> None:
    """What is encoded stays so."""
    aliases = [("/old/cpo/2.1.1/credentials", "/ocpi/2.1.1/credentials"), ("/old/cpo/2.1.1", "/ocpi/2.1.1/cpo")]
    assert in_our_words(path, aliases) == PATHS[path]
