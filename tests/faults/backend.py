"""The core platform of the operator: it says things, and writes down what the gateway has acknowledged.

Several workers, each with sessions of its own, so that the order of one object is the order in which it was said. What
isn't acknowledged is said again until it is, byte for byte; but for a PATCH, after which the whole session is put, as
the specification has it. What is said comes from a seed; when it is said comes from the clock.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp
from attrs import define, field

from tests.faults.partners import OWNER, Partner, envelope
from tests.faults.plain_http import Peer, Request, Server
from tests.faults.records import Ack, Books, key_of, now

TOKEN_OUT: Final = "canary-of-backend-5eCr3t"
TOKEN_IN: Final = "canary-to-backend-5eCr3t"
SINCE: Final = datetime(2026, 3, 1, tzinfo=UTC)
PATIENCE_S: Final = 10.25
"""Seconds in which a push must be answered: its deadline, and a quarter of a second."""
AGAIN_S: Final = 0.02


def stamp(seconds: float) -> str:
    return f"{SINCE + timedelta(seconds=int(seconds)):%Y-%m-%dT%H:%M:%SZ}"


def tariff() -> dict[str, Any]:
    return {
        "country_code": "NL", "party_id": "EXA", "id": "STANDARD", "currency": "EUR",
        "elements": [{"price_components": [{"type": "ENERGY", "price": 0.25, "vat": 21.0, "step_size": 1}]}],
        "last_updated": stamp(0),
    }  # fmt: skip


def location() -> dict[str, Any]:
    """Where everything happens; a 2.1.1 session can't do without."""
    connector = {
        "id": "1", "standard": "IEC_62196_T2", "format": "SOCKET", "power_type": "AC_3_PHASE", "max_voltage": 230,
        "max_amperage": 32, "tariff_ids": ["STANDARD"], "last_updated": stamp(0),
    }  # fmt: skip
    return {
        "country_code": "NL", "party_id": "EXA", "id": "UTRECHT-1", "publish": True, "name": "Neude",
        "address": "Neude 11", "city": "Utrecht", "postal_code": "3512AE", "country": "NLD",
        "coordinates": {"latitude": "52.093050", "longitude": "5.118600"}, "time_zone": "Europe/Amsterdam",
        "evses": [{"uid": "E1", "evse_id": "NL*EXA*E1", "status": "AVAILABLE", "connectors": [connector],
                   "last_updated": stamp(0)}],
        "last_updated": stamp(0),
    }  # fmt: skip


def driver(partner: Partner, number: int) -> dict[str, Any]:
    contract = f"{partner.country}-{partner.party}-C{number:08}"
    return {
        "country_code": partner.country, "party_id": partner.party, "uid": f"{partner.party}{number:08}",
        "type": "RFID", "contract_id": contract,
    }  # fmt: skip


def period(at: float, kwh: float) -> dict[str, Any]:
    return {"start_date_time": stamp(at), "dimensions": [{"type": "ENERGY", "volume": kwh}]}


def cdr(partner: Partner, number: int, *, credits: str = "") -> dict[str, Any]:
    """A CDR of about 1.8 kB."""
    begun, ended = number, number + 3600
    more = {"credit": True, "credit_reference_id": credits} if credits else {}
    sign = -1 if credits else 1
    return {
        "country_code": "NL", "party_id": "EXA", "id": f"{partner.party}-{number}", "start_date_time": stamp(begun),
        "end_date_time": stamp(ended), "session_id": f"{partner.party}-S{number}",
        "cdr_token": driver(partner, number), "auth_method": "WHITELIST",
        "cdr_location": {
            "id": "UTRECHT-1", "name": "Neude", "address": "Neude 11", "city": "Utrecht", "postal_code": "3512AE",
            "country": "NLD", "coordinates": {"latitude": "52.093050", "longitude": "5.118600"}, "evse_uid": "E1",
            "evse_id": "NL*EXA*E1", "connector_id": "1", "connector_standard": "IEC_62196_T2",
            "connector_format": "SOCKET", "connector_power_type": "AC_3_PHASE",
        },
        "currency": "EUR", "tariffs": [tariff()], "charging_periods": [period(begun, 21.0)],
        "total_cost": {"excl_vat": 5.25 * sign, "incl_vat": 6.35 * sign}, "total_energy": 21.0, "total_time": 1.0,
        "last_updated": stamp(ended), **more,
    }  # fmt: skip


def session(partner: Partner, number: int) -> dict[str, Any]:
    return {
        "country_code": "NL", "party_id": "EXA", "id": f"{partner.party}-S{number}", "start_date_time": stamp(number),
        "kwh": 0.0, "cdr_token": driver(partner, number), "auth_method": "WHITELIST", "location_id": "UTRECHT-1",
        "evse_uid": "E1", "connector_id": "1", "currency": "EUR", "charging_periods": [], "status": "ACTIVE",
        "last_updated": stamp(number),
    }  # fmt: skip


@define(eq=False)
class Backend:
    """Says what its generator brings, to any of the gateways that are there.

    Attributes:
        gateways: base URLs; each request goes to the next one of which ``ready`` says that it may.
        sessions: what each session is by now, by its id: the truth that partners must end with.
        failed: requests that were sent and not answered with 1000: a gateway was away, or said 3000.
        times: seconds of each acknowledged request, by the partner it was for, with the time of its end.
    """

    seed: int
    partners: Sequence[Partner]
    books: Books
    gateways: list[str]
    credits: bool = True
    sessions_share: float = 0.3
    ready: Callable[[str], bool] = field(default=lambda _: True)
    sessions: dict[str, dict[str, Any]] = field(factory=dict, init=False)
    failed: int = field(default=0, init=False)
    refused: list[str] = field(factory=list, init=False)
    late: int = field(default=0, init=False)
    times: list[tuple[float, float]] = field(factory=list, init=False)
    in_flight: int = field(default=0, init=False)
    said: int = field(default=0, init=False)
    tokens: dict[str, str] = field(factory=dict, init=False)
    """Tokens that it was told, by uid: their last_updated."""
    server: Server = field(init=False)
    _http: aiohttp.ClientSession | None = field(default=None, init=False)
    _workers: list[asyncio.Task[None]] = field(factory=list, init=False)
    _enough: asyncio.Event = field(factory=asyncio.Event, init=False)
    _number: int = field(default=0, init=False)
    _turn: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.server = Server(self._answer)

    def file(self) -> str:
        """Its part of gateway.yaml."""
        base = f"http://127.0.0.1:{self.server.port}"
        return (
            'backend:\n  version: "2.2.1"\n  roles: [{role: CPO, country_code: NL, party_id: EXA}]\n'
            f"  registration:\n    start: adopted\n    versions_url: {base}/versions\n"
            f"    token_out: {{value: {TOKEN_IN}}}\n    token_in: {{value: {TOKEN_OUT}}}\n"
            f"    endpoints: {{tokens: {base}/tokens, credentials: {base}/credentials}}\n"
            "  allow_private: true\n"
        )

    async def _answer(self, request: Request, peer: Peer) -> None:
        if request.method == "PUT" and request.segments[0] == "tokens":
            token = request.json()
            self.tokens[token["uid"]] = token["last_updated"]
        peer.answer(200, envelope(1000, [] if request.method == "GET" else None))

    # Load -------------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, force_close=False)
        self._http = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30))

    async def introduce(self) -> None:
        """The location and its tariff, which everybody's sessions name."""
        await self.say("PUT", "tariffs/NL/EXA/STANDARD", tariff())
        await self.say("PUT", "locations/NL/EXA/UTRECHT-1", location())

    def begin(self, rate: float, workers: int = 8) -> None:
        """So many requests a second, as far as they are answered; for ever."""
        self._enough.clear()
        self._workers = [
            asyncio.create_task(self._work(number, rate / workers, random.Random(f"{self.seed}/{self.said}/{number}")))
            for number in range(workers)
        ]  # fmt: skip

    async def enough(self) -> None:
        """Nothing new; what was begun is said until it is acknowledged."""
        self._enough.set()
        await asyncio.gather(*self._workers)
        self._workers = []

    async def halt(self) -> None:
        """Nothing more, whatever was begun."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers = []

    async def aclose(self) -> None:
        await self.halt()
        if self._http is not None:
            await self._http.close()
        await self.server.down()

    async def _work(self, number: int, rate: float, rng: random.Random) -> None:
        due = now() + rng.random() / rate
        mine: list[str] = []
        lately: list[tuple[Partner, str]] = []
        while not self._enough.is_set():
            await asyncio.sleep(max(0.0, due - now()))
            due = max(due + 1 / rate, now() - 1)  # what was missed while the gateway was away isn't made up for
            partner, dice = rng.choice(self.partners), rng.random()
            if dice < self.sessions_share:
                await self._step(mine, partner, rng)
            elif self.credits and lately and dice > 0.95:
                of, id = lately.pop()
                await self.post(of, cdr(of, self.next(), credits=id))
            else:
                body = cdr(partner, self.next())
                await self.post(partner, body)
                lately.append((partner, body["id"]))
                del lately[:-4]

    def next(self) -> int:
        self._number += 1
        return self._number

    async def post(self, partner: Partner, body: dict[str, Any]) -> None:
        await self.say("POST", "cdrs", body, of=partner)

    async def _step(self, mine: list[str], partner: Partner, rng: random.Random) -> None:
        """The next thing that happens in one of this worker's sessions, or a new one."""
        if len(mine) < 3:
            new = session(partner, self.next())
            mine.append(new["id"])
            self.sessions[new["id"]] = new
            await self._put(new)
            return
        id = mine[0] if rng.random() < 0.5 else rng.choice(mine)
        has = self.sessions[id]
        at = (datetime.fromisoformat(has["last_updated"]) - SINCE).total_seconds() + 60
        kwh = has["kwh"] + 1.5
        change: dict[str, Any] = {"kwh": kwh, "last_updated": stamp(at)}
        if len(has["charging_periods"]) < 6:
            change["charging_periods"] = [period(at - 60, 1.5)]
        else:
            change |= {"status": "COMPLETED", "end_date_time": stamp(at)}
            mine.remove(id)
        has |= {**change, "charging_periods": [*has["charging_periods"], *change.get("charging_periods", [])]}
        if not await self.say("PATCH", self._path(has), change, of=self._of(has), key=id, once=True):
            await self._put(has)

    async def _put(self, whole: dict[str, Any]) -> None:
        await self.say("PUT", self._path(whole), whole, of=self._of(whole))

    @staticmethod
    def _path(whole: dict[str, Any]) -> str:
        return f"sessions/NL/EXA/{whole['id']}"

    def _of(self, whole: dict[str, Any]) -> Partner:
        return next(each for each in self.partners if each.party == whole["cdr_token"]["party_id"])

    # One request ------------------------------------------------------------------------------------------------------

    async def say(
        self,
        method: str,
        path: str,
        body: dict[str, Any],
        *,
        of: Partner | None = None,
        key: str = "",
        once: bool = False,
    ) -> bool:
        """Until it is acknowledged; with ``once`` False after the first time that it wasn't."""
        while True:
            began = now()
            answer = await self.ask(method, path, body, of)
            if answer == 1000:
                self.said += 1
                if of is not None:
                    self._acknowledged(method, path, body, of, key, began)
                return True
            if answer is not None and 2000 <= answer < 3000:
                self.refused.append(f"{method} {path}: {answer}")
                return True
            self.failed += 1
            if once:
                return False
            await asyncio.sleep(AGAIN_S)

    def _acknowledged(self, method: str, path: str, body: dict[str, Any], of: Partner, key: str, began: float) -> None:
        name = key_of(path.partition("/")[0], OWNER, key or body["id"])
        original = str(body.get("credit_reference_id", ""))
        self.books.acks.append(Ack(now(), of.id, name, method, body["last_updated"], original, began))

    async def ask(self, method: str, path: str, body: dict[str, Any], of: Partner | None) -> int | None:
        """One request; the status of its answer, None if there was none worth the name."""
        assert self._http is not None
        base = await self._whom()
        asked, about = uuid.uuid4().hex, uuid.uuid4().hex
        headers = {
            "Authorization": f"Token {base64.b64encode(TOKEN_OUT.encode()).decode()}", "X-Request-ID": asked,
            "X-Correlation-ID": about, "OCPI-from-country-code": "NL", "OCPI-from-party-id": "EXA",
            "Content-Type": "application/json",
        }  # fmt: skip
        if of is not None:
            headers |= {"OCPI-to-country-code": of.country, "OCPI-to-party-id": of.party}
        started, self.in_flight = time.monotonic(), self.in_flight + 1
        try:
            url = f"{base}/ocpi/2.2.1/receiver/{path}"
            async with self._http.request(method, url, data=json.dumps(body), headers=headers) as response:
                raw = await response.read()
        except aiohttp.ClientConnectorError:
            # Nothing was sent: what stands before several gateways asks the next one.
            return await self.ask(method, path, body, of) if len(self.gateways) > 1 else None
        except (aiohttp.ClientError, TimeoutError):
            return None
        finally:
            self.in_flight -= 1
            took = time.monotonic() - started
            self.late += took > PATIENCE_S
        try:
            status = json.loads(raw)["status_code"]
        except (ValueError, KeyError, TypeError):
            self.books.odd(f"I10 HTTP {response.status} without an envelope")
            return None
        if response.headers.get("X-Request-ID") != asked or response.headers.get("X-Correlation-ID") != about:
            self.books.odd(f"I11 an answer to somebody else's {method} {path.partition('/')[0]}")
        if status == 1000:
            self.times.append((now(), took))
        return int(status)

    async def _whom(self) -> str:
        while True:
            for _ in self.gateways:
                self._turn += 1
                base = self.gateways[self._turn % len(self.gateways)]
                if self.ready(base):
                    return base
            await asyncio.sleep(AGAIN_S)
