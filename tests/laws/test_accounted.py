"""Every field of both versions' tables is accounted for: by a row, or by being the same in both."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest
from attrs import frozen

from adapters.fieldmap import FieldMap, MapError, Nested, newer, rename, times, value
from adapters.ocpi_2_1_1 import objects as old
from adapters.ocpi_2_1_1.maps import MAPS
from gateway.model.document import CLASSES, Sequence, Shape, Structured, shape
from gateway.model.modules import Kind
from gateway.model.types import DateTime

NEWER_ONLY = {
    Kind.CANCEL_RESERVATION,
    Kind.CHARGING_PREFERENCES,
    Kind.SET_CHARGING_PROFILE,
    Kind.ACTIVE_CHARGING_PROFILE,
    Kind.CHARGING_PROFILE_RESPONSE,
    Kind.CHARGING_PROFILE_RESULT,
    Kind.ACTIVE_CHARGING_PROFILE_RESULT,
    Kind.CLEAR_PROFILE_RESULT,
    Kind.CLIENT_INFO,
}
NOT_TRANSLATED = {old.Version, old.VersionDetails, old.Endpoint}  # each version's adapter writes its own


def every_map() -> list[FieldMap]:
    found: dict[str, FieldMap] = {}
    todo = list(MAPS.values())
    while todo:
        fieldmap = todo.pop()
        found[fieldmap.title] = fieldmap
        todo += [row.map for row in fieldmap.rows if isinstance(row, Nested)]
    return list(found.values())


def classes_in(wanted: Shape) -> Iterator[type]:
    match wanted:
        case Structured(cls, fields):
            yield cls
            for each in fields.values():
                yield from classes_in(each.shape)
        case Sequence(item):
            yield from classes_in(item)


@pytest.mark.parametrize("fieldmap", every_map(), ids=lambda fieldmap: fieldmap.title)
def test_every_field_has_a_row_or_is_the_same(fieldmap: FieldMap) -> None:
    """A field of either class stands in exactly one row, or has the same name and look on the other side."""
    olds = [name for row in fieldmap.rows for name in row.older]
    news = [name for row in fieldmap.rows for name in row.newer]
    assert len(olds) == len(set(olds))
    assert len(news) == len(set(news))
    older = {attribute.name for attribute in attrs.fields(fieldmap.older)}
    newest = {attribute.name for attribute in attrs.fields(fieldmap.cls)}
    assert older - set(olds) == newest - set(news)


def test_every_kind_has_a_map() -> None:
    """Each object of the canonical model has a map to 2.1.1, but for those that 2.1.1 doesn't have."""
    assert set(CLASSES) - set(MAPS) == NEWER_ONLY


def test_every_class_is_reached() -> None:
    """Each class of 2.1.1 is reached from a map: translated by one, or the same in both versions."""
    reached = {cls for fieldmap in every_map() for cls in classes_in(shape(fieldmap.older))}
    own = (cls for cls in vars(old).values() if isinstance(cls, type) and cls.__module__ == old.__name__)
    classes = {cls for cls in own if attrs.has(cls)}
    assert classes - reached == NOT_TRANSLATED


# --- and a map that forgets something can't be made -----------------------------------------------------------------


@frozen(kw_only=True)
class Old:
    id: str
    voltage: int
    since: DateTime


@frozen(kw_only=True)
class New:
    id: str
    max_voltage: int
    since: DateTime
    group: str | None = None


RENAMED = rename("voltage", "max_voltage")
SINCE = times("since")
GROUP = newer("group", loses="its group")


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ((RENAMED, SINCE), "only one version has ['group']"),
        ((GROUP, SINCE), "only one version has ['max_voltage', 'voltage']"),
        ((RENAMED, GROUP), "New.since: a moment: that needs a row"),
        ((rename("voltage", "max_volts"), GROUP, SINCE), "the newer version has no ['max_volts']; it has ['id', 'max_"),
        ((rename("volts", "max_voltage"), GROUP, SINCE), "the older version has no ['volts']; it has ['id', 'voltage'"),
        ((RENAMED, RENAMED, GROUP, SINCE), "more than one row for ['voltage']"),
        ((RENAMED, GROUP, SINCE, value("id", up=lambda wert: wert)), "wants ['wert']; a converter can have value, so"),
    ],
)
def test_a_map_that_doesnt_fit_dies_at_import(rows: tuple[object, ...], complaint: str) -> None:
    """A typo or a forgotten difference is refused when the map is made, and the message names what there is."""
    with pytest.raises(MapError) as error:
        FieldMap(New, *rows, older=Old)  # type: ignore[arg-type]
    assert complaint in str(error.value)


@pytest.mark.parametrize(
    ("older", "newest", "complaint"),
    [
        (old.Location, CLASSES[Kind.LOCATION], "id: 39 characters in one version, 36 in the other"),
        (old.Connector, CLASSES[Kind.CONNECTOR], "standard: its enumeration has other values"),
        (old.Hours, shape(CLASSES[Kind.LOCATION]).fields["opening_times"].shape.cls, "required in one version only"),  # type: ignore[attr-defined]
    ],
)
def test_tables_that_differ_need_a_row(older: type, newest: type, complaint: str) -> None:
    """A length, an enumeration or a cardinality that differs can't pass unmentioned."""
    only_older = {each.name for each in attrs.fields(older)} - {each.name for each in attrs.fields(newest)}
    only_newer = {each.name for each in attrs.fields(newest)} - {each.name for each in attrs.fields(older)}
    rows = [newer(name) for name in only_newer] + [_older(name) for name in only_older]
    with pytest.raises(MapError, match=complaint):
        FieldMap(newest, *rows, older=older)


def _older(name: str) -> object:
    from adapters.fieldmap import older

    return older(name)
