"""What the demo's story is about: who plays, what they have to say, and what becomes of that in the other version.

The values are the story's own; what they become on the other side is written out by hand, not computed by what is being
shown. ``chapters.py`` has the plot.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from gateway.demo.consumer import Consumer
from gateway.demo.feed import Feed, Own
from gateway.demo.peers import Role
from gateway.demo.world import Cast, Source, shut

Json = dict[str, Any]

ACME: Final = Cast(name="acme", version="2.1.1", country="DEU", party="ACM", business="Acme Mobility", start="them")
VOLT: Final = Cast(name="volt", version="2.2.1", country="DE", party="VLT", business="Volt Drive", start="us")
HUB: Final = Cast(
    name="hub", kind="hub", version="2.2.1", country="NL", party="HUB", business="The Hub", start="them",
    behind=(Role("EMSP", "BE", "BEM", "Drive Belgium"), Role("EMSP", "FR", "FRO", "France en Route")),
)  # fmt: skip
"""A hub, and two eMSPs that are reached through it."""

KIOSK: Final = Cast(
    name="kiosk", version="2.1.1", country="FRA", party="KIO", business="Kiosk", start="us",
    more="modules: {locations: push, tariffs: push}\nquirks: {tariffs.audience: [adhoc]}\n",
)  # fmt: skip
"""An app for drivers without a contract: of tariffs, it asks for theirs."""

CAST: Final = (ACME, VOLT, HUB, KIOSK)


def sources() -> dict[str, Source]:
    """A price feed of twenty connectors, one of ours among them; it is read when the story says so."""
    return {"eco": Source(feed=Feed("eco-key", connectors=20, own=[Own("NL*EXA*E2")]), keys=shut())}


def consumers() -> dict[str, Consumer]:
    """Two who compare prices; only the first may see what came from the feed."""
    return {"map": Consumer("map-token", redistribute=True), "blog": Consumer("blog-token")}


def stamp(moment: datetime) -> str:
    """A DateTime as both versions write it."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def client(country_code: str, party_id: str, role: str, status: str, last_updated: Any) -> Json:
    """A ClientInfo: how a party is connected."""
    return {
        "country_code": country_code, "party_id": party_id, "role": role, "status": status,
        "last_updated": last_updated,
    }  # fmt: skip


def tariff(now: datetime) -> Json:
    """0.25 per kWh, 2.50 per hour of parking, at least 1.00: a minimum that 2.1.1 can't say."""
    return {
        "country_code": "NL", "party_id": "EXA", "id": "STANDARD", "currency": "EUR", "type": "REGULAR",
        "min_price": {"excl_vat": 1.0, "incl_vat": 1.21},
        "elements": [
            {"price_components": [{"type": "ENERGY", "price": 0.25, "vat": 21.0, "step_size": 1}]},
            {"price_components": [{"type": "PARKING_TIME", "price": 2.5, "vat": 21.0, "step_size": 300}],
             "restrictions": {"start_time": "09:00", "end_time": "18:00"}},
        ],
        "last_updated": stamp(now),
    }  # fmt: skip


def tariff_211(sent: Json) -> Json:
    """The same in 2.1.1: net prices without VAT, no type, no minimum, no owner in the body."""
    return {
        "id": "STANDARD", "currency": "EUR",
        "elements": [
            {"price_components": [{"type": "ENERGY", "price": 0.25, "step_size": 1}]},
            {"price_components": [{"type": "PARKING_TIME", "price": 2.5, "step_size": 300}],
             "restrictions": {"start_time": "09:00", "end_time": "18:00"}},
        ],
        "last_updated": sent["last_updated"],
    }  # fmt: skip


def location(now: datetime) -> Json:
    """A square in Utrecht with an AC and a DC charging point."""
    when = stamp(now)
    return {
        "country_code": "NL", "party_id": "EXA", "id": "UTRECHT-1", "publish": True, "name": "Neude",
        "address": "Neude 11", "city": "Utrecht", "postal_code": "3512AE", "country": "NLD",
        "coordinates": {"latitude": "52.093050", "longitude": "5.118600"}, "parking_type": "ON_STREET",
        "evses": [
            {"uid": "E1", "evse_id": "NL*EXA*E1", "status": "AVAILABLE", "capabilities": ["RFID_READER"],
             "connectors": [
                 {"id": "1", "standard": "IEC_62196_T2", "format": "SOCKET", "power_type": "AC_3_PHASE",
                  "max_voltage": 230, "max_amperage": 32, "tariff_ids": ["STANDARD"], "last_updated": when}],
             "last_updated": when},
            {"uid": "E2", "evse_id": "NL*EXA*E2", "status": "AVAILABLE",
             "connectors": [
                 {"id": "1", "standard": "IEC_62196_T2_COMBO", "format": "CABLE", "power_type": "DC",
                  "max_voltage": 920, "max_amperage": 400, "max_electric_power": 150000,
                  "tariff_ids": ["STANDARD"], "last_updated": when}],
             "last_updated": when},
        ],
        "operator": {"name": "Example Charging"}, "time_zone": "Europe/Amsterdam", "last_updated": when,
    }  # fmt: skip


def location_211(sent: Json) -> Json:
    """The same in 2.1.1. 150 kW at 920 V are 163 A: that version has no power limit, so the amperage carries it."""
    when = sent["last_updated"]
    return {
        "id": "UTRECHT-1", "type": "ON_STREET", "name": "Neude", "address": "Neude 11", "city": "Utrecht",
        "postal_code": "3512AE", "country": "NLD",
        "coordinates": {"latitude": "52.093050", "longitude": "5.118600"},
        "evses": [
            {"uid": "E1", "evse_id": "NL*EXA*E1", "status": "AVAILABLE", "capabilities": ["RFID_READER"],
             "connectors": [
                 {"id": "1", "standard": "IEC_62196_T2", "format": "SOCKET", "power_type": "AC_3_PHASE",
                  "voltage": 230, "amperage": 32, "tariff_id": "STANDARD", "last_updated": when}],
             "last_updated": when},
            {"uid": "E2", "evse_id": "NL*EXA*E2", "status": "AVAILABLE",
             "connectors": [
                 {"id": "1", "standard": "IEC_62196_T2_COMBO", "format": "CABLE", "power_type": "DC",
                  "voltage": 920, "amperage": 163, "tariff_id": "STANDARD", "last_updated": when}],
             "last_updated": when},
        ],
        "operator": {"name": "Example Charging"}, "time_zone": "Europe/Amsterdam", "last_updated": when,
    }  # fmt: skip


def second_location(now: datetime) -> Json:
    """A square with nothing to charge at yet."""
    return {
        "country_code": "NL", "party_id": "EXA", "id": "UTRECHT-2", "publish": True, "address": "Domplein 1",
        "city": "Utrecht", "country": "NLD", "coordinates": {"latitude": "52.090700", "longitude": "5.121300"},
        "time_zone": "Europe/Amsterdam", "last_updated": stamp(now),
    }  # fmt: skip


def second_location_211(sent: Json) -> Json:
    """The same in 2.1.1: a type and a postal code are required, and nobody knows them.

    An operator that isn't named is that of the credentials (2.2.1 ``mod_locations``, Location object).
    """
    return {
        "id": "UTRECHT-2", "type": "UNKNOWN", "address": "Domplein 1", "city": "Utrecht", "postal_code": "N/A",
        "country": "NLD", "coordinates": {"latitude": "52.090700", "longitude": "5.121300"},
        "operator": {"name": "Example Charging"}, "time_zone": "Europe/Amsterdam", "last_updated": sent["last_updated"],
    }  # fmt: skip


def token_of_acme(now: datetime) -> Json:
    """A card of Acme's, in 2.1.1: the contract is an ``auth_id``, and nobody is named as its owner."""
    return {
        "uid": "04AC3E0001", "type": "RFID", "auth_id": "DE-ACM-C00000001-A", "visual_number": "ACM 0001",
        "issuer": "Acme Mobility", "valid": True, "whitelist": "ALLOWED", "last_updated": stamp(now),
    }  # fmt: skip


def token_of_acme_221(now: datetime) -> Json:
    """The same in 2.2.1. Acme writes DEU; parties have two letters here."""
    return {
        "country_code": "DE", "party_id": "ACM", "uid": "04AC3E0001", "type": "RFID",
        "contract_id": "DE-ACM-C00000001-A", "visual_number": "ACM 0001", "issuer": "Acme Mobility", "valid": True,
        "whitelist": "ALLOWED", "last_updated": stamp(now),
    }  # fmt: skip


def token_of_volt(now: datetime) -> Json:
    """A card of Volt's, which has to be asked about each time."""
    return {
        "country_code": "DE", "party_id": "VLT", "uid": "04F017BEEF", "type": "RFID",
        "contract_id": "DE-VLT-C00000009-X", "issuer": "Volt Drive", "group_id": "FLEET-7", "valid": True,
        "whitelist": "NEVER", "language": "de", "default_profile_type": "GREEN", "last_updated": stamp(now),
    }  # fmt: skip


def token_behind_hub(now: datetime) -> Json:
    """A card of Drive Belgium's, which is reached through the hub."""
    return {
        "country_code": "BE", "party_id": "BEM", "uid": "04BE1612AA", "type": "RFID",
        "contract_id": "BE-BEM-C00000003-K", "issuer": "Drive Belgium", "valid": True, "whitelist": "ALLOWED",
        "last_updated": stamp(now),
    }  # fmt: skip


def cdr_token(party_id: str, uid: str, contract_id: str) -> Json:
    """Who charges."""
    return {
        "country_code": contract_id[:2], "party_id": party_id, "uid": uid, "type": "RFID", "contract_id": contract_id
    }  # fmt: skip


def session(id: str, token: Json, now: datetime, auth_method: str = "AUTH_REQUEST") -> Json:
    """A session that has just begun."""
    return {
        "country_code": "NL", "party_id": "EXA", "id": id, "start_date_time": stamp(now), "kwh": 0.0,
        "cdr_token": token, "auth_method": auth_method, "location_id": "UTRECHT-1", "evse_uid": "E1",
        "connector_id": "1", "currency": "EUR", "status": "ACTIVE", "last_updated": stamp(now),
    }  # fmt: skip


def session_patch(now: datetime) -> Json:
    """Half an hour later: one more period, and what it costs so far. In 2.2.1 periods are appended."""
    later = stamp(now + timedelta(minutes=30))
    return {
        "kwh": 10.5,
        "charging_periods": [
            {"start_date_time": stamp(now), "tariff_id": "STANDARD",
             "dimensions": [{"type": "ENERGY", "volume": 10.5}, {"type": "STATE_OF_CHARGE", "volume": 55.0}]}],
        "total_cost": {"excl_vat": 2.63, "incl_vat": 3.18}, "last_updated": later,
    }  # fmt: skip


def session_end(now: datetime) -> Json:
    """It has ended, after an hour."""
    end = stamp(now + timedelta(hours=1))
    return {"status": "COMPLETED", "end_date_time": end, "kwh": 21.0, "last_updated": end}


def session_end_211(sent: Json) -> Json:
    """The same in 2.1.1, whose name for the end is another."""
    return {
        "status": "COMPLETED", "end_datetime": sent["end_date_time"], "kwh": 21.0, "last_updated": sent["last_updated"]
    }  # fmt: skip


def _place_211(now: datetime) -> Json:
    """The location as a session embeds it: only the EVSE and connector in use."""
    whole = location_211(location(now))
    return {**whole, "evses": whole["evses"][:1]}


def session_211(sent: Json, now: datetime) -> Json:
    """The session in 2.1.1: the place embedded, the contract instead of the token, and no word for a remote start."""
    return {
        "id": sent["id"], "start_datetime": sent["start_date_time"], "kwh": 0.0,
        "auth_id": sent["cdr_token"]["contract_id"], "auth_method": "AUTH_REQUEST", "location": _place_211(now),
        "currency": "EUR", "status": "ACTIVE", "last_updated": sent["last_updated"],
    }  # fmt: skip


def _periods_211(now_text: str, kwh: float) -> list[Json]:
    return [{"start_date_time": now_text, "dimensions": [{"type": "ENERGY", "volume": kwh}]}]


def session_patch_211(started: Json, patch: Json) -> Json:
    """The update in 2.1.1: all periods, without what that version has no dimension for; the cost without VAT."""
    return {
        "kwh": 10.5, "charging_periods": _periods_211(started["start_date_time"], 10.5), "total_cost": 2.63,
        "last_updated": patch["last_updated"],
    }  # fmt: skip


def cdr_of(id: str, session_id: str, token: Json, now: datetime, auth_method: str = "AUTH_REQUEST") -> Json:
    """What it came to: 21 kWh in an hour."""
    end = stamp(now + timedelta(hours=1))
    return {
        "country_code": "NL", "party_id": "EXA", "id": id, "start_date_time": stamp(now), "end_date_time": end,
        "session_id": session_id, "cdr_token": token, "auth_method": auth_method,
        "cdr_location": {
            "id": "UTRECHT-1", "name": "Neude", "address": "Neude 11", "city": "Utrecht", "postal_code": "3512AE",
            "country": "NLD", "coordinates": {"latitude": "52.093050", "longitude": "5.118600"}, "evse_uid": "E1",
            "evse_id": "NL*EXA*E1", "connector_id": "1", "connector_standard": "IEC_62196_T2",
            "connector_format": "SOCKET", "connector_power_type": "AC_3_PHASE",
        },
        "currency": "EUR", "tariffs": [tariff(now)],
        "charging_periods": [
            {"start_date_time": stamp(now), "tariff_id": "STANDARD",
             "dimensions": [{"type": "ENERGY", "volume": 21.0}, {"type": "TIME", "volume": 1.0}]}],
        "total_cost": {"excl_vat": 5.25, "incl_vat": 6.35}, "total_energy": 21.0, "total_time": 1.0,
        "last_updated": end,
    }  # fmt: skip


def cdr_211(sent: Json, now: datetime) -> Json:
    """The CDR in 2.1.1."""
    return {
        "id": sent["id"], "start_date_time": sent["start_date_time"], "stop_date_time": sent["end_date_time"],
        "auth_id": sent["cdr_token"]["contract_id"], "auth_method": "AUTH_REQUEST",
        "location": _cdr_place_211(sent, now),
        "currency": "EUR", "tariffs": [tariff_211(sent["tariffs"][0])],
        "charging_periods": [
            {"start_date_time": sent["start_date_time"],
             "dimensions": [{"type": "ENERGY", "volume": 21.0}, {"type": "TIME", "volume": 1.0}]}],
        "total_cost": 5.25, "total_energy": 21.0, "total_time": 1.0, "last_updated": sent["last_updated"],
    }  # fmt: skip


def _cdr_place_211(sent: Json, now: datetime) -> Json:
    """A CDR's location: what the CDR says, and of the rest what 2.1.1 requires, as the location is known."""
    place, end = _place_211(now), sent["last_updated"]
    evse = place["evses"][0]
    connector = {name: value for name, value in evse["connectors"][0].items() if name != "tariff_id"}
    return {
        "id": "UTRECHT-1", "type": "ON_STREET", "name": "Neude", "address": "Neude 11", "city": "Utrecht",
        "postal_code": "3512AE", "country": "NLD",
        "coordinates": {"latitude": "52.093050", "longitude": "5.118600"},
        "evses": [
            {"uid": "E1", "evse_id": "NL*EXA*E1", "status": "UNKNOWN",
             "connectors": [{**connector, "last_updated": end}], "last_updated": end}],
        "last_updated": end,
    }  # fmt: skip


# What a feed tells ----------------------------------------------------------------------------------------------------


def adhoc(id: str) -> Json:
    """What E2 costs without a contract, by the feed, as a tariff: 0.49 per kWh, 0.39 at night, 6.00 per hour parked."""
    return {
        "country_code": "NL", "party_id": "EXA", "id": id, "currency": "EUR", "type": "AD_HOC_PAYMENT",
        "tariff_alt_text": [{"language": "en", "text": "Ad hoc"}],
        "elements": [
            {"price_components": [{"type": "ENERGY", "price": 0.39, "vat": 21, "step_size": 1}],
             "restrictions": {"start_time": "22:00", "end_time": "06:00"}},
            {"price_components": [{"type": "ENERGY", "price": 0.49, "vat": 21, "step_size": 1}]},
            {"price_components": [{"type": "PARKING_TIME", "price": 6, "vat": 21, "step_size": 60}],
             "restrictions": {"min_duration": 14400}},
        ],
        "last_updated": "2026-01-05T08:00:00Z",
    }  # fmt: skip


def adhoc_211(id: str) -> Json:
    """The same in 2.1.1: no VAT, no type, no owner in the body."""
    return {
        "id": id, "currency": "EUR", "tariff_alt_text": [{"language": "en", "text": "Ad hoc"}],
        "elements": [
            {"price_components": [{"type": "ENERGY", "price": 0.39, "step_size": 1}],
             "restrictions": {"start_time": "22:00", "end_time": "06:00"}},
            {"price_components": [{"type": "ENERGY", "price": 0.49, "step_size": 1}]},
            {"price_components": [{"type": "PARKING_TIME", "price": 6, "step_size": 60}],
             "restrictions": {"min_duration": 14400}},
        ],
        "last_updated": "2026-01-05T08:00:00Z",
    }  # fmt: skip


def for_kiosk(sent: Json) -> Json:
    """What Acme gets of locations, for Kiosk: without tariffs that aren't for drivers without a contract."""
    if "evses" not in sent:
        return sent

    def without_tariff(plug: Json) -> Json:
        return {name: said for name, said in plug.items() if name != "tariff_id"}

    evses = [{**evse, "connectors": [without_tariff(plug) for plug in evse["connectors"]]} for evse in sent["evses"]]
    return {**sent, "evses": evses}
