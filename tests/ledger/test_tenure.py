"""One replica at a time brings a link what it is owed, and a dead one is followed soon."""

from __future__ import annotations

import asyncio

import pytest

from gateway.ledger import tenure as module
from gateway.ledger.tenure import Tenures
from gateway.model.modules import Module
from gateway.model.names import CdrState, Name, Ousted
from gateway.model.party import Party
from gateway.store.redis import Store

CDR = Name(Module.CDRS, Party("NL", "EXA"), "C-1")


def never() -> None:
    raise AssertionError("nobody has taken over")


async def test_a_link_has_one_tenure_at_a_time(store: Store) -> None:
    """The second replica is told that there is one, and gets the link when that has ended."""
    one, two = Tenures(store), Tenures(store)
    async with one.of("acme", never) as first:
        assert first is not None
        async with two.of("acme", never) as second:
            assert second is None
        async with two.of("volt", never) as other:
            assert other is not None
    async with two.of("acme", never) as second:
        assert second is not None
        assert second.fence > first.fence
        assert second.new


async def test_a_tenure_is_kept_for_as_long_as_it_is_needed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that takes longer than a lease lasts loses nothing."""
    monkeypatch.setattr(module, "LEASE_MS", 100)
    monkeypatch.setattr(module, "KEEP_S", 0.02)
    one, two = Tenures(store), Tenures(store)
    async with one.of("acme", never) as first:
        assert first is not None
        await asyncio.sleep(0.3)
        async with two.of("acme", never) as second:
            assert second is None
        assert not first.over


async def test_who_comes_again_hasnt_got_a_new_link(store: Store) -> None:
    """Nobody else had it in between: what it knows of the link still holds."""
    one = Tenures(store)
    async with one.of("acme", never) as first:
        assert first is not None
        assert first.new
    async with one.of("acme", never) as again:
        assert again is not None
        assert not again.new
        assert again.fence == first.fence


async def test_who_stood_still_for_too_long_writes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lease ended and another took over: it is told, and what it still writes is refused."""
    monkeypatch.setattr(module, "LEASE_MS", 50)
    monkeypatch.setattr(module, "KEEP_S", 0.2)  # it stands still for longer than its lease lasts
    told = asyncio.Event()
    await store.cdr_owe("acme", CDR, 0)
    one, two = Tenures(store), Tenures(store)
    async with one.of("acme", told.set) as late:
        assert late is not None
        await asyncio.sleep(0.1)
        monkeypatch.setattr(module, "LEASE_MS", 2000)
        async with two.of("acme", never) as now:
            assert now is not None
            await asyncio.wait_for(told.wait(), 2)
            assert late.over
            with pytest.raises(Ousted):
                await store.cdr_move("acme", CDR, {CdrState.PENDING}, CdrState.IN_FLIGHT, fence=late.fence)
            assert await store.cdr_move("acme", CDR, {CdrState.PENDING}, CdrState.IN_FLIGHT, fence=now.fence)
