"""Version details and credentials of OCPI 2.2.1: one platform with several parties, each in a role.

Spec: 2.2.1 ``version_information_endpoint`` and ``credentials``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from adapters.parties import party_of
from adapters.transport import credentials_url, offered, read_endpoints, versions_url
from gateway.model.credentials import Credentials
from gateway.model.dialect import Dialect, Seat
from gateway.model.document import validate
from gateway.model.errors import InvalidObject
from gateway.model.modules import Module, Side
from gateway.model.party import Role
from gateway.model.peer import PeerCredentials

_SIDES: Final = frozenset(Side)
_ROLES: Final = frozenset(Role)


def write_details(dialect: Dialect, version: str) -> dict[str, Any]:
    """Our version details for a link. Credentials have no interface of their own; the specification asks for SENDER.

    Spec: ``version_information_endpoint``, Endpoint class, and the note below it.
    """
    endpoints = [_endpoint(Module.CREDENTIALS, Side.SENDER, credentials_url(dialect, version))]
    for module, side in offered(dialect):
        endpoints.append(_endpoint(module, side, f"{dialect.base_url}/{version}/{side.lower()}/{module}"))
    return {"version": version, "endpoints": endpoints}


def _endpoint(module: Module, side: Side, url: str) -> dict[str, Any]:
    return {"identifier": module.value, "role": side.value, "url": url}


def read_details(data: Any) -> Mapping[tuple[Module, Side], str]:
    """Their endpoints. The role of credentials means nothing (the specification's own example has another one)."""
    endpoints: dict[tuple[Module, Side], str] = {}
    for module, role, url in read_endpoints(data):
        if module is Module.CREDENTIALS:
            role = Side.SENDER
        if role in _SIDES:
            endpoints.setdefault((module, Side(role)), url)
    return endpoints


def write_credentials(token: str, dialect: Dialect) -> dict[str, Any]:
    """Our credentials object for a link: every party that we are there. Spec: ``credentials``, Credentials object."""
    roles = [
        {
            "role": seat.role.value,
            "business_details": dict(seat.business),
            "party_id": seat.party.party_id,
            "country_code": seat.party.country_code,
        }
        for seat in dialect.ours
    ]
    return {"token": token, "url": versions_url(dialect), "roles": roles}


def read_credentials(data: Any) -> PeerCredentials:
    """Their credentials object. Roles that we don't know are left out, unless there are no others.

    Raises:
        InvalidObject: it breaks the specification.
    """
    data = validate(Credentials, data)
    seats = tuple(
        Seat(
            party=party_of(entry["country_code"], entry["party_id"], f"$.roles[{index}]"),
            role=Role(entry["role"]),
            business=entry["business_details"],
        )
        for index, entry in enumerate(data["roles"])
        if entry["role"] in _ROLES
    )
    if not seats:
        raise InvalidObject("$.roles", "none of a role that is known here")
    return PeerCredentials(
        token=data["token"],
        url=data["url"],
        seats=seats,
        alpha_3=any(len(entry["country_code"]) == 3 for entry in data["roles"]),
    )
