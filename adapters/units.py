"""The unit of energy in charging periods: kWh by specification, Wh in the session examples of 2.1.1 and 2.2.1, and so
with some peers.

Volumes that add up to a thousand times the total, which is always in kWh, are read as Wh. Whatever version they came
in, the canonical form has kWh. Spec: 2.1.1 ``mod_cdrs`` 4.3; 2.2.1 ``mod_cdrs``, CdrDimensionType enum.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from adapters.fieldmap import lossy
from gateway.model.cdrs import CdrDimensionType
from gateway.model.policy import Policy

_POLICY: Final = "sessions.energy_unit"


def in_kwh(periods: list[Any], total: Any, policy: Policy) -> Any:
    """Charging periods with their ENERGY volumes in kWh; Lossy at each volume that was converted.

    Args:
        periods: of a session or CDR, as received.
        total: its energy in kWh.
    """
    found = {
        (at, "dimensions", index, "volume"): dimension["volume"]
        for at, period in enumerate(periods)
        for index, dimension in enumerate(period["dimensions"])
        if dimension["type"] == CdrDimensionType.ENERGY
    }
    unit = policy.sessions_energy_unit
    if unit == "kwh" or not found or (unit == "auto" and not _is_wh(sum(found.values()), total)):
        return periods
    converted = [{**period, "dimensions": [dict(each) for each in period["dimensions"]]} for period in periods]
    for at, _, index, _ in found:
        dimension = converted[at]["dimensions"][index]
        dimension["volume"] = Decimal(dimension["volume"]) / 1000
    return lossy(converted, dict.fromkeys(found, "Wh, written as kWh"), _POLICY)


def _is_wh(volume: Any, total: Any) -> bool:
    """Whether a sum of volumes is a thousand times the total in kWh, give or take 5 %."""
    thousandfold = Decimal(1000 * total)
    return thousandfold > 0 and abs(volume - thousandfold) <= thousandfold / 20
