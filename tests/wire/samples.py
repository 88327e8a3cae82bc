"""Sample objects in both versions, side by side: our own values, used all over the tests.

For each kind there is a maximal object, with every field of the specification's table at every depth, and a minimal
one, with the required fields only. Where both versions have the object, both functions describe the same thing: the
same location, the same session, as a peer of either version would write it.

The cast: ``NL-EXA`` is a CPO, ``DE-ACM`` an eMSP; location ``LOC-7`` has an AC and a DC EVSE; session ``S-1001`` took
place at the AC one, with an RFID token. Each call makes a new object, with numbers as the codec decodes them: Decimal
where there is a point. ``V221`` and ``V211`` list them all by kind.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from gateway.model.modules import Kind

D = Decimal
Json = dict[str, Any]

CPO = {"country_code": "NL", "party_id": "EXA"}
EMSP = {"country_code": "DE", "party_id": "ACM"}


class Pair(NamedTuple):
    """The two samples of a kind in one version."""

    maximal: Callable[[], Json]
    minimal: Callable[[], Json]


# --- parts that both versions write alike ---------------------------------------------------------------------------


def display_text() -> Json:
    return {"language": "en", "text": "Behind the second gate"}


def coordinates() -> Json:
    return {"latitude": "52.090737", "longitude": "5.121420"}


def image() -> Json:
    return {
        "url": "https://img.example.com/sites/7/charger.png",
        "thumbnail": "https://img.example.com/sites/7/charger-s.png",
        "category": "CHARGER",
        "type": "png",
        "width": 1024,
        "height": 768,
    }


def business() -> Json:
    return {"name": "Example Charging", "website": "https://www.example.com", "logo": image()}


def hours() -> Json:
    return {
        "twentyfourseven": False,
        "regular_hours": [{"weekday": 1, "period_begin": "07:00", "period_end": "22:30"}],
        "exceptional_openings": [{"period_begin": "2026-04-05T06:00:00Z", "period_end": "2026-04-05T18:00:00Z"}],
        "exceptional_closings": [{"period_begin": "2026-12-25T00:00:00Z", "period_end": "2026-12-26T00:00:00Z"}],
    }


def _energy_mix(impact_key: str) -> Json:
    return {
        "is_green_energy": True,
        "energy_sources": [{"source": "WIND", "percentage": D("70.5")}, {"source": "SOLAR", "percentage": D("29.5")}],
        "environ_impact": [{impact_key: "CARBON_DIOXIDE", "amount": D("0.25")}],
        "supplier_name": "Noordzee Stroom",
        "energy_product_name": "Wind Vast",
    }


def energy_mix_221() -> Json:
    return _energy_mix("category")


def energy_mix_211() -> Json:
    return _energy_mix("source")


# --- locations ------------------------------------------------------------------------------------------------------


def connector_221() -> Json:
    """An AC connector."""
    return {
        "id": "1",
        "standard": "IEC_62196_T2",
        "format": "SOCKET",
        "power_type": "AC_3_PHASE",
        "max_voltage": 230,
        "max_amperage": 32,
        "max_electric_power": 22000,
        "tariff_ids": ["T-DAY"],
        "terms_and_conditions": "https://www.example.com/terms",
        "last_updated": "2026-03-01T10:00:00Z",
    }


def connector_211() -> Json:
    """An AC connector."""
    return {
        "id": "1",
        "standard": "IEC_62196_T2",
        "format": "SOCKET",
        "power_type": "AC_3_PHASE",
        "voltage": 230,
        "amperage": 32,
        "tariff_id": "T-DAY",
        "terms_and_conditions": "https://www.example.com/terms",
        "last_updated": "2026-03-01T10:00:00Z",
    }


def connector_221_minimal() -> Json:
    """A DC connector."""
    return {
        "id": "1",
        "standard": "IEC_62196_T2_COMBO",
        "format": "CABLE",
        "power_type": "DC",
        "max_voltage": 920,
        "max_amperage": 163,
        "last_updated": "2026-03-01T10:05:00Z",
    }


def connector_211_minimal() -> Json:
    """A DC connector."""
    return {
        "id": "1",
        "standard": "IEC_62196_T2_COMBO",
        "format": "CABLE",
        "power_type": "DC",
        "voltage": 920,
        "amperage": 163,
        "last_updated": "2026-03-01T10:05:00Z",
    }


def _evse(connector: Json) -> Json:
    return {
        "uid": "LOC-7-A",
        "evse_id": "NL*EXA*E007*1",
        "status": "AVAILABLE",
        "status_schedule": [
            {"period_begin": "2026-05-01T00:00:00Z", "period_end": "2026-05-02T00:00:00Z", "status": "INOPERATIVE"}
        ],
        "capabilities": ["RFID_READER", "RESERVABLE", "REMOTE_START_STOP_CAPABLE"],
        "connectors": [connector],
        "floor_level": "-1",
        "coordinates": coordinates(),
        "physical_reference": "A12",
        "directions": [display_text()],
        "parking_restrictions": ["EV_ONLY"],
        "images": [image()],
        "last_updated": "2026-03-01T10:00:00Z",
    }


def evse_221() -> Json:
    return _evse(connector_221())


def evse_211() -> Json:
    return _evse(connector_211())


def _evse_minimal(connector: Json) -> Json:
    return {
        "uid": "LOC-7-B",
        "status": "CHARGING",
        "connectors": [connector],
        "last_updated": "2026-03-01T10:05:00Z",
    }


def evse_221_minimal() -> Json:
    return _evse_minimal(connector_221_minimal())


def evse_211_minimal() -> Json:
    return _evse_minimal(connector_211_minimal())


def location_221() -> Json:
    return {
        **CPO,
        "id": "LOC-7",
        "publish": True,
        "publish_allowed_to": [
            {
                "uid": "04A1B2C3D4E5F6",
                "type": "RFID",
                "visual_number": "ACM-0007",
                "issuer": "Acme Mobility",
                "group_id": "FLEET-9",
            }
        ],
        "name": "Stationsplein",
        "address": "Stationsplein 1",
        "city": "Utrecht",
        "postal_code": "3511ED",
        "state": "Utrecht",
        "country": "NLD",
        "coordinates": coordinates(),
        "related_locations": [{"latitude": "52.090800", "longitude": "5.121500", "name": display_text()}],
        "parking_type": "PARKING_GARAGE",
        "evses": [evse_221(), evse_221_minimal()],
        "directions": [display_text()],
        "operator": business(),
        "suboperator": {"name": "Example Operations"},
        "owner": {"name": "Gemeente Utrecht"},
        "facilities": ["TRAIN_STATION", "WIFI"],
        "time_zone": "Europe/Amsterdam",
        "opening_times": hours(),
        "charging_when_closed": False,
        "images": [image()],
        "energy_mix": energy_mix_221(),
        "last_updated": "2026-03-01T10:05:00Z",
    }


def location_211() -> Json:
    return {
        "id": "LOC-7",
        "type": "PARKING_GARAGE",
        "name": "Stationsplein",
        "address": "Stationsplein 1",
        "city": "Utrecht",
        "postal_code": "3511ED",
        "country": "NLD",
        "coordinates": coordinates(),
        "related_locations": [{"latitude": "52.090800", "longitude": "5.121500", "name": display_text()}],
        "evses": [evse_211(), evse_211_minimal()],
        "directions": [display_text()],
        "operator": business(),
        "suboperator": {"name": "Example Operations"},
        "owner": {"name": "Gemeente Utrecht"},
        "facilities": ["TRAIN_STATION", "WIFI"],
        "time_zone": "Europe/Amsterdam",
        "opening_times": hours(),
        "charging_when_closed": False,
        "images": [image()],
        "energy_mix": energy_mix_211(),
        "last_updated": "2026-03-01T10:05:00Z",
    }


def location_221_minimal() -> Json:
    return {
        **CPO,
        "id": "LOC-8",
        "publish": True,
        "address": "Kade 3",
        "city": "Zwolle",
        "country": "NLD",
        "coordinates": coordinates(),
        "time_zone": "Europe/Amsterdam",
        "last_updated": "2026-03-02T08:00:00Z",
    }


def location_211_minimal() -> Json:
    return {
        "id": "LOC-8",
        "type": "UNKNOWN",
        "address": "Kade 3",
        "city": "Zwolle",
        "postal_code": "8011AA",
        "country": "NLD",
        "coordinates": coordinates(),
        "last_updated": "2026-03-02T08:00:00Z",
    }


def place_211() -> Json:
    """The location as a 2.1.1 session or CDR embeds it: with the one EVSE and connector that were used."""
    return {**location_211(), "evses": [evse_211()]}


# --- tariffs --------------------------------------------------------------------------------------------------------


def _restrictions() -> Json:
    return {
        "start_time": "09:00",
        "end_time": "18:00",
        "start_date": "2026-01-01",
        "end_date": "2027-01-01",
        "min_kwh": D("0.5"),
        "max_kwh": 80,
        "min_power": D("3.7"),
        "max_power": 22,
        "min_duration": 60,
        "max_duration": 14400,
        "day_of_week": ["MONDAY", "FRIDAY"],
    }


def tariff_221() -> Json:
    """A tariff with everything in it; its first element is one that 2.1.1 can't say."""
    return {
        **CPO,
        "id": "T-DAY",
        "currency": "EUR",
        "type": "REGULAR",
        "tariff_alt_text": [{"language": "nl", "text": "Overdag 0,45 per kWh"}],
        "tariff_alt_url": "https://www.example.com/tariffs/day",
        "min_price": {"excl_vat": D("0.50"), "incl_vat": D("0.61")},
        "max_price": {"excl_vat": D("60.00"), "incl_vat": D("72.60")},
        "elements": [
            {
                "price_components": [{"type": "TIME", "price": D("3.00"), "vat": D("21.0"), "step_size": 900}],
                "restrictions": {
                    **_restrictions(),
                    "min_current": 6,
                    "max_current": D("32.0"),
                    "reservation": "RESERVATION",
                },
            },
            {
                "price_components": [{"type": "ENERGY", "price": D("0.45"), "vat": D("21.0"), "step_size": 1}],
                "restrictions": _restrictions(),
            },
            {
                "price_components": [
                    {"type": "ENERGY", "price": D("0.30"), "vat": D("21.0"), "step_size": 1},
                    {"type": "PARKING_TIME", "price": D("1.20"), "step_size": 300},
                ]
            },
        ],
        "start_date_time": "2026-01-01T00:00:00Z",
        "end_date_time": "2027-01-01T00:00:00Z",
        "energy_mix": energy_mix_221(),
        "last_updated": "2026-02-01T12:00:00Z",
    }


def tariff_211() -> Json:
    return {
        "id": "T-DAY",
        "currency": "EUR",
        "tariff_alt_text": [{"language": "nl", "text": "Overdag 0,45 per kWh"}],
        "tariff_alt_url": "https://www.example.com/tariffs/day",
        "elements": [
            {
                "price_components": [{"type": "ENERGY", "price": D("0.45"), "step_size": 1}],
                "restrictions": _restrictions(),
            },
            {
                "price_components": [
                    {"type": "ENERGY", "price": D("0.30"), "step_size": 1},
                    {"type": "PARKING_TIME", "price": D("1.20"), "step_size": 300},
                ]
            },
        ],
        "energy_mix": energy_mix_211(),
        "last_updated": "2026-02-01T12:00:00Z",
    }


def tariff_221_minimal() -> Json:
    return {**CPO, **tariff_211_minimal()}


def tariff_211_minimal() -> Json:
    return {
        "id": "T-KWH",
        "currency": "EUR",
        "elements": [{"price_components": [{"type": "ENERGY", "price": D("0.39"), "step_size": 1}]}],
        "last_updated": "2026-02-02T12:00:00Z",
    }


# --- tokens ---------------------------------------------------------------------------------------------------------


def token_221() -> Json:
    return {
        **EMSP,
        "uid": "04A1B2C3D4E5F6",
        "type": "RFID",
        "contract_id": "DE-ACM-C00000042-7",
        "visual_number": "ACM-0042",
        "issuer": "Acme Mobility",
        "group_id": "FLEET-9",
        "valid": True,
        "whitelist": "ALLOWED",
        "language": "de",
        "default_profile_type": "GREEN",
        "energy_contract": {"supplier_name": "Stadtwerke Nord", "contract_id": "SN-77"},
        "last_updated": "2026-01-15T09:30:00Z",
    }


def token_211() -> Json:
    return {
        "uid": "04A1B2C3D4E5F6",
        "type": "RFID",
        "auth_id": "DE-ACM-C00000042-7",
        "visual_number": "ACM-0042",
        "issuer": "Acme Mobility",
        "valid": True,
        "whitelist": "ALLOWED",
        "language": "de",
        "last_updated": "2026-01-15T09:30:00Z",
    }


def token_221_minimal() -> Json:
    return {
        **EMSP,
        "uid": "app-5f2c",
        "type": "OTHER",
        "contract_id": "DE-ACM-C00000043-3",
        "issuer": "Acme Mobility",
        "valid": False,
        "whitelist": "NEVER",
        "last_updated": "2026-01-16T09:30:00Z",
    }


def token_211_minimal() -> Json:
    return {
        "uid": "app-5f2c",
        "type": "OTHER",
        "auth_id": "DE-ACM-C00000043-3",
        "issuer": "Acme Mobility",
        "valid": False,
        "whitelist": "NEVER",
        "last_updated": "2026-01-16T09:30:00Z",
    }


def cdr_token() -> Json:
    """The token of the session and the CDR, as 2.2.1 writes it there."""
    return {**EMSP, "uid": "04A1B2C3D4E5F6", "type": "RFID", "contract_id": "DE-ACM-C00000042-7"}


def location_references_221() -> Json:
    return {"location_id": "LOC-7", "evse_uids": ["LOC-7-A"]}


def location_references_211() -> Json:
    return {"location_id": "LOC-7", "evse_uids": ["LOC-7-A"], "connector_ids": ["1"]}


def location_references_minimal() -> Json:
    return {"location_id": "LOC-7"}


def authorization_info_221() -> Json:
    return {
        "allowed": "ALLOWED",
        "token": token_221(),
        "location": location_references_221(),
        "authorization_reference": "AUTH-31",
        "info": {"language": "en", "text": "Welcome back"},
    }


def authorization_info_211() -> Json:
    return {
        "allowed": "ALLOWED",
        "location": location_references_211(),
        "info": {"language": "en", "text": "Welcome back"},
    }


def authorization_info_221_minimal() -> Json:
    return {"allowed": "BLOCKED", "token": token_221_minimal()}


def authorization_info_211_minimal() -> Json:
    return {"allowed": "BLOCKED"}


# --- sessions and CDRs ----------------------------------------------------------------------------------------------


def session_221() -> Json:
    return {
        **CPO,
        "id": "S-1001",
        "start_date_time": "2026-03-03T08:00:00Z",
        "end_date_time": "2026-03-03T09:30:00Z",
        "kwh": D("18.2500"),
        "cdr_token": cdr_token(),
        "auth_method": "WHITELIST",
        "authorization_reference": "AUTH-31",
        "location_id": "LOC-7",
        "evse_uid": "LOC-7-A",
        "connector_id": "1",
        "meter_id": "M-55",
        "currency": "EUR",
        "charging_periods": [
            {
                "start_date_time": "2026-03-03T08:00:00Z",
                "dimensions": [{"type": "ENERGY", "volume": D("18.2500")}],
                "tariff_id": "T-DAY",
            }
        ],
        "total_cost": {"excl_vat": D("8.21"), "incl_vat": D("9.93")},
        "status": "COMPLETED",
        "last_updated": "2026-03-03T09:31:00Z",
    }


def session_211() -> Json:
    return {
        "id": "S-1001",
        "start_datetime": "2026-03-03T08:00:00Z",
        "end_datetime": "2026-03-03T09:30:00Z",
        "kwh": D("18.2500"),
        "auth_id": "DE-ACM-C00000042-7",
        "auth_method": "WHITELIST",
        "location": place_211(),
        "meter_id": "M-55",
        "currency": "EUR",
        "charging_periods": [
            {"start_date_time": "2026-03-03T08:00:00Z", "dimensions": [{"type": "ENERGY", "volume": D("18.2500")}]}
        ],
        "total_cost": D("8.21"),
        "status": "COMPLETED",
        "last_updated": "2026-03-03T09:31:00Z",
    }


def session_221_minimal() -> Json:
    return {
        **CPO,
        "id": "S-1002",
        "start_date_time": "2026-03-03T10:00:00Z",
        "kwh": 0,
        "cdr_token": cdr_token(),
        "auth_method": "AUTH_REQUEST",
        "location_id": "LOC-7",
        "evse_uid": "LOC-7-A",
        "connector_id": "1",
        "currency": "EUR",
        "status": "PENDING",
        "last_updated": "2026-03-03T10:00:00Z",
    }


def session_211_minimal() -> Json:
    return {
        "id": "S-1002",
        "start_datetime": "2026-03-03T10:00:00Z",
        "kwh": 0,
        "auth_id": "DE-ACM-C00000042-7",
        "auth_method": "AUTH_REQUEST",
        "location": location_211_minimal(),
        "currency": "EUR",
        "status": "PENDING",
        "last_updated": "2026-03-03T10:00:00Z",
    }


def charging_preferences() -> Json:
    return {
        "profile_type": "GREEN",
        "departure_time": "2026-03-03T17:00:00Z",
        "energy_need": D("40.0"),
        "discharge_allowed": False,
    }


def charging_preferences_minimal() -> Json:
    return {"profile_type": "FAST"}


def cdr_location() -> Json:
    """The place of the CDR, as 2.2.1 writes it."""
    return {
        "id": "LOC-7",
        "name": "Stationsplein",
        "address": "Stationsplein 1",
        "city": "Utrecht",
        "postal_code": "3511ED",
        "state": "Utrecht",
        "country": "NLD",
        "coordinates": coordinates(),
        "evse_uid": "LOC-7-A",
        "evse_id": "NL*EXA*E007*1",
        "connector_id": "1",
        "connector_standard": "IEC_62196_T2",
        "connector_format": "SOCKET",
        "connector_power_type": "AC_3_PHASE",
    }


def cdr_221() -> Json:
    """A CDR with everything in it but what makes it a credit: those fields say that it is none."""
    return {
        **CPO,
        "id": "C-501",
        "start_date_time": "2026-03-03T08:00:00Z",
        "end_date_time": "2026-03-03T09:30:00Z",
        "session_id": "S-1001",
        "cdr_token": cdr_token(),
        "auth_method": "WHITELIST",
        "authorization_reference": "AUTH-31",
        "cdr_location": cdr_location(),
        "meter_id": "M-55",
        "currency": "EUR",
        "tariffs": [tariff_221()],
        "charging_periods": [
            {
                "start_date_time": "2026-03-03T08:00:00Z",
                "dimensions": [{"type": "ENERGY", "volume": D("18.2500")}, {"type": "TIME", "volume": D("1.2500")}],
                "tariff_id": "T-DAY",
            },
            {
                "start_date_time": "2026-03-03T09:15:00Z",
                "dimensions": [{"type": "PARKING_TIME", "volume": D("0.2500")}],
                "tariff_id": "T-DAY",
            },
        ],
        "signed_data": {
            "encoding_method": "OCMF",
            "encoding_method_version": 1,
            "public_key": "MFkwEwYHKoZIzj0CAQ==",
            "signed_values": [{"nature": "Start", "plain_data": "0.0", "signed_data": "T0NNRnx7fQ=="}],
            "url": "https://verify.example.com/C-501",
        },
        "total_cost": {"excl_vat": D("8.51"), "incl_vat": D("10.30")},
        "total_fixed_cost": {"excl_vat": 0},
        "total_energy": D("18.2500"),
        "total_energy_cost": {"excl_vat": D("8.21"), "incl_vat": D("9.93")},
        "total_time": D("1.5000"),
        "total_time_cost": {"excl_vat": 0},
        "total_parking_time": D("0.2500"),
        "total_parking_cost": {"excl_vat": D("0.30"), "incl_vat": D("0.37")},
        "total_reservation_cost": {"excl_vat": 0},
        "remark": "Cable was stuck",
        "invoice_reference_id": "INV-2026-03",
        "credit": False,
        "credit_reference_id": "C-500",
        "home_charging_compensation": False,
        "last_updated": "2026-03-03T10:00:00Z",
    }


def cdr_211() -> Json:
    return {
        "id": "C-501",
        "start_date_time": "2026-03-03T08:00:00Z",
        "stop_date_time": "2026-03-03T09:30:00Z",
        "auth_id": "DE-ACM-C00000042-7",
        "auth_method": "WHITELIST",
        "location": place_211(),
        "meter_id": "M-55",
        "currency": "EUR",
        "tariffs": [tariff_211()],
        "charging_periods": [
            {
                "start_date_time": "2026-03-03T08:00:00Z",
                "dimensions": [{"type": "ENERGY", "volume": D("18.2500")}, {"type": "TIME", "volume": D("1.2500")}],
            },
            {
                "start_date_time": "2026-03-03T09:15:00Z",
                "dimensions": [{"type": "PARKING_TIME", "volume": D("0.2500")}],
            },
        ],
        "total_cost": D("8.51"),
        "total_energy": D("18.2500"),
        "total_time": D("1.5000"),
        "total_parking_time": D("0.2500"),
        "remark": "Cable was stuck",
        "last_updated": "2026-03-03T10:00:00Z",
    }


def cdr_221_minimal() -> Json:
    return {
        **CPO,
        "id": "C-502",
        "start_date_time": "2026-03-04T08:00:00Z",
        "end_date_time": "2026-03-04T09:00:00Z",
        "cdr_token": cdr_token(),
        "auth_method": "AUTH_REQUEST",
        "cdr_location": {key: value for key, value in cdr_location().items() if key not in _OPTIONAL_IN_CDR_LOCATION},
        "currency": "EUR",
        "charging_periods": [
            {"start_date_time": "2026-03-04T08:00:00Z", "dimensions": [{"type": "ENERGY", "volume": D("10.0")}]}
        ],
        "total_cost": {"excl_vat": D("4.50")},
        "total_energy": D("10.0"),
        "total_time": 1,
        "last_updated": "2026-03-04T09:05:00Z",
    }


_OPTIONAL_IN_CDR_LOCATION = frozenset({"name", "postal_code", "state"})


def cdr_211_minimal() -> Json:
    return {
        "id": "C-502",
        "start_date_time": "2026-03-04T08:00:00Z",
        "stop_date_time": "2026-03-04T09:00:00Z",
        "auth_id": "DE-ACM-C00000042-7",
        "auth_method": "AUTH_REQUEST",
        "location": location_211_minimal(),
        "currency": "EUR",
        "charging_periods": [
            {"start_date_time": "2026-03-04T08:00:00Z", "dimensions": [{"type": "ENERGY", "volume": D("10.0")}]}
        ],
        "total_cost": D("4.50"),
        "total_energy": D("10.0"),
        "total_time": 1,
        "last_updated": "2026-03-04T09:05:00Z",
    }


# --- commands and charging profiles ---------------------------------------------------------------------------------

_CALLBACK = "https://emsp.example.com/ocpi/results/8f31"


def start_session_221() -> Json:
    return {
        "response_url": _CALLBACK,
        "token": token_221(),
        "location_id": "LOC-7",
        "evse_uid": "LOC-7-A",
        "connector_id": "1",
        "authorization_reference": "AUTH-32",
    }


def start_session_211() -> Json:
    return {"response_url": _CALLBACK, "token": token_211(), "location_id": "LOC-7", "evse_uid": "LOC-7-A"}


def start_session_221_minimal() -> Json:
    return {"response_url": _CALLBACK, "token": token_221_minimal(), "location_id": "LOC-7"}


def start_session_211_minimal() -> Json:
    return {"response_url": _CALLBACK, "token": token_211_minimal(), "location_id": "LOC-7"}


def stop_session() -> Json:
    return {"response_url": _CALLBACK, "session_id": "S-1001"}


def reserve_now_221() -> Json:
    return {
        "response_url": _CALLBACK,
        "token": token_221(),
        "expiry_date": "2026-03-05T12:00:00Z",
        "reservation_id": "41",
        "location_id": "LOC-7",
        "evse_uid": "LOC-7-A",
        "authorization_reference": "AUTH-33",
    }


def reserve_now_211() -> Json:
    return {
        "response_url": _CALLBACK,
        "token": token_211(),
        "expiry_date": "2026-03-05T12:00:00Z",
        "reservation_id": 41,
        "location_id": "LOC-7",
        "evse_uid": "LOC-7-A",
    }


def reserve_now_221_minimal() -> Json:
    return {
        "response_url": _CALLBACK,
        "token": token_221_minimal(),
        "expiry_date": "2026-03-05T12:00:00Z",
        "reservation_id": "42",
        "location_id": "LOC-7",
    }


def reserve_now_211_minimal() -> Json:
    return {
        "response_url": _CALLBACK,
        "token": token_211_minimal(),
        "expiry_date": "2026-03-05T12:00:00Z",
        "reservation_id": 42,
        "location_id": "LOC-7",
    }


def unlock_connector() -> Json:
    return {"response_url": _CALLBACK, "location_id": "LOC-7", "evse_uid": "LOC-7-A", "connector_id": "1"}


def cancel_reservation() -> Json:
    return {"response_url": _CALLBACK, "reservation_id": "41"}


def command_response_221() -> Json:
    return {"result": "ACCEPTED", "timeout": 30, "message": [{"language": "en", "text": "On its way"}]}


def command_response_221_minimal() -> Json:
    return {"result": "REJECTED", "timeout": 0}


def command_response_211() -> Json:
    return {"result": "ACCEPTED"}


def command_result_221() -> Json:
    return {"result": "EVSE_OCCUPIED", "message": [{"language": "en", "text": "Somebody is charging"}]}


def command_result_221_minimal() -> Json:
    return {"result": "ACCEPTED"}


def charging_profile() -> Json:
    return {
        "start_date_time": "2026-03-03T08:00:00Z",
        "duration": 3600,
        "charging_rate_unit": "W",
        "min_charging_rate": D("1380.0"),
        "charging_profile_period": [{"start_period": 0, "limit": D("11000.0")}, {"start_period": 1800, "limit": 7400}],
    }


def set_charging_profile() -> Json:
    return {"charging_profile": charging_profile(), "response_url": _CALLBACK}


def set_charging_profile_minimal() -> Json:
    return {"charging_profile": {"charging_rate_unit": "A"}, "response_url": _CALLBACK}


def active_charging_profile() -> Json:
    return {"start_date_time": "2026-03-03T08:01:00Z", "charging_profile": charging_profile()}


def active_charging_profile_minimal() -> Json:
    return {"start_date_time": "2026-03-03T08:01:00Z", "charging_profile": {"charging_rate_unit": "A"}}


def charging_profile_response() -> Json:
    return {"result": "ACCEPTED", "timeout": 30}


def profile_result() -> Json:
    return {"result": "ACCEPTED"}


def active_charging_profile_result() -> Json:
    return {"result": "ACCEPTED", "profile": active_charging_profile()}


# --- credentials and hub --------------------------------------------------------------------------------------------


def credentials_221() -> Json:
    return {
        "token": "sample-token_9f8e7d6c5b4a",
        "url": "https://cpo.example.com/ocpi/versions",
        "roles": [{"role": "CPO", "business_details": business(), **CPO}],
    }


def credentials_211() -> Json:
    return {
        "token": "sample-token_9f8e7d6c5b4a",
        "url": "https://cpo.example.com/ocpi/versions",
        "business_details": business(),
        **CPO,
    }


def credentials_221_minimal() -> Json:
    return {
        "token": "sample-token_9f8e7d6c5b4a",
        "url": "https://emsp.example.com/ocpi/versions",
        "roles": [{"role": "EMSP", "business_details": {"name": "Acme Mobility"}, **EMSP}],
    }


def credentials_211_minimal() -> Json:
    return {
        "token": "sample-token_9f8e7d6c5b4a",
        "url": "https://emsp.example.com/ocpi/versions",
        "business_details": {"name": "Acme Mobility"},
        **EMSP,
    }


def client_info() -> Json:
    return {**EMSP, "role": "EMSP", "status": "CONNECTED", "last_updated": "2026-03-01T00:00:00Z"}


V221: dict[Kind, Pair] = {
    Kind.LOCATION: Pair(location_221, location_221_minimal),
    Kind.EVSE: Pair(evse_221, evse_221_minimal),
    Kind.CONNECTOR: Pair(connector_221, connector_221_minimal),
    Kind.SESSION: Pair(session_221, session_221_minimal),
    Kind.CDR: Pair(cdr_221, cdr_221_minimal),
    Kind.TARIFF: Pair(tariff_221, tariff_221_minimal),
    Kind.TOKEN: Pair(token_221, token_221_minimal),
    Kind.AUTHORIZATION_INFO: Pair(authorization_info_221, authorization_info_221_minimal),
    Kind.LOCATION_REFERENCES: Pair(location_references_221, location_references_minimal),
    Kind.CREDENTIALS: Pair(credentials_221, credentials_221_minimal),
    Kind.START_SESSION: Pair(start_session_221, start_session_221_minimal),
    Kind.STOP_SESSION: Pair(stop_session, stop_session),
    Kind.RESERVE_NOW: Pair(reserve_now_221, reserve_now_221_minimal),
    Kind.UNLOCK_CONNECTOR: Pair(unlock_connector, unlock_connector),
    Kind.CANCEL_RESERVATION: Pair(cancel_reservation, cancel_reservation),
    Kind.COMMAND_RESPONSE: Pair(command_response_221, command_response_221_minimal),
    Kind.COMMAND_RESULT: Pair(command_result_221, command_result_221_minimal),
    Kind.CHARGING_PREFERENCES: Pair(charging_preferences, charging_preferences_minimal),
    Kind.SET_CHARGING_PROFILE: Pair(set_charging_profile, set_charging_profile_minimal),
    Kind.ACTIVE_CHARGING_PROFILE: Pair(active_charging_profile, active_charging_profile_minimal),
    Kind.CHARGING_PROFILE_RESPONSE: Pair(charging_profile_response, charging_profile_response),
    Kind.CHARGING_PROFILE_RESULT: Pair(profile_result, profile_result),
    Kind.ACTIVE_CHARGING_PROFILE_RESULT: Pair(active_charging_profile_result, profile_result),
    Kind.CLEAR_PROFILE_RESULT: Pair(profile_result, profile_result),
    Kind.CLIENT_INFO: Pair(client_info, client_info),
}

# 2.1.1 has one object, CommandResponse, for both answers to a command.
V211: dict[Kind, Pair] = {
    Kind.LOCATION: Pair(location_211, location_211_minimal),
    Kind.EVSE: Pair(evse_211, evse_211_minimal),
    Kind.CONNECTOR: Pair(connector_211, connector_211_minimal),
    Kind.SESSION: Pair(session_211, session_211_minimal),
    Kind.CDR: Pair(cdr_211, cdr_211_minimal),
    Kind.TARIFF: Pair(tariff_211, tariff_211_minimal),
    Kind.TOKEN: Pair(token_211, token_211_minimal),
    Kind.AUTHORIZATION_INFO: Pair(authorization_info_211, authorization_info_211_minimal),
    Kind.LOCATION_REFERENCES: Pair(location_references_211, location_references_minimal),
    Kind.CREDENTIALS: Pair(credentials_211, credentials_211_minimal),
    Kind.START_SESSION: Pair(start_session_211, start_session_211_minimal),
    Kind.STOP_SESSION: Pair(stop_session, stop_session),
    Kind.RESERVE_NOW: Pair(reserve_now_211, reserve_now_211_minimal),
    Kind.UNLOCK_CONNECTOR: Pair(unlock_connector, unlock_connector),
    Kind.COMMAND_RESPONSE: Pair(command_response_211, command_response_211),
    Kind.COMMAND_RESULT: Pair(command_response_211, command_response_211),
}
