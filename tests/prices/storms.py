"""Whatever happens, in whatever order: in the end everybody has what they should have.

A history follows from its seed, as far as sockets allow. No part of the suite, since it takes hundreds of them to find
anything. A hundred, of thirty steps each; others, and longer ones:

    .venv/bin/pytest --show-capture=no tests/prices/storms.py
    STORM_SEEDS=100-300 STORM_STEPS=45 .venv/bin/pytest --show-capture=no tests/prices/storms.py

One that fails tells all that happened, in order.
"""

from __future__ import annotations

import os
from typing import Final

import pytest
from market import Begin
from storm import Storm

STEPS: Final = int(os.environ.get("STORM_STEPS", "30"))


def seeds() -> list[int]:
    """Those that are asked for, else a hundred."""
    first, _, last = os.environ.get("STORM_SEEDS", "1-100").partition("-")
    return list(range(int(first), int(last or first) + 1))


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long before something is tried again."""
    monkeypatch.setattr("gateway.prices.pages.PAUSES", (0.0, 0.0))
    monkeypatch.setattr("gateway.prices.feeds._TICK_S", 0.02)
    monkeypatch.setattr("gateway.prices.feeds._TOGETHER_S", 0.005)
    monkeypatch.setattr("gateway.ledger.pace.FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr("gateway.ledger.pace.LONGEST_PAUSE_S", 0.1)
    monkeypatch.setattr("gateway.ledger.pace.FEWEST", 10_000)
    monkeypatch.setattr("gateway.breaker.FIRST_S", 0.02)


@pytest.mark.parametrize("seed", seeds())
async def test_every_history_ends_in_one_truth(world: Begin, seed: int) -> None:
    """Each partner has the tariffs and names that follow from what backend, feeds and files said last."""
    storm = await Storm.begin(world, seed)
    await storm.play(STEPS)
    storm.forgive()
    assert storm.wrong == [], "\n".join(["", *storm.log])
