"""What a hub knows of the parties behind it: how they are connected, and which of them a request means.

Spec: 2.2.1 ``mod_hub_client_info``; ``transport_and_format``, Open Routing Request.
"""

from __future__ import annotations

from gateway.demo.identity import Identity, Party, same_party, serves
from gateway.demo.journal import Received
from gateway.demo.shelf import Shelf, owner_of


def status(own: Shelf, party: Party, module: str, side: str) -> str | None:
    """How a party that has this interface is connected, by the hub's own ClientInfos; None if there is none."""
    for client in own.objects["hubclientinfo"].values():
        if same_party(party, (client["country_code"], client["party_id"])) and serves(client["role"], module, side):
            return str(client["status"])
    return None


def meant(who: Identity, own: Shelf, received: Received) -> Party:
    """Whom a request without a receiver means: the driver's party, the owner of what it is about, else the hub."""
    body = received.body if isinstance(received.body, dict) else {}
    if isinstance(token := body.get("cdr_token"), dict):
        return str(token.get("country_code")), str(token.get("party_id"))
    session = received.segments[0] if received.module == "chargingprofiles" else body.get("session_id")
    for module, id in (("locations", body.get("location_id")), ("sessions", session)):
        for key, obj in own.objects[module].items():
            if id is not None and obj.get("id") == id:
                return owner_of(key)
    return who.roles[0].party
