"""What an eMSP said of a driver lately, and where: put back on what operators later say of that driver.

An eMSP that lets a driver charge may give the permission a name (``authorization_reference``), and wants it back on the
session and the CDR. And it names a token, of which 2.1.1 sessions say nothing but the contract, which several cards and
apps may share. So what went by in an authorization, a START_SESSION or a RESERVE_NOW is kept for a while, by the place
that it was for, and found again by place and time:

    given         an authorization, a command: token, place, how long it counts, its name if it has one
    attached      a session or CDR that says no name gets the one that was given last
    lately_used   the token of a contract that was meant last, at this EVSE, else at this location
    commanded     an operator accepted a command: its eMSP has authorized the token there, and isn't asked again
    last_command  the command of a token, while it counts: 15 minutes for a card, a session's time for an app's token

A name that was given once more for the same session replaces the first (2.2.1 ``mod_sessions``, Session Object: "the
last given value SHALL be used"). Once on a session it stays there, however long that lasts.

Where a link wants names and an eMSP gives none, the gateway makes them up (``minted``, the switch
``authorization_reference.mint``). They can be told by their form and nothing else is written so: they are never kept as
an eMSP's own, and what comes back under one is passed on without it, since its eMSP never heard of it.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from attrs import frozen

from gateway.model.modules import Module
from gateway.model.names import Name, encode, fold
from gateway.model.party import Party
from gateway.model.tokens import AllowedType, TokenType
from gateway.model.values import moment
from gateway.ports import Codec, Objects

AUTHORIZED_FOR: Final = timedelta(hours=24)
"""How long after an authorization the session may begin that it is for."""

COMMANDED_FOR: Final = timedelta(minutes=15)
"""How long after a START_SESSION, or the end of a reservation, the session may begin that it is for."""

_SKEW: Final = timedelta(minutes=5)
"""How far the clocks of two platforms may be apart: a session may seem to begin before its authorization."""

_REFERENCE: Final = "authorization_reference"
_CDR_TOKEN: Final = ("country_code", "party_id", "uid", "type", "contract_id")
_NOWHERE: Final = ""

_ONLY_COMMANDED: Final = frozenset({TokenType.APP_USER, TokenType.AD_HOC_USER})
"""Tokens that no charge point reads: whatever is asked of them follows from a command."""

_MINTED: Final = re.compile(r"gw-[0-9a-f]{32}", re.IGNORECASE)


class _Given(msgspec.Struct, frozen=True):
    """What was given: ``value`` counts for sessions that begin between two moments, in milliseconds since 1970."""

    value: str
    since: int
    until: int

    def fits(self, start: datetime, skew: timedelta) -> bool:
        return self.since - _ms(skew) <= _ms(start) <= self.until


class _Accepted(msgspec.Struct, frozen=True):
    """A command that an operator accepted: ``at`` and ``until`` in milliseconds since 1970, the token as JSON."""

    token: bytes
    link: str
    evse_uid: str | None
    at: int
    until: int


@frozen(kw_only=True)
class Command:
    """A START_SESSION or RESERVE_NOW that an operator accepted lately.

    Attributes:
        token: as its eMSP sent it, canonical.
        link: by which that came.
        evse_uid: which EVSE it was for; None: any at its location.
    """

    token: Mapping[str, Any]
    link: str
    evse_uid: str | None
    at: datetime


_decode = msgspec.msgpack.Decoder(_Given).decode
_decode_accepted = msgspec.msgpack.Decoder(_Accepted).decode
_encode = msgspec.msgpack.Encoder().encode


@frozen(kw_only=True)
class References:
    """Keeps what was given, and finds it again. Every method raises NotDurable while the store is away."""

    objects: Objects
    codec: Codec

    async def given(
        self,
        cpo: Party,
        token: Mapping[str, Any],
        *,
        location_id: str | None,
        evse_uid: str | None,
        reference: str | None,
        now: datetime,
        until: datetime,
    ) -> None:
        """An eMSP lets this driver charge at this operator's.

        Args:
            token: a canonical Token, of which a uid at least is known.
            location_id: where; None: anywhere.
            evse_uid: where exactly; None: any EVSE there.
            reference: the eMSP's name for it, if it gave one. One that it gave before for the same place still counts.
            until: until when the session must have begun.
        """
        lives = (until - now + AUTHORIZED_FOR).total_seconds()
        since, end = _ms(now), _ms(until)
        if all(token.get(name) for name in _CDR_TOKEN):
            spelled = self.codec.dumps({name: token[name] for name in _CDR_TOKEN}).decode()
            key = _token_key(cpo, token["contract_id"], location_id, evse_uid)
            await self.objects.remember(key, _encode(_Given(spelled, since, end)), lives)
        if reference:
            key = _reference_key(cpo, token, location_id, evse_uid)
            await self.objects.remember(key, _encode(_Given(reference, since, end)), lives)

    async def authorized(self, cpo: Party, info: Mapping[str, Any], location: Mapping[str, Any] | None) -> None:
        """An eMSP's answer to this operator's question whether a driver may charge.

        Args:
            info: the AuthorizationInfo, canonical.
            location: the LocationReferences that were asked about, canonical; None: nowhere in particular.
        """
        if info["allowed"] != AllowedType.ALLOWED:
            return
        now = datetime.now(UTC)
        await self.given(
            cpo,
            info["token"],
            location_id=location["location_id"] if location else None,
            evse_uid=None,
            reference=info.get("authorization_reference"),
            now=now,
            until=now + AUTHORIZED_FOR,
        )

    async def commanded(
        self,
        cpo: Party,
        token: Mapping[str, Any],
        *,
        link: str,
        location_id: str,
        evse_uid: str | None,
        now: datetime,
        ends: datetime | None,
    ) -> None:
        """This operator has accepted a command: no authorization is asked for its token there, for a while.

        Of a token that only exists in an app the specification sets no end; what begins with a command lasts as long
        as an authorization counts.

        Args:
            token: a canonical Token, whole.
            link: the eMSP's.
            location_id, evse_uid: where; without an EVSE any at the location.
            ends: of a reservation, when it ends.

        Spec: 2.2.1 ``mod_commands``, StartSession and ReserveNow objects.
        """
        if not token["valid"]:
            return
        until = now + COMMANDED_FOR
        if token["type"] in _ONLY_COMMANDED:
            until = now + AUTHORIZED_FOR if ends is None else ends + COMMANDED_FOR
        accepted = _encode(_Accepted(self.codec.dumps(token), link, evse_uid, _ms(now), _ms(until)))
        lives = (until - now).total_seconds()
        for place in (location_id, None):
            await self.objects.remember(_command_key(cpo, token["uid"], place), accepted, lives)

    async def last_command(self, cpo: Party, uid: str, location_id: str | None, now: datetime) -> Command | None:
        """The last command for a token of this uid that this operator accepted, while it counts.

        Args:
            location_id: where; None: anywhere.
        """
        found = await self.objects.recall(_command_key(cpo, uid, location_id))
        if found is None or (accepted := _decode_accepted(found)).until < _ms(now):
            return None
        return Command(
            token=self.codec.loads(accepted.token),
            link=accepted.link,
            evse_uid=accepted.evse_uid,
            at=datetime.fromtimestamp(accepted.at / 1000, tz=UTC),
        )

    async def attached(self, name: Name, wire: Any, canonical: Any, before: Any) -> Any:
        """A session or CDR with the reference that its eMSP gave, where its operator doesn't say it; else as it is.

        Args:
            wire: as the operator wrote it: what it says itself counts.
            canonical: the same, read.
            before: what was stored, canonical; None if there was nothing.
        """
        if name.module not in (Module.SESSIONS, Module.CDRS):
            return canonical
        if is_minted(canonical.get(_REFERENCE)):
            canonical = {field: value for field, value in canonical.items() if field != _REFERENCE}
        elif wire.get(_REFERENCE):
            return canonical
        known = (before or {}).get(_REFERENCE)
        if name.module is Module.SESSIONS:
            reference = await self._last_given(name.owner, canonical, again=known is not None) or known
        elif before is None:
            reference = await self._of_session(name, canonical) or await self._last_given(name.owner, canonical)
        else:
            reference = known  # a CDR doesn't change
        return {**canonical, _REFERENCE: reference} if reference else canonical

    async def lately_used(self, cpo: Party, contract_id: str, location_id: str, evse_uid: str) -> list[Any]:
        """The CdrTokens of this contract that were meant at this EVSE, then at this location; the likeliest first.

        Each is ``{"token": ..., "since": ..., "until": ...}``: it counts for sessions that began in between; the two
        are DateTimes.
        """
        places = ((location_id, evse_uid), (location_id, None), (None, None))
        keys = [_token_key(cpo, contract_id, *place) for place in places]
        return [
            {
                "token": self.codec.loads(given.value.encode()),
                "since": _moment(given.since - _ms(_SKEW)),
                "until": _moment(given.until),
            }
            for given in await self._found(keys)
        ]

    async def _last_given(self, cpo: Party, canonical: Any, *, again: bool = False) -> str | None:
        """The reference that was given last for this token and place, if the session began in time for it.

        Args:
            again: it has one. Another one must have been given before it began: the next session's comes soon after.
        """
        start, token = moment(canonical["start_date_time"]), canonical["cdr_token"]
        place = canonical.get("cdr_location")
        location_id, evse_uid = (
            (canonical["location_id"], canonical["evse_uid"]) if place is None else (place["id"], place["evse_uid"])
        )
        places = ((location_id, evse_uid), (location_id, None), (None, None))
        found = await self._found([_reference_key(cpo, token, *place) for place in places])
        fitting = [given for given in found if given.fits(start, timedelta() if again else _SKEW)]
        return max(fitting, key=lambda given: given.since).value if fitting else None

    async def _of_session(self, name: Name, canonical: Any) -> str | None:
        """That of the session that a CDR is of."""
        if name.module is not Module.CDRS or not canonical.get("session_id"):
            return None
        said = await self.objects.read(Name(Module.SESSIONS, name.owner, canonical["session_id"]))
        return None if said is None else self.codec.loads(said.canonical).get(_REFERENCE)

    async def _found(self, keys: list[str]) -> list[_Given]:
        found = await asyncio.gather(*map(self.objects.recall, keys))
        return [_decode(value) for value in found if value is not None]


def minted() -> str:
    """A reference of our own making."""
    return f"gw-{secrets.token_hex(16)}"


def is_minted(reference: str | None) -> bool:
    """Whether a reference is of our own making."""
    return reference is not None and _MINTED.fullmatch(reference) is not None


def _command_key(cpo: Party, uid: str, location_id: str | None) -> str:
    return _key("commanded", str(cpo), uid, location_id or _NOWHERE)


def _token_key(cpo: Party, contract_id: str, location_id: str | None, evse_uid: str | None) -> str:
    return _key("token", str(cpo), contract_id, location_id or _NOWHERE, evse_uid or _NOWHERE)


def _reference_key(cpo: Party, token: Mapping[str, Any], location_id: str | None, evse_uid: str | None) -> str:
    owner = f"{token.get('country_code', '')}-{token.get('party_id', '')}"
    who = (owner, str(token["uid"]), str(token.get("type", "")))
    return _key("reference", str(cpo), *who, location_id or _NOWHERE, evse_uid or _NOWHERE)


def _key(kind: str, *parts: str) -> str:
    return ":".join((kind, *(encode(fold(part)) for part in parts)))


def _ms(value: datetime | timedelta) -> int:
    return int((value.timestamp() if isinstance(value, datetime) else value.total_seconds()) * 1000)


def _moment(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, tz=UTC):%Y-%m-%dT%H:%M:%SZ}"
