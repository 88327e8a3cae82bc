"""A town with every kind of neighbour, and a witness to what must not happen there.

Whoever is refused must leave no trace: nothing in Redis that wasn't there before, no call to the backend, none to
another partner. ``untouched`` sees to that for whatever happens inside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from gateway.demo.peers import Exchange, Peer, Role
from gateway.demo.world import Cast, World
from gateway.web.json import dumps, loads

UNTOLD: Final = "modules: {hubclientinfo: off}"
"""For a backend's file: else who is connected would be stored and told in the midst of what a witness looks at."""

CORE: Final = Cast(
    name="backend", role="CPO", country="NL", party="OWN", business="Own Charging", start="none",
    also=(Role("EMSP", "NL", "OWM", "Own Mobility"),),
    more=UNTOLD,
)  # fmt: skip
GRID: Final = Cast(name="grid", version="2.1.1", role="CPO", country="BE", party="GRD", business="Grid")
FLUX: Final = Cast(name="flux", version="2.2.1", role="CPO", country="FR", party="FLX", business="Flux")
ACME: Final = Cast(name="acme", version="2.1.1", role="EMSP", country="DEU", party="ACM", business="Acme Mobility")
VOLT: Final = Cast(name="volt", version="2.2.1", role="EMSP", country="DE", party="VLT", business="Volt Drive")


def town(folder: Path) -> AbstractAsyncContextManager[World]:
    """A backend that is CPO and eMSP, and a CPO and an eMSP of each version, everybody registered."""
    return World.of(folder, GRID, FLUX, ACME, VOLT, backend=CORE)


@asynccontextmanager
async def untouched(world: World) -> AsyncIterator[None]:
    """Nothing is stored inside, and nobody is called."""
    before = await at_rest(world)
    passing = {key for key in before if await world.gateway.store.client.pttl(key) > 0}
    heard = {peer.name: len(peer.received) for peer in world.peers}
    yield
    after = await stored(world)
    gone = {key for key in passing if key not in after}  # by itself, its time was up
    changed = sorted(key for key in {*before, *after} - gone if before.get(key) != after.get(key))
    assert changed == [], f"something was stored: {changed}"
    calls = [f"{peer.name}: {call}" for peer in world.peers for call in peer.received[heard[peer.name] :]]
    assert calls == [], f"somebody was called: {calls}"


async def at_rest(world: World) -> dict[bytes, Any]:
    """What is stored once whatever the start has to write is written: until nothing changes from look to look."""
    before = await stored(world)
    while (now := await stored(world)) != before:
        before = now
    return now


async def stored(world: World) -> dict[bytes, Any]:
    """Every key in Redis, with its value. (DUMP would do, if a hash didn't change its order while it grows.)"""
    client = world.gateway.store.client
    reading: dict[bytes, Callable[[bytes], Any]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
    }
    found = {}
    async for key in client.scan_iter():
        if kind := reading.get(await client.type(key)):  # a lane that was left a moment ago is gone by now
            found[key] = await kind(key)
    return found


def outcome(exchange: Exchange) -> tuple[int, int | None]:
    """The HTTP status and the OCPI status code of an answer."""
    return exchange.http, exchange.status_code


async def ask(
    peer: Peer, method: str, path: str, body: Any = None, headers: Mapping[str, str | None] | None = None, **more: Any
) -> Exchange:
    """A request to a path of the gateway's, spelled as it is, with the peer's token and the headers of its version."""
    base = peer.counterpart.versions_url.removesuffix("/ocpi/versions")
    raw = body if body is None or isinstance(body, bytes) else dumps(body)
    return await peer.line.ask(method, f"{base}{path}", body=raw, headers=headers, **more)


@frozen
class Reply:
    """What came back on a socket: status, headers with names in lower case, and the JSON of the body, None if none."""

    http: int
    headers: Mapping[str, str]
    envelope: Any

    @property
    def outcome(self) -> tuple[int, int | None]:
        """The HTTP status and the OCPI status code."""
        return self.http, self.envelope["status_code"] if self.envelope else None


async def say(address: tuple[str, int], request: bytes) -> Reply:
    """Send bytes, and read what comes until the other side has said everything."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(request)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").splitlines()
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    finally:
        writer.close()
    is_json = headers.get("content-type", "").startswith("application/json")
    return Reply(int(status.split()[1]), headers, loads(body) if is_json else None)
