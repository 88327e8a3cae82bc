"""``ocpi-gateway tokens``: what is cached of a driver's token, and what would be decided about it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NoReturn

import click
from attrs import frozen

from gateway import telemetry
from gateway.announced import Announced
from gateway.authorize import Decision
from gateway.case import Case, Cases
from gateway.cli.options import Tools, config_option, data_folder, data_option, json_option, refuse
from gateway.cli.state import opened
from gateway.cli.translate import party_of
from gateway.directory import Directory, Link
from gateway.lookup import Lookup
from gateway.model.errors import GatewayError, NotDurable
from gateway.model.message import Message, Ref, Trace
from gateway.model.modules import Module, Side, Verb
from gateway.model.names import Name, Said
from gateway.model.party import Party
from gateway.model.tokens import AllowedType, TokenType
from gateway.presence import said_by_hubs
from gateway.references import References
from gateway.registered import Links
from gateway.routing import Ask, Forward, Open, Target
from gateway.settings import Mistakes, Settings, find_config, load
from gateway.store.redis import Store
from gateway.telemetry import MASK
from gateway.web.json import CODEC, dumps

_AWAY: Final = "Redis is away: nothing is known of tokens"

uid_argument = click.argument("uid")


@frozen(kw_only=True)
class _Asked:
    """The question of ``tokens authorize``, as it stands on the command line."""

    uid: str
    type: str
    sender: Party | None
    receiver: Party | None
    location: str | None
    evses: tuple[str, ...]


@click.group(epilog="Example: ocpi-gateway tokens lookup 04A1B2C3D4E5F6")
def tokens() -> None:
    """Drivers' tokens: what is cached of one, and what would be decided about it."""


# Looking --------------------------------------------------------------------------------------------------------------


@tokens.command(epilog="Example: ocpi-gateway tokens lookup 04A1B2C3D4E5F6 --json")
@uid_argument
@click.option("--show", is_flag=True, help="Contract ids in clear, not as the hashes that stand for them in logs.")
@config_option
@data_option
@json_option
@click.pass_obj
def lookup(tools: Tools, uid: str, show: bool, folder: Path | None, data: Path | None, as_json: bool) -> None:
    """Say what eMSPs have announced under a uid: each token with its owner, type, whitelist, and how old that is.

    Exit code 0 if there is one, 1 if there is none.
    """
    settings = _settings(tools, folder)
    try:
        found = asyncio.run(_looked_up(tools, settings, data_folder(data), uid, show=show))
    except NotDurable:
        _fail(_AWAY, as_json=as_json)
    if as_json:
        click.echo(dumps(found))
    elif found:
        click.echo("\n".join(line for token in found for line in _lines(token)))
    else:
        click.echo("nobody announced a token with this uid")
    raise SystemExit(0 if found else 1)


async def _looked_up(tools: Tools, settings: Settings, data: Path, uid: str, *, show: bool) -> list[dict[str, Any]]:
    async with opened(settings, data) as store:
        MASK.use_key(await store.cred_key())
        announced = Announced(store, Lookup(store, CODEC))
        return [await _token(name, said, announced, show=show) for name, said in await announced.tokens(uid)]


async def _token(name: Name, said: Said, announced: Announced, *, show: bool = False) -> dict[str, Any]:
    token = CODEC.loads(said.canonical)
    heard = await announced.age(said.source)
    contract = token["contract_id"]
    return {
        "uid": token["uid"],
        "log": MASK.hash(token["uid"]),
        "owner": str(name.owner),
        "type": token["type"],
        "whitelist": token["whitelist"],
        "valid": token["valid"],
        "contract_id": contract if show else MASK.hash(contract),
        "issuer": token["issuer"],
        "last_updated": token["last_updated"],
        "link": said.source,
        "said": f"{datetime.fromtimestamp(said.at / 1000, tz=UTC):%Y-%m-%dT%H:%M:%SZ}",
        "heard_s": None if heard == timedelta.max else round(heard.total_seconds()),
    }


def _lines(token: Mapping[str, Any]) -> list[str]:
    state = "valid" if token["valid"] else "not valid"
    heard = "never" if token["heard_s"] is None else f"{token['heard_s']} s ago"
    return [
        f"{token['uid']} of {token['owner']}: {token['type']}, whitelist {token['whitelist']}, {state}",
        f"  contract {token['contract_id']}, issued by {token['issuer']}, in the log {token['log']}",
        f"  changed {token['last_updated']}, said {token['said']} by {token['link']}, which told of its tokens {heard}",
    ]


# Deciding -------------------------------------------------------------------------------------------------------------


@tokens.command(epilog="Example: ocpi-gateway tokens authorize 04A1B2C3D4E5F6 --from NL-EXA --location LOC1")
@uid_argument
@click.option("--type", "type_", type=click.Choice([each.value for each in TokenType]), default=TokenType.RFID.value,
              show_default=True, help="What the asker takes it for.")  # fmt: skip
@click.option("--from", "sender", callback=party_of, help="The operator that asks: CC-PID.  [default: a backend's]")
@click.option("--to", "receiver", callback=party_of, help="The eMSP that it asks: CC-PID.  [default: nobody]")
@click.option("--location", help="Id of the location that it asks about.")
@click.option("--evse", "evses", multiple=True, help="Uid of an EVSE there; may be repeated.")
@config_option
@data_option
@json_option
@click.pass_obj
def authorize(
    tools: Tools, uid: str, type_: str, sender: Party | None, receiver: Party | None, location: str | None,
    evses: tuple[str, ...], folder: Path | None, data: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Say what would be decided about a token just now, and why.

    Nobody is asked. Where its eMSP would be, that is said, with what is decided if it doesn't answer. Exit code 0 if
    the driver may charge by what is known here, 1 if not.
    """
    if evses and not location:
        raise click.UsageError("--evse is at a --location")
    asked = _Asked(uid=uid, type=type_, sender=sender, receiver=receiver, location=location, evses=evses)
    settings = _settings(tools, folder)
    try:
        told = asyncio.run(_decided(tools, settings, data_folder(data), asked))
    except NotDurable:
        _fail(_AWAY, as_json=as_json)
    click.echo(dumps(told) if as_json else "\n".join(_reasons(told)))
    raise SystemExit(0 if told["allowed"] == AllowedType.ALLOWED else 1)


async def _decided(tools: Tools, settings: Settings, data: Path, asked: _Asked) -> dict[str, Any]:
    async with opened(settings, data) as store:
        MASK.use_key(await store.cred_key())
        links = Links(settings, store, tools.adapters)
        await links.load()
        links.know(await said_by_hubs(store, links.directory))
        directory = links.directory
        source = _source(asked.sender, directory)
        message = _message(asked, source, routed=tools.adapters[source.dialect.version].sends_routing_headers)
        announced = Announced(store, Lookup(store, CODEC))
        cases = Cases(announced=announced, lately=References(objects=store, codec=CODEC), codec=CODEC)
        told = {
            "uid": asked.uid,
            "type": asked.type,
            "from": {"party": str(message.sender), "link": source.id},
            "to": str(message.receiver) if message.receiver else None,
        }
        references = {"location_id": asked.location, "evse_uids": list(asked.evses)} if asked.location else None
        try:
            case = await cases.of(message, references, source, directory)
        except NotDurable:
            raise
        except GatewayError as error:
            return {**told, "token": None, "asks": [], **_nothing(error)}
        return {**told, "token": await _known(case, store, announced), **_foreseen(case)}


def _source(sender: Party | None, directory: Directory) -> Link:
    """The link that the operator asks on."""
    if sender is not None:
        way = directory.backend_of(sender, supply=True) or directory.partner_of(sender, supply=True)
        if way is None:
            raise click.BadParameter(f"{sender} is no operator here: see ocpi-gateway check", param_hint="--from")
        return way
    backends = [link for link in directory.backends if link.their_parties(supply=True)]
    if len(backends) != 1:
        raise click.UsageError("say who asks: --from CC-PID")
    return backends[0]


def _message(asked: _Asked, source: Link, *, routed: bool) -> Message:
    """The question as it would be opened. A partner that names no receiver means who we are on its link."""
    ours = [seat.party for seat in source.dialect.ours]
    unnamed = None if source.backend or (routed and len(ours) > 1) else ours[0]
    receiver = asked.receiver or unnamed
    return Message(
        module=Module.TOKENS,
        verb=Verb.POST,
        side=Side.SENDER,
        sender=asked.sender or source.their_parties(supply=True)[0],
        receiver=receiver,
        ref=Ref(id=asked.uid, owner=receiver, type=asked.type),
        trace=Trace(request_id="", correlation_id=""),
        action="authorize",
    )


async def _known(case: Case, store: Store, announced: Announced) -> dict[str, Any] | None:
    said = await store.read(case.name) if case.name is not None else None
    return None if said is None or case.name is None else await _token(case.name, said, announced)


def _foreseen(case: Case) -> dict[str, Any]:
    if (decision := case.at_once()) is not None:
        return {"asks": [], **_told(decision)}
    return {"asks": _asked_links(case), **_told(case.unanswered())}


def _asked_links(case: Case) -> list[str]:
    targets: Sequence[Target | Open] = ()
    if isinstance(case.plan, Forward):
        targets = (case.plan.target,)
    elif isinstance(case.plan, Ask):
        targets = case.plan.targets
    return list(dict.fromkeys(target.link for target in targets))


def _told(decision: Decision) -> dict[str, Any]:
    return {"allowed": decision.allowed, "ground": decision.ground.value, "reason": decision.reason, "status": None}


def _nothing(error: GatewayError) -> dict[str, Any]:
    return {"allowed": None, "ground": "unknown", "reason": error.message, "status": error.status}


def _reasons(told: Mapping[str, Any]) -> list[str]:
    to = f" to {told['to']}" if told["to"] else ""
    word = told["allowed"] or "nothing can be said"
    lines = [f"{told['type']} {told['uid']}, asked by {told['from']['party']} ({told['from']['link']}){to}"]
    if told["status"] is not None:
        lines.append(f"  answered {told['status']}: {told['reason']}")
    elif told["asks"]:
        lines += [f"  asks {' then '.join(told['asks'])}", f"  without an answer: {word} ({told['reason']})"]
    else:
        lines.append(f"  {word}: {told['reason']}")
    if told["token"] is not None:
        lines += _lines(told["token"])
    return lines


# Both -----------------------------------------------------------------------------------------------------------------


def _settings(tools: Tools, folder: Path | None) -> Settings:
    telemetry.configure(level="critical")  # what they find they say themselves
    try:
        return load(find_config(folder), tools.versions)
    except Mistakes as found:
        refuse(str(found))


def _fail(text: str, *, as_json: bool) -> NoReturn:
    click.echo(dumps({"error": text}) if as_json else text, err=not as_json)
    raise SystemExit(1)
