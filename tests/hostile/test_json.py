"""JSON that means to be misread: each kind is refused with a reason, and what only looks odd still passes.

The laws at the end hold for every value: it leaves and comes back as it was, to the digit, and no pair gets lost.
"""

from __future__ import annotations

import json as stdlib_json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.errors import BadJson
from gateway.web.json import (
    CODEC,
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_EXPONENT,
    MAX_ITEMS,
    MAX_TEXT,
    dumps,
    dumps_text,
    loads,
)

NO_NUMBERS = [b"NaN", b"-NaN", b"nan", b"Infinity", b"-Infinity", b"inf", b'{"a": NaN}', b"[1, Infinity]"]

RUNAWAY_NUMBERS = [
    b"1e999",
    b"-1e999",
    b"1E400",
    b"1e-400",
    b"0e999",
    b"1e99999999999999999999",
    b'{"price": [1, 1e309]}',
    b"9" * (MAX_DIGITS + 1),
    b"-" + b"9" * (MAX_DIGITS + 1),
    b"9" * 4_301,
    b"9" * 5_000,
    b"0." + b"1" * 5_000,
    b"1." + b"0" * 5_000,
    b'{"a": {"b": [' + b"9" * 300 + b"]}}",
]

MALFORMED = [
    b"",
    b" ",
    b"{",
    b'{"a"',
    b'{"a":',
    b'{"a":1',
    b'{"a":1,}',
    b"[1,]",
    b"[,1]",
    b"[1 2]",
    b'{"a" 1}',
    b"{'a':1}",
    b"{a:1}",
    b"{1:2}",
    b"{null:1}",
    b"tru",
    b"nul",
    b"True",
    b"01",
    b"-01",
    b"+1",
    b".5",
    b"1.",
    b"1e",
    b"1e+",
    b"-",
    b"0x10",
    b"1_000",
    b'"a',
    b'"\\x"',
    b'"\\u12G4"',
    b'"\t"',
    b'"a\nb"',
    b'"\x00"',
    b"\x0b1",
    b"1\x0c",
    b"/* */1",
    b"1 // one",
    b"\x1e1",
]

TRAILING = [b"1 2", b"{}{}", b'{"a":1}x', b'{"a":1}\x00', b"[]]", b"null,", b'{"a":1}\n{"a":2}']

SURROGATES = [
    b'"\\ud800"',
    b'"\\udc00"',
    b'"\\ud800x"',
    b'"\\ud800\\u0041"',
    b'"\\ud800\\ud800"',
    b'"\\udc00\\ud800"',
    b'{"\\ud800":1}',
    b'["ok", "\\udfff"]',
    b'"\xed\xa0\x80"',
]

NOT_UTF8 = [
    b'\xef\xbb\xbf{"a":1}',
    '{"a":1}'.encode("utf-16"),
    '{"a":1}'.encode("utf-16-le"),
    '{"a":1}'.encode("utf-16-be"),
    '{"a":1}'.encode("utf-32"),
    '{"a":1}'.encode("utf-32-le"),
    '{"a":1}'.encode("utf-32-be"),
    '"Zürich"'.encode("latin-1"),
    b'"\xc0\x80"',
    b'"\xf5\x80\x80\x80"',
    b'{"\xff":1}',
    b"\xff",
]

DUPLICATES = [
    b'{"a":1,"a":1}',
    b'{"a":1,"a":2}',
    b'{"a" :1,"a":2}',
    b'{"a"\n:\t1 , "a"  :2}',
    b'{"a":1,"b":2,"a":3}',
    b'{"a":1,"\\u0061":2}',
    b'{"\\u0061":1,"a":2}',
    b'{"a\\/b":1,"a/b":2}',
    b'{"":1,"":2}',
    b'[{"id":"1"},{"id":"1","id":"2"}]',
    b'{"x":{"y":[{"z":1,"z":1}]}}',
    b'{"a":"\\":","a":"b"}',
    b'{"a":{"b":1},"a":{"c":{"d":2}}}',
    b'{"a":[[[1]]],"a":null}',
    '{"ü":1,"ü":2}'.encode(),
    b'{"\xc3\xbc":1,"\\u00fc":2}',
]


@pytest.mark.parametrize(
    "data",
    [*NO_NUMBERS, *RUNAWAY_NUMBERS, *MALFORMED, *TRAILING, *SURROGATES, *NOT_UTF8, *DUPLICATES],
    ids=lambda d: repr(d[:40]),
)
def test_refused(data: bytes) -> None:
    """What is ambiguous, malformed or out of bounds is BadJson (HTTP 400, OCPI 2001), whatever exactly is wrong."""
    with pytest.raises(BadJson) as caught:
        loads(data)
    assert (caught.value.http, caught.value.status) == (400, 2001)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"token": secret}', "not JSON: invalid character (byte 10)"),
        (b'{"a":1,"b":2,"a":3}', "a key occurs twice in one object (byte 13)"),
        (b'{"a" : {"b":1,\n"b":2}}', "a key occurs twice in one object (byte 15)"),
        (b'["ok", "\xff"]', "not JSON: not UTF-8 (byte 8)"),
        (b"\xef\xbb\xbf1", "not JSON: a byte order mark (byte 0)"),
        ("{}".encode("utf-16-le"), "not JSON: not UTF-8 (byte 0)"),
        (b'{"a":', "not JSON: it ends in the middle of a value or a surrogate pair (byte 5)"),
        (b"[1e999]", "a number with more than 128 digits or an exponent beyond 308"),
        (b"[" * 33 + b"]" * 33, "nested deeper than 32"),
    ],
)
def test_the_reason_says_what_and_where(data: bytes, message: str) -> None:
    """A refusal names the fault and its byte, and repeats nothing of the body, which may hold a token."""
    with pytest.raises(BadJson) as caught:
        loads(data)
    assert str(caught.value) == message


@pytest.mark.parametrize(("opening", "inner", "closing"), [(b"[", b"1", b"]"), (b'{"a":', b'"x"', b"}")])
def test_depth_is_bounded(opening: bytes, inner: bytes, closing: bytes) -> None:
    """The deepest nesting allowed passes, one more is refused, and a hundred thousand more do no harm."""
    assert loads(opening * MAX_DEPTH + inner + closing * MAX_DEPTH) is not None
    for depth in (MAX_DEPTH + 1, 64, 1_000, 100_000):
        with pytest.raises(BadJson):
            loads(opening * depth + inner + closing * depth)
        with pytest.raises(BadJson):
            loads(opening * depth)


def test_depth_hidden_behind_a_duplicate_is_refused() -> None:
    """A deep value that a second key would have replaced isn't decoded unnoticed."""
    with pytest.raises(BadJson):
        loads(b'{"a":' + b"[" * 500 + b"]" * 500 + b',"a":1}')


def test_empty_containers_count_as_depth() -> None:
    """An empty list or object is a level like any other."""
    assert loads(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None
    with pytest.raises(BadJson):
        loads(b"[" * MAX_DEPTH + b"{}" + b"]" * MAX_DEPTH)


def test_crowds_are_bounded() -> None:
    """One list or object holds at most MAX_ITEMS entries unless the caller says otherwise; several may be full."""
    full = [0] * MAX_ITEMS
    assert loads(dumps([full, full])) == [full, full]
    for crowd in ([*full, 0], {"x": [*full, 0]}, {str(n): n for n in range(MAX_ITEMS + 1)}):
        with pytest.raises(BadJson, match="more than 10000 entries"):
            loads(dumps(crowd))
        assert loads(dumps(crowd), max_items=MAX_ITEMS + 1) == crowd


def test_long_strings_are_bounded() -> None:
    """A string of MAX_TEXT characters passes, one more doesn't, wherever it stands."""
    text = "é" * MAX_TEXT
    assert loads(dumps(text)) == text
    for value in (text + "é", [text + "x"], {"a": [{"b": text + "x"}]}):
        with pytest.raises(BadJson, match="a string longer than 100000 characters"):
            loads(dumps(value))


def test_a_page_of_a_thousand_locations_is_readable() -> None:
    """The limits are those of one list and one object, so a page of several megabytes passes."""
    location = {
        "id": "LOC1",
        "evses": [{"uid": str(n), "connectors": [{"id": "1", "max_voltage": 230}] * 4} for n in range(10)],
    }
    page = {"data": [location] * 1_000, "status_code": 1000}
    assert loads(dumps(page)) == page


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"null", None),
        (b" true ", True),
        (b'""', ""),
        (b"{}", {}),
        (b"[]", []),
        (b"\t[ 1 ,\r\n 2 ]\n", [1, 2]),
        (b'{"a":{"a":1},"b":{"a":1}}', {"a": {"a": 1}, "b": {"a": 1}}),
        (b'{"a b":1,"ab":2}', {"a b": 1, "ab": 2}),
        (b'{"a":"\\":\\":"}', {"a": '":":'}),
        (b'{"a":"{\\"b\\":1,\\"b\\":2}"}', {"a": '{"b":1,"b":2}'}),
        (b'["\\":", {"a\\"":1, "a":[{"a":","}, "a", "a"]}]', ['":', {'a"': 1, "a": [{"a": ","}, "a", "a"]}]),
        (b'"\\ud83d\\ude00 \\u0000 \\/ \\u2028"', "\N{GRINNING FACE} \x00 / \u2028"),
        ('"Zürich \x7f 東京"'.encode(), "Zürich \x7f 東京"),
        (b'{"__proto__":{"x":1}}', {"__proto__": {"x": 1}}),
        (b'{"A":1,"a":2}', {"A": 1, "a": 2}),
        (b"-0", 0),
        (b"18446744073709551616", 2**64),
        (b"9" * MAX_DIGITS, 10**MAX_DIGITS - 1),
        (b"-" + b"9" * MAX_DIGITS, 1 - 10**MAX_DIGITS),
    ],
)
def test_accepted(data: bytes, value: Any) -> None:
    """What is unusual but unambiguous JSON is read, with the exact value and type."""
    result = loads(data)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("data", "leaves_as"),
    [
        (b"0.10", b"0.10"),
        (b"1.0", b"1.0"),
        (b"-0.0", b"-0.0"),
        (b"0.000", b"0.000"),
        (b"0.1234567890123456789012345678901234567890", b"0.1234567890123456789012345678901234567890"),
        (b"12345678901234567890.00", b"12345678901234567890.00"),
        (b"1e5", b"1E+5"),
        (b"1.50E-3", b"0.00150"),
        (b"1e-10", b"0.0000000001"),
        (b"-0.00000012340", b"-0.00000012340"),
        (b"0e-8", b"0.00000000"),
        (b"1E-30", b"0." + b"0" * 29 + b"1"),
        (b"1E-31", b"1E-31"),
        (f"1E{MAX_EXPONENT}".encode(), f"1E+{MAX_EXPONENT}".encode()),
        (f"1E-{MAX_EXPONENT}".encode(), f"1E-{MAX_EXPONENT}".encode()),
        (b"0." + b"0" * 40 + b"1", b"1E-41"),
        (b"340282366920938463463374607431768211456", b"340282366920938463463374607431768211456"),
    ],
)
def test_numbers_keep_their_digits(data: bytes, leaves_as: bytes) -> None:
    """Every digit that came in goes out, trailing zeros included; only the spelling of an exponent may change.

    Small numbers go out without one.
    """
    value = loads(data)
    assert dumps(value) == leaves_as
    assert loads(leaves_as) == value
    if isinstance(value, Decimal):
        assert value.as_tuple() == Decimal(data.decode()).as_tuple()


def test_texts_that_look_like_an_exponent_stay() -> None:
    """Beside a number that is spelled out, and in an object that has none."""
    assert dumps({"5E-7": ["DE-8E-7", Decimal("5E-7")]}) == b'{"5E-7":["DE-8E-7",0.0000005]}'
    assert dumps(["5E-7"]) == b'["5E-7"]'


@pytest.mark.parametrize("number", ["NaN", "-NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_no_number_never_leaves(number: str) -> None:
    """A NaN or an infinity made on the inside is an error, not invalid JSON on the wire; as words they may go."""
    with pytest.raises(ValueError, match="can't be said"):
        dumps({"cost": [1, {"excl_vat": Decimal(number)}]})
    assert dumps({"name": number, "to": [Decimal("1.0"), "Infinity NaN"]}).endswith(b'"to":[1.0,"Infinity NaN"]}')


def test_half_a_surrogate_pair_never_leaves() -> None:
    """Text that isn't Unicode can't be written."""
    with pytest.raises(ValueError, match="surrogates"):
        dumps({"name": "\ud800"})


def test_ascii_only_output() -> None:
    """With ascii_only everything beyond ASCII is escaped, by UTF-16 unit, and reads as the same value."""
    value = {"näme": 'Zürich "東京" \N{GRINNING FACE} \\u00fc', "plain": "a", "n": Decimal("0.10")}
    data = dumps(value, ascii_only=True)
    assert data.isascii()
    assert b"Z\\u00fcrich" in data
    assert b"\\ud83d\\ude00" in data
    assert loads(data) == value
    assert dumps({"a": "b"}, ascii_only=True) == b'{"a":"b"}'


def test_text_and_codec_say_the_same() -> None:
    """The text form and the codec handed to the core are the same functions."""
    value = {"a": [Decimal("1.50"), "é"]}
    assert dumps_text(value) == '{"a":[1.50,"é"]}'
    assert CODEC.loads(CODEC.dumps(value)) == value
    assert CODEC.dumps(value, ascii_only=True) == b'{"a":[1.50,"\\u00e9"]}'


numbers = st.one_of(
    st.integers(min_value=1 - 10**MAX_DIGITS, max_value=10**MAX_DIGITS - 1),
    st.decimals(allow_nan=False, allow_infinity=False).filter(
        # Without a fraction or an exponent it reads as an int: not a change of value, but of type.
        lambda d: abs(d.adjusted()) <= MAX_EXPONENT and len(d.as_tuple().digits) <= MAX_DIGITS and d.as_tuple().exponent
    ),
)
texts = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from('":,\\{}[] ')), max_size=12)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(texts, inner, max_size=5)),
    max_leaves=20,
)


def exactly(value: Any) -> Any:
    """The value in a form whose equality also compares types, digits and the order of keys."""
    match value:
        case dict():
            return [(key, exactly(inner)) for key, inner in value.items()]
        case list():
            return [exactly(inner) for inner in value]
        case Decimal():
            return value.as_tuple()
        case _:
            return (type(value), value)


@given(values, st.booleans())
def test_any_value_leaves_and_comes_back_as_it_was(value: Any, ascii_only: bool) -> None:
    """Out and in gives the same value: types, digits, order, text."""
    assert exactly(loads(dumps(value, ascii_only=ascii_only))) == exactly(value)


@given(values, st.sampled_from([None, 1, "\t"]))
def test_white_space_and_escapes_change_nothing(value: Any, indent: Any) -> None:
    """A text laid out and escaped by another implementation reads as the same value."""
    plain = loads(dumps(value))
    other = stdlib_json.dumps(
        stdlib_json.loads(dumps(value), parse_float=str), indent=indent, separators=(" , ", " : "), ensure_ascii=True
    )
    assert exactly(loads(other.encode())) == exactly(as_text(plain))


def as_text(value: Any) -> Any:
    """The value with its decimals as the texts that stand for them."""
    match value:
        case dict():
            return {key: as_text(inner) for key, inner in value.items()}
        case list():
            return [as_text(inner) for inner in value]
        case Decimal():
            return dumps_text(value)
        case _:
            return value


@given(st.dictionaries(texts, values, min_size=1, max_size=4), values, st.data())
def test_a_repeated_key_is_always_found(members: dict[str, Any], extra: Any, data: st.DataObject) -> None:
    """Whatever surrounds it and however it is spelled, a key that occurs twice is refused."""
    key = data.draw(st.sampled_from(sorted(members)))
    ascii_only = data.draw(st.booleans())
    gap = data.draw(st.sampled_from([b"", b" ", b"\n\t"]))
    pair = dumps(key, ascii_only=ascii_only) + gap + b":" + gap + dumps(extra)
    body = dumps(members)[:-1] + b"," + pair + b"}"
    for text in (body, b'[{"x":' + body + b"}]"):
        with pytest.raises(BadJson, match="occurs twice"):
            loads(text)
