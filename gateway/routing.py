"""Where a message goes, and why. Pure: a function of the message, the link it came on, and the directory.

The gateway is a hub for its backends and the operator for its partners, so there are two halves. A backend addresses a
partner (``OCPI-to``), addresses everybody (``OCPI-to`` the gateway's own party), or leaves the receiver out and lets
the content decide. A partner reaches the backend that holds the party it means, and nobody else: partners don't reach
each other through us.

What only the content says, such as whose token a session is about, the caller finds out and hands in (``About``).
Callbacks of commands and HubClientInfo have ways of their own and never come here.

Spec: 2.2.1 ``transport_and_format`` 4.2 (Message Routing: addressed, Broadcast Push, Open Routing Request, GET All).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from attrs import frozen

from gateway.directory import Directory, Link, receiver_is_supply
from gateway.model.errors import (
    GatewayError,
    InvalidObject,
    NotConnected,
    NotFound,
    SenderError,
    UnknownLocation,
    UnknownReceiver,
    UnknownToken,
)
from gateway.model.hub_client_info import ConnectionStatus
from gateway.model.message import Message, Ref, Trace
from gateway.model.modules import MODULES, Module, Side, Verb
from gateway.model.party import Party, Role


@frozen
class Target:
    """One link, and the party on its other side that the message is for: a hub's own, or one behind it, too."""

    link: str
    party: Party


@frozen
class Open:
    """A hub that finds out itself whom a request is for: it goes without a receiver (Open Routing Request)."""

    link: str
    party: None = None


@frozen
class Forward:
    """To one link."""

    target: Target
    reason: str


@frozen
class Broadcast:
    """To every link that may see it, each once. May be nobody."""

    targets: tuple[Target, ...]
    reason: str


@frozen
class Ask:
    """To one after the other, until one of them knows: an authorization of a token that nobody announced."""

    targets: tuple[Target | Open, ...]
    reason: str


@frozen
class Here:
    """The gateway keeps it, or answers itself from what is kept.

    For a list the message's receiver says whose objects: a partner's party; else everybody's.
    """

    reason: str


@frozen
class Copy:
    """It has come another way already: acknowledged, counted, and not stored."""

    reason: str


@frozen
class Refuse:
    """Nowhere: the error says what the sender reads."""

    error: GatewayError
    reason: str


Plan = Forward | Broadcast | Ask | Here | Copy | Refuse


def targets_of(plan: Plan) -> tuple[Target, ...]:
    """Whom a push is for; nobody, if the plan leads nowhere."""
    match plan:
        case Forward(target):
            return (target,)
        case Broadcast(targets):
            return targets
        case _:
            return ()


@frozen(kw_only=True)
class About:
    """What a message is about, as far as its route follows from that.

    Attributes:
        party: whose token it is about, or whose location or session; from a partner, whom of us it concerns.
        links: ids of the links that content could mean, where that isn't one. Several: it must be addressed.
        token: uid of the token of a session, CDR or authorization.
        at: when the session began that a session or CDR is about; for everything else, now. Decides between a link and
            the one that it replaces; None is the newest.
    """

    party: Party | None = None
    links: tuple[str, ...] = ()
    token: str | None = None
    at: datetime | None = None


NOTHING: Final = About()

_PUSHES: Final = frozenset({Verb.PUT, Verb.PATCH, Verb.DELETE})


def route(
    message: Message, source: Link, directory: Directory, announced: str | None = None, about: About = NOTHING
) -> Plan:
    """The plan for one message.

    Args:
        message: opened; its body need not be read.
        source: the link it came on.
        announced: of a message without a receiver, the id of the link that its content means: the one that announced
            the token (authorization, session, CDR, charging profile: the route follows the contract), or that the
            location or session of a command came from.
        about: what else is known of the content.
    """
    if not _may_send(source, message):
        return Refuse(
            NotFound(f"{message.module} is switched off on this link"), f"{message.module} is off on {source.id}"
        )
    if source.backend:
        return _Outward(message, directory, announced, about).plan()
    return _from_partner(message, source, directory, about)


def broadcast(owner: Party, module: Module, id: str, directory: Directory, at: datetime) -> tuple[Target, ...]:
    """Whom it is for when a party of ours says something to everybody: nobody, where no backend holds the party.

    Whoever says it: a backend that has nothing of a module doesn't keep others of us from it.
    """
    if directory.backend_of(owner, supply=MODULES[module].owner is Role.CPO) is None:
        return ()
    message = Message(
        module=module, verb=Verb.PUT, side=Side.RECEIVER, sender=owner, receiver=None, ref=Ref(owner=owner, id=id),
        trace=Trace(request_id="", correlation_id=""),
    )  # fmt: skip
    return targets_of(_Outward(message, directory, None, About(at=at)).plan())


# From a partner -------------------------------------------------------------------------------------------------------


def _from_partner(message: Message, source: Link, directory: Directory, about: About) -> Plan:
    ours = message.receiver
    if about.party is not None and source.our_party(about.party):
        ours = about.party  # several of us on a link that names no receiver: the content tells
    if len(about.links) > 1:
        return Refuse(UnknownLocation("it can't be told which of several parties is meant"), "several of us have that")
    supply = receiver_is_supply(message.module, message.side)
    backend = directory.backend_of(ours, supply=supply, at=about.at) if ours else None
    if ours is None or backend is None:
        return Refuse(UnknownReceiver(f"{ours or 'the receiver'} is not known here"), "no backend holds that party")
    if message.verb is Verb.GET:
        return Here(f"what {source.id} reads of {ours} comes from the store")
    if (better := _better_source(message, source, directory)) is not None:
        return Copy(f"{message.module} of {message.ref.owner} are taken from {better.id}")
    if not _serves(backend, message):
        return Here(f"{backend.id} holds {ours}, and doesn't want {message.module}")
    return Forward(Target(backend.id, ours), f"{backend.id} holds {ours}")


def _better_source(message: Message, source: Link, directory: Directory) -> Link | None:
    """The link from which the objects of this owner are taken instead; None where it is this one.

    Sessions and CDRs are never copies: the link that they come on is the one that their token was announced on, and
    what is billed must not be dropped. During a move from one link to another, both may be the source.
    """
    owner = message.ref.owner
    if owner is None or not _is_push(message) or not MODULES[message.module].broadcast:
        return None
    better = directory.source_of(owner, message.module, ours=message.receiver)
    if better is None or better.id == source.id or directory.related(better, source):
        return None
    return better


# From a backend -------------------------------------------------------------------------------------------------------


@frozen
class _Outward:
    """One message of a backend, on its way to a plan."""

    message: Message
    directory: Directory
    announced: str | None
    about: About

    def plan(self) -> Plan:
        message = self.message
        if message.receiver is None:
            return self._read_here() or self._by_content()
        if message.receiver == self.directory.hub:
            return self._read_here() or self._broadcast()
        return self._addressed(message.receiver)

    @property
    def _supply(self) -> bool:
        return receiver_is_supply(self.message.module, self.message.side)

    # Reading ----------------------------------------------------------------------------------------------------------

    def _read_here(self) -> Plan | None:
        """A read that addresses nobody in particular; None for what isn't one.

        Spec: ``transport_and_format``, GET All via Hubs: to the hub, on a Sender interface, and never a broadcast.
        """
        message = self.message
        if message.verb is not Verb.GET or message.action is not None:
            return None
        if _is_list(message):
            return Here("a list of everybody's comes from the store")
        if message.receiver is not None:
            error = InvalidObject("OCPI-to-party-id", "one object is read from its party, not from the hub")
            return Refuse(error, "a GET to the hub is a list")
        if self.announced is None:
            return Here("nobody is addressed: what is stored")
        return None

    # To one party -----------------------------------------------------------------------------------------------------

    def _addressed(self, party: Party) -> Plan:
        link = self._way_to(party)
        if link is None:
            return Refuse(
                UnknownReceiver(f"{party} is not known here, or doesn't take {self.message.module} from this party"),
                "no link to that party has this module",
            )
        if _is_list(self.message) and link.lists_from_store(self.message.module):
            return Here(f"lists of {link.id} are served from the store")
        how = "reaches" if link.reaches(party) else "is"
        return self._forward(link, party, f"addressed: {link.id} {how} {party}")

    def _way_to(self, party: Party) -> Link | None:
        """The best link to a party that has the module.

        A link of the party's own that is up ends the search: what is off there doesn't find its way round by a hub.
        """
        ours = _acting(self.message)
        for link in self.directory.ways(party, supply=self._supply, ours=ours, at=self.about.at):
            if _serves(link, self.message):
                return link
            if link.registered and link.dialect.seats(party):
                return None
        return None

    def _forward(self, link: Link, party: Party, reason: str) -> Plan:
        """To one link; unless somebody waits for the answer of a party that can't give one (2.2.1 status_codes 4003).

        What is owed isn't hindered by that: it waits.
        """
        if _is_live(self.message, link) and (why := self._unavailable(link, party)):
            return Refuse(NotConnected(f"{party} is not connected"), why)
        return Forward(Target(link.id, party), reason)

    def _unavailable(self, link: Link, party: Party) -> str | None:
        if link.suspended:
            return f"{link.id} is suspended"
        status = self.directory.said(link, party, supply=self._supply) if link.hub else None
        if status in (None, ConnectionStatus.CONNECTED):
            return None
        return f"{link.id} says that {party} is {status}"

    # By content -------------------------------------------------------------------------------------------------------

    def _by_content(self) -> Plan:
        message = self.message
        if _is_push(message) and MODULES[message.module].broadcast:
            return self._broadcast()
        if len(self.about.links) > 1:
            named = " and ".join(self.about.links)
            return Refuse(UnknownLocation("several parties could be meant: address one"), f"could be {named}")
        link = self._meant()
        if link is not None and self._may_have(link) and (party := self._party_on(link)) is not None:
            return self._forward(link, party, f"{link.id} {self._because}")
        if message.module is Module.TOKENS:
            return self._ask_around()
        why = "the content names nobody" if link is None else f"{link.id} is tried out, and its pilot doesn't name this"
        if message.module is Module.COMMANDS:
            return Refuse(UnknownLocation("nobody here has that location or session"), why)
        return Refuse(UnknownReceiver("no OCPI-to party, and the token names nobody who is known here"), why)

    @property
    def _because(self) -> str:
        if self.message.module is Module.COMMANDS or self.message.verb is Verb.GET:
            return "is where it came from"
        return "announced the token" if self.announced is not None else "is the party that the token names"

    def _meant(self) -> Link | None:
        """The link that the content means; None where there is none, or it doesn't take the message."""
        named = self.announced or next(iter(self.about.links), None)
        link = self.directory.find(named) if named else None
        if link is not None:
            link = self.directory.in_force(link, self.about.at, self.about.party)
        elif self.about.party is not None:
            link = self._way_to(self.about.party)
        if link is None or link.backend or not link.in_service or not _serves(link, self.message):
            return None
        return link if self._party_on(link) is not None else None

    def _party_on(self, link: Link) -> Party | None:
        """The party that the content names, where the link speaks for it; else the first that is there."""
        party = self.about.party
        if party is not None and link.dialect.speaks_for(party):
            return party
        return link.their_party(supply=self._supply)

    def _may_have(self, link: Link) -> bool:
        """Whether a link that is tried out was named for this."""
        token = self.message.ref.id if self.message.module is Module.TOKENS else self.about.token
        return not link.tried_out or (token is not None and link.hears(Module.TOKENS, token))

    def _ask_around(self) -> Plan:
        """Nobody announced the token: those who are asked about such tokens, in the configured order."""
        found = [self.directory.find(id) for id in self.directory.unknown_tokens]
        links = [link for link in found if link and link.in_service and not link.suspended]
        targets = tuple(
            target
            for link in links
            if _serves(link, self.message) and self._may_have(link)
            for target in self._everybody_on(link)
        )
        if not targets:
            error = UnknownToken("nobody announced this token")
            return Refuse(error, "unknown token, and no link is asked about those")
        return Ask(targets, "nobody announced the token: those who are asked about such tokens")

    def _everybody_on(self, link: Link) -> tuple[Target | Open, ...]:
        if link.hub is not None:
            return (Open(link.id),)
        return tuple(Target(link.id, party) for party in link.their_parties(supply=self._supply))

    # To everybody -----------------------------------------------------------------------------------------------------

    def _broadcast(self) -> Plan:
        message = self.message
        if not MODULES[message.module].broadcast or not _is_push(message) or message.verb not in _PUSHES:
            # 2.2.1 transport_and_format, Broadcast Push: for data meant for all; never sessions, CDRs or a GET.
            return Refuse(
                SenderError(f"{message.verb} on {message.module} can't be broadcast: address one party"),
                "not a module or verb for broadcasts",
            )
        return Broadcast(tuple(self._listeners()), f"everyone opposite with {message.module}")

    def _listeners(self) -> Iterator[Target]:
        """Each link that this is for, once. A hub passes it on itself, so it gets one request, to its own party.

        A message to everybody may be for hundreds of links. Of most of them its owner and module decide, so that they
        are worked out once for each snapshot; of the others the message itself does.
        """
        message = self.message
        for each in self.directory.worked_out((message.ref.owner, message.module), self._standing):
            if isinstance(each, Target):
                yield each
            elif each.hears(message.module, message.ref.id) and (target := self._target_on(each)) is not None:
                yield target

    def _standing(self) -> tuple[Target | Link, ...]:
        """Whoever may be meant by what this owner says of this module, in order: as a link where it hangs on more.

        That is the id of the object, for a link that is tried out, and the time, where a link takes over from another.
        """
        found: list[Target | Link] = []
        for link in self.directory.partners:
            if not (_serves(link, self.message) and link.in_service):
                continue
            if link.tried_out or self._hangs_on_time(link):
                found.append(link)
            elif (target := self._target_on(link)) is not None:
                found.append(target)
        return tuple(found)

    def _hangs_on_time(self, link: Link) -> bool:
        ours, directory = _acting(self.message), self.directory
        parties = link.their_parties(supply=self._supply)
        ways = (way for party in parties for way in directory.ways(party, supply=self._supply, ours=ours))
        return directory.moves(link) or any(directory.moves(way) for way in ways)

    def _target_on(self, link: Link) -> Target | None:
        """Whom a message to everybody names on this link; None where it reaches them all a better way."""
        if link.hub is not None:
            return Target(link.id, link.hub) if self.directory.in_force(link, self.about.at).id == link.id else None
        party = self._best_reached(link)
        return None if party is None else Target(link.id, party)

    def _best_reached(self, link: Link) -> Party | None:
        """The first party of a link that isn't reached better another way: by a hub, or by a link that took over."""
        parties = link.their_parties(supply=self._supply)
        return next((party for party in parties if (way := self._way_to(party)) and way.id == link.id), None)


# What a message is ----------------------------------------------------------------------------------------------------


def _is_list(message: Message) -> bool:
    """Whether it reads a list: a GET on the owner's interface that names no object."""
    return message.verb is Verb.GET and message.side is Side.SENDER and message.ref.id == ""


def _is_push(message: Message) -> bool:
    """Whether it says an object of its sender's: a change on the receiver's interface."""
    plain = message.action is None and message.verb is not Verb.GET
    return plain and message.side is Side.RECEIVER and MODULES[message.module].ledger


def _is_live(message: Message, link: Link) -> bool:
    """Whether somebody waits for the other side's own answer."""
    return not _is_push(message) or link.delivers_live(message.module)


def _acting(message: Message) -> Party | None:
    """Who of us it comes from: the owner of an object, else whoever asks."""
    own = message.action is None and message.side is Side.RECEIVER and MODULES[message.module].ledger
    return message.ref.owner if own else message.sender


def _may_send(source: Link, message: Message) -> bool:
    """Whether the source may send this: objects it owns, or a question about those that we push to it.

    A core that wants no tokens (``tokens: off``) asks about them all the same: they are decided here for it.
    """
    if source.backend and message.action == "authorize":
        return True
    if message.side is Side.RECEIVER:
        return source.accepts(message.module)
    return source.pushes(message.module)


def _serves(link: Link, message: Message) -> bool:
    """Whether this link takes the message: a push of what it doesn't own, or a question about what it does."""
    if not link.backend:
        # Towards a partner we are the parties of its file: the owner of an object, or the asker, must be one of them.
        ours = _acting(message)
        if ours is not None and not link.our_party(ours):
            return False
    return link.pushes(message.module) if message.side is Side.RECEIVER else link.accepts(message.module)
