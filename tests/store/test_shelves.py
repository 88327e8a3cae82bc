"""Lists that are served: whole or not at all, in the order of their ids, and kept for who reads on."""

from __future__ import annotations

import pytest

from gateway.store import shelves
from gateway.store.redis import Store

VIEW, OTHER = "adhoc", "adhoc+feeds"
ROWS = [("b", b"2"), ("a", b"1\0\1"), ("ab", b"3"), ("c d", b""), ("a\0", b"5")]


async def test_rows_lie_in_the_order_of_their_ids(store: Store) -> None:
    """Any part of a list, from any number on, and each row as the bytes that it was."""
    await store.shelve(VIEW, "prices.1", ROWS)
    assert await store.shelf_size(VIEW, "prices.1") == (5, 0)
    assert await store.shelf_rows(VIEW, "prices.1", 0, 10) == [b"1\0\1", b"5", b"3", b"2", b""]
    assert await store.shelf_rows(VIEW, "prices.1", 1, 2) == [b"5", b"3"]
    assert await store.shelf_rows(VIEW, "prices.1", 4, 2) == [b""]
    assert await store.shelf_rows(VIEW, "prices.1", 5, 2) == []
    assert await store.shelf_rows(VIEW, "prices.1", 10**18, 2) == []


async def test_a_row_is_found_by_its_id(store: Store) -> None:
    """By the whole id, not by its beginning; a list of another view has other rows."""
    await store.shelve(VIEW, "prices.1", ROWS)
    assert await store.shelf_row(VIEW, "prices.1", "ab") == b"3"
    assert await store.shelf_row(VIEW, "prices.1", "a") == b"1\0\1"
    for stranger in ("", "c", "a\1", "[", "-", "+"):
        assert await store.shelf_row(VIEW, "prices.1", stranger) is None
    assert await store.shelf_row(OTHER, "prices.1", "ab") is None


async def test_how_many_rows_come_up_to_an_id(store: Store) -> None:
    """Whether the id is there or not; None comes before all."""
    await store.shelve(VIEW, "prices.1", ROWS)
    found = {upto: (await store.shelf_size(VIEW, "prices.1", upto))[1] for upto in ("a", "aa", "ab", "b", "x", "")}
    assert found == {"a": 1, "aa": 2, "ab": 3, "b": 4, "x": 5, "": 0}


async def test_an_empty_list_is_one(store: Store) -> None:
    """It can be told from one that isn't there."""
    await store.shelve(VIEW, "prices.0", [])
    assert await store.shelf_use(VIEW, "prices.0")
    assert await store.shelf_size(VIEW, "prices.0") == (0, 0)
    assert not await store.shelf_use(VIEW, "prices.9")
    assert await store.shelf_size(VIEW, "prices.9") == (0, 0)


async def test_half_a_list_is_none(store: Store) -> None:
    """Whoever was interrupted while writing leaves nothing that could be read, and nothing for good."""
    await store.shelve(VIEW, "prices.1", ROWS)
    await store.client.zrem(store.keys.shelf(VIEW, "prices.1"), b"")
    assert not await store.shelf_use(VIEW, "prices.1")
    assert 0 < await store.client.ttl(store.keys.shelf(VIEW, "prices.1")) <= shelves.KEPT_S
    await store.shelve(VIEW, "prices.1", ROWS)
    assert await store.shelf_use(VIEW, "prices.1")
    assert await store.shelf_size(VIEW, "prices.1") == (5, 0)


async def test_thousands_of_rows(store: Store) -> None:
    """More than go to Redis in one trip."""
    await store.shelve(VIEW, "prices.1", ((f"{number:04}", b"%d" % number) for number in range(1200)))
    assert await store.shelf_size(VIEW, "prices.1", "0999") == (1200, 1000)
    assert await store.shelf_rows(VIEW, "prices.1", 700, 600) == [b"%d" % number for number in range(700, 1200)]


async def test_a_view_and_what_it_shows(store: Store) -> None:
    """What is kept of a view comes back, and goes after an hour without use."""
    assert await store.view(VIEW) is None
    await store.view_keep(VIEW, b"what", ["prices.1"])
    assert await store.view(VIEW) == b"what"
    assert await store.view(OTHER) is None
    assert 0 < await store.client.ttl(store.keys.view(VIEW)) <= shelves.KEPT_S


@pytest.mark.parametrize("further", [False, True])
async def test_a_list_that_isnt_shown_any_more_stays_for_who_reads_on(store: Store, further: bool) -> None:
    """For an hour if somebody was told how it goes on; else for the page that may be under way."""
    await store.shelve(VIEW, "prices.1", ROWS)
    assert await store.shelf_use(VIEW, "prices.1", further=further)
    await store.view_keep(VIEW, b"what", ["prices.2"], ["prices.1"])
    left = await store.client.ttl(store.keys.shelf(VIEW, "prices.1"))
    assert left > shelves.READ_ON_S if further else 0 < left <= shelves.READ_ON_S
    assert await store.shelf_use(VIEW, "prices.1")  # whoever reads on has another hour
    assert await store.client.ttl(store.keys.shelf(VIEW, "prices.1")) > shelves.READ_ON_S


async def test_lists_that_change_all_the_time_dont_fill_redis(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that somebody reads on only so many stay, the latest; the others a minute; what is shown always does."""
    monkeypatch.setattr(shelves, "MOST_KEPT", 3)
    clock = iter(range(1, 100))
    store.now = lambda: next(clock)
    await store.shelve(VIEW, "old_prices.0", [])
    await store.shelf_use(VIEW, "old_prices.0", further=True)
    for number in range(8):
        await store.shelve(VIEW, f"prices.{number}", ROWS)
        await store.shelf_use(VIEW, f"prices.{number}", further=True)
        await store.view_keep(
            VIEW, b"", ["old_prices.0", f"prices.{number}"], [f"prices.{number - 1}"] if number else []
        )
    left = [await store.client.ttl(store.keys.shelf(VIEW, f"prices.{number}")) for number in range(8)]
    assert min(left) > 0  # no reader loses its list between two pages
    kept = [number for number in range(8) if left[number] > shelves.READ_ON_S]
    assert kept[-3:] == [5, 6, 7]
    assert len(kept) <= 5
    assert await store.shelf_use(VIEW, "old_prices.0")


async def test_what_belongs_to_a_view_shares_a_slot(store: Store) -> None:
    """In a cluster all keys of a view lie together."""
    keys = store.keys
    tags = {key.partition("{")[2].partition("}")[0] for key in (keys.view(OTHER), keys.shelf(OTHER, "prices.1"))}
    assert tags | {keys.shelved(OTHER).partition("{")[2].partition("}")[0]} == {"adhoc%2Bfeeds"}
