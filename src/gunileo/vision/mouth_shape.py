"""The mouth's shape in each frame, from the refined face mesh: measured in pixels, then as features a network takes.

The measures are those that published mouth geometry of GRID gives too, so that a network can learn from speakers of
whom only these are known. The features don't change with where the head is in the picture, how large it is and how it
is tilted. They change little as it turns: widths are divided by the distance of the eyes, heights by the height of the
face, and both shrink alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

# Mesh points: the corners of the mouth (the person's right, then left), the middle of the upper and of the lower inner
# lip, the chin, two points on either side of each middle.
POINTS = (78, 308, 13, 14, 152, 311, 81, 402, 178)
MEASURES = 2 * len(POINTS) + 5  # numbers a frame, as ``measure`` gives them
NAMES = (
    *("width", "corner height", "mouth height", "opening", "chin height", "upper width", "upper height"),
    *("lower width", "lower height", "upper lip", "chin", "area"),
)
FEATURES = len(NAMES)

_EYES = (133, 362)  # inner corners
_FOREHEAD, _CHIN = 10, 152
_UPPER_LIP, _LOWER_LIP = (13, 0), (14, 17)  # inner and outer edge
# The ring around the inner mouth: the lower lip from the person's right corner to the left, then the upper lip back.
INNER_LIPS = (
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324),
    *(308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
)
_NEXT = np.roll(np.arange(len(INNER_LIPS)), -1)
_ENDS = (_UPPER_LIP, _LOWER_LIP, _EYES, (_FOREHEAD, _CHIN))
# All points that are measured, as they are taken at once: the ring, both ends of each distance, the places.
_MEASURED = np.array([*INNER_LIPS, *(one for one, _ in _ENDS), *(other for _, other in _ENDS), *POINTS])
_RING, _REST = len(INNER_LIPS), len(INNER_LIPS) + 2 * len(_ENDS)
# Height of the face / distance of the eyes, of GRID's speakers: brings both kinds of features to one scale.
_HEIGHT = 5.4
# Standard deviation within a sentence, mean of 28 speakers of GRID, in distances of the eyes.
_SPREAD = np.array([0.06, 0.05, 0.06, 0.13, 0.08, 0.035, 0.01, 0.034, 0.018, 0.018, 0.05, 0.27], np.float32)
# Standard deviation, in frames, of the Gaussian that smooths a feature: meshes found in each frame alone and followed
# ones differ by noise, which is as large as the widths of closed lips change.
_SMOOTHING = {0: 1.2, 5: 1.2, 6: 1.2, 7: 1.2, 9: 2.2, 10: 0.45}
_SIZE_SMOOTHING, _TILT_SMOOTHING = 12.0, 8.0  # frames, of the eyes' distance and the face's height, and of the tilt
_OUTLIER = 0.1  # share of the median beyond which a distance of the eyes or a height of the face is cut off
# A zoom is sudden where both sizes change by more than this share from one frame to the next, and the medians of so
# many frames before and after by more than ``_OUTLIER``. A face that comes nearer is slower.
_JUMP, _LASTING = 0.05, 5


def measure(landmarks: Array) -> Array:
    """What is known of the mouth in one frame: float32 [23], pixels, from its mesh [468, 2 or more].

    ``POINTS`` as x and y from the middle between the inner corners of the eyes, then the heights of upper and lower
    lip, twice the area of the inner mouth (in pixels squared), the distance of the eyes and the height of the face.
    """
    found = landmarks[_MEASURED, :2].astype(np.float64)
    x, y = found[:_RING].T
    ones, others, points = found[_RING : _RING + len(_ENDS)], found[_RING + len(_ENDS) : _REST], found[_REST:]
    # Twice the area, by the shoelace formula, as the published geometry has it.
    area = abs(x @ y[_NEXT] - y @ x[_NEXT])
    upper, lower, eyes, face = np.hypot(*(ones - others).T)
    middle = (ones[2] + others[2]) / 2  # between the eyes
    return np.array([*(points - middle).ravel().tolist(), upper, lower, area, eyes, face], np.float32)


def scaled(measures: Array, width: float, height: float) -> Array:
    """Measures [T, 23] of a mouth that is wider and higher by these factors in the same face."""
    out = measures.copy()
    points = 2 * len(POINTS)
    out[:, :points:2] *= width
    out[:, 1:points:2] *= height
    out[:, points : points + 2] *= abs(height)
    out[:, points + 2] *= abs(width * height)
    return out


def features(measures: Array) -> Array:
    """What a network takes of a clip's shape: float32 [T, 12], from measures [T, 23].

    The speaker's own mouth is taken away: each feature has mean 0 over the clip, and a standard deviation of about 1.
    ``NAMES`` says what they are, in the order of the last axis. Left and right are taken together.
    """
    x, y, (upper, lower, area), eyes, face = _upright(measures)
    right, left, top, bottom, chin, top_left, top_right, bottom_left, bottom_right = range(9)
    middle = y[:, top]
    found = [
        (x[:, left] - x[:, right]) / eyes,
        ((y[:, right] + y[:, left]) / 2 - middle) / face,
        middle / face,
        (y[:, bottom] - middle) / face,
        (y[:, chin] - middle) / face,
        (x[:, top_left] - x[:, top_right]) / eyes,
        ((y[:, top_left] + y[:, top_right]) / 2 - middle) / face,
        (x[:, bottom_left] - x[:, bottom_right]) / eyes,
        ((y[:, bottom_left] + y[:, bottom_right]) / 2 - y[:, bottom]) / face,
        upper / face,
        (y[:, chin] - y[:, bottom] - lower) / face,
        area / (eyes * face),
    ]
    smoothed = [smooth(one, _SMOOTHING[i]) if i in _SMOOTHING else one for i, one in enumerate(found)]
    stacked = np.stack(smoothed, 1)
    return np.asarray((stacked - stacked.mean(0)) / _SPREAD, np.float32)


def _upright(measures: Array) -> tuple[NDArray[np.float64], ...]:
    """x [T, 9] and y [T, 9] without the head's tilt, the other measures [3, T], and both sizes [T], smoothed."""
    values = measures.astype(np.float64)
    points = values[:, : 2 * len(POINTS)].reshape(len(values), -1, 2)
    chin = points[:, POINTS.index(_CHIN)]
    tilt = smooth(np.arctan2(chin[:, 0], chin[:, 1]), _TILT_SMOOTHING)[:, None]
    cos, sin = np.cos(tilt), np.sin(tilt)
    x, y = points[..., 0] * cos - points[..., 1] * sin, points[..., 0] * sin + points[..., 1] * cos
    sizes = values[:, -2:].T
    zoom = _zoom(sizes)
    eyes, face = (_steady(size / zoom) * zoom for size in sizes)
    return x, y, values[:, -5:-2].T, eyes, face / _HEIGHT


def _zoom(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far sudden zooms have enlarged the picture by each frame [T], 1 in the first one, from the distances of the
    eyes and the heights of the face [2, T]."""
    logs = np.log(np.maximum(sizes, 1e-3))
    steps = np.diff(logs)
    zoom = np.zeros(logs.shape[1])
    for at in (np.flatnonzero((steps > _JUMP).all(0) | (steps < -_JUMP).all(0)) + 1).tolist():
        before, after = logs[:, max(0, at - _LASTING) : at], logs[:, at : at + _LASTING]
        change = np.median(after, 1) - np.median(before, 1)
        if (np.abs(change) > np.log1p(_OUTLIER)).all():
            zoom[at:] += steps[0, at - 1]  # the eyes', as the face's height changes with the chin
    return np.exp(zoom)


def _steady(size: NDArray[np.float64]) -> NDArray[np.float64]:
    middle = np.median(size)
    return smooth(size.clip((1 - _OUTLIER) * middle, (1 + _OUTLIER) * middle), _SIZE_SMOOTHING)


def smooth(values: NDArray[np.float64], deviation: float) -> NDArray[np.float64]:
    """Values [T] as Gaussian means over their neighbours; the first and the last are continued outwards."""
    reach = int(3 * deviation)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    return np.convolve(np.pad(values, reach, mode="edge"), weights / weights.sum(), "valid")
