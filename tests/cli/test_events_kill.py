"""What the backend is told of its CDRs, when the process that tells it is killed."""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from ear import Ear
from processes import Installation, core, volt

from gateway.demo.peers import Peer
from gateway.demo.story import cdr_of, cdr_token

DONE = ["pending", "in_flight", "delivered"]


async def bill(backend: Peer, id: str) -> None:
    token = cdr_token("VLT", "04F017BEEF", "DE-VLT-C00000009-X")
    assert (await backend.push_cdr(cdr_of(id, "S-1", token, datetime.now(UTC)))).ok


async def test_kill_9_loses_no_change(tmp_path: Path) -> None:
    """What its receiver hasn't taken is told by the next process, within seconds; what it has may come twice."""
    async with AsyncExitStack() as stack:
        ear, backend, partner = [await stack.enter_async_context(peer) for peer in (Ear(), core(), volt())]
        installation = Installation.on(tmp_path, core=backend.versions_url, more=ear.yaml)
        async with installation.running() as gateway:
            await backend.use_static(installation.versions_url, "of-core")
            await partner.register(installation.versions_url, "volt-token-a")
            await bill(backend, "C-1")
            await ear.until(lambda ear: ear.states("volt", "C-1") == DONE)
            ear.status = 503
            await bill(backend, "C-2")
            await partner.wait_for("POST", "cdrs", count=2)
            await ear.until(lambda ear: ear.missed > 0)
            partner.delay = 60
            await bill(backend, "C-3")
            await partner.wait_for("POST", "cdrs", count=3)
            gateway.process.kill()
            assert await gateway.end() == -signal.SIGKILL
        partner.delay = 0
        ear.status = 200
        async with installation.running():
            await ear.until(lambda ear: ear.states("volt", "C-2") == DONE)
            await ear.until(lambda ear: ear.states("volt", "C-3") == ["pending", "in_flight", "in_doubt"])
        assert ear.states("volt", "C-1") == DONE
