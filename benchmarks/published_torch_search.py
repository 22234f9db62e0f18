"""The published search in plain PyTorch, by its description, for benchmarks/published.py.

All hypotheses of a step are scored at once. CTC's prefix scores go from frame to frame for each candidate
(S. Watanabe et al., "Hybrid CTC/attention architecture", 2017, algorithm 2).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from published_torch import Conformer
from torch import Tensor

_NEVER = -1e10


class Found(NamedTuple):
    """A text with its start and end, and its score."""

    tokens: tuple[int, ...]
    score: float


class _Prefixes(NamedTuple):
    """Of B texts: CTC's forward variables [T, 2, B], ending in a token or in a blank, and the totals [B]."""

    forward: Tensor
    total: Tensor


def search(network: Conformer, memory: Tensor, logp: Tensor, beam: int, ctc: float, length: int) -> list[Found]:
    """The best texts of up to ``length`` tokens for the encoder's ``memory`` [T, width] and CTC's ``logp`` [T, V]."""
    end = logp.shape[1] - 1
    texts, scores, ended = torch.full((1, 1), end), torch.zeros(1), list[Found]()
    kept = [memory.new_zeros(1, 0, memory.shape[1]) for _ in network.decoder.decoders]
    blanks = logp[:, 0].cumsum(0)
    prefixes = _Prefixes(torch.stack([torch.full_like(blanks, _NEVER), blanks], 1)[:, :, None], torch.zeros(1))
    for step in range(length):
        decoder, outputs = network.step(texts, memory.expand(len(texts), -1, -1), kept)
        likely = decoder.topk(min(int(1.5 * beam), end + 1), 1).indices
        totals, forward = _extended(logp, prefixes, texts, likely)
        total = (1 - ctc) * decoder + ctc * (totals - prefixes.total[:, None]) + scores[:, None]
        best = total.flatten().topk(beam).indices
        rows, tokens = best // (end + 1), best % (end + 1)
        texts, scores = torch.cat([texts[rows], tokens[:, None]], 1), total[rows, tokens]
        over = tokens == end if step < length - 1 else torch.ones_like(tokens, dtype=torch.bool)
        ended += [Found(tuple(texts[one].tolist()), float(scores[one])) for one in over.nonzero()[:, 0]]
        places = (likely[rows] == tokens[:, None]).int().argmax(1)  # of what isn't among them it has ended
        prefixes = _Prefixes(forward[:, :, rows, places][:, :, ~over], totals[rows, tokens][~over])
        texts, scores, kept = texts[~over], scores[~over], [one[rows][~over] for one in outputs]
        if not len(texts):
            break
    return sorted(ended, key=lambda one: -one.score)


def _extended(logp: Tensor, prefixes: _Prefixes, texts: Tensor, likely: Tensor) -> tuple[Tensor, Tensor]:
    """The totals [B, V] of texts with each token after them, and the forward variables [T, 2, B, S] of the ``likely``
    ones [B, S]; all others have none."""
    frames, start, end = len(logp), max(texts.shape[1] - 1, 1), logp.shape[1] - 1
    steps = logp[:, likely]
    either = prefixes.forward.logsumexp(1)
    coming = torch.where(likely == texts[:, -1:], prefixes.forward[:, 1, :, None], either[:, :, None])
    forward = torch.full((frames, 2, *likely.shape), _NEVER)
    if texts.shape[1] == 1:
        forward[0, 0] = steps[0]
    for at in range(start, frames):
        forward[at, 0] = torch.logaddexp(forward[at - 1, 0], coming[at - 1]) + steps[at]
        forward[at, 1] = forward[at - 1].logsumexp(0) + logp[at, 0]
    first = forward[start - 1 : start, 0]
    found = torch.cat([first, coming[start - 1 : -1] + steps[start:]]).logsumexp(0)
    totals = torch.full((len(texts), end + 1), _NEVER).scatter(1, likely, found)
    totals[:, end] = either[-1]
    totals[:, 0] = _NEVER
    return totals, forward
