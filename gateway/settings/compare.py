"""What is different between two readings of the configuration: what a reload has to do, and what it can't."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
from attrs import frozen

from gateway.settings.links import LinkSettings
from gateway.settings.load import Settings

_FIXED: Final = frozenset({"listen", "admin", "redis"})
"""What is settled when a process starts: listeners, and where state is kept."""

_ASIDE: Final = frozenset({"folder", "links", "secret_files", "warnings"})


class StillOwed(Exception):
    """A link whose file is gone is owed something. The text says what, and what to do about it."""


@frozen
class Difference:
    """What is new, gone and different, by the ids of links and the keys of ``gateway.yaml``.

    Attributes:
        added, removed, changed: ids of backends and partners.
        gateway: keys of ``gateway.yaml`` that are taken over.
        restart: keys of ``gateway.yaml`` that count only after a restart.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    gateway: tuple[str, ...]
    restart: tuple[str, ...]


def compare(before: Settings, after: Settings) -> Difference:
    """From the one to the other."""
    old, new = _links(before), _links(after)
    keys = [field.name for field in attrs.fields(Settings) if field.name not in _ASIDE]
    differing = [key for key in keys if getattr(before, key) != getattr(after, key)]
    return Difference(
        added=tuple(id for id in new if id not in old),
        removed=tuple(id for id in old if id not in new),
        changed=tuple(id for id, link in new.items() if id in old and old[id] != link),
        gateway=tuple(key for key in differing if key not in _FIXED),
        restart=tuple(key for key in differing if key in _FIXED),
    )


def taken_over(before: Settings, after: Settings) -> Settings:
    """The new settings, with what only a restart can change as it was."""
    fixed: Mapping[str, Any] = {key: getattr(before, key) for key in _FIXED}
    return attrs.evolve(after, **fixed)


def _links(settings: Settings) -> dict[str, LinkSettings]:
    return {link.id: link for link in settings.links}
