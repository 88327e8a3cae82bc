"""Writes the documents that come from the grammar of configuration: JSON Schemas and the tables of config/README.md.

    python -m gateway.cli.documents config

A table stands between two markers in the README, ``<!-- switches -->`` and ``<!-- /switches -->``; what is around them
is written by people. A test compares, so that neither falls behind the classes of ``gateway.settings.files``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.settings.reference import FILES, TABLES, schema, table
from gateway.web.json import dumps_text


def documents(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every generated file of a ``config`` folder with the text that it must have."""
    for name in FILES:
        yield folder / "schema" / f"{name}.json", _pretty(schema(name)) + "\n"
    readme = folder / "README.md"
    yield readme, with_tables(readme.read_text())


def with_tables(text: str) -> str:
    """A README with its tables as they must be."""
    for name in TABLES:
        found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, re.DOTALL)
        if found is None:
            raise ValueError(f"the README has no place for the table of {name}: add its two markers")
        text = f"{text[: found.start(1)]}{table(name)}\n{text[found.end(1) :]}"
    return text


def _pretty(value: Any, indent: str = "") -> str:
    """JSON with a line for each member, so that a change can be reviewed; lists of plain values stay on theirs."""
    inner = indent + "  "
    if isinstance(value, dict) and value:
        lines = (f"{inner}{dumps_text(name)}: {_pretty(item, inner)}" for name, item in value.items())
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return "[\n" + ",\n".join(f"{inner}{_pretty(item, inner)}" for item in value) + f"\n{indent}]"
    return dumps_text(value)


def main() -> None:
    """Write them all, into the folder that is named on the command line."""
    for path, text in documents(Path(sys.argv[1] if len(sys.argv) > 1 else "config")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
