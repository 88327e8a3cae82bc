"""The courier: brings each link what it is owed, in order per object, a few objects at a time."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import structlog
from attrs import evolve, frozen

from gateway.directory import Directory, Link, receiver_is_supply
from gateway.inquiry import LOCATION_UNKNOWN, Inquiry, location_of
from gateway.ledger.crawls import Crawls
from gateway.lookup import Lookup
from gateway.model.change import Change
from gateway.model.document import Document
from gateway.model.errors import GatewayError, NotConnected, NotDurable, ReceiverTimeout
from gateway.model.facts import Crossing, Loss, Translated, Withheld
from gateway.model.message import Answer, HttpAnswer, Message, Ref, Trace
from gateway.model.modules import MODULES, Kind, Module, Side, Verb
from gateway.model.names import CdrEntry, CdrState, Due, Name, Said, Sent, fold
from gateway.model.party import Party
from gateway.model.values import moment
from gateway.ports import Adapter, Codec, Owed, Way, Wire
from gateway.sharing import shown
from gateway.showing import Showing
from gateway.telemetry import PARKED, Crossed, crossed, declare_object

log = structlog.get_logger()

DELIVERY_S: Final = 10.0
"""Seconds that one delivery's request may take."""

_FIRST_PAUSE_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 300.0
_SWEEP_S: Final = 5.0
_ABANDONED_MS: Final = 1500
"""Milliseconds after which the lane of a process that died is free, with some to spare."""

_UNDECIDED: Final = frozenset({CdrState.PENDING, CdrState.IN_FLIGHT})

_LANE_MS: Final = int(DELIVERY_S * 2000)

# What the request itself is to blame for. Not 401, 403, 404, 408 and 429: these pass, or aren't about the object.
_REJECTED: Final = frozenset({400, 405, 406, 409, 410, 411, 413, 414, 415, 422})

# What a front proxy answers for a service that is down: the CDR was not stored.
_NOT_STORED: Final = frozenset({429, 502, 503})


_NOBODY_KNOWS: Final = ""
"""The version of what a receiver may have, after an attempt that failed: enough to withdraw it, not to build on it."""


@frozen
class _Attempt:
    """How a request to a receiver ended: its answer, or why there is none."""

    answer: Answer | None
    error: GatewayError | None = None
    http: int | None = None

    @property
    def good(self) -> bool:
        return self.answer is not None and self.answer.good

    @property
    def refused(self) -> bool:
        """The receiver understood and said no (2xxx): the same again would get the same answer."""
        # 401 is about our token, whatever the envelope says: with the right one the same object is taken.
        return self.answer is not None and 2000 <= self.answer.status <= 2999 and self.http != 401

    @property
    def rejected(self) -> bool:
        """Its framework said no before OCPI was reached: an object that it can't read stays one that it can't read."""
        return self.answer is None and self.http in _REJECTED

    @property
    def not_stored(self) -> bool:
        """The receiver certainly didn't store it, so that posting it again can't bill it twice."""
        # An OCPI answer that isn't success says so itself; a front proxy says it for a service that is down.
        return self.answer is not None or isinstance(self.error, NotConnected) or self.http in _NOT_STORED

    @property
    def changed_nothing(self) -> bool:
        """Whether the receiver certainly has what it had before."""
        return self.refused or isinstance(self.error, NotConnected)

    @property
    def reason(self) -> str:
        if self.answer is not None:
            return f"{self.answer.status}: {self.answer.text or 'no message'}"
        return self.error.message if self.error else "no answer"


@frozen
class _Errand:
    """One object on its way to one link."""

    link: Link
    adapter: Adapter
    kind: Kind
    said: Said
    message: Message

    def losing(self, losses: tuple[Loss, ...]) -> _Errand:
        """The same, with what its translation lost."""
        return evolve(self, message=self.message.evolve(losses=losses))

    def put(self, whole: Any) -> Change:
        """The whole object, in wire form."""
        return Change(verb=Verb.PUT, ref=self.message.ref, kind=self.kind, body=whole)


class Courier:
    """Delivers what is owed. ``run`` works until cancelled; ``owed`` is what the pipeline calls."""

    def __init__(
        self,
        *,
        store: Owed,
        crawls: Crawls,
        showing: Showing,
        lookup: Lookup,
        inquiry: Inquiry,
        adapters: Mapping[str, Adapter],
        wire: Wire,
        codec: Codec,
        directory: Callable[[], Directory],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._crawls = crawls
        self._showing = showing
        self._lookup = lookup
        self._inquiry = inquiry
        self._adapters = adapters
        self._wire = wire
        self._codec = codec
        self._directory = directory
        self._clock = clock
        self._draining: dict[str, asyncio.Task[None]] = {}
        self._news: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._failures: dict[str, int] = defaultdict(int)
        # Location -> the link and name of what embeds it. Only speed: what waits is due again by itself, too.
        self._waiting: dict[Name, set[tuple[str, Name]]] = defaultdict(set)

    async def owed(self, name: Name) -> None:
        """Something was said and is noted as owed: spread it and set to work.

        The sender's acknowledgement doesn't hang on it: the note is durable, and the sweeper finds it.
        """
        try:
            spread = await self._store.spread(name)
            await self._show(name, spread)
            links = {*spread, *await self._release(name)}
        except NotDurable as error:
            log.warning("delivery.unspread", module=name.module, reason=error.message)
            return
        for link in links:
            self.wake(link)

    async def owes(self, link: str, name: Name) -> bool:
        return any(each.name == name for each in await self._store.due(link, 2**53, 10**6))

    async def brought(self, link: Link, name: Name, wire: Any) -> None:
        """A receiver has this by now, because the sender waited for it; None: it has deleted it."""
        await self._store.take(link.id, name)
        if wire is not None and name.module is not Module.CDRS:
            has = Sent(wire=self._codec.dumps(wire), version=link.dialect.version, sequence=0)
            await self._store.settle(link.id, Due(name, ticket=0, at=0), has)  # no reason to look is settled by it

    async def _show(self, name: Name, links: Iterable[str]) -> None:
        """Whoever is owed it may list it as of now, however long it takes until it is brought."""
        directory = self._directory()
        found = [link for id in links if (link := directory.find(id)) is not None]
        if found:
            await self._showing.look_for(found, name)

    async def _release(self, location: Name) -> list[str]:
        """What waited for this location is due now; the links that it is for."""
        released = self._waiting.pop(location, set())
        for link, name in released:
            await self._store.owe(link, name, _ms(self._clock()))
        return [link for link, _ in released]

    def wake(self, link: str) -> None:
        """Look at what this link is owed, now."""
        self._news[link].set()
        if link in self._draining:
            return
        task = asyncio.create_task(self._drain(link), name=f"courier {link}")
        self._draining[link] = task
        task.add_done_callback(lambda _: self._drained(link))

    def _drained(self, link: str) -> None:
        task = self._draining.pop(link)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error("delivery.crashed", partner=link, exc_info=error)
        elif self._news[link].is_set():
            self.wake(link)

    async def run(self) -> None:
        """Deliver until cancelled: woken by whoever says something, and by a look around now and then."""
        sweeper = asyncio.create_task(self._sweep())
        try:
            parking = asyncio.create_task(self._park_interrupted())
            async with aclosing(self._store.woken()) as calls:
                async for link in calls:
                    for each in [link] if link is not None else await self._links_owed():
                        self.wake(each)
        finally:
            tasks = [*self._draining.values(), sweeper, parking]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def settle_down(self, within: float) -> None:
        """Wait until nothing is under way, at most so long: a stop in good order."""
        if running := list(self._draining.values()):
            await asyncio.wait(running, timeout=within)

    async def _links_owed(self) -> list[str]:
        try:
            return await self._store.owing()
        except NotDurable:
            return []

    async def _sweep(self) -> None:
        while True:
            try:
                if found := await self._store.orphans(older_than_ms=int(_SWEEP_S * 1000)):
                    log.info("delivery.orphans", found=found)
            except NotDurable:
                pass  # told once by the store itself
            await asyncio.sleep(_SWEEP_S)

    async def _park_interrupted(self) -> None:
        """CDRs that were in flight when a process died: nobody knows whether they arrived.

        Whoever posts one is in its lane for as long as it lives; another replica's are none of our business.
        """
        for link in self._directory().links:
            try:
                for entry in await self._store.cdr_list(link):
                    if entry.state is CdrState.IN_FLIGHT:
                        await self._park_abandoned(link, entry.name)
            except NotDurable:
                return

    async def _park_abandoned(self, link: str, name: Name) -> None:
        try:
            async with self._store.lane(link, name, _ABANDONED_MS):
                why = "the gateway stopped during the attempt"
                await self._park_cdr(link, name, CdrState.IN_DOUBT, why, {CdrState.IN_FLIGHT})
        except ReceiverTimeout:
            log.debug("cdr.in_flight_elsewhere", partner=link)

    # One link ---------------------------------------------------------------------------------------------------------

    async def _drain(self, link_id: str) -> None:
        """Deliver to one link until nothing is due. Each delivery by itself: a slow one holds up no other object."""
        news = self._news[link_id]
        under_way: dict[Name, asyncio.Task[None]] = {}
        try:
            while True:
                news.clear()
                for name, delivery in await self._next(link_id, under_way):
                    under_way[name] = asyncio.create_task(self._guarded(link_id, name, delivery))
                if not under_way:
                    return
                await _any_of(news, under_way.values())
                under_way = {name: task for name, task in under_way.items() if not task.done()}
        finally:
            for task in under_way.values():
                task.cancel()
            await asyncio.gather(*under_way.values(), return_exceptions=True)

    async def _next(self, link_id: str, under_way: Collection[Name]) -> list[tuple[Name, Coroutine[Any, Any, None]]]:
        """What may begin now. Of one object only one delivery is under way; objects and CDRs each have their places."""
        directory = self._directory()
        link = directory.find(link_id)
        if link is None or not link.delivers(self._clock()):
            return []  # it stays owed; registering wakes us, and so does the look around after a pause
        now, limit = _ms(self._clock()), link.in_flight + len(under_way)
        try:
            objects = await self._store.due(link_id, now, limit)
            cdrs = await self._store.cdr_next(link_id, now, limit)
        except NotDurable:
            return []
        busy = sum(name.module is Module.CDRS for name in under_way)
        due = [each for each in objects if each.name not in under_way][: max(0, link.in_flight - len(under_way) + busy)]
        pending = [each for each in cdrs if each.name not in under_way][: max(0, link.in_flight - busy)]
        return [
            *((each.name, self._bring(link, each, directory)) for each in due),
            *((each.name, self._bring_cdr(link, each, directory)) for each in pending),
        ]

    @staticmethod
    async def _guarded(link_id: str, name: Name, delivery: Coroutine[Any, Any, None]) -> None:
        try:
            await delivery
        except NotDurable:
            # What is owed is still owed; nothing was confirmed that isn't stored. Don't spin while Redis is away.
            await asyncio.sleep(1)
        except Exception as error:
            # Not one of ours: a bug. The others go on, and this one doesn't spin either.
            log.exception("delivery.crashed", partner=link_id, module=name.module, error=type(error).__name__)
            await asyncio.sleep(1)

    # Objects ----------------------------------------------------------------------------------------------------------

    async def _bring(self, link: Link, due: Due, directory: Directory) -> None:
        async with self._store.lane(link.id, due.name, _LANE_MS):
            said = await self._store.read(due.name, link.id)
            if said is None or said.deleted:
                await self._showing.hide(link, due.name)
            if said is None or not _takes(link, due.name.module):
                # Gone, or they have no interface that takes it; they may list it. One that comes makes us look again.
                await self._store.settle(link.id, due, None)
                return
            errand = self._errand(link, due.name, said)
            sent = await self._store.take(link.id, due.name)
            if said.deleted:
                await self._withdraw(errand, due, sent)
            else:
                await self._bring_current(errand, due, sent, directory)

    async def _bring_current(self, errand: _Errand, due: Due, sent: Sent | None, directory: Directory) -> None:
        try:
            down = await self._translated(errand, directory)
        except Withheld as withheld:
            await self._keep_back(errand, due, sent, withheld)
            return
        except NotDurable:
            raise
        except GatewayError as error:
            await self._showing.hide(errand.link, due.name)
            await self._store.settle(errand.link.id, due, sent, due.at)
            await self._hold(errand.link, due, "untranslatable", error.message)
            return
        if sent is not None and self._former_id(errand, sent) is not None:
            await self._rename(errand, due, sent)
            return
        await self._showing.show(errand.link, due.name, self._codec.loads(errand.said.canonical))
        version = errand.adapter.version
        known = self._codec.loads(sent.wire) if sent is not None and sent.version == version else None
        ref, policy = errand.message.ref, errand.link.dialect.policy
        changes = errand.adapter.changes(errand.kind, ref, known, down.data, frozenset(), policy)
        if changes and await self._crawls.cover(errand.link.id, due, known=known is not None):
            changes = ()
        attempt = await self._send(errand.losing(down.losses), changes, down.data)
        again = _ms(down.until) if down.until else None
        await self._ended(errand, due, sent, attempt, down.data, again)

    async def _translated(self, errand: _Errand, directory: Directory) -> Translated:
        canonical = shown(errand.link, errand.message.module, self._codec.loads(errand.said.canonical))
        crossing = _crossing(errand.link, errand.message)

        async def lowered() -> Translated:
            down, _ = await self._lookup.through(
                lambda c: errand.adapter.down(errand.kind, canonical, c), crossing, directory, link=errand.link.id
            )
            return down

        try:
            return await lowered()
        except Withheld as withheld:
            if await self._inquiry.helps(withheld, canonical, directory):
                return await lowered()
            raise

    async def _send(self, errand: _Errand, changes: Sequence[Change], whole: Any) -> _Attempt | None:
        """The changes one by one; the whole object where the receiver doesn't know it. None: nothing to say."""
        attempt = None
        for change in changes:
            attempt = await self._attempt(errand, change)
            if attempt.answer is not None and attempt.answer.http == 404 and change.verb is Verb.PATCH:
                return await self._attempt(errand, errand.put(whole))
            if not attempt.good:
                return attempt
        return attempt

    async def _attempt(self, errand: _Errand, change: Change) -> _Attempt:
        link, adapter = errand.link, errand.adapter
        body = None if change.body is None else Document(change.kind, change.body)
        trace = Trace(request_id=str(uuid.uuid4()), correlation_id=errand.message.trace.correlation_id)
        canonical = self._codec.loads(errand.said.canonical) if errand.message.losses else {}
        losses = change.loses(canonical, errand.message.losses, partial(adapter.touched, up=False))
        message = errand.message.evolve(verb=change.verb, ref=change.ref, body=body, trace=trace, losses=losses)
        started = time.perf_counter()
        http: HttpAnswer | None = None
        try:
            request = adapter.write_request(message, link.dialect)
            http = await self._wire.send(link.id, request, within=DELIVERY_S, way=_way(message.module))
            attempt = _Attempt(adapter.open_answer(http, message, link.dialect), http=http.status)
        except GatewayError as error:
            attempt = _Attempt(None, error, http.status if http else None)
        crossed(
            Crossed(
                source=errand.said.source,
                source_version=errand.said.version,
                target=link.id,
                target_version=adapter.version,
                module=message.module,
                verb=change.verb,
                action=None,
                status=attempt.answer.status if attempt.answer else None,
                losses=message.losses,
                ms=round((time.perf_counter() - started) * 1000, 1),
                reason=None if attempt.good else attempt.reason,
            )
        )
        return attempt

    async def _withdraw(self, errand: _Errand, due: Due, sent: Sent | None, again_ms: int | None = None) -> None:
        """The owner deleted it, or takes it back: so does the receiver. That it isn't there is as good as deleted."""
        former = self._former_id(errand, sent) if sent is not None else None
        ref = errand.message.ref if former is None else evolve(errand.message.ref, id=former)
        attempt = await self._attempt(errand, Change(verb=Verb.DELETE, ref=ref, kind=errand.kind, body=None))
        if attempt.good or (attempt.answer is not None and attempt.answer.http == 404):
            await self._store.settle(errand.link.id, due, None, again_ms)
        else:
            await self._failed(errand.link, due, attempt, sent)

    async def _rename(self, errand: _Errand, due: Due, sent: Sent) -> None:
        """A tariff has another id towards this link than it had: it goes under the one, and comes under the other."""
        await self._withdraw(errand, due, sent, again_ms=due.at)

    def _former_id(self, errand: _Errand, sent: Sent) -> str | None:
        """The id by which a receiver has a tariff, where it isn't the one by which it is to know it."""
        if errand.message.module is not Module.TARIFFS:
            return None
        id = str(self._codec.loads(sent.wire)["id"])
        return None if fold(id) == fold(errand.message.ref.id) else id

    async def _keep_back(self, errand: _Errand, due: Due, sent: Sent | None, withheld: Withheld) -> None:
        """It must not be shown, or can't be said: withdrawn where the receiver has it, held where money hangs on it."""
        module = due.name.module
        if withheld.status == LOCATION_UNKNOWN:
            log.warning("delivery.waits", partner=errand.link.id, module=module, reason=withheld.reason)
            location = location_of(self._codec.loads(errand.said.canonical))
            self._waiting[location].add((errand.link.id, due.name))
            await self._store.postpone(errand.link.id, due, self._later(errand.link))
            return
        await self._showing.hide(errand.link, due.name)
        if module not in (Module.LOCATIONS, Module.TARIFFS):
            await self._hold(errand.link, due, "withheld", withheld.reason)
        elif sent is None:
            log.info(
                "delivery.withheld", partner=errand.link.id, module=module,
                reason=withheld.reason, policy=withheld.policy,
            )  # fmt: skip
            await self._store.settle(errand.link.id, due, None)
        elif module is Module.TARIFFS:
            await self._withdraw(errand, due, sent)
        else:
            await self._hide(errand, due, sent)

    async def _hide(self, errand: _Errand, due: Due, sent: Sent) -> None:
        """A location that may no longer be shown: OCPI deletes none, so all its EVSEs become REMOVED."""
        shown = self._codec.loads(sent.wire)
        removed = all(evse["status"] == "REMOVED" for evse in shown.get("evses") or ())
        if removed and sent.version != _NOBODY_KNOWS:
            await self._store.settle(errand.link.id, due, sent)
            return
        # Not before what they have, whatever the owner's clock says: they would take it for old.
        stamp = f"{max(self._clock(), moment(shown['last_updated'])):%Y-%m-%dT%H:%M:%SZ}"
        evses = [{**evse, "status": "REMOVED", "last_updated": stamp} for evse in shown.get("evses") or ()]
        hidden = {**shown, "evses": evses, "last_updated": stamp}
        attempt = await self._send(errand, [errand.put(hidden)], hidden)
        await self._ended(errand, due, sent, attempt, hidden, None)

    async def _ended(
        self, errand: _Errand, due: Due, sent: Sent | None, attempt: _Attempt | None, wire: Any, again_ms: int | None
    ) -> None:
        """An attempt ended: what the receiver has now counts as known only if it said so."""
        has = Sent(wire=self._codec.dumps(wire), version=errand.adapter.version, sequence=errand.said.sequence)
        if attempt is not None and not attempt.good:
            await self._failed(errand.link, due, attempt, sent if attempt.changed_nothing else has)
            return
        self._failures.pop(errand.link.id, None)
        await self._store.settle(errand.link.id, due, has, again_ms)

    async def _failed(self, link: Link, due: Due, attempt: _Attempt, perhaps: Sent | None) -> None:
        """It is held, or tried again. What the receiver may have by now is kept for the day it must be withdrawn."""
        final = attempt.refused or attempt.rejected
        later = due.at if final else self._later(link)
        if perhaps is not None:
            await self._store.settle(link.id, due, evolve(perhaps, version=_NOBODY_KNOWS), later)
        if final:
            await self._hold(link, due, "refused", attempt.reason)
        elif perhaps is None:
            await self._store.postpone(link.id, due, later)

    async def _hold(self, link: Link, due: Due, reason: str, detail: str) -> None:
        PARKED.labels(link.id, due.name.module, reason).inc()
        log.warning(
            "delivery.held", partner=link.id, module=due.name.module, reason=reason, detail=detail,
            todo="it goes out again when the object changes; see why it was refused, or the switches of this link",
        )  # fmt: skip
        await self._store.hold(link.id, due, reason, detail)

    # CDRs -------------------------------------------------------------------------------------------------------------

    async def _bring_cdr(self, link: Link, entry: CdrEntry, directory: Directory) -> None:
        name = entry.name
        async with self._store.lane(link.id, name, _LANE_MS):
            said = await self._store.read(name)
            if said is None:
                await self._park_cdr(link.id, name, CdrState.HELD, "the CDR itself is gone from the store")
                return
            errand = self._errand(link, name, said)
            try:
                down = await self._translated(errand, directory)
            except Withheld as withheld:
                await self._showing.hide(link, name)
                await self._park_cdr(link.id, name, CdrState.HELD, withheld.reason)
                return
            except NotDurable:
                raise
            except GatewayError as error:
                await self._park_cdr(link.id, name, CdrState.HELD, error.message)
                return
            digest = hashlib.sha256(self._codec.dumps(down.data)).hexdigest()
            if not await self._store.cdr_move(link.id, name, {CdrState.PENDING}, CdrState.IN_FLIGHT, digest=digest):
                return  # another replica has it
            post = Change(verb=Verb.POST, ref=errand.message.ref, kind=Kind.CDR, body=down.data)
            await self._cdr_ended(link, name, await self._attempt(errand.losing(down.losses), post))

    async def _cdr_ended(self, link: Link, name: Name, attempt: _Attempt) -> None:
        if attempt.good:
            self._failures.pop(link.id, None)
            location = attempt.answer.location if attempt.answer else None
            await self._store.cdr_move(
                link.id, name, {CdrState.IN_FLIGHT, CdrState.IN_DOUBT}, CdrState.DELIVERED, location=location or ""
            )
        elif attempt.refused:
            await self._park_cdr(link.id, name, CdrState.REFUSED, attempt.reason)
        elif attempt.not_stored:
            await self._store.cdr_move(
                link.id, name, {CdrState.IN_FLIGHT}, CdrState.PENDING, reason=attempt.reason, at_ms=self._later(link)
            )
        else:
            await self._park_cdr(link.id, name, CdrState.IN_DOUBT, attempt.reason)

    async def _park_cdr(
        self, link: str, name: Name, state: CdrState, reason: str, among: Collection[CdrState] = _UNDECIDED
    ) -> None:
        todo = {
            CdrState.HELD: "it can't be said to this receiver as it is: see cdrs.credit and cdrs.home_charging",
            CdrState.REFUSED: "ask the receiver why; a corrected CDR has a new id",
            CdrState.IN_DOUBT: "ask the receiver whether it has this CDR; it isn't sent a second time by itself",
        }[state]
        if not await self._store.cdr_move(link, name, among, state, reason=reason):
            return  # it has come further meanwhile
        PARKED.labels(link, Module.CDRS, state).inc()
        log.error(f"cdr.{state}", partner=link, cdr=name.text, reason=reason, todo=todo)

    # Small things -----------------------------------------------------------------------------------------------------

    def _errand(self, link: Link, name: Name, said: Said) -> _Errand:
        kind = _kind(name.module)
        message = self._message(link, name, said)
        structlog.contextvars.bind_contextvars(correlation_id=message.trace.correlation_id)
        return _Errand(link, self._adapters[link.dialect.version], kind, said, message)

    def _message(self, link: Link, name: Name, said: Said) -> Message:
        """The push of an object: from its owner, to the party on the other side that it concerns."""
        receiver = link.their_party(supply=receiver_is_supply(name.module, Side.RECEIVER))
        canonical = self._codec.loads(said.canonical)
        declare_object(name.module, canonical)
        if name.module in (Module.SESSIONS, Module.CDRS):
            token = Document(_kind(name.module), canonical).view().cdr_token
            concerned = Party(token.country_code, token.party_id)
            receiver = concerned if link.dialect.speaks_for(concerned) else receiver
        if said.receiver is not None and link.dialect.speaks_for(said.receiver):
            receiver = said.receiver  # addressed; the hub's own party, of a broadcast, is nobody's here
        return Message(
            module=name.module,
            verb=Verb.PUT,
            side=Side.RECEIVER,
            sender=name.owner,
            receiver=receiver,
            ref=Ref(owner=name.owner, id=_id_for(link, name.module, said.id), type=name.type),
            trace=Trace(request_id="", correlation_id=said.correlation or str(uuid.uuid4())),
        )

    def _later(self, link: Link) -> int:
        """When to try this link again: 5 s, doubled with each failure in a row, at most 5 min, spread a little."""
        self._failures[link.id] += 1
        pause = min(_FIRST_PAUSE_S * 2 ** (self._failures[link.id] - 1), _LONGEST_PAUSE_S)
        # Spread, not secret: so that many links don't come back in the same moment.
        return _ms(self._clock()) + int(pause * random.uniform(0.8, 1.2) * 1000)  # noqa: S311


async def _any_of(news: asyncio.Event, tasks: Iterable[asyncio.Task[None]]) -> None:
    """Wait until there is news, or one of the tasks has ended."""
    woken = asyncio.create_task(news.wait())
    try:
        await asyncio.wait({woken, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        woken.cancel()


def _crossing(link: Link, message: Message) -> Callable[[Any], Crossing]:
    return lambda facts: Crossing(
        facts=facts, policy=link.dialect.policy, owner=message.ref.owner, peer=message.receiver
    )


def _way(module: Module) -> Way:
    return Way.BILLING if module is Module.CDRS else Way.PUSHING


def _takes(link: Link, module: Module) -> bool:
    """Whether the other side takes pushes of this module: it has the interface, and it isn't off on the link."""
    return (module, Side.RECEIVER) in link.dialect.endpoints and link.pushes(module)


def _id_for(link: Link, module: Module, id: str) -> str:
    """The id of an object as the link knows it, shown or not."""
    return (link.tariff_id(id) or id) if module is Module.TARIFFS else id


def _kind(module: Module) -> Kind:
    kind = MODULES[module].kind
    assert kind is not None  # what is owed is an object
    return kind


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
