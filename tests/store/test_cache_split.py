"""Two Redis: a flood of what can be had again never stops what must not be lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from attrs import evolve
from redis_processes import DURABLE, Process
from structlog.testing import capture_logs

from gateway.demo.story import ACME, VOLT, cdr_of, cdr_token, location, session, token_of_acme, token_of_volt
from gateway.demo.world import World
from gateway.model.errors import NotDurable
from gateway.model.modules import Module
from gateway.model.names import Moved, Name, Saying
from gateway.model.party import Party
from gateway.model.prices import Audience
from gateway.store.redis import Store
from gateway.store.split import Split, forgiving
from gateway.web.wishes import Deed

EXA, ACM = Party("NL", "EXA"), Party("DE", "ACM")
OURS, TOKEN = Name(Module.LOCATIONS, EXA, "LOC1"), Name(Module.TOKENS, ACM, "T1", "RFID")
THEIRS, CDR = Name(Module.LOCATIONS, ACM, "LOC1"), Name(Module.CDRS, ACM, "CDR1")


@pytest_asyncio.fixture
async def main(tmp_path: Path) -> AsyncIterator[Process]:
    server = Process(tmp_path / "main", *DURABLE)
    await server.say("PING")
    yield server
    server.kill()


@pytest_asyncio.fixture
async def cache(tmp_path: Path) -> AsyncIterator[Process]:
    server = Process(tmp_path / "cache", "--save", "")
    await server.say("PING")
    yield server
    server.kill()


@pytest_asyncio.fixture
async def split(main: Process, cache: Process) -> AsyncIterator[Split]:
    store = Store.connect(main.url)
    split = Split(
        store.client, store.where, store.keys, store.now, store.trust, cache=Store.connect(cache.url), ours={EXA}
    )
    yield split
    await split.aclose()


async def say(store: Store, name: Name, expect: int | None = 0, owed: tuple[str, ...] = (), body: bytes = b"1") -> int:
    return await store.say(name, body, body, "2.2.1", "acme", expect, owed)


async def test_each_object_lies_where_it_belongs(split: Split, main: Process, cache: Process) -> None:
    """Ours, and CDRs of anybody, in the one; what others can tell again in the other. Both are read alike."""
    names = [OURS, THEIRS, TOKEN, CDR]
    for name in names:
        await say(split, name)
    await split.index_token(TOKEN, "DE-ACM-C1")
    await split.index_location(THEIRS, ["STD"])
    assert all([await main.say("EXISTS", split.keys.object(name)) for name in (OURS, CDR)])
    assert not any([await main.say("EXISTS", split.keys.object(name)) for name in (THEIRS, TOKEN)])
    assert {key.split(b":")[1] for key in await cache.say("KEYS", "*")} == {
        b"obj", b"all", b"owners", b"uid", b"contract", b"priced",
    }  # fmt: skip
    assert None not in await split.read_many(names)
    assert await split.owners() == [ACM, EXA]
    assert await split.tokens_by_uid("t1") == await split.tokens_of_contract("DE-ACM-C1") == [Name.parse(TOKEN.text)]
    assert await split.locations_of_tariff(ACM, "STD") == [Name.parse(THEIRS.text)]
    assert (await split.read_for(THEIRS, ["acme"]))[0] is not None


async def test_what_is_owed_lies_with_what_must_not_be_lost(split: Split, main: Process, cache: Process) -> None:
    """A token that a backend can't take just now survives without the cache, and so does each later word of it."""
    assert await say(split, TOKEN, 0, ()) == 1
    assert await say(split, TOKEN, 1, ("core",), b"2") == 1  # a sequence of its own
    with pytest.raises(Moved):
        await say(split, TOKEN, 0, (), b"3")
    assert await say(split, TOKEN, 1, (), b"3") == 2
    await split.index_token(TOKEN, "DE-ACM-C1")
    assert await split.spread(TOKEN) == ("core",)
    cache.kill()
    said = await split.read(TOKEN)
    assert said is not None
    assert (said.canonical, said.sequence) == (b"3", 2)
    assert await forgiving(split).tokens_by_uid("T1") == [Name.parse(TOKEN.text)]


async def test_what_price_feeds_tell_lies_in_main(split: Split, cache: Process) -> None:
    """Runs, statuses and what is said of connectors, be they ours: a cache that is lost would lose prices."""
    await split.stage_locations("eco", "1", [("L1", b"{}")])
    await split.feed_keep("eco", b"1", run="1")
    await split.status_keep("eco", "L1", "E1", b"{}", former=None)
    await split.attach("eco", ACM, {"E1:1": {Audience.ADHOC: ["P1"]}})
    await split.imported_keep("eco", {Name(Module.TARIFFS, ACM, "P1"): None})
    assert await cache.say("DBSIZE") == 0
    assert await split.locations("eco", "1", ["L1"]) == await split.statuses("eco", [("L1", "E1")]) == [b"{}"]


async def test_what_comes_to_main_must_be_what_was_read(split: Split) -> None:
    """An expectation holds across the two, and in a list as for one."""
    await say(split, TOKEN)
    with pytest.raises(Moved):
        await say(split, TOKEN, 0, ("core",))
    saying = Saying(
        name=TOKEN, canonical=b"2", wire=b"2", version="2.2.1", source="acme", expect=1, owed=("core",)
    )  # fmt: skip
    later = evolve(saying, canonical=b"3", expect=None, owed=())
    ours = evolve(saying, name=OURS, expect=0)
    assert await split.say_all([saying, ours, later, evolve(later, name=THEIRS)]) == [1, 1, 2, 1]
    said = await split.read(TOKEN)
    assert said is not None
    assert said.canonical == b"3"


async def test_names_of_both_are_one_list(split: Split) -> None:
    """First those of the one, then those of the other, none twice, and every page goes on where the last one ended."""
    tokens = [Name(Module.TOKENS, ACM, f"T{number}", "RFID") for number in range(6)]
    for token in tokens:
        await say(split, token)
    for token in tokens[:2]:
        await say(split, token, None, ("core",))
    found: list[Name] = []
    after = 0
    while page := await split.names(ACM, Module.TOKENS, after, 2):
        found += [name for _, name in page]
        after = page[-1][0]
    assert sorted(name.text for name in found) == [token.text for token in tokens]
    assert len(found) == 6


async def test_whoever_keeps_tokens_hears_of_them_from_either(split: Split) -> None:
    """The line is the cache's: while it is down nobody relies on what it remembers."""
    async with aclosing(split.retold(every=5)) as told:
        assert await anext(told) is None
        for owed in ((), ("core",)):
            await say(split, TOKEN, None, owed)
            heard = await anext(told)
            assert (heard if heard is not None else await anext(told)) == "T1"


async def test_a_full_cache_costs_only_what_would_lie_in_it(split: Split, cache: Process) -> None:
    """Tokens of others are refused, and everything that must not be lost goes on."""
    await cache.say("CONFIG SET", "maxmemory", "1")
    for name in (TOKEN, THEIRS):
        with pytest.raises(NotDurable, match="full"):
            await say(split, name)
    for name in (OURS, CDR, Name(Module.TOKENS, EXA, "T1", "RFID")):
        assert await say(split, name) == 1
    assert await say(split, TOKEN, 0, ("core",)) == 1


async def test_a_cache_that_is_away_knows_nothing_for_whoever_forgives(split: Split, cache: Process) -> None:
    """Everybody else is told that it can't be known just now; what is ours doesn't ask it at all."""
    await say(split, OURS)
    await say(split, TOKEN)
    cache.kill()
    assert await split.read(OURS) is not None
    assert await split.read_many([OURS, CDR]) != [None, None]
    for call in (split.read(TOKEN), split.tokens_by_uid("T1"), split.owners(), split.names(ACM, Module.TOKENS)):
        with pytest.raises(NotDurable):
            await call
    lenient = forgiving(split)
    assert await lenient.read_many([TOKEN, OURS]) == [None, await split.read(OURS)]
    assert (await lenient.tokens_by_uid("T1"), await lenient.owners()) == ([], [EXA])
    assert await say(split, Name(Module.TOKENS, ACM, "T2", "RFID"), 0, ("core",)) == 1


@pytest.mark.parametrize("trouble", ["away", "full"])
async def test_billing_goes_on_while_the_cache_is(trouble: str, main: Process, cache: Process, tmp_path: Path) -> None:
    """Locations, sessions and CDRs of the backend, and authorizations that the eMSP answers, need nothing of it."""
    now = datetime.now(UTC).replace(microsecond=0)
    redis = f'redis: {{url: "{main.url}", cache_url: "{cache.url}"}}'
    token = cdr_token("VLT", "04F017BEEF", "DE-VLT-C00000009-X")
    async with World.of(tmp_path / "world", ACME, VOLT, gateway_yaml=redis) as world:
        core = world.backend
        assert (await world["volt"].push_token(token_of_volt(now))).ok
        assert await cache.say("DBSIZE") > 0
        if trouble == "away":
            cache.kill()
        else:
            await cache.say("CONFIG SET", "maxmemory", "1")
        assert (await core.push_location(location(now))).ok
        assert (await world["acme"].push_token(token_of_acme(now))).status_code == 3000
        answer = await core.authorize("04F017BEEF", to=("DE", "VLT"))
        assert answer.data["allowed"] == "ALLOWED"
        assert (await core.push_session(session("S-1", token, now))).ok
        assert (await core.push_cdr(cdr_of("C-1", "S-1", token, now))).ok
        await world["volt"].wait_for("PUT", "sessions")
        assert (await world["volt"].wait_for("POST", "cdrs")).body["id"] == "C-1"
        world["acme"].complaints.clear()


async def test_how_far_a_list_was_read_counts_with_the_cache_that_got_it(split: Split, cache: Process) -> None:
    """A cache that lost it, even while it was being read, makes it one that was never read; not ours, and not CDRs."""
    theirs, ours, cdrs = "acme:tokens:DE-ACM", "backend:locations:NL-EXA", "acme:cdrs:DE-ACM"
    lists = [theirs, ours, cdrs]
    assert await split.pulls(lists) == [None, None, None]
    for list_ in lists:
        await split.pull_keep(list_, b"page 1")
    assert await split.pulls(lists) == [b"page 1", b"page 1", b"page 1"]
    await cache.say("FLUSHALL")
    for list_ in lists:
        await split.pull_keep(list_, b"page 2")
    assert await split.pulls(lists) == [None, b"page 2", b"page 2"]
    await split.pull_keep(theirs, b"anew")
    assert await split.pulls(lists) == [b"anew", b"page 2", b"page 2"]
    cache.kill()
    assert await split.pulls(lists) == [b"anew", b"page 2", b"page 2"]
    without = Store(split.client, split.where, split.keys, split.now, split.trust)
    assert await without.pulls(lists) == [None, b"page 2", b"page 2"]


async def test_a_cache_that_comes_back_empty_is_filled_again(main: Process, cache: Process, tmp_path: Path) -> None:
    """Tokens that are pulled are pulled as a whole, at once; the log tells what nobody can pull by itself."""
    redis = f'redis: {{url: "{main.url}", cache_url: "{cache.url}"}}'
    volt = evolve(VOLT, more="modules: {tokens: {pull_every: 24h}}\n")
    async with World.of(tmp_path / "world", volt, gateway_yaml=redis) as world:
        token = token_of_volt(datetime.now(UTC))
        uid = token["uid"]
        world["volt"].keep("tokens", token)
        await world.gateway.wishes.perform("volt", Deed.PULL)
        await known(world, uid)
        before = len(world["volt"].received)
        with capture_logs() as logs:
            await cache.say("FLUSHALL")
            await world["volt"].wait_for("GET", "tokens", after=before, timeout=15)
            await known(world, uid)
        assert [line["log_level"] for line in logs if line["event"] == "redis.cache_lost"] == ["error"]


async def known(world: World, uid: str) -> None:
    """Wait until the store has a token."""
    async with asyncio.timeout(15):
        while not await world.gateway.store.tokens_by_uid(uid):  # noqa: ASYNC110 (a pull tells nobody)
            await asyncio.sleep(0.05)
