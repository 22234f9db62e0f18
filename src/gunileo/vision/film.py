"""Films: the pictures that a file, a pipe or numbered pictures hold, as they are decoded."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Disposition

from gunileo.vision.clock import Clock
from gunileo.vision.container import LIMITS, MAX_PIXELS, VideoError, open_media, why
from gunileo.vision.glimpse import glimpses, may_change
from gunileo.vision.numbered import Numbered, is_pattern
from gunileo.vision.pipe import Pipe, is_pipe, nothing_came

_HELD = 32  # frames that decoders hold back at most
_STILLS = Disposition.attached_pic | Disposition.timed_thumbnails


@dataclass
class Damage:
    """For how long no picture of a film can be decoded, known when it has come to its end."""

    seconds: float = 0.0  # the longest stretch


@dataclass(frozen=True)
class Film:
    """A film that is open. Its ``frames`` come once; each is shown from ``pts`` on for ``duration``, in time bases.

    What can't be decoded is left out; once all frames have come, ``damage`` tells.
    """

    frames: Iterator[av.VideoFrame]
    time_base: Fraction  # seconds
    rate: Fraction  # frames a second, on the average
    ratio: Fraction | None  # a pixel's width by its height, if the file tells
    start: float  # seconds, where a player's clock begins
    promised: float = 0.0  # seconds, where the picture ends by the file's header; 0 where that doesn't say
    glimpses: Sequence[av.VideoFrame] = ()  # pictures from further on, which may have another size
    damage: Damage = field(default_factory=Damage)


@contextmanager
def opened(source: Path | str, rate: float) -> Iterator[Film]:
    """The film of a file, a pipe (``-`` is standard input) or numbered pictures, ``rate`` of these a second.

    A file's film is its best stream by FFmpeg's rules, never a cover picture. Raises ``VideoError``, also as frames
    come.
    """
    name = local(source)
    path = Path(name)
    with ExitStack() as stack:
        try:
            numbered = Numbered.found(name)
            container = None if numbered else stack.enter_context(_container(name, path, stack))
        except (av.FFmpegError, OSError) as error:
            raise why(path, error) from error
        if numbered:
            yield Film(_numbered(numbered, rate), *numbered.times(rate), None, 0.0)
        elif container:
            yield _film(container, path)


def local(source: Path | str) -> str:
    """The path that a name stands for: a ``file:`` address is a path, too. ``VideoError`` for other addresses, and for
    what can be no name."""
    path = _without_scheme(str(source))
    if not path or "\0" in path:
        raise VideoError(f"{path!r}: no file can have this name; give the path of one")
    return path


def _without_scheme(name: str) -> str:
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
            container = open_media(pipe)
        except av.FFmpegError:
            if pipe.fault:
                raise pipe.fault from None
            if not pipe.count:
                raise nothing_came(path) from None
            if not pipe.index_is_last():
                raise
        if pipe.index_is_last():
            if container:
                container.close()
            return open_media(pipe.whole())
        pipe.forget()
        assert container
        return container
    if os.path.isdir(path):
        raise VideoError(f"{path}: is a folder without numbered pictures; give a video file")
    if is_pattern(name):
        raise VideoError(f"{path}: no pictures with such names are there; check the path")
    if path.stat().st_size == 0 and not _holds_something(path):
        raise VideoError(f"{path}: the file is empty; copy or download it again")
    return open_media(f"file:{path}")  # a name may hold a colon


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
    codec.options = LIMITS
    changing = not is_pipe(str(path)) and may_change(container, stream, path)
    base, damage = stream.time_base or Fraction(1, 25), Damage()
    return Film(
        _guarded(_decoded(container, stream, damage), path),
        base,
        stream.average_rate or Fraction(25),
        stream.sample_aspect_ratio,
        (container.start_time or 0) / av.time_base,
        _promised_end(container, stream),
        glimpses(f"file:{path}", film_stream) if changing else (),
        damage,
    )


def _without_film(container: av.container.InputContainer) -> str:
    """What a file holds in place of a film."""
    held = ["sound"] if container.streams.audio else []
    held += ["a cover picture"] if container.streams.video else []
    held += ["subtitles"] if container.streams.subtitles else []
    return f"has {' and '.join(held) or 'data'} but no {'film' if container.streams.video else 'picture'}"


def _decoded(container: av.container.InputContainer, stream: av.VideoStream, damage: Damage) -> Iterator[av.VideoFrame]:
    """The frames of a stream; as players do, those are left out that can't be decoded."""
    clock, before = Clock(container, stream), 0  # time of the last frame, as it is stored
    end: int | None = None  # of the frame before
    for frame, after_fault in _whole(clock.marked(container.demux(stream))):
        if after_fault and frame.pts is not None and frame.pts < before:
            continue  # it was held back while those after it were lost
        before = frame.pts or 0
        frame.pts, frame.duration = clock(frame)
        if after_fault and end is not None:
            damage.seconds = max(damage.seconds, float((frame.pts - end) * (stream.time_base or 0)))
        end = frame.pts + frame.duration
        yield frame


def _whole(packets: Iterator[av.Packet[av.VideoStream]]) -> Iterator[tuple[av.VideoFrame, bool]]:
    """Each frame that can be decoded, and whether something shortly before it can't. Raises FFmpeg's error if none can.

    What a cut begins with may lean on pictures that aren't there; that is no fault.
    """
    fault: Exception | None = None
    count, until = 0, 0  # frames, and how many there are when a fault is past
    while True:
        try:
            packet = next(packets, None)
            frames = packet.decode() if packet else []
        except av.InvalidDataError as error:
            fault, until = error, count and count + _HELD
            continue
        if packet is None:
            break
        for frame in frames:
            count += 1
            yield frame, count <= until
    if fault and not count:
        raise fault


def _numbered(numbered: Numbered, rate: float) -> Iterator[av.VideoFrame]:
    """Each picture with its number as the time."""
    for number, path in numbered.pictures:
        for frame in _guarded(numbered.decoded(path), path, "picture"):
            frame.pts, frame.duration, frame.time_base = number, 1, numbered.times(rate)[0]
            yield frame


def _guarded(frames: Iterator[av.VideoFrame], path: Path, kind: str = "video") -> Iterator[av.VideoFrame]:
    try:
        yield from frames
    except (av.FFmpegError, OSError) as error:
        raise why(path, error, kind) from error


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
