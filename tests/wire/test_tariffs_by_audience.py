"""For whom a tariff is: what each version makes of it, which of a connector's tariffs go out, and that nothing of the
gateway's own ever leaves or comes in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import pytest
import samples

from adapters.ocpi_2_1_1 import ADAPTER as OLD
from adapters.ocpi_2_2_1 import ADAPTER as NEW
from gateway.model.attached import AUDIENCE, OURS, SINCE, TARIFF_IDS, for_store, joined, parted, spots
from gateway.model.facts import Crossing, FactKind, Facts, Key, Needs, Translated, Withheld
from gateway.model.modules import Kind
from gateway.model.party import Party
from gateway.model.policy import Policy
from gateway.model.prices import Audience, Priced
from gateway.model.values import same

Json = dict[str, Any]

EXA: Final = Party("NL", "EXA")
ADAPTERS: Final = pytest.mark.parametrize("adapter", [OLD, NEW], ids=["2.1.1", "2.2.1"])
EVERYTHING: Final = tuple(audience.value for audience in Audience if audience is not Audience.UNKNOWN)
RETAIL: Final = {TARIFF_IDS: {"cpo_subscription": ["CLUB"], "msp_retail": ["SHOP", "KIOSK"]}}


def tariff(id: str, **more: Any) -> Json:
    return samples.tariff_221_minimal() | {"id": id, "type": "REGULAR"} | more


def plug(*ids: str, **more: Any) -> Json:
    return samples.connector_221_minimal() | ({"tariff_ids": list(ids)} if ids else {}) | more


def crossing(*tariffs: Json, asks: tuple[str, ...] | None = None, looked_up: bool = True, **policy: Any) -> Crossing:
    facts = Facts(
        {Key(FactKind.TARIFF, EXA, each["id"]): each for each in tariffs}, now=datetime(2026, 6, 1, tzinfo=UTC)
    )
    return Crossing(
        facts=facts.completed() if looked_up else facts, policy=Policy(tariffs_audience=asks, **policy), owner=EXA
    )


def down(adapter: Any, kind: Kind, thing: Json, seen: Crossing | None = None) -> Translated:
    outcome = adapter.down(kind, thing, seen or crossing())
    assert isinstance(outcome, Translated)
    return outcome


def up(adapter: Any, kind: Kind, thing: Json) -> Translated:
    outcome = adapter.up(kind, thing, crossing())
    assert isinstance(outcome, Translated)
    return outcome


def members(value: Any) -> Iterator[str]:
    """The names of all members, at every depth."""
    match value:
        case dict():
            yield from value
            for inner in value.values():
                yield from members(inner)
        case list():
            for inner in value:
                yield from members(inner)


def marked(thing: Json) -> Json:
    """The same with members of ours, in it and in the objects of ours in it."""
    inner = {
        name: thing[name] for name in ("evses", "connectors", "tariffs", "location", "cdr_location") if name in thing
    }
    changed = {name: [*map(marked, each)] if isinstance(each, list) else marked(each) for name, each in inner.items()}
    ours = {AUDIENCE: "wholesale", TARIFF_IDS: {"msp_retail": ["SHOP"]}, SINCE: "2026-05-01T00:00:00Z"}
    assert ours.keys() == OURS
    return thing | changed | ours


# --- whether a tariff goes out --------------------------------------------------------------------------------------

FOR: Final = {
    "wholesale": tariff("W"),
    "wholesale, no type": {name: value for name, value in tariff("W").items() if name != "type"},
    "adhoc": tariff("A", type="AD_HOC_PAYMENT"),
    "adhoc, by the gateway's word": tariff("A", **{AUDIENCE: "adhoc"}),
    "msp_retail": tariff("R", **{AUDIENCE: "msp_retail"}),
    "cpo_subscription": tariff("S", **{AUDIENCE: "cpo_subscription"}),
    "unknown": tariff("U", **{AUDIENCE: "unknown"}),
}


@pytest.mark.parametrize("asks", [None, (), ("wholesale",), ("adhoc",), ("msp_retail",), EVERYTHING], ids=str)
@pytest.mark.parametrize("whose", FOR)
@ADAPTERS
def test_a_tariff_goes_to_those_who_ask_for_its_audience(
    adapter: Any, whose: str, asks: tuple[str, ...] | None
) -> None:
    """By default wholesale to 2.1.1, wholesale and ad hoc to 2.2.1; what is for nobody known goes nowhere."""
    default = ("wholesale",) if adapter is OLD else ("wholesale", "adhoc")
    goes = whose.partition(",")[0] in (default if asks is None else asks)
    seen = crossing(asks=asks)
    if goes:
        assert not OURS & set(members(down(adapter, Kind.TARIFF, FOR[whose], seen).data))
        return
    with pytest.raises(Withheld) as withheld:
        adapter.down(Kind.TARIFF, FOR[whose], seen)
    assert withheld.value.policy == "tariffs.audience"


# --- which tariffs a connector names --------------------------------------------------------------------------------


def test_a_2_2_1_connector_names_what_its_link_asks_for_after_the_rest() -> None:
    """Ids that it has apart come behind the others, each once; where nobody asks for them they are no loss."""
    thing = plug("W", "A", "shop", **RETAIL)
    assert down(NEW, Kind.CONNECTOR, thing).data["tariff_ids"] == ["W", "A", "shop"]
    assert down(NEW, Kind.CONNECTOR, thing).losses == ()
    all_of_it = down(NEW, Kind.CONNECTOR, thing, crossing(asks=EVERYTHING))
    assert all_of_it.data["tariff_ids"] == ["W", "A", "shop", "CLUB", "KIOSK"]
    known = (tariff("W"), tariff("A", type="AD_HOC_PAYMENT"))
    some = down(NEW, Kind.CONNECTOR, thing, crossing(*known, asks=("wholesale", "cpo_subscription")))
    assert some.data["tariff_ids"] == ["W", "shop", "CLUB"]
    assert [loss.pointer for loss in some.losses] == ["/tariff_ids/1"]
    only_apart = down(NEW, Kind.CONNECTOR, plug(**RETAIL), crossing(asks=("msp_retail",)))
    assert only_apart.data["tariff_ids"] == ["SHOP", "KIOSK"]
    assert "tariff_ids" not in down(NEW, Kind.CONNECTOR, plug(**RETAIL)).data


def test_who_asks_for_the_default_makes_nobody_look_anything_up() -> None:
    """A 2.2.1 link that says nothing, or that asks for more besides, needs no tariff to see a connector."""
    thing = plug("W", "A", **RETAIL)
    for asks in (None, ("wholesale", "adhoc"), EVERYTHING):
        assert isinstance(NEW.down(Kind.CONNECTOR, thing, crossing(asks=asks, looked_up=False)), Translated)
    for adapter in (OLD, NEW):
        assert isinstance(adapter.down(Kind.CONNECTOR, thing, crossing(asks=("adhoc",), looked_up=False)), Needs)
    # Of a 2.1.1 link that doesn't ask for them, those apart are none to look up.
    asked = OLD.down(Kind.CONNECTOR, plug("W", **RETAIL), crossing(looked_up=False))
    assert asked == Needs(frozenset({Key(FactKind.TARIFF, EXA, "W")}))
    assert isinstance(OLD.down(Kind.CONNECTOR, plug(**RETAIL), crossing(looked_up=False)), Translated)


W, F, A = tariff("W"), tariff("F", type="PROFILE_FAST"), tariff("A", type="AD_HOC_PAYMENT")
CLUB: Final = tariff("CLUB", **{AUDIENCE: "cpo_subscription"})


@pytest.mark.parametrize(
    ("choice", "asks", "ids", "chosen"),
    [
        ("regular_first", ("wholesale", "adhoc"), ["A", "W"], "W"),
        ("regular_first", ("wholesale", "adhoc"), ["A", "F"], "F"),
        ("regular_first", ("wholesale", "adhoc"), ["A"], "A"),
        ("regular_first", None, ["A", "W"], "W"),
        ("regular_first", None, ["A"], None),
        ("regular_first", EVERYTHING, [], "CLUB"),
        ("regular_first", EVERYTHING, ["NOBODY"], "CLUB"),
        ("regular_first", EVERYTHING, ["NOBODY", "A"], "A"),
        ("regular_first", ("msp_retail",), ["W", "A"], "SHOP"),
        ("adhoc_first", ("wholesale", "adhoc"), ["W", "A"], "A"),
        ("adhoc_first", ("wholesale", "adhoc"), ["W", "F"], "W"),
        ("adhoc_first", None, ["W", "A"], "W"),
        ("adhoc_first", EVERYTHING, ["W"], "W"),
        ("none_if_many", ("wholesale", "adhoc"), ["W", "A"], None),
        ("none_if_many", None, ["W", "A"], "W"),
        ("none_if_many", ("wholesale", "adhoc"), ["A"], "A"),
        ("none_if_many", ("cpo_subscription",), ["W", "A"], "CLUB"),
        ("none_if_many", ("wholesale", "cpo_subscription"), ["W"], None),
    ],
)
def test_which_of_several_tariffs_a_2_1_1_connector_names_q21(
    choice: str, asks: tuple[str, ...] | None, ids: list[str], chosen: str | None
) -> None:
    """``tariffs.multi_to_single``: wholesale, then ad hoc, then the rest, then what nobody knows; or ad hoc first; or
    none where several would do."""
    seen = crossing(W, F, A, CLUB, asks=asks, tariffs_multi_to_single=choice)
    outcome = down(OLD, Kind.CONNECTOR, plug(*ids, **RETAIL), seen)
    assert outcome.data.get("tariff_id") == chosen
    lost = {loss.pointer for loss in outcome.losses if loss.pointer.startswith("/tariff_ids/")}
    assert lost == {f"/tariff_ids/{place}" for place, id in enumerate(ids) if id != chosen}


def test_what_a_link_asks_for_and_doesnt_get_is_lost() -> None:
    """Told by its place; of none where several would do, with the switch that decides it."""
    seen = crossing(W, CLUB, asks=("wholesale", "cpo_subscription"))
    outcome = down(OLD, Kind.EVSE, samples.evse_221_minimal() | {"connectors": [plug("W", **RETAIL)]}, seen)
    told = [(loss.pointer, loss.policy) for loss in outcome.losses if "tariff" in loss.pointer]
    assert told == [(f"/connectors/0/{TARIFF_IDS}/cpo_subscription/0", None)]
    seen = crossing(W, A, asks=("wholesale", "adhoc"), tariffs_multi_to_single="none_if_many")
    outcome = down(OLD, Kind.CONNECTOR, plug("W", "A"), seen)
    told = [(loss.pointer, loss.policy) for loss in outcome.losses if "tariff" in loss.pointer]
    assert told == [("/tariff_ids/0", "tariffs.multi_to_single"), ("/tariff_ids/1", "tariffs.multi_to_single")]


# --- what stays inside ----------------------------------------------------------------------------------------------

KINDS: Final = (Kind.LOCATION, Kind.EVSE, Kind.CONNECTOR, Kind.TARIFF, Kind.CDR, Kind.SESSION)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@ADAPTERS
def test_members_of_ours_neither_leave_nor_come_in(adapter: Any, kind: Kind) -> None:
    """Not at any place where one could mean something; and whoever writes one is understood as if he hadn't."""
    theirs = getattr(samples, f"{kind}_{adapter.version.replace('.', '')}")()
    came_in = up(adapter, kind, marked(theirs)).data
    assert same(came_in, up(adapter, kind, theirs).data)
    assert not OURS & set(members(came_in))
    ours = marked(getattr(samples, f"{kind}_221")())
    assert not OURS & set(members(down(adapter, kind, ours, crossing(sessions_location_missing="minimal")).data))


@ADAPTERS
def test_nothing_of_a_location_that_feeds_have_added_to_leaves(adapter: Any) -> None:
    """Nor of one that stands in a session, as 2.1.1 has it."""
    base = samples.location_221()
    prices = {Audience.ADHOC: ["A"], Audience.MSP_RETAIL: ["SHOP"]}
    location = joined(base, dict.fromkeys(spots(base), prices))
    assert TARIFF_IDS in set(members(location))
    facts = {Key(FactKind.LOCATION, EXA, location["id"]): location}
    seen = Crossing(facts=Facts(facts, now=datetime(2026, 6, 1, tzinfo=UTC), complete=True), policy=Policy(), owner=EXA)
    for kind, thing in (
        (Kind.LOCATION, location),
        (Kind.SESSION, samples.session_221()),
        (Kind.CDR, samples.cdr_221()),
    ):
        told = down(adapter, kind, thing, seen).data
        assert not OURS & set(members(told))
        assert "SHOP" not in str(told)


def test_a_location_is_parted_as_it_was_joined() -> None:
    """What feeds attach can be taken off again, and leaves what the owner said."""
    base = samples.location_221()
    attached = {spot: {Audience.ADHOC: ["A"], Audience.MSP_RETAIL: ["SHOP"]} for spot in spots(base)}
    whole = joined(base, attached)
    assert whole["evses"][0]["connectors"][0]["tariff_ids"][-1] == "A"
    assert same(parted(whole, attached), base)
    assert same(parted(base, {}), base)


# --- the prices of a feed -------------------------------------------------------------------------------------------


def imported(audience: Audience, **more: Any) -> Json:
    """A tariff of a feed, with everything in it that a feed says, as it is said in the store."""
    elements = [
        {
            "price_components": [
                {"type": "ENERGY", "price": Decimal("0.59"), "vat": Decimal("21"), "step_size": 1},
                {"type": "FLAT", "price": Decimal("0.35"), "step_size": 1},
            ],
            "restrictions": {"day_of_week": ["MONDAY"], "start_time": "08:00", "end_time": "18:00"},
        },
        {"price_components": [{"type": "ENERGY", "price": Decimal("0.49"), "vat": 0, "step_size": 1}]},
    ]
    said = tariff("P1", elements=elements, tariff_alt_text=[{"language": "en", "text": "Exa - Ad hoc"}]) | more
    return for_store(Priced(tariff=said, audience=audience, price_id="P1"))


def test_ad_hoc_tariffs_to_2_2_1_and_back_are_equal() -> None:
    """Every value, digit by digit, VAT absent and VAT nought among them; and nothing is lost."""
    price = imported(Audience.ADHOC, type="AD_HOC_PAYMENT", min_price={"excl_vat": Decimal("1.00")})
    there = down(NEW, Kind.TARIFF, price)
    back = up(NEW, Kind.TARIFF, there.data)
    assert (back.data, there.losses, back.losses) == (price, (), ())
    assert str(back.data["elements"][0]["price_components"][0]["price"]) == "0.59"


def test_what_2_1_1_loses_of_an_ad_hoc_tariff() -> None:
    """Exactly its type, VAT, least and most, and when it begins and ends; of a connector all tariffs but one."""
    price = imported(
        Audience.ADHOC, type="AD_HOC_PAYMENT", min_price={"excl_vat": 1}, max_price={"excl_vat": 99},
        start_date_time="2026-01-01T00:00:00Z", end_date_time="2027-01-01T00:00:00Z",
    )  # fmt: skip
    asks = ("wholesale", "adhoc")
    there = down(OLD, Kind.TARIFF, price, crossing(asks=asks))
    assert [loss.pointer for loss in there.losses] == [
        "/type", "/min_price", "/max_price", "/elements/0/price_components/0/vat",
        "/elements/1/price_components/0/vat", "/start_date_time", "/end_date_time",
    ]  # fmt: skip
    back = up(OLD, Kind.TARIFF, there.data).data
    gone = {"type", "min_price", "max_price", "start_date_time", "end_date_time"}
    assert {name: value for name, value in back.items() if name != "elements"} == {
        name: value for name, value in price.items() if name != "elements" and name not in gone
    }
    connector = down(OLD, Kind.CONNECTOR, plug("W", "P1"), crossing(W, price, asks=asks))
    assert [loss.pointer for loss in connector.losses] == ["/tariff_ids/1"]
