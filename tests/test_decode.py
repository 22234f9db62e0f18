"""Decoders against brute force: every path of a small grammar is written out and counted."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gunileo import decode, video
from gunileo.decode import DECODERS, DecodeError, Grammar, greedy, log_likelihood, posteriors, viterbi
from gunileo.sentence import BLANK, CLASSES, SLOTS, encode

SMALL = [
    [["a", "b"]],
    [["a", "b", "ab"]],
    [["aa", "a"]],  # a doubled letter needs the blank between
    [["a", "b"], ["a", "b"]],  # the same words in two places
    [["ab", "b"], ["a"]],
    [["a"], ["b", "a"], ["a", "b"]],
]
USED = [BLANK, *encode(" ab")]


def random_logp(
    rng: np.random.Generator, frames: int, used: list[int] | None = None, spread: float = 2.0
) -> np.ndarray:
    scores = rng.normal(size=(frames, len(CLASSES))) * spread
    if used is not None:  # all other classes are impossible, so that brute force can leave them out
        scores[:, [index for index in range(len(CLASSES)) if index not in used]] = -np.inf
    return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)


def collapse(path: tuple[int, ...]) -> str:
    kept = [symbol for index, symbol in enumerate(path) if index == 0 or symbol != path[index - 1]]
    return "".join(CLASSES[symbol] for symbol in kept if symbol != BLANK)


def brute_force(logp: np.ndarray, slots: list[list[str]]) -> tuple[dict[str, float], dict[str, float]]:
    """Best path's and all paths' log-probability of every sentence."""
    sentences = {" ".join(words) for words in itertools.product(*slots)}
    scores: dict[str, list[float]] = {}
    for path in itertools.product(USED, repeat=len(logp)):
        text = collapse(path)
        if text in sentences:
            scores.setdefault(text, []).append(float(sum(logp[frame, symbol] for frame, symbol in enumerate(path))))
    return {s: max(v) for s, v in scores.items()}, {s: float(np.logaddexp.reduce(v)) for s, v in scores.items()}


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from(SMALL), st.integers(0, 2), st.sampled_from([0.5, 2.0, 8.0]))
def test_exact_against_every_path(seed: int, slots: list[list[str]], spare: int, spread: float) -> None:
    grammar = Grammar(slots)
    frames = min(grammar.min_frames + spare, 6)
    logp = random_logp(np.random.default_rng(seed), frames, USED, spread)
    best, sums = brute_force(logp, slots)
    total = np.logaddexp.reduce(list(sums.values()))

    decoded = viterbi(logp, grammar)
    assert decoded.text == max(best, key=best.__getitem__)
    assert decoded.confidence == pytest.approx(np.exp(sums[decoded.text] - total), abs=1e-9)
    assert log_likelihood(logp, grammar) == pytest.approx(total)

    _, chances = posteriors(logp, grammar)
    expected = [
        sum(np.exp(score - total) for text, score in sums.items() if text.split()[place] == word)
        for place, slot in enumerate(slots)
        for word in slot
    ]
    assert chances == pytest.approx(np.array(expected), abs=1e-9)
    for place, word in enumerate(decoded.words):
        flat = sum(len(slot) for slot in slots[:place]) + slots[place].index(word.word)
        assert word.confidence == pytest.approx(expected[flat], abs=1e-9)


def spell(text: str, hold: int = 1, blanks: int = 1, sure: float = 0.9) -> np.ndarray:
    """Log-probabilities of a reader that holds every symbol and then goes silent."""
    path = [symbol for index in encode(text) for symbol in [index] * hold + [BLANK] * blanks]
    p = np.full((len(path), len(CLASSES)), (1 - sure) / (len(CLASSES) - 1))
    p[np.arange(len(path)), path] = sure
    return np.log(p)


@pytest.mark.parametrize("text", ["bin blue at f two now", "place green with z seven again", "set red in a zero soon"])
def test_clean_sentence_is_read_by_both(text: str) -> None:
    for decoded in (greedy(spell(text)), viterbi(spell(text), Grammar.grid())):
        assert decoded.text == text
        assert [word.word for word in decoded.words] == text.split()


def test_word_times_are_those_of_the_path() -> None:
    logp = spell("bin blue at f two now", hold=2, blanks=1)  # three frames a symbol, from frame 0
    for decoded in (greedy(logp), viterbi(logp, Grammar.grid())):
        symbol = 0
        for word in decoded.words:
            assert word.start == pytest.approx(symbol * 3 / 25)
            symbol += len(word.word)
            assert word.end == pytest.approx((symbol * 3 - 1) / 25)  # the blank after the word is not the word's
            symbol += 1


def test_greedy_collapses_repeats_and_strays() -> None:
    doubled = spell("green", hold=2)
    assert greedy(doubled).text == "green"
    assert greedy(spell(" bin  at ")).text == "bin at"
    nothing = greedy(spell("a")[1:])
    assert (nothing.text, nothing.words, nothing.confidence) == ("", (), 0.0)


def test_greedy_confidence_is_the_mean_over_symbols() -> None:
    logp = spell("ab", hold=2, sure=0.9)
    logp[0, encode("a")[0]] = np.log(0.5)  # the better of a symbol's two frames counts
    logp[3, encode("b")[0]] = logp[4, encode("b")[0]] = np.log(0.4)
    decoded = greedy(logp)
    assert decoded.words[0].confidence == pytest.approx(np.sqrt(0.9 * 0.4))
    assert decoded.confidence == pytest.approx(np.sqrt(0.9 * 0.4))


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(20, 90), st.sampled_from([0.1, 3.0, 100.0, 1e4]))
def test_noise_always_gives_a_valid_sentence(seed: int, frames: int, spread: float) -> None:
    logp = random_logp(np.random.default_rng(seed), frames, spread=spread)
    decoded = viterbi(logp, Grammar.grid())
    assert all(word.word in slot for word, slot in zip(decoded.words, SLOTS, strict=True))
    times = [time for word in decoded.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert all(word.start < word.end <= frames / 25 for word in decoded.words)
    assert all(0 <= chance <= 1 for chance in [decoded.confidence, *(word.confidence for word in decoded.words)])
    _, chances = posteriors(logp, Grammar.grid())
    bounds = np.cumsum([0, *(len(slot) for slot in SLOTS)])
    assert np.add.reduceat(chances, bounds[:-1]) == pytest.approx(np.ones(6))


def test_grammar_mends_what_greedy_misreads() -> None:
    logp = spell("bin blue at f tvo now", sure=0.6)
    assert greedy(logp).text == "bin blue at f tvo now"
    assert viterbi(logp, Grammar.grid()).text == "bin blue at f two now"


def test_sure_and_unsure() -> None:
    sure = viterbi(spell("bin blue at f two now", sure=0.999), Grammar.grid())
    assert sure.confidence > 0.99
    logp = spell("bin blue at f two now", sure=0.999)
    f, v = encode("f")[0], encode("v")[0]
    logp[:, v] = logp[:, f] - 1e-6  # f and v look the same
    torn = viterbi(logp, Grammar.grid())
    assert torn.words[3].confidence == pytest.approx(0.5, abs=0.01)
    assert min(word.confidence for word in torn.words if word.word != "f") > 0.99


def test_impossible_frames_still_give_a_sentence() -> None:
    logp = np.full((40, len(CLASSES)), -np.inf)
    logp[:, BLANK] = 0.0  # a stuck network: certain of blank everywhere
    decoded = viterbi(logp, Grammar.grid())
    assert len(decoded.words) == 6
    assert greedy(logp).text == ""


@pytest.mark.parametrize("frames", [1, 19])
def test_too_few_frames_is_said(frames: int) -> None:
    with pytest.raises(DecodeError, match=f"{frames} frames are too few .* takes 20"):
        viterbi(np.zeros((frames, len(CLASSES))), Grammar.grid())


def test_broken_scores_are_refused() -> None:
    for how in ("greedy", "grammar"):
        with pytest.raises(DecodeError, match="NaN"):
            DECODERS[how](np.full((30, len(CLASSES)), np.nan))
        with pytest.raises(ValueError, match="shape"):
            DECODERS[how](np.zeros((30, 28)))
        with pytest.raises(ValueError, match="shape"):
            DECODERS[how](np.zeros((0, len(CLASSES))))


@pytest.mark.parametrize("slots", [[], [[]], [["a", "a"]], [["a b"]], [[""]], [["ä"]]])
def test_bad_grammars_are_refused(slots: list[list[str]]) -> None:
    with pytest.raises(ValueError, match=r"grammar|class"):
        Grammar(slots)


def test_times_count_frames_as_video_does() -> None:
    assert decode.FPS == video.FPS


def framed(classes: str) -> np.ndarray:
    """Log-probabilities sure of one symbol a frame; a dot is the blank."""
    logp = np.full((len(classes), len(CLASSES)), -20.0)
    for frame, symbol in enumerate(classes):
        logp[frame, BLANK if symbol == "." else CLASSES.index(symbol)] = 0.0
    return logp


@pytest.mark.parametrize("how", ["greedy", "grammar"])
def test_letters_named_far_too_early_or_late_move_beside_their_word(how: str) -> None:
    path = "b" + "." * 20 + "iinn  bbluue at  f  two  no" + "." * 20 + "w"
    words = DECODERS[how](framed(path)).words
    assert [word.word for word in words] == ["bin", "blue", "at", "f", "two", "now"]
    assert (words[0].start, words[0].end) == pytest.approx((19 / 25, 25 / 25))
    assert (words[1].start, words[1].end) == pytest.approx((27 / 25, 33 / 25))
    first = path.index("no")
    assert (words[5].start, words[5].end) == pytest.approx((first / 25, (first + 4) / 25))
