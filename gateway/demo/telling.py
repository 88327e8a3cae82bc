"""How a story is told: chapters of steps, each played, printed as it crosses, and checked.

A step is whatever can be called with the story and its world. Most are ``Deed``s: one request of a peer, the answer
that it must get, and what others must have received because of it, to the last field. A step is over when all of that
was there, so that the lines of one step never stand among those of the next.
"""

from __future__ import annotations

import asyncio
import re
import textwrap
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from attrs import define, field, frozen

from gateway.demo.peers import Exchange, Peer
from gateway.demo.world import World
from gateway.telemetry import Crossed

WIDTH: Final = 100
"""Columns of the terminal that is told to."""

_PATIENCE_S: Final = 5.0
_UNDER_LOSSES: Final = " " * 40

Step = Callable[["Story", World], Awaitable[None]]
Does = Callable[[Peer], Awaitable[Exchange]]


@frozen
class Chapter:
    """A part of the story: what it is called, what happens in it in plain words, and its steps."""

    title: str
    plain: str
    steps: Sequence[Step]


@frozen
class Begins:
    """Stands for any text that begins so, where what must be depends on the run: a URL with an id in it, a moment."""

    prefix: str


@frozen(kw_only=True)
class Arrival:
    """What somebody must have received.

    Attributes:
        at: the name of the peer.
        body: to the last field.
        segments: what follows the endpoint in the URL; None where it isn't looked at.
        to: the party in OCPI-to; None where it isn't looked at.
    """

    at: str
    verb: str
    module: str
    body: Any
    segments: tuple[str, ...] | None = None
    to: tuple[str, str] | None = None


@frozen(kw_only=True)
class Deed:
    """One request, and what must come of it.

    Attributes:
        what: it, in words, as a failure names it.
        by: the name of the peer that asks.
        does: asks.
        answer: ``data`` of its answer; None where it isn't looked at.
        arrives: what others must have received because of it.
        ends_here: the gateway answers by itself; nothing crosses by the time of the answer.
    """

    what: str
    by: str
    does: Does
    answer: Any = None
    arrives: tuple[Arrival, ...] = ()
    ends_here: bool = False

    async def __call__(self, story: Story, world: World) -> None:
        peer = story.peer(world, self.by)
        before = {name: len(story.peer(world, name).received) for name in {each.at for each in self.arrives}}
        crossed = len(story.crossings)
        answer = await self.does(peer)
        story.answers[self.what] = answer
        if self.ends_here:
            story.asked(peer, answer)
        story.check(f"{self.what}: its status", (answer.http in (200, 201), answer.status_code), (True, 1000))
        if self.answer is not None:
            story.check(f"{self.what}: its answer", answer.data, self.answer)
        for arrival in self.arrives:
            await story.arrives(self.what, world, arrival, after=before[arrival.at], crossed=crossed)


@define(eq=False)
class Story:
    """Plays, tells, and counts what was off.

    Attributes:
        tell: gets each line as it is told, of 100 columns at most where nothing in it is longer by itself.
        checked: how many things were laid beside what they must be.
        wrong: what differed, in words.
        crossings: every message that went through the gateway.
        answers: of each deed, by what it is called.
    """

    tell: Callable[[str], None]
    checked: int = 0
    wrong: list[str] = field(factory=list)
    crossings: list[Crossed] = field(factory=list)
    answers: dict[str, Exchange] = field(factory=dict)
    _feeds: frozenset[str] = frozenset()
    _more: asyncio.Event = field(factory=asyncio.Event)

    # Playing ----------------------------------------------------------------------------------------------------------

    async def play(self, world: World, chapters: Sequence[Chapter]) -> None:
        """All of it.

        Raises:
            AssertionError, TimeoutError: something that must arrive didn't; the story can't go on.
        """
        self._feeds = frozenset(world.feeds)
        for number, chapter in enumerate(chapters, start=1):
            self.tell(f"\n{number}. {chapter.title}")
            self.tell(textwrap.fill(chapter.plain, WIDTH, initial_indent="   ", subsequent_indent="   "))
            for step in chapter.steps:
                await step(self, world)
        self.check("what peers complain about", world.complaints, [])

    def peer(self, world: World, name: str) -> Peer:
        """A backend or partner, by its name."""
        return world.backends.get(name) or world[name]

    def check(self, what: str, got: Any, must: Any) -> None:
        """Lay what there is beside what must be."""
        self.checked += 1
        for difference in differences(got, must):
            self.wrong.append(f"{what}: {difference}")
            self.tell(f"  WRONG   {what}: {difference}")

    async def arrives(self, what: str, world: World, arrival: Arrival, *, after: int, crossed: int) -> None:
        """Wait until somebody has received something, and lay it beside what must be.

        Args:
            after: how much that one had received before.
            crossed: how many messages had crossed before.
        """
        received = await self.peer(world, arrival.at).wait_for(
            arrival.verb, arrival.module, after=after, timeout=_PATIENCE_S
        )
        crossing = await self.until_told(arrival, after=crossed)
        where = f"{what}, at {arrival.at}"
        self.check(f"{where}: its status", crossing.status, 1000)
        self.check(where, received.body, arrival.body)
        if arrival.segments is not None:
            self.check(f"{where}: its URL", received.segments, arrival.segments)
        if arrival.to is not None:
            to = tuple(received.headers.get(f"ocpi-to-{part}", "") for part in ("country-code", "party-id"))
            self.check(f"{where}: whom it is for", to, arrival.to)

    async def until_told(self, arrival: Arrival, *, after: int) -> Crossed:
        """Wait until the gateway has the receiver's answer, and its line is told."""
        wanted = (arrival.at, arrival.verb, arrival.module)
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                for crossing in self.crossings[after:]:
                    if (crossing.target, crossing.verb, crossing.module) == wanted:
                        return crossing
                self._more.clear()
                await self._more.wait()

    # Telling ----------------------------------------------------------------------------------------------------------

    def crossed(self, crossing: Crossed) -> None:
        """A message went through the gateway, or (of what it asks by itself) came from it."""
        self.crossings.append(crossing)
        self._more.set()
        source = f"{crossing.source} {crossing.source_version}"
        if crossing.source == crossing.target:
            source = "gateway"
        elif crossing.source in self._feeds:
            source = crossing.source  # which speaks no version of OCPI
        self.line(
            source,
            f"{crossing.target_version} {crossing.target}",
            f"{crossing.verb} {crossing.module}" + (f"/{crossing.action}" if crossing.action else ""),
            crossing.status,
            _lost(crossing),
        )

    def asked(self, peer: Peer, answer: Exchange, note: str = "") -> None:
        """A request that the gateway answered by itself."""
        what = f"{answer.method} {_module(peer, answer.url)}"
        self.line(f"{peer.name} {peer.who.version}", "gateway", what, answer.status_code, note)

    def line(self, source: str, target: str, what: str, status: int | None, note: str) -> None:
        """One message: from whom, to whom, what, its OCPI status, and what there is to say of it."""
        if " " not in target:
            target = f"{'':5} {target}"
        start = f"  {source:>13} -> {target:<13}  {what:<27} {status or 'none':<4}  "
        self.tell(
            textwrap.fill(
                note, WIDTH, initial_indent=start, subsequent_indent=_UNDER_LOSSES, break_long_words=False,
                break_on_hyphens=False,
            )
            if note
            else start.rstrip()
        )  # fmt: skip


def _lost(crossing: Crossed) -> str:
    """What a translation lost: its pointers, those that differ in an index alone as one."""
    pointers = Counter(re.sub(r"/\d+(?=/|$)", "/*", loss.pointer) for loss in crossing.losses)
    told = " ".join(pointer if count == 1 else f"{pointer} (x{count})" for pointer, count in pointers.items())
    return f"lost: {told}" if told else "nothing lost"


def _module(peer: Peer, url: str) -> str:
    """Which module a URL of the other end's is of."""
    under = [name for (name, _), endpoint in peer.counterpart.endpoints.items() if url.startswith(endpoint)]
    return under[0] if under else url


def differences(got: Any, must: Any, at: str = "$") -> list[str]:
    """Where two JSON values differ, as sentences. Numbers compare by value, dates as they are written."""
    if isinstance(must, Begins):
        fits = isinstance(got, str) and got.startswith(must.prefix)
        return [] if fits else [f"{at}: {got!r}, which doesn't begin with {must.prefix!r}"]
    if isinstance(got, Mapping) and isinstance(must, Mapping):
        found = []
        for name in sorted(got.keys() | must.keys()):
            if name not in got:
                found.append(f"{at}.{name}: missing")
            elif name not in must:
                found.append(f"{at}.{name}: not expected")
            else:
                found += differences(got[name], must[name], f"{at}.{name}")
        return found
    if isinstance(got, list | tuple) and isinstance(must, list | tuple):
        if len(got) != len(must):
            return [f"{at}: {len(got)} items instead of {len(must)}"]
        pairs = enumerate(zip(got, must, strict=True))
        return [line for index, (one, other) in pairs for line in differences(one, other, f"{at}[{index}]")]
    return [] if got == must and isinstance(got, bool) == isinstance(must, bool) else [f"{at}: {got!r}, not {must!r}"]
