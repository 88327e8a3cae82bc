"""The way of one message: the only file that knows the whole order.

    open     URL, headers, reference                     the sender's adapter
    route    where to, and why                           ``routing``
    read     body to canonical, PATCH merged first       the sender's adapter, facts from the store
    owe      a push of a backend: made durable, acknowledged; the rest is the ledger's
    write    canonical to the receiver's form            the receiver's adapter, losses recorded
    send     and read the answer, within a deadline
    answer   in the sender's version, statuses and headers

Two kinds of exchange come through here. A backend's pushes are *owed*: stored, acknowledged, delivered by the ledger's
workers. Everything else is *live*: the receiver's answer is what the sender reads. A message that can't be translated
gets a precise status and goes nowhere; the untranslated body is never sent on.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import structlog
from attrs import evolve, field, frozen

from gateway.asking import Authorizations
from gateway.attaching import Attaching
from gateway.commands import Commands
from gateway.directory import Directory, Link, receiver_is_supply
from gateway.exchange import LIVE_S, Exchange, crossing, decided, hop
from gateway.filing import Filed, Filing
from gateway.inquiry import Inquiry
from gateway.lookup import Lookup
from gateway.model.attached import of_a_feed
from gateway.model.document import Document
from gateway.model.errors import (
    GatewayError,
    InvalidObject,
    NotConnected,
    NotDurable,
    NotFound,
    ReceiverError,
    ReceiverTimeout,
    SenderError,
)
from gateway.model.facts import Facts, Loss, Withheld
from gateway.model.message import Answer, HttpAnswer, HttpRequest, Message, Ref, Trace
from gateway.model.modules import MODULES, Kind, Module, Side, Verb, kind_of
from gateway.model.names import CdrState, Moved, Name, Said, fold
from gateway.model.values import moment, same
from gateway.ports import Adapter, Codec, Owed, Way
from gateway.presence import Presence
from gateway.profiles import Profiles
from gateway.references import References
from gateway.routing import About, Copy, Forward, Plan, Target, route, targets_of
from gateway.serving import Shelves
from gateway.sharing import shown, too_early
from gateway.showing import Showing
from gateway.telemetry import COPIES, KEPT, MASK, MESSAGES, SPARED, declare, declare_object

log = structlog.get_logger()

_OF_A_TOKEN: Final = frozenset({Module.SESSIONS, Module.CDRS})

_KEPT: Final = frozenset({Module.SESSIONS, Module.CDRS, Module.TOKENS})
"""What a partner pushes and needn't push again when the backend is out of reach: money, and who may charge."""

KEPT_S: Final = 8.0
"""Seconds for the backend to take what would be kept else: some are left to keep it within a live exchange's time."""

_TRIES: Final = 5
"""How often a write that somebody else overtook is decided again."""


class Owing(Protocol):
    """The ledger, as the pipeline sees it."""

    async def owed(self, name: Name) -> None:
        """Something was said and is noted as owed: spread it and wake those who deliver."""

    async def owes(self, link: str, name: Name) -> bool:
        """Whether this receiver is still owed the object."""

    async def brought(self, link: Link, name: Name, wire: Any) -> None:
        """A receiver has this by now, because somebody waited for it; None: it has deleted it."""


@frozen(kw_only=True)
class Reading:
    """A message read: the object before and after it, in both forms.

    Attributes:
        name: of the whole object (a location, also where the message is about an EVSE).
        kind: of the whole object.
        wire: after the message, in the sender's form; None after a DELETE.
        canonical: after the message; None after a DELETE.
        before: canonical before it; None where there was nothing, or where it doesn't matter.
        stored: what was stored; its sequence is what a write expects.
        whole: whether the message carried the whole object.
        touched: the top-level fields that a PATCH named.
        stale: whether what is stored is newer than what the message says.
    """

    name: Name
    kind: Kind
    wire: Any
    canonical: Any
    before: Any = None
    stored: Said | None = None
    whole: bool = True
    touched: frozenset[str] = frozenset()
    stale: bool = False
    losses: tuple[Loss, ...] = ()
    facts: Facts = field(eq=False)


class Pipeline:
    """Carries messages. Holds what the way needs; keeps nothing of any message."""

    def __init__(
        self,
        *,
        exchange: Exchange,
        authorizations: Authorizations,
        inquiry: Inquiry,
        commands: Commands,
        profiles: Profiles,
        references: References,
        attaching: Attaching,
        presence: Presence,
        shelves: Shelves,
        showing: Showing,
        objects: Owed,
        lookup: Lookup,
        ledger: Owing,
        codec: Codec,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._exchange = exchange
        self._authorizations = authorizations
        self._inquiry = inquiry
        self._commands = commands
        self._profiles = profiles
        self._references = references
        self._attaching = attaching
        self._presence = presence
        self._shelves = shelves
        self._showing = showing
        self._objects = objects
        self._filing = Filing(objects)
        self._lookup = lookup
        self._ledger = ledger
        self._codec = codec
        self._clock = clock
        self._lanes: WeakValueDictionary[tuple[str, ...], asyncio.Lock] = WeakValueDictionary()

    # The way ----------------------------------------------------------------------------------------------------------

    async def carry(self, http: HttpRequest, source: Link, directory: Directory) -> HttpAnswer:
        """One request of a link, to the answer it gets. Never raises for what the message or a peer does wrong."""
        started = time.perf_counter()
        adapter = self._exchange.adapter(source)
        message: Message | None = None
        error: GatewayError | None = None
        try:
            message = _traced(adapter.open_request(http, source.dialect))
            structlog.contextvars.bind_contextvars(correlation_id=message.trace.correlation_id)
            if message.module is Module.TOKENS:
                declare(message.ref.id)
            answer = await self._handle(message, http, source, directory, adapter)
        except GatewayError as failure:
            error = failure
            answer = answer_of(failure)
        except Withheld as withheld:
            error = SenderError(withheld.reason, status=withheld.status)
            answer = answer_of(error)
        if not answer.good and answer.text is not None:
            answer = answer.evolve(text=MASK.text(answer.text))  # the words may be a peer's
        written = adapter.write_answer(answer, message, source.dialect, http if message is None else None)
        _told(message, source, answer, error, started)
        if (allow := getattr(error, "allow", ())) and error is not None:
            written = evolve(written, headers={**written.headers, "Allow": ", ".join(allow)})
        return written

    async def _handle(
        self, message: Message, http: HttpRequest, source: Link, directory: Directory, adapter: Adapter
    ) -> Answer:
        if (asked := self._asked(message)) is not None:
            return await asked(message, source, directory)
        if message.verb is Verb.GET:
            return await self._shelves.answer(message, source, directory, http)
        # One message at a time for one object of one sender: a PATCH must see what the PUT before it stored.
        async with self._lane(message, source):
            for _ in range(_TRIES):
                try:
                    return await self._push(message, http, source, directory, adapter)
                except Moved:
                    continue
        raise NotDurable("the object is being changed by others all the time; send it again")

    def _asked(self, message: Message) -> Callable[[Message, Link, Directory], Awaitable[Answer]] | None:
        """Who deals with a question, an order or its result; None for what is about an object."""
        match message.module, message.action:
            case _, "callback":
                return self._commands.callbacks.result
            case _, "charging_preferences":
                return self._profiles.preferences
            case Module.COMMANDS, _:
                return self._commands.ask
            case Module.CHARGING_PROFILES, _:
                return self._profiles.ask if message.side is Side.RECEIVER else self._profiles.update
            case Module.HUB_CLIENT_INFO, _ if message.side is Side.RECEIVER:
                return self._presence.receive
            case _, None:
                return None
        return self._authorizations.ask

    async def _push(
        self, message: Message, http: HttpRequest, source: Link, directory: Directory, adapter: Adapter
    ) -> Answer:
        now = self._clock()
        if source.paused_in is not None and now < source.paused_in:
            raise ReceiverError(f"what you push isn't taken until {source.paused_in:%Y-%m-%dT%H:%M:%SZ}: send it then")
        reading: Reading | None = None
        announced: str | None = None
        about = About(at=now)
        if message.module in _OF_A_TOKEN:
            # The route follows the contract: whose token it is, and when it began, stands in the body.
            reading = await self._read(message, source, directory, adapter, None)
            announced, about = await self._lookup.about(reading.kind, reading.canonical, directory)
        plan = decided(route(message, source, directory, announced, about))
        if isinstance(plan, Copy):
            COPIES.labels(source.id, message.module).inc()
            log.info("message.copy", partner=source.id, module=message.module, reason=plan.reason)
            return Answer(status=1000, text=f"Known already: {plan.reason}")
        if reading is None:
            reading = await self._read(message, source, directory, adapter, _variant(plan, message, source))
        if self._known(reading, source):
            return await self._repeated(reading, http, source)
        if reading.stale:
            log.info("message.stale", partner=source.id, module=message.module)
            return Answer(status=1000, text="Older than what is known: nothing was changed")
        if source.backend and not _waits(plan, directory, message.module):
            return await self._owe(message, reading, plan, http, source, directory, adapter)
        return await self._live(message, reading, plan, http, source, directory, adapter)

    # Read -------------------------------------------------------------------------------------------------------------

    async def _read(
        self, message: Message, source: Link, directory: Directory, adapter: Adapter, variant: str | None
    ) -> Reading:
        """The message's object before and after it.

        Raises:
            InvalidObject: what it says is not what the specification allows.
            NotFound: a PATCH or DELETE of something that isn't there.
        """
        kind = kind_of(message.module)
        facts = Facts(now=self._clock())
        if message.verb is Verb.DELETE:
            stored = await self._objects.read(_name(message, {}), variant)
            if stored is None or (stored.deleted and not _told_another(stored, message, source)):
                raise _not_there(message.module)
            canonical = self._codec.loads(stored.canonical)
            if of_a_feed(kind, canonical):
                raise _not_there(message.module)
            return Reading(
                name=_name(message, canonical), kind=kind, wire=None, canonical=None, before=canonical,
                stored=stored, facts=facts,
            )  # fmt: skip
        if message.body is None:
            raise InvalidObject("$", "a body is required")
        if message.verb is not Verb.PATCH and message.ref.evse_uid is None:
            return await self._read_whole(message, kind, source, directory, adapter, variant)
        return await self._read_part(message, kind, source, directory, adapter, variant)

    async def _read_whole(
        self, message: Message, kind: Kind, source: Link, directory: Directory, adapter: Adapter, variant: str | None
    ) -> Reading:
        assert message.body is not None
        wire = message.body.data
        up, facts = await self._lookup.through(
            lambda c: adapter.up(kind, wire, c), crossing(message, source), directory
        )
        self._note_lengths(kind, wire, source, adapter)
        name = _name(message, up.data)
        declare_object(name.module, up.data)
        stored = await self._objects.read(name, variant)
        before = self._codec.loads(stored.canonical) if stored is not None and not stored.deleted else None
        canonical = await self._completed(name, wire, up.data, before, source)
        return Reading(
            name=name, kind=kind, wire=wire, canonical=canonical, before=before, stored=stored, losses=up.losses,
            stale=before is not None and not _undated(kind, before) and _older(up.data, before), facts=facts,
        )  # fmt: skip

    async def _read_part(
        self, message: Message, kind: Kind, source: Link, directory: Directory, adapter: Adapter, variant: str | None
    ) -> Reading:
        assert message.body is not None
        fragment = message.body.data
        name = await self._name_of_part(message)
        stored = await self._stored(name, variant)
        before = self._codec.loads(stored.canonical)
        if of_a_feed(kind, before):
            raise _not_there(message.module)
        base = await self._in_wire_form(stored, kind, message, source, directory, adapter)
        policy = source.dialect.policy
        if message.verb is Verb.PATCH:
            wire = adapter.merge(kind, base, message.ref, fragment, policy)
            if "last_updated" not in fragment:
                # A version that doesn't ask for it still gets one upwards, so that "newer" keeps its meaning.
                dated = {**fragment, "last_updated": self._later_than(base)}
                wire = adapter.merge(kind, base, message.ref, dated, policy)
        else:
            wire = adapter.place(base, message.ref, fragment)
        seen = crossing(message, source)
        try:
            up, facts = await self._lookup.through(lambda c: adapter.up(kind, wire, c), seen, directory)
        except InvalidObject as error:
            raise _in_own_body(error, message.ref) from None
        declare_object(name.module, up.data)
        canonical = await self._completed(name, wire, up.data, before, source)
        return Reading(
            name=name, kind=kind, wire=wire, canonical=canonical, before=before, stored=stored, whole=False,
            touched=frozenset(fragment) if message.ref.evse_uid is None else frozenset(),
            losses=_of_fragment(up.losses, fragment) if message.ref.evse_uid is None else up.losses,
            stale="last_updated" in fragment and _older(up.data, before), facts=facts,
        )  # fmt: skip

    async def _stored(self, name: Name, variant: str | None) -> Said:
        stored = await self._objects.read(name, variant)
        if stored is None or stored.deleted:
            raise _not_there(name.module)
        return stored

    async def _in_wire_form(
        self, stored: Said, kind: Kind, message: Message, source: Link, directory: Directory, adapter: Adapter
    ) -> Any:
        if stored.version == adapter.version:
            return self._codec.loads(stored.wire)
        # The link has changed its version since: what it said then, as it would say it now.
        name = _name(message, {})
        canonical = await self._attaching.parted(name, self._codec.loads(stored.canonical))
        down, _ = await self._lookup.through(
            lambda c: adapter.down(kind, canonical, c), crossing(message, source), directory
        )
        return down.data

    async def _completed(self, name: Name, wire: Any, canonical: Any, before: Any, source: Link) -> Any:
        """What was said, with what its sender doesn't know: a driver's reference, and what feeds say of a connector."""
        canonical = await self._references.attached(name, wire, canonical, before)
        return await self._attaching.joined(name, canonical, before) if source.backend else canonical

    async def _name_of_part(self, message: Message) -> Name:
        """The name of the object a PATCH is about. A 2.1.1 URL names a token without its type."""
        if message.module is not Module.TOKENS or message.ref.type is not None:
            return _name(message, {})
        names = [name for name in await self._objects.tokens_by_uid(message.ref.id) if name.owner == message.ref.owner]
        if not names:
            raise NotFound("no such token: send it whole first")
        return next((name for name in names if name.type == "RFID"), names[0])

    def _later_than(self, wire: Mapping[str, Any]) -> str:
        now = self._clock().replace(microsecond=0)
        stored = moment(wire["last_updated"])
        return f"{max(now, stored.replace(microsecond=0) + timedelta(seconds=1)):%Y-%m-%dT%H:%M:%SZ}"

    # Owe --------------------------------------------------------------------------------------------------------------

    async def _owe(
        self, message: Message, reading: Reading, plan: Plan, http: HttpRequest, source: Link, directory: Directory,
        adapter: Adapter,
    ) -> Answer:  # fmt: skip
        """Durable first, then acknowledged; delivery is the ledger's."""
        targets = targets_of(plan)
        spared: list[Link] = []
        if message.module is Module.CDRS:
            spared = [link for target in targets if too_early(link := directory[target.link], reading.canonical)]
            targets = tuple(target for target in targets if directory[target.link] not in spared)
        sequence = await self._say(message, reading, source, adapter, targets, _variant(plan, message, source))
        await self._spare(reading, spared)
        if message.module is Module.TARIFFS:
            await self._filing.look_again(reading.name, [target.link for target in targets], _now_ms())
            await self._attaching.replaced(reading.name, reading.before)
        if message.module is Module.CDRS and reading.before is not None:
            await self._owe_again(reading.name, targets)
        await self._ledger.owed(reading.name)
        log.debug("message.owed", partner=source.id, module=message.module, to=len(targets), sequence=sequence)
        return await self._accepted(reading, http, source)

    async def _spare(self, cdr: Reading, links: Sequence[Link]) -> None:
        """What ended before a cut-over was billed by another system: these links may list it, and don't get it."""
        for link in links:
            await self._showing.show(link, cdr.name, cdr.canonical)
            SPARED.labels(link.id).inc()
            log.info("cdr.before_cut_over", partner=link.id, todo="nothing: cdrs.deliver_since of this link says so")

    async def _say(
        self, message: Message, reading: Reading, source: Link, adapter: Adapter, targets: Sequence[Target],
        variant: str | None,
    ) -> int:  # fmt: skip
        deleted = reading.canonical is None
        stored = reading.stored
        sequence = await self._objects.say(
            reading.name,
            stored.canonical if deleted and stored else self._codec.dumps(reading.canonical),
            stored.wire if deleted and stored else self._codec.dumps(reading.wire),
            adapter.version,
            source.id,
            stored.sequence if stored else 0,
            [target.link for target in targets],
            variant,
            deleted,
            correlation=message.trace.correlation_id,
            receiver=message.receiver,
        )
        if not deleted:
            await self._index(reading, source)
        return sequence

    async def _index(self, reading: Reading, source: Link) -> None:
        filed = Filed(name=reading.name, canonical=reading.canonical, before=reading.before)
        await self._filing.index([filed])
        if reading.name.module is Module.TOKENS:
            await self._lookup.heard_of_tokens(source.id, self._clock())

    async def _accepted(self, reading: Reading, http: HttpRequest, source: Link) -> Answer:
        created = reading.before is None and reading.canonical is not None
        location = await self._cdr_url(reading.name, http, source) if reading.name.module is Module.CDRS else None
        return Answer(status=1000, http=201 if created else 200, text="Accepted", location=location)

    def _known(self, reading: Reading, source: Link) -> bool:
        """Whether this is a CDR that was pushed before. One that was only read in a list was owed to nobody yet."""
        cdr = reading.name.module is Module.CDRS
        return cdr and reading.stored is not None and not reading.stored.crawled and not self._revises(reading, source)

    def _revises(self, reading: Reading, source: Link) -> bool:
        """Whether a CDR that is known already came with other content, from somebody who corrects CDRs that way."""
        revises = source.dialect.policy.cdrs_duplicate == "revise" and not _same_cdr(reading.canonical, reading.before)
        if revises:
            log.warning(
                "cdr.revised", partner=source.id, module=Module.CDRS,
                todo="whoever had it gets it again under the same id: tell billing that it replaces the first",
            )  # fmt: skip
        return revises

    async def _owe_again(self, cdr: Name, targets: Sequence[Target]) -> None:
        """A revised CDR is owed to those too who had it already, or whom it couldn't be brought."""
        ended = frozenset(CdrState) - {CdrState.PENDING, CdrState.IN_FLIGHT}
        for target in targets:
            await self._objects.cdr_move(
                target.link,
                cdr,
                ended,
                CdrState.PENDING,
                reason="revised by its sender",
                at_ms=_now_ms(),
                digest="",
            )

    async def _repeated(self, reading: Reading, http: HttpRequest, source: Link) -> Answer:
        """A CDR that is known already. Equal but for its ``last_updated``: the same answer again."""
        if not _same_cdr(reading.canonical, reading.before):
            log.error(
                "cdr.conflict", partner=source.id, module=Module.CDRS,
                todo="it came again with other content, and the first was kept: ask the sender which is right",
            )  # fmt: skip
            raise InvalidObject("$.id", "a CDR with this id is known, and its content differs; CDRs can't be changed")
        location = await self._cdr_url(reading.name, http, source)
        return Answer(status=1000, text="Known already", location=location)

    async def _cdr_url(self, name: Name, http: HttpRequest, source: Link) -> str:
        url = _cdr_url(name, http, source)
        await self._objects.remember(_opaque(name, source), name.text.encode(), None)
        return url

    # Live -------------------------------------------------------------------------------------------------------------

    async def _live(
        self, message: Message, reading: Reading, plan: Plan, http: HttpRequest, source: Link, directory: Directory,
        adapter: Adapter,
    ) -> Answer:  # fmt: skip
        """The receiver has it before the sender reads 1000; or it is kept for a backend that can't take it now."""
        if not isinstance(plan, Forward):
            await self._say(message, reading, source, adapter, (), _variant(plan, message, source))
            await self._show(message, reading, plan, directory)
            return await self._accepted(reading, http, source)
        link = directory[plan.target.link]
        ends = time.monotonic() + (KEPT_S if _kept(message, source) else LIVE_S)
        # Together with what is owed to this link of the same object: neither overtakes the other.
        async with self._objects.lane(link.id, reading.name, int((ends - time.monotonic()) * 1000)):
            try:
                answer, wire = await self._deliver(message, reading, source, plan.target, directory, ends)
                if answer.status >= 3000 and _kept(message, source):
                    raise ReceiverError(f"{link.id} answers {answer.status}: {answer.text or 'no message'}")
            except (NotConnected, ReceiverTimeout, ReceiverError) as error:
                if isinstance(error, NotDurable) or not _kept(message, source):
                    raise
                return await self._keep(message, reading, http, source, plan.target, adapter, error)
            if not answer.good:
                return answer
            variant = _variant(plan, message, source)
            await self._say(message, reading, source, adapter, (), variant)
            if source.backend:
                await self._waited_for(reading, link, wire, plan.target, variant)
        if variant is None or reading.canonical is not None:
            await self._show(message, reading, plan, directory)
        return await self._accepted(reading, http, source)

    async def _keep(
        self, message: Message, reading: Reading, http: HttpRequest, source: Link, target: Target, adapter: Adapter,
        error: GatewayError,
    ) -> Answer:  # fmt: skip
        """The backend can't take it now. It is owed to it from here on, and its partner need not send it again."""
        # The backend may have this by now, or not: what it is known to have is no ground for a PATCH any more.
        await self._objects.take(target.link, reading.name)
        await self._say(message, reading, source, adapter, (target,), None)
        if message.module is Module.CDRS and reading.before is not None:
            await self._owe_again(reading.name, [target])
        await self._ledger.owed(reading.name)
        KEPT.labels(source.id, message.module).inc()
        log.warning(
            "message.kept", partner=source.id, backend=target.link, module=message.module, reason=error.message,
            todo="nothing: it is handed over when the backend takes it; see why it doesn't",
        )  # fmt: skip
        return await self._accepted(reading, http, source)

    async def _waited_for(self, reading: Reading, link: Link, wire: Any, target: Target, variant: str | None) -> None:
        """A backend waited until this link had its push: the ledger is told, as if it had brought it itself."""
        await self._ledger.brought(link, reading.name, wire)
        if variant is not None and reading.canonical is None:
            # Without what was meant for it alone, it is to have what everybody has; if there is that.
            await self._objects.owe(link.id, reading.name, _now_ms())
        if reading.name.module is Module.TARIFFS:
            await self._filing.look_again(reading.name, [target.link], _now_ms())

    async def _show(self, message: Message, reading: Reading, plan: Plan, directory: Directory) -> None:
        """Whoever it was for may list it from now on; not a backend that has the module off, which couldn't ask."""
        if isinstance(plan, Forward):
            receiver: Link | None = directory[plan.target.link]
        else:
            supply = receiver_is_supply(message.module, message.side)
            receiver = directory.backend_of(message.receiver, supply=supply) if message.receiver else None
        if receiver is None or not receiver.pushes(message.module):
            return
        if reading.canonical is None:
            await self._showing.hide(receiver, reading.name)
        else:
            await self._showing.show(receiver, reading.name, reading.canonical)

    async def _deliver(
        self, message: Message, reading: Reading, source: Link, target: Target, directory: Directory, ends: float
    ) -> tuple[Answer, Any]:
        """The receiver's answer, by then (``time.monotonic``), and what it then has, in its own form; None after a
        DELETE.
        """
        link = directory[target.link]
        if not link.delivers(self._clock()):
            raise NotConnected(f"{target.party} is not connected")
        adapter = self._exchange.adapter(link)
        onward = _onward(message, target, reading, link)
        if reading.canonical is None:
            return await self._ask(onward.evolve(body=None), source, link, ends), None
        canonical = shown(link, message.module, reading.canonical)
        seen = crossing(message.evolve(receiver=target.party), link)
        try:
            after, facts = await self._lookup.through(
                lambda c: adapter.down(reading.kind, canonical, c), seen, directory, reading.facts, link=link.id
            )
        except Withheld as withheld:
            if not await self._inquiry.helps(withheld, canonical, directory):
                raise
            after, facts = await self._lookup.through(
                lambda c: adapter.down(reading.kind, canonical, c), seen, directory, link=link.id
            )
        whole = onward.evolve(
            verb=Verb.POST if message.module is Module.CDRS else Verb.PUT,
            ref=evolve(onward.ref, evse_uid=None, connector_id=None),
            body=Document(reading.kind, after.data),
            losses=(*reading.losses, *after.losses),
        )
        try:
            # A receiver that is owed the object hasn't got what this is a change of.
            whole_anyway = (
                reading.whole
                or _told_another(reading.stored, message, source)
                or await self._ledger.owes(link.id, reading.name)
            )
            former = None if whole_anyway else shown(link, message.module, reading.before)
        except Withheld:
            former = None  # it comes into its sight with this
        if former is None:
            return await self._ask(whole, source, link, ends), after.data
        before, _ = await self._lookup.through(
            lambda c: adapter.down(reading.kind, former, c), seen, directory, facts, link=link.id
        )
        named = self._exchange.adapter(source).touched(reading.kind, reading.touched, up=True)
        touched = adapter.touched(reading.kind, named, up=False)
        changes = adapter.changes(reading.kind, whole.ref, before.data, after.data, touched, link.dialect.policy)
        parts = [
            whole.evolve(
                verb=change.verb,
                ref=change.ref,
                body=Document(change.kind, change.body),
                losses=(
                    *reading.losses,
                    *change.loses(reading.canonical, after.losses, partial(adapter.touched, up=False)),
                ),
            )
            for change in changes
        ]
        return await self._send_changes(parts, whole, source, link, ends), after.data

    async def _send_changes(
        self, parts: Sequence[Message], whole: Message, source: Link, link: Link, ends: float
    ) -> Answer:
        for part in parts:
            answer = await self._ask(part.evolve(trace=hop(part.trace)), source, link, ends)
            if answer.http == 404 and part.verb is Verb.PATCH:
                # It doesn't have the object: the specification's own remedy is the whole of it.
                return await self._ask(whole.evolve(trace=hop(whole.trace)), source, link, ends)
            if not answer.good:
                return answer
        return Answer(status=1000)

    async def _ask(self, message: Message, source: Link, link: Link, ends: float) -> Answer:
        way = Way.BILLING if message.module is Module.CDRS else Way.PUSHING
        return await self._exchange.ask(message, source, link, within=max(ends - time.monotonic(), 0.0), way=way)

    @staticmethod
    def _note_lengths(kind: Kind, wire: Any, source: Link, adapter: Adapter) -> None:
        """Texts beyond the specification are let be, and noted: another receiver may refuse them."""
        if source.dialect.policy.validation_max_lengths == "warn" and (fields := adapter.too_long(kind, wire)):
            log.info("message.too_long", partner=source.id, kind=kind, fields=fields)

    # Small things -----------------------------------------------------------------------------------------------------

    def _lane(self, message: Message, source: Link) -> asyncio.Lock:
        body = message.body.data if message.body else None
        id = message.ref.id or (str(body.get("id")) if isinstance(body, dict) else "")
        return self._lanes.setdefault((source.id, message.module, str(message.ref.owner), fold(id)), asyncio.Lock())


def answer_of(error: GatewayError) -> Answer:
    """The answer for an error."""
    return Answer(status=error.status, http=error.http, text=error.message)


def _traced(message: Message) -> Message:
    trace = message.trace
    return message.evolve(
        trace=Trace(
            request_id=trace.request_id or str(uuid.uuid4()), correlation_id=trace.correlation_id or str(uuid.uuid4())
        )
    )


def _onward(message: Message, target: Target, reading: Reading, link: Link) -> Message:
    """The message as it goes on: to the target's party, under the id that it knows, with a new request id."""
    name = reading.name
    id = (link.tariff_id(name.id) or name.id) if name.module is Module.TARIFFS else name.id
    ref = evolve(message.ref, owner=name.owner, id=id, type=name.type)
    return message.evolve(receiver=target.party, ref=ref, trace=hop(message.trace))


def _name(message: Message, canonical: Mapping[str, Any]) -> Name:
    owner = message.ref.owner
    if owner is None:
        raise InvalidObject("$.country_code", "the owner of the object can't be told")
    type = str(canonical.get("type") or message.ref.type or "RFID") if message.module is Module.TOKENS else None
    return Name(message.module, owner, str(canonical.get("id") or canonical.get("uid") or message.ref.id), type)


def _in_own_body(error: InvalidObject, ref: Ref) -> InvalidObject:
    """What is wrong with a piece, by its path in the piece that was sent, not in the location around it."""
    path = error.path
    for piece, pieces in ((ref.evse_uid, "evses"), (ref.connector_id, "connectors")):
        if piece is not None:
            path = re.sub(rf"^\$\.{pieces}\[\d+\]", "$", path)
    return InvalidObject(path, error.what)


def _of_fragment(losses: tuple[Loss, ...], fragment: Mapping[str, Any]) -> tuple[Loss, ...]:
    """What is lost of a PATCH, rather than of the object that it was merged into."""
    return tuple(loss for loss in losses if loss.pointer.partition("/")[2].partition("/")[0] in fragment)


def _undated(kind: Kind, before: Mapping[str, Any]) -> bool:
    """Whether the moment of what is known makes nothing older: of a bill, and of what its owner didn't say."""
    return kind is Kind.CDR or of_a_feed(kind, before)


def _older(after: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    return moment(after["last_updated"]) < moment(before["last_updated"])


def _same_cdr(one: Any, other: Any) -> bool:
    return same({**one, "last_updated": None}, {**other, "last_updated": None})


def _waits(plan: Plan, directory: Directory, module: Module) -> bool:
    """Whether the backend waits for the one receiver's own answer (``delivery: live``)."""
    return isinstance(plan, Forward) and directory[plan.target.link].delivers_live(module)


def _variant(plan: Plan, message: Message, source: Link) -> str | None:
    """The link whose variant this is: a backend's location or tariff addressed to one party."""
    if source.backend and isinstance(plan, Forward) and MODULES[message.module].broadcast:
        return plan.target.link if message.module is not Module.TOKENS else None
    return None


def _kept(message: Message, source: Link) -> bool:
    """Whether it is kept for a backend that can't take it now, rather than given back to the partner."""
    return not source.backend and message.module in _KEPT


def _not_there(module: Module) -> NotFound:
    return NotFound(f"no such {MODULES[module].kind}: send it whole first")


def _told_another(stored: Said | None, message: Message, source: Link) -> bool:
    """Whether a partner said it last to another of us: whoever is meant now hasn't heard of that."""
    return not source.backend and stored is not None and stored.receiver not in (None, message.receiver)


def _opaque(name: Name, source: Link) -> str:
    # The same for a repeated POST, and nothing that an outsider could guess from one id to the next.
    return "cdr" + hashlib.blake2b(f"{source.id} {name.text}".encode(), digest_size=15).hexdigest()


def _cdr_url(name: Name, http: HttpRequest, source: Link) -> str:
    path = urlsplit(http.url).path.rstrip("/").removeprefix("/ocpi")
    return f"{source.dialect.base_url}{path}/{_opaque(name, source)}"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)


def _told(message: Message | None, source: Link, answer: Answer, error: GatewayError | None, started: float) -> None:
    """The one line of a message."""
    module = str(message.module) if message else "unknown"
    MESSAGES.labels(source.id, source.dialect.version, module, str(answer.status)).inc()
    log.info(
        "message.handled" if answer.good else "message.refused",
        partner=source.id, version=source.dialect.version, module=module, verb=message.verb if message else None,
        action=message.action if message else None, http=answer.http, status=answer.status,
        lost=len(answer.losses) + (len(message.losses) if message else 0), ms=_ms(started),
        reason=error.message if error else None,
    )  # fmt: skip
