"""Spans of continuous speech split into sentences, by where a reader finds the boundaries between them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.speech_activity import LONGEST, Span
from gunileo.vision.video import FPS

_LONG = 3 * FPS  # frames; what is longer may be several sentences
_SHARED = 3  # frames on either side of a boundary, which both sentences are read with


class SentenceSplitter:
    """Takes spans in their order and gives one for each sentence that ``boundaries`` finds in them.

    A stretch of over ten seconds comes as several spans, cut amid a sentence. What is after the last boundary of such a
    span is held back and put before the next.
    """

    def __init__(self, boundaries: Callable[[MouthClip], list[int]]) -> None:
        self._boundaries = boundaries
        self._held: Span | None = None

    def push(self, span: Span) -> list[Span]:
        """The sentences that are whole by now."""
        parted = self._with_held(span)
        parts = [part for own in parted for part in own]
        goes_on = span.last < span.start + len(span.clip)
        if goes_on and len(parts) > len(parted) and len(parts[-1].clip) < LONGEST // 2:
            self._held = parts.pop()
        return parts

    def close(self) -> list[Span]:
        """What is held back, as no more will come."""
        held, self._held = self._held, None
        return [held] if held else []

    def _with_held(self, span: Span) -> list[list[Span]]:
        """The parts of the span, with what is held back before it: of both together, if that can be read."""
        held, self._held = self._held, None
        if held is None:
            return [self._parts(span)]
        if held.last == span.first:
            ahead = max(0, span.start - held.start)
            clip = MouthClip.joined([held.clip[:ahead], span.clip]) if ahead else span.clip
            hidden = tuple(sorted({*held.hidden, *span.hidden}))  # some frames are in both
            parts = self._parts(Span(span.start - ahead, clip, held.first, span.last, hidden))
            # What is too long for one sentence, also once it is told apart, is read as it was cut.
            if all(len(part.clip) <= LONGEST for part in parts):
                return [parts]
        return [self._parts(held), self._parts(span)]

    def _parts(self, span: Span) -> list[Span]:
        length = len(span.clip)
        cuts = self._boundaries(span.clip) if length > _LONG else []
        if not cuts:
            return [span]
        parts = []
        for begin, end in pairwise([0, *cuts, length]):
            from_, to = max(0, begin - _SHARED), min(length, end + _SHARED)
            first, last = max(span.first, span.start + begin), min(span.last, span.start + end)
            if first < last:
                parts.append(Span(span.start + from_, span.clip[from_:to], first, last, span.hidden))
        return parts
