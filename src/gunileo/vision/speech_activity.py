"""Where sentences start and end in a stream of mouth crops: where the mouth moves, and where it rests.

Visual voice activity by movement alone, so that it holds for any face and any model. The levels were found on
validation clips of GRID speaker s1 and clips of s4, played one after the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from gunileo.vision.crop import HEIGHT, WIDTH, Crops
from gunileo.vision.mouth_clip import Mouth, MouthClip
from gunileo.vision.video import FPS

LONGEST = 10 * FPS  # frames of a sentence; GRID's last 3 seconds

_REST = 10  # frames without movement that end a sentence
_LEAST = 10  # frames of movement; less is no sentence
_BRIDGED = 3 * FPS // 2  # frames without a face in which a sentence goes on
_MARGIN = 10  # frames of rest before and after, as GRID's clips have
_SMOOTH = 5  # frames, of which the median is taken: a cut to another scene is no movement
_BLOCK = 5  # pixels a side, of which the mean is compared: finer ones would show noise
_PART = np.s_[4:, 4:26]  # of these blocks, mouth and chin
# Movement is the mean change of these blocks in a frame, in the crop's standard deviations. What counts as
# movement lies over that of a resting face, which light and camera make more or less noisy.
_OVER_REST = 2.3
_LOWEST, _HIGHEST = 0.045, 0.09
_MEMORY = 10 * FPS  # frames by which a resting face is known: the stillest tenth of them


class Span(NamedTuple):
    """The clip of one sentence, from frame ``start`` of the stream on.

    Where a sentence had to be cut, the spans on either side overlap: words belong to the one in which their middle
    lies between ``first`` and ``last``, frames of the stream. In its frames ``hidden`` no mouth was seen.
    """

    start: int
    clip: MouthClip
    first: int
    last: int
    hidden: tuple[int, ...] = ()


def bridged(mouths: Iterable[Mouth | None]) -> Iterator[Mouth | None]:
    """The same mouths. Where a person's face is lost for up to 1.5 seconds, and no longer than it was seen before, the
    mouth stays as it was last, and then is as it will be next. ``hidden`` tells so. None comes once a face is lost for
    longer, so that a sentence before it ends then."""
    before: Mouth | None = None
    lost = seen = 0
    for mouth in mouths:
        if mouth is None:
            lost += 1
            if before is None or lost > min(_BRIDGED, seen):
                yield from [None] * lost
                before, lost, seen = None, 0, 0
            continue
        if before is None or mouth.other:
            yield from [None] * lost
            seen = 0
        else:
            yield from [before._replace(other=False, hidden=True)] * (lost // 2)
            yield from [mouth._replace(other=False, hidden=True)] * (lost - lost // 2)
        yield mouth
        before, lost, seen = mouth, 0, seen + (not mouth.hidden)
    yield from [None] * lost


class Segmenter:
    """Cuts a stream into spans, a sentence each. It holds no more than one.

    While it is ``whole``, rests end no sentence: ``close`` does.
    """

    def __init__(self) -> None:
        self.whole = False
        self._start = 0  # of the mouths held, in frames of the stream
        self._first = 0  # of those that belong to no span yet
        self._mouths: list[Mouth] = []
        self._levels: list[float] = []  # movement of each, smoothed
        self._changes: deque[float] = deque(maxlen=_SMOOTH)
        self._memory: deque[float] = deque(maxlen=_MEMORY)
        self._before: np.ndarray | None = None
        self._moved = self._rest = 0

    def push(self, mouth: Mouth | None) -> Span | None:
        """Take the next frame's mouth, or None if the face is lost; a span if a sentence ends with it.

        Another person's mouth begins another sentence.
        """
        if mouth is None:
            span = self.close()
            self._start = self._first = self._start + 1
            return span
        ended = self.close() if mouth.other else None
        self._mouths.append(mouth)
        if mouth.hidden:  # whether it moves or rests isn't known
            self._levels.append(self._levels[-1] if self._levels else 0.0)
            return ended or (self._split() if len(self._mouths) >= LONGEST else None)
        self._levels.append(self._level(mouth.crop))
        if self._levels[-1] > _floor(self._memory):
            self._moved, self._rest = self._moved + 1, 0
        else:
            self._rest += 1
        if ended:
            return ended
        if self._rest >= _REST and not self.whole:
            return self._take()
        return self._split() if len(self._mouths) >= LONGEST else None

    def close(self) -> Span | None:
        """The sentence that was begun, None if there is none; what is pushed from now on is another's."""
        span = self._take()
        self._forget(len(self._mouths))
        self._first = self._start
        self._before = None
        self._changes.clear()
        return span

    def _level(self, crop: Crops) -> float:
        blocks = crop.reshape(HEIGHT // _BLOCK, _BLOCK, WIDTH // _BLOCK, _BLOCK)
        small = blocks.mean((1, 3), dtype=np.float32).round()  # grey levels, for which the limits were found
        if self._before is not None:
            change = np.abs(small - self._before)[_PART].mean() / (small.std() + 1)
            self._changes.append(float(change))
        self._before = small
        level = float(np.median(self._changes)) if self._changes else 0.0
        self._memory.append(level)
        return level

    def _take(self) -> Span | None:
        """All that is held, if the mouth moved in it; the last frames are kept to begin the next sentence with."""
        end = self._start + len(self._mouths)
        fewest = 1 if self._first > self._start else _LEAST  # after a cut the last word's end may be all that is left
        span = self._span(len(self._mouths), end) if self._moved >= fewest else None
        self._moved = 0
        self._forget(len(self._mouths) - _MARGIN)
        self._first = self._start
        return span

    def _split(self) -> Span:
        """Half a sentence that is too long, up to where the mouth moves least."""
        half = LONGEST // 2
        cut = half + int(np.argmin(self._levels[half:-_MARGIN]))
        last = self._start + cut
        span = self._span(cut + _MARGIN, last)
        self._moved = sum(level > _LOWEST for level in self._levels[cut:])
        self._forget(cut - _MARGIN)
        self._first = last
        return span

    def _span(self, length: int, last: int) -> Span:
        mouths = self._mouths[:length]
        hidden = tuple(number for number, mouth in enumerate(mouths, self._start) if mouth.hidden)
        return Span(self._start, MouthClip.of(mouths), self._first, last, hidden)

    def _forget(self, count: int) -> None:
        count = max(0, count)
        self._start += count
        del self._mouths[:count], self._levels[:count]


def moving(clip: MouthClip) -> slice | None:
    """The frames of a clip, uint8 [T, 100, 150], from the mouth's first movement to its last, with rest around them.

    None if it moves for less than 0.4 seconds.
    """
    segmenter = Segmenter()
    levels = np.array([segmenter._level(crop) for crop in clip.crops])
    moved = np.flatnonzero(levels > _floor(levels))
    if len(moved) < _LEAST:
        return None
    return slice(max(0, int(moved[0]) - _MARGIN), min(len(clip), int(moved[-1]) + 1 + _MARGIN))


def _floor(levels: Iterable[float]) -> float:
    """What counts as movement where these levels were seen."""
    return min(max(_OVER_REST * float(np.percentile(list(levels), 10)), _LOWEST), _HIGHEST)
