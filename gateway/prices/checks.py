"""Whether what a reading has found is believed: pure.

A feed that breaks says nothing about prices, however well formed it is. So what would take most of them away isn't
believed until a person has looked: an empty list, one that has shrunken, prices that are named and missing. The reason
is what that person reads.
"""

from __future__ import annotations

from typing import Final

from gateway.prices.reading import Found
from gateway.prices.states import Report
from gateway.settings.files import Shape
from gateway.settings.prices import FeedSettings

_LISTS: Final = {"locations": "locations", "connector_prices": "connector prices", "prices": "prices"}
_A_HAIR: Final = 1e-9  # shares are floats: a fifth of 15 is a little more than 3


def refusal(found: Found, feed: FeedSettings, live: Report | None) -> str | None:
    """Why it isn't believed; None: it is.

    Args:
        live: what the live run came to, if it read lists of the same shape.
    """
    return _empty(found, feed) or (_shrunken(found, feed, live) if live else None) or _dangling(found, feed)


def _empty(found: Found, feed: FeedSettings) -> str | None:
    for name, spoken in _LISTS.items():
        if name == "connector_prices" and feed.shape is Shape.OLD:
            continue
        rows, readable = getattr(found.rows, name), getattr(found.readable, name)
        if not rows:
            return f"its list of {spoken} is empty"
        if not readable:
            return f"none of its {rows} {spoken} can be read"
    if not found.connectors:
        return "none of its connectors has a price"
    return None


def _shrunken(found: Found, feed: FeedSettings, live: Report) -> str | None:
    counts = [(spoken, getattr(live.rows, name), getattr(found.rows, name)) for name, spoken in _LISTS.items()]
    for spoken, before, now in (*counts, ("readable tariffs", live.tariffs.all, found.tariffs.all)):
        if before - now > feed.shrink * before + _A_HAIR:
            return f"it has {now} {spoken}, and had {before}: more than {feed.shrink:.0%} of them are gone"
    return None


def _dangling(found: Found, feed: FeedSettings) -> str | None:
    if found.dangling > feed.dangling * found.named + _A_HAIR:
        missing = f"{found.dangling} of the {found.named} prices that its connectors name aren't there"
        return f"{missing}: more than {feed.dangling:.0%}"
    return None
