"""Environments for other people's OCPI libraries: one for each, made once, shared by all workers and later runs.

A library brings versions of its dependencies that are years apart from ours, so it gets a virtual environment of its
own, filled from the package index, with every version pinned. It lies in the user's cache folder, under a name that
follows from the pins and the Python; ``OCPI_GATEWAY_TESTS_CACHE`` names another folder. Deleting it is safe.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import frozen

_INSTALL_S: Final = 90  # well below what a test may take
_OUT_OF_REACH: Final = re.compile(r"NewConnectionError|ConnectTimeout|NameResolutionError|ProxyError|Read timed out")


@frozen
class Library:
    """A library on the package index.

    Attributes:
        name, version: the distribution that is installed.
        package: what is imported.
        along: everything else in its environment, as ``name==version``.
    """

    name: str
    version: str
    package: str
    along: tuple[str, ...]

    def __str__(self) -> str:
        return self.name


EXTRAWEST: Final = Library(
    "extrawest-ocpi", "2025.7.16", "py_ocpi",
    (
        "anyio==4.16.0", "certifi==2026.10.18", "click==8.5.1", "fastapi==0.101.1", "h11==0.14.0", "httpcore==0.17.3",
        "httpx==0.24.1", "idna==3.20", "pydantic==1.10.12", "sniffio==1.3.1", "starlette==0.27.0",
        "typing_extensions==4.16.0", "uvicorn==0.54.0",
    ),
)  # fmt: skip

ELU: Final = Library("ocpi-python", "2026.1.9", "ocpi", ("uvicorn==0.54.0",))
"""A fork of the former by another company. Its README announces it on PyPI; as of November 2026 it isn't there."""

LIBRARIES: Final = (EXTRAWEST, ELU)


class NotHere(Exception):
    """The environment can't be made on this machine; the text says why."""


def python_of(library: Library, run: str) -> Path:
    """The Python of the library's environment, which is made if it isn't there.

    Args:
        run: names this test run. What failed isn't tried again in the same run, by no worker.

    Raises:
        NotHere: no package index, no such package, no folder to write to, or not for this Python.
    """
    folder = _cache() / _key(library)
    python = folder / "bin/python"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_suffix(".lock")):
            if not _starts(python, library):
                _make(folder, library, folder.with_suffix(".failed"), run)
    except OSError as error:
        raise NotHere(f"{_cache()}: {error.strerror}") from error
    return python


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("OCPI_GATEWAY_TESTS_CACHE") or Path(base) / "ocpi-gateway-tests") / "foreign"


def _key(library: Library) -> str:
    what = (library.name, library.version, *library.along, sys.version, sys.base_prefix)
    return f"{library.name}-{hashlib.sha256(repr(what).encode()).hexdigest()[:12]}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _starts(python: Path, library: Library) -> bool:
    return python.exists() and _run(python, "-c", f"import uvicorn, {library.package}").returncode == 0


def _make(folder: Path, library: Library, failed: Path, run: str) -> None:
    before, _, why = failed.read_text().partition("\n") if failed.exists() else ("", "", "")
    if before == run:
        raise NotHere(why)
    try:
        _install(folder, library)
    except NotHere as error:
        shutil.rmtree(folder, ignore_errors=True)
        failed.write_text(f"{run}\n{error}")
        raise


def _install(folder: Path, library: Library) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    made = _run(Path(sys.executable), "-m", "venv", str(folder))
    if made.returncode:
        raise NotHere(_last_line(made.stdout + made.stderr))
    python = folder / "bin/python"
    pip = ("-m", "pip", "install", "--disable-pip-version-check", "--timeout", "15", "--retries", "1")
    installed = _run(python, *pip, f"{library.name}=={library.version}", *library.along)
    if installed.returncode:
        said = installed.stdout + installed.stderr
        raise NotHere("no package index in reach" if _OUT_OF_REACH.search(said) else f"pip: {_last_line(said)}")
    if not _starts(python, library):
        raise NotHere(f"`import {library.package}` fails under Python {sys.version.split()[0]}")


def _run(*command: Path | str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S)
    except subprocess.TimeoutExpired as error:
        raise NotHere(f"not done after {_INSTALL_S} s") from error


def _last_line(said: str) -> str:
    return (said.strip().splitlines() or ["no reason given"])[-1]
