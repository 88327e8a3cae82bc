"""What charging costs: four products for each location, and what may be wrong with one of them.

A price here is neither the old shape nor the new one; ``rows`` writes it in both. Its id belongs to its content: a
price that changes gets a new one. An id begins with the number of its place in the list, so that sorting by id is
sorting by number, and a cursor can be followed although nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from attrs import evolve, frozen

from gateway.demo.feed.layout import Operator, digest

PRODUCTS: Final = ("adhoc", "msp", "msp_subscription", "cpo_subscription")
"""The products of a location, in the order of the list: who pays at the station, who pays by the card of an MSP, by
the card of an MSP with a monthly fee, by a contract with the operator."""
_CENT: Final = Decimal("0.01")
_ADHOC_KWH: Final = Decimal("0.49")
_UNDATED: Final = datetime.min


@frozen
class Component:
    """One component, before it is written. ``vat`` is in percent; None is written as no VAT at all."""

    type: str
    price: Decimal | str
    vat: Decimal | None = Decimal(21)
    step: int = 1


@frozen
class Element:
    """Components, and when they hold: always, without ``restrictions``."""

    components: tuple[Component, ...]
    restrictions: Mapping[str, object] | None = None


@frozen(kw_only=True)
class Price:
    """One product at one location.

    Attributes:
        kind: as the new shape says it (``adhoc``, ``msp``, ``cpo_subscription``); None leaves it out.
        period, fee: of the subscription. ``n/a`` and 0 for none.
    """

    id: str | None
    partner: str
    product_id: str | None
    name: str
    description: str
    kind: str | None
    period: str = "n/a"
    fee: Decimal = Decimal(0)
    currency: str = "EUR"
    elements: tuple[Element, ...]
    last_updated: datetime


def price_id(slot: int, revision: int) -> str:
    """Id of the price in a place of the list, once it has been changed so many times."""
    return f"{slot:08x}{digest('price', slot, revision)[8:]}"


def quote(slot: int, revision: int, operator: Operator, dearer: Decimal, last_updated: datetime) -> Price:
    """The price in a place of the list, ``dearer`` per kWh than at first. Nothing about it is implausible."""
    location, number = divmod(slot, len(PRODUCTS))
    make = (_ad_hoc, _roaming, _subscribed_roaming, _contract)[number]
    product = make(location, operator, _ADHOC_KWH + _CENT * (location % 20) + dearer)
    return evolve(product, id=price_id(slot, revision), last_updated=last_updated)


def _ad_hoc(location: int, operator: Operator, kwh: Decimal) -> Price:
    """At the station. Cheaper by night at every third location, with a fee for staying long at every other one."""
    elements = [Element((Component("ENERGY", kwh),))]
    if location % 3 == 0:
        night = {"start_time": "22:00", "end_time": "06:00"}
        elements.insert(0, Element((Component("ENERGY", kwh - _CENT * 10),), night))
    if location % 2 == 0:
        elements.append(Element((Component("PARKING_TIME", Decimal("6.00"), step=60),), {"min_duration": 14400}))
    return Price(
        id=None,
        partner=operator.name,
        product_id=None if location % 5 == 4 else _uuid("adhoc", operator.ema_id),
        name="Ad hoc",
        description="Direct payment",
        kind="adhoc",
        elements=tuple(elements),
        last_updated=_UNDATED,
    )


def _roaming(location: int, operator: Operator, kwh: Decimal) -> Price:
    return Price(
        id=None,
        partner="Roam One",
        product_id=_uuid("Roam One", "Basic"),
        name="Basic",
        description=f"At {operator.name}",
        kind="msp",
        elements=(Element((Component("ENERGY", kwh + _CENT * 8), Component("FLAT", Decimal("0.35")))),),
        last_updated=_UNDATED,
    )


def _subscribed_roaming(location: int, operator: Operator, kwh: Decimal) -> Price:
    """By the month. VAT is told at some locations, nothing is said about it at others, at others it is 0."""
    vat = (Decimal(21), None, Decimal(0))[location % 3]
    return Price(
        id=None,
        partner="Voltpass",
        product_id=_uuid("Voltpass", "Plus"),
        name="Plus",
        description="Monthly",
        kind="msp",
        period="month",
        fee=Decimal("4.99"),
        elements=(Element((Component("ENERGY", kwh - _CENT * 5, vat),)),),
        last_updated=_UNDATED,
    )


def _contract(location: int, operator: Operator, kwh: Decimal) -> Price:
    return Price(
        id=None,
        partner=operator.name,
        product_id=_uuid("contract", operator.ema_id),
        name="Regular",
        description="For customers",
        kind="cpo_subscription",
        period="yearly",
        fee=Decimal("59.00"),
        elements=(Element((Component("ENERGY", kwh - _CENT * 12), Component("TIME", Decimal("1.20"), step=60))),),
        last_updated=_UNDATED,
    )


def _uuid(*what: str) -> str:
    return as_uuid(digest("product", *what))


def as_uuid(text: str) -> str:
    """32 hex digits, written as a random UUID is."""
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


# What may be wrong


def _only(type: str, price: str, step: int = 1) -> Callable[[Price], Price]:
    """Nothing but this component."""
    return lambda right: evolve(right, elements=(Element((Component(type, Decimal(price), step=step),)),))


def _besides(*components: Component) -> Callable[[Price], Price]:
    """Energy at a decent price, and these."""
    all_components = (Component("ENERGY", _ADHOC_KWH), *components)
    return lambda right: evolve(right, elements=(Element(all_components),))


FLAWS: Final[Mapping[str, Callable[[Price], Price]]] = {
    "energy_dear": _only("ENERGY", "4.20"),
    "energy_cheap": _only("ENERGY", "0.005"),
    "free": _only("ENERGY", "0"),
    "negative": _only("ENERGY", "-0.10"),
    "time_per_minute": _besides(Component("TIME", Decimal("0.08"))),
    "time_dear": _besides(Component("TIME", Decimal("75"))),
    "parking_per_minute": _besides(Component("PARKING_TIME", Decimal("0.10"))),
    "parking_dear": _besides(Component("PARKING_TIME", Decimal("90"))),
    "parking_only": _only("PARKING_TIME", "6.00"),
    "time_and_parking": _besides(Component("TIME", Decimal("2.40")), Component("PARKING_TIME", Decimal("6.00"))),
    "flat_dear": _besides(Component("FLAT", Decimal("60"))),
    "vat_fraction": lambda right: evolve(
        right, elements=(Element((Component("ENERGY", _ADHOC_KWH, Decimal("0.21")),)),)
    ),
    "step_zero": _only("ENERGY", "0.49", step=0),
    "twice": _besides(Component("ENERGY", Decimal("0.59"))),
    "no_number": lambda right: evolve(right, elements=(Element((Component("ENERGY", "on request"),)),)),
    "no_elements": lambda right: evolve(right, elements=()),
    "no_id": lambda right: evolve(right, id=None),
    "long_id": lambda right: evolve(right, id=f"{right.id}-of-charging"),
    "currency": lambda right: evolve(right, currency="EURO"),
    "other_kind": lambda right: evolve(right, kind="other"),
    "no_kind": lambda right: evolve(right, kind=None),
    "odd_period": lambda right: evolve(right, period="FIXED"),
}
"""What may be wrong with a price, or merely odd, by name. Prices are per kWh, session or hour, VAT in percent."""
