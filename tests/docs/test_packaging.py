"""The package: what is in the wheel, and that it works as well from there as from the source tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = REPOSITORY / "config"
SECRETS = ("BACKEND_TOKEN", "BACKEND_TOKEN_IN", "ACME_TOKEN_A", "STATIC_OUT", "STATIC_IN")


def files(root: Path, *patterns: str) -> set[str]:
    """The files below a folder, relative to the folder that it lies in."""
    return {
        path.relative_to(root.parent).as_posix()
        for pattern in patterns
        for path in root.rglob(pattern)
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the backend that `pip install .` uses."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True, timeout=60)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The console script of the wheel in an environment of its own, which borrows the dependencies of this one."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    python = folder / "bin/python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True, timeout=60)
    (packages,) = folder.glob("lib/python*/site-packages")
    # Folders named in a .pth file are looked through last, and their own .pth files, an editable install's, never.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin/ocpi-gateway"


@pytest.fixture(params=["installed", "editable"])
def program(request: pytest.FixtureRequest) -> Path:
    """The console script, from the wheel and from the source tree."""
    if request.param == "installed":
        return Path(request.getfixturevalue("installed"))
    return Path(sys.executable).with_name("ocpi-gateway")


def say(program: Path, *arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """What the program says, far from the repository."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [program, *arguments], cwd=cwd, env=clean | environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_wheel_has_what_the_gateway_needs_and_no_more(wheel: Path) -> None:
    """Both packages whole, typed, with their scripts, and the shipped configuration as data; no tests."""
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = files(REPOSITORY / "gateway", "*.py", "*.lua", "*.md", "py.typed")
    wanted |= files(REPOSITORY / "adapters", "*.py", "*.md", "py.typed")
    wanted |= {f"gateway/_share/{name}" for name in files(CONFIG, "*")}
    assert {"gateway/py.typed", "adapters/py.typed", "gateway/_share/config/README.md"} <= wanted
    assert inside == wanted


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """Its metadata name the script, the extras and the oldest Python, as pyproject.toml does."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        said = message_from_bytes(archive.read(metadata))
        script = archive.read(metadata.replace("METADATA", "entry_points.txt")).decode()
    assert "ocpi-gateway = gateway.__main__:main" in script
    assert set(said.get_all("Provides-Extra") or ()) == set(project["optional-dependencies"]) == {"dev", "fast"}
    assert said["Requires-Python"] == project["requires-python"] == ">=3.11"


def test_it_runs_from_where_it_was_installed(installed: Path, tmp_path: Path) -> None:
    """Not from the source tree, which is somewhere else."""
    where = "import adapters, gateway; print(gateway.__file__, adapters.__file__)"
    said = say(installed.with_name("python"), "-c", where, cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert all(Path(path).is_relative_to(installed.parents[1]) for path in said.stdout.split())


def test_the_shipped_profiles_are_found(program: Path, tmp_path: Path) -> None:
    """The examples, copied to a folder that has no profiles, check without a mistake, installed and editable."""
    shutil.copy(CONFIG / "gateway.yaml.example", tmp_path / "gateway.yaml")
    (tmp_path / "partners").mkdir()
    for name in ("acme", "static"):
        shutil.copy(CONFIG / f"partners/{name}.yaml.example", tmp_path / f"partners/{name}.yaml")
    with (tmp_path / "partners/acme.yaml").open("a") as file:
        file.write("profile: generic-2.1.1\n")
    said = say(
        program, "check", "--strict", "--config", str(tmp_path), cwd=tmp_path,
        **{name: f"{name.lower()}-value" for name in SECRETS},
    )  # fmt: skip
    assert (said.returncode, said.stderr) == (0, ""), said.stdout
    assert [line.split()[0] for line in said.stdout.splitlines()] == ["backend", "acme", "static"]


def test_doctor_finds_the_installation_sound(program: Path, tmp_path: Path) -> None:
    """Both packages come from one distribution, in each way of installing it."""
    said = say(program, "doctor", "--data", str(tmp_path / "data"), cwd=tmp_path)
    assert (said.returncode, said.stderr) == (0, ""), said.stdout
    assert "ok    import names:" in said.stdout


def test_the_demo_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """Scripts for Redis, profiles and peers are all on board."""
    said = say(installed, "demo", cwd=tmp_path)
    assert (said.returncode, said.stderr) == (0, ""), said.stdout
    assert ", 0 wrong, " in said.stdout
