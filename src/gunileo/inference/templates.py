"""Recognising commands by their nearest template: frame features of a network, compared with time warping.

No training: one recording of a command is enough, of any face. numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gunileo.inference.registry import ModelError
from gunileo.util.arrays import read_arrays
from gunileo.util.files import whole

# Constant and weights, of the distance and of its ratio to the nearest other command's, in the log-odds that a
# command was said: learnt from recordings of a speaker that the networks never saw
# (scripts/few_recordings.py --learn).
_ODDS = (7.70, -2.78, -8.23)
_APART = 0.38  # what ``apart`` is where there is one command alone: its mean over the same recordings

_ARRAYS = ("texts", "lengths", "features", "network", "between")  # of a file of templates

Features = NDArray[np.floating]  # [T, F]


@dataclass(frozen=True)
class Match:
    """A command that may have been said: the distance of its nearest template, and its probability, 0-1.

    The distance is a mean of one minus the cosine, 0 where two recordings are the same (``distances``).
    """

    text: str
    distance: float
    confidence: float

    @property
    def sure(self) -> bool:
        """Whether the command was said with a probability of a half or more; otherwise it is a guess."""
        return self.confidence >= 0.5


@dataclass
class Templates:
    """Recordings of commands as frame features, and the recogniser that they are."""

    texts: list[str] = field(default_factory=list)
    features: list[NDArray[np.float16]] = field(default_factory=list)  # one [T, F] a recording
    network: str = ""  # checksum of the network's file that made them
    _between: NDArray[np.float64] | None = None  # distance of each recording to each, once it was asked for

    @property
    def commands(self) -> tuple[str, ...]:
        """The different commands, in the order in which they were first added."""
        return tuple(dict.fromkeys(self.texts))

    def add(self, text: str, features: Features) -> None:
        """Add a recording of a command, [T, F]: from here on it is recognised. ``ValueError`` if it has no frame."""
        if features.ndim != 2 or not len(features):
            raise ValueError(f"features of shape {features.shape}; [T, F] with at least one frame needed")
        self.texts.append(text)
        self.features.append(features.astype(np.float16))
        self._between = None

    def matches(self, features: Features) -> list[Match]:
        """All commands, the nearest first, for a recording's features [T, F]; ``ValueError`` if there are no templates.

        A command is as far as the nearest of its recordings. Its confidence is the chance that it was said, where as
        many recordings say something else as one of the commands. It follows from the distance, measured by how near
        other commands come among this speaker's recordings, and from its ratio to the nearest other command's.
        """
        if not self.texts:
            raise ValueError("no templates to compare with; add one")
        return ranked(self.texts, distances(features, self.features), self.apart())

    def between(self) -> NDArray[np.float64]:
        """How far each recording is from each, [N, N]; found once and saved with them."""
        if self._between is None:
            self._between = np.stack([distances(one, self.features) for one in self.features])
        return self._between

    def apart(self) -> float:
        """How near other commands come: the mean distance of a recording to the nearest one of another command."""
        return apart(self.texts, self.between()) if len(self.commands) > 1 else _APART

    def tested(self, recordings: Sequence[int]) -> tuple[int, int]:
        """How many of these recordings all others recognise, and of how many: those whose command has another."""
        others = self.between() + np.diag(np.full(len(self.texts), np.inf))
        tested = [recording for recording in recordings if self.texts.count(self.texts[recording]) > 1]
        right = [self.texts[int(others[recording].argmin())] == self.texts[recording] for recording in tested]
        return sum(right), len(tested)

    def save(self, path: Path) -> None:
        """Write all as a numpy archive; ``FileError`` if it can't be written."""
        content = {
            "texts": np.array(self.texts),
            "lengths": np.array([len(one) for one in self.features]),
            "features": np.concatenate(self.features),
            "network": np.array(self.network),
            "between": self.between(),
        }
        with whole(path) as part, part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **content)


def load(path: Path) -> Templates:
    """What ``Templates.save`` wrote; ``ModelError`` if it is anything else. Nothing in the file is ever run."""
    try:
        texts, lengths, joined, network, between = read_arrays(path, _ARRAYS).values()
        features = np.split(joined, np.cumsum(lengths)[:-1])
        sizes = [len(one) for one in features] == lengths.tolist() and between.shape == (len(texts),) * 2
        if not sizes or len(texts) != len(features) or not lengths.all():
            raise ValueError("recordings and texts don't go together")
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: no templates, or damaged ({error}); run 'gunileo teach' again") from error
    return Templates([str(text) for text in texts], features, str(network), between)


def apart(texts: Sequence[str], between: NDArray[np.float64]) -> float:
    """The mean distance of recordings to the nearest one of another command; ``texts`` are ``between`` [N, N] apart.

    That is how near a recording comes that is of none of the commands: the nearer, the more recordings there are.
    """
    said = np.array(texts)
    return float(np.where(said[:, None] != said, between, np.inf).min(axis=1).mean())


def ranked(texts: Sequence[str], found: Sequence[float] | NDArray[np.float64], apart: float) -> list[Match]:
    """The commands ``texts`` [N] of templates at distances ``found`` [N], the nearest first, each once."""
    nearest = dict.fromkeys(texts, np.inf)
    for text, distance in zip(texts, found, strict=True):
        nearest[text] = min(nearest[text], float(distance))
    order = sorted(nearest.items(), key=lambda pair: pair[1])
    rivals = [distance for _, distance in order[1:2]] + [order[0][1]] * (len(order) - 1)
    return [
        Match(text, distance, _chance(distance, rival, apart))
        for (text, distance), rival in zip(order, rivals or [apart], strict=True)
    ]


def distances(query: Features, others: Sequence[Features]) -> NDArray[np.float64]:
    """How far a recording [T, F] is from each of others, [N], with their frames warped to each other in time.

    Frames differ by one minus the cosine of the angle between their features. Dynamic time warping with the symmetric
    steps of H. Sakoe, S. Chiba, "Dynamic programming algorithm optimization for spoken word recognition", 1978: a
    step in both recordings counts twice, and the sum is divided by both lengths.
    """
    query = _unit(query)
    rows = np.arange(len(query))
    lengths = np.array([len(other) for other in others])
    costs = np.full((len(others), len(query) + int(lengths.max()) - 1, len(query)), np.inf, np.float32)
    # Of an antidiagonal, [N, query], each cell follows from the two antidiagonals before.
    for cost, other in zip(costs, others, strict=True):
        cost[rows[:, None] + np.arange(len(other)), rows[:, None]] = 1 - query @ _unit(other).T
    last = before = np.full((len(others), len(query)), np.inf, np.float32)
    ends = np.empty(costs.shape[:2])
    for step in range(costs.shape[1]):
        cost = costs[:, step]
        now = np.minimum(np.minimum(last, _next(last)) + cost, _next(before) + 2 * cost)
        if step == 0:
            now[:, 0] = 2 * cost[:, 0]
        ends[:, step] = now[:, -1]
        before, last = last, now
    together = len(query) + lengths
    return np.asarray(ends[np.arange(len(others)), together - 2] / together, np.float64)


def _unit(features: Features) -> NDArray[np.float64]:
    features = np.asarray(features, np.float64)
    return np.asarray(features / (np.linalg.norm(features, axis=1, keepdims=True) + 1e-9))


def _next(row: NDArray[np.floating]) -> NDArray[np.floating]:
    """Each frame of the query's gets the value of the one before it."""
    return np.concatenate([np.full((len(row), 1), np.inf, np.float32), row[:, :-1]], axis=1)


def _chance(distance: float, rival: float, apart: float) -> float:
    score = float(np.dot(_ODDS, marks(distance, rival, apart)))
    return float(np.exp(-np.logaddexp(0, -score)))


def marks(distance: float, rival: float, apart: float) -> tuple[float, float, float]:
    """What the log-odds weigh: 1, the distance by ``apart``, and by the nearest other command's distance."""
    return 1.0, distance / max(apart, 1e-9), distance / max(rival, 1e-9)
