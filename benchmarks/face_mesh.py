"""What the face mesh costs, and what is lost if it runs in every second frame only.

    python benchmarks/face_mesh.py CLIP... [--beside FILE.onnx]

Prints the time of the face mesh on one core, beside that of another model of the same input. Then it compares the lips
of every second frame, interpolated from the two frames around it, with those that the mesh finds there, in pixels of
the clip: by their place, and by their shape alone. Beside that it prints how far the lips move in a frame, and how far
they differ if only the crop is another.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from gunileo.errors import GunileoError
from gunileo.vision import face
from gunileo.vision.face import LEFT_EYE, LIPS, RIGHT_EYE, FaceTracker
from gunileo.vision.mouth_shape import INNER_LIPS
from gunileo.vision.video import Frame, read_frames

Array = NDArray[np.float32]

ROUNDS, RUNS = 40, 10
MOUTH = np.array([*LIPS, *INNER_LIPS])
# Between two points each: how far the lips are open, inside and outside, and how wide.
OPENINGS = {"inner height": (13, 14), "outer height": (0, 17), "outer width": (61, 291), "inner width": (78, 308)}


def main() -> None:
    """Time the mesh, then compare each clip, and all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIP")
    parser.add_argument("--beside", type=Path, metavar="FILE", help="another mesh, such as an earlier one")
    arguments = parser.parse_args()
    paths = [path for path in (arguments.beside, Path(face.__file__).parent / "landmarks" / face.MESH) if path]
    for path, times in zip(paths, spent(paths), strict=True):
        print(f"{path.name}: {median(times):.3f} ms, at least {min(times):.3f}")
    try:
        found = np.array([[*between(list(read_frames(clip)))] for clip in arguments.clips])
    except GunileoError as error:
        raise SystemExit(str(error)) from None
    names = ["place", "shape", "movement of the shape in a frame", "shape in another crop"]
    for name, value in zip(names, found.mean(0), strict=False):
        print(f"{name}: {value:.3f} pixels")
    for at, name in enumerate(OPENINGS, len(names)):
        still, moving = found.mean(0)[[at, at + len(OPENINGS)]]
        print(f"{name}: correlation {still:.3f}, of its changes from frame to frame {moving:.3f}")


def spent(paths: list[Path]) -> list[list[float]]:
    """Milliseconds a run of each model, in turns."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = [onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]) for path in paths]
    picture = np.random.default_rng(0).integers(0, 256, (1, 192, 192, 3), np.uint8)
    times: list[list[float]] = [[] for _ in paths]
    for _ in range(ROUNDS):
        for session, taken in zip(sessions, times, strict=True):
            start = time.perf_counter()
            for _ in range(RUNS):
                session.run(None, {"picture": picture})
            taken.append((time.perf_counter() - start) / RUNS * 1000)
    return times


def between(frames: list[Frame]) -> list[float]:
    """Of a clip: mean distances of the lips, then correlations of openings and of their changes."""
    frames = frames[: (len(frames) - 1) // 2 * 2 + 1]
    looked, half = tracked(frames, 1), tracked(frames, 2)
    taken = np.empty_like(looked)
    taken[::2], taken[1::2] = half, (half[:-1] + half[1:]) / 2
    apart = [np.linalg.norm(taken[1::2, MOUTH, :2] - looked[1::2, MOUTH, :2], axis=-1).mean()]
    shapes, others = shape(looked), shape(taken)
    for a, b in ((shapes[1::2], others[1::2]), (shapes[1:], shapes[:-1]), (shapes[::2], others[::2])):
        apart.append(np.linalg.norm(a - b, axis=-1).mean())
    rows = [[np.linalg.norm(one[:, a] - one[:, b], axis=-1) for a, b in OPENINGS.values()] for one in (looked, taken)]
    still = [np.corrcoef(a, b)[0, 1] for a, b in zip(*rows, strict=True)]
    moving = [np.corrcoef(np.diff(a), np.diff(b))[0, 1] for a, b in zip(*rows, strict=True)]
    return [float(value) for value in (*apart, *still, *moving)]


def tracked(frames: list[Frame], step: int) -> Array:
    """Landmarks of each frame, or of every second."""
    faces = FaceTracker()
    faces.start(frames[:13:4])
    found = [one for frame in frames[::step] for one in faces([frame]) if one is not None]  # one by one, all looked at
    if len(found) < len(frames[::step]):
        raise GunileoError("a clip without a face in every frame; leave it out")
    return np.stack(found)


def shape(landmarks: Array) -> Array:
    """The lips about their middle, turned along the line of the eyes, in pixels."""
    x, y = (landmarks[:, LEFT_EYE, :2] - landmarks[:, RIGHT_EYE, :2]).T
    turn = np.stack([np.stack([x, -y], -1), np.stack([y, x], -1)], 1) / np.hypot(x, y)[:, None, None]
    lips = landmarks[:, MOUTH, :2]
    return np.asarray((lips - lips.mean(1, keepdims=True)) @ turn, np.float32)


if __name__ == "__main__":
    main()
