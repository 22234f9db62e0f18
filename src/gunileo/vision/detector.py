"""Where faces are in a frame: MediaPipe's short-range detector, run by ONNX Runtime.

Model: V. Bazarevsky et al., "BlazeFace: Sub-millisecond neural face detection on mobile GPUs" (2019). It looks at
128x128 pixels and finds faces of over 16 of them, so that it misses those that are narrower than an eighth of a
frame's longer side. These are looked for in parts of the frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gunileo.util import onnx
from gunileo.vision.box import Box, same_place
from gunileo.vision.image import warped
from gunileo.vision.video import Frame

Array = NDArray[np.float32]

_SIDE = 128  # pixels
_MIN_LOGIT = 0.0  # a probability of one half, MediaPipe's default
# In parts of 20 pictures without a face, what was taken for one had up to 0.6; faces of 80 pixels in 1280 had over 0.4,
# of 90 pixels over 0.8.
_MIN_LOGIT_IN_PARTS = 0.7
_SMALLEST = 640  # pixels of a frame's longer side; in smaller ones, faces under an eighth are too small to be read
_AROUND = 4  # times a face's side, for the part in which it is looked for again


class Model:
    """One face model, from a picture, uint8 [S, S, 3], to its two outputs; any thread may call it.

    A call keeps to the thread that makes it, as it takes about a millisecond.
    """

    def __init__(self, name: str):
        content = (files("gunileo.vision") / "landmarks" / name).read_bytes()
        self._session = onnx.session(content, threads=1)

    def __call__(self, picture: NDArray[np.uint8]) -> tuple[Array, Array]:
        first, second = self._session.run(None, {"picture": picture[None]})
        return np.asarray(first, np.float32)[0], np.asarray(second, np.float32)[0]


class _Part(NamedTuple):
    """A square of a frame, which may reach beyond it; in pixels."""

    left: float
    top: float
    side: float


@cache
def detector() -> Model:
    """The model."""
    return Model("face_detection_short_range.onnx")


@cache
def _anchors() -> Array:
    """The detector's 896 anchor centres, [896, 2] in 0-1: two a cell of 16x16, then six a cell of 8x8."""
    centres = []
    for cells, repeat in ((16, 2), (8, 6)):
        y, x = np.divmod(np.arange(cells * cells), cells)
        centres.append(np.repeat(np.stack([x, y], 1), repeat, axis=0) / cells + 0.5 / cells)
    return np.concatenate(centres).astype(np.float32)


def faces_in(frame: Frame) -> list[Box]:
    """Every face in a frame that is wider than an eighth of its longer side, without overlaps, best first."""
    height, width = frame.shape[:2]
    side = max(height, width)
    return _found(frame, [_Part((width - side) / 2, (height - side) / 2, side)], _MIN_LOGIT)


def small_faces_in(frame: Frame) -> list[Box]:
    """Faces down to about a twelfth of it; some may be none. None in small pictures, where such faces can't be read.

    It takes six times as long, in a picture of 16:9.
    """
    height, width = frame.shape[:2]
    if max(height, width) < _SMALLEST:
        return []
    side = max(height, width) / 2
    parts = [_Part(left, top, side) for top in _starts(height, side) for left in _starts(width, side)]
    return _found(frame, parts, _MIN_LOGIT_IN_PARTS)


def faces_near(frame: Frame, face: Box) -> list[Box]:
    """Faces around the place of one, down to half of its size, best first."""
    side = _AROUND * face.side
    return _found(frame, [_Part(face.x - side / 2, face.y - side / 2, side)], _MIN_LOGIT)


def _starts(length: int, side: float) -> list[float]:
    """Where parts of a frame begin, each half over the next one; a single one lies in the middle."""
    if length <= side:
        return [(length - side) / 2]
    steps = ceil(2 * (length - side) / side)
    return [step * (length - side) / steps for step in range(steps + 1)]


def _found(frame: Frame, parts: Iterable[_Part], least: float) -> list[Box]:
    """The faces in parts of a frame with at least this logit, without overlaps, best first."""
    found = [face for part in parts for face in _scored(frame, part, least)]
    boxes: list[Box] = []
    for _, box in sorted(found, key=lambda face: -face[0]):
        if not any(same_place(box, other) for other in boxes):
            boxes.append(box)
    return boxes


def _scored(frame: Frame, part: _Part, least: float) -> list[tuple[float, Box]]:
    """The faces in a part with their logits."""
    scale = part.side / _SIDE
    to_frame = np.array([[scale, 0, part.left], [0, scale, part.top]])
    regressors, scores = detector()(warped(frame, to_frame, (_SIDE, _SIDE)))
    found = []
    for i in np.flatnonzero(scores[:, 0] > least):
        points = regressors[i].reshape(8, 2) / _SIDE  # centre, size, then six key points
        points[[0, 2, 3, 4, 5, 6, 7]] += _anchors()[i]
        pixels = points * _SIDE * scale + to_frame[:, 2]
        right, left = pixels[2], pixels[3]
        angle = float(np.arctan2(left[1] - right[1], left[0] - right[0]))
        side = float(points[1].max() * _SIDE * scale)
        found.append((float(scores[i, 0]), Box(float(pixels[0, 0]), float(pixels[0, 1]), side, angle)))
    return found
