"""``ocpi-gateway run``: the gateway itself, as one process or as several on one port."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import click
import structlog
from attrs import define, evolve, frozen

from gateway import telemetry
from gateway.cli.options import Tools, config_option, data_folder, data_option, refuse
from gateway.cli.workers import Crew
from gateway.model.errors import NotDurable
from gateway.settings import Mistakes, Settings, find_config, load
from gateway.settings.compare import StillOwed
from gateway.store.embedded import InUse, NoServer

log = structlog.get_logger()

_LOOK_S: Final = 2.0
"""Seconds between two looks at the files that secrets come from."""

_NOTICE_S: Final = 1.0
"""Seconds from ``/ready`` saying that this process leaves to the end of its listeners."""


@click.command(
    epilog="Example: ocpi-gateway run --config /etc/ocpi-gateway --data /var/lib/ocpi-gateway --workers 2",
)
@config_option
@data_option
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="So many processes on one port; each has an admin port of its own, counted from the configured one.",
)
@click.option("--worker", type=int, default=None, hidden=True)
@click.pass_obj
def run(
    tools: Tools, folder: Path | None, data: Path | None, log_level: str, workers: int, worker: int | None
) -> None:  # fmt: skip
    """Run the gateway until SIGTERM or Ctrl-C.

    Reads the whole configuration first: with any mistake in it, all of them are printed and the exit code is 78.
    Without redis.url in gateway.yaml it starts its own durable redis-server in the data folder.

    SIGHUP reads the configuration again: partners that are new, gone or different are taken over without a request
    lost. With a mistake in it, or a file gone whose partner is still owed something, everything stays as it was.
    """
    early: list[int] = []  # a SIGHUP that comes while this process starts
    signal.signal(signal.SIGHUP, lambda number, _: early.append(number))
    config = find_config(folder)
    try:
        settings = load(config, tools.versions, os.environ)
    except Mistakes as mistakes:
        refuse("\n".join(str(mistake) for mistake in mistakes.mistakes))
    telemetry.configure(level=log_level)
    _use_fast_loop()
    where = data_folder(data)
    try:
        if workers > 1 and worker is None:
            if not settings.listen.port or not settings.admin.listen.port:
                refuse("several workers share a port, so it has to be named: port 0 is for one")
            if 0 <= settings.listen.port - settings.admin.listen.port < workers:
                refuse("`listen` has one of the workers' admin ports: these are counted from `admin.listen`")
            crew = Crew(workers, ("--config", str(config), "--data", str(where), "--log-level", log_level))
            raise SystemExit(asyncio.run(crew.run(settings, where)))
        if worker is None or worker == 0:
            _warn(settings)
        asyncio.run(_Process(tools, config, where, worker, early).serve(settings))
    except (NoServer, InUse) as error:
        refuse(str(error))
    except OSError as error:
        refuse(f"can't listen: {error}; see `listen` and `admin.listen` in gateway.yaml")


@frozen
class _Process:
    """One gateway process and its signals.

    Attributes:
        worker: which of several it is; None for one alone.
        early: the SIGHUPs that came before it could act on them.
    """

    tools: Tools
    config: Path
    data: Path
    worker: int | None
    early: Sequence[int]

    async def serve(self, settings: Settings) -> None:
        """Until SIGTERM or SIGINT."""
        stop, again = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, again.set)
        if self.early:
            again.set()
        shared = self.worker is not None
        async with self.tools.serve(self._own(settings), self.data, shared=shared, notice=_NOTICE_S) as gateway:
            # What lives as long as the process need not be looked through by every collection: a third off the tail.
            gc.collect()
            gc.freeze()
            gc.set_threshold(50_000, 20, 100)
            files = _Watched(settings.secret_files)
            tasks = [
                asyncio.create_task(self._reload(gateway.reload, again, files), name="reload"),
                asyncio.create_task(files.changed(again), name="secret files"),
            ]
            await stop.wait()
            for task in tasks:
                task.cancel()

    def _own(self, settings: Settings) -> Settings:
        """The settings of this worker: each has an admin port of its own."""
        if not self.worker:
            return settings
        address = settings.admin.listen
        admin = evolve(settings.admin, listen=evolve(address, port=address.port + self.worker))
        return evolve(settings, admin=admin)

    async def _reload(
        self, reload: Callable[[Settings], Awaitable[Any]], again: asyncio.Event, files: _Watched
    ) -> None:
        """Read the configuration again each time that somebody asks for it."""
        while await again.wait():
            again.clear()
            started = time.monotonic()
            try:
                # Two hundred files take a second, in which requests want to be answered.
                settings = await asyncio.to_thread(load, self.config, self.tools.versions, os.environ)
                await reload(self._own(settings))
                files.paths = settings.secret_files
            except Mistakes as mistakes:
                for mistake in mistakes.mistakes:
                    log.error("config.mistake", at=str(mistake), todo="correct it and send SIGHUP again")
                self._told(well=False)
            except (StillOwed, NotDurable) as error:
                log.error("config.refused", reason=str(error), todo="everything is as before; send SIGHUP again then")
                self._told(well=False)
            else:
                if not self.worker:
                    _warn(settings)
                log.info("config.read", ms=round((time.monotonic() - started) * 1000))
                self._told(well=True)

    @staticmethod
    def _told(*, well: bool) -> None:
        telemetry.CONFIG_CURRENT.set(well)
        telemetry.CONFIG_RELOADS.labels("taken" if well else "refused").inc()


@define
class _Watched:
    """The files that secrets come from. A mounted secret is replaced, and nobody sends a signal."""

    paths: Sequence[Path]

    async def changed(self, again: asyncio.Event) -> None:
        """Ask for a reload each time that one of them has changed."""
        known = self._looks()
        while True:
            await asyncio.sleep(_LOOK_S)
            looks = self._looks()
            if any(known.get(path, look) != look for path, look in looks.items()):
                again.set()
            known |= looks

    def _looks(self) -> dict[Path, tuple[int, int, int]]:
        looks = {}
        for path in self.paths:
            with suppress(OSError):  # between the old one and the new one there may be none
                found = path.stat()
                looks[path] = (found.st_ino, found.st_mtime_ns, found.st_size)
        return looks


def _warn(settings: Settings) -> None:
    """Tell what may be used, and had better be different."""
    for warning in settings.warnings:
        log.warning("config.warning", at=str(warning))


def _use_fast_loop() -> None:
    """uvloop, where the extra ``fast`` is installed: a seventh more requests per second."""
    if sys.platform == "win32":
        return
    with suppress(ImportError):
        import uvloop  # type: ignore[import-not-found, unused-ignore]  # an extra

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
