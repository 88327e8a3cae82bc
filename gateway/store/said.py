"""What is said: objects under their owners, written together with the note of who is owed them.

One script stores the object and its fan-out note; then the sender is acknowledged. ``spread`` (in ``redis.py``) turns
the note into due entries under each receiver, which in a cluster live elsewhere; a crash between the two leaves the
note, and ``orphans`` finds it. The same script keeps the list of all that an owner has said.

A variant is what an owner told one receiver alone (2.2.1 ``transport_and_format``, Message Routing: a push to one
party). It shadows the general object for that link until the owner sends that link a DELETE. General object and
variants share one sequence, so that "nothing has changed since I looked" covers both.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from attrs import define

from gateway.model.modules import Module
from gateway.model.names import Moved, Name, Said, decode, encode
from gateway.model.party import Party
from gateway.store.connection import Connection, mark
from gateway.store.keys import COUNTER, owner_of, party_of, tag_of

_FIELDS: Final = ("id", "canonical", "wire", "version", "source", "deleted", "at", "correlation", "receiver")
_DELETED: Final = _FIELDS.index("deleted")
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
                pipe.hmget(self.keys.object(name), "seq", *_FIELDS)
                if link is not None and name.module in _WITH_VARIANTS:
                    pipe.hmget(self.keys.object(name, link), *_FIELDS)
            answers = iter(await pipe.execute())
        found: list[Said | None] = []
        for name in names:
            sequence, *record = next(answers)
            if link is not None and name.module in _WITH_VARIANTS and _shadows(variant := next(answers), record):
                record = variant
            found.append(_said(record, int(sequence or 0)))
        return found

    async def read_for(self, name: Name, links: Sequence[str]) -> tuple[Said | None, dict[str, Said]]:
        """The general object, and the variants of those among the links that have one.

        One round trip, and one more where anybody at all has a variant.

        Raises:
            NotDurable: Redis is away.
        """
        variants, sequence, *record = await self.command("HMGET", self.keys.object(name), "variants", "seq", *_FIELDS)
        found: dict[str, Said] = {}
        if int(variants or 0):
            async with self.durable(), self.client.pipeline(transaction=False) as pipe:
                for link in links:
                    pipe.hmget(self.keys.object(name, link), *_FIELDS)
                answers = await pipe.execute()
            for link, variant in zip(links, answers, strict=True):
                if _shadows(variant, record) and (said := _said(variant, int(sequence))) is not None:
                    found[link] = said
        return _said(record, int(sequence or 0)), found

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
        if variant is not None and name.module not in _WITH_VARIANTS:
            raise ValueError(f"{name.module} have no variants")
        now = self.now()
        record: tuple[str | bytes | int, ...]
        record = (name.id, canonical, wire, version, source, int(deleted), now, correlation, str(receiver or ""))
        fields: list[str | bytes | int] = []
        for place, label in enumerate(_FIELDS):
            fields += [label, record[place]]
        owner = owner_of(name)
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            # First and in the same trip: nobody would look for notes and objects of an owner that isn't listed.
            pipe.sadd(self.keys.owners(), owner)
            self.queue(
                pipe,
                "say",
                [
                    self.keys.object(name),
                    self.keys.object(name, variant),
                    self.keys.note(name),
                    self.keys.notes(owner),
                    self.keys.all(owner, name.module),
                    self.keys.all_rank(owner),
                ],
                "" if expect is None else expect,
                mark(),
                name.text,
                now,
                int(deleted),
                len(fields),
                *fields,
                *map(encode, owed),
            )
            sequence = int((await pipe.execute())[-1])
        if sequence < 0:
            raise Moved("the object was changed by someone else at the same time; try again")
        return sequence

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
        async with self.durable():
            found: Any = await self.client.zrangebyscore(key, f"({after}", "+inf", start=0, num=limit, withscores=True)
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
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            pipe.sadd(self.keys.uid(name.id), name.text)
            if former is not None and self.keys.contract(former) != self.keys.contract(contract_id):
                pipe.srem(self.keys.contract(former), name.text)
            pipe.sadd(self.keys.contract(contract_id), name.text)
            await pipe.execute()

    async def tokens_of_contract(self, contract_id: str) -> list[Name]:
        """The tokens of a contract. Raises NotDurable when Redis is away."""
        return await self._names(self.keys.contract(contract_id))

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
        return await self._names(self.keys.uid(uid))

    async def _names(self, key: str) -> list[Name]:
        return [Name.parse(text.decode()) for text in sorted(await self.command("SMEMBERS", key))]

    async def _note(self, name: Name) -> tuple[list[str], int]:
        """The links that the name's fan-out note lists, and its sequence; none and 0 without a note."""
        note = await self.command("HGETALL", self.keys.note(name))
        sequence = int(note.pop(COUNTER.encode(), 0))
        return sorted(decode(link.decode()) for link in note), sequence


def _shadows(variant: Sequence[Any], general: Sequence[Any]) -> bool:
    """Whether there is this variant. A deleted one shadows nothing, unless there is no general object."""
    ended = variant[_DELETED] == b"1" and general[0] is not None
    return variant[0] is not None and not ended


def _said(record: Sequence[Any], sequence: int) -> Said | None:
    id, canonical, wire, version, source, deleted, at, correlation, receiver = record
    if at is None:
        return None
    return Said(
        id=id.decode(),
        canonical=canonical,
        wire=wire,
        version=version.decode(),
        source=source.decode(),
        sequence=sequence,
        deleted=deleted == b"1",
        at=int(at),
        correlation=(correlation or b"").decode(),
        receiver=Party.parse(receiver.decode()) if receiver else None,
    )
