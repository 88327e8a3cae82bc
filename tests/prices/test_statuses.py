"""Statuses that a feed pushes: taken, shown where the feed's places are served, and nowhere else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from market import ACME, FEED, LOCATIONS, PATHS, Begin, Json, imported, market, seen, source
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from gateway.demo.journal import Exchange
from gateway.demo.line import join
from gateway.demo.world import World

TOKEN = "feed-in"
E1 = "NL*EXA*E1"


async def fed(begin: Begin, **more: Any) -> World:
    """The market, its feed read, and let in to push."""
    scene = await market(begin, ACME, read=source(keys=f"token_in: {{value: {TOKEN}}}", **more))
    await imported(scene)
    return scene


async def push(scene: World, body: object, *path: str, method: str = "PATCH", token: str = TOKEN) -> Exchange:
    """A push to the EVSE of ours that the feed knows, or to another path below ``/ocpi/2.1.1/emsp/locations``."""
    feed = scene.feeds[FEED]
    where = path or ("NL", "ECO", feed.location_id(E1), feed.evse_uid(E1))
    url = join(f"{scene.settings.public_url}/ocpi/2.1.1/emsp/locations", where, {})
    return await scene.backend.line.ask(method, url, token=token, body=body, headers={"ocpi-from-party-id": None})


async def served(scene: World) -> Json:
    """The feed's location of that EVSE, as it is served."""
    id = scene.feeds[FEED].location_id(E1)
    rows: list[Json] = await scene.consumers["all"].rows(LOCATIONS)
    return next(row for row in rows if row["id"] == id)


async def test_a_push_shows_in_the_served_location(world: Begin) -> None:
    """With its moment, or with that of its coming; and in no list of prices, and nowhere that partners look."""
    scene = await fed(world)
    feed = scene.feeds[FEED]
    before, heard = await seen(scene), {peer.name: len(peer.received) for peer in scene.peers}
    at = datetime.now(UTC) + timedelta(minutes=1)
    answer = await feed.push_status(
        scene.settings.public_url, TOKEN, feed.location_id(E1), feed.evse_uid(E1), "CHARGING", at=at
    )
    assert (answer.http, answer.status_code) == (200, 1000)
    location = await served(scene)
    assert [evse["status"] for evse in location["evses"]] == ["CHARGING", "AVAILABLE"]
    assert location["evses"][0]["last_updated"] == location["last_updated"] == f"{at:%Y-%m-%dT%H:%M:%SZ}"
    assert [plug["id"] for plug in location["evses"][0]["connectors"]] == ["1", "2"]
    after = await seen(scene)
    changed = {place for place in after if after[place] != before[place]}
    assert changed == {f"all reads {LOCATIONS}"}
    assert {peer.name: len(peer.received) for peer in scene.partners.values()}.items() <= (
        heard | {"acme": len(scene["acme"].received)}
    ).items()


async def test_a_push_without_a_moment_is_of_now(world: Begin) -> None:
    """Of two in one second the second counts; unknown fields are kept; what isn't a status stays."""
    scene = await fed(world)
    for status in ("CHARGING", "BLOCKED"):
        body = {"status": status, "battery": {"soc": 80}, "uid": "another", "connectors": [], "last_updated": None}
        assert (await push(scene, body)).status_code == 1000
    evse = (await served(scene))["evses"][0]
    assert (evse["status"], evse["battery"], evse["uid"]) == ("BLOCKED", {"soc": 80}, scene.feeds[FEED].evse_uid(E1))
    assert len(evse["connectors"]) == 2
    assert abs(datetime.fromisoformat(evse["last_updated"]) - datetime.now(UTC)) < timedelta(seconds=30)


async def test_an_old_push_is_passed_over(world: Begin) -> None:
    """Older than what was read, or than what was pushed: accepted, and nothing changes."""
    scene = await fed(world)
    before = await served(scene)
    assert (await push(scene, {"status": "BLOCKED", "last_updated": "2020-01-01T00:00:00Z"})).status_code == 1000
    assert await served(scene) == before
    for status, when in (("CHARGING", "2126-01-02T00:00:00+01:00"), ("BLOCKED", "2126-01-01T22:59:59Z")):
        assert (await push(scene, {"status": status, "last_updated": when})).status_code == 1000
    evse = (await served(scene))["evses"][0]
    assert (evse["status"], evse["last_updated"]) == ("CHARGING", "2126-01-01T23:00:00Z")


async def test_of_pushes_side_by_side_the_newest_stays(world: Begin) -> None:
    """In whatever order they come in and are looked at."""
    scene = await fed(world)
    for minute in range(3):
        bodies = [{"status": f"S{at}", "last_updated": f"2126-01-01T00:0{minute}:0{at}Z"} for at in (3, 1, 5, 2, 4, 0)]
        answers = await asyncio.gather(*(push(scene, body) for body in bodies))
        assert {answer.status_code for answer in answers} == {1000}
        assert (await served(scene))["evses"][0]["status"] == "S5"


async def test_an_evse_without_connectors_has_a_status(world: Begin) -> None:
    """It has no price, but it is served, with what was pushed of it."""
    scene = await fed(world)
    feed = scene.feeds[FEED]
    bare = {"uid": "BARE", "status": "AVAILABLE", "last_updated": "2026-01-01T00:00:00Z"}
    feed.edit("locations", feed.location(E1), lambda row: row | {"evses": [bare, *row["evses"]]})  # type: ignore[operator, index]
    await imported(scene)
    where = ("NL", "ECO", feed.location_id(E1), "BARE")
    assert (await push(scene, {"status": "CHARGING"}, *where)).status_code == 1000
    assert (await served(scene))["evses"][0]["status"] == "CHARGING"
    later = bare | {"status": "OUTOFORDER", "last_updated": "2126-01-01T00:00:00Z"}
    feed.edit("locations", feed.location(E1), lambda row: row | {"evses": [later]})  # type: ignore[operator]
    await imported(scene)
    assert (await served(scene))["evses"] == [later]
    assert await scene.gateway.store.statuses(FEED, [(feed.location_id(E1), "BARE")]) == [None]


async def test_a_push_while_the_feed_is_read_isnt_forgotten(world: Begin) -> None:
    """Not even if what it replaces is: a newer run has read something newer than that, and older than this."""
    scene = await fed(world)
    feed = scene.feeds[FEED]
    assert (await push(scene, {"status": "CHARGING", "last_updated": "2126-01-01T00:00:01Z"})).ok
    feed.set_status(E1, "OUTOFORDER", datetime(2126, 1, 1, 0, 0, 2, tzinfo=UTC))
    pushed: list[asyncio.Task[Exchange]] = []

    def meanwhile() -> None:
        body = {"status": "BLOCKED", "last_updated": "2126-01-01T00:00:03Z"}
        pushed.append(asyncio.create_task(push(scene, body)))
        feed.delay = 0.2  # time for it, before the run ends

    feed.meanwhile("prices", meanwhile)
    await imported(scene)
    assert (await pushed[0]).status_code == 1000
    assert (await served(scene))["evses"][0]["status"] == "BLOCKED"


async def test_what_is_read_later_counts(world: Begin) -> None:
    """A run that says something newer of the EVSE ends what was pushed; one that says nothing new doesn't."""
    scene = await fed(world)
    feed = scene.feeds[FEED]
    assert (await push(scene, {"status": "CHARGING"})).ok
    await imported(scene)
    assert (await served(scene))["evses"][0]["status"] == "CHARGING"
    feed.set_status(E1, "OUTOFORDER", datetime.now(UTC) + timedelta(minutes=1))
    await imported(scene)
    assert (await served(scene))["evses"][0]["status"] == "OUTOFORDER"
    assert (await push(scene, {"status": "CHARGING"})).ok
    assert (await served(scene))["evses"][0]["status"] == "OUTOFORDER"


async def test_a_merged_location_is_known_by_its_old_id_q22(world: Begin) -> None:
    """The push shows at the new one."""
    scene = await fed(world)
    feed = scene.feeds[FEED]
    old = feed.location_id(E1)
    feed.move(E1)
    await imported(scene)
    assert (await push(scene, {"status": "CHARGING"}, "NL", "ECO", old, feed.evse_uid(E1))).status_code == 1000
    assert (await served(scene))["evses"][0]["status"] == "CHARGING"


async def test_what_was_pushed_of_a_location_stays_when_it_is_merged_q22(world: Begin) -> None:
    """It shows at the new one, and nothing is kept of the old one."""
    scene = await fed(world)
    feed, store = scene.feeds[FEED], scene.gateway.store
    old = (feed.location_id(E1), feed.evse_uid(E1))
    assert (await push(scene, {"status": "CHARGING", "last_updated": "2126-01-01T00:00:00Z"})).ok
    feed.move(E1)
    await imported(scene)
    assert (await served(scene))["evses"][0]["status"] == "CHARGING"
    assert await store.statuses(FEED, [old]) == [None]


async def test_where_nothing_is_known(world: Begin) -> None:
    """No such location, or no such EVSE in it, is 2003; so is everything while nothing was ever read."""
    scene = await fed(world)
    location = scene.feeds[FEED].location_id(E1)
    for path in (("NL", "ECO", "nowhere", "900"), ("NL", "ECO", location, "7"), ("NLD", "eco", "nowhere", "1")):
        answer = await push(scene, {"status": "CHARGING"}, *path)
        assert (answer.http, answer.status_code) == (200, 2003)
    other = await market(world, ACME, read=source(keys=f"token_in: {{value: {TOKEN}}}"))
    assert (await push(other, {"status": "CHARGING"})).status_code == 2003


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ([], "$"), ("CHARGING", "$"), (None, "$"), ({}, "$.status"), ({"status": 7}, "$.status"),
        ({"status": None}, "$.status"), ({"status": ""}, "$.status"), ({"status": ["A"]}, "$.status"),
        ({"status": "A", "last_updated": 7}, "$.last_updated"), ({"status": "A", "last_updated": ""}, "$.last_updated"),
        ({"status": "A", "last_updated": "2026-02-30T00:00:00Z"}, "$.last_updated"),
    ],
)  # fmt: skip
async def test_a_push_that_says_nothing_is_2001(world: Begin, body: object, named: str) -> None:
    """And the field is named."""
    scene = await fed(world)
    before = await served(scene)
    answer = await push(scene, b"" if body is None else body)
    assert (answer.http, answer.status_code) == (200, 2001)
    assert answer.message.startswith(f"{named}: ")
    assert await served(scene) == before


async def test_a_feeds_token_opens_its_pushes_and_nothing_else(world: Begin) -> None:
    """Somebody else's EVSE is 404, another method 405; everywhere else it is nobody's token."""
    scene = await fed(world)
    feed = scene.feeds[FEED]
    status = {"status": "CHARGING"}
    ours = ("NL", "ECO", feed.location_id(E1), feed.evse_uid(E1))
    assert (await push(scene, status, "NL", "EXA", "SQUARE", "U1")).http == 404
    assert (await push(scene, status, "XX", "ECO", *ours[2:])).http == 404
    for method in ("GET", "PUT", "POST", "DELETE"):
        refused = await push(scene, status, method=method)
        assert (refused.http, refused.headers["allow"]) == (405, "PATCH")
    for path in (ours[:2], ours[:3], (*ours, "1"), ()):
        assert (await push(scene, status, *(path or ("NL",)))).http == 401
    base = scene.settings.public_url
    for elsewhere in ("/ocpi/versions", "/ocpi/2.1.1", "/ocpi/2.1.1/cpo/tokens/NL/ECO/1", "/ocpi/2.2.1/credentials"):
        answer = await scene.backend.line.ask("GET", f"{base}{elsewhere}", token=TOKEN)
        assert (answer.http, answer.status_code) == (401, 2001)
    for path in PATHS:
        assert (await scene.backend.line.ask("GET", f"{base}{path}", token=TOKEN)).http == 401
    for stranger in ("nobody", "eco-key", "app-token"):
        assert (await push(scene, status, token=stranger)).http == 401


async def test_what_operators_are_told_of_pushes(world: Begin) -> None:
    """What became of each, by feed; a line for each that was taken; never a token."""
    scene = await fed(world)

    def counted() -> list[float]:
        words = ("stored", "older", "unknown", "refused")
        name = "ocpi_gateway_price_statuses_total"
        return [REGISTRY.get_sample_value(name, {"partner": FEED, "result": word}) or 0.0 for word in words]

    before = counted()
    with capture_logs() as logs:
        await push(scene, {"status": "CHARGING"})
        await push(scene, {"status": "CHARGING", "last_updated": "2020-01-01T00:00:00Z"})
        await push(scene, {"status": "CHARGING"}, "NL", "ECO", "nowhere", "1")
        await push(scene, {})
    assert [now - then for now, then in zip(counted(), before, strict=True)] == [1, 1, 1, 1]
    told = [line["result"] for line in logs if line["event"] == "status.pushed" and line["partner"] == FEED]
    assert told == ["stored", "older"]
    assert TOKEN not in str(logs)
