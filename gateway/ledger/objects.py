"""Bringing an object: the difference between what its receiver has and what is, worked out at the moment of sending.

That is a PATCH, a PUT, a withdrawal, or nothing. What can't be said is withdrawn where it was shown before, and held
where money hangs on it. What fails waits its time, and what is refused waits for a change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import structlog
from attrs import evolve, field, frozen
from prometheus_client import Counter

from gateway.breaker import Breakers
from gateway.directory import Directory, Link
from gateway.exchange import Attempt
from gateway.inquiry import LOCATION_UNKNOWN, location_of
from gateway.ledger.crawls import Crawls
from gateway.ledger.errands import LANE_MS, Errand, Errands, takes
from gateway.ledger.order import Order, Turn
from gateway.ledger.pace import Pace, ms
from gateway.ledger.tenure import Tenure
from gateway.model.change import Change
from gateway.model.errors import GatewayError, NotDurable
from gateway.model.facts import Withheld
from gateway.model.modules import Module, Verb
from gateway.model.names import Due, Early, Name, Ousted, Sent, fold
from gateway.model.values import moment
from gateway.model.withdrawn import is_withdrawn, withdrawn
from gateway.ports import Owed
from gateway.showing import Showing
from gateway.telemetry import PARKED

log = structlog.get_logger()

LATE: Final = Counter(
    "ocpi_gateway_late", "Changes that weren't delivered within the time that a link wants (push.max_delay_s).",
    ("partner", "module"),
)  # fmt: skip

ABSENT_S: Final = 300.0
"""Seconds after which a party that can't be had behind its hub is looked at again; it is told when that changes."""

_NOBODY_KNOWS: Final = ""
"""The version of what a receiver may have, after an attempt that failed: enough to withdraw it, not to build on it."""


@frozen(kw_only=True)
class Objects:
    """Brings objects. Every method raises NotDurable while the store is away, and Ousted for a tenure that is over."""

    store: Owed
    errands: Errands
    crawls: Crawls
    showing: Showing
    breakers: Breakers
    pace: Pace
    order: Order
    directory: Callable[[], Directory]
    clock: Callable[[], datetime]
    # Location -> the link and name of what embeds it. Only speed: what waits is due again by itself, too.
    waiting: dict[Name, set[tuple[str, Name]]] = field(factory=lambda: defaultdict(set))

    async def bring(self, link: Link, due: Due, directory: Directory, tenure: Tenure, turn: Turn | None = None) -> bool:
        """Bring what is due, and before it what goes first.

        Whatever is other than when ``due`` was read has left a later ticket, which this doesn't settle. That holds for
        the link's file as well: what is read of it afterwards would be judged by what the file said before. So that
        stays due, and goes in the next round.

        Args:
            turn: of something that waits for this.

        Returns:
            False: it had no turn, and stays due: it goes after those that wait for it, or by another file.
        """
        turn = turn or Turn()
        while self.directory().find(link.id) is link:
            try:
                await self._bring(link, due, directory, tenure, turn)
                return True
            except Early as early:
                if not turn.awaited.isdisjoint(early.before):
                    return False
                await self._go_first(link, early.before, due.name, directory, tenure, turn)
        return False

    async def _go_first(
        self, link: Link, before: Sequence[Name], who: Name, directory: Directory, tenure: Tenure, turn: Turn
    ) -> None:
        """Bring these, one by one, until one fails."""
        for name in before:
            its = turn.of(name, who)
            while turn.patient:
                async with self.store.lane(link.id, name, LANE_MS):
                    entry = await self.store.owed_entry(link.id, name)  # none, if it was under way
                if entry is None or entry.at > turn.by:
                    break
                if not await self.bring(link, entry, directory, tenure, its):
                    break
                if not self.breakers.is_open(link.id, name.module):
                    turn.patient = not self.pace.failures(link.id, name)
                    break
                # The trial is another's, or was in vain.
                turn.patient = await self.order.goes_out(link, name.module, turn)

    async def _bring(self, link: Link, due: Due, directory: Directory, tenure: Tenure, turn: Turn) -> None:
        """Bring one object, alone with it towards this link. Raises Early, if something goes first."""
        async with self.store.lane(link.id, due.name, LANE_MS):
            said = await self.store.read(due.name, link.id)
            if said is None or said.deleted:
                await self.showing.hide(link, due.name)
            if said is None or not takes(link, due.name.module):
                # Gone, or they have no interface that takes it; they may list it. One that comes makes us look again.
                await self.store.dismiss(link.id, due, fence=tenure.fence)
                return
            errand = self.errands.of(link, due.name, said, tenure)
            if (status := errand.absent(directory)) is not None:
                log.info("delivery.absent", partner=link.id, module=due.name.module, hub_says=status)
                await self._postpone(errand, due, ms(self.clock()) + int(ABSENT_S * 1000))
                return
            trial = self.breakers.is_open(link.id, due.name.module)
            # What others wait for has its attempt with theirs.
            repeated = self.pace.repeats(link.id, due) and not trial and not turn.awaited
            failures = self.pace.failures(link.id, due.name)
            if not self.pace.begins(link.id, repeated=repeated):
                await self._postpone(errand, due, self.pace.next_chance(link.id))
                return
            try:
                before = await self.order.before(errand, due.name, turn)
                sent = await self.store.take(link.id, due.name, fence=tenure.fence, before=before, by_ms=turn.by)
                if said.deleted and sent is None and await self._is_kept_from(errand, directory):
                    await self.store.dismiss(link.id, due, fence=tenure.fence)
                elif said.deleted:
                    await self.order.leaves(link, due.name, turn)
                    await self._withdraw(errand, due, sent)
                else:
                    await self._bring_current(errand, due, sent, directory, turn)
            finally:
                if repeated:
                    self.pace.repeated(link.id, in_vain=self.pace.failures(link.id, due.name) > failures)

    async def keep_waiting(self, link: Link, due: Due, tenure: Tenure) -> None:
        """It may not go now: it waits.

        Where a breaker is open, what has failed is what will be tried then. Everything else waits for the breaker to
        close, or for so long that a backlog isn't written again and again.
        """
        wait = self.breakers.waits(link.id, due.name.module)
        if self.breakers.is_open(link.id, due.name.module) and not self.pace.failures(link.id, due.name):
            wait = max(wait, self.breakers.longest(link.id, due.name.module))
        at = ms(self.clock()) + int(wait * 1000)
        await self.store.postpone(link.id, due, at, fence=tenure.fence)

    async def _bring_current(
        self, errand: Errand, due: Due, sent: Sent | None, directory: Directory, turn: Turn
    ) -> None:
        try:
            down = await self.errands.translated(errand, directory)
        except Withheld as withheld:
            if sent is not None and due.name.module is Module.TARIFFS:
                await self.order.leaves(errand.link, due.name, turn, hidden=True)
            await self._keep_back(errand, due, sent, withheld)
            return
        except (NotDurable, Ousted):
            raise
        except GatewayError as error:
            await self.showing.hide(errand.link, due.name)
            await self._hold(errand, due, "untranslatable", error.message)
            return
        if sent is not None and self._former_id(errand, sent) is not None:
            await self._rename(errand, due, sent)
            return
        await self.showing.show(errand.link, due.name, errand.canonical)
        version = errand.adapter.version
        known = self.errands.codec.loads(sent.wire) if sent is not None and sent.version == version else None
        ref, policy = errand.message.ref, errand.link.dialect.policy
        changes = errand.adapter.changes(errand.kind, ref, known, down.data, frozenset(), policy)
        if changes and await self.crawls.cover(errand.link.id, due, known=known is not None):
            changes = ()
        attempt = await self._send(errand.losing(down.losses), changes, down.data)
        again = ms(down.until) if down.until else None
        await self._ended(errand, due, attempt, down.data, again)

    async def _send(self, errand: Errand, changes: Sequence[Change], whole: Any) -> Attempt | None:
        """The changes one by one; the whole object where the receiver doesn't know it. None: nothing to say."""
        attempt = None
        for change in changes:
            attempt = await self.errands.attempt(errand, change)
            if attempt.answer is not None and attempt.answer.http == 404 and change.verb is Verb.PATCH:
                return await self.errands.attempt(errand, errand.put(whole))
            if not attempt.good:
                return attempt
        return attempt

    # What is taken back, or kept back ---------------------------------------------------------------------------------

    async def _is_kept_from(self, errand: Errand, directory: Directory) -> bool:
        """Whether the link may not see the object at all: that it goes would tell that it was there."""
        try:
            await self.errands.translated(errand, directory)
        except Withheld:
            return True
        return False

    async def _withdraw(self, errand: Errand, due: Due, sent: Sent | None, again_ms: int | None = None) -> None:
        """The owner deleted it, or takes it back: so does the receiver. That it isn't there is as good as deleted."""
        former = self._former_id(errand, sent) if sent is not None else None
        ref = errand.message.ref if former is None else evolve(errand.message.ref, id=former)
        attempt = await self.errands.attempt(errand, Change(verb=Verb.DELETE, ref=ref, kind=errand.kind, body=None))
        if attempt.good or (attempt.answer is not None and attempt.answer.http == 404):
            self.pace.ended(errand.link.id, due.name)
            await self.store.settle(errand.link.id, due, None, again_ms, fence=errand.tenure.fence)
        else:
            await self._failed(errand, due, attempt, None)

    async def _rename(self, errand: Errand, due: Due, sent: Sent) -> None:
        """A tariff has another id towards this link than it had: it goes under the one, and comes under the other."""
        await self._withdraw(errand, due, sent, again_ms=due.at)

    def _former_id(self, errand: Errand, sent: Sent) -> str | None:
        """The id by which a receiver has a tariff, where it isn't the one by which it is to know it."""
        if errand.message.module is not Module.TARIFFS:
            return None
        id = str(self.errands.codec.loads(sent.wire)["id"])
        return None if fold(id) == fold(errand.message.ref.id) else id

    async def _keep_back(self, errand: Errand, due: Due, sent: Sent | None, withheld: Withheld) -> None:
        """It must not be shown, or can't be said: withdrawn where the receiver has it, held where money hangs on it."""
        module = due.name.module
        if withheld.status == LOCATION_UNKNOWN:
            log.warning("delivery.waits", partner=errand.link.id, module=module, reason=withheld.reason)
            self.waiting[location_of(errand.canonical)].add((errand.link.id, due.name))
            self.pace.failed(errand.link.id, due)
            await self._postpone(errand, due, self._later(errand, due))
            return
        await self.showing.hide(errand.link, due.name)
        if module not in (Module.LOCATIONS, Module.TARIFFS):
            await self._hold(errand, due, "withheld", withheld.reason)
        elif sent is None:
            log.info(
                "delivery.withheld", partner=errand.link.id, module=module,
                reason=withheld.reason, policy=withheld.policy,
            )  # fmt: skip
            await self.store.dismiss(errand.link.id, due, fence=errand.tenure.fence)
        elif module is Module.TARIFFS:
            await self._withdraw(errand, due, sent)
        else:
            await self._hide(errand, due, sent)

    async def _hide(self, errand: Errand, due: Due, sent: Sent) -> None:
        """A location that may no longer be shown: OCPI deletes none, so all its EVSEs become REMOVED."""
        shown = self.errands.codec.loads(sent.wire)
        if is_withdrawn(Module.LOCATIONS, shown) and sent.version != _NOBODY_KNOWS:
            await self.store.settle(errand.link.id, due, sent, fence=errand.tenure.fence)
            return
        # Not before what they have, whatever the owner's clock says: they would take it for old.
        stamp = f"{max(self.clock(), moment(shown['last_updated'])):%Y-%m-%dT%H:%M:%SZ}"
        hidden = withdrawn(Module.LOCATIONS, shown, stamp)
        attempt = await self._send(errand, [errand.put(hidden)], hidden)
        await self._ended(errand, due, attempt, hidden, None)

    # How it ended -----------------------------------------------------------------------------------------------------

    async def _ended(self, errand: Errand, due: Due, attempt: Attempt | None, wire: Any, again_ms: int | None) -> None:
        """An attempt ended: what the receiver has now counts as known only if it said so."""
        wire = self.errands.codec.dumps(wire)
        has = Sent(wire=wire, version=errand.adapter.version, sequence=errand.said.sequence)
        if attempt is not None and not attempt.good:
            await self._failed(errand, due, attempt, has)
            return
        self.pace.ended(errand.link.id, due.name)
        await self.store.settle(errand.link.id, due, has, again_ms, fence=errand.tenure.fence)

    async def _failed(self, errand: Errand, due: Due, attempt: Attempt, has: Sent | None) -> None:
        """It is held, or tried again. What the receiver may have by now is kept for the day it must be withdrawn."""
        perhaps = None if attempt.changed_nothing else has
        if attempt.refused or attempt.rejected:
            await self._hold(errand, due, "refused", attempt.reason, perhaps)
            return
        if not attempt.kept_back:
            waited = self.pace.failed(errand.link.id, due)
            self._say_if_late(errand, due, waited)
            if self._too_old(errand, waited):
                await self._hold(errand, due, "expired", f"tried for {waited // 1000} s: {attempt.reason}", perhaps)
                return
        await self._postpone(errand, due, self._later(errand, due), perhaps)

    def _too_old(self, errand: Errand, waited: int) -> bool:
        retry = errand.link.dialect.policy.push_retry
        return retry is not None and retry.max_age is not None and waited > retry.max_age.total_seconds() * 1000

    def _say_if_late(self, errand: Errand, due: Due, waited: int) -> None:
        """The alarm that a link may want for what should have arrived (``push.max_delay_s``): once for each object."""
        longest = errand.link.dialect.policy.push_max_delay_s
        if longest is not None and waited > longest * 1000 and self.pace.first_time_late(errand.link.id, due.name):
            LATE.labels(errand.link.id, due.name.module).inc()
            log.error(
                "delivery.late", partner=errand.link.id, module=due.name.module, seconds=waited // 1000,
                todo="it is tried again; see why it fails: this partner wants changes sooner (push.max_delay_s)",
            )  # fmt: skip

    def _later(self, errand: Errand, due: Due) -> int:
        link = errand.link
        at = self.pace.later(link, self.pace.failures(link.id, due.name))
        return max(at, ms(self.clock()) + int(self.breakers.waits(link.id, due.name.module) * 1000))

    async def _postpone(self, errand: Errand, due: Due, at: int, perhaps: Sent | None = None) -> None:
        await self.store.postpone(errand.link.id, due, at, perhaps=perhaps, fence=errand.tenure.fence)

    async def _hold(self, errand: Errand, due: Due, reason: str, detail: str, perhaps: Sent | None = None) -> None:
        link = errand.link.id
        self.pace.ended(link, due.name)
        PARKED.labels(link, due.name.module, reason).inc()
        log.warning(
            "delivery.held", partner=link, module=due.name.module, reason=reason, detail=detail,
            todo="it goes out again when the object changes; see why it was refused, or the switches of this link",
        )  # fmt: skip
        await self.store.hold(link, due, reason, detail, perhaps=perhaps, fence=errand.tenure.fence)
