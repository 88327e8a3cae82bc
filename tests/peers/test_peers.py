"""The simulated peers, talking to each other: the evidence that their word about the gateway can be trusted."""

from __future__ import annotations

import aiohttp
import pytest
from people import (
    LATER,
    NEW,
    OLD,
    VERSIONS,
    a_cdr,
    a_location,
    a_period,
    a_session,
    a_tariff,
    a_token,
    peers,
    registered,
)

from gateway.demo.peers import HandshakeFailed, Peer, Role


@VERSIONS
async def test_registration(version: str) -> None:
    """Both know each other after it, the receiver called back before it answered, and TOKEN_A is spent."""
    async with registered(version) as (cpo, emsp):
        assert [str(received).split(" ->")[0] for received in cpo.received] == ["GET versions", "GET details"]
        assert [role.party for role in cpo.counterpart.roles] == [emsp.party]
        assert [role.party for role in emsp.counterpart.roles] == [cpo.party]
        assert ("tokens", "SENDER") in cpo.counterpart.endpoints
        assert ("sessions", "RECEIVER") in cpo.counterpart.endpoints
        with pytest.raises(HandshakeFailed, match="401"):
            await cpo.register(emsp.versions_url, "by-mail")
        assert cpo.complaints == []


@VERSIONS
async def test_credentials_405(version: str) -> None:
    """POST is 405 for the registered, PUT and DELETE for those who aren't yet."""
    cpo, emsp = peers(version)
    async with cpo, emsp:
        ours = cpo.handshake.credentials("B")
        cpo.counterpart.token = "by-mail"
        cpo.counterpart.endpoints = await cpo.handshake.discover(emsp.versions_url, "by-mail")
        assert (await cpo.put("credentials", body=ours)).http == 405
        assert (await cpo.delete("credentials")).http == 405
        await cpo.register(emsp.versions_url, "by-mail")
        assert (await cpo.post("credentials", body=ours)).http == 405


@VERSIONS
async def test_rotation_and_end(version: str) -> None:
    """A PUT gives both sides new tokens; after a DELETE nothing works."""
    async with registered(version) as (cpo, emsp):
        before = cpo.counterpart.token, emsp.counterpart.token
        assert (await cpo.rotate()).ok
        assert cpo.counterpart.token not in before
        assert emsp.counterpart.token not in before
        assert (await emsp.push_token(a_token(version, emsp))).http == 201
        assert (await emsp.rotate()).ok
        url = cpo.counterpart.endpoints["credentials", ""]
        assert (await cpo.line.ask("GET", url)).ok
        assert (await cpo.line.ask("GET", url, token=before[0])).http == 401
        token = cpo.counterpart.token
        assert (await cpo.unregister()).ok
        assert (await cpo.line.ask("GET", url, token=token)).http == 401
        assert cpo.complaints == []


@VERSIONS
async def test_charge(version: str) -> None:
    """Tariff, location, token, authorization, session and CDR cross, and nobody has anything to complain about."""
    async with registered(version) as (cpo, emsp):
        owner = "/".join(cpo.party)
        assert (await cpo.push_tariff(a_tariff(version, cpo))).http == 201
        assert (await cpo.push_location(a_location(version, cpo))).http == 201
        charging = {"status": "CHARGING", "last_updated": LATER}
        assert (await cpo.patch_location("LOC1", "E/1", changes=charging)).http == 200
        location = emsp.objects["locations"][f"{owner}/LOC1"]
        assert (location["evses"][0]["status"], location["last_updated"]) == ("CHARGING", LATER)
        assert (await cpo.get("locations", *cpo.party, "LOC1", "E/1")).data == location["evses"][0]

        assert (await emsp.push_token(a_token(version, emsp))).http == 201
        assert cpo.stored.with_id("tokens", "04AABB") == a_token(version, emsp)
        where = {"location_id": "LOC1", "evse_uids": ["E/1"]}
        answer = await cpo.authorize("04AABB", location=where)
        assert (answer.data["allowed"], answer.data["location"]) == ("ALLOWED", where)
        emsp.decide("04AABB", "BLOCKED")
        assert (await cpo.authorize("04AABB")).data["allowed"] == "BLOCKED"
        unknown = await cpo.authorize("FFFF")
        assert (unknown.http, unknown.status_code, unknown.data) == (404, 2001 if version == OLD else 2004, None)

        assert (await cpo.push_session(a_session(version, cpo))).http == 201
        changes = {"kwh": 3.0, "charging_periods": [a_period(LATER)], "last_updated": LATER}
        assert (await cpo.patch_session("S1", changes)).http == 200
        session = emsp.stored.with_id("sessions", "S1")
        assert session["kwh"] == 3.0
        assert len(session["charging_periods"]) == (1 if version == OLD else 2)
        assert (await emsp.wait_for("PUT", "sessions")).body == a_session(version, cpo)

        posted = await cpo.push_cdr(a_cdr(version, cpo))
        assert posted.http == 201
        assert (await cpo.call_url("GET", posted.headers["location"], "cdrs")).data == a_cdr(version, cpo)
        assert (await cpo.push_cdr(a_cdr(version, cpo))).http == 200
        assert (await cpo.delete_tariff("T1")).ok
        assert emsp.objects["tariffs"] == {}
        assert cpo.complaints == emsp.complaints == []


@VERSIONS
async def test_lists(version: str) -> None:
    """Lists come in pages, filtered by time from (inclusive) and to (exclusive)."""
    async with registered(version) as (cpo, emsp):
        for number in range(5):
            moment = f"2026-03-01T1{number}:00:00Z"
            cpo.keep("tariffs", a_tariff(version, cpo) | {"id": f"T{number}", "last_updated": moment})
        cpo.page_limit = 2
        pages = len(cpo.received)
        some = await emsp.pull("tariffs", date_from="2026-03-01T11:00:00Z", date_to="2026-03-01T14:00:00Z")
        assert [tariff["id"] for tariff in some] == ["T1", "T2", "T3"]
        assert len(cpo.received) - pages == 2
        assert cpo.complaints == emsp.complaints == []


@VERSIONS
async def test_refusals(version: str) -> None:
    """Bad tokens, bodies, ids, owners and methods get what the specification says, and are complained about."""
    async with registered(version) as (cpo, emsp):
        session, path = a_session(version, cpo), (*cpo.party, "S1")
        anonymous = await cpo.put("sessions", *path, body=session, headers={"Authorization": None})
        assert (anonymous.http, anonymous.status_code) == (401, 2001)
        assert (await cpo.put("sessions", *path, body=b"{")).http == 400
        assert (await cpo.put("sessions", *path, body=session | {"kwh": "1"})).status_code == 2001
        assert (await cpo.put("sessions", *cpo.party, "S2", body=session)).status_code == 2001
        assert (await cpo.put("sessions", *emsp.party, "S1", body=session)).http == 404
        assert (await cpo.patch("sessions", *path, body={"last_updated": LATER})).http == 404
        assert (await cpo.delete("sessions", *path)).http == 405
        await cpo.push_session(session)
        without_time = await cpo.patch("sessions", *path, body={"kwh": 2})
        assert without_time.status_code == (1000 if version == OLD else 2001)
        assert len(emsp.complaints) == (6 if version == OLD else 7)


async def test_foreign_fields() -> None:
    """What belongs to the other version is seen, whichever way it came."""
    async with registered(OLD) as (cpo, emsp):
        leak = {"party_id": "EXA", "last_updated": "2026-03-01T10:00:00.5+00:00", "auth_method": "COMMAND"}
        await cpo.push_session(a_session(OLD, cpo) | leak)
        assert [complaint.split("$.")[1].split(":")[0] for complaint in emsp.complaints] == [
            "auth_method",
            "last_updated",
            "party_id",
        ]
    async with registered(NEW) as (cpo, emsp):
        nameless = dict.fromkeys(("OCPI-to-party-id", "X-Request-ID"))
        await emsp.push_token(a_token(NEW, emsp), headers=nameless)
        assert [complaint.split(": ")[2] for complaint in cpo.complaints] == [
            "no x-request-id",
            "routing headers are missing",
        ]


async def test_static_platform() -> None:
    """A platform with two roles and tokens agreed on for good needs no handshake."""
    both = Peer("core", NEW, "CPO", "NL", "EXA", "Ex", also=(Role("EMSP", "NL", "EXM", "Exm"),), token_in="in")
    async with both, Peer("emsp", NEW, "EMSP", "DE", "ACM", "Acme", token_in="out") as emsp:
        await both.use_static(emsp.versions_url, "out")
        await emsp.use_static(both.versions_url, "in")
        assert (await emsp.push_token(a_token(NEW, emsp))).http == 201
        assert (await both.push_tariff(a_tariff(NEW, both))).http == 201
        assert emsp.received[-1].headers["ocpi-from-party-id"] == "EXA"
        assert both.complaints == emsp.complaints == []


async def test_bad_days() -> None:
    """Faults are played as often as asked for; a peer that is down comes back on the same port."""
    async with registered(NEW) as (cpo, emsp):
        emsp.fail("tariffs", "PUT", http=503, body=b"<html>")
        emsp.fail("tariffs", "PUT", drop=True, applied=True)
        assert (await cpo.push_tariff(a_tariff(NEW, cpo))).http == 503
        with pytest.raises(aiohttp.ClientError):
            await cpo.push_tariff(a_tariff(NEW, cpo))
        assert (await cpo.push_tariff(a_tariff(NEW, cpo))).http == 200
        await emsp.down()
        with pytest.raises(aiohttp.ClientError):
            await cpo.push_tariff(a_tariff(NEW, cpo))
        await emsp.up()
        assert (await cpo.push_tariff(a_tariff(NEW, cpo))).ok


async def test_waiting() -> None:
    """A wait that fails says what arrived instead."""
    async with registered(OLD) as (cpo, emsp):
        await cpo.push_tariff(a_tariff(OLD, cpo))
        assert (await emsp.wait_for("PUT", where=lambda received: "T1" in received.segments)).module == "tariffs"
        with pytest.raises(AssertionError, match=r"(?s)no POST cdrs .*PUT tariffs/NLD/EXA/T1 -> HTTP 201, 1000"):
            await emsp.wait_for("POST", "cdrs", after=3, timeout=0.01)
