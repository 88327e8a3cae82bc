"""What one replica finds out and all should know: facts about links, the parties behind them, and that they changed.

The facts are in Redis; an announcement only says that it is time to look. So one that gets lost costs a delay and
nothing else, and whoever hears None looks at everything.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from attrs import define

from gateway.store.connection import Connection


@define(eq=False)
class News(Connection):
    """Facts that change while the gateway runs. Every method raises ``NotDurable`` when Redis is away."""

    async def announce(self, topic: str, text: str) -> None:
        """Everyone who listens, this replica included, hears the topic and the text."""
        await self.command("PUBLISH", self.keys.news(), msgspec.msgpack.encode((topic, text)))

    async def announcements(self, every: float = 1.0) -> AsyncGenerator[tuple[str, str] | None, None]:
        """Topic and text of what is announced, without end.

        None means: something may have been missed, look at everything. It comes first, and every ``every`` seconds
        without an announcement. While Redis is away, nothing comes.
        """
        async with aclosing(self.heard(self.keys.news(), every)) as calls:
            async for call in calls:
                yield None if call is None else msgspec.msgpack.decode(call, type=tuple[str, str])

    async def set_fact(self, link: str, field: str, value: bytes | None) -> None:
        """A fact about a link, until it is replaced; None takes it away. One that ends carries its end in its value."""
        await self._put(self.keys.facts(link), field, value)

    async def facts(self, link: str) -> dict[str, bytes]:
        """All facts about a link."""
        return await self.fields(self.keys.facts(link))

    async def client_put(self, link: str, field: str, value: bytes) -> None:
        """What is known of a party behind this link, under a field that names the party and its role."""
        await self._put(self.keys.clients(link), field, value)

    async def client_drop(self, link: str, field: str) -> None:
        """Nothing is known of this party any more."""
        await self._put(self.keys.clients(link), field, None)

    async def clients(self, link: str) -> dict[str, bytes]:
        """All that is known of the parties behind this link."""
        return await self.fields(self.keys.clients(link))

    async def _put(self, key: str, field: str, value: bytes | None) -> None:
        if value is None:
            await self.command("HDEL", key, field)
        else:
            await self.command("HSET", key, field, value)
