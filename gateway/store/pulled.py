"""How far lists of others have been read: one state for each list.

The state is opaque here; whoever reads a list writes it after each page, so that a restart, or another replica, goes on
where this one stopped. A list is read by one replica at a time: a list has a lease, like the links that are delivered
to (``leases``), under its own id, and the state is written under its fence.

Of a list that is read to find out what is no longer in it, what was seen is noted too: a digest for each object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from attrs import define

from gateway.model.names import Name
from gateway.store.leases import Leases

ELSEWHERE: Final = b"\0"
"""How a state begins that counts only while a cache holds what was read (``split.py``)."""

# A crawl that takes longer than this isn't one any more.
_LISTED_S: Final = 3 * 24 * 3600


@define(eq=False)
class Pulled(Leases):
    """States of lists that we read. Every method raises ``NotDurable`` when Redis is away."""

    async def pulls(self, lists: Sequence[str]) -> list[bytes | None]:
        """The states of these lists, in their order and in one round trip; None for one that was never read.

        Also for one whose objects lay in a cache that there isn't any more.
        """
        return [
            None if state is not None and state.startswith(ELSEWHERE) else state for state in await self._pulls(lists)
        ]

    async def _pulls(self, lists: Sequence[str]) -> list[bytes | None]:
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            for each in lists:
                pipe.get(self.keys.pull(each))
            found: list[bytes | None] = await pipe.execute()
        return found

    async def pull_keep(self, list_: str, state: bytes, *, fence: int | None = None) -> None:
        """The state of a list.

        Raises:
            Ousted: there was a later tenure than that of ``fence``; nothing was written.
        """
        await self.fenced("pull_keep", list_, fence, [self.keys.pull(list_)], state)

    async def pull_listed(self, list_: str, crawl: str, names: Sequence[Name]) -> None:
        """These objects were seen in this crawl of a list."""
        if not names:
            return
        key = self.keys.pulled(list_, crawl)
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            pipe.sadd(key, *map(_digest, names))
            pipe.expire(key, _LISTED_S)
            await pipe.execute()

    async def pull_lists(self, list_: str, crawl: str, names: Sequence[Name]) -> list[bool]:
        """For each of these objects whether it was seen in this crawl."""
        if not names:
            return []
        key = self.keys.pulled(list_, crawl)
        return [bool(seen) for seen in await self.command("SMISMEMBER", key, *map(_digest, names))]

    async def pull_forget(self, list_: str, crawl: str) -> None:
        """Nobody asks any more what was seen in this crawl."""
        await self.command("UNLINK", self.keys.pulled(list_, crawl))


def _digest(name: Name) -> bytes:
    """Eight bytes for a name. Two that are alike would keep one object that is gone, and of millions none are."""
    return hashlib.blake2b(name.text.encode(), digest_size=8).digest()
