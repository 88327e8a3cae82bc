"""One exchange with another platform: a request in its version and its answer, and bodies carried across.

Everything live ends here: pushes of partners, authorizations, commands, charging profiles, reads that their owner
answers; and what is owed is brought by the same hand. What they have in common is what one hop is: a fresh request id,
the receiver's version, a deadline, a breaker that spares those who wait for what isn't there (``gateway.breaker``), one
line that tells of it, and an answer of which only what is ours to pass on is passed on.

Spec: 2.2.1 ``transport_and_format`` (Unique message IDs), ``status_codes``.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from attrs import evolve, field, frozen

from gateway.breaker import AUTHORIZATIONS, BACKEND_S, BILATERAL_S, HUB_S, Breakers, Call, CircuitOpen
from gateway.directory import Directory, Link
from gateway.lookup import Lookup
from gateway.model.errors import GatewayError, NotAdmitted, NotConnected, ReceiverError
from gateway.model.facts import Asked, Crossing, Facts, Translated
from gateway.model.message import Answer, HttpAnswer, HttpRequest, Message, Trace
from gateway.model.modules import Kind
from gateway.model.policy import BackOff
from gateway.model.urls import split
from gateway.ports import Adapter, Incoming, Way, Wire
from gateway.routing import Plan, Refuse
from gateway.telemetry import Crossed, crossed

LIVE_S: Final = 10.0
"""Seconds that a live exchange may take, from the sender's request to its answer."""

LONGEST_WAIT_S: Final = 900.0
"""Seconds that a ``Retry-After`` is honoured for at most."""

_MOST_PAGES: Final = 10_000

# What the request itself is to blame for. Not 401, 403, 404, 408 and 429: these pass, or aren't about the object.
_REJECTED: Final = frozenset({400, 405, 406, 409, 410, 411, 413, 414, 415, 422})

_BUSY: Final = frozenset({429, 503})


@frozen
class Attempt:
    """How a request to a link ended: its answer, or why there is none.

    Attributes:
        http: the HTTP status that came, if one came.
        wait: seconds that they want us to wait, where they say so (``Retry-After``).
    """

    answer: Answer | None
    error: GatewayError | None = None
    http: int | None = None
    wait: float | None = None

    @property
    def good(self) -> bool:
        return self.answer is not None and self.answer.good

    @property
    def refused(self) -> bool:
        """The receiver understood and said no (2xxx): the same again would get the same answer."""
        return self.answer is not None and 2000 <= self.answer.status <= 2999

    @property
    def rejected(self) -> bool:
        """Its framework said no before OCPI was reached: an object that it can't read stays one that it can't read."""
        return self.answer is None and self.http in _REJECTED

    @property
    def kept_back(self) -> bool:
        """Nothing was sent, because its breaker is open or it asked for a pause."""
        return isinstance(self.error, CircuitOpen)

    @property
    def turned_away(self) -> bool:
        """They don't know us, whatever was sent."""
        return isinstance(self.error, NotAdmitted)

    @property
    def changed_nothing(self) -> bool:
        """Whether the receiver certainly has what it had before."""
        return self.refused or isinstance(self.error, NotConnected)

    def not_stored(self, proxies: Collection[int]) -> bool:
        """Whether the receiver certainly didn't act upon it, so that sending it again can't do it twice.

        Args:
            proxies: HTTP statuses that a front proxy gives for a service that is dead.
        """
        return self.answer is not None or isinstance(self.error, NotConnected) or self.http in proxies

    @property
    def nobody_there(self) -> bool:
        """Whether nobody who speaks OCPI answered: no connection, no answer, HTTP 5xx, success without an envelope.

        A framework that says 4xx of its own is there, and refuses one request.
        """
        if self.http is None:
            return True
        return self.http >= 500 or self.http == 408 or (self.answer is None and self.http < 400)

    @property
    def reason(self) -> str:
        if self.answer is not None:
            return f"{self.answer.status}: {self.answer.text or 'no message'}"
        return self.error.message if self.error else "no answer"


@frozen(kw_only=True)
class Exchange:
    """Asks links, in their own version."""

    adapters: Mapping[str, Adapter]
    lookup: Lookup
    wire: Wire
    breakers: Breakers = field(factory=Breakers)

    @property
    def newest(self) -> str:
        """The newest version: its form is the canonical one."""
        return list(self.adapters)[-1]

    def adapter(self, link: Link) -> Adapter:
        """The adapter of the version that a link speaks."""
        return self.adapters[link.dialect.version]

    async def ask(
        self, message: Message, source: Link, link: Link, *, within: float = LIVE_S, way: Way = Way.PUSHING,
        url: str | None = None, page: str | None = None,
    ) -> Answer:  # fmt: skip
        """One request to a link and its answer, in wire form.

        Args:
            message: its body in the link's wire form.
            source: the link for which we ask; it is told of.
            within: seconds for everything.
            way: what it is for.
            url: where the other side wants this message, if not at the endpoint of its module (a ``response_url``).
            page: a further page of the list that the message asks for, by the link to it.

        Raises:
            NotConnected, ReceiverTimeout, ReceiverError: it couldn't be had.
        """
        if not link.registered:
            raise NotAdmitted(f"{link.id} is not registered")
        started = time.perf_counter()
        attempt = Attempt(None)
        try:
            attempt = await self.attempt(message, link, within=within, way=way, url=url, page=page)
        finally:
            told(message, source, link, attempt.answer, attempt.error, started)
        if attempt.answer is None:
            raise attempt.error or ReceiverError(attempt.reason)
        return passed_on(attempt.answer)

    async def attempt(
        self, message: Message, link: Link, *, within: float, way: Way = Way.PUSHING, url: str | None = None,
        page: str | None = None,
    ) -> Attempt:  # fmt: skip
        """One request to a link, and how it ended: arguments as of ``ask``, errors in what it returns."""
        adapter = self.adapter(link)
        try:
            if url is None:
                request = adapter.write_request(message, link.dialect)
            else:
                request = adapter.write_callback(message, url, link.dialect)
        except GatewayError as error:
            return Attempt(None, error)
        if url is not None:  # somewhere else than the module's endpoint: it says nothing about that
            return await self._sent(request, message, link, within, way, None)
        if page is not None:
            request = evolve(request, url=page)
        try:
            part = AUTHORIZATIONS if way is Way.ASKING else message.module
            with self.breakers.calling(link.id, part, longest=_patience(link)) as call:
                attempt = await self._sent(request, message, link, within, way, page)
                _note(call, attempt, message, link.dialect.policy.http_backoff)
                return attempt
        except CircuitOpen as error:
            return Attempt(None, error)

    async def _sent(
        self, request: HttpRequest, message: Message, link: Link, within: float, way: Way, page: str | None
    ) -> Attempt:
        http: HttpAnswer | None = None
        try:
            http = await self.wire.send(link.id, request, within=within, way=way)
            answer = self.adapter(link).open_answer(http, message, link.dialect, page)
            return Attempt(answer, None, http.status, _wait(http))
        except GatewayError as error:
            return Attempt(None, error) if http is None else Attempt(None, error, http.status, _wait(http))

    @asynccontextmanager
    async def stream(
        self, message: Message, link: Link, request: HttpRequest, *, within: float, way: Way = Way.PUSHING
    ) -> AsyncIterator[Incoming]:
        """A list that may be larger than memory, as of ``Wire.stream``; to its breaker, that it begins is an answer.

        Args:
            message: what ``request`` was made of.

        Raises:
            NotConnected, ReceiverTimeout, ReceiverError: it couldn't be had.
        """
        async with AsyncExitStack() as stack:
            with self.breakers.calling(link.id, message.module, longest=_patience(link)) as call:
                try:
                    incoming = await stack.enter_async_context(
                        self.wire.stream(link.id, request, within=within, way=way)
                    )
                    begun = Attempt(Answer(status=1000), None, incoming.answer.status, _wait(incoming.answer))
                except GatewayError as error:
                    _note(call, Attempt(None, error), message, link.dialect.policy.http_backoff)
                    raise
                _note(call, begun, message, link.dialect.policy.http_backoff)
            yield incoming

    async def pages(self, message: Message, link: Link) -> AsyncGenerator[list[Any], None]:
        """A list of a link's own, page after page, in wire form: for ourselves, each page in memory as a whole.

        Args:
            message: the request for its first page.

        Raises:
            NotConnected, ReceiverTimeout, ReceiverError: a page couldn't be had, or leads where no next page can be.
        """
        page: str | None = None
        read: set[str] = set()
        while page not in read and len(read) < _MOST_PAGES:
            answer = await self.ask(message.evolve(trace=hop(message.trace)), link, link, page=page)
            if not answer.good:
                raise ReceiverError(f"its list can't be read: {answer.status} {answer.text or ''}".strip())
            yield answer.data
            if answer.page is None or answer.page.next is None:
                return
            if page is not None:
                read.add(page)
            page = own_url(answer.page.next, link)
        raise ReceiverError("the pages of its list don't end")

    async def across(
        self, kind: Kind, data: Any, message: Message, here: Link, there: Link, directory: Directory, *,
        asked: Asked | None = None, told: Asked | None = None,
    ) -> tuple[Translated, Translated]:  # fmt: skip
        """What one link said, in the canonical form and in the other link's; what is unknown stays so.

        Goes on without the store: an exchange under way isn't worth less because Redis is away.

        Raises:
            InvalidObject, Withheld: the translation's own.
        """
        sender, receiver = self.adapter(here), self.adapter(there)
        up, facts = await self.lookup.through(
            lambda c: sender.up(kind, data, c), crossing(message, here, asked=asked), directory, without_store=True
        )
        down, _ = await self.lookup.through(
            lambda c: receiver.down(kind, up.data, c), crossing(message, there, asked=told), directory, facts,
            without_store=True,
        )  # fmt: skip
        return up, down


def _patience(link: Link) -> float:
    """Seconds between two trials of a link that doesn't answer, at most."""
    if link.backend:
        return BACKEND_S
    return BILATERAL_S if link.hub is None else HUB_S


def _note(call: Call, attempt: Attempt, message: Message, policy: BackOff) -> None:
    """What an attempt says about the other side."""
    if attempt.turned_away:
        return
    if attempt.http in _BUSY:
        call.asked_to_wait(attempt.wait, policy.first.total_seconds(), policy.longest.total_seconds())
        if attempt.http == 429 or attempt.wait is not None:
            return
    if attempt.nobody_there:
        about_it = attempt.http is not None and message.ref.id
        call.failed(attempt.reason, what=f"{message.ref.owner}:{message.ref.id}" if about_it else None)
    else:
        call.answered()


def _wait(http: HttpAnswer) -> float | None:
    """Seconds of a ``Retry-After``, which has seconds or a date (RFC 9110, 10.2.3); None: it doesn't say."""
    said = http.headers.get("Retry-After", "").strip()
    if http.status not in _BUSY or not said:
        return None
    if said.isascii() and said.isdigit():
        return min(float(said), LONGEST_WAIT_S)
    try:
        until = parsedate_to_datetime(said)
    except ValueError:
        return None
    seconds = (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT_S)


def decided(plan: Plan) -> Plan:
    """A plan that leads somewhere. Raises the error that the sender reads, if it doesn't."""
    if isinstance(plan, Refuse):
        raise plan.error
    return plan


def hop(trace: Trace) -> Trace:
    """The ids of the next hop: a new request id, the correlation id kept (``transport_and_format``)."""
    return evolve(trace, request_id=str(uuid.uuid4()))


def crossing(message: Message, link: Link, *, asked: Asked | None = None) -> Callable[[Facts], Crossing]:
    """How a translation on this link's side sees the message. The peer is the side of it that isn't the owner."""
    owner = message.ref.owner
    peer = message.receiver if message.sender == owner else message.sender
    return lambda facts: Crossing(
        facts=facts, policy=link.dialect.policy, owner=owner, peer=peer or message.receiver, asked=asked
    )


def own_url(url: str, link: Link) -> str:
    """A URL of the other side's own, where its token may be shown: the link to the next page of a list.

    Raises:
        ReceiverError: it leads to a host that none of its endpoints is on, or is no URL at all.
    """
    hosts = frozenset(split(endpoint).host for endpoint in link.dialect.endpoints.values())
    try:
        if split(url).among(hosts):
            return url
    except ValueError as error:
        raise ReceiverError(f"the next page of its list is at {error}") from None
    raise ReceiverError("the next page of its list is on a host that isn't its own")


def passed_on(answer: Answer) -> Answer:
    """A peer's answer as it may be passed on: its OCPI status, and of its HTTP statuses only "no such object"."""
    # A peer's 401 or 500 is about us and it; the sender's own request was fine.
    return answer if answer.good or answer.http == 404 else answer.evolve(http=200)


def told(
    message: Message, source: Link, link: Link, answer: Answer | None, error: GatewayError | None, started: float
) -> None:
    """The one line of a request that was sent on; ``started`` is of ``time.perf_counter``."""
    reason = error.message if error else None
    if answer is not None and not answer.good:
        reason = answer.text or "no message"
    crossed(
        Crossed(
            source=source.id,
            source_version=source.dialect.version,
            target=link.id,
            target_version=link.dialect.version,
            module=message.module,
            verb=message.verb,
            action=message.action,
            status=answer.status if answer else None,
            losses=message.losses,
            ms=round((time.perf_counter() - started) * 1000, 1),
            reason=reason,
        )
    )
