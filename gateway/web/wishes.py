"""What a person asks of the gateway from another process: a handshake, or to read the lists of a link.

The other side of a handshake calls us back before it answers, so a verb on the command line can't do one alone; and a
list is read by whoever brings on what is in it. So a verb writes its wish into the store and announces it; one of the
replicas that run takes it, does it and writes down how it went; as long as it is at it, it says so. If nobody takes it
in time, nobody runs, and whoever wished does it itself, with the listeners open for as long as it takes.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from enum import StrEnum
from typing import Final, Protocol

import msgspec
from attrs import frozen

from gateway.handshake import NotNow, advice
from gateway.model.errors import GatewayError, NotConnected, NotDurable, NotFound
from gateway.model.modules import Module
from gateway.registered import Links
from gateway.settings import Start
from gateway.sync import Counts, Sync
from gateway.web.handshakes import Handshakes

WISH: Final = "wish"
"""Topic of the announcement; its text is the wish's id."""

TAKEN_S: Final = 2.0
"""Seconds within which a running gateway takes a wish."""

GRANTED_S: Final = 150.0
"""Seconds that a handshake takes at most: two requests of discovery, and a POST or PUT of credentials."""

PULLED_S: Final = 12 * 3600.0
"""Seconds that reading lists takes at most."""

_KEPT_S: Final = 300.0
_LOOK_S: Final = 0.05

AT_IT_S: Final = 4.0
"""Seconds after which a gateway that doesn't say that it is still at it isn't."""


class Deed(StrEnum):
    """What may be wished."""

    REGISTER = "register"
    REFRESH = "refresh"
    ROTATE = "rotate"
    UNREGISTER = "unregister"
    PULL = "pull"


class Wanted(msgspec.Struct, frozen=True):
    """Which lists are to be read: see ``Sync.pull``."""

    module: Module | None = None
    full: bool = False
    accept_shrink: bool = False


ALL: Final = Wanted()


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one list."""

    module: Module
    party: str
    full: bool
    good: bool
    reason: str
    counts: Counts


class Outcome(msgspec.Struct, frozen=True):
    """How it went.

    Attributes:
        good: whether it is done.
        text: what happened.
        todo: what a person can do, where it isn't.
        lists: of a pull, what became of each list.
    """

    good: bool
    text: str
    todo: str = ""
    lists: tuple[Pulled, ...] = ()


class Store(Protocol):
    """What is needed of the store. Every method raises NotDurable."""

    async def remember(self, id: str, value: bytes, ttl: float | None) -> None:
        """Find ``value`` under ``id``."""

    async def recall(self, id: str) -> bytes | None:
        """What was remembered."""

    async def claim(self, id: str, value: bytes, ttl: float) -> bytes | None:
        """Who is first reads None."""

    async def announce(self, topic: str, text: str) -> None:
        """All replicas hear it."""


class _Wish(msgspec.Struct, frozen=True):
    link: str
    deed: Deed
    wanted: Wanted = Wanted()


_decode = msgspec.msgpack.Decoder(_Wish).decode
_decode_outcome = msgspec.msgpack.Decoder(Outcome).decode
_encode = msgspec.msgpack.Encoder().encode


@frozen(kw_only=True)
class Wishes:
    """Grants wishes, in a gateway that runs."""

    store: Store
    links: Links
    handshakes: Handshakes
    lists: Sync

    async def grant(self, id: str) -> None:
        """Do what was wished under this id, if nobody else does, and write down how it went."""
        try:
            packed = await self.store.recall(_wish(id))
            if packed is None or await self.store.claim(_wish(id), b"", _KEPT_S) is not None:
                return
            await self.store.remember(_taken(id), b"1", AT_IT_S)
            wish = _decode(packed)
            at_it = asyncio.create_task(self._say_at_it(id), name="wish")
            try:
                outcome = await self.perform(wish.link, wish.deed, wish.wanted)
                await self.store.remember(_outcome(id), _encode(outcome), _KEPT_S)
            finally:
                at_it.cancel()
        except NotDurable:
            return  # whoever wished reads that nothing came of it

    async def _say_at_it(self, id: str) -> None:
        while True:
            await asyncio.sleep(AT_IT_S / 4)
            with suppress(NotDurable):
                await self.store.remember(_taken(id), b"1", AT_IT_S)

    async def perform(self, link: str, deed: Deed, wanted: Wanted = ALL) -> Outcome:
        """Do it here and now. Never raises for what a peer does wrong."""
        if link not in self.links.settings:
            return Outcome(
                False,
                f"the gateway that runs has no link {link} in its configuration",
                "send it SIGHUP, so that it reads the files",
            )
        try:
            match deed:
                case Deed.REGISTER:
                    await self.handshakes.register(link)
                    return Outcome(True, self._registered(link))
                case Deed.REFRESH:
                    await self.handshakes.refresh(link)
                    return Outcome(True, "they have our present roles and URLs, and both sides new tokens")
                case Deed.ROTATE:
                    await self.handshakes.rotate(link)
                    return Outcome(True, "both sides have new tokens")
                case Deed.UNREGISTER:
                    why = await self.handshakes.unregister(link)
                    ended = "the registration is ended here"
                    return Outcome(True, f"{ended}, but they weren't told: {why}" if why else f"{ended} and over there")
                case Deed.PULL:
                    return await self._pull(link, wanted)
        except NotNow as error:
            return Outcome(False, error.message)  # which says what to do, if anything
        except GatewayError as error:
            return Outcome(False, f"{error.status}: {error.message}", advice(error))

    async def _pull(self, link: str, wanted: Wanted) -> Outcome:
        try:
            reports = await self.lists.pull(link, wanted.module, full=wanted.full, accept_shrink=wanted.accept_shrink)
        except NotFound as error:
            return Outcome(False, error.message, f"see `ocpi-gateway partner show {link}` for what they have")
        except NotConnected as error:
            return Outcome(False, error.message, f"see `ocpi-gateway partner show {link}`")
        pulled = tuple(
            Pulled(
                module=report.source.module, party=str(report.source.party), full=report.full, good=report.good,
                reason=report.error or report.refused, counts=report.counts,
            )
            for report in reports
        )  # fmt: skip
        failed = [each for each in pulled if not each.good]
        todo = "see `ocpi-gateway sync status`, and the log of the gateway" if failed else ""
        if refused := [report.source.module for report in reports if report.refused]:
            only = f" {refused[0]}" if len(set(refused)) == 1 else ""
            todo = f"if it is meant: ocpi-gateway sync run {link}{only} --full --accept-shrink"
        lists = "1 list" if len(pulled) == 1 else f"{len(pulled)} lists"
        return Outcome(not failed, f"{lists} read, {len(failed)} failed" if failed else f"{lists} read", todo, pulled)

    def _registered(self, link: str) -> str:
        """What registering has come to."""
        if self.links.settings[link].registration.start is Start.THEM:
            return "they may register now, with the token_in of the file"
        return f"registered, on OCPI {self.links.registration(link).version}"


async def wish(store: Store, link: str, deed: Deed, wanted: Wanted = ALL) -> Outcome | None:
    """Have a running gateway do it. None: none runs on this store.

    Raises:
        NotDurable: the store is away.
    """
    id = secrets.token_hex(8)
    await store.remember(_wish(id), _encode(_Wish(link, deed, wanted)), _KEPT_S)
    await store.announce(WISH, id)
    if not await _comes(store, _taken(id), TAKEN_S):
        # Taken back, so that a gateway which comes up a moment later doesn't do it as well.
        if await store.claim(_wish(id), b"", _KEPT_S) is None:
            return None
        await _comes(store, _taken(id), TAKEN_S)
    within = PULLED_S if deed is Deed.PULL else GRANTED_S
    if outcome := await _comes(store, _outcome(id), within, as_long_as=_taken(id)):
        return _decode_outcome(outcome)
    look = "ocpi-gateway sync status" if deed is Deed.PULL else f"ocpi-gateway partner show {link}"
    return Outcome(
        False, "the gateway took it, and has ended or lost Redis before it was done", f"see {look}, and ask again"
    )


async def _comes(store: Store, id: str, within: float, *, as_long_as: str | None = None) -> bytes | None:
    """What is written under an id, as soon as it is; None if it isn't in time, or ``as_long_as`` is no longer there."""
    ends = time.monotonic() + within
    while (found := await store.recall(id)) is None and time.monotonic() < ends:
        if as_long_as is not None and await store.recall(as_long_as) is None:
            return await store.recall(id)
        await asyncio.sleep(_LOOK_S)
    return found


def _wish(id: str) -> str:
    return f"wish:{id}"


def _taken(id: str) -> str:
    return f"wish-taken:{id}"


def _outcome(id: str) -> str:
    return f"wish-outcome:{id}"
