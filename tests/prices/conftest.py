"""What tests of prices share: lists that are served are cut anew for everybody who asks for a first page."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def lists_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is served is what is known at this moment, not a moment ago."""
    monkeypatch.setattr("gateway.catalogue.shelves.COUNTS_S", 0.0)
    monkeypatch.setattr("gateway.catalogue.shelves.TIMES", 0)
