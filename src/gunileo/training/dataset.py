"""Prepared clips as a lazy data set, and its batches: crops, shapes, lengths, CTC targets, the word in each frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.corpus.grid import encode
from gunileo.decoding.ctc import ctc_frames
from gunileo.training.augmentation import (
    Array,
    Augmentation,
    Piece,
    concatenate,
    jitter,
    light,
    move,
    perturb_speed,
    word_span,
)
from gunileo.training.frozen_features import Features, FrozenFeatures
from gunileo.training.shape_augmentation import ShapeAugmentation, Silences, changed, filled, relative
from gunileo.vision.crop import Crops, normalise
from gunileo.vision.video import FPS

_ALIKE = 12  # batches whose shapes are sorted by length
NO_WORD = -100  # frames whose word is unknown; the index that torch's cross-entropy leaves out


class Sample(NamedTuple):
    """One clip: crops float32 [1, T, 100, 150] or None, their features float32 [T, F] if they come in place of them,
    shape float32 [T, 12], whether crops and shape are given, float32 [2], classes int64 [L], words int64 [T], its
    text."""

    crops: Tensor | None
    visual: Tensor | None
    shape: Tensor
    seen: Tensor
    classes: Tensor
    words: Tensor
    text: str


class Batch(NamedTuple):
    """Clips padded with zeros to the longest: crops [N, 1, T, 100, 150] or None, or their features, visual [N, T, F],
    lengths [N] in frames, shape [N, T, 12], seen [N, 2], classes [sum of targets] one clip after the other,
    target_lengths [N], words [N, T] (NO_WORD where unknown or padding), texts."""

    crops: Tensor | None
    visual: Tensor | None
    lengths: Tensor
    shape: Tensor
    seen: Tensor
    classes: Tensor
    target_lengths: Tensor
    words: Tensor
    texts: tuple[str, ...]

    def to(self, device: torch.device) -> Batch:
        """The same batch with its tensors on a device."""
        moved = {name: part.to(device) for name, part in self._asdict().items() if isinstance(part, Tensor)}
        return self._replace(**moved)  # type: ignore[arg-type]  # texts are no tensor, and so not among them


@dataclass(frozen=True)
class Draws:
    """How one epoch's clips are changed at random: by seed, epoch and position alone, so that a run can be repeated
    and resumed exactly.

    Indices in ``spans`` give one to ``max_words`` words of the clip instead of the whole sentence; others may go on as
    other clips of the same speaker do, at a word's end (``concatenation``). Indices in ``shapes`` are given without
    their crops.
    """

    augmentation: Augmentation | None = None
    shape_augmentation: ShapeAugmentation = field(default_factory=ShapeAugmentation)
    silences: Silences | None = None
    spans: frozenset[int] = frozenset()
    shapes: frozenset[int] = frozenset()
    seed: tuple[int, int] = (0, 0)

    def sliced(self, places: Sequence[int]) -> Draws:
        """The same for the clips at these places alone."""
        spans, shapes = (
            frozenset(new for new, old in enumerate(places) if old in some) for some in (self.spans, self.shapes)
        )
        return replace(self, spans=spans, shapes=shapes)


class Shapes:
    """The shapes' features of a cache's utterances, float32 [T, 12]; those that were loaded stay in memory."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self._loaded: dict[str, NDArray[np.float32]] = {}

    def __call__(self, utterance: CachedUtterance) -> NDArray[np.float32]:
        """The shape in each frame, [T, 12], NaN where it is not known. Raises as ``Cache.measures``."""
        loaded = self._loaded.get(utterance.id)
        return relative(self.cache.measures(utterance)) if loaded is None else loaded

    def load(self, utterances: Sequence[CachedUtterance]) -> None:
        """Keep the features of these: 4 KB for each of GRID's clips."""
        self._loaded |= {utterance.id: self(utterance) for utterance in utterances}


class Clips(Dataset[Sample]):
    """The clips of a cache, as a lazy data set: an item is read when it is asked for. A slice is lazy, too.

    An item is a whole clip, unchanged. With an ``augmentation`` in its ``draws`` it is changed at random. A slice keeps
    the clips' spans, concatenates only its own clips, and draws anew. If only the words of a clip are known, silence is
    put around them. With ``looks``, items have the features of crops instead of crops.

    An item has crops, float32 [1, T, 100, 150], the shape, float32 [T, 12], the text's classes, int64 [L], and the word
    of each frame, int64 [T]. Reading one raises as ``Cache.load``.
    """

    def __init__(
        self,
        cache: Cache,
        utterances: Sequence[CachedUtterance],
        words: Sequence[str] = (),
        draws: Draws | None = None,
        shapes: Shapes | None = None,
        looks: FrozenFeatures | None = None,
    ):
        self.cache = cache
        self.shapes = shapes or Shapes(cache)
        self.looks = looks
        self.utterances = utterances
        self.words = tuple(words)
        self.draws = draws = draws or Draws()
        self.timed: dict[tuple[str, bool], list[CachedUtterance]] = {}  # of each speaker, with crops or without
        for utterance in utterances if draws.augmentation and draws.augmentation.concatenation else ():
            if utterance.words:
                self.timed.setdefault((utterance.speaker, utterance.has_crops), []).append(utterance)

    def __len__(self) -> int:
        return len(self.utterances)

    def with_crops(self, index: int) -> bool:
        """Whether the clip at an index is given with its crops."""
        return self.utterances[index].has_crops and index not in self.draws.shapes

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Clips: ...
    def __getitem__(self, index: int | slice) -> Sample | Clips:
        if isinstance(index, slice):
            places = range(len(self))[index]
            draws = self.draws.sliced(places)
            return Clips(self.cache, self.utterances[index], self.words, draws, self.shapes, self.looks)
        if index < 0:
            index += len(self)
        utterance = self.utterances[index]  # IndexError past the end, as iteration expects
        random = np.random.default_rng((*self.draws.seed, index))
        pieces = self._pieces(index, random)
        clip = self._read(pieces, self.with_crops(index), random)
        text = " ".join(piece.text for piece in pieces)
        augmentation = self.draws.augmentation
        if augmentation and index in self.draws.spans:
            frames, text = word_span(utterance, augmentation, random)
            clip = clip.at(frames)
        clip = clip.whole(self.draws, index in self.draws.spans, random)
        if augmentation:
            fewest = ctc_frames(text)
            frames = perturb_speed(np.arange(len(clip.words)), fewest, augmentation.speed, random)
            clip = clip.at(jitter(frames, fewest, augmentation.time_jitter, random))
        return self._sample(clip, text, random)

    def _pieces(self, index: int, random: np.random.Generator) -> list[Piece]:
        utterance, augmentation = self.utterances[index], self.draws.augmentation
        others = None if index in self.draws.spans else self.timed.get((utterance.speaker, utterance.has_crops))
        if augmentation and others and utterance.words and random.random() < augmentation.concatenation:
            return concatenate(utterance, others, augmentation.switch, random)
        return [Piece(utterance, 0, utterance.frames, utterance.text)]

    def _read(self, pieces: Sequence[Piece], with_crops: bool, random: np.random.Generator) -> _Clip:
        spans = [(piece.utterance, slice(piece.start, piece.end)) for piece in pieces]
        crops = visual = None
        if with_crops and self.looks:
            visual = np.concatenate([self.looks(one, random)[span] for one, span in spans])
        elif with_crops:
            crops = np.concatenate([self.cache.crops(one)[span] for one, span in spans])
        shape = np.concatenate([self.shapes(one)[span] for one, span in spans])
        words = np.concatenate([frame_words(one, self.words)[span] for one, span in spans])
        return _Clip(crops, visual, shape, words)

    def _sample(self, clip: _Clip, text: str, random: np.random.Generator) -> Sample:
        augmentation, crops, shape = self.draws.augmentation, clip.crops, clip.shape - clip.shape.mean(0)
        seen = np.array([clip.seen, True], np.float32)
        pixels = None
        if crops is not None:
            pixels = normalise(move(crops, augmentation, random) if augmentation else crops)
        if augmentation:
            shape = changed(shape, self.draws.shape_augmentation, random)
            if pixels is not None:
                pixels = light(pixels, augmentation, random)
            if clip.seen:
                seen[1] = random.random() >= augmentation.without_shape
        return Sample(
            None if pixels is None else torch.from_numpy(pixels)[None],
            None if clip.visual is None else torch.from_numpy(clip.visual.astype(np.float32)),
            torch.from_numpy(shape),
            torch.from_numpy(seen),
            torch.tensor(encode(text)),
            torch.from_numpy(clip.words),
            text,
        )


class _Clip(NamedTuple):
    crops: Crops | None
    visual: Features | None  # in place of crops
    shape: NDArray[np.float32]  # not a number where unknown
    words: Array

    @property
    def seen(self) -> bool:
        return self.crops is not None or self.visual is not None

    def at(self, frames: Array) -> _Clip:
        crops = None if self.crops is None else self.crops[frames]
        visual = None if self.visual is None else self.visual[frames]
        return _Clip(crops, visual, self.shape[frames], self.words[frames])

    def whole(self, draws: Draws, span: bool, random: np.random.Generator) -> _Clip:
        """The same with nothing unknown: gaps on a straight line, silence, held for a ``span``, at both ends."""
        known = np.flatnonzero(np.isfinite(self.shape[:, 0]))
        if len(known) == len(self.shape):
            return self
        if self.seen or span:
            return self._replace(shape=filled(self.shape))
        inner = slice(known[0], known[-1] + 1)
        longest = draws.shape_augmentation.silence
        silences = draws.silences or Silences([])
        shape, before, after = silences.around(filled(self.shape[inner]), longest, random)
        return _Clip(None, None, shape, np.pad(self.words[inner], (before, after)))


def frame_words(utterance: CachedUtterance, words: Sequence[str]) -> Array:
    """The word said in each frame, int64 [T]: 0 for silence, else 1 + its index; NO_WORD if no times are known."""
    if not utterance.words:
        return np.full(utterance.frames, NO_WORD)
    labels = np.zeros(utterance.frames, np.int64)
    index = {word: 1 + i for i, word in enumerate(words)}
    for word in utterance.words:
        labels[round(word.start * FPS) : round(word.end * FPS)] = index.get(word.word, NO_WORD)
    return labels


def collate(samples: Sequence[Sample], dtype: torch.dtype = torch.float32) -> Batch:
    """Pad samples to one batch, with crops of ``dtype``. All samples have crops, or all have features, or none has
    either.

    The batch has crops [N, 1, T, 100, 150] of N clips of up to T frames, and the clips' classes one after the other.
    """
    pad = torch.nn.utils.rnn.pad_sequence
    pixels = [s.crops[0].to(dtype) for s in samples if s.crops is not None]
    visual = [s.visual for s in samples if s.visual is not None]
    return Batch(
        pad(pixels, batch_first=True)[:, None] if pixels else None,
        pad(visual, batch_first=True) if visual else None,
        torch.tensor([len(s.words) for s in samples]),
        pad([s.shape for s in samples], batch_first=True),
        torch.stack([s.seen for s in samples]),
        torch.cat([s.classes for s in samples]),
        torch.tensor([len(s.classes) for s in samples]),
        pad([s.words for s in samples], batch_first=True, padding_value=NO_WORD),
        tuple(s.text for s in samples),
    )


class LikeWithLike(Sampler[list[int]]):
    """Shuffled batches in which word spans and whole sentences are not mixed, as that would be mostly padding.

    Nor are clips with crops and clips without, of which ``shape_batch`` make a batch.
    Shapes of about one length go together. Of each batch, the part that ``own`` names.
    """

    def __init__(
        self,
        clips: Clips,
        batch_size: int,
        shape_batch: int = 1,
        own: Callable[[list[int]], list[int]] = list,
    ):
        self.clips = clips
        self.batch_size = batch_size
        self.shape_batch = shape_batch
        self.own = own

    def _group(self, index: int) -> tuple[bool, bool]:
        return self.clips.with_crops(index), index in self.clips.draws.spans

    def __len__(self) -> int:
        counts = Counter(self._group(index) for index in range(len(self.clips)))
        return sum(
            -(-count // (self.batch_size if crops else self.shape_batch)) for (crops, _), count in counts.items()
        )

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng(self.clips.draws.seed)
        order = random.permutation(len(self.clips)).tolist()
        groups: dict[tuple[bool, bool], list[int]] = {
            (True, True): [],
            (True, False): [],
            (False, True): [],
            (False, False): [],
        }
        for index in order:
            groups[self._group(index)].append(index)
        batches = []
        for (crops, _), group in groups.items():
            size = self.batch_size if crops else self.shape_batch
            if not crops:  # word times tell how long the words alone are
                group = [
                    one
                    for start in range(0, len(group), _ALIKE * size)
                    for one in sorted(group[start : start + _ALIKE * size], key=self._length)
                ]
            batches += [group[i : i + size] for i in range(0, len(group), size)]
        for index in random.permutation(len(batches)):
            yield self.own(batches[index])

    def _length(self, index: int) -> float:
        utterance = self.clips.utterances[index]
        return utterance.words[-1].end - utterance.words[0].start if utterance.words else utterance.frames / FPS
