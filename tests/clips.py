"""Video files for the tests: talking, oddly timed, turned, and bad in every way a corpus can be.

Each function writes one file and returns its path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from gunileo.corpus.synthetic import Interval, speak
from gunileo.vision.video import write_video

Frames = NDArray[np.uint8]  # [frames, height, width, 3], RGB
CODE = "bbaf2n"  # what the talking clips say


@cache
def talking() -> tuple[Frames, list[Interval]]:
    """The frames and alignment of a talking clip, made once."""
    frames, segments = speak(CODE)
    frames.flags.writeable = False
    return frames, segments


def good(path: Path, frames: int = 75) -> Path:
    write_video(path, talking()[0][:frames])
    return path


_CODECS = {".mpg": "mpeg1video", ".webm": "libvpx-vp9", ".avi": "mpeg4", ".mkv": "libx264", ".mov": "libx264"}


def coded(path: Path, frames: int = 75) -> Path:
    """The talking clip in the codec that is usual for the file's suffix."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(_CODECS.get(path.suffix, "libx264"), rate=25)
        stream.height, stream.width = talking()[0].shape[1:3]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        if path.suffix == ".webm":
            stream.options = {"deadline": "realtime", "cpu-used": "8"}
        for pixels in talking()[0][:frames]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


# Files that are no video, or not a whole one


def empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def text(path: Path) -> Path:
    """A text file, whatever its suffix says."""
    path.write_text("This is a letter and not a film.\n" * 100)
    return path


def truncated(path: Path, index_first: bool = False) -> Path:
    """The first 60 % of an mp4; with its index at the end (lost) or at the front (then the data is cut)."""
    whole = path.with_name(f"whole-{path.name}")
    write_timed(whole, talking()[0], np.arange(75) / 25, {"movflags": "faststart"} if index_first else {})
    data = whole.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    whole.unlink()
    return path


def audio_only(path: Path) -> Path:
    """A second of a tone, no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        stream.layout = "mono"
        for start in range(0, 16000, 1000):
            tone = np.sin(2 * np.pi * 440 * np.arange(start, start + 1000) / 16000).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(tone[None] / 4, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


# Videos with the wrong thing in them


def one_frame(path: Path) -> Path:
    return good(path, frames=1)


def black(path: Path, frames: int = 30) -> Path:
    write_video(path, np.zeros((frames, 288, 360, 3), dtype=np.uint8))
    return path


def no_face(path: Path, frames: int = 30) -> Path:
    """A grey wall in grainy light."""
    rng = np.random.default_rng(0)
    wall = np.linspace(60, 200, 360)[None, None, :, None] + rng.normal(0, 5, (frames, 288, 360, 3))
    write_video(path, np.clip(wall, 0, 255).astype(np.uint8))
    return path


def face_gone(path: Path, start: int, end: int) -> Path:
    """A talking clip whose frames from ``start`` up to ``end`` are black."""
    frames = talking()[0].copy()
    frames[start:end] = 0
    write_video(path, frames)
    return path


def beside(frame: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """A smaller copy of a frame in the middle of a grey picture of the frame's size."""
    small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    picture = np.full_like(frame, 200)
    top, left = (frame.shape[0] - small.shape[0]) // 2, (frame.shape[1] - small.shape[1]) // 2
    picture[top : top + small.shape[0], left : left + small.shape[1]] = small
    return picture


def two_faces(path: Path, frames: int = 30) -> Path:
    """720x288: on the left a face as in ``good``, on the right the same at half of its size, 1.6 s later."""
    large, later = talking()[0][:frames], talking()[0][40 : 40 + frames]
    pairs = zip(large, later, strict=True)
    write_video(path, [np.concatenate([frame, beside(other, 0.5)], axis=1) for frame, other in pairs])
    return path


# Time


def clock(index: int, size: tuple[int, int] = (64, 96)) -> NDArray[np.uint8]:
    """A frame ``[64, 96, 3]`` that shows its index as eight bits, black or white bars, highest left."""
    bits = [(index >> bit) & 1 for bit in range(7, -1, -1)]
    bars = np.repeat(np.array(bits, dtype=np.uint8) * 220 + 16, size[1] // 8)
    return np.broadcast_to(bars[None, :, None], (*size, 3)).copy()


def read_clock(frame: NDArray[np.uint8]) -> int:
    """The index that a frame of ``clock`` shows after coding, at any size."""
    middle = frame[frame.shape[0] // 2, :, 1]
    bars = middle[np.arange(8) * len(middle) // 8 + len(middle) // 16] > 126
    return int(sum(int(bar) << (7 - place) for place, bar in enumerate(bars)))


def clock_video(path: Path, times: Sequence[float] | NDArray[np.float64]) -> Path:
    """Frames 0, 1, 2, ... of ``clock`` shown from these times in seconds on (256 at most)."""
    write_timed(path, (clock(index) for index in range(len(times))), times)
    return path


def variable_times(count: int = 72, seed: int = 0) -> NDArray[np.float64]:
    """Times in seconds of about 24 frames a second, unevenly spaced as Lombard GRID's are."""
    steps = np.random.default_rng(seed).uniform(0.025, 0.058, count)
    return np.round(np.cumsum(steps) - steps[0], 4)


def write_timed(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    times: Sequence[float] | NDArray[np.float64],
    options: dict[str, str] | None = None,
) -> None:
    """Write RGB frames as H.264, each with its own time in seconds; ``options`` are the container's."""
    base = Fraction(1, 90000)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "18", "preset": "ultrafast"})
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = base
        for index, (pixels, time) in enumerate(zip(frames, times, strict=True)):
            if index == 0:
                stream.height, stream.width = pixels.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = round(time / base), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


# Phones


def turned(path: Path, frames: Iterable[NDArray[np.uint8]]) -> Path:
    """Upright RGB frames as a phone held upright stores them: lying on the side, with a note to turn them.

    The note is the matrix in the mp4's (or mov's) track header; players turn the picture a quarter clockwise.
    """
    lying = [np.rot90(frame).copy() for frame in frames]
    write_timed(path, lying, np.arange(len(lying)) / 25)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44
    quarter = (0, 1 << 16, 0, -(1 << 16), 0, 0, lying[0].shape[0] << 16, 0, 1 << 30)
    data[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in quarter)
    path.write_bytes(data)
    return path


def phone(path: Path, frames: int = 30) -> Path:
    """A talking clip in portrait format, 230x288 upright, stored on its side."""
    return turned(path, talking()[0][:frames, :, 65:295])


def phone_4k(path: Path, frames: int = 8) -> Path:
    """A talking clip of 2160x3840 pixels, stored on its side: 4K as a phone films it."""
    cut = talking()[0][:frames, :, 99:261]
    return turned(path, [cv2.resize(frame, (2160, 3840), interpolation=cv2.INTER_LINEAR) for frame in cut])


def another(frames: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The same talk by someone else in the same place and of the same size: what is bright in the face is dark."""
    shade = (0.65 + 0.45 * np.sin(np.linspace(0, 4.4 * np.pi, frames.shape[1])))[:, None, None]
    return [np.clip(frame * shade, 0, 255).astype(np.uint8) for frame in frames]


def difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """The mean difference of pixels."""
    assert a.shape == b.shape
    return float(np.abs(a.astype(np.int16) - b).mean())
