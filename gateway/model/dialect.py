"""All that an adapter may know of a link: version, endpoints, our URLs, spelling, policy. Frozen, swapped whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from gateway.model.modules import Module, Side
from gateway.model.party import Party, Role
from gateway.model.policy import Policy


@frozen(kw_only=True)
class Seat:
    """A party in a role, with the name it goes by. ``business`` is a BusinessDetails JSON object, name required."""

    party: Party
    role: Role
    business: Mapping[str, Any] = field(factory=dict, eq=False)


@frozen(kw_only=True)
class Dialect:
    """How one link speaks.

    Attributes:
        link: id of the link: the stem of its file, ``backend`` for the short form.
        version: OCPI version in use.
        ours: the parties that we are on this link, at least one.
        theirs: the parties on the other side.
        endpoints: the other side's endpoints by module and by the interface *it* plays there. The credentials
            endpoint is under ``SENDER``.
        offered: the modules and interfaces that we serve to this link.
        base_url: our public URL up to and with ``/ocpi``, no trailing slash.
        alpha_3: whether party country codes are written with three letters towards it.
        backend: whether it is one of our own core platforms: then we are its hub, and its routing headers are obeyed
            in every version.
        reaches: the parties behind a hub; None is whomever the hub says. Nobody is behind a bilateral partner.
        own: the gateway's own party and all of ours, whatever the link: nobody else speaks for them.
        policy: its switches.
    """

    link: str
    version: str
    ours: tuple[Seat, ...]
    theirs: tuple[Seat, ...]
    endpoints: Mapping[tuple[Module, Side], str] = field(factory=dict)
    offered: frozenset[tuple[Module, Side]] = frozenset()
    base_url: str
    alpha_3: bool = False
    backend: bool = False
    reaches: frozenset[Party] | None = frozenset()
    own: frozenset[Party] = frozenset()
    policy: Policy = field(factory=Policy)

    @property
    def hub(self) -> Party | None:
        """The hub's own party, where the other side is one. On a version without that role its file says so."""
        return next((seat.party for seat in self.theirs if seat.role is Role.HUB), None)

    def seats(self, party: Party) -> bool:
        """Whether this party itself sits on the other side, rather than behind it."""
        return any(seat.party == party for seat in self.theirs)

    def speaks_for(self, party: Party) -> bool:
        """Whether the other side may speak for this party: it sits there, or the hub reaches it."""
        if self.seats(party):
            return True
        return party not in self.own if self.reaches is None else party in self.reaches
