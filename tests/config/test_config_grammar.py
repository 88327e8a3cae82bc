"""The keys of the files, one by one: types, defaults, and mistakes with their places."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from config_folder import BACKEND, GATEWAY, PARTNER, Folder

from gateway.model.modules import Module
from gateway.model.party import Party, Role
from gateway.model.share import Locations, Pilot, Share, Tariffs
from gateway.settings import Address, CountryCode, Delivery, Kind, OnTimeout, Serve, Stage, Start


def test_the_smallest_configuration_has_the_documented_defaults(folder: Folder) -> None:
    """public_url, hub, parties and a backend are enough; no partner at all is fine."""
    settings = folder.load()
    assert settings.listen == Address("0.0.0.0", 8080)
    assert settings.admin.listen == Address("127.0.0.1", 9090)
    assert settings.redis.url is None
    assert settings.redis.prefix == "og"
    assert settings.hub == Party("NL", "GWY")
    assert settings.partners == ()
    (backend,) = settings.backends
    assert (backend.id, backend.kind, backend.is_backend) == ("backend", Kind.BACKEND, True)
    assert settings.warnings == ()


def test_a_partner_has_the_documented_defaults(folder: Folder) -> None:
    """bilateral, live, mirror, by role, two seconds for an authorization, https only, the stem as name."""
    (partner,) = folder.partner().load().partners
    assert (partner.id, partner.name, partner.kind, partner.stage) == ("acme", "acme", Kind.BILATERAL, Stage.LIVE)
    assert partner.country_code is CountryCode.MIRROR
    assert partner.authorize.timeout == timedelta(seconds=2)
    assert partner.authorize.on_timeout is OnTimeout.CACHED
    assert partner.limits.in_flight == 4
    assert not partner.allow_private
    assert partner.our_url is None
    assert partner.registration.start is Start.US
    assert partner.commands.timeout == timedelta(seconds=30)
    assert partner.limits.page == 1000
    assert partner.share == Share()
    assert {(use.serve, use.delivery) for use in partner.modules.values()} == {(Serve.OWNER, Delivery.LEDGER)}


def test_every_key_of_gateway_yaml_is_read(folder: Folder) -> None:
    """What the example of the documentation says arrives, typed."""
    folder.environ |= {"ADMIN": "admin-token"}
    text = GATEWAY.replace(
        "name: Example Charging",
        'name: Example Charging, website: "https://example.com", logo: {url: "https://example.com/l.png", type: png}',
    ).replace("GWY}", "GWY, name: Roaming}")
    more = """\
    listen: "[::]:8443"
    admin: {listen: 0.0.0.0:9000, token: {env: ADMIN}}
    redis: {url: redis://redis:6379/0, prefix: staging}
    authorize: {unknown_tokens: [acme]}
    aliases: {/old/cpo/2.1.1/: /ocpi/2.1.1/cpo, /old/versions: /ocpi/versions, /ocpi/cpo: /ocpi/2.2.1}
    """
    settings = folder.gateway(more, text=text).partner().load()
    assert settings.unknown_tokens == ("acme",)
    assert settings.aliases == {
        "/old/cpo/2.1.1": "/ocpi/2.1.1/cpo",
        "/old/versions": "/ocpi/versions",
        "/ocpi/cpo": "/ocpi/2.2.1",
    }
    assert settings.listen == Address("::", 8443)
    assert str(settings.listen) == "[::]:8443"
    assert settings.admin.token is not None
    assert settings.admin.token.value == "admin-token"
    assert settings.redis.url is not None
    assert settings.redis.url.value == "redis://redis:6379/0"
    assert settings.redis.prefix == "staging"
    assert settings.parties[0].business == {
        "name": "Example Charging",
        "website": "https://example.com",
        "logo": {"url": "https://example.com/l.png", "category": "OPERATOR", "type": "png"},
    }
    assert settings.backends[0].ours[0].business == {"name": "Roaming"}


def test_every_key_of_a_partner_is_read(folder: Folder) -> None:
    """What the example of the documentation says arrives, typed."""
    more = """\
    name: Acme Mobility
    kind: bilateral
    profile: generic-2.1.1
    our_party: {role: CPO, country_code: NL, party_id: EXA}
    modules: {locations: push, tariffs: off, sessions: {push: true}, tokens: accept}
    country_code: alpha-3
    authorize: {mode: realtime, timeout: 1500ms}
    commands: {timeout: 45s}
    limits: {in_flight: 9, page: 500}
    share:
      locations: {only: [LOC1, "NL*EXA"], except: [LOC2]}
      tariffs: {only: [STD], map: {STD: ACM-STD}}
    allow_private: true
    our_url: https://other.example.com
    quirks: {push.patch_as_put: [sessions, tokens], json.ascii_only: false}
    stage: pilot
    pilot: {locations: [LOC1], tokens: [04AA]}
    """
    (partner,) = folder.partner(more).load().partners
    assert partner.name == "Acme Mobility"
    assert partner.country_code == "alpha-3"
    assert partner.authorize.timeout == timedelta(milliseconds=1500)
    assert partner.limits.in_flight == 9
    assert partner.limits.page == 500
    assert partner.commands.timeout == timedelta(seconds=45)
    assert partner.share.locations == Locations(only=("LOC1", "NL*EXA"), besides=("LOC2",))
    assert partner.share.tariffs == Tariffs(only=["STD"], names={"STD": "ACM-STD"})
    assert (partner.stage, partner.pilot) == (Stage.PILOT, Pilot(locations=["LOC1"], tokens=["04AA"]))
    assert partner.allow_private
    assert partner.our_url == "https://other.example.com"
    assert partner.policy.push_patch_as_put == ("sessions", "tokens")
    assert not partner.policy.json_ascii_only
    assert Module.TARIFFS not in partner.modules


def test_norway_is_a_country(folder: Folder) -> None:
    """`NO` without quotes is the country, not false."""
    (partner,) = folder.partner(text=PARTNER.replace("DE", "NO")).load().partners
    assert partner.theirs[0].party == Party("NO", "ACM")


@pytest.mark.parametrize(("written", "read"), [("EST", "EE"), ("est", "EE"), ("ESP", "ES"), ("nl", "NL"), ("XX", "XX")])
def test_countries_are_alpha_2_inside(folder: Folder, written: str, read: str) -> None:
    """alpha-3 is looked up, never cut: Estonia is not Spain."""
    (partner,) = folder.partner(text=PARTNER.replace("DE", written)).load().partners
    assert partner.theirs[0].party.country_code == read


@pytest.mark.parametrize("party_id", ["1E5", "123", "012", "abc"])
def test_a_party_id_is_text(folder: Folder, party_id: str) -> None:
    """What looks like a number stays what was written."""
    (partner,) = folder.partner(text=PARTNER.replace("ACM", party_id)).load().partners
    assert partner.theirs[0].party.party_id == party_id.upper()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("tokens_in: 1\n", "acme.yaml:4:1: unknown key `tokens_in`"),
        ("cuontry_code: mirror\n", "acme.yaml:4:1: unknown key `cuontry_code`; did you mean `country_code`?"),
        (
            "country_code: alpha3\n",
            "acme.yaml:4:15: `alpha3` isn't one of mirror, alpha-2, alpha-3; did you mean `alpha-3`",
        ),
        ("country_code:\n", "acme.yaml:4:14: no value"),
        ("country_code: [mirror]\n", "acme.yaml:4:15: one value goes here (mirror, alpha-2, alpha-3)"),
        ("allow_private: yes\n", "acme.yaml:4:16: `yes` is not true or false"),
        ("limits: {in_flight: many}\n", "acme.yaml:4:21: `many` is not a whole number"),
        ("limits: {in_flight: 0}\n", "acme.yaml:4:21: write more than 0"),
        ("limits: 4\n", "acme.yaml:4:9: a table goes here, with any of the keys in_flight"),
        ("limits: {inflight: 4}\n", "acme.yaml:4:10: unknown key `inflight`; did you mean `in_flight`?"),
        ("authorize: {timeout: 2}\n", "acme.yaml:4:22: `2` is not a duration: write number and unit, such as 250ms"),
        ("authorize: {timeout: 2 s}\n", "acme.yaml:4:22: `2 s` is not a duration"),
        ("authorize: {timeout: 0s}\n", "acme.yaml:4:22: write more than 0"),
        ("authorize: {timeout: 99999d}\n", "acme.yaml:4:22: `99999d` is more than ten years"),
        ("authorize: {mode: maybe}\n", "acme.yaml:4:19: `maybe` isn't one of realtime, cache_first"),
        ("modules: {locations: pull}\n", "acme.yaml:4:22: `pull` isn't one of push, accept, off, a table"),
        ("modules: {location: push}\n", "acme.yaml:4:11: unknown key `location`; did you mean `locations`?"),
        ("modules: {locations: {push: 1}}\n", "acme.yaml:4:29: `1` is not true or false"),
        ("our_url: roaming.example.com\n", "acme.yaml:4:10: `roaming.example.com` is not a URL"),
        ("our_url: ftp://x.example\n", "acme.yaml:4:10: `ftp://x.example` is not a URL"),
        ("our_url: https://u:pw@x.example\n", "acme.yaml:4:10: a URL with a user or password"),
        ("our_url: https://x.example/?a=b\n", "acme.yaml:4:10: `https://x.example/?a=b` has a query"),
        ("our_url: https://x.example:99999\n", "acme.yaml:4:10: `https://x.example:99999` is not a URL"),
        ("name: {a: b}\n", "acme.yaml:4:7: one value goes here"),
        ("quirks: [a]\n", "acme.yaml:4:9: a table of keys goes here"),
        ("our_parties: {a: b}\n", "acme.yaml:4:14: a list goes here"),
        ("stage: beta\n", "acme.yaml:4:8: `beta` isn't one of draft, test, pilot, live, suspended"),
        ("limits: {page: 0}\n", "acme.yaml:4:16: write more than 0"),
        ("commands: {timeout: 0s}\n", "acme.yaml:4:21: write more than 0"),
        ("modules: {locations: {serve: both}}\n", "acme.yaml:4:30: `both` isn't one of store, owner"),
        ("share: {locations: {only: LOC1}}\n", "acme.yaml:4:27: a list goes here"),
        ("share: {tariffs: {map: [STD]}}\n", "acme.yaml:4:24: a table goes here"),
        ("from: tomorrow\n", "acme.yaml:4:7: `tomorrow` is not a time"),
        ("kind: backend\n", "acme.yaml:4:7: `backend` isn't one of bilateral, hub, prices"),
    ],
)
def test_a_mistake_in_a_partner_says_where_and_what_instead(folder: Folder, more: str, expected: str) -> None:
    """One line is wrong: one mistake, at its exact place, with what to write."""
    mistake = folder.partner(more).mistake()
    assert mistake.startswith(f"partners/{expected}")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("https://roaming", "roaming", "gateway.yaml:1:13: `roaming.example.com` is not a URL"),
        (
            "public_url: https://roaming.example.com\n",
            "",
            "gateway.yaml:1:1: `public_url` is missing: what partners see",
        ),
        ("hub: {country_code: NL, party_id: GWY}\n", "", "gateway.yaml:1:1: `hub` is missing"),
        ("GWY", "GATE", "gateway.yaml:2:35: `GATE` is not a party id"),
        ("hub: {country_code: NL", "hub: {country_code: NLX", "gateway.yaml:2:21: `NLX` is not a country code"),
        (", name: Example Charging", "", "gateway.yaml:4:5: `name` is missing: the name of the business"),
        ("name: Example Charging", f"name: {'x' * 101}", "gateway.yaml:4:56: 101 characters: OCPI has room for 100"),
        ("role: CPO, name", "role: HUB, name", "gateway.yaml:4:45: our own hub party stands under `hub`"),
        ("role: CPO, name", "role: cpo, name", "gateway.yaml:4:45: `cpo` isn't one of CPO, EMSP"),
    ],
)
def test_a_mistake_in_gateway_yaml_says_where_and_what_instead(
    folder: Folder, old: str, new: str, expected: str
) -> None:
    """One piece is wrong or missing: its place, and what to write."""
    assert folder.gateway(text=GATEWAY.replace(old, new)).mistakes()[0].startswith(expected)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("listen: 8080\n", "gateway.yaml:9:9: `8080` is not an address: write host:port"),
        ("listen: 0.0.0.0:70000\n", "gateway.yaml:9:9: `0.0.0.0:70000` is not an address"),
        ("listen: 127.0.0.1:9090\n", "gateway.yaml:1:1: the same address as `listen`"),
        ("admin: {listen: 0.0.0.0:9090}\n", "gateway.yaml:9:17: off loopback the admin listener needs `token`"),
        ("redis: {url: http://redis}\n", "gateway.yaml:9:14: not the URL of a Redis: write redis://"),
        ("redis: {url: redis://redis:port}\n", "gateway.yaml:9:14: not the URL of a Redis"),
        ("redis: {durability: replica}\n", "gateway.yaml:9:21: our own redis-server has no replica: write `url`"),
        (
            "redis: {url: unix:///one.sock, cache_url: unix:///one.sock}\n",
            "gateway.yaml:9:43: the same as `url`: name another Redis",
        ),
        ("redis: {prefix: 'a:b'}\n", "gateway.yaml:9:17: `a:b` is not a prefix"),
        ("redis: {url: redis+sentinel://one,two}\n", "gateway.yaml:9:14: not the URL of a Redis"),
        ("aliases: [/old]\n", "gateway.yaml:9:10: a table goes here"),
        ("aliases: {old: /ocpi}\n", "gateway.yaml:9:10: `old` is not a path: write /one/two, without a query"),
        ("aliases: {/a/../b: /ocpi}\n", "gateway.yaml:9:10: `/a/../b` is not a path"),
        ("aliases: {/old: /ocpi?a=b}\n", "gateway.yaml:9:10: `/ocpi?a=b` is no path of ours"),
        ("aliases: {/old: /else}\n", "gateway.yaml:9:10: `/else` is no path of ours: write one below /ocpi"),
        ("aliases: {/ocpi/2.1.1/cpo: /ocpi/2.1.1/emsp}\n", "gateway.yaml:9:10: `/ocpi/2.1.1/cpo` is a path of ours"),
        ("authorize: {unknown_tokens: [nobody]}\n", "gateway.yaml:9:29: there is no link `nobody`"),
        ("authorize: {unknown_tokens: [backend]}\n", "gateway.yaml:9:29: `backend` has no tokens for us"),
        ("time_zone: Europe/Atlantis\n", "gateway.yaml:9:12: `Europe/Atlantis` is not a time zone"),
    ],
)
def test_a_key_too_many_in_gateway_yaml(folder: Folder, more: str, expected: str) -> None:
    """Addresses, Redis, aliases, and keys that nothing acts on yet."""
    assert folder.gateway(more).mistakes()[0].startswith(expected)


@pytest.mark.parametrize("missing", ["version", "roles", "registration"])
def test_what_a_partner_and_a_backend_need(folder: Folder, missing: str) -> None:
    """version, roles and registration are required of both, in their files and in the short form."""
    text = "".join(line for line in PARTNER.splitlines(True) if not line.startswith(missing))
    backend = "".join(line for line in BACKEND.splitlines(True) if not line.startswith(f"  {missing}"))
    found = folder.partner(text=text).gateway(backend=backend).mistakes()
    assert f"gateway.yaml:6:3: `{missing}` is missing" in found[0]
    assert f"partners/acme.yaml:1:1: `{missing}` is missing" in found[-1]


def test_one_backend_is_needed(folder: Folder) -> None:
    """Without `backend` and without a file in backends/ there is nobody to work for."""
    assert folder.gateway(backend="").mistake().startswith("gateway.yaml:1:1: `backend` is missing")
    folder.write("backends/core.yaml", BACKEND.split("\n", 1)[1])
    assert [link.id for link in folder.load().links] == ["core"]


def test_a_version_is_one_that_exists(folder: Folder) -> None:
    """The versions are those that there are adapters for."""
    found = folder.partner(text=PARTNER.replace('"2.1.1"', "2.3.0")).mistake()
    assert found.startswith("partners/acme.yaml:1:10: `2.3.0` isn't one of 2.1.1, 2.2.1")


def test_a_version_may_be_a_list_best_first(folder: Folder) -> None:
    """All are offered, in the order of the file; a version twice, or none, is a mistake."""
    folder.partner(text=PARTNER.replace('"2.1.1"', "[2.2.1, 2.1.1]"))
    assert folder.load().partners[0].versions == ("2.2.1", "2.1.1")
    folder.partner(text=PARTNER.replace('"2.1.1"', "[2.2.1, 2.2.1]"))
    assert "acme.yaml:1:18: the same item twice" in folder.mistake()
    folder.partner(text=PARTNER.replace('"2.1.1"', "[]"))
    assert "acme.yaml:1:10: the list is empty" in folder.mistake()


def test_all_mistakes_come_at_once_in_the_order_of_files_and_lines(folder: Folder) -> None:
    """Every file is read to its end, whatever is wrong in it or in another one; the order is that of reading."""
    folder.gateway("listen: nowhere\nlisten: again\nbogus: 1\n")
    folder.partner("proxy: ftp\ncountry_code: x\ntls: {tariff: 1}\n")
    folder.partner(name="broken", text="a: [\n")
    folder.partner(name="other", text=PARTNER.replace("EMSP", "CPO"))
    assert [mistake.split(": ")[0] for mistake in folder.mistakes()] == [
        "gateway.yaml:9:9",
        "gateway.yaml:10:1",
        "gateway.yaml:11:1",
        "partners/acme.yaml:4:1",
        "partners/acme.yaml:4:8",
        "partners/acme.yaml:5:15",
        "partners/acme.yaml:6:1",
        "partners/acme.yaml:6:7",
        "partners/broken.yaml:2:1",
        "partners/other.yaml:2:8",
    ]


@pytest.mark.parametrize(
    "more",
    [
        "limits: {requests_per_second: 20}",
        "limits: {inbound: 20}",
        "tls: {ca: /etc/ca.pem}",
        "proxy: http://proxy:3128",
        "allow_from: [192.0.2.0/24]",
        "quirks: {tokens.owner_from: contract_prefix}",
        "quirks: {enums.aliases: {ConnectorType: {Type2: IEC_62196_T2}}}",
    ],
)
def test_what_is_known_and_not_acted_on_is_a_mistake_that_says_so(folder: Folder, more: str) -> None:
    """The whole grammar is typed: a key of later versions is recognised, and nothing is silently ignored."""
    mistake = folder.partner(more + "\n").mistake()
    assert mistake.startswith("partners/acme.yaml:4:")
    assert "act" in mistake
    assert "yet" in mistake


@pytest.mark.parametrize(
    ("quirks", "expected"),
    [
        (
            "{tariffs.inexpresible: convert}",
            "10: unknown key `tariffs.inexpresible`; did you mean `tariffs.inexpressible`?",
        ),
        ("{tariffs.inexpressible: guess}", "33: `guess` isn't one of withhold, convert"),
        ("{tariffs: {inexpressible: convert}}", "10: unknown key `tariffs`"),
        ("{tariffs.audience: wholesale}", "28: a list goes here"),
        ("{tariffs.audience: [retail]}", "29: `retail` isn't one of wholesale, adhoc, msp_retail, cpo_subscription"),
        ("{locations.derate_dc: no}", "31: `no` is not true or false"),
        ("{locations.default_time_zone: Europe/Atlantis}", "39: `Europe/Atlantis` is not a time zone"),
        ("{push.patch_as_put: [cdrs]}", "30: `cdrs` isn't one of locations, tariffs, sessions, tokens"),
        ("{auth.accept_encodings: []}", "33: the list is empty"),
        ("{auth.token_encoding: hex}", "31: `hex` isn't one of auto, base64, raw"),
    ],
)
def test_a_switch_is_checked_like_any_key(folder: Folder, quirks: str, expected: str) -> None:
    """Switches have dotted names and types of their own; a wrong one is a mistake at its place."""
    assert folder.partner(f"quirks: {quirks}\n").mistake().startswith(f"partners/acme.yaml:4:{expected}")


@pytest.mark.parametrize(
    ("quirks", "attribute", "value"),
    [
        ("{auth.token_encoding: base64}", "auth_token_encoding", "base64"),
        ("{auth.accept_encodings: [raw]}", "auth_accept_encodings", ("raw",)),
        ("{push.patch_as_put: [sessions]}", "push_patch_as_put", ("sessions",)),
        ("{json.ascii_only: false}", "json_ascii_only", False),
        ("{json.unknown_fields: drop}", "json_unknown_fields", "drop"),
        ("{locations.default_time_zone: Europe/Oslo}", "locations_default_time_zone", "Europe/Oslo"),
        ("{tariffs.audience: [adhoc, wholesale]}", "tariffs_audience", ("adhoc", "wholesale")),
        ("{cdrs.credit: negative}", "cdrs_credit", "negative"),
    ],
)
def test_a_switch_reaches_the_policy(folder: Folder, quirks: str, attribute: str, value: Any) -> None:
    """A quirk of a file is an attribute of the link's policy."""
    (partner,) = folder.partner(f"quirks: {quirks}\n").load().partners
    assert getattr(partner.policy, attribute) == value


def test_variables_are_filled_in_after_the_yaml_was_read(folder: Folder) -> None:
    """${NAME} and ${NAME:-default} work in any value, can't add keys, and $${ is the characters themselves."""
    folder.environ |= {"HOST": "roaming.example.org", "NASTY": "x\nbogus: 1", "EMPTY": ""}
    text = GATEWAY.replace("roaming.example.com", "${HOST}${PATH_PREFIX:-/eu}").replace(
        "Example Charging", "'Example $${x} ${EMPTY:-y}'"
    )
    settings = folder.gateway("listen: 0.0.0.0:${PORT:-8081}\n", text=text).load()
    assert settings.public_url == "https://roaming.example.org/eu"
    assert settings.listen.port == 8081
    assert settings.parties[0].business["name"] == "Example ${x} y"
    assert "has control characters" in folder.partner("profile: ${NASTY}\n").mistake()


@pytest.mark.parametrize("written", ["${NOWHERE}", "${EMPTY}", "${}", "${1X}", "${x y}", "${open"])
def test_a_variable_that_is_not_set_is_a_mistake(folder: Folder, written: str) -> None:
    """Unset or empty without a default, or no variable at all: said at the place of the reference."""
    folder.environ["EMPTY"] = ""
    assert folder.partner(f"name: 'a{written}'\n").mistake().startswith("partners/acme.yaml:4:7: ")


def test_plain_http_of_ours_is_a_warning_off_loopback(folder: Folder) -> None:
    """An http public_url is fine on loopback; elsewhere, and as our_url, it is warned about."""
    for url in ("http://127.0.0.1:8080", "http://localhost", "http://[::1]:1"):
        assert folder.gateway(text=GATEWAY.replace("https://roaming.example.com", url)).load().warnings == ()
    folder.gateway(text=GATEWAY.replace("https:", "http:")).partner("our_url: http://x.example\n")
    warnings = [str(warning).removeprefix(f"{folder.path}/") for warning in folder.load().warnings]
    assert [warning.split(": ")[0] for warning in warnings] == ["gateway.yaml:1:13", "partners/acme.yaml:4:10"]


def test_a_slash_at_the_end_of_the_public_url_makes_no_difference(folder: Folder) -> None:
    """URLs are joined with one slash."""
    settings = folder.gateway(text=GATEWAY.replace("example.com\n", "example.com/\n")).load()
    assert settings.public_url == "https://roaming.example.com"


def test_roles_are_those_of_the_specification(folder: Folder) -> None:
    """NSP, NAP, SCSP and OTHER face a CPO as an eMSP does."""
    for role in ("NSP", "NAP", "SCSP", "OTHER"):
        (partner,) = folder.partner(text=PARTNER.replace("EMSP", role)).load().partners
        assert partner.theirs[0].role is Role(role)
        assert partner.modules[Module.LOCATIONS].push


def test_a_redis_that_may_be_weaker_is_a_warning(folder: Folder) -> None:
    """Whoever lets a weaker one pass reads what that means, each time."""
    (warning,) = folder.gateway("redis: {on_weaker: warn}\n").load().warnings
    assert "may be lost in a crash" in warning.text
