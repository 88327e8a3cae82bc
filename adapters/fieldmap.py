"""The language of field maps: how one version's object becomes the next version's, and the other way round.

A map is a table, one row per difference; both directions, the record of what is lost and the page that explains it
come from the same row, so they can't drift apart::

    CONNECTOR = FieldMap(
        Connector,
        #       2.1.1         2.2.1
        rename("voltage",    "max_voltage"),
        value("tariff_id",   "tariff_ids", up=as_list, down=chosen_tariff, loses="every tariff but the one in force"),
        newer(               "max_electric_power", loses="the connector's power limit"),
        times("last_updated"),
        older=old.Connector,
    )

What isn't mentioned is the same in both versions and passes untouched, and so does what no version knows, at every
depth. An unknown field that the target version would read as one of its own is dropped: it meant something else.

**Converters** are plain functions that name what they want to see: ``value``, ``source`` (the object around it),
``crossing`` (facts, policy, owner) and ``path`` (where in the whole source object it stands). They return a value, an
outcome (``ABSENT``, ``Lossy``, ``Until``, nested as needed), or raise ``Withheld``. A converter that asks for a fact
which nobody has looked up skips its row, and the pass ends in ``Needs`` with all that it asked for. Asking comes before
judging: ``Needs`` beats ``Withheld``.

**Withheld** stops at the nearest item of a list: the item goes, with the losses noted inside it, and one loss says so.
A list that must not be empty passes it on.

**Compiled once.** Each map is compiled at import into two functions, ``lift`` (to the newer version) and ``lower`` (to
the older). Their source is in ``linecache``, so that a traceback shows it. Translating is copying a dict and touching
the rows; there is no interpreter between.

**Checked at import.** Names are checked against the classes of both versions, and so is silence: a field that is not
mentioned must look the same on both sides (same type, same limit, same values of its enumeration, required in both or
in neither). A typo, or a forgotten difference, dies at start-up and says which names there are.
"""

from __future__ import annotations

import inspect
import linecache
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import attrs
from attrs import define, evolve, field, frozen

from gateway.model.attached import OURS
from gateway.model.document import Sequence, Shape, Structured, Text, shape
from gateway.model.facts import ABSENT, Crossing, Loss, Lossy, Missing, Needs, Translated, Until, Withheld
from gateway.model.tables import MapRow, MapTable
from gateway.model.types import DateTime
from gateway.model.values import has_fraction, in_utc, pointer, says_nothing, whole_seconds

Path = tuple[str | int, ...]
Converter = Callable[..., Any]
Compiled = Callable[[Mapping[str, Any], Crossing, Path], dict[str, Any]]

_WANTED: Final = ("value", "source", "crossing", "path")
_A_MOMENT: Final = shape(DateTime)


class MapError(Exception):
    """A map that doesn't fit its classes: our own mistake, found at import."""


# --- rows -----------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Row(ABC):
    """One difference between the older and the newer version.

    Attributes:
        older, newer: the names it is about, on either side; empty where that version has none.
        loses: what is lost, in words that go after "no room for"; None: nothing.
        reads: names of further fields, of either version, that its converters look at: when one of those changes,
            this row's result may change.
    """

    older: tuple[str, ...] = ()
    newer: tuple[str, ...] = ()
    loses: str | None = None
    reads: tuple[str, ...] = ()

    def sources(self, up: bool) -> tuple[str, ...]:
        """Names that it takes from."""
        return self.older if up else self.newer

    def targets(self, up: bool) -> tuple[str, ...]:
        """Names that it gives to."""
        return self.newer if up else self.older

    @abstractmethod
    def code(self, way: Way) -> Iterator[str]:
        """Lines of Python that read ``source`` and write ``target``."""

    def rule(self, up: bool) -> str:
        """What it does on the way, in words; empty: the value passes."""
        return ""

    def explained(self) -> MapRow:
        return MapRow(
            older=self.older, newer=self.newer, up=self.rule(True), down=self.rule(False), lost=self.loses or ""
        )


@frozen(kw_only=True)
class Same(Row):
    """A field that passes although the tables of the two versions differ."""

    why: str

    def code(self, way: Way) -> Iterator[str]:
        yield from ()

    def rule(self, up: bool) -> str:
        return f"passes: {self.why}"


@frozen(kw_only=True)
class Gate(Row):
    """What the whole object must be on the way down: a converter that may raise Withheld."""

    down: Converter

    def code(self, way: Way) -> Iterator[str]:
        if not way.up:
            yield from _converted(way, self.down, ())

    def rule(self, up: bool) -> str:
        return "" if up else _summary(self.down)


@frozen(kw_only=True)
class Inner(Row):
    """Members of the gateway's own, which no version has: none leaves, and none is taken from outside."""

    def code(self, way: Way) -> Iterator[str]:
        for name in sorted(OURS):
            yield f"target.pop({name!r}, None)"

    def rule(self, up: bool) -> str:
        return "the gateway's own members are left out"


@frozen(kw_only=True)
class Rename(Row):
    """The same value under another name."""

    def code(self, way: Way) -> Iterator[str]:
        (source,), (target,) = self.sources(way.up), self.targets(way.up)
        yield f"if {source!r} in source:"
        yield f"    target[{target!r}] = source[{source!r}]"

    def rule(self, up: bool) -> str:
        return "renamed"


@frozen(kw_only=True)
class Time(Row):
    """A moment: down to whole seconds with ``Z``, up with ``Z``; offsets converted on both ways."""

    def code(self, way: Way) -> Iterator[str]:
        (source,), (target,) = self.sources(way.up), self.targets(way.up)
        yield f"value = source.get({source!r})"
        yield "if value is not None:"
        yield "    if len(value) != 20 or value[19] != 'Z' or value[10] != 'T':"
        yield f"        value = {'in_utc(value)' if way.up else f'seconds(value, crossing, path, {source!r})'}"
        yield f"        target[{target!r}] = value"
        if source != target:
            yield "    else:"
            yield f"        target[{target!r}] = value"

    def rule(self, up: bool) -> str:
        return ("in UTC, with Z" if up else "whole seconds, in UTC, with Z") + _renamed(self)


@frozen(kw_only=True)
class Value(Row):
    """Values that are converted: from one or several fields to one or several.

    Attributes:
        up, down: converters; None: the value passes.
        or_up, or_down: what stands in where there is nothing: a constant, or a converter; ABSENT: nothing does.
    """

    up: Converter | None = None
    down: Converter | None = None
    or_up: Any = ABSENT
    or_down: Any = ABSENT

    def code(self, way: Way) -> Iterator[str]:
        sources, targets = self.sources(way.up), self.targets(way.up)
        convert, instead = (self.up, self.or_up) if way.up else (self.down, self.or_down)
        if convert is None and instead is ABSENT and sources == targets:
            return
        if convert is None and instead is ABSENT and len(sources) == len(targets) == 1:
            yield f"if source.get({sources[0]!r}) is not None:"
            yield f"    target[{targets[0]!r}] = source[{sources[0]!r}]"
            return
        given = [f"source.get({name!r})" for name in sources]
        several = len(given) > 1
        yield f"value = ({', '.join(given)})" if several else f"value = {given[0]}"
        yield f"if value != {(None,) * len(given)!r}:" if several else "if value is not None:"
        where = () if several else sources
        yield from way.indented(_converted(way, convert, where), self._store(targets, emptied=sources == targets))
        if instead is not ABSENT:
            yield "else:"
            make = instead if callable(instead) else _constant(instead)
            yield from way.indented(_converted(way, make, where or targets[:1]), self._store(targets, emptied=False))

    @staticmethod
    def _store(targets: tuple[str, ...], emptied: bool) -> Iterator[str]:
        yield "if value is not ABSENT:"
        if len(targets) == 1:
            yield f"    target[{targets[0]!r}] = value"
        for index, name in enumerate(targets if len(targets) > 1 else ()):
            yield f"    if not says_nothing(value[{index}]):"
            yield f"        target[{name!r}] = value[{index}]"
        if emptied:
            yield "else:"
            yield f"    target.pop({targets[0]!r}, None)"

    def rule(self, up: bool) -> str:
        convert, instead = (self.up, self.or_up) if up else (self.down, self.or_down)
        words = [_summary(convert)] if convert else []
        if instead is not ABSENT:
            words.append(f"if absent: {_in_words(instead)}")
        return "; ".join(words) + ("" if words else _renamed(self).lstrip(", "))


@frozen(kw_only=True)
class OneSided(Row):
    """A field that only one of the versions has.

    Attributes:
        default: what is filled in where the field is made: a constant, or a converter that makes it; ABSENT: nothing.
        implied: what the other version means by having no such field: not counted as lost where it is left out.
        judge: a converter that looks at the value before it is left out: it may raise Withheld, or return a Lossy to
            say what is lost better than ``loses`` does, or ABSENT where nothing is.
    """

    default: Any = ABSENT
    implied: Any = None
    judge: Converter | None = None

    @property
    def name(self) -> str:
        return (self.older + self.newer)[0]

    def code(self, way: Way) -> Iterator[str]:
        yield from self._made(way) if self.targets(way.up) else self._left_out(way)

    def _made(self, way: Way) -> Iterator[str]:
        if self.default is ABSENT:
            return
        yield from _converted(way, self.default if callable(self.default) else _constant(self.default), (self.name,))
        yield from Value._store((self.name,), emptied=False)

    def _left_out(self, way: Way) -> Iterator[str]:
        if self.loses is None and self.judge is None:
            return
        yield f"value = source.get({self.name!r})"
        implied = "" if self.implied is None else f" and value != {self.implied!r}"
        yield f"if value is not None and value != []{implied}:"
        loss = way.bind(Lossy(ABSENT, f"no room for {self.loses}"), "loss") if self.loses else "ABSENT"
        if self.judge is not None:
            yield from way.indented(_converted(way, self.judge, (self.name,), unless=loss))
        else:
            yield f"    settle({loss}, crossing, path, ({self.name!r},))"

    def rule(self, up: bool) -> str:
        if not self.targets(up):
            return "left out" + (f": {_summary(self.judge)}" if self.judge else "")
        if self.default is ABSENT:
            return ""
        return _in_words(self.default)


@frozen(kw_only=True)
class Nested(Row):
    """Objects that have a map of their own: one, or each item of a list.

    Attributes:
        map: theirs.
        many: whether it is a list.
        least: for a list, why the object around it can't be said when no item can; None: it may be empty.
        unless: for one object, tells of one that says nothing; it is left out.
        up, down: converters that see the value before the map does.
        then_up, then_down: converters that see what the map made of it.
    """

    map: FieldMap
    many: bool
    least: str | None = None
    unless: Callable[[Any], bool] | None = None
    up: Converter | None = None
    down: Converter | None = None
    then_up: Converter | None = None
    then_down: Converter | None = None

    def code(self, way: Way) -> Iterator[str]:
        (source,), (target,) = self.sources(way.up), self.targets(way.up)
        before, after = (self.up, self.then_up) if way.up else (self.down, self.then_down)
        convert = way.bind(self.map.lift if way.up else self.map.lower, f"{self.map.title}_{way}")
        nested = self._items(convert, source) if self.many else self._item(convert, source)
        store = (f"target[{target!r}] = value",)
        yield f"value = source.get({source!r})"
        yield "if value:" if self.many else "if value is not None:"
        body = (_converted(way, before, (source,)), nested, _converted(way, after, (source,)), store)
        if self.unless is None:
            yield from way.indented(*body)
            return
        yield f"    if {way.bind(self.unless, 'unless')}(value):"
        yield f"        target.pop({target!r}, None)"
        yield "    else:"
        yield from way.indented(way.indented(*body))

    def _item(self, convert: str, source: str) -> Iterator[str]:
        yield f"value = {convert}(value, crossing, path + ({source!r},))"

    def _items(self, convert: str, source: str) -> Iterator[str]:
        yield "made = []"
        yield "for index, item in enumerate(value):"
        yield "    losses, until = len(crossing.losses), crossing.until"
        yield "    try:"
        yield f"        made.append({convert}(item, crossing, path + ({source!r}, index)))"
        yield "    except Withheld as withheld:"
        yield f"        dropped = drop(withheld, crossing, losses, until, path + ({source!r}, index))"
        if self.least is not None:
            yield "if not made:"
            yield f"    raise Withheld({self.least!r}, policy=dropped.policy, status=dropped.status) from dropped"
        yield "value = made"

    def rule(self, up: bool) -> str:
        before, after = (self.up, self.then_up) if up else (self.down, self.then_down)
        words = [_summary(before)] if before else []
        words.append(f"{'each' if self.many else 'inside'}: {self.map.title}" + _renamed(self))
        return "; ".join(words + ([_summary(after)] if after else []))


def gate(down: Converter) -> Row:
    """What the whole object must be on the way down. Put it first: what is withheld needs no facts."""
    return Gate(down=down)


def inner() -> Row:
    """The gateway's own members (``gateway.model.attached``) stay inside: where an object may have some."""
    return Inner()


def rename(old: str, new: str) -> Row:
    """The same value under another name."""
    return Rename(older=(old,), newer=(new,))


def same(name: str, why: str) -> Row:
    """A field that passes although its tables differ (a longer text, say), and why that is right."""
    return Same(older=(name,), newer=(name,), why=why)


def times(*names: str, **renamed: str) -> tuple[Row, ...]:
    """Moments, by name; those with another name in the newer version as ``old="new"``.

    Down they are cut to whole seconds, which is a loss where there was a fraction; up they get the ``Z`` that older
    peers leave out. Offsets are converted both ways: the same moment, nothing lost.
    """
    pairs = {**{name: name for name in names}, **renamed}
    lost = "the part of a second"
    return tuple(Time(older=(old,), newer=(new,), loses=lost) for old, new in pairs.items())


def value(
    old: str,
    new: str | None = None,
    *,
    up: Converter | None = None,
    down: Converter | None = None,
    or_up: Any = ABSENT,
    or_down: Any = ABSENT,
    loses: str | None = None,
    reads: tuple[str, ...] = (),
) -> Row:
    """One value, converted on one way or both. See ``Value``."""
    return Value(
        older=(old,), newer=(new or old,), up=up, down=down, or_up=or_up, or_down=or_down, loses=loses, reads=reads
    )


def group(
    old: str | tuple[str, ...],
    new: str | tuple[str, ...],
    *,
    up: Converter,
    down: Converter,
    or_up: Any = ABSENT,
    loses: str | None = None,
    reads: tuple[str, ...] = (),
) -> Row:
    """Several values that belong together: a converter gets and gives a tuple where its side has several names.

    A Lossy of several sources says with ``at`` which of them, its name first.
    """
    olds = (old,) if isinstance(old, str) else old
    news = (new,) if isinstance(new, str) else new
    return Value(older=olds, newer=news, up=up, down=down, or_up=or_up, loses=loses, reads=reads)


def newer(
    name: str,
    *,
    default: Any = ABSENT,
    implied: Any = None,
    judge: Converter | None = None,
    loses: str | None = None,
) -> Row:
    """A field that only the newer version has. See ``OneSided``."""
    return OneSided(newer=(name,), default=default, implied=implied, judge=judge, loses=loses)


def older(name: str, *, default: Any = ABSENT, judge: Converter | None = None, loses: str | None = None) -> Row:
    """A field that only the older version has. See ``OneSided``."""
    return OneSided(older=(name,), default=default, judge=judge, loses=loses)


def each(
    old: str,
    items: FieldMap,
    *,
    least: str | None = None,
    up: Converter | None = None,
    down: Converter | None = None,
    then_up: Converter | None = None,
    loses: str | None = None,
    reads: tuple[str, ...] = (),
) -> Row:
    """A list of objects that have a map of their own. See ``Nested``."""
    return Nested(
        older=(old,),
        newer=(old,),
        map=items,
        many=True,
        least=least,
        up=up,
        down=down,
        then_up=then_up,
        loses=loses,
        reads=reads,
    )


def inside(
    old: str,
    item: FieldMap,
    new: str | None = None,
    *,
    unless: Callable[[Any], bool] | None = None,
    then_down: Converter | None = None,
    reads: tuple[str, ...] = (),
) -> Row:
    """One object that has a map of its own. See ``Nested``."""
    return Nested(
        older=(old,), newer=(new or old,), map=item, many=False, unless=unless, then_down=then_down, reads=reads
    )


# --- ready-made converters ------------------------------------------------------------------------------------------


def substituted(table: Mapping[str, str], *, otherwise: str | None = None, known: Iterable[str] = ()) -> Converter:
    """A converter for values of an enumeration that the other version lacks.

    Args:
        table: the safest substitute of each value.
        otherwise: what to write for a value that is neither in the table nor known; None: it passes.
        known: the values that the other version has.
    """
    passing = frozenset(known)

    def convert(value: str) -> Any:
        stands_for = table.get(value, value if otherwise is None or value in passing else otherwise)
        return value if stands_for == value else Lossy(stands_for, f"{value} is written {stands_for}")

    words = ", ".join(f"{value} becomes {stands_for}" for value, stands_for in table.items())
    convert.__doc__ = words + (", and so does what it doesn't know" if otherwise else "")
    return convert


def only(known: Iterable[str]) -> Converter:
    """A converter for a list of values of an enumeration: those that the other version lacks are left out."""
    passing = frozenset(known)

    def convert(value: list[str]) -> Any:
        if passing.issuperset(value):
            return value
        return left_out(value, {at: f"no such value: {item}" for at, item in enumerate(value) if item not in passing})

    convert.__doc__ = "values that it doesn't know are left out"
    return convert


def left_out(items: list[Any], reasons: Mapping[int, str]) -> Any:
    """The list without the items at these places, Lossy for each with its reason."""
    kept = [item for at, item in enumerate(items) if at not in reasons]
    return lossy(kept, {(at,): reasons[at] for at in sorted(reasons)})


def lossy(value: Any, reasons: Mapping[Any, str], policy: str | None = None) -> Any:
    """The value, Lossy at each of these places (paths within the source value), in their order."""
    for at in reversed(list(reasons)):
        value = Lossy(value, reasons[at], policy, at)
    return value


def at_most(length: int) -> Converter:
    """A converter for a text that has less room in the other version: cut at a word where there is one."""

    def convert(value: str) -> Any:
        if len(value) <= length:
            return value
        short = value[: length + 1].rpartition(" ")[0] or value[:length]
        return Lossy(short.rstrip(" ,;"), f"shortened to {length} characters")

    convert.__doc__ = f"shortened to {length} characters, at a word"
    return convert


# --- what compiled code calls ---------------------------------------------------------------------------------------

_OUTCOMES: Final = frozenset({Lossy, Until})


def settle(outcome: Any, crossing: Crossing, path: Path, where: Path) -> Any:
    """The value inside nested outcomes; its losses and its moment are recorded."""
    while True:
        if isinstance(outcome, Lossy):
            lose(crossing, (*path, *where, *outcome.at), outcome.reason, outcome.policy)
        elif isinstance(outcome, Until):
            crossing.until = min(crossing.until or outcome.when, outcome.when)
        else:
            return outcome
        outcome = outcome.value


def lose(crossing: Crossing, path: Path, reason: str, policy: str | None = None) -> None:
    """Record one value lost; the path is into the source object."""
    crossing.losses.append(Loss(pointer(path), reason, policy))


def _drop(withheld: Withheld, crossing: Crossing, losses: int, until: datetime | None, path: Path) -> Withheld:
    """Forget what was noted inside an item of a list that is left out, and note that it is."""
    del crossing.losses[losses:]
    crossing.until = until
    lose(crossing, path, withheld.reason, withheld.policy)
    return withheld


def _seconds(text: str, crossing: Crossing, path: Path, name: str) -> str:
    if has_fraction(text):
        lose(crossing, (*path, name), "no room for the part of a second")
    return whole_seconds(text)


def _drop_foreign(foreign: frozenset[str], target: dict[str, Any], crossing: Crossing, path: Path) -> None:
    for name in [name for name in target if name in foreign]:
        if not says_nothing(target.pop(name)):
            lose(crossing, (*path, name), "unknown here, and would be read as something else there")


def _extend_down(
    extra: Mapping[str, Shape], source: Mapping[str, Any], target: dict[str, Any], crossing: Crossing, path: Path
) -> None:
    """Fields of the newer version that this peer of the older one has all the same: written, and not lost."""
    for name, wire in _extensions(extra, crossing):
        if not says_nothing(source.get(name)):
            target[wire] = source[name]
            _found(crossing, (*path, name))


def _extend_up(
    extra: Mapping[str, Shape], source: Mapping[str, Any], target: dict[str, Any], crossing: Crossing, path: Path
) -> None:
    """The same fields as this peer writes them. Raises InvalidObject for what the newer version wouldn't take."""
    for name, wire in _extensions(extra, crossing):
        if wire != name:
            target.pop(wire, None)
        if not says_nothing(source.get(wire)):
            where = "".join(f"[{token}]" if isinstance(token, int) else f".{token}" for token in path)
            target[name] = extra[name].settle(source[wire], f"${where}.{wire}")
            _found(crossing, (*path, wire))


def _extensions(extra: Mapping[str, Shape], crossing: Crossing) -> Iterator[tuple[str, str]]:
    """The fields among these that the peer has, each with the name that it goes by over there."""
    policy = crossing.policy
    for name in extra:
        if name in policy.fields_rename_211:
            yield name, policy.fields_rename_211[name]
        elif name in policy.fields_extensions_211:
            yield name, name


def _found(crossing: Crossing, path: Path) -> None:
    """Forget that what stands there was lost, or made up."""
    at = pointer(path)
    crossing.losses[:] = [loss for loss in crossing.losses if loss.pointer != at]


# --- compiling ------------------------------------------------------------------------------------------------------


@define
class Way:
    """One direction of one map while it is compiled: the objects that its lines name."""

    up: bool
    names: dict[str, Any] = field(factory=dict)

    def __str__(self) -> str:
        return "up" if self.up else "down"

    def bind(self, thing: Any, hint: str) -> str:
        """A global name for an object."""
        name = f"{''.join(c if c.isalnum() else '_' for c in hint)}_{len(self.names)}"
        self.names[name] = thing
        return name

    @staticmethod
    def indented(*blocks: Iterable[str]) -> Iterator[str]:
        return (f"    {line}" for block in blocks for line in block)


def _converted(way: Way, convert: Converter | None, where: Path, unless: str | None = None) -> Iterator[str]:
    """Lines that turn ``value`` into what the converter makes of it, outcomes settled.

    ``unless``: the outcome to take if the converter returns None.
    """
    if convert is None:
        return
    wanted = tuple(inspect.signature(convert).parameters)
    if unknown := set(wanted) - set(_WANTED):
        raise MapError(f"{convert.__name__} wants {sorted(unknown)}; a converter can have {', '.join(_WANTED)}")
    call = f"{way.bind(convert, convert.__name__)}({', '.join(wanted)})"
    if "crossing" in wanted:
        yield "try:"
        yield f"    value = {call}"
        yield "except Missing as missing:"
        yield "    crossing.missing.update(missing.keys)"
        yield "    value = ABSENT"
    else:
        yield f"value = {call}"
    if unless is not None:
        yield "if value is None:"
        yield f"    value = {unless}"
    yield "if value.__class__ in OUTCOMES:"
    yield f"    value = settle(value, crossing, path, {where!r})"


def _constant(given: Any) -> Converter:
    """A converter that always makes the same."""

    def constant() -> Any:
        return given

    return constant


def _summary(convert: Converter) -> str:
    """The first line of a converter's docstring, as the rule that a person reads."""
    return (inspect.getdoc(convert) or convert.__name__).splitlines()[0].rstrip(".")


def _in_words(instead: Any) -> str:
    """What stands in where there is nothing, as a person reads it."""
    if callable(instead):
        return _summary(instead)
    return f"{instead.value} ({instead.reason})" if isinstance(instead, Lossy) else str(instead)


def _renamed(row: Row) -> str:
    return "" if row.older == row.newer else ", renamed"


# --- the map --------------------------------------------------------------------------------------------------------


class FieldMap:
    """All differences of one class between two versions, compiled into ``lift`` and ``lower``.

    Args:
        cls: the class of the newer version.
        rows: the differences; ``times`` gives several.
        older: the class of the older version.
        title: what to call it, where the class alone doesn't tell.

    Attributes:
        lift, lower: ``(source, crossing, path) -> target``, for rows that run a map inside a converter: losses and
            missing facts go into the crossing, ``path`` is where the source stands in the whole source object.
            They raise Withheld.

    Raises:
        MapError: a name or a difference is wrong; says what there is.
    """

    def __init__(self, cls: type, *rows: Row | tuple[Row, ...], older: type, title: str | None = None) -> None:
        self.cls = cls
        self.older = older
        self.title = title or cls.__name__
        self.rows = tuple(row for given in rows for row in (given if isinstance(given, tuple) else (given,)))
        _check(self)
        self.lift = self._compile(up=True)
        self.lower = self._compile(up=False)

    def up(self, data: Any, crossing: Crossing) -> Translated | Needs:
        """An object of the older version in the newer one's form.

        Raises:
            Withheld: it can't be said there.
        """
        return crossed(self.lift, data, crossing)

    def down(self, data: Any, crossing: Crossing) -> Translated | Needs:
        """An object of the newer version in the older one's form.

        Raises:
            Withheld: it must not be shown to this receiver, or can't be said there.
        """
        return crossed(self.lower, data, crossing)

    def but(self, *rows: Row | tuple[Row, ...], title: str) -> FieldMap:
        """The same map in another context: these rows instead of those about the same fields, no gate but theirs."""
        flat = [row for given in rows for row in (given if isinstance(given, tuple) else (given,))]
        news = {name for row in flat for name in row.newer}
        olds = {name for row in flat for name in row.older}
        kept = [
            row for row in self.rows if not (news & set(row.newer) or olds & set(row.older) or isinstance(row, Gate))
        ]
        return FieldMap(self.cls, *flat, *kept, older=self.older, title=title)

    def touched(self, names: Iterable[str], *, up: bool) -> frozenset[str]:
        """The target fields whose value may change when these source fields do."""
        changed = set(names)
        touched = {name for row in self.rows if changed & {*row.sources(up), *row.reads} for name in row.targets(up)}
        moved = {name for row in self.rows for name in row.sources(up) if name not in row.targets(up)}
        return frozenset(touched | (changed - moved))

    def tables(self) -> Iterator[MapTable]:
        """This map as a person reads it, and then those it contains."""
        yield MapTable(title=self.title, rows=tuple(row.explained() for row in self.rows))
        for row in self.rows:
            if isinstance(row, Nested):
                yield from row.map.tables()

    def _compile(self, *, up: bool) -> Compiled:
        way = Way(up)
        body = list(way.indented(self._body(way)))
        name = f"{'lift' if up else 'lower'}_{''.join(c if c.isalnum() else '_' for c in self.title)}"
        source = "\n".join([f"def {name}(source, crossing, path):", *body, ""])
        filename = f"<field map {self.title} {way}>"
        linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
        names = {**_RUNTIME, **way.names}
        exec(compile(source, filename, "exec"), names)  # noqa: S102 - our own tables, at import
        compiled: Compiled = names[name]
        return compiled

    def _body(self, way: Way) -> Iterator[str]:
        here, there = (self.older, self.cls) if way.up else (self.cls, self.older)
        known = shape(self.cls)
        assert isinstance(known, Structured)
        foreign = frozenset(_fields(there)) - frozenset(_fields(here))
        moved = [name for row in self.rows for name in row.sources(way.up) if name not in row.targets(way.up)]
        yield "target = dict(source)"
        if foreign:
            bound = way.bind(foreign, "foreign")
            yield f"if not {bound}.isdisjoint(source):"
            yield f"    drop_foreign({bound}, target, crossing, path)"
        for name in dict.fromkeys(moved):
            yield f"target.pop({name!r}, None)"
        for row in self.rows:
            yield from row.code(way)
        if extra := {
            row.name: known.fields[row.name].shape for row in self.rows if isinstance(row, OneSided) and row.newer
        }:
            bound = way.bind(extra, "extra")
            yield "if crossing.policy.fields_extensions_211 or crossing.policy.fields_rename_211:"
            yield f"    extend_{way}({bound}, source, target, crossing, path)"
        yield "return target"


def crossed(convert: Compiled, data: Any, crossing: Crossing) -> Translated | Needs:
    """The outcome of one pass over a whole object.

    Raises:
        Withheld: it can't be said, or not to this receiver, and nothing is missing to know that.
    """
    crossing.losses.clear()
    crossing.missing.clear()
    crossing.until = None
    try:
        target = convert(data, crossing, ())
    except Withheld:
        if crossing.missing:
            return Needs(frozenset(crossing.missing))
        raise
    if crossing.missing:
        return Needs(frozenset(crossing.missing))
    return Translated(target, tuple(crossing.losses), crossing.until)


_RUNTIME: Final = {
    "ABSENT": ABSENT,
    "Missing": Missing,
    "OUTCOMES": _OUTCOMES,
    "Withheld": Withheld,
    "drop": _drop,
    "drop_foreign": _drop_foreign,
    "extend_down": _extend_down,
    "extend_up": _extend_up,
    "in_utc": in_utc,
    "says_nothing": says_nothing,
    "seconds": _seconds,
    "settle": settle,
}


# --- checking -------------------------------------------------------------------------------------------------------


def _fields(cls: type) -> tuple[str, ...]:
    return tuple(attribute.name for attribute in attrs.fields(cls))


def _check(fieldmap: FieldMap) -> None:
    """Every name exists, no field has two rows, and every field without a row is the same in both versions."""
    for cls, side in ((fieldmap.older, "older"), (fieldmap.cls, "newer")):
        names = _fields(cls)
        rowed = [name for row in fieldmap.rows for name in getattr(row, side)]
        if wrong := [name for name in rowed if name not in names]:
            raise MapError(f"{fieldmap.title}: the {side} version has no {wrong}; it has {list(names)}")
        if twice := {name for name in rowed if rowed.count(name) > 1}:
            raise MapError(f"{fieldmap.title}: more than one row for {sorted(twice)} of the {side} version")
    old, new = shape(fieldmap.older), shape(fieldmap.cls)
    assert isinstance(old, Structured)
    assert isinstance(new, Structured)
    olds = {name for row in fieldmap.rows for name in row.older}
    news = {name for row in fieldmap.rows for name in row.newer}
    if why := _difference(_without(old, olds), _without(new, news), fieldmap.title):
        raise MapError(f"{why}: that needs a row")


def _without(structured: Structured, names: set[str]) -> Structured:
    return evolve(structured, fields={name: was for name, was in structured.fields.items() if name not in names})


def _difference(old: Shape, new: Shape, where: str) -> str | None:
    """The first way in which two shapes differ so that a value can't simply pass, in words."""
    if isinstance(old, Structured) and isinstance(new, Structured):
        if only_one := sorted(old.fields.keys() ^ new.fields.keys()):
            return f"{where}: only one version has {only_one}"
        for name, was in old.fields.items():
            if was.required != new.fields[name].required:
                return f"{where}.{name}: required in one version only"
            if why := _difference(was.shape, new.fields[name].shape, f"{where}.{name}"):
                return why
        return None
    if isinstance(old, Sequence) and isinstance(new, Sequence):
        if old.filled != new.filled:
            return f"{where}: may be empty in one version only"
        return _difference(old.item, new.item, f"{where}[]")
    if isinstance(old, Text) and isinstance(new, Text):
        return _difference_of_texts(old, new, where)
    return None if old == new else f"{where}: another type"


def _difference_of_texts(old: Text, new: Text, where: str) -> str | None:
    assert isinstance(_A_MOMENT, Text)
    if old.form == _A_MOMENT.form:
        return f"{where}: a moment"
    if old.limit != new.limit:
        return f"{where}: {old.limit} characters in one version, {new.limit} in the other"
    if set(old.known or ()) != set(new.known or ()):
        return f"{where}: its enumeration has other values"
    return None if (old.form, old.from_number) == (new.form, new.from_number) else f"{where}: another form"


# --- fields that nobody knows ---------------------------------------------------------------------------------------


def without_unknown(cls: type, data: Any, crossing: Crossing, policy: str) -> Any:
    """The object without the fields, at any depth, that its class doesn't have; a loss for each that said something."""
    return _known(shape(cls), data, crossing, (), policy)


def _known(wanted: Shape, data: Any, crossing: Crossing, path: Path, policy: str) -> Any:
    if isinstance(wanted, Sequence) and isinstance(data, list):
        return [_known(wanted.item, item, crossing, (*path, index), policy) for index, item in enumerate(data)]
    if not (isinstance(wanted, Structured) and isinstance(data, dict)):
        return data
    kept = {}
    for name, content in data.items():
        if name in wanted.fields:
            kept[name] = _known(wanted.fields[name].shape, content, crossing, (*path, name), policy)
        elif not says_nothing(content):
            lose(crossing, (*path, name), "no version knows this field", policy)
    return kept
