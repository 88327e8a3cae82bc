"""The two listeners: OCPI for partners and backends, and the admin one for health and metrics.

One handler serves everything under ``/ocpi``: it admits the caller, splits the path into segments (each decoded on its
own, so that nothing in an id can climb), reads the body within its own deadline, and hands the request to registration
or to the pipeline. Every answer has an envelope, this module's own 404s and 413s too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.model.errors import (
    BadJson,
    GatewayError,
    NotAllowed,
    NotDurable,
    NotFound,
    ReceiverError,
    SenderError,
    TooLarge,
    Unauthorized,
)
from gateway.model.facts import ABSENT
from gateway.model.message import Answer, Headers, HttpRequest
from gateway.model.modules import Verb
from gateway.pipeline import Pipeline
from gateway.ports import Adapter
from gateway.registered import Links
from gateway.telemetry import STORE_UP
from gateway.web.answers import refuse, respond
from gateway.web.identity import Caller, Doorkeeper, Scope
from gateway.web.json import loads
from gateway.web.registration import Registrar

log = structlog.get_logger()

BODY_CAP: Final = 4 * 1024 * 1024
"""Bytes of a request's body, inflated: the largest Location there is, several times over."""

_BODY_S: Final = 10.0
"""Seconds in which a body must have arrived: a stalled one would hold its connection for ever."""

_SEGMENTS: Final = 12
_ECHOED: Final = ("X-Request-ID", "X-Correlation-ID")
_SINGLE: Final = frozenset({"authorization", *(name.lower() for name in _ECHOED)})


class OcpiServer:
    """Everything under ``/ocpi``."""

    def __init__(
        self,
        *,
        links: Links,
        adapters: Mapping[str, Adapter],
        doorkeeper: Doorkeeper,
        registrar: Registrar,
        pipeline: Pipeline,
    ) -> None:
        self._links = links
        self._adapters = adapters
        self._newest = list(adapters.values())[-1]
        self._doorkeeper = doorkeeper
        self._registrar = registrar
        self._pipeline = pipeline

    def app(self) -> web.Application:
        """The aiohttp application of the OCPI listener."""
        app = web.Application(client_max_size=BODY_CAP, middlewares=[_hide_server])
        app.router.add_route("*", "/{tail:.*}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.Response:
        response = await self._answered(request)
        for name in _ECHOED:
            # 2.2.1 transport_and_format, Unique message IDs: on every answer, the configuration modules' too.
            if name not in response.headers and _plain(value := request.headers.get(name, "")):
                response.headers[name] = value
        return response

    async def _answered(self, request: web.Request) -> web.Response:
        structlog.contextvars.clear_contextvars()
        adapter = self._newest
        caller: Caller | None = None
        try:
            segments = path_segments(request.rel_url.raw_path)
            if segments[:1] != ("ocpi",):
                raise NotFound("nothing is served here; OCPI is under /ocpi/versions")
            adapter = self._adapters.get(segments[1] if len(segments) > 1 else "", self._newest)
            caller = await self._doorkeeper.admit(request.headers.getall("Authorization", []))
            _check_single(request)
            await self._registrar.used(caller)
            return await self._serve(request, segments[1:], caller)
        except GatewayError as error:
            return self._refused(request, error, adapter, caller)
        except Exception as error:
            # Not one of ours: a bug. The caller gets an envelope all the same; the log gets the whole story.
            log.exception("request.crashed", partner=caller.link if caller else None, error=type(error).__name__)
            return refuse(ReceiverError("internal error; it is in the gateway's log"), adapter)

    async def _serve(self, request: web.Request, path: tuple[str, ...], caller: Caller) -> web.Response:
        if path == ("versions",):
            _check_method(request, Verb.GET)
            return self._answer(self._registrar.versions(caller.link), self._newest, caller)
        adapter = self._adapters.get(path[0]) if path else None
        if adapter is None:
            raise NotFound("no such version; see /ocpi/versions")
        if len(path) == 1:
            _check_method(request, Verb.GET)
            return self._answer(self._registrar.details(caller.link, adapter), adapter, caller)
        if path[1:] == ("credentials",):
            verb = _check_method(request, Verb.GET, Verb.POST, Verb.PUT, Verb.DELETE)
            body = await self._body(request)
            return self._answer(await self._registrar.credentials(caller, verb, body, adapter), adapter, caller)
        return await self._carry(request, path, caller, adapter)

    async def _carry(
        self, request: web.Request, path: tuple[str, ...], caller: Caller, adapter: Adapter
    ) -> web.Response:
        if caller.scope is not Scope.FULL:
            raise Unauthorized("this token opens versions and credentials only; register first")
        directory = self._links.directory
        source = directory[caller.link]
        if adapter.version != source.dialect.version:
            raise NotFound(f"this link speaks {source.dialect.version}")
        http = HttpRequest(
            method=request.method,
            url=str(request.rel_url),
            segments=path[1:],
            query=_single_query(request),
            headers=Headers(dict(request.headers)),
            body=await self._body(request),
        )
        return respond(
            await self._pipeline.carry(http, source, directory), ascii_only=source.dialect.policy.json_ascii_only
        )

    def _answer(self, answer: Answer, adapter: Adapter, caller: Caller) -> web.Response:
        return respond(adapter.write_answer(answer, None, self._links.directory[caller.link].dialect))

    def _refused(
        self, request: web.Request, error: GatewayError, adapter: Adapter, caller: Caller | None
    ) -> web.Response:
        log.info(
            "request.refused", partner=caller.link if caller else None, method=request.method, http=error.http,
            status=error.status, reason=error.message,
        )  # fmt: skip
        dialect = self._links.directory[caller.link].dialect if caller else None
        return refuse(error, adapter, None, dialect)

    @staticmethod
    async def _body(request: web.Request) -> Any:
        """The body as a JSON value, ABSENT where there is none.

        Raises:
            TooLarge, BadJson, SenderError: over the cap, unreadable, too slow.
        """
        try:
            async with asyncio.timeout(_BODY_S):
                raw = await request.read()
        except TimeoutError:
            raise SenderError(f"the body didn't arrive within {_BODY_S:g} s", http=408) from None
        except web.HTTPRequestEntityTooLarge:
            raise TooLarge(f"a body of more than {BODY_CAP} bytes") from None
        except (web.HTTPException, ValueError, OSError) as error:
            raise BadJson(f"the body can't be read ({type(error).__name__})") from None
        return loads(raw) if raw else ABSENT


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


def _plain(value: str) -> bool:
    return 0 < len(value) <= 255 and value.isascii() and value.isprintable()


def _check_method(request: web.Request, *allowed: Verb) -> Verb:
    if request.method not in allowed:
        raise NotAllowed(f"{request.method} is not a method of this resource", tuple(allowed))
    return Verb(request.method)


def _check_single(request: web.Request) -> None:
    """Headers that decide something may stand only once: of two, each reader would take its own."""
    for name in {name.lower() for name in request.headers}:
        if (name in _SINGLE or name.startswith("ocpi-")) and len(request.headers.getall(name)) > 1:
            raise BadJson(f"the header {name} is repeated")


def _single_query(request: web.Request) -> dict[str, str]:
    query: dict[str, str] = {}
    for name, value in request.query.items():
        if query.setdefault(name, value) != value:
            raise BadJson(f"the query parameter {name[:40]} is repeated")
    return query


@web.middleware
async def _hide_server(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    response = await handler(request)
    response.headers["Server"] = "ocpi-gateway"
    return response


class Health:
    """What ``/ready`` knows: configuration is loaded, and Redis was seen once."""

    def __init__(self, ping: Callable[[], Awaitable[None]]) -> None:
        self._ping = ping
        self.seen = False

    async def look(self) -> bool:
        """Whether Redis answers now."""
        try:
            await self._ping()
        except NotDurable:
            STORE_UP.set(0)
            return False
        self.seen = True
        STORE_UP.set(1)
        return True


def admin_app(health: Health) -> web.Application:
    """Health and metrics.

    ``/ready`` is 503 until Redis was seen once, and 200 from then on: taking every replica out because Redis is away
    would stop authorizations too.
    """

    async def live(_: web.Request) -> web.Response:
        return web.json_response({"status": "live"})

    async def ready(_: web.Request) -> web.Response:
        now = await health.look()
        body = {"status": "ready" if health.seen else "starting", "redis": "up" if now else "away"}
        return web.json_response(body, status=200 if health.seen else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application(middlewares=[_hide_server])
    app.router.add_get("/live", live)
    app.router.add_get("/ready", ready)
    app.router.add_get("/metrics", metrics)
    return app
