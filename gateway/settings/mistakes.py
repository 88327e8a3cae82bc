"""Mistakes in configuration: each with its place, and all of them at once.

A person who fixes one line at a time to see the next complaint gives up on the third. So reading never stops at a
mistake: it notes it, marks the key as broken so that nothing follows from it, and goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import define, field, frozen

LONGEST_QUOTE: Final = 60


@frozen(order=True)
class Place:
    """Where something stands: the file as its reader knows it, line and column counted from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@frozen(order=True)
class Mistake:
    """What is wrong, and what to write instead."""

    place: Place
    text: str

    @property
    def file(self) -> str:
        return self.place.file

    @property
    def line(self) -> int:
        return self.place.line

    @property
    def column(self) -> int:
        return self.place.column

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


class Mistakes(Exception):
    """The configuration can't be used. ``mistakes`` are all of them, in the order of files and lines; at least one."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes: tuple[Mistake, ...] = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))


@define
class Report:
    """Collects while files are read. Files keep the order in which they were opened, lines their own."""

    mistakes: list[Mistake] = field(factory=list)
    warnings: list[Mistake] = field(factory=list)
    _files: dict[str, int] = field(factory=dict)

    def opened(self, file: str) -> None:
        self._files.setdefault(file, len(self._files))

    def add(self, place: Place, text: str) -> None:
        self.mistakes.append(Mistake(place, text))

    def warn(self, place: Place, text: str) -> None:
        self.warnings.append(Mistake(place, text))

    def in_order(self, found: Iterable[Mistake]) -> tuple[Mistake, ...]:
        """By file as opened, then by line; the same complaint about the same place once."""
        last = len(self._files)
        return tuple(sorted(set(found), key=lambda mistake: (self._files.get(mistake.file, last), mistake)))


def printable(text: str) -> str:
    """Somebody else's text as it may stand on a terminal: without what would move its cursor or turn its letters."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def quoted(text: str) -> str:
    """Text from a file as it may stand in a message: short, on one line, without control characters."""
    plain = printable(text)
    return f"`{plain if len(plain) <= LONGEST_QUOTE else plain[:LONGEST_QUOTE] + '...'}`"
