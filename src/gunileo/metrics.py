"""How wrong a reading is: error rates, accuracy by place, and what is taken for what.

References and hypotheses are lists of sentences in the same order; rates are over all sentences
together, from 0 (perfect) on, and may pass 1 where words were added. All functions raise
``ValueError`` if the lists are empty or of different lengths.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import jiwer

from gunileo.sentence import PLACES


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


def place_accuracy(refs: Sequence[str], hyps: Sequence[str]) -> dict[str, float]:
    """The share of right words in each of the six places of a GRID sentence, by the place's name.

    A hypothesis of six words is compared word by word; one of another length is aligned first, as
    for the word error rate. ``ValueError`` if a reference has not six words.
    """
    _check(refs, hyps)
    right = Counter[int]()
    for ref, hyp in zip(refs, hyps, strict=True):
        said, read = ref.split(), hyp.split()
        if len(said) != len(PLACES):
            raise ValueError(f"{ref!r} has {len(said)} words; a GRID sentence has {len(PLACES)}")
        pairs = enumerate(zip(said, read, strict=True)) if len(read) == len(said) else _aligned(ref, hyp)
        right.update(place for place, (one, other) in pairs if one == other)
    return {name: right[place] / len(refs) for place, name in enumerate(PLACES)}


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
