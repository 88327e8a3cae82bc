"""A link is brought its things by one replica at a time: by whoever has its lease, for as long as there is something.

The lease is taken when something is to be done, kept by saying so twice a second, and given back when nothing is left,
or at a stop. A process that is killed says nothing any more: two seconds later another one may begin. Each tenure has
a number, the fence, and every write carries it; so a process that stood still and wakes up too late writes nothing. Nor
does it send anything: it looks at the clock before each request, and a tenure that hasn't been kept is no tenure.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog
from attrs import define, field

from gateway.model.errors import NotDurable
from gateway.model.names import Ousted
from gateway.ports import Leases

log = structlog.get_logger()

LEASE_MS: Final = 2000
KEEP_S: Final = 0.5


@define(eq=False)
class Tenure:
    """The time in which this process, and no other, brings a link what it is owed.

    Attributes:
        fence: goes along with every write.
        new: whether somebody else had the link before.
        until: when it ends unless it is kept, by ``time.monotonic``, which goes on while a process stands still.
        over: another replica has taken over; nothing is begun any more.
    """

    link: str
    fence: int
    new: bool
    until: float
    over: bool = False

    def check(self) -> None:
        """Raises Ousted if another replica may have the link by now."""
        if self.over or time.monotonic() > self.until:
            raise Ousted(f"{self.link} may be another replica's by now")


@define(eq=False)
class Tenures:
    """The tenures of this process."""

    store: Leases
    who: str = field(factory=lambda: secrets.token_hex(8))
    _last: dict[str, int] = field(factory=dict, init=False)

    @asynccontextmanager
    async def of(self, link: str, lost: Callable[[], None]) -> AsyncIterator[Tenure | None]:
        """A tenure, until the context ends; None: another replica has one.

        Args:
            lost: called when another replica has taken over.

        Raises:
            NotDurable: the store is away.
        """
        until = _from_now()
        fence = await self.store.lease(link, self.who, LEASE_MS)
        if fence is None:
            yield None
            return
        tenure = Tenure(link, fence, new=self._last.get(link) != fence, until=until)
        self._last[link] = fence
        keeping = asyncio.create_task(self._keep(tenure, lost), name=f"lease {link}")
        try:
            yield tenure
        finally:
            keeping.cancel()
            with suppress(NotDurable):  # it ends by itself
                await self.store.release(link, self.who)

    async def _keep(self, tenure: Tenure, lost: Callable[[], None]) -> None:
        while not tenure.over:
            await asyncio.sleep(KEEP_S)
            with suppress(NotDurable):  # nobody else can take it either
                until = _from_now()
                if await self.store.lease(tenure.link, self.who, LEASE_MS) == tenure.fence:
                    tenure.until = until
                else:
                    log.warning("delivery.taken_over", partner=tenure.link)
                    tenure.over = True
                    lost()


def _from_now() -> float:
    """When a lease that is asked for now has ended, at the earliest."""
    return time.monotonic() + LEASE_MS / 1000
