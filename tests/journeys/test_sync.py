"""Pulling: what partners and backends own is read from their lists, both versions on both sides."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from attrs import evolve
from scenes import (
    ACME,
    EITHER_CORE,
    EXA,
    NEW,
    OLD,
    TWO,
    VOLT,
    Begin,
    Json,
    operator,
    owned,
    provider,
    settled,
    thing,
    without,
)
from structlog.testing import capture_logs
from witness import outcome

from gateway.app import ADAPTERS
from gateway.demo.journal import Received
from gateway.demo.lists import Lists
from gateway.demo.peers import Peer, Role
from gateway.demo.world import Cast, World
from gateway.listed import SKIPPED
from gateway.model.modules import Module
from gateway.registered import Direction, Pause
from gateway.sync import Agenda, Counts, State, decode
from gateway.sync.puller import AGE, PULLS
from gateway.web.wishes import Deed, Outcome, Wanted

AT, LATER, LATEST = "2026-03-02T09:00:00Z", "2026-03-02T10:00:00Z", "2026-03-02T11:00:00Z"
ACMES, VOLTS = "acme:tokens:DE-ACM", "volt:tokens:DE-VLT"
EITHER_PARTNER = pytest.mark.parametrize(("name", "version", "party"), [("acme", OLD, "ACM"), ("volt", NEW, "VLT")])
EITHER_OPERATOR = pytest.mark.parametrize(("name", "version", "party"), [("exa", OLD, "EXA"), ("two", NEW, "TWO")])
BY_DIFFERENCE = "quirks: {sync.tombstones: full_pull_diff}\n"


def pulling(cast: Cast, more: str = "", **modules: str) -> Cast:
    """A link whose lists are read, and that registers when the story says so: ``tokens="1h"``."""
    rules = ", ".join(f"{module}: {{pull_every: {every}}}" for module, every in modules.items())
    start = cast.start if cast.start == "none" else "them"
    return evolve(cast, start=start, more=f"modules: {{{rules}}}\n{more}")


def token(number: int, version: str, *, at: str = AT, **more: Any) -> Json:
    """A token of Acme's; see ``owned``."""
    return {**thing("token", version), "uid": f"04ACME{number:04}", "last_updated": at, **more}


def place(number: int, version: str, *, at: str = AT, **more: Any) -> Json:
    """A location with one EVSE."""
    base = without(thing("location", version), "publish_allowed_to")
    evse = {**base["evses"][0], "uid": f"EVSE{number}", "evse_id": f"NL*EXA*E{number:04}", "last_updated": at}
    return {**base, "id": f"LOC{number:03}", "last_updated": at, "evses": [evse], **more}


def tariff(number: int, version: str, *, at: str = AT) -> Json:
    """A tariff of Exa's."""
    return {**thing("tariff", version), "id": f"TARIFF{number}", "last_updated": at}


def lists_read(peer: Peer, module: str) -> list[Received]:
    """The requests for its list that a peer has had."""
    return [got for got in peer.received if (got.method, got.module, got.side) == ("GET", module, "SENDER")]


def pushed(peer: Peer, module: str) -> list[str]:
    """Methods of what a peer was told of a module, in order."""
    return [got.method for got in peer.received if got.module == module and got.method != "GET"]


async def state(stage: World, list_: str) -> State:
    """Where a list stands."""
    (packed,) = await stage.gateway.store.pulls([list_])
    return decode(packed)


async def completed(stage: World, list_: str, *, after: int = 0) -> State:
    """Where a list stands, as soon as it has been read to its end."""
    async with asyncio.timeout(10):
        while (found := await state(stage, list_)).completed <= after or found.crawl is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return found


async def failed(stage: World, list_: str) -> State:
    """Where a list stands, as soon as reading it has failed."""
    async with asyncio.timeout(10):
        while not (found := await state(stage, list_)).error:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return found


async def run(
    stage: World, link: str, module: Module | None = None, *, full: bool = False, accept_shrink: bool = False
) -> Outcome:
    """What a person has the gateway read now."""
    outcome = await stage.gateway.wishes.perform(link, Deed.PULL, Wanted(module, full, accept_shrink))
    await settled(stage)
    return outcome


async def settled_in(world: Begin, *casts: Cast, **options: Any) -> World:
    """A world in which every list that is read has been read once, when there was nothing in it."""
    stage = await world(*casts, **options)
    links = stage.gateway.links
    agenda = Agenda(adapters=ADAPTERS, registered_at=links.registered_at, time_zone=lambda: "UTC")
    for link in links.directory.links.values():
        for plan in agenda.plans(link):
            await completed(stage, plan.source.id)
    return stage


async def register(stage: World, *names: str) -> None:
    for name in names:
        await stage[name].register(stage.versions_url, f"{name}-token-a")
    await stage.registered(*names)


# From partners --------------------------------------------------------------------------------------------------------


@EITHER_CORE
async def test_what_partners_list_reaches_the_backend_once_they_have_registered(world: Begin, core: str) -> None:
    """Without a single push, the backend has the tokens of both eMSPs, all pages of them, as if they were pushed."""
    stage = await world(*[pulling(cast, tokens="1h") for cast in (ACME, VOLT)], backend=operator(core), register=False)
    for number in range(7):
        stage["acme"].keep("tokens", token(number, OLD))
        stage["volt"].keep("tokens", owned(token(100 + number, NEW), "VLT"))
    stage["acme"].page_limit = stage["volt"].page_limit = 3
    await register(stage, "acme", "volt")
    for list_ in (ACMES, VOLTS):
        assert (await completed(stage, list_)).last == Counts(pages=3, items=7, stored=7)
    await settled(stage)
    uids = [obj["uid"] for obj in stage.backend.objects["tokens"].values()]
    assert sorted(uids) == [f"04ACME{number:04}" for number in (*range(7), *range(100, 107))]
    got = stage.backend.stored.with_id("tokens", "04ACME0003")
    assert got == {**thing("token", OLD, core), "uid": "04ACME0003", "last_updated": AT}


@EITHER_PARTNER
async def test_later_pulls_ask_for_what_has_changed(world: Begin, name: str, version: str, party: str) -> None:
    """From five minutes before the latest that was seen, by their clock; what is the same isn't written again."""
    stage = await world(pulling(ACME, tokens="1h"), pulling(VOLT, tokens="1h"), register=False)
    peer, list_ = stage[name], f"{name}:tokens:DE-{party}"
    for number in range(3):
        peer.keep("tokens", owned(token(number, version, at=LATER if number else AT), party))
    await register(stage, name)
    await completed(stage, list_)
    await settled(stage)
    assert "date_from" not in lists_read(peer, "tokens")[0].query
    before = len(pushed(stage.backend, "tokens"))
    peer.keep("tokens", owned(token(1, version, at=LATEST, valid=False), party))
    done = await run(stage, name)
    assert lists_read(peer, "tokens")[-1].query["date_from"] == "2026-03-02T09:55:00Z"
    assert [each.counts for each in done.lists] == [Counts(pages=1, items=2, stored=1, same=1)]
    assert len(pushed(stage.backend, "tokens")) == before + 1
    assert stage.backend.stored.with_id("tokens", "04ACME0001")["valid"] is False
    assert (await state(stage, list_)).high == 1772449200_000  # LATEST


@EITHER_PARTNER
async def test_an_older_copy_never_replaces_a_newer_one(world: Begin, name: str, version: str, party: str) -> None:
    """A list that still has the state of yesterday doesn't make a blocked token valid again."""
    stage = await settled_in(world, pulling(ACME, tokens="1h"), pulling(VOLT, tokens="1h"))
    peer = stage[name]
    assert (await peer.push_token(owned(token(1, version, at=LATEST, valid=False), party))).ok
    peer.keep("tokens", owned(token(1, version, at=AT), party))
    done = await run(stage, name, full=True)
    assert [each.counts for each in done.lists] == [Counts(pages=1, items=1, older=1)]
    assert stage.backend.stored.with_id("tokens", "04ACME0001")["valid"] is False


@EITHER_PARTNER
async def test_a_broken_item_of_a_list_costs_itself(world: Begin, name: str, version: str, party: str) -> None:
    """All others arrive; the broken one is counted, and a line tells what is wrong with it, masked."""
    stage = await settled_in(world, pulling(ACME, tokens="1h"), pulling(VOLT, tokens="1h"))
    peer = stage[name]
    for number in range(4):
        peer.keep("tokens", owned(token(number, version), party))
    peer.lists.intruder = {**thing("token", version), "uid": "04BADBAD", "valid": "perhaps"}
    before = SKIPPED.labels(name, "tokens")._value.get()
    with capture_logs() as lines:
        done = await run(stage, name, full=True)
    assert done.good
    assert [each.counts for each in done.lists] == [Counts(pages=1, items=5, stored=4, skipped=1)]
    assert SKIPPED.labels(name, "tokens")._value.get() == before + 1
    assert [line["pointer"] for line in lines if line["event"] == "list.item_skipped"] == ["$.valid"]


async def test_lists_that_nobody_configured_are_read_for_a_person_only(world: Begin) -> None:
    """Without ``pull_every`` nothing is read; asked for, one module is, and what they don't list is said."""
    stage = await world(ACME)
    stage["acme"].keep("tokens", token(1, OLD))
    assert lists_read(stage["acme"], "tokens") == []
    done = await run(stage, "acme", Module.TOKENS)
    assert (done.good, [each.counts.stored for each in done.lists]) == (True, [1])
    refused = await run(stage, "acme", Module.LOCATIONS)
    assert (refused.good, "no list of locations" in refused.text) == (False, True)


async def test_pulled_tokens_answer_for_an_emsp_that_is_away(world: Begin) -> None:
    """What was read counts like a push: with the eMSP out of reach, the cached token decides by its whitelist."""
    stage = await world(pulling(ACME, tokens="1h"), register=False)
    stage["acme"].keep("tokens", token(1, OLD, whitelist="ALLOWED_OFFLINE"))
    await register(stage, "acme")
    await completed(stage, ACMES)
    await stage["acme"].down()
    allowed = await stage.backend.authorize("04ACME0001")
    assert (outcome(allowed), allowed.data["allowed"]) == ((200, 1000), "ALLOWED")


async def test_pulls_go_on_while_pushes_are_paused(world: Begin) -> None:
    """A pause holds up what is pushed, either way; lists are read all the same."""
    stage = await settled_in(world, pulling(ACME, tokens="1h"))
    stage["acme"].keep("tokens", token(1, OLD))
    for direction in Direction:
        await stage.gateway.links.set_pause("acme", direction, Pause(at=0, until=2**42, reason="test"))
    done = await run(stage, "acme", full=True)
    assert (done.good, done.lists[0].counts.stored) == (True, 1)


@EITHER_OPERATOR
async def test_what_operators_list_reaches_an_emsps_core(world: Begin, name: str, version: str, party: str) -> None:
    """Locations, tariffs and sessions too; the list of sessions is asked for from a date on, as it must be."""
    stage = await settled_in(
        world,
        pulling(EXA, locations="1h", tariffs="1h", sessions="1h"),
        pulling(TWO, locations="1h", tariffs="1h", sessions="1h"),
        backend=provider(NEW),
    )
    peer = stage[name]
    assert (await stage.backend.push_token(thing("token", NEW))).ok
    peer.keep("locations", owned(thing("location", version), party))
    peer.keep("tariffs", owned(thing("tariff", version), party))
    peer.keep("sessions", owned(thing("session", version), party))
    done = await run(stage, name, full=True)
    assert (done.good, [each.counts.stored for each in done.lists]) == (True, [1, 1, 1])
    assert [len(stage.backend.objects[module]) for module in ("locations", "tariffs", "sessions")] == [1, 1, 1]
    assert lists_read(peer, "sessions")[-1].query["date_from"] == "1970-01-01T00:00:00Z"


@EITHER_OPERATOR
async def test_a_pulled_cdr_is_owed_to_nobody(world: Begin, name: str, version: str, party: str) -> None:
    """It is known and may be listed, and nobody is billed because a list was read."""
    stage = await settled_in(world, pulling(EXA, cdrs="1h"), pulling(TWO, cdrs="1h"), backend=provider(NEW))
    peer = stage[name]
    assert (await stage.backend.push_token(thing("token", NEW))).ok
    peer.keep("cdrs", owned(thing("cdr", version), party))
    done = await run(stage, name, full=True)
    assert (done.good, [each.counts.stored for each in done.lists]) == (True, [1])
    assert pushed(stage.backend, "cdrs") == []
    backlog = await stage.gateway.store.backlog("backend")
    assert backlog.cdrs == 0
    listed = await stage.backend.pull("cdrs", to=("NL", "GWY"))
    assert [cdr["id"] for cdr in listed] == [thing("cdr", version)["id"]]


async def test_cdrs_from_before_a_cut_over_are_listed_and_not_delivered(world: Begin) -> None:
    """``cdrs.deliver_since``: what was billed by what was there before isn't billed again."""
    since = "cdrs: {deliver_since: 2030-01-01T00:00:00Z}\n"
    stage = await world(evolve(ACME, more=since), backend=operator(NEW))
    assert (await stage["acme"].push_token(thing("token", OLD))).ok
    assert (await stage.backend.push_cdr(thing("cdr", NEW))).ok
    await settled(stage)
    assert pushed(stage["acme"], "cdrs") == []
    assert len(await stage["acme"].pull("cdrs")) == 1


# Pages ----------------------------------------------------------------------------------------------------------------


@EITHER_PARTNER
async def test_nothing_is_missed_when_a_list_shrinks(world: Begin, name: str, version: str, party: str) -> None:
    """One object goes while the second page is read: the page after it is asked for again from one before."""
    stage = await settled_in(world, pulling(ACME, tokens="1h"), pulling(VOLT, tokens="1h"))
    peer = stage[name]
    peer.page_limit = 3
    for number in range(9):
        peer.keep("tokens", owned(token(number, version), party))
    peer.delay = 0.05  # between having made a page and sending it
    reading = asyncio.create_task(run(stage, name, full=True))
    await peer.wait_for("GET", "tokens", lambda got: got.query.get("offset") == "3")
    peer.own.delete("tokens", peer.own.key_of("tokens", "04ACME0000"))
    assert (await reading).good
    found = await state(stage, f"{name}:tokens:DE-{party}")
    assert [got.query.get("offset", "0") for got in lists_read(peer, "tokens")][1:5] == ["0", "3", "6", "5"]
    assert found.full > 0
    uids = {obj["uid"] for obj in stage.backend.objects["tokens"].values()}
    assert uids == {f"04ACME{number:04}" for number in range(9)}  # the one that went was read before it did


@EITHER_PARTNER
async def test_pages_that_lead_in_a_circle_end_the_crawl(world: Begin, name: str, version: str, party: str) -> None:
    """What was read counts, nothing more is asked, and the reason stands in the status."""
    stage = await settled_in(world, pulling(ACME, tokens="1h"), pulling(VOLT, tokens="1h"))
    peer = stage[name]
    peer.page_limit, peer.lists.link_style = 2, "loop"
    for number in range(5):
        peer.keep("tokens", owned(token(number, version), party))
    done = await run(stage, name, full=True)
    assert (done.good, done.lists[0].reason) == (False, "the pages of its list lead in a circle")
    assert len(lists_read(peer, "tokens")) <= 4
    found = await state(stage, f"{name}:tokens:DE-{party}")
    assert (found.crawl, found.failures, found.error) == (None, 1, done.lists[0].reason)


async def test_a_link_to_another_host_ends_the_crawl(world: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our token goes to nobody but the partner's own hosts."""
    heard = []

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1))
        writer.close()

    stage = await settled_in(world, pulling(ACME, tokens="1h"))
    for number in range(5):
        stage["acme"].keep("tokens", token(number, OLD))
    stage["acme"].page_limit = 2
    async with await asyncio.start_server(stranger, "localhost", 0) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setattr(Lists, "_link", lambda *_: f'<http://localhost:{port}/?offset=2>; rel="next"')
        done = await run(stage, "acme", full=True)
    assert (done.good, "on a host that isn't its own" in done.lists[0].reason) == (False, True)
    assert heard == []


async def test_a_page_that_breaks_off_is_asked_for_with_half_as_many(world: Begin) -> None:
    """A platform that can't make a large page is asked for smaller ones, until all is read."""
    stage = await settled_in(world, pulling(ACME, "quirks: {pull.limit: 1000}\n", tokens="1h"))
    broken: list[int] = []

    def make(number: int) -> Json:
        if number == 300 and len(broken) < 2:
            broken.append(number)
            raise ConnectionError("out of memory over there")
        return token(number, OLD)

    stage["acme"].page_limit = 1000
    stage["acme"].generate("tokens", 400, make, at_once=False)
    done = await run(stage, "acme", full=True)
    assert (done.good, done.lists[0].counts.items) == (True, 400)
    assert [got.query["limit"] for got in lists_read(stage["acme"], "tokens")[1:]] == ["1000", "500", "250", "250"]


async def test_the_habits_of_a_list_are_switches(world: Begin) -> None:
    """The page's size, a parameter of theirs, and the id of the last object instead of a Link (``pull.*``)."""
    quirks = "quirks: {pull.limit: 2, pull.query: {offset: '0'}, 'pull.next': 'cursor:date_to'}\n"
    stage = await settled_in(world, pulling(ACME, quirks, tokens="1h"))
    stage["acme"].keep("tokens", token(1, OLD, at=LATEST))
    done = await run(stage, "acme", full=True)
    first, second = lists_read(stage["acme"], "tokens")[-2:]
    assert first.query == {"offset": "0", "limit": "2"}
    assert second.query == {"offset": "0", "limit": "2", "date_to": "04ACME0001"}
    assert done.lists[0].reason == "the pages of its list are all the same"  # a peer that knows no such parameter


# Who reads ------------------------------------------------------------------------------------------------------------


async def test_a_restart_goes_on_where_the_crawl_stood(world: Begin) -> None:
    """Pages that were read aren't read again; the crawl ends as one."""
    stage = await world(pulling(ACME, tokens="1h"), register=False)
    peer = stage["acme"]
    peer.page_limit = 2
    for number in range(8):
        peer.keep("tokens", token(number, OLD))
    peer.delay = 0.1
    await register(stage, "acme")
    await peer.wait_for("GET", "tokens", lambda got: got.query.get("offset") == "4")
    await stage.restart()
    peer.delay = 0
    assert (await completed(stage, ACMES)).last == Counts(pages=4, items=8, stored=8)
    assert [got.query.get("offset", "0") for got in lists_read(peer, "tokens")] == ["0", "2", "4", "4", "6"]


async def test_two_replicas_read_a_list_once(world: Begin) -> None:
    """Of two gateways on one Redis one reads it."""
    stage = await world(pulling(ACME, tokens="1h"), gateways=2, register=False)
    for number in range(6):
        stage["acme"].keep("tokens", token(number, OLD))
    stage["acme"].page_limit = 2
    await register(stage, "acme")
    await completed(stage, ACMES)
    assert [got.query.get("offset", "0") for got in lists_read(stage["acme"], "tokens")] == ["0", "2", "4"]


# What is gone ---------------------------------------------------------------------------------------------------------


@EITHER_OPERATOR
async def test_what_isnt_listed_any_more_is_withdrawn(world: Begin, name: str, version: str, party: str) -> None:
    """After a clean full crawl: a tariff is deleted, the EVSEs of a location become REMOVED."""
    lists = {"locations": "1h", "tariffs": "1h"}
    stage = await settled_in(
        world, pulling(EXA, BY_DIFFERENCE, **lists), pulling(TWO, BY_DIFFERENCE, **lists), backend=provider(NEW)
    )
    peer = stage[name]
    for number in range(6):
        peer.keep("locations", owned(place(number, version), party))
        peer.keep("tariffs", owned(tariff(number, version), party))
    assert (await run(stage, name, full=True)).good
    peer.own.delete("locations", peer.own.key_of("locations", "LOC003"))
    peer.own.delete("tariffs", peer.own.key_of("tariffs", "TARIFF3"))
    delta = await run(stage, name)
    assert [each.counts.gone for each in delta.lists] == [0, 0]
    done = await run(stage, name, full=True)
    assert (done.good, [each.counts.gone for each in done.lists]) == (True, [1, 1])
    statuses = {obj["id"]: obj["evses"][0]["status"] for obj in stage.backend.objects["locations"].values()}
    assert [id for id, status in statuses.items() if status == "REMOVED"] == ["LOC003"]
    assert sorted(obj["id"] for obj in stage.backend.objects["tariffs"].values()) == [
        f"TARIFF{n}" for n in (0, 1, 2, 4, 5)
    ]
    again = await run(stage, name, full=True)
    assert [each.counts.gone for each in again.lists] == [0, 0]
    peer.keep("locations", owned(place(3, version), party))
    peer.keep("tariffs", owned(tariff(3, version), party))
    back = await run(stage, name, full=True)
    assert [each.counts.stored for each in back.lists] == [1, 1]
    assert stage.backend.stored.with_id("locations", "LOC003")["evses"][0]["status"] != "REMOVED"
    assert stage.backend.stored.with_id("tariffs", "TARIFF3")["id"] == "TARIFF3"


@EITHER_PARTNER
async def test_a_token_that_isnt_listed_any_more_is_blocked(world: Begin, name: str, version: str, party: str) -> None:
    """OCPI deletes no token: the backend is told that it isn't valid."""
    stage = await settled_in(
        world, pulling(ACME, BY_DIFFERENCE, tokens="1h"), pulling(VOLT, BY_DIFFERENCE, tokens="1h")
    )
    peer = stage[name]
    for number in range(6):
        peer.keep("tokens", owned(token(number, version), party))
    assert (await run(stage, name, full=True)).good
    peer.own.delete("tokens", peer.own.key_of("tokens", "04ACME0002"))
    assert [each.counts.gone for each in (await run(stage, name, full=True)).lists] == [1]
    valid = {obj["uid"]: obj["valid"] for obj in stage.backend.objects["tokens"].values()}
    assert [uid for uid, good in valid.items() if not good] == ["04ACME0002"]


async def test_a_list_that_shrank_too_much_isnt_believed(world: Begin) -> None:
    """More than a fifth, or everything: nothing is withdrawn until a person says that it is meant."""
    stage = await settled_in(world, pulling(EXA, BY_DIFFERENCE, tariffs="1h"), backend=provider(NEW))
    for number in range(6):
        stage["exa"].keep("tariffs", tariff(number, OLD))
    assert (await run(stage, "exa", full=True)).good
    for number in (1, 2):
        stage["exa"].own.delete("tariffs", stage["exa"].own.key_of("tariffs", f"TARIFF{number}"))
    with capture_logs() as lines:
        refused = await run(stage, "exa", full=True)
    assert (refused.good, "--accept-shrink" in refused.todo) == (False, True)
    assert [line["log_level"] for line in lines if line["event"] == "sync.shrunk"] == ["error"]
    assert (len(stage.backend.objects["tariffs"]), (await state(stage, "exa:tariffs:NL-EXA")).refused[:6]) == (
        6,
        "2 of 6",
    )
    meant = await run(stage, "exa", full=True, accept_shrink=True)
    assert (meant.good, meant.lists[0].counts.gone, len(stage.backend.objects["tariffs"])) == (True, 2, 4)
    assert (await state(stage, "exa:tariffs:NL-EXA")).refused == ""


async def test_a_crawl_that_couldnt_read_everything_withdraws_nothing(world: Begin) -> None:
    """An item that can't be read may be the one that seems to be gone."""
    stage = await settled_in(world, pulling(EXA, BY_DIFFERENCE, tariffs="1h"), backend=provider(NEW))
    for number in range(6):
        stage["exa"].keep("tariffs", tariff(number, OLD))
    assert (await run(stage, "exa", full=True)).good
    stage["exa"].own.delete("tariffs", stage["exa"].own.key_of("tariffs", "TARIFF1"))
    stage["exa"].lists.intruder = {"id": "TARIFF1"}
    done = await run(stage, "exa", full=True)
    assert (done.good, done.lists[0].counts.skipped, done.lists[0].counts.gone) == (True, 1, 0)
    assert len(stage.backend.objects["tariffs"]) == 6


# From backends --------------------------------------------------------------------------------------------------------


@EITHER_CORE
async def test_what_the_backend_lists_goes_to_everybody_opposite(world: Begin, core: str) -> None:
    """A backend that pushes nothing: its locations reach partners of both versions, its sessions the token's eMSP."""
    backend = pulling(operator(core), locations="1h", sessions="1h", cdrs="1h")
    stage = await settled_in(world, ACME, VOLT, backend=backend)
    assert (await stage["acme"].push_token(thing("token", OLD))).ok
    stage.backend.keep("locations", thing("location", core))
    stage.backend.keep("sessions", thing("session", core))
    stage.backend.keep("cdrs", thing("cdr", core))
    done = await run(stage, "backend", full=True)
    assert (done.good, [each.counts.stored for each in done.lists]) == (True, [1, 1, 1])
    for name in ("acme", "volt"):
        assert len(stage[name].objects["locations"]) == 1
    assert (len(stage["acme"].objects["sessions"]), len(stage["volt"].objects["sessions"])) == (1, 0)
    assert pushed(stage["acme"], "cdrs") == pushed(stage["volt"], "cdrs") == []
    assert [cdr["id"] for cdr in await stage["acme"].pull("cdrs")] == [thing("cdr", core)["id"]]
    assert await stage["volt"].pull("cdrs") == []


# Hubs, and platforms of several ---------------------------------------------------------------------------------------


async def test_a_hub_lists_for_all_who_are_behind_it(world: Begin) -> None:
    """One list, asked of the hub itself; each object is its owner's."""
    behind = (Role("EMSP", "FR", "FRA", "Fra"), Role("EMSP", "BE", "BEL", "Bel"))
    hub = Cast(name="hub", role="HUB", kind="hub", country="NL", party="HUB", business="Hub", behind=behind)
    stage = await settled_in(world, pulling(hub, tokens="1h"))
    peer = stage["hub"]
    for number, role in enumerate(behind):
        peer.keep("tokens", token(number, NEW, country_code=role.country_code, party_id=role.party_id))
    done = await run(stage, "hub", full=True)
    assert (done.good, [(each.party, each.counts.stored) for each in done.lists]) == (True, [("NL-HUB", 2)])
    assert lists_read(peer, "tokens")[-1].headers["ocpi-to-party-id"] == "HUB"
    owners = {obj["party_id"] for obj in stage.backend.objects["tokens"].values()}
    assert owners == {"FRA", "BEL"}


async def test_each_party_of_a_platform_has_its_own_list(world: Begin) -> None:
    """A 2.2.1 platform of two eMSPs is asked twice, each time in the name of the one that is meant."""
    also = (Role("EMSP", "DE", "VL2", "Volt Two"),)
    stage = await settled_in(world, pulling(evolve(VOLT, also=also), tokens="1h"))
    for number, party in enumerate(("VLT", "VL2")):
        stage["volt"].keep("tokens", owned(token(number, NEW), party))
    done = await run(stage, "volt", full=True)
    assert [(each.party, each.counts.items) for each in done.lists] == [("DE-VLT", 1), ("DE-VL2", 1)]
    assert len(stage.backend.objects["tokens"]) == 2


async def test_a_copy_that_comes_a_second_way_isnt_taken(world: Begin) -> None:
    """An eMSP with a link of its own is read there; what a hub lists of it is counted and left."""
    hub = Cast(
        name="hub", role="HUB", kind="hub", country="NL", party="HUB", business="Hub",
        behind=(Role("EMSP", "DE", "VLT", "Volt Drive"),),
    )  # fmt: skip
    stage = await settled_in(world, VOLT, pulling(hub, tokens="1h"))
    stage["hub"].keep("tokens", owned(token(1, NEW), "VLT"))
    done = await run(stage, "hub", full=True)
    assert [each.counts for each in done.lists] == [Counts(pages=1, items=1, copies=1)]
    assert len(stage.backend.objects["tokens"]) == 0


# What is told ---------------------------------------------------------------------------------------------------------


async def test_metrics_tell_how_pulls_end_and_how_old_they_are(world: Begin) -> None:
    """By link and module: a partner whose lists can't be read any more is seen by the age of what was."""
    stage = await settled_in(world, pulling(ACME, tokens="1h"))
    good, bad = (PULLS.labels("acme", "tokens", result) for result in ("completed", "failed"))
    before = good._value.get(), bad._value.get()
    assert (await run(stage, "acme")).good
    await stage["acme"].down()
    assert not (await run(stage, "acme")).good
    assert (good._value.get() - before[0], bad._value.get() - before[1]) == (1, 1)
    assert 0 <= AGE.labels("acme", "tokens")._value.get() < 60


@EITHER_OPERATOR
async def test_a_cdr_that_was_read_before_it_is_pushed_is_delivered(
    world: Begin, name: str, version: str, party: str
) -> None:
    """A crawl may be faster than the push; the push is what is billed, and it isn't taken for a repetition."""
    stage = await settled_in(world, pulling(EXA, cdrs="1h"), pulling(TWO, cdrs="1h"), backend=provider(NEW))
    peer = stage[name]
    assert (await stage.backend.push_token(thing("token", NEW))).ok
    peer.keep("cdrs", owned(thing("cdr", version), party))
    assert (await run(stage, name, full=True)).good
    assert (await peer.push_cdr(owned(thing("cdr", version), party))).ok
    assert pushed(stage.backend, "cdrs") == ["POST"]
    assert (await peer.push_cdr(owned(thing("cdr", version), party))).ok
    assert pushed(stage.backend, "cdrs") == ["POST"]


@EITHER_CORE
async def test_a_cdr_of_the_backend_that_was_read_before_it_is_pushed_is_delivered(world: Begin, core: str) -> None:
    """The same the other way round: it is owed to the eMSP by the push, once."""
    stage = await settled_in(world, ACME, backend=pulling(operator(core), cdrs="1h"))
    assert (await stage["acme"].push_token(thing("token", OLD))).ok
    stage.backend.keep("cdrs", thing("cdr", core))
    assert (await run(stage, "backend", full=True)).good
    assert pushed(stage["acme"], "cdrs") == []
    assert (await stage.backend.push_cdr(thing("cdr", core))).ok
    await settled(stage)
    assert pushed(stage["acme"], "cdrs") == ["POST"]
