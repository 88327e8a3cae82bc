"""Credentials: one party on a 2.1.1 link, several roles on a 2.2.1 platform.

2.1.1 credentials are of one party and don't say its role; it comes from configuration (``crossing.role``). Of several
roles on the way down the one of ``crossing.owner`` (and of ``crossing.role``, where given) is written.

Spec: 2.1.1 ``credentials`` 2.1; 2.2.1 ``credentials``, Credentials object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from adapters.fieldmap import FieldMap, Path, group, lossy
from adapters.ocpi_2_1_1 import objects as old
from gateway.model.country import alpha_2
from gateway.model.credentials import Credentials
from gateway.model.errors import InvalidObject
from gateway.model.facts import Crossing, Lossy, Withheld
from gateway.model.party import Party, Role
from gateway.model.values import says_nothing

_CARRIED: Final = ("business_details", "party_id", "country_code")


def as_role(value: tuple[Any, str, str], crossing: Crossing) -> Any:
    """a list of one, with the role from configuration"""
    business_details, party_id, country_code = value
    country = alpha_2(country_code)
    if country is None:
        raise InvalidObject("$.country_code", "expected an ISO 3166-1 country code")
    role = {
        "role": crossing.role or Role.OTHER.value,
        "business_details": business_details,
        "party_id": party_id,
        "country_code": country,
    }
    return [role] if crossing.role else Lossy([role], "which role it is, isn't known: OTHER", at=("role",))


def chosen_role(value: list[Mapping[str, Any]], crossing: Crossing) -> Any:
    """that of the party and role that are meant, else the first"""
    fitting = [at for at, role in enumerate(value) if _is_meant(role, crossing)]
    if not fitting:
        raise Withheld("the party that is meant isn't among its roles")
    chosen = fitting[0]
    reasons: dict[Path, str] = {(at,): "there is room for one role only" for at in range(len(value)) if at != chosen}
    for name, content in value[chosen].items():
        if name not in _CARRIED and not says_nothing(content):
            reasons[chosen, name] = "no room for it"
    return lossy(tuple(value[chosen][name] for name in _CARRIED), reasons)


def _is_meant(role: Mapping[str, Any], crossing: Crossing) -> bool:
    country = alpha_2(role["country_code"]) or role["country_code"]
    party = crossing.owner is None or Party(country, role["party_id"]) == crossing.owner
    return party and crossing.role in (None, role["role"])


CREDENTIALS = FieldMap(
    Credentials,
    group(_CARRIED, "roles", up=as_role, down=chosen_role, loses="all roles but one, and which role that is"),
    older=old.Credentials,
)
