"""``ocpi-gateway run``: the gateway itself."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import click

from gateway import telemetry
from gateway.cli.options import Tools, config_option, data_folder, data_option, refuse
from gateway.settings import Mistakes, Settings, find_config, load
from gateway.store.embedded import InUse, NoServer


@click.command(
    epilog="Example: ocpi-gateway run --config /etc/ocpi-gateway --data /var/lib/ocpi-gateway",
)
@config_option
@data_option
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.pass_obj
def run(tools: Tools, folder: Path | None, data: Path | None, log_level: str) -> None:
    """Run the gateway until SIGTERM or Ctrl-C.

    Reads the whole configuration first: with any mistake in it, all of them are printed and the exit code is 78.
    Without redis.url in gateway.yaml it starts its own durable redis-server in the data folder.
    """
    try:
        settings = load(find_config(folder), tools.versions, os.environ)
    except Mistakes as mistakes:
        refuse("\n".join(str(mistake) for mistake in mistakes.mistakes))
    telemetry.configure(level=log_level)
    for warning in settings.warnings:
        click.echo(f"warning: {warning}", err=True)
    _use_fast_loop()
    try:
        asyncio.run(_serve(tools, settings, data_folder(data)))
    except (NoServer, InUse) as error:
        refuse(str(error))
    except OSError as error:
        refuse(f"can't listen: {error}; see `listen` and `admin.listen` in gateway.yaml")


async def _serve(tools: Tools, settings: Settings, data: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with tools.serve(settings, data):
        # What lives as long as the process need not be looked through by every collection: a third off the tail.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        await stop.wait()


def _use_fast_loop() -> None:
    """uvloop, where the extra ``fast`` is installed: a seventh more requests per second."""
    if sys.platform == "win32":
        return
    with suppress(ImportError):
        import uvloop  # type: ignore[import-not-found, unused-ignore]  # an extra

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
