"""Tariffs, and which of a connector's tariffs 2.1.1 gets to see.

A 2.1.1 tariff is one price list for everybody, always in force. What 2.2.1 adds is mostly left out; three things must
not be, because a price list without them would be wrong: a tariff for ad hoc payment is none for roaming; a restriction
by current can't be left out without widening its element (it withholds the tariff, or becomes kilowatts where voltage
and phases are known); an element that prices a reservation would become a fee on every session.

Inside a CDR nothing withholds a tariff: it is the record of what was billed. There the elements that can't be said are
left out one by one.

For whom a tariff is, 2.1.1 can't say. So a link gets those for the audiences that its file names
(``tariffs.audience``), by default wholesale alone; and of all that hold at a connector it sees one.

Spec: 2.1.1 ``mod_tariffs``; 2.2.1 ``mod_tariffs``, ``mod_locations`` Connector ``tariff_ids``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from attrs import evolve, frozen

from adapters.fieldmap import FieldMap, Path, each, gate, inner, inside, lose, lossy, newer, times
from adapters.ocpi_2_1_1 import objects as old
from adapters.ocpi_2_1_1.maps.energy import ENERGY_MIX
from adapters.ocpi_2_1_1.maps.ids import owner_country, owner_id
from gateway.model.attached import TARIFF_IDS, asked, audience_of, not_for
from gateway.model.facts import ABSENT, UNKNOWN, Crossing, FactKind, Key, Missing, Until, Withheld
from gateway.model.names import fold
from gateway.model.prices import Audience
from gateway.model.tariffs import PriceComponent, Tariff, TariffElement, TariffRestrictions, TariffType
from gateway.model.values import moment, says_nothing

_POLICY: Final = "tariffs.inexpressible"
_AUDIENCE: Final = "tariffs.audience"
_CHOICE: Final = "tariffs.multi_to_single"
_CURRENTS: Final = {"min_current": "min_power", "max_current": "max_power"}

# --- restrictions ---------------------------------------------------------------------------------------------------


def prices_a_reservation(value: str) -> Any:
    """the element is left out: it prices a reservation"""
    raise Withheld("it prices a reservation, which would become a fee on every session")


def restricts_current(value: Any) -> Any:
    """can't be said: without it the element would hold more often"""
    raise Withheld("restrictions by current can't be said, and leaving them out would widen them", policy=_POLICY)


def kilowatts(value: list[Any], source: Mapping[str, Any], crossing: Crossing) -> Any:
    """restrictions by current become kilowatts where the link says so and it can be done, else withhold the tariff"""
    converted = _in_kilowatts(value, source, crossing)
    return restricts_current(value) if converted is None else converted


def kilowatts_if_possible(value: list[Any], source: Mapping[str, Any], crossing: Crossing) -> Any:
    """restrictions by current become kilowatts where the link says so and it can be done"""
    converted = _in_kilowatts(value, source, crossing)
    return value if converted is None else converted


def _in_kilowatts(elements: list[Any], tariff: Mapping[str, Any], crossing: Crossing) -> Any | None:
    """The elements with kilowatts in the place of amperes, Lossy at each; None if that can't be done."""
    found = [
        (index, name)
        for index, element in enumerate(elements)
        for name in _CURRENTS
        if not says_nothing((restrictions := element.get("restrictions") or {}).get(name))
        and says_nothing(restrictions.get("reservation"))  # one with a reservation is left out as a whole
    ]
    if not found:
        return elements
    volts = _common_voltage(tariff, crossing) if crossing.policy.tariffs_inexpressible == "convert" else None
    if volts is None:
        return None
    converted: Any = list(elements)
    for index, name in found:
        restrictions = dict(converted[index]["restrictions"])
        # Amperes are the sum over all phases, volts are line to neutral: their product is the power of all phases.
        power = Decimal(restrictions.pop(name)) * volts / 1000
        known = restrictions.get(_CURRENTS[name])
        tightest = max if name == "min_current" else min
        restrictions[_CURRENTS[name]] = power if known is None else tightest(power, known)
        converted[index] = {**converted[index], "restrictions": restrictions}
    reason = f"amperes, written as kilowatts at {volts} V"
    return lossy(converted, {(index, "restrictions", name): reason for index, name in found}, _POLICY)


def _common_voltage(tariff: Mapping[str, Any], crossing: Crossing) -> int | None:
    """The voltage (V, line to neutral) of all connectors that name the tariff, if it is one, and AC of one kind."""
    connectors = crossing.facts.ask(Key(FactKind.CONNECTORS_OF_TARIFF, crossing.owner, tariff["id"]))
    kinds = {(each["power_type"], each["max_voltage"]) for each in connectors} if connectors is not UNKNOWN else set()
    if len(kinds) != 1:
        return None
    ((power_type, volts),) = kinds
    return None if power_type == "DC" else int(volts)


RESTRICTIONS = FieldMap(
    TariffRestrictions,
    newer("reservation", judge=prices_a_reservation, loses="the whole element"),
    newer("min_current", judge=restricts_current, loses="the whole tariff, inside a CDR the element"),
    newer("max_current", judge=restricts_current, loses="the whole tariff, inside a CDR the element"),
    older=old.TariffRestrictions,
)

PRICE_COMPONENT = FieldMap(
    PriceComponent,
    newer("vat", loses="the VAT percentage"),
    older=old.PriceComponent,
)

ELEMENT = FieldMap(
    TariffElement,
    each("price_components", PRICE_COMPONENT),
    inside("restrictions", RESTRICTIONS),
    older=old.TariffElement,
)

# --- tariffs --------------------------------------------------------------------------------------------------------


def for_its_audience(source: Mapping[str, Any], crossing: Crossing) -> None:
    """withheld, if it isn't for an audience of the link: by default, if it isn't wholesale"""
    if reason := not_for(source, _audiences(crossing)):
        raise Withheld(reason, policy=_AUDIENCE)


def _audiences(crossing: Crossing) -> Collection[str]:
    said = crossing.policy.tariffs_audience
    return _DEFAULT_AUDIENCE if said is None else said


_DEFAULT_AUDIENCE: Final = (Audience.WHOLESALE,)


_NOTHING_LEFT: Final = "it has nothing but elements that can't be said"

TARIFF = FieldMap(
    Tariff,
    gate(for_its_audience),
    inner(),
    newer("country_code", default=owner_country),
    newer("party_id", default=owner_id),
    newer("type", loses="its type"),
    newer("min_price", loses="the least that a session costs"),
    newer("max_price", loses="the most that a session costs"),
    each("elements", ELEMENT, down=kilowatts, least=_NOTHING_LEFT, loses="elements that price reservations"),
    newer("start_date_time", loses="the beginning of its validity"),
    newer("end_date_time", loses="the end of its validity"),
    inside("energy_mix", ENERGY_MIX),
    times("last_updated"),
    older=old.Tariff,
)

TARIFF_IN_CDR = TARIFF.but(
    each("elements", ELEMENT, down=kilowatts_if_possible, least=_NOTHING_LEFT, loses="elements that can't be said"),
    title="Tariff (inside a CDR)",
)

# --- which one a connector names ------------------------------------------------------------------------------------


_REST: Final = 2  # audiences that no choice prefers
_RANKS: Final[Mapping[str, Mapping[Audience, int]]] = {
    "regular_first": {Audience.WHOLESALE: 0, Audience.ADHOC: 1},
    "adhoc_first": {Audience.ADHOC: 0, Audience.WHOLESALE: 1},
    "none_if_many": {Audience.WHOLESALE: 0, Audience.ADHOC: 1},
}
_PROFILES: Final = {None: 0, TariffType.REGULAR: 0, TariffType.PROFILE_FAST: 1, TariffType.AD_HOC_PAYMENT: 0}
_ANY_OTHER: Final = 2


@frozen
class _Candidate:
    """A tariff of a connector that may be named.

    Attributes:
        at: where its id stands in the connector.
        tariff: what it is; None if nobody knows it.
        audience: whom it is for; None if nobody knows.
    """

    id: str
    at: Path
    tariff: Mapping[str, Any] | None
    audience: Audience | None

    @property
    def profile(self) -> int:
        """What a driver without a preference most likely gets, the least first."""
        return _PROFILES.get((self.tariff or {}).get("type"), _ANY_OTHER)

    @property
    def since(self) -> datetime:
        start = (self.tariff or {}).get("start_date_time")
        return moment(start) if start else moment("0001-01-01T00:00:00Z")


def as_list(value: str) -> list[str]:
    """a list of one"""
    return [value]


def chosen_tariff(value: list[str], source: Mapping[str, Any], crossing: Crossing, path: Path) -> Any:
    """the one in force for a driver without preference

    Of those in force now and sayable, by audience: wholesale, then ad hoc, then others that the link asks for
    (``tariffs.multi_to_single`` has other orders). Of one audience: REGULAR or without a type first, then PROFILE_FAST,
    then any other if it is the only one; the one that came into force last, then the first in the list. Tariffs that
    nobody knows count only if nothing better is there. The choice holds until the next of the known tariffs begins or
    ends.
    """
    candidates = _candidates(value, source, crossing)
    faults = {one.at: _fault(one.tariff, crossing) for one in candidates if one.tariff is not None}
    fit = [one for one in candidates if faults.get(one.at) is None]
    many = len(fit) > 1 and crossing.policy.tariffs_multi_to_single == "none_if_many"
    chosen = None if many else _best(fit, crossing)
    policy = _CHOICE if many else None
    reasons = {}
    for one in candidates:
        if one is chosen:
            continue
        reason = faults.get(one.at) or (_SEVERAL if many else _NO_ROOM)
        if one.at[0] == TARIFF_IDS:
            lose(crossing, (*path, *one.at), reason, policy)
        else:
            reasons[one.at[1:]] = reason
    outcome = lossy(ABSENT if chosen is None else chosen.id, reasons, policy)
    turn = _next_turn(candidates, crossing.now)
    return outcome if turn is None else Until(outcome, turn)


def asked_tariff(source: Mapping[str, Any], crossing: Crossing, path: Path) -> Any:
    """one for another audience, if the link asks for it"""
    return chosen_tariff([], source, crossing, path)


_NO_ROOM: Final = "there is room for one tariff only"
_SEVERAL: Final = "there is room for one tariff only, and several would do"


def _candidates(ids: list[str], source: Mapping[str, Any], crossing: Crossing) -> list[_Candidate]:
    """The tariffs of a connector, and those for other audiences that the link asks for.

    Of these it is known whom they are for, even where their owner is another than the connector's and nobody finds
    them.
    """
    apart = asked(source, _audiences(crossing)) if TARIFF_IDS in source else []
    wanted = [*ids, *(one.id for one in apart)]
    found = crossing.facts.ask_all(Key(FactKind.TARIFF, crossing.owner, id) for id in wanted) if wanted else []
    tariffs = [None if tariff is UNKNOWN else tariff for tariff in found]
    candidates = [
        _Candidate(id, ("tariff_ids", place), tariff, None if tariff is None else audience_of(tariff))
        for place, (id, tariff) in enumerate(zip(ids, tariffs[: len(ids)], strict=True))
    ]
    known = set(map(fold, ids))
    candidates += [
        _Candidate(one.id, (TARIFF_IDS, one.audience, one.place), tariff, Audience(one.audience))
        for one, tariff in zip(apart, tariffs[len(ids) :], strict=True)
        if fold(one.id) not in known
    ]
    return candidates


def _best(candidates: list[_Candidate], crossing: Crossing) -> _Candidate | None:
    known = [one for one in candidates if one.audience is not None]
    sayable = [one for one in known if one.profile != _ANY_OTHER or len(known) == 1]
    ranks = _RANKS[crossing.policy.tariffs_multi_to_single]

    def rank(candidate: _Candidate) -> tuple[int, int]:
        assert candidate.audience is not None
        return ranks.get(candidate.audience, _REST), candidate.profile

    latest_first = sorted(sayable, key=lambda candidate: candidate.since, reverse=True)  # stable: then list order
    unknown = (one for one in candidates if one.audience is None)
    return min(latest_first, key=rank, default=None) or next(unknown, None)


def _fault(tariff: Mapping[str, Any], crossing: Crossing) -> str | None:
    """Why a tariff can't be named now, or None."""
    start, end = tariff.get("start_date_time"), tariff.get("end_date_time")
    if (start and crossing.now < moment(start)) or (end and crossing.now >= moment(end)):
        return "not in force now"
    apart = evolve(crossing, losses=[], until=None)
    try:
        TARIFF.lower(tariff, apart, ())
    except Withheld as withheld:
        return withheld.reason
    if crossing.missing:
        raise Missing(crossing.missing)
    return None


def _next_turn(candidates: Iterable[_Candidate], now: datetime) -> datetime | None:
    """The next moment at which one of those that are known begins or ends."""
    known = [candidate.tariff for candidate in candidates if candidate.tariff is not None]
    given = [tariff.get(name) for tariff in known for name in ("start_date_time", "end_date_time")]
    return min((turn for text in given if text and (turn := moment(text)) > now), default=None)
