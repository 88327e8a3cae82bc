"""The paths of OCPI 2.2.1, module by module.

The first segment below the version is the interface that we play: ``sender`` or ``receiver``. It is ours alone, no
convention of the specification: other platforms say in their version details where their interfaces are.

Spec: 2.2.1, "Interfaces and endpoints" of each module.
"""

from __future__ import annotations

from typing import Final

from adapters.paths import Path, Paths
from gateway.model.modules import Kind, Module, Side, Verb

_DELETE, _GET, _PATCH, _POST, _PUT = Verb.DELETE, Verb.GET, Verb.PATCH, Verb.POST, Verb.PUT
_OWNED: Final = "{country_code}/{party_id}"
_LOCATION: Final = "{location_id}"
_EVSE: Final = "{location_id}/{evse_uid}"
_CONNECTOR: Final = "{location_id}/{evse_uid}/{connector_id}"
_RECEIVER, _SENDER = Side.RECEIVER, Side.SENDER

_LOCATIONS: Final = (
    #    module            side       below the endpoint           verbs                body
    Path(Module.LOCATIONS, _SENDER, "", (_GET,), Kind.LOCATION),
    Path(Module.LOCATIONS, _SENDER, _LOCATION, (_GET,), Kind.LOCATION),
    Path(Module.LOCATIONS, _SENDER, _EVSE, (_GET,), Kind.EVSE),
    Path(Module.LOCATIONS, _SENDER, _CONNECTOR, (_GET,), Kind.CONNECTOR),
    Path(Module.LOCATIONS, _RECEIVER, f"{_OWNED}/{_LOCATION}", (_GET, _PUT, _PATCH), Kind.LOCATION),
    Path(Module.LOCATIONS, _RECEIVER, f"{_OWNED}/{_EVSE}", (_GET, _PUT, _PATCH), Kind.EVSE),
    Path(Module.LOCATIONS, _RECEIVER, f"{_OWNED}/{_CONNECTOR}", (_GET, _PUT, _PATCH), Kind.CONNECTOR),
)
_SESSIONS: Final = (
    Path(Module.SESSIONS, _SENDER, "", (_GET,), Kind.SESSION, required=("date_from",)),
    Path(
        Module.SESSIONS,
        _SENDER,
        "{session_id}/charging_preferences",
        (_PUT,),
        Kind.CHARGING_PREFERENCES,
        word=True,  # a ChargingPreferencesResponse
        action="charging_preferences",
    ),
    Path(Module.SESSIONS, _RECEIVER, f"{_OWNED}/{{session_id}}", (_GET, _PUT, _PATCH), Kind.SESSION),
)
_CDRS: Final = (
    Path(Module.CDRS, _SENDER, "", (_GET,), Kind.CDR),
    Path(Module.CDRS, _RECEIVER, "", (_POST,), Kind.CDR),
    Path(Module.CDRS, _RECEIVER, "{cdr}", (_GET,), Kind.CDR),  # what Location says; ours to define
    # Not in the specification; several peers post there, and read below it (``cdrs.post_url``).
    Path(Module.CDRS, _RECEIVER, _OWNED, (_POST,), Kind.CDR),
    Path(Module.CDRS, _RECEIVER, f"{_OWNED}/{{cdr}}", (_GET,), Kind.CDR),
)
_TARIFFS: Final = (
    Path(Module.TARIFFS, _SENDER, "", (_GET,), Kind.TARIFF),
    Path(Module.TARIFFS, _RECEIVER, f"{_OWNED}/{{tariff_id}}", (_GET, _PUT, _DELETE), Kind.TARIFF),
)
_TOKENS: Final = (
    Path(Module.TOKENS, _SENDER, "", (_GET,), Kind.TOKEN),
    Path(
        Module.TOKENS,
        _SENDER,
        "{token_uid}/authorize",
        (_POST,),
        Kind.LOCATION_REFERENCES,
        answer=Kind.AUTHORIZATION_INFO,
        action="authorize",
        body_optional=True,
    ),
    Path(Module.TOKENS, _RECEIVER, f"{_OWNED}/{{token_uid}}", (_GET, _PUT, _PATCH), Kind.TOKEN),
)


def _command(kind: Kind) -> Path:
    name = kind.upper()  # CommandType has the names of the objects
    return Path(Module.COMMANDS, _RECEIVER, name, (_POST,), kind, answer=Kind.COMMAND_RESPONSE, action=name)


_COMMANDS: Final = (
    _command(Kind.CANCEL_RESERVATION),
    _command(Kind.RESERVE_NOW),
    _command(Kind.START_SESSION),
    _command(Kind.STOP_SESSION),
    _command(Kind.UNLOCK_CONNECTOR),
)


def _profile(verb: Verb, *required: str) -> Path:
    """A request about the profile of a session: with the CPO's answer at once, and the result of the EVSE later."""
    return Path(
        Module.CHARGING_PROFILES,
        _RECEIVER,
        "{session_id}",
        (verb,),
        Kind.SET_CHARGING_PROFILE,
        answer=Kind.CHARGING_PROFILE_RESPONSE,
        required=required,
    )


_CHARGING_PROFILES: Final = (
    _profile(_GET, "duration", "response_url"),
    _profile(_PUT),
    _profile(_DELETE, "response_url"),
    Path(Module.CHARGING_PROFILES, _SENDER, "{session_id}", (_PUT,), Kind.ACTIVE_CHARGING_PROFILE),
)
_HUB_CLIENT_INFO: Final = (
    Path(Module.HUB_CLIENT_INFO, _SENDER, "", (_GET,), Kind.CLIENT_INFO),
    Path(Module.HUB_CLIENT_INFO, _RECEIVER, _OWNED, (_GET, _PUT), Kind.CLIENT_INFO),
)

PATHS: Final = Paths(
    (
        *_LOCATIONS,
        *_SESSIONS,
        *_CDRS,
        *_TARIFFS,
        *_TOKENS,
        *_COMMANDS,
        *_CHARGING_PROFILES,
        *_HUB_CLIENT_INFO,
    )
)
