"""What ``run`` and ``doctor`` make of a Redis that isn't as it should be: weak, or back without its data."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from attrs import define
from processes import Installation
from redis.asyncio import Redis

from gateway.demo.world import free_ports
from gateway.store.embedded import die_with_parent, find_binary
from gateway.web.json import loads


@define
class Server:
    """A redis-server of the test's own, and what is said to it."""

    port: int
    client: Redis

    @property
    def yaml(self) -> str:
        return f'redis: {{url: "redis://127.0.0.1:{self.port}/0"}}\n'


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    (port,) = free_ports(1)
    (tmp_path / "redis").mkdir()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path / "redis"), "--save", "")
    process = subprocess.Popen(  # noqa: ASYNC220
        [find_binary().path, *options, "--appendonly", "yes", "--appendfsync", "always"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent(),
    )  # fmt: skip
    async with Redis(host="127.0.0.1", port=port) as client:
        yield Server(port, client)
    process.kill()
    process.wait()


def on(installation: Installation) -> tuple[str, ...]:
    return "--config", str(installation.folder / "config"), "--data", str(installation.folder / "data")


async def told(installation: Installation, *options: str) -> tuple[int, dict[str, tuple[bool, str]]]:
    """The exit code of ``doctor``, and of each finding whether it is sound, and the words."""
    code, out, err = await installation.done("doctor", "--json", *on(installation), *options)
    assert err == ""
    return code, {finding["what"]: (finding["sound"], finding["detail"]) for finding in loads(out.encode())}


async def test_a_weak_redis_is_78_with_what_to_set(server: Server, tmp_path: Path) -> None:
    """``run`` doesn't start on a server that forgets what it acknowledged, unless it is told to; ``doctor`` tells."""
    await server.client.config_set("appendfsync", "everysec")
    installation = Installation.on(tmp_path / "strict", more=server.yaml)
    code, out, err = await installation.done("run", *on(installation))
    assert (code, out) == (78, "")
    assert "set appendfsync always" in err
    assert "on_weaker: warn" in err
    code, found = await told(installation)
    assert code == 1
    assert found["redis"][0] is False

    lenient = Installation.on(tmp_path / "lenient", more=server.yaml.replace("}", ", on_weaker: warn}"))
    process = await lenient.start("run", *on(lenient))
    assert process.stderr is not None
    async with asyncio.timeout(20):
        assert b"may be lost in a crash" in await process.stderr.readline()  # the warning of the configuration
        while b"gateway.up" not in await process.stderr.readline():
            pass
    process.kill()
    await process.communicate()
    code, found = await told(lenient)
    assert (code, found["redis"][0]) == (0, True)
    assert "let pass by on_weaker: warn" in found["redis"][1]


async def test_a_redis_without_its_data_is_accepted_by_a_person_alone(server: Server, tmp_path: Path) -> None:
    """A gateway that runs stops believing it, one that starts isn't ready on it, until somebody gives the data up."""
    installation = Installation.on(tmp_path, more=server.yaml)
    async with installation.running() as gateway:
        code, found = await told(installation, "--accept-empty", "--reason", "none")
        assert (code, found["epoch"][0]) == (1, False)  # nothing is lost
        await server.client.flushall()
        await server.client.client_kill_filter(_type="normal", skipme=True)
        await gateway.told("redis.lost")
    code, found = await told(installation)
    assert code == 1
    assert "it is empty where it had" in found["epoch"][1]

    starting = await installation.start("run", *on(installation))
    assert starting.stderr is not None
    async with asyncio.timeout(20):
        while b"redis.lost" not in await starting.stderr.readline():
            pass
        code, found = await told(installation, "--accept-empty", "--reason", "a test", "--dry-run")
        assert (code, found["epoch"][0]) == (0, True)
        assert await server.client.get("og:epoch") is None
        code, found = await told(installation, "--accept-empty", "--reason", "the disk\nis gone")
        assert (code, found["epoch"][0]) == (0, True)
        seen = b""
        while b"gateway.up" not in seen:
            seen += await starting.stderr.readline()
    assert b'"reason":"the disk is gone"' in seen.replace(b'": "', b'":"')
    starting.terminate()
    await starting.communicate()
    assert (await told(installation))[0] == 0


async def test_an_acceptance_wants_a_reason(tmp_path: Path) -> None:
    """And a reason something that it is for."""
    installation = Installation.on(tmp_path)
    for options in (("--accept-empty",), ("--accept-empty", "--reason", " "), ("--reason", "why"), ("--dry-run",)):
        code, _, err = await installation.done("doctor", *on(installation), *options)
        assert code == 2
        assert "--reason" in err


async def test_the_cache_is_looked_at_too(server: Server, tmp_path: Path) -> None:
    """One that is away is a finding of its own."""
    more = server.yaml.replace("}", f', cache_url: "unix://{tmp_path}/none.sock"}}')
    code, found = await told(Installation.on(tmp_path, more=more))
    assert code == 1
    assert found["redis"][0] is True
    assert found["redis cache"][0] is False
