"""How far lists were read: states under a fence, and what a crawl has seen."""

from __future__ import annotations

import pytest

from gateway.model.modules import Module
from gateway.model.names import Name, Ousted
from gateway.model.party import Party
from gateway.store.redis import Store

LIST, OTHER = "acme:tokens:DE-ACM", "acme:locations:DE-ACM"


def token(uid: str) -> Name:
    return Name(Module.TOKENS, Party("DE", "ACM"), uid, "RFID")


async def test_states_come_in_the_order_of_their_lists(store: Store) -> None:
    """None for a list that was never read; no list at all is fine."""
    assert await store.pulls([]) == []
    await store.pull_keep(LIST, b"far")
    assert await store.pulls([OTHER, LIST]) == [None, b"far"]


async def test_a_former_reader_writes_nothing(store: Store) -> None:
    """A replica that stood still for longer than its lease can't move a list back."""
    first = await store.lease(LIST, "one", 60_000)
    await store.pull_keep(LIST, b"page 1", fence=first)
    await store.release(LIST, "one")
    second = await store.lease(LIST, "two", 60_000)
    await store.pull_keep(LIST, b"page 2", fence=second)
    with pytest.raises(Ousted):
        await store.pull_keep(LIST, b"page 1 again", fence=first)
    assert await store.pulls([LIST]) == [b"page 2"]


async def test_what_a_crawl_has_seen(store: Store) -> None:
    """Each crawl of each list has its own; ids compare without case; it can be forgotten."""
    await store.pull_listed(LIST, "pull-1", [token("04a"), token("04B")])
    await store.pull_listed(LIST, "pull-1", [])
    names = [token("04A"), token("04b"), token("04C")]
    assert await store.pull_lists(LIST, "pull-1", names) == [True, True, False]
    assert await store.pull_lists(LIST, "pull-2", names) == [False, False, False]
    assert await store.pull_lists(OTHER, "pull-1", names) == [False, False, False]
    assert await store.pull_lists(LIST, "pull-1", []) == []
    await store.pull_forget(LIST, "pull-1")
    assert await store.pull_lists(LIST, "pull-1", names) == [False, False, False]


async def test_what_a_crawl_has_seen_isnt_kept_for_ever(store: Store) -> None:
    """A crawl that never ends leaves nothing behind for good."""
    await store.pull_listed(LIST, "pull-1", [token("04A")])
    assert 0 < await store.client.ttl(store.keys.pulled(LIST, "pull-1")) <= 3 * 24 * 3600
