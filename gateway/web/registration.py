"""Registration in both directions: the requests behind ``gateway.handshake``'s table.

When they start (``start: them``), they POST with a token A that we gave them; we call back with the token B of their
body, and answer with a token C. When we start (``start: us``), it is the mirror image: our token B opens the link
*before* the POST leaves, because the other side calls back inside it. With static tokens (``start: none``) nothing is
exchanged, and only the endpoints are discovered.

Nothing is held while we wait for the other side: it may call us in the middle, on any replica.

Spec: 2.1.1 ``credentials`` 1 and 3, 2.2.1 ``credentials`` 7.1 to 7.3; statuses 3001 to 3003 of ``status_codes``.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Mapping
from typing import Any, Final

import structlog
from attrs import frozen
from msgspec.structs import replace

from gateway.handshake import Offer, Standing, Step, best, check_endpoints, check_seats, read_versions, step
from gateway.model.errors import (
    GatewayError,
    InvalidObject,
    NoCommonVersion,
    NotConnected,
    NotDurable,
    NotFound,
    ReceiverError,
    UnusableApi,
)
from gateway.model.facts import ABSENT
from gateway.model.message import Answer, HttpAnswer, HttpRequest
from gateway.model.modules import Module, Verb
from gateway.ports import Adapter, PeerCredentials
from gateway.registered import Endpoint, Links, Registration, registered_seats
from gateway.telemetry import MASK
from gateway.web.client import Outbound
from gateway.web.identity import Caller, Credential, Doorkeeper, Scope, authorization, new_token, pack

log = structlog.get_logger()

_CALL_S: Final = 5.0
"""Seconds for one request of a handshake, so that two call-backs fit into the other side's patience."""

_POST_S: Final = 60.0
"""Seconds for a POST or PUT of credentials: the other side calls back twice before it answers."""

_ANSWER_CAP: Final = 64 * 1024
"""Bytes of a versions list, of version details, or of credentials."""

_GRACE_S: Final = 300.0
"""Seconds for which a replaced token still counts, unless the new one is used first: a lost answer locks nobody out."""

_FIRST_PAUSE_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 300.0


@frozen(kw_only=True)
class _Found:
    """What discovery yields: the version spoken, the other side's endpoints, and the form its token is taken in."""

    version: str
    endpoints: tuple[Endpoint, ...]
    encoding: str


class Registrar:
    """Registers links, as the one who is called and as the one who calls."""

    def __init__(
        self,
        *,
        links: Links,
        adapters: Mapping[str, Adapter],
        doorkeeper: Doorkeeper,
        outbound: Mapping[str, Outbound],
    ) -> None:
        self._links = links
        self._adapters = adapters
        self._doorkeeper = doorkeeper
        self._outbound = outbound
        self._busy: set[str] = set()
        self._waiting: dict[str, asyncio.Event] = {}

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
        return Answer(status=1000, data=adapter.write_details(self._links.directory[link].dialect))

    async def credentials(self, caller: Caller, verb: Verb, body: Any, adapter: Adapter) -> Answer:
        """A request on our credentials endpoint.

        Raises:
            NotAllowed: not in this state (405).
            InvalidObject: the body breaks the specification, or claims parties or roles beyond those agreed.
            UnusableApi, NoCommonVersion, MissingEndpoints: their own API can't be used (3001, 3002, 3003).
            NotDurable: the store is away.
        """
        self._check_offered(caller.link, adapter)
        registration = self._links.registration(caller.link)
        static = self._links.settings[caller.link].registration.start == "none"
        match step(registration.standing, verb, static=static):
            case Step.TELL:
                dialect = self._links.directory[caller.link].dialect
                return Answer(status=1000, data=adapter.write_credentials(caller.token, dialect))
            case Step.JOIN | Step.RENEW:
                return await self._exchange(caller, body, adapter, registration)
            case Step.LEAVE:
                return await self._leave(caller, registration)

    def _check_offered(self, link: str, adapter: Adapter) -> None:
        if adapter.version not in self._links.settings[link].versions:
            raise NotFound(f"version {adapter.version} is not offered on this link")

    async def _exchange(self, caller: Caller, body: Any, adapter: Adapter, before: Registration) -> Answer:
        link = caller.link
        if link in self._busy:
            raise ReceiverError("another credentials request of this link is under way; try again")
        self._busy.add(link)
        try:
            settings = self._links.settings[link]
            theirs = adapter.read_credentials(None if body is ABSENT else body, settings.theirs)
            check_seats(theirs.seats, settings.theirs)
            await self._check_not_ours(theirs.token)
            MASK.guard([theirs.token])
            try:
                found = await self._discover(link, theirs.url, theirs.token, version=adapter.version, form=caller.form)
            except (NotConnected, InvalidObject) as error:
                raise UnusableApi(f"your API can't be used: {error.message}") from error
            check_endpoints({(e.module, e.side) for e in found.endpoints}, settings.registration.requires)
            ours = new_token()
            first = caller.scope is Scope.REGISTRATION
            registration = self._registered(
                theirs, found, token_in=self._doorkeeper.digest(ours),
                spent=self._doorkeeper.digest(caller.token) if first else before.spent,
            )  # fmt: skip
            await self._save(link, registration, before, ours)
        finally:
            self._busy.discard(link)
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

    async def _leave(self, caller: Caller, registration: Registration) -> Answer:
        # The token A of the file stays spent: it opens nothing again until it is changed.
        gone = Registration(spent=registration.spent)
        await self._links.save(caller.link, gone, drop=[registration.token_in, caller.digest])
        for digest in (registration.token_in, caller.digest):
            self._doorkeeper.forget(digest)
        log.warning("partner.unregistered", partner=caller.link, by="them", todo="nothing is sent until they register")
        return Answer(status=1000)

    async def used(self, caller: Caller) -> None:
        """The first use of a new token ends the one it replaced."""
        if not caller.supersedes:
            return
        registration = self._links.registration(caller.link)
        kept = pack(Credential(link=caller.link))
        await self._links.save(caller.link, registration, add={caller.digest: kept}, drop=caller.supersedes)
        for digest in (caller.digest, *caller.supersedes):
            self._doorkeeper.forget(digest)

    # We call ----------------------------------------------------------------------------------------------------------

    async def keep_registered(self, link: str) -> None:
        """Register or discover until it is done, with back-off from 5 s to 5 min. For ``start: us`` and ``none``.

        With static tokens the endpoints are discovered again at each start: nobody would tell us of new ones.
        """
        pause = _FIRST_PAUSE_S
        static = self._links.settings[link].registration.start == "none"
        while static or self._links.registration(link).standing is not Standing.REGISTERED:
            try:
                await self.register(link)
                return
            except GatewayError as error:
                log.warning(
                    "partner.registration_failed", partner=link, status=error.status, reason=error.message,
                    again_in_s=round(pause), todo="compare versions_url and token_out with what the partner gave you",
                )  # fmt: skip
            await self._wait(link, pause * random.uniform(0.8, 1.2))  # noqa: S311 (spread, not secret)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def nudge(self, link: str) -> None:
        """It has just called us, so it is there: try at once, if we are waiting to."""
        if waiting := self._waiting.get(link):
            waiting.set()

    async def _wait(self, link: str, seconds: float) -> None:
        nudged = self._waiting[link] = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await nudged.wait()
        except TimeoutError:
            pass
        finally:
            del self._waiting[link]

    async def register(self, link: str) -> None:
        """One attempt: the handshake of ``start: us``, the discovery of ``start: none``.

        Raises:
            NoCommonVersion, MissingEndpoints, InvalidObject: what they offer can't be used; nothing was posted.
            NotConnected, ReceiverTimeout, ReceiverError: they can't be reached, or didn't answer properly.
        """
        settings = self._links.settings[link]
        filed = settings.registration
        assert filed.token_out is not None  # settings see to it
        assert filed.versions_url is not None
        found = await self._discover(link, filed.versions_url, filed.token_out.value)
        check_endpoints({(e.module, e.side) for e in found.endpoints}, filed.requires)
        if filed.start == "none":
            registration = Registration(
                standing=Standing.REGISTERED, version=found.version, encoding=found.encoding,
                versions_url=filed.versions_url, endpoints=found.endpoints,
                alpha_3=self._links.registration(link).alpha_3,
            )  # fmt: skip
            await self._links.save(link, registration)
        else:
            await self._join(link, filed.versions_url, filed.token_out.value, found)
        log.info("partner.registered", partner=link, version=found.version, by="us" if filed.start == "us" else "file")

    async def _join(self, link: str, versions_url: str, token_a: str, found: _Found) -> None:
        adapter = self._adapters[found.version]
        endpoint = next((e.url for e in found.endpoints if e.module is Module.CREDENTIALS), None)
        if endpoint is None:
            raise UnusableApi("their version details name no credentials endpoint")
        before = self._links.registration(link)
        ours = new_token()
        digest = self._doorkeeper.digest(ours)
        MASK.guard([ours])
        # Before the POST: they call back with it inside.
        pending = pack(Credential(link=link, until=time.time() + _GRACE_S))
        await self._links.save(link, before, add={digest: pending})
        try:
            dialect = self._links.dialect(link, replace(before, version=found.version))
            http = await self._call(
                link, "POST", endpoint, token_a, found.encoding, within=_POST_S,
                body=adapter.write_credentials(ours, dialect),
            )  # fmt: skip
            if http.status == 405:
                raise ReceiverError(
                    "they consider us registered already: ask them to unregister us, or to send a new token A"
                )
            theirs = adapter.read_credentials(_data(http), self._links.settings[link].theirs)
            check_seats(theirs.seats, self._links.settings[link].theirs)
        except GatewayError:
            await self._links.save(link, before, drop=[digest])
            self._doorkeeper.forget(digest)
            raise
        MASK.guard([theirs.token])
        registration = self._registered(theirs, found, token_in=digest, versions_url=versions_url)
        await self._links.save(link, registration, add={digest: pack(Credential(link=link))}, drop=[before.token_in])
        self._doorkeeper.forget(digest)

    # Both -------------------------------------------------------------------------------------------------------------

    async def _save(self, link: str, registration: Registration, before: Registration, ours: str) -> None:
        MASK.guard([ours])
        superseded = (before.token_in,) if before.token_in else ()
        add = {registration.token_in: pack(Credential(link=link, supersedes=superseded))}
        for digest in superseded:
            add[digest] = pack(Credential(link=link, until=time.time() + _GRACE_S))
        await self._links.save(link, registration, add=add)
        for digest in superseded:
            self._doorkeeper.forget(digest)

    @staticmethod
    def _registered(
        theirs: PeerCredentials, found: _Found, *, token_in: str, versions_url: str | None = None, spent: str = ""
    ) -> Registration:
        return Registration(
            standing=Standing.REGISTERED, version=found.version, token_out=theirs.token, encoding=found.encoding,
            versions_url=versions_url or theirs.url, endpoints=found.endpoints,
            business=registered_seats(theirs.seats), alpha_3=theirs.alpha_3, token_in=token_in, spent=spent,
        )  # fmt: skip

    async def _discover(
        self, link: str, url: str, token: str, *, version: str | None = None, form: str | None = None
    ) -> _Found:
        """GET their versions and details.

        Args:
            version: the one that was called (its endpoint decides); None: the best common one.
            form: the encoding to try first.
        """
        encodings = list(self._links.encodings(link))
        if form in encodings:
            encodings.sort(key=lambda encoding: encoding != form)
        for encoding in encodings:
            http = await self._call(link, "GET", url, token, encoding)
            if http.status != 401:
                break
        else:
            raise UnusableApi("their versions endpoint answers 401 to the token, Base64 and raw")
        offers = read_versions(_data(http))
        settings = self._links.settings[link]
        offer: Offer = best((version,) if version else settings.versions, offers)
        details = _data(await self._call(link, "GET", offer.url, token, encoding))
        endpoints = self._adapters[offer.version].read_details(details, settings.theirs)
        return _Found(
            version=offer.version, encoding=encoding,
            endpoints=tuple(Endpoint(module, side, at) for (module, side), at in endpoints.items()),
        )  # fmt: skip

    async def _call(
        self,
        link: str,
        method: str,
        url: str,
        token: str,
        encoding: str,
        *,
        within: float = _CALL_S,
        body: Any = ABSENT,
    ) -> HttpAnswer:
        request = HttpRequest(
            method=method, url=url, body=body,
            headers={
                "Authorization": authorization(token, encoding),
                "X-Request-ID": str(uuid.uuid4()), "X-Correlation-ID": str(uuid.uuid4()),
            },
        )  # fmt: skip
        return await self._outbound[link].send(request, within=within, cap=_ANSWER_CAP)


def _data(http: HttpAnswer) -> Any:
    """The data of an envelope that says success.

    Raises:
        UnusableApi: it isn't one.
    """
    body = http.body
    if not isinstance(body, dict) or not isinstance(body.get("status_code"), int):
        raise UnusableApi(f"HTTP {http.status} without an OCPI envelope")
    if not 1000 <= body["status_code"] <= 1999 or "data" not in body:
        said = str(body.get("status_message") or "no message")[:200]
        if body["status_code"] == NoCommonVersion.status:
            raise NoCommonVersion(f"they answer {body['status_code']}: {said}")
        raise UnusableApi(f"HTTP {http.status}, OCPI status {body['status_code']}: {said}")
    return body["data"]
