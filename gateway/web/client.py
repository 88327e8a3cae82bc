"""Outbound HTTP: the one place that opens connections, so that what it promises holds for every call.

Almost every URL that the gateway calls was written by somebody else: versions and endpoint URLs, ``response_url``, the
next page of a list. And every call carries a credentials token. So:

- **Only where it may.** ``https`` alone, and only addresses of the public internet, unless the link says
  ``allow_private``. The check is made on the address at the moment its socket is opened. A check of the name would miss
  ``http://2130706433/``, ``localhost.``, ``[::ffff:10.0.0.1]``, and a name that resolves differently the second time.
- **Never on to somewhere else.** A redirect is a failure. Followed, a 302 turns the POST of a CDR into a GET that
  answers 200: a CDR lost that looks delivered. No cookies, no proxies or passwords from the environment.
- **Never for ever, never too much.** One deadline over everything from the name's lookup to the answer's last byte, 3
  seconds for a connection, and a cap on the answer's bytes both as received and as inflated.
- **No doubt about doubt.** Whoever sends must know whether it is safe to send again: ``NotConnected`` means that not
  one byte of the request left, ``ReceiverTimeout`` and ``ReceiverError`` that it may have been acted upon. A connection
  that was kept alive and turns out to be closed is replaced once for GET, PUT and DELETE (aiohttp does that by itself),
  never for POST and PATCH; nor for anything where ``Egress.once`` says so, because a PUT of credentials that is sent
  twice makes new tokens twice.
- **Lists of any length.** ``stream`` hands on the items of a list as they come, so that the cap is on one item and the
  deadline on the next byte.
- **Nothing leaks.** The words of an error are ours; they hold no URL, header or byte of the answer.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from types import TracebackType
from typing import Any, Final

import aiohttp
import structlog
from aiohttp.tracing import Trace
from attrs import define, field, frozen
from yarl import URL

from gateway.model.errors import BadJson, NotConnected, ReceiverError, ReceiverTimeout
from gateway.model.facts import ABSENT
from gateway.model.message import Headers, HttpAnswer, HttpRequest
from gateway.model.urls import split
from gateway.web.coding import Inflater, inflated
from gateway.web.json import Splitter, dumps, loads

CONNECT_TIMEOUT: Final = 3.0
"""Seconds for TCP and TLS together, with each address of a name tried in turn."""

ANSWER_CAP: Final = 8 * 1024 * 1024
"""Bytes of an answer, compressed and inflated alike, where the caller names no other cap."""

ITEM_CAP: Final = 4 * 1024 * 1024
"""Bytes of one item of a list that is read as it comes; the list itself has no cap."""

IDLE_S: Final = 15.0
"""Seconds between two pieces of such a list, at most."""

_ENVELOPE_CAP: Final = 64 * 1024  # bytes of an envelope, all but its data
_KEEP_ALIVE: Final = 15.0  # seconds; below what servers and the balancers before them usually allow
_NAMES_KNOWN_FOR: Final = 30  # seconds that a resolved name is remembered
_NAT64: Final = IPv6Network("64:ff9b::/96")

_log: Final = structlog.get_logger(__name__)


@frozen(kw_only=True)
class Egress:
    """What one link's connections may do.

    Attributes:
        allow_private: admit addresses that aren't public, and plain ``http``.
        allowed_hosts: where requests may go at all, as ``host`` or ``host:port`` in lower case; None: anywhere.
        in_flight: connections at the same time; further requests wait for one, within their deadline.
        ascii_only: write bodies in ASCII with ``\\u`` escapes.
        tls: certificates to trust and to show; None: the machine's certificate authorities and no own certificate.
        user_agent: the User-Agent header.
        once: send nothing a second time, whatever its method; each request gets a connection of its own.
    """

    allow_private: bool = False
    allowed_hosts: frozenset[str] | None = None
    in_flight: int = 4
    ascii_only: bool = False
    tls: ssl.SSLContext | None = None
    user_agent: str = "ocpi-gateway"
    once: bool = False


@define(eq=False)
class Outbound:
    """The connections towards one link. A link has two: its authorizations don't queue behind its pushes.

    Opens its session with the first request; ``aclose`` (or ``async with``) ends it.
    """

    _egress: Egress
    _session: aiohttp.ClientSession | None = field(default=None, init=False)

    async def send(self, request: HttpRequest, *, within: float, cap: int = ANSWER_CAP) -> HttpAnswer:
        """Send one request and read the answer, whatever its HTTP status but a redirect.

        The body of the answer is ABSENT where there is none, or where it isn't strict JSON.

        Args:
            request: with an absolute URL, which goes out as it is spelled, and all headers but those of HTTP itself.
            within: seconds for everything: waiting for a free connection, connecting, sending, reading.
            cap: bytes of the answer's body, as received and as inflated, at most.

        Raises:
            NotConnected: nothing was sent: the place isn't allowed, can't be reached, or its certificate isn't good.
            ReceiverTimeout: it was sent, and the answer wasn't complete in time.
            ReceiverError: it was sent, and the connection broke, the answer is too large, broken, or a redirect.
        """
        headers, data = self._prepared(request)
        with self._attempting(within):
            async with asyncio.timeout(within):
                response = await self._begin(request, headers, data)
                async with response:
                    return _answer(response, await _read(response, cap), cap)

    @asynccontextmanager
    async def stream(
        self, request: HttpRequest, *, within: float, idle: float = IDLE_S, item_cap: int = ITEM_CAP
    ) -> AsyncIterator[Streamed]:
        """Send one request for a list, and read its items as they come. Leaving the context ends the reading.

        Args:
            request: as of ``send``.
            within: seconds until the answer begins.
            idle: seconds between two pieces of it, at most.
            item_cap: bytes of one item, at most.

        Raises:
            NotConnected, ReceiverTimeout, ReceiverError: as ``send``, before the answer has begun.
        """
        headers, data = self._prepared(request)
        with self._attempting(within):
            async with asyncio.timeout(within):
                response = await self._begin(request, headers, data)
        try:
            splitter = Splitter(item_cap=item_cap, envelope_cap=_ENVELOPE_CAP)
            yield Streamed(response, idle=idle, splitter=splitter)
        finally:
            response.close()  # of an answer read to its end, the connection was given back before

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Outbound:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _check_place(self, url: str) -> None:
        """Raise NotConnected for a URL that this link may not call."""
        try:
            place = split(url)
        except ValueError as error:
            raise NotConnected(f"refused to call {error}") from None
        if place.scheme != "https" and not self._egress.allow_private:
            raise NotConnected("refused to call a URL without https")
        if self._egress.allowed_hosts is not None and not place.among(self._egress.allowed_hosts):
            raise NotConnected("refused to call a host that isn't this partner's")

    def _headers(self, request: HttpRequest) -> Headers:
        """All headers of the request. Raises NotConnected for a value that could start a header of its own."""
        ours = {"User-Agent": self._egress.user_agent, "Accept": "application/json", "Accept-Encoding": "gzip, deflate"}
        if request.body is not ABSENT:
            ours["Content-Type"] = "application/json"
        headers = Headers({**ours, **request.headers})
        for name, value in headers.items():
            if not (value.isascii() and value.isprintable()):
                raise NotConnected(f"refused to send a header {name} that isn't printable ASCII")
        return headers

    @contextmanager
    def _attempting(self, within: float) -> Iterator[None]:
        """One attempt, and what its failures mean for whoever makes it."""
        attempt = _Attempt()
        _attempt.set(attempt)
        try:
            yield
        except aiohttp.ConnectionTimeoutError:
            raise NotConnected(f"no connection within {CONNECT_TIMEOUT:g} s") from None
        except TimeoutError:
            if attempt.connected:
                raise ReceiverTimeout(f"no complete answer within {within:g} s") from None
            raise NotConnected(f"no connection within {within:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _failure(error, sent=attempt.connected) from None

    def _prepared(self, request: HttpRequest) -> tuple[Headers, bytes | None]:
        """Headers and body of a request that may go out. Raises NotConnected for one that may not."""
        self._check_place(request.url)
        headers = self._headers(request)
        return headers, None if request.body is ABSENT else dumps(request.body, ascii_only=self._egress.ascii_only)

    async def _begin(self, request: HttpRequest, headers: Headers, data: bytes | None) -> aiohttp.ClientResponse:
        """Send the request; the answer's head has come, its body not yet."""
        response = await self._open().request(
            request.method,
            URL(request.url, encoded=True),  # as it is spelled: what was encoded stays encoded
            headers=headers,
            data=data,
            allow_redirects=False,
        )
        if 300 <= response.status < 400:
            response.close()
            raise ReceiverError(f"answered with a redirect (HTTP {response.status}), which isn't followed")
        return response

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(
                    limit=self._egress.in_flight,
                    ssl=self._egress.tls or True,
                    ttl_dns_cache=_NAMES_KNOWN_FOR,
                    keepalive_timeout=None if self._egress.once else _KEEP_ALIVE,
                    force_close=self._egress.once,
                    socket_factory=self._socket,
                ),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
            # aiohttp has no public word for it; without it a PUT leaves twice when the connection breaks.
            self._session._retry_connection = not self._egress.once
        return self._session

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        """The socket for one resolved address: the last moment before connecting, the only one that can't be fooled."""
        family, kind, protocol, _, address = info
        if not admissible(address[0], allow_private=self._egress.allow_private):
            raise _AddressRefused
        return socket.socket(family=family, type=kind, proto=protocol)


class _AddressRefused(PermissionError):
    """All alike, so that a name with several addresses, all of them refused, fails with one of these."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "the address isn't allowed")


def admissible(address: str, *, allow_private: bool) -> bool:
    """Whether a link may connect to an IP address, as a resolver spells it.

    Without ``allow_private``: addresses of the public internet. With it, also private, shared and loopback ones, yet
    never link-local (where clouds keep the machine's own secrets) or multicast ones. An IPv4 address in IPv6 clothes
    (mapped, 6to4, NAT64) counts as what it is.
    """
    plain = _undressed(ip_address(address))
    if plain.is_link_local or plain.is_multicast:
        return False
    return allow_private or (plain.is_global and not plain.is_reserved and not getattr(plain, "is_site_local", False))


def _undressed(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFF_FFFF)
    return inner or address


@define
class _Attempt:
    """One request under way. ``connected`` from the moment before its first byte may leave."""

    connected: bool = False


_attempt: Final[ContextVar[_Attempt]] = ContextVar("attempt")


class _Connector(aiohttp.TCPConnector):
    """Marks the attempt once it has a connection. A ``TraceConfig`` would too, for ten microseconds a request."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109
    ) -> aiohttp.connector.Connection:
        connection = await super().connect(req, traces, timeout)
        _attempt.get().connected = True
        return connection


def _failure(error: Exception, *, sent: bool) -> NotConnected | ReceiverError:
    """What a failed exchange means for its sender, in our own words."""
    if sent:
        return ReceiverError("the connection broke before the answer was complete, or the answer isn't HTTP")
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return NotConnected("can't be reached: TLS failed, or the certificate isn't good")
        case aiohttp.ClientConnectorDNSError():
            return NotConnected("can't be reached: its host name doesn't resolve")
        case aiohttp.ClientConnectorError(os_error=_AddressRefused()):
            return NotConnected("refused to call an address that isn't public (allow_private is off)")
        case _:
            return NotConnected("can't be reached: no connection")


async def _read(response: aiohttp.ClientResponse, cap: int) -> bytes:
    """The body as received. Raises ReceiverError as soon as it is over the cap."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > cap:
            raise _too_large(response.status, cap)
    return bytes(body)


class Streamed:
    """An answer that is still coming in: ``Incoming`` of ``gateway/ports.py``."""

    def __init__(self, response: aiohttp.ClientResponse, *, idle: float, splitter: Splitter) -> None:
        self._response = response
        self._headers = _headers(response)
        self._idle = idle
        self._splitter = splitter
        self._readable = True

    @property
    def listed(self) -> bool:
        """See ``gateway.ports.Incoming``."""
        return self._splitter.listed

    @property
    def answer(self) -> HttpAnswer:
        """See ``gateway.ports.Incoming``."""
        body = self._splitter.members if self._readable else ABSENT
        return HttpAnswer(status=self._response.status, headers=self._headers, body=body)

    async def items(self) -> AsyncGenerator[Sequence[bytes], None]:
        """See ``gateway.ports.Incoming``."""
        try:
            inflater = Inflater(self._headers.get("Content-Encoding", ""))
            while chunk := await self._chunk():
                for piece in inflater.feed(chunk):
                    if items := self._splitter.feed(piece):
                        yield items
            inflater.finish()
            if items := self._splitter.finish():
                yield items
        except BadJson as error:
            if self._splitter.listed:
                raise ReceiverError(f"its list can't be read: {error.message}") from None
            self._readable = False
            _log.warning("answer_unreadable", http_status=self._response.status, reason=error.message)

    async def _chunk(self) -> bytes:
        try:
            async with asyncio.timeout(self._idle):
                return await self._response.content.readany()
        except TimeoutError:
            raise ReceiverTimeout(f"nothing more of its list came within {self._idle:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _failure(error, sent=True) from None


def _headers(response: aiohttp.ClientResponse) -> Headers:
    return Headers({name: ", ".join(response.headers.getall(name)) for name in response.headers})


def _answer(response: aiohttp.ClientResponse, raw: bytes, cap: int) -> HttpAnswer:
    headers = _headers(response)
    body: Any = ABSENT
    try:
        plain = inflated(raw, headers.get("Content-Encoding", ""), cap)
        if len(plain) > cap:
            raise _too_large(response.status, cap)
        if plain:
            body = loads(plain)
    except BadJson as error:
        _log.warning("answer_unreadable", http_status=response.status, reason=error.message)
    return HttpAnswer(status=response.status, headers=headers, body=body)


def _too_large(status: int, cap: int) -> ReceiverError:
    return ReceiverError(f"an answer of more than {cap} bytes (HTTP {status})")
