"""The full path table of both versions, walked against a running gateway and against the version details it serves.

Every role that may call us does so, on every resource and with every method that the specification gives to its
interfaces: none is 404 or 405. What isn't there for a role is no secret: the details name what is served, and no more.

Spec: 2.1.1 and 2.2.1 ``mod_*``, Interfaces and endpoints; ``version_information_endpoint``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve, frozen
from scenes import ACME, EXA, NEW, OLD, TWO, VOLT, Begin, Json, at_volt, owned, thing

from gateway.demo.peers import Peer, Role
from gateway.demo.world import Cast, World

# A core that is operator and eMSP at once faces every partner there can be.
CORE = Cast(
    name="backend", version=NEW, role="CPO", country="NL", party="OWN", business="Own Charging", start="none",
    also=(Role("EMSP", "DE", "OWM", "Own Mobility"),),
)  # fmt: skip
OUR_CPO = "our_party: {role: CPO, country_code: NL, party_id: OWN}"
OUR_EMSP = "our_party: {role: EMSP, country_code: DE, party_id: OWM}"
PARTNERS = {
    (OLD, "EMSP"): evolve(ACME, more=OUR_CPO),
    (NEW, "EMSP"): evolve(VOLT, more=OUR_CPO),
    (OLD, "CPO"): evolve(EXA, more=OUR_EMSP),
    (NEW, "CPO"): evolve(TWO, more=OUR_EMSP),
}
EVERYBODY = pytest.mark.parametrize(("version", "role"), PARTNERS, ids=["-".join(who) for who in PARTNERS])
DATES = {"date_from": "2020-01-01T00:00:00Z"}


@frozen
class Row:
    """One row of the table, for one method: what a caller of that version and role may do."""

    method: str
    module: str
    side: str
    segments: tuple[str, ...] = ()
    body: Any = None
    query: Json | None = None

    @property
    def name(self) -> str:
        return f"{self.method}-{self.module}-{self.side}-{'/'.join(self.segments) or 'list'}"


def stamped(version: str, fields: Json) -> Json:
    """A PATCH of 2.2.1 has last_updated."""
    return fields if version == OLD else fields | {"last_updated": "2026-11-21T04:00:00Z"}


def of_an_emsp(version: str) -> Iterator[Row]:
    """What an eMSP calls: the Sender interfaces of what we own, the Receiver interfaces of tokens and commands."""
    token = thing("token", version) if version == OLD else at_volt(thing("token", version))
    owner = ("DEU", "ACM") if version == OLD else ("DE", "VLT")
    uid = (*owner, token["uid"])
    yield Row("PUT", "tokens", "RECEIVER", uid, token)
    yield Row("PATCH", "tokens", "RECEIVER", uid, stamped(version, {"valid": True}))
    yield Row("GET", "tokens", "RECEIVER", uid)
    for module in ("locations", "sessions", "cdrs", "tariffs"):
        yield Row("GET", module, "SENDER", query=DATES)
    for deeper in ((), ("LOC-7-A",), ("LOC-7-A", "1")):
        yield Row("GET", "locations", "SENDER", ("LOC-7", *deeper))
    for command, body in commands(version, token).items():
        yield Row("POST", "commands", "RECEIVER", (command,), body)
    if version == OLD:
        return
    yield Row("PUT", "sessions", "SENDER", ("S-1001", "charging_preferences"), {"profile_type": "FAST"})
    back = {"response_url": "{results}/1"}
    profile = {"charging_profile": {"charging_rate_unit": "W"}, **back}
    yield Row("PUT", "chargingprofiles", "RECEIVER", ("S-1001",), profile)
    yield Row("GET", "chargingprofiles", "RECEIVER", ("S-1001",), query={"duration": "900", **back})
    yield Row("DELETE", "chargingprofiles", "RECEIVER", ("S-1001",), query=back)


def commands(version: str, token: Json) -> dict[str, Json]:
    back = {"response_url": "{results}/1"}
    reservation = {"reservation_id": 7 if version == OLD else "R-7"}
    found = {
        "START_SESSION": back | {"token": token, "location_id": "LOC-7", "evse_uid": "LOC-7-A"},
        "STOP_SESSION": back | {"session_id": "S-1001"},
        "RESERVE_NOW": back | reservation | {
            "token": token, "expiry_date": "2030-01-01T00:00:00Z", "location_id": "LOC-7",
        },
        "UNLOCK_CONNECTOR": back | {"location_id": "LOC-7", "evse_uid": "LOC-7-A", "connector_id": "1"},
    }  # fmt: skip
    return found if version == OLD else found | {"CANCEL_RESERVATION": back | reservation}


def of_a_cpo(version: str) -> Iterator[Row]:
    """What a CPO calls: the Receiver interfaces of what it owns, the Sender interfaces of tokens and commands."""
    owner = ("NLD", "EXA") if version == OLD else ("NL", "TWO")

    def own(kind: str) -> Json:
        return owned(thing(kind, version), "TWO")

    location = own("location")
    evse = location["evses"][0]
    pieces = [((), location), ((evse["uid"],), evse), ((evse["uid"], "1"), evse["connectors"][0])]
    for deeper, piece in pieces:
        path = (*owner, location["id"], *deeper)
        yield Row("PUT", "locations", "RECEIVER", path, piece)
        changed = {"directions": []} if len(deeper) < 2 else {"terms_and_conditions": "https://exa.example/terms"}
        yield Row("PATCH", "locations", "RECEIVER", path, stamped(version, changed))
        yield Row("GET", "locations", "RECEIVER", path)
    tariff = own("tariff")
    path = (*owner, tariff["id"])
    yield Row("PUT", "tariffs", "RECEIVER", path, tariff)
    if version == OLD:  # 2.2 took it away
        yield Row("PATCH", "tariffs", "RECEIVER", path, {"tariff_alt_url": "https://exa.example/tariff"})
    yield Row("GET", "tariffs", "RECEIVER", path)
    yield Row("DELETE", "tariffs", "RECEIVER", path)
    session = own("session")
    yield Row("PUT", "sessions", "RECEIVER", (*owner, session["id"]), session)
    yield Row("PATCH", "sessions", "RECEIVER", (*owner, session["id"]), stamped(version, {"kwh": 99.5}))
    yield Row("GET", "sessions", "RECEIVER", (*owner, session["id"]))
    yield Row("POST", "cdrs", "RECEIVER", (), own("cdr"))
    yield Row("GET", "tokens", "SENDER")
    yield Row("POST", "tokens", "SENDER", ("04A1B2C3D4E5F6", "authorize"), None, {"type": "RFID"})


CALLERS = {"EMSP": of_an_emsp, "CPO": of_a_cpo}


async def stage(world: World, peer: Peer) -> None:
    """What must be there for the rows to have something to be about."""
    core = world.backend
    owner = {"country_code": "NL", "party_id": "OWN"}
    await core.push_location(thing("location", NEW) | owner, sender=("NL", "OWN"), to=None)
    await core.push_tariff(thing("tariff", NEW) | owner, sender=("NL", "OWN"), to=None)
    core.keep("tokens", thing("token", NEW) | {"country_code": "DE", "party_id": "OWM"})
    await core.push_token(
        thing("token", NEW) | {"country_code": "DE", "party_id": "OWM"}, sender=("DE", "OWM"), to=None
    )
    if peer.who.roles[0].role == "EMSP":
        token = thing("token", peer.who.version)
        await peer.push_token(token if peer.who.version == OLD else at_volt(token))
        session = thing("session", NEW) | owner
        session = session if peer.who.version == OLD else at_volt(session)
        await core.push_session(session, sender=("NL", "OWN"), to=None)


def filled(value: Any, peer: Peer) -> Any:
    """Where results go is the caller's own to say."""
    match value:
        case dict():
            return {name: filled(inner, peer) for name, inner in value.items()}
        case str():
            return value.replace("{results}", f"{peer.who.base_url}/results")
        case _:
            return value


@EVERYBODY
async def test_every_resource_and_method_is_there_for_whom_it_is_check_09(
    world: Begin, version: str, role: str
) -> None:
    """Row by row: never 404, never 405, always an envelope; and the same with a slash at the end."""
    town = await world(PARTNERS[version, role], backend=CORE)
    (peer,) = town.partners.values()
    await stage(town, peer)
    wrong = []
    for row in CALLERS[role](version):
        for slash in ((), ("",)):
            answer = await peer.call(
                row.method, row.module, *row.segments, *slash,
                body=filled(row.body, peer), query=filled(row.query or {}, peer), side=row.side,  # type: ignore[arg-type]
            )  # fmt: skip
            if answer.http in (404, 405) or answer.http >= 500 or answer.status_code is None:
                wrong.append(f"{row.name}: HTTP {answer.http}, {answer.status_code} {answer.message}")
            if row.method in ("DELETE", "POST"):
                break  # once is all there is to it
    for another in town.peers:
        another.complaints.clear()
    assert wrong == []


@EVERYBODY
async def test_the_version_details_name_what_is_served_and_nothing_else(world: Begin, version: str, role: str) -> None:
    """Each interface of the table is in the details that this caller reads, and each of the details in the table."""
    town = await world(PARTNERS[version, role], backend=CORE)
    (peer,) = town.partners.values()
    table = {(row.module, row.side) for row in CALLERS[role](version)}
    # A CPO's part in commands and profiles is to answer: results go to the URL that came with the request, and what
    # changes of a profile to the interface of the Sender (2.2.1 mod_charging_profiles).
    served = table | ({("chargingprofiles", "SENDER")} if (version, role) == (NEW, "CPO") else set())
    listed = set(peer.counterpart.endpoints) - {("credentials", "")}
    assert listed - {("commands", "SENDER")} == served


@EVERYBODY
async def test_what_a_role_has_not_is_404_and_what_a_resource_has_not_is_405(
    world: Begin, version: str, role: str
) -> None:
    """The other role's interfaces, unknown modules, and methods that no specification has."""
    town = await world(PARTNERS[version, role], backend=CORE)
    (peer,) = town.partners.values()
    base = f"{town.settings.public_url}/ocpi/{version}"
    sides = {OLD: ("cpo", "emsp"), NEW: ("sender", "receiver")}[version]
    refused = {
        "GET nothing": await peer.line.ask("GET", f"{base}/{sides[0]}/payments"),
        "GET too deep": await peer.line.ask("GET", f"{base}/{sides[0]}/tokens/a/b/c/d/e/f"),
        "PUT versions": await peer.line.ask("PUT", f"{town.settings.public_url}/ocpi/versions", body={}),
        "POST details": await peer.line.ask("POST", base, body={}),
        "PATCH credentials": await peer.line.ask("PATCH", f"{base}/credentials", body={}),
        "POST credentials": await peer.line.ask("POST", f"{base}/credentials", body={}),
    }
    for another in town.peers:
        another.complaints.clear()
    assert {what: answer.http for what, answer in refused.items()} == {
        "GET nothing": 404, "GET too deep": 404, "PUT versions": 405, "POST details": 405,
        "PATCH credentials": 405, "POST credentials": 405,
    }  # fmt: skip
    assert all(answer.status_code is not None for answer in refused.values())
