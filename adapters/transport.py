"""What every version does alike between the socket and the message: the pieces that ``open`` and ``write`` are made of.

A version is its table of paths, its headers and its statuses; these functions put them together. Each is a step of the
Adapter protocol (``gateway/ports.py``), so that a version's own file reads as the list of its differences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve

from adapters.headers import write_trace
from adapters.paths import Path, id_field
from gateway.model.country import alpha_3
from gateway.model.dialect import Dialect
from gateway.model.errors import InvalidObject, NotConnected, NotFound
from gateway.model.message import HttpRequest, Message, Ref
from gateway.model.modules import Module, Side
from gateway.model.urls import join, with_query


def named_module(name: str) -> Module:
    """The module of a path segment.

    Raises:
        NotFound: there is none of that name.
    """
    try:
        return Module(name)
    except ValueError:
        raise NotFound("no such module") from None


def write_request(
    message: Message,
    dialect: Dialect,
    path: Path,
    *,
    country: Callable[[str], str],
    query: Mapping[str, str],
    routing: Mapping[str, str],
) -> HttpRequest:
    """The request for a message, to the other side's URL for that path.

    Raises:
        NotConnected: the other side has no endpoint for it.
        InvalidObject: an id that no URL can carry.
    """
    url = dialect.endpoints.get((message.module, message.side))
    if url is None:
        raise NotConnected(f"{dialect.link} has no endpoint for {message.module} ({message.side})")
    if segments := path.spell(_ref(message), country):  # without any, the endpoint stays as it was published
        try:
            url = join(url, *segments)
        except ValueError as error:
            raise InvalidObject(f"$.{id_field(path.kind)}", str(error)) from None
    headers = write_trace(message.trace) | dict(routing)
    if message.body is None:
        return HttpRequest(method=message.verb, url=with_query(url, query), headers=headers)
    headers["Content-Type"] = "application/json"
    return HttpRequest(method=message.verb, url=with_query(url, query), headers=headers, body=message.body.data)


def _ref(message: Message) -> Ref:
    """The reference of a message, its id spelled as the pushed object has it: a version may have another form of it."""
    ref, body = message.ref, message.body
    spelled = body.data.get(id_field(body.kind)) if body is not None and message.action is None else None
    if not isinstance(spelled, str):
        return ref
    if ref.connector_id is not None:
        return evolve(ref, connector_id=spelled)
    return evolve(ref, id=spelled) if ref.evse_uid is None else evolve(ref, evse_uid=spelled)


def as_alpha_2(country_code: str) -> str:
    """A party's country code as it is inside: alpha-2."""
    return country_code


def as_alpha_3(country_code: str) -> str:
    """A party's country code in three letters; one that ISO doesn't know stays as it is."""
    return alpha_3(country_code) or country_code


def spelling(dialect: Dialect) -> Callable[[str], str]:
    """How the countries of parties are written on a link whose version leaves it open."""
    return as_alpha_3 if dialect.alpha_3 else as_alpha_2


def read_endpoints(data: Any) -> Iterator[tuple[Module, str | None, str]]:
    """Module, role and URL of each endpoint in version details. Modules that we don't know are skipped.

    Raises:
        InvalidObject: no list of endpoints, or an endpoint without url.
    """
    endpoints = data.get("endpoints") if isinstance(data, dict) else None
    if not isinstance(endpoints, list):
        raise InvalidObject("$.endpoints", "expected a list")
    for index, entry in enumerate(endpoints):
        if not isinstance(entry, dict):
            raise InvalidObject(f"$.endpoints[{index}]", "expected an object")
        if entry.get("identifier") not in _MODULES:
            continue
        url = entry.get("url")
        if not isinstance(url, str) or not url:
            raise InvalidObject(f"$.endpoints[{index}].url", "required")
        role = entry.get("role")
        yield Module(entry["identifier"]), role if isinstance(role, str) else None, url


_MODULES: frozenset[str] = frozenset(module.value for module in Module)


def offered(dialect: Dialect) -> Sequence[tuple[Module, Side]]:
    """What we serve to this link, in a stable order, credentials apart."""
    return sorted(pair for pair in dialect.offered if pair[0] not in (Module.CREDENTIALS, Module.VERSIONS))


def credentials_url(dialect: Dialect, version: str) -> str:
    """Our credentials endpoint in a version."""
    return f"{dialect.base_url}/{version}/{Module.CREDENTIALS}"


def versions_url(dialect: Dialect) -> str:
    """Our versions endpoint, the same for every version."""
    return f"{dialect.base_url}/{Module.VERSIONS}"
