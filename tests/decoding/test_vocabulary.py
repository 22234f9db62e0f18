"""Tokens to texts and back, and every decoder over tokens of other models, against all paths written out."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vocabularies import CHARACTERS, LETTERS, PIECES, classes_of, spelled

from gunileo.corpus.grid import CLASSES, encode
from gunileo.decoding.ctc import (
    DECODERS,
    DecodeError,
    align,
    beam,
    beams,
    greedy,
    log_likelihood,
    nbest,
    posteriors,
    viterbi,
)
from gunileo.decoding.grammar import Grammar, GrammarError
from gunileo.decoding.lexicon import Lexicon, LexiconError
from gunileo.decoding.vocabulary import GRID, Vocabulary, VocabularyError

TINY = Vocabulary(("<blank>", "\u2581A", "\u2581B", "A", "B", "<eos>"))  # so few that all paths can be written out


def test_grids_own_spelling_is_that_of_its_classes() -> None:
    for word in ("bin", "green", "9"):
        assert list(GRID.spell(word)) == encode(word)
    assert GRID.words(encode(" bin  at ")) == [("bin", slice(1, 4)), ("at", slice(6, 8))]


@pytest.mark.parametrize("vocabulary", [LETTERS, CHARACTERS, PIECES, GRID])
@pytest.mark.parametrize("text", ["bin blue at f two now", "turn the light on", "soon again"])
def test_texts_come_back(vocabulary: Vocabulary, text: str) -> None:
    classes = classes_of(vocabulary, text)
    found = vocabulary.words(classes)
    assert [word for word, _ in found] == text.split()
    assert [vocabulary.spelling(classes[place]) for _, place in found] == [*map(vocabulary.spell, text.split())]


def test_a_word_is_spelled_in_the_fewest_pieces() -> None:
    def pieces(word: str) -> list[str]:
        return [PIECES.tokens[number] for number in PIECES.spell(word)]

    assert pieces("blue") == ["\u2581BLUE"]
    assert pieces("light") == ["\u2581LI", "GHT"]
    assert pieces("tight") == ["\u2581T", "IGHT"]
    assert pieces("bined") == ["\u2581BIN", "ED"]
    assert pieces("eat") == ["\u2581", "E", "A", "T"]
    assert pieces("don't") == ["\u2581DON", "'T"]


def test_names_in_brackets_are_no_text() -> None:
    unknown, end = PIECES.tokens.index("<unk>"), len(PIECES) - 1
    classes = [unknown, *PIECES.spell("light")[:1], unknown, *PIECES.spell("light")[1:], end]
    ((word, place),) = PIECES.words(classes)
    assert (word, PIECES.spelling(classes[place])) == ("light", PIECES.spell("light"))
    assert greedy(spelled(PIECES, [unknown, end]), PIECES).words == ()


def test_an_apostrophe_stays_where_it_can_be_spelled() -> None:
    assert CHARACTERS.spoken("Don\u2019t, STOP!") == "don't stop"
    assert LETTERS.spoken("Don't, STOP!") == GRID.spoken("Don't, STOP!") == "dont stop"


@pytest.mark.parametrize(
    ("vocabulary", "word", "says"),
    [
        (GRID, "döwn", "character 'ö' has no class; spell it out in a-z, 1-9 and spaces"),
        (LETTERS, "5", "character '5' has no class; spell it out in a-z and spaces"),
        (TINY, "abc", "character 'c' has no class; spell it out in a-b and spaces"),
        (Vocabulary(("", "\u2581ab", "b")), "ba", "can't be written in the model's 3 tokens"),
    ],
)
def test_what_cant_be_spelled_is_told(vocabulary: Vocabulary, word: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        vocabulary.spell(word)
    with pytest.raises(GrammarError, match=f"rules: line 2: .*{says}"):
        Grammar.from_text(f"\n{word}", "rules", vocabulary)


@pytest.mark.parametrize("tokens", [(), ("a", "b"), ("",), ("<blank>", "<eos>"), ("", " ")])
def test_a_list_without_blank_or_letters_is_refused(tokens: tuple[str, ...]) -> None:
    with pytest.raises(VocabularyError):
        Vocabulary(tokens)


RULES = ["a\nb\nab", "a a\na b", "[a] b", "(a|b) (a|ab)", "a [b] [b]", "aa a\nba"]


def sentences(grammar: Grammar, place: int = 0) -> Iterator[tuple[str, ...]]:
    """All ways through the automaton."""
    if place in grammar.accepting:
        yield ()
    for word, target in grammar.arcs[place].items():
        yield from ((word, *rest) for rest in sentences(grammar, target))


def by_hand(logp: np.ndarray, said: set[str]) -> tuple[dict[str, float], dict[str, float]]:
    """The best path and the sum of all paths of each sentence, over every path of pieces as they are spelled."""
    wanted = {tuple(classes_of(TINY, text)): text for text in said}
    best, total = dict.fromkeys(said, -np.inf), dict.fromkeys(said, -np.inf)
    for path in itertools.product(range(len(TINY)), repeat=len(logp)):
        collapsed = tuple(one for one, _ in itertools.groupby(path) if one)
        if text := wanted.get(collapsed):
            score = float(logp[np.arange(len(logp)), path].sum())
            best[text], total[text] = max(best[text], score), float(np.logaddexp(total[text], score))
    return best, total


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from(RULES), st.integers(0, 2), st.sampled_from([0.5, 2.0, 8.0]))
def test_pieces_exact_against_every_path(seed: int, rule: str, spare: int, spread: float) -> None:
    grammar = Grammar.from_text(rule, vocabulary=TINY)
    said = {" ".join(words) for words in sentences(grammar)}
    frames = min(grammar.min_frames + spare, 5)
    logits = np.random.default_rng(seed).normal(size=(frames, len(TINY))) * spread
    logp = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    best, sums = by_hand(logp, said)
    total = np.logaddexp.reduce(list(sums.values()))
    fitting = {text: score for text, score in best.items() if score > -np.inf}

    decoded = viterbi(logp, grammar)
    assert decoded.text == max(fitting, key=fitting.__getitem__)
    assert decoded.confidence == pytest.approx(np.exp(sums[decoded.text] - total), abs=1e-9)
    assert log_likelihood(logp, grammar) == pytest.approx(total)
    listed = nbest(logp, grammar, 20)
    assert [one.text for one in listed] == sorted(fitting, key=lambda text: -fitting[text])
    _, chances = posteriors(logp, grammar)
    ends = [number for number, place in enumerate(grammar.targets_of) if not grammar.arcs[place]]
    if all(not grammar.arcs[place] for place in grammar.accepting):  # every sentence ends with one of these
        assert sum(chances[number] for number in ends) == pytest.approx(1)


def test_the_shortest_sentence_counts_a_blank_between_equal_pieces_alone() -> None:
    assert Grammar.from_text("a b", vocabulary=TINY).min_frames == 2
    assert Grammar.from_text("a a", vocabulary=TINY).min_frames == 3  # one piece twice
    assert Grammar.from_text("a a\na b b a", vocabulary=TINY).min_frames == 3
    with pytest.raises(DecodeError, match="2 frames are too few for a sentence of the grammar, which takes 3"):
        viterbi(np.log(np.full((2, len(TINY)), 1 / len(TINY))), Grammar.from_text("a a", vocabulary=TINY))


def test_grids_grammar_is_read_in_any_tokens() -> None:
    for vocabulary in (LETTERS, CHARACTERS, PIECES):
        grammar = Grammar.grid().spelled_in(vocabulary)
        assert grammar is Grammar.grid().spelled_in(vocabulary)  # compiled once
        assert grammar.words == Grammar.grid().words
        logp = spelled(vocabulary, classes_of(vocabulary, "bin blue at f two now"))
        for decoded in (read(logp, vocabulary) for read in DECODERS.values()):
            assert decoded.text == "bin blue at f two now"
            assert decoded.words[0].start == 0
            assert decoded.confidence > 0.1
    assert Grammar.grid().spelled_in(GRID) is Grammar.grid()


def test_a_grammar_that_cant_be_spelled_in_other_tokens_is_told() -> None:
    with pytest.raises(GrammarError, match="my rules: 'c': character 'c' has no class; spell it out in a-b"):
        Grammar.from_text("a c", "my rules").spelled_in(TINY)


def test_words_stand_where_their_pieces_are_named() -> None:
    logp = spelled(PIECES, classes_of(PIECES, "turn the light on"), hold=2, blanks=1)  # three frames a piece
    pieces = [len(PIECES.spell(word)) for word in ["turn", "the", "light", "on"]]
    starts = np.cumsum([0, *pieces])[:-1] * 3 / 25
    rule = Grammar.from_text("turn the light (on|off)", vocabulary=PIECES)
    for words in (greedy(logp, PIECES).words, beam(logp, 8, PIECES).words, viterbi(logp, rule).words):
        assert [word.start for word in words] == pytest.approx(starts)
        assert [word.end for word in words] == pytest.approx(starts + (3 * np.array(pieces) - 1) / 25)
    assert align(logp, "turn the light on", PIECES) == beam(logp, 8, PIECES).words


def test_another_spelling_than_the_shortest_keeps_its_times() -> None:
    letters = [PIECES.tokens.index(token) for token in ("\u2581", "B", "L", "U", "E", "\u2581SO", "ON")]
    for decoded in (greedy(spelled(PIECES, letters), PIECES), beam(spelled(PIECES, letters), 8, PIECES)):
        assert decoded.text == "blue soon"
        assert decoded.words[1].start == pytest.approx(5 * 3 / 25)
        assert decoded.sentence(PIECES).classes_of == [tuple(letters[:5]), tuple(letters[5:])]


def test_beams_are_different_texts_best_first() -> None:
    logp = spelled(LETTERS, classes_of(LETTERS, "bin at"), sure=0.7)
    found = beams(logp, 5, 32, LETTERS)
    assert found[0] == beam(logp, 32, LETTERS)
    assert len({one.text for one in found}) == 5
    assert [one.confidence for one in found] == sorted((one.confidence for one in found), reverse=True)


def test_of_thousands_of_pieces_each_frames_likeliest_are_searched() -> None:
    many = Vocabulary(("<blank>", *(f"\u2581{a}{b}{c}" for a, b, c in itertools.product("abcdefghijklmno", repeat=3))))
    said = [7, 7, 3000, 12]
    logp = spelled(many, said, sure=0.9)
    assert beam(logp, 16, many).text == " ".join(many.texts[number][1:] for number in said)


def test_a_word_list_needs_letters() -> None:
    with pytest.raises(LexiconError, match="needs a model of letters"):
        Lexicon(["light"], vocabulary=PIECES)
    pytest.importorskip("flashlight")
    logp = spelled(CHARACTERS, classes_of(CHARACTERS, "don't stop"))
    decoded = Lexicon(["stop", "don't"], vocabulary=CHARACTERS).decode(logp)
    assert [word.word for word in decoded.words] == ["don't", "stop"]


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(30, 37\); \[T, 28\]"):
        greedy(np.zeros((30, len(CLASSES))), LETTERS)
