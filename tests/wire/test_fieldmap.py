"""The language of field maps, on small classes of its own: what rows and outcomes mean, whatever OCPI says."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import frozen

from adapters.fieldmap import FieldMap, each, gate, group, inside, newer, older, rename, value
from gateway.model.facts import (
    ABSENT,
    UNKNOWN,
    Crossing,
    FactKind,
    Facts,
    Key,
    Loss,
    Lossy,
    Needs,
    Translated,
    Until,
    Withheld,
)
from gateway.model.party import Party
from gateway.model.policy import Policy
from gateway.model.tables import MapRow
from gateway.model.values import moment, pointer, same

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOON, LATER = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)
KEY = Key(FactKind.BUSINESS, Party("NL", "EXA"), "x")


@frozen(kw_only=True)
class OldPart:
    id: str
    size: int


@frozen(kw_only=True)
class NewPart:
    id: str
    length: int


@frozen(kw_only=True)
class OldThing:
    name: str
    first: str | None = None
    last: str | None = None
    colour: str | None = None
    parts: list[OldPart] | None = None
    main: OldPart | None = None


@frozen(kw_only=True)
class NewThing:
    name: str
    names: str | None = None
    smell: str | None = None
    parts: list[NewPart] | None = None
    main: NewPart | None = None


def grown(value: int, source: dict[str, Any], crossing: Crossing) -> Any:
    """one more; 0 asks, 13 withholds, 7 and 8 hold for a while"""
    match value:
        case 0:
            return Lossy(crossing.facts.ask(KEY), "looked up")
        case 13:
            raise Withheld("bad luck", policy="a.b")
        case 7 | 8:
            return Lossy(Until(value + 1, SOON if value == 7 else LATER), "for a while")
        case _:
            return value + 1


def joined(value: tuple[str | None, str | None]) -> Any:
    """both names"""
    first, last = value
    return Lossy(f"{first} {last}", "in one", at=("first",)) if first else ABSENT


def split(value: str) -> tuple[Any, Any]:
    """its words"""
    first, _, last = value.partition(" ")
    return first, last or ABSENT


def not_empty(source: dict[str, Any]) -> None:
    """withheld without a name"""
    if not source["name"]:
        raise Withheld("nameless")


PART = FieldMap(NewPart, value("size", "length", up=grown, loses="its size"), older=OldPart)
THING = FieldMap(
    NewThing,
    gate(not_empty),
    group(("first", "last"), "names", up=joined, down=split),
    older("colour", loses="its colour"),
    newer("smell", default="none", implied="none", loses="its smell"),
    each("parts", PART, least="no part is left"),
    inside("main", PART),
    older=OldThing,
)


def crossing(facts: Facts | None = None) -> Crossing:
    return Crossing(facts=facts or Facts(now=NOW), policy=Policy(), owner=None)


def up(**fields: Any) -> Any:
    return THING.up({"name": "N", **fields}, crossing())


def part(size: int, id: str = "p") -> dict[str, Any]:
    return {"id": id, "size": size}


def test_rows() -> None:
    """Groups join and split, one-sided fields go and come, and what isn't mentioned passes."""
    outcome = up(first="A", last="B", colour="red", x_own=1)
    assert outcome.data == {"name": "N", "x_own": 1, "names": "A B", "smell": "none"}
    assert outcome.losses == (Loss("/first", "in one"), Loss("/colour", "no room for its colour"))
    back = THING.down({"name": "N", "names": "A B", "smell": "none"}, crossing())
    assert back == Translated({"name": "N", "first": "A", "last": "B"})
    assert THING.down({"name": "N", "names": "A", "smell": "foul"}, crossing()).losses == (  # type: ignore[union-attr]
        Loss("/smell", "no room for its smell"),
    )


def test_null_is_absent() -> None:
    """Null, an empty list and absence aren't values: nothing converts them, and nothing is lost with them."""
    outcome = up(first=None, colour=None, parts=[], main=None)
    assert same(outcome.data, {"name": "N", "smell": "none"})
    assert outcome.losses == ()


def test_outcomes_nest() -> None:
    """A value may be lossy and hold for a while at once; the earliest moment counts."""
    outcome = up(parts=[part(8), part(7)])
    assert [each["length"] for each in outcome.data["parts"]] == [9, 8]
    assert outcome.until == SOON
    assert [loss.pointer for loss in outcome.losses] == ["/parts/0/size", "/parts/1/size"]


def test_withheld_stops_at_the_nearest_item() -> None:
    """The item goes, and with it the losses and moments noted inside; one loss says so."""
    outcome = up(parts=[{"id": "a", "length": "unknown here", "size": 13}, part(1)])
    assert outcome.data["parts"] == [{"id": "p", "length": 2}]
    assert outcome.losses == (Loss("/parts/0", "bad luck", "a.b"),)
    assert outcome.until is None


def test_a_list_that_must_not_be_empty_passes_it_on() -> None:
    """If no item is left the object around it can't be said, for the reason of the list and the switch of the item."""
    with pytest.raises(Withheld, match="no part is left") as withheld:
        up(parts=[part(13), part(13)])
    assert withheld.value.policy == "a.b"


def test_outside_a_list_it_goes_to_the_top() -> None:
    """An object inside that is withheld takes the whole with it, and so does the gate."""
    with pytest.raises(Withheld, match="bad luck"):
        up(main=part(13))
    with pytest.raises(Withheld, match="nameless"):
        THING.down({"name": ""}, crossing())
    assert isinstance(THING.up({"name": ""}, crossing()), Translated)


def test_needs_beats_withheld() -> None:
    """Asking comes before judging: what is missing is asked for, all at once, and only then something is withheld."""
    assert up(parts=[part(0), part(13)], main=part(13)) == Needs(frozenset({KEY}))
    with pytest.raises(Withheld):
        THING.up({"name": "N", "parts": [part(0)], "main": part(13)}, crossing(Facts({KEY: 5}, now=NOW)))
    outcome = THING.up({"name": "N", "main": part(0)}, crossing(Facts(now=NOW, complete=True)))
    assert isinstance(outcome, Translated)
    assert outcome.data["main"]["length"] is UNKNOWN


def test_a_crossing_can_be_used_again() -> None:
    """A pass starts from nothing: what an earlier one noted isn't counted twice."""
    way = crossing()
    first, second = (THING.up({"name": "N", "colour": "red"}, way) for _ in range(2))
    assert first == second


def test_foreign_fields() -> None:
    """A field that the other version has, and this one hasn't, can't pass as an unknown one."""
    outcome = up(names="somebody", parts=[part(1) | {"length": 99}])
    assert "names" not in outcome.data
    assert outcome.data["parts"] == [{"id": "p", "length": 2}]
    assert [loss.pointer for loss in outcome.losses] == ["/names", "/parts/0/length"]


def test_a_traceback_shows_the_compiled_source() -> None:
    """The lines of a map can be read where it fails."""
    with pytest.raises(TypeError) as error:
        up(main=part("big"))  # type: ignore[arg-type]
    text = "".join(traceback.format_exception(error.value))
    assert '"<field map NewPart up>"' in text
    assert "(value, source, crossing)" in text


def test_touched_names_the_targets() -> None:
    """The fields on the other side that a change of these may change."""
    assert THING.touched(["first", "name", "x_own"], up=True) == {"names", "name", "x_own"}
    assert THING.touched(["names"], up=False) == {"first", "last"}
    assert THING.touched(["colour"], up=True) == set()


def test_tables_come_from_the_rows() -> None:
    """What a person reads is what the code does."""
    whole, parts = list(THING.tables())[:2]
    assert whole.rows[1] == MapRow(older=("first", "last"), newer=("names",), up="both names", down="its words")
    assert whole.rows[2] == MapRow(older=("colour",), newer=(), up="left out", down="", lost="its colour")
    assert parts.title == "NewPart"


def test_another_context() -> None:
    """The same map with other rows for some fields, and without the gate."""
    other = THING.but(rename("first", "names"), older("last"), title="Thing (elsewhere)")
    assert isinstance(other.down({"name": "", "names": "A"}, crossing()), Translated)
    assert other.up({"name": "N", "first": "A"}, crossing()).data["names"] == "A"  # type: ignore[union-attr]


def test_pointers() -> None:
    """RFC 6901: slashes and tildes of a name are escaped."""
    assert pointer(()) == ""
    assert pointer(("evses", 0, "a/b", "~x")) == "/evses/0/a~1b/~0x"


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ({"a": None, "b": []}, {}, True),
        ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00.000+01:00", True),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.1Z", False),
        (1, True, False),
        ([1, 2], [2, 1], False),
        ("A", "a", False),
        ({"a": 0}, {}, False),
    ],
)
def test_equality(one: Any, other: Any, equal: bool) -> None:
    """Null, empty and absent are the same; numbers and moments count by value, texts to the letter."""
    assert same(one, other) is equal


def test_moments_at_the_edge_of_the_calendar() -> None:
    """An offset that leads out of it stops there, so that no body can break a pass."""
    assert moment("0001-01-01T00:00:00+02:00").year == 1
    assert moment("9999-12-31T23:59:59-02:00").year == 9999
