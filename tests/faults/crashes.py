"""Points at which a gateway dies by its own hand, the next time that a CDR gets there.

They are told to a gateway that is up: its name goes into a file, and SIGUSR1 says that it is there.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, Final

from gateway.model.modules import Module
from gateway.model.names import CdrState, Name
from gateway.store.redis import Store

_armed: Final[set[str]] = set()


def _reached(point: str) -> None:
    if point in _armed:
        os.kill(os.getpid(), signal.SIGKILL)


def watch(file: str) -> None:
    """Die at the point that stands in ``file`` once SIGUSR1 has come."""
    said, moved = Store.say, Store.cdr_move

    async def say(self: Store, name: Name, *args: Any, **named: Any) -> Any:
        if name.module is not Module.CDRS:
            return await said(self, name, *args, **named)
        _reached("before_write")
        found = await said(self, name, *args, **named)
        _reached("after_write")
        return found

    async def cdr_move(self: Store, link: str, name: Name, among: Any, to: CdrState, **named: Any) -> bool:
        if to is CdrState.DELIVERED:
            _reached("after_answer")
        found = await moved(self, link, name, among, to, **named)
        _reached({CdrState.IN_FLIGHT: "before_send", CdrState.DELIVERED: "after_done"}.get(to, ""))
        return found

    Store.say = say  # type: ignore[assignment, method-assign]
    Store.cdr_move = cdr_move  # type: ignore[assignment, method-assign]
    signal.signal(signal.SIGUSR1, lambda *_: _armed.add(Path(file).read_text()))
