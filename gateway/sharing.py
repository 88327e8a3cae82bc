"""What a link may see of an object, and under which tariff ids: the last look before anything of ours leaves.

``Withheld`` for what isn't its business: whoever sends takes back what the link has, whoever lists leaves it out.
Tariff ids that the link knows by another name are renamed wherever they stand, those for other audiences, too. A CDR
keeps all of its tariffs, shown or not: it has to say what was charged.

Pure; ``Link.share`` is the selection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from gateway.directory import Link
from gateway.model.attached import TARIFF_IDS, audience_of
from gateway.model.facts import Withheld
from gateway.model.modules import Module
from gateway.model.values import moment

POLICY: Final = "share"
_AUDIENCE: Final = "tariffs.audience"

Json = dict[str, Any]


def shown(link: Link, module: Module, canonical: Json) -> Json:
    """The object as this link may see it; the same object where nothing is hidden or renamed.

    Raises:
        Withheld: it may not see it at all.
    """
    if module is Module.TARIFFS and not link.asks_for(audience := audience_of(canonical)):
        raise Withheld(f"a tariff for the audience {audience}", policy=_AUDIENCE)
    if not link.shows(module, canonical):
        raise Withheld(f"not among the {module} that this link may see", policy=POLICY)
    return renamed(link, module, canonical)


def renamed(link: Link, module: Module, canonical: Json) -> Json:
    """The object with the tariffs that this link may see, under the ids by which it knows them."""
    return _RENAMED[module](link, canonical) if module in _RENAMED and _renames(link) else canonical


def too_early(link: Link, cdr: Mapping[str, Any]) -> bool:
    """Whether a canonical CDR ended before this link's cut-over (``cdrs.deliver_since``), so that it isn't owed to it.

    What ended before then was billed by whatever was there before us. It may be listed all the same.
    """
    use = link.uses.get(Module.CDRS)
    since = use.deliver_since if use is not None else None
    return since is not None and moment(cdr["end_date_time"]) < since


def _renames(link: Link) -> bool:
    tariffs = link.share.tariffs
    return bool(tariffs.only or tariffs.names)


def _location(link: Link, location: Json) -> Json:
    def named(ids: Iterable[str]) -> list[str]:
        return [as_id for id in ids if (as_id := link.tariff_id(id)) is not None]

    def connector(plug: Mapping[str, Any]) -> Json:
        renamed: Json = {}
        if plug.get("tariff_ids"):
            renamed["tariff_ids"] = named(plug["tariff_ids"])
        if plug.get(TARIFF_IDS):
            renamed[TARIFF_IDS] = {audience: named(ids) for audience, ids in plug[TARIFF_IDS].items()}
        return {**plug, **renamed}

    return _each(location, "evses", lambda evse: _each(evse, "connectors", connector))


def _tariff(link: Link, tariff: Json) -> Json:
    return {**tariff, "id": link.tariff_id(tariff["id"]) or tariff["id"]}


def _session(link: Link, session: Json) -> Json:
    def period(spell: Mapping[str, Any]) -> Json:
        if spell.get("tariff_id") is None:
            return dict(spell)
        as_id = link.tariff_id(spell["tariff_id"])
        rest = {name: value for name, value in spell.items() if name != "tariff_id"}
        return rest if as_id is None else {**rest, "tariff_id": as_id}

    return _each(session, "charging_periods", period)


def _cdr(link: Link, cdr: Json) -> Json:
    def period(spell: Mapping[str, Any]) -> Json:
        id = spell.get("tariff_id")
        return dict(spell) if id is None else {**spell, "tariff_id": link.tariff_id(id) or id}

    return _each(_each(cdr, "charging_periods", period), "tariffs", lambda tariff: _tariff(link, dict(tariff)))


def _each(obj: Mapping[str, Any], name: str, change: Callable[[Mapping[str, Any]], Json]) -> Json:
    return {**obj, name: [change(item) for item in obj[name]]} if obj.get(name) else dict(obj)


_RENAMED: Final[Mapping[Module, Callable[[Link, Json], Json]]] = {
    Module.LOCATIONS: _location,
    Module.TARIFFS: _tariff,
    Module.SESSIONS: _session,
    Module.CDRS: _cdr,
}
