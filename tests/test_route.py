"""Where a message goes, and why: every plan and every refusal, as a table. Pure, so nothing is started."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from attrs import evolve

from gateway.directory import Directory, Link
from gateway.model.dialect import Dialect, Seat
from gateway.model.errors import NotFound, SenderError, UnknownReceiver, UnknownToken
from gateway.model.message import Message, Ref, Trace
from gateway.model.modules import MODULES, Module, Side, Verb
from gateway.model.party import Party, Role
from gateway.routing import Broadcast, Forward, Here, Refuse, Target, route
from gateway.settings import ModuleUse

GET, PUT, PATCH, POST, DELETE = Verb.GET, Verb.PUT, Verb.PATCH, Verb.POST, Verb.DELETE
LOCATIONS, TARIFFS, SESSIONS, CDRS, TOKENS = (
    Module.LOCATIONS, Module.TARIFFS, Module.SESSIONS, Module.CDRS, Module.TOKENS,
)  # fmt: skip
SUPPLY = (LOCATIONS, TARIFFS, SESSIONS, CDRS)


def party(text: str) -> Party:
    return Party.parse(text)


def seats(texts: Iterable[str]) -> tuple[Seat, ...]:
    """``CPO NL-EXA`` as a seat."""
    pairs = (text.split() for text in texts)
    return tuple(Seat(party=party(name), role=Role(role)) for role, name in pairs)


def link(id: str, theirs: Iterable[str], ours: Iterable[str] = ("HUB NL-GWY",), **uses: str) -> Link:
    """A link; ``uses`` says of each module what happens on it: push, accept, both or off."""
    theirs = seats(theirs)
    supply, demand = (any(seat.role is role for seat in theirs) for role in (Role.CPO, Role.EMSP))
    # As the settings have it: accept what they own, push what their opposites own.
    roles = {module: ModuleUse(push=demand, accept=supply) for module in SUPPLY}
    roles[TOKENS] = ModuleUse(push=supply, accept=demand)
    for name, use in uses.items():
        roles[Module(name)] = ModuleUse(push="push" in use, accept="accept" in use)
    used = {module: use for module, use in roles.items() if use.push or use.accept}
    dialect = Dialect(
        link=id,
        version="any",
        ours=seats(ours),
        theirs=theirs,
        base_url="https://gateway",
        backend=id.startswith("core"),
    )
    return Link(dialect=dialect, registered=True, uses=used)


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
