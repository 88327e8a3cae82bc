"""The lists of a feed, page by page: asked for, tried again, and never taken for whole when they aren't.

A page that fails is asked for again a few times, with a pause that a busy server may lengthen (``Retry-After``). If
that doesn't help, the whole reading has failed: half a list says nothing about the other half.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from attrs import frozen

from gateway.model.errors import GatewayError, NotConnected, ReceiverError, ReceiverTimeout
from gateway.model.message import Headers, HttpAnswer, HttpRequest
from gateway.ports import Crawling
from gateway.settings.prices import FeedSettings

Fetch = Callable[[HttpRequest], Awaitable[HttpAnswer]]
"""One request to the feed's host. Raises NotConnected, ReceiverTimeout, ReceiverError."""

Progress = Callable[[str], None]
"""Is told how far a reading has come: ``locations: 3000 of 9123``."""

PAUSES: Final = (0.5, 2.0)
"""Seconds before a page that failed is asked for again."""

LONGEST_PAUSE_S: Final = 30.0
"""However long a server asks us to wait."""

_BUSY: Final = frozenset({429, 503})
_FOR_GOOD: Final = frozenset(range(400, 500)) - {408, 429}


class Torn(ReceiverError):
    """A list couldn't be read to its end."""


@frozen(kw_only=True)
class Pages:
    """Reads lists of one feed."""

    feed: FeedSettings
    fetch: Fetch
    progress: Progress

    async def of(self, name: str, crawl: Crawling) -> AsyncGenerator[list[Any], None]:
        """The rows of a list, a page at a time, each row once.

        Args:
            name: what a person calls the list.

        Raises:
            Torn: not all of it could be had.
        """
        while crawl.next is not None:
            yield await self._page(name, crawl)
            promised = f" of {crawl.total}" if crawl.total is not None else ""
            self.progress(f"{name}: {crawl.rows}{promised}")
        if not crawl.complete:
            raise Torn(f"{name}: {crawl.rows} rows came of the {crawl.total} that were promised")

    async def _page(self, name: str, crawl: Crawling) -> list[Any]:
        for pause in (*PAUSES, None):
            before = crawl.rows
            answer: HttpAnswer | None = None
            try:
                answer = await self.fetch(self._request(crawl))
                return crawl.take(answer)
            except (NotConnected, ReceiverTimeout, ReceiverError) as error:
                # A page whose rows were counted can't be read again: they would seem known.
                hopeless = crawl.rows != before or (answer is not None and answer.status in _FOR_GOOD)
                if pause is None or hopeless:
                    raise Torn(f"{name}, after {before} rows: {_reason(error, answer)}") from None
            await asyncio.sleep(pause if answer is None else max(pause, _asked_to_wait(answer)))
        raise AssertionError("the last try returns or raises")

    def _request(self, crawl: Crawling) -> HttpRequest:
        assert crawl.next is not None
        headers = Headers({"Authorization": f"{self.feed.scheme} {self.feed.token}"})
        return HttpRequest(method="GET", url=crawl.next, headers=headers)


def _reason(error: GatewayError, answer: HttpAnswer | None) -> str:
    if answer is not None and answer.status in (401, 403):
        return f"HTTP {answer.status}: our token doesn't open it"
    return error.message


def _asked_to_wait(answer: HttpAnswer) -> float:
    """Seconds that a busy server wants to be left alone, within limits."""
    given = answer.headers.get("Retry-After", "").strip() if answer.status in _BUSY else ""
    if given.isascii() and given.isdecimal():
        return min(float(given), LONGEST_PAUSE_S)
    try:
        until = parsedate_to_datetime(given)
        wait = (until - datetime.now(UTC)).total_seconds() if until.tzinfo else 0.0
    except ValueError:
        return 0.0
    return min(max(wait, 0.0), LONGEST_PAUSE_S)
