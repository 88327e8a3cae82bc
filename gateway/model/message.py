"""The envelope: one OCPI request or answer, in no particular version.

``HttpRequest`` and ``HttpAnswer`` are what the rim and the adapters hand each other: already decoded JSON, no sockets.
``Message`` and ``Answer`` are what an adapter makes of them. Opening (URL, headers, reference) is separate from
reading (the body), because reading may need facts and routing doesn't.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen

from gateway.model.document import Document
from gateway.model.facts import ABSENT, Loss
from gateway.model.modules import Module, Side, Verb
from gateway.model.party import Party


class Headers(Mapping[str, str]):
    """HTTP headers: one value a name, names compared without case, spelled as given."""

    __slots__ = ("_items",)

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self._items = {name.lower(): (name, value) for name, value in (headers or {}).items()}

    def __getitem__(self, name: str) -> str:
        return self._items[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Headers({list(self)})"  # names only: values hold tokens


def is_plain(value: str) -> bool:
    """Whether a value may go out in a header as it came in: printable ASCII, at least one character, at most 255."""
    return 0 < len(value) <= 255 and value.isascii() and value.isprintable()


def _as_headers(headers: Mapping[str, str]) -> Headers:
    return headers if isinstance(headers, Headers) else Headers(headers)


@frozen(kw_only=True)
class HttpRequest:
    """One HTTP request, body decoded.

    Attributes:
        method: upper case.
        url: absolute when it goes out; when it came in, the path below the version, for example
            ``("sender", "tokens", "04AA", "authorize")`` is in ``segments`` and ``url`` is what the caller used.
        segments: the path segments below the version, each percent-decoded on its own; empty for outgoing requests.
        query: query parameters, one value a name.
        body: a JSON value, or ABSENT.
    """

    method: str
    url: str
    segments: tuple[str, ...] = ()
    query: Mapping[str, str] = field(factory=dict)
    headers: Headers = field(factory=Headers, converter=_as_headers)
    body: Any = ABSENT


Slices = AsyncGenerator[Sequence[Any], None]
"""The items of a list, a slice at a time, each item a JSON value: a list need never be in memory as a whole."""


@frozen(kw_only=True)
class HttpAnswer:
    """One HTTP answer, body decoded: a JSON value, or ABSENT where there was none or it wasn't JSON.

    Attributes:
        items: what ``data`` of the envelope holds, where it is written as it comes; the body is the rest then.
    """

    status: int
    headers: Headers = field(factory=Headers, converter=_as_headers)
    body: Any = ABSENT
    items: Slices | None = field(default=None, eq=False)


@frozen(kw_only=True)
class Ref:
    """Which object a request is about. Ids as spelled by the sender; empty where the request names none.

    Attributes:
        owner: the party that owns the object: from the URL, the body or the link (2.1.1 has it only in the URL).
        id: location, session, CDR or tariff id, token uid, or session id of a charging profile.
        evse_uid, connector_id: deeper parts of a location.
        type: token type (2.2.1: ``?type=``, default RFID; None where the request doesn't say).
    """

    owner: Party | None = None
    id: str = ""
    evse_uid: str | None = None
    connector_id: str | None = None
    type: str | None = None


@frozen(kw_only=True)
class Query:
    """Parameters of a request. Spec: 2.2.1 ``transport_and_format`` 4.1.4, Pagination; ``mod_charging_profiles``.

    Attributes:
        date_from, date_to: DateTime; from inclusive, to exclusive.
        offset, limit: objects to skip, and objects on the page at most.
        cursor: where a page begins, in a ``Link`` of ours; no parameter of the specification.
        duration: of an active charging profile, in seconds.
        response_url: where the result of a charging profile request goes that has no body.
    """

    date_from: str | None = None
    date_to: str | None = None
    offset: int | None = None
    limit: int | None = None
    cursor: str | None = None
    duration: int | None = None
    response_url: str | None = None


@frozen(kw_only=True)
class Paged:
    """What the headers of one page of a list say. Spec: 2.2.1 ``transport_and_format`` 4.1.4, Pagination.

    Attributes:
        total: objects that the whole list has (``X-Total-Count``); None where nobody said.
        limit: objects that a page has at most (``X-Limit``).
        next: absolute URL of the next page (``Link``); None on the last one.
    """

    total: int | None = None
    limit: int | None = None
    next: str | None = None


@frozen(kw_only=True)
class Trace:
    """Ids of a message. The request id is new on each hop, the correlation id is kept from end to end.

    Spec: 2.2.1 ``transport_and_format`` 4.1.5 (Unique message IDs). 2.1.1 has neither; they are made up and sent along.
    """

    request_id: str
    correlation_id: str


@frozen(kw_only=True)
class Message:
    """One OCPI request, in no particular version.

    Attributes:
        module, verb, side: what it addresses; the side is the interface that the *receiver* plays.
        sender: the party it comes from.
        receiver: the party it is for; None is open routing: the router decides by content.
        ref: owner and ids.
        action: ``authorize``, ``charging_preferences``, ``callback``, or the name of a command; None for plain objects.
        body: as opened in the sender's wire form, as read in the canonical form; None without a body.
        losses: what reading it lost.
        wire_version: the version whose form the body still has; None once it is read.
    """

    module: Module
    verb: Verb
    side: Side
    sender: Party | None
    receiver: Party | None
    ref: Ref
    trace: Trace
    query: Query = field(factory=Query)
    action: str | None = None
    body: Document | None = None
    losses: tuple[Loss, ...] = ()
    wire_version: str | None = None

    def evolve(self, **changes: Any) -> Message:
        """A copy with some fields changed."""
        return evolve(self, **changes)


@frozen(kw_only=True)
class Answer:
    """The answer to a message, in no particular version.

    Attributes:
        status: OCPI status code; ``http`` the HTTP status.
        text: status_message.
        data: a Document (wire form when opened, canonical when read), a plain JSON value, or ABSENT.
        location: the ``Location`` header of a CDR POST, absolute.
        losses: what reading and writing it lost.
        sender: the party that answers, where the answer says so: of an open routing request it is the first news of it.
        page: of a list, what its headers say.
        items: of a list that is written as it comes, its items in wire form; ``data`` is ABSENT then.
    """

    status: int
    http: int = 200
    text: str | None = None
    data: Any = ABSENT
    location: str | None = None
    losses: tuple[Loss, ...] = ()
    sender: Party | None = None
    page: Paged | None = None
    items: Slices | None = field(default=None, eq=False)

    @property
    def good(self) -> bool:
        """Whether the other side handled it: 1000 to 1999. Spec: ``status_codes``, 1xxx success."""
        return 1000 <= self.status <= 1999

    def evolve(self, **changes: Any) -> Answer:
        """A copy with some fields changed."""
        return evolve(self, **changes)
