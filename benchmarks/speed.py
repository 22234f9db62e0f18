"""Measure how fast Gunileo is on this machine: python benchmarks/speed.py [--clip FILE] [--model M]

Prints a table of four figures, each beside its aim: preparing, reading with a loaded model, reading from a cold
shell, and building a data set. Keeps to two cores. Needs the "train" extra.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from gunileo.cores import usable_cores
from gunileo.corpus import Utterance, find_corpus
from gunileo.engine import load_model
from gunileo.errors import GunileoError
from gunileo.prepare import Cache, prepare
from gunileo.registry import DEFAULT
from gunileo.synthetic import make_corpus
from gunileo.video import FPS, read_frames

CODE = "bbaf2n"  # what the synthetic clip says
REPEATS = 9
UTTERANCES = 5000
MATRIX = 2048  # rows and columns of the matrix product, 17 GFLOP
_PRODUCT = f"""
import time, numpy
a = numpy.ones(({MATRIX}, {MATRIX}), numpy.float32)
for _ in range(7):
    start = time.perf_counter()
    a @ a
    print(2 * {MATRIX}**3 / (time.perf_counter() - start) / 1e9)
"""


@dataclass(frozen=True)
class Figure:
    """A row of the table: each measurement, and the aim for their median."""

    name: str
    unit: str
    values: list[float]
    aim: float
    at_least: bool  # or at most

    @property
    def median(self) -> float:
        """The figure to report."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool:
        """Whether the median reaches the aim."""
        return self.median >= self.aim if self.at_least else self.median <= self.aim


def main() -> None:
    """Measure all four and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clip", type=Path, help="video of about three seconds; a synthetic one if left out")
    parser.add_argument("--model", default=DEFAULT, help="shipped model, a run's folder, or an .onnx file")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    used = keep_to_two()
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            clip = arguments.clip or make_corpus(folder / "corpus", [CODE])[0]
            figures = [
                warm(clip, arguments.model),
                cold(clip, arguments.model),
                preparing(clip, folder / "cache"),
                building(folder),
            ]
        except GunileoError as error:
            raise SystemExit(str(error)) from None
    Console().print(table(figures, arguments.clip.name if arguments.clip else "a synthetic clip"))
    print(
        f"{used} of {os.cpu_count()} cores used; float32 matrix product {product():.0f} GFLOP/s on one thread; "
        f"load before the start {load:.1f}"
    )
    if load > 0.5:
        print("other work was running: a quiet machine is faster than this")
    if used < 2:
        print("the aims are for two cores")


def keep_to_two() -> int:
    """Keep this process and those it starts to two cores, which the aims are for, or to one; returns how many."""
    if sys.platform == "linux":  # elsewhere threads alone keep to it: two for the network, one for a worker
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    return min(2, usable_cores())


def warm(clip: Path, model: str) -> Figure:
    """Reading a clip with a loaded model, from the file to the words; the first time is not counted."""
    seconds = sum(1 for _ in read_frames(clip)) / FPS
    reader = load_model(model)
    times = timed(lambda: reader.transcribe(clip), REPEATS + 1)[1:]
    return Figure("read a clip, model loaded", "x real time", [seconds / taken for taken in times], 8, at_least=True)


def cold(clip: Path, model: str) -> Figure:
    """The command line from its start to its end; the first time, with the disk's cache empty, is counted."""
    command = [sys.executable, "-m", "gunileo", "transcribe", str(clip), "--model", model]

    def read() -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not done.stdout.strip():
            raise SystemExit(f"{' '.join(command)}: failed: {done.stderr.strip()}")

    return Figure("transcribe from a cold shell", "s", timed(read, REPEATS), 2, at_least=False)


def preparing(clip: Path, cache: Path) -> Figure:
    """Preparing with one worker, from the file to the PNG and its line in the manifest.

    Measured from one settled clip to the next, so that the start of the worker, once a corpus, is left out.
    """
    settled: list[float] = []
    clips = [Utterance(f"s1/{number}", "s1", clip, "") for number in range(REPEATS + 1)]
    report = prepare(clips, cache, 1, lambda done, total: settled.append(time.perf_counter()))
    if report.skipped:
        raise SystemExit(report.skipped[0][1])
    frames = Cache(cache).utterances[0].frames
    rates = [frames / (after - before) for before, after in pairwise(settled[1:])]  # the first is before any clip
    return Figure("prepare on one core", "frames/s", rates, 150, at_least=True)


def building(folder: Path) -> Figure:
    """Opening a cache of 5,000 utterances with word times, and making the data set of it; no picture is read."""
    cache, corpus = folder / "cache-5000", folder / "corpus-1"
    make_corpus(corpus, [CODE])
    prepare(find_corpus(corpus).utterances, cache, 1)
    manifest = cache / "manifest.jsonl"
    line = json.loads(manifest.read_text())
    names = [f"s1/{number:04}" for number in range(UTTERANCES)]
    manifest.write_text("".join(json.dumps({**line, "id": name, "file": f"{name}.png"}) + "\n" for name in names))
    from gunileo.dataset import Clips  # here, so that PyTorch's threads are not there while reading is measured

    def build() -> None:
        opened = Cache(cache)
        clips = Clips(opened, opened.utterances)
        if len(clips[0:128]) != 128 or len(clips) != UTTERANCES:
            raise SystemExit(f"{manifest}: the data set has {len(clips)} utterances")

    return Figure("data set of 5,000 utterances", "s", timed(build, REPEATS), 1, at_least=False)


def timed(job: Callable[[], object], repeats: int) -> list[float]:
    """Seconds that each run of a job takes."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return times


def product() -> float:
    """GFLOP/s of this machine's float32 matrix product on one thread, the median of seven."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, "-c", _PRODUCT], capture_output=True, text=True, check=True, env=os.environ | one
    )
    return statistics.median(map(float, done.stdout.split()))


def table(figures: list[Figure], clip: str) -> Table:
    """The figures: median, lowest to highest, aim."""
    result = Table(title=f"Gunileo on {clip}, {REPEATS} times each", title_justify="left")
    for column in ("", "median", "range", "aim", "met"):
        result.add_column(column, justify="right" if column in ("median", "range") else "left", no_wrap=True)
    for figure in figures:
        result.add_row(
            figure.name,
            f"{figure.median:.3g} {figure.unit}",
            f"{min(figure.values):.3g}-{max(figure.values):.3g}",
            f"{'over' if figure.at_least else 'under'} {figure.aim:g}",
            "yes" if figure.met else "no",
        )
    return result


if __name__ == "__main__":
    main()
