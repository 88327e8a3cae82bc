"""Names: one text for every spelling of a name, a different one for every two names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.modules import Module
from gateway.model.names import Name, decode, encode, fold
from gateway.model.party import Party
from gateway.store.keys import Keys

EXA = Party("NL", "EXA")
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
names = st.builds(
    Name,
    module=st.sampled_from(Module),
    owner=st.sampled_from([EXA, Party("DE", "ACM"), Party("DE", "A-C")]),
    id=ids,
    type=st.none() | ids,
)


@given(names)
def test_a_name_is_read_back_from_its_text(name: Name) -> None:
    """The text of a name leads back to the same name, whatever stands in its id."""
    assert Name.parse(name.text) == name


@given(names, names)
def test_two_names_never_share_a_text(one: Name, other: Name) -> None:
    """Two names have the same text, the same key and the same hash exactly if they are equal."""
    assert (one.text == other.text) == (one == other) == (Keys().object(one) == Keys().object(other))


@given(ids)
def test_a_segment_has_nothing_that_means_something_in_a_key(text: str) -> None:
    """An encoded id has no brace, colon or glob character but the asterisk, and decodes to itself."""
    segment = encode(text)
    assert set(segment) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.*-%")
    assert decode(segment) == text


def test_ids_compare_without_case_and_keep_their_spelling() -> None:
    """Names that differ in the case of ASCII letters are one name; each keeps how it was written."""
    lower, upper = Name(Module.TOKENS, EXA, "ab-1", "rfid"), Name(Module.TOKENS, EXA, "AB-1", "RFID")
    assert lower == upper
    assert hash(lower) == hash(upper)
    assert lower.text == upper.text == "tokens:NL-EXA:AB-1:RFID"
    assert lower.id == "ab-1"


def test_folding_doesnt_merge_letters_beyond_ascii() -> None:
    """A sharp s isn't two of them: only ASCII letters have a case here."""
    assert fold("straße") != fold("strasse")


@pytest.mark.parametrize(
    "text", ["", "sessions", "sessions:NL-EXA", "sessions:NLEXA:1", "sessions:NL-EXA:", "x:NL-EXA:1"]
)
def test_what_isnt_a_name_is_refused(text: str) -> None:
    """A text that no name has is a ValueError, not half a name."""
    with pytest.raises(ValueError, match=r"not"):
        Name.parse(text)


def test_everything_said_of_an_object_shares_a_tag() -> None:
    """Object, variant, note and list of notes carry the owner as their tag, so that one script may write them."""
    keys, name = Keys("og"), Name(Module.LOCATIONS, EXA, "a{b}")
    assert keys.object(name) == "og:obj:{NL-EXA}:locations:A%7BB%7D"
    assert keys.object(name, "acme") == "og:obj:{NL-EXA}:locations:A%7BB%7D:acme"
    assert keys.note(name) == "og:note:{NL-EXA}:locations:A%7BB%7D"
    assert keys.notes("NL-EXA") == "og:notes:{NL-EXA}"


def test_everything_owed_to_a_link_shares_a_tag() -> None:
    """All keys of a link carry its id as their tag, the entries of single CDRs included."""
    keys, name = Keys("og"), Name(Module.CDRS, EXA, "1")
    of_link = [keys.due("a"), keys.ticket("a"), keys.sent("a"), keys.held("a"), keys.cdrs("a"), keys.cdrs_done("a")]
    assert all(key.partition("{")[2].partition("}")[0] == "a" for key in [*of_link, keys.cdr("a", name)])
