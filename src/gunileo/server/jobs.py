"""Reading an uploaded clip within limits, with all that the page shows of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import numpy as np

from gunileo.errors import GunileoError
from gunileo.inference import registry
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.output.transcript import Transcript
from gunileo.server.worker import Tell
from gunileo.vision.crop import HEIGHT, WIDTH, Crops
from gunileo.vision.film import film_stream
from gunileo.vision.image import to_png
from gunileo.vision.mouth_clip import Mouth, MouthClip
from gunileo.vision.speech_activity import LONGEST
from gunileo.vision.timeline import Timeline
from gunileo.vision.video import FPS, MAX_SIDE, Frame, VideoError, ahead, read_frames, write_video

# FFmpeg's names of the formats that are read. It knows more, some of which are lists of other files to open.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpeg,mpegts,mpegvideo,avi"
_TILES = 8  # mouth crops in a strip
_EVERY = 5  # frames from one word of progress to the next
_BEST = 5  # sentences that might have been said


@dataclass(frozen=True)
class Limits:
    """What a server takes from those who use it."""

    upload: int = 256 * 2**20  # bytes of a file
    video: int = 600  # seconds of it
    pixels: int = 7680 * 4320  # of its picture
    work: float = 300  # seconds to read it
    memory: int = 6 * 2**30  # bytes of address space of the process that reads
    waiting: int = 16  # files that wait while one is read
    cameras: int = 2  # read live at once


@dataclass(frozen=True)
class Reading:
    """A transcript, and what might have been said instead: sentences and their shares, likeliest first.

    ``strip`` is a PNG of mouth crops spread evenly over the ``seconds`` of the clip, black without a face.
    """

    transcript: Transcript
    alternatives: tuple[tuple[str, float], ...]
    strip: bytes
    seconds: float


def read(path: Path, name: str, model: str, decode: str | None, limits: Limits, tell: Tell) -> Reading:
    """Read the lips in the file at ``path``, that its sender named ``name``; a ``Worker``'s work.

    Raises what ``Reader.transcribe`` does, and ``VideoError`` if it goes over the limits.
    """
    with named(path, name):
        crops = _Watched(limits, tell, check(path, limits))
        reader = reader_of(model)
        timeline = Timeline()
        stream = crops.watch(reader.mouths(ahead(read_frames(path, timeline))))
        transcript = reader.transcribe_stream(stream, name, decode, timeline=timeline)
    best = _alternatives(reader, crops.first, decode) if crops.count <= LONGEST else ()
    return Reading(transcript, best, crops.strip(), crops.count / FPS)


def preview(path: Path, name: str, target: Path, limits: Limits, tell: Tell) -> None:
    """Write the video at ``path`` as one that browsers play, H.264, with its times; a ``Worker``'s work.

    Raises ``VideoError``.
    """
    timeline = Timeline()

    def frames(expected: int | None) -> Iterator[Frame]:
        for number, frame in enumerate(ahead(read_frames(path, timeline))):
            _told(number, expected, limits, tell)
            yield frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]  # H.264 has only even sides

    with named(path, name):
        write_video(target, frames(check(path, limits)), timeline=timeline)


def check(path: Path, limits: Limits) -> int | None:
    """How many frames a video has by its header, at 25 a second, if that tells.

    Raises ``VideoError`` if it is of no format that is read, or larger or longer than the limits allow.
    """
    try:
        with av.open(str(path), options={"format_whitelist": _FORMATS}) as container:
            stream = film_stream(container)
            if stream and stream.width * stream.height > limits.pixels:
                raise VideoError(f"{path}: {stream.width}x{stream.height} pixels; {MAX_SIDE} on each side are enough")
            seconds = container.duration / av.time_base if container.duration else None
    except (av.FFmpegError, OSError) as error:
        if path.exists() and not path.stat().st_size:
            raise VideoError(f"{path}: the file is empty; send the video again") from error
        raise VideoError(f"{path}: not a video, or damaged; give mpg, mp4, mov, webm, avi or mkv") from error
    if seconds and seconds > limits.video:
        raise VideoError(f"{path}: {_long(limits)}")
    return round(seconds * FPS) if seconds else None


def _long(limits: Limits) -> str:
    return f"over {limits.video} s long, and this server reads no more; cut it, or use 'gunileo transcribe'"


def _told(frame: int, expected: int | None, limits: Limits, tell: Tell) -> None:
    if frame >= limits.video * FPS:
        raise VideoError(f"the video is {_long(limits)}")
    if frame % _EVERY == 0:
        tell(frame, expected)


@contextmanager
def named(path: Path, name: str) -> Iterator[None]:
    """Errors about ``path`` name the file as its sender does."""
    try:
        yield
    except GunileoError as error:
        raise type(error)(str(error).replace(str(path), name)) from None


def reader_of(model: str) -> Reader:
    """The reader of a model, loaded once; again when it was taught or imported anew."""
    known, stored = registry.taught(model), registry.imported(model)
    return _loaded(model, known.version if known else stored.date if stored else "")


@lru_cache(maxsize=4)
def _loaded(model: str, version: str) -> Reader:
    return load_model(model)


def _alternatives(reader: Reader, mouths: list[Mouth], decode: str | None) -> tuple[tuple[str, float], ...]:
    if reader.way(decode) != "grammar" and reader.metadata.grammar:
        return ()  # only the grammar's shares tell anything of these models
    found = reader.nbest(MouthClip.of(mouths), _BEST, decode)
    return tuple((decoded.text, decoded.confidence) for decoded in found)


def tiled(crops: Sequence[Crops] | Crops) -> bytes:
    """A PNG of mouth crops spread evenly over these, side by side."""
    middles = ((np.arange(_TILES) + 0.5) / _TILES * (len(crops) - 1)).round().astype(int)
    return to_png(np.concatenate([crops[at] for at in middles], axis=1))


class _Watched:
    """A stream of mouth crops that goes by, with what is kept of it."""

    def __init__(self, limits: Limits, tell: Tell, expected: int | None):
        self.count = 0
        self.first: list[Mouth] = []  # those of a clip of one sentence
        self._tiles: list[Crops] = []  # every ``_step``-th
        self._step = 1
        self._limits, self._tell, self._expected = limits, tell, expected

    def watch(self, stream: Iterator[Mouth | None]) -> Iterator[Mouth | None]:
        for mouth in stream:
            _told(self.count, self._expected, self._limits, self._tell)
            if mouth is not None and len(self.first) < LONGEST:
                self.first.append(mouth)
            if self.count % self._step == 0:
                self._tiles.append(np.zeros((HEIGHT, WIDTH), np.uint8) if mouth is None else mouth.crop)
                if len(self._tiles) == 8 * _TILES:  # so that a long video takes no more memory than a short one
                    self._tiles, self._step = self._tiles[::2], 2 * self._step
            self.count += 1
            yield mouth

    def strip(self) -> bytes:
        return tiled(self._tiles)
