"""How tasks are ended that work until they are cancelled."""

from __future__ import annotations

import asyncio
from typing import Any, Final

_AGAIN_S: Final = 0.2


async def cancelled(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks, and wait until they have ended."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        # Once isn't enough: a cancellation that meets the end of a write to Redis gets lost in asyncio.wait_for (before
        # Python 3.12).
        _, running = await asyncio.wait(running, timeout=_AGAIN_S)
