"""Prepared clips as a lazy data set, and its batches: crops, lengths, CTC targets, the word in each frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, overload

import numpy as np
import torch
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
from gunileo.vision.mouth import normalise
from gunileo.vision.video import FPS

NO_WORD = -100  # frames whose word is unknown; the index that torch's cross-entropy leaves out


class Sample(NamedTuple):
    """One clip: crops float32 [1, T, 100, 150], classes int64 [L], words int64 [T], its text."""

    crops: Tensor
    classes: Tensor
    words: Tensor
    text: str


class Batch(NamedTuple):
    """Clips padded with zeros to the longest: crops [N, 1, T, 100, 150], lengths [N] in frames,
    classes [sum of targets] one clip after the other, target_lengths [N], words [N, T] (NO_WORD where unknown
    or padding), texts."""

    crops: Tensor
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
    position alone, so that a run can be repeated and resumed exactly. Indices in ``spans`` give one to
    ``max_words`` words of the clip instead of the whole sentence; others may go on as other clips of the same speaker
    do, at a word's end (``concatenate``). A slice keeps its spans, uses its own clips alone, and draws anew.
    """

    def __init__(
        self,
        cache: Cache,
        utterances: Sequence[CachedUtterance],
        words: Sequence[str] = (),
        augmentation: Augmentation | None = None,
        spans: frozenset[int] = frozenset(),
        seed: tuple[int, int] = (0, 0),
    ):
        self.cache = cache
        self.utterances = utterances
        self.words = tuple(words)
        self.augmentation = augmentation
        self.spans = spans
        self.seed = seed
        self.timed: dict[str, list[CachedUtterance]] = {}  # of each speaker, those whose words' times are known
        for utterance in utterances if augmentation and augmentation.concatenation else ():
            if utterance.words:
                self.timed.setdefault(utterance.speaker, []).append(utterance)

    def __len__(self) -> int:
        return len(self.utterances)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Clips: ...
    def __getitem__(self, index: int | slice) -> Sample | Clips:
        if isinstance(index, slice):
            places = range(len(self))[index]
            spans = frozenset(new for new, old in enumerate(places) if old in self.spans)
            return Clips(self.cache, self.utterances[index], self.words, self.augmentation, spans, self.seed)
        if index < 0:
            index += len(self)
        utterance = self.utterances[index]  # IndexError past the end, as iteration expects
        random = np.random.default_rng((*self.seed, index))
        pieces = [Piece(utterance, 0, utterance.frames, utterance.text)]
        others = self.timed.get(utterance.speaker) if index not in self.spans else None
        if self.augmentation and others and utterance.words and random.random() < self.augmentation.concatenation:
            pieces = concatenate(utterance, others, self.augmentation.switch, random)
        crops = np.concatenate([self.cache.load(piece.utterance)[piece.start : piece.end] for piece in pieces])
        words = np.concatenate([frame_words(piece.utterance, self.words)[piece.start : piece.end] for piece in pieces])
        text = " ".join(piece.text for piece in pieces)
        if self.augmentation:
            frames = np.arange(len(crops))
            if index in self.spans:
                frames, text = word_span(utterance, self.augmentation, random)
            frames = perturb_speed(frames, ctc_frames(text), self.augmentation.speed, random)
            frames = jitter(frames, ctc_frames(text), self.augmentation.time_jitter, random)
            crops, words = move(crops[frames], self.augmentation, random), words[frames]
        normalised = normalise(crops)
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


def collate(samples: Sequence[Sample], dtype: torch.dtype = torch.float32) -> Batch:
    """Pad samples to one batch, its crops of ``dtype``."""
    return Batch(
        torch.nn.utils.rnn.pad_sequence([s.crops[0].to(dtype) for s in samples], batch_first=True)[:, None],
        torch.tensor([s.crops.shape[1] for s in samples]),
        torch.cat([s.classes for s in samples]),
        torch.tensor([len(s.classes) for s in samples]),
        torch.nn.utils.rnn.pad_sequence([s.words for s in samples], batch_first=True, padding_value=NO_WORD),
        tuple(s.text for s in samples),
    )


class SpansApart(Sampler[list[int]]):
    """Shuffled batches in which word spans and whole sentences are not mixed, as that would be mostly padding.

    Of each batch, the part that ``own`` names.
    """

    def __init__(self, clips: Clips, batch_size: int, own: Callable[[list[int]], list[int]] = list):
        self.clips = clips
        self.batch_size = batch_size
        self.own = own

    def _groups(self) -> list[int]:
        return [len(self.clips.spans), len(self.clips) - len(self.clips.spans)]

    def __len__(self) -> int:
        return sum(-(-group // self.batch_size) for group in self._groups())

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng(self.clips.seed)
        order = random.permutation(len(self.clips)).tolist()
        batches = []
        for group in ([i for i in order if i in self.clips.spans], [i for i in order if i not in self.clips.spans]):
            batches += [group[i : i + self.batch_size] for i in range(0, len(group), self.batch_size)]
        for index in random.permutation(len(batches)):
            yield self.own(batches[index])
