"""The documents: current, and their examples true."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import attrs
import pytest
from config_folder import Folder

from gateway.cli.documents import documents
from gateway.model.policy import Policy, dotted, switches
from gateway.settings import shipped_config
from gateway.settings.reference import FILES, schema

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = REPOSITORY / "config"
VARIABLES = ("BACKEND_TOKEN", "BACKEND_TOKEN_IN", "MOBILITY_TOKEN", "MOBILITY_TOKEN_IN", "ACME_TOKEN_A", "STATIC_OUT",
             "STATIC_IN", "ADMIN_TOKEN", "HUB_TOKEN_A", "EVENTS_TOKEN", "ECO_KEY", "ECO_TOKEN_IN",
             "MAP_APP_TOKEN")  # fmt: skip


def test_the_documents_are_current() -> None:
    """config/README.md and config/schema are what the grammar says; else: python -m gateway.cli.documents config."""
    stale = [str(path) for path, text in documents(CONFIG) if not path.exists() or path.read_text() != text]
    assert not stale, f"run `python -m gateway.cli.documents config`: {stale} no longer say what the classes say"


@pytest.fixture
def examples(tmp_path: Path) -> Folder:
    """The shipped folder with each example copied to .yaml, and what they refer to set."""
    folder = Folder(tmp_path / "config", {name: name.lower() for name in VARIABLES})
    shutil.copytree(CONFIG, folder.path)
    for path in folder.path.rglob("*.example"):
        path.rename(path.with_suffix(""))
    return folder.write("secrets/volt", "volt-token\n")


def test_the_examples_are_fine_without_the_second_backend(examples: Folder) -> None:
    """Copied as they are, gateway.yaml and every partner load, even strictly, without a warning."""
    (examples.path / "backends/emsp.yaml").unlink()
    settings = examples.load(strict=True)
    assert [link.id for link in settings.links] == ["backend", "acme", "hub", "static", "volt"]
    assert [file.id for file in settings.prices] == ["eco", "map-app"]
    assert settings.warnings == ()


def test_what_the_examples_show_in_comments_is_fine_too(examples: Folder) -> None:
    """Each line that begins with #key may be switched on; all of them at once, second backend included."""
    for path in examples.path.rglob("*.yaml"):
        path.write_text(re.sub(r"^( *)#([^ ])", r"\1\2", path.read_text(), flags=re.MULTILINE))
    settings = examples.load(strict=True)
    assert [link.id for link in settings.links] == ["backend", "emsp", "acme", "hub", "static", "volt"]
    assert [(file.id, bool(file.token_in)) for file in settings.prices] == [("eco", True), ("map-app", True)]
    assert settings.warnings == ()


def test_every_example_and_profile_names_its_schema() -> None:
    """The first line tells editors which schema to check against, and it is there."""
    files = [*CONFIG.rglob("*.example"), *CONFIG.rglob("profiles/*.yaml")]
    assert len(files) >= 6
    for path in files:
        found = re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text())
        assert found, path
        assert (path.parent / found[1]).resolve().is_file(), path


def test_the_shipped_profiles_are_found() -> None:
    """In a source tree they are the ones of the repository."""
    assert (shipped_config() / "profiles" / "generic-2.2.1.yaml").is_file()


def references(value: Any) -> set[str]:
    """Every ``$ref`` in a schema."""
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*(references(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(references(item) for item in value))
    return set()


@pytest.mark.parametrize("name", FILES)
def test_a_schema_is_closed(name: str) -> None:
    """Every reference leads to a definition, every definition is used, and no table takes unknown keys."""
    found = schema(name)
    assert references(found) == {f"#/$defs/{definition}" for definition in found["$defs"]}
    assert found["additionalProperties"] is False
    assert found["properties"].keys()


def test_switches_have_distinct_dotted_names() -> None:
    """group.name, small letters; the first of a closed list of values is the default."""
    names = [dotted(attribute.name) for attribute in switches()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", name) for name in names)
    assert "authorization_reference.mint" in names
    policy = Policy()
    for attribute in attrs.fields(Policy):
        values, default = attribute.metadata["switch"]["values"], getattr(policy, attribute.name)
        if values and isinstance(default, str):
            assert default == values[0], attribute.name
        if values and isinstance(default, tuple):
            assert set(default) <= set(values), attribute.name
