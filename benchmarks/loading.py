"""Measure how fast clips are loaded for training: python benchmarks/loading.py CACHE [--clips 33000] [--cores 16]

Prints what a corpus of so many clips costs before the first batch, simulated by links to those in CACHE: the index, the
start of a run, its memory. Then what one core unpacks and makes ready a second, and so what many give, worked out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import torch

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.corpus.split import training_parts
from gunileo.training import memory
from gunileo.training.config import from_scratch, loaders
from gunileo.training.dataset import Clips, collate
from gunileo.training.lightning_module import Training
from gunileo.training.weights import ARCHITECTURES
from gunileo.util.cores import usable_cores

AIM = 1000  # clips a second
SAMPLES, BATCH, REPEATS = 64, 16, 5


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("cache", type=Path, metavar="CACHE")
    parser.add_argument("--clips", type=int, default=33_000, help="links to simulate a corpus by; GRID has 33,000")
    parser.add_argument("--cores", type=int, default=16)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"load before the start {os.getloadavg()[0]:.1f}")
    cache = Cache(arguments.cache)
    used = [utterance for utterance in cache.utterances if utterance.has_crops]
    with TemporaryDirectory() as folder:
        if arguments.clips:  # first, for its memory
            corpus(linked(cache, used, Path(folder) / "links", arguments.clips), Path(folder))
        with memory.kept():  # as a run has it, and its loaders
            rates(cache, used, Path(folder), arguments.cores)


def rates(cache: Cache, used: list[CachedUtterance], folder: Path, cores: int) -> None:
    """Print one core's rates, of processor time, and what so many cores give."""
    print(f"\n{'one core':44}{'ms a clip':>10}{'clips/s':>9}{f'{cores} cores':>10}")

    def told(name: str, job: Callable[[], object], count: int) -> None:
        each = statistics.median(spent(job) for _ in range(REPEATS)) / count
        rate = cores / each
        print(f"{name:44}{1000 * each:10.2f}{1 / each:9.0f}{rate:10.0f}  {'' if rate >= AIM else f'under {AIM}'}")

    some = used[:SAMPLES]
    told("unpack the crops", lambda: [cache.crops(one) for one in some], len(some))
    for name in ("labial", "labial-shape"):
        settings = replace(from_scratch(ARCHITECTURES[name]), device="cpu")
        fit = Training(cache, some, some, folder, settings)
        for what, epoch in (("first epoch", 0), ("last epoch", settings.epochs - 1)):
            clips = fit.clips(epoch)
            ready = [index for index in range(len(clips)) if clips.with_crops(index)][:SAMPLES]
            told(f"{name}, {what}: ready in a batch", partial(make_ready, clips, ready), len(ready))
    own = usable_cores()
    print(f"processes that load on this machine: {loaders('cpu', own)}, with CUDA {loaders('cuda', own)}")


def make_ready(clips: Clips, places: list[int]) -> None:
    """The clips at these places, in batches as they go to a network."""
    for start in range(0, len(places), BATCH):
        collate([clips[place] for place in places[start : start + BATCH]], torch.bfloat16)


def spent(job: Callable[[], object]) -> float:
    """Seconds of processor time."""
    begun = time.process_time()
    job()
    return time.process_time() - begun


def linked(cache: Cache, used: list[CachedUtterance], path: Path, count: int) -> Path:
    """A cache of so many utterances, each a link to one that is there."""
    entries = [json.loads(line) for line in (cache.path / "manifest.jsonl").read_text().splitlines()]
    of = {entry["id"]: entry for entry in entries}
    path.mkdir()
    (path / "cache.json").write_bytes((cache.path / "cache.json").read_bytes())
    with open(path / "manifest.jsonl", "w", encoding="utf-8") as manifest:
        for number in range(count):
            one = used[number % len(used)]
            speaker = f"s{1 + number // 1000}"
            name = f"{speaker}/{number:06}"
            (path / speaker).mkdir(exist_ok=True)
            (path / f"{name}.png").symlink_to((cache.path / one.file).absolute())
            (path / f"{name}.npy").symlink_to((cache.path / f"{one.id}.npy").absolute())
            manifest.write(json.dumps({**of[one.id], "id": name, "talker": speaker, "file": f"{name}.png"}) + "\n")
    return path


def corpus(path: Path, folder: Path) -> None:
    """Print what comes before the first batch of a corpus of this size."""

    def told(name: str, job: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        result = job()
        print(f"{name:44}{time.perf_counter() - begun:8.2f} s{resident():6.0f} MB", flush=True)
        return result

    size = sum(file.stat().st_size for file in path.rglob("*.*"))
    told("PyTorch and Gunileo loaded, a smaller cache", int)
    cache = told("open the cache", partial(Cache, path))
    print(f"{len(cache.utterances)} clips, {size / 1e9:.1f} GB")
    training, validation = told("part it", lambda: training_parts(cache.utterances, None, None, set(), None))
    for name in ("labial", "labial-shape"):
        settings = replace(from_scratch(ARCHITECTURES[name]), device="cpu")
        fit = told(f"{name}: begin a run", partial(Training, cache, training, validation, folder, settings))
        fit.trainer = SimpleNamespace(precision="bf16-mixed")  # all that a loader asks
        told(f"{name}: count the steps of {settings.epochs} epochs", fit.configure_optimizers)
        clips = told(f"{name}: draw an epoch", partial(fit.clips, 0))
        told(f"{name}: order its batches", partial(list, fit._batches(clips)))
        told(f"{name}: start a loader, first batch", partial(first_batch, fit, clips))


def resident() -> float:
    """Megabytes of memory that this process has now, on Linux; the most that it had, elsewhere."""
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def first_batch(fit: Training, clips: Clips) -> object:
    """The loader once the first batch came, as at the start of an epoch."""
    loader = iter(fit._loader(clips, fit._batches(clips)))
    next(loader)
    return loader


if __name__ == "__main__":
    main()
