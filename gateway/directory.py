"""Who can be reached, and through whom: an immutable snapshot, swapped whole.

A ``Link`` is one relation between us and one platform: its file (intent) joined with what its handshake yielded
(fact). The ``Directory`` answers the router's questions about all of them. Nothing here is ever changed in place: a
registration or a reload makes a new Directory, and a message in flight keeps the one it started with.

A party may be reached in several ways: it has a link of its own, perhaps two while one takes over from the other, and
a hub or two may have it as well. ``Directory.ways`` puts them in order, best first:

1. a hub that its file prefers for this party,
2. the party's own link,
3. a hub whose file lists it,
4. a hub that says it has it (its HubClientInfo),
5. a hub that reaches whomever it says.

Before all of that, a link that is registered comes before one that isn't, one that is in use before a test, and of two
links to the same party the one whose time it is. Of two hubs that are equal, the one that has the party connected.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Self, TypeVar

from attrs import evolve, field, frozen

from gateway.authorize import Stance
from gateway.model.attached import SAYABLE, audience_of
from gateway.model.dialect import Dialect
from gateway.model.hub_client_info import ConnectionStatus
from gateway.model.modules import MODULES, Module, Side
from gateway.model.party import Party, Role, is_supply
from gateway.model.prices import Audience
from gateway.model.share import Pilot, Share
from gateway.settings import Delivery, ModuleUse, Serve, Stage

T = TypeVar("T")

Clients = Mapping[tuple[str, Party, Role], ConnectionStatus]
"""What is said of parties, by the id of the link that says it, the party and its role."""


@frozen(kw_only=True)
class Link:
    """One relation between us and one platform.

    Attributes:
        dialect: how it speaks; its endpoints are empty while it isn't registered.
        registered: whether credentials have been exchanged (or endpoints discovered, with static tokens).
        uses: what each module does here; a module that isn't in it is off.
        stance: what may be said about its tokens without it.
        authorize_timeout: the whole budget of one authorization asked of this link, in seconds.
        in_flight: how many requests may be under way to it at once.
        commands_timeout: how long the result of a command may take, in seconds.
        page: how many objects a page that it asks for has at most.
        stage: how far it has come.
        pilot: what it gets while it is tried out, besides what is addressed to it.
        share: what it may see.
        prefer: of a hub: parties that are reached through it although they have a link; None is all of them.
        replaces: id of the link that this one takes over from, and ``since`` when.
        paused_out, paused_in: until when nothing is pushed to it, or taken from it; a person asked for that.
    """

    dialect: Dialect
    registered: bool
    uses: Mapping[Module, ModuleUse] = field(factory=dict)
    authorize_timeout: float = 2.0
    stance: Stance = field(factory=Stance)
    in_flight: int = 4
    commands_timeout: float = 30.0
    page: int = 1000
    stage: Stage = Stage.LIVE
    pilot: Pilot = field(factory=Pilot)
    share: Share = field(factory=Share)
    prefer: frozenset[Party] | None = frozenset()
    replaces: str | None = None
    since: datetime | None = None
    paused_out: datetime | None = None
    paused_in: datetime | None = None

    @property
    def id(self) -> str:
        return self.dialect.link

    @property
    def backend(self) -> bool:
        return self.dialect.backend

    @property
    def hub(self) -> Party | None:
        """The party of the hub on the other side; None where it isn't one."""
        return self.dialect.hub

    # What it does -----------------------------------------------------------------------------------------------------

    def pushes(self, module: Module) -> bool:
        """Whether what we own of this module goes out on this link."""
        return module in self.uses and self.uses[module].push

    def accepts(self, module: Module) -> bool:
        """Whether the other side may send us what it owns of this module."""
        return module in self.uses and self.uses[module].accept

    def lists_from_store(self, module: Module) -> bool:
        """Whether a list of what the other side owns is answered from our store (``serve: store``)."""
        return module in self.uses and self.uses[module].serve is Serve.STORE

    def delivers_live(self, module: Module) -> bool:
        """Whether a backend's push to this link waits for the other side's own answer (``delivery: live``)."""
        return module in self.uses and self.uses[module].delivery is Delivery.LIVE

    # How far it has come ----------------------------------------------------------------------------------------------

    @property
    def in_service(self) -> bool:
        """Whether anything is ever routed to it. A draft is a file and nothing else."""
        return self.stage is not Stage.DRAFT

    @property
    def tried_out(self) -> bool:
        """Whether it only gets what is addressed to it, and what its ``pilot`` names."""
        return self.stage in (Stage.TEST, Stage.PILOT)

    @property
    def suspended(self) -> bool:
        """Whether nothing is sent to it. What it is owed stays owed, and what it asks is still answered."""
        return self.stage is Stage.SUSPENDED

    def delivers(self, now: datetime) -> bool:
        """Whether what it is owed may be brought to it now: registered, in service, neither suspended nor paused."""
        paused = self.paused_out is not None and now < self.paused_out
        return self.registered and self.in_service and not self.suspended and not paused

    def hears(self, module: Module, id: str) -> bool:
        """Whether what goes to everybody goes to this link too.

        Args:
            id: of a location, or the uid of a token: what ``pilot`` names.
        """
        if not self.tried_out:
            return self.in_service
        if module is Module.LOCATIONS:
            return self.pilot.names_location(id)
        return module is Module.TOKENS and self.pilot.names_token(id)

    # What it may see --------------------------------------------------------------------------------------------------

    def shows(self, module: Module, canonical: Mapping[str, Any]) -> bool:
        """Whether it may see this object of ours, by its ``share`` and, of tariffs, by whom they are for; canonical."""
        return self.share.sees(module, canonical) and (
            module is not Module.TARIFFS or self.asks_for(audience_of(canonical))
        )

    def asks_for(self, audience: Audience) -> bool:
        """Whether tariffs for an audience may go out here (``tariffs.audience``).

        Of those that OCPI has words for, the adapter of the link's version decides.
        """
        return audience in SAYABLE or audience in (self.dialect.policy.tariffs_audience or ())

    @property
    def asks_for_more(self) -> bool:
        """Whether it asks for tariffs for an audience that OCPI has no word for."""
        return not SAYABLE.issuperset(self.dialect.policy.tariffs_audience or ())

    def tariff_id(self, id: str) -> str | None:
        """The id under which it sees a tariff of ours; None for one that it may not see."""
        return self.share.tariffs.shown(id)

    def tariff_meant(self, shown: str) -> str:
        """The tariff of ours that it means by an id; the other way round."""
        return self.share.tariffs.meant(shown)

    # Who is on it -----------------------------------------------------------------------------------------------------

    def our_party(self, party: Party) -> bool:
        """Whether we act as this party here."""
        return any(seat.party == party for seat in self.dialect.ours)

    def told_by(self, owner: Party, module: Module) -> Party:
        """Who tells this link of an object: its owner; of a price that an eMSP asks at our connectors, and tells nobody
        itself, one of us.
        """
        if self.backend or self.our_party(owner):
            return owner
        supply = MODULES[module].owner is Role.CPO
        return next((seat.party for seat in self.dialect.ours if is_supply(seat.role) == supply), owner)

    def their_party(self, *, supply: bool) -> Party | None:
        """The other side's first party on the given side of the table (CPO, or the driver's side); a hub's is its own.

        Whom a message to everybody names as its receiver.
        """
        return self.hub or next(iter(self.their_parties(supply=supply)), None)

    def their_parties(self, *, supply: bool) -> tuple[Party, ...]:
        """The parties that sit on the other side, on the given side of the table."""
        seats = (seat for seat in self.dialect.theirs if holds(seat.role, supply=supply))
        return tuple(dict.fromkeys(seat.party for seat in seats))

    def reaches(self, party: Party) -> bool:
        """Whether this is a hub that has the party behind it."""
        return self.hub is not None and not self.dialect.seats(party) and self.dialect.speaks_for(party)

    def prefers(self, party: Party) -> bool:
        """Whether the party is reached through this hub although it has a link of its own."""
        return self.reaches(party) and (self.prefer is None or party in self.prefer)


def holds(role: Role, *, supply: bool) -> bool:
    """Whether a role sits on that side of the table. A hub sits on both."""
    return role is Role.HUB or is_supply(role) == supply


def receiver_is_supply(module: Module, side: Side) -> bool:
    """Whether the party that plays ``side`` of a module is a CPO: owners play SENDER, their opposites RECEIVER."""
    owner_is_supply = MODULES[module].owner is Role.CPO
    return owner_is_supply == (side is Side.SENDER)


_Seated = Mapping[tuple[Party, bool], tuple[Link, ...]]
"""Links by the parties that sit on their other side, and the side of the table."""


def _by_seat(links: Iterable[Link]) -> _Seated:
    found: dict[tuple[Party, bool], list[Link]] = defaultdict(list)
    for link in links:
        for supply in (True, False):
            for party in link.their_parties(supply=supply):
                found[party, supply].append(link)
    return {place: tuple(links) for place, links in found.items()}


@frozen
class Directory:
    """All links, by id and by the parties on their other side.

    Attributes:
        hub: the gateway's own party.
        links: by id, in the order of their files.
        unknown_tokens: the links that are asked about a token that nobody announced, in order.
        known: what hubs say of the parties behind them.
    """

    hub: Party
    links: Mapping[str, Link]
    unknown_tokens: tuple[str, ...] = ()
    known: Clients = field(factory=dict)
    _partners: _Seated = field(init=False, repr=False, eq=False)
    _backends: _Seated = field(init=False, repr=False, eq=False)
    _hubs: tuple[Link, ...] = field(init=False, repr=False, eq=False)
    _successors: Mapping[str, Link] = field(init=False, repr=False, eq=False)

    _answers: dict[Hashable, Any] = field(factory=dict, init=False, repr=False, eq=False)

    @_partners.default
    def _seated_partners(self) -> _Seated:
        return _by_seat(link for link in self.partners if link.in_service)

    @_backends.default
    def _seated_backends(self) -> _Seated:
        return _by_seat(self.backends)

    @_hubs.default
    def _hub_links(self) -> tuple[Link, ...]:
        return tuple(link for link in self.partners if link.hub is not None and link.in_service)

    @_successors.default
    def _by_replaced(self) -> Mapping[str, Link]:
        return {link.replaces: link for link in self.links.values() if link.replaces and link.in_service}

    @classmethod
    def of(cls, hub: Party, links: Iterable[Link], unknown_tokens: Iterable[str] = ()) -> Self:
        return cls(hub, {link.id: link for link in links}, tuple(unknown_tokens))

    def with_link(self, link: Link) -> Directory:
        """A directory in which this link replaces the one with its id."""
        return evolve(self, links={**self.links, link.id: link})

    def with_clients(self, known: Clients) -> Directory:
        """A directory that knows this of the parties behind hubs."""
        return evolve(self, known=known)

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

    def worked_out(self, question: Hashable, answer: Callable[[], T]) -> T:
        """The answer to a question that this snapshot alone decides: worked out when it is asked first, then kept."""
        if question not in self._answers:
            self._answers[question] = answer()
        found: T = self._answers[question]
        return found

    # Ways to a party --------------------------------------------------------------------------------------------------

    def ways(
        self, party: Party, *, supply: bool, ours: Party | None = None, at: datetime | None = None
    ) -> tuple[Link, ...]:
        """The links through which a partner's party can be had, best first; empty for one that nobody has.

        Args:
            party: not one of ours.
            supply: its side of the table.
            ours: who of us it is to meet; None: any.
            at: decides between a link and the one that it replaces: when a session began, or now. None: the newest.
        """
        seated = [link for link in self._partners.get((party, supply), ()) if ours is None or link.our_party(ours)]
        behind = [link for link in self._hubs if link.reaches(party) and (ours is None or link.our_party(ours))]

        if len(seated) + len(behind) < 2:
            return (*seated, *behind)

        def rank(link: Link) -> tuple[bool, ...]:
            unfit = (not link.registered, link.stage is Stage.TEST, self._out_of_time(link, at))
            return (*unfit, *self._tier(link, party, supply=supply, seated=bool(seated)))

        return tuple(sorted([*seated, *behind], key=rank))

    def _tier(self, link: Link, party: Party, *, supply: bool, seated: bool) -> tuple[bool, ...]:
        """Where a link stands among the ways to a party: the first that is False decides."""
        said = self.said(link, party, supply=supply)
        preferred = seated and link.prefers(party)
        own = link.dialect.seats(party)
        listed = link.dialect.reaches is not None
        return (not preferred, not own, not listed, said is None, said is not ConnectionStatus.CONNECTED)

    def partner_of(
        self, party: Party, *, supply: bool, ours: Party | None = None, at: datetime | None = None
    ) -> Link | None:
        """The best way to a partner's party: see ``ways``."""
        return next(iter(self.ways(party, supply=supply, ours=ours, at=at)), None)

    def source_of(self, owner: Party, module: Module, *, ours: Party | None = None) -> Link | None:
        """The one link from which a party's objects of a module are accepted; None where it is none of a partner's.

        Spec: none; an object that comes twice, by a link of its owner's and by a hub, would contradict itself.
        """
        ways = self.ways(owner, supply=MODULES[module].owner is Role.CPO, ours=ours)
        return next((link for link in ways if link.accepts(module)), None)

    def backend_of(self, party: Party, *, supply: bool, at: datetime | None = None) -> Link | None:
        """The backend that holds this party of ours, on the given side of the table."""
        held = self._backends.get((party, supply), ())
        return min(held, key=lambda link: (not link.registered, self._out_of_time(link, at)), default=None)

    # A link that takes over from another ------------------------------------------------------------------------------

    def successor(self, link: Link) -> Link | None:
        """The link that replaces this one, if there is one and it is in service."""
        return self._successors.get(link.id)

    def in_force(self, link: Link, at: datetime | None, party: Party | None = None) -> Link:
        """This link, or the one that it replaces, or the one that replaces it: whose time ``at`` is. None: the newest.

        Whoever isn't registered hands its time on to the other. A party that only one of them has stays with it.
        """
        family = [link, self.links.get(link.replaces or ""), self.successor(link)]
        fit = [each for each in family if each and (party is None or each.dialect.speaks_for(party))]
        return min(fit, key=lambda each: (not each.registered, self._out_of_time(each, at)), default=link)

    def moves(self, link: Link) -> bool:
        """Whether it takes over from another link, or another from it: then the time has a say in what is whose."""
        return link.replaces in self.links or self.successor(link) is not None

    def related(self, one: Link, other: Link) -> bool:
        """Whether one of the two takes over from the other."""
        return one.replaces == other.id or other.replaces == one.id

    def _out_of_time(self, link: Link, at: datetime | None) -> bool:
        """Whether it isn't this link's time yet, or no longer."""
        if link.replaces in self.links and not _has_begun(link, at):
            return True
        successor = self.successor(link)
        return successor is not None and _has_begun(successor, at)

    # Who can be reached -----------------------------------------------------------------------------------------------

    def status(self, party: Party, role: Role) -> ConnectionStatus | None:
        """What is known of a party: SUSPENDED if we suspended its link, else what its hub says; None: nothing.

        Spec: 2.2.1 ``mod_hub_client_info``: only a CONNECTED party can be had in a live exchange.
        """
        way = self.partner_of(party, supply=is_supply(role))
        if way is None:
            return None
        return ConnectionStatus.SUSPENDED if way.suspended else self.known.get((way.id, party, role))

    def said(self, link: Link, party: Party, *, supply: bool) -> ConnectionStatus | None:
        """What a link says of a party on one side of the table; of several roles the one that is connected counts."""
        roles = (role for role in Role if role is not Role.HUB and is_supply(role) == supply)
        said = [status for role in roles if (status := self.known.get((link.id, party, role))) is not None]
        return ConnectionStatus.CONNECTED if ConnectionStatus.CONNECTED in said else next(iter(said), None)


def _has_begun(link: Link, at: datetime | None) -> bool:
    """Whether a link that takes over from another has done so for what happens at this time."""
    return at is None or link.since is None or at >= link.since
