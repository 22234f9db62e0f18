"""Measure adapting to a new speaker: python scripts/adapt.py CACHE_S1 CACHE [--speaker s4] [--teach]

CACHE holds a speaker that the model was not trained on, CACHE_S1 the one that it was. Ten of the new speaker's clips,
the first by a hash of their names, are tested and never taught; of the others 5, 10 and 20 are taught, drawn anew for
each draw (s4's ten are the list grid_s4_test). 20 clips are taught once more with old clips mixed in. Prints a row
each: word error rates on the ten (mean, lowest to highest draw) and on the old speaker's validation list, the share of
the ten that the model is sure of with the words right in these, and seconds of training. No epoch is chosen by the
ten: the last one is kept.

Word times that the new speaker's clips came with are left aside. With --teach, clips are taught as ``gunileo teach
--train`` does, without the first model beside the new one. There is no row with old clips then.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.corpus.split import listed, training_parts, validation_part
from gunileo.evaluation.evaluate import evaluate
from gunileo.evaluation.metrics import words_right
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.inference.registry import DEFAULT
from gunileo.training.config import TrainingConfig
from gunileo.training.fine_tune import adapting, initialised, teaching
from gunileo.training.train import train

TESTED = 10  # clips
TAUGHT = (5, 10, 20)
HEAD = "| taught | greedy | grammar | old speaker, greedy | grammar | sure | right where sure | seconds |"


@dataclass(frozen=True)
class Clips:
    """A cache and those of its clips that are used for one thing."""

    cache: Cache
    utterances: Sequence[CachedUtterance]


@dataclass(frozen=True)
class Result:
    """One draw; shares, and seconds of training."""

    greedy: float
    grammar: float
    old_greedy: float
    old_grammar: float
    sure: float
    right: float  # of the words in the clips that the model is sure of; nan if there are none
    seconds: float


def arguments_given() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("old", type=Path, metavar="CACHE_S1", help="prepared clips of speaker s1")
    parser.add_argument("new", type=Path, metavar="CACHE", help="clips of a speaker never trained on; may be the same")
    parser.add_argument("--speaker", default="s4", help="that speaker's name; at least 30 clips")
    parser.add_argument("--model", default=DEFAULT, help="shipped model's name, or a run's folder")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--teach", action="store_true", help="as gunileo teach does, instead of gunileo train --init")
    return parser.parse_args()


def main() -> None:
    """Adapt and measure, a row at a time."""
    arguments = arguments_given()
    old, new = Cache(arguments.old), Cache(arguments.new)
    known, held = training_parts(old.utterances, listed("grid_s1_valid"), speakers=["s1"])
    own = [one for one in new.utterances if one.speaker == arguments.speaker and one.has_crops]
    tested = validation_part(own, TESTED)
    pool = [utterance for utterance in own if utterance not in tested]
    pool = [replace(utterance, words=()) for utterance in pool]  # as users have them: with a text alone
    if len(pool) < max(TAUGHT):
        raise SystemExit(f"{new.path}: {len(own)} clips of {arguments.speaker}; needs {TESTED + max(TAUGHT)}")

    exams = Clips(new, tested), Clips(old, held)
    print(HEAD + "\n" + "|---" * HEAD.count(" | ") + "|---|", flush=True)
    _row("0", [measure(load_model(arguments.model), *exams, 0.0)])
    for count in TAUGHT:
        first = initialised(arguments.model)
        settings = teaching(arguments.model, count) if arguments.teach else adapting(first, clips=count)
        enrolments = [Clips(new, validation_part(pool, count, seed)) for seed in range(1, arguments.draws + 1)]
        _row(
            str(count),
            [adapt(settings, seed, enrolment, *exams) for seed, enrolment in enumerate(enrolments, 1)],
        )
    if arguments.teach:
        return
    # A cache loads what lies elsewhere by its whole path.
    elsewhere = [replace(clip, file=str((old.path / clip.file).absolute())) for clip in known]
    both = Clips(new, [*pool, *elsewhere])
    results = [
        adapt(adapting(initialised(arguments.model), speakers=2), seed, both, *exams)
        for seed in range(1, arguments.draws + 1)
    ]
    _row(f"{len(pool)} + {len(known)} old", results)


def adapt(settings: TrainingConfig, seed: int, enrolment: Clips, tested: Clips, old: Clips) -> Result:
    """Teach an enrolment as ``gunileo train --init`` does, and measure what came of it."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):  # the table alone on standard output
        begun = time.monotonic()
        # All are taught; one of them is validated on, as one must be, but nothing is chosen by it.
        run = train(
            enrolment.cache,
            enrolment.utterances,
            enrolment.utterances[:1],
            Path(folder) / "run",
            replace(settings, seed=seed),
        )
        seconds = time.monotonic() - begun
        return measure(load_model(run.parent), tested, old, seconds)


def measure(reader: Reader, tested: Clips, old: Clips, seconds: float) -> Result:
    """Error rates on both speakers, and how far the reader's certainty can be trusted with the new one."""
    new = evaluate(reader, tested.cache, tested.utterances)
    kept = evaluate(reader, old.cache, old.utterances)
    sure = [clip for clip in new.clips if clip.read["grammar"].sure]
    right = [right for clip in sure for right in words_right(clip.said, clip.read["grammar"].text)]
    return Result(
        new.scores["greedy"].wer,
        new.scores["grammar"].wer,
        kept.scores["greedy"].wer,
        kept.scores["grammar"].wer,
        len(sure) / len(new.clips),
        float(np.mean(right)) if right else float("nan"),
        seconds,
    )


def _row(name: str, results: Sequence[Result]) -> None:
    """Print the means, with the lowest and the highest of the new speaker's error rates."""

    def mean(field: str) -> float:
        return float(np.nanmean([getattr(result, field) for result in results]))

    def spread(field: str) -> str:
        values = [getattr(result, field) for result in results]
        return f"{mean(field):.1%}" + (f" ({min(values):.1%} to {max(values):.1%})" if len(values) > 1 else "")

    cells = [name, spread("greedy"), spread("grammar"), *(f"{mean(one):.1%}" for one in ("old_greedy", "old_grammar"))]
    right = f"{mean('right'):.0%}" if any(result.sure for result in results) else "-"
    cells += [f"{mean('sure'):.0%}", right, f"{mean('seconds'):.0f}"]
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
