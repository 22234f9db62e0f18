"""How fast Gunileo reads on this machine: each measurement the median of nine runs."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gunileo.errors import GunileoError
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.inference.registry import imported
from gunileo.util.onnx import Device
from gunileo.vision.mouth import read_mouth
from gunileo.vision.mouth_clip import MouthClip
from gunileo.vision.video import FPS, read_frames

REPEATS = 9
FRAMES, BATCH = 75, 16  # of the network's measurements
_MATRIX = 2048  # rows and columns of the matrix product, 17 GFLOP
_PRODUCT = f"""
import time, numpy
a = numpy.ones(({_MATRIX}, {_MATRIX}), numpy.float32)
for _ in range({REPEATS}):
    start = time.perf_counter()
    a @ a
    print(2 * {_MATRIX}**3 / (time.perf_counter() - start) / 1e9)
"""


@dataclass(frozen=True)
class Measurement:
    """What was measured, its unit and each value."""

    name: str
    unit: str
    values: list[float]

    @property
    def median(self) -> float:
        """The value to report."""
        return statistics.median(self.values)

    @property
    def range(self) -> str:
        """The lowest and the highest measurement."""
        return f"{min(self.values):.3g}-{max(self.values):.3g}"


def measure(clip: Path, model: str, device: Device = "auto") -> Iterator[Measurement]:
    """All measurements of reading, each as soon as it is known; ``device`` is ``load_model``'s.

    An imported model's network takes one clip at once, so several at once aren't measured. Raises ``GunileoError`` if
    the clip or the model can't be used, or no sentence begins in the clip.
    """
    transcribe = ["-m", "gunileo", "transcribe", str(clip), "--model", model, "--device", device]
    measurements: list[Callable[[], Measurement]] = [
        product,
        partial(reading, clip, model, device=device),
        partial(network, clip, model, device),
        *([] if imported(model) else [partial(batches, clip, model, device)]),
        partial(live, clip, model, device),
        partial(cold, "transcribe it, from the shell", transcribe),
        partial(cold, "import gunileo", ["-c", "import gunileo"]),
    ]
    for measurement in measurements:
        yield measurement()


def reading(clip: Path, model: str, name: str = "read a clip", device: Device = "auto") -> Measurement:
    """Reading a clip with a loaded model, from the file to the words; the first time is not counted."""
    seconds = sum(1 for _ in read_frames(clip)) / FPS
    reader = load_model(model, device)
    times = timed(lambda: reader.transcribe(clip), REPEATS + 1)[1:]
    return Measurement(name, "x real time", [seconds / taken for taken in times])


def _long(clip: Path, reader: Reader) -> MouthClip:
    mouths = read_mouth(clip, reader.view)
    return mouths[np.arange(FRAMES) % len(mouths)]


def network(clip: Path, model: str, device: Device = "auto") -> Measurement:
    """From the mouth crops of 75 frames to their log-probabilities."""
    reader = load_model(model, device)
    mouths = _long(clip, reader)
    times = timed(lambda: reader.log_probabilities(mouths), REPEATS + 1)[1:]
    return Measurement(f"network, {FRAMES} frames", "ms", [1000 * taken for taken in times])


def batches(clip: Path, model: str, device: Device = "auto") -> Measurement:
    """Log-probabilities of 16 clips of 75 frames at once."""
    reader = load_model(model, device)
    mouths = _long(clip, reader)
    many = {name: np.repeat(value, BATCH, axis=0) for name, value in reader.inputs(mouths).items()}
    times = timed(lambda: reader.session.run(["log_probabilities"], many), REPEATS + 1)[1:]
    return Measurement(f"network, {BATCH} clips at once", "clips/s", [BATCH / taken for taken in times])


def live(clip: Path, model: str, device: Device = "auto") -> Measurement:
    """How long the frame that ends a sentence, or the end on demand, takes to give its text.

    Raises ``GunileoError`` if no sentence is said in the clip.
    """
    reader, frames = load_model(model, device), list(read_frames(clip))
    times = []
    for _ in range(REPEATS):
        stream = reader.live()
        for frame in frames:
            begun = time.perf_counter()
            if stream.push(frame):
                times.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        if stream.flush():
            times.append(time.perf_counter() - begun)
    if not times:
        raise GunileoError(f"{clip}: no sentence is said in it; give a video of a face that talks")
    return Measurement("camera, last frame to text", "ms", [1000 * taken for taken in times])


def cold(name: str, arguments: list[str]) -> Measurement:
    """A Python process from its start to its end; the first time, with the disk's cache empty, is counted."""

    def start() -> None:
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise GunileoError(f"{' '.join(arguments)}: failed: {done.stderr.strip()}")

    return Measurement(name, "s", timed(start, REPEATS))


def product() -> Measurement:
    """This machine's own measure: products of float32 matrices on one thread, in NumPy."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, "-c", _PRODUCT], capture_output=True, text=True, check=True, env=os.environ | one
    )
    return Measurement("matrix product, one thread", "GFLOP/s", [float(line) for line in done.stdout.split()])


def timed(job: Callable[[], object], repeats: int) -> list[float]:
    """Seconds that each run of a job takes."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return times
