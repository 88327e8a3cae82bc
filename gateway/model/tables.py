"""The field maps as a person reads them: one table per object, one row per difference."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class MapRow:
    """One difference between two versions.

    Attributes:
        older, newer: names on either side, empty where that version has none.
        up, down: what becomes of the value on the way to the newer and to the older version; empty: it passes.
        lost: what is lost, on whichever way; empty: nothing.
    """

    older: tuple[str, ...]
    newer: tuple[str, ...]
    up: str = ""
    down: str = ""
    lost: str = ""


@frozen(kw_only=True)
class MapTable:
    """All differences of one class of objects; what isn't in it is the same in both versions and passes untouched.

    Attributes:
        title: the class, with its context where it has several (the location inside a CDR).
        rows: in the order in which they are applied.
    """

    title: str
    rows: tuple[MapRow, ...] = ()
