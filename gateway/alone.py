"""Something that one process at a time does: whoever has its lease, which is kept while it lasts and ends by itself.

A process that dies loses the lease within seconds. One that stood still and wakes up too late is told by its fence,
which goes along with what it writes (:mod:`gateway.store.leases`), or is stopped as soon as it sees that the lease is
somebody else's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol

from gateway.model.errors import NotDurable
from gateway.model.names import Ousted

LEASE_MS: Final = 4000
_RENEW_S: Final = 1.0


class Leasing(Protocol):
    """What is needed of the store."""

    async def lease(self, link: str, who: str, ms: int) -> int | None:
        """The fence of the lease, which is taken or kept; None: somebody else has it."""

    async def release(self, link: str, who: str) -> None:
        """The lease ends now, if ``who`` has it."""


async def alone(store: Leasing, id: str, who: str, work: Callable[[int], Awaitable[None]]) -> bool:
    """Do ``work``, given the fence, while nobody else does.

    Args:
        id: of the lease.
        who: whoever works, by a name that no other has.

    Returns:
        False: somebody else does it, or has taken it over meanwhile.

    Raises:
        NotDurable: the store is away.
    """
    fence = await store.lease(id, who, LEASE_MS)
    if fence is None:
        return False
    working = asyncio.ensure_future(work(fence))
    keeping = asyncio.create_task(_keep(store, id, who, working), name=f"lease {id}")
    try:
        await working
    except Ousted:
        return False
    except asyncio.CancelledError:
        stopped = asyncio.current_task()
        if stopped is None or stopped.cancelling():
            raise
        return False  # it wasn't we who were stopped: the lease was lost, and whoever keeps it ended the work
    finally:
        keeping.cancel()
        with suppress(NotDurable):
            await store.release(id, who)
    return True


async def _keep(store: Leasing, id: str, who: str, working: asyncio.Future[None]) -> None:
    """Extends the lease; ends the work when it is lost."""
    while not working.done():
        await asyncio.sleep(_RENEW_S)
        with suppress(NotDurable):
            if await store.lease(id, who, LEASE_MS) is None:
                working.cancel()
                return
