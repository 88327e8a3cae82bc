"""Everything that is read: lists and single objects, from what is stored and from their owners.

Who asks decides where the answer comes from. A partner reads ours from what is stored, as it may see it, and what it
pushed it reads back as it sent it. A backend reads a partner's from the partner itself, live, unless the partner's file
says otherwise (``serve: store``), and everybody's from what is stored. ``lists.py`` has the lists.

Spec: 2.2.1 and 2.1.1 ``mod_locations``, ``mod_sessions``, ``mod_cdrs``, ``mod_tariffs``, ``mod_tokens``: GET of both
interfaces; 2.2.1 ``transport_and_format``, GET All via Hubs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from attrs import evolve, frozen

from gateway.attaching import Attaching
from gateway.directory import Directory, Link
from gateway.exchange import Exchange, decided, hop
from gateway.listed import crossing_of, owner_in
from gateway.lists import Lists
from gateway.lookup import Lookup
from gateway.model.document import Document
from gateway.model.errors import NotFound, UnknownLocation
from gateway.model.facts import ABSENT, Withheld
from gateway.model.message import Answer, HttpRequest, Message, Ref
from gateway.model.modules import MODULES, Kind, Module, Side, kind_of
from gateway.model.names import Name, Said, fold
from gateway.model.party import Party
from gateway.ports import Codec
from gateway.routing import About, Forward, Target, route
from gateway.sharing import shown
from gateway.showing import Library, our_parties, tells_owners_apart

_PIECES: Final = ((Kind.EVSE, "evses", "uid"), (Kind.CONNECTOR, "connectors", "id"))


@frozen(kw_only=True)
class Shelves:
    """Answers every GET of a module's object or list."""

    exchange: Exchange
    store: Library
    lookup: Lookup
    lists: Lists
    attaching: Attaching
    codec: Codec

    async def answer(self, message: Message, source: Link, directory: Directory, http: HttpRequest) -> Answer:
        """The answer, in the reader's wire form.

        Raises:
            NotFound, UnknownLocation: there is no such object, or the reader may not see it.
            InvalidObject: a cursor that isn't the reader's.
            NotDurable: what is stored can't be read just now.
            NotConnected, ReceiverTimeout, ReceiverError: the owner's answer couldn't be had.
        """
        if message.module is Module.CDRS and message.side is Side.RECEIVER:
            return await self._posted_cdr(message, source, directory)
        if message.module is Module.HUB_CLIENT_INFO:
            return await self.lists.stored(None, message, source, directory, http)
        announced, about = await self._about(message, source, directory)
        plan = decided(route(message, source, directory, announced, about))
        target = plan.target if isinstance(plan, Forward) else None
        if _is_list(message):
            if target is not None:
                return await self.lists.passed(target, message, source, directory, http)
            return await self.lists.stored(self._listed(message, source, directory), message, source, directory, http)
        if target is not None:
            return await self._object_of(target, message, source, directory)
        if message.side is Side.RECEIVER:
            return await self._own_object(message, source, directory)
        return await self._object_of_ours(message, source, directory)

    def _listed(self, message: Message, source: Link, directory: Directory) -> Party | None:
        """Whose objects a list is of; None: of everybody that the reader sees."""
        if source.backend:
            return None if message.receiver == directory.hub else message.receiver
        owners = self._ours(message, source)
        return owners[0] if len(owners) == 1 and tells_owners_apart(source) else None

    # What was pushed here ---------------------------------------------------------------------------------------------

    async def _posted_cdr(self, message: Message, source: Link, directory: Directory) -> Answer:
        """GET on the URL that a CDR's POST was answered with: the CDR, as this sender sent it."""
        remembered = await self.store.recall(message.ref.id)
        name = Name.parse(remembered.decode()) if remembered else None
        said = await self.store.read(name) if name else None
        if name is None or said is None or said.source != source.id:
            raise NotFound("no CDR at this URL")
        return await self._as_sent(said, name, message, source, directory)

    async def _own_object(self, message: Message, source: Link, directory: Directory) -> Answer:
        """What the reader pushed, as it sent it last: so it sees what is known of it here."""
        name = await self._own_name(message)
        said = await self.store.read(name) if name is not None else None
        if name is None or said is None or said.deleted or said.source != source.id:
            raise NotFound(f"no such {kind_of(message.module)} was ever sent here")
        return await self._as_sent(said, name, message, source, directory)

    async def _own_name(self, message: Message) -> Name | None:
        ref = message.ref
        if ref.owner is None:
            return None
        if message.module is not Module.TOKENS or ref.type is not None:
            return Name(message.module, ref.owner, ref.id, ref.type)
        known = await self.lookup.token(ref.id, None, ref.owner)  # a 2.1.1 URL doesn't say the type
        return Name(message.module, ref.owner, ref.id, self.codec.loads(known.canonical)["type"]) if known else None

    async def _as_sent(self, said: Said, name: Name, message: Message, source: Link, directory: Directory) -> Answer:
        """In the sender's own wire form; in that of the version it speaks by now, if it has changed it since."""
        adapter, kind = self.exchange.adapter(source), kind_of(name.module)
        if said.version == adapter.version:
            wire = self.codec.loads(said.wire)
        else:
            canonical = await self.attaching.parted(name, self.codec.loads(said.canonical))
            down, _ = await self.lookup.through(
                lambda c: adapter.down(kind, canonical, c),
                crossing_of(source, name.owner, message.receiver),
                directory,
            )
            wire = down.data
        return Answer(status=1000, data=_piece(kind, wire, message.ref))

    # Ours, for partners -----------------------------------------------------------------------------------------------

    async def _object_of_ours(self, message: Message, source: Link, directory: Directory) -> Answer:
        """A location, or a piece of it, as its reader may see it.

        Raises:
            UnknownLocation: there is none (HTTP 404), or several are called so.
        """
        names = await self._seen(message, source)
        if len(names) > 1 and source.backend:
            raise UnknownLocation("several parties have one of that id: address the one that is meant")
        said = await self.store.read(names[0], source.id) if names else None
        if said is None or said.deleted:
            raise UnknownLocation(f"no such {MODULES[message.module].kind}", http=404)
        adapter, kind = self.exchange.adapter(source), kind_of(message.module)
        try:
            canonical = shown(source, message.module, self.codec.loads(said.canonical))
            down, _ = await self.lookup.through(
                lambda c: adapter.down(kind, canonical, c),
                crossing_of(source, names[0].owner, message.sender), directory, link=source.id,
            )  # fmt: skip
        except Withheld as withheld:
            raise UnknownLocation(f"no such {kind} for you: {withheld.reason}", http=404) from None
        return Answer(status=1000, data=_piece(kind, down.data, message.ref), losses=down.losses)

    async def _seen(self, message: Message, source: Link) -> list[Name]:
        """What the reader sees under an id, whoever owns it."""
        owners = await self.store.owners() if source.backend else self._ours(message, source)
        names = [Name(message.module, owner, message.ref.id) for owner in owners]
        return [name for name, seen in zip(names, await self.store.sees(source.id, names), strict=True) if seen]

    def _ours(self, message: Message, source: Link) -> tuple[Party, ...]:
        """Whose objects a partner means: ours that it addresses; all on the link where its version addresses nobody."""
        if message.receiver is not None and self.exchange.adapter(source).sends_routing_headers:
            return (message.receiver,)
        return our_parties(source)

    # A partner's, for backends ----------------------------------------------------------------------------------------

    async def _about(self, message: Message, source: Link, directory: Directory) -> tuple[str | None, About]:
        """Where a backend's read leads that addresses nobody: to the owner of what it means, if only one has it."""
        now = About(at=datetime.now(UTC))
        open_to_all = source.backend and message.receiver is None and message.side is Side.SENDER
        if not open_to_all or _is_list(message):
            return None, now
        names = await self._seen(message, source)
        if len(names) != 1:
            return None, now
        link = directory.source_of(names[0].owner, message.module)
        return link.id if link else None, evolve(now, party=names[0].owner)

    async def _object_of(self, target: Target, message: Message, source: Link, directory: Directory) -> Answer:
        """One object, from the party that has it: live."""
        link = directory[target.link]
        pushed = message.side is Side.RECEIVER  # the reader's own, as its receiver has it
        ref = message.ref
        if pushed and message.module is Module.TARIFFS:
            ref = evolve(ref, id=link.tariff_id(ref.id) or ref.id)
        onward = message.evolve(receiver=target.party, ref=ref, trace=hop(message.trace))
        answer = await self.exchange.ask(onward, source, link)
        if not answer.good or not isinstance(answer.data, Document):
            return answer.evolve(data=ABSENT)
        kind, wire = answer.data.kind, answer.data.data
        if pushed and kind is Kind.TARIFF and isinstance(wire.get("id"), str):
            wire = {**wire, "id": link.tariff_meant(wire["id"])}
        if not pushed:
            told = owner_in(wire) if self.exchange.adapter(link).sends_routing_headers else None
            onward = onward.evolve(ref=evolve(ref, owner=told or target.party))
        up, down = await self.exchange.across(kind, wire, onward, link, source, directory)
        return answer.evolve(data=Document(kind, down.data), losses=(*up.losses, *down.losses), http=200)


def _is_list(message: Message) -> bool:
    return message.side is Side.SENDER and message.ref.id == ""


def _piece(kind: Kind, wire: Any, ref: Ref) -> Document:
    """The object that a reference names, in wire form: a location, or the EVSE or connector inside it.

    Raises:
        UnknownLocation: it has no such piece.
    """
    for (deeper, pieces, name), wanted in zip(_PIECES, (ref.evse_uid, ref.connector_id), strict=True):
        if wanted is not None:
            wire = _named(wire.get(pieces) or (), name, wanted)
            kind = deeper
    return Document(kind, wire)


def _named(pieces: Sequence[Mapping[str, Any]], name: str, wanted: str) -> Mapping[str, Any]:
    for piece in pieces:
        if fold(str(piece.get(name))) == fold(wanted):
            return piece
    raise UnknownLocation("no such EVSE or connector", http=404)
