"""What is asked now and done later: commands and charging profiles, from both ends.

The Receiver says at once whether it will try (``Reaction.result``), and later, in a POST to the ``response_url`` of the
request, what came of it (``Reaction.then``). The Sender gives each request a ``response_url`` of its own,
``/results/{n}``, and knows by the number what a result belongs to.

Spec: 2.1.1 and 2.2.1 ``mod_commands``, 2.2.1 ``mod_charging_profiles``.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from attrs import define, field, frozen

from gateway.demo import hubs
from gateway.demo.answers import Answer, Refusal
from gateway.demo.identity import RESULTS, Counterpart, Identity, Party, same_party
from gateway.demo.journal import Exchange, Received
from gateway.demo.line import Line, routing
from gateway.demo.objects import NEW, OLD
from gateway.demo.shelf import Object, Shelf, owner_of

BODIES: Final = {
    "CANCEL_RESERVATION": "CancelReservation",
    "RESERVE_NOW": "ReserveNow",
    "START_SESSION": "StartSession",
    "STOP_SESSION": "StopSession",
    "UNLOCK_CONNECTOR": "UnlockConnector",
}
"""The object that each command carries. 2.1.1 has no CANCEL_RESERVATION."""

_RESULTS_OF_PROFILES: Final = {
    "GET": "ActiveChargingProfileResult",
    "PUT": "ChargingProfileResult",
    "DELETE": "ClearProfileResult",
}


@frozen
class Reaction:
    """How a request is taken.

    Attributes:
        result: what is answered at once.
        timeout: seconds within which the result comes, as the answer says (2.2.1).
        then: what is posted to the ``response_url``, if ``result`` is ACCEPTED; None: nothing ever.
        after: seconds until then, counted from the answer.
        message: a text in both (2.2.1 commands).
        bare_string: both are a bare word instead of an object.
        profile: the ActiveChargingProfile in the result of a GET of charging profiles.
    """

    result: str = "ACCEPTED"
    timeout: int = 30
    then: str | None = "ACCEPTED"
    after: float = 0.0
    message: str | None = None
    bare_string: bool = False
    profile: Object | None = None


@frozen
class Asked:
    """One request of ours: the module, the command or (of a charging profile) the method and the session."""

    module: str
    what: str
    session: str = ""

    def kind_of_result(self, version: str) -> str:
        if self.module == "chargingprofiles":
            return _RESULTS_OF_PROFILES[self.what]
        return "CommandResponse" if version == OLD else "CommandResult"


@define(eq=False)
class Commands:
    """One peer's part in it.

    Attributes:
        reactions: by command or, for charging profiles, by method. Without one a peer accepts whatever is about a
            location or session among its own, and says of the others that it doesn't know them.
        asked: what it asked for itself, in order.
        reported: the numbers of those whose result came.
        preferences: how it answers charging preferences.
    """

    who: Identity
    counterpart: Counterpart
    line: Line
    own: Shelf
    stored: Shelf
    reactions: dict[str, Reaction] = field(factory=dict)
    asked: list[Asked] = field(factory=list)
    reported: set[int] = field(factory=set)
    preferences: str = "ACCEPTED"

    # As Sender

    def ask(self, module: str, what: str, session: str = "") -> tuple[int, str]:
        """The number of a new request, and its ``response_url``."""
        self.asked.append(Asked(module, what, session))
        return len(self.asked), f"{self.who.base_url}{RESULTS}/{len(self.asked)}"

    def request(self, number: int) -> Asked | None:
        """The request with this number."""
        return self.asked[number - 1] if 0 < number <= len(self.asked) else None

    def has_set_profile(self, session: str) -> bool:
        return any(
            (asked.module, asked.what, asked.session) == ("chargingprofiles", "PUT", session) for asked in self.asked
        )

    # As Receiver

    def react(self, received: Received, what: str) -> Answer:
        """Answer a command or a request about a charging profile, and do what follows from it."""
        reaction = self.reactions.get(what) or self._decent(received)
        if received.module == "chargingprofiles" and reaction.result == "ACCEPTED":
            self._set_profile(received)

        async def report() -> None:
            await asyncio.sleep(reaction.after)
            with suppress(aiohttp.ClientError, TimeoutError):  # nobody there: it isn't said again (both mod_commands)
                await self.send_result(
                    received, str(reaction.then), message=reaction.message, profile=reaction.profile,
                    bare_string=reaction.bare_string,
                )  # fmt: skip

        follows = reaction.result == "ACCEPTED" and reaction.then is not None
        return Answer(data=self._answer(received, reaction), afterwards=report if follows else None)

    async def send_result(
        self,
        received: Received,
        result: str,
        *,
        message: str | None = None,
        profile: Object | None = None,
        bare_string: bool = False,
        enveloped: bool = False,
        token: str | None = None,
        sender: Party | None = None,
    ) -> Exchange:
        """POST the result of what ``received`` asked for; see ``Peer.send_result``."""
        body: Any = result if bare_string else self._result(received, result, message, profile)
        if enveloped:
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            body = {"data": body, "status_code": 1000, "timestamp": now}
        asker, asked = routing(received.headers)
        correlation = received.headers.get("x-correlation-id") if self.who.version == NEW else None
        return await self.line.ask(
            "POST",
            _response_url(received),
            token=token,
            body=body,
            headers={"X-Correlation-ID": correlation} if correlation else None,
            sender=(sender or asked or self._ours(received)) if self.who.routes else None,
            to=asker or self.counterpart.receiver(received.module, "SENDER"),
        )

    def _ours(self, received: Received) -> Party:
        """Which party of ours was asked, where the request doesn't say."""
        if self.who.is_hub:
            return hubs.meant(self.who, self.own, received)
        return self.who.speaker(received.module, "SENDER").party

    def _decent(self, received: Received) -> Reaction:
        body = received.body if isinstance(received.body, dict) else {}
        location = body.get("location_id")
        if location is not None and not self._knows("locations", location, received):
            raise Refusal(200, 2003, f"unknown location {location}")
        session = received.segments[0] if received.module == "chargingprofiles" else body.get("session_id")
        if session is not None and not self._knows("sessions", session, received):
            return Reaction("UNKNOWN_SESSION")
        return Reaction()

    def _knows(self, module: str, id: str, received: Received) -> bool:
        """Whether we own it; of a hub: the party that is asked."""
        to = routing(received.headers)[1]
        return any(
            obj.get("id") == id and (not self.who.is_hub or to is None or same_party(to, owner_of(key)))
            for key, obj in self.own.objects[module].items()
        )

    def _set_profile(self, received: Received) -> None:
        profiles, session = self.stored.objects["chargingprofiles"], received.segments[0]
        if received.method == "PUT":
            profiles[session] = received.body["charging_profile"]
        elif received.method == "DELETE":
            profiles.pop(session, None)

    def _answer(self, received: Received, reaction: Reaction) -> Any:
        if reaction.bare_string:
            return reaction.result
        if self.who.version == OLD:
            return {"result": reaction.result}
        answer: Object = {"result": reaction.result, "timeout": reaction.timeout}
        return answer | _message(reaction.message) if received.module == "commands" else answer

    def _result(self, received: Received, result: str, message: str | None, profile: Object | None) -> Object:
        if received.module == "commands":
            return {"result": result} | (_message(message) if self.who.version == NEW else {})
        known = self.stored.objects["chargingprofiles"].get(received.segments[0])
        if received.method != "GET" or result != "ACCEPTED" or not (profile or known):
            return {"result": result}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"result": result, "profile": profile or {"start_date_time": now, "charging_profile": known}}


def _response_url(received: Received) -> str:
    """Where the result is wanted: in the body, or, of requests without one, in the query."""
    asked_in = received.body if isinstance(received.body, dict) else received.query
    return str(asked_in["response_url"])


def _message(text: str | None) -> Object:
    return {"message": [{"language": "en", "text": text}]} if text else {}
