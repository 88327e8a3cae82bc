"""The boundary modules are boundaries only while nobody walks around them: this reads the source and sees to it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import adapters
import gateway

ROOTS = [Path(package.__file__ or "").parent for package in (gateway, adapters)]

# What may be named only in the module that makes its promise. The demo plays strangers, who promise nothing.
BANS = {
    "json": "gateway/web/json.py",
    "simplejson": None,
    "orjson": None,
    "ujson": None,
    "msgspec.json": "gateway/web/json.py",
    "aiohttp.ClientSession": "gateway/web/client.py",
    "aiohttp.request": None,
    "requests": None,
    "httpx": None,
    "urllib.request": None,
    "http.client": None,
}


def sources() -> list[Path]:
    """Every Python file of the product but the demo."""
    return sorted(
        path for root in ROOTS for path in root.rglob("*.py") if "demo" not in path.relative_to(root.parent).parts
    )


def names_used(tree: ast.AST) -> Iterator[str]:
    """Dotted names that a module imports or reaches through an import: ``msgspec.json``, ``aiohttp.ClientSession``."""
    known: dict[str, str] = {}  # name in the module -> what it stands for
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                known[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
                yield alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
            yield f"{known[node.value.id]}.{node.attr}"


def banned(source: str, place: str) -> set[str]:
    """The banned names that a module uses although they aren't its own."""
    return {
        ban
        for name in names_used(ast.parse(source))
        for ban, home in BANS.items()
        if (name == ban or name.startswith(f"{ban}.")) and place != home
    }


@pytest.mark.parametrize("path", sources(), ids=str)
def test_nothing_walks_around_the_boundaries(path: Path) -> None:
    """No other module decodes JSON or opens connections by itself."""
    root = next(root for root in ROOTS if path.is_relative_to(root))
    assert not banned(path.read_text(), path.relative_to(root.parent).as_posix())


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import json", {"json"}),
        ("import json as j\nj.loads('')", {"json"}),
        ("from json import loads", {"json"}),
        ("def f():\n    import orjson", {"orjson"}),
        ("import msgspec\nmsgspec.json.decode(b'')", {"msgspec.json"}),
        ("import msgspec as m\nd = m.json.Decoder()", {"msgspec.json"}),
        ("from msgspec import json", {"msgspec.json"}),
        ("from msgspec.json import decode", {"msgspec.json"}),
        ("import msgspec.json", {"msgspec.json"}),
        ("import aiohttp\nasync def f():\n    async with aiohttp.ClientSession(): ...", {"aiohttp.ClientSession"}),
        ("from aiohttp import ClientSession as S", {"aiohttp.ClientSession"}),
        ("import urllib.request", {"urllib.request"}),
        ("from urllib import request", {"urllib.request"}),
        ("import msgspec\nmsgspec.convert({}, dict)\nfrom aiohttp import web\nimport jsonpath", set()),
        ("from gateway.web.json import loads\nfrom gateway.web import json", set()),
    ],
)
def test_the_search_finds_every_way_round(source: str, found: set[str]) -> None:
    """Each way of getting at a banned name is seen, and its neighbours aren't mistaken for it."""
    assert banned(source, "gateway/pipeline.py") == found


def test_each_boundary_is_where_it_is_said_to_be() -> None:
    """The modules that hold the promises exist and use what they alone may."""
    for ban, home in BANS.items():
        if home:
            source = (ROOTS[0].parent / home).read_text()
            assert ban in banned(source, "elsewhere"), ban
