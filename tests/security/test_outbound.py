"""Outgoing calls that somebody else has a hand in: where they may go, how much they may take, what is in doubt."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from attrs import define, field

from gateway.model.errors import GatewayError, NotConnected, ReceiverError, ReceiverTimeout
from gateway.model.facts import ABSENT
from gateway.model.message import HttpRequest
from gateway.model.urls import join, split, with_query
from gateway.web.client import Egress, Outbound, admissible

LOCALHOST = Path(__file__).with_name("localhost.pem")
TOKEN = "Token c2VjcmV0"
WITHIN = 10.0  # seconds; no test waits for it to pass
HOME = Egress(allow_private=True)

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@define
class Peer:
    """A server that says the bytes it is told to. Keeps what it heard, a request an entry, and counts connections."""

    script: list[bytes | Script | None] = field(factory=list)  # answers in turn, the last one again; None: hang up
    heard: list[bytes] = field(factory=list)
    calls: int = 0
    port: int = 0
    done: asyncio.Event = field(factory=asyncio.Event)  # set when the test is over, for scripts that stall

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ocpi"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        try:
            while request := await _one_request(reader):
                self.heard.append(request)
                step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                if step is None:
                    return
                if isinstance(step, bytes):
                    writer.write(step)
                    await writer.drain()
                else:
                    await step(reader, writer)
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # it is the other side's right to hang up
        finally:
            writer.close()


async def _one_request(reader: asyncio.StreamReader) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = await reader.readline()
        if not line:
            return b""
        head += line
    length = next((int(x.split(b":")[1]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:")), 0)
    return head + await reader.readexactly(length)


@asynccontextmanager
async def listening(
    *script: bytes | Script | None, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Peer]:
    peer = Peer(script=list(script))
    async with await asyncio.start_server(peer.serve, host, 0, ssl=tls) as server:
        peer.port = server.sockets[0].getsockname()[1]
        try:
            yield peer
        finally:
            peer.done.set()


def answer(body: bytes = b'{"status_code":1000}', status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(url: str, method: str = "GET", body: object = ABSENT) -> HttpRequest:
    return HttpRequest(method=method, url=url, headers={"Authorization": TOKEN}, body=body)


async def refused(request: HttpRequest, egress: Egress = HOME, within: float = WITHIN, **more: int) -> GatewayError:
    """The error that sending it ends in."""
    async with Outbound(egress) as link:
        with pytest.raises(GatewayError) as caught:
            await link.send(request, within=within, **more)
    assert "c2VjcmV0" not in str(caught.value)
    return caught.value


# What goes out, what comes back ---------------------------------------------------------------------------------------


async def test_a_request_leaves_as_it_is_and_its_answer_is_read() -> None:
    """Method, encoded path, headers and exact numbers arrive; status, headers and exact numbers come back."""
    async with (
        listening(answer(b'{"status_code":1000,"data":0.10}', X_Total_Count="5", Link="<a>", link="<b>")) as peer,
        Outbound(HOME) as link,
    ):
        url = with_query(join(peer.url + "/", "NL", "a/../b *#?%"), {"date_from": "2026-01-01T00:00:00Z"})
        got = await link.send(get(url, "PUT", {"price": [1, None, "é"]}), within=WITHIN)
    head, _, body = peer.heard[0].partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /ocpi/NL/a%2F..%2Fb%20%2A%23%3F%25?date_from=2026-01-01T00%3A00%3A00Z HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Token c2VjcmV0\r\n" in head
    assert b"\r\nContent-Type: application/json\r\n" in head
    assert b"\r\nAccept-Encoding: gzip, deflate\r\n" in head
    assert b"aiohttp" not in head.lower()
    assert body == '{"price":[1,null,"é"]}'.encode()
    assert (got.status, got.headers["x-total-count"], got.headers["LINK"]) == (200, "5", "<a>, <b>")
    assert str(got.body["data"]) == "0.10"


async def test_ascii_only_links_get_escapes() -> None:
    """A link whose strings are ASCII gets everything else escaped."""
    async with listening(answer()) as peer, Outbound(Egress(allow_private=True, ascii_only=True)) as link:
        await link.send(get(peer.url, "POST", {"name": "Zürich"}), within=WITHIN)
    assert peer.heard[0].endswith(b'{"name":"Z\\u00fcrich"}')


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "404 Not Found", "429 Too Many", "503 Unavailable"])
async def test_every_status_comes_back_with_its_body(status: str) -> None:
    """An HTTP error is an answer like any other: what it means is for others to say."""
    async with listening(answer(b'{"status_code":2001}', status, Retry_After="3")) as peer, Outbound(HOME) as link:
        got = await link.send(get(peer.url), within=WITHIN)
    assert (got.status, got.headers["Retry-After"], got.body) == (int(status[:3]), "3", {"status_code": 2001})


@pytest.mark.parametrize(
    "body", [b"", b"<html>secret</html>", b'{"a":1,"a":2}', b'{"a":NaN}', b"\xef\xbb\xbf{}", b"[" * 200_000, b'{"a":1']
)
async def test_a_body_that_is_no_strict_json_counts_as_none(body: bytes) -> None:
    """Status and headers still count; of the body nothing is passed on."""
    async with listening(answer(body, "502 Bad Gateway")) as peer, Outbound(HOME) as link:
        got = await link.send(get(peer.url), within=WITHIN)
    assert (got.status, got.body) == (502, ABSENT)


async def test_connections_are_kept_and_cookies_are_not() -> None:
    """One connection serves several requests, and nothing of an answer is sent back with the next."""
    async with listening(answer(Set_Cookie="a=b; Path=/")) as peer, Outbound(HOME) as link:
        for _ in range(3):
            await link.send(get(peer.url), within=WITHIN)
    assert (peer.calls, len(peer.heard)) == (1, 3)
    assert b"ookie" not in b"".join(peer.heard)


async def test_no_more_than_so_many_in_flight() -> None:
    """Requests beyond the limit wait for a connection, and what waited too long was never sent."""
    arrived = asyncio.Event()

    async def stall(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await peer.done.wait()

    async with listening(stall) as peer, Outbound(Egress(allow_private=True, in_flight=1)) as link:
        first = asyncio.create_task(link.send(get(peer.url, "POST"), within=WITHIN))
        await arrived.wait()
        with pytest.raises(NotConnected, match=r"no connection within 0\.05 s"):
            await link.send(get(peer.url, "POST"), within=0.05)
        first.cancel()
        assert len(peer.heard) == 1


# Where it may go ------------------------------------------------------------------------------------------------------


def words(text: str) -> list[str]:
    return text.split()


LOOPBACK_SPELLINGS = words("""
    127.0.0.1 127.1 127.0.1 127.000.000.001 0177.0.0.1 0x7f.0.0.1 0x7f.1 0x7f000001 0X7F000001 2130706433 017700000001
    127.127.127.127 127.0.0.1. 0 0.0.0.0 0x0 00000000 localhost LOCALHOST LocalHost localhost.
    [::1] [0:0:0:0:0:0:0:1] [0000::0001] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [::FFFF:7F00:0001] [::127.0.0.1]
""")

# Those of them that the resolver, unlike the eye, takes for an address: nothing but the check at the socket stops them.
HEARD = words("127.0.0.1 0x7f.0.0.1 0x7f.1 0x7f000001 127.127.127.127 0.0.0.0 0x0 localhost [::ffff:127.0.0.1]")

ODD_URLS = [
    "https://good.example@127.0.0.1:{port}/",
    "https://good.example:443@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\\@good.example/",
    "https://good.example\\@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}#@good.example/",
    "https://127.0.0.1:{port}/#fragment",
    "https:127.0.0.1:{port}/",
    "https:/127.0.0.1:{port}/",
    "https:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}/",
    " https://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/ HTTP/1.1\r\nHost: x",
    "https://127.0.0.1:{port}/a\nb",
    "https://127.0.0.1\t:{port}/",
    "https://127.0.0.1:{port}/a/../../admin",
    "https://127.0.0.1:{port}/%2e%2E/admin",
    "https://①②⑦.⓪.⓪.①:{port}/",
    "https://127。0。0。1:{port}/",
    "https://loc\u212alhost:{port}/",
    "https://lⓞcalhost:{port}/",
    "https://[::1%25lo]:{port}/",
    "https://%6c%6f%63alhost:{port}/",
    "https://127.0.0.1:0/",
    "https://127.0.0.1:99999/",
    "http://127.0.0.1:{port}/",
    "HTTP://localhost:{port}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "unix:///run/redis.sock",
    "ws://127.0.0.1:{port}/",
    "javascript:alert(1)",
    "",
]


@pytest.mark.parametrize("host", LOOPBACK_SPELLINGS)
async def test_no_spelling_of_this_machine_is_reached(host: str) -> None:
    """However the own machine is spelled, no connection arrives, and what didn't leave is safe to send again."""
    async with listening(answer(), host="0.0.0.0") as peer:
        error = await refused(get(f"https://{host}:{peer.port}/versions"), Egress())
        assert type(error) is NotConnected
        assert host not in HEARD or "isn't public" in str(error)
        assert peer.calls == 0


async def test_the_canary_hears_what_is_allowed() -> None:
    """The listener of the tests above does hear a link that may call private addresses, by number and by name."""
    async with listening(answer(), host="0.0.0.0") as peer, Outbound(HOME) as link:
        for host in HEARD:
            await link.send(get(f"http://{host}:{peer.port}/"), within=WITHIN)
        assert peer.calls == len(HEARD)


@pytest.mark.parametrize("url", ODD_URLS)
async def test_odd_urls_are_refused_before_anything_else(url: str) -> None:
    """What two programs could read in two ways, or no web server serves, is never called, private allowed or not."""
    async with listening(answer()) as peer:
        plain_http = url.lower().startswith(("http://127", "http://local"))  # that is all allow_private would forgive
        for egress in (Egress(),) if plain_http else (Egress(), HOME):
            error = await refused(get(url.replace("{port}", str(peer.port))), egress)
            assert type(error) is NotConnected
            assert not plain_http or "without https" in str(error)
        assert peer.calls == 0
        if not plain_http:
            with pytest.raises(ValueError, match="URL"):
                split(url.replace("{port}", str(peer.port)))


PRIVATE = words("""
    127.0.0.1 127.255.255.254 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 100.64.0.1 100.127.255.255
    0.0.0.0 0.1.2.3 192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 240.0.0.1 255.255.255.255
    :: ::1 fc00::1 fd00:ec2::254 fec0::1 2001:db8::1 100::1 ::7f00:1
    ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:100.64.0.1 2002:7f00:1:: 2002:a00:1:: 64:ff9b::7f00:1 64:ff9b::a00:1
""")
NEVER = words("""
    169.254.169.254 169.254.0.1 224.0.0.1 239.255.255.255 fe80::1 fe80::1%lo ff02::1 ff0e::1 ::ffff:169.254.169.254
    2002:a9fe:a9fe:: 64:ff9b::a9fe:a9fe
""")
PUBLIC = words("1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.1 172.32.0.1 2606:4700::1111 ::ffff:8.8.8.8 64:ff9b::808:808")


@pytest.mark.parametrize(
    ("addresses", "open_to_all", "open_to_private"),
    [(PRIVATE, False, True), (NEVER, False, False), (PUBLIC, True, True)],
    ids=["private", "never", "public"],
)
def test_which_addresses_are_admitted(addresses: list[str], open_to_all: bool, open_to_private: bool) -> None:
    """Public ones always, private ones where the link allows it, link-local and multicast ones never."""
    for address in addresses:
        assert admissible(address, allow_private=False) is open_to_all, address
        assert admissible(address, allow_private=True) is open_to_private, address


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_redirects_are_failures(status: int, method: str) -> None:
    """A redirect isn't followed, whoever it names, and a POST that met one is in doubt rather than delivered."""
    async with listening(answer()) as elsewhere:
        moved = answer(b'{"status_code":1000}', f"{status} Moved", Location=f"{elsewhere.url}/stolen")
        async with listening(moved) as peer:
            error = await refused(get(peer.url, method, {"id": "1"} if method == "POST" else ABSENT))
    assert type(error) is ReceiverError
    assert str(status) in str(error)
    assert (elsewhere.calls, len(peer.heard)) == (0, 1)


async def test_the_token_goes_to_the_partners_own_hosts_only() -> None:
    """With allowed hosts, no other host and no other port hears anything, whatever URL the partner hands out."""
    async with listening(answer()) as canary, listening(answer()) as partner:
        own = Egress(allow_private=True, allowed_hosts=frozenset({f"127.0.0.1:{partner.port}", "api.partner.example"}))
        for url in (canary.url, f"http://localhost:{partner.port}/", f"http://127.0.0.2:{partner.port}/"):
            assert type(await refused(get(url), own)) is NotConnected
        async with Outbound(own) as link:
            await link.send(get(partner.url), within=WITHIN)
        assert (canary.calls, partner.calls) == (0, 1)


async def test_the_environment_has_no_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Proxies and passwords that the environment names are not for partners' calls."""
    async with listening(answer()) as proxy, listening(answer()) as peer, Outbound(HOME) as link:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login a password b")
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("NETRC", str(netrc))
        await link.send(HttpRequest(method="GET", url=peer.url), within=WITHIN)
        assert (proxy.calls, peer.calls) == (0, 1)
        assert b"Authorization" not in peer.heard[0]


def test_allowed_hosts_know_ports_and_case() -> None:
    """An entry with a port admits that port, one without any, and hosts compare without case."""
    hosts = frozenset({"a.example", "b.example:8443"})
    urls = ["https://A.Example:1/", "https://a.example", "https://b.example:8443/", "https://B.EXAMPLE:8443"]
    assert all(split(url).among(hosts) for url in urls)
    assert not any(split(url).among(hosts) for url in ["https://b.example/", "https://a.example.evil.example/"])


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\x00b", "\x1b[0m", "é", "a\x7f"])
async def test_no_header_starts_another(value: str) -> None:
    """A header value with a control character or beyond ASCII isn't sent."""
    async with listening(answer()) as peer:
        request = HttpRequest(method="GET", url=peer.url, headers={"X-Correlation-ID": value})
        error = await refused(request)
        assert type(error) is NotConnected
        assert peer.calls == 0


async def test_a_strangers_certificate_isnt_good() -> None:
    """A certificate that no authority vouches for ends the call before the token leaves; a trusted one is fine."""
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    own.load_cert_chain(LOCALHOST)
    async with listening(answer(), tls=own) as peer:
        url = f"https://localhost:{peer.port}/"
        error = await refused(get(url))
        assert type(error) is NotConnected
        assert "TLS" in str(error)
        assert peer.heard == []
        trusting = Egress(allow_private=True, tls=ssl.create_default_context(cafile=str(LOCALHOST)))
        async with Outbound(trusting) as link:
            assert (await link.send(get(url), within=WITHIN)).status == 200
        assert type(await refused(get(url.replace("localhost", "127.0.0.1")), trusting)) is NotConnected  # another name


# How long, how much ---------------------------------------------------------------------------------------------------


async def test_an_answer_that_never_comes_ends_at_the_deadline() -> None:
    """Sent and no answer in time is a timeout, and the receiver may have acted upon it."""

    async def stall(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.done.wait()

    async with listening(stall) as peer:
        assert type(await refused(get(peer.url, "POST", {}), within=0.1)) is ReceiverTimeout
        assert len(peer.heard) == 1


async def test_a_dripping_answer_ends_at_the_deadline() -> None:
    """The deadline is over the whole answer, however busily its bytes arrive."""

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not peer.done.is_set():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with listening(drip) as peer:
        assert type(await refused(get(peer.url), within=0.15)) is ReceiverTimeout


def coded(body: bytes, coding: str) -> bytes:
    match coding:
        case "gzip":
            return gzip.compress(body)
        case "deflate":
            return zlib.compress(body)
        case "bare deflate":
            squeeze = zlib.compressobj(wbits=-15)
            return squeeze.compress(body) + squeeze.flush()
        case _:
            return body


@pytest.mark.parametrize("coding", ["gzip", "deflate", "bare deflate", "identity"])
async def test_compressed_answers_are_read_up_to_the_cap(coding: str) -> None:
    """Each coding that we ask for is undone, up to the cap to the byte."""
    body = b'{"x":"' + b"a" * 5_000 + b'"}'
    wire = answer(coded(body, coding), Content_Encoding=coding.removeprefix("bare "))
    async with listening(wire) as peer:
        async with Outbound(HOME) as link:
            assert (await link.send(get(peer.url), within=WITHIN, cap=len(body))).body == {"x": "a" * 5_000}
        assert type(await refused(get(peer.url), cap=len(body) - 1)) is ReceiverError


async def test_a_bomb_is_not_inflated() -> None:
    """A small answer that would inflate to 64 MiB is refused at the cap."""
    bomb = gzip.compress(b" " * 64 * 1024 * 1024, compresslevel=1)
    async with listening(answer(bomb, Content_Encoding="gzip")) as peer:
        tracemalloc.start()
        try:
            error = await refused(get(peer.url), cap=1024 * 1024)
            assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
        finally:
            tracemalloc.stop()
    assert type(error) is ReceiverError
    assert "more than 1048576 bytes" in str(error)


@pytest.mark.parametrize(
    ("head", "chunk"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", b" " * 1000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3e8\r\n" + b" " * 1000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b" " * 1000),
    ],
    ids=["announced", "chunked", "until the end"],
)
async def test_an_endless_answer_is_left_at_the_cap(head: bytes, chunk: bytes) -> None:
    """Announced, in chunks or without any length: no more than the cap is read, and the connection is closed."""

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not peer.done.is_set():
            writer.write(chunk)
            await writer.drain()

    async with listening(pour) as peer:
        assert type(await refused(get(peer.url), cap=100_000)) is ReceiverError


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (gzip.compress(b"{}")[:-4], "gzip"),
        (gzip.compress(b"{}") + b"more", "gzip"),
        (b"{}", "gzip"),
        (b"\x1f\x8b\xff", "gzip"),
        (b"{}", "br"),
        (gzip.compress(gzip.compress(b"{}")), "gzip, gzip"),
    ],
    ids=["cut", "followed", "plain", "broken", "unasked", "double"],
)
async def test_a_broken_coding_counts_as_no_body(body: bytes, coding: str) -> None:
    """Compressed bytes that can't be undone as announced are no body; the status still counts."""
    async with listening(answer(body, Content_Encoding=coding)) as peer, Outbound(HOME) as link:
        got = await link.send(get(peer.url), within=WITHIN)
    assert (got.status, got.body) == (200, ABSENT)


# What is doubt --------------------------------------------------------------------------------------------------------


async def test_nobody_there_is_safe_to_send_again() -> None:
    """A refused connection and a name that doesn't resolve mean that nothing was sent."""
    async with listening(answer()) as peer:
        closed = peer.url
    assert type(await refused(get(closed, "POST", {}))) is NotConnected
    assert type(await refused(get("https://no-such-name.invalid/", "POST", {}))) is NotConnected


@pytest.mark.parametrize(
    "reply",
    [
        None,
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"status_code":1',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{"status_code":1',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n{}",
    ],
    ids=["none", "half a header", "half a body", "half a chunk", "no chunk", "no HTTP", "two lengths", "long header"],
)
async def test_half_an_answer_is_in_doubt(reply: bytes | None) -> None:
    """Sent, and what came back is nothing or not a whole answer: it may have been acted upon, and isn't sent again."""

    async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply or b"")
        await writer.drain()

    async with listening(say) as peer:
        assert type(await refused(get(peer.url, "POST", {"id": "CDR1"}))) is ReceiverError
        assert len(peer.heard) == 1


@pytest.mark.parametrize(("method", "heard"), [("GET", 3), ("PUT", 3), ("DELETE", 3), ("POST", 2), ("PATCH", 2)])
async def test_a_kept_connection_that_is_gone_is_replaced_once(method: str, heard: int) -> None:
    """A second request that meets a closed connection is repeated if its method allows it, else it is in doubt."""
    body = {"id": "1"} if method in ("PUT", "POST", "PATCH") else ABSENT
    async with listening(answer(), None, answer()) as peer, Outbound(HOME) as link:
        await link.send(get(peer.url), within=WITHIN)
        if heard == 3:
            assert (await link.send(get(peer.url, method, body), within=WITHIN)).status == 200
        else:
            with pytest.raises(ReceiverError):
                await link.send(get(peer.url, method, body), within=WITHIN)
    assert len(peer.heard) == heard
    assert len({request.rpartition(b"\r\n\r\n")[2] for request in peer.heard[1:]}) == 1


# URLs -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "segments", "url"),
    [
        ("https://a.example/locations", ("NL", "TNM"), "https://a.example/locations/NL/TNM"),
        ("https://a.example/locations/", ("NL",), "https://a.example/locations/NL"),
        ("https://a.example/locations//", ("NL",), "https://a.example/locations//NL"),
        ("https://a.example/locations?v=1&w", ("NL",), "https://a.example/locations/NL?v=1&w"),
        ("https://a.example/locations/?v=1", (), "https://a.example/locations?v=1"),
        ("https://a.example", ("BE*BEC*E1",), "https://a.example/BE%2ABEC%2AE1"),
        (
            "https://a.example",
            ("a/b", "c d", "e#f", "g?h", "i%j", "k%2Fl"),
            "https://a.example/a%2Fb/c%20d/e%23f/g%3Fh/i%25j/k%252Fl",
        ),
        (
            "https://a.example",
            ("é東", "a:b@c;d=e&f+g,h", "..."),
            "https://a.example/%C3%A9%E6%9D%B1/a%3Ab%40c%3Bd%3De%26f%2Bg%2Ch/...",
        ),
        ("https://a.example", ("A-Z_0.9~", "..%2f", "%2e%2e"), "https://a.example/A-Z_0.9~/..%252f/%252e%252e"),
    ],
)
def test_ids_become_one_segment_each_trap_61(endpoint: str, segments: tuple[str, ...], url: str) -> None:
    """Whatever an id holds, it stays one segment behind the endpoint, and the endpoint's query stays at the end."""
    assert join(endpoint, *segments) == url


@pytest.mark.parametrize("segment", ["", ".", "..", "a\\b", "\\", "a\x00", "a\r\nb", "\x7f", "a\x85", "\ud800"])
def test_what_no_encoding_makes_safe_is_refused(segment: str) -> None:
    """Dots, nothing, control characters, half characters and backslashes are no path segment."""
    with pytest.raises(ValueError, match="path segment"):
        join("https://a.example/locations", "NL", segment)


def test_parameters_are_added_behind_those_there_are() -> None:
    """Names and values are encoded, and the endpoint's own parameters stay first."""
    assert with_query("https://a.example/x", {}) == "https://a.example/x"
    assert with_query("https://a.example/x?k=1", {"a b": "c&d=é", "limit": "50"}) == (
        "https://a.example/x?k=1&a%20b=c%26d%3D%C3%A9&limit=50"
    )
    with pytest.raises(ValueError, match="fragment"):
        with_query("https://a.example/x#y", {"a": "b"})
    with pytest.raises(ValueError, match="fragment"):
        join("https://a.example/x#y", "a")
