"""The table of whitelist types, cell by cell: what is decided with an answer, without one, and with nothing cached."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.authorize import Cached, Stance, at_once, unanswered

FRESH, OLD = timedelta(hours=1), timedelta(hours=25)
ASKED = None

REALTIME, CACHE_FIRST = Stance(), Stance(cache_first=True)


def token(whitelist: str, valid: bool, age: timedelta = FRESH) -> Cached:
    return Cached(whitelist=whitelist, valid=valid, age=age)


# whitelist, valid, before anybody is asked (realtime, cache_first), and without an answer
TABLE = [
    ("ALWAYS", True, "ALLOWED", "ALLOWED", "ALLOWED"),
    ("ALWAYS", False, "BLOCKED", "BLOCKED", "BLOCKED"),
    ("ALLOWED", True, ASKED, "ALLOWED", "ALLOWED"),
    ("ALLOWED", False, ASKED, "BLOCKED", "BLOCKED"),
    ("ALLOWED_OFFLINE", True, ASKED, ASKED, "ALLOWED"),
    ("ALLOWED_OFFLINE", False, ASKED, ASKED, "NOT_ALLOWED"),
    ("NEVER", True, ASKED, ASKED, "NOT_ALLOWED"),
    ("NEVER", False, ASKED, ASKED, "NOT_ALLOWED"),
    ("SOMETIMES", True, ASKED, ASKED, "NOT_ALLOWED"),
]


@pytest.mark.parametrize(("whitelist", "valid", "realtime", "cache_first", "silent"), TABLE)
def test_each_cell_of_the_table_trap_57(
    whitelist: str, valid: bool, realtime: str | None, cache_first: str | None, silent: str
) -> None:
    """A whitelist type decides only where it may; a token that isn't valid never charges."""
    cached = token(whitelist, valid)
    for stance, expected in ((REALTIME, realtime), (CACHE_FIRST, cache_first)):
        decision = at_once(cached, stance)
        assert (decision and decision.allowed) == expected
        if decision is None:
            assert unanswered(cached, stance).allowed == silent


def test_nothing_cached_is_no_decision() -> None:
    """Nobody is asked twice and nobody is guessed: the asker reads why there was no answer."""
    assert at_once(None, CACHE_FIRST) is None
    assert unanswered(None, REALTIME).allowed is None


@pytest.mark.parametrize(
    ("on_timeout", "whitelist", "age", "allowed"),
    [
        ("cached", "ALLOWED", OLD, "NOT_ALLOWED"),
        ("cached", "ALLOWED_OFFLINE", OLD, "NOT_ALLOWED"),
        ("deny", "ALLOWED", FRESH, "NOT_ALLOWED"),
        ("deny", "NEVER", FRESH, "NOT_ALLOWED"),
        ("allow", "ALLOWED_OFFLINE", OLD, "ALLOWED"),
        ("allow", "NEVER", FRESH, "NOT_ALLOWED"),
    ],
)
def test_what_a_link_may_say_about_silence(on_timeout: str, whitelist: str, age: timedelta, allowed: str) -> None:
    """Age and on_timeout shift the right half of the table, never the cells of NEVER and of invalid tokens."""
    stance = Stance(on_timeout=on_timeout)
    assert unanswered(token(whitelist, True, age), stance).allowed == allowed
    assert unanswered(token(whitelist, False, age), stance).allowed != "ALLOWED"


def test_an_old_cache_is_not_asked_first() -> None:
    """Mode cache_first, too, counts on what is fresh; ALWAYS is exempt."""
    assert at_once(token("ALLOWED", True, OLD), CACHE_FIRST) is None
    decision = at_once(token("ALWAYS", True, OLD), CACHE_FIRST)
    assert decision is not None
    assert decision.allowed == "ALLOWED"


def test_a_link_may_say_that_always_means_always() -> None:
    """tokens.always_invalid: allow takes the word as it stands."""
    decision = at_once(token("ALWAYS", False), Stance(always_invalid=True))
    assert decision is not None
    assert decision.allowed == "ALLOWED"


def test_allow_covers_tokens_that_nobody_knows() -> None:
    """on_timeout: allow is the last resort of those who would rather charge than check."""
    assert unanswered(None, Stance(on_timeout="allow")).allowed == "ALLOWED"
    assert unanswered(None, Stance(on_timeout="deny")).allowed is None
