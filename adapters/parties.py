"""Who speaks to whom on a link: the caller's party, the party it means, and whose object it may touch.

A link joins seats: a party in a role on our side, a party in a role on theirs. Which of them a request is about follows
from the interface it calls (the owner's role plays SENDER, its opposite RECEIVER), from the owner in the URL, and from
routing headers where there are any. Nobody is believed: a party that isn't on the link is never spoken for.

Spec: 2.2.1 ``transport_and_format`` (Message Routing), ``terminology`` (Typical OCPI implementations per role).
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from adapters.headers import FROM, TO, Pair
from adapters.paths import CALLBACK, Path
from gateway.model.country import alpha_2
from gateway.model.dialect import Dialect, Seat
from gateway.model.errors import InvalidObject, NotFound, UnknownReceiver
from gateway.model.message import Message, Ref
from gateway.model.modules import MODULES, Module, Side
from gateway.model.party import Party, Role, is_supply


def plays(role: Role, module: Module, side: Side) -> bool:
    """Whether a party of this role plays this interface. A hub plays any; what is a hub's, everybody else receives."""
    owner = MODULES[module].owner
    if role is Role.HUB or owner is Role.HUB:
        return role is Role.HUB or side is Side.RECEIVER
    return is_supply(role) == ((owner is Role.CPO) == (side is Side.SENDER))


def playing(seats: Sequence[Seat], module: Module, side: Side) -> tuple[Party, ...]:
    """The parties among these seats that play this interface, each once."""
    return tuple(dict.fromkeys(seat.party for seat in seats if plays(seat.role, module, side)))


def first(seats: Sequence[Seat], module: Module, side: Side) -> Party:
    """The first of these parties that plays this interface: whom a request means that needn't name anybody.

    Raises:
        NotFound: none does.
    """
    parties = playing(seats, module, side)
    if not parties:
        raise NotFound("this interface is not for your role")
    return parties[0]


def party_of(country_code: str, party_id: str, path: str) -> Party:
    """A party from the codes in a body, alpha-2 or alpha-3, any case.

    Args:
        path: of the object that holds both, for the error.

    Raises:
        InvalidObject: the country is unknown, or the party id isn't one.
    """
    if not country_code.isascii() or alpha_2(country_code) is None:
        raise InvalidObject(f"{path}.country_code", "not a country code of ISO 3166-1")
    try:
        return Party.of(country_code, party_id)
    except ValueError as error:
        raise InvalidObject(f"{path}.party_id", str(error)) from None


def owns(owner: Party, dialect: Dialect, module: Module) -> bool:
    """Whether the other side may send objects of this owner: one of its parties, in the role that has such objects.

    What a hub sends belongs to the parties behind it, also where the hub itself is the sender (2.2.1
    ``transport_and_format``, Broadcast Push, the note on Client Owned Objects).
    """
    if dialect.seats(owner):
        return owner in playing(dialect.theirs, module, Side.SENDER)
    return dialect.speaks_for(owner)


def check_owner(owner: Party, dialect: Dialect, module: Module) -> None:
    """That the other side may send objects of the owner in a URL.

    Spec: 2.2.1 ``transport_and_format`` (Errors), 2.1.1 the same: HTTP 404 to everybody else.

    Raises:
        NotFound: it mayn't.
    """
    if not owns(owner, dialect, module):
        raise NotFound(f"{owner} is none of your parties that own {module}")


def caller(dialect: Dialect, module: Module, side: Side, claimed: Party | None, owner: Party | None) -> Party:
    """The party that sends a request to our ``side`` of a module.

    Args:
        claimed: what the FROM headers say.
        owner: the owner of the object that is pushed, already found to be one of theirs.

    Raises:
        InvalidObject: the claimed party isn't theirs, or isn't the owner though it is no hub; or nothing is claimed and
            several could have sent it.
        NotFound: none of their parties calls this interface.
    """
    callers = playing(dialect.theirs, module, side.other)
    if claimed is None:
        return owner or _only(callers, FROM)
    if not dialect.speaks_for(claimed):
        raise InvalidObject(FROM.party_id, f"{claimed} is none of your parties")
    if not callers:
        raise NotFound("this interface is not for your role")
    if owner not in (None, claimed) and claimed != dialect.hub:
        raise InvalidObject(FROM.party_id, f"{claimed} is not the owner of the object")
    return claimed


def check_named(dialect: Dialect, sender: Party | None, receiver: Party | None, *, version_has_them: bool) -> None:
    """That routing headers are there, on a link whose requests need them: behind a hub, or where its file says so.

    Left out, they name the only party there is on each side (2.2.1 ``transport_and_format``, Message Routing Headers);
    behind a hub there is never only one. To a backend we are the hub, and no receiver is open routing.

    Raises:
        InvalidObject: one of the two pairs is missing.
    """
    needed = dialect.policy.routing_require_headers
    if needed is None:
        needed = version_has_them and dialect.hub is not None
    if needed and sender is None:
        raise InvalidObject(FROM.party_id, "required on this link")
    if needed and receiver is None and not dialect.backend:
        raise InvalidObject(TO.party_id, "required on this link")


def named_receiver(message: Message, dialect: Dialect) -> Party | None:
    """Whom OCPI-to names in a request (``routing.to_party``); nobody in open routing, which MUST leave it out."""
    if message.receiver is None or dialect.hub is None:
        return message.receiver
    match dialect.policy.routing_to_party:
        case "hub":
            return dialect.hub
        case "end_party" if message.receiver == dialect.hub:
            return _token_owner(message) or dialect.hub
        case _:
            return message.receiver


def _token_owner(message: Message) -> Party | None:
    """The eMSP whose token a session or CDR carries, where this version says it."""
    data = message.body.data if message.body is not None else None
    token = data.get("cdr_token") if isinstance(data, dict) else None
    try:
        return Party.of(token["country_code"], token["party_id"]) if isinstance(token, dict) else None
    except (KeyError, ValueError):
        return None


def addressee(dialect: Dialect, module: Module, side: Side, claimed: Party | None) -> Party | None:
    """The party of ours that a request to our ``side`` of a module is for.

    A backend's word is taken as it is, None included: we are its hub, and the router decides.

    Raises:
        UnknownReceiver: the claimed party isn't ours, or doesn't play this interface.
        InvalidObject: nothing is claimed and several could be meant.
        NotFound: none of our parties plays this interface on this link.
    """
    if dialect.backend:
        return claimed
    parties = playing(dialect.ours, module, side)
    if claimed is None:
        return _only(parties, TO)
    if claimed not in parties:
        raise UnknownReceiver(f"{claimed} is not known here")
    return claimed


def with_owner(ref: Ref, path: Path, sender: Party | None, receiver: Party | None) -> Ref:
    """A reference with the owner that isn't in its path, where the two parties tell it: whose object it is.

    A command is about a token of its sender. A charging profile belongs to the CPO's session, whichever side is called.
    Any other object at its owner's interface is the called party's. A list may have many owners, and names none.
    """
    if ref.owner is not None or path.module is Module.CDRS or path is CALLBACK or path.lists:
        return ref
    if path.module is Module.COMMANDS:
        return evolve(ref, owner=sender)
    if path.module is Module.CHARGING_PROFILES:
        return evolve(ref, owner=receiver if path.side is Side.RECEIVER else sender)
    return evolve(ref, owner=receiver)


def _only(parties: Sequence[Party], pair: Pair) -> Party:
    """The only party there is. Spec: 2.2.1 ``transport_and_format``: without headers one party and one role each."""
    if not parties:
        raise NotFound("this interface is not for your role")
    if len(parties) > 1:
        raise InvalidObject(pair.party_id, f"required: it could be {' or '.join(map(str, parties))}")
    return parties[0]
