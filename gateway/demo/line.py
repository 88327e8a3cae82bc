"""What a peer asks, and how it reads the answer.

Every request carries the headers of its version: the token in its form, in 2.2.1 fresh message ids and, on functional
modules, the routing headers. Every answer is held against the specification, and what isn't as it should be goes to the
journal's complaints.

Spec: 2.1.1 and 2.2.1 ``transport_and_format``.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
from attrs import define, field
from yarl import URL

from gateway.demo.identity import Counterpart, Identity, Party, authorization, same_party
from gateway.demo.journal import Exchange, Journal
from gateway.demo.objects import NEW, examine, is_date_time

ROUTING: Final = ("OCPI-from-country-code", "OCPI-from-party-id", "OCPI-to-country-code", "OCPI-to-party-id")
_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)


def join(url: str, segments: tuple[str, ...], query: Mapping[str, str]) -> str:
    """A URL below an endpoint: exactly one slash between, each segment encoded, the endpoint's own query kept."""
    base, _, own_query = url.partition("?")
    path = "/".join((base.rstrip("/"), *(quote(segment, safe="") for segment in segments))) if segments else base
    parameters = "&".join(part for part in (own_query, urlencode(query)) if part)
    return f"{path}?{parameters}" if parameters else path


def read_json(raw: bytes) -> Any:
    """Strictly: no NaN, no name twice in one object. Raises ValueError."""
    return json.loads(raw, parse_constant=_refuse_constant, object_pairs_hook=_once)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def routing(headers: Mapping[str, str]) -> tuple[Party | None, Party | None]:
    """The parties in the routing headers: from, to. ``headers`` has names in lower case."""
    from_country, from_party, to_country, to_party = (headers.get(name.lower()) for name in ROUTING)
    sender = (from_country, from_party) if from_country and from_party else None
    return sender, (to_country, to_party) if to_country and to_party else None


@define(eq=False)
class Line:
    """The outgoing side of one peer."""

    who: Identity
    counterpart: Counterpart
    journal: Journal
    _session: aiohttp.ClientSession | None = field(default=None, init=False)

    async def close(self) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    async def ask(
        self,
        method: str,
        url: str,
        *,
        token: str | None = None,
        body: object = None,
        headers: Mapping[str, str | None] | None = None,
        sender: Party | None = None,
        to: Party | None = None,
        kind: str | None = None,
    ) -> Exchange:
        """One request.

        ``body`` is sent as JSON, bytes as they are. ``headers`` has the last word; None takes one away. ``sender`` is
        given on functional modules only. ``kind`` names the object that ``data`` must be (or be a list of).

        Raises:
            aiohttp.ClientError, TimeoutError: no answer.
        """
        raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        all_headers = self._headers(token or self.counterpart.token, raw, sender, to) | dict(headers or {})
        sent = {name: value for name, value in all_headers.items() if value is not None}
        async with self._open_session().request(
            method, URL(url, encoded=True), data=raw, headers=sent, allow_redirects=False
        ) as response:
            answer = await response.read()
            received = {name.lower(): value for name, value in response.headers.items()}
            exchange = exchange_of(method, url, response.status, received, answer)
        self._read(exchange, sent, kind)
        return exchange

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(force_close=True)  # nothing kept, so nothing stale to fail on
            self._session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)
            # Else aiohttp sends a PUT or DELETE a second time, by itself, when the connection breaks before the answer.
            self._session._retry_connection = False
        return self._session

    def _headers(
        self, token: str | None, raw: bytes | None, sender: Party | None, to: Party | None
    ) -> dict[str, str | None]:
        headers: dict[str, str | None] = {}
        if token is not None:
            headers["Authorization"] = authorization(self.who.version, token)
        if raw is not None:
            headers["Content-Type"] = "application/json"
        if self.who.version == NEW:
            headers |= {"X-Request-ID": str(uuid.uuid4()), "X-Correlation-ID": str(uuid.uuid4())}
        # 2.1.1 has no routing headers; a backend on it may still say whom it means.
        if sender and (self.who.version == NEW or to):
            headers |= dict(zip(ROUTING[:2], sender, strict=True))
        if sender and to:
            headers |= dict(zip(ROUTING[2:], to, strict=True))
        return headers

    def _read(self, exchange: Exchange, sent: Mapping[str, str], kind: str | None) -> None:
        """Complain about what isn't as it should be in an answer."""
        wrong = list(self._wrong_in_envelope(exchange))
        if self.who.version == NEW and exchange.http != 401:  # whoever isn't known may be told nothing
            wrong += _wrong_in_headers(exchange, sent)
        if kind and exchange.ok:
            items = exchange.data if isinstance(exchange.data, list) else [exchange.data]
            kind = "CommandResponseType" if kind == "CommandResponse" and self.who.bare_strings else kind
            wrong += [str(finding) for item in items for finding in examine(self.who.version, kind, item, path="data")]
        for what in wrong:
            self.journal.complain(str(exchange), what)

    def _wrong_in_envelope(self, exchange: Exchange) -> list[str]:
        if exchange.status_code is None:
            return ["the answer is no OCPI envelope"]
        envelope = read_json(exchange.raw)
        if not is_date_time(self.who.version, envelope.get("timestamp")):
            return [f"timestamp {envelope.get('timestamp')!r} of the envelope"]
        return []


def exchange_of(method: str, url: str, http: int, headers: Mapping[str, str], raw: bytes) -> Exchange:
    """An answer, read as an OCPI envelope if it is one. ``headers`` has names in lower case."""
    try:
        envelope = read_json(raw)
    except ValueError:
        envelope = None
    if not isinstance(envelope, dict) or not isinstance(envelope.get("status_code"), int):
        envelope = {"status_code": None}
    return Exchange(
        method=method,
        url=url,
        http=http,
        status_code=envelope["status_code"],
        message=envelope.get("status_message") or "",
        data=envelope.get("data"),
        headers=headers,
        raw=raw,
    )


def _wrong_in_headers(exchange: Exchange, sent: Mapping[str, str]) -> list[str]:
    """Ids must come back as they were; routing headers must come back swapped."""
    got = exchange.headers
    wrong = [
        f"{name} of the answer is {got.get(name.lower())!r}, the request's was {sent[name]!r}"
        for name in ("X-Request-ID", "X-Correlation-ID")
        if name in sent and got.get(name.lower()) != sent[name]
    ]
    sender, to = routing({name.lower(): value for name, value in sent.items()})
    answer_from, answer_to = routing(got)
    if sender is None:
        return [*wrong, "routing headers on a configuration module"] if answer_from or answer_to else wrong
    if answer_to is None or not same_party(answer_to, sender):
        wrong.append(f"OCPI-to of the answer is {answer_to}, OCPI-from of the request was {sender}")
    if answer_from is None:
        if exchange.ok:
            wrong.append("the answer has no OCPI-from")
    elif to and not same_party(answer_from, to):
        wrong.append(f"OCPI-from of the answer is {answer_from}, OCPI-to of the request was {to}")
    return wrong
