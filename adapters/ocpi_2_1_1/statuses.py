"""Status codes that OCPI 2.1.1 doesn't have, said in those that it has.

Spec: 2.1.1 ``status_codes``: no 2004, no 4xxx, no ranges for custom codes; 2.2.1 ``status_codes`` has them.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.model.errors import (
    NotConnected,
    NotFound,
    ReceiverError,
    ReceiverTimeout,
    SenderError,
    UnknownLocation,
    UnknownReceiver,
    UnknownToken,
)
from gateway.model.message import Answer, Message
from gateway.model.tokens import AllowedType

_KNOWN: Final = frozenset({1000, 2000, 2001, 2002, 2003, 3000, 3001, 3002, 3003})


_UNREACHABLE: Final = frozenset({ReceiverTimeout.status, NotConnected.status})


def lowered(answer: Answer, message: Message | None) -> Answer:
    """The answer with a status of 2.1.1; a status that was replaced stands in its text.

    An unknown token is a 404 here; an unknown receiver is an unknown location where the request named one, since that
    is what a 2.1.1 caller thinks it addressed; a hub that couldn't deliver is a server that failed. An authorization
    whose eMSP can't be had isn't one: the driver is told so at once, rather than left to what a CPO makes of a failure.
    """
    if answer.status in _KNOWN:
        return answer
    if message is not None and message.action == "authorize" and answer.status in _UNREACHABLE:
        return Answer(status=1000, text=answer.text, data={"allowed": AllowedType.NOT_ALLOWED.value})
    text = f"{answer.text or 'status'} ({answer.status})"
    if answer.status == UnknownToken.status:
        return answer.evolve(status=NotFound.status, http=NotFound.http, text=text)
    return answer.evolve(status=_nearest(answer.status, message), text=text)


def _nearest(status: int, message: Message | None) -> int:
    if status == UnknownReceiver.status:
        return UnknownLocation.status if _names_a_location(message) else SenderError.status
    general = {1: 1000, 2: SenderError.status}
    return general.get(status // 1000, ReceiverError.status)


def _names_a_location(message: Message | None) -> bool:
    """Whether a request says at which location: the LocationReferences of an authorization, and commands."""
    body: Any = message.body.data if message is not None and message.body is not None else None
    return isinstance(body, dict) and "location_id" in body
