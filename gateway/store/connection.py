"""The way to Redis: one client, one place where its absence becomes ``NotDurable``.

A Redis that is away must cost little: the gateway stays, answers what it can from memory, refuses what it can't make
durable, and goes on when Redis is back. So a call gives up after about three seconds at worst, a refused connection
after a fraction of one, and every failure that means "not now" comes out as the same error. It is logged when it
begins, once a minute while it lasts, and when it ends.

The client repeats a call whose connection broke, even one that Redis had already done. Every script is therefore safe
to repeat: it is idempotent by nature, or carries a mark (``mark``) by which it knows itself.

Scripts go out by EVAL with their text rather than by EVALSHA: they are short beside the objects they carry, Redis
caches them by their hash either way, and there is no case in which a restarted or promoted server doesn't know them.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from typing import Any, Final, Self

import structlog
from attrs import define, field, frozen
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as NoAnswer
from redis.maint_notifications import MaintNotificationsConfig

from gateway.model.errors import NotDurable
from gateway.store.keys import Keys

log = structlog.get_logger(__name__)

# One call's patience. Three tries of a second each leave room in the shortest deadline there is for a partner's answer.
TIMEOUT: Final = 1.0
TRIES_AGAIN: Final = 2
CONNECTIONS: Final = 64

# What Redis says when it is there and still can't help, and what to do about it.
_ADVICE: Final = (
    ("OOM", "Redis is full: give it more memory (and never an eviction policy)"),
    ("MISCONF", "Redis can't write to its disk: look at its log and its space"),
    ("NOREPLICAS", "Redis has too few replicas to take writes: look at min-replicas-to-write"),
    ("READONLY", "this Redis is a replica: let redis.url name the primary"),
    ("MASTERDOWN", "this Redis is a replica without its primary: let redis.url name the primary"),
    ("LOADING", "Redis is still loading its data: it will be there shortly"),
    ("BUSY", "Redis is held up by a script: look at SLOWLOG"),
    ("NOAUTH", "Redis wants a password: give it in redis.url"),
    ("WRONGPASS", "Redis refuses the user or password of redis.url"),
    ("NOPERM", "the user of redis.url lacks a permission: it needs ~prefix:* and all commands on these"),
)

_SLOW: Final = "Redis doesn't answer in time: look at its load and at the network"
_GONE: Final = "Redis can't be reached: start it, or correct redis.url"
_UNREACHABLE: Final = frozenset({_SLOW, _GONE})
_SAY_AGAIN: Final = 60.0


def wall_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def mark() -> bytes:
    """A random mark by which a script recognises its own repetition."""
    return secrets.token_bytes(9)


@cache
def script(name: str) -> str:
    """The text of a script in ``scripts/``."""
    return (files("gateway.store") / "scripts" / f"{name}.lua").read_text(encoding="utf-8")


@frozen(kw_only=True)
class ServerInfo:
    """What is at the other end.

    Attributes:
        product: ``redis`` or ``valkey``.
        version: its own version; for valkey the one it goes by itself.
        aof: whether writes go to an append-only file.
        fsync: ``always``, ``everysec`` or ``no``; None if the server doesn't tell.
        eviction: the ``maxmemory-policy``; anything but ``noeviction`` may lose what is owed.
    """

    product: str
    version: str
    aof: bool
    fsync: str | None
    eviction: str


@define(eq=False)
class Connection:
    """One client of one Redis, and what every room of the store needs: keys, clock, scripts.

    Attributes:
        where: the address without user and password, for logs.
        now: milliseconds since 1970.
    """

    client: Redis
    where: str
    keys: Keys
    now: Callable[[], int]
    _away: str = field(default="", init=False)
    _quiet_until: float = field(default=0.0, init=False)

    @classmethod
    def connect(cls, url: str, prefix: str = "og", *, now: Callable[[], int] = wall_ms) -> Self:
        """A client of the Redis at ``url``. Nothing is sent yet, so Redis may be away.

        Args:
            url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py reads them.
            prefix: of every key.

        Raises:
            ValueError: the URL isn't one of these.
        """
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=TIMEOUT,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            # No health_check_interval: in 8.1, a server that refuses our password sends it into endless recursion.
            retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.2), TRIES_AGAIN),
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
        return cls(Redis.from_pool(pool), re.sub(r"//[^/]*@", "//", url).partition("?")[0], Keys(prefix), now)

    async def aclose(self) -> None:
        await self.client.aclose()

    @asynccontextmanager
    async def durable(self) -> AsyncIterator[None]:
        """Around each use of the client: a Redis that is away, full, loading or refusing us becomes ``NotDurable``."""
        try:
            yield
        except (RedisError, OSError) as error:
            advice = _advice(error)
            if advice is None:
                raise
            self._complain(advice, error)
            if "READONLY" in _words(error):  # the primary has moved: an address that follows it wants a new connection
                await self.client.connection_pool.disconnect(inuse_connections=False)
            raise NotDurable(f"nothing was stored: {advice}") from error
        if self._away in _UNREACHABLE:  # one that refuses writes still answers reads, which proves nothing
            self._away = ""
            log.info("redis.back", where=self.where)

    def _complain(self, advice: str, error: Exception) -> None:
        now = time.monotonic()
        if advice != self._away or now > self._quiet_until:
            self._away, self._quiet_until = advice, now + _SAY_AGAIN
            log.error("redis.away", where=self.where, advice=advice, error=_plain(error))

    async def command(self, *words: str | bytes | int | float) -> Any:
        """One command, one round trip.

        Raises:
            NotDurable: Redis is away.
        """
        execute: Any = self.client.execute_command  # untyped there
        async with self.durable():
            return await execute(*words)

    async def run(self, name: str, keys: list[str], *args: str | bytes | int) -> Any:
        """One script, one round trip.

        Raises:
            NotDurable: Redis is away.
        """
        async with self.durable():
            return await self.client.eval(script(name), len(keys), *keys, *args)

    @staticmethod
    def queue(pipe: Pipeline, name: str, keys: list[str], *args: str | bytes | int) -> None:
        """One script among the commands of a pipeline."""
        pipe.eval(script(name), len(keys), *keys, *args)

    async def fields(self, key: str) -> dict[str, bytes]:
        """All fields of a hash and their values.

        Raises:
            NotDurable: Redis is away.
        """
        return {field.decode(): value for field, value in (await self.command("HGETALL", key)).items()}

    async def heard(self, channel: str, every: float) -> AsyncGenerator[bytes | None, None]:
        """What is said on a channel, without end.

        None means that something may have been missed. It comes first, and every ``every`` seconds in which nothing
        was said, since a connection that broke in silence looks like that. While Redis is away, nothing comes.
        """
        while True:
            try:
                async with self.durable(), self.client.pubsub() as calls:
                    await calls.subscribe(channel)
                    yield None
                    while True:
                        call = await calls.get_message(ignore_subscribe_messages=True, timeout=every)
                        yield call["data"] if call else None
            except NotDurable:
                await asyncio.sleep(every)

    async def ping(self) -> None:
        """Nothing, if Redis is there.

        Raises:
            NotDurable: it isn't.
        """
        async with self.durable():
            await self.client.ping()

    async def info(self) -> ServerInfo:
        """What is at the other end, for people and for ``doctor``.

        Raises:
            NotDurable: Redis is away.
        """
        async with self.durable():
            info = await self.client.info()
            try:
                fsync = (await self.client.config_get("appendfsync")).get("appendfsync")
            except ResponseError:  # managed services keep CONFIG to themselves
                fsync = None
        valkey = info.get("valkey_version")
        return ServerInfo(
            product="valkey" if valkey else "redis",
            version=str(valkey or info["redis_version"]),
            aof=bool(info.get("aof_enabled")),
            fsync=fsync,
            eviction=str(info.get("maxmemory_policy", "noeviction")),
        )


def _plain(error: Exception) -> str:
    """An error as a log may have it: what Redis answered quotes the command, and so the ids in it."""
    return type(error).__name__ if isinstance(error, ResponseError) else str(error)


def _words(error: BaseException | None) -> frozenset[str]:
    """What Redis said, with the codes that redis-py has cut off, and those that 6.2 puts amid a script's error."""
    said: set[str] = set()
    while error is not None:
        said |= {str(getattr(error, "status_code", "")), *re.findall(r"[A-Z]{3,}", str(error))}
        error = error.__cause__
    return frozenset(said)


def _advice(error: Exception) -> str | None:
    """What to do about a Redis that can't help just now; None for an error that is a mistake of ours."""
    said = _words(error)
    for code, advice in _ADVICE:
        if code in said:
            return advice
    if isinstance(error, NoAnswer | TimeoutError):
        return _SLOW
    if isinstance(error, NoConnection | OSError):
        return _GONE
    return None
