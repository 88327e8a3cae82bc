"""Charging sessions while they last, and the driver's preferences for one. Spec: 2.2.1 ``mod_sessions``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from attrs import frozen

from gateway.model.cdrs import AuthMethod, CdrToken, ChargingPeriod
from gateway.model.money import Price
from gateway.model.tokens import ProfileType
from gateway.model.types import CountryCode, Currency, DateTime, Id, Many, Max, Number, Open, PartyId


class ChargingPreferencesResponse(StrEnum):
    """The answer to charging preferences. Spec: 2.2.1 ``mod_sessions``, ChargingPreferencesResponse enum."""

    ACCEPTED = "ACCEPTED"
    DEPARTURE_REQUIRED = "DEPARTURE_REQUIRED"
    ENERGY_NEED_REQUIRED = "ENERGY_NEED_REQUIRED"
    NOT_POSSIBLE = "NOT_POSSIBLE"
    PROFILE_TYPE_NOT_SUPPORTED = "PROFILE_TYPE_NOT_SUPPORTED"


class SessionStatus(StrEnum):
    """State of a session. Spec: 2.2.1 ``mod_sessions``, SessionStatus enum."""

    ACTIVE = "ACTIVE"
    COMPLETED = "COMPLETED"
    INVALID = "INVALID"
    PENDING = "PENDING"
    RESERVATION = "RESERVATION"


@frozen(kw_only=True)
class Session:
    """One charging session, as it stands. Spec: 2.2.1 ``mod_sessions``, Session object.

    EVSE and connector are ``#NA`` for a reservation that has none assigned.
    """

    country_code: CountryCode  # of the owner, a CPO
    party_id: PartyId  # of the owner
    id: Annotated[Id, Max(36)]  # unique within the owner's platform
    start_date_time: DateTime  # when it became ACTIVE; while PENDING, when it was made
    end_date_time: DateTime | None = None
    kwh: Number  # kWh charged so far
    cdr_token: CdrToken
    auth_method: Annotated[str, Open(AuthMethod)]  # may change during the session
    authorization_reference: Annotated[str, Max(36)] | None = None  # the last one that the eMSP gave
    location_id: Annotated[Id, Max(36)]
    evse_uid: Annotated[Id, Max(36)]
    connector_id: Annotated[Id, Max(36)]
    meter_id: Annotated[str, Max(255)] | None = None
    currency: Currency
    charging_periods: Many[ChargingPeriod] = None
    total_cost: Price | None = None  # absent: not known, which isn't "free of charge"
    status: Annotated[str, Open(SessionStatus)]
    last_updated: DateTime


@frozen(kw_only=True)
class ChargingPreferences:
    """What the driver wants of a session. Spec: 2.2.1 ``mod_sessions``, ChargingPreferences object."""

    profile_type: Annotated[str, Open(ProfileType)]
    departure_time: DateTime | None = None  # expected
    energy_need: Number | None = None  # kWh
    discharge_allowed: bool | None = None  # default: false
