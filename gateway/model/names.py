"""Names of objects, and what is kept under a name: what was said, what a receiver has, what it is still owed.

An object lives once, under its owner: ``Name`` is its owner, its module and its id, and ``Said`` is the object as its
owner said it last. What each receiver still has to get lives under the receiver: a ``Due`` is a name, a time and a
ticket, and ``Sent`` is what the receiver confirmed last. The difference between ``Sent`` and ``Said`` is what is sent.

CDRs are the exception, since money hangs on them: each is owed once per receiver and never again, so it has an entry
with a state of its own (``CdrEntry``) that stays after the delivery, and each change of its state is told
(``CdrChange``).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from string import ascii_lowercase, ascii_uppercase
from typing import Final, Self
from urllib.parse import quote, unquote

from attrs import field, frozen

from gateway.model.errors import ReceiverError
from gateway.model.modules import Module
from gateway.model.party import Party

# CiString compares ASCII letters without case (2.2.1 types, CiString). ``str.upper`` would also merge "ß" with "SS".
_FOLD: Final = str.maketrans(ascii_lowercase, ascii_uppercase)


def fold(text: str) -> str:
    """A CiString in the one spelling by which it is compared."""
    return text.translate(_FOLD)


def _fold_if_any(text: str | None) -> str | None:
    return text if text is None else fold(text)


def encode(text: str) -> str:
    """A text as one segment of a key: everything but ``A-Z a-z 0-9 _ . * -`` percent-encoded, so no two texts meet."""
    return quote(text, safe="*").replace("~", "%7E")


def decode(segment: str) -> str:
    """The text that ``encode`` made this segment of."""
    return unquote(segment, errors="strict")


@frozen
class Name:
    """What an object is called: module, owner and id, for a token its type too. Compared without case.

    A token is identified by uid and type together (2.2.1 ``mod_tokens``, Token Object).

    Attributes:
        id: as its owner spells it (a name read back from ``text`` has it folded).
        type: the TokenType; None for everything but tokens.
    """

    module: Module
    owner: Party
    id: str = field(eq=fold)
    type: str | None = field(default=None, eq=_fold_if_any)

    @property
    def text(self) -> str:
        """``sessions:NL-EXA:ABC%2F1``: the same for every spelling of a name, different for every two names."""
        owner = f"{encode(self.owner.country_code)}-{encode(self.owner.party_id)}"
        parts = [self.module.value, owner, encode(fold(self.id))]
        if self.type is not None:
            parts.append(encode(fold(self.type)))
        return ":".join(parts)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The name that ``text`` stands for.

        Raises:
            ValueError: it isn't the text of a name.
        """
        module, _, rest = text.partition(":")
        owner, *ids = rest.split(":")
        country, dash, party_id = owner.partition("-")
        if not (dash and 1 <= len(ids) <= 2 and all(ids)):
            raise ValueError(f"{text!r} is not the name of an object, for example sessions:NL-EXA:42")
        return cls(Module(module), Party(decode(country), decode(party_id)), *map(decode, ids))

    def __str__(self) -> str:
        return self.text


CRAWL: Final = "pull-"
"""How the correlation id of what was read in a list begins; the rest is the crawl's own."""


class Moved(ReceiverError):
    """Somebody else wrote it in between: read again, decide again, write again (3000 if nobody does)."""


class Ousted(ReceiverError):
    """Another replica has taken the link over since: nothing was written, and it is that one's to go on."""


class Early(ReceiverError):
    """Other objects go to a receiver before this one, and are due: nothing was done.

    Attributes:
        before: which they are.
    """

    def __init__(self, before: Sequence[Name]) -> None:
        super().__init__("others go before it")
        self.before = tuple(before)


@frozen(kw_only=True)
class Said:
    """An object as its owner said it last.

    Attributes:
        id: its id as the owner spells it.
        canonical: the canonical document, as bytes of JSON.
        wire: the object as received, as bytes of JSON.
        version: the OCPI version of ``wire``.
        source: the link it came by.
        sequence: grows with every write of this name, its variants included; what ``expect`` of a write means.
        deleted: the owner deleted it; ``canonical`` and ``wire`` are what it was.
        at: when it was received, in milliseconds since 1970.
        correlation: the correlation id of the message that said it; its deliveries carry it on.
        receiver: the party that it was addressed to, if any: of several on one link the one that is meant.
    """

    id: str
    canonical: bytes
    wire: bytes
    version: str
    source: str
    sequence: int
    deleted: bool
    at: int
    correlation: str = ""
    receiver: Party | None = None

    @property
    def crawled(self) -> bool:
        """Whether it was read in a list of its owner's and never pushed: nobody is owed a CDR because of that."""
        return self.correlation.startswith(CRAWL)


@frozen(kw_only=True)
class Saying:
    """An object that is to be said: what a write takes.

    Attributes:
        canonical: the canonical document, as bytes of JSON.
        wire: the object in its sender's form, as bytes of JSON.
        version: the OCPI version of ``wire``.
        source: the link it came by.
        expect: the sequence that was read before; 0: there must be no such object (or variant) yet; None: any.
        owed: links that must hear of it.
        variant: the only link it is meant for; locations and tariffs only.
        deleted: its owner deletes it; ``canonical`` and ``wire`` are what it was.
        correlation: the correlation id of the message that says it.
        receiver: the party that it is addressed to.
    """

    name: Name
    canonical: bytes
    wire: bytes
    version: str
    source: str
    expect: int | None
    owed: Sequence[str] = ()
    variant: str | None = None
    deleted: bool = False
    correlation: str = ""
    receiver: Party | None = None


@frozen(kw_only=True)
class Sent:
    """What a receiver has: delivered and confirmed, or what it may have after an attempt that failed.

    Attributes:
        wire: the object in the receiver's form, as bytes of JSON.
        version: the OCPI version of ``wire``; empty where nobody knows whether it has just this.
        sequence: of what was said when it was translated.
    """

    wire: bytes
    version: str
    sequence: int


@frozen
class Mark:
    """How far a link had come at one moment: everything up to here it was owed, and could list, by then.

    Attributes:
        ticket: the last that was given out for it.
        rank: of the last object that it learned of.
        at: the moment, in milliseconds since 1970.
    """

    ticket: int
    rank: int
    at: int


@frozen
class Due:
    """Something a receiver is owed: look at this object, at this time.

    Attributes:
        ticket: new with every reason to look, so that an attempt can tell whether it was made for the last reason.
        at: not before this time, in milliseconds since 1970.
    """

    name: Name
    ticket: int
    at: int


@frozen
class Sight:
    """That a link may list an object as of now, or no longer.

    Attributes:
        at: the object's last_updated, in milliseconds since 1970; None: the link may no longer list it.
        among: where the link may also ask for the objects of one owner alone, among whose this one is.
    """

    link: str
    name: Name
    at: int | None
    among: Party | None = None


@frozen
class Held:
    """Something owed that can't be delivered until a person, a file or the object changes.

    Attributes:
        reason: a stable word, for example ``withheld``.
        detail: a sentence for people.
        at: since when, in milliseconds since 1970.
    """

    name: Name
    reason: str
    detail: str
    at: int


class CdrState(StrEnum):
    """Where a CDR stands on its way to one receiver."""

    PENDING = "pending"  # waits for its turn
    IN_FLIGHT = "in_flight"  # an attempt is under way, or was when its process died
    IN_DOUBT = "in_doubt"  # bytes were sent and no valid answer came
    HELD = "held"  # can't be said to this receiver
    REFUSED = "refused"  # the receiver said no
    DEAD = "dead"  # nobody will take it any more, such as a party that a hub calls SUSPENDED; a person decides
    DELIVERED = "delivered"  # the receiver has it
    DROPPED = "dropped"  # a person gave it up, with a reason

    @property
    def done(self) -> bool:
        """Whether nothing is left to be done about it, neither by the gateway nor by a person."""
        return self in (CdrState.DELIVERED, CdrState.DROPPED)


@frozen(kw_only=True)
class CdrEntry:
    """A CDR on its way to one receiver. It stays after the delivery: a CDR is never owed twice.

    Attributes:
        reason: why it stands where it stands; empty where the state says it all.
        attempts: how often it was tried.
        owed: since when, in milliseconds since 1970.
        moved: when it was put where it is, in milliseconds since 1970.
        at: not tried before this time, in milliseconds since 1970; None unless it is pending.
        location: the URL that the receiver gave it (the Location header of its answer), empty if none.
        digest: of the body that was sent, empty before the first attempt.
        since: when the receiver refused it first, of one that is tried again all the same, in milliseconds since 1970.
        who: the person or process that decided this, empty where the gateway did.
    """

    name: Name
    state: CdrState
    reason: str
    attempts: int
    owed: int
    moved: int
    at: int | None
    location: str
    digest: str
    since: int | None = None
    who: str = ""


@frozen(kw_only=True)
class CdrChange:
    """That a CDR went from one state to another.

    Attributes:
        link: whom it is owed to.
        former: None: it was owed just then.
        reason: why, empty where the state says it all.
        attempts: how often it had been tried by then.
        at: in milliseconds since 1970, by the clock of Redis.
        who: the person or process that decided this, empty where the gateway did.
    """

    link: str
    name: Name
    former: CdrState | None
    state: CdrState
    reason: str
    attempts: int
    at: int
    who: str = ""


@frozen(kw_only=True)
class Backlog:
    """What one link is owed, in numbers.

    Attributes:
        due: objects to look at, now or later.
        held: objects that wait for a change.
        cdrs: CDRs that aren't done, in whatever state.
        oldest: the earliest time at which a due object or a pending CDR was to be tried, in milliseconds since 1970;
            None if nothing waits.
    """

    due: int
    held: int
    cdrs: int
    oldest: int | None

    @property
    def total(self) -> int:
        return self.due + self.held + self.cdrs


@frozen
class Registered:
    """A link's registration as stored: opaque bytes, and the version that the next write must expect."""

    value: bytes
    version: int
