"""Energy mixes, which locations and tariffs both have. Spec: 2.1.1 ``mod_locations`` 4.5; 2.2.1 ``mod_locations``."""

from __future__ import annotations

from adapters.fieldmap import FieldMap, each, rename
from adapters.ocpi_2_1_1 import objects as old
from gateway.model.locations import EnergyMix, EnvironmentalImpact

ENVIRONMENTAL_IMPACT = FieldMap(
    EnvironmentalImpact,
    rename("source", "category"),
    older=old.EnvironmentalImpact,
)

ENERGY_MIX = FieldMap(
    EnergyMix,
    each("environ_impact", ENVIRONMENTAL_IMPACT),
    older=old.EnergyMix,
)
