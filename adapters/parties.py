"""Who speaks to whom on a link: the caller's party, the party it means, and whose object it may touch.

A link joins seats: a party in a role on our side, a party in a role on theirs. Which of them a request is about follows
from the interface it calls (the owner's role plays SENDER, its opposite RECEIVER), from the owner in the URL, and from
routing headers where there are any. Nobody is believed: a party that isn't on the link is never spoken for.

Spec: 2.2.1 ``transport_and_format`` (Message Routing), ``terminology`` (Typical OCPI implementations per role).
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.headers import FROM, TO, Pair
from gateway.model.country import alpha_2
from gateway.model.dialect import Dialect, Seat
from gateway.model.errors import InvalidObject, NotFound, UnknownReceiver
from gateway.model.modules import MODULES, Module, Side
from gateway.model.party import Party, Role, is_supply


def plays(role: Role, module: Module, side: Side) -> bool:
    """Whether a party of this role plays this interface. A hub plays any."""
    owner_is_supply = MODULES[module].owner is Role.CPO
    return role is Role.HUB or is_supply(role) == (owner_is_supply == (side is Side.SENDER))


def playing(seats: Sequence[Seat], module: Module, side: Side) -> tuple[Party, ...]:
    """The parties among these seats that play this interface, each once."""
    return tuple(dict.fromkeys(seat.party for seat in seats if plays(seat.role, module, side)))


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


def check_owner(owner: Party, dialect: Dialect, module: Module) -> None:
    """That the owner in a URL is one of the caller's parties, in the role that owns such objects.

    Spec: 2.2.1 ``transport_and_format`` (Errors), 2.1.1 the same: HTTP 404 to everybody else.

    Raises:
        NotFound: it isn't.
    """
    if owner not in playing(dialect.theirs, module, Side.SENDER):
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
    if claimed is None:
        return owner or _only(playing(dialect.theirs, module, side.other), FROM)
    if not dialect.speaks_for(claimed):
        raise InvalidObject(FROM.party_id, f"{claimed} is none of your parties")
    if owner not in (None, claimed) and Seat(party=claimed, role=Role.HUB) not in dialect.theirs:
        raise InvalidObject(FROM.party_id, f"{claimed} is not the owner of the object")
    return claimed


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


def _only(parties: Sequence[Party], pair: Pair) -> Party:
    """The only party there is. Spec: 2.2.1 ``transport_and_format``: without headers one party and one role each."""
    if not parties:
        raise NotFound("this interface is not for your role")
    if len(parties) > 1:
        raise InvalidObject(pair.party_id, f"required: it could be {' or '.join(map(str, parties))}")
    return parties[0]
