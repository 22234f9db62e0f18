"""Video files as a stream of upright frames, 25 a second by time stamp."""

from __future__ import annotations

import errno
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import av
import av.filter
import numpy as np
from numpy.typing import NDArray

from gunileo.errors import GunileoError
from gunileo.vision.clock import Clock

FPS = 25  # of GRID, and so of everything behind this file
MAX_SIDE = 1280  # pixels; the face models need under 200 across a face, so a 4K frame would only cost time
MAX_PIXELS = 7680 * 4320  # 8K; a few bytes of a file can ask for a picture of gigabytes
LARGE = 2**20  # bytes of a frame; larger ones take longer to decode than to read lips in
MAX_STILL = 10.0  # seconds that one picture may stand; a jump in the time stamps would be filled with hours of copies
_SLACK = 0.1  # seconds that a header may promise too much
_WRITTEN = (".mp4", ".m4v", ".mov", ".mkv")

Frame = NDArray[np.uint8]  # [height, width, 3], RGB


class VideoError(GunileoError):
    """A file that cannot be read as video."""


def read_frames(path: Path | str) -> Iterator[Frame]:
    """Decode a video as a stream of RGB frames, uint8 [height, width, 3].

    Frames come at 25 a second whatever the file's own rate, chosen by time stamp (FFmpeg's ``fps`` filter,
    nearest frame), turned upright by the file's rotation, and shrunk so that no side is over 1280 pixels.
    One frame is held at a time. Over 8K, or with a picture that stands for over ten seconds, a file is refused.

    Raises ``VideoError`` if the file is missing, empty, has no picture, or is damaged or truncated; for the
    last two, after the frames that could be read.
    """
    return _read(Path(path), str(path))


def read_pipe() -> Iterator[Frame]:
    """As ``read_frames``, from standard input, which Ctrl-C ends.

    Formats that need no way back can be read: WebM, Matroska, MPEG, AVI, and MP4 with its index in front.
    """
    return _read(Path("-"), _Pipe())


class _Pipe:
    """Standard input as it comes; Python's own would wait for a whole buffer while there are frames to read."""

    _ended = False

    def read(self, count: int) -> bytes:
        try:
            return b"" if self._ended else os.read(0, count)
        except KeyboardInterrupt:  # PyAV would pass over it and go on reading
            self._ended = True
            return b""


def _read(path: Path, source: str | _Pipe) -> Iterator[Frame]:
    try:
        if isinstance(source, str) and path.stat().st_size == 0:
            raise VideoError(f"{path}: the file is empty; copy or download it again")
        largest = {"max_pixels": str(MAX_PIXELS)}
        with av.open(source, "r", options=largest, metadata_errors="replace") as container:
            if not container.streams.video:
                raise VideoError(f"{path}: has sound but no picture; give a video file")
            codec: av.VideoCodecContext | None = container.streams.video[0].codec_context
            if codec is None:
                raise VideoError(f"{path}: its pictures are in a format that is not known here; convert it")
            if not 0 < codec.width * codec.height <= MAX_PIXELS:
                raise VideoError(f"{path}: its pictures are damaged, or larger than 8K; convert it to a smaller size")
            codec.options = largest
            yield from _decode(container, path)
    except (av.FFmpegError, OSError) as error:
        # Errors of the file system are both; FFmpeg's own have numbers outside errno's.
        if isinstance(error, FileNotFoundError):
            raise VideoError(f"{path}: no such file; check the path") from error
        if isinstance(error, PermissionError | IsADirectoryError) or error.errno in (errno.EIO, errno.EMFILE):
            raise VideoError(f"{path}: {os.strerror(error.errno or 0)}") from error
        raise VideoError(f"{path}: not a video, or damaged; play it to check, then copy it again") from error


def ahead(frames: Iterator[Frame], count: int = 16) -> Iterator[Frame]:
    """The same frames, up to ``count`` of them decoded by another thread while the one before is worked on.

    Small ones come by this thread, as they take less to decode than to hand over.
    """
    if (first := next(frames, None)) is None:
        return
    yield first
    if first.nbytes <= LARGE:
        yield from frames
        return
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, frames, None) for _ in range(count))
        while (frame := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, frames, None))
            yield frame


def _decode(container: av.container.InputContainer, path: Path) -> Iterator[Frame]:
    stream = container.streams.video[0]
    graph: av.filter.Graph | None = None
    rotation, start, end = 0, 0.0, 0.0
    clock = Clock(container, stream)
    for frame in container.decode(stream):
        frame.pts = clock(frame)
        if graph is None:
            rotation, start = frame.rotation, frame.time or 0.0
            graph = _resampler(stream, frame)
        if frame.time is not None and frame.time_base is not None:
            shown = float(frame.duration * frame.time_base)
            still = max(shown, frame.time - end if end else 0.0)
            if still > MAX_STILL:
                fault = f"one picture stands for {still:.0f} seconds, as damaged time stamps say"
                raise VideoError(f"{path}: {fault}; convert it, or cut that out")
            end = frame.time + shown
        graph.push(frame)
        for resampled in _pull(graph):
            yield upright(resampled, rotation)
    if graph is None:
        raise VideoError(f"{path}: no frame can be decoded; copy or convert it again")
    graph.push(None)
    for resampled in _pull(graph):
        yield upright(resampled, rotation)
    promised = _promised_end(container, stream, start)
    if 0 < end < promised - _SLACK:
        there = f"{end - start:.1f} of {promised - start:.1f} seconds are there"
        raise VideoError(f"{path}: truncated, {there}; copy or download it again")


def length(path: Path | str) -> int:
    """Frames that ``read_frames`` will give, by the file's header; 0 where that doesn't say, or can't be read."""
    with suppress(av.FFmpegError, OSError), av.open(str(path)) as container:
        return round(FPS * (container.duration or 0) / av.time_base)
    return 0


def _promised_end(container: av.container.InputContainer, stream: av.VideoStream, start: float) -> float:
    """When the picture ends, in seconds, by the file's header; 0 where the format doesn't say, as MPEG's."""
    if container.format.name == "avi" and stream.average_rate:  # its duration was fitted to the file's size
        return start + float(stream.frames / stream.average_rate)
    # Elsewhere the number of frames is no measure: it counts those that were trimmed away on a phone, too.
    if stream.frames and stream.duration and stream.time_base:
        return start + float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))  # of Matroska and WebM
    return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3]) if tag else 0.0


def _resampler(stream: av.VideoStream, frame: av.VideoFrame) -> av.filter.Graph:
    """FFmpeg filters from decoded frames to RGB at 25 a second, none of its sides over MAX_SIDE."""
    shrink = min(1.0, MAX_SIDE / max(frame.width, frame.height))
    size = f"{round(frame.width * shrink)}:{round(frame.height * shrink)}"
    graph = av.filter.Graph()
    graph.threads = 1  # its work is too small to share
    graph.link_nodes(
        graph.add_buffer(template=stream),
        graph.add("fps", str(FPS)),
        graph.add("scale", f"{size}:flags=area"),
        graph.add("format", "rgb24"),
        graph.add("buffersink"),
    ).configure()
    return graph


def _pull(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):  # FFmpeg's "no more for now" and "no more"
            return
        assert isinstance(frame, av.VideoFrame)
        yield frame


def upright(frame: av.VideoFrame, rotation: int) -> Frame:
    """``rotation`` is in degrees, counter-clockwise, as the file asks a player to turn the picture."""
    pixels = np.asarray(frame.to_ndarray(threads=1), np.uint8)  # its default starts a thread pool a frame
    return np.ascontiguousarray(np.rot90(pixels, round(rotation / 90))) if rotation else pixels


def write_video(path: Path | str, frames: Iterable[Frame], fps: int = FPS) -> None:
    """Write RGB frames, uint8 [height, width, 3] with even sides, as H.264 in an .mp4, .m4v, .mov or .mkv file.

    ``ValueError`` for another suffix, as AVI and MPEG's program stream hold no time for each of H.264's reordered
    frames, and if there are no frames.
    """
    if Path(path).suffix.lower() not in _WRITTEN:
        raise ValueError(f"{path}: H.264 is written to {', '.join(_WRITTEN)} alone; choose one of these suffixes")
    with av.open(str(path), "w") as container:
        stream: av.VideoStream | None = None
        for pixels in frames:
            if stream is None:
                stream = container.add_stream("libx264", rate=fps, options={"crf": "18", "preset": "veryfast"})
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.thread_count = 1
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        if stream is None:
            raise ValueError(f"{path}: no frames to write")
        container.mux(stream.encode())
