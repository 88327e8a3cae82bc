"""Where facts come from: the store, in at most three rounds.

A translation that needs more answers ``Needs``; ``through`` looks those keys up and tries again. Three rounds are
enough for everything OCPI embeds (a session, its location, the tariffs of that location); after them whatever is still
asked for counts as unknown, so that no object can make us look for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from gateway.directory import Directory, Link
from gateway.model.attached import tariffs_of
from gateway.model.document import Document
from gateway.model.errors import NotDurable, ReceiverError
from gateway.model.facts import UNKNOWN, Crossing, FactKind, Facts, Key, Needs, Translated
from gateway.model.modules import Kind, Module
from gateway.model.names import Name, Said, fold
from gateway.model.party import Party
from gateway.model.values import moment
from gateway.ports import Codec, Objects, Reservations
from gateway.references import References
from gateway.routing import About
from gateway.sharing import renamed

_ROUNDS: Final = 3

FACT_S: Final = 24 * 3600.0
"""Seconds for which a location that was asked from its owner counts."""


class Known(Objects, Reservations, Protocol):
    """The store, as lookups see it."""


class Lookup:
    """Answers facts from what is stored and from the directory."""

    def __init__(self, objects: Known, codec: Codec, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._objects = objects
        self._codec = codec
        self._clock = clock
        self._references = References(objects=objects, codec=codec)

    async def through(
        self,
        translate: Callable[[Crossing], Translated | Needs],
        crossing: Callable[[Facts], Crossing],
        directory: Directory,
        facts: Facts | None = None,
        *,
        link: str | None = None,
        without_store: bool = False,
    ) -> tuple[Translated, Facts]:
        """Translate, looking up what is asked for. Also returns the facts, so that a second state sees the same.

        Args:
            link: the receiver; it may know locations and tariffs as they were told to it alone.
            without_store: an exchange that must go on while the store is away: then nothing more is known.

        Raises:
            InvalidObject, Withheld: the translation's own.
            NotDurable: the store is away.
        """
        facts = facts or Facts(now=self._clock())
        for _ in range(_ROUNDS):
            made = crossing(facts)
            outcome = translate(made)
            if isinstance(outcome, Translated):
                await self._keep(made.learned)
                return outcome, facts
            try:
                facts = facts | await self.fetch(outcome.keys, directory, link)
            except NotDurable:
                if not without_store:
                    raise
                break
        outcome = translate(crossing(facts.completed()))
        if isinstance(outcome, Needs):
            raise ReceiverError("a translation kept asking for facts after all were given")
        return outcome, facts

    async def through_all(
        self,
        translate: Callable[[Any, Crossing], Translated | Needs],
        objects: Sequence[tuple[Any, Callable[[Facts], Crossing]]],
        directory: Directory,
        facts: Facts | None = None,
        *,
        link: str | None = None,
    ) -> tuple[list[Translated | Exception], Facts]:
        """As ``through``, for many objects at once: what they ask for is looked up together.

        Args:
            objects: each with its crossing.

        Returns:
            For each object what became of it, or why nothing did: one costs no other. And the facts.

        Raises:
            NotDurable: the store is away.
        """
        facts = facts or Facts(now=self._clock())
        outcomes: dict[int, Translated | Exception] = {}
        for looked_up in range(_ROUNDS + 1):
            wanted: set[Key] = set()
            for index, (data, crossing) in enumerate(objects):
                if index in outcomes:
                    continue
                made = crossing(facts.completed() if looked_up == _ROUNDS else facts)
                try:
                    outcome = translate(data, made)
                except Exception as error:
                    outcomes[index] = error
                    continue
                if isinstance(outcome, Needs):
                    wanted |= outcome.keys
                else:
                    outcomes[index] = outcome
                    await self._keep(made.learned)
            if not wanted:
                break
            facts = facts | await self.fetch(wanted, directory, link)
        endless = ReceiverError("a translation kept asking for facts after all were given")
        return [outcomes.get(index, endless) for index in range(len(objects))], facts

    async def _keep(self, learned: Mapping[Key, Any]) -> None:
        """The full spelling of an id that got an alias: whoever has the alias will ask for it."""
        for key, spelled in learned.items():
            await self._objects.remember(_long_id(key), spelled.encode(), None)

    async def fetch(self, keys: Iterable[Key], directory: Directory, link: str | None = None) -> Mapping[Key, Any]:
        """What the store and the directory know of these keys, as this link may; UNKNOWN for the rest."""
        wanted = list(keys)
        receiver = directory.find(link) if link is not None else None
        objects = {key: name for key in wanted if (name := _object_name(key, receiver))}
        said = await self._objects.read_many(list(objects.values()), link) if objects else []
        found: dict[Key, Any] = {key: self._canonical(value) for key, value in zip(objects, said, strict=True)}
        if receiver is not None:  # a location that is told inside another object names tariffs as it does by itself
            places = {key: found[key] for key in found if key.kind is FactKind.LOCATION and found[key] is not UNKNOWN}
            found |= {key: renamed(receiver, Module.LOCATIONS, place) for key, place in places.items()}
        for key in wanted:
            if key not in found:
                found[key] = await self._other(key, directory, link)
            elif found[key] is UNKNOWN and key.kind is FactKind.LOCATION:
                asked = await self._objects.recall(kept_fact(objects[key]))
                found[key] = self._codec.loads(asked) if asked else UNKNOWN
        return found

    async def _other(self, key: Key, directory: Directory, link: str | None) -> Any:
        match key.kind:
            case FactKind.TOKENS_OF_CONTRACT:
                return await self._all(await self._objects.tokens_of_contract(key.id), key.owner)
            case FactKind.TOKENS_OF_UID:
                return await self._all(await self._objects.tokens_by_uid(key.id), key.owner)
            case FactKind.SESSIONS_OF_CONTRACT:
                return await self._all(await self._objects.sessions_of_contract(key.id), key.owner)
            case FactKind.RECENT_TOKENS if key.owner is not None:
                return await self._references.lately_used(key.owner, key.id, *key.place) or UNKNOWN
            case FactKind.RESERVATION if key.owner is not None and link is not None:
                return await self._objects.reservation_number(link, key.owner, key.id)
            case FactKind.CONNECTORS_OF_TARIFF:
                return await self._connectors_of(key)
            case FactKind.BUSINESS:
                return _business(key.owner, directory)
            case FactKind.LONG_ID:
                spelled = await self._objects.recall(_long_id(key))
                return spelled.decode() if spelled else UNKNOWN
            case _:
                return UNKNOWN

    async def token(self, uid: str, type: str | None, owner: Party | None) -> Said | None:
        """The token as announced: of this owner, where one is named, since cards of two eMSPs may have the same uid.

        Raises:
            NotDurable: the store is away.
        """
        names = await self._objects.tokens_by_uid(uid) if uid else []
        names = [name for name in names if owner is None or name.owner == owner]
        # 2.1.1 callers say OTHER for what its eMSP calls APP_USER: the exact type first, any other then.
        names.sort(key=lambda name: name.type != type)
        for said in await self._objects.read_many(names) if names else []:
            if said is not None and not said.deleted:
                return said
        return None

    async def about(self, kind: Kind, canonical: Any, directory: Directory) -> tuple[str | None, About]:
        """The link that announced the token of a session or CDR, and what its route follows from besides.

        Raises:
            NotDurable: the store is away.
        """
        token = Document(kind, canonical).view().cdr_token
        named = Party(token.country_code, token.party_id)
        said = await self.token(token.uid, token.type, named)
        announced = said.source if said is not None and said.source in directory else None
        return announced, About(party=named, token=token.uid, at=moment(canonical["start_date_time"]))

    async def heard_of_tokens(self, link: str, at: datetime) -> None:
        """This link told us of its tokens: what is cached of them is as good as new."""
        await self._objects.remember(_tokens_of(link), at.isoformat().encode(), None)

    async def heard_of_tokens_at(self, link: str) -> datetime | None:
        """When a link last told us of its tokens; None if it never did."""
        at = await self._objects.recall(_tokens_of(link))
        return datetime.fromisoformat(at.decode()) if at else None

    async def everywhere(self, module: Module, id: str, link: str | None = None) -> dict[Name, Said]:
        """The objects of this id, whoever owns them, as this link has them: ids are unique for their owner only.

        Raises:
            NotDurable: the store is away.
        """
        names = [Name(module, owner, id) for owner in await self._objects.owners()]
        said = await self._objects.read_many(names, link) if names else []
        found = zip(names, said, strict=True)
        return {name: object for name, object in found if object is not None and not object.deleted}

    async def _all(self, names: Iterable[Name], owner: Party | None) -> Any:
        wanted = [name for name in names if owner is None or name.owner == owner]
        said = await self._objects.read_many(wanted) if wanted else []
        found = [value for item in said if (value := self._canonical(item)) is not UNKNOWN]
        return found or UNKNOWN

    async def _connectors_of(self, tariff: Key) -> Any:
        if tariff.owner is None:
            return UNKNOWN
        names = await self._objects.locations_of_tariff(tariff.owner, tariff.id)
        locations = await self._objects.read_many(names) if names else []
        connectors = [
            connector
            for said in locations
            if (location := self._canonical(said)) is not UNKNOWN
            for connector in connectors_of(location)
            if tariff.id in map(fold, tariffs_of(connector))
        ]
        return connectors or UNKNOWN

    def _canonical(self, said: Said | None) -> Any:
        return UNKNOWN if said is None or said.deleted else self._codec.loads(said.canonical)


def connectors_of(location: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The connectors of a canonical location."""
    return (connector for evse in location.get("evses") or () for connector in evse["connectors"])


def _tokens_of(link: str) -> str:
    return f"tokens:{link}"


def kept_fact(name: Name) -> str:
    """Where an object is remembered that its owner told us when asked, and never pushed."""
    return f"fact:{name.text}"


def _long_id(key: Key) -> str:
    return f"long:{fold(key.id)}"


def _object_name(key: Key, receiver: Link | None) -> Name | None:
    modules = {
        FactKind.LOCATION: Module.LOCATIONS,
        FactKind.TARIFF: Module.TARIFFS,
        FactKind.SESSION: Module.SESSIONS,
    }
    if key.kind not in modules or key.owner is None:
        return None
    # The receiver may know a tariff by another id than its owner's.
    id = receiver.tariff_meant(key.id) if receiver is not None and key.kind is FactKind.TARIFF else key.id
    return Name(modules[key.kind], key.owner, id)


def _business(party: Party | None, directory: Directory) -> Any:
    for link in directory.links.values():
        for seat in (*link.dialect.ours, *link.dialect.theirs):
            if seat.party == party and seat.business:
                return dict(seat.business)
    return UNKNOWN
