"""Who reads which list when: each list by one replica at a time, a few at once, and on from where it stood.

Every second each replica looks at which lists are due. Whoever gets a list's lease reads it, and writes down after each
page how far it came; a replica that dies loses the lease within seconds, and the next one goes on there. A list that
can't be read is tried again with a pause that grows. Pauses that a person asked for are about pushes: lists are read
on.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections import Counter as Tallies
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import structlog
from attrs import evolve, frozen
from msgspec.structs import replace
from prometheus_client import Counter, Gauge

from gateway.alone import alone
from gateway.attaching import Attaching
from gateway.directory import Directory, Link
from gateway.exchange import Exchange
from gateway.filing import Filing
from gateway.listed import Ended, Item, Page, Reader
from gateway.lookup import Lookup
from gateway.model.errors import GatewayError, NotConnected, NotDurable, NotFound, ReceiverError, ReceiverTimeout
from gateway.model.message import Message, Query, Ref, Trace
from gateway.model.modules import MODULES, Module, Side, Verb
from gateway.model.names import CRAWL, Ousted
from gateway.model.party import Party, Role, is_supply
from gateway.model.values import moment
from gateway.ports import Codec, Owed, Pulled, Seen, Way
from gateway.references import References
from gateway.showing import Showing
from gateway.sync.agenda import Agenda, in_use
from gateway.sync.gone import Gone, Refused, may_be_gone
from gateway.sync.intake import Intake, Owing
from gateway.sync.pages import Endless, PageRead, Path, Tally, first_url, with_fewer
from gateway.sync.schedule import Plan, Scope, ms_of
from gateway.sync.states import UNKNOWN, Counts, Crawl, Source, State, decode, encode
from gateway.telemetry import LOSSES, MASK

log = structlog.get_logger()

PULLS: Final = Counter(
    "ocpi_gateway_pulls", "Lists of others that were read, by how it ended.", ("partner", "module", "result")
)
AGE: Final = Gauge(
    "ocpi_gateway_pull_age_seconds", "Since a list of others was last read to its end.", ("partner", "module")
)

AT_ONCE: Final = 8
"""Lists that one replica reads at a time."""

AT_ONCE_OF_A_LINK: Final = 2
"""And how many of them on one link."""

_LOOK_S: Final = 1.0
_LOOK_AGAIN_S: Final = 10.0  # at what isn't due, since another replica may have changed that
_PAGE_S: Final = 30.0  # seconds until a page begins
_WAIT_S: Final = 60.0  # for a list that somebody else reads just now
_STUCK: Final = 3  # failures without progress, after which a crawl begins anew
_BELIEVED: Final = timedelta(days=1)  # how far ahead of our clock a last_updated may be


class Store(Owed, Pulled, Seen, Protocol):
    """What is needed of the store."""


@frozen(kw_only=True)
class Report:
    """How one reading ended.

    Attributes:
        counts: what became of what was read.
        error: why it came to no end; empty: it did.
        refused: what was found gone and wasn't believed; empty: nothing.
    """

    source: Source
    full: bool
    counts: Counts
    error: str = ""
    refused: str = ""

    @property
    def good(self) -> bool:
        return not self.error and not self.refused


@frozen(kw_only=True)
class _Reading:
    """One list that is being read."""

    plan: Plan
    link: Link
    directory: Directory
    fence: int
    intake: Intake
    path: Path
    accept: bool = False

    @property
    def source(self) -> Source:
        return self.plan.source

    @property
    def notes_what_it_sees(self) -> bool:
        """Whether what isn't in it may be gone."""
        wanted = self.plan.policy.sync_tombstones == "full_pull_diff"
        return wanted and may_be_gone(self.source.module)


class Sync:
    """Reads the lists of others. ``run`` works until cancelled; ``pull`` is what a person asks for."""

    def __init__(
        self,
        *,
        store: Store,
        exchange: Exchange,
        lookup: Lookup,
        showing: Showing,
        references: References,
        attaching: Attaching,
        ledger: Owing,
        codec: Codec,
        directory: Callable[[], Directory],
        agenda: Agenda,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._exchange = exchange
        self._lookup = lookup
        self._showing = showing
        self._references = references
        self._attaching = attaching
        self._ledger = ledger
        self._codec = codec
        self._directory = directory
        self._agenda = agenda
        self._clock = clock
        self._who = secrets.token_hex(8)
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._mine: set[str] = set()
        self._quiet: dict[str, float] = {}
        self._news = asyncio.Event()
        self._closing = False

    # By itself --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Begin to read what is due, until cancelled or closed."""
        while not self._closing:
            self._news.clear()
            with suppress(NotDurable):
                await self._look()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._news.wait()

    async def aclose(self) -> None:
        """Read nothing any more. What was being read is left where it stands, for whoever comes next."""
        self._closing = True
        readings = list(self._reading.values())
        for reading in readings:
            reading.cancel()
        await asyncio.gather(*readings, return_exceptions=True)

    def wake(self, link: str) -> None:
        """Something about a link has changed: look at its lists now."""
        for id in [id for id in self._quiet if id.startswith(f"{link}:")]:
            del self._quiet[id]
        self._news.set()

    async def _look(self) -> None:
        now, here = self._clock(), time.monotonic()
        links = {link.id: link for link in self._directory().links.values()}
        plans = [
            plan
            for link in links.values()
            for plan in self._agenda.plans(link)
            if plan.source.id not in self._reading.keys() | self._mine and self._quiet.get(plan.source.id, 0.0) <= here
        ]
        if not plans:
            return
        packed = await self._store.pulls([plan.source.id for plan in plans])
        busy = Tallies(id.partition(":")[0] for id in self._reading)
        for plan, state in zip(plans, map(decode, packed), strict=True):
            _tell_age(plan.source, state, now)
            if plan.now(state, now) is None:
                wait = (plan.due(state) - ms_of(now)) / 1000
                self._quiet[plan.source.id] = here + min(max(wait, _LOOK_S), _LOOK_AGAIN_S)
            elif len(self._reading) < AT_ONCE and busy[plan.source.link] < AT_ONCE_OF_A_LINK:
                busy[plan.source.link] += 1
                self._start(plan, links[plan.source.link])

    def _start(self, plan: Plan, link: Link) -> None:
        task = asyncio.create_task(self._if_due(plan, link), name=f"pull {plan.source.id}")
        self._reading[plan.source.id] = task
        task.add_done_callback(lambda _: self._ended(plan.source.id, task))

    def _ended(self, id: str, task: asyncio.Task[None]) -> None:
        self._reading.pop(id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            if not isinstance(error, NotDurable):
                log.error("sync.crashed", partner=id.partition(":")[0], exc_info=error)
            self._quiet[id] = time.monotonic() + _LOOK_AGAIN_S
            return
        self._news.set()

    async def _if_due(self, plan: Plan, link: Link) -> None:
        async def read(fence: int) -> None:
            (packed,) = await self._store.pulls([plan.source.id])
            state = decode(packed)
            if (scope := plan.now(state, self._clock())) is not None:
                await self._read(plan, link, scope, state, fence)

        if not await self._alone(plan.source, read):
            self._quiet[plan.source.id] = time.monotonic() + _LOOK_S

    async def _alone(self, source: Source, read: Callable[[int], Awaitable[None]]) -> bool:
        """Read a list while nobody else does. False: somebody else does, or has taken it over meanwhile."""
        self._mine.add(source.id)
        try:
            return await alone(self._store, source.id, self._who, read)
        finally:
            self._mine.discard(source.id)

    # For a person -----------------------------------------------------------------------------------------------------

    async def pull(
        self, link_id: str, module: Module | None = None, *, full: bool = False, accept_shrink: bool = False
    ) -> list[Report]:
        """Read lists of a link now, one after the other: of one module, or of all that are read by themselves.

        Args:
            module: also one that isn't read by itself. None, and none is: all that there are.
            full: the whole of them.
            accept_shrink: what isn't listed any more is gone, however much it is.

        Raises:
            NotFound: there is no such list.
            NotConnected: the link isn't in use.
            NotDurable: the store is away.
        """
        link = self._directory().find(link_id)
        if link is None:
            raise NotFound(f"the gateway has no link {link_id}")
        if not in_use(link):
            raise NotConnected(f"{link_id} is not registered, or not in service")
        reports = []
        for plan in self._agenda.meant(link, module):
            reports.append(await self._now(plan, link, full=full, accept=accept_shrink))
        return reports

    async def _now(self, plan: Plan, link: Link, *, full: bool, accept: bool) -> Report:
        report: list[Report] = []

        async def read(fence: int) -> None:
            (packed,) = await self._store.pulls([plan.source.id])
            state = decode(packed)
            fresh = state.registered != plan.registered or not state.full
            scope = Scope.FULL if full or fresh else Scope.DELTA
            report.append(await self._read(plan, link, scope, state, fence, accept=accept))

        ends = time.monotonic() + _WAIT_S
        while not await self._alone(plan.source, read):
            if time.monotonic() > ends:
                error = "it is being read just now: see `sync status`"
                return Report(source=plan.source, full=full, counts=Counts(), error=error)
            await asyncio.sleep(0.2)  # until whoever reads it has read it
        return report[0]

    # Reading ----------------------------------------------------------------------------------------------------------

    async def _read(
        self, plan: Plan, link: Link, scope: Scope, state: State, fence: int, *, accept: bool = False
    ) -> Report:
        """Read a list, or the rest of it, to its end; whatever comes of it is written into its state.

        Raises:
            NotDurable: the store is away.
            Ousted: another replica has taken the list over.
        """
        now = self._clock()
        if state.registered != plan.registered:
            state = State(registered=plan.registered)
        crawl = state.crawl if scope is Scope.REST else None
        crawl = crawl or self._begun(plan, scope, state, now)
        structlog.contextvars.bind_contextvars(correlation_id=crawl.id)
        state = replace(state, crawl=crawl)
        reading = self._prepared(plan, link, fence, now, accept=accept)
        await self._store.pull_keep(plan.source.id, encode(state), fence=fence)
        error: Exception | None = None
        try:
            while state.crawl is not None and not state.crawl.done:
                state = await self._further(reading, state)
            state, report = await self._completed(reading, state)
        except (NotDurable, Ousted):
            raise
        except Exception as failure:
            error = failure
            state, report = await self._failed(reading, state, failure)
        self._tell(report, error)
        return report

    def _begun(self, plan: Plan, scope: Scope, state: State, now: datetime) -> Crawl:
        return Crawl(
            id=f"{CRAWL}{secrets.token_hex(6)}",
            full=plan.reads_all(scope),
            daily=scope is not Scope.DELTA,
            began=ms_of(now),
            date_from=plan.date_from(scope, state, now),
            limit=plan.policy.pull_limit,
        )

    def _prepared(self, plan: Plan, link: Link, fence: int, now: datetime, *, accept: bool) -> _Reading:
        directory = self._directory()
        intake = Intake(
            store=self._store, codec=self._codec, lookup=self._lookup, showing=self._showing,
            references=self._references, attaching=self._attaching, filing=Filing(self._store), ledger=self._ledger,
            link=link, module=plan.source.module, directory=directory, version=link.dialect.version, now=now,
        )  # fmt: skip
        path = Path(link, plan.policy.pull_next)
        return _Reading(plan=plan, link=link, directory=directory, fence=fence, intake=intake, path=path, accept=accept)

    async def _further(self, reading: _Reading, state: State) -> State:
        """One page more; where the crawl stands then is written down."""
        assert state.crawl is not None
        started = time.monotonic()
        crawl = await self._page(reading, state.crawl)
        state = replace(state, crawl=crawl, failures=0)
        await self._store.pull_keep(reading.source.id, encode(state), fence=reading.fence)
        if not crawl.done and (pause := reading.plan.policy.pull_min_interval_s - (time.monotonic() - started)) > 0:
            await asyncio.sleep(pause)
        return state

    async def _page(self, reading: _Reading, crawl: Crawl) -> Crawl:
        """Read one page. One that breaks off is asked for again with half as many objects on it.

        Raises:
            Endless: the list leads nowhere.
            NotConnected, ReceiverTimeout, ReceiverError: the page couldn't be had.
        """
        while True:
            page, reader, called = self._question(reading, crawl)
            answer = await page.begin(within=_PAGE_S)
            if not answer.good or not page.coming or answer.page is None:
                raise ReceiverError(f"its list can't be read: {answer.status} {answer.text or ''}".strip())
            if crawl.over_there == UNKNOWN:
                crawl = replace(crawl, over_there=ms_of(page.date or self._clock()))
            tally = Tally()
            try:
                read = await self._items(reading, crawl, page.slices(), reader, tally)
            except (NotDurable, Ousted, Ended, NotConnected):
                raise
            except (ReceiverTimeout, ReceiverError):
                if (fewer := with_fewer(crawl)) is None:
                    raise
                crawl = fewer
                continue
            turned = PageRead(
                url=called, headers=answer.page, items=tally.items, digest=tally.digest, last_id=tally.last_id
            )
            return reading.path.after(read, turned)

    def _question(self, reading: _Reading, crawl: Crawl) -> tuple[Page, Reader, str]:
        """The next page, who reads its items, and its URL."""
        link, source = reading.link, reading.source
        query = Query(
            date_from=crawl.date_from or None,
            offset=crawl.offset if crawl.offset > 0 else None,
            limit=crawl.limit,
        )
        asker = _asker(link, source.module)
        onward = Message(
            module=source.module, verb=Verb.GET, side=Side.SENDER, sender=asker, receiver=source.party, ref=Ref(),
            query=query, trace=Trace(request_id=str(uuid.uuid4()), correlation_id=crawl.id),
        )  # fmt: skip
        request = self._exchange.adapter(link).write_request(onward, link.dialect)
        policy = reading.plan.policy
        url = crawl.url or first_url(request.url, crawl, policy.pull_next, policy.pull_query)
        page = Page(self._exchange, link, onward, evolve(request, url=url), source=link, way=Way.PULLING)
        reader = Reader(
            exchange=self._exchange, codec=self._codec, link=link, onward=onward, peer=asker,
            directory=reading.directory,
        )  # fmt: skip
        return page, reader, url

    async def _items(
        self, reading: _Reading, crawl: Crawl, slices: AsyncGenerator[Sequence[bytes], None], reader: Reader,
        tally: Tally,
    ) -> Crawl:  # fmt: skip
        """Take in what stands on a page."""
        source = reading.source
        async with aclosing(slices):
            async for raw in slices:
                for item in raw:
                    tally.add(item)
                items = await reader.read(raw)
                if items.lost:
                    LOSSES.labels(source.link, source.module).inc(items.lost)
                counts, names = await reading.intake.take(items.read, crawl)
                if crawl.full and reading.notes_what_it_sees:
                    await self._store.pull_listed(source.id, crawl.id, names)
                if items.read:
                    tally.last_id = names[-1].id
                counts = replace(counts, skipped=counts.skipped + items.skipped)
                crawl = replace(crawl, counts=crawl.counts + counts, high=self._high(crawl, items.read))
        return crawl

    def _high(self, crawl: Crawl, items: Sequence[Item]) -> int:
        """The latest last_updated by now. One from the far future is a mistake, and would hide all that comes."""
        latest = ms_of(self._clock() + _BELIEVED)
        seen = (ms_of(moment(item.canonical["last_updated"])) for item in items)
        return max([crawl.high, *(at for at in seen if at <= latest)])

    # Its end ----------------------------------------------------------------------------------------------------------

    async def _completed(self, reading: _Reading, state: State) -> tuple[State, Report]:
        crawl, source = state.crawl, reading.source
        assert crawl is not None
        refused, gone = "", 0
        if reading.notes_what_it_sees and crawl.full:
            found = await Gone(store=self._store, intake=reading.intake, source=source).withdraw(
                crawl, accept=reading.accept
            )
            refused, gone = (str(found), 0) if isinstance(found, Refused) else ("", found)
            await self._store.pull_forget(source.id, crawl.id)
        if source.module is Module.TOKENS:
            await self._lookup.heard_of_tokens(source.link, datetime.fromtimestamp(crawl.began / 1000, UTC))
        counts = replace(crawl.counts, gone=gone)
        # Something may have been missed in one that wasn't steady: then the next one reads everything again.
        full = (crawl.began if crawl.steady else 0) if crawl.daily else state.full
        now = self._clock()
        due = reading.plan.after_success(now)
        state = replace(
            state, completed=crawl.began, full=full, over_there=crawl.over_there, high=max(state.high, crawl.high),
            due=due, wait=due - ms_of(now), failures=0, error="", last=counts,
            refused=refused if crawl.full else state.refused,
            crawl=None,
        )  # fmt: skip
        await self._store.pull_keep(source.id, encode(state), fence=reading.fence)
        _tell_age(source, state, now)
        return state, Report(source=source, full=crawl.full, counts=counts, refused=refused)

    async def _failed(self, reading: _Reading, state: State, error: Exception) -> tuple[State, Report]:
        """The crawl waits for its next try; it begins anew if it leads nowhere, or doesn't get on."""
        crawl, failures = state.crawl, state.failures + 1
        text = MASK.text(error.message if isinstance(error, GatewayError) else repr(error))
        stuck = failures >= _STUCK and not isinstance(error, NotConnected)
        if crawl is not None and isinstance(error, ReceiverTimeout):
            crawl = with_fewer(crawl) or crawl
        state = replace(
            state, due=reading.plan.after_failure(failures, self._clock()), wait=0, failures=failures, error=text,
            crawl=None if stuck or isinstance(error, Endless) else crawl,
        )  # fmt: skip
        await self._store.pull_keep(reading.source.id, encode(state), fence=reading.fence)
        counts = crawl.counts if crawl is not None else Counts()
        full = crawl.full if crawl is not None else False
        return state, Report(source=reading.source, full=full, counts=counts, error=text)

    @staticmethod
    def _tell(report: Report, error: Exception | None) -> None:
        source = report.source
        result = "failed" if report.error else "refused" if report.refused else "completed"
        PULLS.labels(source.link, source.module, result).inc()
        facts = {"partner": source.link, "module": source.module, "full": report.full}
        counts = {name: getattr(report.counts, name) for name in report.counts.__struct_fields__}
        if error is not None and not isinstance(error, GatewayError):
            log.error("sync.crashed", **facts, exc_info=error)
        elif report.error:
            log.warning("sync.failed", **facts, reason=report.error, **counts)
        elif report.refused:
            log.error(
                "sync.shrunk", **facts, reason=report.refused,
                todo=f"if it is meant: ocpi-gateway sync run {source.link} {source.module} --full --accept-shrink",
            )  # fmt: skip
        else:
            log.info("sync.completed", **facts, **counts)


def _asker(link: Link, module: Module) -> Party:
    """Who of us reads a list: the first who faces its owner; towards a backend, the hub."""
    supply = MODULES[module].owner is Role.CPO
    facing = (seat.party for seat in link.dialect.ours if seat.role is not Role.HUB and is_supply(seat.role) != supply)
    return next(facing, link.dialect.ours[0].party)


def _tell_age(source: Source, state: State, now: datetime) -> None:
    if state.completed:
        AGE.labels(source.link, source.module).set(max(0, ms_of(now) - state.completed) / 1000)
