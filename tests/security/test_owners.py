"""Nobody touches what isn't theirs, and nobody is somebody else: list B of the security tests, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import samples
from witness import UNTOLD, VOLT, ask, outcome, town, untouched

from gateway.demo.peers import Exchange, Peer
from gateway.demo.world import Cast, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Who owns objects of a module, and whose they might try: the other platform's party, our own, nobody's.
CPOS, EMSPS = ("grid", "flux"), ("acme", "volt")
MODULES = {"locations": CPOS, "tariffs": CPOS, "sessions": CPOS, "tokens": EMSPS}
VICTIMS = {
    "grid": ["FR/FLX", "NL/OWN", "NL/OWM", "NL/GRD", "BE/ZZZ"], "flux": ["BE/GRD", "NL/OWN", "NL/OWM", "BE/FLX"],
    "acme": ["DE/VLT", "NL/OWM", "NL/OWN", "NLD/ACM"], "volt": ["DE/ACM", "NL/OWM", "NL/OWN", "FR/FLX"],
}  # fmt: skip
SAMPLES = {"locations": "location", "tariffs": "tariff", "sessions": "session", "tokens": "token", "cdrs": "cdr"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Everybody is registered; what any test here changes is its own object."""
    async with town(tmp_path_factory.mktemp("town")) as world:
        yield world


def endpoint(peer: Peer, module: str) -> str:
    """The path of the gateway's that this peer pushes objects of the module to."""
    old = peer.who.version == "2.1.1"
    segment = ("cpo" if module == "tokens" else "emsp") if old else "receiver"
    return f"/ocpi/{peer.who.version}/{segment}/{module}"


def sample(peer: Peer, module: str, **changes: Any) -> dict[str, Any]:
    """An object of the module as the peer would write it, in its own name."""
    make = getattr(samples, f"{SAMPLES[module]}_{peer.who.version.replace('.', '')}_minimal")
    body: dict[str, Any] = make()
    if peer.who.version == "2.2.1":
        body["country_code"], body["party_id"] = peer.party
    return body | changes


def routed(peer: Peer, to: tuple[str, str] | None = None, sender: tuple[str, str] | None = None) -> dict[str, Any]:
    """Arguments of a request with routing headers, where the version has them."""
    return {} if peer.who.version == "2.1.1" else {"sender": sender or peer.party, "to": to}


async def push(
    peer: Peer, module: str, body: Mapping[str, Any], owner: str = "", method: str = "PUT", **more: Any
) -> Exchange:
    """A request to the object of the body, under this owner or the peer's own party."""
    own = "/".join(peer.party)
    id = body.get("id", body.get("uid"))
    path = endpoint(peer, module) if module == "cdrs" else f"{endpoint(peer, module)}/{owner or own}/{id}"
    query = f"?type={body['type']}" if module == "tokens" and peer.who.version == "2.2.1" else ""
    return await ask(peer, method, path + query, body, **(routed(peer) | more))


OTHERS = [
    (name, module, victim)
    for module, names in MODULES.items()
    for name in names
    for victim in VICTIMS[name]
    if module in ("locations", "tokens") or victim == VICTIMS[name][0]
]


@pytest.mark.parametrize(("name", "module", "victim"), OTHERS)
async def test_the_url_of_somebody_else_is_404_check_08(world: World, name: str, module: str, victim: str) -> None:
    """Every method, before the body is looked at: as if it weren't there. Spec: transport_and_format, Errors."""
    peer = world[name]
    async with untouched(world):
        for method in ("PUT", "PATCH", "DELETE", "GET"):
            refused = await push(peer, module, sample(peer, module), victim, method)
            # A method that the module lacks is 405 wherever it is tried: that tells nothing about the owner.
            assert outcome(refused) in ((404, 2001), (405, 2000)), method
            assert refused.http == 404 or method in ("DELETE", "GET") or (module, method) == ("tariffs", "PATCH")


@pytest.mark.parametrize("module", ["locations", "tariffs", "sessions"])
@pytest.mark.parametrize("changes", [{"country_code": "BE"}, {"party_id": "GRD"}, {"party_id": "OWN"}], ids=str)
async def test_the_owner_in_the_body_is_the_one_in_the_url(world: World, module: str, changes: dict[str, str]) -> None:
    """2001 with the field, when the URL is one's own and the body somebody else's."""
    flux = world["flux"]
    async with untouched(world):
        refused = await push(flux, module, sample(flux, module, **changes))
        assert outcome(refused) == (200, 2001)
        assert refused.message.startswith(f"$.{next(iter(changes))}: ")


@pytest.mark.parametrize(("name", "module"), [(name, module) for module, names in MODULES.items() for name in names])
async def test_the_id_in_the_body_is_the_one_in_the_url_check_07(world: World, name: str, module: str) -> None:
    """2001 with the field."""
    peer = world[name]
    field = "uid" if module == "tokens" else "id"
    path = f"{endpoint(peer, module)}/{'/'.join(peer.party)}/AN-OTHER"
    async with untouched(world):
        for method in ("PUT", "PATCH"):
            if (name, module, method) == ("flux", "tariffs", "PATCH"):
                continue  # 2.2.1 has none
            refused = await ask(peer, method, path, sample(peer, module), **routed(peer))
            assert outcome(refused) == (200, 2001), method
            assert refused.message.startswith(f"$.{field}: ")


async def test_a_cdr_of_somebody_else_is_refused(world: World) -> None:
    """Its URL names nobody, so the body decides: 2001."""
    flux = world["flux"]
    async with untouched(world):
        for owner in ({"party_id": "ZZZ"}, {"country_code": "BE", "party_id": "GRD"}, {"country_code": "DE"}):
            refused = await push(flux, "cdrs", sample(flux, "cdrs", **owner), method="POST")
            assert outcome(refused) == (200, 2001)
            assert refused.message.startswith("$.party_id: ")


@pytest.mark.parametrize("sender", [("BE", "GRD"), ("NL", "OWN"), ("FR", "ZZZ"), ("DE", "VLT")])
async def test_the_sender_is_the_caller(world: World, sender: tuple[str, str]) -> None:
    """OCPI-from of anybody else is 2001: the headers are never a proof of who calls."""
    flux = world["flux"]
    async with untouched(world):
        refused = await push(flux, "locations", sample(flux, "locations"), sender=sender)
        assert (outcome(refused), refused.message.partition(":")[0]) == ((200, 2001), "OCPI-from-party-id")


async def test_routing_headers_of_a_2_1_1_partner_are_ignored(world: World) -> None:
    """That version has none: they neither make it somebody else nor send it elsewhere."""
    acme, token = world["acme"], samples.token_211()
    headers = {
        "OCPI-from-country-code": "DE", "OCPI-from-party-id": "VLT",
        "OCPI-to-country-code": "FR", "OCPI-to-party-id": "FLX",
    }  # fmt: skip
    after = len(world.backend.received)
    heard = len(world["flux"].received)
    assert (await push(acme, "tokens", token, headers=headers)).ok
    arrived = await world.backend.wait_for("PUT", "tokens", after=after)
    assert arrived.headers["ocpi-from-party-id"] == "ACM"
    assert arrived.headers["ocpi-to-party-id"] == "OWN"
    assert len(world["flux"].received) == heard


@pytest.mark.parametrize(
    "to", [("NL", "ZZZ"), ("BE", "GRD"), ("DE", "ACM"), ("NL", "GWY"), ("NL", "OWN")], ids="-".join
)
async def test_an_unknown_receiver_is_4001(world: World, to: tuple[str, str]) -> None:
    """Whether nobody has that party, another partner has it, or it has another role: the same, so that nobody can ask
    around who is connected."""
    flux = world["flux"]
    async with untouched(world):
        refused = await push(flux, "locations", sample(flux, "locations"), to=to)
        assert (outcome(refused), refused.message) == ((200, 4001), f"{'-'.join(to)} is not known here")


async def test_an_unknown_receiver_of_the_backend_is_4001(world: World) -> None:
    """Nothing is stored that nobody will get."""
    core = world.backend
    async with untouched(world):
        for to in (("DE", "ZZZ"), ("BE", "GRD")):
            refused = await ask(
                core, "PUT", "/ocpi/2.2.1/receiver/tariffs/NL/OWN/T-KWH", samples.tariff_221_minimal() | OWN,
                sender=("NL", "OWN"), to=to,
            )  # fmt: skip
            assert outcome(refused) == (200, 4001)


@pytest.mark.parametrize("to", [("DE", "ZZZ"), ("DE", "ACM"), ("DEU", "ZZZ")], ids="-".join)
async def test_an_unknown_receiver_of_a_2_1_1_backend_is_2000(tmp_path: Path, to: tuple[str, str]) -> None:
    """That version has no 4xxx: its request was wrong, and the text has the code. Spec: 2.1.1 status_codes."""
    core = Cast(name="backend", version="2.1.1", role="CPO", country="NL", party="OWN", start="none", more=UNTOLD)
    async with World.of(tmp_path, VOLT, backend=core) as world, untouched(world):
        path = "/ocpi/2.1.1/emsp/tariffs/NL/OWN/T-KWH"
        refused = await ask(
            world.backend, "PUT", path, samples.tariff_211_minimal(), sender=("NL", "OWN"), to=to
        )  # fmt: skip
        assert outcome(refused) == (200, 2000)
        assert "is not known here" in refused.message
        assert refused.message.endswith("(4001)")


OWN = {"country_code": "NL", "party_id": "OWN"}


async def test_routing_headers_on_configuration_modules_are_ignored_trap_16(world: World) -> None:
    """Whatever they say. Spec: 2.2.1 transport_and_format, Message Routing Headers."""
    volt = world["volt"]
    for path in ("/ocpi/versions", "/ocpi/2.2.1", "/ocpi/2.2.1/credentials"):
        answer = await ask(volt, "GET", path, headers={"OCPI-to-country-code": "ZZ", "OCPI-from-party-id": "ÿ"})
        assert answer.ok
        assert not any(name.startswith("ocpi-") for name in answer.headers)


@pytest.mark.parametrize("owner", ["fr/flx", "FR/fLx", "fra/FLX"])
async def test_parties_compare_without_case(world: World, owner: str) -> None:
    """ASCII case and the two spellings of a country make no other party."""
    flux = world["flux"]
    body = sample(flux, "locations", id=f"LOC-{owner.replace('/', '-')}")
    assert (await push(flux, "locations", body, owner)).ok
    assert world.backend.received[-1].segments[:2] == ("FR", "FLX")


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ("%EF%BC%A6R/FLX", (200, 2001)),  # a fullwidth F
        ("FR/FL%D0%A5", (200, 2001)),  # a Cyrillic one
        ("FR/F%C4%B1X", (200, 2001)),  # a dotless i
        ("FR/FLX%20", (404, 2001)),
        ("FR%20/FLX", (404, 2001)),
        ("FR/FLXX", (404, 2001)),
        ("F/FLX", (404, 2001)),
    ],
)
async def test_look_alikes_are_nobody(world: World, owner: str, expected: tuple[int, int]) -> None:
    """Anything beyond ASCII is no party at all, and a space too many is another one."""
    flux = world["flux"]
    async with untouched(world):
        assert outcome(await push(flux, "locations", sample(flux, "locations"), owner)) == expected


@pytest.mark.parametrize("value", ["FŁX", "F\tX", "FLXX", "F-X", ""])
async def test_look_alikes_in_headers_are_refused(world: World, value: str) -> None:
    """A routing header that is no party is 2001 with its name."""
    flux = world["flux"]
    headers = {"OCPI-from-country-code": "FR", "OCPI-from-party-id": value}
    async with untouched(world):
        refused = await push(flux, "locations", sample(flux, "locations"), headers=headers)
        assert (outcome(refused), refused.message.startswith("OCPI-from-")) == ((200, 2001), True)


async def test_extra_fields_are_carried_and_mean_nothing(world: World) -> None:
    """A location that says ``valid``, ``source`` or ``deleted`` of itself is a location with these fields."""
    flux = world["flux"]
    extra = {"valid": False, "source": "acme", "deleted": True, "_gateway": {"link": "acme"}, "sequence": 99}
    body = sample(flux, "locations", id="EXTRA", **extra)
    assert (await push(flux, "locations", body)).ok
    assert {name: world.backend.received[-1].body[name] for name in extra} == extra
    assert (await push(flux, "locations", body | {"name": "again"})).ok
    assert world.backend.received[-1].segments == ("FR", "FLX", "EXTRA")
    assert world["acme"].objects["locations"] == world["volt"].objects["locations"] == {}


@pytest.mark.parametrize("name", ["flux", "grid"])
@pytest.mark.parametrize("method", ["POST", "OPTIONS", "HEAD", "TRACE", "PROPFIND"])
async def test_a_method_that_isnt_there_is_405(world: World, name: str, method: str) -> None:
    """With those that are, and an envelope (but for HEAD, which has no body)."""
    peer = world[name]
    async with untouched(world):
        for module, allowed in (("locations", "GET, PUT, PATCH"), ("sessions", "GET, PUT, PATCH")):
            answer = await push(peer, module, sample(peer, module), method=method)
            assert (answer.http, answer.headers["allow"]) == (405, allowed)
            assert answer.status_code == (None if method == "HEAD" else 2000)
        for path in ("/ocpi/versions", f"/ocpi/{peer.who.version}"):
            answer = await ask(peer, method, path)
            assert (answer.http, answer.headers["allow"]) == (405, "GET")
