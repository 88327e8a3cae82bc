"""Prices and tariffs, row by row: the older side of these maps is the feed's, the newer one is OCPI's.

Up, what looks odd and is understood all the same is noted as a loss; whoever reads a feed shows it as a flag. Down, a
price list is for people who compare prices: an element that prices reservations would look like a fee on every session
and is left out; a restriction by current would be overlooked, and withholds the tariff.

The product around a price (its name, who sells it, its subscription) is no part of a tariff: see ``prices``.

Spec: 2.2.1 ``mod_tariffs``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

from adapters.eco_movement import objects as eco
from adapters.fieldmap import FieldMap, Path, each, group, inside, lossy, newer, older, value
from gateway.model.document import shape
from gateway.model.errors import InvalidObject
from gateway.model.facts import Crossing, Lossy, Withheld
from gateway.model.prices import AD_HOC, Audience, plain
from gateway.model.tables import MapTable
from gateway.model.tariffs import (
    PriceComponent,
    Tariff,
    TariffDimensionType,
    TariffElement,
    TariffRestrictions,
    TariffType,
)
from gateway.model.types import DateTime, Number
from gateway.model.values import in_utc

_SHORT_ID: Final = re.compile(r"(?!\.{1,2}\Z)[!-~]{1,36}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_DATE_TIME: Final = shape(DateTime)
_BY_CURRENT: Final = frozenset({"min_current", "max_current"})
_NOTHING_LEFT: Final = "it has nothing but prices of reservations"
_ENGLISH: Final = "en"

AUDIENCES: Final[Mapping[str, Audience]] = {
    "adhoc": Audience.ADHOC,
    "msp": Audience.MSP_RETAIL,
    "cpo_subscription": Audience.CPO_SUBSCRIPTION,
}
"""The feed's words for whom a price is for; ``other``, and what nobody has documented, is for nobody known."""

# What a partner reads about a tariff of a feed. The feed's own texts aren't ours to pass on.
_ALT_TEXT: Final = {
    Audience.ADHOC: AD_HOC,
    Audience.MSP_RETAIL: "Retail price of an eMSP",
    Audience.CPO_SUBSCRIPTION: "Price for subscribers of the operator",
}

# --- numbers --------------------------------------------------------------------------------------------------------


def as_written(value: Number, path: Path) -> Number:
    """the same digits, without an exponent"""
    try:
        return plain(value)
    except ValueError as error:
        raise InvalidObject(place(path), str(error)) from None


def dimension(value: str, path: Path) -> str:
    """one of OCPI's, in capitals; a row with another one is refused, for without it the price would be lower"""
    known = value.strip().upper()
    if known not in TariffDimensionType.__members__:
        raise InvalidObject(place((*path, "type")), "no known dimension, and without it the price would be another one")
    return known


def step(value: Number, path: Path) -> Any:
    """0 is read as 1"""
    whole = whole_number(value, path)
    return whole if whole > 0 else Lossy(1, f"a step size of {whole}, read as 1")


def whole_number(value: Number, path: Path) -> int:
    """the same, as an integer"""
    if isinstance(value, Decimal) and (value.adjusted() > 17 or value != value.to_integral_value()):
        raise InvalidObject(place(path), "expected an integer, got another number")
    return int(value)


def days(value: list[str]) -> list[str]:
    """in capitals"""
    return [day.strip().upper() for day in value]


def place(path: Path) -> str:
    """A path as errors spell it."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


# --- elements -------------------------------------------------------------------------------------------------------


def first_of_each(value: list[dict[str, Any]]) -> Any:
    """of several prices for one dimension the first"""
    kept: dict[str, dict[str, Any]] = {}
    again: dict[Any, str] = {}
    for index, component in enumerate(value):
        if kept.setdefault(component["type"], component) is not component:
            again[(index,)] = f"a second price for {component['type']}; the first one counts"
    return lossy(list(kept.values()), again)


def together(value: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """neighbours that hold under the same conditions become one

    The first element that prices a dimension counts for it, so nothing changes; but who reads a tariff element by
    element would see the first of them only. Not where both price the same dimension.
    """
    made: list[dict[str, Any]] = []
    for element in value:
        if made and _belong_together(made[-1], element):
            components = [*made[-1]["price_components"], *element["price_components"]]
            made[-1] = {**made[-1], "price_components": components}
        else:
            made.append(element)
    return made


def _belong_together(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.get("restrictions") == other.get("restrictions") and not (_priced(one) & _priced(other))


def _priced(element: Mapping[str, Any]) -> set[str]:
    return {component["type"] for component in element["price_components"]}


def for_reservations(value: str) -> Any:
    """the element is left out: it prices a reservation"""
    raise Withheld("it prices a reservation, and would look like a price of every session")


def sayable(value: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """restrictions by current withhold the tariff: who compares prices doesn't know them"""
    for element in value:
        restrictions = element.get("restrictions") or {}
        if restrictions.get("reservation") is None and not _BY_CURRENT.isdisjoint(restrictions):
            raise Withheld("restrictions by current can't be said, and leaving them out would widen them")
    return value


COMPONENT: Final = FieldMap(
    PriceComponent,
    #      feed              OCPI
    value("type", up=dimension),
    value("price_excl_vat", "price", up=as_written, down=as_written),
    value("vat", up=as_written, down=as_written),
    value("step_size", up=step, or_up=1),
    older=eco.Component,
)

RESTRICTIONS: Final = FieldMap(
    TariffRestrictions,
    value("min_kwh", down=as_written),
    value("max_kwh", down=as_written),
    value("min_power", down=as_written),
    value("max_power", down=as_written),
    value("min_duration", up=whole_number),
    value("max_duration", up=whole_number),
    value("day_of_week", up=days),
    value("reservation", down=for_reservations),
    older=eco.Restrictions,
)

ELEMENT: Final = FieldMap(
    TariffElement,
    each("price_components", COMPONENT, then_up=first_of_each),
    inside("restrictions", RESTRICTIONS),
    older=eco.Element,
)

# --- prices ---------------------------------------------------------------------------------------------------------


def tariff_id(value: str) -> str:
    """the same, if it is at most 36 visible ASCII characters, else E and 31 hex digits of its hash"""
    # Nothing is lost by that: the price itself keeps the feed's id beside the tariff.
    return value if _SHORT_ID.fullmatch(value) else made_id(value)


def made_id(*parts: str) -> str:
    """An id of 36 characters at most, always the same for the same texts."""
    return "E" + sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:31]


def currency(value: Mapping[str, Any], path: Path) -> str:
    """the product's currency"""
    code = str(value["currency"]).strip().upper()
    if not _CURRENCY.fullmatch(code):
        raise InvalidObject(place((*path, "product", "currency")), "expected a currency of three letters")
    return code


def in_product(value: str) -> dict[str, str]:
    """in the product"""
    return {"currency": value}


def when(value: str, crossing: Crossing) -> Any:
    """in UTC, with Z; what is no moment, or absent: when it was read"""
    try:
        return in_utc(str(_DATE_TIME.settle(value, "$")))
    except InvalidObject:
        return Lossy(now(crossing), "no moment; the moment of reading stands for it")


def now(crossing: Crossing) -> str:
    """when it was read"""
    return f"{crossing.now:%Y-%m-%dT%H:%M:%SZ}"


def in_one_element(value: list[dict[str, Any]], crossing: Crossing, path: Path) -> Any:
    """one element with all of them; of several prices for one dimension the first"""
    lifted = [OLD_COMPONENT.lift(item, crossing, (*path, "elements", index)) for index, item in enumerate(value)]
    components = first_of_each(lifted)
    losses = {}
    while isinstance(components, Lossy):
        losses[components.at] = components.reason
        components = components.value
    return lossy([{"price_components": components}], losses)


def without_restrictions(value: list[dict[str, Any]], crossing: Crossing, path: Path) -> Any:
    """those that always hold, the first one for each dimension; elements with restrictions are left out"""
    said: dict[str, dict[str, Any]] = {}
    left_out: dict[Any, str] = {}
    for index, element in enumerate(value):
        if element.get("restrictions"):
            left_out[(index,)] = "no room for prices with restrictions"
            continue
        for at, component in enumerate(element["price_components"]):
            if component["type"] in said:
                left_out[(index, "price_components", at)] = "no room for a price that another one comes before"
            else:
                where = (*path, "elements", index, "price_components", at)
                said[component["type"]] = OLD_COMPONENT.lower(component, crossing, where)
    if not said:
        raise Withheld("it has nothing but prices with restrictions")
    return lossy(list(said.values()), left_out)


# What neither shape has, and what both have in another place: the owner (in the URL, and the partner), the words.
_ONLY_OCPI: Final = (
    newer("country_code"),
    newer("party_id"),
    newer("type"),
    newer("tariff_alt_text"),
    newer("tariff_alt_url", loses="the page that explains it"),
    newer("min_price", loses="the least that a session costs"),
    newer("max_price", loses="the most that a session costs"),
    newer("start_date_time", loses="the beginning of its validity"),
    newer("end_date_time", loses="the end of its validity"),
    newer("energy_mix", loses="where the energy comes from"),
)

PRICE: Final = FieldMap(
    Tariff,
    *_ONLY_OCPI,
    value("id", up=tariff_id),
    group("product", "currency", up=currency, down=in_product),
    older("partner"),
    older("partner_id"),
    each(
        "elements",
        ELEMENT,
        down=sayable,
        then_up=together,
        least=_NOTHING_LEFT,
        loses="elements that price reservations",
    ),
    value("last_updated", up=when, or_up=now),
    older=eco.Price,
    title="Price (newer shape)",
)

OLD_COMPONENT: Final = FieldMap(
    PriceComponent,
    value("type", up=dimension),
    value("price_excl_vat", "price", up=as_written, down=as_written),
    value("vat", up=as_written, down=as_written),
    newer("step_size", default=1, implied=1, loses="the step size"),
    older=eco.OldElement,
    title="Price component (older shape)",
)

ENTRY: Final = FieldMap(
    Tariff,
    *_ONLY_OCPI,
    newer("id"),
    group("product", "currency", up=currency, down=in_product),
    older("partner"),
    value("elements", up=in_one_element, down=without_restrictions, loses="elements with restrictions"),
    newer("last_updated", default=now),
    older=eco.Entry,
    title="Price (older shape)",
)


def explain() -> tuple[MapTable, ...]:
    """Both shapes as tables, the feed's names on the older side."""
    return (*PRICE.tables(), *ENTRY.tables(), *OLD_COMPONENT.tables())


def words_for_partners(audience: Audience) -> dict[str, Any]:
    """The type and the text of a tariff for this audience.

    An eMSP's price isn't one "for all sessions", which is what no type would mean (2.2.1 ``mod_tariffs``, Tariff).
    """
    ocpi_type = TariffType.AD_HOC_PAYMENT if audience is Audience.ADHOC else TariffType.REGULAR
    words: dict[str, Any] = {"type": ocpi_type.value}
    if audience in _ALT_TEXT:
        words["tariff_alt_text"] = [{"language": _ENGLISH, "text": _ALT_TEXT[audience]}]
    return words
