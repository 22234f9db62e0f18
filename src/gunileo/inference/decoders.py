"""From a network's answers to texts, best first: by a grammar, by CTC alone, or by a model's own search."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gunileo.decoding.ctc import DECODERS, Decoded, Floats, How, beams, from_classes, nbest, viterbi
from gunileo.decoding.grammar import Grammar
from gunileo.decoding.vocabulary import Vocabulary
from gunileo.inference.metadata import Search


class Answers(NamedTuple):
    """What a network says of a clip of T frames."""

    log_probabilities: Floats  # [T, C]
    named: Floats | None = None  # [T, 1 + words], of a network that names the word in each frame
    memory: Floats | None = None  # [T, F], of one whose search needs it


def check_way(how: How, grammar: Grammar | None) -> None:
    """``ValueError`` if there is no such way to decode, if it takes no ``grammar`` and one is given, or if that is no
    ``Grammar``."""
    if grammar is not None and not isinstance(grammar, Grammar):
        raise ValueError(f"{grammar!r} is no grammar; give what Grammar.from_file or Grammar.from_text makes")
    if grammar and how != "grammar":
        raise ValueError(f"a grammar is given, but {how!r} takes none; decode by 'grammar'")
    if isinstance(how, str) and how not in DECODERS:
        raise ValueError(f"{how!r} is not a way to decode; use one of {', '.join(DECODERS)}")


def spoken(how: How, grammar: Grammar | None, vocabulary: Vocabulary) -> Grammar | None:
    """The grammar that is decoded by, if any, in a model's tokens: GRID's if none is given.

    ``GrammarError`` if they can't spell it.
    """
    return (grammar or Grammar.grid()).spelled_in(vocabulary) if how == "grammar" else None


def read(answers: Answers, how: How, grammar: Grammar | None, vocabulary: Vocabulary, search: Search | None) -> Decoded:
    """The best text; ``grammar`` is what ``spoken`` gives. Raises ``DecodeError``."""
    logp = answers.log_probabilities
    if grammar:
        return viterbi(logp, grammar)
    if not isinstance(how, str):
        return how(logp)
    if how == "beam" and search and answers.memory is not None:
        return searched(answers.memory, logp, 1, vocabulary, search)[0]
    decode: Callable[..., Decoded] = DECODERS[how]
    return decode(logp, vocabulary)


def best(
    answers: Answers, n: int, how: How, grammar: Grammar | None, vocabulary: Vocabulary, search: Search | None
) -> list[Decoded]:
    """As ``read``, the ``n`` best different texts, as far as there are so many; one alone if ``how`` tells no more."""
    logp = answers.log_probabilities
    if grammar:
        return nbest(logp, grammar, n)
    if how == "beam" and search and answers.memory is not None:
        return searched(answers.memory, logp, n, vocabulary, search)
    return beams(logp, n, vocabulary=vocabulary) if how == "beam" else [read(answers, how, None, vocabulary, None)]


def searched(memory: Floats, logp: Floats, n: int, vocabulary: Vocabulary, search: Search) -> list[Decoded]:
    """The ``n`` best texts of a model's own search; each one's confidence is its share among all that it found.

    ``DecodeError`` if none of them fits into the frames.
    """
    found = search(memory, logp)
    if not found:
        return [Decoded("", (), 0.0)]
    scores = np.array([one.score for one in found], np.float64)
    shares = np.exp(scores - np.logaddexp.reduce(scores))
    texts = [(tuple(one.classes), float(share)) for one, share in zip(found, shares, strict=True)]
    return from_classes(logp, texts, n, vocabulary)
