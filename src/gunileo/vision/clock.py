"""When each decoded frame is shown, in containers that store its time and in those that don't."""

from __future__ import annotations

from fractions import Fraction

import av

_USUAL = Fraction(1, 25)  # seconds of a frame whose file tells nothing
_JUMP = 8  # frames; no reordering moves a time stamp so far, so that one that is further off is a break
_SETTLED = 1.0  # seconds for which time stamps must agree that the clock is wrong
_TRUSTED = 8  # frames in a row with rising time stamps of their own, after which these are right


class Clock:
    """Tells when each decoded frame of a stream is shown, in the stream's time base.

    Most containers store that time with each frame. These don't:

    - AVI stores none: the order of decoding is a clock that goes on by one a frame. What FFmpeg makes of it for
      H.264's reordered frames is out of order.
    - MPEG's program stream gives a time to the first frame that begins in a packet, and FFmpeg may give it to a
      neighbour, twice, or to all frames up to the next packet. So the clock goes on by each frame's duration. A time
      stamp moves it only if it is over eight frames off, if all agree for a second that it is wrong, or if each frame
      has a rising time stamp of its own.

    Where times go back by over a second, as in files that were joined, the clock goes on.
    """

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream) -> None:
        self._name = container.format.name
        self._rate = stream.average_rate or 1 / _USUAL
        # MPEG-1 and MPEG-2 have a constant rate, and FFmpeg makes up the stamps that their packets leave out.
        self._constant = stream.codec_context.name in ("mpeg1video", "mpeg2video")
        self._offset = 0  # that joined files have shifted times by
        self._end: int | None = None  # of the frame before
        self._before: int | None = None  # time stamp of the frame before
        self._rising = 0  # frames in a row with a later time stamp than the one before
        self._wrong_since: int | None = None  # when all time stamps began to disagree with the clock

    def __call__(self, frame: av.VideoFrame) -> tuple[int, int]:
        """When the next frame of the decoder is shown, and how long."""
        base = frame.time_base or _USUAL
        shown = frame.duration or max(1, round(1 / (self._rate * base)))
        stamp = frame.dts if self._name == "avi" else frame.pts
        if self._end is None:
            at = stamp or 0
        elif stamp is None:
            self._rising = 0
            at = self._end
        else:
            if stamp + self._offset < self._end - shown - 1 / base:
                self._offset = self._end - stamp
            at = self._told(stamp + self._offset, self._end, shown, base)
        self._before = stamp
        self._end = at + shown
        return at, shown

    def _told(self, stamp: int, expected: int, shown: int, base: Fraction) -> int:
        if self._name != "mpeg":
            return stamp
        rises = self._before is not None and stamp > self._before + self._offset
        self._rising = self._rising + 1 if rises else 0
        error = stamp - expected
        if abs(error) <= shown / 2:
            self._wrong_since = None
        elif self._wrong_since is None:
            self._wrong_since = expected
        trusted = self._rising >= _TRUSTED and not self._constant
        settled = self._wrong_since is not None and expected - self._wrong_since >= _SETTLED / base
        if trusted or settled or abs(error) > _JUMP * shown:
            self._wrong_since = None
            return stamp
        return expected
