"""Every path through a few frames, written out and counted: what exact decoders are held against."""

import functools
import itertools
from collections.abc import Collection

import numpy as np

from gunileo.corpus.grid import BLANK, CLASSES, encode

USED = [BLANK, *encode(" ab")]  # few classes, so that all paths can be written out


def random_logp(
    rng: np.random.Generator, frames: int, used: list[int] | None = None, spread: float = 2.0
) -> np.ndarray:
    scores = rng.normal(size=(frames, len(CLASSES))) * spread
    if used is not None:  # all other classes are impossible, so that brute force can leave them out
        scores[:, [index for index in range(len(CLASSES)) if index not in used]] = -np.inf
    return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)


def collapse(path: tuple[int, ...]) -> str:
    kept = [symbol for index, symbol in enumerate(path) if index == 0 or symbol != path[index - 1]]
    return "".join(CLASSES[symbol] for symbol in kept if symbol != BLANK)


@functools.cache
def all_paths(frames: int) -> tuple[np.ndarray, list[str]]:
    paths = list(itertools.product(USED, repeat=frames))
    return np.array(paths), [collapse(path) for path in paths]


def brute_force(
    logp: np.ndarray, sentences: Collection[str] | None = None
) -> tuple[dict[str, float], dict[str, float]]:
    """Best path's and all paths' log-probability of each of the sentences that fits; of all texts if None."""
    paths, texts = all_paths(len(logp))
    totals = logp[np.arange(len(logp)), paths].sum(axis=1)
    scores: dict[str, list[float]] = {}
    for text, score in zip(texts, totals.tolist(), strict=True):
        if sentences is None or text in sentences:
            scores.setdefault(text, []).append(score)
    return {s: max(v) for s, v in scores.items()}, {s: float(np.logaddexp.reduce(v)) for s, v in scores.items()}


def spell(text: str, hold: int = 1, blanks: int = 1, sure: float = 0.9) -> np.ndarray:
    """Log-probabilities of a reader that holds every symbol and then goes silent."""
    path = [symbol for index in encode(text) for symbol in [index] * hold + [BLANK] * blanks]
    p = np.full((len(path), len(CLASSES)), (1 - sure) / (len(CLASSES) - 1))
    p[np.arange(len(path)), path] = sure
    return np.log(p)
