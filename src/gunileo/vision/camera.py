"""Frames as they come, from a camera or a file in a camera's place, brought to 25 a second by when they came."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, NamedTuple

import numpy as np

from gunileo.errors import GunileoError
from gunileo.util.quiet import quiet
from gunileo.vision.video import FPS, Frame

_WAITING = 4 * FPS  # frames that may wait while a sentence is read
_LONGEST = FPS  # frames that a gap is filled with at most: the mouth rests in it, and its sentence ends
_PATIENCE = 10.0  # seconds without a picture after which a camera is given up


class CameraError(GunileoError):
    """A camera that can't be read."""


class Taken(NamedTuple):
    """A frame, RGB uint8 [height, width, 3], and when it was there, in seconds of a clock that goes on."""

    frame: Frame
    time: float


class Pace:
    """Brings frames to 25 a second, as ``Reader.live`` takes them: for each 25th of a second the frame nearest to it.

    A frame is never held back to wait for a nearer one. Of a camera that gives 30 a second every sixth is left out;
    of one that gives 15 most come twice. A gap of over a second, as of a computer that slept, is made one of a
    second.
    """

    def __init__(self) -> None:
        self._start, self._last = 0.0, -1  # seconds; place of the frame that was given last
        self._before: Taken | None = None

    def push(self, one: Taken) -> list[Taken]:
        """Take the next frame; returns those for the places up to half a place after it."""
        if self._before is None:
            self._before, self._start = one, one.time
        place = (one.time - self._start) * FPS
        if place > self._last + _LONGEST:
            self._start += (place - self._last - _LONGEST) / FPS
            place = (one.time - self._start) * FPS
        earlier = (self._before.time - self._start) * FPS
        numbers = range(self._last + 1, math.ceil(place - 0.5) + 1)
        given = [one if abs(place - number) <= abs(earlier - number) else self._before for number in numbers]
        self._last, self._before = self._last + len(given), one
        return given


def evenly(taken: Iterable[Taken]) -> Iterator[Taken]:
    """The same at 25 a second, by ``Pace``."""
    pace = Pace()
    for one in taken:
        yield from pace.push(one)


def timed(frames: Iterable[Frame], in_time: bool) -> Iterator[Taken]:
    """Frames of 25 a second, each when a camera would have given it if ``in_time``, else as fast as they come."""
    start = time.monotonic()
    for number, frame in enumerate(frames):
        if in_time:
            time.sleep(max(0.0, start + number / FPS - time.monotonic()))
        yield Taken(frame, time.monotonic())


class Camera:
    """A camera of this computer, by its number; a context manager that holds it open.

    A thread takes its frames, so that they have the time at which they came and none is missed while another is
    worked on. ``dropped`` counts those for which there was no room, as on a computer that is too slow.

    Raises ``CameraError`` if it isn't there, or OpenCV isn't: PyAV's wheels know no cameras.
    """

    def __init__(self, number: int) -> None:
        try:
            import cv2
        except ModuleNotFoundError as error:
            raise CameraError('a camera needs OpenCV; run: pip install "gunileo[live]"') from error
        self.dropped = 0
        self._name = f"camera {number}"
        with quiet():  # OpenCV tells each way in which it was tried
            self._camera: Any = cv2.VideoCapture(number)
        if not self._camera.isOpened():
            raise CameraError(
                f"{self._name}: not there, or in use by another program; plug it in, or name another with --camera"
            )
        self._frames: Queue[Taken | None] = Queue(_WAITING)
        self._ended = Event()
        self._thread = Thread(target=self._take, daemon=True)  # one that hangs in its driver must not keep us
        self._thread.start()

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(1.0)

    def frames(self) -> Iterator[Taken]:
        """Each frame as it comes. Raises ``CameraError`` when no more do, as of a camera that was unplugged."""
        try:
            while (taken := self._frames.get(timeout=_PATIENCE)) is not None:
                yield taken
        except Empty:
            pass
        raise CameraError(f"{self._name}: gives no more pictures; check its cable")

    def _take(self) -> None:
        while not self._ended.is_set():
            there, picture = self._camera.read()
            if not there:
                self._frames.put(None)
                break
            taken = Taken(np.ascontiguousarray(picture[:, :, ::-1]), time.monotonic())  # OpenCV's are BGR
            try:
                self._frames.put_nowait(taken)
            except Full:
                self.dropped += 1
        self._camera.release()
