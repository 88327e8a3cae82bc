"""CDRs: what is billed.

Nothing that an eMSP could bill by is left out quietly, and nothing that would make it bill wrongly is sent: a credit
CDR would be read as a second bill (2.1.1 knows no credit), a CDR for charging at home as one to be paid by the driver.
What a CDR itself says of its location wins over what is stored: it is sealed when the session starts. The stored
Location only fills in what 2.1.1 requires besides.

Spec: 2.1.1 ``mod_cdrs``; 2.2.1 ``mod_cdrs``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from adapters.fieldmap import (
    FieldMap,
    Path,
    each,
    group,
    inner,
    inside,
    lossy,
    newer,
    older,
    same,
    substituted,
    times,
    value,
)
from adapters.ocpi_2_1_1 import objects as old
from adapters.ocpi_2_1_1.maps.ids import (
    NOT_AVAILABLE,
    country_of_place,
    full_id,
    owner_country,
    owner_id,
    same_id,
    short_id,
)
from adapters.ocpi_2_1_1.maps.locations import (
    EMBEDDED_CONNECTOR,
    GEO_LOCATION,
    NO_POSTAL_CODE,
    SUBSTITUTE_POWER_TYPES,
    location_type,
    real_postal_code,
    recorded_plug,
)
from adapters.ocpi_2_1_1.maps.periods import PERIOD, kwh_of_cdr, net, without_vat
from adapters.ocpi_2_1_1.maps.sessions import ids_in_use, place_in_use
from adapters.ocpi_2_1_1.maps.tariffs import TARIFF_IN_CDR
from adapters.ocpi_2_1_1.maps.tokens import cdr_token, contract
from gateway.model.attached import TARIFF_IDS
from gateway.model.cdrs import CDR, CdrLocation
from gateway.model.facts import ABSENT, UNKNOWN, Crossing, FactKind, Key, Lossy, Withheld
from gateway.model.locations import Status
from gateway.model.values import moment, says_nothing, whole_seconds

_CREDIT_POLICY: Final = "cdrs.credit"
_HOME_POLICY: Final = "cdrs.home_charging"
_PLUG_POLICY: Final = "locations.unknown_connector"

# --- the location inside --------------------------------------------------------------------------------------------

_EVSE_CARRIED: Final = frozenset({"uid", "evse_id", "connectors"})
_CONNECTOR_CARRIED: Final = frozenset({"id", "standard", "format", "power_type"})
_LOCATION_PART: Final = "this part of a location"

# For a reservation that never became a session any plug may be said. 2.2.1 ``mod_cdrs``, CdrLocation class.
_NO_EVSE: Final = (NOT_AVAILABLE, NOT_AVAILABLE, NOT_AVAILABLE, "IEC_62196_T2", "SOCKET", "AC_3_PHASE")


def evse_in_use(value: list[Any], source: Mapping[str, Any], crossing: Crossing) -> Any:
    """the EVSE and connector in use; none: #NA"""
    use = place_in_use({"evses": value})
    if use.evse is None or use.connector is None:
        return no_evse()
    inner = (*use.at[1:], "connectors", 0)
    reasons: dict[Path, str] = {at[1:]: reason for at, reason in use.reasons.items()}
    reasons |= _beyond(use.evse, _EVSE_CARRIED, use.at[1:]) | _beyond(use.connector, _CONNECTOR_CARRIED, inner)
    uid = short_id(use.evse["uid"], crossing)
    if isinstance(uid, Lossy):
        reasons[*use.at[1:], "uid"] = uid.reason
        uid = uid.value
    evse_id = use.evse.get("evse_id") or _stored_evse(source["id"], uid, crossing).get("evse_id")
    if not evse_id:
        reasons[*use.at[1:], "evse_id"] = f"no EVSE id is known: {NOT_AVAILABLE}"
    plug = use.connector
    ids = (uid, evse_id or NOT_AVAILABLE, plug["id"])
    return lossy((*ids, plug["standard"], plug["format"], plug["power_type"]), reasons)


def _beyond(thing: Mapping[str, Any], carried: frozenset[str], at: Path) -> dict[Path, str]:
    beyond = [name for name, content in thing.items() if name not in carried and not says_nothing(content)]
    return {(*at, name): f"no room for {_LOCATION_PART}" for name in beyond}


def no_evse() -> Any:
    """#NA"""
    return Lossy(_NO_EVSE, f"no EVSE is named: {NOT_AVAILABLE}")


def evse_of_record(value: tuple[Any, ...], source: Mapping[str, Any], crossing: Crossing) -> Any:
    """an EVSE with its connector; voltage and amperage from the stored location, else 0; #NA: none"""
    evse_uid, evse_id, connector_id, standard, plug_format, power_type = value
    if NOT_AVAILABLE in (evse_uid, connector_id):
        return ABSENT if evse_uid == NOT_AVAILABLE else Lossy(ABSENT, "no connector is named", at=("evse_uid",))
    reasons: dict[Path, str] = {}
    stored = _stored_connector(source["id"], evse_uid, connector_id, crossing)
    if stored is None:
        reasons["max_voltage",] = reasons["max_amperage",] = "not known: 0"
    plug = recorded_plug(standard, power_type, crossing)
    power = SUBSTITUTE_POWER_TYPES.get(power_type, power_type)
    if power != power_type:
        reasons["connector_power_type",] = f"{power_type} is written {power}"
    connector = {
        "id": connector_id,
        "standard": plug.value if isinstance(plug, Lossy) else plug,
        "format": plug_format,
        "power_type": power,
        "voltage": stored["voltage"] if stored else 0,
        "amperage": stored["amperage"] if stored else 0,
    }
    evse = {"uid": full_id(evse_uid, crossing), "status": Status.UNKNOWN.value, "connectors": [connector]}
    evses = lossy([evse if evse_id == NOT_AVAILABLE else {**evse, "evse_id": evse_id}], reasons)
    return Lossy(evses, plug.reason, _PLUG_POLICY, ("connector_standard",)) if isinstance(plug, Lossy) else evses


def stored_type(source: Mapping[str, Any], crossing: Crossing) -> Any:
    """that of the stored location, else UNKNOWN"""
    parking_type = _stored(source["id"], crossing).get("parking_type")
    outcome = location_type(parking_type) if parking_type else old.LocationType.UNKNOWN.value
    return outcome.value if isinstance(outcome, Lossy) else outcome


def known_type(value: str) -> Any:
    """UNKNOWN says nothing"""
    return ABSENT if value == old.LocationType.UNKNOWN else None


def _stored(location_id: str, crossing: Crossing) -> Mapping[str, Any]:
    """The Location as its owner pushed it, in the newest shape; empty if nobody knows it."""
    known = crossing.facts.ask(Key(FactKind.LOCATION, crossing.owner, location_id))
    return {} if known is UNKNOWN else known


def _stored_evse(location_id: str, uid: str, crossing: Crossing) -> Mapping[str, Any]:
    evses = _stored(location_id, crossing).get("evses") or []
    return next((evse for evse in evses if same_id(evse["uid"], uid)), {})


def _stored_connector(location_id: str, uid: str, id: str, crossing: Crossing) -> Mapping[str, Any] | None:
    """A stored connector in 2.1.1 form, for its voltage and amperage."""
    connectors = _stored_evse(location_id, uid, crossing).get("connectors") or []
    found = next((connector for connector in connectors if same_id(connector["id"], id)), None)
    if found is None:
        return None
    apart = Crossing(facts=crossing.facts.completed(), policy=crossing.policy, owner=crossing.owner)
    return EMBEDDED_CONNECTOR.lower({**found, "tariff_ids": None, TARIFF_IDS: None}, apart, ())


def stamped(value: dict[str, Any], source: Mapping[str, Any]) -> dict[str, Any]:
    """everything in it last updated when the CDR was"""
    updated = whole_seconds(source["last_updated"])
    evses = [
        {
            **evse,
            "connectors": [{**plug, "last_updated": updated} for plug in evse["connectors"]],
            "last_updated": updated,
        }
        for evse in value.get("evses", [])
    ]
    return {**value, **({"evses": evses} if evses else {}), "last_updated": updated}


def _only_older(*names: str) -> tuple[Any, ...]:
    return tuple(older(name, loses=_LOCATION_PART) for name in names)


CDR_LOCATION = FieldMap(
    CdrLocation,
    inner(),
    value("id", up=short_id, down=full_id, loses="ids over 36 characters"),
    older("type", default=stored_type, judge=known_type, loses=_LOCATION_PART),
    value("postal_code", up=real_postal_code, or_down=NO_POSTAL_CODE),
    newer("state", loses="state or province"),
    value("country", up=country_of_place, down=country_of_place),
    inside("coordinates", GEO_LOCATION),
    group(
        "evses",
        ("evse_uid", "evse_id", "connector_id", "connector_standard", "connector_format", "connector_power_type"),
        up=evse_in_use,
        or_up=no_evse,
        down=evse_of_record,
        loses="all of EVSE and connector but ids, standard, format and power type; a standard unknown there",
        reads=("id",),
    ),
    *_only_older("related_locations", "directions", "operator", "suboperator", "owner", "facilities", "time_zone"),
    *_only_older("opening_times", "charging_when_closed", "images", "energy_mix", "last_updated"),
    older=old.Location,
    title="CdrLocation",
)

# --- token, session, reference --------------------------------------------------------------------------------------


def token_of_cdr(value: str, source: Mapping[str, Any], crossing: Crossing) -> Any:
    """that of its session, else of that contract; unknown: uid #NA, type OTHER"""
    session = _session(source, crossing)
    return cdr_token(value, session, ids_in_use(source["location"], crossing), source["start_date_time"], crossing)


def session_of_cdr(source: Mapping[str, Any], crossing: Crossing) -> Any:
    """the session of the same contract and EVSE that began within a minute of it"""
    return (_session(source, crossing) or {}).get("id") or ABSENT


def reference_of_cdr(source: Mapping[str, Any], crossing: Crossing) -> Any:
    """that of its session"""
    return (_session(source, crossing) or {}).get("authorization_reference") or ABSENT


_SAME_START: Final = timedelta(seconds=60)


def _session(cdr: Mapping[str, Any], crossing: Crossing) -> Mapping[str, Any] | None:
    """The session that a 2.1.1 CDR belongs to, which it doesn't name: the one that began closest to it."""
    known = crossing.facts.ask(Key(FactKind.SESSIONS_OF_CONTRACT, crossing.owner, cdr["auth_id"]))
    if known is UNKNOWN:
        return None
    start = moment(cdr["start_date_time"])
    apart = {abs(moment(session["start_date_time"]) - start): session for session in known if _same_place(session, cdr)}
    closest = min(apart, default=None)
    return apart[closest] if closest is not None and closest <= _SAME_START else None


def _same_place(session: Mapping[str, Any], cdr: Mapping[str, Any]) -> bool:
    evses = cdr["location"].get("evses")
    if not evses:
        return same_id(session["location_id"], cdr["location"]["id"])
    return any(same_id(session["evse_uid"], evse["uid"]) for evse in evses)


# --- money ----------------------------------------------------------------------------------------------------------


def unless_credit(crossing: Crossing) -> Any:
    """true withholds the CDR, unless the link takes a negative one"""
    if crossing.policy.cdrs_credit != "negative":
        raise Withheld("a credit CDR would be read as another bill", policy=_CREDIT_POLICY)
    return Lossy(ABSENT, "written as a negative CDR with a remark", _CREDIT_POLICY)


def credited(value: str, source: Mapping[str, Any]) -> Any:
    """stands in the remark of a negative CDR"""
    return Lossy(ABSENT, "stands in the remark", _CREDIT_POLICY) if source.get("credit") else None


def unless_at_home(crossing: Crossing) -> Any:
    """true withholds the CDR, unless the link says to send it"""
    if crossing.policy.cdrs_home_charging != "send":
        raise Withheld("charging at home, which the driver is paid for, would be billed", policy=_HOME_POLICY)
    return Lossy(ABSENT, "no room for it", _HOME_POLICY)


def cost(value: Mapping[str, Any], source: Mapping[str, Any]) -> Any:
    """excl_vat; of a credit CDR negative"""
    if not source.get("credit"):
        return without_vat(value)
    return without_vat({**value, "excl_vat": -abs(value["excl_vat"])})


def remark(value: str, source: Mapping[str, Any]) -> Any:
    """of a credit CDR preceded by what it credits"""
    if not source.get("credit"):
        return value
    whole = f"{credit_remark(source)}; {value}"
    return whole if len(whole) <= _REMARK else Lossy(whole[:_REMARK], f"shortened to {_REMARK} characters")


_REMARK: Final = 255


def credit_remark(source: Mapping[str, Any]) -> Any:
    """of a credit CDR what it credits"""
    return f"CREDIT for {source.get('credit_reference_id') or NOT_AVAILABLE}" if source.get("credit") else ABSENT


def with_sole_tariff(value: list[Any], source: Mapping[str, Any]) -> Any:
    """each with the tariff of the CDR, if it has exactly one"""
    # Without a tariff_id no tariff is relevant for a period. 2.2.1 ``mod_cdrs``, ChargingPeriod class.
    tariffs = source.get("tariffs") or []
    if len(tariffs) > 1:
        return Lossy(value, "several tariffs, and which of them holds in which period isn't said")
    for period in value if tariffs else ():
        period["tariff_id"] = tariffs[0]["id"]
    return value


CDR_MAP = FieldMap(
    CDR,
    inner(),
    newer("credit", implied=False, judge=unless_credit, loses="the CDR, if true"),
    newer("credit_reference_id", judge=credited, loses="the CDR that it credits"),
    newer("home_charging_compensation", implied=False, judge=unless_at_home, loses="the CDR, if true"),
    newer("country_code", default=owner_country),
    newer("party_id", default=owner_id),
    same("id", "only credit CDRs have more than 36 characters"),
    times("start_date_time", "last_updated", stop_date_time="end_date_time"),
    newer("session_id", default=session_of_cdr, loses="the session that it is of"),
    group(
        "auth_id",
        "cdr_token",
        up=token_of_cdr,
        down=contract,
        loses="uid and type of the token",
        reads=("start_date_time", "location"),
    ),
    value("auth_method", down=substituted({"COMMAND": "AUTH_REQUEST"}), loses="COMMAND"),
    newer("authorization_reference", default=reference_of_cdr, loses="the eMSP's reference"),
    inside("location", CDR_LOCATION, "cdr_location", then_down=stamped, reads=("last_updated",)),
    each("tariffs", TARIFF_IN_CDR, loses="a tariff of which nothing can be said"),
    each(
        "charging_periods",
        PERIOD,
        up=kwh_of_cdr,
        then_up=with_sole_tariff,
        loses="upwards, which of several tariffs holds",
        reads=("tariffs", "total_energy"),
    ),
    newer("signed_data", loses="signed meter values"),
    value("total_cost", up=net, down=cost, loses="the price with VAT", reads=("credit",)),
    newer("total_fixed_cost", loses="this part of the cost"),
    newer("total_energy_cost", loses="this part of the cost"),
    newer("total_time_cost", loses="this part of the cost"),
    newer("total_parking_cost", loses="this part of the cost"),
    newer("total_reservation_cost", loses="this part of the cost"),
    value("remark", down=remark, or_down=credit_remark, reads=("credit", "credit_reference_id")),
    newer("invoice_reference_id", loses="the invoice that it is on"),
    older=old.CDR,
)
