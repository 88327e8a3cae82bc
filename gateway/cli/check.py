"""``ocpi-gateway check``: is the configuration fine, and what does it mean?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gateway.cli.options import BAD_CONFIGURATION, Tools, config_option
from gateway.cli.pricing import shown, summary
from gateway.settings import LinkSettings, Mistake, Mistakes, Settings, find_config, load
from gateway.web.json import dumps


@click.command(epilog="Example: ocpi-gateway check --config /etc/ocpi-gateway --strict")
@config_option
@click.option("--strict", is_flag=True, help="Refuse secrets that are written out ({value: ...}).")
@click.option("--json", "as_json", is_flag=True, help="A JSON object: mistakes, warnings, links, feeds, consumers.")
@click.pass_obj
def check(tools: Tools, folder: Path | None, strict: bool, as_json: bool) -> None:
    """Read all configuration as `run` would, and print every mistake.

    Each mistake is a line `file:line:column: what, and what to write instead`, on standard output; the exit code is
    then 78. Without mistakes it prints one line for each link, price feed and consumer of prices, and exits 0. Secrets
    are read, and never printed.
    """
    try:
        settings = load(find_config(folder), tools.versions, strict=strict)
    except Mistakes as found:
        click.echo(dumps(_json(found.mistakes, None)) if as_json else str(found))
        raise SystemExit(BAD_CONFIGURATION) from None
    if as_json:
        click.echo(dumps(_json((), settings)))
        return
    for warning in settings.warnings:
        click.echo(f"{warning.place}: warning: {warning.text}")
    for link in settings.links:
        click.echo(_summary(link))
    for file in settings.prices:
        click.echo(summary(file))


def _summary(link: LinkSettings) -> str:
    """One link on one line: who faces whom, in which versions, who registers, what flows."""
    ours = ", ".join(f"{seat.party} {seat.role}" for seat in link.ours)
    theirs = ", ".join(f"{seat.party} {seat.role}" for seat in link.theirs)
    flows = [f"{verb} {' '.join(modules)}" for verb, modules in _flows(link).items() if modules]
    start = f"registration: {link.registration.start}"
    return "; ".join([f"{link.id} ({link.kind}, {' '.join(link.versions)}): {ours} - {theirs}", start, *flows])


def _flows(link: LinkSettings) -> dict[str, list[str]]:
    return {
        "push": [module.value for module, use in link.modules.items() if use.push],
        "accept": [module.value for module, use in link.modules.items() if use.accept],
    }


def _json(mistakes: tuple[Mistake, ...], settings: Settings | None) -> Mapping[str, Any]:
    return {
        "mistakes": [_mistake(mistake) for mistake in mistakes],
        "warnings": [_mistake(warning) for warning in settings.warnings] if settings else [],
        "links": [_link(link) for link in settings.links] if settings else [],
        "feeds": [shown(feed) for feed in settings.feeds] if settings else [],
        "consumers": [shown(consumer) for consumer in settings.consumers] if settings else [],
    }


def _mistake(mistake: Mistake) -> dict[str, Any]:
    return {"file": mistake.file, "line": mistake.line, "column": mistake.column, "text": mistake.text}


def _link(link: LinkSettings) -> dict[str, Any]:
    return {
        "id": link.id,
        "kind": link.kind.value,
        "name": link.name,
        "versions": list(link.versions),
        "ours": [{"party": str(seat.party), "role": seat.role.value} for seat in link.ours],
        "theirs": [{"party": str(seat.party), "role": seat.role.value} for seat in link.theirs],
        "registration": link.registration.start.value,
        **_flows(link),
    }
