"""What a peer answers.

A request is looked at in this order: does the path exist, who is calling (401), does the interface have this method
(405), are the headers as they should be (a complaint), is the body JSON (400), is the object usable (2001), is it the
caller's (404). Only then is it applied. What a lenient peer lives with is a complaint and nothing more.

Spec: 2.1.1 and 2.2.1 ``transport_and_format``, ``status_codes``, ``mod_*`` (Interfaces and endpoints).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NoReturn
from urllib.parse import unquote, urlencode

from aiohttp import web
from attrs import define, evolve, field, frozen

from gateway.demo.handshake import Handshake, HandshakeFailed
from gateway.demo.identity import (
    KINDS,
    Counterpart,
    Identity,
    Keyring,
    Party,
    Scope,
    presented_token,
    same_party,
)
from gateway.demo.journal import Journal, Received
from gateway.demo.line import ROUTING, read_json
from gateway.demo.objects import NEW, OLD, examine
from gateway.demo.shelf import Object, Shelf, Unknown

_CONFIGURATION: Final = {"versions": ("GET",), "details": ("GET",), "credentials": ("GET", "POST", "PUT", "DELETE")}
_METHODS: Final = {
    ("locations", "RECEIVER"): ("GET", "PUT", "PATCH"),
    ("sessions", "RECEIVER"): ("GET", "PUT", "PATCH"),
    ("tokens", "RECEIVER"): ("GET", "PUT", "PATCH"),
    ("tariffs", "RECEIVER"): ("GET", "PUT", "DELETE"),  # 2.1.1: PATCH too
    ("cdrs", "RECEIVER"): ("GET", "POST"),
    ("tokens", "SENDER"): ("GET", "POST"),
}
_LIST_QUERY: Final = {"date_from", "date_to", "offset", "limit"}
_INNER: Final = ("Location", "EVSE", "Connector")


@frozen
class Answer:
    """One answer: HTTP status, OCPI status code, data of the envelope (left out if None), headers of its own."""

    status_code: int = 1000
    data: Any = None
    http: int = 200
    message: str = ""
    headers: Mapping[str, str] = field(factory=dict)
    delay: float = 0.0


class Refusal(Exception):
    """The request ends here, with this answer."""

    def __init__(self, http: int, status_code: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.answer = Answer(status_code, http=http, message=message, headers=headers or {})


@define
class Fault:
    """A fault to play, on the next ``times`` requests to ``module`` (with ``method``, if given)."""

    module: str
    method: str | None
    answer: Answer
    times: int
    applied: bool
    drop: bool
    body: bytes | None

    def takes(self, received: Received) -> bool:
        return self.times > 0 and self.module == received.module and self.method in (None, received.method)


@frozen
class Decision:
    """How a token is authorized. ``location_required``: without LocationReferences the answer is 2002."""

    allowed: str
    info: str | None = None
    delay: float = 0.0
    location_required: bool = False


@define(eq=False)
class Desk:
    """The incoming side of one peer."""

    who: Identity
    keys: Keyring
    counterpart: Counterpart
    handshake: Handshake
    journal: Journal
    stored: Shelf
    own: Shelf
    decisions: dict[tuple[str, str], Decision] = field(factory=dict)
    faults: list[Fault] = field(factory=list)
    delay: float = 0.0
    page_limit: int = 50
    _request_ids: set[str] = field(factory=set)
    _cdr_urls: dict[str, str] = field(factory=dict)
    _references: int = 0

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one HTTP request, note it, and only then (after any delay) let the answer go."""
        received = self._received(request, await request.read())
        fault = next((fault for fault in self.faults if fault.takes(received)), None)
        answer = Answer() if fault and not fault.applied else await self._answer(received)
        if fault:
            fault.times -= 1
            answer = evolve(fault.answer, delay=answer.delay)
        await self.journal.record(received, answer.http, answer.status_code)
        await asyncio.sleep(self.delay + answer.delay)
        if fault and fault.drop and request.transport:
            request.transport.abort()
        if fault and fault.body is not None:
            return web.Response(status=answer.http, body=fault.body)
        return self._response(received, answer)

    # Reading the request

    def _received(self, request: web.Request, raw: bytes) -> Received:
        path = request.raw_path.partition("?")[0]
        module, side, segments = self._locate(path)
        try:
            body = read_json(raw) if raw else None
        except ValueError:
            body = None
        return Received(
            method=request.method,
            path=path,
            module=module,
            side=side,
            segments=segments,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
            raw=raw,
            at=datetime.now(UTC),
        )

    def _locate(self, path: str) -> tuple[str, str, tuple[str, ...]]:
        parts = path.strip("/").split("/")
        found = ("", "", tuple(parts))
        longest = 0
        for (module, side), known in self.who.paths().items():
            prefix = known.strip("/").split("/")
            fits = parts[: len(prefix)] == prefix and (side or len(parts) == len(prefix))
            if fits and len(prefix) > longest:
                longest = len(prefix)
                found = (module, side, tuple(unquote(part) for part in parts[longest:]))
        return found

    # The order of the module docstring

    async def _answer(self, received: Received) -> Answer:
        try:
            if not received.module:
                self._refuse(received, 404, 2000, f"nobody was told of {received.path}")
            token, scope = self._caller(received)
            self._check_method(received)
            self._check_headers(received)
            if received.raw and received.body is None:
                self._refuse(received, 400, 2001, "the body is no JSON")
            if received.module in _CONFIGURATION:
                return await self._configuration(received, token, scope)
            return self._functional(received)
        except Refusal as refusal:
            return refusal.answer
        except Unknown as unknown:
            return Answer(2003 if received.module == "locations" else 2001, http=404, message=str(unknown))

    def _caller(self, received: Received) -> tuple[str, Scope]:
        """The token that was presented, and what it opens: TOKEN_A configuration modules, an exchanged one all."""
        header = received.headers.get("authorization")
        token = presented_token(self.who.version, header)
        scope = self.keys.scope(token)
        if token is None or scope is None:
            other = presented_token(NEW if self.who.version == OLD else OLD, header)
            hint = f"; it is ours in the form of the other version than {self.who.version}" if other else ""
            self._refuse(received, 401, 2001, f"no valid token{hint if self.keys.scope(other) else ''}")
        if scope is Scope.HANDSHAKE and received.module not in _CONFIGURATION:
            self._refuse(received, 401, 2001, "TOKEN_A opens versions and credentials only")
        return token, scope

    def _check_method(self, received: Received) -> None:
        allowed = _CONFIGURATION.get(received.module) or _METHODS.get((received.module, received.side), ("GET",))
        if (received.module, received.side, self.who.version) == ("tariffs", "RECEIVER", OLD):
            allowed = (*allowed, "PATCH")
        if received.method not in allowed:
            self._refuse(received, 405, 2000, "there is no such method here", {"Allow": ", ".join(allowed)})

    def _check_headers(self, received: Received) -> None:
        if received.raw and received.headers.get("content-type", "").partition(";")[0] != "application/json":
            self._complain(received, f"Content-Type {received.headers.get('content-type')!r}")
        routing = [name for name in ROUTING if name.lower() in received.headers]
        if self.who.version == OLD:
            if self.who.behind_hub and received.module not in _CONFIGURATION:
                self._check_routing(received)
            elif routing:
                self._complain(received, f"{OLD} has no {', '.join(routing)}")
            return
        for name in ("x-request-id", "x-correlation-id"):
            if not received.headers.get(name):
                self._complain(received, f"no {name}")
        if (request_id := received.headers.get("x-request-id")) in self._request_ids:
            self._complain(received, f"x-request-id {request_id} was used before")
        self._request_ids.add(request_id or "")
        if received.module not in _CONFIGURATION:
            self._check_routing(received)
        elif routing:
            self._complain(received, f"{', '.join(routing)} on a configuration module")

    def _check_routing(self, received: Received) -> None:
        sender, to = _routing(received)
        if sender is None or to is None:
            self._complain(received, "routing headers are missing")
            return
        if not self.counterpart.may_own(sender):
            self._complain(received, f"OCPI-from is {sender}, which is no party of theirs")
        if not self.who.plays(to, received.module, received.side):
            self._complain(received, f"OCPI-to is {to}, which is no party of ours for this interface")
        if any(len(country) != 2 for country, _ in (sender, to)):
            self._complain(received, f"country codes of routing headers are alpha-2, not {sender} and {to}")

    # Versions and credentials

    async def _configuration(self, received: Received, token: str, scope: Scope) -> Answer:
        if received.module == "versions":
            return Answer(data=[{"version": self.who.version, "url": f"{self.who.base_url}{self._path('details')}"}])
        if received.module == "details":
            return Answer(data=self.handshake.details())
        if received.method == "GET":
            return Answer(data=self.handshake.credentials(token))
        if (scope is Scope.HANDSHAKE) != (received.method == "POST"):
            state = "not registered yet" if scope is Scope.HANDSHAKE else "registered already"
            raise Refusal(405, 2000, state, {"Allow": "GET, POST" if scope is Scope.HANDSHAKE else "GET, PUT, DELETE"})
        if received.method == "DELETE":
            self.handshake.end()
            return Answer()
        return await self._admit(received, token)

    async def _admit(self, received: Received, presented: str) -> Answer:
        self._check_body(received, "Credentials")
        try:
            token = await self.handshake.admit(received.body, presented, again=received.method == "PUT")
        except HandshakeFailed as failed:
            self._complain(received, str(failed))
            return Answer(failed.status, message=str(failed))
        return Answer(data=self.handshake.credentials(token))

    # Functional modules

    def _functional(self, received: Received) -> Answer:
        if received.side == "SENDER":
            if received.method == "POST":
                return self._authorize(received)
            return self._one_of_ours(received) if received.segments else self._page(received)
        self._check_query(received, {"type"} if received.module == "tokens" and self.who.version == NEW else set())
        if received.module == "cdrs":
            return self._post_cdr(received) if received.method == "POST" else self._get_cdr(received)
        return self._push(received)

    def _push(self, received: Received) -> Answer:
        """GET, PUT, PATCH and DELETE of a client owned object."""
        module = received.module
        depth = range(3, 6 if module == "locations" else 4)
        if len(received.segments) not in depth or not all(received.segments):
            self._refuse(received, 404, 2000, "the URL of an object is {country_code}/{party_id}/{id}")
        country, party, id, *deeper = received.segments
        if not self.counterpart.may_own((country, party)):
            self._refuse(received, 404, 2001, f"{country}/{party} is no party of theirs")
        if self.who.version == NEW and len(country) != 2:
            self._complain(received, f"country codes are alpha-2, not {country}")
        key, inner = "/".join(received.segments[:3]), tuple(deeper)
        if module == "tokens" and self.who.version == NEW:
            key = f"{key}/{received.query.get('type', 'RFID')}"
        if received.method == "GET":
            return Answer(data=self.stored.get(module, key, inner))
        if received.method == "DELETE":
            self.stored.delete(module, key)
            return Answer()
        self._check_object(received, _INNER[len(deeper)] if module == "locations" else KINDS[module], [id, *deeper][-1])
        if received.method == "PATCH":
            self.stored.patch(module, key, received.body, inner)
            return Answer()
        return Answer(http=201 if self.stored.put(module, key, received.body, inner) else 200)

    def _check_object(self, received: Received, kind: str, id: str) -> None:
        """The object is usable, and says of itself what the URL says of it."""
        self._check_body(received, kind)
        body, new = received.body, self.who.version == NEW
        if received.method == "PATCH" and new and body.get("last_updated") is None:
            self._refuse(received, 200, 2001, "$.last_updated: required in a PATCH")
        expected = {"uid" if kind in ("EVSE", "Token") else "id": id}
        if new and kind not in ("EVSE", "Connector"):
            expected |= {"country_code": received.segments[0], "party_id": received.segments[1]}
        if new and kind == "Token":
            expected |= {"type": received.query.get("type", "RFID")}
        for name, value in expected.items():
            said = body.get(name, value)
            if said != value and not (new and str(said).upper() == value.upper()):  # CiString since 2.2
                self._refuse(received, 200, 2001, f"$.{name}: {said!r} in the body, {value!r} in the URL")

    def _post_cdr(self, received: Received) -> Answer:
        if received.segments:
            self._refuse(received, 404, 2000, "CDRs are posted to the endpoint itself")
        self._check_body(received, "CDR")
        cdr = received.body
        owner = (cdr["country_code"], cdr["party_id"]) if self.who.version == NEW else self._sending_party(received)
        if not self.counterpart.may_own(owner):
            self._refuse(received, 200, 2001, f"{owner} is no party of theirs")
        key = "/".join((*owner, cdr["id"]))
        known = self.stored.objects["cdrs"].get(key)
        if known is not None and known != cdr:
            self._refuse(received, 200, 2001, f"CDR {key} was sent before, with other content: CDRs can't be changed")
        self.stored.put("cdrs", key, cdr)
        url = self._cdr_urls.setdefault(key, str(len(self._cdr_urls) + 1))
        location = f"{self.who.base_url}{self._path('cdrs', 'RECEIVER')}/{url}"
        return Answer(http=200 if known else 201, headers={"Location": location})

    def _get_cdr(self, received: Received) -> Answer:
        key = next((key for key, url in self._cdr_urls.items() if received.segments == (url,)), "")
        return Answer(data=self.stored.get("cdrs", key))

    def _authorize(self, received: Received) -> Answer:
        """Real-time authorization. Spec: ``mod_tokens``, Sender interface, POST."""
        if len(received.segments) != 2 or received.segments[1] != "authorize":
            self._refuse(received, 404, 2000, "authorize is {token_uid}/authorize")
        self._check_query(received, {"type"} if self.who.version == NEW else {"type", "token_type"})
        if received.raw:
            self._check_body(received, "LocationReferences")
        uid, type_ = received.segments[0], received.query.get("type") or received.query.get("token_type") or "RFID"
        tokens = self.own.objects["tokens"].values()
        token = next((token for token in tokens if (token["uid"], token["type"]) == (uid, type_)), None)
        if token is None:
            return Answer(2004 if self.who.version == NEW else 2001, http=404, message="unknown token")
        default = Decision("ALLOWED" if token["valid"] else "BLOCKED")
        decision = self.decisions.get((uid, type_), default)
        if decision.location_required and not received.body:
            return Answer(2002, message="the location is needed", delay=decision.delay)
        return Answer(data=self._authorization_info(token, decision, received.body), delay=decision.delay)

    def _authorization_info(self, token: Object, decision: Decision, location: Object | None) -> Object:
        info: Object = {"allowed": decision.allowed}
        if self.who.version == NEW:
            info["token"] = token
        if decision.allowed == "ALLOWED":
            if location:
                info["location"] = location
            if self.who.version == NEW:
                self._references += 1
                info["authorization_reference"] = f"{self.who.roles[0].party_id}-{self._references}"
        if decision.info:
            info["info"] = {"language": "en", "text": decision.info}
        return info

    def _one_of_ours(self, received: Received) -> Answer:
        """GET of one location, EVSE or connector; the other modules have lists only."""
        if received.module != "locations" or len(received.segments) > 3:
            self._refuse(received, 404, 2000, f"{received.module} can be listed, not read one by one")
        self._check_query(received, set())
        id, *deeper = received.segments
        keys = [key for key, obj in self.own.objects["locations"].items() if obj["id"] == id]
        return Answer(data=self.own.get("locations", keys[0] if keys else id, tuple(deeper)))

    def _page(self, received: Received) -> Answer:
        """One page of our objects, oldest first. Spec: ``transport_and_format``, Pagination."""
        self._check_query(received, _LIST_QUERY)
        query = received.query
        if received.module == "sessions" and "date_from" not in query:
            self._refuse(received, 200, 2001, "date_from: required")
        offset, limit = self._number(received, "offset", 0), self._number(received, "limit", self.page_limit)
        limit = min(limit, self.page_limit)
        wanted = self._filter(received)
        found = [obj for obj in self.own.objects[received.module].values() if wanted(obj)]
        headers = {"X-Total-Count": str(len(found)), "X-Limit": str(limit)}
        if offset + limit < len(found):
            following = urlencode({**query, "offset": offset + limit, "limit": limit})
            url = f"{self.who.base_url}{self._path(received.module, 'SENDER')}?{following}"
            headers["Link"] = f'<{url}>; rel="next"'
        return Answer(data=found[offset : offset + limit], headers=headers)

    def _filter(self, received: Received) -> Callable[[Object], bool]:
        """By time (from inclusive, to exclusive) and, on 2.2.1, by the party that is asked."""
        start, end = (_moment(received.query.get(name)) for name in ("date_from", "date_to"))
        to = _routing(received)[1] if self.who.version == NEW else None

        def wanted(obj: Object) -> bool:
            moment = _moment(obj["last_updated"])
            in_time = moment is None or ((start is None or start <= moment) and (end is None or moment < end))
            return in_time and (to is None or same_party(to, (obj["country_code"], obj["party_id"])))

        return wanted

    # What they have in common

    def _check_body(self, received: Received, kind: str) -> None:
        """Complain about everything, refuse what can't be used."""
        findings = examine(self.who.version, kind, received.body, partial=received.method == "PATCH")
        for finding in findings:
            self._complain(received, str(finding))
        if fatal := [str(finding) for finding in findings if finding.fatal]:
            raise Refusal(200, 2001, "; ".join(fatal))

    def _check_query(self, received: Received, known: set[str]) -> None:
        if unknown := received.query.keys() - known:
            self._complain(received, f"unknown parameters {sorted(unknown)}")

    def _number(self, received: Received, name: str, default: int) -> int:
        text = received.query.get(name, str(default))
        if not text.isascii() or not text.isdigit():
            self._refuse(received, 200, 2001, f"{name}: {text!r} is no number")
        return int(text)

    def _sending_party(self, received: Received) -> Party:
        """Who posts a CDR, which doesn't say it in 2.1.1: the other end, or whom a hub speaks for."""
        sender, roles = _routing(received)[0], self.counterpart.roles
        if self.who.behind_hub and sender:
            return sender
        return roles[0].party if roles else ("", "")

    def _path(self, module: str, side: str = "") -> str:
        return self.who.paths()[module, side]

    def _complain(self, received: Received, what: str) -> None:
        about = "/".join((received.module or received.path, *received.segments * bool(received.module)))
        self.journal.complain(f"{received.method} {about}", what)

    def _refuse(
        self, received: Received, http: int, status_code: int, message: str, headers: Mapping[str, str] | None = None
    ) -> NoReturn:
        """A refusal that a sound caller never gets."""
        self._complain(received, message)
        raise Refusal(http, status_code, message, headers)

    def _response(self, received: Received, answer: Answer) -> web.Response:
        envelope: dict[str, Any] = {} if answer.data is None else {"data": answer.data}
        envelope["status_code"] = answer.status_code
        if answer.message:
            envelope["status_message"] = answer.message
        envelope["timestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        headers = dict(answer.headers)
        if self.who.version == NEW:
            ids = ("X-Request-ID", "X-Correlation-ID")
            headers |= {name: received.headers[name.lower()] for name in ids if name.lower() in received.headers}
            sender, to = (None, None) if received.module in _CONFIGURATION else _routing(received)
            headers |= dict(zip(ROUTING[:2], to, strict=True)) if to else {}
            headers |= dict(zip(ROUTING[2:], sender, strict=True)) if sender else {}
        return web.Response(
            status=answer.http, body=json.dumps(envelope).encode(), headers=headers, content_type="application/json"
        )


def _routing(received: Received) -> tuple[Party | None, Party | None]:
    """The parties in the routing headers: from, to."""
    values = [received.headers.get(name.lower()) for name in ROUTING]
    from_country, from_party, to_country, to_party = values
    sender = (from_country, from_party) if from_country and from_party else None
    return sender, (to_country, to_party) if to_country and to_party else None


def _moment(text: object) -> datetime | None:
    """A DateTime as a moment; UTC where no zone stands. None if it is none."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
