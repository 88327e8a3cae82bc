"""What is known of a feed between two readings: one record for each feed, in the store.

A *run* is one reading of a feed from its first page to its last. What it read counts as soon as the record names it,
and not before: so a feed is what its last good run has told, however many came to nothing since.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import attrs
import msgspec
from attrs import evolve, field, frozen

from gateway.model.prices import Flag

RUN: Final = "prices-"
"""How the id of a run begins, and so the correlation id of whatever is said because of a feed."""

MOST_FLAGS: Final = 2_000
"""Flags that are kept of one run; all of them are counted."""


class Result(StrEnum):
    """How a run ended."""

    IMPORTED = "imported"
    REFUSED = "refused"  # everything was read, and isn't believed
    FAILED = "failed"  # not everything could be read
    DRY_RUN = "dry_run"  # it was only tried, and would have been imported


@frozen(kw_only=True)
class Rows:
    """How many rows each list of a feed had. The older shape has no list of connector prices."""

    locations: int = 0
    connector_prices: int = 0
    prices: int = 0


@frozen(kw_only=True)
class Tariffs:
    """The tariffs that a feed's prices are, beside those of the run before.

    Attributes:
        new: that weren't there before.
        kept: that were.
        retired: that were, and are no more.
    """

    new: int = 0
    kept: int = 0
    retired: int = 0

    @property
    def all(self) -> int:
        """How many there are now."""
        return self.new + self.kept


@frozen(kw_only=True)
class Report:
    """What one run came to.

    Attributes:
        partner: id of the feed's file.
        run: its own id.
        began, ended: in milliseconds since 1970.
        connectors: how many name at least one price that could be read.
        own_connectors: how many of ours have a price of the feed now; None while that wasn't looked at.
        flagged: what looks wrong or couldn't be read, at most ``MOST_FLAGS``.
        flags: how many there were.
        refused: why it doesn't count; None: it does.
    """

    partner: str
    run: str
    began: int
    ended: int
    result: Result
    rows: Rows = field(factory=Rows)
    tariffs: Tariffs = field(factory=Tariffs)
    connectors: int = 0
    own_connectors: int | None = None
    flagged: tuple[Flag, ...] = ()
    flags: int = 0
    refused: str | None = None

    @property
    def good(self) -> bool:
        """Whether what it read may count."""
        return self.refused is None

    def json(self) -> dict[str, Any]:
        """The report as a JSON value."""
        return {
            "partner": self.partner,
            "result": self.result.value,
            "rows": attrs.asdict(self.rows),
            "tariffs": attrs.asdict(self.tariffs),
            "connectors": self.connectors,
            "own_connectors": self.own_connectors,
            "flagged": [attrs.asdict(flag) for flag in self.flagged],
            "flags": self.flags,
            "refused": self.refused,
            "began": written(self.began),
            "ended": written(self.ended),
        }


class FeedState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a feed stands.

    Attributes:
        run: id of the live run; empty: nothing of the feed counts.
        good: what that run came to.
        shape: of the lists that it read: only those of one shape can be compared.
        last: what the last run came to.
        tried: digest of the file by which that one was read.
        failures: runs in a row that came to nothing.
        applied: digest of what the live run was laid on our own connectors by; empty: it wasn't yet.
        applied_at: when it was, in milliseconds since 1970.
        applying: the digest of a laying on that was begun and hasn't ended; empty: there is none.
        own_connectors: of how many connectors of ours it has prices.
        claimed: prices that couldn't be laid on, because their ids are others' tariffs.
        retire_at: when the next tariff that left the feed is to be deleted, in milliseconds since 1970; 0: none is.
    """

    run: str = ""
    good: Report | None = None
    shape: str = ""
    last: Report | None = None
    tried: str = ""
    failures: int = 0
    applied: str = ""
    applied_at: int = 0
    applying: str = ""
    own_connectors: int = 0
    claimed: tuple[Flag, ...] = ()
    retire_at: int = 0

    @property
    def report(self) -> Report | None:
        """What the last run came to; of the live one, with what came of it on our own connectors."""
        return self.live if self.last is not None and self.last.run == self.run else self.last

    @property
    def live(self) -> Report | None:
        """What the live run came to, with what came of it on our own connectors; None: nothing is live."""
        if self.good is None or not self.applied:
            return self.good
        return evolve(
            self.good,
            own_connectors=self.own_connectors,
            flagged=(*self.claimed, *self.good.flagged)[:MOST_FLAGS],
            flags=self.good.flags + len(self.claimed),
        )


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(FeedState).decode


def decode(packed: bytes | None) -> FeedState:
    """A state as it was kept; a new one where there is none."""
    return FeedState() if packed is None else _decode(packed)


def ms_of(moment: datetime) -> int:
    """A moment in milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def moment_of(ms: int) -> datetime:
    """Milliseconds since 1970 as a moment."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def written(ms: int) -> str:
    """Milliseconds since 1970 as a DateTime."""
    return f"{moment_of(ms):%Y-%m-%dT%H:%M:%SZ}"
