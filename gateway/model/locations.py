"""Locations, their EVSEs and connectors. Spec: 2.2.1 ``mod_locations``.

A Location has EVSEs, each of which can serve one vehicle at a time; an EVSE has connectors, of which one can be in
use at a time. Nothing is ever deleted: an EVSE that is gone has the status REMOVED.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from attrs import frozen

from gateway.model.tokens import TokenType
from gateway.model.types import (
    Country3,
    CountryCode,
    DateTime,
    DisplayText,
    FromNumber,
    Id,
    Many,
    Max,
    Number,
    OneOrMore,
    Open,
    PartyId,
    Url,
)


class Capability(StrEnum):
    """What an EVSE can do. Spec: 2.2.1 ``mod_locations``, Capability enum."""

    CHARGING_PROFILE_CAPABLE = "CHARGING_PROFILE_CAPABLE"
    CHARGING_PREFERENCES_CAPABLE = "CHARGING_PREFERENCES_CAPABLE"
    CHIP_CARD_SUPPORT = "CHIP_CARD_SUPPORT"
    CONTACTLESS_CARD_SUPPORT = "CONTACTLESS_CARD_SUPPORT"
    CREDIT_CARD_PAYABLE = "CREDIT_CARD_PAYABLE"
    DEBIT_CARD_PAYABLE = "DEBIT_CARD_PAYABLE"
    PED_TERMINAL = "PED_TERMINAL"
    REMOTE_START_STOP_CAPABLE = "REMOTE_START_STOP_CAPABLE"
    RESERVABLE = "RESERVABLE"
    RFID_READER = "RFID_READER"
    START_SESSION_CONNECTOR_REQUIRED = "START_SESSION_CONNECTOR_REQUIRED"
    TOKEN_GROUP_CAPABLE = "TOKEN_GROUP_CAPABLE"  # noqa: S105 - a name of the specification
    UNLOCK_CAPABLE = "UNLOCK_CAPABLE"


class ConnectorFormat(StrEnum):
    """Socket or cable. Spec: 2.2.1 ``mod_locations``, ConnectorFormat enum."""

    SOCKET = "SOCKET"
    CABLE = "CABLE"


class ConnectorType(StrEnum):
    """The socket or plug standard. Spec: 2.2.1 ``mod_locations``, ConnectorType enum."""

    CHADEMO = "CHADEMO"
    CHAOJI = "CHAOJI"
    DOMESTIC_A = "DOMESTIC_A"
    DOMESTIC_B = "DOMESTIC_B"
    DOMESTIC_C = "DOMESTIC_C"
    DOMESTIC_D = "DOMESTIC_D"
    DOMESTIC_E = "DOMESTIC_E"
    DOMESTIC_F = "DOMESTIC_F"
    DOMESTIC_G = "DOMESTIC_G"
    DOMESTIC_H = "DOMESTIC_H"
    DOMESTIC_I = "DOMESTIC_I"
    DOMESTIC_J = "DOMESTIC_J"
    DOMESTIC_K = "DOMESTIC_K"
    DOMESTIC_L = "DOMESTIC_L"
    DOMESTIC_M = "DOMESTIC_M"
    DOMESTIC_N = "DOMESTIC_N"
    DOMESTIC_O = "DOMESTIC_O"
    GBT_AC = "GBT_AC"
    GBT_DC = "GBT_DC"
    IEC_60309_2_SINGLE_16 = "IEC_60309_2_single_16"
    IEC_60309_2_THREE_16 = "IEC_60309_2_three_16"
    IEC_60309_2_THREE_32 = "IEC_60309_2_three_32"
    IEC_60309_2_THREE_64 = "IEC_60309_2_three_64"
    IEC_62196_T1 = "IEC_62196_T1"
    IEC_62196_T1_COMBO = "IEC_62196_T1_COMBO"
    IEC_62196_T2 = "IEC_62196_T2"
    IEC_62196_T2_COMBO = "IEC_62196_T2_COMBO"
    IEC_62196_T3A = "IEC_62196_T3A"
    IEC_62196_T3C = "IEC_62196_T3C"
    NEMA_5_20 = "NEMA_5_20"
    NEMA_6_30 = "NEMA_6_30"
    NEMA_6_50 = "NEMA_6_50"
    NEMA_10_30 = "NEMA_10_30"
    NEMA_10_50 = "NEMA_10_50"
    NEMA_14_30 = "NEMA_14_30"
    NEMA_14_50 = "NEMA_14_50"
    PANTOGRAPH_BOTTOM_UP = "PANTOGRAPH_BOTTOM_UP"
    PANTOGRAPH_TOP_DOWN = "PANTOGRAPH_TOP_DOWN"
    TESLA_R = "TESLA_R"
    TESLA_S = "TESLA_S"


class EnergySourceCategory(StrEnum):
    """Where energy comes from. Spec: 2.2.1 ``mod_locations``, EnergySourceCategory enum."""

    NUCLEAR = "NUCLEAR"
    GENERAL_FOSSIL = "GENERAL_FOSSIL"
    COAL = "COAL"
    GAS = "GAS"
    GENERAL_GREEN = "GENERAL_GREEN"
    SOLAR = "SOLAR"
    WIND = "WIND"
    WATER = "WATER"


class EnvironmentalImpactCategory(StrEnum):
    """What energy leaves behind. Spec: 2.2.1 ``mod_locations``, EnvironmentalImpactCategory enum."""

    NUCLEAR_WASTE = "NUCLEAR_WASTE"
    CARBON_DIOXIDE = "CARBON_DIOXIDE"


class Facility(StrEnum):
    """What is at, or near, a location. Spec: 2.2.1 ``mod_locations``, Facility enum."""

    HOTEL = "HOTEL"
    RESTAURANT = "RESTAURANT"
    CAFE = "CAFE"
    MALL = "MALL"
    SUPERMARKET = "SUPERMARKET"
    SPORT = "SPORT"
    RECREATION_AREA = "RECREATION_AREA"
    NATURE = "NATURE"
    MUSEUM = "MUSEUM"
    BIKE_SHARING = "BIKE_SHARING"
    BUS_STOP = "BUS_STOP"
    TAXI_STAND = "TAXI_STAND"
    TRAM_STOP = "TRAM_STOP"
    METRO_STATION = "METRO_STATION"
    TRAIN_STATION = "TRAIN_STATION"
    AIRPORT = "AIRPORT"
    PARKING_LOT = "PARKING_LOT"
    CARPOOL_PARKING = "CARPOOL_PARKING"
    FUEL_STATION = "FUEL_STATION"
    WIFI = "WIFI"


class ImageCategory(StrEnum):
    """What an image shows. Spec: 2.2.1 ``mod_locations``, ImageCategory enum."""

    CHARGER = "CHARGER"
    ENTRANCE = "ENTRANCE"
    LOCATION = "LOCATION"
    NETWORK = "NETWORK"
    OPERATOR = "OPERATOR"
    OTHER = "OTHER"
    OWNER = "OWNER"


class ParkingRestriction(StrEnum):
    """Who may park. Spec: 2.2.1 ``mod_locations``, ParkingRestriction enum."""

    EV_ONLY = "EV_ONLY"
    PLUGGED = "PLUGGED"
    DISABLED = "DISABLED"
    CUSTOMERS = "CUSTOMERS"
    MOTORCYCLES = "MOTORCYCLES"


class ParkingType(StrEnum):
    """What kind of place it is. Spec: 2.2.1 ``mod_locations``, ParkingType enum."""

    ALONG_MOTORWAY = "ALONG_MOTORWAY"
    PARKING_GARAGE = "PARKING_GARAGE"
    PARKING_LOT = "PARKING_LOT"
    ON_DRIVEWAY = "ON_DRIVEWAY"
    ON_STREET = "ON_STREET"
    UNDERGROUND_GARAGE = "UNDERGROUND_GARAGE"


class PowerType(StrEnum):
    """AC with its phases, or DC. Spec: 2.2.1 ``mod_locations``, PowerType enum."""

    AC_1_PHASE = "AC_1_PHASE"
    AC_2_PHASE = "AC_2_PHASE"
    AC_2_PHASE_SPLIT = "AC_2_PHASE_SPLIT"
    AC_3_PHASE = "AC_3_PHASE"
    DC = "DC"


class Status(StrEnum):
    """Status of an EVSE. Spec: 2.2.1 ``mod_locations``, Status enum."""

    AVAILABLE = "AVAILABLE"
    BLOCKED = "BLOCKED"
    CHARGING = "CHARGING"
    INOPERATIVE = "INOPERATIVE"
    OUTOFORDER = "OUTOFORDER"
    PLANNED = "PLANNED"
    REMOVED = "REMOVED"
    RESERVED = "RESERVED"
    UNKNOWN = "UNKNOWN"


@frozen(kw_only=True)
class Location:
    """A place with EVSEs. Spec: 2.2.1 ``mod_locations``, Location object."""

    country_code: CountryCode  # of the owner, a CPO
    party_id: PartyId  # of the owner
    id: Annotated[Id, Max(36)]  # unique within the owner's platform, never changes
    publish: bool  # false: to be shown to nobody but the tokens below
    publish_allowed_to: Many[PublishTokenType] = None  # only with publish = false
    name: Annotated[str, Max(255)] | None = None  # display name
    address: Annotated[str, Max(255)]  # street and number
    city: Annotated[str, Max(45)]
    postal_code: Annotated[str, Max(10)] | None = None
    state: Annotated[str, Max(45)] | None = None  # state or province, where relevant
    country: Country3  # alpha-3, unlike country_code
    coordinates: GeoLocation
    related_locations: Many[AdditionalGeoLocation] = None  # entrances, exits and the like
    parking_type: Annotated[str, Open(ParkingType)] | None = None
    evses: Many[EVSE] = None
    directions: Many[DisplayText] = None  # how to reach the location, one per language
    operator: BusinessDetails | None = None  # absent: the owner's own, from its credentials
    suboperator: BusinessDetails | None = None
    owner: BusinessDetails | None = None
    facilities: Many[Annotated[str, Open(Facility)]] = None
    time_zone: Annotated[str, Max(255)]  # of the IANA time zone database, "Europe/Oslo"
    opening_times: Hours | None = None
    charging_when_closed: bool | None = None  # default: true
    images: Many[Image] = None
    energy_mix: EnergyMix | None = None
    last_updated: DateTime  # of the Location or anything in it


@frozen(kw_only=True)
class EVSE:
    """What supplies one vehicle at a time. Spec: 2.2.1 ``mod_locations``, EVSE object."""

    uid: Annotated[Id, Max(36)]  # technical id, unique within the owner's platform, never changes
    evse_id: Annotated[str, Max(48)] | None = None  # eMI3 EVSE id, for people
    status: Annotated[str, Open(Status)]
    status_schedule: Many[StatusSchedule] = None  # planned, for information only
    capabilities: Many[Annotated[str, Open(Capability)]] = None
    connectors: OneOrMore[Connector]
    floor_level: Annotated[str, Max(4), FromNumber()] | None = None  # in the locally displayed numbering
    coordinates: GeoLocation | None = None
    physical_reference: Annotated[str, Max(16), FromNumber()] | None = None  # as printed on the outside
    directions: Many[DisplayText] = None  # from the location to the EVSE, one per language
    parking_restrictions: Many[Annotated[str, Open(ParkingRestriction)]] = None
    images: Many[Image] = None
    last_updated: DateTime  # of the EVSE or one of its connectors


@frozen(kw_only=True)
class Connector:
    """A socket, or a cable with its plug. Spec: 2.2.1 ``mod_locations``, Connector object."""

    id: Annotated[Id, Max(36)]  # unique within the EVSE
    standard: Annotated[str, Open(ConnectorType)]
    format: Annotated[str, Open(ConnectorFormat)]
    power_type: Annotated[str, Open(PowerType)]
    max_voltage: int  # V; line to neutral for AC_3_PHASE
    max_amperage: int  # A
    max_electric_power: int | None = None  # W; only when less than voltage and amperage give
    tariff_ids: Many[Annotated[Id, Max(36)]] = None  # the tariffs now valid, at most one of each type active
    terms_and_conditions: Url | None = None
    last_updated: DateTime


@frozen(kw_only=True)
class AdditionalGeoLocation:
    """A point that matters to the user, with its name. Spec: 2.2.1 ``mod_locations``, AdditionalGeoLocation class."""

    latitude: Annotated[str, Max(10)]  # decimal degrees as text, 5 to 7 decimals
    longitude: Annotated[str, Max(11)]  # decimal degrees as text, 5 to 7 decimals
    name: DisplayText | None = None


@frozen(kw_only=True)
class BusinessDetails:
    """A company. Spec: 2.2.1 ``mod_locations``, BusinessDetails class."""

    name: Annotated[str, Max(100)]
    website: Url | None = None
    logo: Image | None = None


@frozen(kw_only=True)
class EnergyMix:
    """Energy supplied at a location or with a tariff. Spec: 2.2.1 ``mod_locations``, EnergyMix class."""

    is_green_energy: bool  # 100 % regenerative
    energy_sources: Many[EnergySource] = None
    environ_impact: Many[EnvironmentalImpact] = None
    supplier_name: Annotated[str, Max(64)] | None = None
    energy_product_name: Annotated[str, Max(64)] | None = None


@frozen(kw_only=True)
class EnergySource:
    """One source's share. Spec: 2.2.1 ``mod_locations``, EnergySource class."""

    source: Annotated[str, Open(EnergySourceCategory)]
    percentage: Number  # 0 to 100


@frozen(kw_only=True)
class EnvironmentalImpact:
    """One kind of waste. Spec: 2.2.1 ``mod_locations``, EnvironmentalImpact class."""

    category: Annotated[str, Open(EnvironmentalImpactCategory)]
    amount: Number  # g/kWh


@frozen(kw_only=True)
class ExceptionalPeriod:
    """An opening or closing outside the regular hours. Spec: 2.2.1 ``mod_locations``, ExceptionalPeriod class."""

    period_begin: DateTime  # UTC
    period_end: DateTime  # UTC


@frozen(kw_only=True)
class GeoLocation:
    """A point on earth (WGS 84). Spec: 2.2.1 ``mod_locations``, GeoLocation class."""

    latitude: Annotated[str, Max(10)]  # decimal degrees as text, 5 to 7 decimals
    longitude: Annotated[str, Max(11)]  # decimal degrees as text, 5 to 7 decimals


@frozen(kw_only=True)
class Hours:
    """Opening and access hours. Spec: 2.2.1 ``mod_locations``, Hours class."""

    twentyfourseven: bool  # true: always, but for the exceptions
    regular_hours: Many[RegularHours] = None  # only with twentyfourseven = false, and then at least one
    exceptional_openings: Many[ExceptionalPeriod] = None
    exceptional_closings: Many[ExceptionalPeriod] = None  # wins over regular hours and exceptional openings


@frozen(kw_only=True)
class Image:
    """A reference to an image. Spec: 2.2.1 ``mod_locations``, Image class."""

    url: Url
    thumbnail: Url | None = None
    category: Annotated[str, Open(ImageCategory)]
    type: Annotated[str, Max(4)]  # gif, jpeg, png, svg
    width: Annotated[int, Max(5)] | None = None  # pixels
    height: Annotated[int, Max(5)] | None = None  # pixels


@frozen(kw_only=True)
class PublishTokenType:
    """Which tokens may be shown an unpublished location. Spec: 2.2.1 ``mod_locations``, PublishTokenType class.

    At least one of uid, visual_number and group_id is set; uid comes with type, visual_number with issuer.
    """

    uid: Annotated[Id, Max(36)] | None = None
    type: Annotated[str, Open(TokenType)] | None = None
    visual_number: Annotated[str, Max(64)] | None = None  # as printed on the token
    issuer: Annotated[str, Max(64)] | None = None
    group_id: Annotated[str, Max(36)] | None = None


@frozen(kw_only=True)
class RegularHours:
    """One weekly period. Spec: 2.2.1 ``mod_locations``, RegularHours class."""

    weekday: Annotated[int, Max(1)]  # 1 is Monday, 7 is Sunday
    period_begin: Annotated[str, Max(5)]  # "HH:MM", local time
    period_end: Annotated[str, Max(5)]  # "HH:MM", local time, later than period_begin


@frozen(kw_only=True)
class StatusSchedule:
    """A status planned for a time to come. Spec: 2.2.1 ``mod_locations``, StatusSchedule class."""

    period_begin: DateTime
    period_end: DateTime | None = None  # absent: open end
    status: Annotated[str, Open(Status)]
