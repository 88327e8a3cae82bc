"""What replicas tell each other: announcements, facts about links, the parties behind them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from gateway.store.embedded import Embedded
from gateway.store.redis import Store


async def test_an_announcement_is_heard_by_every_replica(store: Store, redis_server: Embedded) -> None:
    """Topic and text arrive as they were said, and before all else comes the call to look at everything."""
    other = Store.connect(redis_server.url)
    async with aclosing(store.announcements(every=30)) as here, aclosing(other.announcements(every=30)) as there:
        assert [await anext(here), await anext(there)] == [None, None]
        await other.announce("registration", "acme mobility: é")
        for news in (here, there):
            heard = await anext(news)
            while heard is None:  # the confirmation of the subscription
                heard = await anext(news)
            assert heard == ("registration", "acme mobility: é")
    await other.aclose()


async def test_who_hears_nothing_looks_by_itself(store: Store) -> None:
    """Without any announcement, None comes again and again; an empty text is no None."""
    async with aclosing(store.announcements(every=0.01)) as news:
        assert [await anext(news) for _ in range(3)] == [None] * 3
        await store.announce("", "")
        async with asyncio.timeout(5):
            while (heard := await anext(news)) is None:
                pass
        assert heard == ("", "")


async def test_facts_about_a_link_stay_until_they_are_taken_away(store: Store) -> None:
    """Each field has its last value, on its own link; None takes it away, also where there is none."""
    await store.set_fact("acme", "paused_out", b"first")
    await store.set_fact("acme", "paused_out", b"until noon")
    await store.set_fact("acme", "since", b"")
    await store.set_fact("volt", "paused_in", b"1")
    assert await store.facts("acme") == {"paused_out": b"until noon", "since": b""}
    await store.set_fact("acme", "paused_out", None)
    await store.set_fact("acme", "never set", None)
    assert await store.facts("acme") == {"since": b""}
    assert await store.facts("nobody") == {}


async def test_the_parties_behind_a_link_are_known_one_by_one(store: Store) -> None:
    """Each is put, replaced and dropped alone."""
    await store.client_put("hub", "NL-EXA:CPO", b"CONNECTED")
    await store.client_put("hub", "DE-ACM:EMSP", b"CONNECTED")
    await store.client_put("hub", "DE-ACM:EMSP", b"OFFLINE")
    assert await store.clients("hub") == {"NL-EXA:CPO": b"CONNECTED", "DE-ACM:EMSP": b"OFFLINE"}
    await store.client_drop("hub", "NL-EXA:CPO")
    await store.client_drop("hub", "NL-EXA:CPO")
    assert await store.clients("hub") == {"DE-ACM:EMSP": b"OFFLINE"}
    assert await store.clients("grid") == {}
