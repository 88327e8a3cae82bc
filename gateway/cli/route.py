"""``ocpi-gateway route explain``: where a message would go, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
from attrs import evolve, frozen

from gateway import telemetry
from gateway.cli.options import Tools, config_option, data_folder, data_option, refuse
from gateway.cli.state import opened
from gateway.cli.translate import party_of
from gateway.directory import Directory, Link
from gateway.lookup import Lookup
from gateway.model.errors import NotDurable
from gateway.model.message import Message, Ref, Trace
from gateway.model.modules import MODULES, Module, Side, Verb
from gateway.model.names import Said
from gateway.model.party import Party, Role, is_supply
from gateway.presence import said_by_hubs
from gateway.registered import Links
from gateway.routing import About, Ask, Broadcast, Forward, Open, Plan, Refuse, Target, route
from gateway.settings import Mistakes, Settings, find_config, load
from gateway.web.json import CODEC, dumps

_ROUTED: Final = [module.value for module, facts in MODULES.items() if facts.functional]

# What a party sends that has no object of its own to send: the one thing that isn't a read.
_QUESTIONS: Final = {
    (Module.TOKENS, Verb.POST): "authorize",
    (Module.SESSIONS, Verb.PUT): "charging_preferences",
}


@frozen(kw_only=True)
class _Asked:
    """What is asked about, as it stands on the command line."""

    sender: Party
    receiver: Party | None
    module: Module
    verb: Verb | None
    object: str
    token: str


@frozen(kw_only=True)
class _Explained:
    """The decision: the message as it was understood, its way, and whether Redis could be read."""

    message: Message
    source: Link
    plan: Plan
    directory: Directory
    read: bool


@click.group(name="route", epilog="Example: ocpi-gateway route explain --help")
def route_() -> None:
    """Where messages go."""


@route_.command(epilog="Example: ocpi-gateway route explain --from NL-EXA --to DE-ACM --module sessions --method PUT")
@click.option("--from", "sender", required=True, callback=party_of, help="Who sends: CC-PID, ours or a partner's.")
@click.option("--to", "receiver", callback=party_of, help="Whom OCPI-to names.  [default: nobody]")
@click.option("--module", required=True, type=click.Choice(_ROUTED), help="What it is about.")
@click.option("--method", type=click.Choice([verb.value for verb in Verb]), help="[default: a push of what it owns]")
@click.option("--object", "object_", default="", help="Id of the object, where it matters: what a pilot names, a read.")
@click.option("--token", default="", help="Uid of the token that it is about: who announced it decides.")
@config_option
@data_option
@click.option("--json", "as_json", is_flag=True, help="A JSON object: plan, reason, targets.")
@click.pass_obj
def explain(
    tools: Tools, sender: Party, receiver: Party | None, module: str, method: str | None, object_: str, token: str,
    folder: Path | None, data: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Say where a message would go just now, and why.

    Nothing is sent. Redis tells which links are registered, who announced a token, and what hubs say of the parties
    behind them; without it all count as not registered. Exit code 0 if the message has a way, 1 if it would be refused.
    """
    telemetry.configure(level="critical")  # what it finds it says itself
    try:
        settings = load(find_config(folder), tools.versions)
    except Mistakes as found:
        refuse(str(found))
    asked = _Asked(
        sender=sender, receiver=receiver, module=Module(module), verb=Verb(method) if method else None, object=object_,
        token=token,
    )  # fmt: skip
    explained = asyncio.run(_explained(tools, settings, data_folder(data), asked))
    if as_json:
        click.echo(dumps(_json(explained)))
    else:
        click.echo("\n".join(_lines(explained)))
    raise SystemExit(1 if isinstance(explained.plan, Refuse) else 0)


async def _explained(tools: Tools, settings: Settings, data: Path, asked: _Asked) -> _Explained:
    async with opened(settings, data) as store:
        links = Links(settings, store, tools.adapters)
        try:
            await links.load()
            links.know(await said_by_hubs(store, links.directory))
            said = await Lookup(store, CODEC).token(asked.token, None, asked.receiver) if asked.token else None
            read = True
        except NotDurable:
            said, read = None, False
    directory = links.directory
    source, side = _source(asked, directory)
    unnamed = tools.adapters[source.dialect.version].sends_routing_headers and len(source.dialect.ours) > 1
    message = _message(asked, source, side, meant=None if unnamed else source.dialect.ours[0].party)
    about = About(party=_owner(said) if said else None, token=asked.token or None, at=datetime.now(UTC))
    plan = route(message, source, directory, said.source if said else None, about)
    return _Explained(message=message, source=source, plan=plan, directory=directory, read=read)


# The message ----------------------------------------------------------------------------------------------------------


def _source(asked: _Asked, directory: Directory) -> tuple[Link, Side]:
    """The link that it comes on, and the interface that it calls.

    Raises:
        click.BadParameter: nobody here has that party.
    """
    owner_is_supply = MODULES[asked.module].owner is Role.CPO
    sources = {supply: _link_of(asked.sender, directory, supply=supply) for supply in (True, False)}
    if any(link and _has(link, asked.sender) for link in sources.values()):
        # It has a seat of its own: what a hub would reach besides is somebody's guess.
        sources = {supply: link if link and _has(link, asked.sender) else None for supply, link in sources.items()}
    owner, asker = sources[owner_is_supply], sources[not owner_is_supply]
    # A party may be both: then what is owned is pushed, and a list is read by who doesn't own it.
    lists = asked.verb is Verb.GET and MODULES[asked.module].ledger
    question = lists or (asked.module, asked.verb) == (Module.TOKENS, Verb.POST)
    if owner is not None and not (asker is not None and question):
        return owner, Side.RECEIVER
    if asker is not None and asked.module is not Module.COMMANDS:
        return asker, Side.SENDER
    if asker is not None:
        raise click.BadParameter(f"{asked.sender} is no EMSP, and sends no commands", param_hint="--from")
    raise click.BadParameter(f"{asked.sender} is nobody's party here: see ocpi-gateway check", param_hint="--from")


def _link_of(party: Party, directory: Directory, *, supply: bool) -> Link | None:
    """The backend that holds the party on that side of the table, else the best partner's link on which it is met."""
    if (own := directory.backend_of(party, supply=supply)) is not None:
        return own
    return next((link for link in directory.ways(party, supply=supply) if _faces(link, supply=supply)), None)


def _has(link: Link, party: Party) -> bool:
    return link.dialect.seats(party)


def _faces(link: Link, *, supply: bool) -> bool:
    """Whether that side of the table is the other one on this link; behind a hub is everybody opposite to us."""
    return any(is_supply(seat.role) != supply for seat in link.dialect.ours)


def _owner(token: Said) -> Party:
    canonical = CODEC.loads(token.canonical)
    return Party(canonical["country_code"], canonical["party_id"])


def _message(asked: _Asked, source: Link, side: Side, *, meant: Party | None) -> Message:
    """The message as it would be opened; ``meant`` is who of us a partner calls that names nobody."""
    verb = asked.verb or _usual_verb(asked, side)
    action = "command" if asked.module is Module.COMMANDS else None
    if side is Side.SENDER:
        action = _QUESTIONS.get((asked.module, verb))
    receiver = asked.receiver or (None if source.backend else meant)
    ref = Ref(id=asked.token if asked.module is Module.TOKENS and asked.token else asked.object)
    return Message(
        module=asked.module,
        verb=verb,
        side=side,
        sender=asked.sender,
        receiver=receiver,
        ref=evolve(ref, owner=asked.sender if side is Side.RECEIVER else receiver),
        trace=Trace(request_id="", correlation_id=""),
        action=action,
    )


def _usual_verb(asked: _Asked, side: Side) -> Verb:
    if side is Side.SENDER and asked.module is Module.CHARGING_PROFILES:
        return Verb.PUT  # of an ActiveChargingProfile
    if side is Side.SENDER:
        return Verb.POST if asked.module is Module.TOKENS and asked.token else Verb.GET
    return Verb.POST if asked.module in (Module.CDRS, Module.COMMANDS) else Verb.PUT


# The answer -----------------------------------------------------------------------------------------------------------


def _targets(plan: Plan) -> Sequence[Target | Open]:
    match plan:
        case Forward(target):
            return (target,)
        case Broadcast(targets) | Ask(targets):
            return targets
        case _:
            return ()


def _json(explained: _Explained) -> dict[str, Any]:
    message, plan = explained.message, explained.plan
    error = plan.error if isinstance(plan, Refuse) else None
    return {
        "from": {"party": str(message.sender), "link": explained.source.id},
        "to": str(message.receiver) if message.receiver else None,
        "module": message.module.value,
        "method": message.verb.value,
        "side": message.side.value,
        "plan": type(plan).__name__.lower(),
        "reason": plan.reason,
        "targets": [_target(target, explained.directory) for target in _targets(plan)],
        "status": error.status if error else None,
        "message": error.message if error else None,
        "redis": "read" if explained.read else "away",
    }


def _target(target: Target | Open, directory: Directory) -> dict[str, Any]:
    link = directory[target.link]
    return {
        "link": link.id,
        "party": str(target.party) if target.party else None,
        "version": link.dialect.version,
        "registered": link.registered,
        "stage": link.stage.value,
    }


def _lines(explained: _Explained) -> list[str]:
    told = _json(explained)
    to = f" to {told['to']}" if told["to"] else ""
    lines = [
        f"{told['method']} {told['module']} from {told['from']['party']} ({told['from']['link']}){to}",
        f"{told['plan']}: {told['reason']}",
    ]
    if told["status"]:
        lines.append(f"  answered {told['status']}: {told['message']}")
    lines += [f"  -> {_told_of(target)}" for target in told["targets"]]
    if not explained.read:
        lines.append("Redis is away: nothing is known of registrations and tokens")
    return lines


def _told_of(target: dict[str, Any]) -> str:
    party = target["party"] or "whomever it finds"
    notes = [target["version"]]
    notes += [] if target["registered"] else ["not registered"]
    notes += [] if target["stage"] == "live" else [target["stage"]]
    return f"{target['link']}, {party} ({', '.join(notes)})"
