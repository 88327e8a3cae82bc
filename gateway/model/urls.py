"""URLs: taken apart without guessing, put together so that an id can't climb out of its place.

Ids come from strangers. Joined carelessly, a location called ``../../credentials`` turns a PUT of a location into a
request to another resource with our token on it. So each id is one segment, percent-encoded as a whole, and what no
encoding makes safe (``.``, ``..``, nothing, control characters, backslashes) is refused.

URLs come from strangers too: versions and endpoint URLs, ``response_url``, page links. Programs differ in how they read
an odd one, and whoever checks one reading and connects by another has checked nothing. So odd ones are refused:
``split`` knows plain absolute http and https URLs in ASCII and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from attrs import frozen

_URL: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[a-z0-9](?:[a-z0-9._-]*)|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[!-~]*?)?"
    r"(?P<query>\?[!-~]*)?",
    re.IGNORECASE | re.ASCII,  # without ASCII, the Kelvin sign would be a k
)
_UNWELCOME: Final = re.compile(r"[\\#]")
_CLIMBS: Final = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_UNSAFE: Final = re.compile("[\\\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_DEFAULT_PORT: Final = {"http": 80, "https": 443}


@frozen(kw_only=True)
class Place:
    """Where a URL leads.

    Attributes:
        scheme: ``http`` or ``https``.
        host: name or address in lower case; an IPv6 address without its brackets.
        port: 1 to 65535; the scheme's default where the URL names none.
    """

    scheme: str
    host: str
    port: int

    def among(self, hosts: frozenset[str]) -> bool:
        """Whether a set of ``host`` (any port) and ``host:port`` entries, in lower case, names this place."""
        return self.host in hosts or f"{self.host}:{self.port}" in hosts


def split(url: str) -> Place:
    """Where an absolute URL leads.

    Raises:
        ValueError: it isn't a plain http or https URL: another scheme, a user name, a fragment, a backslash, white
            space, characters beyond ASCII, a port out of range, or a path with ``.`` or ``..`` in it.
    """
    found = _URL.fullmatch(url)
    if found is None or _UNWELCOME.search(url):
        raise ValueError("not a plain http or https URL")
    if _CLIMBS.search(found["path"] or ""):
        raise ValueError("a URL with . or .. in its path")
    scheme = found["scheme"].lower()
    port = int(found["port"]) if found["port"] else _DEFAULT_PORT[scheme]
    if not 0 < port < 65536:
        raise ValueError("a URL with a port that doesn't exist")
    return Place(scheme=scheme, host=found["host"].lower().strip("[]"), port=port)


def join(endpoint: str, *segments: str) -> str:
    """An endpoint followed by path segments, each of them percent-encoded; the endpoint's own query stays at the end.

    ``join("https://a.example/locations/?v=1", "NL", "BE*7/2")`` is ``https://a.example/locations/NL/BE%2A7%2F2?v=1``.
    One slash at the end of the endpoint is dropped, so peers that publish theirs with it and without are called alike.

    Raises:
        ValueError: ``segment`` refuses one of them, or the endpoint has a fragment.
    """
    base, mark, query = _parts(endpoint)
    return "/".join((base.removesuffix("/"), *map(segment, segments))) + mark + query


def segment(text: str) -> str:
    """One path segment, percent-encoded: nothing but unreserved characters (RFC 3986 section 2.3) is left as it is.

    Raises:
        ValueError: it is empty, ``.``, ``..``, or holds a control character, half a surrogate pair or a backslash.
    """
    if text in ("", ".", ".."):
        raise ValueError("a path segment can't be empty or made of dots")
    if _UNSAFE.search(text):
        raise ValueError("a path segment can't hold control characters, half characters or backslashes")
    return quote(text, safe="")


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """A URL with parameters added behind those it has, names and values percent-encoded.

    Raises:
        ValueError: the URL has a fragment.
    """
    base, _, query = _parts(url)
    added = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parameters.items()]
    all_of_it = "&".join([query, *added] if query else added)
    return f"{base}?{all_of_it}" if all_of_it else base


def _parts(url: str) -> tuple[str, str, str]:
    if "#" in url:
        raise ValueError("a URL with a fragment")
    return url.partition("?")
