"""Locations as they are served: those of a feed, read on, in 2.1.1.

What a feed says of a place is passed on as it was read, with the fields that nobody knows: no table is laid beside it,
nothing is refused, and what is odd stays odd. Only what must be is touched. A location of 2.2 gets the names of 2.1.1;
a status that was pushed since stands in the place of the one that was read; a location that the feed has no more says
so on each of its EVSEs.

Spec: 2.1.1 and 2.2.1 ``mod_locations``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeGuard

from gateway.model.names import fold
from gateway.model.types import Number
from gateway.model.values import moment

_REMOVED: Final = "REMOVED"
_STAMP: Final = "last_updated"
_TYPES: Final[Mapping[str, str]] = {"ALONG_MOTORWAY": "OTHER", "ON_DRIVEWAY": "OTHER"}  # 2.1.1 has no such types
_ONLY_NEWER: Final = frozenset({"country_code", "party_id", "publish", "publish_allowed_to", "state"})
_RENAMED: Final[Mapping[str, str]] = {"max_voltage": "voltage", "max_amperage": "amperage"}
_WATTS: Final = "max_electric_power"
_KILOWATTS: Final = "max_power"  # a feed's own, in its 2.1.1
# What a status push can't be about: it would make another EVSE of it.
_NO_STATUS: Final = frozenset({"uid", "evse_id", "connectors"})

Object = dict[str, Any]


def lower_location(row: Mapping[str, Any]) -> Object | None:
    """A location of 2.2 with the names of 2.1.1; None if it mustn't be published."""
    if row.get("publish") in (False, "false"):
        return None
    location = {name: said for name, said in row.items() if name not in _ONLY_NEWER and name != "parking_type"}
    kind = row.get("parking_type") or row.get("type") or "UNKNOWN"
    location["type"] = _TYPES.get(kind, kind) if isinstance(kind, str) else kind
    return _each_evse(location, lambda evse: _each(evse, "connectors", _lowered_connector))


def _lowered_connector(connector: Object) -> Object:
    made = {_RENAMED.get(name, name): said for name, said in connector.items() if name not in (_WATTS, "tariff_ids")}
    watts, tariffs = connector.get(_WATTS), connector.get("tariff_ids")
    if _is_number(watts):
        made.setdefault(_KILOWATTS, _kilowatts(watts))
    if isinstance(tariffs, list) and tariffs:
        made.setdefault("tariff_id", tariffs[0])
    return made


def _kilowatts(watts: Number) -> Number:
    kilowatts = Decimal(watts) / 1000
    return int(kilowatts) if kilowatts == kilowatts.to_integral_value() else kilowatts


def with_statuses(location: Mapping[str, Any], told: Mapping[str, Mapping[str, Any]]) -> Object:
    """A location with what was pushed of its EVSEs, where that isn't older than what it says itself.

    Args:
        told: by EVSE uid, folded, as ``read_status`` made it.
    """
    newest = location.get(_STAMP)

    def evse(given: Object) -> Object:
        nonlocal newest
        push = told.get(fold(str(given.get("uid"))))
        if push is None or not is_newer(push, given, location):
            return given
        newest = push[_STAMP] if _later(push[_STAMP], newest) else newest
        return {**given, **push}

    made = _each_evse(location, evse)
    return made if newest == location.get(_STAMP) else {**made, _STAMP: newest}


def is_newer(push: Mapping[str, Any], *known: Mapping[str, Any]) -> bool:
    """Whether a pushed status may stand over what it is about: the first of these that says when it was updated.

    Of two with one moment the push counts: it came later.
    """
    stamp = next((each[_STAMP] for each in known if _is_moment(each.get(_STAMP))), None)
    return stamp is None or moment(push[_STAMP]) >= moment(stamp)


def evse_uids(location: Any) -> list[str]:
    """The uids of its EVSEs, those of EVSEs without connectors too."""
    evses = location.get("evses") if isinstance(location, dict) else None
    given = [evse.get("uid") for evse in evses if isinstance(evse, dict)] if isinstance(evses, list) else []
    return [str(uid) for uid in given if uid is not None]


def evse_of(location: Mapping[str, Any], uid: str) -> Mapping[str, Any] | None:
    """The EVSE of this uid, compared without case."""
    evses = location.get("evses")
    for evse in evses if isinstance(evses, list) else ():
        if isinstance(evse, dict) and fold(str(evse.get("uid"))) == fold(uid):
            return evse
    return None


def status_only(body: Mapping[str, Any]) -> Object:
    """What a push says of an EVSE, without what would make another EVSE of it."""
    return {name: said for name, said in body.items() if name not in _NO_STATUS}


def withdraw_location(location: Mapping[str, Any], since: str) -> Object:
    """A location that is no more. OCPI deletes none: its EVSEs become REMOVED.

    Args:
        since: DateTime.
    """
    made = _each_evse(location, lambda evse: {**evse, "status": _REMOVED, _STAMP: since})
    return {**made, _STAMP: since}


def _each_evse(location: Mapping[str, Any], change: Callable[[Object], Object]) -> Object:
    return _each(location, "evses", change)


def _each(source: Mapping[str, Any], name: str, change: Callable[[Object], Object]) -> Object:
    """An object in whose list of this name each object is changed; whatever else stands there stays."""
    given = source.get(name)
    if not isinstance(given, list):
        return dict(source)
    return {**source, name: [change(item) if isinstance(item, dict) else item for item in given]}


def _later(one: str, other: Any) -> bool:
    return not _is_moment(other) or moment(one) > moment(other)


def _is_moment(given: Any) -> bool:
    if not isinstance(given, str):
        return False
    try:
        moment(given)
    except ValueError:
        return False
    return True


def _is_number(given: Any) -> TypeGuard[Number]:
    return isinstance(given, int | Decimal) and not isinstance(given, bool)
