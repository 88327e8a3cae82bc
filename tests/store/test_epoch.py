"""A Redis that comes back empty is noticed, never believed, and goes on when its data are back or given up."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from redis_processes import DURABLE, Process
from structlog.testing import capture_logs

from gateway.model.errors import NotDurable
from gateway.model.modules import Module
from gateway.model.names import Name
from gateway.model.party import Party
from gateway.settings.files import Durability
from gateway.store.epoch import Known, Marker
from gateway.store.redis import Store
from gateway.telemetry import STORE_LOST

CDR = Name(Module.CDRS, Party("NL", "EXA"), "CDR1")


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Process]:
    server = Process(tmp_path / "server", *DURABLE)
    await server.say("PING")
    yield server
    server.kill()


@pytest_asyncio.fixture
async def replica(server: Process, tmp_path: Path) -> AsyncIterator[Callable[..., Store]]:
    """A replica of the gateway, as far as its store goes, with a data folder of its own."""
    stores: list[Store] = []

    def begin(folder: str = "data") -> Store:
        stores.append(Store.connect(server.url, durability=Durability.FSYNC, data=tmp_path / folder))
        return stores[-1]

    yield begin
    for store in stores:
        await store.aclose()


def emptied(server: Process) -> Path:
    """The server is killed and its file is gone; where to find it again."""
    server.kill()
    kept = server.folder.with_name("kept")
    shutil.copytree(server.folder, kept)
    for file in server.folder.iterdir():
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    return kept


def restored(server: Process, kept: Path) -> None:
    server.kill()
    shutil.rmtree(server.folder)
    kept.rename(server.folder)
    server.start()


async def refused(store: Store) -> bool:
    """Whether neither a read nor a write counts."""
    for call in (store.owing(), store.due("acme", 1, 1), store.owe("acme", CDR, 1), store.ping(), store.recognise()):
        with pytest.raises(NotDurable, match=r"counts for nothing|nothing was stored"):
            await call
    return bool(store.trust.lost)


async def test_a_first_start_ever_is_no_loss(replica: Callable[..., Store]) -> None:
    """It gives the Redis its epoch, which every later replica finds."""
    first, second = replica("one"), replica("two")
    await first.recognise()
    await second.recognise()
    assert first.trust.known.epoch == second.trust.known.epoch != ""
    assert (first.trust.lost, await first.owing()) == ("", [])


async def test_replicas_that_start_at_once_agree(replica: Callable[..., Store]) -> None:
    """Whoever is first with the first marker decides for all of them."""
    replicas = [replica(f"data{number}") for number in range(8)]
    await asyncio.gather(*(store.recognise() for store in replicas))
    assert len({store.trust.known.epoch for store in replicas}) == 1
    assert not any(store.trust.lost for store in replicas)


async def test_an_empty_redis_is_never_believed(server: Process, replica: Callable[..., Store]) -> None:
    """From the first call after it came back: nothing is acknowledged, and nothing read as "nothing owed"."""
    store = replica()
    await store.recognise()
    await store.cdr_owe("acme", CDR, 1)
    kept = emptied(server)
    server.start()
    await server.say("PING")
    with pytest.raises(NotDurable, match="it is empty where it had"):
        await store.owing()
    assert await refused(store)
    assert STORE_LOST._value.get() == 1

    restored(server, kept)
    await server.say("PING")
    await store.look()
    assert await store.owing() == ["acme"]
    assert STORE_LOST._value.get() == 0


async def test_a_replica_that_starts_on_an_empty_redis_knows_from_its_folder(
    server: Process, replica: Callable[..., Store]
) -> None:
    """The data folder remembers the epoch; what has no memory at all can't tell."""
    store = replica()
    await store.recognise()
    emptied(server)
    server.start()
    await server.say("PING")
    later = replica()
    assert later.trust.known.epoch == store.trust.known.epoch
    assert await refused(later)


async def test_another_redis_isnt_ours(server: Process, replica: Callable[..., Store]) -> None:
    """One that somebody else has begun since is as wrong as an empty one."""
    store = replica()
    await store.recognise()
    emptied(server)
    server.start()
    await server.say("PING")
    stranger = replica("another")
    await stranger.recognise()
    with pytest.raises(NotDurable, match=f"it has the epoch {stranger.trust.known.epoch} where it had"):
        await store.owing()


async def test_a_person_accepts_the_loss(server: Process, replica: Callable[..., Store]) -> None:
    """All replicas go on, the reason is in their logs, and those that start later find the new epoch in order."""
    store, other = replica("one"), replica("two")
    await store.recognise()
    await other.recognise()
    emptied(server)
    server.start()
    await server.say("PING")
    assert await refused(store)
    assert await refused(other)
    epoch = await store.accept_empty("the disk is gone")
    assert await store.owing() == []
    with capture_logs() as logs:
        await other.look()
    (accepted,) = [line for line in logs if line["event"] == "redis.accepted"]
    assert (accepted["epoch"], accepted["reason"]) == (epoch, "the disk is gone")
    assert await other.owing() == []
    await replica("one").recognise()


async def test_an_acceptance_of_long_ago_accepts_nothing(server: Process, replica: Callable[..., Store]) -> None:
    """An accepted epoch counts for those who saw their own last before it was given, for nobody else."""
    store = replica()
    await store.recognise()
    earlier = Marker("0123456789abcdef", store.trust.known.seen - 1).accept("another loss")
    await server.say("SET", "og:epoch", earlier.text)
    await store.look()
    with pytest.raises(NotDurable, match="0123456789abcdef"):
        await store.owing()


async def test_who_was_cut_short_while_giving_the_epoch_is_continued(
    server: Process, replica: Callable[..., Store]
) -> None:
    """A proposal that was never completed is completed by whoever comes next."""
    await server.say("SET", "og:epoch", Marker("0123456789abcdef", 1).text)
    store = replica()
    await store.recognise()
    assert store.trust.known.epoch == "0123456789abcdef"
    assert await server.say("GET", "og:epoch") == b"0123456789abcdef 1 whole"


async def test_the_watch_finds_it_and_says_what_to_do(
    server: Process, replica: Callable[..., Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error at once, and again while it lasts, until it is found again; without any call of anybody."""
    monkeypatch.setattr("gateway.store.connection._LOOK_EVERY", 0.02)
    monkeypatch.setattr("gateway.store.connection._LOOK_AGAIN", 0.01)
    store = replica()
    await store.recognise()
    epoch = await server.say("GET", "og:epoch")
    with capture_logs() as logs:
        watching = asyncio.create_task(store.watch())
        await server.say("FLUSHALL")
        async with asyncio.timeout(5):
            while not any(line["event"] == "redis.lost" for line in logs):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await server.say("SET", "og:epoch", epoch)
            while not any(line["event"] == "redis.found_again" for line in logs):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        watching.cancel()
    (lost,) = [line for line in logs if line["event"] == "redis.lost"]  # and not a hundred of them
    assert "--accept-empty" in lost["todo"]
    assert lost["log_level"] == "error"


def test_installations_share_a_folder_by_their_prefixes(tmp_path: Path) -> None:
    """Each has a line of its own; what can't be read as one is no memory."""
    file = tmp_path / "data" / "epochs"
    for prefix in ("og", "test"):
        known = Known(prefix, file)
        known.saw(f"epoch-of-{prefix}", 5)
        known.keep()
    assert Known("og", file).epoch == "epoch-of-og"
    assert (Known("test", file).epoch, Known("test", file).seen) == ("epoch-of-test", 5)
    assert Known("none", file).epoch == ""
    file.write_text("og broken\n\n")
    assert Known("og", file).epoch == ""
    assert Marker.read(b"not a marker") is None
