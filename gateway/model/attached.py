"""Prices that a feed tells of our own connectors, on the objects that our backends say.

A backend's location names the backend's tariffs. What a feed says holds there too, beside them: the tariff of a feed is
said under its owner like any other, and the location is kept with the ids of both (``joined``), so that whatever reads
it, lists it or brings it to somebody knows nothing of feeds. A new PUT of the location is joined again.

OCPI has words for two audiences: a tariff of type AD_HOC_PAYMENT is for drivers without a contract, every other one is
wholesale. The prices that an eMSP or an operator asks of its own customers are neither, and would pass for wholesale.
So they carry whom they are for in a member of ours, and a connector has their ids apart from its ``tariff_ids``: a link
that doesn't ask for them can't get them by an oversight. Members of ours stay inside: an adapter writes none, and takes
none from outside.

An EVSE is compared by the id that stands on it, without separators and case, a connector by its id in there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from gateway.model.names import fold
from gateway.model.prices import Audience, Priced
from gateway.model.share import bare
from gateway.model.tariffs import TariffType

AUDIENCE: Final = "gateway:audience"
"""The member of a canonical tariff that says whom it is for, where its type can't."""

TARIFF_IDS: Final = "gateway:tariff_ids"
"""The member of a canonical connector that has ids of tariffs by audience: ``{"msp_retail": ["P1"]}``."""

OURS: Final = frozenset({AUDIENCE, TARIFF_IDS})

SAYABLE: Final = frozenset({Audience.WHOLESALE, Audience.ADHOC})
"""Audiences that OCPI has words for."""

Attached = Mapping[Audience, Sequence[str]]
"""The ids of the tariffs that hold at a connector, by audience."""


def audience_of(tariff: Mapping[str, Any]) -> Audience:
    """Whom a canonical tariff is for."""
    if (ours := tariff.get(AUDIENCE)) is not None:
        return Audience(ours)
    return Audience.ADHOC if tariff.get("type") == TariffType.AD_HOC_PAYMENT else Audience.WHOLESALE


def for_store(priced: Priced) -> dict[str, Any]:
    """The canonical tariff of a feed's price as it is said: with whom it is for, where its type can't say so."""
    tariff = {name: content for name, content in priced.tariff.items() if name not in OURS}
    return tariff if audience_of(tariff) is priced.audience else {**tariff, AUDIENCE: priced.audience.value}


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

    def connector(evse: Mapping[str, Any], plug: Mapping[str, Any]) -> Mapping[str, Any]:
        there = attached.get(spot(evse["evse_id"], plug["id"])) if evse.get("evse_id") else None
        return _with(plug, there) if there else plug

    if not attached or not location.get("evses"):
        return dict(location)
    evses = [
        {**evse, "connectors": [connector(evse, plug) for plug in evse.get("connectors") or ()]}
        for evse in location["evses"]
    ]
    return {**location, "evses": evses}


def _with(plug: Mapping[str, Any], attached: Attached) -> dict[str, Any]:
    own = list(plug.get("tariff_ids") or ())
    known = set(map(fold, own))
    own += [id for audience in sorted(SAYABLE & attached.keys()) for id in attached[audience] if fold(id) not in known]
    apart = {audience.value: list(ids) for audience, ids in sorted(attached.items()) if audience not in SAYABLE and ids}
    named: dict[str, Any] = {"tariff_ids": own} if own else {}
    return {**plug, **named, **({TARIFF_IDS: apart} if apart else {})}
