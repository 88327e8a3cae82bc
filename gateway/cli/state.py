"""What lies in Redis, for verbs that look at it whether a gateway runs or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

import click

from gateway import telemetry
from gateway.cli.options import Tools, refuse
from gateway.model.errors import NotDurable
from gateway.settings import Mistakes, Settings, find_config, load
from gateway.store.embedded import NoServer, attach_or_start
from gateway.store.redis import Store
from gateway.store.split import configured

T = TypeVar("T")

_AWAY: Final = "unix:///nonexistent"


def loaded(tools: Tools, folder: Path | None) -> Settings:
    """The configuration, for a verb that says itself what it finds. What can't be used ends it with exit code 78."""
    telemetry.configure(level="critical")
    try:
        return load(find_config(folder), tools.versions)
    except Mistakes as found:
        refuse(str(found))


def done_with(settings: Settings, data: Path, what: Callable[[Store], Awaitable[T]]) -> T:
    """What comes of it with what is in Redis; a Redis that is away ends the verb with exit code 1."""

    async def done() -> T:
        async with opened(settings, data) as store:
            return await what(store)

    try:
        return asyncio.run(done())
    except NotDurable as error:
        click.echo(f"what is kept can't be looked at: {error.message}; see ocpi-gateway doctor", err=True)
        raise SystemExit(1) from None


@asynccontextmanager
async def opened(settings: Settings, data: Path) -> AsyncIterator[Store]:
    """The store of this configuration: the configured Redis, else the embedded one of the data folder.

    The embedded one is attached to where it lives, and started for as long as this lasts where it doesn't. Where no
    server can be had, it is a store that is away: all that it is asked raises NotDurable.
    """
    if settings.redis.url is not None:
        store = configured(settings, data, settings.redis.url.value)
        try:
            yield store
        finally:
            await store.aclose()
        return
    try:
        embedded = await attach_or_start(data)
    except NoServer:
        embedded = None
    store = configured(settings, data, embedded.url if embedded else _AWAY)
    try:
        yield store
    finally:
        await store.aclose()
        if embedded is not None:
            await embedded.stop()
