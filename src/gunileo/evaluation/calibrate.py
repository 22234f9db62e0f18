"""Learning how far a model can be trusted, from clips held back from training and negatives made of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from gunileo.corpus.grid import is_grid
from gunileo.corpus.labels import spoken
from gunileo.decoding.ctc import DECODERS, Decoded
from gunileo.errors import GunileoError
from gunileo.evaluation.metrics import words_right
from gunileo.inference import decoders
from gunileo.inference.confidence import (
    APPEARANCES,
    FEWEST,
    NEGATIVES,
    Array,
    Calibrations,
    Sample,
    confidence_features,
    fit,
)

if TYPE_CHECKING:  # for their names alone
    from gunileo.corpus.cache import Cache, CachedUtterance
    from gunileo.inference.reader import Reader
    from gunileo.vision.mouth_clip import MouthClip

Example = tuple[Callable[[], "MouthClip"], str]  # what loads a clip, and what is said in it
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
        clips = ((one, cache.load(one)) for one in utterances)
        utterances = [one for one, clip in clips if not (fallback.knows(clip) and fallback.read(clip, "greedy").sure)]
    if len(utterances) < FEWEST:
        return {}
    return calibrate_on(reader, [(partial(cache.load, one), one.text) for one in utterances], progress)


def calibrate_on(
    reader: Reader,
    examples: Sequence[Example],
    progress: Callable[[int, int], None] | None = None,
    skip: Callable[[GunileoError], None] | None = None,
) -> Calibrations:
    """As ``calibrate``, from clips that are given by what loads each and what is said in it.

    ``skip`` is told of each that can't be loaded, with what was raised; without it that is raised.
    """
    chosen = examples[:: -(-len(examples) // MOST)] if examples else []
    clips = []
    for number, (load, said) in enumerate(chosen, 1):
        try:
            clips.append(samples(reader, load(), said))
        except GunileoError as error:
            if skip is None:
                raise
            skip(error)
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
        answers = reader.answers(changed)
        for how in DECODERS:
            if how == "grammar" and not is_grid(said):
                continue
            with suppress(GunileoError):  # too short for a sentence, and so told to the user and never decoded
                grammar = decoders.spoken(how, None, reader.vocabulary)
                decoded = decoders.read(answers, how, grammar, reader.vocabulary, reader.search)
                features = confidence_features(answers.log_probabilities, decoded, grammar, reader.vocabulary)
                found[how].append(_sample(features, decoded, text, appearance))
    return found


def _versions(clip: MouthClip, said: str) -> Iterator[tuple[MouthClip, str | None, bool]]:
    yield clip, said, False
    for change in APPEARANCES.values():
        yield change(clip), said, True
    for negative in NEGATIVES.values():
        yield negative(clip), None, False


def _sample(features: Array, decoded: Decoded, said: str | None, appearance: bool) -> Sample:
    read = " ".join(spoken(word.word) or "-" for word in decoded.words)  # as texts of a corpus are
    right = [False] * len(decoded.words) if said is None else words_right(said, read)
    kind = "negative" if said is None else "appearance" if appearance else "clip"
    own = tuple((word.confidence, ok) for word, ok in zip(decoded.words, right, strict=True))
    words = len(said.split()) if said else 0
    return Sample(features, decoded.confidence, said == read, own, words, kind)
