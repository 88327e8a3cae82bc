"""Results that come later: whom they are for, each once, and in time.

A command is answered at once, and again when the charge point has spoken: the operator posts the result to the URL that
came with the command. The URL that the operator gets is ours, so that its result is translated, and so that neither
side learns the other's. What it stands for is in the store before the command leaves, because by the time of the result
this process may be another one.

    ask        what the operator's URL stands for is stored; then the command leaves
    answered   the operator took it: from now on the asker waits, and not for ever
    result     the operator posts: translated, passed on to whoever asked
    run        the time is up, and nothing came: whoever asked reads TIMEOUT

*Once.* Result and TIMEOUT may come at the same moment, on two replicas. What claims the id first is what happens, and
it can be read by whoever has to bring it after a crash. A result after TIMEOUT is late: acknowledged, noted, and not
passed on. Only a reservation has a second result: the operator cancels it, by the same URL.

*Not lost.* An asker that can't be reached just now is tried again until the time is up, and a minute longer; then the
result is given up, which is an error in the log. An attempt of which nobody knows the outcome isn't repeated.

*Nobody else's.* A result is taken from the link alone that the command went to, and goes nowhere but to a host of the
asker's: the request that brings it carries the asker's credentials token.

Spec: 2.2.1 ``mod_commands`` and ``mod_charging_profiles``, Sender Interface; 2.1.1 ``mod_commands`` 2.2.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import msgspec
import structlog
from attrs import field, frozen

from gateway.directory import Directory, Link
from gateway.exchange import Exchange, crossing, hop
from gateway.lookup import Lookup
from gateway.model.charging_profiles import ChargingProfileResponseType, ChargingProfileResultType
from gateway.model.commands import CommandResponseType, CommandResultType, CommandType
from gateway.model.document import Document
from gateway.model.errors import GatewayError, InvalidObject, NotConnected, NotDurable, NotFound
from gateway.model.facts import ABSENT, Withheld
from gateway.model.message import Answer, Message, Ref, Trace
from gateway.model.modules import Kind, Module, Side, Verb
from gateway.model.party import Party
from gateway.model.urls import Place, split
from gateway.ports import Codec, Deadlines, Objects
from gateway.telemetry import COMMANDS

log = structlog.get_logger()

LATE_S: Final = 3600.0
"""Seconds after its time for which a result is still recognised, as late."""

UNANSWERED_S: Final = 24 * 3600.0
"""Seconds for which a result is expected of a command that was sent and not answered: it may have arrived."""

_LOOK_S: Final = 0.5
_CANCEL_S: Final = 0.1
_AT_ONCE: Final = 100
_AGAIN_MS: Final = 2_000
_PATIENCE_MS: Final = 60_000

_TIMEOUT: Final = b""
"""What is claimed for a command whose time is up. No result is empty."""

_CANCELED: Final = ".canceled"
"""Behind an id, the second result that a reservation may have. Ids have no dots."""

_WORDS: Final = frozenset(
    word
    for words in (CommandResponseType, CommandResultType, ChargingProfileResponseType, ChargingProfileResultType)
    for word in words
)


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """A result that is to come, and whom it is for.

    Attributes:
        asker, asker_party: the link that asked, and which of its parties.
        target, target_party: the link that was asked, and which of its parties.
        command: the name of a command, ``chargingprofiles`` for a request about a charging profile.
        kind: what the result is.
        url: where the asker wants it.
        correlation: the correlation id of the command.
        until: when its time is up, in milliseconds since 1970; 0 until the operator has said how long it may take.
        ends: when nothing is expected any more, in milliseconds since 1970.
    """

    asker: str
    asker_party: str
    target: str
    target_party: str
    command: str
    kind: Kind
    url: str
    correlation: str
    until: int = 0
    ends: int

    @property
    def tells_timeout(self) -> bool:
        """Whether its result can say that the time is up. A charging profile's can't; whoever asked knows the time."""
        return self.kind is Kind.COMMAND_RESULT


_decode = msgspec.msgpack.Decoder(Expected).decode
_encode = msgspec.msgpack.Encoder().encode


class Kept(Objects, Deadlines, Protocol):
    """The store, as callbacks see it."""


@frozen(kw_only=True)
class Callbacks:
    """Waits for results. ``run`` works until cancelled.

    Attributes:
        versions_url: of a link, by its id.
        admits_private: whether a link's URLs may be private ones and plain ``http``, by its id.
    """

    exchange: Exchange
    lookup: Lookup
    store: Kept
    codec: Codec
    directory: Callable[[], Directory]
    versions_url: Callable[[str], str]
    admits_private: Callable[[str], bool]
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    # Asking -----------------------------------------------------------------------------------------------------------

    def check_url(self, url: str, asker: Link, path: str) -> None:
        """That a result may be posted there, with the asker's credentials token.

        Args:
            path: where the URL stands in the request, for the error.

        Raises:
            InvalidObject: it is no plain URL, not https, or not on one of the asker's hosts.
        """
        try:
            place = split(url)
        except ValueError as error:
            raise InvalidObject(path, str(error)) from None
        if place.scheme != "https" and not self.admits_private(asker.id):
            raise InvalidObject(path, "a URL without https")
        if not place.among(self._hosts(asker)):
            raise InvalidObject(path, "is not on a host of yours")

    def _hosts(self, asker: Link) -> frozenset[str]:
        if allowed := asker.dialect.policy.commands_response_url_hosts:
            return frozenset(host.lower() for host in allowed)
        urls = (self.versions_url(asker.id), *asker.dialect.endpoints.values())
        return frozenset(place.host for url in urls if (place := _place(url)) is not None)

    def new_url(self, target: Link) -> tuple[str, str]:
        """An id that nobody can guess, and the URL under which the other side of a link reaches it."""
        id = secrets.token_urlsafe(24)
        return id, self.exchange.adapter(target).callback_url(id, target.dialect)

    async def ask(self, id: str, expected: Expected, question: Message, source: Link, link: Link) -> Answer:
        """One request to a link, in its wire form, whose result may be posted under ``id`` from this moment on.

        Raises:
            NotDurable: the store is away; nothing was asked.
            NotConnected, ReceiverTimeout, ReceiverError: its answer couldn't be had. Where it may have been asked
                nevertheless, its result is still expected.
        """
        await self.store.remember(_under(id), _encode(expected), self._left(expected))
        try:
            answer = await self.exchange.ask(question, source, link)
        except NotConnected:
            await self._dropped(id)
            raise
        if not answer.good:
            await self._dropped(id)
        return answer

    async def answered(self, id: str, expected: Expected, word: str, seconds: float) -> None:
        """What the other side said at once. If it accepted, the result comes within so many seconds, or not at all."""
        if word != CommandResponseType.ACCEPTED:
            count(expected.target, expected.command, word)
            await self._dropped(id)
            return
        until = self._now() + int(seconds * 1000)
        known = msgspec.structs.replace(expected, until=until, ends=max(expected.ends, until + int(LATE_S * 1000)))
        try:
            await self.store.remember(_under(id), _encode(known), self._left(known))
            if expected.tells_timeout:
                await self.store.set_deadline(id, until)
        except NotDurable as error:
            # It was accepted, so that is what the asker must read. The result still finds its way.
            log.warning("command.unlimited", partner=expected.target, command=expected.command, reason=error.message)

    async def _dropped(self, id: str) -> None:
        """Nothing will come: it never left, or the other side said no."""
        with suppress(NotDurable):  # it ends by itself
            await self.store.forget(_under(id))

    # Results ----------------------------------------------------------------------------------------------------------

    async def result(self, message: Message, source: Link, directory: Directory) -> Answer:
        """A result that is posted to a URL of ours: passed on to whoever asked.

        Returns:
            The asker's answer; 1000 for what was kept for later, or came too late.

        Raises:
            NotFound: nothing is expected under this id, or not from this link, or not any more.
            InvalidObject: it is no result.
            NotDurable: the store is away; it should be sent again.
        """
        id = message.ref.id
        expected = await self._expected(id)
        if expected is None or expected.target != source.id:
            raise NotFound("nothing is expected at this URL")
        structlog.contextvars.bind_contextvars(correlation_id=expected.correlation)
        if message.body is None:
            raise InvalidObject("$", "a body is required")
        wire, adapter = message.body.data, self.exchange.adapter(source)
        up, _ = await self.lookup.through(
            lambda c: adapter.up(expected.kind, wire, c), crossing(message, source), directory
        )
        entry = await self._claimed(id, expected, up.data)
        if entry is None:
            log.warning("command.late", partner=source.id, command=expected.command, result=up.data["result"])
            COMMANDS.labels(source.id, expected.command, "late").inc()
            return Answer(status=1000, text="Too late: whoever asked was told that the time is up")
        count(expected.target, expected.command, up.data["result"])
        return await self._bring(entry, expected, up.data, directory)

    async def _claimed(self, id: str, expected: Expected, result: Any) -> str | None:
        """The entry under which this is the one result; None: the time was up.

        Raises:
            NotFound: there was a result already.
        """
        came, left = self.codec.dumps(result), self._left(expected)
        first = await self.store.claim(id, came, left)
        if first is None:
            return id
        if first == _TIMEOUT:
            return None
        cancels = result["result"] == CommandResultType.CANCELED_RESERVATION
        if cancels and expected.command == CommandType.RESERVE_NOW and first != came:
            second = id + _CANCELED
            if await self.store.claim(second, came, left) is None:
                return second
        raise NotFound("the result has come already")

    async def _bring(self, entry: str, expected: Expected, result: Any, directory: Directory) -> Answer:
        """Post a claimed result to whoever asked, and what its operator is to read."""
        link = directory.find(expected.asker)
        if link is None:
            await self._lost(entry, expected, "the link that asked is gone")
            return Answer(status=1000)
        message = _message(expected, entry)
        try:
            adapter = self.exchange.adapter(link)
            down, _ = await self.lookup.through(
                lambda c: adapter.down(expected.kind, result, c), crossing(message, link), directory
            )
        except Withheld as withheld:
            return await self._unspeakable(entry, expected, result, withheld, directory)
        message = message.evolve(body=Document(expected.kind, down.data), losses=down.losses)
        source = directory.find(expected.target) or link
        try:
            answer = await self.exchange.ask(message, source, link, url=expected.url)
        except NotConnected as error:
            return await self._later(entry, expected, error.message)
        except GatewayError as error:
            await self._done(entry, expected, result, reason=error.message)
            return Answer(status=1000)
        if answer.status >= 3000:
            return await self._later(entry, expected, f"{answer.status}: {answer.text or 'no message'}")
        await self._done(entry, expected, result, reason=None if answer.good else str(answer.status))
        return answer.evolve(data=ABSENT)

    async def _unspeakable(
        self, entry: str, expected: Expected, result: Any, withheld: Withheld, directory: Directory
    ) -> Answer:
        """A result that the asker's version has no word for."""
        canceled = result["result"] == CommandResultType.CANCELED_RESERVATION
        if canceled and not entry.endswith(_CANCELED):
            # There never was a reservation, as far as the asker knows: for it this is a refusal.
            return await self._bring(entry, expected, {"result": CommandResultType.REJECTED.value}, directory)
        log.error(
            "command.withheld", partner=expected.asker, command=expected.command, result=result["result"],
            reason=withheld.reason, policy=withheld.policy,
            todo="whoever asked can't be told: tell them another way" if canceled else "see the reason",
        )  # fmt: skip
        await self._over(entry, expected)
        return Answer(status=1000)

    async def _later(self, entry: str, expected: Expected, reason: str) -> Answer:
        """The asker can't be had just now."""
        now = self._now()
        last = expected.ends if entry.endswith(_CANCELED) or not expected.until else expected.until + _PATIENCE_MS
        if now + _AGAIN_MS > last:
            await self._lost(entry, expected, reason)
            return Answer(status=1000)
        with suppress(NotDurable):  # then when its time is up
            await self.store.set_deadline(entry, now + _AGAIN_MS)
        return Answer(status=1000, text="Kept: whoever asked can't be reached just now")

    async def _lost(self, entry: str, expected: Expected, reason: str) -> None:
        log.error(
            "command.undelivered", partner=expected.asker, command=expected.command, reason=reason,
            todo="whoever asked never learned the result",
        )  # fmt: skip
        COMMANDS.labels(expected.target, expected.command, "undelivered").inc()
        await self._over(entry, expected)

    async def _done(self, entry: str, expected: Expected, result: Any, *, reason: str | None) -> None:
        log.info(
            "command.result", partner=expected.target, asker=expected.asker, command=expected.command,
            result=result["result"], reason=reason,
        )  # fmt: skip
        await self._over(entry, expected)

    async def _over(self, entry: str, expected: Expected) -> None:
        """What was claimed is dealt with; its time may pass."""
        with suppress(NotDurable):  # then it is brought a second time, which is better than never
            await self.store.remember(_dealt_with(entry), b"1", self._left(expected))
            await self.store.clear_deadline(entry)

    # Time -------------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Tell those whose time is up, and bring what couldn't be brought at once. Works until cancelled."""
        under_way: set[asyncio.Task[None]] = set()
        try:
            while True:
                with suppress(NotDurable):
                    for entry in await self.store.overdue(self._now(), _AT_ONCE):
                        task = asyncio.create_task(self._guarded(entry), name=f"callback {entry}")
                        under_way.add(task)
                        task.add_done_callback(under_way.discard)
                await asyncio.sleep(_LOOK_S)
        finally:
            # No TaskGroup: it cancels once, and a cancellation that meets the end of a write to Redis gets lost.
            while under_way:
                for task in under_way:
                    task.cancel()
                await asyncio.wait(under_way, timeout=_CANCEL_S)

    async def _guarded(self, entry: str) -> None:
        try:
            await self._due(entry)
        except NotDurable:
            pass  # its deadline stands, and comes again
        except Exception as error:
            log.exception("command.crashed", error=type(error).__name__)  # a bug; the others go on

    async def _due(self, entry: str) -> None:
        """The time is up for this entry: it wasn't dealt with, or couldn't be."""
        expected = await self._expected(entry.removesuffix(_CANCELED))
        if expected is None or await self.store.recall(_dealt_with(entry)):
            await self.store.clear_deadline(entry)
            return
        structlog.contextvars.bind_contextvars(correlation_id=expected.correlation)
        claimed = await self.store.claim(entry, _TIMEOUT, self._left(expected))
        if claimed is None:
            log.warning("command.timeout", partner=expected.target, asker=expected.asker, command=expected.command)
            count(expected.target, expected.command, CommandResultType.TIMEOUT)
        result = self.codec.loads(claimed) if claimed else {"result": CommandResultType.TIMEOUT.value}
        await self._bring(entry, expected, result, self.directory())

    async def _expected(self, id: str) -> Expected | None:
        found = await self.store.recall(_under(id))
        return _decode(found) if found is not None else None

    def _now(self) -> int:
        return int(self.clock().timestamp() * 1000)

    def _left(self, expected: Expected) -> float:
        return max(1.0, (expected.ends - self._now()) / 1000)


def count(link: str, command: str, word: str) -> None:
    """One more command of this link's that ended so. A word that no specification knows is a stranger's: ``other``."""
    COMMANDS.labels(link, command, word if word in _WORDS else "other").inc()


def _message(expected: Expected, entry: str) -> Message:
    """The request that brings a result: from the operator to whoever asked, the correlation id kept."""
    return Message(
        module=Module.COMMANDS,
        verb=Verb.POST,
        side=Side.SENDER,
        sender=Party.parse(expected.target_party),
        receiver=Party.parse(expected.asker_party),
        ref=Ref(id=entry),
        trace=hop(Trace(request_id="", correlation_id=expected.correlation)),
        action="callback",
    )


def _under(id: str) -> str:
    return f"expected:{id}"  # ids come from strangers; other things are remembered, too


def _dealt_with(entry: str) -> str:
    return f"done:{entry}"


def _place(url: str) -> Place | None:
    try:
        return split(url)
    except ValueError:
        return None
