"""Translating a patched object equals patching a translated one.

No fragment is ever translated: a PATCH is merged into the stored object in its sender's form, both states are
translated, and the receiver gets what brings it from the one to the other. Applied by the receiver's own rules, that
must give what translating the patched object gives.
"""

from __future__ import annotations

from typing import Any

import pytest
from generated import Json, crossing, facts_for, newer_objects, older_objects, owner_of
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.ocpi_2_1_1 import ADAPTER as OLD
from adapters.ocpi_2_1_1.maps import touched
from adapters.ocpi_2_2_1 import ADAPTER as NEW
from gateway.model.change import Change
from gateway.model.facts import Facts, Translated, Withheld
from gateway.model.message import Ref
from gateway.model.modules import Kind, Verb
from gateway.model.policy import Policy
from gateway.model.values import same
from gateway.ports import Adapter

POLICY = Policy(sessions_energy_unit="kwh", sessions_periods_mode="replace")
LATER = "2031-01-01T00:00:00Z"
NEVER_CHANGE = {"id", "uid", "type", "country_code", "party_id", "last_updated"}
PATCHED_DOWN = (Kind.LOCATION, Kind.SESSION, Kind.TOKEN)
PATCHED_UP = (Kind.LOCATION, Kind.SESSION, Kind.TARIFF, Kind.TOKEN)


def distinct(thing: Json) -> Json:
    """The object with the ids of its EVSEs and connectors told apart."""
    for place, evse in enumerate(thing.get("evses") or []):
        evse["uid"] = f"E{place}"
        for number, connector in enumerate(evse["connectors"]):
            connector["id"] = str(number)
    return thing


def fragment_of(data: st.DataObject, other: Json) -> Json:
    names = sorted(other.keys() - NEVER_CHANGE)
    chosen = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    return {name: other[name] for name in chosen} | {"last_updated": LATER}


def ref_of(kind: Kind, thing: Json) -> Ref:
    return Ref(owner=owner_of(kind), id=thing.get("id") or thing["uid"], type=thing.get("type"))


def written(source: Adapter, target: Adapter, kind: Kind, thing: Json, facts: Facts) -> Json:
    """The object in the target's form."""
    item: Any = thing
    for step in (source.up, target.down):
        outcome = step(kind, item, crossing(kind, thing, facts, POLICY))
        assert isinstance(outcome, Translated)
        item = outcome.data
    return dict(item)


def applied(target: Adapter, kind: Kind, before: Json, changes: tuple[Change, ...]) -> Json:
    """What the receiver has after the requests, by its version's rules."""
    state = before
    for change in changes:
        if change.verb is Verb.PATCH:
            state = target.merge(kind, state, change.ref, change.body, POLICY)
        elif change.kind is kind:
            state = change.body
        else:
            state = target.place(state, change.ref, change.body)
    return state


def unstamped(thing: Json) -> Json:
    """The object without ``last_updated``, its own and its EVSEs': where a piece changed, that alone is told."""
    evses = [{name: evse[name] for name in evse if name != "last_updated"} for evse in thing.get("evses") or []]
    return {**thing, "last_updated": None, "evses": evses}


def check(data: st.DataObject, source: Adapter, target: Adapter, kind: Kind, stored: Json, other: Json) -> None:
    fragment, ref = fragment_of(data, other), ref_of(kind, stored)
    patched = source.merge(kind, stored, ref, fragment, POLICY)
    facts = facts_for(kind, stored, patched)
    try:
        before = written(source, target, kind, stored, facts)
        after = written(source, target, kind, patched, facts)
    except Withheld:
        return
    names = touched(kind, fragment, up=source is OLD)
    changes = target.changes(kind, ref, before, after, names, POLICY)
    state = applied(target, kind, before, changes)
    assert same(unstamped(state), unstamped(after))


@pytest.mark.parametrize("kind", PATCHED_DOWN, ids=str)
@given(data=st.data())
@settings(max_examples=100)
def test_down(kind: Kind, data: st.DataObject) -> None:
    """A PATCH of the newer version, as a 2.1.1 receiver gets it."""
    stored, other = (distinct(data.draw(newer_objects(kind))) for _ in range(2))
    check(data, NEW, OLD, kind, stored, other)


@pytest.mark.parametrize("kind", PATCHED_UP, ids=str)
@given(data=st.data())
@settings(max_examples=100)
def test_up(kind: Kind, data: st.DataObject) -> None:
    """A PATCH of 2.1.1, as a receiver of the newer version gets it."""
    stored, other = (distinct(data.draw(older_objects(kind))) for _ in range(2))
    check(data, OLD, NEW, kind, stored, other)


def test_a_row_is_touched_by_what_it_reads() -> None:
    """A field that is patched touches the fields that are made of it, also those that are only made with it."""
    assert touched(Kind.CONNECTOR, ["max_electric_power"], up=False) == {"amperage"}
    assert touched(Kind.CONNECTOR, ["tariff_id", "x_own"], up=True) == {"tariff_ids", "x_own"}
    assert touched(Kind.SESSION, ["evse_uid", "total_cost"], up=False) == {"location", "total_cost"}
    assert touched(Kind.TOKEN, ["group_id"], up=False) == set()
