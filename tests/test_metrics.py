import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunileo.metrics import cer, confusions, place_accuracy, sentence_accuracy, wer
from gunileo.sentence import PLACES, SLOTS

SAID = "bin blue at f two now"
sentences = st.tuples(*(st.sampled_from(words) for words in SLOTS)).map(" ".join)


def test_word_errors_are_counted_over_all_sentences_together() -> None:
    # One substitution and one deletion in 6 words, one insertion in 2: 3 of 8, not the mean of 2/6 and 1/2.
    assert wer([SAID, "set red"], ["bin blue by f two", "set red now"]) == pytest.approx(3 / 8)


def test_rates_may_pass_one() -> None:
    assert wer(["bin"], ["lay red now"]) == 3


def test_character_errors_count_spaces() -> None:
    assert cer(["a b"], ["ab"]) == pytest.approx(1 / 3)


def test_an_empty_hypothesis_is_all_wrong() -> None:
    assert wer([SAID], [""]) == 1
    assert cer([SAID], [""]) == 1
    assert set(place_accuracy([SAID], [""]).values()) == {0}
    assert confusions([SAID], [""]) == []


@given(st.lists(sentences, min_size=1, max_size=5))
def test_a_perfect_reading_has_no_errors(texts: list[str]) -> None:
    assert wer(texts, texts) == cer(texts, texts) == 0
    assert sentence_accuracy(texts, texts) == 1
    assert place_accuracy(texts, texts) == dict.fromkeys(PLACES, 1.0)
    assert confusions(texts, texts) == []


@given(sentences, sentences)
def test_places_of_grid_sentences_are_compared_word_by_word(said: str, read: str) -> None:
    expected = [float(one == other) for one, other in zip(said.split(), read.split(), strict=True)]
    assert list(place_accuracy([said], [read]).values()) == expected


def test_sentence_accuracy_needs_every_word() -> None:
    assert sentence_accuracy([SAID, SAID], [SAID, "bin blue at f two soon"]) == 0.5


def test_a_missing_word_costs_its_own_place_only() -> None:
    found = place_accuracy([SAID], ["bin blue f two now"])
    assert found == {**dict.fromkeys(PLACES, 1.0), "preposition": 0.0}


def test_an_added_word_costs_no_place() -> None:
    assert place_accuracy([SAID], ["bin blue at f f two now"]) == dict.fromkeys(PLACES, 1.0)


def test_place_accuracy_is_the_mean_over_sentences() -> None:
    found = place_accuracy([SAID, SAID], [SAID, "lay blue at b two now"])
    assert (found["command"], found["letter"], found["digit"]) == (0.5, 0.5, 1.0)


def test_place_accuracy_refuses_other_sentences() -> None:
    with pytest.raises(ValueError, match="has 2 words"):
        place_accuracy(["good morning"], [SAID])


def test_confusions_are_ranked() -> None:
    refs = ["bin red", "bin red", "set blue", "lay white"]
    hyps = ["bin white", "bin white", "lay blue", "lay"]
    assert confusions(refs, hyps) == [("red", "white", 2), ("set", "lay", 1)]
    assert confusions(refs, hyps, n=1) == [("red", "white", 2)]


@pytest.mark.parametrize("measure", [wer, cer, sentence_accuracy, place_accuracy, confusions])
@pytest.mark.parametrize(("refs", "hyps"), [([], []), ([SAID], []), ([SAID], [SAID, SAID])])
def test_lists_must_match(measure, refs: list[str], hyps: list[str]) -> None:
    with pytest.raises(ValueError, match="references"):
        measure(refs, hyps)
