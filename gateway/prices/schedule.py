"""When a feed is read: pure.

Feeds ask to be read in working hours, and not too often. So a feed is read when its last good run is old enough, and
after one that came to nothing with a pause that grows: each time as soon as its window is open. Whoever changes its
file doesn't wait for any of that.
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


def due(feed: FeedSettings, state: FeedState, now: datetime, since: datetime | None = None) -> datetime:
    """When it is read next, if its window is open then.

    Args:
        since: when its file was read: a run before that counts no more if the file has changed. None: it counts.
    """
    wanted = _wanted(feed, state, since)
    return wanted if feed.window is None else feed.window.opens(max(wanted, now))


def is_due(feed: FeedSettings, state: FeedState, now: datetime, since: datetime | None = None) -> bool:
    """Whether it is to be read now."""
    return due(feed, state, now, since) <= now


def written_down(feed: FeedSettings) -> str:
    """A digest of the file, its token included: another one is another try."""
    return hashlib.blake2b(f"{feed!r}{feed.token}".encode(), digest_size=12).hexdigest()


def _wanted(feed: FeedSettings, state: FeedState, since: datetime | None) -> datetime:
    changed = state.tried != written_down(feed)
    if state.failures and state.last is not None:
        if changed:
            return _AT_ONCE
        doublings: int = 2 ** min(state.failures - 1, _MOST_DOUBLINGS)
        pause = min(FIRST_PAUSE * doublings, LONGEST_PAUSE, feed.every)
        return moment_of(state.last.ended) + pause
    # Only a file that is newer than the run: two replicas with different files must not read it in turns.
    if state.good is None or (changed and since is not None and moment_of(state.good.ended) < since):
        return _AT_ONCE
    return moment_of(state.good.began) + feed.every
