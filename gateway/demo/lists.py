"""Lists in pages, and the odd things that servers of lists do.

A decent peer counts by ``offset`` and ``limit``, tells ``X-Total-Count`` and ``X-Limit``, and gives the next page in a
``Link`` that keeps the filters. Everything else here is there to be switched on.

Spec: 2.1.1 and 2.2.1 ``transport_and_format``, Pagination; ``Link`` is RFC 8288's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

from attrs import define, field, frozen

from gateway.demo.answers import Answer
from gateway.demo.shelf import Object

LinkStyle = Literal["rfc", "odd", "relative", "loop", "opaque"]


@frozen
class Generated:
    """Objects that are made when they are asked for, and not kept.

    Attributes:
        count: how many there are.
        make: the object at an index.
        at_once: all of them are one page, whatever limit was asked for.
    """

    count: int
    make: Callable[[int], Object]
    at_once: bool


@define(eq=False)
class Lists:
    """How a peer serves its lists. Anything may be changed while it runs.

    Attributes:
        page_limit: the most objects on one page.
        link_style: ``rfc``, as everybody writes it; ``odd``, another parameter with a comma and a semicolon before a
            ``rel`` without quotes; ``relative``, without scheme and host; ``loop``, always the page that was asked for;
            ``opaque``, a cursor that means nothing to anybody else instead of offset and filters.
        total: told as ``X-Total-Count`` instead of the truth.
        intruder: stands in the middle of each first page, and isn't counted: an object that can't be one.
    """

    page_limit: int = 50
    link_style: LinkStyle = "rfc"
    total: int | None = None
    intruder: Any = None
    generated: dict[str, Generated] = field(factory=dict)
    _cursors: dict[str, dict[str, str]] = field(factory=dict)

    def asked(self, query: Mapping[str, str]) -> dict[str, str] | None:
        """What a request means: its own parameters, or those that its cursor stands for; None for no cursor of ours."""
        return self._cursors.get(query["cursor"]) if "cursor" in query else dict(query)

    def page(self, found: Sequence[Object] | Generated, query: Mapping[str, str], offset: int, url: str) -> Answer:
        """One page of ``found``, all that fits the ``query``, from ``offset`` on. ``url`` is that of the endpoint."""
        limit = min(int(query.get("limit", self.page_limit)), self.page_limit)
        count = found.count if isinstance(found, Generated) else len(found)
        if isinstance(found, Generated) and found.at_once:
            limit = count
        headers = {"X-Total-Count": str(count if self.total is None else self.total), "X-Limit": str(limit)}
        if offset + limit < count:
            headers["Link"] = self._link(url, {**query, "limit": str(limit)}, offset, offset + limit)
        if isinstance(found, Generated):
            indexes = range(offset, min(offset + limit, count))
            return Answer(items=(found.make(index) for index in indexes), headers=headers)
        items = list(found[offset : offset + limit])
        if self.intruder is not None and not offset:
            items.insert(len(items) // 2, self.intruder)
        return Answer(data=items, headers=headers)

    def _link(self, url: str, query: Mapping[str, str], offset: int, following: int) -> str:
        if self.link_style == "opaque":
            cursor = f"c{len(self._cursors) + 1}"
            self._cursors[cursor] = {**query, "offset": str(following)}
            return f'<{url}?cursor={cursor}>; rel="next"'
        page = offset if self.link_style == "loop" else following
        target = f"{url}?{urlencode({**query, 'offset': page})}"
        if self.link_style == "odd":
            return f'<{target}>;title="more, and then more; of it" ; rel=next'
        if self.link_style == "relative":
            target = urlsplit(target)._replace(scheme="", netloc="").geturl()
        return f'<{target}>; rel="next"'
