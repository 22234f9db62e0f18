"""Which pixels and frames moved a decision: the mouth is covered piece by piece, and the clip read again.

M. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, section 4.2. It needs no
gradients, so it works on the reader as it is shipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from gunileo.decoding.ctc import FPS, log_likelihood
from gunileo.decoding.grammar import Grammar
from gunileo.vision.mouth_clip import MouthClip

if TYPE_CHECKING:
    from gunileo.inference.reader import Reader

ROWS, COLUMNS = 4, 5  # pieces that a crop is covered by, 25x30 pixels each
_WINDOW = 4  # frames covered together
_AROUND = 3  # frames looked at before and after the word: a mouth shapes itself ahead of the sound


@dataclass(frozen=True)
class Saliency:
    """How much each piece of a clip spoke for the word that was read.

    ``odds`` is the log-odds, in nats, of that word against all others of its place, given the rest of the sentence
    as it was read. The others are by how much it falls when something is covered: what is positive spoke for the word.
    """

    odds: float
    windows: list[tuple[int, int]]  # first frame, and the frame after the last
    frames: list[float]  # for each window: with its frames covered
    patches: list[list[list[float]]]  # for each window: with one piece of them covered, [4][5] from the top left


def saliency(
    reader: Reader, clip: MouthClip, words: Sequence[str], place: int, rivals: Sequence[str], start: float, end: float
) -> Saliency:
    """What in a clip's crops spoke for word ``place`` of ``words``, read from ``start`` to ``end``.

    ``rivals`` are the words that might have stood there. A covered piece shows its average over the clip: no
    movement, but no hard edge either. Costs 21 runs of the network for every four frames. Raises ``DecodeError``
    if the clip is too short for the words.
    """
    slots = [[word] for word in words]
    read = Grammar(slots)
    others = Grammar([*slots[:place], [word for word in rivals if word != words[place]], *slots[place + 1 :]])

    def odds(covered: MouthClip) -> float:
        logp = reader.log_probabilities(covered)
        return log_likelihood(logp, read) - log_likelihood(logp, others)

    whole, average = odds(clip), clip.crops.mean(axis=0).round().astype(np.uint8)
    rows, columns = _parts(clip.crops.shape[1], ROWS), _parts(clip.crops.shape[2], COLUMNS)

    def drop(frames: tuple[int, int], row: slice, column: slice) -> float:
        covered = clip.crops.copy()
        covered[slice(*frames), row, column] = average[row, column]
        return whole - odds(MouthClip(covered, clip.measures))

    windows = _windows(start, end, len(clip))
    of_frames = [drop(frames, slice(None), slice(None)) for frames in windows]
    patches = [[[drop(frames, row, column) for column in columns] for row in rows] for frames in windows]
    return Saliency(whole, windows, of_frames, patches)


def _parts(length: int, count: int) -> list[slice]:
    """So many parts of a side, of the same length but for rounding."""
    bounds = np.linspace(0, length, count + 1).astype(int).tolist()
    return [slice(*pair) for pair in pairwise(bounds)]


def _windows(start: float, end: float, length: int) -> list[tuple[int, int]]:
    """The frames around a word, a few at a time."""
    first = max(0, round(start * FPS) - _AROUND)
    last = min(length, round(end * FPS) + _AROUND)
    return [(frame, min(frame + _WINDOW, length)) for frame in range(first, last, _WINDOW)]
