"""When a list is read and how much of it, and how one page leads to the next: values in, values out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve
from msgspec.structs import replace

from gateway.directory import Link
from gateway.model.dialect import Dialect
from gateway.model.errors import ReceiverError
from gateway.model.message import Paged
from gateway.model.modules import Module, Side
from gateway.model.party import Party
from gateway.model.policy import Policy
from gateway.settings import ModuleUse
from gateway.sharing import too_early
from gateway.sync.pages import Endless, PageRead, Path, with_fewer, with_parameter
from gateway.sync.schedule import ABANDONED, Plan, Scope, Window, ms_of
from gateway.sync.states import UNKNOWN, Counts, Crawl, Source, State

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)  # a Wednesday
NIGHT = datetime(2026, 3, 5, 4, 59, tzinfo=UTC)  # when every list's minute of the night has come
ACME = Party("DE", "ACM")
URL = "https://acme.example/ocpi/tokens"


def plan(module: Module = Module.TOKENS, *, zone: str = "UTC", **switches: Any) -> Plan:
    """Of a list that is read every hour, on a link that registered on Monday."""
    return Plan(
        source=Source("acme", module, ACME), every=timedelta(hours=1), registered=1000, policy=Policy(**switches),
        zone=ZoneInfo(zone),
    )  # fmt: skip


def state(**more: Any) -> State:
    """Read as a whole yesterday at noon and since then by deltas, the last half an hour ago."""
    full, last = ms_of(NOON - timedelta(days=1)), ms_of(NOON - timedelta(minutes=30))
    known: dict[str, Any] = {"registered": 1000, "completed": last, "full": full, "due": ms_of(NOON), "high": last}
    return State(**known | more)


def crawl(**more: Any) -> Crawl:
    known: dict[str, Any] = {"id": "pull-1", "full": True, "daily": True, "began": ms_of(NOON), "limit": 3}
    return Crawl(**known | more)


# When -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "at", "expected"),
    [
        (State(), NOON, Scope.FULL),
        (state(), NOON, Scope.DELTA),
        (state(due=ms_of(NOON) + 1000), NOON, None),
        (state(registered=999), NOON, Scope.FULL),
        (state(due=ms_of(NIGHT) + 1000), NIGHT, Scope.NIGHTLY),
        (state(full=ms_of(NIGHT) - 1000, due=ms_of(NIGHT) + 1000), NIGHT, None),
        (state(crawl=crawl()), NOON + timedelta(minutes=1), Scope.REST),
        (state(crawl=crawl(), failures=1, due=ms_of(NOON) + 1000), NOON, None),
        (state(crawl=crawl(), failures=1, due=ms_of(NOON)), NOON, Scope.REST),
        (state(crawl=crawl()), NOON + ABANDONED, Scope.DELTA),
        (state(full=0), NOON, Scope.FULL),
        (state(full=0, due=ms_of(NOON) + 1000), NOON, None),
        (state(due=ms_of(NOON) + 82_800_000, wait=86_400_000), NOON + timedelta(minutes=6), Scope.DELTA),
        (state(due=ms_of(NOON) + 82_800_000, wait=86_400_000), NOON + timedelta(minutes=5), None),
    ],
    ids=[
        "never-read", "due", "not-yet", "registered-anew", "at-night", "not-twice-a-night", "goes-on",
        "waits-after-failure", "tried-again", "abandoned", "missed-something", "missed-something-and-waits",
        "shorter-by-now", "shorter-by-now-and-waits",
    ],
)  # fmt: skip
def test_how_much_is_read_when(known: State, at: datetime, expected: Scope | None) -> None:
    """The whole of it at first, after a registration and once a night; else what has changed; else nothing."""
    assert plan().now(known, at) is expected


def test_some_lists_are_read_as_a_whole_each_time() -> None:
    """``sync.delta_by: full``."""
    assert plan(sync_delta_by="full").now(state(), NOON) is Scope.FULL


def test_nights_are_told_in_the_zone_of_gateway_yaml() -> None:
    """At five in the morning over here it is noon in Tokyo, more or less."""
    at_night = state(due=ms_of(NIGHT) + 1000)
    assert plan(zone="Asia/Tokyo").now(at_night, NIGHT) is None
    assert plan(zone="Asia/Tokyo").now(at_night, NIGHT - timedelta(hours=9)) is Scope.NIGHTLY


def test_lists_share_the_night() -> None:
    """Each has its own minute: in the middle of the night, some were read and some were not."""
    half = NIGHT - timedelta(hours=2)
    links = [evolve(plan(), source=Source(f"link{number}", Module.TOKENS, ACME)) for number in range(50)]
    begun = [each.now(state(due=ms_of(NIGHT)), half) for each in links]
    assert 10 < begun.count(Scope.NIGHTLY) < 40


@pytest.mark.parametrize(
    ("window", "at", "open_"),
    [
        ("mon-fri 09:00-17:00", "2026-03-04T12:00", True),
        ("mon-fri 09:00-17:00", "2026-03-04T08:59", False),
        ("mon-fri 09:00-17:00", "2026-03-07T12:00", False),
        ("sat,sun 00:00-23:59", "2026-03-07T12:00", True),
        ("fri-mon 10:00-11:00", "2026-03-08T10:30", True),
        ("fri-mon 10:00-11:00", "2026-03-04T10:30", False),
        ("22:00-06:00", "2026-03-04T23:00", True),
        ("22:00-06:00", "2026-03-04T05:59", True),
        ("22:00-06:00", "2026-03-04T12:00", False),
        ("fri 22:00-06:00", "2026-03-07T05:00", True),
        ("fri 22:00-06:00", "2026-03-06T05:00", False),
    ],
)
def test_a_window_has_days_and_hours(window: str, at: str, open_: bool) -> None:
    """Also over midnight, when the day is the one on which it began."""
    assert (datetime.fromisoformat(at) in Window.parse(window)) is open_


def test_outside_its_window_a_list_isnt_read() -> None:
    """Within, it is read as a whole once a day; the night is none of its business."""
    night_shift = plan(pull_window="mon-fri 13:00-17:00")
    assert night_shift.now(state(), NOON) is None
    assert night_shift.now(State(), NOON) is None
    assert night_shift.now(state(), NOON + timedelta(hours=1)) is Scope.NIGHTLY
    assert night_shift.now(state(full=ms_of(NOON)), NOON + timedelta(hours=1)) is Scope.DELTA


@pytest.mark.parametrize(
    ("module", "scope", "known", "switches", "expected"),
    [
        (Module.TOKENS, Scope.FULL, state(), {}, ""),
        (Module.SESSIONS, Scope.FULL, state(), {}, "1970-01-01T00:00:00Z"),
        (Module.TOKENS, Scope.DELTA, state(), {}, "2026-03-04T11:25:00Z"),
        (Module.TOKENS, Scope.DELTA, state(high=UNKNOWN), {}, ""),
        (Module.SESSIONS, Scope.DELTA, state(high=UNKNOWN), {}, "1970-01-01T00:00:00Z"),
        (
            Module.TOKENS,
            Scope.DELTA,
            state(over_there=ms_of(NOON)),
            {"sync_delta_by": "hub_time"},
            "2026-03-04T11:55:00Z",
        ),
        (Module.TOKENS, Scope.NIGHTLY, state(), {}, ""),
        (Module.CDRS, Scope.NIGHTLY, state(), {}, "2026-02-25T12:00:00Z"),
    ],
)
def test_from_when_on(module: Module, scope: Scope, known: State, switches: dict[str, str], expected: str) -> None:
    """Five minutes before the latest that was seen, by their clock; a week back at night for what only grows."""
    assert plan(module, **switches).date_from(scope, known, NOON) == expected


def test_pauses_after_failures_grow() -> None:
    """From five seconds to five minutes, and never longer than the list's own interval."""
    waits = [(plan().after_failure(failures, NOON) - ms_of(NOON)) / 1000 for failures in (1, 2, 20)]
    assert 4 <= waits[0] <= 6
    assert 8 <= waits[1] <= 12
    assert 240 <= waits[2] <= 360
    often = evolve(plan(), every=timedelta(seconds=1))
    assert often.after_failure(9, NOON) - ms_of(NOON) <= 1200


def test_pulls_spread_by_a_tenth() -> None:
    """An hour is between 54 and 66 minutes."""
    waits = [(plan().after_success(NOON) - ms_of(NOON)) / 60_000 for _ in range(100)]
    assert 54 <= min(waits) < 60 < max(waits) <= 66


# Pages ----------------------------------------------------------------------------------------------------------------


def way(by: str = "link_or_offset") -> Path:
    """The way through a list of Acme's."""
    dialect = Dialect(
        link="acme", version="2.1.1", ours=(), theirs=(), base_url="", endpoints={(Module.TOKENS, Side.SENDER): URL}
    )
    return Path(Link(dialect=dialect, registered=True), by)


def page(url: str, items: int = 3, *, total: int | None = None, next: str | None = None, digest: str = "") -> PageRead:
    headers = Paged(total=total, next=next)
    return PageRead(url=url, headers=headers, items=items, digest=digest or f"{url}{items}", last_id="last")


def test_the_next_page_is_where_the_link_says_trap_25() -> None:
    """Also after a short page, and after the total was reached; without a Link it was the last one."""
    following = way().after(crawl(), page(f"{URL}?limit=3", 1, total=1, next=f"{URL}?offset=1&limit=3"))
    assert (following.url, following.offset, following.done) == (f"{URL}?offset=1&limit=3", 1, False)
    last = way().after(following, page(following.url, 3, total=1))
    assert (last.done, last.steady, last.counts) == (True, True, Counts(pages=2, items=4))


@pytest.mark.parametrize(
    ("by", "read", "more"),
    [
        ("link_or_offset", page(f"{URL}?limit=3", 3, total=7), True),
        ("link_or_offset", page(f"{URL}?limit=3", 3), True),
        ("link_or_offset", page(f"{URL}?limit=3", 2), False),
        ("link_or_offset", page(f"{URL}?limit=3", 5), False),
        ("link_or_offset", page(f"{URL}?limit=3", 3, total=3), False),
        ("link", page(f"{URL}?limit=3", 3, total=7), False),
    ],
    ids=["promised", "full", "short", "all-at-once", "reached", "by-link-only"],
)
def test_where_no_link_is_written_we_count(by: str, read: PageRead, more: bool) -> None:
    """For those who promise more, or give full pages and no total; not where only Links count."""
    following = way(by).after(crawl(), read)
    assert following.done is not more
    if more:
        assert (following.url, following.offset) == (f"{URL}?limit=3&offset=3", 3)


def test_a_total_that_is_never_reached_leaves_a_doubt() -> None:
    """The list has ended, and yet it may be that we weren't shown all: nothing of it counts as gone."""
    found = way().after(crawl(offset=3, total=9), page(f"{URL}?limit=3&offset=3", 0, total=9))
    assert (found.done, found.steady, found.clean) == (True, False, False)


def test_a_server_that_doesnt_know_offsets_has_one_page() -> None:
    """It gives the same page again: that was all."""
    first = way().after(crawl(), page(f"{URL}?limit=3", 3, digest="same"))
    again = way().after(first, page(first.url, 3, digest="same"))
    assert (first.done, again.done) == (False, True)


def test_where_objects_went_pages_are_asked_for_from_before() -> None:
    """Two fewer than a page ago: the same page again, from two before."""
    path = way()
    first = path.after(crawl(), page(f"{URL}?limit=3", 3, total=9, next=f"{URL}?offset=3&limit=3"))
    second = path.after(first, page(first.url, 3, total=7, next=f"{URL}?offset=6&limit=3"))
    assert (second.url, second.total, second.moved, second.steady) == (f"{URL}?limit=3&offset=1", 7, 1, True)
    third = path.after(second, page(second.url, 3, total=7, next=f"{URL}?offset=4&limit=3"))
    assert third.url == f"{URL}?offset=4&limit=3"


def test_a_total_that_goes_up_and_down_isnt_believed_for_ever() -> None:
    """After a hundred times the pages go on, and the crawl isn't clean."""
    found = way().after(
        crawl(offset=3, total=9, moved=100), page(f"{URL}?offset=3&limit=3", 3, total=7, next=f"{URL}?offset=6&limit=3")
    )
    assert (found.url, found.steady) == (f"{URL}?offset=6&limit=3", False)


def test_where_pages_cant_be_counted_a_shrinking_list_isnt_clean() -> None:
    """A cursor means nothing to us: what went may have hidden something."""
    found = way().after(crawl(total=9, url=f"{URL}?cursor=b"), page(f"{URL}?cursor=b", 3, total=8))
    assert (found.done, found.steady) == (True, False)


def test_pages_that_lead_in_a_circle_are_found_out() -> None:
    """A Link that was followed before, whatever stands on its page."""
    path, at = way(), crawl(url=f"{URL}?cursor=a")
    at = path.after(at, page(f"{URL}?cursor=a", 3, next=f"{URL}?cursor=b"))
    with pytest.raises(Endless, match="in a circle"):
        path.after(at, page(f"{URL}?cursor=b", 3, next=f"{URL}?cursor=a"))


def test_the_same_page_under_new_names_is_found_out() -> None:
    """No progress: the objects of the page before, again."""
    path, at = way(), crawl(url=f"{URL}?cursor=a")
    at = path.after(at, page(f"{URL}?cursor=a", 3, next=f"{URL}?cursor=b", digest="same"))
    with pytest.raises(Endless, match="in a circle"):
        path.after(at, page(f"{URL}?cursor=b", 3, next=f"{URL}?cursor=c", digest="same"))


def test_empty_pages_without_end_are_found_out() -> None:
    """Three may be; always one more to follow may not."""
    path, at = way(), crawl(url=f"{URL}?cursor=0")
    for number in range(3):
        at = path.after(at, page(f"{URL}?cursor={number}", 0, next=f"{URL}?cursor={number + 1}"))
    with pytest.raises(Endless, match="nothing on the pages"):
        path.after(at, page(f"{URL}?cursor=3", 0, next=f"{URL}?cursor=4"))


def test_a_list_that_is_longer_than_any_is_found_out() -> None:
    """A hundred thousand pages."""
    at = crawl(counts=Counts(pages=100_000, items=5), url=f"{URL}?cursor=a")
    with pytest.raises(Endless, match="don't end"):
        way().after(at, page(f"{URL}?cursor=a", 3, next=f"{URL}?cursor=b"))


@pytest.mark.parametrize("url", ["https://evil.example/x", "http://[::1", "//evil.example/", "ftp://acme.example/"])
def test_a_link_elsewhere_ends_it(url: str) -> None:
    """Our token is for the hosts of their endpoints."""
    with pytest.raises(ReceiverError):
        way().after(crawl(), page(f"{URL}?limit=3", 3, next=url))


def test_by_id_the_next_page_begins_behind_the_last_object() -> None:
    """``pull.next: cursor:last_record``; the page with nothing on it was the last."""
    path = way("cursor:last_record")
    first = path.after(crawl(), page(f"{URL}?limit=3", 3))
    assert (first.after, first.url, first.done) == ("last", "", False)
    assert path.after(first, page(f"{URL}?limit=3&last_record=last", 0)).done


def test_a_smaller_page_is_the_same_place() -> None:
    """Half the limit, in the parameters or in the Link; one that has none can't be made smaller."""
    smaller = with_fewer(crawl(limit=100))
    assert smaller is not None
    assert smaller.limit == 50
    linked = with_fewer(crawl(limit=100, url=f"{URL}?offset=200&limit=100"))
    assert linked is not None
    assert linked.url == f"{URL}?offset=200&limit=50"
    assert with_fewer(crawl(limit=100, url=f"{URL}?cursor=a")) is None
    assert with_fewer(crawl(limit=1)) is None


def test_a_parameter_is_replaced_and_the_rest_stays_as_it_is_spelled() -> None:
    """Filters that were encoded oddly are still theirs."""
    url = f"{URL}?date_from=2026-01-01T00%3a00:00Z&offset=5&limit=3"
    assert with_parameter(url, "offset", "4") == f"{URL}?date_from=2026-01-01T00%3a00:00Z&limit=3&offset=4"


def test_only_a_clean_crawl_says_what_is_gone() -> None:
    """Full, read to its end, nothing missed, and nothing that couldn't be read."""
    clean = crawl(done=True)
    assert clean.clean
    for spoiled in ({"full": False}, {"done": False}, {"steady": False}, {"counts": Counts(skipped=1)}):
        assert not replace(clean, **spoiled).clean


# Cut-over -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ended", "early"),
    [("2030-01-01T00:00:00Z", False), ("2029-12-31T23:59:59Z", True), ("2030-01-01T00:30:00+01:00", True)],
)
def test_cdrs_from_before_the_cut_over_arent_owed(ended: str, early: bool) -> None:
    """``cdrs.deliver_since``: when the charging ended counts."""
    since = datetime(2030, 1, 1, tzinfo=UTC)
    base = Dialect(link="acme", version="2.1.1", ours=(), theirs=(), base_url="")
    uses = {Module.CDRS: ModuleUse(push=True, accept=False, deliver_since=since)}
    assert too_early(Link(dialect=base, registered=True, uses=uses), {"end_date_time": ended}) is early
    assert not too_early(Link(dialect=base, registered=True), {"end_date_time": ended})
