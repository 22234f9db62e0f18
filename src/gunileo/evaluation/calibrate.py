"""Learning how far a model can be trusted, from clips held back from training and negatives made of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING

from gunileo.corpus.grid import is_grid
from gunileo.decoding.ctc import DECODERS, Decoded, DecodeError, Floats
from gunileo.decoding.grammar import Grammar
from gunileo.evaluation.metrics import words_right
from gunileo.inference.confidence import APPEARANCES, FEWEST, NEGATIVES, Calibrations, Sample, confidence_features, fit

if TYPE_CHECKING:  # for their names alone
    from gunileo.corpus.cache import Cache, CachedUtterance
    from gunileo.inference.reader import Reader
    from gunileo.vision.mouth import MouthClip

MOST = 100  # clips; more take minutes and change little


def calibrate(
    reader: Reader,
    cache: Cache,
    utterances: Sequence[CachedUtterance],
    progress: Callable[[int, int], None] | None = None,
) -> Calibrations:
    """Learn how far ``reader`` can be trusted from ``utterances`` of ``cache`` that it was not trained on.

    A decoder gets a calibration if it reads enough clips well (``confidence.FEWEST``), the grammar from GRID's
    sentences alone; the result may be empty. What an adapted model leaves to its fallback is not learnt from, as its
    own network isn't asked. Of more than a hundred utterances, every second, third, ... is read, each in seven
    versions. Raises ``CacheError`` if a clip can't be loaded, ``ModelError`` if the model is broken.
    """
    if fallback := reader.fallback:
        utterances = [one for one in utterances if not fallback.read(cache.load(one), "greedy").sure]
    if len(utterances) < FEWEST:
        return {}
    chosen = utterances[:: -(-len(utterances) // MOST)]
    clips = []
    for number, utterance in enumerate(chosen, 1):
        clips.append(samples(reader, cache.load(utterance), utterance.text))
        if progress:
            progress(number, len(chosen))
    return fit_all(clips)


def fit_all(clips: Sequence[dict[str, list[Sample]]]) -> Calibrations:
    """A calibration for each decoder that has enough to learn from, from the ``samples`` of clips."""
    fitted = {how: fit(list(chain.from_iterable(clip[how] for clip in clips))) for how in DECODERS}
    return {how: calibration for how, calibration in fitted.items() if calibration}


def samples(reader: Reader, clip: MouthClip, said: str) -> dict[str, list[Sample]]:
    """What a clip teaches each decoder: as it is, in changed appearances, as negatives."""
    found: dict[str, list[Sample]] = {how: [] for how in DECODERS}
    for changed, text, appearance in _versions(clip, said):
        logp = reader.log_probabilities(changed)
        for how, decode in DECODERS.items():
            if how == "grammar" and not is_grid(said):
                continue
            with suppress(DecodeError):  # too short for a sentence, and so told to the user and never decoded
                grammar = Grammar.grid() if how == "grammar" else None
                found[how].append(_sample(logp, decode(logp), grammar, text, appearance))
    return found


def _versions(clip: MouthClip, said: str) -> Iterator[tuple[MouthClip, str | None, bool]]:
    yield clip, said, False
    for change in APPEARANCES.values():
        yield change(clip), said, True
    for negative in NEGATIVES.values():
        yield negative(clip), None, False


def _sample(logp: Floats, decoded: Decoded, grammar: Grammar | None, said: str | None, appearance: bool) -> Sample:
    right = [False] * len(decoded.words) if said is None else words_right(said, decoded.text)
    kind = "negative" if said is None else "appearance" if appearance else "clip"
    own = tuple((word.confidence, ok) for word, ok in zip(decoded.words, right, strict=True))
    words = len(said.split()) if said else 0
    return Sample(
        confidence_features(logp, decoded, grammar), decoded.confidence, said == decoded.text, own, words, kind
    )
