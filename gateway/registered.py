"""Which links there are, and where each registration stands: files joined with what handshakes yielded.

``Links`` holds the one mutable reference of the house: the current ``Directory``. Whoever handles a message takes it
once and keeps it to the end. A registration is a record in the store (the file is intent, the store is fact) and wins
over the file's first tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Protocol

import msgspec
from attrs import evolve, field, frozen
from msgspec.structs import replace

from gateway.authorize import Stance
from gateway.directory import Clients, Directory, Link
from gateway.handshake import Standing
from gateway.model.dialect import Dialect, Seat
from gateway.model.errors import NotDurable
from gateway.model.modules import MODULES, Module, Side
from gateway.model.names import Moved
from gateway.model.party import is_supply
from gateway.model.policy import Policy
from gateway.ports import Adapter, News, Registrations
from gateway.settings import AuthorizeMode, CountryCode, LinkSettings, ModuleUse, Settings, Start
from gateway.telemetry import MASK, REGISTERED


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
        token_out: what we send them; empty while it is the file's.
        encoding: the form in which they take it, once known: ``raw`` or ``base64``.
        versions_url: theirs.
        endpoints: theirs.
        business: their business details by party, as they gave them.
        alpha_3: whether they write their country code with three letters.
        tokens_in: digests of the tokens that they may send, the newest last; empty while they are the file's.
        pending: digests of tokens that we gave them in a PUT whose answer hasn't come. More than a minute after
            ``asked`` it is in doubt which tokens they have; each of these opens our door until that is settled.
        spent: digests of tokens of the file that are used up; they open nothing until the file names others.
        since: when it was registered, or came to this version, in milliseconds since 1970; rotations leave it.
        renewed: when the tokens were exchanged, in milliseconds since 1970.
        moving: the version that the pending PUT asks for.
        asked: when it was sent, in milliseconds since 1970.
        former: what counted before they sent their last PUT, until they use the token that it gave them.
    """

    standing: Standing = Standing.NEW
    version: str = ""
    token_out: str = ""
    encoding: str = ""
    versions_url: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    business: dict[str, dict[str, Any]] = {}
    alpha_3: bool = False
    tokens_in: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    spent: tuple[str, ...] = ()
    since: int = 0
    renewed: int = 0
    moving: str = ""
    asked: int = 0
    former: Registration | None = None


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Why the last handshake that we began failed, when (in milliseconds since 1970), and what a person can do."""

    at: int
    reason: str
    todo: str


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asked for, and why: nothing goes this way until then (milliseconds since 1970)."""

    at: int
    until: int
    reason: str


class Direction(StrEnum):
    """Which way is paused: what we push to them, or what they push to us."""

    IN = "in"
    OUT = "out"


@frozen
class Change:
    """A registration to be stored, with the tokens that open the link from then on and those that no longer do."""

    registration: Registration
    add: Mapping[str, bytes] = field(factory=dict)
    drop: Collection[str] = ()


class _Store(Registrations, News, Protocol):
    """What is needed of the store."""


REGISTRATION: Final = "registration"
"""Topic of the announcement that something about a link has changed; its text is the link's id."""

_TROUBLE: Final = "trouble"
_PAUSES: Final = {direction: f"paused_{direction}" for direction in Direction}
_STATIC: Final = (Start.NONE, Start.ADOPTED)
_decode = msgspec.msgpack.Decoder(Registration).decode
_decode_pause = msgspec.msgpack.Decoder(Pause).decode
_decode_trouble = msgspec.msgpack.Decoder(Trouble).decode
_encode = msgspec.msgpack.Encoder().encode


class Links:
    """The current directory, and the registrations behind it.

    The truth is in the store, which all replicas share; what is here is a copy. Each change is written only over the
    version that it was made from, and announced, so that the other replicas read it at once.
    """

    def __init__(self, settings: Settings, store: _Store, adapters: Mapping[str, Adapter]) -> None:
        self.settings: Mapping[str, LinkSettings] = {link.id: link for link in settings.links}
        self._public_url = settings.public_url
        self._store = store
        self._adapters = adapters
        self._registrations: dict[str, Registration] = {link: Registration() for link in self.settings}
        self._stored: dict[str, int] = dict.fromkeys(self.settings, 0)
        self._facts: dict[str, dict[str, bytes]] = {link: {} for link in self.settings}
        self._watchers: list[Callable[[str], None]] = []
        self._own = frozenset({settings.hub, *(seat.party for seat in settings.parties)})
        links = [self._link(link) for link in self.settings.values()]
        self.directory = Directory.of(settings.hub, links, settings.unknown_tokens)

    # Reading ----------------------------------------------------------------------------------------------------------

    def watch(self, watcher: Callable[[str], None]) -> None:
        """Call this with the id of each link whose registration, or pause, has changed."""
        self._watchers.append(watcher)

    def registration(self, link: str) -> Registration:
        """Where a link's registration stands; a new one where nothing happened yet."""
        return self._registrations[link]

    def standing(self, link: str) -> Standing:
        """What credentials requests of this link may do: see ``gateway.handshake.TRANSITIONS``."""
        start = self.settings[link].registration.start
        if start is Start.NONE:
            return Standing.STATIC
        if start is Start.ADOPTED and not self._stored[link]:
            return Standing.REGISTERED  # elsewhere, earlier
        return self._registrations[link].standing

    def by_file(self, link: str) -> bool:
        """Whether the tokens in use are the file's: static ones, or adopted ones that were never rotated."""
        return self.standing(link) is not Standing.NEW and (
            self.settings[link].registration.start in _STATIC and not self._registrations[link].tokens_in
        )

    def token_out(self, link: str) -> tuple[str, str]:
        """The token to send to a link, and its encoding. Empty while there is none."""
        registration, filed = self._registrations[link], self.settings[link].registration.token_out
        token = filed.value if filed is not None and self.by_file(link) else registration.token_out
        return token, registration.encoding or self.encodings(link)[0]

    def encodings(self, link: str, version: str | None = None) -> tuple[str, ...]:
        """The forms in which a token may be sent, the likeliest first. More than one while nothing is known.

        Args:
            version: what will be spoken, if not what is.
        """
        version = version or self._version(link)
        wanted = self._policy(link, version).auth_token_encoding
        if wanted != "auto":
            return (wanted,)
        first = self._adapters[version].token_encoding
        return (first, "raw" if first == "base64" else "base64")

    def version_aliases(self, link: str, versions: Sequence[str]) -> dict[str, str]:
        """Names in their list of versions that mean one of these."""
        return {
            alias: meant for version in versions for alias, meant in self._policy(link, version).version_aliases.items()
        }

    def token_grace_s(self, link: str, version: str) -> int:
        """For how many seconds a replaced token counts at most."""
        return self._policy(link, version).auth_token_grace_s

    def versions_url(self, link: str) -> str:
        """Their versions endpoint; empty while it isn't known."""
        return self._registrations[link].versions_url or self.settings[link].registration.versions_url or ""

    def ever_registered(self, link: str) -> bool:
        """Whether credentials were exchanged with this link, now or before."""
        registration = self._registrations[link]
        return self.standing(link) is Standing.REGISTERED or registration.since > 0 or bool(registration.spent)

    def registered_at(self, link: str) -> int:
        """When the registration in use was made, in milliseconds since 1970."""
        return self._registrations[link].since

    def know(self, clients: Clients) -> None:
        """What hubs say of the parties behind them, from now on."""
        self.directory = self.directory.with_clients(clients)

    def trouble(self, link: str) -> Trouble | None:
        """Why the last handshake that we began has failed."""
        fact = self._facts[link].get(_TROUBLE)
        return _decode_trouble(fact) if fact else None

    def pause(self, link: str, direction: Direction) -> Pause | None:
        """The pause that a person asked for, also one that is over."""
        fact = self._facts[link].get(_PAUSES[direction])
        return _decode_pause(fact) if fact else None

    # Keeping up with the store ----------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Read every registration from the store. Raises NotDurable."""
        for link in self.settings:
            await self.reload(link)

    async def reload(self, link: str) -> Registration:
        """The link's registration as it stands in the store now, and its pauses with it. Raises NotDurable."""
        while True:
            before = self._stored[link]
            stored, facts = await self._store.registration(link), await self._store.facts(link)
            if before == self._stored[link]:
                break  # else it was changed here meanwhile, and what was read may be older than that
        version = stored.version if stored else 0
        paused = any(facts.get(fact) != self._facts[link].get(fact) for fact in _PAUSES.values())
        self._facts[link] = facts
        if version != self._stored[link] or paused:
            self._stored[link] = version
            self._take(link, self._meant(link, _decode(stored.value)) if stored else Registration())
        return self._registrations[link]

    def _meant(self, link: str, registration: Registration) -> Registration:
        """What static tokens yielded counts no more when the file asks for a handshake now."""
        static = self.settings[link].registration.start in _STATIC
        handshaken = static or registration.tokens_in or registration.standing is not Standing.REGISTERED
        return registration if handshaken else Registration(spent=registration.spent)

    async def adopt(self, settings: Settings) -> None:
        """Go by other files from now on: a new directory, in which everybody who is registered stays so.

        Raises:
            NotDurable: the store is away, and nothing has changed.
        """
        before, links = self.settings, {link.id: link for link in settings.links}
        stored = {id: await self._store.registration(id) for id in links}
        facts = {id: await self._store.facts(id) for id in links if id not in before}
        # From here on without a pause: whoever looks sees all of the one or all of the other.
        self.settings = links
        self._public_url = settings.public_url
        self._own = frozenset({settings.hub, *(seat.party for seat in settings.parties)})
        for gone in before.keys() - links.keys():
            REGISTERED.remove(gone)
            for kept in (self._registrations, self._stored, self._facts):
                kept.pop(gone)
        for id, record in stored.items():
            self._facts[id] = facts.get(id) or self._facts.get(id, {})
            self._stored[id] = record.version if record else 0
            self._registrations[id] = self._meant(id, _decode(record.value)) if record else Registration()
        known = self.directory.known
        found = [self._link(link) for link in links.values()]
        self.directory = Directory.of(settings.hub, found, settings.unknown_tokens).with_clients(known)
        for id, link in links.items():
            if before.get(id) != link:
                for watcher in self._watchers:
                    watcher(id)

    # Changing ---------------------------------------------------------------------------------------------------------

    async def save(self, link: str, change: Change) -> None:
        """Store a registration and its tokens, speak by it, and tell the other replicas.

        Raises:
            NotDurable: nothing has changed.
            Moved: somebody else has changed it since it was read here. It has been read again.
        """
        drop = [digest for digest in change.drop if digest not in change.add]
        try:
            self._stored[link] = await self._store.register(
                link, self._stored[link], _encode(change.registration), change.add, drop
            )
        except Moved:
            await self.reload(link)
            raise
        self._take(link, change.registration)
        await self._tell(link)

    async def settle(self, link: str, decide: Callable[[Registration], Change | None]) -> None:
        """Change the registration whatever it is by now: decided anew each time that somebody else was faster.

        Args:
            decide: the change; None leaves everything as it is.

        Raises:
            NotDurable: nothing has changed.
        """
        while (change := decide(self._registrations[link])) is not None:
            try:
                return await self.save(link, change)
            except Moved:
                continue

    async def note(self, link: str, trouble: Trouble | None) -> None:
        """What went wrong with a handshake of ours, for people to see; None: nothing any more. Raises NotDurable."""
        if trouble is None and _TROUBLE not in self._facts[link]:
            return
        await self._set(link, _TROUBLE, trouble)

    async def set_pause(self, link: str, direction: Direction, pause: Pause | None) -> None:
        """Pause a direction, or resume it, on every replica. Raises NotDurable."""
        await self._set(link, _PAUSES[direction], pause)
        await self.reload(link)
        await self._tell(link)

    async def _set(self, link: str, fact: str, value: msgspec.Struct | None) -> None:
        packed = None if value is None else _encode(value)
        await self._store.set_fact(link, fact, packed)

    async def _tell(self, link: str) -> None:
        with suppress(NotDurable):  # the others look by themselves before long
            await self._store.announce(REGISTRATION, link)

    def _take(self, link: str, registration: Registration) -> None:
        self._registrations[link] = registration
        MASK.guard([registration.token_out, registration.former.token_out if registration.former else ""])
        self.directory = self.directory.with_link(self._link(self.settings[link]))
        for watcher in self._watchers:
            watcher(link)

    def _version(self, link: str) -> str:
        return self._registrations[link].version or self.settings[link].versions[0]

    def _policy(self, link: str, version: str) -> Policy:
        """The switches in a version; a link may still speak one that its file names no more."""
        settings = self.settings[link]
        return settings.policies.get(version, settings.policy)

    def _spoken(self, settings: LinkSettings) -> Mapping[Module, ModuleUse]:
        """What each module does. HubClientInfo isn't asked for: where a version lacks it, nobody misses it."""
        has = self._adapters[self._version(settings.id)].modules
        return {module: use for module, use in settings.modules.items() if module in has or MODULES[module].functional}

    def _link(self, settings: LinkSettings) -> Link:
        registration = self._registrations[settings.id]
        registered = registration.standing is Standing.REGISTERED
        REGISTERED.labels(settings.id).set(registered)
        return Link(
            dialect=self.dialect(settings.id, registration),
            registered=registered,
            uses=self._spoken(settings),
            authorize_timeout=settings.authorize.timeout.total_seconds(),
            stance=_stance(settings),
            in_flight=settings.limits.in_flight,
            commands_timeout=settings.commands.timeout.total_seconds(),
            page=settings.limits.page,
            stage=settings.stage,
            pilot=settings.pilot,
            share=settings.share,
            prefer=settings.prefer,
            replaces=settings.replaces,
            since=settings.since,
            paused_out=_end(self.pause(settings.id, Direction.OUT)),
            paused_in=_end(self.pause(settings.id, Direction.IN)),
        )

    def dialect_in(self, link: str, version: str) -> Dialect:
        """The dialect that the link has in this version, whichever it speaks now."""
        return self.dialect(link, replace(self._registrations[link], version=version))

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
            offered=_offered(settings),
            base_url=(settings.our_url or self._public_url).rstrip("/") + "/ocpi",
            alpha_3=settings.country_code is CountryCode.ALPHA_3
            or (settings.country_code is CountryCode.MIRROR and registration.alpha_3),
            backend=settings.is_backend,
            reaches=settings.reaches,
            own=self._own,
            policy=self._policy(settings.id, version),
        )


def _named(seat: Seat, business: Mapping[str, dict[str, Any]]) -> Seat:
    said = business.get(str(seat.party))
    return evolve(seat, business=said) if said else seat


def _end(pause: Pause | None) -> datetime | None:
    return datetime.fromtimestamp(pause.until / 1000, UTC) if pause is not None else None


def _stance(settings: LinkSettings) -> Stance:
    authorize = settings.authorize
    return Stance(
        cache_first=authorize.mode is AuthorizeMode.CACHE_FIRST,
        on_timeout=authorize.on_timeout.value,
        max_age=authorize.cache_max_age,
        always_invalid=settings.policy.tokens_always_invalid == "allow",
    )


def _offered(settings: LinkSettings) -> frozenset[tuple[Module, Side]]:
    """The interfaces that we serve: RECEIVER of what we accept, SENDER of what we push.

    Commands have no SENDER interface but the URL for each result (2.2.1 ``mod_commands``, Sender Interface). A core
    that wants no tokens still asks about them.
    """
    uses = settings.modules
    receiving = {(module, Side.RECEIVER) for module, use in uses.items() if use.accept}
    sending = {(module, Side.SENDER) for module, use in uses.items() if use.push and module is not Module.COMMANDS}
    if settings.is_backend and any(is_supply(seat.role) for seat in settings.theirs):
        sending.add((Module.TOKENS, Side.SENDER))
    return frozenset(receiving | sending)


def registered_seats(seats: Sequence[Seat]) -> dict[str, dict[str, Any]]:
    """The business details in seats, by party, as a registration keeps them."""
    return {str(seat.party): dict(seat.business) for seat in seats if seat.business}
