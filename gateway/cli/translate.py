"""``ocpi-gateway translate``: one object, or a list of them, from one version to another."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

import click
from attrs import frozen

from gateway.cli.facts import FileFacts, read_facts
from gateway.cli.options import Tools
from gateway.model.country import alpha_2
from gateway.model.errors import BadJson, InvalidObject
from gateway.model.facts import Asked, Crossing, Facts, Loss, Needs, Withheld
from gateway.model.modules import Kind
from gateway.model.party import Party
from gateway.model.policy import Policy
from gateway.ports import Adapter
from gateway.web.json import dumps_text, loads

KINDS: Final = (
    Kind.LOCATION,
    Kind.EVSE,
    Kind.CONNECTOR,
    Kind.SESSION,
    Kind.CDR,
    Kind.TARIFF,
    Kind.TOKEN,
    Kind.AUTHORIZATION_INFO,
    Kind.LOCATION_REFERENCES,
    Kind.CREDENTIALS,
    Kind.START_SESSION,
    Kind.STOP_SESSION,
    Kind.RESERVE_NOW,
    Kind.UNLOCK_CONNECTOR,
    Kind.CANCEL_RESERVATION,
    Kind.COMMAND_RESPONSE,
    Kind.COMMAND_RESULT,
)
"""What can be translated, in the order of the help text."""

KIND: Final = click.Choice([kind.value for kind in KINDS])

_ABOUT_A_TOKEN: Final = frozenset({Kind.SESSION, Kind.CDR, Kind.AUTHORIZATION_INFO})
_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


def version_of(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """A version on the command line: one of those that this build speaks."""
    versions = context.find_object(Tools).adapters  # type: ignore[union-attr]  # the group sets it
    if value not in versions:
        raise click.BadParameter(f"{value!r} is not one of {', '.join(versions)}")
    return value


def party_of(context: click.Context, parameter: click.Parameter, value: str | None) -> Party | None:
    """A party on the command line."""
    try:
        return Party.parse(value) if value else None
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(
    epilog="Example: ocpi-gateway translate --from 2.1.1 --to 2.2.1 --object location --owner NL-EXA location.json"
)
@click.option("--from", "source", metavar="V", required=True, callback=version_of, help="Version of the input.")
@click.option("--to", "target", metavar="V", required=True, callback=version_of, help="Version of the output.")
@click.option("--object", "kind", metavar="KIND", required=True, type=KIND, help=f"{', '.join(KINDS)}.")
@click.option(
    "--owner", metavar="CC-PID", callback=party_of,
    help="The object's owner; of a command or authorization_info the token's; of credentials the party to write.",
)  # fmt: skip
@click.option("--facts", "facts_file", metavar="FILE", help="What is known besides: JSON, see adapters/README.md.")
@click.argument("file", default="-")
@click.pass_obj
def translate(
    tools: Tools, source: str, target: str, kind: str, owner: Party | None, facts_file: str | None, file: str
) -> None:
    """Translate one object, or a JSON list of them, from one version of OCPI to another.

    Reads FILE (- is standard input) and writes JSON to standard output: an object for an object, a list for a list.
    What is lost is told on standard error, one JSON object a line: index in the list, pointer into the input, reason,
    and the switch that decided, if one did. What can't be translated, or mustn't be shown, is null; the exit code is
    then 1.
    """
    given = _read(file)
    if source == target:
        click.echo(dumps_text(given))
        return
    way = Way(tools.adapters[source], tools.adapters[target], Kind(kind), owner, _facts(facts_file))
    items = given if isinstance(given, list) else [given]
    facts = way.facts.looked_up(_token_owners(items, owner))
    translated = []
    for index, item in enumerate(items):
        outcome, losses = way.cross(item, facts)
        translated.append(outcome)
        for loss in dict.fromkeys(losses):
            _tell({"index": index, "pointer": loss.pointer, "reason": loss.reason, "policy": loss.policy})
    click.echo(dumps_text(translated if isinstance(given, list) else translated[0]))
    if None in translated:
        raise SystemExit(1)


@frozen
class Way:
    """From one version to another: up to the canonical form, and down from it.

    Attributes:
        source, target: the versions.
        kind: of the objects.
        owner: whose they are, where they don't say.
        facts: what is known besides.
    """

    source: Adapter
    target: Adapter
    kind: Kind
    owner: Party | None
    facts: FileFacts

    def cross(self, item: Any, facts: Facts) -> tuple[Any, tuple[Loss, ...]]:
        """The object in the target's form, or None, and what was lost."""
        losses: tuple[Loss, ...] = ()
        try:
            for step in (self.source.up, self.target.down):
                outcome = step(self.kind, item, self._crossing(facts))
                assert not isinstance(outcome, Needs)  # the facts are complete
                item, losses = outcome.data, losses + outcome.losses
        except InvalidObject as error:
            return None, (Loss(_pointer(error.path), error.what),)
        except Withheld as withheld:
            return None, (Loss("", withheld.reason, withheld.policy),)
        return item, losses

    def _crossing(self, facts: Facts) -> Crossing:
        return Crossing(
            facts=facts,
            policy=Policy(),
            owner=self.owner,
            peer=self.facts.receiver if self.kind in _ABOUT_A_TOKEN else None,
            asked=Asked(token=self.facts.sole_token) if self.kind is Kind.AUTHORIZATION_INFO else None,
            role=self.facts.role,
        )


def _read(file: str) -> Any:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return loads(data, max_items=sys.maxsize)
    except OSError as error:
        _unreadable(f"{file}: {error.strerror or error}")
    except BadJson as error:
        _unreadable(f"{'standard input' if file == '-' else file}: {error.message}")


def _facts(file: str | None) -> FileFacts:
    try:
        return read_facts(_read(file)) if file else FileFacts()
    except InvalidObject as error:
        _unreadable(f"{file}: {error.message}")


def _unreadable(reason: str) -> NoReturn:
    _tell({"reason": reason})
    raise SystemExit(1)


def _tell(line: dict[str, Any]) -> None:
    click.echo(dumps_text(line), err=True)


def _token_owners(items: list[Any], owner: Party | None) -> Iterator[Party]:
    """Whose tokens the objects carry: reservations are theirs."""
    if owner is not None:
        yield owner
    for item in items:
        token = item.get("token") if isinstance(item, dict) else None
        match token:
            case {"country_code": str(code), "party_id": str(party_id)}:
                yield Party(alpha_2(code) or code, party_id)


def _pointer(path: str) -> str:
    """``$.evses[0].uid`` as a JSON pointer, ``/evses/0/uid``."""
    steps = (name or index for name, index in _STEP.findall(path))
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
