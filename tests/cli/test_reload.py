"""SIGHUP: other files are taken over while the gateway works, or not at all."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from processes import PARTNER, Installation, Running, core, volt
from test_run import meeting

from gateway.demo.identity import authorization
from gateway.demo.peers import Peer
from gateway.demo.story import cdr_of, cdr_token, tariff

RELOAD_S = 4.0

GRID = """\
version: "2.1.1"
roles: [{role: EMSP, country_code: FR, party_id: GRD}]
registration: {start: them, token_in: {value: grid-token-a}}
allow_private: true
"""


def grid() -> Peer:
    return Peer("grid", "2.1.1", "EMSP", "FR", "GRD", "Grid")


async def hup(gateway: Running) -> str:
    """Reload, and what comes of it in time."""
    gateway.process.send_signal(signal.SIGHUP)
    return str((await gateway.told("config.read", "config.mistake", "config.refused", within=RELOAD_S))["event"])


async def admin(installation: Installation, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{installation.admin}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def test_a_new_file_is_a_new_partner(tmp_path: Path) -> None:
    """It registers, and is owed what it may see; whoever pushes meanwhile notices nothing."""
    async with AsyncExitStack() as stack, meeting(tmp_path, stack) as (installation, gateway, backend, _):
        answers: list[int | None] = []
        begun, stop = asyncio.Event(), asyncio.Event()

        async def push_on() -> None:
            while not stop.is_set():
                answer = await backend.push_tariff({**tariff(datetime.now(UTC)), "id": "BUSY"})
                answers.append(answer.status_code)
                begun.set()

        pushing = asyncio.create_task(push_on())
        await begun.wait()
        installation.write("partners/grid.yaml", GRID)
        assert await hup(gateway) == "config.read"
        before = len(answers)
        newcomer = await stack.enter_async_context(grid())
        await newcomer.register(installation.versions_url, "grid-token-a")
        await newcomer.wait_for("PUT", "tariffs")
        stop.set()
        await pushing
        assert len(answers) > before > 0
        assert set(answers) == {1000}


async def test_a_changed_file_counts_at_once(tmp_path: Path) -> None:
    """A selection takes back what is no longer in it; the registration stays."""
    async with AsyncExitStack() as stack, meeting(tmp_path, stack) as (installation, gateway, backend, partner):
        for id in ("KEEP", "GO"):
            assert (await backend.push_tariff({**tariff(datetime.now(UTC)), "id": id})).status_code == 1000
        await partner.wait_for("PUT", "tariffs", count=2)
        installation.write("partners/volt.yaml", PARTNER + "share: {tariffs: {only: [KEEP]}}\n")
        assert await hup(gateway) == "config.read"
        await partner.wait_for("DELETE", "tariffs", lambda call: call.segments[-1] == "GO")
        assert [each["id"] for each in (await partner.get("tariffs")).data] == ["KEEP"]


async def test_a_mistake_changes_nothing(tmp_path: Path) -> None:
    """It is told with its place, and in a metric; the gateway stays ready, with the files from before."""
    async with AsyncExitStack() as stack, meeting(tmp_path, stack) as (installation, gateway, backend, partner):
        installation.write("partners/grid.yaml", GRID)
        file = installation.write("partners/volt.yaml", PARTNER + "stge: live\n")
        assert await hup(gateway) == "config.mistake"
        assert gateway.log[-1]["at"].startswith(f"{file}:5:1: ")
        assert "did you mean" in gateway.log[-1]["at"].lower()
        assert (await admin(installation, "/ready"))[0] == 200
        metrics = (await admin(installation, "/metrics"))[1].splitlines()
        assert "ocpi_gateway_config_current 0.0" in metrics
        assert 'ocpi_gateway_config_reloads_total{result="refused"} 1.0' in metrics
        stranger = await stack.enter_async_context(grid())
        assert (await stranger.call_url("GET", installation.versions_url, "versions", token="grid-token-a")).http == 401
        assert (await backend.push_tariff(tariff(datetime.now(UTC)))).status_code == 1000
        await partner.wait_for("PUT", "tariffs")
        installation.write("partners/volt.yaml", PARTNER)
        assert await hup(gateway) == "config.read"
        assert "ocpi_gateway_config_current 1.0" in (await admin(installation, "/metrics"))[1].splitlines()


async def test_a_file_with_something_owed_stays_in_force(tmp_path: Path) -> None:
    """Taking it away is refused until what is owed has arrived; then the partner's token opens nothing."""
    async with AsyncExitStack() as stack, meeting(tmp_path, stack) as (installation, gateway, backend, partner):
        partner.fail("tariffs", "PUT", http=500)
        assert (await backend.push_tariff(tariff(datetime.now(UTC)))).status_code == 1000
        await partner.wait_for("PUT", "tariffs")
        (installation.folder / "config/partners/volt.yaml").unlink()
        assert await hup(gateway) == "config.refused"
        assert "ledger list --partner volt" in gateway.log[-1]["reason"]
        assert (await partner.get("credentials")).status_code == 1000  # it is a partner as before
        assert (await backend.push_tariff(tariff(datetime.now(UTC)))).status_code == 1000  # and gets what is owed
        await partner.wait_for("PUT", "tariffs", count=2, timeout=15)
        while await hup(gateway) == "config.refused":
            pass  # it has arrived, and is about to be noted
        assert gateway.log[-1]["event"] == "config.read"
        assert (await partner.get("credentials")).http == 401


async def test_a_secret_in_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """A mounted secret is replaced, and nobody sends a signal."""
    installation = Installation.on(tmp_path)
    secret = installation.write("core.secret", "of-core\n")
    text = (tmp_path / "config/gateway.yaml").read_text()
    installation.write("gateway.yaml", text.replace("token_in: {value: of-core}", "token_in: {file: core.secret}"))
    async with installation.running() as gateway, aiohttp.ClientSession() as session:

        async def opens(token: str) -> int:
            headers = {"Authorization": authorization("2.2.1", token)}
            async with session.get(installation.versions_url, headers=headers) as answer:
                return answer.status

        assert await opens("of-core") == 200
        following = installation.write("core.secret.new", "of-core-again\n")
        following.rename(secret)
        await gateway.told("config.read", within=RELOAD_S)
        assert [await opens("of-core"), await opens("of-core-again")] == [401, 200]


async def test_what_a_partner_without_a_file_is_owed_is_told_until_it_is_settled(tmp_path: Path) -> None:
    """Also of a CDR that waits for a person, and of a file that was taken away while no gateway ran."""
    async with AsyncExitStack() as stack:
        backend, partner = await stack.enter_async_context(core()), await stack.enter_async_context(volt())
        installation = Installation.on(tmp_path, core=backend.versions_url)
        async with installation.running() as gateway:
            await backend.use_static(installation.versions_url, "of-core")
            await partner.register(installation.versions_url, "volt-token-a")
            partner.fail("cdrs", "POST", drop=True)
            token = cdr_token("VLT", "04AABBCC", "DE-VLT-C0000042-7")
            assert (await backend.push_cdr(cdr_of("CDR-1", "SESSION-1", token, datetime.now(UTC)))).status_code == 1000
            await gateway.told("cdr.in_doubt")
            gateway.process.terminate()
            assert await gateway.end() == 0
        file = installation.folder / "config/partners/volt.yaml"
        file.unlink()
        async with installation.running() as gateway:
            (told,) = [line for line in gateway.log if line["event"] == "partner.file_missing"]
            assert (told["partner"], told["level"]) == ("volt", "error")
            unfiled = 'ocpi_gateway_owed_without_file{partner="volt"} 1.0'
            assert unfiled in (await admin(installation, "/metrics"))[1].splitlines()
            installation.write("partners/volt.yaml", PARTNER)
            assert await hup(gateway) == "config.read"
            assert "owed_without_file{" not in (await admin(installation, "/metrics"))[1]


async def test_warnings_are_lines_of_the_log(tmp_path: Path) -> None:
    """Whoever reads the log as JSON can read them too; a reload tells them anew."""
    installation = Installation.on(tmp_path, more="redis: {on_weaker: warn}\n")
    async with installation.running() as gateway:
        (told,) = [line for line in gateway.log if line["event"] == "config.warning"]
        assert told["at"].startswith(f"{tmp_path}/config/gateway.yaml:12:")
        gateway.process.send_signal(signal.SIGHUP)
        assert (await gateway.told("config.warning", within=RELOAD_S))["at"] == told["at"]


async def test_a_gateway_that_starts_reloads_when_it_is_up(tmp_path: Path) -> None:
    """A SIGHUP doesn't end it before it can act on it, and isn't forgotten."""
    installation = Installation.on(tmp_path)
    process = await installation.start("run", "--config", str(tmp_path / "config"), "--data", str(tmp_path / "data"))
    gateway = Running(process)
    try:
        async with asyncio.timeout(RELOAD_S):
            while not catches(process.pid, signal.SIGHUP):  # noqa: ASYNC110 (a process tells nobody)
                await asyncio.sleep(0.001)
        process.send_signal(signal.SIGHUP)
        await gateway.told("config.read")
        process.terminate()
        assert await gateway.end() == 0
    finally:
        if process.returncode is None:
            process.kill()


def catches(process: int, number: signal.Signals) -> bool:
    """Whether a process has a handler of a signal, by what Linux tells of it."""
    status = Path(f"/proc/{process}/status").read_text()
    (mask,) = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(mask, 16) >> (number - 1) & 1)
