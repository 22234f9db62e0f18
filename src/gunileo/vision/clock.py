"""When each decoded frame is shown, in containers that store its time and in those that don't."""

from __future__ import annotations

from collections.abc import Iterator
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
      H.264's reordered frames is out of order. A decoder that reorders frames gives each some packets late, with the
      time of the last packet. So the clock goes back by as many as the first frame was late.
    - MPEG's program stream gives a time to the first frame that begins in a packet, and FFmpeg may give it to a
      neighbour, twice, or to all frames up to the next packet. So the clock goes on by each frame's duration. A time
      stamp moves it only if it is over eight frames off, if all agree for a second that it is wrong, or if each frame
      has a rising time stamp of its own.

    Where times go back by over a second, as in files that were joined, the clock goes on.
    """

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream) -> None:
        self._name = container.format.name
        base = stream.time_base or _USUAL
        self._second = max(1, round(1 / base))  # in time bases; fractions would take longer than all else here
        self._usual = max(1, round(1 / ((stream.average_rate or 1 / _USUAL) * base)))
        # MPEG-1 and MPEG-2 have a constant rate, and FFmpeg makes up the stamps that their packets leave out.
        self._constant = stream.codec_context.name in ("mpeg1video", "mpeg2video")
        self._late = 0  # that frames of an AVI come after their own packet
        self._offset = 0  # that joined files have shifted times by
        self._end: int | None = None  # of the frame before
        self._before: int | None = None  # time stamp of the frame before
        self._rising = 0  # frames in a row with a later time stamp than the one before
        self._wrong_since: int | None = None  # when all time stamps began to disagree with the clock
        if self._name == "avi":
            stream.codec_context.copy_opaque = True

    def marked(self, packets: Iterator[av.Packet[av.VideoStream]]) -> Iterator[av.Packet[av.VideoStream]]:
        """The same packets; those of an AVI tell their frame when they were decoded."""
        for packet in packets:
            if self._name == "avi":
                packet.opaque = packet.dts
            yield packet

    def __call__(self, frame: av.VideoFrame) -> tuple[int, int]:
        """When the next frame of the decoder is shown, and how long."""
        shown = frame.duration or self._usual
        stamp = self._decoded(frame) if self._name == "avi" else frame.pts
        if self._end is None:
            at = stamp or 0
        elif stamp is None:
            self._rising = 0
            at = self._end
        else:
            if stamp + self._offset < self._end - shown - self._second:
                self._offset = self._end - stamp
            at = self._told(stamp + self._offset, self._end, shown)
        self._before = stamp
        self._end = at + shown
        return at, shown

    def _decoded(self, frame: av.VideoFrame) -> int | None:
        """When a frame of an AVI is shown, if the packet that it came with tells."""
        if self._end is None and frame.dts is not None and isinstance(frame.opaque, int):
            self._late = frame.dts - frame.opaque
        return None if frame.dts is None else frame.dts - self._late

    def _told(self, stamp: int, expected: int, shown: int) -> int:
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
        settled = self._wrong_since is not None and expected - self._wrong_since >= _SETTLED * self._second
        if trusted or settled or abs(error) > _JUMP * shown:
            self._wrong_since = None
            return stamp
        return expected
