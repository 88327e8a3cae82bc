"""What the text of a scalar can mean: one row per type, with how it is read and how an editor may check it.

Every type reads text and raises ``ValueError`` with words for a person: what is wrong, and what to write instead.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NewType
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from attrs import field, frozen

from gateway.model.country import alpha_2
from gateway.model.party import Party
from gateway.model.policy import Hours, NextPage, TimeZone
from gateway.settings.mistakes import quoted
from gateway.settings.redis_url import RedisUrl

Url = NewType("Url", str)
"""An absolute http or https URL, without user, query and fragment."""

Version = NewType("Version", str)
"""An OCPI version that this gateway speaks."""

Country = NewType("Country", str)
"""ISO 3166-1 alpha-2, upper case; alpha-3 is understood."""

PartyId = NewType("PartyId", str)
Name = NewType("Name", str)
"""The name of a business: 1 to 100 characters. Spec: 2.2.1 ``mod_locations``, BusinessDetails class."""

LinkId = NewType("LinkId", str)
Prefix = NewType("Prefix", str)
Parties = NewType("Parties", str)
"""``CC-PID``, or a word for all of them."""

Percent = NewType("Percent", float)
"""A share, 0 to 1; written ``20%``."""

Network = NewType("Network", str)
Days = NewType("Days", str)
TimeOfDay = NewType("TimeOfDay", str)
ImageType = NewType("ImageType", str)


@frozen
class Secret:
    """A value that is never shown. ``value`` is the secret itself, ``source`` where it came from, ready for people."""

    value: str = field(repr=False)
    source: str = field(default="literal", eq=False)

    def __str__(self) -> str:
        return f"({self.source})"


@frozen
class Address:
    """Where a listener listens. Port 0 takes a free one."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@frozen(kw_only=True)
class Scalar:
    """One type of value: how its text is read, how a document names it, and its JSON Schema."""

    read: Callable[[str], Any]
    says: str
    schema: dict[str, Any]


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_private(host: str) -> bool:
    """Whether a host is, by its looks alone, not on the public internet: a private address, or this machine."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


def host_of(url: str) -> str:
    """The host of a URL that was read as one."""
    return urlsplit(url).hostname or ""


def is_plain_http(url: str) -> bool:
    return urlsplit(url).scheme == "http"


def token_form(secret: Secret) -> None:
    """A credentials token: 1 to 64 printable ASCII characters without white space.

    Spec: 2.2.1 ``credentials`` 8.3.1 (U+0021 to U+007E, string(64)); 2.1.1 ``transport_and_format`` (the same).
    """
    if len(secret.value) > 64:
        raise ValueError(f"a token has at most 64 characters, this one has {len(secret.value)}")
    if not re.fullmatch(r"[\x21-\x7e]+", secret.value):
        raise ValueError("a token has printable ASCII characters only, and no spaces (U+0021 to U+007E)")


def positive(value: int | timedelta) -> None:
    """A number or a span of time that isn't nothing."""
    nothing = timedelta() >= value if isinstance(value, timedelta) else value <= 0
    if nothing:
        raise ValueError("write more than 0")


def within(least: int, most: int) -> Callable[[int], None]:
    """A number from ``least`` to ``most``, both included."""

    def check(value: int) -> None:
        if not least <= value <= most:
            raise ValueError(f"write {least} to {most}")

    return check


def redis_form(secret: Secret) -> None:
    """A Redis URL, in one of the forms of ``RedisUrl``."""
    RedisUrl.parse(secret.value)


def _text(text: str) -> str:
    if not text or text != text.strip():
        raise ValueError("empty, or with spaces around it: write the text itself")
    if not text.isprintable():
        raise ValueError("has control characters or line breaks: write it on one line")
    return text


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{quoted(text)} is not true or false: write one of these two words")
    return text == "true"


def _integer(text: str) -> int:
    if not re.fullmatch(r"-?(0|[1-9][0-9]{0,8})", text):
        raise ValueError(f"{quoted(text)} is not a whole number: write digits only, such as 4")
    return int(text)


_UNITS: Final = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(text: str) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)", text)
    if not found:
        raise ValueError(f"{quoted(text)} is not a duration: write number and unit, such as 250ms, 2s, 5m, 1h or 7d")
    span = timedelta(**{_UNITS[found[2]]: float(found[1])})
    if span > timedelta(days=3650):
        raise ValueError(f"{quoted(text)} is more than ten years")
    return span


def duration_text(span: timedelta) -> str:
    """A duration as somebody would write it: ``24h``, ``7d``, ``2s``."""
    seconds = span.total_seconds()
    for unit, size, least in (("d", 86400, 7), ("h", 3600, 1), ("m", 60, 1)):
        if seconds % size == 0 and seconds / size >= least:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def _percent(text: str) -> float:
    found = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]+)?)%", text)
    if not found or float(found[1]) > 100:
        raise ValueError(f"{quoted(text)} is not a percentage: write a number from 0 to 100 and %, such as 20%")
    return float(found[1]) / 100


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"{quoted(text)} is not a time: write date, time and zone, such as 2030-01-31T00:00:00Z")
    return moment


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        port_fine = parts.port != 0
    except ValueError:
        parts, port_fine = None, False
    if parts is None or not port_fine or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{quoted(text)} is not a URL: write https://host/path")
    if not re.fullmatch(r"[\x21-\x7e]+", text) or "\\" in text:
        raise ValueError(f"{quoted(text)} has characters that no URL has: percent-encode them")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL with a user or password in it: remove them; tokens have keys of their own")
    if parts.query or parts.fragment:
        raise ValueError(f"{quoted(text)} has a query or fragment: write the URL up to its path")
    return text


def _address(text: str) -> Address:
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})", text)
    if not found or int(found[3]) > 65535:
        raise ValueError(f"{quoted(text)} is not an address: write host:port, such as 0.0.0.0:8080 or [::]:8080")
    return Address(found[1] or found[2], int(found[3]))


def _country(text: str) -> str:
    country = alpha_2(text) if text.isascii() else None
    if country is None:
        raise ValueError(f"{quoted(text)} is not a country code: write two letters (ISO 3166-1 alpha-2), such as NL")
    return country


def _party_id(text: str) -> str:
    if not (1 <= len(text) <= 3 and text.isascii() and text.isalnum()):
        raise ValueError(f"{quoted(text)} is not a party id: write one to three letters or digits")
    return text.upper()


def _party(text: str) -> Party:
    try:
        return Party.parse(text)
    except ValueError as error:
        raise ValueError(f"not a party: {error}") from None


def _parties(word: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text == word:
            return text
        try:
            return str(Party.parse(text))
        except ValueError:
            raise ValueError(f"{quoted(text)} is neither `{word}` nor a party: write CC-PID, such as NL-EXA") from None

    return read


def _name(text: str) -> str:
    if len(_text(text)) > 100:
        raise ValueError(f"{len(text)} characters: OCPI has room for 100 in a name")
    return text


def matching(pattern: str, otherwise: str) -> Callable[[str], str]:
    """A reader of text that must match all of a pattern; ``otherwise`` says what to write instead."""
    compiled = re.compile(pattern)

    def read(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"{quoted(text)} {otherwise}")
        return text

    return read


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError(f"{quoted(text)} is not a network: write its first address and length, 192.0.2.0/24") from None


def _time_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # unknown, escaping its folder, or a folder
        raise ValueError(f"{quoted(text)} is not a time zone: write its IANA name, such as Europe/Amsterdam") from None
    return text


LINK_ID: Final = r"[a-z0-9][a-z0-9_.-]{0,62}"
PREFIX: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}"
ALL: Final = "all"
EVERYONE: Final = "*"

_DAY: Final = "(mon|tue|wed|thu|fri|sat|sun)"
_DAYS: Final = rf"{_DAY}(-{_DAY})?(,{_DAY}(-{_DAY})?)*"
_OF_DAY: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_HOURS: Final = rf"({_DAYS} )?{_OF_DAY}-{_OF_DAY}"
_NEXT_PAGE: Final = r"link|link_or_offset|cursor:[A-Za-z_][A-Za-z0-9_.-]{0,30}"
_STRING: Final = {"type": "string"}
# An editor's YAML makes a number of a party id such as 123; the gateway reads the text.
_STRING_OR_NUMBER: Final = {"type": ["string", "number"]}

Reaches = NewType("Reaches", str)
"""``CC-PID``, or ``*`` for whomever the hub says that it reaches."""


def _pattern(pattern: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^{pattern}$"}


SCALARS: Final[dict[Any, Scalar]] = {
    str: Scalar(read=_text, says="text", schema=_STRING),
    bool: Scalar(read=_boolean, says="true, false", schema={"type": "boolean"}),
    int: Scalar(read=_integer, says="number", schema={"type": "integer"}),
    timedelta: Scalar(read=_duration, says="duration", schema=_pattern(r"[0-9]+(\.[0-9]+)?(ms|s|m|h|d)")),
    datetime: Scalar(read=_moment, says="time", schema=_STRING),
    Path: Scalar(read=lambda text: Path(_text(text)), says="path", schema=_STRING),
    Party: Scalar(read=_party, says="CC-PID", schema=_STRING),
    Address: Scalar(read=_address, says="host:port", schema=_STRING),
    Url: Scalar(read=_url, says="URL", schema=_STRING),
    Country: Scalar(read=_country, says="country", schema=_pattern("[A-Za-z]{2,3}")),
    PartyId: Scalar(read=_party_id, says="party id", schema=_STRING_OR_NUMBER),
    Name: Scalar(read=_name, says="text", schema={"type": "string", "maxLength": 100}),
    LinkId: Scalar(read=matching(LINK_ID, "is not the id of a link"), says="link", schema=_pattern(LINK_ID)),
    Prefix: Scalar(
        read=matching(PREFIX, "is not a prefix: write letters, digits, - and _"), says="text", schema=_pattern(PREFIX)
    ),
    Parties: Scalar(read=_parties(ALL), says="CC-PID, all", schema=_STRING),
    Reaches: Scalar(read=_parties(EVERYONE), says='CC-PID, "*"', schema=_STRING),
    Percent: Scalar(read=_percent, says="percentage", schema=_pattern(r"[0-9]+(\.[0-9]+)?%")),
    Network: Scalar(read=_network, says="network", schema=_STRING),
    TimeZone: Scalar(read=_time_zone, says="time zone", schema=_STRING),
    Days: Scalar(
        read=matching(_DAYS, "is not a list of days: write mon-fri, or sat,sun"), says="days", schema=_pattern(_DAYS)
    ),
    TimeOfDay: Scalar(
        read=matching(_OF_DAY, 'is not a time of day: write "09:00"'), says="time of day", schema=_pattern(_OF_DAY)
    ),
    Hours: Scalar(
        read=matching(_HOURS, "is not a list of days and hours: write mon-fri 09:00-17:00, or 22:00-06:00"),
        says="days and hours",
        schema=_pattern(_HOURS),
    ),
    NextPage: Scalar(
        read=matching(_NEXT_PAGE, "is none of link, link_or_offset, cursor:PARAMETER"),
        says="link, link_or_offset, cursor:PARAMETER",
        schema=_pattern(_NEXT_PAGE),
    ),
    ImageType: Scalar(
        read=matching("[a-z]{1,4}", "is not a type of image: write png, svg, jpeg or gif"),
        says="text",
        schema=_pattern("[a-z]{1,4}"),
    ),
}
"""Every scalar type but ``Version``, whose values come from outside, and enums, which list their own."""
