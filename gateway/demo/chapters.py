"""The plot of the demo: everybody registers, everybody is told, three drivers charge, prices are read, keys change.

Each chapter is its steps; what is said in them, and what must arrive, stands in ``story.py``. The three drivers are
Acme's (2.1.1), Volt's (2.2.1) and that of an eMSP behind the hub; the backend speaks 2.2.1 to all of them. A fourth
partner, Kiosk (2.1.1), wants to know what charging costs without a contract, which a price feed tells.
"""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.demo import story as said
from gateway.demo.peers import Peer
from gateway.demo.story import ACME, HUB, KIOSK, VOLT, Json
from gateway.demo.telling import Arrival, Begins, Chapter, Deed, Does, Step, Story
from gateway.demo.world import World

_HUB_PARTY: Final = ("NL", "HUB")
_BEHIND_HUB: Final = ("BE", "BEM")

_ACMES: Final = said.cdr_token("ACM", "04AC3E0001", "DE-ACM-C00000001-A")
_VOLTS: Final = said.cdr_token("VLT", "04F017BEEF", "DE-VLT-C00000009-X")
_BELGIAN: Final = said.cdr_token("BEM", "04BE1612AA", "BE-BEM-C00000003-K")

_BEGUN: Final = {"us": "we registered", "them": "it registered", "none": "static tokens"}


def plot(world: World) -> tuple[Chapter, ...]:
    """The chapters, with times of an hour ago until now."""
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    return (
        Chapter(
            "Everybody registers",
            "A gateway with its own Redis, a backend, three eMSPs and a hub, all on loopback.",
            (registered,),
        ),
        Chapter(
            "Who is there",
            "To the backend the gateway is a hub: it tells who can be reached, those behind the real hub too.",
            (who_is_there, _goes_offline()),
        ),
        Chapter(
            "A tariff and two locations",
            "Said once by the backend; each partner gets them in its version, the hub once for all behind it.",
            (_tariff(now), _location(now), _second_location(now)),
        ),
        Chapter(
            "Cards",
            "The eMSPs tell of their drivers' cards. Acme is on 2.1.1 and writes Germany DEU.",
            _tokens(now),
        ),
        Chapter(
            "May they charge?",
            "The backend names a card; whoever announced it is asked, live.",
            (_authorize("Volt's card", _VOLTS, "VLT-1"), _authorize("the Belgian card", _BELGIAN, "HUB-1")),
        ),
        Chapter(
            "Acme's driver starts from the app (2.1.1)",
            "The command goes up, its result comes down; then session and CDR, all in Acme's version.",
            (_remote_start(world, now), *_charge_of_acme(now)),
        ),
        Chapter(
            "Volt's driver stops from the app (2.2.1)",
            "Started with the card, ended by a command, billed.",
            (*_begin(VOLT.name, "S-VLT-1", _VOLTS, now), _remote_stop(world), *_end(VOLT.name, "VLT", _VOLTS, now)),
        ),
        Chapter(
            "A driver of an eMSP behind the hub (2.2.1)",
            "The same through the hub, addressed to the eMSP behind it.",
            (*_begin(HUB.name, "S-BEM-1", _BELGIAN, now, to=_BEHIND_HUB),
             *_end(HUB.name, "BEM", _BELGIAN, now, to=_BEHIND_HUB)),
        ),
        Chapter(
            "Reading",
            "Answered from what the gateway keeps: a CDR under the URL that it gave, lists page by page.",
            (cdr_is_read_again, _pages_of_locations(now), _list_of_cdrs(now)),
        ),
        Chapter(
            "Prices of a feed",
            "Eco tells what drivers without a contract pay at our connector. It becomes a tariff there, for who asks"
            " for such: Kiosk, and 2.2.1 by default; not Acme. Then Map and Blog read prices from us.",
            (prices_are_imported, prices_are_served),
        ),
        Chapter(
            "New keys",
            "Both sides get new tokens: Acme asks for them, and we ask Volt. Then everything goes on.",
            (acme_rotates, we_rotate, *_with_new_keys(now)),
        ),
    )  # fmt: skip


# Who is there ---------------------------------------------------------------------------------------------------------


async def registered(story: Story, world: World) -> None:
    """The table of links: version, party, role, and who began."""
    links = world.gateway.links
    for link in links.directory.links.values():
        seats = ", ".join(f"{seat.party} {seat.role}" for seat in link.dialect.theirs)
        began = _BEGUN[links.settings[link.id].registration.start]
        story.tell(f"  {link.id:>7} {link.dialect.version}  {seats:<12} {began}")
        story.check(f"{link.id} is registered", link.registered, True)


async def who_is_there(story: Story, world: World) -> None:
    """The backend is told of everybody, and can list them."""
    core = world.backend
    must = {
        "DE/ACM/EMSP": "CONNECTED", "DE/VLT/EMSP": "CONNECTED", "NL/HUB/HUB": "CONNECTED", "BE/BEM/EMSP": "CONNECTED",
        "FR/FRO/EMSP": "CONNECTED", "FR/KIO/EMSP": "CONNECTED",
    }  # fmt: skip

    def told() -> Json:
        return {key: info["status"] for key, info in core.objects["hubclientinfo"].items()}

    await core.wait_for("PUT", "hubclientinfo", lambda _: told() == must)
    await world.gateway.courier.settle_down(1)
    (page,) = await core.pages("hubclientinfo")
    story.asked(core, page, f"{len(page.data)} parties")
    listed = {f"{info['country_code']}/{info['party_id']}/{info['role']}": info for info in page.data}
    for key, info in sorted(listed.items()):
        story.tell(f"          {key.replace('/', '-', 1).replace('/', ' '):<12} {info['status']}")
    story.check("who is there", {key: info["status"] for key, info in listed.items()}, must)


def _goes_offline() -> Step:
    party = ("FR", "FRO")
    return Deed(
        what="an eMSP behind the hub is offline",
        by=HUB.name,
        does=lambda hub: hub.push_client(party, "EMSP", "OFFLINE"),
        ends_here=True,
        arrives=(
            Arrival(
                at="backend", verb="PUT", module="hubclientinfo", segments=party,
                body=said.client(*party, "EMSP", "OFFLINE", Begins("20")),
            ),
        ),
    )  # fmt: skip


# What everybody is told -----------------------------------------------------------------------------------------------


def _tariff(now: datetime) -> Step:
    tariff = said.tariff(now)
    return _told_to_all(
        "the tariff", "tariffs", lambda core: core.push_tariff(tariff), tariff, said.tariff_211(tariff), "STANDARD"
    )


def _location(now: datetime) -> Step:
    place = said.location(now)
    return _told_to_all(
        "the location", "locations", lambda core: core.push_location(place), place, said.location_211(place),
        "UTRECHT-1",
    )  # fmt: skip


def _second_location(now: datetime) -> Step:
    place = said.second_location(now)
    return _told_to_all(
        "the second location", "locations", lambda core: core.push_location(place), place,
        said.second_location_211(place), "UTRECHT-2",
    )  # fmt: skip


def _told_to_all(what: str, module: str, does: Does, new: Json, old: Json, *path: str, verb: str = "PUT") -> Step:
    """Acme gets it in 2.1.1, under our party as it is spelled there; Volt as it is; the hub as a broadcast.

    Kiosk gets locations as Acme does, but for tariffs that aren't for drivers without a contract.
    """
    for_kiosk = Arrival(
        at=KIOSK.name, verb=verb, module=module, body=said.for_kiosk(old), segments=("NLD", "EXA", *path)
    )
    everybody = (
        Arrival(at=ACME.name, verb=verb, module=module, body=old, segments=("NLD", "EXA", *path)),
        *((for_kiosk,) if module == "locations" else ()),
        Arrival(at=VOLT.name, verb=verb, module=module, body=new, segments=("NL", "EXA", *path), to=("DE", "VLT")),
        Arrival(at=HUB.name, verb=verb, module=module, body=new, segments=("NL", "EXA", *path), to=_HUB_PARTY),
    )
    deed = Deed(what=what, by="backend", does=does, arrives=everybody)

    async def once(story: Story, world: World) -> None:
        before = len(world[HUB.name].received)
        await deed(story, world)
        await world.gateway.courier.settle_down(1)
        got = [each for each in world[HUB.name].received[before:] if each.module == module]
        story.check(f"{what}: how often the hub got it", len(got), 1)

    return once


# Cards ----------------------------------------------------------------------------------------------------------------


def _tokens(now: datetime) -> tuple[Step, ...]:
    sent = (
        ("Acme's card", ACME.name, said.token_of_acme(now), said.token_of_acme_221(now)),
        ("Volt's card", VOLT.name, said.token_of_volt(now), said.token_of_volt(now)),
        ("the Belgian card", HUB.name, said.token_behind_hub(now), said.token_behind_hub(now)),
    )
    return tuple(_token(*each) for each in sent)


def _token(what: str, by: str, sent: Json, got: Json) -> Step:
    path = got["country_code"], got["party_id"], got["uid"]
    return Deed(
        what=what,
        by=by,
        does=lambda emsp: emsp.push_token(sent),
        arrives=(Arrival(at="backend", verb="PUT", module="tokens", body=got, segments=path),),
    )


def _authorize(what: str, token: Json, reference: str) -> Step:
    """The answer is the eMSP's own, with its reference for the session to come."""
    place = {"location_id": "UTRECHT-1", "evse_uids": ["E1"]}

    async def step(story: Story, world: World) -> None:
        answer = await world.backend.authorize(token["uid"], location=place)
        data = answer.data if isinstance(answer.data, dict) else {}
        known = {name: (data.get("token") or {}).get(name) for name in token}
        got = (answer.status_code, data.get("allowed"), data.get("authorization_reference"), data.get("location"))
        story.check(f"{what}: the answer", got, (1000, "ALLOWED", reference, place))
        story.check(f"{what}: whose it is", known, token)

    return step


# Charging -------------------------------------------------------------------------------------------------------------


def _remote_start(world: World, now: datetime) -> Step:
    """The eMSP's URL for the result stays here: the backend gets one of ours, and Acme gets its result at its own."""
    place = {"location_id": "UTRECHT-1", "evse_uid": "E1"}
    ours = Begins(f"{world.settings.public_url}/ocpi/2.2.1/callback/")
    return Deed(
        what="the remote start",
        by=ACME.name,
        does=lambda acme: acme.command("START_SESSION", token=said.token_of_acme(now), **place),
        answer={"result": "ACCEPTED"},
        arrives=(
            Arrival(
                at="backend", verb="POST", module="commands", segments=("START_SESSION",),
                body={**place, "token": said.token_of_acme_221(now), "response_url": ours},
            ),
            Arrival(at=ACME.name, verb="POST", module="commands", body={"result": "ACCEPTED"}),
        ),
    )  # fmt: skip


def _remote_stop(world: World) -> Step:
    ours = Begins(f"{world.settings.public_url}/ocpi/2.2.1/callback/")
    return Deed(
        what="the remote stop",
        by=VOLT.name,
        does=lambda volt: volt.command("STOP_SESSION", session_id="S-VLT-1"),
        answer={"result": "ACCEPTED", "timeout": 30},
        arrives=(
            Arrival(
                at="backend", verb="POST", module="commands", segments=("STOP_SESSION",),
                body={"session_id": "S-VLT-1", "response_url": ours},
            ),
            Arrival(at=VOLT.name, verb="POST", module="commands", body={"result": "ACCEPTED"}, to=("DE", "VLT")),
        ),
    )  # fmt: skip


def _charge_of_acme(now: datetime) -> tuple[Step, ...]:
    started = said.session("S-ACM-1", _ACMES, now, "COMMAND")
    more, end = said.session_patch(now), said.session_end(now)
    cdr = said.cdr_of("C-ACM-1", "S-ACM-1", _ACMES, now, "COMMAND")
    at, path = ACME.name, ("NLD", "EXA", "S-ACM-1")
    return (
        _pushes("Acme's session", lambda core: core.push_session(started),
                Arrival(at=at, verb="PUT", module="sessions", body=said.session_211(started, now), segments=path)),
        _pushes("Acme's charging periods", lambda core: core.patch_session("S-ACM-1", more),
                Arrival(at=at, verb="PATCH", module="sessions", body=said.session_patch_211(started, more))),
        _pushes("the end of Acme's session", lambda core: core.patch_session("S-ACM-1", end),
                Arrival(at=at, verb="PATCH", module="sessions", body=said.session_end_211(end), segments=path)),
        _pushes("Acme's CDR", lambda core: core.push_cdr(cdr),
                Arrival(at=at, verb="POST", module="cdrs", body=said.cdr_211(cdr, now))),
    )  # fmt: skip


def _begin(
    at: str, session_id: str, token: Json, now: datetime, to: tuple[str, str] = ("DE", "VLT")
) -> tuple[Step, ...]:
    """A session on 2.2.1, and its first half an hour: nothing of it changes on its way."""
    started, more, path = said.session(session_id, token, now), said.session_patch(now), ("NL", "EXA", session_id)
    return (
        _pushes(f"session {session_id}", lambda core: core.push_session(started),
                Arrival(at=at, verb="PUT", module="sessions", body=started, segments=path, to=to)),
        _pushes(f"the charging periods of {session_id}", lambda core: core.patch_session(session_id, more),
                Arrival(at=at, verb="PATCH", module="sessions", body=more, segments=path, to=to)),
    )  # fmt: skip


def _end(at: str, party_id: str, token: Json, now: datetime, to: tuple[str, str] = ("DE", "VLT")) -> tuple[Step, ...]:
    """The end of such a session, and its CDR."""
    session_id, cdr_id = f"S-{party_id}-1", f"C-{party_id}-1"
    end, cdr = said.session_end(now), said.cdr_of(cdr_id, session_id, token, now)
    return (
        _pushes(f"the end of {session_id}", lambda core: core.patch_session(session_id, end),
                Arrival(at=at, verb="PATCH", module="sessions", body=end, to=to)),
        _pushes(f"CDR {cdr_id}", lambda core: core.push_cdr(cdr),
                Arrival(at=at, verb="POST", module="cdrs", body=cdr, to=to)),
    )  # fmt: skip


def _pushes(what: str, does: Does, arrival: Arrival) -> Step:
    """The backend tells one partner of something."""
    return Deed(what=what, by="backend", does=does, arrives=(arrival,))


# Reading --------------------------------------------------------------------------------------------------------------


async def cdr_is_read_again(story: Story, world: World) -> None:
    """The backend reads what it posted under the URL that it was given."""
    url = story.answers["CDR C-VLT-1"].headers.get("location", "")
    answer = await world.backend.call_url("GET", url, "cdrs")
    story.asked(world.backend, answer, "by its URL")
    story.check("the URL is ours", url, Begins(world.settings.public_url))
    story.check("the CDR that is read again", answer.data, world.backend.own.with_id("cdrs", "C-VLT-1"))


def _pages_of_locations(now: datetime) -> Step:
    must = [said.location_211(said.location(now)), said.second_location_211(said.second_location(now))]
    return _list(ACME.name, "locations", must, limit="1")


def _list_of_cdrs(now: datetime) -> Step:
    cdr = said.cdr_of("C-ACM-1", "S-ACM-1", _ACMES, now, "COMMAND")
    return _list(ACME.name, "cdrs", [said.cdr_211(cdr, now)])


def _list(by: str, module: str, must: list[Json], **query: str) -> Step:
    """All pages of a list: what its reader may see, in its version, and how much there is of it."""

    async def step(story: Story, world: World) -> None:
        pages = await world[by].pages(module, **query)
        for number, page in enumerate(pages, start=1):
            story.asked(world[by], page, f"page {number} of {len(pages)}")
            story.check(f"{by}'s list of {module}: how many", page.headers.get("x-total-count"), str(len(must)))
        story.check(f"{by}'s list of {module}: pages", len(pages), len(must))
        story.check(f"{by}'s list of {module}", [item for page in pages for item in page.data], must)

    return step


# Prices ---------------------------------------------------------------------------------------------------------------


async def prices_are_imported(story: Story, world: World) -> None:
    """The feed has a price for E2. It becomes a tariff of ours, which the connector names once everybody has it."""
    feed = world.feeds["eco"]
    id, when = feed.price_id("NL*EXA*E2"), Begins("20")
    both, one = {"tariff_ids": ["STANDARD", id], "last_updated": when}, {"tariff_id": id, "last_updated": when}
    expected = {
        VOLT.name: (("NL", "EXA"), said.adhoc(id), both),
        HUB.name: (("NL", "EXA"), said.adhoc(id), both),
        KIOSK.name: (("NLD", "EXA"), said.adhoc_211(id), one),
    }
    before = {peer.name: len(peer.received) for peer in world.peers}
    crossed = len(story.crossings)
    counts = feed.counts
    note = f"{counts['prices']} prices at {counts['connector_prices']} connectors"
    story.line("gateway", "eco", "GET prices", 1000, note)
    report = await world.gateway.prices.read("eco")
    story.check("the import", (report.refused, report.connectors, report.own_connectors), (None, 20, 1))
    for at, (party, tariff, connector) in expected.items():
        place = (*party, "UTRECHT-1", "E2", "1")
        arrivals = (
            Arrival(at=at, verb="PUT", module="tariffs", body=tariff, segments=(*party, id)),
            Arrival(at=at, verb="PATCH", module="locations", body=connector, segments=place),
        )
        for arrival in arrivals:
            await story.arrives("the import", world, arrival, after=before[at], crossed=crossed)
    plug = world[KIOSK.name].stored.with_id("locations", "UTRECHT-1")["evses"][1]["connectors"][0]
    story.tell(f"          at Kiosk, connector E2/1 names tariff {plug['tariff_id']}")
    await world.gateway.courier.settle_down(1)
    story.check("what Acme got", len(world[ACME.name].received), before[ACME.name])


async def prices_are_served(story: Story, world: World) -> None:
    """In the feed's own form: who may not see what came from a feed sees what we have said ourselves, which is none."""
    for name, must, why in (("map", 5, "it has a licence"), ("blog", 0, "it has no licence")):
        page = await world.consumers[name].read("/eco-movement/prices")
        story.line(name, "gateway", "GET prices", page.status_code, f"{len(page.data)} prices: {why}")
        story.check(f"{name}: how many prices", len(page.data), must)
        story.check(f"{name}: for whom", [row["product"]["type"] for row in page.data], ["adhoc"] * must)


# New keys -------------------------------------------------------------------------------------------------------------


async def acme_rotates(story: Story, world: World) -> None:
    """By its own PUT. Its old token is spent as soon as the new one has been used."""
    acme = world[ACME.name]
    name = f"{acme.name} {acme.who.version}"
    old = await _new_keys(story, world, acme, acme.rotate())
    story.line(name, "gateway", "PUT credentials", 1000, "new tokens for both")
    for what, token, must in (("new", acme.counterpart.token, 200), ("old", old, 401)):
        answer = await acme.line.ask("GET", world.versions_url, token=token)
        story.line(name, "gateway", "GET versions", answer.status_code, f"HTTP {answer.http} for the {what} token")
        story.check(f"Acme's {what} token", answer.http, must)


async def we_rotate(story: Story, world: World) -> None:
    """By a PUT of ours."""
    volt = world[VOLT.name]
    await _new_keys(story, world, volt, world.gateway.handshakes.rotate(volt.name))
    asked = await volt.wait_for("PUT", "credentials")
    story.line(
        "gateway", f"{volt.who.version} {volt.name}", "PUT credentials", asked.status_code, "new tokens for both"
    )


async def _new_keys(story: Story, world: World, peer: Peer, rotating: Awaitable[object]) -> str:
    """The token that the peer had until then."""

    def tokens() -> tuple[str, str]:
        return peer.counterpart.token or "", world.gateway.links.token_out(peer.name)[0]

    before = tokens()
    await rotating
    changed = [old != new and new != "" for old, new in zip(before, tokens(), strict=True)]
    story.check(f"{peer.name}: the token of each side is new", changed, [True, True])
    return before[0]


def _with_new_keys(now: datetime) -> tuple[Step, ...]:
    """Acme blocks its card, and the backend tells of an EVSE in use, with the tokens of just now."""
    blocked = {"valid": False, "last_updated": said.stamp(now + timedelta(hours=1))}
    busy = {"status": "CHARGING", "last_updated": said.stamp(now + timedelta(hours=1))}
    return (
        Deed(
            what="Acme's card is blocked",
            by=ACME.name,
            does=lambda acme: acme.patch_token("04AC3E0001", blocked),
            arrives=(
                Arrival(at="backend", verb="PATCH", module="tokens", body=blocked,
                        segments=("DE", "ACM", "04AC3E0001")),
            ),
        ),
        _told_to_all(
            "the EVSE is in use", "locations", lambda core: core.patch_location("UTRECHT-1", "E1", changes=busy),
            busy, busy, "UTRECHT-1", "E1", verb="PATCH",
        ),
    )  # fmt: skip
