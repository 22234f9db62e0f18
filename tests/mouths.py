"""Mouths without a video: made-up meshes of a face that talks, and clips with what they measure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.mouth_shape import measure

# Mesh points of the lips' inner contour, from the person's right corner along the lower lip and back along the upper.
LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
FACE = 100.0  # pixels between the eyes' outer corners
# Points that don't move, in pixels, x and y from between the eyes, z with the camera on its negative side.
BONES = {
    33: (-50, 0, 12),
    133: (-18, 2, 8),
    362: (18, 2, 8),
    263: (50, 0, 12),
    168: (0, 0, -4),
    6: (0, 12, -8),
    197: (0, 24, -14),
    195: (0, 36, -20),
    10: (0, -70, 0),
}


def face(frames: int = 75, seed: int = 0) -> NDArray[np.float64]:
    """Meshes [frames, 468, 3] of an upright face, symmetrical, that opens, rounds and closes its mouth."""
    random = np.random.default_rng(seed)
    time = np.arange(frames) / 25
    rates, phases = random.uniform(1.5, 4.5, 3), random.uniform(0, 2 * np.pi, 3)
    waves = np.sin(2 * np.pi * rates[:, None] * time + phases[:, None])
    opening = 6 + 6 * waves[0]  # pixels from lip to lip
    width = 46 + 5 * waves[1]
    jaw = 0.7 * opening + 1.5 * waves[2]
    meshes = np.empty((frames, 468, 3))
    meshes[:] = random.normal((0, 20, 0), (30, 35, 8), (468, 3))
    for point, place in BONES.items():
        meshes[:, point] = place
    across = np.linspace(-1, 1, len(LOWER))
    for contour, side in ((LOWER, 1), (UPPER, -1)):
        for point, at in zip(contour, across, strict=True):
            bow = 1 - at**2
            y = 62 + side * bow * opening / 2 + (0.6 * jaw * bow if side > 0 else 0.0)
            meshes[:, point] = np.stack([at * width / 2, y, -10 + 14 * at**2 + 0 * y], 1)
    thick = 9 + 1.2 * waves[1]
    meshes[:, 0] = meshes[:, 13] - np.stack([0 * thick, thick, 0 * thick], 1)
    meshes[:, 17] = meshes[:, 14] + np.stack([0 * thick, thick + 2, 0 * thick], 1)
    outer = (61, 146, 91, 181, 84, 314, 405, 321, 375, 291, 409, 270, 269, 267, 37, 39, 40, 185)  # the lips' outside
    for point, turn in zip(outer, np.linspace(0, 2 * np.pi, len(outer), endpoint=False), strict=True):
        meshes[:, point] = np.stack([-0.6 * width * np.cos(turn), 64 + (14 + jaw / 2) * np.sin(turn), -8 + 0 * jaw], 1)
    meshes[:, 152] = np.stack([0 * jaw, 108 + jaw, 0 * jaw], 1)
    return meshes


def measured(meshes: NDArray[np.float64]) -> NDArray[np.float32]:
    """The measures [T, 23] of meshes [T, 468, 3]."""
    return np.stack([measure(mesh.astype(np.float32)) for mesh in meshes])


def clip_of(crops: NDArray[np.uint8], seed: int = 0) -> MouthClip:
    """A clip of these crops, uint8 [T, 100, 150], with the measures of a made-up face."""
    return MouthClip(crops, measured(face(len(crops), seed)))


def noise(frames: int, seed: int = 0) -> MouthClip:
    """A clip of crops that show nothing but noise, and a made-up face's measures."""
    return clip_of(np.random.default_rng(seed).integers(0, 256, (frames, 100, 150), dtype=np.uint8), seed)
