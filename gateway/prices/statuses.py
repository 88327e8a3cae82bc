"""Statuses that a feed pushes between two readings.

They are about the feed's own places, which we only show on: nothing of ours changes. What is pushed lies beside the
live run, the newest of each EVSE, and goes when a run has read something newer. A location that was merged into another
one is meant by its old id, too.

Spec: 2.1.1 ``mod_locations`` 2.2, PATCH: an EVSE of a location that isn't known is 2003.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from attrs import field, frozen
from prometheus_client import Counter

from gateway.model.errors import GatewayError, UnknownLocation
from gateway.model.names import fold
from gateway.ports import Codec, Prices, PriceShapes
from gateway.prices import states

log = structlog.get_logger()

PUSHES: Final = Counter(
    "ocpi_gateway_price_statuses",
    "Statuses that price feeds pushed, by the feed and what became of them: stored, older (than what is known), unknown"
    " (no such EVSE), refused.",
    ("partner", "result"),
)


@frozen(kw_only=True)
class Statuses:
    """Takes what feeds push."""

    store: Prices
    shapes: PriceShapes
    codec: Codec
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def addressed(self, segments: Sequence[str]) -> tuple[str, str] | None:
        """Location id and EVSE uid that a path below ``/ocpi`` is about; None: nothing is pushed there.

        Raises:
            NotFound: it is somebody else's EVSE.
        """
        return self.shapes.pushed_evse(segments)

    async def push(self, feed: str, location: str, evse_uid: str, body: Any) -> None:
        """What a feed says of one of its EVSEs. Once this returns it is stored, unless something newer is.

        Args:
            body: a JSON value, or ABSENT.

        Raises:
            InvalidObject: it says no status.
            UnknownLocation: the live run has no such EVSE.
            NotDurable: the store is away.
        """
        try:
            result = await self._push(feed, location, evse_uid, body)
        except UnknownLocation:
            PUSHES.labels(feed, "unknown").inc()
            raise
        except GatewayError:
            PUSHES.labels(feed, "refused").inc()
            raise
        PUSHES.labels(feed, result).inc()
        log.info("status.pushed", partner=feed, result=result)

    async def _push(self, feed: str, location: str, evse_uid: str, body: Any) -> str:
        push = self.shapes.read_status(body, now=self.clock())
        id, row, evse = await self._find(feed, location, evse_uid)
        uid = str(evse["uid"])
        while True:
            (former,) = await self.store.statuses(feed, [(id, uid)])
            told = [self.codec.loads(former)] if former is not None else []
            if not self.shapes.is_newer(push, evse, row) or not self.shapes.is_newer(push, *told):
                return "older"
            # Pushes come side by side, on several connections and to several gateways: the newest must stay.
            if await self.store.status_keep(feed, id, uid, self.codec.dumps(push), former=former):
                return "stored"

    async def _find(self, feed: str, location: str, evse_uid: str) -> tuple[str, Any, Any]:
        """A location of the live run by its id of now or of before, and its EVSE.

        Returns:
            The id of now, the row, the EVSE in it.

        Raises:
            UnknownLocation: there is none.
        """
        run = states.decode(await self.store.feed_state(feed)).run
        found = await self._location(feed, run, location) if run else None
        if found is None or (evse := self.shapes.evse_of(found[1], evse_uid)) is None:
            raise UnknownLocation("the feed has told of no such EVSE")
        return *found, evse

    async def _location(self, feed: str, run: str, id: str) -> tuple[str, Any] | None:
        (row,) = await self.store.locations(feed, run, [id])
        if row is None:
            merged = (gone.now for gone in await self.store.gone(feed, run) if fold(gone.id) == fold(id))
            if (now := next(filter(None, merged), None)) is None:
                return None
            id = now
            (row,) = await self.store.locations(feed, run, [id])
        return None if row is None else (id, self.codec.loads(row))
