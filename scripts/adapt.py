"""Measure adapting to new speakers: python scripts/adapt.py CACHE --model RUN [--split LIST]

CACHE holds speakers whom the model was not trained on, those of LIST, and s1, whom it was trained on. Of each speaker
5, 10 and 20 clips are taught by their texts alone, and all others are tested, as far as five are left. Each draw
teaches other clips: a speaker's clips are sorted by a hash of their names, and a draw begins where the one before
ended. The words of all draws and speakers are pooled. No epoch is chosen by the tested clips: the last one is kept.

The first table has word error rates before and after: of each speaker, then of all, with the 95 % interval of the
change with the grammar (bootstrap over clips). *With fallback* means that the first model reads what it is sure of, and
the new one all other clips. The second table has the share of clips that the model is sure of and the words right in
these, the error rates on s1's validation clips (grid_s1_valid), greedy / with the grammar, and seconds of training.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.corpus.split import listed, split
from gunileo.evaluation.evaluate import Clip, Evaluation, evaluate
from gunileo.evaluation.metrics import bootstrap, error_counts, words_right
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.inference.registry import DEFAULT
from gunileo.training.config import TrainingConfig
from gunileo.training.fine_tune import adapting, initialised
from gunileo.training.train import train

Way = Literal["greedy", "grammar"]
Which = Literal["before", "after", "both"]  # of a draw's clips

LEAST = 5  # clips to test
TAUGHT = (5, 10, 20)
RATES = (
    "| taught | speaker | words | greedy before | after | grammar before | after | change | with fallback |",
    "|---|---|---|---|---|---|---|---|---|",
)
FURTHER = (
    "| taught | sure, right before | after | with fallback | s1 after | with fallback | seconds |",
    "|---|---|---|---|---|---|---|",
)


@dataclass(frozen=True)
class Draw:
    """One adaptation: the tested clips before it, after it, and with the fallback; s1's clips after, and with it."""

    before: Sequence[Clip]
    after: Sequence[Clip]
    both: Sequence[Clip]
    known_after: Evaluation
    known_both: Evaluation
    seconds: float


def arguments_given() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("cache", type=Path, metavar="CACHE", help="prepared clips of new speakers, and of s1")
    parser.add_argument("--split", default="grid_unseen_valid", metavar="LIST", help="names the new speakers")
    parser.add_argument("--model", default=DEFAULT, help="a run's folder or a shipped model's name, which knows none")
    parser.add_argument("--draws", type=int, default=2, help="of each speaker and number of clips")
    return parser.parse_args()


def main() -> None:
    """Adapt and measure, then print both tables."""
    arguments = arguments_given()
    cache, first = Cache(arguments.cache), load_model(arguments.model)
    seen = [one for one in cache.utterances if one.has_crops]
    new, held = split(seen, listed(arguments.split)), split(seen, listed("grid_s1_valid"))
    before = evaluate(first, cache, new).clips

    rates, further = list(RATES), list(FURTHER)
    further.append(f"| 0 | {_sureness(before)} | | | {_rates([evaluate(first, cache, held)])} | | |")
    for count in TAUGHT:
        settings = adapting(initialised(arguments.model), clips=count)
        draws: dict[str, list[Draw]] = {}
        for speaker in dict.fromkeys(one.speaker for one in new):
            own = [one for one in new if one.speaker == speaker]
            if len(own) < count + LEAST:
                continue
            for seed, (taught, tested) in enumerate(parts(own, count, arguments.draws), 1):
                names = {one.id for one in tested}
                old = [clip for clip in before if clip.id in names]
                draws.setdefault(speaker, []).append(
                    adapt(cache, replace(settings, seed=seed), taught, old, held, first)
                )
        if not draws:
            print(f"nobody has {count + LEAST} clips: none can be taught {count}", file=sys.stderr)
            continue
        rates += [rate_row(count, speaker, found) for speaker, found in draws.items()]
        every = [draw for found in draws.values() for draw in found]
        if len(draws) > 1:
            rates.append(rate_row(count, "all", every))
        further.append(further_row(count, every))
    print("\n".join([*rates, "", *further]))


def parts(
    own: Sequence[CachedUtterance], count: int, draws: int
) -> Iterator[tuple[list[CachedUtterance], list[CachedUtterance]]]:
    """What each draw teaches, ``count`` clips without their word times, as users have them, and what it tests."""
    order = sorted(own, key=lambda one: hashlib.sha256(one.id.encode()).hexdigest())
    for draw in range(draws):
        taught = [order[(draw * count + place) % len(order)] for place in range(count)]
        yield [replace(one, words=()) for one in taught], [one for one in order if one not in taught]


def adapt(
    cache: Cache,
    settings: TrainingConfig,
    taught: Sequence[CachedUtterance],
    before: Sequence[Clip],
    held: Sequence[CachedUtterance],
    first: Reader,
) -> Draw:
    """Teach clips as ``gunileo train --init`` does. Read the clips that the ``first`` model read ``before``, and those
    ``held``."""
    names = {clip.id for clip in before}
    tested = [one for one in cache.utterances if one.id in names]
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):  # the tables alone on standard output
        begun = time.monotonic()
        # All are taught; one of them is validated on, as one must be, but nothing is chosen by it.
        run = train(cache, taught, taught[:1], Path(folder) / "run", settings).parent
        seconds = time.monotonic() - begun
        alone = load_model(run)
        both = replace(alone, fallback=first)
        after, chosen = (evaluate(one, cache, tested).clips for one in (alone, both))
        return Draw(before, after, chosen, evaluate(alone, cache, held), evaluate(both, cache, held), seconds)


def errors(draws: Sequence[Draw], which: Which, how: Way) -> tuple[dict[str, float], int]:
    """Wrong words of each clip, summed over the draws that tested it, and the words of all."""
    wrong: dict[str, float] = {}
    words = 0
    for draw in draws:
        clips: Sequence[Clip] = getattr(draw, which)
        counted, wholes = error_counts([clip.said for clip in clips], [clip.read[how].text for clip in clips])
        for clip, count in zip(clips, counted[:, 0], strict=True):
            wrong[clip.id] = wrong.get(clip.id, 0.0) + count
        words += int(wholes[:, 0].sum())
    return wrong, words


def rate_row(count: int, name: str, draws: Sequence[Draw]) -> str:
    """A row of the first table."""

    def rate(which: Which, how: Way) -> str:
        wrong, words = errors(draws, which, how)
        return f"{100 * sum(wrong.values()) / words:.1f} %"

    (before, words), (after, _) = errors(draws, "before", "grammar"), errors(draws, "after", "grammar")
    often = {clip.id: 0.0 for draw in draws for clip in draw.before}
    for draw in draws:
        for clip in draw.before:
            often[clip.id] += len(clip.said.split())
    ((low, high),) = bootstrap([after[one] - before[one] for one in often], list(often.values()))
    cells = [str(count), name, str(words), rate("before", "greedy"), rate("after", "greedy")]
    cells += [rate("before", "grammar"), rate("after", "grammar")]
    cells += [f"{100 * low:+.1f} to {100 * high:+.1f}", rate("both", "grammar")]
    return f"| {' | '.join(cells)} |"


def further_row(count: int, draws: Sequence[Draw]) -> str:
    """A row of the second table."""
    before = _sureness([clip for draw in draws for clip in draw.before])
    after = _sureness([clip for draw in draws for clip in draw.after])
    both = _sureness([clip for draw in draws for clip in draw.both])
    known = [_rates([draw.known_after for draw in draws]), _rates([draw.known_both for draw in draws])]
    seconds = f"{np.mean([draw.seconds for draw in draws]):.0f}"
    return f"| {' | '.join([str(count), before, after, both, *known, seconds])} |"


def _sureness(clips: Sequence[Clip]) -> str:
    """The share of clips that the reader is sure of, and that of right words in these."""
    sure = [clip for clip in clips if clip.read["grammar"].sure]
    right = [right for clip in sure for right in words_right(clip.said, clip.read["grammar"].text)]
    return f"{100 * len(sure) / len(clips):.0f} %, {f'{100 * np.mean(right):.0f} %' if right else '-'}"


def _rates(known: Sequence[Evaluation]) -> str:
    """Mean word error rates, greedy and with the grammar."""
    return " / ".join(
        f"{100 * float(np.mean([one.scores[how].wer for one in known])):.1f} %" for how in ("greedy", "grammar")
    )


if __name__ == "__main__":
    main()
