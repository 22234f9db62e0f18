"""Mouth shapes changed at random, and silence put back where only the words are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gunileo.vision.mouth_shape import features

Floats = NDArray[np.float32]
Frames = NDArray[np.int64]

_BLEND = 5  # frames in which a silence goes over into the word beside it


@dataclass(frozen=True)
class ShapeAugmentation:
    """How far shapes are changed; drawn anew for each clip. Features have a standard deviation of about 1."""

    gain: float = 0.12  # standard deviation of the natural logarithm of each feature's size, and of all together
    mix: float = 0.03  # standard deviation of each feature's share in another
    noise: float = 0.25  # largest standard deviation of noise in a frame, drawn for each feature
    drift: float = 0.3  # standard deviation of a slow change, as of a head that turns
    blur: float = 0.3  # share of clips smoothed by [1, 2, 1] / 4, as a mesh followed from frame to frame is
    mask: float = 0.5  # share of clips of which one or two stretches of up to ``longest_mask`` frames are left out
    longest_mask: int = 6
    silence: int = 24  # frames, the longest silence that is put back before and after the words


def relative(measures: Floats) -> Floats:
    """The features [T, 12] of measures [T, 23]; not a number in frames of which nothing is known."""
    known = np.isfinite(measures[:, 0])
    found = np.full((len(measures), features(measures[known][:1]).shape[1]), np.nan, np.float32)
    found[known] = features(measures[known])
    return found


class Silences:
    """What mouths do before and after sentences, in clips that are known from their first frame to their last.

    Each is kept as its difference from the mean over the words, so that it fits another speaker's mouth.
    """

    def __init__(self, clips: Sequence[tuple[Floats, int, int]]) -> None:
        """``clips`` are features [T, 12], the first word's first frame and the frame after the last word."""
        self.before: list[Floats] = []
        self.after: list[Floats] = []
        for shape, start, end in clips:
            middle = shape[start:end].mean(0)
            self.before += [shape[:start] - middle] if start >= _BLEND else []
            self.after += [shape[end:] - middle] if len(shape) - end >= _BLEND else []

    def around(self, shape: Floats, longest: int, random: np.random.Generator) -> tuple[Floats, int, int]:
        """Words' features [T, 12] between a silence before and one after, and the lengths of both.

        Where no silence is known, the mouth rests as it does in the stillest frames: with the smallest opening.
        """
        middle = shape.mean(0)
        before, after = (int(random.integers(2, longest + 1)) for _ in range(2))
        lead = _drawn(self.before, shape, before, random, last=True) + middle
        tail = _drawn(self.after, shape, after, random, last=False) + middle
        for silence, edge in ((lead[::-1], shape[0]), (tail, shape[-1])):  # towards the word in a few frames
            blend = min(_BLEND, len(silence))
            weight = 1 - np.arange(1, blend + 1, dtype=np.float32)[:, None] / (blend + 1)
            silence[:blend] += (edge - silence[0]) * weight
        return np.concatenate([lead, shape, tail]), len(lead), len(tail)


def _drawn(known: list[Floats], shape: Floats, frames: int, random: np.random.Generator, last: bool) -> Floats:
    if known:
        one = known[int(random.integers(len(known)))]
        return (one[-frames:] if last else one[:frames]).copy()
    opening = shape[:, 3]
    rest = shape[np.argsort(opening)[: max(2, len(shape) // 6)]].mean(0) - shape.mean(0)
    return np.asarray(rest + random.normal(0, 0.1, (frames, shape.shape[1])), np.float32)


def filled(shape: Floats) -> Floats:
    """The same with what lies between known frames on a straight line, and the ends held."""
    known = np.flatnonzero(np.isfinite(shape[:, 0]))
    frames = np.arange(len(shape))
    return np.stack([np.interp(frames, known, column[known]) for column in shape.T], 1).astype(np.float32)


def changed(clean: Floats, augmentation: ShapeAugmentation, random: np.random.Generator) -> Floats:
    """Features [T, 12] as another face, another mesh and another camera might give them."""
    frames, count = clean.shape
    shape: NDArray[np.float64] = clean.astype(np.float64) - clean.mean(0)
    gain = math.exp(random.normal(0, augmentation.gain))
    shape = shape * (gain * np.exp(random.normal(0, augmentation.gain, count)))
    shape = shape + shape @ random.normal(0, augmentation.mix, (count, count))
    noise = random.normal(0, 1, shape.shape) * (random.uniform(0, augmentation.noise) * random.random(count))
    drift = random.normal(0, augmentation.drift, (4, count))
    at = np.linspace(0, 3, frames)
    shape = shape + noise + np.stack([np.interp(at, np.arange(4), one) for one in drift.T], 1)
    if random.random() < augmentation.blur:
        wide = np.concatenate([shape[:1], shape, shape[-1:]])
        shape = (wide[:-2] + 2 * wide[1:-1] + wide[2:]) / 4
    if random.random() < augmentation.mask:
        for _ in range(int(random.integers(1, 3))):
            length = int(random.integers(1, augmentation.longest_mask + 1))
            start = int(random.integers(0, max(1, frames - length)))
            shape[start : start + length] = 0
    return np.asarray(shape, np.float32)
