"""Registrations and credentials: nobody is locked out, and no old token stays."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from gateway.model.names import Moved
from gateway.store.redis import Store


async def test_a_registration_brings_its_tokens_and_takes_the_old_ones_away(store: Store) -> None:
    """New tokens open the link, old ones don't, and the version grows."""
    assert await store.registration("acme") is None
    assert await store.register("acme", 0, b"one", {"d1": b"acme"}, []) == 1
    assert await store.credential("d1") == b"acme"
    assert await store.register("acme", 1, b"two", {"d2": b"acme"}, ["d1"]) == 2
    assert [await store.credential("d1"), await store.credential("d2")] == [None, b"acme"]
    known = await store.registration("acme")
    assert known is not None
    assert (known.value, known.version) == (b"two", 2)


async def test_of_two_registrations_at_once_one_has_moved(store: Store) -> None:
    """Two handshakes of one link at the same time end with one of them registered."""
    both = (store.register("acme", 0, b"%d" % i, {f"d{i}": b"acme"}, []) for i in range(2))
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(isinstance(outcome, Moved) for outcome in outcomes) == [False, True]
    with pytest.raises(Moved):
        await store.register("acme", 7, b"", {}, [])


async def test_without_an_expectation_the_last_one_counts(store: Store) -> None:
    """Registrations that expect nothing all succeed, one after the other."""
    outcomes = await asyncio.gather(*(store.register("acme", None, b"%d" % i, {}, []) for i in range(5)))
    assert sorted(outcomes) == [1, 2, 3, 4, 5]


async def test_old_tokens_that_a_crash_left_are_taken_away_by_the_next_reader(store: Store) -> None:
    """A crash between the new registration and the removal of old tokens is finished by whoever reads it next."""
    await store.register("acme", 0, b"one", {"d1": b"acme"}, [])
    drop = msgspec.msgpack.encode(["d1"])
    await store.run("register", [store.keys.registration("acme")], 1, b"mark", b"two", drop)
    assert await store.credential("d1") == b"acme"
    await store.registration("acme")
    assert await store.credential("d1") is None


async def test_a_token_given_out_again_survives_a_late_removal(store: Store) -> None:
    """A removal that was decided by an older version doesn't touch a token that a newer one has given out again."""
    await store.register("acme", 0, b"one", {"static": b"acme"}, [])
    await store.register("acme", 1, b"two", {}, ["static"])
    await store.register("acme", 2, b"three", {"static": b"acme"}, [])
    assert await store.run("drop_credential", [store.keys.credential("static")], 2) == 0
    assert await store.credential("static") == b"acme"


async def test_a_token_that_stays_isnt_taken_away(store: Store) -> None:
    """A token that is both old and new opens the link throughout."""
    await store.register("acme", 0, b"one", {"d": b"acme"}, [])
    await store.register("acme", 1, b"two", {"d": b"acme"}, ["d"])
    assert await store.credential("d") == b"acme"


async def test_the_key_of_the_digests_is_made_once(store: Store) -> None:
    """All who ask, at the same time or later, get the same 32 random bytes."""
    keys = await asyncio.gather(*(store.cred_key() for _ in range(5)))
    assert len(set(keys)) == 1
    assert len(keys[0]) == 32
