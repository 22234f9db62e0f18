"""All results of a report, beyond the error rates of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import jiwer
import numpy as np

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.corpus.grid import SLOT_NAMES, SLOTS, is_grid
from gunileo.corpus.visemes import VISEME_NAMES, visemes
from gunileo.decoding.ctc import Decoded, DecodeError
from gunileo.decoding.grammar import Grammar
from gunileo.evaluation.evaluate import WAYS, Clip, Evaluation, Score, WordTimes
from gunileo.evaluation.metrics import (
    BINS,
    DRAWS,
    LEVEL,
    Bin,
    Interval,
    bootstrap,
    calibration_error,
    error_counts,
    matrix,
    paired,
    reliability,
    words_right,
)
from gunileo.evaluation.occlusion import Saliency, saliency
from gunileo.inference.confidence import NEGATIVES, OTHER_NEGATIVES, limit, read_well
from gunileo.inference.reader import Reader
from gunileo.vision.mouth_clip import MouthClip

WORST = 10  # clips shown
_POSING = 40  # clips, at most, of which negatives are made
_POSES = {**NEGATIVES, **OTHER_NEGATIVES}
_LETTER, _DIGIT = SLOT_NAMES.index("letter"), SLOT_NAMES.index("digit")


@dataclass(frozen=True)
class Matrix:
    """How often each label (rows, as said) was read as each; a last column counts all other readings, none included."""

    labels: tuple[str, ...]
    counts: list[list[int]]


@dataclass(frozen=True)
class Reliability:
    """How well confidences tell the share that is right; ``error`` is the expected calibration error."""

    readings: int
    error: float
    bins: list[Bin]


@dataclass(frozen=True)
class Alike:
    """Words of GRID read as another one, and how many of these look the same on lips (the same visemes)."""

    wrong: int
    alike: int


@dataclass(frozen=True)
class Sureness:
    """Clips that the reader is sure of and those that it is not, and their word error rates; None where none are."""

    sure: int
    unsure: int
    unsure_share: float
    unsure_interval: Interval
    wer_sure: float | None
    wer_unsure: float | None


@dataclass(frozen=True)
class Worst:
    """A clip that was read badly, with the grammar's confidence in what it read."""

    id: str
    said: str
    greedy: str
    grammar: str
    confidence: float
    sure: bool
    words_wrong: int  # with the grammar


@dataclass(frozen=True)
class Explained:
    """A word read with the grammar, and which pieces of its clip spoke for it."""

    id: str
    slot: str
    said: str
    read: str
    confidence: float
    start: float
    end: float
    saliency: Saliency


@dataclass(frozen=True)
class Negatives:
    """Clips in which nothing can be read, as the grammar reads them; shares of ``clips``.

    ``rejected`` are those with a confidence below the ``confidence.limit`` of the clips that were read well
    (``confidence.read_well``); None where no clip was.
    """

    kind: str
    clips: int
    unsure: float
    rejected: float | None


@dataclass(frozen=True)
class Method:
    """How the intervals and calibration errors were made."""

    draws: int = DRAWS
    level: float = LEVEL
    bins: int = BINS


@dataclass(frozen=True)
class Results:
    """Everything that a report shows; results by way to decode where there are two."""

    model: str
    cache: str
    clips: int
    scores: dict[str, Score]
    speakers: dict[str, dict[str, Score]]
    matrices: dict[str, dict[str, Matrix]]  # letters, digits, visemes
    alike: dict[str, Alike]
    reliability: dict[str, dict[str, Reliability]]  # words, sentences
    sureness: dict[str, Sureness]
    word_times: WordTimes | None
    worst: list[Worst]
    explained: list[Explained]
    negatives: list[Negatives]
    calibrated: list[str]  # ways to decode for which the model carries a calibration
    unread: list[str]
    own_grammar: bool  # whether the grammar is another than GRID's
    method: Method = Method()


def measure(
    evaluation: Evaluation,
    reader: Reader,
    cache: Cache,
    utterances: Sequence[CachedUtterance],
    progress: Callable[[int, int], None] | None = None,
    grammar: Grammar | None = None,
) -> Results:
    """All results of ``evaluation``, which ``reader`` made of ``utterances`` of ``cache`` with that ``grammar``.

    Reads some clips again, as negatives and to see what moved a few decisions; ``progress(done, total)`` after each.
    Raises ``CacheError`` if one of these can't be loaded any more.
    """
    clips = evaluation.clips
    prepared = {utterance.id: utterance for utterance in utterances}
    words = chosen(clips)
    posing = clips[:: -(-len(clips) // _POSING)]
    posed: dict[str, list[Decoded]] = {kind: [] for kind in _POSES}
    explained = []
    for number, (clip, place) in enumerate([*((clip, None) for clip in posing), *words], 1):
        mouths = cache.load(prepared[clip.id])
        if place is None:
            _pose(reader, mouths, posed, grammar)
        else:
            explained.append(explain(reader, mouths, clip, place, grammar))
        if progress:
            progress(number, len(posing) + len(words))
    return Results(
        *(evaluation.model, evaluation.cache, len(clips), evaluation.scores, evaluation.speakers),
        {how: matrices(clips, how) for how in WAYS},
        {how: alike(clips, how) for how in WAYS},
        {how: reliabilities(clips, how) for how in WAYS},
        {how: sureness(clips, how) for how in WAYS},
        *(evaluation.word_times, worst(clips), explained, negatives(clips, posed)),
        *(list(reader.calibrations), evaluation.unread, evaluation.own_grammar),
    )


def matrices(clips: Sequence[Clip], how: str) -> dict[str, Matrix]:
    """Confusions of letters and digits in their places of GRID sentences, and of visemes in all words of GRID."""
    pairs = [paired(clip.said, clip.read[how].text) for clip in clips]
    grid = [pair for clip, pair in zip(clips, pairs, strict=True) if is_grid(clip.said)]
    seen = [pair for words in pairs for word in words for pair in viseme_pairs(*word)]
    return {
        "letters": Matrix(SLOTS[_LETTER], matrix([words[_LETTER] for words in grid], SLOTS[_LETTER])),
        "digits": Matrix(SLOTS[_DIGIT], matrix([words[_DIGIT] for words in grid], SLOTS[_DIGIT])),
        "visemes": Matrix(VISEME_NAMES, matrix(seen, VISEME_NAMES)),
    }


def viseme_pairs(said: str, read: str) -> Iterable[tuple[str, str]]:
    """Each viseme of a word of GRID with the one read for it, or with "" where there is none: aligned as words are."""
    if not visemes(said):
        return []
    return paired(" ".join(visemes(said)), " ".join(visemes(read)))


def alike(clips: Sequence[Clip], how: str) -> Alike:
    """How many of the wrong words could not be told from the right ones by their visemes."""
    wrong = [
        (said, read)
        for clip in clips
        for said, read in paired(clip.said, clip.read[how].text)
        if said != read and visemes(said) and visemes(read)
    ]
    return Alike(len(wrong), sum(visemes(said) == visemes(read) for said, read in wrong))


def reliabilities(clips: Sequence[Clip], how: str) -> dict[str, Reliability]:
    """How well confidences tell what is right, of words and of sentences; a kind without a reading is left out."""
    read = [(clip.said, clip.read[how]) for clip in clips if clip.read[how].words]
    words = [
        (word.confidence, right)
        for said, decoded in read
        for word, right in zip(decoded.words, words_right(said, decoded.text), strict=True)
    ]
    sentences = [(decoded.confidence, decoded.text == said) for said, decoded in read]
    found = {}
    for name, readings in (("words", words), ("sentences", sentences)):
        if readings:
            confidences, right = [one for one, _ in readings], [other for _, other in readings]
            error = calibration_error(confidences, right)
            found[name] = Reliability(len(readings), error, reliability(confidences, right))
    return found


def sureness(clips: Sequence[Clip], how: str) -> Sureness:
    """What being sure is worth: the error rates of both kinds of clips."""
    flags = np.array([clip.read[how].sure for clip in clips])
    errors, wholes = error_counts([clip.said for clip in clips], [clip.read[how].text for clip in clips])
    rates = [
        float(errors[chosen, 0].sum() / wholes[chosen, 0].sum()) if chosen.any() else None for chosen in (flags, ~flags)
    ]
    (interval,) = bootstrap(~flags, np.ones(len(clips)))
    return Sureness(int(flags.sum()), int((~flags).sum()), float((~flags).mean()), interval, *rates)


def worst(clips: Sequence[Clip], count: int = WORST) -> list[Worst]:
    """The clips with most words wrong with the grammar, then greedily; the surest of equals first. Only wrong ones."""
    ranked = []
    for clip in clips:
        wrong = {how: _wrong(clip.said, clip.read[how].text) for how in WAYS}
        if any(wrong.values()):
            read = clip.read["grammar"]
            ranked.append((-wrong["grammar"], -wrong["greedy"], -read.confidence, clip.id, clip))
    return [
        Worst(
            *(clip.id, clip.said, clip.read["greedy"].text, clip.read["grammar"].text),
            *(clip.read["grammar"].confidence, clip.read["grammar"].sure, -wrong),
        )
        for wrong, _, _, _, clip in sorted(ranked, key=lambda entry: entry[:-1])[:count]
    ]


def _wrong(said: str, read: str) -> int:
    found = jiwer.process_words(said, read)
    return int(found.substitutions + found.deletions + found.insertions)


def chosen(clips: Sequence[Clip]) -> list[tuple[Clip, int]]:
    """The few words to explain, clip and place: the surest wrong word, and the surest right one of two hard places.

    Only of GRID sentences, and of clips that were read as six words.
    """
    words = [
        (clip.read["grammar"].words[place].confidence, clip, place, said == read)
        for clip in clips
        if is_grid(clip.said) and is_grid(clip.read["grammar"].text)
        for place, (said, read) in enumerate(paired(clip.said, clip.read["grammar"].text))
    ]
    words.sort(key=lambda word: -word[0])
    hard = sorted(range(len(SLOT_NAMES)), key=lambda place: (_right_share(words, place), place))[:2]
    picked = [next(((clip, place) for _, clip, place, right in words if not right), None)]
    for hard_place in hard:
        picked.append(next(((clip, place) for _, clip, place, right in words if right and place == hard_place), None))
    return [one for one in picked if one]


def _right_share(words: Sequence[tuple[float, Clip, int, bool]], place: int) -> float:
    right = [one for _, _, at, one in words if at == place]
    return sum(right) / max(1, len(right))


def explain(reader: Reader, mouths: MouthClip, clip: Clip, place: int, grammar: Grammar | None = None) -> Explained:
    """What in a clip's mouths spoke for the GRID word that was read in a place."""
    decoded = clip.read["grammar"]
    word = decoded.words[place]
    reader = reader.best_prediction(mouths, "grammar", grammar).reader
    found = saliency(reader, mouths, decoded.text.split(), place, SLOTS[place], word.start, word.end)
    said = clip.said.split()[place]
    return Explained(clip.id, SLOT_NAMES[place], said, word.word, word.confidence, word.start, word.end, found)


def _pose(reader: Reader, mouths: MouthClip, posed: Mapping[str, list[Decoded]], grammar: Grammar | None) -> None:
    """Add what is read from each kind of negative made of a clip."""
    for kind, pose in _POSES.items():
        with suppress(DecodeError):  # too short a clip
            posed[kind].append(reader.read(pose(mouths), "grammar", grammar))


def negatives(clips: Sequence[Clip], posed: Mapping[str, Sequence[Decoded]]) -> list[Negatives]:
    """How many negatives of each kind came out as not sure, or less sure than good clips."""
    good = [
        clip.read["grammar"].confidence
        for clip in clips
        if read_well(words_right(clip.said, clip.read["grammar"].text), len(clip.said.split()))
    ]
    least = limit(good) if good else None
    return [
        Negatives(
            *(kind, len(read), sum(not one.sure for one in read) / len(read)),
            None if least is None else sum(one.confidence < least for one in read) / len(read),
        )
        for kind, read in posed.items()
        if read
    ]
