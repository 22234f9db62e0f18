"""Words' times: what a model's habit is, taken back."""

import itertools
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gunileo.corpus.cache import CachedUtterance
from gunileo.corpus.grid import CLASSES
from gunileo.corpus.labels import WordTime
from gunileo.decoding.ctc import FPS
from gunileo.evaluation.word_times import FEWEST, fit, learn
from gunileo.inference.timing import Timing, from_json, gaps, placed, to_json
from gunileo.output.transcript import Word

SAID = [("bin", 0.6, 0.9), ("blue", 0.9, 1.3), ("at", 1.3, 1.4), ("f", 1.4, 1.7), ("two", 1.7, 2.0), ("now", 2.0, 2.4)]
TRUE = tuple(WordTime(*word) for word in SAID)


def spread(start: float, end: float, share: float) -> tuple[Word, ...]:
    """``SAID`` as a network might decode it: moved by constants and drawn away from its middle, at 1.5 s."""
    return tuple(
        Word(word, (a - start - 1.5 * share) / (1 - share), (b - end - 1.5 * share) / (1 - share), 0.9)
        for word, a, b in SAID
    )


def test_a_habit_is_found_and_taken_back() -> None:
    read = spread(0.0, 0.0, 0.2)
    timing = fit([(read, TRUE)])
    moved = timing.apply(read, 3.0)
    for word, (text, start, end) in zip(moved, SAID, strict=True):
        assert word.word == text
        assert word.confidence == 0.9
        assert (word.start, word.end) == pytest.approx((start, end), abs=1e-6)
    assert timing.start[1] == pytest.approx(-0.2)
    late = tuple(replace(word, start=word.start + 0.08, end=word.end - 0.04) for word in spread(0, 0, 0))
    assert fit([(late, TRUE)]).start == pytest.approx((-0.08, 0, 0), abs=1e-9)
    assert fit([(late, TRUE)]).end == pytest.approx((0.04, 0, 0), abs=1e-9)


def test_gaps_between_words_that_follow_each_other_are_closed() -> None:
    """A network that spells every word in the middle half of its time."""
    read = tuple(
        Word(word, start + 0.25 * (end - start), end - 0.25 * (end - start), 0.9)
        for word, start, end in ((text, 0.5 + 0.4 * i, 0.9 + 0.4 * i) for i, (text, _, _) in enumerate(SAID))
    )
    said = tuple(WordTime(word.word, 0.5 + 0.4 * i, 0.9 + 0.4 * i) for i, word in enumerate(read))
    timing = fit([(read, said)] * 2)
    for word, true in zip(timing.apply(read, 3.0), said, strict=True):
        assert (word.start, word.end) == pytest.approx((true.start, true.end), abs=1e-6)
    assert gaps(read) == pytest.approx(np.array([(0.0, 0.2), *[(0.2, 0.2)] * 4, (0.2, 0.0)]))


def test_words_stay_in_the_clip_and_last_a_frame() -> None:
    words = (Word("a", 0.0, 0.04, 1.0), Word("b", 1.0, 1.04, 1.0), Word("c", 2.9, 3.0, 1.0))
    lines = ((0.3, 0.5, 0.1), (-0.3, 0.5, -3)), ((-2, 0, 0), (-2, 0, 0)), ((5, 0, 0), (5, 0, 0))
    for timing in (Timing(start, end, 9.0) for start, end in lines):
        for word in timing.apply(words, 3.0):
            assert 0 <= word.start < word.end <= 3.0
            assert word.end - word.start >= 1 / FPS - 1e-9
    assert Timing((1, 1, 0), (1, 1, 0), 9.0).apply((), 3.0) == ()


def test_neighbours_that_overlap_meet_half_way() -> None:
    words = tuple(Word(word, start, end, 1.0) for word, start, end in SAID)
    moved = Timing((-0.1, 0, 0), (0.1, 0, 0), 9.0).apply(words, 3.0)
    assert [word.start for word in moved] == pytest.approx([0.5, *(start for _, start, _ in SAID[1:])])
    assert [word.end for word in moved] == pytest.approx([*(end for _, _, end in SAID[:-1]), 2.5])


def test_a_long_video_is_not_drawn_together() -> None:
    timing = fit([(spread(0.0, 0.0, 0.2), TRUE)])
    assert timing.reach == pytest.approx(0.9 / 0.8)  # half of the sentence as it was decoded
    words = tuple(Word("bin", at, at + 0.4, 0.9) for at in np.arange(0.0, 60.0, 0.5))
    moved = timing.apply(words, 60.4)
    for word, was in zip(moved, words, strict=True):
        assert abs(word.start - was.start) <= 0.2 * timing.reach + 1e-9
        assert abs(word.end - was.end) <= 0.2 * timing.reach + 1e-9


def test_json_comes_back_and_anything_else_is_refused() -> None:
    timing = Timing((0.1, -0.2, 0.4), (0.0, 0.3, 0.0), 0.9)
    assert from_json(to_json(timing)) == timing
    assert from_json('{"start": [0.1, -0.2], "end": [0, 0.3], "reach": 1}').start == (0.1, -0.2, 0)
    for text in (
        "{}",
        "[]",
        "nonsense",
        json.dumps({"start": [1], "end": [1, 2], "reach": 1}),
        json.dumps({"start": [1, 2, 3, 4], "end": [1, 2], "reach": 1}),
        json.dumps({"start": [1, 2], "end": [1, 2]}),
        '{"start": [NaN, 0], "end": [0, 0], "reach": 1}',
    ):
        with pytest.raises(ValueError, match=r"timing|Expecting|unpack"):
            from_json(text)


class Scores:
    """Stands where a cache and its reader do: a clip's crops are its log-probabilities."""

    def load(self, utterance: CachedUtterance) -> Any:
        """Letters evenly from 0.4 to 2.4 s; the words are said from 0.9 to 1.9 s."""
        logp = np.full((75, len(CLASSES)), np.log(1e-4))
        logp[:, 0] = 0.0
        for index, symbol in enumerate(utterance.text):
            logp[10 + round(50 * index / len(utterance.text)), [0, CLASSES.index(symbol)]] = np.log(1e-4), 0.0
        return logp

    def log_probabilities(self, crops: Any) -> Any:
        return crops


def test_timing_is_learnt_from_clips_with_word_times() -> None:
    times = (WordTime("bin", 0.9, 1.4), WordTime("red", 1.4, 1.9))
    one = CachedUtterance("s1/a", "s1", 75, "bin red", times, "a.png")
    there: Any = Scores()
    timing = learn(there, there, [one] * FEWEST)
    assert timing is not None
    assert timing.start[1] < -0.3, "what is named over two seconds was said in one"
    assert learn(there, there, [one] * (FEWEST - 1)) is None
    assert learn(there, there, [replace(one, words=())] * FEWEST) is None
    assert learn(there, there, [replace(one, words=times[:1])] * FEWEST) is None
    assert learn(there, there, [replace(one, text=" ".join(["bin red"] * 12), words=times * 12)] * FEWEST) is None


def brute(scores: np.ndarray, said: list[int]) -> float:
    """The best score of all ways to say the words, silence being 0, by trying every one."""
    best = -np.inf
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        runs = [word for word, _ in itertools.groupby(path)]
        if [word for word in runs if word] == said:
            best = max(best, sum(scores[frame, word] for frame, word in enumerate(path)))
    return best


@pytest.mark.parametrize("said", [[1], [1, 2], [2, 1, 2]])
def test_words_are_placed_on_the_best_way_through_the_frames(said: list[int]) -> None:
    names = ["bin", "blue"]
    for seed in range(20):
        scores = np.random.default_rng(seed).normal(0, 2, (6, 3))
        words = placed(scores, names, [Word(names[word - 1], 0.0, 0.0, 0.5) for word in said])
        assert words is not None
        path = np.zeros(6, int)
        for word, number in zip(words, said, strict=True):
            assert word.start < word.end
            path[round(word.start * FPS) : round(word.end * FPS)] = number
        assert [word.start for word in words[1:]] >= [word.end for word in words[:-1]]
        assert sum(scores[frame, word] for frame, word in enumerate(path)) == pytest.approx(brute(scores, said))


def test_words_that_the_head_does_not_know_are_not_placed() -> None:
    scores = np.zeros((4, 2))
    word = Word("bin", 0.1, 0.2, 0.9)
    assert placed(scores, ["bin"], [word, replace(word, word="blue")]) is None
    assert placed(scores, ["bin"], [word] * 5) is None
    assert placed(scores, ["bin"], []) is None
    assert placed(scores, ["bin"], [word] * 4) == tuple(
        Word("bin", frame / FPS, (frame + 1) / FPS, 0.9) for frame in range(4)
    )
