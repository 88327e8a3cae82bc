"""Somebody who compares prices: it reads what the gateway serves of them, with its own token, page by page.

As all strangers here it imports nothing of the gateway.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final, Literal

import aiohttp
from attrs import define
from yarl import URL

from gateway.demo.journal import Exchange
from gateway.demo.line import exchange_of

_TIMEOUT: Final = aiohttp.ClientTimeout(total=120)


@define(eq=False)
class Consumer:
    """One consumer.

    Attributes:
        token: what opens the door, sent as it is.
        audience: whose prices its file lets it see.
        redistribute: whether its file lets it see what came from a feed.
        scheme: how it presents its token.
        base_url: of the gateway, without a slash at the end.
    """

    token: str
    audience: tuple[str, ...] = ("adhoc",)
    redistribute: bool = False
    scheme: Literal["Token", "Bearer"] = "Token"
    base_url: str = ""

    @property
    def partner_file(self) -> str:
        """The text of the file that lets it in."""
        shown = f"audience: [{', '.join(self.audience)}], redistribute: {str(self.redistribute).lower()}"
        return f'name: Map App\nkind: prices\nconsumer: {{token_in: {{value: "{self.token}"}}, {shown}}}\n'

    async def read(self, path: str, **query: object) -> Exchange:
        """One page or one object: ``/eco-movement/prices``, or the URL of a Link.

        Raises:
            aiohttp.ClientError, TimeoutError: no answer.
        """
        url = URL(path if "://" in path else f"{self.base_url}{path}", encoded=True)
        asked = url.update_query({name: str(value) for name, value in query.items()}) if query else url
        headers = {"Authorization": f"{self.scheme} {self.token}"}
        async with aiohttp.ClientSession(headers=headers, timeout=_TIMEOUT) as session, session.get(asked) as answer:
            received = {name.lower(): value for name, value in answer.headers.items()}
            return exchange_of("GET", str(asked), answer.status, received, await answer.read())

    async def pages(self, path: str, **query: object) -> AsyncIterator[Exchange]:
        """All pages of a list, by their Links."""
        page = await self.read(path, **query)
        yield page
        while link := page.headers.get("link"):
            page = await self.read(link[link.index("<") + 1 : link.index(">")])
            yield page

    async def rows(self, path: str, **query: object) -> list[Any]:
        """All rows of a list.

        Raises:
            AssertionError: a page is refused; the text says how.
        """
        rows: list[Any] = []
        async for page in self.pages(path, **query):
            if not page.ok:
                raise AssertionError(str(page))
            rows += page.data
        return rows
