"""Documents generated from the grammar: the tables of ``config/README.md`` and the JSON Schema for editors.

Both are committed, so that they can be read and used without running anything; a test says when they have fallen
behind, and ``python -m gateway.cli.documents`` writes them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, get_args, get_origin

from gateway.model.policy import Policy
from gateway.settings.files import (
    BackendFile,
    GatewayFile,
    LinkFile,
    ModuleRule,
    Modules,
    PartnerFile,
    ProfileFile,
)
from gateway.settings.grammar import Key, is_table, keys_of, values_of, words_of
from gateway.settings.text import Table
from gateway.settings.values import SCALARS, Secret, Version, duration_text

FILES: Final[Mapping[str, type]] = {
    "gateway": GatewayFile,
    "backend": BackendFile,
    "partner": PartnerFile,
    "profile": ProfileFile,
}
"""The kinds of files, by the name of their schema."""

LATER: Final = "*not acted on yet:* "
_BASE: Final = "https://json-schema.org/draft/2020-12/schema"


# JSON Schema ----------------------------------------------------------------------------------------------------------


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of one kind of file, as a JSON object. ``name`` is a key of ``FILES``."""
    defs: dict[str, Any] = {}
    root = _object(FILES[name], defs)
    return {"$schema": _BASE, "title": f"ocpi-gateway: {name}", **root, "$defs": dict(sorted(defs.items()))}


def _object(cls: type, defs: dict[str, Any]) -> dict[str, Any]:
    items = keys_of(cls)
    found: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _property(item, defs) for name, item in items.items()},
    }
    # What a partner must have depends on its kind, which stands in the file: that is for `check` to say.
    required = [name for name, item in items.items() if item.spec.required and cls is not PartnerFile]
    return found | ({"required": required} if required else {})


def _property(item: Key, defs: dict[str, Any]) -> dict[str, Any]:
    found = _type(item, item.type, defs)
    if item.spec.many:
        found = {"anyOf": [_type(item, get_args(item.type)[0], defs), found]}
    doc = item.spec.doc if item.spec.acted else f"Not acted on yet: {item.spec.doc}"
    return {"description": doc, **found} if doc else found


def _type(item: Key, kind: Any, defs: dict[str, Any]) -> dict[str, Any]:
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _type(item, get_args(kind)[0], defs), "uniqueItems": True}
    if get_origin(kind) is not None:
        return {"type": "object", "additionalProperties": _type(item, get_args(kind)[1], defs)}
    if kind is Table:
        kind = Policy
    if kind is Secret:
        defs["Secret"] = _SECRET
        secret = {"$ref": "#/$defs/Secret"}
        return {"anyOf": [secret, {"type": "string"}]} if item.spec.plain else secret
    if is_table(kind):
        return _reference(kind, defs)
    if kind is Version:
        return {"type": "string"}
    if values := values_of(kind, item.spec):
        return {"enum": list(values)}
    return dict(SCALARS[kind].schema)


def _reference(cls: type, defs: dict[str, Any]) -> dict[str, Any]:
    if cls.__name__ not in defs:
        defs[cls.__name__] = {}  # a class may hold itself; its name is enough from here on
        table = _object(cls, defs)
        words = list(words_of(cls))
        defs[cls.__name__] = {"anyOf": [{"enum": words}, table]} if words else table
    return {"$ref": f"#/$defs/{cls.__name__}"}


_SECRET: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "minProperties": 1,
    "maxProperties": 1,
    "properties": {
        "env": {"type": "string", "description": "name of an environment variable"},
        "file": {"type": "string", "description": "path of a file, from the configuration folder"},
        "value": {"type": "string", "description": "the secret itself; refused by check --strict"},
    },
}


# Tables for people ----------------------------------------------------------------------------------------------------


def table(name: str) -> str:
    """One table of ``config/README.md`` in Markdown. ``name`` is one of ``TABLES``."""
    first = "switch" if name == "switches" else "key"
    return "\n".join([f"| {first} | value | default | meaning |", "| --- | --- | --- | --- |", *TABLES[name]()])


def _rows(cls: type, prefix: str = "", *, acted: bool = True, without: Any = ()) -> Iterator[str]:
    for name, item in keys_of(cls).items():
        if name in without:
            continue
        acts = acted and item.spec.acted
        yield _row(f"{prefix}{name}", item, acted=acts)
        inner = get_args(item.type)[0] if get_origin(item.type) is tuple else item.type
        if is_table(inner) and inner not in (BackendFile, ModuleRule):
            yield from _rows(inner, f"{prefix}{name}.", acted=acts)
    if cls is Modules:
        yield from _rows(ModuleRule, f"{prefix}MODULE.", acted=acted)


TABLES: Final[Mapping[str, Callable[[], Iterator[str]]]] = {
    "gateway": lambda: _rows(GatewayFile),
    "link": lambda: _rows(LinkFile),
    "partner": lambda: _rows(PartnerFile, without=keys_of(LinkFile)),
    "profile": lambda: _rows(ProfileFile),
    "switches": lambda: _rows(Policy),
}
"""The tables by name: the keys of each kind of file (``link``: what backends and partners share), and the switches."""


def _row(name: str, item: Key, *, acted: bool) -> str:
    later = "" if acted else LATER
    default = "**required**" if item.spec.required else _default(item)
    return f"| `{name}` | {_cell(_value(item, item.type))} | {_cell(default)} | {later}{_cell(item.spec.doc)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _value(item: Key, kind: Any) -> str:
    if get_origin(kind) is tuple:
        return f"{'one, or ' if item.spec.many else ''}list of {_value(item, get_args(kind)[0])}"
    if get_origin(kind) is not None or kind is Table:
        return "table"
    if kind is Secret:
        return "URL or secret" if item.spec.plain else "secret"
    if kind is Version:
        return "version"
    if values := values_of(kind, item.spec):
        return ", ".join(f"`{value}`" for value in values)
    if is_table(kind):
        return ", ".join([f"`{word}`" for word in words_of(kind)] + ["table"])
    return SCALARS[kind].says


def _default(item: Key) -> str:
    if item.spec.shown is not None:
        return item.spec.shown
    default = item.attribute.default
    return "" if hasattr(default, "factory") else _shown(default)


def _shown(value: Any) -> str:
    """A default as somebody would write it."""
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(str(part) for part in value)}]`"
    if isinstance(value, timedelta):
        return f"`{duration_text(value)}`"
    if is_table(type(value)):
        return ""
    return f"`{value.value if isinstance(value, StrEnum) else value}`"
