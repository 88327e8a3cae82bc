"""How a feed writes things down: locations in two versions, prices in two shapes, connector prices, and its habits.

The documentation of the prices leaves room, and different servers have used it; ``Habits`` are the readings that have
been seen. A row is built when it is sent, from nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal

from attrs import frozen

from gateway.demo.feed.layout import Evse, Operator, Spot, digest
from gateway.demo.feed.rates import Component, Element, Price, as_uuid

Row = dict[str, Any]

_NO_RESTRICTIONS: Final = {
    "min_duration": 0, "max_duration": 86400, "start_date": None, "end_date": None, "start_time": None,
    "end_time": None, "day_of_week": None, "min_power": None, "max_power": None,
}  # fmt: skip
_STANDARDS: Final = (
    ("IEC_62196_T2_COMBO", "CABLE", "DC", 400, 375, 150),
    ("CHADEMO", "CABLE", "DC", 400, 125, 50),
    ("IEC_62196_T2", "SOCKET", "AC_3_PHASE", 230, 32, 22),
)
"""Standard, format, power type, volts, amperes, kilowatts."""
_STRANGE: Final = {"code": "NEW", "since": 2026, "notes": [None, "added without notice"]}


@frozen(kw_only=True)
class Habits:
    """How a feed writes.

    Attributes:
        numbers: money and VAT as JSON numbers, or as text.
        list_name: what the old shape calls its list of products.
        as_list: the old shape's list is one; else it is the first product itself.
        nested: the old shape's elements stand in one more list.
        restrictions: of the new shape's elements: as an object; as a list of one; as an object that has every key,
            null or without effect where nothing is restricted.
        strange: a field that nobody was told of stands in every object.
    """

    numbers: Literal["number", "text"] = "number"
    list_name: Literal["price_list", "pricelist"] = "price_list"
    as_list: bool = True
    nested: bool = False
    restrictions: Literal["object", "list", "nulls"] = "object"
    strange: bool = False


@frozen(kw_only=True)
class Site:
    """A location as it stands.

    Attributes:
        number: of the location.
        id: its id, until it is merged with another one.
        statuses: of its EVSEs, in their order, and since when.
        pricing_ids: of each of its connectors, in their order, the id of an old price.
    """

    number: int
    id: str
    operator: Operator | None
    alpha_3: str
    evses: Sequence[Evse]
    statuses: Sequence[tuple[str, datetime]]
    pricing_ids: Sequence[str]
    last_updated: datetime


def iso(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def estranged(value: Any) -> Any:
    """The same JSON with a field that nobody knows in every object of it."""
    if isinstance(value, dict):
        return {name: estranged(inner) for name, inner in value.items()} | {"attribute_of_next_year": _STRANGE}
    return [estranged(inner) for inner in value] if isinstance(value, list) else value


# Locations


def location(site: Site, version: str) -> Row:
    """A location with its EVSEs and connectors, in the feed's 2.1.1 or its 2.2, both with fields of its own."""
    old = version == "2.1.1"
    pricing_ids = iter(site.pricing_ids)
    row: Row = {
        "id": site.id,
        "name": f"Station {site.number}",
        "address": f"Hauptstraße {site.number}",
        "city": "Château-d'Œx",
        "postal_code": f"{1000 + site.number % 9000}",
        "country": site.alpha_3,
        "coordinates": {
            "latitude": f"{48 + site.number % 500 / 100:.4f}",
            "longitude": f"{4 + site.number % 700 / 100:.4f}",
        },
        "time_zone": "Europe/Amsterdam",
        "opening_times": {"twentyfourseven": True},
        "restrictions": ["CUSTOMERS"],
        "adhoc_authorisation_payment_method": [{"code": "TERMINAL_CREDIT_CARD", "description": "Card at a terminal"}],
        "evses": [
            _evse(evse, status, since, [next(pricing_ids) for _ in evse.connectors], old=old)
            for evse, (status, since) in zip(site.evses, site.statuses, strict=True)
        ],
        "last_updated": iso(site.last_updated),
    }
    kind = "PARKING_GARAGE" if site.number % 2 else "ON_STREET"
    row |= {"type": kind} if old else {"country_code": "NL", "party_id": "ECO", "publish": True, "parking_type": kind}
    if site.operator:
        known = {"partner_id": partner_id(site.operator.name), "name": site.operator.name}
        row["operator"] = known | {"website": "https://charging.example", "ema_id": [site.operator.ema_id]}
        row["brand_name"] = known
    return row


def _evse(evse: Evse, status: str, since: datetime, pricing_ids: list[str], *, old: bool) -> Row:
    return {
        "uid": evse.uid,
        "evse_id": evse.evse_id,
        "status": status,
        "capabilities": ["RFID_READER"],
        "connectors": [
            _connector(evse, number, pricing_id, since, old=old) for number, pricing_id in enumerate(pricing_ids)
        ],
        "last_updated": iso(since),
    }


def _connector(evse: Evse, number: int, pricing_id: str, since: datetime, *, old: bool) -> Row:
    standard, form, power_type, volts, amperes, kilowatts = _STANDARDS[(int(evse.uid) + number) % len(_STANDARDS)]
    row: Row = {
        "id": evse.connectors[number],
        "standard": standard,
        "format": form,
        "power_type": power_type,
        "tariff_id": digest("tariff", evse.evse_id),
        "pricing_id": pricing_id,
        "last_updated": iso(since),
    }
    if old:
        return row | {"voltage": volts, "amperage": amperes, "max_power": kilowatts}
    return row | {"max_voltage": volts, "max_amperage": amperes, "max_electric_power": kilowatts * 1000}


# Prices


def partner_id(partner: str) -> str:
    """The feed's own id of a business."""
    return as_uuid(digest("partner", partner))


def connector_price(location_id: str, spot: Spot, price_ids: Sequence[str]) -> Row:
    """Which prices hold at one connector."""
    return {
        "location_id": location_id,
        "evse_uid": spot.evse.uid,
        "connector_id": spot.connector,
        "pricing_ids": list(price_ids),
        "product_ids": [],
    }


def new_price(price: Price, habits: Habits) -> Row:
    """One price in the new shape."""
    product: Row = {"id": price.product_id} if price.product_id else {}
    product |= _product(price) | {"subscription_fee_excl_vat": f"{price.fee:.4f}"}
    product |= {"type": price.kind} if price.kind else {}
    row: Row = {"id": price.id} if price.id is not None else {}
    return row | {
        "partner": price.partner,
        "partner_id": partner_id(price.partner),
        "last_updated": iso(price.last_updated),
        "product": product,
        "elements": [_element(element, habits) for element in price.elements],
    }


def old_price(id: str, prices: Sequence[Price], habits: Habits) -> Row:
    """All prices of one location in the old shape, which has neither restrictions nor step sizes."""
    entries = [_entry(price, habits) for price in prices]
    return {"id": id, habits.list_name: entries if habits.as_list else next(iter(entries), {})}


def _product(price: Price) -> Row:
    return {
        "name": price.name,
        "description": price.description,
        "subscription_type": price.period,
        "currency": price.currency,
    }


def _entry(price: Price, habits: Habits) -> Row:
    fee = _number(price.fee, habits)
    elements = [_component(component, habits) for component in _unrestricted(price)]
    return {
        "partner": price.partner,
        "product": _product(price) | {"subscription_fee_excl_vat": fee},
        "elements": [elements] if habits.nested else elements,
    }


def _unrestricted(price: Price) -> list[Component]:
    """The components that always hold, then of the others the kinds that aren't among them."""
    always = [component for element in price.elements if not element.restrictions for component in element.components]
    sometimes = {component.type: component for element in price.elements for component in element.components}
    for component in always:
        sometimes.pop(component.type, None)
    return [*always, *sometimes.values()]


def _element(element: Element, habits: Habits) -> Row:
    components = [_component(component, habits) | {"step_size": component.step} for component in element.components]
    row: Row = {"price_components": components}
    restrictions = dict(element.restrictions or {})
    if habits.restrictions == "nulls":
        return row | {"restrictions": _NO_RESTRICTIONS | restrictions}
    if not restrictions:
        return row
    return row | {"restrictions": [restrictions] if habits.restrictions == "list" else restrictions}


def _component(component: Component, habits: Habits) -> Row:
    row: Row = {"type": component.type, "price_excl_vat": _number(component.price, habits)}
    return row if component.vat is None else row | {"vat": _number(component.vat, habits)}


def _number(value: Decimal | str, habits: Habits) -> int | float | str:
    """As a number without a fraction where there is none; what isn't a number stays what it is."""
    if isinstance(value, str) or habits.numbers == "text":
        return str(value)
    return int(value) if value == value.to_integral_value() else float(value)
