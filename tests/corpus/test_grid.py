import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunileo.corpus.grid import BLANK, CLASSES, SLOT_NAMES, SLOTS, WORDS, code_to_text, decode, encode, text_to_code

sentences = st.tuples(*(st.sampled_from(words) for words in SLOTS)).map(" ".join)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("bbaf2n", "bin blue at f two now"),
        ("lgwz8a", "lay green with z eight again"),
        ("priazn", "place red in a zero now"),  # z in the digit's place is zero
        ("swizzs", "set white in z zero soon"),
        ("BBAF2N", "bin blue at f two now"),
    ],
)
def test_a_code_is_spelled_out(code: str, text: str) -> None:
    assert code_to_text(code) == text


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("xbaf2n", "'x' is not a GRID command"),
        ("bbaw2n", "'w' is not a GRID letter"),
        ("bbaf0n", "'0' is not a GRID digit"),
        ("bbaf2", "5"),
    ],
)
def test_a_bad_code_is_named(code: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        code_to_text(code)


@given(sentences)
def test_codes_and_sentences_go_both_ways(text: str) -> None:
    code = text_to_code(text)
    assert len(code) == len(SLOT_NAMES)
    assert code_to_text(code) == text


def test_there_are_64000_sentences_of_51_words() -> None:
    assert len(set(WORDS)) == 51
    assert len(set(itertools.product(*SLOTS))) == 64_000


@pytest.mark.parametrize(
    ("text", "complaint"), [("bin blue at w two now", "'w' is not a GRID letter"), ("bin blue", "has 2 words")]
)
def test_other_sentences_have_no_code(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        text_to_code(text)


def test_the_blank_shares_its_class_with_no_symbol() -> None:
    assert len(CLASSES) == 37
    assert CLASSES[BLANK] == ""
    assert len(set(CLASSES)) == 37
    assert BLANK not in encode("".join(CLASSES))


@given(st.text(alphabet=[symbol for symbol in CLASSES if symbol]))
def test_encoding_is_undone(text: str) -> None:
    assert decode(encode(text)) == text


def test_blanks_vanish_in_decoding() -> None:
    assert decode([BLANK, 2, BLANK, 2, 1, 3]) == "aa b"


@pytest.mark.parametrize("text", ["A", "0", "don't", "é"])
def test_a_character_without_a_class_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has no class"):
        encode(text)
