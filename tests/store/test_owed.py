"""What is owed: tickets, the confirmed state, held entries, the CDR ledger, and the way from note to due."""

from __future__ import annotations

import pytest

from gateway.model.modules import Module
from gateway.model.names import Backlog, CdrState, Due, Held, Name, Sent
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


async def test_what_is_taken_is_known_to_nobody_until_confirmed(store: Store) -> None:
    """Taking deletes: after an attempt in doubt the next one finds nothing and sends the whole object."""
    await store.owe("acme", LOCATION, 1)
    await store.settle("acme", await sole_due(store), SENT)
    assert await store.take("acme", LOCATION) == SENT
    assert await store.take("acme", LOCATION) is None


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


async def test_backlog_and_owing_tell_who_waits_for_what(store: Store) -> None:
    """Links that are owed something are listed, and counted in numbers; held objects don't make a link wait."""
    await store.owe("acme", LOCATION, 40)
    await store.cdr_owe("acme", CDR, 30)
    await store.owe("volt", LOCATION, 1)
    await store.hold("volt", (await store.due("volt", 10, 1))[0], "withheld", "")
    assert await store.owing() == ["acme"]
    assert await store.backlog("acme") == Backlog(due=1, held=0, cdrs=1, oldest=30)
    assert await store.backlog("volt") == Backlog(due=0, held=1, cdrs=0, oldest=None)


# CDRs -----------------------------------------------------------------------------------------------------------------


async def test_a_cdr_is_owed_once_for_good(store: Store) -> None:
    """An entry that exists is never made again: not while it is pending, and not after it was delivered."""
    assert await store.cdr_owe("acme", CDR, 5)
    assert not await store.cdr_owe("acme", CDR, 6)
    await store.cdr_move("acme", CDR, [CdrState.PENDING], CdrState.DELIVERED)
    assert not await store.cdr_owe("acme", Name(Module.CDRS, EXA, "cdr1"), 7)
    assert await store.cdr_next("acme", 100, 10) == []
    assert await store.cdr_owe("volt", CDR, 8)


async def test_pending_cdrs_come_in_their_order(store: Store) -> None:
    """The CDR that waits longest comes first; those put off until later don't come."""
    for id, at in (("c", 30), ("a", 10), ("b", 20)):
        await store.cdr_owe("acme", Name(Module.CDRS, EXA, id), at)
    await store.cdr_move("acme", Name(Module.CDRS, EXA, "a"), [CdrState.PENDING], CdrState.PENDING, at_ms=500)
    assert [entry.name.id for entry in await store.cdr_next("acme", 100, 10)] == ["B", "C"]
    assert [entry.name.id for entry in await store.cdr_next("acme", 100, 1)] == ["B"]


async def test_a_cdr_moves_only_from_where_it_is_believed_to_be(store: Store) -> None:
    """Of two workers that take a CDR one gets it; a state that isn't there moves nothing."""
    await store.cdr_owe("acme", CDR, 1)
    assert await store.cdr_move("acme", CDR, [CdrState.PENDING], CdrState.IN_FLIGHT, digest="d1")
    assert not await store.cdr_move("acme", CDR, [CdrState.PENDING], CdrState.IN_FLIGHT, digest="d2")
    assert not await store.cdr_move("volt", CDR, [CdrState.PENDING], CdrState.IN_FLIGHT)
    (entry,) = await store.cdr_list("acme")
    assert (entry.state, entry.attempts, entry.digest) == (CdrState.IN_FLIGHT, 1, "d1")
    assert await store.cdr_next("acme", 10**15, 10) == []


@pytest.mark.parametrize("state", [CdrState.IN_DOUBT, CdrState.HELD, CdrState.REFUSED])
async def test_a_cdr_that_went_wrong_stays_visible_and_can_be_sent_again(store: Store, state: CdrState) -> None:
    """Whatever isn't delivered is listed with its reason, isn't tried by itself, and may be made pending again."""
    await store.cdr_owe("acme", CDR, 1)
    await store.cdr_move("acme", CDR, [CdrState.PENDING], CdrState.IN_FLIGHT)
    await store.cdr_move("acme", CDR, [CdrState.IN_FLIGHT], state, reason="2001: no such token")
    (entry,) = await store.cdr_list("acme")
    assert (entry.state, entry.reason) == (state, "2001: no such token")
    assert await store.cdr_next("acme", 10**15, 10) == []
    assert (await store.backlog("acme")).cdrs == 1

    assert await store.cdr_move("acme", CDR, list(CdrState), CdrState.PENDING, at_ms=50)
    (entry,) = await store.cdr_next("acme", 50, 10)
    assert (entry.reason, entry.attempts) == ("", 1)


async def test_a_delivered_cdr_keeps_where_the_receiver_put_it(store: Store) -> None:
    """Delivered CDRs leave the open list and are listed with the URL that the receiver gave them."""
    await store.cdr_owe("acme", CDR, 1)
    await store.cdr_move("acme", CDR, [CdrState.PENDING], CdrState.DELIVERED, location="https://acme.example/cdrs/9")
    assert await store.cdr_list("acme") == []
    (entry,) = await store.cdr_list("acme", delivered=True)
    assert (entry.state, entry.location) == (CdrState.DELIVERED, "https://acme.example/cdrs/9")
    assert await store.owing() == []


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
    assert await store.cdr_list("acme") == []
