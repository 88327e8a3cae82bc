"""One client for each shape that Redis comes in: a server, a primary behind sentinels, a cluster.

All three are used alike: ``execute_command``, ``pipeline``, ``pubsub``. What is asked of them is told to a ``Gate``,
which is shown every new connection before anything else is sent on it, and every command before it is sent; and which
may want each write confirmed by a replica (``WAIT``, on the connection of the write, in the same round trip).

*Sentinels* name the primary to each new connection; the pool lets go of idle ones when the name changes.

*A cluster* is spoken to by slots. Commands of a pipeline go to the nodes that have their keys, all nodes at once, and
what a node no longer has (MOVED, ASK) or can't answer follows to the one that has it now. A transaction is one slot's.
redis-py's own pipelines for clusters aren't used: a failing one closes the connections that others are using, and its
transactions block the loop.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cache
from typing import Any, Final, Protocol, cast

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.client import Pipeline
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.commands import AsyncCoreCommands
from redis.event import EventDispatcher
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import TimeoutError as NoAnswer
from redis.maint_notifications import MaintNotificationsConfig

from gateway.settings.redis_url import RedisUrl, Topology

# One call's patience. Three tries of a second each leave room in the shortest deadline there is for a partner's answer.
TIMEOUT: Final = 1.0
TRIES_AGAIN: Final = 2
CONNECTIONS: Final = 64

# A replica confirms within this time, in ms, or the write doesn't count. Less than TIMEOUT: the answer is on its way.
_CONFIRMED_WITHIN: Final = 700
# Sentinels are asked one after the other, and one that is gone must leave time for the next.
_SENTINEL_TIMEOUT: Final = 0.5
# A cluster that is changing hands has done so after some of these.
_BREATH: Final = 0.2

Words = tuple[Any, ...]
"""A command as it is sent: its name, then keys and arguments."""

Options = dict[str, Any]

_READING: Final = frozenset({
    "EXISTS", "GET", "HEXISTS", "HGET", "HGETALL", "HKEYS", "HLEN", "HMGET", "HSCAN", "HSTRLEN", "HVALS", "LLEN",
    "LRANGE", "MGET", "PTTL", "SCAN", "SCARD", "SISMEMBER", "SMEMBERS", "SMISMEMBER", "SSCAN", "STRLEN", "TIME", "TTL",
    "TYPE", "XINFO", "XLEN", "XRANGE", "XREVRANGE", "ZCARD", "ZCOUNT", "ZLEXCOUNT", "ZMSCORE", "ZRANGE",
    "ZRANGEBYLEX", "ZRANGEBYSCORE", "ZRANK", "ZREVRANGE", "ZREVRANGEBYSCORE", "ZREVRANK", "ZSCAN", "ZSCORE",
})  # fmt: skip
_KEYLESS: Final = frozenset({
    "ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DBSIZE", "FLUSHALL", "FLUSHDB", "INFO", "KEYS", "PING", "ROLE",
    "SHUTDOWN", "TIME", "WAIT",
})  # fmt: skip


class Unconfirmed(RedisError):
    """The primary has written it, and no replica has said in time that it has it too."""


class Gate(Protocol):
    """Who says what may pass.

    Attributes:
        turns: how often it has changed its mind. What was sent before it did is judged again before it counts.
    """

    turns: int

    async def meet(self, connection: AbstractConnection) -> None:
        """A new connection: greets (``on_connect``) and looks at who is there."""

    def admit(self, batch: Iterable[Words]) -> bool:
        """Whether these commands must be confirmed by a replica. Raises NotDurable if they may not be sent."""


class Client(Protocol):
    """What all three have in common."""

    async def execute_command(self, *words: Any, **options: Any) -> Any:
        """One command."""

    def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> Awaitable[Any]:
        """One script."""

    def pipeline(self, transaction: bool = True) -> Any:
        """Commands that go out together; with ``transaction`` nothing comes between, and all keys share a slot."""

    def pubsub(self) -> Any:
        """A subscription."""

    async def visit(self, look: Callable[[AbstractConnection], Awaitable[None]]) -> None:
        """Show each server that takes writes."""

    async def refresh(self) -> None:
        """Learn anew who is who, where that isn't learnt with each new connection."""

    async def follow(self) -> None:
        """The primary has moved: go where it is now."""

    async def aclose(self) -> None:
        """Close all connections."""


def connect(url: RedisUrl, gate: Gate) -> Client:
    """A client of the Redis at ``url``. Nothing is sent yet."""
    if url.topology is Topology.CLUSTER:
        return Cluster.of(url, gate)
    return Server.of(url, gate)


def writes(words: Words) -> bool:
    """Whether a command may change anything. A script may if it calls anything that may."""
    name = words[0]
    if name == "EVAL":
        return _script_writes(words[1])
    return name not in _READING and name not in _KEYLESS and name != "PUBLISH"


def keys_of(words: Words) -> Sequence[Any]:
    """The keys of a command (of several, for others than scripts the first), by which it finds its slot.

    A channel is none, and any node will do for it; it goes by its name all the same.
    """
    if words[0] == "EVAL":
        return words[3 : 3 + int(words[2])]
    return () if words[0] in _KEYLESS else words[1:2]


@cache
def _script_writes(text: str) -> bool:
    return not _READING.issuperset(re.findall(r"redis\.p?call\(\s*'(\w+)'", text))


def _patience() -> Retry:
    return Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.2), TRIES_AGAIN)


def _common(gate: Gate) -> Options:
    # No health_check_interval: in 8.1, a server that refuses our password sends it into endless recursion.
    return {
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        "redis_connect_func": gate.meet,
    }


# One server, or the one that sentinels name --------------------------------------------------------------------------


class _SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """Connections to whoever is the primary; who finds none free waits for one."""


class Server(Redis):
    """One server at a time."""

    gate: Gate
    sentinels: Sentinel | None = None

    @classmethod
    def of(cls, url: RedisUrl, gate: Gate) -> Server:
        options = {
            "max_connections": CONNECTIONS, "timeout": TIMEOUT, "retry": _patience(), **_common(gate),
        }  # fmt: skip
        if url.topology is Topology.SINGLE:
            client = cast(Server, cls.from_pool(BlockingConnectionPool.from_url(url.plain, **options)))
        else:
            told = dict(parse_url(url.plain))
            del told["host"]
            secured = {"ssl": True} if told.pop("connection_class", None) is SSLConnection else {}
            of_tls = {key: value for key, value in told.items() if key.startswith("ssl")}
            sentinels = Sentinel(  # type: ignore[no-untyped-call]
                url.nodes,
                sentinel_kwargs={
                    "socket_timeout": _SENTINEL_TIMEOUT, "socket_connect_timeout": _SENTINEL_TIMEOUT,
                    "retry": Retry(NoBackoff(), 0), **secured, **of_tls, **dict(url.sentinel_login),
                },
            )  # fmt: skip
            pool = _SentinelPool(url.service, sentinels, **options, **secured, **told)  # type: ignore[no-untyped-call]
            client = cast(Server, cls.from_pool(pool))
            client.sentinels = sentinels
        client.gate = gate
        return client

    async def execute_command(self, *words: Any, **options: Any) -> Any:
        turns = self.gate.turns
        if not self.gate.admit([words]):
            answer = await super().execute_command(*words, **options)  # type: ignore[no-untyped-call]
            if self.gate.turns != turns:
                self.gate.admit([words])
            return answer
        pipe = _Pipe(self, transaction=False)
        pipe.execute_command(*words, **options)
        async with pipe:
            return (await pipe.execute())[0]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        return _Pipe(self, transaction=transaction)

    async def visit(self, look: Callable[[AbstractConnection], Awaitable[None]]) -> None:
        connection = await self.connection_pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            await look(connection)
        finally:
            await self.connection_pool.release(connection)

    async def refresh(self) -> None:
        """Each new connection asks the sentinels, if there are any."""

    async def follow(self) -> None:
        await self.connection_pool.disconnect(inuse_connections=False)

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        if self.sentinels is not None:
            await self.sentinels.aclose()


class _Pipe(Pipeline):
    """Commands that go out together, and the confirmation of a replica behind them."""

    def __init__(self, client: Server, *, transaction: bool) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, None)
        self._gate, self._confirmed = client.gate, False

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        batch, turns = [words for words, _ in self.command_stack], self._gate.turns
        self._confirmed = self._gate.admit(batch)
        apart = self._confirmed and not self.is_transaction
        if apart:
            self.execute_command("WAIT", 1, _CONFIRMED_WITHIN)
        answers = await super().execute(raise_on_error)
        if apart:
            _check_confirmed(answers.pop())
        if self._gate.turns != turns:
            self._gate.admit(batch)
        return answers

    async def _execute_transaction(self, connection: Any, commands: Any, raise_on_error: bool) -> Any:
        answers = await super()._execute_transaction(connection, commands, raise_on_error)
        if self._confirmed:  # inside a transaction WAIT doesn't wait
            await connection.send_command("WAIT", 1, _CONFIRMED_WITHIN)
            _check_confirmed(await connection.read_response())
        return answers


def _check_confirmed(replicas: int) -> None:
    if replicas < 1:
        raise Unconfirmed("no replica has confirmed the write")


# A cluster ------------------------------------------------------------------------------------------------------------


class Cluster(RedisCluster):
    """All nodes of a cluster. Commands with keys go the way of pipelines, one by one or many."""

    gate: Gate
    known: Sequence[tuple[str, int]]
    room: asyncio.Semaphore

    @classmethod
    def of(cls, url: RedisUrl, gate: Gate) -> Cluster:
        told, common = dict(parse_url(url.plain)), _common(gate)
        del told["host"]
        if told.pop("connection_class", None) is SSLConnection:
            told["ssl"] = True
        meet = common.pop("redis_connect_func")
        client = cls(
            startup_nodes=[ClusterNode(host, port) for host, port in url.nodes],
            max_connections=CONNECTIONS + 16,  # subscriptions and visits come on top of the commands
            retry=_patience(),
            **common,
            **cast(Options, told),
        )
        # The constructor has no parameter for it; connections of the nodes that it finds are made with these.
        client.nodes_manager.connection_kwargs["redis_connect_func"] = meet
        client.gate, client.known, client.room = gate, url.nodes, asyncio.Semaphore(CONNECTIONS)
        return client

    async def execute_command(self, *words: Any, **options: Any) -> Any:
        if not keys_of(words):
            self.gate.admit([words])
            return await super().execute_command(*words, **options)
        batch = self.pipeline(transaction=False)
        batch.execute_command(*words, **options)
        return (await batch.execute())[0]

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> _Batch:  # type: ignore[override, unused-ignore]
        return _Batch(self, together=bool(transaction))

    async def visit(self, look: Callable[[AbstractConnection], Awaitable[None]]) -> None:
        await self.refresh()
        for node in self.get_primaries():
            connection = node.acquire_connection()
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
                await look(connection)
            finally:
                node.release(connection)

    async def follow(self) -> None:
        await self.refresh()

    async def refresh(self) -> None:
        """Learn anew who has which slot: from the nodes as known last, else from those that the address names."""
        if self.nodes_manager.default_node is None:
            await self.initialize()
            return
        try:
            await self.nodes_manager.initialize()
        except RedisClusterException:
            await self.nodes_manager.initialize(additional_startup_nodes_info=list(self.known))


class _Batch(AsyncCoreCommands):
    """Commands that go out together, each to the node of its slot; or, ``together``, as a transaction of one slot."""

    def __init__(self, client: Cluster, *, together: bool) -> None:
        self._client, self._together = client, together
        self._event_dispatcher = EventDispatcher()
        self._queued: list[tuple[Words, Options]] = []

    def execute_command(self, *words: Any, **options: Any) -> _Batch:  # type: ignore[override, unused-ignore]
        options.pop("keys", None)  # for redis-py's own cache
        self._queued.append((words, options))
        return self

    async def __aenter__(self) -> _Batch:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._queued.clear()

    async def execute(self) -> list[Any]:
        """The answers in the order of the commands.

        Raises:
            RedisError, RedisClusterException: the first of what went wrong. The others were carried out nevertheless,
                unless they are a transaction.
        """
        queued, self._queued = self._queued, []
        if not queued:
            return []
        gate, batch = self._client.gate, [words for words, _ in queued]
        turns, confirmed = gate.turns, gate.admit(batch)
        answers: list[Any] = [None] * len(queued)
        left = list(range(len(queued)))
        async with self._client.room:
            for again in range(TRIES_AGAIN + 1):
                if again:
                    await self._catch_up([answers[place] for place in left])
                await self._pass(queued, left, answers, confirmed)
                left = [place for place in left if isinstance(answers[place], _PASSING)]
                if not left:
                    break
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        if gate.turns != turns:
            gate.admit(batch)
        return answers

    async def _pass(
        self, queued: list[tuple[Words, Options]], left: list[int], answers: list[Any], confirmed: bool
    ) -> None:
        """Each node gets its part of what is left, all at the same time."""
        if self._client.nodes_manager.default_node is None:
            await self._client.initialize()
        parts: dict[tuple[ClusterNode, bool], list[int]] = {}
        for place in left:
            asked = answers[place]
            if isinstance(asked, AskError) and not isinstance(asked, MovedError):
                node = cast(ClusterNode, self._client.get_node(host=asked.host, port=asked.port))
                parts.setdefault((node, True), []).append(place)
            else:
                slot = self._client.keyslot(keys_of(queued[place][0])[0])
                node = self._client.nodes_manager.get_node_from_slot(slot)
                parts.setdefault((node, False), []).append(place)
        said = await asyncio.gather(
            *(
                self._exchange(node, [queued[place] for place in places], asking, confirmed)
                for (node, asking), places in parts.items()
            ),
            return_exceptions=True,
        )
        for places, found in zip(parts.values(), said, strict=True):
            if isinstance(found, BaseException) and not isinstance(found, Exception):
                raise found
            for at, place in enumerate(places):
                answers[place] = found if isinstance(found, Exception) else found[at]

    async def _catch_up(self, failed: list[Any]) -> None:
        """Learn where to turn: MOVED says it itself; after anything else the cluster is asked, given time to settle."""
        moved = [error for error in failed if isinstance(error, MovedError)]
        for error in moved:
            await self._client.nodes_manager.move_slot(error)
        if len(moved) < len(failed) and not all(isinstance(error, AskError) for error in failed):
            await asyncio.sleep(_BREATH)
            await self._client.refresh()

    async def _exchange(
        self, node: ClusterNode, queued: list[tuple[Words, Options]], asking: bool, confirmed: bool
    ) -> list[Any]:
        """What one node answers to its part; an error that it answers to one command stands in that one's place."""
        first: list[Words] = [("ASKING",)] if asking else []
        lines: list[Words] = []
        if self._together:
            lines = [*first, ("MULTI",), *(words for words, _ in queued), ("EXEC",)]
        else:
            for words, _ in queued:
                lines += [*first, words]
        if confirmed:
            lines.append(("WAIT", 1, _CONFIRMED_WITHIN))
        replies = await _speak(node, lines)
        if confirmed:
            *replies, replicas = replies
            if not any(isinstance(reply, Exception) for reply in replies):
                _check_confirmed(replicas)
        if self._together:
            replies = _transacted(replies)
        elif asking:
            replies = replies[1::2]
        return [_understood(node, *command, reply) for command, reply in zip(queued, replies, strict=True)]


# What may be over at the next try.
_PASSING: Final = (AskError, TryAgainError, ClusterDownError, NoConnection, NoAnswer, RedisClusterException)


async def _speak(node: ClusterNode, lines: list[Words]) -> list[Any]:
    connection = node.acquire_connection()
    try:
        await node.disconnect_if_needed(connection)
        await connection.send_packed_command(connection.pack_commands(lines))
        return [await _reply(connection) for _ in lines]
    finally:
        node.release(connection)


async def _reply(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _transacted(replies: list[Any]) -> list[Any]:
    """What came of the commands of a transaction; raises what stopped it."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return cast(list[Any], replies[-1])


def _understood(node: ClusterNode, words: Words, options: Options, reply: Any) -> Any:
    """The reply as redis-py would hand it out."""
    if isinstance(reply, Exception) or words[0] not in node.response_callbacks:
        return reply
    return node.response_callbacks[words[0]](reply, **options)
