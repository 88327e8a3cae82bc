"""What a server must do before its word that something is written may be passed on.

*fsync*    The write is on its disk: an append-only file, ``appendfsync always``. A server that is killed comes back
           with everything that it acknowledged.
*replica*  A second server has it (``WAIT 1`` behind each write): a primary that is lost for good takes nothing with
           it, if whoever is promoted is the one that had it.

In either case it must throw nothing away when it is full: an eviction policy makes room by forgetting, and doesn't ask.

A server says itself what it does, in INFO and CONFIG; managed ones often keep CONFIG to themselves, and what can't be
known doesn't count.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import frozen
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from gateway.settings.files import Durability

OLDEST: Final = (6, 2)


@frozen(kw_only=True)
class ServerInfo:
    """What is at the other end.

    Attributes:
        where: host and port, or the path of the socket.
        product: ``redis`` or ``valkey``.
        version: its own version; for valkey the one it goes by itself; empty if it doesn't tell.
        aof: whether writes go to an append-only file.
        fsync: ``always``, ``everysec`` or ``no``; None if the server doesn't tell.
        eviction: the ``maxmemory-policy``; anything but ``noeviction`` may lose what is owed.
        replicas: how many are connected.
        at: the server's own clock, milliseconds since 1970; ours if it doesn't tell.
    """

    where: str
    product: str
    version: str
    aof: bool
    fsync: str | None
    eviction: str
    replicas: int
    at: int


async def describe(connection: AbstractConnection) -> ServerInfo:
    """What the server at this connection says of itself."""
    await connection.send_command("INFO")
    try:
        told = _read_info(await connection.read_response(disable_decoding=True))
    except ResponseError:  # the user may not ask
        told = {}
    await connection.send_command("CONFIG", "GET", "appendfsync")
    try:
        answer: Any = await connection.read_response(disable_decoding=True)
        # A map in RESP3, a flat list before.
        fsync = dict(answer) if isinstance(answer, Mapping) else dict(zip(answer[::2], answer[1::2], strict=True))
    except ResponseError:  # managed services keep CONFIG to themselves
        fsync = {}
    valkey, said = told.get("valkey_version"), fsync.get(b"appendfsync")
    return ServerInfo(
        where=where(connection),
        product="valkey" if valkey else "redis",
        version=valkey or told.get("redis_version", ""),
        aof=told.get("aof_enabled") == "1",
        fsync=said.decode() if said else None,
        eviction=told.get("maxmemory_policy", "noeviction"),
        replicas=int(told.get("connected_slaves", 0)),
        at=int(told.get("server_time_usec", 0)) // 1000 or time.time_ns() // 1_000_000,
    )


def where(connection: AbstractConnection) -> str:
    """The server at this connection, for logs."""
    path = getattr(connection, "path", None)
    return str(path) if path else f"{getattr(connection, 'host', '')}:{getattr(connection, 'port', '')}"


def weaknesses(server: ServerInfo, durability: Durability) -> Iterator[str]:
    """Why the server's word isn't good enough, each with what to set; nothing if it is."""
    if not server.version:
        yield "it doesn't say what it is: allow INFO, or set redis.on_weaker: warn"
        return
    numbers = tuple(int(part) for part in server.version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        yield f"{server.product} {server.version} is too old: {'.'.join(map(str, OLDEST))} or later is needed"
    if server.eviction != "noeviction":
        yield f"maxmemory-policy is {server.eviction} and may throw away CDRs: set noeviction"
    if durability is Durability.REPLICA:
        if not server.replicas:
            yield "no replica is connected: start one, or set redis.durability: fsync"
        return
    if not server.aof:
        yield "appendonly is off, so a restart loses what was acknowledged: set appendonly yes"
    if server.fsync is None:
        yield "it doesn't tell its appendfsync: allow CONFIG GET, or set redis.durability: replica"
    elif server.aof and server.fsync != "always":
        yield f"appendfsync is {server.fsync}, so a crash loses what was acknowledged last: set appendfsync always"


def _read_info(text: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in text.decode(errors="replace").splitlines() if not line.startswith("#"))
    return {key: value for key, colon, value in lines if colon}
