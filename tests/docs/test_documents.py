"""The documents are read here as a newcomer reads them: what they say to type works, and what they name is there."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from prometheus_client import REGISTRY

from gateway.__main__ import cli
from gateway.app import ADAPTERS
from gateway.model.names import CdrState
from gateway.model.policy import switches
from gateway.settings import load

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENTS = {
    path.relative_to(REPOSITORY).as_posix(): path.read_text()
    for pattern in ("*.md", "[!.]*/*.md")
    for path in sorted(REPOSITORY.glob(pattern))
}
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())

RUN = "python3 -m venv .venv && .venv/bin/pip install --quiet . && .venv/bin/ocpi-gateway demo"
TEST = "python3 -m venv .venv && .venv/bin/pip install --quiet -e '.[dev]' && .venv/bin/pytest"

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")

every_document = pytest.mark.parametrize("name", DOCUMENTS)


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [body for found, body in FENCE.findall(text) if found == language]


def prose(text: str) -> str:
    """A document without its fenced blocks."""
    return FENCE.sub("", text)


def rows(text: str, heading: str) -> list[list[str]]:
    """The rows of the table whose first column is headed so, cell by cell."""
    _, _, after = text.partition(f"| {heading} |")
    assert after, heading
    table = after.split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table if line.startswith("|")]


def names(cell: str) -> list[str]:
    """What a cell of a table names, in its order."""
    return SPAN.findall(cell)


# Commands -------------------------------------------------------------------------------------------------------------


def commands(text: str) -> Iterator[list[str]]:
    """Every command of ours that a document shows, without its first word."""
    shown = [line for block in blocks(text, "sh") for line in re.split(r"\n|&&", block)]
    for line in (*shown, *SPAN.findall(prose(text))):
        if found := re.fullmatch(r"\s*(?:\S*/)?ocpi-gateway((?:\s+\S+)*)\s*", line):
            yield found[1].split()


def known_options(verb: click.Command) -> set[str]:
    return {"--help", *(option for parameter in verb.params for option in parameter.opts)}


def verbs(group: click.Group = cli, *before: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every verb with its words; those of a group after the group itself."""
    for name, verb in group.commands.items():
        yield (*before, name), verb
        if isinstance(verb, click.Group):
            yield from verbs(verb, *before, name)


VERBS = dict(verbs())


def verb_of(words: list[str]) -> click.Command | None:
    """The verb that these words call: the longest that fits."""
    return VERBS.get(tuple(words[:2])) or VERBS.get(tuple(words[:1]))


def test_the_readme_has_the_two_commands() -> None:
    """One line runs it and one line tests it, on a machine that has nothing but Python."""
    shown = [block.strip() for block in blocks(DOCUMENTS["README.md"], "sh")]
    assert RUN in shown
    assert TEST in shown


def test_the_readmes_run_command_ends_well() -> None:
    """Its last part, in this environment: the story is told to its end, and the exit code is 0."""
    program = Path(sys.executable).with_name(RUN.split()[-2].rpartition("/")[2])
    done = subprocess.run([program, *RUN.split()[-1:]], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    for receiver in ("2.1.1 acme", "2.2.1 volt", "2.2.1 hub"):
        assert re.search(rf"backend 2\.2\.1 -> {re.escape(receiver)} +POST cdrs", done.stdout), receiver
    assert ", 0 wrong, " in done.stdout
    assert done.stdout.endswith("\nAll of it arrived as it must.\n")


@every_document
def test_every_command_that_is_shown_exists(name: str) -> None:
    """Verb and options are those of the program."""
    for words in commands(DOCUMENTS[name]):
        options = [word for word in words if word.startswith("--")]
        if words and not words[0].startswith("-"):
            verb = verb_of(words)
            assert verb is not None, words
            assert set(options) <= known_options(verb), words
        else:
            assert set(options) <= known_options(cli) | {"--version"}, words


def test_every_verb_is_in_the_table() -> None:
    """gateway/README.md lists all there are, and no other."""
    listed = [names(first)[0].split()[1] for first, *_ in rows(DOCUMENTS["gateway/README.md"], "verb")]
    assert sorted(listed) == sorted(cli.commands)


@pytest.mark.parametrize("verb", VERBS, ids=["-".join(words) for words in VERBS])
def test_every_verb_has_help_with_an_example(verb: tuple[str, ...]) -> None:
    """The example is a command of that verb, with options that it has; of a group, of one of its verbs."""
    shown = CliRunner().invoke(cli, [*verb, "--help"])
    assert shown.exit_code == 0
    _, _, example = " ".join(shown.output.replace("-\n", "-").split()).partition("Example: ocpi-gateway ")
    words = example.split()
    assert tuple(words[: len(verb)]) == verb
    called = verb_of(words)
    assert called is not None
    assert {word for word in words if word.startswith("--")} <= known_options(called)


# Configuration --------------------------------------------------------------------------------------------------------


@every_document
def test_every_block_of_yaml_is_configuration(name: str, tmp_path: Path) -> None:
    """A block that begins with a file's name is that file, any other a piece of a partner's; all of them load."""
    shutil.copy(REPOSITORY / "config/gateway.yaml.example", tmp_path / "gateway.yaml")
    (tmp_path / "partners").mkdir()
    partner = (REPOSITORY / "config/partners/acme.yaml.example").read_text()
    for number, block in enumerate(blocks(DOCUMENTS[name], "yaml")):
        file = re.match(r"# (\S+\.yaml)\n", block)
        path = tmp_path / (file[1] if file else f"partners/piece-{number}.yaml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(block if file else f"{partner}\n{block}")
    wanted = {each for path in tmp_path.rglob("*.yaml") for each in re.findall(r"\{env: (\w+)\}", path.read_text())}
    versions = {version: adapter.sends_routing_headers for version, adapter in ADAPTERS.items()}
    settings = load(tmp_path, versions, {each: f"{each.lower()}-value" for each in wanted}, strict=True)
    assert len(settings.partners) == len(list(tmp_path.glob("partners/*.yaml")))


def test_every_switch_that_is_said_to_work_is_read_by_the_code() -> None:
    """A switch without effect is marked as such, so that using it is a mistake that says so."""
    sources = [path for root in ("gateway", "adapters") for path in (REPOSITORY / root).rglob("*.py")]
    code = "\n".join(path.read_text() for path in sources if "settings" not in path.parts)
    works = [attribute.name for attribute in switches() if attribute.metadata["switch"]["acted"]]
    assert len(works) > 10
    assert [each for each in works if not re.search(rf"\.{each}\b", code)] == []


# What they name -------------------------------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    }


@every_document
def test_links_lead_somewhere(name: str) -> None:
    """Every relative link is a file of this repository, and a heading in it if it says so."""
    here = (REPOSITORY / name).parent
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(DOCUMENTS[name])):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (here / path).resolve() if path else REPOSITORY / name
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


@every_document
def test_files_that_are_named_are_there(name: str) -> None:
    """A name in code marks that begins with a folder of ours is a file or a folder."""
    for span in SPAN.findall(prose(DOCUMENTS[name])):
        if re.fullmatch(r"(gateway|adapters|config|tests|\.ci)/[a-z0-9_./-]*", span):
            assert (REPOSITORY / span).exists(), span


def test_every_room_explains_itself() -> None:
    """Each folder at the top has a README."""
    rooms = {path.name for path in REPOSITORY.iterdir() if path.is_dir() and any(path.glob("*.py"))} | {"config"}
    assert {f"{room}/README.md" for room in rooms} <= set(DOCUMENTS)


def test_the_layers_are_those_that_are_checked() -> None:
    """The table of layers is import-linter's contract, row by row."""
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    told = [names(first) for first, *_ in rows(DOCUMENTS["gateway/README.md"], "layer")]
    assert [sorted(row) for row in told] == [sorted(layer.split(" | ")) for layer in layers]


def bare(requirement: str) -> str:
    """The name in a requirement, as the index spells it."""
    found = re.match(r"[\w.-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def test_every_dependency_has_its_reason() -> None:
    """The table of dependencies is pyproject's list."""
    told = {names(first)[0].lower() for first, *_ in rows(DOCUMENTS["gateway/README.md"], "dependency")}
    assert told == {bare(each) for each in PROJECT["project"]["dependencies"]}


def test_what_is_imported_is_declared() -> None:
    """No import lives on what another dependency happens to bring along."""
    declared = {bare(each) for each in PROJECT["project"]["dependencies"]}
    declared |= {bare(each) for each in PROJECT["project"]["optional-dependencies"]["fast"]}
    owners = packages_distributions()
    for path in (path for root in ("gateway", "adapters") for path in (REPOSITORY / root).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            for module in {module.partition(".")[0] for module in modules}:
                if module in sys.stdlib_module_names or module in ("gateway", "adapters"):
                    continue
                assert {bare(owner) for owner in owners.get(module, [module])} & declared, f"{path}: {module}"


def test_the_metrics_are_those_that_are_served() -> None:
    """The table of metrics is the registry's list."""
    told = {names(first)[0] for first, *_ in rows(DOCUMENTS["gateway/README.md"], "metric")}
    served = {
        metric.name + ("_total" if metric.type == "counter" else "")
        for metric in REGISTRY.collect()
        if metric.name.startswith("ocpi_gateway_")
    }
    assert told == served


def test_the_states_of_a_cdr_are_all_there() -> None:
    """The table of states is the enumeration, in its words."""
    told = [names(first)[0] for first, *_ in rows(DOCUMENTS["gateway/README.md"], "state")]
    assert sorted(told) == sorted(state.value for state in CdrState)


def test_every_folder_of_tests_says_what_it_proves() -> None:
    """tests/README.md has a row for each."""
    told = {names(first)[0] for first, *_ in rows(DOCUMENTS["tests/README.md"], "folder")}
    there = {f"{path.parent.name}/" for path in (REPOSITORY / "tests").glob("*/*.py")}
    assert told == there


UNWANTED = (
    r"\b(TODO|FIXME|helpers?|not implemented)\b",
    r"\bissue #?\d",
    r"(?<![\w.}>])/(home|opt|root|tmp|work)/",
    r"--(extra-)?index-url|--find-links",
)


@every_document
def test_documents_speak_to_their_readers(name: str) -> None:
    """No unfinished business, no machine of ours, no package index but the reader's own."""
    for unwanted in UNWANTED:
        assert not (found := re.search(unwanted, DOCUMENTS[name], re.IGNORECASE)), found


# .ci/run --------------------------------------------------------------------------------------------------------------

CI = REPOSITORY / ".ci/run"


def test_ci_runs_the_readmes_test_command_and_the_checks() -> None:
    """Literally that command, then style, types and layers."""
    assert os.access(CI, os.X_OK)
    lines = [line.strip() for line in CI.read_text().splitlines()]
    steps = [TEST, *(f".venv/bin/{tool}" for tool in ("ruff check", "ruff format --check", "mypy", "lint-imports"))]
    assert [line for line in lines if line in steps] == steps


@pytest.mark.parametrize("broken", ["python3", "pip", "pytest", "ruff", "mypy", "lint-imports"])
def test_ci_fails_when_any_step_fails(broken: str, tmp_path: Path) -> None:
    """It ends there with the step's exit code; nothing after it is run."""
    shutil.copytree(CI.parent, tmp_path / ".ci")
    calls = tmp_path / "calls"
    for tool in ("python3", "pip", "pytest", "ruff", "mypy", "lint-imports"):
        path = tmp_path / (".venv/bin" if tool != "python3" else "bin") / tool
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\necho {tool} >> {calls}\nexit {7 if tool == broken else 0}\n")
        path.chmod(0o755)
    environ: dict[str, Any] = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run([tmp_path / ".ci/run"], env=environ, capture_output=True, timeout=30, check=False)
    assert done.returncode == 7
    assert calls.read_text().split()[-1] == broken
