"""How wrong a reading is: error rates, per-slot accuracy, what is taken for what, and how far to trust it all.

References and hypotheses are lists of sentences in the same order; rates are over all sentences
together, from 0 (perfect) on, and may pass 1 where words were added. All functions raise
``ValueError`` if the lists are empty or of different lengths. For ``bootstrap`` there are the same measures
clip by clip, as parts and wholes: a rate is the sum of its parts over the sum of its wholes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import jiwer
import numpy as np
from numpy.typing import ArrayLike, NDArray

from gunileo.corpus.grid import SLOT_NAMES

DRAWS = 2000  # of clips, for an interval
LEVEL = 0.95
BINS = 10  # of confidence

Interval = tuple[float, float]
Floats = NDArray[np.float64]


def wer(refs: Sequence[str], hyps: Sequence[str]) -> float:
    """Word error rate: substituted, deleted and inserted words over the references' words."""
    _check(refs, hyps)
    return float(jiwer.wer(list(refs), list(hyps)))


def cer(refs: Sequence[str], hyps: Sequence[str]) -> float:
    """Character error rate, the spaces between words counted as characters."""
    _check(refs, hyps)
    return float(jiwer.cer(list(refs), list(hyps)))


def sentence_accuracy(refs: Sequence[str], hyps: Sequence[str]) -> float:
    """The share of sentences that are right in every word."""
    _check(refs, hyps)
    return sum(ref.split() == hyp.split() for ref, hyp in zip(refs, hyps, strict=True)) / len(refs)


def slot_accuracy(refs: Sequence[str], hyps: Sequence[str]) -> dict[str, float]:
    """The share of right words in each of the six slots of a GRID sentence, by the slot's name.

    A hypothesis of six words is compared word by word; one of another length is aligned first, as
    for the word error rate. ``ValueError`` if a reference has not six words.
    """
    right = slots_right(refs, hyps)
    return dict(zip(SLOT_NAMES, right.mean(axis=0).tolist(), strict=True))


def slots_right(refs: Sequence[str], hyps: Sequence[str]) -> Floats:
    """Which words of GRID sentences are right, 1 or 0, [clips, 6]. Raises ``ValueError`` as ``slot_accuracy`` does."""
    _check(refs, hyps)
    for ref in refs:
        if len(ref.split()) != len(SLOT_NAMES):
            raise ValueError(f"{ref!r} has {len(ref.split())} words; a GRID sentence has {len(SLOT_NAMES)}")
    return np.array(
        [[said == read for said, read in paired(ref, hyp)] for ref, hyp in zip(refs, hyps, strict=True)], float
    )


def error_counts(refs: Sequence[str], hyps: Sequence[str]) -> tuple[Floats, Floats]:
    """Errors and what they are out of in each clip, both [clips, 3]: words, characters, sentences.

    ``wer`` and ``cer`` are the sums of the first two; the third is 1 minus ``sentence_accuracy``.
    """
    _check(refs, hyps)
    errors, wholes = [], []
    for ref, hyp in zip(refs, hyps, strict=True):
        counted = jiwer.process_words(ref, hyp), jiwer.process_characters(ref, hyp)
        wrong = [one.substitutions + one.deletions + one.insertions for one in counted]
        errors.append([*wrong, int(ref.split() != hyp.split())])
        wholes.append([*(one.hits + one.substitutions + one.deletions for one in counted), 1])
    return np.array(errors, float), np.array(wholes, float)


def bootstrap(parts: ArrayLike, wholes: ArrayLike, seed: int = 0) -> list[Interval]:
    """The 95 % interval of each rate, from its parts and wholes clip by clip, [clips, rates] or [clips].

    As many clips as there are are drawn with replacement, ``DRAWS`` times. The interval goes from the 2.5th to the
    97.5th percentile of the rates of the draws: M. Bisani, H. Ney, "Bootstrap estimates for confidence intervals
    in ASR performance evaluation", ICASSP 2004. It tells what other clips of the same speakers would have given. A
    rate without a single error gets no width. ``ValueError`` if the shapes differ or there is no clip.
    """
    part, whole = np.asarray(parts, np.float64), np.asarray(wholes, np.float64)
    if part.shape != whole.shape or not part.size:
        raise ValueError(f"parts of shape {part.shape} and wholes of {whole.shape}; both must be the same, not empty")
    part, whole = part.reshape(len(part), -1), whole.reshape(len(whole), -1)
    rng = np.random.default_rng(seed)
    rates = np.full((DRAWS, part.shape[1]), np.nan)
    for draw in range(DRAWS):
        drawn = np.bincount(rng.integers(len(part), size=len(part)), minlength=len(part)).astype(np.float64)
        total = drawn @ whole
        np.divide(drawn @ part, total, out=rates[draw], where=total > 0)
    edges = np.nanquantile(rates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return [(float(low), float(high)) for low, high in edges.T]


@dataclass(frozen=True)
class Bin:
    """Readings whose confidence lies above ``low`` and up to ``high``: their mean confidence and share right."""

    low: float
    high: float
    count: int
    confidence: float
    right: float


def reliability(confidences: Sequence[float], right: Sequence[bool], bins: int = BINS) -> list[Bin]:
    """Readings by confidence in ``bins`` equal parts of 0 to 1, those without a reading left out.

    C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017: a reader
    whose confidences mean something is right in as large a share of a bin as its mean confidence says.
    ``ValueError`` if a confidence is not within 0 and 1, or has no right or wrong.
    """
    sure, correct = np.asarray(confidences, np.float64), np.asarray(right, np.float64)
    if sure.shape != correct.shape or not np.all((sure >= 0) & (sure <= 1)):
        raise ValueError("confidences must be from 0 to 1, with one right or wrong each")
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], sure)  # an edge belongs to the bin below it
    return [
        Bin(
            *(float(edges[number]), float(edges[number + 1]), int(np.sum(place == number))),
            *(float(sure[place == number].mean()), float(correct[place == number].mean())),
        )
        for number in np.unique(place)
    ]


def calibration_error(confidences: Sequence[float], right: Sequence[bool], bins: int = BINS) -> float:
    """The expected calibration error: how far confidence and share right are apart, mean over readings, bin by bin.

    Guo et al., as for ``reliability``, equation 3. 0 is perfect; ``ValueError`` if there is no reading.
    """
    found = reliability(confidences, right, bins)
    if not found:
        raise ValueError("no reading, so no calibration error")
    return sum(one.count * abs(one.right - one.confidence) for one in found) / sum(one.count for one in found)


def matrix(pairs: Iterable[tuple[str, str]], labels: Sequence[str]) -> list[list[int]]:
    """How often each of ``labels`` (rows, as said) was read as each of them; a last column counts all other readings.

    Pairs whose first is not among ``labels`` are left out.
    """
    places = {label: place for place, label in enumerate(labels)}
    counts = [[0] * (len(labels) + 1) for _ in labels]
    for said, read in pairs:
        if said in places:
            counts[places[said]][places.get(read, len(labels))] += 1
    return counts


def paired(ref: str, hyp: str) -> list[tuple[str, str]]:
    """Each word of ``ref`` with the word read for it, or with "" where there is none.

    Sentences of the same number of words are compared word by word, others aligned as for the word error rate.
    """
    said, read = ref.split(), hyp.split()
    if len(said) == len(read):
        return list(zip(said, read, strict=True))
    partners = {place: other for place, (_, other) in _aligned(ref, hyp)}
    return [(word, partners.get(place, "")) for place, word in enumerate(said)]


def words_right(ref: str, hyp: str) -> list[bool]:
    """Whether each word of ``hyp`` is right; a word that was added is not. Compared as in ``paired``."""
    if len(ref.split()) == len(hyp.split()):
        return [said == read for said, read in paired(ref, hyp)]
    # seen from the reading, a word said is the one read for it
    return [bool(said) and said == read for read, said in paired(hyp, ref)] if hyp else []


def confusions(refs: Sequence[str], hyps: Sequence[str], n: int = 10) -> list[tuple[str, str, int]]:
    """The ``n`` commonest substitutions as (said, read, times), the commonest first, then by alphabet."""
    _check(refs, hyps)
    counts = Counter(
        pair for ref, hyp in zip(refs, hyps, strict=True) for _, pair in _aligned(ref, hyp) if pair[0] != pair[1]
    )
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(said, read, times) for (said, read), times in ranked[:n]]


def _aligned(ref: str, hyp: str) -> Iterator[tuple[int, tuple[str, str]]]:
    """Place of each word of ``ref`` that has a partner in ``hyp``, with the two words."""
    result = jiwer.process_words(ref, hyp)
    said, read = result.references[0], result.hypotheses[0]
    for chunk in result.alignments[0]:
        if chunk.type in {"equal", "substitute"}:
            for offset in range(chunk.ref_end_idx - chunk.ref_start_idx):
                place = chunk.ref_start_idx + offset
                yield place, (said[place], read[chunk.hyp_start_idx + offset])


def _check(refs: Sequence[str], hyps: Sequence[str]) -> None:
    if not refs or len(refs) != len(hyps):
        raise ValueError(f"{len(refs)} references and {len(hyps)} hypotheses; both must be the same number, not 0")
