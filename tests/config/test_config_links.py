"""What takes two keys or two files: who faces whom, who claims what, which tokens a registration needs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from attrs import evolve
from config_folder import BACKEND, GATEWAY, PARTNER, Folder

from gateway.model.dialect import Seat
from gateway.model.modules import Module
from gateway.model.party import Party, Role
from gateway.settings import Delivery, Kind, ModuleUse, Serve, Start

SECOND_PARTY = "  - {country_code: NL, party_id: EXM, role: EMSP, name: Example Mobility}\n"
BOTH = GATEWAY + SECOND_PARTY
BACKEND_FOR_BOTH = BACKEND.replace("party_id: EXA}]", "party_id: EXA}, {role: EMSP, country_code: NL, party_id: EXM}]")
EXA = "{role: CPO, country_code: NL, party_id: EXA}"
EXM = "{role: EMSP, country_code: NL, party_id: EXM}"

PUSH = ModuleUse(push=True, accept=False)
ACCEPT = ModuleUse(push=False, accept=True)
OWNED_BY_EMSP = (Module.TOKENS, Module.COMMANDS, Module.CHARGING_PROFILES)
OWNED_BY_CPO = (Module.LOCATIONS, Module.TARIFFS, Module.SESSIONS, Module.CDRS)


def test_towards_a_backend_we_are_the_hub_and_it_holds_our_parties(folder: Folder) -> None:
    """The seats of a backend's link: the hub here, our parties with their business details there."""
    (backend,) = folder.load().backends
    assert backend.ours == (Seat(party=Party("NL", "GWY"), role=Role.HUB),)
    assert backend.theirs == (Seat(party=Party("NL", "EXA"), role=Role.CPO),)
    assert backend.theirs[0].business == {"name": "Example Charging"}
    assert backend.limits.in_flight == 1000


def test_a_partner_faces_the_only_party_of_ours_that_fits(folder: Folder) -> None:
    """`our_party` may be left out while one of us has a role opposite to theirs."""
    folder.gateway(text=BOTH, backend=BACKEND_FOR_BOTH)
    (partner,) = folder.partner().load().partners
    assert partner.ours == (Seat(party=Party("NL", "EXA"), role=Role.CPO),)
    assert partner.ours[0].business == {"name": "Example Charging"}


def test_which_of_several_must_be_said(folder: Folder) -> None:
    """Two of us fit: the file says which, or it is a mistake that names both."""
    folder.gateway(text=BOTH.replace("EMSP", "CPO"), backend=BACKEND_FOR_BOTH.replace("EMSP", "CPO")).partner()
    expected = "partners/acme.yaml:2:8: several of our parties fit (NL-EXA as CPO, NL-EXM as CPO)"
    assert folder.mistake().startswith(expected)
    folder.partner(f"our_party: {EXA}\n")
    assert [seat.party for seat in folder.load().partners[0].ours] == [Party("NL", "EXA")]
    folder.partner(f"our_parties: [{EXA}, {EXA.replace('EXA', 'EXM')}]\n")
    assert len(folder.load().partners[0].ours) == 2


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (f"our_party: {EXA.replace('EXA', 'ZZZ')}\n", "4:12: NL-ZZZ as CPO isn't in `parties` of gateway.yaml"),
        (f"our_party: {EXM}\n", "2:16: EMSP doesn't face us (EMSP) here"),
        (f"our_party: {EXA}\nour_parties: [{EXA}]\n", "5:1: `our_party` says it already"),
        (f"our_parties: [{EXA}, {EXA}]\n", "4:61: the same item twice"),
        (f"our_parties: [{EXA}, {EXM}]\n", "4:14: NL-EXM as EMSP faces nobody here"),
        (f"our_party: {EXA[:-1]}, name: x}}\n", "4:57: unknown key `name`"),
    ],
)
def test_our_parties_on_a_link_are_ours_and_face_them(folder: Folder, more: str, expected: str) -> None:
    """What a file says of us is checked against gateway.yaml and against the roles on the other side."""
    folder.gateway(text=BOTH, backend=BACKEND_FOR_BOTH)
    assert folder.partner(more).mistakes()[0].startswith(f"partners/acme.yaml:{expected}")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("role: EMSP", "role: CPO", "2:8: none of our parties in gateway.yaml has a role opposite to these"),
        ("role: EMSP", "role: HUB", "2:16: a bilateral partner is no HUB"),
        (
            "country_code: DE, party_id: ACM",
            "country_code: NL, party_id: GWY",
            "2:9: NL-GWY is the gateway's own hub party",
        ),
        (
            "role: EMSP, country_code: DE, party_id: ACM",
            "role: CPO, country_code: NL, party_id: EXA",
            "2:9: NL-EXA as CPO is one of our own parties",
        ),
        ("}]", "}, {role: EMSP, country_code: DE, party_id: ACM}]", "2:56: the same item twice"),
        ("}]", "}, {role: CPO, country_code: DE, party_id: ACM}]", "2:63: CPO doesn't face us (CPO) here"),
    ],
)
def test_their_roles_are_theirs_and_face_us(folder: Folder, old: str, new: str, expected: str) -> None:
    """A partner isn't one of us, isn't the hub, and has a role opposite to ours."""
    found = folder.partner(text=PARTNER.replace(old, new, 1)).mistakes()
    assert f"partners/acme.yaml:{expected}" in "\n".join(found)


def test_parties_of_several_roles_share_a_link_only_where_headers_tell_them_apart(folder: Folder) -> None:
    """On 2.1.1 several of our parties have one role; on 2.2.1 any."""
    folder.gateway(text=BOTH, backend=BACKEND_FOR_BOTH)
    both = PARTNER.replace("}]", "}, {role: CPO, country_code: DE, party_id: ACM}]", 1)
    ours = f"our_parties: [{EXA}, {EXM}]\n"
    expected = "partners/acme.yaml:4:14: parties of several roles can't share a link of version 2.1.1"
    assert folder.partner(ours, text=both).mistake().startswith(expected)
    assert folder.partner(ours, text=both.replace('"2.1.1"', "[2.2.1, 2.1.1]")).mistake().startswith(expected)
    (partner,) = folder.partner(ours, text=both.replace("2.1.1", "2.2.1")).load().partners
    assert {seat.role for seat in partner.ours} == {Role.CPO, Role.EMSP}
    assert set(partner.modules.values()) == {ModuleUse(push=True, accept=True)}


def test_a_link_is_unique_by_our_party_and_role_and_their_party(folder: Folder) -> None:
    """Two files that claim the same are a mistake in the second, which names the first."""
    folder.partner().partner(name="zeta")
    mistake = folder.mistake()
    assert mistake.startswith("partners/zeta.yaml:2:9: NL-EXA as CPO has a link to DE-ACM already")
    assert "partners/acme.yaml:2:9" in mistake


def test_two_links_have_two_tokens(folder: Folder) -> None:
    """A token that two links would send can't tell who calls; the mistake names the other link, not the token."""
    them = PARTNER.replace("start: us", "start: them, token_in: [{env: OTHER}, {env: IN}]")
    folder.environ["OTHER"] = "other"
    mistake = folder.partner(text=them).mistake()
    assert mistake.startswith("partners/acme.yaml:3:39: the same token as backend has")
    assert "core-in" not in mistake


def test_a_party_of_ours_is_held_by_one_backend(folder: Folder) -> None:
    """Two backends with one party and role can't be told apart; a party without a backend is warned about."""
    folder.write("backends/zeta.yaml", BACKEND.split("\n", 1)[1].replace("env: IN", "env: TOKEN_A"))
    assert folder.mistake().startswith("backends/zeta.yaml:2:9: another backend holds NL-EXA as CPO already")
    (folder.path / "backends/zeta.yaml").unlink()
    (warning,) = folder.gateway(text=BOTH).load().warnings
    assert (warning.line, warning.column) == (5, 5)
    assert warning.text == "no backend holds NL-EXM as EMSP: what partners send it is refused"


def test_several_backends_each_hold_their_parties(folder: Folder) -> None:
    """The short form and files in backends/ stand side by side; backends come first."""
    text = BACKEND.split("\n", 1)[1].replace("role: CPO", "role: EMSP").replace("EXA", "EXM").replace("IN}", "IN2}")
    folder.environ["IN2"] = "other"
    settings = folder.gateway(text=BOTH).partner().write("backends/emsp.yaml", text).load()
    assert [link.id for link in settings.links] == ["backend", "emsp", "acme"]
    assert settings.links[1].modules[Module.TOKENS] == ACCEPT


def test_a_backend_holds_parties_of_ours_only(folder: Folder) -> None:
    """A role of a backend that isn't in `parties` has no name to show to partners."""
    mistake = folder.gateway(backend=BACKEND.replace("EXA", "EXB")).mistake()
    assert mistake.startswith("gateway.yaml:7:11: NL-EXB as CPO isn't in `parties`")


@pytest.mark.parametrize("key", ["kind: bilateral", f"our_party: {EXA}", "stage: live", "feed: {}"])
def test_a_backend_has_no_keys_of_partners(folder: Folder, key: str) -> None:
    """kind, our_party and stage belong to partners."""
    mistake = folder.gateway(backend=f"{BACKEND}  {key}\n").mistake()
    assert mistake.startswith(f"gateway.yaml:9:3: unknown key `{key.split(':')[0]}`")


def test_the_parties_of_gateway_yaml_are_distinct(folder: Folder) -> None:
    """A party stands once per role, and none of them is the hub party."""
    again = folder.gateway(text=GATEWAY + SECOND_PARTY.replace("EXM, role: EMSP", "EXA, role: CPO")).mistake()
    assert again.startswith("gateway.yaml:5:5: NL-EXA as CPO again")
    hub = folder.gateway(text=GATEWAY.replace("GWY", "EXA")).mistake()
    assert hub.startswith("gateway.yaml:4:5: NL-EXA is the gateway's hub party too")


@pytest.mark.parametrize(
    ("name", "fine"), [("a", True), ("x-1.2_b", True), ("Acme", False), ("-a", False), ("a b", False)]
)
def test_the_stem_of_a_file_is_the_id(folder: Folder, name: str, *, fine: bool) -> None:
    """Small letters, digits, and . _ - within."""
    folder.partner(name=name)
    if fine:
        assert folder.load().partners[0].id == name
    else:
        assert folder.mistake().startswith(f"partners/{name}.yaml:1:1: `{name}` can't be an id")


def test_an_id_is_taken_once(folder: Folder) -> None:
    """Backends and partners share their ids, and `backend` is the one in gateway.yaml."""
    assert "the id `backend` is taken" in folder.partner(name="backend").mistake()


def test_files_that_are_no_configuration_are_left_alone(folder: Folder) -> None:
    """Examples, hidden files and notes aren't read; `.yml`, which looks as if it were, is a mistake."""
    for name in ("acme.yaml.example", ".acme.yaml", "notes.txt", "acme.yaml~"):
        folder.write(f"partners/{name}", "nonsense: [")
    assert folder.load().partners == ()
    assert folder.write("partners/acme.yml", PARTNER).mistake().startswith("partners/acme.yml:1:1: files end in .yaml")


def test_without_gateway_yaml_there_is_one_mistake(folder: Folder) -> None:
    """A folder that isn't there, or is empty, is said once, with what to do."""
    (folder.path / "gateway.yaml").unlink()
    assert folder.mistake().startswith("gateway.yaml:1:1: there is no such file: copy gateway.yaml.example")
    folder.path = folder.path / "nowhere"
    assert "there is no such file" in folder.mistake()


@pytest.mark.parametrize(
    ("registration", "needed"),
    [
        ("{start: us}", ["versions_url", "token_out"]),
        ("{start: them}", ["token_in"]),
        ("{start: none}", ["versions_url", "token_out", "token_in"]),
        ("{start: adopted}", ["versions_url", "token_out", "token_in"]),
    ],
)
def test_a_registration_needs_the_tokens_of_its_start(folder: Folder, registration: str, needed: list[str]) -> None:
    """us: their URL and token A; them: the token A we gave; none and adopted: all three."""
    found = folder.partner(text=PARTNER.split("registration")[0] + f"registration: {registration}\n").mistakes()
    assert all(mistake.startswith("partners/acme.yaml:3:15: `start: ") for mistake in found)
    assert [mistake.split("needs `")[1].split("`")[0] for mistake in found] == sorted(needed)


@pytest.mark.parametrize(
    ("registration", "expected"),
    [
        ("{token_in: {env: TOKEN_A}}", "15: `start` is missing"),
        ("{start: them, token_in: {env: TOKEN_A}, requires: [token]}", "66: `token` isn't one of locations, tariffs"),
        (
            "{start: them, token_in: {env: TOKEN_A}, requires: [credentials]}",
            "66: `credentials` isn't one of locations",
        ),
        (
            '{start: them, token_in: {env: TOKEN_A}, endpoints: {cdrs: "https://acme.example/c"}}',
            "66: endpoints are discovered: remove them, or write `start: adopted`",
        ),
    ],
)
def test_a_registration_is_checked_by_key(folder: Folder, registration: str, expected: str) -> None:
    """start, required modules, and endpoints."""
    folder.partner(text=PARTNER.split("registration")[0] + f"registration: {registration}\n")
    assert folder.mistake().startswith(f"partners/acme.yaml:3:{expected}")


def test_required_modules_are_kept(folder: Folder) -> None:
    """`requires` names the modules without which a handshake ends in 3003."""
    folder.partner(text=PARTNER.replace("start: us", "start: us, requires: [tokens, cdrs]"))
    assert folder.load().partners[0].registration.requires == (Module.TOKENS, Module.CDRS)


@pytest.mark.parametrize(
    "url", ["http://acme.example/v", "https://10.0.0.7/v", "https://localhost/v", "https://[::1]/v"]
)
def test_private_addresses_and_plain_http_need_to_be_allowed(folder: Folder, url: str) -> None:
    """https on public addresses, unless `allow_private` says otherwise."""
    text = PARTNER.replace("https://acme.example/versions", url)
    mistake = folder.partner(text=text).mistake()
    assert mistake.startswith("partners/acme.yaml:3:41: ")
    assert "`allow_private: true`" in mistake
    assert folder.partner("allow_private: true\n", text=text).mistakes() == []


def test_modules_by_role(folder: Folder) -> None:
    """Left out: we push what we own and accept what they own."""
    settings = folder.partner().load()
    assert settings.partners[0].modules == dict.fromkeys(OWNED_BY_CPO, PUSH) | dict.fromkeys(OWNED_BY_EMSP, ACCEPT)
    core = dict.fromkeys(OWNED_BY_CPO, ACCEPT) | dict.fromkeys((*OWNED_BY_EMSP, Module.HUB_CLIENT_INFO), PUSH)
    assert settings.backends[0].modules == core


@pytest.mark.parametrize(
    ("modules", "module", "use"),
    [
        ("{locations: off}", Module.LOCATIONS, None),
        ("{locations: {push: false}}", Module.LOCATIONS, None),
        ("{locations: {}}", Module.LOCATIONS, PUSH),
        ("{locations: {accept: false}}", Module.LOCATIONS, PUSH),
        ("{tokens: accept}", Module.TOKENS, ACCEPT),
        ("{tokens: off}", Module.TOKENS, None),
        ("{commands: off}", Module.COMMANDS, None),
        ("{cdrs: {delivery: live}}", Module.CDRS, evolve(PUSH, delivery=Delivery.LIVE)),
        ("{tokens: {serve: store}}", Module.TOKENS, evolve(ACCEPT, serve=Serve.STORE)),
    ],
)
def test_modules_by_the_file(folder: Folder, modules: str, module: Module, use: ModuleUse | None) -> None:
    """A word says all about a module; what a table leaves out keeps its default by role."""
    (partner,) = folder.partner(f"modules: {modules}\n").load().partners
    assert partner.modules.get(module) == use
    assert partner.modules[Module.SESSIONS] == PUSH


@pytest.mark.parametrize(
    ("modules", "expected"),
    [
        ("{tokens: push}", "19: tokens are the EMSP's, and that is not us here: write accept or off"),
        ("{cdrs: accept}", "17: cdrs are the CPO's, and that is us here: write push or off"),
        ("{cdrs: {accept: true}}", "17: cdrs are the CPO's"),
        ("{hubclientinfo: push}", "26: hubclientinfo are the HUB's, and that is not us here"),
        ("{cdrs: {serve: store}}", "25: cdrs aren't listed there: remove it"),
        ("{tokens: {delivery: live}}", "30: tokens aren't pushed there by a backend: remove it"),
        ("{commands: {delivery: live}}", "32: commands aren't pushed there by a backend"),
    ],
)
def test_nobody_pushes_what_isnt_theirs(folder: Folder, modules: str, expected: str) -> None:
    """A module against the roles of a link is a mistake, not a setting without effect."""
    assert folder.partner(f"modules: {modules}\n").mistake().startswith(f"partners/acme.yaml:4:{expected}")


@pytest.mark.parametrize(("key", "value"), [("serve", "store"), ("delivery", "live")])
def test_towards_a_backend_there_is_nothing_to_choose(folder: Folder, key: str, value: str) -> None:
    """Lists come from what is stored, and pushes of partners are live."""
    mistake = folder.gateway(backend=f"{BACKEND}  modules: {{tokens: {{{key}: {value}}}}}\n").mistake()
    assert mistake.startswith(f"gateway.yaml:9:{len(key) + 24}: tokens aren't ")


# Endpoints that were agreed elsewhere ---------------------------------------------------------------------------------

ADOPTED = PARTNER.split("registration")[0] + (
    'registration: {start: adopted, versions_url: "https://acme.example/v", token_out: {env: TOKEN_A},'
    " token_in: {env: OTHER}, endpoints: {%s}}\n"
)


@pytest.mark.parametrize(
    ("endpoints", "expected"),
    [
        ('locations: "https://acme.example/l", credentials: "https://acme.example/c"', None),
        ("", None),
        ('loc: "https://acme.example/l"', "134: `loc` is no module: write credentials, locations, tariffs"),
        ('locations: "http://acme.example/l"', "134: plain http: write https"),
        ("locations: here", "146: `here` is not a URL"),
    ],
)
def test_an_adopted_registration_may_have_endpoints(folder: Folder, endpoints: str, expected: str | None) -> None:
    """By module, each as public as any URL of theirs; without them they are discovered."""
    folder.environ["OTHER"] = "other"
    folder.partner(text=ADOPTED % endpoints)
    if expected is None:
        assert folder.load().partners[0].registration.start is Start.ADOPTED
    else:
        assert folder.mistakes()[0].startswith(f"partners/acme.yaml:3:{expected}")


# Hubs -----------------------------------------------------------------------------------------------------------------

HUB = PARTNER.replace("role: EMSP, country_code: DE, party_id: ACM", "role: HUB, country_code: FR, party_id: HUB")


def hub(folder: Folder, more: str, text: str = HUB) -> Folder:
    """The good hub, with its kind and something more."""
    return folder.partner(f"kind: hub\n{more}\n", name="hub", text=text)


def test_a_hub_holds_every_role_opposite_to_ours(folder: Folder) -> None:
    """Modules follow from our roles, and it tells us who is behind it."""
    (link,) = hub(folder, 'reaches: ["*"]').load().partners
    assert (link.kind, link.reaches, link.prefer) == (Kind.HUB, None, frozenset())
    by_role = dict.fromkeys(OWNED_BY_CPO, PUSH) | dict.fromkeys((*OWNED_BY_EMSP, Module.HUB_CLIENT_INFO), ACCEPT)
    assert link.modules == by_role
    folder.gateway(text=BOTH, backend=BACKEND_FOR_BOTH)
    both = hub(folder, f'reaches: ["*"]\nour_parties: [{EXA}, {EXM}]', HUB.replace("2.1.1", "2.2.1")).load().partners[0]
    assert {use for module, use in both.modules.items() if module is not Module.HUB_CLIENT_INFO} == {
        ModuleUse(push=True, accept=True)
    }


def test_a_hub_says_whom_it_reaches(folder: Folder) -> None:
    """A list, or whomever it says; some of them may be preferred over their own links."""
    (link,) = hub(folder, "reaches: [DE-ACM, be-bec]\nprefer: DE-ACM").load().partners
    assert link.reaches == {Party("DE", "ACM"), Party("BE", "BEC")}
    assert link.prefer == {Party("DE", "ACM")}
    assert hub(folder, "reaches: [DE-ACM]\nprefer: all").load().partners[0].prefer is None


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", "1:1: a hub needs `reaches`"),
        ("reaches: []", "5:10: the list is empty"),
        ('reaches: ["*", DE-ACM]', "5:10: `*` is everybody: remove the others"),
        ("reaches: [DE-ACM]\nprefer: [all, DE-ACM]", "6:9: `all` is everybody"),
        ("reaches: [DE-ACM]\nprefer: [BE-BEC]", "6:9: BE-BEC isn't among those that it `reaches`"),
        ("reaches: [NL-EXA]", "5:10: NL-EXA is one of us: a hub reaches others"),
        ("reaches: [NL-GWY]", "5:10: NL-GWY is one of us"),
        ("reaches: [somebody]", "5:11: `somebody` is neither `*` nor a party"),
    ],
)
def test_a_mistake_in_a_hub_says_where_and_what_instead(folder: Folder, more: str, expected: str) -> None:
    """Whom it reaches, and whom it is preferred for."""
    assert hub(folder, more).mistake().startswith(f"partners/hub.yaml:{expected}")


def test_only_hubs_reach_others(folder: Folder) -> None:
    """A bilateral file has no such keys, and a hub's has no other party than the hub's."""
    reaching = folder.partner('reaches: ["*"]\nprefer: all\n').mistakes()
    assert [mistake.split(": ")[0] for mistake in reaching] == ["partners/acme.yaml:4:1", "partners/acme.yaml:5:1"]
    folder.partner()
    mistake = hub(folder, 'reaches: ["*"]', HUB.replace("role: HUB", "role: EMSP")).mistake()
    assert mistake.startswith("partners/hub.yaml:2:16: the party of a hub is a HUB")


def test_those_who_are_asked_about_unknown_tokens_have_tokens(folder: Folder) -> None:
    """eMSPs and hubs, in the order of the file."""
    hub(folder, 'reaches: ["*"]').partner()
    assert folder.gateway("authorize: {unknown_tokens: [hub, acme]}\n").load().unknown_tokens == ("hub", "acme")
    folder.partner("modules: {tokens: off}\n")
    assert folder.mistake().startswith("gateway.yaml:9:29: `acme` has no tokens for us")


# Two files for one party ----------------------------------------------------------------------------------------------

FROM = "from: 2030-01-31T00:00:00Z\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("stage: draft\n", ""),
        ("stage: test\n", ""),
        ("stage: test\n", "stage: pilot\n"),
        ("stage: draft\n", "stage: draft\n"),
        ("", f"replaces: acme\n{FROM}"),
        (f"replaces: zeta\n{FROM}", ""),
    ],
)
def test_stage_and_replaces_tell_two_files_apart(folder: Folder, one: str, other: str) -> None:
    """A draft, a test beside what is in use, and a link that takes over from another."""
    folder.partner(one).partner(other, name="zeta")
    assert [link.id for link in folder.load().partners] == ["acme", "zeta"]


@pytest.mark.parametrize(
    ("one", "other"), [("stage: test\n", "stage: test\n"), ("stage: pilot\n", ""), ("", "stage: suspended\n")]
)
def test_other_stages_dont_tell_two_files_apart(folder: Folder, one: str, other: str) -> None:
    """Both would get what the party is owed."""
    mistake = folder.partner(one).partner(other, name="zeta").mistake()
    assert mistake.startswith("partners/zeta.yaml:2:9: NL-EXA as CPO has a link to DE-ACM already: keep one, or tell")


def test_a_link_takes_over_at_a_time(folder: Folder) -> None:
    """Both are there until everything that began before has ended."""
    folder.partner().partner(f"replaces: acme\n{FROM}", name="zeta")
    link = folder.load().partners[1]
    assert (link.replaces, link.since) == ("acme", datetime(2030, 1, 31, tzinfo=UTC))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("replaces: acme\n", "4:11: `from` is missing: the time at which this link takes over"),
        (FROM, "4:7: `from` says when `replaces` begins"),
        (f"replaces: nobody\n{FROM}", "4:11: there is no other link `nobody`"),
        (f"replaces: acm\n{FROM}", "4:11: there is no other link `acm`; did you mean `acme`?"),
        (f"replaces: zeta\n{FROM}", "4:11: there is no other link `zeta`"),
        (f"replaces: backend\n{FROM}", "4:11: it replaces a link of another kind"),
        (f"replaces: other\n{FROM}", "4:11: the two have no party in common"),
    ],
)
def test_a_move_needs_a_link_to_move_from(folder: Folder, more: str, expected: str) -> None:
    """One that exists, of the same kind, with the same party; and when."""
    folder.partner("stage: draft\n")
    folder.partner(name="other", text=PARTNER.replace("ACM", "OTH"))
    assert folder.partner(more, name="zeta").mistake().startswith(f"partners/zeta.yaml:{expected}")


def test_moves_dont_meet(folder: Folder) -> None:
    """A link is replaced by one, and one that takes over isn't replaced itself."""
    folder.partner("stage: draft\n").partner(f"replaces: acme\nstage: draft\n{FROM}", name="beta")
    folder.partner(f"replaces: acme\n{FROM}", name="zeta")
    assert "zeta.yaml:4:11: two links can't both replace `acme`" in folder.mistake()
    folder.partner(f"replaces: beta\n{FROM}", name="zeta")
    assert "zeta.yaml:4:11: `beta` takes over from another itself" in folder.mistake()


def test_a_backend_may_take_over_from_another(folder: Folder) -> None:
    """Then both hold the same parties."""
    text = BACKEND.split("\n", 1)[1].replace("env: IN", "env: TOKEN_A") + f"  replaces: backend\n  {FROM}"
    folder.write("backends/zeta.yaml", text)
    assert [link.replaces for link in folder.load().backends] == [None, "backend"]


# What a partner may see -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("{STD: X, FAST: x}", "`STD` and `FAST` would both be `x`"),
        (f"{{STD: {'x' * 37}}}", f"`{'x' * 37}` can't be the id of a tariff"),
    ],
)
def test_two_tariffs_have_two_ids(folder: Folder, names: str, expected: str) -> None:
    """A tariff is shown under an id that no other has, and that is one."""
    mistake = folder.partner(f"share: {{tariffs: {{map: {names}}}}}\n").mistake()
    assert mistake.startswith(f"partners/acme.yaml:4:24: {expected}")


def test_parties_of_several_backends_dont_share_a_link_without_headers(folder: Folder) -> None:
    """2.1.1 doesn't say whom a message is for; on 2.2.1 they may."""
    folder.gateway(text=BOTH.replace("EMSP", "CPO")).environ["IN2"] = "other"
    folder.write("backends/zeta.yaml", BACKEND.split("\n", 1)[1].replace("EXA", "EXM").replace("env: IN", "env: IN2"))
    ours = f"our_parties: [{EXA}, {EXA.replace('EXA', 'EXM')}]\n"
    mistake = folder.partner(ours).mistake()
    assert mistake.startswith("partners/acme.yaml:4:14: parties of several backends (backend, zeta) can't share a link")
    assert len(folder.partner(ours, text=PARTNER.replace("2.1.1", "2.2.1")).load().partners[0].ours) == 2


# Profiles ------------------------------------------------------------------------------------------------------------


def test_the_profile_follows_the_version(folder: Folder) -> None:
    """Without `profile` a link has generic-VERSION of the version in use: only 2.1.1 is written in ASCII."""
    (partner,) = folder.partner(text=PARTNER.replace('"2.1.1"', "[2.2.1, 2.1.1]")).load().partners
    assert {version: policy.json_ascii_only for version, policy in partner.policies.items()} == {
        "2.2.1": False,
        "2.1.1": True,
    }
    assert partner.policy == partner.policies["2.2.1"]


def test_profiles_are_layered(folder: Folder) -> None:
    """Defaults, then what a profile extends, then the profile, then the file's own quirks."""
    folder.write(
        "profiles/base.yaml",
        "about: base\nquirks: {cdrs.credit: negative, tariffs.inexpressible: convert, json.unknown_fields: drop}\n",
    )
    folder.write(
        "profiles/top.yaml", "about: top\nextends: base\nevidence: [guide 1.2]\nquirks: {cdrs.credit: refuse}\n"
    )
    policy = folder.partner("profile: top\nquirks: {json.unknown_fields: keep}\n").load().partners[0].policy
    assert (policy.cdrs_credit, policy.tariffs_inexpressible, policy.json_unknown_fields) == (
        "refuse",
        "convert",
        "keep",
    )
    assert not policy.json_ascii_only


def test_a_profile_of_ours_replaces_a_shipped_one(folder: Folder) -> None:
    """The name decides; the shipped file isn't touched."""
    folder.write("profiles/generic-2.1.1.yaml", "about: ours\nquirks: {cdrs.credit: negative}\n")
    policy = folder.partner().load().partners[0].policy
    assert (policy.cdrs_credit, policy.json_ascii_only) == ("negative", False)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "partners/acme.yaml:4:10: there is no profile `mine`"),
        (
            {"mine": "extends: generic-2.1.2\nabout: x\n"},
            "profiles/mine.yaml:1:10: there is no profile `generic-2.1.2`; did you",
        ),
        ({"mine": "extends: mine\nabout: x\n"}, "profiles/mine.yaml:1:10: the profile `mine` extends itself"),
        ({"mine": "about: x\nquirks: {a.b: 1}\n"}, "profiles/mine.yaml:2:10: unknown key `a.b`"),
        ({"mine": "about: x\nquirks: {ids.case: fold}\n"}, "profiles/mine.yaml:2:10: `ids.case` is known"),
        ({"mine": "quirks: {}\n"}, "profiles/mine.yaml:1:1: `about` is missing"),
        ({"mine": "about: [\n"}, "profiles/mine.yaml:2:1: not readable as YAML"),
    ],
)
def test_a_mistake_in_a_profile_is_said_once_at_its_place(folder: Folder, files: dict[str, str], expected: str) -> None:
    """Unknown names, circles and wrong switches are mistakes of the profile, not of each file that uses it."""
    for name, text in files.items():
        folder.write(f"profiles/{name}.yaml", text)
    folder.partner("profile: mine\n")
    assert folder.mistake().startswith(expected)


def test_a_profile_that_nobody_uses_is_checked_too(folder: Folder) -> None:
    """What is wrong is said before somebody needs it."""
    folder.write("profiles/mine.yaml", "about: x\nextends: nobody\n")
    assert folder.mistake().startswith("profiles/mine.yaml:2:10: there is no profile `nobody`")
