"""Which way up a picture is shown, by the display matrix that phones and editors store."""

from __future__ import annotations

from typing import NamedTuple

import av
import numpy as np
from av.sidedata.sidedata import SideData, Type
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # [height, width, 3]


class Orientation(NamedTuple):
    """How stored pixels become upright: first rows and columns change places, then they are mirrored."""

    transposed: bool = False
    leftwards: bool = False  # left and right change places
    upwards: bool = False  # top and bottom change places

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Orientation:
        """A frame's orientation, to the nearest quarter of a turn; with the mirrors that front cameras store.

        A display matrix has nine numbers: stored x, y are shown at (a x + c y, b x + d y), of which a, b are its
        first two, c, d its fourth and fifth (FFmpeg's libavutil/display.h).
        """
        try:
            matrix: SideData = frame.side_data[Type.DISPLAYMATRIX]  # type: ignore[typeddict-item]
        except KeyError:
            return cls()
        a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    def turned(self, pixels: Pixels) -> Pixels:
        """Stored pixels, upright."""
        if not any(self):
            return pixels
        turned = pixels.swapaxes(0, 1) if self.transposed else pixels
        return np.ascontiguousarray(turned[:: -1 if self.upwards else 1, :: -1 if self.leftwards else 1])

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of pixels of this size when they are turned; also of turned ones as they were."""
        return (height, width) if self.transposed else (width, height)
