"""The whole path table of both versions: every resource opens with its methods, and nothing else does.

The tables below are written from the "Interfaces and endpoints" of each module's chapter, not from the code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from adapters import VERSIONS
from gateway.model.dialect import Dialect, Seat
from gateway.model.errors import InvalidObject, NotAllowed, NotFound
from gateway.model.facts import ABSENT
from gateway.model.message import HttpRequest, Message, Query, Ref, Trace
from gateway.model.modules import Kind, Module, Side, Verb
from gateway.model.party import Party, Role
from gateway.ports import Adapter

CPO, EMSP, HUB = Party("NL", "EXA"), Party("DE", "ACM"), Party("NL", "HUB")
BASE, THEIRS = "https://gw.example/ocpi", "https://peer.example/ocpi"
METHODS = ("GET", "PUT", "PATCH", "POST", "DELETE")
ADAPTERS: dict[str, Adapter] = {adapter.version: adapter for adapter in VERSIONS}

# The interface that is called (who plays it), the path below the version, its methods, and what is opened.
Row = tuple[Role, str, str, tuple[str, ...], Kind]
CP, EM, HB = Role.CPO, Role.EMSP, Role.HUB

BOTH: list[Row] = [
    (CP, "locations", "", ("GET",), Kind.LOCATION),
    (CP, "locations", "L1", ("GET",), Kind.LOCATION),
    (CP, "locations", "L1/E1", ("GET",), Kind.EVSE),
    (CP, "locations", "L1/E1/1", ("GET",), Kind.CONNECTOR),
    (EM, "locations", "NL/EXA/L1", ("GET", "PUT", "PATCH"), Kind.LOCATION),
    (EM, "locations", "NL/EXA/L1/E1", ("GET", "PUT", "PATCH"), Kind.EVSE),
    (EM, "locations", "NL/EXA/L1/E1/1", ("GET", "PUT", "PATCH"), Kind.CONNECTOR),
    (CP, "sessions", "", ("GET",), Kind.SESSION),
    (EM, "sessions", "NL/EXA/S1", ("GET", "PUT", "PATCH"), Kind.SESSION),
    (CP, "cdrs", "", ("GET",), Kind.CDR),
    (EM, "cdrs", "", ("POST",), Kind.CDR),
    (EM, "cdrs", "opaque", ("GET",), Kind.CDR),
    (EM, "cdrs", "NL/EXA", ("POST",), Kind.CDR),  # in no chapter: peers post there all the same
    (EM, "cdrs", "NL/EXA/opaque", ("GET",), Kind.CDR),
    (CP, "tariffs", "", ("GET",), Kind.TARIFF),
    (EM, "tokens", "", ("GET",), Kind.TOKEN),
    (EM, "tokens", "04AA/authorize", ("POST",), Kind.LOCATION_REFERENCES),
    (CP, "tokens", "DE/ACM/04AA", ("GET", "PUT", "PATCH"), Kind.TOKEN),
    (CP, "commands", "RESERVE_NOW", ("POST",), Kind.RESERVE_NOW),
    (CP, "commands", "START_SESSION", ("POST",), Kind.START_SESSION),
    (CP, "commands", "STOP_SESSION", ("POST",), Kind.STOP_SESSION),
    (CP, "commands", "UNLOCK_CONNECTOR", ("POST",), Kind.UNLOCK_CONNECTOR),
]
TABLES: dict[str, list[Row]] = {
    "2.1.1": [*BOTH, (EM, "tariffs", "NL/EXA/T1", ("GET", "PUT", "PATCH", "DELETE"), Kind.TARIFF)],
    "2.2.1": [
        *BOTH,
        (EM, "tariffs", "NL/EXA/T1", ("GET", "PUT", "DELETE"), Kind.TARIFF),
        (CP, "sessions", "S1/charging_preferences", ("PUT",), Kind.CHARGING_PREFERENCES),
        (CP, "commands", "CANCEL_RESERVATION", ("POST",), Kind.CANCEL_RESERVATION),
        (CP, "chargingprofiles", "S1", ("GET", "PUT", "DELETE"), Kind.SET_CHARGING_PROFILE),
        (EM, "chargingprofiles", "S1", ("PUT",), Kind.ACTIVE_CHARGING_PROFILE),
        (HB, "hubclientinfo", "", ("GET",), Kind.CLIENT_INFO),
        (CP, "hubclientinfo", "BE/BEC", ("GET", "PUT"), Kind.CLIENT_INFO),
    ],
}
ROWS = [(version, *row) for version, rows in TABLES.items() for row in rows]
OWNER = {"locations": CP, "sessions": CP, "cdrs": CP, "tariffs": CP, "hubclientinfo": HB}
PARAMETERS = {"date_from": "2026-01-01T00:00:00Z", "duration": "900", "response_url": f"{THEIRS}/results/1?of=2"}


def side_of(module: str, plays: Role) -> Side:
    return Side.SENDER if OWNER.get(module, EM) is plays else Side.RECEIVER


def path_of(version: str, plays: Role, module: str, below: str) -> str:
    interface = plays.lower() if version == "2.1.1" else side_of(module, plays).lower()
    return f"{interface}/{module}/{below}".rstrip("/")


def dialect(version: str, plays: Role, module: str = "") -> Dialect:
    """We play a role, they its opposite; both roles' party ids are those in the table."""
    seats = {
        CP: Seat(party=CPO, role=CP, business={"name": "x"}),
        EM: Seat(party=EMSP, role=EM, business={"name": "x"}),
        HB: Seat(party=HUB, role=HB, business={"name": "x"}),
    }
    opposite = {CP: EM, EM: CP, HB: EM}[plays] if module != "hubclientinfo" or plays is HB else HB
    return Dialect(
        link="peer",
        version=version,
        ours=(seats[plays],),
        theirs=(seats[opposite],),
        endpoints={(module, side): f"{THEIRS}/{side}/{module}" for module in Module for side in Side},
        base_url=BASE,
    )


def body_for(method: str, kind: Kind) -> Any:
    if method in ("GET", "DELETE"):
        return ABSENT
    return {"country_code": "NL", "party_id": "EXA", "id": "C1"} if kind is Kind.CDR else {}


def opened(version: str, method: str, path: str, link: Dialect, body: Any = ABSENT, **more: Any) -> Message:
    http = HttpRequest(
        method=method, url=f"{BASE}/{version}/{path}", segments=tuple(path.split("/")), body=body, **more
    )
    return ADAPTERS[version].open_request(http, link)


def name(row: tuple[Any, ...]) -> str:
    version, plays, module, below, *_ = row
    return f"{version}-{plays.lower()}-{module}-{below.replace('/', '_') or 'list'}"


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_every_row_opens_with_its_methods_and_405_names_them(
    row: tuple[str, Role, str, str, tuple[str, ...], Kind],
) -> None:
    """Each method of the table opens what the table says; any other is 405, and Allow has exactly those."""
    version, plays, module, below, methods, kind = row
    link = dialect(version, plays, module)
    for method in METHODS:
        path, body = path_of(version, plays, module, below), body_for(method, kind)
        if method in methods:
            message = opened(version, method, path, link, body, query=PARAMETERS)
            assert (message.module, message.side, message.verb) == (module, side_of(module, plays), method)
            assert (message.body.kind if message.body else kind) is kind
            assert message.wire_version == version
        else:
            with pytest.raises(NotAllowed) as caught:
                opened(version, method, path, link, body, query=PARAMETERS)
            assert (caught.value.http, caught.value.allow) == (405, methods)


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_a_slash_at_the_end_changes_nothing_check_09_trap_65(
    row: tuple[str, Role, str, str, tuple[str, ...], Kind],
) -> None:
    """Each row, with and without a trailing slash, is the same message."""
    version, plays, module, below, methods, kind = row
    link, path = dialect(version, plays, module), path_of(version, plays, module, below)
    plain, slashed = (
        opened(version, methods[0], spelled, link, body_for(methods[0], kind), query=PARAMETERS)
        for spelled in (path, f"{path}/")
    )
    assert plain == slashed


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_every_row_can_be_written_and_is_opened_as_what_it_was(
    row: tuple[str, Role, str, str, tuple[str, ...], Kind],
) -> None:
    """A message opened is written to the same resource of theirs, at the end of the endpoint that they published."""
    version, plays, module, below, methods, kind = row
    link = dialect(version, plays, module)
    for method in methods:
        message = opened(
            version, method, path_of(version, plays, module, below), link, body_for(method, kind), query=PARAMETERS
        )
        posted_with_party = (module, method, below) == ("cdrs", "POST", "NL/EXA")
        read_with_party = (module, below) == ("cdrs", "NL/EXA/opaque")
        expected = "" if posted_with_party else "opaque" if read_with_party else below
        url = ADAPTERS[version].write_request(message, link).url.partition("?")[0]
        assert url == f"{THEIRS}/{side_of(module, plays)}/{module}/{expected}".rstrip("/")


def nowhere() -> Iterator[tuple[str, Role, str]]:
    """Paths that look like some that exist."""
    for version in TABLES:
        for plays, path in [
            (CP, "locations/L1/E1/1/more"),
            (EM, "locations/NL/EXA"),
            (EM, "locations/NL/EXA/L1/E1/1/more"),
            (CP, "sessions/S1"),
            (EM, "sessions/NL/EXA/S1/E1"),
            (EM, "cdrs/NL/EXA/opaque/more"),
            (CP, "tariffs/T1"),
            (EM, "tokens/04AA"),
            (CP, "tokens/DE/ACM"),
            (CP, "commands"),
            (CP, "commands/EXPLODE"),
            (CP, "commands/start_session"),
            (CP, "commands/START_SESSION/1"),
            (EM, "commands"),
            (CP, "credentials"),
            (CP, "nonsense"),
        ]:
            module, _, below = path.partition("/")
            yield version, plays, path_of(version, plays, module, below)
    for plays, module, below in [
        (CP, "commands", "CANCEL_RESERVATION"),
        (CP, "sessions", "S1/charging_preferences"),
        (CP, "chargingprofiles", "S1"),
        (EM, "chargingprofiles", "S1"),
        (CP, "hubclientinfo", "BE/BEC"),
        (EM, "hubclientinfo", ""),
    ]:
        yield "2.1.1", plays, path_of("2.1.1", plays, module, below)


@pytest.mark.parametrize(("version", "plays", "path"), list(nowhere()))
def test_everything_else_is_404_with_any_method(version: str, plays: Role, path: str) -> None:
    """Neither more nor fewer segments, no command of another version, no module that isn't one."""
    for method in METHODS:
        with pytest.raises(NotFound):
            opened(version, method, path, dialect(version, plays), body_for(method, Kind.LOCATION), query=PARAMETERS)


@pytest.mark.parametrize(
    ("version", "path"),
    [
        ("2.1.1", "cpo/locations/.."),
        ("2.2.1", "sender/locations/."),
        ("2.2.1", "sender/hubclientinfo"),  # we are no hub to them
        ("2.2.1", "receiver/hubclientinfo/BE/BEC"),  # and they are none to us
        ("2.2.1", "sender/tokens"),  # we are a CPO, and have none
    ],
)
def test_what_is_no_id_or_not_for_this_role_is_404_as_well(version: str, path: str) -> None:
    """The resource exists, for others."""
    with pytest.raises(NotFound):
        opened(version, "GET", path, dialect(version, CP))


# Parameters

LISTS = [row for row in ROWS if row[3] == "" and row[4] != ("POST",)]


@pytest.mark.parametrize("row", LISTS, ids=name)
def test_a_list_says_which_objects(row: tuple[str, Role, str, str, tuple[str, ...], Kind]) -> None:
    """Filters and page of every list are understood, and go out again without our cursor."""
    version, plays, module, *_ = row
    link = dialect(version, plays, module)
    asked = {"date_from": "2026-01-01T00:00:00", "date_to": "2026-01-02T00:00:00Z", "offset": "50", "limit": "25"}
    message = opened(version, "GET", path_of(version, plays, module, ""), link, query=asked | {"cursor": "c-1"})
    assert message.ref == Ref()
    assert message.query == Query(
        date_from="2026-01-01T00:00:00Z", date_to="2026-01-02T00:00:00Z", offset=50, limit=25, cursor="c-1"
    )
    assert (
        ADAPTERS[version]
        .write_request(message, link)
        .url.endswith(
            f"{module}?date_from=2026-01-01T00%3A00%3A00Z&date_to=2026-01-02T00%3A00%3A00Z&offset=50&limit=25"
        )
    )


@pytest.mark.parametrize("version", TABLES)
@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-01-01T10:00:00", "2026-01-01T10:00:00Z"),
        ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z"),
        ("2026-01-01T10:00:00.5Z", "2026-01-01T10:00:00.5Z"),
        ("2026-01-01T10:00:00.123456789Z", "2026-01-01T10:00:00.123Z"),
        ("2026-01-01T10:00:00+02:00", "2026-01-01T08:00:00Z"),
        ("2026-01-01T10:00:00 02:00", "2026-01-01T08:00:00Z"),  # what becomes of a plus that nobody encoded
        ("2026-1-1T10:00:00Z", "2026-01-01T10:00:00Z"),
    ],
)
def test_a_date_is_understood_in_any_form_check_14(version: str, said: str, meant: str) -> None:
    """Lenient in spelling; inside it is always UTC, to the millisecond at most."""
    path = path_of(version, CP, "cdrs", "")
    assert opened(version, "GET", path, dialect(version, CP), query={"date_from": said}).query.date_from == meant


@pytest.mark.parametrize("version", TABLES)
@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("date_from", "yesterday"),
        ("date_from", "2026-02-30T00:00:00Z"),
        ("date_to", "2026-01-01"),
        ("offset", "-1"),
        ("offset", "1.5"),
        ("offset", "٣"),
        ("limit", "0"),
        ("limit", "many"),
        ("limit", "1" * 19),
        ("cursor", "x" * 256),
    ],
)
def test_a_parameter_that_cant_be_understood_is_2001(version: str, parameter: str, value: str) -> None:
    """By name, with HTTP 200: a filter that is passed over would look like an answer."""
    path = path_of(version, CP, "locations", "")
    with pytest.raises(InvalidObject) as caught:
        opened(version, "GET", path, dialect(version, CP), query={parameter: value})
    assert (caught.value.path, caught.value.status, caught.value.http) == (parameter, 2001, 200)


@pytest.mark.parametrize("version", TABLES)
@pytest.mark.parametrize("query", [{}, {"date_from": ""}, {"date_to": "2026-01-02T00:00:00Z"}])
def test_sessions_are_never_listed_without_date_from_check_13_trap_29(version: str, query: dict[str, str]) -> None:
    """Required in both versions; of other lists a parameter without a value counts as none."""
    link = dialect(version, CP)
    with pytest.raises(InvalidObject) as caught:
        opened(version, "GET", path_of(version, CP, "sessions", ""), link, query=query)
    assert (caught.value.path, caught.value.status, caught.value.http) == ("date_from", 2001, 200)
    assert opened(version, "GET", path_of(version, CP, "cdrs", ""), link, query=query).query.date_from is None


@pytest.mark.parametrize(
    ("date_to", "said"),
    [
        ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z"),
        ("2026-01-01T10:00:00.001Z", "2026-01-01T10:00:01Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59Z"),
    ],
)
def test_a_window_asked_of_2_1_1_is_never_smaller_than_meant(date_to: str, said: str) -> None:
    """Whole seconds: the beginning is rounded down, the end, which is exclusive, up."""
    trace = Trace(request_id="r", correlation_id="c")
    message = Message(
        module=Module.CDRS, verb=Verb.GET, side=Side.SENDER, sender=EMSP, receiver=CPO, ref=Ref(), trace=trace,
        query=Query(date_from="2026-01-01T09:59:59.9Z", date_to=date_to),
    )  # fmt: skip
    url = ADAPTERS["2.1.1"].write_request(message, dialect("2.1.1", EM)).url
    assert url.partition("?")[2] == f"date_from=2026-01-01T09:59:59Z&date_to={said}".replace(":", "%3A")


def test_a_profile_is_asked_for_with_its_parameters_and_no_body() -> None:
    """A response_url with a query of its own stays one parameter; what is missing is named."""
    link, path = dialect("2.2.1", CP), "receiver/chargingprofiles/S1"
    message = opened("2.2.1", "GET", path, link, query=PARAMETERS)
    assert message.query == Query(duration=900, response_url=PARAMETERS["response_url"])
    assert message.ref == Ref(owner=CPO, id="S1")
    written = ADAPTERS["2.2.1"].write_request(message, link)
    assert written.url.endswith(
        "chargingprofiles/S1?duration=900&response_url=https%3A%2F%2Fpeer.example%2Focpi%2Fresults%2F1%3Fof%3D2"
    )
    assert written.body is ABSENT
    message = opened("2.2.1", "DELETE", path, link, query=PARAMETERS)
    assert message.query == Query(response_url=PARAMETERS["response_url"])
    for method, query, missing in [
        ("GET", {"response_url": "https://x.example"}, "duration"),
        ("GET", {"duration": "900"}, "response_url"),
        ("DELETE", {}, "response_url"),
    ]:
        with pytest.raises(InvalidObject) as caught:
            opened("2.2.1", method, path, link, query=query)
        assert (caught.value.path, caught.value.status) == (missing, 2001)


# Whose object it is


@pytest.mark.parametrize(
    ("plays", "method", "path", "owner"),
    [
        (CP, "GET", "sender/locations/L1", CPO),
        (CP, "PUT", "sender/sessions/S1/charging_preferences", CPO),
        (EM, "POST", "sender/tokens/04AA/authorize", EMSP),
        (CP, "POST", "receiver/commands/START_SESSION", EMSP),
        (CP, "PUT", "receiver/chargingprofiles/S1", CPO),
        (EM, "PUT", "sender/chargingprofiles/S1", CPO),
        (CP, "GET", "sender/locations", None),
        (EM, "GET", "receiver/cdrs/opaque", None),
    ],
)
def test_an_owner_that_the_path_doesnt_name_follows_from_the_parties(
    plays: Role, method: str, path: str, owner: Party | None
) -> None:
    """At the owner's interface it is the party that is asked; a command is about a token of its sender."""
    body: Any = ABSENT if method == "GET" else {}
    assert opened("2.2.1", method, path, dialect("2.2.1", plays), body).ref.owner == owner
