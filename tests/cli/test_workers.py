"""``run --workers N`` and a stop that nobody notices."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from processes import Installation, Running, core, volt
from test_run import STOP_S

from gateway.demo.identity import authorization
from gateway.demo.story import tariff
from gateway.web.json import loads

AGAIN_S = 10.0


async def readiness(port: int) -> int | None:
    """The HTTP status of a worker's ``/ready``; None where nobody listens."""
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/ready") as answer:
            return answer.status
    except aiohttp.ClientConnectionError:
        return None


async def ready(port: int) -> None:
    async with asyncio.timeout(AGAIN_S):
        while await readiness(port) != 200:  # noqa: ASYNC110 (another process, which tells nobody)
            await asyncio.sleep(0.05)


def workers_of(gateway: Running) -> dict[int, int]:
    """The processes under it that are workers: place -> process id."""
    found = {}
    for child in Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text().split():
        words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
        if "--worker" in words:
            found[int(words[words.index("--worker") + 1])] = int(child)
    return found


async def test_two_workers_are_one_gateway(tmp_path: Path) -> None:
    """They share the port and what they know; each has its admin port; one that dies is replaced; both end well."""
    async with AsyncExitStack() as stack:
        backend, partner = await stack.enter_async_context(core()), await stack.enter_async_context(volt())
        installation = Installation.on(tmp_path, core=backend.versions_url)
        gateway = await stack.enter_async_context(installation.running("--workers", "2"))
        for place in range(2):
            await ready(installation.admin + place)
        await backend.use_static(installation.versions_url, "of-core")
        await partner.register(installation.versions_url, "volt-token-a")
        for number in range(20):  # each on a connection of its own, so that both workers have their share
            one = {**tariff(datetime.now(UTC)), "id": f"T-{number}"}
            assert (await backend.push_tariff(one)).status_code == 1000
        await partner.wait_for("PUT", "tariffs", count=20)
        assert len(partner.objects["tariffs"]) == 20

        before = workers_of(gateway)
        os.kill(before[1], signal.SIGKILL)
        await gateway.told("worker.ended")
        await ready(installation.admin + 1)
        assert workers_of(gateway).keys() == before.keys()
        assert (await backend.push_tariff({**tariff(datetime.now(UTC)), "id": "LAST"})).status_code == 1000
        await partner.wait_for("PUT", "tariffs", lambda call: call.segments[-1] == "LAST")

        gateway.process.terminate()
        async with asyncio.timeout(STOP_S):
            assert await gateway.end() == 0
        assert await readiness(installation.admin) is await readiness(installation.admin + 1) is None


async def test_files_that_became_bad_end_nobody_who_works(tmp_path: Path) -> None:
    """A worker that dies then can't be replaced until they are good again; the other one goes on."""
    async with AsyncExitStack() as stack:
        installation = Installation.on(tmp_path)
        gateway = await stack.enter_async_context(installation.running("--workers", "2"))
        for place in range(2):
            await ready(installation.admin + place)
        gateway.process.send_signal(signal.SIGHUP)
        await gateway.told("config.read")
        await gateway.told("config.read")
        bad = installation.write("partners/bad.yaml", "version: none\n")
        os.kill(workers_of(gateway)[1], signal.SIGKILL)
        assert (await gateway.told("worker.ended"))["code"] == -signal.SIGKILL
        assert (await ended_again(gateway))["code"] == 78
        assert await readiness(installation.admin) == 200
        bad.unlink()
        await ready(installation.admin + 1)
        assert workers_of(gateway).keys() == {0, 1}


async def ended_again(gateway: Running) -> Mapping[str, Any]:
    """The next line about a worker that ended; what ``run`` says of bad files before isn't from the log."""
    assert gateway.process.stderr is not None
    async with asyncio.timeout(AGAIN_S):
        while not (line := await gateway.process.stderr.readline()).startswith(b"{") or b"worker.ended" not in line:
            assert line
    ended: Mapping[str, Any] = loads(line)
    return ended


async def test_workers_want_ports_with_a_number(tmp_path: Path) -> None:
    """A free port each would be no shared one."""
    installation = Installation.on(tmp_path)
    text = (tmp_path / "config/gateway.yaml").read_text()
    installation.write("gateway.yaml", text.replace(f"listen: 127.0.0.1:{installation.listen}", "listen: 127.0.0.1:0"))
    folders = ("--config", str(tmp_path / "config"), "--data", str(tmp_path / "data"))
    code, _, err = await installation.done("run", *folders, "--workers", "2")
    assert code == 78
    assert "port 0" in err
    installation.write("gateway.yaml", text.replace(str(installation.listen), str(installation.admin + 1)))
    code, _, err = await installation.done("run", *folders, "--workers", "2")
    assert code == 78
    assert "one of the workers' admin ports" in err


async def test_leaving_is_told_before_it_happens(tmp_path: Path) -> None:
    """From SIGTERM on it isn't ready; who calls all the same is answered, and told to come back on another one."""
    installation = Installation.on(tmp_path)
    async with installation.running() as gateway, aiohttp.ClientSession() as session:
        url, headers = installation.versions_url, {"Authorization": authorization("2.2.1", "of-core")}
        async with session.get(url, headers=headers) as answer:
            assert (answer.status, answer.headers.get("Connection")) == (200, None)
        gateway.process.terminate()
        async with asyncio.timeout(STOP_S):
            while await readiness(installation.admin) != 503:  # noqa: ASYNC110 (as above)
                await asyncio.sleep(0.01)
        async with session.get(url, headers=headers) as answer:
            assert (answer.status, answer.headers.get("Connection")) == (200, "close")
        assert await gateway.end() == 0
