"""When a list is read, and how much of it: pure.

A list is read as a whole soon after its link has registered, then as often as the link's file says, from the last
watermark on, and once a night as a whole again, because a delta can miss what a platform dates wrongly. Each list has
its own minute of the night, so that they don't all come at once. What grows for ever (sessions, CDRs) isn't read as a
whole each night, but a week back.
"""

from __future__ import annotations

import random
import re
import zlib
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Self
from zoneinfo import ZoneInfo

from attrs import frozen

from gateway.model.modules import Module
from gateway.model.policy import Policy
from gateway.model.window import days_of
from gateway.sync.states import UNKNOWN, Source, State

OVERLAP: Final = timedelta(minutes=5)
"""How far a delta goes back behind its watermark: platforms aren't exact about when a change can be listed."""

LOOK_BACK: Final = timedelta(days=7)
"""How far the nightly reading of what grows for ever goes back."""

ABANDONED: Final = timedelta(hours=24)
"""A crawl that hasn't come to an end by then begins anew."""

FIRST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(minutes=5)

_SPREAD: Final = 0.1
_GROWS: Final = frozenset({Module.SESSIONS, Module.CDRS})
_NIGHT_FROM: Final = 1  # o'clock
_NIGHT_MINUTES: Final = 4 * 60
_NOT_AGAIN: Final = timedelta(hours=12)
_ALMOST_A_DAY: Final = timedelta(hours=20)
_EARLIEST: Final = "1970-01-01T00:00:00Z"
_WINDOW: Final = re.compile(r"(?:(?P<days>[a-z,-]+) )?(?P<from>\d\d:\d\d)-(?P<to>\d\d:\d\d)")


class Scope(StrEnum):
    """How much of a list is read."""

    FULL = "full"
    NIGHTLY = "nightly"
    DELTA = "delta"
    REST = "rest"  # what is left of a crawl that is under way


@frozen
class Window:
    """Days and hours of a week. One that ends before it begins goes over midnight, and counts as the day it begins."""

    days: frozenset[int]
    begins: int
    ends: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """``mon-fri 09:00-17:00``; the days may be left out. Raises ValueError."""
        found = _WINDOW.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} are no days and hours")
        days = frozenset(range(7)) if found["days"] is None else days_of(found["days"])
        return cls(days, _minutes(found["from"]), _minutes(found["to"]))

    def __contains__(self, local: datetime) -> bool:
        """Whether it is open at a local time."""
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.begins < self.ends:
            return day in self.days and self.begins <= minute < self.ends
        return (day in self.days and minute >= self.begins) or ((day - 1) % 7 in self.days and minute < self.ends)


@frozen(kw_only=True)
class Plan:
    """When one list is read.

    Attributes:
        every: how often.
        registered: when its link was registered, in milliseconds since 1970.
        zone: in which nights and windows are told.
    """

    source: Source
    every: timedelta
    registered: int
    policy: Policy
    zone: ZoneInfo

    def now(self, state: State, now: datetime) -> Scope | None:
        """How much of the list is to be read now; None: nothing."""
        local = now.astimezone(self.zone)
        if self.policy.pull_window is not None and local not in Window.parse(self.policy.pull_window):
            return None
        if state.registered != self.registered:
            return Scope.FULL
        due = moment_of(self.due(state))
        if state.failures and now < due:
            return None
        if state.crawl is not None and now - moment_of(state.crawl.began) < ABANDONED:
            return Scope.REST
        if state.full and self._of_the_night(state, now, local):
            return Scope.NIGHTLY
        if now < due:
            return None
        if not state.full:
            return Scope.FULL
        return Scope.FULL if self.policy.sync_delta_by == "full" else Scope.DELTA

    def _of_the_night(self, state: State, now: datetime, local: datetime) -> bool:
        since = now - moment_of(state.full)
        if self.policy.pull_window is not None:  # whatever its hours are: they are the other side's idea of off-peak
            return since > _ALMOST_A_DAY
        minute = (local.hour - _NIGHT_FROM) * 60 + local.minute
        own = zlib.crc32(self.source.id.encode()) % _NIGHT_MINUTES
        return own <= minute < _NIGHT_MINUTES and since > _NOT_AGAIN

    def due(self, state: State) -> int:
        """When it is read next, in milliseconds since 1970: sooner than was settled, if ``every`` is shorter by now."""
        longest = int(self.every * (1 + _SPREAD) / timedelta(milliseconds=1))
        return state.due - max(0, state.wait - longest)

    def reads_all(self, scope: Scope) -> bool:
        """Whether what isn't in it then is gone."""
        return scope is Scope.FULL or (scope is Scope.NIGHTLY and self.source.module not in _GROWS)

    def date_from(self, scope: Scope, state: State, now: datetime) -> str:
        """From which last_updated on the list is read; empty: as a whole.

        Sessions always have one: their lists require it (2.2.1 and 2.1.1 ``mod_sessions``, GET of the Sender).
        """
        grows = self.source.module in _GROWS
        since: datetime | None = None
        if scope is Scope.DELTA:
            mark = state.over_there if self.policy.sync_delta_by == "hub_time" else state.high
            since = moment_of(mark) - OVERLAP if mark != UNKNOWN else None
        elif scope is Scope.NIGHTLY and grows:
            since = now - LOOK_BACK
        if since is not None:
            return f"{since:%Y-%m-%dT%H:%M:%SZ}"
        return _EARLIEST if self.source.module is Module.SESSIONS else ""

    def after_success(self, now: datetime) -> int:
        """When it is due next, in milliseconds since 1970; within a tenth earlier or later, so that lists spread."""
        return ms_of(now + self.every * random.uniform(1 - _SPREAD, 1 + _SPREAD))  # noqa: S311 (spread, not secret)

    def after_failure(self, failures: int, now: datetime) -> int:
        """When it is tried again, in milliseconds since 1970: later each time, within limits."""
        pause = min(FIRST_PAUSE * 2 ** min(failures - 1, 16), LONGEST_PAUSE, self.every)
        return ms_of(now + pause * random.uniform(0.8, 1.2))  # noqa: S311


def moment_of(ms: int) -> datetime:
    """Milliseconds since 1970 as a moment."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def ms_of(moment: datetime) -> int:
    """A moment in milliseconds since 1970."""
    return int(moment.timestamp() * 1000)


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)
