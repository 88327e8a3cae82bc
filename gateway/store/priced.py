"""What price feeds told, run by run, and what they told since.

A run is staged piece by piece and counts from the moment at which the feed's state names it: one script writes the
state, lets what was staged stay, and names the runs that counted before, which go after an hour. Until then
everything staged expires by itself a day after it was written last. So whatever is interrupted, the former run is
still the one that counts, and nothing is left behind.

A run is six lists, each cut into sixteen hashes by the row's id. That is what makes it possible to go through a list of
any size a few rows at a time and to meet each row exactly once: the ids of one hash are taken at a time, and then their
rows. (HSCAN would meet some of them twice.)

    locations   id -> JSON, deflated
    places      location:EVSE:connector -> what matters of it, as MessagePack
    spots       spot -> location:EVSE:connector of the place that claimed it first
    linked      location:EVSE:connector -> ids of prices and whatever else the feed says there, as JSON
    prices      price id -> the prices of that id as JSON, deflated
    gone        id -> since when, what it was merged into, and its JSON, as MessagePack, deflated

Numbers keep their digits: JSON is written and read with decimals here as everywhere.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from typing import Any, Final

import msgspec
from attrs import define

from gateway.model.attached import spot
from gateway.model.modules import Module
from gateway.model.names import decode, encode
from gateway.model.prices import Connector, Gone, Linked, Place, Priced, pack, unpack
from gateway.store.keys import feed_lease
from gateway.store.leases import Leases, ours
from gateway.store.packing import deflated, inflated

# So many rows are written or read in one round trip: packing them takes some 10 ms, in which nobody else is served.
_A_TRIP: Final = 200

# A million rows are sixty thousand to a hash, whose ids Redis lists in some 10 ms.
PARTS: Final = 16

# How long what is staged stays if nobody keeps it, and a run that counted after the next one counts. Seconds.
_STAGED_S: Final = 24 * 3600
_FORMER_S: Final = 3600

# Numbers that MessagePack has no room for: as their digits.
_NUMBER: Final = 1
_LARGEST: Final = 2**63

_pack: Final = msgspec.msgpack.Encoder().encode


class RunList(StrEnum):
    """The lists of a run."""

    LOCATIONS = "locations"
    PLACES = "places"
    SPOTS = "spots"
    LINKED = "linked"
    PRICES = "prices"
    GONE = "gone"


class _Place(msgspec.Struct, frozen=True, array_like=True):
    evse_id: str | None
    price_id: str | None
    operator: str | None
    ema_ids: tuple[str, ...]


class _Gone(msgspec.Struct, frozen=True, array_like=True):
    since: int
    now: str | None
    row: bytes


_OF_PLACE: Final = msgspec.msgpack.Decoder(_Place)
_OF_GONE: Final = msgspec.msgpack.Decoder(_Gone)


@define(eq=False)
class Prices(Leases):
    """Runs of price feeds. Every method raises ``NotDurable`` when Redis is away.

    A feed is meant by the id of its file; who reads it has the lease ``prices:FEED``.
    """

    async def feeds(self) -> list[str]:
        """Feeds that have a state."""
        return sorted(feed.decode() for feed in await self.command("SMEMBERS", self.keys.feeds()))

    async def feed_state(self, feed: str) -> bytes | None:
        """The state of a feed, as it was kept last; None for one that was never read."""
        state: bytes | None = await self.command("GET", self.keys.feed(feed))
        return state

    async def feed_keep(self, feed: str, state: bytes, *, run: str = "", fence: int | None = None) -> None:
        """The state of a feed.

        Args:
            run: the one that the state names now, if another than before: in the same step it stays, and runs that
                stayed before are to go in an hour. It may be given again.
            fence: of the caller's tenure of the lease ``prices:FEED``; None: whoever has it.

        Raises:
            Ousted: there was a later tenure; nothing was written.
        """
        await self.command("SADD", self.keys.feeds(), feed)
        keys = [self.keys.fence(feed_lease(feed)), self.keys.feed(feed), self.keys.feed_runs(feed)]
        staged = self._keys_of(feed, run) if run else []
        expected = "" if fence is None else fence
        # Those that the script names are this call's to forget: if it is interrupted, the next one names them again.
        for former in ours(await self.run("feed_keep", [*keys, *staged], expected, state, run)):
            await self.run_forget(feed, former.decode(), _FORMER_S)

    async def feed_forget(self, feed: str) -> None:
        """Nothing is kept of a feed any more, but what is said of our connectors (``attached.py``)."""
        for run in await self.command("SMEMBERS", self.keys.feed_runs(feed)):
            await self.run_forget(feed, run.decode())
        await self.command("UNLINK", self.keys.feed_told(feed), self.keys.feed(feed))
        await self.command("SREM", self.keys.feeds(), feed)

    # Staging ----------------------------------------------------------------------------------------------------------

    async def stage_locations(self, feed: str, run: str, rows: Sequence[tuple[str, bytes]]) -> None:
        """Locations by id, as bytes of JSON."""
        await self._stage(feed, run, RunList.LOCATIONS, ((id, deflated(Module.LOCATIONS, row)) for id, row in rows))

    async def stage_places(self, feed: str, run: str, places: Sequence[Place]) -> None:
        """Their connectors. Of several that claim one spot the one that was staged first has it."""
        await self._stage(feed, run, RunList.PLACES, ((_field(place.connector), _of_place(place)) for place in places))
        claims: dict[str, bytes] = {}
        for place in places:
            if place.evse_id is not None:
                claims.setdefault(spot(place.evse_id, place.connector_id), _field(place.connector).encode())
        await self._stage(feed, run, RunList.SPOTS, claims.items(), first=True)

    async def stage_linked(self, feed: str, run: str, linked: Sequence[Linked]) -> None:
        """Which prices hold at connectors."""
        rows = ((_field(each.connector), _packed([list(each.price_ids), each.more])) for each in linked)
        await self._stage(feed, run, RunList.LINKED, rows)

    async def stage_prices(self, feed: str, run: str, prices: Sequence[Sequence[Priced]]) -> None:
        """Prices of the feed, those of one price id together."""
        rows = (
            (str(together[0].price_id), deflated(Module.TARIFFS, _packed([pack(priced) for priced in together])))
            for together in prices
            if together
        )
        await self._stage(feed, run, RunList.PRICES, rows)

    async def stage_gone(self, feed: str, run: str, gone: Sequence[Gone]) -> None:
        """Locations that were there before."""
        records = ((each.id, _Gone(each.since, each.now, each.row)) for each in gone)
        rows = ((id, deflated(Module.LOCATIONS, msgspec.msgpack.encode(record))) for id, record in records)
        await self._stage(feed, run, RunList.GONE, rows)

    async def run_forget(self, feed: str, run: str, after_s: float = 0.0) -> None:
        """Nobody reads what was staged under this run any more, after so many seconds. May be repeated."""
        keys = self._keys_of(feed, run)
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            if after_s > 0:
                for key in keys:
                    pipe.pexpire(key, int(after_s * 1000))
            else:
                pipe.unlink(*keys)
            await pipe.execute()
        await self.command("SREM", self.keys.feed_runs(feed), run)  # last: until then it can be found

    # Reading ----------------------------------------------------------------------------------------------------------

    async def locations(self, feed: str, run: str, ids: Sequence[str]) -> list[bytes | None]:
        """Locations by id, as they were staged; None where there is none."""
        return [None if row is None else inflated(row) for row in await self._fetch(feed, run, RunList.LOCATIONS, ids)]

    async def places(self, feed: str, run: str, connectors: Sequence[Connector]) -> list[Place | None]:
        """Connectors by their ids."""
        fields = [*map(_field, connectors)]
        rows = await self._fetch(feed, run, RunList.PLACES, fields)
        return [None if row is None else _place(field, row) for field, row in zip(fields, rows, strict=True)]

    async def places_at(self, feed: str, run: str, spots: Sequence[str]) -> list[Place | None]:
        """Connectors by their spot (``gateway.model.attached.spot``)."""
        claims = await self._fetch(feed, run, RunList.SPOTS, spots)
        fields = [claim.decode() for claim in claims if claim is not None]
        rows = await self._fetch(feed, run, RunList.PLACES, fields)
        found = {field: _place(field, row) for field, row in zip(fields, rows, strict=True) if row is not None}
        return [None if claim is None else found.get(claim.decode()) for claim in claims]

    async def linked(self, feed: str, run: str, connectors: Sequence[Connector]) -> list[Linked | None]:
        """Which prices hold at these connectors."""
        fields = [*map(_field, connectors)]
        rows = await self._fetch(feed, run, RunList.LINKED, fields)
        return [None if row is None else _linked(field, row) for field, row in zip(fields, rows, strict=True)]

    async def prices(self, feed: str, run: str, ids: Sequence[str]) -> list[tuple[Priced, ...]]:
        """Prices by price id; empty where there is no such id."""
        return [() if row is None else _prices(row) for row in await self._fetch(feed, run, RunList.PRICES, ids)]

    async def gone(self, feed: str, run: str) -> list[Gone]:
        """Locations that were there before, by id."""
        found = []
        async with aclosing(self._all(feed, run, RunList.GONE)) as pages:
            async for page in pages:
                for id, stored in page:
                    record = _OF_GONE.decode(inflated(stored))
                    found.append(Gone(id=id, row=record.row, since=record.since, now=record.now))
        return sorted(found, key=lambda gone: gone.id)

    async def all_locations(self, feed: str, run: str) -> AsyncGenerator[list[tuple[str, bytes]], None]:
        """All locations of a run, some at a time, each once, in no order. What is staged meanwhile may be missing."""
        async with aclosing(self._all(feed, run, RunList.LOCATIONS)) as pages:
            async for page in pages:
                yield [(id, inflated(row)) for id, row in page]

    async def all_places(self, feed: str, run: str) -> AsyncGenerator[list[Place], None]:
        """All connectors, in the same way."""
        async with aclosing(self._all(feed, run, RunList.PLACES)) as pages:
            async for page in pages:
                yield [_place(field, row) for field, row in page]

    async def all_linked(self, feed: str, run: str) -> AsyncGenerator[list[Linked], None]:
        """Which prices hold at all connectors, in the same way."""
        async with aclosing(self._all(feed, run, RunList.LINKED)) as pages:
            async for page in pages:
                yield [_linked(field, row) for field, row in page]

    async def all_prices(self, feed: str, run: str) -> AsyncGenerator[list[tuple[Priced, ...]], None]:
        """All prices, in the same way; those of one price id together."""
        async with aclosing(self._all(feed, run, RunList.PRICES)) as pages:
            async for page in pages:
                yield [_prices(row) for _, row in page]

    # Since it was read ------------------------------------------------------------------------------------------------

    async def status_keep(self, feed: str, location: str, evse_uid: str, told: bytes, *, former: bytes | None) -> bool:
        """What a feed told of an EVSE since it was read, instead of what it told before.

        Args:
            former: what that was; None: nothing. If it is something else by now, nothing is kept, and this is False.
        """
        field = _field((location, evse_uid))
        return bool(await self.run("told", [self.keys.feed_told(feed)], field, former or b"", told))

    async def statuses(self, feed: str, evses: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """The same of these EVSEs: location id and EVSE uid; None where it told nothing."""
        if not evses:
            return []
        told: list[bytes | None] = await self.command("HMGET", self.keys.feed_told(feed), *map(_field, evses))
        return told

    async def statuses_forget(self, feed: str, told: Mapping[tuple[str, str], bytes]) -> None:
        """What was told of these EVSEs doesn't count any more; where something else was told since, that does."""
        key = self.keys.feed_told(feed)
        rest = iter(told.items())
        while trip := list(islice(rest, _A_TRIP)):
            async with self.durable(), self.client.pipeline(transaction=False) as pipe:
                for evse, former in trip:
                    self.queue(pipe, "told", [key], _field(evse), former, b"")
                await pipe.execute()

    # Lists of a run ---------------------------------------------------------------------------------------------------

    async def _stage(
        self, feed: str, run: str, list_: RunList, rows: Iterable[tuple[str, bytes]], *, first: bool = False
    ) -> None:
        """Rows of a list; with ``first`` a row that is there stays as it is."""
        rest = iter(rows)
        while trip := dict(islice(rest, _A_TRIP)):
            async with self.durable(), self.client.pipeline(transaction=False) as pipe:
                for part, ids in _by_part(trip).items():
                    key = self.keys.feed_run(feed, run, list_, part)
                    if first:
                        for id in ids:
                            pipe.hsetnx(key, id, trip[id])
                    else:
                        pipe.hset(key, mapping={id: trip[id] for id in ids})
                    pipe.expire(key, _STAGED_S)
                await pipe.execute()

    async def _fetch(self, feed: str, run: str, list_: RunList, ids: Sequence[str]) -> list[bytes | None]:
        """Rows of a list by id, in the order of the ids."""
        found: dict[str, bytes | None] = {}
        rest = iter(ids)
        while trip := list(islice(rest, _A_TRIP)):
            parts = _by_part(trip)
            async with self.durable(), self.client.pipeline(transaction=False) as pipe:
                for part, fields in parts.items():
                    pipe.hmget(self.keys.feed_run(feed, run, list_, part), fields)
                for fields, rows in zip(parts.values(), await pipe.execute(), strict=True):
                    found |= zip(fields, rows, strict=True)
        return [found[id] for id in ids]

    async def _all(self, feed: str, run: str, list_: RunList) -> AsyncGenerator[list[tuple[str, bytes]], None]:
        """All rows of a list, a trip's worth at a time."""
        ids: list[str] = []
        for part in range(PARTS):
            ids += [id.decode() for id in await self.command("HKEYS", self.keys.feed_run(feed, run, list_, part))]
            whole = len(ids) - len(ids) % _A_TRIP if part < PARTS - 1 else len(ids)
            for start in range(0, whole, _A_TRIP):
                trip = ids[start : min(start + _A_TRIP, whole)]
                rows = await self._fetch(feed, run, list_, trip)
                yield [(id, row) for id, row in zip(trip, rows, strict=True) if row is not None]
            del ids[:whole]

    def _keys_of(self, feed: str, run: str) -> list[str]:
        return [self.keys.feed_run(feed, run, list_, part) for list_ in RunList for part in range(PARTS)]


def _by_part(ids: Iterable[str]) -> dict[int, list[str]]:
    """The ids by the hash that their rows are in, each once."""
    parts: dict[int, list[str]] = {}
    for id in dict.fromkeys(ids):
        parts.setdefault(zlib.crc32(id.encode()) % PARTS, []).append(id)
    return parts


def _field(ids: Iterable[str]) -> str:
    """``LOC1:NL%2AEXA:1``: one field for several ids of strangers, so that no two meet."""
    return ":".join(map(encode, ids))


def _connector(field: str) -> Connector:
    location, evse_uid, connector_id = map(decode, field.split(":"))
    return location, evse_uid, connector_id


def _of_place(place: Place) -> bytes:
    return msgspec.msgpack.encode(_Place(place.evse_id, place.price_id, place.operator, place.ema_ids))


def _place(field: str, row: bytes) -> Place:
    location, evse_uid, connector_id = _connector(field)
    there = _OF_PLACE.decode(row)
    return Place(
        location=location,
        evse_uid=evse_uid,
        connector_id=connector_id,
        evse_id=there.evse_id,
        price_id=there.price_id,
        operator=there.operator,
        ema_ids=there.ema_ids,
    )


def _linked(field: str, row: bytes) -> Linked:
    location, evse_uid, connector_id = _connector(field)
    price_ids, more = _unpacked(row)
    return Linked(
        location=location,
        evse_uid=evse_uid,
        connector_id=connector_id,
        price_ids=tuple(price_ids),
        more=more,
    )


def _prices(row: bytes) -> tuple[Priced, ...]:
    return tuple(unpack(packed) for packed in _unpacked(inflated(row)))


def _packed(value: Any) -> bytes:
    """A JSON value, every number with its digits."""
    return _pack(_exact(value))


def _exact(value: Any) -> Any:
    match value:
        case dict() | Mapping():
            return {name: _exact(item) for name, item in value.items()}
        case list() | tuple():
            return [_exact(item) for item in value]
        case Decimal():
            return msgspec.msgpack.Ext(_NUMBER, str(value).encode())
        case int() if not -_LARGEST <= value < _LARGEST:
            return msgspec.msgpack.Ext(_NUMBER, str(value).encode())
        case _:
            return value


def _number(_: int, digits: memoryview) -> Decimal | int:
    text = bytes(digits).decode()
    return int(text) if text.lstrip("-").isdecimal() else Decimal(text)


_unpacked: Final = msgspec.msgpack.Decoder(ext_hook=_number).decode
