"""Mouth crops: grey, 100x150 pixels, upright, centred on the mouth and scaled by the face."""

from __future__ import annotations

from collections.abc import Sequence
from math import atan2, ceil, cos, dist, exp, floor, log, pi, sin

import numpy as np
from numpy.typing import NDArray

from gunileo.vision.face import LEFT_EYE, LIPS, RIGHT_EYE, Array
from gunileo.vision.image import grey, part, warped
from gunileo.vision.video import Frame

HEIGHT, WIDTH = 100, 150  # pixels, the input of LabialCNN
RADIUS = 12  # frames on either side that the smoothing looks at
POSE = 6  # numbers

_LIPS = np.array(LIPS)
_ANCHOR = np.array((33, 133, 362, 263, 168, 6, 197, 195))  # of the eyes, ridge of the nose: speech moves none
_REACH = 1.15  # width of the crop / distance of the eyes' outer corners: about 10 cm, nose to chin
# Standard deviations in frames, of the anchor's x and y, angle, scale, and the mouth's place beside the anchor. So the
# crop follows the head at once, and the mouth's place in the face slowly: syllables come at 4-5 a second.
_SMOOTHING = np.array([[0.7], [0.7], [2.0], [4.0], [8.0], [8.0]])
_WEIGHTS = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / _SMOOTHING) ** 2)  # [6, 25]

# From a frame to the next, more than this is a cut: distances of the eyes, radians, logarithm of the scale. A head that
# is shaken hard comes to half of these.
_MOVE, _TURN, _ZOOM = 0.3, 0.2, 0.08

Crops = NDArray[np.uint8]  # [frames, 100, 150]


def normalise(crops: NDArray[np.uint8]) -> Array:
    """Crops [T, 100, 150] as the network takes them: float32, mean 0 and standard deviation 1 over the clip.

    Light and contrast differ more between cameras than between words.
    """
    pixels = crops.astype(np.float32)
    pixels -= pixels.mean()
    flat = pixels.ravel()
    pixels /= np.sqrt(flat @ flat / max(1, flat.size), dtype=np.float32) + 1
    return pixels


def pose_of(landmarks: Array) -> Array:
    """Where the mouth is, from a mesh [468, 3]: float32 [6].

    Anchor x and y, angle in radians, logarithm of pixels in the frame a pixel of the crop; then how far the mouth is
    from the anchor, in the crop's pixels along its own axes. The anchor is the mean of points that speech doesn't move.
    """
    left, right = landmarks[LEFT_EYE].tolist(), landmarks[RIGHT_EYE].tolist()
    angle = atan2(left[1] - right[1], left[0] - right[0])
    # The eyes' distance in three dimensions does not shrink when the head turns.
    scale = dist(left, right) * _REACH / WIDTH
    x, y = (landmarks[_ANCHOR, :2].sum(0) / len(_ANCHOR)).tolist()  # quicker than ``mean``, as this runs for each frame
    mouth_x, mouth_y = (landmarks[_LIPS, :2].sum(0) / len(_LIPS)).tolist()
    right_by, down_by = (mouth_x - x) / scale, (mouth_y - y) / scale
    across, along = cos(angle) * right_by + sin(angle) * down_by, cos(angle) * down_by - sin(angle) * right_by
    return np.array([x, y, angle, log(scale), across, along], np.float32)


def is_cut(before: Array, after: Array, frames: int) -> bool:
    """Whether a face is in another shot, by its poses [6] so many frames apart: it is somewhere else, of another size
    or turned as no head moves."""
    x, y, angle, scale = (after[:4] - before[:4]).tolist()
    turn = abs((angle + pi) % (2 * pi) - pi)
    moved = max(abs(x), abs(y)) * _REACH / (WIDTH * exp(before[3]))  # in distances of the eyes
    return bool(moved > _MOVE * frames or turn > _TURN * frames or abs(scale) > _ZOOM * frames)


def smoothed(poses: Array, at: int) -> Array:
    """The pose at index ``at`` of poses [n, 6], each number a Gaussian mean over its neighbours, as ``place`` [4]:
    the mouth's centre x and y, angle in radians, logarithm of the scale."""
    weights = _WEIGHTS[:, RADIUS - at : RADIUS - at + len(poses)]
    x, y, angle, scale, across, along = ((weights * poses.T).sum(1) / weights.sum(1)).tolist()
    x += exp(scale) * (cos(angle) * across - sin(angle) * along)
    y += exp(scale) * (sin(angle) * across + cos(angle) * along)
    return np.array([x, y, angle, scale], np.float32)


def outline(place: Array) -> Array:
    """The crop's corners in the frame at a place, in pixels [4, 2]: top left, top right, bottom right and left."""
    x, y, angle, scale = (float(value) for value in place)
    turn = np.exp(scale) * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    half = np.array([WIDTH, HEIGHT]) / 2
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half
    return np.asarray(corners @ turn.T + (x, y), np.float32)


def crop_at(frame: Frame, place: Array) -> Crops:
    """The grey 100x150 crop of a frame at a place; the frame's edge is continued outwards."""
    x, y, angle, scale = place.tolist()
    # Where a pixel of the crop is over 1.5 of the frame, it is the mean of several: one alone would skip some.
    fine = max(1, ceil(exp(scale) / 1.5))
    right, down = exp(scale) / fine * cos(angle), exp(scale) / fine * sin(angle)
    width, height = WIDTH * fine, HEIGHT * fine
    wide, high = (abs(right) * width + abs(down) * height) / 2, (abs(down) * width + abs(right) * height) / 2
    first = floor(x - wide), floor(y - high)
    piece = part(frame, first, (ceil(x + wide) + 1, ceil(y + high) + 1))
    left = x - first[0] - (right * (width - 1) - down * (height - 1)) / 2
    top = y - first[1] - (down * (width - 1) + right * (height - 1)) / 2
    crop = warped(grey(piece), np.array([[right, -down, left], [down, right, top]]), (height, width))
    if fine == 1:
        return crop
    parts = [crop[row::fine, column::fine] for row in range(fine) for column in range(fine)]
    return np.rint(sum(parts, np.zeros((HEIGHT, WIDTH), np.uint16)) / fine**2).astype(np.uint8)


def contact_sheet(clips: Sequence[tuple[str, Crops]], columns: int = 8) -> Crops:
    """One picture, uint8 [H, W]: in each row a clip with its name and ``columns`` crops spread over its length.

    ``clips`` are names with crops, uint8 [T, 100, 150], one or more. Needs OpenCV, of the extra "train" or "live".
    """
    import cv2  # for its letters

    rows = []
    for name, crops in clips:
        pick = np.linspace(0, len(crops) - 1, columns).round().astype(int)
        label = np.full((18, WIDTH * columns), 255, np.uint8)
        cv2.putText(label, name, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 0, 1, cv2.LINE_AA)
        rows.append(np.concatenate([label, np.concatenate(list(crops[pick]), axis=1)]))
    return np.concatenate(rows)
