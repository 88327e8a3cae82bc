"""Objects as they stand after PUT, PATCH and DELETE, by the rules of one version.

A PUT replaces; a PATCH replaces the fields it has, and nothing below them (``transport_and_format``, PATCH). The one
exception is 2.2.1's: ``charging_periods`` in the PATCH of a Session are added to those that are there (2.2.1
``mod_sessions``, PATCH). An EVSE or Connector that changes gives its ``last_updated`` to its parents (2.2.1
``mod_locations``, PUT and PATCH).
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

from attrs import define, field

from gateway.demo.identity import SENDERS, Identity, Party
from gateway.demo.objects import NEW

Object = dict[str, Any]

# What a Location's inner objects are called and identified by, level by level.
_LEVELS: Final = (("evses", "uid"), ("connectors", "id"))


def owner_of(key: str) -> Party:
    """Whose object lies under this key of a shelf."""
    country, party = key.split("/")[:2]
    return country, party


class Unknown(LookupError):
    """There is no such object."""


@define
class Shelf:
    """Objects by module and key, as the platform ``who`` keeps them.

    A key is ``CC/PARTY/id`` as the owner wrote them, for 2.2.1 tokens ``.../TYPE``. A ClientInfo is kept under
    ``CC/PARTY/ROLE``, a charging profile under its session's id.
    """

    who: Identity
    objects: dict[str, dict[str, Object]] = field(factory=lambda: {module: {} for module in SENDERS})

    def get(self, module: str, key: str, deeper: tuple[str, ...] = ()) -> Object:
        """The object, or the EVSE or connector inside it. Raises Unknown."""
        return self._chain(module, key, deeper)[-1]

    def with_id(self, module: str, id: str) -> Object:
        """The one object with that id (of a token: uid), whoever owns it. Raises Unknown if there isn't exactly one."""
        return self.objects[module][self.key_of(module, id)]

    def key_of(self, module: str, id: str, owner: Party | None = None) -> str:
        """The key of the one object with that id, of ``owner`` if given. Raises Unknown if there isn't exactly one."""
        name = "uid" if module == "tokens" else "id"
        keys = [key for key, obj in self.objects[module].items() if obj.get(name) == id]
        found = [key for key in keys if owner is None or owner_of(key) == owner]
        if len(found) != 1:
            raise Unknown(f"{len(found)} {module} with id {id}; there are {sorted(self.objects[module])}")
        return found[0]

    def put(self, module: str, key: str, obj: Object, deeper: tuple[str, ...] = ()) -> bool:
        """Store or replace. True if it is new. Raises Unknown if the parent of an EVSE or connector is."""
        obj = deepcopy(obj)  # what was received or given stays as it was, whatever is merged later
        if not deeper:
            new = key not in self.objects[module]
            self.objects[module][key] = obj
            return new
        parents = self._chain(module, key, deeper[:-1])
        name, id_name = _LEVELS[len(deeper) - 1]
        siblings = parents[-1].get(name) or []
        new = all(sibling[id_name] != deeper[-1] for sibling in siblings)
        kept = [obj if sibling[id_name] == deeper[-1] else sibling for sibling in siblings]
        parents[-1][name] = [*kept, obj] if new else kept
        _touch(parents, obj)
        return new

    def patch(self, module: str, key: str, changes: Object, deeper: tuple[str, ...] = ()) -> None:
        """Merge into what is there. Raises Unknown."""
        *parents, target = self._chain(module, key, deeper)
        for name, value in deepcopy(changes).items():
            if module == "sessions" and name == "charging_periods" and self.who.version == NEW:
                target[name] = [*(target.get(name) or []), *(value or [])]
            elif value is None:
                target.pop(name, None)
            else:
                target[name] = value
        _touch(parents, changes)

    def delete(self, module: str, key: str) -> None:
        """Raises Unknown."""
        if self.objects[module].pop(key, None) is None:
            raise Unknown(f"no {module} {key}")

    def _chain(self, module: str, key: str, deeper: tuple[str, ...]) -> list[Object]:
        if key not in self.objects[module]:
            raise Unknown(f"no {module} {key}")
        return list(_down(self.objects[module][key], deeper))


def _down(obj: Object, deeper: tuple[str, ...]) -> Iterator[Object]:
    yield obj
    for wanted, (name, id_name) in zip(deeper, _LEVELS, strict=False):
        inner = next((item for item in obj.get(name) or [] if item[id_name] == wanted), None)
        if inner is None:
            raise Unknown(f"no {wanted} in {name}")
        obj = inner
        yield obj


def _touch(parents: list[Object], change: Object) -> None:
    if change.get("last_updated"):
        for parent in parents:
            parent["last_updated"] = change["last_updated"]
