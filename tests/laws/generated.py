"""Objects of every kind and both versions, generated from the classes, with what a translation must know of them.

A strategy follows the shapes that validation follows: known values of an enumeration mostly, unknown ones sometimes;
optional fields there, null or absent; unknown fields sprinkled at every depth. Where a text has a form that no type
tells (coordinates, times of day, countries), the field's name decides.

``facts_for`` is the world around a generated object: whatever it refers to is known, so that what is lost is lost by
the version and not by ignorance.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from hypothesis import strategies as st

from adapters.ocpi_2_1_1.maps import MAPS
from gateway.model.document import Boolean, Integer, Numeric, Sequence, Shape, Structured, Text, shape
from gateway.model.facts import Asked, Crossing, FactKind, Facts, Key, Loss
from gateway.model.modules import Kind
from gateway.model.party import Party
from gateway.model.policy import Policy
from gateway.model.types import DateTime
from gateway.model.values import same, says_nothing

Json = dict[str, Any]
Path = tuple[str | int, ...]

CPO = Party("NL", "EXA")
EMSP = Party("DE", "ACM")
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
TOKENS = frozenset(
    {Kind.TOKEN, Kind.AUTHORIZATION_INFO, Kind.START_SESSION, Kind.RESERVE_NOW, Kind.STOP_SESSION, Kind.CREDENTIALS}
)
"""Kinds whose owner is the eMSP."""

A_MOMENT = shape(DateTime)
UNKNOWN = "x_generated"
"""How names of unknown fields begin."""

# --- strategies -----------------------------------------------------------------------------------------------------

LETTERS = string.ascii_letters + string.digits + "*-"


def _moments(older: bool) -> st.SearchStrategy[str]:
    moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(
        lambda m: m.replace(microsecond=0).isoformat()
    )
    endings = ["Z", "Z", "Z", "", "+00:00", "+02:00"] + ([] if older else [".250Z", ".000Z"])
    return st.builds(lambda moment, ending: moment + ending, moments, st.sampled_from(endings))


def _coordinates(older: bool) -> st.SearchStrategy[str]:
    places = st.just(6) if older else st.integers(5, 7)
    return st.builds(lambda n, p: f"{Decimal(n).scaleb(-p):.{p}f}", st.integers(-8_900_000, 8_900_000), places)


def _named(name: str, older: bool) -> st.SearchStrategy[Any] | None:
    """Values for fields whose form no type tells."""
    if name in ("latitude", "longitude"):
        return _coordinates(older)
    return {
        "country": st.sampled_from(["NLD", "DEU", "ESP", "EST"]),
        "country_code": st.just(CPO.country_code),
        "party_id": st.just(CPO.party_id),
        "publish": st.sampled_from([True, True, True, True, True, True, True, False]),
        "credit": st.just(False),
        "home_charging_compensation": st.just(False),
        "postal_code": st.sampled_from(["3511AA", "10115"]),
        "reservation_id": st.integers(1, 99_999) if older else st.integers(1, 99_999).map(str),
        "max_voltage": st.integers(1, 1000),
        "max_amperage": st.integers(0, 500),
        "max_electric_power": st.integers(1, 400_000),
    }.get(name)


def _text(text: Text, older: bool) -> st.SearchStrategy[str]:
    if text.form is not None and text.form == A_MOMENT.form:  # type: ignore[attr-defined]  # it is a Text
        return _moments(older)
    if text.known is not None:
        known = st.sampled_from(sorted(value.value for value in text.known))
        return st.one_of(known, known, known, known, known, st.just("MOON_BASE"))
    limit = text.limit or 255
    lengths = st.one_of(st.integers(1, min(limit, 12)), st.integers(max(1, limit - 2), limit))
    return lengths.flatmap(lambda length: st.text(LETTERS, min_size=length, max_size=length))


def values(wanted: Shape, older: bool, name: str = "") -> st.SearchStrategy[Any]:
    """Values of a shape."""
    if (named := _named(name, older)) is not None:
        return named
    match wanted:
        case Boolean():
            return st.booleans()
        case Integer():
            return st.integers(0, 1000)
        case Numeric():
            return st.one_of(st.integers(0, 1000), st.decimals(0, 1000, places=2))
        case Text():
            return _text(wanted, older)
        case Sequence():
            return st.lists(values(wanted.item, older), min_size=int(wanted.filled), max_size=2)
        case Structured():
            return objects(wanted, older)
        case _:
            raise AssertionError(wanted)


def objects(wanted: Structured, older: bool) -> st.SearchStrategy[Json]:
    """Objects of a shape, here and there with an unknown field."""
    required = {n: values(f.shape, older, n) for n, f in wanted.fields.items() if f.required}
    optional = {n: _or_null(values(f.shape, older, n)) for n, f in wanted.fields.items() if not f.required}
    unknown = st.one_of(st.none(), st.none(), st.integers(0, 9), st.just([1, {"deep": "er"}]))
    plain = st.fixed_dictionaries(required, optional=optional)
    return st.builds(lambda thing, more: thing if more is None else {**thing, UNKNOWN: more}, plain, unknown)


def _or_null(content: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(content, content, content, content, content, content, st.none())


@cache
def older_objects(kind: Kind) -> st.SearchStrategy[Json]:
    """2.1.1 objects of a kind."""
    return _of(kind, MAPS[kind].older, older=True)


@cache
def newer_objects(kind: Kind) -> st.SearchStrategy[Json]:
    """Objects of a kind in the newer form."""
    return _of(kind, MAPS[kind].cls, older=False)


def _of(kind: Kind, cls: type, *, older: bool) -> st.SearchStrategy[Json]:
    wanted = shape(cls)
    assert isinstance(wanted, Structured)
    return objects(wanted, older).map(lambda thing: _owned(kind, thing))


def _owned(kind: Kind, thing: Json) -> Json:
    """The object with its token owned by the eMSP, and a CDR's first tariff in force throughout."""
    for token in (thing.get("token"), thing.get("cdr_token"), thing if kind is Kind.TOKEN else None):
        if token and "country_code" in token:
            token["country_code"], token["party_id"] = EMSP.country_code, EMSP.party_id
    if kind is Kind.CDR and "country_code" in thing and (tariffs := thing.get("tariffs")):
        # Where only one of several can be said, the way back takes that one for the tariff of every period.
        for period in thing["charging_periods"]:
            period["tariff_id"] = tariffs[0]["id"]
    return thing


# --- the world around an object -------------------------------------------------------------------------------------


def owner_of(kind: Kind) -> Party:
    return EMSP if kind in TOKENS else CPO


def crossing(kind: Kind, thing: Json, facts: Facts, policy: Policy | None = None) -> Crossing:
    """The way of an object, whichever way it goes."""
    return Crossing(
        facts=facts,
        policy=policy or Policy(),
        owner=None if kind is Kind.CREDENTIALS else owner_of(kind),
        peer=CPO if kind in (Kind.START_SESSION, Kind.RESERVE_NOW, Kind.UNLOCK_CONNECTOR) else EMSP,
        asked=Asked(token=thing.get("token"), references=thing.get("location")),
        role=thing["roles"][0]["role"] if "roles" in thing else "CPO",
    )


def facts_for(kind: Kind, *things: Json) -> Facts:
    """What is known around objects: of a session its location, of sessions and CDRs their tokens."""
    known: dict[Key, Any] = {}
    for thing in things:
        if kind is Kind.SESSION and "location_id" in thing:
            known[Key(FactKind.LOCATION, CPO, thing["location_id"])] = _location_of(thing)
        if (token := thing.get("cdr_token")) and kind in (Kind.SESSION, Kind.CDR):
            whole = {**token, "last_updated": "2026-01-01T00:00:00Z"}
            known[Key(FactKind.TOKENS_OF_CONTRACT, None, token["contract_id"])] = [whole]
    return Facts(known, now=NOW, complete=True)


def _location_of(session: Json) -> Json:
    """The location that a session names, in the newer form."""
    plug = {
        "id": session["connector_id"],
        "standard": "IEC_62196_T2",
        "format": "SOCKET",
        "power_type": "AC_3_PHASE",
        "max_voltage": 230,
        "max_amperage": 16,
        "last_updated": "2026-01-01T00:00:00Z",
    }
    evse = {
        "uid": session["evse_uid"],
        "status": "CHARGING",
        "connectors": [plug],
        "last_updated": "2026-01-01T00:00:00Z",
    }
    return {
        "country_code": CPO.country_code,
        "party_id": CPO.party_id,
        "id": session["location_id"],
        "publish": False,
        "address": "Plein 1",
        "city": "Utrecht",
        "country": "NLD",
        "coordinates": {"latitude": "52.090737", "longitude": "5.121420"},
        "evses": [evse],
        "time_zone": "Europe/Amsterdam",
        "last_updated": "2026-01-01T00:00:00Z",
    }


def learned(facts: Facts, way: Crossing) -> Facts:
    """The facts with what a way up has yielded."""
    return facts | way.learned


# --- comparing ------------------------------------------------------------------------------------------------------

# What a version means by saying nothing: equal to saying it.
IMPLIED = {"credit": False, "home_charging_compensation": False, "twentyfourseven": False, "publish": True}


def differences(one: Any, other: Any, lost: frozenset[str], path: Path = ()) -> Iterator[str]:
    """Pointers to where two objects differ, but for what was declared as lost.

    A ``*`` in a declared pointer stands for any place in a list.
    """
    if _declared(path, lost) or _alike(one, other, path):
        return
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one.keys() | other.keys():
            yield from differences(_said(one, name), _said(other, name), lost, (*path, name))
        return
    if isinstance(one, list) and isinstance(other, list):
        yield from _in_lists(one, other, lost, path)
        return
    yield _pointer(path)


def _in_lists(one: list[Any], other: list[Any], lost: frozenset[str], path: Path) -> Iterator[str]:
    kept = [index for index in range(len(one)) if not _declared((*path, index), lost)]
    if len(kept) != len(other):
        # An item that went may have been replaced by another one, and places may have shifted.
        if len(kept) == len(one):
            yield _pointer(path)
        return
    for index, item in zip(kept, other, strict=True):
        yield from differences(one[index], item, lost, (*path, index))


def _alike(one: Any, other: Any, path: Path) -> bool:
    if same(one, other) or (_blank(one) and _blank(other)):
        return True
    if path and path[-1] in ("latitude", "longitude"):
        return Decimal(one) == Decimal(other)
    return False


def _said(thing: Mapping[str, Any], name: str) -> Any:
    content = thing.get(name)
    return None if name in IMPLIED and content == IMPLIED[name] else content


def _blank(value: Any) -> bool:
    return says_nothing(value) or (isinstance(value, dict) and all(_blank(_said(value, name)) for name in value))


def _declared(path: Path, lost: frozenset[str]) -> bool:
    return _pointer(path) in lost or any_place(_pointer(path)) in lost


def any_place(pointer: str) -> str:
    """The pointer with ``*`` for each place in a list: places shift when something before them is left out."""
    return re.sub(r"/\d+(?=/|$)", "/*", pointer)


def _pointer(path: Iterable[str | int]) -> str:
    return "".join(f"/{step}" for step in path)


def pointers(losses: Iterable[Loss]) -> frozenset[str]:
    return frozenset(loss.pointer for loss in losses)


# --- unknown fields -------------------------------------------------------------------------------------------------


def marked(thing: Any, name: Callable[[Path], str], path: Path = ()) -> Any:
    """A copy in which every object, at every depth, has an unknown field named after its place."""
    if isinstance(thing, list):
        return [marked(item, name, (*path, index)) for index, item in enumerate(thing)]
    if not isinstance(thing, dict):
        return deepcopy(thing)
    inner = {key: marked(content, name, (*path, key)) for key, content in thing.items() if key != UNKNOWN}
    return {**inner, name(path): "kept"}
