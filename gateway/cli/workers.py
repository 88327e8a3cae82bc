"""Several gateway processes on one port: ``run --workers N``.

Each is a replica like any other; they share the port (the kernel spreads connections over them), one Redis, and
nothing else. The first process starts them, hands signals on to them, starts one again that ended without being asked
to, and owns the embedded redis-server where there is one.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final

import structlog
from attrs import define, field

from gateway.settings import Settings
from gateway.store.embedded import attach_or_start, die_with_parent

log = structlog.get_logger()

_STOP_S: Final = 11.5
"""Seconds that the workers have to end in good order: one less than a stop may take in all."""

_BAD_CONFIGURATION: Final = 78
_PAUSE_S: Final = 1.0
_LONG_PAUSE_S: Final = 5.0  # after files that can't be used: somebody has to correct them


@define
class Crew:
    """The workers of one ``run``.

    Attributes:
        count: how many.
        options: of ``run``, for each of them.
    """

    count: int
    options: tuple[str, ...]
    _working: dict[int, asyncio.subprocess.Process] = field(factory=dict, init=False)
    _stopping: bool = field(default=False, init=False)

    async def run(self, settings: Settings, data: Path) -> int:
        """Until SIGTERM or SIGINT. The exit code: of the first worker that couldn't start or stop well, else 0.

        Raises:
            InUse, NoServer: as of ``attach_or_start``.
        """
        async with AsyncExitStack() as stack:
            if settings.redis.url is None:
                embedded = await attach_or_start(data, exclusive=True)
                stack.push_async_callback(embedded.stop)
                supervisor = asyncio.create_task(embedded.supervise(), name="redis-server")
                stack.callback(supervisor.cancel)
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, self._tell, signal.SIGHUP)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._stop)
            codes = await asyncio.gather(*(self._keep(place) for place in range(self.count)))
            return next((code for code in codes if code), 0)

    async def _keep(self, place: int) -> int:
        """One worker, started again as long as it shall run.

        What can't be used from the start ends them all. If files have become bad since, the others have good ones, and
        go on.
        """
        first = True
        while True:
            worker = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway", "run", *self.options, "--worker", str(place),
                preexec_fn=die_with_parent(), start_new_session=True,
            )  # fmt: skip
            self._working[place] = worker
            if self._stopping:
                worker.terminate()
            code = await worker.wait()
            if self._stopping:
                return code
            if code == _BAD_CONFIGURATION and first:
                self._stop()
                return code
            first = False
            log.error("worker.ended", worker=place, code=code, todo="it is started again; its last lines say why")
            await asyncio.sleep(_LONG_PAUSE_S if code == _BAD_CONFIGURATION else _PAUSE_S)

    def _tell(self, number: signal.Signals) -> None:
        for worker in self._working.values():
            with suppress(ProcessLookupError):
                worker.send_signal(number)

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._tell(signal.SIGTERM)
            asyncio.get_running_loop().call_later(_STOP_S, self._tell, signal.SIGKILL)
