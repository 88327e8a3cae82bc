"""Commands to charge points, with their two answers. Spec: 2.2.1 ``mod_commands``.

A command is answered twice: at once by the CPO (CommandResponse), and later, at the ``response_url``, by the charge
point (CommandResult).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from attrs import frozen

from gateway.model.tokens import Token
from gateway.model.types import DateTime, DisplayText, Id, Many, Max, Open, Url


class CommandResponseType(StrEnum):
    """What the CPO says at once. Spec: 2.2.1 ``mod_commands``, CommandResponseType enum."""

    NOT_SUPPORTED = "NOT_SUPPORTED"
    REJECTED = "REJECTED"
    ACCEPTED = "ACCEPTED"
    UNKNOWN_SESSION = "UNKNOWN_SESSION"


class CommandResultType(StrEnum):
    """What the charge point says later. Spec: 2.2.1 ``mod_commands``, CommandResultType enum."""

    ACCEPTED = "ACCEPTED"
    CANCELED_RESERVATION = "CANCELED_RESERVATION"
    EVSE_OCCUPIED = "EVSE_OCCUPIED"
    EVSE_INOPERATIVE = "EVSE_INOPERATIVE"
    FAILED = "FAILED"
    NOT_SUPPORTED = "NOT_SUPPORTED"
    REJECTED = "REJECTED"
    TIMEOUT = "TIMEOUT"
    UNKNOWN_RESERVATION = "UNKNOWN_RESERVATION"


class CommandType(StrEnum):
    """The commands, by their name in the URL. Spec: 2.2.1 ``mod_commands``, CommandType enum."""

    CANCEL_RESERVATION = "CANCEL_RESERVATION"
    RESERVE_NOW = "RESERVE_NOW"
    START_SESSION = "START_SESSION"
    STOP_SESSION = "STOP_SESSION"
    UNLOCK_CONNECTOR = "UNLOCK_CONNECTOR"


@frozen(kw_only=True)
class CancelReservation:
    """Gives up a reservation. Spec: 2.2.1 ``mod_commands``, CancelReservation object."""

    response_url: Url  # where the CommandResult goes
    reservation_id: Annotated[Id, Max(36)]  # as given in the ReserveNow


@frozen(kw_only=True)
class CommandResponse:
    """The CPO's answer, at once. Spec: 2.2.1 ``mod_commands``, CommandResponse object."""

    result: Annotated[str, Open(CommandResponseType)]
    timeout: int  # s, after which no result is to be expected any more
    message: Many[DisplayText] = None  # one per language


@frozen(kw_only=True)
class CommandResult:
    """The charge point's answer, later. Spec: 2.2.1 ``mod_commands``, CommandResult object."""

    result: Annotated[str, Open(CommandResultType)]
    message: Many[DisplayText] = None  # one per language


@frozen(kw_only=True)
class ReserveNow:
    """Reserves an EVSE, or replaces a reservation. Spec: 2.2.1 ``mod_commands``, ReserveNow object."""

    response_url: Url  # where the CommandResult goes
    token: Token
    expiry_date: DateTime  # when the reservation ends
    reservation_id: Annotated[Id, Max(36)]  # the same id again replaces the reservation
    location_id: Annotated[Id, Max(36)]
    evse_uid: Annotated[Id, Max(36)] | None = None  # absent: any EVSE there
    authorization_reference: Annotated[str, Max(36)] | None = None


@frozen(kw_only=True)
class StartSession:
    """Starts a session. Spec: 2.2.1 ``mod_commands``, StartSession object."""

    response_url: Url  # where the CommandResult goes
    token: Token
    location_id: Annotated[Id, Max(36)]
    evse_uid: Annotated[Id, Max(36)] | None = None  # absent: any EVSE there; required with connector_id
    connector_id: Annotated[Id, Max(36)] | None = None  # required where the EVSE says so by its capability
    authorization_reference: Annotated[str, Max(36)] | None = None


@frozen(kw_only=True)
class StopSession:
    """Stops a session. Spec: 2.2.1 ``mod_commands``, StopSession object."""

    response_url: Url  # where the CommandResult goes
    session_id: Annotated[Id, Max(36)]


@frozen(kw_only=True)
class UnlockConnector:
    """Unlocks a stuck plug; for help desks only. Spec: 2.2.1 ``mod_commands``, UnlockConnector object."""

    response_url: Url  # where the CommandResult goes
    location_id: Annotated[Id, Max(36)]
    evse_uid: Annotated[Id, Max(36)]
    connector_id: Annotated[Id, Max(36)]
