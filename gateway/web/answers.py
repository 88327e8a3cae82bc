"""Envelopes: from an error or an answer to the HTTP response, in the caller's version.

Every response under ``/ocpi`` carries an OCPI envelope, the router's own 404, 405 and 413 included; only what the HTTP
parser itself refuses is bare.

The items of a list go out as they come, so that a list may be larger than memory. By then its HTTP status is out, and
its readers believe what looks complete: a list that breaks off must be seen to be broken, so the connection is cut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

import structlog
from aiohttp import web

from gateway.listed import Ended
from gateway.model.dialect import Dialect
from gateway.model.errors import GatewayError, NotAllowed
from gateway.model.message import HttpAnswer, Message, Slices
from gateway.pipeline import answer_of
from gateway.ports import Adapter
from gateway.web.json import dumps

log = structlog.get_logger()

WRITE_S: Final = 60.0
"""Seconds that a reader may take to make room for the next items of a list."""

_JSON: Final = "application/json"


def timestamp() -> str:
    """Now, as an envelope says it. Spec: ``types`` DateTime, UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def respond(answer: HttpAnswer, *, ascii_only: bool = False, allow: tuple[str, ...] = ()) -> web.Response:
    """The aiohttp response for a written answer; the envelope gets its timestamp here."""
    headers = dict(answer.headers)
    if allow:
        headers["Allow"] = ", ".join(allow)
    if answer.status == 401:
        headers["WWW-Authenticate"] = "Token"
    return web.Response(
        status=answer.status,
        headers=headers,
        body=dumps(_stamped(answer), ascii_only=ascii_only),
        content_type=_JSON,
        charset="utf-8",
    )


def respond_list(
    answer: HttpAnswer, items: Slices, ended: Callable[[GatewayError], HttpAnswer], *, ascii_only: bool = False
) -> web.StreamResponse:
    """The aiohttp response for a written list, whose items go out as they come.

    Args:
        items: of ``answer``, which has the rest of the envelope.
        ended: the answer for an error with which the list's owner ended it.
    """
    return _ListResponse(answer, items, ended, ascii_only=ascii_only)


class _ListResponse(web.StreamResponse):
    """An envelope that is written around the items of a list while aiohttp finishes the response."""

    def __init__(
        self, answer: HttpAnswer, items: Slices, ended: Callable[[GatewayError], HttpAnswer], *, ascii_only: bool
    ) -> None:
        super().__init__(status=answer.status, headers=dict(answer.headers))
        self.content_type, self.charset = _JSON, "utf-8"
        self._answer = answer
        self._items = items
        self._ended = ended
        self._ascii_only = ascii_only

    async def write_eof(self, data: bytes = b"") -> None:
        """Write the envelope with all its items, and end the response; cut the connection where it breaks off.

        Raises:
            ConnectionError: it was cut, by us or by the reader. aiohttp takes that as the end of the connection.
        """
        try:
            rest = _stamped(await self._written())
        except (GatewayError, TimeoutError) as error:
            log.error("list.broken", reason=error.message if isinstance(error, GatewayError) else "its reader stalled")
            self._cut()
        except ConnectionError:
            raise  # the reader went away
        except Exception as error:
            log.exception("list.crashed", error=type(error).__name__)
            self._cut()
        await super().write_eof(b"]," + dumps(rest, ascii_only=self._ascii_only)[1:])

    async def _written(self) -> HttpAnswer:
        """Write the items; the answer whose body is the rest of the envelope."""
        await self._put(b'{"data":[')
        comma = b""
        async with aclosing(self._items) as slices:
            try:
                async for items in slices:
                    written = [dumps(item, ascii_only=self._ascii_only) for item in items]
                    if written:
                        await self._put(comma + b",".join(written))
                        comma = b","
            except Ended as ended:
                return self._ended(ended)
        return self._answer

    async def _put(self, data: bytes) -> None:
        async with asyncio.timeout(WRITE_S):
            await self.write(data)

    def _cut(self) -> NoReturn:
        # Not closed in order: without chunks (HTTP/1.0) that would be how a whole list ends.
        if self._req is not None and self._req.transport is not None:
            self._req.transport.abort()
        raise ConnectionResetError("a list broke off")


def _stamped(answer: HttpAnswer) -> Mapping[str, Any]:
    body = answer.body if isinstance(answer.body, dict) else {}
    return {**body, "timestamp": timestamp()}


def refuse(
    error: GatewayError, adapter: Adapter, message: Message | None = None, dialect: Dialect | None = None
) -> web.Response:
    """The response for an error, in the caller's version."""
    written = adapter.write_answer(answer_of(error), message, dialect)
    allow = error.allow if isinstance(error, NotAllowed) else ()
    return respond(written, allow=allow)
