"""What is said: objects under their owners, written together with the note of who is owed them.

One script stores the object and its fan-out note; then the sender is acknowledged. ``spread`` (in ``redis.py``) turns
the note into due entries under each receiver, which in a cluster live elsewhere; a crash between the two leaves the
note, and ``orphans`` finds it. The same script keeps the list of all that an owner has said.

A variant is what an owner told one receiver alone (2.2.1 ``transport_and_format``, Message Routing: a push to one
party). It shadows the general object for that link until the owner sends that link a DELETE. General object and
variants share one sequence, so that "nothing has changed since I looked" covers both. How both lie in Redis is in
``packing.py``.

Tokens are found by uid and by contract, and whoever keeps some in memory hears of each that is said (``retold``).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from typing import Final

from attrs import define
from redis.asyncio.client import Pipeline

from gateway.model.modules import Module
from gateway.model.names import Moved, Name, Said, Saying, decode, encode, fold
from gateway.model.party import Party
from gateway.store.connection import Connection, mark
from gateway.store.keys import COUNTER, Drawer, owner_of, party_of, tag_of
from gateway.store.packing import HEAD_SIZE, general, pack, shadows, unpack

# A CDR comes within this time after its session, or its session isn't looked for. Seconds.
_SESSION_KEPT: Final = 90 * 24 * 3600
_WITH_VARIANTS: Final = frozenset({Module.LOCATIONS, Module.TARIFFS})


@define(eq=False)
class Objects(Connection):
    """Objects as their owners said them last, and the tokens among them by contract and by uid."""

    async def read(self, name: Name, link: str | None = None) -> Said | None:
        """The object, as the link may know it: its variant if there is one, else the general object.

        Raises:
            NotDurable: Redis is away.
        """
        return (await self.read_many([name], link))[0]

    async def read_many(self, names: Sequence[Name], link: str | None = None) -> list[Said | None]:
        """Objects in the order of their names, in one round trip; None where there is none.

        Raises:
            NotDurable: Redis is away.
        """
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.get(self.keys.object(name))
                if link is not None and name.module in _WITH_VARIANTS:
                    pipe.get(self.keys.object(name, link))
            answers = iter(await pipe.execute())
        found: list[Said | None] = []
        for name in names:
            under = general(next(answers))
            record = under.record
            if link is not None and name.module in _WITH_VARIANTS and shadows(variant := next(answers), record):
                record = variant
            found.append(unpack(record, under.sequence))
        return found

    async def read_for(self, name: Name, links: Sequence[str]) -> tuple[Said | None, dict[str, Said]]:
        """The general object, and the variants of those among the links that have one.

        One round trip, and one more where anybody at all has a variant.

        Raises:
            NotDurable: Redis is away.
        """
        under = general(await self.command("GET", self.keys.object(name)))
        found: dict[str, Said] = {}
        if under.variants:
            async with self.durable(), self.client.pipeline(transaction=False) as pipe:
                for link in links:
                    pipe.get(self.keys.object(name, link))
                answers = await pipe.execute()
            for link, variant in zip(links, answers, strict=True):
                if shadows(variant, under.record) and (said := unpack(variant, under.sequence)) is not None:
                    found[link] = said
        return unpack(under.record, under.sequence), found

    async def with_variants(self, names: Sequence[Name]) -> set[Name]:
        """Those of which anybody at all has a variant; one round trip.

        Raises:
            NotDurable: Redis is away.
        """
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.getrange(self.keys.object(name), 0, HEAD_SIZE - 1)
            heads = await pipe.execute()
        return {name for name, head in zip(names, heads, strict=True) if general(head or None).variants}

    async def say(
        self,
        name: Name,
        canonical: bytes,
        wire: bytes,
        version: str,
        source: str,
        expect: int | None,
        owed: Sequence[str],
        variant: str | None = None,
        deleted: bool = False,
        *,
        correlation: str = "",
        receiver: Party | None = None,
    ) -> int:
        """The object is written, and whom it is owed to noted, in one step. When this returns, it may be acknowledged.

        A deleted general object stays, marked; a deleted variant goes, and the general object shows again. One without
        a general object behind it stays, marked, for as long as there is none.

        Args:
            canonical: the canonical document, bytes of JSON.
            wire: the object in its sender's form, bytes of JSON.
            version: the OCPI version of ``wire``.
            source: the link it came by.
            expect: the sequence that the caller has read; 0: there must be no such object (or variant) yet; None: any.
            owed: links that must hear of it. ``spread`` must follow.
            variant: the only link this is meant for; locations and tariffs only.
            correlation: the correlation id of the message.
            receiver: the party that it was addressed to.

        Returns:
            The new sequence.

        Raises:
            Moved: ``expect`` is wrong; nothing was written.
            NotDurable: Redis is away. It may have been written nevertheless.
        """
        saying = Saying(
            name=name,
            canonical=canonical,
            wire=wire,
            version=version,
            source=source,
            expect=expect,
            owed=owed,
            variant=variant,
            deleted=deleted,
            correlation=correlation,
            receiver=receiver,
        )
        (sequence,) = await self.say_all([saying])
        if sequence < 0:
            raise Moved("the object was changed by someone else at the same time; try again")
        return sequence

    async def say_all(self, sayings: Sequence[Saying]) -> list[int]:
        """Several objects are said, each as ``say`` says one, in one round trip: a few hundred at most.

        Returns:
            The new sequence of each; -1 where ``expect`` was wrong and nothing was written.

        Raises:
            NotDurable: Redis is away. Any of them may have been written nevertheless.
        """
        for saying in sayings:
            if saying.variant is not None and saying.name.module not in _WITH_VARIANTS:
                raise ValueError(f"{saying.name.module} have no variants")
        if not sayings:
            return []
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            # First and in the same trip: nobody would look for notes and objects of an owner that isn't listed.
            pipe.sadd(self.keys.owners(), *sorted({owner_of(saying.name) for saying in sayings}))
            for saying in sayings:
                self._queue_saying(pipe, saying)
            answers = await pipe.execute()
        return [int(sequence) for sequence in answers[1 : 1 + len(sayings)]]

    def _queue_saying(self, pipe: Pipeline, saying: Saying) -> None:
        name, owner, now = saying.name, owner_of(saying.name), self.now()
        self.queue(
            pipe,
            "say",
            [
                self.keys.object(name),
                self.keys.object(name, saying.variant),
                self.keys.note(name),
                self.keys.notes(owner),
                self.keys.all(owner, name.module),
                self.keys.all_rank(owner),
            ],
            "" if saying.expect is None else saying.expect,
            mark(),
            name.text,
            now,
            pack(saying, now),
            self.keys.retold() if name.module is Module.TOKENS else "",
            fold(name.id),
            *map(encode, saying.owed),
        )

    async def retold(self, every: float = 1.0) -> AsyncGenerator[str | None, None]:
        """Folded uids of tokens as they are said, by whichever replica, without end.

        None means: any token may have been said. It comes first, whenever a call may have been missed, and every
        ``every`` seconds without one. While Redis is away, nothing comes.
        """
        async with aclosing(self.heard(self.keys.retold(), every)) as calls:
            async for uid in calls:
                yield uid if uid is None else uid.decode()

    async def names(self, owner: Party, module: Module, after: int = 0, limit: int = 500) -> list[tuple[int, Name]]:
        """The owner's objects of a module in the order in which they came, each with its rank; at most ``limit``.

        What is deleted isn't among them; what is only there as somebody's variant is. An object keeps its rank however
        often it changes, and one that was deleted and said again comes last, so nothing is skipped between two calls.

        Args:
            after: the rank that the last call ended with; 0: from the beginning.

        Raises:
            NotDurable: Redis is away.
        """
        key = self.keys.all(tag_of(owner), module)
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            pipe.zrangebyscore(key, f"({after}", "+inf", start=0, num=limit, withscores=True)
            (found,) = await pipe.execute()
        return [(int(rank), Name.parse(text.decode())) for text, rank in found]

    async def owners(self) -> list[Party]:
        """Everyone of whom an object was ever said, in the order of their codes. Raises NotDurable as above."""
        return sorted(party_of(tag.decode()) for tag in await self.command("SMEMBERS", self.keys.owners()))

    async def index_token(self, name: Name, contract_id: str, former: str | None = None) -> None:
        """The token can be found by its uid and its contract from now on, and no longer by its former contract.

        Safe to repeat. Contract ids are compared without case, separators as they stand.

        Raises:
            NotDurable: Redis is away.
        """
        await self.index_tokens([(name, contract_id, former)])

    async def index_tokens(self, tokens: Sequence[tuple[Name, str, str | None]]) -> None:
        """The same of several tokens, each with its contract and its former one, in one round trip.

        Raises:
            NotDurable: Redis is away. It may be repeated as a whole.
        """
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            for name, contract_id, former in tokens:
                contract = self.keys.contract(contract_id)
                self._queue_index(pipe, "index", self.keys.uid(name.id), name)
                if former is not None and (left := self.keys.contract(former)) != contract:
                    self._queue_index(pipe, "unindex", left, name)
                self._queue_index(pipe, "index", contract, name)
            await pipe.execute()

    def _queue_index(self, pipe: Pipeline, name_of_script: str, under: Drawer, name: Name) -> None:
        self.queue(pipe, name_of_script, [under.shared, under.own], under.id, name.text)

    async def tokens_of_contract(self, contract_id: str) -> list[Name]:
        """The tokens of a contract. Raises NotDurable when Redis is away."""
        return await self._indexed(self.keys.contract(contract_id))

    async def index_session(self, name: Name, contract_id: str) -> None:
        """The session can be found by the contract that is charging, for 90 days. Safe to repeat.

        Raises:
            NotDurable: Redis is away.
        """
        key = self.keys.sessions(contract_id)
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            pipe.sadd(key, name.text)
            pipe.expire(key, _SESSION_KEPT)
            await pipe.execute()

    async def sessions_of_contract(self, contract_id: str) -> list[Name]:
        """The sessions of a contract within 90 days. Raises NotDurable when Redis is away."""
        return await self._names(self.keys.sessions(contract_id))

    async def index_location(self, name: Name, tariff_ids: Collection[str]) -> None:
        """The location can be found by the tariffs that its connectors name.

        It stays when it names them no longer: whoever finds it looks at what it names now. Safe to repeat.

        Raises:
            NotDurable: Redis is away.
        """
        if not tariff_ids:
            return
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            for tariff_id in tariff_ids:
                pipe.sadd(self.keys.priced(name.owner, tariff_id), name.text)
            await pipe.execute()

    async def locations_of_tariff(self, owner: Party, tariff_id: str) -> list[Name]:
        """The locations that name a tariff, or once did. Raises NotDurable when Redis is away."""
        return await self._names(self.keys.priced(owner, tariff_id))

    async def tokens_by_uid(self, uid: str) -> list[Name]:
        """The tokens with this uid, of every type and owner. Raises NotDurable when Redis is away."""
        return await self._indexed(self.keys.uid(uid))

    async def _indexed(self, under: Drawer) -> list[Name]:
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            pipe.hget(under.shared, under.id)
            pipe.smembers(under.own)
            first, others = await pipe.execute()
        return [Name.parse(text.decode()) for text in sorted({*others, *filter(None, [first])})]

    async def _names(self, key: str) -> list[Name]:
        return [Name.parse(text.decode()) for text in sorted(await self.command("SMEMBERS", key))]

    async def _note(self, name: Name) -> tuple[list[str], int]:
        """The links that the name's fan-out note lists, and its sequence; none and 0 without a note."""
        note = await self.command("HGETALL", self.keys.note(name))
        sequence = int(note.pop(COUNTER.encode(), 0))
        return sorted(decode(link.decode()) for link in note), sequence
