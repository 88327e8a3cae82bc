"""Real servers in numbers: a primary with a replica behind sentinels, and a cluster. They end with the test."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.store.embedded import die_with_parent, find_binary

DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--repl-diskless-sync-delay", "0")


class Process:
    """One redis-server on a port of its own."""

    def __init__(self, folder: Path, *options: str, binary: Path | None = None) -> None:
        self.port = free_port()
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._command = [
            str(binary or find_binary().path), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder),
            *options,
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        """Also again, after a kill, with the same folder and port."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent()
            )

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def stop(self) -> None:
        """It stands still."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    async def say(self, *words: Any) -> Any:
        """One command, as soon as the server answers."""
        async with Redis(host="127.0.0.1", port=self.port, socket_timeout=2) as client, asyncio.timeout(10):
            while True:
                try:
                    return await client.execute_command(*words)
                except (RedisError, OSError):
                    await asyncio.sleep(0.02)


def free_port() -> int:
    """A port that is free, as is the one that a cluster's bus would take."""
    while True:
        with socket.socket() as one, socket.socket() as bus:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            with suppress(OSError, OverflowError):
                bus.bind(("127.0.0.1", port + 10000))
                return port


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 15) -> None:
    """Servers tell nobody when they have found each other, so this looks."""
    async with asyncio.timeout(seconds):
        while not await true():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def asking_for_a_store(*modules: ModuleType, but: frozenset[str]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The tests that ask for a store and for no server of their own, by name: they run again wherever one gives one."""
    for module in modules:
        for name, test in vars(module).items():
            if name.startswith("test_") and name not in but and inspect.isfunction(test):
                asks = inspect.signature(test).parameters.keys()
                if "store" in asks and not asks & {"redis_server", "own_server"}:
                    yield name, test


class Watched:
    """A primary and a replica, and three sentinels that know them."""

    def __init__(self, folder: Path) -> None:
        self.primary = Process(folder / "primary", *DURABLE)
        self.replica = Process(folder / "replica", *DURABLE, "--replicaof", "127.0.0.1", str(self.primary.port))
        ids = [f"{number}" * 40 for number in range(3)]
        ports = [free_port() for _ in ids]
        self.sentinels = [
            self._sentinel(folder / f"sentinel{number}", ports[number], ids[number], dict(zip(ids, ports, strict=True)))
            for number in range(3)
        ]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        self.url = f"redis+sentinel://{hosts}/og/0"

    def _sentinel(self, folder: Path, port: int, own: str, all_of_them: dict[str, int]) -> subprocess.Popen[bytes]:
        """It knows the others from the start, which saves them the seconds that they need to find each other."""
        folder.mkdir(parents=True)
        known = [f"sentinel known-sentinel og 127.0.0.1 {its} {id}" for id, its in all_of_them.items() if id != own]
        lines = [
            f"port {port}", "bind 127.0.0.1", f"dir {folder}", f"sentinel myid {own}",
            f"sentinel monitor og 127.0.0.1 {self.primary.port} 2", "sentinel down-after-milliseconds og 500",
            "sentinel failover-timeout og 3000", f"sentinel known-replica og 127.0.0.1 {self.replica.port}", *known,
        ]  # fmt: skip
        (folder / "conf").write_text("\n".join(lines) + "\n")
        with (folder / "log").open("ab") as log:
            return subprocess.Popen(
                [find_binary().path, folder / "conf", "--sentinel"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent(),
            )  # fmt: skip

    async def ready(self) -> None:
        """The replica has all that the primary has, and says so."""
        await self.primary.say("SET", "ready", 1)

        async def confirmed() -> bool:
            told = await self.primary.say("INFO", "replication")
            replica = told.get("slave0", {})
            return replica.get("state") == "online" and replica["offset"] >= told["master_repl_offset"] > 0

        await until(confirmed)

    def end(self) -> None:
        for process in self.sentinels:
            process.kill()
            process.wait()
        self.primary.kill()
        self.replica.kill()


class Nodes:
    """A cluster of three primaries."""

    def __init__(self, folder: Path) -> None:
        self.all = [
            Process(
                folder / f"node{number}", *DURABLE, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000",
                "--cluster-require-full-coverage", "no",
            )
            for number in range(3)
        ]  # fmt: skip
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.all)
        self.url = f"redis+cluster://{hosts}"

    async def ready(self) -> None:
        """Everyone knows everyone, and who has which slots."""
        share = 16384 // 3 + 1
        for number, node in enumerate(self.all):
            await node.say("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            await node.say("CLUSTER", "ADDSLOTS", *range(number * share, min((number + 1) * share, 16384)))
        for node in self.all[1:]:
            await node.say("CLUSTER", "MEET", "127.0.0.1", self.all[0].port)
        await self.settled()

    async def settled(self) -> None:
        """All of them say that the cluster is whole."""
        for node in self.all:
            await until(lambda node=node: self._sees_all(node))

    async def move(self, slot: int, source: Process, target: Process, *, half_way: bool) -> None:
        """A slot goes to another node: with ``half_way`` its keys only, without its name too."""
        ids = {node: (await node.say("CLUSTER MYID")).decode() for node in self.all}
        if half_way:
            await target.say("CLUSTER SETSLOT", slot, "IMPORTING", ids[source])
            await source.say("CLUSTER SETSLOT", slot, "MIGRATING", ids[target])
            keys = await source.say("CLUSTER GETKEYSINSLOT", slot, 1000)
            await source.say("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        else:
            for node in (target, source):
                await node.say("CLUSTER SETSLOT", slot, "NODE", ids[target])

    @staticmethod
    async def _sees_all(node: Process) -> bool:
        told = await node.say("CLUSTER INFO")
        return told["cluster_state"] == "ok" and told["cluster_slots_ok"] == "16384" and told["cluster_size"] == "3"

    async def flush(self) -> None:
        for node in self.all:
            await node.say("FLUSHALL")

    def end(self) -> None:
        for node in self.all:
            node.kill()


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[Watched]:
    """A primary behind sentinels, for a while."""
    servers = Watched(folder)
    try:
        await servers.ready()
        yield servers
    finally:
        servers.end()


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[Nodes]:
    """A cluster, for a while."""
    nodes = Nodes(folder)
    try:
        await nodes.ready()
        yield nodes
    finally:
        nodes.end()
