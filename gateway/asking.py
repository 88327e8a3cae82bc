"""A question about a token: answered live by its eMSP, or by what its eMSP has told us to say without it.

The uid alone doesn't say whose token it is: whoever announced it is asked, under the type that its eMSP gave it; what
nobody announced is asked of the links that the configuration names, one after the other, within one budget. The answer
embeds the token in one version and not in the other, and the connectors that were asked about in the other.

A token that was announced may be decided here (``gateway.authorize``): before anybody is asked, or when no answer came.
What is known of it before that is its ``gateway.case``. Goes on without the store: only what would have been known of
the token is missing then, and what memory has of it isn't.

What was decided and why is on the one line of the message (``allowed``, ``decision``, ``offline``) and in
``ocpi_gateway_authorizations``.

Spec: 2.2.1 ``mod_tokens`` 12.2.1.2, 2.1.1 ``mod_tokens`` 2.2.2.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog
from attrs import evolve, frozen

from gateway.announced import LOOK_S
from gateway.authorize import Decision, Ground
from gateway.case import Case, Cases, owner_of
from gateway.directory import Directory, Link
from gateway.exchange import Exchange, crossing, decided, hop
from gateway.lookup import Lookup
from gateway.model.document import Document
from gateway.model.errors import InvalidObject, NotConnected, NotDurable, ReceiverError, ReceiverTimeout, UnknownToken
from gateway.model.facts import ABSENT, Asked, Loss, Translated
from gateway.model.message import Answer, Message
from gateway.model.modules import Kind, Module
from gateway.model.names import Moved, Name, fold
from gateway.model.party import Party
from gateway.model.tokens import AllowedType
from gateway.model.values import moment
from gateway.ports import Codec, Objects, Way
from gateway.references import References, is_minted, minted
from gateway.routing import Ask, Forward, Open, Plan, Target
from gateway.telemetry import DECISIONS, declare

_LEAST_S: Final = 0.05
"""Seconds that an eMSP has at least, however long it took to find out who it is."""

_LONG_AGO: Final = "1970-01-01T00:00:00Z"

_NO_ANSWER: Final = (NotConnected, ReceiverTimeout, ReceiverError)

_REFERENCE: Final = "authorization_reference"


@frozen(kw_only=True)
class _Question:
    """One question on its way.

    Attributes:
        case: what is known of its token.
        source: the link that asks, and reads the answer.
        token: as its eMSP announced it, else what is known of it: uid and type.
        losses: what bringing the place into the canonical form lost.
        began: when it came, of ``time.monotonic``.
    """

    case: Case
    source: Link
    directory: Directory
    token: Mapping[str, Any]
    losses: tuple[Loss, ...]
    began: float

    @property
    def message(self) -> Message:
        return self.case.message

    @property
    def references(self) -> Any:
        return self.case.references

    def left(self, budget: float) -> float:
        """What is left of a budget in seconds, all that has happened since the question came being part of it."""
        return max(_LEAST_S, self.began + budget - time.monotonic())


@frozen(kw_only=True)
class Authorizations:
    """Passes the question on, and the answer back."""

    exchange: Exchange
    lookup: Lookup
    codec: Codec
    objects: Objects
    lately: References
    cases: Cases

    async def ask(self, message: Message, source: Link, directory: Directory) -> Answer:
        """The answer, in the asker's wire form.

        Raises:
            UnknownToken: nobody here knows it.
            NotDurable: open routing, and the store is away: who announced the token can't be told.
            NotConnected, ReceiverTimeout, ReceiverError: nobody could be asked, and nothing is known of the token.
        """
        try:
            question = await self._question(message, source, directory, time.monotonic())
            if (decision := question.case.at_once()) is not None:
                return await self._say(question, decision)
            try:
                answer = await self._put(question, decided(question.case.plan))
            except _NO_ANSWER as error:
                return await self._without(question, error)
        except UnknownToken:
            _told(source, "unknown", "nobody", Decision(None, Ground.UNKNOWN, "unknown token"))
            raise
        _told_by_emsp(source, answer)
        return answer

    async def _without(self, question: _Question, error: Exception) -> Answer:
        decision = question.case.unanswered()
        if decision.allowed is None:
            _told(question.source, "none", "nobody", decision)
            raise error
        return await self._say(question, decision)

    async def _question(self, message: Message, source: Link, directory: Directory, began: float) -> _Question:
        references: Any = None
        losses: tuple[Loss, ...] = ()
        if message.body is not None:
            adapter, wire = self.exchange.adapter(source), message.body.data
            up, _ = await self.lookup.through(
                lambda c: adapter.up(Kind.LOCATION_REFERENCES, wire, c), crossing(message, source), directory,
                without_store=True,
            )  # fmt: skip
            references, losses = up.data, up.losses
        case = await self.cases.of(message, references, source, directory)
        declare((case.token or {}).get("contract_id"))
        return _Question(
            case=case, source=source, directory=directory, losses=losses, began=began,
            token=case.token or {"uid": message.ref.id, "type": message.ref.type},
        )  # fmt: skip

    # Somebody else's answer -------------------------------------------------------------------------------------------

    async def _put(self, question: _Question, plan: Plan) -> Answer:
        match plan:
            case Forward(target):
                link = question.directory[target.link]
                return await self._put_to(question, target, link, question.left(link.authorize_timeout))
            case Ask(targets):
                return await self._ask_around(question, targets)
            case _:
                raise UnknownToken("nobody here knows this token")

    async def _ask_around(self, question: _Question, targets: Sequence[Target | Open]) -> Answer:
        """One after the other, within the longest budget of theirs; the first who knows the token answers."""
        links = [question.directory[target.link] for target in targets]
        budget = max(link.authorize_timeout for link in links)
        silent: Exception | None = None
        for place, (target, link) in enumerate(zip(targets, links, strict=True)):
            within = question.left(budget) / (len(links) - place)
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
        told = Asked(token=question.token, references=message.body.data if message.body else None)
        try:
            up, down = await self.exchange.across(
                Kind.AUTHORIZATION_INFO, answer.data.data, onward, link, source, directory,
                asked=Asked(token=question.token, references=question.references), told=told,
            )  # fmt: skip
        except InvalidObject as error:
            raise ReceiverError(f"the answer isn't valid: {error.message}") from None
        await self._keep(up.data, "token" in answer.data.data, target, link, question)
        if _lacks_reference(up.data, source, link):
            down = await self._down({**up.data, _REFERENCE: minted()}, question, onward)
        info = Document(Kind.AUTHORIZATION_INFO, down.data)
        sender = answered or owner_of(up.data["token"])
        return answer.evolve(data=info, losses=(*up.losses, *down.losses), http=200, sender=sender)

    async def _down(self, info: Any, question: _Question, message: Message) -> Translated:
        """An AuthorizationInfo in the asker's form. That a reference of our own making has no room there is no loss."""
        source, body = question.source, question.message.body
        told = Asked(token=question.token, references=body.data if body else None)
        adapter = self.exchange.adapter(source)
        down, _ = await self.lookup.through(
            lambda c: adapter.down(Kind.AUTHORIZATION_INFO, info, c), crossing(message, source, asked=told),
            question.directory, without_store=True,
        )  # fmt: skip
        if is_minted(info.get(_REFERENCE)):
            return evolve(down, losses=tuple(loss for loss in down.losses if loss.pointer != f"/{_REFERENCE}"))
        return down

    # What an answer tells ---------------------------------------------------------------------------------------------

    async def _keep(
        self, info: Mapping[str, Any], told: bool, target: Target | Open, link: Link, question: _Question
    ) -> None:
        """What the eMSP said belongs on the session, and into the cache.

        The asker waits, so this mustn't take long, nor need the store.

        Args:
            info: canonical.
            told: whether it was the eMSP itself that told the token in it.
        """
        if self.cases.announced.away:
            return
        with suppress(NotDurable, TimeoutError, Moved):
            async with asyncio.timeout(LOOK_S):
                if question.message.sender is not None:
                    await self.lately.authorized(question.message.sender, info, question.references)
                # What follows of a token that was found by asking around goes the way it came.
                if told or isinstance(target, Open):
                    # Of one that its eMSP didn't tell, whatever it says of it later is news.
                    token = info["token"] if told else {**info["token"], "last_updated": _LONG_AGO}
                    await self._learn(token, link, question)

    async def _learn(self, token: Mapping[str, Any], link: Link, question: _Question) -> None:
        """A token that nobody announced, or that is newer than what its eMSP announced; not another's than asked about.

        Raises:
            NotDurable, Moved: it can't be kept, or has just been said.
        """
        owner = owner_of(token)
        if owner is None or not link.dialect.speaks_for(owner) or fold(token["uid"]) != fold(question.token["uid"]):
            return
        name = Name(Module.TOKENS, owner, token["uid"], token["type"])
        if question.case.name == name and not _is_newer(token, question.case.token):
            return
        before = await self.objects.read(name)
        known = self.codec.loads(before.canonical) if before is not None and not before.deleted else None
        if before is not None and known is not None and (before.source != link.id or not _is_newer(token, known)):
            return
        value, sequence = self.codec.dumps(token), before.sequence if before is not None else 0
        await self.objects.say(name, value, value, self.exchange.newest, link.id, sequence, ())
        await self.objects.index_token(name, token["contract_id"], known["contract_id"] if known else None)
        self.cases.announced.retold(name.id)

    # Our own answer ---------------------------------------------------------------------------------------------------

    async def _say(self, question: _Question, decision: Decision) -> Answer:
        """What was decided here, in the asker's wire form."""
        info: dict[str, Any] = {"allowed": decision.allowed, "token": dict(question.token)}
        if decision.allowed is AllowedType.ALLOWED and question.references is not None:
            info["location"] = question.case.allowed_at(decision)
        if _lacks_reference(info, question.source, question.case.link):
            info[_REFERENCE] = minted()
        down = await self._down(info, question, question.message)
        by = "command" if decision.ground is Ground.COMMANDED else "cache"
        _told(question.source, str(decision.allowed), by, decision)
        return Answer(status=1000, data=Document(Kind.AUTHORIZATION_INFO, down.data), losses=down.losses)


def _lacks_reference(info: Mapping[str, Any], source: Link, link: Link | None) -> bool:
    """Whether the eMSP lets the driver charge, gives that no name, and one of the two sides is to have one."""
    wanted = [each for each in (source, link) if each and each.dialect.policy.authorization_reference_mint]
    return bool(wanted) and info["allowed"] == AllowedType.ALLOWED and not info.get(_REFERENCE)


def _is_newer(token: Mapping[str, Any], known: Mapping[str, Any] | None) -> bool:
    return known is None or moment(token["last_updated"]) > moment(known["last_updated"])


def _answerer(answer: Answer, link: Link) -> Party | None:
    """Who behind a hub has answered a question that was for nobody in particular, as far as the answer says so."""
    sender = answer.sender
    return sender if sender is not None and sender != link.hub and link.dialect.speaks_for(sender) else None


def _told_by_emsp(source: Link, answer: Answer) -> None:
    if isinstance(answer.data, Document):
        allowed = answer.data.data.get("allowed")
        word = allowed if allowed in frozenset(AllowedType) else "other"  # the word may be a stranger's
        _told(source, word, "emsp", Decision(None, Ground.ASKED, "its eMSP says so"))
    elif answer.status == UnknownToken.status or answer.http == UnknownToken.http:
        _told(source, "unknown", "emsp", Decision(None, Ground.UNKNOWN, "its eMSP doesn't know the token"))
    else:
        _told(source, "none", "emsp", Decision(None, Ground.REFUSED, f"its eMSP answers {answer.status}"))


def _told(source: Link, allowed: str, by: str, decision: Decision) -> None:
    """What was decided and why: on the message's line, and counted."""
    structlog.contextvars.bind_contextvars(allowed=allowed, decision=decision.reason, offline=decision.offline)
    DECISIONS.labels(source.id, allowed, by, decision.ground).inc()
