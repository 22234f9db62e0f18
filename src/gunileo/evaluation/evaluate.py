"""How well a model reads a corpus: error rates with their intervals, for each way to decode."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from gunileo.corpus.cache import Cache, CachedUtterance
from gunileo.corpus.finders import Utterance
from gunileo.corpus.grid import SLOT_NAMES, is_grid
from gunileo.corpus.labels import CorpusError, WordTime, spoken
from gunileo.corpus.videos import Videos
from gunileo.decoding.ctc import Decoded, DecodeError
from gunileo.decoding.grammar import Grammar
from gunileo.decoding.vocabulary import GRID
from gunileo.errors import GunileoError
from gunileo.evaluation.metrics import (
    Interval,
    bootstrap,
    cer,
    confusions,
    error_counts,
    sentence_accuracy,
    slot_accuracy,
    slots_right,
    wer,
)
from gunileo.inference.decoders import Answers
from gunileo.inference.reader import Reader
from gunileo.output.transcript import Word
from gunileo.vision.mouth_clip import MouthClip

WAYS = ("greedy", "grammar")  # to decode, of the models that come with the package
_UNREAD = Decoded("", (), 0.0, sure=False)


@dataclass(frozen=True)
class Clip:
    """What is said in a clip, when, and what was read by each way; nothing where the clip was too short."""

    id: str
    speaker: str
    said: str
    times: tuple[WordTime, ...]
    read: dict[str, Decoded]


@dataclass(frozen=True)
class Score:
    """Shares (0.05 = 5 %) over all clips; ``slots`` is empty unless GRID sentences are among them.

    ``intervals`` has the 95 % interval of each by its name here or its slot's.
    """

    clips: int
    wer: float
    cer: float
    sentence_accuracy: float
    slots: dict[str, float]
    intervals: dict[str, Interval]
    confusions: list[tuple[str, str, int]]  # said, read, how often; commonest first


@dataclass(frozen=True)
class WordTimes:
    """How far starts and ends of the words read by the last way are off, in seconds: mean absolute errors."""

    words: int  # compared: those of clips with as many words read as said
    start: float
    end: float
    both: float
    interval: Interval  # of ``both``
    slots: dict[str, tuple[float, float]]  # start and end by slot; empty unless GRID sentences are among them


@dataclass
class Evaluation:
    """A model's scores for each way to decode, of all clips and of each speaker, and what was read in each clip."""

    model: str
    cache: str
    clips: list[Clip]
    unread: list[str] = field(default_factory=list)  # ids of clips too short for a way to decode; read as nothing
    own_grammar: bool = False  # whether the grammar is another than GRID's: one that was given, or taught commands
    scores: dict[str, Score] = field(default_factory=dict)
    speakers: dict[str, dict[str, Score]] = field(default_factory=dict)  # empty unless there are several
    unsure: dict[str, float] = field(default_factory=dict)  # share of clips of which the reader is not sure
    word_times: WordTimes | None = None  # None where the cache has no word times, or no clip has its words

    def __post_init__(self) -> None:
        speakers = sorted({clip.speaker for clip in self.clips}, key=lambda name: (len(name), name))  # s4 before s22
        self.scores = score_ways(self.clips)
        if len(speakers) > 1:
            self.speakers = {one: score_ways([clip for clip in self.clips if clip.speaker == one]) for one in speakers}
        for how in self.ways:
            self.unsure[how] = sum(not clip.read[how].sure for clip in self.clips) / len(self.clips)
        self.word_times = word_times(self.clips)

    @property
    def ways(self) -> tuple[str, ...]:
        """How the clips were decoded; the last way is the model's usual one."""
        return tuple(self.clips[0].read)

    def to_json(self) -> str:
        """The whole evaluation, its fields by name."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    def to_text(self) -> str:
        """A table of rates with 95 % intervals, a column for each decoder, then speakers and the commonest
        confusions."""
        scores = self.scores
        lines = [f"{len(self.clips)} clips of {self.cache} read by {self.model}"]
        lines += _table(
            "", self.ways, {name: [_rate(score, field) for score in scores.values()] for name, field in _rows(scores)}
        )
        if self.speakers:
            clips = {name: next(iter(of.values())).clips for name, of in self.speakers.items()}
            rates = {
                f"{name or '-'}, {clips[name]} clip{'s' * (clips[name] > 1)}": [
                    _rate(one, "wer") for one in of.values()
                ]
                for name, of in self.speakers.items()
            }
            lines += _table("word error rate of", self.ways, rates)
        lines.append("(in brackets: 95 % intervals by bootstrap over clips)")
        if "grammar" in scores and not (scores["grammar"].slots or self.own_grammar):
            others = " and ".join(how for how in scores if how != "grammar")
            lines.append(f"no clip says a sentence of GRID, so its grammar can't read them: look at {others} alone")
        for how, found in scores.items():
            listed = ", ".join(f"{a or '-'} as {b or '-'} {count}" for a, b, count in found.confusions)
            lines.append(f"confused, {how}: {listed or 'nothing'}")
        unsure = ", ".join(f"{100 * share:.1f} % {how}" for how, share in self.unsure.items())
        lines.append(f"clips of which the reader is not sure: {unsure}")
        if times := self.word_times:
            low, high = times.interval
            lines.append(
                f"starts and ends of words, {self.ways[-1]}: "
                f"off by {times.both:.3f} s on average ({low:.3f}-{high:.3f}); "
                f"starts {times.start:.3f} s, ends {times.end:.3f} s"
            )
        if self.unread:
            lines.append(f"too short to decode, counted as nothing read: {', '.join(self.unread)}")
        return "\n".join(lines) + "\n"


def ways_of(reader: Reader, grammar: Grammar | None = None) -> tuple[str, ...]:
    """How a model's clips are decoded: greedily, by its own search if it has one, by a grammar if it has or is given
    one; one that has neither by the beam of CTC."""
    ruled = bool(grammar or reader.templates or reader.metadata.grammar)
    return ("greedy", *(["beam"] if reader.search or not ruled else []), *(["grammar"] if ruled else []))


def evaluate(
    reader: Reader,
    cache: Cache | Videos,
    utterances: Sequence[CachedUtterance | Utterance],
    progress: Callable[[int, int], None] | None = None,
    grammar: Grammar | None = None,
    skip: Callable[[GunileoError], None] | None = None,
) -> Evaluation:
    """Read ``utterances`` of ``cache`` by each of ``ways_of`` and score them. Calls ``progress(done, total)`` for each
    clip.

    If no ``grammar`` is given, it is the model's or, for a taught model, that of its commands. If a clip can't be
    loaded, ``skip`` is called with the error. Without ``skip`` the error is raised.

    Raises ``CacheError`` if a clip can't be loaded, ``CorpusError`` if none can, ``ModelError`` if the model is
    broken, ``GrammarError`` if its tokens can't spell the ``grammar``, ``ValueError`` if there are no ``utterances``.
    ``gunileo.evaluation.metrics`` has the sources of the measures.
    """
    if not utterances:
        raise ValueError("no utterances to evaluate")
    clips = []
    for number, utterance in enumerate(utterances, 1):
        try:
            clip, words = _loaded(cache, utterance)
        except GunileoError as error:
            if skip is None:
                raise
            skip(error)
        else:
            read = _readings(reader, clip, grammar)
            clips.append(Clip(utterance.id, utterance.speaker, utterance.text, words, read))
        if progress:
            progress(number, len(utterances))
    if not clips:
        raise CorpusError(f"{cache.path}: none of {len(utterances)} clips can be read; see the reasons above")
    unread = [clip.id for clip in clips for read in clip.read.values() if read is _UNREAD]
    return Evaluation(reader.name, str(cache.path), clips, unread, own_grammar=bool(grammar or reader.templates))


def _readings(reader: Reader, clip: MouthClip, grammar: Grammar | None) -> dict[str, Decoded]:
    """What is read in a clip by each way; the network runs once."""
    readings, answers = {}, dict[str, Answers]()
    for how in ways_of(reader, grammar):
        try:
            decoded = reader.read(clip, how, grammar if how == "grammar" else None, answers)
            readings[how] = _plain(decoded, reader)
        except DecodeError:
            readings[how] = _UNREAD
    return readings


def _loaded(cache: Cache | Videos, utterance: Any) -> tuple[MouthClip, tuple[WordTime, ...]]:
    """An utterance of that cache or these videos, and its words by the clip's clock."""
    if isinstance(cache, Videos):
        return cache.timed(utterance)
    return cache.load(utterance), utterance.words


def _plain(decoded: Decoded, reader: Reader) -> Decoded:
    """A reading as texts of a corpus are: without apostrophes, which some models spell."""
    return decoded if reader.vocabulary is GRID else replace(decoded, text=spoken(decoded.text))


def score_ways(clips: Sequence[Clip]) -> dict[str, Score]:
    """The score of each way to decode."""
    ways = clips[0].read
    return {how: score([clip.said for clip in clips], [clip.read[how].text for clip in clips]) for how in ways}


def score(said: Sequence[str], read: Sequence[str]) -> Score:
    """All measures of what was read against what was said."""
    grid = [(a, b) for a, b in zip(said, read, strict=True) if is_grid(a)]
    refs, hyps = [a for a, _ in grid], [b for _, b in grid]
    errors, wholes = error_counts(said, read)
    errors[:, 2] = 1 - errors[:, 2]  # sentences: the rate is of those that are right
    intervals = dict(zip(("wer", "cer", "sentence_accuracy"), bootstrap(errors, wholes), strict=True))
    if grid:
        right = slots_right(refs, hyps)
        intervals |= zip(SLOT_NAMES, bootstrap(right, np.ones_like(right)), strict=True)
    return Score(
        len(said),
        wer(said, read),
        cer(said, read),
        sentence_accuracy(said, read),
        slot_accuracy(refs, hyps) if grid else {},
        intervals,
        confusions(said, read),
    )


def word_times(clips: Sequence[Clip]) -> WordTimes | None:
    """How far word times are off, read by the last way, over the clips that have times and as many words as read."""
    timed = [(clip, time_errors([*clip.read.values()][-1].words, clip.times)) for clip in clips]
    timed = [(clip, off) for clip, off in timed if off]
    if not timed:
        return None
    pairs = [pair for _, off in timed for pair in off]
    grid = [off for clip, off in timed if is_grid(clip.said)]
    slots = {slot: _means([off[number] for off in grid]) for number, slot in enumerate(SLOT_NAMES) if grid}
    start, end = _means(pairs)
    interval = bootstrap([sum(map(sum, off)) for _, off in timed], [2 * len(off) for _, off in timed])[0]
    return WordTimes(len(pairs), start, end, (start + end) / 2, interval, slots)


def time_errors(read: Sequence[Word], said: Sequence[WordTime]) -> list[tuple[float, float]]:
    """How far start and end of each word are off, in seconds; empty if there are not as many words."""
    if len(read) != len(said):
        return []
    return [(abs(a.start - b.start), abs(a.end - b.end)) for a, b in zip(read, said, strict=True)]


def _means(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return sum(start for start, _ in pairs) / len(pairs), sum(end for _, end in pairs) / len(pairs)


def _rows(scores: dict[str, Score]) -> list[tuple[str, str]]:
    """The table's rows: what each is called, and its name in ``Score.intervals``."""
    slots = next(iter(scores.values())).slots
    rates = [("word error rate", "wer"), ("character error rate", "cer"), ("sentences right", "sentence_accuracy")]
    return [*rates, *((f"{slot} right", slot) for slot in slots)]


def _rate(score: Score, name: str) -> str:
    value = score.slots[name] if name in score.slots else getattr(score, name)
    low, high = score.intervals[name]
    interval = f" ({100 * low:.1f}-{100 * high:.1f})" if score.clips > 1 else ""  # one clip has nothing to draw from
    return f"{100 * value:.1f} %{interval}"


def _table(title: str, ways: Sequence[str], rows: dict[str, list[str]]) -> list[str]:
    header = f"{title:22}" + "".join(f"{how:>22}" for how in ways)
    return [header, *(f"{name:22}" + "".join(f"{cell:>22}" for cell in cells) for name, cells in rows.items())]
