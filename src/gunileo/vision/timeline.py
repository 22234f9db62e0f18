"""The times of the frames that are read, on the clock of whoever plays the file."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable


class Timeline:
    """When the frames of ``read_frames`` are shown on a player's clock, whose zero is the start of the file.

    A player's clock starts with the sound where that comes first. Of a picture that stands for over ten seconds only
    ten are read, and what follows keeps its time. Empty, the first frame is at 0.
    """

    def __init__(self, rate: int = 25) -> None:
        self._rate = rate
        self._frames: list[int] = []  # the first frames of stretches without a break
        self._starts: list[float] = []  # and when they are shown
        self.duration: float | None = None  # seconds from the file's start to the picture's end, known when it is read

    def begin(self, frame: int, seconds: float) -> None:
        """Frame number ``frame``, and those after it, follow each other from ``seconds`` on."""
        self._frames.append(frame)
        self._starts.append(seconds)

    def seconds(self, at: float) -> float:
        """When it is ``at`` seconds of frames, counted at 25 a second, on the player's clock."""
        return self._moved(at, lambda number: self._frames[number] / self._rate, lambda number: self._starts[number])

    def frame(self, seconds: float) -> int:
        """The number of the frame that is shown at a time of the player's clock; below 0 before the first."""
        at = self._moved(seconds, lambda number: self._starts[number], lambda number: self._frames[number] / self._rate)
        return round(at * self._rate)

    def _moved(self, at: float, source: Callable[[int], float], target: Callable[[int], float]) -> float:
        if not self._frames:
            return at
        stretch = max(0, bisect_right(range(len(self._frames)), at, key=source) - 1)
        return target(stretch) + at - source(stretch)
