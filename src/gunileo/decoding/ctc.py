"""From log-probabilities to words, times and confidence: CTC decoding in numpy alone.

CTC: A. Graves, S. Fernandez, F. Gomez, J. Schmidhuber, "Connectionist temporal classification",
ICML 2006. A path names one class a frame; dropping repeats, then blanks, leaves its text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice, pairwise

import numpy as np
from numpy.typing import NDArray

from gunileo.corpus.grid import BLANK
from gunileo.decoding.beam import NEVER, prefix_beam, ranked
from gunileo.decoding.grammar import Grammar
from gunileo.decoding.vocabulary import GRID, Vocabulary
from gunileo.errors import GunileoError
from gunileo.output.transcript import Word

FPS = 25  # frames a second of all log-probabilities, as in ``vision.video``, which would bring PyAV
_LONELY = 8  # frames, a third of a second: no letter of a word is said so long after the one before
_LETTER = 2  # frames; GRID's words last 0.27 s on average and have four letters
_KEPT = 2**20  # scores of states in all frames that are kept at once, 8 MB
_LEAST = -1e9  # lowest log-probability of one frame: far above NEVER, so that a path of zeros is still a path

Floats = NDArray[np.floating]


class DecodeError(GunileoError):
    """Log-probabilities that hold no sentence; the caller adds the file's name."""


@dataclass(frozen=True)
class Decoded:
    """The words read, with times in seconds of the clip, and the confidence of the whole, 0-1.

    If it is not ``sure``, it is a guess.

    ``classes`` are those of each word, if the decoder chose them and not the grammar. ``likelihood`` is the logarithm
    of that of all sentences of the grammar together, if there is one.
    """

    text: str
    words: tuple[Word, ...]
    confidence: float
    sure: bool = True
    calibrated: bool = True  # whether ``sure`` and the confidences come from what was learnt of the model's errors
    classes: tuple[tuple[int, ...], ...] = field(default=(), compare=False, repr=False)
    likelihood: float | None = field(default=None, compare=False, repr=False)

    def sentence(self, vocabulary: Vocabulary = GRID) -> Grammar:
        """The grammar of this text alone, as it is spelled; ``GrammarError`` if there are no words."""
        if self.classes:
            return Grammar.from_words(
                [(word.word, own) for word, own in zip(self.words, self.classes, strict=True)], vocabulary
            )
        return Grammar.from_sentences([self.text], vocabulary)


def greedy(logp: Floats, vocabulary: Vocabulary = GRID) -> Decoded:
    """The text of the best class of every frame, from log-probabilities [T, C].

    A word's confidence is the geometric mean of its symbols' probabilities, each at the symbol's best
    frame; the text's is that over all its symbols. 0 when nothing was read.
    """
    logp = checked(logp, len(vocabulary))
    runs = []  # (class, first frame, frame after the last, best log-probability)
    frame = 0
    for symbol, group in groupby(logp.argmax(axis=1).tolist()):
        end = frame + len(list(group))
        if symbol != BLANK:
            runs.append((symbol, frame, end, float(logp[frame:end, symbol].max())))
        frame = end
    words, classes = [], []
    for text, place in vocabulary.words([run[0] for run in runs]):
        symbols, starts, ends, scores = zip(*runs[place], strict=True)
        frames = [frame for start, end in zip(starts, ends, strict=True) for frame in range(start, end)]
        words.append(Word(text, *_span(frames), _mean(scores)))
        classes.append(vocabulary.spelling(symbols))
    confidence = _mean([run[3] for run in runs]) if words else 0.0
    return Decoded(" ".join(word.word for word in words), tuple(words), confidence, classes=tuple(classes))


def viterbi(logp: Floats, grammar: Grammar) -> Decoded:
    """The grammar's sentence with the likeliest path through log-probabilities [T, C].

    A word begins with the first frame of its first symbol and ends with the last frame of its last, but for
    symbols far from the others (``_span``). Its confidence is its posterior (``posteriors``), the sentence's its
    posterior among all sentences of the grammar: both say how sure the choice is, given that one of them was said.

    ``DecodeError`` if there are fewer frames than the grammar's shortest sentence has symbols.
    """
    logp = checked(logp, len(grammar.vocabulary))
    total, chances = posteriors(logp, grammar)
    states = best_path(logp, grammar)
    words = [word for word, _ in groupby(grammar.word_of[state] for state in states) if word >= 0]
    spans = _spans(states, grammar)
    return _decided(logp, grammar, total, chances, words, spans)


def nbest(logp: Floats, grammar: Grammar, n: int) -> list[Decoded]:
    """The ``n`` sentences of the grammar with the likeliest paths through log-probabilities [T, C], best first.

    The order is exact, by the best path of each sentence. The confidences are posteriors, as ``viterbi`` gives them.
    They add up all paths of a sentence, so they may have another order. There are fewer than ``n`` if fewer sentences
    fit into the frames. Raises ``DecodeError`` if none fits, and ``ValueError`` if ``n`` is less than 1.

    A* with the best path of what is left as its estimate, which is exact: F. Soong, E. Huang, "A tree-trellis based
    fast search for finding the N best sentence hypotheses", ICASSP 1991.
    """
    if n < 1:
        raise ValueError(f"{n} sentences wanted; ask for one or more")
    logp = checked(logp, len(grammar.vocabulary))
    total, chances = posteriors(logp, grammar)
    found = []
    for words in islice(ranked(logp, grammar), n):
        sentence = _of(words, grammar)
        spans = _spans(best_path(logp, sentence), sentence)
        found.append(_decided(logp, grammar, total, chances, words, spans))
    return found


def _decided(
    logp: Floats,
    grammar: Grammar,
    total: float,
    chances: Floats,
    words: Sequence[int],
    spans: list[tuple[float, float]],
) -> Decoded:
    """A sentence of the grammar, given as numbers of its words."""
    text = " ".join(grammar.words[word] for word in words)
    confidence = float(np.exp(log_likelihood(logp, _of(words, grammar)) - total))
    said = [Word(grammar.words[word], *span, float(chances[word])) for word, span in zip(words, spans, strict=True)]
    return Decoded(text, tuple(said), min(1.0, confidence), likelihood=total)


def _of(words: Sequence[int], grammar: Grammar) -> Grammar:
    """One sentence of a grammar, given as numbers of its words."""
    return Grammar.from_words([(grammar.words[word], grammar.classes_of[word]) for word in words], grammar.vocabulary)


def _spans(states: Sequence[int], grammar: Grammar) -> list[tuple[float, float]]:
    """Start and end in seconds of each word on a path."""
    spans, frame = [], 0
    for word, group in groupby(grammar.word_of[state] for state in states):
        end = frame + len(list(group))
        if word >= 0:
            spans.append(_span([at for at in range(frame, end) if grammar.symbols[states[at]] != BLANK]))
        frame = end
    return spans


def align(logp: Floats, text: str, vocabulary: Vocabulary = GRID) -> tuple[Word, ...]:
    """When each word of a known text was said, by its best path through log-probabilities [T, C].

    A word's confidence is the geometric mean of its symbols' probabilities, as ``greedy`` has it. ``DecodeError`` if
    there are too few frames, ``GrammarError`` if the text is empty or has a character that no class spells.
    """
    return aligned(logp, Grammar.from_sentences([text], vocabulary))


def aligned(logp: Floats, sentence: Grammar) -> tuple[Word, ...]:
    """As ``align``, of the one sentence of a grammar."""
    logp = checked(logp, len(sentence.vocabulary))
    states = best_path(logp, sentence)
    scores: dict[int, list[float]] = {}  # of each word's symbols
    for state, group in groupby(enumerate(states), key=lambda pair: pair[1]):
        if sentence.word_of[state] >= 0 and sentence.symbols[state] != BLANK:
            best = max(float(logp[frame, sentence.symbols[state]]) for frame, _ in group)
            scores.setdefault(sentence.word_of[state], []).append(best)
    spans = _spans(states, sentence)
    return tuple(Word(sentence.words[word], *spans[word], _mean(found)) for word, found in scores.items())


def beam(logp: Floats, width: int = 32, vocabulary: Vocabulary = GRID) -> Decoded:
    """The likeliest text, whatever it is, by prefix beam search over log-probabilities [T, C].

    Keeps the ``width`` best beginnings of the text after each frame and adds up the paths of each: A. Hannun,
    A. Maas, D. Jurafsky, A. Ng, "First-pass large vocabulary continuous speech recognition using bi-directional
    recurrent DNNs", 2014, here without a language model. The sentence's confidence is the probability of its
    symbols, which is exact where no beginning was dropped; words have times and confidence as ``align`` gives them.

    Raises ``ValueError`` if ``width`` is under 1 or the shape is another, ``DecodeError`` if there are NaN.
    """
    return beams(logp, 1, width, vocabulary)[0]


def beams(logp: Floats, n: int, width: int = 32, vocabulary: Vocabulary = GRID) -> list[Decoded]:
    """The ``n`` likeliest texts that ``beam`` holds at the end, best first. Raises as ``beam``."""
    if width < 1:
        raise ValueError(f"a beam of width {width}; give 1 or more")
    logp = checked(logp, len(vocabulary))
    found = [(classes, min(1.0, float(np.exp(score)))) for classes, score in prefix_beam(logp, width)]
    return from_classes(logp, found, n, vocabulary)


def from_classes(
    logp: Floats, found: Sequence[tuple[Sequence[int], float]], n: int, vocabulary: Vocabulary
) -> list[Decoded]:
    """Up to ``n`` different texts that a search found, given as the classes and the confidence of each, best first.

    Times and confidences of words are those of the classes' best path through log-probabilities [T, C], as ``align``
    gives them. A text that doesn't fit into the frames is left out; ``DecodeError`` if none fits.
    """
    decoded: dict[str, Decoded] = {}
    unfit = None
    for classes, confidence in found:
        spoken = [(word, vocabulary.spelling(classes[place])) for word, place in vocabulary.words(classes)]
        text = " ".join(word for word, _ in spoken)
        if text in decoded:
            continue
        try:
            words = aligned(logp, Grammar.from_words(spoken, vocabulary)) if spoken else ()
        except DecodeError as error:
            unfit = error
            continue
        own = tuple(spelled for _, spelled in spoken)
        decoded[text] = Decoded(text, words, confidence if words else 0.0, classes=own)
        if len(decoded) == n:
            break
    if unfit and not decoded:
        raise unfit
    return list(decoded.values())


def _span(frames: list[int]) -> tuple[float, float]:
    """Start and end in seconds of a word whose symbols stand in these frames.

    CTC leaves free when a symbol is named, and a network names the first letter of a clip with its first frame and
    the last with its last. A symbol over a third of a second from the rest of its word is moved beside it.
    """
    breaks = [0, *(i for i in range(1, len(frames)) if frames[i] - frames[i - 1] > _LONELY), len(frames)]
    runs = [frames[start:end] for start, end in pairwise(breaks)]
    body = max(range(len(runs)), key=lambda run: len(runs[run]))
    start = max(frames[0], runs[body][0] - _LETTER * body)
    end = min(frames[-1], runs[body][-1] + _LETTER * (len(runs) - 1 - body))
    return start / FPS, (end + 1) / FPS


def posteriors(logp: Floats, grammar: Grammar) -> tuple[float, Floats]:
    """Log-likelihood of the grammar, and the posterior of each of its words, ``grammar.words``, in one array.

    Forward-backward over log-probabilities [T, C]: every path through a word enters it exactly once, so a word's
    posterior is the sum over frames of the paths that enter it there. In a grammar of slots, that is the word's
    posterior in its slot, and a slot's words sum to 1. In others it is that of the word standing where it leads to
    this place of the automaton: after whatever came before, and with the same ways to go on.
    ``DecodeError`` if there are too few frames.
    """
    logp = checked(logp, len(grammar.vocabulary))
    scores = logp[:, grammar.symbols]
    before = _forward(scores, grammar)
    after = _backward(scores, grammar)
    total = float(np.logaddexp.reduce(before[-1, grammar.ends]))
    inside = (scores + after)[:, grammar.first]
    entering = np.full((len(logp), len(grammar.words)), NEVER)
    entering[0, grammar.openers] = inside[0, grammar.openers]
    starts = np.cumsum([0, *(len(states) for states in grammar.entries)])[:-1]
    coming = before[:-1].take(np.concatenate(grammar.entries), axis=1)
    entering[1:] = np.logaddexp.reduceat(coming, starts, axis=1) + inside[1:]
    return total, np.minimum(1.0, np.exp(np.logaddexp.reduce(entering, axis=0) - total))


def log_likelihood(logp: Floats, grammar: Grammar) -> float:
    """Log of the summed probability of all paths of all sentences of the grammar, from [T, C]."""
    logp = checked(logp, len(grammar.vocabulary))
    ways = _opening(logp[0].take(grammar.symbols), len(logp), grammar)
    for frame in logp[1:]:  # without the ways of all frames, which of ten minutes would take gigabytes
        ways = np.logaddexp.reduceat(ways.take(grammar.sources), grammar.source_starts) + frame.take(grammar.symbols)
    return float(np.logaddexp.reduce(ways[grammar.ends]))


def best_path(logp: Floats, grammar: Grammar) -> list[int]:
    """The state of each frame on the likeliest path.

    Where the scores of all frames would take gigabytes, as of what was said in ten minutes, those of some are kept, and
    those between are found again from them on the way back.
    """

    def follow(best: Floats, frame: int) -> Floats:
        coming = np.maximum.reduceat(best.take(grammar.sources), grammar.source_starts)
        return np.asarray(coming + logp[frame].take(grammar.symbols))

    best = _opening(logp[0].take(grammar.symbols), len(logp), grammar)
    kept = {0: best}
    step = 1 if len(logp) * len(best) < _KEPT else math.isqrt(len(logp))
    for frame in range(1, len(logp)):
        best = follow(best, frame)
        if frame % step == 0:
            kept[frame] = best
    ends = np.array(grammar.ends)
    path = [int(ends[best[ends].argmax()])]
    bounds = [*grammar.source_starts.tolist(), len(grammar.sources)]
    for first in reversed(kept):
        scores = [kept[first]]
        for frame in range(first + 1, len(logp) - len(path)):
            scores.append(follow(scores[-1], frame))
        for before in reversed(scores[: len(logp) - len(path) - first]):
            sources = grammar.sources[bounds[path[-1]] : bounds[path[-1] + 1]]
            path.append(int(sources[before[sources].argmax()]))
    return path[::-1]


def _opening(first: Floats, frames: int, grammar: Grammar) -> Floats:
    """Scores of the first of so many frames: only the start states are open."""
    if frames < grammar.min_frames:
        raise DecodeError(
            f"{frames} frames are too few for a sentence of the grammar, which takes {grammar.min_frames}; "
            "film the whole sentence or decode greedily"
        )
    opening = np.full(len(first), NEVER)
    opening[grammar.starts] = first[grammar.starts]
    return opening


def _forward(scores: Floats, grammar: Grammar) -> Floats:
    """Log of the summed probability of all ways into each state at each frame, that frame included."""
    ways = np.empty_like(scores)
    ways[0] = _opening(scores[0], len(scores), grammar)
    for frame in range(1, len(scores)):
        coming = ways[frame - 1].take(grammar.sources)
        np.add(np.logaddexp.reduceat(coming, grammar.source_starts), scores[frame], out=ways[frame])
    return ways


def _backward(scores: Floats, grammar: Grammar) -> Floats:
    """Log of the summed probability of all ways from each state at each frame to the end, without that frame."""
    ways = np.full_like(scores, NEVER)
    ways[-1, grammar.ends] = 0.0
    for frame in range(len(scores) - 2, -1, -1):
        going = (ways[frame + 1] + scores[frame + 1]).take(grammar.targets)
        ways[frame] = np.logaddexp.reduceat(going, grammar.target_starts)
    return ways


def checked(logp: Floats, classes: int) -> NDArray[np.float64]:
    """As float64, with zero probabilities made finite; ``ValueError`` unless it is [T, C], ``DecodeError`` for NaN."""
    logp = np.asarray(logp, dtype=np.float64)
    if logp.ndim != 2 or logp.shape[1] != classes or len(logp) == 0:
        raise ValueError(f"log-probabilities of shape {logp.shape}; [T, {classes}] with at least one frame needed")
    if np.isnan(logp).any():
        raise DecodeError("the model's output is not a number (NaN); its weights are broken, use another model")
    return np.maximum(logp, _LEAST)


def _mean(scores: Sequence[float]) -> float:
    """Geometric mean of probabilities given as logarithms."""
    return min(1.0, float(np.exp(np.mean(scores))))


# By the name that a user gives; each takes log-probabilities [T, C] and the vocabulary of their classes, GRID's if left
# out.
DECODERS: dict[str, Callable[..., Decoded]] = {
    "greedy": greedy,
    "beam": lambda logp, vocabulary=GRID: beam(logp, vocabulary=vocabulary),
    "grammar": lambda logp, vocabulary=GRID: viterbi(logp, Grammar.grid().spelled_in(vocabulary)),
}
How = str | Callable[[Floats], Decoded]  # to decode: a name of DECODERS, or a decoder


def ctc_frames(text: str) -> int:
    """The fewest frames in which CTC can spell a text: one a letter and a blank between equal neighbours."""
    return len(text) + sum(a == b for a, b in pairwise(text))
