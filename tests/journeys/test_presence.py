"""Who is there: what the gateway tells its core of partners and hubs, and how it finds out.

The core reads a list, and is told of each change. What changes is the handshake, what calls show, what a person asked
for, and what hubs say of the parties behind them.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve
from scenes import ACME, NEW, OLD, VOLT, Begin, at_volt, operator, thing
from witness import UNTOLD, ask, untouched

from gateway import presence
from gateway.demo.peers import Role
from gateway.demo.world import Cast, World
from gateway.registered import Direction, Pause

Party = tuple[str, str]

ACM, VLT, HUB, SEC, BEC, FRC, BEM = (
    ("DE", "ACM"), ("DE", "VLT"), ("FR", "HUB"), ("AT", "SEC"), ("BE", "BEC"), ("FR", "FRC"), ("BE", "BEM"),
)  # fmt: skip
BEHIND = (Role("CPO", *BEC, "Be Charging"), Role("EMSP", *BEM, "Be Mobility"), Role("EMSP", *BEC, "Be Charging"))
BIG = Cast(name="big", kind="hub", country="FR", party="HUB", business="The Big Hub", behind=BEHIND)
SECOND = evolve(BIG, name="second", country="AT", party="SEC", business="The Second Hub", behind=BEHIND[1:2])


@pytest.fixture(autouse=True)
def attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is due is done many times a second."""
    monkeypatch.setattr(presence, "_PACE_S", 0.01)
    monkeypatch.setattr(presence, "_ROUND_S", 0.02)
    monkeypatch.setattr(presence, "_PULL_AGAIN_S", 0.05)


async def told(stage: World, party: Party, role: str, status: str, *, after: int = 0) -> None:
    """Wait until the core has been told this; of what it was told, ``after`` doesn't count."""
    await stage.backend.wait_for(
        "PUT",
        "hubclientinfo",
        lambda put: put.segments == party and (put.body["role"], put.body["status"]) == (role, status),
        after=after,
    )


async def listed(stage: World) -> dict[tuple[str, str], str]:
    """What the core reads in the list: the status of each party in each role."""
    clients = await stage.backend.pull("hubclientinfo")
    return {(f"{client['country_code']}-{client['party_id']}", client["role"]): client["status"] for client in clients}


async def calls_in_vain(stage: World, party: Party) -> None:
    """The core asks a party about a token as often as it takes to believe that nobody is there."""
    for _ in range(presence.FAILURES):
        assert (await stage.backend.authorize("04DEADBEEF", to=party)).status_code == 4003


# Partners -------------------------------------------------------------------------------------------------------------


async def test_partners_are_planned_and_then_connected(world: Begin) -> None:
    """Before the first handshake PLANNED, with it CONNECTED; the list says the same, in pages, and by time."""
    stage = await world(ACME, VOLT, register=False)
    await told(stage, ACM, "EMSP", "PLANNED")
    await told(stage, VLT, "EMSP", "CONNECTED")
    assert await listed(stage) == {("DE-ACM", "EMSP"): "PLANNED", ("DE-VLT", "EMSP"): "CONNECTED"}
    await stage["acme"].register(stage.versions_url, "acme-token-a")
    await told(stage, ACM, "EMSP", "CONNECTED")
    clients = await stage.backend.pull("hubclientinfo", limit="1")
    assert [client["status"] for client in clients] == ["CONNECTED", "CONNECTED"]
    assert await stage.backend.pull("hubclientinfo", date_from="2100-01-01T00:00:00Z") == []


async def test_a_partner_that_ended_its_registration_is_offline(world: Begin) -> None:
    """It was there, and may come again."""
    stage = await world(ACME)
    await told(stage, ACM, "EMSP", "CONNECTED")
    await stage["acme"].unregister()
    await told(stage, ACM, "EMSP", "OFFLINE")


@pytest.mark.parametrize("back", ["answers", "calls"])
async def test_a_partner_that_isnt_there_is_offline_until_it_is_heard_of(world: Begin, back: str) -> None:
    """After three calls in vain OFFLINE; CONNECTED as soon as it answers one, or calls itself."""
    stage = await world(ACME, VOLT)
    await told(stage, VLT, "EMSP", "CONNECTED")
    await stage["volt"].down()
    await calls_in_vain(stage, VLT)
    await told(stage, VLT, "EMSP", "OFFLINE")
    assert (await listed(stage))["DE-VLT", "EMSP"] == "OFFLINE"
    await stage["volt"].up()
    before = len(stage.backend.received)
    if back == "answers":
        stage["volt"].keep("tokens", at_volt(thing("token", NEW)))
        assert (await stage.backend.authorize("04F017BEEF", to=VLT)).ok  # what is believed of it hinders no exchange
    else:
        assert (await stage["volt"].push_token(at_volt(thing("token", NEW)))).ok
    await told(stage, VLT, "EMSP", "CONNECTED", after=before)


async def test_a_partner_that_is_silent_is_looked_at(world: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has anything to say to it: its versions endpoint tells whether it is there, and when it is back."""
    monkeypatch.setattr(presence, "SILENT_S", 0.02)
    monkeypatch.setattr(presence, "OFFLINE_S", 0.02)
    stage = await world(ACME, VOLT)
    for name in ("acme", "volt"):
        await stage[name].wait_for("GET", "versions", after=len(stage[name].received))
    await stage["acme"].down()
    await told(stage, ACM, "EMSP", "OFFLINE")
    before = len(stage.backend.received)
    await stage["acme"].up()
    await told(stage, ACM, "EMSP", "CONNECTED", after=before)
    assert "OFFLINE" not in [put.body["status"] for put in stage.backend.received if put.segments == VLT]


async def test_a_suspended_partner_is_told_as_one(world: Begin) -> None:
    """Its file says so: SUSPENDED, whether it is there or not."""
    stage = await world(evolve(ACME, more="stage: suspended"), VOLT)
    await told(stage, ACM, "EMSP", "SUSPENDED")
    await told(stage, VLT, "EMSP", "CONNECTED")


@pytest.mark.parametrize("direction", list(Direction))
async def test_a_paused_partner_is_suspended_until_then(
    world: Begin, direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For as long as the pause lasts, which ends by itself, or by hand."""
    monkeypatch.setattr(presence, "_REVIEW_S", 0.05)
    stage = await world(ACME)
    await told(stage, ACM, "EMSP", "CONNECTED")
    for lasts, by_hand in ((timedelta(seconds=0.3), False), (timedelta(hours=1), True)):
        before, now = len(stage.backend.received), datetime.now(UTC)
        at, until = (int(moment.timestamp() * 1000) for moment in (now, now + lasts))
        pause = Pause(at=at, until=until, reason="maintenance")
        await stage.gateway.links.set_pause("acme", direction, pause)
        await told(stage, ACM, "EMSP", "SUSPENDED", after=before)
        before = len(stage.backend.received)
        if by_hand:
            await stage.gateway.links.set_pause("acme", direction, None)
        await told(stage, ACM, "EMSP", "CONNECTED", after=before)


async def test_a_core_on_2_1_1_is_told_nothing(world: Begin) -> None:
    """2.1.1 has no such module: nothing is pushed, and there is nothing to read."""
    stage = await world(ACME, VOLT, BIG, backend=operator(OLD))
    assert ("hubclientinfo", "SENDER") not in stage.backend.counterpart.endpoints
    assert (await ask(stage.backend, "GET", "/ocpi/2.1.1/cpo/hubclientinfo")).http == 404
    assert (await stage["big"].push_client(BEM, "EMSP", "OFFLINE")).ok
    assert [seen for seen in stage.backend.received if seen.module == "hubclientinfo"] == []


async def test_what_one_gateway_notices_all_know(world: Begin) -> None:
    """Of two on one Redis, one calls in vain; the other, when the partner calls it, says that it is there again."""
    stage = await world(VOLT, gateways=2)
    await told(stage, VLT, "EMSP", "CONNECTED")
    await stage["volt"].down()
    await calls_in_vain(stage, VLT)
    await told(stage, VLT, "EMSP", "OFFLINE")
    await stage["volt"].up()
    stage.through(stage["volt"], 1)
    before = len(stage.backend.received)
    news = asyncio.create_task(told(stage, VLT, "EMSP", "CONNECTED", after=before))
    while not news.done():
        assert (await stage["volt"].get("credentials")).ok
    await news


# Parties behind hubs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["rfc", "odd", "relative", "opaque"])
async def test_a_hubs_list_is_read_when_it_registers(world: Begin, style: Any) -> None:
    """Page by page, by whatever its links say; what is no ClientInfo costs itself alone, and our parties are ours."""
    stage = await world(BIG, register=False)
    hub = stage["big"]
    hub.page_limit, hub.lists.link_style = 2, style
    hub.lists.intruder = {"party_id": "ODD", "country_code": "FR", "role": "JESTER", "status": "AWAY"}
    hub.keep_client(FRC, "CPO", "OFFLINE")
    hub.keep_client(("NL", "EXA"), "CPO", "SUSPENDED")
    await hub.register(stage.versions_url, "big-token-a")
    for party, role, status in (
        (HUB, "HUB", "CONNECTED"),
        (BEC, "CPO", "CONNECTED"),
        (BEC, "EMSP", "CONNECTED"),
        (BEM, "EMSP", "CONNECTED"),
        (FRC, "CPO", "OFFLINE"),
    ):
        await told(stage, party, role, status)
    assert await listed(stage) == {
        ("FR-HUB", "HUB"): "CONNECTED",
        ("BE-BEC", "CPO"): "CONNECTED",
        ("BE-BEC", "EMSP"): "CONNECTED",
        ("BE-BEM", "EMSP"): "CONNECTED",
        ("FR-FRC", "CPO"): "OFFLINE",
    }


async def test_what_a_hub_pushes_while_its_list_is_under_way_counts(world: Begin) -> None:
    """The list was made before: it neither takes back what was pushed since, nor drops whom it doesn't have yet."""
    stage = await world(BIG, register=False)
    hub = stage["big"]
    hub.slow("hubclientinfo", "GET", seconds=0.3)
    await hub.register(stage.versions_url, "big-token-a")
    await hub.wait_for("GET", "hubclientinfo")
    for party, role, status in ((BEM, "EMSP", "SUSPENDED"), (FRC, "CPO", "PLANNED")):
        assert (await hub.push_client(party, role, status)).ok
    await told(stage, BEC, "CPO", "CONNECTED")
    now = await listed(stage)
    assert (now["BE-BEM", "EMSP"], now["FR-FRC", "CPO"]) == ("SUSPENDED", "PLANNED")


async def test_a_list_that_cant_be_read_is_asked_for_again(world: Begin) -> None:
    """A hub that fails, or whose pages don't end, says nothing of anybody; before long it is asked again."""
    stage = await world(BIG, register=False)
    hub = stage["big"]
    hub.page_limit, hub.lists.link_style = 2, "loop"
    hub.fail("hubclientinfo", status=3000)
    await hub.register(stage.versions_url, "big-token-a")
    await hub.wait_for("GET", "hubclientinfo", count=3)
    assert list(await listed(stage)) == [("FR-HUB", "HUB")]
    hub.lists.link_style = "rfc"
    await told(stage, BEM, "EMSP", "CONNECTED")


async def test_what_a_hub_says_is_told(world: Begin) -> None:
    """Of each party in each role, as it changes; nothing is told twice, and a change of one role is none of another."""
    stage = await world(BIG)
    for party, role, status in ((BEC, "CPO", "OFFLINE"), (FRC, "CPO", "PLANNED"), (BEM, "EMSP", "SUSPENDED")):
        answer = await stage["big"].push_client(party, role, status)
        assert (answer.http, answer.status_code) == (200, 1000)
        await told(stage, party, role, status)
    assert (await listed(stage))["BE-BEC", "EMSP"] == "CONNECTED"
    before = len(stage.backend.received)
    await stage["big"].push_client(BEC, "CPO", "OFFLINE")
    await stage["big"].push_client(BEC, "CPO", "CONNECTED")
    await told(stage, BEC, "CPO", "CONNECTED", after=before)
    assert [put.body["status"] for put in stage.backend.received[before:]] == ["CONNECTED"]


async def test_a_hub_reads_what_it_told(world: Begin) -> None:
    """GET on our Receiver interface; 404 for a party of which it never told, or that another hub told of."""
    stage = await world(BIG, SECOND)
    client = stage["big"].keep_client(FRC, "CPO", "PLANNED")
    assert (await stage["big"].put("hubclientinfo", *FRC, body=client)).ok
    answer = await stage["big"].get("hubclientinfo", *FRC, side="RECEIVER")
    assert (answer.http, answer.data) == (200, client)
    for name, party in (("second", FRC), ("big", ("IT", "FAR"))):
        assert (await stage[name].get("hubclientinfo", *party, side="RECEIVER")).http == 404


@pytest.mark.parametrize(
    ("party", "changes", "http"),
    [
        (BEC, {"status": "AWAY"}, 200),
        (BEC, {"role": "JESTER"}, 200),
        (BEC, {"status": None}, 200),
        (BEC, {"party_id": "OTH"}, 200),
        (BEC, {"country_code": "QQ"}, 200),
        (BEC, {"last_updated": "yesterday"}, 200),
        (("NL", "EXA"), {}, 404),
        (("NL", "GWY"), {}, 404),
    ],
    ids=str,
)
async def test_nonsense_of_a_hub_is_refused(world: Begin, party: Party, changes: Any, http: int) -> None:
    """What is no ClientInfo is 2001, what is about one of ours 404; nothing is kept of it."""
    stage = await world(BIG)
    await told(stage, BEC, "CPO", "CONNECTED")
    said = stage["big"].keep_client(party, "CPO", "OFFLINE") | changes
    answer = await stage["big"].put("hubclientinfo", *party, body=said)
    assert (answer.http, answer.status_code) == (http, 2001)
    assert "OFFLINE" not in (await listed(stage)).values()


async def test_only_hubs_tell_who_is_there(world: Begin) -> None:
    """A bilateral partner has no such interface, and is told of none."""
    stage = await world(VOLT)
    assert "hubclientinfo" not in {module for module, _ in stage["volt"].counterpart.endpoints}
    client = stage["volt"].keep_client(BEC, "CPO")
    answer = await ask(stage["volt"], "PUT", "/ocpi/2.2.1/receiver/hubclientinfo/BE/BEC", client)
    assert answer.http == 404


async def test_parties_behind_a_hub_that_is_gone_are_offline(world: Begin) -> None:
    """Whatever it said of them; what it says when it is back counts again, without anybody asking for it."""
    stage = await world(BIG, SECOND)
    await told(stage, BEC, "EMSP", "CONNECTED")
    await told(stage, SEC, "HUB", "CONNECTED")
    await stage["big"].down()
    await calls_in_vain(stage, BEC)
    for party, role in ((HUB, "HUB"), (BEC, "EMSP"), (BEC, "CPO")):
        await told(stage, party, role, "OFFLINE")
    assert (await listed(stage))["BE-BEM", "EMSP"] == "CONNECTED"  # the other hub has it, too
    stage["big"].keep_client(BEC, "CPO", "SUSPENDED")
    await stage["big"].up()
    before = len(stage.backend.received)
    assert (await stage.backend.authorize("04DEADBEEF", to=BEC)).status_code == 2004
    await told(stage, BEC, "EMSP", "CONNECTED", after=before)
    await told(stage, BEC, "CPO", "SUSPENDED", after=before)


async def test_a_party_that_a_hub_no_longer_lists_is_suspended(world: Begin) -> None:
    """The specification has no way to say that it is gone. Whom the hub lists is read again when we start."""
    stage = await world(BIG)
    await told(stage, BEM, "EMSP", "CONNECTED")
    del stage["big"].own.objects["hubclientinfo"]["BE/BEM/EMSP"]
    await stage.restart()
    await told(stage, BEM, "EMSP", "SUSPENDED")
    assert (await listed(stage))["BE-BEM", "EMSP"] == "SUSPENDED"


async def test_parties_that_only_a_file_names_are_as_their_hub(world: Begin) -> None:
    """A hub on 2.1.1 can't tell who is behind it: whom its file names is there when it is."""
    old = Cast(
        name="old", version=OLD, kind="hub", country="FR", party="HUB", business="The Old Hub",
        behind=(Role("EMSP", *BEM, "Be Mobility"),), reaches=("BE-BEM",),
    )  # fmt: skip
    stage = await world(old)
    await told(stage, BEM, "EMSP", "CONNECTED")
    await stage["old"].down()
    await calls_in_vain(stage, BEM)
    await told(stage, BEM, "EMSP", "OFFLINE")


async def test_a_hubs_look_at_us_costs_nothing(world: Begin) -> None:
    """Whoever reads our versions to see that we are there makes us store nothing and call nobody."""
    stage = await world(evolve(BIG, more=UNTOLD), backend=evolve(operator(NEW), more=UNTOLD))
    async with untouched(stage):
        for _ in range(3):
            answer = await stage["big"].line.ask("GET", stage.versions_url)
            assert (answer.http, answer.status_code) == (200, 1000)
    assert [seen for seen in stage["big"].received if seen.module == "hubclientinfo"] == []
