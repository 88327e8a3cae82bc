"""``ocpi-gateway ledger``: what people see of what is owed, and what they decide about it."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import samples
from attrs import define, evolve
from click.testing import CliRunner, Result
from processes import Installation

from gateway import telemetry
from gateway.__main__ import cli
from gateway.demo.world import CORE, Cast, World
from gateway.ledger.book import DONE, OPEN, Verdict, stamp
from gateway.model.modules import Module
from gateway.model.names import CdrEntry, CdrState, Name
from gateway.model.party import Party
from gateway.store.redis import Store
from gateway.telemetry import MASK
from gateway.web.json import dumps, loads

ACME = Cast(name="acme", version="2.1.1", role="EMSP", country="DEU", party="ACM", business="Acme Mobility")
VOLT = Cast(name="volt", version="2.2.1", role="EMSP", country="DE", party="VLT", business="Volt Drive")
OWNER = Party("NL", "EXA")
UID = samples.token_221()["uid"]
CONTRACT = samples.token_221()["contract_id"]

WAYS = {
    CdrState.PENDING: (),
    CdrState.IN_FLIGHT: (CdrState.IN_FLIGHT,),
    CdrState.DELIVERED: (CdrState.IN_FLIGHT, CdrState.DELIVERED),
    CdrState.IN_DOUBT: (CdrState.IN_FLIGHT, CdrState.IN_DOUBT),
    CdrState.HELD: (CdrState.HELD,),
    CdrState.REFUSED: (CdrState.IN_FLIGHT, CdrState.REFUSED),
    CdrState.DEAD: (CdrState.DEAD,),
    CdrState.DROPPED: (CdrState.HELD, CdrState.DROPPED),
}


@define
class Desk:
    """A ledger in Redis, with configuration beside it and no gateway that would change it."""

    world: World
    store: Store

    async def cdr(self, id: str, state: CdrState, link: str = "acme", reason: str = "") -> Name:
        """A CDR that stands in this state towards this link."""
        name = Name(Module.CDRS, OWNER, id)
        await self.say(name, samples.cdr_221() | {"id": id})
        assert await self.store.cdr_owe(link, name, self.store.now())
        for step in WAYS[state]:
            assert await self.store.cdr_move(link, name, set(CdrState), step, reason=reason)
        return name

    async def say(self, name: Name, obj: Any) -> None:
        body = dumps(obj)
        await self.store.say(name, body, body, "2.2.1", "backend", None, [])

    async def location(self, id: str) -> Name:
        name = Name(Module.LOCATIONS, OWNER, id)
        await self.say(name, samples.location_221() | {"id": id})
        return name

    async def state(self, name: Name, link: str = "acme") -> CdrEntry:
        entry = await self.store.cdr_entry(link, name)
        assert entry is not None
        return entry

    async def do(self, *words: str) -> Result:
        """The verb, in a thread with a loop of its own."""
        folder = self.world.settings.folder
        line = ["ledger", *words, "--config", str(folder), "--data", str(self.world.folder / "data")]
        done = await asyncio.to_thread(CliRunner().invoke, cli, line)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.output
        return done

    async def told(self, *words: str) -> Any:
        """What it prints with ``--json``."""
        return loads((await self.do(*words, "--json")).stdout.encode())

    async def listed(self, *words: str) -> dict[str, str]:
        """The states of what it lists, by id."""
        return {entry["id"]: entry["state"] for entry in await self.told("list", *words)}


@pytest_asyncio.fixture
async def desk(world: Callable[..., Awaitable[World]]) -> AsyncIterator[Desk]:
    stage = await world(ACME, VOLT, backend=evolve(CORE, more="modules: {hubclientinfo: off}"), register=False)
    telemetry.configure(level="critical")
    await stage.stop()
    redis = stage.settings.redis
    assert redis.url is not None
    store = Store.connect(redis.url.value, redis.prefix)
    MASK.use_key(await store.cred_key())
    yield Desk(stage, store)
    await store.aclose()


# Looking --------------------------------------------------------------------------------------------------------------


async def test_the_list_has_all_that_is_not_done(desk: Desk) -> None:
    """Each open state, with ids as their owners spell them; what is delivered or dropped only if it is asked for."""
    for number, state in enumerate(CdrState):
        await desk.cdr(f"c-{number}a", state, reason="because")
    states = {f"c-{number}a": state.value for number, state in enumerate(CdrState)}
    assert await desk.listed() == {id: state for id, state in states.items() if CdrState(state) in OPEN}
    assert await desk.listed("--all") == states
    assert await desk.listed("--state", "delivered", "--state", "dropped") == {
        id: state for id, state in states.items() if CdrState(state) in DONE
    }


async def test_an_entry_says_whose_it_is_and_why_it_stands_there(desk: Desk) -> None:
    """For scripts as JSON, for people in columns."""
    await desk.cdr("C-1", CdrState.REFUSED, reason="2001: no such session")
    (entry,) = await desk.told("list")
    assert {name: entry[name] for name in ("id", "partner", "module", "owner", "state", "attempts", "reason")} == {
        "id": "C-1", "partner": "acme", "module": "cdrs", "owner": {"country_code": "NL", "party_id": "EXA"},
        "state": "refused", "attempts": 1, "reason": "2001: no such session",
    }  # fmt: skip
    assert entry["next_try"] is None
    assert datetime.fromisoformat(entry["since"]) >= datetime.fromisoformat(entry["owed"])
    head, row = (await desk.do("list")).stdout.splitlines()
    assert head.split()[:5] == ["partner", "module", "state", "owner", "id"]
    assert row.split()[:5] == ["acme", "cdrs", "refused", "NL-EXA", "C-1"]
    assert row.endswith("2001: no such session")


async def test_other_objects_are_pending_held_or_refused(desk: Desk) -> None:
    """What is due is pending; what was set aside says whether its receiver said no."""
    store = desk.store
    await store.owe("acme", await desk.location("LOC-1"), 0)
    for id, reason in (("LOC-2", "withheld"), ("LOC-3", "refused")):
        await store.owe("acme", await desk.location(id), 0)
        due = await store.owed_entry("acme", Name(Module.LOCATIONS, OWNER, id))
        assert due is not None
        assert await store.hold("acme", due, reason, "it has its reasons")
    assert await desk.listed() == {"LOC-1": "pending", "LOC-2": "held", "LOC-3": "refused"}
    entries = {entry["id"]: entry for entry in await desk.told("list")}
    assert entries["LOC-2"]["reason"] == "it has its reasons"
    assert entries["LOC-1"]["attempts"] is None


async def test_filters_leave_what_passes_all_of_them(desk: Desk) -> None:
    """By receiver, module, state, owner and time."""
    await desk.cdr("C-1", CdrState.IN_DOUBT)
    await desk.cdr("C-2", CdrState.HELD, link="volt")
    await desk.store.owe("volt", await desk.location("LOC-1"), desk.store.now())
    assert set(await desk.listed("--partner", "volt")) == {"C-2", "LOC-1"}
    assert set(await desk.listed("--partner", "volt", "--partner", "acme", "--module", "cdrs")) == {"C-1", "C-2"}
    assert set(await desk.listed("--state", "held", "--state", "pending")) == {"C-2", "LOC-1"}
    assert await desk.listed("--owner", "DE-XYZ") == {}
    assert set(await desk.listed("--owner", "nl-exa", "--module", "locations")) == {"LOC-1"}
    assert len(await desk.listed("--since", "1h")) == 3
    assert await desk.listed("--until", "1h") == {}
    assert await desk.listed("--since", "2099-01-01T00:00:00Z") == {}


async def test_a_long_ledger_is_listed_whole(desk: Desk) -> None:
    """More entries than are read at a time: each comes once, and they are JSON together."""
    names = [Name(Module.CDRS, OWNER, f"C-{number}") for number in range(1200)]
    for start in range(0, len(names), 100):
        await asyncio.gather(*(desk.store.cdr_owe("acme", name, 0) for name in names[start : start + 100]))
    listed = await desk.told("list")
    assert sorted(entry["id"] for entry in listed) == sorted(name.id for name in names)


async def test_no_verb_prints_a_token(desk: Desk) -> None:
    """Its id is the hash that logs have; neither uid nor contract stands in reasons or bodies. Either finds it."""
    name = Name(Module.TOKENS, Party("DE", "ACM"), UID, "RFID")
    await desk.say(name, samples.token_221())
    await desk.store.index_token(name, CONTRACT)
    await desk.store.owe("acme", name, 0)
    due = await desk.store.owed_entry("acme", name)
    assert due is not None
    await desk.store.hold("acme", due, "refused", f"2001: unknown {UID} of {CONTRACT}")
    await desk.cdr("C-1", CdrState.REFUSED, reason=f"2001: who is {UID}?")
    hashed = MASK.hash(UID)
    listed = {entry["module"]: entry for entry in await desk.told("list")}
    assert listed["tokens"]["id"] == hashed
    assert listed["cdrs"]["reason"] == f"2001: who is {hashed}?"
    printed = [
        await desk.do(*words)
        for words in (("list",), ("list", "--json"), ("show", "C-1"), ("show", UID), ("show", hashed, "--json"),
                      ("export", "--bodies"), ("export", "--bodies", "--format", "csv"))
    ]  # fmt: skip
    assert [done.exit_code for done in printed] == [0] * len(printed)
    for done in printed:
        assert UID not in done.output
        assert CONTRACT not in done.output
    assert (await desk.told("show", UID))["id"] == (await desk.told("show", hashed))["id"] == hashed
    assert (await desk.do("drop", hashed, "--reason", "left us")).exit_code == 0
    assert set(await desk.listed()) == {"C-1"}


async def test_one_object_with_all_that_has_become_of_it(desk: Desk) -> None:
    """What was said, each receiver with its state, and each change."""
    await desk.cdr("c-1", CdrState.IN_DOUBT, reason="no answer")
    await desk.store.cdr_owe("volt", Name(Module.CDRS, OWNER, "c-1"), desk.store.now())
    shown = await desk.told("show", "C-1")
    assert (shown["module"], shown["id"], shown["said"]["partner"]) == ("cdrs", "c-1", "backend")
    assert shown["said"]["body"]["total_cost"] == samples.cdr_221()["total_cost"]
    partners = {each["partner"]: each for each in shown["partners"]}
    assert [(change["from"], change["to"]) for change in partners["acme"]["history"]] == [
        (None, "pending"), ("pending", "in_flight"), ("in_flight", "in_doubt"),
    ]  # fmt: skip
    assert partners["acme"]["history"][-1]["reason"] == "no answer"
    assert partners["volt"]["state"] == "pending"
    text = (await desk.do("show", "c-1")).stdout
    assert "acme: in_doubt since" in text
    assert "in_flight -> in_doubt: no answer" in text


async def test_what_may_be_one_of_several_is_asked_back(desk: Desk) -> None:
    """The candidates are listed, exit code 1; with what tells them apart it is clear."""
    await desk.cdr("X-1", CdrState.HELD)
    location = await desk.location("X-1")
    await desk.store.owe("acme", location, 0)
    shown = await desk.do("show", "X-1")
    assert shown.exit_code == 1
    assert "cdrs of NL-EXA" in shown.output
    assert "locations of NL-EXA" in shown.output
    assert (await desk.do("show", "X-1", "--module", "cdrs")).exit_code == 0
    told = await desk.told("drop", "X-1", "--reason", "why not")
    assert (told["good"], len(told["candidates"])) == (False, 2)
    assert (await desk.told("drop", "X-1", "--module", "locations", "--reason", "so"))["good"]
    assert await desk.listed() == {"X-1": "held"}


@pytest.mark.parametrize("words", [("show",), ("confirm", "--reason", "x"), ("drop", "--reason", "x"), ("resend",)])
async def test_what_nobody_knows_is_1(desk: Desk, words: tuple[str, ...]) -> None:
    """With a sentence that names it."""
    verb, *options = words
    done = await desk.do(verb, "C-404", *options)
    assert done.exit_code == 1
    assert "C-404" in done.output


# Deciding -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [CdrState.IN_DOUBT, CdrState.HELD, CdrState.REFUSED, CdrState.DEAD])
async def test_a_person_learned_that_it_arrived(desk: Desk, state: CdrState) -> None:
    """It counts as delivered, with the reason and who said so."""
    name = await desk.cdr("C-1", state)
    done = await desk.do("confirm", "C-1", "--reason", "seen in their portal")
    assert done.exit_code == 0, done.output
    entry = await desk.state(name)
    assert (entry.state, entry.reason) == (CdrState.DELIVERED, "seen in their portal")
    assert entry.who
    assert await desk.listed() == {}


async def test_deciding_takes_a_reason(desk: Desk) -> None:
    """Without one it is a mistake of usage, and nothing happens. What is open may be sent again without."""
    name = await desk.cdr("C-1", CdrState.IN_DOUBT)
    for verb in ("confirm", "drop"):
        done = await desk.do(verb, "C-1")
        assert done.exit_code == 2
        assert "--reason" in done.output
    assert (await desk.state(name)).state is CdrState.IN_DOUBT
    assert (await desk.do("resend", "C-1")).exit_code == 0
    assert (await desk.state(name)).state is CdrState.PENDING


@pytest.mark.parametrize(
    ("verb", "state", "says"),
    [
        ("confirm", CdrState.PENDING, "is tried by itself"),
        ("confirm", CdrState.DELIVERED, "is delivered already"),
        ("drop", CdrState.DROPPED, "is dropped already"),
        ("drop", CdrState.DELIVERED, "is delivered already"),
        ("drop", CdrState.IN_FLIGHT, "is being posted just now"),
        ("resend", CdrState.IN_FLIGHT, "is being posted just now"),
    ],
)
async def test_what_makes_no_sense_is_told_and_not_done(desk: Desk, verb: str, state: CdrState, says: str) -> None:
    """Exit code 1, and it stands where it stood; a dry run says the same."""
    name = await desk.cdr("C-1", state)
    for more in ((), ("--dry-run",)):
        done = await desk.do(verb, "C-1", "--reason", "because", *more)
        assert done.exit_code == 1
        assert says in done.output
    assert (await desk.state(name)).state is state


async def test_what_was_given_up_can_be_sent_again(desk: Desk) -> None:
    """Dropped it is nobody's business any more; a resend makes it pending, as if it were owed just now."""
    name = await desk.cdr("C-1", CdrState.DEAD)
    assert (await desk.do("drop", "C-1", "--reason", "settled by hand")).exit_code == 0
    assert (await desk.state(name)).state is CdrState.DROPPED
    done = await desk.do("resend", "C-1")
    assert done.exit_code == 1
    assert "takes a reason" in done.output
    assert (await desk.state(name)).state is CdrState.DROPPED
    before = desk.store.now()
    assert (await desk.do("resend", "C-1", "--reason", "not settled after all")).exit_code == 0
    entry = await desk.state(name)
    assert entry.state is CdrState.PENDING
    assert entry.at is not None
    assert before <= entry.owed == entry.moved
    assert before <= entry.at <= desk.store.now()
    history = await desk.store.history("acme", name)
    assert [(change.state, bool(change.who)) for change in history[-2:]] == [
        (CdrState.DROPPED, True), (CdrState.PENDING, True),
    ]  # fmt: skip


async def test_what_is_delivered_is_sent_again_only_with_a_reason(desk: Desk) -> None:
    """Its receiver gets it twice, and must know it by its id."""
    name = await desk.cdr("C-1", CdrState.DELIVERED)
    done = await desk.do("resend", "C-1")
    assert done.exit_code == 1
    assert "a receiver that knows it by its id" in done.output
    assert (await desk.do("resend", "C-1", "--reason", "they lost their database")).exit_code == 0
    assert (await desk.state(name)).state is CdrState.PENDING


async def test_a_window_is_sent_again(desk: Desk) -> None:
    """All that was delivered to one partner in a time; what is open or another's is left alone."""
    for number in range(5):
        await desk.cdr(f"C-{number}", CdrState.DELIVERED)
    await desk.cdr("C-8", CdrState.DELIVERED, link="volt")
    await desk.cdr("C-9", CdrState.HELD)
    words = ("resend", "--all", "--partner", "acme", "--state", "delivered", "--since", "1h", "--reason", "lost")
    assert (await desk.told(*words, "--dry-run"))["count"] == 5
    assert await desk.listed() == {"C-9": "held"}
    told = await desk.told(*words)
    assert (told["good"], told["count"], told["text"]) == (True, 5, "5 pending (acme: 5)")
    assert await desk.listed() == {"C-9": "held", **{f"C-{number}": "pending" for number in range(5)}}


async def test_many_are_decided_at_once(desk: Desk) -> None:
    """With the filters of the list; without a state, all to which the verb applies and none that is done."""
    for number, state in enumerate((CdrState.DEAD, CdrState.REFUSED, CdrState.DROPPED, CdrState.DELIVERED)):
        await desk.cdr(f"C-{number}", state)
    assert (await desk.do("confirm", "--all", "--state", "refused", "--reason", "they have them")).exit_code == 0
    assert await desk.listed() == {"C-0": "dead"}
    assert (await desk.told("resend", "--all", "--reason", "back again"))["count"] == 1
    assert (await desk.told("drop", "--all", "--reason", "settled"))["count"] == 1
    assert await desk.listed() == {}
    assert (await desk.do("drop", "--reason", "which?")).exit_code == 2
    assert (await desk.do("drop", "C-1", "--all", "--reason", "which?")).exit_code == 2


@pytest.mark.parametrize("verdict", list(Verdict))
async def test_a_dry_run_changes_nothing(desk: Desk, verdict: Verdict) -> None:
    """Of one, and of all."""
    name = await desk.cdr("C-1", CdrState.REFUSED)
    before = await desk.store.history("acme", name)
    for which in ("C-1", "--all"):
        done = await desk.do(verdict.value, which, "--reason", "because", "--dry-run")
        assert done.exit_code == 0
        assert "would be" in done.output
    assert await desk.store.history("acme", name) == before


async def test_other_objects_are_sent_again_or_given_up(desk: Desk) -> None:
    """Whether they are due or set aside; they aren't confirmed, since the whole object can be sent at any time."""
    store = desk.store
    held, due = await desk.location("LOC-1"), await desk.location("LOC-2")
    for name in (held, due):
        await store.owe("acme", name, store.now() + 3_600_000)
    entry = await store.owed_entry("acme", held)
    assert entry is not None
    await store.hold("acme", entry, "refused", "2001")
    assert (await desk.do("confirm", "LOC-1", "--reason", "x")).exit_code == 1
    for id in ("LOC-1", "LOC-2"):
        assert (await desk.do("resend", id)).exit_code == 0
    assert {each.name for each in await store.due("acme", store.now(), 10)} == {held, due}
    entry = await store.owed_entry("acme", held)
    assert entry is not None
    await store.hold("acme", entry, "refused", "2001")
    assert (await desk.told("drop", "--all", "--partner", "acme", "--reason", "they left"))["count"] == 2
    backlog = await store.backlog("acme")
    assert (backlog.due, backlog.held) == (0, 0)


async def test_what_was_never_owed_is_owed_because_a_person_says_so(desk: Desk) -> None:
    """To the partner that is named, with a reason; else nothing happens."""
    name = Name(Module.CDRS, OWNER, "C-1")
    await desk.say(name, samples.cdr_221() | {"id": "C-1"})
    for more in ((), ("--partner", "volt"), ("--reason", "x"), ("--partner", "volt", "--reason", "x", "--dry-run")):
        await desk.do("resend", "C-1", *more)
        assert await desk.listed() == {}
    assert (await desk.do("resend", "C-1", "--partner", "volt", "--reason", "from before the cut-over")).exit_code == 0
    assert (await desk.state(name, "volt")).state is CdrState.PENDING


async def test_a_partner_without_a_file_is_still_in_the_ledger(desk: Desk) -> None:
    """What it is owed can be seen and dropped, so that the file may go."""
    await desk.cdr("C-1", CdrState.PENDING, link="volt")
    (Path(desk.world.settings.folder) / "partners/volt.yaml").unlink()
    assert await desk.listed("--partner", "volt") == {"C-1": "pending"}
    assert (await desk.told("drop", "--all", "--partner", "volt", "--reason", "contract ended"))["good"]
    assert await desk.listed() == {}


# Export ---------------------------------------------------------------------------------------------------------------


async def test_an_export_as_json_lines(desk: Desk, tmp_path: Path) -> None:
    """One entry a line, with the CDR itself if it is wanted; to a file as to standard output."""
    await desk.cdr("C-1", CdrState.DELIVERED)
    await desk.cdr("C-2", CdrState.HELD)
    target = tmp_path / "march.jsonl"
    assert (await desk.do("export", "--all", "--bodies", "--output", str(target))).exit_code == 0
    lines = [loads(line) for line in target.read_bytes().splitlines()]
    assert {line["id"]: line["state"] for line in lines} == {"C-1": "delivered", "C-2": "held"}
    assert {line["body"]["id"] for line in lines} == {"C-1", "C-2"}
    (line,) = (await desk.do("export")).stdout.splitlines()
    assert loads(line.encode()).keys() == lines[0].keys() - {"body"}


async def test_an_export_for_a_spreadsheet(desk: Desk) -> None:
    """One row an entry; what a receiver wrote isn't taken for a formula."""
    await desk.cdr("C-1", CdrState.REFUSED, reason='=HYPERLINK("http://evil.example")')
    rows = list(csv.DictReader(io.StringIO((await desk.do("export", "--format", "csv")).stdout)))
    assert [(row["id"], row["country_code"], row["party_id"], row["state"]) for row in rows] == [
        ("C-1", "NL", "EXA", "refused")
    ]
    assert rows[0]["reason"] == '\'=HYPERLINK("http://evil.example")'


# Trouble --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("list", "--partner", "acne"), "did you mean"),
        (("list", "--state", "lost"), "is not one of"),
        (("list", "--since", "yesterday"), "neither a duration such as 2h nor a time"),
        (("list", "--owner", "EXA"), "CC-PID"),
        (("drop", "--reason", "x"), "either an ID, or --all"),
    ],
)
async def test_a_mistake_of_usage_is_2_and_says_so(desk: Desk, words: tuple[str, ...], says: str) -> None:
    """With what to write instead."""
    done = await desk.do(*words)
    assert done.exit_code == 2
    assert says in done.output


async def test_a_redis_that_is_away_is_1(desk: Desk) -> None:
    """With a sentence, and no traceback."""
    file = desk.world.settings.folder / "gateway.yaml"
    lines = file.read_text().splitlines()
    file.write_text("\n".join("redis: {url: unix:///nonexistent}" if "redis:" in line else line for line in lines))
    done = await desk.do("list", "--json")
    assert done.exit_code == 1
    assert "Redis can't be reached" in done.output


def test_an_empty_ledger_is_an_empty_list(tmp_path: Path) -> None:
    """Without any gateway, on an embedded Redis of its own: it needs nothing else."""
    Installation.on(tmp_path)
    words = ["--config", str(tmp_path / "config"), "--data", str(tmp_path / "data")]
    done = CliRunner().invoke(cli, ["ledger", "list", "--json", *words])
    assert (done.exit_code, done.stdout) == (0, "[]\n")


def test_times_are_told_in_utc() -> None:
    """To the millisecond, as RFC 3339 has it."""
    at = int(datetime(2026, 3, 3, 11, 0, 0, 7000, tzinfo=UTC).timestamp() * 1000)
    assert (stamp(at), stamp(None)) == ("2026-03-03T11:00:00.007Z", None)
