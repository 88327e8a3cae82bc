"""``ocpi-gateway partner``: the life of one link from a terminal, with and without a running gateway."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from attrs import evolve
from click.testing import CliRunner, Result
from processes import Installation

from gateway import telemetry
from gateway.__main__ import cli
from gateway.demo.world import Cast, World
from gateway.web.json import loads

ACME = Cast(name="acme", version="2.1.1", role="EMSP", country="DEU", party="ACM", business="Acme Mobility")
VOLT = Cast(name="volt", version="2.2.1", role="EMSP", country="DE", party="VLT", business="Volt Drive", start="us")
EITHER = pytest.mark.parametrize("name", ["acme", "volt"])
RUNNING = pytest.mark.parametrize("running", [True, False], ids=["running", "not-running"])


@pytest_asyncio.fixture
async def town(world: Callable[..., Awaitable[World]]) -> AsyncIterator[World]:
    """A backend and an eMSP of each version, everybody registered."""
    telemetry.configure(level="critical")  # what the gateway tells would stand among what the verb prints
    yield await world(ACME, evolve(VOLT))


async def partner(town: World, *words: str) -> Result:
    """The verb, beside the gateway that runs: in a thread, with a loop of its own."""
    folder = town.settings.folder
    line = ["partner", *words, "--config", str(folder), "--data", str(town.folder / "data")]
    return await asyncio.to_thread(CliRunner().invoke, cli, line)


async def told(town: World, *words: str) -> Any:
    """What it prints with ``--json``."""
    done = await partner(town, *words, "--json")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    return loads(done.stdout.encode())


async def test_the_list_has_every_link(town: World) -> None:
    """Id, state, version and parties, for people and for scripts; no token anywhere."""
    links = {link["id"]: link for link in await told(town, "list")}
    assert {id: (link["registered"], link["version"]) for id, link in links.items()} == {
        "backend": (True, "2.2.1"), "acme": (True, "2.1.1"), "volt": (True, "2.2.1"),
    }  # fmt: skip
    assert links["acme"]["parties"] == [{"role": "EMSP", "country_code": "DE", "party_id": "ACM"}]
    shown = await partner(town, "list")
    assert shown.exit_code == 0
    assert [line.split()[0] for line in shown.output.splitlines()] == ["id", "backend", "acme", "volt"]
    assert shown.output.splitlines()[2].split()[:5] == ["acme", "bilateral", "2.1.1", "live", "registered"]


@EITHER
async def test_one_link_in_full(town: World, name: str) -> None:
    """Its endpoints, and since when: never its tokens."""
    link = await told(town, "show", name)
    assert {each["module"] for each in link["endpoints"]} >= {"credentials", "locations", "tokens"}
    assert link["since"] == link["tokens_since"] is not None
    shown = await partner(town, "show", name)
    assert shown.exit_code == 0
    assert link["start"] in shown.output


async def test_no_verb_prints_a_token(town: World) -> None:
    """Neither those of the files, nor those that were exchanged, whichever way; not before a rotation, nor after."""
    tokens: set[str] = set()

    def learn() -> None:
        links = town.gateway.links
        exchanged = [links.token_out(link)[0] for link in links.settings] + [p.counterpart.token for p in town.peers]
        filed = [each.registration for each in links.settings.values()]
        tokens.update(token for token in exchanged if token)
        tokens.update(secret.value for each in filed for secret in (*each.token_in, each.token_out) if secret)

    learn()
    printed = []
    for words in (("list",), ("show", "acme"), ("rotate", "acme"), ("refresh", "volt"), ("rotate", "backend"),
                  ("show", "volt"), ("unregister", "volt"), ("register", "volt"), ("show", "volt")):  # fmt: skip
        for form in ((), ("--json",)):
            printed.append((await partner(town, *words, *form)).output)
            learn()
    assert len(tokens) > 8
    assert [token for token in sorted(tokens) if any(token in output for output in printed)] == []
    town["volt"].complaints.clear()  # its token A is spent


@EITHER
@RUNNING
async def test_a_rotation_gives_both_sides_new_tokens(town: World, name: str, running: bool) -> None:
    """The gateway that runs does it; where none runs, the verb answers the call-backs itself."""
    before = town.gateway.links.token_out(name)[0]
    if not running:
        await town.stop()
    done = await partner(town, "rotate", name)
    assert (done.exit_code, done.output) == (0, "both sides have new tokens\n")
    if not running:
        await town.restart()
    assert town.gateway.links.token_out(name)[0] != before
    assert (await town[name].get("credentials")).ok


@EITHER
async def test_a_dry_run_changes_nothing(town: World, name: str) -> None:
    """Of every verb that changes something."""
    heard, before = len(town[name].received), await town.gateway.store.registration(name)
    for verb in ("register", "refresh", "rotate", "unregister", "pause", "resume"):
        done = await partner(town, verb, name, "--dry-run")
        assert (done.exit_code, done.output.split()[0]) == (0, "would")
    assert await town.gateway.store.registration(name) == before
    assert len(town[name].received) == heard


@RUNNING
async def test_the_end_of_a_registration(town: World, running: bool) -> None:
    """They are told, and neither side's tokens count any more; then it can begin again."""
    if not running:
        await town.stop()
    done = await partner(town, "unregister", "volt")
    assert (done.exit_code, done.output) == (0, "the registration is ended here and over there\n")
    assert town["volt"].counterpart.token is None
    shown = await partner(town, "show", "volt")
    assert shown.exit_code == 1
    assert "not any more" in shown.output
    again = await partner(town, "register", "volt")
    assert again.exit_code == 1  # their token A is spent: they must give us another
    assert "401" in again.output
    town["volt"].complaints.clear()


@EITHER
@RUNNING
async def test_present_urls_are_told(town: World, name: str, running: bool) -> None:
    """A refresh is a PUT of credentials, and gives both sides new tokens."""
    if not running:
        await town.stop()
    done = await told(town, "refresh", name)
    assert (done["good"], done["todo"]) == (True, None)
    put = town[name].received[-1] if running else await town[name].wait_for("PUT", "credentials")
    assert (put.method, put.module) == ("PUT", "credentials")


async def test_a_partner_that_begins_is_invited(town: World) -> None:
    """``start: them``: nothing is sent; the token of the file, which was spent, counts again."""
    assert (await partner(town, "unregister", "acme")).exit_code == 0
    heard = len(town["acme"].received)
    done = await partner(town, "register", "acme")
    assert (done.exit_code, done.output) == (0, "they may register now, with the token_in of the file\n")
    assert len(town["acme"].received) == heard
    await town["acme"].register(town.versions_url, "acme-token-a")
    assert (await partner(town, "show", "acme")).exit_code == 0


async def test_without_a_gateway_the_verb_does_what_it_is_asked_and_no_more(town: World) -> None:
    """The registration that a gateway would begin by itself isn't begun twice, and nothing that is owed is brought."""
    assert (await town["volt"].unregister()).ok
    await town.stop()
    file = town.folder / "config/partners/volt.yaml"
    file.write_text(file.read_text().replace("volt-token-a", "another-token-a"))
    town["volt"].hand_out("another-token-a")
    town["volt"].handshake.pause = 0.6  # longer than anybody waits for his turn
    heard = len(town["volt"].received)
    done = await partner(town, "register", "volt")
    assert (done.exit_code, done.output) == (0, "registered, on OCPI 2.2.1\n")
    assert [call.module for call in town["volt"].received[heard:]] == ["versions", "details", "credentials"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("rotate", "backend"), "backend has static tokens: change them in the files of both sides\n"),
        (("register", "volt"), "volt is registered already\n"),
    ],
    ids=["static", "registered"],
)
async def test_what_makes_no_sense_now_is_told_without_false_advice(
    town: World, words: tuple[str, ...], says: str
) -> None:
    """Nothing was done, and the text says why: exit code 1."""
    done = await partner(town, *words)
    assert (done.exit_code, done.output) == (1, says)


async def test_a_link_that_the_running_gateway_has_not_read(town: World) -> None:
    """A file that was written after the gateway had started: it says so at once."""
    file = (town.folder / "config/partners/volt.yaml").read_text()
    late = file.replace("party_id: VLT", "party_id: NEW").replace("volt-token-a", "late-token-a")
    (town.folder / "config/partners/late.yaml").write_text(late)
    done = await told(town, "register", "late")
    assert not done["good"]
    assert done["text"] == "the gateway that runs has no link late in its configuration"


async def test_a_gateway_that_does_not_answer_keeps_its_folder(tmp_path: Path) -> None:
    """One that runs on the embedded Redis and takes no wish: the verb says so, and does nothing beside it."""
    installation = Installation.on(tmp_path)
    folders = ("--config", str(tmp_path / "config"), "--data", str(tmp_path / "data"))
    async with installation.running() as gateway:
        gateway.process.send_signal(signal.SIGSTOP)
        code, out, err = await installation.done("partner", "rotate", "volt", *folders)
        gateway.process.send_signal(signal.SIGCONT)
    assert code == 1
    assert out == "a gateway runs on this data folder, and hasn't taken it within 2 s\n"
    assert err == "look at its log and its /ready, and try again\n"


async def test_a_partner_that_is_away_is_ended_here_all_the_same(town: World) -> None:
    """Nobody is kept by a platform that is gone; the verb says that they weren't told."""
    await town["volt"].down()
    done = await told(town, "unregister", "volt")
    assert done["good"]
    assert "they weren't told" in done["text"]
    await town["volt"].up()


async def test_what_fails_says_what_to_do(town: World) -> None:
    """Exit code 1, why, and what a person can do."""
    await town["volt"].down()
    done = await told(town, "rotate", "volt")
    assert not done["good"]
    assert "reached" in done["text"]
    assert done["todo"]
    await town["volt"].up()
    shown = await told(town, "show", "volt")
    assert shown["registered"]


@RUNNING
async def test_a_pause_and_its_end(town: World, running: bool) -> None:
    """Shown with its reason, known to the gateway that runs, over when somebody says so."""
    if not running:
        await town.stop()
    done = await partner(town, "pause", "volt", "--until", "2h", "--reason", "their maintenance")
    assert done.exit_code == 0, done.output
    paused = (await told(town, "show", "volt"))["paused"]
    assert paused["in"] is None
    assert paused["out"]["reason"] == "their maintenance"
    assert "registered, paused out until 2" in (await partner(town, "list")).output
    if not running:
        await town.restart()
    assert town.gateway.links.directory["volt"].paused_out is not None
    assert (await partner(town, "resume", "volt")).exit_code == 0
    assert (await told(town, "show", "volt"))["paused"] == {"in": None, "out": None}


async def test_a_backend_can_be_paused_too(town: World) -> None:
    """It is a link like any other."""
    assert (
        await partner(town, "pause", "backend", "--direction", "in", "--until", "2030-01-01T00:00:00Z")
    ).exit_code == 0
    assert (await told(town, "show", "backend"))["paused"]["in"]["until"] == "2030-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("show", "acmee"), "did you mean `acme`?"),
        (("pause", "acme", "--until", "soon"), "neither a duration such as 2h nor a time"),
        (("pause", "acme", "--until", "2030-01-01T00:00:00"), "has no time zone"),
        (("pause", "acme", "--until", "2020-01-01T00:00:00Z"), "over already"),
        (("pause", "acme", "--until", "9999-12-31T23:59:59-12:00"), "further than the calendar goes"),
    ],
    ids=["unknown", "no-time", "no-zone", "past", "too-far"],
)
async def test_a_mistake_of_usage_is_2(town: World, words: tuple[str, ...], says: str) -> None:
    """It says what is wrong, and nothing happens."""
    done = await partner(town, *words)
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())


async def test_a_port_that_is_taken_is_told(town: World) -> None:
    """No gateway takes the wish, and somebody else listens where the call-backs would come: nothing is done."""
    await town.stop()
    host, port = town.settings.listen.host, town.settings.listen.port
    server = await asyncio.start_server(lambda reader, writer: writer.close(), host, port)
    async with server:
        done = await told(town, "rotate", "volt")
    assert not done["good"]
    assert "can't listen" in done["text"]


async def test_bad_configuration_is_78(tmp_path: Any) -> None:
    """As everywhere."""
    installation = Installation.on(tmp_path)
    (tmp_path / "config/gateway.yaml").write_text("public_url: nowhere\n")
    line = ["partner", "list", "--config", str(installation.folder / "config")]
    assert (await asyncio.to_thread(CliRunner().invoke, cli, line)).exit_code == 78
