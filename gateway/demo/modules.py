"""What a peer answers in each module, once a request is in order.

Spec: 2.1.1 and 2.2.1 ``mod_*``, Interfaces and endpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from attrs import define, field, frozen

from gateway.demo.answers import Answer
from gateway.demo.checks import Checks
from gateway.demo.commands import BODIES, Commands
from gateway.demo.identity import KINDS, Counterpart, Identity, Party, same_party
from gateway.demo.journal import Received
from gateway.demo.line import routing
from gateway.demo.lists import Lists
from gateway.demo.objects import NEW, OLD
from gateway.demo.shelf import Object, Shelf, owner_of

_LIST_QUERY: Final = {"date_from", "date_to", "offset", "limit", "cursor"}
_PROFILE_QUERY: Final = {"GET": ("duration", "response_url"), "PUT": (), "DELETE": ("response_url",)}
_INNER: Final = ("Location", "EVSE", "Connector")


@frozen
class Decision:
    """How a token is authorized. ``location_required``: without LocationReferences the answer is 2002."""

    allowed: str
    info: str | None = None
    delay: float = 0.0
    location_required: bool = False


@define(eq=False)
class Modules:
    """The modules of one peer."""

    who: Identity
    counterpart: Counterpart
    stored: Shelf
    own: Shelf
    commands: Commands
    checks: Checks
    lists: Lists = field(factory=Lists)
    decisions: dict[tuple[str, str], Decision] = field(factory=dict)
    revisions: bool = False
    others_tariffs: bool = False
    _cdr_urls: dict[str, str] = field(factory=dict)
    _references: int = 0

    def answer(self, received: Received) -> Answer:
        """Raises Refusal, or Unknown where there is no such object."""
        if received.number:
            return self._result(received)
        module = received.module
        special = {
            "commands": self._command,
            "chargingprofiles": self._profile,
            "hubclientinfo": self._client_info,
            "cdrs": self._cdr,
        }
        if received.side == "SENDER" and module not in ("commands", "chargingprofiles"):
            return self._sender(received)
        return special.get(module, self._push)(received)

    def _sender(self, received: Received) -> Answer:
        if received.method == "POST":
            return self._authorize(received)
        if received.method == "PUT":
            return self._preferences(received)
        return self._one_of_ours(received) if received.segments else self._page(received)

    # Objects that others own

    def _push(self, received: Received) -> Answer:
        """GET, PUT, PATCH and DELETE of a client owned object."""
        module = received.module
        depth = range(3, 6 if module == "locations" else 4)
        if len(received.segments) not in depth or not all(received.segments):
            self.checks.refuse(received, 404, 2000, "the URL of an object is {country_code}/{party_id}/{id}")
        self.checks.query(received, {"type"} if module == "tokens" and self.who.version == NEW else set())
        country, party, id, *deeper = received.segments
        others = module == "tariffs" and self.others_tariffs
        if not others and not self.counterpart.may_own((country, party)):
            self.checks.refuse(received, 404, 2001, f"{country}/{party} is no party of theirs")
        if self.who.version == NEW and len(country) != 2:
            self.checks.complain(received, f"country codes are alpha-2, not {country}")
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
        self.checks.body(received, kind)
        new = self.who.version == NEW
        if received.method == "PATCH" and new and received.body.get("last_updated") is None:
            self.checks.refuse(received, 200, 2001, "$.last_updated: required in a PATCH")
        expected = {"uid" if kind in ("EVSE", "Token") else "id": id}
        if new and kind not in ("EVSE", "Connector"):
            expected |= {"country_code": received.segments[0], "party_id": received.segments[1]}
        if new and kind == "Token":
            expected |= {"type": received.query.get("type", "RFID")}
        self._check_said(received, expected)

    def _check_said(self, received: Received, expected: dict[str, str]) -> None:
        for name, value in expected.items():
            said = received.body.get(name, value)
            if said != value and not (self.who.version == NEW and str(said).upper() == value.upper()):  # CiString
                self.checks.refuse(received, 200, 2001, f"$.{name}: {said!r} in the body, {value!r} in the URL")

    def _cdr(self, received: Received) -> Answer:
        self.checks.query(received, set())
        if received.method == "GET":
            key = next((key for key, url in self._cdr_urls.items() if received.segments == (url,)), "")
            return Answer(data=self.stored.get("cdrs", key))
        if received.segments:
            self.checks.refuse(received, 404, 2000, "CDRs are posted to the endpoint itself")
        self.checks.body(received, "CDR")
        cdr = received.body
        owner = (cdr["country_code"], cdr["party_id"]) if self.who.version == NEW else self._sending_party(received)
        if not self.counterpart.may_own(owner):
            self.checks.refuse(received, 200, 2001, f"{owner} is no party of theirs")
        key = "/".join((*owner, cdr["id"]))
        known = self.stored.objects["cdrs"].get(key)
        if known is not None and known != cdr and not self.revisions:
            changed = f"CDR {key} was sent before, with other content: CDRs can't be changed"
            self.checks.refuse(received, 200, 2001, changed)
        self.stored.put("cdrs", key, cdr)
        url = self._cdr_urls.setdefault(key, str(len(self._cdr_urls) + 1))
        location = f"{self._endpoint('cdrs', 'RECEIVER')}/{url}"
        return Answer(http=200 if known else 201, headers={"Location": location})

    def _sending_party(self, received: Received) -> Party:
        """Who posts a CDR, which doesn't say it in 2.1.1: the other end, or whom a hub speaks for."""
        sender, roles = routing(received.headers)[0], self.counterpart.roles
        if (self.who.behind_hub or self.who.routing_headers) and sender:
            return sender
        return roles[0].party if roles else ("", "")

    def _client_info(self, received: Received) -> Answer:
        """GET and PUT of what a hub says of a party. The URL names no role, and a party may have several."""
        self.checks.query(received, set())
        if len(received.segments) != 2:
            self.checks.refuse(received, 404, 2000, "the URL of a ClientInfo is {country_code}/{party_id}")
        if self.counterpart.roles and not self.counterpart.hub:
            self.checks.complain(received, "a ClientInfo, and they are no hub")
        country, party = received.segments
        if received.method == "GET":
            keys = [key for key in self.stored.objects["hubclientinfo"] if key.startswith(f"{country}/{party}/")]
            return Answer(data=self.stored.get("hubclientinfo", keys[0] if keys else f"{country}/{party}"))
        self.checks.body(received, "ClientInfo")
        self._check_said(received, {"country_code": country, "party_id": party})
        key = f"{country}/{party}/{received.body['role']}"
        return Answer(http=201 if self.stored.put("hubclientinfo", key, received.body) else 200)

    # Our tokens and sessions

    def _authorize(self, received: Received) -> Answer:
        """Real-time authorization. Spec: ``mod_tokens``, Sender interface, POST."""
        if len(received.segments) != 2 or received.segments[1] != "authorize":
            self.checks.refuse(received, 404, 2000, "authorize is {token_uid}/authorize")
        self.checks.query(received, {"type"} if self.who.version == NEW else {"type", "token_type"})
        if received.raw:
            self.checks.body(received, "LocationReferences")
        uid, type_ = received.segments[0], received.query.get("type") or received.query.get("token_type") or "RFID"
        asked = self._of_whom(received)
        fitting = (
            (owner_of(key), token)
            for key, token in self.own.objects["tokens"].items()
            if asked(key) and (token["uid"], token["type"]) == (uid, type_)
        )
        owner, token = next(fitting, (None, None))
        if token is None:
            return Answer(2004 if self.who.version == NEW else 2001, http=404, message="unknown token")
        default = Decision("ALLOWED" if token["valid"] else "BLOCKED")
        decision = self.decisions.get((uid, type_), default)
        if decision.location_required and not received.body:
            return Answer(2002, message="the location is needed", delay=decision.delay)
        info = self._authorization_info(token, decision, received.body)
        return Answer(data=info, delay=decision.delay, by=owner if self.who.is_hub else None)

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

    def _preferences(self, received: Received) -> Answer:
        """PUT of charging preferences. Spec: 2.2.1 ``mod_sessions``, Sender interface."""
        if len(received.segments) != 2 or received.segments[1] != "charging_preferences":
            self.checks.refuse(received, 404, 2000, "what can be set of a session is {session_id}/charging_preferences")
        self.checks.query(received, set())
        self.checks.body(received, "ChargingPreferences")
        self.own.with_id("sessions", received.segments[0])
        return Answer(data=self.commands.preferences)

    # What is asked now and done later

    def _command(self, received: Received) -> Answer:
        if received.side == "SENDER":
            self.checks.refuse(received, 404, 2000, f"{received.path} is the response_url of no request of ours")
        self.checks.query(received, set())
        command = "/".join(received.segments)
        if command not in BODIES or (command == "CANCEL_RESERVATION" and self.who.version == OLD):
            self.checks.refuse(received, 404, 2000, f"there is no command {command!r}")
        self.checks.body(received, BODIES[command])
        return self.commands.react(received, command)

    def _profile(self, received: Received) -> Answer:
        if len(received.segments) != 1:
            self.checks.refuse(received, 404, 2000, "the URL of a charging profile is {session_id}")
        if received.side == "SENDER":
            return self._active_profile(received)
        self.checks.query(received, set(), _PROFILE_QUERY[received.method])
        if received.method == "GET":
            self.checks.number(received, received.query, "duration", 0)
        if received.method == "PUT":
            self.checks.body(received, "SetChargingProfile")
        return self.commands.react(received, received.method)

    def _active_profile(self, received: Received) -> Answer:
        """What a CPO tells unasked. Spec: 2.2.1 ``mod_charging_profiles``, Sender interface, PUT."""
        self.checks.query(received, set())
        self.checks.body(received, "ActiveChargingProfile")
        session = received.segments[0]
        if not self.commands.has_set_profile(session):
            self.checks.complain(received, f"nobody here has set a profile for session {session}")
        self.stored.put("chargingprofiles", session, received.body)
        return Answer()

    def _result(self, received: Received) -> Answer:
        """What came of something that we asked for: once, but for a reservation that is canceled later."""
        asked = self.commands.asked[received.number - 1]
        bare = received.module == "commands" and isinstance(received.body, str) and self.who.bare_strings
        self.checks.body(received, "CommandResponseType" if bare else asked.kind_of_result(self.who.version))
        word = received.body if bare else received.body["result"]
        if received.number in self.commands.reported and word != "CANCELED_RESERVATION":
            self.checks.complain(received, f"the result of {asked.what} was told before")
        self.commands.reported.add(received.number)
        return Answer()

    # Lists of ours

    def _one_of_ours(self, received: Received) -> Answer:
        """GET of one location, EVSE or connector; the other modules have lists only."""
        if received.module != "locations" or len(received.segments) > 3:
            self.checks.refuse(received, 404, 2000, f"{received.module} can be listed, not read one by one")
        self.checks.query(received, set())
        id, *deeper = received.segments
        asked = self._of_whom(received)
        locations = self.own.objects["locations"].items()
        key = next((key for key, obj in locations if obj.get("id") == id and asked(key)), id)
        return Answer(data=self.own.get("locations", key, tuple(deeper)))

    def _page(self, received: Received) -> Answer:
        """One page of our objects, oldest first. Spec: ``transport_and_format``, Pagination."""
        module = received.module
        self.checks.query(received, _LIST_QUERY)
        query = self.lists.asked(received.query)
        if query is None:
            self.checks.refuse(received, 200, 2001, "cursor: none of ours")
        if module == "sessions" and "date_from" not in query:
            self.checks.refuse(received, 200, 2001, "date_from: required")
        offset = self.checks.number(received, query, "offset", 0)
        self.checks.number(received, query, "limit", 0)
        if module in self.lists.generated:
            return self.lists.page(self.lists.generated[module], query, offset, self._endpoint(module, "SENDER"))
        asked, in_time = self._of_whom(received), _between(query.get("date_from"), query.get("date_to"))
        found = [obj for key, obj in self.own.objects[module].items() if asked(key) and in_time(obj)]
        return self.lists.page(found, query, offset, self._endpoint(module, "SENDER"))

    def _of_whom(self, received: Received) -> Callable[[str], bool]:
        """Whose objects are asked for: those of the party in OCPI-to, or everybody's if that is a hub."""
        to = routing(received.headers)[1] if self.who.routes else None
        if to is None or received.module == "hubclientinfo" or (self.who.is_hub and same_party(to, self._hub)):
            return lambda key: True
        return lambda key: same_party(to, owner_of(key))

    @property
    def _hub(self) -> Party:
        return self.who.roles[0].party

    def _endpoint(self, module: str, side: str) -> str:
        return f"{self.who.base_url}{self.who.paths()[module, side]}"


def _between(date_from: str | None, date_to: str | None) -> Callable[[Object], bool]:
    """By time: from inclusive, to exclusive."""
    start, end = _moment(date_from), _moment(date_to)

    def wanted(obj: Object) -> bool:
        moment = _moment(obj.get("last_updated"))
        return moment is None or ((start is None or start <= moment) and (end is None or moment < end))

    return wanted


def _moment(text: Any) -> datetime | None:
    """A DateTime as a moment; UTC where no zone stands. None if it is none."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
