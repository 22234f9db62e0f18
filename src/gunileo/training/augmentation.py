"""Augmentation: moved, lit, faster or slower; word-span crops, and concatenations of several clips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from gunileo.corpus.cache import CachedUtterance
from gunileo.decoding.ctc import ctc_frames
from gunileo.vision.crop import HEIGHT, WIDTH, Crops
from gunileo.vision.video import FPS

Array = NDArray[np.int64]


@dataclass(frozen=True)
class Augmentation:
    """How far training clips are changed. Each value is the largest change; a clip's own is drawn uniformly.

    Only ``shade`` is a standard deviation, of two normal draws: across and down.
    """

    shift: int = 8  # pixels of the crop, both ways
    mirror: bool = True  # half of the clips
    rotation: float = 5.0  # degrees, both ways
    scale: float = 0.08  # natural logarithm of the size, both ways
    stretch: float = 0.04  # natural logarithm of width over height, both ways
    contrast: float = 0.12  # natural logarithm of the contrast, both ways
    shade: float = 0.25  # light from one side: its change over the crop, in the clip's standard deviations
    speed: float = 0.1  # natural logarithm of the length, both ways
    time_jitter: float = 0.05  # share of frames dropped, and as many doubled
    margin: int = 3  # frames kept on either side of a word-span crop
    max_words: int = 4  # in a word-span crop
    concatenation: float = 0.5  # share of whole sentences that other clips of the speaker may go on with
    switch: float = 0.4  # chance of that at each word's end
    without_shape: float = 0.2  # share of clips with crops whose shape a network that takes shapes must do without

    def scaled(self, share: float) -> Augmentation:
        """The same with this share of what changes a mouth's appearance and speed; shift, mirror and jitter stay."""
        grows = ("rotation", "scale", "stretch", "contrast", "shade", "speed")
        return replace(self, **{name: share * getattr(self, name) for name in grows})


class Piece(NamedTuple):
    """Frames of a clip, from ``start`` up to ``end``, and what is said in them."""

    utterance: CachedUtterance
    start: int
    end: int
    text: str


def word_span(utterance: CachedUtterance, augmentation: Augmentation, random: np.random.Generator) -> tuple[Array, str]:
    """Random word-span cropping: frames (numbers [T]) and text of some neighbouring words, and a random margin."""
    count = int(random.integers(1, min(augmentation.max_words, len(utterance.words)) + 1))
    first = int(random.integers(0, len(utterance.words) - count + 1))
    words = utterance.words[first : first + count]
    text = " ".join(word.word for word in words)
    before, after = random.integers(0, augmentation.margin + 1, 2)
    start = max(0, round(words[0].start * FPS) - int(before))
    end = min(utterance.frames, round(words[-1].end * FPS) + int(after))
    while end - start < min(ctc_frames(text), utterance.frames):
        start, end = max(0, start - 1), min(utterance.frames, end + 1)
    return np.arange(start, end), text


def concatenate(
    utterance: CachedUtterance, others: Sequence[CachedUtterance], switch: float, random: np.random.Generator
) -> list[Piece]:
    """A new sentence: at each word's end, with the chance ``switch``, any of the others may go on with its next word.

    Each word keeps its place in its sentence, and so the grammar. Clips are switched in the middle of the gap
    between two words, in both clips.
    """
    pieces: list[Piece] = []
    now, start, said = utterance, 0, [utterance.words[0].word]
    place = 1
    while place < len(now.words):
        other = others[int(random.integers(len(others)))]
        if random.random() < switch and place < len(other.words):
            pieces.append(Piece(now, start, boundary(now, place), " ".join(said)))
            now, start, said = other, boundary(other, place), []
        said.append(now.words[place].word)
        place += 1
    return [*pieces, Piece(now, start, now.frames, " ".join(said))]


def boundary(utterance: CachedUtterance, place: int) -> int:
    """The frame in the middle between a word and the one before it."""
    before, after = utterance.words[place - 1 : place + 1]
    return min(utterance.frames, round((before.end + after.start) / 2 * FPS))


def jitter(frames: Array, fewest: int, share: float, random: np.random.Generator) -> Array:
    """Drop up to ``share`` of the frames (numbers [T]) and double as many, unless fewer than ``fewest`` were left."""
    repeats = np.ones(len(frames), np.int64)
    chance = random.uniform(0, share)
    draws = random.random(len(frames))
    repeats[draws < chance] = 0
    repeats[draws > 1 - chance] = 2
    return np.repeat(frames, repeats) if repeats.sum() >= fewest else frames


def perturb_speed(frames: Array, fewest: int, speed: float, random: np.random.Generator) -> Array:
    """Say it faster or slower: leave out or repeat frames (numbers [T]) evenly, but keep at least ``fewest``."""
    length = max(fewest, round(len(frames) * math.exp(random.uniform(-speed, speed))))
    return frames[np.arange(length) * len(frames) // length]


def move(crops: Crops, augmentation: Augmentation, random: np.random.Generator) -> Crops:
    """Shift, turn and size all frames of a clip alike, continuing the edge, and mirror half of the clips."""
    reach = augmentation.shift
    shift = random.integers(-reach, reach + 1, 2)
    angle = math.radians(random.uniform(-1, 1) * augmentation.rotation)
    size = math.exp(random.uniform(-1, 1) * augmentation.scale)
    width = math.exp(random.uniform(-1, 1) * augmentation.stretch)
    mirrored = -1 if augmentation.mirror and random.random() < 0.5 else 1
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    turn = turn @ np.diag([mirrored * size * width, size / width])
    middle = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
    matrix = np.column_stack([turn, middle - turn @ middle + shift])
    return np.stack([cv2.warpAffine(crop, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE) for crop in crops])


def light(
    normalised: NDArray[np.float32], augmentation: Augmentation, random: np.random.Generator
) -> NDArray[np.float32]:
    """Another contrast, and a light from one side, the same for all frames of a clip [T, height, width]."""
    across, down = random.normal(0, augmentation.shade, 2)
    shade = across * np.linspace(-0.5, 0.5, WIDTH) + down * np.linspace(-0.5, 0.5, HEIGHT)[:, None]
    contrast = math.exp(random.uniform(-1, 1) * augmentation.contrast)
    lit: NDArray[np.float32] = normalised * np.float32(contrast) + shade.astype(np.float32)
    return lit
