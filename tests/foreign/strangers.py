"""A stranger: a platform that somebody else's library makes, in a process and an environment of its own.

``apps/stranger.py`` is what runs there; here are the handles to drive it, and to look at both sides of its wire.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import samples
from attrs import define, evolve, field, frozen
from environments import EXTRAWEST, Library

from gateway.app import ADAPTERS
from gateway.demo.world import CORE, Cast, World
from gateway.settings import load

Json = dict[str, Any]

OLD, NEW = "2.1.1", "2.2.1"
APP: Final = Path(__file__).parent / "apps/stranger.py"
START_S: Final = 60.0

EMSP: Final = Cast(name="stranger", role="EMSP", country="DE", party="ACM", business="Acme Mobility", start="us")
CPO: Final = Cast(name="stranger", role="CPO", country="NL", party="EXA", business="Example Charging", start="us")
PROVIDER: Final = evolve(CORE, role="EMSP", country="DE", party="ACM", business="Acme Mobility")
"""The core of an eMSP, which a stranger that is a CPO meets. One that is an eMSP meets ``CORE``."""

TOKEN_A: Final = "AbCdEfGhIjKlMnOpQrStUvWx"
"""Its bytes are no UTF-8 after Base64 decoding: the kind of token that strangers understand in both versions."""

EXTRAWEST_ONLY: Final = pytest.mark.parametrize("library", [EXTRAWEST], indirect=True, ids=str)
"""On what is one library's own fault."""
IN_2_1_1: Final = pytest.mark.parametrize("version", [OLD], indirect=True)
IN_2_2_1: Final = pytest.mark.parametrize("version", [NEW], indirect=True)


@define
class Stranger:
    """A stranger that runs.

    Attributes:
        url: where it listens.
    """

    library: Library
    cast: Cast
    url: str
    _http: aiohttp.ClientSession
    _world: World | None = field(default=None)

    @property
    def version(self) -> str:
        return self.cast.version

    @property
    def world(self) -> World:
        """The gateway that it met, and the backend behind that."""
        assert self._world is not None, "it has met nobody yet"
        return self._world

    async def join(self, world: World, token_a: str = TOKEN_A) -> None:
        """The gateway starts again with a file for the stranger. We begin the handshake: the libraries can't."""
        cast, config = self.cast, world.folder / "config"
        (config / "partners/stranger.yaml").write_text(
            f'name: {cast.business}\nversion: "{cast.version}"\n'
            f"roles: [{{role: {cast.role}, country_code: {cast.country}, party_id: {cast.party}}}]\n"
            f'registration: {{start: us, versions_url: "{self.url}/ocpi/versions", token_out: {{value: {token_a}}}}}\n'
            f"allow_private: true\n{cast.more}\n"
        )
        versions = {version: adapter.sends_routing_headers for version, adapter in ADAPTERS.items()}
        world.settings = load(config, versions, os.environ)
        await world.restart()
        self._world = world

    async def heard(self, module: str, method: str = "", *, count: int = 1) -> list[Json]:
        """What it was asked about a module, and what the library answered, in order, as soon as that is so much.

        Each is ``{method, path, query, headers, body, answer: {http, headers, body}}``. The gateway has understood the
        answers by then. After ten seconds it is as much as there is.
        """
        exchanges: list[Json] = await self._ask("GET", f"/test/heard?module={module}&method={method}&count={count}")
        if self._world:
            await self._world.gateway.courier.settle_down(5)
        return exchanges

    async def met(self) -> Json:
        """Who registered with it: ``{credentials, endpoints}``, as the library understood them."""
        met: Json = await self._ask("GET", "/test/met")
        return met

    async def own(self, module: str, obj: Json) -> None:
        """Let it own an object."""
        await self._ask("PUT", f"/test/own/{module}", obj)

    async def push(self, module: str, obj: Json) -> Json:
        """Have the library push an object of its own to us: ``{method, url, headers, body, answer}``."""
        await self.own(module, obj)
        details = f"{self.world.settings.public_url}/ocpi/{self.version}"
        id = obj["uid" if module == "tokens" else "id"]
        await self._ask("POST", "/test/push", {"module": module, "id": id, "details_url": details})
        said: list[Json] = await self._ask("GET", "/test/said")
        return said[-1]

    async def _ask(self, method: str, path: str, body: Json | None = None) -> Any:
        async with self._http.request(method, self.url + path, json=body) as response:
            text = await response.text()
            assert response.status == 200, f"{self.library}: {method} {path}: {text}"
            return json.loads(text)


@asynccontextmanager
async def running(
    library: Library, python: Path, cast: Cast, folder: Path, token_a: str = TOKEN_A
) -> AsyncIterator[Stranger]:
    """The stranger of this cast, until it is left. Its own log is in ``folder``.

    Raises:
        AssertionError: it doesn't start; the text is its log.
    """
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        app = _App(library, cast, address, token_a)
        process = await app.start(python, listening.fileno(), folder)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=START_S)) as http:
            stranger = Stranger(library, cast, f"http://{address}", http)
            try:
                await stranger.heard("versions", count=0)  # waits in the queue of the socket until it is up
            except aiohttp.ClientError as error:
                raise AssertionError((folder / "stranger.log").read_text()) from error
            yield stranger
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@frozen
class _App:
    library: Library
    cast: Cast
    address: str
    token_a: str

    async def start(self, python: Path, fd: int, folder: Path) -> asyncio.subprocess.Process:
        settings = {
            "package": self.library.package, "version": self.cast.version, "role": self.cast.role,
            "country_code": self.cast.country, "party_id": self.cast.party, "name": self.cast.business,
            "token_a": self.token_a, "fd": fd, "address": self.address,
        }  # fmt: skip
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        with (folder / "stranger.log").open("w") as log:
            return await asyncio.create_subprocess_exec(
                python, APP, json.dumps(settings), cwd=folder, env=environ, pass_fds=(fd,), stdout=log, stderr=log
            )


def sample(kind: str, version: str) -> Json:
    """The maximal sample of a kind, as a peer writes it into JSON."""
    read: Json = json.loads(json.dumps(getattr(samples, f"{kind}_{version.replace('.', '')}")(), default=float))
    return read


def understood(obj: Any) -> Any:
    """An object as the libraries keep it: what is empty, the case of texts and the spelling of numbers don't count."""
    match obj:
        case dict():
            inner = {name: understood(value) for name, value in obj.items()}
            return {name: value for name, value in inner.items() if value not in (None, [])}
        case list():
            return [understood(value) for value in obj]
        case str():
            return obj.lower()
        case bool() | None:
            return obj
        case _:
            return float(obj)
