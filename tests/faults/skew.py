"""A gateway whose wall clock steps: SIGUSR2 moves it by so many seconds. Its monotonic clock goes on as ever."""

from __future__ import annotations

import datetime as real
import signal
import sys
import time
from typing import Any, Final

_NANO: Final = 1_000_000_000
_step = [0.0]


class _Kind(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, real.datetime)


class Stepping(real.datetime, metaclass=_Kind):
    """``datetime``, but for ``now``."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return real.datetime.now(tz) + real.timedelta(seconds=_step[0])


def step_by(seconds: str) -> None:
    """Make ready for the step."""
    told, told_ns = time.time, time.time_ns
    time.time = lambda: told() + _step[0]
    time.time_ns = lambda: told_ns() + int(_step[0] * _NANO)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("gateway", "adapters") and getattr(module, "datetime", None) is real.datetime:
            module.datetime = Stepping  # type: ignore[attr-defined]
    signal.signal(signal.SIGUSR2, lambda *_: _step.__setitem__(0, float(seconds)))
