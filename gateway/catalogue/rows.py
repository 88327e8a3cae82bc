"""A list while it is cut: its rows, deflated, and what tells it from every other list."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

from attrs import define, field

_BYTES: Final = 16
_ALL: Final = 256**_BYTES
_LEVEL: Final = 1  # as fast as it gets; it halves connectors, and shrinks locations to a third


@define
class Rows:
    """Rows by id, each once: the first of an id counts."""

    _packed: dict[str, bytes] = field(factory=dict, init=False)
    _sum: int = field(default=0, init=False)

    def __contains__(self, id: str) -> bool:
        return id in self._packed

    def __len__(self) -> int:
        return len(self._packed)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """The rows as ``unpacked`` reads them."""
        return iter(self._packed.items())

    def add(self, id: str, row: bytes) -> None:
        """One more row, as bytes of JSON."""
        if id in self._packed:
            return
        self._packed[id] = zlib.compress(row, _LEVEL)
        self._sum += int.from_bytes(blake2b(id.encode() + b"\0" + row, digest_size=_BYTES).digest())

    @property
    def digest(self) -> str:
        """32 hex digits: the same for the same rows, in whatever order they came."""
        return f"{self._sum % _ALL:0{2 * _BYTES}x}"


def unpacked(row: bytes) -> bytes:
    """The JSON of a row."""
    return zlib.decompress(row)
