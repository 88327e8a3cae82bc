"""``ocpi-gateway check``, as somebody at a terminal meets it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from config_folder import Folder

from gateway.web.json import loads

REPOSITORY = Path(__file__).resolve().parents[2]


def check(folder: Folder, *options: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", "check", *options],
        env=os.environ | folder.environ | {"PYTHONPATH": str(REPOSITORY)},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_good_configuration_is_summed_up(folder: Folder) -> None:
    """One line for each link, exit code 0, and no secret."""
    done = check(folder.partner(), "--config", str(folder.path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "backend (backend, 2.2.1): NL-GWY HUB - NL-EXA CPO; registration: none;"
        " push tokens commands chargingprofiles hubclientinfo; accept locations tariffs sessions cdrs",
        "acme (bilateral, 2.1.1): NL-EXA CPO - DE-ACM EMSP; registration: us; push locations tariffs sessions cdrs;"
        " accept tokens commands chargingprofiles",
    ]


def test_every_mistake_is_a_line_and_the_exit_code_is_78(folder: Folder) -> None:
    """In the default folder ./config, as file:line:column relative to where one stands."""
    (folder.path / "config").mkdir()
    (folder.path / "gateway.yaml").rename(folder.path / "config" / "gateway.yaml")
    (folder.path / "config/partners").mkdir()
    folder.write("config/partners/acme.yaml", "kind: bilateral\nstage: beta\n")
    del folder.environ["IN"]
    done = check(folder, cwd=folder.path)
    assert done.returncode == 78
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == [
        "config/gateway.yaml:8:117",
        "config/partners/acme.yaml:1:1",
        "config/partners/acme.yaml:1:1",
        "config/partners/acme.yaml:1:1",
        "config/partners/acme.yaml:2:8",
    ]


def test_warnings_are_printed_and_are_no_mistakes(folder: Folder) -> None:
    """They come first, and the exit code stays 0."""
    gateway = (folder.path / "gateway.yaml").read_text()
    folder.write("gateway.yaml", gateway.replace("https://roaming", "http://roaming"))
    done = check(folder, "--config", str(folder.path))
    assert done.returncode == 0
    assert done.stdout.startswith(f"{folder.path}/gateway.yaml:1:13: warning: plain http")


def test_strict_refuses_literals(folder: Folder) -> None:
    """What --strict refuses is fine without it."""
    folder.gateway("admin: {token: {value: s3cr3t}}\n")
    assert check(folder, "--config", str(folder.path)).returncode == 0
    done = check(folder, "--config", str(folder.path), "--strict")
    assert done.returncode == 78
    assert "a literal secret" in done.stdout
    assert "s3cr3t" not in done.stdout + done.stderr


def test_json_says_the_same(folder: Folder) -> None:
    """An object with mistakes, warnings and links, in both cases."""
    fine = loads(check(folder.partner(), "--config", str(folder.path), "--json").stdout.encode())
    assert [link["id"] for link in fine["links"]] == ["backend", "acme"]
    assert fine["mistakes"] == fine["warnings"] == []
    done = check(folder.partner("stage: beta\n"), "--config", str(folder.path), "--json")
    assert done.returncode == 78
    (mistake,) = loads(done.stdout.encode())["mistakes"]
    assert (mistake["file"], mistake["line"], mistake["column"]) == (f"{folder.path}/partners/acme.yaml", 4, 8)


def test_feeds_and_consumers_are_summed_up_after_the_links(folder: Folder) -> None:
    """A line each, and lists of their own in JSON; a token nowhere."""
    folder.partner(
        text="kind: prices\nfeed: {shape: new, version: '2.1.1', locations_url: https://feed.example/locations,"
        " prices_url: https://feed.example/prices, connector_prices_url: https://feed.example/connectors,"
        " token: {value: s3cr3t-eco}, every: 12h}\n",
        name="eco",
    )
    folder.partner(text="kind: prices\nconsumer: {token_in: {value: s3cr3t-app}}\n", name="map-app")
    done = check(folder, "--config", str(folder.path))
    assert (done.returncode, done.stdout.splitlines()[1:]) == (
        0,
        [
            "eco (prices, feed): new shape, 2.1.1 locations; every 12h, mon-fri 09:00-17:00 Europe/Amsterdam",
            "map-app (prices, consumer): adhoc; nothing that came from feeds",
        ],
    )
    as_json = check(folder, "--config", str(folder.path), "--json")
    found = loads(as_json.stdout.encode())
    assert [link["id"] for link in found["links"]] == ["backend"]
    assert [(feed["id"], feed["kind"], feed["feed"]["every"]) for feed in found["feeds"]] == [("eco", "prices", "12h")]
    assert found["consumers"] == [
        {
            "id": "map-app", "name": "map-app", "kind": "prices",
            "consumer": {"audience": ["adhoc"], "redistribute": False},
        },
    ]  # fmt: skip
    assert "s3cr3t" not in done.stdout + done.stderr + as_json.stdout + as_json.stderr


def test_help_has_an_example(folder: Folder) -> None:
    """And names the exit code."""
    done = check(folder, "--help")
    assert "Example: ocpi-gateway check --config" in done.stdout
    assert "78" in done.stdout
