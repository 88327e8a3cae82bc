"""What becomes of each object between 2.1.1 and the next newer version: one field map per kind.

``up`` and ``down`` first judge the object by its own version's classes, so that a mistake is named where its sender
finds it; then the map does its work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from attrs import evolve

from adapters.fieldmap import Compiled, FieldMap, crossed, without_unknown
from adapters.lengths import check_lengths, shortened
from adapters.ocpi_2_1_1.maps.cdrs import CDR_MAP
from adapters.ocpi_2_1_1.maps.commands import (
    COMMAND_RESPONSE,
    COMMAND_RESULT,
    RESERVE_NOW,
    START_SESSION,
    STOP_SESSION,
    UNLOCK_CONNECTOR,
)
from adapters.ocpi_2_1_1.maps.credentials import CREDENTIALS
from adapters.ocpi_2_1_1.maps.locations import CONNECTOR, EVSE_MAP, LOCATION
from adapters.ocpi_2_1_1.maps.sessions import SESSION
from adapters.ocpi_2_1_1.maps.tariffs import TARIFF
from adapters.ocpi_2_1_1.maps.tokens import AUTHORIZATION_INFO, LOCATION_REFERENCES, TOKEN
from gateway.model.attached import raised
from gateway.model.country import alpha_2
from gateway.model.document import validate
from gateway.model.facts import Crossing, Needs, Translated, Withheld
from gateway.model.modules import Kind
from gateway.model.party import Party
from gateway.model.policy import dotted
from gateway.model.tables import MapTable

MAPS: Final[dict[Kind, FieldMap]] = {
    Kind.LOCATION: LOCATION,
    Kind.EVSE: EVSE_MAP,
    Kind.CONNECTOR: CONNECTOR,
    Kind.SESSION: SESSION,
    Kind.CDR: CDR_MAP,
    Kind.TARIFF: TARIFF,
    Kind.TOKEN: TOKEN,
    Kind.AUTHORIZATION_INFO: AUTHORIZATION_INFO,
    Kind.LOCATION_REFERENCES: LOCATION_REFERENCES,
    Kind.CREDENTIALS: CREDENTIALS,
    Kind.START_SESSION: START_SESSION,
    Kind.STOP_SESSION: STOP_SESSION,
    Kind.RESERVE_NOW: RESERVE_NOW,
    Kind.UNLOCK_CONNECTOR: UNLOCK_CONNECTOR,
    Kind.COMMAND_RESPONSE: COMMAND_RESPONSE,
    Kind.COMMAND_RESULT: COMMAND_RESULT,
}

_UNKNOWN_FIELDS: Final = dotted("json_unknown_fields")


def up(kind: Kind, data: Any, crossing: Crossing) -> Translated | Needs:
    """A 2.1.1 object in the next newer version's form.

    Raises:
        InvalidObject: it breaks 2.1.1.
        Withheld: it can't be said there.
    """
    fieldmap = _map(kind)
    check_lengths(fieldmap.older, data, crossing)
    if not (isinstance(data, str) and fieldmap.older is COMMAND_RESPONSE.older):
        return _crossed(fieldmap.lift, fieldmap.older, validate(fieldmap.older, data), crossing)
    # Before its correction (2.1.1-d2, changelog) the specification had a bare string here; no pointer leads into one.
    outcome = _crossed(fieldmap.lift, fieldmap.older, {"result": data}, crossing)
    if isinstance(outcome, Translated):
        outcome = evolve(outcome, losses=tuple(evolve(loss, pointer="") for loss in outcome.losses))
    return outcome


def down(kind: Kind, data: Any, crossing: Crossing) -> Translated | Needs:
    """An object of the next newer version in 2.1.1 form.

    Raises:
        InvalidObject: it breaks its own version.
        Withheld: it must not be shown to this receiver, or 2.1.1 can't say it.
    """
    fieldmap = _map(kind)
    valid = raised(kind, validate(fieldmap.cls, data))
    if kind is not Kind.CREDENTIALS:
        crossing.owner = _owner(valid) or crossing.owner
    outcome = _crossed(fieldmap.lower, fieldmap.cls, valid, crossing)
    return shortened(fieldmap.older, outcome, crossing) if isinstance(outcome, Translated) else outcome


def touched(kind: Kind, names: Iterable[str], *, up: bool) -> frozenset[str]:
    """The fields on the other side whose value may change when these fields do.

    Args:
        names: top-level fields of a 2.1.1 object (up), or of the next newer version's (down).
    """
    return _map(kind).touched(names, up=up)


def tables(kind: Kind | None = None) -> Iterator[MapTable]:
    """The maps as a person reads them, each once: of one kind with what it contains, or of all.

    Raises:
        Withheld: 2.1.1 has no such object.
    """
    fieldmaps = MAPS.values() if kind is None else [_map(kind)]
    yield from {table.title: table for fieldmap in fieldmaps for table in fieldmap.tables()}.values()


def _map(kind: Kind) -> FieldMap:
    try:
        return MAPS[kind]
    except KeyError:
        raise Withheld(f"OCPI 2.1.1 has no {kind}") from None


def _crossed(convert: Compiled, cls: type, data: Any, crossing: Crossing) -> Translated | Needs:
    if crossing.policy.json_unknown_fields != "drop":
        return crossed(convert, data, crossing)

    def known_only(source: Any, crossing: Crossing, path: Any) -> Any:
        return convert(without_unknown(cls, source, crossing, _UNKNOWN_FIELDS), crossing, path)

    return crossed(known_only, data, crossing)


def _owner(data: Any) -> Party | None:
    """Whose an object of the newer version is; of a command, whose token it carries."""
    owned = data.get("token", data)
    country, party_id = owned.get("country_code"), owned.get("party_id")
    return Party(alpha_2(country) or country, party_id) if country and party_id else None
