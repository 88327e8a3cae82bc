"""Both shapes of a price feed: read into priced products, written from them, and what survives the way."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from adapters import OCPI_2_1_1, OCPI_2_2_1
from adapters.eco_movement import (
    CONNECTOR_ID,
    FEED,
    Crawl,
    operator_party,
    owner,
    read_connector_prices,
    read_list,
    read_new,
    read_old,
    read_places,
    read_wanted,
    served_id,
    tariff_id,
    with_pricing_ids,
    write_connector_prices,
    write_entry,
    write_list,
    write_new,
    write_old,
    write_one,
)
from gateway.model.document import structure, validate
from gateway.model.errors import InvalidObject, ReceiverError
from gateway.model.facts import Crossing, Facts, Key, Translated, Withheld
from gateway.model.message import HttpAnswer, Paged
from gateway.model.modules import Kind
from gateway.model.party import Party
from gateway.model.policy import Policy
from gateway.model.prices import Audience, Flag, Linked, Period, Priced, pack, pack_linked, unpack, unpack_linked
from gateway.model.tariffs import Tariff
from gateway.model.values import same
from gateway.web.json import dumps, loads

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
TST = Party("DE", "TST")
FACTS: dict[Key, Any] = {}


def component(dimension: str, price: Any, **more: Any) -> dict[str, Any]:
    return {"type": dimension, "price_excl_vat": price, "vat": 19, "step_size": 1, **more}


def row(*elements: Any, **more: Any) -> dict[str, Any]:
    """A price of the newer shape, in its plainest spelling."""
    price = {
        "id": "0123456789abcdef0123456789abcdef",
        "partner": "Testlader GmbH",
        "partner_id": "6d7e0ff8-77a1-4a34-9a6c-1ab6cf1f3a55",
        "last_updated": "2026-02-27T16:00:00Z",
        "product": {
            "id": "b2f2a9f2-6d3c-4a38-9f1e-0f5f2d0f7c11",
            "name": "Spontanladen",
            "description": "Mit Karte zahlen",
            "subscription_type": "n/a",
            "subscription_fee_excl_vat": "0.0000",
            "type": "adhoc",
            "currency": "EUR",
        },
        "elements": list(elements) or [{"price_components": [component("ENERGY", Decimal("0.490"))]}],
    }
    product = {**price["product"], **more.pop("product", {})}  # type: ignore[dict-item]
    return {**price, "product": product, **more}


def entry(name: str, *elements: Any, partner: str = "Testlader GmbH", **product: Any) -> dict[str, Any]:
    """A product of the older shape."""
    words = {"name": name, "description": "", "subscription_type": "n/a", "currency": "EUR", **product}
    given = list(elements) or [{"type": "ENERGY", "price_excl_vat": Decimal("0.49"), "vat": 19}]
    return {"partner": partner, "product": words, "elements": given}


def old_row(*entries: Any) -> dict[str, Any]:
    return {"id": "fedcba9876543210fedcba9876543210", "price_list": list(entries)}


def read(price: Any) -> Priced:
    outcome = read_new(price, now=NOW)
    assert outcome.refused == ()
    (priced,) = outcome.prices
    return priced


def crossing(**policy: Any) -> Crossing:
    facts = Facts(FACTS, now=NOW, complete=True)
    return Crossing(facts=facts, policy=Policy(**policy), owner=TST)


def translated(outcome: Any) -> Translated:
    assert isinstance(outcome, Translated)
    return outcome


RESTRICTED = {
    "start_time": "08:00",
    "end_time": "20:00",
    "start_date": "2026-01-01",
    "end_date": "2027-01-01",
    "min_kwh": 1,
    "max_kwh": Decimal("50.5"),
    "min_power": Decimal("3.7"),
    "max_power": 22,
    "min_duration": 600,
    "max_duration": 7200,
    "day_of_week": ["MONDAY", "SUNDAY"],
}

PLAIN_ROWS = {
    "energy": row(),
    "every dimension": row(
        {
            "price_components": [
                component("ENERGY", Decimal("0.10"), vat=Decimal("8.1"), step_size=100),
                component("FLAT", 1, vat=0),
                component("PARKING_TIME", Decimal("6.00"), step_size=900),
            ]
        }
    ),
    "restricted": row(
        {"price_components": [component("ENERGY", Decimal("0.39"))], "restrictions": RESTRICTED},
        {"price_components": [component("ENERGY", Decimal("0.49")), component("TIME", 3)]},
    ),
    "free": row({"price_components": [component("ENERGY", 0)]}),
    "retail": row(product={"type": "msp", "subscription_type": "month", "subscription_fee_excl_vat": "9.9900"}),
    "subscription": row(
        product={"type": "cpo_subscription", "subscription_type": "yearly", "subscription_fee_excl_vat": "119.0000"}
    ),
    "nobody knows for whom": row(product={"type": "other", "subscription_type": "FIXED"}),
    "another currency": row({"price_components": [component("ENERGY", Decimal("4.5"))]}, product={"currency": "SEK"}),
}


# --- there and back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLAIN_ROWS)
def test_the_newer_shape_comes_back_as_it_was(name: str) -> None:
    """A row of the newer shape, read and written under its own id, is the same, to the digit."""
    priced = read(PLAIN_ROWS[name])
    assert priced.flags == ()
    assert dumps(sorted_keys(write_new(priced, priced.price_id).data)) == dumps(sorted_keys(PLAIN_ROWS[name]))
    assert write_new(priced).losses == ()


def sorted_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: sorted_keys(value[name]) for name in sorted(value)}
    return [sorted_keys(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", PLAIN_ROWS)
def test_what_was_written_reads_as_the_same(name: str) -> None:
    """Reading what was written gives the price that it was written from; so does writing in the other shape's words."""
    priced = read(PLAIN_ROWS[name])
    again = read(write_new(priced, priced.price_id).data)
    assert (again.tariff, again.product, again.subscription) == (priced.tariff, priced.product, priced.subscription)
    assert again.digest == priced.digest


@pytest.mark.parametrize("name", PLAIN_ROWS)
def test_a_store_gives_back_what_it_got(name: str) -> None:
    """A priced product survives being packed, written as JSON, read and unpacked: flags, digits and raw row as well."""
    priced = read({**PLAIN_ROWS[name], "surprise": [Decimal("0.10"), {"deep": None}]})
    again = unpack(loads(dumps(pack(priced))))
    assert again == priced
    assert dumps(pack(again)) == dumps(pack(priced))


def test_a_store_gives_back_flags_and_links() -> None:
    """What looked wrong stays with its price, and a connector's prices stay in order."""
    flagged = read(row({"price_components": [component("ENERGY", -1)]}))
    assert flagged.flags
    assert unpack(loads(dumps(pack(flagged)))) == flagged
    linked = Linked(location="L", evse_uid="E", connector_id="1", price_ids=("b", "a"), more={"product_ids": ["p"]})
    assert unpack_linked(loads(dumps(pack_linked(linked)))) == linked


@pytest.mark.parametrize("name", PLAIN_ROWS)
def test_what_is_read_is_a_tariff(name: str) -> None:
    """Whatever is read breaks no rule of the canonical tariff, and has nothing in it that a tariff doesn't have."""
    tariff = read(PLAIN_ROWS[name]).tariff
    assert validate(Tariff, tariff) is tariff
    assert set(tariff) <= set(Tariff.__annotations__)
    structure(Tariff, tariff)


def test_ad_hoc_to_2_2_1_and_back() -> None:
    """An ad hoc tariff reaches 2.2.1 whole and comes back equal."""
    priced = read(PLAIN_ROWS["restricted"]).owned_by(TST)
    down = translated(OCPI_2_2_1.down(Kind.TARIFF, priced.tariff, crossing()))
    assert down.losses == ()
    up = translated(OCPI_2_2_1.up(Kind.TARIFF, down.data, crossing()))
    assert same(up.data, priced.tariff)


def test_what_2_1_1_loses() -> None:
    """Of a tariff of a feed, 2.1.1 loses its type and each VAT, and nothing else; the price list itself is the same."""
    priced = read(PLAIN_ROWS["restricted"]).owned_by(TST)
    down = translated(OCPI_2_1_1.down(Kind.TARIFF, priced.tariff, crossing(tariffs_audience=("adhoc",))))
    assert [(loss.pointer, loss.reason) for loss in down.losses] == [
        ("/type", "no room for its type"),
        ("/elements/0/price_components/0/vat", "no room for the VAT percentage"),
        ("/elements/1/price_components/0/vat", "no room for the VAT percentage"),
        ("/elements/1/price_components/1/vat", "no room for the VAT percentage"),
    ]
    assert down.data["tariff_alt_text"] == [{"language": "en", "text": "Ad hoc"}]
    up = translated(OCPI_2_1_1.up(Kind.TARIFF, down.data, crossing()))
    bare = deepcopy(dict(priced.tariff))
    del bare["type"]
    for element in bare["elements"]:
        for each in element["price_components"]:
            del each["vat"]
    assert same(up.data, bare)


def test_what_2_1_1_loses_of_any_tariff() -> None:
    """Type, VAT, least and most of a session, begin and end of validity: that is all 2.1.1 has no room for."""
    tariff = {
        **read(row()).owned_by(TST).tariff,
        "min_price": {"excl_vat": 1},
        "max_price": {"excl_vat": 50},
        "start_date_time": "2026-01-01T00:00:00Z",
        "end_date_time": "2027-01-01T00:00:00Z",
    }
    down = translated(OCPI_2_1_1.down(Kind.TARIFF, tariff, crossing(tariffs_audience=("adhoc",))))
    assert {loss.pointer for loss in down.losses} == {
        "/type",
        "/min_price",
        "/max_price",
        "/start_date_time",
        "/end_date_time",
        "/elements/0/price_components/0/vat",
    }


def test_ad_hoc_stays_out_of_2_1_1_unless_it_is_asked_for() -> None:
    """Towards 2.1.1, which can't say what it is, an ad hoc tariff is withheld by default."""
    with pytest.raises(Withheld):
        OCPI_2_1_1.down(Kind.TARIFF, read(row()).owned_by(TST).tariff, crossing())


# --- what nobody knows ----------------------------------------------------------------------------------------------


def strewn(value: Any) -> Any:
    """A JSON value with an unknown field in every object, and one with the name of a field of another object."""
    if isinstance(value, dict):
        return {name: strewn(content) for name, content in value.items()} | {
            "x_unknown": {"a": [1, None]},
            "min_price": "surprise",
        }
    return [strewn(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", PLAIN_ROWS)
def test_an_unknown_field_anywhere_changes_nothing(name: str) -> None:
    """With fields that nobody knows at every depth, a price is the same, but for the row that is kept with it."""
    plain, strange = read(PLAIN_ROWS[name]), read(strewn(PLAIN_ROWS[name]))
    assert (strange.tariff, strange.product, strange.flags) == (plain.tariff, plain.product, ())
    assert served_id(strange) == served_id(plain)
    assert strange.raw == strewn(PLAIN_ROWS[name])
    assert write_new(strange) == write_new(plain)


def test_a_restriction_that_nobody_knows_changes_nothing() -> None:
    """Alone it leaves nothing behind: the price has the same id, and neighbours are one as they were."""
    plain = row({"price_components": [component("ENERGY", 1)]}, {"price_components": [component("FLAT", 1)]})
    strange = deepcopy(plain)
    strange["elements"][1]["restrictions"] = {"x_unknown": 80}
    assert read(strange).tariff == read(plain).tariff
    assert served_id(read(strange)) == served_id(read(plain))


def test_an_unknown_field_changes_nothing_in_the_older_shape() -> None:
    """The same holds for the older shape, its entries and its elements."""
    (plain,) = read_old(old_row(entry("Ad hoc")), now=NOW).prices
    (strange,) = read_old(strewn(old_row(entry("Ad hoc"))), now=NOW).prices
    assert (strange.tariff, strange.product, strange.flags) == (plain.tariff, plain.product, ())
    assert write_entry(strange) == write_entry(plain)


def test_nothing_of_a_feeds_words_is_in_the_tariff() -> None:
    """Partners get prices: no name, no description and no id of a product or partner leaves with the tariff."""
    text = dumps(read(strewn(row())).tariff).decode()
    for secret in ("Testlader", "Spontanladen", "Mit Karte", "b2f2a9f2", "6d7e0ff8", "x_unknown", "surprise"):
        assert secret not in text


# --- bad rows -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "pointer"),
    [
        (None, ""),
        ("garbage", ""),
        ({}, "/id"),
        (row() | {"id": ""}, "/id"),
        (row() | {"product": None}, "/product"),
        (row(product={"currency": "E"}), "/product/currency"),
        (row(product={"currency": None}), "/product/currency"),
        (row() | {"elements": []}, "/elements"),
        (row({"price_components": []}), "/elements/0/price_components"),
        (row({"price_components": [component("ENERGY", "free")]}), "/elements/0/price_components/0/price_excl_vat"),
        (row({"price_components": [component("SOLAR", 1)]}), "/elements/0/price_components/0/type"),
        (row({"price_components": [component("ENERGY", Decimal("1E+40"))]}), "/elements/0/price_components/0"),
        (
            row(
                {
                    "price_components": [component("FLAT", 1)],
                    "restrictions": [{"start_time": "08:00"}, {"min_kwh": "a"}],
                }
            ),
            "/elements/0/restrictions/1/min_kwh",
        ),
        (
            row({"price_components": [component("FLAT", 1)], "restrictions": {"min_duration": Decimal("0.5")}}),
            "/elements/0/restrictions",
        ),
        (
            row({"price_components": [component("FLAT", 1)], "restrictions": {"min_duration": "0.h"}}),
            "/elements/0/restrictions/min_duration",
        ),
        (
            row({"price_components": [component("FLAT", 1)], "restrictions": {"max_duration": "86400.0.0"}}),
            "/elements/0/restrictions/max_duration",
        ),
    ],
)
def test_a_bad_row_costs_itself_and_is_told(broken: Any, pointer: str) -> None:
    """What can't be understood is no price, and is told with the feed's id and the place in the feed's row."""
    outcome = read_new(broken, now=NOW)
    assert outcome.prices == ()
    (flag,) = outcome.flags
    assert flag.pointer == pointer
    assert flag.id == (broken.get("id", "") if isinstance(broken, dict) else "")
    assert flag.reason


def test_a_bad_product_of_the_older_shape_costs_itself() -> None:
    """Of several products under one id, the one that can't be understood is told, and the others are read."""
    good, bad = entry("Ad hoc"), entry("Odd", {"type": "ENERGY", "price_excl_vat": []})
    outcome = read_old(old_row(bad, good), now=NOW)
    assert [priced.product.name for priced in outcome.prices] == ["Ad hoc"]
    assert [(flag.id, flag.pointer) for flag in outcome.refused] == [
        (old_row()["id"], "/price_list/0/elements/0/price_excl_vat")
    ]


@pytest.mark.parametrize("broken", [None, [], {}, {"id": "x"}, {"id": "x", "price_list": []}, {"price_list": [1]}])
def test_an_empty_price_list_is_told(broken: Any) -> None:
    """A row of the older shape without an id or prices gives none, and says so."""
    outcome = read_old(broken, now=NOW)
    assert outcome.prices == ()
    assert len(outcome.flags) == 1


# --- what looks wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("components", "pointer", "word"),
    [
        ([component("ENERGY", -1)], "/elements/0/price_components/0/price_excl_vat", "negative"),
        ([component("ENERGY", Decimal("0.001"))], "/elements/0/price_components/0/price_excl_vat", "per kWh"),
        ([component("ENERGY", 49)], "/elements/0/price_components/0/price_excl_vat", "per kWh"),
        ([component("TIME", Decimal("0.10"))], "/elements/0/price_components/0/price_excl_vat", "per minute"),
        ([component("TIME", 61)], "/elements/0/price_components/0/price_excl_vat", "per hour"),
        ([component("FLAT", Decimal("50.01"))], "/elements/0/price_components/0/price_excl_vat", "per session"),
        ([component("ENERGY", 1, vat=Decimal("0.19"))], "/elements/0/price_components/0/vat", "fraction"),
        ([component("ENERGY", 1, vat=-19)], "/elements/0/price_components/0/vat", "negative"),
        ([component("PARKING_TIME", 6)], "/elements", "parking"),
    ],
)
def test_what_looks_wrong_is_told_and_stays(components: list[Any], pointer: str, word: str) -> None:
    """A price that looks wrong has a flag at its place, and goes out as it came in."""
    price = row({"price_components": components})
    priced = read(price)
    assert [(flag.id, flag.pointer) for flag in priced.flags] == [(price["id"], pointer)]
    assert word in priced.flags[0].reason
    assert write_new(priced).data["elements"] == price["elements"]


@pytest.mark.parametrize(
    "components",
    [
        [component("ENERGY", Decimal("0.01")), component("FLAT", 50)],
        [component("ENERGY", 3), component("PARKING_TIME", Decimal("0.95"))],
        [component("ENERGY", 0), component("TIME", 60)],
        [component("ENERGY", 1, vat=1)],
    ],
)
def test_what_is_only_unusual_is_not_told(components: list[Any]) -> None:
    """The limits themselves, and what is free of charge, are no reason for doubts."""
    assert read(row({"price_components": components})).flags == ()


@pytest.mark.parametrize(
    "odd",
    [
        {"start_time": "9 Uhr"},
        {"end_time": "24:00"},
        {"start_date": "01.02.2026"},
        {"end_date": "2026-02-30"},
        {"day_of_week": ["MONDAY", "DIENSTAG"]},
    ],
)
def test_a_restriction_that_says_no_time_is_told_and_stays(odd: dict[str, Any]) -> None:
    """A time, date or day in other words than OCPI's goes out as it came in, with a flag at its place."""
    (name,) = odd
    price = row({"price_components": [component("ENERGY", 1)], "restrictions": [{"min_kwh": 5}, odd]})
    priced = read(price)
    assert [flag.pointer for flag in priced.flags] == [f"/elements/0/restrictions/1/{name}"]
    assert [element["restrictions"] for element in priced.tariff["elements"]] == [{"min_kwh": 5}, odd]


def test_a_restriction_that_says_a_time_is_not_told() -> None:
    """Times, dates and days as OCPI has them, days in any case, are no reason for doubts."""
    usual = {"start_time": "08:00", "end_time": "00:00", "start_date": "2026-02-28", "day_of_week": ["Monday"]}
    assert read(row({"price_components": [component("ENERGY", 1)], "restrictions": usual})).flags == ()


def test_prices_are_judged_by_their_currency() -> None:
    """Five crowns a kilowatt-hour are no fifty cents times ten; a currency that nobody knows isn't judged."""
    crowns = row({"price_components": [component("ENERGY", 5)]}, product={"currency": "SEK"})
    assert read(crowns).flags == ()
    assert read({**crowns, "product": {**crowns["product"], "currency": "EUR"}}).flags
    assert read({**crowns, "product": {**crowns["product"], "currency": "XTS"}}).flags == ()


def test_a_fee_that_is_none_costs_nothing() -> None:
    """A fee is no part of a price: one that can't be read is told, and the price is read."""
    priced = read(row(product={"subscription_fee_excl_vat": "on request"}))
    assert priced.subscription.fee is None
    assert [flag.pointer for flag in priced.flags] == ["/product/subscription_fee_excl_vat"]


# --- ids ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [("a" * 36, True), ("a" * 37, False), ("kürzer", False), ("a b", False), ("..", False), ("A/1", True)],
)
def test_ids_that_fit_are_kept(given: str, kept: bool) -> None:
    """36 visible ASCII characters are kept; from anything else E and 31 hex digits are made, always the same."""
    id = tariff_id(given)
    assert (id == given) is kept
    assert kept or (len(id) == 32 and id[0] == "E" and int(id[1:], 16) >= 0)
    priced = read(row(id=given))
    assert (priced.id, priced.price_id) == (id, given)


def test_products_under_one_id_have_tariffs_of_their_own() -> None:
    """The ad hoc product keeps the id, the others get ids that don't depend on their order."""
    one, other, adhoc = entry("Basic"), entry("Premium"), entry("Ad hoc")
    read_so = {p.product.name: p.id for p in read_old(old_row(one, other, adhoc), now=NOW).prices}
    read_otherwise = {p.product.name: p.id for p in read_old(old_row(adhoc, other, one), now=NOW).prices}
    assert read_so == read_otherwise
    assert read_so["Ad hoc"] == old_row()["id"]
    assert len(set(read_so.values())) == 3
    twins = read_old(old_row(one, one), now=NOW).prices
    assert len({p.id for p in twins}) == 2


def test_served_ids_follow_the_content() -> None:
    """A served id stays while the content does, however it is spelled, and changes with it."""
    priced = read(row())
    spelled = row({"price_components": [component("ENERGY", "0.49", vat=Decimal("19.0"))], "restrictions": None})
    assert served_id(read(spelled | {"last_updated": "2026-03-01T00:00:00Z"})) == served_id(priced)
    assert len(served_id(priced)) == 32
    for changed in (
        row({"price_components": [component("ENERGY", Decimal("0.50"))]}),
        row({"price_components": [component("ENERGY", Decimal("0.490"), vat=None)]}),
        row(product={"name": "Anders"}),
        row(partner="Other"),
        row(id="0" * 32),
        row(product={"subscription_fee_excl_vat": "1.0000"}),
    ):
        assert served_id(read(changed)) != served_id(priced)


# --- tariffs of our own ---------------------------------------------------------------------------------------------

OURS: dict[str, Any] = {
    "country_code": "NL",
    "party_id": "EXA",
    "id": "STD",
    "currency": "EUR",
    "type": "AD_HOC_PAYMENT",
    "tariff_alt_text": [{"language": "nl", "text": "Zonder pas"}],
    "elements": [
        {
            "price_components": [
                {"type": "ENERGY", "price": Decimal("0.30"), "vat": 21, "step_size": 1},
                {"type": "TIME", "price": Decimal("2.00"), "step_size": 300},
            ]
        },
        {
            "price_components": [{"type": "PARKING_TIME", "price": 3, "step_size": 60}],
            "restrictions": {"start_time": "08:00", "end_time": "20:00"},
        },
    ],
    "last_updated": "2026-03-01T12:00:00Z",
}


def test_our_own_ad_hoc_tariff_in_the_newer_shape() -> None:
    """A tariff that the backend sent is a product of ours: ad hoc, no subscription, VAT only where it is known."""
    written = write_new(Priced.of(OURS, "Example Charging"))
    assert written.losses == ()
    product = written.data["product"]
    assert (product["name"], product["type"], product["currency"]) == ("Ad hoc", "adhoc", "EUR")
    assert (product["subscription_type"], product["subscription_fee_excl_vat"]) == ("n/a", "0.0000")
    assert (written.data["partner"], written.data["last_updated"]) == ("Example Charging", "2026-03-01T12:00:00Z")
    assert written.data["elements"] == [
        {
            "price_components": [
                {"type": "ENERGY", "price_excl_vat": Decimal("0.30"), "vat": 21, "step_size": 1},
                {"type": "TIME", "price_excl_vat": Decimal("2.00"), "step_size": 300},
            ]
        },
        {
            "price_components": [{"type": "PARKING_TIME", "price_excl_vat": 3, "step_size": 60}],
            "restrictions": {"start_time": "08:00", "end_time": "20:00"},
        },
    ]


def test_our_own_ad_hoc_tariff_in_the_older_shape() -> None:
    """There it is named Ad hoc; elements with restrictions and step sizes have no room, and are told as lost."""
    written = write_entry(Priced.of(OURS, "Example Charging"))
    assert written.data["product"]["name"] == "Ad hoc"
    assert written.data["elements"] == [
        {"type": "ENERGY", "price_excl_vat": Decimal("0.30"), "vat": 21},
        {"type": "TIME", "price_excl_vat": Decimal("2.00")},
    ]
    assert {loss.pointer for loss in written.losses} == {
        "/elements/0/price_components/1/step_size",
        "/elements/1",
    }


def test_a_tariff_without_type_is_wholesale() -> None:
    """A tariff of any other type, or without one, is for eMSPs."""
    tariff = {name: said for name, said in OURS.items() if name != "type"}
    priced = Priced.of(tariff, None)
    assert priced.audience is Audience.WHOLESALE
    assert not priced.imported
    assert write_new(priced).data["product"]["type"] == "other"


def test_what_the_newer_shape_cannot_say() -> None:
    """Prices of reservations are left out, with a line; a restriction by current withholds the tariff."""
    reservation = {
        "price_components": [{"type": "TIME", "price": 5, "step_size": 60}],
        "restrictions": {"reservation": "RESERVATION", "min_current": 1},
    }
    tariff = {**OURS, "elements": [reservation, *OURS["elements"]], "min_price": {"excl_vat": 1}}
    written = write_new(Priced.of(tariff, None))
    assert len(written.data["elements"]) == 2
    assert {loss.pointer for loss in written.losses} == {"/elements/0", "/min_price"}
    current = {**OURS["elements"][0], "restrictions": {"max_current": 16}}
    for elements in ([current], [current, *OURS["elements"]], [reservation]):
        with pytest.raises(Withheld):
            write_new(Priced.of({**OURS, "elements": elements}, None))


def test_a_group_has_an_id_of_its_content() -> None:
    """Connectors with the same prices share a row of the older shape; what can't be said is left out of it."""
    adhoc, restricted = Priced.of(OURS, "X"), read(PLAIN_ROWS["restricted"])
    only_restricted = Priced.of({**OURS, "elements": OURS["elements"][1:]}, "X")
    one, other = write_old([adhoc, restricted]), write_old([restricted, adhoc, only_restricted])
    assert one is not None
    assert one == other
    assert (len(one["id"]), len(one["price_list"])) == (32, 2)
    assert write_old([adhoc]) != one
    assert write_old([only_restricted]) is None


def test_money_is_written_without_noise() -> None:
    """Amounts leave to the digit and without an exponent, zeros of many decimals and hundreds too."""
    components = [component("ENERGY", Decimal("0.10")), component("FLAT", Decimal("1E+1"))]
    rare = [component("TIME", Decimal("0E-8")), component("PARKING_TIME", Decimal("2.50E-7"))]
    priced = read(row({"price_components": [*components, *rare]}))
    text = dumps(write_new(priced).data).decode()
    amounts = ("0.10", "10", "0.000000", "0.000000250")
    for amount in (f'"price_excl_vat":{amount}' for amount in amounts):
        assert amount in text
    limited = {
        "price_components": components,
        "restrictions": {"min_kwh": Decimal("1E+1"), "max_power": Decimal("2.2E+1")},
    }
    assert b'"restrictions":{"min_kwh":10,"max_power":22}' in dumps(write_new(read(row(limited))).data)
    fee = read(row(product={"subscription_fee_excl_vat": Decimal("9.9")}))
    assert write_new(fee).data["product"]["subscription_fee_excl_vat"] == "9.9000"
    assert write_entry(fee).data["product"]["subscription_fee_excl_vat"] == Decimal("9.9")
    fine = read(row(product={"subscription_fee_excl_vat": "0.123456"}))
    assert write_new(fine).data["product"]["subscription_fee_excl_vat"] == "0.123456"


# --- connectors -----------------------------------------------------------------------------------------------------

LOCATION: dict[str, Any] = {
    "id": "5d7f9d3c-3c49-4a6c-9a3a-21b6a6f4e9a1",
    "country": "DEU",
    "operator": {"partner_id": "x", "name": "Testlader GmbH", "ema_id": ["??", "DE*TST"]},
    "brand_name": {"name": "?"},
    "evses": [
        {
            "uid": "101",
            "evse_id": "DE*TST*E1*1",
            "connectors": [{"id": "1", "pricing_id": "p1", "max_power": 150}, {"id": 2}, {"standard": "?"}],
        },
        {"evse_id": "no uid"},
        {"uid": "102", "connectors": None},
    ],
}


def test_connectors_of_a_location() -> None:
    """Each connector is known by location, EVSE and id; what has no id costs itself and is told."""
    read_so = read_places(LOCATION)
    assert [(p.evse_uid, p.connector_id, p.evse_id, p.price_id) for p in read_so.places] == [
        ("101", "1", "DE*TST*E1*1", "p1"),
        ("101", "2", "DE*TST*E1*1", None),
    ]
    assert [flag.pointer for flag in read_so.flags] == ["/evses/0/connectors/2", "/evses/1"]
    first = read_so.places[0]
    assert (first.operator, operator_party(first.ema_ids)) == ("Testlader GmbH", TST)
    assert first.linked == Linked(location=LOCATION["id"], evse_uid="101", connector_id="1", price_ids=("p1",))


@pytest.mark.parametrize("broken", [None, [], "x", {"id": ""}, {"evses": []}])
def test_a_location_without_an_id_is_told(broken: Any) -> None:
    """It has no connectors that anybody could name."""
    assert (len(read_places(broken).places), len(read_places(broken).flags)) == (0, 1)


def test_connector_prices_there_and_back() -> None:
    """A row says which prices hold at a connector; written, its ids are sorted and each there once."""
    linked = read_connector_prices(
        {"location_id": "L", "evse_uid": 7, "connector_id": "1", "pricing_ids": ["b", "a", "b"]}
    )
    assert isinstance(linked, Linked)
    assert (linked.connector, linked.price_ids) == (("L", "7", "1"), ("b", "a"))
    assert write_connector_prices(linked, linked.price_ids) == {
        "location_id": "L",
        "evse_uid": "7",
        "connector_id": "1",
        "pricing_ids": ["a", "b"],
    }


@pytest.mark.parametrize(
    "broken", [None, {"location_id": "L"}, {"location_id": "L", "evse_uid": "1", "connector_id": []}]
)
def test_a_bad_row_of_connector_prices_is_told(broken: Any) -> None:
    """It costs itself."""
    assert isinstance(read_connector_prices(broken), Flag)


def test_pricing_ids_on_connectors() -> None:
    """In the older shape connectors name their price: ours, and never one that a location brought along."""
    location = {"id": "L", "evses": [{"uid": "E", "connectors": [{"id": "1"}, {"id": "2", "pricing_id": "theirs"}]}]}
    served = with_pricing_ids(location, {("E", "1"): "ours"})
    assert served["evses"][0]["connectors"] == [{"id": "1", "pricing_id": "ours"}, {"id": "2"}]


def test_whose_a_tariff_is() -> None:
    """Ad hoc: the operator's; an eMSP's: as configured; nobody known: the feed's."""
    adhoc, retail = read(row()), read(PLAIN_ROWS["retail"])
    owners = {str(retail.product.partner_id): Party("NL", "MSP")}
    assert owner(adhoc, ["", "DETST"], owners) == TST
    assert owner(adhoc, ["n/a"], owners) == Party("NL", "MSP")
    assert owner(retail, ["DE*TST"], owners) == Party("NL", "MSP")
    assert owner(retail, ["DE*TST"], {"Testlader GmbH": Party("FR", "ABC")}) == Party("FR", "ABC")
    assert owner(retail, ["DE*TST"], {}) == FEED
    assert adhoc.owned_by(TST).tariff["party_id"] == "TST"


# --- pages ----------------------------------------------------------------------------------------------------------

URL = "https://feed.example/prices"


class Server:
    """A list of a feed, paged in one of the ways that servers page."""

    def __init__(
        self, count: int, *, link: bool = False, cursor: bool = True, offset: bool = True, **body: Any
    ) -> None:
        self.rows = [{"id": f"p{index}"} for index in range(count)]
        self.link, self.cursor, self.offset, self.body = link, cursor, offset, body
        self.calls: list[str] = []

    def get(self, url: str) -> HttpAnswer:
        self.calls.append(url.partition("?")[2])
        query = dict(part.split("=") for part in self.calls[-1].split("&"))
        begin = int(query.get("offset", 0)) if self.offset else 0
        if self.cursor and "last_record" in query:
            begin = 1 + [each["id"] for each in self.rows].index(query["last_record"])
        limit = min(int(query["limit"]), 40)
        page = self.rows[begin : begin + limit]
        headers = {}
        if self.link and begin + limit < len(self.rows):
            headers["Link"] = f"<{URL}?offset={begin + limit}&limit={limit}>; rel=\u201cnext\u201d"
        return HttpAnswer(status=200, headers=headers, body={"status": 1000, "data": page, **self.body})


def crawled(server: Server, limit: int, **how: Any) -> tuple[Crawl, int]:
    crawl, rows = Crawl(URL, limit, **how), 0
    while crawl.next is not None:
        rows += len(crawl.take(server.get(crawl.next)))
    return crawl, rows


@pytest.mark.parametrize(
    ("server", "how", "calls"),
    [
        (Server(100, link=True), {}, ["limit=40", "offset=40&limit=40", "offset=80&limit=40"]),
        (Server(100), {}, ["limit=40", "limit=40&offset=40", "limit=40&offset=80"]),
        (Server(100), {"cursor": True}, ["limit=40", "limit=40&last_record=p39", "limit=40&last_record=p79"]),
        (Server(80, total=80), {}, ["limit=40", "limit=40&offset=40"]),
        (Server(80), {}, ["limit=40", "limit=40&offset=40", "limit=40&offset=80"]),
        (Server(100, limit=40, total=10), {}, ["limit=40", "limit=40&offset=40", "limit=40&offset=80"]),
        (Server(0), {}, ["limit=40"]),
    ],
)
def test_every_way_to_the_next_page(server: Server, how: Any, calls: list[str]) -> None:
    """By Link, by last record, by offset: each row once, and no call too many."""
    crawl, rows = crawled(server, 40, **how)
    assert (rows, crawl.rows, crawl.complete) == (len(server.rows), len(server.rows), True)
    assert server.calls == calls


def test_a_server_that_passes_over_last_record() -> None:
    """If last_record brings the same page again, the crawl goes on by offset, and no row counts twice."""
    server = Server(100, cursor=False)
    crawl, rows = crawled(server, 40, cursor=True)
    assert (rows, crawl.complete) == (100, True)
    assert server.calls == ["limit=40", "limit=40&last_record=p39", "limit=40&offset=40", "limit=40&offset=80"]


def test_a_server_that_pages_in_no_way() -> None:
    """One page again and again is the end; whether that is all, the total tells."""
    crawl, rows = crawled(Server(100, cursor=False, offset=False, total=100), 40, cursor=True)
    assert (rows, crawl.complete) == (40, False)


def test_a_server_that_gives_less_than_was_asked_for() -> None:
    """A limit that the server tells, or a total, keeps a page of fewer rows from being the last one."""
    assert crawled(Server(100, limit=40), 1000)[1] == 100
    assert crawled(Server(100, total=100), 1000)[1] == 100


def test_rows_of_connectors_are_known_by_three_ids() -> None:
    """The same connector id at another EVSE is another row; last_record is for rows with one id only."""
    crawl = Crawl(URL, 10, id_of=CONNECTOR_ID, cursor=True)
    rows = [{"location_id": "L", "evse_uid": uid, "connector_id": "1"} for uid in ("a", "b", "a")]
    assert len(crawl.take(HttpAnswer(status=200, body={"status": 1000, "data": rows, "total": 9}))) == 2
    assert crawl.next == f"{URL}?limit=10&offset=3"


def test_a_row_that_is_there_twice_counts_where_the_feed_says_it_twice() -> None:
    """Twice on one page it is told and counts; on two pages the list has moved, and another row is missing."""

    def page(*ids: str) -> HttpAnswer:
        return HttpAnswer(status=200, body={"status": 1000, "data": [{"id": id} for id in ids], "total": 4})

    crawl = Crawl(URL, 2)
    assert crawl.take(page("a", "a")) == [{"id": "a"}]
    assert [*crawl.doubles] == [("a",)]
    assert crawl.take(page("b", "c")) == [{"id": "b"}, {"id": "c"}]
    assert ([*crawl.doubles], crawl.rows, crawl.complete) == ([], 4, True)
    moved = Crawl(URL, 2)
    for ids in (("a", "b"), ("b", "c"), ("c",)):
        moved.take(page(*ids))
    assert ([*moved.doubles], moved.rows, moved.next, moved.complete) == ([], 3, None, False)


@pytest.mark.parametrize(
    ("link", "cursor", "slipped"), [(False, False, True), (True, True, True), (False, True, False)]
)
def test_a_list_that_becomes_shorter_is_told(link: bool, cursor: bool, slipped: bool) -> None:
    """By offset, ours or that of a Link, a row slips through between two pages; after the last record none does."""
    server = Server(100, link=link, total=100)
    crawl = Crawl(URL, 40, cursor=cursor)
    assert len(crawl.take(server.get(crawl.next or ""))) == 40
    del server.rows[0]
    server.body["total"] = 99
    while crawl.next is not None:
        crawl.take(server.get(crawl.next))
    assert (crawl.complete, crawl.slipped) == (True, slipped)
    assert crawl.rows == (99 if slipped else 100)
    assert not crawled(Server(100, link=link, total=100), 40, cursor=cursor)[0].slipped


def test_an_id_is_known_again_as_text_and_as_number() -> None:
    """A price is named by its id, in whichever way that is spelled: of two rows the first one counts."""
    crawl = Crawl(URL, 3)
    rows = [{"id": 1, "a": 1}, {"id": "1", "a": 2}, {"id": "2"}]
    assert crawl.take(HttpAnswer(status=200, body={"status": 1000, "data": rows, "total": 3})) == [rows[0], rows[2]]
    assert ([*crawl.doubles], crawl.complete) == ([("1",)], True)


@pytest.mark.parametrize("rows", [[], [{"id": "a"}]], ids=["empty", "the same"])
def test_links_that_lead_to_nothing_new_end(rows: list[Any]) -> None:
    """Each page has a Link of its own and brings nothing new: that is no list, however long it goes on."""
    crawl = Crawl(URL, 1)

    def read_on() -> None:
        for number in range(1000):
            link = {"Link": f'<{URL}?page={number}>; rel="next"'}
            crawl.take(HttpAnswer(status=200, headers=link, body={"status": 1000, "data": rows}))

    with pytest.raises(ReceiverError, match="don't end"):
        read_on()


@pytest.mark.parametrize("link", [f"{URL}?limit=2", "https://elsewhere.example/prices?offset=2", "gopher://x"])
def test_a_link_that_leads_nowhere(link: str) -> None:
    """A circle, another host, no URL: the crawl ends with an error, and our token stays at home."""
    crawl = Crawl(URL, 2)
    with pytest.raises(ReceiverError):
        crawl.take(
            HttpAnswer(status=200, headers={"Link": f'<{link}>; rel="next"'}, body={"status": 1000, "data": [1]})
        )


def test_a_link_without_tls_is_called_with_it() -> None:
    """Behind a proxy a server believes that it is called without; our key goes the way that the file says."""
    assert URL.startswith("https://")
    crawl = Crawl(URL, 1)
    link = f'<http{URL[5:]}?offset=1>; rel="next"'
    crawl.take(HttpAnswer(status=200, headers={"Link": link}, body={"status": 1000, "data": [1]}))
    assert crawl.next == f"{URL}?offset=1"


@pytest.mark.parametrize(
    "answer",
    [
        HttpAnswer(status=500, body={"status_code": 1000, "data": []}),
        HttpAnswer(status=200),
        HttpAnswer(status=200, body=[]),
        HttpAnswer(status=200, body={"data": []}),
        HttpAnswer(status=200, body={"status_code": 3000, "data": []}),
        HttpAnswer(status=200, body={"status": "error", "data": []}),
        HttpAnswer(status=200, body={"status_code": 1000}),
        HttpAnswer(status=200, body={"status_code": 1000, "data": {}}),
    ],
)
def test_an_answer_that_is_no_page(answer: HttpAnswer) -> None:
    """Only a list in an envelope of success is a page."""
    with pytest.raises(ReceiverError):
        read_list(answer, URL)


def test_a_served_list() -> None:
    """Our pages have both words for the status and the newer shape's counts, and read back as what they are."""
    page = Paged(total=3, limit=2, next=f"{URL}?limit=2&offset=2")
    new = write_list([{"id": "a"}], page, new=True)
    assert {"status", "status_code", "total", "limit", "data"} <= new.body.keys()
    assert read_list(new, URL).headers == page
    old = write_list([{"id": "a"}], page, new=False)
    assert not {"status", "total", "limit"} & old.body.keys()
    assert read_list(old, URL).headers == page
    assert write_one({"id": "a"}, new=False).body["data"] == {"id": "a"}


def test_what_part_of_a_list_is_asked_for() -> None:
    """Limits are capped, cursors taken, and what is no number is refused."""
    assert read_wanted({}, 1000).limit == 1000
    wanted = read_wanted({"limit": "5000", "offset": "20", "last_record": "p9"}, 1000)
    assert (wanted.limit, wanted.offset, wanted.after) == (1000, 20, "p9")
    for bad in ({"limit": "0"}, {"limit": "-1"}, {"offset": "x"}, {"limit": "1" * 30}):
        with pytest.raises(InvalidObject):
            read_wanted(bad, 1000)


def test_periods_of_subscriptions() -> None:
    """The feed's words for a period are understood in any case, and written as they came."""
    words = {"month": Period.MONTH, "Yearly": Period.YEAR, "one-off": Period.ONE_OFF, "n/a": Period.NONE}
    for word, period in words.items():
        priced = read(row(product={"subscription_type": word}))
        assert priced.subscription.period is period
        assert write_new(priced).data["product"]["subscription_type"] == word
