"""The courier: looks after every link that is owed something, one loop for each.

A loop (``rounds.py``) takes the link's lease, brings what is due, and ends. Loops share nothing: a slow link slows
nobody else.

It is woken by whoever says something, by partners that call in, by breakers that close, and by a look around each
second, which also finds what a replica that died has left behind.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import structlog
from attrs import define
from prometheus_client import Gauge

from gateway.directory import Clients, Directory, Link
from gateway.exchange import Exchange
from gateway.inquiry import Inquiry
from gateway.ledger.cdrs import Postings
from gateway.ledger.crawls import Crawls
from gateway.ledger.errands import Errands
from gateway.ledger.objects import Objects
from gateway.ledger.order import Order
from gateway.ledger.pace import Pace, ms
from gateway.ledger.rounds import Rounds
from gateway.ledger.spreading import Spreading
from gateway.ledger.tenure import Tenures
from gateway.lookup import Lookup
from gateway.model.errors import NotDurable
from gateway.model.hub_client_info import ConnectionStatus
from gateway.model.modules import Module
from gateway.model.names import Due, Name, Sent
from gateway.ports import Codec, Leases, News, Owed
from gateway.showing import Showing

log = structlog.get_logger()

OWED: Final = Gauge(
    "ocpi_gateway_owed", "What a link is owed: CDRs by state, and other objects that are due or held.",
    ("partner", "module", "state"),
)  # fmt: skip

URGED_S: Final = 600.0
"""Seconds between two tries at most that a partner provokes by calling in, while none of them reaches it."""

AROUND_S: Final = 1.0
_SWEEP_S: Final = 2.0
_LEFT_S: Final = 0.5  # who spreads a note takes milliseconds: an older one was left by somebody who died
_COUNT_S: Final = 15.0
_NOT_AGAIN_S: Final = 1.0


class Store(Owed, Leases, News, Protocol):
    """What is needed of the store."""


@define(eq=False)
class _Urged:
    """How often a link was urged of late, without anything coming of it."""

    not_before: float = 0.0
    pause: float = 0.0
    coming: bool = False


class Courier:
    """Delivers what is owed. ``run`` works until cancelled; ``owed`` is what the pipeline calls."""

    def __init__(
        self,
        *,
        store: Store,
        crawls: Crawls,
        showing: Showing,
        lookup: Lookup,
        inquiry: Inquiry,
        exchange: Exchange,
        codec: Codec,
        directory: Callable[[], Directory],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._pace = pace = Pace(clock)
        errands = Errands(exchange=exchange, lookup=lookup, inquiry=inquiry, codec=codec, pace=pace)
        self._store = store
        self._spreading = Spreading(store=store, showing=showing, directory=directory)
        self._codec = codec
        self._directory = directory
        self._clock = clock
        self._breakers = breakers = exchange.breakers
        self._tenures = Tenures(store)
        objects = self._objects = Objects(
            store=store, errands=errands, crawls=crawls, showing=showing, breakers=breakers, pace=pace,
            order=Order(store=store, seen=showing.store, breakers=breakers, clock=clock), directory=directory,
            clock=clock,
        )  # fmt: skip
        cdrs = Postings(
            store=store, errands=errands, crawls=crawls, showing=showing, breakers=breakers, pace=pace, clock=clock
        )
        self._rounds = Rounds(
            store=store, objects=objects, cdrs=cdrs, breakers=breakers, pace=pace, directory=directory, clock=clock,
            ending=lambda: self._ending,
        )  # fmt: skip
        self._draining: dict[str, asyncio.Task[None]] = {}
        self._news: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._urged: dict[str, _Urged] = defaultdict(_Urged)
        self._errands: set[asyncio.Task[None]] = set()
        self._known: Clients = {}
        self._ending = False
        breakers.closed = self._back

    @property
    def who(self) -> str:
        """Under which name this process holds leases."""
        return self._tenures.who

    # What others tell -------------------------------------------------------------------------------------------------

    async def owed(self, name: Name) -> None:
        """Something was said and is noted as owed: spread it and set to work.

        The sender's acknowledgement doesn't hang on it: the note is durable, and the sweeper finds it.
        """
        try:
            spread = await self._spreading.spread(name)
            links = {*spread, *await self._release(name)}
        except NotDurable as error:
            log.warning("delivery.unspread", module=name.module, reason=error.message)
            return
        for link in links:
            self.wake(link)

    async def brought(self, link: Link, name: Name, wire: Any) -> None:
        """A receiver has this by now, because the sender waited for it; None: it has deleted it."""
        if name.module is not Module.CDRS:
            dumped = None if wire is None else self._codec.dumps(wire)
            has = None if dumped is None else Sent(wire=dumped, version=link.dialect.version, sequence=0)
            await self._store.settle(link.id, Due(name, ticket=0, at=0), has)  # no reason to look is settled by it

    async def owes(self, link: str, name: Name) -> bool:
        """Whether a link is still owed this object, so that nothing newer of it may overtake. Raises NotDurable."""
        if name.module is not Module.CDRS:
            return await self._store.owed_entry(link, name) is not None
        entry = await self._store.cdr_entry(link, name)
        return entry is not None and not entry.state.done

    def wake(self, link: str) -> None:
        """Look at what this link is owed, now."""
        self._news[link].set()
        if link in self._draining or self._ending:
            return
        task = asyncio.create_task(self._drain(link), name=f"courier {link}")
        self._draining[link] = task
        task.add_done_callback(lambda _: self._drained(link))

    def urge(self, link: str) -> None:
        """They have called in, or are back: one try at once of what waits.

        However often they call: while nothing comes of it, it is tried less and less often.
        """
        urged = self._urged[link]
        if not urged.coming:
            urged.coming = True
            self._soon(self._urge(link, urged))

    async def _urge(self, link: str, urged: _Urged) -> None:
        await asyncio.sleep(urged.not_before - time.monotonic())
        urged.coming = False
        urged.not_before = time.monotonic() + _NOT_AGAIN_S
        with suppress(NotDurable):
            if await self._try_at_once(link):
                urged.pause = min(max(2 * urged.pause, _NOT_AGAIN_S), URGED_S)
                urged.not_before = time.monotonic() + urged.pause
            else:
                urged.pause = 0.0

    async def _try_at_once(self, link: str) -> bool:
        """Whatever waits after a failure may go now, wherever the link's loop runs. Whether there was anything."""
        waited = self._breakers.any_open(link)
        self._breakers.urge(link)
        self._pace.occasion(link)
        if await self._store.urge(link) or waited:
            self.wake(link)
            await self._store.notify(link)
            return True
        return False

    def _back(self, link: str) -> None:
        """A breaker has closed: what waited for that may go."""
        self._urged[link].pause = self._urged[link].not_before = 0.0
        self._soon(self._released(link))

    async def _released(self, link: str) -> None:
        with suppress(NotDurable):
            await self._try_at_once(link)

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _release(self, location: Name) -> list[str]:
        """What waited for this location is due now; the links that it is for."""
        released = self._objects.waiting.pop(location, set())
        for link, name in released:
            await self._store.owe(link, name, ms(self._clock()))
        return [link for link, _ in released]

    # Looking around ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Deliver until cancelled: woken by whoever says something, and by a look around now and then."""
        self._known = self._directory().known
        works = (self._look_around(), self._sweep(), self._count(), *self._breakers.work())
        company = [asyncio.create_task(work) for work in works]
        try:
            async with aclosing(self._store.woken()) as calls:
                async for link in calls:
                    if link is not None:
                        self.wake(link)
        finally:
            self._ending = True
            tasks = [*self._draining.values(), *self._errands, *company]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def settle_down(self, within: float) -> None:
        """Wait until nothing is under way, at most so long."""
        if running := list(self._draining.values()):
            await asyncio.wait(running, timeout=within)

    async def finish(self, within: float) -> None:
        """Begin nothing any more, and wait until what is under way has ended, at most so long: a stop in good order."""
        self._ending = True
        links = list(self._draining)
        for news in self._news.values():
            news.set()
        await self.settle_down(within)
        with suppress(NotDurable):
            await self._store.notify(*links)  # whoever is still there goes on at once

    async def _look_around(self) -> None:
        """Each second, however much is going on: what is due by now, and what a replica that died has left."""
        while True:
            self._welcome()
            with suppress(NotDurable):
                for link in await self._store.owing():
                    self.wake(link)
            await asyncio.sleep(AROUND_S)

    def _welcome(self) -> None:
        """Parties behind hubs that have become connected get what waits for them."""
        known = self._directory().known
        if known is self._known or known == self._known:
            return
        connected = ConnectionStatus.CONNECTED
        back = {place[0] for place, status in known.items() if status is connected is not self._known.get(place)}
        self._known = known
        for link in back:
            self._soon(self._released(link))

    async def _sweep(self) -> None:
        while True:
            try:
                if found := await self._store.orphans(older_than_ms=int(_LEFT_S * 1000)):
                    log.info("delivery.orphans", found=found)
            except NotDurable:
                pass  # told once by the store itself
            await asyncio.sleep(_SWEEP_S)

    async def _count(self) -> None:
        """What is owed, for those who look at metrics."""
        while True:
            for link in list(self._directory().links):
                with suppress(NotDurable):
                    for state, count in (await self._store.counts(link)).items():
                        if not state.done:
                            OWED.labels(link, Module.CDRS, state).set(count)
                    backlog = await self._store.backlog(link)
                    OWED.labels(link, "objects", "due").set(backlog.due)
                    OWED.labels(link, "objects", "held").set(backlog.held)
            await asyncio.sleep(_COUNT_S)

    # One link ---------------------------------------------------------------------------------------------------------

    def _drained(self, link: str) -> None:
        task = self._draining.pop(link)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error("delivery.crashed", partner=link, exc_info=error)
        elif self._news[link].is_set():
            self.wake(link)

    async def _drain(self, link: str) -> None:
        """Deliver to one link until nothing is due, if no other replica does."""
        news = self._news[link]
        news.clear()
        with suppress(NotDurable):
            if await self._rounds.needed(link):
                async with self._tenures.of(link, news.set) as tenure:
                    if tenure is not None:
                        await self._rounds.make(tenure, news)
