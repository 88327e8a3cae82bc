"""What both sides write down: what the backend was told is safe, and what reached each partner.

The oracle joins the two and nothing else. An acknowledgement is written down after it was read, a receipt before any
fault is played, so that neither says more than what is true.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen

Key = tuple[str, str, str]
"""Module, owner, id: one object, however it is spelled."""


def key_of(module: str, owner: str, id: str) -> Key:
    return module, owner.upper(), id.upper()


def digest(body: Any) -> str:
    """Of the value, not of its spelling."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


@frozen
class Ack:
    """The gateway has said 1000.

    Attributes:
        at: when it was read, in seconds, monotonic; ``began``: when the request set out.
        link: the partner that it is for.
        original: of a credit CDR, the id of the CDR that it takes back.
    """

    at: float
    link: str
    key: Key
    method: str
    last_updated: str
    original: str = ""
    began: float = 0.0


@define
class Receipt:
    """A request has reached a partner.

    Attributes:
        at: seconds, monotonic: when it was there to its last byte.
        fault: what the partner did with it; empty for a proper answer.
        stored: the partner has taken it, and may bill it.
        answered: when the whole of a proper answer was written; None if it wasn't.
        safe: whether the answer says that it wasn't stored, so that a second request is no repetition.
        stamps: last_updated as it came.
    """

    at: float
    link: str
    method: str
    key: Key
    digest: str
    stamps: str
    fault: str = ""
    stored: bool = False
    answered: float | None = None
    safe: bool = False
    original: str = ""
    correlation: str = ""


@define
class Books:
    """All of one run."""

    acks: list[Ack] = field(factory=list)
    receipts: list[Receipt] = field(factory=list)
    oddities: list[str] = field(factory=list)
    """What must never be, noticed by whoever saw it: ``I11 ...``, ``I10 ...``."""
    kills: list[float] = field(factory=list)
    """When a gateway process was ended, monotonic."""

    def odd(self, what: str) -> None:
        self.oddities.append(what)


def now() -> float:
    return time.monotonic()


async def until(holds: Callable[[], bool], at_most: float, *, every: float = 0.02) -> bool:
    """Wait until it holds, at most so many seconds; whether it does. What other processes do, nobody tells us."""
    began = now()
    while not (held := holds()) and now() - began < at_most:  # noqa: ASYNC110
        await asyncio.sleep(every)
    return held
