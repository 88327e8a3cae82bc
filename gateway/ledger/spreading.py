"""What was said is shown to whoever is owed it, and owed: by the courier, or by a verb that works beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from attrs import frozen

from gateway.directory import Directory
from gateway.model.names import Name
from gateway.ports import Owed
from gateway.showing import Showing


@frozen(kw_only=True)
class Spreading:
    """Spreads notes. Every method raises NotDurable while the store is away."""

    store: Owed
    showing: Showing
    directory: Callable[[], Directory]

    async def spread(self, name: Name) -> tuple[str, ...]:
        """Something was said and is noted as owed: links may list it, and owe a look at it. Which links these are.

        In this order: whoever finds at that look that it can't be said to a link takes it out of its list again.
        """
        return await self.store.spread(name, partial(self._show, name))

    async def owed(self, name: Name) -> None:
        """The same, for whoever is told what was said."""
        await self.spread(name)

    async def _show(self, name: Name, links: Iterable[str]) -> None:
        """Whoever is owed it may list it as of now, however long it takes until it is brought."""
        directory = self.directory()
        found = [link for id in links if (link := directory.find(id)) is not None]
        if found:
            await self.showing.look_for(found, name)
