"""What is read, other than a file by its path: a video's bytes, a file object, and frames as arrays."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from itertools import count, repeat
from pathlib import Path
from typing import IO, Any

import numpy as np

from gunileo.errors import GunileoError
from gunileo.vision.container import why
from gunileo.vision.timeline import Timeline
from gunileo.vision.video import FPS, MAX_STILL, Frame, VideoError, read_frames

# A path, the bytes of a video file, a file object, or frames: whatever ``as_frame`` takes, one after the other.
Source = str | os.PathLike[Any] | bytes | bytearray | memoryview | IO[bytes] | Iterable[Any]

_TAKEN = "a frame is a picture in RGB, uint8 [height, width, 3], or [..., 4] with alpha, or grey [height, width]"
_SOURCES = "give a path, the bytes of a video, a file opened with 'rb', or the frames of a clip one after the other"


class InputError(GunileoError):
    """What is given to be read is of no kind that can be."""


def name_of(source: Source) -> str:
    """What a transcript names as its file: a path, a file object's own name, else "bytes", "file" or "frames"."""
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return "bytes"
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        return name if isinstance(name, str) else "file"
    return "frames"


def frames_of(
    source: Source,
    fps: float | None = None,
    times: Iterable[float] | None = None,
    timeline: Timeline | None = None,
) -> Iterator[Frame]:
    """The frames of a source, RGB uint8 [height, width, 3], 25 a second; ``timeline`` is told when they are shown.

    Frames come at ``fps`` a second (25 if None) or at ``times`` in seconds, one for each, in order. One that stands for
    over ten seconds is repeated for ten. What has no path is kept in a temporary file meanwhile. Raises ``InputError``
    if the source is of another kind; else as ``read_frames``.
    """
    if fps is not None and times is not None:
        raise InputError("both fps and times are given; frames have either a rate or times")
    if fps is not None and not _number(fps) > 0:
        raise InputError(f"{fps!r} can't be a frame rate; give a number above 0")
    is_file = isinstance(source, str | os.PathLike | bytes | bytearray | memoryview) or hasattr(source, "read")
    if is_file and (fps is not None or times is not None):
        raise InputError(f"{name_of(source)}: a video has its own times; fps and times are for frames")
    if isinstance(source, str | os.PathLike):
        return read_frames(os.fsdecode(source), timeline)
    if is_file:
        return _stored(source, timeline)
    clock = (number / (FPS if fps is None else _number(fps)) for number in count()) if times is None else iter(times)
    return _evenly(_frames(source), clock, timeline or Timeline())


def as_frame(picture: Any) -> Frame:
    """A picture as a frame, RGB uint8 [height, width, 3]: of an array, a tensor of PyTorch's, a picture of PIL's, or a
    frame of PyAV's.

    Grey ones [height, width] or [height, width, 1] get three equal channels, alpha is left out. Raises ``InputError``
    with what is taken, if it is something else.
    """
    if type(picture) is np.ndarray and picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3:
        array = picture
    else:
        array = _array(picture)
    if array.dtype != np.uint8:
        raise InputError(f"a frame of {array.dtype}; {_TAKEN}, from 0 to 255")
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or not array.size:
        moved = ", with the channels last" if array.ndim == 3 and array.shape[0] in (1, 3, 4) and array.size else ""
        raise InputError(f"a frame of shape {list(array.shape)}; {_TAKEN}{moved}")
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    return array[..., :3]


def _array(picture: Any) -> Any:
    """What any library's picture is as an array."""
    if isinstance(picture, np.ndarray):
        return picture
    if hasattr(picture, "detach") and hasattr(picture, "cpu"):  # a tensor of PyTorch's, on any device
        return np.asarray(picture.detach().cpu())
    if hasattr(picture, "to_ndarray") and hasattr(picture, "reformat"):  # a frame of PyAV's
        return picture.to_ndarray(format="rgb24")
    if hasattr(picture, "convert") and hasattr(picture, "getbands"):  # a picture of PIL's
        return np.asarray(picture.convert("RGB"))
    if hasattr(picture, "__array__") or hasattr(picture, "__array_interface__"):
        return np.asarray(picture)
    raise InputError(f"{_called(picture)} is not a frame; {_TAKEN}")


def _frames(source: Any) -> Iterator[Frame]:
    shape = getattr(source, "shape", None)
    picture = shape is not None and (len(shape) < 3 or (len(shape) == 3 and shape[-1] in (3, 4)))
    if picture or hasattr(source, "getbands"):
        raise InputError(f"a single picture is not a clip; {_SOURCES}")
    if isinstance(source, dict) or not (hasattr(source, "__iter__") or hasattr(source, "__getitem__")):
        raise InputError(f"{_called(source)} can't be read; {_SOURCES}")
    return _of_one_size(map(as_frame, source))


def _of_one_size(frames: Iterator[Frame]) -> Iterator[Frame]:
    first: tuple[int, ...] = ()
    for number, frame in enumerate(frames, 1):
        first = first or frame.shape
        if frame.shape != first:
            sizes = f"{frame.shape[1]}x{frame.shape[0]} pixels, those before it {first[1]}x{first[0]}"
            raise InputError(f"frame {number} has {sizes}; give frames of one size")
        yield frame


def _called(thing: Any) -> str:
    if thing is None:
        return "None"
    name = type(thing).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"


def _number(given: Any) -> float:
    """A number of any library's, such as a tensor's element, as Python's; NaN if it is none, or not finite."""
    try:
        number = math.nan if isinstance(given, str | bytes) else float(given)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def _evenly(frames: Iterator[Frame], times: Iterator[float], timeline: Timeline) -> Iterator[Frame]:
    """Frames that are shown from ``times`` on at 25 a second, each the nearest, as FFmpeg's ``fps`` filter has them."""
    first = last = 0.0
    waiting: Frame | None = None  # until the next one tells how long it is shown
    slot = given = 0  # frames of 1/25 s before the one that waits: by its time, and as given
    for number, frame in enumerate(frames):
        told = next(times, None)
        time = _number(told)
        if math.isnan(time):
            raise InputError(f"frame {number + 1} has no time in seconds but {told!r}; give as many times as frames")
        if number and time < last:
            raise InputError(f"frame {number + 1} comes at {time} s, after one at {last} s; times have to increase")
        if waiting is None:
            first = time
            timeline.begin(0, first)
        else:
            following = math.floor((time - first) * FPS + 0.5)
            repeated = min(following - slot, MAX_STILL)
            yield from repeat(waiting, repeated)
            given += repeated
            if repeated < following - slot:
                timeline.begin(given, first + following / FPS)
            slot = following
        waiting, last = frame, time
    if waiting is not None:
        timeline.duration = last + 1 / FPS
        yield waiting


def _position(file: Any) -> int:
    """Where a file object stands, 0 if it doesn't tell."""
    try:
        return int(file.tell())
    except (AttributeError, OSError, TypeError):
        return 0


def _pour(source: Any, name: str, file: IO[bytes]) -> None:
    if isinstance(source, bytes | bytearray | memoryview):
        file.write(source)
        return
    try:
        shutil.copyfileobj(source, file)
    except (TypeError, AttributeError, ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: gives no bytes ({error}); {_SOURCES}") from None
    if not file.tell() and _position(source):
        raise InputError(f"{name}: was read to its end already; go back with seek(0)")


def _stored(source: Any, timeline: Timeline | None) -> Iterator[Frame]:
    """The frames of a video that has no path; its faults are told by its name."""
    name = name_of(source)
    with tempfile.TemporaryDirectory(prefix="gunileo-") as folder:
        path = Path(folder, "video")
        try:
            with path.open("wb") as file:
                _pour(source, name, file)
        except OSError as error:
            raise why(name, error) from error
        try:
            yield from read_frames(path, timeline)
        except VideoError as error:
            raise VideoError(str(error).replace(str(path), name)) from error
