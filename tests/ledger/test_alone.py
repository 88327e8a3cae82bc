"""Work that one process at a time does, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from gateway.alone import alone


class Held:
    """A lease that is had at once, and never lost."""

    async def lease(self, link: str, who: str, ms: int) -> int | None:
        return 1

    async def release(self, link: str, who: str) -> None:
        pass


async def never(_: int) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("steps", range(5))
async def test_whoever_is_stopped_stops(steps: int) -> None:
    """Cancelled at any moment, the first ones included, it doesn't take that for a lease that was lost, and goes on."""
    working = asyncio.create_task(alone(Held(), "prices:eco", "me", never))
    for _ in range(steps):
        await asyncio.sleep(0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
