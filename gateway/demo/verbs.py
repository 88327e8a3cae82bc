"""What a party does in OCPI, as calls of Python: push an object, authorize, command, tell of a party behind a hub.

Whatever is pushed is owned from then on, and listed when somebody asks.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Unpack

from attrs import evolve

from gateway.demo.calls import Call, Calls, apart
from gateway.demo.commands import Commands
from gateway.demo.identity import BROADCAST, Counterpart, Identity, Party
from gateway.demo.journal import Exchange, Journal, Received
from gateway.demo.line import Line
from gateway.demo.objects import NEW
from gateway.demo.shelf import Object, Shelf, owner_of


class Verbs(Calls):
    """The asking half of a peer, with a name for each thing that can be done.

    Attributes:
        own: what it owns, and lists when asked.
        commands: what it asked for and how it takes what it is asked for.
    """

    def __init__(
        self, who: Identity, counterpart: Counterpart, line: Line, journal: Journal, own: Shelf, commands: Commands
    ) -> None:
        super().__init__(who, counterpart, line)
        self.own = own
        self.commands = commands
        self._journal = journal

    # Objects

    async def push_location(self, location: Object, **call: Unpack[Call]) -> Exchange:
        """PUT a Location, as everything below under the owner it names (2.1.1: ``owner``, else ours).

        A hub hands locations, tariffs and tokens on in its own name (2.2.1), everything else in its owner's.
        """
        return await self._push("locations", location, call)

    async def patch_location(self, id: str, *deeper: str, changes: Object, **call: Unpack[Call]) -> Exchange:
        """PATCH a Location, or with ``deeper`` its EVSE (uid) or that EVSE's connector (uid, id)."""
        return await self._patch("locations", id, deeper, changes, call)

    async def push_tariff(self, tariff: Object, **call: Unpack[Call]) -> Exchange:
        return await self._push("tariffs", tariff, call)

    async def delete_tariff(self, id: str, **call: Unpack[Call]) -> Exchange:
        key = self.own.key_of("tariffs", id, call.get("owner"))
        self.own.delete("tariffs", key)
        owner = owner_of(key)
        return await self.delete("tariffs", *owner, id, **self._in_name_of("tariffs", owner, call))

    async def push_session(self, session: Object, **call: Unpack[Call]) -> Exchange:
        return await self._push("sessions", session, call)

    async def patch_session(self, id: str, changes: Object, **call: Unpack[Call]) -> Exchange:
        return await self._patch("sessions", id, (), changes, call)

    async def push_cdr(self, cdr: Object, **call: Unpack[Call]) -> Exchange:
        """POST a CDR. The answer's ``location`` header is where it can be read again."""
        owner = self.keep("cdrs", cdr, call.get("owner"))
        call["body"] = cdr
        return await self.post("cdrs", **self._in_name_of("cdrs", owner, call))

    async def push_token(self, token: Object, **call: Unpack[Call]) -> Exchange:
        return await self._push("tokens", token, call)

    async def patch_token(self, uid: str, changes: Object, **call: Unpack[Call]) -> Exchange:
        return await self._patch("tokens", uid, (), changes, call)

    async def authorize(
        self, uid: str, type: str = "RFID", location: Object | None = None, **call: Unpack[Call]
    ) -> Exchange:
        """Ask whether a token may charge; ``location`` is a LocationReferences object."""
        call["query"], call["body"] = {"type": type}, location
        return await self.post("tokens", uid, "authorize", **call)

    def keep(self, module: str, obj: Object, owner: Party | None = None) -> Party:
        """Own an object without pushing it: others see it when they pull. Returns whose it is."""
        owner = self._owner(module, obj, owner)
        key = "/".join((*owner, obj["uid" if module == "tokens" else "id"]))
        typed = module == "tokens" and self.who.version == NEW
        self.own.put(module, f"{key}/{obj['type']}" if typed else key, obj)
        return owner

    async def _push(self, module: str, obj: Object, call: Call) -> Exchange:
        owner = self.keep(module, obj, call.get("owner"))
        path = (*owner, obj["uid" if module == "tokens" else "id"])
        call["body"] = obj
        return await self.put(module, *path, **self._in_name_of(module, owner, self._typed(module, obj, call)))

    async def _patch(self, module: str, id: str, deeper: tuple[str, ...], changes: Object, call: Call) -> Exchange:
        key = self.own.key_of(module, id, call.get("owner"))
        self.own.patch(module, key, changes, deeper)
        call["body"] = changes
        call = self._in_name_of(module, owner_of(key), self._typed(module, self.own.get(module, key), call))
        return await self.patch(module, *owner_of(key), id, *deeper, **call)

    def _in_name_of(self, module: str, owner: Party, call: Call) -> Call:
        if self.who.is_hub and "sender" not in call:
            hands_on = module in BROADCAST and self.who.version == NEW
            call["sender"] = self.who.roles[0].party if hands_on else owner
        return call

    def _typed(self, module: str, obj: Object, call: Call) -> Call:
        """2.2.1 names a token's type in the URL; RFID needn't be named."""
        if module == "tokens" and self.who.version == NEW and obj["type"] != "RFID":
            call["query"] = {**(call.get("query") or {}), "type": obj["type"]}
        return call

    def _owner(self, module: str, obj: Object, owner: Party | None) -> Party:
        country, party = owner or self.who.speaker(module, "RECEIVER").party
        return obj.get("country_code", country), obj.get("party_id", party)

    # Commands and charging profiles

    async def command(self, command: str, **options: Any) -> Exchange:
        """Give a command; its answer has a ``number`` for ``result_of()``.

        ``options`` are those of a ``Call``; all others are fields of the command's object, which needs no
        ``response_url``.
        """
        call, fields = apart(options)
        number, url = self.commands.ask("commands", command)
        call["body"] = {"response_url": url} | fields
        exchange = await self.post("commands", command, **call)
        return evolve(exchange, number=number)

    async def set_profile(self, session_id: str, charging_profile: Object, **call: Unpack[Call]) -> Exchange:
        """Set the ChargingProfile of a session; as below the answer has a ``number`` for ``result_of()``."""
        return await self._profile("PUT", session_id, call, {}, charging_profile)

    async def get_profile(self, session_id: str, duration: int = 900, **call: Unpack[Call]) -> Exchange:
        """Ask for the ActiveChargingProfile of a session, for so many seconds."""
        return await self._profile("GET", session_id, call, {"duration": str(duration)})

    async def clear_profile(self, session_id: str, **call: Unpack[Call]) -> Exchange:
        """Take the ChargingProfile of a session away."""
        return await self._profile("DELETE", session_id, call, {})

    async def update_profile(self, session_id: str, active: Object, **call: Unpack[Call]) -> Exchange:
        """As the CPO: tell that the ActiveChargingProfile of a session has changed."""
        call["side"], call["body"] = "SENDER", active
        return await self.put("chargingprofiles", session_id, **call)

    async def set_preferences(self, session_id: str, preferences: Object, **call: Unpack[Call]) -> Exchange:
        """Set the driver's ChargingPreferences for a session."""
        call["side"], call["body"] = "SENDER", preferences
        return await self.put("sessions", session_id, "charging_preferences", **call)

    async def result_of(
        self,
        asked: int | Exchange,
        *,
        count: int = 1,
        timeout: float = 5.0,  # noqa: ASYNC109 - the failure lists what did arrive
    ) -> Received:
        """The ``count``-th result of a command or charging profile request of ours, here already or still to come.

        ``asked``: the answer to that request, or its number (the first is 1). Raises AssertionError if none comes.
        """
        number = asked if isinstance(asked, int) else asked.number
        what = f"result of request {number}"
        return await self._journal.wait_for(
            lambda received: received.number == number, what, count=count, after=0, timeout=timeout
        )

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
        """POST a result of what ``received`` asked for: late, once more, or of what another peer was asked.

        Args:
            message: its text (2.2.1 commands).
            profile: the ActiveChargingProfile (of a GET).
            bare_string: the word alone, as before 2.1.1-d2.
            enveloped: wrapped as if it were an answer.
            token: a credentials token instead of ours.
            sender: the party in OCPI-from instead of the one that was asked.
        """
        return await self.commands.send_result(
            received, result, message=message, profile=profile, bare_string=bare_string, enveloped=enveloped,
            token=token, sender=sender,
        )  # fmt: skip

    async def _profile(
        self, method: str, session_id: str, call: Call, query: dict[str, str], profile: Object | None = None
    ) -> Exchange:
        number, url = self.commands.ask("chargingprofiles", method, session_id)
        call["side"] = "RECEIVER"
        if method == "PUT":
            call["body"] = {"charging_profile": profile, "response_url": url}
        else:
            call["query"] = {**query, "response_url": url}
        exchange = await self.call(method, "chargingprofiles", session_id, **call)
        return evolve(exchange, number=number)

    # Whom a hub reaches

    def keep_client(self, party: Party, role: str, status: str = "CONNECTED") -> Object:
        """As a hub: reach a party from now on, or say otherwise how it is connected, without telling anybody."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        client = {"country_code": party[0], "party_id": party[1], "role": role, "status": status, "last_updated": now}
        self.own.put("hubclientinfo", "/".join((*party, role)), client)
        return client

    async def push_client(self, party: Party, role: str, status: str = "CONNECTED", **call: Unpack[Call]) -> Exchange:
        """As ``keep_client()``, and PUT the ClientInfo."""
        call["body"] = self.keep_client(party, role, status)
        return await self.put("hubclientinfo", *party, **call)
