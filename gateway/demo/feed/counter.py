"""What a feed answers: one GET at a time, to who has the key, as it should or as badly as was asked for.

The OCPI tree (locations, old prices) wraps data in OCPI's envelope and tells numbers in headers; the new endpoints have
an envelope of their own, with ``status``, ``total`` and ``limit``. Both write the time without a zone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, Literal
from urllib.parse import unquote

from aiohttp import web
from attrs import define, field, frozen

from gateway.demo.feed.pages import Page, Paging
from gateway.demo.feed.rows import estranged
from gateway.demo.feed.stock import Listing, ListName, Stock
from gateway.demo.journal import Journal, Received

Scheme = Literal["Token", "Bearer"]
Mishap = Literal["error", "busy", "cut", "garbage", "half", "html", "refused", "no_data", "silence"]

TREE: Final = "/api/ocpi/cpo"
CONNECTOR_PRICES: Final = "/prices/connector_prices"
PRICES: Final = "/prices"
VERSIONS: Final = ("2.1.1", "2.2")
_CHUNK: Final = 100
_HTML: Final = b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body>We will be back.</body></html>"


@define
class Fault:
    """Something to go wrong, or to be done, at the next ``times`` requests for a page of a list.

    Attributes:
        page: which page, counted from 1; None for any, single objects included.
        how: what goes wrong; None for nothing.
        first: what happens before the page is made.
    """

    name: ListName
    page: int | None
    how: Mishap | None
    times: int
    first: Callable[[], None] | None = None

    def takes(self, name: str, page: int | None) -> bool:
        return self.times > 0 and self.name == name and self.page in (None, page)


@frozen
class _Place:
    """What a path means: a list, in a version ("" for the new endpoints), and the id of one row of it if any."""

    name: ListName
    version: str
    id: str | None


@frozen
class _Told:
    """An answer before it is written: the envelope's ``data``, or a list that is written row by row."""

    http: int = 200
    code: int = 1000
    message: str = "Success"
    data: Any = None
    rows: Iterator[object] | None = None
    page: Page | None = None


@define(eq=False)
class Counter:
    """The incoming side of a feed.

    Attributes:
        key: what opens it.
        scheme: how the key must be presented; None for either way.
        delay: seconds that each answer takes longer.
    """

    key: str
    scheme: Scheme | None
    stock: Stock
    paging: Paging
    journal: Journal
    base_url: str = ""
    delay: float = 0.0
    faults: list[Fault] = field(factory=list)
    _closing: asyncio.Event = field(factory=asyncio.Event)

    def close(self) -> None:
        """Let go of whoever waits for an answer that never comes."""
        self._closing.set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, and note it before the answer goes."""
        place = _locate(request.raw_path.partition("?")[0])
        fault = self._fault(place, request)
        if fault and fault.first:
            fault.first()
        told = _MISHAPS.get(fault.how or "") if fault else None
        told = told or self._answer(place, request)
        await self.journal.record(_received(request, place), told.http, told.code)
        await asyncio.sleep(self.delay)
        if fault and fault.how == "silence":
            await self._closing.wait()
        if fault and fault.how == "cut" and told.rows is None and request.transport:
            request.transport.abort()
        spoiled = _BODIES.get(fault.how or "") if fault else None
        if spoiled:
            kind, body = spoiled
            return web.Response(status=told.http, body=body, content_type=kind)
        return await self._write(request, place, told, cut=bool(fault and fault.how == "cut"))

    def _fault(self, place: _Place | None, request: web.Request) -> Fault | None:
        if place is None:
            return None
        page: int | None = None
        if place.id is None:
            with suppress(ValueError):
                page = self._page(place, request)[1].number
        fault = next((fault for fault in self.faults if fault.takes(place.name, page)), None)
        if fault:
            fault.times -= 1
        return fault

    # Working out the answer

    def _answer(self, place: _Place | None, request: web.Request) -> _Told:
        if place is None:
            return _Told(404, 2000, "Not found")
        if not self._admits(request.headers.get("Authorization", "")):
            return _Told(401, 2001, "Unauthorized")
        if request.method != "GET":
            return _Told(405, 2000, "Method not allowed")
        if place.id is not None:
            found = self.stock.one(place.name, place.version, place.id)
            return _Told(404, 2001, "Unknown id") if found is None else _Told(data=found)
        try:
            listing, page = self._page(place, request)
        except ValueError as error:
            return _Told(400, 2001, str(error))
        return _Told(rows=(listing.make(number) for number in page.numbers), page=page)

    def _page(self, place: _Place, request: web.Request) -> tuple[Listing, Page]:
        listing = self.stock.listing(place.name, place.version, request.query)
        url = self.base_url + request.path
        return listing, self.paging.cut(listing, request.query, url, new=not place.version)

    def _admits(self, authorization: str) -> bool:
        scheme, _, key = authorization.partition(" ")
        return key == self.key and scheme in ((self.scheme,) if self.scheme else ("Token", "Bearer"))

    # Writing it

    async def _write(self, request: web.Request, place: _Place | None, told: _Told, *, cut: bool) -> web.StreamResponse:
        """Row by row, so that no list is ever held. ``cut``: the connection breaks half way through."""
        new = place is not None and not place.version
        envelope = self._envelope(told, new=new)
        if told.rows is None:
            return web.json_response(envelope | ({} if told.data is None else {"data": told.data}), status=told.http)
        response = web.StreamResponse(status=told.http, headers=_headers(told.page, new=new))
        response.content_type = "application/json"
        await response.prepare(request)
        before = json.dumps(envelope)[:-1] + ', "data": ['
        left = len(told.page.numbers) // 2 if cut and told.page else None
        rows = islice(told.rows, left)
        while chunk := [json.dumps(row) for row in islice(rows, _CHUNK)]:
            await response.write(f"{before}{','.join(chunk)}".encode())
            before = ","
            await asyncio.sleep(0)
        if cut and request.transport:
            await response.write(b"," if before == "," else before.encode())
            request.transport.abort()
            return response
        await response.write(b"]}" if before == "," else f"{before}]}}".encode())
        return response

    def _envelope(self, told: _Told, *, new: bool) -> dict[str, Any]:
        timestamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        if new:
            envelope: dict[str, Any] = {"timestamp": timestamp, "status": told.code}
            envelope |= {"total": told.page.total, "limit": told.page.limit} if told.page else {}
        else:
            envelope = {"timestamp": timestamp, "status_code": told.code, "status_message": told.message}
        strange: dict[str, Any] = estranged(envelope) if self.stock.habits.strange else envelope
        return strange


_MISHAPS: Final[dict[str, _Told]] = {
    "error": _Told(500, 3000, "Internal error"),
    "busy": _Told(429, 2000, "Too many requests"),
    "refused": _Told(200, 3000, "Come back later"),
    "no_data": _Told(200, 1000, "Success"),
    "garbage": _Told(),
    "half": _Told(),
    "html": _Told(),
    "silence": _Told(),
}
_BODIES: Final[dict[str, tuple[str, bytes]]] = {
    "garbage": ("application/json", b"\x00\xff\xfe not json {{{"),
    "half": ("application/json", b'{"timestamp": "2026-01-05T08:00:00", "status_code": 1000, "data": [{"id'),
    "html": ("text/html", _HTML),
}


def _headers(page: Page | None, *, new: bool) -> dict[str, str]:
    if page is None:
        return {}
    headers = {"Link": page.link} if page.link else {}
    return headers if new else headers | {"X-Total-Count": str(page.total), "X-Limit": str(page.limit)}


def _locate(path: str) -> _Place | None:
    """With and without a slash at the end."""
    path = path.rstrip("/")
    if path == CONNECTOR_PRICES:
        return _Place("connector_prices", "", None)
    if path == PRICES or (path.startswith(f"{PRICES}/") and path.count("/") == 2):
        return _Place("prices", "", unquote(path[len(PRICES) + 1 :]) or None)
    for version in VERSIONS:
        names: tuple[ListName, ...] = ("locations", "prices") if version == "2.1.1" else ("locations",)
        for name in names:
            head = f"{TREE}/{version}/{name}"
            if path == head or (path.startswith(f"{head}/") and path.count("/") == head.count("/") + 1):
                return _Place(name, version, unquote(path[len(head) + 1 :]) or None)
    return None


def _received(request: web.Request, place: _Place | None) -> Received:
    return Received(
        method=request.method,
        version=place.version if place else "",
        path=request.raw_path.partition("?")[0],
        module=place.name if place else "",
        side="SENDER" if place else "",
        segments=(place.id,) if place and place.id else (),
        query=dict(request.query),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=None,
        raw=b"",
        at=datetime.now(UTC),
    )
