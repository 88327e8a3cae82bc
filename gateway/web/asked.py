"""What every request here is held to, whatever it asks for: nothing in it may be said twice, and only what there is may
be done with a resource."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.model.errors import BadJson, NotAllowed
from gateway.model.modules import Verb

ECHOED: Final = ("X-Request-ID", "X-Correlation-ID")
"""Headers that come back with the answer as they were sent."""

_SINGLE: Final = frozenset({"authorization", *(name.lower() for name in ECHOED)})


def check_method(request: web.Request, *allowed: Verb) -> Verb:
    """What is to be done. Raises NotAllowed for anything but these."""
    if request.method not in allowed:
        raise NotAllowed(f"{request.method} is not a method of this resource", tuple(allowed))
    return Verb(request.method)


def check_single(request: web.Request) -> None:
    """Headers that decide something may stand only once: of two, each reader would take its own. Raises BadJson."""
    for name in {name.lower() for name in request.headers}:
        if (name in _SINGLE or name.startswith("ocpi-")) and len(request.headers.getall(name)) > 1:
            raise BadJson(f"the header {name} is repeated")


def single_query(request: web.Request) -> dict[str, str]:
    """The parameters, one value a name. Raises BadJson where one stands with two values."""
    query: dict[str, str] = {}
    for name, value in request.query.items():
        if query.setdefault(name, value) != value:
            raise BadJson(f"the query parameter {name[:40]} is repeated")
    return query
