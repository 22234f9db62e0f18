"""A photograph that can speak: a portrait whose lips, teeth and jaw follow a mouth shape.

The picture is scikit-image's ``astronaut``: NASA's portrait of Eileen Collins, in the public domain.
She smiles in it, so every curve of the smile is known here in the picture's pixels, and each frame
moves these curves to where a mouth of the wanted shape has them (one smooth displacement of the lower
face). Teeth stay with the skull, lower teeth and tongue with the jaw, as in a real mouth.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 288, 360  # pixels of a frame, as in GRID
Image = NDArray[np.uint8]
Floats = NDArray[Any]  # of float32; OpenCV and NumPy leave the type open

_SCALE = 1.5  # frame pixels a picture pixel: the face then fills half of the frame, as in GRID
_MARGIN = 16  # frame pixels around the frame, so that a moving head shows no border
_LEFT, _TOP = 104.0, 4.0  # the frame's corner in the picture
_MIDDLE, _HALF_WIDTH = 223.5, 20.5  # the smile's middle and half its width, picture pixels
_NOSE, _CHIN, _NECK = 132.0, 178.0, 194.0  # rows that stay, move with the jaw, stay
_REST = 146.5  # row of the corners of a mouth at rest
_REACH = 44.0  # columns either side of the middle that the mouth moves
_LIPSTICK = np.array([0.1, 0.24, 0.22], dtype=np.float32)  # the picture's lips are pale: less green and blue
# The smile's four curves: column, then outer and inner edge of the upper, inner and outer of the lower lip.
_SMILE = np.array(
    [
        (203.0, 139.5, 139.6, 139.7, 139.8),
        (206.0, 139.8, 140.6, 142.5, 144.0),
        (208.0, 140.0, 141.4, 144.6, 147.5),
        (210.0, 140.0, 141.8, 146.4, 150.5),
        (212.0, 140.0, 142.0, 148.0, 153.0),
        (216.0, 139.9, 142.8, 149.0, 155.2),
        (220.0, 139.8, 143.8, 149.7, 156.0),
        (224.0, 140.2, 144.0, 149.8, 156.0),
        (228.0, 139.8, 143.8, 149.6, 155.5),
        (232.0, 139.9, 143.0, 148.6, 153.7),
        (236.0, 140.0, 142.2, 146.8, 150.5),
        (240.0, 140.1, 141.2, 143.6, 146.0),
        (244.0, 140.2, 140.3, 140.4, 140.5),
    ],
    dtype=np.float32,
)


class MouthShape(NamedTuple):
    """What the lips do; lengths are in pixels of the picture, where a mouth at rest is 35 wide."""

    width: float = 17.5  # half of the mouth's width
    gap: float = 0.0  # between the lips, in the middle
    jaw: float = 0.0  # how far the chin is down
    rounding: float = 0.0  # 0-1: lips pushed forward, thick, teeth hidden
    press: float = 0.0  # 0-1: lips pressed together, thin
    tuck: float = 0.0  # 0-1: lower lip under the upper teeth
    tongue: float = 0.0  # 0-1: tongue tip up, seen between the teeth


def _fade(distance: Floats, start: float, end: float) -> Floats:
    """1 up to ``start``, 0 from ``end`` on, half a cosine between."""
    part: Floats = np.clip((distance - start) / (end - start), 0, 1)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * part), dtype=np.float32)


class Portrait:
    """One speaker: the picture (mirrored and tinted for a speaker of an even number) ready to be moved."""

    def __init__(self, speaker: int = 1) -> None:
        from skimage.data import astronaut  # slow to import, and needed here alone

        picture: Image = astronaut()  # type: ignore[no-untyped-call]  # scikit-image gives no types
        matrix = np.array(
            [[_SCALE, 0, _MARGIN - _LEFT * _SCALE], [0, _SCALE, _MARGIN - _TOP * _SCALE]], dtype=np.float32
        )
        size = (WIDTH + 2 * _MARGIN, HEIGHT + 2 * _MARGIN)
        self._face: NDArray[Any] = cv2.warpAffine(
            picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        self._mirrored = speaker % 2 == 0
        tint = np.random.default_rng(speaker).uniform(-0.12, 0.12, 3) * (speaker > 1)
        self._face = np.clip(self._face * (1 + tint), 0, 255).astype(np.uint8)
        columns, rows = np.array([_MIDDLE - _REACH, _MIDDLE + _REACH]), np.array([_NOSE, _NECK])
        self._columns = slice(*np.round((columns - _LEFT) * _SCALE + _MARGIN).astype(int).tolist())
        self._rows = slice(*np.round((rows - _TOP) * _SCALE + _MARGIN).astype(int).tolist())
        # From here on everything is counted in the picture's pixels.
        self._x = ((np.arange(size[0])[self._columns] - _MARGIN) / _SCALE + _LEFT).astype(np.float32)
        self._y = ((np.arange(size[1])[self._rows] - _MARGIN) / _SCALE + _TOP).astype(np.float32)
        smile = np.stack([np.interp(self._x, _SMILE[:, 0], _SMILE[:, k]) for k in (2, 3)])
        shown = np.clip(self._y[:, None] - smile[0] - 0.6, 0, 1) * np.clip(smile[1] - self._y[:, None] - 0.4, 0, 1)
        self._teeth: Floats = shown[..., None] * self._face[self._rows, self._columns].astype(np.float32)
        self._shown: Floats = shown[..., None].astype(np.float32)
        self._close_smile(smile)

    def _close_smile(self, smile: Any) -> None:
        """Paint over what is behind the picture's own lips; its dark corners would smear over narrower mouths."""
        region, y, away = (self._rows, self._columns), self._y[:, None], np.abs(self._x - _MIDDLE)
        behind = (y > smile[0] - 0.4) & (y < smile[1] + 0.8) & (away < _HALF_WIDTH + 1)
        dark = (self._face[region].mean(-1) < 130) & (y > smile[0] - 2) & (y < smile[1] + 3)
        mask = np.zeros(self._face.shape[:2], dtype=np.uint8)
        mask[region] = behind | (dark & (away > 13) & (away < _HALF_WIDTH + 2))
        self._face = cv2.inpaint(self._face, mask, 3, cv2.INPAINT_TELEA)

    def draw(self, shape: MouthShape, motion: Floats | None = None) -> Image:
        """One frame ``uint8 [288, 360, 3]`` RGB with the mouth in ``shape``.

        ``motion`` is the head's movement in the frame as a 2x3 affine matrix, frame pixels to frame
        pixels; without it the head is where the picture has it.
        """
        face = self._face.copy()
        target, source, across = self._curves(shape)
        region = (self._rows, self._columns)
        moved = cv2.remap(self._face, *self._sources(target, source, across), cv2.INTER_LINEAR).astype(np.float32)
        y = self._y[:, None]
        lips = np.clip((y - target[1]) * _SCALE, 0, 1) * np.clip((target[4] - y) * _SCALE, 0, 1)
        moved *= 1 - lips[..., None] * _LIPSTICK
        # Not quite closed at the edges, so that closed lips still show the line between them.
        inside = np.clip((y - target[2]) * _SCALE + 0.9, 0, 1) * np.clip((target[3] - y) * _SCALE + 0.9, 0, 1)
        inside *= (np.abs(self._x - _MIDDLE) < shape.width)[None]
        face[region] = (moved + (self._cavity(shape, target) - moved) * inside[..., None]).astype(np.uint8)
        matrix = np.array([[1, 0, -_MARGIN], [0, 1, -_MARGIN]], dtype=np.float32)
        if motion is not None:
            matrix = motion @ np.vstack([matrix, [0, 0, 1]]).astype(np.float32)
        frame: NDArray[Any] = cv2.warpAffine(face, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
        return frame[:, ::-1] if self._mirrored else frame

    def _curves(self, shape: MouthShape) -> tuple[Floats, Floats, Floats]:
        """Rows of nose, four lip edges, chin and neck a column: wanted, in the picture; and the column's pull."""
        away = self._x - _MIDDLE
        width = float(np.clip(shape.width, 6, 24))
        narrow = _HALF_WIDTH - width
        pull = np.sign(away) * narrow * np.minimum(np.abs(away) / width, _fade(np.abs(away), width, _REACH))
        edges = [np.interp(self._x + pull, _SMILE[:, 0], _SMILE[:, k]) for k in (1, 2, 3, 4)]
        u = np.clip(away / width, -1, 1)
        belly = 1 - u * u
        corner = _REST - 0.6 * max(width - 17.5, 0.0) + 0.5 * u
        seam = corner + (0.6 + 0.5 * shape.rounding - 1.2 * shape.tuck) * belly
        upper = seam - 0.18 * shape.gap * belly**0.7
        lower = seam + (0.82 * shape.gap - 0.4 * shape.tuck) * belly**0.7
        bow = np.sqrt(belly) * (1 - 0.15 * np.exp(-((u / 0.16) ** 2)))
        thin = 1 - 0.35 * shape.press
        lips = [
            upper - bow * (4.6 + 1.8 * shape.rounding) * thin,
            upper,
            lower,
            lower + np.sqrt(belly) * (7.0 + 1.2 * shape.rounding) * (thin - 0.35 * shape.tuck),
        ]
        beyond = _fade(np.abs(away), width, _REACH)
        wanted = [edge + (lip - edge) * beyond for edge, lip in zip(edges, lips, strict=True)]
        chin = np.full_like(self._x, _CHIN)
        ends = np.full_like(self._x, _NOSE), np.full_like(self._x, _NECK)
        target = np.stack([ends[0], *wanted, chin + shape.jaw * _fade(np.abs(away), 18, _REACH), ends[1]])
        source = np.stack([ends[0], *edges, chin, ends[1]])
        steps = np.arange(len(target), dtype=np.float32)[:, None] * 1e-3  # knots must rise
        return (
            (np.maximum.accumulate(target) + steps).astype(np.float32),
            source.astype(np.float32),
            pull.astype(np.float32),
        )

    def _sources(self, target: Floats, source: Floats, pull: Floats) -> tuple[Floats, Floats]:
        """Where in ``self._face`` each pixel of the mouth's region comes from: columns and rows."""
        weights = (0.0, 1.0, 1.0, 1.0, 1.0, 0.2, 0.0)  # of the pull towards the middle, at each knot
        rows = np.broadcast_to(source[0], (len(self._y), len(self._x))).copy()
        weight = np.zeros_like(rows)
        for k in range(len(target) - 1):  # linear from knot to knot
            part = np.clip((self._y[:, None] - target[k]) / (target[k + 1] - target[k]), 0, 1)
            rows += part * (source[k + 1] - source[k])
            weight += part * np.float32(weights[k + 1] - weights[k])
        columns = self._x + pull * weight
        return (columns - _LEFT) * _SCALE + _MARGIN, (rows - _TOP) * _SCALE + _MARGIN

    def _cavity(self, shape: MouthShape, target: Floats) -> Any:
        """Colours ``float32 [rows, columns, 3]`` of what is behind the lips, were they not there."""
        y, away = self._y[:, None], (self._x - _MIDDLE)[None]
        dark = np.array([52, 18, 18], dtype=np.float32) * np.ones((*y.shape[:1], away.shape[1], 1), dtype=np.float32)
        top = target[3].max() - (0.3 + 0.6 * shape.tongue) * max(shape.gap, 1.0) + (away / 11) ** 2
        tongue = np.clip((y - top) / 1.5, 0, 1) * np.clip(1.2 - np.abs(away) / 11, 0, 1)
        colours = dark + tongue[..., None] * (np.array([168, 84, 84], dtype=np.float32) - dark)
        edge = 150.5 + shape.jaw + (away / 9) ** 2  # lower teeth
        lower = np.clip(y - edge, 0, 1) * np.clip(1.3 - np.abs(away) / 10, 0, 1) * (1 - 0.7 * shape.tongue)
        colours += (lower * (0.85 - 0.1 * np.cos(away * 1.6)))[..., None] * (np.float32(205) - colours)
        colours += (self._teeth - self._shown * colours) * np.float32(1 - 0.85 * shape.rounding)
        shade = np.clip(0.55 + 0.45 * (y - target[2]) / 2.5, 0, 1)  # the upper lip's shadow
        return colours * shade[..., None]
