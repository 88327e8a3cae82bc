"""What is different between two readings of the configuration: what a reload has to do, and what it can't."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
from attrs import frozen

from gateway.settings.links import LinkSettings
from gateway.settings.load import Settings
from gateway.settings.prices import ConsumerSettings, FeedSettings

_FIXED: Final = frozenset({"listen", "admin", "redis"})
"""What is settled when a process starts: listeners, and where state is kept."""

_ASIDE: Final = frozenset({"folder", "links", "feeds", "consumers", "secret_files", "warnings"})

_Filed = LinkSettings | FeedSettings | ConsumerSettings


class StillOwed(Exception):
    """A link whose file is gone is owed something. The text says what, and what to do about it."""


@frozen
class Difference:
    """What is new, gone and different, by the ids of files and the keys of ``gateway.yaml``.

    Attributes:
        added, removed, changed: ids of links: backends and partners.
        prices_added, prices_removed, prices_changed: ids of price feeds, and of those whom we serve prices.
        gateway: keys of ``gateway.yaml`` that are taken over.
        restart: keys of ``gateway.yaml`` that count only after a restart.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    prices_added: tuple[str, ...]
    prices_removed: tuple[str, ...]
    prices_changed: tuple[str, ...]
    gateway: tuple[str, ...]
    restart: tuple[str, ...]


def compare(before: Settings, after: Settings) -> Difference:
    """From the one to the other."""
    links = _moves(before.links, after.links)
    prices = _moves(before.prices, after.prices)
    keys = [field.name for field in attrs.fields(Settings) if field.name not in _ASIDE]
    differing = [key for key in keys if getattr(before, key) != getattr(after, key)]
    return Difference(
        added=links.added,
        removed=links.removed,
        changed=links.changed,
        prices_added=prices.added,
        prices_removed=prices.removed,
        prices_changed=prices.changed,
        gateway=tuple(key for key in differing if key not in _FIXED),
        restart=tuple(key for key in differing if key in _FIXED),
    )


def taken_over(before: Settings, after: Settings) -> Settings:
    """The new settings, with what only a restart can change as it was."""
    fixed: Mapping[str, Any] = {key: getattr(before, key) for key in _FIXED}
    return attrs.evolve(after, **fixed)


@frozen
class _Moves:
    """What became of files of one kind, by their ids."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


def _moves(before: Iterable[_Filed], after: Iterable[_Filed]) -> _Moves:
    old, new = {each.id: each for each in before}, {each.id: each for each in after}
    return _Moves(
        added=tuple(id for id in new if id not in old),
        removed=tuple(id for id in old if id not in new),
        changed=tuple(id for id, each in new.items() if id in old and old[id] != each),
    )
