"""What an operator of the gateway does while a story runs: change a file, and start the gateway again."""

from __future__ import annotations

import os

from gateway.app import ADAPTERS
from gateway.demo.world import World
from gateway.settings import load


async def refiled(stage: World, name: str, old: str, new: str) -> None:
    """Replace a piece of a partner's file, start the gateway again, and wait until it has worked out what follows."""
    path = stage.folder / "config" / "partners" / f"{name}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    stage.settings = load(
        stage.folder / "config",
        {version: adapter.sends_routing_headers for version, adapter in ADAPTERS.items()},
        os.environ,
    )
    await again(stage)


async def again(stage: World) -> None:
    """Start the gateway again, and wait until every link is owed what it is owed for what it is."""
    await stage.restart()
    await stage.gateway.joined()
