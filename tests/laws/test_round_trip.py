"""There and back gives the same object, but for the losses that were declared on the way."""

from __future__ import annotations

from typing import Any

import pytest
from generated import (
    Json,
    any_place,
    crossing,
    differences,
    facts_for,
    learned,
    newer_objects,
    older_objects,
    pointers,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.ocpi_2_1_1.maps import MAPS, down, up
from gateway.model.facts import Translated, Withheld
from gateway.model.modules import Kind
from gateway.model.policy import Policy

EVERY_KIND = pytest.mark.parametrize("kind", list(MAPS), ids=str)

# Volumes are what they are: an energy that happens to be a thousand times the total isn't taken for Wh.
POLICY = Policy(sessions_energy_unit="kwh")

STOOD_IN = {"/cdr_location/connector_standard": "/location/evses/*/connectors/*/standard"}
"""Where a field of the newer version stands in 2.1.1, if it has another place there."""


def through(outcome: Any) -> Translated:
    assert isinstance(outcome, Translated)
    return outcome


@EVERY_KIND
@given(data=st.data())
@settings(max_examples=200)
def test_down_and_up_again(kind: Kind, data: st.DataObject) -> None:
    """An object of the newer version comes back from 2.1.1 as it was, but for what the way down declared as lost."""
    thing: Json = data.draw(newer_objects(kind))
    facts = facts_for(kind, thing)
    try:
        lower = through(down(kind, thing, crossing(kind, thing, facts, POLICY)))
    except Withheld:
        return
    upper = through(up(kind, lower.data, crossing(kind, thing, facts, POLICY)))
    assert list(differences(thing, upper.data, pointers(lower.losses))) == []


@EVERY_KIND
@given(data=st.data())
@settings(max_examples=200)
def test_up_and_down_again(kind: Kind, data: st.DataObject) -> None:
    """A 2.1.1 object comes back as it was, but for what was declared as lost on the way up, or on the way back.

    Values that no version knows are lost on the way back only. The location inside a session is another object's
    snapshot, and only its ids belong to the session.
    """
    thing: Json = data.draw(older_objects(kind))
    way = crossing(kind, thing, facts_for(kind, thing), POLICY)
    upper = through(up(kind, thing, way))
    facts = learned(facts_for(kind, upper.data), way)
    try:
        lower = through(down(kind, upper.data, crossing(kind, thing, facts, POLICY)))
    except Withheld:
        return
    again = dict(lower.data)
    if kind is Kind.SESSION:
        assert again["location"]["id"] == thing["location"]["id"]
        again["location"] = thing["location"]
    lost_on_the_way_back = {STOOD_IN.get(loss.pointer, any_place(loss.pointer)) for loss in lower.losses}
    assert list(differences(thing, again, pointers(upper.losses) | lost_on_the_way_back)) == []
