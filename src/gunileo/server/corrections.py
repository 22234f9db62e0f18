"""Corrections that teach: what was said in the last seconds before a live camera becomes a recording."""

from __future__ import annotations

import asyncio
import json
import math
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gunileo.inference import registry
from gunileo.server import recordings
from gunileo.server.dependencies import ServerState
from gunileo.server.pictures import FeedError, opened
from gunileo.teaching.teach import RecordingError, checked_name
from gunileo.vision.camera import Pace, Taken
from gunileo.vision.video import Frame, write_video

_KEPT = 30.0  # seconds of pictures
_ROOM = 64 * 2**20  # bytes of them
_MARGIN = 0.8  # seconds around the first and the last word, whose times are guesses where they were misread


@dataclass(frozen=True)
class Correction:
    """What somebody said from ``start`` to ``end``, in seconds of their camera's clock, for the model ``name``."""

    name: str
    text: str
    start: float
    end: float

    @classmethod
    def parsed(cls, message: str) -> Self:
        """From ``{"teach": NAME, "text": TEXT, "start": SECONDS, "end": SECONDS}``. Raises ``FeedError``."""
        try:
            told = json.loads(message)
            made = cls(str(told["teach"]), str(told["text"]), float(told["start"]), float(told["end"]))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise FeedError('send {"teach": NAME, "text": TEXT, "start": SECONDS, "end": SECONDS}') from error
        if not (math.isfinite(made.start) and math.isfinite(made.end)):
            raise FeedError("start and end of a correction are seconds")
        return made


class Recent:
    """The pictures of the last half minute, as they came."""

    def __init__(self) -> None:
        self._messages: deque[tuple[float, bytes]] = deque()
        self._bytes = 0

    def push(self, time: float, message: bytes) -> None:
        """Keep a message that holds a picture, and drop what is too old."""
        self._messages.append((time, message))
        self._bytes += len(message)
        while self._bytes > _ROOM or not 0 <= time - self._messages[0][0] <= _KEPT:
            self._bytes -= len(self._messages.popleft()[1])

    def between(self, start: float, end: float) -> list[bytes]:
        """The messages of that time, in seconds."""
        return [message for time, message in self._messages if start <= time <= end]


async def keep(correction: Correction, recent: Recent, state: ServerState) -> Correction:
    """Keep what was said as a recording, after the same checks as one that Teach makes.

    Raises ``FeedError`` if there are no pictures of that time any more, ``RecordingError`` or ``GrammarError`` if the
    name or the text can't be used, what ``recordings.inspect`` does, and ``Busy`` if too many wait.
    """
    name = checked_name(correction.name)
    if registry.taught(name) and not recordings.listed(name):
        raise RecordingError(f"{name} was taught by 'gunileo teach' from a folder; add a clip to that folder instead")
    said, *others = await asyncio.to_thread(recordings.sentences, correction.text)
    if others:
        raise RecordingError(f"a recording says one sentence, and {correction.text[:80]!r} means {1 + len(others)}")
    pictures = recent.between(correction.start - _MARGIN, correction.end + _MARGIN)
    if not pictures:
        raise FeedError("no pictures of that time are left; correct a sentence within half a minute")
    with tempfile.TemporaryDirectory(dir=state.folder) as folder:
        path = Path(folder) / "correction.mp4"
        await asyncio.to_thread(write_video, path, _frames(pictures))
        await state.worker.run(recordings.inspect, path, "the correction", name, state.limits)
        async with state.keeping:
            await asyncio.to_thread(recordings.keep, path, name, said)
    return Correction(name, said, correction.start, correction.end)


def _frames(pictures: Sequence[bytes]) -> Iterator[Frame]:
    """25 frames a second, with even sides, as H.264 has only such."""
    pace = Pace()
    for picture in pictures:
        time, frame = opened(picture)
        for taken in pace.push(Taken(frame, time)):
            yield taken.frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]
