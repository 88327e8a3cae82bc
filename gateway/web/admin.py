"""The admin listener: health and metrics for whoever watches, and the admin API for whoever decides.

Health and metrics are open to everyone who reaches the listener. Everything below ``/api`` wants the token of
``admin.token`` as a bearer where one is configured, which off loopback is always. And since a browser on the same
machine reaches loopback too, and takes along whatever page it shows:

- what changes something is refused when it comes from another site's page (``Origin``, ``Sec-Fetch-Site``);
- without a token only names of loopback may stand in ``Host``: a page of ``evil.example`` whose name has come to mean
  127.0.0.1 is its own site to the browser, and would read everything.

What the API has stands in one table of routes; the description at ``/api/openapi.json`` is written from it.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from attrs import frozen
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway import __version__
from gateway.model.errors import GatewayError, NotDurable
from gateway.telemetry import STORE_UP
from gateway.web.json import dumps

log = structlog.get_logger()

API: Final = "/api"

_BODY_CAP: Final = 64 * 1024
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE: Final = frozenset({"same-origin", "none"})  # none: a person typed the address

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Schema = Mapping[str, Any]


class Health:
    """What ``/ready`` knows: configuration is loaded, Redis was seen once, and the process isn't about to leave."""

    def __init__(self, ping: Callable[[], Awaitable[None]]) -> None:
        self._ping = ping
        self.seen = False
        self.leaving = False

    @property
    def ready(self) -> bool:
        return self.seen and not self.leaving

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


@frozen(kw_only=True)
class Parameter:
    """A query parameter. ``many``: it may be repeated."""

    name: str
    about: str
    schema: Schema
    many: bool = False


@frozen(kw_only=True)
class Route:
    """One thing that the API can do.

    Attributes:
        path: below ``/api``, with ``{names}`` of its segments.
        id: what generated clients call it.
        query: all parameters that it knows; any other is refused.
        segments: the schemas of its path's segments.
        body: the schema of its request's body; None: it has none.
        answer: the schema of its answer.
    """

    method: str
    path: str
    id: str
    about: str
    handler: _Handler
    answer: Schema
    query: tuple[Parameter, ...] = ()
    segments: Mapping[str, Schema] = {}
    body: Schema | None = None


def admin_app(
    health: Health, routes: Sequence[Route], schemas: Mapping[str, Schema], token: str | None
) -> web.Application:
    """Health, metrics and the API.

    ``/ready`` is 503 until Redis was seen once, and 200 from then on: taking every replica out because Redis is away
    would stop authorizations too.

    Args:
        routes: of the API.
        schemas: what they refer to, by name.
        token: what callers of the API must present; None: nothing, where they come by loopback.
    """

    async def live(_: web.Request) -> web.Response:
        return json({"status": "live"})

    async def ready(_: web.Request) -> web.Response:
        now = await health.look()
        status = "stopping" if health.leaving else "ready" if health.seen else "starting"
        return json({"status": status, "redis": "up" if now else "away"}, 200 if health.ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/live", live)
    app.router.add_get("/ready", ready)
    app.router.add_get("/metrics", metrics)
    app.add_subapp(API, _api(routes, schemas, token))
    return app


def json(value: Any, status: int = 200) -> web.Response:
    """A value as the body of a response."""
    return web.Response(body=dumps(value), status=status, content_type="application/json")


def refuse(status: int, text: str) -> NoReturn:
    """End the request with ``{"error": text}``."""
    raise Refused(status, text)


class Refused(Exception):
    """A request that isn't granted: its HTTP status, and a sentence for whoever sent it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def _api(routes: Sequence[Route], schemas: Mapping[str, Schema], token: str | None) -> web.Application:
    @web.middleware
    async def guarded(request: web.Request, handler: _Handler) -> web.StreamResponse:
        response: web.StreamResponse
        try:
            _check_caller(request, token)
            response = await handler(request)
        except Refused as error:
            response = _error(error.status, error.text)
        except web.HTTPException as error:
            response = _error(
                error.status, _reason(error), {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            )
        if not response.prepared:
            response.headers["Cache-Control"] = "no-store"
        return response

    async def openapi(_: web.Request) -> web.Response:
        return json(describe(routes, schemas, secured=token is not None))

    app = web.Application(middlewares=[guarded], client_max_size=_BODY_CAP)
    for route in routes:
        app.router.add_route(route.method, route.path, _served(route))
    app.router.add_get("/openapi.json", openapi)
    return app


def _served(route: Route) -> _Handler:
    """The route's handler, with what all have in common."""
    known = {parameter.name: parameter for parameter in route.query}

    async def serve(request: web.Request) -> web.StreamResponse:
        for name in set(request.query):
            if name not in known:
                refuse(400, f"unknown parameter {name[:40]!r}: it knows {', '.join(known) or 'none'}")
            if len(request.query.getall(name)) > 1 and not known[name].many:
                refuse(400, f"the parameter {name} is repeated")
        try:
            return await route.handler(request)
        except NotDurable as error:
            refuse(503, error.message)
        except GatewayError as error:
            refuse(400, error.message)

    return serve


def _check_caller(request: web.Request, token: str | None) -> None:
    """Whether this caller may call at all.

    Raises:
        Refused: 401 without the token, 403 from another site.
    """
    if token is None:
        if not _is_loopback(request.host):
            refuse(403, "without admin.token only loopback may be called: use http://127.0.0.1, or configure a token")
    elif not _has(request, token):
        refuse(401, "the token of admin.token is missing or wrong: send it as Authorization: Bearer TOKEN")
    if request.method not in _SAFE and not _from_own_site(request):
        refuse(403, "changes aren't taken from another site's page")


def _has(request: web.Request, token: str) -> bool:
    given = request.headers.getall("Authorization", [])
    scheme, _, value = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    same = hmac.compare_digest(value.strip().encode("utf-8", "surrogateescape"), token.encode())
    return same and scheme.lower() == "bearer"


def _is_loopback(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _from_own_site(request: web.Request) -> bool:
    """Whether it comes from a page of ours, or from none: browsers say so, other programs say nothing."""
    if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITE:
        return False
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


def _error(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    response = json({"error": text}, status)
    response.headers.update(headers or {})
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _reason(error: web.HTTPException) -> str:
    if error.status == HTTPStatus.NOT_FOUND:
        return f"nothing is served here: see {API}/openapi.json"
    return error.reason.lower()


# The description ------------------------------------------------------------------------------------------------------


def describe(routes: Sequence[Route], schemas: Mapping[str, Schema], *, secured: bool) -> dict[str, Any]:
    """The OpenAPI 3.1 description of the API."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(f"{API}{route.path}", {})[route.method.lower()] = _operation(route)
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "ocpi-gateway admin API", "version": __version__},
        "paths": paths,
        "components": {"schemas": {**schemas, "Error": _ERROR}},
    }
    if secured:
        described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        described["security"] = [{"token": []}]
    return described


_ERROR: Final[Schema] = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}


def _operation(route: Route) -> dict[str, Any]:
    segments = [
        {"name": name, "in": "path", "required": True, "schema": schema} for name, schema in route.segments.items()
    ]
    query = [
        {
            "name": each.name, "in": "query", "description": each.about,
            "schema": {"type": "array", "items": each.schema} if each.many else each.schema,
        }
        for each in route.query
    ]  # fmt: skip
    operation: dict[str, Any] = {
        "operationId": route.id,
        "summary": route.about,
        "parameters": segments + query,
        "responses": {
            "200": {"description": "Done.", "content": _content(route.answer)},
            "default": {
                "description": "Not done, and why.",
                "content": _content({"$ref": "#/components/schemas/Error"}),
            },
        },
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(route.body)}
    return operation


def _content(schema: Schema) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
