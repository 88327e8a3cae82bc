"""``ocpi-gateway prices``: reading price feeds, by hand or for as long as wanted, and how they stand."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import click

from gateway.cli.options import Tools, config_option, data_folder, data_option, json_option, moment_text
from gateway.cli.state import done_with, loaded
from gateway.prices import BeingRead, PriceFeeds, Report, Status
from gateway.prices.states import Result
from gateway.settings import FeedSettings, Settings
from gateway.settings.grammar import did_you_mean
from gateway.settings.mistakes import printable
from gateway.store.redis import Store
from gateway.web.json import dumps

_GAP: Final = "  "
_NONE: Final = "-"
_SHOWN_FLAGS: Final = 20

# For another process that is reading: it may be about to end. After that long it rather isn't. Seconds.
_WAIT_S: Final = 30.0
_LOOK_S: Final = 0.3

Progress = Callable[[str], None] | None


@click.group(epilog="Example: ocpi-gateway prices status")
def prices() -> None:
    """Price feeds that we read."""


# Reading --------------------------------------------------------------------------------------------------------------


@prices.command("import", epilog="Example: ocpi-gateway prices import eco --once")
@click.argument("partner")
@click.option("--once", is_flag=True, help="Read it now, whatever its window says, and end.")
@click.option("--dry-run", is_flag=True, help="Read and check it now, and change nothing.")
@config_option
@data_option
@json_option
@click.pass_obj
def import_(
    tools: Tools, partner: str, once: bool, dry_run: bool, folder: Path | None, data: Path | None, as_json: bool
) -> None:
    """Read a price feed. Without --once or --dry-run it is followed in its window until stopped.

    A running gateway reads its feeds by itself; this works beside one too, since a feed is read by one process at a
    time. Progress goes to standard error, with --json only if that is a terminal; what came of it goes to standard
    output: with --json an object for each run, on a line of its own.

    Exit code 1 if the run was refused (what was read before stays live then), or if another process reads the feed
    and doesn't end within half a minute.
    """
    settings = loaded(tools, folder)
    feed = _feed_of(settings, partner)
    progress = _progress if not as_json or sys.stderr.isatty() else None

    def told(report: Report) -> None:
        click.echo(dumps(report.json()) if as_json else "\n".join(_lines(report)))

    async def done(store: Store) -> bool:
        async with tools.price_feeds(settings, store) as feeds:
            if once or dry_run:
                return await _read(feeds, feed, dry_run, told, progress)
            await _follow(feeds, feed, told, progress)
            return True

    raise SystemExit(0 if done_with(settings, data_folder(data), done) else 1)


async def _read(
    feeds: PriceFeeds, feed: FeedSettings, dry_run: bool, told: Callable[[Report], None], progress: Progress
) -> bool:
    """Reads a feed now, or as soon as another process has; whether what it read may count."""
    loop = asyncio.get_running_loop()
    began, waits = loop.time(), False
    while True:
        try:
            report = await feeds.read(feed.id, dry_run=dry_run, progress=progress)
        except BeingRead as error:
            if loop.time() > began + _WAIT_S:
                again = f"try again when it has; see `ocpi-gateway prices status {feed.id}`"
                click.echo(f"{error.message}: {again}", err=True)
                return False
            if progress and not waits:
                progress(f"{error.message}: waiting for it")
            waits = True
            await asyncio.sleep(_LOOK_S)
        else:
            told(report)
            return report.good


async def _follow(feeds: PriceFeeds, feed: FeedSettings, told: Callable[[Report], None], progress: Progress) -> None:
    """Reads a feed whenever it is to be read, until SIGTERM or SIGINT."""
    following = asyncio.create_task(feeds.follow(feed.id, told, progress))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, following.cancel)
    if progress:
        progress(f"following {feed.id} ({feed.window or 'always'}); end with Ctrl-C")
    with suppress(asyncio.CancelledError):
        await following


def _progress(text: str) -> None:
    click.echo(text, err=True)


# Looking --------------------------------------------------------------------------------------------------------------


@prices.command(epilog="Example: ocpi-gateway prices status eco --json")
@click.argument("partner", required=False)
@config_option
@data_option
@json_option
@click.pass_obj
def status(tools: Tools, partner: str | None, folder: Path | None, data: Path | None, as_json: bool) -> None:
    """What each feed's last run came to, since when its prices are live, and when it is read next.

    Of one feed also what looks wrong in its last run, or couldn't be read; with --json of all of them.

    Exit code 1 if the last run of any of them was refused.
    """
    settings = loaded(tools, folder)
    wanted = {_feed_of(settings, partner).id} if partner is not None else {feed.id for feed in settings.feeds}

    async def done(store: Store) -> list[Status]:
        async with tools.price_feeds(settings, store) as feeds:
            return [each for each in await feeds.status() if each.partner in wanted]

    found = done_with(settings, data_folder(data), done)
    if as_json:
        click.echo(dumps([_status(each) for each in found]))
    elif found:
        click.echo("\n".join([*_table(found), *(_flagged(found[0].last) if partner and found[0].last else ())]))
    else:
        click.echo("no price feed is read: write a partner file with `kind: prices` and `feed:`")
    raise SystemExit(1 if any(each.last and not each.last.good for each in found) else 0)


def _status(each: Status) -> dict[str, Any]:
    """How a feed stands, with the same members whether it was ever read or not."""
    unread = Report(partner=each.partner, run="", began=0, ended=0, result=Result.IMPORTED).json()
    unread |= {"result": None, "began": None, "ended": None}
    return unread | each.json() | {"state": _state(each), "live": each.good is not None}


def _state(each: Status) -> str:
    """One word for it: what is under way, else what became of the last run."""
    if each.reading:
        return "reading"
    return each.last.result.value if each.last else "unread"


def _table(found: Sequence[Status]) -> list[str]:
    head = ("partner", "state", "live as of", "locations", "prices", "flagged", "own connectors", "last run", "next")
    rows = [head, *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [_GAP.join(map(str.ljust, row, widths)).rstrip() for row in rows]
    lines += [f"{each.partner}: {each.last.refused}" for each in found if each.last and each.last.refused]
    return lines


def _row(each: Status) -> tuple[str, ...]:
    live, last = each.good, each.last
    rows = (str(live.rows.locations), str(live.rows.prices), str(live.flags)) if live else [_NONE] * 3
    return (
        each.partner,
        _state(each),
        (moment_text(live.began) if live else None) or _NONE,
        *rows,
        _NONE if live is None or live.own_connectors is None else str(live.own_connectors),
        (moment_text(last.ended) if last else None) or _NONE,
        moment_text(each.next) or _NONE,
    )


# A run ----------------------------------------------------------------------------------------------------------------


def _lines(report: Report) -> list[str]:
    """What one run came to, for people."""
    rows, tariffs = report.rows, report.tariffs
    seconds = (report.ended - report.began) / 1000
    first = f"{report.partner}: {report.result.value.replace('_', ' ')} ({moment_text(report.ended)}, {seconds:.1f} s)"
    lines = [f"{first}: {report.refused}" if report.refused else first]
    own = f", {report.own_connectors} of our own" if report.own_connectors is not None else ""
    lines += [
        f"  rows        {rows.locations} locations, {rows.connector_prices} connector prices, {rows.prices} prices",
        f"  tariffs     {tariffs.new} new, {tariffs.kept} kept, {tariffs.retired} retired",
        f"  connectors  {report.connectors} with a price{own}",
    ]
    return lines + _flagged(report)


def _flagged(report: Report) -> list[str]:
    """What looked wrong in a run or couldn't be read, the first of it."""
    lines = [f"  flagged     {report.flags}"]
    lines += [
        printable(f"    {flag.id or '-'}{f' {flag.pointer}' if flag.pointer else ''}: {flag.reason}")
        for flag in report.flagged[:_SHOWN_FLAGS]
    ]
    if (more := report.flags - _SHOWN_FLAGS) > 0:
        kept = "" if len(report.flagged) == report.flags else f", which has the first {len(report.flagged)}"
        lines.append(f"    and {more} more: see --json{kept}")
    return lines


# Small things ---------------------------------------------------------------------------------------------------------


def _feed_of(settings: Settings, id_: str) -> FeedSettings:
    """The feed that is meant.

    Raises:
        click.UsageError: there is none (exit code 2); with what it is instead, or which one was perhaps meant.
    """
    feeds = {feed.id: feed for feed in settings.feeds}
    if id_ in feeds:
        return feeds[id_]
    if any(consumer.id == id_ for consumer in settings.consumers):
        raise click.UsageError(f"`{id_}` is a consumer of prices, and no feed: we serve it, and read nothing there")
    if any(link.id == id_ for link in settings.links):
        raise click.UsageError(f"`{id_}` speaks OCPI with us, and is no price feed; see `ocpi-gateway sync run {id_}`")
    known = f": the feeds are {', '.join(feeds)}" if feeds else ": write a partner file with `kind: prices` and `feed:`"
    raise click.UsageError(f"there is no price feed `{id_}`{did_you_mean(id_, feeds) or known}")
