"""What a peer holds every request against, whichever module it is for.

What a lenient peer lives with is a complaint and nothing more; what can't be used is a complaint and a refusal.

Spec: 2.1.1 and 2.2.1 ``transport_and_format``, ``status_codes``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NoReturn

from attrs import define, field

from gateway.demo import hubs
from gateway.demo.answers import Refusal
from gateway.demo.identity import BROADCAST, ROUTED, Counterpart, Identity, Party, same_party
from gateway.demo.journal import Journal, Received
from gateway.demo.line import ROUTING, routing
from gateway.demo.objects import NEW, OLD, examine
from gateway.demo.shelf import Shelf

_METHODS: Final = {
    ("versions", ""): ("GET",),
    ("details", ""): ("GET",),
    ("credentials", ""): ("GET", "POST", "PUT", "DELETE"),
    ("locations", "RECEIVER"): ("GET", "PUT", "PATCH"),
    ("sessions", "RECEIVER"): ("GET", "PUT", "PATCH"),
    ("sessions", "SENDER"): ("GET", "PUT"),
    ("tokens", "RECEIVER"): ("GET", "PUT", "PATCH"),
    ("tokens", "SENDER"): ("GET", "POST"),
    ("tariffs", "RECEIVER"): ("GET", "PUT", "DELETE"),
    ("cdrs", "RECEIVER"): ("GET", "POST"),
    ("commands", "RECEIVER"): ("POST",),
    ("commands", "SENDER"): ("POST",),
    ("chargingprofiles", "RECEIVER"): ("GET", "PUT", "DELETE"),
    ("chargingprofiles", "SENDER"): ("PUT",),
    ("hubclientinfo", "RECEIVER"): ("GET", "PUT"),
}
_METHODS_211: Final = {("tariffs", "RECEIVER"): ("GET", "PUT", "PATCH", "DELETE"), ("sessions", "SENDER"): ("GET",)}


@define(eq=False)
class Checks:
    """The checks of one peer. ``own`` has the ClientInfos of a hub."""

    who: Identity
    counterpart: Counterpart
    journal: Journal
    own: Shelf
    _request_ids: set[str] = field(factory=set)

    def complain(self, received: Received, what: str) -> None:
        about = "/".join((received.module or received.path, *received.segments * bool(received.module)))
        self.journal.complain(f"{received.method} {about}", what)

    def refuse(
        self, received: Received, http: int, status_code: int, message: str, headers: Mapping[str, str] | None = None
    ) -> NoReturn:
        """A refusal that a sound caller never gets."""
        self.complain(received, message)
        raise Refusal(http, status_code, message, headers)

    def method(self, received: Received) -> None:
        """Refuse what the interface doesn't have."""
        interface = (received.module, received.side)
        allowed = _METHODS.get(interface, ("GET",))
        if received.version == OLD:
            allowed = _METHODS_211.get(interface, allowed)
        if received.number:
            allowed = ("POST",)
        if received.method not in allowed:
            self.refuse(received, 405, 2000, "there is no such method here", {"Allow": ", ".join(allowed)})

    def body(self, received: Received, kind: str) -> None:
        """Complain about everything that isn't as it should be, refuse what can't be used."""
        findings = examine(received.version, kind, received.body, partial=received.method == "PATCH")
        for finding in findings:
            self.complain(received, str(finding))
        if fatal := [str(finding) for finding in findings if finding.fatal]:
            raise Refusal(200, 2001, "; ".join(fatal))

    def query(self, received: Received, known: set[str], required: tuple[str, ...] = ()) -> None:
        """Complain about parameters that nobody knows, refuse if one is missing."""
        if unknown := received.query.keys() - known - {*required}:
            self.complain(received, f"unknown parameters {sorted(unknown)}")
        if missing := [name for name in required if not received.query.get(name)]:
            self.refuse(received, 200, 2001, f"{', '.join(missing)}: required")

    def number(self, received: Received, query: Mapping[str, str], name: str, default: int) -> int:
        """A number in the query."""
        text = query.get(name, str(default))
        if not text.isascii() or not text.isdigit():
            self.refuse(received, 200, 2001, f"{name}: {text!r} is no number")
        return int(text)

    # Headers

    def headers(self, received: Received) -> None:
        """The headers that its version wants, and no others."""
        if received.raw and received.headers.get("content-type", "").partition(";")[0] != "application/json":
            self.complain(received, f"Content-Type {received.headers.get('content-type')!r}")
        if received.version == NEW and (received.module != "versions" or len(self.who.versions) == 1):
            self._message_ids(received)  # whoever asks which versions there are needn't know what is spoken now
        named = [name for name in ROUTING if name.lower() in received.headers]
        if received.module not in ROUTED:
            if named and received.version == NEW:
                self.complain(received, f"{', '.join(named)} on a configuration module")
        elif received.version == NEW or self.who.behind_hub:
            self._routing(received)
        elif self.who.routing_headers:
            if named:  # an extension of some hubs: nobody has to use it
                self._routing(received)
        elif named:
            self.complain(received, f"{OLD} has no {', '.join(named)}")

    def _message_ids(self, received: Received) -> None:
        for name in ("x-request-id", "x-correlation-id"):
            if not received.headers.get(name):
                self.complain(received, f"no {name}")
        if (request_id := received.headers.get("x-request-id")) in self._request_ids:
            self.complain(received, f"x-request-id {request_id} was used before")
        self._request_ids.add(request_id or "")

    def _routing(self, received: Received) -> None:
        """Who sends, and to whom. Only a hub may be asked without saying whom."""
        sender, to = routing(received.headers)
        if sender is None or (to is None and not self.who.is_hub):
            self.complain(received, "routing headers are missing")
            return
        if not self.counterpart.may_own(sender):
            self.complain(received, f"OCPI-from is {sender}, which is no party of theirs")
        if any(len(country) != 2 for country, _ in filter(None, (sender, to))):
            self.complain(received, f"country codes of routing headers are alpha-2, not {sender} and {to}")
        if self.who.is_hub:
            self._routing_of_hub(received, to)
        elif to and not self.who.plays(to, received.module, received.side):
            self.complain(received, f"OCPI-to is {to}, which is no party of ours for this interface")

    def _routing_of_hub(self, received: Received, to: Party | None) -> None:
        """Spec: 2.2.1 ``transport_and_format``, Message Routing Headers; ``status_codes``, 4xxx."""
        list_ = received.method == "GET" and received.side == "SENDER" and not received.segments
        if to is None:
            if list_ and received.version == NEW:
                self.complain(received, "a list of a hub's is asked for with the hub in OCPI-to")
        elif same_party(to, self.who.roles[0].party):
            if received.method == "GET" and not list_:
                self.complain(received, "only lists are asked for with the hub in OCPI-to")
            elif received.method != "GET" and received.module not in BROADCAST:
                self.complain(received, f"OCPI-to is the hub, but {received.module} aren't for everybody")
        elif (status := hubs.status(self.own, to, received.module, received.side)) != "CONNECTED":
            code = 4003 if status else 4001
            raise Refusal(200, code if received.version == NEW else 2000, f"{to} is {status or 'unknown'}")
