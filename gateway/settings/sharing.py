"""What a link may see, from its file to the values that decide it."""

from __future__ import annotations

from gateway.model.names import fold
from gateway.model.share import Locations, Share, Tariffs
from gateway.model.share import Pilot as Trial
from gateway.settings.files import Pilot, TariffSelection
from gateway.settings.files import Share as ShareKeys
from gateway.settings.mistakes import Report, quoted

_LONGEST_ID = 36


def share_of(file: ShareKeys, report: Report) -> Share:
    """What a link may see."""
    _check_names(file.tariffs, report)
    return Share(
        locations=Locations(only=file.locations.only, besides=file.locations.except_),
        tariffs=Tariffs(only=file.tariffs.only, names=file.tariffs.map),
    )


def pilot_of(file: Pilot) -> Trial:
    """What a link gets while it is tried out."""
    return Trial(locations=file.locations, tokens=file.tokens)


def _check_names(tariffs: TariffSelection, report: Report) -> None:
    """That no two tariffs get one id, and that each id is one (2.2.1 ``mod_tariffs``: CiString(36))."""
    place = tariffs.at.place_of("map")
    seen: dict[str, str] = {}
    for id, name in tariffs.map.items():
        if len(name) > _LONGEST_ID or not name.isascii():
            report.add(place, f"{quoted(name)} can't be the id of a tariff: write at most 36 ASCII characters")
        if (first := seen.setdefault(fold(name), id)) != id:
            report.add(place, f"{quoted(first)} and {quoted(id)} would both be {quoted(name)}: write another id")
