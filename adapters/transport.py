"""What every version does alike between the socket and the message: the pieces that ``open`` and ``write`` are made of.

A version is its table of paths, its headers and its statuses; these functions put them together. Each is a step of the
Adapter protocol (``gateway/ports.py``), so that a version's own file reads as the list of its differences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import evolve

from adapters.headers import write_trace
from adapters.paths import CALLBACK, Path, Paths, has_id, id_field
from adapters.queries import write_query
from gateway.model.country import alpha_3
from gateway.model.dialect import Dialect
from gateway.model.document import Document
from gateway.model.errors import InvalidObject, NotConnected, NotFound
from gateway.model.facts import ABSENT
from gateway.model.message import HttpRequest, Message, Ref
from gateway.model.modules import Kind, Module, Side
from gateway.model.urls import join, with_query

_CALLBACK: Final = "callback"
_JSON: Final = {"Content-Type": "application/json"}


def named_module(name: str) -> Module:
    """The module of a path segment.

    Raises:
        NotFound: there is none of that name.
    """
    try:
        return Module(name)
    except ValueError:
        raise NotFound("no such module") from None


def path_of(paths: Paths, message: Message, dialect: Dialect) -> Path:
    """The resource of theirs that a message is for. ``cdrs.post_url``: with some peers the owner is in a CDR's URL.

    Raises:
        NotAllowed: this version has none, or not with this method.
    """
    with_party = message.module is Module.CDRS and dialect.policy.cdrs_post_url == "with_party"
    return paths.of(message, with_owner=with_party)


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

    Args:
        query: parameters besides those of the message's own query.
        routing: headers of the version.

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
            where = f"$.{id_field(path.kind)}" if has_id(path.kind) else path.below
            raise InvalidObject(where, str(error)) from None
    url = with_query(_slashed(url, dialect.policy.http_trailing_slash), {**query, **write_query(message.query)})
    return _request(message, url, dialect, routing)


def write_callback(message: Message, url: str, dialect: Dialect, *, routing: Mapping[str, str]) -> HttpRequest:
    """The request that brings a result to the URL its asker gave: that URL to the letter, and a body without envelope.

    Spec: 2.2.1 ``mod_commands`` and ``mod_charging_profiles``, POST Method of the Sender Interface; 2.1.1 the same.
    """
    return _request(message, url, dialect, routing)


def _request(message: Message, url: str, dialect: Dialect, routing: Mapping[str, str]) -> HttpRequest:
    headers = {**dialect.policy.routing_extra_headers, **write_trace(message.trace), **routing}
    if message.body is None:
        return HttpRequest(method=message.verb, url=url, headers=headers)
    return HttpRequest(method=message.verb, url=url, headers=headers | _JSON, body=message.body.data)


def _slashed(url: str, wanted: str) -> str:
    """A URL with the slash at the end of its path that a link wants: as it is, always, or never."""
    if wanted == "as_given":
        return url
    path, mark, query = url.partition("?")
    return path.rstrip("/") + ("/" if wanted == "add" else "") + mark + query


def _ref(message: Message) -> Ref:
    """The reference of a message, its id spelled as the pushed object has it: a version may have another form of it."""
    ref, body = message.ref, message.body
    spelled = body.data.get(id_field(body.kind)) if body is not None and has_id(body.kind) else None
    if not isinstance(spelled, str):
        return ref
    if ref.connector_id is not None:
        return evolve(ref, connector_id=spelled)
    return evolve(ref, id=spelled) if ref.evse_uid is None else evolve(ref, evse_uid=spelled)


# Callbacks ------------------------------------------------------------------------------------------------------------


def callback_url(id: str, dialect: Dialect, version: str) -> str:
    """Our URL for a result, as peers of this link call it. They have room for 255 characters, so ids are short."""
    return join(f"{dialect.base_url}/{version}/{_CALLBACK}", id)


def is_callback(segments: Sequence[str]) -> bool:
    """Whether a path below the version leads to a callback of ours."""
    return segments[:1] == (_CALLBACK,)


def open_callback(http: HttpRequest) -> tuple[Ref, Document]:
    """Which callback is called, and the result that it brings.

    The specification has the result alone in the body. Peers wrap it into an envelope as if it were an answer, and
    those on 2.1.1 from before its correction (2.1.1-d2) send the bare word; each of these is understood. Which kind of
    result it is, the body doesn't say: whoever knows what was asked does.

    Raises:
        NotFound, NotAllowed, InvalidObject: no such path, another method than POST, or no result in the body.
    """
    _, _, ref = Paths((CALLBACK,)).open(CALLBACK.module, CALLBACK.side, http.segments[1:], http.method)
    body = http.body
    if isinstance(body, dict) and "result" not in body and "data" in body:
        body = body["data"]
    if body is ABSENT or body is None:
        raise InvalidObject("$", "required")
    if not isinstance(body, dict | str):
        raise InvalidObject("$", "expected an object")
    return ref, Document(Kind.COMMAND_RESULT, body)


# Spelling -------------------------------------------------------------------------------------------------------------


def as_alpha_2(country_code: str) -> str:
    """A party's country code as it is inside: alpha-2."""
    return country_code


def as_alpha_3(country_code: str) -> str:
    """A party's country code in three letters; one that ISO doesn't know stays as it is."""
    return alpha_3(country_code) or country_code


def spelling(dialect: Dialect) -> Callable[[str], str]:
    """How the countries of parties are written on a link whose version leaves it open."""
    return as_alpha_3 if dialect.alpha_3 else as_alpha_2


# Version details ------------------------------------------------------------------------------------------------------


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
