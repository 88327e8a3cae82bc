"""What is written down beside an object that was said, so that it is found again, and what hangs on it is looked at.

Whether an object was pushed here or read in a list of its owner's makes no difference to that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from gateway.lookup import connectors_of
from gateway.model.attached import tariffs_of
from gateway.model.modules import Module
from gateway.model.names import Name
from gateway.ports import Objects


@frozen(kw_only=True)
class Filed:
    """An object that was said: its name, what it is now and what it was before, both canonical."""

    name: Name
    canonical: Mapping[str, Any]
    before: Mapping[str, Any] | None


@frozen
class Filing:
    """Files what was said. Every method raises NotDurable while the store is away, and may be repeated."""

    objects: Objects

    async def index(self, filed: Sequence[Filed]) -> None:
        """Objects that are there are found by what they name: tokens and sessions by contract, locations by tariff."""
        tokens = [each for each in filed if each.name.module is Module.TOKENS]
        if tokens:
            await self.objects.index_tokens(
                [(each.name, each.canonical["contract_id"], (each.before or {}).get("contract_id")) for each in tokens]
            )
        for each in filed:
            if each.name.module is Module.SESSIONS:
                await self.objects.index_session(each.name, each.canonical["cdr_token"]["contract_id"])
            elif each.name.module is Module.LOCATIONS:
                named = {id for plug in connectors_of(each.canonical) for id in tariffs_of(plug)}
                await self.objects.index_location(each.name, named)

    async def look_again(self, tariff: Name, links: Sequence[str], now_ms: int) -> None:
        """Which of its tariffs a connector shows may hang on any of them: its location is looked at again."""
        for location in await self.objects.locations_of_tariff(tariff.owner, tariff.id):
            for link in links:
                await self.objects.owe(link, location, now_ms)
