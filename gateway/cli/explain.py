"""``ocpi-gateway explain``: the field maps as tables, of the versions of OCPI and of price feeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import click
from attrs import asdict

from gateway.cli.options import Tools
from gateway.cli.translate import KIND, version_of
from gateway.model.facts import Withheld
from gateway.model.modules import Kind
from gateway.model.tables import MapRow, MapTable
from gateway.web.json import dumps_text

_GAP: Final = "  "
_PRICES: Final = "eco-movement"


def explained(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """A version on the command line, or the name of the price feeds."""
    return value if value == _PRICES else version_of(context, parameter, value)


@click.command(epilog="Example: ocpi-gateway explain 2.1.1 --object tariff")
@click.argument("version", metavar="V", callback=explained)
@click.option("--object", "kind", metavar="KIND", type=KIND, help="Only this object, and what it has.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list of tables.")
@click.pass_obj
def explain(tools: Tools, version: str, kind: str | None, as_json: bool) -> None:
    """Print how the objects of a version differ from the next newer version's; of eco-movement, prices from tariffs.

    One table for each class, made from the field maps themselves: both names, what becomes of the value on the way up
    to the newer version and down from it, and what is lost. What isn't listed is the same in both and passes untouched.
    """
    tables = _prices(tools, kind) if version == _PRICES else _objects(tools, version, kind)
    if as_json:
        click.echo(dumps_text([asdict(table) for table in tables]))
        return
    if not tables:
        click.echo(f"{version} is the newest version: the gateway's own objects have its form.")
        return
    versions = list(tools.adapters)
    sides = ("feed", "tariff") if version == _PRICES else (version, versions[versions.index(version) + 1])
    click.echo("\n\n".join("\n".join(_lines(table, *sides)) for table in tables))


def _objects(tools: Tools, version: str, kind: str | None) -> Sequence[MapTable]:
    try:
        return tools.adapters[version].explain(Kind(kind) if kind else None)
    except Withheld as withheld:
        click.echo(withheld.reason, err=True)
        raise SystemExit(1) from None


def _prices(tools: Tools, kind: str | None) -> Sequence[MapTable]:
    """Both shapes: a feed has prices and nothing else that would be translated."""
    if kind not in (None, Kind.TARIFF):
        click.echo(f"a price feed has no {kind}: its prices become tariffs", err=True)
        raise SystemExit(1)
    return tools.price_shapes.explain()


def _lines(table: MapTable, older: str, newer: str) -> Iterator[str]:
    yield table.title
    if not table.rows:
        yield f"{_GAP}the same in {older} and {newer}"
        return
    cells = [(older, newer, "up", "down", "lost"), *map(_cells, table.rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]) - 1)]
    for row in cells:
        yield _GAP + _GAP.join([*map(str.ljust, row, widths), row[-1]]).rstrip()


def _cells(row: MapRow) -> Sequence[str]:
    return ", ".join(row.older) or "-", ", ".join(row.newer) or "-", row.up, row.down, row.lost
