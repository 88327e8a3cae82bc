"""What the logs and metrics tell, and what they must never tell, over a whole run with canaries in it."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import structlog
from attrs import define, field
from witness import ask, outcome, say

from gateway import telemetry
from gateway.demo.peers import Exchange
from gateway.demo.story import cdr_of, cdr_token, location, session, session_patch, stamp, tariff
from gateway.demo.world import Cast, World
from gateway.web.json import loads

ACME: Final = Cast(name="acme", version="2.1.1", country="DEU", party="ACM")
VOLT: Final = Cast(name="volt", version="2.2.1", party="VLT", business="Volt Drive")

UID, CONTRACT, VISUAL = "04CANARY5EED", "DE-ACM-CCANARY77-X", "VISUAL-CANARY-3"
STRANGE_UID, STRANGE_TOKEN = "0BADCANARY01", "a-canary-that-nobody-knows"
TOKEN_B: Final = "a-canary-of-a-token-b"
SECRETS: Final = (
    UID, UID.lower(), CONTRACT, CONTRACT.lower(), VISUAL, STRANGE_UID, STRANGE_TOKEN, TOKEN_B,
    "acme-token-a", "volt-token-a", "backend-token-to-us", "backend-token-to-them",
)  # fmt: skip


@define
class Log:
    """What was written so far."""

    stream: io.StringIO = field(factory=io.StringIO)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Every line, each a JSON object."""
        return [loads(line.encode()) for line in self.text.splitlines()]

    def of(self, *events: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] in events]

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for a line that is written after the answer that it is about."""
        async with asyncio.timeout(5):
            while not true():  # noqa: ASYNC110 - a log wakes nobody
                await asyncio.sleep(0.01)


@pytest.fixture
def configured() -> Iterator[Callable[..., Log]]:
    """Logging as ``run`` has it, into a string; afterwards as it was."""
    root, server = logging.getLogger(), logging.getLogger("aiohttp.server")
    handlers, level, filters = list(root.handlers), root.level, list(server.filters)

    def configure(**options: Any) -> Log:
        log = Log()
        telemetry.configure(level="debug", stream=log.stream, **options)
        return log

    yield configure
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:], server.filters[:] = handlers, filters
    root.setLevel(level)


@pytest.fixture
def log(configured: Callable[..., Log]) -> Log:
    return configured()


def token() -> dict[str, Any]:
    """A token of the 2.1.1 eMSP, every name of it a canary."""
    return {
        "uid": UID, "type": "RFID", "auth_id": CONTRACT, "visual_number": VISUAL, "issuer": "Acme Mobility",
        "valid": True, "whitelist": "ALLOWED", "last_updated": stamp(datetime.now(UTC)),
    }  # fmt: skip


async def a_whole_run(world: World) -> list[Exchange]:
    """Everything that has to do with one token, well and badly. The answers that anybody got."""
    core, acme, volt, now = world.backend, world["acme"], world["volt"], datetime.now(UTC)
    who = cdr_token("ACM", UID, CONTRACT)
    started = session("S-1", who, now)
    wrong = {"body": f'{{"status_code":2001,"status_message":"no {UID} of {CONTRACT}"}}'.encode()}
    answers = [
        await acme.push_token(token()),
        await acme.patch_token(UID, {"valid": True}),
        await acme.put("tokens", "DEU", "ACM", UID.lower(), body=token()),
        await acme.put("tokens", "DEU", "ACM", UID, body={**token(), "valid": UID}),
        await acme.put("tokens", "DEU", "ACM", UID, body=b'{"uid": "' + UID.encode()),
        await core.push_location(location(now)),
        await core.authorize(UID, location={"location_id": "UTRECHT-1"}, to=None),
        await core.authorize(UID.lower(), to=None),
        await core.authorize(STRANGE_UID, to=None),
        await core.authorize(STRANGE_UID, to=("DE", "VLT")),
        await core.push_session(started),
        await core.patch_session("S-1", session_patch(now)),
        await core.push_session(session("S-2", cdr_token("ZZZ", STRANGE_UID, CONTRACT), now)),
        await core.push_cdr(cdr_of("C-1", "S-1", who, now)),
        await core.push_cdr({**cdr_of("C-1", "S-1", who, now), "total_energy": 22.0}),
        await ask(acme, "GET", f"/ocpi/2.1.1/cpo/tokens/DEU/ACM/{UID}"),
        await ask(acme, "GET", f"/ocpi/{UID}/{CONTRACT}"),
        await ask(acme, "PUT", f"/ocpi/2.1.1/cpo/tokens/NLD/ACM/{UID}?type={UID}&type={CONTRACT}"),
        await volt.line.ask("GET", world.versions_url, token=STRANGE_TOKEN),
        await volt.line.ask("PUT", f"{world.settings.public_url}/ocpi/2.2.1/credentials", body={"token": TOKEN_B}),
        await volt.line.ask(
            "PUT", f"{world.settings.public_url}/ocpi/2.2.1/credentials",
            body={**volt.handshake.credentials(TOKEN_B), "url": "http://127.0.0.1:1/versions"},
        ),
    ]  # fmt: skip
    await acme.wait_for("POST", "cdrs")
    await acme.wait_for(module="sessions", where=lambda one: one.body["kwh"] == 10.5)  # a PATCH, or a PUT of both
    acme.fail("sessions", **wrong)
    heard = len(acme.received)
    answers.append(await core.push_session({**started, "kwh": 12.0, "last_updated": "2040-01-01T00:00:00Z"}))
    await acme.wait_for(module="sessions", after=heard)
    core.fail("tokens", **wrong)
    answers.append(await acme.push_token({**token(), "last_updated": "2040-01-01T00:00:00Z"}))
    await acme.down()
    answers.append(await core.authorize(UID, to=None))
    answers.append(await core.push_cdr(cdr_of("C-2", "S-1", who, now)))
    return answers


async def test_a_whole_run_tells_no_secret(tmp_path: Path, log: Log) -> None:
    """Not in a line, not in a metric, not in what a caller reads that is refused."""
    async with World.of(tmp_path, ACME, VOLT) as world:
        tokens = [peer.counterpart.token or "" for peer in world.partners.values()]
        answers = await a_whole_run(world)
        malformed = f"GET /ocpi/versions HTTP/1.1\r\nHost: x\r\nAuthorization: Token {STRANGE_TOKEN}\x00\r\n\r\n"
        assert (await say(world.gateway.ocpi, malformed.encode())).http == 400
        assert log.of("cdr.conflict")
        await log.until(lambda: any(line["module"] == "cdrs" for line in log.of("message.failed")))
        tokens += [world.gateway.links.token_out(name)[0] for name in world.partners]
        async with aiohttp.ClientSession() as client:
            host, port = world.gateway.admin
            metrics = await (await client.get(f"http://{host}:{port}/metrics")).text()
    told = [answer.message for answer in answers if not answer.ok]
    for secret in (*SECRETS, *tokens):
        assert secret not in log.text
        assert secret not in metrics
        assert not [message for message in told if secret in message]
    assert len({outcome(answer) for answer in answers}) > 6  # it went well, and badly in many ways
    assert 'ocpi_gateway_messages_total{module="tokens",partner="acme",status="1000",version="2.1.1"}' in metrics


async def test_each_message_has_one_line_with_its_correlation_id(tmp_path: Path, log: Log) -> None:
    """``message.handled`` or ``message.refused``, and the crossings of the same message carry the same id."""
    async with World.of(tmp_path, ACME, VOLT) as world:
        core, now = world.backend, datetime.now(UTC)
        for number, push in enumerate((core.push_tariff(tariff(now)), core.push_location(location(now)))):
            heard = {peer.name: len(peer.received) for peer in world.partners.values()}
            answer = await push
            for peer in world.partners.values():
                await peer.wait_for("PUT", after=heard[peer.name])
            id = answer.headers["x-correlation-id"]
            handled = log.of("message.handled", "message.refused")
            assert len(handled) == number + 1
            line = handled[-1]
            assert (line["event"], line["correlation_id"], line["partner"]) == ("message.handled", id, "backend")
            assert (line["version"], line["verb"], line["http"], line["status"]) == ("2.2.1", "PUT", 201, 1000)
            assert line["ms"] > 0
            await log.until(lambda id=id: len(crossings(log, id)) == 2)
            assert {(one["target"], one["target_version"]) for one in crossings(log, id)} == {
                ("acme", "2.1.1"), ("volt", "2.2.1")
            }  # fmt: skip
        lost = {one["target"]: one["losses"] for one in log.of("message.forwarded") if one["module"] == "tariffs"}
        assert lost["volt"] == []
        assert any(loss.startswith("/min_price") for loss in lost["acme"])
        refused = await core.put("tariffs", "NL", "EXA", "OTHER", body=tariff(now))
        (line,) = log.of("message.refused")
        assert (line["correlation_id"], line["status"]) == (refused.headers["x-correlation-id"], 2001)
        assert line["reason"] == "$.id: is not the id in the URL"


def crossings(log: Log, correlation_id: str) -> list[dict[str, Any]]:
    return [line for line in log.of("message.forwarded") if line["correlation_id"] == correlation_id]


async def test_a_message_of_a_2_1_1_peer_gets_an_id(tmp_path: Path, log: Log) -> None:
    """That version has none, so the gateway makes one up: in the line, and on the way on."""
    async with World.of(tmp_path, ACME) as world:
        await world["acme"].push_token(token())
        arrived = await world.backend.wait_for("PUT", "tokens")
        (handled,) = log.of("message.handled")
        (crossing,) = [line for line in log.of("message.forwarded") if line["module"] == "tokens"]
        assert handled["correlation_id"] == crossing["correlation_id"] == arrived.headers["x-correlation-id"]


async def test_two_lines_about_one_token_can_be_matched(tmp_path: Path, log: Log) -> None:
    """What is masked is a keyed hash: the same for the same uid, whatever its case, and another for another."""
    async with World.of(tmp_path, ACME):
        first, again, other = (telemetry.MASK.hash(uid) for uid in (UID, UID.lower(), STRANGE_UID))
    assert first == again != other
    telemetry.declare(UID)
    structlog.get_logger().info("one.token", uid=UID, reason=f"no token {UID} here", nested={"seen": [UID]})
    (line,) = log.of("one.token")
    assert (line["uid"], line["reason"], line["nested"]) == (first, f"no token {first} here", {"seen": [first]})


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /ocpi/versions HTTP/1.1\r\nHost: x\r\nAuthorization: Token CANARY\x00\r\n\r\n",
        b"CANARY\r\n\r\n",
        b"GET /CANARY HTTP/1.1\r\nHost: x\r\nX-CANARY: " + b"CANARY" * 5000 + b"\r\n\r\n",
        b"PUT /ocpi HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nCANARY\r\n",
    ],
    ids=["a zero byte", "no HTTP", "a long header", "no chunk"],
)
async def test_malformed_http_leaves_one_line_without_its_bytes(tmp_path: Path, log: Log, request_: bytes) -> None:
    """Who sends garbage all day doesn't fill the disk, and a token in it isn't written down."""
    async with World.of(tmp_path) as world:
        before = len(log.lines)
        assert (await say(world.gateway.ocpi, request_)).http == 400
        lines = log.lines[before:]
        assert len(lines) == 1
        assert lines[0]["event"].startswith("malformed request: ")
        assert "CANARY" not in log.text
        assert "Traceback" not in log.text


def test_a_traceback_shows_no_variables(configured: Callable[..., Log]) -> None:
    """On a terminal either: locals are where the secrets are."""
    for pretty in (True, False):
        log = configured(pretty=pretty)
        try:
            secret_in_a_local = "canary" * 2
            raise ValueError(len(secret_in_a_local))
        except ValueError:
            structlog.get_logger().exception("something.crashed")
        assert "ValueError: 12" in log.text
        assert "canarycanary" not in log.text
