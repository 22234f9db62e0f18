"""How well a model reads a prepared corpus: error rates, places, confusions, for both ways to decode."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from gunileo.decode import DECODERS, DecodeError
from gunileo.engine import Reader
from gunileo.labels import WordTime
from gunileo.metrics import cer, confusions, place_accuracy, sentence_accuracy, wer
from gunileo.prepare import Cache, CachedUtterance
from gunileo.sentence import text_to_code
from gunileo.transcript import Word


@dataclass(frozen=True)
class Score:
    """Shares (0.05 = 5 %) over all clips; ``places`` is empty unless GRID sentences are among them."""

    wer: float
    cer: float
    sentence_accuracy: float
    places: dict[str, float]
    confusions: list[tuple[str, str, int]]  # said, read, how often; commonest first


@dataclass
class Evaluation:
    """The scores of a model by way to decode, and each clip's sentence beside what was read."""

    model: str
    cache: str
    scores: dict[str, Score] = field(default_factory=dict)
    clips: list[dict[str, str]] = field(default_factory=list)  # {"id", "said", "greedy", "grammar"}
    unread: list[str] = field(default_factory=list)  # ids of clips too short for a way to decode; read as nothing
    word_time_error: float | None = None  # seconds; None where the cache has no word times, or no clip has its words


def evaluate(
    reader: Reader,
    cache: Cache,
    utterances: Sequence[CachedUtterance],
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Read ``utterances`` of ``cache`` with both decoders and score them; ``progress(done, total)`` each clip.

    Raises ``CacheError`` if a clip can't be loaded, ``ModelError`` if the model is broken, ``ValueError`` if there
    are no ``utterances``.
    """
    evaluation = Evaluation(reader.name, str(cache.path))
    off: list[float] = []
    for number, utterance in enumerate(utterances, 1):
        logp = reader.log_probabilities(cache.load(utterance))
        clip = {"id": utterance.id, "said": utterance.text}
        for how, read in DECODERS.items():
            try:
                decoded = read(logp)
            except DecodeError:
                clip[how] = ""
                evaluation.unread.append(utterance.id)
                continue
            clip[how] = decoded.text
            if how == "grammar":
                off += time_errors(decoded.words, utterance.words)
        evaluation.clips.append(clip)
        if progress:
            progress(number, len(utterances))
    said = [clip["said"] for clip in evaluation.clips]
    for how in DECODERS:
        evaluation.scores[how] = score(said, [clip[how] for clip in evaluation.clips])
    evaluation.word_time_error = sum(off) / len(off) if off else None
    return evaluation


def time_errors(read: Sequence[Word], said: Sequence[WordTime]) -> list[float]:
    """How far each start and each end is off, in seconds, word by word; empty if there are not as many words."""
    if len(read) != len(said):
        return []
    return [abs(error) for a, b in zip(read, said, strict=True) for error in (a.start - b.start, a.end - b.end)]


def score(said: Sequence[str], read: Sequence[str]) -> Score:
    """All measures of what was read against what was said."""
    grid = [(a, b) for a, b in zip(said, read, strict=True) if _is_grid(a)]
    return Score(
        wer(said, read),
        cer(said, read),
        sentence_accuracy(said, read),
        place_accuracy([a for a, _ in grid], [b for _, b in grid]) if grid else {},
        confusions(said, read),
    )


def _is_grid(text: str) -> bool:
    try:
        text_to_code(text)
    except ValueError:
        return False
    return True


def to_json(evaluation: Evaluation) -> str:
    """The whole evaluation, its fields by name."""
    return json.dumps(asdict(evaluation), indent=2, ensure_ascii=False) + "\n"


def to_text(evaluation: Evaluation) -> str:
    """A table of rates, one column a decoder, and the commonest confusions."""
    scores = evaluation.scores
    rows: list[tuple[str, list[float]]] = [
        ("word error rate", [score.wer for score in scores.values()]),
        ("character error rate", [score.cer for score in scores.values()]),
        ("sentences right", [score.sentence_accuracy for score in scores.values()]),
    ]
    for place in next(iter(scores.values())).places:
        rows.append((f"{place} right", [score.places[place] for score in scores.values()]))
    lines = [f"{len(evaluation.clips)} clips of {evaluation.cache} read by {evaluation.model}"]
    lines.append(f"{'':22}" + "".join(f"{how:>10}" for how in scores))
    lines += [f"{name:22}" + "".join(f"{100 * value:8.1f} %" for value in values) for name, values in rows]
    for how, found in scores.items():
        listed = ", ".join(f"{a or '-'} as {b or '-'} {count}" for a, b, count in found.confusions)
        lines.append(f"confused, {how}: {listed or 'nothing'}")
    if evaluation.word_time_error is not None:
        lines.append(f"starts and ends of words, grammar: off by {evaluation.word_time_error:.3f} s on average")
    if evaluation.unread:
        lines.append(f"too short to decode, counted as nothing read: {', '.join(evaluation.unread)}")
    return "\n".join(lines) + "\n"
