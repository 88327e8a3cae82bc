"""What takes two keys or two files: who faces whom, who claims what, which tokens a registration needs."""

from __future__ import annotations

import pytest
from config_folder import BACKEND, GATEWAY, PARTNER, Folder

from gateway.model.dialect import Seat
from gateway.model.modules import Module
from gateway.model.party import Party, Role
from gateway.settings import ModuleUse

SECOND_PARTY = "  - {country_code: NL, party_id: EXM, role: EMSP, name: Example Mobility}\n"
BOTH = GATEWAY + SECOND_PARTY
BACKEND_FOR_BOTH = BACKEND.replace("party_id: EXA}]", "party_id: EXA}, {role: EMSP, country_code: NL, party_id: EXM}]")
EXA = "{role: CPO, country_code: NL, party_id: EXA}"
EXM = "{role: EMSP, country_code: NL, party_id: EXM}"

PUSH = ModuleUse(push=True, accept=False)
ACCEPT = ModuleUse(push=False, accept=True)
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
    ],
)
def test_a_registration_needs_the_tokens_of_its_start(folder: Folder, registration: str, needed: list[str]) -> None:
    """us: their URL and token A; them: the token A we gave; none: all three."""
    found = folder.partner(text=PARTNER.split("registration")[0] + f"registration: {registration}\n").mistakes()
    assert all(mistake.startswith("partners/acme.yaml:3:15: `start: ") for mistake in found)
    assert [mistake.split("needs `")[1].split("`")[0] for mistake in found] == sorted(needed)


@pytest.mark.parametrize(
    ("registration", "expected"),
    [
        ("{token_in: {env: TOKEN_A}}", "15: `start` is missing"),
        (
            "{start: adopted, token_in: {env: TOKEN_A}}",
            "23: `adopted` is known, but not acted on yet: write us, them, none",
        ),
        ("{start: them, token_in: {env: TOKEN_A}, requires: [token]}", "66: `token` isn't one of locations, tariffs"),
        (
            "{start: them, token_in: {env: TOKEN_A}, requires: [credentials]}",
            "66: `credentials` isn't one of locations",
        ),
        ("{start: them, token_in: {env: TOKEN_A}, endpoints: {}}", "55: `endpoints` is known"),
    ],
)
def test_a_registration_is_checked_by_key(folder: Folder, registration: str, expected: str) -> None:
    """start, required modules, and what only a later version acts on."""
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
    assert settings.partners[0].modules == dict.fromkeys(OWNED_BY_CPO, PUSH) | {Module.TOKENS: ACCEPT}
    assert settings.backends[0].modules == dict.fromkeys(OWNED_BY_CPO, ACCEPT) | {Module.TOKENS: PUSH}


@pytest.mark.parametrize(
    ("modules", "module", "use"),
    [
        ("{locations: off}", Module.LOCATIONS, None),
        ("{locations: {push: false}}", Module.LOCATIONS, None),
        ("{locations: {}}", Module.LOCATIONS, PUSH),
        ("{locations: {accept: false}}", Module.LOCATIONS, PUSH),
        ("{tokens: accept}", Module.TOKENS, ACCEPT),
        ("{tokens: off}", Module.TOKENS, None),
    ],
)
def test_modules_by_the_file(folder: Folder, modules: str, module: Module, use: ModuleUse | None) -> None:
    """A word says all about a module; what a table leaves out keeps its default by role."""
    (partner,) = folder.partner(f"modules: {modules}\n").load().partners
    assert partner.modules.get(module) == use
    assert partner.modules[Module.CDRS] == PUSH


@pytest.mark.parametrize(
    ("modules", "expected"),
    [
        ("{tokens: push}", "19: tokens are the EMSP's, and that is not us here: write accept or off"),
        ("{cdrs: accept}", "17: cdrs are the CPO's, and that is us here: write push or off"),
        ("{cdrs: {accept: true}}", "17: cdrs are the CPO's"),
    ],
)
def test_nobody_pushes_what_isnt_theirs(folder: Folder, modules: str, expected: str) -> None:
    """A module against the roles of a link is a mistake, not a setting without effect."""
    assert folder.partner(f"modules: {modules}\n").mistake().startswith(f"partners/acme.yaml:4:{expected}")


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
        ({"mine": "about: x\nquirks: {pull.limit: 1}\n"}, "profiles/mine.yaml:2:10: `pull.limit` is known"),
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
