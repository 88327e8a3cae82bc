"""The composition root: the one file that imports everything and wires it.

``Gateway.running`` is the gateway: store, clients, adapters, pipeline, courier, the two listeners. It comes up in
an order that keeps its promises: the listeners first (what needs Redis answers 3000, ``/ready`` is 503), then Redis,
whenever it can be had, then registrations and deliveries. It goes down in the opposite order, finishing what is under
way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import structlog
from aiohttp import web
from attrs import define, field

from adapters import VERSIONS, eco_movement
from gateway.announced import Announced
from gateway.asking import Authorizations
from gateway.attaching import Attaching
from gateway.breaker import Breakers
from gateway.callbacks import Callbacks
from gateway.case import Cases
from gateway.catalogue import Catalogue
from gateway.catalogue.cutting import Sources
from gateway.commands import Commands
from gateway.exchange import Exchange
from gateway.inquiry import Inquiry
from gateway.ledger.book import Book
from gateway.ledger.courier import Courier
from gateway.ledger.crawls import Crawls
from gateway.ledger.events import WITHIN_S, Events, Receiver
from gateway.ledger.joining import Joining
from gateway.ledger.spreading import Spreading
from gateway.lists import Lists
from gateway.lookup import Lookup
from gateway.model.errors import NotDurable
from gateway.pipeline import Pipeline
from gateway.ports import Adapter, PriceShapes
from gateway.presence import Presence
from gateway.prices import PriceFeeds
from gateway.prices.applying import Owing
from gateway.prices.pages import Fetch
from gateway.prices.statuses import Statuses
from gateway.profiles import Profiles
from gateway.references import References
from gateway.registered import REGISTRATION, Links
from gateway.serving import Shelves
from gateway.settings import FeedSettings, Settings
from gateway.settings.compare import Difference, StillOwed, compare, taken_over
from gateway.showing import Showing
from gateway.store.embedded import Embedded, attach_or_start
from gateway.store.redis import Store
from gateway.store.split import Split, configured, forgiving
from gateway.sync import Agenda, Sync
from gateway.tasks import cancelled
from gateway.telemetry import MASK, UNFILED
from gateway.web.admin import Health, admin_app
from gateway.web.client import Egress, Outbound
from gateway.web.discovery import Discovery
from gateway.web.handshakes import Handshakes
from gateway.web.identity import Doorkeeper, Scope
from gateway.web.json import CODEC
from gateway.web.ledger_api import SCHEMAS, LedgerApi
from gateway.web.price_server import PriceServer
from gateway.web.registration import Registrar
from gateway.web.server import OcpiServer
from gateway.web.wires import Wires
from gateway.web.wishes import WISH, Wishes

log = structlog.get_logger()

ADAPTERS: Final[Mapping[str, Adapter]] = {adapter.version: adapter for adapter in VERSIONS}
"""Every version this build speaks, oldest first."""

PRICE_SHAPES: Final[PriceShapes] = eco_movement
"""What stands on the wire of a price feed, and on ours where we serve prices."""

_DRAIN_S: Final = 10.2
"""Seconds that a stop waits for deliveries under way: longer than any may take. The contract says 12 for all of it."""

_REQUESTS_S: Final = 4.6
"""The same for requests, after the notice. aiohttp waits so long for them, then so long again for what it cancelled."""

_OPERATORS_S: Final = 0.3

_RETRY_S: Final = 0.5

_FEED_PAGE_S: Final = 60.0
"""Seconds in which a page of a price feed must be there."""

_FEED_PAGE_CAP: Final = 64 * 1024 * 1024
"""Bytes of such a page: 10,000 prices, or 1,000 locations of a hundred connectors, inflated."""

_REVIEW_S: Final = 5.0
"""Seconds after which registrations are read again although nobody said that they have changed."""


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
    handshakes: Handshakes
    wishes: Wishes
    doorkeeper: Doorkeeper
    health: Health
    prices: PriceFeeds = field(kw_only=True)
    ocpi: tuple[str, int] = ("", 0)
    admin: tuple[str, int] = ("", 0)
    _registrar: Registrar = field(kw_only=True)
    _wires: Wires = field(kw_only=True)
    _server: OcpiServer = field(kw_only=True)
    _callbacks: Callbacks = field(kw_only=True)
    _presence: Presence = field(kw_only=True)
    _joining: Joining = field(kw_only=True)
    _lists: Lists = field(kw_only=True)
    _sync: Sync = field(kw_only=True)
    _announced: Announced = field(kw_only=True)
    _by_itself: bool = field(kw_only=True)
    _joins: set[asyncio.Task[None]] = field(factory=set, init=False)
    _keeping: dict[str, asyncio.Task[None]] = field(factory=dict, init=False)
    _tasks: list[asyncio.Task[Any]] = field(factory=list, init=False)
    _up: asyncio.Event = field(factory=asyncio.Event, init=False)

    @classmethod
    @asynccontextmanager
    async def running(
        cls, settings: Settings, data: Path, *, by_itself: bool = True, shared: bool = False, notice: float = 0
    ) -> AsyncIterator[Gateway]:
        """The gateway, from start to stop.

        Args:
            settings: checked configuration.
            data: folder of the embedded Redis, where ``settings`` name none.
            by_itself: whether it does what is to be done: registers, delivers, looks who is there. False for the time
                of one handshake that somebody asks for: it answers, and begins nothing that its end would cut short.
            shared: whether it is one of several processes on the same port and data folder.
            notice: seconds for which it tells that it leaves, and still answers everybody, before it stops listening.

        Raises:
            NoServer: no ``redis.url`` and no server binary; or a Redis that is less durable than it has to be.
            InUse: another gateway runs on ``data``.
            OSError: a port is taken.
        """
        embedded: Embedded | None = None
        supervisor: asyncio.Task[None] | None = None
        if settings.redis.url is not None:
            url = settings.redis.url.value
        else:
            embedded = await attach_or_start(data, exclusive=not shared)
            supervisor = asyncio.create_task(embedded.supervise(), name="redis-server")
            url = embedded.url
        store = configured(settings, data, url)
        gateway = cls._wired(settings, store, by_itself=by_itself)
        try:
            await store.demand()
            # Listening comes first: whoever we register with calls us back before it answers.
            runners = await gateway._listen(shared=shared)
            try:
                gateway._start()
                yield gateway
            finally:
                await gateway._leave(runners, notice)
        finally:
            await gateway._wires.aclose()
            await store.aclose()
            if supervisor is not None and embedded is not None:
                supervisor.cancel()
                with suppress(asyncio.CancelledError):
                    await supervisor
                await embedded.stop()

    @classmethod
    def _wired(cls, settings: Settings, store: Store, *, by_itself: bool) -> Gateway:
        links = Links(settings, store, ADAPTERS)
        doorkeeper = Doorkeeper(store.credential)
        wires = Wires(links)
        lookup = Lookup(forgiving(store), CODEC)  # a CDR doesn't wait for what is known of its token
        discovery = Discovery(links=links, adapters=ADAPTERS, outbound=wires.handshaking)
        registrar = Registrar(links=links, adapters=ADAPTERS, doorkeeper=doorkeeper, discovery=discovery, lanes=store)
        handshakes = Handshakes(links=links, adapters=ADAPTERS, registrar=registrar, discovery=discovery)
        wires.answered = handshakes.answered
        exchange = Exchange(adapters=ADAPTERS, lookup=lookup, wire=wires, breakers=Breakers(store))
        inquiry = Inquiry(exchange=exchange, objects=store, codec=CODEC)
        showing = Showing(store=store, codec=CODEC)
        crawls = Crawls(store)
        courier = Courier(
            store=store, crawls=crawls, showing=showing, lookup=lookup, inquiry=inquiry, exchange=exchange, codec=CODEC,
            directory=lambda: links.directory,
        )  # fmt: skip
        references = References(objects=store, codec=CODEC)
        attaching = Attaching(store, lambda: bool(gateway.settings.feeds), lambda name: gateway.prices.look_at(name))
        announced = Announced(store, lookup)
        authorizations = Authorizations(
            exchange=exchange, lookup=lookup, codec=CODEC, objects=store, lately=references,
            cases=Cases(announced=announced, lately=references, codec=CODEC),
        )  # fmt: skip
        callbacks = Callbacks(
            exchange=exchange, lookup=lookup, store=store, codec=CODEC, directory=lambda: links.directory,
            versions_url=links.versions_url, admits_private=lambda link: links.settings[link].allow_private,
        )  # fmt: skip
        commands = Commands(
            exchange=exchange, lookup=lookup, callbacks=callbacks, references=references, objects=store, codec=CODEC
        )
        profiles = Profiles(
            exchange=exchange, lookup=lookup, callbacks=callbacks, objects=store, subscriptions=store, codec=CODEC
        )
        presence = Presence(store=store, exchange=exchange, wire=wires, codec=CODEC, ledger=courier, links=links)
        wires.heard, wires.missed = presence.heard, presence.missed
        lists = Lists(
            exchange=exchange, store=store, showing=showing, lookup=lookup, inquiry=inquiry, codec=CODEC, crawls=crawls
        )  # fmt: skip
        shelves = Shelves(exchange=exchange, store=store, lookup=lookup, lists=lists, attaching=attaching, codec=CODEC)
        pipeline = Pipeline(
            exchange=exchange, authorizations=authorizations, inquiry=inquiry, commands=commands, profiles=profiles,
            references=references, attaching=attaching, presence=presence, shelves=shelves, showing=showing,
            objects=store, lookup=lookup, ledger=courier, codec=CODEC,
        )  # fmt: skip
        sync = Sync(
            store=store, exchange=exchange, lookup=lookup, showing=showing, references=references,
            attaching=attaching, ledger=courier, codec=CODEC, directory=lambda: links.directory,
            agenda=Agenda(
                adapters=ADAPTERS, registered_at=links.registered_at, time_zone=lambda: gateway.settings.time_zone
            ),
        )  # fmt: skip
        catalogue = Catalogue(
            store=store, directory=lambda: links.directory, feeds=lambda: gateway.settings.feeds,
            sources=Sources(
                store=store, lookup=lookup, adapter=ADAPTERS[PRICE_SHAPES.VERSION], shapes=PRICE_SHAPES, codec=CODEC
            ),
        )  # fmt: skip
        price_server = PriceServer(
            catalogue=catalogue, shapes=PRICE_SHAPES, doorkeeper=doorkeeper,
            consumers=lambda: gateway.settings.consumers, url=lambda: gateway.settings.public_url,
        )  # fmt: skip
        server = OcpiServer(
            links=links, adapters=ADAPTERS, doorkeeper=doorkeeper, registrar=registrar, pipeline=pipeline,
            prices=price_server, statuses=Statuses(store=store, shapes=PRICE_SHAPES, codec=CODEC),
            aliases=settings.aliases, called=(handshakes.nudge, presence.heard, courier.urge),
        )  # fmt: skip
        prices = _price_feeds(links, store, courier, lambda: gateway.settings.feeds)
        gateway = cls(
            settings, links, store, courier, handshakes,
            Wishes(store=store, links=links, handshakes=handshakes, lists=sync),
            doorkeeper, Health(store.ping), wires=wires, server=server, registrar=registrar,
            callbacks=callbacks, presence=presence, joining=Joining(store, showing), lists=lists, by_itself=by_itself,
            announced=announced, sync=sync, prices=prices,
        )  # fmt: skip
        links.watch(gateway._registration_changed)
        return gateway

    async def _listen(self, *, shared: bool) -> tuple[web.AppRunner, ...]:
        # Bodies are inflated by web/coding.py, which knows a cap.
        ocpi = web.AppRunner(self._server.app(), access_log=None, shutdown_timeout=_REQUESTS_S, auto_decompress=False)
        ledger = LedgerApi(book=self._book, store=self.store, links=lambda: self._book.links(self.links.settings))
        token = self.settings.admin.token
        operators = admin_app(self.health, ledger.routes, SCHEMAS, token.value if token else None)
        admin = web.AppRunner(operators, access_log=None, shutdown_timeout=_OPERATORS_S)
        try:
            await ocpi.setup()
            await admin.setup()
            self.admin = await _bind(admin, self.settings.admin.listen.host, self.settings.admin.listen.port)
            self.ocpi = await _bind(ocpi, self.settings.listen.host, self.settings.listen.port, shared=shared)
        except BaseException:
            await ocpi.cleanup()
            await admin.cleanup()
            raise
        return ocpi, admin

    # Coming up --------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._file_tokens()
        self._tasks.append(asyncio.create_task(self.store.watch(), name="watch redis"))
        self._tasks.append(asyncio.create_task(self._come_up(), name="come up"))
        log.info("gateway.listening", ocpi=self.ocpi, admin=self.admin)

    async def _come_up(self) -> None:
        """As soon as Redis can be had: its key, the registrations, then whatever works with them."""
        while not await self._read_store():  # noqa: ASYNC110 (nobody tells when a Redis elsewhere comes up)
            await asyncio.sleep(_RETRY_S)
        self._file_tokens()
        if self._by_itself:
            self._work()
        self._tasks.append(asyncio.create_task(self._keep_up(), name="keep up"))
        self._tasks.append(asyncio.create_task(self._announced.run(), name="announced tokens"))
        await self._tell_unfiled()
        self._up.set()
        log.info("gateway.up", links=len(self.links.settings))

    def _work(self) -> None:
        """Whatever nobody has to ask for."""
        for link in self.links.settings:
            self._look_after(link)
        self._tasks.append(asyncio.create_task(self.courier.run(), name="courier"))
        self._tasks.append(asyncio.create_task(self._callbacks.run(), name="callbacks"))
        self._tasks.append(asyncio.create_task(self._sync.run(), name="sync"))
        self._tasks.append(asyncio.create_task(self.prices.run(), name="prices"))
        self._tasks.append(asyncio.create_task(self._tell(), name="events"))
        self._tasks += [asyncio.create_task(work, name="presence") for work in self._presence.work()]
        for link in self.links.settings:
            self._join(link)

    @property
    def _book(self) -> Book:
        return Book(store=self.store, codec=CODEC)

    async def _tell(self) -> None:
        """Tell whoever the files name what becomes of CDRs. The URL is the operator's own, and may be private."""
        async with Outbound(Egress(allow_private=True, in_flight=1)) as outbound:
            send = partial(outbound.send, within=WITHIN_S)
            await Events(store=self.store, receiver=self._told, told=self._book.told, send=send).run()

    def _told(self) -> Receiver | None:
        events = self.settings.events
        return Receiver(events.url, events.token.value if events.token else None) if events else None

    def _look_after(self, link: str) -> None:
        self._keeping[link] = asyncio.create_task(self.handshakes.keep_registered(link), name=f"register {link}")

    async def _read_store(self) -> bool:
        try:
            await self.store.recognise()
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

    async def joined(self) -> None:
        """Wait until every link is owed what it is owed for what it is, as far as anybody knows by now."""
        while joins := set(self._joins):
            await asyncio.wait(joins)

    def _registration_changed(self, link: str) -> None:
        self._file_tokens()
        self.doorkeeper.forget(link)
        self._presence.look()
        self._sync.wake(link)
        if self._by_itself and self._up.is_set() and self.links.directory[link].registered:
            self.courier.wake(link)
            self.courier.urge(link)
            self._join(link)

    def _join(self, link: str) -> None:
        """Let a link be owed what it is owed for what it is."""
        self._soon(self._joined(link), name=f"join {link}")

    def _join_movers(self) -> None:
        """Of two links of which one takes over from the other, the time may have come; nobody tells."""
        directory, joining = self.links.directory, {task.get_name() for task in self._joins}
        for link in filter(directory.moves, directory.links.values()):
            if f"join {link.id}" not in joining:
                self._join(link.id)

    def _soon(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._joins.add(task)
        task.add_done_callback(self._joins.discard)

    async def _joined(self, link: str) -> None:
        while True:
            try:
                since = self.links.registration(link).since
                if await self._joining.look(self.links.directory[link], self.links.directory, since):
                    self.courier.wake(link)
                return
            except NotDurable:
                await asyncio.sleep(_RETRY_S)

    async def _keep_up(self) -> None:
        """What other replicas, and verbs on the command line, did to registrations and pauses."""
        async with aclosing(self.store.announcements(every=_REVIEW_S)) as announced:
            async for news in announced:
                if news is not None and news[0] == WISH:
                    self._soon(self.wishes.grant(news[1]), name="wish")
                if news is not None and (news[0] != REGISTRATION or news[1] not in self.links.settings):
                    continue
                with suppress(NotDurable):
                    for link in self.links.settings if news is None else [news[1]]:
                        await self.links.reload(link)
                        self.doorkeeper.forget(link)
                if news is None and self._by_itself:
                    self._join_movers()

    def _file_tokens(self) -> None:
        """The tokens of files that open a door just now."""
        own = self.settings.admin.token, self.settings.events and self.settings.events.token
        MASK.guard([secret.value for secret in own if secret])
        for settings in self.links.settings.values():
            filed = settings.registration
            MASK.guard([secret.value for secret in (*filed.token_in, *([filed.token_out] if filed.token_out else []))])
        feeds = {token: (feed.id, Scope.FEED) for feed in self.settings.feeds for token in feed.token_in}
        consumers = {token: (each.id, Scope.CONSUMER) for each in self.settings.consumers for token in each.token_in}
        MASK.guard([*feeds, *consumers, *(feed.token for feed in self.settings.feeds)])
        self.doorkeeper.file({**self._registrar.file_tokens(), **feeds, **consumers})

    # Other files ------------------------------------------------------------------------------------------------------

    async def reload(self, settings: Settings) -> Difference:
        """Go by these files from now on. No request and nothing that is owed is lost by it.

        Raises:
            StillOwed: a link whose file is gone is owed something; nothing has changed.
            NotDurable: Redis is away; nothing has changed.
        """
        difference = compare(self.settings, settings)
        await self._check_settled(difference.removed)
        settings = taken_over(self.settings, settings)
        await self.links.adopt(settings)
        self.settings = settings
        if isinstance(self.store, Split):
            self.store.adopt(settings)
        self._wires.catch_up()
        self._server.use_aliases(settings.aliases)
        self._file_tokens()
        if self._by_itself and self._up.is_set():
            for link in (*difference.removed, *difference.changed):
                await cancelled(self._keeping.pop(link))
            for link in (*difference.added, *difference.changed):
                self._look_after(link)
        if difference.restart:
            log.warning("config.needs_restart", keys=difference.restart, todo="these count after a restart only")
        log.info("config.reloaded", **{name: value for name, value in attrs.asdict(difference).items() if value})
        await self._tell_unfiled()
        return difference

    async def _tell_unfiled(self) -> None:
        """Links without a file that are owed something: their files were taken away while no gateway ran.

        Or in the very moment in which something was said for them.
        """
        with suppress(NotDurable):
            unfiled = [link for link in await self.store.receivers() if link not in self.links.settings]
            owing = [link for link in unfiled if (await self.store.backlog(link)).total]
            UNFILED.clear()
            for link in owing:
                UNFILED.labels(link).set(1)
                log.error(
                    "partner.file_missing", partner=link,
                    todo="it is still owed something: put its file back, or see"
                    f" `ocpi-gateway ledger list --partner {link}` and drop it",
                )  # fmt: skip

    async def _check_settled(self, removed: Iterable[str]) -> None:
        """That nothing is owed to these links. A file isn't taken away from what is owed: a person decides that."""
        for link in removed:
            left = await self.store.backlog(link)
            if count := left.total:
                raise StillOwed(
                    f"{link} has no file any more, and is owed {count} objects, {left.cdrs} of them CDRs: put the file"
                    f" back until they are delivered, or see `ocpi-gateway ledger list --partner {link}` and drop them"
                )

    # Going down -------------------------------------------------------------------------------------------------------

    async def _leave(self, runners: Iterable[web.AppRunner], notice: float) -> None:
        """Tell that it leaves, and let end what is under way: requests, and beside them deliveries."""
        log.info("gateway.stopping")
        self.health.leaving = True
        self._server.leaving = True
        delivering = asyncio.create_task(self.courier.finish(_DRAIN_S), name="finish deliveries")
        await self._sync.aclose()
        await asyncio.sleep(notice)
        for runner in runners:
            await runner.cleanup()  # no new requests
        await delivering
        await self._stop()

    async def _stop(self) -> None:
        await self._lists.aclose()
        await cancelled(*self._tasks, *self._joins, *self._keeping.values())
        for task in self._tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("task.crashed", error=repr(error))


@asynccontextmanager
async def price_feeds(settings: Settings, store: Store) -> AsyncIterator[PriceFeeds]:
    """The price feeds of a configuration, for a verb: beside a gateway that runs, or without one.

    Raises:
        NotDurable: the store is away.
    """
    links = Links(settings, store, ADAPTERS)
    await links.load()
    MASK.use_key(await store.cred_key())
    MASK.guard([feed.token for feed in settings.feeds])
    showing = Showing(store=store, codec=CODEC)
    spreading = Spreading(store=store, showing=showing, directory=lambda: links.directory)
    yield _price_feeds(links, store, spreading, lambda: settings.feeds)


def _price_feeds(links: Links, store: Store, ledger: Owing, feeds: Callable[[], Sequence[FeedSettings]]) -> PriceFeeds:
    return PriceFeeds(
        store=store, shapes=PRICE_SHAPES, adapters=ADAPTERS, codec=CODEC, lookup=Lookup(store, CODEC), ledger=ledger,
        directory=lambda: links.directory, feeds=feeds, fetch=_fetching,
    )  # fmt: skip


@asynccontextmanager
async def _fetching(feed: FeedSettings) -> AsyncIterator[Fetch]:
    """Requests to a feed's host, one at a time."""
    async with Outbound(Egress(allow_private=feed.allow_private, in_flight=1)) as outbound:
        yield partial(outbound.send, within=_FEED_PAGE_S, cap=_FEED_PAGE_CAP)


async def _bind(runner: web.AppRunner, host: str, port: int, *, shared: bool = False) -> tuple[str, int]:
    site = web.TCPSite(runner, host, port, backlog=1024, reuse_port=shared or None)
    await site.start()
    # The address as bound: a port of 0 has become a real one.
    host, port = runner.addresses[0][:2]
    return str(host), int(port)
