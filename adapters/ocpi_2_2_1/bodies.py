"""Bodies of OCPI 2.2.1. The canonical form is this version's, so up is validation and down is discretion.

Up, a party's country code that came in three letters is folded to two (2.2.1 has two; peers that were written for 2.1.1
have three), energy that came in Wh becomes kWh, and a result that came as a bare word, as 2.1.1 had it once, becomes an
object. Down, a link is shown the tariffs of the audiences that it asks for (``tariffs.audience``): a tariff for another
one is withheld, and no connector refers to it. This version has words for wholesale and ad hoc, so these two go out if
a link doesn't say what it asks for; what is for others stands on a connector apart (``gateway.model.attached``), and
joins the rest where it is asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, Final

from adapters.fieldmap import Path, crossed, lose, settle, without_unknown
from adapters.lengths import check_lengths, shortened
from adapters.units import in_kwh
from gateway.model.attached import SAYABLE, asked, not_for, raised, without_ours
from gateway.model.country import alpha_2
from gateway.model.document import CLASSES, validate
from gateway.model.facts import UNKNOWN, Crossing, FactKind, Key, Missing, Needs, Translated, Withheld
from gateway.model.modules import Kind
from gateway.model.names import fold
from gateway.model.sessions import SessionStatus

_OWNED: Final = frozenset({Kind.LOCATION, Kind.SESSION, Kind.CDR, Kind.TARIFF, Kind.TOKEN, Kind.CLIENT_INFO})
# Answers that say no more than a word can.
_WORDS: Final = frozenset(
    {Kind.COMMAND_RESULT, Kind.CHARGING_PROFILE_RESULT, Kind.ACTIVE_CHARGING_PROFILE_RESULT, Kind.CLEAR_PROFILE_RESULT}
)
# Where, besides at the top, the parties of an object are: fields with an object, or a list of objects, that names one.
_PARTIES_IN: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.SESSION: ("cdr_token",),
    Kind.CDR: ("cdr_token", "tariffs"),
    Kind.AUTHORIZATION_INFO: ("token",),
    Kind.START_SESSION: ("token",),
    Kind.RESERVE_NOW: ("token",),
    Kind.CREDENTIALS: ("roles",),
}
# Objects with charging periods, and which field of theirs says how much energy that is in kWh.
_MEASURED: Final[Mapping[Kind, str]] = {Kind.SESSION: "kwh", Kind.CDR: "total_energy"}
_RESERVED: Final = "RESERVED"  # what mod_sessions calls it in its text; its enum says RESERVATION
_AUDIENCE: Final = "tariffs.audience"

# What 2.2.1 had when it was published; its corrected text has room for 255 and 45. A strict peer was built from either.
_AS_PUBLISHED: Final = {"address": 45, "state": 20}


def up(kind: Kind, data: Any, crossing: Crossing) -> Translated | Needs:
    """An object of this version in the canonical form: validated, countries of parties alpha-2, energy in kWh.

    Raises:
        InvalidObject: it breaks the specification.
    """
    if kind in _WORDS and isinstance(data, str):
        data = {"result": data}
    if kind is Kind.CLIENT_INFO and isinstance(data, dict) and data.get("last_updated") is None:
        # Required, and missing from the specification's own example of a PUT (mod_hub_client_info): it is news, then.
        data = data | {"last_updated": f"{crossing.facts.now:%Y-%m-%dT%H:%M:%SZ}"}
    check_lengths(CLASSES[kind], data, crossing)
    return crossed(partial(_lift, kind), validate(CLASSES[kind], data), crossing)


def down(kind: Kind, data: Any, crossing: Crossing) -> Translated | Needs:
    """A canonical object as this link may see it.

    Raises:
        InvalidObject: it breaks the specification.
        Withheld: a tariff for an audience that this link isn't.
    """
    outcome = crossed(partial(_lower, kind), validate(CLASSES[kind], data), crossing)
    if isinstance(outcome, Needs):
        return outcome
    return shortened(CLASSES[kind], outcome, crossing, _AS_PUBLISHED if kind is Kind.LOCATION else None)


def _lift(kind: Kind, data: Any, crossing: Crossing, path: Path) -> Any:
    folded = {name: _folded(data[name]) for name in _PARTIES_IN.get(kind, ()) if data.get(name)}
    if any(folded[name] is not data[name] for name in folded):
        data = data | folded
    if kind is Kind.SESSION and data["status"] == _RESERVED:
        data = data | {"status": SessionStatus.RESERVATION.value}
    if kind in _MEASURED and (periods := data.get("charging_periods")):
        measured = in_kwh(periods, data[_MEASURED[kind]], crossing.policy)
        if measured is not periods:
            data = data | {"charging_periods": settle(measured, crossing, path, ("charging_periods",))}
    return _known(kind, without_ours(kind, _folded(data) if kind in _OWNED else data), crossing)


def _lower(kind: Kind, data: Any, crossing: Crossing, path: Path) -> Any:
    said = crossing.policy.tariffs_audience
    audiences: Collection[str] = SAYABLE if said is None else said
    if kind is Kind.TARIFF and (reason := not_for(data, audiences)):
        raise Withheld(reason, policy=_AUDIENCE)
    if audiences is not SAYABLE:
        data = _referring(kind, data, crossing, audiences, ())
    return _known(kind, without_ours(kind, raised(kind, data)), crossing)


def _known(kind: Kind, data: Any, crossing: Crossing) -> Any:
    if crossing.policy.json_unknown_fields == "keep":
        return data
    return without_unknown(CLASSES[kind], data, crossing, "json.unknown_fields")


def _folded(value: Any) -> Any:
    """An object (or list of them) with ``country_code`` in two letters; the same one where it is, or is no country."""
    if isinstance(value, list):
        items = [_folded(item) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    code = value.get("country_code")
    if not isinstance(code, str) or len(code) != 3 or (folded := alpha_2(code)) is None:
        return value
    return value | {"country_code": folded}


def _referring(kind: Kind, data: Any, crossing: Crossing, audiences: Collection[str], path: Path) -> Any:
    """A location, EVSE or connector that refers to tariffs for these audiences only."""
    inner = {Kind.LOCATION: ("evses", Kind.EVSE), Kind.EVSE: ("connectors", Kind.CONNECTOR)}.get(kind)
    if inner is not None and data.get(inner[0]):
        name, item_kind = inner
        items = [
            _referring(item_kind, item, crossing, audiences, (*path, name, index))
            for index, item in enumerate(data[name])
        ]
        return data | {name: items}
    if kind is not Kind.CONNECTOR:
        return data
    named = data.get("tariff_ids") or []
    ids = named if SAYABLE.issubset(audiences) else _shown(named, crossing, audiences, (*path, "tariff_ids"))
    known = set(map(fold, ids))
    ids = [*ids, *(apart.id for apart in asked(data, audiences) if fold(apart.id) not in known)]
    return data if ids == named else data | {"tariff_ids": ids}


def _shown(tariff_ids: list[str], crossing: Crossing, audiences: Collection[str], path: Path) -> list[str]:
    """The ids of tariffs for these audiences. One that nobody knows can't be judged, and stays."""
    try:
        tariffs = crossing.facts.ask_all(Key(FactKind.TARIFF, crossing.owner, id) for id in tariff_ids)
    except Missing as missing:
        crossing.missing |= missing.keys
        return tariff_ids
    shown = []
    for index, (tariff_id, tariff) in enumerate(zip(tariff_ids, tariffs, strict=True)):
        if tariff is not UNKNOWN and (reason := not_for(tariff, audiences)):
            lose(crossing, (*path, index), reason, _AUDIENCE)
        else:
            shown.append(tariff_id)
    return shown
