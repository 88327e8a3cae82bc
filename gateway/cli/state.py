"""What lies in Redis, for verbs that look at it whether a gateway runs or not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from gateway.settings import Settings
from gateway.store.embedded import NoServer, attach_or_start
from gateway.store.redis import Store

_AWAY: Final = "unix:///nonexistent"


@asynccontextmanager
async def opened(settings: Settings, data: Path) -> AsyncIterator[Store]:
    """The store of this configuration: the configured Redis, else the embedded one of the data folder.

    The embedded one is attached to where it lives, and started for as long as this lasts where it doesn't. Where no
    server can be had, it is a store that is away: all that it is asked raises NotDurable.
    """
    if settings.redis.url is not None:
        store = Store.connect(settings.redis.url.value, settings.redis.prefix)
        try:
            yield store
        finally:
            await store.aclose()
        return
    try:
        embedded = await attach_or_start(data)
    except NoServer:
        embedded = None
    store = Store.connect(embedded.url if embedded else _AWAY, settings.redis.prefix)
    try:
        yield store
    finally:
        await store.aclose()
        if embedded is not None:
            await embedded.stop()
