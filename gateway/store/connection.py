"""The way to Redis: one client, one place where its absence becomes ``NotDurable``.

A Redis that is away must cost little: the gateway stays, answers what it can from memory, refuses what it can't make
durable, and goes on when Redis is back. So a call gives up after about three seconds at worst, a refused connection
after a fraction of one, and every failure that means "not now" comes out as the same error. It is logged when it
begins, once a minute while it lasts, and when it ends.

Which servers stand behind the address, and how the right one is found, is the matter of ``topology.py``; whether what
they say counts is that of ``trust.py``.

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
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Self

import structlog
from attrs import define, field
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import AskError, RedisClusterException, RedisError, ResponseError, TryAgainError
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import TimeoutError as NoAnswer

from gateway.model.errors import NotDurable
from gateway.settings.files import Durability, OnWeaker, RedisSettings
from gateway.settings.redis_url import RedisUrl
from gateway.store.durability import ServerInfo, where
from gateway.store.embedded import NoServer
from gateway.store.epoch import Known, Marker, marker_keys
from gateway.store.keys import Keys
from gateway.store.topology import Client, Unconfirmed, connect
from gateway.store.trust import Trust

log = structlog.get_logger(__name__)

# Whatever a call needs, tries on several servers included, in seconds.
PATIENCE: Final = 3.0

# In seconds: how often the servers are looked at, and how often while anything is wrong with them.
_LOOK_EVERY: Final = 60.0
_LOOK_AGAIN: Final = 1.0

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
    ("CLUSTERDOWN", "the cluster doesn't serve all slots: a failover is under way, or look at CLUSTER INFO"),
    ("NOPERM", "the user of redis.url lacks a permission: it needs ~prefix:* and all commands on these"),
)

_SLOW: Final = "Redis doesn't answer in time: look at its load and at the network"
_GONE: Final = "Redis can't be reached: start it, or correct redis.url"
_NO_PRIMARY: Final = "the sentinels name no primary: a failover is under way, or look at SENTINEL MASTERS"
_NO_CLUSTER: Final = "no node of the cluster tells who has which slots: start them, or correct redis.url"
_UNREACHABLE: Final = frozenset({_SLOW, _GONE, _NO_PRIMARY, _NO_CLUSTER})
_MOVING: Final = "the cluster is moving the slot to another node: that is done shortly"
_NO_REPLICA: Final = "no replica has confirmed the write in time: look at the replicas"
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


@define(eq=False)
class Connection:
    """One client of one Redis, and what every room of the store needs: keys, clock, scripts.

    Attributes:
        where: the address without user and password, for logs.
        now: milliseconds since 1970.
        trust: whether what this Redis says counts.
    """

    client: Client
    where: str
    keys: Keys
    now: Callable[[], int]
    trust: Trust
    _away: str = field(default="", init=False)
    _quiet_until: float = field(default=0.0, init=False)

    @classmethod
    def connect(
        cls,
        url: str,
        prefix: str = "og",
        *,
        now: Callable[[], int] = wall_ms,
        durability: Durability | None = None,
        on_weaker: OnWeaker = OnWeaker.REFUSE,
        data: Path | None = None,
    ) -> Self:
        """A client of the Redis at ``url``. Nothing is sent yet, so Redis may be away.

        Args:
            url: as ``RedisUrl`` reads it.
            prefix: of every key.
            durability: what a server must do before its word counts; None: whatever is there is believed.
            on_weaker: what if it doesn't.
            data: the folder where it is remembered which Redis this is.

        Raises:
            ValueError: the URL isn't one of a Redis.
        """
        address = RedisUrl.parse(url)
        keys, known = Keys(prefix), Known(prefix, data / "epochs" if data else None)
        trust = Trust(known, marker_keys(keys, address.topology), durability, on_weaker)
        return cls(connect(address, trust), address.where, keys, now, trust)

    @classmethod
    def configured(cls, settings: RedisSettings, data: Path, url: str) -> Self:
        """The Redis of a configuration.

        Args:
            url: the configured one, else that of the embedded server.
        """
        return cls.connect(
            url, settings.prefix, durability=settings.durability, on_weaker=settings.on_weaker, data=data
        )

    async def aclose(self) -> None:
        await self.client.aclose()

    @asynccontextmanager
    async def durable(self, within: float | None = PATIENCE) -> AsyncIterator[None]:
        """Around each use of the client: a Redis that is away, full, loading or refusing us becomes ``NotDurable``.

        Args:
            within: seconds for all that is done inside; None: as long as it takes.
        """
        try:
            async with asyncio.timeout(within):
                yield
        except (RedisError, RedisClusterException, OSError) as error:  # a timeout is an OSError
            advice = _advice(error)
            if advice is None:
                raise
            self._complain(advice, error)
            if "READONLY" in _words(error):  # the primary has moved: an address that follows it wants a new connection
                await self.client.follow()
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
                async with self.durable(within=None):
                    await self.client.refresh()
                    async with self.client.pubsub() as calls:
                        await calls.subscribe(channel)
                        yield None
                        while True:
                            call = await calls.get_message(ignore_subscribe_messages=True, timeout=every)
                            yield call["data"] if call else None
            except NotDurable:
                await asyncio.sleep(every)

    async def ping(self) -> None:
        """Nothing, if Redis is there and is ours.

        Raises:
            NotDurable: it isn't.
        """
        await self.command("GET", self.trust.markers[0])
        if self.trust.lost:
            raise NotDurable(f"this Redis counts for nothing: {self.trust.lost}")

    # Who is there -----------------------------------------------------------------------------------------------------

    async def look(self) -> list[ServerInfo]:
        """Look at every server that takes writes, in the order of their addresses; judge whether they count.

        Raises:
            NotDurable: Redis is away.
        """
        seen: set[str] = set()

        async def look(connection: AbstractConnection) -> None:
            await self.trust.look(connection)
            seen.add(where(connection))

        async with self.durable():
            await self.client.visit(look)
        self.trust.only(seen)
        return [server for _, server in sorted(self.trust.servers.items())]

    async def demand(self) -> None:
        """What is asked for at the start: a Redis that is there must keep what it acknowledges.

        Raises:
            NoServer: it doesn't, and that is to be refused; the text says what to set.
        """
        with suppress(NotDurable):  # one that is away is looked at when it comes
            await self.look()
        if self.trust.weak and self.trust.on_weaker is OnWeaker.REFUSE:
            raise NoServer(
                f"redis.durability: {self.trust.durability} can't be had from {self.where}: {self.trust.weak}.\n"
                "To go on with less, write in gateway.yaml   redis: {on_weaker: warn}"
            )

    async def recognise(self) -> None:
        """Remember which Redis this is. One that never had an epoch, and of which nobody knows one, gets its first.

        Raises:
            NotDurable: Redis is away, or isn't the one that it was.
        """
        servers = await self.look()
        if not self.trust.known.epoch:
            marker = await self._settled(max(server.at for server in servers))
            self.trust.known.saw(marker.epoch, marker.since)
            await self.look()
        await self.ping()
        await self._remember()

    async def _settled(self, at: int) -> Marker:
        """The epoch of this Redis: the one that it has been given whole, else one that all replicas agree on."""
        found = [marker for marker in self.trust.found.values() if marker]
        for marker in found:
            if not marker.proposed:
                return marker
        first, *others = self.trust.markers
        await self.command("SET", first, Marker.new(at).text, "NX")
        agreed = Marker.read(await self.command("GET", first))
        if agreed is None:
            raise NotDurable("the epoch of this Redis can't be read; it is written anew")
        await self._mark(agreed, others, "NX")
        await self._mark(agreed.whole(), self.trust.markers, "XX")
        return agreed

    async def accept_empty(self, reason: str) -> str:
        """What this Redis holds now is all there is: a new epoch, which replicas recognise as accepted. It is returned.

        Args:
            reason: for the replicas' logs.

        Raises:
            NotDurable: Redis is away.
        """
        servers = await self.look()
        accepted = Marker.new(max(server.at for server in servers)).accept(reason)
        await self._mark(accepted, self.trust.markers)
        self.trust.known.saw(accepted.epoch, accepted.since)
        await self.look()
        await self._remember()
        return accepted.epoch

    async def _mark(self, marker: Marker, keys: Sequence[str], *condition: str) -> None:
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.execute_command("SET", key, marker.text, *condition)
            await pipe.execute()

    async def watch(self) -> None:
        """Looks at the servers without end: once a minute, and every second while anything is wrong."""
        looked = time.monotonic()
        while True:
            await asyncio.sleep(_LOOK_AGAIN)
            self.trust.complain()
            if not (self.trust.lost or self.trust.weak) and time.monotonic() < looked + _LOOK_EVERY:
                continue
            looked = time.monotonic()
            with suppress(NotDurable):
                await self.look()
                if not self.trust.lost:
                    await self._remember()

    async def _remember(self) -> None:
        try:
            await asyncio.to_thread(self.trust.known.keep)
        except OSError as error:
            log.warning(
                "redis.not_remembered", error=str(error),
                todo="give the gateway a data folder that it may write to; without one a Redis that comes back empty"
                " while no replica runs can't be told from a new one",
            )  # fmt: skip


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
    if isinstance(error, Unconfirmed):
        return _NO_REPLICA
    if isinstance(error, AskError | TryAgainError):
        return _MOVING
    if isinstance(error, MasterNotFoundError):
        return _NO_PRIMARY
    if isinstance(error, RedisClusterException):
        return _NO_CLUSTER
    if isinstance(error, NoAnswer | TimeoutError):
        return _SLOW
    if isinstance(error, NoConnection | OSError):
        return _GONE
    return None
