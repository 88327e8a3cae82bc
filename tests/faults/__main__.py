"""The full set of faults, by its own command: ``python -m tests.faults --full --seed 1``.

``--only F01,F20`` chooses, ``--repeats F01=300`` says how often, ``--sabotage`` plants the bugs, one after the other.
Each run leaves a JSON document in ``--out``; the table at the end is what stands in ``tests/README.md``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.faults.oracle import Verdict
from tests.faults.playing import worst
from tests.faults.sabotage import BUGS
from tests.faults.scenarios import FAULTS

# Fault -> how often in the full set, and how many of these at most on one rig.
FULL: Final[dict[str, tuple[int, int]]] = {
    "F01": (300, 60), "F02": (20, 20), "F03": (10, 10), "F04": (50, 25), "F05": (3, 3), "F06": (6, 6),
    "F08": (100, 100), "F11": (5, 5), "F13": (10, 10), "F14": (30, 30), "F15": (10, 10), "F19": (4, 4),
    "F20": (20, 20), "F24": (20, 20), "F26": (5, 5),
}  # fmt: skip
SMALL: Final[dict[str, int]] = {"F01": 5, "F02": 1, "F04": 3, "F15": 2, "F20": 2}


async def play(name: str, seed: int, repeats: int, at_once: int, out: Path | None) -> Verdict:
    """All repeats of a fault, on as many rigs as it takes."""
    verdicts: list[Verdict] = []
    left = repeats
    while left > 0:
        verdicts.append(await FAULTS[name](seed + len(verdicts), min(left, at_once)))
        left -= at_once
        if out is not None:
            path = out / f"{name}-{seed + len(verdicts) - 1}.json"
            path.write_text(json.dumps(verdicts[-1].json(), indent=1, default=str))
    verdict = worst(verdicts)
    for figure in ("acked", "cdrs", "seconds"):
        verdict.figures[figure] = round(sum(each.figures.get(figure, 0) for each in verdicts), 1)
    for figure in ("drained_s", "posts_per_cdr"):
        verdict.figures[figure] = max(each.figures.get(figure, 0) for each in verdicts)
    states: dict[str, int] = {}
    for each in verdicts:
        for state, count in each.figures.get("states", {}).items():
            states[state] = states.get(state, 0) + count
    verdict.figures["states"] = states
    return verdict


def row(name: str, repeats: int, verdict: Verdict) -> str:
    figures = verdict.figures
    broken = ", ".join(f"{invariant} {len(found)}" for invariant, found in verdict.violations.items() if found)
    told = "kept" if verdict.green else "not valid" if verdict.kept else f"BROKEN: {broken}"
    doubt = figures.get("states", {}).get("in_doubt", 0)
    cells = (
        f"{name} {verdict.scenario.partition(' ')[2]}", repeats, f"{sum(verdict.hits)}/{len(verdict.hits)}",
        figures.get("cdrs", ""), doubt, figures.get("posts_per_cdr", ""), figures.get("drained_s", ""),
        figures.get("seconds", ""), told,
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--full", action="store_true", help="all faults, as often as the promises say")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="F01,F20")
    parser.add_argument("--repeats", default="", help="F01=300,F04=50")
    parser.add_argument("--sabotage", action="store_true", help="plant each bug; each must be found")
    parser.add_argument("--out", type=Path, default=None, help="folder for a JSON document of each run")
    options = parser.parse_args()
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
    wanted = {name: FULL[name] for name in FULL} if options.full else {name: (n, n) for name, n in SMALL.items()}
    if options.only:
        wanted = {name: wanted.get(name, FULL[name]) for name in options.only.split(",")}
    for part in filter(None, options.repeats.split(",")):
        name, _, count = part.partition("=")
        wanted[name] = (int(count), wanted.get(name, FULL[name])[1])

    began = time.monotonic()
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}, seed {options.seed}"
    )
    print("| fault | repeats | hits | CDRs | in doubt | posts/CDR | drained s | s | |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    red = False
    for name, (repeats, at_once) in wanted.items():
        verdict = await play(name, options.seed, repeats, at_once, options.out)
        red |= not verdict.green
        print(row(name, repeats, verdict), flush=True)
        for invariant, found in verdict.violations.items():
            for each in found[:3]:
                print(f"    {invariant}: {each}", flush=True)
    if options.sabotage:
        for name, bug in BUGS.items():
            verdict = await bug.hunted(name, options.seed)
            found = [each for each in bug.found if verdict.violations.get(each)]
            red |= not found
            print(f"| bug {name} | {bug.what} | {'found: ' + ', '.join(found) if found else 'NOT FOUND'} |", flush=True)
    print(f"{time.monotonic() - began:.0f} s")
    return int(red)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
