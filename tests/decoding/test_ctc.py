"""Decoders against brute force: every path of a small grammar is written out and counted."""

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import USED, brute_force, random_logp, spell

from gunileo.corpus.grid import BLANK, CLASSES, SLOTS, encode
from gunileo.decoding import ctc
from gunileo.decoding.beam import prefix_beam
from gunileo.decoding.ctc import (
    DECODERS,
    Decoded,
    DecodeError,
    align,
    beam,
    greedy,
    log_likelihood,
    nbest,
    posteriors,
    viterbi,
)
from gunileo.decoding.grammar import Grammar, GrammarError
from gunileo.vision import video

SMALL = [
    [["a", "b"]],
    [["a", "b", "ab"]],
    [["aa", "a"]],  # a doubled letter needs the blank between
    [["a", "b"], ["a", "b"]],  # the same words in two places
    [["ab", "b"], ["a"]],
    [["a"], ["b", "a"], ["a", "b"]],
]


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from(SMALL), st.integers(0, 2), st.sampled_from([0.5, 2.0, 8.0]))
def test_exact_against_every_path(seed: int, slots: list[list[str]], spare: int, spread: float) -> None:
    grammar = Grammar(slots)
    frames = min(grammar.min_frames + spare, 6)
    logp = random_logp(np.random.default_rng(seed), frames, USED, spread)
    best, sums = brute_force(logp, {" ".join(words) for words in itertools.product(*slots)})
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


@pytest.mark.parametrize("text", ["bin blue at f two now", "place green with z seven again", "set red in a zero soon"])
def test_clean_sentence_is_read_by_all(text: str) -> None:
    for decoded in (read(spell(text)) for read in DECODERS.values()):
        assert decoded.text == text
        assert [word.word for word in decoded.words] == text.split()


def test_word_times_are_those_of_the_path() -> None:
    logp = spell("bin blue at f two now", hold=2, blanks=1)  # three frames a symbol, from frame 0
    for decoded in (read(logp) for read in DECODERS.values()):
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


RULES = [  # a text, and the sentences that it must mean
    ("a\nb\nab", {"a", "b", "ab"}),
    ("a\na\n(a|b)", {"a", "b"}),  # the same sentence by several rules counts once
    ("[a] b", {"b", "a b"}),  # a word that may be left out; b in one place after either
    ("a [b] [b]", {"a", "a b", "a b b"}),  # two ways to say one b
    ("a (a|b)\nb (a|aa)", {"a a", "a b", "b a", "b aa"}),  # a word in different places
    ("(a b|a) [a]", {"a b", "a", "a b a", "a a"}),
    ("aab\nabb", {"aab", "abb"}),
]


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from(RULES), st.integers(0, 3), st.sampled_from([0.5, 2.0, 8.0]))
def test_any_grammar_exact_against_every_path(
    seed: int, rules: tuple[str, set[str]], spare: int, spread: float
) -> None:
    text, sentences = rules
    grammar = Grammar.from_text(text)
    logp = random_logp(np.random.default_rng(seed), min(grammar.min_frames + spare, 6), USED, spread)
    best, sums = brute_force(logp, sentences)
    total = np.logaddexp.reduce(list(sums.values()))
    assert log_likelihood(logp, grammar) == pytest.approx(total)

    found = nbest(logp, grammar, len(sentences) + 1)
    assert [decoded.text for decoded in found] == sorted(best, key=best.__getitem__, reverse=True)
    assert same(found[0], viterbi(logp, grammar))
    assert [decoded.text for decoded in nbest(logp, grammar, 1)] == [found[0].text]
    for decoded in found:
        assert decoded.confidence == pytest.approx(np.exp(sums[decoded.text] - total), abs=1e-9)

    # a word's posterior: of all sentences that come to the same place with it
    expected = np.zeros(len(grammar.words))
    for sentence, score in sums.items():
        place = 0
        for word in sentence.split():
            place = grammar.arcs[place][word]
            expected[grammar.index[word, place]] += np.exp(score - total)
    assert posteriors(logp, grammar)[1] == pytest.approx(expected, abs=1e-9)
    for decoded in found:
        place = 0
        for word in decoded.words:
            place = grammar.arcs[place][word.word]
            assert word.confidence == pytest.approx(expected[grammar.index[word.word, place]], abs=1e-9)


def same(one: Decoded, other: Decoded) -> bool:
    return one.text == other.text and all(
        vars(a) == pytest.approx(vars(b)) for a, b in zip(one.words, other.words, strict=True)
    )


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


def test_nbest_of_grid_are_its_sentences_once_each_best_first() -> None:
    logp = random_logp(np.random.default_rng(7), 75, spread=3.0)
    found = nbest(logp, Grammar.grid(), 40)
    assert len({decoded.text for decoded in found}) == 40
    assert same(found[0], viterbi(logp, Grammar.grid()))
    alone = [Grammar.from_sentences([decoded.text]) for decoded in found]
    best = [
        sum(logp[frame, grammar.symbols[state]] for frame, state in enumerate(ctc.best_path(logp, grammar)))
        for grammar in alone
    ]
    assert best == sorted(best, reverse=True)
    # what comes next is no better than the last: one word of the best changed is never missed
    words = found[0].text.split()
    for place, slot in enumerate(SLOTS):
        for word in slot:
            grammar = Grammar.from_sentences([" ".join([*words[:place], word, *words[place + 1 :]])])
            path = ctc.best_path(logp, grammar)
            score = sum(logp[frame, grammar.symbols[state]] for frame, state in enumerate(path))
            assert score <= best[-1] + 1e-9 or grammar.words in [decoded.text.split() for decoded in found]
    assert sum(decoded.confidence for decoded in found) <= 1


def test_a_best_path_is_the_same_whether_all_scores_are_kept_or_some(monkeypatch: pytest.MonkeyPatch) -> None:
    grammar = Grammar.grid()
    for seed in range(5):
        logp = random_logp(np.random.default_rng(seed), 60 + seed)
        at_once = ctc.best_path(logp, grammar)
        with monkeypatch.context() as patch:
            patch.setattr(ctc, "_KEPT", 0)
            assert ctc.best_path(logp, grammar) == at_once


def test_nbest_leaves_out_what_is_too_long_and_refuses_none() -> None:
    logp = random_logp(np.random.default_rng(1), 3, USED)
    found = nbest(logp, Grammar.from_sentences(["a", "b", "abab", "a b a"]), 9)
    assert {decoded.text for decoded in found} == {"a", "b"}
    with pytest.raises(ValueError, match="ask for one or more"):
        nbest(logp, Grammar.from_sentences(["a"]), 0)
    with pytest.raises(DecodeError, match=r"3 frames are too few .* takes 4"):
        nbest(logp, Grammar.from_sentences(["abab"]), 1)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from([0.5, 2.0, 8.0]))
def test_wide_beam_finds_the_likeliest_text_exactly(seed: int, frames: int, spread: float) -> None:
    logp = random_logp(np.random.default_rng(seed), frames, USED, spread)
    _, sums = brute_force(logp)
    prefix, probability = prefix_beam(logp.clip(-1e9), 10_000)[0]
    best = max(sums, key=sums.__getitem__)
    assert "".join(CLASSES[symbol] for symbol in prefix) == best
    assert probability == pytest.approx(sums[best], abs=1e-9)

    decoded = beam(logp, 10_000)
    assert decoded.text == " ".join(best.split())
    if decoded.text:
        assert decoded.confidence == pytest.approx(np.exp(sums[best]), abs=1e-9)
    assert [word.word for word in decoded.words] == best.split()


def test_beam_adds_up_paths_where_greedy_takes_one() -> None:
    logp = np.full((2, len(CLASSES)), -np.inf)
    logp[:, BLANK], logp[:, encode("a")[0]] = np.log(0.6), np.log(0.4)
    assert greedy(logp).text == ""  # probability 0.36; that of "a" is 0.16 + 2 * 0.24
    decoded = beam(logp)
    assert decoded.text == "a"
    assert decoded.confidence == pytest.approx(0.64)
    assert decoded.words[0].confidence == pytest.approx(0.4)


def test_a_narrow_beam_never_says_more_than_the_texts_probability() -> None:
    logp = random_logp(np.random.default_rng(3), 40, spread=2.0)
    for width in (1, 2, 8, 64):
        prefix, probability = prefix_beam(logp, width)[0]
        text = "".join(CLASSES[symbol] for symbol in prefix)  # with any spaces in a row, which ``beam`` leaves out
        assert probability <= log_likelihood(logp, Grammar.from_sentences([text])) + 1e-9
    with pytest.raises(ValueError, match="width 0"):
        beam(logp, 0)


@pytest.mark.parametrize("text", ["bin blue at f two now", "place green with z seven again"])
def test_known_text_is_aligned_as_it_is_decoded(text: str) -> None:
    logp = spell(text, hold=2, sure=0.8)
    words = align(logp, text)
    read = viterbi(logp, Grammar.grid())
    assert [(word.word, word.start, word.end) for word in words] == [(w.word, w.start, w.end) for w in read.words]
    assert [word.confidence for word in words] == pytest.approx([0.8] * len(words))
    with pytest.raises(GrammarError, match="character 'ö'"):
        align(logp, "böse")


def test_a_long_text_is_aligned_in_little_memory() -> None:
    text = " ".join(["bin blue at f two now"] * 40)
    logp = spell(text, hold=2, sure=0.8)
    tracemalloc.start()
    words = align(logp, text)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert " ".join(word.word for word in words) == text
    assert [round(25 * word.start) for word in words[:3]] == [0, 12, 27]  # three frames a symbol
    assert most < logp.shape[0] * 2 * len(text) * 8 / 4  # bytes: a score of each state at each frame, a quarter of that


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
    for how in DECODERS:
        with pytest.raises(DecodeError, match="NaN"):
            DECODERS[how](np.full((30, len(CLASSES)), np.nan))
        with pytest.raises(ValueError, match="shape"):
            DECODERS[how](np.zeros((30, 28)))
        with pytest.raises(ValueError, match="shape"):
            DECODERS[how](np.zeros((0, len(CLASSES))))


def test_times_count_frames_as_video_does() -> None:
    assert ctc.FPS == video.FPS


def framed(classes: str) -> np.ndarray:
    """Log-probabilities sure of one symbol a frame; a dot is the blank."""
    logp = np.full((len(classes), len(CLASSES)), -20.0)
    for frame, symbol in enumerate(classes):
        logp[frame, BLANK if symbol == "." else CLASSES.index(symbol)] = 0.0
    return logp


@pytest.mark.parametrize("how", list(DECODERS))
def test_letters_named_far_too_early_or_late_move_beside_their_word(how: str) -> None:
    path = "b" + "." * 20 + "iinn  bbluue at  f  two  no" + "." * 20 + "w"
    words = DECODERS[how](framed(path)).words
    assert [word.word for word in words] == ["bin", "blue", "at", "f", "two", "now"]
    assert (words[0].start, words[0].end) == pytest.approx((19 / 25, 25 / 25))
    assert (words[1].start, words[1].end) == pytest.approx((27 / 25, 33 / 25))
    first = path.index("no")
    assert (words[5].start, words[5].end) == pytest.approx((first / 25, (first + 4) / 25))
