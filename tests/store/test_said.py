"""What is said: compare and store in one step, variants, and tokens by contract and uid."""

from __future__ import annotations

import asyncio

import pytest

from gateway.model.modules import Module
from gateway.model.names import Moved, Name
from gateway.model.party import Party
from gateway.store.redis import Store

EXA = Party("NL", "EXA")
LOCATION = Name(Module.LOCATIONS, EXA, "Loc1")
SESSION = Name(Module.SESSIONS, EXA, "s-1")


async def say(store: Store, name: Name, body: bytes, expect: int | None = None, **more: object) -> int:
    return await store.say(name, body, b"wire " + body, "2.2.1", "core", expect, (), **more)  # type: ignore[arg-type]


async def test_an_object_is_read_as_it_was_said(store: Store) -> None:
    """Bytes, version, source, spelling and time come back as they went in."""
    before = store.now()
    assert await store.say(LOCATION, b'{"a":0.10}', b"<wire>\x00", "2.1.1", "core", 0, ()) == 1
    said = await store.read(Name(Module.LOCATIONS, EXA, "LOC1"))
    assert said is not None
    assert (said.id, said.canonical, said.wire, said.version) == ("Loc1", b'{"a":0.10}', b"<wire>\x00", "2.1.1")
    assert (said.source, said.sequence, said.deleted) == ("core", 1, False)
    assert before <= said.at <= store.now()


async def test_nobodys_object_is_none(store: Store) -> None:
    """What was never said is None, alone and among others."""
    await say(store, SESSION, b"1")
    assert await store.read(LOCATION) is None
    assert [said and said.canonical for said in await store.read_many([LOCATION, SESSION])] == [None, b"1"]
    assert await store.read_many([]) == []


async def test_of_two_writers_with_the_same_expectation_one_has_moved(store: Store) -> None:
    """Of many writes that expect the same sequence exactly one is stored, and the others know it."""
    first = await say(store, SESSION, b"first", 0)
    outcomes = await asyncio.gather(*(say(store, SESSION, b"%d" % i, first) for i in range(10)), return_exceptions=True)
    assert sorted(isinstance(outcome, Moved) for outcome in outcomes) == [False] + [True] * 9
    winner = next(i for i, outcome in enumerate(outcomes) if outcome == 2)
    said = await store.read(SESSION)
    assert said is not None
    assert said.canonical == b"%d" % winner


async def test_of_two_creators_one_has_moved(store: Store) -> None:
    """An expectation of 0 means that there is nothing yet; None means that anything may be there."""
    await say(store, SESSION, b"one", 0)
    with pytest.raises(Moved):
        await say(store, SESSION, b"two", 0)
    assert await say(store, SESSION, b"three", None) == 2


async def test_a_deleted_object_stays_marked(store: Store) -> None:
    """After a DELETE the object is there, as it was, and marked; it may be said anew."""
    sequence = await say(store, LOCATION, b"1", 0)
    sequence = await say(store, LOCATION, b"1", sequence, deleted=True)
    said = await store.read(LOCATION)
    assert said is not None
    assert said.deleted
    await say(store, LOCATION, b"2", sequence)
    said = await store.read(LOCATION)
    assert said is not None
    assert not said.deleted


async def test_a_variant_shadows_the_general_object_for_its_link_alone(store: Store) -> None:
    """The receiver of a variant reads it, everybody else the general object, until the variant is deleted."""
    await say(store, LOCATION, b"general", 0)
    await say(store, LOCATION, b"for acme", 0, variant="acme")

    async def seen(link: str | None) -> bytes | None:
        said = await store.read(LOCATION, link)
        return said.canonical if said is not None else None

    assert [await seen("acme"), await seen("volt"), await seen(None)] == [b"for acme", b"general", b"general"]
    await say(store, LOCATION, b"", None, variant="acme", deleted=True)
    assert await seen("acme") == b"general"


async def test_many_links_read_one_object_and_their_variants(store: Store) -> None:
    """Each link would read alone what it reads among others: its variant, if it has one that hasn't ended."""

    async def each() -> list[bytes | None]:
        links = ["acme", "volt", "flux"]
        general, variants = await store.read_for(LOCATION, links)
        found = [variants.get(link, general) for link in links]
        assert found == [await store.read(LOCATION, link) for link in links]
        assert {*variants} <= {*links}
        assert not variants or await store.with_variants([LOCATION]) == {LOCATION}
        return [said and said.canonical for said in found]

    assert await each() == [None, None, None]
    await say(store, LOCATION, b"for acme", 0, variant="acme")
    await say(store, LOCATION, b"for nobody asked", None, variant="grid")
    assert await each() == [b"for acme", None, None]
    await say(store, LOCATION, b"for all", None)
    await say(store, LOCATION, b"for volt", None, variant="volt")
    assert await each() == [b"for acme", b"for volt", b"for all"]
    for link in ("acme", "volt", "grid"):
        await say(store, LOCATION, b"", None, variant=link, deleted=True)
    assert await each() == [b"for all", b"for all", b"for all"]
    assert await store.with_variants([LOCATION]) == set()


async def test_variants_and_the_general_object_share_a_sequence(store: Store) -> None:
    """Who has read before a variant was written must read again before writing the general object."""
    sequence = await say(store, LOCATION, b"general", 0)
    assert await say(store, LOCATION, b"variant", sequence, variant="acme") == 2
    with pytest.raises(Moved):
        await say(store, LOCATION, b"general", sequence)
    said = await store.read(LOCATION)
    assert said is not None
    assert said.sequence == 2


async def test_a_variant_may_come_before_the_general_object(store: Store) -> None:
    """A variant alone is no general object: nobody else sees it, and the general one can still be created."""
    await say(store, LOCATION, b"variant", 0, variant="acme")
    assert await store.read(LOCATION) is None
    assert await say(store, LOCATION, b"general", 0) == 2


async def test_a_variant_that_ended_is_deleted_until_there_is_a_general_object(store: Store) -> None:
    """With no general object to show instead, its receiver must hear of the end; a later general one is shown."""
    await say(store, LOCATION, b"variant", 0, variant="acme")
    await say(store, LOCATION, b"variant", None, variant="acme", deleted=True)
    said = await store.read(LOCATION, "acme")
    assert said is not None
    assert said.deleted
    assert await store.read(LOCATION) is None
    await say(store, LOCATION, b"general", 0)
    said = await store.read(LOCATION, "acme")
    assert said is not None
    assert (said.canonical, said.deleted) == (b"general", False)


async def test_all_that_an_owner_said_is_listed_in_the_order_in_which_it_came(store: Store) -> None:
    """Each object once, whatever it is changed to, by owner and module; page by page from any rank on."""
    locations = [Name(Module.LOCATIONS, EXA, id) for id in ("C", "A", "B")]
    for name in (*locations, SESSION, Name(Module.LOCATIONS, Party("DE", "ACM"), "X"), locations[0]):
        await say(store, name, b"1")
    listed = await store.names(EXA, Module.LOCATIONS)
    assert [name for _, name in listed] == locations
    first = await store.names(EXA, Module.LOCATIONS, limit=2)
    assert first == listed[:2]
    assert await store.names(EXA, Module.LOCATIONS, after=first[-1][0], limit=2) == listed[2:]
    assert await store.names(EXA, Module.TARIFFS) == []


async def test_everyone_who_said_something_is_listed(store: Store) -> None:
    """Owners are known by their first object, whether it was owed to anybody or not."""
    assert await store.owners() == []
    for owner in (EXA, Party("DE", "ACM"), EXA):
        await say(store, Name(Module.TARIFFS, owner, "T"), b"1")
    assert await store.owners() == [Party("DE", "ACM"), EXA]


async def test_what_is_deleted_leaves_the_list_and_comes_back_last(store: Store) -> None:
    """A deleted object isn't listed; said again it has a rank that none had before, so nobody reading on misses it."""
    one, other = Name(Module.LOCATIONS, EXA, "1"), Name(Module.LOCATIONS, EXA, "2")
    await say(store, one, b"1")
    await say(store, other, b"1")
    ((_, _), (rank, _)) = await store.names(EXA, Module.LOCATIONS)
    await say(store, other, b"1", deleted=True)
    await say(store, other, b"1", deleted=True)
    assert [name for _, name in await store.names(EXA, Module.LOCATIONS)] == [one]
    await say(store, other, b"1")
    assert [name for _, name in await store.names(EXA, Module.LOCATIONS, after=rank)] == [other]


async def test_an_object_that_only_one_receiver_has_is_listed_too(store: Store) -> None:
    """A name is listed while there is a general object or anybody's variant, and no longer."""

    async def listed() -> bool:
        return bool(await store.names(EXA, Module.LOCATIONS))

    for variant in ("acme", "volt", "acme"):
        await say(store, LOCATION, b"variant", variant=variant)
    await say(store, LOCATION, b"general")
    await say(store, LOCATION, b"general", deleted=True)
    assert await listed()
    await say(store, LOCATION, b"", variant="acme", deleted=True)
    await say(store, LOCATION, b"", variant="acme", deleted=True)
    assert await listed()
    await say(store, LOCATION, b"", variant="volt", deleted=True)
    assert not await listed()
    await say(store, LOCATION, b"variant", variant="acme")
    await say(store, LOCATION, b"", variant="acme", deleted=True)
    assert not await listed()


async def test_only_locations_and_tariffs_have_variants(store: Store) -> None:
    """Sessions, CDRs and tokens are one object for everyone."""
    with pytest.raises(ValueError, match="variants"):
        await say(store, SESSION, b"1", variant="acme")


async def test_a_token_is_found_by_contract_and_by_uid(store: Store) -> None:
    """Tokens are found by both ids in any case; a token that changes its contract leaves the former one."""
    acm = Party("DE", "ACM")
    card, app = Name(Module.TOKENS, acm, "012abc", "RFID"), Name(Module.TOKENS, acm, "012abc", "APP_USER")
    await store.index_token(card, "DE-ACM-C1")
    await store.index_token(app, "DE-ACM-C1")
    await store.index_token(app, "DE-ACM-C1")
    assert set(await store.tokens_of_contract("de-acm-c1")) == {card, app}
    assert set(await store.tokens_by_uid("012ABC")) == {card, app}

    await store.index_token(card, "DE-ACM-C2", former="DE-ACM-C1")
    assert await store.tokens_of_contract("DE-ACM-C1") == [app]
    assert await store.tokens_of_contract("DE-ACM-C2") == [card]
    await store.index_token(card, "DE-ACM-C2", former="de-acm-c2")
    assert await store.tokens_of_contract("DE-ACM-C2") == [card]
    assert await store.tokens_by_uid("nobody") == []


async def test_sessions_are_found_by_the_contract_that_is_charging(store: Store) -> None:
    """A session is found by its contract in any case, apart from the tokens of it; a repetition changes nothing."""
    session = Name(Module.SESSIONS, Party("NL", "EXA"), "S1")
    await store.index_session(session, "DE-ACM-C1")
    await store.index_session(session, "de-acm-c1")
    assert await store.sessions_of_contract("DE-ACM-C1") == [session]
    assert await store.tokens_of_contract("DE-ACM-C1") == []


async def test_the_correlation_id_of_a_message_is_kept_with_what_it_said(store: Store) -> None:
    """Deliveries carry the correlation id of the message that they come from, so it is stored with the object."""
    name = Name(Module.TARIFFS, Party("NL", "EXA"), "T1")
    await store.say(name, b"{}", b"{}", "2.2.1", "backend", 0, [], correlation="c-1")
    said = await store.read(name)
    assert said is not None
    assert said.correlation == "c-1"
