"""Real processes: redis-servers and gateways, started, stopped and killed by their own pid and nothing else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final, Self

import redis
from attrs import define, field

from gateway.demo.world import free_ports
from gateway.store.embedded import find_binary
from tests.faults.records import now, until

REPOSITORY: Final = Path(__file__).resolve().parents[2]
START_S: Final = 20.0


@define(eq=False)
class RedisServer:
    """A redis-server of its own, with every write on disk before it is acknowledged."""

    folder: Path
    port: int = field(factory=lambda: free_ports(1)[0])
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=10)

    async def start(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._begin()
        process = self.process
        assert process is not None
        await until(lambda: self._answers() or process.poll() is not None, START_S, every=0.01)
        assert process.poll() is None, (self.folder / "redis.log").read_text()[-2000:]
        return self

    def _begin(self) -> None:
        self.process = subprocess.Popen(
            [
                str(find_binary().path), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
                "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction",
                "--logfile", str(self.folder / "redis.log"),
            ]
        )  # fmt: skip

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def empty(self) -> None:
        """While it is down: nothing is left of what it had."""
        for path in sorted(self.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.resume()
            self.kill()


@define(eq=False)
class GatewayProcess:
    """One ``ocpi-gateway run``, started as often as it is killed.

    Attributes:
        launch: options of the launcher (``tests/faults/launch.py``), to plant a bug or a crash; without any it is the
            plain console script.
        log: what all its lives have written.
    """

    config: Path
    data: Path
    log: Path
    listen: int
    admin: int
    launch: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    lives: int = field(default=0, init=False)
    exits: list[int] = field(factory=list, init=False)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.listen}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def begin(self) -> None:
        module = ["tests.faults.launch", *self.launch] if self.launch else ["gateway"]
        with self.log.open("ab") as log:
            self._heard = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", *module, "run", "--config", str(self.config), "--data", str(self.data)],
                env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, cwd=REPOSITORY, stdout=log, stderr=log,
            )  # fmt: skip
        self.lives += 1

    _heard: int = field(default=0, init=False)

    async def start(self) -> None:
        self.begin()
        await self.up()

    async def up(self, event: str = "gateway.up") -> None:
        """Until it says so in its log."""
        up = await until(lambda: self.said(event) or not self.alive, START_S)
        assert self.alive, self.log.read_text()[-3000:]
        assert up, f"it isn't up after {START_S:g} s"

    def said(self, *events: str) -> bool:
        """Whether this life has logged one of these events."""
        with self.log.open("rb") as log:
            log.seek(self._heard)
            text = log.read()
        return any(f'"{event}"'.encode() in text for event in events)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    async def terminate(self, within: float) -> float:
        """SIGTERM; the seconds until it has ended. Killed, and -9 among its exits, if it takes longer."""
        assert self.process is not None
        process, began = self.process, now()
        process.terminate()
        if not await until(lambda: process.poll() is not None, within):
            self.kill()
        self.exits.append(process.returncode)
        return now() - began

    async def ended(self, within: float = START_S) -> int:
        """Its exit code, when it ends by itself."""
        process = self.process
        assert process is not None
        assert await until(lambda: process.poll() is not None, within, every=0.005), "it lives"
        return int(process.returncode)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> None:
        if self.alive:
            self.signal(signal.SIGCONT)
            self.kill()

    def rss(self) -> int:
        """Bytes that it holds in memory just now; 0 if it is gone."""
        try:
            found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        except OSError:
            return 0
        return int(found.group(1)) * 1024 if found else 0


@define
class Processor:
    """How busy the whole machine was since this was made, 0 to 1."""

    _before: tuple[int, int] = field(factory=lambda: _ticks(), init=False)

    def busy(self) -> float:
        total, idle = (late - early for late, early in zip(_ticks(), self._before, strict=True))
        return 1 - idle / total if total else 0.0


def _ticks() -> tuple[int, int]:
    numbers = [int(part) for part in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return sum(numbers[:8]), numbers[3] + numbers[4]
