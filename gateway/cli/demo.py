"""``ocpi-gateway demo``: the main job in one command."""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import click

from gateway import telemetry
from gateway.cli.options import refuse
from gateway.demo.chapters import plot
from gateway.demo.story import CAST, consumers, sources
from gateway.demo.telling import Story
from gateway.demo.world import World
from gateway.store.embedded import NoServer


@click.command(epilog="Example: ocpi-gateway demo --keep")
@click.option("--keep", is_flag=True, help="Leave it running afterwards, until Ctrl-C.")
def demo(keep: bool) -> None:
    """Play charging sessions between a backend, two eMSPs and a hub, on loopback, without any configuration.

    Starts an embedded Redis, the gateway, a 2.2.1 backend, a 2.1.1 eMSP that writes alpha-3 country codes, a 2.2.1
    eMSP, a hub with two more behind it, and a 2.1.1 app for drivers without a contract. Registers them, tells who is
    there, takes three sessions from location to CDR, one of them started and one stopped by a command, reads lists,
    imports prices from a feed and serves them, and changes keys. Each line is a message as it crosses. Exit code 0 only
    if everybody received exactly what they must.
    """
    started = time.perf_counter()
    story = Story(click.echo)
    with tempfile.TemporaryDirectory(prefix="ocpi-gateway-demo-") as folder:
        log = Path(folder) / "gateway.log"
        with log.open("w") as stream:
            telemetry.configure(stream=stream)
            try:
                asyncio.run(_play(story, Path(folder), started, keep=keep))
            except NoServer as error:
                refuse(str(error))
        if story.wrong:
            click.echo("\nThe gateway's own log of it:")
            click.echo(log.read_text())
    raise SystemExit(1 if story.wrong else 0)


async def _play(story: Story, folder: Path, started: float, *, keep: bool) -> None:
    async with World.of(folder, *CAST, feeds=sources(), consumers=consumers()) as world:
        with telemetry.watching(story.crossed):
            try:
                await story.play(world, plot(world))
            except (AssertionError, TimeoutError) as error:
                # A delivery that never came: the story can't go on.
                story.wrong.append(str(error) or "a delivery didn't come in time")
                click.echo(f"  WRONG   {story.wrong[-1]}")
        _sum_up(story, time.perf_counter() - started)
        if keep:
            host, port = world.gateway.admin
            click.echo(f"\nStill running. Health and metrics: http://{host}:{port}/ready and /metrics. Ctrl-C ends it.")
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()


def _sum_up(story: Story, seconds: float) -> None:
    lost = sum(len(crossing.losses) for crossing in story.crossings)
    click.echo(
        f"\n{len(story.crossings)} messages crossed, {lost} values were lost and said so, "
        f"{story.checked} checks, {len(story.wrong)} wrong, {seconds:.1f} s"
    )
    click.echo("All of it arrived as it must." if not story.wrong else "Something is off: see WRONG above.")
