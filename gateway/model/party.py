"""Parties and roles: who speaks, and who may speak to whom."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Self

from attrs import field, frozen

from gateway.model.country import alpha_2


class Role(StrEnum):
    """Role of a party. Spec: 2.2.1 ``types``, Role enum. 2.1.1 has no such field; there it comes from configuration."""

    CPO = "CPO"
    EMSP = "EMSP"
    HUB = "HUB"
    NAP = "NAP"
    NSP = "NSP"
    OTHER = "OTHER"
    SCSP = "SCSP"


# 2.2.1 transport_and_format, Broadcast Push: to the opposite role only; OTHER counts as eMSP-like.
_DEMAND_SIDE: Final = frozenset({Role.EMSP, Role.NSP, Role.NAP, Role.SCSP, Role.OTHER})


def is_supply(role: Role) -> bool:
    """Whether the role sits on the CPO's side of the table (charge points), rather than the driver's."""
    return role is Role.CPO


def opposite(role: Role) -> frozenset[Role]:
    """The roles that a party of this role talks to. A hub talks to everyone."""
    if role is Role.HUB:
        return frozenset(Role)
    if is_supply(role):
        return _DEMAND_SIDE | {Role.HUB}
    return frozenset({Role.CPO, Role.HUB})


def _upper(code: str) -> str:
    return code.upper()


@frozen(order=True)
class Party:
    """A party: ISO 3166-1 alpha-2 country code and a three-character id, compared without case.

    Spec: 2.2.1 ``credentials`` 1.4.2 (CiString(2), CiString(3)); 2.1.1 ``credentials`` 2.1.
    """

    country_code: str = field(converter=_upper)
    party_id: str = field(converter=_upper)

    @classmethod
    def of(cls, country_code: str, party_id: str) -> Self:
        """A party from codes as a peer writes them: alpha-2 or alpha-3, any case.

        Raises:
            ValueError: the country is unknown, or an id isn't one to three printable ASCII characters.
        """
        country = alpha_2(country_code)
        if country is None:
            raise ValueError(f"unknown country code {country_code!r}")
        if not (1 <= len(party_id) <= 3 and party_id.isascii() and party_id.isalnum()):
            raise ValueError(f"party id {party_id!r} is not one to three letters or digits")
        return cls(country, party_id)

    @classmethod
    def parse(cls, text: str) -> Self:
        """``NL-EXA`` (or ``NLD-EXA``) as a party.

        Raises:
            ValueError: the text is not of that form.
        """
        country, dash, party_id = text.partition("-")
        if not dash:
            raise ValueError(f"{text!r} is not of the form CC-PID, for example NL-EXA")
        return cls.of(country, party_id)

    def __str__(self) -> str:
        return f"{self.country_code}-{self.party_id}"
