"""What it costs to look at every second frame alone: python benchmarks/crops.py CLIP... [--models M,M]

Cuts out each clip's mouth crops as a reader does, and by the face in every single frame. Prints how far the crop's
centre and corners are apart, in pixels of the frame, how steady both are, and each clip that is read otherwise.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gunileo.errors import GunileoError
from gunileo.inference.reader import load_model
from gunileo.vision.face import FaceTracker
from gunileo.vision.crop import Crops
from gunileo.vision.mouth import _Path, _pose, mouth_stream
from gunileo.vision.video import Frame, read_frames

# Crops [100, 150] and their corners [4, 2], of each frame, None where there is no face.
Cut = tuple[list[Crops | None], list[NDArray[np.float32] | None]]


def main() -> None:
    """Compare each clip, and all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIP")
    parser.add_argument("--models", default="labial-wide,labial", help="shipped models or runs, by commas")
    arguments = parser.parse_args()
    centres, corners, rough = [], [], []
    read = changed = 0
    try:
        readers = [load_model(name) for name in arguments.models.split(",")]
        for clip in arguments.clips:
            frames = list(read_frames(clip))
            (crops, outlines), (full, full_outlines) = (_whole(clip, cut(frames)) for cut in (as_read, every_frame))
            centres.append(np.linalg.norm(outlines.mean(1) - full_outlines.mean(1), axis=-1))
            corners.append(np.linalg.norm(outlines - full_outlines, axis=-1).ravel())
            rough.append([np.linalg.norm(np.diff(c.mean(1), n=2, axis=0), axis=-1) for c in (outlines, full_outlines)])
            for reader in readers:
                for how in ("greedy", "grammar"):
                    texts = [reader.decode(reader.log_probabilities(cut), how).text for cut in (crops, full)]
                    read += 1
                    if texts[0] != texts[1]:
                        changed += 1
                        print(f"{clip}: {reader.name}, {how}: {texts[0]!r}, by every frame {texts[1]!r}")
    except GunileoError as error:
        raise SystemExit(str(error)) from None
    for name, apart in (("centre", np.concatenate(centres)), ("corners", np.concatenate(corners))):
        print(f"{name} apart: {apart.mean():.3f} pixels on average, {apart.max():.3f} at most")
    steady, full_steady = (np.concatenate([clip[at] for clip in rough]).mean() for at in (0, 1))
    print(f"jitter (second difference of the centre): {steady:.4f} pixels, by every frame {full_steady:.4f}")
    print(f"{changed} of {read} texts changed, of {len(centres)} clips")


def as_read(frames: Sequence[Frame]) -> Cut:
    """Cut out as a reader of files does."""
    outlines: list[NDArray[np.float32] | None] = []
    return list(mouth_stream(frames, watch=outlines.append)), outlines


def every_frame(frames: Sequence[Frame]) -> Cut:
    """Cut out by landmarks in each frame, up to where the face is lost."""
    outlines: list[NDArray[np.float32] | None] = []
    path, faces = _Path(outlines.append), FaceTracker()
    faces.start(list(frames[:13:4]))
    crops = []
    for frame, landmarks in zip(frames, faces(frames), strict=True):
        crops += path.push(frame, None if landmarks is None else _pose(landmarks))
        if path.broken:
            return crops, outlines
    return crops + path.close(), outlines


def _whole(clip: Path, cut: Cut) -> tuple[Crops, NDArray[np.float32]]:
    """The crops and corners of a clip with a face in every frame, [T, 100, 150] and [T, 4, 2]."""
    crops, outlines = ([one for one in part if one is not None] for part in cut)
    if len(crops) < len(cut[0]):
        raise GunileoError(f"{clip}: a face in {len(crops)} of {len(cut[0])} frames alone; leave it out")
    return np.stack(crops), np.stack(outlines)


if __name__ == "__main__":
    main()
