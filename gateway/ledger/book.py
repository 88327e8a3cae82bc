"""The ledger as people read it, and what they decide about it.

To a person all that is owed is one book: an entry says which object, to whom, and where it stands. CDRs have states of
their own; of other objects, one that is due is ``pending``, one that was set aside ``held``, or ``refused`` if its
receiver said no. Two states end an entry, ``delivered`` and ``dropped``; all others are open.

Nothing leaves the book by itself but by being delivered. Whatever can't go on waits for a person, who can

*resend*   it is owed again, as if for the first time. What its receiver may have got already it may get twice.
*confirm*  somebody asked the receiver, and it has the CDR. It counts as delivered.
*drop*     it is given up.

Each is written down with its reason and with who decided. It takes effect only on what was seen: an entry that has
come further meanwhile is left alone.

A book may have a million entries, so it is read in pages and never in memory as a whole. Token uids and contract ids
stand in no book: the id of a token is a keyed hash, the same that logs have.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from contextvars import copy_context
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from itertools import groupby
from typing import Any, Final, Protocol, TypeVar

import structlog
from attrs import evolve, frozen

from gateway.model.modules import MODULES, Module
from gateway.model.names import CdrChange, CdrEntry, CdrState, Due, Held, Name, Said, Sent, fold
from gateway.model.party import Party
from gateway.ports import Codec
from gateway.telemetry import MASK, declare_object

log = structlog.get_logger(__name__)

DONE: Final = frozenset(state for state in CdrState if state.done)
"""The states that end an entry."""

OPEN: Final = frozenset(CdrState) - DONE
"""All others."""

OWED_MODULES: Final = (*(module for module, facts in MODULES.items() if facts.ledger), Module.HUB_CLIENT_INFO)
"""What may be owed: whatever is pushed, and to backends who is connected."""

_FURTHER: Final = "has come further meanwhile: look at it again"
_A_PAGE: Final = 200
_NEVER_MS: Final = 4_102_444_800_000  # the year 2100: what is due then is looked at by nobody in between

T = TypeVar("T")


class Verdict(StrEnum):
    """What a person may decide of an entry."""

    RESEND = "resend"
    CONFIRM = "confirm"
    DROP = "drop"


BECOMES: Final[Mapping[Verdict, CdrState]] = {
    Verdict.RESEND: CdrState.PENDING,
    Verdict.CONFIRM: CdrState.DELIVERED,
    Verdict.DROP: CdrState.DROPPED,
}
"""Where each leads."""

DECIDABLE: Final[Mapping[Verdict, frozenset[CdrState]]] = {
    Verdict.RESEND: OPEN - {CdrState.IN_FLIGHT} | {CdrState.DROPPED},
    Verdict.CONFIRM: OPEN - {CdrState.IN_FLIGHT, CdrState.PENDING},
    Verdict.DROP: OPEN - {CdrState.IN_FLIGHT},
}
"""The states from which each leads on. A delivered CDR can be sent again as well, where a person says so expressly."""


class Store(Protocol):
    """What is needed of the store. Every method raises NotDurable while it is away."""

    async def receivers(self) -> list[str]:
        """Links that were ever owed anything."""

    def cdr_entries(self, link: str, *, done: bool) -> AsyncGenerator[CdrEntry, None]:
        """All CDRs of a link that are open, or all that are done."""

    async def cdr_entry(self, link: str, name: Name) -> CdrEntry | None:
        """One of them."""

    async def cdr_move(
        self, link: str, name: Name, from_states: Collection[CdrState], to_state: CdrState, *,
        reason: str = "", at_ms: int | None = None, digest: str | None = None, who: str = "",
    ) -> bool:  # fmt: skip
        """A CDR goes to another state, if it is in one of ``from_states``."""

    async def history(self, link: str, name: Name) -> list[CdrChange]:
        """What has become of a CDR, as far as it is kept."""

    def owed_entries(self, link: str) -> AsyncGenerator[Due, None]:
        """All objects that are due, now or later."""

    async def held(self, link: str) -> list[Held]:
        """Objects that are set aside."""

    async def owe(self, link: str, name: Name, at_ms: int) -> int:
        """A new reason to look at an object: its ticket."""

    async def take(self, link: str, name: Name) -> Sent | None:
        """What the receiver is known to have; as of now it has that only perhaps."""

    async def dismiss(self, link: str, due: Due) -> bool:
        """The entry goes, unless there is a newer reason to look."""

    async def owed_entry(self, link: str, name: Name) -> Due | None:
        """One object that is due."""

    async def held_entry(self, link: str, name: Name) -> Held | None:
        """One that is set aside."""

    async def read(self, name: Name, link: str | None = None) -> Said | None:
        """What was said."""

    async def read_many(self, names: Sequence[Name], link: str | None = None) -> list[Said | None]:
        """The same of several, in their order."""

    async def owners(self) -> list[Party]:
        """Everyone of whom an object was ever said."""

    async def tokens_by_uid(self, uid: str) -> list[Name]:
        """Tokens with this uid."""


@frozen(kw_only=True)
class Entry:
    """One object on its way to one receiver.

    Attributes:
        link: the receiver.
        id: the object's id as its owner spells it; of a token, what stands for it.
        since: when it came into its state, in milliseconds since 1970; of an object that is due, when it is.
        owed: since when it is owed, in milliseconds since 1970; None where that isn't known.
        attempts: how often it was tried; None where that isn't counted.
        reason: why it stands where it stands; empty where the state says it all.
        at: not tried before this time, in milliseconds since 1970; None if nothing tries it.
        location: the URL that the receiver gave it, empty if none.
        who: the person who decided last, empty if nobody did.
        body: the object in the canonical form, where it was asked for and is still there; masked.
    """

    link: str
    name: Name
    id: str
    state: CdrState
    since: int
    owed: int | None = None
    attempts: int | None = None
    reason: str = ""
    at: int | None = None
    location: str = ""
    who: str = ""
    body: Any = None

    @property
    def is_cdr(self) -> bool:
        return self.name.module is Module.CDRS

    def json(self) -> dict[str, Any]:
        """As the command line and the admin API print it."""
        return {
            "partner": self.link,
            "module": self.name.module.value,
            "owner": party_json(self.name.owner),
            "id": self.id,
            **({"type": self.name.type} if self.name.type else {}),
            "state": self.state.value,
            "since": stamp(self.since),
            "owed": stamp(self.owed),
            "attempts": self.attempts,
            "reason": self.reason or None,
            "next_try": stamp(self.at),
            "location": self.location or None,
            "who": self.who or None,
        }


@frozen(kw_only=True)
class Wanted:
    """Which entries are meant: those of these links that pass every filter.

    Attributes:
        states: in which they may be.
        modules, owner: None: any.
        since, until: when they came into their state: from the one on and before the other, in milliseconds since
            1970; None: whenever.
    """

    links: tuple[str, ...]
    states: frozenset[CdrState] = OPEN
    modules: frozenset[Module] | None = None
    owner: Party | None = None
    since: int | None = None
    until: int | None = None

    def has(self, name: Name) -> bool:
        """Whether an object of this name may be among them."""
        return (self.modules is None or name.module in self.modules) and self.owner in (None, name.owner)

    def takes(self, entry: Entry) -> bool:
        """Whether this one is."""
        early = self.since is not None and entry.since < self.since
        late = self.until is not None and entry.since >= self.until
        return entry.state in self.states and not early and not late

    @property
    def sources(self) -> tuple[bool, bool]:
        """Whether CDRs are among them, and whether other objects."""
        modules = self.modules or frozenset(Module)
        return Module.CDRS in modules, bool(modules - {Module.CDRS}) and bool(self.states & OPEN)


@frozen(kw_only=True)
class Decision:
    """What a person decided, and who it was.

    Attributes:
        reason: for whoever looks at the entry later.
        again: also what is delivered is sent again; its receiver must know it by its id.
    """

    verdict: Verdict
    reason: str
    who: str
    again: bool = False

    def undecidable(self, entry: Entry) -> str | None:
        """Why this can't be decided of an entry, as a sentence without a subject; None if it can."""
        if self.verdict is Verdict.CONFIRM and not entry.is_cdr:
            return "is no CDR: only these are confirmed; resend sends the whole object, and needs no confirmation"
        resend = self.verdict is Verdict.RESEND
        if resend and entry.state is CdrState.DROPPED and not self.reason:
            return "is dropped: to send it after all takes a reason"
        if entry.state in DECIDABLE[self.verdict] or (entry.state is CdrState.DELIVERED and resend and self.again):
            return None
        match entry.state:
            case CdrState.IN_FLIGHT:
                return "is being posted just now: look at it again in a moment"
            case CdrState.PENDING:
                return "was not sent yet, or certainly not stored: it is tried by itself"
            case CdrState.DELIVERED if resend:
                return "is delivered: to send it again takes a reason, and a receiver that knows it by its id"
            case state:
                return f"is {state} already"


@frozen(kw_only=True)
class Book:
    """Reads the ledger and writes down what people decide. Every method raises NotDurable while the store is away."""

    store: Store
    codec: Codec
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    # Reading ----------------------------------------------------------------------------------------------------------

    async def links(self, configured: Iterable[str]) -> tuple[str, ...]:
        """Whom entries may be about: the links that are configured, and those that no file names any more."""
        return tuple(dict.fromkeys([*configured, *await self.store.receivers()]))

    async def entries(self, wanted: Wanted, *, bodies: bool = False) -> AsyncGenerator[Entry, None]:
        """The entries that are meant: link by link, its CDRs first, then what is set aside, then what is due.

        Args:
            bodies: with the objects themselves.
        """
        async with aclosing(self._rows(wanted, wanted.has)) as rows:
            async for entry in self._spelled(rows, bodies=bodies):
                yield entry

    async def find(self, id: str, wanted: Wanted) -> list[Entry]:
        """The entries of an object: one for each link that it is or was owed to.

        Args:
            id: without regard to case; of a token its uid, or what stands for it.
            wanted: which links, and whose objects; states and times don't matter.
        """
        if names := await self.names(id, wanted):
            entries = [entry for link in wanted.links for name in names async for entry in self._standing(link, name)]
        else:  # what stands for a token, or an object that isn't in the store any more
            everywhere = evolve(wanted, states=OPEN, since=None, until=None)
            has = partial(_goes_by, id=id)
            async with aclosing(self._rows(everywhere, lambda name: everywhere.has(name) and has(name))) as rows:
                entries = [entry async for entry in rows]
        return [entry async for entry in self._spelled(_each(entries))]

    async def names(self, id: str, wanted: Wanted) -> list[Name]:
        """The objects with this id that were ever said, whether or not they are owed to anybody."""
        modules = [module for module in OWED_MODULES if module is not Module.TOKENS]
        owners = await self.store.owners() if wanted.owner is None else [wanted.owner]
        able = [Name(module, owner, id) for owner in owners for module in modules]
        able += await self.store.tokens_by_uid(id)
        said = await self._said([name for name in able if wanted.has(name)])
        return [name for name, found in said.items() if found is not None]

    async def said(self, name: Name, link: str | None = None) -> dict[str, Any] | None:
        """The object as its owner said it last, to this link or in general; None if it isn't in the store any more."""
        said = await self.store.read(name, link)
        if said is None:
            return None
        return {
            "id": MASK.hash(name.id) if name.module is Module.TOKENS else said.id,
            "partner": said.source,
            "version": said.version,
            "at": stamp(said.at),
            "deleted": said.deleted,
            "body": self._body(name, said),
        }

    async def history(self, entry: Entry) -> list[dict[str, Any]]:
        """What has become of a CDR, the oldest change first, as far as it is kept."""
        return await self.told(await self.store.history(entry.link, entry.name)) if entry.is_cdr else []

    async def told(self, changes: Sequence[CdrChange]) -> list[dict[str, Any]]:
        """Changes of CDRs as others are told of them, ids as their owners spell them."""
        said = await self._said([change.name for change in changes])
        return [self._told(change, said[change.name]) for change in changes]

    def _told(self, change: CdrChange, said: Said | None) -> dict[str, Any]:
        return {
            "partner": change.link,
            "module": change.name.module.value,
            "owner": party_json(change.name.owner),
            "id": said.id if said else change.name.id,
            "from": change.former.value if change.former else None,
            "to": change.state.value,
            "reason": self._reason(change.name.module, said, change.reason) or None,
            "attempts": change.attempts,
            "who": change.who or None,
            "at": stamp(change.at),
        }

    async def _rows(self, wanted: Wanted, has: Callable[[Name], bool]) -> AsyncGenerator[Entry, None]:
        """The entries, but for how their owners spell their ids."""
        for link in wanted.links:
            async for entry in self._of_link(link, wanted):
                if has(entry.name) and wanted.takes(entry):
                    yield entry

    async def _of_link(self, link: str, wanted: Wanted) -> AsyncGenerator[Entry, None]:
        cdrs, objects = wanted.sources
        for done in (False, True):
            if cdrs and wanted.states & (DONE if done else OPEN):
                async with aclosing(self.store.cdr_entries(link, done=done)) as entries:
                    async for entry in entries:
                        yield _cdr(link, entry)
        if objects:
            for held in await self.store.held(link):
                yield _held(link, held)
            async with aclosing(self.store.owed_entries(link)) as all_due:
                async for due in all_due:
                    yield _due(link, due)

    async def _standing(self, link: str, name: Name) -> AsyncGenerator[Entry, None]:
        """Where one object stands towards one link."""
        if name.module is Module.CDRS:
            if cdr := await self.store.cdr_entry(link, name):
                yield _cdr(link, cdr)
        elif held := await self.store.held_entry(link, name):
            yield _held(link, held)
        elif due := await self.store.owed_entry(link, name):
            yield _due(link, due)

    async def _said(self, names: Sequence[Name]) -> dict[Name, Said | None]:
        """What was said of each, a page at a time; it is asked for once."""
        able, found = list(dict.fromkeys(names)), list[Said | None]()
        for start in range(0, len(able), _A_PAGE):
            found += await self.store.read_many(able[start : start + _A_PAGE])
        return dict(zip(able, found, strict=True))

    async def _spelled(self, rows: AsyncIterable[Entry], *, bodies: bool = False) -> AsyncGenerator[Entry, None]:
        """The same entries with ids as their owners spell them, and nothing in their words that isn't ours to tell."""
        async for page in _pages(rows):
            for link, entries in groupby(page, key=lambda entry: entry.link):
                of_link = list(entries)
                all_said = await self.store.read_many([entry.name for entry in of_link], link)
                for entry, said in zip(of_link, all_said, strict=True):
                    yield self._spelt(entry, said, bodies=bodies)

    def _spelt(self, entry: Entry, said: Said | None, *, bodies: bool) -> Entry:
        name = entry.name
        id = MASK.hash(name.id) if name.module is Module.TOKENS else said.id if said else entry.id
        body = self._body(name, said) if said and bodies else None
        return evolve(entry, id=id, reason=self._reason(name.module, said, entry.reason), body=body)

    def _body(self, name: Name, said: Said) -> Any:
        return self._masked(name.module, said, self.codec.loads(said.canonical))

    def _reason(self, module: Module, said: Said | None, reason: str) -> str:
        return str(self._masked(module, said, reason)) if reason and said else reason

    def _masked(self, module: Module, said: Said, value: Any) -> Any:
        """The value without what names the object's token or contract."""

        def masked() -> Any:
            declare_object(module, self.codec.loads(said.canonical))
            return _each_text(value)

        return copy_context().run(masked)  # what is declared for this object is forgotten with it

    # Deciding ---------------------------------------------------------------------------------------------------------

    async def decide(self, entry: Entry, decision: Decision) -> str | None:
        """Do what a person decided.

        Returns:
            None if it is done, else why not, as a sentence without a subject.
        """
        why = decision.undecidable(entry) or await self._decided(entry, decision)
        if why is None:
            log.info(
                "ledger.decided", partner=entry.link, module=entry.name.module, verdict=decision.verdict,
                former=entry.state, reason=decision.reason, who=decision.who,
            )  # fmt: skip
        return why

    async def owe_anew(self, link: str, name: Name) -> None:
        """An object that doesn't stand in the book of this link is owed to it: as a whole, whatever it has by now."""
        if name.module is not Module.CDRS:
            await self.store.take(link, name)  # as of now, nobody knows for sure what the receiver has
        await self.store.owe(link, name, self._now())

    async def _decided(self, entry: Entry, decision: Decision) -> str | None:
        if not entry.is_cdr and decision.verdict is Verdict.RESEND:
            await self.owe_anew(entry.link, entry.name)
            return None
        if not entry.is_cdr:
            return None if await self._drop(entry) else _FURTHER
        again = decision.verdict is Verdict.RESEND
        moved = await self.store.cdr_move(
            entry.link, entry.name, {entry.state}, BECOMES[decision.verdict], reason=decision.reason,
            at_ms=self._now() if again else None, digest="" if again else None, who=decision.who,
        )  # fmt: skip
        return None if moved else _FURTHER

    async def _drop(self, entry: Entry) -> bool:
        """The entry goes, if there is no newer reason to look; what is known of the receiver stays."""
        due = await self.store.owed_entry(entry.link, entry.name)
        if due is None:  # it is set aside: a reason to look brings it back, far from now
            due = Due(entry.name, await self.store.owe(entry.link, entry.name, _NEVER_MS), _NEVER_MS)
        return await self.store.dismiss(entry.link, due)

    def _now(self) -> int:
        return int(self.clock().timestamp() * 1000)


def party_json(party: Party) -> dict[str, str]:
    """A party as OCPI writes it."""
    return {"country_code": party.country_code, "party_id": party.party_id}


def stamp(ms: int | None) -> str | None:
    """A time as RFC 3339 writes it, in UTC, to the millisecond; None for none."""
    if ms is None:
        return None
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}Z"


def _goes_by(name: Name, id: str) -> bool:
    return fold(name.id) == fold(id) or (name.module is Module.TOKENS and MASK.hash(name.id) == id)


def _cdr(link: str, entry: CdrEntry) -> Entry:
    return Entry(
        link=link, name=entry.name, id=entry.name.id, state=entry.state, since=entry.moved, owed=entry.owed,
        attempts=entry.attempts, reason=entry.reason, at=entry.at, location=entry.location, who=entry.who,
    )  # fmt: skip


def _held(link: str, held: Held) -> Entry:
    refused = held.reason == CdrState.REFUSED
    state = CdrState.REFUSED if refused else CdrState.HELD
    return Entry(link=link, name=held.name, id=held.name.id, state=state, since=held.at, reason=held.detail)


def _due(link: str, due: Due) -> Entry:
    return Entry(link=link, name=due.name, id=due.name.id, state=CdrState.PENDING, since=due.at, at=due.at)


def _each_text(value: Any) -> Any:
    """The value with every string in it masked."""
    match value:
        case str():
            return MASK.text(value)
        case dict():
            return {name: _each_text(inner) for name, inner in value.items()}
        case list():
            return [_each_text(inner) for inner in value]
        case _:
            return value


async def _each(values: Sequence[T]) -> AsyncIterator[T]:
    for value in values:
        yield value


async def _pages(values: AsyncIterable[T]) -> AsyncGenerator[list[T], None]:
    page: list[T] = []
    async for value in values:
        page.append(value)
        if len(page) == _A_PAGE:
            yield page
            page = []
    if page:
        yield page
