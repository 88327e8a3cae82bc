"""Lists, a page at a time: of what is stored, and of what a partner lists, passed through.

A list need never be in memory as a whole. It is carried in slices: the facts of a slice are looked up at once, its
objects translated, and out they go, while the next ones come in; a reader that is slow slows down the owner. An object
that can't be read or said costs only itself: it is left out, counted and logged. A fact that is missing is never asked
for in the middle of a list, but afterwards. What breaks off, though, must not look complete, because its reader would
take the rest for deleted: an owner that goes silent, or a store that goes away, breaks our answer too.

A list of ours holds what its reader has *seen* (``store/seen.py``), so that nothing else can leak into it, totals are
exact, and pages neither shift nor overlap.

Where a page ends is ours to know: the ``Link`` to the next one carries a cursor, and behind it stands a bookmark, kept
for an hour. It leads to a place in a list of ours, or to a partner's next page, which only we may call: the host is the
partner's, and so is the token for it.

Spec: 2.2.1 and 2.1.1 ``transport_and_format``, Pagination; 2.2.1 the same, GET All via Hubs.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from contextvars import copy_context
from functools import partial
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import structlog
from attrs import asdict, evolve, field, frozen
from prometheus_client import Counter

from gateway.directory import Directory, Link
from gateway.exchange import LIVE_S, Exchange, hop, own_url, passed_on, told
from gateway.inquiry import LOCATION_UNKNOWN, Inquiry
from gateway.lookup import Lookup
from gateway.model.errors import BadJson, GatewayError, InvalidObject, NotConnected, NotDurable, ReceiverError
from gateway.model.facts import ABSENT, Crossing, Facts, Translated, Withheld
from gateway.model.message import Answer, HttpRequest, Message, Paged, Slices
from gateway.model.modules import MODULES, Kind, Module
from gateway.model.names import Mark, Name
from gateway.model.party import Party
from gateway.model.urls import join, with_query
from gateway.model.values import moment
from gateway.ports import Codec, Incoming
from gateway.routing import Target
from gateway.sharing import shown
from gateway.showing import Library, Showing, updated_ms
from gateway.telemetry import LOSSES, MASK, declare_object

log = structlog.get_logger()

SKIPPED: Final = Counter(
    "ocpi_gateway_list_items_skipped",
    "Objects left out of a list because they can't be read or said, by the link they came from, or the reader's.",
    ("partner", "module"),
)

PAGE: Final = 100
"""Objects on a page of ours where the reader names no limit."""

SLICE: Final = 25
"""Objects of a list that are looked up and translated together, before anybody else has a turn."""

BOOKMARK_S: Final = 3600.0
"""Seconds for which a list may be continued where a page ended."""

_FARTHEST: Final = 2**40  # objects that an offset may skip; Redis counts no farther than 2**63
_ASKED_AFTERWARDS: Final = 100  # locations that one list may make us ask for

_Item = TypeVar("_Item")


class Crawled(Protocol):
    """Who wants to know that a reader has gone through the whole of a list of ours. Both raise NotDurable."""

    async def began(self, link: str) -> Mark:
        """It reads a first page; what is owed to it by now, and listed, it will have seen in the end."""

    async def ended(self, link: str, module: Module, owner: Party | None, began: Mark) -> None:
        """It has read the last page."""


class Ended(GatewayError):
    """The owner of a list said, behind its objects, that it isn't good: the same is to stand behind ours."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(MASK.text(answer.text or "the list isn't complete"), status=answer.status)


@frozen(kw_only=True)
class Bookmark:
    """Where a list goes on: what the cursor in a ``Link`` of ours stands for.

    Attributes:
        reader: id of the link that reads the list; nobody else may go on with it.
        module, owner: of the list; the owner is empty where it is everybody's.
        url: a partner's next page; empty for a list of ours.
        after: of a list of ours, the place behind which the page begins; None: the beginning.
        offset: how many objects come before it.
        from_ms, to_ms: the time within which the objects were updated, in milliseconds since 1970. From the first page
            on it has an end: what is updated while the list is read leaves it, instead of coming again.
        ticket, rank, at: the mark of the beginning, of a list that is read from there and as a whole.
    """

    reader: str
    module: Module = field(converter=Module)
    owner: str
    url: str = ""
    after: str | None = None
    offset: int = 0
    from_ms: int | None = None
    to_ms: int | None = None
    ticket: int | None = None
    rank: int = 0
    at: int = 0

    @property
    def began(self) -> Mark | None:
        """Where its reader stood at the beginning; None where this is only a part of the list."""
        return None if self.ticket is None else Mark(self.ticket, self.rank, self.at)

    @property
    def timed(self) -> bool:
        """Whether the list is one of what was updated within a time."""
        return self.from_ms is not None or self.to_ms is not None


class _Piece(NamedTuple):
    """One object of a list on its way: its owner and its canonical form; its name, if it comes from the store."""

    owner: Party
    canonical: Any
    name: Name | None = None


@frozen(kw_only=True)
class _Reading:
    """A list that is being read: the question as it came, who asks, and what is known of links just now."""

    message: Message
    source: Link
    directory: Directory
    http: HttpRequest

    @property
    def module(self) -> Module:
        return self.message.module

    @property
    def kind(self) -> Kind:
        return kind_of(self.module)

    def link_to(self, cursor: str, *, offset: int | None, limit: int | None) -> str:
        """The URL of the next page: this one's, with the cursor and without what it stands for but the filters."""
        asked = {name: self.http.query[name] for name in ("date_from", "date_to") if self.http.query.get(name)}
        counts = {"offset": offset, "limit": limit}
        numbers = {name: str(count) for name, count in counts.items() if count is not None}
        dialect = self.source.dialect
        return with_query(
            join(dialect.base_url, dialect.version, *self.http.segments), {**asked, **numbers, "cursor": cursor}
        )


@frozen(kw_only=True)
class Lists:
    """Answers lists. Keeps nothing of them but the bookmarks in the store."""

    exchange: Exchange
    store: Library
    showing: Showing
    lookup: Lookup
    inquiry: Inquiry
    codec: Codec
    crawls: Crawled
    _asking: set[asyncio.Task[None]] = field(factory=set, init=False)

    # Of what is stored ------------------------------------------------------------------------------------------------

    async def stored(
        self, owner: Party | None, message: Message, source: Link, directory: Directory, http: HttpRequest
    ) -> Answer:
        """A page of what the reader has seen, oldest first; of what was updated within a time, by last_updated.

        Args:
            owner: whose objects; None: everybody's.

        Raises:
            InvalidObject: a cursor that isn't the reader's.
            NotDurable: the store is away.
        """
        reading = _Reading(message=message, source=source, directory=directory, http=http)
        size = min(message.query.limit or PAGE, source.page)
        place = await self._place(reading, str(owner or ""))
        find = partial(self.store.seen_page, source.id, message.module, owner=owner)
        if place.timed:
            find = partial(
                self.store.seen_between, source.id, message.module, owner=owner, from_ms=place.from_ms,
                to_ms=place.to_ms,
            )  # fmt: skip
        names, total, after = await find(
            after=place.after, offset=place.offset if place.after is None else 0, limit=size
        )
        following = None
        if after is not None:
            rest = evolve(place, after=after, offset=place.offset + len(names))
            if place.timed and place.to_ms is None:
                last, _, _ = await find(offset=total - 1, limit=1)
                rest = evolve(rest, to_ms=await self._just_after(last))
            following = reading.link_to(await self._keep(rest), offset=rest.offset, limit=size)
        objects: Slices = self._said(names, reading)
        if after is None and place.began is not None:
            objects = self._last_page(objects, reading, owner, place.began)
        items = await _begun(objects)
        return Answer(status=1000, page=Paged(total=total, limit=size, next=following), items=items)

    async def _place(self, reading: _Reading, owner: str) -> Bookmark:
        """Where the page begins: behind its cursor, or where its parameters say."""
        query = reading.message.query
        if query.cursor is not None:
            return await self._bookmark(query.cursor, reading, owner)
        whole = not (query.offset or query.date_from or query.date_to)
        began = await self.crawls.began(reading.source.id) if whole else None
        return Bookmark(
            reader=reading.source.id,
            module=reading.module,
            owner=owner,
            offset=min(query.offset or 0, _FARTHEST),
            from_ms=_ms(query.date_from),
            to_ms=_ms(query.date_to),
            ticket=began.ticket if began else None,
            rank=began.rank if began else 0,
            at=began.at if began else 0,
        )

    async def _just_after(self, last: Sequence[Name]) -> int | None:
        """The end of a time whose last object is this one."""
        said = await self.store.read(last[0]) if last else None
        return updated_ms(self.codec.loads(said.canonical)) + 1 if said is not None else None

    async def _said(self, names: Sequence[Name], reading: _Reading) -> AsyncGenerator[list[Any], None]:
        """The objects of these names, in the reader's wire form."""
        source = reading.source
        for some in _sliced(names):
            pieces = []
            for name, said in zip(some, await self.store.read_many(some, source.id), strict=True):
                if said is None or said.deleted:
                    continue  # since the page was made
                try:
                    canonical = shown(source, name.module, self.codec.loads(said.canonical))
                except Withheld:
                    await self.showing.hide(source, name)
                    continue
                pieces.append(_Piece(name.owner, canonical, name))
            yield [each.data for each in await self._written(pieces, reading, blamed=source)]
            await asyncio.sleep(0)  # everybody else's turn

    async def _last_page(self, objects: Slices, reading: _Reading, owner: Party | None, began: Mark) -> Slices:
        """The objects; once they are out, their reader has the whole list."""
        async with aclosing(objects):
            async for some in objects:
                yield some
        with suppress(NotDurable):  # the list is complete; what it settles is only saved work
            await self.crawls.ended(reading.source.id, reading.module, owner, began)

    async def _written(
        self, pieces: Sequence[_Piece], reading: _Reading, *, blamed: Link, facts: Facts | None = None
    ) -> list[Translated]:
        """Canonical objects in the reader's wire form; what can't be said to it is told of the link that is blamed."""
        adapter, source = self.exchange.adapter(reading.source), reading.source
        outcomes, _ = await self.lookup.through_all(
            partial(adapter.down, reading.kind),
            [(piece.canonical, crossing_of(source, piece.owner, reading.message.sender)) for piece in pieces],
            reading.directory, facts, link=source.id,
        )  # fmt: skip
        written = []
        for piece, outcome in zip(pieces, outcomes, strict=True):
            if isinstance(outcome, Translated):
                written.append(outcome)
                continue
            skip(outcome, piece.canonical, blamed, reading.module)
            if isinstance(outcome, Withheld):
                await self._withheld(outcome, piece, reading)
        return written

    async def _withheld(self, withheld: Withheld, piece: _Piece, reading: _Reading) -> None:
        """What can't be said to the reader leaves its list; a session that only lacks a location may come yet."""
        if withheld.status == LOCATION_UNKNOWN:
            self._ask_afterwards(withheld, piece.canonical, reading.directory)
        elif piece.name is not None:
            await self.showing.hide(reading.source, piece.name)

    def _ask_afterwards(self, withheld: Withheld, session: Any, directory: Directory) -> None:
        """The location for which a session was left out is asked from its owner, so that the next list has it."""
        if len(self._asking) >= _ASKED_AFTERWARDS:
            return
        task = asyncio.create_task(self._ask(withheld, session, directory), name="ask for a location")
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, withheld: Withheld, session: Any, directory: Directory) -> None:
        try:
            await self.inquiry.helps(withheld, session, directory)
        except GatewayError as error:
            log.info("location.not_had", module=Module.LOCATIONS, reason=error.message)

    async def aclose(self) -> None:
        """Ask for nothing any more."""
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    # Of a partner, passed through -------------------------------------------------------------------------------------

    async def passed(
        self, target: Target, message: Message, source: Link, directory: Directory, http: HttpRequest
    ) -> Answer:
        """A page of a partner's list as the partner cuts it, however large, its objects as they come.

        Raises:
            InvalidObject: a cursor that isn't the reader's.
            NotConnected, ReceiverTimeout, ReceiverError: the partner's answer couldn't be had.
            NotDurable: the store is away, and the list can't be translated, or continued, without it.
        """
        link = directory[target.link]
        if not link.registered:
            raise NotConnected(f"{link.id} is not registered")
        reading = _Reading(message=message, source=source, directory=directory, http=http)
        onward = message.evolve(receiver=target.party, trace=hop(message.trace))
        request = self.exchange.adapter(link).write_request(onward, link.dialect)
        if message.query.cursor is not None:
            place = await self._bookmark(message.query.cursor, reading, str(target.party))
            request = evolve(request, url=own_url(place.url, link))
        onward_from = partial(self._further, reading, link, str(target.party), request.url)
        return await _Passage(self, reading, link, onward, request).begin(onward_from)

    async def _further(self, reading: _Reading, link: Link, owner: str, called: str, following: str) -> str:
        """Our URL for a partner's next page. Raises ReceiverError for one that leads elsewhere, or nowhere."""
        if following == called:
            raise ReceiverError("the next page of its list is this page again")
        place = Bookmark(reader=reading.source.id, module=reading.module, owner=owner, url=own_url(following, link))
        return reading.link_to(await self._keep(place), offset=None, limit=reading.message.query.limit)

    # Bookmarks --------------------------------------------------------------------------------------------------------

    async def _keep(self, place: Bookmark) -> str:
        cursor = secrets.token_urlsafe(15)
        said = {name: value for name, value in asdict(place).items() if value is not None}
        await self.store.remember(_bookmark(cursor), self.codec.dumps(said), BOOKMARK_S)
        return cursor

    async def _bookmark(self, cursor: str, reading: _Reading, owner: str) -> Bookmark:
        """What a cursor stands for, if it is this reader's, in this list.

        Raises:
            InvalidObject: it isn't; or it was given out too long ago.
        """
        kept = await self.store.recall(_bookmark(cursor))
        place = Bookmark(**self.codec.loads(kept)) if kept is not None else None
        if place is None or (place.reader, place.module, place.owner) != (reading.source.id, reading.module, owner):
            raise InvalidObject("cursor", "is not one that was given out to you for this list within the last hour")
        return place


class _Passage:
    """One page of a partner's list on its way through the gateway."""

    def __init__(self, lists: Lists, reading: _Reading, link: Link, onward: Message, request: HttpRequest) -> None:
        self._lists = lists
        self._reading = reading
        self._link = link
        self._onward = onward
        self._request = request
        self._adapter = lists.exchange.adapter(link)
        self._started = time.perf_counter()

    async def begin(self, further: Callable[[str], Awaitable[str]]) -> Answer:
        """The answer: begun, as soon as it is known to be a good one; its items come as they are read.

        Args:
            further: our URL for that of the next page.
        """
        async with AsyncExitStack() as stack:
            try:
                wire = self._lists.exchange.wire
                incoming = await stack.enter_async_context(wire.stream(self._link.id, self._request, within=LIVE_S))
                raw = await stack.enter_async_context(aclosing(incoming.items()))
                first = await anext(raw, None)
                answer = self._opened(incoming, over=first is None)
                if not answer.good or answer.page is None:
                    self._tell(answer)
                    return answer.evolve(data=ABSENT)
                page = answer.page
                if page.next is not None:
                    page = evolve(page, next=await further(page.next))
            except GatewayError as error:
                self._tell(None, error)
                raise
            items = await _begun(self._items(first, raw, incoming, stack.pop_all()))
            return answer.evolve(data=ABSENT, page=page, items=items)

    def _opened(self, incoming: Incoming, *, over: bool) -> Answer:
        """The answer as its owner judges it. Until it is over it counts as good, unless it says otherwise already."""
        http = incoming.answer
        if incoming.listed:
            http = evolve(http, items=_nothing())
        if not over and isinstance(http.body, dict):
            http = evolve(http, body={"status_code": _SO_FAR_GOOD, **http.body})
        return passed_on(self._adapter.open_answer(http, self._onward, self._link.dialect, self._request.url))

    async def _items(
        self, first: Sequence[bytes] | None, raw: AsyncGenerator[Sequence[bytes], None], incoming: Incoming,
        stack: AsyncExitStack,
    ) -> AsyncGenerator[list[Any], None]:  # fmt: skip
        """The items in the reader's wire form.

        Raises:
            Ended: behind them the owner says that its list isn't good.
            ReceiverTimeout, ReceiverError: it broke off.
        """
        answer: Answer | None = None
        error: GatewayError | None = ReceiverError("its reader went away before the end")
        try:
            async with stack:
                some: Sequence[bytes] | None = first
                while some is not None:
                    for few in _sliced(some):
                        yield await self._translated(few)
                        await asyncio.sleep(0)  # everybody else's turn
                    some = await anext(raw, None)
                answer, error = self._opened(incoming, over=True), None
        except GatewayError as failure:
            error = failure
            raise
        finally:
            self._tell(answer, error)
        if not answer.good:
            raise Ended(answer)

    async def _translated(self, raw: Sequence[bytes]) -> list[Any]:
        reading, link, lists = self._reading, self._link, self._lists
        read = [data for text in raw if (data := self._read(text)) is not None]
        outcomes, facts = await lists.lookup.through_all(
            partial(self._adapter.up, reading.kind),
            [(data, crossing_of(link, self._owner(data), reading.message.sender)) for data in read],
            reading.directory,
        )
        pieces, lost = [], 0
        for data, outcome in zip(read, outcomes, strict=True):
            if not isinstance(outcome, Translated):
                skip(outcome, data, link, reading.module)
                continue
            owner = Party.of(outcome.data["country_code"], outcome.data["party_id"])
            if not link.dialect.speaks_for(owner):
                skip(InvalidObject("$.party_id", "is none of its parties"), data, link, reading.module)
                continue
            pieces.append(_Piece(owner, outcome.data))
            lost += len(outcome.losses)
        written = await lists._written(pieces, reading, blamed=link, facts=facts)
        if lost := lost + sum(len(each.losses) for each in written):
            LOSSES.labels(link.id, reading.module).inc(lost)
        return [each.data for each in written]

    def _read(self, text: bytes) -> Any:
        """The item, or None for one that is none."""
        try:
            data = self._lists.codec.loads(text)
        except BadJson as error:
            skip(error, None, self._link, self._reading.module)
            return None
        if not isinstance(data, dict):
            skip(InvalidObject("$", "expected an object"), None, self._link, self._reading.module)
            return None
        return data

    def _owner(self, data: Mapping[str, Any]) -> Party | None:
        """Whose object it is: it says so itself, or it is of the party that was asked."""
        return (owner_in(data) if self._adapter.sends_routing_headers else None) or self._onward.receiver

    def _tell(self, answer: Answer | None, error: GatewayError | None = None) -> None:
        told(self._onward, self._reading.source, self._link, answer, error, self._started)


_SO_FAR_GOOD: Final = 1000


async def _nothing() -> Slices:
    """Stands for items that are read elsewhere."""
    return
    yield []


async def _begun(items: Slices) -> Slices:
    """The same items, the first of them made already: what goes wrong at once can still be an error of its own."""
    return _resumed(await anext(items, None), items)


async def _resumed(first: Sequence[Any] | None, rest: Slices) -> Slices:
    async with aclosing(rest):
        if first is not None:
            yield first
        async for some in rest:
            yield some


def skip(error: Exception, data: Any, blamed: Link, module: Module) -> None:
    """Count and log an object that is left out of a list."""
    SKIPPED.labels(blamed.id, module).inc()
    # What is declared sensitive for this line is forgotten again: a list may name a hundred thousand tokens.
    copy_context().run(_tell_of_skipped, error, data, blamed, module)


def _tell_of_skipped(error: Exception, data: Any, blamed: Link, module: Module) -> None:
    name = "uid" if module is Module.TOKENS else "id"
    id = data.get(name) if isinstance(data, dict) else None
    if isinstance(data, dict):
        declare_object(module, data)
    facts = {"partner": blamed.id, "module": module, name: id if isinstance(id, str) else None}
    match error:
        case InvalidObject(path=path, what=what):
            log.warning("list.item_skipped", **facts, pointer=path, reason=what)
        case Withheld():
            log.warning("list.item_skipped", **facts, pointer=None, reason=error.reason)
        case GatewayError():
            log.warning("list.item_skipped", **facts, pointer=None, reason=error.message)
        case _:
            # Not one of ours: a bug. It costs this item, and the log gets the whole story.
            log.error("list.item_crashed", **facts, exc_info=error)


# Small things ---------------------------------------------------------------------------------------------------------


def kind_of(module: Module) -> Kind:
    """What the items of a module's list are."""
    kind = MODULES[module].kind
    assert kind is not None  # modules without one have no lists
    return kind


def crossing_of(link: Link, owner: Party | None, peer: Party | None) -> Callable[[Facts], Crossing]:
    """How the translation of one object on this link's side begins."""
    return lambda facts: Crossing(facts=facts, policy=link.dialect.policy, owner=owner, peer=peer)


def owner_in(data: Mapping[str, Any]) -> Party | None:
    """The owner that an object names itself, in a version whose objects do."""
    try:
        return Party.of(data["country_code"], data["party_id"])
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def _ms(text: str | None) -> int | None:
    return int(moment(text).timestamp() * 1000) if text is not None else None


def _bookmark(cursor: str) -> str:
    return f"page:{cursor}"


def _sliced(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    return (items[start : start + SLICE] for start in range(0, len(items), SLICE))
