"""Charge detail records: the one thing that money depends on. Spec: 2.2.1 ``mod_cdrs``.

A CDR is sealed. It carries location, tariffs and token as they were when the session started, so that it can be
understood and contested years later; it is never changed, only credited by another CDR.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from attrs import frozen

from gateway.model.locations import ConnectorFormat, ConnectorType, GeoLocation, PowerType
from gateway.model.money import Price
from gateway.model.tariffs import Tariff
from gateway.model.tokens import TokenType
from gateway.model.types import (
    Country3,
    CountryCode,
    Currency,
    DateTime,
    Id,
    Many,
    Max,
    Number,
    OneOrMore,
    Open,
    PartyId,
)


class AuthMethod(StrEnum):
    """How the driver was authorized. Spec: 2.2.1 ``mod_cdrs``, AuthMethod enum."""

    AUTH_REQUEST = "AUTH_REQUEST"
    COMMAND = "COMMAND"
    WHITELIST = "WHITELIST"


class CdrDimensionType(StrEnum):
    """What a volume measures, and its unit. Spec: 2.2.1 ``mod_cdrs``, CdrDimensionType enum.

    CURRENT, ENERGY_EXPORT, ENERGY_IMPORT, POWER and STATE_OF_CHARGE belong in sessions only.
    """

    CURRENT = "CURRENT"  # A, average; negative towards the grid
    ENERGY = "ENERGY"  # kWh; negative when more was fed into the grid
    ENERGY_EXPORT = "ENERGY_EXPORT"  # kWh
    ENERGY_IMPORT = "ENERGY_IMPORT"  # kWh
    MAX_CURRENT = "MAX_CURRENT"  # A, sum over all phases
    MIN_CURRENT = "MIN_CURRENT"  # A, sum over all phases
    MAX_POWER = "MAX_POWER"  # kW
    MIN_POWER = "MIN_POWER"  # kW
    PARKING_TIME = "PARKING_TIME"  # h, the vehicle asking for no power
    POWER = "POWER"  # kW, average
    RESERVATION_TIME = "RESERVATION_TIME"  # h
    STATE_OF_CHARGE = "STATE_OF_CHARGE"  # %, 0 to 100
    TIME = "TIME"  # h, charging


@frozen(kw_only=True)
class CDR:
    """A finished session and what it costs. Spec: 2.2.1 ``mod_cdrs``, CDR object."""

    country_code: CountryCode  # of the owner, a CPO
    party_id: PartyId  # of the owner
    id: Annotated[Id, Max(39)]  # unique within the owner; longer than other ids, to mark a credit CDR
    start_date_time: DateTime  # of the session, or of the reservation before it
    end_date_time: DateTime
    session_id: Annotated[Id, Max(36)] | None = None  # absent only where there was no Session
    cdr_token: CdrToken
    auth_method: Annotated[str, Open(AuthMethod)]
    authorization_reference: Annotated[str, Max(36)] | None = None  # the last one that the eMSP gave
    cdr_location: CdrLocation
    meter_id: Annotated[str, Max(255)] | None = None
    currency: Currency
    tariffs: Many[Tariff] = None  # the relevant ones, whole; a "free of charge" tariff too
    charging_periods: OneOrMore[ChargingPeriod]
    signed_data: SignedData | None = None
    total_cost: Price
    total_fixed_cost: Price | None = None
    total_energy: Number  # kWh
    total_energy_cost: Price | None = None
    total_time: Number  # h, charging or not
    total_time_cost: Price | None = None
    total_parking_time: Number | None = None  # h, not charging
    total_parking_cost: Price | None = None
    total_reservation_cost: Price | None = None
    remark: Annotated[str, Max(255)] | None = None
    invoice_reference_id: Annotated[str, Max(39)] | None = None
    credit: bool | None = None  # true: takes back the CDR named below
    credit_reference_id: Annotated[Id, Max(39)] | None = None  # the id of that CDR
    home_charging_compensation: bool | None = None  # true: the driver's own charger, the driver is paid
    last_updated: DateTime


@frozen(kw_only=True)
class CdrDimension:
    """One volume of a charging period. Spec: 2.2.1 ``mod_cdrs``, CdrDimension class."""

    type: Annotated[str, Open(CdrDimensionType)]
    volume: Number  # in the unit of its type


@frozen(kw_only=True)
class CdrLocation:
    """The place of a CDR, as it was. Spec: 2.2.1 ``mod_cdrs``, CdrLocation class.

    For a reservation that never became a session the ids of EVSE and connector are ``#NA`` and the connector's kind
    means nothing.
    """

    id: Annotated[Id, Max(36)]
    name: Annotated[str, Max(255)] | None = None
    address: Annotated[str, Max(45)]  # street and number
    city: Annotated[str, Max(45)]
    postal_code: Annotated[str, Max(10)] | None = None
    state: Annotated[str, Max(20)] | None = None
    country: Country3
    coordinates: GeoLocation
    evse_uid: Annotated[Id, Max(36)]
    evse_id: Annotated[str, Max(48)]  # eMI3 EVSE id
    connector_id: Annotated[Id, Max(36)]
    connector_standard: Annotated[str, Open(ConnectorType)]
    connector_format: Annotated[str, Open(ConnectorFormat)]
    connector_power_type: Annotated[str, Open(PowerType)]


@frozen(kw_only=True)
class CdrToken:
    """The token of a session or CDR, as it was. Spec: 2.2.1 ``mod_cdrs``, CdrToken class."""

    country_code: CountryCode  # of the token's owner, an eMSP
    party_id: PartyId  # of the token's owner
    uid: Annotated[Id, Max(36)]
    type: Annotated[str, Open(TokenType)]
    contract_id: Annotated[Id, Max(36)]


@frozen(kw_only=True)
class ChargingPeriod:
    """A stretch of a session; it ends where the next begins. Spec: 2.2.1 ``mod_cdrs``, ChargingPeriod class."""

    start_date_time: DateTime
    dimensions: OneOrMore[CdrDimension]
    tariff_id: Annotated[Id, Max(36)] | None = None  # absent: no tariff is relevant here


@frozen(kw_only=True)
class SignedData:
    """Signed meter values (in Germany: Eichrecht). Spec: 2.2.1 ``mod_cdrs``, SignedData class."""

    encoding_method: Annotated[str, Max(36)]  # "OCMF", ...
    encoding_method_version: int | None = None
    public_key: Annotated[str, Max(512)] | None = None  # base64
    signed_values: OneOrMore[SignedValue]
    url: Annotated[str, Max(512)] | None = None  # where a driver can check the data


@frozen(kw_only=True)
class SignedValue:
    """One signed value with its plain form. Spec: 2.2.1 ``mod_cdrs``, SignedValue class."""

    nature: Annotated[str, Max(32)]  # Start, End, Intermediate
    plain_data: Annotated[str, Max(5000)]
    signed_data: Annotated[str, Max(5000)]  # base64
