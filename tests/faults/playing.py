"""What the scenarios have in common: load, its end, and several verdicts as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from tests.faults.oracle import Verdict
from tests.faults.records import until
from tests.faults.rig import Rig

RATE: Final = 80.0
"""Requests of the backend in a second: what leaves two cores some air, with everything running on them."""

REPOSTING: Final = ("p03", "p04")
"""Partners, one of each version, that get again what is in doubt, and deduplicate it."""


class Play(Protocol):
    """A scenario."""

    async def __call__(self, seed: int, repeats: int, launch: tuple[str, ...] = ()) -> Verdict: ...


async def loaded(rig: Rig, rate: float = RATE) -> None:
    """Load, and wait until it is there."""
    rig.backend.begin(rate)
    before = rig.backend.said
    assert await until(lambda: rig.backend.said > before + 5, 20), "there is no load"


async def moment_with(rig: Rig, at_most: float = 1.0) -> bool:
    """Wait until something is under way; whether it is."""
    return await until(lambda: rig.busy > 0, at_most, every=0.0005)


async def rested(rig: Rig, scenario: str, hits: Sequence[bool], **figures: Any) -> Verdict:
    """No more load and no more faults; the verdict, once nothing is under way any more."""
    await rig.backend.enough()
    for partner in rig.partners:
        partner.play()
    drained = await rig.quiet()
    return await rig.judge(scenario, hits, drained_s=round(drained, 2), **figures)


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict of several: all that was broken, all hits, the figures of the last."""
    whole = Verdict(verdicts[-1].scenario, verdicts[0].seed, figures=verdicts[-1].figures)
    for verdict in verdicts:
        whole.hits += verdict.hits
        for invariant, found in verdict.violations.items():
            whole.violations[invariant] += found
    return whole
