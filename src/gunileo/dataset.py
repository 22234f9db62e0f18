"""Prepared clips as a lazy data set, and its batches: regions, lengths, CTC targets, the word in each frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple, overload

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from gunileo.cache import Cache, CachedUtterance
from gunileo.mouth import HEIGHT, WIDTH, Regions, normalise
from gunileo.sentence import encode
from gunileo.video import FPS

NO_WORD = -100  # frames whose word is unknown; the index that torch's cross-entropy leaves out
Array = NDArray[np.int64]


@dataclass(frozen=True)
class Augmentation:
    """How far training clips are changed; each value is the largest change, drawn evenly for a whole clip.

    ``shade`` alone is a standard deviation, of two normal draws: across and down.
    """

    shift: int = 8  # pixels of the region, both ways
    mirror: bool = True  # half of the clips
    rotation: float = 5.0  # degrees, both ways
    scale: float = 0.08  # natural logarithm of the size, both ways
    stretch: float = 0.04  # natural logarithm of width over height, both ways
    contrast: float = 0.12  # natural logarithm of the contrast, both ways
    shade: float = 0.25  # light from one side: its change over the region, in the clip's standard deviations
    speed: float = 0.1  # natural logarithm of the length, both ways
    time_jitter: float = 0.05  # share of frames dropped, and as many doubled
    margin: int = 3  # frames kept on either side of a word cut
    max_words: int = 4  # in a word cut
    join: float = 0.5  # share of whole sentences that other clips of the talker may go on with
    seam: float = 0.4  # chance of that at each word's end

    def scaled(self, share: float) -> Augmentation:
        """The same with this share of what changes a mouth's looks and pace; shift, mirror and jitter stay."""
        grows = ("rotation", "scale", "stretch", "contrast", "shade", "speed")
        return replace(self, **{name: share * getattr(self, name) for name in grows})


class Sample(NamedTuple):
    """One clip: regions float32 [1, T, 100, 150], classes int64 [L], words int64 [T], its text."""

    regions: Tensor
    classes: Tensor
    words: Tensor
    text: str


class Piece(NamedTuple):
    """Frames of a clip, from ``start`` up to ``end``, and what is said in them."""

    utterance: CachedUtterance
    start: int
    end: int
    text: str


class Batch(NamedTuple):
    """Clips padded with zeros to the longest: regions [N, 1, T, 100, 150], lengths [N] in frames,
    classes [sum of targets] one clip after the other, target_lengths [N], words [N, T] (NO_WORD where unknown
    or padding), texts."""

    regions: Tensor
    lengths: Tensor
    classes: Tensor
    target_lengths: Tensor
    words: Tensor
    texts: tuple[str, ...]

    def to(self, device: torch.device) -> Batch:
        """The same batch with its tensors on a device."""
        return self._replace(**{name: part.to(device) for name, part in self._asdict().items() if name != "texts"})


class Clips(Dataset[Sample]):
    """The clips of a cache; nothing is read before an item is asked for, and a slice is again lazy.

    An item is a whole clip, unchanged, or, with an ``augmentation``, changed at random: by seed, epoch and
    position alone, so that a run can be repeated and resumed exactly. Indices in ``cuts`` give one to
    ``max_words`` words of the clip instead of the whole sentence; others may go on as other clips of the same talker
    do, at a word's end (``join``). A slice keeps the clips' cuts, joins its own clips alone, and draws anew.
    """

    def __init__(
        self,
        cache: Cache,
        utterances: Sequence[CachedUtterance],
        words: Sequence[str] = (),
        augmentation: Augmentation | None = None,
        cuts: frozenset[int] = frozenset(),
        seed: tuple[int, int] = (0, 0),
    ):
        self.cache = cache
        self.utterances = utterances
        self.words = tuple(words)
        self.augmentation = augmentation
        self.cuts = cuts
        self.seed = seed
        self.timed: dict[str, list[CachedUtterance]] = {}  # of each talker, those whose words' times are known
        for utterance in utterances if augmentation and augmentation.join else ():
            if utterance.words:
                self.timed.setdefault(utterance.talker, []).append(utterance)

    def __len__(self) -> int:
        return len(self.utterances)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Clips: ...
    def __getitem__(self, index: int | slice) -> Sample | Clips:
        if isinstance(index, slice):
            places = range(len(self))[index]
            cuts = frozenset(new for new, old in enumerate(places) if old in self.cuts)
            return Clips(self.cache, self.utterances[index], self.words, self.augmentation, cuts, self.seed)
        if index < 0:
            index += len(self)
        utterance = self.utterances[index]  # IndexError past the end, as iteration expects
        random = np.random.default_rng((*self.seed, index))
        pieces = [Piece(utterance, 0, utterance.frames, utterance.text)]
        others = self.timed.get(utterance.talker) if index not in self.cuts else None
        if self.augmentation and others and utterance.words and random.random() < self.augmentation.join:
            pieces = join(utterance, others, self.augmentation.seam, random)
        regions = np.concatenate([self.cache.load(piece.utterance)[piece.start : piece.end] for piece in pieces])
        words = np.concatenate([frame_words(piece.utterance, self.words)[piece.start : piece.end] for piece in pieces])
        text = " ".join(piece.text for piece in pieces)
        if self.augmentation:
            frames = np.arange(len(regions))
            if index in self.cuts:
                frames, text = cut(utterance, self.augmentation, random)
            frames = pace(frames, ctc_frames(text), self.augmentation.speed, random)
            frames = jitter(frames, ctc_frames(text), self.augmentation.time_jitter, random)
            regions, words = move(regions[frames], self.augmentation, random), words[frames]
        normalised = normalise(regions)
        if self.augmentation:
            normalised = light(normalised, self.augmentation, random)
        return Sample(
            torch.from_numpy(normalised)[None],
            torch.tensor(encode(text)),
            torch.from_numpy(words),
            text,
        )


def frame_words(utterance: CachedUtterance, words: Sequence[str]) -> Array:
    """The word said in each frame, int64 [T]: 0 for silence, else 1 + its index; NO_WORD if no times are known."""
    if not utterance.words:
        return np.full(utterance.frames, NO_WORD)
    labels = np.zeros(utterance.frames, np.int64)
    index = {word: 1 + i for i, word in enumerate(words)}
    for word in utterance.words:
        labels[round(word.start * FPS) : round(word.end * FPS)] = index.get(word.word, NO_WORD)
    return labels


def cut(utterance: CachedUtterance, augmentation: Augmentation, random: np.random.Generator) -> tuple[Array, str]:
    """The frames and the text of some neighbouring words, with a random margin on either side."""
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


def join(
    utterance: CachedUtterance, others: Sequence[CachedUtterance], seam: float, random: np.random.Generator
) -> list[Piece]:
    """A new sentence: at each word's end, with the chance ``seam``, any of the others may go on with its next word.

    What is joined keeps each word's place in its sentence, and so the grammar. The seam is in the middle of the gap
    between two words, in both clips.
    """
    pieces: list[Piece] = []
    now, start, said = utterance, 0, [utterance.words[0].word]
    place = 1
    while place < len(now.words):
        other = others[int(random.integers(len(others)))]
        if random.random() < seam and place < len(other.words):
            pieces.append(Piece(now, start, gap(now, place), " ".join(said)))
            now, start, said = other, gap(other, place), []
        said.append(now.words[place].word)
        place += 1
    return [*pieces, Piece(now, start, now.frames, " ".join(said))]


def gap(utterance: CachedUtterance, place: int) -> int:
    """The frame in the middle between a word and the one before it."""
    before, after = utterance.words[place - 1 : place + 1]
    return min(utterance.frames, round((before.end + after.start) / 2 * FPS))


def ctc_frames(text: str) -> int:
    """The fewest frames in which CTC can spell a text: one a letter and a blank between equal neighbours."""
    return len(text) + sum(a == b for a, b in pairwise(text))


def jitter(frames: Array, fewest: int, share: float, random: np.random.Generator) -> Array:
    """Drop up to ``share`` of the frames and double as many, unless fewer than ``fewest`` were left."""
    repeats = np.ones(len(frames), np.int64)
    chance = random.uniform(0, share)
    draws = random.random(len(frames))
    repeats[draws < chance] = 0
    repeats[draws > 1 - chance] = 2
    return np.repeat(frames, repeats) if repeats.sum() >= fewest else frames


def pace(frames: Array, fewest: int, speed: float, random: np.random.Generator) -> Array:
    """Say it faster or slower, by leaving out or repeating frames evenly, but in no fewer than ``fewest`` frames."""
    length = max(fewest, round(len(frames) * math.exp(random.uniform(-speed, speed))))
    return frames[np.arange(length) * len(frames) // length]


def move(regions: Regions, augmentation: Augmentation, random: np.random.Generator) -> Regions:
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
    return np.stack(
        [cv2.warpAffine(region, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE) for region in regions]
    )


def light(
    normalised: NDArray[np.float32], augmentation: Augmentation, random: np.random.Generator
) -> NDArray[np.float32]:
    """Another contrast, and a light from one side, the same for all frames of a clip."""
    across, down = random.normal(0, augmentation.shade, 2)
    shade = across * np.linspace(-0.5, 0.5, WIDTH) + down * np.linspace(-0.5, 0.5, HEIGHT)[:, None]
    contrast = math.exp(random.uniform(-1, 1) * augmentation.contrast)
    lit: NDArray[np.float32] = normalised * np.float32(contrast) + shade.astype(np.float32)
    return lit


def collate(samples: Sequence[Sample], dtype: torch.dtype = torch.float32) -> Batch:
    """Pad samples to one batch, its regions of ``dtype``."""
    return Batch(
        torch.nn.utils.rnn.pad_sequence([s.regions[0].to(dtype) for s in samples], batch_first=True)[:, None],
        torch.tensor([s.regions.shape[1] for s in samples]),
        torch.cat([s.classes for s in samples]),
        torch.tensor([len(s.classes) for s in samples]),
        torch.nn.utils.rnn.pad_sequence([s.words for s in samples], batch_first=True, padding_value=NO_WORD),
        tuple(s.text for s in samples),
    )


class CutsApart(Sampler[list[int]]):
    """Shuffled batches in which word cuts and whole sentences are not mixed, as that would be mostly padding.

    Of each batch, the part that ``own`` names.
    """

    def __init__(self, clips: Clips, batch_size: int, own: Callable[[list[int]], list[int]] = list):
        self.clips = clips
        self.batch_size = batch_size
        self.own = own

    def _groups(self) -> list[int]:
        return [len(self.clips.cuts), len(self.clips) - len(self.clips.cuts)]

    def __len__(self) -> int:
        return sum(-(-group // self.batch_size) for group in self._groups())

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng(self.clips.seed)
        order = random.permutation(len(self.clips)).tolist()
        batches = []
        for group in ([i for i in order if i in self.clips.cuts], [i for i in order if i not in self.clips.cuts]):
            batches += [group[i : i + self.batch_size] for i in range(0, len(group), self.batch_size)]
        for index in random.permutation(len(batches)):
            yield self.own(batches[index])
