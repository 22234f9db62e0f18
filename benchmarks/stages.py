"""Where the time of reading a clip goes: python benchmarks/stages.py CLIP... [--model M]

Prints a table a clip, from the file to the words, in milliseconds of one core's time, medians of nine. The stages run
one after the other here, where a reader decodes large frames beside them. A model's fallback is a network, too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from gunileo.errors import GunileoError
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.inference.registry import DEFAULT
from gunileo.inference.session import Session
from gunileo.vision import detector, face, mouth_path
from gunileo.vision.mouth import mouth_stream
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.video import read_frames

REPEATS = 9
Spent = dict[str, float]  # milliseconds a stage
PARTS: tuple[tuple[str, Any, str], ...] = (
    ("warps for the face models", face, "warped"),
    ("warps for the face models", detector, "warped"),
    ("face models", detector.Model, "__call__"),
    ("from the mesh to landmarks", face.FaceTracker, "_landmarks"),
    ("boxes of faces", face, "face_box"),
    ("whether lips are calm", face, "_calm"),
    ("pose of the mouth", mouth_path, "pose_of"),
    ("measures of its shape", mouth_path, "measure"),
    ("smooth the poses", mouth_path, "smoothed"),
    ("crop the mouth", mouth_path, "crop_at"),
    ("networks", Session, "run"),
)


def main() -> None:
    """Profile each clip."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIP")
    parser.add_argument("--model", default=DEFAULT, help="shipped model, a run's folder, or an .onnx file")
    arguments = parser.parse_args()
    if sys.platform == "linux":  # where two cores share a stage, they wait for each other
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    try:
        reader = load_model(arguments.model)
        for clip in arguments.clips:
            report(clip, reader)
    except GunileoError as error:
        raise SystemExit(str(error)) from None


def report(clip: Path, reader: Reader) -> None:
    """Print the table of one clip."""
    rounds = [stages(clip, reader) for _ in range(REPEATS + 1)][1:]
    frames = next(iter(read_frames(clip)))
    print(f"\n{clip.name}, {frames.shape[1]}x{frames.shape[0]}: milliseconds on one core")
    for name in rounds[0]:
        print(f"{name:28}{statistics.median(one[name] for one in rounds):8.1f}")
    print(f"{'in all':28}{statistics.median(sum(one.values()) for one in rounds):8.1f}")


def stages(clip: Path, reader: Reader) -> Spent:
    """Milliseconds of each stage, in order."""
    spent: Spent = defaultdict(float)
    with timed(spent, "decode, to RGB at 25 a second"):
        frames = list(read_frames(clip))
    with ExitStack() as patches:
        for name, owner, attribute in PARTS:
            patches.enter_context(patch.object(owner, attribute, counted(spent, name, getattr(owner, attribute))))
        with timed(spent, "other"):
            mouths = MouthClip.of([one for one in mouth_stream(frames) if one is not None])
        with timed(spent, "words, confidence, sure"):
            reader.read(mouths)
    return spent


@contextmanager
def timed(spent: Spent, name: str) -> Iterator[None]:
    """Add the time that the block takes."""
    start, before = time.process_time(), sum(spent.values())
    yield
    within = sum(spent.values()) - before
    spent[name] += 1000 * (time.process_time() - start) - within


def counted(spent: Spent, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, its time added to ``spent``."""

    def run(*arguments: Any, **named: Any) -> Any:
        with timed(spent, name):
            return call(*arguments, **named)

    return run


if __name__ == "__main__":
    main()
