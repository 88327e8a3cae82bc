"""Hours in which something may be done: days of the week and a time of day, in a time zone, summer time and all."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from attrs import frozen

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK: Final = 8  # days after which every weekday has begun anew


@frozen(kw_only=True)
class Window:
    """When something may be done.

    Attributes:
        days: of the week, 0 is Monday.
        start, end: times of day, the end excluded; an end that isn't after the start is one of the next day.
        time_zone: of these times, an IANA name.
    """

    days: frozenset[int] = frozenset(range(5))
    start: time = time(9)
    end: time = time(17)
    time_zone: str = "Europe/Amsterdam"

    def is_open(self, now: datetime) -> bool:
        """Whether it may be done now."""
        return any(begins <= now < ends for begins, ends in self._around(now))

    def opens(self, now: datetime) -> datetime:
        """When it may be done: now, or the next time that it opens (UTC). A window without days never opens."""
        if self.is_open(now):
            return now
        never = datetime.max.replace(tzinfo=UTC)
        return min((begins for begins, _ in self._around(now) if begins > now), default=never)

    def __str__(self) -> str:
        """``mon-fri 09:00-17:00 Europe/Amsterdam``."""
        return f"{_written(self.days)} {self.start:%H:%M}-{self.end:%H:%M} {self.time_zone}"

    def _around(self, now: datetime) -> list[tuple[datetime, datetime]]:
        """Its openings from yesterday to a week ahead."""
        zone = ZoneInfo(self.time_zone)
        today = now.astimezone(zone).date()
        found = []
        for ahead in range(-1, _WEEK):
            day = today + timedelta(days=ahead)
            if day.weekday() in self.days:
                last = day if self.end > self.start else day + timedelta(days=1)
                begins = datetime.combine(day, self.start, zone).astimezone(UTC)
                found.append((begins, datetime.combine(last, self.end, zone).astimezone(UTC)))
        return found


def days_of(text: str) -> frozenset[int]:
    """Days of the week from a text such as ``mon-fri`` or ``sat,sun``; ``sat-mon`` goes over the week's end.

    Raises:
        ValueError: it names something else.
    """
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(found)


def _written(days: frozenset[int]) -> str:
    """As ``days_of`` reads it, days that follow each other as one range."""
    parts: list[str] = []
    for day in sorted(days):
        if day - 1 in days:
            parts[-1] = f"{parts[-1].partition('-')[0]}-{DAYS[day]}"
        else:
            parts.append(DAYS[day])
    return ",".join(parts)
