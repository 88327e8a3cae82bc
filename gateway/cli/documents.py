"""Writes the documents that come from the code: JSON Schemas, the tables of config/README.md, adapters/MAPPING.md.

    python -m gateway.cli.documents config

A table stands between two markers in the README, ``<!-- switches -->`` and ``<!-- /switches -->``; what is around them
is written by people. The page of the mapping is generated as a whole. Tests compare, so that none falls behind the
classes of ``gateway.settings.files`` and the field maps.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from gateway.app import ADAPTERS, PRICE_SHAPES
from gateway.model.tables import MapRow, MapTable
from gateway.settings.reference import FILES, TABLES, schema, table
from gateway.web.json import dumps_text


def documents(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every generated file of a ``config`` folder, and of ``adapters`` beside it, with the text that it must have."""
    for name in FILES:
        yield folder / "schema" / f"{name}.json", _pretty(schema(name)) + "\n"
    readme = folder / "README.md"
    yield readme, with_tables(readme.read_text())
    yield folder.parent / "adapters" / "MAPPING.md", mapping()


def with_tables(text: str) -> str:
    """A README with its tables as they must be."""
    for name in TABLES:
        found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, re.DOTALL)
        if found is None:
            raise ValueError(f"the README has no place for the table of {name}: add its two markers")
        text = f"{text[: found.start(1)]}{table(name)}\n{text[found.end(1) :]}"
    return text


def mapping() -> str:
    """How each version's objects differ from the next newer version's, and prices from tariffs: a Markdown page."""
    versions = (
        block
        for older, newer in pairwise(ADAPTERS)
        for block in _page(f"{older} and {newer}", ADAPTERS[older].explain(), older, newer)
    )
    prices = _page("Prices of Eco-Movement and tariffs", PRICE_SHAPES.explain(), "feed", "tariff")
    return "\n\n".join((_MAPPING, *versions, *prices)) + "\n"


_MAPPING: Final = """# What becomes of each field

Generated from the field maps (`python -m gateway.cli.documents config`); `ocpi-gateway explain` prints the same. One
table for each class of objects, one row for each difference. What has no row is the same in both versions and passes
untouched, and so does what no version knows. *Up* is towards the newer version, *down* towards the older one; an empty
cell passes the value as it is. What is lost is noted each time: in the log, in a metric, in what `translate` prints.

The prices of a feed stand on the older side, the tariffs that they become on the newer one. There, too, what nobody
knows is kept, with the price; the id under which a price is served is a hash of what it says."""


def _page(title: str, tables: Sequence[MapTable], older: str, newer: str) -> Iterator[str]:
    yield f"## {title}"
    for each in tables:
        yield f"### {each.title}\n\n{_rows(each, older, newer)}"


def _rows(each: MapTable, older: str, newer: str) -> str:
    if not each.rows:
        return f"The same in {older} and {newer}."
    cells = [(older, newer, "up", "down", "lost"), ("---",) * 5, *map(_cells, each.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _cells(row: MapRow) -> tuple[str, ...]:
    older, newer = (", ".join(f"`{name}`" for name in names) or "-" for names in (row.older, row.newer))
    return older, newer, *(text.replace("|", "\\|") for text in (row.up, row.down, row.lost))


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
