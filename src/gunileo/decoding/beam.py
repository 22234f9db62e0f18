"""Searches through log-probabilities: a grammar's sentences best first, and the best text without a grammar."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import count, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gunileo.corpus.grid import BLANK
from gunileo.decoding.grammar import Grammar

NEVER = -1e30  # stands for log 0 and, unlike -inf, survives subtraction
_LIKELY = 64  # classes of a frame with which a beginning may go on: of thousands of pieces the others add nothing

Scores = NDArray[np.float64]


def ranked(logp: Scores, grammar: Grammar) -> Iterator[list[int]]:
    """The grammar's sentences as numbers of its words, in the exact order of their best paths through [T, C].

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

    def go_on(words: list[int], place: int, coming: _Coming) -> None:
        for arc in grammar.arcs[place].items():
            number = grammar.index[arc]
            entering = coming.to(grammar.classes_of[number][0])
            wait([*words, number], float((entering + onward[number]).max()), entering)

    go_on([], 0, _Coming(_opening(logp)))
    while waiting:
        _, _, words, entering = heapq.heappop(waiting)
        if entering is None:
            yield words
            continue
        classes = grammar.classes_of[words[-1]]
        said = _through(logp, entering, classes)
        place = grammar.targets_of[words[-1]]
        if place in grammar.accepting:
            wait(words, float((said + silence).max()), None)
        if grammar.arcs[place]:
            go_on(words, place, _between(logp, said, classes[-1], grammar.vocabulary.space))


class _Coming(NamedTuple):
    """The best score of coming to a word at each frame: to any, or to one that begins with the class ``last``."""

    any: Scores
    alike: Scores | None = None
    last: int = BLANK

    def to(self, first: int) -> Scores:
        return self.any if self.alike is None or first != self.last else self.alike


def _onward(logp: Scores, grammar: Grammar) -> list[Scores]:
    """For each word: the best score of it and all that follows, if its first symbol is named first at each frame."""
    back = logp[::-1]  # a sentence read backwards is a sentence of the grammar turned round
    space = grammar.vocabulary.space
    found: list[Scores] = [np.empty(0)] * len(grammar.words)
    into: dict[int, list[int]] = {}  # words by the place that they lead to
    for number, place in enumerate(grammar.targets_of):
        into.setdefault(place, []).append(number)
    for place in range(len(grammar.arcs) - 1, 0, -1):
        end = _opening(back) if place in grammar.accepting else np.full(len(logp), NEVER)
        best: dict[int, Scores] = {}  # of what follows, by its first class, which matters where no space parts words
        for number in (grammar.index[arc] for arc in grammar.arcs[place].items()):
            first = BLANK if space is not None else grammar.classes_of[number][0]
            said = found[number][::-1]
            best[first] = np.maximum(best[first], said) if first in best else said
        comings = [_between(back, said, first, space) for first, said in best.items()]
        for number in into[place]:
            classes = grammar.classes_of[number]
            entering = np.maximum.reduce([end, *(coming.to(classes[-1]) for coming in comings)])
            found[number] = _through(back, entering, classes[::-1])[::-1]
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


def _between(logp: Scores, said: Scores, last: int, space: int | None) -> _Coming:
    """The best score of coming to the next word at each frame, from that of being in a word's ``last`` symbol."""
    blank = _hold(_later(said), logp[:, BLANK])
    if space is None:
        return _Coming(_later(np.maximum(said, blank)), _later(blank), last)
    spaced = _hold(_later(np.maximum(said, blank)), logp[:, space])
    return _Coming(_later(np.maximum(spaced, _hold(_later(spaced), logp[:, BLANK]))))


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


def prefix_beam(logp: Scores, width: int) -> list[tuple[tuple[int, ...], float]]:
    """The likeliest sequences of classes, best first, among the ``width`` best beginnings of each frame, and their
    log-probabilities.

    A beginning's paths are added up, apart for those that end in a blank: only after a blank may the same class
    come again as another symbol. Of more than 64 classes each frame's likeliest alone are symbols there.
    """
    known = _Beginnings()
    kept = [0]
    blank, symbol = np.zeros(1), np.full(1, NEVER)  # log-probabilities of the kept, by what their paths end in
    for frame in logp:
        likely = _likely(frame)  # classes, in their order
        column = {one: at for at, one in enumerate(likely.tolist())}
        last = np.array([known.lasts[number] for number in kept])
        total = np.logaddexp(blank, symbol)
        longer = total[:, None] + frame[likely]
        longer[:, column[BLANK]] = NEVER
        stay = symbol + frame[last]  # of the empty beginning: still never
        row_of = {number: row for row, number in enumerate(kept)}
        places = [column.get(one) for one in last.tolist()]
        for row, place in enumerate(places):
            if place:  # neither the blank nor too unlikely
                longer[row, place] = blank[row] + frame[last[row]]
        for row, number in enumerate(kept):  # a beginning that another one here goes on to is the same one
            origin, place = row_of.get(known.parents[number]), places[row]
            if origin is not None and place is not None:
                stay[row] = np.logaddexp(stay[row], longer[origin, place])
                longer[origin, place] = NEVER
        ending = total + frame[BLANK]
        scores = np.concatenate([np.logaddexp(ending, stay), longer.ravel()])
        best = np.argsort(-scores, kind="stable")[:width]
        best = best[scores[best] > NEVER / 2]
        blank = np.concatenate([ending, np.full(longer.size, NEVER)])[best]
        symbol = np.concatenate([stay, longer.ravel()])[best]
        steps = [divmod(index - len(kept), len(likely)) for index in best.tolist()]
        kept = [
            kept[index] if index < len(kept) else known.longer(kept[row], int(likely[step]))
            for index, (row, step) in zip(best.tolist(), steps, strict=True)
        ]
    found = [known.text(number) for number in kept]
    return list(zip(found, np.logaddexp(blank, symbol).tolist(), strict=True))


def _likely(frame: Scores) -> NDArray[np.intp]:
    """The classes of a frame that may be symbols there, in their order, and the blank."""
    if len(frame) <= _LIKELY:
        return np.arange(len(frame))
    best = np.argpartition(-frame, _LIKELY)[:_LIKELY]
    return np.union1d(best, [BLANK]).astype(np.intp)
