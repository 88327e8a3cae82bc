"""The table of faults, by the names by which they are chosen.

Each is a function that plays one run on a rig of its own and returns the verdict: what is broken, how often
(``repeats``), and what must hold all the same. ``launch`` goes to the launcher of the gateways, to plant a bug.
"""

from __future__ import annotations

from typing import Final

from tests.faults.faults_of_partners import backend_away, isolated, lying, refusing, stored_and_silent
from tests.faults.faults_of_processes import (
    clock_stepped,
    gateway_killed,
    killed_at_points,
    owner_stood_still,
    reloaded,
    rolled,
)
from tests.faults.faults_of_redis import redis_cut, redis_emptied, redis_killed, redis_stood_still
from tests.faults.playing import Play

FAULTS: Final[dict[str, Play]] = {
    "F01": gateway_killed,
    "F02": killed_at_points,
    "F03": rolled,
    "F04": redis_killed,
    "F05": redis_emptied,
    "F06": redis_stood_still,
    "F08": redis_cut,
    "F11": isolated,
    "F13": refusing,
    "F14": lying,
    "F15": stored_and_silent,
    "F19": clock_stepped,
    "F20": owner_stood_still,
    "F24": reloaded,
    "F26": backend_away,
}
