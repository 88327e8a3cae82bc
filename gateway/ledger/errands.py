"""An errand: one object on its way to one link, how it is put into the link's words, and one attempt to bring it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import structlog
from attrs import evolve, frozen

from gateway.directory import Directory, Link, receiver_is_supply
from gateway.exchange import Attempt, Exchange
from gateway.inquiry import Inquiry
from gateway.ledger.pace import Pace
from gateway.ledger.tenure import Tenure
from gateway.lookup import Lookup
from gateway.model.change import Change
from gateway.model.document import Document
from gateway.model.facts import Crossing, Loss, Translated, Withheld
from gateway.model.hub_client_info import ConnectionStatus
from gateway.model.message import Message, Ref, Trace
from gateway.model.modules import Kind, Module, Side, Verb, kind_of
from gateway.model.names import Name, Said
from gateway.model.party import Party
from gateway.ports import Adapter, Codec, Way
from gateway.sharing import shown
from gateway.telemetry import Crossed, crossed, declare_object

DELIVERY_S: Final = 10.0
"""Seconds that one delivery's request may take."""

LANE_MS: Final = int(DELIVERY_S * 2000)
"""How long an object's lane is waited for, and kept, at most."""


@frozen
class Errand:
    """One object on its way to one link, and what it is by now, canonical."""

    link: Link
    adapter: Adapter
    kind: Kind
    said: Said
    canonical: Any
    message: Message
    tenure: Tenure

    def losing(self, losses: tuple[Loss, ...]) -> Errand:
        """The same, with what its translation lost."""
        return evolve(self, message=self.message.evolve(losses=losses))

    def put(self, whole: Any) -> Change:
        """The whole object, in wire form."""
        return Change(verb=Verb.PUT, ref=self.message.ref, kind=self.kind, body=whole)

    def absent(self, directory: Directory) -> ConnectionStatus | None:
        """What the hub says of a receiver behind it that can't be had just now; None: nothing against it.

        Spec: 2.2.1 ``mod_hub_client_info``: nothing is sent to a party that isn't CONNECTED.
        """
        party = self.message.receiver
        if party is None or not self.link.reaches(party):
            return None
        supply = receiver_is_supply(self.message.module, Side.RECEIVER)
        status = directory.said(self.link, party, supply=supply)
        return None if status is ConnectionStatus.CONNECTED else status


@frozen(kw_only=True)
class Errands:
    """Makes errands, and runs them."""

    exchange: Exchange
    lookup: Lookup
    inquiry: Inquiry
    codec: Codec
    pace: Pace

    def of(self, link: Link, name: Name, said: Said, tenure: Tenure) -> Errand:
        """The errand of an object as it was said last."""
        canonical = self.codec.loads(said.canonical)
        message = _message(link, name, said, canonical)
        structlog.contextvars.bind_contextvars(correlation_id=message.trace.correlation_id)
        return Errand(link, self.exchange.adapter(link), kind_of(name.module), said, canonical, message, tenure)

    async def translated(self, errand: Errand, directory: Directory) -> Translated:
        """The object in the link's form; a location that it needs and nobody knows is asked for once.

        Raises:
            Withheld: it must not be shown to this link, or can't be said to it.
            GatewayError: it can't be translated.
        """
        canonical = shown(errand.link, errand.message.module, errand.canonical)
        crossing = _crossing(errand.link, errand.message)

        async def lowered() -> Translated:
            down, _ = await self.lookup.through(
                lambda c: errand.adapter.down(errand.kind, canonical, c), crossing, directory, link=errand.link.id
            )
            return down

        try:
            return await lowered()
        except Withheld as withheld:
            if await self.inquiry.helps(withheld, canonical, directory):
                return await lowered()
            raise

    async def attempt(self, errand: Errand, change: Change) -> Attempt:
        """One request, its line in the log, and how it ended.

        Raises:
            Ousted: nothing was sent, because the tenure may be over.
        """
        errand.tenure.check()
        body = None if change.body is None else Document(change.kind, change.body)
        trace = Trace(request_id=str(uuid.uuid4()), correlation_id=errand.message.trace.correlation_id)
        losses = change.loses(errand.canonical, errand.message.losses, partial(errand.adapter.touched, up=False))
        message = errand.message.evolve(verb=change.verb, ref=change.ref, body=body, trace=trace, losses=losses)
        way = Way.BILLING if message.module is Module.CDRS else Way.PUSHING
        started = time.perf_counter()
        attempt = await self.exchange.attempt(message, errand.link, within=DELIVERY_S, way=way)
        if attempt.turned_away:
            self.pace.turned_away(errand.link.id)
        elif attempt.good:
            self.pace.admitted(errand.link.id)
        crossed(
            Crossed(
                source=errand.said.source,
                source_version=errand.said.version,
                target=errand.link.id,
                target_version=errand.adapter.version,
                module=message.module,
                verb=change.verb,
                action=None,
                status=attempt.answer.status if attempt.answer else None,
                losses=message.losses,
                ms=round((time.perf_counter() - started) * 1000, 1),
                reason=None if attempt.good else attempt.reason,
            )
        )
        return attempt

    async def asked(self, errand: Errand) -> Attempt:
        """Asking the receiver for the object, under its id."""
        trace = Trace(request_id=str(uuid.uuid4()), correlation_id=errand.message.trace.correlation_id)
        message = errand.message.evolve(verb=Verb.GET, trace=trace)
        return await self.exchange.attempt(message, errand.link, within=DELIVERY_S, way=Way.BILLING)


def _message(link: Link, name: Name, said: Said, canonical: Any) -> Message:
    """The push of an object: from its owner, to the party on the other side that it concerns."""
    receiver = link.their_party(supply=receiver_is_supply(name.module, Side.RECEIVER))
    declare_object(name.module, canonical)
    if name.module in (Module.SESSIONS, Module.CDRS):
        token = Document(kind_of(name.module), canonical).view().cdr_token
        concerned = Party(token.country_code, token.party_id)
        receiver = concerned if link.dialect.speaks_for(concerned) else receiver
    if said.receiver is not None and link.dialect.speaks_for(said.receiver):
        receiver = said.receiver  # addressed; the hub's own party, of a broadcast, is nobody's here
    return Message(
        module=name.module,
        verb=Verb.PUT,
        side=Side.RECEIVER,
        sender=link.told_by(name.owner, name.module),
        receiver=receiver,
        ref=Ref(owner=name.owner, id=_id_for(link, name.module, said.id), type=name.type),
        trace=Trace(request_id="", correlation_id=said.correlation or str(uuid.uuid4())),
    )


def takes(link: Link, module: Module) -> bool:
    """Whether the other side takes pushes of this module: it has the interface, and it isn't off on the link."""
    return (module, Side.RECEIVER) in link.dialect.endpoints and link.pushes(module)


def _crossing(link: Link, message: Message) -> Callable[[Any], Crossing]:
    return lambda facts: Crossing(
        facts=facts, policy=link.dialect.policy, owner=message.ref.owner, peer=message.receiver
    )


def _id_for(link: Link, module: Module, id: str) -> str:
    """The id of an object as the link knows it, shown or not."""
    return (link.tariff_id(id) or id) if module is Module.TARIFFS else id
