"""What the verbs share: their options, where configuration and data lie, and how a mistake ends the process."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click
from attrs import frozen

from gateway.ports import Adapter, PriceShapes
from gateway.prices import PriceFeeds
from gateway.settings import Settings
from gateway.settings.values import SCALARS
from gateway.store.redis import Store

BAD_CONFIGURATION: Final = 78
"""Exit code for configuration that can't be used (sysexits' EX_CONFIG)."""

F = TypeVar("F", bound=Callable[..., Any])


@frozen
class Tools:
    """What the composition root hands to the verbs (``click.Context.obj``).

    Attributes:
        adapters: by version, oldest first.
        price_shapes: of price feeds.
        serve: runs a gateway: ``serve(settings, data)``, an asynchronous context manager.
        price_feeds: price feeds over a store: ``price_feeds(settings, store)``, an asynchronous context manager.
    """

    adapters: Mapping[str, Adapter]
    price_shapes: PriceShapes
    serve: Callable[..., Any]
    price_feeds: Callable[[Settings, Store], AbstractAsyncContextManager[PriceFeeds]]

    @property
    def versions(self) -> Mapping[str, bool]:
        """Each version, and whether its messages name sender and receiver."""
        return {version: adapter.sends_routing_headers for version, adapter in self.adapters.items()}


def config_option(verb: F) -> F:
    """``--config DIR``."""
    return click.option(
        "--config", "folder", type=click.Path(path_type=Path), default=None,
        help="Folder of the configuration.  [default: ./config]",
    )(verb)  # fmt: skip


def data_option(verb: F) -> F:
    """``--data DIR``."""
    return click.option(
        "--data", type=click.Path(path_type=Path, file_okay=False), default=None,
        help="Folder of the embedded Redis.  [default: $STATE_DIRECTORY, else ~/.local/state/ocpi-gateway]",
    )(verb)  # fmt: skip


def json_option(verb: F) -> F:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")(verb)


def data_folder(given: Path | None) -> Path:
    """Where the embedded Redis keeps its files."""
    if given is not None:
        return given
    if state := os.environ.get("STATE_DIRECTORY"):
        return Path(state.split(":")[0])
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "ocpi-gateway"


def moment_of(text: str, option: str, *, ago: bool = False) -> datetime:
    """A time that is given as one, or as a duration from now.

    Args:
        option: which says so, for whoever reads the error.
        ago: a duration leads into the past.

    Raises:
        click.UsageError: it is neither, or beyond the calendar.
    """
    try:
        distance: timedelta | None = SCALARS[timedelta].read(text)
    except ValueError:
        distance = None
    try:
        if distance is not None:
            return datetime.now(UTC) + (-distance if ago else distance)
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise click.UsageError(f"{option}: {text!r} has no time zone: write {text}Z for UTC")
        return moment.astimezone(UTC)
    except OverflowError:
        raise click.UsageError(f"{option}: that is further than the calendar goes") from None
    except ValueError:
        raise click.UsageError(f"{option}: {text!r} is neither a duration such as 2h nor a time") from None


def moment_text(ms: int) -> str | None:
    """A time in milliseconds since 1970 as verbs print it, to the second; None for 0, which is no time."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}" if ms > 0 else None


def refuse(text: str) -> NoReturn:
    """End with exit code 78, saying why on standard error."""
    click.echo(text, err=True)
    raise SystemExit(BAD_CONFIGURATION)
