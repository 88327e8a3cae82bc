"""What was said becomes what is owed, and is shown to whoever is owed it: by the courier, or by a verb beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
        """Something was said and is noted as owed: links owe a look at it, and may list it. Which links these are."""
        links = await self.store.spread(name)
        await self.show(name, links)
        return links

    async def owed(self, name: Name) -> None:
        """The same, and whoever delivers is told; a gateway that isn't there finds it when it comes up."""
        await self.store.notify(*await self.spread(name))

    async def show(self, name: Name, links: Iterable[str]) -> None:
        """Whoever is owed it may list it as of now, however long it takes until it is brought."""
        directory = self.directory()
        found = [link for id in links if (link := directory.find(id)) is not None]
        if found:
            await self.showing.look_for(found, name)
