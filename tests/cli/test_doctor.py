"""``ocpi-gateway doctor``: what it finds sound, and what not."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from processes import Installation

from gateway.store.embedded import Embedded
from gateway.web.json import loads


async def findings(installation: Installation, *options: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the findings by what was looked at."""
    code, out, err = await installation.done("doctor", "--json", *options)
    assert err == ""
    return code, {finding["what"]: finding for finding in loads(out.encode())}


def on(installation: Installation) -> tuple[str, ...]:
    return "--config", str(installation.folder / "config"), "--data", str(installation.folder / "data")


async def test_without_configuration_a_sound_installation_is_0(tmp_path: Path) -> None:
    """It looks at libraries, parser, clock and names, and finds the server that ``run`` would start."""
    code, found = await findings(Installation(tmp_path))
    assert code == 0
    assert all(finding["sound"] for finding in found.values())
    assert {"python", "aiohttp", "redis", "http parser", "clock", "import names", "configuration"} <= found.keys()
    assert found["http parser"]["detail"] == "C"
    assert os.listdir(tmp_path) == []  # looking changes nothing


async def test_lines_for_people_say_the_same(tmp_path: Path) -> None:
    """One line a finding, ``ok`` or ``FAIL`` in front."""
    code, out, _ = await Installation(tmp_path).done("doctor", "--data", str(tmp_path / "data"))
    assert code == 0
    assert all(line.startswith("ok    ") for line in out.splitlines())


async def test_with_a_configuration_ports_and_redis_are_looked_at(tmp_path: Path, redis_server: Embedded) -> None:
    """A Redis that is there and durable, and free ports."""
    installation = Installation.on(tmp_path, more=f'redis: {{url: "{redis_server.url}"}}\n')
    code, found = await findings(installation, *on(installation))
    assert code == 0
    assert "durable (appendfsync always)" in found["redis"]["detail"]
    assert "is free" in found["listen"]["detail"]


async def test_a_redis_that_is_away_and_a_taken_port_are_1(tmp_path: Path) -> None:
    """Each with what to look at; everything else is still told."""
    installation = Installation.on(tmp_path, more=f'redis: {{url: "unix://{tmp_path}/nothing.sock"}}\n')
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", installation.listen):
        code, found = await findings(installation, *on(installation))
    assert code == 1
    assert {name for name, finding in found.items() if not finding["sound"]} == {"redis", "listen"}


async def test_no_server_to_start_is_1(tmp_path: Path) -> None:
    """With the same three ways out that ``run`` gives."""
    installation = Installation(tmp_path)
    installation.without_a_server()
    code, found = await findings(installation)
    assert code == 1
    assert not found["redis"]["sound"]
    assert "sudo apt install redis-server" in found["redis"]["detail"]


async def test_a_broken_configuration_is_1(tmp_path: Path) -> None:
    """It says how many mistakes there are, and who tells them."""
    installation = Installation.on(tmp_path, more="lisen: 1\n")
    code, found = await findings(installation, *on(installation))
    assert code == 1
    assert found["configuration"]["detail"] == "1 mistakes; see ocpi-gateway check"
