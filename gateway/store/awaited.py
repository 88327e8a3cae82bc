"""What is awaited: later messages that belong to an earlier one, whichever replica they reach.

A command is answered at once and its result comes afterwards, to a URL of ours; a reservation is cancelled by the id
under which it was made; whoever set a charging profile hears of the session's profile while it lasts (2.2.1
``mod_commands``, ``mod_charging_profiles``). What the later message needs is kept here under the id that it carries:

*callbacks*     what a URL of ours stands for
*claims*        which of several came first: a command has one result, be it the partner's or the end of its time
*deadlines*     what happens if nothing comes
*reservations*  2.1.1 has numbers where 2.2.1 has strings, so each gets a number of its own on each 2.1.1 link
*profiles*      which links set a charging profile on a session

Two replicas never work on the same deadline at a time, and none is lost: whoever gets one has it on lease.
"""

from __future__ import annotations

from typing import Final

from attrs import define

from gateway.model.names import Name, decode, encode, fold
from gateway.model.party import Party
from gateway.store.connection import Connection, mark
from gateway.store.keys import party_of, tag_of

# Whoever gets a deadline has this long to do what is to be done, which is a request or two; then another one gets it.
LEASE_MS: Final = 30_000


@define(eq=False)
class Awaited(Connection):
    """What later messages need. Every method raises ``NotDurable`` when Redis is away."""

    # Callbacks --------------------------------------------------------------------------------------------------------

    async def remember(self, id: str, value: bytes, ttl: float | None) -> None:
        """``value`` is found under ``id`` for ``ttl`` seconds (None: for good): callbacks, URLs of CDRs."""
        drawer = self.keys.callback(id)
        if ttl is None:
            await self.run("remember", [drawer.shared, drawer.own], drawer.id, value)
            return
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            pipe.set(drawer.own, value, px=int(ttl * 1000))
            pipe.hdel(drawer.shared, drawer.id)
            await pipe.execute()

    async def recall(self, id: str) -> bytes | None:
        """What was remembered under ``id``, None if nothing or no longer."""
        drawer = self.keys.callback(id)
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            pipe.get(drawer.own)
            pipe.hget(drawer.shared, drawer.id)
            own, shared = await pipe.execute()
        value: bytes | None = shared if own is None else own
        return value

    async def forget(self, id: str) -> None:
        """Nothing is found under ``id`` any more."""
        drawer = self.keys.callback(id)
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            pipe.delete(drawer.own)
            pipe.hdel(drawer.shared, drawer.id)
            await pipe.execute()

    # Claims -----------------------------------------------------------------------------------------------------------

    async def claim(self, id: str, value: bytes, ttl: float) -> bytes | None:
        """Who claims ``id`` first has it for ``ttl`` seconds.

        Returns:
            None: it is the caller's. Else what the one said who has it.
        """
        key, own = self.keys.once(id), mark()
        # SET and GET rather than SET alone: a repeated SET NX would find it claimed, by ourselves.
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            pipe.set(key, own + value, nx=True, px=int(ttl * 1000))
            pipe.get(key)
            held: bytes | None = (await pipe.execute())[1]
        return None if held is None or held.startswith(own) else held[len(own) :]

    # Deadlines --------------------------------------------------------------------------------------------------------

    async def set_deadline(self, id: str, at_ms: int) -> None:
        """``id`` is overdue from this time on, in milliseconds since 1970; a former deadline of it counts no longer."""
        await self.command("ZADD", self.keys.deadlines(), at_ms, id)

    async def clear_deadline(self, id: str) -> bool:
        """It has none any more: what it was for has come, or what was to be done in the end is done.

        Returns:
            Whether it had one. Of two who clear it at the same time at most one reads True; if the answer to that one
            is lost, none does. Where exactly one must win, ``claim``.
        """
        return bool(await self.command("ZREM", self.keys.deadlines(), id))

    async def overdue(self, now_ms: int, limit: int) -> list[str]:
        """What is overdue by now, oldest first, at most ``limit``; each is the caller's alone for 30 s.

        Whoever has done what is to be done clears the deadline. If it doesn't within that time, somebody gets it again.
        """
        found = await self.run("overdue", [self.keys.deadlines()], now_ms, limit, now_ms + LEASE_MS)
        return [id.decode() for id in found]

    # Reservations -----------------------------------------------------------------------------------------------------

    async def reservation_number(self, link: str, owner: Party, id: str) -> int:
        """The number that stands for an eMSP's reservation on this link: always the same, from 1 to 2^31-1.

        2.1.1 ``mod_commands``, ReserveNow: ``reservation_id`` is an int; 2.2.1: CiString(36), unique for its eMSP.
        """
        compared, spelled = f"{tag_of(owner)}:{encode(fold(id))}", f"{tag_of(owner)}:{encode(id)}"
        return int(await self.run("reservation", [self.keys.reservations(link)], compared, spelled))

    async def reservation_of(self, link: str, number: int) -> tuple[Party, str] | None:
        """The eMSP and the id that a number of this link stands for, as first spelled; None if it was never given."""
        found = await self.command("HGET", self.keys.reservations(link), number)
        if found is None:
            return None
        owner, _, id = found.decode().partition(":")
        return party_of(owner), decode(id)

    # Charging profiles ------------------------------------------------------------------------------------------------

    async def subscribe(self, session: Name, link: str, value: bytes = b"", *, ttl: float) -> None:
        """The link has set a charging profile on this session; all who have are known for ``ttl`` seconds from now."""
        key = self.keys.profiled(session)
        async with self.durable(), self.client.pipeline(transaction=True) as pipe:
            pipe.hset(key, link, value)
            pipe.pexpire(key, int(ttl * 1000))
            await pipe.execute()

    async def subscribers(self, session: Name) -> dict[str, bytes]:
        """The links that have set a charging profile on this session, each with what it gave."""
        return await self.fields(self.keys.profiled(session))

    async def unsubscribe(self, session: Name, link: str) -> None:
        """The link has taken its charging profile away."""
        await self.command("HDEL", self.keys.profiled(session), link)
