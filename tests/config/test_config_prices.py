"""Files of ``kind: prices``: a feed that we read, or a consumer whom we serve."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, time, timedelta

import pytest
from attrs import evolve
from config_folder import PARTNER, Folder

from gateway.model.party import Party
from gateway.model.prices import Audience
from gateway.model.window import DAYS, Window, days_of
from gateway.settings import ConsumerSettings, FeedSettings
from gateway.settings.compare import compare, taken_over
from gateway.settings.files import Shape

FEED = """\
kind: prices
feed:
  shape: new
  version: "2.1.1"
  locations_url: https://api.feed.example/locations
  prices_url: https://api.feed.example/prices
  connector_prices_url: https://api.feed.example/prices/connector_prices
  token: {env: ECO}
"""
OLD = FEED.replace("shape: new", "shape: old").replace(
    "  connector_prices_url: https://api.feed.example/prices/connector_prices\n", ""
)
CONSUMER = """\
kind: prices
consumer:
  token_in: {env: APP}
"""


@pytest.fixture
def folder(folder: Folder) -> Folder:
    """With what the files of this module refer to."""
    folder.environ |= {"ECO": "eco-key", "APP": "app-token", "NEXT": "next-token"}
    return folder


def feed(folder: Folder, text: str = FEED) -> FeedSettings:
    """The feed that a file comes to."""
    (found,) = folder.partner(name="eco", text=text).load().feeds
    return found


def consumer(folder: Folder, text: str = CONSUMER) -> ConsumerSettings:
    """The consumer that a file comes to."""
    (found,) = folder.partner(name="app", text=text).load().consumers
    return found


# What a file comes to -------------------------------------------------------------------------------------------------


def test_a_feed_has_defaults_for_all_but_where_it_is_and_what_opens_it(folder: Folder) -> None:
    """Every day, in the working hours of Europe/Amsterdam, a thousand rows at a time; and it is no link."""
    assert feed(folder) == FeedSettings(
        id="eco",
        name="eco",
        shape=Shape.NEW,
        version="2.1.1",
        locations_url="https://api.feed.example/locations",
        prices_url="https://api.feed.example/prices",
        connector_prices_url="https://api.feed.example/prices/connector_prices",
        token="eco-key",
        token_in=(),
        scheme="Token",
        every=timedelta(hours=24),
        window=Window(),
        page_limit=1000,
        shrink=0.20,
        dangling=0.02,
        retire_after=timedelta(hours=48),
        owners={},
        allow_private=False,
    )
    settings = folder.load()
    assert ([link.id for link in settings.links], settings.consumers) == (["backend"], ())


def test_everything_of_a_feed_can_be_said(folder: Folder) -> None:
    """The same with each key set to something else."""
    more = """\
      token_in: [{env: APP}, {env: NEXT}]
      scheme: Bearer
      every: 6h
      window: {days: "sat,sun", from: "22:00", to: "04:00", time_zone: UTC}
      page_limit: 10000
      refuse: {shrink: 5%, dangling: 0%}
      retire_after: 7d
    owners: {f1e2-77: de-acm}
    allow_private: true
    name: Eco
    """
    text = OLD.replace('"2.1.1"', '"2.2"').replace("https:", "http:") + "".join(
        line.removeprefix("    ") + "\n" for line in more.splitlines() if line.strip()
    )
    assert feed(folder, text) == FeedSettings(
        id="eco",
        name="Eco",
        shape=Shape.OLD,
        version="2.2",
        locations_url="http://api.feed.example/locations",
        prices_url="http://api.feed.example/prices",
        connector_prices_url=None,
        token="eco-key",
        token_in=("app-token", "next-token"),
        scheme="Bearer",
        every=timedelta(hours=6),
        window=Window(days=frozenset({5, 6}), start=time(22), end=time(4), time_zone="UTC"),
        page_limit=10_000,
        shrink=0.05,
        dangling=0.0,
        retire_after=timedelta(days=7),
        owners={"f1e2-77": Party("DE", "ACM")},
        allow_private=True,
    )


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ("always", None),
        ('{days: mon-sun, from: "00:00", to: "00:00"}', None),
        ("{}", Window()),
        ('{from: "08:00"}', Window(start=time(8))),
        ('{to: "12:30"}', Window(end=time(12, 30))),
        ("{days: mon}", Window(days=frozenset({0}))),
        ("{days: fri-mon}", Window(days=frozenset({4, 5, 6, 0}))),
        ("{time_zone: Asia/Tokyo}", Window(time_zone="Asia/Tokyo")),
        ('{from: "18:00", to: "06:00"}', Window(start=time(18), end=time(6))),
    ],
)
def test_what_a_window_leaves_out_is_as_without_one(folder: Folder, window: str, expected: Window | None) -> None:
    """Each key by itself is that of mon-fri 09:00-17:00 Europe/Amsterdam; `always` is no limit."""
    assert feed(folder, f"{FEED}  window: {window}\n").window == expected


def test_every_window_that_can_be_written_opens_some_time(folder: Folder) -> None:
    """There is no way to write one without days."""
    assert folder.partner(name="eco", text=f"{FEED}  window: {{days: ''}}\n").mistake().endswith("or sat,sun")
    for days in ("mon", "sun-sat", "wed,fri-tue"):
        window = feed(folder, f"{FEED}  window: {{days: '{days}'}}\n").window
        assert window is not None
        assert window.opens(datetime(2026, 3, 28, 23, tzinfo=UTC)) < datetime(2026, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("days", ["mon-fri", "mon", "mon,wed", "sat-sun", "mon-sun", "mon-tue,thu,sat-sun"])
def test_days_are_written_as_they_are_read(days: str) -> None:
    """Those that follow each other as a range."""
    assert str(Window(days=days_of(days))) == f"{days} 09:00-17:00 Europe/Amsterdam"


def test_days_go_over_the_end_of_a_week() -> None:
    """Each has its number, Monday's is 0."""
    assert [days_of(day) for day in DAYS] == [{number} for number in range(7)]
    assert days_of("sat-mon,wed") == {5, 6, 0, 2}


def test_a_consumer_sees_ad_hoc_prices_of_ours_unless_more_is_said(folder: Folder) -> None:
    """Its defaults, and each key set to something else."""
    expected = ConsumerSettings(id="app", name="app", token_in=("app-token",))
    assert consumer(folder) == expected
    assert (expected.audience, expected.redistribute) == ({Audience.ADHOC}, False)
    text = CONSUMER.replace("{env: APP}", "[{env: APP}, {env: NEXT}]")
    text += "  audience: [wholesale, msp_retail, cpo_subscription]\n  redistribute: true\nname: Map App\n"
    assert consumer(folder, text) == ConsumerSettings(
        id="app",
        name="Map App",
        token_in=("app-token", "next-token"),
        audience=frozenset({Audience.WHOLESALE, Audience.MSP_RETAIL, Audience.CPO_SUBSCRIPTION}),
        redistribute=True,
    )


def test_files_of_prices_stand_beside_links(folder: Folder) -> None:
    """Each kind in a tuple of its own, by id; the partner is the only one with versions and a registration."""
    folder.partner().partner(name="eco", text=FEED).partner(name="app", text=CONSUMER)
    folder.partner(name="bim", text=OLD).partner(name="kiosk", text=CONSUMER.replace("APP", "NEXT"))
    settings = folder.load()
    assert [link.id for link in settings.links] == ["backend", "acme"]
    assert [each.id for each in settings.feeds] == ["bim", "eco"]
    assert [each.id for each in settings.consumers] == ["app", "kiosk"]
    assert [each.id for each in settings.prices] == ["bim", "eco", "app", "kiosk"]


def test_the_kind_may_come_from_the_environment(folder: Folder) -> None:
    """As any other value."""
    folder.environ["KIND"] = "prices"
    assert feed(folder, FEED.replace("kind: prices", "kind: ${KIND}")).id == "eco"


def test_secrets_of_feeds_and_consumers_are_watched_and_never_shown(folder: Folder) -> None:
    """Those in files are among the files that are read again when they change; no repr shows one."""
    folder.write("secrets/eco", "eco-s3cr3t\n").write("secrets/app", "app-s3cr3t\n")
    folder.partner(name="eco", text=FEED.replace("{env: ECO}", "{file: secrets/eco}"))
    folder.partner(name="app", text=CONSUMER.replace("{env: APP}", "{file: secrets/app}"))
    settings = folder.load(strict=True)
    assert settings.secret_files == (folder.path / "secrets/app", folder.path / "secrets/eco")
    assert (settings.feeds[0].token, settings.consumers[0].token_in) == ("eco-s3cr3t", ("app-s3cr3t",))
    assert "s3cr3t" not in repr(settings)


# What is a mistake ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: prices\n", "1:1: `kind: prices` needs `feed`, which we read, or `consumer`, whom we serve"),
        (FEED + CONSUMER.removeprefix("kind: prices\n"), "9:1: a file has a `feed` or a `consumer`: write one file"),
        (CONSUMER + "owners: {}\n", "4:1: `owners` is for feeds: remove it"),
        (CONSUMER + "feeds: {}\n", "4:1: unknown key `feeds`; did you mean `feed`?"),
        (CONSUMER + "  shape: new\n", "4:3: unknown key `shape`: remove it; the keys here are token_in, audience"),
        (FEED + "  audience: [adhoc]\n", "9:3: unknown key `audience`: remove it"),
        ("kind: prices\nfeed: always\n", "2:7: a table goes here, with any of the keys shape, version"),
        ("kind: prices\nfeed:\n", "2:6: no value: write one, or remove the key"),
        ("kind: prices\nconsumer: {}\n", "2:11: `token_in` is missing: the token that it sends"),
    ],
)
def test_a_file_of_prices_is_a_feed_or_a_consumer(folder: Folder, text: str, expected: str) -> None:
    """Exactly one of the two, with the keys that are its own."""
    assert folder.partner(name="eco", text=text).mistake().startswith(f"partners/eco.yaml:{expected}")


@pytest.mark.parametrize("text", [FEED, CONSUMER])
@pytest.mark.parametrize(
    "line",
    [
        'version: "2.1.1"',
        "roles: [{role: EMSP, country_code: DE, party_id: ACM}]",
        "registration: {start: us}",
        "modules: {locations: push}",
        "profile: generic-2.1.1",
        "quirks: {nonsense: true}",
        "stage: live",
        "pilot: {locations: [LOC1]}",
        "share: {}",
        "our_party: {role: CPO, country_code: NL, party_id: EXA}",
        "our_url: https://other.example",
        'reaches: ["*"]',
        "prefer: all",
        "replaces: acme",
        "limits: {in_flight: 4}",
        "authorize: {mode: realtime}",
        "country_code: alpha-2",
        "tls: {ca: /etc/ca.pem}",
    ],
)
def test_a_key_of_links_means_nothing_there(folder: Folder, text: str, line: str) -> None:
    """It is told at its place, once, whatever its value is."""
    name, place = line.split(":")[0], f"partners/eco.yaml:{text.count(chr(10)) + 1}:1"
    mistake = folder.partner(line + "\n", name="eco", text=text).mistake()
    assert mistake == f"{place}: `{name}` means nothing in a file of kind prices: remove it"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("consumer: {token_in: {env: APP}}", "consumer"),
        ("owners: {acme: NL-ABC}", "owners"),
        ("feed: " + "{shape: old, version: '2.2', locations_url: https://a.example, prices_url: https://a.example,"
         " token: {env: ECO}}", "feed"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("hub", [False, True])
def test_a_link_has_no_keys_of_prices(folder: Folder, line: str, name: str, hub: bool) -> None:
    """Neither a partner nor a hub."""
    text = PARTNER.replace("role: EMSP", "role: HUB") + 'kind: hub\nreaches: ["*"]\n' if hub else PARTNER
    place = f"partners/acme.yaml:{6 if hub else 4}:1"
    expected = f"{place}: `{name}` is for prices: remove it, or write `kind: prices`"
    assert folder.partner(line + "\n", text=text).mistake() == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("shape: new", "shape: newest", "3:10: `newest` isn't one of old, new; did you mean `new`?"),
        ("shape: new", "shape: old", "7:3: `shape: old` has its prices on its locations: remove it"),
        ('"2.1.1"', '"2.2.1"', "4:12: `2.2.1` isn't one of 2.1.1, 2.2"),
        (
            "https://api.feed.example/locations",
            "http://api.feed.example/",
            "5:18: plain http: write https, or set `all",
        ),
        ("https://api.feed.example/prices\n", "https://10.1.2.3/p\n", "6:15: a private address: write a public one"),
        ("https://api.feed.example/prices/", "https://[::1]/", "7:25: a private address: write a public one"),
        (
            "https://api.feed.example/prices\n",
            "https://a.example/p?k=1\n",
            "6:15: `https://a.example/p?k=1` has a quer",
        ),
        ("{env: ECO}", "{env: NOWHERE}", "8:16: the environment variable NOWHERE isn't set"),
        ("{env: ECO}", "eco-key", "8:10: a secret is a reference"),
        ("  token: {env: ECO}\n", "", "3:3: `token` is missing: what we send"),
    ],
)
def test_where_a_feed_is_and_what_opens_it(folder: Folder, old: str, new: str, expected: str) -> None:
    """Shape, version, URLs and token belong together; URLs are public https, as those of links."""
    text = FEED.replace(old, new, 1)
    assert folder.partner(name="eco", text=text).mistake().startswith(f"partners/eco.yaml:{expected}")


def test_the_newer_shape_needs_its_third_list(folder: Folder) -> None:
    """Without it nobody knows which price holds where; one that is there and wrong is one mistake, not two."""
    text = FEED.replace("  connector_prices_url: https://api.feed.example/prices/connector_prices\n", "")
    mistake = folder.partner(name="eco", text=text).mistake()
    assert mistake.startswith("partners/eco.yaml:3:10: `shape: new` needs `connector_prices_url`")
    text = FEED.replace("https://api.feed.example/prices/connector_prices", "nowhere")
    mistake = folder.partner(name="eco", text=text).mistake()
    assert mistake.startswith("partners/eco.yaml:7:25: `nowhere` is not a URL")


def test_private_addresses_and_plain_http_must_be_allowed(folder: Folder) -> None:
    """`allow_private` holds for all three URLs."""
    text = FEED.replace("https://api.feed.example", "http://127.0.0.1:8000")
    assert [mistake.split(": ")[0] for mistake in folder.partner(name="eco", text=text).mistakes()] == [
        "partners/eco.yaml:5:18", "partners/eco.yaml:6:15", "partners/eco.yaml:7:25",
    ]  # fmt: skip
    assert feed(folder, text + "allow_private: true\n").prices_url == "http://127.0.0.1:8000/prices"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("every: 0s", "10: write more than 0"),
        ("every: daily", "10: `daily` is not a duration"),
        ("retire_after: 0h", "17: write more than 0"),
        ("page_limit: 0", "15: write 1 to 10000"),
        ("page_limit: 10001", "15: write 1 to 10000"),
        ("page_limit: many", "15: `many` is not a whole number"),
        ("scheme: Basic", "11: `Basic` isn't one of Token, Bearer"),
        ("window: never", "11: `never` isn't one of always, a table"),
        ("window: {days: mo-fr}", "18: `mo-fr` is not a list of days: write mon-fri, or sat,sun"),
        ('window: {from: "9"}', '18: `9` is not a time of day: write "09:00"'),
        ('window: {to: "24:00"}', '16: `24:00` is not a time of day: write "09:00"'),
        ("window: {time_zone: Europe/Atlantis}", "23: `Europe/Atlantis` is not a time zone"),
        ("window: {until: '17:00'}", "12: unknown key `until`: remove it; the keys here are days, from, to, time_zone"),
        ("refuse: {shrink: 20}", "20: `20` is not a percentage: write a number from 0 to 100 and %"),
        ("refuse: {dangling: 101%}", "22: `101%` is not a percentage"),
        ("token_in: {value: a b}", "13: a token has printable ASCII characters only"),
        ("token_in: [{env: APP}, {env: APP}]", "26: the same item twice: keep one"),
    ],
)
def test_a_mistake_in_a_feed_says_where_and_what_instead(folder: Folder, line: str, expected: str) -> None:
    """Each key has its form."""
    mistake = folder.partner(name="eco", text=f"{FEED}  {line}\n").mistake()
    assert mistake.startswith(f"partners/eco.yaml:9:{expected}")


def test_owners_are_parties(folder: Folder) -> None:
    """Country and party id, and several of a feed's partners may be one of them."""
    text = FEED + "owners: {a: NL-ABC, b: NL-ABC}\n"
    assert feed(folder, text).owners == {"a": Party("NL", "ABC"), "b": Party("NL", "ABC")}
    mistake = folder.partner(name="eco", text=FEED + "owners: {a: ABC}\n").mistake()
    assert mistake.startswith("partners/eco.yaml:9:13: not a party")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("audience: []", "13: the list is empty: write at least one item"),
        ("audience: [adhoc, adhoc]", "21: the same item twice: keep one"),
        ("audience: [unknown]", "14: `unknown` isn't one of wholesale, adhoc, msp_retail, cpo_subscription"),
        ("audience: [everybody]", "14: `everybody` isn't one of wholesale, adhoc, msp_retail, cpo_subscription"),
        ("audience: adhoc", "13: a list goes here: write [one, two]"),
        ("redistribute: yes", "17: `yes` is not true or false"),
    ],
)
def test_a_mistake_in_a_consumer_says_where_and_what_instead(folder: Folder, line: str, expected: str) -> None:
    """Its audiences are some of four, each once."""
    mistake = folder.partner(name="app", text=f"{CONSUMER}  {line}\n").mistake()
    assert mistake.startswith(f"partners/app.yaml:4:{expected}")


def test_a_consumer_has_a_token(folder: Folder) -> None:
    """A list of none opens nothing."""
    mistake = folder.partner(name="app", text=CONSUMER.replace("{env: APP}", "[]")).mistake()
    assert mistake.startswith("partners/app.yaml:3:13: the list is empty: write at least one item")


def test_audiences_of_which_only_feeds_tell_are_warned_about(folder: Folder) -> None:
    """Without `redistribute` a consumer would see none of those prices."""
    text = CONSUMER + "  audience: [adhoc, msp_retail, cpo_subscription]\n"
    (warning,) = folder.partner(name="app", text=text).load().warnings
    assert (warning.line, warning.column) == (4, 13)
    expected = "only feeds tell prices of msp_retail, cpo_subscription: none is shown without `redistribute: true`"
    assert warning.text == expected
    assert folder.partner(name="app", text=text + "  redistribute: true\n").load().warnings == ()


# Against other files --------------------------------------------------------------------------------------------------

THEM = PARTNER.replace("start: us", "start: them, token_in: {env: APP}")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (THEM, CONSUMER, "3:13: the same token as aaa has (see "),
        (CONSUMER, THEM, "3:39: the same token as aaa has (see "),
        (CONSUMER, CONSUMER, "3:13: the same token as aaa has (see "),
        (CONSUMER, FEED + "  token_in: {env: APP}\n", "9:13: the same token as aaa has (see "),
        (FEED + "  token_in: {env: APP}\n", OLD + "  token_in: [{env: NEXT}, {env: APP}]\n", "8:13: the same token as"),
    ],
)
def test_no_two_files_have_the_same_incoming_token(folder: Folder, first: str, second: str, expected: str) -> None:
    """Links, feeds and consumers alike: the second is told of the first, and not what the token is."""
    mistake = folder.partner(name="aaa", text=first).partner(name="zzz", text=second).mistake()
    assert mistake.startswith(f"partners/zzz.yaml:{expected}")
    assert mistake.endswith("each needs its own")
    assert "app-token" not in mistake


@pytest.mark.parametrize("first", ["app", "zzz"])
def test_a_token_in_base64_is_the_same_token(folder: Folder, first: str) -> None:
    """In either form it would open the link's door and the consumer's."""
    folder.environ["ENCODED"] = b64encode(folder.environ["APP"].encode()).decode()
    encoded = CONSUMER.replace("APP", "ENCODED")
    mistake = folder.partner(name=first, text=encoded).partner(name="them", text=THEM).mistake()
    assert f"the same token as {min(first, 'them')} has" in mistake


def test_a_token_that_we_send_may_be_used_twice(folder: Folder) -> None:
    """Two feeds of one provider have one key; and what we send opens no door of ours."""
    folder.partner(name="eco", text=FEED).partner(name="old", text=OLD)
    folder.partner(name="app", text=CONSUMER.replace("APP", "ECO"))
    assert folder.mistakes() == []


def test_an_id_of_prices_is_nobody_elses(folder: Folder) -> None:
    """Neither a backend's, nor that of the backend in gateway.yaml."""
    mistake = folder.partner(name="backend", text=FEED).mistake()
    assert mistake.startswith("partners/backend.yaml:1:1: the id `backend` is taken: rename one of the two files")
    assert "gateway.yaml:6:3" in mistake


@pytest.mark.parametrize("text", [FEED, CONSUMER])
def test_no_file_means_a_file_of_prices_by_its_id(folder: Folder, text: str) -> None:
    """It isn't asked about tokens, and nothing takes over from it."""
    folder.partner(name="eco", text=text).gateway("authorize: {unknown_tokens: [eco]}\n")
    assert folder.mistake().startswith("gateway.yaml:9:29: there is no link `eco`")
    folder.gateway().partner("replaces: eco\nfrom: 2030-01-31T00:00:00Z\n")
    assert folder.mistake().startswith("partners/acme.yaml:4:11: there is no other link `eco`")


# Another reading ------------------------------------------------------------------------------------------------------


def test_a_reload_tells_which_feeds_and_consumers_are_new_gone_and_different(folder: Folder) -> None:
    """Beside the links, and never among them or among the keys of gateway.yaml."""
    for name, text in {"eco": FEED, "gone": OLD, "app": CONSUMER, "left": CONSUMER.replace("APP", "NEXT")}.items():
        folder.partner(name=name, text=text)
    before = folder.load()
    assert compare(before, folder.load()).prices_changed == ()
    for name in ("gone", "left"):
        (folder.path / f"partners/{name}.yaml").unlink()
    folder.partner(name="eco", text=FEED + "  every: 1h\n").partner(name="new", text=OLD)
    folder.partner(name="app", text=CONSUMER + "  redistribute: true\n")
    folder.partner(name="late", text=CONSUMER.replace("APP", "NEXT"))
    after = folder.load()
    found = compare(before, after)
    assert found.prices_added == ("new", "late")
    assert found.prices_removed == ("gone", "left")
    assert found.prices_changed == ("eco", "app")
    assert (found.added, found.removed, found.changed, found.gateway, found.restart) == ((), (), (), (), ())
    assert taken_over(before, after) == after


def test_a_link_that_becomes_a_feed_is_gone_and_the_feed_new(folder: Folder) -> None:
    """One id, two kinds: what was owed to the link counts as of a link whose file is gone."""
    before = folder.partner(name="eco").load()
    found = compare(before, folder.partner(name="eco", text=FEED).load())
    assert (found.removed, found.prices_added, found.changed) == (("eco",), ("eco",), ())


def test_settings_of_one_reading_are_those_of_the_next(folder: Folder) -> None:
    """Nothing is different when nothing was written, wherever a secret came from."""
    before = folder.partner(name="eco", text=FEED).load()
    folder.write("secrets/eco", "eco-key\n").partner(name="eco", text=FEED.replace("env: ECO", "file: secrets/eco"))
    after = folder.load()
    assert before.feeds == after.feeds
    assert before.feeds != (evolve(after.feeds[0], token="another"),)
