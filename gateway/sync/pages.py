"""From one page of a list to the next: pure.

The next page is where the ``Link`` says, whatever the totals say. Where there is none, and more is promised than was
read, we count; some peers want the id of the last object instead (``pull.next``). Three things go wrong in practice:

- *The list shrinks while it is read.* Everything behind the gap moves forward, and what stood at the end of the last
  page is never seen. The total tells: then the page is asked for again from as far before it as objects are missing
  (2.2.1 ``transport_and_format``, Paginated Response, advises just that). Where pages can't be counted, the crawl
  counts as unsteady.
- *It never ends.* A page that comes again, a ``Link`` that was followed before, pages with nothing on them and one more
  to follow: the crawl ends with an error. So does one that is longer than any list.
- *It leads astray.* A ``Link`` to another host ends the crawl: our token goes to nobody else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

from attrs import define, field, frozen
from msgspec.structs import replace

from gateway.directory import Link
from gateway.exchange import own_url
from gateway.model.errors import ReceiverError
from gateway.model.message import Paged
from gateway.model.urls import with_query
from gateway.sync.states import UNKNOWN, Crawl

MOST_PAGES: Final = 100_000
MOST_ITEMS: Final = 10_000_000
_EMPTY_PAGES: Final = 3
_MOVED: Final = 100  # as often as objects may go while a list is read, before its totals aren't believed any more

_BY_LINK: Final = "link"
_BY_ID: Final = "cursor:"


class Endless(ReceiverError):
    """A list that leads nowhere, or astray: what was read of it counts, and the next crawl begins anew."""


@frozen(kw_only=True)
class PageRead:
    """A page that was read to its end.

    Attributes:
        url: that was called.
        headers: what they say.
        items: how many stood on it.
        digest: of what stood on it.
        last_id: of the last object on it, where it has one.
    """

    url: str
    headers: Paged
    items: int
    digest: str
    last_id: str | None = None


@define(eq=False)
class Tally:
    """Counts what goes by on a page, and makes its digest."""

    items: int = 0
    last_id: str | None = None
    _hash: hashlib.blake2b = field(factory=lambda: hashlib.blake2b(digest_size=12))

    def add(self, item: bytes) -> None:
        """One more item, as it came."""
        self.items += 1
        self._hash.update(item)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


@define(eq=False)
class Path:
    """The way through one list.

    Attributes:
        by: ``pull.next`` of the link.
    """

    link: Link
    by: str
    _followed: set[bytes] = field(factory=set)

    def after(self, crawl: Crawl, page: PageRead) -> Crawl:
        """Where the crawl goes on after a page; ``done`` if that was the last one.

        Raises:
            Endless: nowhere.
        """
        repeated = page.items > 0 and page.digest == crawl.page
        shrunk = self._shrunk(crawl, page)
        counts = replace(crawl.counts, pages=crawl.counts.pages + 1, items=crawl.counts.items + page.items)
        total = UNKNOWN if page.headers.total is None else page.headers.total
        empty = 0 if page.items else crawl.empty + 1
        crawl = replace(crawl, counts=counts, total=total, empty=empty, page=page.digest)
        if counts.pages > MOST_PAGES or counts.items > MOST_ITEMS:
            raise Endless("the pages of its list don't end")
        if shrunk:
            if (place := offset_of(page.url)) is not None and crawl.moved < _MOVED:
                self._followed.clear()
                return self._back(crawl, page, max(0, place - shrunk))
            crawl = replace(crawl, steady=False)
        return self._forward(crawl, page, repeated=repeated)

    @staticmethod
    def _shrunk(crawl: Crawl, page: PageRead) -> int:
        """How many objects went while the page before was read."""
        if crawl.total == UNKNOWN or page.headers.total is None or offset_of(page.url) == 0:
            return 0
        return max(0, crawl.total - page.headers.total)

    @staticmethod
    def _back(crawl: Crawl, page: PageRead, place: int) -> Crawl:
        """The same page once more, from a little before it. What it has read already is known already."""
        return replace(
            crawl, url=with_parameter(page.url, "offset", str(place)), offset=place, moved=crawl.moved + 1, page=""
        )

    def _forward(self, crawl: Crawl, page: PageRead, *, repeated: bool) -> Crawl:
        if self.by.startswith(_BY_ID):
            return self._by_id(crawl, page, repeated=repeated)
        if page.headers.next is not None:
            return self._by_link(crawl, page.headers.next, page.url, repeated=repeated)
        if self.by == _BY_LINK:
            return replace(crawl, done=True)
        return self._by_counting(crawl, page, repeated=repeated)

    def _by_link(self, crawl: Crawl, following: str, called: str, *, repeated: bool) -> Crawl:
        url = own_url(following, self.link)
        here = hashlib.blake2b(called.encode(), digest_size=12).digest()
        digest = hashlib.blake2b(url.encode(), digest_size=12).digest()
        self._followed.add(here)
        if digest in self._followed or repeated:
            raise Endless("the pages of its list lead in a circle")
        if crawl.empty > _EMPTY_PAGES:
            raise Endless("there is nothing on the pages of its list, and always one more to follow")
        place = offset_of(url)
        return replace(crawl, url=url, offset=UNKNOWN if place is None else place)

    @staticmethod
    def _by_id(crawl: Crawl, page: PageRead, *, repeated: bool) -> Crawl:
        """The next page begins behind the last object of this one; the one that has none is the last."""
        if page.items == 0 or page.last_id is None:
            return replace(crawl, done=True)
        if repeated:
            raise Endless("the pages of its list are all the same")
        return replace(crawl, url="", offset=UNKNOWN, after=page.last_id)

    @staticmethod
    def _by_counting(crawl: Crawl, page: PageRead, *, repeated: bool) -> Crawl:
        """No Link: the last page, by the specification; but for those who don't write any, and promise more."""
        place, total = offset_of(page.url), page.headers.total
        following = (place or 0) + page.items
        page_size = min(crawl.limit, page.headers.limit or crawl.limit)
        promised = total is not None and following < total
        full = total is None and page.items == page_size
        if place is None or page.items == 0 or repeated or not (promised or full):
            # A total that is never reached may only count what we aren't shown; yet nobody can tell.
            steady = crawl.steady and not promised
            return replace(crawl, done=True, steady=steady)
        return replace(crawl, url=with_parameter(page.url, "offset", str(following)), offset=following)


def first_url(endpoint: str, crawl: Crawl, by: str, more: Mapping[str, str]) -> str:
    """The URL that ``endpoint``, written with the crawl's limit and dates, becomes for its next page."""
    url = with_query(endpoint, more) if more else endpoint
    if crawl.after and by.startswith(_BY_ID):
        url = with_parameter(url, by.removeprefix(_BY_ID), crawl.after)
    return url


def offset_of(url: str) -> int | None:
    """How many objects come before a page, by its URL; None where that says it in another way."""
    parameters = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    if not parameters.keys() & {"offset", "limit"}:
        return None
    text = parameters.get("offset", "0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def with_parameter(url: str, name: str, value: str) -> str:
    """A URL in which a parameter has this value; everything else stays as it is spelled."""
    base, _, query = url.partition("?")
    kept = [part for part in query.split("&") if part and part.partition("=")[0] != name]
    return f"{base}?{'&'.join([*kept, name + '=' + quote(value, safe='')])}"


def with_fewer(crawl: Crawl) -> Crawl | None:
    """The next page with half as many objects on it; None where it can't be asked for like that."""
    if crawl.limit <= 1:
        return None
    limit = crawl.limit // 2
    if not crawl.url:
        return replace(crawl, limit=limit)
    if "limit" not in dict(parse_qsl(urlsplit(crawl.url).query, keep_blank_values=True)):
        return None
    return replace(crawl, limit=limit, url=with_parameter(crawl.url, "limit", str(limit)))
