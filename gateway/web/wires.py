"""The connections to every link, with their tokens.

A link has several pools of connections, so that no kind of exchange queues behind another: a flood of pushes doesn't
starve authorizations, a CDR endpoint that hangs holds up CDRs alone, and a pull of a hundred thousand tokens nobody.

An answer of 401 says something about our token, and nothing about what was sent with it: that wasn't acted upon, and
is as good as unsent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from attrs import define, evolve

from gateway.model.errors import GatewayError, NotAdmitted
from gateway.model.message import Headers, HttpAnswer, HttpRequest
from gateway.ports import Incoming, Way
from gateway.registered import Links
from gateway.settings import LinkSettings
from gateway.web.client import Egress, Outbound
from gateway.web.identity import authorization

_RETIRED_S: Final = 30.0
"""Seconds for which connections that were replaced may still be in use: longer than any one request."""


@define(eq=False)
class _Pools:
    """The pools of one link, and by what they were made."""

    egress: Egress
    handshaking: Outbound
    by_way: Mapping[Way, Outbound]

    @classmethod
    def of(cls, egress: Egress) -> _Pools:
        pools = {way: Outbound(egress) for way in Way}
        return cls(egress, Outbound(evolve(egress, once=True)), pools)

    def __iter__(self) -> Iterator[Outbound]:
        yield from self.by_way.values()
        yield self.handshaking

    async def aclose(self) -> None:
        for outbound in self:
            await outbound.aclose()


class Wires:
    """Sends to links: see ``gateway.ports.Wire``.

    Attributes:
        handshaking: the connections for configuration modules, by link.
        heard, missed: told of every call, whether the other side answered it.
        answered: told of the HTTP status of every answer.
    """

    def __init__(self, links: Links) -> None:
        self._links = links
        self.answered: Callable[[str, int], None] = lambda *_: None
        self.heard: Callable[[str], None] = lambda _: None
        self.missed: Callable[[str, GatewayError], None] = lambda *_: None
        self.handshaking: dict[str, Outbound] = {}
        self._pools: dict[str, _Pools] = {}
        self._retiring: dict[_Pools, asyncio.Task[None]] = {}
        self.catch_up()

    def catch_up(self) -> None:
        """Connections for the links that there are now, as their files have them now.

        What is under way on connections that are replaced comes to its end.
        """
        wanted = {link.id: _egress(link) for link in self._links.settings.values()}
        for id in [id for id, pools in self._pools.items() if wanted.get(id) != pools.egress]:
            self.handshaking.pop(id)
            self._retire(self._pools.pop(id))
        for id, egress in wanted.items():
            if id not in self._pools:
                self._pools[id] = _Pools.of(egress)
                self.handshaking[id] = self._pools[id].handshaking

    async def send(self, link: str, request: HttpRequest, *, within: float, way: Way = Way.PUSHING) -> HttpAnswer:
        """See ``gateway.ports.Wire``."""
        authorized = self._authorized(link, request)
        try:
            answer = await self._pools[link].by_way[way].send(authorized, within=within)
        except GatewayError as error:
            self.missed(link, error)
            raise
        self._check_known(link, answer.status)
        return answer

    @asynccontextmanager
    async def stream(
        self, link: str, request: HttpRequest, *, within: float, way: Way = Way.PUSHING
    ) -> AsyncIterator[Incoming]:
        """See ``gateway.ports.Wire``."""
        authorized = self._authorized(link, request)
        async with AsyncExitStack() as stack:
            try:
                stream = self._pools[link].by_way[way].stream(authorized, within=within)
                incoming = await stack.enter_async_context(stream)
            except GatewayError as error:
                self.missed(link, error)
                raise
            self._check_known(link, incoming.answer.status)
            yield incoming

    async def aclose(self) -> None:
        """Close everything."""
        for task in self._retiring.values():
            task.cancel()
        for pools in (*self._pools.values(), *self._retiring):
            await pools.aclose()

    def _check_known(self, link: str, http: int) -> None:
        """They have answered. Raises NotAdmitted if they don't know us."""
        self.heard(link)
        self.answered(link, http)
        if http == 401:
            raise NotAdmitted(f"{link} doesn't accept our token (HTTP 401)")

    def _authorized(self, link: str, request: HttpRequest) -> HttpRequest:
        if link not in self._pools:
            raise NotAdmitted(f"{link} is no longer configured")
        token, encoding = self._links.token_out(link)
        if not token:
            raise NotAdmitted(f"{link} is not registered")
        return evolve(request, headers=Headers({**request.headers, "Authorization": authorization(token, encoding)}))

    def _retire(self, pools: _Pools) -> None:
        async def later() -> None:
            await asyncio.sleep(_RETIRED_S)
            await pools.aclose()

        task = self._retiring[pools] = asyncio.create_task(later(), name="retire connections")
        task.add_done_callback(lambda _: self._retiring.pop(pools, None))


def _egress(link: LinkSettings) -> Egress:
    return Egress(
        allow_private=link.allow_private,
        in_flight=link.limits.in_flight,
        ascii_only=link.policy.json_ascii_only,
    )
