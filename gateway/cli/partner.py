"""``ocpi-gateway partner``: the life of one link, with or without a running gateway.

What is in Redis is read and changed there; a handshake is done by the gateway that runs, or by this process for as long
as it takes, since the other side calls back in the middle of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click
from attrs import frozen

from gateway.cli.named import link_of
from gateway.cli.options import Tools, config_option, data_folder, data_option, json_option, moment_of, moment_text
from gateway.cli.pricing import lines, shown
from gateway.cli.state import done_with, loaded
from gateway.cli.wished import wished
from gateway.registered import Direction, Links, Pause
from gateway.settings import ConsumerSettings, FeedSettings, Kind, LinkSettings, Settings
from gateway.store.redis import Store
from gateway.web.json import dumps
from gateway.web.wishes import Deed, Outcome

_UNLESS_SAID: Final = timedelta(hours=24)
"""How long a pause lasts without `--until`: long enough for a maintenance, and nobody forgets it for good."""

_GAP: Final = "  "

dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
id_argument = click.argument("id_", metavar="ID")


@frozen(kw_only=True)
class _Call:
    """What every verb is given."""

    tools: Tools
    settings: Settings
    data: Path

    def link(self, id_: str) -> LinkSettings:
        """The link that is meant. A wrong id is a mistake of usage (exit code 2)."""
        return link_of(self.settings, id_)


@click.group(epilog="Example: ocpi-gateway partner list")
def partner() -> None:
    """The life of a partner: who is registered, and what becomes of it. A backend's id does as well."""


def _called(tools: Tools, folder: Path | None, data: Path | None) -> _Call:
    return _Call(tools=tools, settings=loaded(tools, folder), data=data_folder(data))


# Looking --------------------------------------------------------------------------------------------------------------


@partner.command(name="list", epilog="Example: ocpi-gateway partner list --json")
@config_option
@data_option
@json_option
@click.pass_obj
def list_(tools: Tools, folder: Path | None, data: Path | None, as_json: bool) -> None:
    """Every link: whether it is registered, in which version, and what it is owed. Price feeds and consumers, too."""
    call = _called(tools, folder, data)
    states = _run(call, lambda links, store: _states(call.settings.links, links, store))
    if as_json:
        click.echo(dumps([*map(_without_details, states), *map(shown, call.settings.prices)]))
        return
    head = ("id", "kind", "version", "stage", "state", "parties", "owed", "held", "CDRs")
    rows = [head, *map(_row, states), *map(_price_row, call.settings.prices)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        click.echo(_GAP.join(map(str.ljust, row, widths)).rstrip())


@partner.command(epilog="Example: ocpi-gateway partner show acme")
@id_argument
@config_option
@data_option
@json_option
@click.pass_obj
def show(tools: Tools, id_: str, folder: Path | None, data: Path | None, as_json: bool) -> None:
    """One link in full: endpoints, the age of its tokens, its backlog, and what went wrong last.

    Exit code 1 if it isn't registered. Of a price feed or a consumer: what its file says.
    """
    call = _called(tools, folder, data)
    for file in call.settings.prices:
        if file.id == id_:
            click.echo(dumps(shown(file)) if as_json else "\n".join(lines(file)))
            return
    link = call.link(id_)
    (state,) = _run(call, lambda links, store: _states([link], links, store))
    if as_json:
        click.echo(dumps(state))
    else:
        click.echo("\n".join(_lines(state)))
    raise SystemExit(0 if state["registered"] else 1)


async def _states(wanted: Sequence[LinkSettings], links: Links, store: Store) -> list[dict[str, Any]]:
    return [await _state(link, links, store) for link in wanted]


async def _state(link: LinkSettings, links: Links, store: Store) -> dict[str, Any]:
    registration, backlog, trouble = links.registration(link.id), await store.backlog(link.id), links.trouble(link.id)
    return {
        "id": link.id,
        "name": link.name,
        "kind": link.kind.value,
        "stage": link.stage.value,
        "registered": links.directory[link.id].registered,
        "state": _word(link, links),
        "version": links.directory[link.id].dialect.version,
        "versions": list(link.versions),
        "parties": [{"role": seat.role.value, **_party(seat.party)} for seat in link.theirs],
        "paused": {direction.value: _pause(links, link.id, direction) for direction in Direction},
        "owed": backlog.due,
        "held": backlog.held,
        "cdrs": backlog.cdrs,
        "start": link.registration.start.value,
        "since": moment_text(registration.since),
        "tokens_since": moment_text(registration.renewed),
        "rotation_in_doubt": bool(registration.pending),
        "versions_url": links.versions_url(link.id) or None,
        "endpoints": [
            {"module": each.module.value, "side": each.side.value, "url": each.url} for each in registration.endpoints
        ],
        "trouble": {"at": moment_text(trouble.at), "reason": trouble.reason, "todo": trouble.todo} if trouble else None,
    }


def _without_details(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in ("endpoints", "versions_url")}


def _word(link: LinkSettings, links: Links) -> str:
    if links.registration(link.id).pending:
        return "rotation in doubt"
    if links.directory[link.id].registered:
        return "registered"
    return "not any more" if links.ever_registered(link.id) else "not yet"


def _party(party: Any) -> dict[str, str]:
    return {"country_code": party.country_code, "party_id": party.party_id}


def _pause(links: Links, link: str, direction: Direction) -> dict[str, Any] | None:
    pause = links.pause(link, direction)
    if pause is None or pause.until <= _now_ms():
        return None
    return {"until": moment_text(pause.until), "reason": pause.reason}


def _row(state: dict[str, Any]) -> tuple[str, ...]:
    paused = [f"paused {direction} until {pause['until']}" for direction, pause in state["paused"].items() if pause]
    parties = (f"{each['country_code']}-{each['party_id']} {each['role']}" for each in state["parties"])
    return (
        state["id"], state["kind"], state["version"], state["stage"], ", ".join([state["state"], *paused]),
        ", ".join(parties), str(state["owed"]), str(state["held"]), str(state["cdrs"]),
    )  # fmt: skip


def _price_row(file: FeedSettings | ConsumerSettings) -> tuple[str, ...]:
    what = ("feed", file.version) if isinstance(file, FeedSettings) else ("consumer", "-")
    return (file.id, Kind.PRICES.value, what[1], "-", what[0], *"----")


def _lines(state: dict[str, Any]) -> list[str]:
    id_, kind, version, stage, _, parties, *_ = _row(state)
    lines = [
        f"{id_}: {state['name']} ({kind}, {stage})",
        f"  {state['state']}, OCPI {version} (offered: {', '.join(state['versions'])}); start: {state['start']}",
        f"  parties: {parties}",
        f"  registered since {state['since'] or '-'}, tokens since {state['tokens_since'] or '-'}",
        f"  owed: {state['owed']} objects, {state['held']} held, {state['cdrs']} CDRs not delivered",
    ]
    for direction, pause in state["paused"].items():
        if pause:
            lines.append(f"  paused {direction} until {pause['until']}: {pause['reason'] or 'no reason given'}")
    if trouble := state["trouble"]:
        lines += [f"  last trouble, {trouble['at']}: {trouble['reason']}", f"    {trouble['todo']}"]
    lines += [f"  {each['module']} {each['side']}  {each['url']}" for each in state["endpoints"]]
    return lines


# Handshakes -----------------------------------------------------------------------------------------------------------


def _handshake(deed: Deed, does: str, example: str) -> None:
    """One verb for each deed; they differ in what they are called and in what they say."""

    @partner.command(name=deed.value, help=does, epilog=f"Example: ocpi-gateway partner {example}")
    @id_argument
    @config_option
    @data_option
    @dry_run_option
    @json_option
    @click.pass_obj
    def verb(tools: Tools, id_: str, folder: Path | None, data: Path | None, dry_run: bool, as_json: bool) -> None:
        call = _called(tools, folder, data)
        link = call.link(id_)
        if dry_run:
            _told(_run(call, lambda links, _: _would(deed, link, links)), as_json)
        _told(asyncio.run(wished(call.tools, call.settings, call.data, link.id, deed)), as_json)


_handshake(
    Deed.REGISTER,
    "Exchange credentials, or find the endpoints anew.\n\nTokens of the file that were spent count again. Where the"
    " file says `start: them`, they are invited to begin.",
    "register acme",
)
_handshake(
    Deed.REFRESH,
    "Tell them of our changed roles or URLs, and come to the best version of both sides.\n\nA PUT of credentials: both"
    " sides get new tokens.",
    "refresh acme",
)
_handshake(
    Deed.ROTATE,
    "Give both sides new tokens.\n\nThe old ones count until the new ones are used, so that a lost answer locks nobody"
    " out.",
    "rotate acme --dry-run",
)
_handshake(
    Deed.UNREGISTER,
    "End the registration on both sides.\n\nIf they can't be reached, it is ended here all the same.",
    "unregister acme",
)


async def _would(deed: Deed, link: LinkSettings, links: Links) -> Outcome:
    where = links.versions_url(link.id)
    return Outcome(True, f"would {deed} {link.id} ({_word(link, links)}){', at ' if where else ''}{where}")


# Pauses ---------------------------------------------------------------------------------------------------------------


@partner.command(epilog="Example: ocpi-gateway partner pause acme --until 2h --reason 'their maintenance'")
@id_argument
@click.option(
    "--direction", type=click.Choice([direction.value for direction in Direction]), default=Direction.OUT.value,
    show_default=True, help="What is held up: what we push to them, or what they push to us.",
)  # fmt: skip
@click.option(
    "--until", metavar="T", help="When it ends by itself: 90m, 2h, 1d, or a time with its zone.  [default: 24h]"
)
@click.option("--reason", default="", help="Why, for whoever reads `partner show`.")
@config_option
@data_option
@dry_run_option
@json_option
@click.pass_obj
def pause(
    tools: Tools, id_: str, direction: str, until: str | None, reason: str, folder: Path | None, data: Path | None,
    dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Hold up pushes for a time. What is owed stays owed; lists, questions and authorizations go on."""
    call = _called(tools, folder, data)
    link, ends = call.link(id_), _until(until)
    done = f"{link.id} is paused {direction} until {ends:%Y-%m-%dT%H:%M:%SZ}"
    if not dry_run:
        paused = Pause(at=_now_ms(), until=int(ends.timestamp() * 1000), reason=reason)
        _run(call, lambda links, _: links.set_pause(link.id, Direction(direction), paused))
    _told(Outcome(True, f"would pause: {done}" if dry_run else done), as_json)


@partner.command(epilog="Example: ocpi-gateway partner resume acme")
@id_argument
@click.option("--direction", type=click.Choice([direction.value for direction in Direction]), help="[default: both]")
@config_option
@data_option
@dry_run_option
@json_option
@click.pass_obj
def resume(
    tools: Tools, id_: str, direction: str | None, folder: Path | None, data: Path | None, dry_run: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """End a pause before its time. What is owed goes out at once."""
    call = _called(tools, folder, data)
    link = call.link(id_)
    directions = [Direction(direction)] if direction else list(Direction)
    if not dry_run:
        _run(call, lambda links, _: _resumed(links, link.id, directions))
    _told(Outcome(True, f"{'would resume' if dry_run else 'resumed'} {link.id}"), as_json)


async def _resumed(links: Links, link: str, directions: Sequence[Direction]) -> None:
    for direction in directions:
        await links.set_pause(link, direction, None)


def _until(text: str | None) -> datetime:
    """A time that is given as one, or as a duration from now."""
    ends = datetime.now(UTC) + _UNLESS_SAID if text is None else moment_of(text, "--until")
    if ends <= datetime.now(UTC):
        raise click.UsageError("--until: that is over already")
    return ends


# Small things ---------------------------------------------------------------------------------------------------------


def _run(call: _Call, what: Callable[[Links, Store], Awaitable[Any]]) -> Any:
    """Do something with the registrations as they stand in Redis."""

    async def done(store: Store) -> Any:
        links = Links(call.settings, store, call.tools.adapters)
        await links.load()
        return await what(links, store)

    return done_with(call.settings, call.data, done)


def _told(outcome: Outcome, as_json: bool) -> None:
    """Print how it went, and end."""
    if as_json:
        click.echo(dumps({"good": outcome.good, "text": outcome.text, "todo": outcome.todo or None}))
    else:
        click.echo(outcome.text)
        if outcome.todo:
            click.echo(outcome.todo, err=True)
    raise SystemExit(0 if outcome.good else 1)


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
