"""The paths of OCPI 2.2.1, module by module, as far as they are served.

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
_LOCATION: Final = f"{_OWNED}/{{location_id}}"
_RECEIVER, _SENDER = Side.RECEIVER, Side.SENDER

PATHS: Final = Paths(
    (
        #    module            side       below the endpoint                           verbs            body
        Path(Module.LOCATIONS, _RECEIVER, _LOCATION, (_PUT, _PATCH), Kind.LOCATION),
        Path(Module.LOCATIONS, _RECEIVER, f"{_LOCATION}/{{evse_uid}}", (_PUT, _PATCH), Kind.EVSE),
        Path(Module.LOCATIONS, _RECEIVER, f"{_LOCATION}/{{evse_uid}}/{{connector_id}}", (_PUT, _PATCH), Kind.CONNECTOR),
        Path(Module.SESSIONS, _RECEIVER, f"{_OWNED}/{{session_id}}", (_PUT, _PATCH), Kind.SESSION),
        Path(Module.CDRS, _RECEIVER, "", (_POST,), Kind.CDR),
        Path(Module.CDRS, _RECEIVER, "{cdr}", (_GET,), Kind.CDR),  # what Location says; ours to define
        Path(Module.TARIFFS, _RECEIVER, f"{_OWNED}/{{tariff_id}}", (_PUT, _DELETE), Kind.TARIFF),
        Path(Module.TOKENS, _RECEIVER, f"{_OWNED}/{{token_uid}}", (_PUT, _PATCH), Kind.TOKEN),
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
    )
)
