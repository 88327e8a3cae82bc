"""``translate`` and ``explain`` as people use them: what is read, what is written, and how it ends."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import samples
from click.testing import CliRunner, Result

from gateway.__main__ import cli
from gateway.cli.translate import KINDS
from gateway.model.modules import Kind
from gateway.web.json import dumps, loads


def call(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=stdin)


def translate(source: str, target: str, kind: str, given: Any, *more: str) -> tuple[int, Any, list[Any]]:
    """Exit code, what stands on standard output, and the lines on standard error."""
    result = call("translate", "--from", source, "--to", target, "--object", kind, *more, stdin=dumps(given))
    lines = [loads(line.encode()) for line in result.stderr.splitlines()]
    return result.exit_code, loads(result.stdout_bytes, max_items=20_000) if result.stdout_bytes else None, lines


def up(kind: str, given: Any, *more: str) -> tuple[int, Any, list[Any]]:
    return translate("2.1.1", "2.2.1", kind, given, *more)


def down(kind: str, given: Any, *more: str) -> tuple[int, Any, list[Any]]:
    return translate("2.2.1", "2.1.1", kind, given, *more)


@pytest.fixture
def facts(tmp_path: Path) -> Any:
    """Writes a facts file and gives the option that names it."""

    def written(**members: Any) -> tuple[str, str]:
        path = tmp_path / "facts.json"
        path.write_bytes(dumps(members))
        return "--facts", str(path)

    return written


def test_one_object_gives_one_object() -> None:
    """A 2.1.1 connector comes out in the newer form, and nothing is said if nothing is lost."""
    code, written, lines = up("connector", samples.connector_211_minimal(), "--owner", "NL-EXA")
    assert (code, lines) == (0, [])
    assert written["max_voltage"] == samples.connector_211_minimal()["voltage"]


def test_numbers_leave_as_they_came() -> None:
    """0.10 isn't 0.1: digits are somebody's price."""
    tariff = samples.tariff_211_minimal()
    tariff["elements"][0]["price_components"][0]["price"] = Decimal("0.10")
    arguments = ("--from", "2.1.1", "--to", "2.2.1", "--object", "tariff", "--owner", "NL-EXA")
    result = call("translate", *arguments, stdin=dumps(tariff))
    assert '"price":0.10,' in result.stdout


def test_losses_are_json_lines() -> None:
    """One line for each value lost: where in the list, where in the object, why, and which switch decided."""
    connector = samples.connector_221_minimal() | {
        "power_type": "DC",
        "max_voltage": 920,
        "max_amperage": 400,
        "max_electric_power": 150_000,
    }
    code, _, lines = down("connector", connector)
    assert code == 0
    assert [(line["index"], line["pointer"], line["policy"]) for line in lines] == [
        (0, "/max_amperage", "locations.derate_dc"),
        (0, "/max_electric_power", "locations.derate_dc"),
    ]
    assert all(set(line) == {"index", "pointer", "reason", "policy"} for line in lines)


def test_a_list_keeps_length_and_order() -> None:
    """What mustn't be shown or is broken is null in its place, with a line; the others are unaffected; exit code 1."""
    good = samples.location_221_minimal() | {"postal_code": "3511AA"}
    code, written, lines = down("location", [good, good | {"publish": False}, {"id": "X"}, 5, good])
    assert code == 1
    assert [place and place["id"] for place in written] == [good["id"], None, None, None, good["id"]]
    assert [(line["index"], line["pointer"]) for line in lines] == [(1, ""), (2, "/country_code"), (3, "")]
    assert lines[1]["reason"] == "required"


def test_long_lists() -> None:
    """A list may be of any length."""
    code, written, lines = up("stop_session", [samples.stop_session()] * 12_000)
    assert (code, len(written), lines) == (0, 12_000, [])


def test_a_single_null() -> None:
    """One object that can't be translated is null, and the exit code says so."""
    code, written, lines = down("cancel_reservation", {"response_url": "https://x.example/1", "reservation_id": "1"})
    assert (code, written) == (1, None)
    assert [line["pointer"] for line in lines] == [""]


@pytest.mark.parametrize("version", ["2.1.1", "2.2.1"])
def test_the_same_version_changes_nothing(version: str) -> None:
    """Whatever it is, it comes out as it went in."""
    given = {"anything": [Decimal("1.50"), None, {"id": 5}]}
    assert translate(version, version, "location", given) == (0, given, [])


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_kind_is_known(kind: Kind) -> None:
    """Each object of the contract can be named."""
    code, _, _ = up(kind.value, {})
    assert code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--from", "2.1.1", "--to", "2.2.1", "--object", "parking"),
        ("--from", "2.1.1", "--to", "9.9", "--object", "location"),
        ("--from", "2.0", "--to", "2.2.1", "--object", "location"),
        ("--from", "2.1.1", "--to", "2.2.1", "--object", "location", "--owner", "Netherlands"),
        ("--from", "2.1.1", "--object", "location"),
    ],
)
def test_usage(arguments: tuple[str, ...]) -> None:
    """An unknown kind, version or party is a mistake in the command line."""
    assert call("translate", *arguments, stdin=b"{}").exit_code == 2


@pytest.mark.parametrize("body", [b"", b"{", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"\xff"])
def test_unreadable_input(body: bytes) -> None:
    """What isn't JSON ends with 1 and one line that says why."""
    result = call("translate", "--from", "2.1.1", "--to", "2.2.1", "--object", "token", stdin=body)
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert set(loads(line.encode())) == {"reason"}


def test_missing_files(tmp_path: Path, facts: Any) -> None:
    """A file that isn't there, or facts that are none, end the same way."""
    missing = str(tmp_path / "none.json")
    start = ("translate", "--from", "2.1.1", "--to", "2.2.1", "--object", "token")
    for more in ((missing,), ("--facts", missing, "-"), (*facts(weather="fine"), "-"), (*facts(locations=[{}]), "-")):
        result = call(*start, *more, stdin=b"{}")
        assert result.exit_code == 1
        assert set(loads(result.stderr.encode())) == {"reason"}


def test_files_are_read(tmp_path: Path) -> None:
    """The argument names the file."""
    path = tmp_path / "token.json"
    path.write_bytes(dumps(samples.token_221_minimal()))
    result = call("translate", "--from", "2.2.1", "--to", "2.1.1", "--object", "token", str(path))
    assert result.exit_code == 0
    assert loads(result.stdout_bytes)["auth_id"] == samples.token_221_minimal()["contract_id"]


def test_bare_words(facts: Any) -> None:
    """The answer to a command may be a bare string in 2.1.1."""
    code, written, lines = up("command_response", ["ACCEPTED", "TIMEOUT"])
    assert [each["result"] for each in written] == ["ACCEPTED", "REJECTED"]
    assert [(line["index"], line["pointer"]) for line in lines] == [(0, ""), (1, ""), (1, "")]
    assert code == 0


def test_facts_of_a_session(facts: Any) -> None:
    """A session finds its location on the way down, and its token on the way up."""
    world = facts(locations=[samples.location_221()], tokens=[samples.token_221()])
    code, older, _ = down("session", samples.session_221(), *world)
    assert (code, older["location"]["id"]) == (0, samples.session_221()["location_id"])
    code, newer, lines = up("session", older, "--owner", "NL-EXA", *world)
    assert (code, lines) == (0, [])
    assert newer["cdr_token"] == samples.session_221()["cdr_token"]
    assert down("session", samples.session_221())[:2] == (1, None)


def test_facts_of_a_receiver(facts: Any) -> None:
    """A token that nobody knows is the receiver's."""
    code, newer, lines = up("session", samples.session_211(), "--owner", "NL-EXA", *facts(receiver="FR-ABC"))
    assert (newer["cdr_token"]["country_code"], newer["cdr_token"]["party_id"]) == ("FR", "ABC")
    assert (code, [line["pointer"] for line in lines]) == (0, ["/auth_id"])


def test_facts_of_a_cdr(facts: Any) -> None:
    """A CDR finds the session that it is of."""
    older = samples.cdr_211()
    session = samples.session_221() | {"start_date_time": older["start_date_time"]}
    session["evse_uid"] = older["location"]["evses"][0]["uid"]
    session["cdr_token"]["contract_id"] = older["auth_id"]
    _, newer, _ = up("cdr", older, "--owner", "NL-EXA", *facts(sessions=[session]))
    assert newer["session_id"] == session["id"]


def test_facts_of_tariffs_and_time(facts: Any) -> None:
    """Which tariff a connector names depends on the moment."""
    tariff = samples.tariff_221_minimal()
    tariffs = [tariff | {"id": "OLD", "end_date_time": "2026-01-01T00:00:00Z"}, tariff | {"id": "NEW"}]
    thing = samples.connector_221_minimal() | {"tariff_ids": ["NEW", "OLD"]}
    for now, expected in (("2025-06-01T00:00:00Z", "NEW"), ("2026-06-01T00:00:00Z", "NEW")):
        _, older, _ = down("connector", thing, "--owner", "NL-EXA", *facts(tariffs=tariffs, now=now))
        assert older["tariff_id"] == expected
    only = thing | {"tariff_ids": ["OLD"]}
    world = facts(tariffs=tariffs, now="2026-06-01T00:00:00Z")
    _, older, lines = down("connector", only, *world)
    assert "tariff_id" not in older
    assert [line["pointer"] for line in lines] == ["/tariff_ids/0"]


def test_facts_of_an_authorization(facts: Any) -> None:
    """The only token of the file is the one asked about; without one its uid is #NA."""
    older = samples.authorization_info_211_minimal()
    _, newer, lines = up("authorization_info", older, "--owner", "DE-ACM", *facts(tokens=[samples.token_221()]))
    assert newer["token"] == samples.token_221()
    assert lines == []
    _, newer, lines = up("authorization_info", older, "--owner", "DE-ACM")
    assert newer["token"]["uid"] == "#NA"
    assert [line["pointer"] for line in lines] == ["/token"]


def test_facts_of_a_reservation(facts: Any) -> None:
    """Numbers stand for reservations."""
    thing = samples.reserve_now_221_minimal() | {"reservation_id": "R-7"}
    _, older, _ = down("reserve_now", thing, *facts(reservation_ids={"R-7": 41}))
    assert older["reservation_id"] == 41
    assert down("reserve_now", thing)[:2] == (1, None)


def test_facts_of_a_role(facts: Any) -> None:
    """Credentials of 2.1.1 don't say their role; --owner picks one on the way down."""
    older = samples.V211[Kind.CREDENTIALS].maximal()
    _, newer, lines = up("credentials", older, *facts(role="EMSP"))
    assert newer["roles"][0]["role"] == "EMSP"
    assert lines == []
    both = newer | {"roles": [*newer["roles"], newer["roles"][0] | {"party_id": "TWO"}]}
    _, again, _ = down("credentials", both, "--owner", f"{newer['roles'][0]['country_code']}-TWO")
    assert again["party_id"] == "TWO"


def test_explain_prints_tables() -> None:
    """Both names, what becomes of the value, and what is lost, from the maps themselves."""
    result = call("explain", "2.1.1", "--object", "connector")
    assert result.exit_code == 0
    title, head, *rows = result.stdout.splitlines()
    assert title == "Connector"
    assert head.split() == ["2.1.1", "2.2.1", "up", "down", "lost"]
    assert any(row.split()[:3] == ["voltage", "max_voltage", "renamed"] for row in rows)
    everything = call("explain", "2.1.1", "--json")
    tables = {table["title"]: table["rows"] for table in loads(everything.stdout_bytes)}
    assert {"Location", "Session", "CDR", "Tariff", "Token", "StartSession"} <= set(tables)
    assert {"older": ["tariff_id"], "newer": ["tariff_ids"]}.items() <= tables["Connector"][-2].items()


def test_explain_prints_the_prices_of_a_feed() -> None:
    """Both shapes of a price feed beside tariffs, in the same form."""
    result = call("explain", "eco-movement")
    assert result.exit_code == 0
    title, head, *rows = result.stdout.splitlines()
    assert title == "Price (newer shape)"
    assert head.split() == ["feed", "tariff", "up", "down", "lost"]
    assert any(row.split()[:2] == ["product", "currency"] for row in rows)
    tables = [table["title"] for table in loads(call("explain", "eco-movement", "--json").stdout_bytes)]
    assert {"Price (newer shape)", "Price (older shape)", "TariffRestrictions"} <= set(tables)
    assert call("explain", "eco-movement", "--object", "tariff").stdout == result.stdout
    assert call("explain", "eco-movement", "--object", "cdr").exit_code == 1


def test_explain_of_what_isnt_there() -> None:
    """The newest version has no maps, an unknown one is a usage error, and 2.1.1 has no CancelReservation."""
    assert "newest" in call("explain", "2.2.1").stdout
    assert call("explain", "1.0").exit_code == 2
    assert call("explain", "2.1.1", "--object", "cancel_reservation").exit_code == 1
