"""Whom an id on the command line means, and what to say when it means nobody."""

from __future__ import annotations

from collections.abc import Collection

import click

from gateway.settings import LinkSettings, Settings
from gateway.settings.grammar import did_you_mean


def link_of(settings: Settings, id_: str) -> LinkSettings:
    """The link that is meant.

    Raises:
        click.UsageError: there is none (exit code 2).
    """
    links = {link.id: link for link in settings.links}
    if id_ not in links:
        raise no_link(settings, id_, links)
    return links[id_]


def no_link(settings: Settings, id_: str, links: Collection[str]) -> click.UsageError:
    """Says that there is no such link: what it is instead, which one was perhaps meant, or which ones there are."""
    if any(feed.id == id_ for feed in settings.feeds):
        return click.UsageError(
            f"`{id_}` is a price feed, and no link: nothing is registered with it, pushed to it or owed to it;"
            " see `ocpi-gateway prices status`"
        )
    if any(consumer.id == id_ for consumer in settings.consumers):
        return click.UsageError(
            f"`{id_}` is a consumer of prices, and no link: nothing is registered with it, pushed to it or owed to it;"
            f" see `ocpi-gateway partner show {id_}`"
        )
    hint = did_you_mean(id_, links) or f": the links are {', '.join(links)}"
    return click.UsageError(f"there is no link `{id_}`{hint}")
