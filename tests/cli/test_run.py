"""``ocpi-gateway run`` as whoever starts and stops it meets it: exit codes, signals, kill -9."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from processes import Installation, Running, core, volt

from gateway.demo.peers import Peer
from gateway.demo.story import cdr_of, cdr_token, tariff
from gateway.web.json import loads

STOP_S = 12.0
AGAIN_S = 3.0


@asynccontextmanager
async def meeting(folder: Path, stack: AsyncExitStack) -> AsyncIterator[tuple[Installation, Running, Peer, Peer]]:
    """A gateway in its own process, with its backend and a registered partner in this one."""
    backend, partner = await stack.enter_async_context(core()), await stack.enter_async_context(volt())
    installation = Installation.on(folder, core=backend.versions_url)
    async with installation.running() as gateway:
        await backend.use_static(installation.versions_url, "of-core")
        await partner.register(installation.versions_url, "volt-token-a")
        yield installation, gateway, backend, partner


def tariffs(count: int) -> list[dict[str, Any]]:
    return [{**tariff(datetime.now(UTC)), "id": f"T-{number}"} for number in range(count)]


async def test_a_broken_configuration_is_78_with_every_mistake(tmp_path: Path) -> None:
    """All of them at once, each with its place; nothing is started."""
    installation = Installation.on(tmp_path, more="lisen: 1\nlisten: 2\n")
    (tmp_path / "config/partners/volt.yaml").write_text("version: '3.0'\nroles: []\nregistration: {start: maybe}\n")
    code, out, err = await installation.done("run")
    assert (code, out) == (78, "")
    places = [line.removeprefix(f"{tmp_path}/config/").split(": ")[0] for line in err.splitlines()]
    assert [place for place in places if place.startswith("gateway.yaml:")] == [
        "gateway.yaml:12:1",
        "gateway.yaml:13:1",
    ]
    assert {place.rpartition(":")[0] for place in places if place.startswith("partners/")} == {
        "partners/volt.yaml:1", "partners/volt.yaml:2", "partners/volt.yaml:3"
    }  # fmt: skip
    assert not (tmp_path / "data").exists()


async def test_no_configuration_is_78(tmp_path: Path) -> None:
    """With the file that it looked for."""
    code, _, err = await Installation(tmp_path).done("run")
    assert code == 78
    assert "gateway.yaml" in err
    assert "Traceback" not in err


async def test_no_redis_at_all_is_78_with_three_ways_out(tmp_path: Path) -> None:
    """No ``redis.url``, no server on the machine, none that came with the installation."""
    installation = Installation.on(tmp_path)
    installation.without_a_server()
    code, _, err = await installation.done("run")
    assert code == 78
    for way in ("sudo apt install redis-server", "docker run", "redis: {url: redis://your-redis-host:6379/0}"):
        assert way in err
    assert "Traceback" not in err


async def test_a_second_one_on_the_same_folder_is_78_with_the_pid(tmp_path: Path) -> None:
    """Two would deliver everything twice; the first isn't disturbed."""
    installation = Installation.on(tmp_path)
    async with installation.running() as first:
        code, _, err = await installation.done("run")
        assert code == 78
        assert f"process {first.process.pid}" in err
        assert "--data" in err
        assert first.process.returncode is None


async def test_a_taken_port_is_78(tmp_path: Path) -> None:
    """With the keys to look at, and no server left behind."""
    installation = Installation.on(tmp_path)
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", installation.listen)
    async with taken:
        code, _, err = await installation.done("run")
    assert code == 78
    assert "`listen`" in err.splitlines()[-1]
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_in_good_order_exits_0(tmp_path: Path, number: signal.Signals) -> None:
    """By SIGTERM or Ctrl-C, in time; every line that it wrote was JSON."""
    async with Installation.on(tmp_path).running() as gateway:
        started = time.monotonic()
        gateway.process.send_signal(number)
        async with asyncio.timeout(STOP_S):
            assert await gateway.end() == 0
        assert time.monotonic() - started < STOP_S
    assert [line["event"] for line in gateway.log if line["level"] == "error"] == []
    assert "gateway.stopping" in [line["event"] for line in gateway.log]


async def test_sigterm_finishes_what_is_under_way(tmp_path: Path) -> None:
    """A delivery that is answered a moment later counts: the next process doesn't send it again."""
    async with AsyncExitStack() as stack, meeting(tmp_path, stack) as (installation, gateway, backend, partner):
        partner.delay = 0.5
        for each in tariffs(3):
            assert (await backend.push_tariff(each)).status_code == 1000
        await partner.wait_for("PUT", "tariffs", count=3)  # they are there, and not answered yet
        gateway.process.terminate()
        async with asyncio.timeout(STOP_S):
            assert await gateway.end() == 0
        partner.delay = 0
        heard = len(partner.received)
        async with installation.running():
            assert (await backend.push_tariff({**tariffs(4)[3], "id": "LAST"})).status_code == 1000
            await partner.wait_for("PUT", "tariffs", after=heard)
        assert [call.segments[-1] for call in partner.received[heard:]] == ["LAST"]
        assert partner.complaints == backend.complaints == []


async def test_sigterm_waits_for_who_is_slow(tmp_path: Path) -> None:
    """A CDR and a list that take their seconds are within their deadlines: neither is cut short, nor in doubt."""
    async with AsyncExitStack() as stack, meeting(tmp_path, stack) as (installation, gateway, backend, partner):
        partner.delay = 8
        cdr = cdr_of("C-1", "S-1", cdr_token("VLT", "04F017BEEF", "DE-VLT-C00000009-X"), datetime.now(UTC))
        assert (await backend.push_cdr(cdr)).status_code == 1000
        await partner.wait_for("POST", "cdrs")
        listed = asyncio.create_task(backend.get("tokens", side="SENDER", to=("DE", "VLT")))
        await partner.wait_for("GET", "tokens")
        gateway.process.terminate()
        async with asyncio.timeout(STOP_S):
            assert (await listed).status_code == 1000
            assert await gateway.end() == 0
        folders = ("--config", str(tmp_path / "config"), "--data", str(tmp_path / "data"))
        code, out, _ = await installation.done("ledger", "list", "--module", "cdrs", "--all", "--json", *folders)
        assert (code, [entry["state"] for entry in loads(out.encode())]) == (0, ["delivered"])


async def test_after_kill_9_the_next_one_delivers_within_3_seconds(tmp_path: Path) -> None:
    """What was acknowledged is owed, whether its delivery had begun or not; but no CDR is sent a second time."""
    async with AsyncExitStack() as stack, meeting(tmp_path, stack) as (installation, gateway, backend, partner):
        partner.delay = 60
        cdr = cdr_of("C-1", "S-1", cdr_token("VLT", "04F017BEEF", "DE-VLT-C00000009-X"), datetime.now(UTC))
        assert (await backend.push_cdr(cdr)).status_code == 1000
        await partner.wait_for("POST", "cdrs")
        for each in tariffs(6):  # more than are sent at a time
            assert (await backend.push_tariff(each)).status_code == 1000
        await partner.wait_for("PUT", "tariffs", count=3)
        gateway.process.kill()
        assert await gateway.end() == -signal.SIGKILL
        partner.delay = 0
        heard = len(partner.received)
        started = time.monotonic()
        async with installation.running() as again:
            for each in tariffs(6):
                await partner.wait_for(
                    "PUT", "tariffs", lambda call, id=each["id"]: call.segments[-1] == id, after=heard, timeout=AGAIN_S
                )
            assert time.monotonic() - started < AGAIN_S
            again.process.terminate()
            assert await again.end() == 0
        assert [line["cdr"] for line in again.log if line["event"] == "cdr.in_doubt"] == ["cdrs:NL-EXA:C-1"]
        assert {call.module for call in partner.received[heard:]} == {"tariffs"}
        assert len(partner.objects["tariffs"]) == 6


async def test_it_says_how_it_is_used(tmp_path: Path) -> None:
    """``--help`` of the program and of the verb, with an example in it."""
    installation = Installation(tmp_path)
    code, out, _ = await installation.done("--help", "--help")
    assert (code, out.splitlines()[0]) == (0, "Usage: ocpi-gateway [OPTIONS] COMMAND [ARGS]...")
    for verb in ("run", "check", "demo", "translate", "explain", "doctor"):
        assert f"\n  {verb} " in out
    code, out, _ = await installation.done("run", "--help")
    assert code == 0
    assert "Example: ocpi-gateway run --config" in " ".join(out.split())
