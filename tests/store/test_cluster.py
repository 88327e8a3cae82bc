"""The store on a cluster: what is said of it on one server holds there too, and a node that goes comes back."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio
import test_attached
import test_awaited
import test_crawls
import test_news
import test_owed
import test_priced
import test_registrations
import test_said
import test_seen
import test_store
from redis_processes import Nodes, asking_for_a_store, cluster

from gateway import telemetry
from gateway.demo.chapters import plot
from gateway.demo.story import CAST, consumers, sources
from gateway.demo.telling import Story
from gateway.demo.world import World
from gateway.model.errors import NotDurable
from gateway.model.modules import Module
from gateway.model.names import Name
from gateway.model.party import Party
from gateway.settings.files import Durability, OnWeaker
from gateway.store.redis import Store

LOCATIONS = [Name(Module.LOCATIONS, Party("NL", f"E{number:02}"), "LOC1") for number in range(30)]

# These are about one server, or make a client of their own.
_OF_ONE_SERVER = frozenset({
    "test_what_is_remembered_is_recalled_for_its_time", "test_a_claim_ends_with_its_time",
    "test_who_set_a_profile_is_known_while_the_session_lasts", "test_the_server_is_described",
})  # fmt: skip

_MODULES = (
    test_attached, test_awaited, test_crawls, test_news, test_owed, test_priced, test_registrations, test_said,
    test_seen, test_store,
)  # fmt: skip
globals().update({f"{name}_in_a_cluster": test for name, test in asking_for_a_store(*_MODULES, but=_OF_ONE_SERVER)})


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def nodes() -> AsyncIterator[Nodes]:
    """A cluster of this worker's own."""
    with tempfile.TemporaryDirectory(prefix="og-") as folder:
        async with cluster(Path(folder)) as nodes:
            yield nodes


@pytest_asyncio.fixture
async def store(nodes: Nodes) -> AsyncIterator[Store]:
    """A store on the cluster, empty."""
    await nodes.flush()
    store = Store.connect(nodes.url)
    yield store
    await store.aclose()


async def test_objects_of_many_owners_lie_on_all_nodes_and_are_read_in_one_trip(store: Store, nodes: Nodes) -> None:
    """A pipeline goes to the nodes that have its keys, and its answers come in the order of its commands."""
    for name in LOCATIONS:
        await store.say(name, name.text.encode(), b"{}", "2.2.1", "core", 0, ["acme"])
    assert all([await node.say("DBSIZE") > 10 for node in nodes.all])
    found = await store.read_many(LOCATIONS)
    assert [said and said.canonical.decode() for said in found] == [name.text for name in LOCATIONS]
    assert await store.orphans() == len(LOCATIONS)
    assert len(await store.due("acme", store.now(), 100)) == len(LOCATIONS)


async def test_a_slot_that_moved_is_followed(store: Store, nodes: Nodes) -> None:
    """A node that has handed a slot on says so, and the command goes to the new one; nothing is asked of people."""
    name = LOCATIONS[0]
    await store.say(name, b"1", b"1", "2.2.1", "core", 0, ())
    slot = await nodes.all[0].say("CLUSTER KEYSLOT", "{NL-E00}")
    (holder,) = [node for node in nodes.all if await node.say("CLUSTER COUNTKEYSINSLOT", slot)]
    other = next(node for node in nodes.all if node is not holder)
    await nodes.move(slot, holder, other, half_way=True)
    # Half way: what is gone already is asked for there (ASK). A script whose keys are here and there can't run.
    said = await store.read(name)
    assert said is not None
    assert said.canonical == b"1"
    with pytest.raises(NotDurable, match="moving the slot"):
        await store.say(name, b"2", b"2", "2.2.1", "core", 1, ())
    await nodes.move(slot, holder, other, half_way=False)
    assert await store.say(name, b"2", b"2", "2.2.1", "core", 1, ()) == 2
    await nodes.move(slot, other, holder, half_way=True)
    await nodes.move(slot, other, holder, half_way=False)
    assert (await store.read_many([name]))[0] is not None


async def test_a_node_that_is_away_costs_its_own_slots_alone(store: Store, nodes: Nodes) -> None:
    """What lies elsewhere goes on, what lies there is NotDurable within seconds, and all is there when it is back."""
    for name in LOCATIONS:
        await store.say(name, b"1", b"1", "2.2.1", "core", 0, ())
    nodes.all[1].kill()

    async def works(name: Name) -> bool:
        try:
            return await store.read(name) is not None
        except NotDurable:
            return False

    working = await asyncio.gather(*(works(name) for name in LOCATIONS))
    assert 5 < sum(working) < 25
    nodes.all[1].start()
    await nodes.settled()
    assert None not in await store.read_many(LOCATIONS)


async def test_a_subscription_hears_what_is_published_on_another_node(store: Store, nodes: Nodes) -> None:
    """Calls go over the bus of the cluster, whichever node they are made on."""
    other = Store.connect(nodes.url)
    async with aclosing(store.woken(every=5)) as woken:
        assert await anext(woken) is None
        for link in ("acme", "volt"):
            await other.notify(link)
            heard = await anext(woken)
            while heard is None:
                heard = await anext(woken)
            assert heard == link
    await other.aclose()


async def test_each_node_must_be_durable(nodes: Nodes, tmp_path: Path) -> None:
    """One weak node is enough to refuse; what is wrong is named with its address."""
    await nodes.flush()
    store = Store.connect(nodes.url, durability=Durability.FSYNC, on_weaker=OnWeaker.REFUSE, data=tmp_path)
    assert [server.fsync for server in await store.look()] == ["always"] * 3
    await nodes.all[2].say("CONFIG SET", "appendfsync", "no")
    await store.look()
    with pytest.raises(NotDurable, match=f"127.0.0.1:{nodes.all[2].port}: appendfsync is no"):
        await store.say(LOCATIONS[0], b"1", b"1", "2.2.1", "core", 0, ())
    await nodes.all[2].say("CONFIG SET", "appendfsync", "always")
    await store.look()
    assert await store.say(LOCATIONS[0], b"1", b"1", "2.2.1", "core", 0, ()) == 1
    await store.aclose()


async def test_one_node_that_comes_back_empty_is_noticed(nodes: Nodes, tmp_path: Path) -> None:
    """Each primary has markers of its own; the others' don't hide that one of them has lost its data."""
    await nodes.flush()
    store = Store.connect(nodes.url, durability=Durability.FSYNC, data=tmp_path)
    await store.recognise()
    await store.say(LOCATIONS[0], b"1", b"1", "2.2.1", "core", 0, ())
    await nodes.all[0].say("FLUSHALL")
    newcomer = Store.connect(nodes.url, durability=Durability.FSYNC, data=tmp_path / "another")
    with pytest.raises(NotDurable, match="counts for nothing"):
        await newcomer.recognise()  # it has no memory, but what the other nodes say is enough
    await store.look()
    with pytest.raises(NotDurable, match="counts for nothing"):
        await store.read(LOCATIONS[1])
    await newcomer.accept_empty("a test")
    await store.look()
    assert await store.read(LOCATIONS[1]) is None
    await newcomer.aclose()
    await store.aclose()


async def test_the_whole_story_plays_on_a_cluster(nodes: Nodes, tmp_path: Path) -> None:
    """Registrations, pushes, authorizations, commands, lists, prices and rotations, on one cluster."""
    await nodes.flush()
    story, redis = Story(lambda _: None), f'redis: {{url: "{nodes.url}"}}'
    folder, feeds = tmp_path / "world", sources()
    async with World.of(folder, *CAST, gateway_yaml=redis, feeds=feeds, consumers=consumers()) as world:
        with telemetry.watching(story.crossed):
            await story.play(world, plot(world))
        assert (story.wrong, world.complaints) == ([], [])
    assert story.checked > 50
