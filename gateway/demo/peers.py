"""A peer: one platform on loopback that speaks one version of OCPI, with the handles to drive it and to look inside.

    async with Peer("acme", "2.1.1", "EMSP", "DEU", "ACM", "Acme Mobility", token_a="...") as acme:
        await acme.wait_for("POST", "credentials")          # somebody registers with it
        await acme.push_token({"uid": "04AABB", ...})       # it calls
        session = await acme.wait_for("PUT", "sessions")    # it is called
        assert acme.complaints == []

A backend is a peer too: ``also`` gives a 2.2.1 platform more roles, ``token_in`` and ``use_static()`` spare it the
handshake. ``fail()``, ``delay``, ``down()`` and ``up()`` make it a bad day.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Literal, Self, TypedDict, Unpack

from aiohttp import web

from gateway.demo.desk import Answer, Decision, Desk, Fault
from gateway.demo.handshake import Handshake, HandshakeFailed
from gateway.demo.identity import KINDS, OWNERS, Counterpart, Identity, Keyring, Party, Role
from gateway.demo.journal import Exchange, Journal, Received
from gateway.demo.line import Line, join
from gateway.demo.objects import NEW
from gateway.demo.shelf import Object, Shelf

__all__ = ["Exchange", "HandshakeFailed", "Peer", "Received", "Role"]

_HIGHEST_PAGE_COUNT: Final = 1000


class Call(TypedDict, total=False):
    """What a call may say besides its path.

    ``body``: JSON, or bytes to be sent as they are. ``query``: parameters. ``headers``: have the last word; None takes
    one away. ``side``: the interface over there, else it follows from method, module and our role. ``sender``: the
    party in OCPI-from, else our role that fits. ``to``: the party in OCPI-to; None for none (open routing); left out,
    it is the only party over there that fits, if there is one.
    """

    body: object
    query: Mapping[str, str]
    headers: Mapping[str, str | None]
    side: Literal["SENDER", "RECEIVER"]
    sender: Party
    to: Party | None


class Peer:
    """One simulated platform.

    Attributes:
        who: its identity. ``versions_url`` is good once it listens.
        received, complaints: see ``journal``.
        counterpart: what it knows of the other end, credentials token included.
        stored: what others pushed to it. ``objects`` is short for ``stored.objects``.
        own: what it owns, and lists when asked.
        handshake, line: for the odd step out of order; ``handshake.credentials(token)`` is its credentials object.
        delay: seconds between having dealt with a request and answering it.
        page_limit: the most objects on one of its pages.
    """

    def __init__(
        self,
        name: str,
        version: str,
        role: str,
        country_code: str,
        party_id: str,
        business_name: str,
        *,
        also: tuple[Role, ...] = (),
        token_a: str | None = None,
        token_in: str | None = None,
        behind_hub: bool = False,
        port: int = 0,
    ) -> None:
        """``token_a`` was given to whoever may register here, ``token_in`` to whoever needn't. Port 0: any free one.

        ``behind_hub``: on 2.1.1, which can't tell, the other end is a hub.
        """
        self.who = Identity(name, version, (Role(role, country_code, party_id, business_name), *also), behind_hub)
        self.counterpart = Counterpart()
        self.stored, self.own = Shelf(version), Shelf(version)
        self._journal = Journal(name)
        self._keys = Keyring()
        self.line = Line(self.who, self.counterpart, self._journal)
        self.handshake = Handshake(self.who, self._keys, self.counterpart, self.line)
        self._desk = Desk(self.who, self._keys, self.counterpart, self.handshake, self._journal, self.stored, self.own)
        self._port = port
        self._socket: socket.socket | None = None
        self._runner: web.AppRunner | None = None
        if token_a:
            self._keys.hand_out(token_a)
        if token_in:
            self._keys.accept(token_in)

    # Life

    async def __aenter__(self) -> Self:
        self._hold_port()
        await self.up()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.down()
        if self._socket:
            self._socket.close()
            self._socket = None
        await self.line.close()

    async def up(self) -> None:
        """Listen, on the same port as before. Does nothing if it listens already."""
        if self._runner or not self._socket:
            return
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._desk.serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()

    async def down(self) -> None:
        """Refuse connections, and cut those that are open. The port stays ours."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None
            self._hold_port()

    def _hold_port(self) -> None:
        """Bound but not listening: nobody else gets the port, and connections to it are refused."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self._port))
        self._port = self._socket.getsockname()[1]
        self.who.base_url = f"http://127.0.0.1:{self._port}"

    # Looking inside

    @property
    def name(self) -> str:
        return self.who.name

    @property
    def versions_url(self) -> str:
        return self.who.versions_url

    @property
    def party(self) -> Party:
        """The party of its first role."""
        return self.who.roles[0].party

    @property
    def received(self) -> list[Received]:
        return self._journal.received

    @property
    def complaints(self) -> list[str]:
        return self._journal.complaints

    @property
    def objects(self) -> dict[str, dict[str, Object]]:
        """What others pushed, as it stands now: by module and ``CC/PARTY/id`` (2.2.1 tokens: ``.../TYPE``)."""
        return self.stored.objects

    async def wait_for(
        self,
        method: str | None = None,
        module: str | None = None,
        where: Callable[[Received], bool] | None = None,
        *,
        count: int = 1,
        after: int = 0,
        timeout: float = 5.0,  # noqa: ASYNC109 - the failure lists what did arrive
    ) -> Received:
        """The ``count``-th request that fits, be it here already or still to come; it has been applied by then.

        ``after`` skips that many of ``received``: take ``len(peer.received)`` before what you provoke.

        Raises:
            AssertionError: none came within ``timeout`` seconds; the text lists what did.
        """

        def wanted(received: Received) -> bool:
            return (
                method in (None, received.method)
                and module in (None, received.module)
                and (where is None or where(received))
            )

        what = f"{method or 'request'} {module or ''}".strip()
        return await self._journal.wait_for(wanted, what, count=count, after=after, timeout=timeout)

    # A bad day

    @property
    def delay(self) -> float:
        return self._desk.delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self._desk.delay = seconds

    @property
    def page_limit(self) -> int:
        return self._desk.page_limit

    @page_limit.setter
    def page_limit(self, count: int) -> None:
        self._desk.page_limit = count

    def fail(
        self,
        module: str,
        method: str | None = None,
        *,
        http: int = 200,
        status: int = 3000,
        times: int = 1,
        applied: bool = False,
        drop: bool = False,
        body: bytes | None = None,
    ) -> None:
        """Make the next ``times`` requests to ``module`` (``versions`` and ``details`` too) go wrong.

        They are answered with ``http`` and ``status``; with ``body`` instead of an envelope, if given; with a cut
        connection, if ``drop``. ``applied``: the request is dealt with all the same, only its answer is wrong.
        """
        answer = Answer(status, http=http, message="as asked for")
        self._desk.faults.append(Fault(module, method, answer, times, applied, drop, body))

    # Handshake

    def hand_out(self, token_a: str) -> None:
        """Give a (new) TOKEN_A to whoever may register here."""
        self._keys.hand_out(token_a)

    async def register(self, versions_url: str, token_a: str) -> Exchange:
        """Register over there as Sender. Raises HandshakeFailed."""
        return await self.handshake.register(versions_url, token_a)

    async def use_static(self, versions_url: str, token_out: str) -> None:
        """Use a token agreed on for good, and discover the endpoints. Raises HandshakeFailed."""
        await self.handshake.use_static(versions_url, token_out)

    async def rotate(self) -> Exchange:
        """New tokens for both sides, by a PUT. Raises HandshakeFailed."""
        return await self.handshake.rotate()

    async def unregister(self) -> Exchange:
        """End the registration, by a DELETE."""
        return await self.handshake.unregister()

    # Calling

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
            raise LookupError(f"{self.name} knows no {side} of {module}, only {sorted(self.counterpart.endpoints)}")
        url = join(endpoint, segments, call.get("query") or {})
        return await self._ask(method, url, module, side, _kind(method, module, side, segments), call)

    async def call_url(self, method: str, url: str, module: str, **call: Unpack[Call]) -> Exchange:
        """As ``call()``, to a URL that the other end gave: of a CDR, of the next page."""
        side = self._side(method, module, call)
        return await self._ask(method, url, module, side, KINDS.get(module) if method == "GET" else None, call)

    async def _ask(self, method: str, url: str, module: str, side: str, kind: str | None, call: Call) -> Exchange:
        body, headers = call.get("body"), call.get("headers")
        if module not in OWNERS:  # configuration modules aren't routed
            return await self.line.ask(method, url, body=body, headers=headers, kind=kind)
        sender = call.get("sender") or self.who.speaker(module, side).party
        default = self.counterpart.receiver(module, side) if self.who.version == NEW else None
        to = call.get("to", default)
        return await self.line.ask(method, url, body=body, headers=headers, sender=sender, to=to, kind=kind)

    async def pull(self, module: str, **query: str) -> list[Object]:
        """All objects of the Sender interface over there, page after page.

        Raises:
            AssertionError: a page was refused, or the pages don't end.
        """
        exchange = await self.get(module, side="SENDER", query=query)
        found: list[Object] = []
        for _ in range(_HIGHEST_PAGE_COUNT):
            assert exchange.ok, str(exchange)
            found += exchange.data
            following = re.search(r'<([^>]+)>\s*;\s*rel="?next"?', exchange.headers.get("link", ""))
            if not following:
                return found
            exchange = await self.call_url("GET", following[1], module, side="SENDER")
        raise AssertionError(f"{exchange.url}: the pages don't end")

    def _side(self, method: str, module: str, call: Call) -> str:
        """Owners write to receivers. The only POST that others make is authorize; GET goes by our first role."""
        if module not in OWNERS:
            return ""
        if "side" in call:
            return call["side"]
        if method == "POST":
            return "SENDER" if module == "tokens" else "RECEIVER"
        if method == "GET" and self.who.roles[0].role != OWNERS[module]:
            return "SENDER"
        return "RECEIVER"

    # The objects it owns

    async def push_location(self, location: Object, **call: Unpack[Call]) -> Exchange:
        """PUT a Location, as everything below under the owner it names (2.1.1: ours)."""
        return await self._push("locations", location, call)

    async def patch_location(self, id: str, *deeper: str, changes: Object, **call: Unpack[Call]) -> Exchange:
        """PATCH a Location, or with ``deeper`` its EVSE (uid) or that EVSE's connector (uid, id)."""
        return await self._patch("locations", id, deeper, changes, call)

    async def push_tariff(self, tariff: Object, **call: Unpack[Call]) -> Exchange:
        return await self._push("tariffs", tariff, call)

    async def delete_tariff(self, id: str, **call: Unpack[Call]) -> Exchange:
        tariff = self.own.with_id("tariffs", id)
        self.own.delete("tariffs", self._key("tariffs", tariff))
        return await self.delete("tariffs", *self._owner("tariffs", tariff), id, **call)

    async def push_session(self, session: Object, **call: Unpack[Call]) -> Exchange:
        return await self._push("sessions", session, call)

    async def patch_session(self, id: str, changes: Object, **call: Unpack[Call]) -> Exchange:
        return await self._patch("sessions", id, (), changes, call)

    async def push_cdr(self, cdr: Object, **call: Unpack[Call]) -> Exchange:
        """POST a CDR. The answer's ``location`` header is where it can be read again."""
        self.own.put("cdrs", self._key("cdrs", cdr), cdr)
        return await self.post("cdrs", **_with(call, cdr))

    async def push_token(self, token: Object, **call: Unpack[Call]) -> Exchange:
        return await self._push("tokens", token, call)

    async def patch_token(self, uid: str, changes: Object, **call: Unpack[Call]) -> Exchange:
        return await self._patch("tokens", uid, (), changes, call)

    async def authorize(
        self, uid: str, type: str = "RFID", location: Object | None = None, **call: Unpack[Call]
    ) -> Exchange:
        """Ask whether a token may charge; ``location`` is a LocationReferences object."""
        call["query"] = {"type": type}
        return await self.post("tokens", uid, "authorize", **_with(call, location))

    def decide(
        self,
        uid: str,
        allowed: str,
        *,
        type: str = "RFID",
        info: str | None = None,
        delay: float = 0.0,
        location_required: bool = False,
    ) -> None:
        """How authorize is answered for one of our tokens. Without this: ALLOWED if it is valid, else BLOCKED.

        A token that isn't among ``own`` is unknown (404).
        """
        self._desk.decisions[uid, type] = Decision(allowed, info, delay, location_required)

    def keep(self, module: str, obj: Object) -> None:
        """Own an object without pushing it: others see it when they pull."""
        self.own.put(module, self._key(module, obj), obj)

    async def _push(self, module: str, obj: Object, call: Call) -> Exchange:
        self.keep(module, obj)
        id = obj["uid" if module == "tokens" else "id"]
        return await self.put(module, *self._owner(module, obj), id, **_with(self._typed(module, obj, call), obj))

    async def _patch(self, module: str, id: str, deeper: tuple[str, ...], changes: Object, call: Call) -> Exchange:
        obj = self.own.with_id(module, id)
        self.own.patch(module, self._key(module, obj), changes, deeper)
        path = (*self._owner(module, obj), id, *deeper)
        return await self.patch(module, *path, **_with(self._typed(module, obj, call), changes))

    def _typed(self, module: str, obj: Object, call: Call) -> Call:
        """2.2.1 names a token's type in the URL; RFID needn't be named."""
        if module == "tokens" and self.who.version == NEW and obj["type"] != "RFID":
            call["query"] = {**(call.get("query") or {}), "type": obj["type"]}
        return call

    def _owner(self, module: str, obj: Object) -> Party:
        ours = self.who.speaker(module, "RECEIVER")
        return obj.get("country_code", ours.country_code), obj.get("party_id", ours.party_id)

    def _key(self, module: str, obj: Object) -> str:
        key = "/".join((*self._owner(module, obj), obj["uid" if module == "tokens" else "id"]))
        return f"{key}/{obj['type']}" if module == "tokens" and self.who.version == NEW else key


def _kind(method: str, module: str, side: str, segments: tuple[str, ...]) -> str | None:
    """What ``data`` of the answer must be, None where the specification doesn't say."""
    if method == "POST" and module == "tokens":
        return "AuthorizationInfo"
    if method != "GET" or module not in KINDS:
        return None
    deeper = len(segments) - (3 if side == "RECEIVER" else 1)
    return ("EVSE", "Connector")[deeper - 1] if module == "locations" and deeper in (1, 2) else KINDS[module]


def _with(call: Call, body: Any) -> Call:
    call["body"] = body
    return call
