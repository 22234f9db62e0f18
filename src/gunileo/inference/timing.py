"""When words are said: by the head that names the word in each frame, or by when CTC names their letters.

CTC leaves free when a symbol is named, and networks learn habits: the first words' letters come too early, the last
ones' too late. The habit is a model's own, so it is learnt for each from clips held back from training, and travels
with it. numpy alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

import numpy as np

from gunileo.decoding.ctc import FPS, Floats
from gunileo.output.transcript import Word

Line = tuple[float, float, float]


@dataclass(frozen=True)
class Timing:
    """How far a model's words are moved: by so many seconds, by a share of the distance from the middle, and by one
    of the gap to the word before a start or after an end.

    The middle is that between the first word's start and the last one's end, as decoded; a share below zero draws
    words towards it. What is further than ``reach`` from it, in a longer video, moves as what is at ``reach``.
    """

    start: Line  # seconds, share of the distance, share of the gap
    end: Line
    reach: float  # seconds, of the longest sentence that it was learnt from

    def apply(self, words: Sequence[Word], seconds: float) -> tuple[Word, ...]:
        """The words with their times moved, within a clip of so many ``seconds``.

        Each lasts a frame at least, and neighbours that would overlap meet half-way, where that leaves them so much.
        """
        if not words:
            return ()
        middle = (words[0].start + words[-1].end) / 2
        moved = []
        for word, (before, after) in zip(words, gaps(words), strict=True):
            start = self._moved(word.start, middle, before, self.start)
            end = self._moved(word.end, middle, after, self.end)
            if end < start + 1 / FPS:
                start, end = (start + end - 1 / FPS) / 2, (start + end + 1 / FPS) / 2
            start = min(max(0.0, start), max(0.0, seconds - 1 / FPS))
            moved.append(replace(word, start=start, end=min(max(end, start + 1 / FPS), seconds)))
        for index in range(len(moved) - 1):
            one, other = moved[index : index + 2]
            meet = (one.end + other.start) / 2
            if other.start < one.end and one.start + 1 / FPS <= meet <= other.end - 1 / FPS:
                moved[index : index + 2] = replace(one, end=meet), replace(other, start=meet)
        return tuple(moved)

    def _moved(self, time: float, middle: float, gap: float, line: Line) -> float:
        distance, gap = (min(max(-self.reach, length), self.reach) for length in (time - middle, gap))
        return time + line[0] + line[1] * distance + line[2] * gap


def placed(scores: Floats, names: Sequence[str], words: Sequence[Word]) -> tuple[Word, ...] | None:
    """The words where a network places them: log-probabilities [T, 1 + names], silence the first.

    The best way through them that says each of the words in turn, for a frame at least, with silence or none between,
    before and after. None if a word is not among ``names``, or there are too few frames, or no words.
    """
    index = {name: 1 + place for place, name in enumerate(names)}
    if not words or len(words) > len(scores) or any(word.word not in index for word in words):
        return None
    states = [0, *(state for word in words for state in (index[word.word], 0))]  # silence, word, silence, word, ...
    emissions = scores[:, states]
    barred = np.where(np.arange(len(states)) % 2 == 0, -np.inf, 0.0)  # silences: two states on is from word to word
    ways = np.full((3, len(states)), -np.inf)  # to stay, to go on by one state, by two
    ways[0, :2] = emissions[0, :2]
    steps = []
    for frame in emissions[1:]:
        ways[1, 1:] = ways[0, :-1]
        ways[2, 2:] = ways[0, :-2] + barred[2:]
        steps.append(ways.argmax(0))
        ways[0] = ways.max(0) + frame
    best = ways[0]
    state = len(states) - 2 + int(best[-1] > best[-2])
    path = [state]
    for step in reversed(steps):
        state -= int(step[state])
        path.append(state)
    at = np.array(path[::-1])
    frames = [np.flatnonzero(at == 2 * place + 1) for place in range(len(words))]
    return tuple(
        replace(word, start=float(own[0]) / FPS, end=float(own[-1] + 1) / FPS)
        for word, own in zip(words, frames, strict=True)
    )


def gaps(words: Sequence[Word]) -> list[tuple[float, float]]:
    """Seconds between each word and the one before and after it; 0 where there is none."""
    between = [0.0, *(after.start - before.end for before, after in pairwise(words)), 0.0]
    return list(pairwise(between))


def to_json(timing: Timing) -> str:
    """One line of JSON, as a model file carries it."""
    return json.dumps(asdict(timing))


def from_json(text: str) -> Timing:
    """The reverse of ``to_json``; ``ValueError`` if ``text`` is anything else."""
    try:
        entry = json.loads(text)
        timing = Timing(_three(entry["start"]), _three(entry["end"]), float(entry["reach"]))
    except (TypeError, KeyError, OverflowError, RecursionError) as error:
        raise ValueError(f"no timing: {error}") from error
    if not all(map(math.isfinite, (*timing.start, *timing.end, timing.reach))):
        raise ValueError("a timing is not a number")
    return timing


def _three(numbers: Sequence[float]) -> Line:
    seconds, share, *gap = map(float, numbers)
    (gap_share,) = gap or (0.0,)  # the first models' files know no gaps
    return seconds, share, gap_share
