"""``ocpi-gateway sync``: how far lists were read, and reading them now, with and without a running gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from click.testing import CliRunner, Result

from gateway import telemetry
from gateway.__main__ import cli
from gateway.demo.world import Cast, World
from gateway.web.json import loads

ACME = Cast(
    name="acme", version="2.1.1", country="DEU", party="ACM",
    more="modules: {tokens: {pull_every: 1h}}\nquirks: {sync.tombstones: full_pull_diff}\n",
)  # fmt: skip
VOLT = Cast(name="volt", party="VLT", more="modules: {tokens: {pull_every: 1h}}\n")
RUNNING = pytest.mark.parametrize("running", [True, False], ids=["running", "not-running"])
TOKEN = {
    "type": "RFID", "auth_id": "DE-ACM-C00000042-7", "issuer": "Acme", "valid": True, "whitelist": "ALLOWED",
    "last_updated": "2026-03-02T09:00:00Z",
}  # fmt: skip


@pytest_asyncio.fixture
async def town(world: Callable[..., Awaitable[World]]) -> AsyncIterator[World]:
    """A backend and two eMSPs whose tokens are read; one of them has registered, and its list has been read."""
    telemetry.configure(level="critical")  # what the gateway tells would stand among what the verb prints
    town = await world(ACME, VOLT, register=False)
    for number in range(6):
        town["acme"].keep("tokens", {**TOKEN, "uid": f"04ACME{number:02}"})
    await town["acme"].register(town.versions_url, "acme-token-a")
    async with asyncio.timeout(10):
        while not (await status(town, "acme"))[0]["completed"]:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.02)
    yield town


async def sync(town: World, *words: str) -> Result:
    """The verb, beside the gateway that runs: in a thread, with a loop of its own."""
    folder = town.settings.folder
    line = ["sync", *words, "--config", str(folder), "--data", str(town.folder / "data")]
    return await asyncio.to_thread(CliRunner().invoke, cli, line)


async def told(town: World, *words: str) -> Any:
    """What it prints with ``--json``."""
    done = await sync(town, *words, "--json")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    return loads(done.stdout.encode())


async def status(town: World, *words: str) -> Any:
    """``sync status``, for scripts."""
    return await told(town, "status", *words)


async def test_the_status_tells_of_every_list(town: World) -> None:
    """When it was read, up to when, when it is read next; and that one isn't, because its link isn't registered."""
    acme, volt = await status(town)
    assert (acme["partner"], acme["module"], acme["party"], acme["registered"]) == ("acme", "tokens", "DE-ACM", True)
    assert acme["watermark"] == TOKEN["last_updated"]
    assert (acme["last"]["items"], acme["last"]["stored"], acme["error"], acme["running"]) == (6, 6, None, None)
    assert acme["completed"] < acme["next"]
    assert (volt["partner"], volt["registered"], volt["completed"]) == ("volt", False, None)
    shown = await sync(town, "status")
    assert shown.exit_code == 0
    head, *rows = shown.output.splitlines()
    assert head.split() == ["partner", "module", "party", "completed", "watermark", "next", "now"]
    assert [row.split()[0] for row in rows] == ["acme", "volt"]
    assert rows[1].endswith("not registered")


@RUNNING
async def test_a_list_is_read_when_a_person_asks(town: World, running: bool) -> None:
    """By the gateway that runs, or by the verb itself; it says what became of what was read."""
    if not running:
        await town.stop()
    town["acme"].keep("tokens", {**TOKEN, "uid": "04ACMENEW", "last_updated": "2026-03-02T10:00:00Z"})
    done = await told(town, "run", "acme", "tokens")
    assert (done["good"], done["todo"]) == (True, None)
    (each,) = done["lists"]
    assert (each["module"], each["party"], each["full"], each["good"]) == ("tokens", "DE-ACM", False, True)
    assert (each["items"], each["stored"]) == (7, 1)
    assert (await status(town, "acme"))[0]["watermark"] == "2026-03-02T10:00:00Z"


async def test_nothing_is_read_when_a_person_only_wants_to_know(town: World) -> None:
    """``--dry-run`` says what would be read."""
    heard = len(town["acme"].received)
    done = await sync(town, "run", "acme", "--full", "--dry-run")
    assert (done.exit_code, done.output) == (0, "would read the whole of whatever is read by itself of acme\n")
    assert len(town["acme"].received) == heard


async def test_a_list_that_cant_be_read_is_exit_code_1(town: World) -> None:
    """Why stands in the result, and in the status from then on."""
    await town["acme"].down()
    done = await sync(town, "run", "acme")
    assert done.exit_code == 1
    assert "can't be reached" in done.output
    shown = await sync(town, "status", "acme")
    assert (shown.exit_code, "can't be reached" in shown.output) == (1, True)
    await town["acme"].up()
    assert (await sync(town, "run", "acme")).exit_code == 0
    assert (await sync(town, "status", "acme")).exit_code == 0


async def test_a_list_that_they_dont_have(town: World) -> None:
    """Exit code 1, and where to see what they do have."""
    done = await sync(town, "run", "acme", "locations")
    assert (done.exit_code, done.stdout) == (1, "acme has no list of locations for us\n")
    assert done.stderr == "see `ocpi-gateway partner show acme` for what they have\n"


async def test_a_list_that_shrank_too_much_is_a_persons_to_accept(town: World) -> None:
    """Exit code 1 with what to do; with ``--accept-shrink`` it is done."""
    for number in (1, 2):
        town["acme"].own.delete("tokens", town["acme"].own.key_of("tokens", f"04ACME{number:02}"))
    done = await sync(town, "run", "acme", "--full")
    assert (done.exit_code, "2 of 6 are no longer listed" in done.output, "--accept-shrink" in done.stderr) == (
        1,
        True,
        True,
    )
    assert "ocpi-gateway sync run acme tokens --full --accept-shrink" in done.stderr
    assert (await sync(town, "status", "acme")).exit_code == 1
    meant = await told(town, "run", "acme", "--full", "--accept-shrink")
    assert (meant["good"], meant["lists"][0]["gone"]) == (True, 2)
    assert (await sync(town, "status", "acme")).exit_code == 0


@pytest.mark.parametrize(
    "words",
    [("run", "nobody"), ("run", "acme", "commands"), ("run", "acme", "--accept-shrink"), ("status", "nobody")],
)
async def test_a_verb_that_makes_no_sense_is_a_mistake_of_usage(town: World, words: tuple[str, ...]) -> None:
    """An unknown link, a module without a list, a shrink without a whole list."""
    assert (await sync(town, *words)).exit_code == 2
