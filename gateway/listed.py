"""Lists of others, read a slice at a time: one page as it comes in, and its items in the canonical form.

Whoever reads a list of somebody else's, to pass it on or to keep what it says, reads it like this. A page need never be
in memory as a whole. An item that can't be read costs only itself: it is left out, counted and logged. What breaks
off, or turns out at its end to be no good, is an error, so that nobody takes what is missing for deleted.

Spec: 2.2.1 and 2.1.1 ``transport_and_format``, Pagination.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from contextvars import copy_context
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Final, TypeVar

import structlog
from attrs import evolve, field, frozen
from prometheus_client import Counter

from gateway.directory import Directory, Link
from gateway.exchange import LIVE_S, Exchange, passed_on, told
from gateway.model.errors import BadJson, GatewayError, InvalidObject, ReceiverError
from gateway.model.facts import ABSENT, Crossing, Facts, Translated, Withheld
from gateway.model.message import Answer, HttpRequest, Message, Slices
from gateway.model.modules import Module, kind_of
from gateway.model.party import Party
from gateway.ports import Codec, Incoming, Way
from gateway.telemetry import MASK, declare_object

log = structlog.get_logger()

SKIPPED: Final = Counter(
    "ocpi_gateway_list_items_skipped",
    "Objects left out of a list because they can't be read or said, by the link they came from, or the reader's.",
    ("partner", "module"),
)

SLICE: Final = 25
"""Objects of a list that are looked up and translated together, before anybody else has a turn."""

_SO_FAR_GOOD: Final = 1000

_Item = TypeVar("_Item")


class Ended(GatewayError):
    """The owner of a list said, behind its objects, that it isn't good: the same is to stand behind ours."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(MASK.text(answer.text or "the list isn't complete"), status=answer.status)


class Page:
    """One page of a link's list: ``begin``, then ``slices``."""

    def __init__(
        self, exchange: Exchange, link: Link, onward: Message, request: HttpRequest, *, source: Link,
        way: Way = Way.PUSHING,
    ) -> None:  # fmt: skip
        """``onward`` is the question and ``request`` how it is put; ``source`` is the link for which we ask."""
        self._exchange = exchange
        self._link = link
        self._onward = onward
        self._request = request
        self._source = source
        self._way = way
        self._started = time.perf_counter()
        self._coming: tuple[Sequence[bytes] | None, AsyncGenerator[Sequence[bytes], None], Incoming] | None = None
        self._stack = AsyncExitStack()

    @property
    def coming(self) -> bool:
        """Whether there are items to be read: it has begun, and the answer is a good one."""
        return self._coming is not None

    @property
    def date(self) -> datetime | None:
        """What time it is over there, by the ``Date`` of the answer; None where it doesn't tell."""
        if self._coming is None:
            return None
        try:
            date = parsedate_to_datetime(self._coming[2].answer.headers.get("Date", ""))
        except ValueError:
            return None
        return date if date.tzinfo else None

    async def begin(
        self, settle: Callable[[Answer], Awaitable[Answer]] | None = None, *, within: float = LIVE_S
    ) -> Answer:
        """The answer, as soon as it is known to be a good one; its items come afterwards, its data is ABSENT.

        Args:
            settle: what becomes of the answer before anything else does; what it raises is told as the page's end.
            within: seconds until the answer begins.

        Raises:
            NotConnected, ReceiverTimeout, ReceiverError: there is none.
        """
        async with AsyncExitStack() as stack:
            try:
                stream = self._exchange.stream(self._onward, self._link, self._request, within=within, way=self._way)
                incoming = await stack.enter_async_context(stream)
                raw = await stack.enter_async_context(aclosing(incoming.items()))
                first = await anext(raw, None)
                answer = self._opened(incoming, over=first is None)
                if not answer.good or answer.page is None:
                    self._tell(answer)
                    return answer.evolve(data=ABSENT)
                if settle is not None:
                    answer = await settle(answer)
            except GatewayError as error:
                self._tell(None, error)
                raise
            self._coming, self._stack = (first, raw, incoming), stack.pop_all()
            return answer.evolve(data=ABSENT)

    async def slices(self) -> AsyncGenerator[Sequence[bytes], None]:
        """The items, unread, a slice at a time; read once. Leaving before the end ends the connection.

        Raises:
            Ended: behind them the owner says that its list isn't good.
            ReceiverTimeout, ReceiverError: it broke off.
        """
        assert self._coming is not None, "begin first"
        some, raw, incoming = self._coming
        answer: Answer | None = None
        error: GatewayError | None = ReceiverError("its reader went away before the end")
        try:
            async with self._stack:
                while some is not None:
                    for few in sliced(some):
                        yield few
                        await asyncio.sleep(0)  # everybody else's turn
                    some = await anext(raw, None)
                answer, error = self._opened(incoming, over=True), None
        except GatewayError as failure:
            error = failure
            raise
        finally:
            self._tell(answer, error)
        if not answer.good:
            raise Ended(answer)

    def _opened(self, incoming: Incoming, *, over: bool) -> Answer:
        """The answer as its owner judges it. Until it is over it counts as good, unless it says otherwise already."""
        http = incoming.answer
        if incoming.listed:
            http = evolve(http, items=_nothing())
        if not over and isinstance(http.body, dict):
            http = evolve(http, body={"status_code": _SO_FAR_GOOD, **http.body})
        adapter = self._exchange.adapter(self._link)
        return passed_on(adapter.open_answer(http, self._onward, self._link.dialect, self._request.url))

    def _tell(self, answer: Answer | None, error: GatewayError | None = None) -> None:
        told(self._onward, self._source, self._link, answer, error, self._started)


# Items ----------------------------------------------------------------------------------------------------------------


@frozen(kw_only=True)
class Item:
    """One object of a list, read: whose it is, as it came, and in the canonical form."""

    owner: Party
    wire: Any
    canonical: Any


@frozen(kw_only=True)
class Items:
    """A slice of a list, read.

    Attributes:
        read: the items that could be read, in their order.
        skipped: how many couldn't.
        lost: how many values were lost in reading them.
        facts: what was looked up for them.
    """

    read: Sequence[Item]
    skipped: int
    lost: int
    facts: Facts


@frozen(kw_only=True)
class Reader:
    """Reads the items of one list of a link's.

    Attributes:
        onward: the question that the list answers. Its receiver owns what doesn't say itself whose it is.
        peer: who of us reads it.
    """

    exchange: Exchange
    codec: Codec
    link: Link
    onward: Message
    peer: Party | None
    directory: Directory = field(repr=False)

    @property
    def module(self) -> Module:
        return self.onward.module

    async def read(self, raw: Sequence[bytes]) -> Items:
        """The items in the canonical form; facts that they need are looked up together.

        Raises:
            NotDurable: the store is away.
        """
        adapter = self.exchange.adapter(self.link)
        documents = [data for text in raw if (data := self._document(text)) is not None]
        outcomes, facts = await self.exchange.lookup.through_all(
            partial(adapter.up, kind_of(self.module)),
            [(data, crossing_of(self.link, self._owner(data), self.peer)) for data in documents],
            self.directory,
        )
        read, lost = [], 0
        for data, outcome in zip(documents, outcomes, strict=True):
            if not isinstance(outcome, Translated):
                skip(outcome, data, self.link, self.module)
                continue
            owner = Party.of(outcome.data["country_code"], outcome.data["party_id"])
            if not self.link.dialect.speaks_for(owner):
                skip(InvalidObject("$.party_id", "is none of its parties"), data, self.link, self.module)
                continue
            read.append(Item(owner=owner, wire=data, canonical=outcome.data))
            lost += len(outcome.losses)
        return Items(read=read, skipped=len(raw) - len(read), lost=lost, facts=facts)

    def _document(self, text: bytes) -> Any:
        """The item as JSON, or None for one that is none."""
        try:
            data = self.codec.loads(text)
        except BadJson as error:
            skip(error, None, self.link, self.module)
            return None
        if not isinstance(data, dict):
            skip(InvalidObject("$", "expected an object"), None, self.link, self.module)
            return None
        return data

    def _owner(self, data: Mapping[str, Any]) -> Party | None:
        """Whose object it is: it says so itself, or it is of the party that was asked."""
        says = self.exchange.adapter(self.link).sends_routing_headers or self.link.hub is not None
        return (owner_in(data) if says else None) or self.onward.receiver


def skip(error: Exception, data: Any, blamed: Link, module: Module) -> None:
    """Count and log an object that is left out of a list."""
    SKIPPED.labels(blamed.id, module).inc()
    # What is declared sensitive for this line is forgotten again: a list may name a hundred thousand tokens.
    copy_context().run(_tell_of_skipped, error, data, blamed, module)


def _tell_of_skipped(error: Exception, data: Any, blamed: Link, module: Module) -> None:
    name = "uid" if module is Module.TOKENS else "id"
    id = data.get(name) if isinstance(data, dict) else None
    if isinstance(data, dict):
        declare_object(module, data)
    facts = {"partner": blamed.id, "module": module, name: id if isinstance(id, str) else None}
    match error:
        case InvalidObject(path=path, what=what):
            log.warning("list.item_skipped", **facts, pointer=path, reason=what)
        case Withheld():
            log.warning("list.item_skipped", **facts, pointer=None, reason=error.reason)
        case GatewayError():
            log.warning("list.item_skipped", **facts, pointer=None, reason=error.message)
        case _:
            # Not one of ours: a bug. It costs this item, and the log gets the whole story.
            log.error("list.item_crashed", **facts, exc_info=error)


# Small things ---------------------------------------------------------------------------------------------------------


def crossing_of(link: Link, owner: Party | None, peer: Party | None) -> Callable[[Facts], Crossing]:
    """How the translation of one object on this link's side begins."""
    return lambda facts: Crossing(facts=facts, policy=link.dialect.policy, owner=owner, peer=peer)


def owner_in(data: Mapping[str, Any]) -> Party | None:
    """The owner that an object names itself, in a version whose objects do."""
    try:
        return Party.of(data["country_code"], data["party_id"])
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def sliced(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """The items, so many at a time as are looked up together."""
    return (items[start : start + SLICE] for start in range(0, len(items), SLICE))


async def _nothing() -> Slices:
    """Stands for items that are read elsewhere."""
    return
    yield []
