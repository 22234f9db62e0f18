"""What a reader might have read, without one."""

from __future__ import annotations

from collections.abc import Sequence

from gunileo.corpus.labels import WordTime
from gunileo.decoding.ctc import Decoded
from gunileo.evaluation.evaluate import Clip
from gunileo.output.transcript import Word

SAID = ["bin blue at f two now", "lay white with s nine again"]


def read(text: str, confidence: float = 0.8, sure: bool = True, words: Sequence[float] = ()) -> Decoded:
    """A reading with words from 0 to 0.5 seconds, from 1 to 1.5, ..., each of its confidence (0.9 if left out)."""
    told = [*words, *[0.9] * len(text.split())]
    spoken = tuple(Word(word, at, at + 0.5, told[at]) for at, word in enumerate(text.split()))
    return Decoded(text, spoken, confidence, sure)


def clip(name: str, said: str, greedy: str | Decoded, grammar: str | Decoded, times: tuple[WordTime, ...] = ()) -> Clip:
    """A clip of speaker ``name`` up to the slash and what was read of it."""
    readings = {
        how: one if isinstance(one, Decoded) else read(one) for how, one in (("greedy", greedy), ("grammar", grammar))
    }
    return Clip(name, name.partition("/")[0], said, times, readings)
