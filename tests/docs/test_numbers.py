"""The gateway's list of 80 acceptance checks and 68 traps: each has a test that names its number.

A test says so in its name: ``..._check_36``, ``..._trap_35``, several in a row, or in the id of a parameter. So do
the 30 choices that the documentation of price feeds leaves: ``..._q12``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
CHECKS, TRAPS, CHOICES = range(1, 81), range(1, 69), range(1, 31)


def named() -> Iterator[str]:
    """The names of all tests, and the texts that their decorators have."""
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield node.name
                for decorator in node.decorator_list:
                    yield from (
                        leaf.value
                        for leaf in ast.walk(decorator)
                        if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)
                    )


@pytest.mark.parametrize(("what", "numbers"), [("check_", CHECKS), ("trap_", TRAPS), ("_q", CHOICES)])
def test_each_number_is_pinned(what: str, numbers: range) -> None:
    """None is left out, and none is named that doesn't exist."""
    found = {int(number) for name in named() for number in re.findall(rf"{what}(\d+)", name)}
    assert sorted(set(numbers) - found) == []
    assert sorted(found - set(numbers)) == []
