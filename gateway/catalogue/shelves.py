"""When lists are cut anew, and how they are read.

Lists of a view are cut when somebody asks for one and what there is isn't new any more: it counts for a moment, and
for ten times as long as it took to cut, so that cutting never takes more than a tenth of the time; but not for a moment
after a run of a feed that it shows was replaced. There is one cutting of a view at a time in a process, and whoever
asks meanwhile waits for it; nobody waits for the lists of another view, which may be a thousand times as long. A list
that hasn't changed keeps its shelf.

A page that isn't the last one says where the list goes on: on the same shelf, whatever is shown by then.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec
import structlog
from attrs import field, frozen
from prometheus_client import Summary

from gateway.catalogue.cutting import Cutting, Known, Run, Sources, live
from gateway.catalogue.rows import Rows, unpacked
from gateway.catalogue.views import Listing, View
from gateway.directory import Directory
from gateway.model.errors import InvalidObject, ReceiverError
from gateway.model.message import Slices
from gateway.model.prices import Wanted
from gateway.ports import Shelves
from gateway.settings.prices import FeedSettings

log = structlog.get_logger()

COUNTS_S: Final = 0.2
"""Seconds for which lists that were cut count at least."""

TIMES: Final = 10
"""So many times as long as they took to cut, too."""

_A_TRIP: Final = 250  # rows that are read, and sent, in one go

CUTTING: Final = Summary(
    "ocpi_gateway_price_cutting_seconds", "Seconds that it took to cut the lists of served prices."
)


class Library(Known, Shelves, Protocol):
    """The store: what lists are cut from, and where they lie."""


class _Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What a view shows.

    Attributes:
        shelves: by list.
        runs: of the feeds that it shows.
        at: when it was cut, in seconds since 1970.
        took: seconds.
    """

    shelves: dict[str, str]
    runs: dict[str, str]
    at: float
    took: float

    def counts(self, now: float) -> bool:
        """Whether it is new enough. By the clock of another replica it may be from the future: then it isn't."""
        return 0 <= now - self.at < max(COUNTS_S, TIMES * self.took)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Shown).decode


@frozen(kw_only=True)
class Section:
    """Part of a list.

    Attributes:
        total: rows that the whole list has.
        further: where the list goes on: the cursor, and the number of the row. None: nowhere.
        rows: each as bytes of JSON; read once.
    """

    total: int
    further: tuple[str, int] | None
    rows: Slices = field(eq=False)


class Catalogue:
    """Serves the lists of each view."""

    def __init__(
        self,
        *,
        store: Library,
        sources: Sources,
        directory: Callable[[], Directory],
        feeds: Callable[[], Sequence[FeedSettings]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``clock``: seconds since 1970."""
        self._store = store
        self._sources = sources
        self._directory = directory
        self._feeds = feeds
        self._clock = clock
        self._cutting: defaultdict[View, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def section(self, view: View, listing: Listing, wanted: Wanted, cursor: str | None = None) -> Section:
        """Part of a list, as it is, or as it was where a cursor comes from.

        Raises:
            InvalidObject: the cursor is none of this view's, or its list has gone.
            NotDurable: the store is away.
        """
        if cursor is None:
            shelf = await self._shelf(view, listing)
        elif not await self._store.shelf_use(view.id, shelf := _named(listing, cursor)):
            raise InvalidObject("cursor", "this list isn't kept any more: begin again with its first page")
        total, before = await self._store.shelf_size(view.id, shelf, wanted.after)
        start = before + wanted.offset
        end = min(start + wanted.limit, total)
        further = None
        if start < end < total:
            await self._store.shelf_use(view.id, shelf, further=True)
            further = (_cursor(shelf), end)
        rows = self._rows(view, shelf, start, end)
        return Section(total=total, further=further, rows=_resumed(await anext(rows, None), rows))

    async def row(self, view: View, listing: Listing, id: str) -> bytes | None:
        """One row, as bytes of JSON; None if the list has none of this id.

        Raises:
            NotDurable: the store is away.
        """
        row = await self._store.shelf_row(view.id, await self._shelf(view, listing), id)
        return None if row is None else unpacked(row)

    async def _rows(self, view: View, shelf: str, start: int, end: int) -> AsyncGenerator[Sequence[msgspec.Raw], None]:
        while start < end:
            found = await self._store.shelf_rows(view.id, shelf, start, min(_A_TRIP, end - start))
            if not found:
                raise ReceiverError("the list isn't kept any more")
            yield [msgspec.Raw(unpacked(row)) for row in found]
            start += len(found)

    # Cutting ----------------------------------------------------------------------------------------------------------

    async def _shelf(self, view: View, listing: Listing) -> str:
        """Where a list lies that is new enough."""
        shelf = await self._found(view, listing)
        if shelf is None:
            async with self._cutting[view]:
                shelf = await self._found(view, listing) or (await self._cut(view))[listing]
        return shelf

    async def _found(self, view: View, listing: Listing) -> str | None:
        shown = await self._shown(view)
        if shown is None or not shown.counts(self._clock()) or shown.runs != _ids(await self._runs(view)):
            return None
        shelf = shown.shelves[listing]
        return shelf if await self._store.shelf_use(view.id, shelf) else None

    async def _shown(self, view: View) -> _Shown | None:
        kept = await self._store.view(view.id)
        return None if kept is None else _decode(kept)

    async def _runs(self, view: View) -> list[Run]:
        return await live(self._store, self._feeds()) if view.redistribute else []

    async def _cut(self, view: View) -> Mapping[str, str]:
        """Cut the lists of a view; where they lie."""
        at, began = self._clock(), time.perf_counter()
        runs = await self._runs(view)
        now = datetime.fromtimestamp(at, UTC)
        cutting = Cutting(self._sources, view, self._directory(), runs, now)
        lists = await cutting.cut()
        shelves = {listing.value: _named(listing, rows.digest) for listing, rows in lists.items()}
        for listing, rows in lists.items():
            await self._shelve(view, shelves[listing], rows)
        former = await self._shown(view)
        took = time.perf_counter() - began
        gone = sorted({*former.shelves.values()} - {*shelves.values()}) if former else []
        kept = _Shown(shelves=shelves, runs=_ids(runs), at=at, took=took)
        await self._store.view_keep(view.id, _encode(kept), list(shelves.values()), gone)
        CUTTING.observe(took)
        if former is None or gone:
            counts = {listing.value: len(rows) for listing, rows in lists.items()}
            log.info(
                "prices.cut", view=view.id, ms=round(took * 1000), doubles=cutting.doubles, skipped=cutting.skipped,
                **counts,
            )  # fmt: skip
        return shelves

    async def _shelve(self, view: View, shelf: str, rows: Rows) -> None:
        if not await self._store.shelf_use(view.id, shelf):
            await self._store.shelve(view.id, shelf, rows)


def _named(listing: Listing, cursor: str) -> str:
    return f"{listing}.{cursor}"


def _ids(runs: Sequence[Run]) -> dict[str, str]:
    return {run.feed.id: run.id for run in runs}


def _cursor(shelf: str) -> str:
    return shelf.partition(".")[2]


async def _resumed(
    first: Sequence[msgspec.Raw] | None, rest: AsyncGenerator[Sequence[msgspec.Raw], None]
) -> AsyncGenerator[Sequence[msgspec.Raw], None]:
    """The same rows, the first of them read already: what goes wrong at once can still be an error of its own."""
    if first is not None:
        yield first
    async for some in rest:
        yield some
