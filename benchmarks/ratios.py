"""What reading costs beside what no reader can do without: python benchmarks/ratios.py CLIP... [--model M] [--rounds N]

Machines differ, so this prints ratios. A further clip is set beside its plain decoding to RGB by PyAV in one thread. A
cold `gunileo transcribe` of the first clip is set beside a process that imports NumPy, PyAV and ONNX Runtime. Both
sides take turns. Prints medians: processor time, of all threads, and time as it passes. On a busy machine the latter
says little.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av

from gunileo.errors import GunileoError
from gunileo.inference.bench import REPEATS, product
from gunileo.inference.load import load_model
from gunileo.inference.registry import DEFAULT

IMPORTS = "import numpy, av, onnxruntime"


def main() -> None:
    """Measure each clip, then cold starts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIP")
    parser.add_argument("--model", default=DEFAULT, help="shipped model, a run's folder, or an .onnx file")
    parser.add_argument("--rounds", type=int, default=REPEATS)
    arguments = parser.parse_args()
    print(f"{'':24}{'processor time':>40}{'time':>40}")
    try:
        reader = load_model(arguments.model)
        for clip in arguments.clips:
            compare(clip.name, partial(plain, clip), partial(reader.transcribe, clip), arguments.rounds)
        transcribe = ["-m", "gunileo", "transcribe", str(arguments.clips[0]), "--model", arguments.model]
        compare("cold start", partial(started, ["-c", IMPORTS]), partial(started, transcribe), arguments.rounds)
    except GunileoError as error:
        raise SystemExit(str(error)) from None
    print(
        f"{os.cpu_count()} cores; float32 matrix product {product().median:.0f} GFLOP/s on one thread; "
        f"load {os.getloadavg()[0]:.1f}"
    )


def compare(name: str, base: Callable[[], object], job: Callable[[], object], rounds: int) -> None:
    """Print what a job takes, what its base takes, and their ratio, of both kinds of time."""
    found = [(taken(base), taken(job)) for _ in range(rounds + 1)][1:]
    columns = []
    for kind in (0, 1):
        one, other = ([pair[which][kind] for pair in found] for which in (1, 0))
        ratio = statistics.median(a / b for a, b in zip(one, other, strict=True))
        medians = f"{1000 * statistics.median(one):.0f} ms / {1000 * statistics.median(other):.0f} ms"
        columns.append(f"{medians} = {ratio:.1f}")
    print(f"{name:24}{columns[0]:>40}{columns[1]:>40}")


def taken(job: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the processor's time, that of ended processes too, and seconds that pass."""
    begun, before = time.perf_counter(), spent()
    job()
    return spent() - before, time.perf_counter() - begun


def spent() -> float:
    """Seconds of the processor's time of this process and of those that it started and that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def plain(clip: Path) -> None:
    """Decode a clip to RGB."""
    with av.open(str(clip)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for frame in container.decode(video=0):
            frame.to_ndarray(format="rgb24", threads=1)


def started(arguments: list[str]) -> None:
    """A Python process from its start to its end, with compiled modules, as pip installs them."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise GunileoError(f"{' '.join(arguments)}: failed: {done.stderr.strip()}")


if __name__ == "__main__":
    main()
