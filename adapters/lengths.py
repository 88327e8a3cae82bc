"""Texts that are longer than the specification has room for: noticed, refused, or shortened on the way out.

Nobody's location is worse for an address of fifty characters, so length is no reason to refuse an object unless the
link says so (``validation.max_lengths``); and a receiver that refuses what is too long for it gets it shortened.

Spec: ``types``, string and CiString, of both versions: the number in brackets is the most characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.model.document import Sequence, Shape, Structured, Text, shape
from gateway.model.errors import InvalidObject
from gateway.model.facts import Crossing, Loss, Translated
from gateway.model.values import pointer

Place = tuple[str | int, ...]

# What people read. Half an id, a URL or a signature is none, so those go out as they are.
_WORDS: Final = frozenset({"name", "address", "city", "postal_code", "state", "text", "remark", "issuer"})


def too_long(cls: type, data: Any, tighter: Mapping[str, int] | None = None) -> Iterator[tuple[Place, int]]:
    """The places of texts that are too long, each with the most characters that it has room for.

    Args:
        cls: a class of a version's objects.
        tighter: limits of top-level fields that are lower than the class's.
    """
    yield from _walk(shape(cls), data, (), tighter or {})


def _walk(wanted: Shape, value: Any, place: Place, tighter: Mapping[str, int]) -> Iterator[tuple[Place, int]]:
    match wanted:
        case Structured() if isinstance(value, dict):
            for name, field in wanted.fields.items():
                if value.get(name) is not None:
                    limit = tighter.get(name)
                    if limit is not None and isinstance(value[name], str) and len(value[name]) > limit:
                        yield (*place, name), limit
                    else:
                        yield from _walk(field.shape, value[name], (*place, name), {})
        case Sequence() if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _walk(wanted.item, item, (*place, index), {})
        case Text() if wanted.limit is not None and isinstance(value, str) and len(value) > wanted.limit:
            yield place, wanted.limit


def check_lengths(cls: type, data: Any, crossing: Crossing) -> None:
    """Refuse an object with a text that is too long, if its link says so.

    Raises:
        InvalidObject: the first of them.
    """
    if crossing.policy.validation_max_lengths == "enforce":
        for place, limit in too_long(cls, data):
            where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
            raise InvalidObject(f"${where}", f"longer than {limit} characters (validation.max_lengths)")


def shortened(
    cls: type, outcome: Translated, crossing: Crossing, tighter: Mapping[str, int] | None = None
) -> Translated:
    """What goes out, its words no longer than they may be, if its link says so; each shortened text is a loss.

    The pointer of that loss is into what goes out: such a text stands at the same place in every version.
    """
    if crossing.policy.validation_max_lengths != "truncate_out":
        return outcome
    found = [(place, limit) for place, limit in too_long(cls, outcome.data, tighter) if place[-1] in _WORDS]
    data = outcome.data
    for place, limit in found:
        data = _cut(data, place, limit)
    losses = tuple(
        Loss(pointer(place), f"no room beyond {limit} characters", "validation.max_lengths") for place, limit in found
    )
    return Translated(data, (*outcome.losses, *losses), outcome.until)


def _cut(value: Any, place: Place, limit: int) -> Any:
    if not place:
        return value[:limit]
    step, rest = place[0], place[1:]
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[step] = _cut(copy[step], rest, limit)  # type: ignore[index]
    return copy
