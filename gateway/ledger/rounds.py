"""One link's loop: begins what may begin, a few at a time, until nothing is due any more.

Of one object only one delivery is under way. Objects and CDRs have places of their own, so that a CDR service that
hangs holds up CDRs alone. Where a breaker is open, nothing goes out but one trial when its time has come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import structlog
from attrs import define, field, frozen

from gateway.breaker import Breakers
from gateway.directory import Directory, Link
from gateway.ledger.cdrs import Postings
from gateway.ledger.errands import LANE_MS
from gateway.ledger.objects import Objects
from gateway.ledger.pace import Pace, ms
from gateway.ledger.tenure import Tenure
from gateway.model.errors import GatewayError, NotDurable
from gateway.model.modules import Module
from gateway.model.names import CdrEntry, Due, Name, Ousted
from gateway.ports import Owed

log = structlog.get_logger()

_LOOK_AT: Final = 200
"""So many due entries are looked through for those that may go, while some module of the link mustn't be called."""

_AHEAD: Final = 32
"""So many pending CDRs are read at once."""

Delivery = Coroutine[Any, Any, None]


@define(eq=False)
class _Round:
    """What is under way in one tenure.

    Attributes:
        ahead: CDRs that were read already, and are next.
        objects, cdrs: whether there may be more of them than was seen when they were looked at last.
    """

    tenure: Tenure
    under_way: dict[Name, asyncio.Task[None]] = field(factory=dict)
    ahead: list[CdrEntry] = field(factory=list)
    objects: bool = True
    cdrs: bool = True

    def busy(self, *, cdrs: bool) -> int:
        """How many places are taken."""
        return sum((name.module is Module.CDRS) is cdrs for name in self.under_way)

    def begin(self, name: Name, delivery: Delivery) -> None:
        self.under_way[name] = asyncio.create_task(delivery)

    async def some_end(self, news: asyncio.Event) -> None:
        """Wait until there is news, or a delivery has ended."""
        woken = asyncio.create_task(news.wait())
        try:
            await asyncio.wait({woken, *self.under_way.values()}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
        for name in [name for name, task in self.under_way.items() if task.done()]:
            del self.under_way[name]
            if name.module is Module.CDRS:
                self.cdrs = True
            else:
                self.objects = True

    async def cut_short(self) -> None:
        for task in self.under_way.values():
            task.cancel()
        await asyncio.gather(*self.under_way.values(), return_exceptions=True)


@frozen(kw_only=True)
class Rounds:
    """Makes the rounds of links."""

    store: Owed
    objects: Objects
    cdrs: Postings
    breakers: Breakers
    pace: Pace
    directory: Callable[[], Directory]
    clock: Callable[[], datetime]
    ending: Callable[[], bool]

    async def needed(self, link_id: str) -> bool:
        """Whether there is anything to be done for this link now. Raises NotDurable."""
        link, now = self._deliverable(link_id), ms(self.clock())
        if link is None:
            return False
        if await self.store.due(link_id, now, 1) or await self.store.cdr_in_flight(link_id):
            return True
        return not self.breakers.waits(link_id, Module.CDRS) and bool(await self.store.cdr_next(link_id, now, 1))

    async def make(self, tenure: Tenure, news: asyncio.Event) -> None:
        """Deliver until nothing is due. Each delivery by itself: a slow one holds up no other object.

        Raises:
            NotDurable: the store went away before anything was begun.
        """
        await self._take_over(tenure)
        its = _Round(tenure)
        try:
            while True:
                if news.is_set():
                    news.clear()
                    its.objects = its.cdrs = True
                await self._begin_some(its)
                if not its.under_way:
                    return
                await its.some_end(news)
        finally:
            await its.cut_short()

    async def _take_over(self, tenure: Tenure) -> None:
        """What a process that died has left: CDRs in flight, and things that wait for what only it knew."""
        link = self.directory()[tenure.link]
        try:
            for entry in await self.store.cdr_in_flight(tenure.link):
                await self.cdrs.interrupted(link, entry, tenure)
        except Ousted:
            tenure.over = True
        if tenure.new and not self.breakers.any_open(tenure.link):
            await self.store.urge(tenure.link)

    async def _begin_some(self, its: _Round) -> None:
        directory, link = self.directory(), self._deliverable(its.tenure.link)
        if link is None or its.tenure.over:
            return
        try:
            for due in await self._due(link, its):
                bringing = self.objects.bring(link, due, directory, its.tenure)
                its.begin(due.name, self._guarded(its.tenure, due.name, bringing))
            for entry in await self._pending(link, its):
                posting = self.cdrs.bring(link, entry, directory, its.tenure)
                its.begin(entry.name, self._guarded(its.tenure, entry.name, posting))
        except NotDurable:
            pass  # told by the store itself; the look around comes by
        except Ousted:
            its.tenure.over = True

    async def _due(self, link: Link, its: _Round) -> list[Due]:
        """Objects whose time has come. Those whose breaker is open are put off, but for one: the trial."""
        places = link.in_flight - its.busy(cdrs=False)
        if places <= 0 or not its.objects:
            return []
        limit = _LOOK_AT if self.breakers.any_waits(link.id) else places + len(its.under_way)
        looked_at = await self.store.due(link.id, ms(self.clock()), limit)
        found: list[Due] = []
        tried = {name.module for name in its.under_way}
        for due in looked_at:
            if due.name in its.under_way:
                continue
            module = due.name.module
            trial = self.breakers.is_open(link.id, module)
            if self.breakers.waits(link.id, module) or (trial and module in tried):
                await self.objects.keep_waiting(link, due, its.tenure)
            elif len(found) < places:
                tried.add(module)
                found.append(due)
        its.objects = len(looked_at) == limit
        return found

    async def _pending(self, link: Link, its: _Round) -> list[CdrEntry]:
        """CDRs whose time has come; one, where that is a trial."""
        busy = its.busy(cdrs=True)
        places = link.in_flight - busy
        if self.breakers.waits(link.id, Module.CDRS):
            its.ahead.clear()
            return []
        if self.breakers.is_open(link.id, Module.CDRS):
            places = 0 if busy else 1
        if places > len(its.ahead) and its.cdrs:
            limit = _AHEAD + busy
            read = await self.store.cdr_next(link.id, ms(self.clock()), limit)
            its.ahead[:] = [entry for entry in read if entry.name not in its.under_way]
            its.cdrs = len(read) == limit
        begin, its.ahead[:] = its.ahead[: max(places, 0)], its.ahead[max(places, 0) :]
        return begin

    def _deliverable(self, link_id: str) -> Link | None:
        """The link, if it may be brought anything now; what it is owed stays owed."""
        link = self.directory().find(link_id)
        if link is None or self.ending() or self.pace.rests(link_id):
            return None
        return link if link.delivers(self.clock()) else None

    async def _guarded(self, tenure: Tenure, name: Name, delivery: Coroutine[Any, Any, object]) -> None:
        try:
            await delivery
        except Ousted:
            tenure.over = True  # another replica goes on
            await self._doubt(tenure.link, name)
        except NotDurable:
            # What is owed is still owed; nothing was confirmed that isn't stored. Don't spin while Redis is away.
            await asyncio.sleep(1)
        except GatewayError as error:
            log.info("delivery.put_off", partner=tenure.link, module=name.module, reason=error.message)
            await asyncio.sleep(1)
        except Exception as error:
            # Not one of ours: a bug. The others go on, and this one doesn't spin either.
            log.exception("delivery.crashed", partner=tenure.link, module=name.module, error=type(error).__name__)
            await asyncio.sleep(1)

    async def _doubt(self, link: str, name: Name) -> None:
        """Something of ours may have arrived after what its new tenure sent: nobody knows what the receiver has.

        A CDR is another matter: whoever took over has found it in flight.
        """
        if name.module is Module.CDRS:
            return
        with suppress(NotDurable, GatewayError):
            async with self.store.lane(link, name, LANE_MS):
                await self.store.take(link, name)
                await self.store.owe(link, name, ms(self.clock()))
