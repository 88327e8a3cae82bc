"""What a peer asks of the other end: one request at a time, to the interface that its method and module mean.

Headers, tokens and the reading of answers are the ``line``'s. Here is what a caller would otherwise have to say each
time: which side of a module, and which parties in the routing headers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, TypedDict, Unpack

from gateway.demo.identity import KINDS, ROUTED, SENDERS, Counterpart, Identity, Party
from gateway.demo.journal import Exchange
from gateway.demo.line import Line, join
from gateway.demo.objects import NEW
from gateway.demo.shelf import Object

_HIGHEST_PAGE_COUNT: Final = 1000


class Call(TypedDict, total=False):
    """What a call may say besides its path.

    ``body``: JSON, or bytes to be sent as they are. ``query``: parameters. ``headers``: have the last word; None takes
    one away. ``side``: the interface over there, else it follows from method, module and our role. ``sender``: the
    party in OCPI-from, else our role that fits. ``to``: the party in OCPI-to; None for none (open routing); left out,
    it is the only party over there that fits, if there is one, and the hub for a list of a hub's. ``owner``: whose
    object it is, where the object doesn't say (2.1.1), else ours.
    """

    body: object
    query: Mapping[str, str]
    headers: Mapping[str, str | None]
    side: Literal["SENDER", "RECEIVER"]
    sender: Party
    to: Party | None
    owner: Party


def apart(options: Mapping[str, Any]) -> tuple[Call, dict[str, Any]]:
    """What of ``options`` is a ``Call``'s, and the rest."""
    call: Call = {}
    for name in options.keys() & Call.__annotations__.keys():
        call[name] = options[name]  # type: ignore[literal-required]
    return call, {name: value for name, value in options.items() if name not in call}


class Calls:
    """The asking half of a peer. The other is its desk.

    Attributes:
        who: its identity. ``versions_url`` is good once it listens.
        counterpart: what it knows of the other end, credentials token included.
        line: for a request that fits nowhere else.
    """

    def __init__(self, who: Identity, counterpart: Counterpart, line: Line) -> None:
        self.who = who
        self.counterpart = counterpart
        self.line = line

    async def get(self, module: str, *segments: str, **call: Unpack[Call]) -> Exchange:
        return await self.call("GET", module, *segments, **call)

    async def put(self, module: str, *segments: str, **call: Unpack[Call]) -> Exchange:
        return await self.call("PUT", module, *segments, **call)

    async def patch(self, module: str, *segments: str, **call: Unpack[Call]) -> Exchange:
        return await self.call("PATCH", module, *segments, **call)

    async def post(self, module: str, *segments: str, **call: Unpack[Call]) -> Exchange:
        return await self.call("POST", module, *segments, **call)

    async def delete(self, module: str, *segments: str, **call: Unpack[Call]) -> Exchange:
        return await self.call("DELETE", module, *segments, **call)

    async def call(self, method: str, module: str, *segments: str, **call: Unpack[Call]) -> Exchange:
        """One request to the endpoint that the other end has for ``module`` (or credentials), its segments encoded.

        Raises:
            LookupError: the other end has no such endpoint.
            aiohttp.ClientError, TimeoutError: no answer.
        """
        side = self._side(method, module, call)
        endpoint = self.counterpart.endpoints.get((module, side))
        if endpoint is None:
            known = sorted(self.counterpart.endpoints)
            raise LookupError(f"{self.who.name} knows no {side} of {module}, only {known}")
        url = join(endpoint, segments, call.get("query") or {})
        of_list = method == "GET" and side == "SENDER" and not segments
        return await self._ask(method, url, module, side, _kind(method, module, side, segments), call, of_list=of_list)

    async def call_url(self, method: str, url: str, module: str, **call: Unpack[Call]) -> Exchange:
        """As ``call()``, to a URL that the other end gave: of a CDR, of the next page."""
        side = self._side(method, module, call)
        kind = KINDS.get(module) if method == "GET" else None
        return await self._ask(method, url, module, side, kind, call, of_list=method == "GET" and side == "SENDER")

    async def pull(self, module: str, **options: Any) -> list[Object]:
        """All objects of the Sender interface over there: what stands on its ``pages()``."""
        return [obj for page in await self.pages(module, **options) for obj in page.data]

    async def pages(self, module: str, **options: Any) -> list[Exchange]:
        """All pages of the Sender interface over there, as each leads to the next.

        ``options`` are those of a ``Call``; any other is a parameter of the query: ``limit="10"``.

        Raises:
            AssertionError: a page was refused, or the pages don't end.
        """
        call, query = apart(options)
        call["side"], call["query"] = "SENDER", query
        exchange = await self.get(module, **call)
        found: list[Exchange] = []
        for _ in range(_HIGHEST_PAGE_COUNT):
            assert exchange.ok, str(exchange)
            found.append(exchange)
            following = re.search(r'<([^>]+)>\s*;\s*rel="?next"?', exchange.headers.get("link", ""))
            if not following:
                return found
            exchange = await self.call_url("GET", following[1], module, **call)
        raise AssertionError(f"{exchange.url}: the pages don't end")

    async def _ask(
        self, method: str, url: str, module: str, side: str, kind: str | None, call: Call, *, of_list: bool
    ) -> Exchange:
        body, headers = call.get("body"), call.get("headers")
        if module not in ROUTED:  # configuration modules aren't routed
            return await self.line.ask(method, url, body=body, headers=headers, kind=kind)
        sender = call.get("sender") or self._sender(module, side, of_list=of_list)
        to = call["to"] if "to" in call else self._receiver(module, side, of_list=of_list)
        return await self.line.ask(method, url, body=body, headers=headers, sender=sender, to=to, kind=kind)

    def _sender(self, module: str, side: str, *, of_list: bool) -> Party:
        """A hub reads lists for itself, and asks everything else for a party behind it."""
        if of_list and self.who.is_hub:
            return self.who.roles[0].party
        return self.who.speaker(module, side).party

    def _receiver(self, module: str, side: str, *, of_list: bool) -> Party | None:
        if not self.who.routes:
            return None
        if of_list and self.who.version == NEW and self.counterpart.hub:
            return self.counterpart.hub
        return self.counterpart.receiver(module, side)

    def _side(self, method: str, module: str, call: Call) -> str:
        """Owners write to receivers. The only POST that others make is authorize; GET goes by our first role."""
        if module not in SENDERS:
            return ""
        if "side" in call:
            return call["side"]
        if method == "POST":
            return "SENDER" if module == "tokens" else "RECEIVER"
        if method == "GET" and self.who.roles[0].role != SENDERS[module]:
            return "SENDER"
        return "RECEIVER"


def _kind(method: str, module: str, side: str, segments: tuple[str, ...]) -> str | None:
    """What ``data`` of the answer must be, None where the specification doesn't say."""
    asked = {
        ("POST", "tokens", "SENDER"): "AuthorizationInfo",
        ("POST", "commands", "RECEIVER"): "CommandResponse",
        ("PUT", "sessions", "SENDER"): "ChargingPreferencesResponse",
    }
    if module == "chargingprofiles" and side == "RECEIVER":
        return "ChargingProfileResponse"
    if method != "GET" or module not in KINDS:
        return asked.get((method, module, side))
    deeper = len(segments) - (3 if side == "RECEIVER" else 1)
    return ("EVSE", "Connector")[deeper - 1] if module == "locations" and deeper in (1, 2) else KINDS[module]
