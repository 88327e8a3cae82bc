"""What is known of a token before anybody is asked about it: whose it is, who would be asked, what may be said without.

An authorization names a uid and perhaps a type, which doesn't say whose token it is. ``Cases.of`` finds that out, from
what eMSPs announced, from what they sent along with a command lately, and from the router; nothing is sent. The gateway
then answers at once, or asks (``gateway.asking``); ``ocpi-gateway tokens authorize`` shows the case to a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from attrs import field, frozen

from gateway.announced import LOOK_S, Announced
from gateway.authorize import Cached, Commanded, Decision, Ground, at_once, commanded, unanswered
from gateway.directory import Directory, Link
from gateway.model.errors import NotConnected, NotDurable
from gateway.model.message import Message
from gateway.model.names import Name, Said, fold
from gateway.model.party import Party
from gateway.model.tokens import TokenType
from gateway.model.values import moment
from gateway.ports import Codec
from gateway.references import Command, References
from gateway.routing import About, Forward, Plan, Refuse, route

_NOBODY: Final = Decision(None, Ground.NOT_CACHED, "no answer, and several were asked")


@frozen(kw_only=True)
class Case:
    """One question about a token, before anybody is asked.

    Attributes:
        message: the question.
        references: where, the LocationReferences in canonical form; None where it names no place.
        token: as its eMSP announced it, else as it came with a command; None for one that nobody here knows.
        name: what the token is called, with its owner; None as above.
        cached: what may be said of it without its eMSP; None for a token that nobody announced.
        command: what its eMSP commanded lately at the operator that asks, if that counts.
        plan: who is asked, or why nobody.
        link: the one link that is asked, or would be if it were connected; None where several are, or none.
    """

    message: Message
    references: Mapping[str, Any] | None
    token: Mapping[str, Any] | None
    name: Name | None
    cached: Cached | None
    command: Commanded | None
    plan: Plan
    link: Link | None

    def at_once(self) -> Decision | None:
        """What is decided without asking anybody; None: somebody is asked."""
        decision = commanded(self.command, self.references)
        if decision is None and self.link is not None:
            decision = at_once(self.cached, self.link.stance)
        return decision

    def allowed_at(self, decision: Decision) -> Mapping[str, Any] | None:
        """Where charging is allowed by this decision, as LocationReferences: of several EVSEs the one commanded."""
        place, command = self.references, self.command
        if decision.ground is not Ground.COMMANDED or not (place and place.get("evse_uids")):
            return place
        if command is None or command.evse_uid is None:
            return place
        meant = fold(command.evse_uid)
        return {**place, "evse_uids": [uid for uid in place["evse_uids"] if fold(uid) == meant]}

    def unanswered(self) -> Decision:
        """What is decided when no answer comes."""
        return _NOBODY if self.link is None else unanswered(self.cached, self.link.stance)


@frozen(kw_only=True)
class Cases:
    """Finds out what is known. Goes on without the store as far as memory lets it."""

    announced: Announced
    lately: References
    codec: Codec
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    async def of(
        self, message: Message, references: Mapping[str, Any] | None, source: Link, directory: Directory
    ) -> Case:
        """The case of one question.

        Args:
            message: opened.
            references: the LocationReferences that it names, canonical.

        Raises:
            UnknownToken, UnknownReceiver, NotFound: the router's refusal. One that says "not connected" is no reason
                to stop, and stays in the plan.
            NotDurable: open routing, and the store is away: who announced the token can't be told.
        """
        known, command = await asyncio.gather(self._known(message), self._command(message, references))
        if known is None and command is None and message.receiver is None:
            raise NotDurable("who announced this token can't be looked up just now")
        owner = message.receiver or (owner_of(command.token) if command else None)
        type = command.token["type"] if command else message.ref.type
        name, said = _chosen(known or (), owner, type)
        token = self.codec.loads(said.canonical) if said is not None else command.token if command else None
        if command is not None and said is not None and _blocked_since(token, said, command):
            command = None
        announced = said.source if said is not None else command.link if command else None
        announced = announced if announced is not None and announced in directory else None
        about = About(party=owner_of(token), token=message.ref.id, at=self.clock())
        plan = route(message, source, directory, announced, about)
        if isinstance(plan, Refuse) and not isinstance(plan.error, NotConnected):
            raise plan.error
        if isinstance(plan, Forward) and token is not None and owner_of(token) != plan.target.party:
            token = name = said = command = None  # another eMSP's card with the same uid
        return Case(
            message=message,
            references=references,
            token=token,
            name=name,
            cached=await self._cached(said, token),
            command=self._commanded(command),
            plan=plan,
            link=_asked_link(plan, directory, announced),
        )

    async def _known(self, message: Message) -> Sequence[tuple[Name, Said]] | None:
        """The tokens of that uid; None where that can't be told."""
        with suppress(NotDurable):
            return await self.announced.tokens(message.ref.id) if message.ref.id else ()
        return None

    async def _command(self, message: Message, references: Mapping[str, Any] | None) -> Command | None:
        """What was commanded lately at the operator that asks, as far as it is for the token that is asked about."""
        if message.sender is None or self.announced.away:
            return None
        place = references["location_id"] if references else None
        command = None
        with suppress(NotDurable, TimeoutError):
            async with asyncio.timeout(LOOK_S):
                command = await self.lately.last_command(message.sender, message.ref.id, place, self.clock())
        if command is None or message.receiver not in (None, owner_of(command.token)):
            return None
        # 2.1.1 says OTHER for what exists in an app only.
        return command if message.ref.type in (None, TokenType.OTHER, command.token["type"]) else None

    async def _cached(self, said: Said | None, token: Mapping[str, Any] | None) -> Cached | None:
        if said is None or token is None:
            return None
        said_at = datetime.fromtimestamp(said.at / 1000, tz=UTC)
        return Cached(
            whitelist=str(token.get("whitelist")),
            valid=token.get("valid") is True,
            age=min(await self.announced.age(said.source), self.clock() - said_at),
        )

    def _commanded(self, command: Command | None) -> Commanded | None:
        return None if command is None else Commanded(age=self.clock() - command.at, evse_uid=command.evse_uid)


def _chosen(
    known: Sequence[tuple[Name, Said]], owner: Party | None, type: str | None
) -> tuple[Name | None, Said | None]:
    """The token that is meant: of this owner, where one is named, since cards of two eMSPs may have the same uid.

    2.1.1 says OTHER for what its eMSP calls APP_USER: of the exact type, if there is one, else of any.
    """
    fitting = [each for each in known if owner is None or each[0].owner == owner]
    exact = (each for each in fitting if each[0].type == type)
    return next(exact, None) or next(iter(fitting), (None, None))


def _blocked_since(token: Any, said: Said, command: Command) -> bool:
    """Whether its eMSP has said, since it sent the command, that the token isn't valid."""
    if token.get("valid") is True:
        return False
    later = moment(token["last_updated"]) > moment(command.token["last_updated"])
    return later or said.at >= command.at.timestamp() * 1000


def _asked_link(plan: Plan, directory: Directory, announced: str | None) -> Link | None:
    """The link of the one party that is asked, or would be if it were connected; None where several are."""
    if isinstance(plan, Forward):
        return directory[plan.target.link]
    return directory.find(announced) if announced else None


def owner_of(token: Mapping[str, Any] | None) -> Party | None:
    """Whose token it is; None where it doesn't say."""
    try:
        return None if token is None else Party.of(token["country_code"], token["party_id"])
    except (KeyError, ValueError):
        return None
