"""Charging profiles and preferences: what somebody else wants of a session that is going on at an operator's.

An eMSP (or who charges smartly for it, an SCSP) sets a profile on a session, takes it away, or asks which one is in
force; the operator answers at once, and posts the result later (``callbacks``). And whoever has set a profile hears of
every change of the profile in force, without asking: nobody else does.

    ask         PUT, DELETE, GET of a profile: to the operator of the session
    update      the profile in force, from the operator: to those who have set one
    preferences the driver's wishes (sessions, ``charging_preferences``): answered at once, without a result

A session names its operator, so nobody need be addressed. Versions without charging profiles say NOT_SUPPORTED, and to
their operators nothing is sent.

Spec: 2.2.1 ``mod_charging_profiles``; ``mod_sessions``, Set: Charging Preferences.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from attrs import evolve, field, frozen

from gateway.callbacks import UNANSWERED_S, Callbacks, Expected, count
from gateway.commands import Declined, began, its_own, patience, whose
from gateway.directory import Directory, Link
from gateway.exchange import Exchange, crossing, decided, hop
from gateway.lookup import Lookup
from gateway.model.charging_profiles import ChargingProfileResponseType
from gateway.model.document import Document
from gateway.model.errors import GatewayError, InvalidObject, NotFound, ReceiverError, UnknownReceiver
from gateway.model.facts import ABSENT, Translated, Withheld
from gateway.model.message import Answer, Message
from gateway.model.modules import Kind, Module, Verb
from gateway.model.names import Name
from gateway.model.party import Party, Role
from gateway.ports import Codec, Objects, Subscriptions
from gateway.routing import About, Forward, Refuse, Target, route

_KEPT_S: Final = 30 * 24 * 3600.0
"""Seconds for which whoever set a profile is told of changes: longer than any session."""

_RESULTS: Final[Mapping[Verb, Kind]] = {
    Verb.GET: Kind.ACTIVE_CHARGING_PROFILE_RESULT,
    Verb.PUT: Kind.CHARGING_PROFILE_RESULT,
    Verb.DELETE: Kind.CLEAR_PROFILE_RESULT,
}


@frozen(kw_only=True)
class Profiles:
    """Passes requests about charging profiles on, and what operators say of them back."""

    exchange: Exchange
    lookup: Lookup
    callbacks: Callbacks
    objects: Objects
    subscriptions: Subscriptions
    codec: Codec
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    async def ask(self, message: Message, source: Link, directory: Directory) -> Answer:
        """The operator's ChargingProfileResponse to a PUT, DELETE or GET, in the asker's wire form.

        Raises:
            InvalidObject: the body isn't valid, or the response URL isn't the asker's.
            NotDurable: the store is away, and the result couldn't be brought back.
            RoutingError, ReceiverError: the operator's answer couldn't be had.
        """
        try:
            return await self._relayed(message, source, directory)
        except Declined as declined:
            count("none", message.module, declined.result)
            said = {"result": declined.result, "timeout": 0}
            document = Document(Kind.CHARGING_PROFILE_RESPONSE, said)
            return Answer(status=1000, text=declined.reason, data=document)

    async def _relayed(self, message: Message, source: Link, directory: Directory) -> Answer:
        read = await self._read(message, source, directory)
        response_url, path = (
            (message.query.response_url, "response_url") if read is None else (read["response_url"], "$.response_url")
        )
        if response_url is None:
            raise InvalidObject(path, "required")
        target = await self._target(message, source, directory)
        link = directory[target.link]
        message = message.evolve(receiver=target.party, ref=evolve(message.ref, owner=target.party))
        self._check_supported(message, source, link)
        self.callbacks.check_url(response_url, source, path)
        session = Name(Module.SESSIONS, target.party, message.ref.id)
        if not await self._may_touch(session, message.sender, source):
            raise Declined(ChargingProfileResponseType.UNKNOWN_SESSION, "no such session of yours")

        id, url = self.callbacks.new_url(link)
        if read is None:
            question = message.evolve(query=evolve(message.query, response_url=url))
        else:
            profile = {**read, "response_url": url}
            try:
                down = await self._down(Kind.SET_CHARGING_PROFILE, profile, message, link, directory)
            except Withheld as withheld:
                raise Declined(ChargingProfileResponseType.NOT_SUPPORTED, withheld.reason) from None
            question = message.evolve(body=Document(Kind.SET_CHARGING_PROFILE, down.data), losses=down.losses)
        expected = self._expected(message, response_url, source, link)
        answer = await self.callbacks.ask(id, expected, question.evolve(trace=hop(message.trace)), source, link)
        if not answer.good:
            count(link.id, expected.command, "error")
            return answer.evolve(data=ABSENT)
        said = await self._first_word(answer, question, link, directory)
        await self.callbacks.answered(id, expected, said["result"], patience(said["timeout"], link))
        if message.verb is Verb.PUT and said["result"] == ChargingProfileResponseType.ACCEPTED:
            await self.subscriptions.subscribe(session, source.id, str(message.sender).encode(), ttl=_KEPT_S)
        document = await self._down(Kind.CHARGING_PROFILE_RESPONSE, said, message, source, directory)
        return answer.evolve(data=Document(Kind.CHARGING_PROFILE_RESPONSE, document.data), http=200)

    async def _read(self, message: Message, source: Link, directory: Directory) -> Any:
        """The canonical body; None where the request has none."""
        if message.body is None:
            return None
        body, adapter = message.body, self.exchange.adapter(source)
        up, _ = await self.lookup.through(
            lambda c: adapter.up(body.kind, body.data, c), crossing(message, source), directory
        )
        return up.data

    async def _down(self, kind: Kind, data: Any, message: Message, link: Link, directory: Directory) -> Translated:
        adapter = self.exchange.adapter(link)
        down, _ = await self.lookup.through(lambda c: adapter.down(kind, data, c), crossing(message, link), directory)
        return down

    async def _first_word(self, answer: Answer, question: Message, link: Link, directory: Directory) -> Any:
        if not isinstance(answer.data, Document):
            raise ReceiverError("the request was answered without a ChargingProfileResponse")
        try:
            return await self._read(question.evolve(body=answer.data), link, directory)
        except InvalidObject as error:
            raise ReceiverError(f"the answer isn't valid: {error.message}") from None

    def _expected(self, message: Message, response_url: str, source: Link, link: Link) -> Expected:
        return Expected(
            asker=source.id,
            asker_party=str(message.sender),
            target=link.id,
            target_party=str(message.receiver),
            command=message.module,
            kind=_RESULTS[message.verb],
            url=response_url,
            correlation=message.trace.correlation_id,
            ends=int((self.clock() + timedelta(seconds=UNANSWERED_S)).timestamp() * 1000),
        )

    # The profile in force ---------------------------------------------------------------------------------------------

    async def update(self, message: Message, source: Link, directory: Directory) -> Answer:
        """The profile in force has changed: told to those who have set one on this session, and to nobody else.

        Raises:
            NotFound: charging profiles are off on this link.
            InvalidObject: it is no ActiveChargingProfile.
            RoutingError, ReceiverError: none of those who wanted to know could be told.
        """
        if not source.pushes(message.module) or message.sender is None:
            raise NotFound(f"{message.module} is switched off on this link")
        profile = await self._read(message, source, directory)
        if profile is None:
            raise InvalidObject("$", "a body is required")
        told = await asyncio.gather(
            *(
                self._tell(profile, message.evolve(receiver=target.party), source, directory[target.link], directory)
                for target in await self._interested(message, message.sender, directory)
            ),
            return_exceptions=True,
        )
        answers = [answer for answer in told if isinstance(answer, Answer)]
        for failure in told:
            if isinstance(failure, BaseException) and (not answers or not isinstance(failure, GatewayError)):
                raise failure
        good = [answer for answer in answers if answer.good]
        return next(iter(good or answers), Answer(status=1000, text="Nobody has set a profile on this session"))

    async def _interested(self, message: Message, operator: Party, directory: Directory) -> list[Target]:
        """Whoever has set a profile; of those, the one that is addressed."""
        session = Name(Module.SESSIONS, operator, message.ref.id)
        subscribers = await self.subscriptions.subscribers(session)
        everybody = message.receiver in (None, directory.hub)
        targets = [Target(link, Party.parse(party.decode())) for link, party in subscribers.items()]
        wanted = [target for target in targets if everybody or target.party == message.receiver]
        return [target for target in wanted if target.link in directory]

    async def _tell(self, profile: Any, message: Message, source: Link, link: Link, directory: Directory) -> Answer:
        try:
            down = await self._down(Kind.ACTIVE_CHARGING_PROFILE, profile, message, link, directory)
        except Withheld as withheld:  # it speaks another version by now
            return Answer(status=1000, text=withheld.reason)
        update = message.evolve(body=Document(Kind.ACTIVE_CHARGING_PROFILE, down.data), trace=hop(message.trace))
        return (await self.exchange.ask(update, source, link)).evolve(data=ABSENT)

    # Preferences ------------------------------------------------------------------------------------------------------

    async def preferences(self, message: Message, source: Link, directory: Directory) -> Answer:
        """The operator's ChargingPreferencesResponse to what a driver wants of a session: a bare word.

        Raises:
            NotFound: the session isn't known, or isn't the asker's; or its operator's version has no preferences, which
                is what the specification prescribes for an EVSE without them.
            InvalidObject: the body isn't valid.
            RoutingError, ReceiverError: the operator's answer couldn't be had.
        """
        wishes = await self._read(message, source, directory)
        if wishes is None:
            raise InvalidObject("$", "a body is required")
        plan = decided(route(message, source, directory, *await self._meant(message, source, directory)))
        if not isinstance(plan, Forward):
            raise NotFound("no such session")
        link, party = directory[plan.target.link], plan.target.party
        if not await self._may_touch(Name(Module.SESSIONS, party, message.ref.id), message.sender, source):
            raise NotFound("no such session of yours")
        message = message.evolve(receiver=party, ref=evolve(message.ref, owner=party))
        try:
            down = await self._down(Kind.CHARGING_PREFERENCES, wishes, message, link, directory)
        except Withheld:
            raise NotFound("the session's EVSE doesn't take charging preferences") from None
        body = Document(Kind.CHARGING_PREFERENCES, down.data)
        answer = await self.exchange.ask(message.evolve(body=body, trace=hop(message.trace)), source, link)
        return answer if answer.good else answer.evolve(data=ABSENT)

    # Where it goes ----------------------------------------------------------------------------------------------------

    async def _target(self, message: Message, source: Link, directory: Directory) -> Target:
        announced, about = await self._meant(message, source, directory)
        if not (message.receiver or about.party or about.links):
            raise Declined(ChargingProfileResponseType.UNKNOWN_SESSION, "nobody here has that session")
        # For the router a GET reads what is stored; this one asks the operator.
        plan = route(message.evolve(verb=Verb.PUT), source, directory, announced, about)
        party = message.receiver or about.party
        unknown = isinstance(plan, Refuse) and isinstance(plan.error, UnknownReceiver)
        if unknown and party and directory.partner_of(party, supply=True, ours=message.sender):
            raise Declined(ChargingProfileResponseType.NOT_SUPPORTED, "no charging profiles there")
        plan = decided(plan)
        if not isinstance(plan, Forward):
            raise Declined(ChargingProfileResponseType.NOT_SUPPORTED, "no charging profiles here")
        return plan.target

    async def _meant(self, message: Message, source: Link, directory: Directory) -> tuple[str | None, About]:
        """Whose session it is, and when it began: where one link takes over from another, it stays where it began."""
        found = await self.lookup.everywhere(Module.SESSIONS, message.ref.id)
        if message.receiver is not None:
            found = {name: said for name, said in found.items() if name.owner == message.receiver}
        announced, about = whose(found, source, directory)
        sessions = (self.codec.loads(said.canonical) for said in found.values())
        return announced, evolve(about, at=began(sessions) or self.clock())

    def _check_supported(self, message: Message, source: Link, link: Link) -> None:
        unsupported = {*source.dialect.policy.capabilities_unsupported, *link.dialect.policy.capabilities_unsupported}
        no_endpoint = link.registered and (message.module, message.side) not in link.dialect.endpoints
        if message.module in unsupported or no_endpoint:
            raise Declined(ChargingProfileResponseType.NOT_SUPPORTED, "no charging profiles there")

    async def _may_touch(self, session: Name, sender: Party | None, source: Link) -> bool:
        """Whether a session is the asker's, or of somebody whose charging it plans. One nobody told us may be."""
        said = await self.objects.read(session)
        if said is None or said.deleted:
            return True
        plans = any(seat.party == sender and seat.role is Role.SCSP for seat in source.dialect.theirs)
        return plans or its_own(self.codec.loads(said.canonical), sender, source)
