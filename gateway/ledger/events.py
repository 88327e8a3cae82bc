"""Tells the backend what becomes of its CDRs, so that it need not ask: changes of states are posted to ``events.url``.

How does a change get there?
    Every script that moves a CDR appends the change to a stream, in the same step. Here the streams are read from where
    the last batch ended, and what has come since is posted as ``{"changes": [...], "cursor": ...}``, oldest first.

What if nobody answers?
    The cursor moves only after a 2xx. Until then the same changes are posted again, after 1 s, then twice as long each
    time, up to a minute. So each change arrives at least once and in order, though one that came a moment before a
    failure or a crash may come twice: `partner`, `id`, `to` and `at` tell that it is the same.

And with several replicas?
    One of them posts: who has the lease. When it is gone another one goes on within seconds, where the cursor stands.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import structlog
from attrs import define, field, frozen

from gateway.model.errors import GatewayError, InvalidObject, NotDurable
from gateway.model.message import Headers, HttpAnswer, HttpRequest
from gateway.model.names import CdrChange
from gateway.telemetry import EVENTS_FAILED, EVENTS_LAG

log = structlog.get_logger(__name__)

BATCH: Final = 100
"""Changes in one request, at most."""

WITHIN_S: Final = 10.0
"""Seconds that the receiver may take for one request."""

_CURSOR: Final = "events:cursor"
_LEASE: Final = "events:lease"  # no link has such an id
_LEASE_MS: Final = 2000
_RENEW_S: Final = 0.5
_LOOK_S: Final = 0.5
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 60.0

Told = Callable[[Sequence[CdrChange]], Awaitable[list[dict[str, Any]]]]
Send = Callable[[HttpRequest], Awaitable[HttpAnswer]]


class Store(Protocol):
    """What is needed of the store. Every method raises NotDurable while it is away."""

    async def changes(self, after: str | None, limit: int) -> tuple[list[CdrChange], str]:
        """Changes after a cursor, oldest first, and the cursor behind them. Raises InvalidObject for no cursor."""

    async def remember(self, id: str, value: bytes, ttl: float | None) -> None:
        """Find ``value`` under ``id``."""

    async def recall(self, id: str) -> bytes | None:
        """What was remembered."""

    async def lease(self, link: str, who: str, ms: int) -> int | None:
        """Take or keep a lease; None: somebody else has it."""

    async def release(self, link: str, who: str) -> None:
        """Give it back."""


@frozen
class Receiver:
    """Where changes are posted, and the bearer token that goes along, if any."""

    url: str
    token: str | None = None


@define(eq=False, kw_only=True)
class Events:
    """Posts the changes of CDRs. ``run`` works until cancelled.

    Attributes:
        receiver: who wants to know just now; None: nobody.
        told: how changes are written for others.
        send: one request within ``WITHIN_S``. Raises GatewayError where there is no answer.
    """

    store: Store
    receiver: Callable[[], Receiver | None]
    told: Told
    send: Send
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _who: str = field(factory=lambda: secrets.token_hex(8), init=False)
    _failures: int = field(default=0, init=False)

    async def run(self) -> None:
        """Post whatever there is to post, while this replica is the one that does."""
        while True:
            try:
                if self.receiver() is not None:
                    await self._serve()
                await asyncio.sleep(_LOOK_S)
            except NotDurable:
                await asyncio.sleep(_LOOK_S)  # told once by the store itself
            except Exception as error:
                # Not one of ours: a bug. The changes stay where they are, and this doesn't spin.
                log.exception("events.crashed", error=type(error).__name__)
                await asyncio.sleep(_LONGEST_PAUSE_S)

    async def _serve(self) -> None:
        """Post, until somebody else does or nobody wants to know any more."""
        async with self._tenure() as ours:
            while ours() and (receiver := self.receiver()):
                if not await self._forward(receiver):
                    await asyncio.sleep(self._pause())

    @asynccontextmanager
    async def _tenure(self) -> AsyncIterator[Callable[[], bool]]:
        """While inside, the lease is kept if it can be had; what is yielded tells whether it is."""
        held = await self.store.lease(_LEASE, self._who, _LEASE_MS) is not None

        async def keep() -> None:
            nonlocal held
            while held:
                await asyncio.sleep(_RENEW_S)
                with suppress(NotDurable):
                    held = await self.store.lease(_LEASE, self._who, _LEASE_MS) is not None

        keeping = asyncio.create_task(keep(), name="keep the lease of events")
        try:
            yield lambda: held
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            EVENTS_LAG.set(0)  # whoever goes on tells it
            with suppress(NotDurable):  # it ends by itself, too
                await self.store.release(_LEASE, self._who)

    async def _forward(self, receiver: Receiver) -> bool:
        """Post one batch. True if it arrived and there may be more."""
        cursor = await self._cursor()
        changes, behind = await self._changes(cursor)
        if not changes:
            EVENTS_LAG.set(0)
            return False
        EVENTS_LAG.set(max(0.0, self.clock().timestamp() - changes[0].at / 1000))
        why = await self._post(receiver, {"changes": await self.told(changes), "cursor": behind})
        if why is not None:
            self._failed(why)
            return False
        self._failures = 0
        await self.store.remember(_CURSOR, behind.encode(), None)
        return True

    async def _cursor(self) -> str | None:
        packed = await self.store.recall(_CURSOR)
        return packed.decode() if packed else None

    async def _changes(self, cursor: str | None) -> tuple[list[CdrChange], str]:
        try:
            return await self.store.changes(cursor, BATCH)
        except InvalidObject:  # of a build that wrote cursors otherwise: all that is kept is told again
            return await self.store.changes(None, BATCH)

    async def _post(self, receiver: Receiver, body: Mapping[str, Any]) -> str | None:
        """Post a batch. None if it was taken, else why not."""
        headers = Headers({"Authorization": f"Bearer {receiver.token}"} if receiver.token else {})
        try:
            answer = await self.send(HttpRequest(method="POST", url=receiver.url, headers=headers, body=body))
        except NotDurable:
            raise
        except GatewayError as error:
            return error.message
        return None if 200 <= answer.status <= 299 else f"it answered HTTP {answer.status}"

    def _failed(self, why: str) -> None:
        self._failures += 1
        EVENTS_FAILED.inc()
        log.error(
            "events.failed", reason=why, failures=self._failures,
            todo="see that `events` in gateway.yaml names a receiver that answers 2xx; nothing is lost meanwhile",
        )  # fmt: skip

    def _pause(self) -> float:
        """Seconds until the next look or, after failures, the next attempt."""
        if not self._failures:
            return _LOOK_S
        pause: float = min(_FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10), _LONGEST_PAUSE_S)
        return pause * random.uniform(0.8, 1.0)  # noqa: S311 (spread, not secret)
