"""Where facts come from: the store, in at most three rounds.

A translation that needs more answers ``Needs``; ``through`` looks those keys up and tries again. Three rounds are
enough for everything OCPI embeds (a session, its location, the tariffs of that location); after them whatever is still
asked for counts as unknown, so that no object can make us look for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from gateway.directory import Directory
from gateway.model.errors import NotDurable, ReceiverError
from gateway.model.facts import UNKNOWN, Crossing, FactKind, Facts, Key, Needs, Translated
from gateway.model.modules import Module
from gateway.model.names import Name, Said, fold
from gateway.model.party import Party
from gateway.ports import Codec, Objects

_ROUNDS: Final = 3

FACT_S: Final = 24 * 3600.0
"""Seconds for which a location that was asked from its owner counts."""


class Lookup:
    """Answers facts from what is stored and from the directory."""

    def __init__(
        self, objects: Objects, codec: Codec, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._objects = objects
        self._codec = codec
        self._clock = clock

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

    async def _keep(self, learned: Mapping[Key, Any]) -> None:
        """The full spelling of an id that got an alias: whoever has the alias will ask for it."""
        for key, spelled in learned.items():
            await self._objects.remember(_long_id(key), spelled.encode(), None)

    async def fetch(self, keys: Iterable[Key], directory: Directory, link: str | None = None) -> Mapping[Key, Any]:
        """What the store and the directory know of these keys, as this link may; UNKNOWN for the rest."""
        wanted = list(keys)
        objects = {key: name for key in wanted if (name := _object_name(key))}
        said = await self._objects.read_many(list(objects.values()), link) if objects else []
        found: dict[Key, Any] = {key: self._canonical(value) for key, value in zip(objects, said, strict=True)}
        for key in wanted:
            if key not in found:
                found[key] = await self._other(key, directory)
            elif found[key] is UNKNOWN and key.kind is FactKind.LOCATION:
                asked = await self._objects.recall(kept_fact(objects[key]))
                found[key] = self._codec.loads(asked) if asked else UNKNOWN
        return found

    async def _other(self, key: Key, directory: Directory) -> Any:
        match key.kind:
            case FactKind.TOKENS_OF_CONTRACT:
                return await self._all(await self._objects.tokens_of_contract(key.id), key.owner)
            case FactKind.TOKENS_OF_UID:
                return await self._all(await self._objects.tokens_by_uid(key.id), key.owner)
            case FactKind.SESSIONS_OF_CONTRACT:
                return await self._all(await self._objects.sessions_of_contract(key.id), key.owner)
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
            if tariff.id in map(fold, connector.get("tariff_ids") or ())
        ]
        return connectors or UNKNOWN

    def _canonical(self, said: Said | None) -> Any:
        return UNKNOWN if said is None or said.deleted else self._codec.loads(said.canonical)


def connectors_of(location: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The connectors of a canonical location."""
    return (connector for evse in location.get("evses") or () for connector in evse["connectors"])


def kept_fact(name: Name) -> str:
    """Where an object is remembered that its owner told us when asked, and never pushed."""
    return f"fact:{name.text}"


def _long_id(key: Key) -> str:
    return f"long:{fold(key.id)}"


def _object_name(key: Key) -> Name | None:
    modules = {
        FactKind.LOCATION: Module.LOCATIONS,
        FactKind.TARIFF: Module.TARIFFS,
        FactKind.SESSION: Module.SESSIONS,
    }
    if key.kind not in modules or key.owner is None:
        return None
    return Name(modules[key.kind], key.owner, key.id)


def _business(party: Party | None, directory: Directory) -> Any:
    for link in directory.links.values():
        for seat in (*link.dialect.ours, *link.dialect.theirs):
            if seat.party == party and seat.business:
                return dict(seat.business)
    return UNKNOWN
