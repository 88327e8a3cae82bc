"""Where a simulated platform is met: one port of loopback, which stays its own also while nobody answers there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

_CUT_S: Final = 0.1
_ROUNDS: Final = 5


class Door:
    """A listener that can go away and come back on the same port."""

    def __init__(
        self, serve: Callable[[web.Request], Awaitable[web.StreamResponse]], port: int, *, largest_body: int = 1 << 20
    ) -> None:
        """The port is not held yet.

        Args:
            serve: answers every request, whatever its path.
            port: 0 takes a free one.
            largest_body: bytes of a request's body; more is answered with 413.
        """
        self._serve = serve
        self._port = port
        self._largest_body = largest_body
        self._socket: socket.socket | None = None
        self._runner: web.AppRunner | None = None

    def hold(self) -> str:
        """Bound but not listening: nobody else gets the port, and connections to it are refused. Its URL."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self._port))
        self._port = self._socket.getsockname()[1]
        return f"http://127.0.0.1:{self._port}"

    async def up(self) -> None:
        """Listen, on the same port as before. Does nothing if it listens already, or the port isn't held."""
        if self._runner or not self._socket:
            return
        app = web.Application(client_max_size=self._largest_body)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CUT_S)
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()

    async def down(self) -> None:
        """Refuse connections, and cut those that are open. The port stays ours."""
        if self._runner and self._socket:
            # Whoever is just being let in is let in first: asyncio loses a connection that it has accepted when its
            # server closes before the loop has gone round (before Python 3.12).
            asyncio.get_running_loop().remove_reader(self._socket)
            for _ in range(_ROUNDS):
                await asyncio.sleep(0)
            await self._runner.cleanup()
            self._runner = None
            self.hold()

    def give_up(self) -> None:
        """The port is anybody's."""
        if self._socket:
            self._socket.close()
            self._socket = None
