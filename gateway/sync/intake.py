"""What was read in a list becomes what is said: stored under its owner, and owed to those who take it.

A list says what is, not what has happened. So an object is stored only if it differs from what is stored, and isn't
older: a crawl that is under way for an hour doesn't undo what was pushed meanwhile. Then it goes the way of a push: the
router tells who is to have it, the ledger brings it. But a CDR is never owed to anybody because it was read: it is
stored, and whoever it is for may list it.

Spec: 2.2.1 ``transport_and_format``, Offline behaviour: the returning side pulls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

import structlog
from attrs import frozen

from gateway.attaching import Attaching
from gateway.directory import Directory, Link
from gateway.filing import Filed, Filing
from gateway.listed import Item
from gateway.lookup import Lookup
from gateway.model.attached import of_a_feed
from gateway.model.errors import ReceiverError
from gateway.model.message import Message, Ref, Trace
from gateway.model.modules import MODULES, Module, Side, Verb, kind_of
from gateway.model.names import Name, Said, Saying
from gateway.model.party import Party, Role, is_supply
from gateway.model.values import moment, same
from gateway.model.withdrawn import withdrawn
from gateway.ports import Codec, Owed
from gateway.references import References
from gateway.routing import About, Copy, route, targets_of
from gateway.showing import Showing
from gateway.sync.schedule import ms_of
from gateway.sync.states import Counts, Crawl
from gateway.telemetry import COPIES

log = structlog.get_logger()

GONE: Final = "gone-"
"""How the correlation id of an object begins that was withdrawn because it wasn't listed any more."""

_OF_A_TOKEN: Final = frozenset({Module.SESSIONS, Module.CDRS})
_TRIES: Final = 5


class Owing(Protocol):
    """The ledger, as it is seen from here."""

    async def owed(self, name: Name) -> None:
        """Something was said and is noted as owed."""


@frozen(kw_only=True)
class _Way:
    """Who is to have an object: it is owed to some links, and others may list it without that."""

    owed: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    receiver: Party | None = None
    copy: bool = False


@frozen(kw_only=True)
class _Wanted:
    """An object that is to be stored."""

    name: Name
    item: Item
    canonical: Any
    stored: Said | None
    before: Any


@frozen(kw_only=True)
class Intake:
    """Takes in what one list says.

    Attributes:
        link: whose list it is.
    """

    store: Owed
    codec: Codec
    lookup: Lookup
    showing: Showing
    references: References
    attaching: Attaching
    filing: Filing
    ledger: Owing
    link: Link
    module: Module
    directory: Directory
    version: str
    now: datetime

    async def take(self, items: Sequence[Item], crawl: Crawl) -> tuple[Counts, list[Name]]:
        """What became of these items, and the names of all of them.

        Raises:
            NotDurable: the store is away.
        """
        named = {self.name_of(item): item for item in items}  # of two of one name, the last
        counts = Counts()
        rest = dict(named)
        for _ in range(_TRIES):
            done, rest = await self._take(rest, crawl)
            counts += done
            if not rest:
                return counts, list(named)
        raise ReceiverError("what it lists is being changed by others all the time")

    def name_of(self, item: Item) -> Name:
        """What an item is called."""
        canonical = item.canonical
        if self.module is Module.TOKENS:
            return Name(self.module, item.owner, str(canonical["uid"]), str(canonical["type"]))
        return Name(self.module, item.owner, str(canonical["id"]))

    async def _take(self, named: Mapping[Name, Item], crawl: Crawl) -> tuple[Counts, dict[Name, Item]]:
        """What became of them, and those that somebody else wrote just now."""
        names = list(named)
        stored = await self.store.read_many(names)
        wanted, counts = [], {"same": 0, "older": 0, "copies": 0, "skipped": 0, "stored": 0}
        ways: dict[Name, _Way] = {}
        for name, said in zip(names, stored, strict=True):
            item = named[name]
            before = self.codec.loads(said.canonical) if said is not None else None
            canonical = await self.references.attached(name, item.wire, item.canonical, before)
            if self.link.backend:
                canonical = await self.attaching.joined(name, canonical, before)
            if (known := self._known(canonical, said, before, crawl)) is not None:
                counts[known] += 1
                continue
            ways[name] = await self._way(name, canonical)
            if ways[name].copy:
                counts["copies"] += 1
                continue
            wanted.append(_Wanted(name=name, item=item, canonical=canonical, stored=said, before=before))
        moved = await self._say(wanted, ways, crawl)
        counts["stored"] = len(wanted) - len(moved)
        return Counts(**counts), {name: named[name] for name in moved}

    def _known(self, canonical: Any, said: Said | None, before: Any, crawl: Crawl) -> str | None:
        """Why an object need not be stored; None for one that must be."""
        if said is None:
            return None
        if said.deleted:
            # Deleted since the crawl began, it was listed before that; else its owner has it again.
            return "older" if said.at >= crawl.began else None
        if self.module is Module.CDRS:
            if not same({**canonical, "last_updated": None}, {**before, "last_updated": None}):
                log.warning(
                    "cdr.conflict", partner=self.link.id, module=Module.CDRS,
                    todo="it is listed with other content than it came with, and the first was kept: ask its sender",
                )  # fmt: skip
            return "same"
        if said.correlation.startswith(GONE):
            return None if said.at < crawl.began else "older"
        if same(canonical, before):
            return "same"
        if self.link.dialect.policy.sync_delta_by == "hub_time":
            return None  # its last_updated is when the hub got it, which says nothing beside another way's
        if of_a_feed(kind_of(self.module), before):
            return None  # nor does that of a price which its owner never said
        return "older" if moment(canonical["last_updated"]) < moment(before["last_updated"]) else None

    # Writing ----------------------------------------------------------------------------------------------------------

    async def _say(self, wanted: Sequence[_Wanted], ways: Mapping[Name, _Way], crawl: Crawl) -> list[Name]:
        """Store them, and let everybody have them who is to. Those that somebody else wrote in between."""
        sayings = [
            Saying(
                name=each.name,
                canonical=self.codec.dumps(each.canonical),
                wire=self.codec.dumps(each.item.wire),
                version=self.version,
                source=self.link.id,
                expect=each.stored.sequence if each.stored is not None else 0,
                owed=ways[each.name].owed,
                correlation=crawl.id,
                receiver=ways[each.name].receiver,
            )
            for each in wanted
        ]
        for each in wanted:
            await self._doubt(each, ways[each.name])
        sequences = await self.store.say_all(sayings)
        said = [each for each, sequence in zip(wanted, sequences, strict=True) if sequence >= 0]
        await self.filing.index([Filed(name=each.name, canonical=each.canonical, before=each.before) for each in said])
        await asyncio.gather(*(self._handed_on(each, ways[each.name]) for each in said))
        return [each.name for each, sequence in zip(wanted, sequences, strict=True) if sequence < 0]

    async def _handed_on(self, said: _Wanted, way: _Way) -> None:
        for link in way.shown:
            await self.showing.show(self.directory[link], said.name, said.canonical)
        await self._owed(said.name, way)
        await self.attaching.replaced(said.name, said.before)

    async def _doubt(self, wanted: _Wanted, way: _Way) -> None:
        """A partner's pushes are brought live, past the ledger: what it believes that the backend has is older."""
        if wanted.stored is not None and not wanted.stored.crawled and not self.link.backend:
            for link in way.owed:
                await self.store.take(link, wanted.name)

    async def _owed(self, name: Name, way: _Way) -> None:
        if not way.owed:
            return
        if self.module is Module.TARIFFS:
            await self.filing.look_again(name, way.owed, ms_of(self.now))
        await self.ledger.owed(name)

    async def withdraw(self, name: Name, said: Said, crawl: Crawl) -> bool:
        """An object is no longer listed, so its owner has it no more. False if somebody wrote it in between.

        A tariff is deleted. OCPI deletes neither locations nor tokens: the EVSEs of the one become REMOVED, the other
        is no longer valid (2.2.1 and 2.1.1 ``mod_locations``, ``mod_tokens``, Receiver interface).
        """
        before = self.codec.loads(said.canonical)
        way = await self._way(name, before)
        stamp = f"{max(self.now, moment(before['last_updated'])):%Y-%m-%dT%H:%M:%SZ}"
        saying = Saying(
            name=name, canonical=self.codec.dumps(withdrawn(name.module, before, stamp)),
            wire=self.codec.dumps(withdrawn(name.module, self.codec.loads(said.wire), stamp)), version=said.version,
            source=said.source, expect=said.sequence, owed=way.owed, deleted=name.module is Module.TARIFFS,
            correlation=f"{GONE}{crawl.id}", receiver=way.receiver,
        )  # fmt: skip
        (sequence,) = await self.store.say_all([saying])
        if sequence >= 0:
            await self._owed(name, way)
        return sequence >= 0

    # Who is to have it ------------------------------------------------------------------------------------------------

    async def _way(self, name: Name, canonical: Any) -> _Way:
        """As the router sends a push of it that names no receiver."""
        announced, about = await self._about(canonical)
        plans = [route(push, self.link, self.directory, announced, about) for push in self._pushes(name)]
        if plans and all(isinstance(plan, Copy) for plan in plans):
            COPIES.labels(self.link.id, self.module).inc()
            return _Way(copy=True)
        links = tuple(dict.fromkeys(target.link for plan in plans for target in targets_of(plan)))
        # As of a push: a backend's said nobody, and of several of us it is for all.
        to = {target.party for plan in plans for target in targets_of(plan)}
        receiver = to.pop() if len(to) == 1 and not self.link.backend else None
        if self.module is Module.CDRS:
            return _Way(shown=links, receiver=receiver)
        return _Way(owed=links, receiver=receiver)

    def _pushes(self, name: Name) -> list[Message]:
        """The pushes that would have said this: of a backend's object one, of a partner's one to each of us."""
        message = Message(
            module=self.module, verb=Verb.PUT, side=Side.RECEIVER, sender=name.owner, receiver=None,
            ref=Ref(owner=name.owner, id=name.id, type=name.type), trace=Trace(request_id="", correlation_id=""),
        )  # fmt: skip
        if self.link.backend:
            return [message]
        supply = MODULES[self.module].owner is not Role.CPO
        ours = dict.fromkeys(seat.party for seat in self.link.dialect.ours if is_supply(seat.role) == supply)
        if self.module in _OF_A_TOKEN:
            ours = dict.fromkeys(list(ours)[:1])  # the content tells which of us
        return [message.evolve(receiver=party) for party in ours]

    async def _about(self, canonical: Any) -> tuple[str | None, About]:
        """Whose token it is about, where the route follows from that."""
        if self.module not in _OF_A_TOKEN:
            return None, About(at=self.now)
        return await self.lookup.about(kind_of(self.module), canonical, self.directory)
