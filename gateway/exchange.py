"""One exchange with another platform: a request in its version and its answer, and bodies carried across.

Everything live ends here: pushes of partners, authorizations, commands, charging profiles, reads that their owner
answers. What they have in common is what one hop is: a fresh request id, the receiver's version, a deadline, one line
that tells of it, and an answer of which only what is ours to pass on is passed on.

Spec: 2.2.1 ``transport_and_format`` (Unique message IDs), ``status_codes``.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final

from attrs import evolve, frozen

from gateway.directory import Directory, Link
from gateway.lookup import Lookup
from gateway.model.errors import GatewayError, NotConnected, ReceiverError
from gateway.model.facts import Asked, Crossing, Facts, Translated
from gateway.model.message import Answer, Message, Trace
from gateway.model.modules import Kind
from gateway.model.urls import split
from gateway.ports import Adapter, Way, Wire
from gateway.routing import Plan, Refuse
from gateway.telemetry import Crossed, crossed

LIVE_S: Final = 10.0
"""Seconds that a live exchange may take, from the sender's request to its answer."""

_MOST_PAGES: Final = 10_000


@frozen(kw_only=True)
class Exchange:
    """Asks links, in their own version."""

    adapters: Mapping[str, Adapter]
    lookup: Lookup
    wire: Wire

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
            raise NotConnected(f"{link.id} is not registered")
        adapter = self.adapter(link)
        started = time.perf_counter()
        answer: Answer | None = None
        error: GatewayError | None = None
        try:
            if url is None:
                request = adapter.write_request(message, link.dialect)
            else:
                request = adapter.write_callback(message, url, link.dialect)
            if page is not None:
                request = evolve(request, url=page)
            http = await self.wire.send(link.id, request, within=within, way=way)
            answer = adapter.open_answer(http, message, link.dialect, page)
            return passed_on(answer)
        except GatewayError as failure:
            error = failure
            raise
        finally:
            told(message, source, link, answer, error, started)

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
