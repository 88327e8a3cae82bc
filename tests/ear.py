"""Whoever ``events`` names: a small server that hears what becomes of CDRs, and has its bad days."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from gateway.demo.world import free_ports
from gateway.web.json import loads

Json = dict[str, Any]


class Ear:
    """Hears posts of changes on loopback.

    Attributes:
        status: what it answers. Only what was answered 2xx counts as heard.
        batches: the bodies that it has taken.
        missed: how many posts it hasn't.
        tokens: the Authorization headers that came along.
    """

    def __init__(self) -> None:
        (self._port,) = free_ports(1)
        self.status = 200
        self.batches: list[Json] = []
        self.missed = 0
        self.tokens: set[str] = set()
        self._news = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    @property
    def yaml(self) -> str:
        """The line of ``gateway.yaml`` that names it."""
        return f'events: {{url: "http://127.0.0.1:{self._port}/changes", token: {{value: token-of-the-ear}}}}\n'

    @property
    def changes(self) -> list[Json]:
        """All that it has heard, in order."""
        return [change for batch in self.batches for change in batch["changes"]]

    def states(self, partner: str, id: str) -> list[str]:
        """The states of one CDR in the order in which they came, each once: what is told twice is no news."""
        found = [change["to"] for change in self.changes if (change["partner"], change["id"]) == (partner, id)]
        return list(dict.fromkeys(found))

    async def until(self, met: Callable[[Ear], bool], within: float = 10.0) -> None:
        """Wait until it has heard that much.

        Raises:
            TimeoutError: it hasn't within so many seconds.
        """
        async with asyncio.timeout(within), self._news:
            await self._news.wait_for(lambda: met(self))

    async def up(self) -> None:
        app = web.Application()
        app.router.add_post("/changes", self._hear)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def down(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _hear(self, request: web.Request) -> web.Response:
        body = loads(await request.read())
        self.tokens.add(request.headers.get("Authorization", ""))
        async with self._news:
            if self.status < 300:
                self.batches.append(body)
            else:
                self.missed += 1
            self._news.notify_all()
        return web.Response(status=self.status)

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.down()
