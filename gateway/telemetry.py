"""One structlog line per message, and nothing in it that isn't ours to tell.

Event names are stable identifiers (``message.forwarded``), facts are keys. ``partner`` and ``correlation_id`` are bound
once per message. The last processor before the renderer masks: values under telling key names, and every string that
was declared sensitive while the message was handled (token uids, contract ids, credentials tokens), wherever in the
line it turns up. What is masked becomes a keyed hash, so that two lines about one token can still be matched.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import structlog
from attrs import asdict, frozen
from prometheus_client import Counter, Gauge

from gateway.model.facts import Loss
from gateway.model.modules import Module

log = structlog.get_logger()

# Values under these names are hashed whatever they are.
_TELLING: Final = frozenset(
    {"uid", "contract_id", "auth_id", "visual_number", "token", "token_in", "token_out", "authorization", "secret"}
)
# Shorter strings would turn up inside innocent words.
_SHORTEST: Final = 4

_sensitive: ContextVar[frozenset[str]] = ContextVar("sensitive", default=frozenset())


class Mask:
    """The masking processor. ``key`` makes hashes comparable between lines, not reversible by a dictionary of uids."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or secrets.token_bytes(32)
        self._secrets: set[str] = set()

    def use_key(self, key: bytes) -> None:
        """From now on hash with this key (the one in Redis, so that replicas and restarts agree)."""
        self._key = key

    def guard(self, values: Iterable[str]) -> None:
        """Mask these strings in every line from now on: credentials tokens of the configuration and of handshakes."""
        self._secrets.update(value for value in values if len(value) >= _SHORTEST)

    def hash(self, value: str) -> str:
        """``#`` and 12 hex digits that stand for a value; ids compare without case, so do their hashes."""
        return "#" + hmac.new(self._key, value.upper().encode(), hashlib.sha256).hexdigest()[:12]

    def text(self, text: str) -> str:
        """The text with everything sensitive in it replaced by its hash."""
        for value in (*self._secrets, *_sensitive.get()):
            if value in text:
                text = text.replace(value, self.hash(value))
        return text

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name, value in event.items():
            event[name] = self._masked(name, value)
        return event

    def _masked(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            return self.hash(value) if name in _TELLING and value else self.text(value)
        if isinstance(value, dict):
            return {key: self._masked(key, item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._masked(name, item) for item in value]
        return value


MASK: Final = Mask()


def declare(*sensitive: str | None) -> None:
    """Mask these strings (a token's uid, a contract id) in every line that the current task still writes."""
    values = {value for value in sensitive if value and len(value) >= _SHORTEST and value != "#NA"}
    _sensitive.set(_sensitive.get() | values)


def declare_object(module: Module, canonical: Mapping[str, Any]) -> None:
    """``declare`` what names a token or a contract in an object: in a token itself, in a session's or CDR's."""
    token = canonical if module is Module.TOKENS else canonical.get("cdr_token")
    if isinstance(token, Mapping):
        declare(*(token.get(name) for name in ("uid", "contract_id", "visual_number")))


class _OneLine(logging.Filter):
    """aiohttp logs a traceback, with bytes of the offence, for each malformed request: one line, without its bytes."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[0] is not None:
            record.msg, record.args = f"malformed request: {record.exc_info[0].__name__}", ()
            record.exc_info = None
            record.exc_text = None
        return True


def configure(*, level: str = "info", pretty: bool | None = None, stream: Any = None) -> None:
    """Route structlog and the standard library's logging through one masked pipeline.

    Args:
        level: lowest level that is written.
        pretty: coloured text instead of JSON lines; left out, only on a terminal.
        stream: where to; standard error if left out, because some verbs print data.
    """
    stream = stream or sys.stderr
    if pretty is None:
        pretty = stream.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        MASK,
    ]
    # No locals in a traceback: that is where the secrets are.
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer = console if pretty else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    server = logging.getLogger("aiohttp.server")
    server.filters[:] = [_OneLine()]


MESSAGES: Final = Counter(
    "ocpi_gateway_messages",
    "OCPI requests received, by link, version, module and the OCPI status of the answer.",
    ("partner", "version", "module", "status"),
)
CROSSINGS: Final = Counter(
    "ocpi_gateway_crossings",
    "Requests sent on, by link, version, module and OCPI status (none: no answer).",
    ("partner", "version", "module", "status"),
)
LOSSES: Final = Counter(
    "ocpi_gateway_translation_losses", "Values that a translation lost, by link and module.", ("partner", "module")
)
PARKED: Final = Counter(
    "ocpi_gateway_parked",
    "What is owed and waits for a person or a change: held, refused, in doubt.",
    ("partner", "module", "state"),
)
COPIES: Final = Counter(
    "ocpi_gateway_copies",
    "Objects that came by a second way, and were not stored: their owner has a better one.",
    ("partner", "module"),
)
DECISIONS: Final = Counter(
    "ocpi_gateway_authorizations",
    "Authorizations, by the link that asked, what was answered, who decided (emsp, cache, command, nobody), and why.",
    ("partner", "allowed", "by", "reason"),
)
COMMANDS: Final = Counter(
    "ocpi_gateway_commands",
    "Commands and charging profiles, by the link that they went to, the command, and how they ended: the first answer"
    " unless it was ACCEPTED, else the result, TIMEOUT; undelivered and late results.",
    ("link", "command", "result"),
)
REGISTERED: Final = Gauge("ocpi_gateway_partner_up", "Whether a link is registered (1) or not (0).", ("partner",))
STORE_UP: Final = Gauge("ocpi_gateway_store_up", "Whether Redis answered the last time it was asked.")
STORE_DURABLE: Final = Gauge(
    "ocpi_gateway_store_durable", "Whether Redis keeps what it acknowledges as redis.durability asks for."
)
STORE_LOST: Final = Gauge(
    "ocpi_gateway_store_lost", "Whether Redis has come back without our data (1): nothing in it is believed."
)
CACHE_LOST: Final = Counter(
    "ocpi_gateway_cache_lost", "How often the Redis of redis.cache_url was found to have come back empty."
)
EVENTS_FAILED: Final = Counter(
    "ocpi_gateway_events_failed", "Posts of changes of CDRs that the receiver of events didn't take."
)
EVENTS_LAG: Final = Gauge(
    "ocpi_gateway_events_lag_seconds", "Age of the oldest change of a CDR that the receiver of events hasn't taken yet."
)
KEPT: Final = Counter(
    "ocpi_gateway_kept",
    "Pushes of partners that were kept because the backend could not take them.",
    ["partner", "module"],
)
SPARED: Final = Counter(
    "ocpi_gateway_cdrs_before_cut_over",
    "CDRs that were not owed to a link, because they ended before its cut-over.",
    ["partner"],
)
UNFILED: Final = Gauge("ocpi_gateway_owed_without_file", "Links that are owed something and have no file.", ["partner"])
CONFIG_CURRENT: Final = Gauge(
    "ocpi_gateway_config_current", "Whether the configuration that was read last is the one that counts."
)
CONFIG_CURRENT.set(1)
CONFIG_RELOADS: Final = Counter("ocpi_gateway_config_reloads", "Reloads of the configuration.", ["result"])


@frozen(kw_only=True)
class Crossed:
    """One request that went through: from a link to a link, each in its version.

    Attributes:
        status: OCPI status of the receiver's answer; None where there was none.
        losses: what the translation lost, both halves of it.
        reason: why it wasn't good; None if it was.
    """

    source: str
    source_version: str
    target: str
    target_version: str
    module: str
    verb: str
    action: str | None
    status: int | None
    losses: tuple[Loss, ...]
    ms: float
    reason: str | None = None


_watchers: list[Callable[[Crossed], None]] = []


@contextmanager
def watching(watcher: Callable[[Crossed], None]) -> Iterator[None]:
    """Show every crossing to ``watcher`` while inside."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


def crossed(crossing: Crossed) -> None:
    """Tell of a crossing: one line, the metrics, and whoever watches."""
    status = str(crossing.status or "none")
    CROSSINGS.labels(crossing.target, crossing.target_version, crossing.module, status).inc()
    if crossing.losses:
        LOSSES.labels(crossing.target, crossing.module).inc(len(crossing.losses))
    facts = asdict(crossing, recurse=False)
    facts["losses"] = [f"{loss.pointer}: {loss.reason}" for loss in crossing.losses]
    log.info("message.failed" if crossing.reason else "message.forwarded", **facts)
    for watcher in _watchers:
        watcher(crossing)
