"""PATCH in both versions: merged as a receiver must, and found again as the smallest request that says what changed."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from adapters import VERSIONS
from adapters.ocpi_2_1_1 import ADAPTER as OLD
from adapters.ocpi_2_2_1 import ADAPTER as NEW
from gateway.model.change import Change
from gateway.model.errors import InvalidObject, NotFound
from gateway.model.message import Ref
from gateway.model.modules import Kind, Verb
from gateway.model.party import Party
from gateway.model.policy import Policy
from gateway.model.values import same

EXA = Party("NL", "EXA")
POLICY = Policy()
T1, T2, T3 = "2026-01-05T10:00:00Z", "2026-01-05T11:00:00Z", "2026-01-05T12:00:00Z"
SESSION = Ref(owner=EXA, id="S1")
TOKEN = Ref(owner=EXA, id="04AA", type="RFID")
TARIFF = Ref(owner=EXA, id="T1")

Json = dict[str, Any]


def ref(evse: str | None = None, connector: str | None = None) -> Ref:
    return Ref(owner=EXA, id="L1", evse_uid=evse, connector_id=connector)


def location(*evses: Json, **more: Any) -> Json:
    return {"id": "L1", "name": "Plein", "evses": list(evses), "last_updated": T1} | more


def evse(uid: str, *connectors: Json, **more: Any) -> Json:
    return {"uid": uid, "status": "AVAILABLE", "connectors": list(connectors), "last_updated": T1} | more


def connector(id_: str, **more: Any) -> Json:
    return {"id": id_, "standard": "IEC_62196_T2", "last_updated": T1} | more


def period(start: str, volume: str = "1.0") -> Json:
    return {"start_date_time": start, "dimensions": [{"type": "ENERGY", "volume": Decimal(volume)}]}


def session(*periods: Json, **more: Any) -> Json:
    return {"id": "S1", "kwh": Decimal("1.0"), "charging_periods": list(periods), "last_updated": T1} | more


HOUSE = location(evse("E1", connector("1"), connector("2")), evse("E2", connector("1")))


def merged(adapter: Any, kind: Kind, stored: Json, where: Ref, fragment: Any, **switches: Any) -> Json:
    before = deepcopy(stored)
    result: Json = adapter.merge(kind, stored, where, fragment, Policy(**switches))
    assert stored == before
    return result


def found(
    adapter: Any, kind: Kind, where: Ref, before: Json | None, after: Json, *touched: str, **switches: Any
) -> tuple[Change, ...]:
    result: tuple[Change, ...] = adapter.changes(kind, where, before, after, frozenset(touched), Policy(**switches))
    return result


# Merging


@pytest.mark.parametrize("adapter", VERSIONS, ids=lambda adapter: adapter.version)
def test_a_patch_is_shallow_and_leaves_what_it_doesnt_name(adapter: Any) -> None:
    """Fields are replaced whole, lists too; null takes a field away; the stored object isn't touched."""
    stored = location(directions=[{"language": "en", "text": "a"}], operator={"name": "A", "website": "https://a"})
    fragment = {"name": None, "directions": [], "operator": {"name": "B"}, "last_updated": T2}
    assert merged(adapter, Kind.LOCATION, stored, ref(), fragment) == {
        "id": "L1",
        "evses": [],
        "directions": [],
        "operator": {"name": "B"},
        "last_updated": T2,
    }


@pytest.mark.parametrize("adapter", VERSIONS, ids=lambda adapter: adapter.version)
def test_a_patch_of_a_piece_moves_its_parents_forward_and_never_back(adapter: Any) -> None:
    """2.2.1 mod_locations: EVSE and location get the new ``last_updated``, unless theirs is newer."""
    stored = deepcopy(HOUSE) | {"last_updated": T3}
    result = merged(adapter, Kind.LOCATION, stored, ref("e1", "2"), {"voltage": 400, "last_updated": T2})
    first = result["evses"][0]
    assert first["connectors"][1] == connector("2", voltage=400, last_updated=T2)
    assert (first["last_updated"], result["last_updated"]) == (T2, T3)
    assert result["evses"][1] == HOUSE["evses"][1]


@pytest.mark.parametrize("where", [ref("E9"), ref("E1", "9"), ref("E9", "1")])
@pytest.mark.parametrize("adapter", VERSIONS, ids=lambda adapter: adapter.version)
def test_a_patch_of_a_piece_that_isnt_there_is_404(adapter: Any, where: Ref) -> None:
    """So that its owner PUTs it."""
    with pytest.raises(NotFound):
        adapter.merge(Kind.LOCATION, HOUSE, where, {"last_updated": T2}, POLICY)


@pytest.mark.parametrize(
    ("kind", "stored", "where"),
    [
        (Kind.LOCATION, HOUSE, ref()),
        (Kind.LOCATION, HOUSE, ref("E1")),
        (Kind.LOCATION, HOUSE, ref("E1", "1")),
        (Kind.SESSION, session(), SESSION),
        (Kind.TOKEN, {"uid": "04AA"}, TOKEN),
    ],
)
def test_a_patch_of_the_new_version_must_be_stamped(kind: Kind, stored: Json, where: Ref) -> None:
    """2.2.1 asks for ``last_updated`` in each; 2.1.1 doesn't."""
    for fragment in ({}, {"last_updated": None}):
        with pytest.raises(InvalidObject, match=r"\$\.last_updated"):
            NEW.merge(kind, stored, where, fragment, POLICY)
    assert OLD.merge(kind, stored, where, {}, POLICY) == stored


@pytest.mark.parametrize(
    ("kind", "stored", "where", "fragment", "path"),
    [
        (Kind.SESSION, session(), SESSION, {"id": "S2"}, "$.id"),
        (Kind.SESSION, session(), SESSION, {"id": None}, "$.id"),
        (Kind.LOCATION, HOUSE, ref("E1"), {"uid": "E2"}, "$.uid"),
        (Kind.LOCATION, HOUSE, ref("E1", "1"), {"id": 1}, "$.id"),
        (Kind.TOKEN, {"uid": "04AA", "type": "RFID"}, TOKEN, {"type": "OTHER"}, "$.type"),
        (Kind.TOKEN, {"uid": "04AA", "type": "RFID"}, TOKEN, [], "$"),
    ],
)
def test_a_patch_never_makes_it_another_object(kind: Kind, stored: Json, where: Ref, fragment: Any, path: str) -> None:
    """Its id stays, and a token's type; another spelling of the id doesn't replace the first."""
    with pytest.raises(InvalidObject) as caught:
        OLD.merge(kind, stored, where, fragment, POLICY)
    assert caught.value.path == path
    assert merged(OLD, Kind.SESSION, session(), SESSION, {"id": "s1", "kwh": 2})["id"] == "S1"


def test_charging_periods_are_added_in_the_new_version() -> None:
    """2.2.1 mod_sessions PATCH: added to those stored; an empty list or null changes nothing."""
    stored = session(period(T1))
    result = merged(NEW, Kind.SESSION, stored, SESSION, {"charging_periods": [period(T2)], "last_updated": T2})
    assert result["charging_periods"] == [period(T1), period(T2)]
    for nothing in ([], None):
        result = merged(NEW, Kind.SESSION, stored, SESSION, {"charging_periods": nothing, "last_updated": T2})
        assert result["charging_periods"] == [period(T1)]


@pytest.mark.parametrize(
    ("mode", "sent", "expected"),
    [
        ("auto", [T1, T2, T3], [T1, T2, T3]),
        ("auto", [T3], [T1, T2, T3]),
        ("auto", [T2], [T2]),
        ("auto", [], []),
        ("replace", [T3], [T3]),
        ("append", [T1], [T1, T2, T1]),
    ],
)
def test_charging_periods_of_the_old_version_are_what_the_link_takes_them_for(
    mode: str, sent: list[str], expected: list[str]
) -> None:
    """All of them or only new ones; ``auto`` tells by whether the first begins after the last stored."""
    stored = session(period(T1), period(T2))
    fragment = {"charging_periods": [period(start) for start in sent]}
    result = merged(OLD, Kind.SESSION, stored, SESSION, fragment, sessions_periods_mode=mode)
    assert [item["start_date_time"] for item in result["charging_periods"]] == expected


def test_charging_periods_that_are_none_are_left_to_validation() -> None:
    """Merging doesn't judge: what isn't a list, or has no start, comes out as it went in."""
    stored = session(period(T1))
    assert merged(OLD, Kind.SESSION, stored, SESSION, {"charging_periods": "x"})["charging_periods"] == "x"
    assert merged(OLD, Kind.SESSION, stored, SESSION, {"charging_periods": [{}]})["charging_periods"] == [{}]


# Placing


def test_a_piece_is_placed_by_its_id() -> None:
    """It replaces the one with its id, in whatever case, or comes after the others; its parents follow."""
    new = evse("e1", connector("7"), last_updated=T2)
    result = NEW.place(HOUSE, ref("e1"), new)
    assert result["evses"] == [new, HOUSE["evses"][1]]
    assert result["last_updated"] == T2
    result = NEW.place(HOUSE, ref("E3"), evse("E3"))
    assert [item["uid"] for item in result["evses"]] == ["E1", "E2", "E3"]
    result = NEW.place({"id": "L1", "evses": None, "last_updated": T1}, ref("E1"), evse("E1"))
    assert [item["uid"] for item in result["evses"]] == ["E1"]
    result = OLD.place(HOUSE, ref("E2", "2"), connector("2", last_updated=T3))
    assert [item["id"] for item in result["evses"][1]["connectors"]] == ["1", "2"]
    assert (result["evses"][1]["last_updated"], result["last_updated"]) == (T3, T3)


def test_a_connector_needs_its_evse() -> None:
    """An EVSE isn't made up around it."""
    with pytest.raises(NotFound):
        NEW.place(HOUSE, ref("E9", "1"), connector("1"))


# Finding the change


@pytest.mark.parametrize("adapter", VERSIONS, ids=lambda adapter: adapter.version)
def test_who_has_nothing_gets_the_object(adapter: Any) -> None:
    """A PUT; of a CDR its POST, which is never said again."""
    assert found(adapter, Kind.LOCATION, ref(), None, HOUSE) == (
        Change(verb=Verb.PUT, ref=ref(), kind=Kind.LOCATION, body=HOUSE),
    )
    cdr = Ref(owner=EXA, id="C1")
    assert [change.verb for change in found(adapter, Kind.CDR, cdr, None, {"id": "C1"})] == [Verb.POST]
    assert found(adapter, Kind.CDR, cdr, {"id": "C1"}, {"id": "C1", "remark": "x"}) == ()


@pytest.mark.parametrize("adapter", VERSIONS, ids=lambda adapter: adapter.version)
def test_nothing_but_stamps_is_nothing_to_say(adapter: Any) -> None:
    """At any depth; nor are other spellings of the same value."""
    after = deepcopy(HOUSE) | {"last_updated": T2, "directions": [], "images": None}
    after["evses"][0]["last_updated"] = T2
    after["evses"][0]["connectors"][0]["last_updated"] = T2
    assert found(adapter, Kind.LOCATION, ref(), HOUSE, after, "last_updated", "evses") == ()
    before = session(start=T1, kwh=Decimal("1.0"))
    assert found(adapter, Kind.SESSION, SESSION, before, session(start="2026-01-05T10:00:00.000", kwh=1)) == ()


@pytest.mark.parametrize("adapter", VERSIONS, ids=lambda adapter: adapter.version)
def test_a_change_is_said_where_it_is(adapter: Any) -> None:
    """Location, EVSE or connector: its changed fields and its stamp."""
    after = deepcopy(HOUSE) | {"name": "Markt", "last_updated": T2}
    assert found(adapter, Kind.LOCATION, ref(), HOUSE, after) == (
        Change(verb=Verb.PATCH, ref=ref(), kind=Kind.LOCATION, body={"name": "Markt", "last_updated": T2}),
    )
    after = deepcopy(HOUSE) | {"last_updated": T2}
    after["evses"][1] |= {"status": "CHARGING", "last_updated": T2}
    assert found(adapter, Kind.LOCATION, ref(), HOUSE, after) == (
        Change(verb=Verb.PATCH, ref=ref("E2"), kind=Kind.EVSE, body={"status": "CHARGING", "last_updated": T2}),
    )
    after = deepcopy(HOUSE) | {"last_updated": T2}
    after["evses"][0]["connectors"][1] |= {"standard": "CHADEMO", "last_updated": T2}
    assert found(adapter, Kind.LOCATION, ref(), HOUSE, after) == (
        Change(
            verb=Verb.PATCH,
            ref=ref("E1", "2"),
            kind=Kind.CONNECTOR,
            body={"standard": "CHADEMO", "last_updated": T2},
        ),
    )


def said(before: Json, after: Json, kind: Kind = Kind.LOCATION, where: Ref | None = None) -> tuple[Verb, Ref]:
    (change,) = found(NEW, kind, where or ref(), before, after)
    return change.verb, change.ref


def test_a_new_or_shrunken_piece_is_put_and_what_is_gone_is_said_by_its_parent_trap_34() -> None:
    """An EVSE appears by a PUT; a field that vanished makes it one; so does an EVSE or connector that is gone."""
    after = deepcopy(HOUSE)
    after["evses"].append(evse("E3", connector("1")))
    assert said(HOUSE, after) == (Verb.PUT, ref("E3"))
    after = deepcopy(HOUSE)
    del after["evses"][0]["status"]
    assert said(HOUSE, after) == (Verb.PUT, ref("E1"))
    after = deepcopy(HOUSE)
    after["evses"][0]["connectors"][0]["standard"] = None
    assert said(HOUSE, after) == (Verb.PUT, ref("E1", "1"))
    after = deepcopy(HOUSE)
    after["evses"][0]["connectors"].pop()
    assert said(HOUSE, after) == (Verb.PUT, ref("E1"))
    after = deepcopy(HOUSE)
    after["evses"].pop()
    assert said(HOUSE, after) == (Verb.PUT, ref())
    after = deepcopy(HOUSE) | {"name": ""}
    del after["name"]
    assert said(HOUSE, after) == (Verb.PUT, ref())


def test_a_change_that_reaches_out_of_its_piece_climbs() -> None:
    """A new connector is said by its EVSE, a change beside the EVSEs by the location, several EVSEs by a PUT."""
    after = deepcopy(HOUSE)
    after["evses"][1]["connectors"].append(connector("2"))
    assert said(HOUSE, after) == (Verb.PATCH, ref("E2"))
    after = deepcopy(HOUSE) | {"name": "Markt"}
    after["evses"][1]["status"] = "CHARGING"
    assert found(NEW, Kind.LOCATION, ref(), HOUSE, after) == (
        Change(
            verb=Verb.PATCH,
            ref=ref(),
            kind=Kind.LOCATION,
            body={"name": "Markt", "evses": after["evses"], "last_updated": T1},
        ),
    )
    after["evses"].pop()
    assert said(HOUSE, after) == (Verb.PUT, ref())
    after = deepcopy(HOUSE)
    for item in after["evses"]:
        item["status"] = "CHARGING"
    assert said(HOUSE, after) == (Verb.PUT, ref())


def test_touched_fields_go_out_even_if_they_are_equal() -> None:
    """What the sender said again is said again; a list of periods isn't, where saying it adds them."""
    same_again = session(period(T1), last_updated=T2)
    (change,) = found(NEW, Kind.SESSION, SESSION, session(period(T1)), same_again, "kwh", "charging_periods")
    assert (change.verb, change.body) == (Verb.PATCH, {"kwh": Decimal("1.0"), "last_updated": T2})
    assert (
        found(NEW, Kind.SESSION, SESSION, session(period(T1)), same_again, "charging_periods", "meter_id", "id") == ()
    )


def test_added_periods_are_said_as_each_version_means_them_trap_34() -> None:
    """2.2.1 the new ones, 2.1.1 all of them, unless the link adds; rewritten ones are a PUT where a PATCH adds."""
    before = session(period(T1))
    after = session(period(T1), period(T2), kwh=Decimal("2.0"), last_updated=T2)
    (change,) = found(NEW, Kind.SESSION, SESSION, before, after)
    assert (change.verb, change.body["charging_periods"]) == (Verb.PATCH, [period(T2)])
    for mode, sent in (("auto", [period(T1), period(T2)]), ("append", [period(T2)])):
        (change,) = found(OLD, Kind.SESSION, SESSION, before, after, sessions_periods_mode=mode)
        assert (change.verb, change.body["charging_periods"]) == (Verb.PATCH, sent)
    rewritten = session(period(T2), last_updated=T2)
    for adapter, mode, verb in (
        (NEW, "auto", Verb.PUT),
        (OLD, "auto", Verb.PUT),  # it would be taken for a new one
        (OLD, "append", Verb.PUT),
        (OLD, "replace", Verb.PATCH),
    ):
        (change,) = found(adapter, Kind.SESSION, SESSION, before, rewritten, sessions_periods_mode=mode)
        assert change.verb is verb
    for adapter in VERSIONS:
        (change,) = found(adapter, Kind.SESSION, SESSION, before, session())
        assert change.verb is Verb.PUT


def test_what_has_no_patch_is_put_trap_35() -> None:
    """A tariff of 2.2.1, and whatever the link wants whole."""
    before, after = {"id": "T1", "currency": "EUR"}, {"id": "T1", "currency": "SEK"}
    assert found(NEW, Kind.TARIFF, TARIFF, before, after)[0].verb is Verb.PUT
    assert found(OLD, Kind.TARIFF, TARIFF, before, after)[0].verb is Verb.PATCH
    after_token = {"uid": "04AA", "valid": True, "last_updated": T2}
    before_token = {"uid": "04AA", "valid": False, "last_updated": T1}
    (change,) = found(NEW, Kind.TOKEN, TOKEN, before_token, after_token, push_patch_as_put=("tokens",))
    assert (change.verb, change.ref, change.body) == (Verb.PUT, TOKEN, after_token)
    assert found(NEW, Kind.TOKEN, TOKEN, before_token, after_token)[0].verb is Verb.PATCH


def test_a_patch_that_its_receiver_would_refuse_is_a_put() -> None:
    """The type of a token is a part of its name, and no PATCH changes it; nor is an unstamped one sent."""
    before = {"uid": "04AA", "type": "OTHER", "last_updated": T1}
    assert found(OLD, Kind.TOKEN, TOKEN, before, before | {"type": "RFID"})[0].verb is Verb.PUT
    assert found(NEW, Kind.TOKEN, TOKEN, {"uid": "04AA"}, {"uid": "04AA", "valid": True})[0].verb is Verb.PUT


def test_the_url_spells_the_id_as_the_body_does() -> None:
    """An id that has another form in the receiver's version has it in both places."""
    (change,) = found(OLD, Kind.LOCATION, Ref(owner=EXA, id="h-short"), None, HOUSE)
    assert change.ref.id == "L1"


# The law: a receiver that had the one has the other

STAMPS = st.sampled_from([T1, T2, T3])
VALUES = st.none() | st.sampled_from(
    ["a", "b", 1, Decimal("1.0"), True, [], ["x"], ["x", "y"], {"k": "v"}, {"k": None}]
)
EXTRAS = st.dictionaries(st.sampled_from(["f", "g"]), VALUES, max_size=2)
IDS = st.lists(st.sampled_from(["1", "2", "3"]), unique=True, max_size=3)


@st.composite
def pieces(draw: st.DrawFn, name: str, inner: str | None = None) -> list[Json]:
    """Items with ids, stamps and a few fields, perhaps with items of their own."""
    made = [{name: id_, "last_updated": draw(STAMPS)} | draw(EXTRAS) for id_ in draw(IDS)]
    if inner:
        for item in made:
            item[inner] = draw(pieces("id"))
    return made


@st.composite
def locations(draw: st.DrawFn) -> Json:
    return {"id": "L1", "last_updated": draw(STAMPS), "evses": draw(pieces("uid", "connectors"))} | draw(EXTRAS)


@st.composite
def sessions(draw: st.DrawFn) -> Json:
    starts = draw(st.lists(STAMPS, max_size=3))
    periods = [period(start, draw(st.sampled_from(["1.0", "2"]))) for start in starts]
    return {"id": "S1", "last_updated": draw(STAMPS), "charging_periods": periods} | draw(EXTRAS)


@st.composite
def edited(draw: st.DrawFn, objects: st.SearchStrategy[Json]) -> tuple[Json, Json]:
    """Two states of an object: usually a small edit apart, sometimes strangers."""
    before = draw(objects)
    if draw(st.integers(0, 3)) == 0:
        return before, draw(objects)
    after = deepcopy(before)
    target = after
    for name in ("evses", "connectors"):
        if target.get(name) and draw(st.booleans()):
            target = draw(st.sampled_from(target[name]))
    if after.get("charging_periods") is not None and draw(st.booleans()):
        after["charging_periods"].append(period(draw(STAMPS)))
    target |= draw(EXTRAS) | {"last_updated": draw(STAMPS)}
    return before, after


def unstamped(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: unstamped(inner) for name, inner in value.items() if name != "last_updated"}
    return [unstamped(item) for item in value] if isinstance(value, list) else value


def received(adapter: Any, kind: Kind, state: Json, change: Change, policy: Policy) -> Json:
    """What a receiver makes of a request, by the rules of its version."""
    if change.verb is Verb.PATCH:
        result: Json = adapter.merge(kind, state, change.ref, change.body, policy)
    elif change.ref.evse_uid is not None:
        result = adapter.place(state, change.ref, change.body)
    else:
        result = change.body
    return result


@pytest.mark.parametrize("mode", ["auto", "replace", "append"])
@pytest.mark.parametrize("adapter", VERSIONS, ids=lambda adapter: adapter.version)
@given(
    states=st.one_of(
        st.tuples(st.just(Kind.LOCATION), edited(locations())), st.tuples(st.just(Kind.SESSION), edited(sessions()))
    ),
    touched=st.frozensets(st.sampled_from(["f", "evses", "charging_periods", "last_updated"])),
)
def test_the_changes_bring_a_receiver_to_what_is(
    adapter: Any, mode: str, states: tuple[Kind, tuple[Json, Json]], touched: frozenset[str]
) -> None:
    """Applied to what it had, they give what is, stamps inside the object apart; and at most one request does."""
    kind, (before, after) = states
    policy = Policy(sessions_periods_mode=mode)
    where = ref() if kind is Kind.LOCATION else SESSION
    requests = adapter.changes(kind, where, before, after, touched, policy)
    assert len(requests) <= 1
    state = deepcopy(before)
    for change in requests:
        state = received(adapter, kind, state, change, policy)
    assert same(unstamped(state), unstamped(after))
    if requests and requests[0].verb is Verb.PATCH:
        assert None not in requests[0].body.values()


@pytest.mark.parametrize("name", ["location", "session", "token", "tariff"])
@pytest.mark.parametrize(("adapter", "suffix"), [(OLD, "211"), (NEW, "221")], ids=["2.1.1", "2.2.1"])
def test_a_whole_object_equals_itself(adapter: Any, suffix: str, name: str) -> None:
    """No field of a real object differs from itself, however it is spelled."""
    body = getattr(samples, f"{name}_{suffix}")()
    assert found(adapter, Kind(name), Ref(owner=EXA, id="x"), body, deepcopy(body)) == ()
