"""Who plays in the stories, and what one thing is in each version.

Two seatings. An operator's core (``NL-EXA``) roams with two eMSPs, ``acme`` on 2.1.1 and ``volt`` on 2.2.1. An eMSP's
core (``DE-ACM``) roams with two operators, ``exa`` on 2.1.1 and ``two`` on 2.2.1. The core speaks either version, so
each story is told twice and crosses all four ways.

``thing(kind, sent, got)`` is a sample object as a peer of version ``got`` receives it from one of version ``sent``.
What is lost on the way is written out here by hand.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Final

import pytest
import samples
from attrs import evolve

from gateway.demo.peers import Peer, Received
from gateway.demo.world import CORE, Cast, World

Json = dict[str, Any]
Begin = Callable[..., Awaitable[World]]

OLD, NEW = "2.1.1", "2.2.1"
EITHER_CORE = pytest.mark.parametrize("core", [OLD, NEW], ids=["core-on-2.1.1", "core-on-2.2.1"])

ACME: Final = Cast(name="acme", version=OLD, role="EMSP", country="DEU", party="ACM", business="Acme Mobility")
VOLT: Final = Cast(name="volt", version=NEW, role="EMSP", country="DE", party="VLT", business="Volt Drive", start="us")
EXA: Final = Cast(name="exa", version=OLD, role="CPO", country="NLD", party="EXA", business="Example Charging")
TWO: Final = Cast(name="two", version=NEW, role="CPO", country="NL", party="TWO", business="Two Power", start="us")


def operator(version: str) -> Cast:
    """The core of a charge point operator."""
    return evolve(CORE, version=version)


def provider(version: str) -> Cast:
    """The core of an eMSP."""
    return evolve(CORE, version=version, role="EMSP", country="DE", party="ACM", business="Acme Mobility")


async def settled(world: World) -> None:
    """Everything that was owed when this is called has been tried."""
    # Twice: a link that was looked at already when the last push came is looked at again.
    await world.gateway.courier.settle_down(5)
    await world.gateway.courier.settle_down(5)


def heard(peer: Peer) -> list[Received]:
    """What a peer received, but for what its hub tells it of its own accord: who is connected."""
    return [got for got in peer.received if got.module != "hubclientinfo"]


# Objects ------------------------------------------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """A sample as JSON is read by a peer: no Decimals."""
    match value:
        case dict():
            return {name: plain(inner) for name, inner in value.items()}
        case list():
            return [plain(inner) for inner in value]
        case Decimal():
            return float(value)
        case _:
            return value


def without(obj: Json, *names: str) -> Json:
    """The object without these fields."""
    return {name: value for name, value in obj.items() if name not in names}


def owned(obj: Json, party_id: str) -> Json:
    """A 2.2.1 object of another party in the same country; one of 2.1.1 doesn't say whose it is."""
    return obj | {"party_id": party_id} if "party_id" in obj else obj


def thing(kind: str, sent: str, got: str | None = None) -> Json:
    """The sample of this kind as ``sent`` writes it or, with ``got``, as a peer of that version receives it."""
    obj: Json = plain(getattr(samples, f"{kind}_{(got or sent).replace('.', '')}")())
    return obj if got is None or sent == got == NEW else _ARRIVES[kind, got](obj)


def _location_up(location: Json) -> Json:
    ac, dc = location["evses"]
    ac = ac | {"connectors": [without(connector, "max_electric_power") for connector in ac["connectors"]]}
    return without(location, "publish_allowed_to", "state") | {"evses": [ac, dc]}


def _tariff_up(tariff: Json) -> Json:
    elements = [
        element | {"price_components": [without(price, "vat") for price in element["price_components"]]}
        for element in tariff["elements"][1:]
    ]
    return without(tariff, "type", "min_price", "max_price", "start_date_time", "end_date_time") | {
        "elements": elements
    }


def _token_up(token: Json) -> Json:
    return without(token, "group_id", "default_profile_type", "energy_contract")


def _session_up(session: Json) -> Json:
    periods = [without(period, "tariff_id") for period in session["charging_periods"]]
    cost = {"excl_vat": session["total_cost"]["excl_vat"]}
    return without(session, "authorization_reference") | {"charging_periods": periods, "total_cost": cost}


def _cdr_up(cdr: Json) -> Json:
    kept = without(
        cdr, "authorization_reference", "signed_data", "total_fixed_cost", "total_energy_cost", "total_time_cost",
        "total_parking_cost", "total_reservation_cost", "invoice_reference_id", "credit", "credit_reference_id",
        "home_charging_compensation",
    )  # fmt: skip
    return kept | {
        "cdr_location": without(cdr["cdr_location"], "state"),
        "tariffs": [_tariff_up(tariff) for tariff in cdr["tariffs"]],
        "total_cost": {"excl_vat": cdr["total_cost"]["excl_vat"]},
    }


def _cdr_down(cdr: Json) -> Json:
    """Its location says what a CDR of 2.2.1 can say, and of the rest what 2.1.1 requires, as the location is known."""
    place = cdr["location"]
    evse = place["evses"][0]
    connector = without(evse["connectors"][0], "tariff_id", "terms_and_conditions")
    stamp = {"last_updated": cdr["last_updated"]}
    seen = {"uid": evse["uid"], "evse_id": evse["evse_id"], "status": "UNKNOWN", "connectors": [connector | stamp]}
    said = ("id", "type", "name", "address", "city", "postal_code", "country", "coordinates")
    return cdr | {"location": {name: place[name] for name in said} | {"evses": [seen | stamp]} | stamp}


def _same(obj: Json) -> Json:
    return obj


_ARRIVES: Final = {
    ("location", NEW): _location_up,
    ("location", OLD): _same,
    ("tariff", NEW): _tariff_up,
    ("tariff", OLD): _same,
    ("token", NEW): _token_up,
    ("token", OLD): _same,
    ("session", NEW): _session_up,
    ("session", OLD): _same,
    ("cdr", NEW): _cdr_up,
    ("cdr", OLD): _cdr_down,
}


# The driver of volt's: another token and contract than the samples have.
_AT_VOLT: Final = {
    "04A1B2C3D4E5F6": "04F017BEEF",
    "DE-ACM-C00000042-7": "DE-VLT-C00000009-X",
    "ACM": "VLT",
}


def at_volt(value: Any) -> Any:
    """The same object, about a driver of volt's."""
    match value:
        case dict():
            return {name: at_volt(inner) for name, inner in value.items()}
        case list():
            return [at_volt(inner) for inner in value]
        case str():
            return _AT_VOLT.get(value, value)
        case _:
            return value
