"""The error tree. Each error knows whose fault it is, its OCPI status and its HTTP status.

    GatewayError
    ├── SenderError        2xxx  the party that sent the request made the mistake
    │   ├── InvalidObject  2001  a field is missing, mistyped or contradicts another; names it with its JSON path
    │   ├── NotEnough      2002
    │   ├── UnknownLocation 2003
    │   ├── UnknownToken   2004  HTTP 404
    │   ├── NotFound       2001  HTTP 404: nobody's object, or somebody else's
    │   ├── Unauthorized   2001  HTTP 401
    │   ├── BadJson        2001  HTTP 400: it can't be read at all
    │   └── NotAllowed     2000  HTTP 405
    ├── ReceiverError      3xxx  the party (or the gateway) that had to answer couldn't
    │   ├── UnusableApi    3001  registration: the caller's own API can't be used
    │   ├── NoCommonVersion 3002
    │   ├── MissingEndpoints 3003
    │   └── NotDurable     3000  what must be stored can't be, just now
    └── RoutingError       4xxx  the gateway, as a hub, couldn't deliver
        ├── UnknownReceiver 4001
        ├── ReceiverTimeout 4002
        └── NotConnected   4003
            └── NotAdmitted     they don't know us

Spec: 2.2.1 ``status_codes``; 2.1.1 ``status_codes`` (no 2004, no 4xxx: the 2.1.1 adapter maps what that version lacks).
The HTTP status is 200 wherever the request reached the OCPI layer (2.2.1 ``status_codes``), but for unknown objects
(404), authentication (401), unreadable bodies (400), methods (405) and sizes (413).
"""

from __future__ import annotations


class GatewayError(Exception):
    """Base of the tree: ``status`` is the OCPI status code, ``http`` the HTTP status, the text the status_message."""

    status: int = 3000
    http: int = 200

    def __init__(self, message: str, *, status: int | None = None, http: int | None = None) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status
        if http is not None:
            self.http = http

    @property
    def message(self) -> str:
        return str(self.args[0])


class SenderError(GatewayError):
    """The sender of the request made the mistake (2xxx)."""

    status = 2000


class InvalidObject(SenderError):
    """A field is missing, mistyped, or contradicts the URL, a header or another field.

    The message is ``<JSON path>: <what>``, for example ``$.evses[2].connectors[0].voltage: required``.
    """

    status = 2001

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path
        self.what = what


class NotEnough(SenderError):
    """Not enough information, for example an authorization that needs LocationReferences (2002)."""

    status = 2002


class UnknownLocation(SenderError):
    """The location, EVSE or connector is unknown (2003)."""

    status = 2003


class UnknownToken(SenderError):
    """The token is unknown to its eMSP: HTTP 404 with 2004. Spec: 2.2.1 ``mod_tokens`` 11.2.2.2."""

    status = 2004
    http = 404


class NotFound(SenderError):
    """Nobody's object, or somebody else's: HTTP 404, so that the owner falls back to PUT."""

    status = 2001
    http = 404


class Unauthorized(SenderError):
    """No token, or not a valid one."""

    status = 2001
    http = 401


class BadJson(SenderError):
    """The body is not the JSON it claims to be."""

    status = 2001
    http = 400


class TooLarge(SenderError):
    """A body over the limit."""

    status = 2001
    http = 413


class NotAllowed(SenderError):
    """A method that this resource doesn't have, or not in this state. ``allow`` fills the header of that name."""

    status = 2000
    http = 405

    def __init__(self, message: str, allow: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.allow = allow


class ReceiverError(GatewayError):
    """The side that had to answer couldn't (3xxx)."""

    status = 3000


class UnusableApi(ReceiverError):
    """The caller's own API can't be used (3001). Spec: ``status_codes`` 3001."""

    status = 3001


class NoCommonVersion(ReceiverError):
    """The caller doesn't offer the version whose endpoint it called (3002)."""

    status = 3002


class MissingEndpoints(ReceiverError):
    """Endpoints that the registration requires are missing (3003)."""

    status = 3003


class NotDurable(ReceiverError):
    """What must be stored before it is acknowledged can't be stored just now (3000)."""


class RoutingError(GatewayError):
    """The gateway, acting as a hub, couldn't deliver (4xxx)."""

    status = 4000


class UnknownReceiver(RoutingError):
    """Nobody is known, or reachable for this sender, under the party in ``OCPI-to-*`` (4001)."""

    status = 4001


class ReceiverTimeout(RoutingError):
    """The receiver didn't answer in time (4002)."""

    status = 4002


class NotConnected(RoutingError):
    """The receiver is known but not connected (4003)."""

    status = 4003


class NotAdmitted(NotConnected):
    """It isn't registered, or doesn't accept our token: that is about us, and not about what was to be sent."""
