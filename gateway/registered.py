"""Which links there are, and where each registration stands: files joined with what handshakes yielded.

``Links`` holds the one mutable reference of the house: the current ``Directory``. Whoever handles a message takes it
once and keeps it to the end. A registration is a record in the store (the file is intent, the store is fact) and wins
over the file's first tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog
from attrs import evolve

from gateway.directory import Directory, Link
from gateway.handshake import Standing
from gateway.model.dialect import Dialect, Seat
from gateway.model.modules import MODULES, Module, Side
from gateway.ports import Registrations
from gateway.settings import CountryCode, LinkSettings, ModuleUse, Settings
from gateway.telemetry import MASK, REGISTERED

log = structlog.get_logger()


class Endpoint(msgspec.Struct, frozen=True):
    """One endpoint of the other side's, by the interface it plays there."""

    module: Module
    side: Side
    url: str


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """What a handshake (or, with static tokens, discovery) yielded; one record per link.

    Attributes:
        standing: registered, or not (any more).
        version: the OCPI version in use.
        token_out: what we send them.
        encoding: the form in which they take it, once known: ``raw`` or ``base64``.
        versions_url: theirs.
        endpoints: theirs.
        business: their business details by party, as they gave them.
        alpha_3: whether they write their country code with three letters.
        token_in: digest of the token that they send, empty with static tokens.
        spent: digest of the token A that registered it: used up, until the file names another.
    """

    standing: Standing = Standing.NEW
    version: str = ""
    token_out: str = ""
    encoding: str = ""
    versions_url: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    business: dict[str, dict[str, Any]] = {}
    alpha_3: bool = False
    token_in: str = ""
    spent: str = ""


_decode = msgspec.msgpack.Decoder(Registration).decode
_encode = msgspec.msgpack.Encoder().encode


class Links:
    """The current directory, and the registrations behind it."""

    def __init__(self, settings: Settings, store: Registrations, token_encodings: Mapping[str, str]) -> None:
        self.settings: Mapping[str, LinkSettings] = {link.id: link for link in settings.links}
        self._public_url = settings.public_url
        self._store = store
        self._token_encodings = token_encodings
        self._registrations: dict[str, Registration] = {link: Registration() for link in self.settings}
        self._watchers: list[Callable[[str], None]] = []
        self.directory = Directory.of(settings.hub, [self._link(link) for link in self.settings.values()])

    def watch(self, watcher: Callable[[str], None]) -> None:
        """Call this with the id of each link whose registration changed."""
        self._watchers.append(watcher)

    def registration(self, link: str) -> Registration:
        """Where a link's registration stands; a new one where nothing happened yet."""
        return self._registrations[link]

    async def load(self) -> None:
        """Read every registration from the store. Raises NotDurable."""
        for link in self.settings:
            stored = await self._store.registration(link)
            if stored is not None:
                self._take(link, _decode(stored.value))

    async def save(
        self, link: str, registration: Registration, add: Mapping[str, bytes] | None = None, drop: Sequence[str] = ()
    ) -> None:
        """Store a registration and its tokens, then speak by it. Raises NotDurable; then nothing has changed."""
        await self._store.register(link, None, _encode(registration), add or {}, [digest for digest in drop if digest])
        self._take(link, registration)

    def token_out(self, link: str) -> tuple[str, str]:
        """The token to send to a link, and its encoding."""
        registration, settings = self._registrations[link], self.settings[link]
        token = registration.token_out or (
            settings.registration.token_out.value if settings.registration.token_out else ""
        )
        return token, registration.encoding or self.encodings(link)[0]

    def encodings(self, link: str) -> tuple[str, ...]:
        """The forms in which a token may be sent, the likeliest first. More than one while nothing is known."""
        settings, registration = self.settings[link], self._registrations[link]
        version = registration.version or settings.versions[0]
        wanted = settings.policies[version].auth_token_encoding
        if wanted != "auto":
            return (wanted,)
        first = self._token_encodings[version]
        return (first, "raw" if first == "base64" else "base64")

    def _take(self, link: str, registration: Registration) -> None:
        self._registrations[link] = registration
        MASK.guard([registration.token_out])
        self.directory = self.directory.with_link(self._link(self.settings[link]))
        for watcher in self._watchers:
            watcher(link)

    def _link(self, settings: LinkSettings) -> Link:
        registration = self._registrations[settings.id]
        registered = registration.standing is Standing.REGISTERED
        REGISTERED.labels(settings.id).set(registered)
        return Link(
            dialect=self.dialect(settings.id, registration),
            registered=registered,
            uses=settings.modules,
            authorize_timeout=settings.authorize.timeout.total_seconds(),
            in_flight=settings.limits.in_flight,
        )

    def dialect(self, link: str, registration: Registration) -> Dialect:
        """The dialect that a link has with this registration, or would have."""
        settings = self.settings[link]
        version = registration.version or settings.versions[0]
        return Dialect(
            link=link,
            version=version,
            ours=settings.ours,
            theirs=tuple(_named(seat, registration.business) for seat in settings.theirs),
            endpoints={(endpoint.module, endpoint.side): endpoint.url for endpoint in registration.endpoints},
            offered=_offered(settings.modules),
            base_url=(settings.our_url or self._public_url).rstrip("/") + "/ocpi",
            alpha_3=settings.country_code is CountryCode.ALPHA_3
            or (settings.country_code is CountryCode.MIRROR and registration.alpha_3),
            backend=settings.is_backend,
            policy=settings.policies[version],
        )


def _named(seat: Seat, business: Mapping[str, dict[str, Any]]) -> Seat:
    said = business.get(str(seat.party))
    return evolve(seat, business=said) if said else seat


def _offered(uses: Mapping[Module, ModuleUse]) -> frozenset[tuple[Module, Side]]:
    """The interfaces that we serve: RECEIVER of what we accept, and SENDER of tokens, where authorizations are asked.

    The other SENDER interfaces are lists, and belong to the modules that serve them.
    """
    offered = {(module, Side.RECEIVER) for module, use in uses.items() if use.accept and MODULES[module].functional}
    if Module.TOKENS in uses and uses[Module.TOKENS].push:
        offered.add((Module.TOKENS, Side.SENDER))
    return frozenset(offered)


def registered_seats(seats: Sequence[Seat]) -> dict[str, dict[str, Any]]:
    """The business details in seats, by party, as a registration keeps them."""
    return {str(seat.party): dict(seat.business) for seat in seats if seat.business}
