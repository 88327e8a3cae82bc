"""What the stories share besides the world."""

from __future__ import annotations

import pytest


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What couldn't be delivered is tried again after 20 ms, not 5 s."""
    monkeypatch.setattr("gateway.ledger.courier._FIRST_PAUSE_S", 0.02)
