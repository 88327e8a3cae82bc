"""Charging profiles: limits that somebody else sets on a session. Spec: 2.2.1 ``mod_charging_profiles``.

As with commands there are two answers: at once by the CPO (ChargingProfileResponse), and later, at the
``response_url``, a result of the EVSE.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from attrs import frozen

from gateway.model.types import DateTime, Many, Number, Open, Url


class ChargingRateUnit(StrEnum):
    """Unit of a limit. Spec: 2.2.1 ``mod_charging_profiles``, ChargingRateUnit enum."""

    W = "W"  # watts, over all phases
    A = "A"  # amperes, per phase


class ChargingProfileResponseType(StrEnum):
    """What the CPO says at once. Spec: 2.2.1 ``mod_charging_profiles``, ChargingProfileResponseType enum."""

    ACCEPTED = "ACCEPTED"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    REJECTED = "REJECTED"
    TOO_OFTEN = "TOO_OFTEN"
    UNKNOWN_SESSION = "UNKNOWN_SESSION"


class ChargingProfileResultType(StrEnum):
    """What the EVSE says later. Spec: 2.2.1 ``mod_charging_profiles``, ChargingProfileResultType enum."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"


@frozen(kw_only=True)
class ChargingProfileResponse:
    """The CPO's answer, at once. Spec: 2.2.1 ``mod_charging_profiles``, ChargingProfileResponse object."""

    result: Annotated[str, Open(ChargingProfileResponseType)]
    timeout: int  # s, after which no result is to be expected any more


@frozen(kw_only=True)
class ActiveChargingProfileResult:
    """The profile that was asked for. Spec: 2.2.1 ``mod_charging_profiles``, ActiveChargingProfileResult object."""

    result: Annotated[str, Open(ChargingProfileResultType)]
    profile: ActiveChargingProfile | None = None  # with ACCEPTED


@frozen(kw_only=True)
class ChargingProfileResult:
    """Whether a profile was taken. Spec: 2.2.1 ``mod_charging_profiles``, ChargingProfileResult object."""

    result: Annotated[str, Open(ChargingProfileResultType)]


@frozen(kw_only=True)
class ClearProfileResult:
    """Whether a profile was removed. Spec: 2.2.1 ``mod_charging_profiles``, ClearProfileResult object."""

    result: Annotated[str, Open(ChargingProfileResultType)]


@frozen(kw_only=True)
class SetChargingProfile:
    """Sets a profile on a session. Spec: 2.2.1 ``mod_charging_profiles``, SetChargingProfile object."""

    charging_profile: ChargingProfile
    response_url: Url  # where the ChargingProfileResult goes


@frozen(kw_only=True)
class ActiveChargingProfile:
    """The profile in force, as calculated. Spec: 2.2.1 ``mod_charging_profiles``, ActiveChargingProfile class."""

    start_date_time: DateTime  # when it was calculated; its periods count from here
    charging_profile: ChargingProfile


@frozen(kw_only=True)
class ChargingProfile:
    """Limits over time. Spec: 2.2.1 ``mod_charging_profiles``, ChargingProfile class."""

    start_date_time: DateTime | None = None  # absent: counted from the start of charging
    duration: int | None = None  # s; absent: until the end of the session
    charging_rate_unit: Annotated[str, Open(ChargingRateUnit)]
    min_charging_rate: Number | None = None  # in charging_rate_unit, one decimal
    charging_profile_period: Many[ChargingProfilePeriod] = None


@frozen(kw_only=True)
class ChargingProfilePeriod:
    """One limit; it holds until the next begins. Spec: 2.2.1 ``mod_charging_profiles``, ChargingProfilePeriod class."""

    start_period: int  # s from the start of the profile
    limit: Number  # in charging_rate_unit, one decimal
