"""What each link may list, kept true: objects are shown when they are owed, and taken back when it turns out otherwise.

A list must have an object as soon as its owner was told that it is stored, also while the reader can't be pushed to, or
joins and is owed a hundred thousand. So nothing is translated here: what the link's selection admits is shown at once.
Whoever translates it later (the courier, a list) takes back what can't be said to this link, which costs a total that
is too high for a moment, and never a leak: what can't be said isn't said in a list either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from attrs import frozen

from gateway.directory import Link
from gateway.model.attached import SINCE
from gateway.model.names import Name, Said, Sight
from gateway.model.party import Party
from gateway.model.values import moment
from gateway.ports import Codec, Objects, Seen

_AT_ONCE: Final = 50  # objects that are read, and shown, in one go


class Library(Objects, Seen, Protocol):
    """Objects, and who sees them."""


@frozen
class _Current:
    """An object that is there, and its last_updated in milliseconds since 1970."""

    canonical: Mapping[str, Any]
    at: int


@frozen(kw_only=True)
class Showing:
    """Lets links list objects, and no longer."""

    store: Library
    codec: Codec

    async def look(self, link: Link, names: Sequence[Name]) -> None:
        """Show the link what is stored under these names, if its selection admits it; in this order.

        Raises:
            NotDurable: the store is away.
        """
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            found = await self.store.read_many(some, link.id)
            await self.store.see_all(
                _sight(link, name, self._current(said)) for name, said in zip(some, found, strict=True)
            )

    async def look_for(self, links: Sequence[Link], name: Name) -> None:
        """Show each of these links what is stored under this name, if its selection admits it.

        An acknowledgement waits for it, whether one link is owed the object or five hundred: it is read and understood
        once for all who have no variant of it, and written for all in one go.

        Raises:
            NotDurable: the store is away.
        """
        general, variants = await self.store.read_for(name, [link.id for link in links])
        for_all = self._current(general)
        current = {id: self._current(variant) for id, variant in variants.items()}
        await self.store.see_all([_sight(link, name, current.get(link.id, for_all)) for link in links])

    def _current(self, said: Said | None) -> _Current | None:
        if said is None or said.deleted:
            return None
        canonical = self.codec.loads(said.canonical)
        return _Current(canonical, updated_ms(canonical))

    async def show(self, link: Link, name: Name, canonical: Mapping[str, Any]) -> None:
        """The link may list this object, which is now as given. Raises NotDurable."""
        await self.store.see(link.id, name, updated_ms(canonical), among=_among(link, name))

    async def hide(self, link: Link, name: Name) -> None:
        """The link may not list this object, or no longer. Raises NotDurable."""
        await self.store.unsee(link.id, name, among=_among(link, name))


def _sight(link: Link, name: Name, current: _Current | None) -> Sight:
    """What a link may list of an object: nothing of one that isn't there, or not among what it may see."""
    seen = current is not None and link.shows(name.module, current.canonical)
    return Sight(link.id, name, current.at if current is not None and seen else None, _among(link, name))


def _among(link: Link, name: Name) -> Party | None:
    """Among whose objects a link finds one, if it may ask for those of one owner alone: of whoever tells it of it."""
    return link.told_by(name.owner, name.module) if tells_owners_apart(link) else None


def updated_ms(canonical: Mapping[str, Any]) -> int:
    """When an object was updated last, by its owner or because of a feed, in milliseconds since 1970."""
    noted = (canonical["last_updated"], canonical.get(SINCE))
    return max(int(moment(text).timestamp() * 1000) for text in noted if text is not None)


def our_parties(link: Link) -> tuple[Party, ...]:
    """Who we are on a link, each once."""
    return tuple(dict.fromkeys(seat.party for seat in link.dialect.ours))


def tells_owners_apart(link: Link) -> bool:
    """Whether a link may ask for the objects of one owner alone, of several whose it sees."""
    return link.backend or len(our_parties(link)) > 1
