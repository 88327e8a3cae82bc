"""Country codes: alpha-2 inside, alpha-3 understood, never truncated.

Party country codes are ISO 3166-1 alpha-2 in OCPI 2.2.1 (``types``, CiString(2)) and two letters long in 2.1.1
(``credentials`` 2.1), but peers of 2.1.1 write alpha-3 as well. ``Location.country`` is alpha-3 in both versions.
Cutting the third letter off is never right: EST is Estonia, ES is Spain.
"""

from __future__ import annotations

from typing import Final

from iso3166 import countries_by_alpha2, countries_by_alpha3

# Codes in use that ISO 3166-1 doesn't assign: the EU's names for Greece and the United Kingdom, and Kosovo.
_ALPHA_2_ALIASES: Final = {"EL": "GR", "UK": "GB"}
_ALPHA_3_EXTRA: Final = {"XKX": "XK"}
_ALPHA_2_EXTRA: Final = {alpha_2: alpha_3 for alpha_3, alpha_2 in _ALPHA_3_EXTRA.items()}


def alpha_2(code: str) -> str | None:
    """The alpha-2 form of a country code in either form and any case, or None for a code that nobody assigned.

    Two letters that ISO doesn't know pass unchanged: test parties and hubs use such codes (``XX``), and a party is
    identified by its spelling, not by its country.
    """
    if not code.isascii():
        return None  # upper() would make a plain I of a dotless one
    code = code.upper()
    if len(code) == 2 and code.isalpha():
        return _ALPHA_2_ALIASES.get(code, code)
    if len(code) == 3 and (extra := _ALPHA_3_EXTRA.get(code)):
        return extra
    country = countries_by_alpha3.get(code)
    return str(country.alpha2) if country else None


def alpha_3(code: str) -> str | None:
    """The alpha-3 form of a country code in either form and any case, or None for one that ISO doesn't know."""
    if not code.isascii():
        return None
    code = code.upper()
    if code in countries_by_alpha3 or code in _ALPHA_3_EXTRA:
        return code
    code = _ALPHA_2_ALIASES.get(code, code)
    if extra := _ALPHA_2_EXTRA.get(code):
        return extra
    country = countries_by_alpha2.get(code)
    return str(country.alpha3) if country else None
