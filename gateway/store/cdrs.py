"""The ledger of CDRs: one entry for each CDR and receiver, made once for good, and a log of its changes.

An entry moves from state to state only by those who know where it stands (``cdr_move``). What isn't done lies in one
set, by the time of its next attempt: before all times what is in flight, so that whoever takes a link over finds what a
dead process had under way without looking through everything; after all times what waits for a person.

Every change of a state is appended to a log in the same script, so that nobody who follows the log can miss one, and is
kept for 30 days. ``changes`` reads the logs of all links behind one cursor.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import AsyncGenerator, Collection, Sequence
from itertools import count, takewhile
from typing import Final

import msgspec
from attrs import define, frozen
from redis.asyncio.client import Pipeline

from gateway.model.errors import InvalidObject
from gateway.model.modules import Module
from gateway.model.names import CdrChange, CdrEntry, CdrState, Name
from gateway.store.connection import mark
from gateway.store.leases import Leases

PAGE: Final = 500
"""So many entries are read in one round trip: they take Redis some 10 ms."""

_CHANGES_KEPT_MS: Final = 30 * 24 * 3600 * 1000
# A peer writes what it likes into its status_message. Characters.
_LONGEST_REASON: Final = 500
# What the log leaves out of a name, since it is the same in each.
_CDRS: Final = f"{Module.CDRS}:"
# The log has only the first letters of a state: they tell all states apart.
_BY_LETTERS: Final = {state[:4]: state for state in CdrState}


@define(eq=False)
class Cdrs(Leases):
    """What stands in the ledger for each link. Every method raises ``NotDurable`` when Redis is away."""

    async def cdr_owe(self, link: str, name: Name, at_ms: int) -> bool:
        """The CDR is owed to this link, pending. False, and nothing done, if it ever was before."""
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            pipe.sadd(self.keys.links(), link)
            self._queue_cdr_owe(pipe, link, name, at_ms)
            return bool((await pipe.execute())[-1])

    def _queue_cdr_owe(self, pipe: Pipeline, link: str, name: Name, at_ms: int) -> None:
        keys = [self.keys.cdr(link, name), self.keys.cdrs(link), self.keys.cdr_counts(link), self.keys.changes(link)]
        self.queue(pipe, "cdr_owe", keys, name.text, at_ms, self.now(), _CHANGES_KEPT_MS)

    async def cdr_next(self, link: str, now_ms: int, limit: int) -> list[CdrEntry]:
        """Pending CDRs whose time has come, the one that waits longest first, at most ``limit``."""
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            pipe.zrangebyscore(self.keys.cdrs(link), "(-inf", now_ms, start=0, num=limit, withscores=True)
            (found,) = await pipe.execute()
        return [entry for entry in await self._entries(link, found) if entry.state is CdrState.PENDING]

    async def cdr_in_flight(self, link: str) -> list[CdrEntry]:
        """CDRs that somebody is posting just now, or was when its process died."""
        found = await self.command("ZRANGEBYSCORE", self.keys.cdrs(link), "-inf", "-inf")
        entries = await self._entries(link, [(text, 0.0) for text in found])
        return [entry for entry in entries if entry.state is CdrState.IN_FLIGHT]

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
        since_ms: int | None = None,
        who: str = "",
        fence: int | None = None,
    ) -> bool:
        """The CDR goes to another state, if it is in one of ``from_states``; else False, and nothing done.

        Going in flight counts an attempt. Whatever goes to another state is told to those who follow the changes.

        Args:
            reason: why, for people; replaces the former one. Cut at 500 characters.
            at_ms: not tried before this time, if it is pending then; None: as before, or now.
            location: the URL that the receiver gave it; None: as before.
            digest: of the body that is sent; None: as before. The shorter, the smaller the entry: there are millions.
            since_ms: when the receiver refused it first; None: as before. What a person sends again begins anew.
            who: the person or process that decided this; replaces the former one.
            fence: of the lease that the caller holds; None: whoever holds it.

        Raises:
            Ousted: another replica has taken the link over.
        """
        facts = {"location": location, "digest": digest, "since": since_ms}
        keys = self.keys
        return bool(
            await self.fenced(
                "cdr_move",
                link,
                fence,
                [
                    keys.cdr(link, name),
                    keys.cdrs(link),
                    keys.cdrs_done(link),
                    keys.cdr_counts(link),
                    keys.changes(link),
                ],
                mark(),
                name.text,
                f",{','.join(from_states)},",
                to_state,
                self.now(),
                "" if at_ms is None else at_ms,
                _CHANGES_KEPT_MS,
                reason[:_LONGEST_REASON],
                who,
                *[part for field, value in facts.items() if value is not None for part in (field, value)],
            )
        )

    async def cdr_entry(self, link: str, name: Name) -> CdrEntry | None:
        """Where this CDR stands towards this link; None if it was never owed to it."""
        at = await self.command("ZSCORE", self.keys.cdrs(link), name.text)
        return next(iter(await self._entries(link, [(name.text.encode(), at)])), None)

    async def cdr_page(
        self, link: str, *, done: bool, after: str | None = None, limit: int = PAGE
    ) -> tuple[list[CdrEntry], str | None]:
        """Some of the CDRs of a link that are done, or of those that aren't.

        Each that is there from the first page to the last comes, wherever it moves meanwhile; in rare cases twice. A
        few hundred come at once, in the order of their time; more come in none.

        Args:
            after: the cursor that the page before ended with; None: from the beginning.
            limit: about how many.

        Returns:
            The entries, and the cursor of what follows; None: nothing.

        Raises:
            InvalidObject: the cursor isn't one of ours.
        """
        found, cursor = await self.scanned(self.keys.cdrs_done(link) if done else self.keys.cdrs(link), after, limit)
        return [entry for entry in await self._entries(link, found) if entry.state.done is done], cursor

    async def cdr_entries(self, link: str, *, done: bool) -> AsyncGenerator[CdrEntry, None]:
        """All CDRs of a link that are done, or all that aren't, as ``cdr_page`` gives them; never all in memory."""
        after: str | None = None
        while True:
            entries, after = await self.cdr_page(link, done=done, after=after)
            for entry in entries:
                yield entry
            if after is None:
                return

    async def counts(self, link: str) -> dict[CdrState, int]:
        """How many CDRs of a link are in each state; every state is there."""
        found = await self.fields(self.keys.cdr_counts(link))
        return {state: int(found.get(state, 0)) for state in CdrState}

    async def changes(self, after: str | None, limit: int) -> tuple[list[CdrChange], str]:
        """What has changed in the ledger since, of all links, and the cursor for the next call.

        The changes of a CDR come in their order; those of several links are ordered by time as far as they are read
        together. None is missed, and one cursor gives the same again. What is older than 30 days may be gone.

        Args:
            after: the cursor that the last call gave; None: from the beginning of what is kept.
            limit: how many at most, at least 1.

        Raises:
            InvalidObject: the cursor isn't one of ours.
        """
        places = _read_cursor(after)
        links = sorted(link.decode() for link in await self.command("SMEMBERS", self.keys.links()))
        # First only where each link's log goes on: a busy one has room then for all that it has.
        heads = await self._logged(dict.fromkeys(links, 1), places)
        going_on = sorted((log[0].at, link) for link, log in heads.items() if log)[:limit]
        share = limit // max(1, len(going_on))
        logs = await self._logged({link: share for _, link in going_on}, places)
        for link, log in logs.items():
            if log:
                places[link] = log[-1].id
        read = sorted((entry.change(link) for link, log in logs.items() for entry in log), key=lambda each: each.at)
        return read, _write_cursor(places)

    async def history(self, link: str, name: Name) -> list[CdrChange]:
        """The changes of one CDR towards one link within 30 days, oldest first. It looks through the link's log."""
        found: list[CdrChange] = []
        last, own = "+", name.text.removeprefix(_CDRS).encode()
        while page := await self.command("XREVRANGE", self.keys.changes(link), last, "-", "COUNT", PAGE):
            entries = [_Logged(id.decode(), fields) for id, fields in page]
            found += [entry.change(link) for entry in entries if entry.fields[b"name"] == own]
            if found and found[-1].former is None:
                break
            last = f"({entries[-1].id}"
        return found[::-1]

    async def _logged(self, wanted: dict[str, int], places: dict[str, str]) -> dict[str, list[_Logged]]:
        """For each link so many entries of its log as are wanted, from the place on."""
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            for link, most in wanted.items():
                pipe.xrange(self.keys.changes(link), f"({places[link]}" if link in places else "-", count=most)
            logs = await pipe.execute()
        read = [[_Logged(id.decode(), fields) for id, fields in log] for log in logs]
        return dict(zip(wanted, read, strict=True))

    async def _entries(self, link: str, found: Sequence[tuple[bytes, float | None]]) -> list[CdrEntry]:
        """The entries of these names, each with its time; without those that don't exist."""
        if not found:
            return []
        names = [Name.parse(text.decode()) for text, _ in found]
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hgetall(self.keys.cdr(link, name))
            records = await pipe.execute()
        rows = zip(names, found, records, strict=True)
        return [_cdr_entry(name, at, record) for name, (_, at), record in rows if record]

    async def scanned(self, key: str, after: str | None, about: int) -> tuple[list[tuple[bytes, float]], str | None]:
        """Some members of a sorted set with their scores, and the cursor of what follows.

        By ZSCAN rather than by score: a member that moves while a reader goes through the set isn't skipped.

        Raises:
            InvalidObject: the cursor isn't one of ours.
        """
        if after is not None and not (re.fullmatch("[0-9]{1,20}", after) and int(after) < _CURSORS):
            raise InvalidObject("after", "not a cursor that was given out here")
        cursor, found = await self.command("ZSCAN", key, after or 0, "COUNT", about)
        return found, str(cursor) if int(cursor) else None


# Redis counts its cursors in 64 bits.
_CURSORS: Final = 1 << 64


@frozen
class _Logged:
    """One entry of the log of changes, as it lies there."""

    id: str
    fields: dict[bytes, bytes]

    @property
    def at(self) -> int:
        return int(self.id.partition("-")[0])

    def change(self, link: str) -> CdrChange:
        text = {label.decode(): value.decode() for label, value in self.fields.items()}
        return CdrChange(
            link=link,
            name=Name.parse(_CDRS + text["name"]),
            former=_BY_LETTERS.get(text["from"]),
            state=_BY_LETTERS[text["to"]],
            reason=text["reason"],
            attempts=int(text["attempts"]),
            at=self.at,
            who=text.get("who", ""),
        )


def _cdr_entry(name: Name, at: float | None, record: dict[bytes, bytes]) -> CdrEntry:
    state, since = CdrState(_text(record, "state")), _text(record, "since")
    waits = state is CdrState.PENDING and at is not None and math.isfinite(at)
    return CdrEntry(
        name=name,
        state=state,
        reason=_text(record, "reason"),
        attempts=int(_text(record, "attempts")),
        owed=int(_text(record, "owed")),
        moved=int(_text(record, "moved")),
        at=int(at) if waits and at is not None else None,
        location=_text(record, "location"),
        digest=_text(record, "digest"),
        since=int(since) if since else None,
        who=_text(record, "who"),
    )


def _text(record: dict[bytes, bytes], label: str) -> str:
    """A text of an entry: a long one lies in several fields, since a long value would double what the entry takes."""
    first = record.get(label.encode(), b"")
    rest = takewhile(bool, (record.get(f"{label}{place}".encode(), b"") for place in count(1)))
    return b"".join((first, *rest)).decode()


# A cursor: for each link the two numbers of the last entry read of its log.
_places: Final = msgspec.msgpack.Decoder(dict[str, tuple[int, int]])


def _read_cursor(after: str | None) -> dict[str, str]:
    if after is None:
        return {}
    try:
        places = _places.decode(base64.urlsafe_b64decode(after + "=" * (-len(after) % 4)))
    except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
        raise InvalidObject("after", "not a cursor that was given out here") from error
    if any(not 0 <= number < _CURSORS for place in places.values() for number in place):
        raise InvalidObject("after", "not a cursor that was given out here")
    return {link: f"{at}-{turn}" for link, (at, turn) in places.items()}


def _write_cursor(places: dict[str, str]) -> str:
    numbers = {link: tuple(map(int, place.split("-"))) for link, place in places.items()}
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(numbers)).decode().rstrip("=")
