"""What is owed: under each link, the objects to look at and the CDRs to deliver.

*Objects.* A due entry says "look at this object", not "send this body": what is sent is the difference between what
the receiver confirmed last (``Sent``) and what is, worked out at that time. So a thousand changes while a receiver is
away cost one entry and one request. Three rules keep it honest:

- Every new reason takes a new ticket, and an attempt removes the entry only if its ticket is still the last. A change
  that comes while an attempt is under way is looked at afterwards.
- ``take`` reads ``Sent`` and marks it as doubtful in one step, and only a confirmed delivery takes the mark away. So
  after an attempt in doubt, or one whose process was killed, the next one sends the whole object, since a PATCH that
  appends would append twice; and that the receiver may have it is still known on the day it must be withdrawn.
- An entry is never due later because of a new reason.

*CDRs* are owed once for good, and have a ledger of their own: ``cdrs.py``.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, Iterable, Sequence
from itertools import islice
from typing import Final

import msgspec
from attrs import define
from redis.asyncio.client import Pipeline

from gateway.model.modules import Module
from gateway.model.names import Backlog, Due, Early, Held, Mark, Name, Sent
from gateway.store.cdrs import PAGE, Cdrs
from gateway.store.keys import COUNTER
from gateway.store.leases import ours

# So many objects are owed in one round trip: they take Redis some 10 ms.
_A_TRIP: Final = 500

# And so many are urged, which takes as long: in one step, wherever possible, since some of them go before others.
_URGED: Final = 5000

# What becomes of that which a receiver is known to have, in the words of the script.
_HAS: Final = "has"
_HASNT: Final = "hasn't"
_AS_BEFORE: Final = "as before"


@define(eq=False)
class Owed(Cdrs):
    """What each link is owed. Every method raises ``NotDurable`` when Redis is away."""

    async def owe(self, link: str, name: Name, at_ms: int) -> int:
        """A new reason to look at the object for this link, at that time or when it was due already. The new ticket.

        An entry that was held is due again.
        """
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            pipe.sadd(self.keys.links(), link)
            self._queue_owe(pipe, link, name, at_ms)
            return int((await pipe.execute())[-1])

    async def owe_all(self, link: str, names: Iterable[Name]) -> None:
        """A new reason to look at each of these objects for this link, as of now; a few hundred to a round trip.

        What was owed when Redis went away stays owed, and the whole may be repeated.
        """
        rest, now = iter(names), self.now()
        while part := list(islice(rest, _A_TRIP)):
            async with self.durable(), self.client.pipeline(transaction=False) as pipe:
                pipe.sadd(self.keys.links(), link)
                for name in part:
                    self._queue_owe(pipe, link, name, now)
                await pipe.execute()

    async def due(self, link: str, now_ms: int, limit: int) -> list[Due]:
        """What is due by now, oldest first, at most ``limit``."""
        found = await self.run("due", [self.keys.due(link), self.keys.ticket(link)], now_ms, limit)
        entries = zip(found[::3], found[1::3], found[2::3], strict=True)
        return [Due(Name.parse(text.decode()), int(ticket), int(float(at))) for text, ticket, at in entries]

    async def take(
        self, link: str, name: Name, *, fence: int | None = None, before: Sequence[Name] = (), by_ms: int = 0
    ) -> Sent | None:
        """What the receiver is known to have, before something is sent to it; None: nothing.

        As of now it has this only perhaps (``Sent.version`` is empty), until ``settle`` says what it has.

        Args:
            fence: of the lease that the caller holds; None: whoever holds it. So in all that follow.
            before: objects that go to the receiver before this one, if they are due by ``by_ms``.

        Raises:
            Early: some of these are; nothing was done.
            Ousted: another replica has taken the link over. So from all that follow.
        """
        keys = [self.keys.fence(link), self.keys.sent(link), self.keys.due(link)]
        first = [each.text for each in before]
        packed = await self.run("take", keys, "" if fence is None else fence, name.text, by_ms, *first)
        if isinstance(packed, list):
            raise Early([Name.parse(text.decode()) for text in packed])
        return None if packed is None else _unpack_sent(ours(packed))

    async def forget_sent(self, link: str) -> None:
        """Nobody knows any more what this receiver has: it has joined anew, and starts with nothing."""
        await self.command("UNLINK", self.keys.sent(link))

    async def settle(
        self, link: str, due: Due, sent: Sent | None, again_ms: int | None = None, *, fence: int | None = None
    ) -> bool:
        """An attempt ended well. The entry goes, unless there is a newer reason to look.

        Args:
            sent: what the receiver has as of now, kept in either case; None: it has nothing.
            again_ms: the object falls due again by itself at this time (a tariff comes into force then).

        Returns:
            Whether nothing newer is owed.
        """
        return await self._settle(link, due, _HASNT if sent is None else _HAS, sent, again_ms, fence)

    async def dismiss(self, link: str, due: Due, *, fence: int | None = None) -> bool:
        """There is nothing to be done about it: the entry goes as in ``settle``, what the receiver has stays known."""
        return await self._settle(link, due, _AS_BEFORE, None, None, fence)

    async def _settle(
        self, link: str, due: Due, becomes: str, sent: Sent | None, again_ms: int | None, fence: int | None
    ) -> bool:
        again = "" if again_ms is None else again_ms
        keys = self._keys_of_attempt(link)
        return bool(
            await self.fenced("settle", link, fence, keys, due.name.text, due.ticket, becomes, again, _pack_sent(sent))
        )

    async def postpone(
        self, link: str, due: Due, at_ms: int, *, perhaps: Sent | None = None, fence: int | None = None
    ) -> bool:
        """An attempt failed: the entry waits until then. False if there is a newer reason to look.

        ``urge`` ends the wait.

        Args:
            perhaps: what the receiver may have by now, kept in either case as doubtful; None: what was known before.
        """
        keys = self._keys_of_attempt(link)
        packed = _pack_sent(perhaps, doubtful=True)
        return bool(await self.fenced("postpone", link, fence, keys, due.name.text, due.ticket, at_ms, packed))

    async def hold(
        self, link: str, due: Due, reason: str, detail: str, *,
        perhaps: Sent | None = None, fence: int | None = None,
    ) -> bool:  # fmt: skip
        """The entry is set aside until a new reason comes. False, and not done, if one came already.

        Args:
            reason: a stable word.
            detail: a sentence for people.
            perhaps: as of ``postpone``.
        """
        keys = [*self._keys_of_attempt(link), self.keys.held(link)]
        packed = msgspec.msgpack.encode((reason, detail, self.now()))
        doubtful = _pack_sent(perhaps, doubtful=True)
        return bool(await self.fenced("hold", link, fence, keys, due.name.text, due.ticket, doubtful, packed))

    async def urge(self, link: str) -> int:
        """Whatever waits for its next attempt after a failure is due now. How many it was, of objects and CDRs.

        What waits for its own time isn't touched, such as a tariff that comes into force.
        """
        keys = [self.keys.due(link), self.keys.later(link), self.keys.cdrs(link)]
        urged = 0
        while part := await self.run("urge", keys, self.now(), _URGED):
            urged += int(part)
        return urged

    async def owed_entry(self, link: str, name: Name) -> Due | None:
        """The entry of an object that is due now or later; None if there is none."""
        return next(iter(await self._dues(link, [name.text.encode()])), None)

    async def owed_among(self, link: str, names: Sequence[Name]) -> list[Due]:
        """The entries of those among these objects that are due now or later."""
        found: list[Due] = []
        for start in range(0, len(names), _A_TRIP):
            found += await self._dues(link, [name.text.encode() for name in names[start : start + _A_TRIP]])
        return found

    async def owed_entries(self, link: str) -> AsyncGenerator[Due, None]:
        """All objects that are due now or later; never all in memory.

        Each that is there from the beginning to the end comes, in rare cases twice. A few hundred come in the order of
        their time; more come in none.
        """
        after: str | None = None
        while True:
            found, after = await self.scanned(self.keys.due(link), after, PAGE)
            for due in await self._dues(link, [text for text, _ in found]):
                yield due
            if after is None:
                return

    async def _dues(self, link: str, texts: Sequence[bytes]) -> list[Due]:
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            for text in texts:
                pipe.hget(self.keys.ticket(link), text)
                pipe.zscore(self.keys.due(link), text)
            found = iter(await pipe.execute())
        entries = zip(texts, found, found, strict=True)
        return [
            Due(Name.parse(text.decode()), int(ticket), int(at))
            for text, ticket, at in entries
            if ticket is not None and at is not None
        ]

    def _keys_of_attempt(self, link: str) -> list[str]:
        keys = self.keys
        return [keys.due(link), keys.ticket(link), keys.sent(link), keys.later(link)]

    async def held(self, link: str) -> list[Held]:
        """What is set aside, longest first."""
        entries = await self.command("HGETALL", self.keys.held(link))
        found = [_unpack_held(text.decode(), packed) for text, packed in entries.items()]
        return sorted(found, key=lambda held: (held.at, held.name.text))

    async def held_entry(self, link: str, name: Name) -> Held | None:
        """The object, if it is set aside."""
        packed = await self.command("HGET", self.keys.held(link), name.text)
        return None if packed is None else _unpack_held(name.text, packed)

    async def mark(self, link: str) -> Mark:
        """How far the link has come: whatever becomes due, or is shown to it, from now on lies behind this mark."""
        async with self.durable(), self.client.pipeline(transaction=True) as pipe:
            pipe.hget(self.keys.ticket(link), COUNTER)
            pipe.hget(self.keys.seen_parts(link), COUNTER)
            ticket, rank = await pipe.execute()
        return Mark(ticket=int(ticket or 0), rank=int(rank or 0), at=self.now())

    async def receivers(self) -> list[str]:
        """Links that were ever owed anything, be they configured still or not, in the order of their ids."""
        return sorted(link.decode() for link in await self.command("SMEMBERS", self.keys.links()))

    async def owing(self) -> list[str]:
        """Links with anything due or any CDR pending, now or later, or in flight, in the order of their ids."""
        links = await self.receivers()
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            for link in links:
                pipe.zcard(self.keys.due(link))
                pipe.zcount(self.keys.cdrs(link), "-inf", "(+inf")
            counts = await pipe.execute()
        return [link for link, due, cdrs in zip(links, counts[::2], counts[1::2], strict=True) if due or cdrs]

    async def backlog(self, link: str) -> Backlog:
        """What the link is owed, in numbers."""
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            pipe.zcard(self.keys.due(link))
            pipe.hlen(self.keys.held(link))
            pipe.zcard(self.keys.cdrs(link))
            pipe.zrange(self.keys.due(link), 0, 0, withscores=True)
            pipe.zrangebyscore(self.keys.cdrs(link), "(-inf", "(+inf", start=0, num=1, withscores=True)
            due, held, cdrs, *first = await pipe.execute()
        oldest = min((int(entry[0][1]) for entry in first if entry), default=None)
        return Backlog(due=due, held=held, cdrs=cdrs, oldest=oldest)

    def _queue_owe(self, pipe: Pipeline, link: str, name: Name, at_ms: int) -> None:
        """The link must be listed, too: nobody would look under a link that isn't."""
        if name.module is Module.CDRS:
            self._queue_cdr_owe(pipe, link, name, at_ms)
        else:
            keys = [self.keys.due(link), self.keys.ticket(link), self.keys.held(link), self.keys.later(link)]
            self.queue(pipe, "owe", keys, name.text, at_ms)


def _pack_sent(sent: Sent | None, *, doubtful: bool = False) -> bytes:
    """The version stands in front, where a script finds it; nothing for None."""
    if sent is None:
        return b""
    # Level 1: a Location shrinks to a third in 30 us; higher levels gain little and cost ten times that.
    rest = msgspec.msgpack.encode((sent.sequence, zlib.compress(sent.wire, 1)))
    return (b"" if doubtful else sent.version.encode()) + b"\n" + rest


def _unpack_sent(packed: bytes) -> Sent:
    version, _, rest = packed.partition(b"\n")
    sequence, wire = msgspec.msgpack.decode(rest, type=tuple[int, bytes])
    return Sent(wire=zlib.decompress(wire), version=version.decode(), sequence=sequence)


def _unpack_held(text: str, packed: bytes) -> Held:
    reason, detail, at = msgspec.msgpack.decode(packed, type=tuple[str, str, int])
    return Held(Name.parse(text), reason, detail, at)
