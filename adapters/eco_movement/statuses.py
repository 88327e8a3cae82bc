"""Statuses that a feed pushes: a PATCH of an EVSE, as OCPI 2.1.1 has it, of a party that owns everything.

The URL names the feed's own party, whoever the EVSE's operator is, then the location and the EVSE as the feed knows
them. The body has a status and, not always, the moment of it.

Spec: 2.1.1 ``mod_locations`` 2.2, eMSP Interface, PATCH Method.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from adapters.eco_movement.locations import status_only
from adapters.eco_movement.prices import FEED
from gateway.model.errors import InvalidObject, NotFound
from gateway.model.party import Party
from gateway.model.values import in_utc, moment

_INTERFACE: Final = ("2.1.1", "emsp", "locations")
_IDS: Final = 4  # country code, party, location, EVSE


def pushed_evse(segments: Sequence[str]) -> tuple[str, str] | None:
    """Location id and EVSE uid that a path is about; None for one at which no statuses are pushed.

    Args:
        segments: below ``/ocpi``.

    Raises:
        NotFound: it is the EVSE of somebody else.
    """
    if tuple(segments[: len(_INTERFACE)]) != _INTERFACE or len(segments) != len(_INTERFACE) + _IDS:
        return None
    country_code, party_id, location, evse_uid = segments[len(_INTERFACE) :]
    try:
        owner = Party.of(country_code, party_id)
    except ValueError as error:
        raise NotFound(str(error)) from None
    if owner != FEED:
        raise NotFound(f"this token is for what {FEED} owns")
    return location, evse_uid


def read_status(body: Any, *, now: datetime) -> dict[str, Any]:
    """What a push says of its EVSE; always with ``last_updated``, in UTC with Z.

    Args:
        body: a JSON value, or ABSENT.
        now: stands for a ``last_updated`` that is missing.

    Raises:
        InvalidObject: it says no status, or when in words that mean no moment.
    """
    if not isinstance(body, dict):
        raise InvalidObject("$", "expected an object")
    status, when = body.get("status"), body.get("last_updated")
    if not isinstance(status, str) or not status:
        raise InvalidObject("$.status", "required" if status is None else "expected a status")
    if when is not None and not isinstance(when, str):
        raise InvalidObject("$.last_updated", "expected a date and time")
    try:
        stamp = in_utc(when) if when is not None else f"{now:%Y-%m-%dT%H:%M:%SZ}"
        moment(stamp)
    except ValueError:
        raise InvalidObject("$.last_updated", "expected a date and time") from None
    return {**status_only(body), "last_updated": stamp}
