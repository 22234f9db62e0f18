"""Measure how far confidences can be trusted: python benchmarks/confidence.py MODEL CACHE [OTHER ...] [--split LIST]

For clips of CACHE that the model was not trained on, calibrated in parts, each by a calibration learnt from the
others: a speaker each where there are several, else ten. Prints the expected calibration error, how many words are
right in sure readings, and how many good clips and negatives come out as not sure. For OTHER
caches, of speakers that the model never saw, and for an animated portrait: the same with a calibration learnt from all
clips of CACHE. What a model file carries is not looked at. Needs the "train" extra; takes a few minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.corpus.grid import code_to_text
from gunileo.corpus.split import listed, split
from gunileo.corpus.synthetic import make_corpus
from gunileo.decoding.ctc import Decoded, Floats, greedy, viterbi
from gunileo.decoding.grammar import Grammar
from gunileo.evaluation.calibrate import fit_all, samples
from gunileo.evaluation.metrics import calibration_error, words_right
from gunileo.inference.confidence import NEGATIVES, OTHER_NEGATIVES, Calibrations, confidence_features, read_well
from gunileo.inference.load import load_model
from gunileo.inference.reader import Reader
from gunileo.util.progress import progress
from gunileo.vision.mouth import read_mouth

PARTS = 10  # where all clips are of one speaker
PORTRAIT = 20  # clips of an animated face
WAYS = ("grammar", "greedy")


@dataclass
class Row:
    """What came of clips of one kind: words and sentences with their confidence, and whether right; not sure."""

    words: list[tuple[float, bool]] = field(default_factory=list)
    sentences: list[tuple[float, bool]] = field(default_factory=list)
    unsure: list[tuple[bool, bool]] = field(default_factory=list)  # not sure; read well
    trusted: list[bool] = field(default_factory=list)  # whether right, of the words in sure readings

    def add(self, decoded: Decoded, said: str) -> None:
        """One clip."""
        right = words_right(said, decoded.text)
        self.words += [(word.confidence, ok) for word, ok in zip(decoded.words, right, strict=True)]
        self.sentences.append((decoded.confidence, decoded.text == said))
        self.unsure.append((not decoded.sure, read_well(right, len(said.split()))))
        self.trusted += right if decoded.sure else []


@dataclass
class Results:
    """All rows by way to decode and kind of clip; ``plain`` without calibration."""

    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    plain: dict[tuple[str, str], Row] = field(default_factory=dict)

    def add(self, kind: str, logp: Floats, said: str, calibrations: Calibrations) -> None:
        """One clip by each way to decode."""
        for how in WAYS:
            grammar = Grammar.grid() if how == "grammar" else None
            decoded = viterbi(logp, grammar) if grammar else greedy(logp)
            self.plain.setdefault((how, kind), Row()).add(decoded, said)
            if how in calibrations:
                decoded = calibrations[how].apply(decoded, confidence_features(logp, decoded, grammar))
            self.rows.setdefault((how, kind), Row()).add(decoded, said)


def main() -> None:
    """Read, calibrate, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model")
    parser.add_argument("cache", type=Path)
    parser.add_argument("others", type=Path, nargs="*", metavar="OTHER", help="caches of speakers never trained on")
    parser.add_argument("--split", default="grid_s1_valid", help="list, shipped or a file, of CACHE's clips to read")
    arguments = parser.parse_args()
    reader, cache = load_model(arguments.model), Cache(arguments.cache)
    clips = [clip for clip in split(cache.utterances, listed(arguments.split)) if clip.has_crops]
    results = Results()
    own = cross_validate(reader, cache, clips, results)
    for path in arguments.others:
        other = Cache(path)
        for clip in (one for one in other.utterances if one.has_crops):
            results.add(f"other speakers: {path.name}", reader.log_probabilities(other.load(clip)), clip.text, own)
    with TemporaryDirectory() as folder:
        for video in make_corpus(folder, PORTRAIT):
            logp = reader.log_probabilities(read_mouth(video))
            results.add("animated portrait", logp, code_to_text(video.stem), own)
    show(reader.name, results)


def cross_validate(reader: Reader, cache: Cache, clips: Sequence[CachedUtterance], results: Results) -> Calibrations:
    """Add the clips, and the negatives made of them, to ``results``; gives the calibration by all of them."""
    learnt, others = [], []
    with progress("reading") as bar:
        for number, clip in enumerate(clips, 1):
            mouths = cache.load(clip)
            learnt.append(samples(reader, mouths, clip.text))
            changes = {"clips": lambda same: same, **NEGATIVES, **OTHER_NEGATIVES}
            others.append({kind: reader.log_probabilities(change(mouths)) for kind, change in changes.items()})
            bar(number, len(clips))
    part = parts(clips)
    for held in set(part):
        calibrations = fit_all([found for found, one in zip(learnt, part, strict=True) if one != held])
        for clip, versions, one in zip(clips, others, part, strict=True):
            if one == held:
                for kind, logp in versions.items():
                    results.add(kind, logp, clip.text, calibrations)
    return fit_all(learnt)


def parts(clips: Sequence[CachedUtterance]) -> list[int]:
    """The part that each clip belongs to: its speaker, or one of ten at random if all have the same."""
    speakers = sorted({clip.speaker for clip in clips})
    if len(speakers) > 1:
        return [speakers.index(clip.speaker) for clip in clips]
    return [int(one) for one in np.random.default_rng(0).permutation(len(clips)) % PARTS]


def show(model: str, results: Results) -> None:
    """Print two tables for each way to decode."""
    console = Console(width=120)
    for how in WAYS:
        heads = ("", "not sure", "read well, not sure", "words right where sure", "wrong words over 0.9", "before")
        table = Table(*heads, title=f"{model}, {how}")
        errors = Table("expected calibration error", "words", "before", "by chance", "sentences", "before", "by chance")
        for (way, kind), row in results.rows.items():
            if way != how:
                continue
            plain = results.plain[how, kind]
            wrong = [(sum(p > 0.9 and not ok for p, ok in one.words), one) for one in (row, plain)]
            said = kind not in NEGATIVES and kind not in OTHER_NEGATIVES
            table.add_row(
                kind,
                counted([unsure for unsure, _ in row.unsure]),
                counted([unsure for unsure, good in row.unsure if good]) if said else "",
                counted(row.trusted) if said else "",
                *(f"{count} of {sum(not ok for _, ok in one.words)}" for count, one in wrong),
            )
            if said:
                pairs = ((row.words, plain.words), (row.sentences, plain.sentences))
                rates = [rate for own, before in pairs for rate in (error(own), error(before), by_chance(own))]
                errors.add_row(kind, *(f"{rate:.3f}" for rate in rates))
        console.print(table)
        console.print(errors)


def error(answers: Sequence[tuple[float, bool]]) -> float:
    """The expected calibration error of confidences with right or wrong."""
    return calibration_error([confidence for confidence, _ in answers], [right for _, right in answers])


def by_chance(answers: Sequence[tuple[float, bool]]) -> float:
    """What the error would be on average if all these confidences came true exactly: few answers scatter."""
    rng = np.random.default_rng(0)
    draws = [error([(confidence, bool(rng.random() < confidence)) for confidence, _ in answers]) for _ in range(100)]
    return float(np.mean(draws))


def counted(values: Sequence[bool]) -> str:
    """How many, of how many, and the 95 % interval of the share (E. Wilson, JASA 22, 1927)."""
    if not values:
        return "none"
    n, share, z = len(values), sum(values) / len(values), 1.96
    centre, half = share + z * z / (2 * n), z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    low, high = ((centre + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    return f"{sum(values)} of {n} ({low:.1%} to {high:.1%})"


if __name__ == "__main__":
    main()
