"""Strangers to meet: other people's libraries, each in an environment of its own, or skipped with the reason."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
import strangers
from attrs import evolve
from environments import LIBRARIES, Library, NotHere, python_of
from strangers import EMSP, NEW, OLD, PROVIDER, TOKEN_A, Stranger

from gateway.demo.world import CORE, Cast, World


@pytest.fixture(params=LIBRARIES, ids=str)
def library(request: pytest.FixtureRequest) -> Library:
    """Each library in turn."""
    found: Library = request.param
    return found


@pytest.fixture(params=[OLD, NEW])
def version(request: pytest.FixtureRequest) -> str:
    """Each version in turn."""
    number: str = request.param
    return number


@pytest.fixture
def python(library: Library, testrun_uid: str) -> Path:
    """The Python of the library's own environment."""
    try:
        return python_of(library, testrun_uid)
    except NotHere as error:
        pytest.skip(f"{library.name} {library.version} can't be installed: {error}")


@pytest_asyncio.fixture
async def meet(
    library: Library, python: Path, version: str, tmp_path: Path, world: Callable[..., Awaitable[World]]
) -> AsyncIterator[Callable[..., Awaitable[Stranger]]]:
    """``await meet(EMSP)`` begins a story with a stranger of that role: it runs, and we have registered with it.

    ``more`` are further lines of its file. With ``token_a`` it got another token A, and the handshake is the story's.
    """
    async with AsyncExitStack() as stack:

        async def begin(role: Cast, *, more: str = "", token_a: str | None = None) -> Stranger:
            cast = evolve(role, version=version, more=more)
            known_as = token_a or TOKEN_A
            stranger = await stack.enter_async_context(strangers.running(library, python, cast, tmp_path, known_as))
            stage = await world(backend=CORE if role is EMSP else PROVIDER)
            await stranger.join(stage, known_as)
            if token_a is None:
                await stage.registered("stranger")
            return stranger

        yield begin
