"""Which version is spoken: chosen by whoever is called, changed by a PUT, up and down, by either side."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest
from attrs import evolve
from newcomers import (
    ACME,
    NEW,
    OLD,
    QUIET,
    VOLT,
    offer,
    opens,
    refiled,
    registration,
    talks_both_ways,
    tariff_of,
    token_to_us,
    trouble,
    until,
)
from structlog.testing import capture_logs

from gateway.demo.identity import authorization
from gateway.demo.peers import Peer
from gateway.demo.world import Cast, World
from gateway.handshake import Lost
from gateway.model.errors import GatewayError

Begin = Callable[..., Awaitable[World]]

OLD_FIRST = evolve(ACME, also_version=NEW)
NEW_FIRST = evolve(VOLT, also_version=OLD)


async def speaks(w: World, peer: Peer, version: str) -> None:
    """Both sides speak this version from now on: its shapes, endpoints and form of the token; the other is gone."""
    link = w.gateway.links.directory[peer.name].dialect
    assert (peer.who.version, link.version) == (version, version)
    got = await talks_both_ways(w, peer)
    assert got.version == version
    assert ("party_id" in got.body) == (version == NEW)
    token = w.gateway.links.token_out(peer.name)[0]
    assert got.headers["authorization"] == authorization(version, token)
    for other, segment in ((OLD, "2.1.1/cpo"), (NEW, "2.2.1/receiver")):
        path = f"/ocpi/{segment}/tokens/DE/{peer.party[1]}/04AC3E0001"
        asked = await peer.line.ask("GET", w.settings.public_url + path, sender=peer.party if other == NEW else None)
        assert asked.http == (200 if other == version else 404)


@pytest.mark.parametrize("start", ["us", "them"])
async def test_their_put_on_the_other_endpoint_changes_the_version_check_22(world: Begin, start: str) -> None:
    """From 2.1.1 up to 2.2.1, and back down; whoever had begun, and with new tokens each time."""
    w = await world(evolve(OLD_FIRST, start=start, listed=(OLD,)), backend=QUIET)
    acme = w["acme"]
    await speaks(w, acme, OLD)
    acme.list_versions()
    for version in (NEW, OLD):
        token = token_to_us(acme)
        await acme.rotate(version)
        await speaks(w, acme, version)
        assert await opens(acme, w, token) == (401, 2001)


async def test_a_refresh_of_ours_moves_to_the_best_version(world: Begin) -> None:
    """They have 2.2.1 by now: the PUT goes there. A rotation stays where it is."""
    w = await world(evolve(NEW_FIRST, start="us", listed=(OLD,)), backend=QUIET)
    volt = w["volt"]
    await speaks(w, volt, OLD)
    volt.list_versions()
    await w.gateway.handshakes.rotate("volt")
    await speaks(w, volt, OLD)
    await w.gateway.handshakes.refresh("volt")
    await speaks(w, volt, NEW)
    volt.list_versions(OLD)
    await w.gateway.handshakes.refresh("volt")
    await speaks(w, volt, OLD)


async def test_a_lost_answer_on_the_way_up_is_asked_for_again(world: Begin, impatient: None) -> None:
    """The PUT that changes the version got there, and its answer didn't come back: the same PUT settles it."""
    w = await world(evolve(NEW_FIRST, start="us", listed=(OLD,)), backend=QUIET)
    volt = w["volt"]
    volt.list_versions()
    volt.fail("credentials", "PUT", applied=True, drop=True)
    with pytest.raises(Lost):
        await w.gateway.handshakes.refresh("volt")
    await until(w, "volt", lambda now: now.version == NEW)
    await speaks(w, volt, NEW)


async def test_what_met_the_change_of_version_goes_out_in_the_new_one(world: Begin) -> None:
    """A push in the old version came too late and was refused: it is owed again in the new one."""
    w = await world(OLD_FIRST, backend=QUIET)
    acme = w["acme"]
    acme.fail("tariffs", http=404, status=2000)
    assert (await w.backend.push_tariff(tariff_of())).ok
    await acme.wait_for("PUT", "tariffs", lambda call: call.http == 404)
    await w.gateway.courier.settle_down(5)
    await acme.rotate(NEW)
    assert (await acme.wait_for("PUT", "tariffs", count=2)).version == NEW


async def test_a_change_of_version_that_fails_changes_nothing(world: Begin) -> None:
    """They refuse our PUT, or we can't use what they have in the other version."""
    w = await world(evolve(OLD_FIRST, listed=(OLD,)), backend=QUIET)
    acme, before = w["acme"], registration(w, "acme")
    acme.list_versions()
    acme.fail("details", body=b'{"status_code": 1000, "data": {"version": "2.2.1", "endpoints": []}}')
    acme.handshake.keys.accept("token-b")
    refused = await offer(acme, w, "PUT", NEW, token_to_us(acme), acme.handshake.credentials("token-b", NEW))
    assert refused.status_code == 3003
    acme.fail("credentials", "PUT", status=3001)
    with pytest.raises(GatewayError):
        await w.gateway.handshakes.refresh("acme")
    acme.complaints.clear()
    assert registration(w, "acme") == before
    await speaks(w, acme, OLD)


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_the_endpoint_that_is_called_decides_trap_12(world: Begin, version: str) -> None:
    """Both versions are offered and both sides have both: a POST on one of them registers that one."""
    cast = ACME if version == OLD else VOLT
    both = evolve(cast, also_version=NEW if version == OLD else OLD)
    w = await world(both, backend=QUIET)
    peer = w[cast.name]
    token = token_to_us(peer)
    listed = await peer.line.ask("GET", w.versions_url, token=token)
    assert [entry["version"] for entry in listed.data] == [OLD, NEW]
    await speaks(w, peer, version)


@pytest.mark.parametrize("version", [OLD, NEW])
async def test_details_of_each_offered_version_are_of_that_version(world: Begin, version: str) -> None:
    """Whichever is spoken now: endpoints of 2.1.1 have no role, those of 2.2.1 do, and the URLs are its own."""
    w = await world(OLD_FIRST if version == OLD else NEW_FIRST, backend=QUIET)
    (peer,) = w.partners.values()
    for offered in (OLD, NEW):
        told = await peer.line.ask("GET", f"{w.settings.public_url}/ocpi/{offered}", token=token_to_us(peer))
        endpoints = told.data["endpoints"]
        assert {"role" in endpoint for endpoint in endpoints} == {offered == NEW}
        assert all(f"/ocpi/{offered}/" in endpoint["url"] for endpoint in endpoints)
        said = await peer.line.ask(
            "GET", f"{w.settings.public_url}/ocpi/{offered}/credentials", token=token_to_us(peer)
        )
        assert ("roles" in said.data) == (offered == NEW)


async def test_only_what_is_offered_may_be_put_to(world: Begin) -> None:
    """The link's file has one version: a PUT on the other one's endpoint is 404, and nothing changes."""
    w = await world(ACME, backend=QUIET)
    acme, before = w["acme"], registration(w, "acme")
    answer = await offer(acme, w, "PUT", NEW, token_to_us(acme), acme.handshake.credentials("token-b", NEW))
    assert answer.http == 404
    assert registration(w, "acme") == before
    acme.complaints.clear()


LISTS: dict[str, tuple[Cast, tuple[str, ...], str]] = {
    "unknown ones are passed over": (ACME, ("2.0", OLD, "9.9"), OLD),
    "the best of ours": (NEW_FIRST, ("2.0", OLD, NEW), NEW),
    "the best that they have": (NEW_FIRST, ("2.0", OLD), OLD),
}


@pytest.mark.parametrize("what", LISTS)
async def test_we_choose_the_best_common_version_check_24(world: Begin, what: str) -> None:
    """Of their list and ours; what nobody here knows is no error."""
    cast, listed, wanted = LISTS[what]
    w = await world(evolve(cast, start="us", listed=listed), backend=QUIET)
    (peer,) = w.partners.values()
    await speaks(w, peer, wanted)


async def test_without_a_common_version_nothing_is_posted_check_24(world: Begin) -> None:
    """They list 2.0 alone: no POST, an alarm with what to do, and the door stays closed."""
    with capture_logs() as logs:
        w = await world(evolve(ACME, start="us", listed=("2.0",)), backend=QUIET)
        told = await trouble(w, "acme", lambda told: told is not None)
    assert told is not None
    assert told.reason == "versions offered: 2.0; wanted: 2.1.1"
    assert told.todo == "agree on a version with them, and write it into the file"
    (alarm,) = [line for line in logs if line["event"] == "partner.handshake_failed"]
    assert (alarm["log_level"], alarm["partner"], alarm["status"]) == ("error", "acme", 3002)
    assert [call.module for call in w["acme"].received] == ["versions"]
    assert not w.gateway.links.directory["acme"].registered


@pytest.mark.parametrize("start", ["us", "them"])
async def test_a_version_may_go_by_another_name(world: Begin, start: str) -> None:
    """Their list calls 2.2.1 "2.2": with ``version.aliases`` that is the one; without, there is none in common."""
    cast = evolve(VOLT, start=start, listed=("2.0",), more='quirks: {version.aliases: {"2.2": "2.2.1"}}')
    w = await world(cast, register=False, backend=QUIET)
    volt = w["volt"]
    entry = [{"version": "2.2", "url": f"{volt.who.base_url}/ocpi/2.2.1"}]
    volt.fail("versions", body=json.dumps({"status_code": 1000, "data": entry}).encode(), times=10)
    if start == "us":
        await trouble(w, "volt", lambda told: told is not None)
        await w.gateway.handshakes.register("volt")
    else:
        await volt.register(w.versions_url, "volt-token-a")
    await w.registered("volt")
    await speaks(w, volt, NEW)


async def test_a_file_that_drops_the_version_in_use_moves_the_link(world: Begin, impatient: None) -> None:
    """The registration speaks 2.1.1, the file has 2.2.1 alone by now: at the next start we PUT there."""
    w = await world(evolve(NEW_FIRST, start="us", listed=(OLD,)), backend=QUIET)
    volt = w["volt"]
    assert registration(w, "volt").version == OLD
    volt.list_versions()
    await refiled(w, "volt", ('version: ["2.2.1", "2.1.1"]', 'version: ["2.2.1"]'))
    await until(w, "volt", lambda now: now.version == NEW)
    await speaks(w, volt, NEW)


async def test_a_version_that_they_dont_have_is_gone_on_with(world: Begin) -> None:
    """The file has dropped what is spoken, and they have nothing else: it goes on, and people are told."""
    w = await world(evolve(NEW_FIRST, start="us", listed=(OLD,)), backend=QUIET)
    volt = w["volt"]
    await refiled(w, "volt", ('version: ["2.2.1", "2.1.1"]', 'version: ["2.2.1"]'))
    told = await trouble(w, "volt", lambda told: told is not None)
    assert told is not None
    assert told.reason == "versions offered: 2.1.1; wanted: 2.2.1"
    assert (await talks_both_ways(w, volt)).version == OLD
