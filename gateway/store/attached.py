"""What price feeds say of our own connectors, beside what their owners say.

It lies with the owner's objects, one field for each connector, in which each feed has a part of its own: so a location
that is said anew is joined with all of it in one look, and what one feed says never touches what another does. The
parts are joined by a script, which reads and writes a field in one step.

Which tariffs were said because of a feed is known here too, with the time at which those that left it are to go.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from itertools import islice
from typing import Final

import msgspec
from attrs import define, evolve

from gateway.model.attached import Attached
from gateway.model.names import Name
from gateway.model.party import Party
from gateway.model.prices import Audience
from gateway.store.connection import Connection

# So many connectors are looked at or changed in one round trip: they take Redis a few ms.
_A_TRIP: Final = 500

_ByFeed = dict[str, dict[Audience, list[str]]]
_OF_FIELD: Final = msgspec.msgpack.Decoder(_ByFeed)


class _Imported(msgspec.Struct, frozen=True, array_like=True):
    id: str
    at: int | None


_OF_IMPORTED: Final = msgspec.msgpack.Decoder(_Imported)


@define(eq=False)
class Attachments(Connection):
    """Prices of feeds at our own connectors. Every method raises ``NotDurable`` when Redis is away."""

    async def attached(self, owner: Party, spots: Sequence[str]) -> dict[str, Attached]:
        """What all feeds together say of these connectors of an owner; those of which nothing is said aren't in it.

        One round trip; none if no connector is asked for.
        """
        if not spots:
            return {}
        fields = await self.command("HMGET", self.keys.attached(owner), *spots)
        return {spot: _together(_OF_FIELD.decode(field)) for spot, field in zip(spots, fields, strict=True) if field}

    async def attach(self, feed: str, owner: Party, changes: Mapping[str, Attached | None]) -> None:
        """What one feed says of connectors of an owner from now on; None: nothing. May be repeated."""
        rest = iter(changes.items())
        while trip := list(islice(rest, _A_TRIP)):
            words = [word for spot, attached in trip for word in (spot, _part(attached))]
            await self.run("attach", [self.keys.attached(owner)], feed, *words)

    async def attached_by(self, feed: str, owner: Party) -> AsyncGenerator[dict[str, Attached], None]:
        """All that one feed says of an owner's connectors, some at a time, each once.

        What is attached while this goes on may be missing; what is taken away is.
        """
        key = self.keys.attached(owner)
        spots = [spot.decode() for spot in await self.command("HKEYS", key)]
        for start in range(0, len(spots), _A_TRIP):
            trip = spots[start : start + _A_TRIP]
            found = zip(trip, await self.command("HMGET", key, *trip), strict=True)
            by_feed = ((spot, _OF_FIELD.decode(field).get(feed)) for spot, field in found if field)
            page: dict[str, Attached] = {spot: attached for spot, attached in by_feed if attached}
            if page:
                yield page

    async def imported(self, feed: str) -> dict[Name, int | None]:
        """The tariffs that were said because of a feed, their ids as spelled.

        With the time at which one that left the feed is to be deleted, in milliseconds since 1970; None for others.
        """
        found: dict[Name, int | None] = {}
        for text, stored in (await self.fields(self.keys.imported(feed))).items():
            record = _OF_IMPORTED.decode(stored)
            found[evolve(Name.parse(text), id=record.id)] = record.at
        return found

    async def imported_keep(self, feed: str, tariffs: Mapping[Name, int | None], gone: Sequence[Name] = ()) -> None:
        """Adds tariffs, or changes when they are to be deleted; those that are ``gone`` are no longer among them."""
        key = self.keys.imported(feed)
        async with self.durable(), self.client.pipeline(transaction=True) as pipe:
            if gone:
                pipe.hdel(key, *(name.text for name in gone))
            if tariffs:
                records = {name.text: msgspec.msgpack.encode(_Imported(name.id, at)) for name, at in tariffs.items()}
                pipe.hset(key, mapping=records)
            await pipe.execute()


def _part(attached: Attached | None) -> bytes:
    """What a feed says of a connector, for the script; empty if that is nothing."""
    said = {audience: list(ids) for audience, ids in (attached or {}).items() if ids}
    return msgspec.msgpack.encode(said) if said else b""


def _together(by_feed: _ByFeed) -> dict[Audience, list[str]]:
    """What the feeds of a connector say, in the order of their ids, each tariff once."""
    together: dict[Audience, dict[str, None]] = {}
    for _, part in sorted(by_feed.items()):
        for audience, ids in part.items():
            together.setdefault(audience, {}).update(dict.fromkeys(ids))
    return {audience: list(ids) for audience, ids in together.items()}
