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

from attrs import define, evolve, field, frozen

from gateway.demo.objects import NEW, OLD

Party = tuple[str, str]
"""A country code, as its owner writes it, and a party id."""

Interface = tuple[str, str]
"""A module and a side of it: ``("tokens", "SENDER")``. Versions, details and credentials have no side: ``""``."""

SENDERS: Final = {
    "locations": "CPO", "tariffs": "CPO", "sessions": "CPO", "cdrs": "CPO", "tokens": "EMSP",
    "commands": "EMSP", "chargingprofiles": "EMSP", "hubclientinfo": "HUB",
}  # fmt: skip
"""The modules besides versions and credentials, and the role that has the Sender interface: it owns the objects of the
module, or gives the commands. Whoever has another role has the Receiver interface; a hub has both."""

ROUTED: Final = frozenset(SENDERS) - {"hubclientinfo"}
"""The functional modules: in 2.2.1 their messages carry routing headers, and those of other modules must not."""

BROADCAST: Final = frozenset({"locations", "tariffs", "tokens"})
"""What a hub may hand to everybody. Spec: 2.2.1 ``transport_and_format``, Broadcast Push."""

KINDS: Final = {
    "locations": "Location", "tariffs": "Tariff", "sessions": "Session", "cdrs": "CDR", "tokens": "Token",
    "hubclientinfo": "ClientInfo",
}  # fmt: skip
"""The object that is pushed and listed in each module that has one."""

RESULTS: Final = "/results"
"""Where a peer wants the results of what it asked for: ``/results/{n}`` for its n-th command or charging profile."""

_NEW_ONLY: Final = frozenset({"chargingprofiles", "hubclientinfo"})

# What these peers know of ISO 3166-1: enough to see that NL and NLD are the same country, and EST and ES are not.
_ALPHA_3: Final = {
    "AT": "AUT", "BE": "BEL", "CH": "CHE", "CZ": "CZE", "DE": "DEU", "DK": "DNK", "EE": "EST", "ES": "ESP", "FI": "FIN",
    "FR": "FRA", "GB": "GBR", "IE": "IRL", "IT": "ITA", "LU": "LUX", "NL": "NLD", "NO": "NOR", "PL": "POL", "PT": "PRT",
    "SE": "SWE", "SI": "SVN", "SK": "SVK",
}  # fmt: skip
_ALPHA_2: Final = {three: two for two, three in _ALPHA_3.items()}


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

    Attributes:
        version: the one it speaks now.
        roles: as in its credentials.
        behind_hub: on 2.1.1, which can't say so, the other end is a hub: its credentials name one party, and the
            routing headers that hubs use with it are no part of the version.
        behind: the parties that are reached through it, if it is a hub. On 2.1.1, which has no such role, that alone
            makes it one.
        routing_headers: on 2.1.1 it names sender and receiver in headers, as 2.2.1 does, and understands it.
        also_version: the other version, if it speaks both; see ``speak``.
        listed: the versions in its list of versions, if not those it speaks.
        bare_strings: results of commands are bare strings, as before 2.1.1-d2.
    """

    name: str
    version: str
    roles: tuple[Role, ...]
    behind_hub: bool = False
    behind: tuple[Role, ...] = ()
    routing_headers: bool = False
    also_version: str | None = None
    listed: tuple[str, ...] = ()
    bare_strings: bool = False
    base_url: str = ""
    _began: tuple[str, tuple[Role, ...]] = field(init=False, default=("", ()))

    def __attrs_post_init__(self) -> None:
        if not {self.version, self.also_version or OLD} <= {OLD, NEW} or self.version == self.also_version:
            raise ValueError(f"{self.name}: a peer speaks {OLD} or {NEW} or both, not {self.version}")
        played = [role.role for role in self.roles]
        if not played or not {*played} <= {"CPO", "EMSP", "HUB"} or ("HUB" in played and played != ["HUB"]):
            raise ValueError(f"{self.name}: a peer plays CPO or EMSP, or is a HUB")
        if OLD in self.versions and "HUB" in played:
            raise ValueError(f"{self.name}: {OLD} has no HUB: say what it registers as, and who is `behind` it")
        if self.versions == (OLD,) and len(self.roles) != 1:
            raise ValueError(f"{self.name}: {OLD} has one role per connection")
        self._began = self.version, self.roles

    @property
    def versions(self) -> tuple[str, ...]:
        return (self.version, self.also_version) if self.also_version else (self.version,)

    @property
    def is_hub(self) -> bool:
        return bool(self.behind) or self.roles[0].role == "HUB"

    @property
    def routes(self) -> bool:
        """Whether its messages name sender and receiver."""
        return self.version == NEW or self.routing_headers

    @property
    def versions_url(self) -> str:
        return f"{self.base_url}/ocpi/versions"

    def speak(self, version: str) -> None:
        """Go over to another version that it speaks. 2.1.1 knows its first role only, 2.2.1 alpha-2 codes only.

        What it owns stays as it was written: whoever makes it go over gives it its objects anew.
        """
        if version not in self.versions:
            raise ValueError(f"{self.name} doesn't speak {version}")
        if version != self.version:
            self.version, self.also_version = version, self.version
            began, roles = self._began
            self.roles = roles if version == began else tuple(_alpha_2(role) for role in roles)

    def paths(self, version: str | None = None) -> dict[Interface, str]:
        """Where each interface is served. Not the gateway's own URL layout, so that only discovery finds it."""
        version = version or self.version
        root = f"/ocpi/{version}"
        found = {("versions", ""): "/ocpi/versions", ("details", ""): root, ("credentials", ""): f"{root}/credentials"}
        for role in self.roles[:1] if version == OLD else self.roles:
            for module, sender in SENDERS.items():
                if version == OLD and module in _NEW_ONLY:
                    continue
                for side in _sides(role.role, module, sender):
                    path = f"/ocpi/{role.role.lower()}/{version}/{module}"
                    found[module, side] = path if version == OLD else f"{root}/{module}/{side.lower()}"
        if ("commands", "SENDER") in found:
            found["commands", "SENDER"] = RESULTS
        return found

    def speaker(self, module: str, side: str) -> Role:
        """Which of our roles calls that interface of somebody else: the owner calls receivers, the others senders.

        Of a hub, the first party behind it that would; else the hub itself.
        """
        for role in (*self.behind, *self.roles):
            if role.role != "HUB" and (role.role == SENDERS[module]) == (side == "RECEIVER"):
                return role
        return self.roles[0]

    def plays(self, party: Party, module: str, side: str) -> bool:
        """Whether ``party`` is one of ours and has a role that serves this interface."""
        return any(same_party(role.party, party) and serves(role.role, module, side) for role in self.roles)


def serves(role: str, module: str, side: str) -> bool:
    """Whether a party with this role has this interface."""
    return (role == SENDERS[module]) == (side == "SENDER")


def _sides(role: str, module: str, sender: str) -> tuple[str, ...]:
    if role == "HUB" and module in ROUTED:
        return ("SENDER", "RECEIVER")
    return ("SENDER",) if role == sender else ("RECEIVER",)


def _alpha_2(role: Role) -> Role:
    return evolve(role, country_code=_ALPHA_2.get(role.country_code.upper(), role.country_code))


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

    @property
    def hub(self) -> Party | None:
        """Its party, if it is a hub."""
        return next((role.party for role in self.roles if role.role == "HUB"), None)

    def receiver(self, module: str, side: str) -> Party | None:
        """The one party over there that serves this interface; None if there isn't exactly one."""
        fitting = [role.party for role in self.roles if role.role != "HUB" and serves(role.role, module, side)]
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
