"""Other people's libraries as an eMSP that our operator's core roams with: how far each comes.

Where a library stops short of the specification, a test of that library alone says so, and that it still does: it
fails as soon as the pins name a version that has got better.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from strangers import EMSP, EXTRAWEST_ONLY, IN_2_1_1, IN_2_2_1, NEW, OLD, Json, Stranger, sample, understood

from gateway.model.names import CdrState

Meet = Callable[..., Awaitable[Stranger]]

DRIVER = "04A1B2C3D4E5F6"
LATER = "2026-03-03T10:31:00Z"
NEXT_PERIOD = {"start_date_time": "2026-03-03T09:30:00Z", "dimensions": [{"type": "ENERGY", "volume": 1.5}]}


def location() -> Json:
    """Our location without what the libraries can't read."""
    readable = sample("location", NEW)
    del readable["energy_mix"]
    for evse in readable["evses"]:
        evse.pop("status_schedule", None)
        for connector in evse["connectors"]:
            connector["tariff_ids"] = ["T-DAY"]
    return readable


def tariff() -> Json:
    """Our tariff without what the libraries can't read."""
    return {name: value for name, value in sample("tariff", NEW).items() if name != "energy_mix"}


def refused(exchange: Json) -> set[str]:
    """Of an answer without envelope, as FastAPI gives it: what the library didn't like, by dotted path."""
    assert exchange["answer"]["http"] == 422
    assert "status_code" not in exchange["answer"]["body"]
    return {".".join(map(str, found["loc"][1:])) for found in exchange["answer"]["body"]["detail"]}


def kept(exchange: Json) -> Any:
    """What the library says that it has now, which it wraps into a list of one."""
    assert (exchange["answer"]["http"], exchange["answer"]["body"]["status_code"]) == (200, 1000)
    (thing,) = exchange["answer"]["body"]["data"]
    return understood(thing)


async def test_we_register_and_it_calls_back(meet: Meet) -> None:
    """We begin; inside our POST the library reads our versions and endpoints with the token B it was just given."""
    stranger = await meet(EMSP)
    (post,) = await stranger.heard("credentials")
    assert (post["method"], post["answer"]["body"]["status_code"]) == ("POST", 1000)
    met = await stranger.met()
    assert met["credentials"]["token"] == post["body"]["token"]
    assert "tokens" in {endpoint["identifier"] for endpoint in met["endpoints"]["endpoints"]}
    assert stranger.world.gateway.links.directory["stranger"].registered


@EXTRAWEST_ONLY
@IN_2_1_1
async def test_it_decodes_a_raw_token_a(meet: Meet) -> None:
    """Its versions endpoint takes every token for Base64; on one that can't be, such as 2.1.1 sends it, it breaks.

    It understands a raw token only if that decodes, by luck, to bytes that are no UTF-8.
    """
    stranger = await meet(EMSP, token_a="acme-token-a")
    first = (await stranger.heard("versions"))[0]
    assert not stranger.world.gateway.links.directory["stranger"].registered
    assert first["headers"]["authorization"] == "Token acme-token-a"
    assert (first["answer"]["http"], first["answer"]["body"]["status_code"]) == (200, 3000)


async def test_our_location_arrives_and_changes(meet: Meet) -> None:
    """PUT of a location, PATCH of an EVSE: the library has all that we wrote."""
    stranger = await meet(EMSP)
    assert (await stranger.world.backend.push_location(location())).ok
    (put,) = await stranger.heard("locations")
    assert put["path"].endswith("/locations/NL/EXA/LOC-7")
    assert kept(put) == understood(put["body"])
    changes = {"status": "OUTOFORDER", "last_updated": LATER}
    assert (await stranger.world.backend.patch_location("LOC-7", "LOC-7-A", changes=changes)).ok
    (patch,) = await stranger.heard("locations", "PATCH")
    assert patch["body"] == changes
    assert kept(patch)["status"] == "outoforder"


@EXTRAWEST_ONLY
async def test_it_refuses_a_location_with_everything(meet: Meet, version: str) -> None:
    """It takes lists for objects, and in 2.1.1 an optional tariff for required."""
    stranger = await meet(EMSP)
    assert (await stranger.world.backend.push_location(sample("location", NEW))).ok
    (put,) = await stranger.heard("locations")
    assert refused(put) == {
        "evses.0.status_schedule", "energy_mix.environ_impact.category", "energy_mix.environ_impact.amount",
        *(["evses.1.connectors.0.tariff_id"] if version == OLD else []),
    }  # fmt: skip


async def test_our_tariff_arrives_and_goes(meet: Meet) -> None:
    """PUT and DELETE of a tariff."""
    stranger = await meet(EMSP)
    assert (await stranger.world.backend.push_tariff(tariff())).ok
    (put,) = await stranger.heard("tariffs")
    assert kept(put) == understood(put["body"])
    assert (await stranger.world.backend.delete_tariff("T-DAY")).ok
    (gone,) = await stranger.heard("tariffs", "DELETE")
    assert (gone["answer"]["http"], gone["answer"]["body"]["status_code"]) == (200, 1000)


@EXTRAWEST_ONLY
async def test_it_pushes_tokens_beside_the_endpoint(meet: Meet, version: str) -> None:
    """It writes the owner right behind the endpoint's URL, without a slash: nothing is there."""
    stranger = await meet(EMSP)
    push = await stranger.push("tokens", sample("token", version))
    assert push["url"].endswith(f"/tokensDE/ACM/{DRIVER}")
    assert push["answer"]["http"] == 404
    assert [got for got in stranger.world.backend.received if got.module == "tokens"] == []


@EXTRAWEST_ONLY
async def test_it_wraps_its_authorization(meet: Meet, version: str) -> None:
    """Asked about its token, it answers with a list of one AuthorizationInfo, where one is due: our core reads 3000."""
    stranger = await meet(EMSP)
    await stranger.own("tokens", sample("token", version))
    answer = await stranger.world.backend.authorize(DRIVER, to=("DE", "ACM"))
    (asked,) = await stranger.heard("authorize")
    assert asked["path"].endswith(f"/tokens/{DRIVER}/authorize")
    (info,) = asked["answer"]["body"]["data"]
    assert info["allowed"] == "ALLOWED"
    assert (answer.http, answer.status_code) == (200, 3000)


async def test_it_does_not_know_a_token(meet: Meet) -> None:
    """A bare 404 is understood: our core reads that the token is unknown."""
    stranger = await meet(EMSP)
    answer = await stranger.world.backend.authorize("0815", to=("DE", "ACM"))
    (asked,) = await stranger.heard("authorize")
    assert (asked["answer"]["http"], "status_code" in asked["answer"]["body"]) == (404, False)
    assert (answer.http, answer.status_code) == (404, 2004)


async def with_session(stranger: Stranger) -> Json:
    """The exchange in which our session arrives."""
    assert (await stranger.world.backend.push_location(location())).ok
    assert (await stranger.world.backend.push_session(sample("session", NEW))).ok
    (put,) = await stranger.heard("sessions")
    return put


async def more_energy(stranger: Stranger) -> None:
    """The session goes on, by a period."""
    changes = {"kwh": 19.75, "charging_periods": [NEXT_PERIOD], "last_updated": LATER}
    assert (await stranger.world.backend.patch_session("S-1001", changes)).ok


async def test_our_session_arrives(meet: Meet) -> None:
    """PUT of a session."""
    put = await with_session(await meet(EMSP))
    assert put["path"].endswith("/sessions/NL/EXA/S-1001")
    assert kept(put) == understood(put["body"])


@IN_2_1_1
async def test_our_session_goes_on_in_2_1_1(meet: Meet) -> None:
    """There a PATCH says all charging periods, and the library has them all."""
    stranger = await meet(EMSP)
    put = await with_session(stranger)
    await more_energy(stranger)
    (patch,) = await stranger.heard("sessions", "PATCH")
    assert kept(patch)["charging_periods"] == understood([*put["body"]["charging_periods"], NEXT_PERIOD])


@EXTRAWEST_ONLY
@IN_2_2_1
async def test_it_forgets_the_periods_before_a_patch(meet: Meet) -> None:
    """In 2.2.1 the periods of a PATCH are added (mod_sessions, PATCH Method); it replaces those it had."""
    stranger = await meet(EMSP)
    await with_session(stranger)
    await more_energy(stranger)
    (patch,) = await stranger.heard("sessions", "PATCH")
    assert patch["body"]["charging_periods"] == [NEXT_PERIOD]
    assert kept(patch)["charging_periods"] == understood([NEXT_PERIOD])


@IN_2_2_1
async def test_our_session_goes_on_with_whole_objects(meet: Meet) -> None:
    """The switch for such peers: with `push.patch_as_put` it has every period."""
    stranger = await meet(EMSP, more="quirks: {push.patch_as_put: [sessions]}")
    first = await with_session(stranger)
    await more_energy(stranger)
    _, put = await stranger.heard("sessions", "PUT", count=2)
    assert kept(put)["charging_periods"] == understood([*first["body"]["charging_periods"], NEXT_PERIOD])


async def with_cdr(stranger: Stranger) -> Json:
    """The exchange in which our CDR is posted."""
    await with_session(stranger)
    assert (await stranger.world.backend.push_cdr(sample("cdr", NEW) | {"tariffs": [tariff()]})).ok
    (post,) = await stranger.heard("cdrs")
    return post


@EXTRAWEST_ONLY
@IN_2_2_1
async def test_our_cdr_arrives_but_can_not_be_read_again(meet: Meet) -> None:
    """It takes a 2.2.1 CDR, drops the EVSE's uid, and says that the CDR is where nothing is."""
    stranger = await meet(EMSP)
    post = await with_cdr(stranger)
    theirs, ours = kept(post), understood(post["body"])
    assert ours["cdr_location"].pop("evse_uid") == "loc-7-a"
    assert theirs == ours
    (entry,) = [entry async for entry in stranger.world.gateway.store.cdr_entries("stranger", done=True)]
    assert entry.state is CdrState.DELIVERED
    where = post["answer"]["headers"]["location"]
    assert where == stranger.url.replace("http:", "https:") + "/ocpi/emsp/VersionNumber.v_2_2_1/ModuleID.cdrs/c-501"


@EXTRAWEST_ONLY
@IN_2_1_1
async def test_it_can_take_no_cdr_of_2_1_1(meet: Meet) -> None:
    """It wants `end_date_time`, which 2.1.1 calls `stop_date_time`: refused without an envelope, so it's in doubt."""
    stranger = await meet(EMSP)
    post = await with_cdr(stranger)
    assert "stop_date_time" in post["body"]
    assert refused(post) == {"end_date_time", "location.time_zone", "location.evses.0.connectors.0.tariff_id"}
    (entry,) = [entry async for entry in stranger.world.gateway.store.cdr_entries("stranger", done=False)]
    assert entry.state is CdrState.IN_DOUBT
