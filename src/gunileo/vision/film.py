"""Films: the pictures that a file, a pipe or numbered pictures hold, as they are decoded."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO

import av
from av.stream import Disposition

from gunileo.errors import GunileoError
from gunileo.vision.clock import Clock
from gunileo.vision.glimpse import glimpses, may_change
from gunileo.vision.numbered import Numbered
from gunileo.vision.pipe import Pipe, is_pipe

MAX_PIXELS = 7680 * 4320  # 8K; a few bytes of a file can ask for a picture of gigabytes

_LIMITS = {"max_pixels": str(MAX_PIXELS)}
_STILLS = Disposition.attached_pic | Disposition.timed_thumbnails


class VideoError(GunileoError):
    """A file that cannot be read as video."""


@dataclass(frozen=True)
class Film:
    """A film that is open. Its ``frames`` come once; each is shown from ``pts`` on for ``duration``, in time bases."""

    frames: Iterator[av.VideoFrame]
    time_base: Fraction  # seconds
    rate: Fraction  # frames a second, on the average
    ratio: Fraction | None  # a pixel's width by its height, if the file tells
    start: float  # seconds, where a player's clock begins
    promised: float = 0.0  # seconds, where the picture ends by the file's header; 0 where that doesn't say
    glimpses: Sequence[av.VideoFrame] = ()  # pictures from further on, which may have another size


@contextmanager
def opened(source: Path | str, rate: float) -> Iterator[Film]:
    """The film of a file, a pipe (``-`` is standard input) or numbered pictures, ``rate`` of these a second.

    A file's film is its best stream by FFmpeg's rules, never a cover picture. Raises ``VideoError``, also as frames
    come.
    """
    name = local(source)
    path = Path(name)
    numbered = Numbered.found(name)
    if numbered is not None:
        yield Film(_numbered(numbered, rate), *numbered.times(rate), None, 0.0)
        return
    with ExitStack() as stack:
        try:
            container = stack.enter_context(_container(name, path, stack))
        except (av.FFmpegError, OSError) as error:
            raise _reason(path, error) from error
        yield _film(container, path)


def local(source: Path | str) -> str:
    """The path that a name stands for: a ``file:`` address is a path, too. ``VideoError`` for other addresses."""
    name = str(source)
    if not re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+:/", name) or os.path.exists(name):
        return name
    if name.lower().startswith("file:/"):
        from urllib.parse import unquote
        from urllib.request import url2pathname

        place = re.sub(r"^file:/*(localhost/)?", "/", name, flags=re.IGNORECASE)
        place = url2pathname(place) if os.name == "nt" else unquote(place)
        short = unquote(name[len("file://") :])  # as people write file://clip.mp4 of a file in this folder
        return short if not os.path.exists(place) and os.path.exists(short) else place
    raise VideoError(f"{name}: an address on a network; download the video, then give its file")


def film_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The stream that holds the film: FFmpeg's best that can be decoded and is no cover picture or thumbnail."""
    films = [stream for stream in container.streams.video if not stream.disposition & _STILLS]
    known = [stream for stream in films if stream.codec_context is not None]
    best = container.streams.best("video")
    return next((stream for stream in known if stream == best), next(iter(known or films), None))


def _container(name: str, path: Path, stack: ExitStack) -> av.container.InputContainer:
    if is_pipe(name):
        pipe = stack.enter_context(Pipe(name))
        container = None
        try:
            container = _open(pipe)
        except av.FFmpegError:
            if not pipe.count:
                raise VideoError(f"{path}: nothing came through the pipe; check the command before it") from None
            if not pipe.index_is_last():
                raise
        if pipe.index_is_last():
            if container:
                container.close()
            return _open(pipe.whole())
        pipe.forget()
        assert container
        return container
    if path.is_dir():
        raise VideoError(f"{path}: Is a directory, without numbered pictures; give a video file")
    if path.stat().st_size == 0 and not _holds_something(path):
        raise VideoError(f"{path}: the file is empty; copy or download it again")
    return _open(f"file:{path}")  # a name may hold a colon


def _open(source: str | Pipe | IO[bytes]) -> av.container.InputContainer:
    return av.open(source, "r", options=_LIMITS, metadata_errors="replace")


def _holds_something(path: Path) -> bool:
    """Some files have no size, as those of /proc."""
    with path.open("rb") as file:
        return bool(file.read(1))


def _film(container: av.container.InputContainer, path: Path) -> Film:
    stream = film_stream(container)
    if stream is None:
        raise VideoError(f"{path}: {_without_film(container)}; give a video file")
    codec: av.VideoCodecContext | None = stream.codec_context
    if codec is None:
        raise VideoError(f"{path}: its pictures are in a format that is not known here; convert it")
    if codec.width * codec.height <= 0:
        kinds = "damaged, larger than 8K, or of a kind that is not known here"
        if container.format.name == "webp_pipe":  # FFmpeg reads none that is animated
            kinds = "it is animated, or damaged"
        raise VideoError(f"{path}: its pictures ({codec.name}) can't be decoded: {kinds}; convert it")
    if codec.width * codec.height > MAX_PIXELS:
        size = f"{codec.width}x{codec.height} pixels"
        raise VideoError(f"{path}: its pictures have {size}, more than 8K; convert it to a smaller size")
    codec.options = _LIMITS
    changing = may_change(container, stream) and not is_pipe(str(path))
    base = stream.time_base or Fraction(1, 25)
    return Film(
        _guarded(_decoded(container, stream), path),
        base,
        stream.average_rate or Fraction(25),
        stream.sample_aspect_ratio,
        (container.start_time or 0) / av.time_base,
        _promised_end(container, stream),
        glimpses(f"file:{path}", film_stream) if changing else (),
    )


def _without_film(container: av.container.InputContainer) -> str:
    """What a file holds in place of a film."""
    held = ["sound"] if container.streams.audio else []
    held += ["a cover picture"] if container.streams.video else []
    held += ["subtitles"] if container.streams.subtitles else []
    return f"has {' and '.join(held) or 'data'} but no {'film' if container.streams.video else 'picture'}"


def _decoded(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    clock = Clock(container, stream)
    for frame in container.decode(stream):
        frame.pts, frame.duration = clock(frame)
        yield frame


def _numbered(numbered: Numbered, rate: float) -> Iterator[av.VideoFrame]:
    """Each picture with its number as the time."""
    for number, path in numbered.pictures:
        for frame in _guarded(numbered.decoded(path, _LIMITS), path):
            frame.pts, frame.duration, frame.time_base = number, 1, numbered.times(rate)[0]
            yield frame


def _guarded(frames: Iterator[av.VideoFrame], path: Path) -> Iterator[av.VideoFrame]:
    try:
        yield from frames
    except (av.FFmpegError, OSError) as error:
        raise _reason(path, error) from error


def _reason(path: Path, error: av.FFmpegError | OSError) -> VideoError:
    """What an error means: FFmpeg's own have numbers outside errno's, those of the file system are both."""
    if isinstance(error, FileNotFoundError):
        return VideoError(f"{path}: no such file; check the path")
    known = (errno.EIO, errno.EMFILE, errno.ENAMETOOLONG, errno.ELOOP)
    foreign = not isinstance(error, av.FFmpegError)  # as of a socket, which can't be opened
    if isinstance(error, PermissionError | IsADirectoryError) or foreign or error.errno in known:
        return VideoError(f"{path}: {os.strerror(error.errno or 0)}")
    return VideoError(f"{path}: not a video, or damaged; play it to check, then copy it again")


def _promised_end(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    """When the picture ends, in seconds, by the file's header; 0 where the format doesn't say, as MPEG's."""
    start = float((stream.start_time or 0) * (stream.time_base or 0))
    if container.format.name == "avi" and stream.average_rate:  # its duration was fitted to the file's size
        return start + float(stream.frames / stream.average_rate)
    # Elsewhere the number of frames is no measure: it counts those that were trimmed away on a phone, too.
    if stream.frames and stream.duration and stream.time_base:
        return start + float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))  # of Matroska and WebM
    return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3]) if tag else 0.0
