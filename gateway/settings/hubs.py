"""What only a hub's file has: whom it reaches, and for whom it is preferred over a link of their own.

A hub holds every role opposite to ours. On a version without that role its file says HUB all the same; it is never
written there. Spec: 2.2.1 ``terminology`` (Hub), ``credentials`` (a hub names itself, the others are in HubClientInfo).
"""

from __future__ import annotations

from collections.abc import Collection

from gateway.model.party import Party
from gateway.settings.files import Kind, PartnerFile
from gateway.settings.mistakes import Report
from gateway.settings.values import ALL, EVERYONE


def reached(file: PartnerFile) -> frozenset[Party] | None:
    """The parties behind a hub; None where the hub says itself."""
    return _parties(file.reaches, EVERYONE)


def preferred(file: PartnerFile) -> frozenset[Party] | None:
    """The parties that are reached through the hub although they have a link; None is all of them."""
    return _parties(file.prefer, ALL)


def _parties(texts: Collection[str], everybody: str) -> frozenset[Party] | None:
    return None if everybody in texts else frozenset(map(Party.parse, texts))


def check_hub(file: PartnerFile, own: Collection[Party], report: Report) -> None:
    """That a hub says whom it reaches, that nobody else does, and that none of them is one of us.

    Args:
        own: the gateway's own party and ours.
    """
    if file.kind is not Kind.HUB:
        for key in ("reaches", "prefer"):
            if key in file.at:
                report.add(file.at.entries[key].place, f"`{key}` is for hubs: remove it, or write `kind: hub`")
        return
    if not file.reaches and "reaches" not in file.at.broken:
        report.add(file.at.place, 'a hub needs `reaches`: write ["*"], or the parties behind it as [CC-PID, ...]')
    for key, texts, everybody in (("reaches", file.reaches, EVERYONE), ("prefer", file.prefer, ALL)):
        if everybody in texts and len(texts) > 1:
            report.add(file.at.place_of(key), f"`{everybody}` is everybody: remove the others")
    for party in sorted(reached(file) or ()):
        if party in own:
            report.add(file.at.place_of("reaches"), f"{party} is one of us: a hub reaches others")
    _check_preferred(file, report)


def _check_preferred(file: PartnerFile, report: Report) -> None:
    behind, wanted = reached(file), preferred(file)
    if behind is not None and wanted is not None:
        for party in sorted(wanted - behind):
            report.add(file.at.place_of("prefer"), f"{party} isn't among those that it `reaches`: add it there")
