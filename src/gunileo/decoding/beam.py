"""Searches through log-probabilities: a grammar's sentences best first, and the best text without a grammar."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import count, pairwise

import numpy as np
from numpy.typing import NDArray

from gunileo.corpus.grid import BLANK, encode
from gunileo.decoding.grammar import SPACE, Grammar

NEVER = -1e30  # stands for log 0 and, unlike -inf, survives subtraction

Scores = NDArray[np.float64]


def ranked(logp: Scores, grammar: Grammar) -> Iterator[list[int]]:
    """The grammar's sentences as numbers of its words, in the exact order of their best paths through [T, 37].

    A*: a beginning waits with the score of its best sentence, which the best rest of every word tells exactly, so a
    beginning is taken up only when one of its sentences is next.
    """
    onward = _onward(logp, grammar)
    silence = _opening(logp[::-1])[::-1]  # the best rest after the last word
    order = count()  # of beginnings with the same score
    waiting: list[tuple[float, int, list[int], Scores | None]] = []

    def wait(words: list[int], score: float, entering: Scores | None) -> None:
        if score > NEVER / 2:  # else it doesn't fit into the frames
            heapq.heappush(waiting, (-score, next(order), words, entering))

    def go_on(words: list[int], place: int, entering: Scores) -> None:
        for word, target in grammar.arcs[place].items():
            number = grammar.index[word, target]
            wait([*words, number], float((entering + onward[number]).max()), entering)

    go_on([], 0, _opening(logp))
    while waiting:
        _, _, words, entering = heapq.heappop(waiting)
        if entering is None:
            yield words
            continue
        said = _through(logp, entering, encode(grammar.words[words[-1]]))
        place = grammar.targets_of[words[-1]]
        if place in grammar.accepting:
            wait(words, float((said + silence).max()), None)
        if grammar.arcs[place]:
            go_on(words, place, _between(logp, said))


def _onward(logp: Scores, grammar: Grammar) -> list[Scores]:
    """For each word: the best score of it and all that follows, if its first symbol is named first at each frame."""
    back = logp[::-1]  # a sentence read backwards is a sentence of the grammar turned round
    found: list[Scores] = [np.empty(0)] * len(grammar.words)
    into: dict[int, list[int]] = {}  # words by the place that they lead to
    for number, place in enumerate(grammar.targets_of):
        into.setdefault(place, []).append(number)
    for place in range(len(grammar.arcs) - 1, 0, -1):
        entering = np.full(len(logp), NEVER)
        if place in grammar.accepting:
            entering = _opening(back)
        if grammar.arcs[place]:
            following = [found[grammar.index[arc]][::-1] for arc in grammar.arcs[place].items()]
            entering = np.maximum(entering, _between(back, np.maximum.reduce(following)))
        for number in into[place]:
            found[number] = _through(back, entering, encode(grammar.words[number])[::-1])[::-1]
    return found


def _opening(logp: Scores) -> Scores:
    """The best score of coming to the first word at each frame: blanks before."""
    return np.concatenate([[0.0], np.cumsum(logp[:-1, BLANK])])


def _through(logp: Scores, entering: Scores, classes: Sequence[int]) -> Scores:
    """The best score of being in a word's last symbol at each frame, from that of coming to its first."""
    score = _hold(entering, logp[:, classes[0]])
    for previous, symbol in pairwise(classes):
        blank = _hold(_later(score), logp[:, BLANK])
        score = _hold(_later(blank if previous == symbol else np.maximum(blank, score)), logp[:, symbol])
    return score


def _between(logp: Scores, said: Scores) -> Scores:
    """The best score of coming to the next word at each frame, from that of being in a word's last symbol."""
    blank = _hold(_later(said), logp[:, BLANK])
    space = _hold(_later(np.maximum(said, blank)), logp[:, SPACE])
    return _later(np.maximum(space, _hold(_later(space), logp[:, BLANK])))


def _hold(coming: Scores, scores: Scores) -> Scores:
    """``x[t] = max(x[t - 1], coming[t]) + scores[t]``: come to a state at some frame and stay."""
    sums = np.cumsum(scores)
    held: Scores = sums + np.maximum.accumulate(coming - (sums - scores))
    return held


def _later(scores: Scores) -> Scores:
    """One frame later."""
    return np.concatenate([[NEVER], scores[:-1]])


class _Beginnings:
    """Texts that share their beginnings, numbered; number 0 is the empty one."""

    def __init__(self) -> None:
        self.parents, self.lasts = [-1], [BLANK]
        self._numbers: dict[tuple[int, int], int] = {}

    def longer(self, number: int, symbol: int) -> int:
        """The number of a beginning with one more symbol, the same each time."""
        if (number, symbol) not in self._numbers:
            self._numbers[number, symbol] = len(self.parents)
            self.parents.append(number)
            self.lasts.append(symbol)
        return self._numbers[number, symbol]

    def text(self, number: int) -> tuple[int, ...]:
        symbols = []
        while number:
            symbols.append(self.lasts[number])
            number = self.parents[number]
        return tuple(reversed(symbols))


def prefix_beam(logp: Scores, width: int) -> tuple[tuple[int, ...], float]:
    """The likeliest sequence of classes among the ``width`` best beginnings of each frame, and its log-probability.

    A beginning's paths are added up, apart for those that end in a blank: only after a blank may the same class
    come again as another symbol.
    """
    known = _Beginnings()
    kept = [0]
    blank, symbol = np.zeros(1), np.full(1, NEVER)  # log-probabilities of the kept, by what their paths end in
    for frame in logp:
        last = np.array([known.lasts[number] for number in kept])
        total = np.logaddexp(blank, symbol)
        longer = total[:, None] + frame
        longer[np.arange(len(kept)), last] = blank + frame[last]
        longer[:, BLANK] = NEVER
        stay = symbol + frame[last]  # of the empty beginning: still never
        row_of = {number: row for row, number in enumerate(kept)}
        for row, number in enumerate(kept):  # a beginning that another one here goes on to is the same one
            origin = row_of.get(known.parents[number])
            if origin is not None:
                stay[row] = np.logaddexp(stay[row], longer[origin, last[row]])
                longer[origin, last[row]] = NEVER
        ending = total + frame[BLANK]
        scores = np.concatenate([np.logaddexp(ending, stay), longer.ravel()])
        best = np.argsort(-scores, kind="stable")[:width]
        best = best[scores[best] > NEVER / 2]
        blank = np.concatenate([ending, np.full(longer.size, NEVER)])[best]
        symbol = np.concatenate([stay, longer.ravel()])[best]
        steps = [divmod(index - len(kept), len(frame)) for index in best.tolist()]
        kept = [
            kept[index] if index < len(kept) else known.longer(kept[row], step)
            for index, (row, step) in zip(best.tolist(), steps, strict=True)
        ]
    return known.text(kept[0]), float(np.logaddexp(blank[0], symbol[0]))
