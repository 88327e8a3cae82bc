"""A list of 100,000 locations through the gateway: megabytes a second, and the memory that it takes while it does so.

    python tests/bench/bench_lists.py [COUNT]
    pytest tests/bench/bench_lists.py -m bench -n 0 -s

The gateway is a process of its own, so that its memory is its own; partner, reader and Redis are others. *Passed*: one
page of all locations, from a partner of each version to a 2.2.1 backend. *Served*: the same number out of the store, in
pages of 1000, to a reader of each version. "Extra" is how far the process's resident memory rose above what it was
before; of a list that is held as a whole it would be several times the list. Nothing is asserted but that all of it
arrives.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import aiohttp
import pytest
from aiohttp import web
from attrs import frozen

sys.path.insert(0, str(Path(__file__).parent.parent / "wire"))

import samples

from gateway.demo.identity import authorization
from gateway.demo.peers import Peer
from gateway.demo.world import free_ports
from gateway.model.modules import Module
from gateway.model.names import Name
from gateway.model.party import Party
from gateway.showing import updated_ms
from gateway.store.embedded import attach_or_start
from gateway.store.redis import Store
from gateway.web.json import dumps, loads

COUNT: Final = 100_000
OLD, NEW = "2.1.1", "2.2.1"
OBJECT: Final = b'"id":"LOC'
OURS: Final = Party("NL", "EXA")
REPOSITORY: Final = Path(__file__).resolve().parents[2]

GATEWAY: Final = """\
public_url: http://127.0.0.1:{listen}
listen: 127.0.0.1:{listen}
admin: {{listen: "127.0.0.1:{admin}"}}
redis: {{url: "{redis}"}}
hub: {{country_code: NL, party_id: GWY}}
parties:
  - {{country_code: NL, party_id: EXA, role: CPO, name: Example Charging}}
  - {{country_code: NL, party_id: OWM, role: EMSP, name: Own Mobility}}
backend:
  version: "2.2.1"
  roles: [{{role: CPO, country_code: NL, party_id: EXA}}, {{role: EMSP, country_code: NL, party_id: OWM}}]
  {registration}
"""
REGISTRATION: Final = """\
registration: {{start: none, versions_url: "{url}", token_out: {{value: to-{name}}}, token_in: {{value: of-{name}}}}}
{indent}allow_private: true
"""
PARTNERS: Final = {
    "grid": (OLD, "CPO", "BE", "GRD"),
    "flux": (NEW, "CPO", "FR", "FLX"),
    "acme": (OLD, "EMSP", "DE", "ACM"),
    "volt": (NEW, "EMSP", "DE", "VLT"),
}


@frozen
class Line:
    """One measurement."""

    name: str
    objects: int
    megabytes: float
    seconds: float
    extra: float

    def __str__(self) -> str:
        rate = self.megabytes / self.seconds
        return (
            f"{self.name:34}{self.objects:8}{self.megabytes:8.0f} MB{rate:8.1f} MB/s"
            f"{self.objects / self.seconds:8.0f}/s{self.extra:9.1f} MB extra"
        )


class Source:
    """A partner's platform with a long list, written once and repeated: it must be faster than what is measured."""

    def __init__(self, version: str, name: str, count: int, location: Any) -> None:
        self._version = version
        self._name = name
        self._count = count
        self._text = dumps(location)
        self._base = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_get("/versions", self._versions)
        app.router.add_get("/details", self._details)
        app.router.add_get("/locations", self._locations)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield f"{self._base}/versions"
        finally:
            await runner.cleanup()

    def _said(self, data: Any) -> web.Response:
        body = {"data": data, "status_code": 1000, "timestamp": "2026-03-02T09:00:00Z"}
        return web.Response(body=dumps(body), content_type="application/json")

    async def _versions(self, _: web.Request) -> web.Response:
        return self._said([{"version": self._version, "url": f"{self._base}/details"}])

    async def _details(self, _: web.Request) -> web.Response:
        role = {"role": "SENDER"} if self._version == NEW else {}
        endpoints = [
            {"identifier": "locations", "url": f"{self._base}/locations", **role},
            {"identifier": "credentials", "url": f"{self._base}/credentials", **role},
        ]
        return self._said({"version": self._version, "endpoints": endpoints})

    async def _locations(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"data":[')
        for start in range(0, self._count, 50):
            some = [
                self._text.replace(b'"LOC-7"', b'"LOC%d"' % number)
                for number in range(start, min(start + 50, self._count))
            ]
            await response.write((b"," if start else b"") + b",".join(some))
        await response.write(b'],"status_code":1000,"timestamp":"2026-03-02T09:00:00Z"}')
        return response


def rss(pid: int, field: str) -> float:
    """Resident memory of a process in MB: VmRSS now, VmHWM at its highest."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def from_here(pid: int) -> float:
    """Its resident memory, which as of now is its highest."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return rss(pid, "VmRSS")


async def read(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> tuple[int, int, str | None]:
    """Bytes and objects of a page, and the URL of the next."""
    size = objects = 0
    tail = b""
    async with session.get(url, headers=headers) as response:
        async for chunk in response.content.iter_any():
            size += len(chunk)
            seen = tail + chunk
            objects += seen.count(OBJECT) - tail.count(OBJECT)
            tail = seen[-40:]
        following = re.match(r"<([^>]+)>", response.headers.get("Link", ""))
    assert b'"status_code":1000' in seen[-200:], seen[-300:]
    return size, objects, following[1] if following else None


async def measured(pid: int, name: str, url: str, headers: dict[str, str], count: int) -> Line:
    """Read a list to its end."""
    before = from_here(pid)
    started = perf_counter()
    size = objects = 0
    following: str | None = url
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        while following is not None:
            more, some, following = await read(session, following, headers)
            size, objects = size + more, objects + some
    seconds = perf_counter() - started
    assert objects == count, f"{name}: {objects} of {count}"
    return Line(name, objects, size / 1e6, seconds, rss(pid, "VmHWM") - before)


async def fill(store: Store, count: int) -> None:
    """Locations of ours, said and seen, as their pushes would have left them."""
    location = samples.location_221()
    at = updated_ms(location)

    async def say(number: int) -> None:
        body = dumps({**location, "id": f"LOC{number}"})
        name = Name(Module.LOCATIONS, OURS, f"LOC{number}")
        await store.say(name, body, body, NEW, "backend", 0, [])
        for link in ("acme", "volt"):
            await store.see(link, name, at)

    for start in range(0, count, 50):
        await asyncio.gather(*map(say, range(start, min(start + 50, count))))


async def lines(count: int) -> list[Line]:
    """All measurements."""
    with tempfile.TemporaryDirectory(prefix="og-") as folder:
        server = await attach_or_start(Path(folder) / "redis")
        store = Store.connect(server.url)
        try:
            return await _with_gateway(Path(folder), server.url, store, count)
        finally:
            await store.aclose()
            await server.stop()


async def _with_gateway(folder: Path, redis: str, store: Store, count: int) -> list[Line]:
    old, new = samples.location_211(), {**samples.location_221(), "country_code": "FR", "party_id": "FLX"}
    core = Peer("backend", NEW, "CPO", "NL", "EXA", "Example Charging", token_in="to-backend")
    acme = Peer("acme", OLD, "EMSP", "DE", "ACM", "Acme Mobility", token_in="to-acme")
    volt = Peer("volt", NEW, "EMSP", "DE", "VLT", "Volt Drive", token_in="to-volt")
    grid, flux = Source(OLD, "grid", count, old), Source(NEW, "flux", count, new)
    async with core, acme, volt, grid.running() as grid_url, flux.running() as flux_url:
        urls = {"grid": grid_url, "flux": flux_url, "acme": acme.versions_url, "volt": volt.versions_url}
        base = _configure(folder, redis, core.versions_url, urls)
        async with _running(folder) as pid:
            await fill(store, count)  # once everybody is registered: who joins is brought everything
            own = {"OCPI-from-country-code": "NL", "OCPI-from-party-id": "OWM"}
            found = [
                await measured(
                    pid, f"passed, {name}'s {version} to {NEW}", f"{base}/{NEW}/sender/locations",
                    {
                        "Authorization": authorization(NEW, "of-backend"), **own,
                        "OCPI-to-country-code": country, "OCPI-to-party-id": party,
                    },
                    count,
                )
                for name, (version, _, country, party) in list(PARTNERS.items())[:2]
            ]  # fmt: skip
            for name, path in (("acme", f"{OLD}/cpo/locations"), ("volt", f"{NEW}/sender/locations")):
                version, _, country, party = PARTNERS[name]
                headers = {"Authorization": authorization(version, f"of-{name}")}
                if version == NEW:
                    headers |= {"OCPI-from-country-code": country, "OCPI-from-party-id": party}
                    headers |= {"OCPI-to-country-code": "NL", "OCPI-to-party-id": "EXA"}
                found.append(
                    await measured(
                        pid, f"served, from the store to {version}", f"{base}/{path}?limit=1000", headers, count
                    )
                )
            return found


def _configure(folder: Path, redis: str, core: str, urls: dict[str, str]) -> str:
    listen, admin = free_ports(2)
    (folder / "config/partners").mkdir(parents=True)
    backend = REGISTRATION.format(name="backend", url=core, indent="  ")
    text = GATEWAY.format(listen=listen, admin=admin, redis=redis, registration=backend)
    (folder / "config/gateway.yaml").write_text(text)
    for name, (version, role, country, party) in PARTNERS.items():
        registration = REGISTRATION.format(name=name, url=urls[name], indent="")
        roles = f"[{{role: {role}, country_code: {country}, party_id: {party}}}]"
        file = f'version: "{version}"\nroles: {roles}\n{registration}'
        (folder / f"config/partners/{name}.yaml").write_text(file)
    return f"http://127.0.0.1:{listen}/ocpi"


@asynccontextmanager
async def _running(folder: Path) -> AsyncIterator[int]:
    """The process id of a gateway with which everybody is registered."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "run", "--config", str(folder / "config"), "--data", str(folder / "data"),
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, cwd=folder, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    registered: set[str] = set()
    try:
        async with asyncio.timeout(60):
            while registered < {"backend", *PARTNERS}:
                line = loads(await process.stderr.readline())
                if line["event"] == "partner.catches_up":
                    registered.add(line["partner"])
        drain = asyncio.create_task(process.stderr.read())
        yield process.pid
        process.terminate()
        await drain
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def report(found: list[Line]) -> str:
    return "\n".join(map(str, found))


@pytest.mark.bench
@pytest.mark.timeout(1800)
async def test_lists() -> None:
    """Both ways, both versions."""
    sys.stdout.write("\n" + report(await lines(COUNT)) + "\n")


if __name__ == "__main__":
    sys.stdout.write(report(asyncio.run(lines(int(sys.argv[1]) if sys.argv[1:] else COUNT))) + "\n")
