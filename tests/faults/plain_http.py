"""A small HTTP/1.1 server that can do what no good server does: stop in the middle, lie about lengths, reset.

It is as much of HTTP as a client needs that sends one request at a time with a Content-Length. What is written to a
connection is up to whoever answers, byte by byte.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Self

from attrs import define, field, frozen

_REASONS = {200: "OK", 201: "Created", 204: "No Content", 302: "Found", 307: "Temporary Redirect"}


@frozen
class Request:
    """One request as it came. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def segments(self) -> list[str]:
        return [part for part in self.path.partition("?")[0].split("/") if part]

    def json(self) -> Any:
        return json.loads(self.body)


Answerer = Callable[[Request, "Peer"], Coroutine[Any, Any, None]]


class Peer(asyncio.Protocol):
    """One connection of a client, and what may be done to it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._server.peers.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.peers.discard(self)
        self.gone.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._take()

    def _take(self) -> None:
        """The next request, if all of it is here and the one before is answered."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or (self._task is not None and not self._task.done()):
            return
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        total = end + 4 + int(headers.get("content-length", "0"))
        if len(self._buffer) < total:
            return
        method, path, _ = first.split(" ", 2)
        request = Request(method, path, headers, bytes(self._buffer[end + 4 : total]))
        del self._buffer[:total]
        self._task = asyncio.create_task(self._server.answerer(request, self))
        self._task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._server.mistakes.append(repr(error))
        self._take()

    def write(self, raw: bytes) -> bool:
        """Whether the other side was still there to be written to."""
        if self.gone.is_set() or self.transport.is_closing():
            return False
        self.transport.write(raw)
        return True

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bool:
        """A whole answer, at once."""
        return self.write(head(status, len(body), headers) + body)

    def close(self) -> None:
        """An end in good order."""
        self.transport.close()

    def reset(self) -> None:
        """An end by RST: what the other side hasn't read is lost."""
        if (sock := self.transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self.transport.abort()


def head(status: int, length: int, headers: Mapping[str, str] | None = None) -> bytes:
    """The beginning of an answer, up to its body."""
    named = {"Content-Type": "application/json", **(headers or {}), "Content-Length": str(length)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}\r\n{lines}\r\n".encode("latin-1")


@define(eq=False)
class Server:
    """Listens on loopback and hands each request to ``answerer``.

    Attributes:
        mistakes: what went wrong in the answerer itself: a fault of the rig.
    """

    answerer: Answerer
    port: int = 0
    peers: set[Peer] = field(factory=set, init=False)
    mistakes: list[str] = field(factory=list, init=False)
    _server: asyncio.Server | None = field(default=None, init=False)

    async def up(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Peer(self), "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def down(self) -> None:
        """No listener, no connection; the port is the same when it is up again."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for peer in list(self.peers):
            peer.cancel()
        await asyncio.sleep(0)
