"""What feeds say of our connectors, put on a location whenever its owner says it anew.

A backend knows nothing of price feeds, so what it pushes has its own tariffs and no others. Whoever is about to store a
location of ours joins it with what is attached to its connectors; what the backend sent stays beside it as it was, and
that is what its next PATCH is merged into. So a new PUT takes away nothing that a feed has said.

Whoever attaches something writes that first and says the locations again afterwards. A location that is said meanwhile
is joined with the new, or the one overtakes the other and is decided again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from attrs import frozen

from gateway.model import attached
from gateway.model.modules import Kind, Module, kind_of
from gateway.model.names import Name
from gateway.ports import Attachments, Objects


class Store(Attachments, Objects, Protocol):
    """What is needed of the store."""


@frozen
class Attaching:
    """Joins locations with what feeds attach to them. Every method raises NotDurable while the store is away.

    Attributes:
        active: whether there is any feed at all: else nobody is asked.
        new: hears of locations with connectors that weren't there before, shortly before they are stored: a feed may
            have something to say of them. And of those that name a price which became something else.
    """

    store: Store
    active: Callable[[], bool]
    new: Callable[[Name], None]

    async def joined(self, name: Name, canonical: Any, before: Any) -> Any:
        """A location as its owner said it, with the tariffs of feeds; anything else as it is.

        Args:
            canonical: of an object of one of our backends; None for one that is deleted.
            before: what was stored, canonical; None if there was nothing.
        """
        if name.module is not Module.LOCATIONS or canonical is None or not self.active():
            return canonical
        if not {*attached.spots(canonical)} <= {*attached.spots(before or {})}:
            self.new(name)
        whole = attached.joined(canonical, await self._there(name, canonical))
        return whole if before is None else attached.moved(whole, before)

    async def replaced(self, name: Name, before: Any) -> None:
        """A tariff was said under the id of a feed's price: connectors are to name it only where its owner says so.

        Args:
            before: what was stored, canonical; None if there was nothing. Nothing follows but of a feed's price.
        """
        if before is not None and attached.of_a_feed(kind_of(name.module), before):
            for location in await self.store.locations_of_tariff(name.owner, name.id):
                self.new(location)

    async def parted(self, name: Name, canonical: Any) -> Any:
        """A location that was ``joined``, as its owner said it; anything else as it is."""
        if name.module is not Module.LOCATIONS:
            return canonical
        there = await self._there(name, canonical)  # also while there is no feed any more: it may have left something
        return attached.without_ours(Kind.LOCATION, attached.parted(canonical, there))

    async def _there(self, name: Name, canonical: Any) -> Mapping[str, attached.Attached]:
        spots = dict.fromkeys(attached.spots(canonical))
        return await self.store.attached(name.owner, list(spots)) if spots else {}
