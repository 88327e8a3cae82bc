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
from gateway.cli.state import done_with, loaded
from gateway.model.errors import NotDurable
from gateway.settings import Mistakes, RedisSettings, Settings, find_config, load
from gateway.settings.files import Durability, OnWeaker
from gateway.store.durability import ServerInfo, weaknesses
from gateway.store.embedded import NoServer, find_binary
from gateway.store.redis import Store
from gateway.store.trust import LOST_TODO, Trust
from gateway.web.json import dumps

_LIBRARIES: Final = ("aiohttp", "attrs", "cattrs", "redis", "structlog", "msgspec")
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
@click.option(
    "--accept-empty", is_flag=True,
    help="Redis has come back without its data, and they are gone for good: go on with what it holds now.",
)  # fmt: skip
@click.option("--reason", help="Why, for the log of every replica; with --accept-empty.")
@click.option("--dry-run", is_flag=True, help="With --accept-empty: say what would be accepted, and do nothing.")
@click.pass_obj
def doctor(
    tools: Tools,
    folder: Path | None,
    data: Path | None,
    as_json: bool,
    accept_empty: bool,
    reason: str | None,
    dry_run: bool,
) -> None:
    """Look at the installation: versions, Redis and its durability, the C parser, the clock, ports, import names.

    Works without any configuration. Exit code 0 if all is sound, 1 if not.

    With --accept-empty it does one thing only: what Redis lost is given up, and the gateway goes on. Ask partners and
    backends first which CDRs they lack: nobody here knows any more.
    """
    telemetry.configure(level="critical")  # what it finds it says itself
    if accept_empty and not (reason or "").strip():
        raise click.UsageError("--accept-empty wants a --reason")
    if (reason is not None or dry_run) and not accept_empty:
        raise click.UsageError("--reason and --dry-run go with --accept-empty")
    if accept_empty:
        findings = [_accepted(loaded(tools, folder), data_folder(data), " ".join((reason or "").split()), dry_run)]
    else:
        findings = [*_installation(), *_configured(tools, folder, data_folder(data))]
    if as_json:
        click.echo(dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            click.echo(f"{'ok  ' if finding.sound else 'FAIL'}  {finding.what}: {finding.detail}")
    raise SystemExit(0 if all(finding.sound for finding in findings) else 1)


def _accepted(settings: Settings, data: Path, reason: str, dry_run: bool) -> Finding:
    """What came of accepting that Redis holds what it holds."""

    async def accept(store: Store) -> Finding:
        await store.look()
        former = store.trust.known.epoch
        if former and not store.trust.lost:
            return Finding("epoch", False, f"Redis has the epoch {former}, as it should: there is nothing to accept")
        if dry_run:
            return Finding("epoch", True, f"would be accepted: {store.trust.lost or 'whatever Redis holds'}")
        epoch = await store.accept_empty(reason)
        return Finding("epoch", True, f"{epoch} counts from now on{f', and no longer {former}' if former else ''}")

    return done_with(settings, data, accept)


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
        yield from asyncio.run(_redis(settings.redis, settings.redis.url.value, data))
    else:
        yield _binary(data)
    if settings is not None and settings.redis.cache_url is not None:
        yield asyncio.run(_cache(settings.redis.cache_url.value))
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


async def _redis(settings: RedisSettings, url: str, data: Path) -> list[Finding]:
    store = Store.configured(settings, data, url)
    try:
        servers = await store.look()
    except NotDurable as error:
        return [Finding("redis", False, error.message)]
    finally:
        await store.aclose()
    return [*(_server(server, settings) for server in servers), _epoch(store.trust)]


async def _cache(url: str) -> Finding:
    store = Store.connect(url)
    try:
        servers = await store.look()
    except NotDurable as error:
        return Finding("redis cache", False, error.message)
    finally:
        await store.aclose()
    return Finding("redis cache", True, ", ".join(f"{at.product} {at.version} at {at.where}" for at in servers))


def _server(server: ServerInfo, settings: RedisSettings) -> Finding:
    spoken = f"{server.product} {server.version} at {server.where}"
    if weak := "; ".join(weaknesses(server, settings.durability)):
        let_pass = settings.on_weaker is OnWeaker.WARN
        return Finding("redis", let_pass, f"{spoken}: {weak}{' (let pass by on_weaker: warn)' if let_pass else ''}")
    kept = f"appendfsync {server.fsync}" if settings.durability is Durability.FSYNC else f"{server.replicas} replicas"
    return Finding("redis", True, f"{spoken}, durable ({kept})")


def _epoch(trust: Trust) -> Finding:
    if trust.lost:
        return Finding("epoch", False, f"{trust.lost}: {LOST_TODO}")
    return Finding("epoch", True, trust.known.epoch or "none known here yet")


def _port(key: str, host: str, port: int) -> Finding:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError as error:
            return Finding(key, False, f"{host}:{port}: {error.strerror}; is a gateway running, or another server?")
    return Finding(key, True, f"{host}:{port} is free")
