"""The one table of modules: who owns the object, which side sends it, whether it is owed or only passed on."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import frozen

from gateway.model.party import Role


class Module(StrEnum):
    """Module identifiers. Spec: 2.2.1 ``version_information_endpoint``, ModuleID; 2.1.1 has all but two of them."""

    CDRS = "cdrs"
    CHARGING_PROFILES = "chargingprofiles"
    COMMANDS = "commands"
    CREDENTIALS = "credentials"
    HUB_CLIENT_INFO = "hubclientinfo"
    LOCATIONS = "locations"
    SESSIONS = "sessions"
    TARIFFS = "tariffs"
    TOKENS = "tokens"
    VERSIONS = "versions"


class Side(StrEnum):
    """The interface of a module that is addressed. Spec: 2.2.1 ``version_information_endpoint``, InterfaceRole."""

    SENDER = "SENDER"
    RECEIVER = "RECEIVER"

    @property
    def other(self) -> Side:
        return Side.RECEIVER if self is Side.SENDER else Side.SENDER


class Verb(StrEnum):
    """HTTP method of a request."""

    GET = "GET"
    PUT = "PUT"
    PATCH = "PATCH"
    POST = "POST"
    DELETE = "DELETE"


class Kind(StrEnum):
    """What a document is: an object of the specification."""

    LOCATION = "location"
    EVSE = "evse"
    CONNECTOR = "connector"
    SESSION = "session"
    CDR = "cdr"
    TARIFF = "tariff"
    TOKEN = "token"  # noqa: S105 (a kind of object)
    AUTHORIZATION_INFO = "authorization_info"
    LOCATION_REFERENCES = "location_references"
    CREDENTIALS = "credentials"
    START_SESSION = "start_session"
    STOP_SESSION = "stop_session"
    RESERVE_NOW = "reserve_now"
    UNLOCK_CONNECTOR = "unlock_connector"
    CANCEL_RESERVATION = "cancel_reservation"
    COMMAND_RESPONSE = "command_response"
    COMMAND_RESULT = "command_result"
    CHARGING_PREFERENCES = "charging_preferences"
    SET_CHARGING_PROFILE = "set_charging_profile"
    ACTIVE_CHARGING_PROFILE = "active_charging_profile"
    CHARGING_PROFILE_RESPONSE = "charging_profile_response"
    CHARGING_PROFILE_RESULT = "charging_profile_result"
    ACTIVE_CHARGING_PROFILE_RESULT = "active_charging_profile_result"
    CLEAR_PROFILE_RESULT = "clear_profile_result"
    CLIENT_INFO = "client_info"


@frozen
class ModuleFacts:
    """What the core must know of a module, in any version.

    Attributes:
        kind: the object it carries, None for the configuration modules and those that carry several.
        owner: the role of the party that owns the object; its interface is the SENDER.
        functional: whether routing headers apply (2.2.1 ``transport_and_format``, Message Routing Headers).
        ledger: whether a push of the backend is made durable and owed, rather than passed on live.
        broadcast: whether one push may go to everyone of the opposite role (the same chapter, Broadcast Push).
    """

    kind: Kind | None
    owner: Role | None
    functional: bool = True
    ledger: bool = False
    broadcast: bool = False


MODULES: Final[dict[Module, ModuleFacts]] = {
    Module.LOCATIONS: ModuleFacts(Kind.LOCATION, Role.CPO, ledger=True, broadcast=True),
    Module.TARIFFS: ModuleFacts(Kind.TARIFF, Role.CPO, ledger=True, broadcast=True),
    Module.SESSIONS: ModuleFacts(Kind.SESSION, Role.CPO, ledger=True),
    Module.CDRS: ModuleFacts(Kind.CDR, Role.CPO, ledger=True),
    Module.TOKENS: ModuleFacts(Kind.TOKEN, Role.EMSP, ledger=True, broadcast=True),
    Module.COMMANDS: ModuleFacts(None, Role.EMSP),
    Module.CHARGING_PROFILES: ModuleFacts(Kind.SET_CHARGING_PROFILE, Role.EMSP),
    Module.HUB_CLIENT_INFO: ModuleFacts(Kind.CLIENT_INFO, Role.HUB, functional=False),
    Module.CREDENTIALS: ModuleFacts(Kind.CREDENTIALS, None, functional=False),
    Module.VERSIONS: ModuleFacts(None, None, functional=False),
}


def kind_of(module: Module) -> Kind:
    """What the objects of a module are.

    Raises:
        ValueError: the module has none.
    """
    kind = MODULES[module].kind
    if kind is None:
        raise ValueError(f"{module} has no objects")
    return kind
