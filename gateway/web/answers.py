"""Envelopes: from an error or an answer to the HTTP response, in the caller's version.

Every response under ``/ocpi`` carries an OCPI envelope, the router's own 404, 405 and 413 included; only what the HTTP
parser itself refuses is bare.
"""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from gateway.model.dialect import Dialect
from gateway.model.errors import GatewayError, NotAllowed
from gateway.model.message import HttpAnswer, Message
from gateway.pipeline import answer_of
from gateway.ports import Adapter
from gateway.web.json import dumps


def timestamp() -> str:
    """Now, as an envelope says it. Spec: ``types`` DateTime, UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def respond(answer: HttpAnswer, *, ascii_only: bool = False, allow: tuple[str, ...] = ()) -> web.Response:
    """The aiohttp response for a written answer; the envelope gets its timestamp here."""
    body = answer.body if isinstance(answer.body, dict) else {}
    headers = dict(answer.headers)
    if allow:
        headers["Allow"] = ", ".join(allow)
    if answer.status == 401:
        headers["WWW-Authenticate"] = "Token"
    return web.Response(
        status=answer.status,
        headers=headers,
        body=dumps({**body, "timestamp": timestamp()}, ascii_only=ascii_only),
        content_type="application/json",
        charset="utf-8",
    )


def refuse(
    error: GatewayError, adapter: Adapter, message: Message | None = None, dialect: Dialect | None = None
) -> web.Response:
    """The response for an error, in the caller's version."""
    hub = dialect is not None and dialect.backend
    written = adapter.write_answer(answer_of(error, hub=hub), message, dialect)
    allow = error.allow if isinstance(error, NotAllowed) else ()
    return respond(written, allow=allow)
