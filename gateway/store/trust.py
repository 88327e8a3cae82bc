"""Whether we may go by what this Redis says: is it ours still, and does its word last?

Each new connection is looked at before anything is said on it, and all servers once a minute, so a server that was
restarted empty, reconfigured, or promoted in another's place is found out before it is believed. Then:

*lost*   another epoch than ours, or none (``epoch.py``): nothing passes, in either direction. What is read from an
         empty Redis is as wrong as what is written to it.
*weak*   it doesn't keep its word as was asked for (``durability.py``): with ``on_weaker: refuse`` no write passes,
         since a write is followed by an acknowledgement; with ``warn`` everything does, and the log and a metric tell.

Both end by themselves when a later look finds it well. What ends by itself anyway, a lane or a lease, is neither
refused nor confirmed: nobody relies on it beyond the moment.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

import structlog
from attrs import define, field
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from gateway.model.errors import NotDurable
from gateway.settings.files import Durability, OnWeaker
from gateway.store.durability import ServerInfo, describe, weaknesses
from gateway.store.epoch import Known, Marker
from gateway.store.topology import Words, keys_of, writes
from gateway.telemetry import STORE_DURABLE, STORE_LOST

log = structlog.get_logger(__name__)

# Kinds of keys (``keys.py``) that hold for a moment and may be lost with the server that held them.
_FLEETING: Final = frozenset({"lane", "lease"})
_EPOCH: Final = "epoch"
_SAY_AGAIN: Final = 60.0

LOST_TODO: Final = (
    "bring its data back, and all goes on by itself; or, if they are gone for good, look with partners at what they"
    " lack and then: ocpi-gateway doctor --accept-empty --reason TEXT"
)


@define(eq=False)
class Trust:
    """What we know of the servers behind one address. Nothing is asked of them while ``durability`` is None.

    Attributes:
        known: the epoch that it should have.
        markers: where that is written.
        refuse: whether a weak server's word counts for nothing.
        servers: each as it was seen last, by its address.
        lost: why this isn't our Redis; empty if it is.
        turns: how often that, or whether its word lasts, has become another.
    """

    known: Known
    markers: Sequence[str]
    durability: Durability | None = None
    on_weaker: OnWeaker = OnWeaker.REFUSE
    servers: dict[str, ServerInfo] = field(factory=dict, init=False)
    found: dict[str, Marker | None] = field(factory=dict, init=False)
    lost: str = field(default="", init=False)
    turns: int = field(default=0, init=False)
    _weak: str = field(default="", init=False)
    _quiet_until: float = field(default=0.0, init=False)

    # What may pass ----------------------------------------------------------------------------------------------------

    def admit(self, batch: Iterable[Words]) -> bool:
        """Whether these commands must be confirmed by a replica.

        Raises:
            NotDurable: they may not be sent: this isn't our Redis, or its word doesn't last.
        """
        if self.durability is None:
            return False
        kinds: dict[str, bool] = {}
        for words in batch:
            wrote = writes(words)
            for key in keys_of(words):
                kind = _kind(key)
                kinds[kind] = kinds.get(kind, False) or wrote
        if self.lost and kinds.keys() - {_EPOCH}:
            raise NotDurable(f"this Redis counts for nothing: {self.lost}")
        lasting = any(wrote for kind, wrote in kinds.items() if kind not in _FLEETING)
        if lasting and self._weak and self.on_weaker is OnWeaker.REFUSE:
            raise NotDurable(f"nothing was stored, since it wouldn't last: {self._weak}")
        return lasting and self.durability is Durability.REPLICA

    @property
    def weak(self) -> str:
        """Why its word doesn't last, with what to set; empty if it does."""
        return self._weak

    # Looking ----------------------------------------------------------------------------------------------------------

    async def meet(self, connection: AbstractConnection) -> None:
        """A new connection: it greets, and we look at who is there."""
        await connection.on_connect()
        if self.durability is not None:
            await self.look(connection)

    async def look(self, connection: AbstractConnection) -> None:
        """Take note of what this server is and which epoch it has. Raises what redis-py raises."""
        server = await describe(connection)
        self.servers[server.where] = server
        for key in self.markers:
            await connection.send_command("GET", key)
        for key in self.markers:
            try:
                text: bytes | None = await connection.read_response(disable_decoding=True)
            except ResponseError:  # it is another node's, or nobody's just now
                continue
            self.found[key] = Marker.read(text)
        self._judge(server.at)

    def only(self, seen: Iterable[str]) -> None:
        """Of all servers only these are there still."""
        self.servers = {name: server for name, server in self.servers.items() if name in set(seen)}
        self._judge(0)

    def _judge(self, at: int) -> None:
        self._judge_epoch(at)
        if self.durability is None:
            return
        wrong = [
            f"{server.where}: {weakness}"
            for server in self.servers.values()
            for weakness in weaknesses(server, self.durability)
        ]
        weak = "; ".join(wrong)
        if weak != self._weak:
            self._weak, self._quiet_until = weak, 0.0
            self.turns += 1
            if not weak:
                log.info("redis.durable")
        STORE_DURABLE.set(not weak)

    def _judge_epoch(self, at: int) -> None:
        if not self.known.epoch:
            return
        for marker in self.found.values():
            if marker and marker.accepted and marker.epoch != self.known.epoch and marker.since > self.known.seen:
                log.warning("redis.accepted", former=self.known.epoch, epoch=marker.epoch, reason=marker.reason)
                self.known.saw(marker.epoch, marker.since)
        others = {key: marker for key, marker in self.found.items() if not marker or marker.epoch != self.known.epoch}
        if others:
            key, marker = next(iter(others.items()))
            answer = f"it has the epoch {marker.epoch}" if marker else "it is empty"
            lost = f"{answer} where it had {self.known.epoch} ({key})"
        else:
            lost = ""
            if self.found and at:
                self.known.saw(self.known.epoch, at)
        if bool(lost) != bool(self.lost):
            self._quiet_until = 0.0
            self.turns += 1
            if not lost:
                log.info("redis.found_again", epoch=self.known.epoch)
        self.lost = lost
        STORE_LOST.set(bool(lost))

    def complain(self) -> None:
        """Say in the log what is wrong: at once, and once a minute while it lasts."""
        if not (self.lost or self._weak) or time.monotonic() < self._quiet_until:
            return
        self._quiet_until = time.monotonic() + _SAY_AGAIN
        if self.lost:
            log.error("redis.lost", reason=self.lost, todo=LOST_TODO)
        if self._weak and self.on_weaker is OnWeaker.REFUSE:
            log.error("redis.weak", reason=self._weak, todo="until then nothing is acknowledged that must last")
        elif self._weak:
            log.warning("redis.weak", reason=self._weak, todo="redis.on_weaker: warn lets it pass")


def _kind(key: str | bytes) -> str:
    """``obj`` of ``og:obj:{NL-EXA}:...``. A prefix has no colon."""
    text = key.decode(errors="replace") if isinstance(key, bytes) else str(key)
    return text.split(":", 2)[1] if ":" in text else ""
