"""Sessions.

A 2.1.1 session carries its Location with the one EVSE and connector in use; a 2.2.1 session names the three by id. The
Location inside is a snapshot of another object: on the way up only its ids are read, and what is lost of it is the
Location's loss, not the session's; on the way down it is made from the Location that its owner pushed.

Spec: 2.1.1 ``mod_sessions``; 2.2.1 ``mod_sessions``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, field, frozen

from adapters.fieldmap import FieldMap, Path, each, group, inner, lossy, newer, substituted, times, value
from adapters.ocpi_2_1_1 import objects as old
from adapters.ocpi_2_1_1.maps.ids import NOT_AVAILABLE, full_id, owner_country, owner_id, same_id, short_id
from adapters.ocpi_2_1_1.maps.locations import EMBEDDED_LOCATION, NO_POSTAL_CODE
from adapters.ocpi_2_1_1.maps.periods import PERIOD, kwh_of_session, net, without_vat
from adapters.ocpi_2_1_1.maps.tokens import cdr_token, contract
from gateway.model.country import alpha_3
from gateway.model.facts import ABSENT, UNKNOWN, Crossing, FactKind, Key, Lossy, Missing, Withheld
from gateway.model.locations import Status
from gateway.model.sessions import Session
from gateway.model.values import whole_seconds

_POLICY: Final = "sessions.location_missing"

# --- what a session was before --------------------------------------------------------------------------------------


def token_of_session(value: str, source: Mapping[str, Any], crossing: Crossing) -> Any:
    """the token of that contract that was lately used there, or announced; unknown: uid #NA, type OTHER"""
    stored = _stored(source, crossing)
    return cdr_token(value, stored, ids_in_use(source["location"], crossing), source["start_datetime"], crossing)


def reference_of_session(source: Mapping[str, Any], crossing: Crossing) -> Any:
    """the one already known"""
    return (_stored(source, crossing) or {}).get("authorization_reference") or ABSENT


def _stored(source: Mapping[str, Any], crossing: Crossing) -> Mapping[str, Any] | None:
    """The session as it was stored before, in the newest shape."""
    known = crossing.facts.ask(Key(FactKind.SESSION, crossing.owner, source["id"]))
    return None if known is UNKNOWN else known


# --- the place ------------------------------------------------------------------------------------------------------


def ids_of_place(value: Mapping[str, Any], crossing: Crossing) -> Any:
    """the ids of the location, its EVSE and connector; none: #NA"""
    use = place_in_use(value)
    ids: dict[Path, str] = {("id",): value["id"]}
    if use.evse is not None and use.connector is not None:
        ids |= {(*use.at, "uid"): use.evse["uid"], (*use.at, "connectors", 0, "id"): use.connector["id"]}
    outcomes = {at: short_id(id, crossing) for at, id in ids.items()}
    aliased = {at: outcome.reason for at, outcome in outcomes.items() if isinstance(outcome, Lossy)}
    short = [outcome.value if isinstance(outcome, Lossy) else outcome for outcome in outcomes.values()]
    return lossy((*short, NOT_AVAILABLE, NOT_AVAILABLE)[:3], {**aliased, **use.reasons})


@frozen
class InUse:
    """Where in an embedded 2.1.1 Location somebody charges.

    Attributes:
        evse, connector: those in use; None where the location names none.
        at: where that EVSE stands within the location.
        reasons: what that leaves unsaid, by its place within the location.
    """

    evse: Mapping[str, Any] | None = None
    connector: Mapping[str, Any] | None = None
    at: Path = ()
    reasons: Mapping[Path, str] = field(factory=dict)


def place_in_use(location: Mapping[str, Any]) -> InUse:
    """The EVSE and connector of an embedded Location.

    It should have one of each (2.1.1 ``mod_sessions`` 3.1); in the field it has none, or all that there are: then the
    EVSE that is charging counts, else the first.
    """
    evses = location.get("evses") or []
    if not evses:
        return InUse(reasons={("evses",): f"no EVSE is named: {NOT_AVAILABLE}"})
    chosen = next((at for at, evse in enumerate(evses) if evse["status"] == Status.CHARGING), 0)
    evse = evses[chosen]
    reasons: dict[Path, str] = {("evses", at): "only one EVSE is in use" for at in range(len(evses)) if at != chosen}
    for at in range(1, len(evse["connectors"])):
        reasons["evses", chosen, "connectors", at] = "only one connector is in use"
    return InUse(evse, evse["connectors"][0], ("evses", chosen), reasons)


def ids_in_use(location: Mapping[str, Any], crossing: Crossing) -> tuple[str, str]:
    """Location id and EVSE uid of an embedded Location, in the newer version's form; without an EVSE: #NA."""
    evse = place_in_use(location).evse
    ids = [short_id(id, crossing) for id in (location["id"], NOT_AVAILABLE if evse is None else evse["uid"])]
    location_id, evse_uid = (id.value if isinstance(id, Lossy) else id for id in ids)
    return location_id, evse_uid


def place(value: tuple[str, str, str], source: Mapping[str, Any], crossing: Crossing) -> Any:
    """the location as its owner pushed it, with that EVSE and connector; unknown: withholds the session"""
    location_id, evse_uid, connector_id = value
    location = crossing.facts.ask(Key(FactKind.LOCATION, crossing.owner, location_id))
    if location is UNKNOWN:
        return _minimal_place(value, source, crossing)
    evse = _found(location.get("evses") or [], "uid", evse_uid)
    connector = _found(evse["connectors"], "id", connector_id) if evse else None
    if evse and connector:
        evse = {**evse, "connectors": [connector]}
    reasons: dict[Path, str] = {}
    if evse is None and evse_uid != NOT_AVAILABLE:
        reasons["evse_uid",] = "the location has no such EVSE"
    if connector is None and connector_id != NOT_AVAILABLE:
        reasons["connector_id",] = "the location has no such connector"
    return lossy(_embedded({**location, "evses": [evse] if evse else []}, crossing), reasons)


def _found(items: list[Any], name: str, id: str) -> Any | None:
    return next((item for item in items if same_id(item[name], id)), None)


def _embedded(location: Mapping[str, Any], crossing: Crossing) -> dict[str, Any]:
    """A canonical Location in 2.1.1 form, as a snapshot: its losses are its own, and it doesn't change with time."""
    apart = evolve(crossing, losses=[], missing=set(), until=None)
    embedded = EMBEDDED_LOCATION.lower(location, apart, ())
    if apart.missing:
        raise Missing(apart.missing)
    if not embedded["evses"]:
        del embedded["evses"]
    return embedded


def _minimal_place(value: tuple[str, str, str], source: Mapping[str, Any], crossing: Crossing) -> Any:
    """What a link gets that would rather have a made-up location than no session."""
    if crossing.policy.sessions_location_missing != "minimal":
        raise Withheld("nobody knows its location, which must be told with it", policy=_POLICY, status=2003)
    location_id, evse_uid, connector_id = value
    updated = whole_seconds(source["last_updated"])
    country = crossing.owner.country_code if crossing.owner else NO_POSTAL_CODE.value
    minimal: dict[str, Any] = {
        "id": full_id(location_id, crossing),
        "type": old.LocationType.UNKNOWN.value,
        "address": NO_POSTAL_CODE.value,
        "city": NO_POSTAL_CODE.value,
        "postal_code": NO_POSTAL_CODE.value,
        "country": alpha_3(country) or country,
        "coordinates": {"latitude": "0.000000", "longitude": "0.000000"},
        "last_updated": updated,
    }
    if NOT_AVAILABLE not in (evse_uid, connector_id):
        connector = {"id": connector_id, **_ANY_PLUG, "last_updated": updated}
        evse = {"uid": full_id(evse_uid, crossing), "status": Status.UNKNOWN.value}
        minimal["evses"] = [{**evse, "connectors": [connector], "last_updated": updated}]
    return Lossy(minimal, "nobody knows its location: one is made up from its ids", _POLICY, ("location_id",))


_ANY_PLUG: Final = {
    "standard": "IEC_62196_T2",
    "format": "SOCKET",
    "power_type": "AC_1_PHASE",
    "voltage": 0,
    "amperage": 0,
}

SESSION = FieldMap(
    Session,
    inner(),
    newer("country_code", default=owner_country),
    newer("party_id", default=owner_id),
    times("last_updated", start_datetime="start_date_time", end_datetime="end_date_time"),
    group(
        "auth_id",
        "cdr_token",
        up=token_of_session,
        down=contract,
        loses="uid and type of the token",
        reads=("id",),  # only what is new looks at place and start; a stored session keeps its token
    ),
    value("auth_method", down=substituted({"COMMAND": "AUTH_REQUEST"}), loses="COMMAND"),
    newer("authorization_reference", default=reference_of_session, loses="the eMSP's reference"),
    group(
        "location",
        ("location_id", "evse_uid", "connector_id"),
        up=ids_of_place,
        down=place,
        loses="an EVSE or connector that isn't there",
    ),
    each("charging_periods", PERIOD, up=kwh_of_session, reads=("kwh",)),
    value("total_cost", up=net, down=without_vat, loses="the price with VAT"),
    # RESERVED is what the flow in 2.2.1 ``mod_sessions`` calls it; the enum says RESERVATION.
    value("status", down=substituted({"RESERVATION": "PENDING", "RESERVED": "PENDING"}), loses="RESERVATION"),
    older=old.Session,
)
