"""Tokens as their eMSPs announced them, in memory before the store: what an authorization looks at first.

A driver waits at the charge point, so a token that was asked about lately is known here without asking Redis. What
makes that safe is that the store tells every replica of each token that is said (``retold``):

    heard of a token       forgotten here, and what is being read of it just now isn't kept
    something was missed   nothing here is sure any more: it is read again before it counts
    nothing is heard       the same: the line to the store is down

What isn't sure any more isn't thrown away. While the store can't be had, it is the last that is known, and a token
charges or doesn't by its eMSP's last word, for as long as ``cache_max_age`` lets it. That nobody announced a token is
only ever known for sure, or not at all.

The size is bounded: of the tokens asked about, the ones that were asked about last are here.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from attrs import define, evolve, field, frozen

from gateway.lookup import Lookup
from gateway.model.errors import NotDurable
from gateway.model.names import Name, Said, fold
from gateway.ports import Objects

T = TypeVar("T")

MOST: Final = 50_000
"""Uids that are in memory at most: some 60 MB, if each is of one token."""

LOOK_S: Final = 1.0
"""Seconds that an authorization waits for the store: the rest of its budget, half of the usual one, is the eMSP's."""

_EVERY_S: Final = 1.0
"""Seconds after which silence on the line to the store may mean that it is down."""

_AWAY_S: Final = 1.0
_LOOK_AGAIN_S: Final = 0.05
"""For a second after the store didn't answer it is waited for so long only: the next driver needn't suffer, too."""

_KEPT_S: Final = 60.0
_NOTHING_S: Final = 1.0
"""Seconds after which what is sure is read again: a new token is told a moment before it can be found by its uid."""

_LONG_AGO: Final = float("-inf")

_AGE_S: Final = 1.0
"""Seconds for which the time that was last heard of an eMSP's tokens counts without looking."""


@frozen
class _Kept:
    """The tokens of one uid, and in which epoch they were read: what was missed began another.

    Attributes:
        until: when it is read again at the latest, of ``Announced.clock``.
    """

    tokens: tuple[tuple[Name, Said], ...]
    epoch: int
    until: float


@define(eq=False)
class Announced:
    """Finds the tokens of a uid. ``run`` works until cancelled; without it every question goes to the store."""

    store: Objects
    lookup: Lookup
    most: int = MOST
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _kept: OrderedDict[str, _Kept] = field(factory=OrderedDict, init=False)
    _reading: dict[str, object] = field(factory=dict, init=False)
    _heard_of: dict[str, datetime] = field(factory=dict, init=False)
    _heard_of_until: dict[str, float] = field(factory=dict, init=False)
    _epoch: int = field(default=0, init=False)
    _heard_at: float = field(default=_LONG_AGO, init=False)
    _away_until: float = field(default=_LONG_AGO, init=False)

    @property
    def away(self) -> bool:
        """Whether the store didn't answer a moment ago."""
        return self.clock() < self._away_until

    async def run(self) -> None:
        """Hear what is said of tokens."""
        async with aclosing(self.store.retold(_EVERY_S)) as told:
            async for uid in told:
                self._heard_at = self.clock()
                self._away_until = _LONG_AGO
                if uid is None:
                    self._epoch += 1
                    self._reading.clear()
                else:
                    self.retold(uid)

    def retold(self, uid: str) -> None:
        """A token with this uid was said."""
        self._kept.pop(fold(uid), None)
        self._reading.pop(fold(uid), None)
        self._heard_of_until.clear()

    async def tokens(self, uid: str) -> tuple[tuple[Name, Said], ...]:
        """The tokens with this uid, of every type and owner, without ``wire``; none if nobody announced one.

        Raises:
            NotDurable: the store is away or too slow, and nothing is known of the uid from before.
        """
        key = fold(uid)
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            if self._sure(kept):
                return kept.tokens
        try:
            return await self._looked_up(partial(self._read, uid, key))
        except NotDurable:
            if kept is None or not kept.tokens or self._kept.get(key) is not kept:
                raise
            return kept.tokens

    async def age(self, link: str) -> timedelta:
        """How long ago this link last told us of its tokens; very long, if it never did, or nobody can tell."""
        if self.clock() >= self._heard_of_until.get(link, _LONG_AGO):
            with suppress(NotDurable):  # then the last that is known counts
                at = await self._looked_up(partial(self.lookup.heard_of_tokens_at, link))
                if at is not None:
                    self._heard_of[link], self._heard_of_until[link] = at, self.clock() + _AGE_S
        return self.now() - self._heard_of[link] if link in self._heard_of else timedelta.max

    async def _looked_up(self, look: Callable[[], Awaitable[T]]) -> T:
        """What the store says, if it says it soon. Raises NotDurable if it doesn't."""
        try:
            async with asyncio.timeout(_LOOK_AGAIN_S if self.away else LOOK_S):
                found = await look()
        except (NotDurable, TimeoutError) as error:
            self._away_until = self.clock() + _AWAY_S
            raise NotDurable("what is known of the token can't be looked up just now") from error
        self._away_until = _LONG_AGO
        return found

    def _sure(self, kept: _Kept) -> bool:
        now = self.clock()
        return kept.epoch == self._epoch and now < kept.until and now - self._heard_at < 2 * _EVERY_S

    async def _read(self, uid: str, key: str) -> tuple[tuple[Name, Said], ...]:
        mine = self._reading[key] = object()
        try:
            names = await self.store.tokens_by_uid(uid)
            found = zip(names, await self.store.read_many(names) if names else [], strict=True)
            tokens = tuple((name, evolve(said, wire=b"")) for name, said in found if said and not said.deleted)
            if self._reading.get(key) is mine:
                self._keep(key, _Kept(tokens, self._epoch, self.clock() + (_KEPT_S if tokens else _NOTHING_S)))
            return tokens
        finally:
            if self._reading.get(key) is mine:
                del self._reading[key]

    def _keep(self, key: str, kept: _Kept) -> None:
        self._kept[key] = kept
        self._kept.move_to_end(key)
        while len(self._kept) > self.most:
            self._kept.popitem(last=False)
