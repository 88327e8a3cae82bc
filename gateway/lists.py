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
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

import structlog
from attrs import asdict, evolve, field, frozen

from gateway.directory import Directory, Link
from gateway.exchange import Exchange, hop, own_url
from gateway.inquiry import LOCATION_UNKNOWN, Inquiry
from gateway.listed import Page, Reader, crossing_of, skip, sliced
from gateway.lookup import Lookup
from gateway.model.errors import GatewayError, InvalidObject, NotConnected, NotDurable, ReceiverError
from gateway.model.facts import Facts, Translated, Withheld
from gateway.model.message import Answer, HttpRequest, Message, Paged, Slices
from gateway.model.modules import Kind, Module, kind_of
from gateway.model.names import Mark, Name
from gateway.model.party import Party
from gateway.model.urls import join, with_query
from gateway.model.values import moment
from gateway.ports import Codec
from gateway.routing import Target
from gateway.sharing import shown
from gateway.showing import Library, Showing, updated_ms
from gateway.telemetry import LOSSES

log = structlog.get_logger()

PAGE: Final = 100
"""Objects on a page of ours where the reader names no limit."""

BOOKMARK_S: Final = 3600.0
"""Seconds for which a list may be continued where a page ended."""

_FARTHEST: Final = 2**40  # objects that an offset may skip; Redis counts no farther than 2**63
_ASKED_AFTERWARDS: Final = 100  # locations that one list may make us ask for


class Crawled(Protocol):
    """Who wants to know that a reader has gone through the whole of a list of ours. Both raise NotDurable."""

    async def began(self, link: str) -> Mark:
        """It reads a first page; what is owed to it by now, and listed, it will have seen in the end."""

    async def ended(self, link: str, module: Module, owner: Party | None, began: Mark) -> None:
        """It has read the last page."""


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
        for some in sliced(names):
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
        self._page = Page(lists.exchange, link, onward, request, source=reading.source)
        self._reader = Reader(
            exchange=lists.exchange, codec=lists.codec, link=link, onward=onward, peer=reading.message.sender,
            directory=reading.directory,
        )  # fmt: skip

    async def begin(self, further: Callable[[str], Awaitable[str]]) -> Answer:
        """The answer: begun, as soon as it is known to be a good one; its items come as they are read.

        Args:
            further: our URL for that of the next page.
        """

        async def settled(answer: Answer) -> Answer:
            if answer.page is None or answer.page.next is None:
                return answer
            return answer.evolve(page=evolve(answer.page, next=await further(answer.page.next)))

        answer = await self._page.begin(settled)
        return answer.evolve(items=await _begun(self._items())) if self._page.coming else answer

    async def _items(self) -> AsyncGenerator[list[Any], None]:
        """The items in the reader's wire form.

        Raises:
            Ended: behind them the owner says that its list isn't good.
            ReceiverTimeout, ReceiverError: it broke off.
        """
        async with aclosing(self._page.slices()) as slices:
            async for few in slices:
                yield await self._translated(few)

    async def _translated(self, raw: Sequence[bytes]) -> list[Any]:
        reading, link = self._reading, self._link
        items = await self._reader.read(raw)
        pieces = [_Piece(item.owner, item.canonical) for item in items.read]
        written = await self._lists._written(pieces, reading, blamed=link, facts=items.facts)
        if lost := items.lost + sum(len(each.losses) for each in written):
            LOSSES.labels(link.id, reading.module).inc(lost)
        return [each.data for each in written]


async def _begun(items: Slices) -> Slices:
    """The same items, the first of them made already: what goes wrong at once can still be an error of its own."""
    return _resumed(await anext(items, None), items)


async def _resumed(first: Sequence[Any] | None, rest: Slices) -> Slices:
    async with aclosing(rest):
        if first is not None:
            yield first
        async for some in rest:
            yield some


# Small things ---------------------------------------------------------------------------------------------------------


def _ms(text: str | None) -> int | None:
    return int(moment(text).timestamp() * 1000) if text is not None else None


def _bookmark(cursor: str) -> str:
    return f"page:{cursor}"
