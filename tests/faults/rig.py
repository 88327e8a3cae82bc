"""Everything on one stage: redis-server, gateways, backend, partners; and what scenarios do with them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
from attrs import define, field

from gateway.demo.world import free_ports
from tests.faults.backend import TOKEN_IN, TOKEN_OUT, Backend
from tests.faults.oracle import Oracle, States, Verdict, percentile
from tests.faults.partners import OWNER, Partner, emsps
from tests.faults.records import Books, Key, key_of, now
from tests.faults.running import REPOSITORY, GatewayProcess, Processor, RedisServer

GATEWAY: Final = """\
public_url: http://127.0.0.1:{listen}
listen: 127.0.0.1:{listen}
admin: {{listen: "127.0.0.1:{admin}"}}
redis: {{url: "{redis}"}}
hub: {{country_code: NL, party_id: GWY}}
parties: [{{country_code: NL, party_id: EXA, role: CPO, name: Example Charging}}]
"""
REPOST: Final = "quirks: {cdrs.in_doubt: repost}\n"
_DONE: Final = frozenset({"delivered", "dropped"})
QUIET_S: Final = 60.0
"""Seconds in which everything must have come to rest once nothing disturbs it any more."""
STUCK_S: Final = 4.0
"""The same with a planted bug, over which it may never come to rest."""


@define(eq=False)
class Rig:
    """One run.

    Attributes:
        outages: when something was killed, stopped or cut, and when that was over.
        reposting: links whose CDRs in doubt are posted again.
    """

    folder: Path
    seed: int
    books: Books
    redis: RedisServer
    backend: Backend
    partners: Sequence[Partner]
    gateways: list[GatewayProcess]
    reposting: frozenset[str]
    outages: list[tuple[float, float]] = field(factory=list, init=False)
    processor: Processor = field(factory=Processor, init=False)
    _began: float = field(factory=time.monotonic, init=False)

    @classmethod
    @asynccontextmanager
    async def of(
        cls,
        *,
        seed: int,
        partners: int = 5,
        replicas: int = 1,
        launch: tuple[str, ...] = (),
        pace: float = 0.01,
        redis_port: int | None = None,
        ports: dict[str, int] | None = None,
        reposting: Sequence[str] = (),
        files: dict[str, str] | None = None,
        start: bool = True,
        before: Callable[[int], None] = lambda _: None,
    ) -> AsyncIterator[Rig]:
        """A gateway that is up, with whom it talks.

        Args:
            launch: options of the launcher: a bug, a crash.
            redis_port: of a proxy before Redis; None: none. ``before`` is told where Redis really is.
            ports: of proxies before partners.
            reposting: links that post again what is in doubt; the others park it.
            files: lines more in some partners' files.
            start: whether the gateways are started and told where everything happens.
        """
        with tempfile.TemporaryDirectory(prefix="og-faults-") as name:
            folder, books = Path(name), Books()
            others = emsps(partners, books, seed, pace=pace)
            redis = RedisServer(folder / "redis")
            backend = Backend(seed, others, books, [])
            before(redis.port)
            rig = cls(folder, seed, books, redis, backend, others, [], frozenset(reposting))
            try:
                await asyncio.gather(redis.start(), backend.server.up(), *(each.server.up() for each in others))
                for number in range(replicas):
                    rig.gateways.append(rig._configured(number, launch, redis_port, ports or {}, files or {}))
                backend.gateways = [gateway.base for gateway in rig.gateways]
                if start:
                    await asyncio.gather(*(gateway.start() for gateway in rig.gateways))
                    await backend.open()
                    await backend.introduce()
                yield rig
            finally:
                await backend.aclose()
                for gateway in rig.gateways:
                    gateway.stop()
                for partner in others:
                    await partner.server.down()
                redis.stop()

    def _configured(
        self,
        number: int,
        launch: tuple[str, ...],
        redis_port: int | None,
        ports: dict[str, int],
        files: dict[str, str],
    ) -> GatewayProcess:
        config = self.folder / f"config{number}"
        (config / "partners").mkdir(parents=True)
        listen, admin = free_ports(2)
        redis = f"redis://127.0.0.1:{redis_port}/0" if redis_port else self.redis.url
        gateway = GATEWAY.format(listen=listen, admin=admin, redis=redis) + self.backend.file()
        (config / "gateway.yaml").write_text(gateway)
        for partner in self.partners:
            more = REPOST if partner.id in self.reposting else ""
            text = partner.file(port=ports.get(partner.id), more=more + files.get(partner.id, ""))
            (config / f"partners/{partner.id}.yaml").write_text(text)
        log = self.folder / f"gateway{number}.log"
        return GatewayProcess(config, self.folder / f"data{number}", log, listen, admin, launch)

    @property
    def gateway(self) -> GatewayProcess:
        return self.gateways[0]

    @property
    def busy(self) -> int:
        """Requests under way, on either side of the gateway."""
        return self.backend.in_flight + sum(partner.in_flight for partner in self.partners)

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Something is wrong for the time of this block."""
        began = now()
        try:
            yield
        finally:
            self.outages.append((began, now()))

    def struck(self) -> None:
        """Something happened at this moment, to what was under way."""
        self.outages.append((now(), now()))

    # What the gateway says --------------------------------------------------------------------------------------------

    def states(self) -> States:
        """Where each CDR stands."""
        found: dict[str, dict[Key, str]] = {}
        with self.redis.client() as client:
            for partner in self.partners:
                before = f"og:cdr:{{{partner.id}}}:"
                keys = list(client.scan_iter(f"{before.replace('{', '[{]').replace('}', '[}]')}*", count=10_000))
                found[partner.id] = {}
                for start in range(0, len(keys), 5000):
                    part, pipe = keys[start : start + 5000], client.pipeline(transaction=False)
                    for key in part:
                        pipe.hget(key, "state")
                    for key, state in zip(part, pipe.execute(), strict=True):
                        if state is not None:
                            module, owner, id = str(key).removeprefix(before).split(":")[:3]
                            found[partner.id][key_of(module, owner, id)] = state
        return found

    def waiting(self) -> int:
        """Objects that are owed: noted, or due to somebody."""
        with self.redis.client() as client, client.pipeline(transaction=False) as pipe:
            pipe.zcard("og:notes:{NL-EXA}")
            for partner in self.partners:
                pipe.zcard(f"og:due:{{{partner.id}}}")
            return sum(map(int, pipe.execute()))

    def pending(self) -> int:
        """CDRs that wait for their turn."""
        with self.redis.client() as client, client.pipeline(transaction=False) as pipe:
            for partner in self.partners:
                pipe.zcount(f"og:cdr:{{{partner.id}}}", "-inf", "(+inf")
            return sum(map(int, pipe.execute()))

    def _held(self) -> frozenset[tuple[str, Key]]:
        found: set[tuple[str, Key]] = set()
        with self.redis.client() as client:
            for partner in self.partners:
                for name in client.hkeys(f"og:held:{{{partner.id}}}"):
                    module, owner, id = str(name).split(":")[:3]
                    found.add((partner.id, key_of(module, owner, id)))
        return frozenset(found)

    def _open(self) -> list[str]:
        """CDRs of which the gateway still means to do something by itself."""
        states = self.states()
        oracle = Oracle(self.books, self.partners, {}, states, [])
        return [
            f"{key[2]} for {link} is {state}"
            for link, of in states.items()
            for key, state in of.items()
            if state == "in_flight" or (state == "pending" and not oracle._waits(link, key))
        ]

    async def quiet(self, within: float | None = None, *, calling: bool = True) -> float:
        """Until nothing is under way and nothing is owed that could be brought; the seconds that it took.

        With ``calling`` the partners call in now and then, as partners do that are back.
        """
        began, called = now(), now()
        if within is None:
            within = STUCK_S if "--bug" in self.gateway.launch else QUIET_S
        while now() - began < within:
            if not self.busy and self._rest():
                return now() - began
            if calling and now() - called > 1.0:
                called = now()
                await self.call_in()
            await asyncio.sleep(0.05)
        return now() - began

    def _rest(self) -> bool:
        return self.waiting() == 0 and self.pending() < 1000 and not self._open()

    async def call_in(self) -> None:
        """Each partner asks for our versions, which says that it is there."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:
            for partner in self.partners:
                token = partner.token_out
                if partner.version != "2.1.1":
                    token = base64.b64encode(token.encode()).decode()
                with suppress(aiohttp.ClientError, TimeoutError):
                    url = f"{self.gateway.base}/ocpi/versions"
                    await http.get(url, headers={"Authorization": f"Token {token}"})

    # The end ----------------------------------------------------------------------------------------------------------

    async def judge(self, scenario: str, hits: Sequence[bool] = (), **figures: Any) -> Verdict:
        """The verdict over everything up to now."""
        verdict = Verdict(scenario, self.seed, hits=list(hits))
        verdict.figures |= figures
        states = self.states()
        told = await self._ledger()
        open_ = {(link, key, state) for link, of in states.items() for key, state in of.items() if state not in _DONE}
        for link, key, state in open_ ^ told:
            verdict.broken("ledger", f"`ledger list` and Redis differ about {key} for {link}: {state}")
        Oracle(
            self.books, self.partners, self.backend.sessions, states, self.outages, self.reposting, self._held()
        ).judge(verdict)  # fmt: skip
        for refusal in self.backend.refused:
            verdict.broken("refused", refusal)
        if self.backend.late:
            verdict.broken("I7", f"{self.backend.late} answers came too late")
        for server in (self.backend.server, *(partner.server for partner in self.partners)):
            assert not server.mistakes, server.mistakes
        self._read_logs(verdict)
        took = [seconds for _, seconds in self.backend.times]
        verdict.figures |= {
            "failed": self.backend.failed, "p50_ms": round(percentile(took, 0.5) * 1000, 1),
            "p99_ms": round(percentile(took, 0.99) * 1000, 1), "cpu": round(self.processor.busy(), 2),
            "seconds": round(time.monotonic() - self._began, 1),
        }  # fmt: skip
        return verdict

    async def _ledger(self) -> set[tuple[str, Key, str]]:
        """CDRs that aren't done, as ``ocpi-gateway ledger list`` tells them to a person."""
        gateway = self.gateway
        verb = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "ledger", "list", "--json", "--module", "cdrs",
            "--config", str(gateway.config), "--data", str(gateway.data),
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await verb.communicate()
        assert verb.returncode == 0, err.decode()
        return {(row["partner"], key_of("cdrs", OWNER, row["id"]), row["state"]) for row in json.loads(out)}

    def _read_logs(self, verdict: Verdict) -> None:
        """I14: no token in a log; and nothing in it that isn't JSON, or tells of a crash."""
        canaries = [TOKEN_IN, TOKEN_OUT, *(each for one in self.partners for each in (one.token_in, one.token_out))]
        spelled = [*canaries, *(base64.b64encode(each.encode()).decode() for each in canaries)]
        for gateway in self.gateways:
            text = gateway.log.read_text()
            for each in spelled:
                if each in text:
                    verdict.broken("I14", f"a token in the log: {each[:12]}...")
            for line in text.splitlines():
                try:
                    event = str(json.loads(line)["event"])
                except (ValueError, KeyError, TypeError):
                    continue  # a line that a kill has cut
                if event.endswith(".crashed"):
                    verdict.broken("crash", line[:600])
