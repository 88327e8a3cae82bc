"""Which Redis this is: a random epoch, written into it once, and remembered outside of it.

A Redis that comes back empty looks like one that owes nothing to anybody: no backlog, no registrations, nothing to
alarm about. So whoever knows an epoch and finds another one, or none, doesn't go by anything that this Redis says,
until the old data are back, or a person accepts that they are gone. It is remembered by every process, and in a file of
the data folder for those that are yet to start; where neither is, a first start can't be told from a loss.

In a cluster each primary can be emptied alone, so there is not one marker but a number of them, spread over the slots.
They are written in two rounds, a proposal and then, when all have it, its completion: so whoever finds a gap knows
whether it was never filled or has been torn, and several replicas may start at once.

An acceptance is a new epoch that says of itself that it was accepted. It counts for those who have last seen their own
before it was given, by the server's clock.
"""

from __future__ import annotations

import binascii
import os
import secrets
from functools import cache
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from gateway.settings.redis_url import Topology
from gateway.store.keys import Keys

# In a cluster so many slots have one marker between them. Whoever has fewer of them in one piece isn't watched.
_SLOTS: Final = 16384
_APART: Final = 256

_PROPOSED, _WHOLE, _ACCEPTED = "proposed", "whole", "accepted"


@frozen
class Marker:
    """What is written: an epoch, when it began (ms since 1970, the server's clock), and how far it has come.

    Attributes:
        reason: of an accepted one, in the words of whoever accepted it.
    """

    epoch: str
    since: int
    state: str = _PROPOSED
    reason: str = ""

    @classmethod
    def new(cls, at: int) -> Marker:
        return cls(secrets.token_hex(8), at)

    @classmethod
    def read(cls, text: bytes | None) -> Marker | None:
        """None for nothing, and for what nobody here has written."""
        words = (text or b"").decode(errors="replace").split()
        if len(words) < 3 or not words[1].isdigit():
            return None
        return cls(words[0], int(words[1]), words[2], " ".join(words[3:]))

    @property
    def text(self) -> str:
        return f"{self.epoch} {self.since} {self.state} {self.reason}".rstrip()

    @property
    def proposed(self) -> bool:
        return self.state == _PROPOSED

    @property
    def accepted(self) -> bool:
        return self.state == _ACCEPTED

    def whole(self) -> Marker:
        return Marker(self.epoch, self.since, _WHOLE)

    def accept(self, reason: str) -> Marker:
        return Marker(self.epoch, self.since, _ACCEPTED, reason)


@define(eq=False)
class Known:
    """The epoch that we know, and when its Redis was last seen; in memory, and in a file if there is one.

    Attributes:
        epoch: empty while none is known.
        seen: by the server's clock, milliseconds since 1970.
    """

    prefix: str
    file: Path | None = None
    epoch: str = field(default="", init=False)
    seen: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        epoch, seen = self._lines().get(self.prefix, ("", "0"))
        self.epoch, self.seen = epoch, int(seen)

    def saw(self, epoch: str, at: int) -> None:
        """It was there at this time."""
        self.epoch, self.seen = epoch, max(self.seen if epoch == self.epoch else 0, at)

    def keep(self) -> None:
        """Write it down for those who are yet to start."""
        if self.file is None or not self.epoch:
            return
        lines = {**self._lines(), self.prefix: (self.epoch, str(self.seen))}
        text = "".join(f"{prefix} {epoch} {seen}\n" for prefix, (epoch, seen) in sorted(lines.items()))
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self.file.with_name(f"{self.file.name}.{os.getpid()}")
        beside.write_text(text)
        beside.replace(self.file)

    def _lines(self) -> dict[str, tuple[str, str]]:
        """By prefix: epoch and when it was seen. What can't be read as such counts for nothing."""
        try:
            lines = [line.split() for line in self.file.read_text().splitlines()] if self.file else []
        except OSError:
            return {}
        return {words[0]: (words[1], words[2]) for words in lines if len(words) == 3 and words[2].isdigit()}


def marker_keys(keys: Keys, topology: Topology) -> tuple[str, ...]:
    """The keys of the markers: one, or in a cluster one for every so many slots. The first one decides."""
    return tuple(map(keys.epoch, _tags())) if topology is Topology.CLUSTER else (keys.epoch(),)


@cache
def _tags() -> tuple[str, ...]:
    """For each place on the ring of slots the smallest number whose slot it is: the same ones everywhere."""
    wanted = dict.fromkeys(range(0, _SLOTS, _APART), "")
    missing, number = len(wanted), 0
    while missing:
        slot = binascii.crc_hqx(str(number).encode(), 0) % _SLOTS
        if wanted.get(slot) == "":
            wanted[slot], missing = str(number), missing - 1
        number += 1
    return tuple(wanted.values())
