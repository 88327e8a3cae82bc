"""What a partner sent is judged: right, right but spelled oddly, or wrong in a place that can be named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import attrs
import pytest
import samples
from hypothesis import given
from hypothesis import strategies as st

from adapters.ocpi_2_1_1 import objects as wire_211
from gateway.model.cdrs import CDR
from gateway.model.commands import CommandResponse, StopSession
from gateway.model.credentials import Credentials, Version
from gateway.model.document import CLASSES, Document, Sequence, Shape, Structured, Text, shape, structure, validate
from gateway.model.errors import InvalidObject
from gateway.model.locations import EVSE, Connector, EnergySource, Location, RegularHours, Status
from gateway.model.modules import Kind
from gateway.model.tariffs import PriceComponent, Tariff
from gateway.model.tokens import Token

CLASSES_211 = {
    kind: getattr(wire_211, (wire_211.CommandResponse if kind is Kind.COMMAND_RESULT else CLASSES[kind]).__name__)
    for kind in samples.V211
}
EVERY_SAMPLE = [
    pytest.param(classes[kind], sample, id=f"{version}-{kind}-{size}")
    for version, classes, kinds in (("2.2.1", CLASSES, samples.V221), ("2.1.1", CLASSES_211, samples.V211))
    for kind, pair in kinds.items()
    for size, sample in zip(("maximal", "minimal"), pair, strict=True)
]


def refusal(cls: Any, data: Any) -> str:
    """The message with which the data is refused; validating and structuring agree on it."""
    with pytest.raises(InvalidObject) as of_validate:
        validate(cls, data)
    with pytest.raises(InvalidObject) as of_structure:
        structure(cls, data)
    assert of_validate.value.message == of_structure.value.message
    assert of_validate.value.status == 2001
    return of_validate.value.message


def unused_fields(wanted: Shape, values: list[Any]) -> Iterator[str]:
    """Fields of a class, and of the classes within it, that none of the values sets."""
    if isinstance(wanted, Sequence):
        yield from unused_fields(wanted.item, [item for value in values for item in value])
    elif isinstance(wanted, Structured):
        for name, field in wanted.fields.items():
            used = [value[name] for value in values if value.get(name) is not None]
            if used:
                yield from unused_fields(field.shape, used)
            else:
                yield f"{wanted.cls.__name__}.{name}"


class TestSamples:
    """The sample objects of the other tests are what they claim to be."""

    # Classes that stand in several places are written out in one of them.
    given_elsewhere = frozenset({"BusinessDetails.website", "BusinessDetails.logo", "Price.incl_vat"})

    @pytest.mark.parametrize(("cls", "sample"), EVERY_SAMPLE)
    def test_valid(self, cls: type, sample: Any) -> None:
        """Every sample is valid as it stands: the same object comes back, and structures."""
        data = sample()
        assert validate(cls, data) is data
        assert isinstance(structure(cls, data), cls)

    @pytest.mark.parametrize(
        ("cls", "pair"),
        [(CLASSES[kind], pair) for kind, pair in samples.V221.items()]
        + [(CLASSES_211[kind], pair) for kind, pair in samples.V211.items()],
    )
    def test_sizes(self, cls: Any, pair: samples.Pair) -> None:
        """A maximal sample has every field of its table, a minimal one only the required ones."""
        assert set(unused_fields(shape(cls), [pair.maximal()])) <= self.given_elsewhere
        assert set(pair.minimal()) == {each.name for each in attrs.fields(cls) if each.default is attrs.NOTHING}

    def test_every_kind(self) -> None:
        """There is a class and a sample for every kind of document."""
        assert set(CLASSES) == set(samples.V221) == set(Kind)


class TestPaths:
    """The first wrong field is named as the partner knows it."""

    def test_deep(self) -> None:
        """The path has the index of each list and the names of the wire, here of 2.1.1."""
        data = samples.location_211()
        data["evses"].append(samples.evse_211())
        del data["evses"][2]["connectors"][0]["voltage"]
        assert refusal(wire_211.Location, data) == "$.evses[2].connectors[0].voltage: required"

    def test_first(self) -> None:
        """Of several mistakes, the one that comes first in the specification's table is named."""
        data = samples.location_221() | {"last_updated": 5, "city": None}
        data["evses"][1]["connectors"] = []
        assert refusal(Location, data) == "$.city: required"

    @pytest.mark.parametrize(
        ("field", "value", "message"),
        [
            ("id", 5, "expected a string, got a number"),
            ("publish", "false", "expected a boolean, got a string"),
            ("publish", 1, "expected a boolean, got a number"),
            ("publish", None, "required"),
            ("name", ["x"], "expected a string, got a list"),
            ("coordinates", "52.1,5.1", "expected an object, got a string"),
            ("evses", {}, "expected a list, got an object"),
            ("images", "none", "expected a list, got a string"),
            ("city", True, "expected a string, got a boolean"),
            ("time_zone", Decimal("1.0"), "expected a string, got a number"),
        ],
    )
    def test_types(self, field: str, value: Any, message: str) -> None:
        """A mistyped field is told in the words of JSON, and nothing is coerced."""
        assert refusal(Location, samples.location_221() | {field: value}) == f"$.{field}: {message}"

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("16", "expected an integer, got a string"),
            (True, "expected an integer, got a boolean"),
            (Decimal("16.9"), "expected an integer, got another number"),
            (Decimal("1E+400"), "expected an integer, got another number"),
        ],
    )
    def test_integers(self, value: Any, message: str) -> None:
        """What isn't an integer is refused where one is wanted."""
        assert refusal(Connector, samples.connector_221() | {"max_voltage": value}) == f"$.max_voltage: {message}"

    @pytest.mark.parametrize("value", ["", "2,50", "NaN", "Infinity", "1e5", "0x10", " 2.00", "9" * 30, True])
    def test_numbers(self, value: Any) -> None:
        """Only a plain decimal number in a text is read as a number."""
        data = samples.tariff_221_minimal()
        data["elements"][0]["price_components"][0]["price"] = value
        assert refusal(Tariff, data).startswith("$.elements[0].price_components[0].price: expected a number, got a ")

    @pytest.mark.parametrize(("data", "noun"), [([], "a list"), ("x", "a string"), (None, "null")])
    def test_root(self, data: Any, noun: str) -> None:
        """A body that is no object at all is named by the root."""
        assert refusal(Location, data) == f"$: expected an object, got {noun}"

    def test_item(self) -> None:
        """Null is no item of a list."""
        data = samples.location_221() | {"evses": [samples.evse_221(), None]}
        assert refusal(Location, data) == "$.evses[1]: expected an object, got null"

    def test_list_of_objects(self) -> None:
        """A list of objects can be judged as a whole, and the path says which is wrong."""
        versions = [{"version": "9.9", "url": "https://a.example/9.9"}, {"version": "9.8"}]
        assert refusal(list[Version], versions) == "$[1].url: required"
        assert structure(list[Version], versions[:1]) == [Version(version="9.9", url="https://a.example/9.9")]

    def test_secret(self) -> None:
        """A refusal doesn't repeat the value."""
        data = samples.credentials_221() | {"token": "hush hush\r\nX-Evil: 1"}
        message = refusal(Credentials, data)
        assert message == "$.token: expected a token of visible ASCII characters without spaces"


class TestSettling:
    """Spellings that leave no doubt are settled, nothing else is touched."""

    @pytest.mark.parametrize(("value", "expected"), [(Decimal("16.0"), 16), (Decimal("2.3E+2"), 230)])
    def test_integral(self, value: Decimal, expected: int) -> None:
        """An integer written with a point or an exponent becomes an integer."""
        settled = validate(Connector, samples.connector_221() | {"max_voltage": value})
        assert settled["max_voltage"] == expected
        assert type(settled["max_voltage"]) is int
        assert structure(Connector, samples.connector_221() | {"max_voltage": value}).max_voltage == expected

    def test_numeric_text(self) -> None:
        """A number written as a text becomes that number, digit for digit."""
        data = {"type": "ENERGY", "price": "2.00", "step_size": 300}
        settled = validate(PriceComponent, data)
        assert str(settled["price"]) == "2.00"
        assert isinstance(settled["price"], Decimal)

    @pytest.mark.parametrize("field", ["physical_reference", "floor_level"])
    @pytest.mark.parametrize(("value", "expected"), [(12, "12"), (-1, "-1"), (Decimal("1.50"), "1.50")])
    def test_text_from_number(self, field: str, value: Any, expected: str) -> None:
        """A sign or a floor written as a number (2.1.1 mod_locations 2.2.3) becomes a text, in both versions."""
        for cls, evse in ((EVSE, samples.evse_221()), (wire_211.EVSE, samples.evse_211())):
            assert validate(cls, evse | {field: value})[field] == expected

    def test_copies_nothing_else(self) -> None:
        """Only the way to the settled value is copied; the original and everything beside it stay as they are."""
        data = samples.location_221()
        data["evses"][1]["connectors"][0]["max_amperage"] = Decimal("163.0")
        settled = validate(Location, data)
        assert settled["evses"][1]["connectors"][0]["max_amperage"] == 163
        assert data["evses"][1]["connectors"][0]["max_amperage"] == Decimal("163.0")
        assert settled["evses"][0] is data["evses"][0]
        assert list(settled) == list(data)

    def test_null(self) -> None:
        """Null in an optional field or list means absent, and stays."""
        data = samples.location_221() | {"name": None, "evses": None, "opening_times": None}
        assert validate(Location, data) is data
        assert structure(Location, data).evses is None

    def test_exact(self) -> None:
        """Numbers keep their decimals."""
        data = samples.session_221() | {"kwh": Decimal("0.10")}
        assert validate(CLASSES[Kind.SESSION], data) is data
        assert str(Document(Kind.SESSION, data).view().kwh) == "0.10"

    def test_binary_float(self) -> None:
        """A binary float is none of our JSON values, and is refused rather than rounded."""
        assert refusal(EnergySource, {"source": "SOLAR", "percentage": 0.1}) == (
            "$.percentage: expected a number, got float"
        )


class TestKept:
    """What the gateway doesn't know is passed on."""

    def test_unknown_fields(self) -> None:
        """Unknown fields survive at every depth, also when something beside them is settled."""
        data = samples.location_221() | {"x_own": {"deep": [1]}}
        data["evses"][0]["connectors"][0] |= {"x_more": True, "max_voltage": Decimal("230.0")}
        settled = validate(Location, data)
        assert settled["x_own"] is data["x_own"]
        assert settled["evses"][0]["connectors"][0]["x_more"] is True

    def test_unknown_enum_values(self) -> None:
        """Values of other versions are kept as they are."""
        data = samples.evse_221() | {"status": "LEVITATING", "capabilities": ["RFID_READER", "TELEPORT"]}
        assert validate(EVSE, data) is data
        assert structure(EVSE, data).status == "LEVITATING"

    def test_long_texts(self) -> None:
        """Lengths are known and not enforced."""
        data = samples.location_221() | {"city": "x" * 300}
        assert validate(Location, data) is data

    def test_readable(self) -> None:
        """Lengths and known values can be read from the shape of a class."""
        location = shape(Location)
        assert isinstance(location, Structured)
        city, evses = location.fields["city"].shape, location.fields["evses"].shape
        assert isinstance(city, Text)
        assert isinstance(evses, Sequence)
        assert (city.limit, city.known) == (45, None)
        assert isinstance(evses.item, Structured)
        status = evses.item.fields["status"].shape
        assert isinstance(status, Text)
        assert status.known is Status


class TestLists:
    """Lists of cardinality + must have an item, lists of cardinality * needn't."""

    @pytest.mark.parametrize(
        ("cls", "sample", "path"),
        [
            (EVSE, samples.evse_221, "connectors"),
            (Tariff, samples.tariff_221, "elements"),
            (Tariff, samples.tariff_221, "elements[0].price_components"),
            (CDR, samples.cdr_221, "charging_periods"),
            (CDR, samples.cdr_221, "charging_periods[1].dimensions"),
            (CDR, samples.cdr_221, "signed_data.signed_values"),
            (Credentials, samples.credentials_221, "roles"),
            (wire_211.EVSE, samples.evse_211, "connectors"),
            (wire_211.Tariff, samples.tariff_211, "elements"),
            (wire_211.CDR, samples.cdr_211, "charging_periods"),
        ],
    )
    def test_filled(self, cls: Any, sample: Any, path: str) -> None:
        """An empty list is refused, a missing one is required."""
        *way, name = path.replace("[", ".").replace("]", "").split(".")
        data = sample()
        parent = data
        for step in way:
            parent = parent[int(step)] if step.isdigit() else parent[step]
        parent[name] = []
        assert refusal(cls, data) == f"$.{path}: must not be empty"
        del parent[name]
        assert refusal(cls, data) == f"$.{path}: required"

    def test_may_be_empty(self) -> None:
        """A location without EVSEs is a location."""
        data = samples.location_221() | {"evses": []}
        assert validate(Location, data) is data


class TestIds:
    """Ids become parts of URLs and keys, so they are looked at."""

    @pytest.mark.parametrize(
        "bad",
        ["", "a\nb", "tab\t", "nul\0", "\x7f", "\x9b", "a\u200bb", "\u202eab", "\ufeff", ".", "..", "x" * 256],
    )
    def test_refused(self, bad: str) -> None:
        """Empty, unprintable, endless ids and dot segments are refused."""
        message = refusal(Token, samples.token_221() | {"uid": bad})
        assert message.startswith("$.uid: expected an id of 1 to 255 printable characters")
        assert message.endswith("got an empty string") == (bad == "")

    @pytest.mark.parametrize("good", ["#NA", "NL*EXA*E1", "a b", "a/b?c#d", "...", "é", "x" * 255, "NLD"])
    def test_accepted(self, good: str) -> None:
        """Whatever else can be carried is carried."""
        data = samples.token_221() | {"uid": good, "country_code": good}
        assert validate(Token, data) is data

    def test_references(self) -> None:
        """Ids in lists and references are looked at, too."""
        data = samples.connector_221() | {"tariff_ids": ["T-DAY", "T\r\n"]}
        assert refusal(Connector, data).startswith("$.tariff_ids[1]: expected an id")
        assert refusal(StopSession, samples.stop_session() | {"session_id": ""}).startswith("$.session_id: ")


class TestDates:
    """Times are strict in meaning and lenient in spelling."""

    @pytest.mark.parametrize(
        "good",
        [
            "2015-06-29T20:39:09Z",
            "2015-06-29T20:39:09",
            "2016-12-29T17:45:09.2Z",
            "2018-01-01T01:08:01.123",
            "2018-01-01T01:08:01.123456789Z",
            "2015-06-29T22:39:09+02:00",
            "2015-06-29T22:39:09-0230",
            "2015-06-29t20:39:09z",
            "1970-1-1T00:00:00Z",
            "2024-02-29T00:00:00Z",
            "2000-2-29T23:59:59Z",
        ],
    )
    def test_accepted(self, good: str) -> None:
        """Every spelling of the specification, and those that peers use, passes as it stands."""
        data = samples.connector_221() | {"last_updated": good}
        assert validate(Connector, data) is data

    @pytest.mark.parametrize(
        "bad",
        [
            "",
            "yesterday",
            "2015-06-29",
            "2015-06-29 20:39:09",
            "2015-06-29T20:39Z",
            "2015-06-29T24:00:00Z",
            "2015-06-29T23:59:60Z",
            "2015-06-31T00:00:00Z",
            "2015-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2015-13-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "2015-06-29T20:39:09Z\n",
            "2015-06-29T20:39:09.Z",
            "\u0662015-06-29T20:39:09Z",
            "2015-06-29T20:39:09+25:00",
        ],
    )
    def test_refused(self, bad: str) -> None:
        """What is no moment in time is refused."""
        message = refusal(Connector, samples.connector_221() | {"last_updated": bad})
        assert message.startswith("$.last_updated: expected a date and time such as 2015-06-29T20:39:09Z")

    def test_number(self) -> None:
        """A time is a text, not seconds since 1970."""
        data = samples.connector_221() | {"last_updated": 1435610349}
        assert refusal(Connector, data) == "$.last_updated: expected a string, got a number"

    @given(st.datetimes())
    def test_every_moment(self, moment: datetime) -> None:
        """Every moment of the calendar passes."""
        data = samples.connector_221() | {"last_updated": moment.replace(microsecond=0).isoformat() + "Z"}
        assert validate(Connector, data) is data


class TestAgreement:
    """The fast judge and the slow one agree: what the slow one lets pass, the fast one does."""

    values = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(min_value=-(10**6), max_value=10**6),
        st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-1000, max_value=1000),
        st.sampled_from(["", "x", "2.00", "2015-06-29T20:39:09Z", "a\n", "AVAILABLE"]),
        st.just([]),
        st.just({}),
        st.just(["x"]),
    )

    @pytest.mark.parametrize(
        ("cls", "sample"),
        [
            (Connector, samples.connector_221),
            (EVSE, samples.evse_221),
            (Token, samples.token_221),
            (RegularHours, lambda: samples.hours()["regular_hours"][0]),
            (CommandResponse, samples.command_response_221),
            (wire_211.ReserveNow, samples.reserve_now_211),
        ],
    )
    @given(data=st.data())
    def test_agree(self, cls: Any, sample: Any, data: st.DataObject) -> None:
        """With any field replaced by anything, an object is refused, or settled to one that is valid as it stands."""
        mutated = sample()
        mutated[data.draw(st.sampled_from(sorted(mutated)))] = data.draw(self.values)
        try:
            settled = validate(cls, mutated)
        except InvalidObject:
            return
        assert validate(cls, settled) is settled
        assert isinstance(structure(cls, mutated), cls)


def test_shapes_know_only_our_words() -> None:
    """An annotation that isn't made of the vocabulary is a mistake of ours, and says so."""

    @attrs.frozen
    class Odd:
        speed: float

    with pytest.raises(TypeError, match="no shape for <class 'float'>"):
        shape(Odd)


def test_enums_are_open() -> None:
    """The values that the specification knows are given by enums of text, in both versions."""
    for cls in (*CLASSES.values(), *CLASSES_211.values()):
        wanted = shape(cls)
        assert isinstance(wanted, Structured)
        for each in wanted.fields.values():
            if isinstance(each.shape, Text) and each.shape.known is not None:
                assert issubclass(each.shape.known, StrEnum)
