"""The breaker, with a clock of its own: when it opens, when it lets one call through, and when it closes."""

from __future__ import annotations

import pytest
from attrs import define
from structlog.testing import capture_logs

from gateway.breaker import BILATERAL_S, HUB_S, Breaker, Breakers, Call, CircuitOpen
from gateway.model.modules import Module


@define
class Clock:
    """Time that passes when it is told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(HUB_S, clock, lambda: 1.0)


def fail(breaker: Breaker, times: int, what: str | None = None) -> None:
    """So many calls go out, and aren't answered."""
    for _ in range(times):
        entered = breaker.enter()
        assert entered is not None
        breaker.failed(entered, what)


def succeed(breaker: Breaker) -> None:
    """A call goes out, and is answered."""
    entered = breaker.enter()
    assert entered is not None
    breaker.succeeded(entered)


def test_five_failures_in_a_row_open_it(breaker: Breaker) -> None:
    """Four don't, and an answer in between begins the row anew."""
    fail(breaker, 4)
    succeed(breaker)
    fail(breaker, 4)
    assert not breaker.open
    fail(breaker, 1)
    assert breaker.open
    assert breaker.enter() is None
    assert breaker.waits() == 5


def test_half_of_twenty_within_half_a_minute_open_it(breaker: Breaker) -> None:
    """Never five in a row, and yet as often no answer as one."""
    for _ in range(9):
        succeed(breaker)
        fail(breaker, 1)
    assert not breaker.open
    succeed(breaker)
    fail(breaker, 1)
    assert breaker.open


def test_what_is_long_ago_doesnt_count(breaker: Breaker, clock: Clock) -> None:
    """Of the failures, only those of the last 30 s are weighed against the answers."""
    for _ in range(9):
        succeed(breaker)
        fail(breaker, 1)
    clock.now += 31
    succeed(breaker)
    fail(breaker, 1)
    assert not breaker.open


def test_one_object_that_makes_a_server_stumble_is_one_failure(breaker: Breaker) -> None:
    """However often it fails, it is one in a row; five different ones are five."""
    fail(breaker, 12, "LOC-1")
    assert not breaker.open
    for number in range(2, 6):
        fail(breaker, 1, f"LOC-{number}")
    assert breaker.open


def test_when_its_time_is_up_one_call_is_the_trial(breaker: Breaker, clock: Clock) -> None:
    """One call goes out; while it is under way no other does; its answer closes the breaker."""
    fail(breaker, 5)
    clock.now += 5
    trial = breaker.enter()
    assert trial is not None
    assert breaker.enter() is None
    assert breaker.succeeded(trial)
    assert not breaker.open
    assert breaker.waits() == 0


def test_each_trial_that_fails_doubles_the_time_up_to_a_limit(breaker: Breaker, clock: Clock) -> None:
    """5 s, 10, 20, ... and never longer than the limit: so many attempts a day, and no more."""
    fail(breaker, 5)
    waits = []
    for _ in range(8):
        waits.append(breaker.waits())
        clock.now = breaker.until
        fail(breaker, 1)
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]


@pytest.mark.parametrize("longest", [HUB_S, BILATERAL_S], ids=["hub", "bilateral"])
def test_a_dead_link_is_tried_at_most_300_times_a_day(clock: Clock, longest: float) -> None:
    """The opening failures and all trials of 24 hours, with the time spread as in life."""
    breaker = Breaker(longest, clock)
    fail(breaker, 5)
    attempts = 5
    end = clock.now + 24 * 3600
    while breaker.until < end:
        clock.now = breaker.until
        fail(breaker, 1)
        attempts += 1
    assert attempts <= 300


def test_a_trial_that_nobody_ended_is_another_ones(breaker: Breaker, clock: Clock) -> None:
    """A call that was cancelled says nothing: the next one may try."""
    fail(breaker, 5)
    clock.now += 5
    trial = breaker.enter()
    assert trial is not None
    breaker.leave(trial)
    assert breaker.enter() is not None


def test_calls_from_before_it_opened_say_nothing_about_now(breaker: Breaker) -> None:
    """An answer that comes late doesn't close it, a failure that comes late doesn't make it wait for longer."""
    early, late = breaker.enter(), breaker.enter()
    assert early is not None
    assert late is not None
    fail(breaker, 5)
    assert not breaker.succeeded(early)
    assert not breaker.failed(late)
    assert breaker.open
    assert breaker.waits() == 5


def test_a_pause_that_they_ask_for_opens_nothing(breaker: Breaker, clock: Clock) -> None:
    """Nothing goes out before it is over, and then everything does."""
    breaker.rest(30)
    assert breaker.enter() is None
    assert not breaker.open
    clock.now += 30
    assert breaker.enter() is not None
    assert breaker.enter() is not None


def test_urging_gives_the_trial_at_once(breaker: Breaker) -> None:
    """They have called in: one call goes out now."""
    fail(breaker, 5)
    breaker.urge()
    assert breaker.enter() is not None
    assert breaker.enter() is None


# All of a link --------------------------------------------------------------------------------------------------------


def call(breakers: Breakers, module: Module) -> Call:
    """A call to hub big, begun."""
    context = breakers.calling("big", module, longest=HUB_S)
    return context.__enter__()


def open_up(breakers: Breakers, module: Module) -> None:
    """This module's breaker opens."""
    for _ in range(5):
        call(breakers, module).failed("no connection")


def test_a_dead_module_leaves_the_others_alone(clock: Clock) -> None:
    """CDRs fail at once, with a reason, and authorizations go out."""
    breakers = Breakers(clock=clock)
    open_up(breakers, Module.CDRS)
    with pytest.raises(CircuitOpen, match="circuit open until"):
        call(breakers, Module.CDRS)
    assert breakers.waits("big", Module.TOKENS) == 0
    call(breakers, Module.TOKENS).answered()


def test_what_opens_is_told_with_what_to_do(clock: Clock) -> None:
    """One line when it opens, one when it closes."""
    breakers = Breakers(clock=clock)
    with capture_logs() as lines:
        open_up(breakers, Module.CDRS)
        clock.now += 60
        call(breakers, Module.CDRS).answered()
    opened, closed = lines
    assert (opened["event"], opened["partner"], opened["module"]) == ("breaker.opened", "big", "cdrs")
    assert opened["reason"] == "no connection"
    assert "endpoint" in opened["todo"]
    assert (closed["event"], closed["module"]) == ("breaker.closed", "cdrs")


def test_a_platform_that_is_down_has_one_trial_over_all_modules(clock: Clock) -> None:
    """While one module's trial is under way no other's begins, and its failure puts all of them off."""
    breakers = Breakers(clock=clock)
    open_up(breakers, Module.LOCATIONS)
    open_up(breakers, Module.TOKENS)
    clock.now += 60
    with breakers.calling("big", Module.LOCATIONS, longest=HUB_S) as trial:
        with pytest.raises(CircuitOpen):
            call(breakers, Module.TOKENS)
        trial.failed("no connection")
    assert breakers.waits("big", Module.TOKENS) == pytest.approx(breakers.waits("big", Module.LOCATIONS))
    assert breakers.waits("big", Module.TOKENS) > 5


def test_the_first_answer_gives_every_module_its_trial(clock: Clock) -> None:
    """What closes urges the others, and is told to who waits for it."""
    breakers = Breakers(clock=clock)
    closed: list[str] = []
    breakers.closed = closed.append
    open_up(breakers, Module.LOCATIONS)
    clock.now += 3
    open_up(breakers, Module.TOKENS)
    clock.now += 60
    call(breakers, Module.LOCATIONS).answered()
    assert closed == ["big"]
    assert breakers.waits("big", Module.TOKENS) == 0
    assert breakers.is_open("big", Module.TOKENS)
