"""Commands and their answers.

A 2.2.1 command is answered by a CommandResponse at once and a CommandResult later; in 2.1.1 both are a CommandResponse
with one word. ``response_url`` passes: whoever relays the command puts its own there. The location of a command belongs
to the CPO that it is for (``crossing.peer``), its token to the sender (``crossing.owner``).

Spec: 2.1.1 ``mod_commands``; 2.2.1 ``mod_commands``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from adapters.fieldmap import FieldMap, inside, newer, times, value
from adapters.ocpi_2_1_1 import objects as old
from adapters.ocpi_2_1_1.maps.ids import full_id, same_id, short_id
from adapters.ocpi_2_1_1.maps.tokens import TOKEN
from gateway.model.commands import (
    CommandResponse,
    CommandResult,
    ReserveNow,
    StartSession,
    StopSession,
    UnlockConnector,
)
from gateway.model.facts import ABSENT, UNKNOWN, Crossing, FactKind, Key, Lossy, Withheld
from gateway.model.locations import Capability

_DEFAULT_TIMEOUT: Final = 30  # seconds
_CANCELED_POLICY: Final = "commands.cancelled_reservation_211"
_RESULTS: Final = frozenset(old.CommandResponseType)
_MOST_OF_AN_INT: Final = 2**31 - 1

# --- commands -------------------------------------------------------------------------------------------------------


def only_connector(source: Mapping[str, Any], crossing: Crossing) -> Any:
    """the EVSE's only one, where a start must name it; several: can't be said"""
    if source.get("evse_uid") is None:
        return ABSENT
    location = crossing.facts.ask(Key(FactKind.LOCATION, crossing.peer, source["location_id"]))
    evses = [] if location is UNKNOWN else location.get("evses") or []
    evse = next((evse for evse in evses if same_id(evse["uid"], source["evse_uid"])), None)
    if evse is None or Capability.START_SESSION_CONNECTOR_REQUIRED not in (evse.get("capabilities") or ()):
        return ABSENT
    if len(evse["connectors"]) > 1:
        raise Withheld("the EVSE has several connectors and must be told which, and the command can't")
    return evse["connectors"][0]["id"]


def as_text(value: int) -> str:
    """its digits"""
    return str(value)


def number_of_reservation(value: str, crossing: Crossing) -> Any:
    """the number that stands for it at the receiver"""
    # Two eMSPs may use the same id, and an id may be any text: numbers are given out, never computed.
    known = crossing.facts.ask(Key(FactKind.RESERVATION, crossing.owner, value))
    if known is not UNKNOWN:
        return known
    if value.isascii() and value.isdecimal() and str(int(value)) == value and int(value) <= _MOST_OF_AN_INT:
        return int(value)
    raise Withheld("no number stands for this reservation")


def _place(name: str) -> Any:
    return value(name, up=short_id, down=full_id, loses="ids over 36 characters")


START_SESSION = FieldMap(
    StartSession,
    inside("token", TOKEN),
    _place("location_id"),
    _place("evse_uid"),
    newer("connector_id", default=only_connector, loses="the connector"),
    newer("authorization_reference", loses="the eMSP's reference"),
    older=old.StartSession,
)

RESERVE_NOW = FieldMap(
    ReserveNow,
    inside("token", TOKEN),
    times("expiry_date"),
    value("reservation_id", up=as_text, down=number_of_reservation),
    _place("location_id"),
    _place("evse_uid"),
    newer("authorization_reference", loses="the eMSP's reference"),
    older=old.ReserveNow,
)

STOP_SESSION = FieldMap(StopSession, older=old.StopSession)

UNLOCK_CONNECTOR = FieldMap(
    UnlockConnector,
    _place("location_id"),
    _place("evse_uid"),
    older=old.UnlockConnector,
)

# --- answers --------------------------------------------------------------------------------------------------------

_SAID_OTHERWISE: Final = {
    "TIMEOUT": "The charge point didn't answer in time.",
    "UNKNOWN_SESSION": "The session is unknown.",
}


def _text(reason: str) -> list[dict[str, str]]:
    return [{"language": "en", "text": reason}]


def known_response(value: str) -> Any:
    """TIMEOUT is written REJECTED"""
    return Lossy("REJECTED", "TIMEOUT is written REJECTED, with a message") if value == "TIMEOUT" else value


def message_of_response(source: Mapping[str, Any]) -> Any:
    """says TIMEOUT in words"""
    return _text(_SAID_OTHERWISE["TIMEOUT"]) if source["result"] == "TIMEOUT" else ABSENT


def known_result(value: str) -> Any:
    """UNKNOWN_SESSION is written REJECTED"""
    if value != "UNKNOWN_SESSION":
        return value
    return Lossy("REJECTED", "UNKNOWN_SESSION is written REJECTED, with a message")


def message_of_result(source: Mapping[str, Any]) -> Any:
    """says UNKNOWN_SESSION in words"""
    return _text(_SAID_OTHERWISE["UNKNOWN_SESSION"]) if source["result"] == "UNKNOWN_SESSION" else ABSENT


def result_of_two(value: str, crossing: Crossing) -> Any:
    """CANCELED_RESERVATION can't be said; anything but ACCEPTED, NOT_SUPPORTED and TIMEOUT is written REJECTED"""
    if value != "CANCELED_RESERVATION":
        return response_of_two(value)
    if crossing.policy.commands_cancelled_reservation_211 == "reject":
        return Lossy("REJECTED", "CANCELED_RESERVATION is written REJECTED", _CANCELED_POLICY)
    raise Withheld("nothing says that a reservation was cancelled", policy=_CANCELED_POLICY)


def response_of_two(value: str) -> Any:
    """anything unknown is written REJECTED"""
    return value if value in _RESULTS else Lossy("REJECTED", f"{value} is written REJECTED")


COMMAND_RESPONSE = FieldMap(
    CommandResponse,
    value("result", up=known_response, down=response_of_two, loses="TIMEOUT upwards"),
    newer(
        "timeout",
        # Whoever relays the answer puts the link's own time there (``commands.timeout``).
        default=Lossy(_DEFAULT_TIMEOUT, "no timeout is said: the one agreed on stands for it"),
        loses="the time to wait for the result",
    ),
    newer("message", default=message_of_response, loses="the reason in words"),
    older=old.CommandResponse,
)

COMMAND_RESULT = FieldMap(
    CommandResult,
    value("result", up=known_result, down=result_of_two, loses="which kind of rejection"),
    newer("message", default=message_of_result, loses="the reason in words"),
    older=old.CommandResponse,
)
