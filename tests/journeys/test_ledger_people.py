"""What becomes of CDRs, as the backend is told and as people decide it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import pytest_asyncio
from attrs import evolve
from click.testing import CliRunner, Result
from ear import Ear
from scenes import ACME, NEW, VOLT, Begin, at_volt, operator, settled, thing

from gateway import telemetry
from gateway.__main__ import cli
from gateway.app import Gateway
from gateway.demo.world import World
from gateway.model.names import CdrState
from gateway.settings.values import Secret
from gateway.web.ledger_api import SCHEMAS

DONE = ["pending", "in_flight", "delivered"]


@pytest_asyncio.fixture
async def ear() -> AsyncIterator[Ear]:
    async with Ear() as ear:
        yield ear


async def ledger(stage: World, *words: str) -> Result:
    """The verb, beside the gateway that runs."""
    telemetry.configure(level="critical")
    line = ["ledger", *words, "--config", str(stage.settings.folder), "--data", str(stage.folder / "data")]
    return await asyncio.to_thread(CliRunner().invoke, cli, line)


async def post(stage: World, name: str, id: str) -> None:
    """The backend bills one of the two eMSPs."""
    cdr = thing("cdr", NEW) if name == "acme" else at_volt(thing("cdr", NEW))
    party = "ACM" if name == "acme" else "VLT"
    assert (await stage.backend.push_cdr(cdr | {"id": id}, to=("DE", party))).ok


async def opened(world: Begin, more: str = "", **options: Any) -> World:
    """An operator's core that bills an eMSP of each version."""
    stage = await world(ACME, VOLT, backend=operator(NEW), gateway_yaml=more, **options)
    await stage.backend.push_location(thing("location", NEW))
    await settled(stage)
    return stage


# Told to the backend --------------------------------------------------------------------------------------------------


async def test_the_backend_hears_what_becomes_of_its_cdrs(world: Begin, ear: Ear) -> None:
    """Each state of each CDR, in order, with the partner's answer as the reason; and what a person decides."""
    stage = await opened(world, ear.yaml)
    await post(stage, "acme", "c-1")
    await post(stage, "volt", "C-2")
    await ear.until(lambda ear: ear.states("acme", "c-1") == ear.states("volt", "C-2") == DONE)
    stage["acme"].fail("cdrs", "POST", drop=True, applied=True)
    await post(stage, "acme", "C-3")
    await ear.until(lambda ear: ear.states("acme", "C-3") == ["pending", "in_flight", "in_doubt"])
    done = await ledger(stage, "confirm", "C-3", "--partner", "acme", "--reason", "seen in their portal")
    assert done.exit_code == 0, done.output
    await ear.until(lambda ear: "delivered" in ear.states("acme", "C-3"))
    last = ear.changes[-1]
    assert (last["from"], last["to"], last["reason"]) == ("in_doubt", "delivered", "seen in their portal")
    assert last["owner"] == {"country_code": "NL", "party_id": "EXA"}
    assert last["module"] == "cdrs"
    assert last["who"]
    assert last.keys() == SCHEMAS["Change"]["properties"].keys()
    assert ear.tokens == {"Bearer token-of-the-ear"}
    assert all(len(batch["changes"]) <= 100 and batch["cursor"] for batch in ear.batches)


async def test_a_resent_cdr_is_posted_at_once(world: Begin, ear: Ear) -> None:
    """The gateway that runs is woken by the verb, and the backend hears of the second round."""
    stage = await opened(world, ear.yaml)
    stage["volt"].fail("cdrs", "POST", status=2001)
    await post(stage, "volt", "C-1")
    await stage["volt"].wait_for("POST", "cdrs")
    await settled(stage)
    done = await ledger(stage, "drop", "C-1", "--reason", "they don't want it")
    assert done.exit_code == 0, done.output
    assert (await ledger(stage, "resend", "C-1", "--reason", "they do")).exit_code == 0
    await stage["volt"].wait_for("POST", "cdrs", count=2)
    await ear.until(lambda ear: "delivered" in ear.states("volt", "C-1"))
    told = [change["to"] for change in ear.changes]
    assert told.count("dropped") == 1
    assert told[told.index("dropped") :] == ["dropped", "pending", "in_flight", "delivered"]


async def test_a_location_is_sent_once_more_as_a_whole(world: Begin) -> None:
    """Delivered long ago, and lost by its receiver: a PUT, although nothing has changed."""
    stage = await opened(world)
    await stage["volt"].wait_for("PUT", "locations")
    id = thing("location", NEW)["id"]
    done = await ledger(stage, "resend", id, "--partner", "volt", "--reason", "they lost their database")
    assert done.exit_code == 0, done.output
    again = await stage["volt"].wait_for("PUT", "locations", count=2)
    assert again.body["id"] == id


@pytest.mark.parametrize("away", [True, False], ids=["away", "answers-503"])
async def test_a_receiver_with_a_bad_day_misses_nothing(world: Begin, ear: Ear, away: bool) -> None:
    """While it can't take them the changes wait, and the metric tells how long; afterwards they come in order."""
    stage = await opened(world, ear.yaml)
    await post(stage, "acme", "C-1")
    await ear.until(lambda ear: ear.states("acme", "C-1") == DONE)
    if away:
        await ear.down()
    else:
        ear.status = 503
    for number in range(2, 6):
        await post(stage, "acme", f"C-{number}")
    await settled(stage)
    if away:
        await ear.up()
    else:
        await ear.until(lambda ear: ear.missed > 0)
        async with aiohttp.ClientSession() as session, session.get(f"{admin(stage)}/metrics") as answer:
            metrics = await answer.text()
        assert "ocpi_gateway_events_failed_total" in metrics
        assert "ocpi_gateway_events_lag_seconds" in metrics
        ear.status = 204
    await ear.until(lambda ear: all(ear.states("acme", f"C-{number}") == DONE for number in range(1, 6)))


async def test_a_restart_loses_no_change(world: Begin, ear: Ear) -> None:
    """What wasn't taken before it is told after it, from where the cursor stands."""
    stage = await opened(world, ear.yaml)
    await post(stage, "acme", "C-1")
    await ear.until(lambda ear: ear.states("acme", "C-1") == DONE)
    ear.status = 500
    await post(stage, "volt", "C-2")
    await ear.until(lambda ear: ear.missed > 0)
    await stage.restart()
    ear.status = 200
    before = len(ear.changes)
    await ear.until(lambda ear: ear.states("volt", "C-2") == DONE)
    assert ear.states("acme", "C-1") == DONE
    assert "C-1" not in [change["id"] for change in ear.changes[before:]]


async def test_of_two_replicas_the_other_goes_on(world: Begin, ear: Ear) -> None:
    """One of them tells; when it is gone, the other one does within seconds."""
    stage = await opened(world, ear.yaml, gateways=2)
    await post(stage, "acme", "C-1")
    await ear.until(lambda ear: ear.states("acme", "C-1") == DONE)
    stage.through(stage.backend, 1)
    await stage.stop(0)
    await post(stage, "acme", "C-2")
    await ear.until(lambda ear: ear.states("acme", "C-2") == DONE)


# The admin API --------------------------------------------------------------------------------------------------------


def admin(stage: World) -> str:
    host, port = stage.gateway.admin
    return f"http://{host}:{port}"


async def call(
    stage: World, method: str, path: str, *, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """Status and body of an answer of the admin listener."""
    url = f"{admin(stage)}{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, json=body, headers=headers) as answer,
    ):
        assert "Server" not in answer.headers or "/" not in answer.headers["Server"]
        return answer.status, await answer.json()


async def parked(world: Begin) -> World:
    """A CDR that was delivered, and one in doubt."""
    stage = await opened(world)
    await post(stage, "volt", "C-1")
    await settled(stage)
    stage["volt"].fail("cdrs", "POST", drop=True, applied=True)
    await post(stage, "volt", "C-2")
    await settled(stage)
    return stage


async def test_changes_are_read_behind_a_cursor(world: Begin) -> None:
    """From the beginning, a few at a time, each once and in order; at the end the cursor waits for more."""
    stage = await parked(world)
    found, cursor = [], ""
    while True:
        path = f"/api/ledger/changes?limit=2&after={quote(cursor)}" if cursor else "/api/ledger/changes?limit=2"
        status, told = await call(stage, "GET", path)
        assert status == 200
        assert len(told["changes"]) <= 2
        cursor = told["cursor"]
        if not told["changes"]:
            break
        found += told["changes"]
    assert [(change["id"], change["to"]) for change in found] == [
        ("C-1", "pending"), ("C-1", "in_flight"), ("C-1", "delivered"),
        ("C-2", "pending"), ("C-2", "in_flight"), ("C-2", "in_doubt"),
    ]  # fmt: skip
    await post(stage, "acme", "C-3")
    await settled(stage)
    told = (await call(stage, "GET", f"/api/ledger/changes?after={quote(cursor)}"))[1]
    assert [change["to"] for change in told["changes"]] == DONE


async def test_the_ledger_is_listed_as_the_verb_lists_it(world: Begin) -> None:
    """The same entries with the same fields, and the same filters."""
    stage = await parked(world)
    status, entries = await call(stage, "GET", "/api/ledger?module=cdrs")
    assert status == 200
    assert [(entry["id"], entry["state"]) for entry in entries] == [("C-2", "in_doubt")]
    assert entries[0].keys() == SCHEMAS["Entry"]["properties"].keys()
    everything = (await call(stage, "GET", "/api/ledger?all=true&partner=volt&module=cdrs&since=2020-01-01T00:00:00Z"))[
        1
    ]
    assert {entry["id"] for entry in everything} == {"C-1", "C-2"}
    assert (await call(stage, "GET", "/api/ledger?state=dead"))[1] == []


async def test_an_id_may_hold_a_slash(world: Begin) -> None:
    """It is one segment of the path, percent-encoded."""
    stage = await opened(world)
    stage["volt"].fail("cdrs", "POST", drop=True, applied=True)
    await post(stage, "volt", "C/1 2")
    await settled(stage)
    path = f"/api/ledger/volt/cdrs/NL-EXA/{quote('C/1 2', safe='')}/drop"
    status, told = await call(stage, "POST", path, body={"reason": "settled by hand"})
    assert (status, told["id"], told["state"]) == (200, "C/1 2", "dropped")


async def test_a_decision_by_the_api(world: Begin) -> None:
    """Confirmed with a reason, it is delivered; a second time it is 409, as the verb says it."""
    stage = await parked(world)
    path = "/api/ledger/volt/cdrs/NL-EXA/C-2/confirm"
    status, told = await call(stage, "POST", path, body={"reason": "they have it", "who": "Jo"})
    assert (status, told["state"], told["who"]) == (200, "delivered", "Jo")
    status, told = await call(stage, "POST", path, body={"reason": "they have it"})
    assert (status, told) == (409, {"error": "C-2 is delivered already"})
    (entry,) = [each async for each in stage.gateway.store.cdr_entries("volt", done=True) if each.name.id == "C-2"]
    assert (entry.state, entry.reason, entry.who) == (CdrState.DELIVERED, "they have it", "Jo")
    again = {"reason": "they lost it", "again": True}
    assert (await call(stage, "POST", "/api/ledger/volt/cdrs/NL-EXA/C-2/resend", body=again))[0] == 200
    await stage["volt"].wait_for("POST", "cdrs", count=3)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("GET", "/api/ledger/changes?after=nonsense", None, 400, "after"),
        ("GET", "/api/ledger/changes?limit=0", None, 400, "limit"),
        ("GET", "/api/ledger/changes?limit=²", None, 400, "limit"),
        ("GET", "/api/ledger?colour=red", None, 400, "colour"),
        ("GET", "/api/ledger?state=lost", None, 400, "state"),
        ("GET", "/api/ledger?since=yesterday", None, 400, "since"),
        ("GET", "/api/ledger?partner=nobody", None, 404, "nobody"),
        ("GET", "/api/nothing", None, 404, "/api/openapi.json"),
        ("POST", "/api/ledger", None, 405, "not allowed"),
        ("POST", "/api/ledger/volt/cdrs/NL-EXA/C-404/drop", {"reason": "x"}, 404, "stands in the ledger"),
        ("POST", "/api/ledger/volt/cdrs/NL-EXA/C-2/drop", {}, 400, "reason"),
        ("POST", "/api/ledger/volt/cdrs/NL-EXA/C-2/drop", {"reason": " "}, 400, "reason"),
        ("POST", "/api/ledger/volt/cdrs/NL-EXA/C-2/drop", {"reason": "x", "force": True}, 400, "force"),
        ("POST", "/api/ledger/volt/cdrs/EXA/C-2/drop", {"reason": "x"}, 400, "owner"),
        ("POST", "/api/ledger/volt/cdrs/NL-EXA/C-2/burn", {"reason": "x"}, 404, "nothing is served here"),
    ],
)
async def test_a_mistake_is_told_as_json(
    world: Begin, method: str, path: str, body: Any, status: int, says: str
) -> None:
    """``{"error": ...}`` with a sentence, whatever it was."""
    stage = await world(VOLT, backend=operator(NEW), register=False)
    got, told = await call(stage, method, path, body=body)
    assert (got, list(told)) == (status, ["error"])
    assert says in told["error"]


async def test_with_a_token_nobody_comes_in_without_it(world: Begin) -> None:
    """Below ``/api`` it takes the bearer token, the description included; health and metrics stay open."""
    stage = await world(VOLT, backend=operator(NEW), register=False)
    await stage.stop()
    guarded = evolve(stage.settings.admin, token=Secret("token-of-the-operator"))
    async with Gateway.running(evolve(stage.settings, admin=guarded), stage.folder / "data") as gateway:
        stage.gateways[0] = gateway
        for header in (None, "Bearer token-of-the-operato", "Basic token-of-the-operator", "token-of-the-operator"):
            headers = {"Authorization": header} if header else {}
            for path in ("/api/ledger", "/api/openapi.json", "/api/nothing"):
                status, told = await call(stage, "GET", path, headers=headers)
                assert (status, list(told)) == (401, ["error"])
        own = {"Authorization": "Bearer token-of-the-operator"}
        assert (await call(stage, "GET", "/api/ledger", headers=own))[0] == 200
        described = (await call(stage, "GET", "/api/openapi.json", headers=own))[1]
        assert described["security"] == [{"token": []}]
        # With a token any name will do: it may stand behind a proxy.
        assert (await call(stage, "GET", "/api/ledger", headers={**own, "Host": "ocpi.example.com"}))[0] == 200
        assert (await call(stage, "GET", "/live"))[0] == 200


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {"Origin": "https://evil.example"}),
        ("POST", {"Origin": "null"}),
        ("POST", {"Sec-Fetch-Site": "cross-site"}),
        ("POST", {"Sec-Fetch-Site": "same-site"}),
        ("GET", {"Host": "evil.example"}),
        ("POST", {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}),
    ],
)
async def test_pages_of_other_sites_are_refused(world: Begin, method: str, headers: dict[str, str]) -> None:
    """A page may neither change anything here nor, by a name that leads to loopback, read it."""
    stage = await world(VOLT, backend=operator(NEW), register=False)
    path = "/api/ledger/volt/cdrs/NL-EXA/C-1/drop" if method == "POST" else "/api/ledger"
    status, told = await call(stage, method, path, body={"reason": "x"}, headers=headers)
    assert (status, list(told)) == (403, ["error"])


async def test_the_api_describes_itself(world: Begin) -> None:
    """Every route with its parameters, and nothing refers to what isn't there."""
    stage = await world(VOLT, backend=operator(NEW), register=False)
    described = (await call(stage, "GET", "/api/openapi.json"))[1]
    assert described["openapi"].startswith("3.1")
    operations = {
        (method, path): operation for path, found in described["paths"].items() for method, operation in found.items()
    }
    decisions = {("post", f"/api/ledger/{{partner}}/{{module}}/{{owner}}/{{id}}/{verb}") for verb in
                 ("resend", "confirm", "drop")}  # fmt: skip
    assert operations.keys() == {("get", "/api/ledger/changes"), ("get", "/api/ledger"), *decisions}
    for (_, path), operation in operations.items():
        named = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
        assert all(f"{{{name}}}" in path for name in named)
        assert path.count("{") == len(named)
    schemas = described["components"]["schemas"].keys()
    assert references(described) <= {f"#/components/schemas/{name}" for name in schemas}


def references(value: Any) -> set[str]:
    """All that is referred to."""
    match value:
        case {"$ref": reference}:
            return {reference}
        case dict():
            return {found for inner in value.values() for found in references(inner)}
        case list():
            return {found for inner in value for found in references(inner)}
        case _:
            return set()
