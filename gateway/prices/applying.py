"""A feed's live run, laid on our own connectors: its tariffs are said, and our locations name them.

Our locations are gone through a page at a time. What the run says holds at their connectors is said under our name, as
any tariff is; then it is attached to the connectors, and each location that changes by that is said again. All of it is
owed like a push, and the ledger sees to the order in which partners get it. What the feed doesn't tell any more stays
for a while, since sessions may be under way that began at that price, and is then deleted.

Everything may be repeated and does only what is missing; so whatever is interrupted is simply done again. A tariff that
somebody else said under the same id is never touched: the feed's price isn't laid on, and that is flagged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import structlog
from attrs import define, evolve, field, frozen

from gateway.directory import Directory
from gateway.filing import Filed, Filing
from gateway.listed import crossing_of
from gateway.lookup import Lookup
from gateway.model.attached import (
    SAYABLE,
    SINCE,
    Attached,
    audience_of,
    for_store,
    joined,
    moved,
    spot,
    spots,
    tariffs_of,
)
from gateway.model.errors import InvalidObject, NotDurable
from gateway.model.facts import Withheld
from gateway.model.modules import Kind, Module
from gateway.model.names import Name, Said, Saying, fold
from gateway.model.party import Party
from gateway.model.prices import Audience, Flag, Priced
from gateway.model.values import same
from gateway.ports import Adapter, Attachments, Codec, Owed, Prices, PriceShapes, Seen
from gateway.prices.states import RUN, ms_of, written
from gateway.routing import broadcast

log = structlog.get_logger()

_PAGE: Final = 50  # locations that are looked at together
_A_LOT: Final = 25  # objects that are said, and handed to the ledger, together
_TRIES: Final = 5


class Owing(Protocol):
    """The ledger, as it is seen from here."""

    async def owed(self, name: Name) -> None:
        """Something was said and is noted as owed."""


class Store(Owed, Prices, Attachments, Seen, Protocol):
    """What is needed of the store."""


@frozen(kw_only=True)
class Asked:
    """Who of us the prices are laid on, and who asks for which of them, as the files say.

    Attributes:
        parties: our CPOs, by the backends that hold them.
        links: partners, with the audiences that they ask for beyond those that OCPI has words for.
    """

    parties: tuple[Party, ...]
    links: Mapping[str, frozenset[Audience]]

    @classmethod
    def of(cls, directory: Directory) -> Asked:
        """By a directory."""
        held = (party for link in directory.backends for party in link.their_parties(supply=True))
        links = {
            link.id: audiences
            for link in directory.partners
            if (audiences := frozenset(map(Audience, link.dialect.policy.tariffs_audience or ())) - SAYABLE)
        }
        return cls(parties=tuple(sorted(set(held), key=str)), links=links)

    @property
    def audiences(self) -> frozenset[Audience]:
        """Whose prices are laid on: those of drivers without a contract always."""
        return frozenset({Audience.ADHOC}).union(*self.links.values())

    def may_have(self, link: str, audience: Audience) -> bool:
        """Whether a link is told of prices for these drivers."""
        return audience in SAYABLE or audience in self.links.get(link, frozenset())

    @property
    def words(self) -> str:
        """The same for the same."""
        links = sorted((id, sorted(audiences)) for id, audiences in self.links.items())
        return f"{[*map(str, self.parties)]} {links}"


@define
class Applied:
    """What was done.

    Attributes:
        own_connectors: of ours, that have prices of the feed.
        tariffs: said because they are new or have changed.
        locations: said again because other prices hold there.
        retired: tariffs that will be deleted, because the feed doesn't tell them any more.
        deleted: tariffs that were.
        claimed: prices that couldn't be laid on, because their ids are others' tariffs.
        retire_at: when the next tariff is to be deleted, in milliseconds since 1970; 0: none is.
    """

    own_connectors: int = 0
    tariffs: int = 0
    locations: int = 0
    retired: int = 0
    deleted: int = 0
    claimed: list[Flag] = field(factory=list)
    retire_at: int = 0

    @property
    def anything(self) -> bool:
        """Whether anything was done."""
        return bool(self.tariffs or self.locations or self.retired or self.deleted)


@define(eq=False)
class Applying:
    """Lays one run on our connectors, once.

    Attributes:
        feed: id of its file, which is the source of what is said.
        run: the live one; empty: the feed says nothing any more.
        owners: parties by the feed's ``partner_id``.
        retire_after: how long a tariff stays that left the feed.
        thorough: whether each location is looked at although nothing new holds there, because it isn't known how far
            the last time came.
        files: ids of all feeds that have a file: the tariffs of another one, whose file is gone, may be taken over.
        first: whether this run, or what is laid on of it, wasn't laid on before.
    """

    store: Store
    shapes: PriceShapes
    codec: Codec
    adapters: Mapping[str, Adapter]
    lookup: Lookup
    ledger: Owing
    directory: Directory
    asked: Asked
    now: datetime
    feed: str
    run: str
    owners: Mapping[str, Party]
    retire_after: timedelta
    files: frozenset[str] = frozenset()
    thorough: bool = False
    first: bool = False
    done: Applied = field(factory=Applied)
    _filing: Filing = field(init=False)
    _imported: dict[Name, int | None] = field(factory=dict)
    _ours: set[str] = field(factory=set)  # the ids of these, folded
    _used: set[Name] = field(factory=set)
    _others: set[Name] = field(factory=set)
    _price_ids: dict[Name, str] = field(factory=dict)  # the feed's own, of the tariffs
    _confused: set[str | None] = field(factory=set)  # those that differ from one of these in case only
    _spots: set[int] = field(factory=set)  # numbers that stand for the connectors that were seen

    def __attrs_post_init__(self) -> None:
        self._filing = Filing(self.store)

    async def apply(self) -> Applied:
        """Lay it on.

        Raises:
            NotDurable: the store is away; as much as was done is done.
        """
        await self._read_imported()
        for owner in self.asked.parties:
            self._spots.clear()
            after = 0
            while page := await self.store.names(owner, Module.LOCATIONS, after, _PAGE):
                await self._lay_on(owner, [name for _, name in page])
                after = page[-1][0]
            await self._detach_the_rest(owner)
        await self._begin_to_retire()
        await self._delete_retired()
        return self.done

    async def apply_to(self, names: Sequence[Name]) -> Applied:
        """Lay it on these locations of ours alone. Raises NotDurable."""
        await self._read_imported()
        for owner in self.asked.parties:
            theirs = [name for name in names if name.owner == owner]
            for start in range(0, len(theirs), _PAGE):
                await self._lay_on(owner, theirs[start : start + _PAGE])
        return self.done

    async def _read_imported(self) -> None:
        self._imported = await self.store.imported(self.feed)
        self._ours = {fold(name.id) for name in self._imported}

    async def retire(self) -> Applied:
        """Delete the tariffs whose time has come, and do nothing else. Raises NotDurable."""
        self._imported = await self.store.imported(self.feed)
        await self._delete_retired()
        return self.done

    # Connectors -------------------------------------------------------------------------------------------------------

    async def _lay_on(self, owner: Party, names: Sequence[Name]) -> None:
        stored = await self.store.read_many(names)
        varied = await self.store.with_variants(names)
        told = {
            name: await self._told(name, said, varied=name in varied) for name, said in zip(names, stored, strict=True)
        }
        at = {name: [*dict.fromkeys(spot for each in all for spot in spots(each))] for name, all in told.items()}
        here = [*dict.fromkeys(spot for there in at.values() for spot in there)]
        self._spots.update(map(hash, here))
        attached, tariffs = await self._said_there(owner, here)
        await self._say_tariffs(tariffs)
        wanted = {spot: self._without_others(attached.get(spot, {}), tariffs) for spot in here}
        self.done.own_connectors += sum(bool(there) for there in wanted.values())
        before = await self.store.attached(owner, here)
        # What is there is what all feeds say together: once for each run what this one says is said in any case.
        new = self.first or self.thorough
        changes = {
            spot: _ids(there) or None
            for spot, there in wanted.items()
            if (new and (there or spot in before)) or not _alike(_ids(there), before.get(spot))
        }
        await self.store.attach(self.feed, owner, changes)
        after = await self.store.attached(owner, [*changes])
        changed = {spot for spot in changes if before.get(spot) != after.get(spot)}
        for name, there in at.items():
            if (
                self.thorough
                or not changed.isdisjoint(there)
                or any(self._names_others(each, wanted) for each in told[name])
            ):
                await self._say_location(name)

    async def _told(self, name: Name, said: Said | None, *, varied: bool) -> list[Any]:
        """A location of ours as it is known, canonical, and links' variants of it."""
        _, variants = await self.store.read_for(name, self._partners) if varied else (None, {})
        told = [each for each in (said, *variants.values()) if each is not None and self._is_ours(each)]
        return [self.codec.loads(each.canonical) for each in told]

    def _names_others(
        self, location: Mapping[str, Any], wanted: Mapping[str, Mapping[Audience, Sequence[Name]]]
    ) -> bool:
        """Whether a location was said when other tariffs of the feed were attached to its connectors.

        It came just then, or has a connector that is in another location as well, and nobody has looked at it since; or
        whoever attached them was interrupted before it was said.
        """
        for evse in location.get("evses") or ():
            for plug in evse["connectors"]:
                at = spot(evse["evse_id"], plug["id"]) if evse.get("evse_id") else ""
                there = {fold(name.id) for names in wanted.get(at, {}).values() for name in names}
                if self._ours.intersection(map(fold, tariffs_of(plug))) != there:
                    return True
        return False

    @property
    def _partners(self) -> list[str]:
        return [link.id for link in self.directory.partners]

    async def _said_there(
        self, owner: Party, here: Sequence[str]
    ) -> tuple[dict[str, dict[Audience, list[Name]]], dict[Name, Priced]]:
        """The tariffs that the run says hold at connectors, by spot and audience; and what they are."""
        if not self.run:
            return {}, {}
        places = zip(here, await self.store.places_at(self.feed, self.run, here), strict=True)
        known = {spot: place.connector for spot, place in places if place is not None}
        linked = await self.store.linked(self.feed, self.run, [*known.values()])
        holds = {spot: each.price_ids for spot, each in zip(known, linked, strict=True) if each is not None}
        ids = [*dict.fromkeys(id for there in holds.values() for id in there)]
        prices = dict(zip(ids, await self.store.prices(self.feed, self.run, ids), strict=True))
        audiences = self.asked.audiences
        found: dict[str, dict[Audience, list[Name]]] = {}
        tariffs: dict[Name, Priced] = {}
        for where, price_ids in holds.items():
            for priced in (priced for id in price_ids for priced in prices[id] if priced.audience in audiences):
                party = self._owner(priced, owner)
                name = Name(Module.TARIFFS, party, priced.id)
                if self._is_another(name, tariffs.setdefault(name, priced.owned_by(party)), priced):
                    continue
                there = found.setdefault(where, {}).setdefault(priced.audience, [])
                there += [name] if name not in there else []
        return found, tariffs

    def _is_another(self, name: Name, first: Priced, priced: Priced) -> bool:
        """Whether another price has the id of this one but for case, as OCPI compares ids; which is flagged."""
        known = self._price_ids.setdefault(name, str(first.price_id))
        if priced.price_id == known:
            return False
        if priced.price_id not in self._confused:
            self._confused.add(priced.price_id)
            reason = f"its id differs from {known} in case only: it isn't laid on our connectors"
            self.done.claimed.append(Flag(str(priced.price_id), "", reason))
        return True

    def _owner(self, priced: Priced, ours: Party) -> Party:
        """Whose the tariff is: ours, where it is the price of our drivers; an eMSP's own is the eMSP's."""
        if priced.audience is Audience.MSP_RETAIL:
            return self.shapes.owner(priced, (), self.owners)
        return ours

    def _without_others(
        self, there: Mapping[Audience, Sequence[Name]], tariffs: Mapping[Name, Priced]
    ) -> dict[Audience, list[Name]]:
        kept = {audience: [name for name in names if name not in self._others] for audience, names in there.items()}
        return {audience: names for audience, names in kept.items() if names}

    async def _detach_the_rest(self, owner: Party) -> None:
        """Connectors that aren't in any location any more: whoever says one anew finds nothing old there."""
        async with aclosing(self.store.attached_by(self.feed, owner)) as pages:
            async for page in pages:
                lost = {spot: None for spot in page if hash(spot) not in self._spots}
                await self.store.attach(self.feed, owner, lost)

    # Tariffs ----------------------------------------------------------------------------------------------------------

    async def _say_tariffs(self, tariffs: Mapping[Name, Priced]) -> None:
        """Say those that aren't said, or otherwise. Those that somebody else said stay what they are."""
        rest = [name for name in tariffs if name not in self._used | self._others]
        for start in range(0, len(rest), _A_LOT):
            some = {name: for_store(tariffs[name]) for name in rest[start : start + _A_LOT]}
            for _ in range(_TRIES):
                some = await self._say_some(some, tariffs)
                if not some:
                    break
            else:
                raise NotDurable("the tariffs of the feed are being changed by others all the time")

    async def _say_some(
        self, wanted: Mapping[Name, dict[str, Any]], tariffs: Mapping[Name, Priced]
    ) -> dict[Name, dict[str, Any]]:
        """Say these tariffs. Those that somebody else wrote just now."""
        stored = dict(zip(wanted, await self.store.read_many([*wanted]), strict=True))
        ours = {name: tariff for name, tariff in wanted.items() if not self._is_others(name, stored[name], tariffs)}
        await self._keep_imported(ours)
        since = {SINCE: written(ms_of(self.now))}
        sayings = {
            name: self._saying(name, {**tariff, **since}, stored[name])
            for name, tariff in ours.items()
            if not self._says(stored[name], tariff)
        }
        sequences = await self.store.say_all([*sayings.values()])
        new = [name for name, sequence in zip(sayings, sequences, strict=True) if sequence >= 0]
        for name in new:
            self.done.tariffs += 1
            if stored[name] is not None:  # which of its tariffs a connector shows may hang on it
                await self._filing.look_again(name, sayings[name].owed, ms_of(self.now))
        await asyncio.gather(*(self.ledger.owed(name) for name in new))
        return {name: ours[name] for name, sequence in zip(sayings, sequences, strict=True) if sequence < 0}

    def _says(self, said: Said | None, tariff: Mapping[str, Any]) -> bool:
        """Whether the feed has said a tariff just so, whenever it was updated."""
        if said is None or said.deleted or said.source != self.feed:
            return False
        return same(_undated(tariff), _undated(self.codec.loads(said.canonical)))

    def _saying(self, name: Name, tariff: Mapping[str, Any], said: Said | None) -> Saying:
        audiences = {audience_of(tariff)}
        if said is not None and not said.deleted:  # who had it for another audience is to lose it
            audiences.add(audience_of(self.codec.loads(said.canonical)))
        packed = self.codec.dumps(tariff)
        return Saying(
            name=name, canonical=packed, wire=packed, version=[*self.adapters][-1], source=self.feed,
            expect=said.sequence if said is not None else 0, correlation=self.run or RUN,
            owed=self._hearers(name, audiences),
        )  # fmt: skip

    def _is_others(self, name: Name, said: Said | None, tariffs: Mapping[Name, Priced]) -> bool:
        """Whether somebody else said a tariff of this id, which is flagged."""
        if said is None or said.deleted or said.source == self.feed:
            return False
        if said.correlation.startswith(RUN) and said.source not in self.files and said.source not in self.directory:
            return False  # a feed said it whose file is gone, or has another name now
        if name not in self._others:
            self._others.add(name)
            reason = f"{said.source} has a tariff of this id: the price isn't laid on our connectors"
            self.done.claimed.append(Flag(tariffs[name].price_id or name.id, "", reason))
        return True

    async def _keep_imported(self, names: Iterable[Name]) -> None:
        """Whatever is said because of the feed is known before it is, so that nothing of it is left for ever."""
        new = {name: None for name in names if self._imported.get(name, 0) is not None}
        self._used.update(names)
        if new:
            await self.store.imported_keep(self.feed, new)
            self._imported |= new
            self._ours.update(fold(name.id) for name in new)

    # Tariffs that left the feed ---------------------------------------------------------------------------------------

    async def _begin_to_retire(self) -> None:
        at = ms_of(self.now + self.retire_after)
        left = {name: at for name, until in self._imported.items() if until is None and name not in self._used}
        self.done.retired = len(left)
        if left:
            await self.store.imported_keep(self.feed, left)
            self._imported |= left

    async def _delete_retired(self) -> None:
        over = [name for name, at in self._imported.items() if at is not None and at <= ms_of(self.now)]
        for name in over:
            await self._delete(name)
            await self.store.imported_keep(self.feed, {}, [name])
            del self._imported[name]
        self.done.retire_at = min((at for at in self._imported.values() if at is not None), default=0)

    async def _delete(self, name: Name) -> None:
        """Delete a tariff, if it is still the feed's."""
        for _ in range(_TRIES):
            said = await self.store.read(name)
            if said is None or said.deleted or said.source != self.feed:
                return
            tariff = self.codec.loads(said.canonical)
            owed = await self._who_may_have(name, audience_of(tariff))
            saying = evolve(self._saying(name, tariff, said), deleted=True, owed=owed)
            (sequence,) = await self.store.say_all([saying])
            if sequence >= 0:
                self.done.deleted += 1
                await self._filing.look_again(name, saying.owed, ms_of(self.now))
                await self.ledger.owed(name)
                return
        raise NotDurable(f"{name} is being changed by others all the time")

    # Locations --------------------------------------------------------------------------------------------------------

    def _is_ours(self, said: Said) -> bool:
        """Whether a backend of ours said it."""
        link = self.directory.find(said.source)
        return link is not None and link.backend and not said.deleted

    async def _say_location(self, name: Name) -> None:
        """Say a location again, with what holds there now; and each link's variant of it."""
        _, variants = await self.store.read_for(name, self._partners)
        for variant in (None, *variants):
            for _ in range(_TRIES):
                if await self._join(name, variant):
                    break
            else:
                raise NotDurable(f"{name} is being changed by others all the time")

    async def _join(self, name: Name, variant: str | None) -> bool:
        """False if somebody wrote it in between."""
        said = await self.store.read(name, variant)
        if said is None or not self._is_ours(said):
            return True
        before = self.codec.loads(said.canonical)
        told = await self._as_told(name, said)
        if told is None:
            return True
        whole = joined(told, await self.store.attached(name.owner, [*spots(told)]))
        if same(moved(whole, before), before):
            return True
        canonical = moved(whole, before, written(ms_of(self.now)))
        owed = self._hearers(name) if variant is None else (variant,)
        saying = Saying(
            name=name, canonical=self.codec.dumps(canonical), wire=said.wire, version=said.version, source=said.source,
            expect=said.sequence, owed=owed, variant=variant, correlation=said.correlation, receiver=said.receiver,
        )  # fmt: skip
        (sequence,) = await self.store.say_all([saying])
        if sequence < 0:
            return False
        await self._filing.index([Filed(name=name, canonical=canonical, before=before)])
        self.done.locations += 1
        await self.ledger.owed(name)
        return True

    async def _as_told(self, name: Name, said: Said) -> Any:
        """A location as its owner told it; None if that can't be read any more."""
        adapter, link = self.adapters[said.version], self.directory[said.source]
        wire = self.codec.loads(said.wire)
        crossing = crossing_of(link, name.owner, None)
        try:
            up, _ = await self.lookup.through(lambda c: adapter.up(Kind.LOCATION, wire, c), crossing, self.directory)
        except (InvalidObject, Withheld) as error:
            log.warning("prices.unreadable_location", partner=self.feed, backend=link.id, reason=str(error))
            return None
        return up.data

    # Who is to have it ------------------------------------------------------------------------------------------------

    def _hearers(self, name: Name, audiences: Iterable[Audience] = SAYABLE) -> list[str]:
        """The links that hear what its owner says to everybody, as the router has it; of a tariff those that may.

        Of an eMSP's, who isn't one of us, those that hear any of us.

        Args:
            audiences: whom a tariff is for, or was.
        """
        parties = [name.owner] if name.owner in self.asked.parties else self.asked.parties
        links = dict.fromkeys(
            target.link
            for party in parties
            for target in broadcast(party, name.module, name.id, self.directory, self.now)
        )
        return [link for link in links if any(self.asked.may_have(link, audience) for audience in audiences)]

    async def _who_may_have(self, name: Name, audience: Audience) -> list[str]:
        """The links that a tariff which goes was for, and those that it isn't for any more, if it is still shown there.

        To everybody else its id would be news of a price that isn't for them.
        """
        hearers = self._hearers(name)
        sees = [(await self.store.sees(link, [name]))[0] for link in hearers]
        return [link for link, seen in zip(hearers, sees, strict=True) if seen or self.asked.may_have(link, audience)]


def _undated(tariff: Mapping[str, Any]) -> dict[str, Any]:
    return {name: said for name, said in tariff.items() if name not in ("last_updated", SINCE)}


def _ids(there: Mapping[Audience, Sequence[Name]]) -> dict[Audience, list[str]]:
    return {audience: [name.id for name in names] for audience, names in there.items()}


def _alike(wanted: Attached, there: Attached | None) -> bool:
    """Whether nothing but this is attached to a connector, in whatever order."""
    given = there or {}
    return wanted.keys() == given.keys() and all(set(wanted[each]) == set(given[each]) for each in wanted)
