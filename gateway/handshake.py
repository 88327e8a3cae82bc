"""Registration as a table: what each credentials request does in each state, and the checks in between.

Two platforms exchange tokens: A opens the door, B is the caller's own, C answers it. Who may do what when is a small
table; this module is that table and the pure checks around it. The requests themselves, in both directions, are in
``web/registration.py``.

Spec: 2.1.1 ``credentials`` 1 and 3, 2.2.1 ``credentials`` 7.1 to 7.3.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Final

from attrs import frozen

from gateway.model.dialect import Seat
from gateway.model.errors import InvalidObject, MissingEndpoints, NoCommonVersion, NotAllowed
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


def step(standing: Standing, verb: Verb, *, static: bool) -> Step:
    """What this credentials request does.

    Raises:
        NotAllowed: not in this state (HTTP 405), with the verbs that are.
    """
    row = TRANSITIONS[Standing.STATIC if static else standing]
    if verb not in row:
        state = "uses static tokens" if static else f"is {standing}"
        raise NotAllowed(f"{verb} credentials: this link {state}", tuple(row))
    return row[verb]


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


def best(ours: Sequence[str], offers: Collection[Offer]) -> Offer:
    """The best common version: the first of ours, which are best first, that they offer.

    Raises:
        NoCommonVersion: there is none.
    """
    for version in ours:
        for offer in offers:
            if offer.version == version:
                return offer
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


def check_seats(claimed: Sequence[Seat], pinned: Sequence[Seat]) -> None:
    """Whether they claim only the parties and roles that the file gives them: else anyone could be anyone.

    Raises:
        InvalidObject: a party or role beyond those (2001).
    """
    allowed = {(seat.party, seat.role) for seat in pinned}
    for index, seat in enumerate(claimed):
        if (seat.party, seat.role) not in allowed and (seat.party, Role.HUB) not in allowed:
            expected = ", ".join(f"{party} as {role}" for party, role in sorted(allowed))
            raise InvalidObject(f"$.roles[{index}]", f"{seat.party} as {seat.role} is not agreed; expected {expected}")
