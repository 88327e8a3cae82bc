"""Leases: one replica at a time brings a link what it is owed, and a former one's late writes do nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from gateway.model.modules import Module
from gateway.model.names import CdrState, Due, Name, Ousted, Sent
from gateway.model.party import Party
from gateway.store.redis import Store

EXA = Party("NL", "EXA")
LOCATION = Name(Module.LOCATIONS, EXA, "LOC1")
CDR = Name(Module.CDRS, EXA, "CDR1")
SENT = Sent(wire=b"{}", version="2.1.1", sequence=1)
LONG = 60_000


async def test_one_at_a_time_has_a_lease(store: Store) -> None:
    """Whoever comes second has to wait; other links are another matter."""
    assert await store.lease("acme", "first", LONG) == 1
    assert await store.lease("acme", "second", LONG) is None
    assert await store.lease("volt", "second", LONG) == 1
    assert await store.leases(["acme", "volt", "nobody"]) == {"acme": "first", "volt": "second"}
    assert await store.leases([]) == {}


async def test_a_lease_is_kept_by_asking_again(store: Store) -> None:
    """Its holder gets the same fence, and more time."""
    assert await store.lease("acme", "first", 1000) == 1
    assert await store.lease("acme", "first", LONG) == 1
    assert await store.command("PTTL", store.keys.lease("acme")) > 1000


async def test_a_lease_that_was_given_back_goes_to_the_next_with_a_new_fence(store: Store) -> None:
    """Only its holder can give it back."""
    await store.lease("acme", "first", LONG)
    await store.release("acme", "second")
    assert await store.lease("acme", "second", LONG) is None
    await store.release("acme", "first")
    assert await store.lease("acme", "second", LONG) == 2
    await store.release("acme", "second")
    assert await store.lease("acme", "first", LONG) == 3


async def test_a_lease_ends_by_itself(store: Store) -> None:
    """Nobody has to wait for long for a process that was killed."""
    await store.lease("acme", "killed", 1000)
    key = store.keys.lease("acme")
    assert 0 < await store.command("PTTL", key) <= 1000
    await store.command("PEXPIRE", key, 0)  # the second is over
    assert await store.lease("acme", "next", LONG) == 2


async def test_who_comes_back_before_anybody_else_has_the_same_fence(store: Store) -> None:
    """Nobody has decided anything meanwhile, so what it has under way still counts."""
    assert await store.lease("acme", "first", LONG) == 1
    await store.release("acme", "first")
    assert await store.lease("acme", "first", LONG) == 1


Write = Callable[[Store, int | None], Awaitable[object]]


async def _due(store: Store) -> Due:
    (due,) = await store.due("acme", 1, 1)
    return due


async def take(store: Store, fence: int | None) -> object:
    return await store.take("acme", LOCATION, fence=fence)


async def settle(store: Store, fence: int | None) -> object:
    return await store.settle("acme", await _due(store), SENT, fence=fence)


async def dismiss(store: Store, fence: int | None) -> object:
    return await store.dismiss("acme", await _due(store), fence=fence)


async def postpone(store: Store, fence: int | None) -> object:
    return await store.postpone("acme", await _due(store), 99, perhaps=SENT, fence=fence)


async def hold(store: Store, fence: int | None) -> object:
    return await store.hold("acme", await _due(store), "refused", "", perhaps=SENT, fence=fence)


async def cdr_move(store: Store, fence: int | None) -> object:
    return await store.cdr_move("acme", CDR, [CdrState.PENDING], CdrState.IN_FLIGHT, fence=fence)


async def everything(store: Store) -> list[bytes | None]:
    """All that is kept about the link, in the form in which Redis would hand it to another server."""
    about = store.keys
    parts = (about.due, about.ticket, about.sent, about.later, about.held)
    ledger = (about.cdrs, about.cdrs_done, about.cdr_counts, about.changes)
    keys = [about.cdr("acme", CDR), *(key("acme") for key in (*parts, *ledger))]
    return [await store.command("DUMP", key) for key in keys]


@pytest.mark.parametrize("write", [take, settle, dismiss, postpone, hold, cdr_move])
async def test_a_former_holder_writes_nothing(store: Store, write: Write) -> None:
    """With the fence of a former tenure no write about a link does anything; with the last one it does."""
    await store.owe("acme", LOCATION, 1)
    await store.settle("acme", Due(LOCATION, 0, 0), SENT)
    await store.cdr_owe("acme", CDR, 1)
    former = await store.lease("acme", "first", LONG)
    await store.release("acme", "first")
    latter = await store.lease("acme", "second", LONG)
    before = await everything(store)
    with pytest.raises(Ousted):
        await write(store, former)
    assert await everything(store) == before
    assert await write(store, latter)
    assert await everything(store) != before


@pytest.mark.parametrize("write", [take, settle, dismiss, postpone, hold, cdr_move])
async def test_a_lease_that_has_ended_doesnt_undo_what_was_under_way(store: Store, write: Write) -> None:
    """Until somebody else comes, what its last holder learned is still written; so is what needs no lease."""
    await store.owe("acme", LOCATION, 1)
    await store.settle("acme", Due(LOCATION, 0, 0), SENT)
    await store.cdr_owe("acme", CDR, 1)
    fence = await store.lease("acme", "first", LONG)
    await store.release("acme", "first")
    assert await write(store, fence)
    await store.lease("acme", "second", LONG)
    await store.owe("acme", LOCATION, 1)
    await store.cdr_move("acme", CDR, list(CdrState), CdrState.PENDING)
    assert await write(store, None)


async def test_a_move_that_the_client_repeats_was_done_even_if_another_took_over(store: Store) -> None:
    """Its first answer was lost, not what it did."""
    fence = await store.lease("acme", "first", LONG)
    assert fence is not None
    await store.cdr_owe("acme", CDR, 1)
    keys = store.keys
    ledger = [keys.cdr("acme", CDR), keys.cdrs("acme"), keys.cdrs_done("acme")]
    moved = [keys.fence("acme"), *ledger, keys.cdr_counts("acme"), keys.changes("acme")]
    move = ("cdr_move", moved, fence, b"mark", CDR.text, ",pending,", "in_flight", 5, "", 10**9, "", "")
    assert await store.run(*move) == 1
    await store.release("acme", "first")
    await store.lease("acme", "second", LONG)
    assert await store.run(*move) == 1
