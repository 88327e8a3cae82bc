"""Locations with their EVSEs and connectors.

Two contexts share these tables. On its own a Location is an offer: an unpublished one isn't shown to 2.1.1, which can't
say "hide it", and a plug that 2.1.1 has no name for isn't offered. Embedded in a session or a CDR it is a record of
where somebody charged: there an unpublished one is shown and an unknown plug becomes the nearest known one.

Spec: 2.1.1 ``mod_locations``; 2.2.1 ``mod_locations``.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final

from adapters.fieldmap import (
    FieldMap,
    at_most,
    each,
    inner,
    inside,
    left_out,
    newer,
    only,
    rename,
    substituted,
    times,
    value,
)
from adapters.ocpi_2_1_1 import objects as old
from adapters.ocpi_2_1_1.maps.energy import ENERGY_MIX
from adapters.ocpi_2_1_1.maps.ids import country_of_place, full_id, owner_country, owner_id, short_id
from adapters.ocpi_2_1_1.maps.tariffs import as_list, asked_tariff, chosen_tariff
from adapters.ocpi_2_1_1.maps.zones import main_zone
from gateway.model.facts import ABSENT, UNKNOWN, Crossing, FactKind, Key, Lossy, Withheld
from gateway.model.locations import (
    EVSE,
    AdditionalGeoLocation,
    Capability,
    Connector,
    ExceptionalPeriod,
    GeoLocation,
    Hours,
    Location,
    ParkingType,
    StatusSchedule,
)
from gateway.model.values import says_nothing

_PLUGS: Final = frozenset(old.ConnectorType)
_CAPABILITIES: Final = frozenset(old.Capability)
_PARKING_TYPES: Final = frozenset(ParkingType)

_PLUG_POLICY: Final = "locations.unknown_connector"
_DERATE_POLICY: Final = "locations.derate_dc"
_ZONE_POLICY: Final = "locations.default_time_zone"

NO_POSTAL_CODE: Final = Lossy("N/A", "no postal code is known, and one is required")

# --- connectors -----------------------------------------------------------------------------------------------------

SUBSTITUTE_POWER_TYPES: Final = {"AC_2_PHASE": "AC_1_PHASE", "AC_2_PHASE_SPLIT": "AC_1_PHASE"}
"""Understates, never overstates."""


def offered_plug(value: str, crossing: Crossing) -> str:
    """a standard that it doesn't know withholds the connector, unless the link takes the literal"""
    if value in _PLUGS or crossing.policy.locations_unknown_connector == "passthrough":
        return value
    raise Withheld(f"a connector of a standard that can't be said: {value}", policy=_PLUG_POLICY)


def recorded_plug(value: str, power_type: str, crossing: Crossing) -> Any:
    """The standard of a plug where somebody charged: the nearest that 2.1.1 knows, or the literal for a link that
    takes it."""
    if value in _PLUGS or crossing.policy.locations_unknown_connector == "passthrough":
        return value
    nearest = old.ConnectorType.IEC_62196_T2_COMBO if power_type == "DC" else old.ConnectorType.IEC_62196_T2
    return Lossy(nearest.value, f"{value} is written {nearest}", _PLUG_POLICY)


def embedded_plug(value: str, source: Mapping[str, Any], crossing: Crossing) -> Any:
    """a standard that it doesn't know becomes IEC_62196_T2_COMBO for DC, else IEC_62196_T2"""
    return recorded_plug(value, source["power_type"], crossing)


def true_amperage(value: int, source: Mapping[str, Any], crossing: Crossing) -> Any:
    """on DC lowered to what the power limit allows"""
    allowed = _allowed_amperage(value, source, crossing)
    if allowed == value:
        return value
    return Lossy(allowed, "lowered to what the connector's power limit allows", _DERATE_POLICY)


def power_limit(value: int, source: Mapping[str, Any], crossing: Crossing) -> Any:
    """of DC it lowers the amperage"""
    if _allowed_amperage(source["max_amperage"], source, crossing) == source["max_amperage"]:
        return None
    return Lossy(ABSENT, "no room for the power limit; the amperage is lowered instead", _DERATE_POLICY)


def _allowed_amperage(amperage: int, connector: Mapping[str, Any], crossing: Crossing) -> int:
    # 920 V and 400 A limited to 150 kW would show as 368 kW in an app that multiplies.
    volts, limit = connector["max_voltage"], connector.get("max_electric_power")
    applies = crossing.policy.locations_derate_dc and connector["power_type"] == "DC" and volts > 0
    if not applies or limit is None or limit >= volts * amperage:
        return amperage
    return int(max(limit, 0) // volts)


CONNECTOR = FieldMap(
    Connector,
    inner(),
    value("standard", down=offered_plug, loses="the connector, if its standard is unknown there"),
    value("power_type", down=substituted(SUBSTITUTE_POWER_TYPES), loses="the second phase"),
    rename("voltage", "max_voltage"),
    value(
        "amperage",
        "max_amperage",
        down=true_amperage,
        loses="amperes beyond the power limit",
        reads=("max_electric_power", "max_voltage", "power_type"),
    ),
    newer("max_electric_power", judge=power_limit, loses="the connector's power limit"),
    value(
        "tariff_id",
        "tariff_ids",
        up=as_list,
        down=chosen_tariff,
        or_down=asked_tariff,
        loses="every tariff but the one in force",
    ),
    times("last_updated"),
    older=old.Connector,
)

EMBEDDED_CONNECTOR = CONNECTOR.but(
    value("standard", down=embedded_plug, loses="a standard unknown there", reads=("power_type",)),
    title="Connector (embedded)",
)

# --- EVSEs ----------------------------------------------------------------------------------------------------------


def known_capabilities(value: list[str], source: Mapping[str, Any]) -> Any:
    """values that it doesn't know are left out; REMOTE_START_STOP_CAPABLE, too, if a start must name the connector

    A 2.1.1 StartSession can't name a connector (``mod_commands`` 3.3), so an EVSE with several connectors that insists
    on one can't be started.
    """
    if _CAPABILITIES.issuperset(value):
        return value
    reasons = {at: f"no such value: {item}" for at, item in enumerate(value) if item not in _CAPABILITIES}
    if Capability.START_SESSION_CONNECTOR_REQUIRED in value and len(source["connectors"]) > 1:
        for at, item in enumerate(value):
            if item == Capability.REMOTE_START_STOP_CAPABLE:
                reasons[at] = "a start must name the connector, which it can't"
    return left_out(value, reasons)


def six_decimals(value: str) -> Any:
    """6 decimals"""
    # 2.2.1 allows 5 to 7 (GeoLocation class), 2.1.1 exactly 6 (``mod_locations`` 4.12).
    if value[-7:-6] == ".":
        return value
    try:
        exact = Decimal(value)
        rounded = exact.quantize(Decimal("0.000001"), ROUND_HALF_EVEN)
    except InvalidOperation:
        return value
    return str(rounded) if rounded == exact else Lossy(str(rounded), "rounded to 6 decimals")


GEO_LOCATION = FieldMap(
    GeoLocation,
    value("latitude", down=six_decimals, loses="the 7th decimal"),
    value("longitude", down=six_decimals, loses="the 7th decimal"),
    older=old.GeoLocation,
)

ADDITIONAL_GEO_LOCATION = FieldMap(
    AdditionalGeoLocation,
    value("latitude", down=six_decimals, loses="the 7th decimal"),
    value("longitude", down=six_decimals, loses="the 7th decimal"),
    older=old.AdditionalGeoLocation,
)

STATUS_SCHEDULE = FieldMap(StatusSchedule, times("period_begin", "period_end"), older=old.StatusSchedule)

_NO_CONNECTOR: Final = "none of its connectors is of a standard that can be said"

_EVSE_ROWS = (
    inner(),
    value("uid", up=short_id, down=full_id, loses="ids over 36 characters"),
    value("capabilities", down=known_capabilities, loses="capabilities unknown there", reads=("connectors",)),
    each("status_schedule", STATUS_SCHEDULE),
    inside("coordinates", GEO_LOCATION),
    times("last_updated"),
)

EVSE_MAP = FieldMap(
    EVSE,
    each("connectors", CONNECTOR, least=_NO_CONNECTOR, loses="connectors of a standard unknown there"),
    *_EVSE_ROWS,
    older=old.EVSE,
    title="EVSE",
)

EMBEDDED_EVSE = EVSE_MAP.but(each("connectors", EMBEDDED_CONNECTOR), title="EVSE (embedded)")

# --- locations ------------------------------------------------------------------------------------------------------


def unpublished() -> Any:
    """false withholds the location"""
    raise Withheld("an unpublished location: there is no way to say that it mustn't be shown")


def parking_type(value: str) -> Any:
    """UNKNOWN and OTHER are left out"""
    if value in _PARKING_TYPES:
        return value
    return ABSENT if value == old.LocationType.UNKNOWN else Lossy(ABSENT, f"no such parking type: {value}")


location_type = substituted(
    {"ALONG_MOTORWAY": "OTHER", "ON_DRIVEWAY": "OTHER"}, otherwise="OTHER", known=set(old.LocationType)
)


def real_postal_code(value: str) -> Any:
    """N/A is left out"""
    return ABSENT if value == NO_POSTAL_CODE.value else value


def operator_of_owner(crossing: Crossing) -> Any:
    """the owner's own business details, if they are known"""
    # Without an operator 2.2.1 means the owner's; a 2.1.1 receiver would show the name of whoever it is connected to.
    if crossing.owner is None:
        return ABSENT
    business = crossing.facts.ask(Key(FactKind.BUSINESS, crossing.owner, str(crossing.owner)))
    return ABSENT if business is UNKNOWN else business


def zone_of_country(source: Mapping[str, Any], crossing: Crossing) -> Any:
    """the link's default, else the main zone of the country"""
    default = crossing.policy.locations_default_time_zone
    zone = default or main_zone(source["country"]) or "Etc/UTC"
    return Lossy(zone, f"no time zone is said: {zone} stands in", _ZONE_POLICY)


def unless_always(value: list[Any], source: Mapping[str, Any]) -> Any:
    """left out if it is open all the time"""
    if source.get("twentyfourseven") is True and value:
        return Lossy(ABSENT, "open all the time, so there are no regular hours")
    return value


def not_always(source: Mapping[str, Any]) -> Any:
    """false"""
    if says_nothing(source.get("regular_hours")):
        return Lossy(False, "neither 24/7 nor regular hours are said")
    return False


def is_blank(value: Mapping[str, Any]) -> bool:
    """Whether an object has no field that says something."""
    return all(says_nothing(content) for content in value.values())


EXCEPTIONAL_PERIOD = FieldMap(ExceptionalPeriod, times("period_begin", "period_end"), older=old.ExceptionalPeriod)

HOURS = FieldMap(
    Hours,
    value("twentyfourseven", or_up=not_always, reads=("regular_hours",)),
    value("regular_hours", up=unless_always, down=unless_always, loses="hours beside 24/7", reads=("twentyfourseven",)),
    each("exceptional_openings", EXCEPTIONAL_PERIOD),
    each("exceptional_closings", EXCEPTIONAL_PERIOD),
    older=old.Hours,
)

LOCATION = FieldMap(
    Location,
    inner(),
    newer("publish", default=True, implied=True, judge=unpublished, loses="the whole location, if unpublished"),
    newer("publish_allowed_to", loses="the tokens that may be shown it"),
    newer("country_code", default=owner_country),
    newer("party_id", default=owner_id),
    value("id", up=short_id, down=full_id, loses="ids over 36 characters"),
    value(
        "type",
        "parking_type",
        up=parking_type,
        down=location_type,
        or_down="UNKNOWN",
        loses="OTHER upwards; ALONG_MOTORWAY and ON_DRIVEWAY downwards",
    ),
    value("address", down=at_most(45), loses="what is beyond 45 characters"),
    value("postal_code", up=real_postal_code, or_down=NO_POSTAL_CODE),
    newer("state", loses="state or province"),
    value("country", up=country_of_place, down=country_of_place),
    inside("coordinates", GEO_LOCATION),
    each("related_locations", ADDITIONAL_GEO_LOCATION),
    each("evses", EVSE_MAP, loses="EVSEs without a connector that can be said"),
    value("operator", or_down=operator_of_owner),
    value("facilities", down=only(old.Facility), loses="facilities unknown there"),
    value("time_zone", or_up=zone_of_country, reads=("country",)),
    inside("opening_times", HOURS, unless=is_blank),
    inside("energy_mix", ENERGY_MIX),
    times("last_updated"),
    older=old.Location,
)

EMBEDDED_LOCATION = LOCATION.but(
    newer("publish", default=True),
    each("evses", EMBEDDED_EVSE),
    title="Location (embedded)",
)
