"""Measure how fast Gunileo is on this machine: python benchmarks/speed.py [--clip FILE] [--model M] [--install]

Prints a table, each figure beside its aim: reading with a loaded model, a clip and the same as 1280x720 at 30 frames a
second; the network alone, one clip and many; a camera's sentence; a cold start; preparing, resuming, and building a
data set; training, beside a plain loop; with --install, the size of an installation. Keeps to two cores. Needs the
"train" extra.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from gunileo.cores import usable_cores
from gunileo.corpus import Utterance, find_corpus
from gunileo.engine import load_model
from gunileo.errors import GunileoError
from gunileo.mouth import normalise, read_regions
from gunileo.prepare import Cache, prepare
from gunileo.registry import DEFAULT
from gunileo.synthetic import make_corpus
from gunileo.video import FPS, read_frames, write_video

CODE = "bbaf2n"  # what the synthetic clip says
REPEATS = 9
UTTERANCES = 5000
BATCH, BATCHES = 16, 6  # clips trained on at once, and how often
ROOT = Path(__file__).parents[1]
MODULE = ("-m", "gunileo")
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
    """Measure all of it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clip", type=Path, help="video of about three seconds; a synthetic one if left out")
    parser.add_argument("--model", default=DEFAULT, help="shipped model, a run's folder, or an .onnx file")
    parser.add_argument(
        "--install", action="store_true", help="also install into a fresh environment, from the network"
    )
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    used = keep_to_two()
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            clip = arguments.clip or make_corpus(folder / "corpus", [CODE])[0]
            figures = [
                warm(clip, arguments.model, "read a clip", 25),
                warm(enlarged(clip, folder / "large.mp4"), arguments.model, "read it in 1280x720, 30 a second", 8),
                network(clip, arguments.model),
                batches(clip, arguments.model),
                live(clip, arguments.model),
                cold([*MODULE, "transcribe", str(clip), "--model", arguments.model], "transcribe, cold shell", 1),
                cold(["-c", "import gunileo"], "import gunileo, cold shell", 0.1),
                preparing(clip, folder / "cache"),
                resuming(clip, folder / "cache-resume"),
                building(folder),
                *training(folder),
                *([installing(folder)] if arguments.install else []),
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


def warm(clip: Path, model: str, name: str, aim: float) -> Figure:
    """Reading a clip with a loaded model, from the file to the words; the first time is not counted."""
    seconds = sum(1 for _ in read_frames(clip)) / FPS
    reader = load_model(model)
    times = timed(lambda: reader.transcribe(clip), REPEATS + 1)[1:]
    return Figure(name, "x real time", [seconds / taken for taken in times], aim, at_least=True)


def enlarged(clip: Path, path: Path) -> Path:
    """The same clip as a phone might film it."""
    frames = [np.asarray(cv2.resize(frame, (1280, 720)), np.uint8) for frame in read_frames(clip)]
    write_video(path, (frames[number * FPS // 30] for number in range(len(frames) * 30 // FPS)), fps=30)
    return path


def network(clip: Path, model: str) -> Figure:
    """From the mouth regions of 75 frames to their log-probabilities."""
    reader, regions = load_model(model), read_regions(clip)
    regions = np.resize(regions, (75, *regions.shape[1:]))
    times = timed(lambda: reader.log_probabilities(regions), REPEATS + 1)[1:]
    return Figure("network, 75 frames", "ms", [1000 * taken for taken in times], 30, at_least=False)


def batches(clip: Path, model: str) -> Figure:
    """Log-probabilities of 16 clips of 75 frames at once."""
    reader, regions = load_model(model), read_regions(clip)
    many = np.repeat(normalise(np.resize(regions, (75, *regions.shape[1:])))[None, None], BATCH, axis=0)
    times = timed(lambda: reader.session.run(["log_probabilities"], {"regions": many}), REPEATS + 1)[1:]
    return Figure(f"network, {BATCH} clips at once", "clips/s", [BATCH / taken for taken in times], 60, at_least=True)


def live(clip: Path, model: str) -> Figure:
    """How long the frame that ends a sentence, or the end on demand, takes to give its text."""
    reader, frames = load_model(model), list(read_frames(clip))
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
        raise SystemExit(f"{clip}: no sentence is heard in it")
    return Figure("camera, last frame to text", "ms", [1000 * taken for taken in times], 150, at_least=False)


def cold(arguments: list[str], name: str, aim: float) -> Figure:
    """A Python process from its start to its end; the first time, with the disk's cache empty, is counted."""

    def start() -> None:
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments)}: failed: {done.stderr.strip()}")

    return Figure(name, "s", timed(start, REPEATS), aim, at_least=False)


def preparing(clip: Path, cache: Path) -> Figure:
    """Preparing with two workers, from the file to the PNG and its line in the manifest.

    Measured from one settled clip to the next but one, so that the start of the workers, once a corpus, is left out.
    """
    settled: list[float] = []
    clips = [Utterance(f"s1/{number}", "s1", clip, "") for number in range(4 * REPEATS)]
    report = prepare(clips, cache, 2, lambda done, total: settled.append(time.perf_counter()))
    if report.skipped:
        raise SystemExit(report.skipped[0][1])
    frames = Cache(cache).utterances[0].frames
    begun = settled[len(settled) // 4 :]  # both workers run by then
    rates = [4 * frames / (after - before) for before, after in zip(begun[:-4:4], begun[4::4], strict=False)]
    return Figure("prepare on two cores", "frames/s", rates, 500, at_least=True)


def resuming(clip: Path, cache: Path) -> Figure:
    """Preparing 5,000 clips again that are all there."""
    clips = [Utterance(f"s1/{number}", "s1", clip, "") for number in range(UTTERANCES)]
    prepare(clips[:1], cache, 1)
    manifest = cache / "manifest.jsonl"
    entry = json.loads(manifest.read_text())
    for one in clips[1:]:
        os.link(cache / entry["file"], cache / f"{one.id}.png")
    lines = [json.dumps({**entry, "id": one.id, "file": f"{one.id}.png"}) for one in clips]
    manifest.write_text("\n".join(lines) + "\n")

    def resume() -> None:
        if (report := prepare(clips, cache, 2)).kept != UTTERANCES:
            raise SystemExit(f"{cache}: {report.kept} of {UTTERANCES} clips kept")

    return Figure("resume 5,000 prepared clips", "s", timed(resume, REPEATS), 2, at_least=False)


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


def training(folder: Path) -> list[Figure]:
    """Training as ``gunileo train`` does, the published layout, beside a plain loop; and how long it waits for clips.

    The plain loop is of the same network in PyTorch's default layout, in float32, over whole sentences that it loads
    itself. Ours has as many word cuts among its samples as it has on average over a run.
    """
    cache = replicated(folder, (BATCHES + 1) * BATCH)
    ours, waits = our_loop(cache, folder / "run")
    plain = plain_loop(cache)
    rates = f"{ours:.3g} and {plain:.3g} clips/s"
    return [
        Figure(f"training / a plain loop, {rates}", "x", [ours / plain], 3, at_least=True),
        Figure("training, waiting for clips", "% of the time", [100 * waits], 5, at_least=False),
    ]


def replicated(folder: Path, count: int) -> Cache:
    """A cache of a made-up clip with word times, so many times."""
    corpus, path = folder / "corpus-train", folder / "cache-train"
    make_corpus(corpus, [CODE])
    prepare(find_corpus(corpus).utterances, path, 1)
    manifest = path / "manifest.jsonl"
    line = json.loads(manifest.read_text())
    names = [f"s1/{number:04}" for number in range(count)]
    for name in names:
        os.link(path / line["file"], path / f"{name}.png")
    manifest.write_text("".join(json.dumps({**line, "id": name, "file": f"{name}.png"}) + "\n" for name in names))
    return Cache(path)


def our_loop(cache: Cache, run: Path) -> tuple[float, float]:
    """Clips a second in all batches but the first, and the share of that time in which a batch was waited for."""
    import lightning

    from gunileo.dataset import Batch
    from gunileo.train import Settings, Training, _precision

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    usual = Settings()
    cuts = usual.curriculum * (1 + usual.cuts_at_end) / 2 + (1 - usual.curriculum) * usual.cuts_at_end
    settings = Settings(epochs=1, curriculum=0, cuts_at_end=cuts, batch_size=BATCH)
    begun, ended, sizes = [], [], []

    class Clock(lightning.Callback):
        def on_train_batch_start(self, trainer: object, module: object, batch: Batch, index: int) -> None:
            begun.append(time.perf_counter())
            sizes.append(len(batch.lengths))

        def on_train_batch_end(self, *_: object) -> None:
            ended.append(time.perf_counter())

    trainer = lightning.Trainer(
        accelerator="cpu",
        precision=_precision("auto", "cpu"),  # type: ignore[arg-type]
        max_epochs=1,
        gradient_clip_val=settings.gradient_clip,
        limit_val_batches=0,
        logger=False,
        callbacks=[Clock()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Training(cache, cache.utterances, cache.utterances, run, settings))
    waited = sum(after - before for before, after in zip(ended, begun[1:], strict=False))
    whole = ended[-1] - ended[0]
    return sum(sizes[1:]) / whole, waited / whole


def plain_loop(cache: Cache) -> float:
    """Clips a second in all batches but the first."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    from gunileo.dataset import NO_WORD, Clips, collate
    from gunileo.model import LabialCNN, ModelConfig

    words = tuple(sorted({word.word for word in cache.utterances[0].words}))
    model = LabialCNN(ModelConfig(words=words, normalise=True))
    model.convolutions.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    optimiser, ctc = torch.optim.AdamW(model.parameters(), lr=1e-3), torch.nn.CTCLoss()
    clips = Clips(cache, cache.utterances, words)
    waiting = iter(range(len(clips)))

    def step() -> None:
        batch = collate([clips[number] for number in islice(waiting, BATCH)])
        x = batch.regions
        for block in model.convolutions:
            assert isinstance(block, torch.nn.Sequential)
            conv, norm, pool, relu = block
            assert isinstance(norm, torch.nn.BatchNorm3d)
            x = relu(pool(torch.nn.BatchNorm3d.forward(norm, conv(x))))
        packed = pack_padded_sequence(x.transpose(1, 2).flatten(2), batch.lengths, batch_first=True)
        heard = pad_packed_sequence(model.gru(packed)[0], batch_first=True)[0]
        scores = model.log_probabilities(heard).transpose(0, 1)
        loss = ctc(scores, batch.classes, batch.lengths, batch.target_lengths)
        assert model.words is not None
        loss = loss + torch.nn.functional.cross_entropy(
            model.words(heard).flatten(0, 1), batch.words.flatten(), ignore_index=NO_WORD
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return BATCHES * BATCH / sum(timed(step, BATCHES + 1)[1:])


def installing(folder: Path) -> Figure:
    """What ``pip install .`` adds to a fresh environment, for reading alone."""
    fresh = folder / "fresh"
    subprocess.run([sys.executable, "-m", "venv", fresh], check=True)
    before = megabytes(fresh)
    pip = fresh / ("Scripts" if sys.platform == "win32" else "bin") / "pip"
    subprocess.run([pip, "install", "--quiet", ROOT], check=True)
    return Figure("pip install .", "MB", [megabytes(fresh) - before], 350, at_least=False)


def megabytes(folder: Path) -> float:
    """The size of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()) / 1e6


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
