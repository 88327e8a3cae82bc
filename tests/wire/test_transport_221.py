"""2.2.1 between socket and message: paths, routing headers, references, envelopes, credentials."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import pytest
import samples
from attrs import evolve

from adapters.ocpi_2_2_1 import ADAPTER
from gateway.model.dialect import Dialect, Seat
from gateway.model.document import Document
from gateway.model.errors import (
    GatewayError,
    InvalidObject,
    NotAllowed,
    NotConnected,
    NotFound,
    ReceiverError,
    UnknownReceiver,
)
from gateway.model.facts import ABSENT, Crossing, FactKind, Facts, Key, Needs, Translated, Withheld
from gateway.model.message import Answer, HttpAnswer, HttpRequest, Message, Paged, Ref, Trace
from gateway.model.modules import Kind, Module, Side, Verb
from gateway.model.party import Party, Role
from gateway.model.policy import Policy

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


EXA, EXB, ACM, GWY = Party("NL", "EXA"), Party("NL", "EXB"), Party("DE", "ACM"), Party("NL", "GWY")
BEC = Party("BE", "BEC")
CLIENT = {"country_code": "BE", "party_id": "BEC", "role": "CPO", "status": "PLANNED"}
BASE = "https://gw.example/ocpi"
THEIRS = "https://acme.example/ocpi/2.2.1"
ROUTED = {
    "OCPI-from-country-code": "DE",
    "OCPI-from-party-id": "ACM",
    "OCPI-to-country-code": "NL",
    "OCPI-to-party-id": "EXA",
}


def seat(party: Party, role: Role) -> Seat:
    return Seat(party=party, role=role, business={"name": str(party)})


def partner(**changes: Any) -> Dialect:
    """An eMSP, to whom we are a CPO."""
    dialect = Dialect(
        link="acme",
        version="2.2.1",
        ours=(seat(EXA, Role.CPO),),
        theirs=(seat(ACM, Role.EMSP),),
        endpoints={
            (Module.LOCATIONS, Side.RECEIVER): f"{THEIRS}/locations/",
            (Module.SESSIONS, Side.RECEIVER): f"{THEIRS}/sessions",
            (Module.CDRS, Side.RECEIVER): f"{THEIRS}/cdrs/",
            (Module.TOKENS, Side.SENDER): f"{THEIRS}/tokens",
            (Module.CREDENTIALS, Side.SENDER): f"{THEIRS}/credentials",
        },
        offered=frozenset({(Module.TOKENS, Side.RECEIVER), (Module.LOCATIONS, Side.SENDER)}),
        base_url=BASE,
    )
    return evolve(dialect, **changes)


def backend(**changes: Any) -> Dialect:
    """Our CPO core, whose hub we are."""
    dialect = Dialect(
        link="backend",
        version="2.2.1",
        ours=(seat(GWY, Role.HUB),),
        theirs=(seat(EXA, Role.CPO),),
        base_url=BASE,
        backend=True,
    )
    return evolve(dialect, **changes)


def request(method: str, path: str, body: Any = ABSENT, **more: Any) -> HttpRequest:
    return HttpRequest(method=method, url=f"{BASE}/2.2.1/{path}", segments=tuple(path.split("/")), body=body, **more)


def opened(http: HttpRequest, dialect: Dialect) -> Message:
    return ADAPTER.open_request(http, dialect)


# Requests that come in


def test_a_push_is_opened_down_to_the_connector() -> None:
    """A PUT of a connector names owner, location, EVSE and connector, and is for whom the headers say."""
    headers = {
        "OCPI-from-country-code": "NL",
        "OCPI-from-party-id": "EXA",
        "X-Request-ID": "r",
        "X-Correlation-ID": "c",
    }
    message = opened(
        request("PUT", "receiver/locations/NL/EXA/LOC1/E1/1", samples.connector_221(), headers=headers), backend()
    )
    assert (message.module, message.verb, message.side) == (Module.LOCATIONS, Verb.PUT, Side.RECEIVER)
    assert message.ref == Ref(owner=EXA, id="LOC1", evse_uid="E1", connector_id="1")
    assert (message.sender, message.receiver) == (EXA, None)
    assert message.trace == Trace(request_id="r", correlation_id="c")
    assert message.body == Document(Kind.CONNECTOR, samples.connector_221())
    assert message.wire_version == "2.2.1"


@pytest.mark.parametrize(
    "path", ["receiver/tokens/DE/ACM/04AA", "receiver/tokens/DEU/acm/04AA", "receiver/tokens/de/Acm/04AA/"]
)
def test_an_owner_is_understood_in_any_spelling(path: str) -> None:
    """Alpha-2, alpha-3, any case, with and without a trailing slash: the same owner."""
    message = opened(request("PATCH", path, {"valid": False}, headers=ROUTED), partner())
    assert message.ref == Ref(owner=ACM, id="04AA", type="RFID")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("receiver/tokens/DE/OTH/04AA", {}),  # somebody else's
        ("receiver/tokens/ZZZ/ACM/04AA", {}),  # no such country
        ("receiver/locations/DE/ACM/LOC1", {}),  # an eMSP owns no locations
        ("receiver/tokens/DE/ACM", {}),
        ("receiver/tokens/DE/ACM/04AA/more", {}),
        ("receiver/tokens/DE/ACM/..", {}),
        ("receiver/tokens/DE/ACM/.", {}),
        ("receiver/nonsense/DE/ACM/1", {}),
        ("cpo/tokens/DE/ACM/04AA", {}),
        ("receiver", {}),
    ],
)
def test_what_is_nobodys_or_somebody_elses_is_404_check_08(path: str, body: Any) -> None:
    """A path that doesn't exist and an object of somebody else look alike."""
    with pytest.raises(NotFound) as caught:
        opened(request("PUT", path, body), partner())
    assert (caught.value.status, caught.value.http) == (2001, 404)


def test_a_method_that_a_resource_lacks_is_405_with_those_it_has_check_36_trap_35() -> None:
    """2.2.1 has no PATCH of tariffs."""
    with pytest.raises(NotAllowed) as caught:
        opened(request("PATCH", "receiver/tariffs/NL/EXA/T1", {}), backend())
    assert caught.value.allow == ("GET", "PUT", "DELETE")


@pytest.mark.parametrize("bad", ["\x00", "a\tb", "x" * 256])
def test_an_id_that_is_none_is_refused_by_name(bad: str) -> None:
    """Ids of a path are judged like ids of a body."""
    http = HttpRequest(method="PUT", url="", segments=("receiver", "tokens", "DE", "ACM", bad), body={})
    with pytest.raises(InvalidObject, match=r"\{token_uid\}"):
        opened(http, partner())


def test_letters_beyond_ascii_make_no_party() -> None:
    """A dotless i or a fullwidth letter that folds to an ASCII one isn't it."""
    http = HttpRequest(method="PUT", url="", segments=("receiver", "tokens", "ıe", "ACM", "1"), body={})
    with pytest.raises(InvalidObject):
        opened(http, partner())


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"uid": "04BB"}, "$.uid"),
        ({"uid": "04AA", "country_code": "NL"}, "$.country_code"),
        ({"uid": "04AA", "party_id": "OTH"}, "$.party_id"),
        ({"uid": "04AA", "country_code": "ZZZ"}, "$.country_code"),
        (ABSENT, "$"),
        ([], "$"),
    ],
)
def test_a_body_that_contradicts_its_url_is_2001_check_07(body: Any, path: str) -> None:
    """Id and owner in the body are those in the URL, or the message names the field that differs."""
    with pytest.raises(InvalidObject) as caught:
        opened(request("PUT", "receiver/tokens/DE/ACM/04AA", body, headers=ROUTED), partner())
    assert (caught.value.path, caught.value.status, caught.value.http) == (path, 2001, 200)


def test_ids_and_owners_compare_without_case_trap_55() -> None:
    """URL and body may spell an id or a country differently: it is the same one, spelled as in the URL."""
    body = {"uid": "04aa", "country_code": "DEU", "party_id": "acm"}
    message = opened(request("PUT", "receiver/tokens/DE/ACM/04AA", body, headers=ROUTED), partner())
    assert message.ref.id == "04AA"


@pytest.mark.parametrize(
    ("query", "body", "expected"),
    [
        ({}, {"type": "APP_USER"}, "APP_USER"),
        ({"type": "APP_USER"}, {"type": "APP_USER"}, "APP_USER"),
        ({"type": "OTHER"}, {}, "OTHER"),
        ({}, {}, "RFID"),
    ],
)
def test_the_type_of_a_token_comes_from_query_or_body(query: dict[str, str], body: Any, expected: str) -> None:
    """The type is a part of a token's name; left out everywhere it is RFID."""
    message = opened(request("PUT", "receiver/tokens/DE/ACM/04AA", body, query=query), partner())
    assert message.ref.type == expected


def test_a_token_of_another_type_than_its_url_is_2001() -> None:
    """``?type=`` and the type in the body are the same."""
    with pytest.raises(InvalidObject, match=r"\$\.type"):
        opened(request("PUT", "receiver/tokens/DE/ACM/04AA", {"type": "OTHER"}, query={"type": "RFID"}), partner())


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        (ROUTED | {"OCPI-from-party-id": "OTH"}, "OCPI-from-party-id"),
        ({"OCPI-from-country-code": "DE"}, "OCPI-from-party-id"),
        ({"OCPI-to-party-id": "EXA"}, "OCPI-to-country-code"),
        (ROUTED | {"OCPI-from-country-code": "ZZZ"}, "OCPI-from-country-code"),
        (ROUTED | {"OCPI-from-party-id": "\uff21CM"}, "OCPI-from-party-id"),
    ],
)
def test_routing_headers_that_name_nobody_or_a_stranger_are_2001(headers: dict[str, str], field: str) -> None:
    """Half a pair, an unknown country, or a party that isn't the caller's."""
    with pytest.raises(InvalidObject) as caught:
        opened(request("PUT", "receiver/tokens/DE/ACM/04AA", {}, headers=headers), partner())
    assert caught.value.path == field


def test_a_receiver_that_is_not_ours_is_4001() -> None:
    """A partner reaches our parties and nobody else."""
    with pytest.raises(UnknownReceiver) as caught:
        opened(
            request("PUT", "receiver/tokens/DE/ACM/04AA", {}, headers=ROUTED | {"OCPI-to-party-id": "XYZ"}), partner()
        )
    assert (caught.value.status, caught.value.http) == (4001, 200)


def test_without_headers_the_only_parties_are_meant() -> None:
    """One party of each role on both sides needs no headers; several do."""
    http = request("PUT", "receiver/tokens/DE/ACM/04AA", {})
    message = opened(http, partner())
    assert (message.sender, message.receiver) == (ACM, EXA)
    with pytest.raises(InvalidObject, match="OCPI-to-party-id"):
        opened(http, partner(ours=(seat(EXA, Role.CPO), seat(EXB, Role.CPO))))
    mixed = partner(ours=(seat(EXA, Role.CPO), seat(EXB, Role.EMSP)))
    assert opened(http, mixed).receiver == EXA


def test_the_owner_in_the_url_tells_which_of_several_parties_sends() -> None:
    """A platform with several parties pushes each one's objects under its own name, and claims no other."""
    both = backend(theirs=(seat(EXA, Role.CPO), seat(EXB, Role.CPO)))
    assert opened(request("PUT", "receiver/sessions/NL/EXB/S1", {}), both).sender == EXB
    from_exa = {"OCPI-from-country-code": "NL", "OCPI-from-party-id": "EXA"}
    with pytest.raises(InvalidObject, match="OCPI-from-party-id"):
        opened(request("PUT", "receiver/sessions/NL/EXB/S1", {}, headers=from_exa), both)


def test_a_backend_addresses_whom_it_likes() -> None:
    """We are its hub: any receiver passes to the router, also none, which is open routing."""
    to_acm = {"OCPI-to-country-code": "DEU", "OCPI-to-party-id": "acm"}
    http = request("PUT", "receiver/tariffs/NL/EXA/T1", {}, headers=to_acm)
    assert opened(http, backend()).receiver == ACM
    assert opened(request("DELETE", "receiver/tariffs/NL/EXA/T1"), backend()).receiver is None


def test_a_cdr_is_named_by_its_body() -> None:
    """Its owner must be one of the caller's parties, and the one that the headers say."""
    message = opened(request("POST", "receiver/cdrs", samples.cdr_221()), backend())
    assert message.ref == Ref(owner=EXA, id=samples.cdr_221()["id"])
    assert message.sender == EXA
    for body, field in [
        ({"country_code": "NL", "party_id": "OTH", "id": "1"}, r"\$\.party_id"),
        ({"party_id": "EXA", "id": "1"}, r"\$\.country_code"),
        ({"country_code": "NL", "party_id": "EXA", "id": 5}, r"\$\.id"),
    ]:
        with pytest.raises(InvalidObject, match=field):
            opened(request("POST", "receiver/cdrs", body), backend())


def test_the_url_of_a_cdr_can_be_read() -> None:
    """It is ours to define: one segment below the endpoint."""
    message = opened(request("GET", "receiver/cdrs/opaque"), backend())
    assert (message.verb, message.ref, message.body) == (Verb.GET, Ref(id="opaque"), None)


def test_an_authorization_names_token_type_and_perhaps_a_place() -> None:
    """The body is optional; the token belongs to the party that is asked."""
    dialect = partner(ours=(seat(ACM, Role.EMSP),), theirs=(seat(EXA, Role.CPO),))
    message = opened(request("POST", "sender/tokens/04AA/authorize", query={"type": "APP_USER"}), dialect)
    assert (message.action, message.side, message.body) == ("authorize", Side.SENDER, None)
    assert message.ref == Ref(owner=ACM, id="04AA", type="APP_USER")
    message = opened(request("POST", "sender/tokens/04AA/authorize", {"location_id": "L"}), dialect)
    assert message.body == Document(Kind.LOCATION_REFERENCES, {"location_id": "L"})
    assert message.ref.type == "RFID"
    with pytest.raises(NotFound):
        opened(request("POST", "sender/tokens/04AA/authorize"), partner())


def test_no_routing_headers_are_needed_or_read_for_hubclientinfo_check_77() -> None:
    """A hub tells of a party behind it; a backend reads our list, though several of its parties could be asking."""
    hub = partner(theirs=(seat(GWY, Role.HUB),))
    told = opened(request("PUT", "receiver/hubclientinfo/BEL/BEC", samples.client_info() | CLIENT), hub)
    assert (told.sender, told.receiver, told.ref) == (GWY, EXA, Ref(owner=BEC))
    assert told.body is not None
    assert told.body.kind is Kind.CLIENT_INFO
    both = backend(theirs=(seat(EXA, Role.CPO), seat(EXB, Role.CPO)))
    http = request("GET", "sender/hubclientinfo", headers={"OCPI-from-party-id": "half of a pair"})
    assert (opened(http, both).sender, opened(http, both).receiver) == (EXA, GWY)
    with pytest.raises(InvalidObject, match=r"\$\.party_id"):
        opened(request("PUT", "receiver/hubclientinfo/BE/OTH", CLIENT), hub)


def hub(**changes: Any) -> Dialect:
    """A hub with a CPO behind it, to whom we are an eMSP."""
    return partner(
        **{"ours": (seat(ACM, Role.EMSP),), "theirs": (seat(GWY, Role.HUB),), "reaches": frozenset({BEC})} | changes
    )


def routed(to: Party, from_: Party) -> dict[str, str]:
    return {
        "OCPI-to-country-code": to.country_code,
        "OCPI-to-party-id": to.party_id,
        "OCPI-from-country-code": from_.country_code,
        "OCPI-from-party-id": from_.party_id,
    }


@pytest.mark.parametrize("from_", [Party("BE", "BEC"), GWY])
def test_a_hub_sends_what_others_own_check_72_trap_18(from_: Party) -> None:
    """FROM is the hub on a broadcast, the owner where it was addressed; the owner in URL and body is the original."""
    body = samples.location_221() | {"country_code": "BE", "party_id": "BEC", "id": "LOC1"}
    message = opened(request("PUT", "receiver/locations/BE/BEC/LOC1", body, headers=routed(ACM, from_)), hub())
    assert (message.ref.owner, message.sender, message.receiver) == (BEC, from_, ACM)
    said = ADAPTER.write_answer(Answer(status=1000), message, hub())
    assert {name: value for name, value in said.headers.items() if name.startswith("OCPI")} == routed(from_, ACM)
    cdr = samples.cdr_221() | {"country_code": "BE", "party_id": "BEC"}
    posted = opened(request("POST", "receiver/cdrs", cdr, headers=routed(ACM, from_)), hub())
    assert (posted.ref.owner, posted.sender) == (BEC, from_)


def test_a_hub_sends_nothing_for_whom_it_does_not_reach() -> None:
    """Neither objects, nor messages; and of those behind it none speaks for another."""
    with pytest.raises(NotFound):
        opened(request("PUT", "receiver/locations/FR/OTH/L1", {}, headers=routed(ACM, GWY)), hub())
    with pytest.raises(InvalidObject, match="OCPI-from-party-id"):
        opened(request("PUT", "receiver/locations/BE/BEC/L1", {}, headers=routed(ACM, Party("FR", "OTH"))), hub())
    two = hub(reaches=frozenset({BEC, EXB}))
    with pytest.raises(InvalidObject, match="OCPI-from-party-id"):
        opened(request("PUT", "receiver/locations/BE/BEC/L1", {}, headers=routed(ACM, EXB)), two)


@pytest.mark.parametrize(
    ("required", "dialect", "headers", "missing"),
    [
        (None, hub(), {}, "OCPI-from-party-id"),
        (None, hub(), {"OCPI-from-country-code": "NL", "OCPI-from-party-id": "GWY"}, "OCPI-to-party-id"),
        (False, hub(), {}, None),
        (None, backend(), {}, None),
        (True, backend(), {}, "OCPI-from-party-id"),
        (True, backend(), {"OCPI-from-country-code": "NL", "OCPI-from-party-id": "EXA"}, None),
    ],
)
def test_routing_headers_may_be_required(
    required: bool | None, dialect: Dialect, headers: dict[str, str], missing: str | None
) -> None:
    """Behind hubs they are, unless the link says otherwise; to a backend we are the hub, and TO may be open."""
    owner = "BE/BEC" if dialect.hub else "NL/EXA"
    dialect = evolve(dialect, policy=Policy(routing_require_headers=required))
    http = request("PUT", f"receiver/locations/{owner}/L1", {}, headers=headers)
    if missing is None:
        assert opened(http, dialect).ref.id == "L1"
        return
    with pytest.raises(InvalidObject) as caught:
        opened(http, dialect)
    assert caught.value.path == missing


def test_a_cdr_may_be_posted_with_its_owner_in_the_url() -> None:
    """The specification has no such path, and peers use it: body and URL agree, as everywhere."""
    http = request("POST", "receiver/cdrs/NL/EXA", samples.cdr_221())
    assert opened(http, backend()).ref == Ref(owner=EXA, id=samples.cdr_221()["id"])
    both = backend(theirs=(seat(EXA, Role.CPO), seat(EXB, Role.CPO)))
    with pytest.raises(InvalidObject, match=r"\$\.party_id"):
        opened(request("POST", "receiver/cdrs/NL/EXB", samples.cdr_221()), both)


def test_charging_preferences_are_put_below_the_session() -> None:
    """No object of their own: an action on the CPO's session."""
    message = opened(request("PUT", "sender/sessions/S1/charging_preferences", {"id": "x"}, headers=ROUTED), partner())
    assert (message.action, message.ref) == ("charging_preferences", Ref(owner=EXA, id="S1"))
    assert message.body == Document(Kind.CHARGING_PREFERENCES, {"id": "x"})


def test_a_token_is_read_with_its_type_and_listed_without() -> None:
    """``?type=`` belongs to one token's name."""
    one = opened(request("GET", "receiver/tokens/DE/ACM/04AA", query={"type": "OTHER"}, headers=ROUTED), partner())
    assert one.ref == Ref(owner=ACM, id="04AA", type="OTHER")
    emsp = partner(ours=(seat(ACM, Role.EMSP),), theirs=(seat(EXA, Role.CPO),))
    assert opened(request("GET", "sender/tokens"), emsp).ref == Ref()


@pytest.mark.parametrize("body", ["ACCEPTED", {"data": "ACCEPTED", "status_code": 1000}, {"result": "ACCEPTED"}])
@pytest.mark.parametrize(
    "kind",
    [Kind.COMMAND_RESULT, Kind.CHARGING_PROFILE_RESULT, Kind.ACTIVE_CHARGING_PROFILE_RESULT, Kind.CLEAR_PROFILE_RESULT],
)
def test_a_result_comes_bare_as_a_word_or_wrapped_trap_49(body: Any, kind: Kind) -> None:
    """Of whatever kind: the body doesn't say, so it is read as what was asked for. TO may be missing."""
    dialect = partner(ours=(seat(ACM, Role.EMSP),), theirs=(seat(EXA, Role.CPO), seat(EXB, Role.CPO)))
    message = opened(request("POST", "callback/c-1", body), dialect)
    assert (message.action, message.ref, message.receiver) == ("callback", Ref(id="c-1"), None)
    assert message.sender == EXA  # of several the first: the id says which request it answers
    assert message.body is not None
    assert ADAPTER.up(kind, message.body.data, crossing()) == Translated({"result": "ACCEPTED"})
    named = opened(request("POST", "callback/c-1", body, headers=routed(ACM, EXB)), dialect)
    assert (named.sender, named.receiver) == (EXB, ACM)
    with pytest.raises(InvalidObject):
        opened(request("POST", "callback/c-1", body, headers=routed(ACM, BEC)), dialect)


# Requests that go out


def message(module: Module, verb: Verb, side: Side, ref: Ref, **more: Any) -> Message:
    trace = Trace(request_id="r-1", correlation_id="c-1")
    return Message(module=module, verb=verb, side=side, sender=EXA, receiver=ACM, ref=ref, trace=trace, **more)


def test_a_request_goes_to_the_endpoint_they_published() -> None:
    """Ids are encoded, owners alpha-2 whatever the link mirrors, sender and receiver in headers."""
    ref = Ref(owner=EXA, id="LOC/1", evse_uid="NL*E1")
    body = Document(Kind.EVSE, {"uid": "NL*E1"})
    http = ADAPTER.write_request(
        message(Module.LOCATIONS, Verb.PATCH, Side.RECEIVER, ref, body=body), partner(alpha_3=True)
    )
    assert (http.method, http.url) == ("PATCH", f"{THEIRS}/locations/NL/EXA/LOC%2F1/NL%2AE1")
    assert http.body == {"uid": "NL*E1"}
    assert dict(http.headers) == {
        "X-Request-ID": "r-1",
        "X-Correlation-ID": "c-1",
        "OCPI-to-country-code": "DE",
        "OCPI-to-party-id": "ACM",
        "OCPI-from-country-code": "NL",
        "OCPI-from-party-id": "EXA",
        "Content-Type": "application/json",
    }


def test_a_url_spells_the_id_as_its_body_does() -> None:
    """An id that has another form in this version has it in both places."""
    for ref, body, end in [
        (Ref(owner=EXA, id="long"), Document(Kind.LOCATION, {"id": "h-1"}), "/h-1"),
        (Ref(owner=EXA, id="L", evse_uid="long"), Document(Kind.EVSE, {"uid": "h-1"}), "/L/h-1"),
        (Ref(owner=EXA, id="L", evse_uid="E", connector_id="c"), Document(Kind.CONNECTOR, {"id": "C"}), "/L/E/C"),
    ]:
        put = message(Module.LOCATIONS, Verb.PUT, Side.RECEIVER, ref, body=body)
        assert ADAPTER.write_request(put, partner()).url == f"{THEIRS}/locations/NL/EXA{end}"


def test_cdrs_are_posted_to_the_endpoint_as_it_stands() -> None:
    """No id in the URL, and the slash they published stays."""
    body = Document(Kind.CDR, {"id": "C1"})
    http = ADAPTER.write_request(message(Module.CDRS, Verb.POST, Side.RECEIVER, Ref(id="C1"), body=body), partner())
    assert http.url == f"{THEIRS}/cdrs/"


def test_an_authorization_says_the_type_and_has_no_body_without_a_place() -> None:
    """``?type=`` always goes along; no body, no content type."""
    asked = message(Module.TOKENS, Verb.POST, Side.SENDER, Ref(id="04AA"), action="authorize")
    http = ADAPTER.write_request(asked, partner())
    assert http.url == f"{THEIRS}/tokens/04AA/authorize?type=RFID"
    assert http.body is ABSENT
    assert "content-type" not in http.headers


def test_a_body_says_nothing_about_the_token_that_is_asked_for() -> None:
    """An unknown field of LocationReferences can't turn the question into one about another token."""
    body = Document(Kind.LOCATION_REFERENCES, {"location_id": "L", "id": "other", "uid": "other", "type": "OTHER"})
    asked = message(Module.TOKENS, Verb.POST, Side.SENDER, Ref(id="04AA", type="RFID"), action="authorize", body=body)
    assert ADAPTER.write_request(asked, partner()).url == f"{THEIRS}/tokens/04AA/authorize?type=RFID"


def test_a_result_goes_to_the_url_that_was_given_with_both_parties_named() -> None:
    """To the letter, its body bare, and the two trade places: FROM is the CPO."""
    late = message(
        Module.COMMANDS, Verb.POST, Side.SENDER, Ref(id="c-1"), action="callback",
        body=Document(Kind.COMMAND_RESULT, {"result": "ACCEPTED"}),
    )  # fmt: skip
    http = ADAPTER.write_callback(late, "https://acme.example/r?id=7", partner())
    assert (http.method, http.url, http.body) == ("POST", "https://acme.example/r?id=7", {"result": "ACCEPTED"})
    assert (http.headers["OCPI-from-party-id"], http.headers["OCPI-to-party-id"]) == ("EXA", "ACM")
    assert heard(late, 200, {"status_code": 1000}) == Answer(status=1000)
    assert ADAPTER.callback_url("c-1", partner()) == f"{BASE}/2.2.1/callback/c-1"


def test_open_routing_leaves_the_receiver_out_trap_20() -> None:
    """TO is missing altogether, whatever the link says about it."""
    dialect = hub(endpoints=partner().endpoints, policy=Policy(routing_to_party="hub"))
    ask = message(Module.TOKENS, Verb.POST, Side.SENDER, Ref(id="1"), action="authorize").evolve(receiver=None)
    headers = ADAPTER.write_request(ask, dialect).headers
    assert headers["OCPI-from-party-id"] == "EXA"
    assert not {"OCPI-to-country-code", "OCPI-to-party-id"} & set(headers)


@pytest.mark.parametrize(
    ("switch", "receiver", "named"),
    [
        ("peer", BEC, BEC),
        ("peer", GWY, GWY),
        ("hub", BEC, GWY),
        ("end_party", BEC, BEC),
        ("end_party", GWY, Party("DE", "ACM")),  # whose token the CDR carries
    ],
)
def test_whom_to_names_towards_a_hub_is_the_links_to_say(switch: str, receiver: Party, named: Party) -> None:
    """The party that is meant, always the hub, or the party behind it that only the token tells."""
    dialect = hub(endpoints=partner().endpoints, policy=Policy(routing_to_party=switch))
    cdr = message(Module.CDRS, Verb.POST, Side.RECEIVER, Ref(owner=EXA, id="C1"))
    cdr = cdr.evolve(receiver=receiver, body=Document(Kind.CDR, samples.cdr_221()))
    headers = ADAPTER.write_request(cdr, dialect).headers
    assert (headers["OCPI-to-country-code"], headers["OCPI-to-party-id"]) == (named.country_code, named.party_id)


@pytest.mark.parametrize(("switch", "end"), [("as_given", "cdrs/"), ("add", "cdrs/"), ("strip", "cdrs")])
def test_a_slash_at_the_end_is_as_the_link_says_trap_61(switch: str, end: str) -> None:
    """Before the query, on URLs made of an endpoint; with and without segments below it."""
    dialect = partner(policy=Policy(http_trailing_slash=switch))
    post = message(
        Module.CDRS, Verb.POST, Side.RECEIVER, Ref(owner=EXA, id="C1"), body=Document(Kind.CDR, {"id": "C1"})
    )
    assert ADAPTER.write_request(post, dialect).url == f"{THEIRS}/{end}"
    ask = message(Module.TOKENS, Verb.POST, Side.SENDER, Ref(id="04AA"), action="authorize")
    slash = "/" if switch == "add" else ""
    assert ADAPTER.write_request(ask, dialect).url == f"{THEIRS}/tokens/04AA/authorize{slash}?type=RFID"


def test_a_link_may_have_headers_of_its_own_that_never_replace_ours() -> None:
    """Besides those of the specification, on pushes and on results."""
    extra = {"X-Broker": "7", "ocpi-from-party-id": "XXX"}
    dialect = partner(policy=Policy(routing_extra_headers=extra))
    http = ADAPTER.write_request(message(Module.SESSIONS, Verb.GET, Side.RECEIVER, Ref(owner=EXA, id="S1")), dialect)
    assert (http.headers["X-Broker"], http.headers["OCPI-from-party-id"]) == ("7", "EXA")
    late = message(Module.COMMANDS, Verb.POST, Side.SENDER, Ref(id="c"), action="callback")
    assert ADAPTER.write_callback(late, "https://acme.example/r", dialect).headers["X-Broker"] == "7"


def test_cdrs_are_posted_below_country_and_party_where_a_link_says_so() -> None:
    """``cdrs.post_url``."""
    dialect = partner(policy=Policy(cdrs_post_url="with_party"))
    post = message(
        Module.CDRS, Verb.POST, Side.RECEIVER, Ref(owner=EXA, id="C1"), body=Document(Kind.CDR, {"id": "C1"})
    )
    assert ADAPTER.write_request(post, dialect).url == f"{THEIRS}/cdrs/NL/EXA"


def test_a_session_id_is_no_field_of_a_profile() -> None:
    """An unknown field of a body without an id of its own can't turn the request into one about something else."""
    dialect = partner(endpoints={(Module.CHARGING_PROFILES, Side.RECEIVER): f"{THEIRS}/chargingprofiles"})
    body = Document(Kind.SET_CHARGING_PROFILE, samples.set_charging_profile() | {"id": "other"})
    put = message(Module.CHARGING_PROFILES, Verb.PUT, Side.RECEIVER, Ref(owner=ACM, id="S1"), body=body)
    assert ADAPTER.write_request(put, dialect).url == f"{THEIRS}/chargingprofiles/S1"


def test_what_they_dont_have_is_not_connected() -> None:
    """A missing endpoint is named by module and interface."""
    with pytest.raises(NotConnected, match=r"tariffs \(RECEIVER\)"):
        ADAPTER.write_request(message(Module.TARIFFS, Verb.DELETE, Side.RECEIVER, Ref(owner=EXA, id="T1")), partner())


def test_a_method_that_the_version_lacks_is_never_sent() -> None:
    """A PATCH of a tariff isn't turned into something else on the way out."""
    with pytest.raises(NotAllowed):
        ADAPTER.write_request(message(Module.TARIFFS, Verb.PATCH, Side.RECEIVER, Ref(owner=EXA, id="T1")), partner())


def test_an_id_that_no_url_carries_is_refused() -> None:
    """A backslash is text in a body and a path in the wrong program."""
    with pytest.raises(InvalidObject):
        ADAPTER.write_request(message(Module.SESSIONS, Verb.PUT, Side.RECEIVER, Ref(owner=EXA, id="a\\b")), partner())


# Answers that come in

PUSH = message(Module.SESSIONS, Verb.PUT, Side.RECEIVER, Ref(owner=EXA, id="S1"))
ASK = message(Module.TOKENS, Verb.POST, Side.SENDER, Ref(id="04AA"), action="authorize")
CDR = message(Module.CDRS, Verb.POST, Side.RECEIVER, Ref(id="C1"))


def heard(message: Message, status: int, body: Any = ABSENT, **headers: str) -> Answer:
    http = HttpAnswer(status=status, headers=headers, body=body)
    return ADAPTER.open_answer(http, message, partner())


def test_an_answer_is_judged_by_its_envelope_trap_23_trap_66() -> None:
    """Success is 1xxx; data that the specification doesn't define is dropped; errors keep code, text and HTTP."""
    answer = heard(PUSH, 201, {"status_code": 1000, "data": "whatever", "timestamp": "2026-01-01T00:00:00Z"})
    assert (answer.good, answer.http, answer.data) == (True, 201, ABSENT)
    answer = heard(PUSH, 200, {"status_code": 2001, "status_message": "no", "data": None})
    assert (answer.good, answer.status, answer.text, answer.data) == (False, 2001, "no", ABSENT)
    assert heard(PUSH, 400, {"status_code": 2002}).status == 2002
    assert heard(PUSH, 200, {"status_code": 1999}).good


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, ABSENT),
        (200, "OK"),
        (200, {}),
        (200, {"status_code": "1000"}),
        (200, {"status_code": True}),
        (200, {"status_code": 200}),
        (500, {"status_code": 1000}),
        (302, {"status_code": 1000}),
        (401, ABSENT),
        (503, "<html>"),
    ],
)
def test_what_is_no_ocpi_answer_is_the_receivers_fault(status: int, body: Any) -> None:
    """Nothing counts as success without an integer code of success and HTTP 2xx."""
    with pytest.raises(ReceiverError):
        heard(PUSH, status, body)


@pytest.mark.parametrize("body", [ABSENT, "<html>", {"status_code": 1000}, {"status_code": 2001}])
def test_an_object_that_isnt_there_is_404_however_it_is_said(body: Any) -> None:
    """So a PATCH can become a PUT."""
    answer = heard(PUSH, 404, body)
    assert (answer.status, answer.http) == (2001, 404)


def test_a_404_for_a_cdr_says_nothing_about_the_cdr() -> None:
    """It addresses no object, so only an envelope refuses it."""
    with pytest.raises(ReceiverError):
        heard(CDR, 404)
    assert heard(CDR, 404, {"status_code": 2000}).status == 2000


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, ABSENT), (404, {"status_code": 2004}), (200, {"status_code": 2004}), (404, {"status_code": 2001})],
)
def test_an_unknown_token_is_2004_however_it_is_said(status: int, body: Any) -> None:
    """The specification wants both the status and HTTP 404; peers send one."""
    answer = heard(ASK, status, body)
    assert (answer.status, answer.http, answer.data) == (2004, 404, ABSENT)


def test_an_authorization_brings_its_information_or_is_none() -> None:
    """The data is a document; success without it is no answer; another refusal stays what it is."""
    answer = heard(ASK, 200, {"status_code": 1000, "data": {"allowed": "BLOCKED"}})
    assert answer.data == Document(Kind.AUTHORIZATION_INFO, {"allowed": "BLOCKED"})
    with pytest.raises(ReceiverError):
        heard(ASK, 200, {"status_code": 1000})
    assert heard(ASK, 404, {"status_code": 2003}).status == 2003


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://acme.example/c/1", "https://acme.example/c/1"),
        ("/ocpi/emsp/cdrs/1", "https://acme.example/ocpi/emsp/cdrs/1"),
        ("1", f"{THEIRS}/cdrs/1"),
        ("http://[", None),
    ],
)
def test_the_location_of_a_cdr_is_absolute_trap_47(location: str, expected: str | None) -> None:
    """A relative one is resolved against the URL that was posted to; nonsense doesn't undo a delivery."""
    answer = heard(CDR, 201, {"status_code": 1000}, Location=location)
    assert (answer.good, answer.location) == (True, expected)


@pytest.mark.parametrize(
    ("switch", "headers", "data", "expected"),
    [
        ("header_or_body", {"Location": "/c/1"}, f"{THEIRS}/cdrs/2", "https://acme.example/c/1"),
        ("header_or_body", {}, f"{THEIRS}/cdrs/2", f"{THEIRS}/cdrs/2"),
        ("header_or_body", {}, "thanks", None),
        ("header_or_body", {}, {"id": "C1"}, None),
        ("header", {}, f"{THEIRS}/cdrs/2", None),
        ("by_id", {"Location": "/c/1"}, None, f"{THEIRS}/cdrs/C1"),
    ],
)
def test_the_location_of_a_cdr_is_found_where_the_link_says(
    switch: str, headers: dict[str, str], data: Any, expected: str | None
) -> None:
    """In the header, in data, or nowhere: then it is the endpoint and the id."""
    dialect = partner(policy=Policy(cdrs_location_from=switch))
    http = HttpAnswer(status=201, headers=headers, body={"status_code": 1000, "data": data})
    answer = ADAPTER.open_answer(http, CDR, dialect)
    assert (answer.location, answer.data) == (expected, ABSENT)


def test_an_answer_without_a_code_is_a_success_only_where_the_link_says_so() -> None:
    """And only with HTTP 2xx, in an envelope that has no code at all."""
    lenient = partner(policy=Policy(errors_success_test="absent_is_success"))
    said = HttpAnswer(status=200, body={"data": {"allowed": "ALLOWED"}})
    answer = ADAPTER.open_answer(said, ASK, lenient)
    assert (answer.status, answer.data) == (1000, Document(Kind.AUTHORIZATION_INFO, {"allowed": "ALLOWED"}))
    with pytest.raises(ReceiverError):
        ADAPTER.open_answer(said, ASK, partner())
    for status, body in [(200, ABSENT), (200, []), (200, {"status_code": "1000"}), (500, {"data": None})]:
        with pytest.raises(ReceiverError):
            ADAPTER.open_answer(HttpAnswer(status=status, body=body), PUSH, lenient)


@pytest.mark.parametrize(
    ("side", "ref", "kind"),
    [
        (Side.RECEIVER, Ref(owner=EXA, id="L1"), Kind.LOCATION),
        (Side.RECEIVER, Ref(owner=EXA, id="L1", evse_uid="E1"), Kind.EVSE),
        (Side.SENDER, Ref(id="L1", evse_uid="E1", connector_id="1"), Kind.CONNECTOR),
    ],
)
def test_an_object_that_was_asked_for_comes_as_what_it_is(side: Side, ref: Ref, kind: Kind) -> None:
    """At the depth that was asked for; a success without it is no answer."""
    ask = message(Module.LOCATIONS, Verb.GET, side, ref)
    assert heard(ask, 200, {"status_code": 1000, "data": {"id": "x"}}).data == Document(kind, {"id": "x"})
    with pytest.raises(ReceiverError):
        heard(ask, 200, {"status_code": 1000, "data": [{"id": "x"}]})


def test_charging_preferences_are_answered_with_a_word() -> None:
    """The only answer of the specification that is no object."""
    ask = message(Module.SESSIONS, Verb.PUT, Side.SENDER, Ref(id="S1"), action="charging_preferences")
    assert heard(ask, 200, {"status_code": 1000, "data": "NOT_POSSIBLE"}).data == "NOT_POSSIBLE"
    with pytest.raises(ReceiverError):
        heard(ask, 200, {"status_code": 1000, "data": {"result": "ACCEPTED"}})


def test_a_profile_is_answered_at_once_whatever_was_asked_about_it() -> None:
    """GET, PUT and DELETE alike: the CPO has understood, or not."""
    said = {"status_code": 1000, "data": samples.charging_profile_response()}
    for verb in (Verb.GET, Verb.PUT, Verb.DELETE):
        ask = message(Module.CHARGING_PROFILES, verb, Side.RECEIVER, Ref(id="S1"))
        assert heard(ask, 200, said).data == Document(Kind.CHARGING_PROFILE_RESPONSE, said["data"])


# Lists that come in

LIST = message(Module.CDRS, Verb.GET, Side.SENDER, Ref())


def listed(http: HttpAnswer, called: str | None = None) -> Answer:
    return ADAPTER.open_answer(http, LIST, partner(endpoints={(Module.CDRS, Side.SENDER): f"{THEIRS}/cdrs"}), called)


async def slices() -> AsyncGenerator[list[Any], None]:
    yield [{"id": "C1"}]


def test_a_list_comes_with_what_its_headers_say() -> None:
    """Items in wire form, whatever they are: a bad one costs itself, later."""
    headers = {"X-Total-Count": "250", "X-Limit": " 100 ", "Link": f'<{THEIRS}/cdrs?offset=100>; rel="next"'}
    answer = listed(HttpAnswer(status=200, headers=headers, body={"status_code": 1000, "data": [{"id": "C1"}, 5]}))
    assert answer.data == [{"id": "C1"}, 5]
    assert answer.page == Paged(total=250, limit=100, next=f"{THEIRS}/cdrs?offset=100")
    odd = {"X-Total-Count": "many", "X-Limit": "-1"}
    assert listed(HttpAnswer(status=200, headers=odd, body={"status_code": 1000, "data": []})).page == Paged()


@pytest.mark.parametrize("body", [{"status_code": 1000}, {"status_code": 1000, "data": None}])
def test_a_list_of_nothing_is_empty(body: Any) -> None:
    """Null and absent are the same as an empty list."""
    assert listed(HttpAnswer(status=200, body=body)).data == []


def test_a_list_that_is_none_is_no_answer() -> None:
    """An object where a list belongs can't be passed on as one."""
    with pytest.raises(ReceiverError):
        listed(HttpAnswer(status=200, body={"status_code": 1000, "data": {"id": "C1"}}))
    assert listed(HttpAnswer(status=200, body={"status_code": 2001, "data": []})).page is None


def test_a_streamed_list_is_not_gathered() -> None:
    """Its items pass as they come, and there is no data."""
    stream = slices()
    answer = listed(HttpAnswer(status=200, body={"status_code": 1000}, items=stream))
    assert answer.items is stream
    assert (answer.data, answer.page) == (ABSENT, Paged())


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ('<https://acme.example/n?o=1,2;3>; rel="next"', "https://acme.example/n?o=1,2;3"),
        ("<https://acme.example/n>;rel=next", "https://acme.example/n"),
        ("< https://acme.example/n > ; REL = 'Next'", "https://acme.example/n"),
        ("<https://acme.example/n>; rel=\u201cnext\u201d", "https://acme.example/n"),
        ("<https://acme.example/n>; rel=\udc93next\udc94", "https://acme.example/n"),
        ('<https://acme.example/n>; rel="next', "https://acme.example/n"),
        ('<https://acme.example/n>; title="a, <b>; rel=last"; rel="last next"', "https://acme.example/n"),
        ('<https://acme.example/p>; rel="prev", <https://acme.example/n>; rel="next"', "https://acme.example/n"),
        ('https://acme.example/n?offset=2; rel="next"', "https://acme.example/n?offset=2"),
        ('<?offset=2>; rel="next"', f"{THEIRS}/cdrs?offset=2"),
        ('</n?offset=2>; rel="next"', "https://acme.example/n?offset=2"),
        ('<https://acme.example/p>; rel="last"', None),
        ('<https://acme.example/p>; rel="prev"; rel="next"', None),  # RFC 8288 3.3: the first counts
        ('<https://acme.example/p>; title="rel=next"', None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_the_next_page_is_found_however_it_is_written(link: str, expected: str | None) -> None:
    """Order, spacing, quotes and brackets vary; what is relative starts from the URL that was called."""
    answer = listed(HttpAnswer(status=200, headers={"Link": link}, body={"status_code": 1000}))
    assert answer.page == Paged(next=expected)


def test_a_link_is_relative_to_the_page_that_was_called() -> None:
    """Where that was a link already, it may lie elsewhere than the endpoint."""
    http = HttpAnswer(status=200, headers={"Link": '<2>; rel="next"'}, body={"status_code": 1000})
    answer = listed(http, "https://pages.example/of/cdrs/1")
    assert answer.page == Paged(next="https://pages.example/of/cdrs/2")


def test_a_next_page_at_no_url_is_no_last_page() -> None:
    """Passed over, it would make everything behind it look deleted."""
    with pytest.raises(ReceiverError):
        listed(HttpAnswer(status=200, headers={"Link": '<http://[>; rel="next"'}, body={"status_code": 1000}))


# Answers that go out


def test_an_answer_swaps_the_parties_and_repeats_the_ids_trap_17() -> None:
    """TO is who asked, FROM who was asked; the rim adds the timestamp."""
    said = ADAPTER.write_answer(
        Answer(status=1000, http=201, text="Success", data=Document(Kind.TOKEN, {"uid": "1"})), PUSH, partner()
    )
    assert said.status == 201
    assert said.body == {"data": {"uid": "1"}, "status_code": 1000, "status_message": "Success"}
    assert dict(said.headers) == {
        "X-Request-ID": "r-1",
        "X-Correlation-ID": "c-1",
        "OCPI-to-country-code": "NL",
        "OCPI-to-party-id": "EXA",
        "OCPI-from-country-code": "DE",
        "OCPI-from-party-id": "ACM",
    }


def test_open_routing_is_answered_by_the_hub() -> None:
    """Where no receiver was named, the gateway's own party answers."""
    said = ADAPTER.write_answer(Answer(status=1000), PUSH.evolve(receiver=None), backend())
    assert (said.headers["OCPI-from-party-id"], said.headers["OCPI-from-country-code"]) == ("GWY", "NL")


def test_a_cdr_is_answered_with_its_location_and_codes_pass() -> None:
    """Location goes out as a header; every status of 2.2.1 stays what it is."""
    said = ADAPTER.write_answer(Answer(status=1000, location=f"{BASE}/2.2.1/receiver/cdrs/x"), CDR, partner())
    assert said.headers["location"] == f"{BASE}/2.2.1/receiver/cdrs/x"
    assert "data" not in said.body
    assert ADAPTER.write_answer(Answer(status=4002), PUSH, backend()).body == {"status_code": 4002}
    unopened = ADAPTER.write_answer(Answer(status=2001, http=401), None, None)
    assert (unopened.status, dict(unopened.headers)) == (401, {})


@pytest.mark.parametrize("module", [Module.CREDENTIALS, Module.VERSIONS, Module.HUB_CLIENT_INFO])
def test_configuration_modules_have_no_routing_headers_check_77_trap_16(module: Module) -> None:
    """They are between platforms."""
    ask = PUSH.evolve(module=module)
    assert "OCPI-to-party-id" not in ADAPTER.write_answer(Answer(status=1000), ask, partner()).headers


def test_a_page_says_where_the_next_one_is() -> None:
    """What is known of the list goes into headers; the items pass, whole or streamed."""
    ask = message(Module.LOCATIONS, Verb.GET, Side.SENDER, Ref())
    page = Paged(total=250, limit=100, next=f"{BASE}/2.2.1/sender/locations?offset=100&limit=100")
    said = ADAPTER.write_answer(Answer(status=1000, data=[{"id": "L1"}], page=page), ask, partner())
    assert said.body == {"data": [{"id": "L1"}], "status_code": 1000}
    assert said.headers["Link"] == f'<{BASE}/2.2.1/sender/locations?offset=100&limit=100>; rel="next"'
    assert (said.headers["X-Total-Count"], said.headers["X-Limit"]) == ("250", "100")
    last = ADAPTER.write_answer(Answer(status=1000, items=slices(), page=Paged(limit=100)), ask, partner())
    assert last.items is not None
    assert last.body == {"status_code": 1000}
    assert last.headers["X-Limit"] == "100"
    assert not {"link", "x-total-count"} & {name.lower() for name in last.headers}


# Registration


def test_our_details_list_what_the_link_may_use() -> None:
    """Credentials as SENDER, and each offered interface under its own URL."""
    assert ADAPTER.write_details(partner()) == {
        "version": "2.2.1",
        "endpoints": [
            {"identifier": "credentials", "role": "SENDER", "url": f"{BASE}/2.2.1/credentials"},
            {"identifier": "locations", "role": "SENDER", "url": f"{BASE}/2.2.1/sender/locations"},
            {"identifier": "tokens", "role": "RECEIVER", "url": f"{BASE}/2.2.1/receiver/tokens"},
        ],
    }


def test_their_details_are_read_by_module_and_role_trap_14_trap_15() -> None:
    """What we don't know is skipped; the role of credentials means nothing; the version isn't compared."""
    details = {
        "version": "2.2",
        "endpoints": [
            {"identifier": "credentials", "role": "RECEIVER", "url": "https://a.example/c"},
            {"identifier": "tokens", "role": "SENDER", "url": "https://a.example/s/tokens"},
            {"identifier": "tokens", "role": "RECEIVER", "url": "https://a.example/r/tokens"},
            {"identifier": "nltnm-magic"},
            {"identifier": "cdrs", "role": "OBSERVER", "url": "https://a.example/x"},
        ],
    }
    assert ADAPTER.read_details(details, ()) == {
        (Module.CREDENTIALS, Side.SENDER): "https://a.example/c",
        (Module.TOKENS, Side.SENDER): "https://a.example/s/tokens",
        (Module.TOKENS, Side.RECEIVER): "https://a.example/r/tokens",
    }


@pytest.mark.parametrize(
    ("details", "path"),
    [
        ([], "$.endpoints"),
        ({"endpoints": {}}, "$.endpoints"),
        ({"endpoints": ["x"]}, "$.endpoints[0]"),
        ({"endpoints": [{"identifier": "cdrs", "role": "SENDER"}]}, "$.endpoints[0].url"),
    ],
)
def test_details_that_are_none_are_refused(details: Any, path: str) -> None:
    """With the path of what is wrong."""
    with pytest.raises(InvalidObject) as caught:
        ADAPTER.read_details(details, ())
    assert caught.value.path == path


def test_credentials_go_out_and_come_back() -> None:
    """Every party that we are, with its role and name; reading them gives the same seats."""
    dialect = partner(ours=(seat(EXA, Role.CPO), seat(EXB, Role.EMSP)))
    written = ADAPTER.write_credentials("tok-1", dialect)
    assert written["url"] == f"{BASE}/versions"
    assert written["roles"][0] == {
        "role": "CPO",
        "business_details": {"name": "NL-EXA"},
        "party_id": "EXA",
        "country_code": "NL",
    }
    read = ADAPTER.read_credentials(written, ())
    assert (read.token, read.url, read.seats, read.alpha_3) == ("tok-1", f"{BASE}/versions", dialect.ours, False)
    assert read.seats[0].business == {"name": "NL-EXA"}


def test_credentials_with_three_letters_are_folded_and_reported() -> None:
    """Estonia is not Spain."""
    written = ADAPTER.write_credentials("tok-1", partner())
    written["roles"][0]["country_code"] = "EST"
    read = ADAPTER.read_credentials(written, ())
    assert (read.seats[0].party, read.alpha_3) == (Party("EE", "EXA"), True)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"country_code": "ZZZ"}, "$.roles[0].country_code"),
        ({"party_id": "TOOLONG"}, "$.roles[0].party_id"),
        ({"role": "WIZARD"}, "$.roles"),
    ],
)
def test_credentials_that_name_nobody_are_refused(change: dict[str, str], path: str) -> None:
    """With the path of what is wrong."""
    written = ADAPTER.write_credentials("tok-1", partner())
    written["roles"][0] |= change
    with pytest.raises(InvalidObject) as caught:
        ADAPTER.read_credentials(written, ())
    assert caught.value.path == path


# Bodies


def crossing(known: dict[Key, Any] | None = None, **switches: Any) -> Crossing:
    return Crossing(facts=Facts(known, now=NOW), policy=Policy(**switches), owner=EXA)


@pytest.mark.parametrize("kind", sorted(samples.V221))
def test_a_valid_body_is_the_canonical_one(kind: Kind) -> None:
    """Up and down leave it as it is, unknown fields included."""
    body = samples.V221[kind].maximal() | {"x_own": [1]}
    for translate in (ADAPTER.up, ADAPTER.down):
        assert translate(kind, body, crossing()) == Translated(body)


def test_three_letters_are_folded_wherever_a_party_is_named() -> None:
    """At the top, in a token, in the tariffs of a CDR; what is no country stays."""
    body = samples.cdr_221() | {"country_code": "NLD"}
    body["cdr_token"] |= {"country_code": "DEU"}
    body["tariffs"][0]["country_code"] = "NLD"
    outcome = ADAPTER.up(Kind.CDR, body, crossing())
    assert isinstance(outcome, Translated)
    assert outcome.data["country_code"] == "NL"
    assert outcome.data["cdr_token"]["country_code"] == "DE"
    assert outcome.data["tariffs"][0]["country_code"] == "NL"
    assert outcome.losses == ()
    assert body["country_code"] == "NLD"
    body["cdr_token"]["country_code"] = "#NA"
    outcome = ADAPTER.up(Kind.CDR, body, crossing())
    assert isinstance(outcome, Translated)
    assert outcome.data["cdr_token"]["country_code"] == "#NA"


def test_client_info_without_a_time_is_news() -> None:
    """The specification's own example of a PUT has no last_updated, which is required; countries are folded."""
    outcome = ADAPTER.up(Kind.CLIENT_INFO, CLIENT | {"country_code": "BEL"}, crossing())
    assert outcome == Translated(CLIENT | {"last_updated": "2026-01-05T12:00:00Z"})
    dated = CLIENT | {"last_updated": "2025-01-01T00:00:00Z"}
    assert ADAPTER.up(Kind.CLIENT_INFO, dated, crossing()) == Translated(dated)


def test_a_link_that_drops_unknown_fields_says_so() -> None:
    """One loss for each."""
    outcome = ADAPTER.down(Kind.TOKEN, samples.token_221() | {"x_own": 1}, crossing(json_unknown_fields="drop"))
    assert isinstance(outcome, Translated)
    assert outcome.data == samples.token_221()
    assert [loss.pointer for loss in outcome.losses] == ["/x_own"]


def test_tariffs_of_another_audience_are_withheld_and_not_referenced() -> None:
    """A link for wholesale tariffs alone sees no ad hoc tariff, and no connector that refers to one."""
    adhoc = samples.tariff_221() | {"id": "AD", "type": "AD_HOC_PAYMENT"}
    with pytest.raises(Withheld):
        ADAPTER.down(Kind.TARIFF, adhoc, crossing(tariffs_audience=("wholesale",)))
    connector = samples.connector_221_minimal() | {"tariff_ids": ["AD", "W", "?"]}
    evse = samples.evse_221_minimal() | {"connectors": [connector]}
    location = samples.location_221_minimal() | {"evses": [evse]}
    asking = crossing(tariffs_audience=("wholesale",))
    keys = {tariff_id: Key(FactKind.TARIFF, EXA, tariff_id) for tariff_id in ("AD", "W", "?")}
    assert ADAPTER.down(Kind.LOCATION, location, asking) == Needs(frozenset(keys.values()))
    known = {keys["AD"]: adhoc, keys["W"]: samples.tariff_221()}
    knowing = Crossing(
        facts=Facts(known, now=NOW, complete=True), policy=Policy(tariffs_audience=("wholesale",)), owner=EXA
    )
    outcome = ADAPTER.down(Kind.LOCATION, location, knowing)
    assert isinstance(outcome, Translated)
    assert outcome.data["evses"][0]["connectors"][0]["tariff_ids"] == ["W", "?"]
    assert [loss.pointer for loss in outcome.losses] == ["/evses/0/connectors/0/tariff_ids/0"]


def test_errors_say_whose_fault_they_are() -> None:
    """Every refusal of a request is an error of the tree, with a status to answer."""
    for http in (request("PUT", "receiver/tokens/DE/ACM/04AA", 5), request("HEAD", "receiver/tokens/DE/ACM/1", {})):
        with pytest.raises(GatewayError) as caught:
            opened(http, partner())
        assert 2000 <= caught.value.status < 3000
