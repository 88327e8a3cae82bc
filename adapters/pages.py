"""One page of a list: what its headers say, and where the next one is.

A list ends with the page that has no ``Link`` to a next one; a short page, or a total that was reached, ends nothing.
So the header is read as generously as it can be: peers differ in spacing, quotes and the order of parameters, put
several links into one header, and leave out the part of the URL that they share with the request.

Spec: 2.2.1 and 2.1.1 ``transport_and_format``, Paginated Response; RFC 8288 section 3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urljoin

from gateway.model.errors import ReceiverError
from gateway.model.facts import ABSENT
from gateway.model.message import Headers, Paged

_LINK: Final = re.compile(r"<(?P<url>[^>]*)>(?P<parameters>(?:[^<\"]|\"(?:[^\"\\]|\\.)*\"|\")*)")
_BARE_LINK: Final = re.compile(r"\s*(?P<url>[^\s;,<>]+)\s*(?P<parameters>;.*)")  # the brackets were left out
_PARAMETER: Final = re.compile(r";\s*(?P<name>[^\s;,=]+)\s*(?:=\s*(?P<value>\"(?:[^\"\\]|\\.)*\"|[^;,]*))?")
# Straight, curly, low and angular ones; the last four as cp1252 has them, in a header that isn't UTF-8.
_QUOTES: Final = "\"'\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb\udc91\udc92\udc93\udc94"
_MOST_DIGITS: Final = 18


def read_page(headers: Headers, called: str) -> Paged:
    """What the headers of a page say. A count that is none counts as absent.

    Args:
        called: the URL that was called; a relative link starts from there.

    Raises:
        ReceiverError: there is a next page, at what is no URL.
    """
    return Paged(
        total=_count(headers, "X-Total-Count"),
        limit=_count(headers, "X-Limit"),
        next=_next(headers.get("Link", ""), called),
    )


def write_page(page: Paged) -> dict[str, str]:
    """The headers that say it."""
    counts = {"X-Total-Count": page.total, "X-Limit": page.limit}
    headers = {name: str(count) for name, count in counts.items() if count is not None}
    return headers if page.next is None else headers | {"Link": f'<{page.next}>; rel="next"'}


def items_of(data: Any) -> list[Any]:
    """The items of a list that isn't streamed, in wire form; null and nothing are an empty one.

    Raises:
        ReceiverError: it isn't a list.
    """
    if data is ABSENT or data is None:
        return []
    if not isinstance(data, list):
        raise ReceiverError("a list was asked for, and the answer isn't one")
    return data


def _next(header: str, called: str) -> str | None:
    for url, parameters in _links(header):
        if "next" in _relations(parameters):
            try:
                return urljoin(called, url.strip())
            except ValueError:
                # Passed over, it would make this page the last one, and whatever comes after it look deleted.
                raise ReceiverError("the link to the next page is no URL") from None
    return None


def _links(header: str) -> Iterator[tuple[str, str]]:
    found = list(_LINK.finditer(header)) or list(filter(None, [_BARE_LINK.fullmatch(header)]))
    return ((link["url"], link["parameters"]) for link in found)


def _relations(parameters: str) -> list[str]:
    """The words of the first ``rel``, in lower case. RFC 8288 3.3: those that come after it don't count."""
    for found in _PARAMETER.finditer(parameters):
        if found["name"].lower() == "rel":
            return [word.strip(_QUOTES) for word in (found["value"] or "").strip().strip(_QUOTES).lower().split()]
    return []


def _count(headers: Headers, name: str) -> int | None:
    text = headers.get(name, "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None
