"""A small world on loopback: a backend, its partners, and a gateway between them, configured by real files.

    async with World.of(folder, Cast(version="2.1.1", name="acme", country="DEU", party="ACM")) as world:
        await world.backend.push_location(...)
        await world["acme"].wait_for("PUT", "locations")

The demo plays in it, and so do the tests: the same files, the same handshakes, the same sockets as in life.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from gateway.app import ADAPTERS, Gateway
from gateway.demo.peers import Peer, Role
from gateway.settings import Settings, load

_PATIENCE_S: Final = 10.0


@frozen(kw_only=True)
class Cast:
    """Who plays a part.

    Attributes:
        name: id of the link, and of the peer.
        version: the OCPI version it speaks.
        role: ``EMSP`` or ``CPO``.
        country, party: its party as it writes it: ``DEU`` for a 2.1.1 peer that writes alpha-3.
        business: the name in its credentials.
        start: who begins the handshake, as in a partner file: ``us``, ``them`` or ``none``.
        also: further roles on the same platform (2.2.1).
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
    more: str = ""


CORE: Final = Cast(name="backend", role="CPO", country="NL", party="EXA", business="Example Charging", start="none")
"""The backend that most stories have: a 2.2.1 core of a charge point operator, with static tokens."""


@define(eq=False)
class World:
    """A running world."""

    folder: Path
    gateway: Gateway
    backend: Peer
    partners: Mapping[str, Peer]
    settings: Settings
    _casts: tuple[Cast, ...] = field(factory=tuple)
    _running: AsyncExitStack = field(factory=AsyncExitStack, kw_only=True)

    def __getitem__(self, name: str) -> Peer:
        return self.partners[name]

    @property
    def versions_url(self) -> str:
        """Where everybody finds the gateway."""
        return f"{self.settings.public_url}/ocpi/versions"

    @property
    def peers(self) -> tuple[Peer, ...]:
        """The backend and all partners."""
        return (self.backend, *self.partners.values())

    @property
    def complaints(self) -> list[str]:
        """Whatever any peer found wrong with what it got."""
        return [complaint for peer in self.peers for complaint in peer.complaints]

    @classmethod
    @asynccontextmanager
    async def of(
        cls, folder: Path, *partners: Cast, backend: Cast = CORE, gateway_yaml: str = "", register: bool = True
    ) -> AsyncIterator[World]:
        """The world with this backend and these partners, everybody registered.

        Args:
            folder: where configuration and data go; empty.
            gateway_yaml: further lines of ``gateway.yaml``. Without a ``redis`` among them the embedded one is used.
            register: False leaves the handshakes that partners begin to the story.
        """
        async with AsyncExitStack() as stack:
            peers = {backend.name: await stack.enter_async_context(_peer(backend, behind_hub=True))}
            peers |= {cast.name: await stack.enter_async_context(_peer(cast)) for cast in partners}
            settings = _configure(folder, backend, partners, peers, gateway_yaml)
            running = await stack.enter_async_context(AsyncExitStack())
            gateway = await running.enter_async_context(Gateway.running(settings, folder / "data"))
            core = peers.pop(backend.name)
            world = cls(folder, gateway, core, peers, settings, (backend, *partners), running=running)
            await world._meet(register=register)
            yield world

    async def stop(self) -> None:
        """Stop the gateway; the peers stay."""
        await self._running.aclose()

    async def restart(self) -> None:
        """Stop the gateway and start it again: the same files, addresses and Redis, and nothing in its memory."""
        await self.stop()
        gateway = Gateway.running(self.settings, self.folder / "data")
        self.gateway = await self._running.enter_async_context(gateway)
        await self.gateway.up()

    async def _meet(self, *, register: bool) -> None:
        await self.gateway.up()
        for cast in self._casts:
            peer = self.backend if cast.name == self._casts[0].name else self.partners[cast.name]
            if cast.start == "none":
                await peer.use_static(self.versions_url, f"{cast.name}-token-to-us")
            elif cast.start == "them" and register:
                await peer.register(self.versions_url, f"{cast.name}-token-a")
        waiting = [cast.name for cast in self._casts if cast.start != "them" or register]
        await self.registered(*waiting)

    async def registered(self, *links: str) -> None:
        """Wait until these links are registered.

        Raises:
            TimeoutError: they aren't within ten seconds.
        """
        changed = asyncio.Event()
        self.gateway.links.watch(lambda _: changed.set())
        async with asyncio.timeout(_PATIENCE_S):
            while not all(self.gateway.links.directory[link].registered for link in links):
                changed.clear()
                await changed.wait()


def _peer(cast: Cast, *, behind_hub: bool = False) -> Peer:
    return Peer(
        cast.name, cast.version, cast.role, cast.country, cast.party, cast.business,
        also=cast.also,
        token_a=f"{cast.name}-token-a" if cast.start == "us" else None,
        token_in=f"{cast.name}-token-to-them" if cast.start == "none" else None,
        behind_hub=behind_hub,
    )  # fmt: skip


def _configure(
    folder: Path, backend: Cast, partners: tuple[Cast, ...], peers: Mapping[str, Peer], more: str
) -> Settings:
    config = folder / "config"
    (config / "partners").mkdir(parents=True)
    listen, admin = free_ports(2)
    parties = "\n".join(f"  - {_party(role)}" for role in _roles(backend))
    (config / "gateway.yaml").write_text(
        f"public_url: http://127.0.0.1:{listen}\n"
        f"listen: 127.0.0.1:{listen}\n"
        f'admin: {{listen: "127.0.0.1:{admin}"}}\n'
        f"hub: {{country_code: NL, party_id: GWY}}\n"
        f"parties:\n{parties}\n"
        f"backend:\n{_indented(_link_file(backend, peers[backend.name]))}\n{more}\n"
    )
    for cast in partners:
        path = config / "partners" / f"{cast.name}.yaml"
        path.write_text(f"name: {cast.business}\n{_link_file(cast, peers[cast.name])}\n")
    versions = {version: adapter.sends_routing_headers for version, adapter in ADAPTERS.items()}
    return load(config, versions, os.environ)


def _link_file(cast: Cast, peer: Peer) -> str:
    url = f'versions_url: "{peer.versions_url}"'
    registration = {
        "us": f"start: us, {url}, token_out: {{value: {cast.name}-token-a}}",
        "them": f"start: them, token_in: {{value: {cast.name}-token-a}}",
        "none": f"start: none, {url}, token_out: {{value: {cast.name}-token-to-them}},"
        f" token_in: {{value: {cast.name}-token-to-us}}",
    }[cast.start]
    roles = ", ".join(_role(role) for role in _roles(cast))
    return (
        f'version: "{cast.version}"\nroles: [{roles}]\n'
        f"registration: {{{registration}}}\nallow_private: true\n{cast.more}"
    )


def _roles(cast: Cast) -> tuple[Role, ...]:
    return (Role(cast.role, cast.country, cast.party, cast.business), *cast.also)


def _role(role: Role) -> str:
    return f"{{role: {role.role}, country_code: {role.country_code}, party_id: {role.party_id}}}"


def _party(role: Role) -> str:
    return f"{_role(role)[:-1]}, name: {role.business_name}}}"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def free_ports(count: int) -> list[int]:
    """Different ports of loopback that nobody listens on."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
