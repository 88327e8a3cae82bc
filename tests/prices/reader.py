"""A feed and whoever reads it, without a gateway around them: a store, and no connectors of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from attrs import define, evolve, field

from gateway.app import ADAPTERS, PRICE_SHAPES
from gateway.demo.feed import Feed
from gateway.directory import Directory
from gateway.lookup import Lookup
from gateway.model.names import Name
from gateway.model.party import Party
from gateway.prices import PriceFeeds, Report
from gateway.prices.pages import Fetch
from gateway.prices.states import FeedState, decode
from gateway.settings.files import Shape
from gateway.settings.prices import FeedSettings
from gateway.store.redis import Store
from gateway.web.client import Egress, Outbound
from gateway.web.json import CODEC

NOBODY: Final = Directory.of(Party("NL", "GWY"), [])
BOTH = ("new", "old")


def settings(feed: Feed, shape: str = "new", **keys: Any) -> FeedSettings:
    """The file that reads a feed, at any time."""
    new = shape == "new"
    given: dict[str, Any] = {
        "id": "eco",
        "name": "Eco-Movement",
        "shape": Shape(shape),
        "version": "2.1.1",
        "locations_url": feed.locations_url(),
        "prices_url": feed.prices_url if new else feed.old_prices_url,
        "connector_prices_url": feed.connector_prices_url if new else None,
        "token": "eco-key",
        "window": None,
        "allow_private": True,
    }
    return FeedSettings(**given | keys)


@define
class Clock:
    """Time as the test has it."""

    now: datetime = datetime(2026, 1, 5, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@define(eq=False)
class Reader:
    """Whoever reads one feed.

    Attributes:
        files: the files of feeds, as of now.
    """

    store: Store
    files: list[FeedSettings]
    clock: Callable[[], datetime] = field(factory=Clock)
    feeds: PriceFeeds = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.feeds = PriceFeeds(
            store=self.store, shapes=PRICE_SHAPES, adapters=ADAPTERS, codec=CODEC, lookup=Lookup(self.store, CODEC),
            ledger=Nobody(), directory=lambda: NOBODY, feeds=lambda: tuple(self.files), fetch=fetching,
            clock=self.clock,
        )  # fmt: skip

    @classmethod
    def of(cls, store: Store, feed: Feed, shape: str = "new", **keys: Any) -> Reader:
        return cls(store, [settings(feed, shape, **keys)])

    async def read(self, **options: Any) -> Report:
        return await self.feeds.read("eco", **options)

    async def good(self) -> Report:
        """Read it; it must count."""
        report = await self.read()
        assert report.refused is None
        return report

    async def state(self) -> FeedState:
        return decode(await self.store.feed_state("eco"))

    async def price_ids(self) -> set[str]:
        """The ids of the prices of the live run."""
        live = (await self.state()).run
        pages = [page async for page in self.store.all_prices("eco", live)]
        return {str(prices[0].price_id) for page in pages for prices in page}

    async def runs(self) -> set[str]:
        """The runs of which something stays in the store: what has no end."""
        kept = [key for key in await staged(self) if await self.store.command("TTL", key) == -1]
        return {part.decode() for key in kept for part in key.split(b":") if part.startswith(b"prices-")}

    def change(self, **keys: Any) -> None:
        """Its file says something else from now on."""
        self.files[:] = [evolve(file, **keys) for file in self.files]


async def staged(reader: Reader) -> list[bytes]:
    """The keys of all that was staged and is still there."""
    found: list[bytes] = await reader.store.command("KEYS", "*:prices-*")
    return found


class Nobody:
    """A ledger that has nobody to bring anything to."""

    async def owed(self, name: Name) -> None:
        raise AssertionError(f"{name} was said, and nothing here is ours")


@asynccontextmanager
async def fetching(feed: FeedSettings) -> AsyncIterator[Fetch]:
    """Requests to a feed's host."""
    async with Outbound(Egress(allow_private=feed.allow_private, in_flight=1)) as outbound:
        yield partial(outbound.send, within=5.0)
