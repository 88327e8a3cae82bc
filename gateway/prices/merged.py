"""Locations that a feed had and has no more, and what became of them.

When a feed finds that two of its locations are one, their id changes. So a location that is missing is looked for by
its EVSEs: one that has most of them is what it was merged into. It is remembered for a while, so that whoever has read
it before can be told that it is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Final

from attrs import frozen

from gateway.model.attached import spot
from gateway.model.prices import Gone
from gateway.model.share import bare
from gateway.ports import Codec, Prices, PriceShapes

MOST: Final = 0.80
"""The share of its EVSEs that another location must have, for it to be the same place."""


@frozen(kw_only=True)
class Merged:
    """Finds what has gone from one run to the next."""

    store: Prices
    shapes: PriceShapes
    codec: Codec
    feed: str
    before: str
    run: str

    async def stage(self, now_ms: int, kept_for: timedelta) -> None:
        """Stage what has gone with this run, and what had before and isn't forgotten yet. Raises NotDurable."""
        oldest = now_ms - kept_for // timedelta(milliseconds=1)
        former = await self.store.gone(self.feed, self.before)
        await self._stage([(gone.id, gone.row, gone.since) for gone in former if gone.since > oldest])
        async with aclosing(self.store.all_locations(self.feed, self.before)) as pages:
            async for page in pages:
                await self._stage([(id, row, now_ms) for id, row in page])

    async def carry_statuses(self) -> None:
        """What was told of the EVSEs of a location that has gone is told of the one that it was merged into. Once the
        run counts: until then more may be told. Raises NotDurable."""
        for gone in await self.store.gone(self.feed, self.run):
            uids = self.shapes.evse_uids(self.codec.loads(gone.row))
            told = await self.store.statuses(self.feed, [(gone.id, uid) for uid in uids])
            pushed = {uid: push for uid, push in zip(uids, told, strict=True) if push is not None}
            for uid, push in pushed.items():
                if gone.now is not None:  # where something was told of the new one already, that is newer
                    await self.store.status_keep(self.feed, gone.now, uid, push, former=None)
            await self.store.statuses_forget(self.feed, {(gone.id, uid): push for uid, push in pushed.items()})

    async def _stage(self, had: Sequence[tuple[str, bytes, int]]) -> None:
        """Of locations with when they were missed, those that aren't in the run."""
        there = await self.store.locations(self.feed, self.run, [id for id, _, _ in had])
        gone = [
            Gone(id=id, row=row, since=since, now=await self._now(self.codec.loads(row)))
            for (id, row, since), found in zip(had, there, strict=True)
            if found is None
        ]
        await self.store.stage_gone(self.feed, self.run, gone)

    async def _now(self, row: Any) -> str | None:
        """The location of the run that has most of the EVSEs of this one, by the ids that stand on them."""
        places = [(bare(place.evse_id), place) for place in self.shapes.read_places(row).places if place.evse_id]
        spots = [spot(place.evse_id or "", place.connector_id) for _, place in places]
        found = await self.store.places_at(self.feed, self.run, spots)
        pairs = {(evse, there.location) for (evse, _), there in zip(places, found, strict=True) if there is not None}
        best = Counter(location for _, location in sorted(pairs)).most_common(1)
        evses = {evse for evse, _ in places}
        return best[0][0] if best and best[0][1] >= MOST * len(evses) else None
