"""A few of each fault, with the tests; ``python -m tests.faults --full`` plays them all, as often as promised."""

from __future__ import annotations

import pytest

from tests.faults.sabotage import BUGS
from tests.faults.scenarios import FAULTS

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize(("fault", "repeats"), [("F01", 3), ("F02", 1), ("F04", 1), ("F15", 1), ("F20", 1)])
async def test_nothing_is_lost_or_billed_twice(fault: str, repeats: int) -> None:
    """Kills, lost connections and replicas that stand still: all that was acknowledged arrives once, in order."""
    verdict = await FAULTS[fault](1, repeats)
    assert verdict.green, str(verdict)


@pytest.mark.parametrize("name", ["ack_before_write", "redirects", "drop_on_4xx"])
async def test_a_planted_bug_is_found(name: str) -> None:
    """A rig that stays green over a gateway that is wrong would prove nothing."""
    bug = BUGS[name]
    verdict = await bug.hunted(name, seed=1)
    assert [each for each in bug.found if verdict.violations.get(each)], str(verdict)
