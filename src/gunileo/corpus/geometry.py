"""Published mouth geometry of GRID: shapes without pictures, from NumPy archives of one speaker each.

Measured with MediaPipe's refined face mesh and published at voR789/Lip-Reading on GitHub; packed with GRID's word
times, words alone. The archives' arrays are told in ``speaker_shapes``.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gunileo.corpus.cache import CachedUtterance, Entry, enter, read_manifest, write_manifest, write_measures, writing
from gunileo.corpus.grid import SLOTS, code_to_text
from gunileo.corpus.labels import WordTime
from gunileo.corpus.prepare import open_cache
from gunileo.errors import GunileoError
from gunileo.util.arrays import read_arrays
from gunileo.vision.mouth_shape import MEASURES, POINTS
from gunileo.vision.video import FPS

_ARRAYS = ("utterances", "first", "points", "shapes", "word_frames", "word_ids", "word_starts")
_FIRST_WORD = 4  # of ``word_ids``: below are silences
_COMMANDS, _COLOURS, _PREPOSITIONS, _LETTERS, _DIGITS, _ADVERBS = SLOTS
_WORDS = (*_COMMANDS, *_COLOURS, *_PREPOSITIONS, *_DIGITS, *_ADVERBS, *_LETTERS)  # in the order of ``word_ids``
_FRAMES = 3 * FPS  # of GRID's clips
_SHAPES, _SPANS = 6, 11  # numbers of a frame; words and pauses of an utterance, at most
# What a face's height, in distances of the eyes, and the farthest point of a mouth from the eyes, in heights of the
# face, may come to. Of 28 speakers of GRID they are 4.4 to 6.5, and 0.62 to 0.76.
_HEIGHT, _REACH = (2.5, 10.0), (0.2, 1.5)


class Shape(NamedTuple):
    """One utterance: its code, measures [75, 23] (not a number where nothing is known) and its words' times."""

    code: str
    measures: NDArray[np.float32]
    words: tuple[WordTime, ...]


class Added(NamedTuple):
    """What became of an archive's utterances: how many are new in a cache, were there already, can't be used."""

    new: int
    kept: int
    left_out: int


def speaker_shapes(path: Path | str) -> list[Shape | None]:
    """The utterances of one archive, as ``gunileo.vision.mouth_shape.measure`` would have measured their frames.

    The archive holds, for n utterances of m frames in all, ``utterances`` [n] (GRID codes), ``first`` [n + 1],
    ``points`` [18, m] (tenths of pixels, differences along time), ``shapes`` [6, m] (ten-thousandths, differences
    along time: heights of both lips, opening, width, chin, area, through the face's sizes), and ``word_frames``,
    ``word_ids``, ``word_starts`` [n, 11]. None stands for an utterance that can't be used: its words aren't its code's
    or overlap, or no face has such measures.

    Raises ``GunileoError``, naming the file, if it is damaged or is something else, or if no utterance can be used.
    """
    try:
        arrays = read_arrays(path, _ARRAYS)
        if not _fit(arrays):
            raise ValueError("its arrays don't fit each other")
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise GunileoError(f"{path}: no mouth geometry, or damaged ({reason}); get it again") from error
    found = [_utterance(arrays, number, code) for number, code in enumerate(arrays["utterances"].tolist())]
    if not any(found):
        wrong = "their words or measures are wrong"
        raise GunileoError(f"{path}: none of its {len(found)} utterances can be used, as {wrong}; get it again")
    return found


def _fit(arrays: dict[str, NDArray[Any]]) -> bool:
    """Whether the arrays are of the sizes and types that they are told to have, and of as many frames as the words."""
    first, count = arrays["first"], arrays["utterances"].size
    if first.shape != (count + 1,) or any(arrays[name].dtype.kind not in "iu" for name in _ARRAYS[1:]):
        return False
    frames = int(first[-1])
    sizes = [(count,), (count + 1,), (2 * len(POINTS), frames), (_SHAPES, frames), *[(count, _SPANS)] * 3]
    if [arrays[name].shape for name in _ARRAYS] != sizes or arrays["utterances"].dtype.kind != "U":
        return False
    said = arrays["word_frames"].clip(0).sum(1)
    return first[0] == 0 and np.array_equal(np.diff(first), said)


def _utterance(arrays: dict[str, NDArray[Any]], number: int, code: str) -> Shape | None:
    columns = (arrays[name][number].tolist() for name in ("word_ids", "word_starts", "word_frames"))
    spans = [(word, start, count) for word, start, count in zip(*columns, strict=True) if count > 0]
    if any(word >= _FIRST_WORD + len(_WORDS) or not 0 <= start <= _FRAMES - count for word, start, count in spans):
        return None
    if any(start + count > following for (_, start, count), (_, following, _) in pairwise(spans)):
        return None
    words = tuple(
        WordTime(_WORDS[word - _FIRST_WORD], start / FPS, (start + count) / FPS)
        for word, start, count in spans
        if word >= _FIRST_WORD
    )
    try:
        if " ".join(word.word for word in words) != code_to_text(code):
            return None
    except ValueError:  # no sentence of GRID's
        return None
    begin, end = arrays["first"][number : number + 2]
    measured = np.full((_FRAMES, MEASURES), np.nan, np.float32)
    places = np.concatenate([np.arange(start, start + count) for _, start, count in spans])
    measures = _measures(arrays["points"][:, begin:end], arrays["shapes"][:, begin:end])
    if not _is_face(measures):
        return None
    measured[places] = measures
    return Shape(code, measured, words)


def _is_face(measures: NDArray[np.float64]) -> bool:
    """Whether a face can have these measures [T, 23] in each frame."""
    eyes, face = measures[:, -2:].T
    farthest = np.abs(measures[:, : 2 * len(POINTS)]).max(1)
    sizes = (_HEIGHT[0] * eyes < face) & (face < _HEIGHT[1] * eyes)
    return bool((sizes & (_REACH[0] * face < farthest) & (farthest < _REACH[1] * face)).all())


def _measures(points: NDArray[Any], shapes: NDArray[Any]) -> NDArray[np.float64]:
    """Measures [T, 23], pixels, from differences along time; the face's sizes follow from both."""
    xy = np.cumsum(points.astype(np.int64), 1) / 10
    upper, lower, _, width, chin, area = np.cumsum(shapes.astype(np.int64), 1) / 10_000
    at = xy.reshape(len(POINTS), 2, -1)
    eyes = np.hypot(*(at[1] - at[0])) / np.maximum(width, 1e-3)
    face = np.hypot(*(at[2] - at[4])) / np.maximum(chin, 1e-3)
    return np.column_stack([xy.T, upper * face, lower * face, area * eyes * face, eyes, face])


def add_speaker(path: Path, cache: Path) -> Added:
    """Add the utterances of one archive, named by its speaker, to a cache as shapes alone.

    Raises ``GunileoError`` as ``speaker_shapes`` does, ``CacheError`` if the cache is something else or can't be
    written, ``FileError`` if another process prepares into it.
    """
    with open_cache(cache):
        present, torn = read_manifest(cache)
        if torn:  # what is appended would become a part of the last line
            with writing(cache):
                write_manifest(cache, present)
        speaker, added, kept, left_out = path.stem, 0, 0, 0
        source = path.stat()
        for shape in speaker_shapes(path):
            if shape is None:
                left_out += 1
                continue
            name = f"{speaker}/{shape.code}"
            if name in present:
                kept += 1
                continue
            with writing(cache):
                write_measures(cache, name, shape.measures)
            said = CachedUtterance(name, speaker, _FRAMES, code_to_text(shape.code), shape.words, "")
            enter(cache, Entry(said, str(path.absolute()), source.st_size, source.st_mtime))
            added += 1
    return Added(added, kept, left_out)
