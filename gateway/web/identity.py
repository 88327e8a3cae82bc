"""Who is calling: from an Authorization header to a link, in one place.

Tokens are never compared as strings. Each is looked up by its keyed digest (HMAC-SHA-256), so the time a look-up takes
says nothing about how much of a guess was right, and what lies in Redis opens no door. A header is tried in the forms
that peers use (Base64 as 2.2.1 says, raw as 2.1.1 says and many 2.2.1 peers do); all forms must lead to one link.

Three kinds of token: those in files (static ones, and a token A while it is unspent), those that handshakes made
(digests in Redis, remembered here for a moment), and none of these, which is 401. When Redis is away, what was
remembered still counts, and what wasn't can't be told from a stranger's: 3000, not 401.

Consumers of prices have a door of their own (``admit_consumer``), and their tokens, which all stand in files, open no
other one. There a token is used as it is, after ``Token`` or ``Bearer``.

Spec: 2.1.1 ``transport_and_format``, Request format; 2.2.1 ``transport_and_format`` 4.1.1, Authorization header.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec
from attrs import field, frozen

from gateway.model.errors import BadJson, NotDurable, Unauthorized

_REMEMBER_S: Final = 1.0
_STALE_S: Final = 0.2
# A stranger's guesses are not remembered, so this bounds only what peers with valid tokens use.
_REMEMBERED: Final = 10_000
_CONSUMERS_SCHEMES: Final = frozenset({"token", "bearer"})


class Scope(StrEnum):
    """What a token opens."""

    REGISTRATION = "registration"  # a token A: versions, details and credentials, nothing else
    FULL = "full"
    FEED = "feed"  # of a price feed: its pushes of statuses, nothing else
    CONSUMER = "consumer"  # of prices: the door of these, and no other


@frozen
class Caller:
    """Who is calling.

    Attributes:
        link: id of the link; of a price feed or a consumer of prices, the id of its file.
        scope: what the token opens.
        token: as presented, decoded: GET credentials echoes it.
        form: ``raw`` or ``base64``, the form it came in.
        digest: of a token that a handshake made; empty for one from a file.
        supersedes: digests that end with the first use of this one.
    """

    link: str
    scope: Scope
    token: str = field(repr=False)
    form: str
    digest: str = ""
    supersedes: tuple[str, ...] = ()


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """What stands behind a digest in Redis."""

    link: str
    scope: Scope = Scope.FULL
    until: float | None = None
    """Epoch seconds after which it counts no more; None: until revoked."""
    supersedes: tuple[str, ...] = ()


_decode = msgspec.msgpack.Decoder(Credential).decode
pack = msgspec.msgpack.Encoder().encode


def new_token() -> str:
    """A credentials token: 256 random bits, 44 printable characters, never valid Base64.

    The underscore in front keeps the raw form from being mistaken for an encoded one.
    """
    return "_" + secrets.token_urlsafe(32)


def authorization(token: str, encoding: str) -> str:
    """The Authorization header for a token of the other side's, ``raw`` or ``base64``."""
    if encoding == "base64":
        token = base64.b64encode(token.encode()).decode()
    return f"Token {token}"


def candidates(headers: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The tokens that the Authorization headers of a request may mean, each with its form.

    Raises:
        BadJson: the header is repeated: which one counts would be anybody's guess.
        Unauthorized: there is none, or it isn't of the scheme ``Token``.
    """
    presented = _presented(headers, frozenset({"token"}))
    raw = (presented, "raw")
    decoded = _decoded(presented)
    return ((decoded, "base64"), raw) if decoded else (raw,)


def _presented(headers: Sequence[str], schemes: Collection[str]) -> str:
    """What stands behind the scheme. Raises as ``candidates``."""
    if len(headers) > 1:
        raise BadJson("the Authorization header is repeated")
    scheme, _, presented = (headers[0] if headers else "").partition(" ")
    if scheme.lower() not in schemes or not presented.isascii() or not presented.isprintable() or " " in presented:
        raise Unauthorized("no valid credentials token")
    if not presented:
        raise Unauthorized("no valid credentials token")
    return presented


def _decoded(presented: str) -> str | None:
    try:
        # Strict: the lax decoder turns a raw UUID into garbage. The specification's own examples end in a newline.
        decoded = base64.b64decode(presented, validate=True).decode("utf-8").rstrip("\r\n")
    except (binascii.Error, ValueError):
        return None
    return decoded if decoded and decoded.isprintable() else None


class Doorkeeper:
    """Knows every token by its digest.

    Args:
        lookup: the digest's credential in Redis, as bytes, or None. May raise NotDurable.
    """

    def __init__(self, lookup: Callable[[str], Awaitable[bytes | None]]) -> None:
        self._lookup = lookup
        # Digests of tokens from files stay in this process, under a key of its own: they work without Redis.
        self._own_key = secrets.token_bytes(32)
        self._filed: dict[str, tuple[str, Scope]] = {}
        self._key: bytes | None = None
        self._seen: dict[str, tuple[float, Credential]] = {}

    def use_key(self, key: bytes) -> None:
        """The shared key of the digests in Redis."""
        self._key = key

    def file(self, tokens: Mapping[str, tuple[str, Scope]]) -> None:
        """Replace the tokens from files: token to id (of the link, feed or consumer) and scope."""
        self._filed = {self._digest(self._own_key, token): owner for token, owner in tokens.items()}

    def digest(self, token: str) -> str:
        """The digest under which a token lies in Redis.

        Raises:
            NotDurable: Redis hasn't been seen yet, so its key isn't known.
        """
        if self._key is None:
            raise NotDurable("the store hasn't been reached yet: no registration can be read or made")
        return self._digest(self._key, token)

    def forget(self, link: str) -> None:
        """Drop what is remembered of a link's tokens, after any of them was made, replaced or revoked anywhere."""
        self._seen = {digest: seen for digest, seen in self._seen.items() if seen[1].link != link}

    async def admit(self, headers: Sequence[str]) -> Caller:
        """Who is calling.

        Args:
            headers: every Authorization header of the request.

        Raises:
            BadJson: the header is repeated (HTTP 400).
            Unauthorized: no token, or nobody's.
            NotDurable: Redis is away and memory doesn't know the token.
        """
        meant = candidates(headers)
        found = [self._from_file(token, form) for token, form in meant]
        filed = [caller for caller in found if caller is not None and caller.scope is not Scope.CONSUMER]
        if len({caller.link for caller in filed}) > 1:
            raise Unauthorized("no valid credentials token")
        if filed:
            return filed[0]
        # Tokens that handshakes gave out are no Base64: of two forms at most one can be such a token.
        away: NotDurable | None = None
        for token, form in meant:
            try:
                caller = await self._from_handshake(token, form)
            except NotDurable as error:
                away = error  # the other form may be known all the same
                continue
            if caller is not None:
                return caller
        raise away or Unauthorized("no valid credentials token")

    def admit_consumer(self, headers: Sequence[str]) -> Caller:
        """Which consumer of prices is calling.

        Raises:
            BadJson: the header is repeated (HTTP 400).
            Unauthorized: no token, or no consumer's.
        """
        caller = self._from_file(_presented(headers, _CONSUMERS_SCHEMES), "raw")
        if caller is None or caller.scope is not Scope.CONSUMER:
            raise Unauthorized("no valid credentials token")
        return caller

    def _from_file(self, token: str, form: str) -> Caller | None:
        owner = self._filed.get(self._digest(self._own_key, token))
        return Caller(owner[0], owner[1], token, form) if owner else None

    async def _from_handshake(self, token: str, form: str) -> Caller | None:
        digest = self.digest(token)
        credential = await self._credential(digest)
        if credential is None or (credential.until is not None and credential.until < time.time()):
            return None
        return Caller(credential.link, credential.scope, token, form, digest, credential.supersedes)

    async def _credential(self, digest: str) -> Credential | None:
        remembered = self._seen.get(digest)
        if remembered and remembered[0] > time.monotonic():
            return remembered[1]
        try:
            async with asyncio.timeout(_STALE_S if remembered else None):
                packed = await self._lookup(digest)
        except (NotDurable, TimeoutError):
            if not remembered:
                raise
            # Redis is away, or stands still: nobody waits for it because of a token that was good a moment ago.
            self._seen[digest] = (time.monotonic() + _REMEMBER_S, remembered[1])
            return remembered[1]
        if packed is None:
            self._seen.pop(digest, None)
            return None
        credential = _decode(packed)
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[digest] = (time.monotonic() + _REMEMBER_S, credential)
        return credential

    @staticmethod
    def _digest(key: bytes, token: str) -> str:
        return hmac.new(key, token.encode(), hashlib.sha256).hexdigest()
