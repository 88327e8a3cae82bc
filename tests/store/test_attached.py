"""What feeds say of our own connectors: each feed its own part, all of them together for whoever reads it."""

from __future__ import annotations

import asyncio

from gateway import ports
from gateway.model.attached import Attached
from gateway.model.modules import Module
from gateway.model.names import Name
from gateway.model.party import Party
from gateway.model.prices import Audience
from gateway.store.redis import Store

EXA, OTHER = Party("NL", "EXA"), Party("DE", "OTH")
ADHOC, RETAIL = Audience.ADHOC, Audience.MSP_RETAIL


def tariff(id: str) -> Name:
    return Name(Module.TARIFFS, EXA, id)


async def all_of(store: Store, feed: str, owner: Party = EXA) -> dict[str, Attached]:
    """All that a feed says of an owner's connectors."""
    return {spot: attached async for page in store.attached_by(feed, owner) for spot, attached in page.items()}


async def test_the_store_is_what_attachments_need(store: Store) -> None:
    """Methods and signatures are those that others rely on (checked where types are)."""
    attachments: ports.Attachments = store
    assert await attachments.attached(EXA, ["A:1"]) == {}


async def test_feeds_add_up_at_a_connector(store: Store) -> None:
    """In the order of their ids, each tariff once; what one says doesn't touch the others."""
    await store.attach("b", EXA, {"A:1": {ADHOC: ["b1", "both"], RETAIL: ["b2"]}, "B:1": {ADHOC: ["b1"]}})
    await store.attach("a", EXA, {"A:1": {ADHOC: ["both", "a1"]}})
    assert await store.attached(EXA, ["A:1", "none", "B:1"]) == {
        "A:1": {ADHOC: ["both", "a1", "b1"], RETAIL: ["b2"]},
        "B:1": {ADHOC: ["b1"]},
    }
    await store.attach("b", EXA, {"A:1": None, "none": None})
    assert await store.attached(EXA, ["A:1"]) == {"A:1": {ADHOC: ["both", "a1"]}}
    assert await all_of(store, "b") == {"B:1": {ADHOC: ["b1"]}}


async def test_owners_and_spellings_are_kept_apart(store: Store) -> None:
    """Ids of strangers may be anything."""
    odd = 'é"/\\:{}[]'
    await store.attach('a"', EXA, {odd: {ADHOC: [odd, "1"]}})
    await store.attach('a"', OTHER, {odd: {ADHOC: ["2"]}})
    assert await store.attached(EXA, [odd]) == {odd: {ADHOC: [odd, "1"]}}
    assert await all_of(store, 'a"', OTHER) == {odd: {ADHOC: ["2"]}}
    assert await all_of(store, "a") == {}


async def test_what_says_nothing_leaves_nothing(store: Store) -> None:
    """None, no audience, and audiences without tariffs are the same; so is asking for no connector."""
    await store.attach("a", EXA, {"A:1": {ADHOC: ["1"]}, "B:1": {ADHOC: ["1"]}, "C:1": {ADHOC: ["1"], RETAIL: []}})
    await store.attach("a", EXA, {"A:1": {}, "B:1": {ADHOC: []}, "C:1": None})
    await store.attach("a", EXA, {})
    assert await store.attached(EXA, []) == {}
    assert await store.command("EXISTS", store.keys.attached(EXA)) == 0


async def test_two_feeds_at_a_time_lose_nothing(store: Store) -> None:
    """Each changes its own part in one step, though both parts lie in one field."""
    spots = [f"E{number}:1" for number in range(1200)]
    feeds = ("a", "b", "c")
    await asyncio.gather(*(store.attach(feed, EXA, {spot: {ADHOC: [feed]} for spot in spots}) for feed in feeds))
    assert await store.attached(EXA, spots) == {spot: {ADHOC: ["a", "b", "c"]} for spot in spots}


async def test_all_that_a_feed_says_is_read_some_at_a_time_each_once(store: Store) -> None:
    """Connectors of which only another feed says something aren't among them."""
    said: dict[str, Attached] = {f"E{number}:1": {ADHOC: [f"{number}"]} for number in range(1200)}
    await store.attach("a", EXA, said)
    await store.attach("b", EXA, {"F:1": {ADHOC: ["1"]}})
    pages = [page async for page in store.attached_by("a", EXA)]
    assert max(map(len, pages)) <= 500
    assert sum(map(len, pages)) == 1200
    assert await all_of(store, "a") == said


async def test_the_tariffs_of_a_feed_are_known_with_the_time_of_their_end(store: Store) -> None:
    """A time can be given, moved and taken back; names are compared without case and come as they were spelled."""
    await store.imported_keep("a", {tariff("P1"): None, tariff("p2"): 5, tariff("P3"): None})
    await store.imported_keep("a", {tariff("P1"): 7, tariff("P2"): None}, [tariff("p3"), tariff("P4")])
    await store.imported_keep("a", {})
    assert await store.imported("a") == {tariff("P1"): 7, tariff("P2"): None}
    assert sorted(name.id for name in await store.imported("a")) == ["P1", "P2"]
    assert await store.imported("b") == {}
    await store.imported_keep("a", {}, [tariff("P1"), tariff("P2")])
    assert await store.imported("a") == {}
    assert await store.command("EXISTS", store.keys.imported("a")) == 0
