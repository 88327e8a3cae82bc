"""The paths of OCPI 2.1.1, module by module.

The specification speaks of a module's "CPO interface" and "eMSP interface", and so does the first segment below the
version: ``cpo`` or ``emsp``, the role that *we* play to the caller. Inside, an interface is the owner's (SENDER) or its
opposite's (RECEIVER), and which is which follows from who owns the module's objects.

Spec: 2.1.1, "Interfaces and endpoints" of each module.
"""

from __future__ import annotations

from typing import Any, Final

from adapters.paths import Path, Paths
from gateway.model.modules import MODULES, Kind, Module, Side, Verb
from gateway.model.party import Role

# The modules of this version. Spec: ``version_information_endpoint``, ModuleID.
KNOWN: Final = frozenset(Module) - {Module.CHARGING_PROFILES, Module.HUB_CLIENT_INFO, Module.VERSIONS}

INTERFACES: Final = {"cpo": Role.CPO, "emsp": Role.EMSP}


def side_of(module: Module, role: Role) -> Side:
    """The side that the CPO's or eMSP's interface of a module is."""
    return Side.SENDER if MODULES[module].owner is role else Side.RECEIVER


def segment_of(module: Module, side: Side) -> str:
    """``cpo`` or ``emsp``: whose interface that side of a module is."""
    return next(segment for segment, role in INTERFACES.items() if side_of(module, role) is side)


def _path(interface: Role, module: Module, below: str, verbs: tuple[Verb, ...], kind: Kind, **more: Any) -> Path:
    return Path(module, side_of(module, interface), below, verbs, kind, **more)


_DELETE, _GET, _PATCH, _POST, _PUT = Verb.DELETE, Verb.GET, Verb.PATCH, Verb.POST, Verb.PUT
_CPO, _EMSP = Role.CPO, Role.EMSP
_OWNED: Final = "{country_code}/{party_id}"
_LOCATION: Final = "{location_id}"
_EVSE: Final = "{location_id}/{evse_uid}"
_CONNECTOR: Final = "{location_id}/{evse_uid}/{connector_id}"


def _command(kind: Kind) -> Path:
    name = kind.upper()  # the names of the commands are those of their objects
    # Before its correction (2.1.1-d2, changelog) the specification had a bare word for the answer.
    return _path(_CPO, Module.COMMANDS, name, (_POST,), kind, answer=Kind.COMMAND_RESPONSE, word=True, action=name)


PATHS: Final = Paths(
    (
        #     interface, module, below the endpoint, verbs, body
        _path(_CPO, Module.LOCATIONS, "", (_GET,), Kind.LOCATION),
        _path(_CPO, Module.LOCATIONS, _LOCATION, (_GET,), Kind.LOCATION),
        _path(_CPO, Module.LOCATIONS, _EVSE, (_GET,), Kind.EVSE),
        _path(_CPO, Module.LOCATIONS, _CONNECTOR, (_GET,), Kind.CONNECTOR),
        _path(_EMSP, Module.LOCATIONS, f"{_OWNED}/{_LOCATION}", (_GET, _PUT, _PATCH), Kind.LOCATION),
        _path(_EMSP, Module.LOCATIONS, f"{_OWNED}/{_EVSE}", (_GET, _PUT, _PATCH), Kind.EVSE),
        _path(_EMSP, Module.LOCATIONS, f"{_OWNED}/{_CONNECTOR}", (_GET, _PUT, _PATCH), Kind.CONNECTOR),
        _path(_CPO, Module.SESSIONS, "", (_GET,), Kind.SESSION, required=("date_from",)),
        _path(_EMSP, Module.SESSIONS, f"{_OWNED}/{{session_id}}", (_GET, _PUT, _PATCH), Kind.SESSION),
        _path(_CPO, Module.CDRS, "", (_GET,), Kind.CDR),
        _path(_EMSP, Module.CDRS, "", (_POST,), Kind.CDR),
        _path(_EMSP, Module.CDRS, "{cdr}", (_GET,), Kind.CDR),  # what Location says; ours to define
        # Not in the specification; several peers post there, and read below it (``cdrs.post_url``).
        _path(_EMSP, Module.CDRS, _OWNED, (_POST,), Kind.CDR),
        _path(_EMSP, Module.CDRS, f"{_OWNED}/{{cdr}}", (_GET,), Kind.CDR),
        _path(_CPO, Module.TARIFFS, "", (_GET,), Kind.TARIFF),
        _path(_EMSP, Module.TARIFFS, f"{_OWNED}/{{tariff_id}}", (_GET, _PUT, _PATCH, _DELETE), Kind.TARIFF),
        _path(_EMSP, Module.TOKENS, "", (_GET,), Kind.TOKEN),
        _path(_CPO, Module.TOKENS, f"{_OWNED}/{{token_uid}}", (_GET, _PUT, _PATCH), Kind.TOKEN),
        _path(
            _EMSP,
            Module.TOKENS,
            "{token_uid}/authorize",
            (_POST,),
            Kind.LOCATION_REFERENCES,
            answer=Kind.AUTHORIZATION_INFO,
            action="authorize",
            body_optional=True,
        ),
        _command(Kind.RESERVE_NOW),
        _command(Kind.START_SESSION),
        _command(Kind.STOP_SESSION),
        _command(Kind.UNLOCK_CONNECTOR),
    )
)
