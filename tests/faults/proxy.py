"""A TCP proxy that does to connections what networks do: slow, cut, silent.

It stands before a port and passes bytes on, both ways, each way with the same delay. What it is told to do counts from
that moment on, for connections that there are as well. Proxies know nothing of what passes.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from contextlib import suppress
from typing import Final, Self

from attrs import define, field

_PIECE: Final = 64 * 1024


@define(eq=False)
class Proxy:
    """Before one port of loopback.

    Attributes:
        port: where it listens.
        latency: seconds that each piece takes, one way; ``jitter``: seconds more, at most.
        bandwidth: bytes a second, each way of each connection; 0: no limit.
        hold: seconds by which answers begin later, besides.
        cut_after: bytes of answers after which connections are reset, or closed in good order with ``politely``; None:
            never. It happens once for each connection that gets so far, and counts in ``cuts``.
        silent: nothing is passed on any more and nothing is closed: a blackhole.
        half: what comes from the server ends, and its end isn't passed on.
    """

    target: int
    port: int = 0
    latency: float = 0.0
    jitter: float = 0.0
    bandwidth: float = 0.0
    hold: float = 0.0
    cut_after: int | None = None
    politely: bool = False
    silent: bool = False
    half: bool = False
    cuts: int = field(default=0, init=False)
    rng: random.Random = field(factory=lambda: random.Random(0))
    _server: asyncio.Server | None = field(default=None, init=False)
    _ways: dict[asyncio.Task[None], asyncio.StreamWriter] = field(factory=dict, init=False)
    _heard: asyncio.Event = field(factory=asyncio.Event, init=False)

    async def up(self) -> Self:
        self._heard.set()
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def down(self) -> None:
        """As if its machine were gone: whoever connects is refused."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.blackhole(False)
        self.reset()
        tasks = list(self._ways)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def blackhole(self, on: bool = True) -> None:
        """Nothing passes, in either direction; new connections are taken, and meet the same silence."""
        self.silent = on
        self._heard.clear() if on else self._heard.set()

    def reset(self) -> int:
        """RST to everybody who is connected; how many that were."""
        writers = set(self._ways.values())
        for writer in writers:
            _reset(writer)
        return len(writers)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._heard.wait()
        try:
            their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _reset(writer)
            return
        out = asyncio.create_task(self._pass(reader, their_writer, answers=False))
        back = asyncio.create_task(self._pass(their_reader, writer, answers=True))
        self._ways |= {out: their_writer, back: writer}
        await asyncio.wait({out, back}, return_when=asyncio.ALL_COMPLETED)
        for task in (out, back):
            del self._ways[task]
        for each in (writer, their_writer):
            each.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        passed = 0
        with suppress(OSError):
            while piece := await reader.read(_PIECE):
                await self._heard.wait()
                if (pause := self._pause(len(piece), answers=answers)) > 0:
                    await asyncio.sleep(pause)
                if answers and self.cut_after is not None and passed + len(piece) > self.cut_after:
                    self.cuts += 1
                    writer.write(piece[: max(0, self.cut_after - passed)])
                    writer.close() if self.politely else _reset(writer)
                    return
                passed += len(piece)
                writer.write(piece)
                await writer.drain()
            if not (answers and self.half):
                writer.write_eof()

    def _pause(self, size: int, *, answers: bool) -> float:
        pause = self.latency + (self.rng.uniform(0, self.jitter) if self.jitter else 0.0)
        if self.bandwidth:
            pause += size / self.bandwidth
        return pause + (self.hold if answers else 0.0)


def _reset(writer: asyncio.StreamWriter) -> None:
    """An end by RST: what was written before may be lost."""
    if (sock := writer.get_extra_info("socket")) is not None:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
