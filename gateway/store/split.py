"""Two Redis: what must not be lost in one, what can be had again in the other.

Tokens by the million, and partners' locations and tariffs, can be had again from their owners. A flood of them must not
fill the Redis that takes CDRs, so with ``redis.cache_url`` they lie elsewhere:

*main*   everything of our own parties; sessions and CDRs of anybody; registrations, what is owed, the ledger
*cache*  tokens, locations and tariffs of everybody else, as long as nobody is owed them

An object of somebody else's that is owed to a backend is written to main, and stays there from then on: an object that
changed its place back and forth would begin its sequence anew each time. So reads look in main first, and only what
isn't there, and may be there, is looked for in the cache.

A cache that is full refuses what would lie in it; one that is away makes NotDurable of what only it can know. Whoever
can do with less, since it takes in a CDR, reads ``forgiving``: then what it would know is unknown.

One that comes back empty is noticed by a mark that was written into it. How far a list of others was read counts only
with the mark of the cache that got it: so lists are read again, as a whole, and whoever only pushes is an alarm.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import structlog
from attrs import define, evolve, field

from gateway.model.errors import NotDurable
from gateway.model.modules import Module
from gateway.model.names import Name, Said, Saying, fold
from gateway.model.party import Party
from gateway.settings import Settings
from gateway.store.pulled import ELSEWHERE
from gateway.store.redis import Store
from gateway.telemetry import CACHE_LOST

log = structlog.get_logger()

T = TypeVar("T")

_REBUILT: Final = frozenset({Module.TOKENS, Module.LOCATIONS, Module.TARIFFS})
# Ranks of the cache come after those of main: more than that are never given there.
_BEHIND: Final = 1 << 40
_MOVED: Final = -1
_LOOK_EVERY_S: Final = 2.0
_MARK: Final = 16  # characters


@define(eq=False)
class Split(Store):
    """A store over two Redis. Made by ``configured``.

    Attributes:
        cache: the other one.
        ours: the parties of our backends; shared by all who look through this store.
        forgiving: whether a cache that is away knows nothing, rather than being ``NotDurable``.
    """

    cache: Store = field(kw_only=True)
    ours: set[Party] = field(kw_only=True, factory=set)
    forgiving: bool = field(kw_only=True, default=False)
    _cache_mark: bytes | None = field(default=None, init=False)
    _list_marks: dict[str, bytes] = field(factory=dict, init=False)

    def adopt(self, settings: Settings) -> None:
        """These are the links from now on."""
        self.ours.clear()
        self.ours |= {seat.party for link in settings.links if link.is_backend for seat in link.theirs}

    async def aclose(self) -> None:
        await super().aclose()
        await self.cache.aclose()

    # A cache that comes back empty ------------------------------------------------------------------------------------

    async def watch(self) -> None:
        await asyncio.gather(super().watch(), self._watch_cache())

    async def pulls(self, lists: Sequence[str]) -> list[bytes | None]:
        """As without a cache; None too for one that was read into a cache that has lost it since.

        While the cache is away, it counts as if it had everything: what is to be stored there isn't stored anyway.
        """
        found = await self._pulls(lists)
        there = [list_ for list_ in lists if self._is_read_into_cache(list_)]
        if not there:
            return found
        try:
            mark = await self.cache.command("GET", self.keys.cache())
        except NotDurable:
            return [state if state is None else _unmarked(state) for state in found]
        for list_ in there:
            self._list_marks[list_] = mark or b""
        meant = ELSEWHERE + (mark or b"")
        return [
            state
            if state is None or not state.startswith(ELSEWHERE)
            else _unmarked(state) if mark and state.startswith(meant) else None
            for state in found
        ]  # fmt: skip

    async def pull_keep(self, list_: str, state: bytes, *, fence: int | None = None) -> None:
        if self._is_read_into_cache(list_):
            state = ELSEWHERE + (self._list_marks.get(list_) or await self._recognise_cache()) + state
        await super().pull_keep(list_, state, fence=fence)

    def _is_read_into_cache(self, list_: str) -> bool:
        _, module, party = list_.rsplit(":", 2)
        return Module(module) in _REBUILT and Party.parse(party) not in self.ours

    async def _watch_cache(self) -> None:
        while True:
            with suppress(NotDurable):
                await self._recognise_cache()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _recognise_cache(self) -> bytes:
        """The mark of this cache; one that has none is given one, and if there was another before, that is an alarm."""
        mark: bytes | None = await self.cache.command("GET", self.keys.cache())
        if mark is None:
            await self.cache.command("SET", self.keys.cache(), secrets.token_hex(_MARK // 2), "NX")
            mark = await self.cache.command("GET", self.keys.cache())
        assert mark is not None
        if mark != self._cache_mark:
            before = await self.command("SET", self.keys.cache(), mark, "GET")
            if before is not None and before != mark:
                CACHE_LOST.inc()
                log.error(
                    "redis.cache_lost", where=self.cache.where,
                    todo="lists with pull_every are read again as a whole; what partners only push is missing until:"
                    " ocpi-gateway sync run PARTNER --full",
                )  # fmt: skip
            self._cache_mark = mark
        return mark

    # Objects ----------------------------------------------------------------------------------------------------------

    async def read_many(self, names: Sequence[Name], link: str | None = None) -> list[Said | None]:
        found = await super().read_many(names, link)
        missing = [place for place, said in enumerate(found) if said is None and self._may_lie_there(names[place])]
        if missing:
            there = await self._from_cache(self.cache.read_many([names[place] for place in missing], link), [])
            for place, said in zip(missing, there, strict=False):
                found[place] = said
        return found

    async def read_for(self, name: Name, links: Sequence[str]) -> tuple[Said | None, dict[str, Said]]:
        general, variants = await super().read_for(name, links)
        if general is not None or variants or not self._may_lie_there(name):
            return general, variants
        nothing: tuple[Said | None, dict[str, Said]] = (None, {})
        return await self._from_cache(self.cache.read_for(name, links), nothing)

    async def say_all(self, sayings: Sequence[Saying]) -> list[int]:
        here = await self._here(saying.name for saying in sayings if self._may_lie_there(saying.name))
        to_main: dict[int, Saying] = {}
        to_cache: dict[int, Saying] = {}
        sequences: dict[int, int] = {}
        for place, saying in enumerate(sayings):
            if not self._may_lie_there(saying.name) or saying.name in here:
                to_main[place] = saying
            elif not saying.owed:
                to_cache[place] = saying
            elif await self._is_expected(saying):
                to_main[place] = evolve(saying, expect=None if saying.expect is None else 0)
                here.add(saying.name)
            else:
                sequences[place] = _MOVED
        sequences |= zip(to_main, await super().say_all(list(to_main.values())), strict=True)
        sequences |= zip(to_cache, await self.cache.say_all(list(to_cache.values())), strict=True)
        await self._retell(saying.name for saying in to_main.values())
        return [sequences[place] for place in range(len(sayings))]

    async def names(self, owner: Party, module: Module, after: int = 0, limit: int = 500) -> list[tuple[int, Name]]:
        page = await super().names(owner, module, after, limit) if after < _BEHIND else []
        after = max(after - _BEHIND, 0)
        while len(page) < limit and module in _REBUILT and owner not in self.ours:
            there = await self._from_cache(self.cache.names(owner, module, after, limit - len(page)), [])
            if not there:
                break
            after = there[-1][0]
            here = await self._here(name for _, name in there)
            page += [(rank + _BEHIND, name) for rank, name in there if name not in here]
        return page

    async def owners(self) -> list[Party]:
        return sorted({*await super().owners(), *await self._from_cache(self.cache.owners(), [])})

    # Finding them -----------------------------------------------------------------------------------------------------

    async def retold(self, every: float = 1.0) -> AsyncGenerator[str | None, None]:
        """As without a cache. Tokens that are said in main are told here too; while the cache is away nothing comes."""
        async for uid in self.cache.retold(every):
            yield uid

    async def index_tokens(self, tokens: Sequence[tuple[Name, str, str | None]]) -> None:
        here = await self._here(name for name, _, _ in tokens)
        others = [token for token in tokens if token[0].owner not in self.ours]
        await super().index_tokens([token for token in tokens if token[0] in here or token[0].owner in self.ours])
        if any(name not in here for name, _, _ in others):
            await self.cache.index_tokens(others)
        elif others:
            with suppress(NotDurable):  # main finds them; what the cache may know of their former contract is stale
                await self.cache.index_tokens(others)

    async def tokens_of_contract(self, contract_id: str) -> list[Name]:
        here, there = super().tokens_of_contract(contract_id), self.cache.tokens_of_contract(contract_id)
        return await self._found(here, there)

    async def tokens_by_uid(self, uid: str) -> list[Name]:
        return await self._found(super().tokens_by_uid(uid), self.cache.tokens_by_uid(uid))

    async def index_location(self, name: Name, tariff_ids: Collection[str]) -> None:
        if not self._may_lie_there(name) or await self._here([name]):
            await super().index_location(name, tariff_ids)
        else:
            await self.cache.index_location(name, tariff_ids)

    async def locations_of_tariff(self, owner: Party, tariff_id: str) -> list[Name]:
        here = super().locations_of_tariff(owner, tariff_id)
        return (
            await here
            if owner in self.ours
            else await self._found(here, self.cache.locations_of_tariff(owner, tariff_id))
        )

    # Where things lie -------------------------------------------------------------------------------------------------

    def _may_lie_there(self, name: Name) -> bool:
        return name.module in _REBUILT and name.owner not in self.ours

    async def _here(self, names: Iterable[Name]) -> set[Name]:
        """Those of which main has the object."""
        asked = list(dict.fromkeys(names))
        if not asked:
            return set()
        async with self.durable(), self.client.pipeline(transaction=False) as pipe:
            for name in asked:
                pipe.exists(self.keys.object(name))
            return {name for name, there in zip(asked, await pipe.execute(), strict=True) if there}

    async def _is_expected(self, saying: Saying) -> bool:
        """Whether an object that comes to main is in the cache as its sayer read it there."""
        if saying.expect is None:
            return True
        try:
            (there,) = await self.cache.read_many([saying.name])
        except NotDurable:
            if saying.expect:
                raise
            return True  # nobody had read anything; it is owed, and mustn't wait for the cache
        return saying.expect == (there.sequence if there is not None else 0)

    async def _retell(self, names: Iterable[Name]) -> None:
        for name in names:
            if name.module is Module.TOKENS:
                with suppress(NotDurable):  # then whoever listens hears nothing, and relies on nothing
                    await self.cache.command("PUBLISH", self.keys.retold(), fold(name.id))

    async def _found(self, here: Awaitable[list[Name]], there: Awaitable[list[Name]]) -> list[Name]:
        nothing: list[Name] = []
        both = await asyncio.gather(here, self._from_cache(there, nothing))
        by_text = {name.text: name for found in both for name in found}
        return [by_text[text] for text in sorted(by_text)]

    async def _from_cache(self, asked: Awaitable[T], nothing: T) -> T:
        try:
            return await asked
        except NotDurable:
            if not self.forgiving:
                raise
            return nothing


def _unmarked(state: bytes) -> bytes:
    return state[len(ELSEWHERE) + _MARK :] if state.startswith(ELSEWHERE) else state


def configured(settings: Settings, data: Path, url: str) -> Store:
    """The store of a configuration, over one Redis or two.

    Args:
        data: the folder where it is remembered which Redis this is.
        url: of the Redis of what must not be lost: the configured one, or the embedded server's.
    """
    main = Store.configured(settings.redis, data, url)
    if settings.redis.cache_url is None:
        return main
    cache = Store.connect(settings.redis.cache_url.value, settings.redis.prefix)
    split = Split(main.client, main.where, main.keys, main.now, main.trust, cache=cache)
    split.adopt(settings)
    return split


def forgiving(store: Store) -> Store:
    """The same store, for whoever can do without what only the cache knows."""
    if not isinstance(store, Split):
        return store
    main = (store.client, store.where, store.keys, store.now, store.trust)
    return Split(*main, cache=store.cache, ours=store.ours, forgiving=True)
