"""Measure how fast Gunileo is on this machine: python benchmarks/speed.py [--clip FILE] [--model M] [--install]

Prints a table, each measurement beside its aim: reading with a loaded model, a clip and the same as 1280x720 at 30
frames a second; the network alone, one clip and many; a camera's sentence; a cold start; preparing, resuming, and
building a data set; training, beside a plain loop; with --install, the size of an installation. Keeps to two cores.
Needs the "train" extra.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from gunileo.corpus.cache import Cache, shape_file
from gunileo.corpus.finders import Utterance, find_corpus
from gunileo.corpus.prepare import prepare
from gunileo.corpus.synthetic import make_corpus
from gunileo.errors import GunileoError
from gunileo.inference.bench import BATCH, REPEATS, Measurement, batches, cold, live, network, product, reading, timed
from gunileo.inference.registry import DEFAULT
from gunileo.util.cores import sleep_while_waiting, usable_cores
from gunileo.vision.video import FPS, read_frames, write_video

CODE = "bbaf2n"  # what the synthetic clip says
UTTERANCES = 5000
BATCHES = 16  # trained on
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Aim:
    """What a measurement's median is to be at least, or at most."""

    measurement: Measurement
    value: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it is."""
        median = self.measurement.median
        return median >= self.value if self.at_least else median <= self.value


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
            aims = measured(clip, arguments.model, folder)
            if arguments.install:
                aims.append(Aim(installing(folder), 350))
        except GunileoError as error:
            raise SystemExit(str(error)) from None
    # Else a table that is kept in a file would be cut at 80 columns.
    Console(width=None if sys.stdout.isatty() else 140).print(
        table(aims, arguments.clip.name if arguments.clip else "a synthetic clip")
    )
    print(
        f"{used} of {os.cpu_count()} cores used; float32 matrix product {product().median:.0f} GFLOP/s on one thread; "
        f"load before the start {load:.1f}"
    )
    if load > 0.5:
        print("other work was running: a quiet machine is faster than this")
    if used < 2:
        print("the aims are for two cores")


def measured(clip: Path, model: str, folder: Path) -> list[Aim]:
    """All measurements of a clip and a model, with their aims; ``folder`` is an empty one to work in."""
    large = enlarged(clip, folder / "large.mp4")
    transcribe = ["-m", "gunileo", "transcribe", str(clip), "--model", model]
    return [
        Aim(reading(clip, model), 25, at_least=True),
        Aim(reading(large, model, "read it in 1280x720, 30 a second"), 8, at_least=True),
        Aim(network(clip, model), 30),
        Aim(batches(clip, model), 60, at_least=True),
        Aim(live(clip, model), 150),
        Aim(cold("transcribe, cold shell", transcribe), 1),
        Aim(cold("import gunileo, cold shell", ["-c", "import gunileo"]), 0.1),
        Aim(preparing(clip, folder / "cache"), 500, at_least=True),
        Aim(resuming(clip, folder / "cache-resume"), 2),
        Aim(building(folder), 1),
        *training(folder),
    ]


def keep_to_two() -> int:
    """Keep this process and those it starts to two cores, which the aims are for, or to one; returns how many."""
    if sys.platform == "linux":  # elsewhere threads alone keep to it: two for the network, one for a worker
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    return min(2, usable_cores())


def enlarged(clip: Path, path: Path) -> Path:
    """The same clip as a phone might film it."""
    frames = [np.asarray(cv2.resize(frame, (1280, 720)), np.uint8) for frame in read_frames(clip)]
    write_video(path, (frames[number * FPS // 30] for number in range(len(frames) * 30 // FPS)), fps=30)
    return path


def preparing(clip: Path, cache: Path) -> Measurement:
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
    return Measurement("prepare on two cores", "frames/s", rates)


def resuming(clip: Path, cache: Path) -> Measurement:
    """Preparing 5,000 clips again that are all there."""
    clips = [Utterance(f"s1/{number}", "s1", clip, "") for number in range(UTTERANCES)]
    prepare(clips[:1], cache, 1)
    multiply(cache, [one.id for one in clips])

    def resume() -> None:
        if (report := prepare(clips, cache, 2)).kept != UTTERANCES:
            raise SystemExit(f"{cache}: {report.kept} of {UTTERANCES} clips kept")

    return Measurement("resume 5,000 prepared clips", "s", timed(resume, REPEATS))


def multiply(cache: Path, names: list[str]) -> None:
    """Turn a cache of one clip into one of so many, all the same."""
    manifest = cache / "manifest.jsonl"
    entry = json.loads(manifest.read_text())
    for name in names:
        if name != entry["id"]:
            os.link(cache / entry["file"], cache / f"{name}.png")
            os.link(shape_file(cache, entry["id"]), shape_file(cache, name))
    lines = (json.dumps({**entry, "id": name, "file": f"{name}.png"}) + "\n" for name in names)
    manifest.write_text("".join(lines))


def building(folder: Path) -> Measurement:
    """Opening a cache of 5,000 utterances with word times, and making the data set of it; no picture is read."""
    cache, corpus = folder / "cache-5000", folder / "corpus-1"
    make_corpus(corpus, [CODE])
    prepare(find_corpus(corpus).utterances, cache, 1)
    multiply(cache, [f"s1/{number:04}" for number in range(UTTERANCES)])
    from gunileo.training.dataset import Clips

    def build() -> None:
        opened = Cache(cache)
        clips = Clips(opened, opened.utterances)
        if len(clips[0:128]) != 128 or len(clips) != UTTERANCES:
            raise SystemExit(f"{cache}: the data set has {len(clips)} utterances")

    return Measurement("data set of 5,000 utterances", "s", timed(build, REPEATS))


def training(folder: Path) -> list[Aim]:
    """Training as ``gunileo train`` does, the published architecture, and a plain loop; how long it waits for clips.

    The plain loop trains the same network in PyTorch's default layout and type, float32, with its own GRUs and
    normalisation, over whole sentences, unchanged, which it loads itself, one after the other. Both have two threads
    and batches of 16 clips. Ours has as many word spans among its samples as it has on average over a run, changes
    all of them, and uses bfloat16 where the processor has it.
    """
    cache = replicated(folder, (BATCHES + 1) * BATCH)
    with ProcessPoolExecutor(1, get_context("spawn"), sleep_while_waiting) as fresh:  # before PyTorch is loaded
        ours, waits = fresh.submit(our_loop, cache, folder / "run").result()
    plain = plain_loop(cache)
    rates = f"{ours:.3g} and {plain:.3g} clips/s"
    return [
        Aim(Measurement(f"training / a plain loop, {rates}", "x", [ours / plain]), 3, at_least=True),
        Aim(Measurement("training, waiting for clips", "% of the time", [100 * waits]), 5),
    ]


def replicated(folder: Path, count: int) -> Cache:
    """A cache of a made-up clip with word times, so many times."""
    corpus, path = folder / "corpus-train", folder / "cache-train"
    make_corpus(corpus, [CODE])
    prepare(find_corpus(corpus).utterances, path, 1)
    multiply(path, [f"s1/{number:04}" for number in range(count)])
    return Cache(path)


def our_loop(cache: Cache, run: Path) -> tuple[float, float]:
    """Clips a second in all batches but the first, and the share of that time in which a batch was waited for."""
    import lightning

    from gunileo.training import memory
    from gunileo.training.config import TrainingConfig
    from gunileo.training.dataset import Batch
    from gunileo.training.lightning_module import Training
    from gunileo.training.trainer import precision

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    usual = TrainingConfig()
    spans = usual.curriculum * (1 + usual.spans_at_end) / 2 + (1 - usual.curriculum) * usual.spans_at_end
    settings = TrainingConfig(epochs=1, curriculum=0, spans_at_end=spans, batch_size=BATCH)
    begun, ended, sizes = [], [], []

    class Clock(lightning.Callback):
        def on_train_batch_start(self, trainer: object, module: object, batch: Batch, index: int) -> None:
            begun.append(time.perf_counter())
            sizes.append(len(batch.lengths))

        def on_train_batch_end(self, *_: object) -> None:
            ended.append(time.perf_counter())

    trainer = lightning.Trainer(
        accelerator="cpu",
        precision=precision("auto", "cpu"),  # type: ignore[arg-type]
        max_epochs=1,
        gradient_clip_val=settings.gradient_clip,
        limit_val_batches=0,
        logger=False,
        callbacks=[Clock()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with memory.kept():
        trainer.fit(Training(cache, cache.utterances, cache.utterances, run, settings))
    waited = sum(after - before for before, after in zip(ended, begun[1:], strict=False))
    whole = ended[-1] - ended[0]
    return sum(sizes[1:]) / whole, waited / whole


def plain_loop(cache: Cache) -> float:
    """Clips a second in all batches but the first."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    from gunileo.training.dataset import NO_WORD, Clips, collate
    from gunileo.training.model import LabialCNN, ModelConfig

    words = tuple(sorted({word.word for word in cache.utterances[0].words}))
    model = LabialCNN(ModelConfig(words=words, normalise=True))
    model.convolutions.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    optimiser, ctc = torch.optim.AdamW(model.parameters(), lr=1e-3), torch.nn.CTCLoss()
    clips = Clips(cache, cache.utterances, words)
    waiting = iter(range(len(clips)))

    def step() -> None:
        batch = collate([clips[number] for number in islice(waiting, BATCH)])
        x = batch.crops
        assert x is not None
        for block in model.convolutions:
            assert isinstance(block, torch.nn.Sequential)
            conv, norm, pool, relu = block
            assert isinstance(norm, torch.nn.BatchNorm3d)
            x = relu(pool(torch.nn.BatchNorm3d.forward(norm, conv(x))))
        packed = pack_padded_sequence(x.transpose(1, 2).flatten(2), batch.lengths, batch_first=True)
        encoded = pad_packed_sequence(model.gru(packed)[0], batch_first=True)[0]
        scores = model.log_probabilities(encoded).transpose(0, 1)
        loss = ctc(scores, batch.classes, batch.lengths, batch.target_lengths)
        assert model.words is not None
        loss = loss + torch.nn.functional.cross_entropy(
            model.words(encoded).flatten(0, 1), batch.words.flatten(), ignore_index=NO_WORD
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return BATCHES * BATCH / sum(timed(step, BATCHES + 1)[1:])


def installing(folder: Path) -> Measurement:
    """What ``pip install .`` adds to a fresh environment, for reading alone."""
    fresh = folder / "fresh"
    subprocess.run([sys.executable, "-m", "venv", fresh], check=True)
    before = megabytes(fresh)
    pip = fresh / ("Scripts" if sys.platform == "win32" else "bin") / "pip"
    subprocess.run([pip, "install", "--quiet", ROOT], check=True)
    return Measurement("pip install .", "MB", [megabytes(fresh) - before])


def megabytes(folder: Path) -> float:
    """The size of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()) / 1e6


def table(aims: list[Aim], clip: str) -> Table:
    """The measurements: median, lowest to highest, aim."""
    result = Table(title=f"Gunileo on {clip}, {REPEATS} times each", title_justify="left")
    for column in ("", "median", "range", "aim", "met"):
        result.add_column(column, justify="right" if column in ("median", "range") else "left", no_wrap=True)
    for aim in aims:
        bound, one = "over" if aim.at_least else "under", aim.measurement
        median = f"{one.median:.3g} {one.unit}"
        result.add_row(one.name, median, one.range, f"{bound} {aim.value:g}", "yes" if aim.met else "no")
    return result


if __name__ == "__main__":
    main()
