"""Partners register with us: the door that their token A opens, and what is behind it afterwards."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from witness import UNTOLD, ask, outcome, untouched

from gateway.demo.peers import HandshakeFailed, Peer, Role
from gateway.demo.story import stamp, tariff
from gateway.demo.world import CORE, Cast, World

ACME = Cast(name="acme", version="2.1.1", country="DEU", party="ACM")
VOLT = Cast(name="volt", version="2.2.1", party="VLT", business="Volt Drive")
QUIET = evolve(CORE, more=UNTOLD)
BOTH = pytest.mark.parametrize("cast", [ACME, VOLT], ids=lambda cast: cast.version)


def token_a(peer: Peer) -> str:
    return f"{peer.name}-token-a"


def credentials_path(peer: Peer) -> str:
    return f"/ocpi/{peer.who.version}/credentials"


async def with_token(peer: Peer, world: World, token: str, method: str = "GET", path: str = "/ocpi/versions") -> Any:
    """A request with this token, which need not be the peer's."""
    return outcome(await peer.line.ask(method, world.settings.public_url + path, token=token))


async def offer(peer: Peer, world: World, body: Any, token: str | None = None, method: str = "POST") -> Any:
    """Credentials as the peer would not send them by itself."""
    url = world.settings.public_url + credentials_path(peer)
    return await peer.line.ask(method, url, token=token or token_a(peer), body=body)


@BOTH
async def test_we_call_back_with_token_b_inside_the_post(tmp_path: Path, cast: Cast) -> None:
    """Versions and details are read with the token of the POST's body, and both sides are registered afterwards."""
    async with World.of(tmp_path, cast, backend=QUIET) as world:
        peer = world[cast.name]
        calls = [(call.method, call.module) for call in peer.received]
        assert calls == [("GET", "versions"), ("GET", "details")]
        assert world.gateway.links.directory[cast.name].registered
        assert await with_token(peer, world, peer.counterpart.token or "") == (200, 1000)
        assert world.complaints == []


@BOTH
async def test_token_a_is_spent_by_registering(tmp_path: Path, cast: Cast) -> None:
    """Afterwards it is a stranger's: 401 on versions and on credentials."""
    async with World.of(tmp_path, cast, backend=QUIET) as world:
        peer = world[cast.name]
        async with untouched(world):
            assert await with_token(peer, world, token_a(peer)) == (401, 2001)
            assert await with_token(peer, world, token_a(peer), "POST", credentials_path(peer)) == (401, 2001)


@BOTH
async def test_token_a_opens_versions_details_and_credentials_only_check_16_trap_07(tmp_path: Path, cast: Cast) -> None:
    """On a functional module it is 401, and nobody hears of it."""
    async with World.of(tmp_path, cast, register=False, backend=QUIET) as world:
        peer, version = world[cast.name], cast.version
        segment = "cpo" if version == "2.1.1" else "receiver"
        async with untouched(world):
            for path in ("/ocpi/versions", f"/ocpi/{version}", credentials_path(peer)):
                assert await with_token(peer, world, token_a(peer), path=path) == (200, 1000)
            for method in ("GET", "PUT", "POST"):
                path = f"/ocpi/{version}/{segment}/tokens/DE/{cast.party}/04AABBCC"
                assert await with_token(peer, world, token_a(peer), method, path) == (401, 2001)


async def test_credentials_are_flat_in_2_1_1_and_have_roles_in_2_2_1_check_18(tmp_path: Path) -> None:
    """Each version gets its own object, with the token that it presented; the other version's is refused."""
    async with World.of(tmp_path, ACME, VOLT, register=False, backend=QUIET) as world:
        acme, volt = world["acme"], world["volt"]
        flat = (await ask_a(acme, world)).data
        assert flat == {
            "token": "acme-token-a", "url": world.versions_url, "party_id": "EXA", "country_code": "NL",
            "business_details": {"name": "Example Charging"},
        }  # fmt: skip
        roles = (await ask_a(volt, world)).data
        assert roles == {
            "token": "volt-token-a", "url": world.versions_url,
            "roles": [{"role": "CPO", "party_id": "EXA", "country_code": "NL",
                       "business_details": {"name": "Example Charging"}}],
        }  # fmt: skip
        async with untouched(world):
            mixed_up = await offer(acme, world, volt.handshake.credentials("acme-token-b"))
            assert (outcome(mixed_up), mixed_up.message) == ((200, 2001), "$.business_details: required")
            mixed_up = await offer(volt, world, acme.handshake.credentials("volt-token-b"))
            assert (outcome(mixed_up), mixed_up.message) == ((200, 2001), "$.roles: required")


async def ask_a(peer: Peer, world: World) -> Any:
    return await peer.line.ask("GET", world.settings.public_url + credentials_path(peer), token=token_a(peer))


async def test_the_backend_reads_the_credentials_of_a_hub(tmp_path: Path) -> None:
    """To it the gateway is a hub, whatever else it is to partners."""
    async with World.of(tmp_path, ACME, backend=QUIET) as world:
        told = await world.backend.get("credentials")
        assert [(role["role"], role["country_code"], role["party_id"]) for role in told.data["roles"]] == [
            ("HUB", "NL", "GWY")
        ]


@BOTH
async def test_a_put_rotates_and_locks_nobody_out_check_21(tmp_path: Path, cast: Cast) -> None:
    """The old token is good until the new one is used: the answer to the PUT may be lost on the way."""
    async with World.of(tmp_path, cast, backend=QUIET) as world:
        peer = world[cast.name]
        old, theirs = peer.counterpart.token or "", world.gateway.links.token_out(cast.name)
        await peer.rotate()
        new = peer.counterpart.token or ""
        assert new != old
        assert world.gateway.links.token_out(cast.name) != theirs
        assert await with_token(peer, world, old) == (200, 1000)
        assert await with_token(peer, world, new) == (200, 1000)
        assert await with_token(peer, world, old) == (401, 2001)
        assert await with_token(peer, world, new) == (200, 1000)
        await world.backend.push_tariff(tariff_now())
        await peer.wait_for("PUT", "tariffs")  # with the token that the PUT gave us
        assert world.complaints == []


@BOTH
async def test_what_may_be_done_depends_on_the_standing_check_20_trap_10(tmp_path: Path, cast: Cast) -> None:
    """PUT and DELETE before, POST after: 405, with what is allowed. Spec: 2.2.1 credentials 7.2.2 to 7.2.5."""
    async with World.of(tmp_path, cast, register=False, backend=QUIET) as world:
        peer = world[cast.name]
        async with untouched(world):
            for method in ("PUT", "DELETE"):
                refused = await offer(peer, world, peer.handshake.credentials("token-b"), method=method)
                assert (outcome(refused), refused.headers["allow"]) == ((405, 2000), "GET, POST")
        await peer.register(world.versions_url, token_a(peer))
        await world.registered(cast.name)
        async with untouched(world):
            again = await offer(peer, world, peer.handshake.credentials("token-b"), peer.counterpart.token)
            assert (outcome(again), again.headers["allow"]) == ((405, 2000), "GET, PUT, DELETE")


@pytest.mark.parametrize("version", ["2.1.1", "2.2.1"])
async def test_static_tokens_are_not_exchanged(tmp_path: Path, version: str) -> None:
    """GET tells our credentials; everything else is 405, and the tokens stay as they are."""
    async with World.of(tmp_path, Cast(name="fix", version=version, start="none"), backend=QUIET) as world:
        peer = world["fix"]
        told = await peer.get("credentials")
        assert told.data["token"] == "fix-token-to-us"
        async with untouched(world):
            for method in ("POST", "PUT", "DELETE"):
                refused = await offer(peer, world, peer.handshake.credentials("new"), "fix-token-to-us", method)
                assert (outcome(refused), refused.headers["allow"]) == ((405, 2000), "GET")
        assert (await peer.get("credentials")).ok


@BOTH
async def test_after_a_delete_nothing_opens_any_more_check_23(tmp_path: Path, cast: Cast) -> None:
    """Neither the token that was deleted nor token A; what is pushed meanwhile stays owed and isn't sent."""
    async with World.of(tmp_path, cast, backend=QUIET) as world:
        peer = world[cast.name]
        token = peer.counterpart.token or ""
        assert (await peer.unregister()).ok
        heard = len(peer.received)
        assert await with_token(peer, world, token) == (401, 2001)
        assert await with_token(peer, world, token_a(peer)) == (401, 2001)
        assert (await world.backend.push_tariff(tariff_now())).ok
        assert world.gateway.links.token_out(cast.name)[0] == ""
        assert await world.gateway.store.owing() == [cast.name]
        assert peer.received[heard:] == []


UNUSABLE: dict[str, tuple[str, dict[str, Any] | None, int]] = {
    "versions can't be read": ("versions", None, 3001),
    "details can't be read": ("details", None, 3001),
    "versions is no list": ("versions", {"data": {"version": "2.2.1"}, "status_code": 1000}, 3001),
    "not our version": ("versions", {"data": [{"version": "2.0", "url": "http://x/"}], "status_code": 1000}, 3002),
    "no endpoints": ("details", {"data": {"version": "2.2.1", "endpoints": []}, "status_code": 1000}, 3003),
    "endpoints is no list": ("details", {"data": {"version": "2.2.1"}, "status_code": 1000}, 3001),
    "no envelope": ("versions", {"versions": []}, 3001),
}


@pytest.mark.parametrize("what", UNUSABLE)
@BOTH
async def test_an_api_that_cant_be_used_leaves_token_a_good_check_19(tmp_path: Path, cast: Cast, what: str) -> None:
    """3001, 3002 or 3003, nothing stored, and the next attempt succeeds."""
    module, body, status = UNUSABLE[what]
    async with World.of(tmp_path, cast, register=False, backend=QUIET) as world:
        peer = world[cast.name]
        if body is None:
            peer.fail(module, http=500, status=3000)
        else:
            peer.fail(module, body=json.dumps(body).encode())
        before = await world.gateway.store.registration(cast.name)
        with pytest.raises(HandshakeFailed) as failed:
            await peer.register(world.versions_url, token_a(peer))
        assert failed.value.status == status
        assert await world.gateway.store.registration(cast.name) == before
        assert not world.gateway.links.directory[cast.name].registered
        await peer.register(world.versions_url, token_a(peer))
        assert world.gateway.links.directory[cast.name].registered


@BOTH
async def test_versions_that_nobody_knows_are_passed_over(tmp_path: Path, cast: Cast) -> None:
    """A list of 2.0, the one we want and 9.9: the one we want is used."""
    async with World.of(tmp_path, cast, register=False, backend=QUIET) as world:
        peer = world[cast.name]
        details = f"{peer.who.base_url}/ocpi/{cast.version}"
        listed = [
            {"version": "2.0", "url": "http://127.0.0.1:1/"},
            {"version": cast.version, "url": details},
            {"version": "9.9", "url": "http://127.0.0.1:1/"},
        ]
        peer.fail("versions", body=json.dumps({"data": listed, "status_code": 1000}).encode())
        await peer.register(world.versions_url, token_a(peer))
        assert world.gateway.links.directory[cast.name].registered


OURS = Role("EMSP", "DE", "VLT", "Volt Drive")
CLAIMS = {
    "2.1.1, another party": (ACME, [Role("EMSP", "DEU", "EVL", "Evil")], "$.roles[0]: DE-EVL"),
    "2.1.1, another country": (ACME, [Role("EMSP", "NLD", "ACM", "Acme")], "$.roles[0]: NL-ACM"),
    "2.1.1, no country": (ACME, [Role("EMSP", "QQQ", "ACM", "Acme")], "$.country_code: "),
    "2.2.1, another party": (VOLT, [Role("EMSP", "DE", "EVL", "Evil")], "$.roles[0]: DE-EVL"),
    "2.2.1, another role": (VOLT, [Role("CPO", "DE", "VLT", "Volt Drive")], "$.roles[0]: DE-VLT"),
    "2.2.1, one more": (VOLT, [OURS, Role("CPO", "DE", "VLT", "Volt Drive")], "$.roles[1]: DE-VLT"),
}


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("what", CLAIMS)
async def test_roles_beyond_those_agreed_change_nothing(tmp_path: Path, what: str, method: str) -> None:
    """2001 with the place, before anybody is called back; tokens and registration stay as they were."""
    cast, roles, place = CLAIMS[what]
    async with World.of(tmp_path, cast, register=method == "PUT", backend=QUIET) as world:
        peer = world[cast.name]
        token = peer.counterpart.token or token_a(peer)
        body = claiming(peer, roles)
        async with untouched(world):
            refused = await offer(peer, world, body, token, method)
            assert outcome(refused) == (200, 2001)
            assert refused.message.startswith(place)
            assert await with_token(peer, world, token) == (200, 1000)


def claiming(peer: Peer, roles: list[Role]) -> Any:
    """The peer's credentials, with other roles in them."""
    honest = peer.who.roles
    peer.who.roles = tuple(roles)
    try:
        return peer.handshake.credentials("token-b-of-an-impostor")
    finally:
        peer.who.roles = honest


async def test_a_token_b_that_is_ours_is_refused(tmp_path: Path) -> None:
    """Its own token A, or somebody else's token: whoever saw it on its way back could come in with it."""
    async with World.of(tmp_path, ACME, VOLT, register=False, backend=QUIET) as world:
        acme, volt = world["acme"], world["volt"]
        await acme.register(world.versions_url, "acme-token-a")
        await world.registered("acme")
        for token in ("volt-token-a", acme.counterpart.token or "", "backend-token-to-us"):
            async with untouched(world):
                refused = await offer(volt, world, volt.handshake.credentials(token))
                assert (outcome(refused), refused.message.partition(":")[0]) == ((200, 2001), "$.token")


async def test_two_at_a_time_are_one_and_a_refusal(tmp_path: Path) -> None:
    """While a PUT is under way another is 3000: never a mix of both."""
    async with World.of(tmp_path, VOLT, backend=QUIET) as world:
        peer = world["volt"]
        peer.delay = 0.6  # longer than one waits for the other
        bodies = [peer.handshake.credentials(token) for token in ("new-token-one", "new-token-two")]
        peer.handshake.keys.accept("new-token-one")
        peer.handshake.keys.accept("new-token-two")
        token = peer.counterpart.token
        answers = await asyncio.gather(*(offer(peer, world, body, token, "PUT") for body in bodies))
        assert sorted(outcome(answer) for answer in answers) == [(200, 1000), (200, 3000)]
        (good,) = [index for index, answer in enumerate(answers) if answer.ok]
        assert world.gateway.links.token_out("volt")[0] == bodies[good]["token"]
        assert await with_token(peer, world, answers[good].data["token"]) == (200, 1000)


@BOTH
async def test_the_encoding_of_an_unknown_peer_is_found_out(tmp_path: Path, cast: Cast) -> None:
    """Base64 and raw are tried with its token B, and the one that works is used from then on."""
    async with World.of(tmp_path, cast, register=False, backend=QUIET) as world:
        peer = world[cast.name]
        # The peer reads its version's form alone. A token that is written so that the other form of it is what the
        # peer knows makes it one that wants the other form.
        known = "a-token-that-is-written-otherwise"
        coded = base64.b64encode(known.encode()).decode()
        peer.handshake.keys.accept(known if cast.version == "2.2.1" else coded)
        given = coded if cast.version == "2.2.1" else known
        assert (await offer(peer, world, peer.handshake.credentials(given))).ok
        assert [(call.module, call.http) for call in peer.received] == [
            ("versions", 401), ("versions", 200), ("details", 200)
        ]  # fmt: skip
        await world.backend.push_tariff(tariff_now())
        assert (await peer.wait_for("PUT", "tariffs")).http == 201


@pytest.mark.parametrize(("written", "inside"), [("EST", "EE"), ("EE", "EE"), ("ESP", "ES"), ("DEU", "DE")])
async def test_three_letters_are_mirrored_and_never_cut_check_25(tmp_path: Path, written: str, inside: str) -> None:
    """A 2.1.1 peer reads our country as it writes its own; to the backend it is the right one of two letters."""
    async with World.of(tmp_path, Cast(name="acme", version="2.1.1", country=written), backend=QUIET) as world:
        acme, ours = world["acme"], "NLD" if len(written) == 3 else "NL"
        assert (await acme.get("credentials")).data["country_code"] == ours
        await world.backend.push_tariff(tariff_now())
        assert (await acme.wait_for("PUT", "tariffs")).segments == (ours, "EXA", "STANDARD")
        assert (await acme.push_token(token_of(acme))).ok
        assert (await world.backend.wait_for("PUT", "tokens")).segments == (inside, "ACM", "04AC3E0001")
        assert world.complaints == []


async def test_estonia_is_not_spain_check_26_trap_03(tmp_path: Path) -> None:
    """A link that was agreed with ES-ACM isn't open to one that says EST."""
    async with World.of(
        tmp_path, Cast(name="acme", version="2.1.1", country="ES"), register=False, backend=QUIET
    ) as world:
        acme = world["acme"]
        async with untouched(world):
            refused = await offer(acme, world, claiming(acme, [Role("EMSP", "EST", "ACM", "Acme")]))
            assert (outcome(refused), refused.message[:19]) == ((200, 2001), "$.roles[0]: EE-ACM ")


@BOTH
async def test_a_restart_keeps_registrations(tmp_path: Path, cast: Cast) -> None:
    """Both tokens still work, token A is still spent, and the spelling of countries is remembered."""
    async with World.of(tmp_path, cast, backend=QUIET) as world:
        peer = world[cast.name]
        await world.restart()
        assert world.gateway.links.directory[cast.name].registered
        assert await with_token(peer, world, token_a(peer)) == (401, 2001)
        assert (await peer.push_token(token_of(peer))).ok
        await world.backend.push_tariff(tariff_now())
        assert (await peer.wait_for("PUT", "tariffs")).segments[0] == ("NLD" if cast.country == "DEU" else "NL")
        assert world.complaints == []


async def test_a_restart_remembers_who_left(tmp_path: Path) -> None:
    """After a DELETE and a restart neither token opens anything."""
    async with World.of(tmp_path, VOLT, backend=QUIET) as world:
        volt = world["volt"]
        token = volt.counterpart.token or ""
        await volt.unregister()
        await world.restart()
        assert await with_token(volt, world, token) == (401, 2001)
        assert await with_token(volt, world, "volt-token-a") == (401, 2001)


OFFERED = {
    "cdrs": "sender", "chargingprofiles": "receiver", "commands": "receiver", "locations": "sender",
    "sessions": "sender", "tariffs": "sender", "tokens": "receiver",
}  # fmt: skip
"""What a CPO has for an eMSP, and which interface of it."""


@BOTH
async def test_versions_and_details_are_what_the_link_may_use(tmp_path: Path, cast: Cast) -> None:
    """The link's own version alone, and the endpoints of its own modules; another version is 404."""
    async with World.of(tmp_path, cast, backend=QUIET) as world:
        peer, other = world[cast.name], "2.2.1" if cast.version == "2.1.1" else "2.1.1"
        base = f"{world.settings.public_url}/ocpi"
        listed = await ask(peer, "GET", "/ocpi/versions")
        assert listed.data == [{"version": cast.version, "url": f"{base}/{cast.version}"}]
        details = (await ask(peer, "GET", f"/ocpi/{cast.version}/")).data
        credentials = {"identifier": "credentials", "url": f"{base}/{cast.version}/credentials"}
        functional = [
            {"identifier": module, "url": f"{base}/2.1.1/cpo/{module}"}
            if cast.version == "2.1.1"
            else {"identifier": module, "role": side.upper(), "url": f"{base}/2.2.1/{side}/{module}"}
            for module, side in OFFERED.items()
            if module != "chargingprofiles" or cast.version == "2.2.1"
        ]
        role = {} if cast.version == "2.1.1" else {"role": "SENDER"}
        assert details["endpoints"][0] == credentials | role
        assert sorted(details["endpoints"][1:], key=lambda endpoint: str(endpoint["identifier"])) == functional
        async with untouched(world):
            for path in (f"/ocpi/{other}", f"/ocpi/{other}/credentials", "/ocpi/2.0", "/ocpi/9.9/credentials"):
                assert (await ask(peer, "GET", path)).http == 404


def tariff_now() -> dict[str, Any]:
    return tariff(datetime.now(UTC))


def token_of(peer: Peer) -> dict[str, Any]:
    """A token of the peer's, in its version."""
    token = {
        "uid": "04AC3E0001", "type": "RFID", "issuer": "Acme Mobility", "valid": True, "whitelist": "ALLOWED",
        "last_updated": stamp(datetime.now(UTC)),
    }  # fmt: skip
    if peer.who.version == "2.1.1":
        return token | {"auth_id": "DE-ACM-C00000001-A"}
    country, party_id = peer.party
    return token | {"contract_id": "DE-ACM-C00000001-A", "country_code": country, "party_id": party_id}
