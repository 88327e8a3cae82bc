"""Registration as a table: what each credentials request does in each state, and the checks in between.

Two platforms exchange tokens: A opens the door, B is the caller's own, C answers it. Who may do what when is a small
table; this module is that table and the pure checks around it. The requests themselves are in ``web/registration.py``
(they call) and ``web/handshakes.py`` (we call).

Spec: 2.1.1 ``credentials`` 1 and 3, 2.2.1 ``credentials`` 7.1 to 7.3.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Final

from attrs import frozen

from gateway.model.dialect import Dialect, Seat
from gateway.model.errors import (
    GatewayError,
    InvalidObject,
    MissingEndpoints,
    NoCommonVersion,
    NotAllowed,
    NotDurable,
    ReceiverError,
    UnusableApi,
)
from gateway.model.modules import MODULES, Module, Side, Verb
from gateway.model.party import Role


class Standing(StrEnum):
    """Where a registration stands."""

    NEW = "new"  # no credentials exchanged
    REGISTERED = "registered"  # both sides hold tokens (or static ones and discovered endpoints)
    STATIC = "static"  # tokens from the file; endpoints not discovered yet


class Step(StrEnum):
    """What a credentials request makes us do."""

    TELL = "tell"  # answer with our credentials object, echoing the token presented
    JOIN = "join"  # call back, exchange tokens, register
    RENEW = "renew"  # call back even if the version is unchanged, issue a new token
    LEAVE = "leave"  # forget both tokens


# One row per state; a verb that isn't in the row is HTTP 405. Spec: 2.2.1 credentials 7.2.2 to 7.2.5.
TRANSITIONS: Final[Mapping[Standing, Mapping[Verb, Step]]] = {
    Standing.NEW: {Verb.GET: Step.TELL, Verb.POST: Step.JOIN},
    Standing.REGISTERED: {Verb.GET: Step.TELL, Verb.PUT: Step.RENEW, Verb.DELETE: Step.LEAVE},
    Standing.STATIC: {Verb.GET: Step.TELL},
}


def step(standing: Standing, method: str) -> Step:
    """What a credentials request with this HTTP method does.

    Raises:
        NotAllowed: not in this state (HTTP 405), with the methods that are.
    """
    row = TRANSITIONS[standing]
    for verb, found in row.items():
        if verb == method:
            return found
    state = "uses static tokens" if standing is Standing.STATIC else f"is {standing}"
    raise NotAllowed(f"{method[:20]} credentials: this link {state}", tuple(row))


@frozen
class Offer:
    """One entry of a versions list."""

    version: str
    url: str


def read_versions(data: object) -> tuple[Offer, ...]:
    """The entries of a versions list; those that are no entries, or of unknown versions, are left out.

    Raises:
        InvalidObject: it isn't a list.
    """
    if not isinstance(data, list):
        raise InvalidObject("$.data", "expected a list of versions")
    return tuple(
        Offer(entry["version"], entry["url"])
        for entry in data
        if isinstance(entry, dict) and isinstance(entry.get("version"), str) and isinstance(entry.get("url"), str)
    )


def best(ours: Sequence[str], offers: Sequence[Offer], aliases: Mapping[str, str] | None = None) -> Offer:
    """The best common version: the first of ours, which are best first, that they offer.

    Args:
        aliases: names in their list that mean another version, such as ``{"2.2": "2.2.1"}``; the real name wins.

    Raises:
        NoCommonVersion: there is none.
    """
    for version in ours:
        for offer in offers:
            if offer.version == version:
                return offer
        for offer in offers:
            if aliases and aliases.get(offer.version) == version:
                return Offer(version, offer.url)
    listed = ", ".join(offer.version for offer in offers) or "none"
    raise NoCommonVersion(f"versions offered: {listed}; wanted: {', '.join(ours)}")


def check_endpoints(endpoints: Collection[tuple[Module, Side]], required: Collection[Module]) -> None:
    """Whether their endpoints suffice: every required module, or, if none is named, any functional one.

    Raises:
        MissingEndpoints: which are missing (3003).
    """
    present = {module for module, _ in endpoints}
    if missing := [module for module in required if module not in present]:
        raise MissingEndpoints(f"required modules missing: {', '.join(missing)}")
    if not required and not any(MODULES[module].functional for module in present):
        raise MissingEndpoints("no functional module is offered")


def check_seats(claimed: Sequence[Seat], dialect: Dialect) -> None:
    """Whether they claim only the parties and roles that the file gives them: else anyone could be anyone.

    They may claim fewer. A hub reports its own role, and shall report nobody else (2.2.1 ``credentials`` 7.3.1); where
    one does, it may name whom it reaches.

    Raises:
        InvalidObject: a party or role beyond those (2001).
    """
    agreed = {(seat.party, seat.role) for seat in dialect.theirs}
    for index, seat in enumerate(claimed):
        if (seat.party, seat.role) in agreed or (seat.party, Role.HUB) in agreed:
            continue
        if dialect.hub is not None and seat.role is not Role.HUB and dialect.speaks_for(seat.party):
            continue
        expected = ", ".join(f"{party} as {role}" for party, role in sorted(agreed))
        raise InvalidObject(f"$.roles[{index}]", f"{seat.party} as {seat.role} is not agreed; expected {expected}")


class Rejected(UnusableApi):
    """Their API answers 401 to the token that we have."""


class Lost(UnusableApi):
    """A PUT was sent and nobody knows whether it was acted upon: its answer was lost, or can't be read."""


class Disagreed(UnusableApi):
    """They see this registration in another state than we do: their answer is 405."""


class NotNow(ReceiverError):
    """Nothing was done: a handshake of this link is under way, or there is nothing to do in this state."""


_TODO: Final[Mapping[type[GatewayError], str]] = {
    NotDurable: "see that Redis is there",
    Lost: "nothing yet: the old and the new token both open our door, and the gateway asks again by itself",
    Rejected: "ask them whether they ended the registration; if so: partner unregister, a new token A of theirs into"
    " the file (start: us) or one of ours to them (start: them), partner register",
    Disagreed: "ask them to unregister us, and for a new token A",
    NoCommonVersion: "agree on a version with them, and write it into the file",
    MissingEndpoints: "ask them for these modules, or change registration.requires",
    InvalidObject: "compare the roles in the file with what they say of themselves",
}


def advice(error: GatewayError, *, by_us: bool = True) -> str:
    """What a person can do about a handshake that failed so.

    Args:
        by_us: whether we began it.
    """
    otherwise = (
        "compare versions_url and token_out with what they gave you; can they reach public_url?"
        if by_us
        else "tell them: we call back with the token in their credentials, at the URL in them, before we answer"
    )
    return next((todo for kind, todo in _TODO.items() if isinstance(error, kind)), otherwise)


def needs_a_person(error: GatewayError) -> bool:
    """Whether trying again will hardly help. Spec: 2.2.1 ``credentials`` 7.1.5: notify the administrator."""
    return isinstance(error, Rejected | Disagreed | NoCommonVersion | MissingEndpoints | InvalidObject)
