"""``ocpi-gateway ledger``: what is owed to whom, and what a person decides about what can't go on by itself.

The verbs work on Redis, whether a gateway runs or not: what is owed again goes out as soon as one does. They read in
pages and print as they read, so that a ledger of a million CDRs needs no more memory than one of ten.
"""

from __future__ import annotations

import csv
import getpass
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import wraps
from pathlib import Path
from typing import Any, Final, TextIO, TypeVar

import click
from attrs import frozen

from gateway.cli.named import no_link
from gateway.cli.options import Tools, config_option, data_folder, data_option, json_option, moment_of
from gateway.cli.state import done_with, loaded
from gateway.cli.translate import party_of
from gateway.ledger.book import BECOMES, DECIDABLE, OPEN, OWED_MODULES, Book, Decision, Entry, Verdict, Wanted
from gateway.model.modules import Module
from gateway.model.names import CdrState, Name
from gateway.model.party import Party
from gateway.settings import Settings
from gateway.store.redis import Store
from gateway.telemetry import MASK
from gateway.web.json import CODEC, dumps_text

_GAP: Final = "  "
_WAKE_EVERY: Final = 200

_COLUMNS: Final = (
    "partner", "module", "country_code", "party_id", "id", "type", "state", "since", "owed", "attempts", "reason",
    "next_try", "location", "who",
)  # fmt: skip
# What a spreadsheet takes for a formula at the beginning of a cell. A receiver writes its reasons as it likes.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

T = TypeVar("T")


@click.group(epilog="Example: ocpi-gateway ledger list --partner acme")
def ledger() -> None:
    """What is owed to whom: what is pending, in doubt, held, refused or dead, and what becomes of it."""


@frozen(kw_only=True)
class _Filters:
    """What stands on the command line about which entries are meant."""

    partners: tuple[str, ...]
    owner: Party | None
    modules: frozenset[Module]
    states: frozenset[CdrState]
    since: int | None
    until: int | None

    def wanted(self, links: Sequence[str], states: frozenset[CdrState]) -> Wanted:
        """The entries, of all these links, in the states that were named or else in these."""
        return Wanted(
            links=self.partners or tuple(links), states=self.states or states, modules=self.modules or None,
            owner=self.owner, since=self.since, until=self.until,
        )  # fmt: skip


@frozen(kw_only=True)
class _Call:
    """What every verb is given."""

    settings: Settings
    data: Path
    filters: _Filters

    def run(self, what: Callable[[_Open], Awaitable[T]]) -> T:
        """What comes of it with the ledger open."""

        async def done(store: Store) -> T:
            MASK.use_key(await store.cred_key())  # what stands for a token here stands for it in the logs, too
            book = Book(store=store, codec=CODEC)
            links = await book.links(link.id for link in self.settings.links)
            for partner in self.filters.partners:
                if partner not in links:
                    raise no_link(self.settings, partner, links)
            return await what(_Open(book=book, store=store, links=links, filters=self.filters))

        return done_with(self.settings, self.data, done)


@frozen(kw_only=True)
class _Open:
    """The ledger, while it is open."""

    book: Book
    store: Store
    links: tuple[str, ...]
    filters: _Filters

    def wanted(self, states: frozenset[CdrState] = OPEN) -> Wanted:
        """The entries that are meant, in these states unless the command line names some."""
        return self.filters.wanted(self.links, states)


_OPTIONS: Final = (
    click.option("--partner", "partners", multiple=True, metavar="ID", help="Owed to this link; may be repeated."),
    click.option("--owner", callback=party_of, metavar="CC-PID", help="Of this owner."),
    click.option(
        "--module",
        "modules",
        multiple=True,
        type=click.Choice([module.value for module in OWED_MODULES]),
        help="May be repeated.",
    ),
    click.option(
        "--state",
        "states",
        multiple=True,
        type=click.Choice([state.value for state in CdrState]),
        help="May be repeated.",
    ),
    click.option("--since", metavar="T", help="In their state since then or later: 2h (ago), or a time with its zone."),
    click.option("--until", metavar="T", help="In their state since before then."),
    config_option,
    data_option,
)


def _on_the_ledger(verb: Callable[..., None]) -> Callable[..., None]:
    """The options that all verbs have, made into the call that the verb gets first."""

    @wraps(verb)
    def called(
        tools: Tools, /, partners: tuple[str, ...], owner: Party | None, modules: tuple[str, ...],
        states: tuple[str, ...], since: str | None, until: str | None, folder: Path | None, data: Path | None,
        **options: Any,
    ) -> None:  # fmt: skip
        filters = _Filters(
            partners=partners, owner=owner, modules=frozenset(map(Module, modules)),
            states=frozenset(map(CdrState, states)), since=_ms(since, "--since"), until=_ms(until, "--until"),
        )  # fmt: skip
        verb(_Call(settings=loaded(tools, folder), data=data_folder(data), filters=filters), **options)

    passed: Callable[..., None] = click.pass_obj(called)
    for option in reversed(_OPTIONS):
        passed = option(passed)
    return passed


def _ms(text: str | None, option: str) -> int | None:
    return None if text is None else int(moment_of(text, option, ago=True).timestamp() * 1000)


# Looking --------------------------------------------------------------------------------------------------------------


@ledger.command(name="list", epilog="Example: ocpi-gateway ledger list --state in_doubt --json")
@click.option("--all", "everything", is_flag=True, help="Also what is delivered or dropped.")
@json_option
@_on_the_ledger
def list_(call: _Call, everything: bool, as_json: bool) -> None:
    """Everything that is owed and not done: CDRs and other objects, and where each stands.

    Ids of tokens are a keyed hash, the same that logs have.
    """

    async def listed(ledger: _Open) -> None:
        entries = ledger.book.entries(ledger.wanted(frozenset(CdrState) if everything else OPEN))
        if as_json:
            await _print_list(entries)
        else:
            await _print_table(entries, ledger.links)

    call.run(listed)


async def _print_list(entries: AsyncGenerator[Entry, None]) -> None:
    """As a JSON list, one entry a line."""
    before = "["
    async with aclosing(entries):
        async for entry in entries:
            click.echo(before + dumps_text(entry.json()), nl=False)
            before = ",\n "
    click.echo("]" if before != "[" else "[]")


async def _print_table(entries: AsyncGenerator[Entry, None], links: Sequence[str]) -> None:
    """In columns that are wide enough for what they usually hold: what comes last isn't known yet."""
    widths = (max(len("partner"), *map(len, links)), 9, 9, 6, 20, 24, 8, 24)
    head: tuple[str, ...] = ("partner", "module", "state", "owner", "id", "since", "attempts", "next try", "reason")
    async with aclosing(entries):
        async for entry in entries:
            if head:
                click.echo(_row(head, widths))
                head = ()
            told = entry.json()
            attempts = "-" if entry.attempts is None else str(entry.attempts)
            click.echo(
                _row(
                    (
                        entry.link, told["module"], told["state"], str(entry.name.owner), entry.id, told["since"],
                        attempts, told["next_try"] or "-", entry.reason,
                    ),
                    widths,
                )
            )  # fmt: skip
    if head:
        click.echo("nothing of that kind stands in the ledger", err=True)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    *columns, last = cells
    return _GAP.join([*map(str.ljust, columns, widths), last]).rstrip()


@ledger.command(epilog="Example: ocpi-gateway ledger show C-501 --partner acme")
@click.argument("id_", metavar="ID")
@json_option
@_on_the_ledger
def show(call: _Call, id_: str, as_json: bool) -> None:
    """One object: what its owner said, and where it stands towards each receiver, with all that has become of it.

    Exit code 1 if there is none of that id, or several: --owner and --module tell them apart. Of a token, ID is its uid
    or the hash that stands for it.
    """

    async def shown(ledger: _Open) -> bool:
        wanted = ledger.wanted()
        entries = await ledger.book.find(id_, wanted)
        names = list(dict.fromkeys([entry.name for entry in entries] or await ledger.book.names(id_, wanted)))
        if len(names) != 1:
            _tell(_none_or_several(id_, entries, names), as_json)
            return False
        told = await _object(ledger.book, names[0], entries)
        click.echo(dumps_text(told) if as_json else "\n".join(_lines(told)))
        return True

    raise SystemExit(0 if call.run(shown) else 1)


async def _object(book: Book, name: Name, entries: Sequence[Entry]) -> dict[str, Any]:
    said = await book.said(name, entries[0].link if entries else None)
    return {
        "module": name.module.value,
        "owner": {"country_code": name.owner.country_code, "party_id": name.owner.party_id},
        "id": entries[0].id if entries else said["id"] if said else None,
        "said": said,
        "partners": [{**entry.json(), "history": await book.history(entry)} for entry in entries],
    }


def _lines(told: Mapping[str, Any]) -> list[str]:
    owner, said = told["owner"], told["said"]
    lines = [f"{told['id']}, {told['module']} of {owner['country_code']}-{owner['party_id']}"]
    if said is None:
        lines.append("  it isn't in the store any more")
    else:
        gone = ", deleted" if said["deleted"] else ""
        lines.append(f"  said by {said['partner']} in OCPI {said['version']}, {said['at']}{gone}")
    for each in told["partners"]:
        tries = "" if each["attempts"] is None else f", tried {each['attempts']} times"
        lines.append(f"  {each['partner']}: {each['state']} since {each['since']}{tries}")
        lines += [f"    {label}: {each[label]}" for label in ("reason", "next_try", "location", "who") if each[label]]
        lines += [f"    {_change(change)}" for change in each["history"]]
    if not told["partners"]:
        lines.append("  owed to nobody")
    if said is not None:
        lines.append(f"  {dumps_text(said['body'])}")
    return lines


def _change(change: Mapping[str, Any]) -> str:
    who, why = (f" by {change['who']}" if change["who"] else ""), (f": {change['reason']}" if change["reason"] else "")
    return f"{change['at']}  {change['from'] or 'new'} -> {change['to']}{who}{why}"


# Deciding -------------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class _Outcome:
    """How it went.

    Attributes:
        count: of entries that were decided about, or would be.
        candidates: what may have been meant, where it isn't clear.
    """

    good: bool
    text: str
    todo: str = ""
    count: int = 0
    candidates: Sequence[Entry] = ()


def _tell(outcome: _Outcome, as_json: bool) -> None:
    if as_json:
        told: dict[str, Any] = {"good": outcome.good, "text": outcome.text, "todo": outcome.todo or None}
        told |= {"count": outcome.count, "candidates": [entry.json() for entry in outcome.candidates]}
        click.echo(dumps_text(told))
        return
    click.echo(outcome.text)
    for entry in outcome.candidates:
        click.echo(f"  {_what(entry)} {entry.state.value}")
    if outcome.todo:
        click.echo(outcome.todo, err=True)


def _what(entry: Entry) -> str:
    return f"{entry.id} ({entry.name.module} of {entry.name.owner}) to {entry.link}:"


def _none_or_several(id: str, entries: Sequence[Entry], names: Sequence[Name]) -> _Outcome:
    if not names:
        return _Outcome(good=False, text=f"nothing called {id} is owed to anybody", todo="see `ledger list --all`")
    text = f"{id} may be one of several"
    found = [f"{name.module} of {name.owner}" for name in names if name not in {entry.name for entry in entries}]
    return _Outcome(
        good=False, text=f"{text}, such as {', '.join(found)}" if found else text,
        todo="say which: --partner, --owner, --module", candidates=entries,
    )  # fmt: skip


def _deciding(verdict: Verdict, does: str, example: str) -> None:
    """One verb for each verdict; they differ in what they are called and in what they say."""

    @ledger.command(name=verdict.value, help=does, epilog=f"Example: ocpi-gateway ledger {example}")
    @click.argument("id_", metavar="[ID]", required=False)
    @click.option("--all", "everything", is_flag=True, help="All that the filters leave, instead of one ID.")
    @click.option("--reason", default="", help="Why, for whoever looks at it later.")
    @click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
    @json_option
    @_on_the_ledger
    def verb(call: _Call, id_: str | None, everything: bool, reason: str, dry_run: bool, as_json: bool) -> None:
        if (id_ is None) is not everything:
            raise click.UsageError("say either an ID, or --all and which")
        if not reason and verdict is not Verdict.RESEND:
            raise click.UsageError("--reason is missing: say how you know")
        decision = Decision(verdict=verdict, reason=reason, who=_who(), again=bool(reason))

        async def decided(ledger: _Open) -> _Outcome:
            if id_ is None:
                return await _all(ledger, decision, dry_run)
            return await _one(ledger, id_, decision, dry_run)

        outcome = call.run(decided)
        _tell(outcome, as_json)
        raise SystemExit(0 if outcome.good else 1)


_deciding(
    Verdict.RESEND,
    "Owe it again, as if for the first time.\n\nWhat its receiver may have already it may get twice: of a CDR in doubt,"
    " ask the receiver first. What is delivered or dropped needs --reason, and with --all its --state; what doesn't"
    " stand in the ledger, such as a location that has long arrived, needs --reason and --partner.",
    "resend C-501 --partner acme --reason 'they lost their database'",
)
_deciding(
    Verdict.CONFIRM,
    "A person learned that the CDR arrived: it counts as delivered.",
    "confirm C-501 --partner acme --reason 'seen in their portal, ticket 4711'",
)
_deciding(
    Verdict.DROP,
    "Give it up, for good unless somebody sends it again.",
    "drop --all --partner acme --state dead --reason 'contract ended, settled by hand'",
)


def _who() -> str:
    """Who decides: the person whose terminal it is."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return "the command line"


async def _one(ledger: _Open, id: str, decision: Decision, dry_run: bool) -> _Outcome:
    wanted = ledger.wanted(frozenset(CdrState))
    entries = [entry for entry in await ledger.book.find(id, wanted) if wanted.takes(entry)]
    if not entries:
        return await _never_owed(ledger, id, decision, dry_run)
    able = [entry for entry in entries if entry.state in DECIDABLE[decision.verdict]] or entries
    if len(able) > 1:
        return _none_or_several(id, able, [entry.name for entry in able])
    (entry,) = able
    if why := decision.undecidable(entry) if dry_run else await ledger.book.decide(entry, decision):
        return _Outcome(good=False, text=f"{_what(entry)} {why}")
    if not dry_run:
        await ledger.store.notify(entry.link)
    would = "would be " if dry_run else ""
    text = f"{_what(entry)} {would}{BECOMES[decision.verdict].value}, was {entry.state.value}"
    return _Outcome(good=True, text=text, count=1)


async def _never_owed(ledger: _Open, id: str, decision: Decision, dry_run: bool) -> _Outcome:
    """What isn't owed to a link is owed to it if a person says so: it has it already, or was never to have it."""
    names = await ledger.book.names(id, ledger.wanted())
    partners = ledger.filters.partners
    if len(names) != 1 or decision.verdict is not Verdict.RESEND:
        return _none_or_several(id, (), names if decision.verdict is Verdict.RESEND else ())
    if len(partners) != 1 or not decision.reason:
        todo = "to owe it all the same, say to whom and why: --partner, --reason"
        return _Outcome(good=False, text=f"{id} isn't owed to anybody", todo=todo)
    if not dry_run:
        await ledger.book.owe_anew(partners[0], names[0])
        await ledger.store.notify(partners[0])
    would = "would be" if dry_run else "is"
    return _Outcome(good=True, text=f"{id} wasn't owed to {partners[0]}, and {would} from now on", count=1)


async def _all(ledger: _Open, decision: Decision, dry_run: bool) -> _Outcome:
    wanted = ledger.wanted(DECIDABLE[decision.verdict] & OPEN)
    done, left, told = Counter[str](), Counter[str](), set[str]()
    async with aclosing(ledger.book.entries(wanted)) as entries:
        async for entry in entries:
            if why := decision.undecidable(entry) if dry_run else await ledger.book.decide(entry, decision):
                left[why] += 1
                continue
            done[entry.link] += 1
            told.add(entry.link)
            if not dry_run and done.total() % _WAKE_EVERY == 0:
                await ledger.store.notify(*told)
    if not dry_run:
        await ledger.store.notify(*told)
    would = "would be " if dry_run else ""
    text = f"{done.total()} {would}{BECOMES[decision.verdict].value}"
    text += f" ({', '.join(f'{link}: {count}' for link, count in sorted(done.items()))})" if done else ""
    todo = "\n".join(f"{count} left alone: each {why}" for why, count in left.items())
    return _Outcome(good=not left, text=text, todo=todo, count=done.total())


# Export ---------------------------------------------------------------------------------------------------------------


@ledger.command(epilog="Example: ocpi-gateway ledger export --all --since 31d --format csv --output march.csv")
@click.option("--all", "everything", is_flag=True, help="Also what is delivered or dropped.")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.option("--bodies", is_flag=True, help="With the objects themselves; tokens and contracts are masked in them.")
@click.option("--output", type=click.File("w", encoding="utf-8", atomic=True), default="-", help="[default: -]")
@_on_the_ledger
def export(call: _Call, everything: bool, form: str, bodies: bool, output: TextIO) -> None:
    """The entries of the ledger as JSON lines or CSV, for accounting."""

    async def exported(ledger: _Open) -> None:
        wanted = ledger.wanted(frozenset(CdrState) if everything else OPEN)
        write = _csv_writer(output, bodies) if form == "csv" else _line_writer(output, bodies)
        async with aclosing(ledger.book.entries(wanted, bodies=bodies)) as entries:
            async for entry in entries:
                write(entry)

    call.run(exported)


def _line_writer(output: TextIO, bodies: bool) -> Callable[[Entry], None]:
    def write(entry: Entry) -> None:
        output.write(dumps_text({**entry.json(), **({"body": entry.body} if bodies else {})}) + "\n")

    return write


def _csv_writer(output: TextIO, bodies: bool) -> Callable[[Entry], None]:
    columns = (*_COLUMNS, "body") if bodies else _COLUMNS
    rows = csv.DictWriter(output, columns, restval="", lineterminator="\n")
    rows.writeheader()

    def write(entry: Entry) -> None:
        told = entry.json()
        cells = {**told, **told.pop("owner"), **({"body": dumps_text(entry.body)} if bodies else {})}
        rows.writerow({name: _cell(value) for name, value in cells.items() if name in columns})

    return write


def _cell(value: Any) -> str:
    """A value that a spreadsheet takes for what it is."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
