"""A location that nobody pushed, asked from its owner: once, because something that embeds it is on its way.

A 2.1.1 session holds its whole location. Where the owner's platform never told us that location, it is read from its
Sender interface and kept as a fact, for a day: it was not pushed, so nobody is shown it for its own sake.

Spec: 2.1.1 and 2.2.1 ``mod_locations``, Sender interface, GET Object.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from attrs import frozen

from gateway.directory import Directory
from gateway.exchange import Exchange, crossing
from gateway.lookup import FACT_S, kept_fact
from gateway.model.document import Document
from gateway.model.errors import GatewayError, NotDurable
from gateway.model.facts import Withheld
from gateway.model.message import Message, Ref, Trace
from gateway.model.modules import Kind, Module, Side, Verb
from gateway.model.names import Name
from gateway.model.party import Party
from gateway.ports import Codec, Objects

log = structlog.get_logger()

LOCATION_UNKNOWN: Final = 2003
"""The status of ``Withheld`` for a session whose location nobody knows (yet)."""

_ASK_S: Final = 5.0
_NOT_AGAIN_S: Final = 60.0
"""Seconds for which an owner that didn't have it isn't asked again."""


@frozen(kw_only=True)
class Inquiry:
    """Asks owners."""

    exchange: Exchange
    objects: Objects
    codec: Codec

    async def helps(self, withheld: Withheld, session: Any, directory: Directory) -> bool:
        """Whether it is worth trying again: a session was withheld for its location, which could be had now.

        Raises:
            NotDurable: the store is away.
        """
        return withheld.status == LOCATION_UNKNOWN and await self.location(location_of(session), directory)

    async def location(self, name: Name, directory: Directory) -> bool:
        """Whether the location could be had; it is a fact from now on.

        Raises:
            NotDurable: the store is away.
        """
        now = datetime.now(UTC)
        link = directory.backend_of(name.owner, supply=True, at=now)
        link = link or directory.partner_of(name.owner, supply=True, at=now)
        asked = f"asked:{name.text}"
        if link is None or not link.registered or await self.objects.recall(asked):
            return False
        await self.objects.remember(asked, b"1", _NOT_AGAIN_S)
        message = Message(
            module=Module.LOCATIONS,
            verb=Verb.GET,
            side=Side.SENDER,
            sender=link.dialect.ours[0].party,
            receiver=name.owner,
            ref=Ref(owner=name.owner, id=name.id),
            trace=Trace(request_id=str(uuid.uuid4()), correlation_id=str(uuid.uuid4())),
        )
        adapter = self.exchange.adapter(link)
        try:
            answer = await self.exchange.ask(message, link, link, within=_ASK_S)
            if not answer.good or not isinstance(answer.data, Document):
                return False
            wire = answer.data.data
            up, _ = await self.exchange.lookup.through(
                lambda c: adapter.up(Kind.LOCATION, wire, c), crossing(message, link), directory
            )
        except NotDurable:
            raise
        except (GatewayError, Withheld) as error:
            log.info("location.not_had", partner=link.id, module=Module.LOCATIONS, reason=str(error))
            return False
        await self.objects.remember(kept_fact(name), self.codec.dumps(up.data), FACT_S)
        return True


def location_of(session: Any) -> Name:
    """The name of a canonical session's location. It is its owner's, as the session is."""
    return Name(Module.LOCATIONS, Party.of(session["country_code"], session["party_id"]), session["location_id"])
