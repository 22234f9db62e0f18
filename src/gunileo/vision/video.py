"""Video files as a stream of upright frames, 25 a second by time stamp."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from gunileo.util.aside import Aside
from gunileo.util.cores import usable_cores
from gunileo.vision.canvas import Canvas
from gunileo.vision.container import VideoError as VideoError
from gunileo.vision.container import open_media
from gunileo.vision.film import Film, local, opened
from gunileo.vision.pipe import is_pipe
from gunileo.vision.timeline import Timeline

FPS = 25  # of GRID, and so of everything behind this file
MAX_SIDE = 1280  # pixels; the face models need under 200 across a face, so a 4K frame would only cost time
LARGE = 2**20  # bytes of a frame; larger ones take longer to decode than to read lips in
MAX_STILL = 10 * FPS  # frames that one picture is repeated for; a jump in the time stamps would give hours of copies
_SLACK = 0.1  # seconds that a header may promise too much
_DAMAGE = 0.5  # seconds without a picture that can be decoded; through less a face is followed
_WRITTEN = (".mp4", ".m4v", ".mov", ".mkv")

Frame = NDArray[np.uint8]  # [height, width, 3], RGB


def read_frames(path: Path | str, timeline: Timeline | None = None, rate: float = FPS) -> Iterator[Frame]:
    """Decode a video as a stream of RGB frames, uint8 [height, width, 3].

    ``path`` is a file, its ``file:`` address, a pipe, ``-`` for standard input, a pattern of numbered pictures such
    as ``frame_%03d.png`` or their folder; of these, ``rate`` were taken a second. A pipe can be read once. Formats
    that need no way back are read from it as they come: WebM, Matroska, MPEG, AVI, and MP4 with its index in front.

    Frames come at 25 a second whatever the file's own rate, the nearest one by time stamp, upright, with square
    pixels, and shrunk so that no side is over 1280 pixels. All have one size: the first one's, or that of a larger one
    that four looks into the file find. A picture that stands for over ten seconds is repeated for ten; ``timeline`` is
    told when frames are shown. One frame is held at a time.

    Raises ``VideoError`` if the file is missing, empty, over 8K, has no picture, or is damaged or truncated; for the
    last two, after the frames that could be read.
    """
    with opened(path, rate) as film:
        yield from _resampled(film, path, timeline or Timeline())


def ahead(frames: Iterator[Frame], count: int = 16) -> Iterator[Frame]:
    """The same frames, up to ``count`` of them decoded by another thread while the one before is worked on.

    Small ones come by this thread, as they take less to decode than to hand over; all do if there is one core.
    """
    if (first := next(frames, None)) is None:
        return
    yield first
    if first.nbytes <= LARGE or usable_cores() == 1:
        yield from frames
        return
    with Aside() as thread:
        waiting = deque(thread.call(lambda: next(frames, None)) for _ in range(count))
        while (frame := waiting.popleft().result()) is not None:
            waiting.append(thread.call(lambda: next(frames, None)))
            yield frame


def _resampled(film: Film, path: Path | str, timeline: Timeline) -> Iterator[Frame]:
    canvas = Canvas(film.ratio, MAX_SIDE, film.glimpses)
    waiting: av.VideoFrame | None = None  # until the next one tells how long it is shown
    start = end = 0  # in time bases, as all times here: fractions would take longer than the decoder
    zero, base = film.start, film.time_base

    def slot_of(time: int) -> int:
        return (2 * FPS * (time - start) * base.numerator + base.denominator) // (2 * base.denominator)

    slot = count = 0  # frames of 1/25 s before the one that waits: by its time, and as read
    for frame in film.frames:
        assert frame.pts is not None  # as a film's frames have it
        at = frame.pts
        if waiting is None:
            start = end = at
            zero = min(zero, float(at * base))
            timeline.begin(0, float(at * base) - zero)
        else:
            following = slot_of(at)
            yield from _repeated(canvas, waiting, following - slot)
            count += min(max(0, following - slot), MAX_STILL)
            if following - slot > MAX_STILL:
                timeline.begin(count, float(start * base) - zero + following / FPS)
            slot = max(slot, following)
        waiting = frame
        end = max(end, at + frame.duration)
    if waiting is None:
        raise VideoError(f"{path}: no frame can be decoded; copy or convert it again")
    last = slot_of(end) - slot
    seconds = float(end * base)
    timeline.duration = seconds - zero
    yield from _repeated(canvas, waiting, last if count else max(1, last))
    if 0 < seconds < film.promised - _SLACK:
        begun = float(start * base)
        there = f"{seconds - begun:.1f} of {film.promised - begun:.1f} seconds are there"
        raise VideoError(f"{path}: truncated, {there}; copy or download it again")
    if film.damage.seconds > _DAMAGE:
        lost = f"{film.damage.seconds:.1f} seconds of it can't be decoded"
        raise VideoError(f"{path}: damaged, {lost}; copy or download it again")


def _repeated(canvas: Canvas, frame: av.VideoFrame, times: int) -> Iterator[Frame]:
    if times > 0:
        pixels = canvas(frame)
        for _ in range(min(times, MAX_STILL)):
            yield pixels


def length(path: Path | str) -> int:
    """Frames that ``read_frames`` will give, by the file's header; 0 where that doesn't say, or can't be read."""
    name = local(path)
    if is_pipe(name):  # what is read of it now would be missing later
        return 0
    with suppress(av.FFmpegError, OSError), open_media(f"file:{name}") as film:
        return round(FPS * (film.duration or 0) / av.time_base)
    return 0


def write_video(path: Path | str, frames: Iterable[Frame], fps: int = FPS, timeline: Timeline | None = None) -> None:
    """Write RGB frames, uint8 [height, width, 3] with even sides, as H.264 in an .mp4, .m4v, .mov or .mkv file.

    Frames follow each other, or with a ``timeline`` are shown when it says.
    ``ValueError`` for another suffix, as AVI and MPEG's program stream hold no time for each of H.264's reordered
    frames, and if there are no frames.
    """
    if Path(path).suffix.lower() not in _WRITTEN:
        raise ValueError(f"{path}: H.264 is written to {', '.join(_WRITTEN)} alone; choose one of these suffixes")
    with av.open(str(path), "w") as container:
        stream: av.VideoStream | None = None
        for number, pixels in enumerate(frames):
            if stream is None:
                stream = container.add_stream("libx264", rate=fps, options={"crf": "18", "preset": "veryfast"})
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.thread_count = 1
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = round(timeline.seconds(number / FPS) * fps) if timeline else number
            container.mux(stream.encode(frame))
        if stream is None:
            raise ValueError(f"{path}: no frames to write")
        container.mux(stream.encode())
