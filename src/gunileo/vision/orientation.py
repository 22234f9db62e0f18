"""Which way up a picture is shown, by the display matrix that phones and editors store."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import av
import av.filter
import numpy as np
from av.sidedata.sidedata import SideData, Type
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]  # [height, width, 3]
_NEWER = 8  # kinds of side data that FFmpeg may have beyond those that PyAV knows


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
        matrix = _display_matrix(frame)
        if matrix is None:
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


def _display_matrix(frame: av.VideoFrame) -> SideData | None:
    try:
        try:
            return frame.side_data[Type.DISPLAYMATRIX]  # type: ignore[typeddict-item,no-any-return]
        except ValueError:  # PyAV lists none if there is one of a kind that it doesn't know, such as a photo's Exif
            return _plain(frame).side_data[Type.DISPLAYMATRIX]  # type: ignore[typeddict-item,no-any-return]
    except KeyError:
        return None


def _plain(frame: av.VideoFrame) -> av.VideoFrame:
    """A frame without side data of the kinds that FFmpeg has and PyAV doesn't know."""
    graph = av.filter.Graph()
    graph.threads = 1
    base = frame.time_base or Fraction(1, 25)
    graph.link_nodes(
        graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=base),
        *(graph.add("sidedata", f"mode=delete:type={kind}") for kind in range(len(Type), len(Type) + _NEWER)),
        graph.add("buffersink"),
    ).configure()
    graph.push(frame)
    plain = graph.pull()
    assert isinstance(plain, av.VideoFrame)
    return plain
