"""What links learn by themselves: a complete crawl of a list of ours settles what its reader was owed of it.

A new partner is owed everything it may see, and gets it at its own rate. Most don't wait for that and read our lists
instead, as OCPI means it (2.2.1 ``transport_and_format``, Pagination and Offline behaviour). Telling it all of that
once more, a hundred thousand requests perhaps, would help nobody.

So when a reader has gone through an unfiltered list from its beginning to its last page, a mark is left: how far it
was owed things, and could list them, when the crawl began. The courier finds what lies before the mark delivered
already, and sends nothing. What has changed since the crawl began lies behind it and goes out, whether or not the
reader happened to see it; what the reader couldn't list at that time goes out, too.

A CDR that is in doubt and was left to its receiver's pull (``cdrs.in_doubt: pull``) has arrived when such a crawl of
the CDRs has gone past it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import msgspec
from attrs import field, frozen

from gateway.model.modules import Module
from gateway.model.names import CdrEntry, CdrState, Due, Mark
from gateway.model.party import Party
from gateway.ports import News, Owed, Seen

_COUNTS: Final = timedelta(minutes=15)
"""How long a crawl counts. Which tariff a connector shows may hang on the time: later nobody knows what it has seen."""


PULL: Final = "their pull"
"""Who decides about a CDR in doubt that its receiver is to read in our list."""

_LEFT: Final = "left_to_pull"


class _Store(Owed, Seen, News, Protocol):
    """What is needed of the store."""


class _Crawl(msgspec.Struct, frozen=True, array_like=True):
    """A crawl that is complete: the mark of its beginning, and its end, in milliseconds since 1970."""

    ticket: int
    rank: int
    began: int
    ended: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Crawl).decode


@frozen
class Crawls:
    """Remembers which links have read their lists. Every method raises NotDurable while the store is away."""

    store: _Store
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    async def began(self, link: str) -> Mark:
        """A link begins to read a list. The mark is for its end."""
        return await self.store.mark(link)

    async def ended(self, link: str, module: Module, owner: Party | None, began: Mark) -> None:
        """It has read the last page of it.

        Args:
            owner: whose objects the list was of; None: everybody's that it sees.
        """
        crawl = _Crawl(began.ticket, began.rank, began.at, _ms(self.clock()))
        await self.store.set_fact(link, _fact(module, owner), _encode(crawl))
        if module is Module.CDRS and _LEFT in await self.store.facts(link):
            await self._read_past(link, began)

    async def left_to_pull(self, link: str) -> None:
        """There are CDRs in doubt that this link is to read for itself."""
        await self.store.set_fact(link, _LEFT, b"1")

    async def _read_past(self, link: str, began: Mark) -> None:
        """CDRs in doubt that were in the list that the link has read."""
        left = False
        async with aclosing(self.store.cdr_entries(link, done=False)) as entries:
            async for entry in entries:
                if entry.state is CdrState.IN_DOUBT and entry.who == PULL:
                    left |= not await self._has_read(link, entry, began)
        if not left:
            await self.store.set_fact(link, _LEFT, None)

    async def _has_read(self, link: str, entry: CdrEntry, began: Mark) -> bool:
        rank = await self.store.rank(link, entry.name)
        if rank is None or rank > began.rank:
            return False
        why = "they have read it in our list"
        return await self.store.cdr_move(
            link, entry.name, {CdrState.IN_DOUBT}, CdrState.DELIVERED, reason=why, who=PULL
        )

    async def cover(self, link: str, due: Due, *, known: bool) -> bool:
        """Whether the link has read for itself what it is owed.

        Args:
            known: whether it is known what the link has. Then an entry that falls due only after the beginning isn't a
                failure that waits to be repeated, but waits for its time: another tariff comes into force.
        """
        facts = await self.store.facts(link)
        found = [facts.get(_fact(due.name.module, owner)) for owner in (None, due.name.owner)]
        fresh = _ms(self.clock() - _COUNTS)
        crawls = [crawl for packed in found if packed and (crawl := _decode(packed)).ended >= fresh]
        crawls = [each for each in crawls if due.ticket <= each.ticket and not (known and due.at > each.began)]
        rank = await self.store.rank(link, due.name) if crawls else None
        return rank is not None and any(rank <= crawl.rank for crawl in crawls)


def _fact(module: Module, owner: Party | None) -> str:
    return f"crawled:{module}:{owner or ''}"


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
