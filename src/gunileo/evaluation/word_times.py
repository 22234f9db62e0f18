"""Learning how early or late a model names words, from clips held back from training whose words' times are known."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from gunileo.decoding.ctc import DecodeError, align
from gunileo.inference.timing import Line, Timing, gaps

if TYPE_CHECKING:  # for their names alone
    from gunileo.corpus.cache import Cache, CachedUtterance
    from gunileo.corpus.labels import WordTime
    from gunileo.inference.reader import Reader
    from gunileo.output.transcript import Word


FEWEST = 10  # clips with word times to learn from: six numbers are learnt from some sixty words
MOST = 100  # clips; more change nothing


def fit(pairs: Sequence[tuple[Sequence[Word], Sequence[WordTime]]]) -> Timing:
    """The timing that brings decoded words nearest to when they were said, by least squares; sentence by sentence."""
    words = [both for read, said in pairs for both in zip(read, said, strict=True)]
    middles = [(read[0].start + read[-1].end) / 2 for read, _ in pairs for _ in read]
    before, after = zip(*(both for read, _ in pairs for both in gaps(read)), strict=True)
    return Timing(
        _line([word.start for word, _ in words], [time.start for _, time in words], middles, before),
        _line([word.end for word, _ in words], [time.end for _, time in words], middles, after),
        max((read[-1].end - read[0].start) / 2 for read, _ in pairs),
    )


def _line(decoded: ArrayLike, true: ArrayLike, middles: ArrayLike, gap: ArrayLike) -> Line:
    distances = np.subtract(decoded, middles)
    rows = np.column_stack([np.ones(len(distances)), distances, gap])
    seconds, share, gap_share = np.linalg.lstsq(rows, np.subtract(true, decoded), rcond=None)[0]
    return float(seconds), float(share), float(gap_share)


def learn(reader: Reader, cache: Cache, utterances: Sequence[CachedUtterance]) -> Timing | None:
    """How ``reader`` times words, from ``utterances`` of ``cache`` that it was not trained on and their word times.

    None if fewer than ``FEWEST`` have any; of more than ``MOST``, every second, third, ... is taken. What was said
    is given, so that only its times are to be found. Raises ``CacheError`` if a clip can't be loaded, ``ModelError``
    if the model is broken.
    """
    timed = [one for one in utterances if [time.word for time in one.words] == one.text.split() and one.words]
    timed = timed[:: max(1, -(-len(timed) // MOST))]
    pairs = []
    for utterance in timed:
        with suppress(DecodeError):  # too short to be spelled: it has no times to learn from
            pairs.append((align(reader.log_probabilities(cache.load(utterance)), utterance.text), utterance.words))
    return fit(pairs) if len(pairs) >= FEWEST else None
