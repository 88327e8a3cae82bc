"""Registration when they call, and what both directions share: who has which token from when to when.

They POST with a token A that we gave them; we call back with the token B of their body, and answer with a token C. A
PUT is the same with the tokens of before, on the endpoint of any version that the link's file offers: that is the one
spoken from then on. ``web/handshakes.py`` is the mirror image, where we begin.

Nobody is locked out by an answer that gets lost. A token that was replaced counts until its successor is used, for five
minutes at most; and if they go on with the old ones, and answer 401 to the new one, so do we.

One handshake of a link at a time, over all replicas. Nothing else is held up meanwhile: they call us in the middle of
it, on any replica.

Spec: 2.1.1 ``credentials`` 1 and 3, 2.2.1 ``credentials`` 7.1 to 7.3; statuses 3001 to 3003 of ``status_codes``.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final, Protocol

import structlog
from msgspec.structs import replace

from gateway.handshake import NotNow, Standing, Step, advice, check_endpoints, check_seats, step
from gateway.model.errors import (
    GatewayError,
    InvalidObject,
    NotConnected,
    NotDurable,
    NotFound,
    ReceiverTimeout,
    UnusableApi,
)
from gateway.model.facts import ABSENT
from gateway.model.message import Answer
from gateway.model.modules import Module
from gateway.model.names import Name
from gateway.ports import Adapter, PeerCredentials
from gateway.registered import Change, Links, Registration, registered_seats
from gateway.settings import Start
from gateway.telemetry import MASK
from gateway.web.discovery import Discovery, Found
from gateway.web.identity import Caller, Credential, Doorkeeper, Scope, authorization, new_token, pack

log = structlog.get_logger()

_TURN_MS: Final = 1_000
"""How long to wait for one's turn: whoever has it may be waiting for an answer of the very peer that is asking."""

_LONGEST_MS: Final = 180_000
"""How long a handshake takes at most: two requests of discovery, and a POST or PUT inside which they call back."""


class Lanes(Protocol):
    """Who talks to whom about what, over all replicas."""

    def lane(self, link: str, name: Name, ms: int, *, turn_ms: int | None = None) -> AbstractAsyncContextManager[None]:
        """Alone with this name towards this link. Raises ReceiverTimeout, NotDurable."""


class Registrar:
    """Registers links that call, and knows who may come in with which token.

    Attributes:
        freed: told of each link that had a handshake under way in this process, and has none any more.
    """

    def __init__(
        self,
        *,
        links: Links,
        adapters: Mapping[str, Adapter],
        doorkeeper: Doorkeeper,
        discovery: Discovery,
        lanes: Lanes,
    ) -> None:
        self._links = links
        self._adapters = adapters
        self._doorkeeper = doorkeeper
        self._discovery = discovery
        self._lanes = lanes
        self._busy: Counter[str] = Counter()
        self.freed: Callable[[str], None] = lambda _: None

    # They call --------------------------------------------------------------------------------------------------------

    def versions(self, link: str) -> Answer:
        """Our versions list, for this link. Spec: ``version_information_endpoint``."""
        base = self._links.directory[link].dialect.base_url
        offered = self._links.settings[link].versions
        return Answer(
            status=1000, data=[{"version": version, "url": f"{base}/{version}"} for version in sorted(offered)]
        )

    def details(self, link: str, adapter: Adapter) -> Answer:
        """Our version details for this link. Raises NotFound for a version that isn't offered to it."""
        self._check_offered(link, adapter)
        return Answer(status=1000, data=adapter.write_details(self._links.dialect_in(link, adapter.version)))

    async def credentials(self, caller: Caller, method: str, body: Any, adapter: Adapter) -> Answer:
        """A request on our credentials endpoint of this version.

        Raises:
            NotAllowed: not in this state (405).
            InvalidObject: the body breaks the specification, or claims parties or roles beyond those agreed.
            UnusableApi, NoCommonVersion, MissingEndpoints: their own API can't be used (3001, 3002, 3003).
            NotNow: another handshake of this link is under way (3000).
            NotDurable: the store is away (3000).
        """
        self._check_offered(caller.link, adapter)
        if step(self._links.standing(caller.link), method) is Step.TELL:
            dialect = self._links.dialect_in(caller.link, adapter.version)
            return Answer(status=1000, data=adapter.write_credentials(caller.token, dialect))
        async with self.alone(caller.link) as before:
            # Another replica may have registered it, or unregistered it, a moment ago.
            if step(self._links.standing(caller.link), method) is Step.LEAVE:
                return await self._leave(caller)
            try:
                return await self._exchange(caller, body, adapter, before)
            except GatewayError as error:
                log.warning(
                    "partner.handshake_failed", partner=caller.link, by="them", status=error.status,
                    reason=error.message, todo=advice(error, by_us=False),
                )  # fmt: skip
                raise

    def _check_offered(self, link: str, adapter: Adapter) -> None:
        if adapter.version not in self._links.settings[link].versions:
            raise NotFound(f"version {adapter.version} is not offered on this link")

    async def _exchange(self, caller: Caller, body: Any, adapter: Adapter, before: Registration) -> Answer:
        link, settings = caller.link, self._links.settings[caller.link]
        theirs = adapter.read_credentials(None if body is ABSENT else body, settings.theirs)
        check_seats(theirs.seats, self._links.directory[link].dialect)
        await self._check_not_ours(theirs.token)
        MASK.guard([theirs.token])
        # What another version was spoken in says nothing about the form in which a token is taken now.
        form = caller.form if before.version in ("", adapter.version) else ""
        try:
            found = await self._discovery.find(link, theirs.url, theirs.token, [adapter.version], form=form)
        except (NotConnected, ReceiverTimeout, InvalidObject) as error:
            raise UnusableApi(f"your API can't be used: {error.message}") from error
        check_endpoints({(e.module, e.side) for e in found.endpoints}, settings.registration.requires)
        ours, digest = self.new_token()
        change = self.exchanged(link, theirs, found, digest, versions_url=theirs.url)(before)
        former = replace(before, former=None) if before.standing is Standing.REGISTERED else None
        if before.former and caller.digest != before.tokens_in[-1]:
            former = before.former  # they never saw the answer to their last PUT
        # Written over what was read above and nothing else: of two at a time one is answered 3000.
        await self._links.save(link, Change(replace(change.registration, former=former), change.add, change.drop))
        log.info("partner.registered", partner=link, version=adapter.version, by="them")
        return Answer(status=1000, data=adapter.write_credentials(ours, self._links.directory[link].dialect))

    async def _check_not_ours(self, token: str) -> None:
        """A token B that is one of ours would open our own door to whoever sees it on the way back."""
        try:
            await self._doorkeeper.admit([authorization(token, "raw")])
        except GatewayError as error:
            if isinstance(error, NotDurable):
                raise
            return
        raise InvalidObject("$.token", "this token is one that we issued or accept; make your own")

    async def _leave(self, caller: Caller) -> Answer:
        await self.forget(caller.link)
        log.warning("partner.unregistered", partner=caller.link, by="them", todo="nothing is sent until they register")
        return Answer(status=1000)

    async def catch_up(self, caller: Caller) -> None:
        """A token that isn't known of here was made on another replica: what came with it is read before it counts.

        While Redis is away, the news of it will come later.
        """
        now = self._links.registration(caller.link)
        if caller.digest and caller.digest not in (*now.tokens_in, *now.pending):
            with suppress(NotDurable):
                await self._links.reload(caller.link)

    async def used(self, caller: Caller) -> None:
        """The first use of a new token ends those that it replaced. While Redis is away, a later use will."""
        if not caller.supersedes:
            return

        def first_use(now: Registration) -> Change | None:
            ended = set(caller.supersedes) & set(now.tokens_in)
            if not ended:
                return None
            newest = now.tokens_in[-1] == caller.digest
            return Change(
                replace(
                    now,
                    tokens_in=tuple(digest for digest in now.tokens_in if digest not in ended),
                    former=None if newest else now.former,
                ),
                add={caller.digest: pack(Credential(link=caller.link))} if newest else {},
                drop=ended,
            )

        with suppress(NotDurable):
            await self._links.settle(caller.link, first_use)

    # Both -------------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def alone(self, link: str) -> AsyncIterator[Registration]:
        """No other handshake of this link is under way, on any replica; its registration as it stands now.

        Raises:
            NotNow: one is, and goes on for longer than a second (3000).
            NotDurable: the store is away.
        """
        self._busy[link] += 1
        try:
            async with AsyncExitStack() as stack:
                name = Name(Module.CREDENTIALS, self._links.directory.hub, link)
                try:
                    await stack.enter_async_context(self._lanes.lane(link, name, _LONGEST_MS, turn_ms=_TURN_MS))
                except ReceiverTimeout:
                    raise NotNow("another handshake of this link is under way; try again") from None
                yield await self._links.reload(link)
        finally:
            self._busy[link] -= 1
            if not self.busy(link):
                self.freed(link)

    def busy(self, link: str) -> bool:
        """Whether a handshake of this link is under way in this process."""
        return self._busy[link] > 0

    def new_token(self) -> tuple[str, str]:
        """A token for them, and its digest. Raises NotDurable before Redis was seen."""
        token = new_token()
        MASK.guard([token])
        return token, self._doorkeeper.digest(token)

    def exchanged(
        self, link: str, theirs: PeerCredentials, found: Found, digest: str, *, versions_url: str
    ) -> Callable[[Registration], Change]:
        """What a POST or PUT that went well makes of a registration, whoever sent it.

        Args:
            digest: of the token that they must send from now on.
        """
        moment = time.time()

        def decide(now: Registration) -> Change:
            until = moment + self._links.token_grace_s(link, found.version)
            replaced = self._opening(link, now, moment)
            old = tuple(one for one in (*replaced, *now.pending) if one != digest)
            again = now.standing is Standing.REGISTERED and now.version == found.version
            registration = Registration(
                standing=Standing.REGISTERED, version=found.version, token_out=theirs.token, encoding=found.encoding,
                versions_url=versions_url, endpoints=found.endpoints, business=registered_seats(theirs.seats),
                alpha_3=theirs.alpha_3, tokens_in=(*old, digest),
                # A token A is good for one handshake; a rotation doesn't use up what may lie ready for the next.
                spent=now.spent if now.tokens_in else self._filed(link),
                since=now.since if again else int(moment * 1000), renewed=int(moment * 1000),
            )  # fmt: skip
            credentials = {one: Credential(link=link, until=until) for one in old}
            credentials[digest] = Credential(link=link, supersedes=old)
            add = {one: pack(credential) for one, credential in credentials.items()}
            return Change(registration, add=add, drop=now.tokens_in)

        return decide

    async def forget(self, link: str) -> None:
        """The registration ends: both sides' tokens count no more, and those of the file are used up.

        Raises:
            NotDurable: nothing has changed.
        """

        def decide(now: Registration) -> Change:
            spent = now.spent if now.tokens_in else self._filed(link)
            return Change(Registration(spent=spent), drop=(*now.tokens_in, *now.pending))

        await self._links.settle(link, decide)

    def used_up(self, link: str, token: str) -> bool:
        """Whether a token of the link's file is spent."""
        try:
            return self._doorkeeper.digest(token) in self._links.registration(link).spent
        except NotDurable:
            # Before Redis was seen nobody knows what is spent; registering needs Redis anyway.
            return False

    def file_tokens(self) -> dict[str, tuple[str, Scope]]:
        """The tokens of files that open a door just now: static and adopted ones, and a token A while it is unspent."""
        tokens: dict[str, tuple[str, Scope]] = {}
        for link, settings in self._links.settings.items():
            filed = settings.registration
            for secret in filed.token_in:
                if self._links.by_file(link):
                    tokens[secret.value] = (link, Scope.FULL)
                elif filed.start is Start.THEM and self._invited(link, secret.value):
                    tokens[secret.value] = (link, Scope.REGISTRATION)
        return tokens

    def _invited(self, link: str, token: str) -> bool:
        return self._links.standing(link) is Standing.NEW and not self.used_up(link, token)

    def _opening(self, link: str, now: Registration, moment: float) -> tuple[str, ...]:
        """Digests of the tokens that open the link at this moment: the newest, and those whose grace isn't over."""
        if now.tokens_in or not self._links.by_file(link):
            over = moment > now.renewed / 1000 + self._links.token_grace_s(link, now.version)
            return now.tokens_in[-1:] if over else now.tokens_in
        filed = self._links.settings[link].registration.token_in
        return tuple(self._doorkeeper.digest(secret.value) for secret in filed)

    def _filed(self, link: str) -> tuple[str, ...]:
        """Digests of the tokens that stand in the link's file."""
        filed = self._links.settings[link].registration
        tokens = [*filed.token_in, *([filed.token_out] if filed.token_out else [])]
        return tuple(self._doorkeeper.digest(secret.value) for secret in tokens)
