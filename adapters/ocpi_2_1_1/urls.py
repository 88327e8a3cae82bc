"""The paths of OCPI 2.1.1, module by module, as far as they are served.

The specification speaks of a module's "CPO interface" and "eMSP interface", and so does the first segment below the
version: ``cpo`` or ``emsp``, the role that *we* play to the caller. Inside, an interface is the owner's (SENDER) or its
opposite's (RECEIVER), and which is which follows from who owns the module's objects.

Spec: 2.1.1, "Interfaces and endpoints" of each module.
"""

from __future__ import annotations

from typing import Final

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


def _path(interface: Role, module: Module, below: str, verbs: tuple[Verb, ...], kind: Kind) -> Path:
    return Path(module, side_of(module, interface), below, verbs, kind)


_DELETE, _GET, _PATCH, _POST, _PUT = Verb.DELETE, Verb.GET, Verb.PATCH, Verb.POST, Verb.PUT
_OWNED: Final = "{country_code}/{party_id}"
_LOCATION: Final = f"{_OWNED}/{{location_id}}"
_EVSE: Final = f"{_LOCATION}/{{evse_uid}}"

PATHS: Final = Paths(
    (
        #     interface  module            below the endpoint         verbs                    body
        _path(Role.EMSP, Module.LOCATIONS, _LOCATION, (_PUT, _PATCH), Kind.LOCATION),
        _path(Role.EMSP, Module.LOCATIONS, _EVSE, (_PUT, _PATCH), Kind.EVSE),
        _path(Role.EMSP, Module.LOCATIONS, f"{_EVSE}/{{connector_id}}", (_PUT, _PATCH), Kind.CONNECTOR),
        _path(Role.EMSP, Module.SESSIONS, f"{_OWNED}/{{session_id}}", (_PUT, _PATCH), Kind.SESSION),
        _path(Role.EMSP, Module.CDRS, "", (_POST,), Kind.CDR),
        _path(Role.EMSP, Module.CDRS, "{cdr}", (_GET,), Kind.CDR),  # what Location says; ours to define
        _path(Role.EMSP, Module.TARIFFS, f"{_OWNED}/{{tariff_id}}", (_PUT, _PATCH, _DELETE), Kind.TARIFF),
        _path(Role.CPO, Module.TOKENS, f"{_OWNED}/{{token_uid}}", (_PUT, _PATCH), Kind.TOKEN),
        Path(
            Module.TOKENS,
            side_of(Module.TOKENS, Role.EMSP),
            "{token_uid}/authorize",
            (_POST,),
            Kind.LOCATION_REFERENCES,
            answer=Kind.AUTHORIZATION_INFO,
            action="authorize",
            body_optional=True,
        ),
    )
)
