"""Pages of a feed, read and written: both envelopes, and the three ways to the next page.

The older endpoints (locations, ``prices``) have OCPI's envelope and at most 1,000 objects a page; the newer ones write
``status`` for ``status_code``, tell ``total`` and ``limit`` in the body, and have up to 10,000. We understand either
anywhere, and write both words where the newer shape is served.

The next page is where the ``Link`` says. Where there is none, the newer price endpoints go on after the last record
(``last_record``, the id of the last object of the page before), everything else by ``offset``. Not every server does
what is documented: if ``last_record`` brings the same page again, the crawl goes on by ``offset``. It ends with a page
that brings nothing new, with the total that was promised, or with a page that is shorter than what was asked for. A
``Link`` is followed whatever the totals say, but not for ever.

Nothing is read twice: an object that comes again on a later page, since the list moved under us, is passed over. One
that stands twice on the same page does so because the feed says it twice: that is passed over too, and told, and it
counts among those that were promised.

Source: the documentation of the data API (pagination). Spec: 2.1.1 ``transport_and_format``, Paginated Response.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from attrs import define, evolve, field, frozen

from adapters.pages import read_page, write_page
from gateway.model.errors import InvalidObject, ReceiverError
from gateway.model.facts import ABSENT
from gateway.model.message import HttpAnswer, Paged
from gateway.model.prices import Wanted
from gateway.model.urls import split

MOST_OLD: Final = 1_000
MOST_NEW: Final = 10_000
"""Objects a page has at most, and if nobody says how many."""

MOST_ROWS: Final = 1_000_000
"""Rows that a feed has at most; one with more leads nowhere."""

MOST_BARREN: Final = 100
"""Pages in a row that bring nothing new, each with a ``Link`` to the next: a list that moves under us has a few."""

ROW_ID: Final = ("id",)
CONNECTOR_ID: Final = ("location_id", "evse_uid", "connector_id")
"""The fields that make an id of a row."""

_SUCCESS: Final = 1000
_MOST_DIGITS: Final = 18


# --- reading --------------------------------------------------------------------------------------------------------


@frozen
class Page:
    """One page of a feed.

    Attributes:
        rows: its objects, as JSON values.
        headers: total, limit and next page, from headers or body; None where nobody said.
    """

    rows: list[Any]
    headers: Paged


def read_list(http: HttpAnswer, called: str) -> Page:
    """The page that an answer carries.

    Args:
        called: the URL that was called.

    Raises:
        ReceiverError: it is no success, or no list.
    """
    rows = _data(http)
    if not isinstance(rows, list):
        raise ReceiverError("a list was asked for, and the answer isn't one")
    headers = read_page(http.headers, called)
    total = headers.total if headers.total is not None else _count(http.body.get("total"))
    limit = headers.limit if headers.limit is not None else _count(http.body.get("limit"))
    return Page(rows, evolve(headers, total=total, limit=limit))


def _data(http: HttpAnswer) -> Any:
    if not 200 <= http.status <= 299:
        raise ReceiverError(f"HTTP {http.status}")
    if http.body is ABSENT:
        raise ReceiverError("an answer that can't be read as JSON (the log says what is wrong with it)")
    if not isinstance(http.body, dict):
        raise ReceiverError("an answer without an envelope")
    status = http.body.get("status_code", http.body.get("status"))
    if not _is_success(status):
        raise ReceiverError("an answer without a status of success")
    return http.body.get("data")


def _is_success(status: Any) -> bool:
    """Whether a word is one of success: OCPI's 1xxx, HTTP's 2xx, or "success" and "ok"."""
    if isinstance(status, str):
        if status.strip().lower() in ("success", "ok"):
            return True
        status = int(status) if status.isascii() and status.isdecimal() and len(status) <= _MOST_DIGITS else None
    return type(status) is int and (1000 <= status <= 1999 or 200 <= status <= 299)


def _count(given: Any) -> int | None:
    return given if type(given) is int and given >= 0 else None


@define
class Crawl:
    """The way through one list of a feed: pure, page by page.

    Attributes:
        url: of the list, as configured.
        limit: objects to ask for on a page.
        id_of: the fields that make an id of a row.
        cursor: whether the list goes on by ``last_record``: the newer ``prices`` do. Rows without a single id never.
        next: the URL to call next; None when the list is read.
        total: how many objects there are, as the last page that said so has it; None: nobody said.
        rows: how many were read, each counted as often as it stands on one page.
        doubles: the ids of those that stand on the page that was read last, and did so before on that page.
        slipped: whether rows may have been missed: the list became shorter between two of its pages, and what stood
            behind a row that went has moved up, before where the next page began. After a last record none is missed.
    """

    url: str
    limit: int
    id_of: tuple[str, ...] = ROW_ID
    cursor: bool = False
    next: str | None = None
    total: int | None = None
    rows: int = 0
    doubles: tuple[tuple[str, ...], ...] = ()
    slipped: bool = False
    _barren: int = field(default=0, init=False)
    _seen: set[int] = field(factory=set, init=False)
    _followed: set[str] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self.cursor = self.cursor and len(self.id_of) == 1
        self.next = with_parameters(self.url, limit=self.limit)

    @property
    def complete(self) -> bool:
        """Whether as much was read as was promised."""
        return self.next is None and (self.total is None or self.rows >= self.total)

    def take(self, http: HttpAnswer) -> list[Any]:
        """The answer to a call of ``next``: its rows that weren't read before; and ``next`` moves on.

        Raises:
            ReceiverError: it is no page, or leads nowhere: in a circle, to another host, beyond every feed.
        """
        assert self.next is not None, "the list is read"
        called = self.next
        self._followed.add(called)
        page = read_list(http, called)
        fresh = self._fresh(page)
        self.rows += len(fresh) + len(self.doubles)
        if (total := page.headers.total) is not None:
            by_number = "last_record=" not in called
            self.slipped |= by_number and self.total is not None and self.total > total
            self.total = total
        self._barren = 0 if fresh else self._barren + 1
        if self.rows > MOST_ROWS or self._barren > MOST_BARREN:
            raise ReceiverError("the pages of its list don't end")
        self.next = self._following(page, called, anything=bool(fresh))
        return fresh

    def _fresh(self, page: Page) -> list[Any]:
        """The rows that weren't read before; and ``doubles`` are those of this page."""
        fresh: list[Any] = []
        doubles: list[tuple[str, ...]] = []
        here: set[int] = set()
        for row in page.rows:
            ids = self._ids(row)
            known = hash(ids)  # a number for each of a million rows, not the row
            if ids is None or known not in self._seen:
                fresh.append(row)
                if ids is not None:
                    here.add(known)
                    self._seen.add(known)
            elif known in here:
                doubles.append(ids)
        self.doubles = tuple(doubles)
        return fresh

    def _ids(self, row: Any) -> tuple[str, ...] | None:
        """What a row is known by, as text: 1 is "1". One without an id can't be told from others, and counts: None."""
        ids = tuple(row.get(name) for name in self.id_of) if isinstance(row, dict) else (None,)
        return tuple(map(str, ids)) if all(isinstance(id, str | int) for id in ids) else None

    def _following(self, page: Page, called: str, *, anything: bool) -> str | None:
        if page.headers.next is not None:
            return self._own(page.headers.next)
        if not page.rows:
            return None
        if not anything:
            if not self.cursor:
                return None
            self.cursor = False  # it was passed over: the page before came again
        elif not self._goes_on(page):
            return None
        last = page.rows[-1].get(self.id_of[0]) if self.cursor and isinstance(page.rows[-1], dict) else None
        if isinstance(last, str) and last:
            return self._own(with_parameters(called, last_record=last, offset=None))
        return self._own(with_parameters(called, offset=self.rows, last_record=None))

    def _goes_on(self, page: Page) -> bool:
        """Whether there is another page, where no ``Link`` says so."""
        if self.total is not None and self.rows <= self.total:  # one that was exceeded is worth nothing
            return self.rows < self.total
        return len(page.rows) >= min(self.limit, page.headers.limit or self.limit)

    def _own(self, url: str) -> str:
        """The URL, if it is one of this list's that wasn't called before.

        A server behind a proxy may believe that it is called without TLS, and say so in its Links.
        """
        try:
            here = split(self.url)
            if here.scheme == "https" and url[:7].lower() == "http://":
                url = f"https://{url[7:]}"
            there = split(url)
        except ValueError as error:
            raise ReceiverError(f"the next page of its list is at {error}") from None
        if there != here:
            raise ReceiverError("the next page of its list is on another host, which our token isn't for")
        if url in self._followed:
            raise ReceiverError("the pages of its list lead in a circle")
        return url


def crawl_rows(url: str, limit: int, *, cursor: bool) -> Crawl:
    """Through a list whose rows have an id; ``cursor`` as of ``Crawl``."""
    return Crawl(url, limit, ROW_ID, cursor)


def crawl_connectors(url: str, limit: int) -> Crawl:
    """Through the newer shape's list of which price holds where."""
    return Crawl(url, limit, CONNECTOR_ID)


def with_parameters(url: str, **parameters: int | str | None) -> str:
    """A URL in which these parameters have these values; None: in which they aren't. The rest stays as spelled."""
    base, _, query = url.partition("?")
    kept = [part for part in query.split("&") if part and part.partition("=")[0] not in parameters]
    given = [f"{name}={quote(str(value), safe='')}" for name, value in parameters.items() if value is not None]
    return "?".join(filter(None, [base, "&".join([*kept, *given])]))


# --- writing --------------------------------------------------------------------------------------------------------


def read_wanted(parameters: Mapping[str, str], most: int) -> Wanted:
    """What the parameters of a request ask for; a limit above ``most`` counts as that.

    Raises:
        InvalidObject: a number that is none.
    """
    limit = _number(parameters, "limit", most)
    if limit == 0:
        raise InvalidObject("limit", "expected a number of objects, at least 1")
    return Wanted(
        limit=min(limit, most), offset=_number(parameters, "offset", 0), after=parameters.get("last_record") or None
    )


def _number(parameters: Mapping[str, str], name: str, otherwise: int) -> int:
    text = parameters.get(name, "")
    if not text:
        return otherwise
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        raise InvalidObject(name, "expected a whole number, not negative")
    return int(text)


def write_list(rows: Sequence[Any], page: Paged, *, new: bool) -> HttpAnswer:
    """A page of a list, all but its timestamp.

    Args:
        page: the total, the limit that was kept to, and the next page.
        new: with the newer envelope.
    """
    more = {"total": page.total, "limit": page.limit} if new else {}
    return HttpAnswer(status=200, headers=write_page(page), body=_envelope(list(rows), new=new) | more)


def write_one(row: Any, *, new: bool) -> HttpAnswer:
    """One object, all but its timestamp."""
    return HttpAnswer(status=200, body=_envelope(row, new=new))


def write_refusal(status: int, http: int, message: str, *, new: bool) -> HttpAnswer:
    """An answer that says why there is no data: an unknown price is 2001 with HTTP 404."""
    body: dict[str, Any] = {"status_code": status, "status_message": message}
    return HttpAnswer(status=http, body={"status": status, **body} if new else body)


def _envelope(data: Any, *, new: bool) -> dict[str, Any]:
    body = {"data": data, "status_code": _SUCCESS, "status_message": "Success"}
    return {"status": _SUCCESS, **body} if new else body
