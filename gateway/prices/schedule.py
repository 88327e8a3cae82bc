"""When a feed is read: pure.

Feeds ask to be read in working hours, and not too often. So a feed is read when its last good run is old enough, and
after one that came to nothing with a pause that grows: each time as soon as its window is open. Whoever corrects its
file doesn't wait for that pause.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.prices.states import FeedState, moment_of
from gateway.settings.prices import FeedSettings

FIRST_PAUSE: Final = timedelta(minutes=5)
LONGEST_PAUSE: Final = timedelta(hours=6)
_MOST_DOUBLINGS: Final = 16

_AT_ONCE: Final = datetime(1970, 1, 1, tzinfo=UTC)


def due(feed: FeedSettings, state: FeedState, now: datetime) -> datetime:
    """When it is read next, if its window is open then."""
    wanted = _wanted(feed, state)
    return wanted if feed.window is None else feed.window.opens(max(wanted, now))


def is_due(feed: FeedSettings, state: FeedState, now: datetime) -> bool:
    """Whether it is to be read now."""
    return due(feed, state, now) <= now


def written_down(feed: FeedSettings) -> str:
    """A digest of the file, its token included: another one is another try."""
    return hashlib.blake2b(f"{feed!r}{feed.token}".encode(), digest_size=12).hexdigest()


def _wanted(feed: FeedSettings, state: FeedState) -> datetime:
    if state.failures and state.last is not None:
        if state.tried != written_down(feed):
            return _AT_ONCE
        doublings: int = 2 ** min(state.failures - 1, _MOST_DOUBLINGS)
        pause = min(FIRST_PAUSE * doublings, LONGEST_PAUSE, feed.every)
        return moment_of(state.last.ended) + pause
    if state.good is None:
        return _AT_ONCE
    return moment_of(state.good.began) + feed.every
