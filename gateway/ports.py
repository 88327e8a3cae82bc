"""What the core needs from outside, as Protocols. ``app.py`` supplies them.

An ``Adapter`` is one OCPI version: it opens and writes requests and answers (URL, headers, reference), and translates
bodies up to the canonical form and down from it. It is pure: no sockets, no clock, no Redis. Whatever a translation
must know beyond its argument, it asks of the facts.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from gateway.model.attached import Attached
from gateway.model.change import Change as Change
from gateway.model.dialect import Dialect, Seat
from gateway.model.facts import Crossing, Needs, Translated
from gateway.model.message import Answer, HttpAnswer, HttpRequest, Message, Paged, Ref
from gateway.model.modules import Kind, Module, Side
from gateway.model.names import (
    Backlog,
    CdrChange,
    CdrEntry,
    CdrState,
    Due,
    Held,
    Mark,
    Name,
    Registered,
    Said,
    Saying,
    Sent,
    Sight,
)
from gateway.model.party import Party
from gateway.model.peer import PeerCredentials as PeerCredentials
from gateway.model.policy import Policy
from gateway.model.prices import Connector, Flag, Gone, Linked, Place, Places, Priced, Read, Wanted
from gateway.model.tables import MapTable


class Adapter(Protocol):
    """One OCPI version."""

    @property
    def version(self) -> str:
        """The VersionNumber, for example ``2.2.1``."""

    @property
    def token_encoding(self) -> str:
        """How this version writes credentials tokens into the Authorization header: ``raw`` or ``base64``."""

    @property
    def modules(self) -> frozenset[Module]:
        """The modules that this version has."""

    @property
    def sends_routing_headers(self) -> bool:
        """Whether requests of this version name sender and receiver, so that one link can carry several parties."""

    # Bodies ---------------------------------------------------------------------------------------------------------

    def up(self, kind: Kind, data: Any, crossing: Crossing) -> Translated | Needs:
        """An object of this version in the canonical form.

        Raises:
            InvalidObject: it breaks this version's specification; names the field as the wire spells it.
            Withheld: it can't be said in the canonical form.
        """

    def down(self, kind: Kind, data: Any, crossing: Crossing) -> Translated | Needs:
        """A canonical object in this version's form.

        Raises:
            Withheld: it must not be shown to this receiver, or can't be said in this version.
        """

    def too_long(self, kind: Kind, data: Any) -> tuple[str, ...]:
        """Pointers to the texts of an object of this version that are longer than it has room for."""

    def explain(self, kind: Kind | None = None) -> tuple[MapTable, ...]:
        """How its objects differ from the next newer version's: of one kind, or of all; empty for the newest.

        Raises:
            Withheld: this version has no such object.
        """

    def touched(self, kind: Kind, names: frozenset[str], *, up: bool) -> frozenset[str]:
        """The top-level fields on the other side whose value may change when these do.

        Args:
            names: of this version's object (up), or of the canonical one's (down).
        """

    def merge(self, kind: Kind, stored: Any, ref: Ref, fragment: Any, policy: Policy) -> Any:
        """A PATCH merged into the stored object, both in this version's wire form; ``stored`` isn't touched.

        Args:
            kind: of the stored object (location, also where the fragment is an EVSE's or connector's).
            ref: what the PATCH addresses; deeper than the object for EVSEs and connectors.

        Raises:
            InvalidObject: the fragment isn't an object, lacks what this version requires in a PATCH, or changes an id.
            NotFound: the piece it addresses isn't in the stored object.
        """

    def place(self, stored: Any, ref: Ref, piece: Any) -> Any:
        """The PUT of an EVSE or connector placed into its stored location, in wire form, replacing or appending it.

        The location's (and EVSE's) ``last_updated`` follows the piece's. Raises NotFound where the parent is missing.
        """

    def changes(
        self, kind: Kind, ref: Ref, before: Any | None, after: Any, touched: frozenset[str], policy: Policy
    ) -> tuple[Change, ...]:
        """The requests that bring a receiver from ``before`` (None: it has nothing) to ``after``, in wire form.

        Empty when nothing but ``last_updated`` differs. One PATCH, at the level where the change is, when this version
        can say it; else a PUT. ``touched`` names top-level fields that go out even if they are equal.
        """

    # Transport --------------------------------------------------------------------------------------------------------

    def open_request(self, http: HttpRequest, dialect: Dialect) -> Message:
        """URL, headers and reference of a request; the body stays in wire form (``message.wire_version``).

        A GET without an id is a list, with its ``query``. A call of a ``callback_url`` of ours has the action
        ``callback`` and its id in ``ref.id``; its body is a ``Kind.COMMAND_RESULT`` whatever was asked, an object or a
        bare word.

        Raises:
            NotFound: no such path in this version, or another party's URL.
            NotAllowed: a method that the resource doesn't have.
            InvalidObject: headers, ids or parameters contradict each other, are missing, or can't be understood.
        """

    def write_request(self, message: Message, dialect: Dialect) -> HttpRequest:
        """The request for a message whose body is in this version's wire form. Authorization is added by the rim.

        Raises:
            NotConnected: the other side has no endpoint for it.
            NotAllowed: this version has no such request.
            InvalidObject: an id that no URL can carry.
        """

    def open_answer(self, http: HttpAnswer, message: Message, dialect: Dialect, called: str | None = None) -> Answer:
        """Status, data (wire form) and what the headers say of an answer.

        The data is a Document; of a list, a JSON list, or ABSENT with ``items`` where it is streamed, and ``page``
        beside it; of charging preferences a word.

        Args:
            called: the URL that was called, if it wasn't the message's own but the link to a further page.

        Raises:
            ReceiverError: it isn't an OCPI answer, or lacks the data that it must have.
        """

    def write_answer(
        self, answer: Answer, message: Message | None, dialect: Dialect | None, unopened: HttpRequest | None = None
    ) -> HttpAnswer:
        """The envelope, statuses and headers for an answer whose data is in this version's wire form.

        Statuses this version lacks are mapped. ``message`` and ``dialect`` are None where the request couldn't be
        opened, ``dialect`` alone where the caller isn't known.

        Args:
            unopened: a request of a functional module that couldn't be opened: who should read its answer is in it.
        """

    def callback_url(self, id: str, dialect: Dialect) -> str:
        """Our URL at which a result is awaited, for a short id without dots and slashes. Peers have 255 characters."""

    def write_callback(self, message: Message, url: str, dialect: Dialect) -> HttpRequest:
        """The request that brings a result (in this version's wire form) to the ``response_url`` that its asker gave.

        Its answer is opened as that of any message: ``open_answer`` with the action ``callback``.
        """

    # Registration -----------------------------------------------------------------------------------------------------

    def write_details(self, dialect: Dialect) -> Any:
        """Our version details for this link: a JSON object with ``version`` and ``endpoints``."""

    def read_details(self, data: Any, theirs: Sequence[Seat]) -> Mapping[tuple[Module, Side], str]:
        """The other side's endpoints from its version details. Unknown modules and roles are skipped.

        Raises:
            InvalidObject: no list of endpoints, or an endpoint without url.
        """

    def write_credentials(self, token: str, dialect: Dialect) -> Any:
        """Our credentials object for this link, carrying ``token``."""

    def read_credentials(self, data: Any, theirs: Sequence[Seat]) -> PeerCredentials:
        """Their credentials object. ``theirs`` are the configured roles, for versions that don't say them.

        Raises:
            InvalidObject: it breaks this version's specification.
        """


class Codec(Protocol):
    """Strict JSON: bytes to values and back, numbers exact."""

    def loads(self, data: bytes) -> Any:
        """Raises BadJson."""

    def dumps(self, value: Any) -> bytes:
        """The JSON text, UTF-8."""


class Way(StrEnum):
    """What a request is for: each kind has connections of its own to each link, so that none queues behind another."""

    PUSHING = "pushing"  # and everything that isn't one of the others
    ASKING = "asking"  # authorizations
    BILLING = "billing"  # CDRs
    PULLING = "pulling"  # lists that we read for ourselves


class Wire(Protocol):
    """One HTTP exchange with the other side of a link, within a deadline."""

    async def send(self, link: str, request: HttpRequest, *, within: float, way: Way = Way.PUSHING) -> HttpAnswer:
        """Send with this link's credentials token and read the answer.

        Args:
            link: id of the link.
            within: seconds for everything: connecting, sending, reading.
            way: what it is for.

        Raises:
            NotConnected: nothing was sent; safe to send again.
            ReceiverTimeout, ReceiverError: something was sent, and no usable answer came.
        """

    def stream(
        self, link: str, request: HttpRequest, *, within: float, way: Way = Way.PUSHING
    ) -> AbstractAsyncContextManager[Incoming]:
        """As ``send``, for a list that may be larger than memory: its items are read as they come.

        Args:
            within: seconds until the answer begins; it may take as long as it likes, while something comes.
        """


class Incoming(Protocol):
    """An answer that is still coming in. What hasn't been read when its context ends isn't read any more."""

    @property
    def listed(self) -> bool:
        """Whether ``data`` has turned out to be a list. Known once ``items`` has given some, or ended."""

    @property
    def answer(self) -> HttpAnswer:
        """The answer as far as it has come, without the items: its body is the envelope's other members.

        ABSENT, once ``items`` has ended, if there was no envelope.
        """

    def items(self) -> AsyncGenerator[Sequence[bytes], None]:
        """The items of the list, each as bytes of JSON, unread, as many as have come.

        Raises:
            ReceiverTimeout, ReceiverError: nothing more came in time, the connection broke, or what came is no list.
        """


class Objects(Protocol):
    """What is said: objects under their owners. Every method raises NotDurable while the store is away."""

    async def read(self, name: Name, link: str | None = None) -> Said | None:
        """The object as the link may know it: its variant if there is one, else the general object."""

    async def read_many(self, names: Sequence[Name], link: str | None = None) -> list[Said | None]:
        """Objects in the order of their names, in one round trip."""

    async def read_for(self, name: Name, links: Sequence[str]) -> tuple[Said | None, dict[str, Said]]:
        """The general object, and the variants of those among the links that have one."""

    async def with_variants(self, names: Sequence[Name]) -> set[Name]:
        """Those of which anybody at all has a variant, in one round trip."""

    async def say(
        self,
        name: Name,
        canonical: bytes,
        wire: bytes,
        version: str,
        source: str,
        expect: int | None,
        owed: Sequence[str],
        variant: str | None = None,
        deleted: bool = False,
        *,
        correlation: str = "",
        receiver: Party | None = None,
    ) -> int:
        """Write the object and note whom it is owed to, in one step. Raises Moved if ``expect`` is wrong."""

    async def say_all(self, sayings: Sequence[Saying]) -> list[int]:
        """Write each, a few hundred in one round trip; -1 instead of its sequence where ``expect`` was wrong."""

    def retold(self, every: float = 1.0) -> AsyncGenerator[str | None, None]:
        """Folded uids of tokens as they are said; None: any may have been."""

    async def index_token(self, name: Name, contract_id: str, former: str | None = None) -> None:
        """Find the token by uid and contract from now on."""

    async def index_tokens(self, tokens: Sequence[tuple[Name, str, str | None]]) -> None:
        """The same of many, each with its contract and the former one."""

    async def index_session(self, name: Name, contract_id: str) -> None:
        """Find the session by the contract that is charging."""

    async def index_location(self, name: Name, tariff_ids: Collection[str]) -> None:
        """Find the location by the tariffs that its connectors name."""

    async def locations_of_tariff(self, owner: Party, tariff_id: str) -> list[Name]:
        """Locations that name a tariff, or once did."""

    async def owe(self, link: str, name: Name, at_ms: int) -> int:
        """A new reason to look at the object for this link."""

    async def tokens_of_contract(self, contract_id: str) -> list[Name]:
        """Tokens of a contract."""

    async def sessions_of_contract(self, contract_id: str) -> list[Name]:
        """Sessions of a contract."""

    async def tokens_by_uid(self, uid: str) -> list[Name]:
        """Tokens with this uid, of every type and owner."""

    async def remember(self, id: str, value: bytes, ttl: float | None) -> None:
        """Find ``value`` under ``id`` for ``ttl`` seconds; None: for good."""

    async def recall(self, id: str) -> bytes | None:
        """What was remembered under ``id``."""

    async def forget(self, id: str) -> None:
        """Nothing is found under ``id`` any more."""

    async def names(self, owner: Party, module: Module, after: int = 0, limit: int = 500) -> list[tuple[int, Name]]:
        """The owner's objects of a module that aren't deleted, by rank, from the one after ``after`` on."""

    async def owners(self) -> list[Party]:
        """Everyone of whom an object was ever said."""


class Owed(Objects, Protocol):
    """What is owed: due objects and CDRs under their receivers. Every method raises NotDurable as above."""

    async def owe_all(self, link: str, names: Iterable[Name]) -> None:
        """A new reason to look at each of these objects for this link, as of now."""

    async def spread(
        self, name: Name, first: Callable[[Sequence[str]], Awaitable[None]] | None = None
    ) -> tuple[str, ...]:
        """Turn the fan-out note of an object into due entries; the links that got one.

        With ``first`` something is done for these links before.
        """

    async def orphans(self, older_than_ms: int = 0) -> int:
        """Spread the notes that a crash left behind."""

    def woken(self, every: float = 1.0) -> AsyncGenerator[str | None, None]:
        """Links as they are owed something; None: look at all of them."""

    async def mark(self, link: str) -> Mark:
        """How far the link has come: what becomes due, or is shown to it, from now on lies behind this."""

    async def owing(self) -> list[str]:
        """Links with anything due or any CDR pending."""

    async def due(self, link: str, now_ms: int, limit: int) -> list[Due]:
        """What is due by now, oldest first."""

    async def owed_entry(self, link: str, name: Name) -> Due | None:
        """The entry of an object that is due now or later."""

    def owed_entries(self, link: str) -> AsyncGenerator[Due, None]:
        """All objects that are due now or later; never all in memory."""

    async def owed_among(self, link: str, names: Sequence[Name]) -> list[Due]:
        """The entries of those among these objects that are due now or later."""

    async def take(
        self, link: str, name: Name, *, fence: int | None = None, before: Sequence[Name] = (), by_ms: int = 0
    ) -> Sent | None:
        """What the receiver is known to have; as of now it has this only perhaps, until ``settle``.

        Where one of ``before`` is due by ``by_ms``, that goes first: raises Early, and nothing is done.
        Here and below, a ``fence`` of a former tenure raises Ousted, and nothing is done.
        """

    async def settle(
        self, link: str, due: Due, sent: Sent | None, again_ms: int | None = None, *, fence: int | None = None
    ) -> bool:
        """An attempt ended well: the receiver has this now; None: nothing."""

    async def dismiss(self, link: str, due: Due, *, fence: int | None = None) -> bool:
        """There is nothing to be done about it; what the receiver has stays known."""

    async def postpone(
        self, link: str, due: Due, at_ms: int, *, perhaps: Sent | None = None, fence: int | None = None
    ) -> bool:
        """An attempt failed: look again later."""

    async def hold(
        self, link: str, due: Due, reason: str, detail: str, *,
        perhaps: Sent | None = None, fence: int | None = None,
    ) -> bool:  # fmt: skip
        """Set aside until a new reason comes."""

    async def held(self, link: str) -> list[Held]:
        """What is set aside, longest first."""

    async def held_entry(self, link: str, name: Name) -> Held | None:
        """The object, if it is set aside."""

    async def urge(self, link: str) -> int:
        """Whatever waits for its next attempt after a failure is due now; how many it was."""

    async def backlog(self, link: str) -> Backlog:
        """What the link is owed, in numbers."""

    async def notify(self, *links: str) -> None:
        """Whoever waits in ``woken`` learns that these links are owed something."""

    async def cdr_owe(self, link: str, name: Name, at_ms: int) -> bool:
        """The CDR is owed to this link; False, and nothing done, if it ever was before."""

    async def cdr_next(self, link: str, now_ms: int, limit: int) -> list[CdrEntry]:
        """Pending CDRs whose time has come."""

    async def cdr_in_flight(self, link: str) -> list[CdrEntry]:
        """CDRs that somebody is posting just now, or was when its process died."""

    async def cdr_entry(self, link: str, name: Name) -> CdrEntry | None:
        """Where this CDR stands towards this link; None if it was never owed to it."""

    async def cdr_page(
        self, link: str, *, done: bool, after: str | None = None, limit: int = 500
    ) -> tuple[list[CdrEntry], str | None]:
        """Some of the CDRs that are done, or of those that aren't, and the cursor of what follows; None: nothing."""

    def cdr_entries(self, link: str, *, done: bool) -> AsyncGenerator[CdrEntry, None]:
        """All CDRs of a link that are done, or all that aren't; never all in memory."""

    async def cdr_move(
        self,
        link: str,
        name: Name,
        from_states: Collection[CdrState],
        to_state: CdrState,
        *,
        reason: str = "",
        at_ms: int | None = None,
        location: str | None = None,
        digest: str | None = None,
        since_ms: int | None = None,
        who: str = "",
        fence: int | None = None,
    ) -> bool:
        """The CDR goes to another state, if it is in one of ``from_states``."""

    async def counts(self, link: str) -> Mapping[CdrState, int]:
        """How many CDRs of a link are in each state."""

    async def changes(self, after: str | None, limit: int) -> tuple[list[CdrChange], str]:
        """What has changed in the ledger since, of all links, and the cursor for the next call.

        What isn't a cursor raises InvalidObject.
        """

    async def history(self, link: str, name: Name) -> list[CdrChange]:
        """The changes of one CDR towards one link, oldest first."""

    def lane(self, link: str, name: Name, ms: int, *, turn_ms: int | None = None) -> AbstractAsyncContextManager[None]:
        """Alone with this object towards this link, in all replicas; who has to wait for longer raises ReceiverTimeout.

        Args:
            ms: how long to keep it at most.
            turn_ms: how long to wait for it at most; None: as long as it may be kept.
        """


class Leases(Protocol):
    """Who brings a link what it is owed: one replica at a time. Every method raises NotDurable as above."""

    async def lease(self, link: str, who: str, ms: int) -> int | None:
        """Takes or keeps the lease of a link: the fence for all that is written under it. None: somebody else's."""

    async def release(self, link: str, who: str) -> None:
        """The lease ends now, if this process has it."""

    async def leases(self, links: Sequence[str]) -> Mapping[str, str]:
        """Who has the lease of these links; without those that nobody has."""


class Seen(Protocol):
    """What each link may list. Every method raises NotDurable as above.

    Pages are names, how many the whole list has, and the cursor of what follows (None: nothing). A page that begins
    after a cursor misses nothing, whatever was taken out or moved since. What isn't a cursor raises InvalidObject.
    """

    async def see(self, link: str, name: Name, last_updated_ms: int, *, among: Party | None = None) -> None:
        """The link may list this object; with ``among`` also where it lists those of this owner alone."""

    async def see_all(self, sights: Iterable[Sight]) -> None:
        """Links may list objects as of now, or no longer; many in one round trip."""

    async def unsee(self, link: str, name: Name, *, among: Party | None = None) -> None:
        """The link may no longer list it, nor ``among`` the objects of anybody."""

    async def unsee_all(self, link: str) -> None:
        """The link may list nothing any more."""

    async def rank(self, link: str, name: Name) -> int | None:
        """The place of an object among all that the link learned of; None for one that it may not list."""

    async def sees(self, link: str, names: Sequence[Name]) -> list[bool]:
        """For each name whether the link may list it."""

    async def seen_page(
        self, link: str, module: Module, *,
        owner: Party | None = None, after: str | None = None, offset: int = 0, limit: int,
    ) -> tuple[list[Name], int, str | None]:  # fmt: skip
        """A page in the order in which the link learned of the objects."""

    async def seen_between(
        self, link: str, module: Module, *,
        owner: Party | None = None, from_ms: int | None = None, to_ms: int | None,
        after: str | None = None, offset: int = 0, limit: int,
    ) -> tuple[list[Name], int, str | None]:  # fmt: skip
        """A page of what was updated from ``from_ms`` on and before ``to_ms``, by last_updated."""


class Deadlines(Protocol):
    """What happens once, or by a time, over all replicas. Every method raises NotDurable as above."""

    async def claim(self, id: str, value: bytes, ttl: float) -> bytes | None:
        """Who is first has ``id`` for ``ttl`` seconds and reads None; everybody else reads what that one said."""

    async def set_deadline(self, id: str, at_ms: int) -> None:
        """``id`` is overdue from this time on."""

    async def clear_deadline(self, id: str) -> bool:
        """It has no deadline any more; whether it had one."""

    async def overdue(self, now_ms: int, limit: int) -> list[str]:
        """What is overdue; the caller's alone for 30 s, and somebody's again if it isn't cleared by then."""


class Reservations(Protocol):
    """Numbers for reservations, which 2.1.1 wants. Every method raises NotDurable as above."""

    async def reservation_number(self, link: str, owner: Party, id: str) -> int:
        """The number, from 1 to 2^31-1, that always stands for this eMSP's reservation on this link."""

    async def reservation_of(self, link: str, number: int) -> tuple[Party, str] | None:
        """The eMSP and the id that a number stands for."""


class Pulled(Protocol):
    """How far lists of others have been read. Every method raises NotDurable as above."""

    async def lease(self, link: str, who: str, ms: int) -> int | None:
        """Takes or keeps a list to read: the fence for what is written under it. None: somebody else reads it."""

    async def release(self, link: str, who: str) -> None:
        """The lease ends now, if this process has it."""

    async def leases(self, links: Sequence[str]) -> Mapping[str, str]:
        """Who reads these lists; without those that nobody reads."""

    async def pulls(self, lists: Sequence[str]) -> list[bytes | None]:
        """The states of these lists, in one round trip."""

    async def pull_keep(self, list_: str, state: bytes, *, fence: int | None = None) -> None:
        """The state of a list. Raises Ousted."""

    async def pull_listed(self, list_: str, crawl: str, names: Sequence[Name]) -> None:
        """These objects were seen in this crawl."""

    async def pull_lists(self, list_: str, crawl: str, names: Sequence[Name]) -> list[bool]:
        """For each of these objects whether it was seen in this crawl."""

    async def pull_forget(self, list_: str, crawl: str) -> None:
        """Nobody asks any more what was seen in this crawl."""


class Subscriptions(Protocol):
    """Who set a charging profile on a session. Every method raises NotDurable as above."""

    async def subscribe(self, session: Name, link: str, value: bytes = b"", *, ttl: float) -> None:
        """This link did; it is known for ``ttl`` seconds."""

    async def subscribers(self, session: Name) -> dict[str, bytes]:
        """The links that did, each with its value."""

    async def unsubscribe(self, session: Name, link: str) -> None:
        """This link has taken it away."""


class News(Protocol):
    """What is found out about links while the gateway runs. Every method raises NotDurable as above."""

    async def announce(self, topic: str, text: str) -> None:
        """All replicas hear it."""

    def announcements(self, every: float = 1.0) -> AsyncGenerator[tuple[str, str] | None, None]:
        """What is announced; None: something may have been missed, look at everything."""

    async def set_fact(self, link: str, field: str, value: bytes | None) -> None:
        """A fact about a link; None takes it away."""

    async def facts(self, link: str) -> dict[str, bytes]:
        """All facts about a link."""

    async def client_put(self, link: str, field: str, value: bytes) -> None:
        """What is known of a party behind this link."""

    async def client_drop(self, link: str, field: str) -> None:
        """Nothing is known of it any more."""

    async def clients(self, link: str) -> dict[str, bytes]:
        """All that is known of the parties behind this link."""


class Registrations(Protocol):
    """Who is registered. Every method raises NotDurable while the store is away."""

    async def registration(self, link: str) -> Registered | None:
        """The registration of a link."""

    async def register(
        self,
        link: str,
        expect_version: int | None,
        value: bytes,
        creds_add: Mapping[str, bytes],
        creds_drop: Sequence[str],
    ) -> int:
        """Replace the registration and its tokens, in the order that locks nobody out. Raises Moved."""


# Price feeds ----------------------------------------------------------------------------------------------------------


class Crawling(Protocol):
    """The way through one list of a feed, page by page."""

    @property
    def next(self) -> str | None:
        """The URL to call next; None when the list is read."""

    @property
    def total(self) -> int | None:
        """How many rows were promised; None: nobody said."""

    @property
    def rows(self) -> int:
        """How many were read, each counted as often as it stands on one page."""

    @property
    def doubles(self) -> Sequence[Sequence[str]]:
        """The ids of rows that stand more than once on the page that was read last; the first of them counts."""

    @property
    def slipped(self) -> bool:
        """Whether rows may have been missed, because the list became shorter while it was read."""

    @property
    def complete(self) -> bool:
        """Whether as much was read as was promised."""

    def take(self, http: HttpAnswer) -> list[Any]:
        """The rows of the answer to a call of ``next`` that weren't read before. Raises ReceiverError."""


class PriceShapes(Protocol):
    """The shapes of a price feed, read and written: an adapter, pure like every other."""

    @property
    def FEED(self) -> Party:
        """Who the feed is as a party of OCPI."""

    @property
    def VERSION(self) -> str:
        """The version of the locations that are served."""

    @property
    def MOST_OLD(self) -> int:
        """Objects on a page of the older shape, at most and if nobody says how many."""

    @property
    def MOST_NEW(self) -> int:
        """The same of the newer one."""

    def explain(self) -> tuple[MapTable, ...]:
        """How its prices differ from tariffs: the feed's names stand on the older side."""

    # Reading

    def crawl_rows(self, url: str, limit: int, *, cursor: bool) -> Crawling:
        """Through a list whose rows have an id. With ``cursor`` it goes on after the last id where no Link says how."""

    def crawl_connectors(self, url: str, limit: int) -> Crawling:
        """Through the newer shape's list of which price holds where."""

    def read_places(self, row: Any) -> Places:
        """The connectors of a location."""

    def read_connector_prices(self, row: Any) -> Linked | Flag:
        """Which prices hold at a connector; a Flag if it can't be read."""

    def read_new(self, row: Any, *, now: datetime) -> Read:
        """A row of prices of the newer shape."""

    def read_old(self, row: Any, *, now: datetime, operators: Collection[str] = ()) -> Read:
        """A row of the older one: one price for each product under its id."""

    def owner(self, priced: Priced, ema_ids: Iterable[str], owners: Mapping[str, Party]) -> Party:
        """Whose the tariff of an imported price is, towards partners."""

    # Writing

    def served_id(self, priced: Priced) -> str:
        """The id under which a price is served: another one when its content changes."""

    def write_new(self, priced: Priced, id: str | None = None) -> Translated:
        """A row of the newer shape. Raises Withheld."""

    def write_old(self, prices: Iterable[Priced], served: Iterable[str | None] = ()) -> dict[str, Any] | None:
        """The row of the older shape for all prices of a connector, by their served ids; None: it can't say any."""

    def write_connector_prices(self, linked: Linked, served: Iterable[str]) -> dict[str, Any]:
        """The row of a connector, with the ids of the prices as they are served."""

    def with_pricing_ids(self, location: Mapping[str, Any], served: Mapping[tuple[str, str], str]) -> dict[str, Any]:
        """A location whose connectors name their prices, by EVSE uid and connector id."""

    def lower_location(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """A feed's location of another version in that of ``VERSION``; None if it mustn't be published."""

    def with_statuses(self, location: Mapping[str, Any], told: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """A location with the pushes of its EVSEs, by folded uid, that aren't older than what it says itself."""

    def withdraw_location(self, location: Mapping[str, Any], since: str) -> dict[str, Any]:
        """A location that is no more since this DateTime."""

    def read_wanted(self, parameters: Mapping[str, str], most: int) -> Wanted:
        """Which part of a list somebody asks for. Raises InvalidObject."""

    def write_list(self, rows: Sequence[Any], page: Paged, *, new: bool) -> HttpAnswer:
        """A page of a list."""

    def write_one(self, row: Any, *, new: bool) -> HttpAnswer:
        """One object."""

    def write_refusal(self, status: int, http: int, message: str, *, new: bool) -> HttpAnswer:
        """An answer that says why there is no data."""

    # Statuses that it pushes

    def pushed_evse(self, segments: Sequence[str]) -> tuple[str, str] | None:
        """Location id and EVSE uid that a path of ours is about; None: no such path. Raises NotFound: another's."""

    def read_status(self, body: Any, *, now: datetime) -> dict[str, Any]:
        """What a push says of its EVSE, always with ``last_updated``. Raises InvalidObject."""

    def evse_of(self, location: Mapping[str, Any], uid: str) -> Mapping[str, Any] | None:
        """The EVSE of a location that has this uid."""

    def evse_uids(self, location: Any) -> list[str]:
        """The uids of the EVSEs of a location, those without connectors too."""

    def is_newer(self, push: Mapping[str, Any], *known: Mapping[str, Any]) -> bool:
        """Whether a push may stand over what it is about: the first of these that says when it was updated."""


class Prices(Protocol):
    """What price feeds have told, run by run. Every method raises NotDurable as above.

    A feed is meant by the id of its file. What is staged under a run counts as soon as the feed's state says so.
    """

    async def feeds(self) -> list[str]:
        """Feeds of which anything is kept."""

    async def feed_state(self, feed: str) -> bytes | None:
        """Its state, as it was kept last."""

    async def feed_keep(self, feed: str, state: bytes, *, run: str = "", fence: int | None = None) -> None:
        """Its state: in one step, so that a run that it names counts as a whole. Raises Ousted.

        Args:
            run: the one that the state names now: what was staged under it stays, and former runs go after an hour.
            fence: of the lease ``prices:FEED``.
        """

    async def feed_forget(self, feed: str) -> None:
        """Nothing is kept of it any more, but what is said of our connectors (``Attachments``)."""

    async def stage_locations(self, feed: str, run: str, rows: Sequence[tuple[str, bytes]]) -> None:
        """Locations by id, as bytes of JSON."""

    async def stage_places(self, feed: str, run: str, places: Sequence[Place]) -> None:
        """Their connectors; they are found by their ids, and by their spot (``gateway.model.attached``)."""

    async def stage_linked(self, feed: str, run: str, linked: Sequence[Linked]) -> None:
        """Which prices hold at connectors."""

    async def stage_prices(self, feed: str, run: str, prices: Sequence[Sequence[Priced]]) -> None:
        """Prices; those of one price id together."""

    async def stage_gone(self, feed: str, run: str, gone: Sequence[Gone]) -> None:
        """Locations that were there before."""

    async def run_forget(self, feed: str, run: str, after_s: float = 0.0) -> None:
        """Nobody reads what was staged under this run any more, after a while."""

    async def locations(self, feed: str, run: str, ids: Sequence[str]) -> list[bytes | None]:
        """Locations by id."""

    async def places(self, feed: str, run: str, connectors: Sequence[Connector]) -> list[Place | None]:
        """Connectors by their ids."""

    async def places_at(self, feed: str, run: str, spots: Sequence[str]) -> list[Place | None]:
        """Connectors by their spot; of several that claim one, that which was staged first."""

    async def linked(self, feed: str, run: str, connectors: Sequence[Connector]) -> list[Linked | None]:
        """Which prices hold at these connectors."""

    async def prices(self, feed: str, run: str, ids: Sequence[str]) -> list[tuple[Priced, ...]]:
        """Prices by price id; none where there is no such id."""

    def all_locations(self, feed: str, run: str) -> AsyncGenerator[list[tuple[str, bytes]], None]:
        """All of them, some at a time, each once, in no order; never all in memory."""

    def all_places(self, feed: str, run: str) -> AsyncGenerator[list[Place], None]:
        """The same."""

    def all_linked(self, feed: str, run: str) -> AsyncGenerator[list[Linked], None]:
        """The same."""

    def all_prices(self, feed: str, run: str) -> AsyncGenerator[list[tuple[Priced, ...]], None]:
        """The same."""

    async def gone(self, feed: str, run: str) -> list[Gone]:
        """Locations that were there before, by id."""

    async def status_keep(self, feed: str, location: str, evse_uid: str, told: bytes, *, former: bytes | None) -> bool:
        """What a feed told of an EVSE since it was read, as bytes of JSON. False: what it told before isn't ``former``
        any more (None: nothing), and nothing was kept."""

    async def statuses(self, feed: str, evses: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """The same of these EVSEs: location id and EVSE uid."""

    async def statuses_forget(self, feed: str, told: Mapping[tuple[str, str], bytes]) -> None:
        """What was told of these EVSEs doesn't count any more; where something else was told since, that does."""


class Attachments(Protocol):
    """What feeds say of our own connectors. Every method raises NotDurable as above."""

    async def attached(self, owner: Party, spots: Sequence[str]) -> dict[str, Attached]:
        """What all feeds together say of these connectors of an owner; those of which nothing is said aren't in it."""

    async def attach(self, feed: str, owner: Party, changes: Mapping[str, Attached | None]) -> None:
        """What one feed says of connectors from now on; None: nothing."""

    def attached_by(self, feed: str, owner: Party) -> AsyncGenerator[dict[str, Attached], None]:
        """All that one feed says of an owner's connectors, some at a time."""

    async def imported(self, feed: str) -> dict[Name, int | None]:
        """The tariffs that were said because of a feed; and when they are to be deleted, of those that left it (ms)."""

    async def imported_keep(self, feed: str, tariffs: Mapping[Name, int | None], gone: Sequence[Name] = ()) -> None:
        """Adds to them, changes when they are to be deleted, and takes some away."""


class Shelves(Protocol):
    """What is served of prices: lists of a view, as of one moment. Every method raises NotDurable as above."""

    async def view(self, view: str) -> bytes | None:
        """What was kept of a view."""

    async def view_keep(self, view: str, value: bytes, shown: Sequence[str], former: Sequence[str] = ()) -> None:
        """Something else is kept of it. It shows these shelves, and the former ones go once nobody reads them."""

    async def shelve(self, view: str, shelf: str, rows: Iterable[tuple[str, bytes]]) -> None:
        """A list of rows, by the ids by which it is ordered. There is no such shelf before it is whole."""

    async def shelf_use(self, view: str, shelf: str, *, further: bool = False) -> bool:
        """Whether there is such a shelf; if so it stays for an hour. ``further``: somebody may come back for more."""

    async def shelf_size(self, view: str, shelf: str, upto: str | None = None) -> tuple[int, int]:
        """How many rows it has, and how many of them come up to this id."""

    async def shelf_rows(self, view: str, shelf: str, start: int, limit: int) -> list[bytes]:
        """Rows in the order of their ids, from one with this number on."""

    async def shelf_row(self, view: str, shelf: str, id: str) -> bytes | None:
        """One row."""
