"""Tokens of drivers and what an eMSP says about them. Spec: 2.2.1 ``mod_tokens``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from attrs import frozen

from gateway.model.types import CountryCode, DateTime, DisplayText, Id, Language, Many, Max, Open, PartyId


class AllowedType(StrEnum):
    """The answer to an authorization. Spec: 2.2.1 ``mod_tokens``, AllowedType enum."""

    ALLOWED = "ALLOWED"
    BLOCKED = "BLOCKED"
    EXPIRED = "EXPIRED"
    NO_CREDIT = "NO_CREDIT"
    NOT_ALLOWED = "NOT_ALLOWED"


class ProfileType(StrEnum):
    """What the driver prefers in smart charging. Spec: 2.2.1 ``mod_sessions``, ProfileType enum."""

    CHEAP = "CHEAP"
    FAST = "FAST"
    GREEN = "GREEN"
    REGULAR = "REGULAR"


class TokenType(StrEnum):
    """What a token is. Spec: 2.2.1 ``mod_tokens``, TokenType enum."""

    AD_HOC_USER = "AD_HOC_USER"
    APP_USER = "APP_USER"
    OTHER = "OTHER"
    RFID = "RFID"


class WhitelistType(StrEnum):
    """When a CPO may decide without asking. Spec: 2.2.1 ``mod_tokens``, WhitelistType enum."""

    ALWAYS = "ALWAYS"
    ALLOWED = "ALLOWED"
    ALLOWED_OFFLINE = "ALLOWED_OFFLINE"
    NEVER = "NEVER"


@frozen(kw_only=True)
class AuthorizationInfo:
    """What an eMSP says about a token at a place. Spec: 2.2.1 ``mod_tokens``, AuthorizationInfo object."""

    allowed: Annotated[str, Open(AllowedType)]
    token: Token  # the token that was asked about, whole
    location: LocationReferences | None = None  # where charging is allowed, if the question named a place
    authorization_reference: Annotated[str, Max(36)] | None = None  # comes back in the Session and the CDR
    info: DisplayText | None = None


@frozen(kw_only=True)
class Token:
    """A driver's token; uid and type together are unique within its eMSP. Spec: 2.2.1 ``mod_tokens``, Token object."""

    country_code: CountryCode  # of the owner, an eMSP
    party_id: PartyId  # of the owner
    uid: Annotated[Id, Max(36)]  # what a charge point reads
    type: Annotated[str, Open(TokenType)]
    contract_id: Annotated[Id, Max(36)]  # the contract, eMI3 eMA id
    visual_number: Annotated[str, Max(64)] | None = None  # as printed on the token
    issuer: Annotated[str, Max(64)]  # company, as printed on the token
    group_id: Annotated[str, Max(36)] | None = None  # tokens that count as one; OCPP 1.x knows 20 characters of it
    valid: bool
    whitelist: Annotated[str, Open(WhitelistType)]
    language: Language | None = None  # the driver's
    default_profile_type: Annotated[str, Open(ProfileType)] | None = None
    energy_contract: EnergyContract | None = None
    last_updated: DateTime


@frozen(kw_only=True)
class EnergyContract:
    """The driver's own energy contract. Spec: 2.2.1 ``mod_tokens``, EnergyContract class."""

    supplier_name: Annotated[str, Max(64)]
    contract_id: Annotated[str, Max(64)] | None = None  # at that supplier


@frozen(kw_only=True)
class LocationReferences:
    """A place by its ids. Spec: 2.2.1 ``mod_tokens``, LocationReferences class."""

    location_id: Annotated[Id, Max(36)]
    evse_uids: Many[Annotated[Id, Max(36)]] = None
