"""Tokens, authorizations, and the token of a session or CDR.

2.1.1 names a driver's contract (``auth_id``), 2.2.1 the token as well (``cdr_token``: whose, uid, type, contract). On
the way up the token is found among those that its eMSP announced; a session keeps the one that was found first, and its
CDR has the same. A token that nobody knows is no reason to refuse anything: its uid is ``#NA``.

Spec: 2.1.1 ``mod_tokens``; 2.2.1 ``mod_tokens``, ``mod_cdrs`` CdrToken class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from adapters.fieldmap import FieldMap, inside, lossy, newer, older, rename, substituted, times, value
from adapters.ocpi_2_1_1 import objects as old
from adapters.ocpi_2_1_1.maps.ids import (
    NOT_AVAILABLE,
    full_id,
    full_ids,
    owner,
    owner_country,
    owner_id,
    same_id,
    short_id,
    short_ids,
)
from gateway.model.facts import ABSENT, UNKNOWN, Crossing, FactKind, Key, Lossy
from gateway.model.party import Party
from gateway.model.tokens import AllowedType, AuthorizationInfo, LocationReferences, Token, TokenType, WhitelistType
from gateway.model.values import moment, says_nothing

# --- tokens ---------------------------------------------------------------------------------------------------------

_APP_TYPES: Final = frozenset({TokenType.APP_USER, TokenType.AD_HOC_USER})


def original_type(value: str, source: Mapping[str, Any], crossing: Crossing) -> Any:
    """OTHER becomes the type under which the token is already known"""
    if value != TokenType.OTHER:
        return value
    known = crossing.facts.ask(Key(FactKind.TOKENS_OF_UID, owner(crossing), source["uid"]))
    types = {
        token["type"]
        for token in ([] if known is UNKNOWN else known)
        if token["type"] in _APP_TYPES and same_id(token["contract_id"], source["auth_id"])
    }
    return types.pop() if len(types) == 1 else value


TOKEN = FieldMap(
    Token,
    newer("country_code", default=owner_country),
    newer("party_id", default=owner_id),
    value(
        "type",
        up=original_type,
        down=substituted({"APP_USER": "OTHER", "AD_HOC_USER": "OTHER"}, otherwise="OTHER", known=set(old.TokenType)),
        loses="APP_USER and AD_HOC_USER",
    ),
    rename("auth_id", "contract_id"),
    newer("group_id", loses="the group of tokens that count as one"),
    newer("default_profile_type", loses="the driver's charging preference"),
    newer("energy_contract", loses="the driver's energy contract"),
    times("last_updated"),
    older=old.Token,
)

# --- authorizations -------------------------------------------------------------------------------------------------


def requested_connectors(crossing: Crossing) -> Any:
    """those of the question, if the answer allows the place"""
    references = crossing.asked.references if crossing.asked else None
    return (references or {}).get("connector_ids") or ABSENT


LOCATION_REFERENCES = FieldMap(
    LocationReferences,
    value("location_id", up=short_id, down=full_id, loses="ids over 36 characters"),
    value("evse_uids", up=short_ids, down=full_ids, loses="ids over 36 characters"),
    older("connector_ids", loses="the connectors"),
    older=old.LocationReferences,
)

ANSWERED_REFERENCES = LOCATION_REFERENCES.but(
    older("connector_ids", default=requested_connectors, loses="the connectors"),
    title="LocationReferences (of an answer)",
)


def token_asked_about(source: Mapping[str, Any], crossing: Crossing) -> Any:
    """the token asked about, as far as it is known"""
    asked = (crossing.asked.token if crossing.asked else None) or {}
    known = {name: content for name, content in asked.items() if content is not None}
    made_up = _made_up_token(known, source, crossing)
    if made_up.keys() <= known.keys():
        return known
    reason = "the token asked about isn't known as a whole; the rest is made up"
    return Lossy(made_up | known, reason if known else f"the token asked about isn't known: its uid is {NOT_AVAILABLE}")


def _made_up_token(known: Mapping[str, Any], answer: Mapping[str, Any], crossing: Crossing) -> dict[str, Any]:
    """What a Token must have, for one of which no more is known than the answer tells."""
    party = owner(crossing)
    business = {} if "issuer" in known else crossing.facts.ask(Key(FactKind.BUSINESS, party, str(party)))
    uid = known.get("uid", NOT_AVAILABLE)
    return {
        "country_code": party.country_code,
        "party_id": party.party_id,
        "uid": uid,
        "type": TokenType.OTHER.value,
        "contract_id": uid,
        "issuer": NOT_AVAILABLE if business is UNKNOWN else business.get("name", NOT_AVAILABLE),
        "valid": answer["allowed"] == AllowedType.ALLOWED,
        "whitelist": WhitelistType.NEVER.value,
        "last_updated": crossing.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


AUTHORIZATION_INFO = FieldMap(
    AuthorizationInfo,
    newer("token", default=token_asked_about, loses="the token, which whoever asked knows"),
    inside("location", ANSWERED_REFERENCES),
    newer("authorization_reference", loses="the eMSP's reference"),
    older=old.AuthorizationInfo,
)

# --- the token of a session or CDR ----------------------------------------------------------------------------------

_NOBODY: Final = Party("XX", NOT_AVAILABLE)
"""Owner of a token when not even the other side is known. XX is nobody's country (ISO 3166-1, user-assigned)."""


def cdr_token(
    auth_id: str, known: Mapping[str, Any] | None, place: tuple[str, str], start: str, crossing: Crossing
) -> Any:
    """The CdrToken for an ``auth_id``, Lossy where it is made up.

    Of several tokens of the contract it is the one that was lately meant at this place, by a command or an
    authorization (a token that is only used in commands need never have been announced); else cards come first.

    Args:
        known: the stored Session in the newest shape, if there is one: the token found for it stays.
        place: the ids of location and EVSE.
        start: when the session began, a DateTime.
    """
    if known and auth_id.upper() in _names(known["cdr_token"]):
        return known["cdr_token"]
    recent, of_contract = crossing.facts.ask_all(
        [Key(FactKind.RECENT_TOKENS, crossing.owner, auth_id, place), Key(FactKind.TOKENS_OF_CONTRACT, None, auth_id)]
    )
    for use in recent or ():
        if moment(use["since"]) <= moment(start) <= moment(use["until"]):
            return use["token"]
    if of_contract:
        return _as_cdr_token(_preferred(of_contract, crossing.peer))
    # Some CPOs write the uid of the token where the contract belongs.
    if of_uid := _asked(FactKind.TOKENS_OF_UID, auth_id, crossing):
        return Lossy(
            _as_cdr_token(_preferred(of_uid, crossing.peer)), "a token's uid stands in the place of its contract"
        )
    party = crossing.peer or _NOBODY
    unknown = {
        "country_code": party.country_code,
        "party_id": party.party_id,
        "uid": NOT_AVAILABLE,
        "type": TokenType.OTHER.value,
        "contract_id": auth_id,
    }
    return Lossy(unknown, f"no token of this contract is known: its uid is {NOT_AVAILABLE}, its type OTHER")


def _names(token: Mapping[str, Any]) -> set[str]:
    return {token["contract_id"].upper(), token["uid"].upper()}


def _asked(kind: FactKind, id: str, crossing: Crossing) -> list[Any]:
    found = crossing.facts.ask(Key(kind, None, id))
    return [] if found is UNKNOWN else list(found)


def _preferred(tokens: Iterable[Mapping[str, Any]], peer: Party | None) -> Mapping[str, Any]:
    """The other side's tokens before others', cards before the rest, then the newest."""

    def order(token: Mapping[str, Any]) -> tuple[Any, ...]:
        theirs = peer is not None and Party(token["country_code"], token["party_id"]) == peer
        return theirs, token["type"] == TokenType.RFID, moment(token["last_updated"])

    return max(tokens, key=order)


def _as_cdr_token(token: Mapping[str, Any]) -> dict[str, Any]:
    return {name: token[name] for name in ("country_code", "party_id", "uid", "type", "contract_id")}


def contract(value: Mapping[str, Any]) -> Any:
    """its contract_id"""
    beside = [name for name, content in value.items() if name not in _CARRIED and not says_nothing(content)]
    return lossy(value["contract_id"], {(name,): "no room beside the contract" for name in beside})


_CARRIED: Final = frozenset({"contract_id", "country_code", "party_id"})  # whose it is, the link says
