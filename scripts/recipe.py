"""Try changes to the recipe, one a row: python scripts/recipe.py CACHE -o RUNS [--others CACHE] [ROW ...]

Each row is a run of its own in RUNS/ROW, on speaker s1, validated on grid_s1_valid; one that was stopped is gone on
with, one that is finished is measured again. Prints a row a run: word error rates with 95 % intervals, letters and
prepositions right with the grammar, the right sentence's negative log-likelihood among the grammar's in nats a clip,
minutes, parameters; and, of clips of speakers never trained on, the error rates, if a cache of them is given. Without
ROW, all.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.corpus.split import listed, training_parts
from gunileo.decoding.ctc import Floats, log_likelihood
from gunileo.decoding.grammar import Grammar
from gunileo.errors import GunileoError
from gunileo.evaluation.evaluate import evaluate
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.training.augmentation import Augmentation
from gunileo.training.config import from_scratch
from gunileo.training.train import train
from gunileo.training.weights import ARCHITECTURES, load_weights, parameters

BASE = replace(from_scratch(ARCHITECTURES["labial-wide"]), epochs=10)
ROWS = {
    "base": BASE,
    "no-self-conditioning": replace(BASE, self_conditioning=False),
    "no-word-head": replace(BASE, self_conditioning=False, word_weight=0),
    "no-concatenation": replace(BASE, augmentation=Augmentation(concatenation=0)),
    "no-speed-perturbation": replace(BASE, augmentation=Augmentation(speed=0)),
    "no-curriculum": replace(BASE, curriculum=0),
    "no-normalisation": replace(BASE, normalise=False),
    "no-dropout": replace(BASE, dropout=0, feature_dropout=0),
    "rate-2e-3": replace(BASE, learning_rate=2e-3),
}


def main() -> None:
    """Train and measure one row after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("cache", type=Path, help="prepared clips of speaker s1")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUNS", help="folder for the runs")
    parser.add_argument("--others", type=Path, metavar="CACHE", help="prepared clips of speakers never trained on")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}")
    arguments = parser.parse_intermixed_args()  # rows may stand behind -o RUNS
    if unknown := set(arguments.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; use {', '.join(ROWS)}")

    cache, others = Cache(arguments.cache), Cache(arguments.others) if arguments.others else None
    training, held = training_parts(cache.utterances, listed("grid_s1_valid"), speakers=["s1"])
    table = [
        "| row | greedy | grammar | letter | preposition | nats | minutes | parameters | others |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in arguments.rows or ROWS:
        run, begun = arguments.output / name, time.monotonic()
        if not (run / "model.onnx").exists():
            try:
                train(cache, training, held, run, ROWS[name], resume=True)
            except GunileoError as error:  # one that learned nothing has a row, too
                if not (run / "model.onnx").exists():
                    raise SystemExit(str(error)) from None
                print(error, file=sys.stderr)
            finally:
                if run.exists():  # not where the settings were refused
                    with (run / "minutes.txt").open("a") as file:  # a line for each time that it was gone on with
                        file.write(f"{(time.monotonic() - begun) / 60}\n")
        table.append(row(name, run, cache, held, others))
        print("\n".join(["", *table]), flush=True)


def row(name: str, run: Path, cache: Cache, held: Sequence[CachedUtterance], others: Cache | None) -> str:
    """One line of the table, measured on the run's exported model."""
    reader = load_model(run)
    scores = evaluate(reader, cache, held).scores
    rates = [
        "{:.1%} ({:.1%}-{:.1%})".format(score.wer, *score.intervals["wer"])
        for score in (scores["greedy"], scores["grammar"])
    ]
    places = [f"{scores['grammar'].slots[place]:.1%}" for place in ("letter", "preposition")]
    nats = sum(negative_log_likelihood(reader.log_probabilities(cache.load(one)), one.text) for one in held) / len(held)
    minutes = sum(map(float, (run / "minutes.txt").read_text().split()))
    count = parameters(load_weights(run / "model.safetensors").fold())
    cells = [name, *rates, *places, f"{nats:.2f}", f"{minutes:.0f}", f"{count / 1e6:.1f} million"]
    cells.append(unseen(reader, others) if others else "")
    return f"| {' | '.join(cells)} |"


def unseen(reader: Reader, others: Cache) -> str:
    """Word error rates, greedy and with the grammar, on all clips of a cache."""
    scores = evaluate(reader, others, others.utterances).scores
    return f"{scores['greedy'].wer:.1%} / {scores['grammar'].wer:.1%}"


def negative_log_likelihood(logp: Floats, said: str) -> float:
    """Negative logarithm of the right sentence's share among all of GRID's."""
    return log_likelihood(logp, Grammar.grid()) - log_likelihood(logp, Grammar.from_sentences([said]))


if __name__ == "__main__":
    main()
