"""Strict JSON: the one place where bytes become values and values become bytes.

Two JSON parsers that read the same bytes differently are how a price changes or a check is passed by, so what is
ambiguous is refused, in requests and in answers alike: duplicate keys, NaN and Infinity, lone surrogates, a byte order
mark, anything but UTF-8, nesting beyond 32, numbers whose digits or exponent run away. And what is exact stays exact:
a number with a fraction or an exponent is a ``Decimal`` (``0.10`` leaves as ``0.10``), one without is an ``int`` of any
size within the limit; no ``float`` is ever made.

The decoder (msgspec) refuses most of it and is fast, but of two equal keys it silently keeps the last, and it knows no
limits. Checking each object as it is built would cost several times the decoding. So it is counted instead:

- one breadth-first walk over the decoded value gives its depth and the number of pairs that *arrived*;
- every pair that was *sent* put at least one ``":`` into the bytes, once white space is gone.

As many hits as pairs: nothing was dropped. More hits than pairs: either a pair was dropped or a string contains an
escaped quote and a colon, and an exact scan of the tokens, which is ten times slower and seldom needed, decides.

Refusals are ``BadJson``; they say what and, where it is known, at which byte, and never repeat the bytes themselves:
a body may hold a token.

A list may be larger than memory. ``Splitter`` cuts the items of ``data`` out of an OCPI envelope while its bytes come,
without reading them: a regular expression that knows strings and brackets, nothing else, jumps from item to item. Each
item then goes through ``loads`` by itself, and one that is broken costs only itself.
"""

from __future__ import annotations

import json as stdlib_json
import re
from collections.abc import Callable
from decimal import Clamped, Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow, Rounded, Subnormal
from typing import Any, Final

import msgspec
from attrs import frozen

from gateway.model.errors import BadJson

MAX_DEPTH: Final = 32
"""Objects and lists within each other. The deepest OCPI message has 9."""

MAX_ITEMS: Final = 10_000
"""Entries of one list, or members of one object."""

MAX_TEXT: Final = 100_000
"""Characters of one string."""

MAX_DIGITS: Final = 128
"""Digits of one number, leading zeros of a fraction not counted."""

MAX_EXPONENT: Final = 308
"""Powers of ten, either way, that a number may lie from 1: about the range of a double (RFC 8259 section 6)."""

# The most zeros that are written behind a decimal point for want of an exponent: enough for any price or energy.
_MOST_ZEROS: Final = 30

_TOO_BIG: Final = 10**MAX_DIGITS
_WHITE_SPACE: Final = b" \t\n\r"
_PREFIX: Final = "JSON is malformed: "
_NUMBER_RUNS_AWAY: Final = f"a number with more than {MAX_DIGITS} digits or an exponent beyond {MAX_EXPONENT}"

# A decimal context that traps every deviation makes the limits part of the conversion itself, at the speed of C.
_EXACTLY: Final = Context(
    prec=MAX_DIGITS,
    Emax=MAX_EXPONENT,
    Emin=-MAX_EXPONENT,
    traps=[Inexact, Rounded, Overflow, Subnormal, Clamped, InvalidOperation],
)
_DECODER: Final = msgspec.json.Decoder(float_hook=_EXACTLY.create_decimal)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")

_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN: Final = re.compile(_STRING + rb"|[{}\[\],:]")
_NOT_ASCII: Final = re.compile("[^\x00-\x7f]+")
_EXPONENT: Final = re.compile(rb"[0-9]E-[0-9]")


def loads(data: bytes, *, max_items: int = MAX_ITEMS) -> Any:
    """The value of a JSON text: dict, list, str, bool, None, int or Decimal.

    Args:
        data: UTF-8, without a byte order mark. Its size is the caller's to bound.
        max_items: entries of one list or members of one object, at most.

    Raises:
        BadJson: it isn't JSON, is ambiguous, or goes beyond a limit of this module.
    """
    value = _decode(data)
    pairs = _measure(value, max_items, long_texts=len(data) > MAX_TEXT)
    if data.translate(None, _WHITE_SPACE).count(b'":') > pairs:
        _refuse_duplicates(data)
    return value


def dumps(value: Any, *, ascii_only: bool = False) -> bytes:
    """The JSON text of a value, without white space, numbers digit by digit as they are; small ones without exponent.

    Args:
        value: what ``loads`` gives. Floats have no place in it: they don't say how many digits they mean.
        ascii_only: write every other character as a ``\\u`` escape, for receivers whose strings are ASCII
            (2.1.1 ``types`` 14, String).

    Raises:
        ValueError: a NaN or an infinity, or half a surrogate pair.
    """
    data = _ENCODER.encode(value)
    if b"NaN" in data or b"Infinity" in data:
        _refuse_what_is_no_number(value)
    if b"E-" in data and _EXPONENT.search(data):
        data = _ENCODER.encode(_spelled_out(value))
    if ascii_only and not data.isascii():
        return _NOT_ASCII.sub(_escaped, data.decode()).encode()
    return data


def dumps_text(value: Any, *, ascii_only: bool = False) -> str:
    """``dumps`` as text."""
    return dumps(value, ascii_only=ascii_only).decode()


@frozen
class StrictJson:
    """This module as a value, for those who are handed their codec."""

    def loads(self, data: bytes) -> Any:
        """As the function of that name."""
        return loads(data)

    def dumps(self, value: Any, *, ascii_only: bool = False) -> bytes:
        """As the function of that name."""
        return dumps(value, ascii_only=ascii_only)


CODEC: Final = StrictJson()


def _nested(levels: int) -> bytes:
    """A regular expression for an object or list: brackets that belong together, whatever their kind."""
    plain = rb"[^{}\[\]\"]*+"
    inner = rb"(?!)"
    for _ in range(levels):
        inner = rb"[{\[]" + plain + rb"(?:(?:" + _STRING + rb"|" + inner + rb")" + plain + rb")*+[}\]]"
    return inner


# Twice as deep as anything that ``loads`` takes: what is merely too deep is refused as an item, not as a list.
_GAP: Final = rb"[ \t\n\r]*+"
_VALUE: Final = rb"(" + _STRING + rb"|" + _nested(2 * MAX_DEPTH) + rb"|[^ \t\n\r{}\[\]\",:]++)"
_OPENING: Final = re.compile(_GAP + rb"\{" + _GAP + rb"(?=[^ \t\n\r])")
_CLOSING: Final = re.compile(rb"\}")
_NAME: Final = re.compile(_GAP + rb"(" + _STRING + rb")" + _GAP + rb":" + _GAP + rb"(?=[^ \t\n\r])")
_MEMBER: Final = re.compile(_VALUE + _GAP + rb"([,}])", re.DOTALL)
_LIST: Final = re.compile(rb"\[" + _GAP + rb"(?=[^ \t\n\r])")
_ITEM: Final = re.compile(_GAP + _VALUE + _GAP + rb"([,\]])", re.DOTALL)
_EMPTY: Final = re.compile(rb"\]")
_AFTER_LIST: Final = re.compile(_GAP + rb"([,}])")
_END: Final = re.compile(_GAP)


class Splitter:
    """Cuts the items of ``data`` out of an OCPI envelope while its bytes come.

    Takes the bytes in pieces of any size, and holds no more of them than the item that isn't complete yet. What can't
    be the beginning of an envelope with a list shows when an item outgrows its cap, or in the end.

    Attributes:
        members: the other members of the envelope as far as they have come; ``data`` itself among them where it is
            there and isn't a list.
        listed: whether ``data`` is a list.
    """

    def __init__(self, *, item_cap: int, envelope_cap: int) -> None:
        """``item_cap``: bytes of one item, ``envelope_cap`` of all other members together, at most."""
        self.members: dict[str, Any] = {}
        self.listed = False
        self._item_cap = item_cap
        self._envelope_left = envelope_cap
        self._step: Callable[[bytes, int, list[bytes]], int] = self._open
        self._rest = b""
        self._new: list[bytes] = []
        self._new_bytes = 0
        self._name = ""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The items that are complete with these bytes, each as it was sent.

        Raises:
            BadJson: an item or the envelope goes beyond its cap, or a name stands twice in the envelope.
        """
        self._new.append(chunk)
        self._new_bytes += len(chunk)
        if self._new_bytes < len(self._rest):
            return []  # what was looked through in vain is looked through again when there is as much again
        return self._split()

    def finish(self) -> list[bytes]:
        """The items that hadn't been looked for yet; the bytes have ended.

        Raises:
            BadJson: as ``feed``, or the bytes aren't one whole envelope.
        """
        items = self._split()
        if self._step != self._ended or self._rest:
            raise BadJson("the envelope is malformed or cut off")
        return items

    def _split(self) -> list[bytes]:
        data = b"".join((self._rest, *self._new))
        self._new.clear()
        self._new_bytes = 0
        items: list[bytes] = []
        at = 0
        while True:
            step = self._step
            at = step(data, at, items)
            if self._step == step:
                break
        self._rest = data[at:]
        if len(self._rest) > max(self._item_cap, self._envelope_left):
            raise BadJson(f"an item of more than {self._item_cap} bytes, or one that is malformed")
        return items

    # The steps: each consumes what is complete of its part, and names the next one when its own is done.

    def _open(self, data: bytes, at: int, _: list[bytes]) -> int:
        if found := _OPENING.match(data, at):
            self._step = self._close if _CLOSING.match(data, found.end()) else self._member_name
            return found.end()
        return at

    def _member_name(self, data: bytes, at: int, _: list[bytes]) -> int:
        if found := _NAME.match(data, at):
            self._name = loads(found[1])
            if self._name in self.members or (self._name == "data" and self.listed):
                raise BadJson("a name occurs twice in the envelope")
            self._pay(found.end() - at)
            self._step = self._member
            return found.end()
        return at

    def _member(self, data: bytes, at: int, _: list[bytes]) -> int:
        if self._name == "data" and (found := _LIST.match(data, at)):
            self.listed = True
            empty = _EMPTY.match(data, found.end())
            self._step = self._after_list if empty else self._items
            return empty.end() if empty else found.end()
        if found := _MEMBER.match(data, at):
            self._pay(found.end() - at)
            self.members[self._name] = loads(found[1])
            self._step = self._ended if found[2] == b"}" else self._member_name
            return found.end()
        return at

    def _items(self, data: bytes, at: int, items: list[bytes]) -> int:
        match = _ITEM.match
        while found := match(data, at):
            item, after = found.groups()
            if len(item) > self._item_cap:
                raise BadJson(f"an item of more than {self._item_cap} bytes")
            items.append(item)
            at = found.end()
            if after == b"]":
                self._step = self._after_list
                return at
        return at

    def _after_list(self, data: bytes, at: int, _: list[bytes]) -> int:
        if found := _AFTER_LIST.match(data, at):
            self._step = self._ended if found[1] == b"}" else self._member_name
            return found.end()
        return at

    def _close(self, data: bytes, at: int, _: list[bytes]) -> int:
        self._step = self._ended
        return at + 1

    def _ended(self, data: bytes, at: int, _: list[bytes]) -> int:
        found = _END.match(data, at)
        return found.end() if found else at

    def _pay(self, count: int) -> None:
        self._envelope_left -= count
        if self._envelope_left < 0:
            raise BadJson("an envelope whose members besides data are too large")


def _decode(data: bytes) -> Any:
    try:
        return _DECODER.decode(data)
    except msgspec.ValidationError:
        raise BadJson(_NUMBER_RUNS_AWAY) from None  # the one thing it can find wrong with a value of any type
    except msgspec.DecodeError as error:
        raise BadJson(f"not JSON: {_where(data, str(error))}") from None
    except UnicodeDecodeError:
        raise BadJson(f"not JSON: {_not_utf8(data)}") from None
    except DecimalException:
        raise BadJson(_NUMBER_RUNS_AWAY) from None
    except RecursionError:
        raise BadJson(f"nested deeper than {MAX_DEPTH}") from None


def _where(data: bytes, complaint: str) -> str:
    """The decoder's complaint with its offset; it echoes nothing of the data."""
    if data.startswith(b"\xef\xbb\xbf"):
        return "a byte order mark (byte 0)"
    if b"\x00" in data[:4]:
        return "not UTF-8 (byte 0)"
    if complaint.startswith(_PREFIX):
        return complaint.removeprefix(_PREFIX)
    return f"it ends in the middle of a value or a surrogate pair (byte {len(data)})"


def _not_utf8(data: bytes) -> str:
    """Where the bytes stop being UTF-8. The decoder counts from the start of the string, so it is looked for again."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return f"not UTF-8 (byte {error.start})"
    return "not UTF-8"


def _measure(value: Any, max_items: int, *, long_texts: bool) -> int:
    """How many pairs all objects of a value have together, refusing depth, sizes and integers beyond the limits.

    Level by level: most of a message is short strings, and this way they are passed over in one comprehension.
    """
    pairs = 0
    depth = -1
    level: list[Any] = [[value]]  # in a list of its own, so that a lone scalar meets the limits too
    while level:
        depth += 1
        inside: list[Any] = []
        for node in level:
            kind = type(node)
            if kind is dict:
                pairs += len(node)
                inside += node.values()
            elif kind is list:
                inside += node
            elif kind is int and not -_TOO_BIG < node < _TOO_BIG:
                raise BadJson(_NUMBER_RUNS_AWAY)
        if depth > MAX_DEPTH and any(type(node) in (dict, list) for node in level):
            raise BadJson(f"nested deeper than {MAX_DEPTH}")
        if len(inside) > max_items and any(len(node) > max_items for node in level if type(node) in (dict, list)):
            raise BadJson(f"a list or object with more than {max_items} entries")
        if long_texts and any(len(node) > MAX_TEXT for node in inside if type(node) is str):
            raise BadJson(f"a string longer than {MAX_TEXT} characters")
        level = [node for node in inside if type(node) is not str]
    return pairs


def _refuse_duplicates(data: bytes) -> None:
    """Scan the tokens of a text that is known to be JSON for an object that has one key twice."""
    objects: list[set[str] | None] = []  # the keys so far of each object around this place; None for a list
    names: set[str] | None = None  # where a string would be a key: the keys of its object
    for token in _TOKEN.finditer(data):
        match data[token.start()]:
            case 0x22 if names is not None:  # a string
                key = _name(token[0])
                if key in names:
                    raise BadJson(f"a key occurs twice in one object (byte {token.start()})")
                names.add(key)
                names = None
            case 0x7B:  # {
                names = set()
                objects.append(names)
            case 0x5B:  # [
                objects.append(names := None)
            case 0x7D | 0x5D:  # } ]
                objects.pop()
                names = None
            case 0x2C:  # ,
                names = objects[-1]


def _name(token: bytes) -> str:
    """A key as the reader of the object sees it: ``"a"`` and ``"\\u0061"`` are one key."""
    return str(msgspec.json.decode(token)) if b"\\" in token else token[1:-1].decode()


def _refuse_what_is_no_number(value: Any) -> None:
    """Raise for a NaN or an infinity anywhere in a value; the words may also stand in a string."""
    rest = [value]
    while rest:
        node = rest.pop()
        if isinstance(node, dict):
            rest += node.values()
        elif isinstance(node, list | tuple):
            rest += node
        elif isinstance(node, Decimal) and not node.is_finite():
            raise ValueError("NaN and infinities can't be said in JSON")


def _spelled_out(value: Any) -> Any:
    """The value with numbers below a millionth as text of JSON: many a reader takes no exponent for money."""
    match value:
        case dict():
            return {name: _spelled_out(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_spelled_out(inner) for inner in value]
        case Decimal() if "E-" in str(value) and value.adjusted() >= -_MOST_ZEROS:
            return msgspec.Raw(f"{value:f}".encode())
    return value


def _escaped(characters: re.Match[str]) -> str:
    return stdlib_json.dumps(characters[0])[1:-1]
