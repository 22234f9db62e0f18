"""Whether a clip shows the one face that a model knows, by how its mouth crops look on average."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gunileo.vision.crop import WIDTH
from gunileo.vision.mouth_clip import MouthClip

Array = NDArray[np.float64]

_BLOCK = 10  # pixels of a crop's side that are averaged
_EVERY = 5  # frames: more change the mean of a sentence by little
_SHRINKAGE = 0.01  # of the variance within clips, added to each direction, as there are few clips for 150 numbers


@dataclass(frozen=True)
class KnownFace:
    """Tells one speaker from others: Fisher's linear discriminant (R. A. Fisher, 1936) of their ``mean_look``.

    The score is 1 in the mean of this speaker's clips, and -1 in the mean of the others.
    """

    weights: tuple[float, ...]  # of a look's 150 numbers
    offset: float

    def score(self, look: Array) -> float:
        """How much a look [150] is like this speaker's."""
        return float(look @ np.array(self.weights)) - self.offset

    def is_in(self, clip: MouthClip) -> bool:
        """Whether a clip shows this speaker, as they were filmed when they were learnt."""
        return len(clip) > 0 and self.score(mean_look(clip)) > 0


def mean_look(clip: MouthClip) -> Array:
    """The mean crop of a clip in blocks of 10x10 pixels, float64 [150]: its mean is 0 and its norm 1."""
    mean = clip.crops[::_EVERY].mean(0, dtype=np.float64)
    height, width = (size // _BLOCK for size in mean.shape)
    blocks = mean.reshape(height, _BLOCK, width, _BLOCK).mean((1, 3)).ravel()
    blocks -= blocks.mean()
    return np.asarray(blocks / max(float(np.linalg.norm(blocks)), 1.0))


def learn(own: Array, others: Sequence[Array]) -> KnownFace:
    """The face of the looks ``own`` [clips, 150], told from those of ``others``, [clips, 150] for each of them.

    Clips vary as ``own`` do, and people as the means of ``others`` do. Several clips and two others are needed.
    """
    means = np.stack([looks.mean(0) for looks in others])
    one, rest = own.mean(0), means.mean(0)
    within = np.cov(own.T)
    within += _SHRINKAGE * np.trace(within) / len(within) * np.eye(len(within))
    weights = np.linalg.solve(within + np.cov(means.T), one - rest)
    weights /= weights @ (one - rest) / 2
    weights = weights.round(4)
    return KnownFace(tuple(weights.tolist()), round(float(weights @ (one + rest) / 2), 4))


def to_json(face: KnownFace) -> str:
    """A face as JSON, with a line for each row of blocks."""
    rows = np.array(face.weights).reshape(-1, WIDTH // _BLOCK).tolist()
    lines = ",\n    ".join(json.dumps(row) for row in rows)
    return f'{{\n  "offset": {face.offset},\n  "weights": [\n    {lines}\n  ]\n}}\n'


def from_json(text: str | bytes) -> KnownFace:
    """The face that ``to_json`` wrote. Raises ``ValueError``, ``KeyError`` or ``TypeError`` if it is another text."""
    stored = json.loads(text)
    return KnownFace(tuple(float(number) for row in stored["weights"] for number in row), float(stored["offset"]))
