"""The size that all pictures of a film are brought to, upright and with square pixels."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import av
import av.filter
import numpy as np
from numpy.typing import NDArray

from gunileo.vision.orientation import Orientation

_MILD = Fraction(11, 10)  # a pixel that is less wide or high than this is left as it is: lips look the same
_SILLY = 4  # times as wide as high; no camera has such pixels, but damaged files do


class Canvas:
    """Brings decoded frames to RGB, uint8 [height, width, 3], all of one size.

    A frame is turned upright, and its pixels made square if they are over a tenth wider or higher than that. Of a
    recording whose pictures change their size, the largest of the first and the ``glimpses`` counts; the others are
    scaled to fit, with black beside them.
    """

    def __init__(
        self, ratio: Fraction | None, longest: int | None = None, glimpses: Sequence[av.VideoFrame] = ()
    ) -> None:
        """``ratio`` is a pixel's width by its height, None if unknown; no side is over ``longest`` pixels."""
        given = ratio if ratio and 1 / Fraction(_SILLY) <= ratio <= _SILLY else Fraction(1)
        mild = 1 / _MILD < given < _MILD
        self._ratio, self._left = (Fraction(1), given) if mild else (given, Fraction(1))
        self.ratio = Fraction(1)  # of the pixels that come out, known after the first frame
        self._longest, self._glimpses = longest, glimpses
        self._size: tuple[int, int] | None = None  # upright
        self._orientation, self._stored = Orientation(), (0, 0)
        self._graph: av.filter.Graph | None = None
        self._made_for: tuple[object, ...] = ()

    def __call__(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """A frame as it is shown."""
        size = (frame.width, frame.height)
        if frame.key_frame or size != self._stored:  # to look takes longer than to turn
            self._orientation, self._stored = Orientation.of(frame), size
        orientation = self._orientation
        wide, high = self._shown(frame)
        if self._size is None:
            self._size = self._largest(frame)
            self.ratio = 1 / self._left if orientation.transposed else self._left
        if (across := orientation.size(wide, high)) != self._size:
            fit = min(self._size[0] / across[0], self._size[1] / across[1])
            wide, high = max(1, round(wide * fit)), max(1, round(high * fit))
        pixels = orientation.turned(self._scaled(frame, wide, high))
        return pixels if pixels.shape[1::-1] == self._size else self._within(pixels)

    def _largest(self, first: av.VideoFrame) -> tuple[int, int]:
        """Width and height of the largest picture that is known, upright."""
        sizes = [Orientation.of(frame).size(*self._shown(frame)) for frame in (first, *self._glimpses)]
        self._glimpses = ()
        wide, high = max(sizes, key=lambda size: size[0] * size[1])
        shrink = min(1.0, self._longest / max(wide, high)) if self._longest else 1.0
        return max(1, round(wide * shrink)), max(1, round(high * shrink))

    def _shown(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Width and height of a frame as stored, with square pixels."""
        if self._ratio == 1:  # fractions take longer than all else here
            return frame.width, frame.height
        if self._ratio > 1:
            return round(frame.width * self._ratio), frame.height
        return frame.width, round(frame.height / self._ratio)

    def _scaled(self, frame: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
        wanted = (frame.format.name, frame.width, frame.height, width, height)
        if self._graph is None or self._made_for != wanted:
            self._graph, self._made_for = _graph(frame, width, height), wanted
        self._graph.push(frame)
        scaled = self._graph.pull()
        assert isinstance(scaled, av.VideoFrame)
        return np.asarray(scaled.to_ndarray(threads=1), np.uint8)  # its default starts a thread pool a frame

    def _within(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        assert self._size
        (height, width), (across, down) = pixels.shape[:2], self._size
        left, top = (across - width) // 2, (down - height) // 2
        return np.pad(pixels, ((top, down - height - top), (left, across - width - left), (0, 0)))


def _graph(frame: av.VideoFrame, width: int, height: int) -> av.filter.Graph:
    """FFmpeg filters from frames like this one to RGB of a size."""
    graph = av.filter.Graph()
    graph.threads = 1  # its work is too small to share
    base = frame.time_base or Fraction(1, 25)
    graph.link_nodes(
        graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=base),
        graph.add("scale", f"{width}:{height}:flags=area"),
        graph.add("format", "rgb24"),
        graph.add("buffersink"),
    ).configure()
    return graph
