"""The story that ``ocpi-gateway demo`` plays: a charging session from location to CDR, twice.

Each step waits for its delivery and lays what the peer received beside what it must be, to the last field. The values
are the story's own; what they become on the other side is written out by hand, not computed by what is being shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from attrs import define, field

from gateway.demo.peers import Peer, Received
from gateway.demo.world import Cast, World
from gateway.telemetry import Crossed

ACME: Final = Cast(name="acme", version="2.1.1", country="DEU", party="ACM", business="Acme Mobility", start="them")
VOLT: Final = Cast(name="volt", version="2.2.1", country="DE", party="VLT", business="Volt Drive", start="us")

Json = dict[str, Any]


@define
class Story:
    """Plays, tells, and counts what was off.

    Attributes:
        tell: gets each line as it is told.
    """

    tell: Callable[[str], None]
    checked: int = 0
    wrong: list[str] = field(factory=list)
    crossings: list[Crossed] = field(factory=list)
    _more: asyncio.Event = field(factory=asyncio.Event)

    def crossed(self, crossing: Crossed) -> None:
        """One line per crossing."""
        self.crossings.append(crossing)
        self._more.set()
        what = f"{crossing.verb} {crossing.module}" + (f"/{crossing.action}" if crossing.action else "")
        status = str(crossing.status) if crossing.status is not None else "no answer"
        lost = " ".join(loss.pointer for loss in crossing.losses)
        self.tell(
            f"  {crossing.source:>7} {crossing.source_version} -> {crossing.target_version} {crossing.target:<7}"
            f"  {what:<22} {status:<4}  {'lost: ' + lost if lost else 'nothing lost'}"
        )

    def check(self, what: str, got: Any, must: Any) -> None:
        """Lay what a peer got beside what it must be."""
        self.checked += 1
        for difference in differences(got, must):
            self.wrong.append(f"{what}: {difference}")
            self.tell(f"  WRONG   {what}: {difference}")

    async def play(self, world: World) -> None:
        """All of it."""
        core, acme, volt = world.backend, world["acme"], world["volt"]
        self._introduce(world)
        now = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)

        self.tell("\nThe operator publishes a tariff and a location with two EVSEs")
        await self._tariff(core, acme, volt, tariff(now))
        await self._location(core, acme, volt, location(now))

        self.tell("\nAcme (2.1.1, writes DEU): token, authorization, session, CDR")
        await self._token_211(core, acme, now)
        await self._authorize(core, "04AC3E0001", "DE-ACM-C00000001-A", ("DE", "ACM"))
        await self._charge_211(core, acme, now)

        self.tell("\nVolt (2.2.1): token, authorization, session, CDR")
        await self._token_221(core, volt, now)
        await self._authorize(core, "04F017BEEF", "DE-VLT-C00000009-X", ("DE", "VLT"))
        await self._charge_221(core, volt, now)

        self.check("what peers complain about", world.complaints, [])

    def _introduce(self, world: World) -> None:
        self.tell(
            "A gateway with its own Redis and three simulated platforms, all on loopback.\n"
            "Each line is a message as it crosses: from whom, in which versions, to whom, what, its OCPI status,\n"
            "and which values were lost on the way."
        )
        self.tell("\nRegistered")
        for link in world.gateway.links.directory.links.values():
            seats = ", ".join(f"{seat.party} {seat.role}" for seat in link.dialect.theirs)
            begun = {"us": "we registered", "them": "it registered", "none": "static tokens"}
            start = world.gateway.links.settings[link.id].registration.start
            self.tell(f"  {link.id:>7} {link.dialect.version}  {seats:<12} {begun[start]}")
            self.check(f"{link.id} is registered", link.registered, True)

    async def _tariff(self, core: Peer, acme: Peer, volt: Peer, sent: Json) -> None:
        await self._push("the backend's tariff", core.push_tariff(sent))
        got = await self._arrives(acme, "PUT", "tariffs")
        self.check("acme's tariff", got.body, tariff_211(sent))
        self.check("acme's tariff is ours, in its spelling", got.segments, ("NLD", "EXA", "STANDARD"))
        self.check("volt's tariff", (await self._arrives(volt, "PUT", "tariffs")).body, sent)

    async def _location(self, core: Peer, acme: Peer, volt: Peer, sent: Json) -> None:
        await self._push("the backend's location", core.push_location(sent))
        self.check("acme's location", (await self._arrives(acme, "PUT", "locations")).body, location_211(sent))
        self.check("volt's location", (await self._arrives(volt, "PUT", "locations")).body, sent)

    async def _token_211(self, core: Peer, acme: Peer, now: datetime) -> None:
        token = {
            "uid": "04AC3E0001", "type": "RFID", "auth_id": "DE-ACM-C00000001-A", "visual_number": "ACM 0001",
            "issuer": "Acme Mobility", "valid": True, "whitelist": "ALLOWED", "last_updated": stamp(now),
        }  # fmt: skip
        await self._push("acme's token", acme.push_token(token))
        received = await self._arrives(core, "PUT", "tokens")
        renamed = {("contract_id" if name == "auth_id" else name): value for name, value in token.items()}
        self.check("the backend's copy of it", received.body, {**renamed, "country_code": "DE", "party_id": "ACM"})
        self.check(
            "its URL", (received.segments, dict(received.query)), (("DE", "ACM", "04AC3E0001"), {"type": "RFID"})
        )

    async def _token_221(self, core: Peer, volt: Peer, now: datetime) -> None:
        token = {
            "country_code": "DE", "party_id": "VLT", "uid": "04F017BEEF", "type": "RFID",
            "contract_id": "DE-VLT-C00000009-X", "issuer": "Volt Drive", "group_id": "FLEET-7", "valid": True,
            "whitelist": "NEVER", "language": "de", "default_profile_type": "GREEN", "last_updated": stamp(now),
        }  # fmt: skip
        after = len(core.received)
        await self._push("volt's token", volt.push_token(token))
        self.check("the backend's copy of it", (await core.wait_for("PUT", "tokens", after=after)).body, token)

    async def _authorize(self, core: Peer, uid: str, contract: str, party: tuple[str, str]) -> None:
        answer = await core.authorize(uid, location={"location_id": "UTRECHT-1", "evse_uids": ["E1"]}, to=None)
        data = answer.data if isinstance(answer.data, dict) else {}
        self.check(f"the answer for {party[1]}'s token", (answer.http, answer.status_code), (200, 1000))
        token = data.get("token") or {}
        said = (data.get("allowed"), token.get("contract_id"), token.get("country_code"), token.get("party_id"))
        self.check("who may charge", said, ("ALLOWED", contract, *party))

    async def _charge_211(self, core: Peer, acme: Peer, now: datetime) -> None:
        token = cdr_token("ACM", "04AC3E0001", "DE-ACM-C00000001-A")
        started, patch, cdr = (
            session("S-ACM-1", token, now),
            session_patch(now),
            cdr_of("C-ACM-1", "S-ACM-1", token, now),
        )
        await self._push("session", core.push_session(started))
        self.check("acme's session", (await self._arrives(acme, "PUT", "sessions")).body, session_211(started, now))
        await self._push("charging periods", core.patch_session("S-ACM-1", patch))
        self.check(
            "acme's update", (await self._arrives(acme, "PATCH", "sessions")).body, session_patch_211(started, patch)
        )
        await self._push("CDR", core.push_cdr(cdr))
        self.check("acme's CDR", (await self._arrives(acme, "POST", "cdrs")).body, cdr_211(cdr, now))

    async def _charge_221(self, core: Peer, volt: Peer, now: datetime) -> None:
        token = cdr_token("VLT", "04F017BEEF", "DE-VLT-C00000009-X")
        started, patch, cdr = (
            session("S-VLT-1", token, now),
            session_patch(now),
            cdr_of("C-VLT-1", "S-VLT-1", token, now),
        )
        await self._push("session", core.push_session(started))
        self.check("volt's session", (await self._arrives(volt, "PUT", "sessions")).body, started)
        await self._push("charging periods", core.patch_session("S-VLT-1", patch))
        self.check("volt's update", (await self._arrives(volt, "PATCH", "sessions")).body, patch)
        await self._push("CDR", core.push_cdr(cdr))
        self.check("volt's CDR", (await self._arrives(volt, "POST", "cdrs")).body, cdr)

    async def _arrives(self, peer: Peer, verb: str, module: str) -> Received:
        """What the peer received, once the gateway has its answer and the line is told."""
        received = await peer.wait_for(verb, module)
        async with asyncio.timeout(5):
            while (peer.name, verb, module) not in {(c.target, c.verb, c.module) for c in self.crossings}:
                self._more.clear()
                await self._more.wait()
        return received

    async def _push(self, what: str, pushing: Any) -> None:
        answer = await pushing
        self.check(f"{what} is accepted", answer.status_code, 1000)


def differences(got: Any, must: Any, at: str = "$") -> list[str]:
    """Where two JSON values differ, as sentences. Numbers compare by value, dates as they are written."""
    if isinstance(got, Mapping) and isinstance(must, Mapping):
        found = []
        for name in sorted(got.keys() | must.keys()):
            if name not in got:
                found.append(f"{at}.{name}: missing")
            elif name not in must:
                found.append(f"{at}.{name}: not expected")
            else:
                found += differences(got[name], must[name], f"{at}.{name}")
        return found
    if isinstance(got, list | tuple) and isinstance(must, list | tuple):
        if len(got) != len(must):
            return [f"{at}: {len(got)} items instead of {len(must)}"]
        pairs = enumerate(zip(got, must, strict=True))
        return [line for index, (one, other) in pairs for line in differences(one, other, f"{at}[{index}]")]
    return [] if got == must and isinstance(got, bool) == isinstance(must, bool) else [f"{at}: {got!r}, not {must!r}"]


# The values of the story ----------------------------------------------------------------------------------------------


def stamp(moment: datetime) -> str:
    """A DateTime as both versions write it."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def tariff(now: datetime) -> Json:
    """0.25 per kWh, 2.50 per hour of parking, at least 1.00: a minimum that 2.1.1 can't say."""
    return {
        "country_code": "NL", "party_id": "EXA", "id": "STANDARD", "currency": "EUR", "type": "REGULAR",
        "min_price": {"excl_vat": 1.0, "incl_vat": 1.21},
        "elements": [
            {"price_components": [{"type": "ENERGY", "price": 0.25, "vat": 21.0, "step_size": 1}]},
            {"price_components": [{"type": "PARKING_TIME", "price": 2.5, "vat": 21.0, "step_size": 300}],
             "restrictions": {"start_time": "09:00", "end_time": "18:00"}},
        ],
        "last_updated": stamp(now),
    }  # fmt: skip


def tariff_211(sent: Json) -> Json:
    """The same in 2.1.1: net prices without VAT, no type, no minimum, no owner in the body."""
    return {
        "id": "STANDARD", "currency": "EUR",
        "elements": [
            {"price_components": [{"type": "ENERGY", "price": 0.25, "step_size": 1}]},
            {"price_components": [{"type": "PARKING_TIME", "price": 2.5, "step_size": 300}],
             "restrictions": {"start_time": "09:00", "end_time": "18:00"}},
        ],
        "last_updated": sent["last_updated"],
    }  # fmt: skip


def location(now: datetime) -> Json:
    """A square in Utrecht with an AC and a DC charging point."""
    when = stamp(now)
    return {
        "country_code": "NL", "party_id": "EXA", "id": "UTRECHT-1", "publish": True, "name": "Neude",
        "address": "Neude 11", "city": "Utrecht", "postal_code": "3512AE", "country": "NLD",
        "coordinates": {"latitude": "52.093050", "longitude": "5.118600"}, "parking_type": "ON_STREET",
        "evses": [
            {"uid": "E1", "evse_id": "NL*EXA*E1", "status": "AVAILABLE", "capabilities": ["RFID_READER"],
             "connectors": [
                 {"id": "1", "standard": "IEC_62196_T2", "format": "SOCKET", "power_type": "AC_3_PHASE",
                  "max_voltage": 230, "max_amperage": 32, "tariff_ids": ["STANDARD"], "last_updated": when}],
             "last_updated": when},
            {"uid": "E2", "evse_id": "NL*EXA*E2", "status": "AVAILABLE",
             "connectors": [
                 {"id": "1", "standard": "IEC_62196_T2_COMBO", "format": "CABLE", "power_type": "DC",
                  "max_voltage": 920, "max_amperage": 400, "max_electric_power": 150000,
                  "tariff_ids": ["STANDARD"], "last_updated": when}],
             "last_updated": when},
        ],
        "operator": {"name": "Example Charging"}, "time_zone": "Europe/Amsterdam", "last_updated": when,
    }  # fmt: skip


def location_211(sent: Json) -> Json:
    """The same in 2.1.1. 150 kW at 920 V are 163 A: that version has no power limit, so the amperage carries it."""
    when = sent["last_updated"]
    return {
        "id": "UTRECHT-1", "type": "ON_STREET", "name": "Neude", "address": "Neude 11", "city": "Utrecht",
        "postal_code": "3512AE", "country": "NLD",
        "coordinates": {"latitude": "52.093050", "longitude": "5.118600"},
        "evses": [
            {"uid": "E1", "evse_id": "NL*EXA*E1", "status": "AVAILABLE", "capabilities": ["RFID_READER"],
             "connectors": [
                 {"id": "1", "standard": "IEC_62196_T2", "format": "SOCKET", "power_type": "AC_3_PHASE",
                  "voltage": 230, "amperage": 32, "tariff_id": "STANDARD", "last_updated": when}],
             "last_updated": when},
            {"uid": "E2", "evse_id": "NL*EXA*E2", "status": "AVAILABLE",
             "connectors": [
                 {"id": "1", "standard": "IEC_62196_T2_COMBO", "format": "CABLE", "power_type": "DC",
                  "voltage": 920, "amperage": 163, "tariff_id": "STANDARD", "last_updated": when}],
             "last_updated": when},
        ],
        "operator": {"name": "Example Charging"}, "time_zone": "Europe/Amsterdam", "last_updated": when,
    }  # fmt: skip


def cdr_token(party_id: str, uid: str, contract_id: str) -> Json:
    """Who charges."""
    return {"country_code": "DE", "party_id": party_id, "uid": uid, "type": "RFID", "contract_id": contract_id}


def session(id: str, token: Json, now: datetime) -> Json:
    """A session that has just begun."""
    return {
        "country_code": "NL", "party_id": "EXA", "id": id, "start_date_time": stamp(now), "kwh": 0.0,
        "cdr_token": token, "auth_method": "AUTH_REQUEST", "location_id": "UTRECHT-1", "evse_uid": "E1",
        "connector_id": "1", "currency": "EUR", "status": "ACTIVE", "last_updated": stamp(now),
    }  # fmt: skip


def session_patch(now: datetime) -> Json:
    """Half an hour later: one more period, and what it costs so far. In 2.2.1 periods are appended."""
    later = stamp(now + timedelta(minutes=30))
    return {
        "kwh": 10.5,
        "charging_periods": [
            {"start_date_time": stamp(now), "tariff_id": "STANDARD",
             "dimensions": [{"type": "ENERGY", "volume": 10.5}, {"type": "STATE_OF_CHARGE", "volume": 55.0}]}],
        "total_cost": {"excl_vat": 2.63, "incl_vat": 3.18}, "last_updated": later,
    }  # fmt: skip


def _place_211(now: datetime) -> Json:
    """The location as a session embeds it: only the EVSE and connector in use."""
    whole = location_211(location(now))
    return {**whole, "evses": whole["evses"][:1]}


def session_211(sent: Json, now: datetime) -> Json:
    """The session in 2.1.1: the place embedded, the contract instead of the token."""
    return {
        "id": sent["id"], "start_datetime": sent["start_date_time"], "kwh": 0.0,
        "auth_id": sent["cdr_token"]["contract_id"], "auth_method": "AUTH_REQUEST", "location": _place_211(now),
        "currency": "EUR", "status": "ACTIVE", "last_updated": sent["last_updated"],
    }  # fmt: skip


def _periods_211(now_text: str, kwh: float) -> list[Json]:
    return [{"start_date_time": now_text, "dimensions": [{"type": "ENERGY", "volume": kwh}]}]


def session_patch_211(started: Json, patch: Json) -> Json:
    """The update in 2.1.1: all periods, without what that version has no dimension for; the cost without VAT."""
    return {
        "kwh": 10.5, "charging_periods": _periods_211(started["start_date_time"], 10.5), "total_cost": 2.63,
        "last_updated": patch["last_updated"],
    }  # fmt: skip


def cdr_of(id: str, session_id: str, token: Json, now: datetime) -> Json:
    """What it came to: 21 kWh in an hour."""
    end = stamp(now + timedelta(hours=1))
    return {
        "country_code": "NL", "party_id": "EXA", "id": id, "start_date_time": stamp(now), "end_date_time": end,
        "session_id": session_id, "cdr_token": token, "auth_method": "AUTH_REQUEST",
        "cdr_location": {
            "id": "UTRECHT-1", "name": "Neude", "address": "Neude 11", "city": "Utrecht", "postal_code": "3512AE",
            "country": "NLD", "coordinates": {"latitude": "52.093050", "longitude": "5.118600"}, "evse_uid": "E1",
            "evse_id": "NL*EXA*E1", "connector_id": "1", "connector_standard": "IEC_62196_T2",
            "connector_format": "SOCKET", "connector_power_type": "AC_3_PHASE",
        },
        "currency": "EUR", "tariffs": [tariff(now)],
        "charging_periods": [
            {"start_date_time": stamp(now), "tariff_id": "STANDARD",
             "dimensions": [{"type": "ENERGY", "volume": 21.0}, {"type": "TIME", "volume": 1.0}]}],
        "total_cost": {"excl_vat": 5.25, "incl_vat": 6.35}, "total_energy": 21.0, "total_time": 1.0,
        "last_updated": end,
    }  # fmt: skip


def cdr_211(sent: Json, now: datetime) -> Json:
    """The CDR in 2.1.1."""
    return {
        "id": sent["id"], "start_date_time": sent["start_date_time"], "stop_date_time": sent["end_date_time"],
        "auth_id": sent["cdr_token"]["contract_id"], "auth_method": "AUTH_REQUEST",
        "location": _cdr_place_211(sent, now),
        "currency": "EUR", "tariffs": [tariff_211(sent["tariffs"][0])],
        "charging_periods": [
            {"start_date_time": sent["start_date_time"],
             "dimensions": [{"type": "ENERGY", "volume": 21.0}, {"type": "TIME", "volume": 1.0}]}],
        "total_cost": 5.25, "total_energy": 21.0, "total_time": 1.0, "last_updated": sent["last_updated"],
    }  # fmt: skip


def _cdr_place_211(sent: Json, now: datetime) -> Json:
    """A CDR's location: what the CDR says, and of the rest what 2.1.1 requires, as the location is known."""
    place, end = _place_211(now), sent["last_updated"]
    evse = place["evses"][0]
    connector = {name: value for name, value in evse["connectors"][0].items() if name != "tariff_id"}
    return {
        "id": "UTRECHT-1", "type": "ON_STREET", "name": "Neude", "address": "Neude 11", "city": "Utrecht",
        "postal_code": "3512AE", "country": "NLD",
        "coordinates": {"latitude": "52.093050", "longitude": "5.118600"},
        "evses": [
            {"uid": "E1", "evse_id": "NL*EXA*E1", "status": "UNKNOWN",
             "connectors": [{**connector, "last_updated": end}], "last_updated": end}],
        "last_updated": end,
    }  # fmt: skip
