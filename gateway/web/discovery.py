"""Asking another platform who it is: versions, details, credentials, in requests of one handshake.

These requests carry tokens that may not be in use yet, to URLs that may not be known to be good, before it is known in
which form the other side takes a token. Everything else that goes out has a registration behind it.

Spec: 2.1.1 and 2.2.1 ``version_information_endpoint``, ``credentials``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from gateway.directory import holds, receiver_is_supply
from gateway.handshake import Rejected, best, read_versions
from gateway.model.dialect import Seat
from gateway.model.errors import NoCommonVersion, UnusableApi
from gateway.model.facts import ABSENT
from gateway.model.message import HttpAnswer, HttpRequest
from gateway.model.modules import MODULES, Module, Side
from gateway.model.party import Role
from gateway.ports import Adapter
from gateway.registered import Endpoint, Links
from gateway.web.client import Outbound
from gateway.web.identity import authorization

_CALL_S: Final = 5.0
"""Seconds for one request, so that two call-backs fit into the other side's patience."""

_ANSWER_CAP: Final = 64 * 1024
"""Bytes of a versions list, of version details, or of credentials."""


@frozen(kw_only=True)
class Found:
    """What discovery yields: the version spoken, the other side's endpoints, and the form its token is taken in."""

    version: str
    endpoints: tuple[Endpoint, ...]
    encoding: str

    @property
    def credentials_url(self) -> str:
        """Their credentials endpoint.

        Raises:
            UnusableApi: they name none.
        """
        for endpoint in self.endpoints:
            if endpoint.module is Module.CREDENTIALS:
                return endpoint.url
        raise UnusableApi("their version details name no credentials endpoint")


class Discovery:
    """Calls the configuration modules of the other side."""

    def __init__(self, *, links: Links, adapters: Mapping[str, Adapter], outbound: Mapping[str, Outbound]) -> None:
        self._links = links
        self._adapters = adapters
        self._outbound = outbound

    async def find(self, link: str, url: str, token: str, versions: Sequence[str], *, form: str = "") -> Found:
        """GET their versions and the details of the best one.

        Args:
            url: their versions endpoint.
            versions: those wanted, best first; when they call, the one whose endpoint they called.
            form: in which the token is tried first (``raw`` or ``base64``), unless the link's file says how.

        Raises:
            NoCommonVersion: they offer none of these.
            Rejected: they answer 401 in every form.
            UnusableApi, InvalidObject: what they answer can't be used.
            NotConnected, ReceiverTimeout, ReceiverError: they can't be reached, or don't answer properly.
        """
        encodings = sorted(self._links.encodings(link, versions[0]), key=lambda encoding: encoding != form)
        http, encoding = await self._in_their_form(link, url, token, encodings)
        offer = best(versions, read_versions(data_of(http)), self._links.version_aliases(link, versions))
        # Whoever speaks several versions takes each one's form where the version isn't known yet, and its own later.
        known = [encoding] if offer.version == versions[0] else self._links.encodings(link, offer.version)
        http, encoding = await self._in_their_form(link, offer.url, token, known)
        endpoints = self._adapters[offer.version].read_details(data_of(http), self._links.settings[link].theirs)
        return Found(
            version=offer.version, encoding=encoding,
            endpoints=tuple(Endpoint(module, side, at) for (module, side), at in endpoints.items()),
        )  # fmt: skip

    def given(self, link: str) -> Found | None:
        """What the link's file says of their endpoints, where discovery isn't wanted."""
        settings = self._links.settings[link]
        if not settings.registration.endpoints:
            return None
        return Found(
            version=settings.versions[0],
            encoding=self._links.encodings(link, settings.versions[0])[0],
            endpoints=tuple(
                Endpoint(module, side, url)
                for module, url in ((Module(name), url) for name, url in settings.registration.endpoints.items())
                for side in _sides(module, settings.theirs)
            ),
        )

    async def answers(self, link: str, url: str, token: str, encoding: str) -> bool:
        """Whether their versions endpoint takes the token. Raises as ``call``."""
        return (await self.call(link, "GET", url, token, encoding)).status != 401

    async def call(
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
        """One request.

        Raises:
            NotConnected: nothing was sent.
            ReceiverTimeout, ReceiverError: it was sent, and no usable answer came.
        """
        request = HttpRequest(
            method=method, url=url, body=body,
            headers={
                "Authorization": authorization(token, encoding),
                "X-Request-ID": str(uuid.uuid4()), "X-Correlation-ID": str(uuid.uuid4()),
            },
        )  # fmt: skip
        return await self._outbound[link].send(request, within=within, cap=_ANSWER_CAP)

    async def _in_their_form(self, link: str, url: str, token: str, encodings: Sequence[str]) -> tuple[HttpAnswer, str]:
        for encoding in encodings:
            http = await self.call(link, "GET", url, token, encoding)
            if http.status != 401:
                return http, encoding
        forms = " and ".join(sorted(map(_spoken, encodings)))
        raise Rejected(f"they answer 401 to our token, {forms}")


def _spoken(encoding: str) -> str:
    return "Base64" if encoding == "base64" else encoding


def _sides(module: Module, theirs: Sequence[Seat]) -> Iterator[Side]:
    """The interfaces of a module that parties in these roles play. Credentials have none, and are put under SENDER."""
    facts = MODULES[module]
    for side in Side:
        if facts.owner is None:
            plays = side is Side.SENDER
        elif facts.owner is Role.HUB:
            plays = any(seat.role is Role.HUB for seat in theirs) == (side is Side.SENDER)
        else:
            plays = any(holds(seat.role, supply=receiver_is_supply(module, side)) for seat in theirs)
        if plays:
            yield side


def data_of(http: HttpAnswer) -> Any:
    """The data of an envelope that says success.

    Raises:
        NoCommonVersion: they say 3002.
        Rejected: they say 401.
        UnusableApi: it is no such envelope.
    """
    if http.status == 401:
        raise Rejected("they answer 401 to our token")
    body = http.body
    if not isinstance(body, dict) or not isinstance(body.get("status_code"), int):
        raise UnusableApi(f"HTTP {http.status} without an OCPI envelope")
    if not 1000 <= body["status_code"] <= 1999 or "data" not in body:
        said = str(body.get("status_message") or "no message")[:200]
        if body["status_code"] == NoCommonVersion.status:
            raise NoCommonVersion(f"they answer {body['status_code']}: {said}")
        raise UnusableApi(f"HTTP {http.status}, OCPI status {body['status_code']}: {said}")
    return body["data"]


def says_nothing(http: HttpAnswer) -> bool:
    """Whether an answer to credentials leaves open what became of them.

    No envelope, and no 4xx either; or an envelope that says success, and has no credentials in it.
    """
    status = http.body.get("status_code") if isinstance(http.body, dict) else None
    if not isinstance(status, int):
        return not 400 <= http.status < 500
    return 1000 <= status <= 1999 and "data" not in http.body
