"""Unknown fields pass, both ways and at every depth; the loss of one is declared."""

from __future__ import annotations

from typing import Any

import pytest
from generated import Json, Path, crossing, facts_for, marked, newer_objects, older_objects, pointers
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.ocpi_2_1_1.maps import MAPS, down, up
from gateway.model.facts import Translated, Withheld
from gateway.model.modules import Kind
from gateway.model.policy import Policy

EVERY_KIND = pytest.mark.parametrize("kind", list(MAPS), ids=str)


def mark(path: Path) -> str:
    """An unknown field's name: where it stood. It holds no slash, so that a pointer to it reads as it is."""
    return "x_" + "|".join(map(str, path))


def marks_in(thing: Any) -> set[str]:
    if isinstance(thing, list):
        return set().union(*map(marks_in, thing))
    if not isinstance(thing, dict):
        return set()
    here = {name for name in thing if name.startswith("x_")}
    return here.union(*map(marks_in, thing.values()))


def is_declared(name: str, lost: frozenset[str]) -> bool:
    """Whether the field, or something that it stood in, was declared as lost."""
    steps = name.removeprefix("x_").split("|") if name != "x_" else []
    pointer = "".join(f"/{step}" for step in steps)
    inside = {pointer[:end] for end in range(len(pointer) + 1)}
    return f"{pointer}/{name}" in lost or bool(inside & lost)


def lost_silently(thing: Json, outcome: Translated) -> set[str]:
    lost = pointers(outcome.losses)
    return {name for name in marks_in(thing) - marks_in(outcome.data) if not is_declared(name, lost)}


@EVERY_KIND
@given(data=st.data())
@settings(max_examples=50)
def test_down(kind: Kind, data: st.DataObject) -> None:
    """What no version knows comes through to 2.1.1, or its loss is declared."""
    thing: Json = marked(data.draw(newer_objects(kind)), mark)
    try:
        outcome = down(kind, thing, crossing(kind, thing, facts_for(kind, thing)))
    except Withheld:
        return
    assert isinstance(outcome, Translated)
    assert lost_silently(thing, outcome) == set()


@EVERY_KIND
@given(data=st.data())
@settings(max_examples=50)
def test_up(kind: Kind, data: st.DataObject) -> None:
    """What no version knows comes through from 2.1.1, or its loss is declared.

    Of the location inside a session only the ids are the session's.
    """
    thing: Json = marked(data.draw(older_objects(kind)), mark)
    outcome = up(kind, thing, crossing(kind, thing, facts_for(kind, thing)))
    assert isinstance(outcome, Translated)
    silent = lost_silently(thing, outcome)
    if kind is Kind.SESSION:
        silent = {name for name in silent if not name.startswith("x_location")}
    assert silent == set()


@EVERY_KIND
@given(data=st.data())
@settings(max_examples=25)
def test_dropped_by_policy(kind: Kind, data: st.DataObject) -> None:
    """A link that wants them dropped gets none, at no depth, and each is declared."""
    thing: Json = marked(data.draw(older_objects(kind)), mark)
    policy = Policy(json_unknown_fields="drop")
    outcome = up(kind, thing, crossing(kind, thing, facts_for(kind, thing), policy))
    assert isinstance(outcome, Translated)
    assert marks_in(outcome.data) == set()
    dropped = {loss.pointer.rpartition("/")[2] for loss in outcome.losses if loss.policy == "json.unknown_fields"}
    assert dropped == marks_in(thing)
