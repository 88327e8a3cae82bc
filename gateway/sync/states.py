"""What is known of a list that we read: how far, up to when, and when next. One record for each list, in the store.

A *crawl* is one reading of a list from its first page to its last. It is full, or goes from a date on; where it stands
is written down after each page, so that whoever comes next goes on from there.
"""

from __future__ import annotations

from typing import Final

import msgspec
from attrs import field, frozen

from gateway.model.modules import Module
from gateway.model.party import Party

UNKNOWN: Final = -1
"""Of a count or a place that nobody has told."""


@frozen
class Source:
    """A list of others that we read: what one party on one link owns of one module.

    Attributes:
        party: whose list it is; a hub's own, for that of all who are behind it.
    """

    link: str
    module: Module
    party: Party
    id: str = field(init=False)

    @id.default
    def _as_text(self) -> str:
        return f"{self.link}:{self.module}:{self.party}"


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the items of one reading.

    Attributes:
        pages, items: how many were read.
        stored: new or changed, and stored.
        same, older: known already: just so, or in a newer state.
        copies: taken from another link, where the same owner's objects come a better way.
        skipped: unreadable, or nobody's on this link.
        gone: no longer in the list, and so withdrawn.
    """

    pages: int = 0
    items: int = 0
    stored: int = 0
    same: int = 0
    older: int = 0
    copies: int = 0
    skipped: int = 0
    gone: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


class Crawl(msgspec.Struct, frozen=True, kw_only=True):
    """A reading under way.

    Attributes:
        id: its own; what was seen in it is noted under that.
        full: whether it reads the whole list, so that what isn't in it is gone.
        daily: whether it counts as the full one of the day.
        began: when, in milliseconds since 1970.
        over_there: the same by the clock of the platform that lists, as far as it tells.
        date_from: only objects that were updated since; empty: all.
        url: of the next page, as a Link or a cursor gave it; empty: it is counted by ``offset``.
        offset: objects before the next page; unknown where the pages are found by something else.
        after: id of the object behind which the next page begins, where pages are found like that.
        limit: objects on a page that we ask for.
        total: ``X-Total-Count`` of the last page.
        page: digest of the last page, by which a page that comes again is known.
        empty: pages in a row with nothing on them.
        moved: how often a page was asked for again because objects before it had gone.
        steady: whether nothing can have been missed.
        high: the latest last_updated that was seen, in milliseconds since 1970.
        done: whether the last page was read.
        counts: what became of what was read so far.
    """

    id: str
    full: bool
    daily: bool
    began: int
    over_there: int = UNKNOWN
    date_from: str = ""
    url: str = ""
    offset: int = 0
    after: str = ""
    limit: int = 100
    total: int = UNKNOWN
    page: str = ""
    empty: int = 0
    moved: int = 0
    steady: bool = True
    high: int = UNKNOWN
    done: bool = False
    counts: Counts = Counts()

    @property
    def clean(self) -> bool:
        """Whether what it hasn't seen isn't there: it read everything, and could read everything."""
        return self.full and self.done and self.steady and self.counts.skipped == 0


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Where a list stands.

    Attributes:
        registered: of which registration this is, in milliseconds since 1970: another one begins from the beginning.
        completed: when the last complete reading began, in milliseconds since 1970; 0: never.
        full: the same of the last full one.
        over_there: when the last complete reading began by the clock of the platform that lists.
        high: the latest last_updated that was ever seen.
        due: when it is read next, in milliseconds since 1970.
        wait: how long that was from the end of the last reading, in milliseconds; 0 after one that failed.
        failures: readings in a row that came to no end.
        error: why the last one did; empty: it didn't.
        refused: what a full reading found gone and wasn't believed; empty: nothing.
        last: what became of the last complete reading.
        crawl: the one that is under way.
    """

    registered: int = 0
    completed: int = 0
    full: int = 0
    over_there: int = UNKNOWN
    high: int = UNKNOWN
    due: int = 0
    wait: int = 0
    failures: int = 0
    error: str = ""
    refused: str = ""
    last: Counts = Counts()
    crawl: Crawl | None = None


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(State).decode


def decode(packed: bytes | None) -> State:
    """A state as it was stored; a new one where there is none."""
    return State() if packed is None else _decode(packed)
