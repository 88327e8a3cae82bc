"""Which part of a list an answer has, and how it tells where the next part is.

The limits are the feed's own: 1 to 1000 and 1000 unless asked for on its OCPI tree, 1 to 10000 and 10000 on the new
price endpoints. Only these understand ``last_record``, the id that the page before ended with. Where the next page is
stands in a ``Link``, which is written in many ways, or is for the reader to work out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal
from urllib.parse import quote, urlencode, urlsplit

from attrs import define, frozen

from gateway.demo.feed.stock import Listing

LinkStyle = Literal["plain", "typographic", "unquoted", "relative", "last_record", "loop", "elsewhere", "none"]
MOST_ON_OCPI_TREE: Final = 1000
MOST_ON_NEW: Final = 10_000


class BadQuery(ValueError):
    """A parameter of a list that means nothing."""


@frozen
class Page:
    """One page.

    Attributes:
        numbers: its rows.
        offset: how many rows are before it.
        limit: the most rows that it may have.
        total: how many rows there are in all, as it is told.
        link: the value of its ``Link``, None for none.
    """

    numbers: Sequence[int]
    offset: int
    limit: int
    total: int
    link: str | None

    @property
    def number(self) -> int:
        """Which page it is, counted from 1."""
        return self.offset // self.limit + 1


@define(eq=False)
class Paging:
    """How a feed cuts its lists. Anything may be changed while it runs.

    Attributes:
        link_style: ``plain``, as everybody writes it; ``typographic``, with the quotes of a word processor;
            ``unquoted``; ``relative``, without scheme and host; ``last_record``, with that cursor instead of an offset,
            where there is one; ``loop``, always the page that was asked for; ``elsewhere``, on another host; ``none``.
        elsewhere: that other host, with its scheme.
        cursors: the new endpoints understand ``last_record``; otherwise nobody tells that they don't.
        page_limit: the most rows on a page and the default, if fewer than the documentation says.
        total: told instead of the truth.
    """

    link_style: LinkStyle = "plain"
    elsewhere: str = "https://elsewhere.example"
    cursors: bool = True
    page_limit: int | None = None
    total: int | None = None

    def cut(self, listing: Listing, query: Mapping[str, str], url: str, *, new: bool) -> Page:
        """The page that was asked for. ``new``: on one of the new endpoints. Raises BadQuery."""
        most = min(MOST_ON_NEW if new else MOST_ON_OCPI_TREE, self.page_limit or MOST_ON_NEW)
        limit = min(_whole(query, "limit", most, least=1), most)
        offset = self._offset(listing, query, new=new)
        numbers = listing.numbers[offset : offset + limit]
        total = len(listing.numbers)
        link = self._link(listing, query, url, offset, limit, new=new) if offset + limit < total else None
        return Page(numbers, offset, limit, total if self.total is None else self.total, link)

    def _offset(self, listing: Listing, query: Mapping[str, str], *, new: bool) -> int:
        if not (new and self.cursors and "last_record" in query):
            return _whole(query, "offset", 0, least=0)
        try:
            following = listing.after(query["last_record"])
        except ValueError as error:
            raise BadQuery(f"last_record {query['last_record']} is unknown") from error
        return max(0, min(following, len(listing.numbers)))

    def _link(
        self, listing: Listing, query: Mapping[str, str], url: str, offset: int, limit: int, *, new: bool
    ) -> str | None:
        if self.link_style == "none":
            return None
        kept = {name: value for name, value in query.items() if name not in ("offset", "last_record")}
        if self.link_style == "last_record" and new:
            place = {"last_record": listing.cursor(listing.numbers[offset + limit - 1])}
        else:
            place = {"offset": str(offset if self.link_style == "loop" else offset + limit)}
        target = f"{url}?{urlencode(kept | {'limit': str(limit)} | place, quote_via=quote)}"
        if self.link_style == "relative":
            target = urlsplit(target)._replace(scheme="", netloc="").geturl()
        if self.link_style == "elsewhere":
            target = self.elsewhere + urlsplit(target)._replace(scheme="", netloc="").geturl()
        rel = {"typographic": "”next”", "unquoted": "next"}.get(self.link_style, '"next"')
        return f"<{target}>; rel={rel}"


def _whole(query: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal()) or int(text) < least:
        raise BadQuery(f"{name} is {text}")
    return int(text)
