"""The grammar of configuration is a set of attrs classes; this reads tables into them.

A class is a table, an attribute is a key, its annotation is the type of the value, and ``key(...)`` says the rest: the
default, the sentence for ``config/README.md``, and whether this build acts on it. Reader, JSON Schema and documents all
work from the same classes, so they can't drift apart.

The annotations understood: the scalar types of ``values.SCALARS``, string enums, attrs classes, ``Secret``, ``Table``
(left as it is), ``tuple[X, ...]``, ``Mapping[str, X]``, and any of these with ``| None``. A class that may also be
written as one word lists the words in ``SHORT``, each with the keys it stands for.
"""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Callable, Iterable, Mapping
from enum import Enum, StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs
from attrs import NOTHING, Attribute, define, field, frozen

from gateway.model.policy import SWITCH, dotted
from gateway.settings.mistakes import Place, Report, quoted
from gateway.settings.text import Items, Node, Table, Text
from gateway.settings.values import SCALARS, Scalar, Secret, Version

KEY: Final = "key"
MAX_SECRET_BYTES: Final = 4096

T = TypeVar("T")


class _Marker(Enum):
    BROKEN = "BROKEN"


BROKEN: Final = _Marker.BROKEN
"""Stands for a value about which a mistake has been noted."""


@frozen(kw_only=True)
class Spec:
    """What a key is beyond its type.

    Attributes:
        doc: a sentence for ``config/README.md``.
        shown: the default in words, where it isn't a constant.
        acted: False for a key that is known and not acted on yet.
        required: whether leaving it out is a mistake.
        many: whether one value may stand for a list of one.
        some: of a list: whether it needs an item.
        plain: of a secret: whether plain text will do, because it usually isn't one.
        values: the values that it may have, out of those of its type; empty for all.
        check: raises ValueError for a value that its type admits and the key doesn't.
    """

    doc: str = ""
    shown: str | None = None
    acted: bool = True
    required: bool = False
    many: bool = False
    some: bool = False
    plain: bool = False
    values: tuple[str, ...] = ()
    check: Callable[[Any], None] | None = None


def key(doc: str, *, default: Any = NOTHING, **spec: Any) -> Any:
    """One key of a table. Without a default it is required; with ``required=True`` it is, and the default stands in."""
    metadata = {KEY: Spec(doc=doc, **{"required": default is NOTHING} | spec)}
    if isinstance(default, type):
        return field(factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@frozen(kw_only=True)
class Placed:
    """A table that was read: it knows where it stood. Two that say the same are equal, wherever they stood."""

    at: Table = field(factory=lambda: Table(Place("")), eq=False, repr=False)


@frozen(kw_only=True)
class Key:
    """A key as the reader sees it: its name in files, its attribute, its type without ``None``, and its spec."""

    name: str
    attribute: Attribute[Any]
    type: Any
    spec: Spec


@cache
def keys_of(cls: Any) -> Mapping[str, Key]:
    """The keys of a class by their names in files, in the order of the class."""
    hints = get_type_hints(cls)
    found: dict[str, Key] = {}
    for attribute in attrs.fields(cls):
        if attribute.name == "at":
            continue
        name, spec = _described(attribute)
        found[name] = Key(name=name, attribute=attribute, type=_without_none(hints[attribute.name]), spec=spec)
    return found


def _keys(cls: Any) -> Iterable[Key]:
    return keys_of(cls).values()


def _described(attribute: Attribute[Any]) -> tuple[str, Spec]:
    if switch := attribute.metadata.get(SWITCH):
        return dotted(attribute.name), Spec(**{name: value for name, value in switch.items() if name != "name"})
    # `for` and `from` are words of Python: their attributes end in an underscore.
    return attribute.name.removesuffix("_"), attribute.metadata.get(KEY, Spec())


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (part for part in get_args(hint) if part is not types.NoneType)
    return hint


def is_table(kind: Any) -> bool:
    """Whether a type is a class of this grammar: a table, rather than a value that happens to be an attrs class."""
    return attrs.has(kind) and kind not in SCALARS and kind not in (Secret, Table)


def words_of(cls: type) -> Mapping[str, Mapping[str, Any]]:
    """The words that may stand for a table of this class, each with the keys it means."""
    words: Mapping[str, Mapping[str, Any]] = getattr(cls, "SHORT", {})
    return words


def values_of(kind: Any, spec: Spec) -> tuple[str, ...]:
    """The closed list of values of a scalar key, or nothing."""
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return spec.values or tuple(member.value for member in kind)
    return spec.values


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``; did you mean `x`?`` when one of the known names is close, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else ""


@define
class Reader:
    """Reads tables into classes, and notes what is wrong with them.

    Attributes:
        report: where mistakes go.
        versions: the OCPI versions that exist here.
        environ: what ``{env: NAME}`` and ``${NAME}`` see.
        folder: what relative paths of ``{file: PATH}`` start from.
        strict: whether a literal secret is a mistake.
        secret_files: the files that secrets were read from.
    """

    report: Report
    versions: tuple[str, ...]
    environ: Mapping[str, str]
    folder: Path
    strict: bool = False
    secret_files: set[Path] = field(factory=set, init=False)

    def table(self, cls: type[T], table: Table, *, excused: frozenset[str] = frozenset()) -> T | None:
        """A table as an object of a class, or None when what it can't do without isn't there.

        ``excused`` are keys that are required otherwise.
        """
        found = self.entries(cls, table)
        complete = True
        for item in _keys(cls):
            if item.attribute.name in found:
                continue
            if item.spec.required and item.name not in table and item.name not in excused:
                self.report.add(table.place, f"`{item.name}` is missing: {item.spec.doc}")
                table.broken.add(item.name)
            complete = complete and item.attribute.default is not NOTHING
        if not complete:
            return None
        if issubclass(cls, Placed):
            found["at"] = table
        return cls(**found)

    def entries(self, cls: type, table: Table) -> dict[str, Any]:
        """The attributes of a class that a table gives, by attribute name; broken ones are left out and marked."""
        known = keys_of(cls)
        found: dict[str, Any] = {}
        for name, entry in table.entries.items():
            item = known.get(name)
            if item is None:
                self._unknown(name, entry.place, known)
                continue
            if not item.spec.acted:
                self.report.add(entry.place, f"`{name}` is known, but this version doesn't act on it yet: remove it")
            value = BROKEN if entry.value is None else self.value(item.type, item.spec, entry.value)
            if value is BROKEN:
                table.broken.add(name)
            else:
                found[item.attribute.name] = value
        return found

    def _unknown(self, name: str, place: Place, known: Mapping[str, Key]) -> None:
        hint = did_you_mean(name, known)
        if not hint:
            hint = f": remove it; the keys here are {', '.join(known)}" if len(known) <= 12 else ": remove it"
        self.report.add(place, f"unknown key {quoted(name)}{hint}")

    def value(self, kind: Any, spec: Spec, node: Node) -> Any:
        """A node as a value of a type, or ``BROKEN``."""
        if get_origin(kind) is tuple:
            return self._list(get_args(kind)[0], spec, node)
        if get_origin(kind) is not None:  # Mapping[str, X]
            return self._mapping(get_args(kind)[1], spec, node)
        if isinstance(node, Text) and node.plain and not node.text:
            return self._broken(node.place, "no value: write one, or remove the key")
        if kind is Secret:
            return self._checked(self._secret(spec, node), spec, node)
        if kind is Table:
            return node if isinstance(node, Table) else self._broken(node.place, "a table of keys goes here")
        if is_table(kind):
            return self._table_or_word(kind, node)
        return self._checked(self._scalar(kind, spec, node), spec, node)

    def _broken(self, place: Place, text: str) -> Any:
        self.report.add(place, text)
        return BROKEN

    def _checked(self, value: Any, spec: Spec, node: Node) -> Any:
        if value is BROKEN or spec.check is None:
            return value
        try:
            spec.check(value)
        except ValueError as error:
            return self._broken(node.place, str(error))
        return value

    def _list(self, kind: Any, spec: Spec, node: Node) -> Any:
        if not isinstance(node, Items):
            if not spec.many:
                return self._broken(node.place, "a list goes here: write [one, two]")
            value = self.value(kind, spec, node)
            return value if value is BROKEN else (value,)
        if (spec.required or spec.some) and not node.items:
            return self._broken(node.place, "the list is empty: write at least one item")
        values: list[Any] = []
        fine = True
        for item in node.items:
            value = BROKEN if item is None else self.value(kind, spec, item)
            if value is BROKEN:
                fine = False
            elif value in values:
                self.report.add(item.place if item else node.place, "the same item twice: keep one")
                fine = False
            else:
                values.append(value)
        return tuple(values) if fine else BROKEN

    def _mapping(self, kind: Any, spec: Spec, node: Node) -> Any:
        if not isinstance(node, Table):
            return self._broken(node.place, "a table goes here: write {name: value}")
        found = {}
        for name, entry in node.entries.items():
            value = BROKEN if entry.value is None else self.value(kind, spec, entry.value)
            if value is BROKEN:
                node.broken.add(name)
            else:
                found[name] = value
        return BROKEN if node.broken else found

    def _table_or_word(self, cls: Any, node: Node) -> Any:
        if isinstance(node, Table):
            value = self.table(cls, node)
            return BROKEN if value is None else value
        words = words_of(cls)
        if not isinstance(node, Text) or not words:
            names = ", ".join(keys_of(cls))
            return self._broken(node.place, f"a table goes here, with any of the keys {names}")
        text = self.expanded(node)
        if text is None:
            return BROKEN
        if text not in words:
            return self._broken(node.place, _not_one_of(text, (*words, "a table")))
        return cls(**words[text])

    def _scalar(self, kind: Any, spec: Spec, node: Node) -> Any:
        if not isinstance(node, Text):
            return self._broken(node.place, f"one value goes here ({_says(kind, spec)}), not a list or table")
        text = self.expanded(node)
        if text is None:
            return BROKEN
        values = self.versions if kind is Version else values_of(kind, spec)
        if values and text not in values:
            return self._broken(node.place, _not_one_of(text, values))
        if kind is Version or (isinstance(kind, type) and issubclass(kind, StrEnum)):
            return text if kind is Version else kind(text)
        try:
            return SCALARS[kind].read(text)
        except ValueError as error:
            return self._broken(node.place, str(error))

    def expanded(self, node: Text) -> str | None:
        """Text with ``${NAME}`` and ``${NAME:-default}`` filled in from the environment; ``$${`` is a literal ``${``.

        Filled in after YAML was read, so that no value can add a key. None when a variable isn't set.
        """
        if "${" not in node.text:
            return node.text
        missing: list[str] = []

        def fill(found: re.Match[str]) -> str:
            if found[0] == "$${":
                return "${"
            name, default = found["name"], found["default"]
            if name is None:
                missing.append("`${` without a name: write ${NAME} or ${NAME:-default}, or $${ for the characters")
            elif not self.environ.get(name) and default is None:
                missing.append(f"the environment variable {name} isn't set: set it, or write ${{{name}:-default}}")
            else:
                return self.environ.get(name) or default or ""
            return ""

        text = _REFERENCE.sub(fill, node.text)
        for complaint in missing:
            self.report.add(node.place, complaint)
        return None if missing else text

    def _secret(self, spec: Spec, node: Node) -> Any:
        if isinstance(node, Text) and spec.plain:
            return self._mostly_plain(node)
        if not isinstance(node, Table) or len(node.entries) != 1 or not node.entries.keys() <= {"env", "file", "value"}:
            return self._broken(node.place, "a secret is a reference: write {env: NAME} or {file: PATH}")
        ((source, entry),) = node.entries.items()
        if entry.value is None:
            return BROKEN
        if not isinstance(entry.value, Text):
            return self._broken(entry.value.place, "one value goes here, not a list or table")
        if source == "env":
            return self._from_environment(entry.value)
        if source == "file":
            return self._from_file(entry.value)
        if self.strict:
            return self._broken(entry.place, "a literal secret: write {env: NAME} or {file: PATH} (--strict)")
        if not entry.value.text:
            return self._broken(entry.value.place, "the secret is empty")
        return Secret(entry.value.text)

    def _mostly_plain(self, node: Text) -> Any:
        """Plain text where a secret may stand: fine, unless it is a URL with a password, and we are strict."""
        text = self.expanded(node)
        if text is None:
            return BROKEN
        if self.strict and re.search(r"://[^/@]*:(?!\$\{)[^/@]+@", node.text):
            return self._broken(node.place, "a literal password: write ${NAME} for it, or {env: NAME} (--strict)")
        return Secret(text, "configuration")

    def _from_environment(self, node: Text) -> Any:
        name = node.text
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            # Perhaps somebody wrote the secret itself here: don't repeat it.
            return self._broken(node.place, "not the name of an environment variable: write {env: NAME}")
        if name not in self.environ:
            return self._broken(node.place, f"the environment variable {name} isn't set: set it, or correct the name")
        if not self.environ[name]:
            return self._broken(node.place, f"the environment variable {name} is empty: set it")
        return Secret(self.environ[name], f"env {name}")

    def _from_file(self, node: Text) -> Any:
        name = self.expanded(node)
        if name is None:
            return BROKEN
        try:
            self.secret_files.add(self.folder / name)
            with (self.folder / name).open("rb") as file:
                data = file.read(MAX_SECRET_BYTES + 1)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "not a path"
            return self._broken(node.place, f"the file {quoted(name)} can't be read ({why})")
        try:
            text = data.decode().strip()
        except UnicodeDecodeError:
            text = ""
        if not text or len(data) > MAX_SECRET_BYTES:
            return self._broken(node.place, f"the file {quoted(name)} is empty, or holds more than one secret")
        return Secret(text, f"file {name}")


_REFERENCE: Final = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\})?")


def _says(kind: Any, spec: Spec) -> str:
    if values := values_of(kind, spec):
        return ", ".join(values)
    scalar: Scalar | None = SCALARS.get(kind)
    return scalar.says if scalar else "text"


def _not_one_of(text: str, values: Iterable[str]) -> str:
    values = tuple(values)
    return f"{quoted(text)} isn't one of {', '.join(values)}{did_you_mean(text, values)}"
