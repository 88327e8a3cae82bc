"""The same object in 2.1.1 and in the newer form, side by side, with exactly what is lost on the way.

First whole samples of every kind, both ways; then the traps: what a naive translation gets wrong, one test for each.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import samples
from attrs import evolve

from adapters.ocpi_2_1_1.maps import MAPS, down, up
from adapters.ocpi_2_2_1 import bodies
from gateway.model.errors import InvalidObject
from gateway.model.facts import Asked, Crossing, FactKind, Facts, Key, Needs, Translated, Withheld
from gateway.model.modules import Kind
from gateway.model.party import Party
from gateway.model.policy import Policy
from gateway.model.values import same

Json = dict[str, Any]

CPO = Party("NL", "EXA")
EMSP = Party("DE", "ACM")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEFORE, AFTER = "2026-02-01T00:00:00Z", "2026-04-01T00:00:00Z"
OF_EMSP = (Kind.TOKEN, Kind.AUTHORIZATION_INFO, Kind.START_SESSION, Kind.RESERVE_NOW)


def known(*things: tuple[Kind, Json]) -> dict[Key, Any]:
    """Facts about objects in the newer form."""
    facts: dict[Key, Any] = {}
    for kind, thing in things:
        owner = Party(thing["country_code"], thing["party_id"])
        match kind:
            case Kind.LOCATION:
                facts[Key(FactKind.LOCATION, owner, thing["id"])] = thing
            case Kind.TARIFF:
                facts[Key(FactKind.TARIFF, owner, thing["id"])] = thing
            case Kind.TOKEN:
                facts.setdefault(Key(FactKind.TOKENS_OF_CONTRACT, None, thing["contract_id"]), []).append(thing)
                facts.setdefault(Key(FactKind.TOKENS_OF_UID, None, thing["uid"]), []).append(thing)
                facts.setdefault(Key(FactKind.TOKENS_OF_UID, owner, thing["uid"]), []).append(thing)
            case Kind.SESSION:
                facts[Key(FactKind.SESSION, owner, thing["id"])] = thing
                contract = thing["cdr_token"]["contract_id"]
                facts.setdefault(Key(FactKind.SESSIONS_OF_CONTRACT, owner, contract), []).append(thing)
    return facts


def crossing(facts: dict[Key, Any] | None = None, policy: Policy | None = None, **more: Any) -> Crossing:
    more = {"owner": CPO, "peer": EMSP} | more
    return Crossing(facts=Facts(facts, now=NOW, complete=True), policy=policy or Policy(), **more)


def of(outcome: Translated | Needs) -> Translated:
    assert isinstance(outcome, Translated)
    return outcome


def lost(outcome: Translated | Needs) -> list[str]:
    return [loss.pointer for loss in of(outcome).losses]


def without(thing: Json, *names: str) -> Json:
    return {name: content for name, content in thing.items() if name not in names}


# --- whole objects --------------------------------------------------------------------------------------------------

TOKEN_LOSSES = ["/group_id", "/default_profile_type", "/energy_contract"]
COMMAND_LOSSES = [f"/token{pointer}" for pointer in TOKEN_LOSSES]
LOST_DOWN = {
    Kind.LOCATION: ["/publish_allowed_to", "/state", "/evses/0/connectors/0/max_electric_power"],
    Kind.EVSE: ["/connectors/0/max_electric_power"],
    Kind.CONNECTOR: ["/max_electric_power"],
    Kind.SESSION: [
        "/cdr_token/uid",
        "/cdr_token/type",
        "/authorization_reference",
        "/charging_periods/0/tariff_id",
        "/total_cost/incl_vat",
    ],
    Kind.TARIFF: [
        "/type",
        "/min_price",
        "/max_price",
        "/elements/0",
        "/elements/1/price_components/0/vat",
        "/elements/2/price_components/0/vat",
        "/start_date_time",
        "/end_date_time",
    ],
    Kind.TOKEN: TOKEN_LOSSES,
    Kind.AUTHORIZATION_INFO: ["/token", "/authorization_reference"],
    Kind.LOCATION_REFERENCES: [],
    Kind.CREDENTIALS: ["/roles/0/role"],
    Kind.START_SESSION: [*COMMAND_LOSSES, "/connector_id", "/authorization_reference"],
    Kind.STOP_SESSION: [],
    Kind.RESERVE_NOW: [*COMMAND_LOSSES, "/authorization_reference"],
    Kind.UNLOCK_CONNECTOR: [],
    Kind.COMMAND_RESPONSE: ["/timeout", "/message"],
}


@pytest.mark.parametrize("kind", LOST_DOWN, ids=str)
def test_samples_on_the_way_down(kind: Kind) -> None:
    """A whole object of the newer version is in 2.1.1 exactly this, and exactly this is lost."""
    thing = samples.V221[kind].maximal()
    facts = known((Kind.LOCATION, samples.location_221()), (Kind.TOKEN, samples.token_221()))
    way = crossing(facts, owner=None, asked=Asked(references=samples.location_references_211()))
    outcome = of(down(kind, thing, way))
    expected = samples.V211[kind].maximal()
    if kind is Kind.LOCATION_REFERENCES:
        expected.pop("connector_ids")
    assert same(outcome.data, expected)
    assert lost(outcome) == LOST_DOWN[kind]


def test_every_kind_has_a_golden_pair() -> None:
    """No kind is without one: CDRs and command results have theirs below."""
    assert set(MAPS) - set(LOST_DOWN) == {Kind.CDR, Kind.COMMAND_RESULT}


NEWER_ONLY = {
    Kind.LOCATION: ("publish_allowed_to", "state"),
    Kind.SESSION: ("authorization_reference",),
    Kind.TARIFF: ("type", "min_price", "max_price", "start_date_time", "end_date_time"),
    Kind.TOKEN: ("group_id", "default_profile_type", "energy_contract"),
}


@pytest.mark.parametrize("kind", [Kind.TOKEN, Kind.UNLOCK_CONNECTOR, Kind.STOP_SESSION, Kind.CREDENTIALS], ids=str)
def test_samples_on_the_way_up(kind: Kind) -> None:
    """A whole 2.1.1 object is in the newer version exactly this, and nothing is lost."""
    owner = {Kind.CREDENTIALS: None, Kind.TOKEN: EMSP}.get(kind, CPO)
    newer = samples.V221[kind].maximal()
    role = newer["roles"][0]["role"] if "roles" in newer else None
    outcome = of(up(kind, samples.V211[kind].maximal(), crossing(owner=owner, role=role)))
    assert same(outcome.data, without(newer, *NEWER_ONLY.get(kind, ())))
    assert lost(outcome) == []


def test_location_up() -> None:
    """A 2.1.1 location says neither owner nor publish: they are known, and nothing is lost."""
    outcome = of(up(Kind.LOCATION, samples.location_211(), crossing()))
    expected = without(samples.location_221(), *NEWER_ONLY[Kind.LOCATION])
    for evse in expected["evses"]:
        for connector in evse["connectors"]:
            connector.pop("max_electric_power", None)
    assert same(outcome.data, expected)
    assert lost(outcome) == []


def test_session_up() -> None:
    """A 2.1.1 session gets the token that its eMSP announced, and the ids of the place instead of the place."""
    outcome = of(up(Kind.SESSION, samples.session_211(), crossing(known((Kind.TOKEN, samples.token_221())))))
    expected = without(samples.session_221(), *NEWER_ONLY[Kind.SESSION])
    expected["total_cost"].pop("incl_vat")
    for period in expected["charging_periods"]:
        period.pop("tariff_id", None)
    assert same(outcome.data, expected)
    assert lost(outcome) == []


def cdr_211() -> Json:
    """A CDR of a 2.1.1 CPO: one tariff, a FLAT volume, no EVSE id."""
    plug = {
        "id": "2",
        "standard": "CHADEMO",
        "format": "CABLE",
        "power_type": "DC",
        "voltage": 500,
        "amperage": 125,
        "last_updated": "2026-02-03T08:00:00Z",
    }
    evse = {"uid": "EV-31", "status": "AVAILABLE", "connectors": [plug], "last_updated": "2026-02-03T08:00:00Z"}
    return {
        "id": "CDR-77",
        "start_date_time": "2026-02-03T08:00:00Z",
        "stop_date_time": "2026-02-03T09:30:00Z",
        "auth_id": "DE-ACM-C12345678-X",
        "auth_method": "WHITELIST",
        "location": {
            "id": "LOC-31",
            "type": "OTHER",
            "address": "Dok 3",
            "city": "Delft",
            "postal_code": "2611AB",
            "country": "NL",
            "coordinates": {"latitude": "52.011577", "longitude": "4.357068"},
            "evses": [evse],
            "last_updated": "2026-02-03T08:00:00Z",
        },
        "currency": "EUR",
        "tariffs": [
            {
                "id": "STD",
                "currency": "EUR",
                "elements": [{"price_components": [{"type": "ENERGY", "price": Decimal("0.40"), "step_size": 1}]}],
                "last_updated": "2025-11-01T00:00:00Z",
            }
        ],
        "charging_periods": [
            {
                "start_date_time": "2026-02-03T08:00:00Z",
                "dimensions": [{"type": "FLAT", "volume": 1}, {"type": "ENERGY", "volume": Decimal("21.5")}],
            }
        ],
        "total_cost": Decimal("8.60"),
        "total_energy": Decimal("21.5"),
        "total_time": Decimal("1.5"),
        "last_updated": "2026-02-03T09:31:00Z",
    }


def token_of(cdr: Json) -> Json:
    return samples.token_221() | {"contract_id": cdr["auth_id"]}


def test_cdr_up() -> None:
    """A 2.1.1 CDR finds its session and token; its place keeps what a CDR has room for."""
    cdr = cdr_211()
    token = token_of(cdr)
    session = samples.session_221() | {
        "id": "S-77",
        "evse_uid": "ev-31",
        "start_date_time": "2026-02-03T08:00:41Z",
        "cdr_token": {name: token[name] for name in ("country_code", "party_id", "uid", "type", "contract_id")},
        "authorization_reference": "AUTH-9",
    }
    outcome = of(up(Kind.CDR, cdr, crossing(known((Kind.SESSION, session), (Kind.TOKEN, token)))))
    assert outcome.data == {
        "country_code": "NL",
        "party_id": "EXA",
        "id": "CDR-77",
        "start_date_time": "2026-02-03T08:00:00Z",
        "end_date_time": "2026-02-03T09:30:00Z",
        "session_id": "S-77",
        "cdr_token": session["cdr_token"],
        "auth_method": "WHITELIST",
        "authorization_reference": "AUTH-9",
        "cdr_location": {
            "id": "LOC-31",
            "address": "Dok 3",
            "city": "Delft",
            "postal_code": "2611AB",
            "country": "NLD",
            "coordinates": {"latitude": "52.011577", "longitude": "4.357068"},
            "evse_uid": "EV-31",
            "evse_id": "#NA",
            "connector_id": "2",
            "connector_standard": "CHADEMO",
            "connector_format": "CABLE",
            "connector_power_type": "DC",
        },
        "currency": "EUR",
        "tariffs": [cdr["tariffs"][0] | {"country_code": "NL", "party_id": "EXA"}],
        "charging_periods": [
            {
                "start_date_time": "2026-02-03T08:00:00Z",
                "dimensions": [{"type": "ENERGY", "volume": Decimal("21.5")}],
                "tariff_id": "STD",
            }
        ],
        "total_cost": {"excl_vat": Decimal("8.60")},
        "total_energy": Decimal("21.5"),
        "total_time": Decimal("1.5"),
        "last_updated": "2026-02-03T09:31:00Z",
    }
    assert lost(outcome) == [
        "/location/type",
        "/location/evses/0/status",
        "/location/evses/0/last_updated",
        "/location/evses/0/connectors/0/voltage",
        "/location/evses/0/connectors/0/amperage",
        "/location/evses/0/connectors/0/last_updated",
        "/location/evses/0/evse_id",
        "/location/last_updated",
        "/charging_periods/0/dimensions/0",
    ]


def test_cdr_down() -> None:
    """A CDR's place becomes a location again; what 2.1.1 requires besides comes from the stored one."""
    cdr = samples.V221[Kind.CDR].maximal() | {"credit": False, "home_charging_compensation": False}
    outcome = of(down(Kind.CDR, cdr, crossing(known((Kind.LOCATION, samples.location_221())))))
    older = samples.cdr_211()
    place = outcome.data.pop("location")
    assert same(outcome.data, without(older, "location"))
    updated = cdr["last_updated"]
    stored = samples.location_211()
    connector = next(
        plug
        for evse in stored["evses"]
        for plug in evse["connectors"]
        if evse["uid"] == cdr["cdr_location"]["evse_uid"] and plug["id"] == cdr["cdr_location"]["connector_id"]
    )
    assert place["type"] == stored["type"]
    assert place["last_updated"] == updated
    ((evse,),) = (place["evses"],)
    assert evse["status"] == "UNKNOWN"
    kept = ("id", "standard", "format", "power_type", "voltage", "amperage")
    assert evse["connectors"] == [{name: connector[name] for name in kept} | {"last_updated": updated}]
    assert "/signed_data" in lost(outcome)
    assert "/session_id" in lost(outcome)


# --- locations ------------------------------------------------------------------------------------------------------


def connector(**more: Any) -> Json:
    return samples.connector_221_minimal() | more


def evse(*connectors: Json, **more: Any) -> Json:
    return samples.evse_221_minimal() | {"connectors": list(connectors)} | more


def location(*evses: Json, **more: Any) -> Json:
    return samples.location_221_minimal() | {"postal_code": "3511AA"} | ({"evses": list(evses)} if evses else {}) | more


def tariff(id: str, **more: Any) -> Json:
    return samples.tariff_221_minimal() | {"id": id} | more


def test_a_dc_connector_is_derated() -> None:
    """920 V and 400 A limited to 150 kW is 163 A to an app that multiplies; the tariff for roaming is named."""
    thing = connector(
        power_type="DC",
        max_voltage=920,
        max_amperage=400,
        max_electric_power=150_000,
        tariff_ids=["ADHOC", "STD"],
        last_updated="2026-02-01T10:00:00.250Z",
    )
    facts = known((Kind.TARIFF, tariff("STD", type="REGULAR")), (Kind.TARIFF, tariff("ADHOC", type="AD_HOC_PAYMENT")))
    outcome = of(down(Kind.CONNECTOR, thing, crossing(facts)))
    assert (outcome.data["voltage"], outcome.data["amperage"], outcome.data["tariff_id"]) == (920, 163, "STD")
    assert outcome.data["last_updated"] == "2026-02-01T10:00:00Z"
    assert lost(outcome) == ["/max_amperage", "/max_electric_power", "/tariff_ids/0", "/last_updated"]
    plain = of(down(Kind.CONNECTOR, thing, crossing(facts, Policy(locations_derate_dc=False))))
    assert plain.data["amperage"] == 400


@pytest.mark.parametrize("country", ["NLD", "NL"])
def test_country_of_a_location_stays_alpha_3_trap_02(country: str) -> None:
    """Location.country is alpha-3 in both versions; alpha-2, as in the examples, is repaired without loss."""
    lower = of(down(Kind.LOCATION, location(country=country), crossing()))
    assert lower.data["country"] == "NLD"
    upper = of(up(Kind.LOCATION, lower.data, crossing()))
    assert upper.data["country"] == "NLD"
    assert lost(lower) == lost(upper) == []


def test_unpublished_locations_are_withheld_trap_39() -> None:
    """2.1.1 can't say "don't show it", so an unpublished location isn't sent; published is what 2.1.1 implies."""
    with pytest.raises(Withheld, match="unpublished"):
        down(Kind.LOCATION, location(publish=False), crossing())
    assert lost(down(Kind.LOCATION, location(publish=True), crossing())) == []


@pytest.mark.parametrize(
    ("parking_type", "older", "is_lost"),
    [
        (None, "UNKNOWN", False),
        ("ON_STREET", "ON_STREET", False),
        ("ALONG_MOTORWAY", "OTHER", True),
        ("ON_DRIVEWAY", "OTHER", True),
    ],
)
def test_parking_type_down(parking_type: str | None, older: str, is_lost: bool) -> None:
    """No parking type is UNKNOWN; one that 2.1.1 doesn't have is OTHER, and declared."""
    outcome = of(down(Kind.LOCATION, location(parking_type=parking_type), crossing()))
    assert outcome.data["type"] == older
    assert lost(outcome) == (["/parking_type"] if is_lost else [])


@pytest.mark.parametrize(("older", "is_lost"), [("UNKNOWN", False), ("OTHER", True)])
def test_parking_type_up(older: str, is_lost: bool) -> None:
    """UNKNOWN says nothing and OTHER can't be said: both are left out, one of them with a loss."""
    outcome = of(up(Kind.LOCATION, samples.location_211() | {"type": older}, crossing()))
    assert "parking_type" not in outcome.data
    assert lost(outcome) == (["/type"] if is_lost else [])


def test_a_location_without_time_zone() -> None:
    """A missing time zone is the country's main one, never UTC in silence; a link's default wins."""
    older = without(samples.location_211(), "time_zone")
    outcome = of(up(Kind.LOCATION, older | {"country": "ESP"}, crossing()))
    assert outcome.data["time_zone"] == "Europe/Madrid"
    (loss,) = outcome.losses
    assert (loss.pointer, loss.policy) == ("/time_zone", "locations.default_time_zone")
    canary = Policy(locations_default_time_zone="Atlantic/Canary")
    assert of(up(Kind.LOCATION, older, crossing(policy=canary))).data["time_zone"] == "Atlantic/Canary"


@pytest.mark.parametrize(
    ("country", "zone"),
    [("DEU", "Europe/Berlin"), ("USA", "America/New_York"), ("PRT", "Europe/Lisbon"), ("AUS", "Australia/Sydney"),
     ("RUS", "Europe/Moscow"), ("EST", "Europe/Tallinn")],
)  # fmt: skip
def test_main_zones(country: str, zone: str) -> None:
    """The main zone is where most of a country is, and Estonia isn't Spain."""
    older = without(samples.location_211(), "time_zone") | {"country": country}
    assert of(up(Kind.LOCATION, older, crossing())).data["time_zone"] == zone


def test_a_location_without_postal_code() -> None:
    """2.1.1 requires one: N/A is made up on the way down, and is none on the way up."""
    lower = of(down(Kind.LOCATION, location(postal_code=None), crossing()))
    assert lower.data["postal_code"] == "N/A"
    assert lost(lower) == ["/postal_code"]
    assert "postal_code" not in of(up(Kind.LOCATION, lower.data, crossing())).data


def test_long_addresses_are_shortened_at_a_word() -> None:
    """45 characters in 2.1.1, and no word cut in two."""
    address = "Burgemeester van den Bruggenstraat 1234, ingang achterzijde"
    outcome = of(down(Kind.LOCATION, location(address=address), crossing()))
    assert outcome.data["address"] == "Burgemeester van den Bruggenstraat 1234"
    assert lost(outcome) == ["/address"]


@pytest.mark.parametrize(
    ("newer", "older", "is_lost"), [("52.09073", "52.090730", False), ("52.0907374", "52.090737", True)]
)
def test_coordinates_have_6_decimals_trap_54(newer: str, older: str, is_lost: bool) -> None:
    """5 to 7 decimals are exactly 6 in 2.1.1, at every depth."""
    geo = {"latitude": newer, "longitude": "5.12142"}
    thing = location(evse(connector(), coordinates=geo), coordinates=geo, related_locations=[geo])
    outcome = of(down(Kind.LOCATION, thing, crossing()))
    for place in (
        outcome.data["coordinates"],
        outcome.data["related_locations"][0],
        outcome.data["evses"][0]["coordinates"],
    ):
        assert place == {"latitude": older, "longitude": "5.121420"}
    places = ["/coordinates", "/related_locations/0", "/evses/0/coordinates"]
    assert lost(outcome) == ([f"{place}/latitude" for place in places] if is_lost else [])


def test_unknown_plugs_are_left_out() -> None:
    """A connector that 2.1.1 has no name for isn't offered, nor is an EVSE that has no other; a list tells each."""
    known_plug = connector(id="2", power_type="AC_1_PHASE", max_electric_power=7400)
    thing = location(
        evse(connector(id="1", standard="GBT_DC"), uid="A"),
        evse(connector(id="1", standard="CHAOJI"), known_plug, uid="B"),
    )
    outcome = of(down(Kind.LOCATION, thing, crossing()))
    assert [(e["uid"], [c["id"] for c in e["connectors"]]) for e in outcome.data["evses"]] == [("B", ["2"])]
    assert lost(outcome) == ["/evses/0", "/evses/1/connectors/0", "/evses/1/connectors/1/max_electric_power"]
    assert {loss.policy for loss in outcome.losses} == {"locations.unknown_connector", None}
    literal = Policy(locations_unknown_connector="passthrough")
    assert len(of(down(Kind.LOCATION, thing, crossing(policy=literal))).data["evses"]) == 2


@pytest.mark.parametrize("kind", [Kind.EVSE, Kind.CONNECTOR], ids=str)
def test_an_unknown_plug_on_its_own(kind: Kind) -> None:
    """An EVSE or connector that is pushed on its own, and can't be said, is withheld."""
    plug = connector(standard="PANTOGRAPH_TOP_DOWN")
    with pytest.raises(Withheld) as withheld:
        down(kind, evse(plug) if kind is Kind.EVSE else plug, crossing())
    assert withheld.value.policy == "locations.unknown_connector"


def test_capabilities() -> None:
    """Unknown ones are left out, never replaced; an EVSE that needs its connector named can't be started by 2.1.1."""
    wanted = ["RFID_READER", "REMOTE_START_STOP_CAPABLE", "DEBIT_CARD_PAYABLE", "START_SESSION_CONNECTOR_REQUIRED"]
    one = of(down(Kind.EVSE, evse(connector(), capabilities=wanted), crossing()))
    assert one.data["capabilities"] == ["RFID_READER", "REMOTE_START_STOP_CAPABLE"]
    assert lost(one) == ["/capabilities/2", "/capabilities/3"]
    two = of(down(Kind.EVSE, evse(connector(id="1"), connector(id="2"), capabilities=wanted), crossing()))
    assert two.data["capabilities"] == ["RFID_READER"]
    assert lost(two) == ["/capabilities/1", "/capabilities/2", "/capabilities/3"]


def test_power_types_are_understated() -> None:
    """Two phases are one in 2.1.1: less than there is, never more."""
    outcome = of(down(Kind.CONNECTOR, connector(power_type="AC_2_PHASE_SPLIT"), crossing()))
    assert outcome.data["power_type"] == "AC_1_PHASE"
    assert lost(outcome) == ["/power_type"]


def test_operator_is_the_owner_trap_67() -> None:
    """Without an operator the newer version means the owner; a 2.1.1 receiver would take whom it is connected to."""
    business = {"name": "Example Charging"}
    outcome = of(down(Kind.LOCATION, location(), crossing({Key(FactKind.BUSINESS, CPO, str(CPO)): business})))
    assert outcome.data["operator"] == business
    assert lost(outcome) == []


def test_environmental_impact_is_renamed_inside_trap_53() -> None:
    """environ_impact says source in 2.1.1 and category in the newer version; energy_sources says source in both."""
    mix = samples.energy_mix_221()
    lower = of(down(Kind.LOCATION, location(energy_mix=mix), crossing())).data["energy_mix"]
    assert lower == samples.energy_mix_211()


def test_hours_beside_always_open() -> None:
    """A location that is always open has no regular hours in the newer version; the 2.1.1 example has both."""
    hours = {"regular_hours": [{"weekday": 1, "period_begin": "08:00", "period_end": "20:00"}], "twentyfourseven": True}
    outcome = of(up(Kind.LOCATION, samples.location_211() | {"opening_times": hours}, crossing()))
    assert outcome.data["opening_times"] == {"twentyfourseven": True}
    assert lost(outcome) == ["/opening_times/regular_hours"]
    choice = without(hours, "twentyfourseven")
    outcome = of(up(Kind.LOCATION, samples.location_211() | {"opening_times": choice}, crossing()))
    assert outcome.data["opening_times"] == choice | {"twentyfourseven": False}
    assert lost(outcome) == []
    outcome = of(up(Kind.LOCATION, samples.location_211() | {"opening_times": {"regular_hours": []}}, crossing()))
    assert "opening_times" not in outcome.data


@pytest.mark.parametrize(
    ("spelled", "older", "is_lost"),
    [
        ("2026-02-01T10:00:00Z", "2026-02-01T10:00:00Z", False),
        ("2026-02-01T10:00:00", "2026-02-01T10:00:00Z", False),
        ("2026-02-01T10:00:00.000Z", "2026-02-01T10:00:00Z", False),
        ("2026-02-01T10:00:00.9Z", "2026-02-01T10:00:00Z", True),
        ("2026-02-01T11:30:00+01:30", "2026-02-01T10:00:00Z", False),
        ("1970-1-1T00:00:00Z", "1970-01-01T00:00:00Z", False),
    ],
)
def test_moments_down_trap_30(spelled: str, older: str, is_lost: bool) -> None:
    """Whole seconds in UTC with Z, never +00:00, and only a real fraction is a loss."""
    outcome = of(down(Kind.CONNECTOR, connector(last_updated=spelled), crossing()))
    assert outcome.data["last_updated"] == older
    assert lost(outcome) == (["/last_updated"] if is_lost else [])


def test_moments_up() -> None:
    """Peers of 2.1.1 leave Z out; a fraction, should one come, stays."""
    older = samples.connector_211_minimal() | {"last_updated": "2026-02-01T12:00:00.5+02:00"}
    assert of(up(Kind.CONNECTOR, older, crossing())).data["last_updated"] == "2026-02-01T10:00:00.5Z"


def test_long_ids_get_an_alias_and_come_back() -> None:
    """An id of 37 to 39 characters is shortened the same way each time, and restored on the way back."""
    long = "LOC-" + "7" * 35
    way = crossing()
    older = samples.location_211() | {"id": long}
    upper = of(up(Kind.LOCATION, older, way))
    alias = upper.data["id"]
    assert len(alias) == 36
    assert alias.startswith("h-")
    assert lost(upper) == ["/id"]
    assert of(up(Kind.LOCATION, older | {"id": long.lower()}, crossing())).data["id"] == alias
    assert of(down(Kind.LOCATION, upper.data, crossing(dict(way.learned)))).data["id"] == long
    assert of(down(Kind.LOCATION, upper.data, crossing())).data["id"] == alias


# --- which tariff ---------------------------------------------------------------------------------------------------


def chosen(*tariffs: Json, ids: list[str] | None = None, policy: Policy | None = None) -> Translated:
    thing = connector(tariff_ids=ids or [each["id"] for each in tariffs])
    return of(down(Kind.CONNECTOR, thing, crossing(known(*((Kind.TARIFF, each) for each in tariffs)), policy)))


def test_without_tariff_facts() -> None:
    """Of tariffs that nobody knows a sole one is named, and of several the first."""
    assert chosen(ids=["A"]).data["tariff_id"] == "A"
    several = chosen(ids=["A", "B", "C"])
    assert several.data["tariff_id"] == "A"
    assert lost(several) == ["/tariff_ids/1", "/tariff_ids/2"]


def test_profiles() -> None:
    """REGULAR before PROFILE_FAST before any other, and one of the others only if it is alone."""
    regular, fast = tariff("R"), tariff("F", type="PROFILE_FAST")
    green, cheap = tariff("G", type="PROFILE_GREEN"), tariff("C", type="PROFILE_CHEAP")
    assert chosen(green, fast, regular).data["tariff_id"] == "R"
    assert chosen(green, fast).data["tariff_id"] == "F"
    assert chosen(green).data["tariff_id"] == "G"
    assert "tariff_id" not in chosen(green, cheap).data


def test_what_isnt_for_roaming_isnt_named() -> None:
    """A tariff that would be withheld isn't referred to; a link whose audience has adhoc gets it after all."""
    ad_hoc = tariff("H", type="AD_HOC_PAYMENT")
    assert "tariff_id" not in chosen(ad_hoc).data
    assert "tariff_id" not in chosen(tariff("K", elements=[element(max_current=16)])).data
    assert chosen(ad_hoc, policy=Policy(tariffs_audience=("wholesale", "adhoc"))).data["tariff_id"] == "H"


def test_the_choice_holds_until_a_tariff_turns_trap_64() -> None:
    """Only tariffs in force now count, the one that began last wins, and the next turn is told."""
    old = tariff("OLD", end_date_time=AFTER)
    new = tariff("NEW", start_date_time=BEFORE)
    coming = tariff("COMING", start_date_time=AFTER)
    gone = tariff("GONE", end_date_time=BEFORE)
    outcome = chosen(old, new, coming, gone)
    assert outcome.data["tariff_id"] == "NEW"
    assert outcome.until == datetime(2026, 4, 1, tzinfo=UTC)
    assert chosen(new).until is None
    assert "tariff_id" not in chosen(coming).data


def test_the_nearest_turn_of_all_connectors_counts() -> None:
    """A location falls due again when the first of its connectors' choices ends."""
    soon, late = tariff("SOON", end_date_time="2026-03-02T00:00:00Z"), tariff("LATE", end_date_time=AFTER)
    thing = location(evse(connector(tariff_ids=["LATE"]), connector(id="2", tariff_ids=["SOON"])))
    outcome = of(down(Kind.LOCATION, thing, crossing(known((Kind.TARIFF, soon), (Kind.TARIFF, late)))))
    assert outcome.until == datetime(2026, 3, 2, tzinfo=UTC)


# --- tariffs --------------------------------------------------------------------------------------------------------


def element(**restrictions: Any) -> Json:
    component = {"type": "ENERGY", "price": Decimal("0.25"), "step_size": 1}
    return {"price_components": [component], **({"restrictions": restrictions} if restrictions else {})}


def test_elements_for_reservations_go_whole_trap_38() -> None:
    """Leaving out only the restriction would make the reservation's fee one on every session."""
    outcome = of(down(Kind.TARIFF, tariff("T", elements=[element(reservation="RESERVATION"), element()]), crossing()))
    assert outcome.data["elements"] == [element()]
    assert lost(outcome) == ["/elements/0"]
    with pytest.raises(Withheld, match="nothing but elements"):
        down(Kind.TARIFF, tariff("T", elements=[element(reservation="RESERVATION")]), crossing())


def test_restrictions_by_current_withhold_the_tariff_trap_38() -> None:
    """They can't be said, and without them an element would hold more often than it should."""
    thing = tariff("T", elements=[element(max_current=16), element()])
    with pytest.raises(Withheld) as withheld:
        down(Kind.TARIFF, thing, crossing())
    assert withheld.value.policy == "tariffs.inexpressible"
    assert of(down(Kind.TARIFF, tariff("T", elements=[element(max_current=None)]), crossing())).losses == ()


def test_restrictions_by_current_become_kilowatts() -> None:
    """A link that wants it gets kilowatts, where all connectors of the tariff have one voltage and are AC."""
    thing = tariff("T", elements=[element(min_current=32, max_power=22)])
    policy = Policy(tariffs_inexpressible="convert")

    def connectors(*volts: int, power_type: str = "AC_3_PHASE") -> dict[Key, Any]:
        plugs = [connector(power_type=power_type, max_voltage=each) for each in volts]
        return {Key(FactKind.CONNECTORS_OF_TARIFF, CPO, "T"): plugs}

    outcome = of(down(Kind.TARIFF, thing, crossing(connectors(230, 230), policy)))
    assert outcome.data["elements"] == [element(min_power=Decimal("7.36"), max_power=22)]
    assert lost(outcome) == ["/elements/0/restrictions/min_current"]
    for facts in (connectors(230, 110), connectors(400, power_type="DC"), {}):
        with pytest.raises(Withheld):
            down(Kind.TARIFF, thing, crossing(facts, policy))


def test_vat_is_not_computed_trap_37() -> None:
    """Prices are without VAT in both versions; a percentage has no room, and none is made up on the way up."""
    thing = tariff("T", elements=[{"price_components": [{"type": "FLAT", "price": 1, "vat": 21, "step_size": 1}]}])
    lower = of(down(Kind.TARIFF, thing, crossing()))
    assert lower.data["elements"] == [{"price_components": [{"type": "FLAT", "price": 1, "step_size": 1}]}]
    assert lost(lower) == ["/elements/0/price_components/0/vat"]
    assert of(up(Kind.TARIFF, lower.data, crossing())).data["elements"] == lower.data["elements"]


def test_validity_is_told_as_lost() -> None:
    """A tariff is always in force in 2.1.1; when it really is has no room."""
    outcome = of(down(Kind.TARIFF, tariff("T", start_date_time=AFTER, min_price={"excl_vat": 1}), crossing()))
    assert lost(outcome) == ["/min_price", "/start_date_time"]


# --- tokens and authorizations --------------------------------------------------------------------------------------


@pytest.mark.parametrize("newer", ["APP_USER", "AD_HOC_USER"])
def test_types_of_tokens(newer: str) -> None:
    """A token of an app is OTHER in 2.1.1, and gets its type back where it is known."""
    token = samples.token_221_minimal() | {"type": newer}
    lower = of(down(Kind.TOKEN, token, crossing(owner=EMSP)))
    assert lower.data["type"] == "OTHER"
    assert lost(lower) == ["/type"]
    assert of(up(Kind.TOKEN, lower.data, crossing(known((Kind.TOKEN, token)), owner=EMSP))).data["type"] == newer
    assert of(up(Kind.TOKEN, lower.data, crossing(owner=EMSP))).data["type"] == "OTHER"


def test_auth_id_is_the_contract_trap_40() -> None:
    """auth_id names the contract, never the uid."""
    lower = of(down(Kind.TOKEN, samples.token_221(), crossing(owner=EMSP)))
    assert lower.data["auth_id"] == samples.token_221()["contract_id"]
    assert lower.data["uid"] == samples.token_221()["uid"]


def test_an_authorization_needs_the_token_asked_about() -> None:
    """2.1.1 doesn't repeat the token: the one asked about stands in, whole or made up from what is known."""
    older = samples.authorization_info_211_minimal()
    whole = samples.token_221()
    outcome = of(up(Kind.AUTHORIZATION_INFO, older, crossing(owner=EMSP, asked=Asked(token=whole))))
    assert outcome.data["token"] == whole
    assert lost(outcome) == []
    partly = Asked(token={"uid": "04FF", "type": "RFID"})
    outcome = of(up(Kind.AUTHORIZATION_INFO, older, crossing(owner=EMSP, asked=partly)))
    token = outcome.data["token"]
    assert (token["uid"], token["contract_id"], token["whitelist"], token["type"]) == ("04FF", "04FF", "NEVER", "RFID")
    assert lost(outcome) == ["/token"]
    outcome = of(up(Kind.AUTHORIZATION_INFO, older, crossing(owner=EMSP)))
    assert outcome.data["token"]["uid"] == "#NA"
    assert lost(outcome) == ["/token"]


def test_connectors_of_an_authorization_come_back_trap_68() -> None:
    """2.2.1 has no connector_ids: on the way back to a 2.1.1 caller those that it asked for are put in again."""
    asked = samples.location_references_211()
    answer = samples.authorization_info_221()
    outcome = of(down(Kind.AUTHORIZATION_INFO, answer, crossing(asked=Asked(references=asked))))
    assert outcome.data["location"]["connector_ids"] == asked["connector_ids"]
    assert "connector_ids" not in of(down(Kind.AUTHORIZATION_INFO, answer, crossing())).data["location"]


# --- sessions -------------------------------------------------------------------------------------------------------


def session_facts(**more: Any) -> dict[Key, Any]:
    return known((Kind.LOCATION, samples.location_221() | more), (Kind.TOKEN, samples.token_221()))


def test_a_session_without_its_location_trap_33() -> None:
    """A 2.1.1 session must have one: asked for, then withheld with 2003, or made up where the link wants that."""
    thing = samples.session_221()
    asking = Crossing(facts=Facts(now=NOW), policy=Policy(), owner=CPO)
    assert down(Kind.SESSION, thing, asking) == Needs(frozenset({Key(FactKind.LOCATION, CPO, thing["location_id"])}))
    with pytest.raises(Withheld) as withheld:
        down(Kind.SESSION, thing, crossing())
    assert (withheld.value.status, withheld.value.policy) == (2003, "sessions.location_missing")
    outcome = of(down(Kind.SESSION, thing, crossing(policy=Policy(sessions_location_missing="minimal"))))
    place = outcome.data["location"]
    assert (place["id"], place["country"], place["evses"][0]["uid"]) == (thing["location_id"], "NLD", thing["evse_uid"])
    assert "/location_id" in lost(outcome)


def test_an_unpublished_location_is_shown_inside_a_session() -> None:
    """A session is a record, not an offer: its location is embedded, and its plug gets the nearest name."""
    place = samples.location_221() | {"publish": False}
    place["evses"][0]["connectors"][0]["standard"] = "GBT_AC"
    thing = samples.session_221()
    assert thing["evse_uid"] == place["evses"][0]["uid"]
    outcome = of(down(Kind.SESSION, thing, crossing(known((Kind.LOCATION, place)))))
    (embedded,) = outcome.data["location"]["evses"]
    assert [plug["standard"] for plug in embedded["connectors"]] == ["IEC_62196_T2"]
    assert "publish" not in outcome.data["location"]
    assert not any(pointer.startswith("/location") for pointer in lost(outcome))


def test_a_session_at_an_evse_that_isnt_there() -> None:
    """A missing EVSE or connector is the session's loss."""
    thing = samples.session_221() | {"evse_uid": "GONE"}
    outcome = of(down(Kind.SESSION, thing, crossing(session_facts())))
    assert "evses" not in outcome.data["location"]
    assert {"/evse_uid", "/connector_id"} <= set(lost(outcome))


def test_not_available_stays_inside_trap_62() -> None:
    """#NA is a word of the newer version: in 2.1.1 there is no EVSE instead, and the other way round."""
    thing = samples.session_221() | {"evse_uid": "#NA", "connector_id": "#NA"}
    outcome = of(down(Kind.SESSION, thing, crossing(session_facts())))
    assert "evses" not in outcome.data["location"]
    assert not {"/evse_uid", "/connector_id"} & set(lost(outcome))
    upper = of(up(Kind.SESSION, outcome.data, crossing(session_facts())))
    assert (upper.data["evse_uid"], upper.data["connector_id"]) == ("#NA", "#NA")
    assert lost(upper) == ["/location/evses"]


def test_several_evses_inside_a_session() -> None:
    """Where a CPO sends all EVSEs, the one that is charging counts."""
    older = samples.session_211()
    (used,) = older["location"]["evses"]
    idle = used | {"uid": "IDLE", "status": "AVAILABLE"}
    older["location"]["evses"] = [idle, used | {"status": "CHARGING"}]
    outcome = of(up(Kind.SESSION, older, crossing(session_facts())))
    assert outcome.data["evse_uid"] == used["uid"]
    assert lost(outcome) == ["/location/evses/0"]


@pytest.mark.parametrize("status", ["RESERVATION", "RESERVED"])
def test_reservations_are_pending_trap_52(status: str) -> None:
    """2.1.1 has no state for a reservation, and the newer text has two words for it."""
    outcome = of(down(Kind.SESSION, samples.session_221() | {"status": status}, crossing(session_facts())))
    assert outcome.data["status"] == "PENDING"
    assert "/status" in lost(outcome)


def test_command_is_an_auth_request() -> None:
    """A session started by a command was asked for, in the words of 2.1.1."""
    outcome = of(down(Kind.SESSION, samples.session_221() | {"auth_method": "COMMAND"}, crossing(session_facts())))
    assert outcome.data["auth_method"] == "AUTH_REQUEST"


def test_no_cost_is_not_free() -> None:
    """A session that says no cost says none in either version."""
    thing = without(samples.session_221(), "total_cost")
    assert "total_cost" not in of(down(Kind.SESSION, thing, crossing(session_facts()))).data


def test_a_token_that_nobody_knows_trap_41() -> None:
    """A contract without a token is no reason to refuse: uid #NA, type OTHER, of the eMSP on the other side."""
    outcome = of(up(Kind.SESSION, samples.session_211(), crossing()))
    assert outcome.data["cdr_token"] == {
        "country_code": "DE",
        "party_id": "ACM",
        "uid": "#NA",
        "type": "OTHER",
        "contract_id": samples.session_211()["auth_id"],
    }
    assert lost(outcome) == ["/auth_id"]
    nobody = of(up(Kind.SESSION, samples.session_211(), crossing(peer=None)))
    assert (nobody.data["cdr_token"]["country_code"], nobody.data["cdr_token"]["party_id"]) == ("XX", "#NA")


def test_which_of_several_tokens() -> None:
    """Of several tokens of one contract a card is taken, then the newest; a session keeps what was found first."""
    card = samples.token_221() | {"type": "RFID", "uid": "CARD", "last_updated": BEFORE}
    newer = card | {"uid": "NEWER", "last_updated": AFTER}
    app = card | {"type": "APP_USER", "uid": "APP", "last_updated": AFTER}
    older = samples.session_211() | {"auth_id": card["contract_id"].lower()}

    def uid(*things: tuple[Kind, Json]) -> str:
        facts = known((Kind.TOKEN, card), (Kind.TOKEN, app), *things)
        return str(of(up(Kind.SESSION, older, crossing(facts))).data["cdr_token"]["uid"])

    assert uid() == "CARD"
    assert uid((Kind.TOKEN, newer)) == "NEWER"
    stored = samples.session_221()
    stored["cdr_token"] |= {"uid": "APP", "contract_id": card["contract_id"]}
    assert uid((Kind.TOKEN, newer), (Kind.SESSION, stored)) == "APP"


def test_a_uid_in_the_place_of_the_contract() -> None:
    """Some CPOs write the uid: the token is found, and what was done is told."""
    token = samples.token_221() | {"uid": "04A1B2"}
    outcome = of(up(Kind.SESSION, samples.session_211() | {"auth_id": "04a1b2"}, crossing(known((Kind.TOKEN, token)))))
    assert outcome.data["cdr_token"]["contract_id"] == token["contract_id"]
    assert lost(outcome) == ["/auth_id"]


@pytest.mark.parametrize(
    ("total", "volumes"), [(Decimal("41.12"), ["0.12", "41"]), (Decimal("41120"), ["120", "41000"])]
)
def test_energy_in_wh_trap_43(total: Decimal, volumes: list[str]) -> None:
    """Volumes that add up to a thousand times the total are Wh; others are what they are."""
    periods = [
        {"start_date_time": BEFORE, "dimensions": [{"type": "ENERGY", "volume": volume}, {"type": "TIME", "volume": 1}]}
        for volume in (120, 41_000)
    ]
    older = samples.session_211() | {"kwh": total, "charging_periods": periods}
    outcome = of(up(Kind.SESSION, older, crossing(session_facts())))
    found = [period["dimensions"][0]["volume"] for period in outcome.data["charging_periods"]]
    assert found == list(map(Decimal, volumes))
    expected = [f"/charging_periods/{at}/dimensions/0/volume" for at in (0, 1)] if total < 100 else []
    assert lost(outcome) == expected


def test_dimensions_of_the_newer_version_trap_45() -> None:
    """What 2.1.1 can't measure is left out; RESERVATION_TIME is no TIME, and a period never becomes empty."""

    def written(*dimensions: tuple[str, str]) -> list[tuple[str, Any]]:
        period = {
            "start_date_time": BEFORE,
            "dimensions": [{"type": type_, "volume": Decimal(volume)} for type_, volume in dimensions],
        }
        thing = samples.session_221() | {"charging_periods": [period]}
        (outcome,) = of(down(Kind.SESSION, thing, crossing(session_facts()))).data["charging_periods"]
        return [(each["type"], each["volume"]) for each in outcome["dimensions"]]

    assert written(("RESERVATION_TIME", "0.5")) == [("ENERGY", 0)]
    assert written(("TIME", "1"), ("POWER", "11")) == [("TIME", 1)]
    assert written(("ENERGY_IMPORT", "5.5"), ("ENERGY_EXPORT", "1.5")) == [("ENERGY", 4)]
    assert written(("ENERGY", "4"), ("ENERGY_IMPORT", "5.5")) == [("ENERGY", 4)]


# --- CDRs -----------------------------------------------------------------------------------------------------------


def cdr(**more: Any) -> Json:
    return samples.V221[Kind.CDR].minimal() | more


def test_money_is_net_trap_36() -> None:
    """total_cost is the price without VAT, both ways, to the digit; the price with VAT is lost, and never computed."""
    thing = cdr(total_cost={"excl_vat": Decimal("4.10"), "incl_vat": Decimal("4.96")})
    lower = of(down(Kind.CDR, thing, crossing()))
    assert str(lower.data["total_cost"]) == "4.10"
    assert "/total_cost/incl_vat" in lost(lower)
    assert of(up(Kind.CDR, lower.data, crossing())).data["total_cost"] == {"excl_vat": Decimal("4.10")}


def test_credit_cdrs_trap_46() -> None:
    """A credit CDR would be a second bill: withheld, or a negative one with a remark where the link takes that."""
    thing = cdr(
        credit=True, credit_reference_id="CDR-1", total_cost={"excl_vat": Decimal("-4.10")}, remark="wrong meter"
    )
    with pytest.raises(Withheld) as withheld:
        down(Kind.CDR, thing, crossing())
    assert withheld.value.policy == "cdrs.credit"
    negative = Policy(cdrs_credit="negative")
    for amount in ("-4.10", "4.10"):
        priced = thing | {"total_cost": {"excl_vat": Decimal(amount)}}
        outcome = of(down(Kind.CDR, priced, crossing(policy=negative)))
        assert outcome.data["total_cost"] == Decimal("-4.10")
        assert outcome.data["remark"] == "CREDIT for CDR-1; wrong meter"
        assert {"/credit", "/credit_reference_id"} <= set(lost(outcome))
    assert of(down(Kind.CDR, without(thing, "remark"), crossing(policy=negative))).data["remark"] == "CREDIT for CDR-1"


def test_home_charging_is_withheld() -> None:
    """A CDR that the driver is paid for isn't sent where it would be billed, unless the link says so."""
    thing = cdr(home_charging_compensation=True)
    with pytest.raises(Withheld) as withheld:
        down(Kind.CDR, thing, crossing())
    assert withheld.value.policy == "cdrs.home_charging"
    outcome = of(down(Kind.CDR, thing, crossing(policy=Policy(cdrs_home_charging="send"))))
    assert "/home_charging_compensation" in lost(outcome)
    assert lost(down(Kind.CDR, cdr(home_charging_compensation=False, credit=False), crossing())) == lost(
        down(Kind.CDR, cdr(), crossing())
    )


def test_nothing_withholds_a_tariff_inside_a_cdr() -> None:
    """There it is the record of what was billed: elements that can't be said are left out one by one."""
    tariffs = [
        tariff("A", type="AD_HOC_PAYMENT", elements=[element(max_current=16), element()]),
        tariff("B", elements=[element(reservation="RESERVATION")]),
    ]
    outcome = of(down(Kind.CDR, cdr(tariffs=tariffs), crossing()))
    assert [(each["id"], each["elements"]) for each in outcome.data["tariffs"]] == [("A", [element()])]
    assert [pointer for pointer in lost(outcome) if pointer.startswith("/tariffs")] == [
        "/tariffs/0/elements/0",
        "/tariffs/0/type",
        "/tariffs/1",
    ]


def test_a_cdr_needs_no_stored_location() -> None:
    """A CDR is never refused for want of one: voltage and amperage are 0 then, and that is told."""
    thing = samples.V221[Kind.CDR].maximal() | {"credit": None, "home_charging_compensation": None}
    outcome = of(down(Kind.CDR, thing, crossing()))
    ((plug,),) = (outcome.data["location"]["evses"][0]["connectors"],)
    assert (plug["voltage"], plug["amperage"], outcome.data["location"]["type"]) == (0, 0, "UNKNOWN")
    assert {"/cdr_location/max_voltage", "/cdr_location/max_amperage"} <= set(lost(outcome))


def test_an_unknown_plug_in_a_cdr() -> None:
    """A CDR isn't lost for its plug: the nearest that 2.1.1 knows is written, by AC and DC."""
    thing = samples.V221[Kind.CDR].maximal() | {"credit": None, "home_charging_compensation": None}
    thing["cdr_location"] |= {"connector_standard": "GBT_DC", "connector_power_type": "DC"}
    outcome = of(down(Kind.CDR, thing, crossing()))
    assert outcome.data["location"]["evses"][0]["connectors"][0]["standard"] == "IEC_62196_T2_COMBO"
    assert "/cdr_location/connector_standard" in lost(outcome)


def test_which_tariff_holds_in_a_period_trap_44() -> None:
    """One tariff holds in every period; of several nobody can say, and of none there is none."""
    one = cdr_211()
    assert of(up(Kind.CDR, one, crossing())).data["charging_periods"][0]["tariff_id"] == "STD"
    two = one | {"tariffs": [one["tariffs"][0], one["tariffs"][0] | {"id": "NIGHT"}]}
    outcome = of(up(Kind.CDR, two, crossing()))
    assert "tariff_id" not in outcome.data["charging_periods"][0]
    assert "/charging_periods" in lost(outcome)
    assert "tariff_id" not in of(up(Kind.CDR, without(one, "tariffs"), crossing())).data["charging_periods"][0]


def test_a_cdr_of_another_session() -> None:
    """A session at another EVSE, or that began more than a minute apart, isn't the CDR's."""
    thing = cdr_211()
    token = token_of(thing)
    session = samples.session_221() | {"evse_uid": "EV-31", "start_date_time": "2026-02-03T08:01:01Z"}
    session["cdr_token"] = session["cdr_token"] | {"contract_id": token["contract_id"]}
    assert "session_id" not in of(up(Kind.CDR, thing, crossing(known((Kind.SESSION, session))))).data
    elsewhere = session | {"evse_uid": "EV-32", "start_date_time": "2026-02-03T08:00:00Z"}
    assert "session_id" not in of(up(Kind.CDR, thing, crossing(known((Kind.SESSION, elsewhere))))).data


# --- commands -------------------------------------------------------------------------------------------------------


def test_reservation_ids_are_given_out() -> None:
    """2.1.1 numbers reservations: a number that was given out is used, and no text is hashed into one."""
    thing = samples.reserve_now_221_minimal() | {"reservation_id": "R-17"}
    facts = {Key(FactKind.RESERVATION, EMSP, "r-17"): 41}
    assert of(down(Kind.RESERVE_NOW, thing, crossing(facts))).data["reservation_id"] == 41
    with pytest.raises(Withheld, match="no number"):
        down(Kind.RESERVE_NOW, thing, crossing())
    older = samples.reserve_now_211_minimal() | {"reservation_id": 17}
    assert of(up(Kind.RESERVE_NOW, older, crossing(owner=EMSP))).data["reservation_id"] == "17"


def test_a_start_that_must_name_the_connector() -> None:
    """An EVSE that insists gets its only connector named; of several nobody can choose."""
    older = samples.start_session_211()
    place = samples.location_221()
    place["evses"][0] |= {"capabilities": ["START_SESSION_CONNECTOR_REQUIRED"]}
    older |= {"location_id": place["id"], "evse_uid": place["evses"][0]["uid"]}
    facts = known((Kind.LOCATION, place))
    plugs = place["evses"][0]["connectors"]
    way = crossing(facts, owner=EMSP, peer=CPO)
    if len(plugs) == 1:
        assert of(up(Kind.START_SESSION, older, way)).data["connector_id"] == plugs[0]["id"]
    place["evses"][0]["connectors"] = [plugs[0], plugs[0] | {"id": "OTHER"}]
    with pytest.raises(Withheld, match="several connectors"):
        up(Kind.START_SESSION, older, way)


def test_cancelling_a_reservation_cant_be_said() -> None:
    """2.1.1 has neither the command nor the result, and nothing is made up in their place."""
    with pytest.raises(Withheld, match="cancel_reservation"):
        down(Kind.CANCEL_RESERVATION, {"response_url": "https://x.example/1", "reservation_id": "1"}, crossing())
    with pytest.raises(Withheld, match="cancelled"):
        down(Kind.COMMAND_RESULT, {"result": "CANCELED_RESERVATION"}, crossing())


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ("ACCEPTED", "ACCEPTED"),
        ("TIMEOUT", "TIMEOUT"),
        ("NOT_SUPPORTED", "NOT_SUPPORTED"),
        ("FAILED", "REJECTED"),
        ("EVSE_OCCUPIED", "REJECTED"),
        ("EVSE_INOPERATIVE", "REJECTED"),
        ("UNKNOWN_RESERVATION", "REJECTED"),
    ],
)
def test_results_down(newer: str, older: str) -> None:
    """2.1.1 has one word for every kind of rejection."""
    outcome = of(down(Kind.COMMAND_RESULT, {"result": newer}, crossing()))
    assert outcome.data == {"result": older}
    assert lost(outcome) == ([] if newer == older else ["/result"])


def test_results_up() -> None:
    """TIMEOUT is no answer at once in the newer version, UNKNOWN_SESSION none later; words say what was meant."""
    at_once = of(up(Kind.COMMAND_RESPONSE, {"result": "TIMEOUT"}, crossing()))
    assert (at_once.data["result"], at_once.data["timeout"]) == ("REJECTED", 30)
    assert at_once.data["message"][0]["language"] == "en"
    assert lost(at_once) == ["/result", "/timeout"]
    later = of(up(Kind.COMMAND_RESULT, {"result": "UNKNOWN_SESSION"}, crossing()))
    assert later.data["result"] == "REJECTED"
    assert "session" in later.data["message"][0]["text"]
    assert of(up(Kind.COMMAND_RESULT, {"result": "TIMEOUT"}, crossing())).data == {"result": "TIMEOUT"}


@pytest.mark.parametrize("kind", [Kind.COMMAND_RESPONSE, Kind.COMMAND_RESULT], ids=str)
def test_bare_words_are_understood(kind: Kind) -> None:
    """Before its correction 2.1.1 answered commands with a bare string, and so do peers."""
    assert of(up(kind, "ACCEPTED", crossing())).data["result"] == "ACCEPTED"


# --- credentials ----------------------------------------------------------------------------------------------------


def test_one_role_of_several() -> None:
    """2.1.1 credentials are of one party: the one that is meant, else the first; the others are told as lost."""
    thing = samples.V221[Kind.CREDENTIALS].minimal()
    first = thing["roles"][0]
    second = first | {"party_id": "TWO", "role": "EMSP"}
    thing = thing | {"roles": [first, second]}
    outcome = of(down(Kind.CREDENTIALS, thing, crossing(owner=Party(second["country_code"], "TWO"))))
    assert outcome.data["party_id"] == "TWO"
    assert lost(outcome) == ["/roles/0", "/roles/1/role"]
    assert of(down(Kind.CREDENTIALS, thing, crossing(owner=None))).data["party_id"] == first["party_id"]
    with pytest.raises(Withheld):
        down(Kind.CREDENTIALS, thing, crossing(owner=Party("FR", "ZZZ")))


@pytest.mark.parametrize(("written", "country"), [("DEU", "DE"), ("DE", "DE"), ("est", "EE")])
def test_countries_of_parties_are_never_truncated_trap_03(written: str, country: str) -> None:
    """Alpha-3 is understood on 2.1.1, by the table: EST is Estonia."""
    older = samples.V211[Kind.CREDENTIALS].maximal() | {"country_code": written}
    assert (
        of(up(Kind.CREDENTIALS, older, crossing(owner=None, role="EMSP"))).data["roles"][0]["country_code"] == country
    )
    with pytest.raises(InvalidObject, match="country_code"):
        up(Kind.CREDENTIALS, older | {"country_code": "ZZZ"}, crossing(owner=None, role="EMSP"))


def test_a_role_that_nobody_said() -> None:
    """Credentials of 2.1.1 don't say their role; without configuration it is OTHER, and that is told."""
    outcome = of(up(Kind.CREDENTIALS, samples.V211[Kind.CREDENTIALS].maximal(), crossing(owner=None)))
    assert outcome.data["roles"][0]["role"] == "OTHER"
    assert lost(outcome) == ["/role"]


# --- the pass itself ------------------------------------------------------------------------------------------------


def test_everything_missing_is_asked_at_once() -> None:
    """A pass collects all it needs, and what it would judge without knowing waits."""
    thing = location(
        evse(connector(tariff_ids=["A", "B"]), uid="1"),
        evse(connector(standard="GBT_AC", tariff_ids=["C"]), uid="2"),
    )
    outcome = down(Kind.LOCATION, thing, Crossing(facts=Facts(now=NOW), policy=Policy(), owner=CPO))
    assert isinstance(outcome, Needs)
    asked = {(key.kind, key.id) for key in outcome.keys}
    assert asked == {(FactKind.TARIFF, "A"), (FactKind.TARIFF, "B"), (FactKind.BUSINESS, str(CPO))}


def test_whose_it_is_must_be_known() -> None:
    """2.1.1 objects don't say their owner: without one nothing can be written that must."""
    with pytest.raises(Withheld, match="whose object"):
        up(Kind.LOCATION, samples.location_211(), crossing(owner=None))


@pytest.mark.parametrize(
    ("kind", "thing", "path"),
    [
        (Kind.CONNECTOR, without(samples.connector_211(), "voltage"), "$.voltage"),
        (Kind.LOCATION, samples.location_211() | {"evses": [{}]}, "$.evses[0].uid"),
        (Kind.TOKEN, samples.token_211() | {"valid": "yes"}, "$.valid"),
    ],
)
def test_mistakes_are_named_in_the_senders_words(kind: Kind, thing: Json, path: str) -> None:
    """A broken object is refused with the path that its sender finds in its own body."""
    with pytest.raises(InvalidObject) as error:
        up(kind, thing, crossing(owner=EMSP))
    assert error.value.path == path


def test_fields_that_would_be_read_as_something_else() -> None:
    """An unknown field that the other version has under that name meant something else: dropped, and told."""
    older = samples.connector_211_minimal() | {"max_voltage": "high", "tariff_ids": ["X"], "pricing_id": "P-1"}
    outcome = of(up(Kind.CONNECTOR, older, crossing()))
    assert outcome.data["max_voltage"] == older["voltage"]
    assert outcome.data["pricing_id"] == "P-1"
    assert "tariff_ids" not in outcome.data
    assert lost(outcome) == ["/max_voltage", "/tariff_ids"]
    lower = of(down(Kind.CONNECTOR, connector(voltage=1, pricing_id="P-1"), crossing()))
    assert lower.data["voltage"] == connector()["max_voltage"]
    assert lower.data["pricing_id"] == "P-1"
    assert lost(lower) == ["/voltage"]


def test_the_source_is_not_touched() -> None:
    """A translation leaves what it was given as it was."""
    for kind in MAPS:
        thing, untouched = samples.V221[kind].maximal(), samples.V221[kind].maximal()
        owner = EMSP if kind in OF_EMSP else None
        way = crossing(
            session_facts(), evolve(Policy(), cdrs_credit="negative", cdrs_home_charging="send"), owner=owner
        )
        down(kind, thing, way)
        assert thing == untouched


# --- fields that a 2.1.1 peer has all the same ------------------------------------------------------------------------

EXTENDED = Policy(
    fields_extensions_211=("max_electric_power", "tariff_id", "signed_data"),
    fields_rename_211={"authorization_reference": "authorization_id"},
)


def test_a_peer_of_2_1_1_with_extensions_gets_what_it_can_read() -> None:
    """What the link names is written, under its name there, and isn't lost; the rest is, as ever."""
    location = samples.location_221()
    seen = of(down(Kind.LOCATION, location, crossing(policy=EXTENDED)))
    plug = location["evses"][0]["connectors"][0]
    assert seen.data["evses"][0]["connectors"][0]["max_electric_power"] == plug["max_electric_power"]
    assert [pointer for pointer in lost(seen) if pointer.endswith("max_electric_power")] == []
    assert "/state" in lost(seen)

    cdr = samples.cdr_221() | {"credit": False, "credit_reference_id": None}
    written = of(down(Kind.CDR, cdr, crossing(policy=EXTENDED)))
    assert written.data["authorization_id"] == cdr["authorization_reference"]
    assert written.data["signed_data"] == cdr["signed_data"]
    assert written.data["charging_periods"][0]["tariff_id"] == cdr["charging_periods"][0]["tariff_id"]
    assert not {"/authorization_reference", "/signed_data", "/charging_periods/0/tariff_id"} & set(lost(written))


def test_a_peer_of_2_1_1_with_extensions_is_read() -> None:
    """The same fields, as that peer writes them, become ours; without the switches they are dropped, with a line."""
    session = samples.session_211() | {"authorization_id": "A-1"}
    read = of(up(Kind.SESSION, session, crossing(policy=EXTENDED)))
    assert read.data["authorization_reference"] == "A-1"
    assert "authorization_id" not in read.data

    plug = samples.connector_211() | {"max_electric_power": 22000}
    assert of(up(Kind.CONNECTOR, plug, crossing(policy=EXTENDED))).data["max_electric_power"] == 22000
    plain = of(up(Kind.CONNECTOR, plug, crossing()))
    assert "max_electric_power" not in plain.data
    assert "/max_electric_power" in lost(plain)


def test_an_extension_that_is_none_is_refused_by_its_name() -> None:
    """A value that the newer version wouldn't take is the sender's mistake, told where it stands."""
    plug = samples.connector_211() | {"max_electric_power": "lots"}
    with pytest.raises(InvalidObject, match="max_electric_power"):
        up(Kind.CONNECTOR, plug, crossing(policy=EXTENDED))


def test_what_must_not_go_out_isn_t_let_out_by_an_extension() -> None:
    """A name among the extensions lifts no withholding: an unpublished location stays, and so does a credit CDR."""
    policy = Policy(fields_extensions_211=("publish", "credit"))
    with pytest.raises(Withheld):
        down(Kind.LOCATION, samples.location_221() | {"publish": False}, crossing(policy=policy))
    with pytest.raises(Withheld):
        down(Kind.CDR, samples.cdr_221() | {"credit": True}, crossing(policy=policy))


# --- texts beyond the specification -----------------------------------------------------------------------------------

LONG = "Laan van de Vrijheid, hoek Vondelstraat, achter het station, 1e verdieping"  # 74 characters


def test_texts_that_are_too_long_are_let_be_unless_a_link_says_otherwise() -> None:
    """By default an address of any length passes; ``enforce`` refuses it by its path."""
    location = samples.location_211() | {"city": LONG}
    assert of(up(Kind.LOCATION, location, crossing())).data["city"] == LONG
    with pytest.raises(InvalidObject, match=r"\$\.city: longer than 45 characters"):
        up(Kind.LOCATION, location, crossing(policy=Policy(validation_max_lengths="enforce")))


def test_a_strict_receiver_gets_words_shortened_and_ids_whole() -> None:
    """``truncate_out``: what people read is cut and told; half an EVSE id would be none."""
    strict = Policy(validation_max_lengths="truncate_out")
    location = samples.location_221() | {"city": LONG, "address": LONG}
    location["evses"][0]["evse_id"] = "NL*EXA*E" + "1" * 60
    for made in (
        of(down(Kind.LOCATION, location, crossing(policy=strict))),
        of(bodies.down(Kind.LOCATION, location, crossing(policy=strict))),
    ):
        assert made.data["city"] == LONG[:45]
        assert len(made.data["address"]) <= 45
        assert made.data["evses"][0]["evse_id"] == "NL*EXA*E" + "1" * 60
        assert {"/city", "/address"} <= set(lost(made))
    assert of(bodies.down(Kind.LOCATION, location, crossing())).data["address"] == LONG
