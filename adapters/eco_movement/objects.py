"""What stands on the wire of an Eco-Movement feed: the prices of both shapes, in the words of its documentation.

As strict as a price has to be, and no more: amounts, currency and limits that are numbers must be understood, since a
price that is understood in part is another price. Times, dates and days of the week must be texts; what stands in them
is looked at in ``checks.py``. What only describes (names, ids of partners and products, the kind of subscription) is
text, and a number counts as one.

Source: the documentation of the data API, ``prices`` (the older shape), ``prices-new`` and ``connector-prices``.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from attrs import frozen

from gateway.model.tariffs import DayOfWeek, ReservationRestrictionType, TariffDimensionType
from gateway.model.types import FromNumber, Many, Max, Number, OneOrMore, Open

Words: TypeAlias = Annotated[str, FromNumber()]
"""A text, of which nothing depends."""


@frozen(kw_only=True)
class Product:
    """What is sold. The older shape has no ``id`` and no ``type``."""

    id: Words | None = None  # UUID
    name: Words | None = None
    description: Words | None = None
    subscription_type: Words | None = None  # month, yearly, one-off, n/a; others occur
    subscription_fee_excl_vat: Words | None = None  # currency units per period; a text of four decimals, or a number
    type: Words | None = None  # adhoc, msp, cpo_subscription, other
    currency: str  # ISO 4217; of the station's country


@frozen(kw_only=True)
class Component:
    """The price of one dimension, newer shape."""

    type: Annotated[str, Open(TariffDimensionType)]
    price_excl_vat: Number  # currency units per kWh, session or hour
    vat: Number | None = None  # %
    step_size: Number | None = None


@frozen(kw_only=True)
class Restrictions:
    """When an element holds, newer shape: the words of OCPI."""

    start_time: Annotated[str, Max(5)] | None = None  # "HH:MM", local
    end_time: Annotated[str, Max(5)] | None = None
    start_date: Annotated[str, Max(10)] | None = None  # "YYYY-MM-DD", local
    end_date: Annotated[str, Max(10)] | None = None
    min_kwh: Number | None = None
    max_kwh: Number | None = None
    min_current: Number | None = None  # A
    max_current: Number | None = None
    min_power: Number | None = None  # kW
    max_power: Number | None = None
    min_duration: Number | None = None  # s
    max_duration: Number | None = None
    day_of_week: Many[Annotated[str, Open(DayOfWeek)]] = None
    reservation: Annotated[str, Open(ReservationRestrictionType)] | None = None


@frozen(kw_only=True)
class Element:
    """Prices that hold under the same conditions, newer shape. On the wire, restrictions may be a list of such."""

    price_components: OneOrMore[Component]
    restrictions: Restrictions | None = None


@frozen(kw_only=True)
class Price:
    """One price of the newer shape: one product, one id."""

    id: Annotated[str, FromNumber()]
    partner: Words | None = None
    partner_id: Words | None = None  # UUID
    last_updated: Words | None = None
    product: Product
    elements: OneOrMore[Element]


@frozen(kw_only=True)
class OldElement:
    """The price of one dimension, older shape: whenever, and without steps."""

    type: Annotated[str, Open(TariffDimensionType)]
    price_excl_vat: Number
    vat: Number | None = None


@frozen(kw_only=True)
class Entry:
    """The price of one product, older shape: one of those that stand in the ``price_list`` under one id."""

    partner: Words | None = None
    product: Product
    elements: OneOrMore[OldElement]


@frozen(kw_only=True)
class ConnectorPrices:
    """Which prices hold at a connector, newer shape."""

    location_id: Words
    evse_uid: Words
    connector_id: Words
    pricing_ids: Many[Words] = None
