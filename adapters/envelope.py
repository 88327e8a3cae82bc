"""The envelope around every answer: data, status_code, status_message, timestamp. Its word counts first, HTTP second.

An answer counts only with a ``status_code`` that is one; an HTTP status alone says that something was there. The
exceptions are what a peer's router answers before OCPI is reached, where it is as clear: 404 for an object.

The ``timestamp`` isn't written here: adapters have no clock. The rim adds it.

Spec: 2.1.1 and 2.2.1 ``transport_and_format``, Response format; ``status_codes``.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urljoin

from adapters.pages import items_of, read_page, write_page
from adapters.paths import Path
from gateway.model.dialect import Dialect
from gateway.model.document import Document
from gateway.model.errors import NotFound, ReceiverError, UnknownToken
from gateway.model.facts import ABSENT
from gateway.model.message import Answer, Headers, HttpAnswer, Message
from gateway.model.modules import Module, Verb
from gateway.model.urls import join

_AUTHORIZE: Final = "authorize"
_SUCCESS: Final = 1000
# What peers write into an envelope when they don't know a token: the code for it, or, as 2.1.1 has none, a general one.
_SAYS_UNKNOWN_TOKEN: Final = frozenset({UnknownToken.status, 2000, 2001})


def open_answer(http: HttpAnswer, message: Message, path: Path, dialect: Dialect, called: str | None = None) -> Answer:
    """Status, data and headers of the answer to a message.

    Data is only what the specification defines for this resource; of anything else a peer may put there, nothing is
    kept. An unknown token is 2004 with HTTP 404, in whatever way this peer says it (2.2.1 ``mod_tokens``, POST
    Method, demands both; many send one).

    Args:
        called: the URL that was called, if it wasn't the message's own but a link to a further page.

    Raises:
        ReceiverError: it isn't an OCPI answer, or lacks the data that it must have.
    """
    status = _status(http, dialect)
    answer = _without_envelope(http, message) if status is None else _enveloped(http, status)
    if message.action == _AUTHORIZE and _unknown_token(answer):
        return answer.evolve(status=UnknownToken.status, http=UnknownToken.http, data=ABSENT)
    if not answer.good:
        return answer.evolve(data=ABSENT)
    if path.lists:
        page = read_page(http.headers, called or _endpoint(message, dialect))
        if http.items is not None:
            return answer.evolve(data=ABSENT, page=page, items=http.items)
        return answer.evolve(data=items_of(answer.data), page=page)
    location = _location(http.headers, answer.data, message, dialect)
    return answer.evolve(data=_data(answer.data, path, message.verb), location=location)


def _endpoint(message: Message, dialect: Dialect) -> str:
    return dialect.endpoints.get((message.module, message.side), "")


def _status(http: HttpAnswer, dialect: Dialect) -> int | None:
    """The OCPI status code, or None: no envelope, or a code that isn't an integer of a known range.

    ``errors.success_test``: with peers that leave the code out when all is well, HTTP alone says it.
    """
    if not isinstance(http.body, dict):
        return None
    if "status_code" not in http.body and dialect.policy.errors_success_test == "absent_is_success":
        return _SUCCESS if 200 <= http.status <= 299 else None
    status = http.body.get("status_code")
    return status if type(status) is int and 1000 <= status <= 4999 else None


def _without_envelope(http: HttpAnswer, message: Message) -> Answer:
    # A CDR is posted to no object, so there 404 only says that the endpoint is wrong, or a proxy in between is.
    if http.status == 404 and message.module is not Module.CDRS:
        return Answer(status=NotFound.status, http=404, text="HTTP 404")
    raise ReceiverError(f"HTTP {http.status} without an OCPI envelope")


def _enveloped(http: HttpAnswer, status: int) -> Answer:
    text = http.body.get("status_message")
    answer = Answer(
        status=status,
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


def _data(data: Any, path: Path, verb: Verb) -> Any:
    kind = path.answers(verb)
    if path.word and isinstance(data, str):
        return data if kind is None else Document(kind, data)
    if kind is None and not path.word:
        return ABSENT
    if kind is None or not isinstance(data, dict):
        raise ReceiverError(f"an answer of success without the {kind or 'word'} it must carry")
    return Document(kind, data)


def _location(headers: Headers, data: Any, message: Message, dialect: Dialect) -> str | None:
    """Where the receiver keeps a CDR, absolute: it may be relative to the URL that was posted to.

    The specification has it in a header; some peers write the URL into ``data``, and with some a CDR is known to be
    under its id, and they say nothing (``cdrs.location_from``).

    Spec: 2.1.1 ``mod_cdrs`` 2.2.2 (its example is relative), 2.2.1 ``mod_cdrs`` (POST Method).
    """
    if (message.module, message.verb) != (Module.CDRS, Verb.POST):
        return None
    wanted, endpoint = dialect.policy.cdrs_location_from, _endpoint(message, dialect)
    try:
        if wanted == "by_id":
            return join(endpoint, message.ref.id)
        location = headers.get("Location")
        if location is None and wanted == "header_or_body" and isinstance(data, str) and data.startswith("http"):
            location = data
        return None if location is None else urljoin(endpoint, location)
    except ValueError:
        return None  # not a URL at all; the CDR has arrived all the same


def from_an_operator(answer: Answer, dialect: Dialect | None) -> Answer:
    """The answer as it goes to a partner: 4000, 4002 and 4003 are a hub's, which we are to backends alone.

    4001 stays for everybody: an unknown receiver is the caller's mistake, whoever it is.
    """
    if answer.status in _OF_HUBS and not (dialect is not None and dialect.backend):
        return answer.evolve(status=ReceiverError.status)
    return answer


_OF_HUBS: Final = frozenset({4000, 4002, 4003})


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
    if answer.page is not None:
        headers = headers | write_page(answer.page)
    return HttpAnswer(status=answer.http, headers=headers, body=body, items=answer.items)
