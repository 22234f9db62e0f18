"""How likely CTC holds it that a text begins with some tokens.

S. Watanabe et al., "Hybrid CTC/attention architecture for end-to-end speech recognition" (2017), algorithm 2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gunileo.corpus.grid import BLANK

Scores = NDArray[np.float64]
Tokens = NDArray[np.int64]

NEVER = -1e10  # the logarithm of nothing; finite, so that two of them differ by a number


class Prefixes(NamedTuple):
    """B beginnings of the same length over T frames.

    Natural logarithms of the probability that a path to frame t spells the beginning and ends in its last token, or in
    a blank; and that any text begins so.
    """

    token: Scores  # [T, B]
    blank: Scores  # [T, B]
    total: Scores  # [B]


def empty(logp: Scores) -> Prefixes:
    """The beginning without tokens, of log-probabilities [T, C]."""
    blank = np.cumsum(logp[:, BLANK])[:, None]
    return Prefixes(np.full_like(blank, NEVER), blank, np.zeros(1))


def extended_totals(logp: Scores, prefixes: Prefixes, length: int, last: Tokens, tokens: Tokens, end: int) -> Scores:
    """The totals [B, C] of beginnings of ``length`` tokens with ``tokens`` [B, C] after them; ``last`` [B] are theirs.

    The token ``end`` gives the probability of the text as it is, the blank none.
    """
    before = _before(prefixes, last[:, None], tokens)
    start = max(length, 1)
    scores = before[start - 1 : -1] + logp[start:, tokens]
    if length == 0:
        scores = np.concatenate([logp[:1, tokens], scores])
    if len(scores):
        highest = scores.max(0)
        totals = highest + np.log(np.exp(scores - highest).sum(0))
    else:
        totals = np.full(tokens.shape, NEVER)
    totals = np.where(tokens == BLANK, NEVER, totals)
    whole = np.logaddexp(prefixes.token[-1], prefixes.blank[-1])
    return np.where(tokens == end, whole[:, None], totals)


def extended(logp: Scores, prefixes: Prefixes, length: int, last: Tokens, tokens: Tokens, totals: Scores) -> Prefixes:
    """Beginnings of ``length`` tokens, each with one of ``tokens`` [B] after it; ``totals`` are theirs then."""
    before = _before(prefixes, last, tokens)
    start = max(length, 1)
    token, blank = np.full((2, *before.shape), NEVER)
    if length == 0:
        token[0] = logp[0, tokens]
    token[start - 1 :] = _summed(token[start - 1], before[start - 1 : -1], logp[start:, tokens])
    others = np.broadcast_to(logp[start:, [BLANK]], (len(logp) - start, len(tokens)))
    blank[start - 1 :] = _summed(blank[start - 1], token[start - 1 : -1], others)
    return Prefixes(token, blank, totals)


def _before(prefixes: Prefixes, last: Tokens, tokens: Tokens) -> Scores:
    """Of coming to a further token from each frame: the same token again comes after a blank alone."""
    shape = (-1, len(tokens), *[1] * (tokens.ndim - 1))
    blank = prefixes.blank.reshape(shape)
    either = np.logaddexp(prefixes.token, prefixes.blank).reshape(shape)
    return np.where(tokens == last, blank, either)


def _summed(first: Scores, coming: Scores, steps: Scores) -> Scores:
    """y with y[0] = ``first`` and y[t] = log(exp y[t-1] + exp coming[t-1]) + steps[t-1], [1 + n, B]."""
    along = np.concatenate([np.zeros((1, steps.shape[1])), np.cumsum(steps, axis=0)])
    sums = np.logaddexp.accumulate(np.concatenate([first[None], coming - along[:-1]]), axis=0)
    return np.asarray(sums + along, np.float64)
