"""A question about a token, answered live by its eMSP. Spec: 2.2.1 ``mod_tokens`` 12.2.1.2, 2.1.1 ``mod_tokens`` 2.2.2.

The uid alone doesn't say whose token it is: whoever announced it is asked, under the type that its eMSP gave it. The
answer embeds the token in one version and not in the other, and the connectors that were asked about in the other.
Goes on without the store: only what would have been known of the token is missing then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, frozen

from gateway.directory import Directory, Link
from gateway.exchange import Exchange, decided, hop
from gateway.lookup import Lookup
from gateway.model.document import Document
from gateway.model.errors import NotDurable, ReceiverError, UnknownToken
from gateway.model.facts import ABSENT, Asked
from gateway.model.message import Answer, Message
from gateway.model.modules import Kind
from gateway.model.names import Said
from gateway.model.party import Party
from gateway.ports import Codec
from gateway.routing import Forward, route
from gateway.telemetry import declare

_LOOK_S: Final = 0.5
"""Seconds that an authorization waits for the store to say what is known of the token: its budget is the eMSP's."""


@frozen(kw_only=True)
class Authorizations:
    """Passes the question on, and the answer back."""

    exchange: Exchange
    lookup: Lookup
    codec: Codec

    async def ask(self, message: Message, source: Link, directory: Directory) -> Answer:
        """The eMSP's answer, in the asker's wire form.

        Raises:
            UnknownToken: nobody here knows it.
            NotDurable: open routing, and the store is away: who announced the token can't be told.
            NotConnected, ReceiverTimeout, ReceiverError: the eMSP's answer couldn't be had.
        """
        known = await self._known(message)
        announced = known.source if known is not None and known.source in directory else None
        plan = decided(route(message, source, directory, announced))
        if not isinstance(plan, Forward):
            raise UnknownToken("nobody here knows this token")
        link, party = directory[plan.target.link], plan.target.party
        token = self._token_of(known, party) or {"uid": message.ref.id, "type": message.ref.type}
        declare(token.get("contract_id"))
        question = message.evolve(
            receiver=party,
            ref=evolve(message.ref, owner=party, type=token["type"], id=token["uid"]),
            trace=hop(message.trace),
        )
        references = None
        if message.body is not None:
            up, down = await self.exchange.across(
                Kind.LOCATION_REFERENCES, message.body.data, message, source, link, directory
            )
            references = up.data
            question = question.evolve(
                body=Document(Kind.LOCATION_REFERENCES, down.data), losses=(*up.losses, *down.losses)
            )
        answer = await self.exchange.ask(question, source, link, within=link.authorize_timeout, asking=True)
        if not answer.good:
            return answer.evolve(data=ABSENT)
        if not isinstance(answer.data, Document):
            raise ReceiverError("the authorization was answered without an AuthorizationInfo")
        up, down = await self.exchange.across(
            Kind.AUTHORIZATION_INFO, answer.data.data, question, link, source, directory,
            asked=Asked(token=token, references=references),
            told=Asked(token=token, references=message.body.data if message.body else None),
        )  # fmt: skip
        info = Document(Kind.AUTHORIZATION_INFO, down.data)
        return answer.evolve(data=info, losses=(*up.losses, *down.losses), http=200)

    async def _known(self, message: Message) -> Said | None:
        try:
            async with asyncio.timeout(_LOOK_S):
                return await self.lookup.token(message.ref.id, message.ref.type, message.receiver)
        except (NotDurable, TimeoutError) as error:
            # Without the store an addressed question can still be asked; who announced the token can't be told.
            if message.receiver is None:
                raise NotDurable("who announced this token can't be looked up just now") from error
            return None

    def _token_of(self, known: Said | None, party: Party) -> dict[str, Any] | None:
        """The token as announced, if this is the party whose it is: uids of several eMSPs may be the same."""
        token = self.codec.loads(known.canonical) if known is not None else None
        return token if token is not None and _party(token) == party else None


def _party(token: Mapping[str, Any]) -> Party | None:
    try:
        return Party.of(token["country_code"], token["party_id"])
    except (KeyError, ValueError):
        return None
