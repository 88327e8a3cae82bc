"""The ledger in the admin API: what stands in it, what has changed, and what people decide.

``GET /api/ledger/changes`` is for the backend that wants to know what becomes of its CDRs without being called: it
keeps the cursor, and asks for what came after it. ``GET /api/ledger`` is what ``ocpi-gateway ledger list --json``
prints, and the three POSTs are ``ledger resend``, ``confirm`` and ``drop`` of one entry.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol, TypeVar

import msgspec
from aiohttp import web
from attrs import frozen

from gateway.ledger.book import BECOMES, OPEN, OWED_MODULES, Book, Decision, Entry, Verdict, Wanted, party_json
from gateway.model.errors import BadJson
from gateway.model.modules import Module
from gateway.model.names import CdrChange, CdrState
from gateway.model.party import Party
from gateway.web.admin import Parameter, Route, Schema, json, refuse
from gateway.web.json import dumps, loads

MOST: Final = 1000
"""Changes in one answer, at most."""

_USUAL: Final = 100
_A_WRITE: Final = 100
_WHO: Final = "the admin API"

E = TypeVar("E", bound=StrEnum)


class Store(Protocol):
    """What is needed of the store beside the book. Every method raises NotDurable while it is away."""

    async def changes(self, after: str | None, limit: int) -> tuple[list[CdrChange], str]:
        """Changes after a cursor, oldest first, and the cursor behind them. Raises InvalidObject for no cursor."""

    async def notify(self, *links: str) -> None:
        """Whoever delivers looks at these links."""


@frozen(kw_only=True)
class LedgerApi:
    """The routes of the ledger. ``links``: all receivers, as of now."""

    book: Book
    store: Store
    links: Callable[[], Awaitable[Sequence[str]]]

    @property
    def routes(self) -> tuple[Route, ...]:
        """For ``gateway.web.admin``."""
        return (
            Route(
                method="GET", path="/ledger/changes", id="ledgerChanges", handler=self._changes, query=_CHANGES_QUERY,
                about="What has become of CDRs since a cursor, oldest first; without one, within 30 days.",
                answer=_object(changes={"type": "array", "items": _ref("Change")}, cursor=_TEXT),
            ),
            Route(
                method="GET", path="/ledger", id="ledgerList", handler=self._list, query=_LIST_QUERY,
                about="Everything that is owed; with `all` or `state` also what is done.",
                answer={"type": "array", "items": _ref("Entry")},
            ),
            *(
                Route(
                    method="POST", path=f"/ledger/{{partner}}/{{module}}/{{owner}}/{{id}}/{verdict}",
                    id=f"ledger{verdict.capitalize()}", about=_ABOUT[verdict], handler=self._deciding(verdict),
                    segments=_SEGMENTS, body=_BODY, answer=_ref("Decided"),
                )
                for verdict in Verdict
            ),
        )  # fmt: skip

    async def _changes(self, request: web.Request) -> web.StreamResponse:
        limit = request.query.get("limit", str(_USUAL))
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= MOST):
            refuse(400, f"limit is a number from 1 to {MOST}")
        changes, cursor = await self.store.changes(request.query.get("after") or None, int(limit))
        return json({"changes": await self.book.told(changes), "cursor": cursor})

    async def _list(self, request: web.Request) -> web.StreamResponse:
        """A JSON list that is written while it is read: it may be longer than memory."""
        wanted = await self._wanted(request)
        response = web.StreamResponse()
        response.content_type = "application/json"
        async with aclosing(_slices(self.book.entries(wanted))) as slices:
            # Before the answer has begun, an error still is an answer; afterwards it cuts the connection.
            first: list[Entry] = await anext(slices, [])
            await response.prepare(request)
            await response.write(b"[" + _inner(first))
            async for entries in slices:
                await response.write(b"," + _inner(entries))
        await response.write_eof(b"]")
        return response

    def _deciding(self, verdict: Verdict) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def decide(request: web.Request) -> web.StreamResponse:
            given = _read_body(await request.read())
            entry = await self._entry(request)
            decision = Decision(verdict=verdict, reason=given.reason, who=given.who or _WHO, again=given.again)
            if why := await self.book.decide(entry, decision):
                refuse(409, f"{entry.id} {why}")
            await self.store.notify(entry.link)
            return json(
                {
                    "partner": entry.link,
                    "module": entry.name.module,
                    "owner": party_json(entry.name.owner),
                    "id": entry.id,
                    "state": BECOMES[verdict],
                    "reason": decision.reason,
                    "who": decision.who,
                }
            )

        return decide

    async def _entry(self, request: web.Request) -> Entry:
        partner, module = request.match_info["partner"], _one_of(Module, request.match_info["module"], "module")
        owner = _party(request.match_info["owner"])
        wanted = Wanted(links=(partner,), modules=frozenset({module}), owner=owner)
        found = await self.book.find(request.match_info["id"], wanted)
        if not found:
            refuse(404, f"nothing of that name stands in the ledger of {partner}")
        if len(found) > 1:
            refuse(409, "several tokens have this uid: decide with ocpi-gateway ledger")
        return found[0]

    async def _wanted(self, request: web.Request) -> Wanted:
        query = request.query
        links, partners = await self.links(), query.getall("partner", [])
        for partner in partners:
            if partner not in links:
                refuse(404, f"there is no partner {partner[:70]!r}")
        states = frozenset(_one_of(CdrState, state, "state") for state in query.getall("state", []))
        modules = frozenset(_one_of(Module, module, "module") for module in query.getall("module", []))
        everything = query.get("all", "false")
        if everything not in ("true", "false"):
            refuse(400, "all is true or false")
        return Wanted(
            links=tuple(partners or links),
            states=states or (frozenset(CdrState) if everything == "true" else OPEN),
            modules=modules or None,
            owner=_party(query["owner"]) if "owner" in query else None,
            since=_moment(query.get("since"), "since"),
            until=_moment(query.get("until"), "until"),
        )


class _Given(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a decision."""

    reason: str
    who: str = ""
    again: bool = False


def _read_body(raw: bytes) -> _Given:
    try:
        given = msgspec.convert(loads(raw), _Given)
    except BadJson as error:
        refuse(400, error.message)
    except msgspec.ValidationError as error:
        refuse(400, str(error))
    if not given.reason.strip() or len(given.reason) > _LONGEST or len(given.who) > _LONGEST:
        refuse(400, f"reason says why, in 1 to {_LONGEST} characters")
    return given


def _one_of(kind: type[E], text: str, what: str) -> E:
    try:
        return kind(text)
    except ValueError:
        refuse(400, f"{text[:40]!r} is no {what}: it is one of {', '.join(kind)}")


def _party(text: str) -> Party:
    try:
        return Party.parse(text)
    except ValueError as error:
        refuse(400, f"owner: {error}")


def _moment(text: str | None, what: str) -> int | None:
    """Milliseconds since 1970 of an RFC 3339 time."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))  # a plus that wasn't encoded
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        refuse(400, f"{what} is a time with its zone, such as 2026-03-03T11:00:00Z")
    return int(found.timestamp() * 1000)


async def _slices(entries: AsyncGenerator[Entry, None]) -> AsyncGenerator[list[Entry], None]:
    """The entries, as many at a time as are written at once."""
    async with aclosing(entries):
        part: list[Entry] = []
        async for entry in entries:
            part.append(entry)
            if len(part) == _A_WRITE:
                yield part
                part = []
        if part:
            yield part


def _inner(entries: Sequence[Entry]) -> bytes:
    """The items of a JSON list, without its brackets."""
    return b",".join(dumps(entry.json()) for entry in entries)


# What it says of itself -----------------------------------------------------------------------------------------------


_TEXT: Final[Schema] = {"type": "string"}
_MAYBE_TEXT: Final[Schema] = {"type": ["string", "null"]}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_MAYBE_TIME: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
_STATE: Final[Schema] = {"type": "string", "enum": [state.value for state in CdrState]}
_MAYBE_STATE: Final[Schema] = {"type": ["string", "null"], "enum": [*CdrState, None]}
_MODULE: Final[Schema] = {"type": "string", "enum": [module.value for module in OWED_MODULES]}
_LONGEST: Final = 500

_ABOUT: Final = {
    Verdict.RESEND: "Owe it again, as if for the first time. Of what is delivered, only with `again`.",
    Verdict.CONFIRM: "A person learned that the CDR arrived: it counts as delivered.",
    Verdict.DROP: "Give it up.",
}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


SCHEMAS: Final[dict[str, Schema]] = {
    "Party": _object(country_code=_TEXT, party_id=_TEXT),
    "Entry": _object(
        partner=_TEXT, module=_MODULE, owner=_ref("Party"), id=_TEXT, state=_STATE, since=_TIME, owed=_MAYBE_TIME,
        attempts={"type": ["integer", "null"]}, reason=_MAYBE_TEXT, next_try=_MAYBE_TIME, location=_MAYBE_TEXT,
        who=_MAYBE_TEXT,
    ),
    "Decided": _object(
        partner=_TEXT, module=_MODULE, owner=_ref("Party"), id=_TEXT, state=_STATE, reason=_TEXT, who=_TEXT
    ),
    "Change": _object(
        partner=_TEXT, module=_MODULE, owner=_ref("Party"), id=_TEXT, **{"from": _MAYBE_STATE},
        to=_STATE, reason=_MAYBE_TEXT, attempts={"type": "integer"}, who=_MAYBE_TEXT, at=_TIME,
    ),
}  # fmt: skip
"""What the routes refer to."""

_CHANGES_QUERY: Final = (
    Parameter(name="after", about="the cursor of the answer before", schema=_TEXT),
    Parameter(
        name="limit",
        about="how many at most",
        schema={"type": "integer", "minimum": 1, "maximum": MOST, "default": _USUAL},
    ),
)
_LIST_QUERY: Final = (
    Parameter(name="partner", about="ids of links; all if left out", schema=_TEXT, many=True),
    Parameter(name="state", about="what isn't done if left out", schema=_STATE, many=True),
    Parameter(name="module", about="all if left out", schema=_MODULE, many=True),
    Parameter(name="owner", about="CC-PID", schema=_TEXT),
    Parameter(name="since", about="in their state since then, or later", schema=_TIME),
    Parameter(name="until", about="in their state since before then", schema=_TIME),
    Parameter(name="all", about="also what is done", schema={"type": "boolean", "default": False}),
)
_SEGMENTS: Final = {"partner": _TEXT, "module": _MODULE, "owner": {**_TEXT, "description": "CC-PID"}, "id": _TEXT}
_BODY: Final[Schema] = {
    "type": "object",
    "required": ["reason"],
    "additionalProperties": False,
    "properties": {
        "reason": {"type": "string", "minLength": 1, "maxLength": _LONGEST},
        "who": {"type": "string", "maxLength": _LONGEST, "description": "the person who decides"},
        "again": {"type": "boolean", "default": False, "description": "resend what is delivered"},
    },
}
