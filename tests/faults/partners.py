"""Partners that can be trusted to remember, and to nothing else.

Each is an eMSP on its own port. It writes down every request before anything happens to it, stores what it takes
(deduplicated by owner and id, as a partner should), and answers well or as its script says: a list of faults, each with
the time in which it happens and its probability.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import itertools
import json
import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

from attrs import define, field, frozen

from tests.faults.plain_http import Peer, Request, Server, head
from tests.faults.records import Books, Key, Receipt, digest, key_of, now

OWNER: Final = "NL-EXA"


@frozen
class Fault:
    """What a partner does wrong, from when to when (seconds after its script began), and how often (0 to 1)."""

    name: str
    p: float = 1.0
    since: float = 0.0
    until: float = float("inf")
    seconds: float = 30.0
    """Of those faults that take time."""


# Faults by what they mean. A request that met one of SAFE wasn't stored, and the answer says so.
SAFE: Final = frozenset({"429", "502", "503", "503_later", "2xxx", "3000"})
# It was stored, and the sender can't know: posting again would be a repetition.
STORED: Final = frozenset({"stored_drop", "stored_reset", "stored_hang", "stored_half", "stored_truncated"})
# It wasn't stored, and nothing says so that may be believed.
LIES: Final = frozenset({
    "html", "truncated", "bad_utf8", "empty", "nan", "duplicate_keys", "204", "no_status", "status_text", "2000_in_500",
    "bomb", "many_headers", "302", "307", "308",
})  # fmt: skip
# It wasn't stored; HTTP says that something is wrong, and not what.
PLAIN: Final = frozenset({"400", "404", "500", "drop", "reset", "hang", "slow", "drip"})


def envelope(status: int = 1000, data: Any = None, **more: Any) -> bytes:
    body = {"status_code": status, "timestamp": "2026-03-01T00:00:00Z", **more}
    return json.dumps(body if data is None else {**body, "data": data}).encode()


@define(eq=False)
class Partner:
    """One eMSP.

    Attributes:
        id: the link's.
        pace: seconds that a good answer takes, at most; evenly spread from nothing.
        delay: seconds that it takes at least.
        objects: what it has, by name, as a receiver of its version puts it together.
        posted: CDRs by name: the digests of what it stored; more than one would be billed twice.
        watch: told of each request as it arrives, before anything is done with it.
    """

    id: str
    version: str
    country: str
    party: str
    books: Books
    rng: random.Random
    pace: float = 0.01
    delay: float = 0.0
    script: list[Fault] = field(factory=list)
    objects: dict[Key, dict[str, Any]] = field(factory=dict, init=False)
    posted: dict[Key, set[str]] = field(factory=dict, init=False)
    in_flight: int = field(default=0, init=False)
    most_in_flight: int = field(default=0, init=False)
    watch: Callable[[Receipt], None] = field(default=lambda _: None, init=False)
    receipts: list[Receipt] = field(factory=list, init=False)
    _began: float = field(factory=now, init=False)
    server: Server = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.server = Server(self._answer)

    @property
    def token_in(self) -> str:
        """What we take from the gateway: also what must be in no log."""
        return f"canary-to-{self.id}-5eCr3t"

    @property
    def token_out(self) -> str:
        """What we send to the gateway."""
        return f"canary-of-{self.id}-5eCr3t"

    def play(self, *faults: Fault) -> None:
        """The script from now on."""
        self._began = now()
        self.script = list(faults)

    def file(self, *, port: int | None = None, more: str = "") -> str:
        """Its configuration, as the gateway reads it; ``port`` of a proxy before it."""
        base = f"http://127.0.0.1:{port or self.server.port}"
        return (
            f'version: "{self.version}"\n'
            f"roles: [{{role: EMSP, country_code: {self.country}, party_id: {self.party}}}]\n"
            f"registration:\n"
            f"  start: adopted\n"
            f"  versions_url: {base}/versions\n"
            f"  token_out: {{value: {self.token_in}}}\n"
            f"  token_in: {{value: {self.token_out}}}\n"
            f"  endpoints: {{sessions: {base}/sessions, cdrs: {base}/cdrs, credentials: {base}/credentials}}\n"
            f"allow_private: true\n" + more
        )

    # A request ------------------------------------------------------------------------------------------------------

    async def _answer(self, request: Request, peer: Peer) -> None:
        self._check_token(request)
        module = request.segments[0]
        if module == "trap":
            self.books.odd(f"redirect followed by {request.method} at {self.id}")
            peer.answer(200, envelope())
            return
        if module not in ("cdrs", "sessions") or request.method == "GET":
            self._read(request, peer)
            return
        receipt = self._receipt(module, request)
        self.receipts.append(receipt)
        self.books.receipts.append(receipt)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            self.watch(receipt)
            fault = self._fault()
            receipt.fault = fault.name if fault else ""
            receipt.safe = receipt.fault in SAFE
            if fault is None:
                await self._well(request, receipt, peer)
            else:
                await self._badly(fault, request, receipt, peer)
        finally:
            self.in_flight -= 1

    def _check_token(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if self.version != "2.1.1":
            token = base64.b64decode(token).decode()
        if (scheme, token) != ("Token", self.token_in):
            self.books.odd(f"I11 {self.id} got a token that isn't its own")

    def _receipt(self, module: str, request: Request) -> Receipt:
        body, segments = request.json(), request.segments
        owner = f"{body['country_code']}-{body['party_id']}" if "party_id" in body else OWNER
        id = str(body["id"]) if module == "cdrs" else segments[3]
        if module == "sessions":
            owner = f"{segments[1]}-{segments[2]}"
            if body.get("id", id) != id:
                self.books.odd(f"I11 a body of {body['id']} came to {self.id} at {id}")
        if not id.startswith(f"{self.party}-"):
            self.books.odd(f"I11 {id} came to {self.id}")
        return Receipt(
            at=now(), link=self.id, method=request.method, key=key_of(module, owner, id), digest=digest(body),
            stamps=str(body.get("last_updated", "")), original=str(body.get("credit_reference_id", "")),
            correlation=request.headers.get("x-correlation-id", ""),
        )  # fmt: skip

    def _fault(self) -> Fault | None:
        age = now() - self._began
        for fault in self.script:
            if fault.since <= age < fault.until and self.rng.random() < fault.p:
                return fault
        return None

    async def _well(self, request: Request, receipt: Receipt, peer: Peer) -> None:
        """Stored, and said so."""
        if not self._store(request, receipt):
            if peer.answer(404, envelope(2003, status_message="unknown session")):
                receipt.answered = now()
            return
        if self.pace or self.delay:
            await asyncio.sleep(self.delay + self.rng.uniform(0, self.pace))
        if peer.answer(200, envelope(), self._location(receipt)):
            receipt.answered = now()

    def _location(self, receipt: Receipt) -> dict[str, str]:
        if receipt.method != "POST":
            return {}
        return {"Location": f"http://127.0.0.1:{self.server.port}/cdrs/{receipt.key[2]}"}

    def _store(self, request: Request, receipt: Receipt) -> bool:
        """False: it is a PATCH of something that we don't have."""
        body = request.json()
        if request.method == "PATCH":
            if (has := self.objects.get(receipt.key)) is None:
                return False
            before = list(has.get("charging_periods") or [])
            has.update(body)
            if body.get("charging_periods") and self.version != "2.1.1":  # appended, 2.2.1 mod_sessions 9.2.2.3
                has["charging_periods"] = [*before, *body["charging_periods"]]
        else:
            if receipt.key[0] == "cdrs":
                self.posted.setdefault(receipt.key, set()).add(receipt.digest)
            self.objects[receipt.key] = dict(body)
        receipt.stored = True
        return True

    def _read(self, request: Request, peer: Peer) -> None:
        """What is asked of us: one CDR by the URL that we gave, or a list, which is empty."""
        if len(request.segments) == 2 and request.segments[0] == "cdrs":
            found = self.objects.get(key_of("cdrs", OWNER, request.segments[1]))
            peer.answer(200 if found else 404, envelope(1000, found) if found else envelope(2003))
        elif request.segments[0] == "versions":
            url = f"http://127.0.0.1:{self.server.port}/{self.version}"
            peer.answer(200, envelope(1000, [{"version": self.version, "url": url}]))
        elif request.method == "GET":
            peer.answer(200, envelope(1000, []), {"X-Total-Count": "0", "X-Limit": "100"})
        else:
            peer.answer(200, envelope())

    # Faults -----------------------------------------------------------------------------------------------------------

    async def _badly(self, fault: Fault, request: Request, receipt: Receipt, peer: Peer) -> None:
        name = fault.name
        if name in STORED:
            self._store(request, receipt)
        if (said := _said().get(name)) is not None:
            status, body, headers = said
            if peer.answer(status, body, headers) and receipt.safe:
                receipt.answered = now()
            return
        match name:
            case "302" | "307" | "308":
                peer.answer(int(name), b"", {"Location": f"http://127.0.0.1:{self.server.port}/trap"})
            case "truncated" | "stored_truncated":
                whole = head(200, len(envelope())) + envelope()
                peer.write(whole[:-7])
                peer.close()
            case "drop" | "stored_drop":
                peer.close()
            case "reset" | "stored_reset":
                peer.reset()
            case "stored_half":
                peer.transport.write_eof()
            case "hang" | "stored_hang":
                await self._patience(peer, fault.seconds)
                peer.close()
            case "slow":
                await self._patience(peer, fault.seconds)
                await self._well(request, receipt, peer)
            case "drip":
                for byte in head(200, len(envelope())) + envelope():
                    if not peer.write(bytes([byte])):
                        return
                    await self._patience(peer, 1.0)
            case _:
                raise ValueError(f"no such fault: {name}")

    @staticmethod
    async def _patience(peer: Peer, seconds: float) -> None:
        """That long, or until the other side has had enough."""
        try:
            async with asyncio.timeout(seconds):
                await peer.gone.wait()
        except TimeoutError:
            pass


@cache
def _said() -> dict[str, tuple[int, bytes, dict[str, str]]]:
    """Faults that are an answer, if a bad one: HTTP status, body, headers."""
    html = {"Content-Type": "text/html"}
    return {
        "400": (400, b"no", {"Content-Type": "text/plain"}),
        "404": (404, b"<html>no such page</html>", html),
        "429": (429, b"", {}),
        "500": (500, b"<html>oops</html>", html),
        "502": (502, b"<html>bad gateway</html>", html),
        "503": (503, b"", {}),
        "503_later": (503, b"", {"Retry-After": "1"}),
        "2xxx": (200, envelope(2000, status_message="not today"), {}),
        "3000": (200, envelope(3000, status_message="database down"), {}),
        "html": (200, b"<html>welcome to the hotspot</html>", html),
        "bad_utf8": (200, b'{"status_code":1000,"status_message":"\xff\xfe",' + _GOOD + b"}", {}),
        "empty": (200, b"", {}),
        "nan": (200, b'{"status_code":1000,"data":NaN,' + _GOOD + b"}", {}),
        "duplicate_keys": (200, b'{"status_code":2001,"status_code":1000,' + _GOOD + b"}", {}),
        "204": (204, b"", {}),
        "no_status": (200, b"{" + _GOOD + b"}", {}),
        "status_text": (200, b'{"status_code":"OK",' + _GOOD + b"}", {}),
        "2000_in_500": (500, envelope(1000), {}),
        "bomb": (200, gzip.compress(b" " * (64 << 20), 6), {"Content-Encoding": "gzip"}),
        "many_headers": (200, envelope(), {f"X-{number}": "x" for number in range(100_000)}),
    }


_GOOD: Final = b'"timestamp":"2026-03-01T00:00:00Z"'


def emsps(count: int, books: Books, seed: int, *, pace: float = 0.01) -> Sequence[Partner]:
    """So many partners, every second one on 2.1.1."""
    return [
        Partner(f"p{number:02}", version, "DE", f"P{number:02}", books, random.Random(f"{seed}-{number}"), pace)
        for number, version in zip(range(count), itertools.cycle(("2.2.1", "2.1.1")), strict=False)
    ]
