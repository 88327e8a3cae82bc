"""Prices beside OCPI: the feed of Eco-Movement, read and written, in both of its shapes.

Eco-Movement publishes what charging costs whom, at which connector: ``prices`` in an older and a newer shape,
``connector_prices`` with the newer one, and locations like OCPI's. This turns them into the canonical tariff with its
product (:mod:`gateway.model.prices`) and back, so that a consumer of such a feed can be served from tariffs of any
source.

    objects.py      what stands on the wire
    maps.py         prices and tariffs, row by row
    prices.py       rows of prices, both shapes: settled, read, written
    connectors.py   which price holds where
    locations.py    the places that this is about, as they are served
    statuses.py     what is pushed of them
    checks.py       what looks wrong
    pages.py        envelopes, and from page to page

Pure, like every adapter: when to read, what to refuse and where to keep it is decided elsewhere.
"""

from __future__ import annotations

from typing import Final

from adapters.eco_movement.connectors import (
    operator_party,
    read_connector_prices,
    read_places,
    with_pricing_ids,
    write_connector_prices,
)
from adapters.eco_movement.locations import (
    evse_of,
    evse_uids,
    is_newer,
    lower_location,
    with_statuses,
    withdraw_location,
)
from adapters.eco_movement.maps import explain, tariff_id
from adapters.eco_movement.pages import (
    CONNECTOR_ID,
    MOST_NEW,
    MOST_OLD,
    ROW_ID,
    Crawl,
    Page,
    crawl_connectors,
    crawl_rows,
    read_list,
    read_wanted,
    write_list,
    write_one,
    write_refusal,
)
from adapters.eco_movement.prices import (
    FEED,
    owner,
    read_new,
    read_old,
    served_id,
    write_entry,
    write_new,
    write_old,
)
from adapters.eco_movement.statuses import pushed_evse, read_status

VERSION: Final = "2.1.1"
"""The version of the locations that are served, whose connectors name prices of the older shape."""

__all__ = [
    "CONNECTOR_ID",
    "FEED",
    "MOST_NEW",
    "MOST_OLD",
    "ROW_ID",
    "VERSION",
    "Crawl",
    "Page",
    "crawl_connectors",
    "crawl_rows",
    "evse_of",
    "evse_uids",
    "explain",
    "is_newer",
    "lower_location",
    "operator_party",
    "owner",
    "pushed_evse",
    "read_connector_prices",
    "read_list",
    "read_new",
    "read_old",
    "read_places",
    "read_status",
    "read_wanted",
    "served_id",
    "tariff_id",
    "with_pricing_ids",
    "with_statuses",
    "withdraw_location",
    "write_connector_prices",
    "write_entry",
    "write_list",
    "write_new",
    "write_old",
    "write_one",
    "write_refusal",
]
