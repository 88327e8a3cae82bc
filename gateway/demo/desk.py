"""What a peer answers.

A request is looked at in this order: does the path exist, who is calling (401), does the interface have this method
(405), are the headers as they should be (a complaint), is the body JSON (400), is the object usable (2001), is it the
caller's (404). Only then is it applied. What a lenient peer lives with is a complaint and nothing more.

``checks`` has what is the same for all modules, ``modules`` what each of them answers; here are HTTP, versions and
credentials.

Spec: 2.1.1 and 2.2.1 ``transport_and_format``, ``status_codes``, ``version_information_endpoint``, ``credentials``.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final
from urllib.parse import unquote

from aiohttp import web
from attrs import define, field

from gateway.demo import hubs
from gateway.demo.answers import Answer, Fault, Refusal
from gateway.demo.checks import Checks
from gateway.demo.handshake import Handshake, HandshakeFailed
from gateway.demo.identity import ROUTED, Identity, Keyring, Scope, presented_token
from gateway.demo.journal import Journal, Received
from gateway.demo.line import ROUTING, read_json, routing
from gateway.demo.modules import Modules
from gateway.demo.objects import NEW, OLD
from gateway.demo.shelf import Unknown

_HANDSHAKE: Final = ("versions", "details", "credentials")
_CHUNK: Final = 100


@define(eq=False)
class Desk:
    """The incoming side of one peer."""

    who: Identity
    keys: Keyring
    handshake: Handshake
    journal: Journal
    checks: Checks
    modules: Modules
    faults: list[Fault] = field(factory=list)
    delay: float = 0.0
    _under_way: set[asyncio.Task[None]] = field(factory=set)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one HTTP request, note it, and only then (after any delay) let the answer go."""
        received = self._received(request, await request.read())
        fault = next((fault for fault in self.faults if fault.takes(received)), None)
        answer = await self._answer(received) if fault is None or fault.applied else Answer()
        if fault:
            answer = fault.strike(answer)
        await self.journal.record(received, answer.http, answer.status_code)
        await asyncio.sleep(self.delay + answer.delay)
        if fault and fault.drop and request.transport:
            request.transport.abort()
        response: web.StreamResponse
        if fault and fault.body is not None:
            response = web.Response(status=answer.http, body=fault.body)
        elif answer.items is not None:
            response = await self._stream(request, received, answer)
        else:
            response = self._response(received, answer)
        if answer.afterwards:
            await self._let_go(request, response)
            task = asyncio.create_task(answer.afterwards())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return response

    async def rest(self) -> None:
        """Give up what was still to follow from answers."""
        under_way = list(self._under_way)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    # Reading the request

    def _received(self, request: web.Request, raw: bytes) -> Received:
        path = request.raw_path.partition("?")[0]
        version, module, side, segments = self._locate(path)
        number = self._number_of_result(module, side, segments)
        if number:
            module = self.modules.commands.asked[number - 1].module
        try:
            body = read_json(raw) if raw else None
        except ValueError:
            body = None
        return Received(
            method=request.method,
            version=version,
            path=path,
            module=module,
            side=side,
            segments=segments,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
            raw=raw,
            at=datetime.now(UTC),
            number=number,
        )

    def _locate(self, path: str) -> tuple[str, str, str, tuple[str, ...]]:
        """Version, module and side of a path, and what follows; of a version that isn't spoken now, the handshake."""
        parts = path.strip("/").split("/")
        found = (self.who.version, "", "", tuple(parts))
        longest = 0
        for version in self.who.versions:
            for (module, side), known in self.who.paths(version).items():
                prefix = known.strip("/").split("/")
                open_now = version == self.who.version or module in _HANDSHAKE
                fits = parts[: len(prefix)] == prefix and (side or len(parts) == len(prefix))
                if open_now and fits and len(prefix) > longest:
                    longest = len(prefix)
                    found = (version, module, side, tuple(unquote(part) for part in parts[longest:]))
        return found

    def _number_of_result(self, module: str, side: str, segments: tuple[str, ...]) -> int:
        """Which of our requests this path was the ``response_url`` of; 0 for none."""
        ours = (module, side) == ("commands", "SENDER") and re.fullmatch("[1-9][0-9]{0,8}", "/".join(segments))
        return int(segments[0]) if ours and self.modules.commands.request(int(segments[0])) else 0

    # The order of the module docstring

    async def _answer(self, received: Received) -> Answer:
        try:
            if not received.module:
                self.checks.refuse(received, 404, 2000, f"nobody was told of {received.path}")
            token, scope = self._caller(received)
            self.checks.method(received)
            self.checks.headers(received)
            if received.raw and received.body is None:
                self.checks.refuse(received, 400, 2001, "the body is no JSON")
            if received.module in _HANDSHAKE:
                return await self._configuration(received, token, scope)
            return self.modules.answer(received)
        except Refusal as refusal:
            return refusal.answer
        except Unknown as unknown:
            return Answer(2003 if received.module == "locations" else 2001, http=404, message=str(unknown))

    def _caller(self, received: Received) -> tuple[str, Scope]:
        """The token that was presented, and what it opens: TOKEN_A the handshake, an exchanged one all."""
        header = received.headers.get("authorization")
        forms = self.who.versions if received.module in _HANDSHAKE else (self.who.version,)
        for token in (presented_token(version, header) for version in forms):
            scope = self.keys.scope(token)
            if token is not None and scope is not None:
                if scope is Scope.HANDSHAKE and received.module not in _HANDSHAKE:
                    self.checks.refuse(received, 401, 2001, "TOKEN_A opens versions and credentials only")
                return token, scope
        other = presented_token(NEW if self.who.version == OLD else OLD, header)
        hint = (
            f"; it is ours in the form of the other version than {self.who.version}" if self.keys.scope(other) else ""
        )
        self.checks.refuse(received, 401, 2001, f"no valid token{hint}")

    # Versions and credentials

    async def _configuration(self, received: Received, token: str, scope: Scope) -> Answer:
        if received.module == "versions":
            listed = self.who.listed or self.who.versions
            return Answer(data=[{"version": name, "url": f"{self.who.base_url}/ocpi/{name}"} for name in listed])
        if received.module == "details":
            return Answer(data=self.handshake.details(received.version))
        if received.method == "GET":
            return Answer(data=self.handshake.credentials(token, received.version))
        if (scope is Scope.HANDSHAKE) != (received.method == "POST"):
            state = "not registered yet" if scope is Scope.HANDSHAKE else "registered already"
            raise Refusal(405, 2000, state, {"Allow": "GET, POST" if scope is Scope.HANDSHAKE else "GET, PUT, DELETE"})
        if received.method == "DELETE":
            self.handshake.end()
            return Answer()
        return await self._admit(received, token)

    async def _admit(self, received: Received, presented: str) -> Answer:
        self.checks.body(received, "Credentials")
        again = received.method == "PUT"
        try:
            token = await self.handshake.admit(received.body, presented, received.version, again=again)
        except HandshakeFailed as failed:
            self.checks.complain(received, str(failed))
            return Answer(failed.status, message=str(failed))
        return Answer(data=self.handshake.credentials(token))

    # Writing the answer

    def _response(self, received: Received, answer: Answer) -> web.Response:
        envelope: dict[str, Any] = {} if answer.data is None else {"data": answer.data}
        body = json.dumps(envelope | _told(answer)).encode()
        headers = self._headers(received, answer)
        return web.Response(status=answer.http, body=body, headers=headers, content_type="application/json")

    async def _stream(self, request: web.Request, received: Received, answer: Answer) -> web.StreamResponse:
        """A list that is never held as a whole."""
        response = web.StreamResponse(status=answer.http, headers=self._headers(received, answer))
        response.content_type = "application/json"
        await response.prepare(request)
        items: Iterator[Any] = iter(answer.items or ())
        before = json.dumps(_told(answer))[:-1] + ', "data": ['
        while chunk := [json.dumps(item) for item in islice(items, _CHUNK)]:
            await response.write(f"{before}{','.join(chunk)}".encode())
            before = ","
        await response.write(b"]}" if before == "," else f"{before}]}}".encode())
        return response

    async def _let_go(self, request: web.Request, response: web.StreamResponse) -> None:
        """Send it now: what follows from an answer comes after it."""
        with suppress(ConnectionError):  # nobody waits for it any more
            await response.prepare(request)
            await response.write_eof()

    def _headers(self, received: Received, answer: Answer) -> dict[str, str]:
        headers = dict(answer.headers)
        if received.version == NEW or (received.module == "versions" and NEW in self.who.versions):
            ids = ("X-Request-ID", "X-Correlation-ID")
            headers |= {name: received.headers[name.lower()] for name in ids if name.lower() in received.headers}
        if self.who.routes and received.module in ROUTED:
            sender, to = routing(received.headers)
            by = to or answer.by or (hubs.meant(self.who, self.modules.own, received) if self.who.is_hub else None)
            headers |= dict(zip(ROUTING[:2], by, strict=True)) if by else {}
            headers |= dict(zip(ROUTING[2:], sender, strict=True)) if sender else {}
        return headers


def _told(answer: Answer) -> dict[str, Any]:
    """The envelope without its data."""
    message = {"status_message": answer.message} if answer.message else {}
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"status_code": answer.status_code} | message | {"timestamp": now}
