"""Version details and credentials of OCPI 2.1.1: one party, whose role nobody says.

The role comes from the link's file; a platform that is both CPO and eMSP plays both interfaces of what it offers. Party
countries have two letters in the specification, three with many peers: both are understood, and which of them was used
is reported, so that it can be mirrored.

Spec: 2.1.1 ``version_information_endpoint`` and ``credentials``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.ocpi_2_1_1 import objects
from adapters.ocpi_2_1_1.urls import KNOWN, segment_of
from adapters.parties import party_of, plays
from adapters.transport import credentials_url, offered, read_endpoints, spelling, versions_url
from gateway.model.dialect import Dialect, Seat
from gateway.model.document import validate
from gateway.model.modules import Module, Side
from gateway.model.peer import PeerCredentials


def write_details(dialect: Dialect, version: str) -> dict[str, Any]:
    """Our version details for a link; the URL of a module says which role we play there."""
    endpoints = [_endpoint(Module.CREDENTIALS, credentials_url(dialect, version))]
    for module, side in offered(dialect):
        if module in KNOWN:
            endpoints.append(_endpoint(module, f"{dialect.base_url}/{version}/{segment_of(module, side)}/{module}"))
    return {"version": version, "endpoints": endpoints}


def _endpoint(module: Module, url: str) -> dict[str, Any]:
    return {"identifier": module.value, "url": url}


def read_details(data: Any, theirs: Sequence[Seat]) -> Mapping[tuple[Module, Side], str]:
    """Their endpoints, each under the sides that their roles play. 2.2.1 ``version_information_endpoint`` has roles."""
    endpoints: dict[tuple[Module, Side], str] = {}
    for module, _, url in read_endpoints(data):
        for side in _sides(module, theirs):
            endpoints.setdefault((module, side), url)
    return endpoints


def _sides(module: Module, theirs: Sequence[Seat]) -> list[Side]:
    if module is Module.CREDENTIALS:
        return [Side.SENDER]
    if module not in KNOWN:
        return []
    return [side for side in Side if any(plays(seat.role, module, side) for seat in theirs)]


def write_credentials(token: str, dialect: Dialect) -> dict[str, Any]:
    """Our credentials object for a link: the first of the parties that we are there. Spec: ``credentials`` 2.1."""
    seat = dialect.ours[0]
    return {
        "token": token,
        "url": versions_url(dialect),
        "business_details": dict(seat.business),
        "party_id": seat.party.party_id,
        "country_code": spelling(dialect)(seat.party.country_code),
    }


def read_credentials(data: Any, theirs: Sequence[Seat]) -> PeerCredentials:
    """Their credentials object: their party, in each of the roles that the link's file gives it.

    A party that isn't in the file gets the roles of those that are; whether it is welcome, the handshake decides.

    Raises:
        InvalidObject: it breaks the specification.
    """
    data = validate(objects.Credentials, data)
    party = party_of(data["country_code"], data["party_id"], "$")
    known = [seat.role for seat in theirs if seat.party == party]
    return PeerCredentials(
        token=data["token"],
        url=data["url"],
        seats=tuple(
            Seat(party=party, role=role, business=data["business_details"])
            for role in dict.fromkeys(known or (seat.role for seat in theirs))
        ),
        alpha_3=len(data["country_code"]) == 3,
    )
