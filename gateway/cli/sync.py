"""``ocpi-gateway sync``: how far the lists of others have been read, and reading them now."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from gateway.cli.named import link_of
from gateway.cli.options import Tools, config_option, data_folder, data_option, json_option, moment_text
from gateway.cli.state import done_with, loaded
from gateway.cli.wished import wished
from gateway.model.modules import MODULES, Module
from gateway.registered import Links
from gateway.settings import LinkSettings, Settings
from gateway.store.redis import Store
from gateway.sync import Agenda, Counts, Source, State, decode
from gateway.sync.states import UNKNOWN
from gateway.telemetry import MASK
from gateway.web.json import dumps
from gateway.web.wishes import Deed, Outcome, Pulled, Wanted

_LISTED: Final = [module.value for module, facts in MODULES.items() if facts.ledger]
_GAP: Final = "  "


@click.group(epilog="Example: ocpi-gateway sync status")
def sync() -> None:
    """What others own, read from their lists."""


# Looking --------------------------------------------------------------------------------------------------------------


@sync.command(epilog="Example: ocpi-gateway sync status acme --json")
@click.argument("partner", required=False)
@config_option
@data_option
@json_option
@click.pass_obj
def status(tools: Tools, partner: str | None, folder: Path | None, data: Path | None, as_json: bool) -> None:
    """How far each list has been read, what is under way, when it is read next, and what went wrong last.

    Exit code 1 if the last reading of any of them failed, or found more gone than it could believe.
    """
    settings = loaded(tools, folder)
    wanted = [link_of(settings, partner)] if partner is not None else list(settings.links)
    states = done_with(settings, data_folder(data), lambda store: _states(tools, settings, wanted, store))
    if as_json:
        click.echo(dumps(states))
    elif states:
        click.echo("\n".join(_lines(states)))
    else:
        click.echo("no list is read: write `modules: {locations: {pull_every: 1h}}` in the file of a link")
    raise SystemExit(1 if any(state["error"] or state["refused"] for state in states) else 0)


async def _states(
    tools: Tools, settings: Settings, wanted: Sequence[LinkSettings], store: Store
) -> list[dict[str, Any]]:
    links = Links(settings, store, tools.adapters)
    await links.load()
    MASK.use_key(await store.cred_key())
    agenda = Agenda(adapters=tools.adapters, registered_at=links.registered_at, time_zone=lambda: settings.time_zone)
    plans = [plan for link in wanted for plan in agenda.plans(links.directory[link.id])]
    ids = [plan.source.id for plan in plans]
    packed, leases = await store.pulls(ids), await store.leases(ids)
    stored = zip(plans, map(decode, packed), strict=True)
    found = [
        _state(plan.source, state, due=plan.due(state), reading=plan.source.id in leases) for plan, state in stored
    ]
    return [*found, *(state for link in wanted if not links.directory[link.id].registered for state in _waiting(link))]


def _waiting(link: LinkSettings) -> list[dict[str, Any]]:
    """The lists of a link that isn't registered: nothing is read of them, and that is said."""
    pulled = [module for module, use in link.modules.items() if use.pull_every is not None]
    sources = [Source(link.id, module, link.theirs[0].party) for module in pulled]
    return [_state(source, State(), due=0, reading=False) | {"registered": False} for source in sources]


def _state(source: Source, state: State, *, due: int, reading: bool) -> dict[str, Any]:
    crawl = state.crawl
    return {
        "partner": source.link,
        "module": source.module.value,
        "party": str(source.party),
        "registered": True,
        "completed": moment_text(state.completed),
        "full": moment_text(state.full),
        "watermark": moment_text(max(state.high, 0)),
        "next": moment_text(due),
        "running": None if crawl is None else {
            "reading": reading,
            "full": crawl.full,
            "since": moment_text(crawl.began),
            "pages": crawl.counts.pages,
            "items": crawl.counts.items,
            "total": None if crawl.total == UNKNOWN else crawl.total,
        },
        "last": _counts(state.last),
        "failures": state.failures,
        "error": state.error or None,
        "refused": state.refused or None,
    }  # fmt: skip


def _lines(states: Sequence[dict[str, Any]]) -> list[str]:
    head = ("partner", "module", "party", "completed", "watermark", "next", "now")
    rows = [head, *map(_row, states)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [_GAP.join(map(str.ljust, row, widths)).rstrip() for row in rows]
    for state in states:
        if trouble := state["error"] or state["refused"]:
            lines.append(f"{state['partner']} {state['module']}: {trouble}")
    return lines


def _row(state: dict[str, Any]) -> tuple[str, ...]:
    running, now = state["running"], "-"
    if not state["registered"]:
        now = "not registered"
    elif running:
        of = f" of {running['total']}" if running["total"] is not None else ""
        now = f"{'reading' if running['reading'] else 'stopped'}: {running['items']}{of} on {running['pages']} pages"
    texts = (state[name] or "-" for name in ("partner", "module", "party", "completed", "watermark", "next"))
    return (*texts, now)


# Reading --------------------------------------------------------------------------------------------------------------


@sync.command(epilog="Example: ocpi-gateway sync run acme tokens --full")
@click.argument("partner")
@click.argument("module", required=False, type=click.Choice(_LISTED))
@click.option("--full", is_flag=True, help="The whole list, not only what has changed.")
@click.option(
    "--accept-shrink", is_flag=True,
    help="Where `sync.tombstones: full_pull_diff` is set: what isn't listed any more is gone, however much it is.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would be read, and read nothing.")
@config_option
@data_option
@json_option
@click.pass_obj
def run(
    tools: Tools, partner: str, module: str | None, full: bool, accept_shrink: bool, dry_run: bool,
    folder: Path | None, data: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Read the lists of a partner (or backend) now: of one module, or all that are read by themselves.

    The gateway that runs does it; where none does, this process. Exit code 1 if any of them couldn't be read.
    """
    if accept_shrink and not full:
        raise click.UsageError("--accept-shrink: only a whole list tells what is gone: add --full")
    settings = loaded(tools, folder)
    link = link_of(settings, partner)
    wanted = Wanted(Module(module) if module else None, full, accept_shrink)
    if dry_run:
        whole = "the whole of " if full else ""
        outcome = Outcome(True, f"would read {whole}{module or 'whatever is read by itself'} of {link.id}")
    else:
        outcome = asyncio.run(wished(tools, settings, data_folder(data), link.id, Deed.PULL, wanted))
    _tell(outcome, as_json)


def _tell(outcome: Outcome, as_json: bool) -> None:
    """Print what became of it, and end."""
    if as_json:
        lists = [_pulled(each) for each in outcome.lists]
        told = {"good": outcome.good, "text": outcome.text, "todo": outcome.todo or None, "lists": lists}
        click.echo(dumps(told))
    else:
        for each in outcome.lists:
            click.echo(_line(each))
        click.echo(outcome.text)
        if outcome.todo:
            click.echo(outcome.todo, err=True)
    raise SystemExit(0 if outcome.good else 1)


def _pulled(each: Pulled) -> dict[str, Any]:
    return {
        "module": each.module.value, "party": each.party, "full": each.full, "good": each.good,
        "reason": each.reason or None, **_counts(each.counts),
    }  # fmt: skip


def _line(each: Pulled) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in _counts(each.counts).items() if count)
    return f"{each.module} of {each.party}: {counts or 'nothing'}{f': {each.reason}' if each.reason else ''}"


# Small things ---------------------------------------------------------------------------------------------------------


def _counts(counts: Counts) -> dict[str, int]:
    return {name: getattr(counts, name) for name in counts.__struct_fields__}
