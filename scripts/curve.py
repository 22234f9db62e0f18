"""Learning curve: python scripts/curve.py CACHE -o RUNS [--clips 10 30 100 300 670]

From scratch, with the architecture ``labial-wide``, on that many clips of speaker s1, the first by a hash of
their names, so that each number holds the smaller ones; validated on grid_s1_valid. Each run is RUNS/N: one that was
stopped is gone on with, one that is finished is measured again. All see as many samples, ``SAMPLES`` an epoch, and the
last epoch's weights are measured: nothing is chosen. A number over that of all clips stands for all. Prints a row a run
with 95 % intervals, and draws RUNS/curve.png.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from gunileo.corpus.cache import Cache
from gunileo.corpus.split import listed, training_parts, validation_part
from gunileo.errors import GunileoError
from gunileo.evaluation.evaluate import Score, evaluate
from gunileo.inference.load import load_model
from gunileo.training.config import from_scratch
from gunileo.training.train import train
from gunileo.training.weights import ARCHITECTURES

CLIPS = (10, 30, 100, 300, 670)
SAMPLES = 500  # an epoch


def main() -> None:
    """Train and measure, the fewest clips first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("cache", type=Path, help="prepared clips of speaker s1")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUNS", help="folder for the runs")
    parser.add_argument("--clips", type=int, nargs="+", default=CLIPS)
    parser.add_argument("--epochs", type=int, default=40)
    arguments = parser.parse_args()

    cache = Cache(arguments.cache)
    pool, held = training_parts(cache.utterances, listed("grid_s1_valid"), speakers=["s1"])
    settings = replace(
        from_scratch(ARCHITECTURES["labial-wide"]), epochs=arguments.epochs, samples=SAMPLES, keep_last=True
    )
    points: dict[int, dict[str, Score]] = {}
    print("| clips | greedy | grammar |\n|---|---|---|", flush=True)
    for count in sorted({min(count, len(pool)) for count in arguments.clips}):
        run = arguments.output / str(count)
        if not (run / "model.onnx").exists():
            try:
                train(cache, validation_part(pool, count), held, run, settings, resume=True)
            except GunileoError as error:  # one that learned nothing is a point, too
                if not (run / "model.onnx").exists():
                    raise SystemExit(str(error)) from None
                print(error, file=sys.stderr)
        points[count] = evaluate(load_model(run), cache, held).scores
        rates = ["{:.1%} ({:.1%} to {:.1%})".format(one.wer, *one.intervals["wer"]) for one in points[count].values()]
        print(f"| {count} | {' | '.join(rates)} |", flush=True)
    draw(points, arguments.output / "curve.png")


def draw(points: dict[int, dict[str, Score]], path: Path) -> None:
    """Word error rate over the number of clips, with bars for the 95 % intervals."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axis = figure.subplots()
    counts = list(points)
    for name in next(iter(points.values())):
        scores = [points[count][name] for count in counts]
        bars = [[abs(100 * (score.wer - score.intervals["wer"][side])) for score in scores] for side in (0, 1)]
        axis.errorbar(counts, [100 * score.wer for score in scores], bars, marker="o", capsize=3, label=name)
    axis.set_xscale("log")
    axis.set_xticks(counts, [str(count) for count in counts])
    axis.set_ylim(0, 105)
    axis.set_xlabel("clips of one speaker to train on, from scratch")
    axis.set_ylabel("word error rate, %")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
