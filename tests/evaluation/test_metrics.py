import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gunileo.corpus.grid import SLOT_NAMES, SLOTS
from gunileo.evaluation.metrics import (
    bootstrap,
    calibration_error,
    cer,
    confusions,
    error_counts,
    matrix,
    paired,
    reliability,
    sentence_accuracy,
    slot_accuracy,
    slots_right,
    wer,
    words_right,
)

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
    assert set(slot_accuracy([SAID], [""]).values()) == {0}
    assert confusions([SAID], [""]) == []


@given(st.lists(sentences, min_size=1, max_size=5))
def test_a_perfect_reading_has_no_errors(texts: list[str]) -> None:
    assert wer(texts, texts) == cer(texts, texts) == 0
    assert sentence_accuracy(texts, texts) == 1
    assert slot_accuracy(texts, texts) == dict.fromkeys(SLOT_NAMES, 1.0)
    assert confusions(texts, texts) == []


@given(sentences, sentences)
def test_places_of_grid_sentences_are_compared_word_by_word(said: str, read: str) -> None:
    expected = [float(one == other) for one, other in zip(said.split(), read.split(), strict=True)]
    assert list(slot_accuracy([said], [read]).values()) == expected


def test_sentence_accuracy_needs_every_word() -> None:
    assert sentence_accuracy([SAID, SAID], [SAID, "bin blue at f two soon"]) == 0.5


def test_a_missing_word_costs_its_own_place_only() -> None:
    found = slot_accuracy([SAID], ["bin blue f two now"])
    assert found == {**dict.fromkeys(SLOT_NAMES, 1.0), "preposition": 0.0}


def test_an_added_word_costs_no_place() -> None:
    assert slot_accuracy([SAID], ["bin blue at f f two now"]) == dict.fromkeys(SLOT_NAMES, 1.0)


def test_slot_accuracy_is_the_mean_over_sentences() -> None:
    found = slot_accuracy([SAID, SAID], [SAID, "lay blue at b two now"])
    assert (found["command"], found["letter"], found["digit"]) == (0.5, 0.5, 1.0)


def test_slot_accuracy_refuses_other_sentences() -> None:
    with pytest.raises(ValueError, match="has 2 words"):
        slot_accuracy(["good morning"], [SAID])


def test_confusions_are_ranked() -> None:
    refs = ["bin red", "bin red", "set blue", "lay white"]
    hyps = ["bin white", "bin white", "lay blue", "lay"]
    assert confusions(refs, hyps) == [("red", "white", 2), ("set", "lay", 1)]
    assert confusions(refs, hyps, n=1) == [("red", "white", 2)]


@pytest.mark.parametrize("measure", [wer, cer, sentence_accuracy, slot_accuracy, confusions])
@pytest.mark.parametrize(("refs", "hyps"), [([], []), ([SAID], []), ([SAID], [SAID, SAID])])
def test_lists_must_match(measure, refs: list[str], hyps: list[str]) -> None:
    with pytest.raises(ValueError, match="references"):
        measure(refs, hyps)


@given(st.lists(st.tuples(sentences, st.text("ab ", max_size=9).map(str.strip) | sentences), min_size=1, max_size=4))
def test_counts_clip_by_clip_add_up_to_the_rates(clips: list[tuple[str, str]]) -> None:
    refs, hyps = [said for said, _ in clips], [read for _, read in clips]
    errors, wholes = error_counts(refs, hyps)
    rates = errors.sum(axis=0) / wholes.sum(axis=0)
    assert rates == pytest.approx([wer(refs, hyps), cer(refs, hyps), 1 - sentence_accuracy(refs, hyps)])
    assert slots_right(refs, hyps).mean(axis=0) == pytest.approx(list(slot_accuracy(refs, hyps).values()))


def test_interval_of_two_clips_by_hand() -> None:
    # Draws of two of two clips: (a, a), (a, b) twice, (b, b): rates 0, 2/12, 4/12 with chances 1/4, 1/2, 1/4.
    assert bootstrap([0, 2], [6, 6]) == [(0, pytest.approx(1 / 3))]
    # Clips of different length weigh by their words: (a, b) has 3 of 9, not the mean of 0 and 1.
    assert bootstrap([[0, 0], [3, 3]], [[6, 6], [3, 3]]) == [(0, 1), (0, 1)]


def test_interval_is_the_binomial_one_for_clips_right_or_wrong() -> None:
    right = np.arange(400) < 100  # a quarter: the standard error is sqrt(0.25 x 0.75 / 400)
    ((low, high),) = bootstrap(right, np.ones(400))
    spread = 1.96 * (0.25 * 0.75 / 400) ** 0.5
    assert (low, high) == (pytest.approx(0.25 - spread, abs=0.004), pytest.approx(0.25 + spread, abs=0.004))
    assert bootstrap(right, np.ones(400)) == [(low, high)]
    assert bootstrap(right, np.ones(400), seed=1) != [(low, high)]


def test_clips_are_drawn_whole() -> None:
    # The same errors, in few clips or in many: those in few are less certain.
    ((low, high),) = bootstrap([6] * 5 + [0] * 45, [6] * 50)
    ((low_spread, high_spread),) = bootstrap([1] * 30 + [0] * 20, [6] * 50)
    assert high - low > 2 * (high_spread - low_spread)


@pytest.mark.parametrize(("parts", "wholes"), [([], []), ([1], [1, 2])])
def test_interval_needs_clips(parts: list[float], wholes: list[float]) -> None:
    with pytest.raises(ValueError, match="same"):
        bootstrap(parts, wholes)


def test_calibration_error_by_hand() -> None:
    confidences = [0.05, 0.1, 0.75, 0.8, 0.95, 1.0]
    right = [False, True, True, False, True, True]
    found = reliability(confidences, right)
    assert [(one.low, one.high, one.count) for one in found] == [
        (0, pytest.approx(0.1), 2),  # an edge belongs to the bin below it
        (pytest.approx(0.7), pytest.approx(0.8), 2),
        (pytest.approx(0.9), 1, 2),
    ]
    assert [one.confidence for one in found] == pytest.approx([0.075, 0.775, 0.975])
    assert [one.right for one in found] == [0.5, 0.5, 1]
    assert calibration_error(confidences, right) == pytest.approx((2 * 0.425 + 2 * 0.275 + 2 * 0.025) / 6)
    assert calibration_error(confidences, right, bins=1) == pytest.approx(abs(sum(confidences) / 6 - 4 / 6))


def test_honest_confidences_have_no_calibration_error() -> None:
    assert calibration_error([0.25] * 4 + [1.0] * 3, [True, False, False, False, True, True, True]) == 0
    assert calibration_error([1.0, 1.0], [False, False]) == 1
    assert calibration_error([0.0], [False]) == 0


@pytest.mark.parametrize(("confidences", "right"), [([1.1], [True]), ([0.5], []), ([float("nan")], [True]), ([], [])])
def test_confidences_must_be_probabilities(confidences: list[float], right: list[bool]) -> None:
    with pytest.raises(ValueError, match=r"confidence|reading"):
        calibration_error(confidences, right)


def test_words_are_paired_by_place_or_alignment() -> None:
    assert paired("in a two", "at i two") == [("in", "at"), ("a", "i"), ("two", "two")]
    assert paired(SAID, "bin blue f two now")[2:4] == [("at", ""), ("f", "f")]
    assert words_right(SAID, "bin blue by f two now") == [True, True, False, True, True, True]
    assert words_right(SAID, "bin bin blue at f two now").count(False) == 1
    assert words_right(SAID, "blue") == [True]
    assert words_right(SAID, "") == []


def test_matrix_counts_what_was_read_for_what() -> None:
    pairs = [("b", "p"), ("b", "b"), ("b", "p"), ("p", "be"), ("p", ""), ("now", "b")]
    assert matrix(pairs, ["b", "p"]) == [[1, 2, 0], [0, 0, 2]]
