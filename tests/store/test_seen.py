"""What a link may list: two orders, cursors that skip nothing, and lists by owner."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.model.errors import InvalidObject
from gateway.model.modules import Module
from gateway.model.names import Name, Sight
from gateway.model.party import Party
from gateway.store.redis import Store
from gateway.store.seen import Listed

EXA, ACM = Party("NL", "EXA"), Party("DE", "ACM")
LOCATIONS = Module.LOCATIONS


def location(id: str, owner: Party = EXA) -> Name:
    return Name(LOCATIONS, owner, id)


async def see(store: Store, *times: tuple[str, int]) -> None:
    for id, at in times:
        await store.see("acme", location(id), at)


def ids(names: list[Name]) -> str:
    return "".join(name.id for name in names)


async def crawl(
    page: Callable[[str | None], Awaitable[Listed]], between: Callable[[], Awaitable[object]] | None = None
) -> AsyncIterator[str]:
    """The ids of a list page by page; ``between`` happens after the first page."""
    cursor: str | None = None
    while True:
        names, _, cursor = await page(cursor)
        yield ids(names)
        if cursor is None:
            return
        if between is not None:
            await between()
            between = None


# By rank --------------------------------------------------------------------------------------------------------------


async def test_a_list_has_what_was_seen_in_the_order_in_which_it_was(store: Store) -> None:
    """Names come in the order of their first sight, with the total, and for each link and module apart."""
    await see(store, ("C", 1), ("A", 3), ("B", 2), ("C", 9))
    await store.see("volt", location("X"), 1)
    await store.see("acme", Name(Module.TARIFFS, EXA, "T"), 1)
    names, total, cursor = await store.seen_page("acme", LOCATIONS, limit=10)
    assert (ids(names), total, cursor) == ("CAB", 3, None)
    assert await store.seen_page("nobody", LOCATIONS, limit=10) == ([], 0, None)


async def test_an_offset_is_counted_and_the_last_page_has_no_cursor(store: Store) -> None:
    """Offset and limit cut the list anywhere; behind its end is nothing, and the total stays the total."""
    await see(store, *((id, 1) for id in "ABCDE"))
    pages = [await store.seen_page("acme", LOCATIONS, offset=offset, limit=2) for offset in (0, 2, 3, 4, 5, 10**30)]
    assert [ids(names) for names, _, _ in pages] == ["AB", "CD", "DE", "E", "", ""]
    assert {total for _, total, _ in pages} == {5}
    assert [cursor is None for _, _, cursor in pages] == [False, False, True, True, True, True]


async def test_an_object_that_is_taken_out_makes_no_reader_skip_another(store: Store) -> None:
    """Between two pages an object of the first one goes, the last of it too, and one changes: the rest comes once."""
    await see(store, *((id, 1) for id in "ABCDEF"))

    async def happens() -> None:
        await store.unsee("acme", location("A"))
        await store.unsee("acme", location("B"))
        await see(store, ("D", 99), ("G", 1))

    pages = crawl(lambda after: store.seen_page("acme", LOCATIONS, after=after, limit=2), happens)
    assert [page async for page in pages] == ["AB", "CD", "EF", "G"]
    assert (await store.seen_page("acme", LOCATIONS, limit=1))[1] == 5


async def test_who_comes_back_comes_last(store: Store) -> None:
    """A rank is never given twice: an object that was taken out and is seen again is at the end."""
    await see(store, ("A", 1), ("B", 1))
    await store.unsee("acme", location("B"))
    await store.unsee("acme", location("A"))
    await see(store, ("C", 1), ("B", 1), ("A", 1))
    assert ids((await store.seen_page("acme", LOCATIONS, limit=9))[0]) == "CBA"


# By time --------------------------------------------------------------------------------------------------------------


async def test_a_time_begins_with_its_first_moment_and_ends_before_its_last(store: Store) -> None:
    """date_from is inclusive, date_to exclusive; either may be open."""
    await see(store, ("A", 100), ("B", 200), ("C", 300))

    async def between(low: int | None, high: int | None) -> tuple[str, int]:
        names, total, _ = await store.seen_between("acme", LOCATIONS, from_ms=low, to_ms=high, limit=9)
        return ids(names), total

    assert await between(100, 300) == ("AB", 2)
    assert await between(101, 301) == ("BC", 2)
    assert await between(None, 200) == ("A", 1)
    assert await between(200, None) == ("BC", 2)
    assert await between(300, 100) == ("", 0)


async def test_the_same_moment_is_ordered_by_name(store: Store) -> None:
    """Objects of one moment come in the order of their names, and pages go on in their midst."""
    await see(store, ("B", 5), ("D", 5), ("A", 5), ("C", 5), ("Z", 1), ("E", 9))
    pages = crawl(lambda after: store.seen_between("acme", LOCATIONS, to_ms=None, after=after, limit=2))
    assert [page async for page in pages] == ["ZA", "BC", "DE"]


async def test_an_object_that_moves_makes_no_reader_skip_another(store: Store) -> None:
    """The last object of a page changes, another goes: the next page begins where the first one ended."""
    await see(store, *((id, 5) for id in "ABCD"), ("E", 6))

    async def happens() -> None:
        await see(store, ("B", 70), ("E", 71))
        await store.unsee("acme", location("A"))

    def page(to_ms: int | None) -> Callable[[str | None], Awaitable[Listed]]:
        return lambda after: store.seen_between("acme", LOCATIONS, from_ms=5, to_ms=to_ms, after=after, limit=2)

    assert [ids async for ids in crawl(page(None), happens)] == ["AB", "CD", "BE"]
    assert [ids async for ids in crawl(page(71))] == ["CD", "B"]


async def test_the_total_counts_the_whole_time_on_every_page(store: Store) -> None:
    """Neither offset nor cursor changes the total; a cursor from before the time begins with the time."""
    await see(store, *((id, at) for at, id in enumerate("ABCDEF")))
    names, total, cursor = await store.seen_between("acme", LOCATIONS, from_ms=1, to_ms=5, offset=1, limit=2)
    assert (ids(names), total) == ("CD", 4)
    assert await store.seen_between("acme", LOCATIONS, from_ms=1, to_ms=5, after=cursor, limit=2) == (
        [location("E")],
        4,
        None,
    )
    early = (await store.seen_between("acme", LOCATIONS, to_ms=None, limit=1))[2]
    names, _, _ = await store.seen_between("acme", LOCATIONS, from_ms=3, to_ms=None, after=early, limit=1)
    assert ids(names) == "D"


@pytest.mark.parametrize("cursor", ["", "1", "x:locations:NL-EXA:A", "1.5:A", ":A", "--1:A", "١:A"])
async def test_a_cursor_that_was_never_given_out_is_the_readers_mistake(store: Store, cursor: str) -> None:
    """It comes back in a URL, so anything may stand there: 2001, and it says what is wrong."""
    with pytest.raises(InvalidObject, match="cursor"):
        await store.seen_page("acme", LOCATIONS, after=cursor, limit=1)


@pytest.mark.parametrize("cursor", ["5:", "-5:x", f"{'9' * 200}:x", "0:locations:NL-EXA:%"])
async def test_any_place_is_a_place_to_begin(store: Store, cursor: str) -> None:
    """A place where no object is, or ever was, is still before some and after others."""
    await see(store, ("A", 1))
    names, total, _ = await store.seen_page("acme", LOCATIONS, after=cursor, limit=1)
    assert total == 1
    assert ids(names) == ("A" if cursor[0] in "-0" else "")


async def test_pages_of_one_object_joined_are_the_list(store: Store) -> None:
    """Whatever ids look like, the place after each object is the one before the next: none twice, none left out."""
    odd = [*"A9ZÉé~%_-*", "AA", "A-", "A_", "A.", "A*", "A/", "A:B", "A{}", "A b", "%41"]
    for id in odd:
        await store.see("acme", location(id), 5)
    pages = crawl(lambda after: store.seen_between("acme", LOCATIONS, to_ms=None, after=after, limit=1))
    found = [page async for page in pages]
    assert found == [Name.parse(text).id for text in sorted(location(id).text for id in odd)]
    assert sorted(found) == sorted(id.upper() if id.isascii() else id for id in odd)


# By owner, single names, and the end ----------------------------------------------------------------------------------


async def test_objects_of_one_owner_are_a_list_of_their_own(store: Store) -> None:
    """A link that may ask for one owner's objects gets these, and all of them when it doesn't ask for one."""
    for id, owner in (("A", EXA), ("B", ACM), ("C", EXA)):
        await store.see("core", location(id, owner), ord(id), among=owner)
    assert ids((await store.seen_page("core", LOCATIONS, owner=EXA, limit=9))[0]) == "AC"
    assert await store.seen_page("core", LOCATIONS, owner=ACM, limit=9) == ([location("B", ACM)], 1, None)
    assert ids((await store.seen_page("core", LOCATIONS, limit=9))[0]) == "ABC"
    names, total, _ = await store.seen_between("core", LOCATIONS, owner=EXA, from_ms=ord("B"), to_ms=None, limit=9)
    assert (ids(names), total) == ("C", 1)

    await store.unsee("core", location("A"))
    assert (await store.seen_page("core", LOCATIONS, owner=EXA, limit=9))[1] == 1
    assert (await store.seen_between("core", LOCATIONS, owner=EXA, to_ms=None, limit=9))[1] == 1


async def test_what_a_stranger_owns_is_among_what_its_teller_has(store: Store) -> None:
    """It is listed where the link lists the teller's own, not under its owner, and leaves that list, too."""
    await store.see("core", location("A", ACM), 1, among=EXA)
    assert await store.seen_page("core", LOCATIONS, owner=EXA, limit=9) == ([location("A", ACM)], 1, None)
    assert (await store.seen_page("core", LOCATIONS, owner=ACM, limit=9))[1] == 0
    await store.unsee("core", location("A", ACM), among=EXA)
    for owner in (None, EXA, ACM):
        assert (await store.seen_page("core", LOCATIONS, owner=owner, limit=9))[1] == 0


async def test_many_links_learn_of_an_object_at_once(store: Store) -> None:
    """Each of more links than go in one trip may list it or no longer, by owner too where it asks for that."""
    crowd = [f"link{number}" for number in range(501)]
    await see(store, ("A", 1), ("B", 2))
    name = location("A")
    await store.see_all([Sight("acme", name, None), Sight("core", name, 7, EXA), *(Sight(id, name, 7) for id in crowd)])
    assert ids((await store.seen_page("acme", LOCATIONS, limit=9))[0]) == "B"
    assert await store.seen_between("acme", LOCATIONS, to_ms=2, limit=9) == ([], 0, None)
    assert ids((await store.seen_page("core", LOCATIONS, owner=EXA, limit=9))[0]) == "A"
    for link in crowd:
        assert await store.seen_between(link, LOCATIONS, from_ms=7, to_ms=8, limit=9) == ([name], 1, None)
    await store.see_all([])


async def test_a_single_name_is_seen_or_not(store: Store) -> None:
    """Each name is told apart by module, owner and id, in any case; names that weren't seen aren't, for no link."""
    await see(store, ("A", 1))
    asked = [location("a"), location("A", ACM), location("B"), Name(Module.TARIFFS, EXA, "A")]
    assert await store.sees("acme", asked) == [True, False, False, False]
    assert await store.sees("volt", asked) == [False] * 4
    assert await store.sees("acme", []) == []


async def test_a_link_that_is_gone_sees_nothing(store: Store) -> None:
    """All its lists end, those of single owners too, and those of others stay."""
    for name in (location("A"), location("B", ACM), Name(Module.TARIFFS, EXA, "T")):
        await store.see("core", name, 1, among=name.owner)
        await store.see("acme", name, 1)
    await store.unsee_all("core")
    for owner in (None, EXA, ACM):
        for module in (LOCATIONS, Module.TARIFFS):
            assert await store.seen_page("core", module, owner=owner, limit=9) == ([], 0, None)
            assert (await store.seen_between("core", module, owner=owner, to_ms=None, limit=9))[1] == 0
    assert (await store.seen_page("acme", LOCATIONS, limit=9))[1] == 2
    await store.unsee_all("core")
    await store.see("core", location("C"), 1)
    assert ids((await store.seen_page("core", LOCATIONS, limit=9))[0]) == "C"
