"""What a link is owed for what it is, rather than for what was said: everything that it may see.

A link that joins has nothing, so it is owed all that goes to everybody; so is one that left and came back. One that
changed its version, its selection or its switches is owed a look at all that it has and may have: what is the same
costs no request. So is one that takes over from another, when its time has come. It gets it at its own rate, like
everything that is owed, and a complete crawl of its own settles it. CDRs are never owed because of any of this: only
because they were pushed.

What a link looked like when this was last worked out is a fact in the store, so that a restart owes nobody anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import attrs
import structlog
from attrs import frozen

from gateway.directory import Directory, Link
from gateway.model.attached import AUDIENCE
from gateway.model.modules import MODULES, Module
from gateway.model.names import Name, Said
from gateway.model.party import Party
from gateway.ports import News, Owed, Seen
from gateway.routing import broadcast
from gateway.showing import Showing

log = structlog.get_logger()

_VIEW: Final = "view"
_PAGE: Final = 500


class Store(Owed, Seen, News, Protocol):
    """What is needed of the store."""

    async def forget_sent(self, link: str) -> None:
        """Nobody knows any more what this receiver has."""


@frozen
class Joining:
    """Works out what links are owed for what they are."""

    store: Store
    showing: Showing

    async def look(self, link: Link, directory: Directory, since: int) -> int:
        """Whatever a registered link is owed because it is new or has changed. How many objects.

        Args:
            since: when it was registered, in milliseconds since 1970: another time is another registration.

        Raises:
            NotDurable: the store is away; nothing is noted, so that the next look does it again.
        """
        if not link.registered:
            return 0
        in_force = directory.in_force(link, datetime.now(UTC)).id == link.id
        view = f"{since}:{_looks(link, in_force=in_force)}".encode()
        before = (await self.store.facts(link.id)).get(_VIEW)
        if before == view:
            return 0
        new = before is None or not before.startswith(f"{since}:".encode())
        if new:
            await self.store.forget_sent(link.id)
        owed = await self._owe(link, directory)
        await self.store.set_fact(link.id, _VIEW, view)
        log.info("partner.catches_up", partner=link.id, objects=owed, why="registered" if new else "changed")
        return owed

    async def _owe(self, link: Link, directory: Directory) -> int:
        """Owe it what it may see, a page at a time: there may be a hundred thousand.

        First that, then what it may list, at once: of what it had and may list no more, the list is all that tells.
        """
        owed = 0
        async for names in self._for(link, directory):
            await self.store.owe_all(link.id, names)
            await self.showing.look(link, names)
            owed += len(names)
        return owed

    async def _for(self, link: Link, directory: Directory) -> AsyncIterator[list[Name]]:
        if link.backend:
            # What partners say was brought live; who is there is what the hub says.
            for owner in await self.store.owners() if link.pushes(Module.HUB_CLIENT_INFO) else ():
                async for page in self._all(owner, Module.HUB_CLIENT_INFO):
                    yield page
            return
        async for page in self._prices_of_others(link):
            yield page
        kept = {Module.SESSIONS}
        for owner, module in _goes_out(link):
            if not (everything := self._hears_everything(link, owner, module, directory)):
                kept.add(module)
            async for page in self._all(owner, module):
                yield page if everything else [name for name in page if _named(link, name)]
        for module in sorted(kept):
            async for page in self._seen(link, module):
                yield page

    async def _prices_of_others(self, link: Link) -> AsyncIterator[list[Name]]:
        """Tariffs that aren't ours, though they hold at our connectors: what eMSPs ask there, and feeds tell.

        All of them, if the link asks for such; and in any case those that it has seen, which may have to go.
        """
        if not link.pushes(Module.TARIFFS):
            return
        async for page in self._seen(link, Module.TARIFFS):
            yield [name for name in page if not link.our_party(name.owner)]
        if not link.asks_for_more or link.tried_out:
            return
        for owner in await self.store.owners():
            if link.our_party(owner):
                continue
            async for page in self._all(owner, Module.TARIFFS):
                said = await self.store.read_many(page)
                yield [name for name, each in zip(page, said, strict=True) if each and self._is_for_some(each)]

    def _is_for_some(self, said: Said) -> bool:
        return AUDIENCE in self.showing.codec.loads(said.canonical)

    async def _all(self, owner: Party, module: Module) -> AsyncIterator[list[Name]]:
        after = 0
        while page := await self.store.names(owner, module, after, _PAGE):
            yield [name for _, name in page]
            after = page[-1][0]

    async def _seen(self, link: Link, module: Module) -> AsyncIterator[list[Name]]:
        after: str | None = None
        while True:
            names, _, after = await self.store.seen_page(link.id, module, after=after, limit=_PAGE)
            yield names
            if after is None:
                return

    @staticmethod
    def _hears_everything(link: Link, owner: Party, module: Module, directory: Directory) -> bool:
        """Whether what this owner says to everybody goes to this link: as the router has it."""
        return any(each.link == link.id for each in broadcast(owner, module, "", directory, datetime.now(UTC)))


def _goes_out(link: Link) -> Iterator[tuple[Party, Module]]:
    """The owners among us on this link, with the modules that go to everybody: first tariffs, which locations name."""
    for module, facts in sorted(MODULES.items(), key=lambda each: each[0] is not Module.TARIFFS):
        if facts.broadcast and link.pushes(module):
            for seat in link.dialect.ours:
                yield seat.party, module


def _named(link: Link, name: Name) -> bool:
    return link.tried_out and link.hears(name.module, name.id)


def _looks(link: Link, *, in_force: bool) -> str:
    """A digest of all that decides what a link sees, and how; the same in every process."""
    dialect = link.dialect
    parts = (
        dialect.version, dialect.ours, dialect.theirs, dialect.alpha_3, dialect.policy,
        link.share, link.pilot, link.stage, dict(link.uses), frozenset(dialect.endpoints), in_force,
    )  # fmt: skip
    return hashlib.blake2b(repr(_settled(parts)).encode(), digest_size=12).hexdigest()


def _settled(value: Any) -> Any:
    """A value whose ``repr`` doesn't hang on the order in which a process keeps its sets."""
    match value:
        case str():
            return str(value)
        case frozenset() | set():
            return sorted(map(_settled, value), key=repr)
        case Mapping():
            return sorted(((_settled(key), _settled(item)) for key, item in value.items()), key=repr)
        case tuple() | list():
            return [_settled(item) for item in value]
        case _ if attrs.has(type(value)):
            return [_settled(getattr(value, field.name)) for field in attrs.fields(type(value))]
        case _:
            return value
