"""Hours in which something may be done: weekdays, nights, and the two nights on which the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from gateway.model.window import Window

WORK = Window()
NIGHTS = Window(days=frozenset(range(7)), start=time(22), end=time(6))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        ("2026-01-05T07:59:59", False),  # Monday, winter time
        ("2026-01-05T08:00:00", True),
        ("2026-01-05T15:59:59", True),
        ("2026-01-05T16:00:00", False),
        ("2026-07-06T06:59:59", False),  # Monday, summer time
        ("2026-07-06T07:00:00", True),
        ("2026-07-06T15:00:00", False),
        ("2026-01-10T10:00:00", False),  # Saturday
    ],
)
def test_working_hours_of_amsterdam_q24(now: str, is_open: bool) -> None:
    """Left out, a window is Monday to Friday from nine to five in Amsterdam, winter and summer; its end is out."""
    assert WORK.is_open(at(now)) is is_open


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-01-05T10:00:00", "2026-01-05T10:00:00"),  # it is open
        ("2026-01-05T16:00:00", "2026-01-06T08:00:00"),
        ("2026-01-09T16:00:00", "2026-01-12T08:00:00"),  # over a weekend
        ("2026-03-27T16:00:00", "2026-03-30T07:00:00"),  # over the weekend on which summer time begins: an hour less
        ("2026-10-23T15:00:00", "2026-10-26T08:00:00"),  # and that on which it ends: an hour more
    ],
)
def test_it_opens_by_the_clock_on_the_wall(now: str, opens: str) -> None:
    """The next opening is at the local time that is written, also after the clocks have changed."""
    assert WORK.opens(at(now)) == at(opens)


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    """An end that isn't after the start is one of the next day: a Friday's night lasts until Saturday morning."""
    friday = Window(days=frozenset({4}), start=time(22), end=time(6), time_zone="UTC")
    assert friday.is_open(at("2026-01-09T23:00:00"))
    assert friday.is_open(at("2026-01-10T05:59:59"))
    assert not friday.is_open(at("2026-01-10T06:00:00"))
    assert not friday.is_open(at("2026-01-09T05:00:00"))


@pytest.mark.parametrize(
    ("evening", "hours"), [("2026-03-28T21:00:00", 7), ("2026-10-24T20:00:00", 9), ("2026-01-05T21:00:00", 8)]
)
def test_the_nights_on_which_the_clocks_change_are_shorter_and_longer(evening: str, hours: int) -> None:
    """A window over the change lasts as long as the hours on the clock do: seven, nine, and eight on every other."""
    begins = at(evening)
    assert NIGHTS.is_open(begins)
    assert not NIGHTS.is_open(begins - timedelta(seconds=1))
    ends = begins + timedelta(hours=hours)
    assert NIGHTS.is_open(ends - timedelta(seconds=1))
    assert not NIGHTS.is_open(ends)


def test_an_hour_that_the_clock_skips_does_not_close_it() -> None:
    """A window that begins in the hour that doesn't exist opens all the same, and once."""
    early = Window(days=frozenset({6}), start=time(2, 30), end=time(4))  # Sunday 29 March 2026: 02:00 becomes 03:00
    opened = early.opens(at("2026-03-29T00:00:00"))
    assert at("2026-03-29T01:00:00") <= opened <= at("2026-03-29T01:30:00")
    assert early.is_open(at("2026-03-29T01:30:00"))
    assert not early.is_open(at("2026-03-29T02:00:00"))


def test_start_and_end_alike_are_a_whole_day() -> None:
    """From midnight to midnight is all day."""
    always = Window(days=frozenset(range(7)), start=time(0), end=time(0), time_zone="Europe/Amsterdam")
    assert all(always.is_open(at("2026-03-28T00:00:00") + timedelta(hours=hour)) for hour in range(72))


def test_a_window_without_days_never_opens() -> None:
    """Nobody waits for a day that doesn't come: it opens at the end of time."""
    never = Window(days=frozenset())
    assert not never.is_open(at("2026-01-05T10:00:00"))
    assert never.opens(at("2026-01-05T10:00:00")).year == 9999
