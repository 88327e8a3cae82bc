"""The composition root: the one file that imports everything and wires it.

``Gateway.running`` is the gateway: store, clients, adapters, pipeline, courier, the two listeners. It comes up in
an order that keeps its promises: the listeners first (what needs Redis answers 3000, ``/ready`` is 503), then Redis,
whenever it can be had, then registrations and deliveries. It goes down in the opposite order, finishing what is under
way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import structlog
from aiohttp import web
from attrs import define, evolve, field

from adapters import VERSIONS
from gateway.asking import Authorizations
from gateway.exchange import Exchange
from gateway.handshake import Standing
from gateway.inquiry import Inquiry
from gateway.ledger.courier import Courier
from gateway.lookup import Lookup
from gateway.model.errors import NotConnected, NotDurable
from gateway.model.message import Headers, HttpAnswer, HttpRequest
from gateway.pipeline import Pipeline
from gateway.ports import Adapter
from gateway.registered import Links
from gateway.settings import LinkSettings, Settings
from gateway.store.embedded import Embedded, attach_or_start
from gateway.store.redis import Store
from gateway.telemetry import MASK
from gateway.web.client import Egress, Outbound
from gateway.web.identity import Doorkeeper, Scope, authorization
from gateway.web.json import CODEC
from gateway.web.registration import Registrar
from gateway.web.server import Health, OcpiServer, admin_app

log = structlog.get_logger()

ADAPTERS: Final[Mapping[str, Adapter]] = {adapter.version: adapter for adapter in VERSIONS}
"""Every version this build speaks, oldest first."""

_DRAIN_S: Final = 4.0
"""Seconds that a stop waits for requests under way, and then for deliveries; the contract says 12 for all of it."""

_CANCEL_S: Final = 0.2
_RETRY_S: Final = 0.5


class Wires:
    """Sends to links: their connections, with their tokens."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self.pushing = {link.id: Outbound(_egress(link)) for link in links.settings.values()}
        self._asking = {link.id: Outbound(_egress(link)) for link in links.settings.values()}

    async def send(self, link: str, request: HttpRequest, *, within: float, asking: bool = False) -> HttpAnswer:
        """See ``gateway.ports.Wire``."""
        token, encoding = self._links.token_out(link)
        if not token:
            raise NotConnected(f"{link} is not registered")
        headers = Headers({**request.headers, "Authorization": authorization(token, encoding)})
        outbound = self._asking[link] if asking else self.pushing[link]
        return await outbound.send(evolve(request, headers=headers), within=within)

    async def aclose(self) -> None:
        for outbound in (*self.pushing.values(), *self._asking.values()):
            await outbound.aclose()


def _egress(link: LinkSettings) -> Egress:
    return Egress(
        allow_private=link.allow_private,
        in_flight=link.limits.in_flight,
        ascii_only=link.policy.json_ascii_only,
    )


@define(eq=False)
class Gateway:
    """A running gateway.

    Attributes:
        ocpi, admin: the addresses that the listeners are bound to, as ``(host, port)``.
    """

    settings: Settings
    links: Links
    store: Store
    courier: Courier
    registrar: Registrar
    doorkeeper: Doorkeeper
    health: Health
    ocpi: tuple[str, int] = ("", 0)
    admin: tuple[str, int] = ("", 0)
    _wires: Wires = field(kw_only=True)
    _server: OcpiServer = field(kw_only=True)
    _tasks: list[asyncio.Task[Any]] = field(factory=list, init=False)
    _up: asyncio.Event = field(factory=asyncio.Event, init=False)

    @classmethod
    @asynccontextmanager
    async def running(cls, settings: Settings, data: Path) -> AsyncIterator[Gateway]:
        """The gateway, from start to stop.

        Args:
            settings: checked configuration.
            data: folder of the embedded Redis, where ``settings`` name none.

        Raises:
            NoServer: no ``redis.url`` and no server binary.
            OSError: a port is taken.
        """
        embedded: Embedded | None = None
        supervisor: asyncio.Task[None] | None = None
        if settings.redis.url is not None:
            url = settings.redis.url.value
        else:
            embedded = await attach_or_start(data, exclusive=True)
            supervisor = asyncio.create_task(embedded.supervise(), name="redis-server")
            url = embedded.url
        store = Store.connect(url, settings.redis.prefix)
        gateway = cls._wired(settings, store)
        try:
            # Listening comes first: whoever we register with calls us back before it answers.
            runners = await gateway._listen()
            try:
                gateway._start()
                yield gateway
            finally:
                for runner in runners:
                    await runner.cleanup()  # no new requests; those under way end
                await gateway._stop()
        finally:
            await gateway._wires.aclose()
            await store.aclose()
            if supervisor is not None and embedded is not None:
                supervisor.cancel()
                with suppress(asyncio.CancelledError):
                    await supervisor
                await embedded.stop()

    @classmethod
    def _wired(cls, settings: Settings, store: Store) -> Gateway:
        links = Links(settings, store, {version: adapter.token_encoding for version, adapter in ADAPTERS.items()})
        doorkeeper = Doorkeeper(store.credential)
        wires = Wires(links)
        lookup = Lookup(store, CODEC)
        registrar = Registrar(links=links, adapters=ADAPTERS, doorkeeper=doorkeeper, outbound=wires.pushing)
        exchange = Exchange(adapters=ADAPTERS, lookup=lookup, wire=wires)
        inquiry = Inquiry(exchange=exchange, objects=store, codec=CODEC)
        courier = Courier(
            store=store, lookup=lookup, inquiry=inquiry, adapters=ADAPTERS, wire=wires, codec=CODEC,
            directory=lambda: links.directory,
        )  # fmt: skip
        authorizations = Authorizations(exchange=exchange, lookup=lookup, codec=CODEC)
        pipeline = Pipeline(
            exchange=exchange, authorizations=authorizations, inquiry=inquiry, objects=store, lookup=lookup,
            ledger=courier, codec=CODEC,
        )  # fmt: skip
        server = OcpiServer(
            links=links, adapters=ADAPTERS, doorkeeper=doorkeeper, registrar=registrar, pipeline=pipeline
        )
        gateway = cls(
            settings, links, store, courier, registrar, doorkeeper, Health(store.ping), wires=wires, server=server
        )
        links.watch(gateway._registration_changed)
        return gateway

    async def _listen(self) -> tuple[web.AppRunner, ...]:
        # Bodies are inflated by web/coding.py, which knows a cap.
        ocpi = web.AppRunner(self._server.app(), access_log=None, shutdown_timeout=_DRAIN_S, auto_decompress=False)
        admin = web.AppRunner(admin_app(self.health), access_log=None, shutdown_timeout=1)
        try:
            await ocpi.setup()
            await admin.setup()
            self.admin = await _bind(admin, self.settings.admin.listen.host, self.settings.admin.listen.port)
            self.ocpi = await _bind(ocpi, self.settings.listen.host, self.settings.listen.port)
        except BaseException:
            await ocpi.cleanup()
            await admin.cleanup()
            raise
        return ocpi, admin

    # Coming up --------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._file_tokens()
        self._tasks.append(asyncio.create_task(self._come_up(), name="come up"))
        log.info("gateway.listening", ocpi=self.ocpi, admin=self.admin)

    async def _come_up(self) -> None:
        """As soon as Redis can be had: its key, the registrations, then whatever works with them."""
        while not await self._read_store():  # noqa: ASYNC110 (nobody tells when a Redis elsewhere comes up)
            await asyncio.sleep(_RETRY_S)
        self._file_tokens()
        for link, settings in self.links.settings.items():
            if settings.registration.start in ("us", "none"):
                self._tasks.append(asyncio.create_task(self.registrar.keep_registered(link), name=f"register {link}"))
        self._tasks.append(asyncio.create_task(self.courier.run(), name="courier"))
        self._up.set()
        log.info("gateway.up", links=len(self.links.settings))

    async def _read_store(self) -> bool:
        try:
            key = await self.store.cred_key()
            self.doorkeeper.use_key(key)
            MASK.use_key(key)
            await self.links.load()
        except NotDurable:
            return False
        return await self.health.look()

    async def up(self) -> None:
        """Wait until Redis was reached and the registrations are read."""
        await self._up.wait()

    def _registration_changed(self, link: str) -> None:
        self._file_tokens()
        if self._up.is_set() and self.links.directory[link].registered:
            self.courier.wake(link)

    def _file_tokens(self) -> None:
        """The tokens of files that open a door just now: static ones, and token A while it is unspent."""
        tokens: dict[str, tuple[str, Scope]] = {}
        for link, settings in self.links.settings.items():
            registration = self.links.registration(link)
            for secret in settings.registration.token_in:
                MASK.guard([secret.value])
                if settings.registration.start == "none":
                    tokens[secret.value] = (link, Scope.FULL)
                elif registration.standing is Standing.NEW and not self._spent(registration.spent, secret.value):
                    tokens[secret.value] = (link, Scope.REGISTRATION)
            if settings.registration.token_out is not None:
                MASK.guard([settings.registration.token_out.value])
        self.doorkeeper.file(tokens)

    def _spent(self, spent: str, token: str) -> bool:
        try:
            return spent == self.doorkeeper.digest(token)
        except NotDurable:
            # Before Redis was seen nobody knows what is spent; registering needs Redis anyway.
            return False

    # Going down -------------------------------------------------------------------------------------------------------

    async def _stop(self) -> None:
        log.info("gateway.stopping")
        await self.courier.settle_down(_DRAIN_S)
        running = set(self._tasks)
        while running:
            for task in running:
                task.cancel()
            # Once isn't enough: a cancellation that meets the end of a write to Redis gets lost in asyncio.wait_for
            # (before Python 3.12).
            _, running = await asyncio.wait(running, timeout=_CANCEL_S)
        for task in self._tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("task.crashed", error=repr(error))


async def _bind(runner: web.AppRunner, host: str, port: int) -> tuple[str, int]:
    site = web.TCPSite(runner, host, port, backlog=1024)
    await site.start()
    # The address as bound: a port of 0 has become a real one.
    host, port = runner.addresses[0][:2]
    return str(host), int(port)
