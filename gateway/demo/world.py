"""A small world on loopback: a backend, its partners, and a gateway between them, configured by real files.

    async with World.of(folder, Cast(version="2.1.1", name="acme", country="DEU", party="ACM")) as world:
        await world.backend.push_location(...)
        await world["acme"].wait_for("PUT", "locations")

The demo plays in it, and so do the tests: the same files, the same handshakes, the same sockets as in life. There may
be hubs among the partners, several backends, and several gateways on one Redis; price feeds that the gateway reads, and
consumers whom it serves prices:

    async with World.of(folder, feeds={"eco": Feed("key")}, consumers={"map-app": Consumer("token")}) as world:
        world.feeds["eco"].update()
        await world.consumers["map-app"].rows("/eco-movement/prices")
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from attrs import define, evolve, field, frozen

from gateway.app import ADAPTERS, Gateway
from gateway.demo.consumer import Consumer
from gateway.demo.feed import Feed
from gateway.demo.peers import Peer, Role
from gateway.settings import Address, Settings, load

_PATIENCE_S: Final = 10.0


@frozen(kw_only=True)
class Cast:
    """Who plays a part.

    Attributes:
        name: id of the link, and of the peer.
        version: the OCPI version it speaks.
        role: ``EMSP`` or ``CPO``; of a hub on 2.1.1 what it registers as, of one on 2.2.1 nothing: it is a ``HUB``.
        country, party: its party as it writes it: ``DEU`` for a 2.1.1 peer that writes alpha-3.
        business: the name in its credentials.
        start: who begins the handshake, as in a partner file: ``us``, ``them``, ``none`` or ``adopted``.
        also: further roles on the same platform (2.2.1).
        also_version: the other version, if it speaks both; its file offers both, the newer one first.
        listed: what it lists as its versions, if not those it speaks. If it speaks none of these, nobody waits for its
            registration.
        kind: ``bilateral`` or ``hub``.
        behind: whom a hub reaches.
        reaches: whom its file says that it reaches; ``*``: whomever it says itself.
        routing_headers: a hub on 2.1.1 names sender and receiver in headers.
        others_tariffs: it takes tariffs of parties that aren't on our platform.
        more: further lines of its file.
    """

    name: str
    version: str = "2.2.1"
    role: str = "EMSP"
    country: str = "DE"
    party: str = "ACM"
    business: str = "Acme Mobility"
    start: str = "them"
    also: tuple[Role, ...] = ()
    also_version: str | None = None
    listed: tuple[str, ...] = ()
    kind: str = "bilateral"
    behind: tuple[Role, ...] = ()
    reaches: tuple[str, ...] = ("*",)
    routing_headers: bool = False
    others_tariffs: bool = False
    more: str = ""

    @property
    def roles(self) -> tuple[Role, ...]:
        """As its file has them: a hub is a ``HUB`` there on any version."""
        role = "HUB" if self.kind == "hub" else self.role
        return (Role(role, self.country, self.party, self.business), *self.also)

    def peer(self, *, behind_hub: bool = False) -> Peer:
        """The platform that plays it. ``behind_hub``: the other end, the gateway, is a hub to it."""
        plays = "HUB" if self.kind == "hub" and self.version != "2.1.1" else self.role
        peer = Peer(
            self.name, self.version, plays, self.country, self.party, self.business,
            also=self.also,
            also_version=self.also_version,
            behind=self.behind,
            routing_headers=self.routing_headers,
            behind_hub=behind_hub,
            token_a=f"{self.name}-token-a" if self.start == "us" else None,
            token_in=f"{self.name}-token-to-them" if self.start in ("none", "adopted") else None,
        )  # fmt: skip
        peer.list_versions(*self.listed)
        if self.others_tariffs:
            peer.take_others_tariffs()
        return peer

    @property
    def can_register(self) -> bool:
        return not self.listed or bool({self.version, self.also_version} & {*self.listed})


CORE: Final = Cast(name="backend", role="CPO", country="NL", party="EXA", business="Example Charging", start="none")
"""The backend that most stories have: a 2.2.1 core of a charge point operator, with static tokens."""


@frozen(kw_only=True)
class Source:
    """A price feed, and how its file has it read.

    Attributes:
        shape: of its prices; ``version``: of its locations.
        keys: further keys of the file's ``feed``, as text: ``window: always, every: 1h``.
        more: further lines of the file.
    """

    feed: Feed
    shape: Literal["new", "old"] = "new"
    version: Literal["2.1.1", "2.2"] = "2.1.1"
    keys: str = "window: always"
    more: str = ""

    @property
    def partner_file(self) -> str:
        return self.feed.partner_file(self.shape, self.version, feed=self.keys, more=self.more)


def shut() -> str:
    """Keys of a feed's file by which it isn't read for days but when somebody says so: ``Source.keys``."""
    return f"window: {{days: {datetime.now(UTC) + timedelta(days=3):%a}}}".lower()


@define(eq=False)
class World:
    """A running world.

    Attributes:
        gateways: one, or several on one Redis; ``gateway`` is the first, whose address is the ``public_url``.
        backends: by name; ``backend`` is the first.
        partners: by name, hubs among them.
        feeds: price feeds, by the name of their files; ``consumers`` likewise.
    """

    folder: Path
    gateways: list[Gateway]
    backends: Mapping[str, Peer]
    partners: Mapping[str, Peer]
    settings: Settings
    feeds: Mapping[str, Feed] = field(factory=dict)
    consumers: Mapping[str, Consumer] = field(factory=dict)
    _casts: tuple[Cast, ...] = field(factory=tuple)
    _running: list[AsyncExitStack] = field(factory=list)

    def __getitem__(self, name: str) -> Peer:
        return self.partners[name]

    @property
    def gateway(self) -> Gateway:
        return self.gateways[0]

    @property
    def backend(self) -> Peer:
        return next(iter(self.backends.values()))

    @property
    def versions_url(self) -> str:
        """Where everybody finds the gateway."""
        return f"{self.settings.public_url}/ocpi/versions"

    @property
    def peers(self) -> tuple[Peer, ...]:
        """The backends and all partners."""
        return (*self.backends.values(), *self.partners.values())

    @property
    def complaints(self) -> list[str]:
        """Whatever any peer found wrong with what it got."""
        of_feeds = [complaint for feed in self.feeds.values() for complaint in feed.complaints]
        return [*(complaint for peer in self.peers for complaint in peer.complaints), *of_feeds]

    @classmethod
    @asynccontextmanager
    async def of(
        cls,
        folder: Path,
        *partners: Cast,
        backend: Cast = CORE,
        backends: tuple[Cast, ...] = (),
        gateways: int = 1,
        gateway_yaml: str = "",
        register: bool = True,
        feeds: Mapping[str, Feed | Source] | None = None,
        consumers: Mapping[str, Consumer] | None = None,
    ) -> AsyncIterator[World]:
        """The world with this backend and these partners, everybody registered.

        Args:
            folder: where configuration and data go; empty.
            backend: the only backend, written into ``gateway.yaml``.
            backends: several instead, each with a file of its own.
            gateways: how many gateways there are; more than one need a ``redis`` in ``gateway_yaml``.
            gateway_yaml: further lines of ``gateway.yaml``. Without a ``redis`` among them the embedded one is used.
            register: False leaves the handshakes that partners begin to the story.
            feeds: price feeds that the gateway reads; one without a ``Source`` in the newer shape, at any time.
            consumers: whom it serves prices.
        """
        cores = backends or (backend,)
        read = {name: Source(feed=each) if isinstance(each, Feed) else each for name, each in (feeds or {}).items()}
        served = dict(consumers or {})
        async with AsyncExitStack() as stack:
            ours = {cast.name: await stack.enter_async_context(cast.peer(behind_hub=True)) for cast in cores}
            theirs = {cast.name: await stack.enter_async_context(cast.peer()) for cast in partners}
            told = {name: await stack.enter_async_context(source.feed) for name, source in read.items()}
            prices = {name: source.partner_file for name, source in read.items()}
            prices |= {name: consumer.partner_file for name, consumer in served.items()}
            settings = _configure(folder, cores, partners, ours | theirs, gateway_yaml, prices, short=not backends)
            for consumer in served.values():
                consumer.base_url = settings.public_url
            world = cls(folder, [], ours, theirs, settings, told, served, (*cores, *partners))
            stack.push_async_callback(world.stop)
            await world._start(gateways)
            await world._meet(register=register)
            yield world

    async def stop(self, number: int | None = None) -> None:
        """Stop the gateways, or the one with this number; the peers stay."""
        for running in self._running if number is None else self._running[number : number + 1]:
            await running.aclose()

    async def restart(self) -> None:
        """Stop all gateways and start them again: the same files, addresses and Redis, and nothing in their memory."""
        await self.stop()
        count = len(self.gateways)
        self.gateways.clear()
        self._running.clear()
        await self._start(count)

    def through(self, peer: Peer, number: int) -> None:
        """Let this peer call the gateway with this number from now on."""
        host, port = self.gateways[number].ocpi
        theirs = peer.counterpart
        for interface, url in theirs.endpoints.items():
            theirs.endpoints[interface] = urlsplit(url)._replace(netloc=f"{host}:{port}").geturl()

    async def _start(self, count: int) -> None:
        for number in range(count):
            running = AsyncExitStack()
            self._running.append(running)
            started = Gateway.running(self._settings_of(number), self.folder / "data")
            self.gateways.append(await running.enter_async_context(started))
        for gateway in self.gateways:
            await gateway.up()

    def _settings_of(self, number: int) -> Settings:
        """The first has the addresses of the files, the others any that are free."""
        if not number:
            return self.settings
        anywhere = Address("127.0.0.1", 0)
        return evolve(self.settings, listen=anywhere, admin=evolve(self.settings.admin, listen=anywhere))

    async def _meet(self, *, register: bool) -> None:
        everybody = {**self.backends, **self.partners}
        for cast in self._casts:
            if cast.start in ("none", "adopted"):
                await everybody[cast.name].use_static(self.versions_url, f"{cast.name}-token-to-us")
            elif cast.start == "them" and register and cast.can_register:
                await everybody[cast.name].register(self.versions_url, f"{cast.name}-token-a")
        waiting = [cast.name for cast in self._casts if cast.can_register and (cast.start != "them" or register)]
        await self.registered(*waiting)

    async def registered(self, *links: str) -> None:
        """Wait until each gateway knows that these links are registered, and has worked out what they are owed.

        Raises:
            TimeoutError: they aren't within ten seconds.
        """
        changed = asyncio.Event()
        for gateway in self.gateways:
            gateway.links.watch(lambda _: changed.set())
        async with asyncio.timeout(_PATIENCE_S):
            while not all(gateway.links.directory[link].registered for gateway in self.gateways for link in links):
                changed.clear()
                await changed.wait()
            for gateway in self.gateways:
                await gateway.joined()


def _configure(
    folder: Path,
    backends: tuple[Cast, ...],
    partners: tuple[Cast, ...],
    peers: Mapping[str, Peer],
    more: str,
    prices: Mapping[str, str],
    *,
    short: bool,
) -> Settings:
    """Write all files, and read them as ``run`` does. ``short``: the backend stands in ``gateway.yaml``."""
    config = folder / "config"
    listen, admin = free_ports(2)
    parties = "\n".join(dict.fromkeys(f"  - {_party(role)}" for cast in backends for role in cast.roles))
    core = f"backend:\n{_indented(_link_file(backends[0], peers[backends[0].name]))}\n" if short else ""
    config.mkdir(parents=True)
    (config / "gateway.yaml").write_text(
        f"public_url: http://127.0.0.1:{listen}\n"
        f"listen: 127.0.0.1:{listen}\n"
        f'admin: {{listen: "127.0.0.1:{admin}"}}\n'
        f"hub: {{country_code: NL, party_id: GWY}}\n"
        f"parties:\n{parties}\n"
        f"{core}{more}\n"
    )
    for kind, casts in (("backends", () if short else backends), ("partners", partners)):
        (config / kind).mkdir()
        for cast in casts:
            path = config / kind / f"{cast.name}.yaml"
            path.write_text(f"name: {cast.business}\n{_link_file(cast, peers[cast.name])}\n")
    for name, text in prices.items():
        (config / "partners" / f"{name}.yaml").write_text(text)
    versions = {version: adapter.sends_routing_headers for version, adapter in ADAPTERS.items()}
    return load(config, versions, os.environ)


def _link_file(cast: Cast, peer: Peer) -> str:
    url = f'versions_url: "{peer.versions_url}"'
    tokens = f"token_out: {{value: {cast.name}-token-to-them}}, token_in: {{value: {cast.name}-token-to-us}}"
    registration = {
        "us": f"start: us, {url}, token_out: {{value: {cast.name}-token-a}}",
        "them": f"start: them, token_in: {{value: {cast.name}-token-a}}",
        "none": f"start: none, {url}, {tokens}",
        "adopted": f"start: adopted, {url}, {tokens}",
    }[cast.start]
    versions = sorted(filter(None, (cast.version, cast.also_version)), reverse=True)
    offered = ", ".join(f'"{version}"' for version in versions)
    reaches = ", ".join(f'"{party}"' for party in cast.reaches)
    return (
        f"version: [{offered}]\nroles: [{', '.join(_role(role) for role in cast.roles)}]\n"
        + (f"kind: hub\nreaches: [{reaches}]\n" if cast.kind == "hub" else "")
        + f"registration: {{{registration}}}\nallow_private: true\n{cast.more}"
    )


def _role(role: Role) -> str:
    return f"{{role: {role.role}, country_code: {role.country_code}, party_id: {role.party_id}}}"


def _party(role: Role) -> str:
    return f"{_role(role)[:-1]}, name: {role.business_name}}}"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def free_ports(count: int) -> list[int]:
    """Different ports of loopback that nobody listens on, below those that the kernel gives to clients."""
    while True:
        ports = [10_000 + secrets.randbelow(10_000) for _ in range(count)]  # not random: workers may be seeded alike
        with ExitStack() as stack, suppress(OSError):
            for port in ports:
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return ports
