"""What every version writes the same way: moments, pointers, and when two values are equal.

Pure functions over JSON values (dict, list, str, bool, None, int, Decimal). Texts that reach the functions on moments
have passed validation, so they can be parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

from gateway.model.facts import ABSENT

_MOMENT: Final = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(?:([Zz])|([+-])(\d{2}):?(\d{2}))?", re.ASCII
)


def moment(text: str) -> datetime:
    """A DateTime as a moment, timezone-aware UTC, to the microsecond. No designator means UTC.

    An offset that leads out of the calendar (years 1 to 9999) stops at its edge. Spec: 2.2.1 ``types``, DateTime;
    2.1.1 ``types`` 1.2.

    Raises:
        ValueError: the text is none.
    """
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a date and time")
    *parts, fraction, _, sign, hours, minutes = found.groups()
    year, month, day, hour, minute, second = map(int, parts)
    microsecond = int(f"{fraction or 0:0<6}"[:6])
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    zone = timezone(-offset if sign == "-" else offset) if offset else UTC
    try:
        return datetime(year, month, day, hour, minute, second, microsecond, zone).astimezone(UTC)
    except OverflowError:
        return (datetime.max if sign == "-" else datetime.min).replace(tzinfo=UTC)


def in_utc(text: str) -> str:
    """A DateTime with ``Z`` and without offset; what there is of a fraction stays to the digit."""
    found = _MOMENT.fullmatch(text)
    fraction = found.group(7) if found else None
    return whole_seconds(text)[:-1] + (f".{fraction}Z" if fraction else "Z")


def whole_seconds(text: str) -> str:
    """A DateTime as ``YYYY-MM-DDTHH:MM:SSZ``: in UTC, the fraction of a second cut off."""
    return moment(text).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def has_fraction(text: str) -> bool:
    """Whether a DateTime has a part of a second that whole seconds can't say."""
    found = _MOMENT.fullmatch(text)
    return bool(found and found.group(7) and found.group(7).strip("0"))


def pointer(tokens: Iterable[str | int]) -> str:
    """A JSON pointer (RFC 6901) from its tokens; none of them is the whole document."""
    texts = [str(token) for token in tokens]
    plain = "/".join(["", *texts])
    if "~" not in plain and plain.count("/") == len(texts):
        return plain
    return "".join("/" + text.replace("~", "~0").replace("/", "~1") for text in texts)


def says_nothing(value: Any) -> bool:
    """Whether a value is null, absent or an empty list, which OCPI doesn't tell apart outside a PATCH."""
    return value is None or value is ABSENT or value == []


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values mean the same in OCPI.

    ``[]``, null and absent are equal, numbers are compared by value, dates by the moment they mean, everything else
    to the letter.
    """
    if one is other or (says_nothing(one) and says_nothing(other)):
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return all(same(one.get(name), other.get(name)) for name in one.keys() | other.keys())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, str) and isinstance(other, str):
        return one == other or _same_moment(one, other)
    if _is_number(one) and _is_number(other):
        return bool(one == other)
    return type(one) is type(other) and bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _same_moment(one: str, other: str) -> bool:
    if not (_MOMENT.fullmatch(one) and _MOMENT.fullmatch(other)):
        return False
    try:
        return moment(one) == moment(other)
    except ValueError:  # of the form, and not in the calendar
        return False
