"""The ledger of CDRs: each is owed once for good, goes where it is moved to, and every change is told."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from gateway.model.errors import InvalidObject
from gateway.model.modules import Module
from gateway.model.names import CdrChange, CdrEntry, CdrState, Name
from gateway.model.party import Party
from gateway.store.redis import Store

EXA = Party("NL", "EXA")
CDR = Name(Module.CDRS, EXA, "CDR1")
PENDING, IN_FLIGHT, DELIVERED = CdrState.PENDING, CdrState.IN_FLIGHT, CdrState.DELIVERED
PARKED = [CdrState.IN_DOUBT, CdrState.HELD, CdrState.REFUSED, CdrState.DEAD]


def cdr(id: str | int) -> Name:
    return Name(Module.CDRS, EXA, f"CDR{id}")


async def entry_of(store: Store, name: Name = CDR) -> CdrEntry:
    entry = await store.cdr_entry("acme", name)
    assert entry is not None
    return entry


async def listed(store: Store, *, done: bool) -> list[CdrEntry]:
    return [entry async for entry in store.cdr_entries("acme", done=done)]


# Entries --------------------------------------------------------------------------------------------------------------


async def test_a_cdr_is_owed_once_for_good(store: Store) -> None:
    """An entry that exists is never made again: not while it is pending, and not after it was delivered."""
    assert await store.cdr_owe("acme", CDR, 5)
    assert not await store.cdr_owe("acme", CDR, 6)
    await store.cdr_move("acme", CDR, [PENDING], DELIVERED)
    assert not await store.cdr_owe("acme", Name(Module.CDRS, EXA, "cdr1"), 7)
    assert await store.cdr_next("acme", 100, 10) == []
    assert await store.cdr_owe("volt", CDR, 8)


async def test_pending_cdrs_come_in_their_order(store: Store) -> None:
    """The CDR that waits longest comes first; those put off until later don't come."""
    for id, at in (("c", 30), ("a", 10), ("b", 20)):
        await store.cdr_owe("acme", Name(Module.CDRS, EXA, id), at)
    await store.cdr_move("acme", Name(Module.CDRS, EXA, "a"), [PENDING], PENDING, at_ms=500)
    assert [entry.name.id for entry in await store.cdr_next("acme", 100, 10)] == ["B", "C"]
    assert [entry.at for entry in await store.cdr_next("acme", 500, 10)] == [20, 30, 500]
    assert [entry.name.id for entry in await store.cdr_next("acme", 100, 1)] == ["B"]


async def test_a_cdr_moves_only_from_where_it_is_believed_to_be(store: Store) -> None:
    """Of two workers that take a CDR one gets it; a state that isn't there moves nothing."""
    await store.cdr_owe("acme", CDR, 1)
    assert await store.cdr_move("acme", CDR, [PENDING], IN_FLIGHT, digest="d1")
    assert not await store.cdr_move("acme", CDR, [PENDING], IN_FLIGHT, digest="d2")
    assert not await store.cdr_move("volt", CDR, [PENDING], IN_FLIGHT)
    entry = await entry_of(store)
    assert (entry.state, entry.attempts, entry.digest, entry.at) == (IN_FLIGHT, 1, "d1", None)
    assert await store.cdr_next("acme", 10**15, 10) == []
    assert await store.cdr_entry("volt", CDR) is None


async def test_what_is_in_flight_is_found_among_whatever_else_is_open(store: Store) -> None:
    """Who takes over a link finds what was under way, and a link with nothing else is looked at because of it."""
    for number, state in enumerate([IN_FLIGHT, *PARKED, DELIVERED]):
        await store.cdr_owe("acme", cdr(number), 1)
        await store.cdr_move("acme", cdr(number), [PENDING], state)
    assert [entry.name for entry in await store.cdr_in_flight("acme")] == [cdr(0)]
    assert await store.owing() == ["acme"]
    assert (await store.backlog("acme")).oldest is None
    await store.cdr_move("acme", cdr(0), [IN_FLIGHT], CdrState.IN_DOUBT)
    assert await store.cdr_in_flight("acme") == []
    assert await store.owing() == []


@pytest.mark.parametrize("state", PARKED)
async def test_a_cdr_that_went_wrong_stays_visible_and_can_be_sent_again(store: Store, state: CdrState) -> None:
    """Whatever isn't delivered is listed with its reason, isn't tried by itself, and may be made pending again."""
    await store.cdr_owe("acme", CDR, 1)
    await store.cdr_move("acme", CDR, [PENDING], IN_FLIGHT)
    await store.cdr_move("acme", CDR, [IN_FLIGHT], state, reason="2001: no such token")
    (entry,) = await listed(store, done=False)
    assert (entry.state, entry.reason) == (state, "2001: no such token")
    assert await store.cdr_next("acme", 10**15, 10) == []
    assert (await store.backlog("acme")).cdrs == 1

    assert await store.cdr_move("acme", CDR, list(CdrState), PENDING, at_ms=50)
    (entry,) = await store.cdr_next("acme", 50, 10)
    assert (entry.reason, entry.attempts) == ("", 1)


@pytest.mark.parametrize("state", [DELIVERED, CdrState.DROPPED])
async def test_a_cdr_that_is_done_is_listed_as_such(store: Store, state: CdrState) -> None:
    """Delivered and dropped CDRs leave the open ones for good, unless a person sends them again."""
    await store.cdr_owe("acme", CDR, 1)
    await store.cdr_move("acme", CDR, [PENDING], state, location="https://acme.example/cdrs/9", who="alice")
    assert await listed(store, done=False) == []
    assert await store.owing() == []
    (entry,) = await listed(store, done=True)
    assert (entry.state, entry.location, entry.who) == (state, "https://acme.example/cdrs/9", "alice")
    assert await store.cdr_move("acme", CDR, [state], PENDING)
    assert await listed(store, done=True) == []
    (entry,) = await store.cdr_next("acme", store.now(), 10)
    assert (entry.location, entry.who) == ("https://acme.example/cdrs/9", "")


async def test_a_cdr_that_goes_on_waiting_keeps_its_time(store: Store) -> None:
    """Without a word about it a pending CDR stays where it is; one that is pending again is so as of now."""
    await store.cdr_owe("acme", CDR, 5)
    await store.cdr_move("acme", CDR, [PENDING], PENDING, reason="waits for the original")
    entry = await entry_of(store)
    assert (entry.at, entry.reason) == (5, "waits for the original")
    before = store.now()
    await store.cdr_move("acme", CDR, [PENDING], IN_FLIGHT)
    await store.cdr_move("acme", CDR, [IN_FLIGHT], PENDING)
    again = (await entry_of(store)).at
    assert again is not None
    assert before <= again <= store.now()


async def test_since_when_it_was_refused_is_kept_until_a_person_sends_it_again(store: Store) -> None:
    """Tries and refusals keep the time of the first one; what was parked and is sent again begins anew."""
    await store.cdr_owe("acme", CDR, 1)
    await store.cdr_move("acme", CDR, [PENDING], IN_FLIGHT)
    await store.cdr_move("acme", CDR, [IN_FLIGHT], PENDING, since_ms=70)
    await store.cdr_move("acme", CDR, [PENDING], IN_FLIGHT)
    await store.cdr_move("acme", CDR, [IN_FLIGHT], CdrState.REFUSED)
    assert (await entry_of(store)).since == 70
    await store.cdr_move("acme", CDR, [CdrState.REFUSED], PENDING, who="alice")
    assert (await entry_of(store)).since is None


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 128, 129, 500])
async def test_texts_come_back_whole_whatever_their_length(store: Store, length: int) -> None:
    """Long texts, of letters of several bytes too, replace shorter ones and are replaced by them."""
    await store.cdr_owe("acme", CDR, 1)
    for text in ("x" * 200, "é" * length, "y" * 64, "z" * length):
        await store.cdr_move("acme", CDR, [PENDING], PENDING, reason=text, location=text, who=text)
        entry = await entry_of(store)
        assert (entry.reason, entry.location, entry.who) == (text, text, text)
    await store.cdr_move("acme", CDR, [PENDING], PENDING, reason="x" * 10_000)
    entry = await entry_of(store)
    assert (entry.reason, entry.location) == ("x" * 500, "z" * length)


async def test_a_receivers_long_words_dont_make_an_entry_large(store: Store) -> None:
    """However long reason and URL are, Redis keeps the entry in its compact form."""
    await store.cdr_owe("acme", CDR, 1)
    reason, url = "r" * 255, "https://acme.example/ocpi/emsp/2.2.1/cdrs/" + "u" * 200
    await store.cdr_move("acme", CDR, [PENDING], DELIVERED, reason=reason, location=url, digest="d" * 64, since_ms=1)
    encoding = (await store.command("OBJECT", "ENCODING", store.keys.cdr("acme", CDR))).decode()
    assert encoding in {"listpack", "ziplist"}


# Lists and numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("done", [False, True], ids=["open", "done"])
async def test_any_number_of_cdrs_is_listed_in_pages(store: Store, done: bool) -> None:
    """Pages follow each other by their cursors until there is none, and together they are everything."""
    names = {cdr(number) for number in range(700)}
    for name in names:
        await store.cdr_owe("acme", name, 1)
        if done:
            await store.cdr_move("acme", name, [PENDING], DELIVERED)
    found: list[Name] = []
    page, after = await store.cdr_page("acme", done=done, limit=100)
    while after is not None:
        found += [entry.name for entry in page]
        page, after = await store.cdr_page("acme", done=done, after=after, limit=100)
    assert {*found, *(entry.name for entry in page)} == names
    assert {entry.name for entry in await listed(store, done=done)} == names
    assert await listed(store, done=not done) == []


async def test_what_moves_while_it_is_read_is_read_all_the_same(store: Store) -> None:
    """An entry that is open all the time comes, wherever it goes between two pages."""
    names = {cdr(number) for number in range(700)}
    for name in names:
        await store.cdr_owe("acme", name, 10**14)
    found = set()
    after: str | None = None
    for state in (IN_FLIGHT, CdrState.IN_DOUBT, PENDING, CdrState.DEAD, PENDING, IN_FLIGHT, CdrState.HELD, PENDING):
        page, after = await store.cdr_page("acme", done=False, after=after, limit=90)
        found |= {entry.name for entry in page}
        for name in names:
            await store.cdr_move("acme", name, list(CdrState), state)
        if after is None:
            break
    while after is not None:
        page, after = await store.cdr_page("acme", done=False, after=after, limit=90)
        found |= {entry.name for entry in page}
    assert found == names


@pytest.mark.parametrize("after", ["", "x", "-1", "1.5", "٣", "9" * 20, "9" * 5000])
async def test_what_is_no_cursor_of_a_list_is_refused(store: Store, after: str) -> None:
    """Whatever a stranger makes up."""
    with pytest.raises(InvalidObject):
        await store.cdr_page("acme", done=False, after=after)


async def test_cdrs_are_counted_by_their_states(store: Store) -> None:
    """Every state has its number, which follows each move and no repetition."""
    for number, state in enumerate([*PARKED, DELIVERED, DELIVERED, IN_FLIGHT, PENDING]):
        await store.cdr_owe("acme", cdr(number), 1)
        await store.cdr_owe("acme", cdr(number), 1)
        await store.cdr_move("acme", cdr(number), [PENDING], state)
        await store.cdr_move("acme", cdr(number), [state], state)
    await store.cdr_move("acme", cdr(0), list(CdrState), CdrState.DROPPED)
    counted = dict.fromkeys(CdrState, 1) | {DELIVERED: 2, CdrState.IN_DOUBT: 0}
    assert await store.counts("acme") == counted
    assert await store.counts("nobody") == dict.fromkeys(CdrState, 0)


# Changes --------------------------------------------------------------------------------------------------------------


async def all_changes(store: Store, limit: int, after: str | None = None) -> tuple[list[CdrChange], str]:
    """What is read until there is nothing more, and the last cursor."""
    found: list[CdrChange] = []
    while True:
        page, after = await store.changes(after, limit)
        assert len(page) <= limit
        if not page:
            return found, after
        found += page


async def test_each_change_of_a_state_is_told(store: Store) -> None:
    """From being owed to its end, with why and by whom; what only waits for longer is no change."""
    await store.cdr_owe("acme", CDR, 1)
    await store.cdr_move("acme", CDR, [PENDING], IN_FLIGHT)
    await store.cdr_move("acme", CDR, [IN_FLIGHT], CdrState.IN_DOUBT, reason="no answer")
    await store.cdr_move("acme", CDR, [IN_FLIGHT], DELIVERED)
    await store.cdr_move("acme", CDR, [CdrState.IN_DOUBT], PENDING, reason="they lack it", who="alice")
    await store.cdr_move("acme", CDR, [PENDING], PENDING, at_ms=5)
    found, _ = await store.changes(None, 100)
    assert [(each.former, each.state, each.reason, each.attempts, each.who) for each in found] == [
        (None, PENDING, "", 0, ""),
        (PENDING, IN_FLIGHT, "", 1, ""),
        (IN_FLIGHT, CdrState.IN_DOUBT, "no answer", 1, ""),
        (CdrState.IN_DOUBT, PENDING, "they lack it", 1, "alice"),
    ]
    assert {(each.link, each.name) for each in found} == {("acme", CDR)}
    assert all(abs(store.now() - each.at) < 60_000 for each in found)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
async def test_followers_of_the_changes_miss_none(store: Store, limit: int) -> None:
    """Page by page, over many links and while more happens, each comes once and those of a CDR in their order."""
    links = [f"link-{number}" for number in range(5)]
    for link in links:
        for number in range(4):
            await store.cdr_owe(link, cdr(number), 1)
    first, after = await store.changes(None, limit)
    for link in links:
        for number in range(4):
            await store.cdr_move(link, cdr(number), [PENDING], IN_FLIGHT)
            await store.cdr_move(link, cdr(number), [IN_FLIGHT], DELIVERED)
    rest, after = await all_changes(store, limit, after)
    told: dict[tuple[str, Name], list[CdrChange]] = {}
    for change in [*first, *rest]:
        told.setdefault((change.link, change.name), []).append(change)
    assert len(told) == 20
    for changes in told.values():
        assert [change.state for change in changes] == [PENDING, IN_FLIGHT, DELIVERED]
        assert all(one.state is other.former for one, other in pairwise(changes))
    assert await store.changes(after, limit) == ([], after)


async def test_changes_that_are_read_together_come_by_time(store: Store) -> None:
    """Of several links, the older ones first."""
    for number in range(10):
        await store.cdr_owe("volt" if number % 2 else "acme", cdr(number), 1)
        await asyncio.sleep(0.002)  # the clock of the log counts milliseconds
    found, _ = await store.changes(None, 100)
    assert [change.name for change in found] == [cdr(number) for number in range(10)]


async def test_one_cursor_gives_the_same_again(store: Store) -> None:
    """Who died before it had told what it read tells it again."""
    await store.cdr_owe("acme", CDR, 1)
    _, after = await store.changes(None, 10)
    await store.cdr_move("acme", CDR, [PENDING], DELIVERED)
    await store.cdr_owe("volt", CDR, 1)
    first, _ = await store.changes(after, 10)
    assert [change.link for change in first] == ["acme", "volt"]
    assert (await store.changes(after, 10))[0] == first


@pytest.mark.parametrize(
    "after", ["", "x", "Zm9v", "é", "gaRhY21lkgE", "gaRhY21lkv8B", "gaRhY21loTE", "kQE", "A" * 1001]
)
async def test_what_is_no_cursor_of_the_changes_is_refused(store: Store, after: str) -> None:
    """Whatever a stranger makes up, or only a part of one."""
    with pytest.raises(InvalidObject):
        await store.changes(after, 10)


async def test_a_cursor_fits_into_a_url(store: Store) -> None:
    """With two hundred links it stays within what servers read as a line, and needs no escaping."""
    for number in range(200):
        await store.cdr_owe(f"partner-{number:03}", CDR, 1)
    found, after = await store.changes(None, 300)
    assert len(found) == 200
    assert len(after) < 8000
    assert after.replace("-", "").replace("_", "").isalnum()


async def test_what_happened_to_one_cdr_can_be_read(store: Store) -> None:
    """However much has happened to others since."""
    await store.cdr_owe("acme", CDR, 1)
    for number in range(600):
        await store.cdr_owe("acme", cdr(f"-{number}"), 1)
    await store.cdr_move("acme", CDR, [PENDING], IN_FLIGHT)
    await store.cdr_move("acme", CDR, [IN_FLIGHT], DELIVERED)
    states = [change.state for change in await store.history("acme", CDR)]
    assert states == [PENDING, IN_FLIGHT, DELIVERED]
    assert [change.state for change in await store.history("acme", cdr("-0"))] == [PENDING]
    assert await store.history("acme", cdr("-nowhere")) == []
    assert await store.history("nobody", CDR) == []


async def test_changes_are_forgotten_after_thirty_days(store: Store) -> None:
    """The log keeps to its time; the entry of the CDR stays for good."""
    log, old = store.keys.changes("acme"), (store.now() - 31 * 24 * 3600 * 1000)
    young = old + 2 * 24 * 3600 * 1000
    entry = ("name", "NL-EXA:OLD", "from", "", "to", "pend", "attempts", "0", "reason", "")
    for number in range(300):
        await store.command("XADD", log, f"{old}-{number + 1}", *entry)
    for number in range(10):
        await store.command("XADD", log, f"{young}-{number + 1}", *entry)
    await store.cdr_owe("acme", CDR, 1)
    left = await store.command("XLEN", log)
    assert 11 <= left < 150
    assert (await entry_of(store)).state is PENDING


async def test_a_cdr_costs_little(store: Store) -> None:
    """Three changes take no more than 250 bytes, and the entry of a delivered CDR with its URL no more than 500."""
    names = [Name(Module.CDRS, EXA, f"0B1F0E7A-6C5D-4E2B-9A3F-{number:012X}") for number in range(1000)]
    for name in names:
        await store.cdr_owe("acme", name, store.now())
        await store.cdr_move("acme", name, [PENDING], IN_FLIGHT, digest="d" * 64)
        url = f"https://acme.example/ocpi/emsp/2.2.1/cdrs/{name.id}"
        await store.cdr_move("acme", name, [IN_FLIGHT], DELIVERED, location=url)

    async def memory(key: str) -> int:
        return int(await store.command("MEMORY", "USAGE", key, "SAMPLES", 0))

    assert await memory(store.keys.changes("acme")) <= 250 * len(names)
    assert await memory(store.keys.cdr("acme", names[0])) <= 500
