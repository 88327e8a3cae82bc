"""What later messages need: callbacks, claims, deadlines, reservations, charging profiles."""

from __future__ import annotations

import asyncio
from itertools import count, islice

from redis.asyncio import Redis

from gateway.model.modules import Module
from gateway.model.names import Name
from gateway.model.party import Party
from gateway.store.awaited import LEASE_MS
from gateway.store.connection import mark
from gateway.store.redis import Store

ACM, VLT = Party("DE", "ACM"), Party("NL", "VLT")
SESSION = Name(Module.SESSIONS, Party("NL", "EXA"), "S1")


async def lifetime_ms(store: Store, key: str) -> int:
    async with Redis.from_url(store.where) as client:
        return int(await client.pttl(key))


# Callbacks ------------------------------------------------------------------------------------------------------------


async def test_what_is_remembered_is_recalled_for_its_time(store: Store) -> None:
    """A callback is known for its time, a CDR's URL for good, anything else not at all."""
    await store.remember("cb1", b"acme", 60)
    await store.remember("cdr", b"kept", None)
    assert 59_000 < await lifetime_ms(store, store.keys.callback("cb1").own) <= 60_000
    assert await lifetime_ms(store, store.keys.callback("cdr").shared) == -1
    assert await store.recall("cb1") == b"acme"
    assert await store.recall("other") is None


async def test_what_is_forgotten_isnt_recalled(store: Store) -> None:
    """A callback that is over is known no longer, and may be forgotten twice."""
    await store.remember("cb1", b"acme", 60)
    await store.forget("cb1")
    await store.forget("cb1")
    assert await store.recall("cb1") is None


async def test_what_is_remembered_last_counts(store: Store) -> None:
    """Whether it is kept for a time or for good, short or long: only the last value is there."""
    values = [(b"short", None), (b"for a time", 60), (b"short again", None), (b"long" * 100, None), (b"", None)]
    for value, ttl in values:
        await store.remember("id", value, ttl)
        assert await store.recall("id") == value
    await store.remember("id", b"for a time", 60)
    await store.command("DEL", store.keys.callback("id").own)  # its time is over
    assert await store.recall("id") is None


async def test_what_is_kept_for_good_lies_together(store: Store) -> None:
    """Ids of one drawer take one key, as long as Redis keeps it packed; what is long doesn't swell it."""
    drawer = store.keys.callback("long")
    ids = (f"{number}" for number in count())
    neighbours = list(islice((id for id in ids if store.keys.callback(id).shared == drawer.shared), 3))
    for id in neighbours:
        await store.remember(id, b"cdrs:NL-EXA:1", None)
    await store.remember("long", b"x" * 65, None)
    assert await store.command("HLEN", drawer.shared) == len(neighbours)
    assert await store.command("OBJECT", "ENCODING", drawer.shared) in (b"ziplist", b"listpack")
    assert await store.recall("long") == b"x" * 65
    assert await store.recall(neighbours[0]) == b"cdrs:NL-EXA:1"


# Claims ---------------------------------------------------------------------------------------------------------------


async def test_of_many_claims_one_is_first(store: Store) -> None:
    """Exactly one of those who claim at the same time has it, and all others read what that one said."""
    said = await asyncio.gather(*(store.claim("command-1", b"result %d" % i, 60) for i in range(10)))
    (first,) = [i for i, found in enumerate(said) if found is None]
    assert {found for found in said if found is not None} == {b"result %d" % first}
    assert await store.claim("command-2", b"", 60) is None
    assert await store.claim("command-2", b"x", 60) == b""


async def test_two_that_say_the_same_are_still_two(store: Store) -> None:
    """Who comes second with equal words isn't taken for the first one repeating himself."""
    assert await store.claim("command-1", b"ACCEPTED", 60) is None
    assert await store.claim("command-1", b"ACCEPTED", 60) == b"ACCEPTED"


async def test_a_claim_whose_answer_was_lost_is_repeated_and_still_the_first(store: Store) -> None:
    """The client sends the same words again, mark included, and finds itself."""
    key, own = store.keys.once("command-1"), mark()
    await store.command("SET", key, own + b"value", "NX", "PX", 60_000)
    await store.command("SET", key, own + b"value", "NX", "PX", 60_000)
    assert (await store.command("GET", key)).startswith(own)
    assert await store.claim("command-1", b"other", 60) == b"value"


async def test_a_claim_ends_with_its_time(store: Store) -> None:
    """It is kept for as long as somebody might still come, and not for good."""
    await store.claim("command-1", b"", 60)
    assert 59_000 < await lifetime_ms(store, store.keys.once("command-1")) <= 60_000


# Deadlines ------------------------------------------------------------------------------------------------------------


async def test_what_is_overdue_comes_oldest_first_and_not_before_its_time(store: Store) -> None:
    """As many as asked for; a deadline that was moved counts as it stands now."""
    for id, at in (("c", 300), ("a", 100), ("b", 900), ("b", 200), ("later", 5000)):
        await store.set_deadline(id, at)
    assert await store.overdue(99, 10) == []
    assert await store.overdue(1000, 2) == ["a", "b"]
    assert await store.overdue(1000, 10) == ["c"]


async def test_each_deadline_is_given_to_one_replica(store: Store) -> None:
    """Ten that ask at once share what is overdue, nothing twice and nothing left out."""
    for i in range(50):
        await store.set_deadline(f"{i}", i)
    shares = await asyncio.gather(*(store.overdue(1000, 7) for _ in range(10)))
    assert sorted(id for share in shares for id in share) == sorted(f"{i}" for i in range(50))


async def test_a_deadline_whose_replica_died_comes_again(store: Store) -> None:
    """Who got it has it on lease: after that another one gets it, until one clears it."""
    await store.set_deadline("command-1", 100)
    assert await store.overdue(200, 1) == ["command-1"]
    assert await store.overdue(200 + LEASE_MS - 1, 1) == []
    assert await store.overdue(200 + LEASE_MS, 1) == ["command-1"]
    assert await store.clear_deadline("command-1")
    assert await store.overdue(10**12, 1) == []


async def test_a_deadline_that_was_met_is_cleared_once(store: Store) -> None:
    """Who clears it learns whether there was one."""
    await store.set_deadline("command-1", 100)
    assert [await store.clear_deadline("command-1") for _ in range(2)] == [True, False]
    assert await store.overdue(10**12, 1) == []


# Reservations ---------------------------------------------------------------------------------------------------------


async def test_a_reservation_has_one_number_whatever_it_is_called_trap_51(store: Store) -> None:
    """The same eMSP's id, in any case, has the same number; another eMSP's equal id, or another id, another one."""
    ids = [(ACM, "8f-uuid"), (VLT, "8f-uuid"), (ACM, "41"), (ACM, "8F-UUID"), (VLT, "8f-uuid")]
    numbers = [await store.reservation_number("grid", owner, id) for owner, id in ids]
    assert numbers[3:] == [numbers[0], numbers[1]]
    assert len(set(numbers)) == 3
    assert all(0 < number < 2**31 for number in numbers)
    assert await store.reservation_of("grid", numbers[0]) == (ACM, "8f-uuid")
    assert await store.reservation_of("grid", numbers[1]) == (VLT, "8f-uuid")


async def test_numbers_are_each_links_own(store: Store) -> None:
    """A number means something on the link that it was made for; one that was never given means nothing."""
    number = await store.reservation_number("grid", ACM, "R:1/{é}")
    assert await store.reservation_of("grid", number) == (ACM, "R:1/{é}")
    assert await store.reservation_of("other", number) is None
    assert await store.reservation_of("grid", number + 1) is None


async def test_many_who_ask_for_one_reservation_get_one_number(store: Store) -> None:
    """Replicas that ask at the same time, and a call that is repeated, agree."""
    asked = await asyncio.gather(*(store.reservation_number("grid", ACM, "R1") for _ in range(10)))
    assert len(set(asked)) == 1
    assert await store.reservation_number("grid", ACM, "R2") not in asked


# Charging profiles ----------------------------------------------------------------------------------------------------


async def test_who_set_a_profile_is_known_while_the_session_lasts(store: Store) -> None:
    """Each link once with what it gave last, for the time of the last of them; who took it away no longer."""
    assert await store.subscribers(SESSION) == {}
    await store.subscribe(SESSION, "smart", b"https://smart.example/result/1", ttl=60)
    await store.subscribe(SESSION, "smart", b"https://smart.example/result/2", ttl=60)
    await store.subscribe(Name(Module.SESSIONS, SESSION.owner, "s1"), "hub", ttl=90)
    assert await store.subscribers(SESSION) == {"smart": b"https://smart.example/result/2", "hub": b""}
    assert 60_000 < await lifetime_ms(store, store.keys.profiled(SESSION)) <= 90_000
    await store.unsubscribe(SESSION, "smart")
    await store.unsubscribe(SESSION, "nobody")
    assert await store.subscribers(SESSION) == {"hub": b""}
