"""What it costs to look at every second frame alone: python benchmarks/regions.py CLIP... [--models M,M]

Cuts out each clip's mouth regions as a reader does, and by the face in every single frame. Prints how far the region's
centre and corners are apart, in pixels of the frame, how steady both are, and each clip that is read otherwise.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from gunileo.engine import load_model
from gunileo.errors import GunileoError
from gunileo.face import FaceTracker
from gunileo.mouth import Regions, _Path, _pose, mouth_stream
from gunileo.video import Frame, read_frames

Cut = tuple[Regions, np.ndarray]  # regions [T, 100, 150], their corners [T, 4, 2]


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
            (regions, outlines), (full, full_outlines) = as_read(clip, frames), every_frame(clip, frames)
            centres.append(np.linalg.norm(outlines.mean(1) - full_outlines.mean(1), axis=-1))
            corners.append(np.linalg.norm(outlines - full_outlines, axis=-1).ravel())
            rough.append([np.linalg.norm(np.diff(c.mean(1), n=2, axis=0), axis=-1) for c in (outlines, full_outlines)])
            for reader in readers:
                for how in ("greedy", "grammar"):
                    texts = [reader.decode(reader.log_probabilities(cut), how).text for cut in (regions, full)]
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


def as_read(clip: Path, frames: list[Frame]) -> Cut:
    """Cut out as a reader of files does."""
    outlines: list[np.ndarray | None] = []
    regions = [region for region in mouth_stream(frames, watch=outlines.append) if region is not None]
    return _whole(clip, regions, outlines, frames)


def every_frame(clip: Path, frames: list[Frame]) -> Cut:
    """Cut out by landmarks in each frame."""
    outlines: list[np.ndarray | None] = []
    path, faces = _Path(outlines.append), FaceTracker()
    faces.start(frames[:13:4])
    regions = []
    for frame, landmarks in zip(frames, faces(frames), strict=True):
        regions += path.push(frame, None if landmarks is None else _pose(landmarks))
        if path.broken:
            break
    else:
        regions += path.close()
    return _whole(clip, [region for region in regions if region is not None], outlines, frames)


def _whole(clip: Path, regions: list[Regions], outlines: list[np.ndarray | None], frames: list[Frame]) -> Cut:
    if len(regions) < len(frames):
        raise GunileoError(f"{clip}: a face in {len(regions)} of {len(frames)} frames alone; leave it out")
    return np.stack(regions), np.stack([outline for outline in outlines if outline is not None])


if __name__ == "__main__":
    main()
