"""What is saved and what is lost where the mesh runs in every second frame, as the lips are calm.

    python benchmarks/calm.py CLIP... [--model M]

Follows each clip as `gunileo transcribe` does, and with the mesh in each frame. Prints how often the face models run,
how far the mouth's points and crops are apart, and how many clips and words are read in another way. Where the clips
have GRID's names, it also prints the share of wrong words, both ways.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from unittest.mock import patch

import jiwer
import numpy as np

from gunileo.corpus.grid import code_to_text
from gunileo.errors import GunileoError
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.inference.registry import DEFAULT
from gunileo.vision.detector import Model
from gunileo.vision.mouth import mouth_stream
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.mouth_shape import POINTS
from gunileo.vision.video import Frame, read_frames

WAYS = ("greedy", "grammar")


def main() -> None:
    """Compare all clips."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIP")
    parser.add_argument("--model", default=DEFAULT, help="shipped model, a run's folder, or an .onnx file")
    arguments = parser.parse_args()
    try:
        reader = load_model(arguments.model)
        found = [compared(clip, reader) for clip in arguments.clips]
    except GunileoError as error:
        raise SystemExit(str(error)) from None
    numbers, texts = zip(*found, strict=True)
    runs, points, crops = np.array(numbers).mean(0)
    print(f"{len(found)} clips: the face models run {runs:.2f} times as often")
    print(f"mouth's points {points:.3f} pixels apart, crops {crops:.2f} grey levels")
    for number, way in enumerate(WAYS):
        each, spared = ([one[number][which] for one in texts] for which in (0, 1))
        words = sum(error_count(one, other) for one, other in zip(each, spared, strict=True))
        print(f"{way}: {words} words of {sum(len(one.split()) for one in each)} differ")
        for clip, one, other in zip(arguments.clips, each, spared, strict=True):
            if one != other:
                print(f"  {clip.parent.name}/{clip.stem}: {one} | {other}")
        if all(len(clip.stem) == 6 for clip in arguments.clips):
            said = [code_to_text(clip.stem) for clip in arguments.clips]
            wrong = jiwer.wer(said, each), jiwer.wer(said, spared)
            print(f"  wrong words: {wrong[0]:.2%} with every frame, {wrong[1]:.2%} as it is read")


def compared(clip: Path, reader: Reader) -> tuple[list[float], list[tuple[str, str]]]:
    """Of a clip: runs as a share, points and crops apart; texts in both ways for each of ``WAYS``."""
    frames = list(read_frames(clip))
    with counted() as often:
        each = followed(frames, 1)
    with counted() as seldom:
        spared = followed(frames, None)
    if len(each) != len(spared):
        raise GunileoError(f"{clip}: a face is not in the same frames both ways; leave it out")
    points = (each.measures - spared.measures)[:, : 2 * len(POINTS)].reshape(len(each), -1, 2)
    crops = np.abs(each.crops.astype(np.float32) - spared.crops)
    apart = [len(seldom) / len(often), float(np.linalg.norm(points, axis=-1).mean()), float(mean(crops.mean((1, 2))))]
    return apart, [(reader.read(each, way).text, reader.read(spared, way).text) for way in WAYS]


def followed(frames: list[Frame], at_once: int | None) -> MouthClip:
    """The mouth in the frames that have one."""
    return MouthClip.of([one for one in mouth_stream(frames, at_once=at_once) if one is not None])


@contextmanager
def counted() -> Iterator[list[None]]:
    """A list that gets an entry for each run of a face model."""
    runs: list[None] = []
    call = Model.__call__

    def run(model: Model, picture: Frame) -> object:
        runs.append(None)
        return call(model, picture)

    with patch.object(Model, "__call__", run):
        yield runs


def error_count(one: str, other: str) -> int:
    """Words by which two texts differ."""
    if not one or not other:
        return len(one.split()) + len(other.split())
    found = jiwer.process_words(one, other)
    return int(found.substitutions + found.deletions + found.insertions)


if __name__ == "__main__":
    main()
