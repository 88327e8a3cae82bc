"""The envelope around every answer: data, status_code, status_message, timestamp. Its word counts first, HTTP second.

An answer counts only with a ``status_code`` that is one; an HTTP status alone says that something was there. The
exceptions are what a peer's router answers before OCPI is reached, where it is as clear: 404 for an object.

The ``timestamp`` isn't written here: adapters have no clock. The rim adds it.

Spec: 2.1.1 and 2.2.1 ``transport_and_format``, Response format; ``status_codes``.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urljoin

from adapters.paths import Path
from gateway.model.dialect import Dialect
from gateway.model.document import Document
from gateway.model.errors import NotFound, ReceiverError, UnknownToken
from gateway.model.facts import ABSENT
from gateway.model.message import Answer, Headers, HttpAnswer, Message
from gateway.model.modules import Kind, Module, Side, Verb

_AUTHORIZE: Final = "authorize"
# What peers write into an envelope when they don't know a token: the code for it, or, as 2.1.1 has none, a general one.
_SAYS_UNKNOWN_TOKEN: Final = frozenset({UnknownToken.status, 2000, 2001})


def open_answer(http: HttpAnswer, message: Message, path: Path, dialect: Dialect) -> Answer:
    """Status, data and Location of the answer to a message.

    Data is only what the specification defines for this resource; of anything else a peer may put there, nothing is
    kept. An unknown token is 2004 with HTTP 404, in whatever way this peer says it (2.2.1 ``mod_tokens``, POST
    Method, demands both; many send one).

    Raises:
        ReceiverError: it isn't an OCPI answer, or lacks the data that it must have.
    """
    answer = _without_envelope(http, message) if _status(http) is None else _enveloped(http)
    if message.action == _AUTHORIZE and _unknown_token(answer):
        return answer.evolve(status=UnknownToken.status, http=UnknownToken.http, data=ABSENT)
    if not answer.good:
        return answer.evolve(data=ABSENT)
    return answer.evolve(data=_data(answer.data, path.answer), location=_location(http.headers, message, dialect))


def _status(http: HttpAnswer) -> int | None:
    """The OCPI status code, or None: no envelope, or a code that isn't an integer of a known range."""
    status = http.body.get("status_code") if isinstance(http.body, dict) else None
    return status if type(status) is int and 1000 <= status <= 4999 else None


def _without_envelope(http: HttpAnswer, message: Message) -> Answer:
    # A CDR is posted to no object, so there 404 only says that the endpoint is wrong, or a proxy in between is.
    if http.status == 404 and message.module is not Module.CDRS:
        return Answer(status=NotFound.status, http=404, text="HTTP 404")
    raise ReceiverError(f"HTTP {http.status} without an OCPI envelope")


def _enveloped(http: HttpAnswer) -> Answer:
    text = http.body.get("status_message")
    answer = Answer(
        status=http.body["status_code"],
        http=http.status,
        text=text if isinstance(text, str) else None,
        data=http.body.get("data", ABSENT),
    )
    if not answer.good or 200 <= http.status <= 299:
        return answer
    if http.status == 404:
        return answer.evolve(status=NotFound.status)
    raise ReceiverError(f"HTTP {http.status} with status_code {answer.status}")


def _unknown_token(answer: Answer) -> bool:
    return answer.status == UnknownToken.status or (answer.http == 404 and answer.status in _SAYS_UNKNOWN_TOKEN)


def _data(data: Any, kind: Kind | None) -> Any:
    if kind is None:
        return ABSENT
    if not isinstance(data, dict):
        raise ReceiverError(f"an answer of success without the {kind} it must carry")
    return Document(kind, data)


def _location(headers: Headers, message: Message, dialect: Dialect) -> str | None:
    """Where the receiver keeps a CDR, absolute: it may be relative to the URL that was posted to.

    Spec: 2.1.1 ``mod_cdrs`` 2.2.2 (its example is relative), 2.2.1 ``mod_cdrs`` (POST Method).
    """
    location = headers.get("Location")
    if location is None or (message.module, message.verb) != (Module.CDRS, Verb.POST):
        return None
    try:
        return urljoin(dialect.endpoints.get((Module.CDRS, Side.RECEIVER), ""), location)
    except ValueError:
        return None  # not a URL at all; the CDR has arrived all the same


def write_answer(answer: Answer, headers: dict[str, str]) -> HttpAnswer:
    """The envelope for an answer, all but its timestamp. ``headers`` are those of the version."""
    body: dict[str, Any] = {}
    if answer.data is not ABSENT:
        body["data"] = answer.data.data if isinstance(answer.data, Document) else answer.data
    body["status_code"] = answer.status
    if answer.text is not None:
        body["status_message"] = answer.text
    if answer.location is not None:
        headers = headers | {"Location": answer.location}
    return HttpAnswer(status=answer.http, headers=headers, body=body)
