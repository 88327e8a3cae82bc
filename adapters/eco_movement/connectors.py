"""Which price holds where: connectors, in both shapes.

In the newer shape ``connector_prices`` says it; in the older one each connector of a location has a ``pricing_id``.
A connector is known by its location, the uid of its EVSE and its own id together: the uids of a feed with many
operators aren't unique, and neither are the ids of connectors.

A location of a feed is 2.1.1's or 2.2's; what prices need of it is the same in both. It is read here for that only;
what else it says is whoever keeps it to carry on, with the fields that nobody knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from adapters.eco_movement import objects as eco
from gateway.model.document import validate
from gateway.model.errors import InvalidObject
from gateway.model.party import Party
from gateway.model.prices import Flag, Linked, Place, Places
from gateway.model.values import pointer

_EMA_ID: Final = re.compile(r"([A-Za-z]{2})[*-]?([A-Za-z0-9]{3})(?:[*-].*)?")
_PRICING_ID: Final = "pricing_id"
_ROW: Final = frozenset({"location_id", "evse_uid", "connector_id", "pricing_ids"})


def read_places(row: Any) -> Places:
    """The connectors of a location, of either version. An EVSE or connector without an id costs itself."""
    location = _text(row, "id")
    if location is None:
        return Places(flags=(Flag("", "", "a location without an id"),))
    operator = row.get("operator")
    ema_ids = tuple(filter(None, map(_as_text, _many(operator, "ema_id")))) if isinstance(operator, dict) else ()
    places: list[Place] = []
    flags: list[Flag] = []
    for at, evse in enumerate(_many(row, "evses")):
        if (uid := _text(evse, "uid")) is None:
            flags.append(Flag(location, pointer(("evses", at)), "an EVSE without a uid"))
            continue
        for index, connector in enumerate(_many(evse, "connectors")):
            if (id := _text(connector, "id")) is None:
                where = pointer(("evses", at, "connectors", index))
                flags.append(Flag(location, where, "a connector without an id"))
                continue
            place = Place(
                location=location,
                evse_uid=uid,
                connector_id=id,
                evse_id=_text(evse, "evse_id"),
                price_id=_text(connector, _PRICING_ID),
                operator=_text(operator, "name"),
                ema_ids=ema_ids,
            )
            places.append(place)
    return Places(tuple(places), tuple(flags))


def read_connector_prices(row: Any) -> Linked | Flag:
    """A row of ``connector_prices``; a Flag, by the location's id, if it can't be read."""
    if isinstance(row, dict) and isinstance(row.get("pricing_ids"), str):
        row = {**row, "pricing_ids": [row["pricing_ids"]]}
    try:
        known = validate(eco.ConnectorPrices, row)
    except InvalidObject as error:
        return Flag(_text(row, "location_id") or "", pointer(steps(error.path)), error.what)
    return Linked(
        location=known["location_id"],
        evse_uid=known["evse_uid"],
        connector_id=known["connector_id"],
        price_ids=tuple(dict.fromkeys(known.get("pricing_ids") or ())),
        more={name: said for name, said in row.items() if name not in _ROW},
    )


def write_connector_prices(linked: Linked, served: Iterable[str]) -> dict[str, Any]:
    """The row for a connector.

    Args:
        served: ids of the prices that hold there, as they are served.
    """
    return {
        "location_id": linked.location,
        "evse_uid": linked.evse_uid,
        "connector_id": linked.connector_id,
        "pricing_ids": sorted(set(served)),
    }


def with_pricing_ids(location: Mapping[str, Any], served: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """A location of 2.1.1 whose connectors name their prices as the older shape does.

    Args:
        served: id of the served price by EVSE uid and connector id; connectors that aren't in it name none, whatever
            they named before.
    """

    def named(uid: str | None, connector: Any) -> Any:
        if not isinstance(connector, dict):
            return connector
        rest = {name: said for name, said in connector.items() if name != _PRICING_ID}
        price = served.get((uid or "", _text(connector, "id") or ""))
        return rest if price is None else {**rest, _PRICING_ID: price}

    def evse(given: Any) -> Any:
        if not isinstance(given, dict) or given.get("connectors") is None:
            return given
        uid = _text(given, "uid")
        return {**given, "connectors": [named(uid, connector) for connector in _many(given, "connectors")]}

    if location.get("evses") is None:
        return dict(location)
    return {**location, "evses": [evse(given) for given in _many(location, "evses")]}


def operator_party(ema_ids: Iterable[str]) -> Party | None:
    """The party that an operator is, by the first of its ids that names one: ``DE*TST`` is DE-TST."""
    for text in ema_ids:
        if found := _EMA_ID.fullmatch(text.strip()):
            return Party.of(*found.groups())
    return None


def steps(path: str) -> list[str]:
    """The tokens of a path as errors spell it: ``$.evses[2].uid``."""
    return re.findall(r"[^.$\[\]]+", path)


def _many(source: Any, name: str) -> list[Any]:
    """A list, or what stands in its place; nothing where there is none."""
    given = source.get(name) if isinstance(source, dict) else None
    return given if isinstance(given, list) else [] if given is None else [given]


def _text(source: Any, name: str) -> str | None:
    return _as_text(source.get(name)) if isinstance(source, dict) else None


def _as_text(given: Any) -> str | None:
    if isinstance(given, int) and not isinstance(given, bool):
        given = str(given)
    return given if isinstance(given, str) and given else None
