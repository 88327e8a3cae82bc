"""What is served of prices: lists that were cut at one moment, each on a shelf of its own.

Who reads a list page by page must not see it change in between. So a list is written down whole and never changed: a
shelf. A *view* is what some consumers see, and what is kept of it (opaque here) names the shelves that it shows now.

A shelf stays for an hour after its last use. One that its view doesn't show any more goes after a minute, unless
somebody has been told how its list goes on; of those so many stay longer than that, since lists that change all the
time would fill Redis.

A row is one member of a sorted set: its id, a zero, and the row. All have the same score, so they lie in the order of
their ids, and a page of any list begins wherever it likes. Before them lies an empty member, which is written last:
without it there is no shelf, but perhaps half of one. A shelf's name says what is on it, so two replicas that write the
same one at a time do no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from attrs import define

from gateway.model.names import encode
from gateway.store.connection import Connection

KEPT_S: Final = 3600
"""Seconds for which a list may be read on."""

READ_ON_S: Final = 60
"""Seconds for which a page of a list that isn't shown any more may be under way."""

MOST_KEPT: Final = 20
"""Lists of one view that are kept for those who read on."""

_A_TRIP: Final = 250
_WHOLE: Final = b""
_BEFORE_ROW: Final = b"\0"
_AFTER_ROW: Final = b"\1"


@define(eq=False)
class Shelves(Connection):
    """Shelves, and the views that show them. Every method raises ``NotDurable`` when Redis is away."""

    async def view(self, view: str) -> bytes | None:
        """What was kept of a view; None after an hour in which nobody asked."""
        key = self.keys.view(view)
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            pipe.get(key)
            pipe.expire(key, KEPT_S)
            value: bytes | None = (await pipe.execute())[0]
        return value

    async def view_keep(self, view: str, value: bytes, shown: Sequence[str], former: Sequence[str] = ()) -> None:
        """Something else is kept of a view.

        Args:
            shown: the shelves that it shows.
            former: those that it has shown and doesn't show any more.
        """
        shelved = self.keys.shelved(view)
        most = MOST_KEPT + len(shown)
        oldest = [shelf.decode() for shelf in await self.command("ZREVRANGE", shelved, most, -1)]
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            for shelf in former:
                pipe.zscore(shelved, shelf)
            read_on = await pipe.execute() if former else []
        async with self.durable(), self.client.pipeline(transaction=True) as pipe:
            pipe.set(self.keys.view(view), value, ex=KEPT_S)
            for shelf in set(oldest) - set(shown):
                # Not at once: whoever reads on may have been told so a moment ago, however many came after.
                pipe.expire(self.keys.shelf(view, shelf), READ_ON_S)
                pipe.zrem(shelved, shelf)
            for shelf, further in zip(former, read_on, strict=True):
                if further is None:
                    pipe.expire(self.keys.shelf(view, shelf), READ_ON_S)
            await pipe.execute()

    async def shelve(self, view: str, shelf: str, rows: Iterable[tuple[str, bytes]]) -> None:
        """A list: rows by id, as whatever bytes they are. May be repeated.

        Args:
            shelf: stands for just these rows.
            rows: ids are compared byte by byte (percent-encoded), and are different from each other.
        """
        key = self.keys.shelf(view, shelf)
        rest = iter(rows)
        while members := [_member(id, row) for id, row in islice(rest, _A_TRIP)]:
            await self._add(key, members)
        await self._add(key, [_WHOLE])

    async def _add(self, key: str, members: Sequence[bytes]) -> None:
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            pipe.zadd(key, dict.fromkeys(members, 0))
            pipe.expire(key, KEPT_S)
            await pipe.execute()

    async def shelf_use(self, view: str, shelf: str, *, further: bool = False) -> bool:
        """Whether there is such a shelf; if so, it stays for an hour from now on.

        Args:
            further: somebody is told how its list goes on.
        """
        key, shelved = self.keys.shelf(view, shelf), self.keys.shelved(view)
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            pipe.zscore(key, _WHOLE)
            pipe.expire(key, KEPT_S)
            if further:
                pipe.zadd(shelved, {shelf: self.now()})
                pipe.expire(shelved, KEPT_S)
            return (await pipe.execute())[0] is not None

    async def shelf_size(self, view: str, shelf: str, upto: str | None = None) -> tuple[int, int]:
        """How many rows there are, and how many of them come up to ``upto``, be it there or not; None: none do."""
        key = self.keys.shelf(view, shelf)
        last = b"(" + _WHOLE if upto is None else b"(" + _id(upto) + _AFTER_ROW
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            pipe.zcard(key)
            pipe.zlexcount(key, b"(" + _WHOLE, last)
            rows, before = await pipe.execute()
        return max(int(rows) - 1, 0), 0 if upto is None else int(before)

    async def shelf_rows(self, view: str, shelf: str, start: int, limit: int) -> list[bytes]:
        """So many rows, from the one with this number on; the first has the number 0."""
        found: list[bytes] = await self.command("ZRANGE", self.keys.shelf(view, shelf), start + 1, start + limit)
        return [_row(member) for member in found]

    async def shelf_row(self, view: str, shelf: str, id: str) -> bytes | None:
        """The row of this id."""
        first, last = b"[" + _id(id) + _BEFORE_ROW, b"(" + _id(id) + _AFTER_ROW
        found = await self.command("ZRANGEBYLEX", self.keys.shelf(view, shelf), first, last, "LIMIT", 0, 1)
        return _row(found[0]) if found else None


def _id(id: str) -> bytes:
    """An id without zeros in it: it may be a stranger's."""
    return encode(id).encode()


def _member(id: str, row: bytes) -> bytes:
    return _id(id) + _BEFORE_ROW + row


def _row(member: bytes) -> bytes:
    return member[member.index(_BEFORE_ROW) + 1 :]
