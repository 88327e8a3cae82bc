"""What a translation may ask, and what it may answer.

A translation is a pure function, yet a 2.1.1 Session embeds its Location and a 2.2.1 Session only names it. So a
converter asks ``facts`` for what it needs, whenever it needs it. Asking for something that hasn't been looked up yet
raises ``Missing``; the row is skipped, the pass goes on to collect what else is missing, and the outcome of the whole
pass is ``Needs``: look these up and try again. Something that was looked up and that nobody has is ``UNKNOWN``; the
converter then substitutes, omits, or withholds.

    while isinstance(outcome := translate(document, crossing(facts)), Needs):
        facts = facts | await fetch(outcome.keys)

Outcomes of a converter: a value, ``ABSENT``, ``Lossy(value, reason)``, ``Until(value, when)`` (they nest), or it raises
``Withheld``, which stops at the nearest item of a list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any, Final, Literal

from attrs import define, field, frozen

from gateway.model.names import fold
from gateway.model.party import Party
from gateway.model.policy import Policy


class _Marker(Enum):
    ABSENT = "ABSENT"
    UNKNOWN = "UNKNOWN"

    def __repr__(self) -> str:
        return self.value

    def __bool__(self) -> bool:
        return False


ABSENT: Final = _Marker.ABSENT
"""A field that isn't there. Not the same as null, and neither is the same as a default."""

UNKNOWN: Final = _Marker.UNKNOWN
"""A fact that was looked up and that nobody has."""

Absent = Literal[_Marker.ABSENT]
Unknown = Literal[_Marker.UNKNOWN]


class FactKind(StrEnum):
    """What can be asked. Objects come in the shape of the newest version, as JSON values."""

    LOCATION = "location"  # owner (CPO) and location id -> Location
    TARIFF = "tariff"  # owner (CPO) and tariff id -> Tariff
    TOKENS_OF_CONTRACT = "tokens_of_contract"  # owner (eMSP; None: any) and contract id -> list of Token
    TOKENS_OF_UID = "tokens_of_uid"  # owner (eMSP; None: any) and uid -> list of Token
    # owner (CPO), contract id, place (location id, EVSE uid) -> list of {token: CdrToken, since, until: DateTimes}, the
    # tokens of the contract that were lately meant there, for sessions that begin in between; the likeliest first
    RECENT_TOKENS = "recent_tokens"
    SESSION = "session"  # owner (CPO) and session id -> Session
    SESSIONS_OF_CONTRACT = "sessions_of_contract"  # owner (CPO) and contract id -> list of Session
    BUSINESS = "business"  # party -> BusinessDetails of its role
    LONG_ID = "long_id"  # owner None and the alias of an id over 36 characters -> the id as its owner spells it
    RESERVATION = "reservation"  # owner (eMSP) and reservation id -> the int that stands for it at a 2.1.1 CPO
    CONNECTORS_OF_TARIFF = "connectors_of_tariff"  # owner (CPO) and tariff id -> list of Connector that name it


def _folded(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(fold, ids))


@frozen
class Key:
    """The name of a fact: its kind, the party it belongs to, its id. Ids compare without case.

    Attributes:
        place: the ids of the place that a fact is about, where it is about one.
    """

    kind: FactKind
    owner: Party | None
    id: str = field(converter=fold)
    place: tuple[str, ...] = field(default=(), converter=_folded)


class Missing(Exception):
    """Raised by ``Facts.ask`` for facts that haven't been looked up yet."""

    def __init__(self, keys: Iterable[Key]) -> None:
        super().__init__("facts not looked up yet")
        self.keys = frozenset(keys)


class Withheld(Exception):
    """This value must not be shown to the receiver, or can't be said in its version. Carries the reason.

    Stops at the nearest item of a list, which is dropped; a list that must not be empty passes it on; at the top the
    whole object is withheld.

    Attributes:
        reason: what a person reads.
        policy: the switch that decides it, where there is one.
        status: the OCPI status to answer where somebody waits.
    """

    def __init__(self, reason: str, *, policy: str | None = None, status: int = 2000) -> None:
        super().__init__(reason)
        self.reason = reason
        self.policy = policy
        self.status = status


@frozen
class Lossy:
    """A converter's value, and why it isn't all of what was there.

    Attributes:
        value: what goes out (or ABSENT).
        reason: what a person reads; one value, one reason.
        policy: the switch that decides it, where there is one.
        at: the place within the source value, as JSON pointer tokens; empty for the value itself.
    """

    value: Any
    reason: str
    policy: str | None = None
    at: tuple[str | int, ...] = ()


@frozen
class Until:
    """A converter's value that holds until a moment: the object falls due again then."""

    value: Any
    when: datetime


@frozen
class Needs:
    """The outcome of a pass that asked for facts nobody has looked up yet."""

    keys: frozenset[Key]


@frozen
class Loss:
    """One value lost. ``pointer`` (RFC 6901) is into the source object.

    Spec of the record: one at each value lost, substituted, made up, shortened, aliased or short of its part of a
    second; none for what both versions carry, none twice.
    """

    pointer: str
    reason: str
    policy: str | None = None


@frozen
class Translated:
    """The outcome of a pass that came through.

    Attributes:
        data: the JSON value in the other version.
        losses: one per value lost, in the order in which the field maps have their rows.
        until: the moment a time-dependent choice in it ends, or None.
    """

    data: Any
    losses: tuple[Loss, ...] = ()
    until: datetime | None = None


class Facts:
    """What has been looked up so far: an immutable mapping from ``Key`` to a value or ``UNKNOWN``, and the time it is.

    With ``complete=True`` whatever isn't in it counts as looked up and not found; nothing is ever missing.

    Attributes:
        now: the moment at which time-dependent choices are made, timezone-aware UTC.
    """

    __slots__ = ("_complete", "_known", "now")

    def __init__(self, known: Mapping[Key, Any] | None = None, *, now: datetime, complete: bool = False) -> None:
        self._known = dict(known or {})
        self._complete = complete
        self.now = now

    def ask(self, key: Key) -> Any:
        """The fact, or UNKNOWN.

        Raises:
            Missing: nobody has looked it up yet.
        """
        try:
            return self._known[key]
        except KeyError:
            if self._complete:
                return UNKNOWN
            raise Missing((key,)) from None

    def ask_all(self, keys: Iterable[Key]) -> list[Any]:
        """The facts in the order asked, raising ``Missing`` once for all of those that aren't looked up yet."""
        wanted = list(keys)
        if not self._complete and (missing := [key for key in wanted if key not in self._known]):
            raise Missing(missing)
        return [self._known.get(key, UNKNOWN) for key in wanted]

    def completed(self) -> Facts:
        """The same facts, with everything else counting as looked up and not found."""
        return Facts(self._known, now=self.now, complete=True)

    def __or__(self, more: Mapping[Key, Any]) -> Facts:
        return Facts({**self._known, **more}, now=self.now, complete=self._complete)

    def __contains__(self, key: Key) -> bool:
        return key in self._known


@define(kw_only=True)
class Crossing:
    """One object's way from one version to another: what its converters may read, and where they record.

    Attributes:
        facts: what has been looked up.
        policy: the switches of the link whose version is not the canonical one (the receiver's on the way down).
        owner: the party that owns the object (the token's for commands and authorizations).
        peer: the party on the other side: the eMSP of a token that nobody knows (UP), the receiver (DOWN); of a
            command, both ways, the CPO that it is for.
        asked: what an answer answers: the token asked about and the LocationReferences sent, in the newest shape.
        role: the role to assume where an old version doesn't say (credentials on the way up), or to pick on the way
            down.
        learned: facts that the way up yields and the way down will ask for: the full spelling of ids that got an alias.
    """

    facts: Facts
    policy: Policy
    owner: Party | None
    peer: Party | None = None
    asked: Asked | None = None
    role: str | None = None
    losses: list[Loss] = field(factory=list)
    missing: set[Key] = field(factory=set)
    until: datetime | None = None
    learned: dict[Key, Any] = field(factory=dict)

    @property
    def now(self) -> datetime:
        return self.facts.now


@frozen
class Asked:
    """What an AuthorizationInfo answers. Both parts are JSON objects in the newest shape, or None.

    Attributes:
        token: the token asked about; of one that isn't known, at least ``uid`` and ``type``.
        references: the LocationReferences of the question, with the ``connector_ids`` of a caller whose version has
            them.
    """

    token: Any | None = None
    references: Any | None = None
