"""When what failed is tried again, and how much of that a link gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from attrs import define

from gateway.directory import Link
from gateway.ledger import pace as module
from gateway.ledger.pace import LONGEST_REFUSED_S, Pace, ms
from gateway.model.dialect import Dialect
from gateway.model.modules import Module
from gateway.model.names import Due, Name
from gateway.model.party import Party
from gateway.model.policy import Policy, Retry

NAME = Name(Module.LOCATIONS, Party("NL", "EXA"), "LOC-7")


@define
class Clock:
    """Time that passes when it is told to."""

    now: datetime = datetime(2026, 3, 3, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(clock)


def a_link(policy: Policy) -> Link:
    dialect = Dialect(link="acme", version="2.2.1", ours=(), theirs=(), base_url="https://gwy.example", policy=policy)
    return Link(dialect=dialect, registered=True)


def seconds(pace: Pace, clock: Clock, link: Link, failures: int, **longest: float) -> float:
    """How long an object that has failed so often waits."""
    return (pace.later(link, failures, **longest) - ms(clock.now)) / 1000


def test_a_pause_doubles_up_to_five_minutes(pace: Pace, clock: Clock) -> None:
    """5 s, 10, 20, ..., each a fifth longer or shorter, so that objects don't come back in one moment."""
    link = a_link(Policy())
    for failures, pause in [(1, 5), (2, 10), (3, 20), (6, 160), (7, 300), (1000, 300)]:
        assert 0.8 * pause <= seconds(pace, clock, link, failures) <= 1.2 * pause


def test_a_refusal_that_may_pass_waits_up_to_an_hour(pace: Pace, clock: Clock) -> None:
    """Seven days of attempts each five minutes would be two thousand."""
    wait = seconds(pace, clock, a_link(Policy()), 100, longest=LONGEST_REFUSED_S)
    assert 0.8 * 3600 <= wait <= 1.2 * 3600


def test_a_link_may_have_a_pause_of_its_own(pace: Pace, clock: Clock) -> None:
    """``push.retry.interval``: always the same, but for the spread."""
    link = a_link(Policy(push_retry=Retry(interval=timedelta(seconds=300))))
    for failures in (1, 5, 50):
        assert 240 <= seconds(pace, clock, link, failures) <= 360


def test_repetitions_are_a_tenth_of_first_attempts_and_three_at_least(pace: Pace) -> None:
    """With nothing new three may go; with a hundred new ones ten."""
    assert [pace.begins("acme", repeated=True) for _ in range(5)] == [True, True, True, False, False]
    for _ in range(100):
        assert pace.begins("acme", repeated=False)
    assert sum(pace.begins("acme", repeated=True) for _ in range(50)) == 7
    assert pace.begins("volt", repeated=True), "each link has a budget of its own"


def test_a_repetition_that_succeeds_costs_nothing(pace: Pace) -> None:
    """After an outage everything goes out at the link's rate."""
    for _ in range(100):
        assert pace.begins("acme", repeated=True)
        pace.repeated("acme", in_vain=False)


def test_the_budget_begins_anew_each_minute(pace: Pace, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """What wasn't allowed now is tried when it is."""
    now = 5000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    while pace.begins("acme", repeated=True):
        pass
    assert (pace.next_chance("acme") - ms(clock.now)) / 1000 <= 1, "while those under way may still succeed"
    for _ in range(3):
        pace.repeated("acme", in_vain=True)
    assert 60 <= (pace.next_chance("acme") - ms(clock.now)) / 1000 <= 72
    now += 60
    assert pace.begins("acme", repeated=True)


def test_an_occasion_begins_the_budget_anew(pace: Pace) -> None:
    """They called in, or answered: what was tried in vain before says nothing about now."""
    for _ in range(3):
        assert pace.begins("acme", repeated=True)
        pace.repeated("acme", in_vain=True)
    assert not pace.begins("acme", repeated=True)
    pace.occasion("acme")
    assert [pace.begins("acme", repeated=True) for _ in range(4)] == [True, True, True, False]


def test_a_new_reason_is_no_repetition(pace: Pace) -> None:
    """The object has changed since: that is a first attempt, though its failures are remembered."""
    pace.failed("acme", Due(NAME, ticket=1, at=0))
    pace.failed("acme", Due(NAME, ticket=1, at=0))
    assert pace.repeats("acme", Due(NAME, ticket=1, at=0))
    assert not pace.repeats("acme", Due(NAME, ticket=2, at=0))
    assert pace.failures("acme", NAME) == 2
    pace.ended("acme", NAME)
    assert pace.failures("acme", NAME) == 0


def test_who_is_late_is_said_once(pace: Pace, clock: Clock) -> None:
    """How long it has been failing is counted from the first failure, and the alarm comes once for each object."""
    assert pace.failed("acme", Due(NAME, ticket=1, at=0)) == 0
    clock.now += timedelta(seconds=90)
    assert pace.failed("acme", Due(NAME, ticket=1, at=0)) == 90_000
    assert [pace.first_time_late("acme", NAME) for _ in range(2)] == [True, False]


def test_who_rejects_our_token_is_left_alone_for_longer_and_longer(pace: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
    """5 s, then 10; an occasion ends the rest, and only being accepted ends the doubling."""
    now = 5000.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    pace.turned_away("acme")
    pace.turned_away("acme")  # another request that was under way
    assert pace.rests("acme")
    now += 5
    assert not pace.rests("acme")
    pace.turned_away("acme")
    now += 9
    assert pace.rests("acme")
    pace.occasion("acme")
    assert not pace.rests("acme")
    pace.turned_away("acme")
    now += 19
    assert pace.rests("acme")
    pace.admitted("acme")
    pace.turned_away("acme")
    now += 5
    assert not pace.rests("acme")
