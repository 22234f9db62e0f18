"""Sentences in continuous speech are told apart by the grammar."""

import numpy as np
import pytest
from paths import random_logp, spell
from vocabularies import LETTERS, PIECES, classes_of, spelled

from gunileo.corpus.grid import CLASSES
from gunileo.decoding.continuous import boundaries
from gunileo.decoding.grammar import Grammar
from gunileo.decoding.vocabulary import Vocabulary

SAID = ["bin blue at f two now", "lay white with s nine again", "set red in x one soon"]


def silence(frames: int) -> np.ndarray:
    chances = np.full((frames, len(CLASSES)), 0.1 / (len(CLASSES) - 1))
    chances[:, 0] = 0.9
    return np.log(chances)


@pytest.mark.parametrize("rest", [0, 1, 9])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_boundary_lies_between_two_sentences(count: int, rest: int) -> None:
    parts = [spell(f"{text} ", hold=2) for text in SAID[:count]]
    logp = np.concatenate([part for text in parts for part in (text, silence(rest))])
    found = boundaries(logp, Grammar.grid())
    ends = np.cumsum([len(part) + rest for part in parts])[:-1]
    assert len(found) == count - 1
    assert all(end - rest - 4 <= at <= end + 1 for at, end in zip(found, ends, strict=True))


@pytest.mark.parametrize("vocabulary", [LETTERS, PIECES])
def test_tokens_of_other_models(vocabulary: Vocabulary) -> None:
    commands = Grammar.from_sentences(["turn light", "bin blue", "so"], vocabulary)
    one, other = (spelled(vocabulary, classes_of(vocabulary, text)) for text in ("turn light", "bin blue"))
    between = spelled(vocabulary, [vocabulary.space if vocabulary.space is not None else 0])
    (found,) = boundaries(np.concatenate([one, between, other]), commands)
    assert abs(found - len(one) - 1) <= 2
    assert boundaries(one, commands) == []
    assert boundaries(one[:1], commands) == []


def test_a_pause_or_a_slow_word_makes_no_sentence() -> None:
    words = [spell(f"{word} ", hold=3) for word in SAID[0].split()]
    assert boundaries(np.concatenate([part for word in words for part in (word, silence(8))]), Grammar.grid()) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_network_that_says_nothing_clear_says_one_sentence(seed: int) -> None:
    logp = random_logp(np.random.default_rng(seed), 200, spread=0.1)
    assert boundaries(logp, Grammar.grid()) == []
