"""2.1.1 between socket and message: paths by role, owners by URL, countries in three letters, statuses it has."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import samples
from attrs import evolve

from adapters.ocpi_2_1_1 import ADAPTER
from gateway.model.dialect import Dialect, Seat
from gateway.model.document import Document
from gateway.model.errors import InvalidObject, NotAllowed, NotFound, ReceiverError, UnknownReceiver
from gateway.model.facts import ABSENT, Crossing, Facts, Translated
from gateway.model.message import Answer, HttpAnswer, HttpRequest, Message, Ref, Trace
from gateway.model.modules import Kind, Module, Side, Verb
from gateway.model.party import Party, Role
from gateway.model.policy import Policy

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
EXA, EXB, ACM, GWY = Party("NL", "EXA"), Party("NL", "EXB"), Party("DE", "ACM"), Party("NL", "GWY")
BASE = "https://gw.example/ocpi"
THEIRS = "https://acme.example/emsp/2.1.1"


def seat(party: Party, role: Role) -> Seat:
    return Seat(party=party, role=role, business={"name": str(party)})


def emsp(**changes: Any) -> Dialect:
    """An eMSP that writes alpha-3, to whom we are a CPO."""
    dialect = Dialect(
        link="acme",
        version="2.1.1",
        ours=(seat(EXA, Role.CPO),),
        theirs=(seat(ACM, Role.EMSP),),
        endpoints={
            (Module.LOCATIONS, Side.RECEIVER): f"{THEIRS}/locations/",
            (Module.TARIFFS, Side.RECEIVER): f"{THEIRS}/tariffs",
            (Module.TOKENS, Side.SENDER): f"{THEIRS}/tokens",
        },
        offered=frozenset(
            {(Module.TOKENS, Side.RECEIVER), (Module.LOCATIONS, Side.SENDER), (Module.HUB_CLIENT_INFO, Side.SENDER)}
        ),
        base_url=BASE,
        alpha_3=True,
    )
    return evolve(dialect, **changes)


def cpo(**changes: Any) -> Dialect:
    """A CPO, to whom we are an eMSP."""
    return evolve(emsp(), **{"ours": (seat(ACM, Role.EMSP),), "theirs": (seat(EXA, Role.CPO),)} | changes)


def backend(**changes: Any) -> Dialect:
    """Our own CPO core on 2.1.1, whose hub we are."""
    return cpo(**{"ours": (seat(GWY, Role.HUB),), "backend": True, "alpha_3": False} | changes)


def request(method: str, path: str, body: Any = ABSENT, **more: Any) -> HttpRequest:
    return HttpRequest(method=method, url=f"{BASE}/2.1.1/{path}", segments=tuple(path.split("/")), body=body, **more)


def opened(http: HttpRequest, dialect: Dialect) -> Message:
    return ADAPTER.open_request(http, dialect)


def routed(to: Party, from_: Party) -> dict[str, str]:
    return {
        "OCPI-to-country-code": to.country_code,
        "OCPI-to-party-id": to.party_id,
        "OCPI-from-country-code": from_.country_code,
        "OCPI-from-party-id": from_.party_id,
    }


# Requests that come in


@pytest.mark.parametrize("owner", ["DE/ACM", "DEU/ACM", "deu/acm"])
def test_a_push_names_its_owner_in_the_url(owner: str) -> None:
    """Alpha-2 or alpha-3, any case; sender and receiver are the parties of the link."""
    message = opened(request("PUT", f"cpo/tokens/{owner}/04AA", {"uid": "04aa", "type": "OTHER"}), emsp())
    assert (message.module, message.verb, message.side) == (Module.TOKENS, Verb.PUT, Side.RECEIVER)
    assert message.ref == Ref(owner=ACM, id="04AA", type="OTHER")
    assert (message.sender, message.receiver) == (ACM, EXA)
    assert message.wire_version == "2.1.1"
    assert message.trace == Trace(request_id="", correlation_id="")


def test_a_push_goes_down_to_the_connector() -> None:
    """Location, EVSE and connector, each with its own kind of body."""
    for path, kind, ref in [
        ("L1", Kind.LOCATION, Ref(owner=EXA, id="L1")),
        ("L1/E1", Kind.EVSE, Ref(owner=EXA, id="L1", evse_uid="E1")),
        ("L1/E1/1", Kind.CONNECTOR, Ref(owner=EXA, id="L1", evse_uid="E1", connector_id="1")),
    ]:
        message = opened(request("PATCH", f"emsp/locations/NL/EXA/{path}", {"status": "CHARGING"}), cpo())
        assert (message.ref, message.body) == (ref, Document(kind, {"status": "CHARGING"}))


@pytest.mark.parametrize(
    "path",
    [
        "emsp/tokens/DE/ACM/1",  # the eMSP's interface, and we are a CPO
        "cpo/tokens/DE/OTH/1",  # somebody else's
        "cpo/tokens/XQX/ACM/1",  # no such country
        "cpo/tokens/DE/ACM",
        "cpo/tokens/DE/ACM/..",
        "receiver/tokens/DE/ACM/1",
        "cpo/chargingprofiles/DE/ACM/1",
        "emsp/locations/NL/EXA/1",
    ],
)
def test_what_is_nobodys_or_somebody_elses_is_404_check_08(path: str) -> None:
    """Also the interface of a role that we don't play to this caller."""
    with pytest.raises(NotFound):
        opened(request("PUT", path, {}), emsp())


def test_an_alpha_3_code_is_never_cut_check_26_trap_03() -> None:
    """EST is Estonia: a party of Spain with that id is somebody else."""
    estonian = emsp(theirs=(seat(Party("EE", "ACM"), Role.EMSP),))
    assert opened(request("PATCH", "cpo/tokens/EST/ACM/1", {}), estonian).ref.owner == Party("EE", "ACM")
    with pytest.raises(NotFound):
        opened(request("PATCH", "cpo/tokens/ES/ACM/1", {}), estonian)


def test_tariffs_can_be_patched_here_and_sessions_not_deleted() -> None:
    """The verbs are those of this version."""
    assert opened(request("PATCH", "emsp/tariffs/NL/EXA/T1", {}), cpo()).verb is Verb.PATCH
    assert opened(request("DELETE", "emsp/tariffs/NL/EXA/T1"), cpo()).body is None
    with pytest.raises(NotAllowed) as caught:
        opened(request("DELETE", "emsp/sessions/NL/EXA/S1"), cpo())
    assert caught.value.allow == ("GET", "PUT", "PATCH")


def test_an_id_that_contradicts_the_url_is_2001_check_07() -> None:
    """For each kind under the field that identifies it."""
    for path, body, field in [
        ("emsp/locations/NL/EXA/L1", {"id": "L2"}, "$.id"),
        ("emsp/locations/NL/EXA/L1/E1", {"uid": "E2"}, "$.uid"),
        ("emsp/locations/NL/EXA/L1/E1/1", {"id": "2"}, "$.id"),
    ]:
        with pytest.raises(InvalidObject) as caught:
            opened(request("PUT", path, body), cpo())
        assert caught.value.path == field


def test_a_cdr_belongs_to_the_cpo_of_the_link() -> None:
    """No 2.1.1 object names its owner; where several parties could be it, none is guessed."""
    message = opened(request("POST", "emsp/cdrs", {"id": "C1"}), cpo())
    assert message.ref == Ref(owner=EXA, id="C1")
    assert (message.sender, message.receiver) == (EXA, ACM)
    with pytest.raises(InvalidObject, match=r"\$\.id"):
        opened(request("POST", "emsp/cdrs", {}), cpo())
    several = cpo(theirs=(seat(EXA, Role.CPO), seat(EXB, Role.CPO)))
    with pytest.raises(InvalidObject):
        opened(request("POST", "emsp/cdrs", {"id": "C1"}), several)


def test_the_url_of_a_cdr_can_be_read() -> None:
    """It is ours to define: one segment below the endpoint, whoever of the link asks."""
    several = cpo(theirs=(seat(EXA, Role.CPO), seat(EXB, Role.CPO)))
    message = opened(request("GET", "emsp/cdrs/opaque"), several)
    assert (message.verb, message.ref, message.sender) == (Verb.GET, Ref(id="opaque"), EXA)


@pytest.mark.parametrize(
    ("query", "expected"), [({"type": "OTHER"}, "OTHER"), ({"token_type": "OTHER"}, "OTHER"), ({}, "RFID")]
)
def test_an_authorization_says_its_type_under_either_name(query: dict[str, str], expected: str) -> None:
    """The specification's example and its table disagree on the name."""
    message = opened(request("POST", "emsp/tokens/04AA/authorize", query=query), cpo())
    assert (message.action, message.side, message.body) == ("authorize", Side.SENDER, None)
    assert message.ref == Ref(owner=ACM, id="04AA", type=expected)


def test_the_first_of_several_parties_is_the_one_that_credentials_name() -> None:
    """A link with several of our parties takes what comes for the first."""
    several = emsp(ours=(seat(EXB, Role.CPO), seat(EXA, Role.CPO)))
    assert opened(request("PATCH", "cpo/tokens/DE/ACM/1", {}), several).receiver == EXB
    asking = cpo(theirs=(seat(EXB, Role.CPO), seat(EXA, Role.CPO)))
    assert opened(request("POST", "emsp/tokens/1/authorize"), asking).sender == EXB


def test_a_patch_of_a_token_leaves_its_type_open() -> None:
    """Its URL has none, so it is for the receiver to look up."""
    assert opened(request("PATCH", "cpo/tokens/DE/ACM/1", {"valid": False}), emsp()).ref.type is None


def test_routing_headers_are_obeyed_from_a_backend_and_a_hint_from_a_partner() -> None:
    """A backend may name parties as hubs on 2.1.1 have it; what a partner says of strangers is passed over."""
    http = request("PUT", "emsp/sessions/NL/EXA/S1", {}, headers=routed(to=ACM, from_=EXA))
    assert opened(http, backend()).receiver == ACM
    stranger = request("PUT", "emsp/sessions/NL/EXA/S1", {}, headers=routed(to=EXB, from_=EXB))
    message = opened(stranger, cpo())
    assert (message.sender, message.receiver) == (EXA, ACM)
    with pytest.raises(InvalidObject):
        opened(stranger, backend())
    assert opened(request("PUT", "emsp/sessions/NL/EXA/S1", {}), backend()).receiver is None


def test_a_partners_routing_headers_choose_among_the_parties_of_the_link() -> None:
    """Of several of ours the named one is meant; half a pair, which this version doesn't have, is no mistake."""
    several = emsp(ours=(seat(EXB, Role.CPO), seat(EXA, Role.CPO)))
    http = request("PATCH", "cpo/tokens/DE/ACM/1", {}, headers=routed(to=EXA, from_=ACM))
    assert opened(http, several).receiver == EXA
    half = request("PATCH", "cpo/tokens/DE/ACM/1", {}, headers={"OCPI-to-party-id": "EXA"})
    assert opened(half, several).receiver == EXB
    assert opened(http, evolve(several, policy=Policy(routing_headers_on_211="ignore"))).receiver == EXB


def test_a_hub_may_own_what_is_behind_it_and_name_parties() -> None:
    """Any party that it reaches can be the owner, and the sender; a receiver that isn't ours isn't known here."""
    behind = Party("BE", "BEC")
    hub = cpo(theirs=(seat(GWY, Role.HUB),), reaches=frozenset({behind}))
    message = opened(request("PUT", "emsp/locations/BEL/BEC/L1", {}), hub)
    assert (message.ref.owner, message.sender, message.receiver) == (behind, behind, ACM)
    for from_ in (behind, GWY):
        http = request("PUT", "emsp/locations/BE/BEC/L1", {}, headers=routed(to=ACM, from_=from_))
        assert (opened(http, hub).ref.owner, opened(http, hub).sender) == (behind, from_)
    posted = opened(request("POST", "emsp/cdrs/BE/BEC", {"id": "C1"}, headers=routed(to=ACM, from_=GWY)), hub)
    assert (posted.ref, posted.sender) == (Ref(owner=behind, id="C1"), GWY)
    with pytest.raises(NotFound):
        opened(request("PUT", "emsp/locations/FR/OTH/L1", {}), hub)
    with pytest.raises(UnknownReceiver):
        opened(request("PUT", "emsp/locations/BE/BEC/L1", {}, headers=routed(to=EXB, from_=GWY)), hub)
    strict = evolve(hub, policy=Policy(routing_require_headers=True))
    with pytest.raises(InvalidObject, match="OCPI-from-party-id"):
        opened(request("PUT", "emsp/locations/BE/BEC/L1", {}), strict)


def test_a_cdr_may_be_posted_with_its_owner_in_the_url() -> None:
    """The specification has no such path, and peers use it: the owner must be one of theirs."""
    message = opened(request("POST", "emsp/cdrs/NLD/EXA", {"id": "C1"}), cpo())
    assert (message.ref, message.sender) == (Ref(owner=EXA, id="C1"), EXA)
    with pytest.raises(NotFound):
        opened(request("POST", "emsp/cdrs/NL/OTH", {"id": "C1"}), cpo())


def test_a_command_is_opened_with_its_name_and_its_sender_as_owner_of_the_token() -> None:
    """The body is the object of that command."""
    message = opened(request("POST", "cpo/commands/START_SESSION", {"id": "x"}), emsp())
    assert (message.action, message.side, message.ref) == ("START_SESSION", Side.RECEIVER, Ref(owner=ACM))
    assert message.body == Document(Kind.START_SESSION, {"id": "x"})
    assert (message.sender, message.receiver) == (ACM, EXA)


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ({"result": "ACCEPTED"}, {"result": "ACCEPTED"}),
        ("ACCEPTED", "ACCEPTED"),
        (
            {"data": {"result": "ACCEPTED"}, "status_code": 1000, "timestamp": "2026-01-01T00:00:00Z"},
            {"result": "ACCEPTED"},
        ),
        ({"data": "ACCEPTED", "status_code": 1000}, "ACCEPTED"),
    ],
)
def test_a_result_comes_bare_as_a_word_or_wrapped_check_67_trap_49(body: Any, result: Any) -> None:
    """Each of these is in use; inside, it is an object or a word of this version, which its map understands."""
    message = opened(
        request("POST", "callback/c-1", body), emsp(ours=(seat(ACM, Role.EMSP),), theirs=(seat(EXA, Role.CPO),))
    )
    assert (message.module, message.side, message.verb, message.action) == (
        Module.COMMANDS, Side.SENDER, Verb.POST, "callback",
    )  # fmt: skip
    assert message.ref == Ref(id="c-1")
    assert message.body == Document(Kind.COMMAND_RESULT, result)
    assert (message.sender, message.receiver, message.wire_version) == (EXA, None, "2.1.1")
    outcome = ADAPTER.up(
        Kind.COMMAND_RESULT, message.body.data, Crossing(facts=Facts(now=NOW), policy=Policy(), owner=ACM)
    )
    assert isinstance(outcome, Translated)
    assert outcome.data == {"result": "ACCEPTED"}


@pytest.mark.parametrize("body", [ABSENT, None, [], 5, {"data": None, "status_code": 1000}])
def test_a_callback_without_a_result_is_2001(body: Any) -> None:
    """Nothing, or nothing that could be one."""
    with pytest.raises(InvalidObject, match=r"^\$: "):
        opened(request("POST", "callback/c-1", body), cpo())


def test_a_callback_has_one_path_and_one_method() -> None:
    """405 with Allow for another method, 404 for anything above or below."""
    with pytest.raises(NotAllowed) as caught:
        opened(request("PUT", "callback/c-1", "ACCEPTED"), cpo())
    assert caught.value.allow == ("POST",)
    for path in ("callback", "callback/c-1/more", "callback/.."):
        with pytest.raises(NotFound):
            opened(request("POST", path, "ACCEPTED"), cpo())
    with pytest.raises(NotFound):  # an eMSP has nobody who could have been asked
        opened(request("POST", "callback/c-1", "ACCEPTED"), emsp())


def test_towards_a_backend_we_are_everybody_it_is_not() -> None:
    """A CPO backend pushes to ``emsp``; it has no business at ``cpo``."""
    assert opened(request("PUT", "emsp/locations/NL/EXA/L1", {}), backend()).side is Side.RECEIVER
    with pytest.raises(NotFound):
        opened(request("PUT", "cpo/tokens/NL/EXA/1", {}), backend())


# Requests that go out


def message(module: Module, verb: Verb, side: Side, ref: Ref, **more: Any) -> Message:
    trace = Trace(request_id="r-1", correlation_id="c-1")
    return Message(module=module, verb=verb, side=side, sender=EXA, receiver=ACM, ref=ref, trace=trace, **more)


@pytest.mark.parametrize(("alpha_3", "country"), [(True, "NLD"), (False, "NL")])
def test_an_owner_is_written_as_the_link_says(alpha_3: bool, country: str) -> None:
    """Three letters where the partner uses them; no routing headers, but the ids of the message."""
    body = Document(Kind.LOCATION, {"id": "LOC 1"})
    http = ADAPTER.write_request(
        message(Module.LOCATIONS, Verb.PUT, Side.RECEIVER, Ref(owner=EXA, id="LOC 1"), body=body),
        emsp(alpha_3=alpha_3),
    )
    assert http.url == f"{THEIRS}/locations/{country}/EXA/LOC%201"
    assert dict(http.headers) == {
        "X-Request-ID": "r-1",
        "X-Correlation-ID": "c-1",
        "Content-Type": "application/json",
    }


@pytest.mark.parametrize(("type_", "said"), [("RFID", "RFID"), ("APP_USER", "OTHER"), ("AD_HOC_USER", "OTHER")])
def test_an_authorization_asks_with_a_type_of_this_version(type_: str, said: str) -> None:
    """RFID or OTHER; a pushed token has no parameter at all."""
    asked = message(Module.TOKENS, Verb.POST, Side.SENDER, Ref(id="04AA", type=type_), action="authorize")
    assert ADAPTER.write_request(asked, emsp()).url == f"{THEIRS}/tokens/04AA/authorize?type={said}"
    dialect = emsp(endpoints={(Module.TOKENS, Side.RECEIVER): f"{THEIRS}/tokens"})
    pushed = message(Module.TOKENS, Verb.PUT, Side.RECEIVER, Ref(owner=ACM, id="04AA", type=type_))
    assert ADAPTER.write_request(pushed, dialect).url == f"{THEIRS}/tokens/DEU/ACM/04AA"


def test_a_backend_is_told_who_sends() -> None:
    """We are its hub, so it reads the parties in the headers, also of answers."""
    dialect = backend(endpoints={(Module.TARIFFS, Side.RECEIVER): THEIRS})
    sent = message(Module.TARIFFS, Verb.DELETE, Side.RECEIVER, Ref(owner=EXA, id="T1"))
    assert ADAPTER.write_request(sent, dialect).headers["OCPI-from-party-id"] == "EXA"
    said = ADAPTER.write_answer(Answer(status=1000), sent.evolve(receiver=None), backend())
    assert (said.headers["OCPI-to-party-id"], said.headers["OCPI-from-party-id"]) == ("EXA", "GWY")
    assert "OCPI-to-party-id" not in ADAPTER.write_answer(Answer(status=1000), sent, emsp()).headers


def test_a_single_object_and_a_list_are_asked_for() -> None:
    """Of the owner, without anybody's party in the URL."""
    dialect = cpo(endpoints={(Module.LOCATIONS, Side.SENDER): f"{THEIRS}/locations/"})
    one = message(Module.LOCATIONS, Verb.GET, Side.SENDER, Ref(owner=EXA, id="L1", evse_uid="E1"))
    assert ADAPTER.write_request(one, dialect).url == f"{THEIRS}/locations/L1/E1"
    assert ADAPTER.write_request(one.evolve(ref=Ref()), dialect).url == f"{THEIRS}/locations/"


@pytest.mark.parametrize(("switch", "sent"), [("accept", False), ("ignore", False), ("accept+send", True)])
def test_routing_headers_go_out_where_the_link_says_so(switch: str, sent: bool) -> None:
    """On requests and on answers, a refused request's too, countries spelled as on the rest of the link."""
    dialect = emsp(policy=Policy(routing_headers_on_211=switch))
    push = message(Module.TARIFFS, Verb.DELETE, Side.RECEIVER, Ref(owner=EXA, id="T1"))
    unopened = request("GET", "nowhere", headers=routed(to=EXA, from_=ACM))
    for headers in (
        ADAPTER.write_request(push, dialect).headers,
        ADAPTER.write_answer(Answer(status=1000), push.evolve(sender=ACM, receiver=EXA), dialect).headers,
        ADAPTER.write_answer(Answer(status=2001), None, dialect, unopened).headers,
    ):
        assert (headers.get("OCPI-to-party-id") == "ACM") is sent
        assert (headers.get("OCPI-from-party-id") == "EXA") is sent
    assert (
        "OCPI-to-party-id"
        not in ADAPTER.write_request(
            push, backend(endpoints=emsp().endpoints, policy=Policy(routing_headers_on_211="ignore"))
        ).headers
    )


@pytest.mark.parametrize(("switch", "said"), [("object", {"result": "ACCEPTED"}), ("bare_string", "ACCEPTED")])
def test_a_command_is_answered_in_the_form_that_the_peer_reads(switch: str, said: Any) -> None:
    """At once in ``data``, later as the body of the callback, which goes to the letter of the URL they gave."""
    dialect = emsp(policy=Policy(commands_body=switch, http_trailing_slash="add"))
    result = {"result": "ACCEPTED"}
    command = message(Module.COMMANDS, Verb.POST, Side.RECEIVER, Ref(owner=ACM), action="START_SESSION")
    answer = Answer(status=1000, data=Document(Kind.COMMAND_RESPONSE, result))
    assert ADAPTER.write_answer(answer, command, dialect).body["data"] == said
    late = message(
        Module.COMMANDS, Verb.POST, Side.SENDER, Ref(id="c-1"), action="callback",
        body=Document(Kind.COMMAND_RESULT, result),
    )  # fmt: skip
    http = ADAPTER.write_callback(late, "https://acme.example/results/7?of=ACM", dialect)
    assert (http.method, http.url, http.body) == ("POST", "https://acme.example/results/7?of=ACM", said)
    assert dict(http.headers) == {
        "X-Request-ID": "r-1",
        "X-Correlation-ID": "c-1",
        "Content-Type": "application/json",
    }


def test_our_callback_url_is_short_and_names_the_version() -> None:
    """It lies below the version, and below no module."""
    assert ADAPTER.callback_url("c-1", emsp()) == f"{BASE}/2.1.1/callback/c-1"


# Answers


@pytest.mark.parametrize("data", ["ACCEPTED", {"result": "ACCEPTED"}])
def test_a_command_is_answered_with_an_object_or_a_word_check_67(data: Any) -> None:
    """A word is what the specification had before 2.1.1-d2; either is read as the same answer."""
    command = message(Module.COMMANDS, Verb.POST, Side.RECEIVER, Ref(owner=ACM), action="STOP_SESSION")
    answer = ADAPTER.open_answer(HttpAnswer(status=200, body={"status_code": 1000, "data": data}), command, cpo())
    assert answer.data == Document(Kind.COMMAND_RESPONSE, data)
    outcome = ADAPTER.up(Kind.COMMAND_RESPONSE, data, Crossing(facts=Facts(now=NOW), policy=Policy(), owner=ACM))
    assert isinstance(outcome, Translated)
    assert (outcome.data["result"], outcome.data["timeout"]) == ("ACCEPTED", 30)
    with pytest.raises(ReceiverError):
        ADAPTER.open_answer(HttpAnswer(status=200, body={"status_code": 1000}), command, cpo())


ASK = message(Module.TOKENS, Verb.POST, Side.SENDER, Ref(id="04AA"), action="authorize")


@pytest.mark.parametrize("body", [ABSENT, {"status_code": 2001}, {"status_code": 2000}])
def test_an_unknown_token_is_a_404_here(body: Any) -> None:
    """Coming in, HTTP 404 says 2004, with or without an envelope."""
    answer = ADAPTER.open_answer(HttpAnswer(status=404, body=body), ASK, emsp())
    assert (answer.status, answer.http) == (2004, 404)


@pytest.mark.parametrize(
    ("status", "http", "said", "said_http"),
    [
        (1000, 201, 1000, 201),
        (1001, 200, 1000, 200),
        (2003, 200, 2003, 200),
        (2004, 404, 2001, 404),
        (2004, 200, 2001, 404),
        (2999, 200, 2000, 200),
        (3003, 200, 3003, 200),
        (3500, 200, 3000, 200),
        (4000, 200, 3000, 200),
        (4001, 200, 2000, 200),
        (4002, 200, 3000, 200),
        (4003, 200, 3000, 200),
        (4999, 200, 3000, 200),
    ],
)
def test_statuses_that_this_version_lacks_are_said_in_its_own_trap_24(
    status: int, http: int, said: int, said_http: int
) -> None:
    """The number that was replaced stands in the text."""
    answer = ADAPTER.write_answer(Answer(status=status, http=http, text="because"), None, None)
    assert (answer.body["status_code"], answer.status) == (said, said_http)
    assert answer.body["status_message"] == ("because" if status == said else f"because ({status})")


def test_an_unknown_receiver_is_an_unknown_location_where_one_was_named() -> None:
    """4001 is 2003 to who named a location, else 2000."""
    place = ASK.evolve(body=Document(Kind.LOCATION_REFERENCES, {"location_id": "L1"}))
    assert ADAPTER.write_answer(Answer(status=4001), place, emsp()).body["status_code"] == 2003
    assert ADAPTER.write_answer(Answer(status=4001), ASK, emsp()).body["status_code"] == 2000


# Registration


def test_our_details_name_the_role_in_the_url() -> None:
    """No role beside it, and no module that this version doesn't have."""
    assert ADAPTER.write_details(emsp()) == {
        "version": "2.1.1",
        "endpoints": [
            {"identifier": "credentials", "url": f"{BASE}/2.1.1/credentials"},
            {"identifier": "locations", "url": f"{BASE}/2.1.1/cpo/locations"},
            {"identifier": "tokens", "url": f"{BASE}/2.1.1/cpo/tokens"},
        ],
    }


@pytest.mark.parametrize(
    ("roles", "locations", "tokens"),
    [
        ((Role.CPO,), {Side.SENDER}, {Side.RECEIVER}),
        ((Role.EMSP,), {Side.RECEIVER}, {Side.SENDER}),
        ((Role.CPO, Role.EMSP), set(Side), set(Side)),
        ((Role.HUB,), set(Side), set(Side)),
    ],
)
def test_their_endpoints_get_the_sides_that_their_roles_play_trap_13(
    roles: tuple[Role, ...], locations: set[Side], tokens: set[Side]
) -> None:
    """A CPO's locations are what it sends, an eMSP's what it receives, and so on."""
    details = {
        "endpoints": [
            {"identifier": "credentials", "url": "https://a.example/c"},
            {"identifier": "locations", "url": "https://a.example/l"},
            {"identifier": "tokens", "url": "https://a.example/t"},
            {"identifier": "hubclientinfo", "url": "https://a.example/h"},
        ]
    }
    endpoints = ADAPTER.read_details(details, [seat(EXA, role) for role in roles])
    assert endpoints[Module.CREDENTIALS, Side.SENDER] == "https://a.example/c"
    assert {side for module, side in endpoints if module is Module.LOCATIONS} == locations
    assert {side for module, side in endpoints if module is Module.TOKENS} == tokens
    assert not {module for module, _ in endpoints} - {Module.CREDENTIALS, Module.LOCATIONS, Module.TOKENS}


def test_credentials_are_flat_and_spelled_as_the_link_says() -> None:
    """One party, its name, its country in the letters that they use."""
    assert ADAPTER.write_credentials("tok", emsp()) == {
        "token": "tok",
        "url": f"{BASE}/versions",
        "business_details": {"name": "NL-EXA"},
        "party_id": "EXA",
        "country_code": "NLD",
    }
    assert ADAPTER.write_credentials("tok", emsp(alpha_3=False))["country_code"] == "NL"


@pytest.mark.parametrize(("country", "alpha_3"), [("DE", False), ("DEU", True), ("deu", True)])
def test_their_credentials_are_read_with_the_role_of_the_file(country: str, alpha_3: bool) -> None:
    """Whether they write three letters is reported, so that it can be mirrored."""
    data = samples.credentials_211() | {"country_code": country, "party_id": "ACM"}
    read = ADAPTER.read_credentials(data, [seat(ACM, Role.EMSP)])
    assert (read.token, read.url, read.alpha_3) == (data["token"], data["url"], alpha_3)
    assert read.seats == (seat(ACM, Role.EMSP),)
    assert read.seats[0].business == data["business_details"]
    stranger = ADAPTER.read_credentials(data | {"party_id": "OTH"}, [seat(ACM, Role.EMSP)])
    assert stranger.seats == (seat(Party("DE", "OTH"), Role.EMSP),)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"country_code": "ZZZ"}, "$.country_code"),
        ({"party_id": "TOOLONG"}, "$.party_id"),
        ({"token": "with space"}, "$.token"),
        ({"business_details": None}, "$.business_details"),
    ],
)
def test_credentials_that_break_the_specification_are_refused(change: dict[str, Any], path: str) -> None:
    """With the path of what is wrong."""
    with pytest.raises(InvalidObject) as caught:
        ADAPTER.read_credentials(samples.credentials_211() | change, [seat(ACM, Role.EMSP)])
    assert caught.value.path == path
