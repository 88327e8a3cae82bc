"""Where a message goes, and why: every plan and every refusal, as a table. Pure, so nothing is started."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from gateway.directory import Directory, Link
from gateway.model.dialect import Dialect, Seat
from gateway.model.errors import (
    InvalidObject,
    NotConnected,
    NotFound,
    SenderError,
    UnknownLocation,
    UnknownReceiver,
    UnknownToken,
)
from gateway.model.hub_client_info import ConnectionStatus
from gateway.model.message import Message, Ref, Trace
from gateway.model.modules import MODULES, Module, Side, Verb
from gateway.model.party import Party, Role
from gateway.model.share import Pilot
from gateway.routing import About, Ask, Broadcast, Copy, Forward, Here, Open, Refuse, Target, route
from gateway.settings import Delivery, ModuleUse, Serve, Stage

GET, PUT, PATCH, POST, DELETE = Verb.GET, Verb.PUT, Verb.PATCH, Verb.POST, Verb.DELETE
LOCATIONS, TARIFFS, SESSIONS, CDRS, TOKENS, COMMANDS, PROFILES = (
    Module.LOCATIONS, Module.TARIFFS, Module.SESSIONS, Module.CDRS, Module.TOKENS, Module.COMMANDS,
    Module.CHARGING_PROFILES,
)  # fmt: skip
SUPPLY = (LOCATIONS, TARIFFS, SESSIONS, CDRS)
DEMAND = (TOKENS, COMMANDS, PROFILES)


def party(text: str) -> Party:
    return Party.parse(text)


def seats(texts: Iterable[str]) -> tuple[Seat, ...]:
    """``CPO NL-EXA`` as a seat."""
    pairs = (text.split() for text in texts)
    return tuple(Seat(party=party(name), role=Role(role)) for role, name in pairs)


def link(id: str, theirs: Iterable[str], ours: Iterable[str] = ("HUB NL-GWY",), **uses: str) -> Link:
    """A link; ``uses`` says of each module what happens on it: push, accept, both or off."""
    theirs, ours = seats(theirs), seats(ours)
    facing = (
        theirs if theirs[0].role is not Role.HUB else tuple(evolve(seat, role=OPPOSITE[seat.role]) for seat in ours)
    )
    supply, demand = (any(seat.role is role for seat in facing) for role in (Role.CPO, Role.EMSP))
    # As the settings have it: accept what they own, push what their opposites own.
    roles = {module: ModuleUse(push=demand, accept=supply) for module in SUPPLY}
    roles |= {module: ModuleUse(push=supply, accept=demand) for module in DEMAND}
    for name, use in uses.items():
        roles[Module(name)] = ModuleUse(push="push" in use, accept="accept" in use)
    used = {module: use for module, use in roles.items() if use.push or use.accept}
    dialect = Dialect(
        link=id,
        version="any",
        ours=ours,
        theirs=theirs,
        base_url="https://gateway",
        backend=id.startswith("core"),
        own=OWN,
    )
    return Link(dialect=dialect, registered=True, uses=used)


def hub(id: str, theirs: str, ours: Iterable[str], *reaches: str, **changes: Any) -> Link:
    """A hub that reaches these parties, or whomever it says."""
    made = link(id, [f"HUB {theirs}"], ours)
    behind = frozenset(map(party, reaches)) if reaches else None
    return evolve(made, dialect=evolve(made.dialect, reaches=behind), **changes)


OPPOSITE = {Role.CPO: Role.EMSP, Role.EMSP: Role.CPO}
OWN = frozenset(map(party, ("NL-GWY", "NL-EXA", "NL-EXM", "NL-EXB")))
CPO = ("CPO NL-EXA",)
EMSP = ("EMSP NL-EXM",)
LINKS = {
    one.id: one
    for one in (
        link("core", CPO),
        link("core-emsp", EMSP),
        link("acme", ["EMSP DE-ACM"], CPO),
        link("volt", ["EMSP DE-VLT", "CPO DE-VLC"], ["CPO NL-EXA", "EMSP NL-EXM"]),
        link("quiet", ["EMSP FR-QUI"], CPO, locations="off", tariffs="off", tokens="off"),
        link("grid", ["CPO BE-GRD"], EMSP),
        link("other", ["EMSP AT-OTH"], ["CPO NL-EXB"]),
    )
}
DIRECTORY = Directory.of(party("NL-GWY"), LINKS.values())


def message(
    module: Module, verb: Verb = PUT, to: str | None = None, owner: str = "NL-EXA", action: str | None = None
) -> Message:
    """A push of the owner's, or with ``action`` a question of the owner's opposite."""
    side = Side.SENDER if action else Side.RECEIVER
    receiver = party(to) if to else None
    return Message(
        module=module, verb=verb, side=side, sender=party(owner), receiver=receiver,
        ref=Ref(owner=receiver if action else party(owner), id="1"), trace=Trace(request_id="1", correlation_id="2"),
        action=action,
    )  # fmt: skip


def command(to: str | None = None, sender: str = "NL-EXM") -> Message:
    asked = message(COMMANDS, POST, to, sender, "START_SESSION")
    return asked.evolve(side=Side.RECEIVER, ref=Ref())


def read(module: Module, to: str | None = None, sender: str = "NL-EXM", id: str = "", **ref: Any) -> Message:
    """A list, or with ``id`` one object, on the owner's interface."""
    asked = message(module, GET, to, sender)
    return asked.evolve(side=Side.SENDER, ref=Ref(id=id, **ref))


def authorize(to: str | None = None, sender: str = "NL-EXA") -> Message:
    return message(TOKENS, POST, to, sender, "authorize")


# From partners: to the backend that holds the party they mean, and nowhere else. --------------------------------------

FROM_PARTNERS = [
    # link   message                                        the backend, and the party there
    ("acme", message(TOKENS, to="NL-EXA", owner="DE-ACM"), "core", "NL-EXA"),
    ("grid", message(LOCATIONS, to="NL-EXM", owner="BE-GRD"), "core-emsp", "NL-EXM"),
    ("grid", message(CDRS, POST, "NL-EXM", "BE-GRD"), "core-emsp", "NL-EXM"),
    ("grid", authorize("NL-EXM", "BE-GRD"), "core-emsp", "NL-EXM"),
    ("volt", message(LOCATIONS, to="NL-EXM", owner="DE-VLC"), "core-emsp", "NL-EXM"),
    ("volt", message(TOKENS, to="NL-EXA", owner="DE-VLT"), "core", "NL-EXA"),
]


@pytest.mark.parametrize(("source", "what", "target", "ours"), FROM_PARTNERS)
def test_a_partner_reaches_the_backend_that_holds_the_party(source: str, what: Message, target: str, ours: str) -> None:
    """By party and by role: a CPO's objects go to the eMSP's backend."""
    assert route(what, LINKS[source], DIRECTORY) == Forward(Target(target, party(ours)), f"{target} holds {ours}")


STRAY = [
    ("acme", message(TOKENS, to="NL-ZZZ", owner="DE-ACM")),  # nobody
    ("acme", message(TOKENS, to="BE-GRD", owner="DE-ACM")),  # another partner
    ("acme", message(TOKENS, to="NL-EXM", owner="DE-ACM")),  # ours, in the wrong role
    ("acme", message(TOKENS, to="NL-GWY", owner="DE-ACM")),  # the hub's own party is for backends
    ("acme", message(TOKENS, to="NL-EXB", owner="DE-ACM")),  # a party of ours that no backend holds
    ("acme", message(TOKENS, owner="DE-ACM")),
]


@pytest.mark.parametrize(("source", "what"), STRAY)
def test_partners_dont_reach_each_other(source: str, what: Message) -> None:
    """4001, the same for everybody who isn't a backend's party."""
    refused = route(what, LINKS[source], DIRECTORY)
    assert isinstance(refused, Refuse)
    assert isinstance(refused.error, UnknownReceiver)
    assert refused.reason == "no backend holds that party"


def test_what_the_backend_doesnt_want_is_kept_here() -> None:
    """A module that is off towards the backend is answered by the gateway itself."""
    deaf = link("core", CPO, tokens="accept")
    plan = route(message(TOKENS, to="NL-EXA", owner="DE-ACM"), LINKS["acme"], DIRECTORY.with_link(deaf))
    assert plan == Here("core holds NL-EXA, and doesn't want tokens")


# From backends: addressed ---------------------------------------------------------------------------------------------

ADDRESSED = [
    ("core", message(LOCATIONS, to="DE-ACM"), "acme"),
    ("core", message(SESSIONS, to="DE-ACM"), "acme"),
    ("core", message(SESSIONS, to="FR-QUI"), "quiet"),
    ("core", message(CDRS, POST, "DE-VLT"), "volt"),
    ("core", message(TARIFFS, DELETE, "DE-VLT"), "volt"),
    ("core", authorize("DE-ACM"), "acme"),
    ("core-emsp", message(TOKENS, to="BE-GRD", owner="NL-EXM"), "grid"),
    ("core-emsp", message(TOKENS, to="DE-VLC", owner="NL-EXM"), "volt"),
]


@pytest.mark.parametrize(("source", "what", "target"), ADDRESSED)
def test_an_addressed_message_goes_to_that_party(source: str, what: Message, target: str) -> None:
    """Whatever the module, also one that could be broadcast."""
    assert what.receiver is not None
    expected = Forward(Target(target, what.receiver), f"addressed: {target} is {what.receiver}")
    assert route(what, LINKS[source], DIRECTORY) == expected


UNREACHABLE = [
    ("core", message(LOCATIONS, to="DE-ZZZ")),  # nobody
    ("core", message(LOCATIONS, to="BE-GRD")),  # a CPO takes no locations
    ("core", message(LOCATIONS, to="DE-VLC")),  # nor does the CPO's half of a platform
    ("core", message(LOCATIONS, to="FR-QUI")),  # the module is off there
    ("core", message(LOCATIONS, to="AT-OTH")),  # towards them we are another party
    ("core", message(LOCATIONS, to="NL-EXM")),  # a backend is no partner
    ("core", authorize("FR-QUI")),
    ("core", authorize("BE-GRD")),
]


@pytest.mark.parametrize(("source", "what"), UNREACHABLE)
def test_a_party_that_cant_be_reached_is_4001(source: str, what: Message) -> None:
    """Unknown, of the wrong role, without the module, or met as another party of ours: the backend hears the same."""
    refused = route(what, LINKS[source], DIRECTORY)
    assert isinstance(refused, Refuse)
    assert isinstance(refused.error, UnknownReceiver)
    assert refused.reason == "no link to that party has this module"


# From backends: to everybody ------------------------------------------------------------------------------------------

TO_ALL = [
    ("core", message(LOCATIONS), ["acme", "volt"]),
    ("core", message(LOCATIONS, PATCH), ["acme", "volt"]),
    ("core", message(LOCATIONS, to="NL-GWY"), ["acme", "volt"]),
    ("core", message(TARIFFS, DELETE, "NL-GWY"), ["acme", "volt"]),
    ("core", message(LOCATIONS, owner="NL-EXB"), ["other"]),
    ("core", message(LOCATIONS, owner="NL-EXC"), []),
    ("core-emsp", message(TOKENS, owner="NL-EXM"), ["volt", "grid"]),
    ("core-emsp", message(TOKENS, to="NL-GWY", owner="NL-EXM"), ["volt", "grid"]),
]


@pytest.mark.parametrize(("source", "what", "targets"), TO_ALL)
def test_a_broadcast_goes_to_each_link_once(source: str, what: Message, targets: list[str]) -> None:
    """To everyone opposite who has the module and meets us as the owner. Spec: transport_and_format, Broadcast Push."""
    plan = route(what, LINKS[source], DIRECTORY)
    supply = MODULES[what.module].owner is not Role.CPO
    expected = [Target(id, LINKS[id].their_party(supply=supply) or party("ZZ-ZZZ")) for id in targets]
    assert plan == Broadcast(tuple(expected), f"everyone opposite with {what.module}")


@pytest.mark.parametrize("what", [message(SESSIONS, to="NL-GWY"), message(CDRS, POST, "NL-GWY")])
def test_sessions_and_cdrs_are_never_broadcast(what: Message) -> None:
    """They are between two parties."""
    refused = route(what, LINKS["core"], DIRECTORY)
    assert isinstance(refused, Refuse)
    assert type(refused.error) is SenderError
    assert refused.reason == "not a module or verb for broadcasts"


# From backends: by content --------------------------------------------------------------------------------------------

BY_CONTENT = [
    ("core", message(SESSIONS), "acme", "DE-ACM"),
    ("core", message(SESSIONS, PATCH), "volt", "DE-VLT"),
    ("core", message(CDRS, POST), "quiet", "FR-QUI"),
    ("core", authorize(), "acme", "DE-ACM"),
]


@pytest.mark.parametrize(("source", "what", "announced", "to"), BY_CONTENT)
def test_the_route_follows_the_contract(source: str, what: Message, announced: str, to: str) -> None:
    """Without a receiver, what is about a token goes to the link that announced it."""
    expected = Forward(Target(announced, party(to)), f"{announced} announced the token")
    assert route(what, LINKS[source], DIRECTORY, announced) == expected


@pytest.mark.parametrize("announced", [None, "gone", "core-emsp", "grid", "other"])
def test_content_that_names_nobody_is_4001(announced: str | None) -> None:
    """Nobody announced it, a link that is gone, a backend, one without that role, one that meets us as another."""
    refused = route(message(SESSIONS), LINKS["core"], DIRECTORY, announced)
    assert isinstance(refused, Refuse)
    assert isinstance(refused.error, UnknownReceiver)
    assert refused.reason == "the content names nobody"


@pytest.mark.parametrize("announced", [None, "gone", "quiet"])
def test_an_unknown_token_is_2004(announced: str | None) -> None:
    """Nobody announced it, and no link is asked about such tokens."""
    refused = route(authorize(), LINKS["core"], DIRECTORY, announced)
    assert isinstance(refused, Refuse)
    assert isinstance(refused.error, UnknownToken)
    assert refused.reason == "unknown token, and no link is asked about those"


# What may be sent at all ----------------------------------------------------------------------------------------------

NOT_THEIRS = [
    ("acme", message(LOCATIONS, to="NL-EXA", owner="DE-ACM")),  # an eMSP has none
    ("grid", message(TOKENS, to="NL-EXM", owner="BE-GRD")),  # nor has a CPO tokens
    ("quiet", message(TOKENS, to="NL-EXA", owner="FR-QUI")),  # it is off
    ("core", message(TOKENS, to="DE-ACM")),
    ("core-emsp", message(LOCATIONS, owner="NL-EXM")),
    ("quiet", authorize("NL-EXA", "FR-QUI")),
]


@pytest.mark.parametrize(("source", "what"), NOT_THEIRS)
def test_a_module_that_is_off_is_404(source: str, what: Message) -> None:
    """Before anything else is looked at."""
    refused = route(what, LINKS[source], DIRECTORY)
    assert isinstance(refused, Refuse)
    assert isinstance(refused.error, NotFound)
    assert refused.reason == f"{what.module} is off on {source}"


def test_the_directory_of_a_message_stays_as_it_was() -> None:
    """Swapping a link makes a new directory; whoever has the old one sees the old link."""
    gone = evolve(LINKS["acme"], uses={})
    after = DIRECTORY.with_link(gone)
    assert isinstance(route(message(LOCATIONS, to="DE-ACM"), LINKS["core"], DIRECTORY), Forward)
    assert isinstance(route(message(LOCATIONS, to="DE-ACM"), LINKS["core"], after), Refuse)


# Lists and single objects ---------------------------------------------------------------------------------------------


def served(one: Link, module: Module, serve: Serve) -> Link:
    """A link whose lists of a module are answered so."""
    return evolve(one, uses={**one.uses, module: evolve(one.uses[module], serve=serve)})


AT_GRID = Forward(Target("grid", party("BE-GRD")), "addressed: grid is BE-GRD")
READS = [
    # link        message                                        plan
    ("core-emsp", read(LOCATIONS, "NL-GWY"), Here("a list of everybody's comes from the store")),
    ("core-emsp", read(LOCATIONS), Here("a list of everybody's comes from the store")),
    ("core", read(TOKENS, "NL-GWY", "NL-EXA"), Here("a list of everybody's comes from the store")),
    ("core-emsp", read(LOCATIONS, "BE-GRD"), AT_GRID),
    ("core-emsp", read(LOCATIONS, "BE-GRD", id="L1"), AT_GRID),
    ("core-emsp", read(LOCATIONS, id="L1"), Here("nobody is addressed: what is stored")),
    ("core", message(LOCATIONS, GET, "DE-ACM"), Forward(Target("acme", party("DE-ACM")), "addressed: acme is DE-ACM")),
    ("core", message(LOCATIONS, GET), Here("nobody is addressed: what is stored")),
    ("acme", read(LOCATIONS, "NL-EXA", "DE-ACM"), Here("what acme reads of NL-EXA comes from the store")),
    ("acme", read(LOCATIONS, "NL-EXA", "DE-ACM", "L1"), Here("what acme reads of NL-EXA comes from the store")),
    ("acme", message(TOKENS, GET, "NL-EXA", "DE-ACM"), Here("what acme reads of NL-EXA comes from the store")),
]  # fmt: skip


@pytest.mark.parametrize(("source", "what", "plan"), READS)
def test_what_is_read_comes_from_its_owner_or_from_the_store(source: str, what: Message, plan: Any) -> None:
    """A backend reads a party's live and everybody's from the store; partners read what is stored."""
    assert route(what, LINKS[source], DIRECTORY) == plan


def test_a_list_is_served_from_the_store_where_its_file_says_so() -> None:
    """``serve: store`` is about lists: one object is still asked of its owner."""
    directory = DIRECTORY.with_link(served(LINKS["grid"], LOCATIONS, Serve.STORE))
    kept = route(read(LOCATIONS, "BE-GRD"), LINKS["core-emsp"], directory)
    assert kept == Here("lists of grid are served from the store")
    assert isinstance(route(read(LOCATIONS, "BE-GRD", id="L1"), LINKS["core-emsp"], directory), Forward)


@pytest.mark.parametrize("what", [read(LOCATIONS, "NL-GWY", id="L1"), message(TOKENS, GET, "NL-GWY", "NL-EXM")])
def test_a_get_to_the_hub_is_a_list_and_never_a_broadcast_trap_19(what: Message) -> None:
    """One object has an owner, who is addressed. Spec: transport_and_format, GET All via Hubs."""
    refused = route(what, LINKS["core-emsp"], DIRECTORY)
    assert isinstance(refused, Refuse)
    assert isinstance(refused.error, InvalidObject)
    assert refused.error.status == 2001


def test_one_object_is_read_from_where_its_owner_was_heard() -> None:
    """Nobody is addressed, and the content says whose it is."""
    what = read(LOCATIONS, id="L1")
    plan = route(what, LINKS["core-emsp"], DIRECTORY, "grid", About(party=party("BE-GRD")))
    assert plan == Forward(Target("grid", party("BE-GRD")), "grid is where it came from")


# Commands -------------------------------------------------------------------------------------------------------------


def test_a_command_goes_to_the_owner_of_its_location() -> None:
    """Addressed, or by what the caller found out about its location."""
    to_grid = Target("grid", party("BE-GRD"))
    assert route(command("BE-GRD"), LINKS["core-emsp"], DIRECTORY) == Forward(to_grid, "addressed: grid is BE-GRD")
    plan = route(command(), LINKS["core-emsp"], DIRECTORY, "grid", About(party=party("BE-GRD")))
    assert plan == Forward(to_grid, "grid is where it came from")


@pytest.mark.parametrize(
    ("about", "why"),
    [
        (About(links=("grid", "volt")), "could be grid and volt"),
        (About(), "the content names nobody"),
        (About(party=party("ZZ-ZZZ")), "the content names nobody"),
    ],
)
def test_a_command_that_could_be_for_several_is_2003(about: About, why: str) -> None:
    """So is one whose location nobody has."""
    refused = route(command(), LINKS["core-emsp"], DIRECTORY, None, about)
    assert isinstance(refused, Refuse)
    assert isinstance(refused.error, UnknownLocation)
    assert (refused.error.status, refused.reason) == (2003, why)


def test_a_partners_command_that_could_be_for_several_of_us_is_2003() -> None:
    """Its link names no receiver, and two of us have a location of that id: nobody is guessed."""
    refused = route(command("NL-EXA"), LINKS["acme"], DIRECTORY, None, About(links=("core", "core")))
    assert isinstance(refused, Refuse)
    assert (refused.error.status, refused.reason) == (2003, "several of us have that")


def test_a_partners_command_reaches_the_backend_of_the_location() -> None:
    """On a link with several of us that names no receiver, the content tells whom it is for."""
    wide = link("wide", ["EMSP DE-WID"], ["CPO NL-EXA", "CPO NL-EXB"])
    second = link("core-b", ["CPO NL-EXB"])
    directory = DIRECTORY.with_link(wide).with_link(second)
    assert route(command("NL-EXA", "DE-WID"), wide, directory) == Forward(
        Target("core", party("NL-EXA")), "core holds NL-EXA"
    )
    about = About(party=party("NL-EXB"))
    assert route(command("NL-EXA", "DE-WID"), wide, directory, None, about) == Forward(
        Target("core-b", party("NL-EXB")), "core-b holds NL-EXB"
    )


# Hubs -----------------------------------------------------------------------------------------------------------------

EVERYBODY = hub("every", "FR-HUB", [*CPO, *EMSP])
LISTED = hub("listed", "DE-LST", [*CPO, *EMSP], "DE-ONE", "DE-ACM")
HUBS = DIRECTORY.with_link(EVERYBODY).with_link(LISTED)


def forwarded(what: Message, directory: Directory = HUBS, source: str = "core", **about: Any) -> str | None:
    """The link that a message of a backend goes to, if it goes to one."""
    plan = route(what, directory[source], directory, None, About(**about))
    return plan.target.link if isinstance(plan, Forward) else None


@pytest.mark.parametrize(
    ("to", "by", "reason"),
    [
        ("DE-ACM", "acme", "addressed: acme is DE-ACM"),  # it has a link of its own
        ("DE-ONE", "listed", "addressed: listed reaches DE-ONE"),
        ("IT-FAR", "every", "addressed: every reaches IT-FAR"),
        ("FR-HUB", "every", "addressed: every is FR-HUB"),
    ],
)
def test_a_party_behind_a_hub_is_addressed_itself(to: str, by: str, reason: str) -> None:
    """Its own link first, then the hub whose file lists it, then the one that reaches whomever it says."""
    assert route(message(SESSIONS, to=to), LINKS["core"], HUBS) == Forward(Target(by, party(to)), reason)


def test_a_hub_that_says_it_has_a_party_comes_before_one_that_doesnt() -> None:
    """Of two, the one that has it connected; without a word from either, the first in the order of files."""
    other = hub("other-hub", "AT-HUB", CPO)
    directory = HUBS.with_link(other)
    assert forwarded(message(CDRS, POST, "IT-FAR"), directory) == "every"
    far = party("IT-FAR")
    known = {("other-hub", far, Role.EMSP): ConnectionStatus.CONNECTED}
    assert forwarded(message(CDRS, POST, "IT-FAR"), directory.with_clients(known)) == "other-hub"
    known = {(id, far, Role.EMSP): ConnectionStatus.OFFLINE for id in ("every", "other-hub")}
    assert forwarded(message(CDRS, POST, "IT-FAR"), directory.with_clients(known)) == "every"
    known["other-hub", far, Role.EMSP] = ConnectionStatus.CONNECTED
    assert forwarded(message(CDRS, POST, "IT-FAR"), directory.with_clients(known)) == "other-hub"


@pytest.mark.parametrize("prefer", [None, frozenset({party("DE-ACM")})])
def test_a_hub_may_be_preferred_over_a_link_check_78(prefer: frozenset[Party] | None) -> None:
    """Then that party is left out of what is sent to everybody: the hub passes it on, so each object comes once."""
    directory = DIRECTORY.with_link(evolve(LISTED, prefer=prefer))
    assert forwarded(message(LOCATIONS, to="DE-ACM"), directory) == "listed"
    plan = route(message(LOCATIONS), LINKS["core"], directory)
    assert isinstance(plan, Broadcast)
    assert [target.link for target in plan.targets] == ["volt", "listed"]


def test_a_preferred_hub_without_the_module_leaves_it_to_the_link() -> None:
    """A hub that only carries CDRs carries CDRs."""
    only_cdrs = evolve(LISTED, prefer=None, uses={CDRS: ModuleUse(push=True, accept=False)})
    directory = DIRECTORY.with_link(only_cdrs)
    assert forwarded(message(CDRS, POST, "DE-ACM"), directory) == "listed"
    assert forwarded(message(LOCATIONS, to="DE-ACM"), directory) == "acme"
    plan = route(message(LOCATIONS), LINKS["core"], directory)
    assert isinstance(plan, Broadcast)
    assert [target.link for target in plan.targets] == ["acme", "volt"]


def test_what_is_off_on_a_link_finds_no_way_round_by_a_hub() -> None:
    """The operator has switched it off towards that party."""
    refused = route(message(LOCATIONS, to="FR-QUI"), LINKS["core"], HUBS)
    assert isinstance(refused, Refuse)
    assert isinstance(refused.error, UnknownReceiver)


def test_a_link_that_isnt_registered_yields_to_a_hub() -> None:
    """Until it is: then it wins again."""
    directory = HUBS.with_link(evolve(LINKS["acme"], registered=False))
    assert forwarded(message(SESSIONS, to="DE-ACM"), directory) == "listed"
    assert forwarded(message(SESSIONS, to="DE-VLT"), HUBS.with_link(evolve(LINKS["volt"], registered=False))) == "every"
    alone = DIRECTORY.with_link(evolve(LINKS["acme"], registered=False))
    assert forwarded(message(SESSIONS, to="DE-ACM"), alone) == "acme"


def test_a_broadcast_reaches_a_hub_as_one_request_to_its_own_party() -> None:
    """It passes it on to whomever it chooses. Spec: transport_and_format, Broadcast Push."""
    plan = route(message(LOCATIONS, to="NL-GWY"), LINKS["core"], HUBS)
    assert isinstance(plan, Broadcast)
    assert plan.targets[-2:] == (Target("every", party("FR-HUB")), Target("listed", party("DE-LST")))


def test_a_hub_may_be_told_what_is_meant_for_everybody_behind_it() -> None:
    """A backend that addresses the hub's own party leaves the rest to the hub."""
    plan = route(message(LOCATIONS, to="FR-HUB"), LINKS["core"], HUBS)
    assert plan == Forward(Target("every", party("FR-HUB")), "addressed: every is FR-HUB")


@pytest.mark.parametrize("announced", [None, "every"])
def test_a_session_finds_its_driver_behind_a_hub(announced: str | None) -> None:
    """The party that the token names is addressed, never the hub."""
    plan = route(message(SESSIONS), LINKS["core"], HUBS, announced, About(party=party("IT-FAR")))
    assert isinstance(plan, Forward)
    assert plan.target == Target("every", party("IT-FAR"))


def test_the_contract_beats_the_preference() -> None:
    """A token that was announced through a hub is answered for through it, whoever has a link of its own."""
    plan = route(message(CDRS, POST), LINKS["core"], HUBS, "listed", About(party=party("DE-ACM")))
    assert plan == Forward(Target("listed", party("DE-ACM")), "listed announced the token")


def test_what_a_hub_brings_goes_to_the_backend_of_the_party_trap_18() -> None:
    """From the hub's own party (a broadcast), or from one behind it; the owner is in the object."""
    for sender in ("FR-HUB", "BE-BEC"):
        what = message(LOCATIONS, to="NL-EXM", owner="BE-BEC").evolve(sender=party(sender))
        assert route(what, EVERYBODY, HUBS) == Forward(Target("core-emsp", party("NL-EXM")), "core-emsp holds NL-EXM")


@pytest.mark.parametrize("own", ["NL-EXM", "NL-GWY", "NL-EXB"])
def test_no_hub_reaches_us(own: str) -> None:
    """Whatever it says: our own parties, and the gateway's, are never behind it."""
    assert not EVERYBODY.dialect.speaks_for(party(own))
    assert EVERYBODY.dialect.speaks_for(party("IT-FAR"))
    assert not LISTED.dialect.speaks_for(party("IT-FAR"))
    assert isinstance(route(message(SESSIONS, to=own), LINKS["core"], HUBS.with_link(LISTED)), Refuse)


# Copies ---------------------------------------------------------------------------------------------------------------


def test_objects_of_an_owner_come_from_one_link() -> None:
    """Its own, if it has one; what a hub brings of it is a copy. Sessions and CDRs are bills, and never copies."""
    what = message(LOCATIONS, to="NL-EXM", owner="BE-GRD")
    assert route(what, EVERYBODY, HUBS) == Copy("locations of BE-GRD are taken from grid")
    assert isinstance(route(what, LINKS["grid"], HUBS), Forward)
    for module, verb in ((SESSIONS, PUT), (CDRS, POST)):
        assert isinstance(route(message(module, verb, "NL-EXM", "BE-GRD"), EVERYBODY, HUBS), Forward)


def test_the_source_of_an_owner_follows_the_preference() -> None:
    """A preferred hub is the source; so is any while the owner's own link isn't registered, or doesn't bring it."""
    what = message(LOCATIONS, to="NL-EXM", owner="BE-GRD")
    preferred = HUBS.with_link(evolve(EVERYBODY, prefer=None))
    assert route(what, LINKS["grid"], preferred) == Copy("locations of BE-GRD are taken from every")
    assert isinstance(route(what, EVERYBODY, preferred), Forward)
    assert isinstance(route(what, EVERYBODY, HUBS.with_link(evolve(LINKS["grid"], registered=False))), Forward)
    assert isinstance(
        route(what, EVERYBODY, HUBS.with_link(link("grid", ["CPO BE-GRD"], EMSP, locations="off"))), Forward
    )


def test_each_of_us_has_a_source_of_its_own() -> None:
    """A partner that meets two of us on two links brings its objects to each."""
    second = link("grid-2", ["CPO BE-GRD"], ["EMSP NL-EXN"])
    directory = HUBS.with_link(second).with_link(link("core-n", ["EMSP NL-EXN"]))
    for one, ours in ((LINKS["grid"], "NL-EXM"), (second, "NL-EXN")):
        assert isinstance(route(message(LOCATIONS, to=ours, owner="BE-GRD"), one, directory), Forward)


# Several links to one party -------------------------------------------------------------------------------------------


def test_the_link_on_which_the_sender_is_our_party() -> None:
    """A partner that has a link with each of two parties of ours."""
    second = link("acme-b", ["EMSP DE-ACM"], ["CPO NL-EXB"])
    directory = Directory.of(party("NL-GWY"), [*LINKS.values(), link("core-b", ["CPO NL-EXB"]), second])
    assert forwarded(message(SESSIONS, to="DE-ACM"), directory) == "acme"
    assert forwarded(message(SESSIONS, to="DE-ACM", owner="NL-EXB"), directory, "core-b") == "acme-b"
    plan = route(message(LOCATIONS, owner="NL-EXB"), LINKS["core"], directory)
    assert isinstance(plan, Broadcast)
    assert [target.link for target in plan.targets] == ["other", "acme-b"]


MOVE = datetime(2030, 1, 1, tzinfo=UTC)
BEFORE, AFTER = MOVE - timedelta(seconds=1), MOVE
NEW = evolve(link("acme-new", ["EMSP DE-ACM"], CPO), replaces="acme", since=MOVE)
MOVING = DIRECTORY.with_link(NEW)


@pytest.mark.parametrize(("at", "by"), [(BEFORE, "acme"), (AFTER, "acme-new"), (None, "acme-new")])
def test_what_began_before_the_move_ends_on_the_old_link(at: datetime | None, by: str) -> None:
    """Sessions and their CDRs, addressed or by content; everything else by its time, each once."""
    assert forwarded(message(SESSIONS, to="DE-ACM"), MOVING, at=at) == by
    for announced in ("acme", "acme-new"):
        plan = route(message(CDRS, POST), LINKS["core"], MOVING, announced, About(at=at))
        assert plan == Forward(Target(by, party("DE-ACM")), f"{by} announced the token")
    plan = route(message(LOCATIONS), LINKS["core"], MOVING, None, About(at=at))
    assert isinstance(plan, Broadcast)
    assert [target.link for target in plan.targets] == (["acme", "volt"] if by == "acme" else ["volt", "acme-new"])


def test_what_one_message_finds_out_holds_for_no_other_owner_time_or_id() -> None:
    """Who listens is worked out once for a snapshot, and still each broadcast goes where it would go alone."""
    pilot = Pilot(locations=["LOC2"])
    changed = MOVING.with_link(evolve(LINKS["volt"], stage=Stage.PILOT, pilot=pilot))

    def fresh() -> Directory:
        return Directory(changed.hub, changed.links)

    said = [
        (evolve(message(module, owner=owner), ref=Ref(owner=party(owner), id=id)), About(at=at))
        for module in (LOCATIONS, TARIFFS)
        for owner in ("NL-EXA", "BE-GRD")
        for id in ("LOC1", "LOC2")
        for at in (BEFORE, AFTER, None)
    ]
    shared = fresh()
    plans = [route(what, LINKS["core"], shared, None, about) for what, about in said]
    assert plans == [route(what, LINKS["core"], fresh(), None, about) for what, about in said]
    assert len({plan.targets for plan in plans if isinstance(plan, Broadcast)}) == 5


def test_a_move_waits_for_the_registration_of_the_new_link() -> None:
    """Nothing is stranded on a link that can't be used yet."""
    waiting = MOVING.with_link(evolve(NEW, registered=False))
    assert forwarded(message(SESSIONS, to="DE-ACM"), waiting, at=AFTER) == "acme"
    plan = route(message(CDRS, POST), LINKS["core"], waiting, "acme", About(at=AFTER))
    assert plan == Forward(Target("acme", party("DE-ACM")), "acme announced the token")


def test_during_a_move_both_links_are_sources() -> None:
    """Nobody knows when the partner's own platforms change over."""
    what = message(TOKENS, to="NL-EXA", owner="DE-ACM")
    for source in (LINKS["acme"], NEW):
        assert isinstance(route(what, source, MOVING), Forward)


def test_a_party_that_didnt_move_stays_on_the_old_link() -> None:
    """Of two parties on a platform, one is moved first."""
    both = link("acme", ["EMSP DE-ACM", "EMSP AT-ACM"], CPO)
    directory = MOVING.with_link(both)
    plan = route(message(SESSIONS), LINKS["core"], directory, "acme", About(party=party("AT-ACM"), at=AFTER))
    assert plan == Forward(Target("acme", party("AT-ACM")), "acme announced the token")
    assert forwarded(message(SESSIONS, to="AT-ACM"), directory, at=AFTER) == "acme"


def test_a_backend_may_take_over_from_another() -> None:
    """The same for our own core platforms: what began before ends on the old one."""
    new = evolve(link("core-new", EMSP), replaces="core-emsp", since=MOVE)
    directory = DIRECTORY.with_link(new)
    for at, backend in ((BEFORE, "core-emsp"), (AFTER, "core-new")):
        plan = route(message(SESSIONS, to="NL-EXM", owner="BE-GRD"), LINKS["grid"], directory, None, About(at=at))
        assert isinstance(plan, Forward)
        assert plan.target.link == backend


# Stages ---------------------------------------------------------------------------------------------------------------


def staged(stage: Stage, **pilot: list[str]) -> Directory:
    """The directory with ``acme`` in a stage."""
    return DIRECTORY.with_link(evolve(LINKS["acme"], stage=stage, pilot=Pilot(**pilot)))


def listeners(what: Message, directory: Directory) -> list[str]:
    plan = route(what, LINKS["core"], directory)
    assert isinstance(plan, Broadcast)
    return [target.link for target in plan.targets]


def test_a_draft_is_nobody() -> None:
    """It is a file and nothing else."""
    directory = staged(Stage.DRAFT)
    assert isinstance(route(message(SESSIONS, to="DE-ACM"), LINKS["core"], directory), Refuse)
    assert isinstance(route(message(SESSIONS), LINKS["core"], directory, "acme"), Refuse)
    assert listeners(message(LOCATIONS), directory) == ["volt"]


@pytest.mark.parametrize("stage", [Stage.TEST, Stage.PILOT])
def test_a_trial_gets_what_is_addressed_to_it_and_what_is_named(stage: Stage) -> None:
    """Of what goes to everybody, the locations and tokens of its pilot, by id without case."""
    directory = staged(stage, locations=["l1"], tokens=["T1"])
    assert forwarded(message(SESSIONS, to="DE-ACM"), directory) == "acme"
    assert listeners(message(LOCATIONS), directory) == ["volt"]
    assert listeners(message(TARIFFS), directory) == ["volt"]
    named = message(LOCATIONS).evolve(ref=Ref(owner=party("NL-EXA"), id="L1"))
    assert listeners(named, directory) == ["acme", "volt"]


@pytest.mark.parametrize(("token", "goes"), [("t1", True), ("T2", False), (None, False)])
def test_a_session_reaches_a_trial_for_a_token_of_the_pilot(token: str | None, goes: bool) -> None:
    """By content; the reason says why not."""
    plan = route(message(SESSIONS), LINKS["core"], staged(Stage.PILOT, tokens=["T1"]), "acme", About(token=token))
    assert isinstance(plan, Forward if goes else Refuse)
    if not goes:
        assert plan.reason == "acme is tried out, and its pilot doesn't name this"


def test_a_test_beside_what_is_in_use_changes_nothing() -> None:
    """The same party in two files: what is in use gets everything, and is the source."""
    trial = evolve(link("acme-test", ["EMSP DE-ACM"], CPO), stage=Stage.TEST)
    directory = Directory.of(party("NL-GWY"), [trial, *LINKS.values()])
    assert forwarded(message(SESSIONS, to="DE-ACM"), directory) == "acme"
    assert listeners(message(LOCATIONS), directory) == ["acme", "volt"]
    what = message(TOKENS, to="NL-EXA", owner="DE-ACM")
    assert route(what, trial, directory) == Copy("tokens of DE-ACM are taken from acme")


def test_nothing_is_asked_of_who_is_suspended() -> None:
    """What is owed is still owed, and what it asks is still answered; a live exchange is 4003."""
    directory = staged(Stage.SUSPENDED)
    assert forwarded(message(SESSIONS, to="DE-ACM"), directory) == "acme"
    assert listeners(message(LOCATIONS), directory) == ["acme", "volt"]
    assert isinstance(route(message(TOKENS, to="NL-EXA", owner="DE-ACM"), directory["acme"], directory), Forward)
    refused = route(authorize("DE-ACM"), LINKS["core"], directory)
    assert isinstance(refused, Refuse)
    assert isinstance(refused.error, NotConnected)
    assert (refused.error.status, refused.reason) == (4003, "acme is suspended")
    assert directory.status(party("DE-ACM"), Role.EMSP) is ConnectionStatus.SUSPENDED


@pytest.mark.parametrize(
    ("changes", "delivers"),
    [
        ({}, True),
        ({"stage": Stage.TEST}, True),
        ({"registered": False}, False),
        ({"stage": Stage.SUSPENDED}, False),
        ({"stage": Stage.DRAFT}, False),
        ({"paused_out": AFTER}, False),
        ({"paused_out": BEFORE}, True),
        ({"paused_in": AFTER}, True),
    ],
)
def test_when_what_is_owed_may_be_brought(changes: dict[str, Any], delivers: bool) -> None:
    """Registered, in service, neither suspended nor paused; a pause ends by itself."""
    assert evolve(LINKS["acme"], **changes).delivers(BEFORE) is delivers


# Who is connected -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [None, *ConnectionStatus])
def test_a_live_exchange_needs_a_party_that_is_connected(status: ConnectionStatus | None) -> None:
    """Nothing is sent to one that its hub says can't be had; what is owed to it waits."""
    known = {("every", party("BE-BEC"), Role.CPO): status} if status else {}
    directory = HUBS.with_clients(known)
    plan = route(command("BE-BEC"), LINKS["core-emsp"], directory)
    if status in (None, ConnectionStatus.CONNECTED):
        assert plan == Forward(Target("every", party("BE-BEC")), "addressed: every reaches BE-BEC")
    else:
        assert isinstance(plan, Refuse)
        assert isinstance(plan.error, NotConnected)
        assert (plan.error.status, plan.reason) == (4003, f"every says that BE-BEC is {status}")
    assert forwarded(message(TOKENS, to="BE-BEC", owner="NL-EXM"), directory, "core-emsp") == "every"
    assert directory.status(party("BE-BEC"), Role.CPO) is status


def test_nobody_is_known_under_an_unknown_party() -> None:
    """4001 where no hub reaches everybody."""
    refused = route(command("BE-BEC"), LINKS["core-emsp"], DIRECTORY)
    assert isinstance(refused, Refuse)
    assert (type(refused.error), refused.error.status) == (UnknownReceiver, 4001)
    assert DIRECTORY.status(party("BE-BEC"), Role.CPO) is None


def test_the_role_that_is_connected_counts() -> None:
    """A party may be several things behind a hub: an NSP that is offline is still an eMSP that isn't."""
    far = party("IT-FAR")
    known = {("every", far, Role.NSP): ConnectionStatus.OFFLINE, ("every", far, Role.EMSP): ConnectionStatus.CONNECTED}
    assert isinstance(route(authorize("IT-FAR"), LINKS["core"], HUBS.with_clients(known)), Forward)
    del known["every", far, Role.EMSP]
    assert isinstance(route(authorize("IT-FAR"), LINKS["core"], HUBS.with_clients(known)), Refuse)


def test_a_live_push_is_a_live_exchange() -> None:
    """``delivery: live``: the backend waits for the partner's answer, and hears at once that there will be none."""
    known = {("every", party("IT-FAR"), Role.EMSP): ConnectionStatus.OFFLINE}
    waited = evolve(EVERYBODY, uses={**EVERYBODY.uses, CDRS: evolve(EVERYBODY.uses[CDRS], delivery=Delivery.LIVE)})
    directory = HUBS.with_clients(known)
    assert forwarded(message(CDRS, POST, "IT-FAR"), directory) == "every"
    refused = route(message(CDRS, POST, "IT-FAR"), LINKS["core"], directory.with_link(waited))
    assert isinstance(refused, Refuse)
    assert isinstance(refused.error, NotConnected)


# Tokens that nobody announced -----------------------------------------------------------------------------------------


def test_an_unknown_token_is_asked_about_in_order() -> None:
    """Each party of a platform by name, a hub openly: it finds out itself. Spec: Open Routing Request, no receiver."""
    wide = link("wide", ["EMSP DE-WID", "EMSP AT-WID"], CPO)
    order = ("every", "gone", "quiet", "wide", "acme")
    directory = evolve(HUBS.with_link(wide), unknown_tokens=order)
    plan = route(authorize(), LINKS["core"], directory)
    assert isinstance(plan, Ask)
    assert plan.targets == (
        Open("every"),
        Target("wide", party("DE-WID")),
        Target("wide", party("AT-WID")),
        Target("acme", party("DE-ACM")),
    )


def test_a_token_that_was_announced_is_asked_of_its_emsp_alone() -> None:
    """Also behind a hub: there its eMSP's party is addressed."""
    directory = evolve(HUBS, unknown_tokens=("acme", "every"))
    plan = route(authorize(), LINKS["core"], directory, "every", About(party=party("IT-FAR")))
    assert plan == Forward(Target("every", party("IT-FAR")), "every announced the token")


def test_a_trial_isnt_asked_about_tokens_of_others() -> None:
    """Only about those of its pilot."""
    directory = evolve(staged(Stage.TEST, tokens=["1"]), unknown_tokens=("acme",))
    assert isinstance(route(authorize(), LINKS["core"], directory), Ask)
    nobody = evolve(staged(Stage.TEST), unknown_tokens=("acme",))
    assert isinstance(route(authorize(), LINKS["core"], nobody), Refuse)
