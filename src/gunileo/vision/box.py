"""The square around a face."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot


@dataclass(frozen=True)
class Box:
    """A square around a face: centre and side in pixels, angle of the eyes' line in radians."""

    x: float
    y: float
    side: float
    angle: float


def same_place(a: Box, b: Box, further: float = 1) -> bool:
    """Centres closer than half a face times ``further``, and sizes within a factor of two."""
    near = hypot(a.x - b.x, a.y - b.y) < further * max(a.side, b.side) / 2
    return near and 0.5 < a.side / b.side < 2
