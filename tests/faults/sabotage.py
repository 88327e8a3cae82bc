"""Planted bugs: each must turn the rig red, or the rig proves nothing.

They are what a tired engineer might do, made at the edges of the gateway (its store, its connections), so that they
stay in place when what lies between is written anew.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from attrs import evolve, frozen

from gateway.model.message import HttpAnswer, HttpRequest
from gateway.model.modules import Module
from gateway.model.names import Name
from gateway.store.redis import Store
from gateway.web.client import Outbound
from tests.faults.oracle import Verdict

_LATER_S: Final = 0.5


def _acknowledge_first() -> None:
    said, later = Store.say, set()

    async def write(store: Store, *args: Any, **named: Any) -> None:
        await asyncio.sleep(_LATER_S)
        await said(store, *args, **named)

    async def say(self: Store, name: Name, *args: Any, **named: Any) -> int:
        if name.module is not Module.CDRS:
            return await said(self, name, *args, **named)
        task = asyncio.create_task(write(self, name, *args, **named))
        later.add(task)
        task.add_done_callback(later.discard)
        return 1

    Store.say = say  # type: ignore[assignment, method-assign]


def _sent_as(change: Callable[[HttpRequest], HttpRequest]) -> None:
    """Each request leaves as something else."""
    sent = Outbound.send

    async def send(self: Outbound, request: HttpRequest, **named: Any) -> HttpAnswer:
        return await sent(self, change(request), **named)

    Outbound.send = send  # type: ignore[method-assign]


def _new_ids() -> None:
    seen: dict[str, int] = {}

    def change(request: HttpRequest) -> HttpRequest:
        if request.method != "POST" or not isinstance(request.body, dict) or "id" not in request.body:
            return request
        id = request.body["id"]
        seen[id] = seen.get(id, 0) + 1
        return request if seen[id] == 1 else evolve(request, body={**request.body, "id": f"{id}-{seen[id]}"})

    _sent_as(change)


def _redirects() -> None:
    asked = aiohttp.ClientSession._request

    async def request(self: aiohttp.ClientSession, *args: Any, **named: Any) -> aiohttp.ClientResponse:
        return await asked(self, *args, **{**named, "allow_redirects": True})

    aiohttp.ClientSession._request = request  # type: ignore[method-assign]


def _no_fence() -> None:
    tenures, told = itertools.count(os.getpid() << 20), Store.run
    mine: dict[str, int] = {}

    async def lease(self: Store, link: str, who: str, ms: int) -> int | None:
        """Everybody has it."""
        return mine.setdefault(link, next(tenures))

    async def release(self: Store, link: str, who: str) -> None:
        mine.pop(link, None)

    @asynccontextmanager
    async def lane(self: Store, link: str, name: Name, ms: int, **turn: int | None) -> AsyncIterator[None]:
        yield

    async def run(self: Store, name: str, keys: list[str], *args: Any) -> Any:
        """Nobody asks whose turn it is."""
        fenced = bool(keys) and keys[0].startswith(f"{self.keys.prefix}:fence:") and bool(args)
        return await told(self, name, keys, *(("", *args[1:]) if fenced else args))

    Store.lease = lease  # type: ignore[assignment, method-assign]
    Store.lane = lane  # type: ignore[method-assign]
    Store.release = release  # type: ignore[assignment, method-assign]
    Store.run = run  # type: ignore[assignment, method-assign]


def _drop_on_4xx() -> None:
    sent = Outbound.send

    async def send(self: Outbound, request: HttpRequest, **named: Any) -> HttpAnswer:
        answer = await sent(self, request, **named)
        if not 400 <= answer.status < 500:
            return answer
        return evolve(answer, status=200, body={"status_code": 1000, "timestamp": "2026-03-01T00:00:00Z"})

    Outbound.send = send  # type: ignore[method-assign]


def _new_times() -> None:
    def change(request: HttpRequest) -> HttpRequest:
        if not isinstance(request.body, dict) or "last_updated" not in request.body:
            return request
        return evolve(request, body={**request.body, "last_updated": "2026-11-21T12:00:00Z"})

    _sent_as(change)


def _one_pool() -> None:
    sent, places = Outbound.send, asyncio.Semaphore(4)

    async def send(self: Outbound, request: HttpRequest, **named: Any) -> HttpAnswer:
        async with places:
            return await sent(self, request, **named)

    Outbound.send = send  # type: ignore[method-assign]


def _talkative() -> None:
    def change(request: HttpRequest) -> HttpRequest:
        sys.stderr.write(f'{{"event": "sent", "headers": "{dict(request.headers)}"}}\n')
        return request

    _sent_as(change)


@frozen
class Bug:
    """What is wrong, how it gets in, and which scenario must find it as which violation.

    Attributes:
        hunt: the scenario, and how often its fault happens.
        found: violations of which at least one must be there.
    """

    what: str
    plant: Callable[[], None]
    hunt: tuple[str, int]
    found: tuple[str, ...]

    async def hunted(self, name: str, seed: int) -> Verdict:
        """What the scenario says of a gateway with this bug."""
        from tests.faults.scenarios import FAULTS  # which may be played by what is imported here

        scenario, repeats = self.hunt
        return await FAULTS[scenario](seed, repeats, ("--bug", name))


BUGS: Final[dict[str, Bug]] = {
    "ack_before_write": Bug("1000 before anything is stored", _acknowledge_first, ("F01", 1), ("I1",)),
    "new_id": Bug("a CDR that is posted again gets a new id", _new_ids, ("F13", 8), ("I2",)),
    "redirects": Bug("redirects are followed", _redirects, ("F14", 2), ("I1", "I2")),
    "no_fence": Bug("each replica thinks that it alone brings", _no_fence, ("F20", 1), ("I2", "I3", "I5", "I9")),
    "drop_on_4xx": Bug("HTTP 4xx ends a delivery as if it were done", _drop_on_4xx, ("F14", 2), ("I1",)),
    "new_times": Bug("last_updated is written anew", _new_times, ("F15", 1), ("I4",)),
    "one_pool": Bug("all partners share one pool of connections", _one_pool, ("F11", 1), ("I6",)),
    "token_in_log": Bug("each request is logged with its headers", _talkative, ("F15", 1), ("I14",)),
}
"""Eight of eight must be found."""
