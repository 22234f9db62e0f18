"""From log-probabilities to words, times and confidence: CTC decoding in numpy alone.

CTC: A. Graves, S. Fernandez, F. Gomez, J. Schmidhuber, "Connectionist temporal classification",
ICML 2006. A path names one class a frame; dropping repeats, then blanks, leaves its text.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from gunileo.errors import GunileoError
from gunileo.sentence import BLANK, CLASSES, SLOTS, encode
from gunileo.transcript import Word

FPS = 25  # frames a second of all log-probabilities, as in video.py, which this room need not know
_LONELY = 8  # frames, a third of a second: no letter of a word is said so long after the one before
_LETTER = 2  # frames; GRID's words last 0.27 s on average and have four letters
_SPACE = CLASSES.index(" ")
_NEVER = -1e30  # stands for log 0 and, unlike -inf, survives subtraction
_LEAST = -1e9  # lowest log-probability of one frame: far above _NEVER, so that a path of zeros is still a path

Floats = NDArray[np.floating]
Ints = NDArray[np.intp]


class DecodeError(GunileoError):
    """Log-probabilities that hold no sentence; the caller adds the file's name."""


@dataclass(frozen=True)
class Decoded:
    """The words read and the confidence, 0-1, of the whole; a guess is told from a reading by ``sure``."""

    text: str
    words: tuple[Word, ...]
    confidence: float
    sure: bool = True


class Grammar:
    """Sentences of one word a slot, compiled to the graph of all their CTC paths.

    A state is one symbol of one word, a blank between two of them, or the blank, space and blank that all
    words of a slot share with the next slot. A path through the graph belongs to exactly one sentence.
    """

    def __init__(self, slots: Sequence[Sequence[str]]) -> None:
        """``ValueError`` if a slot is empty, repeats a word or has a word that the classes can't spell."""
        if not slots or any(not slot or len(set(slot)) < len(slot) for slot in slots):
            raise ValueError("a grammar needs slots, and every slot different words")
        if any(not word or " " in word for slot in slots for word in slot):
            raise ValueError("a grammar's words are single words without spaces")
        self.slots = tuple(tuple(slot) for slot in slots)
        self.symbols: list[int] = []  # class of each state
        self.word_of: list[int] = []  # word of each state, counted over all slots; -1 for shared states
        self.entries: list[list[int]] = []  # for each word: the states a path can come from
        self.first: list[int] = []  # for each word: its first state
        self.starts: list[int] = []  # states a path may begin in
        self.ends: list[int] = []  # states it may end in
        self.min_frames = len(slots) - 1  # of the shortest sentence: the spaces, and the words added below
        edges: list[tuple[int, int]] = []
        self._compile(edges)
        self.sources, self.source_starts = _grouped(edges, key=1)  # the states before each state
        self.targets, self.target_starts = _grouped(edges, key=0)  # the states after each state

    @classmethod
    @functools.cache
    def grid(cls) -> Grammar:
        """The 64,000 sentences of the GRID corpus."""
        return cls(SLOTS)

    def _state(self, symbol: int, before: Sequence[int], edges: list[tuple[int, int]], word: int = -1) -> int:
        state = len(self.symbols)
        self.symbols.append(symbol)
        self.word_of.append(word)
        edges += [(source, state) for source in (state, *before)]
        return state

    def _compile(self, edges: list[tuple[int, int]]) -> None:
        before: list[int] = []  # states that a word of this slot can follow
        for left, slot in zip(range(len(self.slots) - 1, -1, -1), self.slots, strict=True):
            before = [*before, self._state(BLANK, before, edges)]
            if not self.starts:
                self.starts = list(before)
            lasts = [self._word(encode(word), before, edges) for word in slot]
            self.min_frames += min(_frames(encode(word)) for word in slot)
            blank = self._state(BLANK, lasts, edges)
            self.ends = [*lasts, blank]
            if left:
                before = [self._state(_SPACE, self.ends, edges)]
        self.starts += self.first[: len(self.slots[0])]

    def _word(self, classes: list[int], before: list[int], edges: list[tuple[int, int]]) -> int:
        word = len(self.first)
        self.entries.append(before)
        state = self._state(classes[0], before, edges, word)
        self.first.append(state)
        for previous, symbol in pairwise(classes):
            blank = self._state(BLANK, [state], edges, word)
            # a doubled letter ("green") needs a blank between, or the two would be one
            state = self._state(symbol, [blank] if previous == symbol else [blank, state], edges, word)
        return state


def _frames(classes: list[int]) -> int:
    return len(classes) + sum(a == b for a, b in pairwise(classes))


def _grouped(edges: list[tuple[int, int]], key: int) -> tuple[Ints, Ints]:
    """The other ends of the edges in order of end ``key``, and where each state's begin, for ``reduceat``."""
    table = np.array(sorted(edges, key=lambda edge: edge[key]), dtype=np.intp)
    return table[:, 1 - key], np.searchsorted(table[:, key], np.arange(table[:, key].max() + 1))


def greedy(logp: Floats) -> Decoded:
    """The text of the best class of every frame, from log-probabilities [T, 37].

    A word's confidence is the geometric mean of its symbols' probabilities, each at the symbol's best
    frame; the text's is that over all its symbols. 0 when nothing was read.
    """
    logp = _checked(logp)
    runs = []  # (class, first frame, frame after the last, best log-probability)
    frame = 0
    for symbol, group in groupby(logp.argmax(axis=1).tolist()):
        end = frame + len(list(group))
        if symbol != BLANK:
            runs.append((symbol, frame, end, float(logp[frame:end, symbol].max())))
        frame = end
    words = []
    for space, letters in groupby(runs, key=lambda run: run[0] == _SPACE):
        if not space:
            symbols, starts, ends, scores = zip(*letters, strict=True)
            text = "".join(CLASSES[symbol] for symbol in symbols)
            frames = [frame for start, end in zip(starts, ends, strict=True) for frame in range(start, end)]
            words.append(Word(text, *_span(frames), _mean(scores)))
    confidence = _mean([run[3] for run in runs]) if words else 0.0
    return Decoded(" ".join(word.word for word in words), tuple(words), confidence)


def viterbi(logp: Floats, grammar: Grammar) -> Decoded:
    """The grammar's sentence with the likeliest path through log-probabilities [T, 37].

    A word begins with the first frame of its first symbol and ends with the last frame of its last, but for
    symbols far from the others (``_span``). Its confidence is its posterior among the words of its slot, the
    sentence's its posterior among all sentences of the grammar: both say how sure the choice is, given that such a
    sentence was said.

    ``DecodeError`` if there are fewer frames than the grammar's shortest sentence has symbols.
    """
    logp = _checked(logp)
    total, chances = posteriors(logp, grammar)
    states = _best_path(logp, grammar)
    said = [grammar.word_of[state] for state in states]
    words = [word for slot in grammar.slots for word in slot]
    found, frame = [], 0
    for word, group in groupby(said):
        end = frame + len(list(group))
        if word >= 0:
            spelled = [at for at in range(frame, end) if grammar.symbols[states[at]] != BLANK]
            found.append(Word(words[word], *_span(spelled), float(chances[word])))
        frame = end
    sentence = Grammar([[word.word] for word in found])
    confidence = np.exp(log_likelihood(logp, sentence) - total)
    return Decoded(" ".join(word.word for word in found), tuple(found), min(1.0, float(confidence)))


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
    """Log-likelihood of the grammar, and the posterior of each of its words, slot by slot, in one array.

    Forward-backward over log-probabilities [T, 37]: every path through a word enters it exactly once, so
    a word's posterior is the sum over frames of the paths that enter it there. A slot's words sum to 1.
    ``DecodeError`` if there are too few frames.
    """
    logp = _checked(logp)
    scores = logp[:, grammar.symbols]
    before = _forward(scores, grammar)
    after = _backward(scores, grammar)
    total = float(np.logaddexp.reduce(before[-1, grammar.ends]))
    entering = np.full((len(logp), len(grammar.first)), _NEVER)
    opening = len(grammar.slots[0])
    entering[0, :opening] = scores[0, grammar.first[:opening]] + after[0, grammar.first[:opening]]
    into = np.full((len(logp) - 1, len(grammar.first)), _NEVER)
    for word, states in enumerate(grammar.entries):
        into[:, word] = np.logaddexp.reduce(before[:-1, states], axis=1)
    entering[1:] = np.logaddexp(entering[1:], into + (scores + after)[1:, grammar.first])
    return total, np.minimum(1.0, np.exp(np.logaddexp.reduce(entering, axis=0) - total))


def log_likelihood(logp: Floats, grammar: Grammar) -> float:
    """Log of the summed probability of all paths of all sentences of the grammar, from [T, 37]."""
    logp = _checked(logp)
    return float(np.logaddexp.reduce(_forward(logp[:, grammar.symbols], grammar)[-1, grammar.ends]))


def _best_path(logp: Floats, grammar: Grammar) -> list[int]:
    """The state of each frame on the likeliest path."""
    scores = logp[:, grammar.symbols]
    best = np.empty_like(scores)
    best[0] = _opening(scores, grammar)
    for frame in range(1, len(scores)):
        coming = best[frame - 1].take(grammar.sources)
        np.add(np.maximum.reduceat(coming, grammar.source_starts), scores[frame], out=best[frame])
    ends = np.array(grammar.ends)
    path = [int(ends[best[-1, ends].argmax()])]
    bounds = [*grammar.source_starts.tolist(), len(grammar.sources)]
    for frame in range(len(scores) - 1, 0, -1):  # the way back is found again from the scores: cheaper than pointers
        sources = grammar.sources[bounds[path[-1]] : bounds[path[-1] + 1]]
        path.append(int(sources[best[frame - 1, sources].argmax()]))
    return path[::-1]


def _opening(scores: Floats, grammar: Grammar) -> Floats:
    """Scores of the first frame: only the start states are open."""
    if len(scores) < grammar.min_frames:
        raise DecodeError(
            f"{len(scores)} frames are too few for a sentence of the grammar, which takes {grammar.min_frames}; "
            "film the whole sentence or decode greedily"
        )
    opening = np.full(scores.shape[1], _NEVER)
    opening[grammar.starts] = scores[0, grammar.starts]
    return opening


def _forward(scores: Floats, grammar: Grammar) -> Floats:
    """Log of the summed probability of all ways into each state at each frame, that frame included."""
    ways = np.empty_like(scores)
    ways[0] = _opening(scores, grammar)
    for frame in range(1, len(scores)):
        coming = ways[frame - 1].take(grammar.sources)
        np.add(np.logaddexp.reduceat(coming, grammar.source_starts), scores[frame], out=ways[frame])
    return ways


def _backward(scores: Floats, grammar: Grammar) -> Floats:
    """Log of the summed probability of all ways from each state at each frame to the end, without that frame."""
    ways = np.full_like(scores, _NEVER)
    ways[-1, grammar.ends] = 0.0
    for frame in range(len(scores) - 2, -1, -1):
        going = (ways[frame + 1] + scores[frame + 1]).take(grammar.targets)
        ways[frame] = np.logaddexp.reduceat(going, grammar.target_starts)
    return ways


def _checked(logp: Floats) -> NDArray[np.float64]:
    """As float64, with zero probabilities made finite; ``ValueError`` for another shape than [T, 37]."""
    logp = np.asarray(logp, dtype=np.float64)
    if logp.ndim != 2 or logp.shape[1] != len(CLASSES) or len(logp) == 0:
        raise ValueError(f"log-probabilities of shape {logp.shape}; [T, {len(CLASSES)}] with at least one frame needed")
    if np.isnan(logp).any():
        raise DecodeError("the model's output is not a number (NaN); its weights are broken, use another model")
    return np.maximum(logp, _LEAST)


def _mean(scores: Sequence[float]) -> float:
    """Geometric mean of probabilities given as logarithms."""
    return min(1.0, float(np.exp(np.mean(scores))))


# By the name that a user gives; each takes log-probabilities [T, 37].
DECODERS: dict[str, Callable[[Floats], Decoded]] = {
    "greedy": greedy,
    "grammar": lambda logp: viterbi(logp, Grammar.grid()),
}
