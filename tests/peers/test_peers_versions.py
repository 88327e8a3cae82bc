"""Simulated peers that speak both versions, list odd ones, or lose and delay answers of the handshake."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from people import NEW, OLD, a_tariff, a_token, peers, registered

from gateway.demo.peers import HandshakeFailed, Peer


def of_both(version: str) -> tuple[Peer, Peer]:
    """A CPO and an eMSP that begin with ``version`` and speak the other one too."""
    other = NEW if version == OLD else OLD
    cpo = Peer("cpo", version, "CPO", "NLD" if version == OLD else "NL", "EXA", "Example", also_version=other)
    emsp = Peer(
        "emsp", version, "EMSP", "DEU" if version == OLD else "DE", "ACM", "Acme", also_version=other, token_a="by-mail"
    )
    return cpo, emsp


@pytest.mark.parametrize(("before", "after"), [(OLD, NEW), (NEW, OLD)], ids=["upgrade", "downgrade"])
async def test_a_put_on_the_other_version_moves_both(before: str, after: str) -> None:
    """From then on they speak it: objects, tokens and endpoints are the other version's, the old ones are gone."""
    cpo, emsp = of_both(before)
    async with cpo, emsp:
        await cpo.register(emsp.versions_url, "by-mail")
        assert (await emsp.push_token(a_token(before, emsp))).http == 201
        assert (await cpo.rotate(after)).ok
        assert cpo.who.version == emsp.who.version == after
        url = emsp.counterpart.endpoints["tokens", "RECEIVER"]
        assert (await cpo.push_tariff(a_tariff(after, cpo))).http == 201
        assert (await emsp.push_token(a_token(after, emsp))).ok
        assert (await emsp.rotate(before)).ok
        assert cpo.who.version == emsp.who.version == before
        assert (await cpo.push_tariff(a_tariff(before, cpo))).ok
        assert cpo.complaints == emsp.complaints == []
        assert (await emsp.call_url("GET", url, "tokens")).http == 404


async def test_country_codes_follow_the_version() -> None:
    """A peer that writes DEU on 2.1.1 is DE on 2.2.1, and DEU again when it goes back."""
    emsp = of_both(OLD)[1]
    assert emsp.party == ("DEU", "ACM")
    emsp.who.speak(NEW)
    assert emsp.party == ("DE", "ACM")
    emsp.who.speak(OLD)
    assert emsp.party == ("DEU", "ACM")
    with pytest.raises(ValueError, match="doesn't speak"):
        emsp.who.speak("2.3.0")


async def test_a_move_that_fails_changes_nothing() -> None:
    """Whoever wants a version that the other end doesn't have stays where it is."""
    cpo, _ = of_both(OLD)
    emsp = Peer("emsp", OLD, "EMSP", "DEU", "ACM", "Acme", token_a="by-mail")
    async with cpo, emsp:
        await cpo.register(emsp.versions_url, "by-mail")
        with pytest.raises(HandshakeFailed, match=r"doesn't offer 2\.2\.1"):
            await cpo.rotate(NEW)
        assert cpo.who.version == OLD
        assert (await cpo.push_tariff(a_tariff(OLD, cpo))).http == 201


async def test_a_list_of_odd_versions() -> None:
    """What is listed needn't be spoken: a good peer picks its own, and there is none to be picked elsewhere."""
    cpo, emsp = peers(OLD)
    async with cpo, emsp:
        emsp.list_versions("2.0", OLD, "9.9")
        await cpo.register(emsp.versions_url, "by-mail")
        versions = await cpo.line.ask("GET", emsp.versions_url)
        assert [entry["version"] for entry in versions.data] == ["2.0", OLD, "9.9"]
        assert (await cpo.line.ask("GET", versions.data[2]["url"])).http == 404
    cpo, emsp = peers(OLD)
    async with cpo, emsp:
        emsp.list_versions("2.0")
        with pytest.raises(HandshakeFailed, match="doesn't offer"):
            await cpo.register(emsp.versions_url, "by-mail")


async def test_a_lost_answer_locks_nobody_out() -> None:
    """The answer to a PUT is lost: the old token opens the door until its successor is used."""
    async with registered(NEW) as (cpo, emsp):
        old = cpo.counterpart.token
        emsp.fail("credentials", "PUT", applied=True, drop=True)
        with pytest.raises(aiohttp.ClientError):
            await cpo.rotate()
        assert cpo.counterpart.token == old
        assert (await cpo.push_tariff(a_tariff(NEW, cpo))).http == 201


async def test_slow_handshakes() -> None:
    """A peer may take its time: before it calls back, and before it answers."""
    cpo, emsp = peers(NEW)
    async with cpo, emsp:
        emsp.handshake.pause = 0.02
        emsp.slow("versions", seconds=0.02)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await cpo.register(emsp.versions_url, "by-mail")
        assert loop.time() - begun >= 0.06
        begun = loop.time()
        emsp.slow("tariffs", "PUT", seconds=0.02, times=2)
        assert [(await cpo.push_tariff(a_tariff(NEW, cpo))).http for _ in range(3)] == [201, 200, 200]
        assert loop.time() - begun >= 0.04


async def test_versions_that_no_peer_speaks() -> None:
    """A peer speaks 2.1.1, 2.2.1, or both."""
    for versions in (("2.3.0", None), (OLD, "2.3.0"), (OLD, OLD)):
        with pytest.raises(ValueError, match="a peer speaks"):
            Peer("odd", versions[0], "CPO", "NL", "EXA", "Example", also_version=versions[1])
