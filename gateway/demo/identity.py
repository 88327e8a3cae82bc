"""Who a peer is, which credentials tokens it accepts, and what it knows of the platform on the other end.

A token handed out by mail (TOKEN_A) opens versions and credentials and nothing else; the tokens exchanged in the
handshake, or agreed on for good, open everything. A token that a PUT replaced stays good until its successor is first
used, so that an answer lost on the way locks nobody out (the text leaves the overlap open).

Spec: 2.1.1 and 2.2.1 ``credentials``; 2.2.1 ``transport_and_format``, Authorization header.
"""

from __future__ import annotations

import base64
import binascii
from enum import Enum
from typing import Final

from attrs import define, field, frozen

from gateway.demo.objects import NEW, OLD

Party = tuple[str, str]
"""A country code, as its owner writes it, and a party id."""

Interface = tuple[str, str]
"""A module and a side of it: ``("tokens", "SENDER")``. Versions, details and credentials have no side: ``""``."""

OWNERS: Final = {"locations": "CPO", "tariffs": "CPO", "sessions": "CPO", "cdrs": "CPO", "tokens": "EMSP"}
"""The functional modules a peer has, and the role that owns their objects."""

KINDS: Final = {"locations": "Location", "tariffs": "Tariff", "sessions": "Session", "cdrs": "CDR", "tokens": "Token"}
"""The object each of them carries."""

# What these peers know of ISO 3166-1: enough to see that NL and NLD are the same country, and EST and ES are not.
_ALPHA_3: Final = {
    "AT": "AUT", "BE": "BEL", "CH": "CHE", "CZ": "CZE", "DE": "DEU", "DK": "DNK", "EE": "EST", "ES": "ESP", "FI": "FIN",
    "FR": "FRA", "GB": "GBR", "IE": "IRL", "IT": "ITA", "LU": "LUX", "NL": "NLD", "NO": "NOR", "PL": "POL", "PT": "PRT",
    "SE": "SWE", "SI": "SVN", "SK": "SVK",
}  # fmt: skip


def same_party(one: Party, other: Party) -> bool:
    """Whether two spellings (case, alpha-2 or alpha-3) mean the same party."""
    countries = {_ALPHA_3.get(country.upper(), country.upper()) for country, _ in (one, other)}
    return len(countries) == 1 and one[1].upper() == other[1].upper()


@frozen
class Role:
    """One role of a platform, with the party that plays it. Spec: 2.2.1 ``credentials``, CredentialsRole."""

    role: str
    country_code: str
    party_id: str
    business_name: str

    @property
    def party(self) -> Party:
        return self.country_code, self.party_id


@define
class Identity:
    """A platform as it introduces itself: its version, its roles, and where it can be reached once it listens.

    ``behind_hub`` is for one on 2.1.1 whose other end is a hub. That version can't say so: its credentials name one
    party, and the routing headers that hubs use with it are no part of it.
    """

    name: str
    version: str
    roles: tuple[Role, ...]
    behind_hub: bool = False
    base_url: str = ""

    def __attrs_post_init__(self) -> None:
        if self.version not in (OLD, NEW):
            raise ValueError(f"{self.name}: a peer speaks {OLD} or {NEW}, not {self.version}")
        if not self.roles or any(role.role not in ("CPO", "EMSP") for role in self.roles):
            raise ValueError(f"{self.name}: a peer plays CPO or EMSP")
        if self.version == OLD and len(self.roles) != 1:
            raise ValueError(f"{self.name}: {OLD} has one role per connection")

    @property
    def versions_url(self) -> str:
        return f"{self.base_url}/ocpi/versions"

    def paths(self) -> dict[Interface, str]:
        """Where each interface is served. Not the gateway's own URL layout, so that only discovery finds it."""
        root = f"/ocpi/{self.version}"
        found = {("versions", ""): "/ocpi/versions", ("details", ""): root, ("credentials", ""): f"{root}/credentials"}
        for module, owner in OWNERS.items():
            for role in self.roles:
                side = "SENDER" if role.role == owner else "RECEIVER"
                path = f"/ocpi/{role.role.lower()}/{self.version}/{module}"
                found[module, side] = path if self.version == OLD else f"{root}/{module}/{side.lower()}"
        return found

    def speaker(self, module: str, side: str) -> Role:
        """Which of our roles calls that interface of somebody else: the owner calls receivers, the others senders."""
        for role in self.roles:
            if (role.role == OWNERS[module]) == (side == "RECEIVER"):
                return role
        return self.roles[0]

    def plays(self, party: Party, module: str, side: str) -> bool:
        """Whether ``party`` is one of ours and has a role that serves this interface."""
        return any(
            same_party(role.party, party) and (role.role == OWNERS[module]) == (side == "SENDER") for role in self.roles
        )


@define
class Counterpart:
    """The platform on the other end, as far as it is known: nothing before the handshake."""

    token: str | None = None
    versions_url: str = ""
    roles: tuple[Role, ...] = ()
    endpoints: dict[Interface, str] = field(factory=dict)

    def forget(self) -> None:
        """The registration ended."""
        self.token, self.versions_url, self.roles, self.endpoints = None, "", (), {}

    def may_own(self, party: Party) -> bool:
        """Whether the counterpart may speak for ``party``: one of its roles, or anybody's if it is a hub or unknown."""
        if not self.roles or any(role.role == "HUB" for role in self.roles):
            return True
        return any(same_party(role.party, party) for role in self.roles)

    def receiver(self, module: str, side: str) -> Party | None:
        """The one party over there that serves this interface; None if there isn't exactly one."""
        fitting = [
            role.party
            for role in self.roles
            if role.role != "HUB" and (role.role == OWNERS[module]) == (side == "SENDER")
        ]
        return fitting[0] if len(fitting) == 1 else None


class Scope(Enum):
    """What a credentials token opens."""

    HANDSHAKE = "versions and credentials"
    EVERYTHING = "everything"


@define
class Keyring:
    """The credentials tokens that a peer accepts."""

    _scopes: dict[str, Scope] = field(factory=dict)
    _successors: dict[str, str] = field(factory=dict)

    @property
    def current(self) -> str | None:
        """The newest token that opens everything."""
        return next((token for token, scope in reversed(self._scopes.items()) if scope is Scope.EVERYTHING), None)

    def hand_out(self, token: str) -> None:
        """A TOKEN_A, given to somebody outside OCPI."""
        self._scopes[token] = Scope.HANDSHAKE

    def accept(self, token: str) -> None:
        """A token that opens everything from now on."""
        self._scopes[token] = Scope.EVERYTHING

    def replace(self, old: str, new: str) -> None:
        """``new`` opens everything; ``old`` goes when ``new`` is first used."""
        self.accept(new)
        self._successors[new] = old

    def revoke(self, token: str) -> None:
        self._scopes.pop(token, None)
        self._successors.pop(token, None)

    def revoke_all(self) -> None:
        self._scopes.clear()
        self._successors.clear()

    def scope(self, token: str | None) -> Scope | None:
        """What ``token`` opens, None if nothing. Using a new token ends those before it."""
        if token is None or token not in self._scopes:
            return None
        old = self._successors.pop(token, None)
        while old:
            before = self._successors.get(old)
            self.revoke(old)
            old = before
        return self._scopes[token]


def authorization(version: str, token: str) -> str:
    """The Authorization header of ``version``: the token as it is in 2.1.1, in Base64 in 2.2.1."""
    return f"Token {token if version == OLD else base64.b64encode(token.encode()).decode()}"


def presented_token(version: str, header: str | None) -> str | None:
    """The token in an Authorization header, None if there is none in the form that ``version`` has."""
    scheme, _, text = (header or "").partition(" ")
    if scheme != "Token" or not text:
        return None
    if version == OLD:
        return text
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
