"""Commands to charge points: a driver's eMSP asks, the operator answers, and the charge point's word comes later.

    read      the body, canonical; facts of the place where a version doesn't say enough
    place     whose location or session it is: there the command goes, if nobody is addressed
    judge     the eMSP's own token, its own session, a place that it may see, a URL that is its own
    relay     with a URL of ours; what it stands for is durable before anything leaves
    answer    the operator's first word, translated; the second comes by ``callbacks``

What the operator would only have to refuse is refused here, in the words that commands have for it: NOT_SUPPORTED where
its version has no such command, REJECTED where the asker's version can't say what the operator must know. That is
``Declined``, and no error.

Spec: 2.2.1 ``mod_commands``; 2.1.1 ``mod_commands``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from attrs import evolve, field, frozen

from gateway.callbacks import UNANSWERED_S, Callbacks, Expected, count
from gateway.directory import Directory, Link
from gateway.exchange import Exchange, crossing, decided, hop
from gateway.lookup import Lookup
from gateway.model.commands import CommandResponseType
from gateway.model.document import Document
from gateway.model.errors import InvalidObject, NotDurable, ReceiverError, UnknownLocation
from gateway.model.facts import ABSENT, Loss, Translated, Withheld
from gateway.model.message import Answer, Message, Ref
from gateway.model.modules import Kind, Module
from gateway.model.names import Name, Said, encode, fold
from gateway.model.party import Party
from gateway.model.values import moment
from gateway.ports import Codec, Objects
from gateway.references import COMMANDED_FOR, References, is_minted, minted
from gateway.routing import About, Forward, Target, route
from gateway.telemetry import declare_object

_RESERVATION_KEPT: Final = timedelta(days=7)
"""How long after its end a reservation may still be cancelled by its operator."""

_REFERENCE: Final = "authorization_reference"

_LONGEST: Final = timedelta(days=366)
_LONGEST_WAIT_S: Final = 24 * 3600

# What a command is about: the module of the object, and the field that names it.
_ABOUT: Final[Mapping[Kind, tuple[Module, str]]] = {
    Kind.START_SESSION: (Module.LOCATIONS, "location_id"),
    Kind.RESERVE_NOW: (Module.LOCATIONS, "location_id"),
    Kind.UNLOCK_CONNECTOR: (Module.LOCATIONS, "location_id"),
    Kind.STOP_SESSION: (Module.SESSIONS, "session_id"),
}


class Declined(Exception):
    """The gateway answers itself, in the words that the request's answer has.

    Attributes:
        result: a CommandResponseType (ChargingProfileResponseType).
        reason: what a person reads.
    """

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result = result
        self.reason = reason


@frozen(kw_only=True)
class Commands:
    """Passes commands on, and their first answers back."""

    exchange: Exchange
    lookup: Lookup
    callbacks: Callbacks
    references: References
    objects: Objects
    codec: Codec
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    async def ask(self, message: Message, source: Link, directory: Directory) -> Answer:
        """The operator's first answer to a command, in the asker's wire form.

        Raises:
            InvalidObject: the body isn't valid, carries somebody else's token, or a URL that isn't the asker's.
            UnknownLocation: the location isn't known, isn't the addressed operator's, or isn't shown to the asker; or
                nobody is addressed, and several could be meant.
            NotDurable: the store is away, and the result couldn't be brought back.
            RoutingError, ReceiverError: the operator's answer couldn't be had.
        """
        body = message.body
        if body is None:
            raise InvalidObject("$", "a body is required")
        message = message.evolve(ref=Ref(owner=message.sender))  # a command is its sender's, and carries its token
        try:
            return await self._relayed(message, body, source, directory)
        except Declined as declined:
            count("none", str(message.action), declined.result)
            said = {"result": declined.result, "timeout": 0, "message": [{"language": "en", "text": declined.reason}]}
            down = await self._down(Kind.COMMAND_RESPONSE, said, message, source, directory)
            return Answer(status=1000, data=Document(Kind.COMMAND_RESPONSE, down.data))

    async def _relayed(self, message: Message, body: Document, source: Link, directory: Directory) -> Answer:
        read = await self._read(message, body, source, directory)
        target = await self._target(message, body.kind, read.data, source, directory)
        if target.party != message.receiver:
            message = message.evolve(receiver=target.party)
            read = await self._read(message, body, source, directory)
        link, command = directory[target.link], read.data
        declare_object(Module.TOKENS, command.get("token", {}))
        self._check_supported(message, source, link)
        self.callbacks.check_url(command["response_url"], source, "$.response_url")
        _check_token(command, message, source)
        await self._check_about(body.kind, command, message, source)

        id, url = self.callbacks.new_url(link)
        sent = {**command, "response_url": url, **_made_up_reference(command, source, link)}
        question = await self._question(message, body.kind, sent, read, link, directory)
        await self._promise(command, message)
        expected = self._expected(message, command, source, link)
        answer = await self.callbacks.ask(id, expected, question, source, link)
        if not answer.good:
            count(link.id, expected.command, "error")
            return answer.evolve(data=ABSENT)
        said, losses = await self._first_word(answer, question, link, directory)
        if said["result"] == CommandResponseType.ACCEPTED:
            await self._accepted(command, message, source)
        await self.callbacks.answered(id, expected, said["result"], patience(said["timeout"], link))
        if body.kind is Kind.RESERVE_NOW and said["result"] == CommandResponseType.ACCEPTED:
            await self._reserved(command, message, expected)
        down = await self._down(Kind.COMMAND_RESPONSE, said, message, source, directory)
        document = Document(Kind.COMMAND_RESPONSE, down.data)
        return answer.evolve(data=document, losses=(*losses, *down.losses), http=200)

    # Reading and writing ----------------------------------------------------------------------------------------------

    async def _read(self, message: Message, body: Document, source: Link, directory: Directory) -> Translated:
        adapter = self.exchange.adapter(source)
        try:
            up, _ = await self.lookup.through(
                lambda c: adapter.up(body.kind, body.data, c), crossing(message, source), directory
            )
        except Withheld as withheld:
            raise Declined(CommandResponseType.REJECTED, withheld.reason) from None
        return up

    async def _question(
        self, message: Message, kind: Kind, command: Any, read: Translated, link: Link, directory: Directory
    ) -> Message:
        try:
            down = await self._down(kind, command, message, link, directory)
        except Withheld as withheld:
            raise Declined(CommandResponseType.NOT_SUPPORTED, withheld.reason) from None
        made_up = is_minted(command.get(_REFERENCE))  # that there is no room for what we made up is no loss
        written = (loss for loss in down.losses if not (made_up and loss.pointer == f"/{_REFERENCE}"))
        losses = (*read.losses, *written)
        return message.evolve(body=Document(kind, down.data), losses=losses, trace=hop(message.trace))

    async def _down(self, kind: Kind, data: Any, message: Message, link: Link, directory: Directory) -> Translated:
        adapter = self.exchange.adapter(link)
        down, _ = await self.lookup.through(
            lambda c: adapter.down(kind, data, c), crossing(message, link), directory, link=link.id
        )
        return down

    async def _first_word(
        self, answer: Answer, question: Message, link: Link, directory: Directory
    ) -> tuple[dict[str, Any], tuple[Loss, ...]]:
        """The operator's CommandResponse, canonical. A version that doesn't tell how long to wait has the link's time.

        Raises:
            ReceiverError: it is none.
        """
        if not isinstance(answer.data, Document):
            raise ReceiverError("the command was answered without a CommandResponse")
        wire, adapter = answer.data.data, self.exchange.adapter(link)
        try:
            up, _ = await self.lookup.through(
                lambda c: adapter.up(Kind.COMMAND_RESPONSE, wire, c), crossing(question, link), directory
            )
        except InvalidObject as error:
            raise ReceiverError(f"the answer to the command isn't valid: {error.message}") from None
        told = isinstance(wire, dict) and wire.get("timeout") is not None
        timeout = up.data["timeout"] if told else round(link.commands_timeout)
        return {**up.data, "timeout": timeout}, up.losses

    # Where it goes ----------------------------------------------------------------------------------------------------

    async def _target(self, message: Message, kind: Kind, command: Any, source: Link, directory: Directory) -> Target:
        announced, about = await self._meant(message, kind, command, source, directory)
        plan = decided(route(message, source, directory, announced, about))
        if not isinstance(plan, Forward):
            raise Declined(CommandResponseType.NOT_SUPPORTED, "commands are not taken here")
        return plan.target

    async def _meant(
        self, message: Message, kind: Kind, command: Any, source: Link, directory: Directory
    ) -> tuple[str | None, About]:
        """Whose location, session or reservation it is, where the request doesn't say whom it is for; and since when.

        Where one link takes over from another, a session is stopped on the one that it began on.
        """
        addressed = message.receiver is not None and (
            source.backend or self.exchange.adapter(source).sends_routing_headers
        )
        if kind is Kind.CANCEL_RESERVATION:
            key = _holder_key(message.sender, command["reservation_id"])
            holder = await self.objects.recall(key)
            if holder is None:
                return None, About(at=self.clock())
            party, made = _held_by(holder)
            return None, About(party=None if addressed else party, at=made)
        module, named = _ABOUT[kind]
        said = await self.lookup.everywhere(module, command[named], source.id)
        found = {name: self.codec.loads(each.canonical) for name, each in said.items()}
        if module is Module.SESSIONS:
            found = {name: each for name, each in found.items() if its_own(each, message.sender, source)}
        else:
            found = {name: each for name, each in found.items() if source.shows(module, each)}
        if addressed:
            found = {name: each for name, each in found.items() if name.owner == message.receiver}
        announced, about = whose({name: said[name] for name in found}, source, directory)
        return announced, evolve(about, at=began(found.values()) or self.clock())

    def _check_supported(self, message: Message, source: Link, link: Link) -> None:
        unsupported = {*source.dialect.policy.capabilities_unsupported, *link.dialect.policy.capabilities_unsupported}
        no_endpoint = link.registered and (message.module, message.side) not in link.dialect.endpoints
        if message.action in unsupported or no_endpoint:
            raise Declined(CommandResponseType.NOT_SUPPORTED, "this operator doesn't support the command")

    # What it may ------------------------------------------------------------------------------------------------------

    async def _check_about(self, kind: Kind, command: Any, message: Message, source: Link) -> None:
        """That the place is the operator's and shown to the asker, and the session or reservation the asker's own."""
        assert message.receiver is not None  # the router has decided
        if kind is Kind.CANCEL_RESERVATION:
            await self._check_reservation(command["reservation_id"], message.receiver, message.sender)
            return
        module, named = _ABOUT[kind]
        name = Name(module, message.receiver, command[named])
        said = await self.objects.read(name, source.id)
        known = self.codec.loads(said.canonical) if said is not None and not said.deleted else None
        if module is Module.SESSIONS:
            if known is not None and not its_own(known, message.sender, source):
                raise Declined(CommandResponseType.UNKNOWN_SESSION, "no such session of yours")
            return
        await self._check_location(name, known, command, source)

    async def _check_location(self, name: Name, location: Any, command: Any, source: Link) -> None:
        # Nobody here can say what a partner has that it never pushed, nor what a core has that told us no location.
        told = not source.backend and bool(await self.objects.names(name.owner, name.module, limit=1))
        if not source.shows(name.module, location or {"id": name.id}) or (told and location is None):
            raise UnknownLocation("no such location")
        evse_uid, connector_id = command.get("evse_uid"), command.get("connector_id")
        if location is None or evse_uid is None:
            return
        evse = _piece(location.get("evses"), "uid", evse_uid)
        if evse is None:
            raise UnknownLocation("the location has no such EVSE")
        if connector_id is not None and _piece(evse["connectors"], "id", connector_id) is None:
            raise UnknownLocation("the EVSE has no such connector")

    async def _check_reservation(self, id: str, operator: Party, sender: Party | None) -> None:
        """That it isn't somebody else's. Two eMSPs may use the same id, so one that is the asker's own as well is."""
        own = await self.objects.recall(_holder_key(sender, id))
        if own is not None and _held_by(own)[0] == operator:
            return
        other = await self.objects.recall(_reserver_key(operator, id))
        if other is not None and other.decode() != str(sender):
            raise Declined(CommandResponseType.REJECTED, "no such reservation of yours")

    async def _reserved(self, command: Any, message: Message, expected: Expected) -> None:
        """Who holds a reservation, and at whom, for its cancellation."""
        left = max(1.0, expected.ends / 1000 - self.clock().timestamp())
        id, sender = command["reservation_id"], str(message.sender)
        holder = f"{message.receiver} {self.clock().isoformat()}"
        with suppress(NotDurable):  # it is made, and the asker must read that
            await self.objects.remember(_holder_key(message.sender, id), holder.encode(), left)
            await self.objects.remember(_reserver_key(message.receiver, id), sender.encode(), left)

    # What comes of it -------------------------------------------------------------------------------------------------

    async def _promise(self, command: Any, message: Message) -> None:
        """The driver may charge there: what the operator says of it later is told by this token, and its reference."""
        if command.get("token") is None or message.receiver is None:
            return
        now = self.clock()
        ends = _expiry(command, now)
        await self.references.given(
            message.receiver,
            command["token"],
            location_id=command["location_id"],
            evse_uid=command.get("evse_uid"),
            reference=command.get("authorization_reference"),
            now=now,
            until=(ends or now) + COMMANDED_FOR,
        )

    async def _accepted(self, command: Any, message: Message, source: Link) -> None:
        """The operator asks nobody about this token now: its eMSP has authorized it there."""
        if command.get("token") is None or message.receiver is None:
            return
        now = self.clock()
        with suppress(NotDurable):  # it is asked about, then
            await self.references.commanded(
                message.receiver,
                command["token"],
                link=source.id,
                location_id=command["location_id"],
                evse_uid=command.get("evse_uid"),
                now=now,
                ends=_expiry(command, now),
            )

    def _expected(self, message: Message, command: Any, source: Link, link: Link) -> Expected:
        now = self.clock()
        ends = _expiry(command, now)
        last = now + timedelta(seconds=UNANSWERED_S) if ends is None else ends + _RESERVATION_KEPT
        return Expected(
            asker=source.id,
            asker_party=str(message.sender),
            target=link.id,
            target_party=str(message.receiver),
            command=str(message.action),
            kind=Kind.COMMAND_RESULT,
            url=command["response_url"],
            correlation=message.trace.correlation_id,
            ends=int(last.timestamp() * 1000),
        )


def _made_up_reference(command: Mapping[str, Any], source: Link, link: Link) -> dict[str, str]:
    """The authorization reference of a token that has none, where one of the two sides is to have one."""
    wanted = any(each.dialect.policy.authorization_reference_mint for each in (source, link))
    return {_REFERENCE: minted()} if wanted and "token" in command and not command.get(_REFERENCE) else {}


def whose(found: Mapping[Name, Said], source: Link, directory: Directory) -> tuple[str | None, About]:
    """For the router, what follows from an object that was found under these names: the link it came by, its owner.

    A partner means one of us, a backend a partner's.
    """
    if not source.backend:
        ours = {name.owner: said.source for name, said in found.items() if source.our_party(name.owner)}
        return None, About(party=next(iter(ours))) if len(ours) == 1 else About(links=tuple(ours.values()))
    theirs = {name: said for name, said in found.items() if not _of_a_backend(said, directory)}
    if len(theirs) != 1:
        return None, About(links=tuple(said.source for said in theirs.values()))
    ((name, said),) = theirs.items()
    return said.source, About(party=name.owner)


def began(found: Iterable[Mapping[str, Any]]) -> datetime | None:
    """When the one session began that was found; None for anything else."""
    times = [each["start_date_time"] for each in found if "start_date_time" in each]
    return moment(times[0]) if len(times) == 1 else None


def _of_a_backend(said: Said, directory: Directory) -> bool:
    link = directory.find(said.source)
    return link is not None and link.backend


def its_own(session: Mapping[str, Any], sender: Party | None, source: Link) -> bool:
    """Whether a session is of a token of the party that asks, or of one for which the asking hub speaks."""
    token = session["cdr_token"]
    return _speaks_for(Party(token["country_code"], token["party_id"]), sender, source)


def _speaks_for(party: Party, sender: Party | None, source: Link) -> bool:
    return party == sender or (source.hub is not None and source.hub == sender and source.dialect.speaks_for(party))


def patience(seconds: int, link: Link) -> float:
    """How long the result is waited for: as long as the operator says, within a day; else the link's own time."""
    return min(seconds, _LONGEST_WAIT_S) if seconds > 0 else link.commands_timeout


def _check_token(command: Mapping[str, Any], message: Message, source: Link) -> None:
    """Spec: 2.2.1 ``mod_commands``, StartSession Object: an eMSP SHALL only use tokens that it owns."""
    token = command.get("token")
    if token is None or _speaks_for(Party(token["country_code"], token["party_id"]), message.sender, source):
        return
    raise InvalidObject("$.token.party_id", "an eMSP uses its own tokens only")


def _piece(pieces: Any, name: str, id: str) -> Mapping[str, Any] | None:
    return next((piece for piece in pieces or () if fold(piece[name]) == fold(id)), None)


def _expiry(command: Mapping[str, Any], now: datetime) -> datetime | None:
    """When a reservation ends, within a year; None for every other command."""
    date = command.get("expiry_date")
    return None if date is None else min(max(moment(date), now), now + _LONGEST)


def _holder_key(sender: Party | None, id: str) -> str:
    """Under which is remembered at whom an eMSP holds a reservation."""
    return f"reserved:{sender}:{encode(fold(id))}"


def _held_by(holder: bytes) -> tuple[Party, datetime]:
    """At whom a reservation is held, and since when: of two links it is cancelled on the one that it was made on."""
    party, _, made = holder.decode().partition(" ")
    return Party.parse(party), datetime.fromisoformat(made)


def _reserver_key(operator: Party | None, id: str) -> str:
    """Under which is remembered who holds a reservation of this id at an operator."""
    return f"reserver:{operator}:{encode(fold(id))}"
