"""What counts as read by the link itself, and what has to be brought to it all the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.ledger.crawls import Crawls
from gateway.model.modules import Module
from gateway.model.names import Due, Name
from gateway.model.party import Party
from gateway.store.redis import Store

EXA, SUN = Party("NL", "EXA"), Party("NL", "SUN")
ONE, TWO = Name(Module.LOCATIONS, EXA, "one"), Name(Module.LOCATIONS, SUN, "two")


async def owe(store: Store, name: Name, *, listed: bool = True) -> Due:
    """The link is owed an object, which it may list."""
    if listed:
        await store.see("acme", name, 1, among=name.owner)
    now = store.now()
    return Due(name, await store.owe("acme", name, now), now)


async def test_what_was_owed_and_listed_before_a_crawl_is_covered_by_it(store: Store) -> None:
    """Not before its end; nothing of other modules and links, nothing that has a newer reason."""
    crawls = Crawls(store)
    due, tariff = await owe(store, ONE), await owe(store, Name(Module.TARIFFS, EXA, "one"))
    began = await crawls.began("acme")
    assert not await crawls.cover("acme", due, known=False)
    await crawls.ended("acme", Module.LOCATIONS, None, began)
    assert await crawls.cover("acme", due, known=False)
    assert await crawls.cover("acme", due, known=True)
    assert not await crawls.cover("acme", tariff, known=False)
    assert not await crawls.cover("volt", due, known=False)
    assert not await crawls.cover("acme", await owe(store, ONE), known=False)
    assert not await crawls.cover("acme", await owe(store, TWO), known=False)


async def test_a_crawl_of_one_owners_list_covers_that_owners(store: Store) -> None:
    """The other's objects are brought."""
    crawls = Crawls(store)
    one, two = await owe(store, ONE), await owe(store, TWO)
    await crawls.ended("acme", Module.LOCATIONS, EXA, await crawls.began("acme"))
    assert await crawls.cover("acme", one, known=False)
    assert not await crawls.cover("acme", two, known=False)


async def test_what_could_not_be_listed_when_it_began_is_brought(store: Store) -> None:
    """Owed before, but shown only during the crawl, or not at all: the reader may have missed it."""
    crawls = Crawls(store)
    late, never = await owe(store, ONE, listed=False), await owe(store, TWO, listed=False)
    began = await crawls.began("acme")
    await store.see("acme", ONE, 1)
    await crawls.ended("acme", Module.LOCATIONS, None, began)
    assert not await crawls.cover("acme", late, known=False)
    assert not await crawls.cover("acme", never, known=False)


async def test_what_waits_for_its_time_is_brought_at_that_time(store: Store) -> None:
    """A tariff that comes into force after the crawl; an attempt that waits to be repeated is covered."""
    crawls = Crawls(store)
    due = await owe(store, ONE)
    later = Due(due.name, due.ticket, due.at + 60_000)
    await crawls.ended("acme", Module.LOCATIONS, None, await crawls.began("acme"))
    assert not await crawls.cover("acme", later, known=True)
    assert await crawls.cover("acme", later, known=False)


async def test_a_crawl_does_not_count_for_ever(store: Store) -> None:
    """What an object looks like may hang on the time: a quarter of an hour later everything is brought."""
    now = datetime.now(UTC)
    due = await owe(store, ONE)
    crawls = Crawls(store, lambda: now - timedelta(minutes=16))
    await crawls.ended("acme", Module.LOCATIONS, None, await crawls.began("acme"))
    assert not await Crawls(store, lambda: now).cover("acme", due, known=False)
