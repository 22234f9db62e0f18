"""Continuous speech: where one sentence ends and the next begins, when nothing but a decoder can tell.

The likeliest path through a grammar that is said once or more tells sentences and boundaries at once: H. Ney, "The use
of a one-stage dynamic programming algorithm for connected word recognition", IEEE Transactions on Acoustics, Speech,
and Signal Processing 32 (1984).
"""

from __future__ import annotations

from copy import copy
from itertools import groupby

import numpy as np

from gunileo.corpus.grid import BLANK
from gunileo.decoding.ctc import Floats, best_path, checked
from gunileo.decoding.grammar import Grammar, grouped

# How much likelier a path has to be for each further sentence, as a logarithm. Sentences that are said bring far more;
# a network that has learnt nothing finds all paths alike.
_MORE = 20.0


def boundaries(logp: Floats, grammar: Grammar) -> list[int]:
    """The frames of log-probabilities [T, C] at which one sentence of the grammar ends and another begins, in order.

    None if a single sentence is likelier, or there are too few frames for one.
    """
    if len(logp) < grammar.min_frames:
        return []
    logp = checked(logp, len(grammar.vocabulary))
    space = BLANK if grammar.vocabulary.space is None else grammar.vocabulary.space
    again = _repeated(grammar, logp.shape[1], space)
    states = best_path(np.column_stack([logp, logp[:, space] - _MORE]), again)
    found, frame = [], 0
    for between, group in groupby(state >= len(grammar.symbols) for state in states):
        end = frame + len(list(group))
        if between:
            found.append((frame + end) // 2)
        frame = end
    return found


def _repeated(grammar: Grammar, costly: int, space: int) -> Grammar:
    """The grammar's sentences one or more times. Between two of them is a frame of class ``costly``, then any number of
    spaces and blanks; these are the last three states."""
    count = len(grammar.symbols)
    costs, spaces, blanks = count, count + 1, count + 2
    again = copy(grammar)
    again.symbols = [*grammar.symbols, costly, space, BLANK]
    before_each = np.diff([*grammar.source_starts.tolist(), len(grammar.sources)])
    edges = [
        *zip(grammar.sources.tolist(), np.repeat(np.arange(count), before_each).tolist(), strict=True),
        *((state, costs) for state in grammar.ends),
        *((before, spaces) for before in (costs, spaces)),
        *((before, blanks) for before in (costs, spaces, blanks)),
        *((before, grammar.first[word]) for word in grammar.openers for before in (costs, spaces, blanks)),
    ]
    again.sources, again.source_starts = grouped(edges, key=1)
    return again
