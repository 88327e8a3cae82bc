"""The forms of a credentials token: Base64 as 2.2.1 says, raw as 2.1.1 says, and who may use which."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from gateway.demo.world import Cast, World

TOKEN = "acme-token-a"
FORMS = {"raw": TOKEN, "base64": base64.b64encode(TOKEN.encode()).decode()}


@pytest.mark.parametrize("version", ["2.1.1", "2.2.1"])
@pytest.mark.parametrize("accepted", [("raw",), ("base64",), ("base64", "raw")])
async def test_a_token_counts_only_in_a_form_that_its_link_takes(
    world: Callable[..., Awaitable[World]], version: str, accepted: tuple[str, ...]
) -> None:
    """In another form it is nobody's: 401, as for a token that doesn't exist."""
    quirks = f"quirks: {{auth.accept_encodings: [{', '.join(accepted)}]}}"
    begun = await world(Cast(name="acme", version=version, start="them", more=quirks), register=False)
    async with aiohttp.ClientSession() as session:
        for form, token in FORMS.items():
            async with session.get(begun.versions_url, headers={"Authorization": f"Token {token}"}) as answer:
                assert answer.status == (200 if form in accepted else 401), form
