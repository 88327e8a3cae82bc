"""A question about a token: answered live by its eMSP, or by what its eMSP has told us to say without it.

The uid alone doesn't say whose token it is: whoever announced it is asked, under the type that its eMSP gave it; what
nobody announced is asked of the links that the configuration names, one after the other, within one budget. The answer
embeds the token in one version and not in the other, and the connectors that were asked about in the other.

A token that was announced may be decided here (``gateway.authorize``): before anybody is asked, or when no answer came.
Goes on without the store: only what would have been known of the token is missing then.

Spec: 2.2.1 ``mod_tokens`` 12.2.1.2, 2.1.1 ``mod_tokens`` 2.2.2.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from attrs import evolve, frozen

from gateway.authorize import Cached, Decision, at_once, unanswered
from gateway.directory import Directory, Link
from gateway.exchange import Exchange, crossing, decided, hop
from gateway.lookup import Lookup
from gateway.model.document import Document
from gateway.model.errors import NotConnected, NotDurable, ReceiverError, ReceiverTimeout, UnknownToken
from gateway.model.facts import ABSENT, Asked, Loss
from gateway.model.message import Answer, Message
from gateway.model.modules import Kind, Module
from gateway.model.names import Moved, Name, Said
from gateway.model.party import Party
from gateway.model.tokens import AllowedType
from gateway.ports import Codec, Objects, Way
from gateway.references import References
from gateway.routing import About, Ask, Forward, Open, Plan, Refuse, Target, route
from gateway.telemetry import DECISIONS, declare

log = structlog.get_logger()

_LOOK_S: Final = 0.5
"""Seconds that an authorization waits for the store to say what is known of the token: its budget is the eMSP's."""

_LONG_AGO: Final = "1970-01-01T00:00:00Z"

_NO_ANSWER: Final = (NotConnected, ReceiverTimeout, ReceiverError)


@frozen(kw_only=True)
class _Question:
    """One question on its way.

    Attributes:
        source: the link that asks, and reads the answer.
        references: where, in the canonical form; None where it names no place.
        token: as its eMSP announced it, else what is known of it: uid and type.
        cached: what may be said of it without its eMSP; None for a token that nobody announced.
        losses: what bringing the place into the canonical form lost.
    """

    message: Message
    source: Link
    directory: Directory
    references: Any
    token: Mapping[str, Any]
    cached: Cached | None
    losses: tuple[Loss, ...] = ()


@frozen(kw_only=True)
class Authorizations:
    """Passes the question on, and the answer back."""

    exchange: Exchange
    lookup: Lookup
    codec: Codec
    objects: Objects
    lately: References

    async def ask(self, message: Message, source: Link, directory: Directory) -> Answer:
        """The answer, in the asker's wire form.

        Raises:
            UnknownToken: nobody here knows it.
            NotDurable: open routing, and the store is away: who announced the token can't be told.
            NotConnected, ReceiverTimeout, ReceiverError: nobody could be asked, and nothing is known of the token.
        """
        known = await self._known(message)
        announced = known.source if known is not None and known.source in directory else None
        token = self.codec.loads(known.canonical) if known is not None else None
        about = About(party=_party(token or {}), token=message.ref.id, at=datetime.now(UTC))
        plan = route(message, source, directory, announced, about)
        if isinstance(plan, Refuse) and not isinstance(plan.error, NotConnected):
            raise plan.error
        question = await self._question(message, source, directory, known, token, plan)
        link = _asked_link(plan, directory, announced)
        if link is not None and (decision := at_once(question.cached, link.stance)) is not None:
            return await self._say(question, decision)
        try:
            answer = await self._put(question, decided(plan))
        except _NO_ANSWER as error:
            return await self._without(question, link, error)
        _told(source, answer, by="emsp")
        return answer

    async def _without(self, question: _Question, link: Link | None, error: Exception) -> Answer:
        if link is None:
            raise error
        decision = unanswered(question.cached, link.stance)
        if decision.allowed is None:
            DECISIONS.labels(question.source.id, "none", "nobody").inc()
            raise error
        return await self._say(question, decision)

    async def _question(
        self, message: Message, source: Link, directory: Directory, known: Said | None, token: Any, plan: Plan
    ) -> _Question:
        party = plan.target.party if isinstance(plan, Forward) else None
        if token is not None and party is not None and _party(token) != party:
            token = None  # another eMSP's card with the same uid
        references: Any = None
        losses: tuple[Loss, ...] = ()
        if message.body is not None:
            adapter, wire = self.exchange.adapter(source), message.body.data
            up, _ = await self.lookup.through(
                lambda c: adapter.up(Kind.LOCATION_REFERENCES, wire, c), crossing(message, source), directory,
                without_store=True,
            )  # fmt: skip
            references, losses = up.data, up.losses
        cached = await self._cached(known, token) if known is not None and token is not None else None
        declare((token or {}).get("contract_id"))
        return _Question(
            message=message, source=source, directory=directory, references=references, losses=losses, cached=cached,
            token=token or {"uid": message.ref.id, "type": message.ref.type},
        )  # fmt: skip

    async def _cached(self, known: Said, token: Mapping[str, Any]) -> Cached | None:
        try:
            age = await self.lookup.tokens_age(known.source)
        except NotDurable:
            return None
        return Cached(whitelist=str(token.get("whitelist")), valid=token.get("valid") is True, age=age)

    # Somebody else's answer -------------------------------------------------------------------------------------------

    async def _put(self, question: _Question, plan: Plan) -> Answer:
        match plan:
            case Forward(target):
                link = question.directory[target.link]
                return await self._put_to(question, target, link, link.authorize_timeout)
            case Ask(targets):
                return await self._ask_around(question, targets)
            case _:
                raise UnknownToken("nobody here knows this token")

    async def _ask_around(self, question: _Question, targets: Sequence[Target | Open]) -> Answer:
        """One after the other, within the longest budget of theirs; the first who knows the token answers."""
        links = [question.directory[target.link] for target in targets]
        ends = time.monotonic() + max(link.authorize_timeout for link in links)
        silent: Exception | None = None
        for place, (target, link) in enumerate(zip(targets, links, strict=True)):
            within = (ends - time.monotonic()) / (len(links) - place)
            try:
                answer = await self._put_to(question, target, link, within)
            except _NO_ANSWER as error:
                silent = error
                continue
            if answer.status != UnknownToken.status:
                return answer
        if silent is not None:
            raise silent
        raise UnknownToken("nobody who was asked knows this token")

    async def _put_to(self, question: _Question, target: Target | Open, link: Link, within: float) -> Answer:
        """The question to one link.

        Raises:
            NotConnected, ReceiverTimeout, ReceiverError: no answer, or one that says that there is none (3xxx, 4xxx).
        """
        message, source, directory = question.message, question.source, question.directory
        onward = message.evolve(
            receiver=target.party,
            ref=evolve(message.ref, owner=target.party, type=question.token["type"], id=question.token["uid"]),
            trace=hop(message.trace),
            body=None,
        )
        if question.references is not None:
            adapter = self.exchange.adapter(link)
            down, _ = await self.lookup.through(
                lambda c: adapter.down(Kind.LOCATION_REFERENCES, question.references, c), crossing(message, link),
                directory, without_store=True,
            )  # fmt: skip
            body = Document(Kind.LOCATION_REFERENCES, down.data)
            onward = onward.evolve(body=body, losses=(*question.losses, *down.losses))
        answer = await self.exchange.ask(onward, source, link, within=within, way=Way.ASKING)
        if answer.status >= 3000:  # status_codes: errors of a server, and of hubs
            raise ReceiverError(answer.text or f"{link.id} answers {answer.status}", status=answer.status)
        if not answer.good:
            return answer.evolve(data=ABSENT)
        if not isinstance(answer.data, Document):
            raise ReceiverError("the authorization was answered without an AuthorizationInfo")
        answered = target.party or _answerer(answer, link)
        # The version may not say whose token it is: then it is whoever answered's, of a hub that doesn't tell its own.
        onward = onward.evolve(ref=evolve(onward.ref, owner=answered or link.hub))
        up, down = await self.exchange.across(
            Kind.AUTHORIZATION_INFO, answer.data.data, onward, link, source, directory,
            asked=Asked(token=question.token, references=question.references),
            told=Asked(token=question.token, references=message.body.data if message.body else None),
        )  # fmt: skip
        await self._remember(up.data, question)
        token = up.data["token"]
        if isinstance(target, Open):
            # Of a token that its eMSP didn't tell, whatever it says of it later is news.
            await self._learn(token if "token" in answer.data.data else {**token, "last_updated": _LONG_AGO}, link)
        info = Document(Kind.AUTHORIZATION_INFO, down.data)
        return answer.evolve(data=info, losses=(*up.losses, *down.losses), http=200, sender=answered or _party(token))

    async def _learn(self, token: Mapping[str, Any], link: Link) -> None:
        """A token that nobody announced, and now its eMSP: what follows of it goes the way it came."""
        owner = _party(token)
        if owner is None or not link.dialect.speaks_for(owner):
            return
        name = Name(Module.TOKENS, owner, token["uid"], token["type"])
        value = self.codec.dumps(token)
        with suppress(NotDurable, TimeoutError, Moved):
            async with asyncio.timeout(_LOOK_S):
                await self.objects.say(name, value, value, self.exchange.newest, link.id, 0, ())
                await self.objects.index_token(name, token["contract_id"])

    async def _remember(self, info: Mapping[str, Any], question: _Question) -> None:
        """What the eMSP said belongs on the session. The asker waits, so this mustn't take long, nor need the store."""
        if question.message.sender is None:
            return
        with suppress(NotDurable, TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                await self.lately.authorized(question.message.sender, info, question.references)

    # Our own answer ---------------------------------------------------------------------------------------------------

    async def _say(self, question: _Question, decision: Decision) -> Answer:
        """What was decided here, in the asker's wire form."""
        message, source = question.message, question.source
        info: dict[str, Any] = {"allowed": decision.allowed, "token": dict(question.token)}
        if decision.allowed is AllowedType.ALLOWED and question.references is not None:
            info["location"] = question.references
        adapter = self.exchange.adapter(source)
        told = Asked(token=question.token, references=message.body.data if message.body else None)
        down, _ = await self.lookup.through(
            lambda c: adapter.down(Kind.AUTHORIZATION_INFO, info, c), crossing(message, source, asked=told),
            question.directory, without_store=True,
        )  # fmt: skip
        answer = Answer(status=1000, data=Document(Kind.AUTHORIZATION_INFO, down.data), losses=down.losses)
        log.info("authorization.decided", partner=source.id, allowed=decision.allowed, reason=decision.reason)
        _told(source, answer, by="cache")
        return answer

    async def _known(self, message: Message) -> Said | None:
        try:
            async with asyncio.timeout(_LOOK_S):
                return await self.lookup.token(message.ref.id, message.ref.type, message.receiver)
        except (NotDurable, TimeoutError) as error:
            # Without the store an addressed question can still be asked; who announced the token can't be told.
            if message.receiver is None:
                raise NotDurable("who announced this token can't be looked up just now") from error
            return None


def _asked_link(plan: Plan, directory: Directory, announced: str | None) -> Link | None:
    """The link of the one party that is asked, or would be if it were connected; None where several are."""
    if isinstance(plan, Forward):
        return directory[plan.target.link]
    return directory.find(announced) if announced else None


def _answerer(answer: Answer, link: Link) -> Party | None:
    """Who behind a hub has answered a question that was for nobody in particular, as far as the answer says so."""
    sender = answer.sender
    return sender if sender is not None and sender != link.hub and link.dialect.speaks_for(sender) else None


def _told(source: Link, answer: Answer, *, by: str) -> None:
    allowed = answer.data.data.get("allowed") if isinstance(answer.data, Document) else str(answer.status)
    DECISIONS.labels(source.id, str(allowed), by).inc()


def _party(token: Mapping[str, Any]) -> Party | None:
    try:
        return Party.of(token["country_code"], token["party_id"])
    except (KeyError, ValueError):
        return None
