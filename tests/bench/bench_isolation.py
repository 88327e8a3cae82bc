"""What three bad partners among fifty cost the others: milliseconds at p99, paired with the same without them.

    python tests/bench/bench_isolation.py
    pytest tests/bench/bench_isolation.py -m bench -n 0 -s

One partner is silent, one takes 30 s for the first byte of an answer, one answers 500. Phases with and without them
take turns, five times. The time is that from a backend's request to the partner's receipt of the CDR, with a gateway
and a redis-server as processes of their own (``tests/faults``, F11). Where the machine was busier than
80 %, or the phases without them differ by more than 20 ms, that is said instead of a verdict.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.faults.faults_of_partners import isolated
from tests.faults.oracle import Verdict

REPEATS: Final = 5
PHASE_S: Final = 15.0


def report(verdict: Verdict) -> str:
    figures = verdict.figures
    rows = [f"{'pair':>4}{'without ms':>12}{'with ms':>10}{'added ms':>10}{'busy':>14}"]
    for number, (quiet, bad, added) in enumerate(
        zip(figures["p99_quiet_ms"], figures["p99_bad_ms"], figures["added_ms"], strict=True)
    ):
        calm, loud = figures["busy"][2 * number : 2 * number + 2]
        rows.append(f"{number + 1:>4}{quiet:>12}{bad:>10}{added:>10}{calm:>8.0%}{loud:>6.0%}")
    if figures["withheld"]:
        rows.append("no verdict: the machine was too busy, or others worked on it")
    else:
        rows.append("kept" if verdict.green else f"BROKEN: {verdict.violations}")
    return "\n".join(rows)


@pytest.mark.bench
@pytest.mark.timeout(600)
async def test_isolation() -> None:
    """All pairs."""
    verdict = await isolated(1, REPEATS, phase_s=PHASE_S)
    sys.stdout.write("\n" + report(verdict) + "\n")
    assert verdict.green, str(verdict)


if __name__ == "__main__":
    sys.stdout.write(report(asyncio.run(isolated(1, REPEATS, phase_s=PHASE_S))) + "\n")
