"""Requests that are wrong, each with the exact answer it gets, over real sockets. None of them leaves a trace."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

import pytest
import pytest_asyncio
import samples
from witness import Reply, ask, outcome, say, town, untouched

from gateway.demo.peers import Peer
from gateway.demo.world import World
from gateway.web import server
from gateway.web.json import dumps

pytestmark = pytest.mark.asyncio(loop_scope="module")

Steps = tuple[str | int, ...]
GONE: Final = object()
"""In place of a value: the field is taken away."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Everybody is registered; whoever changes something here changes an object that no other test knows."""
    async with town(tmp_path_factory.mktemp("town")) as world:
        yield world


# Objects --------------------------------------------------------------------------------------------------------------

ENDPOINTS: Final = {
    ("grid", "locations"): "/ocpi/2.1.1/emsp/locations/BE/GRD/LOC-7",
    ("grid", "tariffs"): "/ocpi/2.1.1/emsp/tariffs/BE/GRD/T-DAY",
    ("grid", "sessions"): "/ocpi/2.1.1/emsp/sessions/BE/GRD/S-1001",
    ("grid", "cdrs"): "/ocpi/2.1.1/emsp/cdrs",
    ("acme", "tokens"): "/ocpi/2.1.1/cpo/tokens/DE/ACM/04A1B2C3D4E5F6",
    ("flux", "locations"): "/ocpi/2.2.1/receiver/locations/FR/FLX/LOC-7",
    ("flux", "tariffs"): "/ocpi/2.2.1/receiver/tariffs/FR/FLX/T-DAY",
    ("flux", "sessions"): "/ocpi/2.2.1/receiver/sessions/FR/FLX/S-1001",
    ("flux", "cdrs"): "/ocpi/2.2.1/receiver/cdrs",
    ("volt", "tokens"): "/ocpi/2.2.1/receiver/tokens/DE/VLT/04A1B2C3D4E5F6",
    ("backend", "locations"): "/ocpi/2.2.1/receiver/locations/NL/OWN/LOC-7",
    ("backend", "tokens"): "/ocpi/2.2.1/receiver/tokens/NL/OWM/04A1B2C3D4E5F6",
}
PARTY: Final = {
    "flux": ("FR", "FLX"), "volt": ("DE", "VLT"), ("backend", "locations"): ("NL", "OWN"),
    ("backend", "tokens"): ("NL", "OWM"),
}  # fmt: skip

BAD_FIELDS: Final[list[tuple[str, str, Steps, Any, str]]] = [
    # who     module       field                                                value     what is said of it
    ("grid", "locations", ("address",), GONE, "required"),
    ("grid", "locations", ("name",), 7, "expected a string"),
    ("grid", "locations", ("coordinates", "latitude"), GONE, "required"),
    ("grid", "locations", ("evses", 0, "connectors", 0, "voltage"), "230", "expected an integer"),
    ("grid", "locations", ("evses", 0, "status_schedule", 0, "period_begin"), "soon", "expected a date and time"),
    ("grid", "locations", ("evses",), {}, "expected a list"),
    ("grid", "tariffs", ("elements",), GONE, "required"),
    ("grid", "tariffs", ("elements", 0, "price_components", 0, "price"), "cheap", "expected a number"),
    ("grid", "tariffs", ("currency",), 978, "expected a string"),
    ("grid", "sessions", ("start_datetime",), GONE, "required"),
    ("grid", "sessions", ("location", "country"), GONE, "required"),
    ("grid", "sessions", ("kwh",), None, "required"),
    ("grid", "sessions", ("charging_periods", 0, "dimensions", 0, "volume"), "much", "expected a number"),
    ("grid", "cdrs", ("total_cost",), GONE, "required"),
    ("grid", "cdrs", ("total_cost",), {"excl_vat": 1}, "expected a number"),
    ("grid", "cdrs", ("charging_periods", 0, "start_date_time"), 1, "expected a string"),
    ("grid", "cdrs", ("id",), GONE, "required"),
    ("acme", "tokens", ("auth_id",), GONE, "required"),
    ("acme", "tokens", ("valid",), "true", "expected a boolean"),
    ("acme", "tokens", ("type",), 1, "expected a string"),
    ("flux", "locations", ("publish",), GONE, "required"),
    ("flux", "locations", ("country_code",), GONE, "required"),
    ("flux", "locations", ("evses", 1, "connectors", 0, "max_amperage"), True, "expected an integer"),
    ("flux", "locations", ("opening_times", "regular_hours", 0, "weekday"), "mon", "expected an integer"),
    ("flux", "locations", ("last_updated",), "yesterday", "expected a date and time"),
    ("flux", "tariffs", ("elements", 0, "price_components", 0, "step_size"), GONE, "required"),
    ("flux", "tariffs", ("elements",), [], "must not be empty"),
    ("flux", "sessions", ("cdr_token", "contract_id"), GONE, "required"),
    ("flux", "sessions", ("status",), GONE, "required"),
    ("flux", "cdrs", ("cdr_location", "connector_power_type"), GONE, "required"),
    ("flux", "cdrs", ("total_energy",), "ten", "expected a number"),
    ("flux", "cdrs", ("country_code",), GONE, "required"),
    ("volt", "tokens", ("whitelist",), GONE, "required"),
    ("volt", "tokens", ("energy_contract", "supplier_name"), 5, "expected a string"),
    ("backend", "locations", ("city",), GONE, "required"),
    ("backend", "locations", ("evses", 0, "connectors", 0, "id"), GONE, "required"),
    ("backend", "tokens", ("contract_id",), "", "expected an id"),
]


def sample(who: str, module: str) -> dict[str, Any]:
    """A whole object with every field, as this peer would write it in its own name."""
    version = "211" if who in ("grid", "acme") else "221"
    body: dict[str, Any] = getattr(samples, f"{module[:-1]}_{version}")()
    if owner := PARTY.get(who) or PARTY.get((who, module)):
        body["country_code"], body["party_id"] = owner
    return body


def spoiled(body: dict[str, Any], steps: Steps, value: Any) -> dict[str, Any]:
    """A copy with one value replaced or taken away."""
    body = deepcopy(body)
    *way, last = steps
    place: Any = body
    for step in way:
        place = place[step]
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    return body


def json_path(steps: Steps) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def peer_of(world: World, who: str) -> Peer:
    return world.backend if who == "backend" else world[who]


def routed(who: str, module: str) -> dict[str, Any]:
    owner = PARTY.get(who) or PARTY.get((who, module))
    return {"sender": owner} if owner else {}


def _label(value: Any) -> str:
    return json_path(value) if isinstance(value, tuple) else "gone" if value is GONE else str(value)


@pytest.mark.parametrize(("who", "module", "steps", "value", "said"), BAD_FIELDS, ids=_label)
async def test_a_bad_field_is_2001_with_its_path_check_06_trap_22(
    world: World, who: str, module: str, steps: Steps, value: Any, said: str
) -> None:
    """HTTP 200, the JSON path in the sender's own spelling, and nothing of the object is kept or sent on."""
    body = spoiled(sample(who, module), steps, value)
    method = "POST" if module == "cdrs" else "PUT"
    async with untouched(world):
        refused = await ask(peer_of(world, who), method, ENDPOINTS[who, module], body, **routed(who, module))
    assert outcome(refused) == (200, 2001)
    path, _, what = refused.message.partition(": ")
    assert path == json_path(steps)
    assert said in what


@pytest.mark.parametrize(("who", "module"), ENDPOINTS)
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"7"], ids=repr)
async def test_a_body_that_is_no_object_is_2001(world: World, who: str, module: str, body: bytes) -> None:
    """At the root: ``$``."""
    method = "POST" if module == "cdrs" else "PUT"
    async with untouched(world):
        refused = await ask(peer_of(world, who), method, ENDPOINTS[who, module], body, **routed(who, module))
    assert (outcome(refused), refused.message.partition(": ")[0]) == ((200, 2001), "$")


PARTS: Final = [
    ("grid", "2.1.1/emsp/locations/BE/GRD/SITE/LOC-7-A", {"status": 3}, "$.status"),
    ("grid", "2.1.1/emsp/locations/BE/GRD/SITE/LOC-7-A/1", {"voltage": "x"}, "$.voltage"),
    ("grid", "2.1.1/emsp/locations/BE/GRD/SITE", {"coordinates": {"latitude": "52.1"}}, "$.coordinates.longitude"),
    ("flux", "2.2.1/receiver/locations/FR/FLX/SITE/LOC-7-A", {"status": "AVAILABLE"}, "$.last_updated"),
    ("flux", "2.2.1/receiver/locations/FR/FLX/SITE/LOC-7-A/1", {"last_updated": "later"}, "$.last_updated"),
    ("flux", "2.2.1/receiver/locations/FR/FLX/SITE", {"publish": "no", "last_updated": "2026-09-01T00:00:00Z"},
     "$.publish"),
]  # fmt: skip


async def test_a_bad_patch_of_a_piece_is_2001_with_the_path_in_the_piece(world: World) -> None:
    """Paths are those of the body that was sent, not of the location it goes into."""
    for who, base in (("grid", "2.1.1/emsp/locations/BE/GRD"), ("flux", "2.2.1/receiver/locations/FR/FLX")):
        whole = sample(who, "locations") | {"id": "SITE"}
        assert (await ask(world[who], "PUT", f"/ocpi/{base}/SITE", whole, **routed(who, "locations"))).ok
    for who, path, fragment, place in PARTS:
        async with untouched(world):
            refused = await ask(world[who], "PATCH", f"/ocpi/{path}", fragment, **routed(who, "locations"))
        assert (outcome(refused), refused.message.partition(": ")[0]) == ((200, 2001), place), path


async def test_a_patch_of_what_isnt_there_is_404(world: World) -> None:
    """So that its owner sends the whole object. Spec: 2.2.1 transport_and_format, PATCH."""
    for who, module in ENDPOINTS:
        if module in ("cdrs", "tariffs"):
            continue
        dated = {"last_updated": "2026-09-01T00:00:00Z"}
        async with untouched(world):
            path = ENDPOINTS[who, module].rpartition("/")[0] + "/NOT-THERE"
            refused = await ask(peer_of(world, who), "PATCH", path, dated, **routed(who, module))
        assert outcome(refused) == (404, 2001), (who, module)


async def test_bad_location_references_are_2001(world: World) -> None:
    """Before the eMSP is asked."""
    token = sample("volt", "tokens") | {"uid": "04AA"}
    assert (await world["volt"].push_token(token)).ok
    async with untouched(world):
        for body, place in (({}, "$.location_id"), ({"location_id": "L", "evse_uids": "E1"}, "$.evse_uids")):
            refused = await ask(
                world.backend, "POST", "/ocpi/2.2.1/sender/tokens/04AA/authorize", body, sender=("NL", "OWN")
            )
            assert (outcome(refused), refused.message.partition(": ")[0]) == ((200, 2001), place)


# Bytes ----------------------------------------------------------------------------------------------------------------

TOKENS: Final = ENDPOINTS["volt", "tokens"]


async def put(world: World, body: bytes, *headers: str, path: str = TOKENS, length: int | None = None) -> Reply:
    """A PUT by the 2.2.1 eMSP, its head spelled out."""
    request = head(world, "PUT", path, len(body) if length is None else length, *headers) + body
    return await say(world.gateway.ocpi, request)


def head(world: World, method: str, path: str, length: int | None, *headers: str) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1", "Host: gateway", "Connection: close",
        f"Authorization: Token {world['volt'].counterpart.token}",
        "OCPI-from-country-code: DE", "OCPI-from-party-id: VLT", "Content-Type: application/json",
        *([] if length is None else [f"Content-Length: {length}"]), *headers,
    ]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def good() -> bytes:
    return dumps(sample("volt", "tokens"))


UNREADABLE: Final = {
    "cut off": b'{"uid": "04A1',
    "a comma too many": b'{"uid": "04A1",}',
    "a key twice": b'{"uid": "04A1", "uid": "04A2"}',
    "not a number": b'{"kwh": NaN}',
    "infinite": b'{"kwh": -Infinity}',
    "two values": b"{} {}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "Latin-1": b'{"issuer": "Stra\xdfe"}',
    "half a surrogate pair": b'{"issuer": "\\ud800"}',
    "too deep": b'{"a":' * 40 + b"1" + b"}" * 40,
    "a runaway exponent": b'{"kwh": 1e999999}',
    "a form": b"uid=04A1&valid=true",
    "XML": b"<token/>",
    "zero bytes": b"\x00\x00",
}


@pytest.mark.parametrize("what", UNREADABLE)
async def test_what_isnt_strict_json_is_400_check_06(world: World, what: str) -> None:
    """With an envelope, and on credentials as on functional modules."""
    async with untouched(world):
        assert (await put(world, UNREADABLE[what])).outcome == (400, 2001)
        assert (await put(world, UNREADABLE[what], path="/ocpi/2.2.1/credentials")).outcome == (400, 2001)


CODED: Final = {
    "gzip": ("gzip", gzip.compress, (200, 1000)),
    "deflate": ("deflate", zlib.compress, (200, 1000)),
    "identity": ("identity", bytes, (200, 1000)),
    "no gzip at all": ("gzip", bytes, (400, 2001)),
    "cut off": ("gzip", lambda body: gzip.compress(body)[:-5], (400, 2001)),
    "something behind it": ("gzip", lambda body: gzip.compress(body) + b"{}", (400, 2001)),
    "gzip twice": ("gzip, gzip", lambda body: gzip.compress(gzip.compress(body)), (415, 2001)),
    "Brotli": ("br", bytes, (415, 2001)),
    "unheard of": ("rot13", bytes, (415, 2001)),
    "a bomb": ("gzip", lambda body: gzip.compress(b'{"a":"' + b" " * 40_000_000), (413, 2001)),
    "a bomb of deflate": ("deflate", lambda body: zlib.compress(b" " * 40_000_000), (413, 2001)),
}


@pytest.mark.parametrize("what", CODED)
async def test_content_codings(world: World, what: str) -> None:
    """gzip and deflate are read, up to the cap; anything else is refused with the status that says why."""
    coding, coded, expected = CODED[what]
    answer = await put(world, coded(good()), f"Content-Encoding: {coding}")
    assert (answer.outcome[0] // 100 * 100 if expected[0] == 200 else answer.outcome[0]) == expected[0]
    assert answer.envelope["status_code"] == expected[1]


async def test_a_body_over_the_limit_is_413(world: World) -> None:
    """Declared, it isn't waited for; undeclared, it is read up to the limit and no further."""
    size = server.BODY_CAP + 1
    chunked = b"%x\r\n" % size + b" " * size + b"\r\n0\r\n\r\n"
    async with untouched(world):
        assert (await put(world, b"", length=size)).outcome == (413, 2001)
        asked = head(world, "PUT", TOKENS, None, "Transfer-Encoding: chunked")
        assert (await say(world.gateway.ocpi, asked + chunked)).outcome == (413, 2001)


async def test_a_body_that_stalls_is_408(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops in the middle is told so, and nothing of the half is stored."""
    monkeypatch.setattr(server, "BODY_S", 0.05)
    async with untouched(world):
        assert (await put(world, good()[:40], length=len(good()))).outcome == (408, 2000)
        asked = head(world, "PUT", TOKENS, None, "Transfer-Encoding: chunked")
        assert (await say(world.gateway.ocpi, asked + b"5\r\n{    \r\n")).outcome == (408, 2000)


async def test_a_caller_that_hangs_up_leaves_nothing(world: World) -> None:
    """A body that breaks off is no object, whatever of it could be read."""
    async with untouched(world):
        _, writer = await asyncio.open_connection(*world.gateway.ocpi)
        writer.write(head(world, "PUT", TOKENS, len(good()) + 1) + good())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await ask(world["volt"], "GET", "/ocpi/versions")).ok  # the gateway lives


async def test_a_go_ahead_is_given(world: World) -> None:
    """``Expect: 100-continue`` gets it before the body; any other expectation is 417."""
    reader, writer = await asyncio.open_connection(*world.gateway.ocpi)
    writer.write(head(world, "PUT", TOKENS, len(good()), "Expect: 100-continue"))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(good())
    assert (await reader.readline()).split()[1] in (b"200", b"201")
    writer.close()
    async with untouched(world):
        assert (await put(world, good(), "Expect: a-miracle")).outcome == (417, 2000)


# Paths ----------------------------------------------------------------------------------------------------------------

NOWHERE: Final = [
    "/", "/ocpi", "/ocpi/", "/favicon.ico", "/ocpi/2.0", "/ocpi/2.2.2/credentials", "/ocpi/2.2.1/receiver",
    "/ocpi/2.2.1/receiver/nothing", "/ocpi/2.2.1/nobody/tokens/DE/VLT/1", "/ocpi/2.2.1/tokens/DE/VLT/1",
    "/ocpi/2.2.1/receiver/tokens", "/ocpi/2.2.1/receiver/tokens/DE", "/ocpi/2.2.1/receiver/tokens/DE/VLT/1/2",
    "/ocpi/2.2.1/receiver/tokens/DE//1", "/ocpi/versions/2.2.1", "/ocpi/2.2.1/credentials/1",
    "/ocpi/2.1.1/cpo/tokens/DE/VLT/1", "/OCPI/versions", "/ocpi/2.2.1/receiver/tokens/DE/VLT/..",
    "/ocpi/2.2.1/receiver/tokens/DE/VLT/.", "/ocpi/2.2.1/receiver/tokens/DE/VLT/%2e%2e",
    "/ocpi/2.2.1/receiver/tokens/DE/VLT/%2E", "/ocpi/2.2.1/../2.2.1/receiver/tokens/DE/VLT/1",
    "/ocpi/2.2.1/receiver/tokens/DE/VLT/a%00b", "/ocpi/2.2.1/receiver/tokens/DE/VLT/a%0d%0aX-Y:z",
    "/ocpi/2.2.1/receiver/tokens/DE/VLT/%ff", "/ocpi/2.2.1/receiver/tokens/DE/VLT/%c0%ae%c0%ae",
    "/ocpi/2.2.1/receiver/tokens/%2f/VLT/1", "/ocpi/2.2.1/receiver/tokens/DE%2fVLT/1",
    "/ocpi/2.2.1/receiver" + "/x" * 50,
]  # fmt: skip


@pytest.mark.parametrize("path", NOWHERE)
async def test_a_path_that_leads_nowhere_is_404(world: World, path: str) -> None:
    """With an envelope; ids that climb or hold control characters are no ids."""
    async with untouched(world):
        answer = await put(world, good(), path=path)
    assert answer.outcome == (404, 2001)
    assert answer.headers["server"] == "ocpi-gateway"


async def test_an_id_that_is_none_is_2001(world: World) -> None:
    """Longer than any peer's: it would become a key and a URL."""
    async with untouched(world):
        answer = await put(world, good(), path=f"/ocpi/2.2.1/receiver/tokens/DE/VLT/{'x' * 256}")
    assert answer.outcome == (200, 2001)
    assert answer.envelope["status_message"].startswith("{token_uid}: ")


@pytest.mark.parametrize("id", ["a/b", "../../x", "a?b#c", "a b", "a%2Fb", "{}:*"])
async def test_an_odd_id_stays_in_its_segment(world: World, id: str) -> None:
    """Encoded on the way in and on the way out: it neither climbs nor ends the path."""
    body = sample("volt", "tokens") | {"uid": id}
    after = len(world.backend.received)
    volt = world["volt"]
    assert (await volt.push_token(body)).ok
    arrived = await world.backend.wait_for("PUT", "tokens", after=after)
    assert arrived.segments == ("DE", "VLT", id)


async def test_an_id_that_no_url_can_carry_is_2001(world: World) -> None:
    """A backslash is a slash to some servers, so it goes nowhere."""
    async with untouched(world):
        refused = await world["volt"].push_token(sample("volt", "tokens") | {"uid": "a\\b"})
    assert (outcome(refused), refused.message.partition(": ")[0]) == ((200, 2001), "$.uid")


@pytest.mark.parametrize("path", ["*", "gateway:80"])
async def test_what_is_no_path_gets_an_envelope_too(world: World, path: str) -> None:
    """``OPTIONS *`` and ``CONNECT`` have no path to look up."""
    method = "OPTIONS" if path == "*" else "CONNECT"
    answer = await say(world.gateway.ocpi, head(world, method, path, None))
    assert answer.outcome == (404, 2000)


# Headers and queries --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    ["OCPI-from-country-code: DE", "ocpi-FROM-party-id: VLT", "OCPI-to-party-id: OWN\r\nocpi-to-party-id: OWM",
     "X-Request-ID: 1\r\nX-Request-ID: 2", "x-correlation-id: 1\r\nX-Correlation-ID: 1"],
    ids=repr,
)  # fmt: skip
async def test_a_doubled_header_is_400(world: World, header: str) -> None:
    """Of two, each reader would take its own; even two that are equal."""
    async with untouched(world):
        assert (await put(world, good(), header)).outcome == (400, 2001)


async def test_a_doubled_parameter_is_400(world: World) -> None:
    """If it says two things; the same twice is one."""
    async with untouched(world):
        assert (await put(world, good(), path=f"{TOKENS}?type=RFID&type=OTHER")).outcome == (400, 2001)
    assert (await put(world, good(), path=f"{TOKENS}?type=RFID&type=RFID")).envelope["status_code"] == 1000


async def test_half_a_pair_of_routing_headers_is_2001(world: World) -> None:
    """With the name of the half that is missing. Spec: 2.2.1 transport_and_format, Message Routing Headers."""
    async with untouched(world):
        answer = await put(world, good(), "OCPI-to-party-id: OWN")
    assert answer.outcome == (200, 2001)
    assert answer.envelope["status_message"].startswith("OCPI-to-country-code: ")


@pytest.mark.parametrize("id", ["Ünïcode", "x" * 256, "a\tb"])
async def test_an_id_that_no_header_can_carry_on_is_replaced(world: World, id: str) -> None:
    """A correlation id that can't leave again would stop the message at the next hop; it gets one of ours."""
    after = len(world.backend.received)
    answer = await put(world, good(), f"X-Correlation-ID: {id}", "X-Request-ID: mine")
    assert answer.envelope["status_code"] == 1000
    arrived = await world.backend.wait_for("PUT", "tokens", after=after)
    assert answer.headers["x-correlation-id"] == arrived.headers["x-correlation-id"] != id
    assert answer.headers["x-request-id"] == "mine" != arrived.headers["x-request-id"]


# HTTP itself ----------------------------------------------------------------------------------------------------------

MALFORMED: Final[Mapping[str, bytes]] = {
    "no HTTP": b"hello\r\n\r\n",
    "an unknown method": b"FOO /ocpi/versions HTTP/1.1\r\nHost: x\r\n\r\n",
    "a zero byte in a header": b"GET /ocpi/versions HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n",
    "a header without end": b"GET /ocpi/versions HTTP/1.1\r\nHost: x\r\nX-A: " + b"x" * 20_000 + b"\r\n\r\n",
    "two lengths": b"PUT /ocpi/versions HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "length and chunks": b"PUT / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a length that is none": b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nHost: x\r\nX-A : 1\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n folded\r\n\r\n",
    "a chunk size that is none": b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n\r\n",
}


@pytest.mark.parametrize("what", MALFORMED)
async def test_what_isnt_http_is_a_bare_400(world: World, what: str) -> None:
    """The parser's own refusal: no envelope, no version of the server, and the next caller is served."""
    async with untouched(world):
        answer = await say(world.gateway.ocpi, MALFORMED[what])
        assert (answer.http, answer.headers["server"]) == (400, "ocpi-gateway")
        assert (await ask(world["volt"], "GET", "/ocpi/versions")).ok


def _every_answer() -> Iterator[str]:
    yield from ("/live", "/ready", "/metrics", "/nothing")


async def test_the_admin_listener_tells_no_version_either(world: World) -> None:
    """Its answers and its refusals have the same bare Server header."""
    for path in _every_answer():
        answer = await say(world.gateway.admin, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert answer.headers["server"] == "ocpi-gateway"
        assert answer.http == (404 if path == "/nothing" else 200)
