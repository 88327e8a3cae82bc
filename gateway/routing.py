"""Where a message goes, and why. Pure: a function of the message, the link it came on, and the directory.

The gateway is a hub for its backends and the operator for its partners, so there are two halves. A backend addresses a
partner (``OCPI-to``), addresses everybody (``OCPI-to`` the gateway's own party), or leaves the receiver out and lets
the content decide. A partner reaches the backend that holds the party it means, and nobody else: partners don't reach
each other through us.

Spec: 2.2.1 ``transport_and_format`` 4.2 (Message Routing: addressed, Broadcast Push, Open Routing Request).
"""

from __future__ import annotations

from attrs import frozen

from gateway.directory import Directory, Link, receiver_is_supply
from gateway.model.errors import GatewayError, NotFound, SenderError, UnknownReceiver, UnknownToken
from gateway.model.message import Message
from gateway.model.modules import MODULES, Module, Verb
from gateway.model.party import Party


@frozen
class Target:
    """One link, and the party on its other side that the message is for."""

    link: str
    party: Party


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
class Here:
    """The gateway keeps it and answers itself."""

    reason: str


@frozen
class Refuse:
    """Nowhere: the error says what the sender reads."""

    error: GatewayError
    reason: str


Plan = Forward | Broadcast | Here | Refuse


def route(message: Message, source: Link, directory: Directory, announced: str | None = None) -> Plan:
    """The plan for one message.

    Args:
        message: opened; its body need not be read.
        source: the link it came on.
        announced: for a message about a token (authorization, session, CDR): the id of the link that announced that
            token. The route follows the contract.
    """
    if not _may_send(source, message):
        return Refuse(
            NotFound(f"{message.module} is switched off on this link"), f"{message.module} is off on {source.id}"
        )
    if source.backend:
        return _from_backend(message, directory, announced)
    return _from_partner(message, directory)


def _from_partner(message: Message, directory: Directory) -> Plan:
    ours = message.receiver
    supply = receiver_is_supply(message.module, message.side)
    backend = directory.backend_of(ours, supply=supply) if ours else None
    if ours is None or backend is None:
        return Refuse(UnknownReceiver(f"{ours or 'the receiver'} is not known here"), "no backend holds that party")
    if not _serves(backend, message):
        return Here(f"{backend.id} holds {ours}, and doesn't want {message.module}")
    return Forward(Target(backend.id, ours), f"{backend.id} holds {ours}")


def _from_backend(message: Message, directory: Directory, announced: str | None) -> Plan:
    supply = receiver_is_supply(message.module, message.side)
    if message.receiver is None:
        return _by_content(message, directory, announced, supply=supply)
    if message.receiver == directory.hub:
        return _broadcast(message, directory, supply=supply)
    link = directory.partner_of(message.receiver, supply=supply)
    if link is None or not _serves(link, message):
        return Refuse(
            UnknownReceiver(f"{message.receiver} is not known here, or doesn't take {message.module} from this party"),
            "no link to that party has this module",
        )
    return Forward(Target(link.id, message.receiver), f"addressed: {link.id} is {message.receiver}")


def _by_content(message: Message, directory: Directory, announced: str | None, *, supply: bool) -> Plan:
    if message.action is None and MODULES[message.module].broadcast:
        return _broadcast(message, directory, supply=supply)
    if announced is not None and announced in directory and not directory[announced].backend:
        link = directory[announced]
        party = link.their_party(supply=supply)
        if party is not None and _serves(link, message):
            return Forward(Target(link.id, party), f"{link.id} announced the token")
    if message.module is Module.TOKENS:
        return Refuse(UnknownToken("nobody announced this token"), "unknown token, and no link is asked about those")
    return Refuse(
        UnknownReceiver("no OCPI-to party, and the token names nobody who is known here"), "the content names nobody"
    )


def _broadcast(message: Message, directory: Directory, *, supply: bool) -> Plan:
    if not MODULES[message.module].broadcast or message.verb not in (Verb.PUT, Verb.PATCH, Verb.DELETE):
        # 2.2.1 transport_and_format, Broadcast Push: for data meant for all; never sessions, CDRs or a GET.
        return Refuse(
            SenderError(f"{message.verb} on {message.module} can't be broadcast: address one party"),
            "not a module or verb for broadcasts",
        )
    targets = []
    for link in directory.partners:
        party = link.their_party(supply=supply)
        if party is not None and _serves(link, message):
            targets.append(Target(link.id, party))
    return Broadcast(tuple(targets), f"everyone opposite with {message.module}")


def _may_send(source: Link, message: Message) -> bool:
    """Whether the source may send this: objects it owns, or a question about those that we push to it."""
    if message.action is not None:
        return source.pushes(message.module) or source.accepts(message.module)
    return source.accepts(message.module)


def _serves(link: Link, message: Message) -> bool:
    """Whether this link takes the message: a push of what it doesn't own, or a question about what it does."""
    if not link.backend:
        # Towards a partner we are the parties of its file: the owner of an object, or the asker, must be one of them.
        ours = message.ref.owner if message.action is None else message.sender
        if ours is not None and not link.our_party(ours):
            return False
    return link.accepts(message.module) if message.action is not None else link.pushes(message.module)
