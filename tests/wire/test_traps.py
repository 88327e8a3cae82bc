"""Traps that two versions side by side set for whoever reads fast, and that stand in no other file."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
import samples

from adapters import VERSIONS
from adapters.ocpi_2_1_1 import ADAPTER as OLD
from adapters.ocpi_2_1_1 import objects as old
from adapters.ocpi_2_1_1.maps import down, up
from adapters.ocpi_2_2_1 import ADAPTER as NEW
from gateway.handshake import Offer, best, read_versions
from gateway.model.dialect import Seat
from gateway.model.document import CLASSES, validate
from gateway.model.errors import NoCommonVersion
from gateway.model.facts import Crossing, Facts, Translated
from gateway.model.modules import Kind, Module, Side
from gateway.model.party import Party, Role
from gateway.model.policy import Policy
from gateway.ports import Adapter

EXA, ACM = Party("NL", "EXA"), Party("DE", "ACM")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
A_CPO = (Seat(party=EXA, role=Role.CPO),)


def crossing() -> Crossing:
    policy = Policy(sessions_location_missing="minimal")
    return Crossing(facts=Facts(now=NOW, complete=True), policy=policy, owner=EXA, peer=ACM)


# Names that nobody knows ----------------------------------------------------------------------------------------------


def test_versions_that_nobody_knows_are_passed_over_trap_15() -> None:
    """What else a partner speaks is its business, and so is what else stands in its list."""
    listed = [{"version": version, "url": f"https://a.example/{version}"} for version in ("2.0", "2.1.1", "9.9")]
    offers = read_versions([*listed, "3.0", {"version": 3}])
    assert best(("2.2.1", "2.1.1"), offers) == Offer("2.1.1", "https://a.example/2.1.1")
    with pytest.raises(NoCommonVersion):
        best(("2.2.1", "2.1.1"), offers[:1])


@pytest.mark.parametrize("adapter", VERSIONS, ids=lambda adapter: adapter.version)
def test_modules_and_roles_that_nobody_knows_are_passed_over_trap_15(adapter: Adapter) -> None:
    """A module of a newer version, one of their own, and a role that is none, cost nothing but themselves."""
    endpoints = [
        {"identifier": "credentials", "role": "SENDER", "url": "https://a.example/c"},
        {"identifier": "bookings", "role": "SENDER", "url": "https://a.example/b"},
        {"identifier": "x-own", "role": "SENDER", "url": "https://a.example/x"},
        {"identifier": "tariffs", "role": "LISTENER", "url": "https://a.example/l"},
        {"identifier": "locations", "role": "SENDER", "url": "https://a.example/o"},
    ]
    found = adapter.read_details({"version": "9.9", "endpoints": endpoints}, A_CPO)
    known = {(Module.CREDENTIALS, Side.SENDER), (Module.LOCATIONS, Side.SENDER)}
    # 2.1.1 has no roles in its details: whatever stands there is an unknown field.
    assert set(found) == known | ({(Module.TARIFFS, Side.SENDER)} if adapter is OLD else set())


def test_a_role_of_a_newer_version_is_passed_over_trap_15() -> None:
    """The platform's other roles count."""
    credentials = samples.credentials_221()
    known = len(credentials["roles"])
    credentials["roles"].append(credentials["roles"][0] | {"role": "PTP", "party_id": "PAY"})
    assert len(NEW.read_credentials(credentials, ()).seats) == known


@pytest.mark.parametrize(("cls", "evse"), [(CLASSES[Kind.EVSE], samples.evse_221), (old.EVSE, samples.evse_211)])
def test_values_that_nobody_knows_are_kept_trap_15(cls: type, evse: object) -> None:
    """An enumeration of a newer version has more: a value of it is no mistake."""
    body = evse() | {"status": "LEVITATING", "capabilities": ["RFID_READER", "TELEPORT"]}  # type: ignore[operator]
    assert validate(cls, body) == body


# Where an interface is ------------------------------------------------------------------------------------------------


def test_the_role_of_credentials_means_nothing_trap_13() -> None:
    """2.2.1 wants SENDER there, its own example says RECEIVER, and 2.1.1 says nothing: it is one endpoint."""
    for adapter, said in ((NEW, {"role": "RECEIVER"}), (NEW, {"role": "SENDER"}), (OLD, {})):
        endpoints = [{"identifier": "credentials", "url": "https://a.example/c"} | said]
        found = adapter.read_details({"endpoints": endpoints}, A_CPO)
        assert found == {(Module.CREDENTIALS, Side.SENDER): "https://a.example/c"}


def test_a_module_may_have_two_endpoints_trap_14() -> None:
    """A platform that is CPO and eMSP sends locations at one URL and receives them at another."""
    endpoints = [
        {"identifier": "locations", "role": role, "url": f"https://a.example/{role}"} for role in ("SENDER", "RECEIVER")
    ]
    assert NEW.read_details({"endpoints": endpoints}, A_CPO) == {
        (Module.LOCATIONS, Side.SENDER): "https://a.example/SENDER",
        (Module.LOCATIONS, Side.RECEIVER): "https://a.example/RECEIVER",
    }


# Fields ---------------------------------------------------------------------------------------------------------------


def test_a_session_and_a_cdr_spell_their_times_differently_trap_31() -> None:
    """2.1.1 mod_sessions 3.1 has start_datetime and end_datetime, mod_cdrs 3.1 start_date_time and stop_date_time."""
    times = {"start_date_time": "2026-03-03T08:00:00Z", "end_date_time": "2026-03-03T09:00:00Z"}
    for kind, newer, first, last in (
        (Kind.SESSION, samples.session_221(), "start_datetime", "end_datetime"),
        (Kind.CDR, samples.cdr_221_minimal(), "start_date_time", "stop_date_time"),
    ):
        lower = down(kind, newer | times, crossing())
        assert isinstance(lower, Translated)
        assert (lower.data[first], lower.data[last]) == tuple(times.values())
        assert {name for name in lower.data if name.startswith(("start", "end", "stop"))} == {first, last}
        upper = up(kind, lower.data, crossing())
        assert isinstance(upper, Translated)
        assert times.items() <= upper.data.items()


@pytest.mark.parametrize(("vat", "lost"), [({}, 0), ({"vat": None}, 0), ({"vat": 0}, 1), ({"vat": Decimal("21.0")}, 1)])
def test_no_vat_said_is_not_no_vat_trap_37(vat: dict[str, object], lost: int) -> None:
    """Absent, it isn't known or not applicable; 0 says that there is none: losing that is a loss."""
    component = {"type": "ENERGY", "price": Decimal("0.25"), "step_size": 1}
    tariff = samples.tariff_221_minimal() | {"elements": [{"price_components": [component | vat]}]}
    lower = down(Kind.TARIFF, tariff, crossing())
    assert isinstance(lower, Translated)
    assert [loss.pointer for loss in lower.losses] == ["/elements/0/price_components/0/vat"] * lost
    upper = up(Kind.TARIFF, lower.data, crossing())
    assert isinstance(upper, Translated)
    assert upper.data["elements"] == [{"price_components": [component]}]


def test_a_period_of_a_flat_fee_alone_stays_a_period_trap_45() -> None:
    """FLAT isn't a dimension of 2.2.1, and a period must have one: it measured no energy."""
    session = samples.session_211()
    start = session["charging_periods"][0]["start_date_time"]
    session["charging_periods"] = [{"start_date_time": start, "dimensions": [{"type": "FLAT", "volume": 1}]}]
    upper = up(Kind.SESSION, session, crossing())
    assert isinstance(upper, Translated)
    (period,) = upper.data["charging_periods"]
    assert period["dimensions"] == [{"type": "ENERGY", "volume": 0}]
    assert "/charging_periods/0/dimensions/0" in {loss.pointer for loss in upper.losses}


def test_what_is_not_available_in_a_cdr_is_left_out_below_trap_62() -> None:
    """#NA is a word of 2.2.1: an EVSE without a known id has none in 2.1.1, and no EVSE is no EVSE."""
    cdr = samples.cdr_221_minimal()
    cdr["cdr_location"] = samples.cdr_location() | {"evse_id": "#NA"}
    lower = down(Kind.CDR, cdr, crossing())
    assert isinstance(lower, Translated)
    (evse,) = lower.data["location"]["evses"]
    assert "evse_id" not in evse
    cdr["cdr_location"] |= {"evse_uid": "#NA", "connector_id": "#NA"}
    lower = down(Kind.CDR, cdr, crossing())
    assert isinstance(lower, Translated)
    assert "#NA" not in str(lower.data)
    assert not lower.data["location"].get("evses")
