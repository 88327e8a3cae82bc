"""Posting CDRs: each is delivered once to each receiver, or stands visibly where a person can see why it wasn't.

There is no way in OCPI to say "only if you haven't got it", so everything hangs on what an answer proves:

=============================  ========================================================================================
2xx and 1000 to 1999           delivered; nothing else is
2001, 2003 (``retry_refused``) often only timing: a location or token that they don't know yet; tried again for a while
2xxx                           refused: a person asks why
3xxx, 4xxx, 429, 502, 503      it was certainly not stored (``not_stored_http`` for front proxies): tried again
nothing was sent               tried again
anything else                  in doubt
=============================  ========================================================================================

What is in doubt is dealt with as the link says (``cdrs.in_doubt``). *park*: a person asks the receiver. *verify*: we
ask for it under its id, and post it again only if it certainly isn't there. *repost*: the same bytes
once more, for receivers that are known to dedupe, as backends must. *pull*: they read our list anyway, and have it when
they have read past it. A CDR that was in doubt keeps the digest of its body while it is pending again: it is posted
only if its bytes are the same, since a different body under one id is a different bill.

A credit CDR goes after its original, in the lane of its original. What has no way to arrive is *dead*: its party is
SUSPENDED, as its hub says, or it was tried for longer than the link wants (``push.retry``).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import structlog
from attrs import evolve, field, frozen

from gateway.breaker import Breakers
from gateway.directory import Directory, Link
from gateway.exchange import Attempt
from gateway.ledger.crawls import PULL, Crawls
from gateway.ledger.errands import LANE_MS, Errand, Errands
from gateway.ledger.objects import ABSENT_S
from gateway.ledger.pace import LONGEST_REFUSED_S, Pace, ms
from gateway.ledger.tenure import Tenure
from gateway.model.change import Change
from gateway.model.document import Document
from gateway.model.errors import GatewayError, NotDurable
from gateway.model.facts import Withheld
from gateway.model.hub_client_info import ConnectionStatus
from gateway.model.modules import Kind, Module, Verb
from gateway.model.names import CdrEntry, CdrState, Name, Ousted, Said, fold
from gateway.ports import Owed
from gateway.showing import Showing
from gateway.telemetry import PARKED

log = structlog.get_logger()

UNDECIDED: Final = frozenset({CdrState.PENDING, CdrState.IN_FLIGHT})

_INTERRUPTED: Final = "the gateway stopped during the attempt"
_ORIGINAL_S: Final = 60.0
_INSIST_S: Final = 0.5

_TODO: Final = {
    CdrState.HELD: "it can't be said to this receiver as it is: see cdrs.credit and cdrs.home_charging",
    CdrState.REFUSED: "ask the receiver why; a corrected CDR has a new id",
    CdrState.IN_DOUBT: "ask the receiver whether it has this CDR; it isn't sent a second time by itself",
    CdrState.DEAD: "nobody takes it any more: settle it with the receiver, then confirm, resend or drop it",
}


@frozen(kw_only=True)
class Postings:
    """Posts CDRs. Every method raises NotDurable while the store is away, and Ousted for a tenure that is over."""

    store: Owed
    errands: Errands
    crawls: Crawls
    showing: Showing
    breakers: Breakers
    pace: Pace
    clock: Callable[[], datetime]
    # Of a link, an original -> the credit CDRs that wait for it. Only speed: they are looked at again by themselves.
    waiting: dict[tuple[str, Name], set[Name]] = field(factory=lambda: defaultdict(set))

    async def bring(self, link: Link, entry: CdrEntry, directory: Directory, tenure: Tenure) -> None:
        """Post a pending CDR, alone with it, or with its original, towards this link."""
        name = entry.name
        said = await self.store.read(name)
        if said is None:
            await self._park(tenure, name, CdrState.HELD, "the CDR itself is gone from the store")
            return
        original = self._original(name, said)
        async with self.store.lane(link.id, original or name, LANE_MS):
            errand = self.errands.of(link, name, said, tenure)
            repeated = entry.attempts > 0 and not self.breakers.is_open(link.id, Module.CDRS)
            if not await self._may_go(errand, entry, original, directory, repeated=repeated):
                return
            attempt: Attempt | None = None
            try:
                attempt = await self._post(errand, entry, directory)
            finally:
                if repeated:
                    in_vain = attempt is not None and not (attempt.good or attempt.kept_back)
                    self.pace.repeated(link.id, in_vain=in_vain)

    # May it go? -------------------------------------------------------------------------------------------------------

    async def _may_go(
        self, errand: Errand, entry: CdrEntry, original: Name | None, directory: Directory, *, repeated: bool
    ) -> bool:
        now, retry = ms(self.clock()), errand.link.dialect.policy.push_retry
        longest = retry.max_age if retry is not None else None
        if longest is not None and now - entry.owed > longest.total_seconds() * 1000:
            why = f"couldn't be delivered within {longest}: {entry.reason or 'it never came to an attempt'}"
            await self._park(errand.tenure, entry.name, CdrState.DEAD, why)
            return False
        status = errand.absent(directory)
        if status is ConnectionStatus.SUSPENDED:
            why = f"{errand.message.receiver} is SUSPENDED, its hub says"
            await self._park(errand.tenure, entry.name, CdrState.DEAD, why)
        elif status is not None:
            why = f"{errand.message.receiver} is {status}, its hub says"
            await self._put_off(errand, entry, now + int(ABSENT_S * 1000), why)
        elif (reason := await self._waits_for(errand, original)) is not None:
            await self._put_off(errand, entry, now + int(_ORIGINAL_S * 1000), reason)
        elif not self.pace.begins(errand.link.id, repeated=repeated):
            await self._put_off(errand, entry, self.pace.next_chance(errand.link.id), entry.reason)
        else:
            return True
        return False

    def _original(self, name: Name, said: Said) -> Name | None:
        """The CDR that this one takes back; None if it is no credit. Spec: 2.2.1 ``mod_cdrs``, credit_reference_id."""
        canonical = self.errands.codec.loads(said.canonical)
        reference = canonical.get("credit_reference_id") if canonical.get("credit") is True else None
        return Name(Module.CDRS, name.owner, reference) if reference else None

    async def _waits_for(self, errand: Errand, original: Name | None) -> str | None:
        """Why a credit CDR can't go yet: its original hasn't arrived."""
        if original is None:
            return None
        link, name = errand.link.id, Name(Module.CDRS, errand.message.sender or original.owner, errand.said.id)
        self.waiting[link, original].add(name)
        before = await self.store.cdr_entry(link, original)
        if before is None:
            # Said already, and perhaps not yet owed: what a crash left between the two is found here at the latest.
            await self.store.spread(original)
            before = await self.store.cdr_entry(link, original)
        if before is None or before.state.done:
            self.waiting.pop((link, original), None)
            return None
        return f"its original, {original.id}, is {before.state}"

    async def _released(self, tenure: Tenure, original: Name) -> None:
        """An original is done with: the credit CDRs that wait for it may go."""
        for name in self.waiting.pop((tenure.link, original), ()):
            await self._move(tenure, name, {CdrState.PENDING}, CdrState.PENDING, at_ms=ms(self.clock()))

    async def _put_off(self, errand: Errand, entry: CdrEntry, at: int, reason: str) -> None:
        await self._move(errand.tenure, entry.name, {CdrState.PENDING}, CdrState.PENDING, reason=reason, at_ms=at)

    # An attempt -------------------------------------------------------------------------------------------------------

    async def _post(self, errand: Errand, entry: CdrEntry, directory: Directory) -> Attempt | None:
        """One attempt, and what follows from it; None: there was none."""
        tenure, name, link = errand.tenure, entry.name, errand.link
        if entry.digest and link.dialect.policy.cdrs_in_doubt == "verify" and not link.backend:
            if not await self._is_missing(errand, entry):
                return None
            entry = evolve(entry, digest="")
        try:
            down = await self.errands.translated(errand, directory)
        except Withheld as withheld:
            await self.showing.hide(errand.link, name)
            await self._park(tenure, name, CdrState.HELD, withheld.reason)
            return None
        except (NotDurable, Ousted):
            raise
        except GatewayError as error:
            await self._park(tenure, name, CdrState.HELD, error.message)
            return None
        digest = hashlib.sha256(self.errands.codec.dumps(down.data)).hexdigest()
        if entry.digest not in ("", digest):
            why = f"in doubt, and what would be posted now isn't what was posted then ({entry.reason})"
            await self._park(tenure, name, CdrState.IN_DOUBT, why)
            return None
        if not await self._begin(tenure, name, digest):
            return None
        post = Change(verb=Verb.POST, ref=errand.message.ref, kind=Kind.CDR, body=down.data)
        try:
            attempt = await self.errands.attempt(errand.losing(down.losses), post)
        except Ousted:
            await self._not_begun(tenure, entry)
            raise
        # The answer is known now, and nowhere else: it isn't forgotten because Redis is away.
        await self._insist(lambda: self._ended(errand, entry, attempt))
        return attempt

    async def _begin(self, tenure: Tenure, name: Name, digest: str) -> bool:
        """It is in flight from now on; False: another replica has it."""
        try:
            return await self._move(tenure, name, {CdrState.PENDING}, CdrState.IN_FLIGHT, digest=digest)
        except NotDurable as error:
            # Whether that was written nobody knows, but nothing was sent.
            lost = error.message
            await self._insist(
                lambda: self._move(tenure, name, {CdrState.IN_FLIGHT}, CdrState.PENDING, reason=lost, digest="")
            )
            return False

    async def _not_begun(self, tenure: Tenure, entry: CdrEntry) -> None:
        """It was to be in flight, and the time for it was over: if it is still ours, nothing has happened."""
        with suppress(Ousted):
            await self._insist(
                lambda: self._move(
                    tenure, entry.name, {CdrState.IN_FLIGHT}, CdrState.PENDING, reason=entry.reason, digest=entry.digest
                )
            )

    async def _insist(self, write: Callable[[], Awaitable[Any]]) -> None:
        while True:
            try:
                await write()
                return
            except NotDurable:
                await asyncio.sleep(_INSIST_S)

    async def _ended(self, errand: Errand, entry: CdrEntry, attempt: Attempt) -> None:
        tenure, name, policy = errand.tenure, entry.name, errand.link.dialect.policy
        if attempt.good:
            await self._delivered(tenure, entry, attempt)
        elif attempt.refused and entry.digest:
            why = f"posted again after doubt, and refused: {attempt.reason}"
            await self._park(tenure, name, CdrState.IN_DOUBT, why)
        elif attempt.refused:
            await self._refused(errand, entry, attempt)
        elif attempt.not_stored(policy.cdrs_not_stored_http):
            at = self._later(errand.link, entry.attempts + 1)
            await self._move(
                tenure, name, {CdrState.IN_FLIGHT}, CdrState.PENDING,
                reason=attempt.reason, at_ms=at, digest=entry.digest,
            )  # fmt: skip
        else:
            await self._doubt(errand.link, tenure, evolve(entry, attempts=entry.attempts + 1), attempt.reason)

    async def _delivered(self, tenure: Tenure, entry: CdrEntry, attempt: Attempt) -> None:
        location = attempt.answer.location if attempt.answer else None
        among = {CdrState.IN_FLIGHT, CdrState.IN_DOUBT}
        await self._move(tenure, entry.name, among, CdrState.DELIVERED, location=location or "")
        await self._released(tenure, entry.name)

    async def _refused(self, errand: Errand, entry: CdrEntry, attempt: Attempt) -> None:
        """Refused: for good, or often only because they don't know yet what it refers to (``cdrs.retry_refused``)."""
        rule, now = errand.link.dialect.policy.cdrs_retry_refused, ms(self.clock())
        since = entry.since or now
        status = attempt.answer.status if attempt.answer else 0
        if status not in rule.codes or now - since >= rule.for_.total_seconds() * 1000:
            await self._park(errand.tenure, entry.name, CdrState.REFUSED, attempt.reason)
            return
        await self._move(
            errand.tenure, entry.name, {CdrState.IN_FLIGHT}, CdrState.PENDING, reason=attempt.reason, since_ms=since,
            at_ms=self._later(errand.link, entry.attempts + 1, longest=LONGEST_REFUSED_S), digest="",
        )  # fmt: skip

    # In doubt ---------------------------------------------------------------------------------------------------------

    async def interrupted(self, link: Link, entry: CdrEntry, tenure: Tenure) -> None:
        """It was in flight when its process died, or lost the link: nobody knows whether it arrived."""
        await self._doubt(link, tenure, entry, _INTERRUPTED)

    async def _doubt(self, link: Link, tenure: Tenure, entry: CdrEntry, reason: str) -> None:
        ruling = "repost" if link.backend else link.dialect.policy.cdrs_in_doubt
        if ruling in ("repost", "verify"):
            todo = "posted again" if ruling == "repost" else "asked for"
            await self._move(
                tenure, entry.name, {CdrState.IN_FLIGHT}, CdrState.PENDING,
                reason=f"in doubt, to be {todo}: {reason}", at_ms=self._later(link, max(entry.attempts, 1)),
            )  # fmt: skip
        elif ruling == "pull":
            log.info("cdr.left_to_their_pull", partner=link.id, cdr=entry.name.text, reason=reason)
            why = f"they are to read it in our list: {reason}"
            await self.crawls.left_to_pull(link.id)
            await self._move(tenure, entry.name, {CdrState.IN_FLIGHT}, CdrState.IN_DOUBT, reason=why, who=PULL)
        else:
            await self._park(tenure, entry.name, CdrState.IN_DOUBT, reason, {CdrState.IN_FLIGHT})

    async def _is_missing(self, errand: Errand, entry: CdrEntry) -> bool:
        """Whether the receiver certainly hasn't got a CDR that was in doubt; else it has been dealt with."""
        has, why = await self._asked_for(errand)
        if has:
            reason = f"in doubt, and found there: {why}"
            await self._move(errand.tenure, entry.name, {CdrState.PENDING}, CdrState.DELIVERED, reason=reason)
            await self._released(errand.tenure, entry.name)
        elif has is None and self.breakers.is_open(errand.link.id, Module.CDRS):
            await self._put_off(errand, entry, self._later(errand.link, entry.attempts), entry.reason)
        elif has is None:
            why = f"{entry.reason}; whether they have it can't be told: {why}"
            await self._park(errand.tenure, entry.name, CdrState.IN_DOUBT, why)
        return has is False

    async def _asked_for(self, errand: Errand) -> tuple[bool | None, str]:
        """Whether the receiver has it, as far as it tells, and how that is known; None: it doesn't tell.

        The specification has no list at a receiver, and a CDR's URL is the receiver's to choose. It is asked for under
        its id; that it isn't there proves something only where CDRs are kept so (``cdrs.location_from: by_id``).
        """
        attempt = await self.errands.asked(errand)
        if attempt.good and attempt.answer is not None and isinstance(attempt.answer.data, Document):
            if fold(str(attempt.answer.data.data.get("id"))) == fold(errand.said.id):
                return True, "they have one with its id"
            return None, "they answer with another CDR"
        by_id = errand.link.dialect.policy.cdrs_location_from == "by_id"
        if by_id and attempt.answer is not None and attempt.answer.http == 404:
            return False, "404 for its id"
        return None, attempt.reason

    # Small things -----------------------------------------------------------------------------------------------------

    def _later(self, link: Link, attempts: int, **longest: float) -> int:
        at = self.pace.later(link, attempts, **longest)
        return max(at, ms(self.clock()) + int(self.breakers.waits(link.id, Module.CDRS) * 1000))

    async def _park(
        self, tenure: Tenure, name: Name, state: CdrState, reason: str, among: Collection[CdrState] = UNDECIDED
    ) -> None:
        if not await self._move(tenure, name, among, state, reason=reason):
            return  # it has come further meanwhile
        PARKED.labels(tenure.link, Module.CDRS, state).inc()
        log.error(f"cdr.{state}", partner=tenure.link, cdr=name.text, reason=reason, todo=_TODO[state])

    async def _move(
        self, tenure: Tenure, name: Name, among: Collection[CdrState], state: CdrState, **facts: Any
    ) -> bool:
        return await self.store.cdr_move(tenure.link, name, among, state, fence=tenure.fence, **facts)
