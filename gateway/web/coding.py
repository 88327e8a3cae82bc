"""Content codings of bodies, requests and answers alike: gzip and deflate, inflated no further than a cap.

aiohttp would inflate by itself, but then what is broken can't be told from a bug, a coding that it doesn't know passes
as it is, and a bomb is seen only after it went off.

Spec: RFC 9110 8.4.1; OCPI says nothing about codings.
"""

from __future__ import annotations

import zlib
from typing import Final

from gateway.model.errors import BadJson

_CODINGS: Final = {"": 0, "identity": 0, "gzip": 31, "x-gzip": 31, "deflate": 15}  # name -> window bits of zlib


def inflated(raw: bytes, coding: str, cap: int) -> bytes:
    """The body without its content coding; one byte more than the cap when there is more.

    Args:
        coding: the value of Content-Encoding, empty for none.

    Raises:
        BadJson: another coding (HTTP 415), or compressed bytes that are broken, cut off or followed by others (400).
    """
    bits = _CODINGS.get(coding.strip().lower())
    if bits is None:
        raise BadJson("a content coding other than gzip and deflate", http=415)
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


def _has_zlib_header(raw: bytes) -> bool:
    """Whether ``deflate`` is meant as the standard says (RFC 1950) or bare (RFC 1951), as some servers send it."""
    return raw[0] & 0x0F == 8 and int.from_bytes(raw[:2], "big") % 31 == 0
