"""Measure what missing pictures cost: python benchmarks/missing.py MODEL CACHE [--split LIST]

Clips of CACHE with crops are read by the grammar, first with the face hidden for a while, at a place of each clip that
is drawn at random, then at lower frame rates. Prints how many words come out wrong, and how many of those in sure
readings.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np

from gunileo.corpus.cache import Cache
from gunileo.corpus.split import listed, split
from gunileo.evaluation.metrics import words_right
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.vision.mouth import MouthError
from gunileo.vision.mouth_clip import Mouth, MouthClip
from gunileo.vision.video import FPS

HIDDEN = (6, 12, 15, 25, 37)  # frames
RATES = (20, 15, 12, 10)

Change = Callable[[MouthClip, np.random.Generator], list[Mouth | None]]


def hidden(frames: int) -> Change:
    def change(clip: MouthClip, draw: np.random.Generator) -> list[Mouth | None]:
        """Up to half a second, the tracker gives what lies between; longer, nothing."""
        start = int(draw.integers(18, 42))
        gone = range(start, min(start + frames, len(clip) - 1))
        mouths: list[Mouth | None] = list(map(Mouth, clip.crops, clip.measures))
        for at in gone:
            near = gone.start - 1 if 2 * (at - gone.start) < len(gone) else gone.stop
            seen = Mouth(clip.crops[near], clip.measures[near], hidden=True)
            mouths[at] = seen if frames <= FPS // 2 else None
        return mouths

    return change


def slower(rate: int) -> Change:
    def change(clip: MouthClip, _: np.random.Generator) -> list[Mouth | None]:
        """Each frame is the nearest one that a camera of this rate takes."""
        shown = np.floor(np.arange(len(clip)) / FPS * rate + 0.5) * FPS / rate
        near = np.rint(shown).astype(int).clip(0, len(clip) - 1)
        return list(map(Mouth, clip.crops[near], clip.measures[near]))

    return change


def read(reader: Reader, mouths: Iterator[Mouth | None]) -> tuple[str, bool]:
    try:
        said = reader.transcribe_stream(mouths, "clip", "grammar")
    except MouthError:
        return "", False
    return said.text.replace("\n", " "), said.sure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("cache")
    parser.add_argument("--split", default="")
    options = parser.parse_args()
    reader, cache = load_model(options.model), Cache(options.cache)
    clips = split(cache.utterances, listed(options.split)) if options.split else cache.utterances
    clips = [one for one in clips if one.has_crops]
    kinds: dict[str, Change] = {"nothing hidden, 25 frames a second": hidden(0)}
    kinds |= {f"hidden for {count / FPS:.2f} s": hidden(count) for count in HIDDEN}
    kinds |= {f"{rate} frames a second": slower(rate) for rate in RATES}
    print("| | words wrong | sure | words wrong in these |\n|---|---|---|---|")
    for kind, change in kinds.items():
        draw = np.random.default_rng(0)
        wrong = words = sure = trusted = deceived = 0
        for clip in clips:
            text, is_sure = read(reader, iter(change(cache.load(clip), draw)))
            count = len(clip.text.split())
            missed = count - sum(words_right(clip.text, text))
            wrong, words = wrong + missed, words + count
            if is_sure:
                sure, trusted, deceived = sure + 1, trusted + count, deceived + missed
        print(f"| {kind} | {wrong} of {words} | {sure} of {len(clips)} | {deceived} of {trusted} |", flush=True)


if __name__ == "__main__":
    main()
