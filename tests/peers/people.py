"""Who the simulated peers of these tests are, and one object of each kind in each version."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.demo.peers import Peer

OLD, NEW = "2.1.1", "2.2.1"
VERSIONS = pytest.mark.parametrize("version", [OLD, NEW])
WHEN, LATER = "2026-03-01T10:00:00Z", "2026-03-01T10:20:00Z"


def peers(version: str) -> tuple[Peer, Peer]:
    """A CPO, and an eMSP that handed a TOKEN_A to it."""
    alpha_3 = version == OLD
    cpo = Peer("cpo", version, "CPO", "NLD" if alpha_3 else "NL", "EXA", "Example Charging")
    emsp = Peer("emsp", version, "EMSP", "DEU" if alpha_3 else "DE", "ACM", "Acme Mobility", token_a="by-mail")
    return cpo, emsp


@asynccontextmanager
async def registered(version: str) -> AsyncIterator[tuple[Peer, Peer]]:
    cpo, emsp = peers(version)
    async with cpo, emsp:
        await cpo.register(emsp.versions_url, "by-mail")
        yield cpo, emsp


def owned(version: str, peer: Peer, obj: dict[str, Any]) -> dict[str, Any]:
    country, party = peer.party
    return obj if version == OLD else {"country_code": country, "party_id": party} | obj


def a_connector(version: str) -> dict[str, Any]:
    limits = {"voltage": 230, "amperage": 32} if version == OLD else {"max_voltage": 230, "max_amperage": 32}
    shape = {"id": "1", "standard": "IEC_62196_T2", "format": "SOCKET", "power_type": "AC_3_PHASE"}
    return shape | limits | {"last_updated": WHEN}


def a_location(version: str, cpo: Peer) -> dict[str, Any]:
    evse = {"uid": "E/1", "status": "AVAILABLE", "connectors": [a_connector(version)], "last_updated": WHEN}
    kind = {"type": "ON_STREET", "postal_code": "3511AA"} if version == OLD else {"publish": True}
    place = {"id": "LOC1", "address": "Plein 1", "city": "Utrecht", "country": "NLD", "time_zone": "Europe/Amsterdam"}
    coordinates = {"latitude": "52.090000", "longitude": "5.120000"}
    return owned(version, cpo, place | kind | {"coordinates": coordinates, "evses": [evse], "last_updated": WHEN})


def a_token(version: str, emsp: Peer) -> dict[str, Any]:
    contract = "auth_id" if version == OLD else "contract_id"
    token = {"uid": "04AABB", "type": "RFID", contract: "DE-ACM-C1", "issuer": "Acme", "valid": True}
    return owned(version, emsp, token | {"whitelist": "ALLOWED", "last_updated": WHEN})


def a_session(version: str, cpo: Peer) -> dict[str, Any]:
    shared: dict[str, Any] = {"id": "S1", "kwh": 1.5, "auth_method": "WHITELIST", "currency": "EUR", "status": "ACTIVE"}
    shared |= {"charging_periods": [a_period(WHEN)], "last_updated": WHEN}
    if version == OLD:
        return shared | {"start_datetime": WHEN, "auth_id": "DE-ACM-C1", "location": a_location(version, cpo)}
    place = {"location_id": "LOC1", "evse_uid": "E/1", "connector_id": "1"}
    return owned(version, cpo, shared | {"start_date_time": WHEN, "cdr_token": a_cdr_token()} | place)


def a_period(start: str) -> dict[str, Any]:
    return {"start_date_time": start, "dimensions": [{"type": "ENERGY", "volume": 1.5}]}


def a_cdr_token() -> dict[str, Any]:
    return {"country_code": "DE", "party_id": "ACM", "uid": "04AABB", "type": "RFID", "contract_id": "DE-ACM-C1"}


def a_cdr(version: str, cpo: Peer) -> dict[str, Any]:
    shared: dict[str, Any] = {"id": "C1", "start_date_time": WHEN, "auth_method": "WHITELIST", "currency": "EUR"}
    shared |= {"charging_periods": [a_period(WHEN)], "total_energy": 3.0, "total_time": 0.5, "last_updated": LATER}
    location = a_location(version, cpo)
    if version == OLD:
        return shared | {"stop_date_time": LATER, "auth_id": "DE-ACM-C1", "location": location, "total_cost": 1.25}
    place = {name: location[name] for name in ("id", "address", "city", "country", "coordinates")}
    place |= {"evse_uid": "E/1", "evse_id": "NL*EXA*E1", "connector_id": "1", "connector_standard": "IEC_62196_T2"}
    place |= {"connector_format": "SOCKET", "connector_power_type": "AC_3_PHASE"}
    new = {"end_date_time": LATER, "cdr_token": a_cdr_token(), "cdr_location": place, "total_cost": {"excl_vat": 1.25}}
    return owned(version, cpo, shared | new)


def a_tariff(version: str, cpo: Peer) -> dict[str, Any]:
    element = {"price_components": [{"type": "ENERGY", "price": 0.25, "step_size": 1}]}
    return owned(version, cpo, {"id": "T1", "currency": "EUR", "elements": [element], "last_updated": WHEN})
