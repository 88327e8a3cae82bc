"""Prices that can be read and look wrong: noticed, and never changed.

Feeds mix up hours and minutes, fractions and percents. Whoever corrects that by a rule of thumb is wrong somewhere
too, and nobody notices; so a price that looks wrong is told, with its place, and goes its way as it is.

Amounts are judged in the currency's rough worth: good enough to tell a price per minute from one per hour. Of a
currency that isn't in the table only signs and VAT are judged. Free of charge is a price.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from gateway.model.tariffs import DayOfWeek, TariffDimensionType

_PER_EURO: Final[Mapping[str, Decimal]] = {
    code: Decimal(rate)
    for code, rate in {
        "ALL": "98", "AUD": "1.7", "BAM": "1.96", "BGN": "1.96", "CAD": "1.6", "CHF": "0.95", "CZK": "25",
        "DKK": "7.5", "EUR": "1", "GBP": "0.86", "HUF": "395", "ISK": "145", "MDL": "19.5", "MKD": "61.5",
        "NOK": "11.6", "PLN": "4.3", "RON": "5", "RSD": "117", "SEK": "11.2", "TRY": "45", "UAH": "47", "USD": "1.1",
    }.items()
}  # fmt: skip

_PER_KWH: Final = (Decimal("0.01"), Decimal("3.0"))  # EUR
_PER_HOUR: Final = (Decimal("0.95"), Decimal(60))  # EUR
_PER_SESSION: Final = Decimal(50)  # EUR, the most

_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")  # 2.2.1 mod_tariffs, TariffRestrictions
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Placed = tuple[str, Mapping[str, Any]]
"""A part of a price, such as a component of either shape, and the JSON pointer to it."""


def suspicions(currency: str, components: Iterable[Placed], elements: str) -> Iterator[tuple[str, str]]:
    """What looks wrong in the prices of one tariff: pointers and reasons.

    Args:
        currency: ISO 4217 code, in capitals.
        components: with ``type``, ``price_excl_vat`` and perhaps ``vat``.
        elements: pointer to all of them.
    """
    seen = set()
    for pointer, component in components:
        dimension = component["type"].strip().upper()
        seen.add(dimension)
        if reason := _odd_price(dimension, component["price_excl_vat"], _PER_EURO.get(currency)):
            yield f"{pointer}/price_excl_vat", reason
        if (vat := component.get("vat")) is not None and (reason := _odd_vat(vat)):
            yield f"{pointer}/vat", reason
    if seen == {TariffDimensionType.PARKING_TIME}:
        yield elements, "nothing but a price for parking"
    if {TariffDimensionType.TIME, TariffDimensionType.PARKING_TIME} <= seen:
        yield elements, "a price for charging time and one for parking time: either may mean the whole stay"


def odd_limits(restrictions: Iterable[Placed]) -> Iterator[tuple[str, str]]:
    """What in the restrictions of one tariff no receiver can make sense of: pointers and reasons."""
    for pointer, limits in restrictions:
        for name in ("start_time", "end_time"):
            if not _TIME.fullmatch(limits.get(name, "00:00")):
                yield f"{pointer}/{name}", "no time of day as HH:MM: whoever reads it may take it for no limit"
        for name in ("start_date", "end_date"):
            if name in limits and not _is_date(limits[name]):
                yield f"{pointer}/{name}", "no date as YYYY-MM-DD: whoever reads it may take it for no limit"
        if any(day.strip().upper() not in DayOfWeek.__members__ for day in limits.get("day_of_week", ())):
            yield f"{pointer}/day_of_week", "no day of the week in English"


def _is_date(text: str) -> bool:
    try:
        return bool(_DATE.fullmatch(text) and date.fromisoformat(text))
    except ValueError:
        return False


def _odd_price(dimension: str, price: Any, per_euro: Decimal | None) -> str | None:
    if price < 0:
        return "a negative price"
    if per_euro is None or price == 0:
        return None
    euros = price / per_euro
    match dimension:
        case TariffDimensionType.ENERGY if not _PER_KWH[0] <= euros <= _PER_KWH[1]:
            return "an unlikely price per kWh"
        case TariffDimensionType.TIME | TariffDimensionType.PARKING_TIME if euros < _PER_HOUR[0]:
            return "a low price per hour: perhaps it is meant per minute"
        case TariffDimensionType.TIME | TariffDimensionType.PARKING_TIME if euros > _PER_HOUR[1]:
            return "an unlikely price per hour"
        case TariffDimensionType.FLAT if euros > _PER_SESSION:
            return "an unlikely price per session"
    return None


def _odd_vat(vat: Any) -> str | None:
    if vat < 0:
        return "a negative VAT"
    return "a VAT below one percent: perhaps it is a fraction" if 0 < vat < 1 else None
