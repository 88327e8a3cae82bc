"""The store: what is said, owed, seen and awaited, who is registered, and what passes between replicas, in one Redis.

Replicas hold nothing that matters in memory. What belongs together is written by one script in one slot
(``keys.py``); what lives in different slots is brought together by writes that may be repeated, in an order in which
a crash at any point leaves something to finish and nothing to lose:

    say      object and fan-out note, one step          then the sender is acknowledged
    spread   the note's links are owed the object       then they are woken
    forget   the note, unless the object was written again since
    orphans  notes that a crash left behind are spread by whoever comes by
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Final

from attrs import define

from gateway.model.errors import NotDurable, ReceiverTimeout
from gateway.model.names import Name
from gateway.store.attached import Attachments
from gateway.store.awaited import Awaited
from gateway.store.keys import owner_of
from gateway.store.news import News
from gateway.store.owed import Owed
from gateway.store.priced import Prices
from gateway.store.pulled import Pulled
from gateway.store.registrations import Registrations
from gateway.store.said import Objects
from gateway.store.seen import Seen
from gateway.store.shelves import Shelves

# Waiting for a lane: look again after this long, in seconds. The first look comes soon, since most calls take little.
_FIRST_LOOK: Final = 0.005
_LONGEST_LOOK: Final = 0.05

# So many notes are looked at in one round trip, and so many of them spread at a time.
_A_PAGE: Final = 500
_AT_ONCE: Final = 16

# Between the links of one call. No link has it in its id.
_BETWEEN: Final = "\n"

# A lane belongs to a process that lives: its holder says so again in time, and a killed one holds nobody up for long.
_LEASE_MS: Final = 1000


@define(eq=False)
class Store(Objects, Owed, Pulled, Seen, Awaited, Registrations, News, Prices, Attachments, Shelves):
    """Everything that the gateway keeps. Every method raises ``NotDurable`` while Redis is away.

    ``Store.connect(url, prefix)`` makes one, ``aclose()`` ends it.
    """

    async def spread(
        self, name: Name, first: Callable[[Sequence[str]], Awaitable[None]] | None = None
    ) -> tuple[str, ...]:
        """The fan-out note of an object becomes due entries (for a CDR, entries of its ledger) under each link.

        Safe to repeat and to run twice at a time. The links are woken, and returned.

        Args:
            first: what is done for these links before anybody can find what they are owed.
        """
        links, sequence = await self._note(name)
        if not sequence:
            return ()
        if first is not None:
            await first(links)
        now = self.now()
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            if links:
                pipe.sadd(self.keys.links(), *links)
            for link in links:
                self._queue_owe(pipe, link, name, now)
            await pipe.execute()
        keys = [self.keys.note(name), self.keys.notes(owner_of(name))]
        await self.run("forget", keys, sequence, name.text)
        await self.notify(*links)
        return tuple(links)

    async def orphans(self, older_than_ms: int = 0) -> int:
        """Fan-out notes that nobody spread within this time are spread. How many there were.

        A note that is being spread at this moment may be spread twice, which costs a look and nothing else.
        """
        latest = self.now() - older_than_ms
        found = 0
        for owner in sorted(await self.command("SMEMBERS", self.keys.owners())):
            key = self.keys.notes(owner.decode())
            former: list[bytes] = []
            # What was spread is gone from the list, but for what was said again meanwhile.
            while (texts := await self.command("ZRANGEBYSCORE", key, "-inf", latest, "LIMIT", 0, _A_PAGE)) != former:
                for some in range(0, len(texts), _AT_ONCE):
                    part = texts[some : some + _AT_ONCE]
                    await asyncio.gather(*(self.spread(Name.parse(text.decode())) for text in part))
                found += len(texts)
                former = texts
        return found

    async def notify(self, *links: str) -> None:
        """Whoever waits in ``woken``, in any replica, learns that these links are owed something as of now."""
        if links:
            await self.command("PUBLISH", self.keys.wake(), _BETWEEN.join(links))

    async def woken(self, every: float = 1.0) -> AsyncGenerator[str | None, None]:
        """Links as they are owed something, without end.

        None means: look at all of them. It comes first, whenever a call may have been missed, and every ``every``
        seconds without one, so that a lost call costs a second and no more. While Redis is away, nothing comes.
        """
        async with aclosing(self.heard(self.keys.wake(), every)) as calls:
            async for call in calls:
                for link in [None] if call is None else call.decode().split(_BETWEEN):
                    yield link

    @asynccontextmanager
    async def lane(self, link: str, name: Name, ms: int, *, turn_ms: int | None = None) -> AsyncIterator[None]:
        """Alone with this object towards this link, in all replicas, so that what is said of it arrives in order.

        A holder that is killed loses the lane after a second.

        Args:
            ms: how long to keep the lane at most: the deadline of the exchange.
            turn_ms: how long to wait for others that have it at most; None: as long as it may be kept.

        Raises:
            ReceiverTimeout: another exchange kept the lane for that long.
        """
        key, who = self.keys.lane(link, name), secrets.token_hex(8)
        deadline = time.monotonic() + (ms if turn_ms is None else turn_ms) / 1000
        pause = _FIRST_LOOK
        while not await self._enter(key, who, min(ms, _LEASE_MS)):
            if time.monotonic() + pause > deadline:
                raise ReceiverTimeout("an earlier exchange about this object hasn't ended yet")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_LOOK)
        keeping = asyncio.create_task(self._keep(key, who, ms))
        try:
            yield
        finally:
            keeping.cancel()
            with suppress(NotDurable):  # it ends by itself, and what was done in it is done
                await self.run("unlock", [key], who)

    async def _keep(self, key: str, who: str, ms: int) -> None:
        """Extends the lease of a lane, until its time is up."""
        ends = time.monotonic() + ms / 1000
        while (left := int((ends - time.monotonic()) * 1000)) > 0:
            await asyncio.sleep(_LEASE_MS / 3000)
            with suppress(NotDurable):
                if not await self.run("keep", [key], who, min(left, _LEASE_MS)):
                    return  # left, or lost

    async def _enter(self, key: str, who: str, ms: int) -> bool:
        # SET and GET rather than SET alone: a repeated SET NX would find the lane taken, by ourselves.
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            pipe.set(key, who, nx=True, px=ms)
            pipe.get(key)
            return bool((await pipe.execute())[1] == who.encode())
