"""Content codings of bodies, requests and answers alike: gzip and deflate, inflated no further than a cap.

aiohttp would inflate by itself, but then what is broken can't be told from a bug, a coding that it doesn't know passes
as it is, and a bomb is seen only after it went off.

Spec: RFC 9110 8.4.1; OCPI says nothing about codings.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from gateway.model.errors import BadJson

PIECE: Final = 64 * 1024
"""Bytes of one piece of a body that is inflated as it comes, at most."""

_CODINGS: Final = {"": 0, "identity": 0, "gzip": 31, "x-gzip": 31, "deflate": 15}  # name -> window bits of zlib
# A body that is inflated as it comes may grow this many times, and by this much more: JSON shrinks to a tenth, the most
# monotonous lists to a hundredth, and what was made to burst to a thousandth.
_TIMES: Final = 250
_ALLOWANCE: Final = 8 * 1024 * 1024


def inflated(raw: bytes, coding: str, cap: int) -> bytes:
    """The body without its content coding; one byte more than the cap when there is more.

    Args:
        coding: the value of Content-Encoding, empty for none.

    Raises:
        BadJson: another coding (HTTP 415), or compressed bytes that are broken, cut off or followed by others (400).
    """
    bits = _window_bits(coding)
    if not bits or not raw:
        return raw
    if bits == 15 and not _has_zlib_header(raw):
        bits = -15
    inflater = zlib.decompressobj(bits)
    try:
        body = inflater.decompress(raw, cap + 1)
    except zlib.error:
        raise BadJson("compressed bytes that are broken") from None
    if len(body) <= cap and (not inflater.eof or inflater.unused_data):
        raise BadJson("compressed bytes that are cut off, or followed by others")
    return body


class Inflater:
    """A body without its content coding, piece by piece, for bodies that are never in memory as a whole."""

    def __init__(self, coding: str) -> None:
        """``coding``: the value of Content-Encoding, empty for none. Raises BadJson as ``inflated``."""
        self._bits = _window_bits(coding)
        self._waiting = b""
        self._inflating: zlib._Decompress | None = None
        self._came = self._made = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What these bytes inflate to, at most ``PIECE`` bytes at a time.

        Raises:
            BadJson: the bytes are broken, followed by others, or inflate out of all proportion.
        """
        if not self._bits:
            yield chunk
            return
        self._came += len(chunk)
        self._waiting += chunk
        full = False
        while (self._waiting or full) and (piece := self._piece()):
            self._made += len(piece)
            if self._made > _ALLOWANCE + _TIMES * self._came:
                raise BadJson("compressed bytes that inflate out of all proportion")
            yield piece
            full = len(piece) == PIECE  # there may be more of it though all bytes went in

    def _piece(self) -> bytes:
        if self._inflating is None:
            if len(self._waiting) < 2:
                return b""
            bare = self._bits == 15 and not _has_zlib_header(self._waiting)
            self._inflating = zlib.decompressobj(-15 if bare else self._bits)
        if self._inflating.eof:
            if self._waiting:
                raise BadJson("compressed bytes that are followed by others")
            return b""
        try:
            piece = self._inflating.decompress(self._waiting, PIECE)
        except zlib.error:
            raise BadJson("compressed bytes that are broken") from None
        self._waiting = self._inflating.unconsumed_tail or self._inflating.unused_data
        return piece

    def finish(self) -> None:
        """The bytes have ended. Raises BadJson if they were cut off."""
        if self._came and (self._waiting or self._inflating is None or not self._inflating.eof):
            raise BadJson("compressed bytes that are cut off, or followed by others")


def _window_bits(coding: str) -> int:
    """zlib's window bits for a content coding, 0 for none."""
    bits = _CODINGS.get(coding.strip().lower())
    if bits is None:
        raise BadJson("a content coding other than gzip and deflate", http=415)
    return bits


def _has_zlib_header(raw: bytes) -> bool:
    """Whether ``deflate`` is meant as the standard says (RFC 1950) or bare (RFC 1951), as some servers send it."""
    return raw[0] & 0x0F == 8 and int.from_bytes(raw[:2], "big") % 31 == 0
