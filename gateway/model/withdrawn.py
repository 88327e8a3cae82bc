"""What an object becomes when its receiver is to have it no more.

OCPI deletes neither locations nor tokens: the EVSEs of the one become REMOVED (2.2.1 ``mod_locations``, Status enum),
the other isn't valid any more (``mod_tokens``, Token object). A tariff is deleted, and stays what it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.model.modules import Module


def withdrawn(module: Module, obj: Mapping[str, Any], stamp: str) -> dict[str, Any]:
    """The object, in whatever version's form, as of this DateTime."""
    match module:
        case Module.LOCATIONS:
            evses = [{**evse, "status": "REMOVED", "last_updated": stamp} for evse in obj.get("evses") or ()]
            return {**obj, "evses": evses, "last_updated": stamp}
        case Module.TOKENS:
            return {**obj, "valid": False, "last_updated": stamp}
        case _:
            return dict(obj)


def is_withdrawn(module: Module, obj: Mapping[str, Any]) -> bool:
    """Whether there is nothing left to withdraw."""
    match module:
        case Module.LOCATIONS:
            return all(evse["status"] == "REMOVED" for evse in obj.get("evses") or ())
        case Module.TOKENS:
            return not obj["valid"]
        case _:
            return False
