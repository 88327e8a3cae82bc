"""What a file may hold at all: plain YAML of a decent size, and nothing that YAML hides things in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.settings.grammar import Reader, is_table, keys_of
from gateway.settings.mistakes import Place, Report
from gateway.settings.reference import FILES
from gateway.settings.text import Text, parse_table, read_table

BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"


def said(text: str) -> list[str]:
    report = Report()
    parse_table(text, "f", report)
    return [str(mistake) for mistake in report.mistakes]


def test_every_scalar_stays_text() -> None:
    """Norway stays NO, a party 1E5 stays 1E5, a time 22:30 stays 22:30, and 012 stays 012."""
    table = parse_table("a: NO\nb: 1E5\nc: 22:30\nd: 012\ne: ~\n", "f", Report())
    assert table is not None
    values = [entry.value.text for entry in table.entries.values() if isinstance(entry.value, Text)]
    assert values == ["NO", "1E5", "22:30", "012", "~"]


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("a: 1\nb: &x 2\n", "f:2:4", "anchor"),
        ("a: *x\n", "f:1:4", "alias"),
        ("a: !!int 5\n", "f:1:4", "tag"),
        ("a: !!python/object/apply:os.system [ls]\n", "f:1:4", "tag"),
        ("a:\n  <<: {b: 1}\n", "f:2:3", "merge key"),
        ("a: 1\n  \na: 2\n", "f:3:1", "line 1"),
        ("x: {a: 1, a: 2}\n", "f:1:11", "again"),
        ("[1, 2]: 3\n", "f:1:1", "plain text"),
        ("a: 1\n---\nb: 2\n", "f:2:1", "second document"),
        ("- a\n", "f:1:1", "table of keys"),
        ("just text\n", "f:1:1", "table of keys"),
        ("", "f:1:1", "empty"),
        ("# nothing but a comment\n", "f:1:1", "empty"),
        ("a: b: c\n", "f:1:5", "YAML"),
        ("a:\n\t- b\n", "f:2:1", "YAML"),
        ("a: [1,\n", "f:2:1", "YAML"),
        ("é: 1\nb: \x01\n", "f:2:4", "U+0001"),
        ("a: " + "[" * 100_000, "f:1:19", "deep"),
        ("a: {" * 100_000, "f:1:61", "deep"),
        ("? " * 100_000, "f:1:33", "deep"),
    ],
)
def test_what_yaml_hides_things_in_is_refused_at_its_place(text: str, place: str, word: str) -> None:
    """Anchors, aliases, tags, merge keys, duplicate and complex keys, more documents, depth: refused, with place."""
    (mistake,) = said(text)
    assert mistake.startswith(f"{place}: ")
    assert word in mistake


def test_a_bomb_is_named_anchor_by_anchor() -> None:
    """Nothing is expanded: each anchor and alias is a mistake of its own."""
    assert [mistake.split(": ")[0] for mistake in said(BOMB)] == [
        "f:1:4", "f:2:4", "f:2:8", "f:2:12", "f:3:4", "f:3:8", "f:3:12",
    ]  # fmt: skip


def test_columns_count_characters() -> None:
    """A letter outside ASCII before the place doesn't shift the column."""
    assert said("ñandú: [x, é, *q]\n")[0].startswith("f:1:15: ")


@pytest.mark.parametrize(
    ("data", "place", "word"),
    [
        (b"a: 1\nb: \xff\xfe\n", "f:2:4", "UTF-8"),
        (b"\x7fELF\x02\x01\x01\x00", "f:1:1", "control character"),
        ("a: 1\n".encode("utf-16"), "f:1:1", "UTF-8"),
        (b"a: " + b"x" * (1 << 20), "f:1:1", "larger"),
        (b"", "f:1:1", "empty"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, data: bytes, place: str, word: str) -> None:
    """Binary, UTF-16, too large and empty files are mistakes that say so."""
    (tmp_path / "x.yaml").write_bytes(data)
    report = Report()
    assert read_table(tmp_path / "x.yaml", "f", report) is None
    (mistake,) = report.mistakes
    assert str(mistake).startswith(f"{place}: ")
    assert word in mistake.text


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    """What Windows editors put before the first key is no part of it."""
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    table = read_table(tmp_path / "x.yaml", "f", Report())
    assert table is not None
    assert list(table.entries) == ["a"]


def test_an_unreadable_file_is_a_mistake(tmp_path: Path) -> None:
    """A folder in the place of a file, or a file without rights, is said like any other mistake."""
    (tmp_path / "x.yaml").mkdir()
    report = Report()
    assert read_table(tmp_path / "x.yaml", "f", report) is None
    assert "can't be read" in report.mistakes[0].text
    if os.geteuid() != 0:  # root reads everything
        secret = tmp_path / "y.yaml"
        secret.write_text("a: 1\n")
        secret.chmod(0)
        assert read_table(secret, "f", report) is None


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from([*"ab:-?!&*#|>'\"{}[],%@`\n \t<~.é\u2028\ufeff\x85\x00", "- ", ": ", "--- ", "\n  "])))
def test_no_text_makes_the_reader_stumble(pieces: list[str]) -> None:
    """Whatever the text: a table, or at least one mistake, and every mistake has a place."""
    report = Report()
    table = parse_table("".join(pieces), "f", report)
    assert table is not None or report.mistakes
    assert all(mistake.place >= Place("f") for mistake in report.mistakes)


def names(cls: Any) -> set[str]:
    """The names of a class's keys, and of those of the tables right below it."""
    below = [keys_of(item.type) for item in keys_of(cls).values() if is_table(item.type)]
    return set(keys_of(cls)).union(*below)


NAMES = sorted({"push.retry", "enums.aliases", "env", "file", "x"}.union(*map(names, FILES.values())))
WORDS = [
    *("", "us", "NL", "NO", "EXA", "CPO", "2.2.1", "1", "-1", "1h", "20%", "true", "push", "always", "all", "*"),
    *("https://x.example", "0.0.0.0:1", "redis://r", "${X}", "${X:-y}", "a\nb", "\u2028", "x" * 200, "../../etc"),
]
VALUES = st.recursive(
    st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=8))
def test_no_file_makes_the_grammar_stumble(name: str, value: dict[str, Any]) -> None:
    """Known keys with values of any shape: an object, or mistakes at places in the file; never anything else."""
    text = yaml.safe_dump(value)
    report = Report()
    table = parse_table(text, "f", report)
    assert table is not None
    found = Reader(report, ("2.1.1", "2.2.1"), {}, Path("/nowhere")).table(FILES[name], table)
    assert found is not None or report.mistakes
    lines = len(text.splitlines())
    assert all(1 <= mistake.line <= lines + 1 for mistake in report.mistakes)
