"""How what is said is packed: exactly as it was said when it is read again, and small."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from itertools import count, islice

import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from gateway.model.modules import Kind, Module
from gateway.model.names import Name, Said, Saying
from gateway.model.party import Party
from gateway.store.packing import DICTIONARIES, General, general, pack, shadows, unpack
from gateway.store.redis import Store
from gateway.web.json import dumps

EXA, ACM = Party("NL", "EXA"), Party("DE", "ACM")
KINDS = {
    Module.LOCATIONS: Kind.LOCATION,
    Module.SESSIONS: Kind.SESSION,
    Module.CDRS: Kind.CDR,
    Module.TARIFFS: Kind.TARIFF,
    Module.TOKENS: Kind.TOKEN,
}
# What stored objects can't be read without: to change one, add another. First 16 digits of the SHA-256 of each.
FROZEN = ("e3b0c44298fc1c14", "7dbafc9f25ab1529", "34b67a6bdec9cae8", "02d5a3d0e6a09c93", "fc571513222c206b")


def named(module: Module, id: str = "Id-1") -> Name:
    return Name(module, EXA, id, "RFID" if module is Module.TOKENS else None)


def saying(module: Module, canonical: bytes, wire: bytes, **more: object) -> Saying:
    return Saying(name=named(module), canonical=canonical, wire=wire, version="2.1.1", source="core", expect=0, **more)  # type: ignore[arg-type]


def test_no_dictionary_that_was_ever_used_is_changed() -> None:
    """Each is what it was when the first object was written with it."""
    assert tuple(hashlib.sha256(words).hexdigest()[:16] for words in DICTIONARIES) == FROZEN


@pytest.mark.parametrize("module", Module)
@given(canonical=st.binary(max_size=300), wire=st.none() | st.binary(max_size=300), deleted=st.booleans())
def test_every_object_is_read_as_it_was_written(
    module: Module, canonical: bytes, wire: bytes | None, deleted: bool
) -> None:
    """Byte for byte, of every module, whether its sender's form is the canonical one or not."""
    wire = canonical if wire is None else wire
    said = unpack(pack(saying(module, canonical, wire, deleted=deleted, correlation="c", receiver=ACM), 17), 3)
    assert said == Said(
        id="Id-1", canonical=canonical, wire=wire, version="2.1.1", source="core", sequence=3, deleted=deleted, at=17,
        correlation="c", receiver=ACM,
    )  # fmt: skip


@pytest.mark.parametrize("module", KINDS)
def test_what_a_peer_says_is_small(module: Module) -> None:
    """An object of any kind, with its form in the other version, takes less than half of its own size alone."""
    new, old = (dumps(version[KINDS[module]].maximal()) for version in (samples.V221, samples.V211))
    assert len(pack(saying(module, new, new), 17)) < len(new) * 0.5
    assert len(pack(saying(module, new, old), 17)) < (len(new) + len(old)) * 0.4


def test_a_large_object_is_read_as_it_was_written() -> None:
    """However large."""
    text = dumps({**samples.location_221(), "evses": [samples.evse_221()] * 500})
    said = unpack(pack(saying(Module.LOCATIONS, text, b"[]"), 17), 1)
    assert said is not None
    assert (said.canonical, said.wire) == (text, b"[]")


def test_what_a_later_release_wrote_is_not_guessed_at() -> None:
    """A dictionary that isn't known is an error that says what to do, never a wrong object."""
    with pytest.raises(ValueError, match="later release"):
        unpack(b"+\xff" + pack(saying(Module.TOKENS, b"{}", b"{}"), 17)[2:], 1)


def test_a_name_without_an_object_is_nothing() -> None:
    """Or it has only variants, and one that ended shadows nothing, unless there is nothing else."""
    assert general(None) == General(0, 0, b"")
    assert unpack(b"", 1) is None
    assert unpack(None, 1) is None
    there, ended = (pack(saying(Module.LOCATIONS, b"", b"", deleted=deleted), 1) for deleted in (False, True))
    assert [shadows(variant, there) for variant in (there, ended, None)] == [True, False, False]
    assert [shadows(variant, b"") for variant in (there, ended, None)] == [True, True, False]


# In Redis -------------------------------------------------------------------------------------------------------------


async def test_a_cached_token_takes_few_bytes(store: Store) -> None:
    """A token with all its indexes, one of many: the object, the list of its owner, its uid, its contract."""
    tokens = [
        samples.token_221() | {"uid": f"04A1B2C3{i:06X}", "contract_id": f"DE-ACM-C{i:08}-7"} for i in range(2000)
    ]
    names = [Name(Module.TOKENS, ACM, token["uid"], token["type"]) for token in tokens]
    before = await used(store)
    for name, token in zip(names, tokens, strict=True):
        body = dumps(token)
        await store.say(name, body, body, "2.2.1", "acme", 0, ())
        await store.index_token(name, token["contract_id"])
    assert await store.tokens_by_uid(tokens[7]["uid"]) == [names[7]]
    # 640 where there are so many that they share drawers; here nearly each has two of its own.
    assert (await used(store) - before) / len(tokens) < 900


async def used(store: Store) -> int:
    async with Redis.from_url(store.where) as client:
        return int((await client.info("memory"))["used_memory"])


async def test_a_contract_of_many_tokens_doesnt_swell_its_neighbours(store: Store) -> None:
    """The first token of a contract lies with others, all further ones by themselves; each is found and can leave."""
    drawer = store.keys.contract("FLEET")
    (other,) = islice((id for id in map(str, count()) if store.keys.contract(id).shared == drawer.shared), 1)
    fleet = [Name(Module.TOKENS, ACM, f"U{i}", "RFID") for i in range(600)]
    alone = Name(Module.TOKENS, ACM, "X", "RFID")
    await store.index_tokens([(name, "FLEET", None) for name in (*fleet, *fleet)])
    await store.index_token(alone, other)
    assert await store.command("HLEN", drawer.shared) == 2
    assert set(await store.tokens_of_contract("fleet")) == set(fleet)

    await store.index_tokens([(name, other, "Fleet") for name in fleet[:300]])
    assert set(await store.tokens_of_contract("FLEET")) == set(fleet[300:])
    assert set(await store.tokens_of_contract(other)) == {alone, *fleet[:300]}
    await store.index_tokens([(name, "FLEET", other) for name in (*fleet[:300], fleet[400])])
    assert set(await store.tokens_of_contract("FLEET")) == set(fleet)


async def test_a_drawer_stays_packed_whatever_is_put_into_it(store: Store) -> None:
    """Nobody's choice of ids makes the others' slow: long ones, and more than 512, lie by themselves and are found."""
    drawer = store.keys.uid("X" * 300)
    near = list(islice((id for id in map(str, count()) if store.keys.uid(id).shared == drawer.shared), 20))
    ids = ["X" * 300, *near]
    await store.index_tokens([(Name(Module.TOKENS, ACM, id, "RFID"), "C", None) for id in ids])
    assert await store.command("HLEN", drawer.shared) == len(near)
    assert await store.command("OBJECT", "ENCODING", drawer.shared) in (b"ziplist", b"listpack")
    await store.command("HSET", drawer.shared, *[word for i in range(492) for word in (f"filler{i}", "x")])
    last = Name(Module.TOKENS, ACM, near[0], "OTHER")
    await store.command("HDEL", drawer.shared, near[1])
    await store.command("HSET", drawer.shared, "one more", "x")
    await store.index_tokens([(last, "C", None), (Name(Module.TOKENS, ACM, near[1], "RFID"), "C", None)])
    assert await store.command("HLEN", drawer.shared) == 512
    assert await store.command("OBJECT", "ENCODING", drawer.shared) in (b"ziplist", b"listpack")
    for id in ids:
        assert {name.id for name in await store.tokens_by_uid(id)} == {id}


# Many at once, and who hears of it ------------------------------------------------------------------------------------


def token(id: str, body: bytes, expect: int | None) -> Saying:
    name = Name(Module.TOKENS, ACM, id, "RFID")
    return Saying(name=name, canonical=body, wire=body, version="2.2.1", source="acme", expect=expect, owed=["volt"])


async def test_many_objects_are_said_at_once(store: Store) -> None:
    """Each as it would be alone: those with a wrong expectation aren't written, the others are, and are owed."""
    assert await store.say_all([]) == []
    await store.say_all([token("A", b"old", 0)])
    page = [token("A", b"new", 0), token("B", b"b", 0), token("a", b"new", 1), token("C", b"c", None)]
    assert await store.say_all(page) == [-1, 1, 2, 1]
    found = await store.read_many([saying.name for saying in page])
    assert [said and said.canonical for said in found] == [b"new", b"b", b"new", b"c"]
    assert await store.owners() == [ACM]
    assert await store.orphans() == 3


async def test_of_many_objects_only_some_modules_have_variants(store: Store) -> None:
    """One that can't be said stops all of them before anything is written."""
    wrong = Saying(
        name=named(Module.CDRS), canonical=b"", wire=b"", version="2.2.1", source="core", expect=0, variant="acme"
    )
    with pytest.raises(ValueError, match="variants"):
        await store.say_all([token("A", b"a", 0), wrong])
    assert await store.read(token("A", b"", 0).name) is None


async def test_whoever_keeps_tokens_in_memory_hears_of_each_that_is_said(store: Store) -> None:
    """Its uid, in the spelling in which uids are compared, when it can be read; nothing of what isn't written."""
    heard = store.retold(every=5)
    assert await anext(heard) is None
    await store.say(named(Module.SESSIONS), b"s", b"s", "2.2.1", "core", 0, ())
    assert await store.say_all([token("aB", b"a", 7), token("aB", b"a", 0), token("é/x", b"b", 0)]) == [-1, 1, 1]
    gone = token("AB", b"", None)
    await store.say(gone.name, b"", b"", "2.2.1", "acme", None, (), deleted=True)
    assert [uid async for uid in _first(3, heard)] == ["AB", "é/X", "AB"]


async def _first(number: int, heard: AsyncGenerator[str | None, None]) -> AsyncIterator[str]:
    async with aclosing(heard):
        while number:
            if (uid := await anext(heard)) is not None:
                number -= 1
                yield uid
