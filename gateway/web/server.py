"""The listener for partners and backends: OCPI, and beside it the prices that we serve (``price_server.py``).

One handler serves everything under ``/ocpi``, and whatever old path is an alias of something there: it admits the
caller, splits the path into segments (each decoded on its own, so that nothing in an id can climb), reads the body
within its own deadline, and hands the request to registration or to the pipeline. Every answer has an envelope, this
module's own 404s and 413s too.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import structlog
from aiohttp import HttpVersion11, web, web_response

from gateway.model.errors import (
    BadJson,
    GatewayError,
    NotFound,
    ReceiverError,
    SenderError,
    TooLarge,
    Unauthorized,
)
from gateway.model.facts import ABSENT
from gateway.model.message import Answer, Headers, HttpAnswer, HttpRequest, is_plain
from gateway.model.modules import Verb
from gateway.pipeline import Pipeline, answer_of
from gateway.ports import Adapter
from gateway.prices.statuses import Statuses
from gateway.registered import Links
from gateway.web.answers import refuse, respond, respond_list
from gateway.web.asked import ECHOED, check_method, check_single, single_query
from gateway.web.coding import inflated
from gateway.web.identity import Caller, Doorkeeper, Scope
from gateway.web.json import loads
from gateway.web.price_server import ROOT as PRICES
from gateway.web.price_server import PriceServer
from gateway.web.registration import Registrar

log = structlog.get_logger()

BODY_CAP: Final = 4 * 1024 * 1024
"""Bytes of a request's body, inflated: the largest Location there is, several times over."""

BODY_S: Final = 10.0
"""Seconds in which a body must have arrived: a stalled one would hold its connection for ever."""

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# What an attacker looks up first is the version in the Server header. It stands on aiohttp's own answers too, which no
# middleware sees, and this is where they take it from.
web_response.SERVER_SOFTWARE = "ocpi-gateway"  # type: ignore[attr-defined]  # imported there, not declared

_SEGMENTS: Final = 12


class OcpiServer:
    """Everything under ``/ocpi``, and the way to everything else on this listener.

    Attributes:
        leaving: whether it is about to stop: then every connection ends with the answer that is given on it.
    """

    def __init__(
        self,
        *,
        links: Links,
        adapters: Mapping[str, Adapter],
        doorkeeper: Doorkeeper,
        registrar: Registrar,
        pipeline: Pipeline,
        prices: PriceServer,
        statuses: Statuses,
        aliases: Mapping[str, str] | None = None,
        called: Sequence[Callable[[str], None]] = (),
    ) -> None:
        """The application's parts.

        Args:
            aliases: paths that others still call, and the paths of ours that stand for them.
            called: hear of every link that calls us.
        """
        self._links = links
        self._adapters = adapters
        self._newest = list(adapters.values())[-1]
        self._doorkeeper = doorkeeper
        self._registrar = registrar
        self._pipeline = pipeline
        self._prices = prices
        self._statuses = statuses
        self.use_aliases(aliases or {})
        self._called = called
        self.leaving = False

    def use_aliases(self, aliases: Mapping[str, str]) -> None:
        """Paths that others still call, and the paths of ours that stand for them from now on."""
        self._aliases = sorted(aliases.items(), key=lambda alias: len(alias[0]), reverse=True)

    def app(self) -> web.Application:
        """The aiohttp application of the OCPI listener."""
        app = web.Application(client_max_size=BODY_CAP, middlewares=[self._enveloped])
        # Every path, also one with a line break in it, which a dot wouldn't match.
        app.router.add_route("*", r"/{tail:[\s\S]*}", self._handle, expect_handler=self._expected)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        response = await self._answered(request)
        if self.leaving and not response.prepared:
            response.force_close()  # the next request on this connection would meet a closed one
        for name in ECHOED:
            # 2.2.1 transport_and_format, Unique message IDs: on every answer, the configuration modules' too.
            if name not in response.headers and is_plain(value := request.headers.get(name, "")):
                response.headers[name] = value
        return response

    @web.middleware
    async def _enveloped(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """What isn't a path at all (``OPTIONS *``, ``CONNECT``) never comes to ``_handle``; aiohttp says why."""
        try:
            return await handler(request)
        except web.HTTPException as error:
            return self._refused(request, SenderError(error.reason, http=error.status), self._newest, None)

    async def _expected(self, request: web.Request) -> web.StreamResponse | None:
        """Whoever waits for a go-ahead before sending the body gets it. RFC 9110 10.1.1 knows no other expectation."""
        if request.headers["Expect"].lower() != "100-continue":
            return self._refused(request, SenderError("unknown expectation", http=417), self._newest, None)
        if request.version >= HttpVersion11:
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # the answer hasn't begun
        return None

    async def _answered(self, request: web.Request) -> web.StreamResponse:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(correlation_id=_correlation_id(request))
        adapter = self._newest
        caller: Caller | None = None
        try:
            path = in_our_words(request.rel_url.raw_path, self._aliases)
            segments = path_segments(path)
            if segments[:1] == (PRICES,):
                return await self._prices.answer(request, segments[1:])
            if segments[:1] != ("ocpi",):
                raise NotFound("nothing is served here; OCPI is under /ocpi/versions")
            adapter = self._adapters.get(segments[1] if len(segments) > 1 else "", self._newest)
            caller = await self._admit(request)
            check_single(request)
            if caller.scope is Scope.FEED:
                return await self._push_status(request, segments[1:], caller, adapter)
            await self._registrar.catch_up(caller)
            await self._registrar.used(caller)
            for hears in self._called:
                hears(caller.link)
            return await self._serve(request, path, segments[1:], caller)
        except GatewayError as error:
            return self._refused(request, error, adapter, caller)
        except Exception as error:
            # Not one of ours: a bug. The caller gets an envelope all the same; the log gets the whole story.
            log.exception("request.crashed", partner=caller.link if caller else None, error=type(error).__name__)
            return refuse(ReceiverError("internal error; it is in the gateway's log"), adapter)

    async def _admit(self, request: web.Request) -> Caller:
        """Who is calling, if its link is in service and takes tokens in this form (``auth.accept_encodings``).

        A token of a link whose file was taken away may still lie in Redis: it opens nothing, nor does a draft's.
        """
        caller = await self._doorkeeper.admit(request.headers.getall("Authorization", []))
        if caller.scope is Scope.FEED:
            return caller
        link = self._links.directory.find(caller.link)
        if link is None or not link.in_service or caller.form not in link.dialect.policy.auth_accept_encodings:
            raise Unauthorized("no valid credentials token")
        return caller

    async def _serve(self, request: web.Request, url: str, path: tuple[str, ...], caller: Caller) -> web.StreamResponse:
        if path == ("versions",):
            check_method(request, Verb.GET)
            return self._answer(self._registrar.versions(caller.link), self._newest, caller)
        adapter = self._adapters.get(path[0]) if path else None
        if adapter is None:
            raise NotFound("no such version; see /ocpi/versions")
        if len(path) == 1:
            check_method(request, Verb.GET)
            return self._answer(self._registrar.details(caller.link, adapter), adapter, caller)
        if path[1:] == ("credentials",):
            verb = check_method(request, Verb.GET, Verb.POST, Verb.PUT, Verb.DELETE)
            body = await self._body(request)
            return self._answer(await self._registrar.credentials(caller, verb, body, adapter), adapter, caller)
        return await self._carry(request, url, path, caller, adapter)

    async def _carry(
        self, request: web.Request, url: str, path: tuple[str, ...], caller: Caller, adapter: Adapter
    ) -> web.StreamResponse:
        if caller.scope is not Scope.FULL:
            raise Unauthorized("this token opens versions and credentials only; register first")
        directory = self._links.directory
        source = directory[caller.link]
        if adapter.version != source.dialect.version:
            raise NotFound(f"this link speaks {source.dialect.version}")
        http = HttpRequest(
            method=request.method,
            url=f"{url}?{query}" if (query := request.rel_url.raw_query_string) else url,
            segments=path[1:],
            query=single_query(request),
            headers=Headers(dict(request.headers)),
            body=await self._body(request),
        )
        ascii_only = source.dialect.policy.json_ascii_only
        written = await self._pipeline.carry(http, source, directory)
        if written.items is None:
            return respond(written, ascii_only=ascii_only)

        def ended(error: GatewayError) -> HttpAnswer:
            return adapter.write_answer(answer_of(error), None, source.dialect)

        return respond_list(written, written.items, ended, ascii_only=ascii_only)

    async def _push_status(
        self, request: web.Request, path: tuple[str, ...], feed: Caller, adapter: Adapter
    ) -> web.StreamResponse:
        """What a price feed pushes. Its token opens nothing else."""
        addressed = self._statuses.addressed(path)
        if addressed is None:
            raise Unauthorized("no valid credentials token")
        check_method(request, Verb.PATCH)
        await self._statuses.push(feed.link, *addressed, await self._body(request))
        return respond(adapter.write_answer(Answer(status=1000), None, None))

    def _answer(self, answer: Answer, adapter: Adapter, caller: Caller) -> web.Response:
        return respond(adapter.write_answer(answer, None, self._links.directory[caller.link].dialect))

    def _refused(
        self, request: web.Request, error: GatewayError, adapter: Adapter, caller: Caller | None
    ) -> web.Response:
        log.info(
            "request.refused", partner=caller.link if caller else None, method=request.method, http=error.http,
            status=error.status, reason=error.message,
        )  # fmt: skip
        link = self._links.directory.find(caller.link) if caller else None
        dialect = link.dialect if link else None
        return refuse(error, adapter, None, dialect)

    @staticmethod
    async def _body(request: web.Request) -> Any:
        """The body as a JSON value, ABSENT where there is none.

        Raises:
            TooLarge, BadJson, SenderError: over the cap, unreadable, too slow.
        """
        try:
            if (request.content_length or 0) > BODY_CAP:
                raise _too_large()  # without waiting for it
            async with asyncio.timeout(BODY_S):
                raw = await request.read()
        except TimeoutError:
            raise SenderError(f"the body didn't arrive within {BODY_S:g} s", http=408) from None
        except web.HTTPRequestEntityTooLarge:
            raise _too_large() from None
        except (web.RequestPayloadError, ValueError, OSError) as error:
            raise BadJson(f"the body can't be read ({type(error).__name__})") from None
        body = inflated(raw, request.headers.get("Content-Encoding", ""), BODY_CAP)
        if len(body) > BODY_CAP:
            raise _too_large()
        return loads(body) if body else ABSENT


def in_our_words(raw_path: str, aliases: Sequence[tuple[str, str]]) -> str:
    """The path that a path means: as it is, or with the first alias that it begins with replaced.

    Args:
        raw_path: percent-encoded.
        aliases: old path and ours, the longest first; neither ends in a slash. Whole segments count: ``/old`` is no
            beginning of ``/older``.
    """
    for old, ours in aliases:
        if f"{raw_path}/".startswith(f"{old}/"):
            return ours + raw_path[len(old) :]
    return raw_path


def path_segments(raw_path: str) -> tuple[str, ...]:
    """The segments of a path, each percent-decoded on its own; with and without a trailing slash alike.

    Raises:
        NotFound: a segment is empty, ``.`` or ``..``, isn't UTF-8, or holds control characters.
    """
    parts = raw_path.strip("/").split("/") if raw_path.strip("/") else []
    if len(parts) > _SEGMENTS:
        raise NotFound("no such path")
    segments = []
    for part in parts:
        try:
            segment = unquote_to_bytes(part).decode("utf-8")
        except UnicodeDecodeError:
            raise NotFound("a path segment isn't UTF-8") from None
        if not segment or segment in (".", "..") or not segment.isprintable():
            raise NotFound("a path segment is empty, a dot segment, or holds control characters")
        segments.append(segment)
    return tuple(segments)


def _correlation_id(request: web.Request) -> str:
    """What the lines about this request have in common: the caller's own id, or one of ours."""
    given = request.headers.get("X-Correlation-ID", "")
    return given if is_plain(given) else str(uuid.uuid4())


def _too_large() -> TooLarge:
    return TooLarge(f"a body of more than {BODY_CAP} bytes")
