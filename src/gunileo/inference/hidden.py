"""Sentences that were said while the mouth was hidden for a while: guesses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gunileo.output.transcript import Transcript, Word
from gunileo.vision.timeline import Timeline
from gunileo.vision.video import FPS

# Frames of a sentence without a face from which on it is a guess: on validation clips of which so many are hidden at a
# random place, more than every tenth word of what would be sure is wrong.
_FEWEST = 5


def guessed(read: Transcript, hidden: Sequence[int], words: Sequence[Word], timeline: Timeline) -> Transcript:
    """What was read, not sure if the mouth was hidden for 0.2 seconds while its ``words`` were said.

    ``hidden`` are frames, and the words' times seconds of frames; ``timeline`` makes them those of a player.
    """
    if not words:
        return read
    within = {number for number in hidden if words[0].start <= (number + 0.5) / FPS <= words[-1].end}
    if len(within) < _FEWEST:
        return read
    firsts = [number for number in hidden if number - 1 not in hidden]
    ends = [number + 1 for number in hidden if number + 1 not in hidden]
    whole = [(first, end) for first, end in zip(firsts, ends, strict=True) if within & {*range(first, end)}]
    times = tuple((timeline.seconds(first / FPS), timeline.seconds(end / FPS)) for first, end in whole)
    return replace(read, sure=False, hidden=times)
