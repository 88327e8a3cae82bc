"""What a link may see of what others own: a selection of locations and tariffs, and what it gets while it is tried out.

A selection is intent of the operator, in its file: by id, by the beginning of EVSE ids, by the name of an operator. It
holds on every way out of the gateway: pushes, lists, single reads and commands. Pure functions over canonical objects.

A location is one thing here: it is in or out as a whole. An EVSE id is compared without separators and case, because
peers write ``NL*EXA*E1`` and ``NLEXAE1`` for the same thing (2.2.1 ``mod_locations``, EVSE object, ``evse_id``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from attrs import field, frozen

from gateway.model.modules import Module
from gateway.model.names import fold


def _folded(ids: Iterable[str]) -> frozenset[str]:
    return frozenset(map(fold, ids))


def _folded_keys(ids: Mapping[str, str]) -> dict[str, str]:
    return {fold(id): shown for id, shown in ids.items()}


def bare(evse_id: str) -> str:
    """An EVSE id, or the beginning of one, without separators and case."""
    return "".join(filter(str.isalnum, fold(evse_id)))


@frozen(kw_only=True)
class Locations:
    """Which locations: those that match ``only`` (empty: all), without those that match ``besides``.

    An entry matches a location by its id, by the name of its operator, or as the beginning of an EVSE id in it.
    """

    only: tuple[str, ...] = ()
    besides: tuple[str, ...] = ()

    def sees(self, location: Mapping[str, Any]) -> bool:
        """Whether a canonical location is in the selection."""
        if self.only and not _matches(self.only, location):
            return False
        return not _matches(self.besides, location)


def _matches(entries: Collection[str], location: Mapping[str, Any]) -> bool:
    if not entries:
        return False  # most links select nothing, and a location may have hundreds of EVSEs
    operator = (location.get("operator") or {}).get("name")
    names = {fold(name) for name in (location.get("id"), operator) if isinstance(name, str)}
    evses = [bare(id) for evse in location.get("evses") or () if isinstance(id := evse.get("evse_id"), str)]
    return any(fold(entry) in names or _begins(bare(entry), evses) for entry in entries)


def _begins(prefix: str, evses: Iterable[str]) -> bool:
    return bool(prefix) and any(evse.startswith(prefix) for evse in evses)


@frozen(kw_only=True)
class Tariffs:
    """Which tariffs (``only``, empty: all), and the ids that some of them have towards this link.

    Ids compare without case. Configuration refuses two that would have one name.
    """

    only: frozenset[str] = field(default=frozenset(), converter=_folded)
    names: Mapping[str, str] = field(factory=dict, converter=_folded_keys)

    def shown(self, id: str) -> str | None:
        """The id under which a tariff is shown; None for one that isn't."""
        if self.only and fold(id) not in self.only:
            return None
        return self.names.get(fold(id), id)

    def meant(self, shown: str) -> str:
        """The id that the owner knows, for one that this link uses."""
        return next((id for id, name in self.names.items() if fold(name) == fold(shown)), shown)


@frozen(kw_only=True)
class Share:
    """What one link may see."""

    locations: Locations = Locations()
    tariffs: Tariffs = Tariffs()

    def sees(self, module: Module, canonical: Mapping[str, Any]) -> bool:
        """Whether a canonical object is in the selection. What is between two parties always is: sessions, CDRs."""
        if module is Module.LOCATIONS:
            return self.locations.sees(canonical)
        if module is Module.TARIFFS:
            return self.tariffs.shown(str(canonical.get("id"))) is not None
        return True


@frozen(kw_only=True)
class Pilot:
    """What a link that is tried out gets besides what is addressed to it: locations by id, tokens by uid."""

    locations: frozenset[str] = field(default=frozenset(), converter=_folded)
    tokens: frozenset[str] = field(default=frozenset(), converter=_folded)

    def names_location(self, id: str) -> bool:
        return fold(id) in self.locations

    def names_token(self, uid: str) -> bool:
        return fold(uid) in self.tokens
