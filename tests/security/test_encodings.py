"""The forms of a credentials token: Base64 as 2.2.1 says, raw as 2.1.1 says, and who may use which."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from gateway.demo.world import Cast, World

Begin = Callable[..., Awaitable[World]]

TOKEN = "acme-token-a"
FORMS = {"raw": TOKEN, "base64": base64.b64encode(TOKEN.encode()).decode()}
BOTH_VERSIONS = pytest.mark.parametrize("version", ["2.1.1", "2.2.1"])


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def asked(world: World, authorization: str | None) -> tuple[int, object, int]:
    """HTTP status, OCPI status and number of versions that a caller with this header reads."""
    headers = {} if authorization is None else {"Authorization": authorization}
    async with aiohttp.ClientSession() as session, session.get(world.versions_url, headers=headers) as answer:
        envelope = await answer.json()
        return answer.status, envelope["status_code"], len(envelope.get("data") or ())


@BOTH_VERSIONS
@pytest.mark.parametrize("accepted", [("raw",), ("base64",), ("base64", "raw")])
async def test_a_token_counts_only_in_a_form_that_its_link_takes_trap_04(
    world: Begin, version: str, accepted: tuple[str, ...]
) -> None:
    """In another form it is nobody's: 401, as for a token that doesn't exist."""
    quirks = f"quirks: {{auth.accept_encodings: [{', '.join(accepted)}]}}"
    begun = await world(Cast(name="acme", version=version, start="them", more=quirks), register=False)
    for form, token in FORMS.items():
        status, _, _ = await asked(begun, f"Token {token}")
        assert status == (200 if form in accepted else 401), form


@BOTH_VERSIONS
async def test_a_registered_partner_may_change_its_mind_check_01_check_02_trap_04_trap_05(
    world: Begin, version: str
) -> None:
    """Raw, in Base64, and in Base64 of the token with a newline, as the specification's own example has it."""
    begun = await world(Cast(name="acme", version=version))
    token = begun["acme"].counterpart.token
    assert token is not None
    for written in (token, encoded(token), encoded(f"{token}\n")):
        assert await asked(begun, f"Token {written}") == (200, 1000, 1)


async def test_no_newline_is_ever_sent_trap_05(world: Begin) -> None:
    """What we encode is the token and nothing else: whoever decodes and compares finds it equal."""
    begun = await world(Cast(name="volt", version="2.2.1", start="us"))
    headers = [got.headers["authorization"] for got in begun["volt"].received]
    assert headers[0] == f"Token {encoded('volt-token-a')}"
    assert not any(base64.b64decode(header.removeprefix("Token ")).endswith(b"\n") for header in headers)


@pytest.mark.parametrize(
    "authorization",
    [None, "Token", "Token nobody-has-this-one", f"Token {encoded('nobody-has-this-one')}", f"Bearer {TOKEN}",
     "Token YWJj=ZGVm", f"Token {base64.b64encode(bytes([255, 254])).decode()}"],
    ids=["missing", "empty", "unknown", "unknown-base64", "bearer", "undecodable", "no-text"],
)  # fmt: skip
async def test_whoever_cannot_be_told_is_401_check_03(world: Begin, authorization: str | None) -> None:
    """In an OCPI envelope, never a 400 or 500."""
    begun = await world(Cast(name="acme", version="2.2.1"), register=False)
    assert await asked(begun, authorization) == (401, 2001, 0)


async def test_base64_is_read_strictly_trap_06(world: Begin) -> None:
    """A lax decoder passes over what isn't Base64: it would find a token in this one, and lose one with hyphens."""
    begun = await world(Cast(name="acme", version="2.2.1"), register=False)
    sloppy = f"{FORMS['base64'][:5]}*{FORMS['base64'][5:]}"
    assert base64.b64decode(sloppy).decode() == TOKEN
    assert (await asked(begun, f"Token {sloppy}"))[0] == 401
    assert "-" in TOKEN
    assert (await asked(begun, f"Token {TOKEN}"))[0] == 200
