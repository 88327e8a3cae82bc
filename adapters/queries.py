"""Parameters of requests: which objects of a list, and what a request without a body says.

Whoever asks for a list may be lenient in spelling, never in meaning: a date in any form that OCPI's DateTime admits is
understood and made UTC, a parameter without a value counts as none, and what can't be read is named and refused rather
than ignored, since a filter that was dropped would look like an answer.

Spec: 2.2.1 and 2.1.1 ``transport_and_format``, Paginated Request; the parameters of each module's GET;
2.2.1 ``mod_charging_profiles``, GET and DELETE.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from adapters.paths import Path
from gateway.model.document import shape
from gateway.model.errors import InvalidObject
from gateway.model.message import Query
from gateway.model.types import DateTime
from gateway.model.values import in_utc

_DATE_TIME: Final = shape(DateTime)
_MOST_DIGITS: Final = 18  # of a number that every program can hold
_MOST_CHARACTERS: Final = 255  # of a URL, and of anything that stands in one
_MILLISECONDS: Final = len("2015-06-29T20:39:09.123")


def read_query(path: Path, parameters: Mapping[str, str]) -> Query:
    """What the parameters of a request to this resource say; those that it doesn't have are passed over.

    Raises:
        InvalidObject: one that is required is missing, or one can't be understood; named as the wire spells it.
    """
    names = (*_OF_A_LIST, *path.required) if path.lists else path.required
    given = {name: parameters[name] for name in names if parameters.get(name)}
    for name in path.required:
        if name not in given:
            raise InvalidObject(name, "required")
    return Query(**{name: _READERS[name](name, value) for name, value in given.items()})


def write_query(query: Query) -> dict[str, str]:
    """The parameters for a query. A cursor is ours, and says nothing to anybody else."""
    return {name: str(value) for name in _WRITTEN if (value := getattr(query, name)) is not None}


def _moment(name: str, value: str) -> str:
    # Unencoded, the plus of an offset arrives as a space.
    text = in_utc(_DATE_TIME.settle(value.replace(" ", "+"), name))
    return text if len(text) <= _MILLISECONDS + 1 else f"{text[:_MILLISECONDS]}Z"


def _whole_number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) <= _MOST_DIGITS):
        raise InvalidObject(name, "expected a whole number, not negative")
    return int(value)


def _size(name: str, value: str) -> int:
    number = _whole_number(name, value)
    if number == 0:
        raise InvalidObject(name, "expected at least 1")
    return number


def _text(name: str, value: str) -> str:
    if len(value) > _MOST_CHARACTERS:
        raise InvalidObject(name, f"expected at most {_MOST_CHARACTERS} characters")
    return value


_READERS: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "date_from": _moment,
    "date_to": _moment,
    "offset": _whole_number,
    "limit": _size,
    "cursor": _text,
    "duration": _whole_number,
    "response_url": _text,
}
_OF_A_LIST: Final = ("date_from", "date_to", "offset", "limit", "cursor")
_WRITTEN: Final = ("date_from", "date_to", "offset", "limit", "duration", "response_url")
