"""Lists as strangers send them and ask for them: cut out of their envelopes, read under caps, continued by cursors."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio
import witness
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.identity import authorization
from gateway.demo.journal import Exchange
from gateway.demo.world import World
from gateway.model.errors import BadJson, NotConnected, ReceiverError, ReceiverTimeout
from gateway.model.facts import ABSENT
from gateway.model.message import HttpRequest
from gateway.web.client import Egress, Outbound
from gateway.web.coding import PIECE, Inflater
from gateway.web.json import Splitter, loads

# Cut out of an envelope -----------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
ENVELOPES = st.dictionaries(st.sampled_from(["status_code", "status_message", "timestamp", "x", "\u00e9"]), VALUES)


def split(body: bytes, cuts: list[int], *, item_cap: int = 4096, envelope_cap: int = 4096) -> tuple[list[bytes], Any]:
    """The items and the members of an envelope that comes in these pieces."""
    splitter = Splitter(item_cap=item_cap, envelope_cap=envelope_cap)
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    items = [item for a, b in pairwise(places) for item in splitter.feed(body[a:b])]
    items += splitter.finish()
    return items, splitter.members if not splitter.listed else {**splitter.members, "data": items}


@given(
    data=st.lists(VALUES, max_size=6),
    others=ENVELOPES,
    place=st.integers(0, 5),
    indent=st.sampled_from([None, 0, 3]),
    escaped=st.booleans(),
    cuts=st.lists(st.integers(0, 10**6), max_size=8),
)
def test_a_list_is_cut_out_as_a_reader_of_the_whole_would(
    data: list[Any], others: dict[str, Any], place: int, indent: int | None, escaped: bool, cuts: list[int]
) -> None:
    """Whatever stands in it and around it, and however its bytes are cut up on the way."""
    members = list(others.items())
    members.insert(place % (len(members) + 1), ("data", data))
    body = json.dumps(dict(members), indent=indent, ensure_ascii=escaped).encode()
    items, found = split(body, cuts)
    assert [json.loads(item) for item in items] == data
    assert {name: value for name, value in found.items() if name != "data"} == others


@given(data=VALUES.filter(lambda value: not isinstance(value, list)), cuts=st.lists(st.integers(0, 999), max_size=4))
def test_data_that_is_no_list_stays_a_member(data: Any, cuts: list[int]) -> None:
    """Null, an object or a word is handed on as it is: who asked for a list is the judge of it."""
    body = json.dumps({"status_code": 2000, "data": data}).encode()
    items, members = split(body, cuts)
    assert items == []
    assert members == {"status_code": 2000, "data": data}


@given(body=st.binary(max_size=60), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_bytes_that_are_no_envelope_are_refused_or_mean_what_json_says(body: bytes, cuts: list[int]) -> None:
    """Nothing but a refusal comes of bytes that a strict reader of the whole refuses."""
    try:
        items, members = split(body, cuts)
    except BadJson:
        return
    assert isinstance(members, dict)
    if all(_readable(item) for item in items):
        assert loads(body) == {**members, **({"data": [loads(item) for item in items]} if "data" in members else {})}


def _readable(item: bytes) -> bool:
    try:
        loads(item)
    except BadJson:
        return False
    return True


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"[]",
        b'{"data": [1, 2',
        b'{"data": [1, 2]',
        b'{"data": [1 2]}',
        b'{"data": [1,]}',
        b'{"data": [,]}',
        b'{"data": []] }',
        b'{"data": []} x',
        b'{"data": [],}',
        b'{"data": [], "data": []}',
        b'{"status_code": 1, "status_code": 2}',
        b'{"data": [], "\\u0064ata": null}',
        b"{data: []}",
        b'{"data" []}',
        b"<html>502 Bad Gateway</html>",
    ],
)
def test_what_is_no_whole_envelope_is_refused(body: bytes) -> None:
    """Cut off, malformed, followed by something, or saying one thing twice."""
    for cuts in ([], [1], [5, 9, 13]):
        with pytest.raises(BadJson):
            split(body, cuts)


@pytest.mark.parametrize("item", [b"{1}", b'{"a": }', b"nul", b'{"a":1,"a":2}', b"[}", b'"\\x"', b"[" * 40 + b"]" * 40])
def test_an_item_that_cant_be_read_costs_only_itself(item: bytes) -> None:
    """Its neighbours are cut out whole, and only reading it fails."""
    items, _ = split(b'{"data":[{"id":"a"},' + item + b',{"id":"b"}],"status_code":1000}', [])
    assert (items[0], items[2]) == (b'{"id":"a"}', b'{"id":"b"}')
    with pytest.raises(BadJson):
        loads(items[1])


@pytest.mark.parametrize("step", [1, 7, 100, 10_000])
def test_an_item_over_its_cap_is_refused_while_it_comes(step: int) -> None:
    """Nothing of a list is kept beyond the one item that isn't complete, and that one has a limit."""
    body = b'{"data":[{"a":1},{"a":"' + b"x" * 5000
    splitter = Splitter(item_cap=1000, envelope_cap=1000)

    def feed_all() -> None:
        for start in range(0, len(body), step):
            splitter.feed(body[start : start + step])

    with pytest.raises(BadJson, match="an item of more than 1000 bytes"):
        feed_all()
    with pytest.raises(BadJson, match="an item of more than 1000 bytes"):
        split(body + b'"}]}', [], item_cap=1000)


def test_an_envelope_over_its_cap_is_refused() -> None:
    """The members besides data are kept, so there is a limit to all of them together."""
    members = b",".join(b'"m%d":"xxxxxxxxxxxxxxxxxxxx"' % n for n in range(100))
    with pytest.raises(BadJson, match="too large"):
        split(b'{"data":[],' + members + b"}", [], envelope_cap=1000)


# Inflated as it comes -------------------------------------------------------------------------------------------------

BODY = b'{"data":[' + b",".join(b'{"id":"LOC%d","name":"a place"}' % n for n in range(9000)) + b"]}"


def inflated(coding: str, raw: bytes, step: int) -> bytes:
    """The body without its coding, fed so many bytes at a time."""
    inflater = Inflater(coding)
    pieces = [piece for start in range(0, len(raw), step) for piece in inflater.feed(raw[start : start + step])]
    inflater.finish()
    assert not coding or all(len(piece) <= PIECE for piece in pieces)
    return b"".join(pieces)


def bare_deflate(body: bytes) -> bytes:
    """Compressed without zlib's header, as some servers do."""
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(body) + compressor.flush()


@pytest.mark.parametrize("step", [1, 1000, 10**6])
@pytest.mark.parametrize(
    ("coding", "raw"),
    [("", BODY), ("gzip", gzip.compress(BODY)), ("deflate", zlib.compress(BODY)), ("deflate", bare_deflate(BODY))],
    ids=["plain", "gzip", "deflate", "bare-deflate"],
)
def test_a_coding_is_undone_piece_by_piece(coding: str, raw: bytes, step: int) -> None:
    """In pieces of bounded size, however the bytes come."""
    assert inflated(coding, raw, step) == BODY


@pytest.mark.parametrize(
    ("coding", "raw"),
    [
        ("gzip", gzip.compress(BODY)[:-9]),
        ("gzip", gzip.compress(BODY) + b"more"),
        ("gzip", BODY),
        ("gzip", b"\x1f"),
        ("deflate", zlib.compress(BODY)[:-1]),
        ("br", BODY),
    ],
)
@pytest.mark.parametrize("step", [3, 10**6])
def test_a_broken_coding_is_refused(coding: str, raw: bytes, step: int) -> None:
    """Cut off, followed by other bytes, not what it says, or unknown."""
    with pytest.raises(BadJson):
        inflated(coding, raw, step)


def test_a_bomb_is_refused_while_it_goes_off() -> None:
    """What inflates out of all proportion is stopped, though no piece of it is large."""
    pieces = Inflater("gzip").feed(gzip.compress(b" " * (200 * 1024 * 1024)))
    with pytest.raises(BadJson, match="out of all proportion"):
        deque(pieces, maxlen=1)


# Read from a socket ---------------------------------------------------------------------------------------------------

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(*parts: bytes, hang: bool = False) -> AsyncIterator[str]:
    """The URL of a server that says these bytes, and then hangs up, or says nothing more."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
        if hang:
            await over.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpi/locations"
    finally:
        over.set()
        server.close()
        await server.wait_closed()


def head(*headers: str, status: str = "200 OK") -> bytes:
    """The beginning of an answer that ends with its connection."""
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *headers, "", ""]).encode()


async def read(url: str, *, idle: float = 5.0, **caps: int) -> tuple[list[bytes], Any]:
    """The items that came, and the answer around them."""
    async with Outbound(Egress(allow_private=True)) as outbound:
        request = HttpRequest(method="GET", url=url)
        async with outbound.stream(request, within=5, idle=idle, **caps) as incoming:
            items = [item async for some in incoming.items() for item in some]
            return items, incoming.answer


async def test_a_streamed_answer_has_its_items_and_the_rest_of_its_envelope() -> None:
    """Status, headers and the members around data are there in the end, wherever data stood."""
    parts = (b'{"data": [{"id": "A"}, ', b'{"id": "B"}], "status', b'_code": 1000}')
    async with serving(head("X-Total-Count: 2"), *parts) as url:
        items, answer = await read(url)
    assert items == [b'{"id": "A"}', b'{"id": "B"}']
    assert (answer.status, answer.headers["x-total-count"], answer.body) == (200, "2", {"status_code": 1000})


async def test_a_streamed_answer_is_inflated() -> None:
    """gzip is undone on the way."""
    async with serving(head("Content-Encoding: gzip"), gzip.compress(BODY)) as url:
        items, answer = await read(url)
    assert (len(items), answer.body) == (9000, {})


@pytest.mark.parametrize(
    "body", [b"<html>502</html>", b"", b'{"status_code": 1000', b'{"status_code": 1, "status_code": 2}']
)
async def test_what_is_no_envelope_is_absent(body: bytes) -> None:
    """A proxy's page in place of the answer is no list, and no error of reading one: its status tells."""
    async with serving(head(status="502 Bad Gateway"), body) as url:
        items, answer = await read(url)
    assert (items, answer.status, answer.body) == ([], 502, ABSENT)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ((), b'{"data": [{"id": "A"}, {"id": '),
        ((), b'{"data": [{"id": "A"}] "status_code": 1000}'),
        (("Content-Length: 100",), b'{"data": [{"id": "A"}], "status_code": 1000}'),
        (("Content-Encoding: gzip",), gzip.compress(b'{"data": [{"id": "A"}], "status_code": 1000}')[:-4]),
    ],
    ids=["cut-off", "malformed", "shorter-than-said", "compression-cut-off"],
)
async def test_a_list_that_breaks_off_is_an_error(headers: tuple[str, ...], body: bytes) -> None:
    """Never a list that looks whole."""
    async with serving(head(*headers), body) as url:
        with pytest.raises(ReceiverError):
            await read(url)


async def test_a_list_that_stalls_is_given_up() -> None:
    """The deadline is for the next bytes, not for the whole."""
    async with serving(head(), b'{"data": [{"id": "A"},', hang=True) as url:
        with pytest.raises(ReceiverTimeout):
            await read(url, idle=0.05)


async def test_an_item_over_the_cap_ends_the_reading() -> None:
    """An item has a limit in bytes; a list has none."""
    async with serving(head(), b'{"data": [{"id": "' + b"A" * 5000 + b'"}]}') as url:
        with pytest.raises(ReceiverError, match="an item of more than 1000 bytes"):
            await read(url, item_cap=1000)


async def test_a_redirect_of_a_list_isnt_followed() -> None:
    """The token would go along."""
    async with serving(head("Location: http://127.0.0.1:1/", status="302 Found")) as url:
        with pytest.raises(ReceiverError, match="redirect"):
            await read(url)


async def test_a_list_is_called_under_the_same_rules_as_everything() -> None:
    """An address that isn't public is refused before anything is sent."""
    async with Outbound(Egress()) as outbound:
        with pytest.raises(NotConnected):
            async with outbound.stream(HttpRequest(method="GET", url="https://127.0.0.1:1/"), within=5):
                pass


# Asked for ------------------------------------------------------------------------------------------------------------

CPO = {"country_code": "NL", "party_id": "OWN"}
TARIFF = {
    **CPO,
    "id": "T1",
    "currency": "EUR",
    "elements": [{"price_components": [{"type": "ENERGY", "price": 0.45, "step_size": 1}]}],
    "last_updated": "2026-03-02T09:00:00Z",
}
LISTS = [("acme", "/ocpi/2.1.1/cpo/tariffs"), ("volt", "/ocpi/2.2.1/sender/tariffs")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A backend with three tariffs, and partners of both versions that may list them."""
    async with witness.town(tmp_path_factory.mktemp("town")) as world:
        for number in (1, 2, 3):
            assert (await world.backend.push_tariff({**TARIFF, "id": f"T{number}"})).ok
        await world.gateway.courier.settle_down(5)
        yield world


def wanted(world: World, name: str) -> dict[str, str | None]:
    """The headers of a list request."""
    peer = world[name]
    if peer.who.version == "2.1.1":
        return {}
    sender = dict(zip(("OCPI-from-country-code", "OCPI-from-party-id"), peer.party, strict=True))
    return {**sender, "OCPI-to-country-code": "NL", "OCPI-to-party-id": "OWN"}


async def listed(world: World, name: str, path: str) -> Exchange:
    """A list request, its path and query spelled as they are."""
    return await witness.ask(world[name], "GET", path, headers=wanted(world, name))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("name", "path"), LISTS, ids=["2.1.1", "2.2.1"])
@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=1e3", "limit"),
        ("limit=%D9%A1", "limit"),
        (f"limit={10**30}", "limit"),
        ("offset=-1", "offset"),
        ("offset=1.5", "offset"),
        (f"offset={'9' * 5000}", "offset"),
        ("date_from=yesterday", "date_from"),
        ("date_from=2026-13-01T00:00:00Z", "date_from"),
        ("date_to=2026-03-02", "date_to"),
        ("date_to=%00", "date_to"),
        ("cursor=x", "cursor"),
        ("cursor=..%2F..%2Fcdr", "cursor"),
        (f"cursor={'x' * 300}", "cursor"),
        ("cursor=%F0%9F%92%A9", "cursor"),
    ],
)
async def test_a_parameter_that_says_nothing_is_refused_by_its_name(
    town: World, name: str, path: str, query: str, parameter: str
) -> None:
    """2001 that names it: passed over, a filter would look as if it had been obeyed."""
    answer = await listed(town, name, f"{path}?{query}")
    assert (witness.outcome(answer), parameter in answer.message) == ((200, 2001), True)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("name", "path"), LISTS, ids=["2.1.1", "2.2.1"])
async def test_a_parameter_that_is_said_twice_is_refused(town: World, name: str, path: str) -> None:
    """Of two values, each reader would take its own."""
    answer = await listed(town, name, f"{path}?limit=1&limit=2")
    assert (witness.outcome(answer), "limit" in answer.message) == ((400, 2001), True)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("name", "path"), LISTS, ids=["2.1.1", "2.2.1"])
@pytest.mark.parametrize("offset", ["3", "1000000", "9" * 18])
@pytest.mark.parametrize("more", ["", "&date_from=2020-01-01T00:00:00Z"])
async def test_behind_the_end_of_a_list_is_nothing(town: World, name: str, path: str, offset: str, more: str) -> None:
    """An offset beyond the last object is an empty page, with the right total, and no Link."""
    answer = await listed(town, name, f"{path}?offset={offset}{more}")
    assert (witness.outcome(answer), answer.data) == ((200, 1000), [])
    assert (answer.headers["x-total-count"], "link" in answer.headers) == ("3", False)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_cursor_is_its_readers_alone_and_for_its_list_alone(town: World) -> None:
    """Somebody else's, or another list's, is no cursor: 2001."""
    pages = [await listed(town, name, f"{path}?limit=1") for name, path in LISTS]
    acme, volt = (page.headers["link"].partition("cursor=")[2].partition(">")[0] for page in pages)
    assert (await listed(town, "acme", f"{LISTS[0][1]}?cursor={acme}")).data[0]["id"] == "T2"
    for name, path in (
        ("acme", f"{LISTS[0][1]}?cursor={volt}"),
        ("volt", f"{LISTS[1][1]}?cursor={acme}"),
        ("volt", f"/ocpi/2.2.1/sender/locations?cursor={volt}"),
    ):
        answer = await listed(town, name, path)
        assert (witness.outcome(answer), "cursor" in answer.message) == ((200, 2001), True)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_reader_that_leaves_in_the_middle_costs_nothing(town: World) -> None:
    """Its connection is given up, the partner's too, and the next one is served."""
    flux = town["flux"]
    tariff = {**TARIFF, "country_code": "FR", "party_id": "FLX"}
    flux.generate("tariffs", 10**6, lambda number: {**tariff, "id": f"T{number}"})
    token = authorization("2.2.1", town.backend.counterpart.token or "")
    request = (
        f"GET /ocpi/2.2.1/sender/tariffs HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
        "OCPI-from-country-code: NL\r\nOCPI-from-party-id: OWM\r\n"
        "OCPI-to-country-code: FR\r\nOCPI-to-party-id: FLX\r\n\r\n"
    ).encode()
    for _ in range(6):  # more than connections towards that partner
        reader, writer = await asyncio.open_connection(*town.gateway.ocpi)
        writer.write(request)
        assert b'{"data":[' in await reader.readuntil(b'"T1"')
        writer.transport.abort()
    flux.generate("tariffs", 3, lambda number: {**tariff, "id": f"T{number}"})
    assert len(await town.backend.pull("tariffs", sender=("NL", "OWM"), to=("FR", "FLX"))) == 3
