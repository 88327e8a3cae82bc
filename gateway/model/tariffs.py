"""Tariffs: what a CPO charges. Spec: 2.2.1 ``mod_tariffs``.

A tariff is a list of elements; per dimension (energy, time, ...) the first element that has a price for it and whose
restrictions match applies. The gateway carries tariffs and never prices a session with them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from attrs import frozen

from gateway.model.locations import EnergyMix
from gateway.model.money import Price
from gateway.model.types import (
    CountryCode,
    Currency,
    DateTime,
    DisplayText,
    Id,
    Many,
    Max,
    Number,
    OneOrMore,
    Open,
    PartyId,
    Url,
)


class DayOfWeek(StrEnum):
    """A day of the week. Spec: 2.2.1 ``mod_tariffs``, DayOfWeek enum."""

    MONDAY = "MONDAY"
    TUESDAY = "TUESDAY"
    WEDNESDAY = "WEDNESDAY"
    THURSDAY = "THURSDAY"
    FRIDAY = "FRIDAY"
    SATURDAY = "SATURDAY"
    SUNDAY = "SUNDAY"


class ReservationRestrictionType(StrEnum):
    """Which part of a reservation an element prices. Spec: 2.2.1 ``mod_tariffs``, ReservationRestrictionType enum."""

    RESERVATION = "RESERVATION"
    RESERVATION_EXPIRES = "RESERVATION_EXPIRES"


class TariffDimensionType(StrEnum):
    """What is priced. Spec: 2.2.1 ``mod_tariffs``, TariffDimensionType enum."""

    ENERGY = "ENERGY"  # per kWh; step_size counts Wh
    FLAT = "FLAT"  # once; step_size means nothing
    PARKING_TIME = "PARKING_TIME"  # per hour not charging; step_size counts seconds
    TIME = "TIME"  # per hour charging (or reserved); step_size counts seconds


class TariffType(StrEnum):
    """For whom a tariff is. Spec: 2.2.1 ``mod_tariffs``, TariffType enum."""

    AD_HOC_PAYMENT = "AD_HOC_PAYMENT"
    PROFILE_CHEAP = "PROFILE_CHEAP"
    PROFILE_FAST = "PROFILE_FAST"
    PROFILE_GREEN = "PROFILE_GREEN"
    REGULAR = "REGULAR"


@frozen(kw_only=True)
class Tariff:
    """A tariff. Spec: 2.2.1 ``mod_tariffs``, Tariff object."""

    country_code: CountryCode  # of the owner, a CPO
    party_id: PartyId  # of the owner
    id: Annotated[Id, Max(36)]  # unique within the owner's platform
    currency: Currency
    type: Annotated[str, Open(TariffType)] | None = None  # absent: for all sessions
    tariff_alt_text: Many[DisplayText] = None  # one per language
    tariff_alt_url: Url | None = None
    min_price: Price | None = None  # a session costs at least this
    max_price: Price | None = None  # a session costs at most this
    elements: OneOrMore[TariffElement]
    start_date_time: DateTime | None = None  # in force from
    end_date_time: DateTime | None = None  # in force until
    energy_mix: EnergyMix | None = None
    last_updated: DateTime


@frozen(kw_only=True)
class PriceComponent:
    """The price of one dimension. Spec: 2.2.1 ``mod_tariffs``, PriceComponent class."""

    type: Annotated[str, Open(TariffDimensionType)]
    price: Number  # currency units per unit of the dimension, without VAT
    vat: Number | None = None  # %; absent: no VAT applies, which isn't 0 %
    step_size: int  # billed in multiples of this, in the dimension's own step unit


@frozen(kw_only=True)
class TariffElement:
    """Prices that hold under the same conditions. Spec: 2.2.1 ``mod_tariffs``, TariffElement class."""

    price_components: OneOrMore[PriceComponent]
    restrictions: TariffRestrictions | None = None  # absent: always


@frozen(kw_only=True)
class TariffRestrictions:
    """When an element holds; all of what is given must hold. Spec: 2.2.1 ``mod_tariffs``, TariffRestrictions class.

    Times and dates are local to the location; a maximum, an end time and an end date are exclusive.
    """

    start_time: Annotated[str, Max(5)] | None = None  # "HH:MM"
    end_time: Annotated[str, Max(5)] | None = None  # "HH:MM"; earlier than start_time: past midnight
    start_date: Annotated[str, Max(10)] | None = None  # "YYYY-MM-DD"
    end_date: Annotated[str, Max(10)] | None = None  # "YYYY-MM-DD"
    min_kwh: Number | None = None  # kWh used so far
    max_kwh: Number | None = None  # kWh used so far
    min_current: Number | None = None  # A at this moment, sum over all phases
    max_current: Number | None = None  # A at this moment, sum over all phases
    min_power: Number | None = None  # kW at this moment
    max_power: Number | None = None  # kW at this moment
    min_duration: int | None = None  # s since the session began
    max_duration: int | None = None  # s since the session began
    day_of_week: Many[Annotated[str, Open(DayOfWeek)]] = None
    reservation: Annotated[str, Open(ReservationRestrictionType)] | None = None  # the element prices a reservation
