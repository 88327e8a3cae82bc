"""``ocpi-gateway doctor``: is this installation sound?"""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import click
from attrs import asdict, frozen

from gateway import telemetry
from gateway.cli.options import Tools, config_option, data_folder, data_option
from gateway.model.errors import NotDurable
from gateway.settings import Mistakes, Settings, find_config, load
from gateway.store.connection import ServerInfo
from gateway.store.embedded import NoServer, find_binary
from gateway.store.redis import Store
from gateway.web.json import dumps

_LIBRARIES: Final = ("aiohttp", "attrs", "cattrs", "redis", "structlog", "msgspec")
_OLDEST_REDIS: Final = (6, 2)
_EARLIEST: Final = 1_735_689_600  # 2025-01-01: a clock before that is wrong, and tokens and dates with it


@frozen
class Finding:
    """One thing looked at: sound or not, and what to do if not."""

    what: str
    sound: bool
    detail: str


@click.command(epilog="Example: ocpi-gateway doctor --config /etc/ocpi-gateway --json")
@config_option
@data_option
@click.option("--json", "as_json", is_flag=True, help="A JSON list of findings.")
@click.pass_obj
def doctor(tools: Tools, folder: Path | None, data: Path | None, as_json: bool) -> None:
    """Look at the installation: versions, Redis and its durability, the C parser, the clock, ports, import names.

    Works without any configuration. Exit code 0 if all is sound, 1 if not.
    """
    telemetry.configure(level="critical")  # what it finds it says itself
    findings = [*_installation(), *_configured(tools, folder, data_folder(data))]
    if as_json:
        click.echo(dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            click.echo(f"{'ok  ' if finding.sound else 'FAIL'}  {finding.what}: {finding.detail}")
    raise SystemExit(0 if all(finding.sound for finding in findings) else 1)


def _installation() -> Iterator[Finding]:
    yield Finding("python", True, platform.python_version())
    for library in _LIBRARIES:
        try:
            yield Finding(library, True, version(library))
        except PackageNotFoundError:
            yield Finding(library, False, "not installed; install the gateway again, in an environment of its own")
    yield _parser()
    yield _names()
    now = time.time()
    yield Finding("clock", now > _EARLIEST, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)))


def _parser() -> Finding:
    if find_spec("aiohttp._http_parser") is None:
        # The pure-Python parser is slower, and has had request-smuggling holes of its own.
        return Finding("http parser", False, "aiohttp's C parser is missing; install an aiohttp wheel for this machine")
    return Finding("http parser", True, "C")


def _names() -> Finding:
    owners = packages_distributions()
    mine = {name: sorted(set(owners.get(name, ()))) for name in ("gateway", "adapters")}
    if all(len(found) == 1 for found in mine.values()) and mine["gateway"] == mine["adapters"]:
        return Finding("import names", True, f"gateway and adapters come from {mine['gateway'][0]}")
    if not any(mine.values()):
        return Finding("import names", True, "gateway and adapters come from a source tree")
    return Finding(
        "import names", False, f"gateway from {mine['gateway']}, adapters from {mine['adapters']}: "
        "install the gateway in an environment of its own",
    )  # fmt: skip


def _configured(tools: Tools, folder: Path | None, data: Path) -> Iterator[Finding]:
    settings: Settings | None = None
    where = find_config(folder)
    if folder is None and not (where / "gateway.yaml").exists():
        yield Finding("configuration", True, f"none in {where}")
    else:
        try:
            settings = load(where, tools.versions, os.environ)
            yield Finding("configuration", True, f"{where}: {len(settings.links)} links")
        except Mistakes as mistakes:
            yield Finding("configuration", False, f"{len(mistakes.mistakes)} mistakes; see ocpi-gateway check")
    if settings is not None and settings.redis.url is not None:
        yield asyncio.run(_redis(settings.redis.url.value, settings.redis.prefix))
    else:
        yield _binary(data)
    if settings is not None:
        yield _port("listen", settings.listen.host, settings.listen.port)
        yield _port("admin.listen", settings.admin.listen.host, settings.admin.listen.port)


def _binary(data: Path) -> Finding:
    try:
        found = find_binary()
    except NoServer as error:
        return Finding("redis", False, str(error))
    spoken = ".".join(map(str, found.version))
    return Finding("redis", True, f"embedded, {found.path} {spoken}, durable in {data}")


async def _redis(url: str, prefix: str) -> Finding:
    store = Store.connect(url, prefix)
    try:
        info = await store.info()
    except NotDurable as error:
        return Finding("redis", False, error.message)
    finally:
        await store.aclose()
    wrong = list(_undurable(info))
    spoken = f"{info.product} {info.version}"
    return Finding("redis", not wrong, "; ".join(wrong) if wrong else f"{spoken}, durable (appendfsync {info.fsync})")


def _undurable(info: ServerInfo) -> Iterator[str]:
    numbers = tuple(int(part) for part in info.version.split(".")[:2] if part.isdigit())
    if numbers < _OLDEST_REDIS:
        yield f"{info.product} {info.version} is too old; 6.2 or later is needed"
    if not info.aof:
        yield "appendonly is off: a restart loses what was acknowledged; set appendonly yes"
    if info.eviction != "noeviction":
        yield f"maxmemory-policy is {info.eviction}: it may throw away CDRs; set noeviction"


def _port(key: str, host: str, port: int) -> Finding:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as error:
            return Finding(key, False, f"{host}:{port}: {error.strerror}; is a gateway running, or another server?")
    return Finding(key, True, f"{host}:{port} is free")
