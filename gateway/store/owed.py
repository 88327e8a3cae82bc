"""What is owed: under each link, the objects to look at and the CDRs to deliver.

*Objects.* A due entry says "look at this object", not "send this body": what is sent is the difference between what
the receiver confirmed last (``Sent``) and what is, worked out at that time. So a thousand changes while a receiver is
away cost one entry and one request. Three rules keep it honest:

- Every new reason takes a new ticket, and an attempt removes the entry only if its ticket is still the last. A change
  that comes while an attempt is under way is looked at afterwards.
- ``take`` reads and deletes ``Sent`` in one step, and only a confirmed delivery writes it again. After an attempt in
  doubt nothing is known, so the next one sends the whole object: a PATCH that appends would append twice.
- An entry is never due later because of a new reason.

*CDRs.* Each is owed once for good. An entry moves from state to state only by those who know where it stands.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable
from itertools import islice
from typing import Final

import msgspec
from attrs import define
from redis.asyncio.client import Pipeline

from gateway.model.modules import Module
from gateway.model.names import Backlog, CdrEntry, CdrState, Due, Held, Mark, Name, Sent
from gateway.store.connection import Connection, mark
from gateway.store.keys import COUNTER

_CDR_FIELDS: Final = ("state", "reason", "attempts", "owed", "moved", "at", "location", "digest")
# So many objects are owed in one round trip: they take Redis some 10 ms.
_A_TRIP: Final = 500


@define(eq=False)
class Owed(Connection):
    """What each link is owed. Every method raises ``NotDurable`` when Redis is away."""

    async def owe(self, link: str, name: Name, at_ms: int) -> int:
        """A new reason to look at the object for this link, at that time or when it was due already. The new ticket.

        An entry that was held is due again.
        """
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            self._queue_owe(pipe, link, name, at_ms)
            return int((await pipe.execute())[-1])

    async def owe_all(self, link: str, names: Iterable[Name]) -> None:
        """A new reason to look at each of these objects for this link, as of now; a few hundred to a round trip.

        What was owed when Redis went away stays owed, and the whole may be repeated.
        """
        rest, now = iter(names), self.now()
        while part := list(islice(rest, _A_TRIP)):
            async with self.durable(), self.client.pipeline(transaction=False) as pipe:
                for name in part:
                    self._queue_owe(pipe, link, name, now)
                await pipe.execute()

    async def due(self, link: str, now_ms: int, limit: int) -> list[Due]:
        """What is due by now, oldest first, at most ``limit``."""
        found = await self.run("due", [self.keys.due(link), self.keys.ticket(link)], now_ms, limit)
        entries = zip(found[::3], found[1::3], found[2::3], strict=True)
        return [Due(Name.parse(text.decode()), int(ticket), int(float(at))) for text, ticket, at in entries]

    async def take(self, link: str, name: Name) -> Sent | None:
        """What the receiver is known to have; as of now nobody knows, until ``settle`` says so. None: not known."""
        async with self.durable(), self.client.pipeline(transaction=True) as pipe:
            pipe.hget(self.keys.sent(link), name.text)
            pipe.hdel(self.keys.sent(link), name.text)
            packed = (await pipe.execute())[0]
        return None if packed is None else _unpack_sent(packed)

    async def forget_sent(self, link: str) -> None:
        """Nobody knows any more what this receiver has: it has joined anew, and starts with nothing."""
        await self.command("UNLINK", self.keys.sent(link))

    async def settle(self, link: str, due: Due, sent: Sent | None, again_ms: int | None = None) -> bool:
        """An attempt ended well. The entry goes, unless there is a newer reason to look.

        Args:
            sent: what the receiver has as of now, kept in either case; None if it has nothing.
            again_ms: the object falls due again by itself at this time (a tariff comes into force then).

        Returns:
            Whether nothing newer is owed.
        """
        return bool(
            await self.run(
                "settle",
                [self.keys.due(link), self.keys.ticket(link), self.keys.sent(link)],
                due.name.text,
                due.ticket,
                b"" if sent is None else _pack_sent(sent),
                "" if again_ms is None else again_ms,
            )
        )

    async def postpone(self, link: str, due: Due, at_ms: int) -> bool:
        """The entry waits until then. False, and nothing done, if there is a newer reason to look."""
        keys = [self.keys.due(link), self.keys.ticket(link)]
        return bool(await self.run("postpone", keys, due.name.text, due.ticket, at_ms))

    async def hold(self, link: str, due: Due, reason: str, detail: str) -> bool:
        """The entry is set aside until a new reason comes. False, and nothing done, if one came already."""
        packed = msgspec.msgpack.encode((reason, detail, self.now()))
        keys = [self.keys.due(link), self.keys.ticket(link), self.keys.held(link)]
        return bool(await self.run("hold", keys, due.name.text, due.ticket, packed))

    async def held(self, link: str) -> list[Held]:
        """What is set aside, longest first."""
        entries = await self.command("HGETALL", self.keys.held(link))
        found = [Held(Name.parse(text.decode()), *_unpack_held(packed)) for text, packed in entries.items()]
        return sorted(found, key=lambda held: (held.at, held.name.text))

    async def mark(self, link: str) -> Mark:
        """How far the link has come: whatever becomes due, or is shown to it, from now on lies behind this mark."""
        async with self.durable(), self.client.pipeline(transaction=True) as pipe:
            pipe.hget(self.keys.ticket(link), COUNTER)
            pipe.hget(self.keys.seen_parts(link), COUNTER)
            ticket, rank = await pipe.execute()
        return Mark(ticket=int(ticket or 0), rank=int(rank or 0), at=self.now())

    async def owing(self) -> list[str]:
        """Links with anything due or any CDR pending, now or later, in the order of their ids."""
        links = sorted(link.decode() for link in await self.command("SMEMBERS", self.keys.links()))
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
            pipe.zrangebyscore(self.keys.cdrs(link), "-inf", "(+inf", start=0, num=1, withscores=True)
            due, held, cdrs, *first = await pipe.execute()
        oldest = min((int(entry[0][1]) for entry in first if entry), default=None)
        return Backlog(due=due, held=held, cdrs=cdrs, oldest=oldest)

    # CDRs -------------------------------------------------------------------------------------------------------------

    async def cdr_owe(self, link: str, name: Name, at_ms: int) -> bool:
        """The CDR is owed to this link, pending. False, and nothing done, if it ever was before."""
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            self._queue_owe(pipe, link, name, at_ms)
            return bool((await pipe.execute())[-1])

    async def cdr_next(self, link: str, now_ms: int, limit: int) -> list[CdrEntry]:
        """Pending CDRs whose time has come, the one that waits longest first, at most ``limit``."""
        key = self.keys.cdrs(link)
        entries = await self._cdrs(link, await self.command("ZRANGEBYSCORE", key, "-inf", now_ms, "LIMIT", 0, limit))
        return [entry for entry in entries if entry.state is CdrState.PENDING]

    async def cdr_move(
        self,
        link: str,
        name: Name,
        from_states: Collection[CdrState],
        to_state: CdrState,
        *,
        reason: str = "",
        at_ms: int | None = None,
        location: str | None = None,
        digest: str | None = None,
    ) -> bool:
        """The CDR goes to another state, if it is in one of ``from_states``; else False, and nothing done.

        Going in flight counts an attempt.

        Args:
            reason: why, for people; replaces the former one.
            at_ms: not tried before this time; matters while it is pending.
            location: the URL that the receiver gave it.
            digest: of the body that is sent.
        """
        facts = {"reason": reason, "at": at_ms, "location": location, "digest": digest}
        return bool(
            await self.run(
                "cdr_move",
                [self.keys.cdr(link, name), self.keys.cdrs(link), self.keys.cdrs_done(link)],
                mark(),
                name.text,
                f",{','.join(from_states)},",
                to_state,
                self.now(),
                *[part for field, value in facts.items() if value is not None for part in (field, value)],
            )
        )

    async def cdr_list(self, link: str, *, delivered: bool = False) -> list[CdrEntry]:
        """All CDRs of the link that aren't delivered, or all that are; the pending ones first, by their time."""
        key = self.keys.cdrs_done(link) if delivered else self.keys.cdrs(link)
        return await self._cdrs(link, await self.command("ZRANGE", key, 0, -1))

    async def _cdrs(self, link: str, texts: list[bytes]) -> list[CdrEntry]:
        names = [Name.parse(text.decode()) for text in texts]
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hmget(self.keys.cdr(link, name), *_CDR_FIELDS)
            records = await pipe.execute()
        return [_cdr_entry(name, record) for name, record in zip(names, records, strict=True)]

    def _queue_owe(self, pipe: Pipeline, link: str, name: Name, at_ms: int) -> None:
        """The link is listed before anything is owed to it: nobody would look under a link that isn't."""
        pipe.sadd(self.keys.links(), link)
        if name.module is Module.CDRS:
            keys = [self.keys.cdr(link, name), self.keys.cdrs(link)]
            self.queue(pipe, "cdr_owe", keys, name.text, at_ms, self.now())
        else:
            keys = [self.keys.due(link), self.keys.ticket(link), self.keys.held(link)]
            self.queue(pipe, "owe", keys, name.text, at_ms)


def _pack_sent(sent: Sent) -> bytes:
    # Level 1: a Location shrinks to a third in 30 us; higher levels gain little and cost ten times that.
    return msgspec.msgpack.encode((sent.version, sent.sequence, zlib.compress(sent.wire, 1)))


def _unpack_sent(packed: bytes) -> Sent:
    version, sequence, wire = msgspec.msgpack.decode(packed, type=tuple[str, int, bytes])
    return Sent(wire=zlib.decompress(wire), version=version, sequence=sequence)


def _unpack_held(packed: bytes) -> tuple[str, str, int]:
    return msgspec.msgpack.decode(packed, type=tuple[str, str, int])


def _cdr_entry(name: Name, record: list[bytes | None]) -> CdrEntry:
    state, reason, attempts, owed, moved, at, location, digest = ((value or b"").decode() for value in record)
    return CdrEntry(
        name=name,
        state=CdrState(state),
        reason=reason,
        attempts=int(attempts),
        owed=int(owed),
        moved=int(moved),
        at=int(at),
        location=location,
        digest=digest,
    )
