"""What a peer saw and heard: every request with the answer it got, and everything that looked wrong.

A test says what it waits for and is woken by the request itself, after the peer has applied it. A wait that fails says
what came instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from attrs import define, evolve, field, frozen


@frozen(kw_only=True)
class Received:
    """A request that arrived, and how it was answered.

    Attributes:
        version: the version whose URL was called; the one that is spoken, where the URL doesn't say.
        path: as on the request line, still encoded, without the query.
        module: as in the version details; ``versions`` and ``details`` for those two, "" for a path nobody advertised.
        side: ``SENDER`` or ``RECEIVER``; "" where modules have none.
        segments: what follows the endpoint's own URL, decoded.
        query: decoded; the last value where a name is repeated.
        headers: with names in lower case.
        body: the JSON, None if there was none or it couldn't be read.
        raw: the body's bytes.
        at: when it arrived, UTC.
        number: which request of this peer's it is the result of (a command, a charging profile); 0 if it is none.
        http: the HTTP status of the answer.
        status_code: the OCPI status code of the answer.
    """

    method: str
    version: str
    path: str
    module: str
    side: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    raw: bytes
    at: datetime
    number: int = 0
    http: int = 0
    status_code: int | None = None

    def __str__(self) -> str:
        where = "/".join((self.module or self.path, *self.segments))
        return f"{self.method} {where} -> HTTP {self.http}, {self.status_code}"


@frozen(kw_only=True)
class Exchange:
    """The answer to a request that a peer made.

    Attributes:
        http: the HTTP status.
        status_code: the OCPI status code, None if the answer was no OCPI envelope.
        message: ``status_message``, "" if there was none.
        data: ``data`` of the envelope, None if there was none.
        headers: with names in lower case.
        raw: the body's bytes.
        number: of a command or a charging profile: which request of this peer's it was, counted from 1.
    """

    method: str
    url: str
    http: int
    status_code: int | None
    message: str
    data: Any
    headers: Mapping[str, str]
    raw: bytes
    number: int = 0

    @property
    def ok(self) -> bool:
        """Whether both layers say that it worked."""
        return 200 <= self.http < 300 and self.status_code is not None and 1000 <= self.status_code < 2000

    def __str__(self) -> str:
        return f"{self.method} {self.url} -> HTTP {self.http}, {self.status_code} {self.message}".rstrip()


@define(eq=False)
class Journal:
    """Everything one peer received, and its complaints about it."""

    name: str
    received: list[Received] = field(factory=list)
    complaints: list[str] = field(factory=list)
    _news: asyncio.Condition = field(factory=asyncio.Condition)

    def complain(self, about: str, what: str) -> None:
        self.complaints.append(f"{self.name}: {about}: {what}")

    async def record(self, received: Received, http: int, status_code: int | None) -> None:
        """Note a request that was dealt with, and wake whoever waits for it."""
        async with self._news:
            self.received.append(evolve(received, http=http, status_code=status_code))
            self._news.notify_all()

    async def wait_for(
        self,
        wanted: Callable[[Received], bool],
        what: str,
        *,
        count: int,
        after: int,
        timeout: float,  # noqa: ASYNC109 - the failure lists what did arrive
    ) -> Received:
        """The ``count``-th request that is wanted, the first ``after`` not counted, be it here or still to come.

        Raises:
            AssertionError: it didn't come within ``timeout`` seconds; the text lists what did.
        """

        def found() -> list[Received]:
            return [received for received in self.received[after:] if wanted(received)][count - 1 :]

        try:
            async with asyncio.timeout(timeout), self._news:
                await self._news.wait_for(lambda: bool(found()))
        except TimeoutError:
            arrived = "".join(f"\n  {received}" for received in self.received) or " nothing"
            raise AssertionError(f"{self.name}: no {what} within {timeout} s; what arrived:{arrived}") from None
        return found()[0]
