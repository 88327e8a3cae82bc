"""Price feeds, and consumers whom we serve prices, as files have them: for ``check`` and ``partner``. Never a token."""

from __future__ import annotations

from typing import Any, Final

from gateway.settings import ConsumerSettings, FeedSettings, Kind
from gateway.settings.values import duration_text

_ALWAYS: Final = "always"


def shown(file: FeedSettings | ConsumerSettings) -> dict[str, Any]:
    """One of them as JSON value: durations and shares as in files, ``window`` in words."""
    said = {"id": file.id, "name": file.name, "kind": Kind.PRICES.value}
    if isinstance(file, ConsumerSettings):
        return said | {"consumer": {"audience": _audience(file), "redistribute": file.redistribute}}
    feed = {
        "shape": file.shape.value,
        "version": file.version,
        **_urls(file),
        "scheme": file.scheme,
        "pushes": bool(file.token_in),
        "every": duration_text(file.every),
        "window": str(file.window or _ALWAYS),
        "page_limit": file.page_limit,
        "refuse": {"shrink": _percent(file.shrink), "dangling": _percent(file.dangling)},
        "retire_after": duration_text(file.retire_after),
    }
    return said | {"feed": feed, "owners": {theirs: str(party) for theirs, party in file.owners.items()}}


def summary(file: FeedSettings | ConsumerSettings) -> str:
    """One of them on one line."""
    if isinstance(file, ConsumerSettings):
        return f"{file.id} ({Kind.PRICES}, consumer): {', '.join(_audience(file))}; {_of_feeds(file)}"
    read = f"every {duration_text(file.every)}, {file.window or _ALWAYS}"
    return f"{file.id} ({Kind.PRICES}, feed): {file.shape} shape, {file.version} locations; {read}"


def lines(file: FeedSettings | ConsumerSettings) -> list[str]:
    """One of them in full, for people."""
    if isinstance(file, ConsumerSettings):
        return [
            f"{file.id}: {file.name} ({Kind.PRICES}, a consumer)",
            f"  sees prices of {', '.join(_audience(file))}; {_of_feeds(file)}",
            f"  asks with {' or '.join('***' for _ in file.token_in)}",
        ]
    pushes = "pushes statuses with a token of ours" if file.token_in else "pushes nothing"
    told = [
        f"{file.id}: {file.name} ({Kind.PRICES}, a feed)",
        f"  {file.shape} shape, {file.version} locations; {pushes}",
        f"  asked with Authorization: {file.scheme} ***",
        *(f"  {name}  {url}" for name, url in _urls(file).items() if url),
        f"  every {duration_text(file.every)}, {file.window or _ALWAYS}; {file.page_limit} rows to a page",
        f"  refused when {_percent(file.shrink)} of a list are gone, or {_percent(file.dangling)} of prices missing",
        f"  tariffs that left it stay for {duration_text(file.retire_after)}",
    ]
    owners = ", ".join(f"{theirs} is {party}" for theirs, party in file.owners.items())
    return [*told, f"  owners: {owners}"] if owners else told


def _urls(feed: FeedSettings) -> dict[str, str | None]:
    return {
        "locations_url": feed.locations_url,
        "prices_url": feed.prices_url,
        "connector_prices_url": feed.connector_prices_url,
    }


def _audience(consumer: ConsumerSettings) -> list[str]:
    return sorted(audience.value for audience in consumer.audience)


def _of_feeds(consumer: ConsumerSettings) -> str:
    return "what came from feeds included" if consumer.redistribute else "nothing that came from feeds"


def _percent(share: float) -> str:
    return f"{share * 100:g}%"
