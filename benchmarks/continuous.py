"""Sentences said with hardly a rest between them: how many are found, and how many of their words are read wrong.

    python benchmarks/continuous.py MODEL CLIP...

GRID's clips of one speaker, with an .align of each below an "align" folder beside theirs, are cut to what is said and
put one after the other. Each row has so many seconds of rest between two sentences, then what is found where each
stretch without a rest is read as one sentence, and where sentences are told apart.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import jiwer

from gunileo import Reader, load_model
from gunileo.corpus.grid import code_to_text
from gunileo.corpus.labels import read_align
from gunileo.inference.live import sentences
from gunileo.vision.video import FPS, Frame, read_frames

RESTS = (0.16, 0.36, 0.6)  # seconds


class OneEach(Reader):
    """Takes any stretch for one sentence."""

    def boundaries(self, *_: object, **__: object) -> list[int]:
        return []


def said(clip: Path, around: int) -> Iterator[Frame]:
    """The frames in which a clip's sentence is said, and so many before and after."""
    (label,) = clip.parents[1].glob(f"align/{clip.parent.name}/{clip.stem}.align")
    words = read_align(label)
    first, last = round(words[0].start * FPS) - around, round(words[-1].end * FPS) + around
    yield from list(read_frames(clip))[max(0, first) : last]


def main() -> None:
    model, *names = sys.argv[1:]
    clips = [Path(name) for name in names]
    reader = load_model(model)
    texts = [code_to_text(clip.stem) for clip in clips]
    print("| rest | said | one a stretch: found | words wrong | told apart: found | words wrong |")
    print("|---|---|---|---|---|---|")
    for rest in (*RESTS, None):
        around = round(rest * FPS / 2) if rest else 10 * FPS  # all of a clip
        mouths = list(reader.mouths(frame for clip in clips for frame in said(clip, around)))
        row = [f"{rest} s" if rest else "whole clips", str(len(texts))]
        for one in (OneEach(**vars(reader)), reader):
            read = list(sentences(iter(mouths), one, "talk", None, None))
            wrong = jiwer.wer(" ".join(texts), " ".join(sentence.text for sentence in read))
            row += [str(len(read)), f"{100 * wrong:.1f} %"]
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
