"""Lists: what we serve of ours, what we pass through of a partner's, both versions on both sides."""

from __future__ import annotations

import asyncio
import json
import re
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
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
    at_volt,
    operator,
    owned,
    provider,
    settled,
    thing,
    without,
)
from structlog.testing import capture_logs
from witness import outcome

from gateway.demo.identity import authorization
from gateway.demo.journal import Exchange
from gateway.demo.peers import Peer, Role
from gateway.demo.world import Cast
from gateway.listed import SKIPPED

HUB = ("NL", "GWY")
FROM, TO = "2026-03-02T09:00:00Z", "2026-03-02T10:00:00Z"


def next_page(exchange: Exchange) -> str | None:
    """The URL in the Link of a page."""
    found = re.fullmatch(r'<([^>]+)>; rel="next"', exchange.headers.get("link", ""))
    return found[1] if found else None


def parameters(url: str) -> dict[str, str]:
    """The query of a URL."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def headers(exchange: Exchange) -> tuple[str | None, str | None]:
    """X-Total-Count and X-Limit of a page."""
    return exchange.headers.get("x-total-count"), exchange.headers.get("x-limit")


async def pages(peer: Peer, module: str, **call: Any) -> list[Exchange]:
    """All pages of a list, as its reader follows them."""
    query = call.pop("query", {})
    found = [await peer.get(module, side="SENDER", query=query, **call)]
    while (url := next_page(found[-1])) is not None:
        found.append(await peer.call_url("GET", url, module, side="SENDER", **call))
    return found


def ids(*exchanges: Exchange) -> list[str]:
    """The ids of what stands on these pages."""
    return [item.get("uid") or item["id"] for exchange in exchanges for item in exchange.data]


async def until(read: Callable[[], Awaitable[list[Json]]], count: int) -> list[Json]:
    """What is read, as soon as there is so much of it."""
    async with asyncio.timeout(5):
        while len(found := await read()) < count:  # noqa: ASYNC110 (a list has nobody to tell)
            await asyncio.sleep(0.01)
    return found


def place(number: int, core: str = NEW, *, at: str = FROM, **more: Any) -> Json:
    """A small location of the core's."""
    base: Json = thing("location", core) if core == OLD else without(thing("location", NEW), "publish_allowed_to")
    return {**base, "id": f"LOC{number:03}", "last_updated": at, "evses": [], **more}


async def push_places(backend: Peer, *places: Json) -> None:
    """All of them, a few at a time."""
    gate = asyncio.Semaphore(8)

    async def push(location: Json) -> None:
        async with gate:
            assert (await backend.push_location(location)).ok

    await asyncio.gather(*map(push, places))


# What partners list of ours -------------------------------------------------------------------------------------------


async def test_our_list_comes_in_pages_under_our_cap_check_10_trap_26(world: Begin) -> None:
    """X-Limit is the page that we allow, also on a short page; the total is exact; Link is ours and has the filters."""
    capped = "limits: {page: 100}"
    stage = await world(evolve(ACME, more=capped), evolve(VOLT, more=capped), backend=operator(NEW))
    await push_places(stage.backend, *(place(number) for number in range(250)))
    await settled(stage)
    for name in ("acme", "volt"):
        found = await pages(stage[name], "locations", query={"limit": "1000", "date_from": FROM, "date_to": TO})
        assert [len(page.data) for page in found] == [100, 100, 50]
        assert [headers(page) for page in found] == [("250", "100")] * 3
        for page in found[:2]:
            url = next_page(page)
            assert url is not None
            assert url.startswith(f"{stage.settings.public_url}/ocpi/{stage[name].who.version}/")
            assert (parameters(url)["date_from"], parameters(url)["date_to"]) == (FROM, TO)
        assert len({*ids(*found)}) == 250


@EITHER_CORE
async def test_without_a_limit_a_page_of_ours_has_100(world: Begin, core: str) -> None:
    """And one that is asked for may have up to 1000. Objects stand in the order in which they became known."""
    stage = await world(ACME, VOLT, backend=operator(core))
    for number in range(101):
        assert (await stage.backend.push_location(place(number, core))).ok
    wanted = [f"LOC{number:03}" for number in range(101)]
    for name in ("acme", "volt"):
        found = await pages(stage[name], "locations")
        assert [len(page.data) for page in found] == [100, 1]
        assert [headers(page) for page in found] == [("101", "100")] * 2
        assert ids(*found) == wanted
        (whole,) = await pages(stage[name], "locations", query={"limit": "5000"})
        assert (headers(whole), ids(whole)) == (("101", "1000"), wanted)


@EITHER_CORE
async def test_a_time_begins_with_date_from_and_ends_before_date_to_check_11_trap_28(world: Begin, core: str) -> None:
    """What was updated just then is in a list that begins there, and not in one that ends there; in both versions."""
    stage = await world(ACME, VOLT, backend=operator(core))
    await push_places(stage.backend, place(1, core, at=FROM), place(2, core, at=TO))
    for name in ("acme", "volt"):
        (page,) = await pages(stage[name], "locations", query={"date_from": FROM, "date_to": TO})
        assert (ids(page), headers(page)) == (["LOC001"], ("1", "100"))
        (page,) = await pages(stage[name], "locations", query={"date_from": TO})
        assert ids(page) == ["LOC002"]
        (page,) = await pages(stage[name], "locations", query={"date_to": FROM})
        assert (page.data, headers(page)) == ([], ("0", "100"))


@pytest.mark.parametrize("asker", [ACME, VOLT], ids=[OLD, NEW])
async def test_sessions_are_never_listed_without_date_from_check_13_trap_29(world: Begin, asker: Cast) -> None:
    """It is required, in both versions."""
    stage = await world(asker, backend=operator(NEW))
    refused = await stage[asker.name].get("sessions", side="SENDER")
    assert (outcome(refused), "date_from" in refused.message) == ((200, 2001), True)
    assert (await stage[asker.name].get("sessions", side="SENDER", query={"date_from": FROM})).data == []


@EITHER_CORE
async def test_every_module_lists_what_its_reader_was_sent(world: Begin, core: str) -> None:
    """Locations, tariffs, sessions and CDRs, each in the reader's version, as it was pushed there."""
    stage = await world(ACME, VOLT, backend=operator(core))
    await stage["acme"].push_token(thing("token", OLD))
    await stage.backend.push_tariff(thing("tariff", core))
    await stage.backend.push_location(thing("location", core))
    await stage.backend.push_session(thing("session", core))
    await stage.backend.push_cdr(thing("cdr", core))
    await settled(stage)
    for module in ("tariffs", "locations", "sessions", "cdrs"):
        listed = await stage["acme"].pull(module, date_from="2020-01-01T00:00:00Z")
        pushed = [got.body for got in stage["acme"].received if got.module == module][-1:]
        assert listed == pushed, module
        others = await stage["volt"].pull(module, date_from="2020-01-01T00:00:00Z")
        assert len(others) == (1 if module in ("tariffs", "locations") else 0)


@EITHER_CORE
async def test_an_operator_lists_an_emsps_tokens(world: Begin, core: str) -> None:
    """The mirror image: what our core announced, in the operator's version."""
    stage = await world(EXA, TWO, backend=provider(core))
    await stage.backend.push_token(thing("token", core))
    for name, version in (("exa", OLD), ("two", NEW)):
        (page,) = await pages(stage[name], "tokens")
        assert (page.data, headers(page)) == ([thing("token", core, version)], ("1", "100"))


async def test_only_what_may_be_shown_is_listed_check_30_check_29(world: Begin) -> None:
    """A 2.1.1 reader's list has published locations only, and nothing that its version has no word for."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    odd = thing("location", NEW)
    plugs = [{**odd["evses"][0]["connectors"][0], "standard": "GBT_DC"}]
    odd = {**odd, "evses": [odd["evses"][1], {**odd["evses"][0], "connectors": plugs}]}
    for location in (odd, place(1), place(2, publish=False)):
        await push_places(stage.backend, location)
    await settled(stage)
    (page,) = await pages(stage["acme"], "locations")
    assert (ids(page), headers(page)[0]) == (["LOC-7", "LOC001"], "2")
    assert [evse["uid"] for evse in page.data[0]["evses"]] == [odd["evses"][0]["uid"]]
    assert {"country_code", "party_id", "publish"} & {*page.data[0]} == set()
    (page,) = await pages(stage["volt"], "locations")
    assert (ids(page), len(page.data[0]["evses"])) == (["LOC-7", "LOC001", "LOC002"], 2)


async def test_what_is_withdrawn_leaves_the_list(world: Begin) -> None:
    """Unpublished towards 2.1.1, deleted for everybody: the total is exact again, and the order is the same."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    for number in (1, 2, 3):
        await push_places(stage.backend, place(number))
    await stage.backend.push_tariff(thing("tariff", NEW))
    later = {"publish": False, "last_updated": TO}
    assert (await stage.backend.patch_location("LOC002", changes=later)).ok
    assert (await stage.backend.delete_tariff("T-DAY")).ok
    await settled(stage)
    (page,) = await pages(stage["acme"], "locations")
    assert (ids(page), headers(page)[0]) == (["LOC001", "LOC003"], "2")
    for name in ("acme", "volt"):
        (page,) = await pages(stage[name], "tariffs")
        assert (page.data, headers(page)[0]) == ([], "0")


async def test_a_list_shows_what_its_reader_is_shared(world: Begin) -> None:
    """A selection holds in lists, with the tariff ids that this reader knows."""
    share = "share: {locations: {except: [LOC002]}, tariffs: {map: {T-DAY: ACM-DAY}}}"
    stage = await world(evolve(ACME, more=share), VOLT, backend=operator(NEW))
    await stage.backend.push_tariff(thing("tariff", NEW))
    await push_places(stage.backend, thing("location", NEW), place(2))
    (page,) = await pages(stage["acme"], "locations")
    assert (ids(page), headers(page)[0]) == (["LOC-7"], "1")
    assert page.data[0]["evses"][0]["connectors"][0]["tariff_id"] == "ACM-DAY"
    assert ids(*await pages(stage["acme"], "tariffs")) == ["ACM-DAY"]
    assert sorted(ids(*await pages(stage["volt"], "locations"))) == ["LOC-7", "LOC002"]


async def test_what_one_party_was_told_alone_is_in_its_list_alone(world: Begin) -> None:
    """An object addressed to one party is that party's variant of it, in its list too."""
    stage = await world(ACME, VOLT, backend=operator(NEW))
    await push_places(stage.backend, place(1, name="for everybody"))
    assert (await stage.backend.push_location(place(1, name="for volt", at=TO), to=("DE", "VLT"))).ok
    assert (await stage.backend.push_location(place(2, name="for volt"), to=("DE", "VLT"))).ok
    await settled(stage)
    assert [item["name"] for item in await stage["volt"].pull("locations")] == ["for volt", "for volt"]
    assert [item["name"] for item in await stage["acme"].pull("locations")] == ["for everybody"]


async def test_a_list_is_up_to_date_while_its_reader_cant_be_pushed_to(world: Begin) -> None:
    """Whoever is away, or hasn't been brought everything yet, finds it in the list."""
    stage = await world(VOLT, backend=operator(NEW))
    await stage["volt"].down()
    await push_places(stage.backend, *(place(number) for number in range(20)))
    await stage["volt"].up()
    (page,) = await pages(stage["volt"], "locations")
    assert (len(page.data), headers(page)[0]) == (20, "20")


async def test_who_joins_lists_everything_at_once(world: Begin) -> None:
    """What was said before a partner registered is in its list as soon as it is registered."""
    stage = await world(ACME, VOLT, backend=operator(NEW), register=False)
    await push_places(stage.backend, *(place(number) for number in range(30)))
    await stage["acme"].register(stage.versions_url, "acme-token-a")
    await stage.registered("acme", "volt")
    await until(lambda: stage["acme"].pull("locations"), 30)


async def test_what_changes_while_a_list_is_read_makes_no_gap_trap_25(world: Begin) -> None:
    """What is updated in between leaves the time that is being read; nothing else is missed, or comes twice."""
    stage = await world(VOLT, backend=operator(NEW))
    await push_places(stage.backend, *(place(number, at=f"2026-03-02T09:00:{number:02}Z") for number in range(10)))
    first = await stage["volt"].get("locations", side="SENDER", query={"date_from": FROM, "limit": "4"})
    url = next_page(first)
    assert (ids(first), headers(first)) == (["LOC000", "LOC001", "LOC002", "LOC003"], ("10", "4"))
    assert url is not None
    for number in (1, 5):
        changed = {"name": "changed", "last_updated": f"2026-03-02T09:30:{number:02}Z"}
        assert (await stage.backend.patch_location(f"LOC{number:03}", changes=changed)).ok
    second = await stage["volt"].call_url("GET", url, "locations", side="SENDER")
    assert ids(second) == ["LOC004", "LOC006", "LOC007", "LOC008"]
    last = next_page(second)
    assert last is not None
    third = await stage["volt"].call_url("GET", last, "locations", side="SENDER")
    assert (ids(third), next_page(third)) == (["LOC009"], None)
    assert ids(*await pages(stage["volt"], "locations", query={"date_from": "2026-03-02T09:30:00Z"})) == [
        "LOC001",
        "LOC005",
    ]


async def test_what_is_taken_out_while_a_list_is_read_makes_no_gap(world: Begin) -> None:
    """A list without dates goes on where its page ended, not where a count says; who counts by offset may do so."""
    stage = await world(ACME, backend=operator(NEW))
    for number in range(6):
        assert (await stage.backend.push_location(place(number))).ok
    first = await stage["acme"].get("locations", side="SENDER", query={"limit": "2"})
    url = next_page(first)
    assert url is not None
    assert (ids(first), parameters(url)["offset"], parameters(url)["limit"]) == (["LOC000", "LOC001"], "2", "2")
    gone = {"publish": False, "last_updated": TO}
    assert (await stage.backend.patch_location("LOC000", changes=gone)).ok
    await settled(stage)
    second = await stage["acme"].call_url("GET", url, "locations", side="SENDER")
    assert (ids(second), headers(second)[0]) == (["LOC002", "LOC003"], "5")
    counted = await stage["acme"].get("locations", side="SENDER", query={"offset": "3", "limit": "2"})
    assert ids(counted) == ["LOC004", "LOC005"]


async def test_a_reader_of_several_of_us_lists_the_one_it_addresses(world: Begin) -> None:
    """OCPI-to names one of our parties: its objects, and no others; a 2.1.1 reader lists all of its link."""
    both = (Role("CPO", "NL", "EXB", "Example B"),)
    ours = "our_parties: [{role: CPO, country_code: NL, party_id: EXA}, {role: CPO, country_code: NL, party_id: EXB}]"
    stage = await world(evolve(ACME, more=ours), evolve(VOLT, more=ours), backend=evolve(operator(NEW), also=both))
    await push_places(stage.backend, place(1))
    second = owned(place(2), "EXB")
    assert (await stage.backend.push_location(second, sender=("NL", "EXB"))).ok
    await settled(stage)
    for party, wanted in (("EXA", "LOC001"), ("EXB", "LOC002")):
        (page,) = await pages(stage["volt"], "locations", to=("NL", party))
        assert (ids(page), headers(page)[0]) == ([wanted], "1")
    assert sorted(ids(*await pages(stage["acme"], "locations"))) == ["LOC001", "LOC002"]
    stage["acme"].complaints.clear()  # of 2.1.1, whose credentials name one party, and are pushed objects of two


# What a backend lists of partners -------------------------------------------------------------------------------------


@EITHER_CORE
async def test_a_backend_lists_a_partners_tokens_live(world: Begin, core: str) -> None:
    """OCPI-to a partner's party: its own list, as it is now, in the backend's version."""
    stage = await world(ACME, VOLT, backend=operator(core))
    stage["acme"].keep("tokens", thing("token", OLD))
    stage["volt"].keep("tokens", at_volt(thing("token", NEW)))
    (page,) = await pages(stage.backend, "tokens", to=("DE", "ACM"))
    assert (page.data, headers(page)) == ([thing("token", OLD, core)], ("1", "50"))
    (page,) = await pages(stage.backend, "tokens", to=("DE", "VLT"))
    assert (page.data, headers(page)) == ([at_volt(thing("token", NEW, core))], ("1", "50"))


@EITHER_CORE
async def test_an_emsps_backend_lists_an_operators_objects_live(world: Begin, core: str) -> None:
    """The mirror image, for each module of an operator's; filters go to the operator."""
    stage = await world(EXA, TWO, backend=provider(core))
    await stage.backend.push_token(thing("token", core))
    for version, name, party in ((OLD, "exa", ("NL", "EXA")), (NEW, "two", ("NL", "TWO"))):
        for kind, module in (("location", "locations"), ("tariff", "tariffs"), ("cdr", "cdrs")):
            stage[name].keep(module, owned(thing(kind, version), party[1]))
            query = {"date_from": "2020-01-01T00:00:00Z", "limit": "7"}
            (page,) = await pages(stage.backend, module, to=party, query=query)
            asked = [got.query for got in stage[name].received if (got.method, got.module) == ("GET", module)][-1]
            assert (asked["date_from"], asked["limit"]) == ("2020-01-01T00:00:00Z", "7")
            assert [item["id"] for item in page.data] == [thing(kind, version)["id"]], (name, module)
    (page,) = await pages(stage.backend, "locations", to=("NL", "EXA"))
    assert page.data == [thing("location", OLD, core)]


@pytest.mark.parametrize("style", ["rfc", "odd", "relative", "opaque"])
@EITHER_CORE
async def test_a_partners_pages_are_followed_through_links_of_ours_trap_26(world: Begin, core: str, style: str) -> None:
    """However the partner writes its Link, the backend reads one of ours, follows it, and gets every page."""
    stage = await world(ACME, VOLT, backend=operator(core))
    for name, version, party in (("acme", OLD, "ACM"), ("volt", NEW, "VLT")):
        peer = stage[name]
        peer.page_limit, peer.lists.link_style = 2, style  # type: ignore[assignment]
        for number in range(5):
            peer.keep("tokens", owned({**thing("token", version), "uid": f"04{number:06}"}, party))
        query = {"date_from": "2020-01-01T00:00:00Z"}
        found = await pages(stage.backend, "tokens", to=("DE", party), query=query)
        assert [len(page.data) for page in found] == [2, 2, 1]
        assert ids(*found) == [f"04{number:06}" for number in range(5)]
        for page in found[:2]:
            url = next_page(page)
            assert url is not None
            assert url.startswith(f"{stage.settings.public_url}/ocpi/{core}/")
            assert parameters(url)["date_from"] == query["date_from"]


async def test_a_short_page_or_a_wrong_total_ends_nothing_trap_25(world: Begin) -> None:
    """Only a page without a Link is the last one: whatever the partner counts."""
    stage = await world(VOLT, backend=operator(NEW))
    stage["volt"].page_limit, stage["volt"].lists.total = 2, 1
    for number in range(3):
        stage["volt"].keep("tokens", owned({**thing("token", NEW), "uid": f"04{number:06}"}, "VLT"))
    found = await pages(stage.backend, "tokens", to=("DE", "VLT"), query={"limit": "50"})
    assert [(len(page.data), headers(page)[0]) for page in found] == [(2, "1"), (1, "1")]


async def test_a_page_that_leads_to_itself_or_elsewhere_is_no_page(world: Begin) -> None:
    """A loop, or a Link to somebody else's host, is the partner's fault, and no list that ends there."""
    stage = await world(VOLT, backend=operator(NEW))
    peer = stage["volt"]
    peer.page_limit, peer.lists.link_style = 1, "loop"
    for number in range(2):
        peer.keep("tokens", owned({**thing("token", NEW), "uid": f"04{number:06}"}, "VLT"))
    call = {"side": "SENDER", "to": ("DE", "VLT")}
    first = await stage.backend.get("tokens", **call)
    url = next_page(first)
    refused = await stage.backend.call_url("GET", url, "tokens", **call) if url else first
    assert (outcome(refused), "this page again" in refused.message) == ((200, 3000), True)


@EITHER_CORE
async def test_one_bad_object_costs_only_itself_check_12(world: Begin, core: str) -> None:
    """49 of 50 arrive; the one that is none is counted, and a line tells its id and what is wrong with it, masked."""
    stage = await world(ACME, VOLT, backend=operator(core))
    for name, version, party in (("acme", OLD, "ACM"), ("volt", NEW, "VLT")):
        peer = stage[name]
        for number in range(49):
            peer.keep("tokens", owned({**thing("token", version), "uid": f"04{number:06}"}, party))
        peer.lists.intruder = {**thing("token", version), "uid": "04BADBAD", "valid": "perhaps"}
        before = SKIPPED.labels(name, "tokens")._value.get()
        with capture_logs() as lines:
            (page,) = await pages(stage.backend, "tokens", to=("DE", party))
        assert len(page.data) == 49
        assert SKIPPED.labels(name, "tokens")._value.get() == before + 1
        (line,) = [line for line in lines if line["event"] == "list.item_skipped"]
        assert (line["partner"], line["uid"], line["pointer"]) == (name, "04BADBAD", "$.valid")


async def test_objects_of_somebody_else_are_left_out(world: Begin) -> None:
    """A partner lists what is its own: an object of another owner isn't taken from it."""
    stage = await world(TWO, backend=provider(NEW))
    stage["two"].keep("locations", owned(thing("location", NEW), "TWO"))
    stage["two"].lists.intruder = owned(thing("location", NEW), "EXA")
    (page,) = await pages(stage.backend, "locations", to=("NL", "TWO"))
    assert [item["party_id"] for item in page.data] == ["TWO"]


@EITHER_CORE
async def test_everybodys_objects_come_from_the_store_trap_19(world: Begin, core: str) -> None:
    """To the gateway's own party, or to nobody: the objects of all partners, and nobody is called."""
    stage = await world(ACME, VOLT, backend=operator(core))
    await stage["acme"].push_token(thing("token", OLD))
    await stage["volt"].push_token(at_volt(thing("token", NEW)))
    for to in (HUB, None):
        heard = [len(peer.received) for peer in stage.peers]
        (page,) = await pages(stage.backend, "tokens", to=to)
        assert page.data == [thing("token", OLD, core), at_volt(thing("token", NEW, core))]
        assert headers(page) == ("2", "100")
        assert [len(peer.received) for peer in stage.peers] == heard


async def test_a_partner_that_is_served_from_the_store_isnt_called(world: Begin) -> None:
    """``serve: store``: the list of one party is what it pushed, and its owner has peace."""
    stored = evolve(ACME, more="modules: {tokens: {accept: true, serve: store}}")
    stage = await world(stored, VOLT, backend=operator(NEW))
    await stage["acme"].push_token(thing("token", OLD))
    await stage["volt"].push_token(at_volt(thing("token", NEW)))
    heard = len(stage["acme"].received)
    (page,) = await pages(stage.backend, "tokens", to=("DE", "ACM"))
    assert (page.data, headers(page)[0]) == ([thing("token", OLD, NEW)], "1")
    assert len(stage["acme"].received) == heard


async def test_reading_a_part_deletes_nothing_trap_27(world: Begin) -> None:
    """A filtered list, or one that fails, says nothing of what isn't in it."""
    stage = await world(ACME, backend=operator(NEW))
    await stage["acme"].push_token(thing("token", OLD))
    (page,) = await pages(stage.backend, "tokens", to=("DE", "ACM"), query={"date_from": "2030-01-01T00:00:00Z"})
    assert page.data == []
    stage["acme"].fail("tokens", "GET", drop=True, times=2)  # a GET is sent again by itself, once
    assert not (await stage.backend.get("tokens", side="SENDER", to=("DE", "ACM"))).ok
    assert len(await stage.backend.pull("tokens", to=HUB)) == 1


async def test_a_hubs_list_has_the_objects_of_several_owners_check_75(world: Begin) -> None:
    """A list asked of a hub keeps each object under its own owner."""
    behind = (Role("CPO", "BE", "BEC", "Be Charging"), Role("CPO", "FR", "FRC", "Fr Charging"))
    hub = Cast(name="hub", kind="hub", country="NL", party="HUB", business="Hub", behind=behind)
    stage = await world(hub, backend=provider(NEW))
    for country, party in (("BE", "BEC"), ("FR", "FRC")):
        place = thing("location", NEW) | {"country_code": country, "party_id": party}
        stage["hub"].keep("locations", place, (country, party))
    (page,) = await pages(stage.backend, "locations", to=("NL", "HUB"))
    assert [(item["country_code"], item["party_id"]) for item in page.data] == [("BE", "BEC"), ("FR", "FRC")]


# What fails, and what is large ----------------------------------------------------------------------------------------


@EITHER_CORE
async def test_what_its_owner_says_behind_a_list_stands_behind_ours(world: Begin, core: str) -> None:
    """An error status after the objects is passed on; before any object it is the answer."""
    stage = await world(ACME, VOLT, backend=operator(core))
    for name, version, party in (("acme", OLD, "ACM"), ("volt", NEW, "VLT")):
        token = json.dumps(owned(thing("token", version), party))
        status = '"status_code": 3000, "status_message": "half of it", "timestamp": "2026-03-02T09:00:00Z"}'
        stage[name].fail("tokens", "GET", body=f'{{"data": [{token}], {status}'.encode())
        answer = await stage.backend.get("tokens", side="SENDER", to=("DE", party))
        assert (outcome(answer), answer.message) == ((200, 3000), "half of it")
        stage[name].fail("tokens", "GET", body=f'{{"data": [], {status}'.encode())
        answer = await stage.backend.get("tokens", side="SENDER", to=("DE", party))
        assert (outcome(answer), "data" in answer.raw.decode()) == ((200, 3000), False)


@pytest.mark.parametrize(
    "body", [b"<html>", b'{"status_code": 1000, "data": {}, "timestamp": "2026-03-02T09:00:00Z"}', b'{"data": []}']
)
async def test_what_is_no_list_is_an_error(world: Begin, body: bytes) -> None:
    """A page of a proxy's, an object, an envelope that doesn't say how it went: 3000, and no empty list."""
    stage = await world(VOLT, backend=operator(NEW))
    stage["volt"].fail("tokens", "GET", body=body)
    assert outcome(await stage.backend.get("tokens", side="SENDER", to=("DE", "VLT"))) == (200, 3000)


@pytest.mark.parametrize("body", [b'{"data": [', b'{"status_code": 1000, "data": ['])
async def test_a_list_that_breaks_off_breaks_ours(world: Begin, body: bytes) -> None:
    """Cut in the middle, ours is a connection that was cut, never a list that looks whole."""
    stage = await world(VOLT, backend=operator(NEW))
    token = json.dumps(owned(thing("token", NEW), "VLT")).encode()
    stage["volt"].fail("tokens", "GET", body=body + b", ".join([token] * 100) + b', {"uid": "04')
    with pytest.raises(aiohttp.ClientPayloadError):
        await stage.backend.get("tokens", side="SENDER", to=("DE", "VLT"))


async def test_a_partner_that_cant_be_had_is_told_in_a_hubs_words(world: Begin) -> None:
    """4001 for nobody's party, 4003 for one that is down."""
    stage = await world(VOLT, backend=operator(NEW))
    unknown = await stage.backend.get("tokens", side="SENDER", to=("DE", "XXX"))
    assert outcome(unknown) == (200, 4001)
    await stage["volt"].down()
    assert outcome(await stage.backend.get("tokens", side="SENDER", to=("DE", "VLT"))) == (200, 4003)
    await stage["volt"].up()


async def test_a_large_page_is_passed_in_little_memory(world: Begin) -> None:
    """A page of any length passes whole, and what is in memory of it at a time doesn't grow with it."""
    stage = await world(TWO, backend=provider(NEW))
    location = owned(thing("location", NEW), "TWO")
    stage["two"].generate("locations", 3000, lambda number: {**location, "id": f"LOC{number}"})
    url = stage.backend.counterpart.endpoints["locations", "SENDER"]
    asked = {
        "Authorization": authorization(NEW, stage.backend.counterpart.token or ""),
        "OCPI-from-country-code": "DE", "OCPI-from-party-id": "ACM",
        "OCPI-to-country-code": "NL", "OCPI-to-party-id": "TWO",
    }  # fmt: skip
    size = 0
    tail = b""
    async with aiohttp.ClientSession() as session:
        tracemalloc.start()
        try:
            async with session.get(url, headers=asked) as response:
                async for chunk in response.content.iter_any():
                    size, tail = size + len(chunk), (tail + chunk)[-200:]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (response.headers["X-Total-Count"], b'"status_code":1000' in tail) == (
        response.headers["X-Total-Count"],
        True,
    )
    assert size > 9_000_000
    assert peak < 7_500_000, "about 5 MB, both peers included, however long the list is"


async def test_a_session_that_lacks_its_location_comes_with_the_next_list(world: Begin) -> None:
    """A 2.1.1 list can't say a session without its location: it is left out, and the location asked for afterwards."""
    stage = await world(TWO, backend=provider(OLD))
    await stage.backend.push_token(thing("token", OLD))
    stage["two"].keep("locations", owned(thing("location", NEW), "TWO"))
    stage["two"].keep("sessions", owned(thing("session", NEW), "TWO"))
    call = {"to": ("NL", "TWO"), "query": {"date_from": "2020-01-01T00:00:00Z"}}
    (page,) = await pages(stage.backend, "sessions", **call)
    assert page.data == []
    await stage["two"].wait_for("GET", "locations")
    (session,) = await until(lambda: stage.backend.pull("sessions", to=("NL", "TWO"), **call["query"]), 1)
    assert session["id"] == thing("session", NEW)["id"]
