"""The main time zone of a country, for locations that come without one.

2.2.1 requires ``time_zone`` (``mod_locations``, Location object); in 2.1.1 it may be missing. The table of the IANA
time zone database names the zones of each country, and nearly always begins with the main one.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

from gateway.model.country import alpha_2

# Where the table begins elsewhere: in the west, or with an island.
_NOT_THE_FIRST: Final = {
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
    "CA": "America/Toronto",
    "RU": "Europe/Moscow",
    "UA": "Europe/Kyiv",
    "UZ": "Asia/Tashkent",
}


def main_zone(country: str) -> str | None:
    """The IANA name of a country's main time zone; None for a country that the table doesn't have.

    Args:
        country: alpha-3 or alpha-2, any case.
    """
    code = alpha_2(country)
    return _zones().get(code) if code else None


@cache
def _zones() -> dict[str, str]:
    table = resources.files("tzdata").joinpath("zoneinfo/zone.tab").read_text(encoding="ascii")
    zones: dict[str, str] = {}
    for line in table.splitlines():
        if not line.startswith("#"):
            code, _, zone, *_ = line.split("\t")
            zones.setdefault(code, zone)
    return zones | _NOT_THE_FIRST
