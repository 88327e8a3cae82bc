"""Microseconds per object, bytes to bytes, for each map and direction, beside the strict JSON codec alone.

    python tests/bench/bench_maps.py
    pytest tests/bench/bench_maps.py -m bench -n 0 -s

Each line is one object's way: decoded, validated, translated, encoded. The codec column is the same bytes decoded and
encoded again, in the same run and interleaved, so that the ratio holds on any machine; the map column is translating
alone, without validation. The best of several rounds counts: what disturbs only ever adds. Nothing is asserted about
time; that each object comes through is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import pytest
from attrs import frozen

sys.path.insert(0, str(Path(__file__).parent.parent / "wire"))

import samples

from adapters.ocpi_2_1_1.maps import MAPS, down, up
from gateway.model.facts import Asked, Crossing, FactKind, Facts, Key, Translated
from gateway.model.modules import Kind
from gateway.model.party import Party
from gateway.model.policy import Policy
from gateway.web.json import dumps, loads

ROUNDS: Final = 7
SECONDS: Final = 0.02
CPO: Final = Party("NL", "EXA")
EMSP: Final = Party("DE", "ACM")
POLICY: Final = Policy(cdrs_credit="negative", cdrs_home_charging="send")


@frozen
class Line:
    """One measurement, in microseconds per object."""

    name: str
    size: int
    codec: float
    map: float
    whole: float


def facts() -> Facts:
    place, token = samples.location_221(), samples.token_221()
    known = {
        Key(FactKind.LOCATION, CPO, place["id"]): place,
        Key(FactKind.TOKENS_OF_CONTRACT, None, token["contract_id"]): [token],
    }
    return Facts(known, now=datetime(2026, 3, 1, 12, tzinfo=UTC), complete=True)


FACTS: Final = facts()


def crossing(kind: Kind) -> Crossing:
    owner = EMSP if kind in (Kind.TOKEN, Kind.AUTHORIZATION_INFO, Kind.START_SESSION, Kind.RESERVE_NOW) else CPO
    return Crossing(
        facts=FACTS,
        policy=POLICY,
        owner=None if kind is Kind.CREDENTIALS else owner,
        peer=EMSP,
        asked=Asked(token=samples.token_221()),
        role=None,
    )


def timed(work: Callable[[], Any]) -> float:
    """Microseconds of one call."""
    start = perf_counter()
    calls = 0
    while (spent := perf_counter() - start) < SECONDS:
        for _ in range(20):
            work()
        calls += 20
    return spent / calls * 1e6


def measured(kind: Kind, name: str, translate: Callable[..., Any], thing: Any) -> Line:
    """A line for an object on one way."""
    body = dumps(thing)
    convert = MAPS[kind].up if translate is up else MAPS[kind].down

    def whole() -> bytes:
        outcome = translate(kind, loads(body), crossing(kind))
        assert isinstance(outcome, Translated)
        return dumps(outcome.data)

    works: tuple[Callable[[], Any], ...] = (
        lambda: dumps(loads(body)),
        lambda: convert(thing, crossing(kind)),
        whole,
    )
    rounds = [[timed(work) for work in works] for _ in range(ROUNDS)]
    return Line(f"{kind} {name}", len(body), *(min(each) for each in zip(*rounds, strict=True)))


def lines() -> list[Line]:
    return [
        measured(kind, name, translate, sample[kind].maximal())
        for kind in MAPS
        for name, translate, sample in (("up", up, samples.V211), ("down", down, samples.V221))
    ]


def report(found: list[Line]) -> str:
    head = f"{'object':28}{'bytes':>7}{'codec us':>10}{'map us':>9}{'whole us':>10}{'ratio':>7}"
    rows = (
        f"{line.name:28}{line.size:7}{line.codec:10.1f}{line.map:9.1f}{line.whole:10.1f}{line.whole / line.codec:7.2f}"
        for line in found
    )
    return "\n".join([head, *rows])


@pytest.mark.bench
def test_maps() -> None:
    """Every map, both ways."""
    sys.stdout.write("\n" + report(lines()) + "\n")


if __name__ == "__main__":
    sys.stdout.write(report(lines()) + "\n")
