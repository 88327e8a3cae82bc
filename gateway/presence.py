"""Who is there: HubClientInfo, told to the backends, learned from hubs and from what the traffic shows.

To a backend we are a hub, and a hub says who can be reached through it. Three things are known of that: whether a
partner is registered, suspended or paused (our own doing), whether its platform answers (what calls to it show, and,
where there are none, a look at its versions endpoint), and what hubs say of the parties behind them. Together they make
one status for each party and role. It is an object like any other: said when it changes, owed to the backends, listed
from what they have seen.

A platform counts as offline after three calls in a row that didn't reach it, and as connected with the first that does,
or as soon as it calls us. One that is silent for five minutes is looked at, one that is offline every half minute, by
one replica at a time. Live exchanges with a bilateral partner are tried whatever is believed of it; of parties behind
a hub, the hub's word is taken (``Directory.status``).

Spec: 2.2.1 ``mod_hub_client_info`` (Status of a connection, Still alive check, ClientInfo object).
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import msgspec
import structlog
from attrs import frozen
from prometheus_client import Gauge

from gateway.directory import Clients, Directory, Link
from gateway.exchange import Exchange, crossing
from gateway.model.document import Document
from gateway.model.errors import GatewayError, InvalidObject, NotConnected, NotDurable, NotFound, ReceiverTimeout
from gateway.model.facts import Withheld
from gateway.model.hub_client_info import ConnectionStatus
from gateway.model.message import Answer, HttpRequest, Message, Ref, Trace
from gateway.model.modules import Kind, Module, Side, Verb
from gateway.model.names import Name, Said
from gateway.model.party import Party, Role, is_supply
from gateway.ports import Codec, News, Objects, Seen, Wire

log = structlog.get_logger()

REACHABLE: Final = Gauge(
    "ocpi_gateway_partner_reachable", "Whether a link's platform answered when it was called last.", ("partner",)
)

FAILURES: Final = 3
"""Calls in a row that didn't reach a platform, after which it counts as offline."""

SILENT_S: Final = 300.0
"""Seconds without a word after which a platform is looked at. Spec: 2.2.1 ``mod_hub_client_info``: about 5 minutes."""

OFFLINE_S: Final = 30.0
"""Seconds until a platform that is offline is looked at again; twice as many each time, up to ``SILENT_S``.

Any call is a look, so one that is dead is called some 300 times a day, and no more.
"""

_PACE_S: Final = 0.2
_ROUND_S: Final = 1.0
_LOOK_S: Final = 5.0
_REVIEW_S: Final = 5.0
_PULL_S: Final = 3600.0
_PULL_AGAIN_S: Final = 30.0
_TOLD: Final = 1000
_OFFLINE: Final = "offline"

# Of several ways to a party the best one counts.
_BEST: Final = (
    ConnectionStatus.CONNECTED,
    ConnectionStatus.OFFLINE,
    ConnectionStatus.SUSPENDED,
    ConnectionStatus.PLANNED,
)


class Owing(Protocol):
    """The ledger, as it is seen from here."""

    async def owed(self, name: Name) -> None:
        """Something was said and is noted as owed."""

    def urge(self, link: str) -> None:
        """They are back: what waits is tried at once."""


class Known(Protocol):
    """The directory's holder, as it is seen from here."""

    @property
    def directory(self) -> Directory:
        """The current one."""

    def know(self, clients: Clients) -> None:
        """What hubs say of parties, from now on."""

    def ever_registered(self, link: str) -> bool:
        """Whether credentials were exchanged with this link, now or before."""

    def versions_url(self, link: str) -> str:
        """Their versions endpoint; empty while it isn't known."""

    def registered_at(self, link: str) -> int:
        """When the registration in use was made, in milliseconds since 1970."""


class Store(Objects, Seen, News, Protocol):
    """What is needed of the store."""

    async def claim(self, id: str, value: bytes, ttl: float) -> bytes | None:
        """Who is first has ``id`` and reads None."""


class _Client(msgspec.Struct, frozen=True):
    """What a hub said of a party in a role."""

    party: str
    role: Role
    status: ConnectionStatus
    last_updated: str


_decode = msgspec.msgpack.Decoder(_Client).decode
_encode = msgspec.msgpack.Encoder().encode


@frozen
class _Body:
    """A party in a role: what a ClientInfo is about."""

    party: Party
    role: Role

    @property
    def name(self) -> Name:
        return Name(Module.HUB_CLIENT_INFO, self.party, self.role.value)


class Presence:
    """Knows who is there, and says so. ``work`` is what does it."""

    def __init__(
        self,
        *,
        store: Store,
        exchange: Exchange,
        wire: Wire,
        codec: Codec,
        ledger: Owing,
        links: Known,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._exchange = exchange
        self._wire = wire
        self._codec = codec
        self._ledger = ledger
        self._links = links
        self._clock = clock
        self._failures: dict[str, int] = defaultdict(int)
        self._called: dict[str, float] = {}
        self._offline: dict[str, bool] = {}
        self._noticed: dict[str, bool] = {}
        self._changed = asyncio.Event()
        self._due = asyncio.Event()
        # By link: the registration for which its list is read, and when it is read next.
        self._pulls: dict[str, tuple[int, float]] = {}
        self._keeping = asyncio.Lock()

    # What traffic shows -----------------------------------------------------------------------------------------------

    def heard(self, link: str) -> None:
        """Its platform answered, or called us."""
        self._failures.pop(link, None)
        self._called[link] = asyncio.get_running_loop().time()
        REACHABLE.labels(link).set(1)
        if self._offline.get(link):
            self._pulls.pop(link, None)  # what a hub said in the meantime wasn't heard
            self._notice(link, offline=False)

    def missed(self, link: str, error: GatewayError) -> None:
        """A call didn't reach its platform, or wasn't answered in time."""
        if not isinstance(error, NotConnected | ReceiverTimeout):
            return
        self._failures[link] += 1
        self._called[link] = asyncio.get_running_loop().time()
        if self._failures[link] >= FAILURES and not self._offline.get(link):
            self._notice(link, offline=True)

    def _notice(self, link: str, *, offline: bool) -> None:
        REACHABLE.labels(link).set(not offline)
        self._offline[link] = self._noticed[link] = offline
        self._changed.set()

    def look(self) -> None:
        """Something changed of which only the directory knows: a registration, a pause, a file."""
        self._changed.set()
        self._due.set()

    # What hubs say ----------------------------------------------------------------------------------------------------

    async def receive(self, message: Message, source: Link, directory: Directory) -> Answer:
        """A hub's PUT or GET on our Receiver interface. Spec: 2.2.1 ``mod_hub_client_info``, Receiver interface.

        Raises:
            NotFound: the caller is no hub, the party isn't behind it, or (GET) it never told of it.
            InvalidObject: the object breaks the specification, or isn't the party of the URL.
            NotDurable: the store is away.
        """
        party = message.ref.owner
        if source.hub is None or party is None or not source.dialect.speaks_for(party):
            raise NotFound("HubClientInfo is for hubs, about the parties behind them")
        if message.verb is Verb.GET:
            return Answer(status=1000, data=Document(Kind.CLIENT_INFO, await self._told_by(source, party)))
        if message.body is None:
            raise InvalidObject("$", "required")
        known = await self._take(source, message, message.body.data, directory)
        if _body(known).party != party:
            raise InvalidObject("$.party_id", "is not the party in the URL")
        async with self._keeping:
            await self._keep(source.id, [known])
        await self._learn()  # what it was told of counts here before it reads that it does
        return Answer(status=1000)

    async def _told_by(self, source: Link, party: Party) -> dict[str, Any]:
        for packed in (await self._store.clients(source.id)).values():
            client = _decode(packed)
            if client.party == str(party):
                return _written(_body(client), client.status, client.last_updated)
        raise NotFound("nothing is known of that party")

    async def _take(self, source: Link, message: Message, wire: Any, directory: Directory) -> _Client:
        adapter = self._exchange.adapter(source)
        if isinstance(wire, dict) and wire.get("last_updated") is None:
            wire = {**wire, "last_updated": self._now()}  # missing in the specification's own example
        up, _ = await self._exchange.lookup.through(
            lambda c: adapter.up(Kind.CLIENT_INFO, wire, c), crossing(message, source), directory
        )
        said = up.data
        try:
            party = Party.of(said["country_code"], said["party_id"])
            return _Client(str(party), Role(said["role"]), ConnectionStatus(said["status"]), said["last_updated"])
        except ValueError as error:
            raise InvalidObject("$", str(error)) from None

    async def _keep(self, link: str, clients: list[_Client]) -> None:
        for client in clients:
            await self._store.client_put(link, f"{client.party}:{client.role}", _encode(client))
        await self._store.announce("clients", link)
        self._changed.set()

    async def pull(self, link: Link, directory: Directory) -> int:
        """Read a hub's list. How many parties it has. Spec: 2.2.1 ``mod_hub_client_info``, Sender interface.

        What it pushes meanwhile counts: the list was made before.

        Raises:
            NotConnected, ReceiverTimeout, ReceiverError, NotDurable: it couldn't be had; what was known stays.
        """
        message = Message(
            module=Module.HUB_CLIENT_INFO,
            verb=Verb.GET,
            side=Side.SENDER,
            sender=link.dialect.ours[0].party,
            receiver=link.hub,
            ref=Ref(),
            trace=Trace(request_id=str(uuid.uuid4()), correlation_id=str(uuid.uuid4())),
        )
        before = await self._store.clients(link.id)
        found: dict[str, _Client] = {}
        async with aclosing(self._exchange.pages(message, link)) as pages:
            async for page in pages:
                for client in await self._taken(link, message, page, directory):
                    found[f"{client.party}:{client.role}"] = client
        async with self._keeping:
            now = await self._store.clients(link.id)
            pushed = {id for id, client in now.items() if before.get(id) != client}
            for gone in now.keys() - found.keys() - pushed:
                await self._store.client_drop(link.id, gone)
            await self._keep(link.id, [client for id, client in found.items() if id not in pushed])
        return len(found)

    async def _taken(self, link: Link, message: Message, page: list[Any], directory: Directory) -> list[_Client]:
        """Whom a page of a hub's list is about, but for what can't be read and for those that aren't behind it."""
        taken = []
        for item in page:
            try:
                client = await self._take(link, message, item, directory)
            except (InvalidObject, Withheld) as error:
                log.warning("clients.skipped", partner=link.id, module=Module.HUB_CLIENT_INFO, reason=str(error))
                continue
            if link.dialect.speaks_for(_body(client).party):
                taken.append(client)
        return taken

    # Work -------------------------------------------------------------------------------------------------------------

    def work(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What looks after everybody, each to be run until cancelled."""
        return self._listen(), self._watch(), self._tell()

    async def _listen(self) -> None:
        async with aclosing(self._store.announcements(every=_REVIEW_S)) as announced:
            async for news in announced:
                if news is None or news[0] in ("clients", "registration", "pause"):
                    self._changed.set()

    async def _tell(self) -> None:
        """Whenever something changed: put it together again, and say what is new."""
        while True:
            self._changed.clear()
            try:
                await self._share()
                await self._learn()
                await self._say()
            except NotDurable:
                await asyncio.sleep(1)
                self._changed.set()
            await asyncio.sleep(_PACE_S)  # however much is going on
            await self._changed.wait()

    async def _share(self) -> None:
        """What this replica noticed goes to the others, and theirs comes here. Whoever noticed last is right."""
        for link in self._links.directory.links:
            stored = _OFFLINE in await self._store.facts(link)
            noticed = self._noticed.pop(link, None)
            if noticed is None or noticed == stored:
                self._offline[link] = stored
                REACHABLE.labels(link).set(not stored)
                continue
            await self._store.set_fact(link, _OFFLINE, self._now().encode() if noticed else None)
            log.warning(
                "partner.offline" if noticed else "partner.online", partner=link,
                todo="what it is owed waits; it is looked at every half minute" if noticed else None,
            )  # fmt: skip
            await self._store.announce("clients", link)
            if not noticed:
                self._ledger.urge(link)

    async def _learn(self) -> None:
        """What hubs have said becomes part of the directory."""
        known = await said_by_hubs(self._store, self._links.directory)
        if known != self._links.directory.known:
            self._links.know(known)

    async def _say(self) -> None:
        directory = self._links.directory
        backends = [link.id for link in directory.backends if link.pushes(Module.HUB_CLIENT_INFO)]
        if not backends:
            return
        statuses = self.statuses(directory)
        for backend in backends:
            names, _, _ = await self._store.seen_page(backend, Module.HUB_CLIENT_INFO, limit=_TOLD)
            for name in names:  # a party that nobody knows any more isn't forgotten: the specification has no DELETE
                statuses.setdefault(_Body(name.owner, Role(name.id)), ConnectionStatus.SUSPENDED)
        bodies = list(statuses)
        for body, said in zip(bodies, await self._store.read_many([body.name for body in bodies]), strict=True):
            if said is None or self._status_of(said) != statuses[body]:
                await self._say_one(body, statuses[body], backends)

    def _status_of(self, said: Said) -> str:
        return str(self._codec.loads(said.canonical)["status"])

    async def _say_one(self, body: _Body, status: ConnectionStatus, backends: list[str]) -> None:
        value = self._codec.dumps(_written(body, status, self._now()))
        await self._store.say(
            body.name,
            value,
            value,
            self._exchange.newest,
            str(self._links.directory.hub),
            None,
            backends,
            correlation=str(uuid.uuid4()),
        )
        await self._ledger.owed(body.name)

    def statuses(self, directory: Directory) -> dict[_Body, ConnectionStatus]:
        """The status of every party that can be, or could be, reached through a partner's link."""
        found: dict[_Body, ConnectionStatus] = {}
        for link in (link for link in directory.partners if link.in_service):
            for body, status in self._of_link(link, directory):
                best = min(status, found.get(body, status), key=_BEST.index)
                found[body] = best
        return found

    def _of_link(self, link: Link, directory: Directory) -> Iterator[tuple[_Body, ConnectionStatus]]:
        platform = self._platform(link)
        for seat in link.dialect.theirs:
            yield _Body(seat.party, seat.role), platform
        if link.hub is None:
            return
        said = {(party, role): status for (hub, party, role), status in directory.known.items() if hub == link.id}
        for (party, role), status in said.items():
            hidden = status is ConnectionStatus.CONNECTED and platform is not ConnectionStatus.CONNECTED
            yield _Body(party, role), platform if hidden else status
        for party in sorted(link.dialect.reaches or ()):
            if not any(party == known for known, _ in said):
                ours_supply = is_supply(link.dialect.ours[0].role)
                yield _Body(party, Role.EMSP if ours_supply else Role.CPO), platform

    def _platform(self, link: Link) -> ConnectionStatus:
        """The status of the platform itself."""
        now = self._clock()
        paused = any(end is not None and now < end for end in (link.paused_out, link.paused_in))
        if link.suspended or paused:
            return ConnectionStatus.SUSPENDED
        if not link.registered:
            ever = self._links.ever_registered(link.id)
            return ConnectionStatus.OFFLINE if ever else ConnectionStatus.PLANNED
        return ConnectionStatus.OFFLINE if self._offline.get(link.id) else ConnectionStatus.CONNECTED

    # Still alive ------------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Look at those who are silent, and read the lists of hubs."""
        while True:
            self._due.clear()
            watched = (link for link in self._links.directory.partners if link.registered and link.in_service)
            await asyncio.gather(*(self._watch_one(link) for link in watched if not link.suspended))
            with suppress(TimeoutError):
                async with asyncio.timeout(_ROUND_S * random.uniform(0.8, 1.2)):  # noqa: S311 (spread, not secret)
                    await self._due.wait()

    async def _watch_one(self, link: Link) -> None:
        now = asyncio.get_running_loop().time()
        try:
            listed = (Module.HUB_CLIENT_INFO, Side.SENDER) in link.dialect.endpoints
            if link.hub is not None and listed and link.accepts(Module.HUB_CLIENT_INFO):
                await self._pull_if_due(link, now)
            await self._look_if_due(link, now)
        except GatewayError as error:
            log.info("clients.not_had", partner=link.id, reason=error.message)

    async def _pull_if_due(self, link: Link, now: float) -> None:
        """A hub's list: when it has registered, when we have started, when it is back, and now and then."""
        registered = self._links.registered_at(link.id)
        known, due = self._pulls.get(link.id, (registered, now))
        if known == registered and now < due:
            return
        self._pulls[link.id] = registered, now + _PULL_AGAIN_S
        if await self._store.claim(f"pull:{link.id}:{registered}", b"1", _PULL_AGAIN_S / 2) is None:
            await self.pull(link, self._links.directory)
            self._pulls[link.id] = registered, now + _PULL_S

    async def _look_if_due(self, link: Link, now: float) -> None:
        in_vain = self._failures.get(link.id, 0) - FAILURES
        every = min(OFFLINE_S * 2.0 ** max(in_vain, 0), SILENT_S) if self._offline.get(link.id) else SILENT_S
        if now - self._called.setdefault(link.id, now) < every:
            return
        self._called[link.id] = now
        if await self._store.claim(f"alive:{link.id}", b"1", every / 2) is None:
            await self.still_alive(link.id)

    async def still_alive(self, link: str) -> bool:
        """One look at a platform: GET on its versions endpoint, whatever it answers."""
        url = self._links.versions_url(link)
        if not url:
            return False
        ids: Mapping[str, str] = {"X-Request-ID": str(uuid.uuid4()), "X-Correlation-ID": str(uuid.uuid4())}
        try:
            await self._wire.send(link, HttpRequest(method=Verb.GET, url=url, headers=ids), within=_LOOK_S)
        except GatewayError:
            return False  # the wire has told us already
        return True

    def _now(self) -> str:
        return f"{self._clock():%Y-%m-%dT%H:%M:%SZ}"


async def said_by_hubs(store: News, directory: Directory) -> Clients:
    """What hubs have said of the parties behind them, as it is stored. Raises NotDurable."""
    known: dict[tuple[str, Party, Role], ConnectionStatus] = {}
    for link in directory.partners:
        if link.hub is not None:
            for packed in (await store.clients(link.id)).values():
                client = _decode(packed)
                known[link.id, Party.parse(client.party), client.role] = client.status
    return known


def _body(client: _Client) -> _Body:
    return _Body(Party.parse(client.party), client.role)


def _written(body: _Body, status: ConnectionStatus, last_updated: str) -> dict[str, Any]:
    """A ClientInfo object."""
    return {
        "party_id": body.party.party_id,
        "country_code": body.party.country_code,
        "role": body.role.value,
        "status": status.value,
        "last_updated": last_updated,
    }
