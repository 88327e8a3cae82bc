"""What each link may list: the names that it has learned of, and no others.

A list is served from here, so what a link must not see can't leak into one: it never gets in. And a total is exact,
because it counts just these names, whatever else there is.

Each list is kept in two orders. By *rank*: in the order in which the link learned of the objects, for lists without
dates (2.2.1 ``transport_and_format`` 4.1.4, Pagination: the oldest first, so that new objects come on later pages). By
*time*: last_updated, for ``date_from`` and ``date_to``. An object that changes keeps its rank and moves in time.

A page begins after a cursor: the place of the object that the page before ended with, whether that is still there or
not. So what is taken out or moved between two pages never makes a reader skip another object, as it would if pages were
counted from the front: a reader takes a gap for a deletion. The offset of a request that comes without a cursor is
counted all the same; how far it is makes no difference to the time it takes.

Links that may ask for the objects of one owner (a backend addresses a partner) have lists by owner too. What a stranger
owns stands there among the objects of whoever tells the link of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from attrs import define
from redis.asyncio.client import Pipeline

from gateway.model.errors import InvalidObject
from gateway.model.modules import Module
from gateway.model.names import Name, Sight
from gateway.model.party import Party
from gateway.store.connection import Connection
from gateway.store.keys import COUNTER, tag_of

# So many names are seen in one round trip: Redis has time for others in between.
_A_TRIP: Final = 500

Listed = tuple[list[Name], int, str | None]
"""Names (ids folded: the object has the spelling), how many the whole list has, the cursor of what follows if any."""


@define(eq=False)
class Seen(Connection):
    """Lists of names for each link. Every method raises ``NotDurable`` when Redis is away."""

    async def see(self, link: str, name: Name, last_updated_ms: int, *, among: Party | None = None) -> None:
        """The link may list this object from now on; it keeps its rank if it could before.

        Args:
            last_updated_ms: the object's last_updated, in milliseconds since 1970.
            among: where the link may also ask for the objects of one owner alone, among whose this one is.
        """
        await self.see_all([Sight(link, name, last_updated_ms, among)])

    async def unsee(self, link: str, name: Name, *, among: Party | None = None) -> None:
        """The link may no longer list it, nor ``among`` the objects of anybody."""
        await self.see_all([Sight(link, name, None, among)])

    async def see_all(self, sights: Iterable[Sight]) -> None:
        """Links may list objects as of now, or no longer; in this order, a few hundred to a round trip.

        What was written when Redis went away stays written, and the whole may be repeated.
        """
        rest = iter(sights)
        while part := list(islice(rest, _A_TRIP)):
            async with self.durable(), self.client.pipeline(transaction=False) as pipe:
                for sight in part:
                    self._queue_sight(pipe, sight)
                await pipe.execute()

    def _queue_sight(self, pipe: Pipeline, sight: Sight) -> None:
        link, name = sight.link, sight.name
        owners = [sight.among] if sight.at is not None else [sight.among, name.owner]  # wherever it may have been
        parts = dict.fromkeys(_part(name.module, owner) for owner in (None, *owners))
        orders = [key for part in parts for key in self._orders(link, part)]
        if sight.at is None:
            self.queue(pipe, "unsee", orders, name.text)
        else:
            self.queue(pipe, "see", [self.keys.seen_parts(link), *orders], name.text, sight.at, *parts)

    async def sees(self, link: str, names: Sequence[Name]) -> list[bool]:
        """For each name whether the link may list it; one round trip.

        Where a request doesn't say whose object it means (2.1.1 asks for ``/locations/LOC1``), the caller gives one
        name for each owner that may be meant.
        """
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.zscore(self.keys.seen(link, name.module), name.text)
            return [rank is not None for rank in await pipe.execute()]

    async def rank(self, link: str, name: Name) -> int | None:
        """The place of an object among all that the link learned of; None for one that it may not list."""
        rank = await self.command("ZSCORE", self.keys.seen(link, name.module), name.text)
        return None if rank is None else int(rank)

    async def seen_page(
        self,
        link: str,
        module: Module,
        *,
        owner: Party | None = None,
        after: str | None = None,
        offset: int = 0,
        limit: int,
    ) -> Listed:
        """A page of the list, in the order in which the link learned of the objects.

        Args:
            owner: only those that were seen ``among`` this owner's.
            after: the cursor that the page before ended with; None: from the beginning.
            offset: how many to skip from there.
            limit: how many at most, at least 1.

        Raises:
            InvalidObject: the cursor isn't one of ours.
        """
        return await self._slice(self.keys.seen(link, _part(module, owner)), "-inf", "+inf", after, offset, limit)

    async def seen_between(
        self,
        link: str,
        module: Module,
        *,
        owner: Party | None = None,
        from_ms: int | None = None,
        to_ms: int | None,
        after: str | None = None,
        offset: int = 0,
        limit: int,
    ) -> Listed:
        """A page of what was updated within a time, in the order of last_updated, then of the names.

        An object that changes meanwhile moves to the end, or out of a time that ends before.

        Args:
            owner, after, offset, limit: as of ``seen_page``.
            from_ms: last_updated from this time on, in milliseconds since 1970; None: from ever.
            to_ms: last_updated before this time; None: until ever.

        Returns:
            As ``seen_page``; the total counts the whole time, not what is left of it.

        Raises:
            InvalidObject: the cursor isn't one of ours.
        """
        key = self.keys.seen_at(link, _part(module, owner))
        low, high = "-inf" if from_ms is None else str(from_ms), "+inf" if to_ms is None else f"({to_ms}"
        return await self._slice(key, low, high, after, offset, limit)

    async def unsee_all(self, link: str) -> None:
        """The link may list nothing any more."""
        gone: set[bytes] = set()
        while parts := set(await self.command("HKEYS", self.keys.seen_parts(link))) - {COUNTER.encode()} - gone:
            keys = [key for part in parts for key in self._orders(link, part.decode())]
            await self.command("UNLINK", *keys)
            gone |= parts  # lists that began meanwhile are found in the next round

    async def _slice(self, key: str, low: str, high: str, after: str | None, offset: int, limit: int) -> Listed:
        score, text = ("", "") if after is None else _read_cursor(after)
        # One more than was asked for tells whether anything follows.
        total, found = await self.run("slice", [key], low, high, score, text, offset, limit + 1)
        texts = [text.decode() for text in found[::2]]
        more = len(texts) > limit
        cursor = f"{int(found[2 * limit - 1])}:{texts[limit - 1]}" if more else None
        return [Name.parse(text) for text in texts[:limit]], int(total), cursor

    def _orders(self, link: str, part: str) -> Iterable[str]:
        return self.keys.seen(link, part), self.keys.seen_at(link, part)


def _part(module: Module, owner: Party | None) -> str:
    return module.value if owner is None else f"{module}:{tag_of(owner)}"


def _read_cursor(cursor: str) -> tuple[str, str]:
    """Score and name of a cursor: ``1700000000000:locations:NL-EXA:LOC1``."""
    score, colon, text = cursor.partition(":")
    if not (colon and score.isascii() and score.removeprefix("-").isdigit()):
        raise InvalidObject("cursor", "is not one that was given out here")
    return score, text
