"""Between replicas: waking and lanes; and a Redis that is away."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from importlib.resources import files
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.model.errors import NotDurable, ReceiverTimeout
from gateway.model.modules import Module
from gateway.model.names import CdrState, Name, Saying
from gateway.model.party import Party
from gateway.store.connection import mark, script
from gateway.store.embedded import Embedded, attach_or_start
from gateway.store.packing import pack
from gateway.store.redis import Store

EXA = Party("NL", "EXA")
LOCATION = Name(Module.LOCATIONS, EXA, "LOC1")
CDR = Name(Module.CDRS, EXA, "CDR1")


class OwnServer:
    """A redis-server that a test may kill and start again."""

    def __init__(self, folder: Path, server: Embedded) -> None:
        self.folder, self.server, self.url = folder, server, server.url

    def kill(self) -> None:
        assert self.server.pid is not None
        os.kill(self.server.pid, signal.SIGKILL)

    async def restart(self) -> None:
        await self.server.stop()
        self.server = await attach_or_start(self.folder)


@pytest_asyncio.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[OwnServer]:
    own = OwnServer(tmp_path, await attach_or_start(tmp_path))
    yield own
    await own.server.stop()


# Waking ---------------------------------------------------------------------------------------------------------------


async def test_a_spread_wakes_the_workers_of_other_replicas(store: Store, redis_server: Embedded) -> None:
    """Who waits learns of each link as it is owed something; the first thing it hears is to look at all."""
    other = Store.connect(redis_server.url)
    async with aclosing(store.woken(every=30)) as woken:
        assert await anext(woken) is None
        await other.say(LOCATION, b"1", b"1", "2.2.1", "core", None, ["acme"])
        await other.spread(LOCATION)
        heard = [await anext(woken)]
        if heard == [None]:  # the confirmation of the subscription
            heard = [await anext(woken)]
        assert heard == ["acme"]
    await other.aclose()


async def test_one_call_wakes_the_workers_of_many_links(store: Store) -> None:
    """What is spread to a hundred links is one call, of which every link comes out."""
    links = [f"link-{number:03}" for number in range(100)]
    async with aclosing(store.woken(every=30)) as woken:
        assert await anext(woken) is None
        await store.say(LOCATION, b"1", b"1", "2.2.1", "core", None, links)
        await store.spread(LOCATION)
        heard = [await anext(woken)]
        if heard == [None]:  # the confirmation of the subscription
            heard = [await anext(woken)]
        assert heard + [await anext(woken) for _ in links[1:]] == links


async def test_who_waits_in_vain_looks_by_itself(store: Store) -> None:
    """Without any call, None comes again and again, so that a lost call costs no more than that."""
    async with aclosing(store.woken(every=0.01)) as woken:
        assert [await anext(woken) for _ in range(4)] == [None] * 4


async def test_waiting_outlives_redis(own_server: OwnServer) -> None:
    """A subscription that breaks is made again when Redis is back, and begins with a look at all."""
    store = Store.connect(own_server.url)
    async with aclosing(store.woken(every=0.02)) as woken:
        assert await anext(woken) is None
        own_server.kill()
        heard = asyncio.ensure_future(anext(woken))
        await own_server.restart()
        assert await heard is None
        await store.notify("acme")
        async with asyncio.timeout(10):
            while await anext(woken) != "acme":
                await store.notify("acme")
    await store.aclose()


# Lanes ----------------------------------------------------------------------------------------------------------------


async def test_exchanges_about_one_object_follow_each_other(store: Store) -> None:
    """Within a lane one is alone; other objects and other links have lanes of their own."""
    order: list[str] = []

    async def exchange(who: str) -> None:
        async with store.lane("acme", LOCATION, 5000):
            order.append(f"{who} begins")
            async with store.lane("volt", LOCATION, 5000), store.lane("acme", CDR, 5000):
                order.append(f"{who} ends")

    await asyncio.gather(*(exchange(who) for who in "abc"))
    assert [line.split()[1] for line in order] == ["begins", "ends"] * 3
    assert all(order[i][0] == order[i + 1][0] for i in (0, 2, 4))


async def test_a_lane_that_stays_taken_is_a_timeout(store: Store) -> None:
    """Who can't enter within its deadline is told so, and the holder isn't disturbed."""
    async with store.lane("acme", LOCATION, 5000):
        for _ in range(2):
            with pytest.raises(ReceiverTimeout):
                async with store.lane("acme", LOCATION, 30):
                    pass


async def test_a_lane_is_kept_by_whoever_lives(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its holder extends it as long as it is asked to; one that was killed holds nobody up until then."""
    monkeypatch.setattr("gateway.store.redis._LEASE_MS", 60)
    async with store.lane("acme", LOCATION, 5000):
        with pytest.raises(ReceiverTimeout):
            async with store.lane("acme", LOCATION, 200):
                pass
    await store._enter(store.keys.lane("acme", LOCATION), "a process that was killed", 60)
    async with asyncio.timeout(4), store.lane("acme", LOCATION, 5000):
        pass


async def test_a_lane_is_free_again_when_its_holder_dies_or_is_late(store: Store) -> None:
    """A lane that nobody leaves ends by itself, and whoever is late doesn't end the next one's."""
    async with AsyncExitStack() as next_one:
        async with store.lane("acme", LOCATION, 20):
            await next_one.enter_async_context(store.lane("acme", LOCATION, 5000))
        with pytest.raises(ReceiverTimeout):
            async with store.lane("acme", LOCATION, 20):
                pass


# Repetition -----------------------------------------------------------------------------------------------------------


async def test_a_write_that_the_client_repeats_is_done_once(store: Store) -> None:
    """A script that arrives twice, because its first answer was lost, answers as it did the first time."""
    keys = store.keys
    record, note, notes = keys.object(LOCATION), keys.note(LOCATION), keys.notes("NL-EXA")
    listed = [keys.all("NL-EXA", Module.LOCATIONS), keys.all_rank("NL-EXA")]
    said = pack(Saying(name=LOCATION, canonical=b"", wire=b"", version="2.2.1", source="core", expect=0), 1)
    say = ("say", [record, record, note, notes, *listed], 0, mark(), LOCATION.text, 1, said, "", "")
    assert [await store.run(*say), await store.run(*say)] == [1, 1]
    assert await store.names(EXA, Module.LOCATIONS) == [(1, LOCATION)]

    register = ("register", [keys.registration("acme")], 0, mark(), b"value", b"")
    assert [await store.run(*register), await store.run(*register)] == [1, 1]

    counts, changes = keys.cdr_counts("acme"), keys.changes("acme")
    ledger = [keys.cdr("acme", CDR), keys.cdrs("acme")]
    owe = ("cdr_owe", [*ledger, counts, changes], CDR.text, 1, 1, 10**9)
    assert [await store.run(*owe), await store.run(*owe)] == [1, 0]
    moved = [keys.fence("acme"), *ledger, keys.cdrs_done("acme"), counts, changes]
    move = ("cdr_move", moved, "", mark(), CDR.text, ",pending,", "in_flight", 5, "", 10**9, "", "")
    assert [await store.run(*move), await store.run(*move)] == [1, 1]
    entry = await store.cdr_entry("acme", CDR)
    assert entry is not None
    assert entry.attempts == 1
    assert [change.state for change in await store.history("acme", CDR)] == [CdrState.PENDING, CdrState.IN_FLIGHT]
    assert (await store.counts("acme"))[CdrState.IN_FLIGHT] == 1


# Redis away -----------------------------------------------------------------------------------------------------------


async def test_what_cant_be_stored_is_refused_and_works_again_later(own_server: OwnServer) -> None:
    """While Redis is away every call is NotDurable, in words that help; when it is back, the same store works."""
    store = Store.connect(own_server.url)
    await store.ping()
    own_server.kill()
    for call in (store.ping(), store.read(LOCATION), store.owing(), store.take("acme", LOCATION), store.cred_key()):
        with pytest.raises(NotDurable, match=r"redis\.url"):
            await call
    with pytest.raises(NotDurable):
        await store.say(LOCATION, b"1", b"1", "2.2.1", "core", None, ["acme"])
    with pytest.raises(NotDurable):
        async with store.lane("acme", LOCATION, 1000):
            pass
    await own_server.restart()
    assert await store.say(LOCATION, b"1", b"1", "2.2.1", "core", 0, ["acme"]) == 1
    await store.aclose()


async def test_every_acknowledged_write_survives_kill_9_of_redis(own_server: OwnServer) -> None:
    """What was acknowledged before the server was killed in the middle of writing is there after its restart."""
    store = Store.connect(own_server.url)
    acknowledged: list[Name] = []

    async def writer(who: int) -> None:
        for i in range(10_000):
            name = Name(Module.SESSIONS, EXA, f"{who}-{i}")
            await store.say(name, b"x" * 500, b"y" * 500, "2.2.1", "core", 0, ["acme"])
            acknowledged.append(name)
            if len(acknowledged) == 200:
                own_server.kill()

    outcomes = await asyncio.gather(*(writer(who) for who in range(8)), return_exceptions=True)
    assert all(isinstance(outcome, NotDurable) for outcome in outcomes)
    await own_server.restart()
    assert len(acknowledged) >= 200
    assert None not in await store.read_many(acknowledged)
    assert await store.orphans() >= len(acknowledged)
    await store.aclose()


async def test_a_full_redis_says_what_to_do(own_server: OwnServer) -> None:
    """A Redis without room refuses writes, keeps what it has, and the error names the cure."""
    store = Store.connect(own_server.url)
    await store.say(LOCATION, b"1", b"1", "2.2.1", "core", None, ())
    await store.command("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(NotDurable, match="full"):
        await store.say(LOCATION, b"2", b"2", "2.2.1", "core", None, ())
    await store.command("CONFIG", "SET", "maxmemory", "0")
    said = await store.read(LOCATION)
    assert said is not None
    assert said.canonical == b"1"
    await store.aclose()


async def test_a_wrong_password_is_named(own_server: OwnServer) -> None:
    """A Redis that refuses our password is away for us, and the error says why."""
    store = Store.connect(own_server.url)
    await store.command("CONFIG", "SET", "requirepass", "secret")
    locked_out = Store.connect(own_server.url)
    with pytest.raises(NotDurable, match="password"):
        await locked_out.ping()
    await store.command("CONFIG", "SET", "requirepass", "")
    await store.aclose()
    await locked_out.aclose()


async def test_the_address_in_logs_has_no_password() -> None:
    """User, password and options are cut from the address that logs show."""
    assert Store.connect("rediss://me:secret@redis.example:6380/1?x=y").where == "rediss://redis.example:6380/1"
    with pytest.raises(ValueError, match="scheme"):
        Store.connect("http://redis.example")


async def test_the_server_is_described(store: Store) -> None:
    """Version, persistence and eviction are read from the server, for ``doctor``."""
    (info,) = await store.look()
    assert info.version[0].isdigit()
    assert (info.aof, info.fsync, info.eviction) == (True, "always", "noeviction")


def test_scripts_touch_only_the_keys_they_are_given() -> None:
    """No script makes up a key or reads a body: cluster slots and numbers with decimals depend on it. Nor a channel."""
    scripts = [path.name.removesuffix(".lua") for path in (files("gateway.store") / "scripts").iterdir()]
    assert {"say", "see", "slice", "overdue", "reservation"} <= {*scripts}
    for name in scripts:
        assert "cjson" not in script(name)
        for call in script(name).split("redis.call(")[1:]:
            assert call.split(", ")[1].startswith("KEYS[") or call.startswith("'PUBLISH', ARGV["), call
