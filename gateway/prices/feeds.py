"""Which feed is read when, by whom: each by one process at a time, in its window, as often as its file says.

A feed is looked at every minute, and at once when a file or a link has changed. Whoever has its lease reads it if it is
due, and lays its live run on our connectors if that isn't done, or was done for other files; and now and then anyway,
since connectors come and go. What a run came to is written down, told, and counted, good or not: a refused run leaves
what was live as it was, and is an error in the log, because somebody has to look.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import structlog
from attrs import evolve, frozen
from msgspec.structs import replace
from prometheus_client import Counter, Gauge

from gateway.alone import alone
from gateway.directory import Directory
from gateway.lookup import Lookup
from gateway.model.errors import GatewayError, NotDurable, NotFound, ReceiverError
from gateway.model.names import Name, Ousted
from gateway.model.prices import Flag
from gateway.ports import Adapter, Codec, PriceShapes, Pulled
from gateway.prices import applying
from gateway.prices.applying import Applied, Applying, Asked, Owing
from gateway.prices.checks import refusal
from gateway.prices.merged import Merged
from gateway.prices.pages import Fetch, Pages, Progress
from gateway.prices.reading import Flags, Found, Reading
from gateway.prices.schedule import due, is_due, written_down
from gateway.prices.states import RUN, FeedState, Report, Result, decode, encode, moment_of, ms_of, written
from gateway.settings.prices import FeedSettings
from gateway.tasks import cancelled
from gateway.telemetry import MASK

log = structlog.get_logger()

RUNS: Final = Counter("ocpi_gateway_price_runs", "Readings of price feeds, by how they ended.", ("partner", "result"))
ROWS: Final = Gauge(
    "ocpi_gateway_price_rows", "Rows of the live run of a price feed: its locations, connector prices, prices.",
    ("partner", "list"),
)  # fmt: skip
FLAGS: Final = Gauge(
    "ocpi_gateway_price_flags", "What looked wrong in the live run of a price feed, or couldn't be read.", ("partner",)
)
AGE: Final = Gauge(
    "ocpi_gateway_price_age_seconds", "Since the reading of a price feed began that is live now.", ("partner",)
)
REFUSED: Final = Gauge(
    "ocpi_gateway_price_refused", "Whether the last reading of a price feed came to nothing (1).", ("partner",)
)

APPLY_AGAIN: Final = timedelta(minutes=10)
"""How long a connector of ours may wait for its prices, if whoever heard of it had no time to lay them on."""

RETIRE_AFTER: Final = timedelta(hours=48)
"""How long the tariffs of a feed stay whose file is gone."""

_TICK_S: Final = 1.0
_TOGETHER_S: Final = 0.1
_LOOK_S: Final = 60.0
_FIRST_FLAGS: Final = 3
_LISTS: Final = ("locations", "connector_prices", "prices")


class Store(applying.Store, Pulled, Protocol):
    """What is needed of the store."""


class BeingRead(ReceiverError):
    """Another process is reading the feed just now."""


@frozen(kw_only=True)
class Status:
    """How a feed stands.

    Attributes:
        last: what the last run came to; None: there was none.
        good: what the live run came to; None: nothing is live.
        next: when it is read next, in milliseconds since 1970; 0: now.
        reading: whether somebody is reading it, or laying it on our connectors.
    """

    partner: str
    last: Report | None
    good: Report | None
    next: int
    reading: bool

    def json(self) -> dict[str, Any]:
        """The status as a JSON value: the last run's report, and how the feed stands."""
        return {
            **(self.last.json() if self.last else {"partner": self.partner}),
            "live_since": written(self.good.began) if self.good else None,
            "next": written(self.next) if self.next else None,
            "reading": self.reading,
        }


class PriceFeeds:
    """Reads price feeds. ``run`` and ``follow`` work until cancelled; ``read`` is what a person asks for."""

    def __init__(
        self,
        *,
        store: Store,
        shapes: PriceShapes,
        adapters: Mapping[str, Adapter],
        codec: Codec,
        lookup: Lookup,
        ledger: Owing,
        directory: Callable[[], Directory],
        feeds: Callable[[], Sequence[FeedSettings]],
        fetch: Callable[[FeedSettings], AbstractAsyncContextManager[Fetch]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """
        Args:
            adapters: by version, oldest first.
            feeds: those that have a file, as of now.
            fetch: a way to one feed's host, for the time of a reading.
        """
        self._store = store
        self._shapes = shapes
        self._adapters = adapters
        self._codec = codec
        self._lookup = lookup
        self._ledger = ledger
        self._directory = directory
        self._feeds = feeds
        self._fetch = fetch
        self._clock = clock
        self._who = secrets.token_hex(8)
        self._lanes: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._quiet: dict[str, tuple[float, tuple[FeedSettings | None, Asked] | None]] = {}
        self._working: dict[str, asyncio.Task[None]] = {}
        self._cared: dict[str, int] = {}  # when this process did something about a feed, as its state has it
        self._files: Sequence[FeedSettings] = ()
        self._files_since = clock()
        self._new: dict[str, set[Name]] = {}
        self._news = asyncio.Event()

    # By itself --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow every feed, those that come and go with their files included, until cancelled."""
        try:
            while True:
                self._note_files()
                with suppress(NotDurable):
                    for id in {*(feed.id for feed in self._feeds()), *await self._store.feeds()}:
                        if id not in self._working and self._is_news(id):
                            self._start(id)
                await self._until_news()
        finally:
            await cancelled(*self._working.values())

    async def _until_news(self) -> None:
        """Wait for a moment; less, where new locations of ours are there: those that come together wait for another."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_TICK_S):
                await self._news.wait()
                self._news.clear()
                await asyncio.sleep(_TOGETHER_S)

    def look_at(self, location: Name) -> None:
        """A location of ours is about to be stored that has new connectors: feeds may have prices for them. Or it names
        a price that became something else.
        """
        for feed in self._feeds():
            self._new.setdefault(feed.id, set()).add(location)
        self._news.set()

    def _note_files(self) -> None:
        """Remember since when the files are what they are."""
        if self._feeds() != self._files:
            gone = {feed.id for feed in self._files} - {feed.id for feed in self._feeds()}
            self._files, self._files_since = self._feeds(), self._clock()
            for id in gone:
                _tell_no_more_of(id)

    def _is_news(self, id: str) -> bool:
        """Whether it is time to look at a feed, or something about it is other than when it was looked at."""
        until, meant = self._quiet.get(id, (0.0, None))
        return id in self._new or until <= time.monotonic() or meant != self._meant(id)

    def _start(self, id: str) -> None:
        task = asyncio.create_task(self._attend_quietly(id), name=f"prices {id}")
        self._working[id] = task
        task.add_done_callback(lambda _: self._working.pop(id, None))

    async def _attend_quietly(self, id: str) -> None:
        meant = self._meant(id)
        wait = _LOOK_S
        try:
            wait = await self._attend(id)
        except NotDurable:
            wait = _TICK_S
        except Exception as error:
            log.error("prices.crashed", partner=id, exc_info=error)
        self._quiet[id] = (time.monotonic() + wait, meant)

    async def follow(self, feed_id: str, told: Callable[[Report], None], progress: Progress | None = None) -> None:
        """Follow one feed, in its window, until cancelled.

        Args:
            told: is told what each run came to, whoever read it.
            progress: how far a reading has come.

        Raises:
            NotFound: there is no such feed.
            NotDurable: the store is away at the beginning.
        """
        self._found(feed_id)
        last = (await self._state(feed_id)).last
        while True:
            wait = _TICK_S
            with suppress(NotDurable):
                wait = await self._attend(feed_id, progress)
                report = (await self._state(feed_id)).report
                if report is not None and (last is None or last.run != report.run):
                    last = report
                    told(report)
            await asyncio.sleep(wait)

    async def _attend(self, id: str, progress: Progress | None = None) -> float:
        """Do what is to be done about a feed now. Seconds until somebody should look again."""
        self._note_files()  # they may have changed since somebody thought that this is to be done
        feed, state = self._find(id), await self._state(id)

        async def work(fence: int) -> None:
            state = await self._state(id)
            if feed is None:
                await self._abandon(id, state, fence)
                return
            if is_due(feed, state, self._clock(), self._files_since):
                await self._read(feed, fence, progress or _nobody)
                state = await self._state(id)
            state = await self._lay_on(id, feed, state, fence)
            if state.run and new:
                _tell_applied(id, await self._laying(id, feed, state).apply_to(sorted(new, key=str)), news=True)

        new = self._new.pop(id, set())
        if feed is None or new or is_due(feed, state, self._clock(), self._files_since) or self._to_do(id, state):
            done = False
            try:
                done = await self._alone(id, work)
            finally:
                if new and not done:
                    self._new.setdefault(id, set()).update(new)
            if not done:
                return _TICK_S
            state = await self._state(id)
            self._cared[id] = _cared_for(state)
        if (feed := self._find(id)) is None:  # since the beginning, or by now
            return _LOOK_S
        _tell_of(id, state, self._clock())
        wait = (due(feed, state, self._clock(), self._files_since) - self._clock()).total_seconds()
        return min(max(wait, _TICK_S), _LOOK_S)

    async def _alone(self, id: str, work: Callable[[int], Any]) -> bool:
        """Work at a feed while nobody else does, in this process or another. False: another process does."""
        async with self._lanes[id]:
            return await alone(self._store, f"prices:{id}", self._who, work)

    # For a person -----------------------------------------------------------------------------------------------------

    async def read(self, feed_id: str, *, dry_run: bool = False, progress: Progress | None = None) -> Report:
        """Read a feed now, whatever its window says.

        Args:
            dry_run: read it and check it, and change nothing.
            progress: is told how far it has come.

        Raises:
            NotFound: there is no such feed.
            BeingRead: another process reads it.
            NotDurable: the store is away.
        """
        feed = self._found(feed_id)
        reports: list[Report] = []

        async def work(fence: int) -> None:
            report = await self._read(feed, fence, progress or _nobody, dry_run=dry_run)
            reports.append(report)
            if not dry_run:
                state = await self._lay_on(feed_id, feed, await self._state(feed_id), fence)
                reports.append(state.report or report)

        if not await self._alone(feed_id, work):
            raise BeingRead(f"another process reads {feed_id}")
        _tell_of(feed_id, await self._state(feed_id), self._clock())
        return reports[-1]

    async def status(self) -> list[Status]:
        """How every feed stands that has a file. Raises NotDurable."""
        feeds = self._feeds()
        busy = await self._store.leases([f"prices:{feed.id}" for feed in feeds])
        now = self._clock()
        found = []
        for feed in feeds:
            state = await self._state(feed.id)
            opens = due(feed, state, now, self._files_since)
            found.append(
                Status(
                    partner=feed.id,
                    last=state.report,
                    good=state.live,
                    next=ms_of(opens) if opens > now else 0,
                    reading=f"prices:{feed.id}" in busy,
                )
            )
        return found

    # One run ----------------------------------------------------------------------------------------------------------

    async def _read(self, feed: FeedSettings, fence: int, progress: Progress, *, dry_run: bool = False) -> Report:
        """Read a feed, check it, and let it count if it is good; what came of it is written down and told.

        Raises:
            NotDurable: the store is away.
            Ousted: another process has taken the feed over.
        """
        began = self._clock()
        run = f"{RUN}{secrets.token_hex(6)}"
        state = await self._state(feed.id)
        kept = False
        try:
            report, found = await self._staged(feed, state, run, began, progress)
            if report.good and not dry_run and found is not None:
                merged = self._merged(feed, state, run)
                if state.run:
                    await merged.stage(report.began, feed.retire_after)
                # From here on it may count, whatever is heard of it: its rows stay. If it doesn't, they expire.
                kept = True
                await self._keep(feed, state, report, found, merged, fence)
        finally:
            if not kept:
                with suppress(NotDurable):
                    await self._store.run_forget(feed.id, run)
        if dry_run:
            report = evolve(report, result=Result.DRY_RUN) if report.good else report
        elif not kept:
            failed = replace(state, last=report, tried=written_down(feed), failures=state.failures + 1)
            await self._store.feed_keep(feed.id, encode(failed), fence=fence)
        _tell(report)
        return report

    async def _staged(
        self, feed: FeedSettings, state: FeedState, run: str, began: datetime, progress: Progress
    ) -> tuple[Report, Found | None]:
        """What a reading comes to, staged under ``run``; and what it has found, if it came to its end."""
        refused: str | None
        found: Found | None = None
        flags = Flags()
        try:
            async with self._fetch(feed) as fetch:
                found = await Reading(
                    feed=feed, run=run, live=state, now=began, store=self._store, shapes=self._shapes,
                    codec=self._codec, pages=Pages(feed=feed, fetch=fetch, progress=progress), flags=flags,
                ).read()  # fmt: skip
            live = state.good if state.shape == feed.shape else None
            refused, result = refusal(found, feed, live), Result.REFUSED
        except (NotDurable, Ousted):
            raise
        except GatewayError as error:
            refused, result = error.message, Result.FAILED
        except Exception as error:
            log.error("prices.crashed", partner=feed.id, exc_info=error)
            refused, result = f"an error of the gateway's own: {error!r}", Result.FAILED
        report = Report(
            partner=feed.id, run=run, began=ms_of(began), ended=ms_of(self._clock()),
            result=Result.IMPORTED if refused is None else result,
            flagged=tuple(flags.kept), flags=flags.count, refused=None if refused is None else MASK.text(refused),
        )  # fmt: skip
        if found is not None:
            report = evolve(report, rows=found.rows, connectors=found.connectors)
            if refused is None:  # a run that doesn't count begins and ends no tariff
                report = evolve(report, tariffs=found.tariffs)
        return report, found

    def _merged(self, feed: FeedSettings, state: FeedState, run: str) -> Merged:
        store, shapes, codec = self._store, self._shapes, self._codec
        return Merged(store=store, shapes=shapes, codec=codec, feed=feed.id, before=state.run, run=run)

    async def _keep(
        self, feed: FeedSettings, state: FeedState, report: Report, found: Found, merged: Merged, fence: int
    ) -> None:
        """From now on this run counts. Raises NotDurable whether it does or not, and Ousted if it doesn't."""
        live = replace(
            state, run=report.run, good=report, shape=feed.shape, last=report, tried=written_down(feed), failures=0
        )
        await self._store.feed_keep(feed.id, encode(live), run=report.run, fence=fence)
        await self._store.statuses_forget(feed.id, found.outdated)
        await merged.carry_statuses()

    # On our connectors ------------------------------------------------------------------------------------------------

    async def _lay_on(self, id: str, feed: FeedSettings | None, state: FeedState, fence: int) -> FeedState:
        """Lay the live run on our connectors, if that is to be done, and delete what has left. Where it stands then.

        Raises:
            NotDurable: the store is away.
            Ousted: another process has taken the feed over.
        """
        if not self._to_do(id, state):
            return state
        laying, how = self._laying(id, feed, state), self._how(id, state)
        if not self._to_apply(id, state):
            done = await laying.retire()
            state = replace(state, retire_at=done.retire_at)
        else:
            await self._store.feed_keep(id, encode(replace(state, applying=how)), fence=fence)
            done = await laying.apply()
            state = replace(
                state, applied=how, applied_at=ms_of(self._clock()), applying="", own_connectors=done.own_connectors,
                claimed=tuple(done.claimed), retire_at=done.retire_at,
            )  # fmt: skip
        await self._store.feed_keep(id, encode(state), fence=fence)
        _tell_applied(id, done, news=laying.first)
        return state

    def _laying(self, id: str, feed: FeedSettings | None, state: FeedState) -> Applying:
        return Applying(
            store=self._store, shapes=self._shapes, codec=self._codec, adapters=self._adapters, lookup=self._lookup,
            ledger=self._ledger, directory=self._directory(), asked=self._asked, now=self._clock(),
            feed=id, run=state.run,
            owners=feed.owners if feed else {}, retire_after=feed.retire_after if feed else RETIRE_AFTER,
            files=frozenset(each.id for each in self._feeds()),
            thorough=bool(state.applying), first=state.applied != self._how(id, state),
        )  # fmt: skip

    def _to_do(self, id: str, state: FeedState) -> bool:
        over = bool(state.retire_at) and moment_of(state.retire_at) <= self._clock()
        return over or self._to_apply(id, state)

    def _to_apply(self, id: str, state: FeedState) -> bool:
        """Whether the live run is to be laid on our connectors."""
        if not self._asked.parties or not (state.run or state.applied or state.applying):
            return False
        old = moment_of(state.applied_at) + APPLY_AGAIN <= self._clock()
        return bool(state.applying) or state.applied != self._how(id, state) or (bool(state.run) and old)

    @property
    def _asked(self) -> Asked:
        directory = self._directory()
        return directory.worked_out(Asked, lambda: Asked.of(directory))

    def _how(self, id: str, state: FeedState) -> str:
        """The run, and a digest of everything else that what is laid on hangs on."""
        feed = self._find(id)
        owners = sorted((name, str(party)) for name, party in feed.owners.items()) if feed else None
        words = f"{self._asked.words} {owners}"
        return f"{state.run} {hashlib.blake2b(words.encode(), digest_size=12).hexdigest()}"

    def _meant(self, id: str) -> tuple[FeedSettings | None, Asked]:
        """What files and links say of a feed."""
        return self._find(id), self._asked

    def _is_gone(self, id: str, state: FeedState) -> bool:
        """Whether a feed that has no file here has none at all.

        One that somebody else has read since our files were read may have one that we don't know yet, for as long as
        somebody looks after it.
        """
        cared = moment_of(_cared_for(state))
        by_us = _cared_for(state) <= self._cared.get(id, 0)  # by a file that went while it was read
        return by_us or cared <= self._files_since or cared + 2 * APPLY_AGAIN < self._clock()

    async def _abandon(self, id: str, state: FeedState, fence: int) -> None:
        """A feed whose file is gone: nothing of it counts any more, and its tariffs go after a while."""
        if not self._is_gone(id, state):
            return
        if state.run:
            log.warning("prices.abandoned", partner=id, todo="nothing, if its file was removed on purpose")
            former = state.run
            state = replace(state, run="", good=None)
            await self._store.feed_keep(id, encode(state), fence=fence)
            await self._store.run_forget(id, former)
        state = await self._lay_on(id, None, state, fence)
        if not await self._store.imported(id):
            await self._store.feed_forget(id)

    # Small things -----------------------------------------------------------------------------------------------------

    async def _state(self, id: str) -> FeedState:
        return decode(await self._store.feed_state(id))

    def _find(self, id: str) -> FeedSettings | None:
        return next((feed for feed in self._feeds() if feed.id == id), None)

    def _found(self, id: str) -> FeedSettings:
        feed = self._find(id)
        if feed is None:
            raise NotFound(f"there is no price feed {id}")
        return feed


def _cared_for(state: FeedState) -> int:
    """When somebody read a feed last, or laid it on our connectors, in milliseconds since 1970."""
    return max(state.last.ended if state.last else 0, state.applied_at)


def _nobody(_: str) -> None:
    """Nobody wants to know how far it has come."""


def _tell_of(id: str, state: FeedState, now: datetime) -> None:
    """The metrics of where a feed stands."""
    REFUSED.labels(id).set(bool(state.last and not state.last.good))
    if (live := state.live) is not None:
        AGE.labels(id).set(max(0, ms_of(now) - live.began) / 1000)
        FLAGS.labels(id).set(live.flags)
        for name in _LISTS:
            ROWS.labels(id, name).set(getattr(live.rows, name))


def _tell_no_more_of(id: str) -> None:
    """The metrics of a feed that has no file any more: whoever watches them would take them for true."""
    for gauge in (REFUSED, AGE, FLAGS):
        gauge.remove(id)
    for name in _LISTS:
        ROWS.remove(id, name)


def _tell(report: Report) -> None:
    """What a run came to, in the log and in metrics."""
    RUNS.labels(report.partner, report.result).inc()
    facts = {
        "partner": report.partner, "run": report.run, "locations": report.rows.locations,
        "connector_prices": report.rows.connector_prices, "prices": report.rows.prices, "flags": report.flags,
        "ms": report.ended - report.began,
    }  # fmt: skip
    if report.flags:
        _tell_flagged(report.partner, report.flagged, report.flags)
    if report.refused is not None:
        meant = f", or if it is meant so, widen `refuse` in the file of {report.partner}"
        log.error(
            "prices.refused", **facts, result=report.result, reason=report.refused,
            todo=f"what was read before stays live; ask the feed{meant if report.result is Result.REFUSED else ''}",
        )  # fmt: skip
    else:
        tariffs = report.tariffs
        log.info(
            "prices.imported", **facts, dry_run=report.result is Result.DRY_RUN, connectors=report.connectors,
            new=tariffs.new, kept=tariffs.kept, retired=tariffs.retired,
        )  # fmt: skip


def _tell_applied(id: str, done: Applied, *, news: bool) -> None:
    if done.claimed and news:
        _tell_flagged(id, done.claimed, len(done.claimed))
    if done.anything:
        log.info(
            "prices.applied", partner=id, own_connectors=done.own_connectors, tariffs=done.tariffs,
            locations=done.locations, retired=done.retired, deleted=done.deleted, claimed=len(done.claimed),
        )  # fmt: skip


def _tell_flagged(id: str, flagged: Sequence[Flag], count: int) -> None:
    first = [f"{flag.id}{flag.pointer}: {flag.reason}" for flag in flagged[:_FIRST_FLAGS]]
    log.warning("prices.flagged", partner=id, flags=count, first=first, todo=f"ocpi-gateway prices status {id}")
