"""A feed's locations on their way out: renamed, restated, withdrawn, and otherwise as they were told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from adapters.eco_movement import evse_of, is_newer, lower_location, with_pricing_ids, with_statuses, withdraw_location

EARLY, LATE, LATER = "2026-03-01T09:00:00Z", "2026-03-02T09:00:00Z", "2026-03-02T09:00:01Z"


def place(*evses: Any, **more: Any) -> dict[str, Any]:
    return {"id": "L1", "evses": list(evses), "last_updated": LATE, **more}


def plug(**more: Any) -> dict[str, Any]:
    return {"uid": "E1", "connectors": [{"id": "1", **more}]}


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ({"max_voltage": 400, "max_amperage": 32}, {"voltage": 400, "amperage": 32}),
        ({"max_electric_power": 150_000}, {"max_power": 150}),
        ({"max_electric_power": 3_680}, {"max_power": Decimal("3.68")}),
        ({"max_electric_power": 22_000, "max_power": 21}, {"max_power": 21}),
        ({"max_electric_power": "22 kW", "max_voltage": None}, {"voltage": None}),
        ({"tariff_ids": ["T1", "T2"], "mine": {"a": []}}, {"tariff_id": "T1", "mine": {"a": []}}),
        ({"tariff_ids": []}, {}),
    ],
)
def test_a_connector_of_2_2_has_the_names_of_2_1_1(newer: dict[str, Any], older: dict[str, Any]) -> None:
    """Watts are the feed's own kilowatts; what is no number has no power; nothing else is touched."""
    lowered = lower_location(place(plug(**newer)))
    assert lowered is not None
    assert lowered["evses"] == [plug(**older)]


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ({"parking_type": "ON_STREET"}, "ON_STREET"),
        ({"parking_type": "ON_DRIVEWAY"}, "OTHER"),
        ({"parking_type": "ALONG_MOTORWAY"}, "OTHER"),
        ({"type": "PARKING_LOT"}, "PARKING_LOT"),
        ({}, "UNKNOWN"),
        ({"parking_type": 7}, 7),
    ],
)
def test_a_location_of_2_2_has_the_type_of_2_1_1(newer: dict[str, Any], older: Any) -> None:
    """Types that 2.1.1 hasn't become OTHER; who owns it, and that it may be shown, stands nowhere."""
    owned = {"country_code": "NL", "party_id": "ECO", "publish": True, "state": "UT"}
    lowered = lower_location({"id": "L1", "x": 1} | owned | newer)
    assert lowered == {"id": "L1", "x": 1, "type": older}


def test_a_location_that_mustnt_be_published_isnt() -> None:
    """2.1.1 has no word for that."""
    assert lower_location(place(publish=False)) is None


def test_a_pushed_status_stands_unless_something_newer_was_read() -> None:
    """EVSEs are known by their uid in any case; where an EVSE has no moment, the location's counts."""
    location = place({"uid": "e1", "last_updated": EARLY}, {"uid": 2}, {"uid": "E3", "last_updated": LATER}, "x")
    told = {uid: {"status": "CHARGING", "last_updated": LATE} for uid in ("E1", "2", "E3", "E4")}
    shown = with_statuses(location, told)
    assert [evse.get("status") for evse in shown["evses"][:3]] == ["CHARGING", "CHARGING", None]
    assert shown["evses"][3] == "x"
    assert shown["last_updated"] == LATE
    later = with_statuses(location, {"E1": {"status": "CHARGING", "last_updated": LATER}})
    assert later["last_updated"] == later["evses"][0]["last_updated"] == LATER
    assert with_statuses({"id": "L1"}, told) == {"id": "L1"}


def test_of_two_with_one_moment_the_push_counts() -> None:
    """What says no moment, or one that is none, is older than everything."""
    push = {"status": "CHARGING", "last_updated": LATE}
    assert is_newer(push, {"last_updated": LATE})
    assert not is_newer(push, {"last_updated": LATER})
    assert is_newer(push, {"last_updated": "soon"}, {"last_updated": EARLY})
    assert not is_newer(push, {}, {"last_updated": LATER})
    assert is_newer(push, {}, {"last_updated": 7})
    assert is_newer(push)


def test_a_location_that_is_no_more() -> None:
    """Each EVSE is REMOVED since then; nothing else changes."""
    location = withdraw_location(place({"uid": "E1", "status": "AVAILABLE", "x": 1}, None, name="Neude"), LATER)
    removed = {"uid": "E1", "status": "REMOVED", "x": 1, "last_updated": LATER}
    assert location == {"id": "L1", "name": "Neude", "evses": [removed, None], "last_updated": LATER}


def test_a_connector_names_its_price_or_none() -> None:
    """Whatever it named before; what is no EVSE or connector stays as it is."""
    location = place(plug(pricing_id="theirs"), {"uid": 2, "connectors": [{"id": 3, "pricing_id": "theirs"}, "x"]}, 7)
    named = with_pricing_ids(location, {("2", "3"): "ours"})
    assert named["evses"] == [plug(), {"uid": 2, "connectors": [{"id": 3, "pricing_id": "ours"}, "x"]}, 7]
    assert with_pricing_ids({"id": "L1"}, {}) == {"id": "L1"}


def test_an_evse_is_found_by_its_uid() -> None:
    """Numbers and odd things among them."""
    location = place(7, {"uid": 12}, {"uid": "ab"})
    assert evse_of(location, "12") == {"uid": 12}
    assert evse_of(location, "AB") == {"uid": "ab"}
    assert evse_of(location, "c") is None
    assert evse_of({"evses": None}, "c") is None
