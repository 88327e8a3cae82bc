"""Who can be reached, and through whom: an immutable snapshot, swapped whole.

A ``Link`` is one relation between us and one platform: its file (intent) joined with what its handshake yielded
(fact). The ``Directory`` answers the router's questions about all of them. Nothing here is ever changed in place: a
registration or a reload makes a new Directory, and a message in flight keeps the one it started with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Self

from attrs import evolve, field, frozen

from gateway.model.dialect import Dialect
from gateway.model.modules import MODULES, Module, Side
from gateway.model.party import Party, Role, is_supply
from gateway.settings import ModuleUse


@frozen(kw_only=True)
class Link:
    """One relation between us and one platform.

    Attributes:
        dialect: how it speaks; its endpoints are empty while it isn't registered.
        registered: whether credentials have been exchanged (or endpoints discovered, with static tokens).
        uses: what each functional module does here; a module that isn't in it is off.
        authorize_timeout: the whole budget of one authorization asked of this link, in seconds.
        in_flight: how many requests may be under way to it at once.
    """

    dialect: Dialect
    registered: bool
    uses: Mapping[Module, ModuleUse] = field(factory=dict)
    authorize_timeout: float = 2.0
    in_flight: int = 4

    @property
    def id(self) -> str:
        return self.dialect.link

    @property
    def backend(self) -> bool:
        return self.dialect.backend

    def pushes(self, module: Module) -> bool:
        """Whether what we own of this module goes out on this link."""
        return module in self.uses and self.uses[module].push

    def accepts(self, module: Module) -> bool:
        """Whether the other side may send us what it owns of this module."""
        return module in self.uses and self.uses[module].accept

    def our_party(self, party: Party) -> bool:
        """Whether we act as this party here."""
        return any(seat.party == party for seat in self.dialect.ours)

    def their_party(self, *, supply: bool) -> Party | None:
        """The other side's first party on the given side of the table (CPO, or the driver's side)."""
        return next((seat.party for seat in self.dialect.theirs if holds(seat.role, supply=supply)), None)


def holds(role: Role, *, supply: bool) -> bool:
    """Whether a role sits on that side of the table. A hub sits on both."""
    return role is Role.HUB or is_supply(role) == supply


def receiver_is_supply(module: Module, side: Side) -> bool:
    """Whether the party that plays ``side`` of a module is a CPO: owners play SENDER, their opposites RECEIVER."""
    owner_is_supply = MODULES[module].owner is Role.CPO
    return owner_is_supply == (side is Side.SENDER)


@frozen
class Directory:
    """All links, by id and by the parties on their other side. ``hub`` is the gateway's own party."""

    hub: Party
    links: Mapping[str, Link]

    @classmethod
    def of(cls, hub: Party, links: Iterable[Link]) -> Self:
        return cls(hub, {link.id: link for link in links})

    def with_link(self, link: Link) -> Directory:
        """A directory in which this link replaces the one with its id."""
        return evolve(self, links={**self.links, link.id: link})

    def __getitem__(self, link_id: str) -> Link:
        return self.links[link_id]

    def find(self, link_id: str) -> Link | None:
        """The link, if there is one."""
        return self.links.get(link_id)

    def __contains__(self, link_id: str) -> bool:
        return link_id in self.links

    @property
    def partners(self) -> Iterator[Link]:
        return (link for link in self.links.values() if not link.backend)

    @property
    def backends(self) -> Iterator[Link]:
        return (link for link in self.links.values() if link.backend)

    def partner_of(self, party: Party, *, supply: bool) -> Link | None:
        """The partner link whose other side is this party, on the given side of the table."""
        return self._facing(self.partners, party, supply=supply)

    def backend_of(self, party: Party, *, supply: bool) -> Link | None:
        """The backend that holds this party of ours, on the given side of the table."""
        return self._facing(self.backends, party, supply=supply)

    @staticmethod
    def _facing(links: Iterator[Link], party: Party, *, supply: bool) -> Link | None:
        for link in links:
            if any(seat.party == party and holds(seat.role, supply=supply) for seat in link.dialect.theirs):
                return link
        return None
