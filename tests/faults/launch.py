"""Starts ``ocpi-gateway`` with something wrong in it: ``python -m tests.faults.launch --bug NAME --die FILE run``.

The product has no hooks for this. A planted bug or a crash is a change of its classes, made here before it runs, in
this process only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from gateway.__main__ import main
from tests.faults import crashes, sabotage, skew

OPTIONS: Final[dict[str, Callable[[str], None]]] = {
    "--bug": lambda name: sabotage.BUGS[name].plant(),
    "--die": crashes.watch,
    "--clock": skew.step_by,
}


def launch(arguments: list[str]) -> None:
    while arguments and arguments[0] in OPTIONS:
        option, value, *arguments = arguments
        OPTIONS[option](value)
    sys.argv = [sys.argv[0], *arguments]
    main()


if __name__ == "__main__":
    launch(sys.argv[1:])
