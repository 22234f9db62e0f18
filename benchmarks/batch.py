"""Measure the reading of many files: python benchmarks/batch.py [--clip FILE] [--clips N] [--links 1000 100000]

Prints the rate of ``gunileo transcribe`` on two cores: one process that keeps to a core, one that uses both, and two
with a core each; with the processor time of each clip, which other work on the machine changes less. Then, for each
number of links to one clip, what it costs besides reading them, a clip: to find it, to give it to a process and take
its result, to see that it is done; and the highest memory of the process that shares them out.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import typer
from processor import spent
from speed import CODE, keep_to_two

from gunileo.cli.batch import in_processes, read_all
from gunileo.cli.jobs import Job, find_jobs
from gunileo.cli.options import Device, Faces
from gunileo.cli.reading import Reading
from gunileo.corpus.synthetic import make_corpus
from gunileo.inference.registry import DEFAULT
from gunileo.output.transcript import Transcript
from gunileo.util.files import write_whole
from gunileo.util.progress import Bar


class Blind(Reading):
    """Writes a result for each file and looks into none."""

    def do(self, job: Job, number: int, bar: Bar) -> tuple[bool, Transcript | None]:
        """As ``Reading.do``."""
        typer.echo(f"{job}: bin blue at f two now")
        write_whole(self.output / f"{job.stem}.txt", "bin blue at f two now\n")
        return False, None


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clip", type=Path, help="video of about three seconds; a synthetic one if left out")
    parser.add_argument("--clips", type=int, default=60, help="links to it that are read")
    parser.add_argument(
        "--links", type=int, nargs="*", default=[1000, 10_000, 100_000], help="that are only shared out"
    )
    parser.add_argument("--model", default=DEFAULT, help="shipped model, a run's folder, or an .onnx file")
    arguments = parser.parse_args()
    print(f"{keep_to_two()} cores, load before the start {os.getloadavg()[0]:.1f}")
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        clip = arguments.clip or make_corpus(folder / "corpus", [CODE])[0]
        if arguments.clips:
            rates(linked(clip, folder / "read", arguments.clips), arguments.model)
        if arguments.links:
            print("\nmilliseconds a clip      find it   share it out   see it done; memory")
        for count in arguments.links:
            shared_out(linked(clip, folder / str(count), count), folder / f"out{count}")


def linked(clip: Path, folder: Path, count: int) -> Path:
    """A folder of so many links to a clip, a thousand in each folder below."""
    for number in range(count):
        place = folder / f"{number // 1000:04}"
        if number % 1000 == 0:
            place.mkdir(parents=True)
        (place / f"{number:06}{clip.suffix}").symlink_to(clip.absolute())
    return folder


def rates(folder: Path, model: str) -> None:
    """Clips a second and processor time a clip; of many less of one, so that the start of the processes is left out."""
    clips = sorted(folder.rglob("*.*"))
    cores = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    kinds = [("one process, one core", 1, cores[:1]), ("one process, two cores", 1, cores), ("two processes", 2, cores)]
    measured = []
    for name, jobs, own in kinds:
        few, many = (timed(part, model, jobs, own) for part in (clips[: 2 * jobs], clips))
        count = len(clips) - 2 * jobs
        wall, cpu = ((after - before) / count for before, after in zip(few, many, strict=True))
        measured.append(1 / wall)
        print(f"{name:24}{1 / wall:6.1f} clips/s, {1000 * cpu:5.0f} ms of processor time a clip")
    one, threads, two = measured
    print(f"two processes are {two / one:.2f} times one on one core, and {two / threads:.2f} times one on both")


def timed(clips: list[Path], model: str, jobs: int, cores: list[int]) -> tuple[float, float]:
    """Seconds that reading the clips takes, on the clock and of processor time."""

    def keep() -> None:
        if cores:
            os.sched_setaffinity(0, cores)

    command = [sys.executable, "-m", "gunileo", "transcribe", *map(str, clips), "--model", model, "--jobs", str(jobs)]
    begun, before = now()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, preexec_fn=keep)
    ended, after = now()
    return ended - begun, after - before


def shared_out(folder: Path, output: Path) -> None:
    """Print what each of a folder's clips costs besides its reading; the start of the processes is left out."""
    before = now()
    jobs, failed = find_jobs([str(folder)])
    found = now()
    for some in jobs[:2], jobs:
        started = now()
        way = (None, None, None, None)
        blind = Blind(DEFAULT, Device.cpu, *way, Faces.largest, ("txt",), False, output, 25, len(some))
        with redirect_stdout(StringIO()) as said:
            failed |= read_all(blind, some, in_processes(2))
        shared = now()
        if failed or len(said.getvalue().splitlines()) != len(some):
            raise SystemExit("a clip is missing")
        if some is not jobs:
            start = [after - before for after, before in zip(shared, started, strict=True)]
    done = now()
    if not all(map(blind.is_done, jobs)):
        raise SystemExit("a clip isn't done")
    seen = now()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    for number, clock in enumerate(("clock", "processors")):
        parts = (found[number] - before[number], shared[number] - started[number] - start[number])
        each = [1000 * part / len(jobs) for part in (*parts, seen[number] - done[number])]
        row = f"{len(jobs):7}  {clock:10}" + "".join(f"{part:12.2f}" for part in each)
        print(f"{row}{peak:9.0f} MB", flush=True)


def now() -> tuple[float, float]:
    """Seconds until now, on the clock and of the processor's time."""
    return time.perf_counter(), spent()


if __name__ == "__main__":
    main()
