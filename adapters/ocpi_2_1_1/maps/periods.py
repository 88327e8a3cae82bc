"""Charging periods and money, which sessions and CDRs have in common.

Money is net in 2.1.1 and net with, perhaps, gross in 2.2.1; nothing is ever computed from it.

Spec: 2.1.1 ``mod_cdrs`` 4.2 to 4.4; 2.2.1 ``mod_cdrs``, ChargingPeriod class and what it has; ``types``, Price.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from adapters.fieldmap import FieldMap, lossy, newer, times, value
from adapters.ocpi_2_1_1 import objects as old
from adapters.units import in_kwh
from gateway.model.cdrs import CdrDimensionType, ChargingPeriod
from gateway.model.facts import Crossing
from gateway.model.values import says_nothing

_NO_ENERGY: Final = {"type": CdrDimensionType.ENERGY.value, "volume": 0}

# --- dimensions -----------------------------------------------------------------------------------------------------


def measured(value: list[Any]) -> Any:
    """FLAT is left out; nothing else there: ENERGY 0"""
    flat = [at for at, each in enumerate(value) if each["type"] == old.CdrDimensionType.FLAT]
    kept = [each for at, each in enumerate(value) if at not in flat]
    return lossy(kept or [dict(_NO_ENERGY)], {(at,): "a flat fee is no volume" for at in flat})


def known_dimensions(value: list[Any]) -> Any:
    """types that it doesn't know are left out; ENERGY from import and export if it isn't there, or 0 if nothing is left

    RESERVATION_TIME is neither TIME nor PARKING_TIME: it would be billed as such. A period that has nothing left stays,
    so that the number of periods, and where each begins, is the same on both sides.
    """
    unknown = [at for at, each in enumerate(value) if each["type"] not in _KNOWN]
    kept = [each for at, each in enumerate(value) if at not in unknown]
    energy = _energy(value)
    if energy is not None and not any(each["type"] == CdrDimensionType.ENERGY for each in kept):
        kept.insert(0, {"type": CdrDimensionType.ENERGY.value, "volume": energy})
    return lossy(kept or [dict(_NO_ENERGY)], {(at,): f"no such value: {value[at]['type']}" for at in unknown})


_KNOWN: Final = frozenset(old.CdrDimensionType)


def _energy(dimensions: list[Any]) -> Any | None:
    """kWh imported less kWh exported; None if no import is said."""
    volumes = {each["type"]: each["volume"] for each in dimensions}
    imported = volumes.get(CdrDimensionType.ENERGY_IMPORT)
    return None if imported is None else imported - volumes.get(CdrDimensionType.ENERGY_EXPORT, 0)


PERIOD = FieldMap(
    ChargingPeriod,
    times("start_date_time"),
    value("dimensions", up=measured, down=known_dimensions, loses="volumes of types that the other version lacks"),
    newer("tariff_id", loses="the tariff that holds"),
    older=old.ChargingPeriod,
)

# --- the unit of energy ---------------------------------------------------------------------------------------------


def kwh_of_session(value: list[Any], source: Mapping[str, Any], crossing: Crossing) -> Any:
    """volumes of energy that add up to 1000 times kwh are Wh, and divided by 1000"""
    return in_kwh(value, source["kwh"], crossing.policy)


def kwh_of_cdr(value: list[Any], source: Mapping[str, Any], crossing: Crossing) -> Any:
    """volumes of energy that add up to 1000 times total_energy are Wh, and divided by 1000"""
    return in_kwh(value, source["total_energy"], crossing.policy)


# --- money ----------------------------------------------------------------------------------------------------------


def net(value: Any) -> dict[str, Any]:
    """excl_vat of a Price"""
    return {"excl_vat": value}


def without_vat(value: Mapping[str, Any]) -> Any:
    """excl_vat"""
    beside = [name for name in value if name != "excl_vat" and not says_nothing(value[name])]
    return lossy(value["excl_vat"], {(name,): "no room beside the net price" for name in beside})
