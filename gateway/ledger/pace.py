"""When to try again: a pause that doubles for what failed, and a budget for all repetitions of a link.

What failed waits by itself: 5 s, then twice as long each time, up to 5 min (15 s for a backend), spread a little. So
one object that its receiver can't digest holds up no other. Where a file says ``push.retry``, its pause counts instead.

What is repeated comes on top of what is new, at the moment when a receiver has the least room for it. So within a
minute a link gets no more repetitions that fail than a tenth of its first attempts, and three in any case. One that
succeeds costs nothing, so that after an outage everything goes out at the link's own rate. Where a breaker is open,
its trials are all that goes out, and they have a pace of their own: no budget holds them up.

And a link that rejects our token rejects everything: all that it is owed rests with it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from attrs import define, field

from gateway.directory import Link
from gateway.model.names import Due, Name

FIRST_PAUSE_S: Final = 5.0
LONGEST_PAUSE_S: Final = 300.0
LONGEST_BACKEND_S: Final = 15.0
LONGEST_REFUSED_S: Final = 3600.0
"""Seconds between two attempts at most of what is refused and may be accepted later."""

FEWEST: Final = 3
SHARE: Final = 0.1
SOON_S: Final = 0.5
_WINDOW_S: Final = 60.0
_MOST_REMEMBERED: Final = 100_000


@define(eq=False)
class _Failure:
    """An object that couldn't be brought: when that happened first, how often in a row, and with which ticket last."""

    first: int
    count: int = 0
    ticket: int = 0
    late: bool = False


@define(eq=False)
class _Budget:
    """One link's attempts within a minute."""

    began: float = 0.0
    firsts: int = 0
    under_way: int = 0
    spent: int = 0

    @property
    def most(self) -> float:
        """Repetitions in vain, at most."""
        return max(FEWEST, self.firsts * SHARE)


@define(eq=False)
class Pace:
    """The pace of this process. What it remembers is speed, not truth: a restart begins anew."""

    clock: Callable[[], datetime]
    _budgets: dict[str, _Budget] = field(factory=dict, init=False)
    _resting: dict[str, tuple[float, float]] = field(factory=dict, init=False)
    _failed: dict[tuple[str, Name], _Failure] = field(factory=dict, init=False)

    # What failed ------------------------------------------------------------------------------------------------------

    def failures(self, link: str, name: Name) -> int:
        """How often in a row the object couldn't be brought."""
        failure = self._failed.get((link, name))
        return failure.count if failure else 0

    def repeats(self, link: str, due: Due) -> bool:
        """Whether an attempt would be one more for the same reason, rather than the first for a new one."""
        failure = self._failed.get((link, due.name))
        return failure is not None and failure.ticket == due.ticket

    def failed(self, link: str, due: Due) -> int:
        """It couldn't be brought. How long ago, in milliseconds, that happened first."""
        if len(self._failed) >= _MOST_REMEMBERED:
            self._failed.clear()
        failure = self._failed.setdefault((link, due.name), _Failure(ms(self.clock())))
        failure.count += 1
        failure.ticket = due.ticket
        return ms(self.clock()) - failure.first

    def first_time_late(self, link: str, name: Name) -> bool:
        """Whether nobody has been told yet that the object is late; from now on somebody has."""
        failure = self._failed.get((link, name))
        if failure is None or failure.late:
            return False
        failure.late = True
        return True

    def ended(self, link: str, name: Name) -> None:
        """It was brought, or won't be."""
        self._failed.pop((link, name), None)

    def later(self, link: Link, failures: int, *, longest: float = LONGEST_PAUSE_S) -> int:
        """When to try it again, in milliseconds since 1970.

        Args:
            failures: how often in a row it has failed by now, at least 1.
        """
        retry = link.dialect.policy.push_retry
        if retry is not None and retry.interval is not None:
            pause = retry.interval.total_seconds()
        else:
            longest = min(longest, LONGEST_BACKEND_S) if link.backend else longest
            pause = min(FIRST_PAUSE_S * 2.0 ** min(max(failures, 1) - 1, 32), longest)
        # Spread, not secret: so that many links don't come back in the same moment.
        return ms(self.clock()) + int(pause * random.uniform(0.8, 1.2) * 1000)  # noqa: S311

    # Those who don't know us ------------------------------------------------------------------------------------------

    def turned_away(self, link: str) -> None:
        """They don't accept our token: nothing is brought for a while, each time twice as long, up to 5 min."""
        until, pause = self._resting.get(link, (0.0, 0.0))
        if time.monotonic() >= until:
            pause = min(max(2 * pause, FIRST_PAUSE_S), LONGEST_PAUSE_S)
            self._resting[link] = time.monotonic() + pause, pause

    def admitted(self, link: str) -> None:
        """They do."""
        self._resting.pop(link, None)

    def rests(self, link: str) -> bool:
        """Whether nothing is brought to it now."""
        return link in self._resting and time.monotonic() < self._resting[link][0]

    def occasion(self, link: str) -> None:
        """They called in, or answer again: what was tried in vain before says nothing about now."""
        if link in self._resting:
            self._resting[link] = 0.0, self._resting[link][1]
        self._budget(link).spent = 0

    # The budget -------------------------------------------------------------------------------------------------------

    def begins(self, link: str, *, repeated: bool) -> bool:
        """Whether an attempt may begin now. A first one always may; the end of a repetition is to be told."""
        budget = self._budget(link)
        if not repeated:
            budget.firsts += 1
            return True
        if budget.spent + budget.under_way >= budget.most:
            return False
        budget.under_way += 1
        return True

    def repeated(self, link: str, *, in_vain: bool) -> None:
        """A repetition has ended."""
        budget = self._budget(link)
        budget.under_way = max(0, budget.under_way - 1)
        budget.spent += in_vain

    def next_chance(self, link: str) -> int:
        """When a repetition that may not begin now is looked at again, in milliseconds since 1970.

        When those under way have ended, or when the link's budget begins anew; spread a little.
        """
        budget = self._budget(link)
        left = max(budget.began + _WINDOW_S - time.monotonic(), 0) if budget.spent >= budget.most else SOON_S
        return ms(self.clock()) + int(left * random.uniform(1, 1.2) * 1000)  # noqa: S311 (spread)

    def _budget(self, link: str) -> _Budget:
        budget, now = self._budgets.setdefault(link, _Budget()), time.monotonic()
        if now - budget.began >= _WINDOW_S:
            budget.began, budget.firsts, budget.under_way, budget.spent = now, 0, 0, 0
        return budget


def ms(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return int(moment.timestamp() * 1000)
