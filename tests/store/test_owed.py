"""What is owed: tickets, the confirmed state, held and failed entries, and the way from note to due."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve

from gateway.model.modules import Module
from gateway.model.names import Backlog, CdrState, Due, Early, Held, Name, Sent
from gateway.model.party import Party
from gateway.store.redis import Store

EXA = Party("NL", "EXA")
LOCATION = Name(Module.LOCATIONS, EXA, "LOC1")
OTHER = Name(Module.LOCATIONS, EXA, "LOC2")
CDR = Name(Module.CDRS, EXA, "CDR1")
SENT = Sent(wire=b'{"id":"LOC1"}' * 20, version="2.1.1", sequence=7)


async def sole_due(store: Store, now: int = 1000) -> Due:
    (due,) = await store.due("acme", now, 10)
    return due


# Due entries --------------------------------------------------------------------------------------------------------


async def test_what_is_due_comes_oldest_first_and_not_before_its_time(store: Store) -> None:
    """Entries come by their time, as many as asked for, those of other links and later times left out."""
    await store.owe("acme", LOCATION, 500)
    await store.owe("acme", OTHER, 400)
    await store.owe("acme", Name(Module.TARIFFS, EXA, "T"), 2000)
    await store.owe("volt", LOCATION, 100)
    assert [(due.name, due.at) for due in await store.due("acme", 1000, 10)] == [(OTHER, 400), (LOCATION, 500)]
    assert [due.name for due in await store.due("acme", 1000, 1)] == [OTHER]


async def test_an_object_is_owed_once_however_often_it_changes(store: Store) -> None:
    """Many reasons make one entry, due no later than it was."""
    await store.owe("acme", LOCATION, 500)
    tickets = [await store.owe("acme", LOCATION, at) for at in (900, 300, 700)]
    due = await sole_due(store)
    assert (due.at, due.ticket) == (300, tickets[-1])


async def test_a_link_may_be_owed_everything_at_once(store: Store) -> None:
    """However many objects it is, each is due as of now under its own ticket, and the link is known to be owing."""
    names = [Name(Module.TARIFFS, EXA, str(i)) for i in range(1203)]
    await store.owe_all("acme", iter(names))
    await store.owe_all("acme", [LOCATION])
    await store.owe_all("volt", [])
    due = await store.due("acme", store.now(), 2000)
    assert {entry.name for entry in due} == {*names, LOCATION}
    assert len({entry.ticket for entry in due}) == 1204
    assert await store.owing() == ["acme"]


async def test_what_goes_first_is_told_while_it_is_due_and_nothing_is_taken(store: Store) -> None:
    """Those among the objects named that are due by a time; what the receiver has stays as certain as it was."""
    first, later, absent = (Name(Module.TARIFFS, EXA, id) for id in ("FIRST", "LATER", "ABSENT"))
    await store.owe("acme", LOCATION, 500)
    await store.settle("acme", await sole_due(store), SENT)
    await store.owe("acme", first, 800)
    await store.owe("acme", later, 900)
    with pytest.raises(Early) as early:
        await store.take("acme", LOCATION, before=[absent, later, first], by_ms=800)
    assert early.value.before == (first,)
    with pytest.raises(Early) as early:
        await store.take("acme", LOCATION, before=[absent, later, first], by_ms=900)
    assert set(early.value.before) == {first, later}
    assert await store.take("acme", LOCATION, before=[absent, later], by_ms=899) == SENT
    assert await store.take("acme", LOCATION, before=[first], by_ms=0) == evolve(SENT, version="")


async def test_entries_are_found_among_many_names(store: Store) -> None:
    """However many names are asked for, those that are owed now or later come, with their times."""
    names = [Name(Module.LOCATIONS, EXA, str(i)) for i in range(1203)]
    await store.owe("acme", names[7], 500)
    await store.owe("acme", names[1201], 2**50)
    found = await store.owed_among("acme", names)
    assert [(due.name, due.at) for due in found] == [(names[7], 500), (names[1201], 2**50)]
    assert await store.owed_among("acme", []) == []


async def test_a_settled_entry_is_gone_and_what_was_confirmed_is_known(store: Store) -> None:
    """After a confirmed delivery nothing is due, and the next attempt knows what the receiver has."""
    await store.owe("acme", LOCATION, 1)
    due = await sole_due(store)
    assert await store.take("acme", LOCATION) is None
    assert await store.settle("acme", due, SENT)
    assert await store.due("acme", 1000, 10) == []
    assert await store.take("acme", LOCATION) == SENT


async def test_a_reason_that_comes_during_an_attempt_survives_it(store: Store) -> None:
    """An attempt made for an older ticket settles nothing; what it delivered is known all the same."""
    await store.owe("acme", LOCATION, 1)
    due = await sole_due(store)
    newer = await store.owe("acme", LOCATION, 2)
    assert not await store.settle("acme", due, SENT)
    assert (await sole_due(store)).ticket == newer
    assert await store.take("acme", LOCATION) == SENT


async def test_settling_twice_settles(store: Store) -> None:
    """A settlement whose answer was lost may be repeated, and says the same."""
    await store.owe("acme", LOCATION, 1)
    due = await sole_due(store)
    assert await store.settle("acme", due, None)
    assert await store.settle("acme", due, None)


async def test_what_is_taken_is_doubtful_until_confirmed(store: Store) -> None:
    """Taking leaves a doubt: after an attempt that was killed it is known what to withdraw, not what to build on."""
    await store.owe("acme", LOCATION, 1)
    await store.settle("acme", await sole_due(store), SENT)
    assert await store.take("acme", LOCATION) == SENT
    assert await store.take("acme", LOCATION) == evolve(SENT, version="")
    assert await store.take("acme", LOCATION) == evolve(SENT, version="")


async def test_what_a_receiver_has_lost_is_forgotten(store: Store) -> None:
    """After a confirmed withdrawal nothing is known of the object any more; another's is."""
    await store.settle("acme", Due(OTHER, 0, 0), SENT)
    await store.settle("acme", Due(LOCATION, 0, 0), SENT)
    await store.take("acme", LOCATION)
    await store.settle("acme", Due(LOCATION, 0, 0), None)
    assert await store.take("acme", LOCATION) is None
    assert await store.take("acme", OTHER) == SENT


async def test_an_entry_that_is_dismissed_changes_nothing_of_what_is_known(store: Store) -> None:
    """Where nothing can be sent, the entry goes, and the receiver still has what it had."""
    await store.settle("acme", Due(LOCATION, 0, 0), SENT)
    await store.owe("acme", LOCATION, 1)
    assert await store.dismiss("acme", await sole_due(store))
    assert await store.due("acme", 1000, 10) == []
    assert await store.take("acme", LOCATION) == SENT


@pytest.mark.parametrize("held", [False, True], ids=["tried-again", "held"])
async def test_what_may_have_arrived_is_known_after_a_failure(store: Store, held: bool) -> None:
    """An attempt that failed leaves the receiver perhaps with what was sent; without word, with what it had perhaps."""
    newer = evolve(SENT, wire=b'{"id":"LOC1","name":"new"}')
    await store.settle("acme", Due(LOCATION, 0, 0), SENT)
    for perhaps, known in ((None, SENT), (newer, newer)):
        await store.owe("acme", LOCATION, 1)
        due = await sole_due(store)
        await store.take("acme", LOCATION)
        if held:
            await store.hold("acme", due, "refused", "2000", perhaps=perhaps)
        else:
            await store.postpone("acme", due, 900, perhaps=perhaps)
        assert await store.take("acme", LOCATION) == evolve(known, version="")


async def test_an_object_may_fall_due_again_by_itself(store: Store) -> None:
    """A tariff that comes into force tomorrow is settled today and due tomorrow."""
    await store.owe("acme", LOCATION, 1)
    assert await store.settle("acme", await sole_due(store), SENT, again_ms=5000)
    assert await store.due("acme", 4999, 10) == []
    assert (await sole_due(store, 5000)).at == 5000


async def test_a_postponed_entry_waits_unless_there_is_a_newer_reason(store: Store) -> None:
    """Back-off moves an entry to later; a reason that came meanwhile keeps its own time."""
    await store.owe("acme", LOCATION, 1)
    due = await sole_due(store)
    assert await store.postpone("acme", due, 5000)
    assert await store.due("acme", 1000, 10) == []
    await store.owe("acme", LOCATION, 2)
    assert not await store.postpone("acme", due, 9000)
    assert (await sole_due(store)).at == 2


async def test_a_held_entry_is_listed_with_its_reason_until_a_new_one_comes(store: Store) -> None:
    """Held entries aren't due; the next change of the object makes them due again."""
    await store.owe("acme", LOCATION, 1)
    due = await sole_due(store)
    assert await store.hold("acme", due, "withheld", "no connector with a known standard")
    assert await store.due("acme", 1000, 10) == []
    (held,) = await store.held("acme")
    assert held == Held(LOCATION, "withheld", "no connector with a known standard", held.at)

    await store.owe("acme", LOCATION, 3)
    assert await store.held("acme") == []
    assert not await store.hold("acme", due, "withheld", "")
    assert (await sole_due(store)).at == 3


async def test_what_failed_is_due_at_once_when_the_partner_calls(store: Store) -> None:
    """Urging ends the waits that failures made, of objects and CDRs; what waits for its own time goes on waiting."""
    now = store.now()
    await store.owe("acme", LOCATION, 1)
    await store.settle("acme", await sole_due(store), SENT, again_ms=now + 10**8)
    for number in range(700):
        await store.owe("acme", Name(Module.TARIFFS, EXA, f"T{number}"), 1)
    await store.cdr_owe("acme", CDR, 1)
    for due in await store.due("acme", now, 1000):
        await store.postpone("acme", due, now + 300_000)
    await store.cdr_move("acme", CDR, [CdrState.PENDING], CdrState.PENDING, at_ms=now + 300_000)
    assert await store.due("acme", now, 10) == []
    assert await store.urge("acme") == 701
    urged = store.now()
    assert len(await store.due("acme", urged, 1000)) == 700
    (entry,) = await store.cdr_next("acme", urged, 10)
    assert (entry.name, entry.at is not None and now <= entry.at <= urged) == (CDR, True)
    assert await store.urge("acme") == 0
    assert [due.name for due in await store.due("acme", now + 10**9, 1000) if due.at > urged] == [LOCATION]


async def test_what_was_tried_again_meanwhile_isnt_urged(store: Store) -> None:
    """An entry that was settled, set aside, or has a new reason since its failure is left alone."""
    later = store.now() + 10**8
    names = [Name(Module.TARIFFS, EXA, id) for id in ("A", "B", "C")]
    for name in names:
        await store.owe("acme", name, 1)
    settled, held, anew = await store.due("acme", 1, 10)
    for due in (settled, held, anew):
        await store.postpone("acme", due, later)
    await store.settle("acme", settled, SENT, later)
    await store.hold("acme", held, "refused", "2000")
    await store.owe("acme", anew.name, later)
    assert await store.urge("acme") == 0
    assert [due.name for due in await store.due("acme", later, 10)] == [names[0], names[2]]


async def test_entries_are_found_by_name(store: Store) -> None:
    """What is due, and what is held, can be asked for by name: due now or later, held with its reason."""
    ticket = await store.owe("acme", LOCATION, 5)
    assert await store.owed_entry("acme", LOCATION) == Due(LOCATION, ticket, 5)
    assert await store.owed_entry("acme", OTHER) is None
    assert await store.held_entry("acme", LOCATION) is None
    await store.hold("acme", Due(LOCATION, ticket, 5), "withheld", "why")
    assert await store.owed_entry("acme", LOCATION) is None
    held = await store.held_entry("acme", LOCATION)
    assert held is not None
    assert (held.name, held.reason, held.detail) == (LOCATION, "withheld", "why")


async def test_all_that_is_owed_can_be_read(store: Store) -> None:
    """However much is owed, due or not, it comes in pages; a few come in the order of their time."""
    await store.owe("acme", LOCATION, 10**15)
    await store.owe("acme", OTHER, 400)
    assert [(due.name, due.at) async for due in store.owed_entries("acme")] == [(OTHER, 400), (LOCATION, 10**15)]
    names = {Name(Module.TARIFFS, EXA, str(i)) for i in range(1203)}
    await store.owe_all("acme", names)
    assert {due.name async for due in store.owed_entries("acme")} == {LOCATION, OTHER, *names}
    assert [due async for due in store.owed_entries("nobody")] == []


async def test_backlog_and_owing_tell_who_waits_for_what(store: Store) -> None:
    """Links that are owed something are listed, and counted in numbers; held objects don't make a link wait."""
    await store.owe("acme", LOCATION, 40)
    await store.cdr_owe("acme", CDR, 30)
    await store.owe("volt", LOCATION, 1)
    await store.hold("volt", (await store.due("volt", 10, 1))[0], "withheld", "")
    assert await store.owing() == ["acme"]
    assert await store.backlog("acme") == Backlog(due=1, held=0, cdrs=1, oldest=30)
    assert await store.backlog("volt") == Backlog(due=0, held=1, cdrs=0, oldest=None)


# From said to owed ----------------------------------------------------------------------------------------------------


async def test_spreading_owes_the_object_to_each_link_and_forgets_the_note(store: Store) -> None:
    """After a spread each link is owed the object, and there is nothing left to spread."""
    await store.say(LOCATION, b"1", b"1", "2.2.1", "core", None, ["acme", "volt"])
    assert await store.spread(LOCATION) == ("acme", "volt")
    assert [due.name for due in await store.due("acme", store.now(), 10)] == [LOCATION]
    assert [due.name for due in await store.due("volt", store.now(), 10)] == [LOCATION]
    assert await store.spread(LOCATION) == ()
    assert await store.orphans() == 0


async def test_a_note_that_a_crash_left_behind_is_found(store: Store) -> None:
    """An object that was said and never spread is found by its note, but not before it is old enough."""
    await store.say(LOCATION, b"1", b"1", "2.2.1", "core", None, ["acme"])
    await store.say(OTHER, b"1", b"1", "2.2.1", "core", None, [])
    assert await store.orphans(older_than_ms=60_000) == 0
    assert await store.orphans() == 1
    assert await store.owing() == ["acme"]


async def test_notes_are_found_however_many_there_are(store: Store) -> None:
    """A crash after a pull may leave thousands of them."""
    names = [Name(Module.TARIFFS, EXA, str(number)) for number in range(1105)]
    for some in range(0, len(names), 50):
        part = names[some : some + 50]
        await asyncio.gather(*(store.say(name, b"1", b"1", "2.2.1", "core", None, ["acme"]) for name in part))
    assert await store.orphans() == len(names)
    assert {due.name async for due in store.owed_entries("acme")} == {*names}
    assert await store.orphans() == 0


async def test_links_of_notes_that_werent_spread_yet_add_up(store: Store) -> None:
    """Two writes before one spread owe the object to the links of both."""
    await store.say(LOCATION, b"1", b"1", "2.2.1", "core", None, ["acme"])
    await store.say(LOCATION, b"2", b"2", "2.2.1", "core", None, ["volt"])
    assert await store.spread(LOCATION) == ("acme", "volt")


async def test_a_write_during_a_spread_keeps_its_note(store: Store) -> None:
    """A note is forgotten only as it was read: one that was written since stays for the next spread."""
    first = await store.say(LOCATION, b"1", b"1", "2.2.1", "core", None, ["acme"])
    await store.say(LOCATION, b"2", b"2", "2.2.1", "core", None, ["volt"])
    keys = [store.keys.note(LOCATION), store.keys.notes("NL-EXA")]
    assert await store.run("forget", keys, first, LOCATION.text) == 0
    assert await store.spread(LOCATION) == ("acme", "volt")


async def test_a_cdr_is_spread_into_the_ledger_of_its_link(store: Store) -> None:
    """A CDR isn't due as other objects are: it gets an entry of its own, the same one after a repeated push."""
    await store.say(CDR, b"1", b"1", "2.2.1", "core", None, ["acme"])
    await store.spread(CDR)
    assert await store.due("acme", store.now(), 10) == []
    (entry,) = await store.cdr_next("acme", store.now(), 10)
    assert (entry.name, entry.state, entry.attempts) == (CDR, CdrState.PENDING, 0)
    await store.cdr_move("acme", CDR, [CdrState.PENDING], CdrState.DELIVERED)
    await store.say(CDR, b"1", b"1", "2.2.1", "core", None, ["acme"])
    await store.spread(CDR)
    assert [entry async for entry in store.cdr_entries("acme", done=False)] == []
