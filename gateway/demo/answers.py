"""What a peer's desk hands out: an answer, a refusal, or a fault that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

from attrs import define, evolve, field, frozen

from gateway.demo.identity import Party
from gateway.demo.journal import Received


@frozen
class Answer:
    """One answer.

    Attributes:
        status_code: the OCPI status code.
        data: of the envelope, which has none if this is None.
        http: the HTTP status.
        headers: its own, besides those that every answer has.
        delay: seconds that it waits before it goes.
        by: the party that answers, where that isn't the one that was asked.
        items: ``data`` one by one, of a list too long to be held.
        afterwards: what the peer does once the answer is out.
    """

    status_code: int = 1000
    data: Any = None
    http: int = 200
    message: str = ""
    headers: Mapping[str, str] = field(factory=dict)
    delay: float = 0.0
    by: Party | None = None
    items: Iterator[Any] | None = None
    afterwards: Callable[[], Coroutine[Any, Any, None]] | None = None


class Refusal(Exception):
    """The request ends here, with this answer."""

    def __init__(self, http: int, status_code: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.answer = Answer(status_code, http=http, message=message, headers=headers or {})


@define
class Fault:
    """Something to go wrong on the next ``times`` requests to ``module`` (with ``method``, if given).

    Attributes:
        answer: given instead of the right one, if not None.
        applied: the request is dealt with all the same.
        drop: the connection is cut instead of an answer.
        body: sent instead of an envelope.
        delay: seconds that the answer takes longer.
    """

    module: str
    method: str | None
    answer: Answer | None
    times: int
    applied: bool = True
    drop: bool = False
    body: bytes | None = None
    delay: float = 0.0

    def takes(self, received: Received) -> bool:
        return self.times > 0 and self.module == received.module and self.method in (None, received.method)

    def strike(self, right: Answer) -> Answer:
        """One of its times is used up. What was dealt with has its consequences, whatever the answer says."""
        self.times -= 1
        answer = evolve(self.answer, afterwards=right.afterwards) if self.answer else right
        return evolve(answer, delay=right.delay + self.delay)
