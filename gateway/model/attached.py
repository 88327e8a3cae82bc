"""Prices that a feed tells of our own connectors, on the objects that our backends say.

A backend's location names the backend's tariffs. What a feed says holds there too, beside them: the tariff of a feed is
said under its owner like any other, and the location is kept with the ids of both (``joined``), so that whatever reads
it, lists it or brings it to somebody knows nothing of feeds. A new PUT of the location is joined again.

OCPI has words for two audiences: a tariff of type AD_HOC_PAYMENT is for drivers without a contract, every other one is
wholesale. The prices that an eMSP or an operator asks of its own customers are neither, and would pass for wholesale.
So they carry whom they are for in a member of ours, and a connector has their ids apart from its ``tariff_ids``: a link
that doesn't ask for them can't get them by an oversight. Members of ours stay inside: an adapter writes none, and takes
none from outside.

Which audiences a link asks for is its switch ``tariffs.audience``. A tariff is judged by whom it is for (``not_for``),
so are the ids on a connector: those apart join the others only on a link that asks for their audience (``asked``).

What a feed changes is no newer by that, as its owner has it. But partners read what has changed since they looked
last, and pass over what isn't newer than what they have. So it is noted when a feed changed something (``moved``),
lists go by that, and a location, its EVSE and its connector go out as updated then (``raised``). It counts until their
owner updates them later than that.

An EVSE is compared by the id that stands on it, without separators and case, a connector by its id in there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from gateway.model.modules import Kind
from gateway.model.names import fold
from gateway.model.prices import Audience, Priced
from gateway.model.share import bare
from gateway.model.tariffs import TariffType
from gateway.model.values import moment

AUDIENCE: Final = "gateway:audience"
"""The member of a canonical tariff that says whom it is for, where its type can't."""

TARIFF_IDS: Final = "gateway:tariff_ids"
"""The member of a canonical connector that has ids of tariffs by audience: ``{"msp_retail": ["P1"]}``."""

SINCE: Final = "gateway:since"
"""The member of a canonical location, EVSE, connector or tariff that says when a feed changed it, as a DateTime."""

OURS: Final = frozenset({AUDIENCE, TARIFF_IDS, SINCE})

SAYABLE: Final = frozenset({Audience.WHOLESALE, Audience.ADHOC})
"""Audiences that OCPI has words for."""

Attached = Mapping[Audience, Sequence[str]]
"""The ids of the tariffs that hold at a connector, by audience."""

_UPDATED: Final = frozenset({Kind.LOCATION, Kind.EVSE, Kind.CONNECTOR})

_INSIDE: Final[Mapping[Kind, Mapping[str, Kind]]] = {
    Kind.LOCATION: {"evses": Kind.EVSE},
    Kind.EVSE: {"connectors": Kind.CONNECTOR},
    Kind.CONNECTOR: {},
    Kind.TARIFF: {},
    Kind.SESSION: {},
    Kind.CDR: {"cdr_location": Kind.LOCATION, "tariffs": Kind.TARIFF},
}
"""The canonical objects that could have members of ours, and what is inside them that could."""


@frozen
class Apart:
    """The id of a tariff that a connector has apart, and where in ``TARIFF_IDS`` it stands."""

    audience: str
    place: int
    id: str


def audience_of(tariff: Mapping[str, Any]) -> Audience:
    """Whom a canonical tariff is for."""
    if (ours := tariff.get(AUDIENCE)) is not None:
        return Audience(ours)
    return Audience.ADHOC if tariff.get("type") == TariffType.AD_HOC_PAYMENT else Audience.WHOLESALE


def of_a_feed(kind: Kind, thing: Mapping[str, Any]) -> bool:
    """Whether a feed said a canonical object, and not its owner: only tariffs are ever said so."""
    return kind is Kind.TARIFF and SINCE in thing


def not_for(tariff: Mapping[str, Any], audiences: Collection[str]) -> str | None:
    """Why a canonical tariff isn't for a link that asks for these audiences; None if it is."""
    audience = audience_of(tariff)
    return None if audience in audiences else f"a tariff for the audience {audience}"


def asked(plug: Mapping[str, Any], audiences: Collection[str]) -> list[Apart]:
    """The ids that a canonical connector has apart, of the audiences that a link asks for."""
    if not (apart := plug.get(TARIFF_IDS)):
        return []
    return [
        Apart(audience, place, id)
        for audience, ids in apart.items()
        if audience in audiences
        for place, id in enumerate(ids)
    ]


def tariffs_of(plug: Mapping[str, Any]) -> Iterator[str]:
    """The ids of all tariffs that hold at a canonical connector, for whomever they are."""
    yield from plug.get("tariff_ids") or ()
    for ids in (plug.get(TARIFF_IDS) or {}).values():
        yield from ids


def without_ours(kind: Kind, thing: Any) -> Any:
    """A canonical object without members of ours; the same object if it has none."""
    if kind not in _INSIDE:
        return thing
    changed: dict[str, Any] = {}
    for name, inner in _INSIDE[kind].items():
        if not (there := thing.get(name)):
            continue
        if isinstance(there, list):
            items = [without_ours(inner, item) for item in there]
            if any(new is not old for new, old in zip(items, there, strict=True)):
                changed[name] = items
        elif (bared := without_ours(inner, there)) is not there:
            changed[name] = bared
    if not changed and OURS.isdisjoint(thing):
        return thing
    return {name: changed.get(name, content) for name, content in thing.items() if name not in OURS}


def for_store(priced: Priced) -> dict[str, Any]:
    """The canonical tariff of a feed's price as it is said: with whom it is for, where its type can't say so."""
    tariff = {name: content for name, content in priced.tariff.items() if name not in OURS}
    return tariff if audience_of(tariff) is priced.audience else {**tariff, AUDIENCE: priced.audience.value}


def moved(location: Mapping[str, Any], before: Mapping[str, Any], at: str | None = None) -> dict[str, Any]:
    """A canonical location that notes when a feed changed it, its EVSEs and connectors.

    Args:
        before: as it was: what is noted there is still true.
        at: when a feed changed something since, as a DateTime: all connectors that have other tariffs than before.
            None: no feed did.
    """
    were = {fold(evse["uid"]): evse for evse in before.get("evses") or ()}
    evses = []
    for evse in location.get("evses") or ():
        was = were.get(fold(evse["uid"]), {})
        had = {fold(plug["id"]): plug for plug in was.get("connectors") or ()}
        plugs = [_noted(plug, had.get(fold(plug["id"])), at) for plug in evse["connectors"]]
        evses.append(_noted({**evse, "connectors": plugs}, was, at if _any_at(plugs, at) else None))
    inside = {"evses": evses} if "evses" in location else {}
    return _noted({**location, **inside}, before, at if _any_at(evses, at) else None)


def _noted(thing: Mapping[str, Any], was: Mapping[str, Any] | None, at: str | None) -> dict[str, Any]:
    """With when a feed changed it last, if that is later than its owner did."""
    if at is not None and "connectors" not in thing and "evses" not in thing:
        at = at if was is None or [*tariffs_of(thing)] != [*tariffs_of(was)] else None
    rest = {name: content for name, content in thing.items() if name != SINCE}
    known = [text for text in (at, (was or {}).get(SINCE)) if text is not None]
    last = max(known, key=moment, default=None)
    return rest if last is None or moment(last) <= moment(thing["last_updated"]) else {**rest, SINCE: last}


def _any_at(things: Iterable[Mapping[str, Any]], at: str | None) -> bool:
    return at is not None and any(thing.get(SINCE) == at for thing in things)


def raised(kind: Kind, thing: Any) -> Any:
    """A canonical location, EVSE or connector, as updated when a feed changed it; the same object if none did."""
    inner = next(iter(_INSIDE[kind].items()), None) if kind in _UPDATED else None
    if kind not in _UPDATED or (SINCE not in thing and inner is None):
        return thing
    changed: dict[str, Any] = {"last_updated": thing[SINCE]} if SINCE in thing else {}
    if inner is not None and (there := thing.get(inner[0])):
        items = [raised(inner[1], item) for item in there]
        if any(new is not old for new, old in zip(items, there, strict=True)):
            changed[inner[0]] = items
    return {**thing, **changed} if changed else thing


def spot(evse_id: str, connector_id: str) -> str:
    """A connector as it is known to everybody: ``NLEXAE0001:1`` for connector 1 of ``NL*EXA*E0001``."""
    return f"{bare(evse_id)}:{fold(connector_id)}"


def spots(location: Mapping[str, Any]) -> Iterator[str]:
    """The connectors of a canonical location that can be known so: their EVSEs have an id."""
    for evse in location.get("evses") or ():
        if evse.get("evse_id"):
            yield from (spot(evse["evse_id"], connector["id"]) for connector in evse["connectors"])


def joined(location: Mapping[str, Any], attached: Mapping[str, Attached]) -> dict[str, Any]:
    """A canonical location as its owner said it, with what feeds say holds at its connectors.

    Args:
        attached: by ``spot``; connectors that aren't in it stay as they are.
    """

    return _changed(location, attached, _with)


def parted(location: Mapping[str, Any], attached: Mapping[str, Attached]) -> dict[str, Any]:
    """A canonical location as its owner said it, from one that was ``joined`` with the same."""

    return _changed(location, attached, _without)


def _changed(
    location: Mapping[str, Any],
    attached: Mapping[str, Attached],
    change: Callable[[Mapping[str, Any], Attached], dict[str, Any]],
) -> dict[str, Any]:
    """A location with those connectors changed to which something is attached."""

    def plugs(evse: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        there = ((plug, attached.get(spot(evse["evse_id"], plug["id"]))) for plug in evse.get("connectors") or ())
        return [change(plug, its) if its else plug for plug, its in there]

    if not attached or not location.get("evses"):
        return dict(location)
    evses = [{**evse, "connectors": plugs(evse)} if evse.get("evse_id") else evse for evse in location["evses"]]
    return {**location, "evses": evses}


def _without(plug: Mapping[str, Any], attached: Attached) -> dict[str, Any]:
    gone = {fold(id) for audience in SAYABLE & attached.keys() for id in attached[audience]}
    own = [id for id in plug.get("tariff_ids") or () if fold(id) not in gone]
    rest = {name: content for name, content in plug.items() if name not in (TARIFF_IDS, "tariff_ids")}
    return {**rest, "tariff_ids": own} if own else rest


def _with(plug: Mapping[str, Any], attached: Attached) -> dict[str, Any]:
    own = list(plug.get("tariff_ids") or ())
    known = set(map(fold, own))
    own += [id for audience in sorted(SAYABLE & attached.keys()) for id in attached[audience] if fold(id) not in known]
    apart = {audience.value: list(ids) for audience, ids in sorted(attached.items()) if audience not in SAYABLE and ids}
    named: dict[str, Any] = {"tariff_ids": own} if own else {}
    return {**plug, **named, **({TARIFF_IDS: apart} if apart else {})}
