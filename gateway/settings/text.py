"""YAML as tables, lists and texts that know their place; nothing else of YAML.

Three of YAML's kindnesses are traps here. It types what it reads: Norway (``NO``) is false, a party ``1E5`` a number,
``22:30`` 1350. So every scalar stays text until the grammar says what it is. It keeps the last of two equal keys
without a word. And anchors, aliases, merge keys and tags let one line mean something far away (or a billion things).
So this reads the parser's events, where all of these can still be seen and pointed at, and accepts plain tables, lists
and scalars only. Limits of size and depth hold before anything is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml
from attrs import define, field, frozen

from gateway.settings.mistakes import Place, Report, quoted

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 16
MAX_ENTRIES: Final = 10_000

# YAML 1.1 section 5.1: what may stand in a file at all.
_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@frozen(eq=False)
class Text:
    """A scalar, as written. ``plain`` is False for a quoted one or a block."""

    place: Place
    text: str
    plain: bool = True


@frozen(eq=False)
class Items:
    """A list. An item that can't be used is None; its mistake is noted already."""

    place: Place
    items: tuple[Node | None, ...]


@frozen(eq=False)
class Entry:
    """One key of a table and its value; a value that can't be used is None, and its mistake is noted already."""

    place: Place
    value: Node | None


@define(eq=False)
class Table:
    """A mapping from text. ``broken`` names the keys with mistakes in their values: don't conclude from them."""

    place: Place
    entries: dict[str, Entry] = field(factory=dict)
    broken: set[str] = field(factory=set)

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def place_of(self, key: str) -> Place:
        """Where the value of a key stands, or the table if there is none."""
        entry = self.entries.get(key)
        if entry is None:
            return self.place
        return entry.value.place if entry.value is not None else entry.place


Node = Text | Items | Table


def read_table(path: Path, shown: str, report: Report) -> Table | None:
    """The table that a file holds, or None when there is none to be had. Notes its mistakes in ``report``.

    Args:
        path: the file.
        shown: its name in messages.
    """
    report.opened(shown)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        report.add(Place(shown), f"can't be read ({error.strerror or type(error).__name__}): check the file's rights")
        return None
    if len(data) > MAX_BYTES:
        report.add(Place(shown), f"larger than {MAX_BYTES // 1024} KiB: this is no configuration file")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        report.add(Place(shown, line, column), "not UTF-8 text: save the file as UTF-8")
        return None
    return parse_table(text, shown, report)


def parse_table(text: str, shown: str, report: Report) -> Table | None:
    """As ``read_table``, for text that is already in memory."""
    if wrong := _UNPRINTABLE.search(text):
        before = text[: wrong.start()]
        place = Place(shown, before.count("\n") + 1, wrong.start() - (before.rfind("\n") + 1) + 1)
        report.add(place, f"a control character (U+{ord(wrong[0]):04X}): remove it")
        return None
    try:
        node = _Composer(text, shown, report).document()
    except yaml.MarkedYAMLError as error:
        place = _place(shown, error.problem_mark or error.context_mark)
        report.add(place, f"not readable as YAML ({error.problem}): look at indentation (no tabs), colons and quotes")
        return None
    except _Refused as refused:
        report.add(refused.place, refused.text)
        return None
    if node is not None and not isinstance(node, Table):
        report.add(node.place, "a file is a table of keys: write `key: value` lines")
        return None
    return node


class _Refused(Exception):
    def __init__(self, place: Place, text: str) -> None:
        super().__init__(text)
        self.place = place
        self.text = text


def _place(file: str, mark: Any) -> Place:
    return Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)


class _Composer:
    """Builds nodes from the parser's events, so that a file that goes too deep is left before it is read further."""

    def __init__(self, text: str, file: str, report: Report) -> None:
        self._events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=yaml.CBaseLoader))
        self._file = file
        self._report = report

    def document(self) -> Node | None:
        """The only document of the stream."""
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            self._report.add(Place(self._file), "the file is empty: write its keys, or remove it")
            return None
        node = self._node(next(self._events), 1)
        next(self._events)  # the end of the document
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._report.add(self._at(after), "a second document (`---`): put it in a file of its own")
        return node

    def _at(self, event: yaml.Event) -> Place:
        return _place(self._file, event.start_mark)

    def _node(self, event: yaml.Event, depth: int) -> Node | None:
        place = self._at(event)
        if depth > MAX_DEPTH:
            raise _Refused(place, f"nested more than {MAX_DEPTH} deep: no key of the configuration is")
        fine = self._is_plain_yaml(event, place)
        node: Node | None = None
        if isinstance(event, yaml.ScalarEvent):
            node = Text(place, event.value, plain=event.style is None or event.style == "")
        elif isinstance(event, yaml.SequenceStartEvent):
            node = Items(place, tuple(self._items(place, depth)))
        elif isinstance(event, yaml.MappingStartEvent):
            node = self._table(place, depth)
        return node if fine else None

    def _is_plain_yaml(self, event: yaml.Event, place: Place) -> bool:
        if isinstance(event, yaml.AliasEvent):
            self._report.add(place, "an alias (`*name`): write the value out here")
            return False
        if getattr(event, "anchor", None) is not None:
            self._report.add(place, "an anchor (`&name`): remove it, and write values out where they are meant")
            return False
        if getattr(event, "tag", None) is not None:
            self._report.add(place, "a tag (`!name`): remove it; the key says of what type its value is")
            return False
        return True

    def _items(self, place: Place, depth: int) -> Iterator[Node | None]:
        count = 0
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            count += 1
            if count > MAX_ENTRIES:
                raise _Refused(place, f"a list of more than {MAX_ENTRIES} items")
            yield self._node(event, depth + 1)

    def _table(self, place: Place, depth: int) -> Table:
        table = Table(place)
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if len(table.entries) >= MAX_ENTRIES:
                raise _Refused(place, f"a table of more than {MAX_ENTRIES} keys")
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            self._enter(table, key, value)
        return table

    def _enter(self, table: Table, key: Node | None, value: Node | None) -> None:
        if key is None:
            return
        if not isinstance(key, Text):
            self._report.add(key.place, "a key is plain text: write `key: value`")
        elif key.text == "<<" and key.plain:
            self._report.add(key.place, "a merge key (`<<`): write the keys out here")
        elif key.text in table.entries:
            first = table.entries[key.text].place
            self._report.add(key.place, f"{quoted(key.text)} again; it stands in line {first.line} already: keep one")
            table.broken.add(key.text)
        else:
            table.entries[key.text] = Entry(key.place, value)
            if value is None:
                table.broken.add(key.text)
