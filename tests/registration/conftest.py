"""What the tests of registrations share besides the world."""

from __future__ import annotations

import pytest


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again after 20 ms, not 5 s: handshakes of ours, and what couldn't be delivered."""
    monkeypatch.setattr("gateway.web.handshakes._FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr("gateway.ledger.pace.FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr("gateway.ledger.pace.FEWEST", 1000)
    monkeypatch.setattr("gateway.ledger.courier.AROUND_S", 0.1)
    monkeypatch.setattr("gateway.breaker.FIRST_S", 0.02)
    monkeypatch.setattr("gateway.exchange._BUSY", frozenset())
