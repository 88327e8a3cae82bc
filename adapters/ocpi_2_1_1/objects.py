"""The objects of OCPI 2.1.1 as they stand on the wire: the schema that a body is validated against before it is read.

Written in the words of :mod:`gateway.model.types`, in the order of the specification's tables, with the names of the
canonical classes. Shapes that equal the canonical ones are written out all the same: the canonical model follows the
newest version, and this page must not change with it.

What differs from the next version, and what becomes of it, stands in the maps beside this file. Spec: 2.1.1.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from attrs import frozen

from gateway.model.types import (
    Country3,
    CountryCode,
    CredentialsToken,
    Currency,
    DateTime,
    FromNumber,
    Id,
    Language,
    Many,
    Max,
    Number,
    OneOrMore,
    Open,
    PartyId,
    Url,
)

# --- types ----------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class DisplayText:
    """A text in one language, for a person to read. Spec: 2.1.1 ``types`` 1.3."""

    language: Language  # ISO 639-1
    text: Annotated[str, Max(512)]  # no markup


# --- locations ------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Location:
    """A place with EVSEs. Spec: 2.1.1 ``mod_locations`` 3.1. Its owner stands in the URL only."""

    id: Annotated[Id, Max(39)]  # unique within the owner's platform, never changes
    type: Annotated[str, Open(LocationType)]
    name: Annotated[str, Max(255)] | None = None  # display name
    address: Annotated[str, Max(45)]  # street and number
    city: Annotated[str, Max(45)]
    postal_code: Annotated[str, Max(10)]
    country: Country3  # alpha-3
    coordinates: GeoLocation
    related_locations: Many[AdditionalGeoLocation] = None
    evses: Many[EVSE] = None
    directions: Many[DisplayText] = None  # how to reach the location, one per language
    operator: BusinessDetails | None = None  # absent: the owner's own
    suboperator: BusinessDetails | None = None
    owner: BusinessDetails | None = None
    facilities: Many[Annotated[str, Open(Facility)]] = None
    time_zone: Annotated[str, Max(255)] | None = None  # of the IANA time zone database, "Europe/Oslo"
    opening_times: Hours | None = None
    charging_when_closed: bool | None = None  # default: true
    images: Many[Image] = None
    energy_mix: EnergyMix | None = None
    last_updated: DateTime  # of the Location or anything in it


@frozen(kw_only=True)
class EVSE:
    """What supplies one vehicle at a time. Spec: 2.1.1 ``mod_locations`` 3.2."""

    uid: Annotated[Id, Max(39)]  # technical id, unique within the owner's platform, never changes
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
    """A socket, or a cable with its plug. Spec: 2.1.1 ``mod_locations`` 3.3."""

    id: Annotated[Id, Max(36)]  # unique within the EVSE
    standard: Annotated[str, Open(ConnectorType)]
    format: Annotated[str, Open(ConnectorFormat)]
    power_type: Annotated[str, Open(PowerType)]
    voltage: int  # V; line to neutral for AC_3_PHASE
    amperage: int  # A, the most
    tariff_id: Annotated[Id, Max(36)] | None = None  # the tariff now valid; a "free of charge" one is named, too
    terms_and_conditions: Url | None = None
    last_updated: DateTime


@frozen(kw_only=True)
class AdditionalGeoLocation:
    """A point that matters to the user, with its name. Spec: 2.1.1 ``mod_locations`` 4.1."""

    latitude: Annotated[str, Max(10)]  # decimal degrees as text, 6 decimals
    longitude: Annotated[str, Max(11)]  # decimal degrees as text, 6 decimals
    name: DisplayText | None = None


@frozen(kw_only=True)
class BusinessDetails:
    """A company. Spec: 2.1.1 ``mod_locations`` 4.1 (the second of that number)."""

    name: Annotated[str, Max(100)]
    website: Url | None = None
    logo: Image | None = None


class Capability(StrEnum):
    """What an EVSE can do. Spec: 2.1.1 ``mod_locations`` 4.2."""

    CHARGING_PROFILE_CAPABLE = "CHARGING_PROFILE_CAPABLE"
    CREDIT_CARD_PAYABLE = "CREDIT_CARD_PAYABLE"
    REMOTE_START_STOP_CAPABLE = "REMOTE_START_STOP_CAPABLE"
    RESERVABLE = "RESERVABLE"
    RFID_READER = "RFID_READER"
    UNLOCK_CAPABLE = "UNLOCK_CAPABLE"


class ConnectorFormat(StrEnum):
    """Socket or cable. Spec: 2.1.1 ``mod_locations`` 4.3."""

    SOCKET = "SOCKET"
    CABLE = "CABLE"


class ConnectorType(StrEnum):
    """The socket or plug standard. Spec: 2.1.1 ``mod_locations`` 4.4."""

    CHADEMO = "CHADEMO"
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
    TESLA_R = "TESLA_R"
    TESLA_S = "TESLA_S"


@frozen(kw_only=True)
class EnergyMix:
    """Energy supplied at a location or with a tariff. Spec: 2.1.1 ``mod_locations`` 4.5."""

    is_green_energy: bool  # 100 % regenerative
    energy_sources: Many[EnergySource] = None
    environ_impact: Many[EnvironmentalImpact] = None
    supplier_name: Annotated[str, Max(64)] | None = None
    energy_product_name: Annotated[str, Max(64)] | None = None


@frozen(kw_only=True)
class EnergySource:
    """One source's share. Spec: 2.1.1 ``mod_locations`` 4.6."""

    source: Annotated[str, Open(EnergySourceCategory)]
    percentage: Number  # 0 to 100


class EnergySourceCategory(StrEnum):
    """Where energy comes from. Spec: 2.1.1 ``mod_locations`` 4.7."""

    NUCLEAR = "NUCLEAR"
    GENERAL_FOSSIL = "GENERAL_FOSSIL"
    COAL = "COAL"
    GAS = "GAS"
    GENERAL_GREEN = "GENERAL_GREEN"
    SOLAR = "SOLAR"
    WIND = "WIND"
    WATER = "WATER"


@frozen(kw_only=True)
class EnvironmentalImpact:
    """One kind of waste. Spec: 2.1.1 ``mod_locations`` 4.8."""

    source: Annotated[str, Open(EnvironmentalImpactCategory)]
    amount: Number  # g/kWh


class EnvironmentalImpactCategory(StrEnum):
    """What energy leaves behind. Spec: 2.1.1 ``mod_locations`` 4.9."""

    NUCLEAR_WASTE = "NUCLEAR_WASTE"
    CARBON_DIOXIDE = "CARBON_DIOXIDE"


@frozen(kw_only=True)
class ExceptionalPeriod:
    """An opening or closing outside the regular hours. Spec: 2.1.1 ``mod_locations`` 4.10."""

    period_begin: DateTime
    period_end: DateTime


class Facility(StrEnum):
    """What is at, or near, a location. Spec: 2.1.1 ``mod_locations`` 4.11."""

    HOTEL = "HOTEL"
    RESTAURANT = "RESTAURANT"
    CAFE = "CAFE"
    MALL = "MALL"
    SUPERMARKET = "SUPERMARKET"
    SPORT = "SPORT"
    RECREATION_AREA = "RECREATION_AREA"
    NATURE = "NATURE"
    MUSEUM = "MUSEUM"
    BUS_STOP = "BUS_STOP"
    TAXI_STAND = "TAXI_STAND"
    TRAIN_STATION = "TRAIN_STATION"
    AIRPORT = "AIRPORT"
    CARPOOL_PARKING = "CARPOOL_PARKING"
    FUEL_STATION = "FUEL_STATION"
    WIFI = "WIFI"


@frozen(kw_only=True)
class GeoLocation:
    """A point on earth. Spec: 2.1.1 ``mod_locations`` 4.12."""

    latitude: Annotated[str, Max(10)]  # decimal degrees as text, 6 decimals
    longitude: Annotated[str, Max(11)]  # decimal degrees as text, 6 decimals


@frozen(kw_only=True)
class Hours:
    """Opening hours: regular_hours or twentyfourseven, in examples both. Spec: 2.1.1 ``mod_locations`` 4.13."""

    regular_hours: Many[RegularHours] = None
    twentyfourseven: bool | None = None  # true: always, but for the exceptions
    exceptional_openings: Many[ExceptionalPeriod] = None
    exceptional_closings: Many[ExceptionalPeriod] = None  # wins over regular hours and exceptional openings


@frozen(kw_only=True)
class Image:
    """A reference to an image. Spec: 2.1.1 ``mod_locations`` 4.14."""

    url: Url
    thumbnail: Url | None = None
    category: Annotated[str, Open(ImageCategory)]
    type: Annotated[str, Max(4)]  # gif, jpeg, png, svg
    width: Annotated[int, Max(5)] | None = None  # pixels
    height: Annotated[int, Max(5)] | None = None  # pixels


class ImageCategory(StrEnum):
    """What an image shows. Spec: 2.1.1 ``mod_locations`` 4.15."""

    CHARGER = "CHARGER"
    ENTRANCE = "ENTRANCE"
    LOCATION = "LOCATION"
    NETWORK = "NETWORK"
    OPERATOR = "OPERATOR"
    OTHER = "OTHER"
    OWNER = "OWNER"


class LocationType(StrEnum):
    """What kind of place it is. Spec: 2.1.1 ``mod_locations`` 4.16."""

    ON_STREET = "ON_STREET"
    PARKING_GARAGE = "PARKING_GARAGE"
    UNDERGROUND_GARAGE = "UNDERGROUND_GARAGE"
    PARKING_LOT = "PARKING_LOT"
    OTHER = "OTHER"
    UNKNOWN = "UNKNOWN"


class ParkingRestriction(StrEnum):
    """Who may park. Spec: 2.1.1 ``mod_locations`` 4.17."""

    EV_ONLY = "EV_ONLY"
    PLUGGED = "PLUGGED"
    DISABLED = "DISABLED"
    CUSTOMERS = "CUSTOMERS"
    MOTORCYCLES = "MOTORCYCLES"


class PowerType(StrEnum):
    """AC with its phases, or DC. Spec: 2.1.1 ``mod_locations`` 4.18."""

    AC_1_PHASE = "AC_1_PHASE"
    AC_3_PHASE = "AC_3_PHASE"
    DC = "DC"


@frozen(kw_only=True)
class RegularHours:
    """One weekly period. Spec: 2.1.1 ``mod_locations`` 4.19."""

    weekday: Annotated[int, Max(1)]  # 1 is Monday, 7 is Sunday
    period_begin: Annotated[str, Max(5)]  # "HH:MM"
    period_end: Annotated[str, Max(5)]  # "HH:MM", later than period_begin


class Status(StrEnum):
    """Status of an EVSE. Spec: 2.1.1 ``mod_locations`` 4.20."""

    AVAILABLE = "AVAILABLE"
    BLOCKED = "BLOCKED"
    CHARGING = "CHARGING"
    INOPERATIVE = "INOPERATIVE"  # here also: deleted
    OUTOFORDER = "OUTOFORDER"
    PLANNED = "PLANNED"
    REMOVED = "REMOVED"
    RESERVED = "RESERVED"
    UNKNOWN = "UNKNOWN"


@frozen(kw_only=True)
class StatusSchedule:
    """A status planned for a time to come. Spec: 2.1.1 ``mod_locations`` 4.21."""

    period_begin: DateTime
    period_end: DateTime | None = None  # absent: open end
    status: Annotated[str, Open(Status)]


# --- sessions -------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Session:
    """One charging session, as it stands. Spec: 2.1.1 ``mod_sessions`` 3.1."""

    id: Annotated[Id, Max(36)]  # unique within the owner's platform
    start_datetime: DateTime  # spelled so here, and start_date_time in the CDR
    end_datetime: DateTime | None = None
    kwh: Number  # kWh charged so far
    auth_id: Annotated[Id, Max(36)]  # the auth_id of a Token
    auth_method: Annotated[str, Open(AuthMethod)]
    location: Location  # whole, with only the relevant EVSE and connector
    meter_id: Annotated[str, Max(255)] | None = None
    currency: Currency
    charging_periods: Many[ChargingPeriod] = None
    total_cost: Number | None = None  # currency units without VAT; absent: not known, which isn't "free of charge"
    status: Annotated[str, Open(SessionStatus)]
    last_updated: DateTime


class SessionStatus(StrEnum):
    """State of a session. Spec: 2.1.1 ``mod_sessions`` 4.1."""

    ACTIVE = "ACTIVE"
    COMPLETED = "COMPLETED"
    INVALID = "INVALID"
    PENDING = "PENDING"


# --- CDRs -----------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class CDR:
    """A finished session and what it costs. Spec: 2.1.1 ``mod_cdrs`` 3.1."""

    id: Annotated[Id, Max(36)]  # unique within the owner's platform
    start_date_time: DateTime
    stop_date_time: DateTime
    auth_id: Annotated[Id, Max(36)]  # the auth_id of a Token
    auth_method: Annotated[str, Open(AuthMethod)]
    location: Location  # whole, with only the relevant EVSE and connector
    meter_id: Annotated[str, Max(255)] | None = None
    currency: Currency
    tariffs: Many[Tariff] = None  # the relevant ones, whole; a "free of charge" tariff, too
    charging_periods: OneOrMore[ChargingPeriod]
    total_cost: Number  # currency units without VAT
    total_energy: Number  # kWh
    total_time: Number  # h, charging or not
    total_parking_time: Number | None = None  # h, not charging
    remark: Annotated[str, Max(255)] | None = None
    last_updated: DateTime


class AuthMethod(StrEnum):
    """How the driver was authorized. Spec: 2.1.1 ``mod_cdrs`` 4.1."""

    AUTH_REQUEST = "AUTH_REQUEST"
    WHITELIST = "WHITELIST"


@frozen(kw_only=True)
class CdrDimension:
    """One volume of a charging period. Spec: 2.1.1 ``mod_cdrs`` 4.2."""

    type: Annotated[str, Open(CdrDimensionType)]
    volume: Number  # in the unit of its type


class CdrDimensionType(StrEnum):
    """What a volume measures, and its unit. Spec: 2.1.1 ``mod_cdrs`` 4.3."""

    ENERGY = "ENERGY"  # kWh
    FLAT = "FLAT"  # no unit
    MAX_CURRENT = "MAX_CURRENT"  # A
    MIN_CURRENT = "MIN_CURRENT"  # A
    PARKING_TIME = "PARKING_TIME"  # h, not charging
    TIME = "TIME"  # h, charging


@frozen(kw_only=True)
class ChargingPeriod:
    """A stretch of a session; it ends where the next begins. Spec: 2.1.1 ``mod_cdrs`` 4.4."""

    start_date_time: DateTime
    dimensions: OneOrMore[CdrDimension]


# --- tariffs --------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Tariff:
    """A tariff. Spec: 2.1.1 ``mod_tariffs`` 3.1."""

    id: Annotated[Id, Max(36)]  # unique within the owner's platform
    currency: Currency
    tariff_alt_text: Many[DisplayText] = None  # one per language
    tariff_alt_url: Url | None = None
    elements: OneOrMore[TariffElement]
    energy_mix: EnergyMix | None = None
    last_updated: DateTime


class DayOfWeek(StrEnum):
    """A day of the week. Spec: 2.1.1 ``mod_tariffs`` 4.1."""

    MONDAY = "MONDAY"
    TUESDAY = "TUESDAY"
    WEDNESDAY = "WEDNESDAY"
    THURSDAY = "THURSDAY"
    FRIDAY = "FRIDAY"
    SATURDAY = "SATURDAY"
    SUNDAY = "SUNDAY"


@frozen(kw_only=True)
class PriceComponent:
    """The price of one dimension. Spec: 2.1.1 ``mod_tariffs`` 4.2."""

    type: Annotated[str, Open(TariffDimensionType)]
    price: Number  # currency units per unit of the dimension, without VAT
    step_size: int  # billed in multiples of this, in the dimension's own step unit


@frozen(kw_only=True)
class TariffElement:
    """Prices that hold under the same conditions. Spec: 2.1.1 ``mod_tariffs`` 4.3."""

    price_components: OneOrMore[PriceComponent]
    restrictions: TariffRestrictions | None = None  # absent: always


class TariffDimensionType(StrEnum):
    """What is priced. Spec: 2.1.1 ``mod_tariffs`` 4.4."""

    ENERGY = "ENERGY"  # per kWh; step_size counts Wh
    FLAT = "FLAT"  # once
    PARKING_TIME = "PARKING_TIME"  # per hour not charging; step_size counts seconds
    TIME = "TIME"  # per hour charging; step_size counts seconds


@frozen(kw_only=True)
class TariffRestrictions:
    """When an element holds. Spec: 2.1.1 ``mod_tariffs`` 4.5."""

    start_time: Annotated[str, Max(5)] | None = None  # "HH:MM"
    end_time: Annotated[str, Max(5)] | None = None  # "HH:MM"
    start_date: Annotated[str, Max(10)] | None = None  # "YYYY-MM-DD"
    end_date: Annotated[str, Max(10)] | None = None  # "YYYY-MM-DD", exclusive
    min_kwh: Number | None = None  # kWh used so far
    max_kwh: Number | None = None  # kWh used so far
    min_power: Number | None = None  # kW
    max_power: Number | None = None  # kW
    min_duration: int | None = None  # s
    max_duration: int | None = None  # s
    day_of_week: Many[Annotated[str, Open(DayOfWeek)]] = None


# --- tokens ---------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class AuthorizationInfo:
    """What an eMSP says about a token at a place. Spec: 2.1.1 ``mod_tokens`` 3.1. Which token, only the URL says."""

    allowed: Annotated[str, Open(AllowedType)]
    location: LocationReferences | None = None  # where charging is allowed, if the question named a place
    info: DisplayText | None = None


@frozen(kw_only=True)
class Token:
    """A driver's token. Spec: 2.1.1 ``mod_tokens`` 3.2."""

    uid: Annotated[Id, Max(36)]  # what a charge point reads
    type: Annotated[str, Open(TokenType)]
    auth_id: Annotated[Id, Max(36)]  # the contract, eMI3 eMA id
    visual_number: Annotated[str, Max(64)] | None = None  # as printed on the token
    issuer: Annotated[str, Max(64)]  # company, as printed on the token
    valid: bool
    whitelist: Annotated[str, Open(WhitelistType)]
    language: Language | None = None  # the driver's
    last_updated: DateTime


class AllowedType(StrEnum):
    """The answer to an authorization. Spec: 2.1.1 ``mod_tokens`` 4.1, where it is called Allowed."""

    ALLOWED = "ALLOWED"
    BLOCKED = "BLOCKED"
    EXPIRED = "EXPIRED"
    NO_CREDIT = "NO_CREDIT"
    NOT_ALLOWED = "NOT_ALLOWED"


@frozen(kw_only=True)
class LocationReferences:
    """A place by its ids. Spec: 2.1.1 ``mod_tokens`` 4.2."""

    location_id: Annotated[Id, Max(39)]
    evse_uids: Many[Annotated[Id, Max(39)]] = None
    connector_ids: Many[Annotated[Id, Max(36)]] = None  # within the given EVSEs


class TokenType(StrEnum):
    """What a token is. Spec: 2.1.1 ``mod_tokens`` 4.3."""

    OTHER = "OTHER"
    RFID = "RFID"


class WhitelistType(StrEnum):
    """When a CPO may decide without asking. Spec: 2.1.1 ``mod_tokens`` 4.4."""

    ALWAYS = "ALWAYS"
    ALLOWED = "ALLOWED"
    ALLOWED_OFFLINE = "ALLOWED_OFFLINE"
    NEVER = "NEVER"


# --- commands -------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class CommandResponse:
    """The answer to a command, both at once and later, at the ``response_url``. Spec: 2.1.1 ``mod_commands`` 3.1."""

    result: Annotated[str, Open(CommandResponseType)]


@frozen(kw_only=True)
class ReserveNow:
    """Reserves an EVSE, or replaces a reservation. Spec: 2.1.1 ``mod_commands`` 3.2."""

    response_url: Url  # where the second CommandResponse goes
    token: Token
    expiry_date: DateTime  # when the reservation ends
    reservation_id: int  # the same number again replaces the reservation
    location_id: Annotated[Id, Max(39)]
    evse_uid: Annotated[Id, Max(39)] | None = None  # absent: any EVSE there


@frozen(kw_only=True)
class StartSession:
    """Starts a session. Spec: 2.1.1 ``mod_commands`` 3.3."""

    response_url: Url  # where the second CommandResponse goes
    token: Token
    location_id: Annotated[Id, Max(39)]
    evse_uid: Annotated[Id, Max(39)] | None = None  # absent: any EVSE there


@frozen(kw_only=True)
class StopSession:
    """Stops a session. Spec: 2.1.1 ``mod_commands`` 3.4."""

    response_url: Url  # where the second CommandResponse goes
    session_id: Annotated[Id, Max(36)]


@frozen(kw_only=True)
class UnlockConnector:
    """Unlocks a stuck plug; for help desks only. Spec: 2.1.1 ``mod_commands`` 3.5."""

    response_url: Url  # where the second CommandResponse goes
    location_id: Annotated[Id, Max(39)]
    evse_uid: Annotated[Id, Max(39)]
    connector_id: Annotated[Id, Max(36)]


class CommandResponseType(StrEnum):
    """What became of a command. Spec: 2.1.1 ``mod_commands`` 4.1."""

    NOT_SUPPORTED = "NOT_SUPPORTED"
    REJECTED = "REJECTED"
    ACCEPTED = "ACCEPTED"
    TIMEOUT = "TIMEOUT"
    UNKNOWN_SESSION = "UNKNOWN_SESSION"


class CommandType(StrEnum):
    """The commands, by their name in the URL. Spec: 2.1.1 ``mod_commands`` 4.2."""

    RESERVE_NOW = "RESERVE_NOW"
    START_SESSION = "START_SESSION"
    STOP_SESSION = "STOP_SESSION"
    UNLOCK_CONNECTOR = "UNLOCK_CONNECTOR"


# --- credentials and versions ---------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Credentials:
    """How to reach a party. Spec: 2.1.1 ``credentials`` 2.1. In which role, it doesn't say."""

    token: CredentialsToken  # for the receiver of this object to authenticate with
    url: Url  # of the sender's versions endpoint
    business_details: BusinessDetails
    party_id: PartyId
    country_code: CountryCode


@frozen(kw_only=True)
class Version:
    """A version that a platform offers. Spec: 2.1.1 ``version_information_endpoint``, Version class."""

    version: str
    url: Url  # of its details


@frozen(kw_only=True)
class VersionDetails:
    """The endpoints of one version. Spec: 2.1.1 ``version_information_endpoint``, Version details endpoint, Data."""

    version: str  # not to be compared: the specification's own example names another one
    endpoints: OneOrMore[Endpoint]


@frozen(kw_only=True)
class Endpoint:
    """One module's URL. Spec: 2.1.1 ``version_information_endpoint``, Endpoint class."""

    identifier: Annotated[str, Open(ModuleId)]  # custom modules have names of their own
    url: Url


class ModuleId(StrEnum):
    """The modules. Spec: 2.1.1 ``version_information_endpoint``, ModuleID enum."""

    CDRS = "cdrs"
    COMMANDS = "commands"
    CREDENTIALS = "credentials"
    LOCATIONS = "locations"
    SESSIONS = "sessions"
    TARIFFS = "tariffs"
    TOKENS = "tokens"
