"""``ocpi-gateway partner``: the life of one link from a terminal, with and without a running gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from attrs import evolve
from click.testing import CliRunner, Result
from processes import Installation

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


@EITHER
async def test_one_link_in_full(town: World, name: str) -> None:
    """Its endpoints, and since when: never its tokens."""
    link = await told(town, "show", name)
    assert {each["module"] for each in link["endpoints"]} >= {"credentials", "locations", "tokens"}
    assert link["since"] == link["tokens_since"] is not None
    shown = await partner(town, "show", name)
    assert shown.exit_code == 0
    token = town.gateway.links.token_out(name)[0]
    assert token
    assert token not in shown.output


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
    ],
    ids=["unknown", "no-time", "no-zone", "past"],
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
