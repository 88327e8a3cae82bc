"""Circuit breakers: what doesn't answer isn't called for a while, so that nobody waits for it.

Each link has a breaker for each module, since a platform's CDR service may be dead while its tariffs are taken, and one
of its own for authorizations, which a list of tokens that can't be read must not stop::

    closed ──(5 failures in a row, or half of 20 within 30 s)──► open ──(its time is up, or they call us)──► trial
       ▲                                                          ▲                                            │
       └──────────────────────── it is answered ──────────────────┴──── it isn't: twice as long, up to a limit ┘

While it is open, calls fail at once with ``CircuitOpen``: not one byte is sent, an authorization is answered from the
cache, and what is owed waits. The trial is one real request, whichever comes first; of CDRs a real CDR, because nothing
else proves that they are taken. A platform that is down as a whole has one trial at a time over all its modules, and
one that isn't answered puts all of them off; one that is answered gives each of the others its trial at once.

What counts as a failure says that nobody who understands us is there: no connection, no answer in time, HTTP 5xx, an
answer that isn't OCPI. A refusal is an answer. A rejected token is about us, and about all modules: it has an alarm of
its own. And one object that makes a server stumble is one object: its failures count once in a row.

``Retry-After`` (RFC 9110, 10.2.3) is another thing: they are there, and ask for a pause. It is kept in the same place.

A call *from* them proves nothing about their own receiver, so it closes nothing: it is the occasion for a trial.
Replicas tell each other what opens and closes.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from attrs import define, field
from prometheus_client import Gauge

from gateway.model.errors import NotConnected, NotDurable
from gateway.ports import News

log = structlog.get_logger()

OPEN: Final = Gauge(
    "ocpi_gateway_breaker_open", "Whether calls of a module to a link fail at once (1) or go out (0).",
    ("partner", "module"),
)  # fmt: skip

IN_A_ROW: Final = 5
"""Failures in a row that open a breaker."""

FIRST_S: Final = 5.0
"""Seconds for which it stays open the first time."""

HUB_S: Final = 300.0
BILATERAL_S: Final = 900.0
BACKEND_S: Final = 15.0
"""Seconds for which it stays open at most, between two trials: many wait behind a hub, and everybody for a backend."""

AUTHORIZATIONS: Final = "authorizations"
"""What real-time authorizations go by: they are about tokens, and no business of those who push and list these."""

_WINDOW_S: Final = 30
_ENOUGH: Final = 20
_UNDER_TRIAL_S: Final = 1.0
_TOPIC: Final = "breaker"


class CircuitOpen(NotConnected):
    """Nothing was sent: it hasn't answered lately, or asked for a pause, and its time isn't up."""


@define(eq=False)
class Breaker:
    """One breaker. Pure but for the clock that it is given.

    Attributes:
        longest: seconds between two trials at most.
        clock: monotonic, in seconds.
        spread: a factor for each time, so that many breakers don't try in the same moment.
    """

    longest: float
    clock: Callable[[], float] = time.monotonic
    spread: Callable[[], float] = lambda: random.uniform(0.8, 1.4)  # noqa: S311 (spread, not secret)
    open: bool = field(default=False, init=False)
    trying: bool = field(default=False, init=False)
    until: float = field(default=0.0, init=False)
    _pause: float = field(default=0.0, init=False)
    _rests_until: float = field(default=0.0, init=False)
    _rests: int = field(default=0, init=False)
    _age: int = field(default=0, init=False)
    _row: list[str | None] = field(factory=list, init=False)
    _seconds: deque[list[int]] = field(factory=deque, init=False)

    def waits(self) -> float:
        """Seconds until a call may go out; 0: at once."""
        now = self.clock()
        opens = 0.0
        if self.open:
            opens = max(self.until - now, _UNDER_TRIAL_S if self.trying else 0.0)
        return max(opens, self._rests_until - now, 0.0)

    def enter(self) -> int | None:
        """A call begins. The number by which its end is told, or None: not now."""
        if self.waits() > 0:
            return None
        self.trying = self.open
        return self._age

    def leave(self, entered: int) -> None:
        """A call ended and nobody knows how."""
        if entered == self._age:
            self.trying = False

    def succeeded(self, entered: int) -> bool:
        """A call was answered. Whether that closes the breaker."""
        if entered != self._age:
            return False  # it began before the breaker opened, and says nothing about now
        self._count(good=True)
        self._row.clear()
        self._rests = 0
        return self.close()

    def failed(self, entered: int, what: str | None = None) -> bool:
        """A call wasn't answered. Whether that opens the breaker, or keeps it open for longer.

        Args:
            what: the object that it was about, if it may be that one's fault.
        """
        if entered != self._age:
            return False
        self._count(good=False)
        if what is None or what not in self._row:
            self._row.append(what)
        if not (self.open or len(self._row) >= IN_A_ROW or self._mostly_bad()):
            return False
        self._pause = min(max(2 * self._pause, FIRST_S), self.longest)
        self.stay_open(self._pause * self.spread())
        return True

    def stay_open(self, seconds: float) -> None:
        """It is open for so long, from now on."""
        self.open, self.trying = True, False
        self._pause = max(self._pause, min(seconds, self.longest))
        self.until = self.clock() + seconds
        self._forget()

    def close(self) -> bool:
        """Calls go out again. Whether they didn't."""
        if not self.open:
            return False
        self.open = self.trying = False
        self._pause = 0.0
        self._forget()
        return True

    def urge(self) -> None:
        """If it is open, its trial may be now."""
        self.until = min(self.until, self.clock())

    def rest(self, seconds: float) -> None:
        """They asked for a pause; no call goes out before it is over."""
        self._rests += 1
        self._rests_until = max(self._rests_until, self.clock() + seconds)

    @property
    def rests(self) -> int:
        """How often in a row they asked for a pause."""
        return self._rests

    def _forget(self) -> None:
        """A new age: calls that are still under way belong to the one before."""
        self._age += 1
        self._row.clear()
        self._seconds.clear()

    def _count(self, *, good: bool) -> None:
        second = int(self.clock())
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0, 0])
        self._seconds[-1][1 if good else 2] += 1
        while self._seconds[0][0] <= second - _WINDOW_S:
            self._seconds.popleft()

    def _mostly_bad(self) -> bool:
        good, bad = (sum(second[index] for second in self._seconds) for index in (1, 2))
        return good + bad >= _ENOUGH and bad >= good


@define(eq=False)
class Call:
    """One call through a breaker. It ends in one of three ways; left without one, it says nothing."""

    _breakers: Breakers
    _breaker: Breaker
    _link: str
    _module: str
    _entered: int

    def answered(self) -> None:
        """Somebody who understands us is there."""
        if self._breaker.succeeded(self._entered):
            self._breakers._closed(self._link, self._module)

    def failed(self, reason: str, *, what: str | None = None) -> None:
        """Nobody who understands us answered.

        Args:
            what: the object that the call was about, if it may be that one's fault; None: nobody was reached.
        """
        trial = self._breaker.open
        if self._breaker.failed(self._entered, what):
            self._breakers._opened(self._link, self._module, reason, everywhere=trial and what is None)

    def asked_to_wait(self, seconds: float | None, first: float, longest: float) -> None:
        """They want a pause: of so many seconds, or, if they don't say, of ``first``, doubled each time."""
        pause = min(first * 2.0 ** min(self._breaker.rests, 32), longest) if seconds is None else seconds
        self._breaker.rest(pause)
        self._breakers._rests(self._link, self._module, pause)

    def left(self) -> None:
        """Whatever it was, the trial is another's now."""
        self._breaker.leave(self._entered)


class Breakers:
    """The breakers of all links. ``work`` is what keeps them in step with those of other replicas."""

    def __init__(self, news: News | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._news = news
        self._clock = clock
        self._links: dict[str, dict[str, Breaker]] = defaultdict(dict)
        self._who = secrets.token_hex(4)
        self._untold: dict[tuple[str, str, str], float] = {}
        self._something = asyncio.Event()
        self._left: dict[str, asyncio.Event] = {}
        self.closed: Callable[[str], None] = lambda _: None
        """Told of each link of which a breaker has closed."""

    # Calls ------------------------------------------------------------------------------------------------------------

    @contextmanager
    def calling(self, link: str, module: str, *, longest: float = BILATERAL_S) -> Iterator[Call]:
        """A call to a link, about a module.

        Args:
            module: its name, or ``AUTHORIZATIONS``.
            longest: seconds between two trials at most, if it doesn't answer.

        Raises:
            CircuitOpen: not now.
        """
        breaker = self._breaker(link, module, longest)
        entered = None if self._tried_elsewhere(link, breaker) else breaker.enter()
        if entered is None:
            until = datetime.now(UTC) + timedelta(seconds=self.waits(link, module))
            why = "circuit open" if breaker.open else "they asked us to wait"
            raise CircuitOpen(f"{why} until {until:%Y-%m-%dT%H:%M:%SZ}")
        call = Call(self, breaker, link, module, entered)
        try:
            yield call
        finally:
            call.left()
            if (left := self._left.pop(link, None)) is not None:
                left.set()

    def waits(self, link: str, module: str) -> float:
        """Seconds until a call may go out; 0: at once."""
        breaker = self._links[link].get(module)
        if breaker is None:
            return 0.0
        return max(breaker.waits(), _UNDER_TRIAL_S if self._tried_elsewhere(link, breaker) else 0.0)

    def is_open(self, link: str, module: str) -> bool:
        """Whether the next call, if there is one, is a trial."""
        breaker = self._links[link].get(module)
        return breaker is not None and breaker.open

    async def trial(self, link: str, module: str, *, within: float) -> None:
        """If a trial of a module is under way in this process, its end is waited for, at most so many seconds."""
        breaker = self._links[link].get(module)
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while breaker is not None and breaker.trying:
                    await self._left.setdefault(link, asyncio.Event()).wait()

    def longest(self, link: str, module: str) -> float:
        """Seconds between two trials at most."""
        breaker = self._links[link].get(module)
        return BILATERAL_S if breaker is None else breaker.longest

    def any_open(self, link: str) -> bool:
        """Whether any module of the link has a breaker open."""
        return any(breaker.open for breaker in self._links[link].values())

    def any_waits(self, link: str) -> bool:
        """Whether any module of the link may not be called at will: open, or asked for a pause."""
        return any(breaker.open or breaker.waits() > 0 for breaker in self._links[link].values())

    def urge(self, link: str) -> None:
        """What is open on this link may have its trial now, in any replica: they have called in, or are back."""
        if self.any_open(link):
            self._urge(link)
            self._tell("urge", link, "versions", 0.0)

    def _urge(self, link: str) -> None:
        for breaker in self._links[link].values():
            breaker.urge()

    def _breaker(self, link: str, module: str, longest: float = BILATERAL_S) -> Breaker:
        breakers = self._links[link]
        if module not in breakers:
            breakers[module] = Breaker(longest, self._clock)
            OPEN.labels(link, module).set(0)
        return breakers[module]

    def _tried_elsewhere(self, link: str, breaker: Breaker) -> bool:
        """Whether another module's trial is under way: of a link that is down there is one at a time."""
        return breaker.open and any(other.trying for other in self._links[link].values() if other is not breaker)

    # What changes -----------------------------------------------------------------------------------------------------

    def _opened(self, link: str, module: str, reason: str, *, everywhere: bool) -> None:
        breaker = self._links[link][module]
        seconds = breaker.until - self._clock()
        OPEN.labels(link, module).set(1)
        log.warning(
            "breaker.opened", partner=link, module=module, reason=reason, seconds=round(seconds, 1),
            todo="calls fail at once until then, and what is owed waits; it is tried again by itself, or when it calls"
            " us: see whether its endpoint is up",
        )  # fmt: skip
        self._tell("open", link, module, seconds)
        for other in self._links[link].values() if everywhere else ():
            if other.open and other.until < breaker.until:
                other.stay_open(seconds)

    def _closed(self, link: str, module: str) -> None:
        OPEN.labels(link, module).set(0)
        log.info("breaker.closed", partner=link, module=module)
        self._tell("closed", link, module, 0.0)
        self._urge(link)
        self.closed(link)

    def _rests(self, link: str, module: str, seconds: float) -> None:
        log.info("partner.wants_a_pause", partner=link, module=module, seconds=round(seconds, 1))
        self._tell("rest", link, module, seconds)

    # Other replicas ---------------------------------------------------------------------------------------------------

    def work(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What keeps replicas in step, each to be run until cancelled."""
        return () if self._news is None else (self._announce(self._news), self._listen(self._news))

    def _tell(self, what: str, link: str, module: str, seconds: float) -> None:
        if self._news is not None:
            # The clocks of machines are close enough for this, and monotonic ones can't be compared.
            self._untold[link, module, what] = time.time() + seconds
            self._something.set()

    async def _announce(self, news: News) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            while self._untold:
                (link, module, what), until = self._untold.popitem()
                try:
                    await news.announce(_TOPIC, f"{self._who} {what} {module} {until:.3f} {link}")
                except NotDurable:
                    break  # each replica finds it out for itself

    async def _listen(self, news: News) -> None:
        async with aclosing(news.announcements(every=5.0)) as announced:
            async for said in announced:
                if said is not None and said[0] == _TOPIC:
                    self._hear(said[1])

    def _hear(self, text: str) -> None:
        who, what, module, until, link = text.split(" ", 4)
        if who == self._who:
            return
        if what == "urge":
            self._urge(link)
            return
        breaker = self._breaker(link, module)
        seconds = float(until) - time.time()
        match what:
            case "open" if seconds > 0:
                breaker.stay_open(seconds)
                OPEN.labels(link, module).set(1)
            case "rest" if seconds > 0:
                breaker.rest(seconds)
            case "closed" if breaker.close():
                OPEN.labels(link, module).set(0)
                self._urge(link)
                self.closed(link)
