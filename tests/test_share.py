"""What a link may see: every way to say it, and its two directions for tariffs. Pure, so nothing is started."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.model.modules import Module
from gateway.model.share import Locations, Pilot, Share, Tariffs

LOCATION = {
    "id": "LOC1",
    "operator": {"name": "Example Charging"},
    "evses": [{"uid": "1", "evse_id": "NL*EXA*E0001"}, {"uid": "2"}],
}


@pytest.mark.parametrize(
    ("entry", "matches"),
    [
        ("LOC1", True),
        ("loc1", True),
        ("LOC", False),
        ("Example Charging", True),
        ("example charging", True),
        ("Example", False),
        ("NL*EXA", True),
        ("nl-exa-e00", True),
        ("NLEXAE0001", True),
        ("NL*EXB", False),
        ("EXA", False),
        ("**", False),
    ],
)
def test_a_location_is_named_by_id_operator_or_evse_id(entry: str, matches: bool) -> None:
    """Whole ids and names, the beginnings of EVSE ids without separators; all without case."""
    assert Locations(only=(entry,)).sees(LOCATION) is matches
    assert Locations(besides=(entry,)).sees(LOCATION) is not matches


@pytest.mark.parametrize(
    ("only", "besides", "sees"),
    [
        ((), (), True),
        (("LOC2", "NL*EXA"), (), True),
        (("LOC2",), (), False),
        (("NL*EXA",), ("LOC1",), False),
        (("NL*EXA",), ("LOC2",), True),
    ],
)
def test_what_is_excepted_is_out_whatever_names_it(only: tuple[str, ...], besides: tuple[str, ...], sees: bool) -> None:
    """`only` narrows, `except` takes away."""
    assert Share(locations=Locations(only=only, besides=besides)).sees(Module.LOCATIONS, LOCATION) is sees


@pytest.mark.parametrize("location", [{"id": "LOC1"}, {"id": "LOC1", "evses": None, "operator": None}, {}])
def test_a_location_without_evses_and_operator_is_named_by_its_id(location: dict[str, Any]) -> None:
    """What isn't there matches nothing."""
    share = Share(locations=Locations(only=("LOC1",)))
    assert share.sees(Module.LOCATIONS, location) is bool(location)
    assert not Share(locations=Locations(only=("NL",))).sees(Module.LOCATIONS, location)


def test_tariffs_are_shown_under_other_ids_and_understood_by_them() -> None:
    """Down to the partner's name, and back; the rest keeps its own."""
    tariffs = Tariffs(names={"STD": "ACM-STD"})
    assert (tariffs.shown("std"), tariffs.shown("FAST")) == ("ACM-STD", "FAST")
    assert (tariffs.meant("acm-std"), tariffs.meant("FAST")) == ("STD", "FAST")


def test_tariffs_that_arent_named_arent_shown() -> None:
    """`only` holds for the id that the owner gave."""
    share = Share(tariffs=Tariffs(only=["STD"], names={"STD": "ACM-STD"}))
    assert share.tariffs.shown("STD") == "ACM-STD"
    assert share.tariffs.shown("FAST") is None
    assert share.sees(Module.TARIFFS, {"id": "std"})
    assert not share.sees(Module.TARIFFS, {"id": "FAST"})


@pytest.mark.parametrize("module", [Module.SESSIONS, Module.CDRS, Module.TOKENS])
def test_what_is_between_two_parties_is_in_every_selection(module: Module) -> None:
    """A bill isn't hidden from whoever pays it."""
    share = Share(locations=Locations(only=("LOC2",)), tariffs=Tariffs(only=["STD"]))
    assert share.sees(module, {"id": "1", "location_id": "LOC1"})


def test_a_pilot_names_locations_and_tokens() -> None:
    """By id and uid, without case."""
    pilot = Pilot(locations=["LOC1"], tokens=["04aa"])
    assert pilot.names_location("loc1")
    assert pilot.names_token("04AA")
    assert not pilot.names_location("04AA")
    assert not pilot.names_token("LOC1")
