"""Who is connected to a hub. Spec: 2.2.1 ``mod_hub_client_info``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from attrs import frozen

from gateway.model.party import Role
from gateway.model.types import CountryCode, DateTime, Open, PartyId


class ConnectionStatus(StrEnum):
    """State of a party's connection. Spec: 2.2.1 ``mod_hub_client_info``, ConnectionStatus enum."""

    CONNECTED = "CONNECTED"
    OFFLINE = "OFFLINE"
    PLANNED = "PLANNED"
    SUSPENDED = "SUSPENDED"


@frozen(kw_only=True)
class ClientInfo:
    """A party behind a hub. Spec: 2.2.1 ``mod_hub_client_info``, ClientInfo object."""

    party_id: PartyId
    country_code: CountryCode
    role: Annotated[str, Open(Role)]
    status: Annotated[str, Open(ConnectionStatus)]
    last_updated: DateTime
