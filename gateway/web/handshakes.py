"""Handshakes that we begin: registering, new tokens, another version, the end; and whoever looks after that.

Registering (``start: us``), our token B opens the link *before* the POST leaves, because the other side calls back
inside it. With static tokens nothing is exchanged, and only the endpoints are discovered; adopted ones are the same
until the first rotation.

A PUT gives both sides new tokens, and its answer may get lost. Then nobody knows here whether they took the new ones.
So the token that we sent is written down before it leaves, and opens the door beside the old one until the matter is
settled; ours towards them stays the old one, which counts over there until the new one is used, and we ask again with
it. Two answers settle it: a good one, and a refusal of the first attempt. What stays in doubt is shown to people with
what they can do.

``keep_registered`` is one task for each link. It does what is to be done by itself, with back-off, and sleeps while
there is nothing; all replicas have such tasks, and take turns.

Spec: 2.1.1 ``credentials`` 3, 2.2.1 ``credentials`` 7.1 and 7.2.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import structlog
from attrs import evolve
from msgspec.structs import replace

from gateway.handshake import (
    Disagreed,
    Lost,
    NotNow,
    Rejected,
    Standing,
    advice,
    check_endpoints,
    check_seats,
    needs_a_person,
)
from gateway.model.errors import (
    GatewayError,
    InvalidObject,
    NotConnected,
    NotDurable,
    ReceiverError,
    ReceiverTimeout,
)
from gateway.model.modules import Module, Side
from gateway.ports import Adapter, PeerCredentials
from gateway.registered import Change, Links, Registration, Trouble, registered_seats
from gateway.settings import LinkSettings, Secret, Stage, Start
from gateway.telemetry import MASK
from gateway.web.discovery import Discovery, Found, data_of, says_nothing
from gateway.web.identity import Credential, pack
from gateway.web.registration import Registrar

log = structlog.get_logger()

_POST_S: Final = 60.0
"""Seconds for a POST or PUT of credentials: the other side calls back twice before it answers."""

_FIRST_PAUSE_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 300.0

_LOOK_AGAIN_S: Final = 60.0
"""Seconds between two looks at a link that answers 401: what is refused is often refused many times a second."""

_STATIC: Final = (Start.NONE, Start.ADOPTED)
_Chore = Callable[[str], Awaitable[None]]


class Handshakes:
    """Everything about a registration that begins here."""

    def __init__(
        self, *, links: Links, adapters: Mapping[str, Adapter], registrar: Registrar, discovery: Discovery
    ) -> None:
        self._links = links
        self._adapters = adapters
        self._registrar = registrar
        self._discovery = discovery
        self._found: set[str] = set()
        self._unanswered: dict[str, tuple[str, str]] = {}
        self._rejected: dict[str, float] = {}
        self._chores: dict[str, _Chore] = {}
        self._waiting: dict[str, asyncio.Event] = {}
        self._sleeping: dict[str, asyncio.Event] = {}
        links.watch(self._stir)
        registrar.freed = self._stir

    # What people ask for ----------------------------------------------------------------------------------------------

    async def register(self, link: str) -> None:
        """The handshake of ``start: us``; discovery with static and adopted tokens; for ``start: them`` an invitation.

        Tokens of the file that were spent count again.

        Raises:
            NotNow: it is registered already, is a draft, or another handshake is under way.
            NoCommonVersion, MissingEndpoints, InvalidObject: what they offer can't be used; nothing was posted.
            NotConnected, ReceiverTimeout, ReceiverError: they can't be reached, or didn't answer properly.
            NotDurable: the store is away.
        """
        settings = self._in_service(link)
        async with self._registrar.alone(link) as before:
            if before.tokens_in:
                raise NotNow(f"{link} is registered already")
            if settings.registration.start in _STATIC:
                await self._find(settings, before)
            elif settings.registration.start is Start.US:
                await self._join(settings, before)
            else:
                await self._links.settle(link, lambda now: Change(replace(now, spent=())))
        await self._well(link)

    async def rotate(self, link: str) -> None:
        """New tokens for both sides, by a PUT. The version stays.

        Raises:
            NotNow: it isn't registered, has static tokens, is a draft, or another handshake is under way.
            Lost: nobody knows whether they took them. Both our tokens count, and it is tried again.
            GatewayError: they refused, or can't be reached, or the store is away; everything is as before.
        """
        now = self._links.registration(link)
        await self._renew(link, [now.moving or now.version or self._links.settings[link].versions[0]])

    async def refresh(self, link: str) -> None:
        """As ``rotate``, after our roles or URLs have changed, or to come to the best version that both sides have."""
        await self._renew(link, self._links.settings[link].versions)

    async def unregister(self, link: str) -> str | None:
        """The end, by a DELETE: both sides' tokens are forgotten. Nothing is sent, and nobody comes in, afterwards.

        Returns:
            None; or why they may not know it. It has ended here all the same.

        Raises:
            NotNow: it isn't registered, has static tokens, is a draft, or another handshake is under way.
            NotDurable: nothing has changed here.
        """
        settings = self._in_service(link)
        async with self._registrar.alone(link):
            self._check_exchanged(settings)
            warning = await self._take_leave(link)
            await self._registrar.forget(link)
        self._unanswered.pop(link, None)
        await self._well(link)
        log.warning("partner.unregistered", partner=link, by="us", warning=warning)
        return warning

    def _in_service(self, link: str) -> LinkSettings:
        settings = self._links.settings[link]
        if settings.stage is Stage.DRAFT:
            raise NotNow(f"{link} is a draft: no handshake before it has another stage")
        return settings

    def _check_exchanged(self, settings: LinkSettings) -> None:
        """That there is a registration to be changed."""
        standing = self._links.standing(settings.id)
        if standing is Standing.STATIC:
            raise NotNow(f"{settings.id} has static tokens: change them in the files of both sides")
        if standing is not Standing.REGISTERED:
            raise NotNow(f"{settings.id} is not registered")

    # Looking after a link ---------------------------------------------------------------------------------------------

    async def keep_registered(self, link: str) -> None:
        """Do whatever is to be done for this link, without end; with back-off from 5 s to 5 min."""
        pause = _FIRST_PAUSE_S
        while True:
            chore = self._undone(link)
            if chore is None:
                pause = _FIRST_PAUSE_S
                await self._sleep(link)
                continue
            try:
                await chore(link)
                continue
            except NotNow:
                pass  # another replica is at it, or somebody who asked for it
            except GatewayError as error:
                await self._complain(link, error, pause)
            await self._wait(link, pause * random.uniform(0.8, 1.2))  # noqa: S311 (spread, not secret)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def nudge(self, link: str) -> None:
        """It has just called us, so it is there: try at once, if we are waiting to."""
        if waiting := self._waiting.get(link):
            waiting.set()

    def answered(self, link: str, http: int) -> None:
        """They have answered a request that carried our token, with this HTTP status."""
        if http == 401:
            last = self._rejected.get(link)
            if last is None or time.monotonic() - last > _LOOK_AGAIN_S:
                self._rejected[link] = time.monotonic()
                self._chores[link] = self._look_into
                self._stir(link)
        elif self._rejected.pop(link, None) is not None:
            self._chores[link] = self._well
            self._stir(link)

    def _undone(self, link: str) -> _Chore | None:
        """What is to be done for a link, if anything."""
        settings, now = self._links.settings[link], self._links.registration(link)
        if settings.stage is Stage.DRAFT or self._registrar.busy(link):
            return None
        if now.pending:
            return self._ask_again
        if self._outdated(link, now):
            return self._move
        if self._to_be_found(settings, now):
            return self._find_again
        start, token_a = settings.registration.start, settings.registration.token_out
        if start is Start.US and now.standing is Standing.NEW and not self._used_up(link, token_a):
            return self.register
        return self._chores.get(link)

    def _to_be_found(self, settings: LinkSettings, now: Registration) -> bool:
        """Static endpoints are discovered again at each start, as nobody would tell us of new ones."""
        filed = settings.registration
        if filed.start not in _STATIC or settings.id in self._found or now.tokens_in:
            return False
        return self._links.standing(settings.id) is not Standing.NEW or not self._used_up(settings.id, filed.token_out)

    def _used_up(self, link: str, token: Secret | None) -> bool:
        return token is not None and self._registrar.used_up(link, token.value)

    def _outdated(self, link: str, now: Registration) -> bool:
        """Whether the version spoken is one that the file doesn't have any more."""
        return bool(now.tokens_in) and now.version not in self._links.settings[link].versions

    async def _ask_again(self, link: str) -> None:
        """A PUT is in doubt: send it again."""
        await self._renew(link, [self._links.registration(link).moving], still=lambda now: bool(now.pending))

    async def _move(self, link: str) -> None:
        """Go over to a version that the file has."""
        versions = self._links.settings[link].versions
        await self._renew(link, versions, still=lambda now: self._outdated(link, now))

    async def _find_again(self, link: str) -> None:
        async with self._registrar.alone(link) as before:
            await self._find(self._links.settings[link], before)
        await self._well(link)

    async def _look_into(self, link: str) -> None:
        """They reject the token of their own last PUT. If they still take the one before, they never saw our answer."""
        self._chores.pop(link, None)
        former = self._links.registration(link).former
        filed = self._links.settings[link].registration.token_out
        token = (former.token_out or (filed.value if filed else "")) if former else ""
        if former and await self._discovery.answers(link, former.versions_url, token, former.encoding):
            await self._links.settle(link, _back_to(link, former))
            log.warning("partner.rotation_undone", partner=link, reason="they go on with the tokens before their PUT")
            return
        raise Rejected("they answer 401 to our token")

    async def _complain(self, link: str, error: GatewayError, pause: float) -> None:
        todo = advice(error)
        tell = log.error if needs_a_person(error) else log.warning
        tell(
            "partner.handshake_failed", partner=link, status=error.status, reason=error.message,
            again_in_s=round(pause), todo=todo,
        )  # fmt: skip
        with suppress(NotDurable):
            await self._links.note(link, Trouble(at=_now_ms(), reason=error.message, todo=todo))

    async def _well(self, link: str) -> None:
        """There is nothing to complain about any more."""
        self._chores.pop(link, None)
        self._rejected.pop(link, None)
        with suppress(NotDurable):
            await self._links.note(link, None)

    def _stir(self, link: str) -> None:
        if sleeping := self._sleeping.get(link):
            sleeping.set()

    async def _sleep(self, link: str) -> None:
        """Until something about the link has changed."""
        stirred = self._sleeping[link] = asyncio.Event()
        await stirred.wait()
        del self._sleeping[link]

    async def _wait(self, link: str, seconds: float) -> None:
        nudged = self._waiting[link] = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await nudged.wait()
        except TimeoutError:
            pass
        finally:
            del self._waiting[link]

    # Static tokens ----------------------------------------------------------------------------------------------------

    async def _find(self, settings: LinkSettings, before: Registration) -> None:
        """Discover the endpoints that belong to tokens of the file, or take those of the file."""
        link, filed = settings.id, settings.registration
        assert filed.token_out is not None  # settings see to it
        assert filed.versions_url is not None
        found, said = self._discovery.given(link), None
        if found is None:
            found = await self._discovery.find(
                link, filed.versions_url, filed.token_out.value, settings.versions, form=before.encoding
            )
            if filed.start is Start.ADOPTED:
                said = await self._read_them(settings, found, filed.token_out.value)
        check_endpoints({(e.module, e.side) for e in found.endpoints}, filed.requires)
        again = before.standing is Standing.REGISTERED and before.version == found.version
        registration = Registration(
            standing=Standing.REGISTERED, version=found.version, encoding=found.encoding,
            versions_url=filed.versions_url, endpoints=found.endpoints,
            business=registered_seats(said.seats) if said else before.business,
            alpha_3=said.alpha_3 if said else before.alpha_3,
            since=before.since if again else _now_ms(),
        )  # fmt: skip
        self._found.add(link)
        if registration != before:
            await self._links.settle(link, lambda now: Change(registration, drop=(*now.tokens_in, *now.pending)))
        log.info("partner.registered", partner=link, version=found.version, by="file")

    async def _read_them(self, settings: LinkSettings, found: Found, token: str) -> PeerCredentials | None:
        """What they say of themselves: how they write their country was settled in a handshake that we haven't seen."""
        adapter = self._adapters[found.version]
        try:
            http = await self._discovery.call(settings.id, "GET", found.credentials_url, token, found.encoding)
            theirs = adapter.read_credentials(data_of(http), settings.theirs)
            check_seats(theirs.seats, self._links.directory[settings.id].dialect)
        except GatewayError as error:
            log.warning(
                "partner.credentials_unread", partner=settings.id, reason=error.message,
                todo="nothing; if they write countries with three letters, say so: country_code: alpha-3",
            )  # fmt: skip
            return None
        return theirs

    # POST -------------------------------------------------------------------------------------------------------------

    async def _join(self, settings: LinkSettings, before: Registration) -> None:
        link, filed = settings.id, settings.registration
        assert filed.token_out is not None  # settings see to it
        assert filed.versions_url is not None
        token_a = filed.token_out.value
        found = await self._discovery.find(link, filed.versions_url, token_a, settings.versions)
        check_endpoints({(e.module, e.side) for e in found.endpoints}, filed.requires)
        url = found.credentials_url
        ours, digest = self._registrar.new_token()
        # Before the POST: they call back with it inside.
        pending = pack(Credential(link=link, until=time.time() + _POST_S))
        await self._links.settle(link, lambda now: Change(now, add={digest: pending}))
        try:
            body = self._adapters[found.version].write_credentials(ours, self._links.dialect_in(link, found.version))
            http = await self._discovery.call(link, "POST", url, token_a, found.encoding, within=_POST_S, body=body)
            if http.status == 405:
                raise Disagreed(
                    "they consider us registered already: ask them to unregister us, or to send a new token A"
                )
            theirs = self._adapters[found.version].read_credentials(data_of(http), settings.theirs)
            check_seats(theirs.seats, self._links.directory[link].dialect)
        except GatewayError:
            await self._links.settle(link, lambda now: Change(now, drop=[digest]))
            raise
        MASK.guard([theirs.token])
        joined = self._registrar.exchanged(link, theirs, found, digest, versions_url=filed.versions_url)
        await self._links.settle(link, joined)
        log.info("partner.registered", partner=link, version=found.version, by="us")

    # PUT --------------------------------------------------------------------------------------------------------------

    async def _renew(
        self, link: str, versions: Sequence[str], *, still: Callable[[Registration], bool] = lambda _: True
    ) -> None:
        """PUT to the best of these versions, if by the time of our turn it is ``still`` to be done."""
        settings = self._in_service(link)
        async with self._registrar.alone(link) as before:
            self._check_exchanged(settings)
            if still(before):
                await self._exchange(settings, before, versions)
        await self._well(link)

    async def _exchange(self, settings: LinkSettings, before: Registration, versions: Sequence[str]) -> None:
        link = settings.id
        token_out, encoding = self._links.token_out(link)
        found = self._discovery.given(link) if self._links.by_file(link) else None
        found = found or await self._discovery.find(
            link, self._links.versions_url(link), token_out, versions,
            form=encoding if versions[0] == before.version else "",
        )  # fmt: skip
        check_endpoints({(e.module, e.side) for e in found.endpoints}, settings.registration.requires)
        ours, digest = self._token_for(link, before)
        await self._links.settle(link, _asking(link, digest, found.version))
        try:
            found, theirs = await self._put(settings, before, found, token_out, ours)
        except Lost:
            raise
        except GatewayError:
            if digest not in before.pending:  # else an earlier attempt with it may have gone well
                self._unanswered.pop(link, None)
                await self._links.settle(link, _not_asking(digest))
            raise
        renewed = self._registrar.exchanged(link, theirs, found, digest, versions_url=self._links.versions_url(link))
        await self._links.settle(link, renewed)
        self._unanswered.pop(link, None)
        log.info("partner.rotated", partner=link, version=found.version, by="us")

    def _token_for(self, link: str, before: Registration) -> tuple[str, str]:
        """A new token for them and its digest; the same one again while it is in doubt whether they took it."""
        known = self._unanswered.get(link)
        if known is None or known[1] not in before.pending:
            known = self._unanswered[link] = self._registrar.new_token()
        return known

    async def _put(
        self, settings: LinkSettings, before: Registration, found: Found, token: str, ours: str
    ) -> tuple[Found, PeerCredentials]:
        """PUT our credentials. Their answer, with the form in which they took the token.

        Raises:
            Lost: nobody knows whether they took it.
            GatewayError: they didn't.
        """
        link, adapter = settings.id, self._adapters[found.version]
        body = adapter.write_credentials(ours, self._links.dialect_in(link, found.version))
        # On the endpoint of another version the token is taken as that version says.
        moves = found.version != before.version
        for form in self._links.encodings(link, found.version) if moves else (found.encoding,):
            try:
                http = await self._discovery.call(
                    link, "PUT", found.credentials_url, token, form, within=_POST_S, body=body
                )
            except NotConnected:
                raise
            except (ReceiverTimeout, ReceiverError) as error:
                raise Lost(f"the answer to our PUT of credentials was lost: {error.message}") from error
            if http.status != 401:
                break
        if says_nothing(http):
            raise Lost(f"our PUT of credentials was answered with HTTP {http.status} without OCPI credentials")
        if http.status == 405:
            raise Disagreed("they don't consider us registered (405 to our PUT of credentials)")
        data = data_of(http)
        try:
            theirs = adapter.read_credentials(data, settings.theirs)
        except InvalidObject as error:
            raise Lost(f"their answer to our PUT of credentials can't be read: {error.message}") from error
        MASK.guard([theirs.token])
        self._judge(settings, theirs)
        return evolve(found, encoding=form), theirs

    def _judge(self, settings: LinkSettings, theirs: PeerCredentials) -> None:
        """They have taken our token, so theirs is taken too, whoever they claim to be: the file decides that anyway."""
        try:
            check_seats(theirs.seats, self._links.directory[settings.id].dialect)
        except InvalidObject as error:
            log.error(
                "partner.claims_more", partner=settings.id, reason=error.message,
                todo="ask them; only the roles of the file count",
            )  # fmt: skip

    # DELETE -----------------------------------------------------------------------------------------------------------

    async def _take_leave(self, link: str) -> str | None:
        """Tell them. None, or why they may not know it."""
        token, encoding = self._links.token_out(link)
        url = self._links.directory[link].dialect.endpoints.get((Module.CREDENTIALS, Side.SENDER))
        if url is None:
            return "their credentials endpoint isn't known"
        try:
            http = await self._discovery.call(link, "DELETE", url, token, encoding)
        except GatewayError as error:
            return f"they couldn't be told: {error.message}"
        status = http.body.get("status_code") if isinstance(http.body, dict) else None
        if isinstance(status, int) and 1000 <= status <= 1999:
            return None
        return f"they answered HTTP {http.status}, OCPI status {status}"


def _asking(link: str, digest: str, version: str) -> Callable[[Registration], Change]:
    """A PUT is about to leave: from now on the token in it opens the link."""

    def decide(now: Registration) -> Change:
        pending = (*(one for one in now.pending if one != digest), digest)
        return Change(
            replace(now, pending=pending, moving=version, asked=_now_ms()), add={digest: pack(Credential(link=link))}
        )

    return decide


def _not_asking(digest: str) -> Callable[[Registration], Change]:
    """They refused the PUT: the token in it opens nothing any more."""

    def decide(now: Registration) -> Change:
        pending = tuple(one for one in now.pending if one != digest)
        if pending:
            return Change(replace(now, pending=pending), drop=[digest])
        return Change(replace(now, pending=(), moving="", asked=0), drop=[digest])

    return decide


def _back_to(link: str, former: Registration) -> Callable[[Registration], Change | None]:
    """What counted before their last PUT counts again, if that is still their last one."""

    def decide(now: Registration) -> Change | None:
        if now.former != former:
            return None
        kept = {digest: pack(Credential(link=link)) for digest in former.tokens_in}
        return Change(former, add=kept, drop=now.tokens_in)

    return decide


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
