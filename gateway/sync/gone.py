"""What isn't listed any more: found out by a full crawl, and withdrawn.

Some platforms never say that an object is gone; it just isn't in their list any more (``sync.tombstones:
full_pull_diff``). That is believed only if the crawl was clean: it read every page and every item, and missed nothing
that moved meanwhile. Even then a list that is empty, or has lost more than a fifth at once, is more likely to be a
mistake over there: nothing is withdrawn, and a person has to say that it is meant. Sessions and CDRs are never
withdrawn.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Protocol

import structlog
from attrs import frozen

from gateway.model.modules import MODULES, Module
from gateway.model.names import Name, Said
from gateway.model.party import Party
from gateway.model.withdrawn import is_withdrawn
from gateway.ports import Objects, Pulled
from gateway.sync.intake import GONE, Intake
from gateway.sync.states import Crawl, Source

log = structlog.get_logger()

MOST_AT_ONCE: Final = 0.20
"""The share of a list that may be gone at once."""

_PAGE: Final = 500


class Store(Objects, Pulled, Protocol):
    """What is needed of the store."""


@frozen(kw_only=True)
class Refused:
    """That what was found gone wasn't believed."""

    gone: int
    of: int

    def __str__(self) -> str:
        return f"{self.gone} of {self.of} are no longer listed, which is too many to be believed"


@frozen(kw_only=True)
class Gone:
    """Finds what is gone from one list."""

    store: Store
    intake: Intake
    source: Source

    async def withdraw(self, crawl: Crawl, *, accept: bool) -> int | Refused:
        """Withdraw what a clean crawl hasn't seen. How much that was, or why nothing was done.

        Args:
            accept: somebody has said that it is meant, however much it is.

        Raises:
            NotDurable: the store is away; it may be done again.
        """
        if not may_be_gone(self.source.module) or not crawl.clean:
            return 0
        found, known = [], 0
        async for name, said, seen in self._known(crawl):
            known += 1
            if not seen:
                found.append((name, said))
        unlikely = crawl.counts.items == 0 or len(found) > max(1, known * MOST_AT_ONCE)
        if found and unlikely and not accept:
            return Refused(gone=len(found), of=known)
        gone = 0
        for name, said in found:
            gone += await self.intake.withdraw(name, said, crawl)
        if gone:
            log.info("sync.gone", partner=self.source.link, module=self.source.module, objects=gone, of=known)
        return gone

    async def _known(self, crawl: Crawl) -> AsyncIterator[tuple[Name, Said, bool]]:
        """What this list had said when the crawl began, and whether the crawl has seen it."""
        for owner in await self._owners():
            after = 0
            while page := await self.store.names(owner, self.source.module, after, _PAGE):
                after = page[-1][0]
                names = [name for _, name in page]
                said = await self.store.read_many(names)
                seen = await self.store.pull_lists(self.source.id, crawl.id, names)
                for name, each, listed in zip(names, said, seen, strict=True):
                    if each is not None and self._counts(name, each, crawl):
                        yield name, each, listed

    def _counts(self, name: Name, said: Said, crawl: Crawl) -> bool:
        """Whether an object was there by this link when the crawl began, and isn't withdrawn already."""
        if said.deleted or said.source != self.source.link or said.at >= crawl.began:
            return False
        withdrawn = said.correlation.startswith(GONE)
        return not (withdrawn or is_withdrawn(name.module, self.intake.codec.loads(said.canonical)))

    async def _owners(self) -> list[Party]:
        """Whose objects are in the list: of a hub's, those of everybody behind it."""
        link = self.intake.link
        if link.hub is None:
            return [self.source.party]
        return [owner for owner in await self.store.owners() if link.dialect.speaks_for(owner)]


def may_be_gone(module: Module) -> bool:
    """Whether an object of this module can cease to be."""
    return MODULES[module].broadcast
