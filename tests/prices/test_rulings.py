"""Where the documentation of price feeds leaves a choice, the choice: one test for each that is about shapes.

The number in a test's name is the choice's own. Those about when a feed is read, what is refused and who may see what
are tested where that is decided.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from adapters import OCPI_2_1_1
from adapters.eco_movement import (
    Crawl,
    read_connector_prices,
    read_list,
    read_new,
    read_old,
    read_places,
    served_id,
    write_connector_prices,
    write_entry,
    write_list,
    write_new,
    write_old,
    write_refusal,
)
from gateway.model.facts import Crossing, FactKind, Facts, Key, Translated
from gateway.model.message import HttpAnswer, Paged
from gateway.model.modules import Kind
from gateway.model.party import Party
from gateway.model.policy import Policy
from gateway.model.prices import Audience, Linked, Period, Priced

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
OPERATOR = Party("DE", "TST")
ENERGY = {"type": "ENERGY", "price_excl_vat": Decimal("0.49"), "vat": 19}


def new(*elements: Any, **product: Any) -> Any:
    """What is read of a price of the newer shape with these elements."""
    given = list(elements) or [{"price_components": [ENERGY]}]
    words = {"name": "Spontan", "type": "adhoc", "currency": "EUR", **product}
    return read_new({"id": "p1", "partner": "Testlader", "product": words, "elements": given}, now=NOW)


def new_of(*components: Any, restrictions: Any = None) -> Priced:
    """The price of one element."""
    return only(new({"price_components": list(components), "restrictions": restrictions}))


def only(read: Any) -> Priced:
    (priced,) = read.prices
    return priced  # type: ignore[no-any-return]


def old(entries: Any, name: str = "price_list", **how: Any) -> Any:
    """What is read of a row of the older shape."""
    return read_old({"id": "p1", name: entries}, now=NOW, **how)


def entry(*elements: Any, partner: str = "Testlader", **product: Any) -> dict[str, Any]:
    words = {"name": "Ad hoc", "currency": "EUR", **product}
    return {"partner": partner, "product": words, "elements": list(elements) or [ENERGY]}


def elements(priced: Priced) -> list[tuple[list[str], Any]]:
    """Dimensions and restrictions of each element of the tariff."""
    return [
        ([each["type"] for each in element["price_components"]], element.get("restrictions"))
        for element in priced.tariff["elements"]
    ]


def crossing(known: dict[Key, Any] | None = None, **policy: Any) -> Crossing:
    return Crossing(facts=Facts(known, now=NOW, complete=True), policy=Policy(**policy), owner=OPERATOR)


def in_2_1_1(kind: Kind, data: Any, known: dict[Key, Any] | None = None) -> Translated:
    outcome = OCPI_2_1_1.down(kind, data, crossing(known, tariffs_audience=("wholesale", "adhoc")))
    assert isinstance(outcome, Translated)
    return outcome


@pytest.mark.parametrize("name", ["price_list", "pricelist"])
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("nested", [True, False])
def test_spellings_of_the_older_list_q01(name: str, listed: bool, nested: bool) -> None:
    """Both names of the list, an object in its place, and a list too many around elements read as the same."""
    flat = {"type": "FLAT", "price_excl_vat": 1}
    given = entry([ENERGY, flat]) if nested else entry(ENERGY, flat)
    priced = only(old([given] if listed else given, name))
    assert elements(priced) == [(["ENERGY", "FLAT"], None)]
    written = write_old([priced])
    assert written is not None
    assert isinstance(written["price_list"], list)


def test_numbers_as_texts_q02() -> None:
    """Numbers are read from either; amounts are written as numbers, the fee of the newer shape as a text."""
    texts = new_of({"type": "ENERGY", "price_excl_vat": "0.490", "vat": "19", "step_size": "100"})
    numbers = new_of({"type": "ENERGY", "price_excl_vat": Decimal("0.490"), "vat": 19, "step_size": 100})
    assert texts.tariff == numbers.tariff
    (component,) = write_new(texts).data["elements"][0]["price_components"]
    assert component["price_excl_vat"] == Decimal("0.490")
    for fee in (5, Decimal("5.00"), "5", "5.0000"):
        priced = only(new(subscription_fee_excl_vat=fee))
        assert priced.subscription.fee == 5
        assert write_new(priced).data["product"]["subscription_fee_excl_vat"] == "5.0000"


def test_parking_is_idle_time_q03() -> None:
    """PARKING_TIME means what OCPI means by it, time without charging: no price for charging time is added."""
    priced = new_of(ENERGY, {"type": "PARKING_TIME", "price_excl_vat": 6})
    assert elements(priced) == [(["ENERGY", "PARKING_TIME"], None)]
    assert priced.flags == ()


def test_time_is_charging_time_q04() -> None:
    """TIME is OCPI's TIME; where both it and parking have a price, that is told."""
    priced = new_of({"type": "TIME", "price_excl_vat": 2}, {"type": "PARKING_TIME", "price_excl_vat": 6})
    assert elements(priced) == [(["TIME", "PARKING_TIME"], None)]
    assert [flag.pointer for flag in priced.flags] == ["/elements"]


def test_prices_are_per_hour_q05() -> None:
    """A price that is low for an hour is told, and goes on as a price per hour."""
    priced = new_of(ENERGY, {"type": "PARKING_TIME", "price_excl_vat": Decimal("0.10")})
    assert [flag.pointer for flag in priced.flags] == ["/elements/0/price_components/1/price_excl_vat"]
    assert priced.tariff["elements"][0]["price_components"][1]["price"] == Decimal("0.10")


@pytest.mark.parametrize(
    ("product", "audience"),
    [
        (entry(name="Ad hoc"), Audience.ADHOC),
        (entry(name="ADHOC Tarif"), Audience.ADHOC),
        (entry(name="Tarif 1", partner="ad-hoc"), Audience.ADHOC),
        (entry(name="Roadhocky"), Audience.MSP_RETAIL),
        (entry(name="Basic", subscription_fee_excl_vat=5), Audience.MSP_RETAIL),
        (entry(name="Club", partner="stadtwerk ", subscription_fee_excl_vat=5), Audience.CPO_SUBSCRIPTION),
        (entry(name="Ad hoc", partner="Stadtwerk", subscription_fee_excl_vat=5), Audience.CPO_SUBSCRIPTION),
        (entry(name="Club", partner="Stadtwerk", subscription_fee_excl_vat=0), Audience.MSP_RETAIL),
    ],
)
def test_the_older_shape_doesnt_say_for_whom_q06(product: Any, audience: Audience) -> None:
    """Ad hoc by the name of product or partner, the operator's own with a fee a subscription, else an eMSP's."""
    assert only(old([product], operators=["Stadtwerk"])).audience is audience


def test_vat_is_percent_q07() -> None:
    """VAT is read as percent; a fraction of one is told and stays."""
    assert new_of(ENERGY).flags == ()
    priced = new_of({**ENERGY, "vat": Decimal("0.19")})
    assert [flag.pointer for flag in priced.flags] == ["/elements/0/price_components/0/vat"]
    assert priced.tariff["elements"][0]["price_components"][0]["vat"] == Decimal("0.19")


@pytest.mark.parametrize("shape", ["new", "old"])
def test_no_vat_is_not_zero_q08(shape: str) -> None:
    """A VAT that is absent (or null) stays absent, and one of 0 stays 0, in both shapes and out again."""
    for vat, said in (({}, None), ({"vat": None}, None), ({"vat": 0}, 0)):
        component = {"type": "ENERGY", "price_excl_vat": 1, **vat}
        priced = new_of(component) if shape == "new" else only(old([entry(component)]))
        (made,) = priced.tariff["elements"][0]["price_components"]
        assert made.get("vat") == said
        assert ("vat" in made) is (said is not None)
        (again,) = write_new(priced).data["elements"][0]["price_components"]
        assert ("vat" in again, again.get("vat")) == (said is not None, said)
        (again,) = write_entry(priced).data["elements"]
        assert ("vat" in again, again.get("vat")) == (said is not None, said)


@pytest.mark.parametrize("word", ["FIXED", "", "weekly"])
def test_subscription_types_that_nobody_documented_q09(word: str) -> None:
    """They are of no known period, keep their word, and cost nothing."""
    priced = only(new(subscription_type=word))
    assert (priced.subscription.period, priced.subscription.word, priced.flags) == (Period.UNKNOWN, word, ())
    assert write_new(priced).data["product"]["subscription_type"] == word


def test_a_fee_once_is_a_fee_once_q10() -> None:
    """A one-off fee is due once: it is neither spread over months nor made a part of the tariff."""
    priced = only(new(subscription_type="one-off", subscription_fee_excl_vat="12.0000"))
    assert (priced.subscription.period, priced.subscription.fee) == (Period.ONE_OFF, Decimal("12.0000"))
    assert elements(priced) == [(["ENERGY"], None)]
    assert "12" not in str(priced.tariff)


def test_the_products_currency_is_the_tariffs_q11() -> None:
    """Currency stands under the product; it is the currency of the prices."""
    assert only(new(currency="chf")).tariff["currency"] == "CHF"
    assert only(old([entry(currency="SEK")])).tariff["currency"] == "SEK"


@pytest.mark.parametrize(
    ("word", "audience"),
    [
        ("msp", Audience.MSP_RETAIL),
        ("cpo_subscription", Audience.CPO_SUBSCRIPTION),
        ("AdHoc", Audience.ADHOC),
        ("other", Audience.UNKNOWN),
        (None, Audience.UNKNOWN),
        ("fleet", Audience.UNKNOWN),
    ],
)
def test_an_emsps_price_is_for_its_own_customers_q12(word: Any, audience: Audience) -> None:
    """Retail prices, subscriptions and ad hoc prices are kept apart; what nobody names is for nobody known."""
    assert only(new(type=word)).audience is audience


@pytest.mark.parametrize(
    ("word", "type_"), [("msp", "REGULAR"), ("cpo_subscription", "REGULAR"), ("adhoc", "AD_HOC_PAYMENT")]
)
def test_no_tariff_is_for_all_sessions_q13(word: str, type_: str) -> None:
    """An imported tariff always has a type: without one it would hold for every session."""
    assert only(new(type=word)).tariff["type"] == type_


def test_a_new_id_is_a_new_tariff_q14() -> None:
    """The same price under another id is another tariff; under the same id with the same content it is the same."""
    one = read_new({"id": "p1", "product": {"currency": "EUR"}, "elements": [{"price_components": [ENERGY]}]}, now=NOW)
    again = read_new(only(one).raw, now=datetime(2026, 3, 3, tzinfo=UTC))
    other = read_new({**only(one).raw, "id": "p2"}, now=NOW)
    assert only(one).digest == only(again).digest
    assert (only(one).id, only(other).id) == ("p1", "p2")
    assert served_id(only(one)) != served_id(only(other))


def test_a_price_that_nobody_knows_q15() -> None:
    """It is HTTP 404 with 2001, in either envelope."""
    for shape in (True, False):
        answer = write_refusal(2001, 404, "no such price", new=shape)
        assert (answer.status, answer.body["status_code"], "data" in answer.body) == (404, 2001, False)


def test_last_record_is_the_last_id_q16() -> None:
    """Where there is no Link, the id of the last object of the page before is the cursor; a Link comes first."""
    page = HttpAnswer(status=200, body={"status": 1000, "data": [{"id": "a"}, {"id": "b/1"}]})
    crawl = Crawl("https://feed.example/prices", 2, cursor=True)
    crawl.take(page)
    assert crawl.next == "https://feed.example/prices?limit=2&last_record=b%2F1"
    linked = HttpAnswer(status=200, headers={"Link": "</prices?last_record=x>; rel=next"}, body=page.body)
    crawl = Crawl("https://feed.example/prices", 2, cursor=True)
    crawl.take(linked)
    assert crawl.next == "https://feed.example/prices?last_record=x"


@pytest.mark.parametrize("url", ["https://f.example/api/ocpi/cpo/2.1.1/prices/", "https://f.example/x?key=a%2Fb"])
def test_urls_are_used_as_configured_q17(url: str) -> None:
    """Nothing is built: the configured URL is called, with its own parameters and ours behind them."""
    crawl = Crawl(url, 5)
    assert crawl.next == f"{url}{'&' if '?' in url else '?'}limit=5"


@pytest.mark.parametrize(
    ("restrictions", "read"),
    [
        (None, [None]),
        ([], [None]),
        ({}, [None]),
        ({"min_kwh": 5, "max_kwh": None, "day_of_week": []}, [{"min_kwh": 5}]),
        ([{"min_kwh": 5, "min_power": None}], [{"min_kwh": 5}]),
        ([{"min_kwh": 5}, {"day_of_week": ["saturday"]}], [{"min_kwh": 5}, {"day_of_week": ["SATURDAY"]}]),
        ({"min_duration": 0, "max_duration": 86400}, [None]),
        ({"min_duration": "0", "max_duration": Decimal("86400.0"), "max_kwh": 9}, [{"max_kwh": 9}]),
        ({"min_duration": 60, "max_duration": 3600}, [{"min_duration": 60, "max_duration": 3600}]),
        ({"day_of_week": "MONDAY"}, [{"day_of_week": ["MONDAY"]}]),
    ],
)
def test_restrictions_as_object_or_list_q19(restrictions: Any, read: list[Any]) -> None:
    """An object, a list of one, a list of alternatives; nulls and limits that limit nothing say nothing."""
    priced = new_of(ENERGY, restrictions=restrictions)
    assert elements(priced) == [(["ENERGY"], each) for each in read]
    assert priced.flags == ()


def test_the_first_element_counts_for_each_dimension_q20() -> None:
    """Elements keep their order; neighbours under the same conditions are one; 2.1.1 gets them as they are."""
    at_night = {"start_time": "20:00", "end_time": "08:00"}
    flat, parking = {"type": "FLAT", "price_excl_vat": 1}, {"type": "PARKING_TIME", "price_excl_vat": 5}
    priced = only(
        new(
            {"price_components": [ENERGY], "restrictions": at_night},
            {"price_components": [{**ENERGY, "price_excl_vat": Decimal("0.59")}]},
            {"price_components": [flat]},
            {"price_components": [parking], "restrictions": at_night},
            {"price_components": [flat]},
        )
    )
    expected = [(["ENERGY"], at_night), (["ENERGY", "FLAT"], None), (["PARKING_TIME"], at_night), (["FLAT"], None)]
    assert elements(priced) == expected
    lower = in_2_1_1(Kind.TARIFF, priced.owned_by(OPERATOR).tariff).data
    assert [len(element["price_components"]) for element in lower["elements"]] == [1, 2, 1, 1]
    same_dimension = only(new({"price_components": [flat]}, {"price_components": [flat]}))
    assert elements(same_dimension) == [(["FLAT"], None), (["FLAT"], None)]


def test_in_the_older_shape_all_components_apply_q20() -> None:
    """There each price holds always: one element; written, what never applied is left out, restricted or not."""
    twice = old([entry(ENERGY, {"type": "FLAT", "price_excl_vat": 1}, {**ENERGY, "price_excl_vat": 1})])
    assert elements(only(twice)) == [(["ENERGY", "FLAT"], None)]
    assert [flag.pointer for flag in twice.flags] == ["/price_list/0/elements/2"]
    written = write_entry(
        only(
            new(
                {"price_components": [ENERGY], "restrictions": {"min_kwh": 5}},
                {"price_components": [ENERGY]},
                {"price_components": [{**ENERGY, "price_excl_vat": 9}]},
            )
        )
    )
    assert [each["price_excl_vat"] for each in written.data["elements"]] == [Decimal("0.49")]
    assert [loss.pointer for loss in written.losses] == ["/elements/0", "/elements/2/price_components/0"]


def test_one_of_several_tariffs_in_2_1_1_q21() -> None:
    """A connector of 2.1.1 names one tariff: the backend's for roaming before an ad hoc price of a feed."""
    adhoc = dict(new_of(ENERGY).owned_by(OPERATOR).tariff)
    roaming = {**adhoc, "id": "ROAM", "type": "REGULAR"}
    known = {Key(FactKind.TARIFF, OPERATOR, each["id"]): each for each in (adhoc, roaming)}
    connector = {
        "id": "1",
        "standard": "IEC_62196_T2",
        "format": "SOCKET",
        "power_type": "AC_3_PHASE",
        "max_voltage": 230,
        "max_amperage": 32,
        "last_updated": "2026-03-01T00:00:00Z",
    }
    both = in_2_1_1(Kind.CONNECTOR, {**connector, "tariff_ids": ["p1", "ROAM"]}, known)
    assert (both.data["tariff_id"], [loss.pointer for loss in both.losses]) == ("ROAM", ["/tariff_ids/0"])
    assert in_2_1_1(Kind.CONNECTOR, {**connector, "tariff_ids": ["p1"]}, known).data["tariff_id"] == "p1"


@pytest.mark.parametrize("word", ["status", "status_code"])
@pytest.mark.parametrize("status", [1000, "1000", 1001, 200, "Success", "OK"])
def test_both_words_for_the_status_q23(word: str, status: Any) -> None:
    """Either word is understood, moments without Z are UTC, and our newer envelope has both words."""
    page = read_list(HttpAnswer(status=200, body={word: status, "timestamp": "2026-03-02T09:30:00", "data": []}), "")
    assert page.rows == []
    price = {"id": "p", "product": {"currency": "EUR"}, "elements": [{"price_components": [ENERGY]}]}
    moment = only(read_new({**price, "last_updated": "2026-03-01T10:00:00"}, now=NOW)).tariff["last_updated"]
    assert moment == "2026-03-01T10:00:00Z"
    written = write_list([], Paged(total=0, limit=10), new=True).body
    assert (written["status"], written["status_code"]) == (1000, 1000)


@pytest.mark.parametrize(("given", "flagged"), [(None, False), ("", True), ("yesterday", True), (1772442000, True)])
def test_a_moment_that_is_missing_is_the_moment_of_reading_q23(given: Any, flagged: bool) -> None:
    """A price without a last_updated gets the run's; one that is no moment does too, and that is told."""
    price = {"id": "p", "product": {"currency": "EUR"}, "elements": [{"price_components": [ENERGY]}]}
    priced = only(read_new({**price, "last_updated": given}, now=NOW))
    assert priced.tariff["last_updated"] == "2026-03-02T09:30:00Z"
    assert [flag.pointer for flag in priced.flags] == (["/last_updated"] if flagged else [])


def test_locations_of_either_version_q25() -> None:
    """What prices need of a location is the same in 2.1.1 and in 2.2, whichever is configured."""
    connector = {"id": "1", "pricing_id": "p1"}
    older = {"id": "L", "type": "ON_STREET", "evses": [{"uid": "E", "connectors": [{**connector, "voltage": 400}]}]}
    newer = {
        "id": "L",
        "country_code": "NL",
        "parking_type": "ON_STREET",
        "evses": [{"uid": "E", "connectors": [{**connector, "max_voltage": 400, "max_electric_power": 150}]}],
    }
    assert read_places(older).places == read_places(newer).places != ()


def test_where_a_price_came_from_stays_known_q26() -> None:
    """A price knows whether it came from a feed, whatever is done with it; a tariff of our own didn't."""
    priced = new_of(ENERGY)
    assert priced.imported
    assert priced.owned_by(OPERATOR).imported
    assert not Priced.of(priced.tariff, None).imported


def test_a_price_per_session_with_restrictions_q27() -> None:
    """It is a price like any other, in steps of one."""
    priced = new_of({"type": "FLAT", "price_excl_vat": 2}, restrictions={"start_time": "18:00"})
    assert elements(priced) == [(["FLAT"], {"start_time": "18:00"})]
    assert priced.tariff["elements"][0]["price_components"][0]["step_size"] == 1
    assert priced.flags == ()


def test_free_of_charge_is_a_price_q28() -> None:
    """A price of 0 is a tariff that says so, in both shapes, and comes back as 0."""
    free = {"type": "ENERGY", "price_excl_vat": 0, "vat": 0}
    for priced in (new_of(free), only(old([entry(free)]))):
        assert priced.flags == ()
        assert priced.tariff["elements"][0]["price_components"][0]["price"] == 0
        assert write_new(priced).data["elements"][0]["price_components"][0]["price_excl_vat"] == 0
        assert write_entry(priced).data["elements"][0]["price_excl_vat"] == 0


def test_product_ids_dont_join_q29() -> None:
    """Ids of products beside ids of prices are kept and not followed."""
    row = {"location_id": "L", "evse_uid": "E", "connector_id": "1", "pricing_ids": ["a"], "product_ids": ["b"]}
    linked = read_connector_prices(row)
    assert isinstance(linked, Linked)
    assert (linked.price_ids, linked.more) == (("a",), {"product_ids": ["b"]})
    assert "product_ids" not in write_connector_prices(linked, ["a"])


@pytest.mark.parametrize(
    ("step", "read", "flagged"), [(None, 1, False), (0, 1, True), (-5, 1, True), (300, 300, False)]
)
def test_step_sizes_that_are_none_q30(step: Any, read: int, flagged: bool) -> None:
    """A step size that is missing is 1; one of 0 is 1 and is told."""
    priced = new_of({**ENERGY, "step_size": step})
    assert priced.tariff["elements"][0]["price_components"][0]["step_size"] == read
    assert [flag.pointer for flag in priced.flags] == (["/elements/0/price_components/0/step_size"] if flagged else [])
