"""Published mouth geometry in its archives' form, made of made-up faces: what corpus/geometry.py reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mouths import face, measured
from numpy.typing import NDArray

from gunileo.corpus.grid import SLOTS, code_to_text
from gunileo.vision.mouth_shape import POINTS

COMMANDS, COLOURS, PREPOSITIONS, LETTERS, DIGITS, ADVERBS = SLOTS
# As the archives' README numbers them.
NUMBERS = {
    **{word: 4 + at for at, word in enumerate(COMMANDS)},
    **{word: 8 + at for at, word in enumerate(COLOURS)},
    **{word: 12 + at for at, word in enumerate(PREPOSITIONS)},
    **{word: 16 + at for at, word in enumerate(DIGITS)},
    **{word: 26 + at for at, word in enumerate(ADVERBS)},
    **{word: 30 + at for at, word in enumerate(LETTERS)},
}
FIRST, LENGTHS = 12, (6, 7, 4, 5, 9, 8)  # the first word's first frame, and how many frames each word has
PAUSE = 3  # its number; two frames, after the third word
GAP = 2


def spans(code: str) -> list[tuple[int, int, int]]:
    """Number, first frame and frames of each word, and of a short pause after the third."""
    found, at = [], FIRST
    for place, (word, frames) in enumerate(zip(code_to_text(code).split(), LENGTHS, strict=True)):
        found.append((NUMBERS[word], at, frames))
        at += frames
        if place == 2:
            found.append((PAUSE, at, GAP))
            at += GAP
    return found


def measures_of(code: str) -> NDArray[np.float32]:
    """Measures [75, 23] of a made-up face that says a sentence."""
    return measured(face(75, sum(code.encode())))


def archive(path: Path, codes: list[str]) -> Path:
    """An archive of these sentences."""
    points, shapes, table = [], [], {"word_ids": [], "word_starts": [], "word_frames": []}
    first = [0]
    for code in codes:
        own = spans(code)
        known = np.concatenate([np.arange(start, start + frames) for _, start, frames in own])
        first.append(first[-1] + len(known))
        measures = measures_of(code)[known].astype(np.float64)
        xy, (upper, lower, area, eyes, height) = measures[:, : 2 * len(POINTS)], measures[:, 2 * len(POINTS) :].T
        at = xy.reshape(len(xy), len(POINTS), 2)
        lengths = [np.linalg.norm(at[:, a] - at[:, b], axis=1) for a, b in ((2, 3), (0, 1), (2, 4))]
        opening, width, chin = lengths[0] / height, lengths[1] / eyes, lengths[2] / height
        kinds = [upper / height, lower / height, opening, width, chin, area / (eyes * height)]
        points.append(np.diff(np.rint(10 * xy.T), axis=1, prepend=0))
        shapes.append(np.diff(np.rint(10_000 * np.array(kinds)), axis=1, prepend=0))
        for name, place in (("word_ids", 0), ("word_starts", 1), ("word_frames", 2)):
            table[name].append([one[place] for one in own] + [-1] * (11 - len(own)))
    columns = {name: np.array(rows, np.int8) for name, rows in table.items()}
    arrays = {
        "points": np.concatenate(points, 1).astype(np.int16),
        "shapes": np.concatenate(shapes, 1).astype(np.int16),
    }
    np.savez_compressed(path, utterances=np.array(codes), first=np.array(first), **arrays, **columns)
    return path
